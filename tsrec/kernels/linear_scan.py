"""Diagonal linear recurrence h[t] = a[t] h[t-1] + b[t], forward and backward in time, real and complex.

The pair (a, b) composes associatively, (a2, b2) after (a1, b1) = (a1 a2, a2 b1 + b2), which is why the literature
calls it a scan (Martin and Cundy 2018, arXiv 1709.04057; Smith et al. 2023, arXiv 2208.04933). On a CPU one pass in
order of time is limited by memory bandwidth only, so that is what the fast path does.
"""

from typing import Any

import torch
from torch import Tensor

from tsrec.kernels import _dispatch, _ops


def linear_scan(a: Tensor, b: Tensor, h0: Tensor | None = None, *, reverse: bool = False) -> tuple[Tensor, Tensor]:
    """Compute h[t] = a[t] h[t-1] + b[t] along the middle axis.

    Half precision is accumulated in float32; the gradient of `a` then uses `h` as it was returned, rounded. ``a`` is
    used as it is given, never expanded: a constant decay costs neither memory nor bandwidth. First derivatives of all
    three inputs are available, also those of the last state, by ``backward`` and ``torch.autograd.grad`` only
    (``torch.func.grad`` raises, ``torch.func.jvp`` would give zeros); :func:`linear_scan_reference` supports all of
    torch's transforms.

    Parameters
    ----------
    a : Tensor of shape (D,), (1, 1, D), (B, 1, D), (1, L, D) or (B, L, D)
        Decay per step. Any finite value: 0 resets the state, a modulus above 1 grows.
    b : Tensor of shape (B, L, D)
        Input, L >= 1.
    h0 : Tensor of shape (B, D), optional
        State before the first step. Zeros when omitted.
    reverse : bool, default False
        Run from the last step to the first: h[t] = a[t] h[t+1] + b[t].

    Returns
    -------
    h : Tensor of shape (B, L, D)
        In the dtype of `b` (complex if any input is).
    h_last : Tensor of shape (B, D)
        The state after the last step computed, in the accumulation dtype (at least single precision). Give it as
        `h0` to the next call to continue the sequence.

    Raises
    ------
    ValueError
        If the shapes do not fit, or L is 0.
    TypeError
        If a tensor is neither of a floating nor of a complex dtype.

    Examples
    --------
    >>> h, h_last = linear_scan(torch.tensor([0.5]), torch.ones(1, 3, 1))
    >>> h.flatten().tolist(), h_last.item()
    ([1.0, 1.5, 1.75], 1.75)
    """
    _check(a, b, h0)
    dtype = _dispatch.accumulation_dtype(a, b, h0)
    wanted = torch.promote_types(b.dtype, dtype) if dtype.is_complex else b.dtype
    if dtype != torch.float32:
        # The casts stand outside the operator, so autograd undoes them: the gradient of a real decay stays real.
        a, b = a.to(dtype), b.to(dtype)
    state = b.new_zeros(b.shape[0], b.shape[2], dtype=dtype) if h0 is None else h0.to(dtype)
    h, h_last = _op(a.reshape(1, 1, -1) if a.ndim == 1 else a, b, state, reverse)
    return h.to(wanted), h_last


def linear_scan_reference(
    a: Tensor, b: Tensor, h0: Tensor | None = None, *, reverse: bool = False
) -> tuple[Tensor, Tensor]:
    """Compute the same one step at a time in plain torch: the meaning of :func:`linear_scan`.

    Parameters and results are those of :func:`linear_scan`; autograd differentiates it to any order.

    Examples
    --------
    >>> h, _ = linear_scan_reference(torch.tensor([0.5]), torch.ones(1, 3, 1), reverse=True)
    >>> h.flatten().tolist()
    [1.75, 1.5, 1.0]
    """
    _check(a, b, h0)
    dtype = _dispatch.accumulation_dtype(a, b, h0)
    h = b.new_zeros(b.shape[0], b.shape[2], dtype=dtype) if h0 is None else h0.to(dtype)
    # One unbind instead of L subscripts: the gradient of each subscript would be a tensor of full size.
    decays, inputs = a.to(dtype).expand(b.shape).unbind(1), b.to(dtype).unbind(1)
    steps = []
    for t in _order(b.shape[1], reverse):
        h = decays[t] * h + inputs[t]
        steps.append(h)
    if reverse:
        steps.reverse()
    out = torch.stack(steps, dim=1)
    return out.to(dtype if dtype.is_complex else b.dtype), h


def linear_scan_step(a: Tensor, b: Tensor, h: Tensor) -> Tensor:
    """Advance the recurrence by one step.

    Parameters
    ----------
    a : Tensor of shape (D,) or (B, D)
        Decay of this step.
    b : Tensor of shape (B, D)
        Input of this step.
    h : Tensor of shape (B, D)
        State before the step, as returned by :func:`linear_scan`.

    Returns
    -------
    Tensor of shape (B, D)
        State after the step, in the accumulation dtype.

    Examples
    --------
    >>> linear_scan_step(torch.tensor([0.5]), torch.ones(1, 1), torch.ones(1, 1)).item()
    1.5
    """
    dtype = _dispatch.accumulation_dtype(a, b, h)
    return a.to(dtype) * h.to(dtype) + b.to(dtype)


