"""Causal long convolution y[t] = sum_k K[k] u[t-k] + D u[t], by FFT when long and tap by tap when short."""

import os
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from tsrec.kernels import _dispatch

# Up to this length the direct sum on the CPU beats three transforms, backward included (benchmarks/kernels.py).
TAPS_MAX_LENGTH = 64


def fft_conv(u: Tensor, K: Tensor, D: Tensor | None = None) -> Tensor:
    """Convolve each channel causally with its own kernels.

    Half precision is computed in float32 (FFTs of half precision are restricted on GPUs and absent on CPUs), float64
    in float64. Kernel taps beyond the length of `u` cannot reach an output and are cut off first.

    Parameters
    ----------
    u : Tensor of shape (B, L, H)
        Input.
    K : Tensor of shape (H, L_k) or (H, M, L_k)
        Kernels, M per channel; tap k weighs the input k steps ago.
    D : Tensor of shape (H,) or (H, M), optional
        Weight of the direct path from u[t] to y[t].

    Returns
    -------
    Tensor of shape (B, L, H) or (B, L, H, M)
        In the dtype of `u`.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> u = torch.tensor([[[1.0], [0.0], [2.0]]])
    >>> fft_conv(u, torch.tensor([[1.0, 0.5]])).flatten().tolist()
    [1.0, 0.5, 2.0]
    """
    _check_shapes(u, K, D)
    length = u.shape[1]
    dtype = _dispatch.accumulation_dtype(u, K)
    backend = _dispatch.choose("fft_conv", u.device, dtype)
    if backend == "reference" and "TSREC_BACKEND" in os.environ:
        return fft_conv_reference(u, K, D)
    signal, kernel = u.to(dtype), K.to(dtype)[..., :length]
    by_taps = backend == "numba" and length <= TAPS_MAX_LENGTH
    with torch.autocast(u.device.type, enabled=False):
        y = (_by_taps if by_taps else _by_fft)(signal, kernel if K.ndim == 3 else kernel[:, None])
    return _finish(y if K.ndim == 3 else y[..., 0], signal, D).to(u.dtype)


def fft_conv_reference(u: Tensor, K: Tensor, D: Tensor | None = None) -> Tensor:
    """Sum the products directly, tap by tap: the meaning of :func:`fft_conv`, with the same parameters and result.

    Examples
    --------
    >>> u = torch.tensor([[[1.0], [0.0], [2.0]]])
    >>> fft_conv_reference(u, torch.tensor([[1.0, 0.5]])).flatten().tolist()
    [1.0, 0.5, 2.0]
    """
    _check_shapes(u, K, D)
    length = u.shape[1]
    dtype = _dispatch.accumulation_dtype(u, K)
    signal, kernel = u.to(dtype), K.to(dtype)[..., :length]
    y = torch.zeros((), dtype=dtype, device=u.device)
    for k in range(kernel.shape[-1]):
        shifted = functional.pad(signal, (0, 0, k, 0))[:, :length]
        y = y + (shifted * kernel[..., k] if K.ndim == 2 else shifted[..., None] * kernel[..., k])
    return _finish(y, signal, D).to(u.dtype)


def _finish(y: Tensor, signal: Tensor, D: Tensor | None) -> Tensor:
    if D is None:
        return y
    return y + (signal if y.ndim == 3 else signal[..., None]) * D.to(y.dtype)


def _by_fft(u: Tensor, K: Tensor) -> Tensor:
    """Multiply spectra of at least L + L_k - 1 points, so that nothing wraps around; K is (H, M, L_k)."""
    length = u.shape[1]
    n = _fast_length(length + K.shape[-1] - 1)
    spectrum = torch.fft.rfft(u.transpose(1, 2), n)[:, :, None] * torch.fft.rfft(K, n)
    return torch.fft.irfft(spectrum, n)[..., :length].permute(0, 3, 1, 2)


def _by_taps(u: Tensor, K: Tensor) -> Tensor:
    """Apply each tap to whole rows: the M kernels of a channel become M channels with the same input."""
    size, length, width = u.shape
    channels, n_taps = K.shape[1:]
    wide = u[..., None].expand(-1, -1, -1, channels).reshape(size, length, width * channels)
    y = _Taps.apply(wide, K.reshape(width * channels, n_taps).T)
    return y.view(size, length, width, channels)


class _Taps(torch.autograd.Function):
    """The direct sum with its adjoint: du correlates g with the taps, dtaps correlates g with u."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, taps: Tensor) -> Tensor:
        ctx.save_for_backward(u, taps)
        return _dispatch.load("numba_conv").conv(u, taps)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
        u, taps = ctx.saved_tensors
        kernels = _dispatch.load("numba_conv")
        du = kernels.conv(g, taps, reverse=True) if ctx.needs_input_grad[0] else None
        dtaps = kernels.conv_taps_gradient(u, g, taps.shape[0]) if ctx.needs_input_grad[1] else None
        return du, dtaps


def _fast_length(n: int) -> int:
    """Return the smallest even number of the form 2^i 3^j 5^k that is at least n."""
    best = 1 << max(n - 1, 1).bit_length()
    five = 1
    while five < best:
        three = five
        while three < best:
            # The even multiple by a power of two which first reaches n.
            doublings = max((-(-n // three) - 1).bit_length(), 1)
            best = min(best, three << doublings)
            three *= 3
        five *= 5
    return best


def _check_shapes(u: Tensor, K: Tensor, D: Tensor | None) -> None:
    if u.ndim != 3 or u.shape[1] < 1:
        raise ValueError(f"u must have shape (B, L, H) with L >= 1, got {tuple(u.shape)}.")
    if K.ndim not in (2, 3) or K.shape[0] != u.shape[2] or K.shape[-1] < 1:
        raise ValueError(
            f"K must have shape ({u.shape[2]}, L_k) or ({u.shape[2]}, M, L_k) to go with u of shape "
            f"{tuple(u.shape)}, got {tuple(K.shape)}."
        )
    if D is not None and D.shape != K.shape[:-1]:
        raise ValueError(f"D must have shape {tuple(K.shape[:-1])}, as K without its last axis, got {tuple(D.shape)}.")
