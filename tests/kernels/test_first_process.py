"""The process that compiles the kernels, and those that load what it compiled, give the same bits."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import hashlib
import torch
from tsrec.kernels import dilated_conv, linear_scan, selective_scan

generator = torch.Generator().manual_seed(0)
digest = hashlib.md5()


def drawn(*shape, dtype):
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()


def note(y, *inputs):
    y = y[0] if isinstance(y, tuple) else y
    (y.abs() ** 2).sum().backward()
    for tensor in (y.detach(), *(one.grad for one in inputs)):
        digest.update(torch.view_as_real(tensor).numpy() if tensor.is_complex() else tensor.numpy())


u, delta, z, x = (drawn(2, 40, 24, dtype=torch.float32) for _ in range(4))
A, B, C, D = (drawn(*shape, dtype=torch.float32) for shape in ((24, 16), (2, 40, 16), (2, 40, 16), (24,)))
note(selective_scan(u, delta.abs(), -A.abs(), B, C, D=D, z=z), u, delta, A, B, C, D, z)
weight = drawn(24, 4, dtype=torch.float32)
note(dilated_conv(x, weight, activation="silu"), x, weight)
for dtype in (torch.float32, torch.complex64):
    a, b = drawn(2, 40, 24, dtype=dtype), drawn(2, 40, 24, dtype=dtype)
    note(linear_scan(0.3 * a, b), a, b)
print(digest.hexdigest())
"""


@pytest.mark.slow
def test_kernels_give_the_same_bits_when_they_are_compiled_and_when_they_are_loaded(tmp_path):
    surroundings = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "OMP_NUM_THREADS": "1"}
    ask = [sys.executable, "-c", SCRIPT]
    found = [subprocess.run(ask, env=surroundings, capture_output=True, text=True, check=True).stdout for _ in range(2)]
    assert list(tmp_path.rglob("*.nbc"))
    assert len(found[0].strip()) == 32
    assert found[0] == found[1]
