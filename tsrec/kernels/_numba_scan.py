"""CPU kernels of the linear scan: a task per batch row walks whole rows of channels, the state row in cache.

Narrow blocks of channels would break up the streams from memory and cost up to three times as much, so a row is cut
only when there are fewer batch rows than threads, and never into pieces under 4 kB. Processors fetch memory ahead of
time where addresses ascend. A walk against them over rows of 512 bytes to 2 kB is two to four times slower; there it
goes tile by tile and first reads one element of each cache line of the tile in ascending order.

Results do not depend on the number of threads, but for the last bit of complex ones where rows are cut.
"""

import numpy as np
import torch
from numba import njit, prange
from torch import Tensor

from tsrec.kernels import _memory
from tsrec.kernels._numba import INLINE, OPTIONS, as_array, may_run_parallel, threads

_BLOCK_MIN_BYTES = 4096
_TILE_BYTES = 65536
_TILE_MAX_ROWS = 256
_GROUP = 64
_LINE_BYTES = 64
_TOUCH_MIN_BYTES, _TOUCH_MAX_BYTES = 512, 2048


def scan(a: Tensor, b: Tensor, h0: Tensor, reverse: bool) -> tuple[Tensor, Tensor]:
    """Run the recurrence of :func:`tsrec.kernels.linear_scan`; a is 3-dimensional, h0 in the accumulation dtype."""
    dtype = h0.dtype
    h = _memory.empty(b.shape, dtype)
    h_last = _own(h0)
    if not h.numel():
        return h.to(b.dtype), h_last
    arrays = (as_array(a, dtype), as_array(b, dtype), h_last.numpy(), h.numpy(), reverse)
    blocks = _blocks(h)
    if may_run_parallel(b.shape[0] * blocks, b.numel()):
        with threads():
            _scan_parallel(*arrays, blocks)
    else:
        _scan_serial(*arrays)
    return h.to(b.dtype), h_last


