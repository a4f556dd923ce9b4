"""The long convolution equals the direct sum, on both sides of the length where it changes its method."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck
from torch.library import opcheck

from tsrec.kernels import _dispatch, fft_conv, fft_conv_reference, fft_conv_step
from tsrec.kernels.fft_conv import CHUNK_ELEMENTS, TAPS_MAX, _fast_length, _takes_taps

BACKENDS = ["reference", "numba"]
METHODS = {"taps": 10**9, "fft": 0}
LENGTHS = ((1, 1), (1, 5), (7, 3), (63, 63), (64, 70), (65, 65), (100, 30), (333, 50))


@pytest.fixture(params=METHODS)
def method(request, monkeypatch):
    """Both ways of computing, whatever the size."""
    for backend in TAPS_MAX:
        monkeypatch.setitem(TAPS_MAX, backend, METHODS[request.param])
    return request.param


def make(length, taps, channels=None, dtype=torch.float64):
    g = torch.Generator().manual_seed(length)
    u = torch.randn(2, length, 3, dtype=dtype, generator=g)
    K = torch.randn((3, taps) if channels is None else (3, channels, taps), dtype=dtype, generator=g)
    return u, K, torch.randn(K.shape[:-1], dtype=dtype, generator=g)


@pytest.mark.parametrize("backend", ["", *BACKENDS])
@pytest.mark.parametrize("channels", [None, 1, 3])
@pytest.mark.parametrize(("length", "taps"), LENGTHS)
@pytest.mark.usefixtures("method")
def test_outputs_and_gradients_equal_the_reference(monkeypatch, length, taps, channels, backend):
    monkeypatch.setenv("TSREC_BACKEND", backend)
    inputs = [x.requires_grad_() for x in make(length, taps, channels)]
    found, wanted = fft_conv(*inputs), fft_conv_reference(*inputs)
    assert found.shape == wanted.shape
    assert (found - wanted).abs().max() < 1e-12
    g = torch.randn_like(wanted)
    for x, y in zip(torch.autograd.grad(found, inputs, g), torch.autograd.grad(wanted, inputs, g), strict=True):
        assert (x - y).abs().max() < 1e-11


@pytest.mark.usefixtures("method")
def test_emulated_triton_kernels_equal_the_reference(monkeypatch):
    pytest.importorskip("triton")
    test_outputs_and_gradients_equal_the_reference(monkeypatch, 33, 30, 3, "triton")


@pytest.mark.usefixtures("method")
def test_gradcheck():
    u, K, D = (x.requires_grad_() for x in make(5, 3, 2))
    assert gradcheck(fft_conv, (u[:1], K, D))


@pytest.mark.usefixtures("method")
@pytest.mark.parametrize("which", [0, 1])
def test_one_gradient_alone_is_the_same(which):
    inputs = list(make(70, 70, 2))
    inputs[which].requires_grad_()
    g = torch.randn(2, 70, 3, 2, dtype=torch.float64)
    (found,) = torch.autograd.grad(fft_conv(*inputs), inputs[which], g)
    (wanted,) = torch.autograd.grad(fft_conv_reference(*inputs), inputs[which], g)
    assert (found - wanted).abs().max() < 1e-11


def test_a_batch_too_large_for_the_cache_is_transformed_in_parts(monkeypatch):
    monkeypatch.setitem(TAPS_MAX, "numba", 0)
    size, length, width = 5, 600, CHUNK_ELEMENTS // 1200
    u = torch.randn(size, length, width, dtype=torch.float64, requires_grad=True)
    K = torch.randn(width, length, dtype=torch.float64, requires_grad=True)
    found = fft_conv(u, K)
    monkeypatch.setitem(TAPS_MAX, "numba", 10**9)
    wanted = fft_conv(u, K)
    assert (found - wanted).abs().max() < 1e-10
    for x, y in zip(*(torch.autograd.grad(y.square().sum(), (u, K)) for y in (found, wanted)), strict=True):
        assert (x - y).abs().max() < 1e-10 * y.abs().max()


@pytest.mark.parametrize(
    ("length", "n_taps", "channels", "taps"),
    [(64, 64, 1, True), (336, 336, 1, True), (336, 336, 4, False), (512, 512, 1, False), (2048, 128, 1, True)],
)
def test_the_method_follows_from_the_products_per_output(monkeypatch, length, n_taps, channels, taps):
    monkeypatch.setenv("TSREC_BACKEND", "numba")
    assert _takes_taps(torch.empty(1, length, 2), torch.empty(2, channels, n_taps)) == taps


@settings(max_examples=30, deadline=None)
@given(length=st.integers(1, 150), by_taps=st.booleans(), data=st.data())
def test_outputs_before_a_changed_input_do_not_move(length, by_taps, data):
    u, K, D = make(length, length)
    start = data.draw(st.integers(0, length - 1))
    changed = u.clone()
    changed[:, start:] += 100 * torch.randn(2, length - start, 3, dtype=u.dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TAPS_MAX, "numba", METHODS["taps" if by_taps else "fft"])
        before, after = fft_conv(u, K, D)[:, :start], fft_conv(changed, K, D)[:, :start]
    if by_taps:
        assert torch.equal(before, after)
    else:  # the transform mixes all steps, so what remains is rounding of the large numbers
        assert start == 0 or (before - after).abs().max() < 1e-11


@pytest.mark.usefixtures("method")
def test_batch_rows_do_not_talk():
    u, K, _ = make(200, 200)
    other = u.clone()
    other[1] = float("nan")
    assert torch.equal(fft_conv(u, K)[0], fft_conv(other, K)[0])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.usefixtures("method")
def test_half_precision_is_computed_in_single(dtype):
    u, K, D = make(200, 200, dtype=torch.float32)
    u = u.to(dtype).requires_grad_()
    found = fft_conv(u, K, D)
    assert found.dtype == dtype
    exact = u.detach().double().requires_grad_()
    wanted = fft_conv_reference(exact, K.double(), D.double())
    assert (found.double() - wanted).abs().max() < 2 * torch.finfo(dtype).eps * wanted.abs().max()
    (du,) = torch.autograd.grad(found.sum(), u)
    assert du.dtype == dtype
    (wanted,) = torch.autograd.grad(wanted.sum(), exact)
    assert (du.double() - wanted).abs().max() < 2 * torch.finfo(dtype).eps * wanted.abs().max()


@pytest.mark.usefixtures("method")
def test_non_contiguous_input_gives_the_same():
    u, K, D = make(50, 50, 2)
    strided = u.transpose(1, 2).contiguous().transpose(1, 2)
    assert (fft_conv(strided, K.mT.contiguous().mT, D) - fft_conv(u, K, D)).abs().max() < 1e-13


@pytest.mark.parametrize("channels", [None, 2])
def test_steps_equal_the_whole(channels):
    u, K, D = make(12, 5, channels)
    state, steps = u.new_zeros(2, 4, 3), []
    for t in range(12):
        y, state = fft_conv_step(u[:, t], K, D, state)
        steps.append(y)
    assert (torch.stack(steps, 1) - fft_conv(u, K, D)).abs().max() < 1e-13
    assert torch.equal(state, u[:, -4:])


@pytest.mark.usefixtures("method")
def test_two_runs_agree_bit_for_bit():
    u, K, D = (x.requires_grad_() for x in make(120, 120, 2, torch.float32))
    runs = []
    for _ in range(2):
        y = fft_conv(u, K, D)
        runs.append((y, *torch.autograd.grad(y.square().sum(), (u, K, D))))
    assert all(torch.equal(a, b) for a, b in zip(*runs, strict=True))


@pytest.mark.usefixtures("method")
@pytest.mark.parametrize("channels", [None, 2])
def test_the_operators_keep_torchs_rules(channels):
    u, K, _ = make(9, 7, channels, torch.float32)
    opcheck(torch.ops.tsrec.fft_conv.default, (u.requires_grad_(), K.requires_grad_()))
    g = torch.randn(2, 9, 3, *K.shape[1:-1])
    for needs in ((True, True), (True, False), (False, True)):
        opcheck(torch.ops.tsrec.fft_conv_backward.default, (u.detach(), K.detach(), g, *needs))


@pytest.mark.usefixtures("method")
@pytest.mark.parametrize("channels", [None, 1, 2])
@pytest.mark.parametrize("length", [40, 100_000])  # the long one in memory that is kept for reuse
def test_results_can_be_changed_in_place(length, channels):
    u, K, D = (x.requires_grad_() for x in make(length, 3, channels, torch.float32))
    fft_conv(u, K, D).add_(1).sum().backward()
    u.grad.add_(1)
    K.grad.add_(1)


@pytest.mark.usefixtures("method")
@pytest.mark.parametrize("channels", [None, 2])
@pytest.mark.parametrize(("size", "width"), [(0, 3), (2, 0)])
def test_no_rows_and_no_channels_are_legal(size, width, channels):
    u = torch.zeros(size, 500, width, requires_grad=True)
    K = torch.zeros((width, 500) if channels is None else (width, channels, 500), requires_grad=True)
    y = fft_conv(u, K)
    assert y.shape == fft_conv_reference(u, K).shape
    y.sum().backward()
    assert u.grad.shape == u.shape
    assert torch.equal(K.grad, torch.zeros_like(K))


@pytest.mark.parametrize("dtype", [torch.int64, torch.complex64], ids=str)
@pytest.mark.parametrize("name", ["u", "K", "D"])
def test_other_dtypes_are_refused(name, dtype):
    tensors = {"u": torch.ones(1, 4, 2), "K": torch.ones(2, 3), "D": torch.ones(2)}
    tensors[name] = tensors[name].to(dtype)
    with pytest.raises(TypeError, match=f"{name} must be of a real floating dtype"):
        fft_conv(**tensors)


def test_an_empty_backend_variable_leaves_the_method_open(monkeypatch):
    monkeypatch.setattr(_dispatch, "choose", lambda *_: "reference")
    for value, taps in (("", False), ("reference", True)):
        monkeypatch.setenv("TSREC_BACKEND", value)
        assert _takes_taps(torch.empty(1, 9, 1), torch.empty(1, 1, 9)) == taps


def test_a_step_keeps_the_precision_of_its_input():
    u, K = torch.full((1, 2), 1 + 2**-12), torch.ones(2, 2)
    y, state = fft_conv_step(u, K, None, torch.zeros(1, 1, 2, dtype=torch.bfloat16))
    assert torch.equal(y, u)
    assert state.dtype == torch.bfloat16
    with pytest.raises(ValueError, match=r"state must have shape \(1, 1, 2\)"):
        fft_conv_step(u, K, None, torch.zeros(1, 2, 2))


def test_fast_length_is_smooth_even_and_never_too_short():
    for n in range(1, 700):
        m = _fast_length(n)
        assert n <= m <= max(2, 1.3 * n + 2)
        assert m % 2 == 0
        for p in (2, 3, 5):
            while m % p == 0:
                m //= p
        assert m == 1


@pytest.mark.parametrize(
    ("u", "K", "D", "message"),
    [
        ((2, 3), (3, 3), None, "u must have shape"),
        ((2, 3, 4), (3, 3), None, "K must have shape"),
        ((2, 3, 4), (4, 0, 3), None, "K must have shape"),
        ((2, 3, 4), (4, 2, 3), (4,), "D must have shape"),
    ],
)
def test_shapes_that_do_not_fit_are_named(u, K, D, message):
    with pytest.raises(ValueError, match=message):
        fft_conv(torch.zeros(u), torch.zeros(K), None if D is None else torch.zeros(D))
