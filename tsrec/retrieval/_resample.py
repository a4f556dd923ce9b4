"""Rows at odd times, as sensors send them, brought to even steps: means of what falls into each."""

from typing import Any

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset

from tsrec.frames import TimeGrid, form_of, read_index, to_numbers
from tsrec.frames.frequency import Kind

# Steps in a row without samples, up to which they are filled in by straight lines.
_BRIDGED = 3
# More steps than these, and than these for each row, are taken for a mistake.
_MOST_STEPS, _EMPTY = 10_000_000, 100
_DAY = 86_400 * 10**9
_UNITS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}


def nanoseconds_of(step: Any) -> int:
    """Length of a step such as "5s".

    Raises
    ------
    ValueError
        If it is no length of time.
    """
    try:
        # Without a unit it would be nanoseconds.
        found = pd.Timedelta(step).as_unit("ns").value if isinstance(step, str) and step[-1:].isalpha() else 0
    except ValueError:
        found = 0
    if not found > 0:
        raise ValueError(f"resample: found {step!r}. Give the length of a step, such as '5s' or '1min', or None.")
    return int(found)


def counts_seconds(index: pd.Index) -> bool:
    """Whether times of rows tell how many seconds lie between them."""
    return getattr(index.get_level_values(-1).dtype, "kind", "O") in "mMf"


def grid_of(step: str, index: pd.Index) -> TimeGrid:
    """Spacing of rows that were brought to such steps, which a row or two would not tell, or tell as months."""
    length = nanoseconds_of(step)
    days, rest = divmod(length, _DAY)
    freq = to_offset(pd.Timedelta(length)).freqstr if rest else f"{days}D"
    kind: Kind = "fixed" if rest else "wall"
    return TimeGrid("delta" if isinstance(index, pd.TimedeltaIndex) else kind, length, "ns", freq=freq)


