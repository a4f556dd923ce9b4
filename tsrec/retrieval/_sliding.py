"""Distances of a query to every window of a long series: spectra of its blocks are kept, a query costs one pass.

The products of a query with all windows are a correlation, computed block by block (overlap-save), as in MASS (Mueen et
al. 2017), but with blocks that stay in the cache. Of the distances only the least of each tile is kept, so that memory
does not grow with the series beyond what is cached; tiles of interest are measured again, sample by sample.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import fft

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
    least_of_tiles,
)

# Samples of the longest query of a kind at least; a block has so many times as many.
_LONGEST, _TIMES = 1024, 8
# Samples transformed at a time, so that they stay in the cache.
_AT_A_TIME = 1 << 16
# A product of a transform has an error of some 1e-16 times the norm of its block. Windows of a smaller share of it than
# this are multiplied one by one.
_LEAST_SHARE = 1e-5
# Windows measured at a time.
_MEASURED = 1 << 22
# Query lengths of which the norms of all windows are kept.
_LENGTHS = 8


class Blocks(NamedTuple):
    """How a channel is cut into overlapping blocks for queries of some length.

    Attributes
    ----------
    block, hop : int
        Samples of a block, and from one to the next; whole tiles.
    """

    block: int
    hop: int

    def groups(self, count: int) -> Iterator[tuple[int, int]]:
        """Numbers of blocks that are dealt with at a time, for `count` windows: the first, and that after the last."""
        size, total = max(_AT_A_TIME // self.block, 1), -(-count // self.hop)
        for first in range(0, total, size):
            yield first, min(first + size, total)


def blocks_for(m: int) -> Blocks:
    """Blocks for queries of m samples."""
    longest = _LONGEST
    while longest < m:
        longest *= 2
    block = _TIMES * longest
    return Blocks(block, (block - longest + 1) // TILE * TILE)


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


class _Windows(NamedTuple):
    """What is known of consecutive windows.

    Attributes
    ----------
    inverse : float64 array of shape (n,)
        Inverse norms; 0 for those that are multiplied one by one. Where level and size count, the norms themselves.
    level : float64 array of shape (n,)
        Means, where they count; else empty.
    weak : int64 array of shape (n_weak,)
        Which are multiplied one by one.
    mean, norm : float64 arrays of shape (n_weak,)
        Of those.
    """

    inverse: np.ndarray
    level: np.ndarray
    weak: np.ndarray
    mean: np.ndarray
    norm: np.ndarray


class Channel:
    """A channel of a long series, as queries of any length ask for it.

    Parameters
    ----------
    x : float array of shape (n,)
        The samples; NaN where missing, and between series. May lie in a file.
    kept : bool, default True
        Whether spectra and norms are kept: three to five times the memory of the samples, three times as fast.
    """

    def __init__(self, x: np.ndarray, *, kept: bool = True) -> None:
        self.x, self.kept = x, kept
        self._spectra: dict[Blocks, tuple[np.ndarray, np.ndarray]] = {}
        self._windows: OrderedDict[tuple[int, bool], _Windows] = OrderedDict()

    def grow(self, x: np.ndarray, *, kept: bool = True) -> None:
        """Go on with a longer array, of which the samples so far are the beginning."""
        n, self.x, self.kept = len(self.x), x, kept
        self._windows.clear()
        if not kept:
            self._spectra.clear()
        for blocks, (spectra, power) in self._spectra.items():
            # Blocks that reached the end are transformed again.
            whole = max((n - blocks.block) // blocks.hop + 1, 0)
            more = self._transformed(blocks, whole, -(-len(x) // blocks.hop))
            joined = [np.concatenate([old[:whole], new]) for old, new in zip((spectra, power), more, strict=True)]
            self._spectra[blocks] = joined[0], joined[1]

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: nothing that can be computed again."""
        return {**vars(self), "_spectra": {}, "_windows": OrderedDict()}

    def spectra(self, blocks: Blocks, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        """Spectra of some blocks about their means, and the norms of the blocks about them."""
        if not self.kept:
            return self._transformed(blocks, first, last)
        if blocks not in self._spectra:
            self._spectra[blocks] = self._transformed(blocks, 0, -(-len(self.x) // blocks.hop))
        spectra, power = self._spectra[blocks]
        return spectra[first:last], power[first:last]

    def windows(self, m: int, blocks: Blocks, first: int, last: int, *, raw: bool) -> _Windows:
        """What is known of the windows that begin in some blocks; with `raw`, of their levels and sizes."""
        count = len(self.x) - m + 1
        low, high = first * blocks.hop, min(last * blocks.hop, count)
        if not self.kept:
            return self._measured(m, blocks, low, high, raw)
        # Taken out and put in again, so that the oldest is the first; another thread may have to measure again.
        known = self._windows.pop((m, raw), None) or self._measured(m, blocks, 0, count, raw)
        self._windows[m, raw] = known
        while len(self._windows) > _LENGTHS:
            self._windows.popitem(last=False)
        some = slice(*np.searchsorted(known.weak, [low, high]))
        parts = (known.inverse[low:high], known.level[low:high], known.weak[some] - low)
        return _Windows(*parts, known.mean[some], known.norm[some])

    def _transformed(self, blocks: Blocks, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        spectra = np.empty((last - first, blocks.block // 2 + 1), np.complex128)
        power = np.empty(last - first)
        size = max(_AT_A_TIME // blocks.block, 1)
        for start in range(first, last, size):
            some = range(start, min(start + size, last))
            parts = np.zeros((len(some), blocks.block))
            for row, number in zip(parts, some, strict=True):
                piece = self.x[number * blocks.hop : number * blocks.hop + blocks.block]
                finite = np.isfinite(piece)
                if finite.any():
                    row[: len(piece)][finite] = piece[finite] - piece[finite].mean()
            here = slice(start - first, some.stop - first)
            power[here] = np.sqrt((parts * parts).sum(1))
            spectra[here] = fft.rfft(parts, axis=1)
        return spectra, power

    def _measured(self, m: int, blocks: Blocks, low: int, high: int, raw: bool) -> _Windows:
        inverse, level = np.empty(high - low), np.empty(high - low if raw else 0)
        parts = []
        step = _MEASURED // blocks.hop * blocks.hop or blocks.hop
        for start in range(low, high, step):
            stop = min(start + step, high)
            found = moments(np.asarray(self.x[start : stop + m - 1], np.float64), m)
            _, power = self.spectra(blocks, start // blocks.hop, -(-stop // blocks.hop))
            share = np.repeat(power, blocks.hop)[: stop - start] * _LEAST_SHARE
            weak = np.flatnonzero(found.norm < np.maximum(share, 1e-140))
            here = inverse[start - low : stop - low]
            with np.errstate(divide="ignore"):
                here[:] = found.norm if raw else 1 / found.norm
            if raw:
                level[start - low : stop - low] = found.mean
            else:
                here[weak] = 0.0
            parts.append((weak + start - low, found.mean[weak], found.norm[weak]))
        return _Windows(inverse, level, *(np.concatenate(column) for column in zip(*parts, strict=True)))


def tile_minima(channels: Sequence[Channel], units: Sequence[Units], closed: np.ndarray) -> np.ndarray:
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

    Returns
    -------
    float64 array of shape (n_tiles,)
        Infinite where no window counts. Errors of transforms are about 1e-11 of m.
    """
    m = len(units[0].values)
    count, blocks = len(channels[0].x) - m + 1, blocks_for(m)
    least = np.empty(-(-count // TILE))
    factors = [np.conj(fft.rfft(one.values, blocks.block)) for one in units]
    size = max(_AT_A_TIME // blocks.block, 1)
    products = np.empty((size, blocks.block // 2 + 1), np.complex128)
    buffer = np.empty(size * blocks.hop)
    for first, last in blocks.groups(count):
        low, high = first * blocks.hop, min(last * blocks.hop, count)
        here = least[low // TILE : -(-high // TILE)]
        ranges = _within(closed, low, high)
        if len(ranges) == 1 and ranges[0, 0] == 0 and ranges[0, 1] == high - low:
            here[:] = np.inf
            continue
        total = buffer[: high - low]
        total[:] = 0.0
        for channel, unit, factor in zip(channels, units, factors, strict=True):
            windows = channel.windows(m, blocks, first, last, raw=unit.raw is not None)
            if unit.constant and unit.raw is None:
                add_constant(windows.inverse, windows.weak, windows.norm, float(m), total)
                continue
            spectra, _ = channel.spectra(blocks, first, last)
            np.multiply(spectra, factor, out=products[: len(spectra)])
            dots = fft.irfft(products[: len(spectra)], blocks.block, axis=1, overwrite_x=True)
            weak = (windows.weak, windows.mean, windows.norm)
            if unit.raw is None:
                add(dots, blocks.hop, windows.inverse, 2.0 * m, total)
                add_weak(channel.x, low, unit.values, *weak, total)
            else:
                clear(dots, blocks.hop, windows.weak)
                add_raw(dots, blocks.hop, windows.inverse, windows.level, unit.level, unit.norm, float(m), total)
                add_weak_raw(channel.x, low, unit.values, *weak, unit.norm, total)
        for start, stop in ranges:
            total[start:stop] = np.inf
        least_of_tiles(total, here)
    return least


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
