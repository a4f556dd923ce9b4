"""Learning from several sets of different frequency and length at once, and forecasting series that were never seen.

Time is counted in seasons (`tsrec.frames.clock`): every set is brought to the same number of steps per season, and so
is each window before it is forecast. Sets have equal shares in what is learned (Cao et al. 2024, arXiv 2310.04948,
"many to one"), and what has to be chosen is chosen on sets that were held out.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from scipy.sparse import issparse
from scipy.special import ndtri
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from tsrec.estimators import _quantiles
from tsrec.estimators._before import DAYS, Before
from tsrec.estimators._blocks import widened
from tsrec.estimators._direct import SOLVED, DirectFamily
from tsrec.estimators._read import HISTORY, Names
from tsrec.estimators._sets import (
    Sets,
    check_variables,
    factor_of,
    in_seasons,
    joined,
    pace_of,
    read_sets,
    read_unseen,
    warn_of_steps,
)
from tsrec.estimators._training_windows import WindowTable, window_table
from tsrec.frames import Form, Panel, contexts, form_of, origins
from tsrec.frames.clock import filled_front, from_season_steps, season_detail, to_season_steps

# Windows of each set at most, and numbers of contexts brought to seasons at a time.
_WINDOWS, _VALUES = 1 << 14, 2_000_000


class TransferMixin(DirectFamily):
    """What a forecaster needs to learn from several sets, to forecast unseen series, and to go on learning.

    A family names in ``SETTLED`` the fitted attributes that shape its module, which fine-tuning keeps, and in ``FREE``
    the parameters that do not, which may change before it.
    """

    SETTLED: tuple[str, ...] = ("context_", "patch_", "linear_")
    FREE: tuple[str, ...] = ()
    shape_: dict[str, Any]
    set_seasons_: dict[str, int]
    paces_: tuple[str, ...]
    season_steps_: int | None
    _before: "Before | None" = None
    _sets: "Sets | None" = None
    _own_pace: str = "none"

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        past: Any = None,
        static: Any = None,
        sample_weight: Any = None,
        warm_start: bool = False,
    ) -> Self:
        """Learn from a history, or from several sets at once.

        Parameters
        ----------
        X : DataFrame, Series, array, or mapping of str to them
            As every forecaster takes it; or sets of any frequencies and lengths, by name, without covariates. A
            forecaster that learned from sets forecasts any history: ``predict(history=...)``.
        y : Series, DataFrame or array, optional
            As every forecaster takes it.
        past, static, sample_weight
            As every network takes them; not beside several sets.
        warm_start : bool, default False
            Go on from the weights of the last fit: fine-tuning. The linear map is shrunk to the one before.

        Returns
        -------
        self
        """
        if not isinstance(warm_start, bool | np.bool_):
            raise ValueError(f"warm_start: found {warm_start!r}. Give True or False.")
        kept = dict(vars(self))
        self._before, self._sets = Before.of(self) if warm_start else None, None
        try:
            if self._before is not None:
                self._before.check(self._shape())
            # Some sparse arrays are dicts.
            if isinstance(X, Mapping) and not issparse(X):
                return self._fit_sets(X, y=y, past=past, static=static, sample_weight=sample_weight)
            return super().fit(X, y, past=past, static=static, sample_weight=sample_weight)
        except Exception:
            if self._before is not None:
                # What was learned before is not lost.
                self.__dict__ = kept
            raise
        finally:
            self._before = self._sets = None

    def _shape(self) -> dict[str, Any]:
        """Parameters that shape the module."""
        return {name: value for name, value in self.get_params(deep=False).items() if name not in self.FREE}

    def _fit_sets(self, X: Mapping[Any, Any], **others: Any) -> Self:
        for name, given in others.items():
            if given is not None:
                raise ValueError(f"{name}: not expected beside several sets. Put what is to be forecast into X.")
        self._check_parameters()
        levels = _quantiles.check_levels(self.quantiles, "quantiles", least=2)
        steps = None if self._before is None else self._before.season_steps
        self._sets = read_sets(X, self.season, self.freq, steps)
        for name in [one for one in ("n_features_in_", "feature_names_in_") if hasattr(self, one)]:
            delattr(self, name)
        self._learn(self._sets.panel, Form("frame", pd.RangeIndex(1)), levels, targets_itself=True)
        return self

    def _fit_panel(self, panel: Panel) -> None:
        if self._sets is not None:
            self.set_seasons_, self.paces_ = self._sets.seasons, self._sets.paces
            self.season_steps_ = self._sets.steps
        else:
            self.season_steps_ = None if self._before is None else self._before.season_steps
        self.shape_, self._own_pace, season = self._shape(), pace_of(panel), self.season_
        # Learning sees time as the module does; the history, and its season, stay as they were given.
        if self.season_steps_ is not None:
            self.season_ = self.season_steps_
        if self._sets is None:
            self.panel_ = self._counted(panel)
        try:
            super()._fit_panel(self.panel_)
        finally:
            self.panel_ = panel
            self.season_ = season if self._sets is None else self.season_

    def _counted(self, panel: Panel) -> Panel:
        """A history in the module's steps."""
        if self._before is not None:
            warn_of_steps(panel, self._before.paces, self.season_steps_ or 1, "X")
        factor = self._factor(panel)
        for name, block in (("X", panel.covariates), ("past", panel.past)):
            if factor != 1 and block.shape[1]:
                raise ValueError(
                    f"{name}: found {block.shape[1]} covariate columns. What was learned from sets counts time in "
                    f"seasons, {factor:g} steps of y for one of its own, and cannot use them. Leave them out, or fit "
                    "anew."
                )
        return in_seasons(panel, factor)

    def _choose(self, panel: Panel) -> None:
        super()._choose(panel)
        if self._before is not None:
            for name, value in self._before.settled.items():
                setattr(self, name, value)
            if self.linear_ == "structural":
                # Others than days have maps alone; the next fit may be of days again.
                expected = self._sets is not None or (self._own_pace == DAYS and self._before.expects(DAYS))
                self.linear_ = "structural" if expected and self._has_days() else "ridge"
        if self._sets is not None:
            self._choose_maps()

    def _choose_maps(self) -> None:
        """A linear map for each kind of frequency, and that of all for kinds to come; days have a structural model."""
        days = DAYS in self.paces_ and self._has_days()
        if self.linear == "structural" and not days:
            raise ValueError(
                f"linear='structural' expects a set with days, found {list(self.paces_)} with a season of "
                f"{self.day_} steps and a context of {self.context_}. Use 'ridge', or give such a set and more context."
            )
        if self.linear == "auto" and self.linear_ in SOLVED:
            self.linear_ = "structural" if days else "ridge"
        several = len(self.paces_) > 1 and self.linear_ in SOLVED
        self.maps_ = len(self.paces_) + 1 if several else 1

    def _undecided(self) -> bool:
        return super()._undecided() and self._before is None and self._sets is None

    def _expecting(self) -> tuple[bool, ...] | None:
        if not hasattr(self, "set_seasons_") or self.maps_ == 1:
            return None
        return (*(pace == DAYS for pace in self.paces_), False)

    def _build(self, n_features: int, generator: torch.Generator) -> nn.Module:
        module = super()._build(n_features, generator)
        before = self._before
        if before is None:
            return module
        learned = {name for name, _ in module.named_parameters() if not name.startswith("covariate_net")}
        kept = {name: tensor for name, tensor in before.weights.items() if name in learned}
        module.load_state_dict(kept, strict=False)
        return module

    def _prior_maps(self) -> list[Tensor]:
        found = None if self._before is None else self._before.map_of(self._own_pace, self.linear_)
        return [] if found is None else [found.double()]

    def _n_static(self, panel: Panel) -> int:
        return 0 if hasattr(self, "set_seasons_") else super()._n_static(panel)

    def _table(
        self, panel: Panel, values: np.ndarray, beside: dict[str, Any], weights: Any, generator: Any
    ) -> WindowTable:
        if self._sets is None:
            return super()._table(panel, values, beside, weights, generator)
        groups = self._sets.groups
        options = {"recent": self.recent_, "weights": weights, "groups": groups, "most": _WINDOWS}
        table = window_table(panel, values, self.context_, self.horizon_, **options)
        table.windows.variable = torch.from_numpy(panel.static[table.series.numpy(), 0].astype(np.int64))
        return table.seeing_enough().balanced(torch.from_numpy(groups), generator)

    def _apart(self) -> bool:
        return hasattr(self, "set_seasons_")

    def _variable(self, panel: Panel, series: np.ndarray) -> Tensor:
        if not hasattr(self, "set_seasons_") or self.maps_ == 1:
            return super()._variable(panel, series)
        of_pace = np.full(panel.n_series, self._pace(panel)) if not panel.static.shape[1] else panel.static[:, 0]
        return torch.from_numpy(of_pace[series].astype(np.int64)).repeat_interleave(panel.n_channels)

    def _pace(self, panel: Panel) -> int:
        """Number of a panel's kind of frequency; one more than the last for one that was never seen."""
        pace = pace_of(panel)
        return self.paces_.index(pace) if pace in self.paces_ else len(self.paces_)

    def _known(self, history: Any, history_X: Any = None, history_past: Any = None) -> Panel:
        if not hasattr(self, "set_seasons_"):
            return super()._known(history, history_X, history_past)
        check_is_fitted(self)
        if history is None:
            raise ValueError(
                "history: missing. This forecaster learned from several sets and has no history of its own: give the "
                "rows to go on from, predict(history=rows)."
            )
        return check_variables(self._read_rows(history, history_X, history_past))

    def _read_rows(self, y: Any, X: Any = None, past: Any = None, names: Names = HISTORY) -> Panel:
        if not hasattr(self, "set_seasons_"):
            return super()._read_rows(y, X, past, names)
        for given, name in ((X, names.X), (past, names.past)):
            if given is not None:
                raise ValueError(f"{name}: not expected, the sets had no covariates. Leave it out.")
        return read_unseen(y, self.freq, self.paces_, self.season_steps_ or 1, names.y)

    def update(self, X: Any, y: Any = None, *, past: Any = None) -> Self:
        """Append observed rows to the history; see `BaseForecaster.update`."""
        self._require_history("update")
        return super().update(X, y, past=past)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Coefficient of determination of the forecasts of X; see `BaseForecaster.score`."""
        self._require_history("score")
        return super().score(X, y, sample_weight)

    def stream(self, history: Any = None) -> Any:
        """Forecast while observations come in; see `TorchForecaster.stream`."""
        self._require_history("stream")
        return super().stream(history)

    def _require_history(self, what: str) -> None:
        if hasattr(self, "set_seasons_"):
            raise ValueError(
                f"{what}: this forecaster learned from several sets and has no history of its own. Use "
                "predict(history=rows), or make the rows its history with fit(rows, warm_start=True)."
            )

    def _form(self, history: Any) -> Form:
        return form_of(history) if hasattr(self, "set_seasons_") else super()._form(history)

    def _factor(self, panel: Panel) -> float:
        """Steps of a panel's series that are one of the module's."""
        if self.season_steps_ is None or not panel.grid.has_time:
            return 1.0
        return factor_of(panel.grid.season or 1, self.season_steps_)

    def _rows_read(self, panel: Panel) -> int:
        return int(np.ceil(self.context_ * self._factor(panel)))

    def _seen(self, panel: Panel, cutoffs: np.ndarray) -> np.ndarray:
        """Rows before cut-offs that are read, (n, rows, n_channels)."""
        return contexts(panel.values, origins(panel.offsets, *cutoffs.T), self._rows_read(panel))

    def _prepared(self, panel: Panel, cutoffs: np.ndarray) -> tuple[Panel, np.ndarray]:
        if self._factor(panel) == 1:
            return panel, cutoffs
        return self._in_module(panel, cutoffs, self._seen(panel, cutoffs))

    def _in_module(self, panel: Panel, cutoffs: np.ndarray, window: np.ndarray) -> tuple[Panel, np.ndarray]:
        """Windows in the module's steps, as series of a panel, and their ends as cut-offs."""
        values = to_season_steps(window, self.context_, self._factor(panel))
        ends = np.stack([np.arange(len(values)), np.full(len(values), self.context_)], axis=1)
        told = panel.static[cutoffs[:, 0]] if panel.static.shape[1] else panel.static
        if hasattr(self, "paces_"):
            told = np.full((len(values), 1), float(self._pace(panel)))
        names = None if panel.ids is None else panel.ids[cutoffs[:, 0]]
        return replace(joined(list(values), panel.columns, names), static=told), ends

    def _filled(self, window: np.ndarray) -> np.ndarray:
        """Short histories are taken to have begun as they went on: the map learned from windows that saw enough."""
        return super()._filled(window) if self.season_steps_ is None else filled_front(window, self.season_steps_)

    def _forecast(self, panel: Panel, cutoffs: np.ndarray) -> np.ndarray:
        if self._factor(panel) == 1:
            return super()._forecast(panel, cutoffs)
        return self._through_seasons(panel, cutoffs, super()._forecast)

    def _components(self, panel: Panel, cutoffs: np.ndarray) -> dict[str, np.ndarray]:
        if self._factor(panel) == 1:
            return super()._components(panel, cutoffs)
        names: list[str] = []

        def stacked(own: Panel, ends: np.ndarray) -> np.ndarray:
            found = super(TransferMixin, self)._components(own, ends)
            names[:] = found
            parts = np.stack(list(found.values()), axis=-1)
            return np.concatenate([parts.sum(axis=-1, keepdims=True), parts], axis=-1)

        values = self._through_seasons(panel, cutoffs, stacked, parts=True)[..., 1:]
        return {name: values[..., number] for number, name in enumerate(names)}

    def _through_seasons(self, panel: Panel, cutoffs: np.ndarray, forecast: Any, *, parts: bool = False) -> np.ndarray:
        """Answers for cut-offs of series whose steps are others than the module's; the first answer is the point."""
        size = max(_VALUES // max(self._rows_read(panel) * panel.n_channels, 1), 1)
        pieces = [cutoffs[at : at + size] for at in range(0, len(cutoffs), size)]
        return np.concatenate([self._of_seasons(panel, piece, forecast, parts) for piece in pieces])

    def _of_seasons(self, panel: Panel, cutoffs: np.ndarray, forecast: Any, parts: bool) -> np.ndarray:
        factor, horizon = self._factor(panel), self.horizon_
        window = self._seen(panel, cutoffs)
        own, ends = self._in_module(panel, cutoffs, window)
        # One stretch more, if there is one, to draw the last line to.
        answers = _rolled(own, ends, forecast, int(np.ceil(horizon / factor)) + 1, widen=not parts)
        before = own.values.reshape(len(cutoffs), -1, panel.n_channels)[:, -1, :, None]
        detail, noise = season_detail(window, int(panel.grid.season or 1), horizon, factor)
        point = from_season_steps(answers[..., :1], horizon, factor, before=before) + detail[..., None]
        if parts:
            others = from_season_steps(answers[..., 2:], horizon, factor)
            # Of components the season has the detail, and the first what the last stretch says of the whole.
            others[..., :1] += detail[..., None]
            return np.concatenate([point, point - others.sum(axis=-1, keepdims=True), others], axis=-1)
        away = from_season_steps(answers[..., 1:] - answers[..., :1], horizon, factor, hold=True)
        # Means over stretches vary less than single steps do.
        single = noise[:, None, :, None] * ndtri(self.levels_)
        return np.concatenate([point, point + np.sign(single) * np.hypot(away, single) + away * (single == 0)], axis=-1)


def _rolled(panel: Panel, ends: np.ndarray, forecast: Any, steps: int, *, widen: bool) -> np.ndarray:
    """Answers for so many steps from the ends of series, block after block where one is not enough."""
    length = int(panel.lengths[0])
    found: list[np.ndarray] = []
    while sum(one.shape[1] for one in found) < steps:
        answers = forecast(panel, ends)
        if widen and found:
            answers = widened(answers, found[-1][:, -1:, :, 1:] - found[-1][:, -1:, :, :1])
        found.append(answers)
        series = panel.values.reshape(panel.n_series, length, -1)
        longer = np.concatenate([series, answers[..., 0]], axis=1)[:, -length:]
        panel = replace(panel, values=longer.reshape(-1, longer.shape[2]))
    return np.concatenate(found, axis=1)
