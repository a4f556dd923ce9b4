"""Series and queries as users give them, and the times of their rows."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tsrec.frames import Panel, TimeGrid, form_of, read_collection, read_index, read_panel, sampling_rate, to_numbers
from tsrec.retrieval._resample import counts_seconds, grid_of, nanoseconds_of, resampled

_COUNTED = TimeGrid("position", 1)


@dataclass(frozen=True)
class Times:
    """When the rows of series are.

    Attributes
    ----------
    grid : TimeGrid
        Meaning of ordinals; rows are counted where times are float seconds.
    starts : int64 array of shape (n_series,)
        Ordinal of the first row of each series.
    seconds : float64 array of shape (n_series,), optional
        Time of the first row of each series, where the index holds float seconds.
    rate : float, optional
        Rows a second, then; None while there is only one row.
    name : object
        Name of the index of seconds.
    """

    grid: TimeGrid
    starts: np.ndarray
    seconds: np.ndarray | None = None
    rate: float | None = None
    name: Any = None

    @property
    def hertz(self) -> float | None:
        """Rows a second; None where nothing tells."""
        if self.seconds is not None:
            return self.rate
        return 1e9 / self.grid.nanoseconds(self.grid.step) if self.grid.kind in ("fixed", "delta") else None

    def at(self, series: np.ndarray, rows: np.ndarray) -> pd.Index:
        """Times of rows; also of those after the last one."""
        if self.seconds is not None:
            return pd.Index(self.seconds[series] + rows / (self.rate or 1.0), name=self.name)
        return self.grid.decode(self.starts[series] + rows * self.grid.step)

    def rows_from(self, time: Any, lengths: np.ndarray) -> np.ndarray:
        """First row of each series that does not begin before a time; int64 of shape (n_series,)."""
        return self.rows_of(np.arange(len(lengths)), [time] * len(lengths), lengths)

    def rows_of(self, series: np.ndarray, times: Any, lengths: np.ndarray) -> np.ndarray:
        """First row that does not begin before each time, in the series of that time; int64 of shape (n,)."""
        if self.seconds is not None:
            rows = np.ceil((self._numbers(times) - self.seconds[series]) * (self.rate or 1.0) - 1e-6)
        elif self.grid.kind in ("position", "integer"):
            rows = np.ceil((self._numbers(times) - self.starts[series]) / self.grid.step)
        else:
            rows = self._rows_of_stamps(series, times, lengths)
        return np.clip(rows, 0, lengths[series]).astype(np.int64)

    def _rows_of_stamps(self, series: np.ndarray, times: Any, lengths: np.ndarray) -> np.ndarray:
        grid, starts, times = self.grid, self.starts[series], self._stamps(times)
        if grid.kind in ("fixed", "delta") or (grid.kind == "wall" and grid.tz is None):
            unit = grid.nanoseconds(1)
            return -((starts * unit - times.as_unit("ns").asi8) // (grid.step * unit))
        # Months and days of a zone with summer time are uneven: the times themselves are searched.
        rows = np.empty(len(series), np.int64)
        for start in np.unique(starts):
            mine = starts == start
            rows[mine] = grid.run(start, int(lengths[series[mine]].max())).searchsorted(times[mine])
        return rows

    def _numbers(self, times: Any) -> np.ndarray:
        try:
            return np.asarray(times, dtype=np.float64)
        except (TypeError, ValueError):
            raise ValueError(
                f"time: found {next(iter(times))!r}, the series have {self.spacing()}. Give a number."
            ) from None

    def _stamps(self, times: Any) -> Any:
        """Times as the index has them: text is read, and times without a zone are taken to be in that of the index."""
        grid, found = self.grid, list(times)
        try:
            if grid.kind == "period":
                return pd.PeriodIndex(found, freq=grid.freq)
            if grid.kind == "delta":
                return pd.TimedeltaIndex(found)
            stamps = pd.DatetimeIndex(found)
        except (TypeError, ValueError) as error:
            like = grid.decode(self.starts[:1])[0]
            raise ValueError(f"time: found {found[0]!r}. Give times such as {like!r} ({error}).") from None
        if stamps.tz is None and grid.tz is not None:
            return stamps.tz_localize(grid.tz, ambiguous=np.ones(len(stamps), bool), nonexistent="shift_forward")
        if stamps.tz is not None and grid.tz is None:
            raise ValueError(f"time: found {found[0]!r}, the series have times without a zone. Give such a time.")
        return stamps

    def later(self, rows: np.ndarray) -> "Times":
        """These times without the first rows of each series."""
        seconds = None if self.seconds is None else self.seconds + rows / (self.rate or 1.0)
        return replace(self, starts=self.starts + rows * self.grid.step, seconds=seconds)

    def take(self, series: np.ndarray) -> "Times":
        """Times of some of the series."""
        return replace(self, starts=self.starts[series], seconds=None if self.seconds is None else self.seconds[series])

    def ahead(self, other: "Times", series: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """By how many rows the series of `other` begin after the end of these (each named by its number here)."""
        if self.seconds is not None and other.seconds is not None:
            return np.rint((other.seconds - self.seconds[series]) * (self.rate or 1.0)) - lengths[series]
        if self.grid.kind == "position":
            return other.starts - lengths[series] if other.grid.kind == "integer" else np.zeros(len(series))
        return (self._ordinals(other) - self.starts[series]) / self.grid.step - lengths[series]

    def extended(self, other: "Times", new: np.ndarray) -> "Times":
        """These times, and those of some series of another collection behind them."""
        seconds = None if self.seconds is None else np.append(self.seconds, other.seconds[new])  # type: ignore[index]
        return replace(self, starts=np.append(self.starts, self._ordinals(other)[new]), seconds=seconds)

    def agreeing(self, other: "Times") -> "Times":
        """These times, with the rate of others if it was unknown; those of another kind, or step, are refused."""
        rates = [rate for rate in (self.rate, other.rate) if rate is not None]
        same = (self.seconds is None) == (other.seconds is None) and np.allclose(rates, rates[:1], rtol=1e-4)
        # The next rows of a frame with a default index are numbered from where it ended.
        numbered = (self.grid.kind, other.grid.kind) == ("position", "integer") and other.grid.step == 1
        if not same or not (numbered or self.grid.same_spacing(other.grid)):
            raise ValueError(
                f"X: its rows come {other.spacing()}, those of the series so far {self.spacing()}. Give rows on the "
                "same kind of index, at the same steps."
            )
        return replace(self, rate=rates[0] if rates else None)

    def spacing(self) -> str:
        """What lies between rows, in words."""
        if self.seconds is not None:
            return "at seconds" if self.rate is None else f"{self.rate:g} times a second"
        grid = self.grid
        return "without times" if grid.kind == "position" else f"every {grid.freq or grid.step}"

    def _ordinals(self, other: "Times") -> np.ndarray:
        if self.grid.kind in ("position", "integer"):
            return other.starts
        return self.grid.encode(other.grid.decode(other.starts))


def check_queries(queries: "Series", times: Times) -> None:
    """Refuse queries that were sampled at another rate than the series, and tables that are taken for many of a row."""
    rates = queries.times.hertz, times.hertz
    if None not in rates and not np.isclose(*rates, rtol=1e-3):  # type: ignore[arg-type]
        raise ValueError(f"Q: it has {rates[0]:.6g} rows a second, the series {rates[1]:.6g}. Bring it to their rate.")
    if queries.rows and queries.panel.lengths.max(initial=0) == 1:
        raise ValueError(
            f"Q: its {queries.panel.n_series} queries have one row each. An array has a query a row; give [Q] for one "
            "query of shape (n_times, n_channels)."
        )


class Series(NamedTuple):
    """Series to search in, or queries.

    Attributes
    ----------
    panel : Panel
        Their numbers.
    times : Times
        Of their rows.
    alone : bool
        Whether it is a recording without a name, whose next rows may come by themselves.
    rows : bool
        Whether it is a table with a window a row.
    step : str, optional
        To which it was resampled.
    """

    panel: Panel
    times: Times
    alone: bool = False
    rows: bool = False
    step: str | None = None


def read_series(
    X: Any, *, where: str = "X", like: TimeGrid | None = None, step: str | None = None, sparse: bool = True
) -> Series:
    """Series in which to search, or queries.

    Parameters
    ----------
    X : Series, frame, panel, dict, list or array
        A Series or frame with an index of times, float seconds included, or with a default index, is one series; with
        a MultiIndex, its last level is time and the others name the series. A dict or list holds a series each. An
        array has a series a row (n_series, n_times), or is (n_series, n_channels, n_times).
    where : str
        How errors call the argument.
    like : TimeGrid, optional
        Grid of earlier rows, whose step is taken over.
    step : str, optional
        Length of the steps that rows with times are brought to.
    sparse : bool, default True
        Whether most rows may then be missing.

    Returns
    -------
    Series
    """
    if isinstance(X, Mapping) and X and all(isinstance(one, pd.Series | pd.DataFrame) for one in X.values()):
        X = _stacked(X, where)
    if isinstance(X, pd.Series | pd.DataFrame):
        if not len(X):
            raise ValueError(f"{where}: it has 0 rows. Give at least one time step.")
        even = step if step is not None and counts_seconds(X.index) else None
        if even is not None:
            X = resampled(X, even, where=where, sparse=sparse)
        times = X.index.get_level_values(-1)
        if times.dtype.kind == "f":
            given = _recorded(X, where, None if even is None else 1e9 / nanoseconds_of(even))
        else:
            like = like if X.index.nlevels > 1 or len(X) < 3 else None
            panel = read_panel(X, where=where, like=like if even is None else grid_of(even, times))
            given = Series(panel, Times(panel.grid, panel.starts), alone=X.index.nlevels == 1)
        given = given._replace(step=even)
        unnamed = isinstance(X, pd.Series) and X.name is None
        return given._replace(panel=replace(given.panel, columns=pd.RangeIndex(1))) if unnamed else given
    rows = isinstance(X, np.ndarray) and X.ndim == 2
    collection = read_collection(X[:, None] if rows else X, where=where)
    ids = collection.labels if collection.named else None
    panel = _counted(collection.values, collection.offsets, collection.columns, ids)
    return Series(panel, Times(panel.grid, panel.starts), rows=rows)


def _stacked(X: Mapping[Any, Any], where: str) -> pd.Series | pd.DataFrame:
    """One frame, or a Series if all are; their name, if they have the same, is that of the channel."""
    empty = [key for key, one in X.items() if not len(one)]
    if empty:
        raise ValueError(f"{where}[{empty[0]!r}]: the series has 0 rows. Leave it out, or give at least one time step.")
    if not all(isinstance(one, pd.Series) for one in X.values()):
        frames = {key: one.to_frame() if isinstance(one, pd.Series) else one for key, one in X.items()}
        return pd.concat(frames, names=["series"])
    names = {one.name for one in X.values()}
    stacked = pd.concat({key: one.rename(None) for key, one in X.items()}, names=["series"])
    return stacked.rename(names.pop() if len(names) == 1 else None)


def _counted(values: np.ndarray, offsets: np.ndarray, columns: pd.Index, ids: pd.Index | None) -> Panel:
    return Panel(values, offsets, np.zeros(len(offsets) - 1, dtype=np.int64), _COUNTED, columns, ids)


def _recorded(X: pd.Series | pd.DataFrame, where: str, rate: float | None = None) -> Series:
    """Rows at float seconds; `rate` is theirs, where it is known."""
    rows = read_index(X.index, where=where, seconds=True)
    order = slice(None) if rows.order is None else rows.order
    times = X.index.get_level_values(-1)
    seconds = times.to_numpy(np.float64)[order]
    if rate is None:
        rate = _rate_of(np.split(seconds, rows.offsets[1:-1]), rows.ids, where)
    panel = _counted(to_numbers(X, where=where)[order], rows.offsets, form_of(X).columns, rows.ids)
    spread = Times(panel.grid, panel.starts, seconds[rows.offsets[:-1]], rate, times.name)
    return Series(panel, spread, alone=X.index.nlevels == 1)


def _rate_of(parts: list[np.ndarray], ids: pd.Index | None, where: str) -> float | None:
    """The rate of all series, from the seconds of their rows."""
    places = [where] if ids is None else [f"{where}[{name!r}]" for name in ids.tolist()]
    rates = [sampling_rate(pd.Index(part), where=place) for part, place in zip(parts, places, strict=True)]
    known = {rate for rate in rates if rate is not None}
    if len(known) > 1:
        raise ValueError(
            f"{where}: its series have the rates {sorted(known)} Hz. Bring them to one, with frames.resample."
        )
    return known.pop() if known else None
