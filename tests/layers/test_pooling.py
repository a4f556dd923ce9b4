"""Pooling: plain formulas, parts equal the whole, padding is never read."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tsrec.layers import pooling as module
from tsrec.layers.filter_bank import FilterBank
from tsrec.layers.pooling import FilterPooling, Pooling


def seeded(number=0):
    return torch.Generator().manual_seed(number)


def noise(*shape, seed=0):
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64)


def make(kind):
    if kind == "filters":
        pooling = FilterPooling(5, 3)
        pooling.calibrate(noise(200, 5, seed=9), torch.ones(200))
        return pooling.double()
    return Pooling(5, kind).double()


every_pooling = pytest.mark.parametrize(
    "kind", [("mean",), ("max",), ("last",), ("mean", "max", "last"), "filters"], ids=str
)
LENGTHS = torch.tensor([9, 1, 0, 4])
MASK = torch.arange(9) < LENGTHS[:, None]


def pooled(pooling, y, mask=None):
    return pooling.read(pooling.update(pooling.init_state(len(y)), y, mask))


@every_pooling
def test_padding_is_never_read(kind):
    pooling, y = make(kind), noise(4, 9, 5)
    found = pooled(pooling, y.masked_fill(~MASK[..., None], 1e30), MASK)
    torch.testing.assert_close(found, pooled(pooling, y.masked_fill(~MASK[..., None], -7.0), MASK))
    for row, length in enumerate(LENGTHS.tolist()):
        if length:
            torch.testing.assert_close(found[row : row + 1], pooled(pooling, y[row : row + 1, :length]))


@every_pooling
def test_parts_equal_the_whole(kind):
    pooling, y = make(kind), noise(4, 9, 5)
    state = pooling.init_state(4)
    for at in (slice(0, 1), slice(1, 6), slice(6, 9)):
        state = pooling.update(state, y[:, at], MASK[:, at])
    torch.testing.assert_close(pooling.read(state), pooled(pooling, y, MASK))


@every_pooling
def test_a_sequence_without_steps_gives_finite_numbers(kind):
    assert pooled(make(kind), noise(4, 9, 5), MASK)[2].isfinite().all()


def reference(pooling, rows):
    """One sequence's steps (L, D) as one vector."""
    none = len(rows) == 0
    if isinstance(pooling, Pooling):
        zeros = np.zeros(rows.shape[1])
        parts = {"mean": rows.sum(0) / max(len(rows), 1), "max": zeros, "last": zeros}
        if not none:
            parts |= {"max": rows.max(0), "last": rows[-1]}
        return np.concatenate([parts[kind] for kind in pooling.kinds])
    shares = np.zeros(pooling.thresholds.shape)
    energy, top, bottom = np.zeros((3, rows.shape[1]))
    for row in rows:
        shares += np.clip((row - pooling.thresholds.numpy()) / pooling.widths.numpy() + 0.5, 0, 1) / len(rows)
        energy, top, bottom = energy + row**2 / len(rows), np.maximum(top, row), np.minimum(bottom, row)
    return np.concatenate([shares.ravel(), np.log(energy + 1e-8), np.log(top + 1e-4), np.log(1e-4 - bottom)])


@every_pooling
@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=4), st.lists(st.integers(1, 8), max_size=3), st.integers(0, 99))
def test_any_lengths_in_any_parts_equal_a_loop(kind, lengths, cuts, seed):
    pooling, y = make(kind), noise(len(lengths), 9, 5, seed=seed)
    mask = torch.arange(9) < torch.tensor(lengths)[:, None]
    state, edges = pooling.init_state(len(lengths)), sorted({0, 9, *cuts})
    for start, stop in pairwise(edges):
        state = pooling.update(state, y[:, start:stop], mask[:, start:stop])
    wanted = [reference(pooling, rows[:length].numpy()) for rows, length in zip(y, lengths, strict=True)]
    np.testing.assert_allclose(pooling.read(state), wanted, rtol=1e-9, atol=1e-9)


@every_pooling
def test_a_state_that_was_passed_in_stays_as_it_was(kind):
    pooling, y = make(kind), noise(4, 9, 5)
    state = pooling.update(pooling.init_state(4), y, MASK)
    kept = [part.clone() for part in state]
    pooling.update(state, y)
    pooling.update(state, y, MASK)
    pooling.read(state)
    assert all(torch.equal(a, b) for a, b in zip(state, kept, strict=True))


