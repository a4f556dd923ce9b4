"""The dilated convolution on a GPU, emulated: several tiles of time and channels, and what happens at their edges."""

import pytest
import torch
from torch.nn.functional import silu

pytest.importorskip("triton", reason="triton is not installed")

from tsrec.kernels._triton_conv import conv, conv_adjoint

# Emulated step by step, which takes long.
pytestmark = pytest.mark.slow
TOLERANCE = {torch.float64: 1e-12, torch.float32: 2e-6, torch.bfloat16: 8e-3, torch.float16: 1e-3}
ACTIVATIONS = {"none": lambda z: z, "silu": silu, "relu": torch.relu}


def wanted_of(x, weight, bias, residual, initial, dilation, offset, activation):
    length, reach = x.shape[1], (weight.shape[1] - 1) * dilation
    before = x.new_zeros(x.shape[0], reach, x.shape[2]) if initial is None else initial
    padded = torch.cat((before, x, torch.zeros_like(before)), 1)
    taps = (padded[:, reach + offset + k * dilation :][:, :length] * w for k, w in enumerate(weight.unbind(1)))
    z = sum(taps) if bias is None else sum(taps) + bias
    y = ACTIVATIONS[activation](z)
    return y if residual is None else y + residual


def make(length, width, taps, dilation, dtype=torch.float64, options=True, batch=2):
    """Return the inputs, x with time contiguous, and a cotangent with gaps between its rows."""
    g = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(shape, dtype=torch.float64, generator=g).to(dtype)

    x, weight, cotangent = draw(batch, width, length), draw(width, taps), draw(batch, length, 2 * width)[..., :width]
    rest = draw(width), draw(batch, length, width), draw(batch, (taps - 1) * dilation, width)
    return (x.transpose(1, 2), weight, *(rest if options else (None, None, None))), cotangent


@pytest.mark.parametrize(
    ("length", "width", "taps", "dilation", "offset", "dtype", "activation"),
    [
        (1, 1, 4, 1, -3, torch.float32, "silu"),
        (2, 5, 3, 2, -4, torch.float16, "relu"),
        (100, 70, 3, 9, -18, torch.float32, "silu"),
        (65, 70, 3, 16, -32, torch.bfloat16, "silu"),
        (65, 33, 5, 8, -32, torch.float64, "none"),
        (300, 5, 17, 16, -256, torch.float64, "relu"),
    ],
    ids=str,
)
def test_tiles_equal_the_equation(length, width, taps, dilation, offset, dtype, activation):
    inputs, g = make(length, width, taps, dilation, dtype)
    assert_equals_the_equation(inputs, g, dilation, offset, activation)


@pytest.mark.parametrize(("offset", "activation"), [(-8, "relu"), (0, "silu")])
def test_taps_that_look_ahead_equal_the_equation(offset, activation):
    inputs, g = make(100, 70, 5, 4, options=False)
    assert_equals_the_equation(inputs, g, 4, offset, activation)


def assert_equals_the_equation(inputs, g, dilation, offset, activation):
    exact = [None if x is None else x.double().requires_grad_() for x in inputs]
    y = wanted_of(*exact, dilation, offset, activation)
    of = [x for i, x in enumerate(exact) if x is not None and i != 3]
    gradients = iter(torch.autograd.grad(y, of, g.double()))
    x, weight, bias, _, initial = inputs
    wanted = [y, *(None if v is None else next(gradients) for v in (x, weight, bias, initial))]
    found = conv(*inputs, dilation, offset, activation)
    found = [found, *conv_adjoint(x, weight, bias, initial, g, dilation, offset, activation)]
    for a, b in zip(found, wanted, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert a.dtype == x.dtype
            assert a.is_contiguous()
            assert (a - b).abs().max() <= TOLERANCE[x.dtype] * (1 + b.abs().max())


def test_a_time_beyond_the_last_tile_spoils_no_tap():
    (x, weight, *_), g = make(65, 3, 3, 2)
    poisoned = x.clone()
    poisoned[0, -1] = float("nan")
    g = g.clone()
    g[0, -1] = 0  # the only output that sees the poison
    _, dweight, *_ = conv_adjoint(poisoned, weight, None, None, g, 2, -4, "none")
    assert dweight[:, :2].isfinite().all()


def test_two_runs_give_the_same_bits():
    (x, weight, bias, _, initial), g = make(65, 70, 3, 2, torch.float32)
    first, second = (conv_adjoint(x, weight, bias, initial, g, 2, -4, "silu") for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_nan_stays_in_its_batch_row_and_behind_its_time():
    (x, weight, *rest), g = make(65, 3, 3, 2)
    poisoned = x.clone()
    poisoned[0, 40] = float("nan")
    y = conv(poisoned, weight, *rest, 2, -4, "relu")
    assert y[0, [40, 42, 44]].isnan().all()
    assert y[0].isnan().sum() == 9
    assert y[1].isfinite().all()
    dx, *_ = conv_adjoint(poisoned, weight, rest[0], rest[2], g, 2, -4, "silu")
    assert dx[1].isfinite().all()
