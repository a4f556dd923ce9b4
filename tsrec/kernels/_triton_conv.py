"""Triton kernels of the dilated depthwise convolution: a program computes a tile of (time, channels) of one batch row.

The gradient of the input is again a convolution, of the gradient before the activation with the taps in reverse
order, so one kernel serves both directions. The gradients of the taps are sums over time: one partial sum per tile,
added up afterwards in a fixed order.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from tsrec.kernels import _dispatch, _memory, _triton
from tsrec.kernels._triton_math import sigmoid

_LANES = 64
_FORWARD_TILE = 2048  # numbers, for 4 warps: more of them a thread would leave too few registers
_ADJOINT_TILE = 4096  # for 8 warps; longer, because every tile leaves a row of partial sums per tap


def conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    residual: Tensor | None,
    initial: Tensor | None,
    dilation: int,
    offset: int,
    activation: str,
) -> Tensor:
    """Return act(bias + sum over k of weight[:, k] x[t + offset + k dilation]) + residual, in the dtype of ``x``."""
    y = _memory.empty(x.shape, x.dtype, x.device)
    acc = _dispatch.accumulation_dtype(x, weight, bias, residual, initial)
    _convolve(x, weight, bias, residual, initial, y, dilation, offset, activation, acc)
    return y


def conv_adjoint(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    initial: Tensor | None,
    g: Tensor,
    dilation: int,
    offset: int,
    activation: str,
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    """Return the gradients of x, weight, bias and initial for the cotangent ``g`` of the result."""
    acc = _dispatch.accumulation_dtype(x, weight, bias, initial, g)
    dz, dweight, dbias = _taps_adjoint(x, weight, bias, initial, g, dilation, offset, activation, acc)
    taps = weight.flip(1)
    back = -offset - (weight.shape[1] - 1) * dilation
    dx = _memory.empty(x.shape, x.dtype, x.device)
    _convolve(dz, taps, None, None, None, dx, dilation, back, "none", acc)
    if initial is None:
        return dx, dweight, dbias, None
    dinitial = _memory.empty(initial.shape, initial.dtype, initial.device)
    if initial.shape[1]:
        _convolve(dz, taps, None, None, None, dinitial, dilation, back - initial.shape[1], "none", acc)
    return dx, dweight, dbias, dinitial


def _convolve(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    residual: Tensor | None,
    initial: Tensor | None,
    y: Tensor,
    dilation: int,
    offset: int,
    activation: str,
    acc: torch.dtype,
) -> None:
    """Fill ``y``, which may be longer or shorter than ``x``: positions outside of ``x`` count as zero."""
    size, steps, width = y.shape
    block_l, block_d = _tile(steps, width, _FORWARD_TILE)
    x, weight = _triton.as_real(x), weight.detach()
    bias, residual, initial = (None if v is None else _triton.as_real(v) for v in (bias, residual, initial))
    _triton.launch(
        _conv_kernel,
        size * triton.cdiv(steps, block_l) * triton.cdiv(width, block_d),
        y.device,
        *(x, weight, bias, residual, initial, y, x.shape[1], steps, width, dilation, offset),
        0 if initial is None else initial.shape[1],
        *(*_strides(x), *weight.stride(), *_strides(residual), *_strides(initial)),
        ACC=_triton.accumulator(acc),
        ACTIVATION=activation,
        KERNEL=weight.shape[1],
        BLOCK_L=block_l,
        BLOCK_D=block_d,
    )


def _taps_adjoint(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    initial: Tensor | None,
    g: Tensor,
    dilation: int,
    offset: int,
    activation: str,
    acc: torch.dtype,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return the gradients before the activation, of the weight and of the bias."""
    size, steps, width = x.shape
    taps = weight.shape[1]
    block_l, block_d = _tile(steps, width, _ADJOINT_TILE)
    x, weight, g = _triton.as_real(x), weight.detach(), _triton.as_real(g)
    bias, initial = (None if v is None else _triton.as_real(v) for v in (bias, initial))
    dz = None if activation == "none" else _memory.empty(x.shape, acc, x.device)
    tiles = size * triton.cdiv(steps, block_l)
    partial = _memory.empty((tiles, taps + 1, width), acc, x.device)
    _triton.launch(
        _taps_kernel,
        tiles * triton.cdiv(width, block_d),
        x.device,
        *(x, weight, bias, initial, g, dz, partial, steps, width, dilation, offset),
        0 if initial is None else initial.shape[1],
        *(*_strides(x), *weight.stride(), *_strides(initial), *_strides(g)),
        ACC=_triton.accumulator(acc),
        ACTIVATION=activation,
        KERNEL=taps,
        BLOCK_L=block_l,
        BLOCK_D=block_d,
        num_warps=8,
    )
    sums = partial.sum(0)
    dbias = None if bias is None else sums[taps].to(bias.dtype, copy=True)
    return g if dz is None else dz, sums[:taps].t().to(weight.dtype).contiguous(), dbias


