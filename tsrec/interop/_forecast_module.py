"""Fitted networks as modules from histories to forecasts, both in data units: nothing is left to do outside of them."""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tsrec.estimators._covariates import CovariateEffect, CovariateScale
from tsrec.estimators._static import _FARTHEST
from tsrec.estimators._torch_forecaster import TorchForecaster
from tsrec.estimators._torch_inference import _INPUTS, LARGEST_FEATURE
from tsrec.estimators._units import SeriesUnits
from tsrec.frames.calendar import calendar_names
from tsrec.frames.seen import mean_of_seen
from tsrec.interop._declared import Declared, DeclaredModule
from tsrec.layers.patch import PatchBranch
from tsrec.layers.ssm import StateSpaceMixer
from tsrec.layers.structural import StructuralMaps
from tsrec.layers.tempo import TEMPOBranch

_CONTEXT = "the latest values of each variable, oldest first, NaN where missing or before the series began"
_KNOWN = "covariates whose future is known, of the context and then of the steps ahead, NaN where missing"
_PAST = "covariates that are known of the context only, NaN where missing"
_STATIC = "numbers of the series as fit had them, 0 or 1 for each category, NaN where missing"
_SERIES = "number of the series among those of fit, -1 for others, whose unit is then measured in the context"


class ForecastModule(DeclaredModule):
    """Base of what forecasts: B histories in, forecasts and quantiles out.

    Shapes are those of ``inputs`` and ``outputs``: context (B, L, C), known (B, L + H, K), past (B, L, P), static
    (B, S) and series (B,), the last four only where the forecaster learned from them; forecast (B, H, C) and quantiles
    (B, H, C, Q), at the ``levels``. Whole numbers are int64, all else is float32 or float64, and answers are of the
    dtype of the context.

    Attributes
    ----------
    context, horizon : int
        L and H.
    levels : tuple of float
        Of the quantiles.
    ids : list
        Names of the series, in the order that ``series`` counts them; empty where fit had one without a name.
    columns : list
        Names of the variables.
    known_columns : list
        Names of the K covariates: those of X, then what `tsrec.frames.calendar.calendar_features` makes of dates.
    static_columns : list
        Names of the S numbers of a series: columns of `static`, and "column = category" for each category, 0 or 1.
    """

    levels: tuple[float, ...]
    ids: list[Any]
    columns: list[Any]
    known_columns: list[Any]
    static_columns: list[Any]
    context: int
    horizon: int

    def _declare(self, n_past: int, n_static: int) -> None:
        """Say what is taken and given."""
        channels, real = len(self.columns), torch.float32
        n_known, steps = len(self.known_columns), self.context + self.horizon
        found = [Declared("context", ("batch", self.context, channels), real, _CONTEXT)]
        if n_known:
            named = f"{_KNOWN}: {', '.join(map(str, self.known_columns))}"
            found.append(Declared("known", ("batch", steps, n_known), real, named))
        if n_past:
            found.append(Declared("past", ("batch", self.context, n_past), real, _PAST))
        if n_static:
            named = ": ".join([_STATIC, ", ".join(map(str, self.static_columns))]) if self.static_columns else _STATIC
            found.append(Declared("static", ("batch", n_static), real, named))
        if self.ids:
            found.append(Declared("series", ("batch",), torch.int64, _SERIES))
        self.inputs = tuple(found)
        shape = ("batch", self.horizon, channels)
        levels = ", ".join(f"{level:g}" for level in self.levels)
        self.outputs = (
            Declared("forecast", shape, real, "the point forecast"),
            Declared("quantiles", (*shape, len(self.levels)), real, f"at the levels {levels}"),
        )

    def _counts(self, name: str, size: list[int]) -> Tensor:  # noqa: ARG002 - there are series only
        """A new series, and the first of fit, in turn."""
        return torch.arange(size[0]) % 2 - 1


