"""The selective scan on a GPU, emulated: time cut into chunks, several tiles, precision of the step size."""

import pytest
import torch
from torch.nn.functional import silu, softplus

pytest.importorskip("triton", reason="triton is not installed")

from tsrec.kernels import _triton_selective
from tsrec.kernels._triton_selective import STEPS, chunk_length, scan, scan_adjoint

# Emulated step by step, which takes long.
pytestmark = pytest.mark.slow
TOLERANCE = {torch.float64: 1e-12, torch.float32: 2e-6, torch.bfloat16: 8e-3, torch.float16: 1e-3}


def wanted_of(u, dt, A, B, C, D, z, dt_bias, h0, use_softplus, reverse):
    raw = dt if dt_bias is None else dt + dt_bias
    delta = softplus(raw, threshold=1e9) if use_softplus else raw
    h, out = h0, [None] * u.shape[1]
    for t in reversed(range(u.shape[1])) if reverse else range(u.shape[1]):
        h = (delta[:, t, :, None] * A).exp() * h + (delta * u)[:, t, :, None] * B[:, t, None]
        out[t] = (h * C[:, t, None]).sum(-1)
    y = torch.stack(out, 1)
    y = y if D is None else y + D * u
    return y if z is None else y * silu(z), h


def make(length, width, states, dtype=torch.float64, options=True, batch=2):
    """Return the nine inputs (no two of u, dt, C laid out alike, no parameter in half precision) and two cotangents."""
    g = torch.Generator().manual_seed(0)
    acc = torch.promote_types(dtype, torch.float32)

    def draw(*shape):
        return torch.randn(shape, dtype=torch.float64, generator=g).to(dtype)

    u, dt = draw(batch, width, length).transpose(1, 2), draw(batch, length, 2 * width)[..., :width]
    A, B, C = -draw(width, states).abs().to(acc), draw(batch, length, states), draw(batch, length, states + 3)[..., 3:]
    D, z, dt_bias = (
        (draw(width).to(acc), draw(batch, length, width), draw(width).to(acc) - 1) if options else (None, None, None)
    )
    h0, g_last = (draw(batch, width, states).to(acc) for _ in range(2))
    return (u, dt if options else dt.abs(), A, B, C, D, z, dt_bias, h0), (draw(batch, length, width), g_last)


def assert_equals_the_equations(inputs, cotangents, use_softplus, reverse):
    exact = [None if x is None else x.double().requires_grad_() for x in inputs]
    wanted = wanted_of(*exact, use_softplus, reverse)
    given = [x for x in exact if x is not None]
    gradients = iter(torch.autograd.grad(wanted, given, [g.double() for g in cotangents]))
    wanted = [*wanted, *(None if x is None else next(gradients) for x in exact)]
    found = [*scan(*inputs, use_softplus, reverse), *scan_adjoint(*inputs, *cotangents, use_softplus, reverse)]
    for x, y, like in zip(found, wanted, (inputs[0], inputs[-1], *inputs), strict=True):
        assert (x is None) == (y is None)
        if x is not None:
            assert x.dtype == like.dtype
            assert x.is_contiguous()
            assert (x - y).abs().max() <= TOLERANCE[inputs[0].dtype] * (1 + y.abs().max())


@pytest.fixture
def chunks(monkeypatch):
    monkeypatch.setattr(_triton_selective, "chunk_length", lambda programs, length, processors: min(2 * STEPS, length))


@pytest.mark.parametrize(
    ("length", "width", "states", "dtype", "options", "reverse"),
    [
        (19, 5, 3, torch.float64, True, False),
        (16, 1, 16, torch.float64, False, True),
        (13, 37, 2, torch.float32, True, True),
    ],
    ids=str,
)
def test_chunks_of_time_equal_the_equations(chunks, length, width, states, dtype, options, reverse):
    assert_equals_the_equations(*make(length, width, states, dtype, options, batch=1), options, reverse)


@pytest.mark.parametrize(
    ("length", "width", "states", "dtype", "options", "reverse"),
    [
        (1, 1, 1, torch.float32, True, False),
        (3, 37, 16, torch.float32, True, True),
        (6, 5, 16, torch.float64, True, False),
        (5, 37, 1, torch.bfloat16, True, False),
        (5, 3, 4, torch.float16, False, True),
        (2, 3, 520, torch.float32, False, False),
    ],
    ids=str,
)
def test_tiles_of_channels_equal_the_equations(length, width, states, dtype, options, reverse):
    assert_equals_the_equations(*make(length, width, states, dtype, options), options, reverse)


@pytest.mark.parametrize("z", [-1e4, 1e4])
def test_gates_far_out_close_and_open(z):
    inputs, cotangents = make(1, 2, 1, torch.float32)
    assert_equals_the_equations((*inputs[:6], torch.full_like(inputs[6], z), *inputs[7:]), cotangents, True, False)


def test_two_runs_give_the_same_bits(chunks):
    inputs, cotangents = make(9, 3, 2, torch.float32, batch=1)
    first, second = ((*scan(*inputs, True, False), *scan_adjoint(*inputs, *cotangents, True, False)) for _ in range(2))
    assert all(torch.equal(x, y) for x, y in zip(first, second, strict=True))


def test_nan_stays_in_its_batch_row(chunks):
    (u, *rest), cotangents = make(11, 3, 2)
    poisoned = u.clone()
    poisoned[0, 9] = float("nan")
    y, _ = scan(poisoned, *rest, True, False)
    assert y[0, :9].isfinite().all()
    assert y[0, 9:].isnan().all()
    assert torch.equal(y[1], scan(u, *rest, True, False)[0][1])
    gradients = scan_adjoint(poisoned, *rest, *cotangents, True, False)
    assert all(gradients[i][1].isfinite().all() for i in (0, 1, 3, 4, 6, 8))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 3e-7), (torch.float64, 1e-15)], ids=str)
def test_softplus_keeps_its_relative_precision(dtype, tolerance):
    raw = torch.linspace(-80, 80, 161, dtype=dtype)[None, None]
    one, zero = torch.ones(1, 1, 1, dtype=dtype), torch.zeros(1, 161, 1, dtype=dtype)
    y, _ = scan(torch.ones_like(raw), raw, zero[0], one, one, None, None, None, zero, True, False)
    exact = softplus(raw.double(), threshold=1e9)
    assert ((y - exact) / exact).abs().max() <= tolerance


def test_time_is_cut_only_where_rows_are_few_and_time_is_long():
    assert chunk_length(programs=1536, length=32, multiprocessors=132) == 32
    assert chunk_length(programs=1536, length=100_000, multiprocessors=132) == 100_000
    assert chunk_length(programs=8, length=150, multiprocessors=132) == 150
    assert chunk_length(programs=1, length=1, multiprocessors=132) == 1
    for programs, length in ((8, 16_384), (64, 1023), (1, 100_001)):
        size = chunk_length(programs, length, 132)
        assert size % STEPS == 0
        assert 64 <= size < length / 2
