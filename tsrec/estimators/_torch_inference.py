"""How a forecaster's module is asked: windows of a panel in their units, batch after batch of one size."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from tsrec.estimators._calendar import Calendar
from tsrec.estimators._covariates import CovariateEffect, CovariateScale
from tsrec.estimators._static import told_of
from tsrec.estimators._units import SeriesUnits
from tsrec.frames import Origins, Panel, contexts, origins, window_rows
from tsrec.training import single_thread

# Windows in every batch of inference: always as many, so that an answer does not depend on its neighbours.
_INFERENCE_BATCH = 256
# What a module is given, in this order.
_INPUTS = ("context", "mask", "future", "variable", "static", "past", "series")
# What a network sees of a covariate, in spreads: far outside its training range it would answer anything.
LARGEST_FEATURE = 5.0


class Windows(NamedTuple):
    """Contexts of some cut-offs, a row per cut-off and channel, and what turns answers back into data units."""

    n_cutoffs: int
    context: Tensor
    mask: Tensor
    future: Tensor | None
    variable: Tensor
    static: Tensor | None
    past: Tensor | None
    series: Tensor | None
    center: np.ndarray
    spread: np.ndarray
    effect: np.ndarray | float

    @property
    def inputs(self) -> tuple[Tensor | None, ...]:
        """What the module is given."""
        return tuple(getattr(self, name) for name in _INPUTS)


class TorchInference:
    """The half of a torch forecaster that asks its module; `TorchForecaster` is the half that trains it."""

    features: str | Sequence[str] | None = None
    context_: int
    horizon_: int
    features_: tuple[str, ...]
    n_features_: int
    n_static_: int
    n_past_: int
    n_names_: int
    module_: nn.Module
    units_: SeriesUnits
    effect_: CovariateEffect
    past_scale_: CovariateScale

    def _static(self, panel: Panel) -> np.ndarray | None:
        """What the module is told of whole series, (n_series, n_static)."""
        return told_of(self, panel) if self.n_static_ else None

    def _features(self) -> tuple[str, ...]:
        """What fit made of the index: "calendar", "id"."""
        return self.features_

    def _variable(self, panel: Panel, series: np.ndarray) -> Tensor:
        """Which linear map windows of these series have, for each channel of each, int64 (n * n_channels,)."""
        return torch.arange(panel.n_channels).repeat(len(series))

    def _filled(self, window: np.ndarray) -> np.ndarray:
        """Contexts (n, L, n_channels) with what may stand for rows that are missing."""
        return window

    def _in_data_units(self, panel: Panel, cutoffs: np.ndarray, answer: Callable[[Windows], Tensor]) -> np.ndarray:
        found = []
        for windows, values in self._run(panel, cutoffs, answer):
            values += np.asarray(windows.effect)[..., None]
            values *= windows.spread[:, None, :, None]
            values += windows.center[:, None, :, None]
            found.append(values)
        return np.concatenate(found)

    def _run(
        self, panel: Panel, cutoffs: np.ndarray, answer: Callable[[Windows], Tensor]
    ) -> Iterator[tuple[Windows, np.ndarray]]:
        """Answers in the windows' units, float64 of shape (n, steps, n_channels, ...), batch after batch."""
        device = next(iter(self.module_.state_dict().values())).device
        size = max(_INFERENCE_BATCH // panel.n_channels, 1)
        told = self._static(panel)
        dates = Calendar.of(panel, self.context_, self.horizon_) if "calendar" in self._features() else None
        with single_thread(device.type == "cpu"), torch.no_grad():
            for at in range(0, len(cutoffs), size):
                windows = self._windows(panel, cutoffs[at : at + size], size, told, dates)
                there: Any = (None if one is None else one.to(device) for one in windows.inputs)
                moved = windows._replace(**dict(zip(_INPUTS, there, strict=True)))
                found = answer(moved).cpu().double().numpy()
                by_channel = found.reshape(size, panel.n_channels, *found.shape[1:])[: windows.n_cutoffs]
                yield windows, np.moveaxis(by_channel, 1, 2).copy()

    def _windows(
        self, panel: Panel, cutoffs: np.ndarray, size: int, told: np.ndarray | None, dates: Calendar | None
    ) -> Windows:
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
            known = self.effect_.standardised(self._covariates(panel, padded, place, dates))
            both = known @ self.effect_.weight
            window -= both[:, : self.context_]
            effect = both[:count, self.context_ :]
            future = self._by_channel(panel, known[:, self.context_ :].clip(-LARGEST_FEATURE, LARGEST_FEATURE))
        rows_of = torch.from_numpy(np.swapaxes(window, 1, 2).reshape(-1, self.context_)).float()
        mask = ~rows_of.isnan()
        variable = self._variable(panel, padded[:, 0])
        static = None if told is None else self._by_channel(panel, told[padded[:, 0]])
        units = center[:count], spread[:count]
        beside = variable, static, self._past(panel, place), self._names(panel, padded[:, 0])
        return Windows(count, rows_of.nan_to_num(0.0), mask, future, *beside, *units, effect)

    def _by_channel(self, panel: Panel, block: np.ndarray) -> Tensor:
        """Numbers of windows (n, ...), once for each channel."""
        return torch.from_numpy(block).float().repeat_interleave(panel.n_channels, dim=0)

    def _covariates(self, panel: Panel, cutoffs: np.ndarray, place: Origins, dates: Calendar | None) -> np.ndarray:
        """Covariates from the start of each context to the end of what is forecast; NaN where they are not known."""
        steps = np.arange(-self.context_, self.horizon_)
        rows, owned = window_rows(place, steps)
        known = panel.covariates[rows] if panel.n_covariates else np.empty((*rows.shape, 0))
        known[~owned] = np.nan
        if dates is None:
            return known
        series, position = cutoffs.T
        ordinals = panel.starts[series][:, None] + (position[:, None] + steps) * panel.grid.step
        return np.concatenate([known, dates.at(ordinals)], axis=-1)

    def _past(self, panel: Panel, place: Origins) -> Tensor | None:
        """Covariates of the contexts, standardised."""
        if not self.n_past_:
            return None
        known = self.past_scale_.standardised(contexts(panel.past, place, self.context_))
        return self._by_channel(panel, known.clip(-LARGEST_FEATURE, LARGEST_FEATURE))

    def _names(self, panel: Panel, series: np.ndarray) -> Tensor | None:
        """Number of the series and channel of each window, -1 where fit has not seen the series."""
        if not self.n_names_:
            return None
        known = self.units_.known(panel)[series][:, None]
        own = np.where(known < 0, -1, known * panel.n_channels + np.arange(panel.n_channels))
        return torch.from_numpy(own.ravel())