class NetworkForecast(ForecastModule):
    """The module of one fitted network; see :class:`ForecastModule`.

    Parameters
    ----------
    forecaster : TorchForecaster
        A fitted one; nothing of it is kept but numbers, and a copy of its network.
    """

    def __init__(self, forecaster: TorchForecaster) -> None:
        super().__init__()
        panel, ids = forecaster.panel_, forecaster.units_.ids
        self.context, self.horizon = int(forecaster.context_), int(forecaster.horizon_)
        self.levels = tuple(forecaster.levels_.tolist())
        self.ids, self.columns = [] if ids is None else ids.tolist(), panel.columns.tolist()
        self.known_columns, self.knows_names = _known_columns(forecaster), forecaster.n_names_ > 0
        coding = getattr(forecaster, "static_coding_", None)
        self.static_columns = [] if coding is None else coding.names
        self.period = _filled_period(forecaster)
        self.network = copy.deepcopy(forecaster.module_).cpu().eval()
        _settle(self.network)
        self.units = _Units(forecaster.units_)
        self.effect = _Effect(forecaster.effect_) if forecaster.n_features_ else None
        self.past_scale = _Scale(forecaster.past_scale_) if forecaster.n_past_ else None
        self.told = _Told(panel.static) if forecaster.n_static_ else None
        self._declare(forecaster.n_past_, forecaster.n_static_)

    def forward(
        self,
        context: Tensor,
        known: Tensor | None = None,
        past: Tensor | None = None,
        static: Tensor | None = None,
        series: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Forecast.

        Parameters
        ----------
        context, known, past, static, series : Tensor
            Those that ``inputs`` names, by these names, with the shapes told there.

        Returns
        -------
        dict of Tensor
            "forecast" (B, H, C) and "quantiles" (B, H, C, Q), in the units and the dtype of the context.

        Raises
        ------
        ValueError
            If a tensor is missing, not expected, or of another shape.
        """
        self._check(context=context, known=known, past=past, static=static, series=series)
        channels = len(self.columns)
        window = context if self.period is None else _filled(context, self.period)
        center, spread = self.units(window, series)
        window, effect = (window - center[:, None]) / spread[:, None], None
        given = self._beside(past, static, series, context.shape[0])
        if self.effect is not None and known is not None:
            scaled, both = self.effect(known.to(context.dtype))
            window, effect = window - both[:, : self.context], both[:, self.context :]
            given["future"] = _limited(scaled[:, self.context :])
        given = {name: part.repeat_interleave(channels, 0) for name, part in given.items()}
        rows = window.transpose(1, 2).flatten(0, 1).float()
        given |= {"mask": ~rows.isnan(), "context": rows.nan_to_num(0.0)}
        own = torch.arange(channels, device=rows.device).repeat(context.shape[0])
        given["variable"] = own
        if "series" in given:
            given["series"] = torch.where(given["series"] < 0, -1, given["series"] * channels + own)
        point, quantiles = self.network(*(given.get(name) for name in _INPUTS))
        answer = torch.cat([point[..., None], quantiles], -1).unflatten(0, (-1, channels)).movedim(1, 2)
        answer = answer.to(context.dtype)
        if effect is not None:
            answer = answer + effect[..., None]
        answer = answer * spread[:, None, :, None] + center[:, None, :, None]
        return {"forecast": answer[..., 0], "quantiles": answer[..., 1:]}

    def _beside(
        self, past: Tensor | None, static: Tensor | None, series: Tensor | None, batch: int
    ) -> dict[str, Tensor]:
        """What the network is told of whole contexts, a row for each."""
        given: dict[str, Tensor] = {}
        if self.past_scale is not None and past is not None:
            given["past"] = _limited(self.past_scale(past))
        if self.told is not None and static is not None:
            given["static"] = self.told(static).float()
        if self.knows_names:
            # A single series without a name is the first.
            given["series"] = self.units.center.new_zeros(batch, dtype=torch.int64) if series is None else series
        return given


class MeanForecast(ForecastModule):
    """The mean of several; each sees as much of the context as it looks back on.

    Parameters
    ----------
    members : sequence of NetworkForecast
        Of the same series, variables, levels and covariates.
    weights : sequence of float
        How much each counts; they sum to 1.
    """

    def __init__(self, members: Sequence[NetworkForecast], weights: Sequence[float]) -> None:
        super().__init__()
        first = members[0]
        for name in ("levels", "ids", "columns", "known_columns", "static_columns", "horizon"):
            setattr(self, name, getattr(first, name))
        self.context = max(member.context for member in members)
        self.members, self.weights = nn.ModuleList(members), tuple(weights)
        sizes = {one.name: one.shape[-1] for one in first.inputs}
        self._declare(int(sizes.get("past", 0)), int(sizes.get("static", 0)))

    def forward(
        self,
        context: Tensor,
        known: Tensor | None = None,
        past: Tensor | None = None,
        static: Tensor | None = None,
        series: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Forecast; arguments and answers are those of :class:`NetworkForecast`."""
        self._check(context=context, known=known, past=past, static=static, series=series)
        total: dict[str, Tensor] = {}
        for member, weight in zip(self.members, self.weights, strict=True):
            begin = self.context - member.context  # type: ignore[operator]
            before = (None if part is None else part[:, begin:] for part in (context, known, past))
            found = member(*before, static=static, series=series)
            total = {name: weight * part + total.get(name, 0.0) for name, part in found.items()}
        return total


class _Units(nn.Module):
    """Level and size of each window: of series that were learned from the size is known."""

    spread: Tensor
    center: Tensor
    usual_center: Tensor
    usual_spread: Tensor

    def __init__(self, units: SeriesUnits) -> None:
        super().__init__()
        self.register_buffer("center", torch.from_numpy(units.center.copy()))
        self.register_buffer("spread", torch.from_numpy(units.spread.copy()))
        self.register_buffer("usual_center", torch.from_numpy(units.center.mean(axis=0)))
        self.register_buffer("usual_spread", torch.from_numpy(units.spread.mean(axis=0)))

    def forward(self, window: Tensor, series: Tensor | None) -> tuple[Tensor, Tensor]:
        """Centre and spread (B, C) of windows (B, L, C)."""
        seen = ~window.isnan()
        steps = torch.arange(window.shape[1], device=window.device)[:, None]
        last = torch.where(seen, steps, -1).amax(1)
        is_seen, known = last >= 0, window.nan_to_num(0.0)
        latest = known.gather(1, last.clamp_min(0)[:, None])[:, 0]
        dtype = window.dtype
        if series is None:
            center, spread = self.center.to(dtype)[:1], self.spread.to(dtype)[:1]
            return torch.where(is_seen, latest, center), spread.expand(window.shape[0], -1)
        count = seen.sum(1)
        total = count.clamp_min(1).to(dtype)
        # Sums of values far from zero would lose digits.
        deviation = torch.where(seen, known - latest[:, None], 0.0)
        deviation = torch.where(seen, deviation - (deviation.sum(1) / total)[:, None], 0.0)
        own = (deviation.square().sum(1) / total).sqrt()
        own = torch.where(own > 0, own, torch.where(is_seen, 1.0, self.usual_spread.to(dtype)))
        is_known, row = (series >= 0)[:, None], series.clamp_min(0)
        center = torch.where(is_known, self.center.to(dtype)[row], self.usual_center.to(dtype))
        return torch.where(is_seen, latest, center), torch.where(is_known, self.spread.to(dtype)[row], own)


class _Scale(nn.Module):
    """Covariates in training spreads, missing ones filled, as `CovariateScale.standardised` does."""

    mean: Tensor
    gain: Tensor
    persistence: Tensor

    def __init__(self, scale: CovariateScale) -> None:
        super().__init__()
        # A spread is infinite where a covariate has no effect.
        parts = {"mean": scale.mean, "gain": 1 / scale.spread, "persistence": scale.persistence}
        for name, part in parts.items():
            self.register_buffer(name, torch.from_numpy(np.array(part, dtype=np.float64)))

    def forward(self, covariates: Tensor) -> Any:
        """Standardise (B, T, K)."""
        mean, gain, persistence = (part.to(covariates.dtype) for part in (self.mean, self.gain, self.persistence))
        scaled = (covariates - mean) * gain
        missing = scaled.isnan()
        steps = torch.arange(covariates.shape[1], device=covariates.device)[:, None]
        last = torch.where(missing, -1, steps).cummax(1).values
        latest = last.clamp_min(0)
        value = scaled.nan_to_num(0.0).gather(1, latest)
        return torch.where(last >= 0, value * persistence ** (steps - latest), 0.0)


class _Effect(_Scale):
    """What standardised covariates add to each variable."""

    weight: Tensor

    def __init__(self, effect: CovariateEffect) -> None:
        super().__init__(effect)
        self.register_buffer("weight", torch.from_numpy(np.array(effect.weight, dtype=np.float64)))

    def forward(self, covariates: Tensor) -> tuple[Tensor, Tensor]:
        """Covariates (B, T, K), standardised, and their effect (B, T, C) in units of series."""
        scaled = super().forward(covariates)
        return scaled, scaled @ self.weight.to(covariates.dtype)


class _Told(nn.Module):
    """Numbers of whole series, standardised by those of fit; zeros where nothing is known."""

    center: Tensor
    spread: Tensor

    def __init__(self, static: np.ndarray) -> None:
        super().__init__()
        center = np.nan_to_num(mean_of_seen(static, 0))
        spread = np.sqrt(mean_of_seen((static - center) ** 2, 0))
        self.register_buffer("center", torch.from_numpy(center))
        self.register_buffer("spread", torch.from_numpy(np.where(spread > 0, spread, 1.0)))

    def forward(self, static: Tensor) -> Tensor:
        scaled = (static - self.center.to(static.dtype)) / self.spread.to(static.dtype)
        return scaled.nan_to_num(0.0).clamp(-_FARTHEST, _FARTHEST)


def _limited(covariates: Tensor) -> Tensor:
    return covariates.clamp(-LARGEST_FEATURE, LARGEST_FEATURE).float()


def _known_columns(forecaster: TorchForecaster) -> list[Any]:
    """Names of the covariates, those of the calendar last."""
    count = forecaster.panel_.n_covariates
    names = list(getattr(forecaster, "feature_names_in_", ()))
    columns = names if len(names) == count else [f"x{number}" for number in range(count)]
    return columns + (calendar_names(forecaster.panel_.grid) if "calendar" in forecaster._features() else [])


def _settle(network: nn.Module) -> None:
    """Make what follows from weights and lengths alone, so that it is made once and not by every call."""
    for part in network.modules():
        if isinstance(part, StructuralMaps):
            part.keep_tables()
        if isinstance(part, PatchBranch | TEMPOBranch):
            tokens = part.used // part.patch if isinstance(part, PatchBranch) else part.n_tokens
            for layer in part.modules():
                if isinstance(layer, StateSpaceMixer):
                    layer.keep_kernel(tokens)


def _filled_period(forecaster: Any) -> int | None:
    """Steps of the season that the unseen front of a window repeats; None where it stays as it is."""
    steps = getattr(forecaster, "season_steps_", None)
    if steps is not None:
        return int(steps)
    return int(forecaster.day_) if getattr(forecaster, "linear_", None) == "structural" else None


def _filled(window: Tensor, period: int) -> Tensor:
    """Windows (B, L, C) whose unseen front repeats the season after it, as `tsrec.frames.clock.filled_front` does."""
    length = window.shape[1]
    steps = torch.arange(length, device=window.device)[:, None]
    first = torch.where(window.isnan(), length, steps).amin(1, keepdim=True)
    seasons = torch.div((first - steps).clamp_min(0) + period - 1, period, rounding_mode="floor")
    source = steps + seasons * period
    # Nothing is known where the season reaches beyond the end.
    filled = window.nan_to_num(0.0).gather(1, source.clamp_max(length - 1))
    missing = window.isnan().gather(1, source.clamp_max(length - 1)) | (source >= length)
    return torch.where(missing, torch.nan, filled)
