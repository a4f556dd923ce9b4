"""Dynamic time warping of windows: the distance in a band, bounds below it, and the nearest of many candidates.

A path of warping pairs every sample of one window with samples at most so many steps away in the other (Sakoe and Chiba
1978); its cost is the sum of squared distances, over all channels, and the distance the root of the least cost.
"""

from typing import NamedTuple

import numba
import numpy as np

from tsrec.kernels._numba import INLINE, OPTIONS
from tsrec.kernels._numba_pointers import INPUT, OUTPUT, SUMS_0, SUMS_1, load, pointer, store
from tsrec.retrieval._exact import standardised
from tsrec.retrieval._warp import resampled, take

# Candidates measured in one call, after which the interpreter sees an interrupt.
_AT_A_TIME = 4096
# A bound and the cost it bounds are rounded differently.
_SLACK = 1 - 1e-10
# Steps from one look at whether a path can still be short enough to the next.
_LOOK = 8


def radius(m: int, band: float) -> int:
    """Greatest distance in samples of two that may be paired, in windows of m samples."""
    return min(round(band * m), m - 1)


def dtw(a: np.ndarray, b: np.ndarray, *, band: float = 0.1) -> float:
    """Distance of two windows by dynamic time warping, each channel z-normalised.

    Parameters
    ----------
    a : float64 array of shape (m, C)
        Finite.
    b : float64 array of shape (l, C)
        Finite; resampled to m samples first.
    band : float
        Greatest shift of paired samples as a share of m: 0 is the Euclidean distance, 1 any shift.

    Returns
    -------
    float
    """
    _, distance = nearest_dtw(a, b, np.zeros(1, np.int64), lengths=len(b), band=band)
    return float(distance[0])


def dtw_reference(a: np.ndarray, b: np.ndarray, *, band: float = 0.1) -> float:
    """What `dtw` means, cell by cell."""
    m = len(a)
    x, y = standardised(a), standardised(resampled(b, m))
    cost = np.full((m + 1, m + 1), np.inf)
    cost[0, 0] = 0
    for i in range(m):
        for j in range(m):
            if abs(i - j) <= radius(m, band):
                before = min(cost[i, j], cost[i, j + 1], cost[i + 1, j])
                cost[i + 1, j + 1] = before + np.square(x[i] - y[j]).sum()
    return float(np.sqrt(cost[m, m]))


def nearest_dtw(
    query: np.ndarray,
    values: np.ndarray,
    starts: np.ndarray,
    *,
    lengths: int | np.ndarray | None = None,
    k: int = 1,
    band: float = 0.1,
    limit: float = np.inf,
) -> tuple[np.ndarray, np.ndarray]:
    """Windows of a long array nearest to a query by dynamic time warping, each channel z-normalised.

    All candidates are ordered by a bound below their distance and measured in that order until the bound of the next
    exceeds the k-th distance found; a measurement ends as soon as it must exceed that. The answer is that of measuring
    all.

    Parameters
    ----------
    query : float64 array of shape (m, C)
        Finite.
    values : float64 array of shape (n, C)
        NaN where missing; windows with such samples are never found.
    starts : int64 array of shape (n_candidates,)
        Where candidates begin.
    lengths : int, int64 array of shape (n_candidates,) or None
        Samples of the candidates, which are resampled to m; None for m.
    k : int
        How many at most.
    band : float
        Greatest shift of paired samples as a share of m: 0 is the Euclidean distance, 1 any shift.
    limit : float
        Greatest distance.

    Returns
    -------
    order : int64 array of shape (n_found,)
        Which candidates, nearest first, at equal distances in the order of `starts`.
    distance : float64 array of shape (n_found,)

    References
    ----------
    Keogh and Ratanamahatana: Exact indexing of dynamic time warping. Knowledge and Information Systems 2005.
    Rakthanmanon et al.: Searching and mining trillions of time series subsequences under dynamic time warping. KDD
    2012.

    Examples
    --------
    >>> values = np.sin(np.arange(60.0) ** 1.3)[:, None]
    >>> order, distance = nearest_dtw(values[20:40], values, np.arange(41), k=2)
    >>> order, distance.round(2)
    (array([20, 22]), array([0.  , 2.14]))
    """
    m = len(query)
    starts = np.asarray(starts, np.int64)
    sizes = np.full(len(starts), m, np.int64)
    sizes[:] = m if lengths is None else lengths
    candidates = Candidates(np.asarray(values, np.float64), starts, sizes)
    wanted = _prepared(query, radius(m, band))
    bounds = np.empty(len(starts))
    for first in range(0, len(starts), _AT_A_TIME):
        _bound(wanted, candidates, first, bounds[first : first + _AT_A_TIME])
    order = np.argsort(bounds, kind="stable")
    k = min(k, len(starts))
    found, distance = np.full(k, -1), np.full(k, np.inf)
    for first in range(0, len(starts), _AT_A_TIME):
        some = order[first : first + _AT_A_TIME]
        if not _measure(wanted, candidates, some, bounds, limit, found, distance):
            break
    return found[found >= 0], distance[found >= 0]


