"""How far rows lie from what was forecast for them, in units of what is usual: the numbers behind a detector."""

from typing import Any

import numpy as np
import pandas as pd
from pandas.api.indexers import BaseIndexer
from scipy.special import ndtri
from sklearn.covariance import LedoitWolf

from tsrec.estimators._blocks import distinct_pairs
from tsrec.estimators._quantiles import at_levels
from tsrec.frames import Panel
from tsrec.training.bar import watched

# Levels of the forecast that give its middle and its spread.
_LEVELS = np.array([0.25, 0.5, 0.75])
_NORMAL = 2 * ndtri(0.75)
# Numbers that a forecaster gives at once, and cut-offs: few enough for a bar to move.
_AT_ONCE, _PART = 8_000_000, 10_000
# How far residuals count in what is usual.
_CLIP = 4.0
# Spreads below this share of the usual one, or of the channel's deviation, are not believed.
_OF_SPREAD, _OF_DEVIATION = 0.1, 0.01
# Levels of past surprise that give its tail, and rows that they need: from 100, alarms come at four times the risk.
TAIL, _FEWEST = (0.95, 0.995), 300
# How far the second lies from the first at most, in distances of that from the median.
_HEAVIEST = 3.0


class Past(BaseIndexer):
    """The rows of a series before each row, and the row itself where `own`, as windows of pandas' rolling."""

    def __init__(self, series: np.ndarray, length: int, *, own: bool) -> None:
        super().__init__()
        first = np.flatnonzero(np.r_[True, series[1:] != series[:-1]]) if len(series) else np.empty(0, dtype=np.int64)
        begin = np.repeat(first, np.diff(np.r_[first, len(series)]))
        stop = np.arange(len(series)) + own
        self.bounds = np.maximum(begin, stop - length).astype(np.int64), stop.astype(np.int64)

    def get_window_bounds(
        self,
        num_values: int = 0,  # noqa: ARG002 - pandas' signature
        min_periods: int | None = None,  # noqa: ARG002
        center: bool | None = None,  # noqa: ARG002
        closed: str | None = None,  # noqa: ARG002
        step: int | None = None,  # noqa: ARG002
    ) -> tuple[np.ndarray, np.ndarray]:
        """First row of each window, and the row after its last."""
        return self.bounds


