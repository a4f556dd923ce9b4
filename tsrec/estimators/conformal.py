"""Intervals that held on rows the forecaster had not seen: conformalised quantile regression, step by step."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.metaestimators import available_if

from tsrec.estimators import _quantiles
from tsrec.estimators._composed import ComposedForecaster, check_forecaster
from tsrec.estimators._forecaster import BaseForecaster
from tsrec.estimators._held_out import held_out, truth_after
from tsrec.estimators._parameters import check_flag, check_not_negative, check_share
from tsrec.estimators.theta import ThetaForecaster
from tsrec.frames import Panel
from tsrec.frames.seen import mean_of_seen

# Cut-offs that are calibrated on at most and at least, and numbers of a table of their forecasts.
_MOST, _LEAST, _VALUES = 4096, 64, 16_000_000
# The unit of scores is the width of this interval.
_UNIT = np.array([0.1, 0.9])
_RANKS = np.linspace(0, 1, 101)


def _has_components(forecaster: "ConformalForecaster") -> bool:
    return all(hasattr(member, "_components") for member in forecaster._given().values())


class ConformalForecaster(ComposedForecaster):
    """Widen or narrow a forecaster's intervals to what held on rows that it had not seen.

    The forecaster is fitted on the rows before a calibration part, and forecasts from many cut-offs inside that. For
    each step ahead and each pair of levels (0.1 and 0.9, ...) a score says by how much what was observed lies outside
    the interval, or how deep inside (Romano et al. 2019), in units of the interval from 0.1 to 0.9 that was forecast
    for that step (CQR-r of Sesia & Candès 2020), so that the scores of all series and of calm and restless times count
    together. Intervals are moved by the quantile of the scores.

    Parameters
    ----------
    forecaster : forecaster, optional
        Fitted as clones. :class:`ThetaForecaster` when omitted.
    calibration : float
        Share of the rows of each series that are calibrated on: the last ones, at least two horizons, at most half.
    refit : bool
        Whether the point forecast is that of a clone that has learned from all rows. Quantiles then lie around it as
        those that were calibrated lie around theirs.
    adapt : float
        How far `update` moves the shares of scores by what intervals have held of the rows that it is given: after a
        horizon of new rows, by so many times what was held too much or too little (adaptive conformal inference, Gibbs
        & Candès 2021). 0 leaves them.
    horizon : int, optional
        Steps forecast at once; further steps roll forward in blocks. That of the forecaster when None.
    season : int or "auto", optional
        Steps per season; that of the forecaster when None.
    freq : str or offset, optional
        Frequency of the index, where it cannot be read from it. That of the forecaster when None.
    quantiles : sequence of float, optional
        Levels that are calibrated; others are interpolated. Those of the forecaster when None.

    Attributes
    ----------
    members_ : dict of str to forecaster
        "calibrated", which has not learned from the calibration part, and "refitted"; where nothing could be
        calibrated on, or nothing is refitted, one of them only.
    offsets_ : float array of shape (horizon, n_channels, n_levels)
        How far quantiles are moved, in units of the width of the interval from 0.1 to 0.9.
    n_scores_ : int array of shape (horizon, n_channels)
        Forecasts that each step was calibrated on; overlapping ones count. With 0 quantiles are left as they are.
    alpha_ : float array of shape (n_channels, n_levels)
        The shares of values that are to lie outside the interval of each level, as moved by `update`; only with
        `adapt`.
    season_, context_ : int
        The season and the rows looked back on.
    freq_ : str or None
        The frequency in use.
    panel_ : Panel
        The history.

    Notes
    -----
    Of n scores the one of rank ceil((n + 1) * share) is taken; where that is more than n, of the scores of all steps
    together, and the largest of them where these are too few too. A level without its partner is moved by scores of its
    own side alone, the median not at all. Moved quantiles are sorted.

    If scores were exchangeable, intervals would hold their share or more of the values of each step. Series change,
    neighbouring cut-offs see the same values, and a clone that has learned from all rows is another forecaster: they
    are an approximation for all of this. A refitted forecaster's own quantiles are not used, since what was calibrated
    does not fit them: on folds of M3 monthly its 90 % intervals, moved, held 84 %.

    Where times change and rows come in one after the other, ``adapt=0.1`` brings intervals closer to their share
    (benchmarks/intervals.py).

    References
    ----------
    Gibbs and Candès (2021), Adaptive conformal inference under distribution shift, NeurIPS. Romano, Patterson and
    Candès (2019), Conformalized quantile regression, NeurIPS. Sesia and Candès (2020), A comparison of some conformal
    quantile regression methods, Stat 9.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from tsrec import SeasonalNaiveForecaster
    >>> noise = np.random.default_rng(0).normal(size=400)
    >>> y = pd.Series(noise, pd.date_range("2024-01-01", periods=400, freq="D"), name="y")
    >>> forecaster = ConformalForecaster(SeasonalNaiveForecaster(season=7), horizon=7).fit(y)
    >>> forecaster.n_scores_[:, 0].tolist()
    [80, 79, 78, 77, 76, 75, 74]
    >>> forecaster.predict_interval(3, coverage=0.9).shape
    (3, 2)
    """

    offsets_: np.ndarray
    n_scores_: np.ndarray

    def __init__(
        self,
        forecaster: Any = None,
        *,
        calibration: float = 0.2,
        refit: bool = True,
        adapt: float = 0.0,
        horizon: int | None = None,
        season: int | str | None = None,
        freq: Any = None,
        quantiles: Sequence[float] | None = None,
    ) -> None:
        self.forecaster = forecaster
        self.calibration = calibration
        self.refit = refit
        self.adapt = adapt
        self.horizon = horizon
        self.season = season
        self.freq = freq
        self.quantiles = quantiles

    def __sklearn_is_fitted__(self) -> bool:
        """Whether there is a member to ask."""
        return bool(getattr(self, "members_", None))

    def _given(self) -> dict[str, BaseForecaster]:
        return {"forecaster": ThetaForecaster() if self.forecaster is None else self.forecaster}

    def _check_parameters(self) -> None:
        check_forecaster(self._given()["forecaster"], "forecaster")
        check_share(self, "calibration")
        check_flag(self, "refit")
        check_not_negative(self, "adapt")
        super()._check_parameters()

    def _fit_panel(self, panel: Panel) -> None:
        given = self._given()["forecaster"]
        size = self.horizon_ * panel.n_channels * (1 + len(self.levels_))
        held = held_out(panel, self.horizon_, self.calibration, min(max(_VALUES // size, _LEAST), _MOST))
        self.offsets_ = np.zeros((self.horizon_, panel.n_channels, len(self.levels_)))
        self.n_scores_ = np.zeros(self.offsets_.shape[:2], dtype=np.int64)
        members: dict[str, BaseForecaster] = {}
        if len(held.cutoffs):
            members["calibrated"] = self._fitted(given, held.early)
            answers = members["calibrated"]._forecast(panel, held.cutoffs)[..., 1:]
            scores = scores_of(answers, held.truth, self.levels_)
            self.offsets_, self.n_scores_ = calibrated_offsets(scores, self.levels_)
            if self.adapt:
                self.alpha_ = np.tile([side.alpha for side in sides_of(self.levels_)], (panel.n_channels, 1))
                # A hundred ranks say as much as all scores, and are no larger than a network.
                self.scores_ = np.nan_to_num(nanquantile(scores, _RANKS))
            # What it forecasts from is the whole history, and new rows are appended to that.
            members["calibrated"]._remember(panel)
        if self.refit or not members:
            members["refitted"] = self._fitted(given, panel)
        self._keep(members)

    def _forecast(self, panel: Panel, cutoffs: np.ndarray) -> np.ndarray:
        final = list(self.members_.values())[-1]
        answers = final._forecast(panel, cutoffs)
        if "calibrated" not in self.members_:
            return answers
        calm = answers
        if final is not self.members_["calibrated"]:
            calm = self.members_["calibrated"]._forecast(panel, cutoffs)
        away = calm[..., 1:] - calm[..., :1] + self.offsets_ * _units(calm[..., 1:], self.levels_)
        return np.concatenate([answers[..., :1], np.sort(answers[..., :1] + away, axis=-1)], axis=-1)

    def _remember(self, panel: Panel) -> None:
        if hasattr(self, "scores_"):
            for turn in range(0, int((panel.lengths - self.panel_.lengths).max()), self.horizon_):
                self._adapt_to(panel, turn)
        super()._remember(panel)

    def _adapt_to(self, panel: Panel, turn: int) -> None:
        """Move the shares by the forecasts that the next horizon of new rows, from row `turn` of them on, completes."""
        new = np.clip(panel.lengths - self.panel_.lengths - turn, 0, self.horizon_)
        first = self.panel_.lengths + turn - self.horizon_ + 1
        series = np.repeat(np.arange(panel.n_series), new)
        steps = first[series] + np.arange(len(series)) - np.repeat(np.cumsum(new) - new, new)
        cutoffs = np.stack([series, steps], axis=1)[steps > 0]
        if not len(cutoffs):
            return
        cutoffs = cutoffs[np.unique(np.linspace(0, len(cutoffs) - 1, _MOST).astype(np.int64))]
        truth = truth_after(panel, cutoffs, self.horizon_)
        scores = scores_of(self._forecast(panel, cutoffs)[..., 1:], truth, self.levels_)
        missed = mean_of_seen(np.where(np.isnan(scores), np.nan, scores > 0), axis=(0, 1))
        usual = np.array([side.alpha for side in sides_of(self.levels_)])
        moved = self.adapt * new.max() / self.horizon_ * np.nan_to_num(usual - missed)
        self.alpha_ = np.clip(self.alpha_ + moved, 0.0, 1.0)
        for channel in range(panel.n_channels):
            for k, side in enumerate(sides_of(self.levels_)):
                if side.sign:
                    rank = (1 - self.alpha_[channel, k]) * (len(_RANKS) - 1)
                    low = min(int(rank), len(_RANKS) - 2)
                    below, above = self.scores_[low : low + 2, :, channel, k]
                    self.offsets_[:, channel, k] = side.sign * (below + (rank - low) * (above - below))

    @available_if(_has_components)
    def _components(self, panel: Panel, cutoffs: np.ndarray) -> dict[str, np.ndarray]:
        return list(self.members_.values())[-1]._components(panel, cutoffs)


def _units(quantiles: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Width of the interval from 0.1 to 0.9, float (..., 1)."""
    bounds = _quantiles.at_levels(quantiles, levels, _UNIT)
    return bounds[..., 1:] - bounds[..., :1]


