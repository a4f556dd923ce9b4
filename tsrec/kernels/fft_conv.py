"""Causal long convolution y[t] = sum_k K[k] u[t-k] + D u[t], by FFT when long and tap by tap when short."""

import os
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from tsrec.kernels import _dispatch, _memory, _ops
from tsrec.kernels.dilated_conv import _dilated_conv, _dilated_conv_backward

# Up to so many products per output the direct sum beats the transforms, forward and backward (benchmarks/kernels.py).
TAPS_MAX = {"numba": 200, "triton": 64}
# Inputs transformed at a time on a CPU.
CHUNK_ELEMENTS = 100_000


def fft_conv(u: Tensor, K: Tensor, D: Tensor | None = None) -> Tensor:
    """Convolve each channel causally with its own kernels.

    Half precision is computed in float32 (FFTs of half precision are restricted on GPUs and absent on CPUs), float64
    in float64. Kernel taps beyond the length of `u` cannot reach an output and are cut off first. By FFT a NaN spoils
    all steps of its channel and batch row, earlier ones too; tap by tap it spoils none before its own.

    There are first derivatives by ``backward`` and ``torch.autograd.grad`` only (``torch.func.grad`` raises,
    ``torch.func.jvp`` would give zeros); :func:`fft_conv_reference` supports all of torch's transforms.

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
    TypeError
        If a tensor is not of a real floating dtype.

    Examples
    --------
    >>> u = torch.tensor([[[1.0], [0.0], [2.0]]])
    >>> fft_conv(u, torch.tensor([[1.0, 0.5]])).flatten().tolist()
    [1.0, 0.5, 2.0]
    """
    _check(u, K, D)
    kernel = K.to(_dispatch.accumulation_dtype(u, K))[..., : u.shape[1]]
    if D is not None:
        # The direct path is the tap of the present step.
        kernel = kernel + functional.pad(D.to(kernel.dtype)[..., None], (0, kernel.shape[-1] - 1))
    return _op(u, kernel)


def fft_conv_reference(u: Tensor, K: Tensor, D: Tensor | None = None) -> Tensor:
    """Sum the products directly, tap by tap: the meaning of :func:`fft_conv`, with the same parameters and result.

    Examples
    --------
    >>> u = torch.tensor([[[1.0], [0.0], [2.0]]])
    >>> fft_conv_reference(u, torch.tensor([[1.0, 0.5]])).flatten().tolist()
    [1.0, 0.5, 2.0]
    """
    _check(u, K, D)
    length = u.shape[1]
    dtype = _dispatch.accumulation_dtype(u, K)
    signal, kernel = u.to(dtype), K.to(dtype)[..., :length]
    y = torch.zeros((), dtype=dtype, device=u.device)
    for k in range(kernel.shape[-1]):
        shifted = functional.pad(signal, (0, 0, k, 0))[:, :length]
        y = y + (shifted * kernel[..., k] if K.ndim == 2 else shifted[..., None] * kernel[..., k])
    return _add_direct(y, signal, D).to(u.dtype)


def fft_conv_step(u_t: Tensor, K: Tensor, D: Tensor | None, state: Tensor) -> tuple[Tensor, Tensor]:
    """Compute one step.

    Parameters
    ----------
    u_t : Tensor of shape (B, H)
        Input of this step.
    K, D
        As in :func:`fft_conv`.
    state : Tensor of shape (B, L_k - 1, H)
        The inputs before this step, oldest first; zeros at the start. Left untouched.

    Returns
    -------
    y_t : Tensor of shape (B, H) or (B, H, M)
        In the dtype of `u_t`.
    state : Tensor of shape (B, L_k - 1, H)
        The inputs before the next step.

    Raises
    ------
    ValueError, TypeError
        If shapes or dtypes do not fit.

    Examples
    --------
    >>> y, state = fft_conv_step(torch.ones(1, 1), torch.tensor([[1.0, 0.5]]), None, torch.zeros(1, 1, 1))
    >>> y.item(), state.item()
    (1.0, 1.0)
    """
    if u_t.ndim != 2:
        raise ValueError(f"u_t must have shape (B, H), got {tuple(u_t.shape)}.")
    _check(u_t[:, None], K, D)
    wanted = (u_t.shape[0], K.shape[-1] - 1, u_t.shape[1])
    if state.shape != wanted:
        raise ValueError(f"state must have shape {wanted}, got {tuple(state.shape)}.")
    dtype = _dispatch.accumulation_dtype(u_t, K, state)
    inputs = torch.cat((state.to(dtype), u_t[:, None].to(dtype)), 1)
    signal, taps = inputs.transpose(1, 2), K.to(dtype).flip(-1)
    y = (signal * taps).sum(-1) if K.ndim == 2 else (signal[:, :, None] * taps).sum(-1)
    return _add_direct(y, inputs[:, -1], D).to(u_t.dtype), inputs[:, 1:].to(state.dtype)