def resampled(X: pd.Series | pd.DataFrame, step: str, *, where: str, sparse: bool = True) -> pd.Series | pd.DataFrame:
    """Means of the samples in each step.

    Steps begin at multiples of their length since 1970 in UTC, those of whole days since then in the zone of the times,
    so that those of all series, and of queries cut from them, are the same. Up to three steps in a row without a sample
    are filled in on the line between their neighbours; more are missing. Every channel is dealt with by itself.

    Parameters
    ----------
    X : Series or frame
        Indexed by instants, durations or float seconds (see `counts_seconds`), under the names of series if there are
        some, in any order.
    step : str
        Length of a step.
    where : str
        How errors call X.
    sparse : bool, default True
        Whether rows may mostly be so far apart that steps between them stay missing.

    Returns
    -------
    Series or DataFrame
        Its index is of the same kind, a row for each step from the first to the last of a series.
    """
    rows, length = read_index(X.index, where=where, seconds=True), nanoseconds_of(step)
    order = slice(None) if rows.order is None else rows.order
    series = np.repeat(np.arange(len(rows.offsets) - 1), np.diff(rows.offsets))
    ticks = _ticks(rows.stamps(), length)
    if not sparse:
        _check_dense(ticks, series, rows.ids, step, where)
    _check_span(ticks // length, rows, step, where)
    values, owner, number = _means(to_numbers(X, where=where)[order], series, ticks // length)
    for column in values.T:
        _bridge(column, owner)
    index = _times(number * length, length, rows.times)
    if rows.ids is not None:
        levels = [rows.ids.get_level_values(level)[owner] for level in range(rows.ids.nlevels)]
        index = pd.MultiIndex.from_arrays([*levels, index], names=X.index.names)
    return form_of(X).wrap(values, index)


def _means(values: np.ndarray, series: np.ndarray, number: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means of the rows of each series with the same number, NaN between; series and number of each row."""
    means = pd.DataFrame(values).groupby([series, number]).mean()
    owner, number = (means.index.get_level_values(level).to_numpy() for level in (0, 1))
    begins = np.flatnonzero(np.append(True, owner[1:] != owner[:-1]))
    first, last = number[begins], number[np.append(begins[1:], len(number)) - 1]
    counts = last - first + 1
    shift = np.cumsum(counts) - counts - first
    found = np.full((counts.sum(), values.shape[1]), np.nan)
    found[number + shift[owner]] = means.to_numpy()
    return found, np.repeat(np.arange(len(counts)), counts), np.arange(len(found)) - np.repeat(shift, counts)


def _ticks(times: pd.Index, length: int) -> np.ndarray:
    """Nanoseconds since 1970, or zero; on the clocks of the zone for steps of whole days."""
    if times.dtype.kind == "f":
        return np.rint(times.to_numpy(np.float64) * 1e9).astype(np.int64)
    if _in_days(times, length):
        times = times.tz_localize(None)
    return times.as_unit("ns").asi8


def _times(ticks: np.ndarray, length: int, like: Any) -> pd.Index:
    """Such nanoseconds as times of the kind and unit of others, if these are fine enough."""
    if like.dtype.kind == "f":
        return pd.Index(ticks / 1e9, name=like.name)
    unit = "ns" if length % _UNITS[like.unit] else like.unit
    if isinstance(like, pd.TimedeltaIndex):
        return pd.TimedeltaIndex(ticks.view("m8[ns]"), name=like.name).as_unit(unit)
    found = pd.DatetimeIndex(ticks.view("M8[ns]"), name=like.name).as_unit(unit)
    if _in_days(like, length):
        return found.tz_localize(like.tz, ambiguous=np.ones(len(found), bool), nonexistent="shift_forward")
    return found if like.tz is None else found.tz_localize("UTC").tz_convert(like.tz)


def _in_days(times: Any, length: int) -> bool:
    return getattr(times, "tz", None) is not None and length % _DAY == 0


def _check_dense(ticks: np.ndarray, series: np.ndarray, ids: pd.Index | None, step: str, where: str) -> None:
    order = np.lexsort([ticks, series])
    gaps, owner = np.diff(ticks[order]), series[order]
    inside = (owner[1:] == owner[:-1]) & (gaps > 0)
    usual = pd.Series(gaps[inside]).groupby(owner[1:][inside]).median()
    wide = usual[usual > (_BRIDGED + 1) * nanoseconds_of(step)]
    if len(wide):
        name = "" if ids is None else f"[{ids.tolist()[wide.index[0]]!r}]"
        apart = pd.Timedelta(int(wide.iloc[0])).total_seconds()
        raise ValueError(
            f"resample: the rows of {where}{name} are {apart:g} seconds apart (their median), too far for steps of "
            f"{step!r}, most of which would be missing. Give longer steps, such as '{apart:.3g}s'."
        )


def _check_span(number: np.ndarray, rows: Any, step: str, where: str) -> None:
    """One wrong stamp, in 1970 for example, would ask for billions of rows without a sample."""
    low, high = (fold.reduceat(number, rows.offsets[:-1]) for fold in (np.minimum, np.maximum))
    counts = high - low + 1
    one = int(counts.argmax())
    if counts[one] > _MOST_STEPS and counts[one] > _EMPTY * (rows.offsets[one + 1] - rows.offsets[one]):
        name = "" if rows.ids is None else f"[{rows.ids.tolist()[one]!r}]"
        times = rows.stamps()[rows.offsets[one] : rows.offsets[one + 1]]
        raise ValueError(
            f"resample: {where}{name} goes from {times.min()} to {times.max()}, {counts[one]:,} steps of {step!r} for "
            f"{len(times):,} rows. Mend the time stamps, cut it into several series, or give longer steps."
        )


def _bridge(column: np.ndarray, owner: np.ndarray) -> None:
    """Fill in what is missing between samples of one series that are near enough."""
    missing = np.isnan(column)
    known = np.flatnonzero(~missing)
    near = (np.diff(known) <= _BRIDGED + 1) & (owner[known[1:]] == owner[known[:-1]])
    pair = np.cumsum(~missing) - 1
    between = missing & (pair >= 0) & (pair < len(near))
    between[between] = near[pair[between]]
    if between.any():
        column[between] = np.interp(np.flatnonzero(between), known, column[known])