def _linear_scan(a: Tensor, b: Tensor, h0: Tensor, reverse: bool) -> tuple[Tensor, Tensor]:
    backend = _dispatch.choose("linear_scan", b.device, h0.dtype)
    if backend != "reference":
        return _dispatch.load(f"{backend}_scan").scan(a, b, h0, reverse)
    h, h_last = linear_scan_reference(a, b, h0, reverse=reverse)
    return h, h_last.clone()  # L = 1 would return one memory twice


def _linear_scan_fake(a: Tensor, b: Tensor, h0: Tensor, reverse: bool) -> tuple[Tensor, Tensor]:
    return b.new_empty(b.shape), h0.new_empty(h0.shape)


def _linear_scan_backward(
    a: Tensor, h: Tensor, h0: Tensor, g: Tensor, g_last: Tensor, reverse: bool, need_a: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Scan the cotangents: the same recurrence reversed and shifted by one.

    For cotangents g of h and g_last of h_last: lam[t] = g[t] + conj(a[t+1]) lam[t+1] with lam[L-1] = g[L-1] + g_last;
    db = lam, da[t] = lam[t] conj(h[t-1]), dh0 = conj(a[0]) lam[0]. da is empty where it is not needed.
    """
    backend = _dispatch.choose("linear_scan", h.device, h0.dtype)
    if backend != "reference":
        da, db, dh0 = _dispatch.load(f"{backend}_scan").scan_adjoint(a, h, h0, g, g_last, reverse, need_a)
    else:
        da, db, dh0 = _adjoint_reference(a.to(h0.dtype), h.to(h0.dtype), h0, g.to(h0.dtype), g_last, reverse)
    da = da.sum_to_size(a.shape).to(a.dtype) if need_a else a.new_empty(0)
    return da, db.to(h.dtype), dh0


def _linear_scan_backward_fake(
    a: Tensor, h: Tensor, h0: Tensor, g: Tensor, g_last: Tensor, reverse: bool, need_a: bool
) -> tuple[Tensor, Tensor, Tensor]:
    return a.new_empty(a.shape if need_a else (0,)), h.new_empty(h.shape), h0.new_empty(h0.shape)


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    a, _, h0, ctx.reverse = inputs
    ctx.save_for_backward(a, output[0], h0)


def _backward(ctx: Any, g: Tensor, g_last: Tensor) -> tuple[Tensor | None, Tensor, Tensor, None]:
    need_a = ctx.needs_input_grad[0]
    da, db, dh0 = _op_backward(*ctx.saved_tensors, g, g_last, ctx.reverse, need_a)
    return da if need_a else None, db, dh0, None


def _adjoint_reference(
    a: Tensor, h: Tensor, h0: Tensor, g: Tensor, g_last: Tensor, reverse: bool
) -> tuple[Tensor, Tensor, Tensor]:
    # conj() is lazy, and inside an operator of a compiled graph torch may forget it.
    decay = a.expand(h.shape).conj_physical()
    db = torch.empty_like(h)
    carry = g_last
    for t in reversed(_order(h.shape[1], reverse)):
        db[:, t] = g[:, t] + carry
        carry = decay[:, t] * db[:, t]
    before = torch.cat((h[:, 1:], h0[:, None]), 1) if reverse else torch.cat((h0[:, None], h[:, :-1]), 1)
    return db * before.conj_physical(), db, carry


def _order(length: int, reverse: bool) -> range:
    return range(length - 1, -1, -1) if reverse else range(length)


def _check(a: Tensor, b: Tensor, h0: Tensor | None) -> None:
    _dispatch.check_floating(complex_too=True, a=a, b=b, h0=h0)
    if b.ndim != 3 or b.shape[1] < 1:
        raise ValueError(f"b must have shape (B, L, D) with L >= 1, got {tuple(b.shape)}.")
    size, length, width = b.shape
    fits = a.shape == (width,) or (
        a.ndim == 3 and a.shape[0] in (1, size) and a.shape[1] in (1, length) and a.shape[2] == width
    )
    if not fits:
        raise ValueError(
            f"a must have shape ({width},) or (1 or {size}, 1 or {length}, {width}) to go with b of shape "
            f"{tuple(b.shape)}, got {tuple(a.shape)}."
        )
    if h0 is not None and h0.shape != (size, width):
        raise ValueError(f"h0 must have shape ({size}, {width}), got {tuple(h0.shape)}.")


_op = _ops.register(_linear_scan, _linear_scan_fake, _setup, _backward)
_op_backward = _ops.register(_linear_scan_backward, _linear_scan_backward_fake)