def _add_direct(y: Tensor, signal: Tensor, D: Tensor | None) -> Tensor:
    if D is None:
        return y
    return y + (signal if y.ndim == signal.ndim else signal[..., None]) * D.to(y.dtype)


def _fft_conv(u: Tensor, K: Tensor) -> Tensor:
    """Convolve u (B, L, H) with K (H, L_k) or (H, M, L_k), L_k <= L, without a direct path."""
    shape, kernels = u.shape + K.shape[1:-1], _by_channel(K)
    if u.numel() == 0:
        return u.new_empty(shape)
    if not _takes_taps(u, kernels):
        return _by_fft(u, kernels, shape)
    wide, taps = _widened(u, kernels)
    y = _dilated_conv(wide, taps, None, None, None, 1, 1 - K.shape[-1], "none")
    return _shaped(y, shape)


def _fft_conv_fake(u: Tensor, K: Tensor) -> Tensor:
    return u.new_empty(u.shape + K.shape[1:-1])


def _fft_conv_backward(u: Tensor, K: Tensor, g: Tensor, need_u: bool, need_K: bool) -> tuple[Tensor, Tensor]:
    """Correlate: du[t] = sum_k K[k] g[t+k], dK[k] = sum_{b,t} g[t] u[t-k]; empty where not needed."""
    kernels = _by_channel(K)
    if u.numel() == 0:
        du, dK = u.new_empty(u.shape), K.new_zeros(kernels.shape)
    elif _takes_taps(u, kernels):
        du, dK = _taps_adjoint(u, kernels, g)
    else:
        du, dK = _fft_adjoint(u, kernels, g.view(*u.shape, -1), need_u, need_K)
    return (du if need_u else u.new_empty(0)), (_shaped(dK, K.shape) if need_K else K.new_empty(0))


def _fft_conv_backward_fake(u: Tensor, K: Tensor, g: Tensor, need_u: bool, need_K: bool) -> tuple[Tensor, Tensor]:
    return u.new_empty(u.shape if need_u else (0,)), K.new_empty(K.shape if need_K else (0,))


def _by_channel(K: Tensor) -> Tensor:
    """Return K with its axis M."""
    return K if K.ndim == 3 else K[:, None]


