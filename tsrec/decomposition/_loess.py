"""Loess on a regular grid (Cleveland 1979), of many series at once.

A smoothed value is that of a line, or of a level, fitted to the nearest `window` points by least squares with weights
(1 - (d / h)^3)^3, h the distance of the farthest. It rounds as the published Fortran of STL does (Cleveland et al.
1990): nearer than 0.001 h counts as 1, farther than 0.999 h as 0, and where the weighted points do not spread, the
level is taken.
"""

from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d

Floats = NDArray[np.float64]

# Up to this many points a product with a whole matrix is faster than sliding along the series.
_DENSE = 768


class Stencil:
    """Weighted sums over the neighbours of each place of a series.

    Parameters
    ----------
    n : int
        Points of the series.
    left : int array of shape (n_places,)
        First neighbour of each place; of a long series, of those only whose neighbours are the first points, and of one
        in the middle, which stands for all others. The places at the end mirror those at the beginning.
    rows : array of shape (n_places, n_neighbours)
        Weight of each.
    sign : {1, -1}
        What mirrored weights are multiplied by.
    """

    def __init__(self, n: int, left: NDArray[np.int64], rows: Floats, sign: int = 1) -> None:
        self.n, self.sign, self._matrix = n, sign, None
        width = rows.shape[1]
        if _is_dense(n, width):
            self._matrix = np.zeros((len(left), n))
            np.put_along_axis(self._matrix, left[:, None] + np.arange(width), rows, axis=1)
        else:
            self._begin, self._taps = rows[:-1], rows[-1]

    def __call__(self, y: Floats) -> Floats:
        """Sums of series (B, n), (B, n_places)."""
        if self._matrix is not None:
            return y @ self._matrix.T
        width = len(self._taps)
        middle = correlate1d(y, self._taps, axis=1, mode="constant")[:, width // 2 + 1 : self.n - width // 2 - 1]
        end = self.sign * (y[:, : -width - 1 : -1] @ self._begin.T)[:, ::-1]
        return np.hstack((y[:, :width] @ self._begin.T, middle, end))


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
        self.n, self.window, self.beyond = n, window, beyond
        self.degree, self._least = degree if n > 1 else 0, 0.001 * (n - 1)
        left, weights, offset = self._neighbours()
        self.plain = Stencil(n, left, self._fitted(weights, offset))

    @cached_property
    def _moments(self) -> list[Stencil]:
        """Sums of weights, and of weights times distance and its square, for points with weights of their own."""
        left, weights, offset = self._neighbours()
        return [Stencil(self.n, left, weights * offset**power, (-1) ** power) for power in range(3)]

    def _neighbours(self) -> tuple[NDArray[np.int64], Floats, Floats]:
        """First neighbour of each place, weights by distance, and signed distances; see :class:`Stencil`."""
        reach = min(self.window, self.n)
        place = np.arange(-self.beyond, self.n + self.beyond)
        if not _is_dense(self.n, reach):
            place = np.r_[-self.beyond : self.window // 2 + 1, self.n // 2]
        left = np.clip(place + 1 - (self.window + 1) // 2, 0, self.n - reach)
        offset = (left[:, None] + np.arange(reach) - place[:, None]).astype(np.float64)
        farthest = np.maximum(-offset[:, :1], offset[:, -1:]) + max(self.window - self.n, 0) // 2
        return left, _tricube(np.abs(offset), farthest), offset

    def _fitted(self, weights: Floats, offset: Floats) -> Floats:
        """What a complete series is multiplied by: the value at 0 of the line through it."""
        level = weights / weights.sum(1, keepdims=True)
        if self.degree == 0:
            return level
        mean = (level * offset).sum(1, keepdims=True)
        spread = (level * (offset - mean) ** 2).sum(1, keepdims=True)
        sloped = np.sqrt(spread) > self._least
        return level * (1 - np.where(sloped, mean / np.where(sloped, spread, 1.0), 0.0) * (offset - mean))

    def weighted(self, y: Floats, weight: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        """Smooth series (B, n) whose points have weights (B, n) of their own.

        Returns
        -------
        smoothed : array of shape (B, n_places)
        known : bool array of shape (B, n_places)
            Where any point of the window has a weight; elsewhere the value is 0.
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
        return level - mean * slope, known


def _is_dense(n: int, width: int) -> bool:
    """Whether sums are best taken by a matrix over the whole series."""
    return n <= _DENSE or width >= n - 2


@lru_cache(maxsize=64)
def loess(n: int, window: int, degree: int, beyond: int = 0) -> Loess:
    """The smoothing of these settings, made once; see :class:`Loess`."""
    return Loess(n, window, degree, beyond)


def _tricube(distance: Floats, farthest: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        weights = np.where(distance <= 0.999 * farthest, (1 - (distance / farthest) ** 3) ** 3, 0.0)
    return np.where(distance <= 0.001 * farthest, 1.0, weights)
