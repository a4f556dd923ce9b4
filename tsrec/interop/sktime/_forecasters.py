"""Forecasters as forecasters of sktime: one model for a panel or hierarchy, several variables at once."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from sktime.forecasting.base import BaseForecaster, ForecastingHorizon

import tsrec
from tsrec.interop.sktime._adapter import Adapter, adapted
from tsrec.interop.sktime._rows import (
    covariate_rows,
    extended,
    frames,
    matching,
    panel_until,
    shift_of,
    shifted,
    wanted_index,
)

_MTYPES = ["pd.DataFrame", "pd-multiindex", "pd_multiindex_hier"]
# sktime's suite fits each many hundred times: closed forms, and networks as they are drawn.
_TINY: dict[str, Any] = {"horizon": 3, "season": 3, "context": 9}
_CLOSED = {**_TINY, "max_epochs": 0, "random_state": 0}
_DRAWN = {**_CLOSED, "d_model": 4, "linear": None, "n_members": 1}
_TRIALS: dict[str, tuple[dict[str, Any], ...]] = {
    "AutoForecaster": ({"horizon": 6, "season": 3, "random_state": 0}, {"horizon": 12, "season": 1, "random_state": 0}),
    "LSSLForecaster": (_CLOSED, {**_DRAWN, "patch": 3, "d_state": 4, "n_layers": 1}),
    "MLPForecaster": (_CLOSED, _DRAWN),
    "MambaForecaster": (_CLOSED, {**_DRAWN, "patch": 3, "d_state": 3}),
    "RetrievalForecaster": ({**_TINY, "k": 4}, {**_TINY, "k": 2, "mix": "gate"}),
    "SeasonalMeanForecaster": (_TINY, {"horizon": 1, "season": 1, "context": 4}),
    "SeasonalNaiveForecaster": ({"horizon": 3, "season": 3}, {"horizon": 1, "season": 1}),
    "TCNCAForecaster": (_CLOSED, {**_DRAWN, "patch": 3, "chunk": 3}),
    "TEMPOForecaster": (_CLOSED, {**_DRAWN, "patch": 3, "d_head": 2, "n_layers": 1}),
    "StatsForecaster": ({"model": "theta", "horizon": 3, "season": 3}, {"model": "theta", "horizon": 1, "season": 1}),
    "ThetaForecaster": (_TINY, {"horizon": 1, "season": 1, "theta": 2.0}),
}
# They have no use for covariates.
_BLIND = ("SeasonalMeanForecaster", "SeasonalNaiveForecaster", "StatsForecaster", "ThetaForecaster")
_EXAMPLE = """\
>>> from sktime.datasets import load_airline
>>> forecaster = {make}
>>> forecaster.fit(load_airline()).predict(fh=[1, 2]).index.astype(str).tolist()
['1961-01', '1961-02']"""


class ForecasterAdapter(Adapter, BaseForecaster):
    """A forecaster of sktime that asks one of ours.

    A panel or hierarchy is fitted by one model, and several variables at once. Any `fh` can be forecast, also inside
    the history (from earlier rows only, a horizon at a time); what lies more than `horizon` steps ahead rolls forward.
    Relative steps of a series count on from the last row that fit or the latest update gave of it. X needs a row for
    each step that is forecast, and may have others. ``update(y, X)`` puts rows behind the history and learns from all
    of them again; ``update_params=False`` leaves the weights as they are. The fitted forecaster of this library is
    ``forecaster_``.
    """

    _tags: ClassVar[dict[str, Any]] = {
        "authors": "tsrec developers",
        "maintainers": "tsrec developers",
        "capability:multivariate": True,
        "capability:exogenous": True,
        "capability:insample": True,
        "capability:pred_int": True,
        "capability:pred_int:insample": True,
        "capability:missing_values": True,
        "capability:non_contiguous_X": True,
        "capability:unequal_length": True,
        "capability:update": True,
        "capability:categorical_in_X": False,
        "y_inner_mtype": _MTYPES,
        "X_inner_mtype": _MTYPES,
        "requires-fh-in-fit": False,
        "X-y-must-have-same-index": True,
    }
    # The history is kept once, in the forecaster of ours.
    _config: ClassVar[dict[str, Any]] = {"remember_data": False}

    def __post_init__(self) -> None:
        """Name what sktime names only where it remembers data from the start, and say whether covariates count."""
        self._y = self._X = None
        self.set_tags(**{"capability:exogenous": _reads_covariates(self._unfitted())})

    def _fit(self, y: pd.DataFrame, X: pd.DataFrame | None, fh: ForecastingHorizon | None) -> Self:  # noqa: ARG002
        self._shift = shift_of(y.index)
        y = shifted(y, self._shift)
        X = y[[]] if X is None else matching(shifted(X, self._shift), y.index)
        self.forecaster_ = self._unfitted().fit(X, y)
        self._told_until, self._told_cutoff = self.forecaster_.panel_.ends, self.cutoff
        return self

    def _update(self, y: pd.DataFrame, X: pd.DataFrame | None = None, update_params: bool = True) -> Self:
        own = self.forecaster_
        y = shifted(y, self._shift)
        X = None if X is None else matching(shifted(X, self._shift), y.index)
        panel, reach = extended(own, y, X)
        until = panel.starts + reach * panel.grid.step
        self._told_until, self._told_cutoff = np.where(reach > 0, until, self._told_until), self.cutoff
        if update_params:
            own._learn(panel, own.form_, own.levels_, targets_itself=False)
        else:
            own._remember(panel)
        return self

    def _predict(self, fh: ForecastingHorizon, X: pd.DataFrame | None) -> pd.DataFrame:
        rows, count, known = self._asked(fh, X)
        return shifted(self.forecaster_.predict(rows, **known).iloc[:count], -self._shift)

    def _predict_quantiles(self, fh: ForecastingHorizon, X: pd.DataFrame | None, alpha: list[float]) -> pd.DataFrame:
        rows, count, known = self._asked(fh, X)
        levels = np.unique(alpha)
        return self._spread(self.forecaster_.predict_quantiles(rows, levels, **known).iloc[:count], levels, alpha)

    def _predict_interval(self, fh: ForecastingHorizon, X: pd.DataFrame | None, coverage: list[float]) -> pd.DataFrame:
        rows, count, known = self._asked(fh, X)
        shares = np.unique(coverage)
        found = self.forecaster_.predict_interval(rows, shares, **known).iloc[:count]
        return self._spread(found, shares, coverage, ["lower", "upper"])

    def _spread(self, found: pd.DataFrame, given: np.ndarray, asked: list[float], *bounds: list[str]) -> pd.DataFrame:
        """Columns in the order asked for, without names: ours come ascending, each once, and named."""
        columns = pd.MultiIndex.from_product([self._get_varnames(), asked, *bounds])
        place = np.searchsorted(given, asked)
        values = found.to_numpy().reshape(len(found), -1, len(given), 1 + len(bounds))
        spread = pd.DataFrame(values[:, :, place].reshape(len(found), -1), index=found.index, columns=columns)
        return shifted(spread, -self._shift)

    def _asked(self, fh: ForecastingHorizon, X: pd.DataFrame | None) -> tuple[Any, int, dict[str, pd.DataFrame]]:
        """What ours is asked for, how many rows of its answer, the first ones, sktime is to get, and the history.

        The history is empty where it is all that ours knows. It is not after an update with earlier rows, as sktime
        moves through the past: what lies behind them must not be seen.
        """
        own, ends = self.forecaster_, self._ends()
        panel = panel_until(own.panel_, ends)
        known = {} if panel is own.panel_ else frames(panel, getattr(own, "feature_names_in_", None))
        wanted = wanted_index(panel, ends, fh, self.cutoff, self._shift)
        rows = wanted if X is None else covariate_rows(panel, shifted(X, self._shift), wanted)
        return rows, len(wanted), known

    def _ends(self) -> np.ndarray:
        """The instant after the last row that each series was told of, moved as the cut-off was moved since."""
        grid = self.forecaster_.panel_.grid
        now, then = (grid.encode(one + self._shift if self._shift else one) for one in (self.cutoff, self._told_cutoff))
        return self._told_until + (now - then)


def make(name: str) -> type:
    """The adapter of the forecaster of this name."""
    if name in _COMPOSED:
        call, trials = _COMPOSED[name]
        return adapted(name, ForecasterAdapter, trials(), _EXAMPLE.replace("{make}", call))
    return adapted(name, ForecasterAdapter, _TRIALS[name], _EXAMPLE, {"capability:exogenous": name not in _BLIND})


def _reads_covariates(own: Any) -> bool:
    """Whether one of our forecasters has a use for covariates; some ask others. What is wrong with these fit says."""
    if type(own).__name__ in _BLIND:
        return False
    if hasattr(own, "base"):
        return own.base is not None and _reads_covariates(own.base)
    if hasattr(own, "_given"):
        return any(_reads_covariates(member) for member in own._given().values())
    members = getattr(own, "forecasters", None)
    return not isinstance(members, Mapping) or any(_reads_covariates(member) for member in members.values())


def _decompositions() -> list[dict[str, Any]]:
    """Parameters for tests of forecasters of components."""
    members = {"trend": tsrec.SeasonalNaiveForecaster(season=1), "rest": tsrec.SeasonalMeanForecaster(season=3)}
    shared = {"forecasters": members, "horizon": 3, "season": 3, "context": 9}
    return [{**shared, "decomposition": tsrec.MovingAverage(3)}, {**shared, "decomposition": tsrec.STL(3)}]


def _ensembles() -> list[dict[str, Any]]:
    """Parameters for tests of ensembles."""
    members = {"last": tsrec.SeasonalNaiveForecaster(season=1), "mean": tsrec.SeasonalMeanForecaster(season=3)}
    return [{"forecasters": members, "horizon": 3}, {"forecasters": members, "horizon": 3, "how": "median"}]


def _wrappers() -> list[dict[str, Any]]:
    """Parameters for tests of what is put around one forecaster."""
    return [
        {"forecaster": tsrec.SeasonalNaiveForecaster(season=3), "horizon": 3},
        {"forecaster": tsrec.SeasonalMeanForecaster(season=3, context=9), "horizon": 3},
    ]


# Forecasters made of others: how an example makes one, and parameters for tests.
_COMPOSED: dict[str, tuple[str, Callable[[], list[dict[str, Any]]]]] = {
    "CleanedForecaster": ("CleanedForecaster(horizon=3)", _wrappers),
    "ConformalForecaster": ("ConformalForecaster(horizon=3)", _wrappers),
    "DecompositionForecaster": ("DecompositionForecaster(horizon=3, season=12)", _decompositions),
    "EnsembleForecaster": ("EnsembleForecaster(horizon=3)", _ensembles),
}
