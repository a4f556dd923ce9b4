"""All kernels of these tests write into memory full of NaN, so that an element left unwritten shows."""

import os

import pytest

from tsrec.kernels import _memory

# Read by triton when the kernels are loaded: they are then emulated step by step on the CPU.
os.environ["TRITON_INTERPRET"] = "1"


@pytest.fixture(autouse=True)
def results_start_as_nan(monkeypatch):
    empty = _memory.empty
    monkeypatch.setattr(_memory, "empty", lambda *args, **kwargs: empty(*args, **kwargs).fill_(float("nan")))
