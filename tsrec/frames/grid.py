"""A regular time grid: every index is a run of integers ("ordinals") and every integer a time stamp again."""

import re
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tsrec.frames.frequency import Kind, MonthRule, Pace, Rhythm, alias, pace_of, season_of

_DAY = np.timedelta64(1, "D")
_KIND_OF_INDEX = {
    **dict.fromkeys(("fixed", "wall", "month", "business"), "DatetimeIndex"),
    "period": "PeriodIndex",
    "delta": "TimedeltaIndex",
    "integer": "integer index",
}


@dataclass(frozen=True)
class TimeGrid:
    """Translates between a pandas index and integers; neighbours on the grid lie ``step`` ordinals apart.

    Attributes
    ----------
    kind : {"position", "integer", "fixed", "wall", "month", "business", "period", "delta"}
        What an ordinal counts: rows, integers, instants in UTC, local wall-clock instants, months, business days,
        periods, or durations. Days and weeks are wall-clock, so that a daily index survives a change of the clocks.
    step : int
        Ordinals between neighbours (for instants and durations in units of ``unit``).
    unit : str
        Resolution of the index: "s", "ms", "us" or "ns".
    tz : tzinfo, str or None
        Time zone of a DatetimeIndex.
    rule : {"start", "end", "bstart", "bend"}
        Which day of the month, for kind "month".
    time_of_day : int
        Units after midnight, for kinds "wall", "month" and "business".
    freq : str or None
        The pandas name of the frequency.
    name : hashable
        Name of the index.

    Examples
    --------
    >>> grid = TimeGrid("month", 1, freq="MS")
    >>> grid.encode(pd.DatetimeIndex(["2020-01-01", "2020-03-01"]))
    array([600, 602])
    >>> grid.decode(np.array([603]))[0]
    Timestamp('2020-04-01 00:00:00')
    """

    kind: Kind
    step: int
    unit: str = "us"
    tz: Any = None
    rule: MonthRule = "start"
    time_of_day: int = 0
    freq: str | None = None
    name: Hashable = None

    @property
    def has_time(self) -> bool:
        """Whether rows carry a time of their own (arrays and default indexes do not)."""
        return self.kind != "position"

    @property
    def season(self) -> int | None:
        """Steps per season that the frequency suggests; None where it says nothing."""
        if self.kind == "period":
            return _period_season(self.freq)
        step = self.step * _nanoseconds(self.unit) if self.kind in ("fixed", "wall") else self.step
        return season_of(self.kind, step)

    @property
    def pace(self) -> Pace | None:
        """How often there is a row, "sub-daily" to "yearly"; None where the index says nothing about time."""
        return None if self.days is None else pace_of(self.days)

    @property
    def days(self) -> float | None:
        """Days from row to row, about; None where the index says nothing about time."""
        if self.kind in ("position", "integer"):
            return None
        if self.kind == "period":
            return _period_days(self.freq)
        if self.kind == "month":
            return 30.4 * self.step
        if self.kind == "business":
            return float(self.step)
        return self.nanoseconds(self.step) / (86_400 * 10**9)

    def encode(self, index: pd.Index, *, where: str = "X") -> np.ndarray:
        """Ordinals of an index of the same kind, as int64 of shape (len(index),).

        Raises
        ------
        TypeError
            If the index is of another kind than the grid (a PeriodIndex on a grid of time stamps, say).
        ValueError
            If a time zone is missing on one side, or a stamp lies off the grid.
        """
        if self.kind == "position":
            return np.arange(len(index), dtype=np.int64)
        self._check_kind(index, where)
        if self.kind == "integer":
            return index.to_numpy(dtype=np.int64)
        if self.kind == "period":
            return index.asi8
        if self.kind == "delta":
            return self._checked(index.as_unit(self.unit).asi8, index, where)
        return self._checked(self._encode_stamps(index), index, where)

    def decode(self, ordinals: np.ndarray) -> pd.Index:
        """The time stamps of ordinals (any order, repeats allowed)."""
        ordinals = np.asarray(ordinals, dtype=np.int64)
        if self.kind in ("position", "integer"):
            return _integers(ordinals, self.step, self.name)
        if self.kind == "period":
            return pd.PeriodIndex.from_ordinals(ordinals, freq=self.freq, name=self.name)
        if self.kind == "delta":
            return pd.TimedeltaIndex(ordinals.view(f"m8[{self.unit}]"), name=self.name)
        if self.kind == "fixed":
            stamps = pd.DatetimeIndex(ordinals.view(f"M8[{self.unit}]"), name=self.name)
            return stamps if self.tz is None else stamps.tz_localize("UTC").tz_convert(self.tz)
        stamps = pd.DatetimeIndex(self._wall_clock(ordinals), name=self.name)
        if self.tz is None:
            return stamps
        # A midnight that the clocks skip becomes the first instant of that day; one that comes twice, its first pass.
        return stamps.tz_localize(self.tz, ambiguous=np.ones(len(stamps), dtype=bool), nonexistent="shift_forward")

    def run(self, start: int, length: int) -> pd.Index:
        """The index of ``length`` neighbouring steps from an ordinal on, with its frequency set."""
        if self.kind in ("position", "integer"):
            return pd.RangeIndex(start, start + length * self.step, self.step, name=self.name)
        index = self.decode(start + self.step * np.arange(length, dtype=np.int64))
        # A zone that skips midnight moves one stamp, and the run is then none that pandas has a frequency for.
        if self.freq is not None and self.kind != "period" and length and self._is_run(index):
            index.freq = self.freq
        return index

    def same_spacing(self, other: "TimeGrid") -> bool:
        """Whether two grids have neighbours the same time apart, whatever their units, and stamps of the same kind."""
        kinds = (self.kind, self.rule, self.tz is None) == (other.kind, other.rule, other.tz is None)
        named = self.kind != "period" or self.freq == other.freq
        return kinds and named and self.nanoseconds(self.step) == other.nanoseconds(other.step)

    def nanoseconds(self, ordinal: int) -> int:
        """An ordinal of instants or durations in nanoseconds; any other as it is. For comparing grids."""
        return int(ordinal) * (_nanoseconds(self.unit) if self.kind in ("fixed", "wall", "delta") else 1)

    def _is_run(self, index: pd.Index) -> bool:
        if self.kind != "wall" or self.tz is None:
            return True
        return bool((np.diff(index.tz_localize(None).as_unit(self.unit).asi8) == self.step).all())

    def _check_kind(self, index: pd.Index, where: str) -> None:
        expected = _KIND_OF_INDEX[self.kind]
        found = "integer index" if pd.api.types.is_integer_dtype(index.dtype) else type(index).__name__
        if found != expected:
            raise TypeError(
                f"{where}: its index is a {found}, but the fitted y has a {expected}. Give both the same kind of index "
                f"(for example with {'to_timestamp()' if found == 'PeriodIndex' else 'pd.to_datetime or to_period'})."
            )
        if expected == "PeriodIndex" and index.freqstr != self.freq:
            raise ValueError(
                f"{where}: its periods have freq {index.freqstr!r}, those of y {self.freq!r}. Use X.index.asfreq."
            )
        if expected == "DatetimeIndex" and (index.tz is None) != (self.tz is None):
            here, there = (
                ("has no time zone", f"is in {self.tz}")
                if index.tz is None
                else (f"is in {index.tz}", "has no time zone")
            )
            raise ValueError(
                f"{where}: its index {here}, that of y {there}. Use tz_localize or tz_convert on one of them."
            )

    def _encode_stamps(self, index: pd.DatetimeIndex) -> np.ndarray:
        if self.tz is not None:
            index = index.tz_convert(self.tz)
        stamps = index.as_unit(self.unit)
        if self.kind == "fixed":
            return stamps.asi8
        if stamps.tz is not None:
            stamps = stamps.tz_localize(None)
        if self.kind == "wall":
            return stamps.asi8 if self.tz is None else self._snapped(stamps.asi8)
        if self.kind == "month":
            return stamps.to_numpy().astype("M8[M]").astype(np.int64)
        return np.busday_count("1970-01-01", stamps.to_numpy().astype("M8[D]")).astype(np.int64)

    def _snapped(self, wall: np.ndarray) -> np.ndarray:
        """Wall-clock instants at the grid's time of day; some zones skip it once a year and name an hour after it."""
        day = 86_400_000_000_000 // _nanoseconds(self.unit)
        return (wall - self.time_of_day + day // 2) // day * day + self.time_of_day

    def _checked(self, ordinals: np.ndarray, index: pd.Index, where: str) -> np.ndarray:
        """The ordinals, if they mean just the stamps they came from."""
        off = np.flatnonzero(self.decode(ordinals) != index)
        if len(off):
            raise ValueError(
                f"{where}: {len(off)} of its time stamps lie off the grid of frequency {self.freq!r}, the first is "
                f"{index[off[0]]}. Give stamps that continue the grid of y."
            )
        return ordinals

    def _wall_clock(self, ordinals: np.ndarray) -> np.ndarray:
        if self.kind == "wall":
            return ordinals.view(f"M8[{self.unit}]")
        if self.kind == "month":
            days = _day_of_month(ordinals.view("M8[M]"), self.rule)
        else:
            days = np.busday_offset("1970-01-01", ordinals, roll="forward")
        return days.astype(f"M8[{self.unit}]") + np.timedelta64(self.time_of_day, self.unit)  # type: ignore[call-overload]


def _day_of_month(months: np.ndarray, rule: MonthRule) -> np.ndarray:
    if rule in ("start", "bstart"):
        days = months.astype("M8[D]")
        return days if rule == "start" else np.busday_offset(days, 0, roll="forward")
    days = (months + 1).astype("M8[D]") - _DAY
    return days if rule == "end" else np.busday_offset(days, 0, roll="backward")


def _integers(ordinals: np.ndarray, step: int, name: Hashable) -> pd.Index:
    if len(ordinals) > 1 and (np.diff(ordinals) == step).all():
        return pd.RangeIndex(ordinals[0], ordinals[-1] + step, step, name=name)
    return pd.Index(ordinals, name=name)


def _nanoseconds(unit: str) -> int:
    return {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}[unit]


def _period_season(freq: str | None) -> int | None:
    if freq is not None and re.fullmatch(r"\d*B", freq):
        return 5 if freq == "B" else None
    days = _period_days(freq)
    if days >= 28:
        return season_of("month", round(days / 30.4))
    return season_of("wall" if days >= 1 else "fixed", int(days * 86_400_000_000_000))


def _period_days(freq: str | None) -> float:
    first = pd.Period("2001-01-01", freq=freq)
    return ((first + 1).start_time - first.start_time) / pd.Timedelta(days=1)


def datetime_grid(index: pd.DatetimeIndex, what: Rhythm) -> TimeGrid:
    """The grid of a rhythm through the first stamp of an index; ``what.step`` is in nanoseconds for instants."""
    first = index[0]
    local = first.tz_localize(None)
    unit = index.unit
    step = what.step
    if what.kind in ("fixed", "wall"):
        if step % _nanoseconds(unit):
            unit = "ns"
        step //= _nanoseconds(unit)
    since_midnight = (local - local.normalize()) // pd.Timedelta(1, unit=unit) if what.kind != "fixed" else 0
    return TimeGrid(what.kind, step, unit, index.tz, what.rule, int(since_midnight), alias(what, local), index.name)