def _tile(steps: int, width: int, elements: int) -> tuple[int, int]:
    block_d = min(_LANES, triton.next_power_of_2(max(1, width)))
    return min(elements // block_d, triton.next_power_of_2(steps)), block_d


def _strides(x: Tensor | None) -> tuple[int, ...]:
    return (0, 0) if x is None else _triton.strides(x, 2)


@triton.jit
def _place(steps, width, BLOCK_L: tl.constexpr, BLOCK_D: tl.constexpr):  # type: ignore[no-untyped-def]
    """Return what this program computes: number of its tile of time, batch row, times, channels, what is inside."""
    tiles_d = tl.cdiv(width, BLOCK_D)
    tiles_l = tl.cdiv(steps, BLOCK_L)
    program = tl.program_id(0).to(tl.int64)
    tile = program // tiles_d
    t = (tile % tiles_l) * BLOCK_L + tl.arange(0, BLOCK_L)
    d = (program % tiles_d) * BLOCK_D + tl.arange(0, BLOCK_D)
    return tile, tile // tiles_l, t, d, (t < steps)[:, None] & (d < width)[None, :]


@triton.jit
def _tap(  # type: ignore[no-untyped-def]
    x, initial, position, d, inside, length, past, x_step, initial_step, ACC: tl.constexpr
):  # fmt: skip
    """Load the inputs at the given positions of a batch row: zero outside, ``initial`` before the first."""
    here = inside & ((position >= 0) & (position < length))[:, None]
    value = tl.load(x + position[:, None] * x_step + d[None, :], mask=here, other=0.0).to(ACC)
    if initial is not None:
        back = position + past
        before = inside & ((position < 0) & (back >= 0))[:, None]
        value += tl.load(initial + back[:, None] * initial_step + d[None, :], mask=before, other=0.0).to(ACC)
    return value


@triton.jit
def _before_activation(  # type: ignore[no-untyped-def]
    x, weight, bias, initial, first, d, inside, length, width, past, dilation, x_step, w_row, w_tap, initial_step,
    ACC: tl.constexpr, KERNEL: tl.constexpr,
):  # fmt: skip
    """Return bias + sum over k of weight[:, k] x[first + k dilation]."""
    z = tl.zeros(inside.shape, ACC)
    if bias is not None:
        z += tl.load(bias + d, mask=d < width, other=0.0).to(ACC)[None, :]
    for k in range(KERNEL):
        w = tl.load(weight + d * w_row + k * w_tap, mask=d < width, other=0.0).to(ACC)
        z += w[None, :] * _tap(x, initial, first + k * dilation, d, inside, length, past, x_step, initial_step, ACC)
    return z


@triton.jit(do_not_specialize=["length", "steps", "dilation", "offset", "past"])
def _conv_kernel(  # type: ignore[no-untyped-def]
    x, weight, bias, residual, initial, y, length, steps, width, dilation, offset, past,
    x_row, x_step, w_row, w_tap, residual_row, residual_step, initial_row, initial_step,
    ACC: tl.constexpr, ACTIVATION: tl.constexpr, KERNEL: tl.constexpr, BLOCK_L: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    _, row, t, d, inside = _place(steps, width, BLOCK_L, BLOCK_D)
    x += row * x_row
    if initial is not None:
        initial += row * initial_row
    z = _before_activation(
        x, weight, bias, initial, t + offset, d, inside, length, width, past, dilation,
        x_step, w_row, w_tap, initial_step, ACC, KERNEL,
    )  # fmt: skip
    if ACTIVATION == "silu":
        z = z * sigmoid(z)
    elif ACTIVATION == "relu":
        z = tl.where(z <= 0, 0.0, z)  # NaN stays
    if residual is not None:
        places = residual + row * residual_row + t[:, None] * residual_step + d[None, :]
        z += tl.load(places, mask=inside, other=0.0).to(ACC)
    tl.store(y + (row * steps + t[:, None]) * width + d[None, :], z.to(y.dtype.element_ty), mask=inside)


@triton.jit(do_not_specialize=["steps", "dilation", "offset", "past"])
def _taps_kernel(  # type: ignore[no-untyped-def]
    x, weight, bias, initial, g, dz, partial, steps, width, dilation, offset, past,
    x_row, x_step, w_row, w_tap, initial_row, initial_step, g_row, g_step,
    ACC: tl.constexpr, ACTIVATION: tl.constexpr, KERNEL: tl.constexpr, BLOCK_L: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    tile, row, t, d, inside = _place(steps, width, BLOCK_L, BLOCK_D)
    x += row * x_row
    if initial is not None:
        initial += row * initial_row
    slope = tl.load(g + row * g_row + t[:, None] * g_step + d[None, :], mask=inside, other=0.0).to(ACC)
    if ACTIVATION != "none":
        z = _before_activation(
            x, weight, bias, initial, t + offset, d, inside, steps, width, past, dilation,
            x_step, w_row, w_tap, initial_step, ACC, KERNEL,
        )  # fmt: skip
        if ACTIVATION == "silu":
            gate = sigmoid(z)
            slope = slope * gate * (1.0 + z * (1.0 - gate))
        else:
            slope = tl.where(z <= 0, 0.0, slope)
        tl.store(dz + (row * steps + t[:, None]) * width + d[None, :], slope, mask=inside)
    sums = partial + tile * (KERNEL + 1) * width + d
    for k in range(KERNEL):
        value = _tap(x, initial, t + offset + k * dilation, d, inside, steps, past, x_step, initial_step, ACC)
        tl.store(sums + k * width, tl.sum(slope * value, axis=0), mask=d < width)
    tl.store(sums + KERNEL * width, tl.sum(slope, axis=0), mask=d < width)
