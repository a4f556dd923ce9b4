"""The long convolution equals the direct sum, on both sides of the length where it changes its method."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck

from tsrec.kernels import fft_conv, fft_conv_reference
from tsrec.kernels.fft_conv import TAPS_MAX_LENGTH, _fast_length

LENGTHS = ((1, 1), (1, 5), (7, 3), (63, 63), (TAPS_MAX_LENGTH, 70), (TAPS_MAX_LENGTH + 1, 65), (100, 300), (333, 100))


def make(length, taps, channels=None, dtype=torch.float64):
    g = torch.Generator().manual_seed(length)
    u = torch.randn(2, length, 3, dtype=dtype, generator=g)
    K = torch.randn((3, taps) if channels is None else (3, channels, taps), dtype=dtype, generator=g)
    return u, K, torch.randn(K.shape[:-1], dtype=dtype, generator=g)


@pytest.mark.parametrize("backend", ["", "numba", "reference"])
@pytest.mark.parametrize("channels", [None, 1, 3])
@pytest.mark.parametrize(("length", "taps"), LENGTHS)
def test_outputs_and_gradients_equal_the_reference(monkeypatch, length, taps, channels, backend):
    monkeypatch.setenv("TSREC_BACKEND", backend)
    inputs = [x.requires_grad_() for x in make(length, taps, channels)]
    found, wanted = fft_conv(*inputs), fft_conv_reference(*inputs)
    assert found.shape == wanted.shape
    assert (found - wanted).abs().max() < 1e-12
    g = torch.randn_like(wanted)
    for x, y in zip(torch.autograd.grad(found, inputs, g), torch.autograd.grad(wanted, inputs, g), strict=True):
        assert (x - y).abs().max() < 1e-11


@pytest.mark.parametrize("length", [5, TAPS_MAX_LENGTH + 1])
def test_gradcheck(length):
    u, K, D = (x.requires_grad_() for x in make(length, 3, 2))
    assert gradcheck(fft_conv, (u[:1], K, D), fast_mode=length > 5)


@settings(max_examples=30, deadline=None)
@given(length=st.integers(1, 150), data=st.data())
def test_outputs_before_a_changed_input_do_not_move(length, data):
    u, K, D = make(length, length)
    start = data.draw(st.integers(0, length - 1))
    changed = u.clone()
    changed[:, start:] += 100 * torch.randn(2, length - start, 3, dtype=u.dtype)
    before, after = fft_conv(u, K, D)[:, :start], fft_conv(changed, K, D)[:, :start]
    if length <= TAPS_MAX_LENGTH:
        assert torch.equal(before, after)
    else:  # the transform mixes all steps, so what remains is rounding of the large numbers
        assert start == 0 or (before - after).abs().max() < 1e-11


@pytest.mark.parametrize("length", [33, 200])
def test_batch_rows_do_not_talk(length):
    u, K, _ = make(length, length)
    other = u.clone()
    other[1] = torch.randn(length, 3, dtype=u.dtype)
    assert torch.equal(fft_conv(u, K)[0], fft_conv(other, K)[0])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("length", [33, 200])
def test_half_precision_is_computed_in_single(dtype, length):
    u, K, D = make(length, length, dtype=torch.float32)
    found = fft_conv(u.to(dtype), K, D)
    assert found.dtype == dtype
    wanted = fft_conv_reference(u.to(dtype).double(), K.double(), D.double())
    assert (found.double() - wanted).abs().max() < 2 * torch.finfo(dtype).eps * wanted.abs().max()


def test_non_contiguous_input_gives_the_same():
    u, K, D = make(50, 50, 2)
    strided = u.transpose(1, 2).contiguous().transpose(1, 2)
    assert (fft_conv(strided, K.mT.contiguous().mT, D) - fft_conv(u, K, D)).abs().max() < 1e-14


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
        ((2, 3, 4), (4, 2, 3), (4,), "D must have shape"),
    ],
)
def test_shapes_that_do_not_fit_are_named(u, K, D, message):
    with pytest.raises(ValueError, match=message):
        fft_conv(torch.zeros(u), torch.zeros(K), None if D is None else torch.zeros(D))
