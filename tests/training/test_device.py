import threading

import pytest
import torch

from tsrec.training import resolve_device, single_thread


def test_cpu_and_auto_are_found():
    assert resolve_device("cpu") == torch.device("cpu")
    assert resolve_device("auto").type in {"cpu", "cuda", "mps"}
    assert resolve_device(torch.device("cpu")).type == "cpu"


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "meta", 3.5])
def test_a_device_that_is_not_there_is_refused_by_name(name):
    with pytest.raises(ValueError, match="device="):
        resolve_device(name)


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_one_thread_inside_and_the_old_count_after_also_on_errors(two_threads):
    seen = []

    @single_thread()
    def fail():
        seen.append(torch.get_num_threads())
        raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert seen == [1]
    assert torch.get_num_threads() == 2
    with single_thread(active=False):
        assert torch.get_num_threads() == 2


def test_overlapping_blocks_in_python_threads_leave_the_count_as_it_was(two_threads):
    inside, leave, counts = threading.Event(), threading.Event(), []

    def long_fit():
        with single_thread():
            inside.set()
            leave.wait(10)
        counts.append(torch.get_num_threads())

    def short_fit():
        with single_thread():
            counts.append(torch.get_num_threads())
        counts.append(torch.get_num_threads())

    first = threading.Thread(target=long_fit)
    first.start()
    inside.wait(10)
    second = threading.Thread(target=short_fit)
    second.start()
    second.join(10)
    leave.set()
    first.join(10)
    assert counts == [1, 2, 2]
    assert torch.get_num_threads() == 2
    fresh = threading.Thread(target=lambda: counts.append(torch.get_num_threads()))
    fresh.start()
    fresh.join(10)
    assert counts[-1] == 2
