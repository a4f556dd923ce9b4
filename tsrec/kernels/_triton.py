"""What all Triton kernels share: how tensors become arguments, how wide a tile is, how a kernel is launched.

The kernels stand in ``_triton_scan``, ``_triton_selective`` and ``_triton_conv``. Program ids are cast to int64 before
they meet a stride: offsets of large tensors exceed 32 bits.
"""

from contextlib import nullcontext
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

_ACCUMULATORS = {
    torch.float32: tl.float32,
    torch.float64: tl.float64,
    torch.complex64: tl.float32,
    torch.complex128: tl.float64,
}


def accumulator(dtype: torch.dtype) -> tl.dtype:
    """Return the Triton dtype that holds (the parts of) a number of the accumulation dtype."""
    return _ACCUMULATORS[dtype]


def as_real(x: Tensor) -> Tensor:
    """Return a tensor that kernels can read: no lazy conjugation, last axis contiguous, complex numbers as pairs.

    Copies only if the layout demands it. The pairs are a last axis of size 2, so the other strides count reals.
    """
    x = x.detach().resolve_conj().resolve_neg()
    if x.stride(-1) != 1:
        x = x.contiguous()
    return torch.view_as_real(x) if x.is_complex() else x


def strides(x: Tensor, axes: int) -> tuple[int, ...]:
    """Return the strides of the first axes, 0 where the size is 1: such an axis is broadcast."""
    return tuple(0 if x.shape[i] == 1 else x.stride(i) for i in range(axes))


def channel_tile(width: int, itemsize: int) -> int:
    """Return how many channels one warp of 32 lanes takes: at least 4 bytes a lane, a power of two."""
    return min(32 * max(1, 4 // itemsize), 1 << max(0, width - 1).bit_length())


def processors(device: torch.device) -> int:
    """Return how many programs of a grid can run at the same time, up to a factor: 1 where they are emulated."""
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 1


def launch(kernel: Any, programs: int, device: torch.device, *arguments: Any, **constants: Any) -> None:
    """Run a kernel over a one-dimensional grid (the only axis with room for more than 65535) on a tensor's device."""
    with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
        # Fused multiply-add, said aloud: the default differs between versions of triton.
        kernel[(programs,)](*arguments, **constants, enable_fp_fusion=True)


@triton.jit
def program_place(length, chunk_length, chunks, tiles):  # type: ignore[no-untyped-def]
    """Return which batch row, chunk and tile this program has, and its first step and the one after its last."""
    program = tl.program_id(0)
    chunk = (program // tiles) % chunks
    first = chunk * chunk_length
    row = (program // tiles // chunks).to(tl.int64)
    return row, chunk, program % tiles, first, tl.minimum(first + chunk_length, length)
