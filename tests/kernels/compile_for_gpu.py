"""Compile Triton kernels for a GPU that need not be there: ``python compile_for_gpu.py CALL``, not emulated.

Each call runs the functions that launch kernels, on CPU tensors; every launch stops after compilation to machine code.
So the kernels are compiled with the very arguments they will get.
"""

import itertools
import sys
from typing import Any

import torch
from triton.backends.compiler import GPUTarget
from triton.runtime import driver
from triton.runtime.jit import JITFunction


class _Driver:
    """As much of a driver as the compiler asks for."""

    def get_current_target(self):
        return GPUTarget("cuda", 90, 32)

    def get_current_device(self):
        return 0

    def get_current_stream(self, device):
        return 0


def compile_launches() -> list[Any]:
    """Replace launches by compilations; the list returned grows with them."""
    compiled: list[Any] = []

    def compile_only(kernel, grid):
        return lambda *args, **kwargs: compiled.append(kernel.run(*args, grid=grid, warmup=True, **kwargs))

    driver.set_active(_Driver())
    JITFunction.__getitem__ = compile_only
    return compiled


def linear_scan(dtype, constant, split, need_a=True):
    from tsrec.kernels import _dispatch, _triton_scan

    _triton_scan.chunk_length = lambda programs, length, processors: 100 if split else length
    state = torch.zeros(2, 64, dtype=_dispatch.accumulation_dtype(torch.zeros((), dtype=dtype)))
    b = torch.zeros(2, 300, 64, dtype=dtype)
    # A decay in more than half precision is what layers pass.
    a = torch.zeros(1 if constant else 2, 1 if constant else 300, 64, dtype=state.dtype)
    _triton_scan.scan(a, b, state, False)
    _triton_scan.scan_adjoint(a, b, state, b, state, False, need_a)


def linear_scan_some():
    linear_scan(torch.float32, constant=False, split=False)
    linear_scan(torch.bfloat16, constant=True, split=True)
    linear_scan(torch.complex64, constant=False, split=True)


def linear_scan_all():
    dtypes = (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64, torch.complex128)
    for dtype, *flags in itertools.product(dtypes, (False, True), (False, True), (False, True)):
        linear_scan(dtype, *flags)


CALLS = {call.__name__: call for call in (linear_scan_some, linear_scan_all)}

if __name__ == "__main__":
    launches = compile_launches()
    CALLS[sys.argv[1]]()
    if not launches or not all("cubin" in kernel.asm for kernel in launches):
        raise SystemExit("nothing was compiled")
