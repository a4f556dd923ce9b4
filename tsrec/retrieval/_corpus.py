"""What is searched: series of any lengths as one long array, with a missing row after each."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tsrec.frames import Panel, TimeGrid, form_of, read_collection, read_index, read_panel, sampling_rate, to_numbers

_COUNTED = TimeGrid("position", 1)


class Seconds(NamedTuple):
    """Times of recordings whose index holds float seconds: the first of each, and the rate in Hz."""

    first: np.ndarray
    rate: float
    name: Any


def read_corpus(X: Any, *, where: str = "X") -> tuple[Panel, Seconds | None]:
    """Series in which to search, or queries.

    Parameters
    ----------
    X : Series, frame, panel, dict, list or array
        A Series or frame with an index of times, float seconds included, is one series; with a MultiIndex, its last
        level is time and the others name the series. A dict or list holds a series each. An array has a series a row
        (n_series, n_times), or is (n_series, n_channels, n_times).
    where : str
        How errors call the argument.

    Returns
    -------
    Panel
    Seconds or None
        Where the index holds float seconds, which the panel then only counts.
    """
    if isinstance(X, Mapping) and X and all(isinstance(one, pd.Series | pd.DataFrame) for one in X.values()):
        frames = {key: one.to_frame("value") if isinstance(one, pd.Series) else one for key, one in X.items()}
        X = pd.concat(frames, names=["series"])
    if isinstance(X, pd.Series | pd.DataFrame):
        times = X.index.get_level_values(-1)
        return _recorded(X, times, where) if times.dtype.kind == "f" else (read_panel(X, where=where), None)
    if isinstance(X, np.ndarray) and X.ndim == 2:
        X = X[:, None]
    collection = read_collection(X, where=where)
    ids = collection.labels if collection.named else None
    return _counted(collection.values, collection.offsets, collection.columns, ids), None


def _counted(values: np.ndarray, offsets: np.ndarray, columns: pd.Index, ids: pd.Index | None) -> Panel:
    return Panel(values, offsets, np.zeros(len(offsets) - 1, dtype=np.int64), _COUNTED, columns, ids)


def _recorded(X: pd.Series | pd.DataFrame, times: pd.Index, where: str) -> tuple[Panel, Seconds]:
    rows = read_index(X.index, where=where, seconds=True)
    order = slice(None) if rows.order is None else rows.order
    seconds = times.to_numpy(np.float64)[order]
    rates = [sampling_rate(pd.Index(part), where=where) for part in np.split(seconds, rows.offsets[1:-1])]
    known = {rate for rate in rates if rate is not None}
    if len(known) > 1:
        raise ValueError(
            f"{where}: its series have the rates {sorted(known)} Hz. Bring them to one, with frames.resample."
        )
    panel = _counted(to_numbers(X, where=where)[order], rows.offsets, form_of(X).columns, rows.ids)
    return panel, Seconds(seconds[rows.offsets[:-1]], known.pop() if known else 1.0, times.name)


class Corpus:
    """Series one after another, each followed by a missing row, so that no window reaches from one into the next.

    Parameters
    ----------
    panel : Panel
        The series.
    seconds : Seconds, optional
        Times of its rows, where they are float seconds.
    """

    def __init__(self, panel: Panel, seconds: Seconds | None = None) -> None:
        self.panel, self.seconds = panel, seconds
        n = panel.n_series
        self.first = panel.offsets[:-1] + np.arange(n)
        rows = np.arange(panel.offsets[-1]) + np.repeat(np.arange(n), panel.lengths)
        # A channel after another in memory: that is how they are searched.
        self.values = np.full((panel.offsets[-1] + n, panel.n_channels), np.nan, order="F")
        self.values[rows] = panel.values

    def where(self, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Number of the series that each position lies in, and its row there."""
        series = np.searchsorted(self.first, at, side="right") - 1
        return series, at - self.first[series]

    def times(self, series: np.ndarray, rows: np.ndarray) -> pd.Index:
        """Times of rows; also of those after the last one."""
        if self.seconds is not None:
            return pd.Index(self.seconds.first[series] + rows / self.seconds.rate, name=self.seconds.name)
        return self.panel.grid.decode(self.panel.starts[series] + rows * self.panel.grid.step)

    def rows_at(self, time: Any) -> np.ndarray:
        """First row of each series that does not begin before a time; int64 of shape (n_series,)."""
        panel, grid = self.panel, self.panel.grid
        if self.seconds is not None:
            rows = np.ceil((float(time) - self.seconds.first) * self.seconds.rate - 1e-6)
        elif grid.kind in ("position", "integer"):
            rows = np.ceil((float(time) - panel.starts) / grid.step)
        else:
            # Months and days of a zone with summer time are uneven: the times themselves are searched.
            spans = zip(panel.starts, panel.lengths, strict=True)
            rows = np.array([grid.run(start, length).searchsorted(time) for start, length in spans])
        return np.clip(rows, 0, panel.lengths).astype(np.int64)
