"""Forecasters made of forecasters: a series is taken apart, and each component has a forecaster of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import clone

from tsrec.decomposition import STL
from tsrec.estimators._callbacks import CallbackSupportMixin, lent_callbacks
from tsrec.estimators._composed import TellsMembers
from tsrec.estimators._forecaster import BaseForecaster
from tsrec.estimators._parameters import check_whole
from tsrec.estimators.baseline import DEFAULT_QUANTILES, SeasonalNaiveForecaster
from tsrec.estimators.lssl import LSSLForecaster
from tsrec.frames import Panel, contexts, origins

# Everything that has no forecaster of its own.
_REST = "rest"
# What each member is given, if it has such a parameter.
_SHARED = ("horizon", "quantiles", "freq")
# Periods that a decomposition looks back on at least, steps where there is none, and windows taken apart at a time.
_PERIODS, _STEPS, _WINDOWS = 8, 64, 2048
# Forecasts inside the history that say how wide intervals must be: at most, and at least.
_ERRORS, _LEAST_ERRORS = 512, 20


class DecompositionForecaster(TellsMembers, CallbackSupportMixin, BaseForecaster):
    """Take series apart, forecast the components, and add up the forecasts.

    Members learn from the components of the training rows, and forecast from those of the last rows before a cut-off,
    taken apart by themselves: nothing that follows a cut-off is looked at.

    Parameters
    ----------
    decomposition : decomposer, optional
        Such as :class:`tsrec.STL`, which it is when omitted. Fitted as a clone, which may choose its period.
    forecasters : dict of str to forecaster, optional
        A forecaster for each of some components ("trend", "seasonal", "seasonal_24", ...), and one called "rest" for
        the sum of all others. When omitted, seasons get a :class:`SeasonalNaiveForecaster` and the rest a
        :class:`LSSLForecaster`. They are cloned, and take `horizon`, `quantiles` and `freq` from here.
    horizon : int, default 24
        Steps forecast at once; further steps roll forward in blocks.
    context : int or "auto", default "auto"
        Rows before a cut-off that are taken apart: eight periods, but at least what the members look back on.
    season : int or "auto", default "auto"
        Steps per season of the scale of errors (`naive_scale`).
    freq : str or offset, optional
        Frequency of the index, where it cannot be read from it.
    quantiles : sequence of float
        Levels that are trained; others are interpolated.
    random_state : int, RandomState or None
        Seed of the members that are taken when `forecasters` is omitted.

    Attributes
    ----------
    decomposition_ : decomposer
        Fitted; its ``periods_`` tells what was chosen.
    members_ : dict of str to forecaster
        The fitted forecasters.
    context_ : int
        Rows that are taken apart.
    panel_ : Panel
        The history.

    Notes
    -----
    Quantiles lie as far from the sum of the points as those of the members do in quadrature, as if errors of different
    components were independent, times what forecasts inside the history call for (``widths_``, one for each level).

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> t = np.arange(240)
    >>> y = pd.Series(t + 9 * np.sin(t * np.pi / 12), pd.date_range("2024", periods=240, freq="h"), name="y")
    >>> forecaster = DecompositionForecaster(horizon=12).fit(y)
    >>> forecaster.predict_components().columns.tolist()
    [('y', 'seasonal'), ('y', 'rest')]
    """

    decomposition_: Any
    members_: dict[str, BaseForecaster]

    def __init__(
        self,
        decomposition: Any = None,
        forecasters: Mapping[str, Any] | None = None,
        *,
        horizon: int = 24,
        context: int | str = "auto",
        season: int | str = "auto",
        freq: Any = None,
        quantiles: Sequence[float] = DEFAULT_QUANTILES,
        random_state: Any = None,
    ) -> None:
        self.decomposition = decomposition
        self.forecasters = forecasters
        self.horizon = horizon
        self.context = context
        self.season = season
        self.freq = freq
        self.quantiles = quantiles
        self.random_state = random_state

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_whole(self, "context", auto=True)
        if self.forecasters is not None and (not isinstance(self.forecasters, Mapping) or not self.forecasters):
            raise ValueError(f"forecasters: found {self.forecasters!r}. Give a dict from components to forecasters.")
        for name, one in (self.forecasters or {}).items():
            if not isinstance(one, BaseForecaster):
                raise TypeError(f"forecasters[{name!r}]: found {one!r}. Give a forecaster of tsrec.")

    def _uses(self, name: str) -> bool:
        members = [LSSLForecaster()] if self.forecasters is None else self.forecasters.values()
        return any(member._uses(name) for member in members)

    def __sklearn_is_fitted__(self) -> bool:
        """Whether all members can be asked."""
        return hasattr(self, "widths_")

    def _fit_panel(self, panel: Panel) -> None:
        self.decomposition_ = clone(STL() if self.decomposition is None else self.decomposition)
        self.decomposition_.fit_panel(panel)
        names = self.decomposition_.components_
        members = self._members(names)
        parts = self._grouped(_padded_parts(self.decomposition_, panel), list(members))
        self.members_ = {}
        for name, member in members.items():
            own = replace(panel, values=parts[name])
            self._lend(member, *_SHARED)
            with lent_callbacks(self, member):
                member._learn(own, self.form_, self.levels_, targets_itself=self.targets_itself_)
            self.members_[name] = member
        periods = self.decomposition_.periods_
        least = _PERIODS * periods[-1] if periods else _STEPS
        looked = [getattr(member, "context_", 1) for member in self.members_.values()]
        self.context_ = max(least, *looked) if self.context == "auto" else int(self.context)
        if periods and self.context_ < 2 * periods[-1]:
            raise ValueError(f"context: found {self.context}. Give at least two periods of {periods[-1]}, or 'auto'.")
        self.widths_ = np.ones(len(self.levels_))
        self.widths_ = self._measured_widths(panel)

    def _measured_widths(self, panel: Panel) -> np.ndarray:
        """How many times as far as the members say quantiles lie from the point, by forecasts inside the history.

        Members learn from components that know both sides, and so make smaller errors than there will be.
        """
        first = 2 * max(self.decomposition_.periods_, default=1)
        series = np.repeat(np.arange(panel.n_series), np.maximum(panel.lengths - self.horizon_ - first, 0))
        if len(series) < _LEAST_ERRORS:
            return self.widths_
        steps = np.arange(len(series)) - np.searchsorted(series, series) + first
        chosen = np.unique(np.linspace(0, len(series) - 1, _ERRORS).astype(int))
        cutoffs = np.stack([series[chosen], steps[chosen]], axis=1)
        answers = self._forecast(panel, cutoffs)
        rows = (panel.offsets[:-1][cutoffs[:, 0]] + cutoffs[:, 1])[:, None] + np.arange(self.horizon_)
        error = panel.values[rows] - answers[..., 0]
        widths = np.ones(len(self.levels_))
        for k, level in enumerate(self.levels_):
            away = answers[..., 1 + k] - answers[..., 0]
            seen = (away != 0) & np.isfinite(error)
            share = level if level >= 0.5 else 1 - level
            if level != 0.5 and seen.any():
                widths[k] = max(np.quantile(error[seen] / away[seen], share), 0.0)
        return widths

    def _members(self, names: list[str]) -> dict[str, BaseForecaster]:
        """Clones by component; the last, if anything is left, for the rest."""
        given = self.forecasters
        if given is None:
            seasons = [name for name in names if name.startswith("seasonal")]
            naive = [SeasonalNaiveForecaster(season=period) for period in self.decomposition_.periods_]
            given = {**dict(zip(seasons, naive, strict=False)), _REST: LSSLForecaster(random_state=self.random_state)}
        unknown = set(given) - {*names, _REST}
        if unknown:
            raise ValueError(f"forecasters: {sorted(unknown)} are none of the components {names}, nor 'rest'.")
        left = [name for name in names if name not in given]
        if bool(left) != (_REST in given):
            what = f"{left} have no forecaster" if left else "nothing is left for 'rest'"
            raise ValueError(f"forecasters: {what}. Give one for each of {names}, or fewer and 'rest' for all others.")
        return {name: clone(one) for name, one in given.items()}

    def _grouped(self, parts: np.ndarray, wanted: list[str]) -> dict[str, np.ndarray]:
        """Values (..., n_components) by member: a component, or the sum of those that have none of their own."""
        names = self.decomposition_.components_
        left = [k for k, name in enumerate(names) if name not in wanted]
        return {name: parts[..., left].sum(-1) if name == _REST else parts[..., names.index(name)] for name in wanted}

    def _forecast(self, panel: Panel, cutoffs: np.ndarray) -> np.ndarray:
        points = [self._of_members(panel, cutoffs[i : i + _WINDOWS]) for i in range(0, len(cutoffs), _WINDOWS)]
        answers = [_added(list(found.values()), self.widths_) for found in points]
        return np.concatenate(answers)

    def _components(self, panel: Panel, cutoffs: np.ndarray) -> dict[str, np.ndarray]:
        return {name: found[..., 0] for name, found in self._of_members(panel, cutoffs).items()}

    def _of_members(self, panel: Panel, cutoffs: np.ndarray) -> dict[str, np.ndarray]:
        """Forecasts of each member, from the components of what lies before each cut-off."""
        series, steps = cutoffs.T
        length, ahead = self.context_, self.horizon_
        place = origins(panel.offsets, series, steps)
        values = contexts(panel.values, place, length)
        flat, channels = len(cutoffs) * length, panel.n_channels
        own = Panel(
            values.reshape(flat, channels),
            np.arange(len(cutoffs) + 1, dtype=np.int64) * length,
            panel.starts[series] + (steps - length) * panel.grid.step,
            panel.grid,
            panel.columns,
            ids=None if panel.ids is None else panel.ids[series],
            past=contexts(panel.past, place, length).reshape(flat, -1) if panel.past.shape[1] else panel.past,
            static=panel.static[series] if panel.static.shape[1] else panel.static,
        )
        parts = self._grouped(self.decomposition_._take_apart(own), list(self.members_))
        at = np.stack([np.arange(len(cutoffs)), np.full(len(cutoffs), length)], axis=1)
        found = {}
        for name, member in self.members_.items():
            part = replace(own, values=np.where(np.isnan(own.values), np.nan, parts[name]))
            part = part.resized(np.zeros(len(cutoffs), dtype=np.int64), np.full(len(cutoffs), ahead))
            if panel.n_covariates:
                known = contexts(panel.covariates, place._replace(first=place.first + ahead), length + ahead)
                part = replace(part, covariates=known.reshape(-1, panel.n_covariates))
            found[name] = member._forecast(part, at)
        return found


def _padded_parts(decomposition: Any, panel: Panel) -> np.ndarray:
    """Components of all rows; series of less than two periods are made longer by rows that are missing."""
    least = 2 * max(decomposition.periods_, default=1)
    before = np.maximum(least - panel.lengths, 0)
    after = np.zeros_like(before)
    parts = decomposition._take_apart(panel.resized(before, after) if before.any() else panel)
    if not before.any():
        return parts
    ends = np.cumsum(panel.lengths + before)
    rows = np.arange(len(panel.values)) - np.repeat(panel.offsets[:-1], panel.lengths)
    return parts[np.repeat(ends - panel.lengths, panel.lengths) + rows]


def _added(found: list[np.ndarray], widths: np.ndarray) -> np.ndarray:
    """Sums of points, and quantiles at distances that add up in quadrature, widened."""
    point = sum(one[..., :1] for one in found)
    away = [one[..., 1:] - one[..., :1] for one in found]
    spread = np.sqrt(sum(np.square(one) for one in away))
    side = np.sign(sum(away))
    # Each level has a width of its own, so that neighbours could change places.
    return np.concatenate([point, np.sort(point + widths * side * spread, axis=-1)], axis=-1)
