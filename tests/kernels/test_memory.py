"""Large blocks are used again when, and only when, nothing looks at them any more."""

import os
import threading

import pytest
import torch

from tsrec.kernels import _memory

LARGE = (_memory.BLOCK_MIN_BYTES // 4, 1)


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch):
    monkeypatch.setattr(_memory, "_kept", [])


def test_a_block_is_used_again_once_its_tensor_is_gone():
    first = _memory.empty(LARGE, torch.float32)
    address = first.data_ptr()
    assert _memory.empty(LARGE, torch.float32).data_ptr() != address
    del first
    assert _memory.empty(LARGE, torch.float32).data_ptr() == address


def test_a_view_or_a_graph_keeps_the_block_in_use():
    tensor = _memory.empty(LARGE, torch.float32).fill_(1.0).requires_grad_()
    product, address = tensor * tensor, tensor.data_ptr()
    view = tensor.detach()[5:9]
    del tensor
    assert _memory.empty(LARGE, torch.float32).fill_(7.0).data_ptr() != address
    assert view.sum() == 4
    product.sum().backward()
    del product, view
    assert _memory.empty(LARGE, torch.float32).data_ptr() == address


def test_much_smaller_tensors_take_their_own_memory():
    shape = (5 * LARGE[0], 1)
    address = _memory.empty(shape, torch.float32).data_ptr()
    assert _memory.empty(LARGE, torch.float32).data_ptr() != address


def test_no_more_is_kept_than_allowed(monkeypatch):
    monkeypatch.setattr(_memory, "KEPT_MAX_BYTES", 5 * _memory.BLOCK_MIN_BYTES // 2)
    tensors = [_memory.empty(LARGE, torch.float32) for _ in range(4)]
    assert len({tensor.data_ptr() for tensor in tensors}) == 4
    assert len(_memory._kept) == 2


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.complex128], ids=str)
def test_memory_is_aligned_and_shaped(dtype):
    shape = (2, _memory.BLOCK_MIN_BYTES // dtype.itemsize, 1)
    tensor = _memory.empty(shape, dtype)
    assert tensor.shape == shape
    assert tensor.dtype == dtype
    assert tensor.is_contiguous()
    assert tensor.storage_offset() == 0
    assert tensor.data_ptr() % 64 == 0


def test_threads_never_share_a_block():
    held, barrier = [], threading.Barrier(8)

    def work(mark):
        barrier.wait()
        for i in range(20):
            tensor = _memory.empty(LARGE, torch.float32)
            if i % 2:  # half of them go back to be lent again
                held.append((tensor, 100 * mark + i))
                tensor.fill_(100 * mark + i)

    threads = [threading.Thread(target=work, args=(mark,)) for mark in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(held) == 80
    assert len({tensor.data_ptr() for tensor, _ in held}) == 80
    assert all((tensor == mark).all() for tensor, mark in held)


def test_a_block_larger_than_all_that_may_be_kept_goes_back_to_the_system(monkeypatch):
    monkeypatch.setattr(_memory, "KEPT_MAX_BYTES", 2 * _memory.BLOCK_MIN_BYTES)
    small = _memory.empty(LARGE, torch.float32)
    large = _memory.empty((3 * LARGE[0], 1), torch.float32)
    assert [block.memory.size < 3 * 4 * LARGE[0] for block in _memory._kept] == [True]
    del small, large


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_forked_while_the_lock_is_held_gets_a_new_one():
    with _memory._lock:
        child = os.fork()
        if child == 0:
            os._exit(0 if _memory._lock.acquire(blocking=False) else 3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_results_are_no_views():
    assert not _memory.empty(LARGE, torch.float32)._is_view()
