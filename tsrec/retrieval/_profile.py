"""The matrix profile: the nearest neighbour of every window of a series; its motifs and discords.

All pairs of windows are compared along diagonals, where the product of one pair follows from that of the one before
(as in SCRIMP, Zhu et al. 2018, with differences about means, as in Yeh 2016): some hundred neighbouring diagonals side
by side. Products are computed anew every few thousand steps, and where a window has much less power than one before it:
after a spike of 1e9 nothing of it is left.
"""

import threading
from concurrent.futures import ThreadPoolExecutor
from heapq import heapify, heappop, heappush
from typing import NamedTuple

import numba
import numpy as np

from tsrec.kernels._numba import INLINE, OPTIONS
from tsrec.kernels._numba_pointers import INPUT, OUTPUT, SUMS, load, pointer, store
from tsrec.retrieval._moments import moments
from tsrec.retrieval._warp import take
from tsrec.training.bar import moving

# Diagonals walked side by side, and steps until their products are computed anew.
_LANES, _STEPS = 128, 4096
# A window with a smaller share of the norm of one before it has its products computed anew.
_LEAST_SHARE = 1 / 16
# Differences of samples come before anything else: reordered, they would lose digits at a level of 1e9.
_EXACT = {**OPTIONS, "fastmath": {"contract"}}


class Profile(NamedTuple):
    """The nearest neighbours of all windows.

    Attributes
    ----------
    distance : float64 array of shape (n_windows,)
        To the nearest neighbour; NaN for windows with missing samples, infinite where there is no other window.
    at : int64 array of shape (n_windows,)
        Where the nearest neighbour begins; -1 where there is none.
    """

    distance: np.ndarray
    at: np.ndarray


def profile(values: np.ndarray, m: int, exclusion: int, *, n_jobs: int = 1, verbose: int = 0) -> Profile:
    """Nearest neighbours of all windows of m samples, each channel z-normalised.

    Constant windows are all zeros: their distance is 0 to another of their kind, the root of m to others. Neighbours
    whose squared distances differ by less than 1e-9 m may be taken for each other; the distance is that of the one
    taken, to the last digits. Of neighbours equally far the first is taken. It takes O(n^2) time and O(n) memory.

    Parameters
    ----------
    values : float64 array of shape (n, C)
        One series, or several with a row of NaN between each two.
    m : int
        Samples of a window, 2 to n.
    exclusion : int
        Samples that a neighbour is away at least.
    n_jobs, verbose : int
        Threads, and whether a bar over all pairs is shown (1) or not (0).

    Returns
    -------
    Profile

    References
    ----------
    Yeh et al.: Matrix profile I. ICDM 2016.

    Examples
    --------
    >>> values = np.array([0, 1, 0, 5, 5, 2, 0, 3, 0.0])[:, None]
    >>> profile(values, 3, 3).at
    array([6, 5, 6, 6, 0, 1, 0])
    """
    return _profile(_windows(np.asarray(values, np.float64), m), max(exclusion, 1), n_jobs, verbose)


def motifs(
    values: np.ndarray, m: int, k: int, exclusion: int, *, n_jobs: int = 1, verbose: int = 0
) -> list[tuple[int, int, float]]:
    """Pairs of windows nearest to each other, no window nearer than `exclusion` to one of a pair before.

    Parameters
    ----------
    values, m, exclusion, n_jobs, verbose
        As in `profile`.
    k : int
        How many pairs at most.

    Returns
    -------
    list of (int, int, float)
        Where both windows begin, the first in time first, and their distance; nearest pair first.
    """
    windows = _windows(np.asarray(values, np.float64), m)
    return _pairs(windows, _profile(windows, max(exclusion, 1), n_jobs, verbose), k, max(exclusion, 1))