class Candidates(NamedTuple):
    """Windows of a long array (n, C): where they begin, and how long they are."""

    values: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray


class Wanted(NamedTuple):
    """A query z-normalised (C, m), the greatest and least of it within the radius of each sample, and the radius."""

    unit: np.ndarray
    upper: np.ndarray
    lower: np.ndarray
    radius: int


def _prepared(query: np.ndarray, reach: int) -> Wanted:
    unit = np.empty(query.shape[::-1])
    take(np.asarray(query, np.float64), 0, len(query), unit)
    upper, lower = np.empty_like(unit), np.empty_like(unit)
    for channel, row in enumerate(unit):
        envelope(row, reach, upper[channel], lower[channel])
    return Wanted(unit, upper, lower, reach)


@numba.njit(nogil=True, **{**OPTIONS, "fastmath": False})
def envelope(x: np.ndarray, reach: int, upper: np.ndarray, lower: np.ndarray) -> None:
    """Write the greatest and the least of x (m,) within `reach` samples of each, in one pass (Lemire 2009)."""
    m = len(x)
    # Samples that may still be the greatest (least), in order of time and of falling (rising) value.
    high, low = np.empty(m, np.int64), np.empty(m, np.int64)
    high_first = high_end = low_first = low_end = 0
    for t in range(m + reach):
        if t < m:
            while high_end > high_first and x[high[high_end - 1]] <= x[t]:
                high_end -= 1
            high[high_end] = t
            high_end += 1
            while low_end > low_first and x[low[low_end - 1]] >= x[t]:
                low_end -= 1
            low[low_end] = t
            low_end += 1
        centre = t - reach
        if centre >= 0:
            if high[high_first] < centre - reach:
                high_first += 1
            if low[low_first] < centre - reach:
                low_first += 1
            upper[centre], lower[centre] = x[high[high_first]], x[low[low_first]]


@numba.njit(nogil=True, **OPTIONS)
def bound_of_ends(a: np.ndarray, b: np.ndarray) -> float:
    """Cost of the first and last pairs of two windows (C, m), which every path has (as in Kim et al. 2001)."""
    m = a.shape[1]
    total = 0.0
    for channel in range(len(a)):
        total += (a[channel, 0] - b[channel, 0]) ** 2
        if m > 1:
            total += (a[channel, m - 1] - b[channel, m - 1]) ** 2
    return total


@numba.njit(nogil=True, **OPTIONS)
def bound_of_envelope(x: np.ndarray, upper: np.ndarray, lower: np.ndarray, parts: np.ndarray) -> float:
    """Cost of leaving an envelope, by samples of a window (C, m) to `parts` (m,) and in all (Keogh 2005)."""
    m = x.shape[1]
    parts[:] = 0.0
    total = 0.0
    for channel in range(len(x)):
        row, high, low = x[channel], upper[channel], lower[channel]
        for t in range(m):
            apart = max(max(row[t] - high[t], low[t] - row[t]), 0.0)
            parts[t] += apart * apart
    for t in range(m):
        total += parts[t]
    return total


@numba.njit(nogil=True, **OPTIONS)
def _bound(wanted: Wanted, candidates: Candidates, first: int, bounds: np.ndarray) -> None:
    """Write bounds below the costs of candidates; infinite ones for windows with missing samples."""
    window, parts = np.empty_like(wanted.unit), np.empty(wanted.unit.shape[1])
    for row in range(len(bounds)):
        start, length = candidates.starts[first + row], candidates.lengths[first + row]
        if take(candidates.values, start, length, window):
            ends = bound_of_ends(wanted.unit, window)
            bounds[row] = max(ends, bound_of_envelope(window, wanted.upper, wanted.lower, parts)) * _SLACK
        else:
            bounds[row] = np.inf


@numba.njit(nogil=True, **OPTIONS)
def _measure(
    wanted: Wanted,
    candidates: Candidates,
    order: np.ndarray,
    bounds: np.ndarray,
    limit: float,
    found: np.ndarray,
    distance: np.ndarray,
) -> bool:
    """Measure candidates in order of their bounds, and keep the nearest; say if later ones may be among them."""
    window, parts = np.empty_like(wanted.unit), np.empty(wanted.unit.shape[1])
    backwards, after = np.empty_like(window), np.empty_like(parts)
    rows = np.empty((3, wanted.radius + 5))
    for one in order:
        reach = min(limit, distance[-1])
        if not bounds[one] <= reach * reach or bounds[one] == np.inf:
            return False
        take(candidates.values, candidates.starts[one], candidates.lengths[one], window)
        bound_of_envelope(window, wanted.upper, wanted.lower, parts)
        _turn(window, parts, backwards, after)
        apart = np.sqrt(_cost(wanted.unit, backwards, wanted.radius, after, reach * reach, rows))
        if apart <= reach:
            _insert(one, apart, found, distance)
    return True