def _shaped(result: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Give a result its shape; as a view of it, autograd would refuse to change it in place."""
    return result if result.shape == shape else torch.ops.aten._unsafe_view(result, shape)


def _setup(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
    need_u, need_K = ctx.needs_input_grad
    du, dK = _op_backward(*ctx.saved_tensors, g, need_u, need_K)
    return du if need_u else None, dK if need_K else None


def _takes_taps(u: Tensor, K: Tensor) -> bool:
    backend = _dispatch.choose("fft_conv", u.device, _dispatch.accumulation_dtype(u, K))
    if backend == "reference":
        # Asked for, it is the direct sum; as the only one left it leaves the choice of the method open.
        return bool(os.environ.get("TSREC_BACKEND"))
    _, channels, n_taps = K.shape
    # The first steps reach fewer taps; the kernels of a channel share one transform of the input.
    products = n_taps * (1 - (n_taps - 1) / (2 * u.shape[1]))
    return products <= TAPS_MAX[backend] * (1 + 1 / channels) / 2


def _widened(u: Tensor, K: Tensor) -> tuple[Tensor, Tensor]:
    """Make the M kernels of a channel M channels with the same input, and order taps by time."""
    size, length, width = u.shape
    channels, n_taps = K.shape[1:]
    wide = u[..., None].expand(-1, -1, -1, channels).reshape(size, length, width * channels)
    return wide, K.flip(-1).reshape(width * channels, n_taps)


def _taps_adjoint(u: Tensor, K: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
    wide, taps = _widened(u, K)
    flat = g.reshape(wide.shape)
    dwide, dtaps, _, _ = _dilated_conv_backward(wide, taps, None, None, flat, 1, 1 - K.shape[-1], "none")
    du = dwide if K.shape[1] == 1 else dwide.view(*u.shape, -1).sum(-1)
    return du, dtaps.view(K.shape).flip(-1)


def _by_fft(u: Tensor, K: Tensor, shape: torch.Size) -> Tensor:
    """Multiply spectra of at least L + L_k - 1 points, so that nothing wraps around."""
    dtype, length = _dispatch.accumulation_dtype(u, K), u.shape[1]
    n = _fast_length(length + K.shape[-1] - 1)
    y = _memory.empty(shape, u.dtype, u.device)
    parts = y.view(*u.shape, -1)
    K_hat = torch.fft.rfft(K.to(dtype), n)
    for rows in _chunks(u):
        product = _spectrum(u[rows, ..., None], dtype, n) * K_hat
        parts[rows] = torch.fft.irfft(product, n)[..., :length].permute(0, 3, 1, 2)
    return y


def _fft_adjoint(u: Tensor, K: Tensor, g: Tensor, need_u: bool, need_K: bool) -> tuple[Tensor, Tensor]:
    dtype, length = _dispatch.accumulation_dtype(u, K), u.shape[1]
    n = _fast_length(length + K.shape[-1] - 1)
    du = _memory.empty(u.shape, u.dtype, u.device)
    K_hat = torch.fft.rfft(K.to(dtype), n)
    dK_hat = torch.zeros_like(K_hat)
    for rows in _chunks(u):
        g_hat = _spectrum(g[rows], dtype, n)
        # conj() is lazy, and inside an operator of a compiled graph torch would forget it.
        if need_u:
            du[rows] = torch.fft.irfft((g_hat * K_hat.conj_physical()).sum(2), n)[..., :length].transpose(1, 2)
        if need_K:
            dK_hat += (g_hat * _spectrum(u[rows, ..., None], dtype, n).conj_physical()).sum(0)
    return du, torch.fft.irfft(dK_hat, n)[..., : K.shape[-1]].to(K.dtype).clone(memory_format=torch.contiguous_format)


def _spectrum(signal: Tensor, dtype: torch.dtype, n: int) -> Tensor:
    """Transform (B, L, H, M) along time: (B, H, M, n / 2 + 1)."""
    return torch.fft.rfft(signal.to(dtype).permute(0, 2, 3, 1), n)


def _chunks(u: Tensor) -> list[slice]:
    """Split the batch on a CPU so that the spectra of a part stay in cache."""
    size, length, width = u.shape
    count = max(1, CHUNK_ELEMENTS // (length * width)) if u.device.type == "cpu" else max(1, size)
    return [slice(start, start + count) for start in range(0, size, count)]


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


def _check(u: Tensor, K: Tensor, D: Tensor | None) -> None:
    if u.ndim != 3 or u.shape[1] < 1:
        raise ValueError(f"u must have shape (B, L, H) with L >= 1, got {tuple(u.shape)}.")
    if K.ndim not in (2, 3) or K.shape[0] != u.shape[2] or 0 in K.shape[1:]:
        raise ValueError(
            f"K must have shape ({u.shape[2]}, L_k) or ({u.shape[2]}, M, L_k) to go with u of shape "
            f"{tuple(u.shape)}, got {tuple(K.shape)}."
        )
    if D is not None and D.shape != K.shape[:-1]:
        raise ValueError(f"D must have shape {tuple(K.shape[:-1])}, as K without its last axis, got {tuple(D.shape)}.")
    _dispatch.check_floating(u=u, K=K, D=D)


_op = _ops.register(_fft_conv, _fft_conv_fake, _setup, _backward)
_op_backward = _ops.register(_fft_conv_backward, _fft_conv_backward_fake)
