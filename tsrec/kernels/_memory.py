"""Memory for the results of kernels, from one place.

A fresh block of some megabytes comes from the operating system page by page, which costs several times as much as the
kernel that fills it. So such blocks on the CPU are kept here for reuse.
"""

import math
import os
import threading
import weakref
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

# Blocks from this size on are kept, up to this sum and number.
BLOCK_MIN_BYTES = 2 * 2**20
KEPT_MAX_BYTES = 512 * 2**20
KEPT_MAX_BLOCKS = 64

_ALIGNMENT = 64


class _Block(NamedTuple):
    """Memory, and a reference that dies with the tensor that uses it."""

    memory: NDArray[np.uint8]
    user: weakref.ref


_kept: list[_Block] = []
_lock = threading.Lock()


def _renew_lock() -> None:
    # A thread that does not exist in the child may have held it when the process was forked.
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


def empty(shape: tuple[int, ...] | torch.Size, dtype: torch.dtype, device: torch.device | str = "cpu") -> torch.Tensor:
    """Return a contiguous tensor whose elements are not set.

    Parameters
    ----------
    shape : tuple of int
        Its shape.
    dtype : torch.dtype
        Its dtype.
    device : torch.device or str, default "cpu"
        Where it lies.

    Returns
    -------
    Tensor
        Aligned to 64 bytes.
    """
    count = math.prod(shape)
    if count * dtype.itemsize < BLOCK_MIN_BYTES or torch.device(device).type != "cpu":
        return torch.empty(shape, dtype=dtype, device=device)
    with _lock:
        memory = _borrow(count * dtype.itemsize + _ALIGNMENT)
    offset = -memory.ctypes.data % _ALIGNMENT
    flat = torch.frombuffer(memory, dtype=dtype, count=count, offset=offset)
    # Not flat.view(shape): autograd refuses to change views of an operator's results in place.
    return torch.empty(0, dtype=dtype).set_(flat.untyped_storage(), 0, tuple(shape))  # type: ignore[call-overload]


def _borrow(size: int) -> NDArray[np.uint8]:
    """Return an idle block of up to twice the size, or a new one; the oldest idle ones go when too much is kept."""
    chosen = None
    for block in _kept:
        if block.user() is None and size <= block.memory.size <= 2 * size:
            chosen = block
            break
    memory = np.empty(size, np.uint8) if chosen is None else chosen.memory
    # torch keeps the view, and only the view, alive as long as any tensor looks at the memory.
    view = memory[:]
    if memory.size > KEPT_MAX_BYTES:
        return view
    blocks = [block for block in _kept if block is not chosen]
    kept, room = [_Block(memory, weakref.ref(view))], KEPT_MAX_BYTES - memory.size
    for block in reversed(blocks):
        if block.memory.size <= room and len(kept) < KEPT_MAX_BLOCKS:
            kept.append(block)
            room -= block.memory.size
    _kept[:] = reversed(kept)
    return view
