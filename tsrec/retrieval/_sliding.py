"""Distances of a query to every window of a long series: spectra of its blocks are kept, a query costs one pass.

The products of a query with all windows are a correlation, computed block by block (overlap-save), as in MASS (Mueen et
al. 2017), but with blocks that stay in the cache, the transforms of the series and the moments of its windows kept.
"""

from typing import NamedTuple

import numba
import numpy as np
from scipy import fft

from tsrec.kernels._numba import INLINE, OPTIONS
from tsrec.retrieval._moments import Moments, moments

# Samples of the longest query of a kind at least; a block has so many times as many.
_LONGEST, _TIMES = 1024, 8
# Samples transformed at a time, so that they stay in the cache.
_AT_A_TIME = 1 << 16
# Windows in a tile whose least distance is kept.
TILE = 512
# A product of a transform has an error of some 1e-16 times the norm of its block. Windows of a smaller share of it than
# this are multiplied one by one.
_LEAST_SHARE = 1e-5


class Blocks(NamedTuple):
    """A channel in overlapping blocks.

    Attributes
    ----------
    spectra : complex128 array of shape (n_blocks, block // 2 + 1)
        Of each block about its mean, missing samples taken as that mean.
    power : float64 array of shape (n_blocks,)
        Norms of the blocks about their means.
    block, hop : int
        Samples of a block, and from one to the next.
    """

    spectra: np.ndarray
    power: np.ndarray
    block: int
    hop: int