@every_pooling
def test_gradients_are_right(kind):
    pooling, y = make(kind), noise(4, 9, 5).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: pooled(pooling, z, MASK), y, fast_mode=True)
    pooled(pooling, y, MASK).sum().backward()
    assert (y.grad[~MASK] == 0).all()
    assert y.grad[MASK].abs().sum() > 0


def test_filters_are_summed_up_in_chunks_of_any_size(monkeypatch):
    pooling, y = make("filters"), noise(4, 9, 5)
    wanted = pooled(pooling, y, MASK)
    for size in (1, 40, 60):
        monkeypatch.setattr(module, "_CHUNK_ELEMENTS", size)
        torch.testing.assert_close(pooled(pooling, y, MASK), wanted)


def test_kinds_are_what_they_say():
    y = noise(2, 6, 5)
    found = pooled(Pooling(5, ("mean", "max", "last")).double(), y)
    torch.testing.assert_close(found, torch.cat([y.mean(1), y.amax(1), y[:, -1]], 1))
    empty = pooled(Pooling(5, ("mean", "max", "last")), torch.ones(1, 2, 5), torch.zeros(1, 2, dtype=torch.bool))
    assert (empty == 0).all()
    for kinds in ((), ("median",)):
        with pytest.raises(ValueError, match="kinds: found"):
            Pooling(5, kinds)


def test_a_million_steps_lose_no_digits():
    pooling = Pooling(1)
    state, part = pooling.init_state(1), torch.full((1, 10_000, 1), 0.1)
    for _ in range(100):
        state = pooling.update(state, part)
    for _ in range(50):
        state = pooling.update(state, part[:, :1])
    assert pooling.read(state).item() == pytest.approx(0.1, abs=1e-8)


def test_millions_of_answers_of_filters_lose_no_digits():
    """Sums in float32 stand still at 2^24."""
    pooling = FilterPooling(1, 1)
    pooling.thresholds.fill_(0.25)
    part, few = torch.full((1, 1_000_000, 1), 4.0), torch.full((1, 1, 1), 0.5)
    state = pooling.init_state(1)
    for _ in range(20):
        state = pooling.update(state, part)
    for _ in range(500):
        state = pooling.update(state, few)
    assert state.steps.item() == 2e7 + 500
    assert state.square.item() == 2e7 * 16 + 500 * 0.25
    assert state.above.item() == 2e7 + 500 * 0.75


def test_filters_are_summed_up_by_the_formula():
    pooling, y = make("filters"), noise(3, 40, 5, seed=4)
    found = pooled(pooling, y).numpy()
    values, edges, widths = y.numpy()[:, :, None], pooling.thresholds.numpy(), pooling.widths.numpy()
    shares = np.clip((values - edges) / widths + 0.5, 0, 1).mean(1).reshape(3, -1)
    v = y.numpy()
    sizes = [
        np.log((v**2).mean(1) + 1e-8),
        np.log(np.maximum(v.max(1), 0) + 1e-4),
        np.log(np.maximum(-v.min(1), 0) + 1e-4),
    ]
    np.testing.assert_allclose(found, np.concatenate([shares, *sizes], 1), rtol=1e-6, atol=1e-7)


def test_thresholds_are_weighted_quantiles_that_fill_the_range():
    answers = noise(101, 50, seed=2)
    weight = torch.rand(101, generator=seeded(3)) + 0.1
    pooling = FilterPooling(50, 4)
    pooling.calibrate(answers, weight)
    below = ((answers[:, None] <= pooling.thresholds.double() + 1e-6) * weight[:, None, None]).sum(0) / weight.sum()
    levels = below.flatten().sort().values.numpy()
    assert np.abs(levels - (np.arange(200) + 0.5) / 200).max() < 0.03
    # Each filter has one threshold in every quarter.
    assert ((below * 4 - 1e-9).floor().clamp(0, 3).sort(0).values == torch.arange(4.0)[:, None]).float().mean() > 0.9


