"""Distances of a query to every window of a long series: spectra of its blocks are kept, a query costs one pass.

The products of a query with all windows are a correlation, computed block by block (overlap-save), as in MASS (Mueen et
al. 2017), but with blocks that stay in the cache. Of the distances only the least of each tile is kept, so that memory
does not grow with the series beyond what is cached; tiles of interest are measured again, sample by sample.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from scipy import fft

from tsrec.retrieval._channel import Blocks, Channel, Windowed, blocks_for
from tsrec.retrieval._moments import moments
from tsrec.retrieval._products import (
    TILE,
    add,
    add_constant,
    add_differences,
    add_direct,
    add_raw,
    add_weak,
    add_weak_raw,
    clear,
    least_of_products,
    least_of_tiles,
)


class Units(NamedTuple):
    """A channel of a query.

    Attributes
    ----------
    values : float64 array of shape (m,)
        With mean 0 and norm 1; zeros if it is constant.
    constant : bool
        Whether it is.
    raw : float64 array of shape (m,) or None
        As it was given, where its level and size count.
    level, norm : float
        Its mean, and its norm about it.
    """

    values: np.ndarray
    constant: bool
    raw: np.ndarray | None
    level: float
    norm: float


def units_of(query: np.ndarray, *, raw: bool = False) -> list[Units]:
    """Bring the channels of a query (m, C) to mean 0 and norm 1; with `raw`, level and size are to count."""
    found = []
    for column in np.ascontiguousarray(query.T):
        # About a sample first: of a query at 1e9, the mean itself has an error of 1e-7.
        unit = column - column[0]
        mean = unit.mean()
        unit -= mean
        norm = np.sqrt(unit @ unit)
        constant = bool((column == column[0]).all() or norm == 0)
        values = np.zeros(len(unit)) if constant else unit / norm
        found.append(Units(values, constant, column if raw else None, column[0] + mean, 0.0 if constant else norm))
    return found


def tile_minima(
    channels: Sequence[Channel], units: Sequence[Units], closed: np.ndarray, *, n_jobs: int = 1
) -> np.ndarray:
    """Least squared distance of a query to the windows of each tile, z-normalised or (with `raw`) of the samples.

    A constant window, or query, is all zeros: to another of its kind its distance is 0, to other windows m.

    Parameters
    ----------
    channels : sequence of Channel
        Of equal length n; distances are added up over them.
    units : sequence of Units
        The query, m samples, a channel of it for each.
    closed : int64 array of shape (n_ranges, 2)
        Positions that do not count: ascending ranges, which do not overlap.
    n_jobs : int
        Threads.

    Returns
    -------
    float64 array of shape (n_tiles,)
        Infinite where no window counts. Errors of transforms are about 1e-11 of m.
    """
    m = len(units[0].values)
    count, blocks = len(channels[0].x) - m + 1, blocks_for(m)
    least = np.empty(-(-count // TILE))
    scan = _Scan(blocks, m, [one.reader(m, blocks, raw=units[0].raw is not None) for one in channels], channels, units)
    groups = []
    for first, last in blocks.groups(count):
        low, high = first * blocks.hop, min(last * blocks.hop, count)
        ranges = _within(closed, low, high)
        if len(ranges) == 1 and ranges[0, 0] == 0 and ranges[0, 1] == high - low:
            least[low // TILE : -(-high // TILE)] = np.inf
        else:
            groups.append(_Group(first, last, low, ranges, least[low // TILE : -(-high // TILE)]))
    n_jobs = min(n_jobs, len(groups))
    if n_jobs <= 1:
        scan(groups)
    else:
        with ThreadPoolExecutor(n_jobs) as pool:
            list(pool.map(scan, [groups[number::n_jobs] for number in range(n_jobs)]))
    return least


class _Group(NamedTuple):
    """Blocks that are dealt with at a time.

    Attributes
    ----------
    first, last : int
        Their numbers: of the first, and that after the last.
    low : int
        Position of the first window.
    closed : int64 array of shape (n_ranges, 2)
        Windows that do not count, by their place from there.
    least : float64 array
        Where the least distances of their tiles are written.
    """

    first: int
    last: int
    low: int
    closed: np.ndarray
    least: np.ndarray


class _Scan:
    """Writes the least distances of the tiles of groups; several threads may do so at once, each with some groups."""

    def __init__(
        self, blocks: Blocks, m: int, readers: Sequence[Callable], channels: Sequence[Channel], units: Sequence[Units]
    ) -> None:
        self.blocks, self.m, self.count = blocks, m, len(channels[0].x) - m + 1
        self.channels, self.units, self.readers = channels, units, readers
        self.factors = [np.conj(fft.rfft(one.values, blocks.block)) for one in units]

    def __call__(self, groups: Sequence[_Group]) -> None:
        size = self.blocks.at_a_time
        products = np.empty((size, self.blocks.block // 2 + 1), np.complex128)
        buffer = np.empty(size * self.blocks.hop)
        for group in groups:
            some = products[: group.last - group.first]
            first = self.readers[0](group.first, group.last)
            if self._alone(group, first, some):
                continue
            total = buffer[: min(group.last * self.blocks.hop, self.count) - group.low]
            total[:] = 0.0
            for number, reader in enumerate(self.readers):
                self._add(number, group, reader(group.first, group.last) if number else first, some, total)
            for start, stop in group.closed:
                total[start:stop] = np.inf
            least_of_tiles(total, group.least)

    def _alone(self, group: _Group, read: tuple[np.ndarray, Windowed], products: np.ndarray) -> bool:
        """Write the least distances in one pass, where there is one channel and nothing is out of the ordinary."""
        unit, (spectra, windows) = self.units[0], read
        if len(self.units) > 1 or unit.constant or unit.raw is not None or len(group.closed) or len(windows.weak):
            return False
        dots = self._dots(0, spectra, products)
        least_of_products(dots, self.blocks.hop, windows.inverse, 2.0 * self.m, group.least)
        return True

    def _dots(self, number: int, spectra: np.ndarray, products: np.ndarray) -> np.ndarray:
        """Products of the query with all windows of some blocks."""
        np.multiply(spectra, self.factors[number], out=products)
        return fft.irfft(products, self.blocks.block, axis=1, overwrite_x=True)

    def _add(
        self,
        number: int,
        group: _Group,
        read: tuple[np.ndarray, Windowed],
        products: np.ndarray,
        total: np.ndarray,
    ) -> None:
        """Add squared distances in one channel."""
        unit, x, hop = self.units[number], self.channels[number].x, self.blocks.hop
        spectra, windows = read
        if unit.constant and unit.raw is None:
            add_constant(windows.inverse, windows.weak, windows.norm, float(self.m), total)
            return
        dots = self._dots(number, spectra, products)
        weak = (windows.weak, windows.mean, windows.norm)
        if unit.raw is None:
            add(dots, hop, windows.inverse, 2.0 * self.m, total)
            add_weak(x, group.low, unit.values, *weak, total)
        else:
            clear(dots, hop, windows.weak)
            add_raw(dots, hop, windows.inverse, windows.level, unit.level, unit.norm, float(self.m), total)
            add_weak_raw(x, group.low, unit.values, *weak, unit.norm, total)


def distances(channels: Sequence[Channel], units: Sequence[Units], low: int, high: int) -> np.ndarray:
    """Squared distances of a query to the windows from `low` to before `high`, sample by sample.

    Parameters
    ----------
    channels, units
        As for `tile_minima`.
    low, high : int
        Positions of windows, high at most n - m + 1.

    Returns
    -------
    float64 array of shape (high - low,)
        Infinite where samples are missing.
    """
    m, total = len(units[0].values), np.zeros(high - low)
    for channel, unit in zip(channels, units, strict=True):
        x = np.ascontiguousarray(channel.x[low : high + m - 1], dtype=np.float64)
        if unit.raw is not None:
            add_differences(x, unit.raw, total)
            continue
        own = moments(x, m)
        add_direct(x, unit.values, unit.constant, own.mean, own.norm, total)
    return total


def _within(closed: np.ndarray, low: int, high: int) -> np.ndarray:
    first, last = np.searchsorted(closed[:, 1], low, side="right"), np.searchsorted(closed[:, 0], high)
    return np.clip(closed[first:last], low, high) - low
