"""Selective filters: the formulas, orthogonal memories, constants, what selection does, and numbers of any size."""

import math

import pytest
import torch

from tsrec.layers.selective_bank import SelectiveBank, SelectiveChains

pytestmark = pytest.mark.usefixtures("one_thread")


def seeded(number=1):
    return torch.Generator().manual_seed(number)


def bank(length=100, **options):
    return SelectiveBank(6, 5, length, **{"scales": 6, "generator": seeded(), **options})


def impulse(length, width):
    x = torch.zeros(1, length, width, dtype=torch.float64)
    x[:, 0] = 1
    return x


def test_states_are_those_of_the_formulas_one_number_at_a_time():
    dt, weight = torch.tensor([0.05, 0.7, 4.0]), torch.tensor([0.4, -1.0, 0.2])
    chains = SelectiveChains(dt, weight, 4).double()
    x = torch.randn(2, 30, 3, dtype=torch.float64, generator=seeded())
    states, last = chains.filter(x)
    c = math.log(math.e - 1)
    for b, k in ((0, 0), (1, 1), (0, 2)):
        h = [0.0] * 4
        for t in range(30):
            u = x[b, t, k].item()
            a = math.exp(-dt[k].item() * math.log1p(math.exp(weight[k].item() * u + c)))
            for n in range(4):
                h[n], u = a * h[n] + (1 - a) * u, (1 + a) * h[n] - a * u
            assert states[b, t, k].tolist() == pytest.approx(h, rel=1e-5)
    assert torch.equal(last, states[:, -1])


def test_memories_without_selection_are_orthogonal_functions_of_one_size():
    filters = bank(selection=0).double()
    h, _ = filters.memory.filter(impulse(4000, 6))
    gramian = torch.einsum("blhn,blhm->hnm", h, h)
    size = gramian[:, 0, 0]
    wanted = size[:, None, None] * torch.eye(16, dtype=torch.float64)
    assert ((gramian - wanted).abs().amax((1, 2)) / size).max() < 1e-6
    energy = filters(impulse(4000, 6))[0].square().sum(1)
    torch.testing.assert_close(energy, torch.ones_like(energy), rtol=1e-4, atol=0)


@pytest.mark.parametrize("level", [5.0, -2.0])
def test_no_filter_answers_to_a_constant_in_the_end_whatever_came_before(level):
    filters = bank(selection=0.7)
    y, state = filters(torch.randn(1, 100, 6, generator=seeded(2)) + 5)
    later, _ = filters(torch.full((1, 3000, 6), level), state)
    assert y.abs().amax((0, 1)).min() > 0.05
    assert later[:, -1].abs().max() < 2e-3


def test_selection_forgets_what_stood_before_a_large_value_or_holds_it():
    x = torch.zeros(1, 60, 2)
    x[:, :20], x[:, 30:] = 1.0, 3.0
    chains = SelectiveChains(torch.full((2,), 0.1), torch.tensor([2.0, -2.0]), 1)
    (fast, slow), _ = (h[0, :, :, 0].T for h in (chains.filter(x)[0], x[..., None]))
    assert fast[34] > 2.9
    assert slow[59] < 1.0
    # Where nothing comes in, both forget alike.
    torch.testing.assert_close(fast[20:30] / fast[20], slow[20:30] / slow[20])


def test_without_selection_a_bank_is_linear_and_with_it_is_not():
    x, z = torch.randn(2, 1, 80, 6, dtype=torch.float64, generator=seeded(3))
    for selection, linear in ((0.0, True), (0.4, False)):
        filters = bank(selection=selection).double()
        gap = (filters(x + z)[0] - filters(x)[0] - filters(z)[0]).abs().max()
        assert (gap.item() < 1e-9) is linear


def test_scales_go_from_single_steps_to_the_length_and_start_again():
    dt = SelectiveBank(7, 2, 1000, scales=3).memory.log_dt.exp()
    assert torch.equal(dt[:3], dt[3:6])
    assert dt[:3].tolist() == pytest.approx([0.008, 0.032**0.5, 4.0], rel=1e-5)


def test_another_rate_sees_the_same_of_a_slow_series():
    t = torch.arange(400.0)
    slow = torch.sin(t / 25)[None, :, None].expand(-1, -1, 12).contiguous()
    filters = SelectiveBank(12, 5, 400, scales=30, generator=seeded())
    y, _ = filters(slow)
    half, _ = filters(slow[:, ::2], rate=2.0)
    wrong, _ = filters(slow[:, ::2])
    error, naive = ((z - y[:, ::2])[:, 50:].square().mean() for z in (half, wrong))
    assert error < 0.1 * naive


def test_each_chain_reads_its_own_input_with_filters_of_its_own():
    filters, x = bank(), torch.randn(1, 50, 6, generator=seeded(2))
    other = x.clone()
    other[..., 2] += 1
    moved = (filters(other)[0] != filters(x)[0]).any(1).view(6, 5).any(1)
    assert moved.tolist() == [number == 2 for number in range(6)]


@pytest.mark.parametrize("size", [1e-12, 1e6, 1e12])
def test_values_of_any_size_give_numbers(size):
    x = size * torch.randn(2, 200, 6, generator=seeded())
    filters = bank()
    y, state = filters(x)
    assert y.isfinite().all()
    state, steps = filters.init_state(2), []
    for t in range(200):
        y_t, state = filters.step(x[:, t], state)
        steps.append(y_t)
    torch.testing.assert_close(torch.stack(steps, 1), y, rtol=0, atol=1e-4 * y.abs().max().item())


def test_filters_follow_the_generator():
    one, two, other = (SelectiveBank(3, 2, 50, generator=seeded(seed)) for seed in (1, 1, 2))
    for name in ("C", "memory.weight"):
        assert torch.equal(one.get_buffer(name), two.get_buffer(name))
        assert not torch.equal(one.get_buffer(name), other.get_buffer(name))
    assert not list(one.parameters())
