"""Random filters: what they answer to constants, impulses and other sampling rates."""

import pytest
import torch

from tsrec.layers.filter_bank import FilterBank


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


def test_nothing_is_trained():
    assert not any(p.requires_grad for p in bank().parameters())


@pytest.mark.parametrize("rate", [1.0, 1.7])
def test_filters_equal_the_plain_recurrence(rate):
    filters, x = bank(d_state=4).double(), torch.randn(2, 30, 6, generator=torch.Generator(), dtype=torch.float64)
    Ab, Bb = filters.memory.discrete(rate)
    state, expected = torch.zeros(2, 6, 4, dtype=torch.float64), []
    for t in range(30):
        state = torch.einsum("hij,bhj->bhi", Ab, state) + Bb * x[:, t, :, None]
        expected.append(torch.einsum("hmn,bhn->bhm", filters.C, state).flatten(1))
    torch.testing.assert_close(filters(x, rate=rate)[0], torch.stack(expected, 1))
