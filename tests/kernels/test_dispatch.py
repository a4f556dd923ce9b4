"""Which backend runs, and what is said when it cannot."""

import subprocess
import sys

import pytest
import torch

from tsrec.kernels import _dispatch, fft_conv, linear_scan


def test_a_backend_that_cannot_serve_is_an_error_with_its_reason(monkeypatch):
    monkeypatch.setenv("TSREC_BACKEND", "triton")
    monkeypatch.delenv("TRITON_INTERPRET")
    with pytest.raises(RuntimeError, match=r"TSREC_BACKEND=triton cannot compute linear_scan: .* CUDA devices only"):
        linear_scan(torch.rand(2), torch.rand(1, 3, 2))
    with pytest.raises(RuntimeError, match=r"TSREC_BACKEND=triton cannot compute fft_conv: .* CUDA devices only"):
        fft_conv(torch.rand(1, 3, 2), torch.rand(2, 3))


@pytest.mark.parametrize("backend", ["numba", "triton"])
def test_a_package_that_is_missing_is_named(monkeypatch, backend):
    monkeypatch.setenv("TSREC_BACKEND", backend)
    monkeypatch.setattr(_dispatch.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RuntimeError, match=f"the package {backend} is not installed"):
        linear_scan(torch.rand(2), torch.rand(1, 3, 2))


def test_a_triton_that_is_too_old_is_named_and_not_chosen(monkeypatch):
    pytest.importorskip("triton")
    monkeypatch.setattr(_dispatch, "_triton_version", lambda: (3, 2))
    monkeypatch.delenv("TSREC_BACKEND", raising=False)
    assert _dispatch.choose("linear_scan", torch.device("cuda"), torch.float32) == "reference"
    monkeypatch.setenv("TSREC_BACKEND", "triton")
    with pytest.raises(RuntimeError, match=r"triton 3.2 cannot compile its kernels; 3.4 can"):
        linear_scan(torch.rand(2), torch.rand(1, 3, 2))


def test_an_unknown_backend_is_an_error_with_the_choices(monkeypatch):
    monkeypatch.setenv("TSREC_BACKEND", "fortran")
    with pytest.raises(ValueError, match=r"'fortran'.*reference, numba, triton"):
        linear_scan(torch.rand(2), torch.rand(1, 3, 2))


def test_numba_refuses_other_devices_and_dtypes_by_name(monkeypatch):
    monkeypatch.setenv("TSREC_BACKEND", "numba")
    with pytest.raises(RuntimeError, match="meta"):
        _dispatch.choose("linear_scan", torch.device("meta"), torch.float32)
    with pytest.raises(RuntimeError, match="int64"):
        _dispatch.choose("linear_scan", torch.device("cpu"), torch.int64)


def test_other_devices_get_the_reference_without_being_asked(monkeypatch):
    monkeypatch.delenv("TSREC_BACKEND", raising=False)
    assert _dispatch.choose("linear_scan", torch.device("meta"), torch.float32) == "reference"
    assert _dispatch.choose("linear_scan", torch.device("cpu"), torch.float32) == "numba"


def test_numba_is_not_loaded_before_it_is_needed():
    code = "import sys, tsrec.kernels; raise SystemExit('numba' in sys.modules or 'pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
