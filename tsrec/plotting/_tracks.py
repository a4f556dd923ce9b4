"""Frames, panels and arrays cut into tracks: a variable of a series, for one pair of axes. No matplotlib here."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tsrec.plotting._style import named

MOST_TRACKS = 12
_LEAST_HISTORY = 48


@dataclass(frozen=True)
class Line:
    """Values over time."""

    time: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class Band:
    """An interval over time, with its nominal coverage."""

    coverage: float
    time: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


@dataclass(frozen=True)
class Track:
    """One variable of one series: everything that a pair of axes shows. Bands go from wide to narrow."""

    title: str
    forecast: Line
    history: Line | None
    actual: Line | None
    bands: tuple[Band, ...]

    def joined_actual(self) -> Line:
        """The actual values, joined to the last of the history if they follow it: both were observed."""
        assert self.actual is not None
        if self.history is None or not len(self.history.time) or not self.history.time[-1] < self.actual.time[0]:
            return self.actual
        time, values = (
            np.concatenate([getattr(self.history, part)[-1:], getattr(self.actual, part)])
            for part in ("time", "values")
        )
        return Line(time, values)

    def limits(self) -> tuple[float, float]:
        """Range of the vertical axis: all lines, and the bands as far as they go beyond them by once their range.

        A band that explodes would otherwise press every line flat.
        """
        lines = [line.values for line in (self.history, self.forecast, self.actual) if line is not None]
        seen = np.concatenate(lines)
        seen = seen[np.isfinite(seen)]
        if not len(seen):
            return -1.0, 1.0
        low, high = float(seen.min()), float(seen.max())
        reach = high - low or abs(high) or 1.0
        edges = [edge for band in self.bands for edge in (band.lower, band.upper)]
        ends = np.concatenate([*edges, seen])
        ends = np.clip(ends[np.isfinite(ends)], low - reach, high + reach)
        low, high = min(low, float(ends.min())), max(high, float(ends.max()))
        margin = 0.05 * (high - low or abs(high) or 1.0)
        return low - margin, high + margin


def tracks(
    forecast: Any,
    history: Any,
    actual: Any,
    intervals: pd.DataFrame | None,
    *,
    series: Hashable | Sequence[Hashable] | None,
    max_history: int | None,
) -> list[Track]:
    """Everything to be shown, cut into tracks.

    Raises
    ------
    ValueError
        If there are more than 12 tracks, or the arguments have not the same series and variables, or other indexes.
    """
    frame = _frame(forecast, 0 if history is None else len(history))
    past = None if history is None else _frame(history, 0)
    later = None if actual is None else _frame(actual, 0 if history is None else len(history))
    for argument, part in (("history", past), ("actual", later), ("intervals", intervals)):
        _check_index(frame, part, argument)
    names = shown_series(frame, series)
    cut = []
    for name in names:
        ahead = _of_series(frame, name, "forecast")
        steps = max(4 * len(ahead), _LEAST_HISTORY) if max_history is None else max_history
        before = None if past is None or steps < 1 else _of_series(past, name, "history").iloc[-steps:]
        after = None if later is None else _of_series(later, name, "actual")
        bounds = None if intervals is None else _of_series(intervals, name, "intervals")
        for position, variable in enumerate(frame.columns):
            cut.append(
                Track(
                    title=_title(name, variable, frame),
                    forecast=_line(ahead, position, variable, "forecast"),
                    history=None if before is None else _line(before, position, variable, "history"),
                    actual=None if after is None else _line(after, position, variable, "actual"),
                    bands=() if bounds is None else _bands(bounds, variable, frame.shape[1]),
                )
            )
    return cut


def _frame(y: Any, start: int) -> pd.DataFrame:
    """A container as a frame; the rows of an array are numbered from `start`."""
    if isinstance(y, pd.DataFrame):
        return y
    if isinstance(y, pd.Series):
        return y.to_frame()
    values = np.asarray(y, dtype=np.float64)
    values = values.reshape(len(values), -1)
    return pd.DataFrame(values, index=pd.RangeIndex(start, start + len(values), name="step"))


def _check_index(frame: pd.DataFrame, part: pd.DataFrame | None, argument: str) -> None:
    """Refuse rows that cannot lie beside those of the forecast: of other levels, or of another kind of time."""
    if part is None or not len(part) or not len(frame):
        return
    if part.index.nlevels != frame.index.nlevels:
        raise ValueError(
            f"{argument}: its index has the levels {list(part.index.names)}, but that of the forecast has "
            f"{list(frame.index.names)}. Give both the same: time alone for one series, (series, time) for a panel."
        )
    ours, theirs = (each.index.get_level_values(-1) for each in (frame, part))
    if _kind(ours) != _kind(theirs):
        raise ValueError(
            f"{argument}: its times are {theirs.dtype}, those of the forecast {ours.dtype}. Give both the same kind of "
            "time, in the last level of the index."
        )


def _kind(times: pd.Index) -> str:
    """What cannot be compared across: numbers, times, durations, and all else."""
    kind = times.dtype.kind if times.dtype.kind == "m" else plain_times(times[:1]).dtype.kind
    return "number" if kind in "iuf" else kind


def shown_series(rows: pd.DataFrame | pd.Series, series: Hashable | Sequence[Hashable] | None) -> list[Hashable]:
    """Names of the series to show, all when none are given; [None] where rows are of one without a name.

    Raises
    ------
    ValueError
        If there is no such series, or there are more of them, or of variables, than fit into one figure.
    """
    names = _series_names(rows, series)
    _check_count(len(names), 1 if rows.ndim == 1 else rows.shape[1])
    return names


def _series_names(rows: pd.DataFrame | pd.Series, series: Hashable | Sequence[Hashable] | None) -> list[Hashable]:
    if not isinstance(rows.index, pd.MultiIndex):
        if series is not None:
            raise ValueError("series: given, but there is no series level. Leave it out.")
        return [None]
    known = rows.index.droplevel(-1).unique()
    if series is None:
        return list(known)
    series = named(series)
    lacking = [name for name in series if name not in known]
    if lacking:
        raise ValueError(f"series: there is no {lacking[0]!r}. Choose among {list(known[:5])} and so on.")
    return series


def _check_count(n_series: int, n_variables: int) -> None:
    if n_variables > MOST_TRACKS:
        raise ValueError(
            f"columns: found {n_variables}, too many for one figure. Give a frame with {MOST_TRACKS} at most."
        )
    if n_series * n_variables > MOST_TRACKS:
        each = f" of {n_variables} variables each" if n_variables > 1 else ""
        raise ValueError(
            f"series: found {n_series}{each}, too many for one figure. Name {MOST_TRACKS // n_variables} at most by "
            "series=[...]."
        )


def _of_series(frame: pd.DataFrame, name: Hashable, argument: str) -> pd.DataFrame:
    """Rows of one series, on their time index."""
    if name is None:
        return frame
    mine = frame.index.droplevel(-1) == name
    if not mine.any():
        raise ValueError(
            f"{argument}: it has no series {name!r}, which the forecast has. Add it, or choose others by series=."
        )
    rows = frame[mine]
    return rows.set_index(rows.index.get_level_values(-1))


def _line(frame: pd.DataFrame, position: int, variable: Hashable, argument: str) -> Line:
    """One variable, by its name if there are several, in the order of time."""
    if variable in frame.columns and frame.shape[1] > 1:
        position = int(frame.columns.get_loc(variable))
    elif position >= frame.shape[1]:
        raise ValueError(
            f"{argument}: it has no column {variable!r}, which the forecast has. Give both the same columns."
        )
    column = frame.iloc[:, position].sort_index()
    return Line(plain_times(column.index), column.to_numpy(dtype=np.float64, na_value=np.nan))


def _bands(bounds: pd.DataFrame, variable: Hashable, n_variables: int) -> tuple[Band, ...]:
    if bounds.columns.nlevels != 3:
        raise ValueError(
            f"intervals: the columns have {bounds.columns.nlevels} levels. Give columns (variable, coverage, "
            "'lower' or 'upper'), as predict_interval does."
        )
    # Names may be tuples, which pandas would take for keys of several levels.
    mine = np.array([name == variable for name in bounds.columns.get_level_values(0)])
    if n_variables > 1 or mine.any():
        if not mine.any():
            raise ValueError(f"intervals: there is no variable {variable!r}, which the forecast has. Add it.")
        bounds = bounds.loc[:, mine]
    bounds = bounds.droplevel(0, axis=1).sort_index()
    widths = sorted({float(share) for share in bounds.columns.get_level_values(0)}, reverse=True)
    time = plain_times(bounds.index)
    return tuple(
        Band(share, time, *(bounds[share, side].to_numpy(float) for side in ("lower", "upper"))) for share in widths
    )


def plain_times(index: pd.Index) -> np.ndarray:
    """Positions on the horizontal axis: periods at their start, time zones as wall clock, durations in seconds."""
    if isinstance(index, pd.PeriodIndex):
        index = index.to_timestamp()
    if isinstance(index, pd.DatetimeIndex) and index.tz is not None:
        index = index.tz_localize(None)
    times = index.to_numpy()
    return times / np.timedelta64(1, "s") if times.dtype.kind == "m" else times


def _title(series: Hashable, variable: Hashable, frame: pd.DataFrame) -> str:
    named = variable is not None and not isinstance(frame.columns, pd.RangeIndex)
    return label_of(series, variable, named=named, several=frame.shape[1] > 1)


def label_of(series: Hashable, variable: Hashable, *, named: bool, several: bool) -> str:
    """What a pair of axes is called: its series, and its variable where there are several, or nothing else."""
    words = [] if series is None else [" ".join(map(str, series)) if isinstance(series, tuple) else str(series)]
    if several or (series is None and named):
        words.append(str(variable))
    return ", ".join(words)
