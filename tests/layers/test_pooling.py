"""Pooling: plain formulas, parts equal the whole, padding is never read."""

import numpy as np
import pytest
import torch

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
