"""Dilated depthwise convolution with bias, activation and residual in one pass over the sequence.

z[t] = bias + sum_{k<K} weight[:, k] x[t - (K-1-k) dilation] per channel, y = act(z) + residual: the building block of
temporal convolution networks (Bai et al. 2018, arXiv 1803.01271) and, with K = 4 and SiLU, the short convolution of
Mamba (Gu and Dao 2023, arXiv 2312.00752). The layout (B, L, D) is that of the scans, so nothing is transposed.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from tsrec.kernels import _dispatch, _ops

ACTIVATIONS = (None, "silu", "relu")


def dilated_conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    dilation: int = 1,
    causal: bool = True,
    reverse: bool = False,
    activation: str | None = None,
    residual: Tensor | None = None,
    initial: Tensor | None = None,
) -> Tensor:
    """Convolve each channel with its own K taps and return act(z) + residual.

    Half precision is accumulated in float32. First derivatives of all tensors are available.

    Parameters
    ----------
    x : Tensor of shape (B, L, D)
        Input, L >= 1.
    weight : Tensor of shape (D, K)
        Taps; the last one weighs the present step, those before it steps further and further back.
    bias : Tensor of shape (D,), optional
        Added to z.
    dilation : int, default 1
        Steps between neighbouring taps.
    causal : bool, default True
        Read the present and the past. If False the taps lie symmetrically around the present, and K must be odd.
    reverse : bool, default False
        Causal as seen from the end: z[t] reads x[t + (K-1-k) dilation], the present and the future.
    activation : {None, "silu", "relu"}, default None
        Applied to z.
    residual : Tensor of shape (B, L, D), optional
        Added after the activation, often `x` itself.
    initial : Tensor of shape (B, (K-1) dilation, D), optional
        The inputs before the first step, oldest first; zeros when omitted. Only for the causal form.

    Returns
    -------
    Tensor of shape (B, L, D)
        In the dtype of `x`.

    Raises
    ------
    ValueError
        If shapes do not fit, or options do not go together.
    TypeError
        If a tensor is not of a floating dtype.

    Examples
    --------
    >>> x = torch.tensor([[[1.0], [2.0], [4.0]]])
    >>> dilated_conv(x, torch.tensor([[10.0, 1.0]]), dilation=2, residual=x).flatten().tolist()
    [2.0, 4.0, 18.0]
    """
    _check(x, weight, bias, residual, initial, dilation, causal, reverse, activation)
    taps, offset = _placed(weight, dilation, causal, reverse)
    return _op(x, taps, bias, residual, initial, dilation, offset, activation or "none")


def dilated_conv_reference(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    dilation: int = 1,
    causal: bool = True,
    reverse: bool = False,
    activation: str | None = None,
    residual: Tensor | None = None,
    initial: Tensor | None = None,
) -> Tensor:
    """Add up shifted copies of the input in plain torch: the meaning of :func:`dilated_conv`.

    Parameters and result are those of :func:`dilated_conv`; autograd differentiates it to any order.

    Examples
    --------
    >>> x = torch.tensor([[[1.0], [2.0], [4.0]]])
    >>> dilated_conv_reference(x, torch.tensor([[10.0, 1.0]]), reverse=True).flatten().tolist()
    [21.0, 42.0, 4.0]
    """
    _check(x, weight, bias, residual, initial, dilation, causal, reverse, activation)
    taps, offset = _placed(weight, dilation, causal, reverse)
    return _shift_and_add(x, taps, bias, residual, initial, dilation, offset, activation or "none")


def dilated_conv_step(
    x_t: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    state: Tensor,
    *,
    dilation: int = 1,
    activation: str | None = None,
    residual: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Compute one step of the causal form.

    Parameters
    ----------
    x_t : Tensor of shape (B, D)
        Input of this step.
    weight, bias, dilation, activation
        As in :func:`dilated_conv`.
    state : Tensor of shape (B, (K-1) dilation, D)
        The inputs before this step, oldest first: :func:`dilated_conv_state`, or zeros at the start. Left untouched.
    residual : Tensor of shape (B, D), optional
        Added after the activation.

    Returns
    -------
    y_t : Tensor of shape (B, D)
        In the dtype of `x_t`.
    state : Tensor of shape (B, (K-1) dilation, D)
        The inputs before the next step.

    Examples
    --------
    >>> y, state = dilated_conv_step(torch.ones(1, 1), torch.tensor([[10.0, 1.0]]), None, torch.full((1, 1, 1), 2.0))
    >>> y.item(), state.item()
    (21.0, 1.0)
    """
    dtype = _dispatch.accumulation_dtype(x_t, weight, bias, residual)
    inputs = torch.cat((state, x_t[:, None].to(state.dtype)), 1)
    z = (inputs[:, ::dilation].to(dtype) * weight.T.to(dtype)).sum(1)
    z = z if bias is None else z + bias.to(dtype)
    return _finish(z, residual, activation or "none").to(x_t.dtype), inputs[:, 1:]


