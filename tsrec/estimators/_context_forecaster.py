"""Forecasters that are a formula of the context alone: nothing is trained but the spread of their errors."""

import numpy as np

from tsrec.estimators._forecaster import BaseForecaster
from tsrec.frames import Panel, contexts, origins
from tsrec.frames.seen import mean_of_seen

_CALIBRATION_CUTOFFS = 4096
_CALIBRATION_VALUES = 4_000_000
_FEW = 20
_ROWS_AT_ONCE = 4_000_000


class ContextForecaster(BaseForecaster):
    """Base of the baselines: subclasses give ``_point(window)`` and ``_window()``, the rows they look back on.

    Quantiles are those of past errors, bias included: where the formula has always been too low, as a naive forecast is
    on a trend, its point forecast may lie outside its own interval, and the interval is right.
    """

    def _window(self) -> int:
        raise NotImplementedError

    def _point(self, window: np.ndarray) -> np.ndarray:
        """Forecasts (n, horizon, n_channels) of windows (n, length, n_channels) in which NaN is missing."""
        raise NotImplementedError

    def __sklearn_is_fitted__(self) -> bool:
        """Whether the spread of past errors is known."""
        return hasattr(self, "error_quantiles_")

    def _fit_panel(self, panel: Panel) -> None:
        self.level_ = np.nan_to_num(mean_of_seen(panel.values, axis=0))
        self.spread_ = np.nan_to_num(mean_of_seen(np.abs(panel.values - self.level_), axis=0))
        self.error_quantiles_ = self._calibrate(panel)

    def _forecast(self, panel: Panel, cutoffs: np.ndarray) -> np.ndarray:
        chunk = max(_ROWS_AT_ONCE // max(self._window() * panel.n_channels, 1), 1)
        return np.concatenate(
            [self._forecast_chunk(panel, cutoffs[at : at + chunk]) for at in range(0, max(len(cutoffs), 1), chunk)]
        )

    def _forecast_chunk(self, panel: Panel, cutoffs: np.ndarray) -> np.ndarray:
        window = contexts(panel.values, origins(panel.offsets, cutoffs[:, 0], cutoffs[:, 1]), self._window())
        point = self._filled(window)
        offsets = self.error_quantiles_ * self._scale(window)[:, None, :, None]
        return np.concatenate([point[..., None], point[..., None] + offsets], axis=-1)

    def _filled(self, window: np.ndarray) -> np.ndarray:
        """The formula, with the mean of the window or of the training rows where it gives nothing."""
        point = self._point(window)
        mean = mean_of_seen(window, axis=1)
        return np.where(np.isnan(point), np.where(np.isnan(mean), self.level_, mean)[:, None], point)

    def _scale(self, window: np.ndarray) -> np.ndarray:
        """Mean absolute deviation of each window, (n, n_channels): the unit in which errors are pooled."""
        deviation = mean_of_seen(np.abs(window - mean_of_seen(window, axis=1)[:, None]), axis=1)
        return np.where(np.isnan(deviation), self.spread_, deviation)

    def _calibrate(self, panel: Panel) -> np.ndarray:
        """Quantiles of past errors in units of the window's scale, float of shape (horizon, n_channels, n_levels).

        The formula is not trained, so its errors inside the history are as honest as those to come.
        """
        first = np.minimum(self._window(), panel.lengths // 2)
        counts = np.maximum(panel.lengths - 1 - first, 0)
        total = int(counts.sum())
        if not total:
            return np.zeros((self.horizon_, panel.n_channels, len(self.levels_)))
        wanted = min(max(_CALIBRATION_VALUES // (self._window() * panel.n_channels), 64), _CALIBRATION_CUTOFFS, total)
        flat = np.unique(np.linspace(0, total - 1, wanted).astype(np.int64))
        ends = np.cumsum(counts)
        series = np.searchsorted(ends, flat, side="right")
        places = flat - (ends - counts)[series] + first[series] + 1
        return _pooled_quantiles(self._past_errors(panel, series, places), self.levels_)

    def _past_errors(self, panel: Panel, series: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Errors of the formula at places of the history, in the window's scale; NaN where nothing was seen."""
        place = origins(panel.offsets, series, places)
        window = contexts(panel.values, place, self._window())
        rows = place.first[:, None] + np.arange(self.horizon_)
        truth = panel.values[np.minimum(rows, len(panel.values) - 1)]
        truth[rows >= place.end[:, None]] = np.nan
        scale = self._scale(window)[:, None]
        return (truth - self._filled(window)) / np.where(scale > 0, scale, np.nan)


def _pooled_quantiles(errors: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Quantiles over the first axis of what is observed; a step never seen takes those of the step before."""
    ordered = np.sort(errors, axis=0)
    count = (~np.isnan(errors)).sum(axis=0)
    place = levels * np.maximum(count - 1, 0)[..., None]
    low = np.floor(place).astype(np.int64)
    high = np.minimum(low + 1, np.maximum(count - 1, 0)[..., None])
    ordered = np.moveaxis(ordered, 0, -1)
    below, above = (np.take_along_axis(ordered, at, axis=-1) for at in (low, high))
    found = below + (place - low) * (above - below)
    if len(errors) > 1 and errors.shape[1] > 1:
        # A step seen only a few times has the errors of all steps together: its own would be too narrow.
        pooled = _pooled_quantiles(errors.reshape(-1, 1, errors.shape[2]), levels)
        found = np.where((count < _FEW)[..., None], pooled, found)
    for step in range(1, len(found)):
        found[step] = np.where(np.isnan(found[step]), found[step - 1], found[step])
    return np.nan_to_num(found)
