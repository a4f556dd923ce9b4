"""Resampling and filters of signals, along the last axis of arrays."""

from collections.abc import Callable
from fractions import Fraction
from math import ceil
from typing import Any

import numpy as np


def resample_array(x: Any, old: float, new: float) -> np.ndarray:
    """Signals at another sampling rate, through a polyphase filter that keeps what is below half of both rates.

    Parameters
    ----------
    x : array-like of shape (..., n_times)
        Signals. Outside, they are taken to go on about the line from their first to their last value.
    old, new : float
        Rates in Hz; their ratio is taken as a fraction with a denominator of at most 1000, or 10000 where it is off by
        more than a millionth, which over an hour would be some milliseconds.

    Returns
    -------
    float64 array of shape (..., ceil(n_times * new / old))
        Sample k is at the time ``k / new``. Missing samples are bridged by lines before, and missing again after
        it; the nearest old sample decides. It is x itself where the rates are equal.

    Raises
    ------
    ValueError
        If a rate is not positive, or the rates are too far apart.

    Examples
    --------
    >>> resample_array(np.ones(4), 2, 3).round(6)
    array([1., 1., 1., 1., 1., 1.])
    """
    from scipy.signal import resample_poly

    old, new = _positive(old, "old"), _positive(new, "new")
    x = np.asarray(x, dtype=np.float64)
    ratio = Fraction(new / old).limit_denominator(1000)
    if abs(float(ratio) * old / new - 1) > 1e-6:
        ratio = Fraction(new / old).limit_denominator(10_000)
    if ratio <= 0 or ratio > 1000:
        raise ValueError(f"new: {new:g} Hz is too far from {old:g} Hz. Give a rate within a factor of 1000.")
    if ratio == 1 or not x.size:
        return x
    count = ceil(x.shape[-1] * ratio)
    nearest = np.minimum(np.rint(np.arange(count) / float(ratio)).astype(np.int64), x.shape[-1] - 1)
    if x.shape[-1] == 1:
        return x[..., nearest]

    def work(filled: np.ndarray) -> np.ndarray:
        # The filter rings where a signal jumps to zero at its ends, and its gain at 0 Hz is not quite 1: a level of
        # thousands of microvolts, as amplifiers have it, would leave ripples. So it sees deviations from a line only.
        first, slope = filled[..., :1], (filled[..., -1:] - filled[..., :1]) / (filled.shape[-1] - 1)
        deviations = filled - first - slope * np.arange(filled.shape[-1])
        answer = resample_poly(deviations, ratio.numerator, ratio.denominator, axis=-1)
        return answer + first + slope * (np.arange(count) / float(ratio))

    return _bridged(x, work, nearest)


def band_pass_array(x: Any, rate: float, low: float | None, high: float | None) -> np.ndarray:
    """Signals without what is slower than `low` and faster than `high`, by a Butterworth filter without delay.

    The filter of order 4 runs forwards and backwards, so the gain at `low` and `high` is 1/2 (-6 dB).

    Parameters
    ----------
    x : array-like of shape (..., n_times)
        Signals; missing samples are bridged by lines before, and missing again after it.
    rate : float
        Samples per second.
    low, high : float or None
        Edges in Hz; None leaves that side open.

    Returns
    -------
    float64 array of shape (..., n_times)

    Raises
    ------
    ValueError
        If an edge is not positive, not below half the rate, or if they are not in order.

    Examples
    --------
    >>> bool(np.abs(band_pass_array(np.full(500, 100.0), 100, 1, None)).max() < 1e-3)
    True
    """
    from scipy.signal import butter, sosfiltfilt

    rate = _positive(rate, "rate")
    if low is None and high is None:
        raise ValueError("low, high: both are None, which filters nothing. Give at least one of them in Hz.")
    edges = {name: _edge(edge, rate, name) for name, edge in (("low", low), ("high", high)) if edge is not None}
    if len(edges) == 2 and edges["low"] >= edges["high"]:
        raise ValueError(f"low, high: found {low:g} and {high:g} Hz. Give low < high.")
    kind = "bandpass" if len(edges) == 2 else "highpass" if low is not None else "lowpass"
    sections = butter(4, np.squeeze(list(edges.values())), btype=kind, fs=rate, output="sos")
    # What the filter does at an end dies away within a few periods of its lowest edge.
    tail = ceil(3 * rate / min(edges.values()))
    return _filtered(x, lambda filled, pad: sosfiltfilt(sections, filled, axis=-1, padlen=pad), tail)


def notch_array(x: Any, rate: float, freq: float, quality: float = 30.0) -> np.ndarray:
    """Signals without one frequency, such as the hum of mains, by a filter without delay.

    Parameters
    ----------
    x : array-like of shape (..., n_times)
        Signals; missing samples are bridged by lines before, and missing again after it.
    rate : float
        Samples per second.
    freq : float
        Frequency to take out, in Hz.
    quality : float
        `freq` over the width of the gap in the spectrum.

    Returns
    -------
    float64 array of shape (..., n_times)

    Raises
    ------
    ValueError
        If the frequency is not positive or not below half the rate, or if the quality is not positive.

    Examples
    --------
    >>> hum = np.sin(2 * np.pi * 50 * np.arange(1000) / 250)
    >>> bool(np.abs(notch_array(hum, 250, 50)[400:600]).max() < 0.01)
    True
    """
    from scipy.signal import iirnotch, sosfiltfilt, tf2sos

    rate, quality = _positive(rate, "rate"), _positive(quality, "quality")
    freq = _edge(freq, rate, "freq")
    sections = tf2sos(*iirnotch(freq, quality, fs=rate))
    return _filtered(
        x, lambda filled, pad: sosfiltfilt(sections, filled, axis=-1, padlen=pad), ceil(2 * quality * rate / freq)
    )


def _positive(number: Any, name: str) -> float:
    try:
        value = float(number)
    except (TypeError, ValueError):
        value = np.nan
    if not 0 < value < np.inf:
        raise ValueError(f"{name}: found {number!r}. Give a positive number.")
    return value


def _edge(freq: Any, rate: float, name: str) -> float:
    value = _positive(freq, name)
    if value >= rate / 2:
        raise ValueError(
            f"{name}: {value:g} Hz is not below {rate / 2:g} Hz, half the sampling rate, above which a recording holds "
            "nothing. Give a lower frequency, or None for an edge that is not needed."
        )
    return value


def _filtered(x: Any, work: Callable[[np.ndarray, int], np.ndarray], tail: int) -> np.ndarray:
    x = np.asarray(x, dtype=np.float64)
    if not x.size:
        return x
    # The ends are reflected about their values; a short signal has no more to reflect than itself.
    pad = min(tail, x.shape[-1] - 1)
    return _bridged(x, lambda filled: work(filled, pad), np.arange(x.shape[-1]))


def _bridged(x: np.ndarray, work: Callable[[np.ndarray], np.ndarray], nearest: np.ndarray) -> np.ndarray:
    """Work on signals whose missing samples are bridged by lines, and take them out of the answer again."""
    missing = np.isnan(x)
    if not missing.any():
        return work(x)
    rows, gaps = x.reshape(-1, x.shape[-1]).copy(), missing.reshape(-1, x.shape[-1])
    steps = np.arange(x.shape[-1])
    for number in np.flatnonzero(gaps.any(axis=1)):
        row, gap = rows[number], gaps[number]
        row[gap] = 0 if gap.all() else np.interp(steps[gap], steps[~gap], row[~gap])
    answer = np.array(work(rows.reshape(x.shape)))
    answer[missing[..., nearest]] = np.nan
    return answer
