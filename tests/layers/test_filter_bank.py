"""Random filters: what they answer to constants, impulses and other sampling rates."""

import pytest
import torch

from tsrec.layers.filter_bank import ConvolutionBank, DilatedTaps, FilterBank


def bank(length=100, **kwargs):
    return FilterBank(6, 5, length, scales=6, generator=torch.Generator().manual_seed(1), **kwargs)


def test_the_answer_to_a_constant_fades():
    y, _ = bank()(torch.ones(1, 3000, 6))
    assert y[:, -1].abs().max() < 1e-4
    assert y.abs().max() > 0.1


def test_white_noise_keeps_its_size():
    impulse = torch.zeros(1, 5000, 6)
    impulse[:, 0] = 1
    y, _ = bank()(impulse)
    torch.testing.assert_close(y.square().sum(1), torch.ones(1, 30), rtol=1e-3, atol=0)


def test_the_state_goes_on_at_another_rate():
    t = torch.arange(400.0)
    slow = torch.sin(t / 15)[None, :, None].expand(-1, -1, 6).contiguous()
    filters = FilterBank(6, 5, 400, scales=30, generator=torch.Generator().manual_seed(1))
    y, _ = filters(slow)
    half, _ = filters(slow[:, ::2], rate=2.0)
    wrong, _ = filters(slow[:, ::2])
    error, naive = ((z - y[:, ::2])[:, 50:].square().mean() for z in (half, wrong))
    assert error < 0.02 * naive


def test_no_filter_answers_to_a_constant_in_the_end_whatever_came_before():
    filters, x = bank(), torch.randn(1, 100, 6, generator=torch.Generator().manual_seed(2))
    y, state = filters(x + 5)
    later, _ = filters(torch.full((1, 3000, 6), 5.0), state)
    assert y.abs().amax((0, 1)).min() > 0.05
    assert later[:, -1].abs().max() < 1e-3


@pytest.mark.parametrize(("length", "d_state"), [(1, 3), (40, 2), (1000, 16)])
def test_an_impulse_has_unit_energy_at_every_length_and_order(length, d_state):
    filters = FilterBank(4, 3, length, scales=4, d_state=d_state).double()
    impulse = torch.zeros(1, 30 * length + 100, 4, dtype=torch.float64)
    impulse[:, 0] = 1
    energy = filters(impulse)[0].square().sum(1)
    torch.testing.assert_close(energy, torch.ones_like(energy), rtol=1e-3, atol=0)


def test_scales_go_from_one_step_to_the_length_and_start_again():
    dt = FilterBank(7, 2, 100, scales=3).memory.log_dt.exp()
    torch.testing.assert_close(dt, torch.tensor([0.01, 0.1, 1.0, 0.01, 0.1, 1.0, 0.01]))


def test_a_filter_of_a_long_scale_still_answers_when_one_of_a_short_scale_is_over():
    impulse = torch.zeros(1, 400, 2)
    impulse[:, 0] = 1
    y, _ = FilterBank(2, 4, 200, scales=2, d_state=4)(impulse)
    late = y[:, 50:].square().sum((0, 1)).view(2, 4)
    assert late[0].min() > 0.05
    assert late[1].max() < 1e-6


def test_each_copy_reads_its_own_input_with_filters_of_its_own():
    filters, x = bank(), torch.randn(1, 50, 6, generator=torch.Generator().manual_seed(2))
    other = x.clone()
    other[..., 2] += 1
    moved = (filters(other)[0] != filters(x)[0]).any(1).view(6, 5).any(1)
    assert moved.tolist() == [number == 2 for number in range(6)]
    same = filters(x[..., :1].expand(-1, -1, 6).contiguous())[0][0].T
    assert torch.linalg.matrix_rank(same.double()) == 30


