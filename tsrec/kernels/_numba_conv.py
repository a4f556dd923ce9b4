"""CPU kernels of the dilated depthwise convolution: four taps of four steps per pass over a row of channels.

The four steps lie one dilation apart, so that they share their inputs: seven rows serve sixteen products. A task is a
tile of steps of one batch row; what it reads beyond its tile it reads in place.
"""

from typing import Any

import numpy as np
import torch
from numba import njit, prange
from torch import Tensor

from tsrec.kernels import _dispatch, _memory
from tsrec.kernels._numba import OPTIONS, as_array, may_run_parallel, threads
from tsrec.kernels._numba_math import at_least, silu, silu_slope
from tsrec.kernels._numba_pointers import INPUT, OUTPUT, SUMS, SUMS_0, SUMS_1, SUMS_2, SUMS_3, load, pointer, store

_ACTIVATIONS = {"none": 0, "silu": 1, "relu": 2}
_ZERO = np.float32(0)
_TILE = 256
# Partial sums over steps take memory per task; so many tasks keep any number of threads busy.
_GRADIENT_TASKS = 64


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
    """Return act(bias + sum_k weight[:, k] x[t + offset + k dilation]) + residual, in the dtype of x.

    Positions before the first step are read from the end of `initial`, where it is given; others outside x are zero.
    """
    dtype = _dispatch.accumulation_dtype(x, weight, bias, residual, initial)
    code = _ACTIVATIONS[activation]
    y = _conv(x, _taps(weight, dtype), bias, residual, initial, x.shape[1], dilation, offset, code)
    return y.to(x.dtype)


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
    """Return the gradients of x, weight, bias and initial; None for what was not given."""
    dtype = _dispatch.accumulation_dtype(x, weight, bias, initial)
    taps = _taps(weight, dtype)
    dz, sums = _weight_gradients(x, taps, bias, initial, g, dilation, offset, _ACTIVATIONS[activation])
    # The adjoint is a convolution too, with the taps in reverse.
    back, start = taps.flip(0), -offset - (weight.shape[1] - 1) * dilation
    dx = _conv(dz, back, None, None, None, x.shape[1], dilation, start, 0).to(x.dtype)
    dweight = sums[:-1].T.to(weight.dtype).clone(memory_format=torch.contiguous_format)
    dbias = None if bias is None else sums[-1].to(bias.dtype, copy=True)
    dinitial = None
    if initial is not None:
        n = initial.shape[1]
        dinitial = _conv(dz, back, None, None, None, n, dilation, start - n, 0).to(initial.dtype)
    return dx, dweight, dbias, dinitial


def _taps(weight: Tensor, dtype: torch.dtype) -> Tensor:
    return weight.detach().to(dtype).T.contiguous()


