"""Workers of every kind compute right, and live, after their parent has used parallel kernels."""

import os
import subprocess
import sys
import textwrap

import pytest

PRELUDE = """
import os
import torch
from tsrec.kernels import _numba, dilated_conv, linear_scan, selective_scan

x = torch.linspace(0, 1, 8 * 128 * 256).view(8, 128, 256)
decay, narrow, taps = -torch.ones(256, 2), x[..., :2].contiguous(), x[0, :4].T.contiguous()

def answers():
    found = linear_scan(x, x)[0], selective_scan(x, x, decay, narrow, narrow)[0], dilated_conv(x, taps)
    # numpy compares: in a forked child torch's own parallel loops, copies of large tensors among them, hang.
    return [tensor.numpy() for tensor in found]

def same(found):
    return all((f == w).all() for f, w in zip(found, wanted, strict=True))

torch.set_num_threads(2)
_numba._max_threads = lambda: 2
wanted = answers()
assert _numba._parallel_pid == os.getpid()
"""


def run(code):
    environment = {**os.environ, "NUMBA_NUM_THREADS": "2"}
    command = [sys.executable, "-W", "ignore", "-c", PRELUDE + textwrap.dedent(code)]
    done = subprocess.run(command, env=environment, timeout=60, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_forked_child_of_a_parallel_parent_survives():
    run("""
        child = os.fork()
        if child == 0:
            os._exit(0 if same(answers()) else 3)
        _, status = os.waitpid(child, 0)
        raise SystemExit(os.waitstatus_to_exitcode(status))
    """)


def test_several_python_threads_at_once_get_the_same():
    run("""
        import joblib
        many = joblib.Parallel(n_jobs=4, backend="threading")(joblib.delayed(answers)() for _ in range(12))
        assert all(same(found) for found in many)
        assert same(answers())
    """)


@pytest.mark.slow
def test_workers_of_loky_compute_the_same():
    run("""
        import joblib
        many = joblib.Parallel(n_jobs=2, backend="loky")(joblib.delayed(answers)() for _ in range(4))
        assert all(same(found) for found in many)
        assert same(answers())
    """)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_forked_workers_of_a_data_loader_compute_the_same():
    run("""
        class Data(torch.utils.data.Dataset):
            def __len__(self):
                return 4

            def __getitem__(self, i):
                return [torch.from_numpy(found) for found in answers()]

        loader = torch.utils.data.DataLoader(Data(), batch_size=None, num_workers=2, multiprocessing_context="fork")
        for found in loader:
            assert same([tensor.numpy() for tensor in found])
    """)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_forked_pool_computes_the_same():
    run("""
        import multiprocessing
        with multiprocessing.get_context("fork").Pool(2, torch.set_num_threads, (1,)) as pool:
            many = [pool.apply_async(answers).get(timeout=120) for _ in range(4)]
        assert all(same(found) for found in many)
    """)
