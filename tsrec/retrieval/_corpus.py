"""What is searched: series of any lengths in one long array, which grows at its end, with a missing row before each."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from tsrec.retrieval._channel import Channel
from tsrec.retrieval._exact import Part
from tsrec.retrieval._products import TILE

# Bits of a row's number.
_BITS = 40
# Rows that are put in, or read, at a time.
_PIECE = 1 << 20
# Samples of which spectra are kept, at most: about 3 GB of them.
_KEPT = 1 << 27


def packed(series: Any, rows: Any) -> np.ndarray:
    """One number for a row of a series; numbers are in the order of the series, then of the rows."""
    return np.asarray(series, np.int64) * (1 << _BITS) + rows


def unpacked(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Series and rows of such numbers."""
    return keys >> _BITS, keys & ((1 << _BITS) - 1)


class Corpus:
    """Stretches of series one after another, each behind a missing row, so that no window reaches into the next.

    Rows that come later for a known series are a stretch of their own. It begins with the last `overlap` rows known
    before, so that windows across the border are in it. Longer windows across a border are looked for apart.

    Parameters
    ----------
    arrays : Memory or Directory
        Where the numbers are: "values/0" and so on, and "stretches".
    n_channels : int
        Channels.
    overlap : int
        Rows that stretches of a series have in common.
    most : int
        Samples of all channels up to which spectra are kept.
    """

    def __init__(self, arrays: Any, n_channels: int, *, overlap: int, most: int = _KEPT) -> None:
        self.arrays, self.n_channels, self.overlap, self.most = arrays, n_channels, overlap, most
        if "stretches" not in arrays.names():
            arrays.create("stretches", np.int64, (5,))
            for channel in range(n_channels):
                arrays.create(f"values/{channel}", np.float64)
        columns = [arrays.array(f"values/{channel}") for channel in range(n_channels)]
        self.channels = [Channel(column, kept=len(column) * n_channels <= most) for column in columns]
        self._learn_stretches()

    def _learn_stretches(self) -> None:
        # Columns: series, first row, position of it, rows, and how many of them an earlier stretch has too; -1 where
        # they go on with the stretch before.
        table = np.array(self.arrays.array("stretches")).reshape(-1, 5)
        begins = table[:, 4] >= 0
        rows = np.bincount(np.cumsum(begins) - 1, weights=table[:, 3]).astype(np.int64)
        self.series, self.row, self.at, _, self.shared = table[begins].T
        self.rows = rows
        self.lengths = np.zeros(self.series.max(initial=-1) + 1, np.int64)
        np.maximum.at(self.lengths, self.series, self.row + self.rows)
        order = np.lexsort([np.arange(len(rows)), self.row, self.series])
        self._order, self._key = order, packed(self.series[order], self.row[order])

    def extend(self, values: np.ndarray, offsets: np.ndarray, series: np.ndarray) -> None:
        """Put rows behind series, known ones or new.

        Parameters
        ----------
        values : float array of shape (n_rows, n_channels)
            Rows of all, one series after another.
        offsets : int array of shape (n + 1,)
            Where each begins.
        series : int array of shape (n,)
            Their numbers; new ones follow the last one known.
        """
        goes_on = np.flatnonzero(series == self.series[-1:]) if len(self.series) else series[:0]
        if len(goes_on):  # right behind its own last row
            one = slice(offsets[goes_on[0]], offsets[goes_on[0] + 1])
            number = int(series[goes_on[0]])
            count = one.stop - one.start
            pieces = (values[low : min(low + _PIECE, one.stop)] for low in range(one.start, one.stop, _PIECE))
            self._append(pieces, [[number, self.lengths[number], len(self.channels[0].x), count, -1]])
            lengths = np.diff(offsets)
            values, lengths = np.delete(values, one, axis=0), np.delete(lengths, goes_on)
            offsets, series = np.append(0, np.cumsum(lengths)), np.delete(series, goes_on)
        if len(series):
            self._put(values, offsets, series)
        self._learn_stretches()

    def _put(self, values: np.ndarray, offsets: np.ndarray, series: np.ndarray) -> None:
        """Append a stretch for each series."""
        before = np.zeros(max(series.max() + 1, len(self.lengths)), np.int64)
        before[: len(self.lengths)] = self.lengths
        before = before[series]
        shared = np.minimum(before, self.overlap)
        lengths = np.diff(offsets) + shared
        first = np.cumsum(lengths + 1) - lengths
        again = np.flatnonzero(shared)  # their last rows so far, which the last stretch of each has
        last = self._order[np.searchsorted(self._key, packed(series[again] + 1, 0)) - 1]
        old = _Runs(self.at[last] + self.rows[last] - shared[again], first[again], shared[again])
        new = _Runs(offsets[:-1], first + shared, np.diff(offsets))
        at = first + len(self.channels[0].x)
        stretches = np.stack([series, before - shared, at, lengths, shared], axis=1)
        self._append(self._pieces(values, old, new, int(lengths.sum()) + len(series)), stretches)

    def _pieces(self, values: np.ndarray, old: "_Runs", new: "_Runs", count: int) -> Iterator[np.ndarray]:
        """Rows to append, a part at a time: runs of those that are there already, and of `values`."""
        low = 0
        for piece in self._copied(old, count, range(self.n_channels)):
            rows, to = new.within(low, low + len(piece))
            piece[to] = values[rows]
            low += len(piece)
            yield piece

    def _copied(self, runs: "_Runs", count: int, picked: Sequence[int]) -> Iterator[np.ndarray]:
        """Runs of rows of some channels where they go among `count`, missing ones elsewhere, a part at a time."""
        for low in range(0, count, _PIECE):
            piece = np.full((min(_PIECE, count - low), len(picked)), np.nan, order="F")
            rows, to = runs.within(low, low + len(piece))
            for place, number in enumerate(picked):
                piece[to, place] = self.channels[number].x[rows]
            yield piece

    def _append(self, pieces: Iterable[np.ndarray], stretches: Any) -> None:
        for piece in pieces:
            for number in range(self.n_channels):
                self.arrays.append(f"values/{number}", piece[:, number])
        for number, channel in enumerate(self.channels):
            column = self.arrays.array(f"values/{number}")
            channel.grow(column, kept=len(column) * self.n_channels <= self.most)
        self.arrays.append("stretches", np.array(stretches, dtype=np.int64))

    def forgotten(self, cut: np.ndarray, stays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What is left without the first rows of each series, and without whole series.

        Parameters
        ----------
        cut : int64 array of shape (n_series,)
            How many rows go.
        stays : bool array of shape (n_series,)
            Which series stay.

        Returns
        -------
        kept : bool array of shape (n,)
            Which samples stay.
        stretches : int64 array of shape (n_stretches, 5)
            The stretches of what stays; series are numbered anew.
        """
        first = np.clip(cut[self.series] - self.row, 0, self.rows)
        left = np.flatnonzero(stays[self.series] & (first < self.rows))
        edges = np.zeros(len(self.channels[0].x) + 1, np.int8)
        edges[self.at[left] + first[left]] = 1
        edges[self.at[left] + self.rows[left]] = -1
        kept = np.cumsum(edges[:-1], dtype=np.int8).astype(bool)
        kept[self.at[left] - 1] = True  # the missing rows before them
        first, rows = first[left], self.rows[left] - first[left]
        series = (np.cumsum(stays) - 1)[self.series[left]]
        row = self.row[left] + first - cut[self.series[left]]
        at = np.cumsum(rows + 1) - rows
        return kept, np.stack([series, row, at, rows, np.maximum(self.shared[left] - first, 0)], axis=1)

    @property
    def repeated(self) -> int:
        """Rows that are held more than once."""
        return int(self.shared.sum())

    def joined(self) -> dict[str, Any]:
        """The arrays with every series in one stretch; samples come in parts, as `Store.rewrite` takes them."""
        lengths = self.lengths
        nothing = np.zeros_like(lengths)
        at = np.cumsum(lengths + 1) - lengths
        stretches = np.stack([np.arange(len(lengths)), nothing, at, lengths, nothing], axis=1)
        columns = {f"values/{c}": (rows[:, 0] for rows in self.all_rows([c])) for c in range(self.n_channels)}
        return {"stretches": stretches, **columns}

    def all_rows(self, picked: Sequence[int]) -> Iterator[np.ndarray]:
        """Some channels of all series one after another, each behind a missing row; float64 (any, n_picked) parts."""
        first = np.cumsum(self.lengths + 1) - self.lengths
        runs = _Runs(self.at, first[self.series] + self.row, self.rows)
        return self._copied(runs, int((self.lengths + 1).sum()), picked)

    def read(self, series: int, low: int, high: int) -> np.ndarray:
        """Rows of a series, float64 (high - low, n_channels)."""
        found = np.empty((high - low, self.n_channels))
        for one in self._of(series, low, high):
            first, last = max(low, self.row[one]), min(high, self.row[one] + self.rows[one])
            place = self.at[one] - self.row[one]
            for number, channel in enumerate(self.channels):
                found[first - low : last - low, number] = channel.x[place + first : place + last]
        return found

    def _of(self, series: int, low: int, high: int) -> np.ndarray:
        """Stretches that have some of the rows from `low` to before `high` of a series."""
        mine = self._order[slice(*np.searchsorted(self._key, packed([series, series + 1], 0)))]
        return mine[(self.row[mine] < high) & (self.row[mine] + self.rows[mine] > low)]

    def where(self, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Number of the series that each position lies in, and its row there."""
        stretch = np.searchsorted(self.at, at, side="right") - 1
        return self.series[stretch], at - self.at[stretch] + self.row[stretch]

    def positions(self, series: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Positions of windows of up to `overlap` + 1 rows."""
        stretch = self._order[np.searchsorted(self._key, packed(series, rows), side="right") - 1]
        return self.at[stretch] + rows - self.row[stretch]

    def ranges(self, series: int, low: int, high: int) -> Iterator[tuple[int, int]]:
        """Positions of rows of a series, in all its stretches."""
        for one in self._of(series, low, high):
            shift = self.at[one] - self.row[one]
            yield max(low, int(self.row[one])) + shift, min(high, int(self.row[one] + self.rows[one])) + shift

    def closed(self, m: int, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Positions where no window of m rows may begin, when rows from `low` to before `high` of each series may.

        Parameters
        ----------
        m : int
            Rows of a window.
        low, high : int64 array of shape (n_series,)
            Rows of each series.

        Returns
        -------
        int64 array of shape (n_ranges, 2)
            Ascending; windows that an earlier stretch has too are among them.
        """
        first = np.maximum(low[self.series], self.row + np.maximum(self.shared - m + 1, 0)) - self.row
        last = np.maximum(np.minimum(high[self.series] - self.row, self.rows), first)
        first = np.minimum(first, self.rows)
        ends = np.append(self.at[1:], len(self.channels[0].x)) if len(self.at) else self.at
        found = np.stack([[self.at, self.at + first], [self.at + np.minimum(last, self.rows), ends]], axis=0)
        found = found.transpose(2, 0, 1).reshape(-1, 2)
        found = found[found[:, 1] > found[:, 0]]
        # Ranges that touch are one, so that blocks of series that are left out are seen to be closed.
        breaks = found[1:, 0] > found[:-1, 1]
        begins, ends = (np.append(True, breaks), np.append(breaks, True)) if len(found) else (breaks, breaks)
        return np.stack([found[begins, 0], found[ends, 1]], axis=1)


class _Runs(NamedTuple):
    """Runs of rows that are copied: where each is, where it goes, and how many rows it has."""

    source: np.ndarray
    target: np.ndarray
    size: np.ndarray

    def within(self, low: int, high: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows that go to places from `low` to before `high`, and these places, counted from `low`."""
        skipped = np.clip(low - self.target, 0, self.size)
        left = np.clip(high - self.target, 0, self.size) - skipped
        step = np.arange(left.sum()) - np.repeat(np.cumsum(left) - left, left)
        return np.repeat(self.source + skipped, left) + step, np.repeat(self.target + skipped - low, left) + step


class Bridges:
    """The long array, and copies of rows around borders that windows of m rows reach across without being in a stretch.

    Parameters
    ----------
    corpus : Corpus
        What is searched.
    m : int
        Rows of a window.
    picked : sequence of int
        Channels that are compared.
    """

    def __init__(self, corpus: Corpus, m: int, picked: Sequence[int]) -> None:
        self.corpus, self.m = corpus, m
        self.parts = [Part([corpus.channels[number] for number in picked], 0)]
        self.first = -(-len(corpus.channels[0].x) // TILE) * TILE
        self.spans = list(self._spans())
        if self.spans:
            gap = np.full((1, corpus.n_channels), np.nan)
            rows = [piece for series, low, high in self.spans for piece in (corpus.read(series, low, high), gap)]
            copied = np.asfortranarray(np.concatenate(rows)[:, list(picked)])
            self.parts.append(Part([Channel(column, kept=False) for column in copied.T], self.first))
        sizes = np.array([high - low + 1 for _, low, high in self.spans], dtype=np.int64)
        self.at = self.first + np.cumsum(sizes) - sizes

    def _spans(self) -> Iterator[tuple[int, int, int]]:
        """Rows (series, from, to) that hold the windows which no stretch has."""
        corpus, m = self.corpus, self.m
        split = np.flatnonzero((corpus.row > 0) & (m > corpus.shared + 1))
        last = dict.fromkeys(corpus.series[split].tolist(), 0)
        for one in split:
            series, border = int(corpus.series[one]), int(corpus.row[one] + corpus.shared[one])
            low = max(border - m + 1, last[series])
            # Windows that begin later are in the stretch, or across its other border.
            stop = min(int(corpus.row[one]), int(corpus.lengths[series]) - m + 1)
            if low < stop:
                last[series] = stop
                yield series, low, stop + m - 1

    def where(self, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Series and row of each position."""
        series, rows = self.corpus.where(at)
        for place, (number, low, _) in zip(self.at, self.spans, strict=True):
            inside = at >= place
            series[inside], rows[inside] = number, low + at[inside] - place
        return series, rows

    def around(self, at: int, exclusion: int) -> Iterator[tuple[int, int]]:
        """Positions whose windows are nearer than `exclusion` to a window of the same series."""
        series, row = (int(found[0]) for found in self.where(np.array([at])))
        yield from self.ranges(series, row - exclusion + 1, row + exclusion)

    def ranges(self, series: int, low: int, high: int) -> Iterator[tuple[int, int]]:
        """Positions of rows of a series, in all stretches and copies."""
        yield from self.corpus.ranges(series, low, high)
        for place, (number, start, stop) in zip(self.at, self.spans, strict=True):
            first, last = max(low, start), min(high, stop)
            if number == series and first < last:
                yield int(place + first - start), int(place + last - start)

    def closed(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Positions where no window may begin, as `Corpus.closed`."""
        found = [self.corpus.closed(self.m, low, high)]
        for place, (number, first, last) in zip(self.at, self.spans, strict=True):
            open_from = min(max(low[number], first), last)
            open_to = max(min(high[number], last), open_from)
            found.append(place - first + np.array([[first, open_from], [open_to, last]]))
        ranges = np.concatenate(found)
        return ranges[ranges[:, 1] > ranges[:, 0]]
