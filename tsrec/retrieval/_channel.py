"""A channel of a long series, and what is kept of it for queries: spectra of its blocks, norms of its windows."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
from scipy import fft

from tsrec.retrieval._moments import moments
from tsrec.retrieval._products import TILE

# Samples of the longest query of a kind at least; a block has so many times as many.
_LONGEST, _TIMES = 512, 16
# Samples transformed at a time, so that they stay in the cache.
_AT_A_TIME = 1 << 17
# A product of a transform has an error of some 1e-16 times the norm of its block. Windows of a smaller share of it than
# this are multiplied one by one.
_LEAST_SHARE = 1e-5
# Windows measured at a time.
_MEASURED = 1 << 22
# Query lengths of which the norms of all windows are kept, and sizes of blocks of which spectra are.
_LENGTHS, _SIZES = 8, 4


class Blocks(NamedTuple):
    """How a channel is cut into overlapping blocks for queries of some length.

    Attributes
    ----------
    block, hop : int
        Samples of a block, and from one to the next; whole tiles.
    """

    block: int
    hop: int

    @property
    def at_a_time(self) -> int:
        """How many are dealt with at a time."""
        return max(_AT_A_TIME // self.block, 1)

    def groups(self, count: int) -> Iterator[tuple[int, int]]:
        """Numbers of blocks that are dealt with at a time, for `count` windows: the first, and that after the last."""
        total = -(-count // self.hop)
        for first in range(0, total, self.at_a_time):
            yield first, min(first + self.at_a_time, total)


def blocks_for(m: int) -> Blocks:
    """Blocks for queries of m samples."""
    longest = _LONGEST
    while longest < m:
        longest *= 2
    block = _TIMES * longest
    return Blocks(block, (block - longest + 1) // TILE * TILE)


class Windowed(NamedTuple):
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
        Whether spectra and norms are kept, of the last few lengths of queries: three times as fast, for twice the
        memory of the samples with one length, and up to twelve times with many.
    """

    def __init__(self, x: np.ndarray, *, kept: bool = True) -> None:
        self.x, self.kept = x, kept
        self._spectra: OrderedDict[Blocks, tuple[np.ndarray, np.ndarray]] = OrderedDict()
        self._windows: OrderedDict[tuple[int, bool], Windowed] = OrderedDict()

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
        return {**vars(self), "_spectra": OrderedDict(), "_windows": OrderedDict()}

    def reader(self, m: int, blocks: Blocks, *, raw: bool) -> Callable[[int, int], tuple[np.ndarray, Windowed]]:
        """What gives the spectra of some blocks, and what is known of the windows of m samples that begin in them.

        Several threads may ask it.

        Parameters
        ----------
        m : int
            Samples of a window.
        blocks : Blocks
            For them.
        raw : bool
            Whether levels and sizes are asked for.

        Returns
        -------
        callable
            Takes the numbers of the first block and of that after the last.
        """
        count = len(self.x) - m + 1

        def computed(first: int, last: int) -> tuple[np.ndarray, Windowed]:
            spectra, power = self._transformed(blocks, first, last)
            return spectra, self._measured(m, blocks, (first * blocks.hop, min(last * blocks.hop, count)), raw, power)

        if not self.kept:
            return computed
        whole = self._spectra.get(blocks) or self._transformed(blocks, 0, -(-len(self.x) // blocks.hop))
        _keep(self._spectra, blocks, whole, _SIZES)
        spectra, power = whole
        known = self._windows.get((m, raw)) or self._measured(m, blocks, (0, count), raw, power)
        _keep(self._windows, (m, raw), known, _LENGTHS)

        def looked_up(first: int, last: int) -> tuple[np.ndarray, Windowed]:
            low, high = first * blocks.hop, min(last * blocks.hop, count)
            some = slice(*np.searchsorted(known.weak, [low, high]))
            parts = (known.inverse[low:high], known.level[low:high], known.weak[some] - low)
            return spectra[first:last], Windowed(*parts, known.mean[some], known.norm[some])

        return looked_up

    def _transformed(self, blocks: Blocks, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        spectra = np.empty((last - first, blocks.block // 2 + 1), np.complex128)
        power = np.empty(last - first)
        for start in range(first, last, blocks.at_a_time):
            some = range(start, min(start + blocks.at_a_time, last))
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

    def _measured(self, m: int, blocks: Blocks, some: tuple[int, int], raw: bool, power: np.ndarray) -> Windowed:
        """What is known of windows, from the beginning of a block on; `power` is of the blocks that they begin in."""
        low, high = some
        inverse, level = np.empty(high - low), np.empty(high - low if raw else 0)
        parts = []
        step = _MEASURED // blocks.hop * blocks.hop or blocks.hop
        for start in range(low, high, step):
            stop = min(start + step, high)
            found = moments(np.asarray(self.x[start : stop + m - 1], np.float64), m)
            theirs = power[(start - low) // blocks.hop : -(-(stop - low) // blocks.hop)]
            share = np.repeat(theirs, blocks.hop)[: stop - start] * _LEAST_SHARE
            weak = np.flatnonzero(found.norm < np.maximum(share, 1e-140))
            here = inverse[start - low : stop - low]
            with np.errstate(divide="ignore"):
                here[:] = found.norm if raw else 1 / found.norm
            if raw:
                level[start - low : stop - low] = found.mean
            else:
                here[weak] = 0.0
            parts.append((weak + start - low, found.mean[weak], found.norm[weak]))
        return Windowed(inverse, level, *(np.concatenate(column) for column in zip(*parts, strict=True)))


def _keep(known: OrderedDict[Any, Any], key: Any, value: Any, most: int) -> None:
    """Have a value be the latest of a few that are kept; other threads may do so at any moment."""
    known[key] = value
    with suppress(KeyError):
        known.move_to_end(key)
        while len(known) > most:
            known.popitem(last=False)
