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

# Every case is compiled in single precision, some of them in these too: each compilation takes seconds.
_OTHERS = (torch.float16, torch.bfloat16, torch.float64)


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
    linear_scan(torch.bfloat16, constant=True, split=False)
    linear_scan(torch.complex64, constant=False, split=True)


def linear_scan_all():
    for flags in itertools.product(*[(False, True)] * 3):
        linear_scan(torch.float32, *flags)
    for dtype in (*_OTHERS, torch.complex64, torch.complex128):
        for flag in (False, True):
            linear_scan(dtype, flag, flag, flag)


def selective_scan(dtype, states, options, split, reverse=False):
    from tsrec.kernels import _dispatch, _triton_selective

    _triton_selective.chunk_length = lambda programs, length, processors: 100 if split else length
    x = torch.zeros(2, 300, 64, dtype=dtype)
    a, b, row = torch.zeros(64, states, dtype=dtype), torch.zeros(2, 300, states, dtype=dtype), x[0, 0]
    state = torch.zeros(2, 64, states, dtype=_dispatch.accumulation_dtype(x))
    inputs = (x, x, a, b, b, *((row, x, row) if options else (None, None, None)), state)
    _triton_selective.scan(*inputs, options, reverse)
    _triton_selective.scan_adjoint(*inputs, x, state, options, reverse)


def selective_scan_some():
    selective_scan(torch.float32, 16, options=True, split=True)


def selective_scan_all():
    for states, options, split in itertools.product((1, 16), (False, True), (False, True)):
        selective_scan(torch.float32, states, options, split, reverse=split)
    for dtype in _OTHERS:
        for flag in (False, True):
            selective_scan(dtype, 16, flag, flag, reverse=flag)


def dilated_conv(dtype, taps, options, activation):
    from tsrec.kernels import _triton_conv

    x, weight = torch.zeros(2, 300, 64, dtype=dtype), torch.zeros(64, taps, dtype=dtype)
    initial = torch.zeros(2, (taps - 1) * 8, 64, dtype=dtype)
    bias, residual, initial = (weight[:, 0], x, initial) if options else (None, None, None)
    _triton_conv.conv(x, weight, bias, residual, initial, 8, 8 - taps * 8, activation)
    _triton_conv.conv_adjoint(x, weight, bias, initial, x, 8, 8 - taps * 8, activation)


def dilated_conv_some():
    dilated_conv(torch.float32, 4, options=True, activation="silu")


def dilated_conv_all():
    for case in itertools.product((1, 4, 17), (False, True), ("none", "silu", "relu")):
        dilated_conv(torch.float32, *case)
    for dtype in _OTHERS:
        for case in ((1, False, "none"), (4, True, "silu"), (17, True, "relu")):
            dilated_conv(dtype, *case)


CALLS = {
    call.__name__: call
    for call in (
        *(linear_scan_some, linear_scan_all, selective_scan_some),
        *(selective_scan_all, dilated_conv_some, dilated_conv_all),
    )
}

if __name__ == "__main__":
    launches = compile_launches()
    CALLS[sys.argv[1]]()
    if not launches or not all("cubin" in kernel.asm for kernel in launches):
        raise SystemExit("nothing was compiled")
