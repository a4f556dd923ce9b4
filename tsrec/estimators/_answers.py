"""What a fitted forecaster answers: forecasts of rows, quantiles, intervals, paths, components, and their score."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import r2_score
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from tsrec.estimators import _quantiles
from tsrec.estimators._blocks import checked_cutoffs, forecast_rows
from tsrec.estimators._paths import drawn_ranks, error_ranks
from tsrec.estimators._read import (
    GIVEN,
    HISTORY,
    Names,
    check_observed,
    common_index,
    like_fitted,
    read_history,
    read_predict,
    warn_of_no_past,
)
from tsrec.estimators._request import Request, plain_request, read_request
from tsrec.frames import Form, Panel, to_numbers
from tsrec.frames.season import seasonal_scale


def _has_components(forecaster: "Answers") -> bool:
    return hasattr(forecaster, "_components")


class Answers:
    """The half of a forecaster that answers; `BaseForecaster` is the half that learns."""

    panel_: Panel
    form_: Form
    horizon_: int
    season_: int
    levels_: np.ndarray
    targets_itself_: bool
    _components: Callable[[Panel, np.ndarray], dict[str, np.ndarray]]

    def _forecast(self, panel: Panel, cutoffs: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def predict(self, X: Any = None, *, history: Any = None, history_X: Any = None, history_past: Any = None) -> Any:
        """Forecast.

        Parameters
        ----------
        X : int, Index, DataFrame or array, optional
            What to forecast: a number of steps, a time index, or a frame of future covariates whose index is that of
            the answer. Rows without a time index (arrays, default index) are the next steps. ``horizon`` steps when
            omitted. Rows inside the history get what the fitted weights would have forecast for them, from earlier rows
            only.
        history : Series, DataFrame or array, optional
            Forecast the continuation of this history instead (new series, a later cut-off), with the fitted weights.
        history_X : DataFrame or array, optional
            Covariates beside `history`.
        history_past : DataFrame or array, optional
            Covariates beside `history` that are known up to its end only, as `past` of fit.

        Returns
        -------
        Series, DataFrame or array
            In the container of y, with the index of X or one that continues the history.
        """
        panel, request = self._asked(X, history, history_X, history_past)
        return self._form(history).wrap(self._rows(panel, request)[..., 0], request.index)

    def predict_quantiles(
        self,
        X: Any = None,
        levels: Sequence[float] = (0.1, 0.5, 0.9),
        *,
        history: Any = None,
        history_X: Any = None,
        history_past: Any = None,
    ) -> pd.DataFrame:
        """Quantiles of each step's own distribution.

        Parameters
        ----------
        X, history, history_X, history_past
            As in `predict`.
        levels : sequence of float
            Between 0 and 1. Levels that were not fitted are interpolated in the normal score of the level.

        Returns
        -------
        DataFrame
            Columns (variable, level); the variable of an unnamed series is 0.
        """
        panel, request = self._asked(X, history, history_X, history_past)
        wanted = _quantiles.check_levels(levels, "levels")
        values = _quantiles.at_levels(self._rows(panel, request)[..., 1:], self.levels_, wanted)
        return _quantiles.quantile_frame(values, request.index, self._form(history).columns, wanted.tolist())

    def predict_interval(
        self,
        X: Any = None,
        coverage: float | Sequence[float] = 0.9,
        *,
        history: Any = None,
        history_X: Any = None,
        history_past: Any = None,
    ) -> pd.DataFrame:
        """Central intervals that should hold the given share of the values of each step.

        Parameters
        ----------
        X, history, history_X, history_past
            As in `predict`.
        coverage : float or sequence of float
            Shares between 0 and 1.

        Returns
        -------
        DataFrame
            Columns (variable, coverage, "lower" | "upper").
        """
        panel, request = self._asked(X, history, history_X, history_past)
        shares = _quantiles.check_levels(np.atleast_1d(coverage), "coverage").tolist()
        levels = np.unique([level for share in shares for level in _quantiles.bounds_of(share)])
        values = _quantiles.at_levels(self._rows(panel, request)[..., 1:], self.levels_, levels)
        return _quantiles.interval_frame(values, request.index, self._form(history).columns, shares, levels)

    def sample(
        self,
        X: Any = None,
        n: int = 100,
        *,
        history: Any = None,
        history_X: Any = None,
        history_past: Any = None,
        random_state: Any = None,
    ) -> pd.DataFrame:
        """Possible futures, joint over the steps of each block of `horizon`.

        A past forecast is drawn at random and the ranks of its errors, step by step, are put into the distribution that
        is forecast now (the Schaake shuffle; Clark et al. 2004): paths keep the way errors persist. A history too short
        for past forecasts gives ranks that persist as a first-order autoregression instead.

        Parameters
        ----------
        X, history, history_X, history_past
            As in `predict`.
        n : int
            Number of paths.
        random_state : int, numpy Generator or RandomState, or None
            Seed.

        Returns
        -------
        DataFrame
            Columns (variable, path).
        """
        panel, request = self._asked(X, history, history_X, history_past)
        answers = self._rows(panel, request)
        ahead = request.positions - panel.lengths[request.series]
        ranks = drawn_ranks(error_ranks(self._forecast, self.panel_, self.horizon_), ahead, n, random_state)
        paths = _quantiles.draws(answers[..., 1:], self.levels_, ranks)
        return _quantiles.quantile_frame(
            np.moveaxis(paths, 0, -1), request.index, self._form(history).columns, range(n)
        ).rename_axis(columns=["variable", "path"])

    @available_if(_has_components)
    def predict_components(
        self, X: Any = None, *, history: Any = None, history_X: Any = None, history_past: Any = None
    ) -> pd.DataFrame:
        """The parts that the forecast is the sum of.

        Parameters
        ----------
        X, history, history_X, history_past
            As in `predict`.

        Returns
        -------
        DataFrame
            Columns (variable, component).
        """
        panel, request = self._asked(X, history, history_X, history_past)
        names: list[str] = []

        def parts(panel: Panel, cutoffs: np.ndarray) -> np.ndarray:
            found = self._components(panel, cutoffs)
            names[:] = found
            stacked = np.stack(list(found.values()), axis=-1)
            return np.concatenate([stacked.sum(axis=-1, keepdims=True), stacked], axis=-1)

        values = forecast_rows(parts, panel, request, self.horizon_, widen=False)[..., 1:]
        return _quantiles.quantile_frame(values, request.index, self._form(history).columns, names).rename_axis(
            columns=["variable", "component"]
        )

    def predict_cutoffs(self, y: Any, cutoffs: np.ndarray, X: Any = None, *, past: Any = None) -> np.ndarray:
        """Forecasts of `horizon` steps from many places of a history at once, with the fitted weights.

        Parameters
        ----------
        y : Series, DataFrame or array
            The history; rows after a cut-off are not read for it.
        cutoffs : int array of shape (n, 2)
            Series and step of the first value to forecast.
        X : DataFrame or array, optional
            Covariates beside y.
        past : DataFrame or array, optional
            Covariates beside y that are known up to a cut-off only.

        Returns
        -------
        float array of shape (n, horizon, n_channels, 1 + n_levels)
            The point forecast, then the quantiles at ``levels_``.
        """
        check_is_fitted(self)
        panel = self._read_rows(y, X, past, GIVEN)
        if past is None:
            warn_of_no_past(self, GIVEN)
        cutoffs = checked_cutoffs(cutoffs, panel)
        none = np.empty((0, self.horizon_, panel.n_channels, 1 + len(self.levels_)))
        return self._forecast(panel, cutoffs) if len(cutoffs) else none

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Coefficient of determination R^2 of the forecasts of X over the observed values.

        Parameters
        ----------
        X : DataFrame or array
            As in `predict`; without y it holds the true values.
        y : Series, DataFrame or array, optional
            The true values, on the index of X.
        sample_weight : array of shape (n_rows,), optional
            Weights of the rows.

        Returns
        -------
        float
            The mean over variables; 1 is perfect, 0 as good as the mean of the true values.
        """
        where = "X" if y is None else "y"
        target = like_fitted(self, X if y is None else y, where=where)
        if y is not None:
            common_index(target, X, names=GIVEN._replace(y=where))
        truth, guess = to_numbers(target, where=where), to_numbers(self.predict(X), where="prediction")
        weight = np.ones(len(truth)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        seen = ~np.isnan(truth)
        scores = [
            r2_score(t[s], g[s], sample_weight=weight[s])
            for t, g, s in zip(truth.T, guess.T, seen.T, strict=True)
            if s.sum() > 1
        ]
        return float(np.mean(scores)) if scores else float("nan")

    def naive_scale(self) -> pd.DataFrame:
        """In-sample mean absolute error of the seasonal naive forecast, per series and variable: the scale of MASE."""
        check_is_fitted(self)
        scale = seasonal_scale(self.panel_, self.season_)
        return pd.DataFrame(scale, index=self.panel_.labels, columns=self.form_.columns)

    def _asked(self, X: Any, history: Any, history_X: Any, history_past: Any = None) -> tuple[Panel, Request]:
        panel = self._told(history, history_X, history_past)
        X = plain_request(X)
        covariates = read_predict(self, X)
        return panel, read_request(X, covariates, panel, self.horizon_)

    def _told(self, history: Any, history_X: Any, history_past: Any) -> Panel:
        """What is known, with a warning where it comes without what was learned from."""
        panel = self._known(history, history_X, history_past)
        if history is not None and history_past is None:
            warn_of_no_past(self, HISTORY)
        return panel

    def _known(self, history: Any, history_X: Any = None, history_past: Any = None) -> Panel:
        check_is_fitted(self)
        if history is None:
            for name, given in (("history_X", history_X), ("history_past", history_past)):
                if given is not None:
                    raise ValueError(f"{name}: given without history. Give the rows it lies beside: history=rows.")
            return self.panel_
        return check_observed(self._read_rows(history, history_X, history_past), self.panel_)

    def _read_rows(self, y: Any, X: Any = None, past: Any = None, names: Names = HISTORY) -> Panel:
        """Rows of another history, whatever they hold; errors call the arguments as told."""
        return read_history(self, y, X, past, names)

    def _form(self, history: Any) -> Form:  # noqa: ARG002 - for those that take histories of any form
        """The container of an answer."""
        return self.form_

    def _rows(self, panel: Panel, request: Request) -> np.ndarray:
        return forecast_rows(self._forecast, panel, request, self.horizon_)