def test_filters_follow_the_generator():
    one, two, other = (FilterBank(3, 2, 50, generator=torch.Generator().manual_seed(seed)).C for seed in (1, 1, 2))
    assert torch.equal(one, two)
    # The first state alone answers to a constant in the end: it is never read.
    assert not torch.isclose(one, other)[..., 1:].any()
    assert torch.equal(FilterBank(3, 2, 50).C, FilterBank(3, 2, 50).C)


def test_nothing_is_trained():
    filters = bank()
    assert not any(p.requires_grad for p in filters.parameters())
    x = torch.ones(1, 20, 6, requires_grad=True)
    filters(x)[0].square().sum().backward()
    assert x.grad.abs().sum() > 0
    assert all(tensor.grad is None for tensor in (*filters.parameters(), *filters.buffers()))


def test_autocast_changes_no_answer():
    filters, x = bank(), 20 * torch.randn(1, 50, 6, generator=torch.Generator().manual_seed(2))
    wanted, state = filters(x)[0], filters.init_state(1)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(filters(x)[0], wanted)
        for t in range(50):
            y_t, state = filters.step(x[:, t], state)
    torch.testing.assert_close(y_t, wanted[:, -1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rate", [1.0, 1.7])
def test_filters_equal_the_plain_recurrence(rate):
    filters, x = bank(d_state=4).double(), torch.randn(2, 30, 6, generator=torch.Generator(), dtype=torch.float64)
    Ab, Bb = filters.memory.discrete(rate)
    state, expected = torch.zeros(2, 6, 4, dtype=torch.float64), []
    for t in range(30):
        state = torch.einsum("hij,bhj->bhi", Ab, state) + Bb * x[:, t, :, None]
        expected.append(torch.einsum("hmn,bhn->bhm", filters.C, state).flatten(1))
    torch.testing.assert_close(filters(x, rate=rate)[0], torch.stack(expected, 1))


@pytest.mark.parametrize(
    ("length", "scales", "wanted"), [(100, 3, [1, 3, 12]), (5, 4, [1, 1, 1, 1]), (801, 3, [1, 10, 100])]
)
def test_dilations_grow_from_neighbours_to_the_whole_length(length, scales, wanted):
    assert ConvolutionBank(scales, 2, length, scales=scales).memory.dilations == wanted
    assert ConvolutionBank(2 * scales, 2, length, scales=scales).memory.dilations == 2 * wanted


def test_convolutions_sum_to_zero_and_have_unit_energy():
    C = ConvolutionBank(6, 50, 100, generator=torch.Generator().manual_seed(1)).C
    torch.testing.assert_close(C.sum(-1), torch.zeros(6, 50), rtol=0, atol=1e-6)
    torch.testing.assert_close(C.square().sum(-1), torch.ones(6, 50))


def test_taps_keep_no_more_than_each_input_needs():
    taps = DilatedTaps([1, 10, 3], 4)
    assert taps.init_state(5).shape == (5, 3 + 30 + 9)
    x = torch.arange(60.0).view(1, 20, 3)
    found, state = taps.filter(x)
    assert found[0, 19, 0].tolist() == [48, 51, 54, 57]
    assert found[0, 19, 2].tolist() == [32, 41, 50, 59]
    assert found[0, 19, 1].tolist() == [0, 0, 28, 58]
    at, _ = taps.filter_step(torch.tensor([[7.0, 8.0, 9.0]]), state)
    assert at[0].tolist() == [[51, 54, 57, 7], [0, 1, 31, 8], [35, 44, 53, 9]]


def test_taps_of_graphs_are_those_of_sequences_and_stay_on_their_device(monkeypatch):
    taps = DilatedTaps([1, 10, 3], 4)
    x = torch.randn(2, 25, 3, generator=torch.Generator().manual_seed(0))
    wanted, _ = taps.filter(x, return_state=False)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    found, _ = taps.filter(x, return_state=False)
    assert torch.equal(found, wanted)
    # A device that is not the CPU, and that every machine has.
    assert taps.filter(x.to("meta"), return_state=False)[0].shape == wanted.shape
