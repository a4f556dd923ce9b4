"""The damped moving average of MEGA: its kernel is its recurrence."""

import math

import numpy as np
import pytest
import torch

from tsrec.layers.ema import DampedEMA

D = 3


def average(causal=True, d_state=5):
    return DampedEMA(D, d_state, causal=causal, generator=torch.Generator().manual_seed(3)).double()


def noise(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def loop(module, x, side):
    """u = beta x, s = p u + q s, y = sum(gamma s) / sqrt(h), with p = sig(delta), q = 1 - sig(delta) sig(alpha)."""
    delta, alpha, beta, gamma = (
        p.detach().numpy()[side] for p in (module.damping, module.decay, module.beta, module.gamma)
    )
    p, q = sigmoid(delta), 1 - sigmoid(delta) * sigmoid(alpha)
    s, found = np.zeros((len(x), *beta.shape)), []
    for t in range(x.shape[1]):
        s = p * beta * x[:, t, :, None] + q * s
        found.append((gamma * s).sum(-1) / math.sqrt(beta.shape[-1]))
    return np.stack(found, 1), s


@pytest.mark.parametrize("length", [1, 2, 64, 300])
def test_the_convolution_is_the_recurrence(length):
    module, x = average(), noise(2, length, D)
    y, state = module(x)
    wanted, last = loop(module, x.numpy(), 0)
    np.testing.assert_allclose(y.detach().numpy(), wanted, rtol=0, atol=1e-12)
    np.testing.assert_allclose(state.detach().numpy(), last, rtol=0, atol=1e-12)


def test_the_bidirectional_form_adds_an_average_of_the_future():
    module, x = average(causal=False), noise(2, 50, D)
    y, state = module(x)
    wanted = loop(module, x.numpy(), 0)[0] + loop(module, x.flip(1).numpy(), 1)[0][:, ::-1]
    np.testing.assert_allclose(y.detach().numpy(), wanted, rtol=0, atol=1e-12)
    assert state is None
    assert module.init_state(2) is None
    with pytest.raises(RuntimeError, match="cannot go step by step"):
        module.step(x[:, 0], x)
    with pytest.raises(ValueError, match="reads the future"):
        module(x, x)


def test_the_kernel_is_the_answer_to_an_impulse():
    module = average()
    impulse = torch.zeros(1, 40, D, dtype=torch.float64)
    impulse[:, 0] = 1
    torch.testing.assert_close(module(impulse)[0][0].T, module.kernel(40, torch.float64)[0], rtol=0, atol=1e-14)


def test_half_precision_is_averaged_in_single_precision():
    module, x = DampedEMA(D), noise(1, 50, D).bfloat16()
    y, state = module(x)
    assert (y.dtype, state.dtype) == (torch.bfloat16, torch.float32)
    torch.testing.assert_close(y, module(x.float())[0].bfloat16())
    wanted = module(x.float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = module(x.float(), module(x.float())[1])
    for one, other in zip(found, module(x.float(), wanted[1]), strict=True):
        assert torch.equal(one, other)


def test_initial_values_are_those_of_mega():
    module = DampedEMA(400, 16)
    assert module.damping.std().item() == pytest.approx(0.2, rel=0.05)
    assert module.decay.std().item() == pytest.approx(0.2, rel=0.05)
    signs = torch.tensor([1.0, -1.0]).repeat(8)
    assert (module.beta - signs).std().item() == pytest.approx(0.02, rel=0.05)
    assert module.gamma.std().item() == pytest.approx(1.0, rel=0.05)