def scan_adjoint(
    a: Tensor, h: Tensor, h0: Tensor, g: Tensor, g_last: Tensor, reverse: bool, need_a: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of a (summed over time where a is constant, not over the batch), b and h0."""
    dtype = h0.dtype
    db = _memory.empty(h.shape, dtype)
    da = _memory.empty((h.shape[0], a.shape[1], h.shape[2]) if need_a else (h.shape[0], 0, 0), dtype)
    dh0 = _own(g_last)
    if not h.numel():
        return da.zero_(), db, dh0
    arrays = (*(as_array(x, dtype) for x in (a, h, h0, g)), dh0.numpy(), da.numpy(), db.numpy(), reverse)
    blocks = _blocks(h)
    if may_run_parallel(h.shape[0] * blocks, h.numel()):
        with threads():
            _adjoint_parallel(*arrays, blocks)
    else:
        _adjoint_serial(*arrays)
    return da, db, dh0


def _own(state: Tensor) -> Tensor:
    """Copy a state, so that the kernel may carry it along in place."""
    return state.detach().clone(memory_format=torch.contiguous_format).resolve_conj().resolve_neg()


def _blocks(h: Tensor) -> int:
    """Return into how many pieces the channels are cut so that all threads have work."""
    wanted = -(-torch.get_num_threads() // h.shape[0])
    return max(1, min(wanted, h.shape[2] * h.element_size() // _BLOCK_MIN_BYTES))


@njit(**INLINE)
def _piece(task, blocks, width):  # type: ignore[no-untyped-def]
    """Return batch row, first and last channel of a task.

    Loops below run from 0 over slices: where an index might be negative, numba's wraparound keeps them scalar.
    """
    i, k = task // blocks, task % blocks
    return i, k * width // blocks, (k + 1) * width // blocks


@njit(**INLINE)
def _row(a, i):  # type: ignore[no-untyped-def]
    return a[i if a.shape[0] > 1 else 0]


@njit(**INLINE)
def _touch(x, start, stop, lo, hi):  # type: ignore[no-untyped-def]
    """Read one element of each cache line of some rows, where that pays."""
    if not _TOUCH_MIN_BYTES <= (hi - lo) * x.itemsize < _TOUCH_MAX_BYTES:
        return x[start, lo]
    stride = _LINE_BYTES // x.itemsize
    total = x[start, lo]
    for t in range(start, stop):
        xt = x[t][lo:hi]
        for d in range(0, hi - lo, stride):
            total += xt[d]
    return total


@njit(**INLINE)
def _tile(x):  # type: ignore[no-untyped-def]
    """Return the rows of a tile; sums follow it, so it depends on the shape only, not on the number of threads."""
    return min(max(_TILE_BYTES // (x.shape[1] * x.itemsize), 8), _TILE_MAX_ROWS)


@njit(**INLINE)
def _scan_steps(a, b, state, h, start, stop, step, lo, hi):  # type: ignore[no-untyped-def]
    varies = a.shape[0] > 1
    for t in range(start, stop, step):
        at, bt, ht = a[t if varies else 0][lo:hi], b[t][lo:hi], h[t][lo:hi]
        for d in range(hi - lo):
            value = at[d] * state[d] + bt[d]
            state[d] = value
            ht[d] = value


@njit(**INLINE)
def _scan_row(a, b, state, h, reverse, lo, hi):  # type: ignore[no-untyped-def]
    length = b.shape[0]
    if not reverse:
        _scan_steps(a, b, state[lo:hi], h, 0, length, 1, lo, hi)
        return
    tile = _tile(b)
    sink = np.zeros(1, b.dtype)
    for stop in range(length, 0, -tile):
        start = max(stop - tile, 0)
        sink[0] += _touch(b, start, stop, lo, hi) + _touch(h, start, stop, lo, hi)
        if a.shape[0] > 1:
            sink[0] += _touch(a, start, stop, lo, hi)
        _scan_steps(a, b, state[lo:hi], h, stop - 1, start - 1, -1, lo, hi)


@njit(nogil=True, **OPTIONS)
def _scan_serial(a, b, state, h, reverse):  # type: ignore[no-untyped-def]
    for i in range(b.shape[0]):
        _scan_row(_row(a, i), b[i], state[i], h[i], reverse, 0, b.shape[2])


@njit(parallel=True, **OPTIONS)
def _scan_parallel(a, b, state, h, reverse, blocks):  # type: ignore[no-untyped-def]
    width = b.shape[2]
    for task in prange(b.shape[0] * blocks):
        i, lo, hi = _piece(np.int64(task), blocks, width)
        _scan_row(_row(a, i), b[i], state[i], h[i], reverse, lo, hi)


@njit(**INLINE)
def _adjoint_steps(a, g, carry, db, start, stop, step, lo, hi):  # type: ignore[no-untyped-def]
    varies = a.shape[0] > 1
    for t in range(start, stop, step):
        at, gt, dbt = a[t if varies else 0][lo:hi], g[t][lo:hi], db[t][lo:hi]
        for d in range(hi - lo):
            lam = gt[d] + carry[d]
            dbt[d] = lam
            carry[d] = np.conj(at[d]) * lam


@njit(**INLINE)
def _decay_gradient(h, h0, db, da, start, stop, reverse, lo, hi):  # type: ignore[no-untyped-def]
    varies = da.shape[0] > 1
    first = h.shape[0] - 1 if reverse else 0
    for t in range(start, stop):
        before = (h0 if t == first else h[t + 1 if reverse else t - 1])[lo:hi]
        dbt, dat = db[t][lo:hi], da[t if varies else 0][lo:hi]
        if varies:
            for d in range(hi - lo):
                dat[d] = dbt[d] * np.conj(before[d])
        else:
            for d in range(hi - lo):
                dat[d] += dbt[d] * np.conj(before[d])


@njit(**INLINE)
def _move(source, target):  # type: ignore[no-untyped-def]
    for d in range(source.shape[0]):
        target[d] += source[d]
        source[d] = 0


@njit(**INLINE)
def _adjoint_row(a, h, h0, g, carry, da, db, reverse, lo, hi):  # type: ignore[no-untyped-def]
    length = h.shape[0]
    tile = _tile(h)
    sink = np.zeros(1, h.dtype)
    # A long sum in single precision drifts, so constant decays are summed by tiles and groups of tiles.
    parts, groups = np.zeros((1, h.shape[1]), h.dtype), np.zeros(h.shape[1], h.dtype)
    if da.shape[0] == 1:
        da[0, lo:hi] = 0
    for k in range(0, length, tile):
        if reverse:
            start, stop = k, min(k + tile, length)
            _adjoint_steps(a, g, carry[lo:hi], db, start, stop, 1, lo, hi)
        else:
            start, stop = max(length - k - tile, 0), length - k
            sink[0] += _touch(g, start, stop, lo, hi) + _touch(db, start, stop, lo, hi)
            if a.shape[0] > 1:
                sink[0] += _touch(a, start, stop, lo, hi)
            _adjoint_steps(a, g, carry[lo:hi], db, stop - 1, start - 1, -1, lo, hi)
        if da.shape[0] > 1:
            _decay_gradient(h, h0, db, da, start, stop, reverse, lo, hi)
        elif da.shape[0] == 1:
            _decay_gradient(h, h0, db, parts, start, stop, reverse, lo, hi)
            _move(parts[0][lo:hi], groups[lo:hi])
            if k // tile % _GROUP == _GROUP - 1 or k + tile >= length:
                _move(groups[lo:hi], da[0][lo:hi])


@njit(nogil=True, **OPTIONS)
def _adjoint_serial(a, h, h0, g, carry, da, db, reverse):  # type: ignore[no-untyped-def]
    for i in range(h.shape[0]):
        _adjoint_row(_row(a, i), h[i], h0[i], g[i], carry[i], da[i], db[i], reverse, 0, h.shape[2])


@njit(parallel=True, **OPTIONS)
def _adjoint_parallel(a, h, h0, g, carry, da, db, reverse, blocks):  # type: ignore[no-untyped-def]
    width = h.shape[2]
    for task in prange(h.shape[0] * blocks):
        i, lo, hi = _piece(np.int64(task), blocks, width)
        _adjoint_row(_row(a, i), h[i], h0[i], g[i], carry[i], da[i], db[i], reverse, lo, hi)
