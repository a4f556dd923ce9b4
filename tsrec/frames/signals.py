"""Recordings as frames with one time index: made from arrays, resampled and filtered."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from tsrec.frames.checks import check_names, check_recording
from tsrec.frames.container import to_numbers
from tsrec.frames.filters import _positive, band_pass_array, notch_array, resample_array
from tsrec.frames.inference import is_default, plain_index
from tsrec.frames.rates import declared_rate, rates_of, seconds_of


def _read(recording: Any, where: str = "recording") -> tuple[np.ndarray, float]:
    """Signals (n_channels, n_times) and rate of a frame."""
    mend = "Filter the whole recording before it is cut into windows, or each series by itself."
    check_recording(recording, where, mend)
    if isinstance(recording, pd.DataFrame):
        check_names(recording, where)
    values = to_numbers(recording, where=where)
    if not len(values):
        raise ValueError(f"{where}: it has 0 rows. Give at least one time step.")
    index = recording.index
    positions, timed = seconds_of(index, where=where)
    rate = rates_of(
        positions,
        np.array([0, len(index)]),
        timed=np.array([timed]),
        where=where,
        show=lambda row: index[row],
        declared=np.array([declared_rate(recording, where)]),
    )[0]
    if np.isnan(rate):
        raise ValueError(
            f"{where}: its index ({type(index).__name__}, {len(index)} rows) tells no sampling rate. State it with "
            f"{where}.attrs['sfreq'] = ..., or {where}.index = np.arange(len({where})) / sfreq."
        )
    return values.T, float(rate)


def _like(recording: Any, values: np.ndarray, index: pd.Index) -> Any:
    """Signals (n_channels, n_times) in the container of a recording."""
    if isinstance(recording, pd.Series):
        answer: Any = pd.Series(values[0], index=index, name=recording.name)
    else:
        answer = pd.DataFrame(values.T, index=index, columns=recording.columns)
    answer.attrs = dict(recording.attrs)
    return answer


def _continued(index: pd.Index, count: int, rate: float) -> pd.Index:
    """An index of the same kind from the same instant on, at another rate."""
    index = plain_index(index, "recording", seconds=True)
    if isinstance(index, pd.PeriodIndex):
        index = index.to_timestamp()
    if not isinstance(index, pd.DatetimeIndex | pd.TimedeltaIndex):
        if is_default(index) or index.dtype.kind in "iu":
            return pd.RangeIndex(int(index[0]), int(index[0]) + count, name=index.name)
        return pd.Index(float(index[0]) + np.arange(count) / rate, name=index.name)
    # Microseconds where they hit every sample, else nanoseconds: 1/128 s is 7812.5 microseconds.
    unit, ticks = ("us", 1e6) if (1e6 / rate).is_integer() and index.unit != "ns" else ("ns", 1e9)
    steps = np.rint(np.arange(count) * (ticks / rate)).astype(np.int64)
    return (index[0] + pd.TimedeltaIndex(steps.astype(f"m8[{unit}]"))).rename(index.name)


def resample(recording: Any, sfreq: float) -> Any:
    """A recording at another sampling rate.

    Parameters
    ----------
    recording : Series or DataFrame
        Rows are time steps: instants, durations or float seconds, or ``attrs["sfreq"]`` states the rate.
    sfreq : float
        The new rate in Hz.

    Returns
    -------
    Series or DataFrame
        On an index of the same kind that begins at the same instant; ``attrs["sfreq"]`` is the new rate. How it is
        filtered, and what becomes of missing samples, is told by `resample_array`.

    Raises
    ------
    TypeError
        If it is no Series or frame with one time index.
    ValueError
        If its rate is unknown, its times are uneven, or sfreq is not positive.

    Examples
    --------
    >>> resample(pd.Series(1.0, np.arange(4) / 2), 4).index.tolist()
    [0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75]
    """
    sfreq = _positive(sfreq, "sfreq")
    values, rate = _read(recording)
    index = recording.index
    if sfreq != rate:
        values = resample_array(values, rate, sfreq)
        index = _continued(index, values.shape[1], sfreq)
    answer = _like(recording, np.array(values), index)
    answer.attrs["sfreq"] = sfreq
    return answer


def band_pass(recording: Any, low: float | None, high: float | None) -> Any:
    """A recording without what is slower than `low` and faster than `high`.

    Parameters
    ----------
    recording : Series or DataFrame
        Rows are time steps: instants, durations or float seconds, or ``attrs["sfreq"]`` states the rate.
    low, high : float or None
        Edges in Hz; None leaves that side open: ``band_pass(recording, 0.5, None)`` takes slow drifts out.

    Returns
    -------
    Series or DataFrame
        On the same index, with the same attrs. The filter is that of `band_pass_array`.

    Raises
    ------
    TypeError
        If it is no Series or frame with one time index.
    ValueError
        If its rate is unknown, its times are uneven, or the edges do not fit the rate.

    Examples
    --------
    >>> drift = pd.Series(np.arange(1000.0), np.arange(1000) / 100)
    >>> bool(band_pass(drift, 1, 40)[1:9].abs().max() < 1)
    True
    """
    values, rate = _read(recording)
    return _like(recording, band_pass_array(values, rate, low, high), recording.index)


def notch(recording: Any, freq: float, quality: float = 30.0) -> Any:
    """A recording without one frequency, such as the hum of mains (50 or 60 Hz).

    Parameters
    ----------
    recording : Series or DataFrame
        Rows are time steps: instants, durations or float seconds, or ``attrs["sfreq"]`` states the rate.
    freq : float
        Frequency to take out, in Hz.
    quality : float
        `freq` over the width of the gap in the spectrum.

    Returns
    -------
    Series or DataFrame
        On the same index, with the same attrs. The filter is that of `notch_array`.

    Raises
    ------
    TypeError
        If it is no Series or frame with one time index.
    ValueError
        If its rate is unknown, its times are uneven, or the frequency is not below half the rate.

    Examples
    --------
    >>> hum = pd.Series(np.sin(2 * np.pi * 50 * np.arange(1000) / 250), np.arange(1000) / 250)
    >>> bool(notch(hum, 50)[1.6:2.4].abs().max() < 0.01)
    True
    """
    values, rate = _read(recording)
    return _like(recording, notch_array(values, rate, freq, quality), recording.index)


def recording(values: Any, channels: Sequence[str], sfreq: float) -> pd.DataFrame:
    """A recording from plain numbers: a frame with the seconds since its start as index.

    Parameters
    ----------
    values : array-like of shape (n_channels, n_times)
        Signals.
    channels : sequence of str
        Names of the channels.
    sfreq : float
        Samples per second, in Hz.

    Returns
    -------
    DataFrame
        Index "time", a column per channel, and ``attrs["sfreq"]``.

    Raises
    ------
    ValueError
        If there is not one name per channel, names occur twice, or sfreq is not positive.

    Examples
    --------
    >>> recording([[1.0, 2.0], [3.0, 4.0]], ["C3", "C4"], 4)
           C3   C4
    time
    0.00  1.0  3.0
    0.25  2.0  4.0
    """
    sfreq = _positive(sfreq, "sfreq")
    array = np.asarray(values)
    names = [channels] if isinstance(channels, str) else list(channels)
    if array.ndim != 2 or len(array) != len(names):
        raise ValueError(
            f"values: found shape {array.shape} for {len(names)} channels. Give (n_channels, n_times), with a name in "
            "channels for each; values[None] is one channel, values.T turns (n_times, n_channels) round."
        )
    frame = pd.DataFrame(array.T, pd.Index(np.arange(array.shape[1]) / sfreq, name="time"), names)
    check_names(frame, "channels")
    frame.attrs["sfreq"] = sfreq
    return frame
