"""What STL and MSTL make of the last step of a series, as weighted sums, without the matrices of all its steps.

A row of a linear map is the transposed map of a unit vector. Each function here is the transposed of the one that it is
named after: it takes what the result is multiplied by, and returns what the series is multiplied by.
"""

import numpy as np

from tsrec.decomposition._cache import kept
from tsrec.decomposition._holes import Floats
from tsrec.decomposition._loess import loess
from tsrec.decomposition._stl import Settings, average, phases


@kept
def ends(settings: tuple[Settings, ...], passes: int = 1) -> Floats:
    """The last rows of the matrices: what a complete series is multiplied by for the components of its last step.

    Parameters
    ----------
    settings, passes
        As for the matrices, without robustness.

    Returns
    -------
    array of shape (1 + n_periods, n)
    """
    n, count = settings[0].n, 1 + sum(one.period > 0 for one in settings)
    last = np.zeros((count, count, n))
    last[np.arange(count), np.arange(count), -1] = 1.0
    found = _multiple(last, settings, passes)
    found.flags.writeable = False
    return found


def _multiple(v: Floats, settings: tuple[Settings, ...], passes: int) -> Floats:
    """From rows for the trend and each season, (n_rows, 1 + n_periods, n), to rows for the series."""
    trend, seasons = v[:, 0], v[:, 1:].copy()
    found = np.zeros_like(trend)
    if not settings[0].period:
        return loess(settings[0].n, settings[0].trend, settings[0].trend_degree).plain.transposed(trend)
    for _ in range(passes):
        for i, one in reversed([*enumerate(settings)]):
            given = _stl(trend, seasons[:, i], one)
            found += given
            seasons -= given[:, None]
            seasons[:, i] = 0.0
            # Only the last trend is kept.
            trend = np.zeros_like(trend)
    return found


def _stl(trend: Floats, season: Floats, settings: Settings) -> Floats:
    smoother, found = loess(settings.n, settings.trend, settings.trend_degree), np.zeros_like(trend)
    for _ in range(settings.inner):
        unseasonal = smoother.plain.transposed(trend)
        detrended = _season(season - unseasonal, settings)
        found += unseasonal + detrended
        trend, season = -detrended, np.zeros_like(season)
    return found


def _season(v: Floats, settings: Settings) -> Floats:
    n, period = settings.n, settings.period
    slow = loess(n, settings.low_pass, settings.low_pass_degree).plain.transposed(-v)
    cycle = _average(_average(_average(slow, 3), period), period)
    cycle[:, period : period + n] += v
    found = np.empty_like(v)
    for at in phases(n, period):
        smoother = loess(at.shape[1] - 2, settings.seasonal, settings.seasonal_degree, 1)
        of_phase = cycle[:, at].reshape(-1, at.shape[1])
        found[:, at[:, :-2]] = smoother.plain.transposed(of_phase).reshape(len(v), len(at), -1)
    return found


def _average(v: Floats, width: int) -> Floats:
    return average(np.pad(v, ((0, 0), (width - 1, width - 1))), width)
