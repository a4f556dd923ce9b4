"""Exact search: every window is compared, and the nearest are measured again sample by sample."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from tsrec.retrieval._channel import Channel
from tsrec.retrieval._products import TILE
from tsrec.retrieval._sliding import Units, distances, tile_minima, units_of

# Distances of transforms and of samples are one within this share of m; tiles nearer than that are measured together.
_EQUAL, _TOGETHER = 1e-9, 64
# Samples of answers that are measured at a time.
_MEASURED = 1 << 20


class Part(NamedTuple):
    """A long array that is searched.

    Attributes
    ----------
    channels : sequence of Channel
        Its channels.
    first : int
        Number of its first position among those of all parts; a multiple of TILE.
    """

    channels: Sequence[Channel]
    first: int


def nearest(
    parts: Sequence[Part],
    query: np.ndarray,
    k: int,
    *,
    apart: Callable[[int], Iterable[tuple[int, int]]],
    limit: float = np.inf,
    closed: np.ndarray | None = None,
    raw: bool = False,
    n_jobs: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the windows nearest to a query, and their distances.

    Parameters
    ----------
    parts : sequence of Part
        What is searched, with the channels that are compared; their squared distances are added up.
    query : float64 array of shape (m, n_channels)
        Finite.
    k : int
        How many at most.
    apart : callable
        Gives, for an answer, the ranges of positions where no other may begin.
    limit : float
        Greatest distance.
    closed : int64 array of shape (n_ranges, 2), optional
        Ranges of positions where no answer may begin, ascending.
    raw : bool, default False
        Whether samples are compared as they are, not z-normalised.
    n_jobs : int
        Threads.

    Returns
    -------
    tuple of int64 array and float64 array
        In the order of finding: nearest first, but for differences beyond nine digits.
    """
    tiles = _Tiles(parts, units_of(query, raw=raw), closed, n_jobs)
    found: list[int] = []
    while len(found) < k:
        at = tiles.nearest(limit)
        if at is None:
            break
        found.append(at)
        for low, high in apart(at):
            tiles.close(low, high)
    distance = np.empty(len(found))
    units, size = (lambda windows: windows) if raw else standardised, max(_MEASURED // query.size, 1)
    for first in range(0, len(found), size):
        some = np.stack([window_at(parts, at, len(query)) for at in found[first : first + size]])
        distance[first : first + size] = np.sqrt(np.square(units(some) - units(query)).sum((1, 2)))
    near = distance <= limit
    return np.array(found, dtype=np.int64)[near], distance[near]


def window_at(parts: Sequence[Part], at: int, m: int) -> np.ndarray:
    """Samples of a window, float64 (m, n_channels)."""
    part = parts[_part_of(parts, at)]
    low = at - part.first
    return np.stack([channel.x[low : low + m] for channel in part.channels], axis=1).astype(np.float64)


def standardised(windows: np.ndarray) -> np.ndarray:
    """Every channel of windows (..., m, C) with mean 0 and standard deviation 1; constant ones are zeros."""
    y = windows - windows[..., :1, :]
    y -= y.mean(-2, keepdims=True)
    size = np.sqrt(np.square(y).mean(-2, keepdims=True))
    constant = (windows == windows[..., :1, :]).all(-2, keepdims=True) | (size == 0)
    return np.where(constant, 0.0, y / np.where(constant, 1.0, size))


def _part_of(parts: Sequence[Part], at: int) -> int:
    return bisect_right(parts, at, key=lambda one: one.first) - 1


class _Tiles:
    """Least distances of all tiles, and the distances of all windows of those that were looked into."""

    def __init__(self, parts: Sequence[Part], units: Sequence[Units], closed: np.ndarray | None, n_jobs: int) -> None:
        self.parts, self.units, self.m = parts, units, len(units[0].values)
        self.closed = np.empty((0, 2), np.int64) if closed is None else closed
        self.quantum = _EQUAL * self.m * len(units)
        if units[0].raw is not None:
            # Means of windows far from zero are as exact as numbers are there.
            size, level = sum(one.norm**2 for one in units), sum(abs(one.level) for one in units)
            self.quantum = max(_EQUAL * size + 4e-15 * level * np.sqrt(self.m * size + (1e-15 * level) ** 2), 1e-200)
        self.counts = [max(len(part.channels[0].x) - self.m + 1, 0) for part in parts]
        self.level = np.full(-(-(parts[-1].first + self.counts[-1]) // TILE), np.inf)
        self.inside: dict[int, np.ndarray] = {}
        self.shut: dict[int, list[tuple[int, int]]] = {}
        for part, count in zip(parts, self.counts, strict=True):
            if count:
                ranges = np.clip(self.closed - part.first, 0, count)
                least = tile_minima(part.channels, units, ranges[ranges[:, 1] > ranges[:, 0]], n_jobs=n_jobs)
                first = part.first // TILE
                self.level[first : first + len(least)] = self._level(least)

    def nearest(self, limit: float) -> int | None:
        """Position of the nearest window that is left, None if there is none within a distance."""
        reach = limit * limit / self.quantum + 2
        while True:
            level = self.level.min(initial=np.inf)
            if not level <= reach or level == np.inf:
                return None
            tied = np.flatnonzero(self.level == level)[:_TOGETHER]
            unknown = [int(tile) for tile in tied if tile not in self.inside]
            if not unknown:
                break
            for tile in unknown:
                self._open(tile)
        least = np.array([self.inside[tile].min() for tile in tied])
        tile = tied[np.flatnonzero(least <= least.min() + self.quantum * 1e-3)[0]]
        return int(tile * TILE + self.inside[tile].argmin())

    def close(self, low: int, high: int) -> None:
        """Take positions out."""
        for tile in range(low // TILE, min((high - 1) // TILE + 1, len(self.level))):
            start = tile * TILE
            if low <= start and start + TILE <= high:
                self.level[tile] = np.inf
                self.inside.pop(tile, None)
            elif tile in self.inside:
                self.inside[tile][max(low - start, 0) : high - start] = np.inf
                self.level[tile] = self._level(self.inside[tile].min())
            else:
                self.shut.setdefault(tile, []).append((low, high))

    def _open(self, tile: int) -> None:
        start = tile * TILE
        number = _part_of(self.parts, start)
        part = self.parts[number]
        low = start - part.first
        found = distances(part.channels, self.units, low, min(low + TILE, self.counts[number]))
        first = np.searchsorted(self.closed[:, 1], start, side="right")
        last = np.searchsorted(self.closed[:, 0], start + TILE)
        for a, b in [*self.closed[first:last], *self.shut.pop(tile, [])]:
            found[max(a - start, 0) : max(b - start, 0)] = np.inf
        self.inside[tile] = found
        self.level[tile] = self._level(found.min())

    def _level(self, squared: np.ndarray) -> np.ndarray:
        return np.floor(np.maximum(squared, 0.0) / self.quantum)
