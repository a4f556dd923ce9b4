"""Missing values filled and outliers taken back before a forecaster sees them, by what came earlier alone."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.metaestimators import available_if

from tsrec.estimators._composed import ComposedForecaster, check_forecaster
from tsrec.estimators._forecaster import BaseForecaster
from tsrec.estimators._parameters import check_choice, check_positive, check_whole
from tsrec.estimators._read import GIVEN
from tsrec.estimators.theta import ThetaForecaster
from tsrec.frames import Panel, variable_names

_SHORTEST, _LONGEST = 36, 200


def _has_components(forecaster: "CleanedForecaster") -> bool:
    return all(hasattr(member, "_components") for member in forecaster._given().values())


class CleanedForecaster(ComposedForecaster):
    """Forecast with a forecaster that is shown a cleaned history.

    What a row is cleaned to depends on earlier rows of its series alone, so that forecasts from any cut-off are what
    they would have been then. (Interpolation is not offered: it would show the forecaster what follows.) Forecasts are
    in the units of the data; intervals are those of the forecaster, and do not know of outliers to come.

    Parameters
    ----------
    forecaster : forecaster, optional
        Fitted as a clone. :class:`ThetaForecaster` when omitted.
    missing : {"keep", "last", "seasonal"}
        What becomes of missing values: nothing, the last value before, or the last value of the same phase of the
        season. Those before the first value stay missing.
    outliers : {"clip", "drop"} or None
        What becomes of outliers: the nearest value that is none, or a missing value, which `missing` may fill. None
        leaves them.
    threshold : float
        Spreads that a value may lie from what is expected; a row beyond is an outlier.
    window : int or "auto"
        Earlier rows that the spread is taken from; two seasons, but at least 36 and at most 200, when "auto".
    horizon : int, optional
        Steps forecast at once; further steps roll forward in blocks. That of the forecaster when None.
    season : int or "auto", optional
        Steps per season, also of the forecaster; that of the forecaster when None.
    freq : str or offset, optional
        Frequency of the index, where it cannot be read from it. That of the forecaster when None.
    quantiles : sequence of float, optional
        Levels that are trained; others are interpolated. Those of the forecaster when None.

    Attributes
    ----------
    members_ : dict of str to forecaster
        "forecaster": the fitted one.
    window_, season_, context_ : int
        The window, the season and the rows looked back on.
    freq_ : str or None
        The frequency in use.
    panel_ : Panel
        The history as it was given.

    Notes
    -----
    The Hampel identifier, on one side: expected is the median of the last five values of the phase, plus the median of
    how far the last rows were off (which keeps up with a trend); the spread is 1.4826 times the median absolute
    deviation of the same. A level shift counts as outliers until half a window has passed. Where more than half of a
    window repeat the season exactly there is no spread, and nothing is an outlier; nor is it before fifteen such rows.

    References
    ----------
    Hampel (1974), The influence curve and its role in robust estimation, JASA 69. Pearson (2002), Outliers in process
    modeling and identification, IEEE Trans. Control Systems Technology 10.

    Examples
    --------
    >>> y = pd.Series([1.0, 3.1, 2.0, 0.9, 2.9, 2.1] * 10, pd.date_range("2024", periods=60, freq="D"), name="y")
    >>> y.iloc[50] = 99.0
    >>> forecaster = CleanedForecaster(ThetaForecaster(horizon=3, season=3), outliers="clip").fit(y)
    >>> forecaster.find_outliers()[["time", "value"]].values.tolist()
    [[Timestamp('2024-02-20 00:00:00'), 99.0]]
    """

    window_: int

    def __init__(
        self,
        forecaster: Any = None,
        *,
        missing: str = "keep",
        outliers: str | None = "clip",
        threshold: float = 5.0,
        window: int | str = "auto",
        horizon: int | None = None,
        season: int | str | None = None,
        freq: Any = None,
        quantiles: Sequence[float] | None = None,
    ) -> None:
        self.forecaster = forecaster
        self.missing = missing
        self.outliers = outliers
        self.threshold = threshold
        self.window = window
        self.horizon = horizon
        self.season = season
        self.freq = freq
        self.quantiles = quantiles

    def __sklearn_is_fitted__(self) -> bool:
        """Whether there is a member to ask."""
        return bool(getattr(self, "members_", None))

    def _given(self) -> dict[str, BaseForecaster]:
        return {"forecaster": ThetaForecaster() if self.forecaster is None else self.forecaster}

    def _check_parameters(self) -> None:
        check_forecaster(self._given()["forecaster"], "forecaster")
        check_choice(self, "missing", ("keep", "last", "seasonal"))
        check_choice(self, "outliers", ("clip", "drop", None))
        check_positive(self, "threshold")
        check_whole(self, "window", least=15, auto=True)
        super()._check_parameters()

    def _fit_panel(self, panel: Panel) -> None:
        usual = min(max(2 * self.season_, _SHORTEST), _LONGEST)
        self.window_ = usual if self.window == "auto" else int(self.window)
        self._keep({"forecaster": self._fitted(self._given()["forecaster"], self._cleaned(panel))})

    def _remember(self, panel: Panel) -> None:
        BaseForecaster._remember(self, panel)
        self.members_["forecaster"]._remember(self._cleaned(panel))

    def _forecast(self, panel: Panel, cutoffs: np.ndarray) -> np.ndarray:
        return self.members_["forecaster"]._forecast(self._cleaned(panel), cutoffs)

    @available_if(_has_components)
    def _components(self, panel: Panel, cutoffs: np.ndarray) -> dict[str, np.ndarray]:
        return self.members_["forecaster"]._components(self._cleaned(panel), cutoffs)

    def _cleaned(self, panel: Panel) -> Panel:
        """The panel that the forecaster is shown."""
        values = panel.values
        if self.outliers is not None:
            lower, upper = self._bounds(panel)
            if self.outliers == "clip":
                values = np.clip(values, lower, upper)
            else:
                values = np.where((values < lower) | (values > upper), np.nan, values)
        if self.missing != "keep":
            values = filled(values, panel.offsets, 1 if self.missing == "last" else self.season_)
        return panel if values is panel.values else replace(panel, values=values)

    def _bounds(self, panel: Panel) -> tuple[np.ndarray, np.ndarray]:
        """Between what values of each row are no outliers; infinite where that is not known."""
        from tsrec.estimators._hampel import hampel_bounds

        lower, upper = np.empty((2, panel.n_channels, len(panel.values)))
        for channel, column in enumerate(panel.values.T):
            rows = np.ascontiguousarray(column, dtype=np.float64)
            bounds = lower[channel], upper[channel]
            hampel_bounds(rows, panel.offsets, self.season_, self.window_, float(self.threshold), *bounds)
        return lower.T, upper.T

    def find_outliers(self, y: Any = None) -> pd.DataFrame:
        """The rows that count as outliers.

        Parameters
        ----------
        y : Series, DataFrame or array, optional
            Another history than that of fit and update.

        Returns
        -------
        DataFrame
            A row per outlier; columns series, time, variable, value, lower, upper.
        """
        panel = self._known(None) if y is None else self._read_rows(y, None, None, GIVEN)
        lower, upper = self._bounds(panel)
        row, channel = np.nonzero((panel.values < lower) | (panel.values > upper))
        owner = np.searchsorted(panel.offsets, row, side="right") - 1
        return pd.DataFrame(
            {
                "series": panel.labels[owner],
                "time": panel.grid.decode(panel.ordinals()[row]),
                "variable": pd.Index(variable_names(self._form(y).columns)).take(channel),
                "value": panel.values[row, channel],
                "lower": lower[row, channel],
                "upper": upper[row, channel],
            }
        )


def filled(values: np.ndarray, offsets: np.ndarray, lag: int) -> np.ndarray:
    """Values (n_rows, n_channels) in which what is missing is the value `lag` rows before, or `2 lag`, and so on."""
    rows = np.arange(len(values))[:, None]
    begin = np.repeat(offsets[:-1], np.diff(offsets))[:, None]
    source = np.where(np.isnan(values) & (rows - lag >= begin), rows - lag, rows)
    while True:
        # Twice as far back each time, so that long gaps take few turns.
        further = np.take_along_axis(source, source, axis=0)
        if np.array_equal(further, source):
            return np.take_along_axis(values, source, axis=0)
        source = further
