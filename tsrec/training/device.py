"""Where a module runs: the device a user names, and how many torch threads small steps get."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_lock = threading.Lock()
_inside = 0
_threads_outside = 1


def resolve_device(device: str | torch.device = "auto") -> torch.device:
    """Turn the name a user gives into a device that exists here.

    Parameters
    ----------
    device : str or torch.device, default "auto"
        "auto" takes CUDA, then MPS, then the CPU; or "cpu", "cuda", "cuda:1", "mps".

    Returns
    -------
    torch.device

    Raises
    ------
    ValueError
        If the name is unknown or the device is not there.

    Examples
    --------
    >>> resolve_device("cpu")
    device(type='cpu')
    """
    if device == "auto":
        kinds = [("cuda", torch.cuda.is_available()), ("mps", torch.backends.mps.is_available())]
        return torch.device(next((kind for kind, there in kinds if there), "cpu"))
    try:
        resolved = torch.device(device)
    except (RuntimeError, TypeError) as err:
        raise ValueError(f"device={device!r} is not known; use 'auto', 'cpu', 'cuda', 'cuda:1' or 'mps'.") from err
    if resolved.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (resolved.index or 0) >= count:
            raise ValueError(f"device={device!r}: torch sees {count} CUDA devices here; use device='auto' or 'cpu'.")
    elif resolved.type == "mps":
        if not torch.backends.mps.is_available():
            raise ValueError("device='mps': torch sees no Apple GPU here; use device='auto' or 'cpu'.")
    elif resolved.type != "cpu":
        raise ValueError(f"device={device!r} is not supported; use 'auto', 'cpu', 'cuda', 'cuda:1' or 'mps'.")
    return resolved


@contextmanager
def single_thread(active: bool = True) -> Iterator[None]:
    """Run torch on one thread inside the block: small steps lose more to a pool of spinning threads than they gain.

    The count outside the block is kept once for the whole process, by the first block that is entered: torch hands a
    count set in one Python thread on to threads that start later, so a block that reads "the count before me" while
    another is open would read 1 and restore 1 for good.

    Parameters
    ----------
    active : bool, default True
        False leaves the count alone, for work on a GPU or for large steps.

    Examples
    --------
    >>> with single_thread():
    ...     torch.get_num_threads()
    1
    """
    global _inside, _threads_outside
    if not active:
        yield
        return
    with _lock:
        if _inside == 0:
            _threads_outside = torch.get_num_threads()
        _inside += 1
        torch.set_num_threads(1)
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            torch.set_num_threads(_threads_outside)
