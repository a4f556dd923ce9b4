"""CPU kernels compiled by numba, and the rule when they may use several threads.

Each loop exists twice, as a serial function that releases the GIL and as a parallel one. They must be two Python
functions: numba keys its cache on the function, so two compilations of one function would load each other's code.
"""

import multiprocessing
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numba
import numpy as np
import torch
from numba import njit, prange
from numpy.typing import NDArray
from torch import Tensor

# Without nnan and ninf, which would make NaN in the input undefined behaviour.
_FASTMATH = {"contract", "reassoc", "nsz", "arcp", "afn"}
_OPTIONS: dict[str, Any] = {"fastmath": _FASTMATH, "error_model": "numpy", "cache": True}

# Below this size waking the threads costs more than they save.
PARALLEL_MIN_ELEMENTS = 250_000

_parallel_pid: int | None = None


def scan(a: Tensor, b: Tensor, h0: Tensor, reverse: bool) -> tuple[Tensor, Tensor]:
    """Run the recurrence of :func:`tsrec.kernels.linear_scan`; all inputs share one dtype, a is 3-dimensional."""
    h = torch.empty(b.shape, dtype=b.dtype)
    h_last = h0.detach().clone(memory_format=torch.contiguous_format).resolve_conj().resolve_neg()
    arrays = (_array(a), _array(b), _array(h_last), _array(h), reverse)
    if may_run_parallel(b.shape[0], b.numel()):
        with _threads():
            _scan_parallel(*arrays)
    else:
        _scan_serial(*arrays)
    return h, h_last


def scan_adjoint(
    a: Tensor, h: Tensor, h0: Tensor, g: Tensor, g_last: Tensor, reverse: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of a (summed over time where a is constant, not over the batch), b and h0."""
    constant = a.shape[1] == 1
    db = torch.empty(h.shape, dtype=h.dtype)
    da = torch.empty((h.shape[0], 1 if constant else h.shape[1], h.shape[2]), dtype=h.dtype)
    dh0 = g_last.detach().clone(memory_format=torch.contiguous_format).resolve_conj().resolve_neg()
    arrays = (_array(a), _array(h), _array(h0), _array(g), _array(dh0), _array(da), _array(db), reverse)
    if may_run_parallel(h.shape[0], h.numel()):
        with _threads():
            (_adjoint_constant_parallel if constant else _adjoint_parallel)(*arrays)
    else:
        (_adjoint_constant_serial if constant else _adjoint_serial)(*arrays)
    return da, db, dh0


def may_run_parallel(rows: int, elements: int) -> bool:
    """Say whether a kernel may use several threads here and now, and gains by it.

    OpenMP kills a forked child of a process that used it, and no threading layer of numba is safe under concurrent
    calls in all its versions. So only the main thread of a process that was not forked runs parallel kernels.
    """
    return (
        rows > 1
        and elements >= PARALLEL_MIN_ELEMENTS
        and torch.get_num_threads() > 1
        and _max_threads() > 1
        and threading.current_thread() is threading.main_thread()
        and _parallel_pid in (None, os.getpid())
        and multiprocessing.parent_process() is None
        and torch.utils.data.get_worker_info() is None
    )


@contextmanager
def _threads() -> Iterator[None]:
    """Use as many threads as torch does, for the length of one call."""
    global _parallel_pid
    _parallel_pid = os.getpid()
    before = numba.get_num_threads()
    numba.set_num_threads(min(torch.get_num_threads(), _max_threads()))
    try:
        yield
    finally:
        numba.set_num_threads(before)


def _max_threads() -> int:
    return numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]


def _array(tensor: Tensor) -> NDArray:
    return tensor.detach().resolve_conj().resolve_neg().contiguous().numpy()


@njit(nogil=True, **_OPTIONS)
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


@njit(nogil=True, **_OPTIONS)
def _scan_serial(a, b, state, h, reverse):  # type: ignore[no-untyped-def]
    for i in range(b.shape[0]):
        _scan_row(a[i if a.shape[0] > 1 else 0], b[i], state[i], h[i], reverse)


@njit(parallel=True, **_OPTIONS)
def _scan_parallel(a, b, state, h, reverse):  # type: ignore[no-untyped-def]
    for i in prange(b.shape[0]):
        _scan_row(a[i if a.shape[0] > 1 else 0], b[i], state[i], h[i], reverse)


@njit(nogil=True, **_OPTIONS)
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


@njit(nogil=True, **_OPTIONS)
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


@njit(nogil=True, **_OPTIONS)
def _adjoint_serial(a, h, h0, g, carry, da, db, reverse):  # type: ignore[no-untyped-def]
    for i in range(h.shape[0]):
        _adjoint_row(a[i if a.shape[0] > 1 else 0], h[i], h0[i], g[i], carry[i], da[i], db[i], reverse)


@njit(parallel=True, **_OPTIONS)
def _adjoint_parallel(a, h, h0, g, carry, da, db, reverse):  # type: ignore[no-untyped-def]
    for i in prange(h.shape[0]):
        _adjoint_row(a[i if a.shape[0] > 1 else 0], h[i], h0[i], g[i], carry[i], da[i], db[i], reverse)


@njit(nogil=True, **_OPTIONS)
def _adjoint_constant_serial(a, h, h0, g, carry, da, db, reverse):  # type: ignore[no-untyped-def]
    for i in range(h.shape[0]):
        row = a[i if a.shape[0] > 1 else 0, 0]
        _adjoint_constant_row(row, h[i], h0[i], g[i], carry[i], da[i, 0], db[i], reverse)


@njit(parallel=True, **_OPTIONS)
def _adjoint_constant_parallel(a, h, h0, g, carry, da, db, reverse):  # type: ignore[no-untyped-def]
    for i in prange(h.shape[0]):
        row = a[i if a.shape[0] > 1 else 0, 0]
        _adjoint_constant_row(row, h[i], h0[i], g[i], carry[i], da[i, 0], db[i], reverse)
