"""Loess on a regular grid (Cleveland 1979), of many series at once.

A smoothed value is that of a line, or of a level, fitted to the nearest `window` points by least squares with weights
(1 - (d / h)^3)^3, h the distance of the farthest. It rounds as the published Fortran of STL does (Cleveland et al.
1990): nearer than 0.001 h counts as 1, farther than 0.999 h as 0, and where the weighted points do not spread, the
level is taken.
"""

from collections.abc import Callable, Iterator
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d

from tsrec.decomposition._cache import kept
from tsrec.decomposition._holes import Floats

# Up to this many points a product with a whole matrix is faster than sliding along the series.
_DENSE = 256
# Weights that are kept, and that are made at a time where they are too many to be kept.
_KEPT, _CHUNK = 1 << 23, 1 << 20


class Neighbours:
    """The points that places of a series are smoothed from.

    Attributes
    ----------
    reach : int
        Points of each place.
    first : int array
        Places whose points are the first ones of the series; the places at the end mirror them.
    middle : int
        Places between these and the end, all alike.
    last : int
        Places at the end: as many as at the beginning, or one less.
    """

    def __init__(self, n: int, window: int, beyond: int) -> None:
        self.n, self.window, self.beyond = n, window, beyond
        self.reach, places = min(window, n), n + 2 * beyond
        count = min(window // 2 + 1 + beyond, (places + 1) // 2)
        self.first = np.arange(count) - beyond
        self.last = min(count, places - count)
        self.middle = places - count - self.last

    def at(self, place: NDArray[np.int64]) -> tuple[NDArray[np.int64], Floats, Floats]:
        """First neighbour of places, (n_places,), weights by distance and signed distances, (n_places, reach)."""
        left = np.clip(place - self.window // 2, 0, self.n - self.reach)
        offset = (left[:, None] + np.arange(self.reach) - place[:, None]).astype(np.float64)
        farthest = np.maximum(-offset[:, :1], offset[:, -1:]) + max(self.window - self.n, 0) // 2
        return left, _tricube(np.abs(offset), farthest), offset


class Stencil:
    """Weighted sums over the neighbours of each place of a series.

    Parameters
    ----------
    near : Neighbours
        Of each place.
    rows : callable
        What weights by distance and distances, arrays of shape (n_places, reach), make of the neighbours of places.
    sign : {1, -1}
        What mirrored weights are multiplied by.
    """

    def __init__(self, near: Neighbours, rows: Callable[[Floats, Floats], Floats], sign: int = 1) -> None:
        self.near, self.sign, self._rows = near, sign, rows
        self._matrix: Floats | None = None
        self._taps: Floats | None = None
        self._begin: Floats | None = None
        if near.n <= _DENSE:
            left, weights, offset = near.at(np.arange(-near.beyond, near.n + near.beyond))
            self._matrix = np.zeros((len(left), near.n))
            np.put_along_axis(self._matrix, left[:, None] + np.arange(near.reach), rows(weights, offset), axis=1)
            return
        if near.middle:
            self._taps = rows(*near.at(near.first[-1:] + 1)[1:])[0]
        if len(near.first) * near.reach <= _KEPT:
            self._begin = rows(*near.at(near.first)[1:])

    @property
    def nbytes(self) -> int:
        """Bytes of what is kept."""
        return sum(part.nbytes for part in (self._matrix, self._taps, self._begin) if part is not None)

    def _blocks(self) -> Iterator[tuple[slice, Floats]]:
        """Places at the beginning, and their weights; made anew where they would fill the memory."""
        if self._begin is not None:
            yield slice(0, len(self._begin)), self._begin
            return
        step = max(_CHUNK // self.near.reach, 1)
        for i in range(0, len(self.near.first), step):
            block = self.near.first[i : i + step]
            yield slice(i, i + len(block)), self._rows(*self.near.at(block)[1:])

    def __call__(self, y: Floats) -> Floats:
        """Sums of series (B, n), (B, n_places)."""
        if self._matrix is not None:
            return y @ self._matrix.T
        near, found = self.near, np.empty((len(y), self.near.n + 2 * self.near.beyond))
        begin, end = y[:, : near.reach], y[:, : -near.reach - 1 : -1]
        mirrored = found[:, ::-1]
        for at, rows in self._blocks():
            found[:, at] = begin @ rows.T
            ends = slice(at.start, min(at.stop, near.last))
            mirrored[:, ends] = self.sign * (end @ rows[: ends.stop - ends.start].T)
        if self._taps is not None:
            count, half = len(near.first), near.reach // 2
            slid = correlate1d(y, self._taps, axis=1, mode="constant")
            found[:, count : count + near.middle] = slid[:, half + 1 : half + 1 + near.middle]
        return found

    def transposed(self, v: Floats) -> Floats:
        """The transposed map: of rows (B, n_places) their products with the matrix of the sums, (B, n)."""
        if self._matrix is not None:
            return v @ self._matrix
        near, found = self.near, np.zeros((len(v), self.near.n))
        begin, end = found[:, : near.reach], found[:, : -near.reach - 1 : -1]
        mirrored = v[:, ::-1]
        for at, rows in self._blocks():
            begin += v[:, at] @ rows
            ends = slice(at.start, min(at.stop, near.last))
            end += self.sign * (mirrored[:, ends] @ rows[: ends.stop - ends.start])
        if self._taps is not None:
            count = len(near.first)
            for row, one in zip(found, v, strict=True):
                spread = np.convolve(one[count : count + near.middle], self._taps)
                row[1 : 1 + len(spread)] += spread
        return found


class Loess:
    """Smoothing of series of n points at all of them, and at `beyond` places before the first and after the last.

    Parameters
    ----------
    n : int
        Points of the series.
    window : int
        Odd number of neighbours; with more than n the weights fall off as slowly as they would for so many.
    degree : {0, 1}
        Of the local polynomial.
    beyond : {0, 1}
        Places outside.
    """

    def __init__(self, n: int, window: int, degree: int, beyond: int) -> None:
        self.degree, self._least = degree if n > 1 else 0, 0.001 * (n - 1)
        self._near = Neighbours(n, window, beyond)
        self.plain = Stencil(self._near, self._fitted)

    @cached_property
    def _moments(self) -> list[Stencil]:
        """Sums of weights, and of weights times distance and its square, for points with weights of their own."""
        return [Stencil(self._near, partial(_moment, power), (-1) ** power) for power in range(3)]

    @property
    def nbytes(self) -> int:
        """Bytes of what is kept, with the moments that may be asked for."""
        return 4 * self.plain.nbytes

    def _fitted(self, weights: Floats, offset: Floats) -> Floats:
        """What a complete series is multiplied by: the value at 0 of the line through it."""
        level = weights / weights.sum(1, keepdims=True)
        if self.degree == 0:
            return level
        mean = (level * offset).sum(1, keepdims=True)
        spread = (level * (offset - mean) ** 2).sum(1, keepdims=True)
        sloped = np.sqrt(spread) > self._least
        return level * (1 - np.where(sloped, mean / np.where(sloped, spread, 1.0), 0.0) * (offset - mean))

    def weighted(self, y: Floats, weight: Floats, reach: float = np.inf) -> tuple[Floats, NDArray[np.bool_]]:
        """Smooth series (B, n) whose points have weights (B, n) of their own.

        Parameters
        ----------
        y, weight : array of shape (B, n)
            Values, finite where they have no weight too.
        reach : float
            How many standard deviations of the points of its window a place may lie from their mean to be known: a line
            through few points, and those far away, says little there.

        Returns
        -------
        smoothed : array of shape (B, n_places)
        known : bool array of shape (B, n_places)
            Where any point of the window has a weight, and not too far away; without any the value is 0.
        """
        (zeroth, first, second), product = self._moments, weight * y
        total = zeroth(weight)
        known = total > 0
        scale = np.divide(1.0, total, where=known, out=np.zeros_like(total))
        level = zeroth(product) * scale
        if self.degree == 0:
            return level, known
        mean = first(weight) * scale
        spread = second(weight) * scale - mean**2
        tilt = first(product) * scale - mean * level
        slope = np.divide(tilt, spread, where=spread > self._least**2, out=np.zeros_like(tilt))
        if np.isfinite(reach):
            # One point alone, at the place itself, has no spread but for rounding.
            known &= mean**2 <= reach**2 * np.maximum(spread, 1e-9)
        return level - mean * slope, known


@kept
def loess(n: int, window: int, degree: int, beyond: int = 0) -> Loess:
    """The smoothing of these settings, made once; see :class:`Loess`."""
    return Loess(n, window, degree, beyond)


def _moment(power: int, weights: Floats, offset: Floats) -> Floats:
    return weights * offset**power


def _tricube(distance: Floats, farthest: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        share = distance / farthest
        # Powers by hand: those of numpy take ten times as long.
        fall = 1 - share * share * share
        weights = fall * fall * fall
    weights[distance > 0.999 * farthest] = 0.0
    weights[distance <= 0.001 * farthest] = 1.0
    return weights
