"""STL (Cleveland, Cleveland, McRae and Terpenning 1990) and MSTL (Bandara, Hyndman and Bergmeir 2021) of many series.

Without robustness both are linear maps of the series, the same for all series of one length: matrices, made once. With
robustness, or where values are missing, every smoothing has weights of its own, for all series together.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d

from tsrec.decomposition._cache import kept
from tsrec.decomposition._holes import REACH, Floats, bridged, straight
from tsrec.decomposition._loess import Loess, loess

# Up to these lengths a single series, and half as many as it has steps, go through matrices, made once.
_SHORT, _LARGEST = 96, 2048
# Numbers worked on together: what they need then stays in the cache of the processor.
_BLOCK = 1 << 17


@dataclass(frozen=True)
class Settings:
    """Everything but the series.

    Attributes
    ----------
    n, period : int
        Length of the series, and steps of a season; 0 where there is none, and a trend only.
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


@kept
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
    complete = ~np.isnan(y).any(1)
    linear = _as_matrices(y.shape[1], int(complete.sum())) and not any(one.outer for one in settings)
    # Those with holes apart, so that they do not cost the others their fast path.
    for whole in (True, False):
        for block in _blocks(complete == whole, max(_BLOCK // y.shape[1], 1)):
            if not (linear and whole):
                out[:, block] = _multiple(y[block], settings, passes)
                continue
            for part, matrix in zip(out, matrices(settings, passes), strict=True):
                part[block] = y[block] @ matrix.T


def _as_matrices(n: int, count: int) -> bool:
    """Whether matrices, which cost as much to make as n series to take apart, pay for so many series."""
    return n <= _SHORT or n <= min(2 * count, _LARGEST)


def _blocks(chosen: NDArray[np.bool_], size: int) -> Iterator[Any]:
    """The series chosen, so many at a time: as slices, which copy nothing, if they are all."""
    if chosen.all():
        yield from (slice(i, i + size) for i in range(0, len(chosen), size))
        return
    rows = np.flatnonzero(chosen)
    yield from (rows[i : i + size] for i in range(0, len(rows), size))


def _multiple(y: Floats, settings: tuple[Settings, ...], passes: int) -> Floats:
    """Trend and seasons: each season in turn is given what the others leave, and the trend is that of the last."""
    if not settings[0].period:
        return _stl(y, settings[0])[0][None]
    seasons, trend = np.zeros((len(settings), *y.shape)), y
    for _ in range(passes):
        for i, one in enumerate(settings):
            others = np.delete(seasons, i, axis=0).sum(0)
            trend, seasons[i] = _stl(y - others, one)
    return np.concatenate((trend[None], seasons))


def _stl(y: Floats, settings: Settings) -> tuple[Floats, Floats]:
    seen = ~np.isnan(y)
    holes = not seen.all()
    y, weights = np.where(seen, y, 0.0), seen.astype(np.float64) if holes else None
    smoother = loess(settings.n, settings.trend, settings.trend_degree)
    # Where a phase has no value its season is that of its neighbours: no trend may be among them.
    trend = straight(y, weights) if weights is not None else np.zeros_like(y)
    season = np.zeros_like(y)
    for round_ in range(settings.outer + 1):
        for _ in range(settings.inner):
            if settings.period:
                season = _season(y - trend, weights, settings, holes)
            trend = _trend(smoother, y - season, weights, holes)
        if round_ < settings.outer:
            weights = _robustness(y, y - trend - season, seen)
    return trend, season


def _trend(smoother: Loess, y: Floats, weights: Floats | None, holes: bool) -> Floats:
    """Smooth what has no season; where nothing is near, trends keep their distance from a straight line."""
    if weights is None:
        return smoother.plain(y)
    if not holes:
        smoothed, known = smoother.weighted(y, weights)
        return np.where(known, smoothed, y)
    line = straight(y, weights)
    smoothed, known = smoother.weighted(y - line, weights, REACH)
    return line + bridged(smoothed, known)


def _season(y: Floats, weights: Floats | None, settings: Settings, holes: bool) -> Floats:
    """Smooth each phase of the season over its cycles, and take from it what is slower than a season."""
    n, period = settings.n, settings.period
    cycle = np.empty((len(y), n + 2 * period))
    for at in phases(n, period):
        count = at.shape[1] - 2
        smoother = loess(count, settings.seasonal, settings.seasonal_degree, 1)
        of_phase = y[:, at[:, :-2]].reshape(-1, count)
        of_weights = None if weights is None else weights[:, at[:, :-2]].reshape(-1, count)
        cycle[:, at] = _phase(smoother, of_phase, of_weights, holes).reshape(len(y), *at.shape)
    if holes:
        cycle = bridged(cycle, ~np.isnan(cycle))
    slow = average(average(average(cycle, period), period), 3)
    return cycle[:, period : period + n] - loess(n, settings.low_pass, settings.low_pass_degree).plain(slow)


def _phase(smoother: Loess, y: Floats, weights: Floats | None, holes: bool) -> Floats:
    """Smooth phases over cycles, one more at either end; those without a value are NaN."""
    if weights is None:
        return smoother.plain(y)
    if not holes:
        # Where all that is near has lost its weight values stay as they are, as in the published program.
        smoothed, known = smoother.weighted(y, weights)
        return np.where(known, smoothed, np.pad(y, ((0, 0), (1, 1)), mode="edge"))
    smoothed, known = smoother.weighted(y, weights, REACH)
    some = known.any(1)
    smoothed[some], smoothed[~some] = bridged(smoothed[some], known[some]), np.nan
    return smoothed


def phases(n: int, period: int) -> Iterator[NDArray[np.int64]]:
    """Places of phases that have the same number of cycles, (n_phases, n_cycles + 2), in a series a period longer.

    Parameters
    ----------
    n, period : int
        Steps of a series, and of its season; a period stands before and after it.

    Yields
    ------
    int array
        All phases, or those with a cycle more and then the others.
    """
    cycles, longer = divmod(n, period)
    for first, last, count in ((0, longer, cycles + 1), (longer, period, cycles)):
        if first < last:
            yield np.arange(first, last)[:, None] + period * np.arange(count + 2)


def average(y: Floats, width: int) -> Floats:
    """Moving averages of `width` points.

    Parameters
    ----------
    y : array of shape (B, n)
        Series.
    width : int
        Points.

    Returns
    -------
    array of shape (B, n - width + 1)
    """
    averages = correlate1d(y, np.full(width, 1 / width), axis=1, mode="constant")
    return averages[:, width // 2 : y.shape[1] - (width - 1) // 2]


def _robustness(y: Floats, residual: Floats, seen: NDArray[np.bool_]) -> Floats:
    """Bisquare weights of residuals, by six times their median size in each series; none where nothing is seen."""
    size = np.where(seen, np.abs(residual), np.nan)
    middle = np.median(size, axis=1, keepdims=True) if seen.all() else np.nanmedian(size, axis=1, keepdims=True)
    # Less than values are rounded to says nothing of them.
    limit = np.maximum(6 * middle, 1e-12 * np.abs(y).max(axis=1, keepdims=True))
    with np.errstate(invalid="ignore", divide="ignore"):
        weights = np.where(size <= 0.999 * limit, (1 - (size / limit) ** 2) ** 2, 0.0)
    return np.where(size <= 0.001 * limit, 1.0, weights)
