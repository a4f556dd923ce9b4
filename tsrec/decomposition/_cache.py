"""Results that are kept for the next question, as long as they take little memory together."""

from collections import OrderedDict
from collections.abc import Callable
from functools import wraps
from threading import Lock
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

# What the results of one function may take together, in bytes.
_LIMIT = 1 << 28


def kept(make: Callable[P, R]) -> Callable[P, R]:
    """Keep what a function returns, arrays or whatever else has `nbytes`: those asked for last, up to a size.

    Parameters
    ----------
    make : callable
        Its arguments are hashable and come by position.

    Returns
    -------
    callable
        The same function; its attribute `found` holds the results.
    """
    found: OrderedDict[Any, tuple[R, int]] = OrderedDict()
    lock, total = Lock(), 0

    @wraps(make)
    def asked(*args: P.args, **kwargs: P.kwargs) -> R:
        nonlocal total
        with lock:
            if args in found:
                found.move_to_end(args)
                return found[args][0]
        result = make(*args, **kwargs)
        with lock:
            total -= found.pop(args, (result, 0))[1]
            found[args] = result, _size(result)
            total += found[args][1]
            # The last one stays, whatever its size.
            while len(found) > 1 and total > _LIMIT:
                total -= found.popitem(last=False)[1][1]
        return result

    asked.found = found  # type: ignore[attr-defined]
    return asked


def _size(result: Any) -> int:
    return sum(map(_size, result)) if isinstance(result, tuple) else int(result.nbytes)
