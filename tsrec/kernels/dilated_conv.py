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

    Half precision is accumulated in float32. There are first derivatives of all tensors by ``backward`` and
    ``torch.autograd.grad`` only (``torch.func.grad`` raises, ``torch.func.jvp`` would give zeros);
    :func:`dilated_conv_reference` supports all of torch's transforms.

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
        If a tensor is not of a real floating dtype.

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
    weight, bias
        As in :func:`dilated_conv`.
    state : Tensor of shape (B, (K-1) dilation, D)
        The inputs before this step, oldest first: :func:`dilated_conv_state`, or zeros at the start. Left untouched.
    dilation, activation
        As in :func:`dilated_conv`.
    residual : Tensor of shape (B, D), optional
        Added after the activation.

    Returns
    -------
    y_t : Tensor of shape (B, D)
        In the dtype of `x_t`.
    state : Tensor of shape (B, (K-1) dilation, D)
        The inputs before the next step, in the dtype of `state`.

    Raises
    ------
    ValueError, TypeError
        As :func:`dilated_conv`, and if `state` has another shape.

    Examples
    --------
    >>> y, state = dilated_conv_step(torch.ones(1, 1), torch.tensor([[10.0, 1.0]]), None, torch.full((1, 1, 1), 2.0))
    >>> y.item(), state.item()
    (21.0, 1.0)
    """
    if x_t.ndim != 2:
        raise ValueError(f"x_t must have shape (B, D), got {tuple(x_t.shape)}.")
    _check_layer(x_t, weight, bias, residual, dilation, activation, state=state)
    dtype = _dispatch.accumulation_dtype(x_t, weight, bias, residual, state)
    # The state may be of lower precision than the present input.
    inputs = torch.cat((state[:, ::dilation].to(dtype), x_t[:, None].to(dtype)), 1)
    z = (inputs * weight.T.to(dtype)).sum(1)
    z = z if bias is None else z + bias.to(dtype)
    following = torch.cat((state, x_t[:, None].to(state.dtype)), 1)[:, 1:]
    return _finish(z, residual, activation or "none").to(x_t.dtype), following


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

    Raises
    ------
    ValueError
        If shapes or numbers do not fit.

    Examples
    --------
    >>> dilated_conv_state(torch.ones(1, 1, 1), 3).flatten().tolist()
    [0.0, 1.0]
    """
    if x.ndim != 3:
        raise ValueError(f"x must have shape (B, L, D), got {tuple(x.shape)}.")
    _check_counts(kernel_size=kernel_size, dilation=dilation)
    reach = (kernel_size - 1) * dilation
    _check_shapes(initial=(initial, (x.shape[0], reach, x.shape[2])))
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
    backend = _backend(x, weight, bias, residual, initial)
    compute = _shift_and_add if backend == "reference" else _dispatch.load(f"{backend}_conv").conv
    return compute(x, weight, bias, residual, initial, dilation, offset, activation)


def _backend(x: Tensor, *others: Tensor | None) -> str:
    backend = _dispatch.choose("dilated_conv", x.device, _dispatch.accumulation_dtype(x, *others))
    return backend if x.numel() else "reference"  # kernels have no use for empty tensors


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
    backend = _backend(x, weight, bias, initial)
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
    dinitial = None if initial is None else dpadded[:, :-offset].to(initial.dtype, copy=True).contiguous()
    return dx, dweight, dbias, dinitial


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
    _check_layer(x, weight, bias, residual, dilation, activation, initial=initial)
    if reverse and not causal:
        raise ValueError("reverse=True goes with causal=True only: the symmetric form has no direction.")
    if not causal and weight.shape[1] % 2 == 0:
        raise ValueError(f"causal=False takes an odd number of taps, got {weight.shape[1]}.")
    if initial is not None and (reverse or not causal):
        raise ValueError("initial goes with causal=True and reverse=False only.")


def _check_layer(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    residual: Tensor | None,
    dilation: int,
    activation: str | None,
    **before: Tensor | None,
) -> None:
    """Check what the whole sequence and a single step have in common; `before` is one tensor by its name."""
    width = x.shape[-1]
    if weight.ndim != 2 or weight.shape[0] != width or weight.shape[1] < 1:
        raise ValueError(f"weight must have shape ({width}, K) to go with x, got {tuple(weight.shape)}.")
    _check_counts(dilation=dilation)
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation must be None, 'silu' or 'relu', got {activation!r}.")
    past = (x.shape[0], (weight.shape[1] - 1) * dilation, width)
    earlier = {name: (tensor, past) for name, tensor in before.items()}
    _check_shapes(bias=(bias, (width,)), residual=(residual, tuple(x.shape)), **earlier)
    before["x" if x.ndim == 3 else "x_t"] = x
    _dispatch.check_floating(False, weight=weight, bias=bias, residual=residual, **before)


def _check_counts(**counts: int) -> None:
    for name, count in counts.items():
        if not isinstance(count, (int, torch.SymInt)) or count < 1:
            raise ValueError(f"{name} must be a whole number, at least 1, got {count!r}.")


def _check_shapes(**wanted: tuple[Tensor | None, tuple[int, ...]]) -> None:
    for name, (tensor, shape) in wanted.items():
        if tensor is not None and tensor.shape != shape:
            raise ValueError(f"{name} must have shape {shape}, got {tuple(tensor.shape)}.")


_op = _ops.register(_dilated_conv, _dilated_conv_fake, _setup, _backward)
_op_backward = _ops.register(_dilated_conv_backward, _dilated_conv_backward_fake)
