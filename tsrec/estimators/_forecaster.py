"""The forecasting task: everything a forecaster does that needs no knowledge of its model.

A model fills in ``_fit_panel(panel)`` and ``_forecast(panel, cutoffs)``; frames, indexes, blocks, quantiles, updates
and other histories are dealt with here, once.
"""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from tsrec.estimators import _quantiles
from tsrec.estimators._answers import Answers
from tsrec.estimators._parameters import check_whole
from tsrec.estimators._read import (
    GIVEN,
    checked_covariates,
    common_index,
    like_fitted,
    like_past,
    read_fit,
    warn_of_no_past,
)
from tsrec.estimators._request import read_request
from tsrec.estimators._update import appended
from tsrec.frames import Form, Panel, to_numbers
from tsrec.frames.season import choose_season
from tsrec.frames.warn import warn_user

# Fitted attributes that checking the arguments has just set; all others are of an earlier fit.
_KEPT = ("n_features_in_", "feature_names_in_", "past_columns_", "static_coding_")
# What to do where something is given that is not learned from.
_HINTS = {
    "past": "Columns whose future is known belong in X.",
    "static": "LSSLForecaster uses it.",
    "sample_weight": "LSSLForecaster uses it.",
}


class BaseForecaster(Answers, RegressorMixin, BaseEstimator):
    """A scikit-learn regressor whose rows are time steps.

    Subclasses have the parameters ``horizon``, ``season``, ``freq`` and ``quantiles`` and the two hooks

    - ``_fit_panel(panel)``: learn from a `Panel`;
    - ``_forecast(panel, cutoffs)``: forecast the ``horizon`` steps from each cut-off, a row (series, step inside the
      series) of an int array of shape (n, 2), as a float array of shape (n, horizon, n_channels, 1 + n_levels): the
      point forecast, then the quantiles at ``levels_``. Values may be read before the cut-off only, covariates also
      beside the steps to forecast. The cut-off may lie before the first row: there is no history at all then.

    ``_components(panel, cutoffs)``, if there is one, gives named parts of the point forecast that sum to it.
    """

    # Of "past", "static" and "sample_weight" what it learns from.
    USES: tuple[str, ...] = ()
    horizon: int
    season: int | str
    freq: Any
    quantiles: Sequence[float]

    def _fit_panel(self, panel: Panel) -> None:
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
            Covariates known up to the cut-off only, on the index of y. Networks use them; others warn.
        static : DataFrame, optional
            Covariates of whole series, one row per series. Networks use them; others warn.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            If the index has gaps, repeats or disorder, if indexes differ, or if values are no numbers; the message
            names the argument, what was found and the mend.
        """
        return self._fit_rows(X, y, past, static)

    def _fit_rows(self, X: Any, y: Any, past: Any, static: Any, sample_weight: Any = None) -> Self:
        self._check_parameters()
        levels = self._levels()
        panel, form, coding = read_fit(self, X, y, past, static, sample_weight)
        for name, given in (("past", past), ("static", static), ("sample_weight", sample_weight)):
            if given is not None and not self._uses(name):
                warn_user(f"{name}: checked and kept, but {type(self).__name__} does not use it. {_HINTS[name]}")
        told = {"past_columns_": past.columns if isinstance(past, pd.DataFrame) else None, "static_coding_": coding}
        for name, one in told.items():
            if one is not None:
                setattr(self, name, one)
            elif hasattr(self, name):
                delattr(self, name)
        self._learn(panel, form, levels, targets_itself=y is None)
        return self

    def _uses(self, name: str) -> bool:
        """Whether "past", "static" or "sample_weight" is learned from."""
        return name in self.USES

    def _n_static(self, panel: Panel) -> int:
        """Numbers of whole series that fit was given."""
        return panel.static.shape[1]

    def _be_told(self, static: pd.DataFrame) -> None:
        """Hear numbers of further series, by their names."""

    def _levels(self) -> np.ndarray:
        """Levels of the quantiles, ascending."""
        return _quantiles.check_levels(self.quantiles, "quantiles", least=2)

    def _horizon(self) -> int:
        """Steps of one block of forecasts."""
        return int(self.horizon)

    def _season(self, panel: Panel) -> int:
        """Steps per season."""
        return choose_season(panel) if self.season == "auto" else int(self.season)

    def _freq(self) -> Any:
        """Frequency of the index; None where it is to be read from it."""
        return self.freq

    def _learn(self, panel: Panel, form: Form, levels: np.ndarray, *, targets_itself: bool) -> None:
        """Fit to what has been read and checked."""
        for name in [name for name in vars(self) if name.endswith("_") and name not in _KEPT]:
            delattr(self, name)
        self.targets_itself_ = targets_itself
        self.form_ = form
        self.panel_ = panel
        self.horizon_ = self._horizon()
        self.freq_ = panel.grid.freq
        self.levels_ = levels
        self.season_ = self._season(panel)
        self.trained_ends_ = panel.ends
        self._fit_panel(panel)

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
        names = GIVEN._replace(y=where)
        index = common_index(target, covariates, past, names=names)
        rows = target if index is None else pd.DataFrame(index=index)
        request = read_request(rows, None, self.panel_, self.horizon_)
        blocks = {"values": to_numbers(target, where=where)}
        if self.panel_.n_covariates:
            blocks["covariates"] = to_numbers(covariates, where="X")
        if past is not None:
            blocks["past"] = to_numbers(like_past(self, past, "past"), where="past")
        self._remember(appended(self.panel_, request, blocks, where=where))
        if past is None:
            warn_of_no_past(self, names)
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
