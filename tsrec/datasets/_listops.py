"""ListOps: nested lists of digits, to be reduced to one digit."""

from collections.abc import Callable
from itertools import chain, islice

import numpy as np

from tsrec.datasets._recall import check_whole

# Symbols by number: 0 is left for padding, then come the digits, the beginnings of operations, and their common end.
_FIRST_DIGIT, _FIRST_OPERATION, _END = 1, 11, 15
_DIGIT_SHARE = 0.75
# Draws in a row that were of no use, before it is said that there is next to nothing to find.
_MOST_MISSES = 20_000


def _median(numbers: list[int]) -> int:
    ordered, n = sorted(numbers), len(numbers)
    return (ordered[(n - 1) // 2] + ordered[n // 2]) // 2


def _sum_modulo(numbers: list[int]) -> int:
    return sum(numbers) % 10


_OPERATIONS: tuple[Callable[[list[int]], int], ...] = (min, max, _median, _sum_modulo)

# Nodes of one depth: how many arguments each has (0 for a digit), and its symbol.
_Level = tuple[np.ndarray, np.ndarray]


def make_listops(
    n_series: int = 1000,
    *,
    min_length: int = 500,
    max_length: int = 2000,
    max_depth: int = 10,
    max_arguments: int = 10,
    random_state: int | np.random.Generator | None = None,
) -> tuple[list[np.ndarray], np.ndarray]:
    """Expressions such as ``[MAX 2 9 [MIN 4 7 ] 0 ]``, and the digit that each comes to.

    Nodes are digits with probability 0.75 and at the last depth, else the least, the largest, the median (rounded down)
    or the sum modulo 10 of 2 to `max_arguments` nodes. Expressions outside the bounds of length are drawn again.

    Parameters
    ----------
    n_series : int, default 1000
        Expressions, no two alike.
    min_length, max_length : int, default 500, 2000
        Symbols of an expression, between the two and neither: an operation counts two, for its beginning and its end.
    max_depth : int, default 10
        Depth of the deepest digits; the whole expression is at depth 1.
    max_arguments : int, default 10
        Arguments of an operation at most.
    random_state : int, numpy Generator or None
        Seed of the draws. The same seed gives the same numbers.

    Returns
    -------
    X : list of int64 arrays of shape (n_times,)
        Symbols: 1 to 10 are the digits 0 to 9, 11 is ``[MIN``, 12 ``[MAX``, 13 ``[MED``, 14 ``[SM`` and 15 ``]``; 0 is
        left for padding. There are no other parentheses.
    y : int64 array of shape (n_series,)
        The digits.

    Raises
    ------
    ValueError
        If a number is out of range, or next to no expression has such a length.

    References
    ----------
    Nangia and Bowman (2018), ListOps: A Diagnostic Dataset for Latent Tree Learning, arXiv 1804.06028. Tay et al.
    (2020), Long Range Arena, arXiv 2011.04006, which has 96,000, 2,000 and 2,000 of them for training, validation and
    test.

    Examples
    --------
    >>> from tsrec.datasets import make_listops
    >>> X, y = make_listops(20, min_length=5, max_length=40, random_state=0)
    >>> len(X), bool((y < 10).all())
    (20, True)
    """
    check_whole("n_series", n_series, 1)
    check_whole("min_length", min_length, 0)
    check_whole("max_length", max_length, min_length + 2)
    check_whole("max_depth", max_depth, 1)
    check_whole("max_arguments", max_arguments, 2)
    rng = np.random.default_rng(random_state)
    known: dict[bytes, tuple[np.ndarray, int]] = {}
    misses = 0
    while len(known) < n_series:
        levels = _draw_tree(min_length, max_length, max_depth, max_arguments, rng)
        found = None if levels is None else _read_tree(levels)
        misses += 1
        if found is not None and (key := found[0].tobytes()) not in known:
            known[key], misses = found, 0
        elif misses > _MOST_MISSES:
            raise ValueError(
                f"n_series: got {n_series}, but only {len(known)} different expressions with more than {min_length} "
                f"and fewer than {max_length} symbols were found, then none in {_MOST_MISSES:,} draws. Pass fewer, "
                "bounds of length that are further apart, or another max_depth or max_arguments."
            )
    X, y = zip(*known.values(), strict=True)
    return list(X), np.array(y, dtype=np.int64)


def _draw_tree(
    min_length: int, max_length: int, max_depth: int, max_arguments: int, rng: np.random.Generator
) -> list[_Level] | None:
    """Nodes of a tree, depth after depth; None, as soon as it is known, when its length is out of bounds."""
    shape: list[np.ndarray] = []
    width, length = 1, 0
    while width:
        is_list = rng.random(width) >= _DIGIT_SHARE if len(shape) + 1 < max_depth else np.zeros(width, dtype=bool)
        arguments = np.zeros(width, dtype=np.int64)
        arguments[is_list] = rng.integers(2, max_arguments, size=np.count_nonzero(is_list), endpoint=True)
        shape.append(arguments)
        length += width + int(np.count_nonzero(is_list))
        width = int(arguments.sum())
        # Nodes that are still to be drawn count one or two each.
        if length + width >= max_length:
            return None
    if length <= min_length:
        return None
    # Most trees end above, so symbols are drawn for the others only.
    return [(arguments, _draw_symbols(arguments > 0, rng)) for arguments in shape]


def _draw_symbols(is_list: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    digits = rng.integers(_FIRST_DIGIT, _FIRST_OPERATION, size=len(is_list))
    return np.where(is_list, rng.integers(_FIRST_OPERATION, _END, size=len(is_list)), digits)


def _read_tree(levels: list[_Level]) -> tuple[np.ndarray, int]:
    """Symbols of a tree in the order of writing, and what it comes to; from the deepest nodes up, without recursion."""
    below: list[tuple[list[int], int]] = []
    for arguments, symbols in reversed(levels):
        parts, here = iter(below), []
        for count, symbol in zip(arguments.tolist(), symbols.tolist(), strict=True):
            if not count:
                here.append(([symbol], symbol - _FIRST_DIGIT))
                continue
            written, numbers = zip(*islice(parts, count), strict=True)
            value = _OPERATIONS[symbol - _FIRST_OPERATION](list(numbers))
            here.append(([symbol, *chain.from_iterable(written), _END], value))
        below = here
    ((whole, value),) = below
    return np.array(whole, dtype=np.int64), value
