"""The primitives in few plain operators, for graphs that leave torch: no kernels of ours, no loop over time.

A scan of L steps is log2(L) additions of shifted copies (Hillis and Steele 1986, Data Parallel Algorithms), a long
convolution is one grouped convolution. :func:`plain_operators` is the table that ``run_decompositions`` takes.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from tsrec.kernels import _dispatch
from tsrec.kernels.dilated_conv import _finish, _pad
from tsrec.kernels.selective_scan import _step_lengths

__all__ = ["plain_operators"]


def plain_operators() -> dict[Any, Callable[..., Any]]:
    """Tell what each primitive is made of.

    Returns
    -------
    dict
        From operators (those of this package, and ``aten::cummax``, which ONNX lacks) to functions of the same
        arguments, for ``torch.export.ExportedProgram.run_decompositions``.

    Examples
    --------
    >>> scan = plain_operators()[torch.ops.tsrec.linear_scan.default]
    >>> h, _ = scan(torch.full((1, 1, 1), 0.5), torch.ones(1, 3, 1), torch.zeros(1, 1), False)
    >>> h.flatten().tolist()
    [1.0, 1.5, 1.75]
    """
    return {
        torch.ops.tsrec.linear_scan.default: _linear_scan,
        torch.ops.tsrec.selective_scan.default: _selective_scan,
        torch.ops.tsrec.dilated_conv.default: _dilated_conv,
        torch.ops.tsrec.fft_conv.default: _fft_conv,
        torch.ops.aten.cummax.default: _cummax,
    }


def _linear_scan(a: Tensor, b: Tensor, h0: Tensor, reverse: bool) -> tuple[Tensor, Tensor]:
    dtype, length = h0.dtype, b.shape[1]
    decay, h = a.to(dtype), b.to(dtype)
    if reverse:
        decay, h = decay.flip(1), h.flip(1)
    h = _joined(h[:, :1] + decay[:, :1] * h0[:, None], h[:, 1:])
    is_constant, shift = decay.shape[1] == 1, 1
    while shift < length:
        # What each step knows of itself and those before is then twice as long.
        later = decay if is_constant else decay[:, shift:]
        h = _joined(h[:, :shift], h[:, shift:] + later * h[:, :-shift])
        decay = decay * decay if is_constant else _joined(decay[:, :shift], later * decay[:, :-shift])
        shift *= 2
    last = h[:, -1].clone()
    return (h.flip(1) if reverse else h).to(dtype if dtype.is_complex else b.dtype), last


def _joined(first: Tensor, rest: Tensor) -> Tensor:
    return torch.cat([first, rest], 1)


def _selective_scan(
    u: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    dt_bias: Tensor | None,
    h0: Tensor,
    softplus: bool,
    reverse: bool,
) -> tuple[Tensor, Tensor]:
    dtype = h0.dtype
    x, delta = u.to(dtype), _step_lengths(dt, dt_bias, dtype, softplus)
    decay = torch.exp(delta[..., None] * A.to(dtype))
    drive = (delta * x)[..., None] * B.to(dtype)[:, :, None]
    h, last = _linear_scan(decay.flatten(2), drive.flatten(2), h0.flatten(1), reverse)
    y = (h.unflatten(2, A.shape) * C.to(dtype)[:, :, None]).sum(-1)
    if D is not None:
        y = y + D.to(dtype) * x
    if z is not None:
        y = y * functional.silu(z.to(dtype))
    return y.to(u.dtype), last.unflatten(1, A.shape)


def _dilated_conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    residual: Tensor | None,
    initial: Tensor | None,
    dilation: int,
    offset: int,
    activation: str,
) -> Tensor:
    dtype = _dispatch.accumulation_dtype(x, weight, bias, residual, initial)
    padded = _pad(x, weight, initial, dilation, offset, dtype)
    shift = None if bias is None else bias.to(dtype)
    z = functional.conv1d(padded.mT, weight.to(dtype)[:, None], shift, dilation=dilation, groups=weight.shape[0]).mT
    return _finish(z, residual, activation).to(x.dtype)


def _fft_conv(u: Tensor, K: Tensor) -> Tensor:
    dtype = _dispatch.accumulation_dtype(u, K)
    n_taps, width = K.shape[-1], K.shape[0]
    taps = K.to(dtype).flip(-1).reshape(-1, 1, n_taps)
    y = functional.conv1d(functional.pad(u.to(dtype).mT, (n_taps - 1, 0)), taps, groups=width).mT
    return (y if K.ndim == 2 else y.unflatten(2, (width, -1))).to(u.dtype)


def _cummax(x: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Of numbers that are not NaN; of equals the last one is told."""
    length, shift = x.shape[dim], 1
    values = x.movedim(dim, 0)
    at = torch.arange(length, device=x.device).view(-1, *[1] * (x.ndim - 1)).expand(values.shape)
    while shift < length:
        earlier = torch.cat([values[:shift], values[:-shift]])
        is_larger = earlier > values
        at = torch.where(is_larger, torch.cat([at[:shift], at[:-shift]]), at)
        values = torch.where(is_larger, earlier, values)
        shift *= 2
    return values.movedim(0, dim), at.movedim(0, dim)
