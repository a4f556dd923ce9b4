"""The forecasting task for torch modules: units, windows, training with a held-out tail, refit, and batched inference.

A family gives ``_build(n_features, generator)``, a module with the seam of `tsrec.training.train` and

- ``forward(context (B, L), mask, future, variable, static) -> (point (B, H), quantiles (B, H, Q))``;
- ``components`` of the same arguments ``-> {name: (B, H)}``, and ``embed(context, mask, variable) -> (B, d)``.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd
import torch
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from tsrec.estimators._callbacks import CallbackSupportMixin, with_callbacks
from tsrec.estimators._covariates import CovariateEffect, fit_effect
from tsrec.estimators._forecast_stream import ForecastStream
from tsrec.estimators._forecaster import BaseForecaster
from tsrec.estimators._learning import Learner
from tsrec.estimators._parameters import check_positive, check_verbose, check_whole
from tsrec.estimators._training_windows import WindowTable, window_table
from tsrec.estimators._units import SeriesUnits, measure
from tsrec.estimators._window_weights import window_weights, with_mean_one
from tsrec.frames import Panel, contexts, origins, variable_names, window_rows
from tsrec.layers.ensemble import mean_of
from tsrec.training import make_generator, resolve_device, single_thread, with_weights

# Windows in every batch of inference: always as many, so that an answer does not depend on its neighbours.
_INFERENCE_BATCH = 256
# What a module is given, in this order.
_INPUTS = ("context", "mask", "future", "variable", "static")
# What a network sees of a covariate, in spreads: far outside its training range it would answer anything.
_LARGEST_FEATURE = 5.0


def _is_fitted(forecaster: "TorchForecaster") -> bool:
    check_is_fitted(forecaster)
    return True


class _Windows(NamedTuple):
    """Contexts of some cut-offs, a row per cut-off and channel, and what turns answers back into data units."""

    n_cutoffs: int
    context: Tensor
    mask: Tensor
    future: Tensor | None
    variable: Tensor
    static: Tensor | None
    center: np.ndarray
    spread: np.ndarray
    effect: np.ndarray | float

    @property
    def inputs(self) -> tuple[Tensor | None, ...]:
        """What the module is given."""
        return tuple(getattr(self, name) for name in _INPUTS)


class TorchForecaster(CallbackSupportMixin, BaseForecaster):
    """Base of the forecasters that are torch modules; see the module's docstring for what a family adds."""

    context: int | str
    max_epochs: int | str
    n_members: int | str
    recent: int | str | None
    learning_rate: float
    device: Any
    random_state: Any
    verbose: int
    context_: int
    max_epochs_: int
    n_members_: int
    recent_: int | None
    module_: nn.Module
    units_: SeriesUnits
    effect_: CovariateEffect

    def _build(self, n_features: int, generator: torch.Generator) -> nn.Module:
        raise NotImplementedError

    def __sklearn_is_fitted__(self) -> bool:
        """Whether there is a module to ask: a fit that was stopped before its closed form was solved leaves none."""
        return hasattr(self, "module_")

    @with_callbacks
    def _fit_panel(self, panel: Panel) -> None:
        device = resolve_device(self.device)
        generator = make_generator(self.random_state)
        self._choose(panel)
        self.units_ = measure(panel)
        values = self.units_.of_rows(panel)
        features = None
        self.n_features_ = panel.n_covariates
        if panel.n_covariates:
            self.effect_ = fit_effect(values, panel, self.season_)
            known = self.effect_.standardised(panel.covariates, np.repeat(panel.offsets[:-1], panel.lengths))
            values = values - known @ self.effect_.weight
            features = known.clip(-_LARGEST_FEATURE, _LARGEST_FEATURE)
        weights = None if self._weighing() is None else partial(self._weights, panel)
        table = self._table(panel, values, features, weights, generator)
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
        features: np.ndarray | None,
        weights: Any,
        generator: torch.Generator,  # noqa: ARG002 - for those that draw
    ) -> WindowTable:
        """The windows to learn from; `generator` draws where some of them are chosen."""
        options: dict[str, Any] = {"recent": self.recent_, "weights": weights, "static": self._static(panel)}
        return window_table(panel, values, features, self.context_, self.horizon_, **options)

    def _static(self, panel: Panel) -> np.ndarray | None:  # noqa: ARG002 - for those that use it
        """What the module is told of whole series, (n_series, n_static)."""
        return None

    def _variable(self, panel: Panel, series: np.ndarray) -> Tensor:
        """Which linear map windows of these series have, for each channel of each, int64 (n * n_channels,)."""
        return torch.arange(panel.n_channels).repeat(len(series))

    def _rows_read(self, panel: Panel) -> int:  # noqa: ARG002 - for those that count in other steps
        """Rows before a cut-off that its forecast depends on."""
        return self.context_

    def _filled(self, window: np.ndarray) -> np.ndarray:
        """Contexts (n, L, n_channels) with what may stand for rows that are missing."""
        return window

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
        assert judged_by is not None
        weight = window_weights(panel, judged_by, rows, season=self.season_, horizon=self.horizon_)
        return with_mean_one(weight * self.units_.spread[np.searchsorted(panel.offsets, rows, side="right") - 1])

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_whole(self, "context", auto=True)
        check_whole(self, "max_epochs", least=0, auto=True)
        check_whole(self, "n_members", auto=True)
        check_verbose(self)
        if self.recent is not None:
            check_whole(self, "recent", auto=True)
        check_positive(self, "learning_rate")

    def _restore_module(self, weights: dict[str, np.ndarray]) -> None:
        """Build the module again and give it saved weights."""
        module = mean_of([self._build(self.n_features_, torch.Generator()) for _ in range(self.n_members_)])
        self.module_ = with_weights(module, weights)

    def _forecast(self, panel: Panel, cutoffs: np.ndarray) -> np.ndarray:
        def answer(windows: _Windows) -> Tensor:
            point, quantiles = self.module_(*windows.inputs)
            return torch.cat([point[..., None], quantiles], dim=-1)

        return self._in_data_units(panel, cutoffs, answer)

    def _components(self, panel: Panel, cutoffs: np.ndarray) -> dict[str, np.ndarray]:
        names: list[str] = []

        def answer(windows: _Windows) -> Tensor:
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
    def transform(self, X: Any = None, *, history: Any = None, history_X: Any = None) -> pd.DataFrame:
        """Embed the latest context of each series: a row per series.

        Parameters
        ----------
        X : ignored
            Rows to forecast do not change what the history is; it is there for pipelines.
        history, history_X
            As in `predict`.

        Returns
        -------
        DataFrame of shape (n_series, n_channels * d)
            Indexed by the names of the series; columns (variable, dimension).
        """
        panel = self._known(history, history_X) if X is None else self._asked(X, history, history_X)[0]
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
        if self.n_features_:
            raise ValueError(
                "stream: the forecaster was fitted with covariates, whose future rows must be asked for each time. Use "
                "predict(X, history=rows, history_X=known)."
            )
        return ForecastStream(self, history)

    def _in_data_units(self, panel: Panel, cutoffs: np.ndarray, answer: Callable[[_Windows], Tensor]) -> np.ndarray:
        found = []
        for windows, values in self._run(panel, cutoffs, answer):
            values += np.asarray(windows.effect)[..., None]
            values *= windows.spread[:, None, :, None]
            values += windows.center[:, None, :, None]
            found.append(values)
        return np.concatenate(found)

    def _run(
        self, panel: Panel, cutoffs: np.ndarray, answer: Callable[[_Windows], Tensor]
    ) -> Iterator[tuple[_Windows, np.ndarray]]:
        """Answers in the windows' units, float64 of shape (n, steps, n_channels, ...), batch after batch."""
        device = next(iter(self.module_.state_dict().values())).device
        size = max(_INFERENCE_BATCH // panel.n_channels, 1)
        told = self._static(panel)
        with single_thread(device.type == "cpu"), torch.no_grad():
            for at in range(0, len(cutoffs), size):
                windows = self._windows(panel, cutoffs[at : at + size], size, told)
                there: Any = (None if one is None else one.to(device) for one in windows.inputs)
                moved = windows._replace(**dict(zip(_INPUTS, there, strict=True)))
                found = answer(moved).cpu().double().numpy()
                by_channel = found.reshape(size, panel.n_channels, *found.shape[1:])[: windows.n_cutoffs]
                yield windows, np.moveaxis(by_channel, 1, 2).copy()

    def _windows(self, panel: Panel, cutoffs: np.ndarray, size: int, told: np.ndarray | None) -> _Windows:
        """Contexts of up to `size` cut-offs; the last one is repeated until there are as many."""
        count = len(cutoffs)
        padded = cutoffs[np.minimum(np.arange(size), count - 1)]
        place = origins(panel.offsets, padded[:, 0], padded[:, 1])
        window = self._filled(contexts(panel.values, place, self.context_))
        center, spread = self.units_.of_windows(panel, padded[:, 0], window)
        window = (window - center[:, None]) / spread[:, None]
        future: Tensor | None = None
        effect: np.ndarray | float = 0.0
        if self.n_features_:
            rows, owned = window_rows(place, np.arange(-self.context_, self.horizon_))
            covariates = panel.covariates[rows]
            covariates[~owned] = np.nan
            known = self.effect_.standardised(covariates)
            both = known @ self.effect_.weight
            window -= both[:, : self.context_]
            effect = both[:count, self.context_ :]
            features = known[:, self.context_ :].clip(-_LARGEST_FEATURE, _LARGEST_FEATURE)
            future = torch.from_numpy(features).float().repeat_interleave(panel.n_channels, dim=0)
        rows_of = torch.from_numpy(np.swapaxes(window, 1, 2).reshape(-1, self.context_)).float()
        mask = ~rows_of.isnan()
        variable = self._variable(panel, padded[:, 0])
        static = None if told is None else torch.from_numpy(told[padded[:, 0]]).float()
        if static is not None:
            static = static.repeat_interleave(panel.n_channels, dim=0)
        units = center[:count], spread[:count]
        return _Windows(count, rows_of.nan_to_num(0.0), mask, future, variable, static, *units, effect)
