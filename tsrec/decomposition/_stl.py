"""STL (Cleveland, Cleveland, McRae and Terpenning 1990) and MSTL (Bandara, Hyndman and Bergmeir 2021) of many series.

Without robustness both are linear maps of the series, the same for all series of one length: matrices, made once. With
robustness, or where values are missing, every smoothing has weights of its own, for all series together.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.ndimage import correlate1d

from tsrec.decomposition._loess import Floats, Loess, loess

# Up to these lengths a single series, and as many as it has steps, go through matrices, made once.
_MATRIX, _LARGEST = 768, 2048
# Numbers worked on together: what they need then stays in the cache of the processor.
_BLOCK = 1 << 17


@dataclass(frozen=True)
class Settings:
    """Everything but the series.

    Attributes
    ----------
    n, period : int
        Length of the series, and steps of a season.
    seasonal, trend, low_pass : int
        Windows of the three smoothings, odd.
    seasonal_degree, trend_degree, low_pass_degree : {0, 1}
        Of their polynomials.
    inner : int
        Passes of season and trend.
    outer : int
        Rounds of weights against outliers; 0 for plain STL.
    """

    n: int
    period: int
    seasonal: int
    trend: int
    low_pass: int
    seasonal_degree: int = 1
    trend_degree: int = 1
    low_pass_degree: int = 1
    inner: int = 5
    outer: int = 0


@lru_cache(maxsize=32)
def matrices(settings: tuple[Settings, ...], passes: int = 1) -> Floats:
    """Trend and seasons of a complete series y as A y, for plain STL (one period) or MSTL.

    Parameters
    ----------
    settings : tuple of Settings
        One for each period, in ascending order, without robustness.
    passes : int
        How often each season is estimated, given the others.

    Returns
    -------
    array of shape (1 + n_periods, n, n)
    """
    of_units = _multiple(np.eye(settings[0].n), settings, passes)
    found = np.ascontiguousarray(of_units.swapaxes(1, 2))
    found.flags.writeable = False
    return found


def decompose(y: Floats, settings: tuple[Settings, ...], passes: int, out: Floats) -> None:
    """Decompose series by STL, or by MSTL for several periods; NaN has no weight.

    Parameters
    ----------
    y : array of shape (B, n)
        NaN where missing; at least one value of each series is not.
    settings, passes
        As in :func:`matrices`, robust or not.
    out : array of shape (1 + n_periods, B, n)
        Takes the trend, then the seasons.
    """
    n, complete = y.shape[1], np.isfinite(y.sum(axis=1))
    # A matrix costs as much as n series.
    linear = (n <= _MATRIX or n <= min(len(y), _LARGEST)) and not any(one.outer for one in settings)
    size = max(_BLOCK // n, 1)
    # Those with holes apart, so that they do not cost the others their fast path.
    for chosen in (np.flatnonzero(complete), np.flatnonzero(~complete)):
        for i in range(0, len(chosen), size):
            block = chosen[i : i + size]
            if not (linear and complete[block].all()):
                out[:, block] = _multiple(y[block], settings, passes)
                continue
            for part, matrix in zip(out, matrices(settings, passes), strict=True):
                part[block] = y[block] @ matrix.T


def _multiple(y: Floats, settings: tuple[Settings, ...], passes: int) -> Floats:
    """Trend and seasons: each season in turn is given what the others leave, and the trend is that of the last."""
    seasons, trend = np.zeros((len(settings), *y.shape)), y
    for _ in range(passes):
        for i, one in enumerate(settings):
            others = np.delete(seasons, i, axis=0).sum(0)
            trend, seasons[i] = _stl(y - others, one)
    return np.concatenate((trend[None], seasons))


def _stl(y: Floats, settings: Settings) -> tuple[Floats, Floats]:
    seen = ~np.isnan(y)
    y, weights = np.where(seen, y, 0.0), None if seen.all() else seen.astype(np.float64)
    smoother = loess(settings.n, settings.trend, settings.trend_degree)
    trend = season = np.zeros_like(y)
    for round_ in range(settings.outer + 1):
        for _ in range(settings.inner):
            season = _season(y - trend, weights, settings)
            trend = _smooth(smoother, y - season, weights, y - season)
        if round_ < settings.outer:
            weights = _robustness(y - trend - season, seen)
    return trend, season


def _smooth(smoother: Loess, y: Floats, weights: Floats | None, unknown: Floats) -> Floats:
    """Smooth with weights or without; what no weighted point is near to is taken from `unknown`."""
    if weights is None:
        return smoother.plain(y)
    smoothed, known = smoother.weighted(y, weights)
    return smoothed if known.all() else np.where(known, smoothed, unknown)


def _season(y: Floats, weights: Floats | None, settings: Settings) -> Floats:
    """Smooth each phase of the season over its cycles, and take from it what is slower than a season."""
    n, period = settings.n, settings.period
    cycle = np.empty((len(y), n + 2 * period))
    cycles, longer = divmod(n, period)
    for first, last, count in ((0, longer, cycles + 1), (longer, period, cycles)):
        if first == last:
            continue
        smoother = loess(count, settings.seasonal, settings.seasonal_degree, 1)
        at = np.arange(first, last)[:, None] + period * np.arange(count + 2)
        of_phase = y[:, at[:, :-2]].reshape(-1, count)
        of_weights = None if weights is None else weights[:, at[:, :-2]].reshape(-1, count)
        unknown = np.pad(of_phase, ((0, 0), (1, 1)), mode="edge")
        cycle[:, at] = _smooth(smoother, of_phase, of_weights, unknown).reshape(len(y), last - first, count + 2)
    slow = _average(_average(_average(cycle, period), period), 3)
    return cycle[:, period : period + n] - loess(n, settings.low_pass, settings.low_pass_degree).plain(slow)


def _average(y: Floats, width: int) -> Floats:
    """Moving averages of `width` points, (B, n - width + 1)."""
    averages = correlate1d(y, np.full(width, 1 / width), axis=1, mode="constant")
    return averages[:, width // 2 : y.shape[1] - (width - 1) // 2]


def _robustness(residual: Floats, seen: np.ndarray) -> Floats:
    """Bisquare weights of residuals, by six times their median size in each series."""
    size = np.where(seen, np.abs(residual), np.nan)
    limit = 6 * (np.median(size, axis=1, keepdims=True) if seen.all() else np.nanmedian(size, axis=1, keepdims=True))
    with np.errstate(invalid="ignore", divide="ignore"):
        weights = np.where(size <= 0.999 * limit, (1 - (size / limit) ** 2) ** 2, 0.0)
    return np.where(size <= 0.001 * limit, 1.0, weights)