def discords(
    values: np.ndarray, m: int, k: int, exclusion: int, *, n_jobs: int = 1, verbose: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Windows farthest from their nearest neighbours, none nearer than `exclusion` to one before.

    Parameters
    ----------
    values, m, exclusion, n_jobs, verbose
        As in `profile`.
    k : int
        How many at most; windows without any neighbour do not count.

    Returns
    -------
    at : int64 array of shape (n_found,)
        Where they begin, farthest first.
    distance : float64 array of shape (n_found,)
    """
    apart, _ = profile(values, m, exclusion, n_jobs=n_jobs, verbose=verbose)
    left = np.where(np.isfinite(apart), apart, -np.inf)
    at: list[int] = []
    while len(at) < k and left.size and left.max() > -np.inf:
        at.append(int(left.argmax()))
        _close(left, at[-1], max(exclusion, 1), -np.inf)
    return np.array(at, np.int64), apart[at]


def _profile(windows: "_Windows", exclusion: int, n_jobs: int, verbose: int) -> Profile:
    best = _walked(windows, exclusion, n_jobs, verbose)
    at = np.where(best.left >= best.right, best.left_at, best.right_at)
    return Profile(_measured(windows.values, windows.m, np.arange(len(at)), at), at)


def _close(array: np.ndarray, at: int, exclusion: int, value: float) -> None:
    array[max(at - exclusion + 1, 0) : at + exclusion] = value


def _pairs(windows: "_Windows", found: Profile, k: int, exclusion: int) -> list[tuple[int, int, float]]:
    """Take pairs greedily; a window whose neighbour is closed meanwhile waits with its nearest open one."""
    is_open = np.isfinite(found.distance)
    waiting = [(found.distance[a], int(a), int(found.at[a])) for a in np.flatnonzero(is_open)]
    heapify(waiting)
    pairs: list[tuple[int, int, float]] = []
    while waiting and len(pairs) < k:
        distance, a, b = heappop(waiting)
        if not is_open[a]:
            continue
        if is_open[b]:
            pairs.append((min(a, b), max(a, b), float(distance)))
            _close(is_open, a, exclusion, False)
            _close(is_open, b, exclusion, False)
            continue
        b = _nearest(windows, a, is_open, exclusion)
        if b >= 0:
            apart = _measured(windows.values, windows.m, np.array([a]), np.array([b]))
            heappush(waiting, (apart[0], a, b))
    return pairs


class _Windows(NamedTuple):
    """A long array, and what a walk needs of all its windows; channels (C, ...) in units of their greatest norm.

    Attributes
    ----------
    values : float64 array of shape (n, C)
    m : int
    x : float64 array of shape (C, n + _LANES)
    first : float64 array of shape (C, n_windows + _LANES)
        First samples of windows about their means.
    change, sum : float64 arrays of shape (C, n_windows + _LANES)
        From the window before to this: half the difference of the sample that comes and that which goes, and the sum of
        both, each about the mean of its window. Zero where products are computed anew.
    inverse : float64 array of shape (C, n_windows + _LANES)
        Of norms; 0 for constant windows, NaN for missing ones.
    share : float64 array of shape (n_windows + _LANES,)
        What constant channels add to the correlation with any window.
    anew : int64 array of shape (n_windows + _LANES + 1,)
        How many windows before this have their products computed anew.
    """

    values: np.ndarray
    m: int
    x: np.ndarray
    first: np.ndarray
    change: np.ndarray
    sum: np.ndarray
    inverse: np.ndarray
    share: np.ndarray
    anew: np.ndarray


def _windows(values: np.ndarray, m: int) -> _Windows:
    n, n_channels = values.shape
    count = n - m + 1
    x = np.full((n_channels, n + _LANES), np.nan)
    first, change, both, inverse = np.full((4, n_channels, count + _LANES), np.nan)
    share, marks = np.zeros(count + _LANES), np.zeros(count + _LANES, bool)
    for channel, column in enumerate(values.T):
        norm = moments(column, m).norm
        largest = np.nanmax(norm, initial=0)
        unit = np.exp2(np.round(np.log2(largest))) if largest > 0 else 1.0
        x[channel, :n] = np.where(np.isfinite(column), column, np.nan) / unit
        _first_samples(x[channel], m, first[channel, :count])
        with np.errstate(divide="ignore"):
            # The product of two inverses stays finite.
            inverse[channel, :count] = np.where(norm == 0, 0.0, np.minimum(unit / norm, 1e150))
        share[:count] += np.where(norm == 0, 0.5, 0.0)
        _mark(norm, marks)
    coming, going = x[:, m:n], x[:, : n - m]
    change[:, 1:count] = (coming - going) / 2
    both[:, 1:count] = (coming - x[:, 1:count]) + first[:, 1:count] + first[:, : count - 1]
    change[:, marks], both[:, marks] = 0.0, 0.0
    return _Windows(values, m, x, first, change, both, inverse, share, np.r_[0, np.cumsum(marks)])


@numba.njit(nogil=True, **_EXACT)
def _mark(norm: np.ndarray, marks: np.ndarray) -> None:
    """Mark windows whose products are computed anew: the first, those after missing ones, and those of less power."""
    largest = 0.0
    missing = True
    for i in range(len(norm)):
        if np.isnan(norm[i]):
            missing = True
        elif missing or marks[i] or 0 < norm[i] < largest * _LEAST_SHARE:
            marks[i], missing, largest = True, False, norm[i]
        else:
            largest = max(largest, norm[i])


@numba.njit(nogil=True, **_EXACT)
def _first_samples(x: np.ndarray, m: int, first: np.ndarray) -> None:
    for i in range(len(first)):
        total = 0.0
        for t in range(m):
            total += x[i + t] - x[i]
        first[i] = -total / m


class _Best(NamedTuple):
    """Of all windows, the greatest score with one to the left and to the right, and where that begins."""

    left: np.ndarray
    left_at: np.ndarray
    right: np.ndarray
    right_at: np.ndarray


def _walked(windows: _Windows, exclusion: int, n_jobs: int, verbose: int) -> _Best:
    """Compare all pairs, in blocks of diagonals, after each of which the interpreter sees an interrupt."""
    width = len(windows.share)
    count = width - _LANES
    # The farthest pairs first, so that of equal ones the first in time is kept.
    lags = range(exclusion, count, _LANES)[::-1]
    stop, alone = threading.Event(), threading.Lock()

    def walk(number: int) -> _Best:
        best = _Best(*(np.full(width, value) for value in (-np.inf, -1, -np.inf, -1)))
        for lag in lags[number::n_jobs]:
            if stop.is_set():
                break
            _walk(windows, lag, best)
            with alone:
                move(pairs[lag])
        return best

    pairs = {lag: sum(range(count - lag, max(count - lag - _LANES, 0), -1)) for lag in lags}
    with moving(sum(pairs.values()), label="windows compared", unit="pair", verbose=verbose) as move:
        if n_jobs == 1:
            return _best_of([walk(0)], count)
        with ThreadPoolExecutor(n_jobs) as pool:
            try:
                return _best_of(list(pool.map(walk, range(n_jobs))), count)
            finally:
                stop.set()


def _best_of(parts: list[_Best], count: int) -> _Best:
    """The best of what several walks kept; of equal scores, that with the earlier window."""
    best = parts[0]
    for part in parts[1:]:
        for score, at, other, other_at in ((*best[:2], *part[:2]), (*best[2:], *part[2:])):
            better = (other > score) | ((other == score) & (other_at < at))
            score[better], at[better] = other[better], other_at[better]
    return _Best(*(array[:count] for array in best))


@numba.njit(nogil=True, **OPTIONS)
def _walk(windows: _Windows, lag: int, best: _Best) -> None:
    """Compare all pairs of windows that are `lag` to `lag + _LANES - 1` samples apart."""
    anew = windows.anew
    products, scores = np.empty((len(windows.x), _LANES)), np.empty(_LANES)
    score = pointer(scores, 0)
    for i in range(len(windows.share) - _LANES - lag):
        j = i + lag
        fresh = i % _STEPS == 0
        if fresh or anew[i + 1] > anew[i]:
            _multiply(windows, i, j, products)
        elif anew[j + _LANES] > anew[j]:
            _multiply_some(windows, i, j, products)
        share, shares = windows.share[i], pointer(windows.share, j)
        for lane in range(_LANES):
            store(score, lane, OUTPUT, share + load(shares, lane, INPUT))
        for channel in range(len(products)):
            _step(windows, channel, i, j, fresh, pointer(products, channel * _LANES), score)
        least, others, better = best.right[i], pointer(best.left, j), 0
        for lane in range(_LANES):
            here = load(score, lane, OUTPUT)
            better += (here > load(others, lane, INPUT)) | (here >= least)
        if better:
            _keep(scores, i, j, best)


@numba.njit(**INLINE)
def _step(windows: _Windows, channel: int, i: int, j: int, fresh: bool, product: np.ndarray, score: np.ndarray) -> None:
    """Turn products of the pairs before into those of window i with windows from j on, and add their correlations."""
    change = 0.0 if fresh else windows.change[channel, i]
    both = 0.0 if fresh else windows.sum[channel, i]
    inverse = windows.inverse[channel, i]
    at = channel * windows.change.shape[1] + j
    changes, sums, inverses = pointer(windows.change, at), pointer(windows.sum, at), pointer(windows.inverse, at)
    for lane in range(_LANES):
        dot = load(product, lane, SUMS) + (change * load(sums, lane, INPUT) + both * load(changes, lane, INPUT))
        store(product, lane, SUMS, dot)
        store(score, lane, OUTPUT, load(score, lane, OUTPUT) + dot * inverse * load(inverses, lane, INPUT))


@numba.njit(nogil=True, **_EXACT)
def _multiply(windows: _Windows, i: int, j: int, products: np.ndarray) -> None:
    """Write products of window i with windows from j on, each about its mean."""
    for channel in range(len(products)):
        x, product = windows.x[channel], products[channel]
        product[:] = 0.0
        for t in range(windows.m):
            here = (x[i + t] - x[i]) + windows.first[channel, i]
            for lane in range(_LANES):
                product[lane] += here * (x[j + lane + t] - x[j + lane])


@numba.njit(nogil=True, **_EXACT)
def _multiply_some(windows: _Windows, i: int, j: int, products: np.ndarray) -> None:
    """Write the products of those windows from j on whose products are computed anew."""
    for lane in range(_LANES):
        if windows.anew[j + lane + 1] == windows.anew[j + lane]:
            continue
        for channel in range(len(products)):
            x, total = windows.x[channel], 0.0
            for t in range(windows.m):
                total += ((x[i + t] - x[i]) + windows.first[channel, i]) * (x[j + lane + t] - x[j + lane])
            products[channel, lane] = total


@numba.njit(nogil=True, **OPTIONS)
def _keep(score: np.ndarray, i: int, j: int, best: _Best) -> None:
    """Keep what is better than before; of equal scores, that with the earlier window."""
    greatest, at = -np.inf, -1
    for lane in range(_LANES):
        if score[lane] > best.left[j + lane]:
            best.left[j + lane], best.left_at[j + lane] = score[lane], i
        if score[lane] > greatest:
            greatest, at = score[lane], j + lane
    if at >= 0 and greatest >= best.right[i]:
        best.right[i], best.right_at[i] = greatest, at


@numba.njit(nogil=True, **OPTIONS)
def _nearest(windows: _Windows, i: int, is_open: np.ndarray, exclusion: int) -> int:
    """Find the open window nearest to window i, -1 if there is none."""
    products = np.empty((len(windows.x), _LANES))
    greatest, at = -np.inf, -1
    for first in range(0, len(is_open), _LANES):
        _multiply(windows, i, first, products)
        for j in range(first, min(first + _LANES, len(is_open))):
            score = windows.share[i] + windows.share[j]
            for channel in range(len(products)):
                score += products[channel, j - first] * windows.inverse[channel, i] * windows.inverse[channel, j]
            if is_open[j] and abs(i - j) >= exclusion and score > greatest:
                greatest, at = score, j
    return at


@numba.njit(nogil=True, **OPTIONS)
def _measured(values: np.ndarray, m: int, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Distances of windows; NaN where the first has missing samples, infinite where there is no second."""
    one, other = np.empty((2, values.shape[1], m))
    distance = np.empty(len(a))
    for pair in range(len(a)):
        if not take(values, a[pair], m, one):
            distance[pair] = np.nan
        elif b[pair] < 0:
            distance[pair] = np.inf
        else:
            take(values, b[pair], m, other)
            square = 0.0
            for channel in range(len(one)):
                for t in range(m):
                    square += (one[channel, t] - other[channel, t]) ** 2
            distance[pair] = np.sqrt(square)
    return distance
