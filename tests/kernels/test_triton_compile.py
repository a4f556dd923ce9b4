"""What runs emulated is also valid for the compiler, down to the machine code of a GPU."""

import os
import pathlib
import subprocess
import sys

import pytest

pytest.importorskip("triton", reason="triton is not installed")

SCRIPT = pathlib.Path(__file__).with_name("compile_for_gpu.py")


@pytest.mark.parametrize(
    "call",
    [
        # One family stands for all here: each compilation takes seconds.
        "dilated_conv_some",
        pytest.param("linear_scan_all", marks=pytest.mark.slow),
        pytest.param("selective_scan_all", marks=pytest.mark.slow),
        pytest.param("dilated_conv_all", marks=pytest.mark.slow),
    ],
)
def test_kernels_compile_for_a_gpu(call, tmp_path):
    env = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    env["TRITON_CACHE_DIR"] = str(tmp_path)
    run = subprocess.run([sys.executable, SCRIPT, call], env=env, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
