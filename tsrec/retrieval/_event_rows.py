"""Events as rows of series: where each begins and ends, and which steps it covers."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tsrec.retrieval._corpus import packed
from tsrec.retrieval._read import Times


class EventRows(NamedTuple):
    """Events in the rows of series.

    Attributes
    ----------
    series, first, last : int64 arrays of shape (n_events,)
        Number of the series, first row, and the row after the last.
    label : int64 array of shape (n_events,)
        Number of the label.
    labels : array
        The labels, sorted.
    """

    series: np.ndarray
    first: np.ndarray
    last: np.ndarray
    label: np.ndarray
    labels: np.ndarray

    def durations(self) -> np.ndarray:
        """Mean rows of the events of each label."""
        rows = np.bincount(self.label, weights=self.last - self.first, minlength=len(self.labels))
        return rows / np.bincount(self.label, minlength=len(self.labels))

    def usual(self) -> np.ndarray:
        """Rows that three of four events of each label have at least."""
        sizes = self.last - self.first
        return np.array([np.quantile(sizes[self.label == one], 0.25) for one in range(len(self.labels))])

    def of_steps(self, series: int, middles: np.ndarray, grain: int) -> np.ndarray:
        """Label of each step of a series.

        Parameters
        ----------
        series : int
            Its number.
        middles : int64 array of shape (n_steps,)
            Rows in the middle of the steps.
        grain : int
            Rows of a step.

        Returns
        -------
        int64 array of shape (n_steps,)
            -1 where there is none. An event that is too short to cover a middle has the step around its own.
        """
        found = self.of_rows(np.full(len(middles), series), middles)
        mine = np.flatnonzero(self.series == series)
        centre = (self.first[mine] + self.last[mine] - 1) // 2
        place = np.clip((centre - middles[0] + grain // 2) // grain, 0, len(middles) - 1)
        short = (self.first[mine] > middles[place]) | (self.last[mine] <= middles[place])
        found[place[short]] = self.label[mine[short]]
        return found

    def of_rows(self, series: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Label of each row, -1 for none; of overlapping events the one that begins last."""
        order = np.lexsort([self.first, self.series])
        begins = packed(self.series[order], self.first[order])
        place = np.searchsorted(begins, packed(series, rows), side="right") - 1
        one = order[np.maximum(place, 0)]
        inside = (place >= 0) & (self.series[one] == series) & (rows < self.last[one])
        return np.where(inside, self.label[one], -1)


def event_rows(events: Any, names: pd.Index, times: Times, lengths: np.ndarray) -> EventRows:
    """Read a table of events.

    Parameters
    ----------
    events : DataFrame
        Columns start, end, label, and series where there are several.
    names : Index
        Names of the series.
    times : Times
        When their rows are.
    lengths : int64 array of shape (n_series,)
        How many they have.

    Returns
    -------
    EventRows

    Raises
    ------
    ValueError
        If a column or a value is missing, a series unknown, or an event without rows.
    """
    if not isinstance(events, pd.DataFrame):
        raise TypeError(f"events: found {type(events).__name__}. Give a frame with series, start, end and label.")
    needed = ["start", "end", "label", *(["series"] if len(names) > 1 else [])]
    missing = [column for column in needed if column not in events.columns]
    if missing or not len(events):
        found = f"columns {list(events.columns)}, without {missing}" if missing else "no rows"
        raise ValueError(f"events: found {found}. Give a row for each event: {needed}.")
    series = np.zeros(len(events), np.int64) if "series" not in events.columns else names.get_indexer(events["series"])
    if (series < 0).any():
        unknown = events["series"].iloc[int(np.flatnonzero(series < 0)[0])]
        raise ValueError(f"events: found series {unknown!r}, which is not among {list(names[:3])}.")
    unknown = events[["start", "end", "label"]].isna().to_numpy().any(1)
    if unknown.any():
        raise ValueError(
            f"events: row {int(unknown.argmax())} lacks a start, an end or a label. Give it, or leave the row out."
        )
    first = times.rows_of(series, events["start"], lengths)
    last = times.rows_of(series, events["end"], lengths)
    if (last <= first).any():
        one = events.iloc[int(np.flatnonzero(last <= first)[0])]
        raise ValueError(f"events: {one['label']!r} from {one['start']} to {one['end']} covers no row of its series.")
    labels, label = np.unique(events["label"].to_numpy(), return_inverse=True)
    return EventRows(series, first, last, label, labels)