def blocks_of(x: np.ndarray, longest: int) -> Blocks:
    """Cut a channel (n,) into blocks for queries of at most `longest` samples, and transform them."""
    block = min(_TIMES * longest, fft.next_fast_len(len(x) + longest, real=True))
    hop = block - longest + 1
    count = -(-len(x) // hop)
    spectra, power = np.empty((count, block // 2 + 1), np.complex128), np.empty(count)
    size = max(_AT_A_TIME // block, 1)
    for first in range(0, count, size):
        some = range(first, min(first + size, count))
        parts = np.zeros((len(some), block))
        for row, number in zip(parts, some, strict=True):
            piece = x[number * hop : number * hop + block]
            finite = np.isfinite(piece)
            if finite.any():
                row[: len(piece)][finite] = piece[finite] - piece[finite].mean()
        power[some.start : some.stop] = np.sqrt((parts * parts).sum(1))
        spectra[some.start : some.stop] = fft.rfft(parts, axis=1)
    return Blocks(spectra, power, block, hop)


class Channel:
    """A channel of a long series, as queries of any length ask for it.

    Parameters
    ----------
    x : float64 array of shape (n,)
        The samples; NaN where missing, and between series.
    """

    def __init__(self, x: np.ndarray) -> None:
        self.x = np.ascontiguousarray(x, dtype=np.float64)
        self._blocks: dict[int, Blocks] = {}
        self._moments: dict[int, _Windows] = {}

    def blocks(self, m: int) -> Blocks:
        """Blocks for queries of m samples."""
        longest = _LONGEST
        while longest < m:
            longest *= 2
        if longest not in self._blocks:
            self._blocks[longest] = blocks_of(self.x, longest)
        return self._blocks[longest]

    def windows(self, m: int) -> "_Windows":
        """What is known of all windows of m samples."""
        if m not in self._moments:
            found, blocks = moments(self.x, m), self.blocks(m)
            share = np.repeat(blocks.power, blocks.hop)[: len(found.norm)] * _LEAST_SHARE
            weak = np.flatnonzero(found.norm < np.maximum(share, 1e-140))
            with np.errstate(divide="ignore"):
                inverse = 1 / found.norm
            inverse[weak] = 0.0
            self._moments[m] = _Windows(found, inverse, weak)
        return self._moments[m]


class _Windows(NamedTuple):
    """Moments of windows, inverses of their norms, and those to be multiplied one by one, whose inverse is 0 here."""

    moments: Moments
    inverse: np.ndarray
    weak: np.ndarray


def add_distances(channel: Channel, query: np.ndarray, total: np.ndarray) -> None:
    """Add the squared z-normalised distances of a query (m,) to all windows to `total` (n - m + 1,).

    A constant window, or query, is all zeros: to another of its kind its distance is 0, to other windows m.

    Parameters
    ----------
    channel : Channel
        What is searched.
    query : float64 array of shape (m,)
        Finite.
    total : float64 array of shape (n - m + 1,)
        What other channels gave so far; NaN for windows with missing samples.
    """
    m = len(query)
    blocks, windows = channel.blocks(m), channel.windows(m)
    # About a sample first: of a query at 1e9, the mean itself has an error of 1e-7.
    unit = query - query[0]
    unit -= unit.mean()
    norm = np.sqrt(unit @ unit)
    if (query == query[0]).all() or norm == 0:
        _add_constant(windows.moments.norm, float(m), total)
        return
    unit /= norm
    factor = np.conj(fft.rfft(unit, blocks.block))
    size = max(_AT_A_TIME // blocks.block, 1)
    products = np.empty((size, blocks.spectra.shape[1]), np.complex128)
    for first in range(0, len(blocks.spectra), size):
        some = blocks.spectra[first : first + size]
        np.multiply(some, factor, out=products[: len(some)])
        dots = fft.irfft(products[: len(some)], blocks.block, axis=1, overwrite_x=True)
        _add(dots, first * blocks.hop, blocks.hop, windows.inverse, 2.0 * m, total)
    _add_one_by_one(channel.x, unit, windows.weak, windows.moments, total)


@numba.njit(nogil=True, **OPTIONS)
def _add(dots: np.ndarray, first: int, hop: int, inverse: np.ndarray, twice: float, total: np.ndarray) -> None:
    for row in range(len(dots)):
        start = first + row * hop
        stop = min(start + hop, len(total))
        for i in range(start, stop):
            total[i] += twice - twice * min(dots[row, i - start] * inverse[i], 1.0)


@numba.njit(nogil=True, **OPTIONS)
def _add_one_by_one(x: np.ndarray, unit: np.ndarray, weak: np.ndarray, own: Moments, total: np.ndarray) -> None:
    """Correct what was added for windows as if they had no correlation with the query."""
    m = len(unit)
    for i in weak:
        if own.norm[i] == 0:
            total[i] -= m
            continue
        dot = 0.0
        for j in range(m):
            dot += unit[j] * (x[i + j] - own.mean[i])
        total[i] -= 2 * m * min(dot / own.norm[i], 1.0)


@numba.njit(nogil=True, **OPTIONS)
def _add_constant(norm: np.ndarray, m: float, total: np.ndarray) -> None:
    for i in range(len(total)):
        total[i] += norm[i] if norm[i] != norm[i] else (0.0 if norm[i] == 0 else m)


@numba.njit(nogil=True, **OPTIONS)
def tile_minima(total: np.ndarray, least: np.ndarray) -> None:
    """Write the least of every tile of TILE distances; NaN counts as infinite."""
    for tile in range(len(least)):
        least[tile] = _least(total, tile)


@numba.njit(**INLINE)
def _least(total: np.ndarray, tile: int) -> float:
    best = np.inf
    for i in range(tile * TILE, min(tile * TILE + TILE, len(total))):
        best = total[i] if total[i] < best else best
    return best


@numba.njit(nogil=True, **OPTIONS)
def take_nearest(
    total: np.ndarray, least: np.ndarray, k: int, exclusion: int, limit: float
) -> tuple[np.ndarray, np.ndarray]:
    """Take up to k windows by distance, none nearer than `exclusion` to one before; `total` is used up."""
    at, distance = np.empty(k, np.int64), np.empty(k)
    found = 0
    while found < k:
        tile = int(np.argmin(least))
        if not least[tile] <= limit or least[tile] == np.inf:
            break
        i = tile * TILE
        while total[i] != least[tile]:
            i += 1
        at[found], distance[found] = i, total[i]
        found += 1
        low, high = max(i - exclusion + 1, 0), min(i + max(exclusion, 1), len(total))
        total[low:high] = np.inf
        for touched in range(low // TILE, (high - 1) // TILE + 1):
            least[touched] = _least(total, touched)
    return at[:found], distance[:found]
