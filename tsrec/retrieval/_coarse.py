"""Coarse search: stretches of a query are looked up among the windows, and vote for where it would begin."""

from typing import NamedTuple

import numpy as np

from tsrec.retrieval._corpus import packed, unpacked
from tsrec.retrieval._windows import Windows

# Stretches of a query that are looked up, at most: their offsets within a stride, and places along the query.
_OFFSETS, _PLACES = 16, 4


class Candidates(NamedTuple):
    """Rows of series where a query may begin: from `low` to `high`."""

    series: np.ndarray
    low: np.ndarray
    high: np.ndarray


def stretches(m: int, scale: int, step: int) -> np.ndarray:
    """Offsets of the stretches of a query of m rows that are looked up.

    Windows begin at every `step` rows, so that one of the offsets within a step meets them nearly in phase.
    """
    within = np.unique(np.linspace(0, min(step - 1, m - scale), min(_OFFSETS, step, m - scale + 1)).astype(np.int64))
    room = m - scale - within[-1]
    places = np.linspace(0, room, min(_PLACES, room // scale + 1)).astype(np.int64)
    return np.unique(places[:, None] + within)


def candidates(windows: Windows, query: np.ndarray, scale: int, n: int, mask: np.ndarray | None) -> Candidates:
    """Where a query may begin, best first.

    Parameters
    ----------
    windows : Windows
        What is looked up.
    query : float64 array of shape (m, C)
        At least as long as the scale.
    scale : int
        Which windows.
    n : int
        How many are wanted, at most.
    mask : bool array, optional
        Which windows of the scale count.

    Returns
    -------
    Candidates
    """
    step = windows.steps[scale]
    offsets = stretches(len(query), scale, step)
    vectors = windows.embed_query(query, offsets, scale, scale)
    distance, number = windows.search(scale, vectors, n, mask)
    known, found = number >= 0, windows.of(scale)
    series = found.series[number[known]]
    start = (found.rows[number] - offsets[:, None])[known]
    # A stretch that lies across a window by half a step votes for a start that is off by as much.
    key = packed(series, (start + (1 << 30)) // step)
    # What is not among the nearest of a stretch is taken to be as far as the last of them.
    squared = np.square(np.where(known, distance, 0.0))
    vote = (squared.max(1, initial=0.0, keepdims=True) - squared)[known]
    places, inverse = np.unique(key, return_inverse=True)
    votes = np.bincount(inverse, weights=vote)
    # The nearest stretch is nearest in phase, which encoders may not see: the start it votes for is off by little.
    best = np.full(len(places), -1)
    by_distance = np.lexsort([start, squared[known]])[::-1]
    best[inverse[by_distance]] = start[by_distance]
    order = np.lexsort([places, -votes])[:n]
    around = step if windows.embedding.learned else max(2 * step // _OFFSETS, 2)
    return Candidates(unpacked(places[order])[0], best[order] - around, best[order] + around)
