"""The theta method: half a linear trend, half exponential smoothing; hard to beat on short business series."""

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np

from tsrec.estimators._context_forecaster import ContextForecaster
from tsrec.estimators._parameters import check_whole
from tsrec.estimators._theta import theta_forecast
from tsrec.estimators.baseline import DEFAULT_QUANTILES
from tsrec.frames import Panel

_USUAL_CONTEXT = 512
_LEAST_SEASONS = 4
# So many windows at once stay in the processor's cache.
_AT_ONCE = 1024


class ThetaForecaster(ContextForecaster):
    """Forecast by the theta method, every series and every cut-off at once.

    A window is freed from its season (classical decomposition, by factors where all values are positive, shrunk by its
    uncertainty instead of tested), and is forecast as the weighted mean of its linear trend, with weight
    1 - 1 / theta, and of the exponential smoothing of the theta line ``theta * value + (1 - theta) * trend``
    (Assimakopoulos & Nikolopoulos 2000). That is exponential smoothing with a part of the trend as drift (Hyndman &
    Billah 2003). The smoothing constant and theta are those with the smallest squared errors one and two steps ahead
    inside the window, each forecast with the trend of the values before it (Fiorucci et al. 2016).

    Parameters
    ----------
    horizon : int
        Steps of one block of forecasts.
    season : int or "auto"
        Steps per season; from the frequency and the data when "auto". With 1 there is none.
    context : int or "auto"
        Most rows to look back on; 512, or four seasons if they are longer, when "auto".
    theta : float or "auto"
        At least 1: 1 is exponential smoothing, 2 the original method, large values follow the trend. Per window when
        "auto": 1 - 1 / theta is estimated and drawn towards a half, as though ten more values had asked for that.
    freq : str or offset, optional
        Frequency of the index, where it cannot be read from it.
    quantiles : sequence of float
        Levels at which the errors' quantiles are stored.

    Attributes
    ----------
    season_, context_ : int
        The season and the context in use.
    theta_ : float or None
        The theta in use; None where it is chosen per window.
    freq_ : str or None
        The frequency in use.
    error_quantiles_ : float array of shape (horizon, n_channels, n_levels)
        Quantiles of past errors, in units of each window's mean absolute deviation.
    panel_ : Panel
        The history.

    Examples
    --------
    >>> import pandas as pd
    >>> y = pd.Series([float(day) for day in range(28)], pd.date_range("2024-01-01", periods=28, freq="D"))
    >>> ThetaForecaster(horizon=2, season=1, theta=2).fit(y).predict().round(2).tolist()
    [27.49, 27.99]
    """

    def __init__(
        self,
        *,
        horizon: int = 24,
        season: int | str = "auto",
        context: int | str = "auto",
        theta: float | str = "auto",
        freq: Any = None,
        quantiles: Sequence[float] = DEFAULT_QUANTILES,
    ) -> None:
        self.horizon = horizon
        self.season = season
        self.context = context
        self.theta = theta
        self.freq = freq
        self.quantiles = quantiles

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_whole(self, "context", auto=True)
        value = self.theta
        if isinstance(value, str) and value == "auto":
            return
        if not isinstance(value, Real) or isinstance(value, bool) or not 1 <= value < np.inf:
            raise ValueError(f"theta: found {value!r}. Give a number of at least 1, or 'auto'.")

    def _fit_panel(self, panel: Panel) -> None:
        usual = max(_USUAL_CONTEXT, _LEAST_SEASONS * self.season_)
        self.context_ = usual if self.context == "auto" else int(self.context)
        self.theta_ = None if self.theta == "auto" else float(self.theta)
        super()._fit_panel(panel)

    def _window(self) -> int:
        return self.context_

    def _point(self, window: np.ndarray) -> np.ndarray:
        n, length, n_channels = window.shape
        rows = np.moveaxis(window, 1, 0).reshape(length, n * n_channels)
        parts = [
            theta_forecast(rows[:, at : at + _AT_ONCE], self.horizon_, self.season_, self.theta_)
            for at in range(0, max(rows.shape[1], 1), _AT_ONCE)
        ]
        return np.moveaxis(np.concatenate(parts, axis=1).reshape(self.horizon_, n, n_channels), 0, 1)
