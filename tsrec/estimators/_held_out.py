"""The last rows of every series put aside, and the places among them to forecast from."""

from typing import NamedTuple

import numpy as np

from tsrec.estimators._window_weights import counted
from tsrec.frames import Panel, contexts, origins
from tsrec.frames.season import seasonal_scale
from tsrec.frames.seen import means_of_series


class HeldOut(NamedTuple):
    """What comes before the last rows, and cut-offs among them.

    Attributes
    ----------
    early : Panel
        Without the last rows; covariates of theirs are left out too.
    cutoffs : int array of shape (n, 2)
        Series and step, to be forecast from in the whole panel; none where nothing could be put aside, or nothing that
        counts would be left.
    truth : float array of shape (n, horizon, n_channels)
        What was observed; NaN after the end of a series.
    """

    early: Panel
    cutoffs: np.ndarray
    truth: np.ndarray


def held_out(panel: Panel, horizon: int, share: float, most: int) -> HeldOut:
    """Put aside a share of the rows of each series, but at least two horizons, and at most half of them.

    Parameters
    ----------
    panel : Panel
    horizon : int
        Steps of a forecast.
    share : float
        Of the rows of a series.
    most : int
        Cut-offs, spread evenly over all rows put aside.

    Returns
    -------
    HeldOut
    """
    tail = np.maximum(np.ceil(share * panel.lengths).astype(np.int64), 2 * horizon)
    tail = np.minimum(tail, panel.lengths // 2)
    early = panel.resized(np.zeros_like(tail), -tail)
    if not tail.any() or np.isnan(counted(early).values).all():
        return HeldOut(early, np.empty((0, 2), dtype=np.int64), np.empty((0, horizon, panel.n_channels)))
    ends = np.cumsum(tail)
    flat = np.unique(np.linspace(0, ends[-1] - 1, min(most, ends[-1])).astype(np.int64))
    series = np.searchsorted(ends, flat, side="right")
    steps = flat - (ends - tail)[series] + early.lengths[series]
    cutoffs = np.stack([series, steps], axis=1)
    return HeldOut(early, cutoffs, truth_after(panel, cutoffs, horizon))


def truth_after(panel: Panel, cutoffs: np.ndarray, horizon: int) -> np.ndarray:
    """What was observed from each cut-off on, float (n, horizon, n_channels); NaN after the end of a series."""
    place = origins(panel.offsets, *cutoffs.T)
    return contexts(panel.values, place._replace(first=place.first + horizon), horizon)


def series_units(panel: Panel, season: int) -> np.ndarray:
    """Mean absolute error of the seasonal naive forecast of each series, in which errors are compared.

    Where it is not known or zero, the mean absolute deviation; NaN where that is zero too.

    Returns
    -------
    float array of shape (n_series, n_channels)
    """
    scale = seasonal_scale(panel, season)
    weak = ~(scale > 0)
    if weak.any():
        owner = np.repeat(np.arange(panel.n_series), panel.lengths)
        away = np.abs(panel.values - means_of_series(panel.values, panel.offsets)[owner])
        scale = np.where(weak, means_of_series(away, panel.offsets), scale)
    return np.where(scale > 0, scale, np.nan)
