"""The forecasting task for torch modules: units, windows, training with a held-out tail, refit, and batched inference.

A family gives ``_build(n_features, generator)``, a module with the seam of `tsrec.training.train` and

- ``forward(context (B, L), mask, future, variable, static) -> (point (B, H), quantiles (B, H, Q))``;
- ``components`` of the same arguments ``-> {name: (B, H)}``, and ``embed(context, mask, variable) -> (B, d)``.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, Self, cast

import numpy as np
import pandas as pd
import torch
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from tsrec.estimators._calendar import Calendar
from tsrec.estimators._callbacks import CallbackSupportMixin, with_callbacks
from tsrec.estimators._covariates import fit_effect, fit_scale
from tsrec.estimators._forecast_stream import ForecastStream
from tsrec.estimators._forecaster import BaseForecaster
from tsrec.estimators._learning import Learner
from tsrec.estimators._parameters import check_positive, check_verbose, check_whole
from tsrec.estimators._static import described
from tsrec.estimators._torch_inference import LARGEST_FEATURE, TorchInference, Windows
from tsrec.estimators._training_windows import WindowTable, window_table
from tsrec.estimators._units import measure
from tsrec.estimators._window_weights import counted, target_weights, window_weights, with_mean_one
from tsrec.frames import Panel, variable_names
from tsrec.layers.beside import Sizes
from tsrec.layers.ensemble import mean_of
from tsrec.training import make_generator, resolve_device, single_thread, with_weights

FEATURES = ("calendar", "id")


def listed(features: str | Sequence[str] | None) -> tuple[str, ...]:
    """The parameter of this name as a tuple."""
    return () if features is None else (features,) if isinstance(features, str) else tuple(features)


def _is_fitted(forecaster: "TorchForecaster") -> bool:
    check_is_fitted(forecaster)
    return True


def _is_told(forecaster: "TorchForecaster") -> bool:
    check_is_fitted(forecaster)
    return forecaster.n_static_ > 0


class TorchForecaster(TorchInference, CallbackSupportMixin, BaseForecaster):
    """Base of the forecasters that are torch modules; see the module's docstring for what a family adds."""

    USES = ("past", "static", "sample_weight")
    context: int | str
    max_epochs: int | str
    n_members: int | str
    recent: int | str | None
    learning_rate: float
    device: Any
    random_state: Any
    verbose: int
    max_epochs_: int
    n_members_: int
    recent_: int | None

    def _build(self, n_features: int, generator: torch.Generator) -> nn.Module:
        raise NotImplementedError

    def __sklearn_is_fitted__(self) -> bool:
        """Whether there is a module to ask: a fit that was stopped before its closed form was solved leaves none."""
        return hasattr(self, "module_")

    def fit(self, X: Any, y: Any = None, *, past: Any = None, static: Any = None, sample_weight: Any = None) -> Self:
        """Learn from a history.

        Parameters
        ----------
        X, y
            As every forecaster takes them.
        past : DataFrame or Series, optional
            Covariates known up to the cut-off only, on the index of y.
        static : DataFrame, Series or array, optional
            A row per series: numbers, or categories.
        sample_weight : Series or array, optional
            How much each row of y counts where it is forecast, or a Series with a number per series. A window counts
            by the mean of the rows it is to forecast; rows of weight 0 are as good as missing while learning.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            As every forecaster; also where weights are negative, or not one per row or series.
        """
        return self._fit_rows(X, y, past, static, sample_weight)

    @with_callbacks
    def _fit_panel(self, panel: Panel) -> None:
        device = resolve_device(self.device)
        generator = make_generator(self.random_state)
        whole, panel = panel, counted(panel)
        self.features_ = listed(self.features)
        self.n_static_, self.n_past_ = self._n_static(panel), panel.past.shape[1]
        self.units_ = measure(panel, whole)
        self.n_names_ = panel.n_series * panel.n_channels if "id" in self._features() else 0
        known, clock = self._known_rows(panel)
        self.n_features_ = known.shape[1]
        self._choose(panel)
        values = self.units_.of_rows(panel)
        features, begin = None, np.repeat(panel.offsets[:-1], panel.lengths)
        if self.n_features_:
            self.effect_ = fit_effect(values, panel, known, clock, self.season_)
            known = self.effect_.standardised(known, begin)
            values = values - (known @ self.effect_.weight)[clock]
            features = known.clip(-LARGEST_FEATURE, LARGEST_FEATURE)
        past = None
        if self.n_past_:
            self.past_scale_ = fit_scale(panel.past, panel)
            past = self.past_scale_.standardised(panel.past, begin).clip(-LARGEST_FEATURE, LARGEST_FEATURE)
        weighs = self._weighing() is not None or panel.weight is not None
        beside = {"features": features, "clock": clock, "past": past}
        table = self._table(panel, values, beside, partial(self._weights, panel) if weighs else None, generator)
        context = self._init_callback_context(max_subtasks=None)
        if context is not None:
            context.call_on_fit_task_begin(estimator=self)
        learner = Learner(self, table, generator, device, context)
        try:
            with single_thread(device.type == "cpu"):
                learner.run()
        finally:
            self.history_ = learner.history()
        if context is not None:
            context.call_on_fit_task_end(estimator=self)

    def _table(
        self,
        panel: Panel,
        values: np.ndarray,
        beside: dict[str, Any],
        weights: Any,
        generator: torch.Generator,  # noqa: ARG002 - for those that draw
    ) -> WindowTable:
        """The windows to learn from; `generator` draws where some of them are chosen."""
        options: dict[str, Any] = {"recent": self.recent_, "weights": weights, "static": self._static(panel)}
        return window_table(panel, values, self.context_, self.horizon_, **beside, **options, names=self.n_names_ > 0)

    def _known_rows(self, panel: Panel) -> tuple[np.ndarray, np.ndarray]:
        """Covariates and the calendar's features (n_known, n_features), and which of these each row has."""
        own = np.arange(len(panel.values))
        if "calendar" not in self._features():
            return panel.covariates, own
        dates = Calendar.of(panel, 0, 0)
        clock = dates.rows(panel.ordinals())
        if not panel.n_covariates:
            return dates.flat, clock
        return np.hstack([panel.covariates, dates.flat[clock]]), own

    def _sizes(self) -> Sizes:
        """What the module is told beside windows."""
        return Sizes(self.n_static_, self.n_past_, self.n_names_)

    def _rows_read(self, panel: Panel) -> int:  # noqa: ARG002 - for those that count in other steps
        """Rows before a cut-off that its forecast depends on."""
        return self.context_

    def _prepared(self, panel: Panel, cutoffs: np.ndarray) -> tuple[Panel, np.ndarray]:
        """A panel and cut-offs as the module's windows see them."""
        return panel, cutoffs

    def _choose(self, panel: Panel) -> None:
        """Settle what the parameters leave open: ``context_``, ``max_epochs_``, ``n_members_``, ``recent_``."""
        raise NotImplementedError

    def _prior_maps(self) -> list[Tensor]:
        """Linear maps (L, H), float64, that one may be shrunk to beside those that seasons suggest."""
        return []

    def _weighing(self) -> str | None:
        """The measure by which windows are weighed; None: all count the same."""
        return None

    def _weights(self, panel: Panel, rows: np.ndarray) -> np.ndarray:
        """What an error in units of a series costs, for windows that end at these rows, (n, n_channels)."""
        judged_by = self._weighing()
        weight = np.ones((len(rows), panel.n_channels))
        if judged_by is not None:
            weight = window_weights(panel, judged_by, rows, season=self.season_, horizon=self.horizon_)
            weight = weight * self.units_.spread[np.searchsorted(panel.offsets, rows, side="right") - 1]
        if panel.weight is not None:
            weight = weight * target_weights(panel, rows, self.horizon_)[:, None]
        return with_mean_one(weight)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_whole(self, "context", auto=True)
        check_whole(self, "max_epochs", least=0, auto=True)
        check_whole(self, "n_members", auto=True)
        check_verbose(self)
        if self.recent is not None:
            check_whole(self, "recent", auto=True)
        unknown = [one for one in listed(self.features) if one not in FEATURES]
        if unknown:
            raise ValueError(f"features: found {unknown[0]!r}. Give some of {FEATURES}, or None.")
        check_positive(self, "learning_rate")

    def _restore_module(self, weights: dict[str, np.ndarray]) -> None:
        """Build the module again and give it saved weights."""
        module = mean_of([self._build(self.n_features_, torch.Generator()) for _ in range(self.n_members_)])
        self.module_ = with_weights(module, weights)

    def _forecast(self, panel: Panel, cutoffs: np.ndarray) -> np.ndarray:
        def answer(windows: Windows) -> Tensor:
            point, quantiles = self.module_(*windows.inputs)
            return torch.cat([point[..., None], quantiles], dim=-1)

        return self._in_data_units(panel, cutoffs, answer)

    def _components(self, panel: Panel, cutoffs: np.ndarray) -> dict[str, np.ndarray]:
        names: list[str] = []

        def answer(windows: Windows) -> Tensor:
            parts = self.module_.components(*windows.inputs)  # type: ignore[operator]
            names[:] = parts
            return torch.stack(list(parts.values()), dim=-1)

        found: list[np.ndarray] = []
        for windows, values in self._run(panel, cutoffs, answer):
            values *= windows.spread[:, None, :, None]
            values[..., 0] += windows.center[:, None]
            effect = np.broadcast_to(windows.effect * windows.spread[:, None], values.shape[:-1])
            found.append(np.concatenate([values, effect[..., None]], axis=-1) if self.n_features_ else values)
        if self.n_features_:
            names.append("covariate effect")
        stacked = np.concatenate(found)
        return {name: stacked[..., i] for i, name in enumerate(names)}

    @available_if(_is_fitted)
    def transform(
        self, X: Any = None, *, history: Any = None, history_X: Any = None, history_past: Any = None
    ) -> pd.DataFrame:
        """Embed the latest context of each series: a row per series.

        Parameters
        ----------
        X : ignored
            Rows to forecast do not change what the history is; it is there for pipelines.
        history, history_X, history_past
            As in `predict`.

        Returns
        -------
        DataFrame of shape (n_series, n_channels * d)
            Indexed by the names of the series; columns (variable, dimension).
        """
        given = history, history_X, history_past
        panel = self._told(*given) if X is None else self._asked(X, *given)[0]
        cutoffs = np.stack([np.arange(panel.n_series), panel.lengths], axis=1)
        pieces, module = [], cast("Any", self.module_)
        there = self._prepared(panel, cutoffs)
        for _, values in self._run(*there, lambda w: module.embed(w.context, w.mask, w.variable)):
            pieces.append(np.moveaxis(values, 1, 2))
        rows = np.concatenate(pieces)
        names = pd.MultiIndex.from_product(
            [variable_names(self._form(history).columns), range(rows.shape[2])], names=["variable", "dimension"]
        )
        return pd.DataFrame(rows.reshape(len(rows), -1), index=panel.labels, columns=names)

    @available_if(_is_told)
    def describe(self, static: Any) -> Self:
        """Tell of series that are not in the history, before they are forecast with ``predict(history=...)``.

        What was said before of other series still holds; fit forgets it.

        Parameters
        ----------
        static : DataFrame or Series
            As in `fit`, indexed by the names of the series.

        Returns
        -------
        self
        """
        self._be_told(described(self, static))
        return self

    def _be_told(self, static: pd.DataFrame) -> None:
        before = getattr(self, "described_", None)
        # Names of another depth belong to other panels: they are said anew.
        if before is not None and before.index.nlevels == static.index.nlevels:
            static = pd.concat([before[~before.index.isin(static.index)], static])
        self.described_ = static

    def stream(self, history: Any = None) -> ForecastStream:
        """Forecast while observations come in, in constant memory and time per push.

        Parameters
        ----------
        history : Series, DataFrame or array, optional
            Rows so far, or ``state()`` of an earlier stream; no rows when omitted.

        Returns
        -------
        ForecastStream
            Its ``push(rows)`` gives what ``predict(history=...)`` gives for all rows so far.

        Raises
        ------
        ValueError
            If the forecaster was fitted with covariates.
        """
        check_is_fitted(self)
        if self.panel_.n_covariates or self.n_past_:
            raise ValueError(
                "stream: the forecaster was fitted with covariates, whose rows must be given each time. Use "
                "predict(X, history=rows, history_X=known)."
            )
        return ForecastStream(self, history)
