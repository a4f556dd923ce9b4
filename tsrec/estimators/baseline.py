"""Baselines that every model must beat: the last season again, and the mean season at a mean level."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tsrec.estimators._context_forecaster import ContextForecaster
from tsrec.estimators._parameters import check_whole
from tsrec.frames import Panel
from tsrec.frames.season import choose_context
from tsrec.frames.seen import mean_of_seen

DEFAULT_QUANTILES = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)


class SeasonalNaiveForecaster(ContextForecaster):
    """Forecast each step by the last value observed at its place in the season.

    Parameters
    ----------
    horizon : int
        Steps of one block of forecasts.
    season : int or "auto"
        Steps per season; from the frequency and the data when "auto". With 1 it is the naive forecast: the last value.
    freq : str or offset, optional
        Frequency of the index, where it cannot be read from it.
    quantiles : sequence of float
        Levels at which the errors' quantiles are stored.

    Attributes
    ----------
    season_ : int
        The season in use.
    freq_ : str or None
        The frequency in use.
    error_quantiles_ : float array of shape (horizon, n_channels, n_levels)
        Quantiles of past errors, in units of each window's mean absolute deviation.
    panel_ : Panel
        The history.

    Examples
    --------
    >>> import pandas as pd
    >>> y = pd.Series(range(14), pd.date_range("2024-01-01", periods=14, freq="D"))
    >>> SeasonalNaiveForecaster(horizon=2).fit(y).predict().tolist()
    [7.0, 8.0]
    """

    _SEASONS = 4

    def __init__(
        self,
        *,
        horizon: int = 24,
        season: int | str = "auto",
        freq: Any = None,
        quantiles: Sequence[float] = DEFAULT_QUANTILES,
    ) -> None:
        self.horizon = horizon
        self.season = season
        self.freq = freq
        self.quantiles = quantiles

    def _window(self) -> int:
        # Older seasons stand in where values of the last one are missing.
        return self._SEASONS * self.season_

    def _point(self, window: np.ndarray) -> np.ndarray:
        seasons = window.reshape(len(window), self._SEASONS, self.season_, window.shape[-1])
        last = seasons[:, -1].copy()
        for back in range(2, self._SEASONS + 1):
            last = np.where(np.isnan(last), seasons[:, -back], last)
        return last[:, np.arange(self.horizon_) % self.season_]


class SeasonalMeanForecaster(ContextForecaster):
    """Forecast each step by the mean of its phase of the season over the context, at the level of late.

    The level is half the mean of the context and half that of its last season; the deviation of each phase from the
    context's mean is added. Nothing is trained, and on strongly seasonal data it is hard to beat.

    Parameters
    ----------
    horizon : int
        Steps of one block of forecasts.
    season : int or "auto"
        Steps per season; from the frequency and the data when "auto".
    context : int or "auto"
        Rows to average over; from the length of the history when "auto".
    freq : str or offset, optional
        Frequency of the index, where it cannot be read from it.
    quantiles : sequence of float
        Levels at which the errors' quantiles are stored.

    Attributes
    ----------
    season_, context_ : int
        The season and the context in use.
    freq_ : str or None
        The frequency in use.
    error_quantiles_ : float array of shape (horizon, n_channels, n_levels)
        Quantiles of past errors, in units of each window's mean absolute deviation.
    panel_ : Panel
        The history.

    Examples
    --------
    >>> import pandas as pd
    >>> y = pd.Series([0.0, 2.0] * 10, pd.date_range("2024-01-01", periods=20, freq="D"))
    >>> SeasonalMeanForecaster(horizon=2, season=2).fit(y).predict().tolist()
    [0.0, 2.0]
    """

    def __init__(
        self,
        *,
        horizon: int = 24,
        season: int | str = "auto",
        context: int | str = "auto",
        freq: Any = None,
        quantiles: Sequence[float] = DEFAULT_QUANTILES,
    ) -> None:
        self.horizon = horizon
        self.season = season
        self.context = context
        self.freq = freq
        self.quantiles = quantiles

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_whole(self, "context", auto=True)

    def _fit_panel(self, panel: Panel) -> None:
        if self.context == "auto":
            self.context_ = choose_context(panel, self.season_, self.horizon_)
        else:
            self.context_ = int(self.context)
        super()._fit_panel(panel)

    def _window(self) -> int:
        return self.context_

    def _point(self, window: np.ndarray) -> np.ndarray:
        season = self.season_
        missing = -window.shape[1] % season
        padded = np.pad(window, ((0, 0), (missing, 0), (0, 0)), constant_values=np.nan)
        phases = mean_of_seen(padded.reshape(len(window), -1, season, window.shape[-1]), axis=1)
        mean = mean_of_seen(window, axis=1)
        late = mean_of_seen(window[:, -season:], axis=1)
        level = 0.5 * (mean + np.where(np.isnan(late), mean, late))
        return ((level - mean)[:, None] + phases)[:, np.arange(self.horizon_) % season]
