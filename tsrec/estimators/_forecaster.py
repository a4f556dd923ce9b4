"""The forecasting task: everything a forecaster does that needs no knowledge of its model.

A model fills in ``_fit_panel(panel)`` and ``_forecast(panel, cutoffs)``; frames, indexes, blocks, quantiles, updates
and other histories are dealt with here, once.
"""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import Tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from tsrec.estimators import _quantiles
from tsrec.estimators._blocks import checked_cutoffs, forecast_rows
from tsrec.estimators._parameters import check_whole
from tsrec.estimators._paths import drawn_ranks, error_ranks
from tsrec.estimators._read import (
    check_observed,
    checked_covariates,
    common_index,
    like_fitted,
    read_fit,
    read_history,
    read_predict,
)
from tsrec.estimators._request import Request, plain_request, read_request
from tsrec.estimators._update import appended, past_block
from tsrec.frames import Form, Panel, to_numbers
from tsrec.frames.season import choose_season, seasonal_scale
from tsrec.frames.warn import warn_user

# Fitted attributes that checking the arguments has just set; all others are of an earlier fit.
_KEPT = ("n_features_in_", "feature_names_in_")


def _has_components(forecaster: "BaseForecaster") -> bool:
    return hasattr(forecaster, "_components")


class BaseForecaster(RegressorMixin, BaseEstimator):
    """A scikit-learn regressor whose rows are time steps.

    Subclasses have the parameters ``horizon``, ``season``, ``freq`` and ``quantiles`` and the two hooks

    - ``_fit_panel(panel)``: learn from a `Panel`;
    - ``_forecast(panel, cutoffs)``: forecast the ``horizon`` steps from each cut-off, a row (series, step inside the
      series) of an int array of shape (n, 2), as a float array of shape (n, horizon, n_channels, 1 + n_levels): the
      point forecast, then the quantiles at ``levels_``. Values may be read before the cut-off only, covariates also
      beside the steps to forecast. The cut-off may lie before the first row: there is no history at all then.

    ``_components(panel, cutoffs)``, if there is one, gives named parts of the point forecast that sum to it.
    """

    USES: tuple[str, ...] = ()
    horizon: int
    horizon_: int
    season: int | str
    freq: Any
    quantiles: Sequence[float]
    panel_: Panel
    form_: Form

    def _fit_panel(self, panel: Panel) -> None:
        raise NotImplementedError

    def _forecast(self, panel: Panel, cutoffs: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def __sklearn_is_fitted__(self) -> bool:
        """Whether there is something to forecast with."""
        return hasattr(self, "panel_")

    def fit(self, X: Any, y: Any = None, *, past: Any = None, static: Any = None) -> Self:
        """Learn from a history.

        Parameters
        ----------
        X : DataFrame, Series or array of shape (n_steps, n_covariates)
            Covariates whose future is known, on the index of y; a frame without columns (``frame[[]]``) for none.
            Without y: what is to be forecast.
        y : Series, DataFrame or array of shape (n_steps,) or (n_steps, n_channels), optional
            What is to be forecast: a column per variable; with a MultiIndex (series, time) a panel. NaN is a missing
            value.
        past : DataFrame or Series, optional
            Covariates known up to the cut-off only, on the index of y. No model uses them yet; a warning says so.
        static : DataFrame, optional
            Covariates of whole series, one row per series. Few models use them; a warning says so.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            If the index has gaps, repeats or disorder, if indexes differ, or if values are no numbers; the message
            names the argument, what was found and the mend.
        """
        self._check_parameters()
        levels = _quantiles.check_levels(self.quantiles, "quantiles", least=2)
        panel, form = read_fit(self, X, y, past, static)
        hints = {"past": "Columns whose future is known belong in X.", "static": "TEMPOForecaster uses it."}
        for name, given in (("past", past), ("static", static)):
            if given is not None and name not in self.USES:
                warn_user(f"{name}: checked and kept, but {type(self).__name__} does not use it yet. {hints[name]}")
        self._learn(panel, form, levels, targets_itself=y is None)
        return self

    def _learn(self, panel: Panel, form: Form, levels: np.ndarray, *, targets_itself: bool) -> None:
        """Fit to what has been read and checked."""
        for name in [name for name in vars(self) if name.endswith("_") and name not in _KEPT]:
            delattr(self, name)
        self.targets_itself_ = targets_itself
        self.form_ = form
        self.panel_ = panel
        self.horizon_ = int(self.horizon)
        self.freq_ = panel.grid.freq
        self.levels_ = levels
        self.season_ = choose_season(panel) if self.season == "auto" else int(self.season)
        self.trained_ends_ = panel.ends
        self._fit_panel(panel)

    def predict(self, X: Any = None, *, history: Any = None, history_X: Any = None) -> Any:
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

        Returns
        -------
        Series, DataFrame or array
            In the container of y, with the index of X or one that continues the history.
        """
        panel, request = self._asked(X, history, history_X)
        return self._form(history).wrap(self._rows(panel, request)[..., 0], request.index)

    def predict_quantiles(
        self,
        X: Any = None,
        levels: Sequence[float] = (0.1, 0.5, 0.9),
        *,
        history: Any = None,
        history_X: Any = None,
    ) -> pd.DataFrame:
        """Quantiles of each step's own distribution.

        Parameters
        ----------
        X, history, history_X
            As in `predict`.
        levels : sequence of float
            Between 0 and 1. Levels that were not fitted are interpolated in the normal score of the level.

        Returns
        -------
        DataFrame
            Columns (variable, level); the variable of an unnamed series is 0.
        """
        panel, request = self._asked(X, history, history_X)
        wanted = _quantiles.check_levels(levels, "levels")
        values = _quantiles.at_levels(self._rows(panel, request)[..., 1:], self.levels_, wanted)
        return _quantiles.quantile_frame(values, request.index, self._form(history).columns, wanted.tolist())

    def predict_interval(
        self, X: Any = None, coverage: float | Sequence[float] = 0.9, *, history: Any = None, history_X: Any = None
    ) -> pd.DataFrame:
        """Central intervals that should hold the given share of the values of each step.

        Parameters
        ----------
        X, history, history_X
            As in `predict`.
        coverage : float or sequence of float
            Shares between 0 and 1.

        Returns
        -------
        DataFrame
            Columns (variable, coverage, "lower" | "upper").
        """
        panel, request = self._asked(X, history, history_X)
        shares = _quantiles.check_levels(np.atleast_1d(coverage), "coverage").tolist()
        levels = np.unique([level for share in shares for level in _quantiles.bounds_of(share)])
        values = _quantiles.at_levels(self._rows(panel, request)[..., 1:], self.levels_, levels)
        return _quantiles.interval_frame(values, request.index, self._form(history).columns, shares, levels)

    def sample(
        self, X: Any = None, n: int = 100, *, history: Any = None, history_X: Any = None, random_state: Any = None
    ) -> pd.DataFrame:
        """Possible futures, joint over the steps of each block of `horizon`.

        A past forecast is drawn at random and the ranks of its errors, step by step, are put into the distribution that
        is forecast now (the Schaake shuffle; Clark et al. 2004): paths keep the way errors persist. A history too short
        for past forecasts gives ranks that persist as a first-order autoregression instead.

        Parameters
        ----------
        X, history, history_X
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
        panel, request = self._asked(X, history, history_X)
        answers = self._rows(panel, request)
        ahead = request.positions - panel.lengths[request.series]
        ranks = drawn_ranks(error_ranks(self._forecast, self.panel_, self.horizon_), ahead, n, random_state)
        paths = _quantiles.draws(answers[..., 1:], self.levels_, ranks)
        return _quantiles.quantile_frame(
            np.moveaxis(paths, 0, -1), request.index, self._form(history).columns, range(n)
        ).rename_axis(columns=["variable", "path"])

    @available_if(_has_components)
    def predict_components(self, X: Any = None, *, history: Any = None, history_X: Any = None) -> pd.DataFrame:
        """The parts that the forecast is the sum of.

        Parameters
        ----------
        X, history, history_X
            As in `predict`.

        Returns
        -------
        DataFrame
            Columns (variable, component).
        """
        panel, request = self._asked(X, history, history_X)
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

    def predict_cutoffs(self, y: Any, cutoffs: np.ndarray, X: Any = None) -> np.ndarray:
        """Forecasts of `horizon` steps from many places of a history at once, with the fitted weights.

        Parameters
        ----------
        y : Series, DataFrame or array
            The history; rows after a cut-off are not read for it.
        cutoffs : int array of shape (n, 2)
            Series and step of the first value to forecast.
        X : DataFrame or array, optional
            Covariates beside y.

        Returns
        -------
        float array of shape (n, horizon, n_channels, 1 + n_levels)
            The point forecast, then the quantiles at ``levels_``.
        """
        check_is_fitted(self)
        panel = self._read_rows(y, X, "y", "X")
        cutoffs = checked_cutoffs(cutoffs, panel)
        none = np.empty((0, self.horizon_, panel.n_channels, 1 + len(self.levels_)))
        return self._forecast(panel, cutoffs) if len(cutoffs) else none

    def update(self, X: Any, y: Any = None, *, past: Any = None) -> Self:
        """Append observed rows to the history without learning from them.

        Parameters
        ----------
        X, y, past
            As in `fit`: the rows that follow the history, for all series or some of them.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the rows do not begin where the history ends.
        """
        check_is_fitted(self)
        where = "X" if y is None else "y"
        if self.targets_itself_ and y is not None:
            raise ValueError("y: not expected, since fit was given X alone. Call update(rows) as fit was called.")
        if not self.targets_itself_ and y is None:
            raise ValueError("y: missing. This forecaster was fitted with X and y: call update(X_new, y_new).")
        target = like_fitted(self, X if y is None else y, where=where)
        covariates = None if y is None else checked_covariates(self, X, reset=False)
        index = common_index(target, covariates, past, where=where)
        rows = target if index is None else pd.DataFrame(index=index)
        request = read_request(rows, None, self.panel_, self.horizon_)
        blocks = {"values": to_numbers(target, where=where)}
        if self.panel_.n_covariates:
            blocks["covariates"] = to_numbers(covariates, where="X")
        blocks |= past_block(self.panel_, past)
        self._remember(appended(self.panel_, request, blocks, where=where))
        return self

    def _lend(self, member: "BaseForecaster", *names: str) -> None:
        """Give a member these parameters, if it has them, and what checking the arguments has set."""
        member.set_params(**{name: getattr(self, name) for name in names if name in member.get_params()})
        member._check_parameters()
        for name in _KEPT:
            if hasattr(self, name):
                setattr(member, name, getattr(self, name))

    def _remember(self, panel: Panel) -> None:
        """Take a longer history for the known one."""
        self.panel_ = panel

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
            common_index(target, X, where=where)
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

    def _asked(self, X: Any, history: Any, history_X: Any) -> tuple[Panel, Request]:
        panel = self._known(history, history_X)
        X = plain_request(X)
        covariates = read_predict(self, X)
        return panel, read_request(X, covariates, panel, self.horizon_)

    def _known(self, history: Any, history_X: Any) -> Panel:
        check_is_fitted(self)
        return self.panel_ if history is None else check_observed(self._read_rows(history, history_X), self.panel_)

    def _read_rows(self, y: Any, X: Any, where: str = "history", where_X: str = "history_X") -> Panel:
        """Rows of another history, whatever they hold; errors call the arguments as told."""
        return read_history(self, y, X, where, where_X)

    def _form(self, history: Any) -> Form:  # noqa: ARG002 - for those that take histories of any form
        """The container of an answer."""
        return self.form_

    def _rows(self, panel: Panel, request: Request) -> np.ndarray:
        return forecast_rows(self._forecast, panel, request, self.horizon_)

    def _check_parameters(self) -> None:
        check_whole(self, "horizon")
        check_whole(self, "season", auto=True)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.target_tags.required = False
        tags.target_tags.multi_output = True
        # The conformance checks' rows are draws in no order of time: there is nothing a forecast could know of them.
        tags.regressor_tags.poor_score = True
        return tags