def _conv(
    x: Tensor,
    taps: Tensor,
    bias: Tensor | None,
    residual: Tensor | None,
    initial: Tensor | None,
    length: int,
    dilation: int,
    offset: int,
    activation: int,
) -> Tensor:
    size, _, width = x.shape
    dtype = taps.dtype
    y = _memory.empty((size, length, width), dtype)
    if y.numel() == 0:
        return y
    tile = _tile(dilation)
    added = taps.new_zeros(1, width) if residual is None else residual
    arrays = (*_flat(x, taps, bias, initial), _rows(added, added.shape[0], dtype), _rows(y, size, dtype))
    numbers = (width, dilation, offset, activation, tile)
    if may_run_parallel(size * -(-length // tile), y.numel()):
        with threads():
            _conv_parallel(*arrays, *numbers)
    else:
        _conv_serial(*arrays, *numbers)
    return y


def _weight_gradients(
    x: Tensor,
    taps: Tensor,
    bias: Tensor | None,
    initial: Tensor | None,
    g: Tensor,
    dilation: int,
    offset: int,
    activation: int,
) -> tuple[Tensor, Tensor]:
    """Return dz, the gradient before the activation, and the sums over steps (K + 1, D) for weight and bias."""
    size, length, width = x.shape
    dtype = taps.dtype
    if x.numel() == 0:
        return g, taps.new_zeros(taps.shape[0] + 1, width)
    g = g.to(dtype).contiguous()
    dz = _memory.empty(x.shape, dtype) if activation else g
    tile = _tile(dilation)
    tasks = min(size * -(-length // tile), _GRADIENT_TASKS)
    sums = _memory.empty((tasks, taps.shape[0] + 1, width), dtype)
    arrays = (
        *_flat(x, taps, bias, initial),
        *(_rows(tensor, size, dtype) for tensor in (g, dz)),
        _rows(sums, tasks, dtype),
    )
    numbers = (width, dilation, offset, activation, tile)
    if may_run_parallel(tasks, x.numel()):
        with threads():
            _gradient_parallel(*arrays, *numbers)
    else:
        _gradient_serial(*arrays, *numbers)
    return dz, sums.sum(0)


def _tile(dilation: int) -> int:
    """Return about 256 steps, a multiple of the steps that are computed together."""
    return 4 * dilation * max(1, _TILE // (4 * dilation))


def _flat(x: Tensor, taps: Tensor, bias: Tensor | None, initial: Tensor | None) -> tuple[Any, ...]:
    size, dtype = x.shape[0], taps.dtype
    first = taps.new_zeros(taps.shape[1]) if bias is None else bias
    before = taps.new_empty(size, 0) if initial is None else initial
    return _rows(x, size, dtype), _rows(before, size, dtype), as_array(taps.view(-1)), as_array(first, dtype)


def _rows(tensor: Tensor, size: int, dtype: torch.dtype) -> Any:
    return as_array(tensor, dtype).reshape(size, tensor.numel() // size)


@njit(nogil=True, **OPTIONS)
def _fill(row, y, width, start):  # type: ignore[no-untyped-def]
    for d in range(width):
        store(y, start + d, OUTPUT, load(row, d, INPUT))


@njit(nogil=True, forceinline=True, **OPTIONS)
def _add_one(x, taps, y, width, i, o, k):  # type: ignore[no-untyped-def]
    """Add one tap of one step: y[o] += taps[k] x[i]."""
    w = k * width
    for d in range(width):
        value = load(taps, w + d, INPUT) * load(x, i + d, INPUT)
        store(y, o + d, OUTPUT, load(y, o + d, OUTPUT) + value)


@njit(nogil=True, forceinline=True, **OPTIONS)
def _add_four(x, taps, y, width, stride, i, o, first, last):  # type: ignore[no-untyped-def]
    """Add taps first <= k < last, a multiple of four, of the steps o, o + stride, o + 2 stride, o + 3 stride."""
    for k in range(first, last, 4):
        p, w0 = i + k * stride, k * width
        w1, w2, w3 = w0 + width, w0 + 2 * width, w0 + 3 * width
        for d in range(width):
            a0, a1 = load(taps, w0 + d, INPUT), load(taps, w1 + d, INPUT)
            a2, a3 = load(taps, w2 + d, INPUT), load(taps, w3 + d, INPUT)
            q = p + d
            x0, x1, x2 = load(x, q, INPUT), load(x, q + stride, INPUT), load(x, q + 2 * stride, INPUT)
            x3, x4 = load(x, q + 3 * stride, INPUT), load(x, q + 4 * stride, INPUT)
            x5, x6 = load(x, q + 5 * stride, INPUT), load(x, q + 6 * stride, INPUT)
            r = o + d
            store(y, r, OUTPUT, load(y, r, OUTPUT) + a0 * x0 + a1 * x1 + a2 * x2 + a3 * x3)
            r += stride
            store(y, r, OUTPUT, load(y, r, OUTPUT) + a0 * x1 + a1 * x2 + a2 * x3 + a3 * x4)
            r += stride
            store(y, r, OUTPUT, load(y, r, OUTPUT) + a0 * x2 + a1 * x3 + a2 * x4 + a3 * x5)
            r += stride
            store(y, r, OUTPUT, load(y, r, OUTPUT) + a0 * x3 + a1 * x4 + a2 * x5 + a3 * x6)


@njit(nogil=True, forceinline=True, **OPTIONS)
def _sum_one(x, taps, y, width, i, o, k):  # type: ignore[no-untyped-def]
    """Transpose of _add_one: taps[k] += y[o] x[i]."""
    w = k * width
    for d in range(width):
        value = load(y, o + d, OUTPUT) * load(x, i + d, INPUT)
        store(taps, w + d, SUMS, load(taps, w + d, SUMS) + value)


@njit(nogil=True, forceinline=True, **OPTIONS)
def _sum_four(x, taps, y, width, stride, i, o, first, last):  # type: ignore[no-untyped-def]
    """Transpose of _add_four."""
    for k in range(first, last, 4):
        p, w0 = i + k * stride, k * width
        for d in range(width):
            r = o + d
            y0, y1 = load(y, r, OUTPUT), load(y, r + stride, OUTPUT)
            y2, y3 = load(y, r + 2 * stride, OUTPUT), load(y, r + 3 * stride, OUTPUT)
            q = p + d
            x0, x1, x2 = load(x, q, INPUT), load(x, q + stride, INPUT), load(x, q + 2 * stride, INPUT)
            x3, x4 = load(x, q + 3 * stride, INPUT), load(x, q + 4 * stride, INPUT)
            x5, x6 = load(x, q + 5 * stride, INPUT), load(x, q + 6 * stride, INPUT)
            w = w0 + d
            store(taps, w, SUMS_0, load(taps, w, SUMS_0) + y0 * x0 + y1 * x1 + y2 * x2 + y3 * x3)
            w += width
            store(taps, w, SUMS_1, load(taps, w, SUMS_1) + y0 * x1 + y1 * x2 + y2 * x3 + y3 * x4)
            w += width
            store(taps, w, SUMS_2, load(taps, w, SUMS_2) + y0 * x2 + y1 * x3 + y2 * x4 + y3 * x5)
            w += width
            store(taps, w, SUMS_3, load(taps, w, SUMS_3) + y0 * x3 + y1 * x4 + y2 * x5 + y3 * x6)


def _over_steps(one, four):  # type: ignore[no-untyped-def]
    """Make a kernel of one group of steps out of its products, which it calls for taps that reach into x only."""

    @njit(nogil=True, **OPTIONS)
    def group(x, n_rows, taps, n_taps, y, width, dilation, i, step, count):  # type: ignore[no-untyped-def]
        stride = dilation * width
        # Tap k of the j-th step reads row i + (j + k) dilation: inside x for low <= j + k < high.
        low, high = -(i // dilation), -((i - n_rows) // dilation)
        i, o = i * width, step * width
        # A multiple of four, as each row of sums keeps its role.
        first = last = min((max(low, 0) + 3) // 4 * 4, n_taps)
        if count == 4:
            last = first + max(min(high - 3, n_taps) - first, 0) // 4 * 4
            four(x, taps, y, width, stride, i, o, first, last)
        for j in range(count):
            k, end = max(low - j, 0), min(high - j, n_taps)
            while k < end:
                if first <= k < last:
                    k = last
                else:
                    one(x, taps, y, width, i + (j + k) * stride, o + j * stride, k)
                    k += 1

    return group


_add = _over_steps(_add_one, _add_four)
_sum = _over_steps(_sum_one, _sum_four)


@njit(nogil=True, **OPTIONS)
def _preactivate(x, n_rows, before, n_before, taps, n_taps, bias, y, width, dilation, offset, step, count):  # type: ignore[no-untyped-def]
    for j in range(count):
        _fill(bias, y, width, (step + j * dilation) * width)
    _add(x, n_rows, taps, n_taps, y, width, dilation, step + offset, step, count)
    if n_before:
        _add(before, n_before, taps, n_taps, y, width, dilation, step + offset + n_before, step, count)


@njit(nogil=True, **OPTIONS)
def _finish(y, added, width, o, i, activation):  # type: ignore[no-untyped-def]
    """Turn a row of z into act(z) + added[i:]."""
    if activation == 1:
        for d in range(width):
            store(y, o + d, OUTPUT, silu(load(y, o + d, OUTPUT)) + load(added, i + d, INPUT))
    else:
        for d in range(width):
            z = load(y, o + d, OUTPUT)
            if activation == 2:
                z = at_least(z, _ZERO)
            store(y, o + d, OUTPUT, z + load(added, i + d, INPUT))


@njit(nogil=True, **OPTIONS)
def _differentiate(y, g, width, start, activation):  # type: ignore[no-untyped-def]
    """Turn a row of z into g act'(z)."""
    if activation == 1:
        for d in range(start, start + width):
            store(y, d, OUTPUT, load(g, d, INPUT) * silu_slope(load(y, d, OUTPUT)))
    elif activation == 2:
        for d in range(start, start + width):
            store(y, d, OUTPUT, load(g, d, INPUT) if load(y, d, OUTPUT) > 0 else load(g, d, INPUT) * 0)


@njit(nogil=True, **OPTIONS)
def _n_groups(start, stop, dilation):  # type: ignore[no-untyped-def]
    """Count the groups of a tile: four steps one dilation apart as far as they go, then single steps."""
    fours = (stop - start) // (4 * dilation) * dilation
    return fours + stop - start - 4 * fours


@njit(nogil=True, **OPTIONS)
def _group(start, stop, dilation, index):  # type: ignore[no-untyped-def]
    """Return the first step of a group and how many it has."""
    fours = (stop - start) // (4 * dilation) * dilation
    if index < fours:
        return start + index // dilation * 4 * dilation + index % dilation, 4
    return start + 3 * fours + index, 1


@njit(nogil=True, **OPTIONS)
def _tile_of(number, length, tile):  # type: ignore[no-untyped-def]
    """Return batch row, first step and last step + 1 of a tile."""
    tiles = (length + tile - 1) // tile
    start = number % tiles * tile
    return number // tiles, start, min(start + tile, length)


@njit(nogil=True, **OPTIONS)
def _n_tiles(y, width, tile):  # type: ignore[no-untyped-def]
    return y.shape[0] * ((y.shape[1] // width + tile - 1) // tile)


@njit(nogil=True, **OPTIONS)
def _conv_tile(number, x, initial, taps, bias, residual, y, width, dilation, offset, activation, tile):  # type: ignore[no-untyped-def]
    row, start, stop = _tile_of(number, y.shape[1] // width, tile)
    n_rows, n_before, n_taps = x.shape[1] // width, initial.shape[1] // width, taps.size // width
    xr, before, out = (
        pointer(x, row * x.shape[1]),
        pointer(initial, row * initial.shape[1]),
        pointer(y, row * y.shape[1]),
    )
    w, b = pointer(taps, 0), pointer(bias, 0)
    # A residual not given is one row of zeros.
    given = residual.shape == y.shape
    added = pointer(residual, row * y.shape[1] if given else 0)
    for index in range(_n_groups(start, stop, dilation)):
        step, count = _group(start, stop, dilation, index)
        _preactivate(xr, n_rows, before, n_before, w, n_taps, b, out, width, dilation, offset, step, count)
        for j in range(count):
            at = (step + j * dilation) * width
            if given or activation:
                _finish(out, added, width, at, at if given else 0, activation)


@njit(nogil=True, **OPTIONS)
def _conv_serial(x, initial, taps, bias, residual, y, width, dilation, offset, activation, tile):  # type: ignore[no-untyped-def]
    for number in range(_n_tiles(y, width, tile)):
        _conv_tile(number, x, initial, taps, bias, residual, y, width, dilation, offset, activation, tile)


@njit(parallel=True, **OPTIONS)
def _conv_parallel(x, initial, taps, bias, residual, y, width, dilation, offset, activation, tile):  # type: ignore[no-untyped-def]
    for number in prange(_n_tiles(y, width, tile)):
        _conv_tile(np.int64(number), x, initial, taps, bias, residual, y, width, dilation, offset, activation, tile)


@njit(nogil=True, **OPTIONS)
def _gradient_tile(number, x, initial, taps, bias, g, dz, sums, width, dilation, offset, activation, tile):  # type: ignore[no-untyped-def]
    row, start, stop = _tile_of(number, x.shape[1] // width, tile)
    n_rows, n_before, n_taps = x.shape[1] // width, initial.shape[1] // width, taps.size // width
    xr, before = pointer(x, row * x.shape[1]), pointer(initial, row * initial.shape[1])
    gr, out = pointer(g, row * g.shape[1]), pointer(dz, row * dz.shape[1])
    w, b = pointer(taps, 0), pointer(bias, 0)
    for index in range(_n_groups(start, stop, dilation)):
        step, count = _group(start, stop, dilation, index)
        if activation:
            _preactivate(xr, n_rows, before, n_before, w, n_taps, b, out, width, dilation, offset, step, count)
        for j in range(count):
            at = (step + j * dilation) * width
            _differentiate(out, gr, width, at, activation)
            for d in range(width):
                store(sums, taps.size + d, SUMS, load(sums, taps.size + d, SUMS) + load(out, at + d, OUTPUT))
        _sum(xr, n_rows, sums, n_taps, out, width, dilation, step + offset, step, count)
        if n_before:
            _sum(before, n_before, sums, n_taps, out, width, dilation, step + offset + n_before, step, count)


@njit(nogil=True, **OPTIONS)
def _gradient_task(task, x, initial, taps, bias, g, dz, sums, width, dilation, offset, activation, tile):  # type: ignore[no-untyped-def]
    n = _n_tiles(x, width, tile)
    for i in range(sums.shape[1]):
        sums[task, i] = 0
    total = pointer(sums, task * sums.shape[1])
    for number in range(task * n // sums.shape[0], (task + 1) * n // sums.shape[0]):
        _gradient_tile(number, x, initial, taps, bias, g, dz, total, width, dilation, offset, activation, tile)


@njit(nogil=True, **OPTIONS)
def _gradient_serial(x, initial, taps, bias, g, dz, sums, width, dilation, offset, activation, tile):  # type: ignore[no-untyped-def]
    for task in range(sums.shape[0]):
        _gradient_task(task, x, initial, taps, bias, g, dz, sums, width, dilation, offset, activation, tile)


@njit(parallel=True, **OPTIONS)
def _gradient_parallel(x, initial, taps, bias, g, dz, sums, width, dilation, offset, activation, tile):  # type: ignore[no-untyped-def]
    for task in prange(sums.shape[0]):
        _gradient_task(np.int64(task), x, initial, taps, bias, g, dz, sums, width, dilation, offset, activation, tile)
