"""The identities of a linear state-space layer hold, as measured by benchmarks/lssl_identities.py."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch

_PROGRAM = Path(__file__).parents[2] / "benchmarks" / "lssl_identities.py"
_spec = importlib.util.spec_from_file_location("lssl_identities", _PROGRAM)
_program = importlib.util.module_from_spec(_spec)
sys.modules["lssl_identities"] = _program  # pickling and NamedTuple look the module up by name
_spec.loader.exec_module(_program)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Loops over small steps crawl when torch's threads wait for a busy core at each of them."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("identity", _program.IDENTITIES, ids=lambda i: f"{i.number}: {i.name}")
def test_identity(identity):
    assert identity.measure() <= identity.tolerance
