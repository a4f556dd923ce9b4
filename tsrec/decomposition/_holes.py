"""What stands where nothing is known: lines through, and between, what is."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# A line is believed up to so many standard deviations of its points from their mean. The farthest that a smoothing of
# complete series goes is 3: to the place before two points of equal weight.
REACH = 4.0


def bridged(y: Floats, known: NDArray[np.bool_]) -> Floats:
    """Draw lines between the known values of series, and go on with the nearest one beyond the ends.

    Parameters
    ----------
    y : array of shape (B, n)
        Values.
    known : bool array of shape (B, n)
        Which of them count, at least one of each series.

    Returns
    -------
    array of shape (B, n)
    """
    rows = np.flatnonzero(~known.all(1))
    if not len(rows):
        return y
    n, held, filled = y.shape[1], known[rows], y.copy()
    at = np.arange(n)
    before = np.maximum.accumulate(np.where(held, at, -1), axis=1)
    after = np.minimum.accumulate(np.where(held, at, n)[:, ::-1], axis=1)[:, ::-1]
    before, after = np.where(before < 0, after, before), np.where(after == n, before, after)
    low, high = (np.take_along_axis(y[rows], one, 1) for one in (before, after))
    share = (at - before) / np.maximum(after - before, 1)
    filled[rows] = np.where(held, y[rows], low + share * (high - low))
    return filled


def straight(y: Floats, weights: Floats, reach: float = REACH) -> Floats:
    """The line through each series by least squares; it goes on level where it is far from all points.

    Parameters
    ----------
    y, weights : array of shape (B, n)
        Values, finite where they have no weight too; some weight of each series is positive. Weights may also be one
        row, for all series.
    reach : float
        How far, in standard deviations of the points from their mean.

    Returns
    -------
    array of shape (B, n)
    """
    share = weights / weights.sum(1, keepdims=True)
    steps = np.arange(y.shape[1], dtype=np.float64)
    level = (share * y).sum(1, keepdims=True)
    away = steps - (share * steps).sum(1, keepdims=True)
    spread = (share * away**2).sum(1, keepdims=True)
    tilt = (share * away * (y - level)).sum(1, keepdims=True)
    # What one point alone spreads is rounding.
    slope = np.divide(tilt, spread, where=spread > 1e-9, out=np.zeros_like(tilt))
    far = reach * np.sqrt(np.maximum(spread, 1e-9))
    return level + slope * np.clip(away, -far, far)


def by_pattern(seen: NDArray[np.bool_]) -> Iterator[tuple[Any, NDArray[np.bool_]]]:
    """Series that are known at the same steps, which have their equations in common.

    Parameters
    ----------
    seen : bool array of shape (B, n)
        Where series are known.

    Yields
    ------
    rows : slice or int array
        The series.
    pattern : bool array of shape (n,)
        Where they are known.
    """
    whole = seen.all(1)
    if whole.all():
        yield slice(None), seen[0]
        return
    if whole.any():
        yield np.flatnonzero(whole), seen[whole.argmax()]
    rest = np.flatnonzero(~whole)
    patterns, which = np.unique(seen[rest], axis=0, return_inverse=True)
    for i, pattern in enumerate(patterns):
        yield rest[which.ravel() == i], pattern