def dilated_conv_state(x: Tensor, kernel_size: int, dilation: int = 1, initial: Tensor | None = None) -> Tensor:
    """Return the inputs that the step after `x` reads.

    Parameters
    ----------
    x : Tensor of shape (B, L, D)
        The sequence so far.
    kernel_size, dilation : int
        K and the steps between its taps.
    initial : Tensor of shape (B, (K-1) dilation, D), optional
        What stood before `x`; zeros when omitted.

    Returns
    -------
    Tensor of shape (B, (K-1) dilation, D)
        For `initial` of :func:`dilated_conv` or `state` of :func:`dilated_conv_step`.

    Examples
    --------
    >>> dilated_conv_state(torch.ones(1, 1, 1), 3).flatten().tolist()
    [0.0, 1.0]
    """
    reach = (kernel_size - 1) * dilation
    missing = reach - x.shape[1]
    if missing <= 0:
        return x[:, -missing:].clone()  # a view would keep all of x alive
    before = x.new_zeros(x.shape[0], missing, x.shape[2]) if initial is None else initial[:, reach - missing :]
    return torch.cat((before.to(x.dtype), x), 1)


def _placed(weight: Tensor, dilation: int, causal: bool, reverse: bool) -> tuple[Tensor, int]:
    """Return taps and offset such that tap k reads x[t + offset + k dilation]."""
    if reverse:
        return weight.flip(1), 0
    reach = (weight.shape[1] - 1) * dilation
    return weight, -reach if causal else -(reach // 2)


def _shift_and_add(
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
    z = _preactivate(_pad(x, weight, initial, dilation, offset, dtype), weight, bias, x.shape[1], dilation)
    return _finish(z, residual, activation).to(x.dtype).contiguous()


def _pad(x: Tensor, weight: Tensor, initial: Tensor | None, dilation: int, offset: int, dtype: torch.dtype) -> Tensor:
    """Lengthen x so that tap k of step t reads t + k dilation."""
    after = (weight.shape[1] - 1) * dilation + offset
    if initial is None:
        return functional.pad(x.to(dtype), (0, 0, -offset, after))
    return torch.cat((initial.to(dtype), x.to(dtype)), 1)


def _preactivate(padded: Tensor, weight: Tensor, bias: Tensor | None, length: int, dilation: int) -> Tensor:
    taps = weight.to(padded.dtype)
    z = padded.new_zeros(padded.shape[2]) if bias is None else bias.to(padded.dtype)
    for k in range(weight.shape[1]):
        z = z + taps[:, k] * padded[:, k * dilation : k * dilation + length]
    return z


def _finish(z: Tensor, residual: Tensor | None, activation: str) -> Tensor:
    if activation != "none":
        z = functional.silu(z) if activation == "silu" else functional.relu(z)
    return z if residual is None else z + residual.to(z.dtype)


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
    backend = _dispatch.choose("dilated_conv", x.device, dtype)
    compute = _shift_and_add if backend == "reference" else _dispatch.load(f"{backend}_conv").conv
    return compute(x, weight, bias, residual, initial, dilation, offset, activation)


def _dilated_conv_fake(x: Tensor, *others: Any) -> Tensor:
    return x.new_empty(x.shape)


def _dilated_conv_backward(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    initial: Tensor | None,
    g: Tensor,
    dilation: int,
    offset: int,
    activation: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the gradients of x, weight, bias and initial; empty where these were not given."""
    dtype = _dispatch.accumulation_dtype(x, weight, bias, initial)
    backend = _dispatch.choose("dilated_conv", x.device, dtype)
    adjoint = _adjoint_reference if backend == "reference" else _dispatch.load(f"{backend}_conv").conv_adjoint
    gradients = adjoint(x, weight, bias, initial, g, dilation, offset, activation)
    dx, dweight, dbias, dinitial = (x.new_empty(0) if d is None else d for d in gradients)
    return dx, dweight, dbias, dinitial


def _dilated_conv_backward_fake(
    x: Tensor, weight: Tensor, bias: Tensor | None, initial: Tensor | None, *others: Any
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    dx, dweight, dbias, dinitial = (
        x.new_empty(0) if tensor is None else tensor.new_empty(tensor.shape) for tensor in (x, weight, bias, initial)
    )
    return dx, dweight, dbias, dinitial


def _adjoint_reference(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    initial: Tensor | None,
    g: Tensor,
    dilation: int,
    offset: int,
    activation: str,
) -> tuple[Tensor | None, ...]:
    """With dz = g act'(z): dbias and dweight sum dz and its products with the shifted inputs, dx shifts dz back."""
    dtype, length = _dispatch.accumulation_dtype(x, weight, bias, initial), x.shape[1]
    padded, dz = _pad(x, weight, initial, dilation, offset, dtype), g.to(dtype)
    if activation != "none":
        z = _preactivate(padded, weight, bias, length, dilation)
        s = z.sigmoid()
        dz = dz * (s * (1 + z * (1 - s)) if activation == "silu" else z > 0)
    dpadded, dweight = torch.zeros_like(padded, memory_format=torch.contiguous_format), weight.new_zeros(weight.shape)
    for k in range(weight.shape[1]):
        span = slice(k * dilation, k * dilation + length)
        dpadded[:, span] += weight[:, k].to(dtype) * dz
        dweight[:, k] = (dz * padded[:, span]).sum((0, 1))
    dx = dpadded[:, -offset : length - offset].to(x.dtype).clone(memory_format=torch.contiguous_format)
    dbias = None if bias is None else dz.sum((0, 1)).to(bias.dtype)
    return (
        dx,
        dweight,
        dbias,
        None if initial is None else dpadded[:, :-offset].to(initial.dtype, copy=True).contiguous(),
    )


def _setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, weight, bias, residual, initial, *ctx.options = inputs
    ctx.residual_dtype = None if residual is None else residual.dtype
    ctx.save_for_backward(x, weight, bias, initial)


def _backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
    needed = ctx.needs_input_grad
    gradients: list[Tensor | None] = [None] * 4
    if needed[0] or needed[1] or needed[2] or needed[4]:
        gradients = list(_op_backward(*ctx.saved_tensors, g, *ctx.options))
    gradients.insert(3, g.to(ctx.residual_dtype) if needed[3] else None)
    return *(d if need else None for d, need in zip(gradients, needed, strict=False)), None, None, None


def _check(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    residual: Tensor | None,
    initial: Tensor | None,
    dilation: int,
    causal: bool,
    reverse: bool,
    activation: str | None,
) -> None:
    if x.ndim != 3 or x.shape[1] < 1:
        raise ValueError(f"x must have shape (B, L, D) with L >= 1, got {tuple(x.shape)}.")
    size, _, width = x.shape
    if weight.ndim != 2 or weight.shape[0] != width or weight.shape[1] < 1:
        raise ValueError(f"weight must have shape ({width}, K) to go with x, got {tuple(weight.shape)}.")
    if dilation < 1:
        raise ValueError(f"dilation must be at least 1, got {dilation}.")
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation must be None, 'silu' or 'relu', got {activation!r}.")
    if reverse and not causal:
        raise ValueError("reverse=True goes with causal=True only: the symmetric form has no direction.")
    if not causal and weight.shape[1] % 2 == 0:
        raise ValueError(f"causal=False takes an odd number of taps, got {weight.shape[1]}.")
    if initial is not None and (reverse or not causal):
        raise ValueError("initial goes with causal=True and reverse=False only.")
    wanted = {"bias": (bias, (width,)), "residual": (residual, tuple(x.shape))}
    wanted["initial"] = (initial, (size, (weight.shape[1] - 1) * dilation, width))
    for name, (tensor, shape) in wanted.items():
        if tensor is not None and tensor.shape != shape:
            raise ValueError(f"{name} must have shape {shape}, got {tuple(tensor.shape)}.")
    for name, tensor in {"x": x, "weight": weight}.items():
        if not tensor.is_floating_point():
            raise TypeError(f"{name} must have a floating dtype, got {tensor.dtype}.")


_op = _ops.register(_dilated_conv, _dilated_conv_fake, _setup, _backward)
_op_backward = _ops.register(_dilated_conv_backward, _dilated_conv_backward_fake)