@numba.njit(nogil=True, **OPTIONS)
def _turn(window: np.ndarray, parts: np.ndarray, backwards: np.ndarray, after: np.ndarray) -> None:
    """Write a window (C, m) backwards, and with each sample what all later ones cost at least, by parts of a bound."""
    m = window.shape[1]
    total = 0.0
    for t in range(m):
        for channel in range(len(window)):
            backwards[channel, t] = window[channel, m - 1 - t]
        after[t] = total
        total += parts[m - 1 - t]


@numba.njit(nogil=True, **OPTIONS)
def _insert(one: int, apart: float, found: np.ndarray, distance: np.ndarray) -> None:
    """Sort a candidate nearer than the last into the nearest, by distance and number."""
    place = len(found) - 1
    if apart == distance[place] and one > found[place] >= 0:
        return
    while place > 0 and (apart < distance[place - 1] or (apart == distance[place - 1] and one < found[place - 1])):
        found[place], distance[place] = found[place - 1], distance[place - 1]
        place -= 1
    found[place], distance[place] = one, apart


@numba.njit(nogil=True, **OPTIONS)
def _cost(a: np.ndarray, b: np.ndarray, reach: int, after: np.ndarray, limit: float, rows: np.ndarray) -> float:
    """Least cost of a path through windows a and b (C, m), the latter backwards; infinite once it exceeds the limit.

    Cells (i, j) with the same i + j do not depend on each other, and are computed together; with b backwards their
    samples lie in order. Each replaces the cell (i - 1, j - 1): `rows` hold the diagonals i - j = 2e and 2e + 1. A path
    that steps over such a line meets the next.
    """
    m = a.shape[1]
    middle = reach // 2 + 2
    rows[:] = np.inf
    rows[0, middle] = 0.0
    even, odd, local = pointer(rows, middle), pointer(rows[1], middle), pointer(rows[2], middle)
    for step in range(m):
        back = m - 1 - step
        half = min(reach // 2, step, back)
        _apart(a, b, step, back, -half, half, local)
        _even(even, odd, local, half)
        least = np.inf
        if step % _LOOK == 0:
            least = _least(rows[0, middle - half : middle + half + 1], after[back - half :])
        if step == m - 1:
            break
        half = min((reach - 1) // 2, step, back - 1)
        _apart(a, b, step + 1, back, -half - 1, half, local)
        _odd(even, odd, local, half)
        if step % _LOOK == 0:
            least = min(least, _least(rows[1, middle - half - 1 : middle + half + 1], after[back - half - 1 :]))
            if least * _SLACK > limit:
                return np.inf
    return rows[0, middle]


@numba.njit(**INLINE)
def _apart(a: np.ndarray, b: np.ndarray, i: int, back: int, low: int, high: int, local: np.ndarray) -> None:
    """Write squared distances of samples i + e of a and `back` + e of b, for e from low to high."""
    for channel in range(len(a)):
        x, y = pointer(a, channel * a.shape[1] + i), pointer(b, channel * a.shape[1] + back)
        if channel == 0:
            for e in range(low, high + 1):
                apart = load(x, e, INPUT) - load(y, e, INPUT)
                store(local, e, OUTPUT, apart * apart)
        else:
            for e in range(low, high + 1):
                apart = load(x, e, INPUT) - load(y, e, INPUT)
                store(local, e, OUTPUT, load(local, e, OUTPUT) + apart * apart)


@numba.njit(**INLINE)
def _even(even: np.ndarray, odd: np.ndarray, local: np.ndarray, half: int) -> None:
    for e in range(-half, half + 1):
        before = min(min(load(odd, e - 1, SUMS_1), load(odd, e, SUMS_1)), load(even, e, SUMS_0))
        store(even, e, SUMS_0, load(local, e, OUTPUT) + before)


@numba.njit(**INLINE)
def _odd(even: np.ndarray, odd: np.ndarray, local: np.ndarray, half: int) -> None:
    for e in range(-half - 1, half + 1):
        before = min(min(load(even, e, SUMS_0), load(even, e + 1, SUMS_0)), load(odd, e, SUMS_1))
        store(odd, e, SUMS_1, load(local, e, OUTPUT) + before)


@numba.njit(nogil=True, **{**OPTIONS, "fastmath": OPTIONS["fastmath"] | {"nnan"}})
def _least(line: np.ndarray, after: np.ndarray) -> float:
    """Bound below the costs of paths through the cells of a line."""
    least = np.inf
    for e in range(len(line)):
        total = line[e] + after[e]
        least = total if total < least else least
    return least
