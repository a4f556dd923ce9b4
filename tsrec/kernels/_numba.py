"""What all numba kernels share: how they are compiled, and when they may use several threads.

The kernels stand in ``_numba_scan``, ``_numba_selective_*`` and ``_numba_conv``. Each exists twice, a serial function
that releases the GIL and as a parallel one. They must be two Python functions: numba keys its cache on the function, so
two compilations of one function would load each other's code.
"""

import multiprocessing
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numba
import torch
from numpy.typing import NDArray
from torch import Tensor

# Without nnan and ninf, which would make NaN in the input undefined behaviour.
_FASTMATH = {"contract", "reassoc", "nsz", "arcp", "afn"}
OPTIONS: dict[str, Any] = {"fastmath": _FASTMATH, "error_model": "numpy", "cache": True}


def _probe() -> None:
    """Stand in for a kernel, to see whether numba finds a folder for its cache."""


try:
    numba.njit(cache=True)(_probe)
except RuntimeError:
    # Neither the folder of the package nor that of the user can be written: compile in each process.
    OPTIONS["cache"] = False

# Parts of scans become part of their callers. Otherwise the process that compiles calls the copies it compiled first, a
# process that loads the cache those beside the caller, and in the last bit the two differ.
INLINE: dict[str, Any] = {"nogil": True, "forceinline": True, **OPTIONS}

# Below this size waking the threads costs more than they save.
PARALLEL_MIN_ELEMENTS = 250_000

_parallel_pid: int | None = None


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
def threads() -> Iterator[None]:
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


def as_array(tensor: Tensor, dtype: torch.dtype | None = None) -> NDArray:
    """Return the memory of a CPU tensor as a contiguous array, copied only if its layout or dtype demands it."""
    tensor = tensor.detach()
    if dtype is not None and tensor.dtype != dtype:
        tensor = tensor.to(dtype)
    if tensor.is_conj() or tensor.is_neg():
        tensor = tensor.resolve_conj().resolve_neg()
    return tensor.contiguous().numpy()