class Side(NamedTuple):
    """A level's place in its interval: -1 below, 1 above, 0 in the middle; its partner; the share outside."""

    sign: int
    partner: int | None
    alpha: float


def sides_of(levels: np.ndarray) -> list[Side]:
    """What interval each level bounds: with its partner, or alone."""
    found = []
    for k, level in enumerate(levels.tolist()):
        near = int(np.argmin(np.abs(levels - (1 - level))))
        partner = near if abs(levels[near] - (1 - level)) < 1e-9 else None
        sign = 0 if partner == k else (-1 if level < 0.5 else 1)
        found.append(Side(sign, partner, (1 if partner is None else 2) * min(level, 1 - level)))
    return found


def scores_of(quantiles: np.ndarray, truth: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """How far outside the interval of each level values lie, in units of the width of that from 0.1 to 0.9.

    Parameters
    ----------
    quantiles : float array of shape (n, horizon, n_channels, n_levels)
        Forecast.
    truth : float array of shape (n, horizon, n_channels)
        What was observed; NaN is missing.
    levels : float array of shape (n_levels,)
        Ascending.

    Returns
    -------
    float array of shape (n, horizon, n_channels, n_levels)
        Negative inside; NaN where nothing was observed or the interval has no width; 0 for the median.
    """
    unit = _units(quantiles, levels)
    above = (truth[..., None] - quantiles) / np.where(unit > 0, unit, np.nan)
    scores = np.zeros_like(above)
    for k, side in enumerate(sides_of(levels)):
        scores[..., k] = side.sign * above[..., k]
        if side.sign and side.partner is not None:
            scores[..., k] = np.maximum(scores[..., k], -side.sign * above[..., side.partner])
    return scores


def calibrated_offsets(scores: np.ndarray, levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far to move each quantile, in units of the width of the interval from 0.1 to 0.9, and on how many scores.

    Parameters
    ----------
    scores : float array of shape (n, horizon, n_channels, n_levels)
        As `scores_of` gives them.
    levels : float array of shape (n_levels,)
        Ascending.

    Returns
    -------
    offsets : float array of shape (horizon, n_channels, n_levels)
    counts : int array of shape (horizon, n_channels)
    """
    sides = sides_of(levels)
    offsets = [side.sign * conformal_quantile(scores[..., k], 1 - side.alpha) for k, side in enumerate(sides)]
    outermost = next(k for k, side in enumerate(sides) if side.sign)
    return np.stack(offsets, axis=-1), np.isfinite(scores[..., outermost]).sum(axis=0)


def nanquantile(scores: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Quantiles over the first axis of what is no NaN, (n_ranks, ...); NaN, without a warning, where nothing is."""
    ordered, count = np.sort(scores, axis=0), (~np.isnan(scores)).sum(axis=0)
    places = np.round(ranks.reshape(-1, *[1] * count.ndim) * np.maximum(count - 1, 0)).astype(np.int64)
    return np.take_along_axis(ordered, places, axis=0)


def conformal_quantile(scores: np.ndarray, share: float) -> np.ndarray:
    """The score of rank ceil((n + 1) * share) among the n of each step that are no NaN.

    Parameters
    ----------
    scores : float array of shape (n, horizon, n_channels)
    share : float
        Between 0 and 1.

    Returns
    -------
    float array of shape (horizon, n_channels)
        Of all steps together where a step has too few, the largest where these are too few; 0 where there is none.

    Examples
    --------
    >>> float(conformal_quantile(np.arange(9.0).reshape(9, 1, 1), 0.8)[0, 0])
    7.0
    """
    found = _ranked(scores, share)
    lacking = np.isnan(found)
    if lacking.any():
        together = scores.reshape(1, -1, scores.shape[2]).swapaxes(0, 1)
        largest = np.nanmax(together, axis=0, initial=-np.inf)
        largest = np.where(np.isfinite(largest), largest, 0.0)
        pooled = _ranked(together, share)
        found = np.where(lacking, np.where(np.isnan(pooled), largest, pooled), found)
    return found


def _ranked(scores: np.ndarray, share: float) -> np.ndarray:
    """The conformal quantile over the first axis; NaN where there are too few scores for it."""
    count = (~np.isnan(scores)).sum(axis=0)
    rank = np.ceil((count + 1) * share - 1e-9).astype(np.int64)
    ordered = np.sort(scores, axis=0)
    found = np.take_along_axis(ordered, np.clip(rank - 1, 0, len(scores) - 1)[None], axis=0)[0]
    return np.where(rank <= count, found, np.nan)
