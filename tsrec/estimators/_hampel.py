"""The Hampel identifier, looking back only: running medians and median deviations of what came before each row.

F. R. Hampel (1974), The influence curve and its role in robust estimation, JASA 69; R. K. Pearson (2002), Outliers in
process modeling and identification, IEEE Trans. Control Systems Technology 10.
"""

import numba
import numpy as np

from tsrec.kernels._numba import OPTIONS

# Makes the median absolute deviation of a normal sample its standard deviation.
_NORMAL = 1.4826
# Earlier rows of the same phase whose median is expected, and residuals that a row is judged by at least.
_SEASONS, _LEAST = 5, 15
# A spread below this share of what is expected is none.
_ROUNDING = 1e-9


@numba.njit(**OPTIONS)
def _middle(ordered, count):  # type: ignore[no-untyped-def]
    """Median of the first `count` of an ascending row."""
    return 0.5 * (ordered[(count - 1) // 2] + ordered[count // 2])


@numba.njit(**OPTIONS)
def _distance(ordered, count, center, rank):  # type: ignore[no-untyped-def]
    """The distance of this rank, from 0 on, among those of an ascending row from its median.

    Distances to the right of the middle ascend, and so do those to the left; how many of the `rank` smaller ones lie to
    the right is found by halving.
    """
    right = count // 2
    low, high = max(rank - right, 0), min(rank, count - right)
    while low < high:
        taken = (low + high) // 2
        if ordered[right + taken] - center < center - ordered[right - (rank - taken)]:
            low = taken + 1
        else:
            high = taken
    left = right - 1 - (rank - low)
    if right + low >= count:
        return center - ordered[left]
    if left < 0:
        return ordered[right + low] - center
    return min(ordered[right + low] - center, center - ordered[left])


@numba.njit(**OPTIONS)
def _median_deviation(ordered, count, center):  # type: ignore[no-untyped-def]
    """Median distance of an ascending row from its median."""
    middle = _distance(ordered, count, center, count // 2)
    return middle if count % 2 else 0.5 * (middle + _distance(ordered, count, center, count // 2 - 1))


@numba.njit(**OPTIONS)
def _insert(ordered, count, value):  # type: ignore[no-untyped-def]
    at = count
    while at > 0 and ordered[at - 1] > value:
        ordered[at] = ordered[at - 1]
        at -= 1
    ordered[at] = value


@numba.njit(**OPTIONS)
def _exchange(ordered, count, old, new):  # type: ignore[no-untyped-def]
    """Put a value in the place of another one, and move those between."""
    at = 0
    while ordered[at] != old:
        at += 1
    while at + 1 < count and ordered[at + 1] < new:
        ordered[at] = ordered[at + 1]
        at += 1
    while at > 0 and ordered[at - 1] > new:
        ordered[at] = ordered[at - 1]
        at -= 1
    ordered[at] = new


@numba.njit(**OPTIONS)
def hampel_bounds(values, offsets, season, window, threshold, lower, upper):  # type: ignore[no-untyped-def]
    """Between what values each row of one variable is no outlier, by the rows before it.

    Expected is the median of the last five values of the phase, plus the median of the last `window` residuals from
    such medians; the spread is 1.4826 times their median absolute deviation.

    Parameters
    ----------
    values : float64 array of shape (n_rows,)
        Series after series; NaN is missing.
    offsets : int64 array of shape (n_series + 1,)
    season, window : int
        Steps per season; residuals that are looked back on.
    threshold : float
        Spreads from what is expected to the bounds.
    lower, upper : float64 arrays of shape (n_rows,)
        Written. Infinite before fifteen residuals are known, and where the spread is none but for rounding.
    """
    phase, ordered, recent = np.empty(_SEASONS), np.empty(window), np.empty(window)
    for series in range(len(offsets) - 1):
        count, turn = 0, 0
        for row in range(offsets[series], offsets[series + 1]):
            lower[row], upper[row] = -np.inf, np.inf
            known = 0
            for back in range(1, _SEASONS + 1):
                earlier = row - back * season
                if earlier >= offsets[series] and not np.isnan(values[earlier]):
                    _insert(phase, known, values[earlier])
                    known += 1
            if known == 0:
                continue
            expected = _middle(phase, known)
            if count >= _LEAST:
                middle = _middle(ordered, count)
                spread = _NORMAL * _median_deviation(ordered, count, middle)
                if spread > _ROUNDING * abs(expected):
                    lower[row] = expected + middle - threshold * spread
                    upper[row] = expected + middle + threshold * spread
            residual = values[row] - expected
            if np.isnan(residual):
                continue
            if count == window:
                _exchange(ordered, count, recent[turn], residual)
            else:
                _insert(ordered, count, residual)
                count += 1
            recent[turn] = residual
            turn = turn + 1 if turn + 1 < window else 0
