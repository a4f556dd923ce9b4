"""Distances of a query to every window of a long series: spectra of its blocks are kept, a query costs one pass.

The products of a query with all windows are a correlation, computed block by block (overlap-save), as in MASS (Mueen et
al. 2017), but with blocks that stay in the cache. Of the distances only the least of each tile is kept, so that memory
does not grow with the series beyond what is cached; tiles of interest are measured again, sample by sample.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numba
import numpy as np
from scipy import fft

from tsrec.kernels._numba import OPTIONS
from tsrec.retrieval._moments import moments

# Windows in a tile whose least distance is kept.
TILE = 512
# Samples of the longest query of a kind at least; a block has so many times as many.
_LONGEST, _TIMES = 1024, 8
# Samples transformed at a time, so that they stay in the cache.
_AT_A_TIME = 1 << 16
# A product of a transform has an error of some 1e-16 times the norm of its block. Windows of a smaller share of it than
# this are multiplied one by one.
_LEAST_SHARE = 1e-5
# Query lengths of which the norms of all windows are kept.
_LENGTHS = 4


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
    """A channel of a query with mean 0 and norm 1, and whether it is constant (all zeros then)."""

    values: np.ndarray
    constant: bool


def units_of(query: np.ndarray) -> Units:
    """Bring a channel of a query (m,) to mean 0 and norm 1."""
    # About a sample first: of a query at 1e9, the mean itself has an error of 1e-7.
    unit = query - query[0]
    unit -= unit.mean()
    norm = np.sqrt(unit @ unit)
    if (query == query[0]).all() or norm == 0:
        return Units(np.zeros(len(query)), True)
    return Units(unit / norm, False)


class _Windows(NamedTuple):
    """Inverse norms of consecutive windows; and those to be multiplied one by one, whose inverse is 0 here.

    `missing` is NaN where a window has missing samples, else 0; None where there is none.
    """

    inverse: np.ndarray
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
        self._windows: OrderedDict[int, _Windows] = OrderedDict()

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

    def windows(self, m: int, blocks: Blocks, first: int, last: int) -> _Windows:
        """What is known of the windows that begin in some blocks."""
        low, high = first * blocks.hop, min(last * blocks.hop, len(self.x) - m + 1)
        if not self.kept:
            return self._measured(m, blocks, low, high)
        if m not in self._windows:
            self._windows[m] = self._measured(m, blocks, 0, len(self.x) - m + 1)
            while len(self._windows) > _LENGTHS:
                self._windows.popitem(last=False)
        self._windows.move_to_end(m)
        known = self._windows[m]
        some = slice(*np.searchsorted(known.weak, [low, high]))
        return _Windows(known.inverse[low:high], known.weak[some] - low, known.mean[some], known.norm[some])

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

    def _measured(self, m: int, blocks: Blocks, low: int, high: int) -> _Windows:
        found = moments(self.x[low : high + m - 1], m)
        _, power = self.spectra(blocks, low // blocks.hop, -(-high // blocks.hop))
        share = np.repeat(power, blocks.hop)[: high - low] * _LEAST_SHARE
        weak = np.flatnonzero(found.norm < np.maximum(share, 1e-140))
        with np.errstate(divide="ignore"):
            inverse = 1 / found.norm
        inverse[weak] = 0.0
        return _Windows(inverse, weak, found.mean[weak], found.norm[weak])


def tile_minima(channels: Sequence[Channel], units: Sequence[Units], closed: np.ndarray) -> np.ndarray:
    """Least squared z-normalised distance of a query to the windows of each tile.

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
    factors = [None if one.constant else np.conj(fft.rfft(one.values, blocks.block)) for one in units]
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
            windows = channel.windows(m, blocks, first, last)
            if factor is None:
                _add_constant(windows.inverse, windows.weak, windows.norm, float(m), total)
                continue
            spectra, _ = channel.spectra(blocks, first, last)
            np.multiply(spectra, factor, out=products[: len(spectra)])
            dots = fft.irfft(products[: len(spectra)], blocks.block, axis=1, overwrite_x=True)
            _add(dots, blocks.hop, windows.inverse, 2.0 * m, total)
            _add_weak(channel.x, low, unit.values, windows.weak, windows.mean, windows.norm, total)
        for start, stop in ranges:
            total[start:stop] = np.inf
        _least_of_tiles(total, here)
    return least


def distances(channels: Sequence[Channel], units: Sequence[Units], low: int, high: int) -> np.ndarray:
    """Squared z-normalised distances of a query to the windows from `low` to before `high`, sample by sample.

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
        own = moments(x, m)
        _add_direct(x, unit.values, unit.constant, own.mean, own.norm, total)
    return total


def _within(closed: np.ndarray, low: int, high: int) -> np.ndarray:
    first, last = np.searchsorted(closed[:, 1], low, side="right"), np.searchsorted(closed[:, 0], high)
    return np.clip(closed[first:last], low, high) - low


@numba.njit(nogil=True, **OPTIONS)
def _add(dots: np.ndarray, hop: int, inverse: np.ndarray, twice: float, total: np.ndarray) -> None:
    for row in range(len(dots)):
        start = row * hop
        for i in range(start, min(start + hop, len(total))):
            total[i] += twice - twice * min(dots[row, i - start] * inverse[i], 1.0)


@numba.njit(nogil=True, **OPTIONS)
def _add_weak(
    x: np.ndarray, low: int, unit: np.ndarray, weak: np.ndarray, mean: np.ndarray, norm: np.ndarray, total: np.ndarray
) -> None:
    """Correct what was added for windows as if they had no correlation with the query."""
    m = len(unit)
    for j in range(len(weak)):
        i = weak[j]
        if norm[j] == 0:
            total[i] -= m
            continue
        dot = 0.0
        for t in range(m):
            dot += unit[t] * (x[low + i + t] - mean[j])
        total[i] -= 2 * m * min(dot / norm[j], 1.0)


@numba.njit(nogil=True, **OPTIONS)
def _add_constant(inverse: np.ndarray, weak: np.ndarray, norm: np.ndarray, m: float, total: np.ndarray) -> None:
    for i in range(len(total)):
        total[i] += m if inverse[i] == inverse[i] else np.nan
    for j in range(len(weak)):
        if norm[j] == 0:
            total[weak[j]] -= m


@numba.njit(nogil=True, **OPTIONS)
def _add_direct(
    x: np.ndarray, unit: np.ndarray, constant: bool, mean: np.ndarray, norm: np.ndarray, total: np.ndarray
) -> None:
    m = len(unit)
    for i in range(len(total)):
        if not norm[i] >= 0:
            total[i] = np.inf
        elif constant or norm[i] == 0:
            total[i] += 0.0 if constant and norm[i] == 0 else m
        else:
            dot = 0.0
            for t in range(m):
                dot += unit[t] * (x[i + t] - mean[i])
            total[i] += 2 * m * (1 - min(dot / norm[i], 1.0))


@numba.njit(nogil=True, **OPTIONS)
def _least_of_tiles(total: np.ndarray, least: np.ndarray) -> None:
    """Write the least of every tile; NaN counts as infinite."""
    for tile in range(len(least)):
        best = np.inf
        for i in range(tile * TILE, min(tile * TILE + TILE, len(total))):
            best = total[i] if total[i] < best else best
        least[tile] = best
