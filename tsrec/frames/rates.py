"""How many samples a second: sampling rates read from the times of rows, and what is no regular sampling refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from tsrec.frames.inference import _who, plain_index

# Steps may differ by so much of a step: 1/128 s is no whole number of microseconds, and clocks jitter.
_JITTER = 1e-3
_DAY = 86_400.0
# Rates so near to a whole number of Hz mean that number.
_SNAP = 1e-4


def seconds_of(index: pd.Index, *, where: str, level: bool = False) -> tuple[np.ndarray, bool]:
    """Times of rows in seconds since the first; whole numbers only count rows.

    Parameters
    ----------
    index : Index
        Instants, durations, periods, float seconds or whole numbers.
    where : str
        How errors call the frame.
    level : bool
        Whether it is the last level of the frame's index.

    Returns
    -------
    positions : float64 array of shape (n_rows,)
    timed : bool
        Whether they are seconds.

    Raises
    ------
    TypeError
        If the labels are neither times nor numbers.
    ValueError
        If a label is missing or infinite.
    """
    index = plain_index(index, where, level=level, seconds=True)
    if isinstance(index, pd.PeriodIndex):
        index = index.to_timestamp()
    if isinstance(index, pd.DatetimeIndex | pd.TimedeltaIndex):
        per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[index.unit]
        ticks = index.asi8
        # Whole ticks are subtracted before they become floats, which hold but 15 digits.
        seconds = (ticks - ticks[:1].sum()) / per_second
        steps = np.abs(np.diff(seconds))
        slow = isinstance(index, pd.DatetimeIndex) and len(steps) and np.median(steps) >= _DAY / 2
        return _calendar(index, seconds) if slow else (seconds, True)
    numbers = index.to_numpy(dtype=np.float64)
    if not np.isfinite(numbers).all():
        raise ValueError(f"{where}: its index holds infinite times. Drop those rows first.")
    return numbers, index.dtype.kind == "f"


def _calendar(index: pd.DatetimeIndex, seconds: np.ndarray) -> tuple[np.ndarray, bool]:
    """Days, business days or months as even steps, although summer time, weekends and long months make them uneven."""
    wall = index if index.tz is None else index.tz_localize(None)
    days = wall.normalize()
    if len((wall - days).unique()) > 1:
        return seconds, True
    if len(set(index.day)) == 1 or index.is_month_end.all():
        return np.asarray(12 * index.year + index.month, dtype=np.float64), False
    numbers = (days - days[0]).days.to_numpy(dtype=np.float64)
    if (index.day_of_week < 5).all() and len(np.unique(np.diff(np.unique(numbers)))) > 1:
        dates = days.to_numpy().astype("M8[D]")
        return np.busday_count(dates[0], dates).astype(np.float64), False
    return numbers * _DAY, True


def sampling_rate(index: pd.Index, *, where: str = "recording") -> float | None:
    """Samples per second of a recording, from the steps of its index.

    Parameters
    ----------
    index : Index
        Instants, durations or float seconds. Steps may vary by a thousandth, or by a millisecond where the times
        have no finer digits; a rate within 1e-4 of a whole number of Hz (or of seconds) is that number.
    where : str
        How errors call the recording.

    Returns
    -------
    float or None
        Hz; None if the index only numbers the rows, or holds less than two.

    Raises
    ------
    TypeError
        If the labels are neither times nor numbers.
    ValueError
        If times are missing, repeated, in disorder or unevenly spaced.

    Examples
    --------
    >>> sampling_rate(pd.to_timedelta(np.arange(5) * 7812.5, unit="us"))
    128.0
    >>> sampling_rate(pd.Index(np.arange(5) / 250, name="time"))
    250.0
    """
    if isinstance(index, pd.MultiIndex):
        raise TypeError(f"{where}: expected the time index of one recording, found the levels {list(index.names)}.")
    positions, timed = seconds_of(index, where=where)
    bounds = np.array([0, len(index)])
    rate = rates_of(positions, bounds, timed=np.array([timed]), where=where, show=lambda row: index[row])[0]
    return None if np.isnan(rate) else float(rate)


def rates_of(
    positions: np.ndarray,
    bounds: np.ndarray,
    *,
    timed: np.ndarray,
    where: str,
    show: Callable[[int], Any],
    ids: pd.Index | None = None,
    declared: np.ndarray | None = None,
) -> np.ndarray:
    """Rates of many recordings at once; rows ``bounds[i]:bounds[i + 1]`` are those of recording i.

    Parameters
    ----------
    positions : float64 array of shape (n_rows,)
        Seconds, or counts.
    bounds : int array of shape (n_series + 1,)
        First row of each recording, then the number of rows.
    timed : bool array of shape (n_series,)
        Whether the positions are seconds.
    where : str
        How errors call the argument.
    show : callable
        Gives the label of a row, for errors.
    ids : Index, optional
        Names of the recordings, for errors.
    declared : float array of shape (n_series,), optional
        Rates that the user stated, NaN where none. Times must agree with them, though not to the thousandth.

    Returns
    -------
    float64 array of shape (n_series,)
        Hz; NaN where nothing tells. Rates that do not differ beyond the jitter are equal.

    Raises
    ------
    ValueError
        If steps repeat, descend, gap or vary, or disagree with what is declared.
    """
    lengths, rates = np.diff(bounds), np.full(len(bounds) - 1, np.nan)
    declared = rates if declared is None else declared
    durations, blur = np.full(len(lengths), np.nan), np.zeros(len(lengths))
    for length in np.unique(lengths[lengths > 1]):
        series = np.flatnonzero(lengths == length)
        block = positions[bounds[series][:, None] + np.arange(length)]
        steps = np.diff(block, axis=1)
        usual = np.median(steps, axis=1)
        blur[series] = _blur(block, timed[series])
        stated = np.where(timed[series], declared[series], np.nan)
        _check_declared(steps, stated, series, where, ids)
        slack = np.maximum(_JITTER * usual, np.minimum(blur[series], usual / 4)) + 4 * np.spacing(np.abs(block).max())
        usual, slack = np.where(np.isnan(stated), [usual, slack], [1 / stated, 0.5 / stated])
        wrong = (np.abs(steps - usual[:, None]) > slack[:, None]) | (steps <= 0)
        if wrong.any():
            rows = (bounds[series][:, None] + np.arange(length - 1))[wrong]
            raise ValueError(_complaint(rows, positions, bounds, where=where, show=show, ids=ids))
        durations[series] = block[:, -1] - block[:, 0]
    known = timed & (lengths > 1) & np.isnan(declared)
    rates = np.where(np.isnan(declared), rates, declared)
    rates[known] = _pooled(lengths[known] - 1, durations[known], blur[known])
    return rates


def declared_rate(element: Any, where: str) -> float:
    """The rate that a frame states in its attrs.

    Parameters
    ----------
    element : anything
        Only frames and Series have attrs.
    where : str
        How errors call it.

    Returns
    -------
    float
        Hz; NaN if it states none.

    Raises
    ------
    ValueError
        If what it states is no positive number.
    """
    if not isinstance(element, pd.Series | pd.DataFrame) or element.attrs.get("sfreq") is None:
        return np.nan
    stated = element.attrs["sfreq"]
    try:
        rate = float(stated)
    except (TypeError, ValueError):
        rate = np.nan
    if not 0 < rate < np.inf:
        raise ValueError(f"{where}: attrs['sfreq'] is {stated!r}. Give the number of samples per second, in Hz.")
    return rate


def _blur(block: np.ndarray, timed: np.ndarray) -> np.ndarray:
    """By how much steps are off because times were rounded to milli- or microseconds; 0 where times are finer."""
    blur = np.zeros(len(block))
    for unit in (1e-6, 1e-3):
        ticks = block / unit
        blur[(np.abs(ticks - np.rint(ticks)).max(axis=1) < 1e-3) & timed] = unit
    return blur


def _check_declared(
    steps: np.ndarray, stated: np.ndarray, series: np.ndarray, where: str, ids: pd.Index | None
) -> None:
    # Rounding moves the median of short steps, gaps move the mean; another rate moves both.
    usual = np.median(steps, axis=1)
    far = (np.abs([usual, steps.mean(axis=1)] - 1 / stated) > 0.05 / stated).all(axis=0)
    if far.any() and usual[far][0] > 0:
        first = np.flatnonzero(far)[0]
        name = "" if ids is None else f" of series {ids[series[first]]!r}"
        rate = _snap(1 / usual[first])
        raise ValueError(
            f"{where}: attrs['sfreq']{name} is {stated[first]:g} Hz, but its index has {rate:g} rows a second. Correct "
            f"one of them, for example with frame.attrs['sfreq'] = {rate:g}, or del frame.attrs['sfreq']. To change "
            "the rate of a recording use tsrec.frames.resample(frame, sfreq)."
        )


def _pooled(steps: np.ndarray, durations: np.ndarray, blur: np.ndarray) -> np.ndarray:
    """Rates of recordings, those alike averaged: short windows of one recorder must not seem to differ in rate."""
    rates = np.full(len(steps), np.nan)
    single = steps / durations
    slack = _JITTER + np.minimum(2 * blur / durations, 0.05)
    while (left := np.flatnonzero(np.isnan(rates))).size:
        # One of the rates themselves: the median of two different rates is near none of them.
        middle = np.sort(single[left])[len(left) // 2]
        alike = left[np.abs(single[left] - middle) <= slack[left] * middle]
        rates[alike] = _snap(steps[alike].sum() / durations[alike].sum())
    return rates


def _snap(rate: float) -> float:
    """The whole number of Hz or of seconds, or the simple fraction, that a measured rate means."""
    hertz, seconds = round(rate), round(1 / rate)
    if abs(hertz - rate) <= _SNAP * rate:
        return float(hertz)
    if abs(seconds - 1 / rate) <= _SNAP / rate:
        return 1.0 / seconds
    for denominator in range(2, 65):
        # Fractions are close together, so only a much better fit tells them apart.
        numerator = round(rate * denominator)
        if numerator and abs(rate - numerator / denominator) <= 1e-6 * rate:
            return numerator / denominator
    return float(rate)


def _complaint(
    rows: np.ndarray,
    positions: np.ndarray,
    bounds: np.ndarray,
    *,
    where: str,
    show: Callable[[int], Any],
    ids: pd.Index | None,
) -> str:
    """What is wrong after these rows, and how to mend it."""
    steps = positions[rows + 1] - positions[rows]
    if (steps == 0).any():
        rows = rows[steps == 0]
        what = f"{len(rows)} repeated times, the first is {show(rows[0])}"
        mend = f"Keep one row per time, for example {where}[~{where}.index.duplicated()]."
    elif (steps < 0).any():
        rows = rows[steps < 0]
        what, mend = f"rows that are not in order of time, the first after {show(rows[0])}", "Use sort_index()."
    else:
        own = np.searchsorted(bounds, rows[0], side="right") - 1
        usual = np.median(np.diff(positions[bounds[own] : bounds[own + 1]]))
        if steps[0] > 1.5 * usual:
            what = f"{len(rows)} gaps, the first, of {steps[0]:g}, after {show(rows[0])} (rows follow every {usual:g})"
            mend = (
                "Insert the missing rows as NaN (reindex), or give the parts between gaps as recordings of their own."
            )
        else:
            what = f"uneven steps: mostly {usual:g}, but {steps[0]:g} after {show(rows[0])}"
            mend = (
                "Interpolate it onto even steps. If the times are only imprecise, state the rate: "
                "frame.attrs['sfreq'] = ..., or frame.index = np.arange(len(frame)) / sfreq."
            )
    return f"{where}:{_who(rows, bounds, ids)} {what}. {mend}"
