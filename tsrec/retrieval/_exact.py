"""Exact search: every window is compared, and the nearest are measured again sample by sample."""

from collections.abc import Sequence

import numpy as np

from tsrec.retrieval._sliding import TILE, Channel, add_distances, take_nearest, tile_minima


class ExactIndex:
    """All windows of a long array, of any length.

    Parameters
    ----------
    values : float64 array of shape (n, C)
        NaN where missing; windows with such samples are never found.
    """

    def __init__(self, values: np.ndarray) -> None:
        self.values = values
        self.channels = [Channel(column) for column in values.T]

    def nearest(
        self,
        query: np.ndarray,
        channels: Sequence[int],
        k: int,
        *,
        exclusion: int,
        limit: float = np.inf,
        closed: Sequence[tuple[int, int]] = (),
    ) -> tuple[np.ndarray, np.ndarray]:
        """Positions of the windows nearest to a query, and their distances, nearest first.

        Parameters
        ----------
        query : float64 array of shape (m, len(channels))
            Finite.
        channels : sequence of int
            Which channels are compared; their squared distances are added up.
        k : int
            How many at most.
        exclusion : int
            Samples that two answers are apart at least.
        limit : float
            Greatest distance.
        closed : sequence of (int, int)
            Ranges of positions where no answer may begin.

        Returns
        -------
        tuple of int64 array and float64 array
        """
        m = len(query)
        count = len(self.values) - m + 1
        if count < 1:
            return np.empty(0, np.int64), np.empty(0)
        total = np.zeros(count)
        for number, column in zip(channels, query.T, strict=True):
            add_distances(self.channels[number], np.ascontiguousarray(column), total)
        for low, high in closed:
            total[low:high] = np.inf
        least = np.empty(-(-count // TILE))
        tile_minima(total, least)
        # What transforms leave of the least distances is within 1e-9 of them.
        reach = limit * limit + 1e-9 * m if limit < np.inf else np.inf
        at, _ = take_nearest(total, least, min(k, count), exclusion, reach)
        wanted = standardised(query)
        found = (standardised(self.values[i : i + m, list(channels)]) for i in at)
        distance = np.array([np.sqrt(np.square(window - wanted).sum()) for window in found])
        order = np.lexsort([at, distance])
        order = order[distance[order] <= limit]
        return at[order], distance[order]


def standardised(window: np.ndarray) -> np.ndarray:
    """Every channel of a window (m, C) with mean 0 and standard deviation 1; constant ones are zeros."""
    y = window - window[:1]
    y -= y.mean(0)
    size = np.sqrt(np.square(y).mean(0))
    constant = (window == window[:1]).all(0) | (size == 0)
    return np.where(constant, 0.0, y / np.where(constant, 1.0, size))