@pytest.mark.parametrize("n_thresholds", [1, 3, 8])
def test_thresholds_and_widths_are_brute_force_quantiles(n_thresholds):
    """The first answer, in order, up to which the weights sum to the wanted share."""
    F, golden = 7, (5**0.5 - 1) / 2
    answers, weight = noise(23, F, seed=2), torch.randint(1, 4, (23,), generator=seeded(3)).double()
    pooling = FilterPooling(F, n_thresholds, softness=0.2).double()
    pooling.calibrate(answers, weight)

    def quantile(values, share):
        order = np.argsort(values)
        total = 0.0
        for i in order:
            total += weight[i].item()
            if total >= share * weight.sum().item():
                return values[i]
        raise AssertionError

    for f in range(F):
        for k in range(n_thresholds):
            level = (k + (0.5 + (f - F // 2) * golden) % 1) / n_thresholds
            low, middle, high = (
                quantile(answers[:, f].numpy(), min(max(level + shift / n_thresholds, 0), 1))
                for shift in (-0.2, 0, 0.2)
            )
            least = 1e-6 * np.abs(answers[:, f].numpy()).max()
            width, threshold = max(high - low, least), middle + least * (high - low < least and abs(middle) < least)
            assert pooling.thresholds[k, f].item() == pytest.approx(threshold, rel=1e-12)
            assert pooling.widths[k, f].item() == pytest.approx(width, rel=1e-9)


def test_shares_of_what_was_calibrated_on_are_the_levels():
    """Of new answers of the same kind, so many are above a threshold as its level says."""
    pooling = FilterPooling(20, 4).double()
    pooling.calibrate(noise(4000, 20, seed=5), torch.ones(4000))
    shares = pooled(pooling, noise(1, 4000, 20, seed=6))[0, :80].view(4, 20)
    levels = (torch.arange(4)[:, None] + (0.5 + (torch.arange(20) - 10) * (5**0.5 - 1) / 2) % 1) / 4
    assert (shares + levels - 1).abs().max() < 0.04
    assert shares.shape == pooling.thresholds.shape


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_answers_of_any_precision_are_ordered(dtype):
    answers = noise(50, 4, seed=2).to(dtype)
    pooling, wide = FilterPooling(4), FilterPooling(4)
    pooling.calibrate(answers, torch.ones(50))
    wide.calibrate(answers.double(), torch.ones(50))
    assert torch.equal(pooling.thresholds, wide.thresholds)


def test_rows_of_weight_zero_do_not_count():
    answers, weight = noise(20, 6), torch.ones(20)
    weight[::3] = 0
    some, all_of_them = FilterPooling(6), FilterPooling(6)
    some.calibrate(answers, weight)
    all_of_them.calibrate(answers[weight > 0], torch.ones(13))
    assert torch.equal(some.thresholds, all_of_them.thresholds)


def test_a_row_of_weight_two_is_one_that_is_there_twice():
    answers, weight = noise(20, 6), torch.ones(20)
    weight[:5] = 2
    weighted, repeated = FilterPooling(6), FilterPooling(6)
    weighted.calibrate(answers, weight)
    repeated.calibrate(torch.cat([answers, answers[:5]]), torch.ones(25))
    assert torch.equal(weighted.thresholds, repeated.thresholds)
    torch.testing.assert_close(weighted.widths, repeated.widths)


def test_a_filter_that_stands_still_gives_finite_numbers_and_gradients():
    pooling = FilterPooling(2)
    pooling.calibrate(torch.zeros(10, 2), torch.ones(10))
    y = torch.zeros(1, 5, 2, requires_grad=True)
    found = pooled(pooling, y)
    found.sum().backward()
    assert found.isfinite().all()
    assert y.grad.isfinite().all()


@pytest.mark.slow
@torch.no_grad()
def test_rounding_of_filters_at_rest_becomes_no_share():
    bank = FilterBank(12, 16, 500, scales=6, generator=seeded())
    x = torch.zeros(2, 500, 12)
    x[:, 40], x[:, 90] = 2.0, -1.5
    y, _ = bank(x)
    pooling = FilterPooling(bank.n_outputs)
    pooling.calibrate(y[0, torch.arange(0, 500, 5)], torch.ones(100))
    state, memory = pooling.init_state(2), bank.init_state(2)
    for t in range(500):
        y_t, memory = bank.step(x[:, t], memory)
        state = pooling.update(state, y_t[:, None])
    torch.testing.assert_close(pooling.read(state), pooled(pooling, y), rtol=0, atol=0.02)


def test_sums_of_half_precision_do_not_overflow():
    ones = torch.ones(1, 70_000, 1, dtype=torch.float16)
    assert pooled(Pooling(1).half(), ones).item() == 1
    filters = FilterPooling(1, 1)
    assert torch.equal(pooled(filters, 300 * ones), pooled(filters, 300 * ones.float()))
