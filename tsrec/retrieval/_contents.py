"""What a retriever holds: series with their names, times and metadata, and the windows that are indexed."""

from collections.abc import Callable
from threading import Lock
from typing import Any

import numpy as np
import pandas as pd

from tsrec.frames import Panel, label_at
from tsrec.retrieval._asked import picked_channels, read_metadata
from tsrec.retrieval._catalog import SERIES, check_storable, described, rows_of
from tsrec.retrieval._corpus import Corpus
from tsrec.retrieval._memory import Memory
from tsrec.retrieval._read import Series, Times
from tsrec.retrieval._store import Store
from tsrec.retrieval._windows import Windows


class Contents:
    """Series in a store, which grow, and their windows.

    Parameters
    ----------
    arrays : Store
        Where numbers are kept.
    times : Times
        When rows are.
    labels : Index
        Names of the series, their numbers where they have none.
    channels : Index
        Names of the channels.
    named : bool
        Whether series have names.
    metadata : DataFrame, optional
        A row for each.
    steps : dict
        Rows from one indexed window to the next, by their length; also of lengths that no series has yet.
    carry : bool
        Whether windows are made by an encoder that hands its state on from one to the next.
    skipped : int, default 0
        Windows that were left out so far.
    """

    # What a store on disk is to say of its retriever, too; None where nothing outlives the process.
    record: dict[str, Any] | None = None

    def __init__(
        self,
        arrays: Store,
        times: Times,
        labels: pd.Index,
        channels: pd.Index,
        *,
        named: bool,
        metadata: pd.DataFrame | None,
        steps: dict[int, int],
        carry: bool,
        skipped: int = 0,
        indexed: bool = False,
    ) -> None:
        self.arrays, self.times, self.labels, self.channels = arrays, times, labels, channels
        self.named, self.metadata = named, metadata
        self.steps, self.carry = steps, carry
        self.corpus = Corpus(arrays, len(channels), overlap=0)
        self.corpus.overlap = self._overlap(self.corpus.lengths)
        self.windows: Windows | None = None
        self.skipped, self._lock = skipped, Lock()
        # Rows of each series whose windows are made.
        self.made = self.corpus.lengths.copy() if indexed else np.zeros(len(self.corpus.lengths), np.int64)

    @property
    def scales(self) -> list[int]:
        """Lengths of windows that a series is long enough for."""
        return self._possible(self.corpus.lengths)

    def take_in(self, panel: Panel) -> None:
        """Put the first rows of the series in."""
        self._put(panel.values, panel.offsets, np.arange(panel.n_series))

    def extend(self, more: Series, metadata: Any, verbose: int = 0) -> None:
        """Put more series in, or more rows behind those that are there; see `SubsequenceRetriever.partial_fit`."""
        panel = more.panel
        times = self.times.agreeing(more.times)
        picked = picked_channels(panel, self.channels, None, where="X")
        if sorted(picked) != list(range(len(self.channels))):
            raise ValueError(f"X: its channels are {list(panel.columns)}. Give {list(self.channels)}, as in fit.")
        places = self._places(more)
        known, new = np.flatnonzero(places >= 0), np.flatnonzero(places < 0)
        ahead = times.ahead(more.times.take(known), places[known], self.corpus.lengths)
        if more.step is not None:  # steps without samples are missing, also between what is known and what comes
            before = np.zeros(panel.n_series, np.int64)
            before[known] = np.maximum(np.floor(ahead), 0)
            # Parts of a step are left: what was fitted without `resample` may begin in the midst of one.
            panel, ahead = panel.resized(before, np.zeros_like(before)), ahead - before[known]
        _check_ahead(ahead, more, known)
        if len(new):
            if (metadata is None) != (self.metadata is None):
                raise ValueError("metadata: give a row for each new series, if fit was given some, else none.")
            described = None if metadata is None else read_metadata(metadata, panel.labels[new])
            labels, described = self._with_new(panel.labels[new], described)
            times = times.extended(more.times, new)
            places[new] = len(self.labels) + np.arange(len(new))
            self.labels, self.metadata = labels, described
        self.times = times
        self._put(panel.values[:, np.argsort(picked)], panel.offsets, places, verbose)

    def forget(self, stays: np.ndarray, cut: np.ndarray) -> None:
        """Drop series for good, and the first rows of others; their windows are to be made again.

        Parameters
        ----------
        stays : bool array of shape (n_series,)
            Which series stay.
        cut : int64 array of shape (n_series,)
            How many rows of each go.
        """
        kept, stretches = self.corpus.forgotten(cut, stays)
        self._drop_windows(int(stays.sum()))
        self.times = self.times.later(cut).take(stays)
        self.labels = self.labels[stays] if self.named else pd.RangeIndex(int(stays.sum()))
        self.metadata = None if self.metadata is None else self.metadata[stays]
        replaced: dict[str, Any] = {"stretches": stretches}
        if self.record is not None:
            replaced[SERIES] = rows_of(self, 0)
        kept_of = {f"values/{number}": kept for number in range(len(self.channels))}
        self.arrays.rewrite(kept_of, replace=replaced, state=self._state())
        self.corpus = Corpus(self.arrays, len(self.channels), overlap=self.corpus.overlap)

    def drop_windows(self) -> None:
        """Have no windows, for good: others are to be made of the series."""
        self._drop_windows(len(self.labels))
        if (state := self._state()) is not None:
            self.arrays.commit(state)

    def __getstate__(self) -> dict[str, Any]:
        """What is copied or pickled: a copy of what lies in a folder may read it only."""
        return {**vars(self), "record": None, "_lock": None, "corpus": self.corpus.overlap}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take a copy up; its samples are those of the store, once."""
        vars(self).update(state, _lock=Lock())
        self.corpus = Corpus(self.arrays, len(self.channels), overlap=state["corpus"])

    @property
    def has_windows(self) -> bool:
        """Whether windows were made, by this process or the one that wrote the store."""
        return self.windows is not None or bool(self.made.any())

    def index(self, make: Callable[[Store, dict[int, int]], Windows], verbose: int = 0) -> Windows:
        """The windows; they are made, verbose with a bar, when they are first asked for."""
        with self._lock:
            return self._made_windows(make, verbose)

    def _made_windows(self, make: Callable[[Store, dict[int, int]], Windows], verbose: int) -> Windows:
        if self.windows is None:
            # Those of a folder that is only read, and has none, are nobody's but this process's.
            own = self.record is None and not isinstance(self.arrays, Memory) and not self.has_windows
            self.windows = make(Memory() if own else self.arrays, self.steps)
        self._catch_up(verbose)
        return self.windows

    def commit(self) -> None:
        """Keep what was put in, if it is to outlive the process."""
        if (state := self._state()) is not None:
            known = len(self.arrays.table(SERIES)["start"]) if SERIES in self.arrays.tables() else 0
            if known < len(self.labels):
                self.arrays.append_table(SERIES, rows_of(self, known))
            self.arrays.commit(state)
        # Appends repeat rows: what that comes to is kept below what is held anyway.
        if self.corpus.repeated > self.corpus.lengths.sum():
            self._join(self.corpus.overlap)

    def saved(self, target: Store, record: dict[str, Any]) -> None:
        """Write everything to an empty store."""
        known = self.arrays.tables()
        self.arrays.copy_to(target)
        if SERIES not in known:
            target.append_table(SERIES, rows_of(self, 0))
        target.commit({**described(self), **record})

    def _state(self) -> dict[str, Any] | None:
        """All that a store is to say of its retriever; None where nothing outlives the process."""
        return None if self.record is None else {**described(self), **self.record}

    def _drop_windows(self, n_series: int) -> None:
        for name in [name for name in self.arrays.names() if name.startswith("windows/")]:
            self.arrays.drop(name)
        self.windows, self.skipped, self.made = None, 0, np.zeros(n_series, np.int64)

    def _put(self, values: np.ndarray, offsets: np.ndarray, series: np.ndarray, verbose: int = 0) -> None:
        known = self.corpus.lengths
        before = np.append(known, np.zeros(max(series.max() + 1 - len(known), 0), np.int64))[series]
        overlap = self._overlap(before + np.diff(offsets))
        if overlap > self.corpus.overlap:
            # A scale wakes: no window of it may lie across pieces that share less.
            if (self.corpus.row > 0).any():
                self._join(overlap)
            self.corpus.overlap = overlap
        self.corpus.extend(values, offsets, series)
        self._catch_up(verbose)

    def _with_new(self, labels: pd.Index, metadata: pd.DataFrame | None) -> tuple[pd.Index, pd.DataFrame | None]:
        """Names of all series, and metadata, with new ones; what could not be kept is refused before all else."""
        names = self.labels.append(labels) if self.named else pd.RangeIndex(len(self.labels) + len(labels))
        if metadata is not None and self.metadata is not None:
            if list(metadata.columns) != list(self.metadata.columns):
                wanted = list(self.metadata.columns)
                raise ValueError(f"metadata: its columns are {list(metadata.columns)}. Give {wanted}, as in fit.")
            metadata = pd.concat([self.metadata, metadata]).set_axis(names)
        if self.record is not None:
            known = self.labels if self.named else None
            check_storable(names if self.named else None, metadata, known=(known, self.metadata))
        return names, metadata

    def _catch_up(self, verbose: int) -> None:
        """Make the windows of rows that have none yet; also of those whose turn was broken off."""
        if self.windows is None:
            return
        lengths = self.corpus.lengths
        before = np.append(self.made, np.zeros(len(lengths) - len(self.made), np.int64))
        behind = np.flatnonzero(before < lengths)
        if len(behind):
            self.skipped += self.windows.extend(self.corpus, behind, before[behind], verbose)
            self.made = lengths.copy()

    def _possible(self, lengths: np.ndarray) -> list[int]:
        return [scale for scale in self.steps if scale <= lengths.max(initial=0)]

    def _overlap(self, lengths: np.ndarray) -> int:
        """Rows that pieces of series share, so that each window that is indexed lies in one."""
        return max(self._possible(lengths), default=1) - 1

    def _join(self, overlap: int) -> None:
        """Bring the pieces of each series together, and commit."""
        self.arrays.rewrite({}, replace=self.corpus.joined(), state=self._state())
        self.corpus = Corpus(self.arrays, len(self.channels), overlap=overlap)

    def _places(self, more: Series) -> np.ndarray:
        """Numbers of the series that rows come for; -1 for new ones."""
        panel = more.panel
        if (panel.ids is not None) != self.named:
            own, other = ("with", "without") if self.named else ("without", "with")
            raise ValueError(f"X: its series are {other} names, those so far {own}. Give them in the same form as fit.")
        if self.named:
            return self.labels.get_indexer(panel.ids)
        goes_on = more.alone and len(self.labels) == 1
        return np.zeros(1, np.int64) if goes_on else np.full(panel.n_series, -1)


def own_rows(given: Series, contents: Contents) -> list[tuple[int, int]]:
    """Series and row that each query was cut from, by its name and time."""
    panel = given.panel
    alone = len(contents.labels) == 1 and (panel.ids is None or panel.n_series == 1)
    series = np.zeros(panel.n_series, np.int64) if alone else contents.labels.get_indexer(panel.labels)
    if (series < 0).any() or not (alone or (contents.named and panel.ids is not None)):
        raise ValueError("exclude_self: the queries do not say which series they are from. Give a panel with names.")
    contents.times.agreeing(given.times)
    ahead = contents.times.ahead(given.times, series, np.zeros_like(contents.corpus.lengths))
    return [(int(one), int(row)) for one, row in zip(series, ahead, strict=True)]


def _check_ahead(ahead: np.ndarray, more: Series, known: np.ndarray) -> None:
    if not (ahead == 0).all():
        one = int(np.flatnonzero(ahead)[0])
        found = f"{abs(ahead[one]):g} rows {'after' if ahead[one] > 0 else 'before'} the end of what is known"
        mend = "missing ones as NaN" if more.step is None else f"from where a step of {more.step!r} begins"
        raise ValueError(
            f"X: series {label_at(more.panel.labels, int(known[one]))!r} begins {found}. Give the rows that follow it; "
            f"{mend}."
        )