def foreseen(forecaster: Any, panel: Panel, rows: np.ndarray, levels: np.ndarray, verbose: int) -> np.ndarray:
    """What is forecast for rows, from `horizon` rows before each; rows near the start from the start.

    Parameters
    ----------
    forecaster : fitted forecaster
        Gives ``horizon_`` steps at once.
    panel : Panel
        Where the rows lie.
    rows : int array of shape (n,)
        Ascending rows of the panel.
    levels : float array of shape (n_levels,)
        Levels of the wanted quantiles, ascending.
    verbose : int
        1 shows a bar.

    Returns
    -------
    float array of shape (n, n_channels, n_levels)
    """
    series = np.searchsorted(panel.offsets, rows, side="right") - 1
    step = rows - panel.offsets[series]
    start = np.maximum(step - forecaster.horizon_ + 1, 0)
    found = np.empty((len(rows), panel.n_channels, len(levels)))
    if not len(rows):
        return found
    cutoffs, which = distinct_pairs(series, start)
    numbers = forecaster.horizon_ * panel.n_channels * (1 + len(forecaster.levels_))
    size = max(min(_AT_ONCE // numbers, _PART), 1)
    parts = range(0, len(cutoffs), size)
    for at in watched(parts, len(parts), label="AnomalyDetector", unit="part", verbose=verbose):
        answers = forecaster._forecast(panel, cutoffs[at : at + size])
        part = slice(*np.searchsorted(which, [at, at + size]))
        quantiles = answers[which[part] - at, (step - start)[part]][..., 1:]
        found[part] = at_levels(quantiles, forecaster.levels_, levels)
    return found


class Residuals:
    """Residuals of rows, in the data's unit, beside the spread that was forecast for them.

    Attributes
    ----------
    error, spread : float arrays of shape (n, n_channels)
        Value less middle, NaN where the value is missing, and standard deviation if errors were normal.
    series : int array of shape (n,)
        Series of each row.
    """

    def __init__(self, forecaster: Any, panel: Panel, rows: np.ndarray, verbose: int) -> None:
        low, middle, high = np.moveaxis(foreseen(forecaster, panel, rows, _LEVELS, verbose), -1, 0)
        self.error = panel.values[rows] - middle
        self.spread = (high - low) / _NORMAL
        self.series = np.searchsorted(panel.offsets, rows, side="right") - 1

    def smoothed(self, floor: np.ndarray, length: int) -> np.ndarray:
        """Errors in units of the spread, at least `floor`, and their mean over the last `length` rows of the series."""
        units = self.error / np.maximum(self.spread, floor)
        if length == 1:
            return units
        return pd.DataFrame(units).rolling(Past(self.series, length, own=True), min_periods=1).mean().to_numpy()


def least_spread(residuals: Residuals, values: np.ndarray) -> np.ndarray:
    """The smallest spread to believe, per channel: a forecaster that was never wrong may still be, float (n_channels,).

    Parameters
    ----------
    residuals : Residuals
        Of the training rows.
    values : float array of shape (n, n_channels)
        The training rows.
    """
    with np.errstate(invalid="ignore"):
        usual = np.nan_to_num(np.median(residuals.spread, axis=0))
        deviation = pd.DataFrame(values).std(ddof=0).fillna(0.0).to_numpy()
        level = pd.DataFrame(values).abs().mean().fillna(0.0).to_numpy()
    floor = np.maximum(_OF_SPREAD * usual, _OF_DEVIATION * deviation)
    # A channel that never moved: whatever moves it is more than a rounding error of its level.
    return np.where(floor > 1e-9 * level, floor, np.where(level > 0, 1e-3 * level, 1e-3))


def precision(units: np.ndarray) -> np.ndarray:
    """Inverse covariance of residuals, float (n_channels, n_channels), in which rare large ones count as large only.

    Each channel is brought to its median absolute deviation and clipped; the covariance is shrunk (Ledoit and Wolf
    2004, A well-conditioned estimator for large-dimensional covariance matrices).
    """
    seen = units[~np.isnan(units).all(axis=1)]
    if not len(seen):
        return np.eye(units.shape[1])
    typical = 1.4826 * np.nanmedian(np.abs(pd.DataFrame(seen).fillna(0.0)), axis=0)
    typical = np.maximum(typical, 0.1 * np.sqrt(np.mean(np.square(np.clip(np.nan_to_num(seen), -1e3, 1e3)), axis=0)))
    typical = np.where(typical > 0, typical, 1.0)
    clipped = np.clip(np.nan_to_num(seen) / typical, -_CLIP, _CLIP)
    inverse = LedoitWolf(assume_centered=True).fit(clipped).precision_ if clipped.any() else np.eye(units.shape[1])
    return inverse / np.outer(typical, typical)


def distance(units: np.ndarray, inverse: np.ndarray) -> np.ndarray:
    """Mahalanobis distance of residuals per root of the channels, float (n,); missing channels are as expected."""
    known = np.nan_to_num(units)
    square = np.einsum("ni,ij,nj->n", known, inverse, known, optimize=True)
    return np.sqrt(np.maximum(square, 0.0) / units.shape[1])


def usual_tail(surprise: np.ndarray) -> np.ndarray:
    """Surprise that 5 % and 0.5 % of usual rows exceed, float (2,); 0 where there are none.

    The second lies at most three times as far from the first as that from the median (an exponential tail: as far):
    three anomalies among four hundred training rows would else be all there is of 0.5 %.
    """
    if not len(surprise):
        return np.zeros(2)
    middle, low, high = np.quantile(surprise, [0.5, *TAIL])
    return np.array([low, min(high, low + _HEAVIEST * (low - middle))])


def rare_before(surprise: np.ndarray, series: np.ndarray, memory: int, risk: float, training: np.ndarray) -> np.ndarray:
    """Surprise that a row has with probability `risk`, going by the `memory` rows before each, float (n,).

    Above the 95 % quantile the tail is taken to be exponential, with the 99.5 % quantile for its slope: peaks over
    threshold with a shape of zero.

    Parameters
    ----------
    surprise, series : arrays of shape (n,)
        Surprise and series of each row.
    memory : int
        Rows to look back on.
    risk : float
        Between 0 and 1.
    training : float array of shape (2,)
        The two quantiles of the training rows, which count where there are fewer than three hundred rows before (or
        `memory`, if it is less).
    """
    windows, least = Past(series, memory, own=False), min(memory, _FEWEST)
    past = pd.Series(surprise).rolling(windows, min_periods=least)
    low, high = (past.quantile(level).fillna(usual).to_numpy() for level, usual in zip(TAIL, training, strict=True))
    steps = np.log((1 - TAIL[1]) / risk) / np.log((1 - TAIL[0]) / (1 - TAIL[1]))
    return np.maximum(high + (high - low) * steps, 0.0)
