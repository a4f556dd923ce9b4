"""Which backend runs, and what is said when it cannot."""

import subprocess
import sys

import pytest
import torch

from tsrec.kernels import _dispatch, fft_conv, linear_scan


def test_a_backend_that_is_not_built_is_an_error_with_its_reason(monkeypatch):
    monkeypatch.setenv("TSREC_BACKEND", "triton")
    with pytest.raises(RuntimeError, match=r"TSREC_BACKEND=triton cannot compute linear_scan: .* not built yet"):
        linear_scan(torch.rand(2), torch.rand(1, 3, 2))
    with pytest.raises(RuntimeError, match=r"TSREC_BACKEND=triton cannot compute fft_conv: .* not built yet"):
        fft_conv(torch.rand(1, 3, 2), torch.rand(2, 3))


def test_an_unknown_backend_is_an_error_with_the_choices(monkeypatch):
    monkeypatch.setenv("TSREC_BACKEND", "fortran")
    with pytest.raises(ValueError, match=r"'fortran'.*reference, numba, triton"):
        linear_scan(torch.rand(2), torch.rand(1, 3, 2))


def test_numba_refuses_other_devices_and_dtypes_by_name(monkeypatch):
    monkeypatch.setenv("TSREC_BACKEND", "numba")
    with pytest.raises(RuntimeError, match="meta"):
        _dispatch.choose("linear_scan", torch.empty(1, device="meta"), ("reference", "numba"))
    with pytest.raises(RuntimeError, match="int64"):
        _dispatch.choose("linear_scan", torch.zeros(1, dtype=torch.int64), ("reference", "numba"))


def test_other_devices_get_the_reference_without_being_asked(monkeypatch):
    monkeypatch.delenv("TSREC_BACKEND", raising=False)
    assert _dispatch.choose("linear_scan", torch.empty(1, device="meta"), ("reference", "numba")) == "reference"
    assert _dispatch.choose("linear_scan", torch.empty(1), ("reference", "numba")) == "numba"


def test_numba_is_not_loaded_before_it_is_needed():
    code = "import sys, tsrec.kernels; raise SystemExit('numba' in sys.modules or 'pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
