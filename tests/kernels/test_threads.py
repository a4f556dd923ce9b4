"""Parallel kernels run only where they are safe, and give the same numbers as the serial ones."""

import os
import threading

import numba
import numpy as np
import pytest
import torch

from tsrec.kernels import _numba, _numba_conv, _numba_scan, _numba_selective_adjoint, _numba_selective_scan, linear_scan

LARGE = _numba.PARALLEL_MIN_ELEMENTS


@pytest.fixture
def several_threads(monkeypatch):
    """A process in which parallel kernels would be allowed."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(_numba, "_max_threads", lambda: 2)
    monkeypatch.setattr(_numba, "_parallel_pid", None)
    assert _numba.may_run_parallel(2, LARGE)


@pytest.mark.usefixtures("several_threads")
def test_small_work_stays_serial():
    assert not _numba.may_run_parallel(2, LARGE - 1)
    assert not _numba.may_run_parallel(1, LARGE)


@pytest.mark.usefixtures("several_threads")
def test_a_process_with_one_thread_stays_serial(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert not _numba.may_run_parallel(2, LARGE)


@pytest.mark.usefixtures("several_threads")
def test_a_child_of_a_process_that_ran_parallel_stays_serial(monkeypatch):
    monkeypatch.setattr(_numba, "_parallel_pid", os.getpid() + 1)
    assert not _numba.may_run_parallel(2, LARGE)


@pytest.mark.usefixtures("several_threads")
def test_other_threads_stay_serial():
    answers = []
    thread = threading.Thread(target=lambda: answers.append(_numba.may_run_parallel(2, LARGE)))
    thread.start()
    thread.join()
    assert answers == [False]


@pytest.mark.usefixtures("several_threads")
def test_data_loader_workers_stay_serial(monkeypatch):
    monkeypatch.setattr(torch.utils.data, "get_worker_info", lambda: object())
    assert not _numba.may_run_parallel(2, LARGE)


def test_the_number_of_threads_is_restored():
    before = numba.get_num_threads()
    with _numba.threads():
        assert numba.get_num_threads() == min(torch.get_num_threads(), _numba._max_threads())
    assert numba.get_num_threads() == before


def random(*shape):
    return np.random.default_rng(0).standard_normal(shape)


@pytest.mark.slow
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize("length", [1, 300])
def test_parallel_scans_equal_serial_ones_bit_for_bit(length, constant, reverse):
    a, b, h0 = 0.5 * random(4, 1 if constant else length, 90), random(4, length, 90), random(4, 90)
    results = []
    for name, blocks in (("serial", ()), ("parallel", (3,))):
        h, state, carry = np.full_like(b, np.nan), h0.copy(), h0.copy()
        getattr(_numba_scan, f"_scan_{name}")(a, b, state, h, reverse, *blocks)
        da, db = np.full_like(a, np.nan), np.full_like(b, np.nan)
        getattr(_numba_scan, f"_adjoint_{name}")(a, h, h0, b, carry, da, db, reverse, *blocks)
        results.append((h, state, da, db, carry))
    assert all(np.array_equal(x, y) for x, y in zip(*results, strict=True))
    assert not any(np.isnan(x).any() for x in results[0])


def test_channels_are_cut_only_where_batch_rows_do_not_suffice(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    assert _numba_scan._blocks(torch.empty(4, 10, 10**5)) == 1
    assert _numba_scan._blocks(torch.empty(2, 10, 4096)) == 2
    assert _numba_scan._blocks(torch.empty(1, 10, 4096)) == 4
    assert _numba_scan._blocks(torch.empty(1, 10, 1024)) == 1


def test_serial_and_parallel_are_two_functions():
    """Two compilations of one Python function share a cache entry: the second would load the first's code."""
    pairs = (
        *((_numba_scan, "_scan"), (_numba_scan, "_adjoint"), (_numba_conv, "_conv"), (_numba_conv, "_gradient")),
        *((_numba_selective_scan, "scan"), (_numba_selective_adjoint, "adjoint")),
    )
    for module, stem in pairs:
        serial, parallel = getattr(module, f"{stem}_serial"), getattr(module, f"{stem}_parallel")
        assert serial.py_func is not parallel.py_func
        assert parallel.targetoptions["parallel"]
        assert not serial.targetoptions.get("parallel")
        assert serial.targetoptions["nogil"]


@pytest.mark.slow
def test_large_calls_from_threads_at_once_agree_with_the_main_thread():
    a, b = torch.rand(8, 128, 256), torch.rand(8, 128, 256)
    wanted, _ = linear_scan(a, b)
    answers = [None] * 4

    def work(i):
        answers[i] = linear_scan(a, b)[0]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(answer, wanted) for answer in answers)
