"""Fair shares of parts in a whole: Shapley values from the worth of all subsets (Shapley 1953)."""

from collections.abc import Callable, Sequence
from itertools import combinations
from math import factorial
from typing import Any


def shapley_values(parts: Sequence[Any], worth: Callable[[frozenset[Any]], Any]) -> dict[Any, Any]:
    """Share of each part in the difference between all parts and none, exactly.

    A part's share is the mean, over all orders in which parts may come, of what its coming changes.

    Parameters
    ----------
    parts : sequence
        Names; 2^n subsets are asked for.
    worth : callable
        From a frozenset of parts to what these come to alone: a number or an array, such as a test error.

    Returns
    -------
    dict
        A share for each part; they sum to ``worth(all) - worth(none)``.

    Examples
    --------
    >>> shapley_values("ab", lambda chosen: {0: 10.0, 1: 6.0, 2: 1.0}[len(chosen)])
    {'a': -4.5, 'b': -4.5}
    """
    count = len(parts)
    subsets = [frozenset(chosen) for size in range(count + 1) for chosen in combinations(parts, size)]
    known = {chosen: worth(chosen) for chosen in subsets}
    shares = {}
    for part in parts:
        share: Any = 0.0
        for chosen in subsets:
            if part not in chosen:
                weight = factorial(len(chosen)) * factorial(count - len(chosen) - 1) / factorial(count)
                share = share + weight * (known[chosen | {part}] - known[chosen])
        shares[part] = share
    return shares
