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
    found: OrderedDict[Any, Any] = OrderedDict()
    lock = Lock()

    @wraps(make)
    def asked(*args: P.args, **kwargs: P.kwargs) -> R:
        with lock:
            if args in found:
                found.move_to_end(args)
                return found[args]
        result = make(*args, **kwargs)
        with lock:
            found[args] = result
            # Results may have grown since they came in, so that sizes are taken anew; the last one stays.
            while len(found) > 1 and sum(map(_size, found.values())) > _LIMIT:
                found.popitem(last=False)
        return result

    asked.found = found  # type: ignore[attr-defined]
    return asked


def _size(result: Any) -> int:
    return sum(map(_size, result)) if isinstance(result, tuple) else int(result.nbytes)
