"""S4D-Lin is the diagonal system of its paper: modes, zero-order hold, real part of conjugate pairs."""

import math

import pytest
import torch

from tsrec.kernels import linear_scan
from tsrec.layers.lssl import LSSL
from tsrec.layers.s4d import S4D


def seeded(number=1):
    return torch.Generator().manual_seed(number)


def test_modes_start_at_minus_one_half_plus_i_pi_n():
    layer = S4D(3, d_state=8)
    assert torch.allclose(-layer.log_decay.exp(), torch.tensor(-0.5))
    assert torch.allclose(layer.frequency, math.pi * torch.arange(4.0).expand(3, 4))


@pytest.mark.parametrize("length", [1, 50, 101])
@torch.no_grad()
def test_kernel_and_state_are_those_of_the_scan(length):
    """C x[t] by a complex scan over all modes, with Ab = exp(dt A) and Bb = (Ab - 1) / A."""
    layer = S4D(3, d_state=8, channels=2, dt_min=0.05, dt_max=0.2, generator=seeded()).double()
    A = torch.complex(-layer.log_decay.exp(), layer.frequency)
    Ab = (layer.log_dt.exp()[:, None] * A).exp()
    Bb, C = (Ab - 1) / A, torch.view_as_complex(layer.C)
    u = torch.randn(2, length, 3, dtype=torch.float64, generator=seeded(2))
    states, last = linear_scan(Ab.flatten(), (Bb * u[..., None]).flatten(2))
    outputs = 2 * torch.einsum("blhn,hmn->blhm", states.view(2, length, 3, 4), C).real
    dynamics = layer._dynamics(torch.float64, 1.0)
    impulse = torch.zeros(1, length, 3, dtype=torch.float64)
    impulse[:, 0] = 1
    taps, _ = linear_scan(Ab.flatten(), (Bb * impulse[..., None]).flatten(2))
    kernel = 2 * torch.einsum("lhn,hmn->hml", taps.view(length, 3, 4), C).real
    assert (dynamics.kernel(C, length) - kernel).abs().max() < 1e-13
    assert (dynamics.final_state(u, None) - last.view(2, 3, 4)).abs().max() < 1e-13
    y = layer._read(last.view(2, 3, 4))
    assert (y - outputs[:, -1]).abs().max() < 1e-12


@pytest.mark.parametrize(
    "make",
    [
        lambda: S4D(3, d_state=8, generator=seeded()),
        lambda: LSSL(3, d_state=8, discretization="zoh", generator=seeded()),
    ],
    ids=["S4D", "LSSL zoh"],
)
@torch.no_grad()
def test_a_held_input_is_exact_at_any_rate(make):
    """Zero-order hold: repeating each sample k times equals the samples themselves at rate k."""
    layer = make().double()
    x = torch.randn(2, 60, 3, dtype=torch.float64, generator=seeded(2))
    for k in (2, 3):
        fine, coarse = layer(x.repeat_interleave(k, 1)), layer(x, rate=float(k))
        assert (fine[0][:, k - 1 :: k] - coarse[0]).abs().max() < 1e-12
        assert (fine[1] - coarse[1]).abs().max() < 1e-12
