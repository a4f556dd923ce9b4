"""CPU kernels of the linear scan: one task per batch row, whole rows of channels, the state row in cache.

Narrow blocks of channels would break up the streams from memory and cost up to three times as much.
"""

import numpy as np
import torch
from numba import njit, prange
from torch import Tensor

from tsrec.kernels import _memory
from tsrec.kernels._numba import OPTIONS, as_array, may_run_parallel, threads


def scan(a: Tensor, b: Tensor, h0: Tensor, reverse: bool) -> tuple[Tensor, Tensor]:
    """Run the recurrence of :func:`tsrec.kernels.linear_scan`; a is 3-dimensional, h0 in the accumulation dtype."""
    dtype = h0.dtype
    h = _memory.empty(b.shape, dtype)
    h_last = _own(h0)
    arrays = (as_array(a, dtype), as_array(b, dtype), h_last.numpy(), h.numpy(), reverse)
    if may_run_parallel(b.shape[0], b.numel()):
        with threads():
            _scan_parallel(*arrays)
    else:
        _scan_serial(*arrays)
    return h.to(b.dtype), h_last


def scan_adjoint(
    a: Tensor, h: Tensor, h0: Tensor, g: Tensor, g_last: Tensor, reverse: bool, need_a: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of a (summed over time where a is constant, not over the batch), b and h0."""
    dtype = h0.dtype
    constant = a.shape[1] == 1
    db = _memory.empty(h.shape, dtype)
    da = _memory.empty((h.shape[0], 1 if constant else h.shape[1], h.shape[2]), dtype)
    dh0 = _own(g_last)
    arrays = (*(as_array(x, dtype) for x in (a, h, h0, g)), dh0.numpy(), da.numpy(), db.numpy(), reverse)
    if may_run_parallel(h.shape[0], h.numel()):
        with threads():
            (_adjoint_constant_parallel if constant else _adjoint_parallel)(*arrays)
    else:
        (_adjoint_constant_serial if constant else _adjoint_serial)(*arrays)
    return da, db, dh0


def _own(state: Tensor) -> Tensor:
    """Copy a state, so that the kernel may carry it along in place."""
    return state.detach().clone(memory_format=torch.contiguous_format).resolve_conj().resolve_neg()


@njit(nogil=True, **OPTIONS)
def _row(a, i):  # type: ignore[no-untyped-def]
    # Two subscripts instead of a chosen index: the unsigned i of prange and a literal 0 would unify to a float.
    return a[i] if a.shape[0] > 1 else a[0]


@njit(nogil=True, **OPTIONS)
def _scan_row(a, b, state, h, reverse):  # type: ignore[no-untyped-def]
    length, width = b.shape
    varies = a.shape[0] > 1
    for k in range(length):
        t = length - 1 - k if reverse else k
        at, bt, ht = a[t if varies else 0], b[t], h[t]
        for d in range(width):
            value = at[d] * state[d] + bt[d]
            state[d] = value
            ht[d] = value


@njit(nogil=True, **OPTIONS)
def _scan_serial(a, b, state, h, reverse):  # type: ignore[no-untyped-def]
    for i in range(b.shape[0]):
        _scan_row(_row(a, i), b[i], state[i], h[i], reverse)


@njit(parallel=True, **OPTIONS)
def _scan_parallel(a, b, state, h, reverse):  # type: ignore[no-untyped-def]
    for i in prange(b.shape[0]):
        _scan_row(_row(a, i), b[i], state[i], h[i], reverse)


@njit(nogil=True, **OPTIONS)
def _adjoint_row(a, h, h0, g, carry, da, db, reverse):  # type: ignore[no-untyped-def]
    length, width = h.shape
    step = -1 if reverse else 1
    for k in range(length - 1, -1, -1):
        t = length - 1 - k if reverse else k
        before = h[t - step] if k > 0 else h0
        at, gt, dat, dbt = a[t], g[t], da[t], db[t]
        for d in range(width):
            lam = gt[d] + carry[d]
            dbt[d] = lam
            dat[d] = lam * np.conj(before[d])
            carry[d] = np.conj(at[d]) * lam


@njit(nogil=True, **OPTIONS)
def _adjoint_constant_row(a, h, h0, g, carry, da, db, reverse):  # type: ignore[no-untyped-def]
    length, width = h.shape
    step = -1 if reverse else 1
    for d in range(width):
        da[d] = 0
    for k in range(length - 1, -1, -1):
        t = length - 1 - k if reverse else k
        before = h[t - step] if k > 0 else h0
        gt, dbt = g[t], db[t]
        for d in range(width):
            lam = gt[d] + carry[d]
            dbt[d] = lam
            da[d] += lam * np.conj(before[d])
            carry[d] = np.conj(a[d]) * lam


@njit(nogil=True, **OPTIONS)
def _adjoint_serial(a, h, h0, g, carry, da, db, reverse):  # type: ignore[no-untyped-def]
    for i in range(h.shape[0]):
        _adjoint_row(_row(a, i), h[i], h0[i], g[i], carry[i], da[i], db[i], reverse)


@njit(parallel=True, **OPTIONS)
def _adjoint_parallel(a, h, h0, g, carry, da, db, reverse):  # type: ignore[no-untyped-def]
    for i in prange(h.shape[0]):
        _adjoint_row(_row(a, i), h[i], h0[i], g[i], carry[i], da[i], db[i], reverse)


@njit(nogil=True, **OPTIONS)
def _adjoint_constant_serial(a, h, h0, g, carry, da, db, reverse):  # type: ignore[no-untyped-def]
    for i in range(h.shape[0]):
        row = _row(a, i)[0]
        _adjoint_constant_row(row, h[i], h0[i], g[i], carry[i], da[i, 0], db[i], reverse)


@njit(parallel=True, **OPTIONS)
def _adjoint_constant_parallel(a, h, h0, g, carry, da, db, reverse):  # type: ignore[no-untyped-def]
    for i in prange(h.shape[0]):
        row = _row(a, i)[0]
        _adjoint_constant_row(row, h[i], h0[i], g[i], carry[i], da[i, 0], db[i], reverse)
