"""Forecasts from analogues, put together: what they are aligned by, what they say, and what share of it counts."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from copy import copy
from itertools import islice, pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.base import clone

from tsrec.estimators._callbacks import lent_callbacks
from tsrec.estimators._context_forecaster import ContextForecaster
from tsrec.estimators._forecaster import BaseForecaster
from tsrec.estimators.baseline import SeasonalMeanForecaster, SeasonalNaiveForecaster
from tsrec.frames import Panel, contexts, origins
from tsrec.retrieval._analogues import Library, Located, averaged, carried
from tsrec.retrieval._mix import (
    PENALTIES,
    Moments,
    falling_weights,
    fitting_widths,
    weighted_mean,
    weighted_quantiles,
)
from tsrec.training.bar import moving

# What the base is given, if it has such a parameter.
_SHARED = ("horizon", "quantiles", "freq")
# Shares of the training rows that are learned from, to see how much analogues help on the rows that follow.
_SHARES = (0.5, 0.75, 1.0)
# Cut-offs of each such stretch, windows that a linear mix learns from, and numbers of a table of answers.
_HELD_OUT, _LEARNED, _ANSWERS = 256, 2048, 4_000_000
_AT_ONCE = 512
# What a correction counts where no rows could tell.
_UNTOLD = 0.5


class Pieces(NamedTuple):
    """Answers to n cut-offs before they are mixed.

    Attributes
    ----------
    start : float array of shape (n, horizon, n_channels, 1 + n_levels)
        What is corrected: the answers of the base, or of what analogues are aligned by.
    shift : float array of shape (n, horizon, n_channels)
        The point that analogues are aligned by, less that of `start`.
    means : float array of shape (n_views, n, horizon, n_channels)
        Futures of the analogues less the points they are aligned by.
    away : float array of shape (n, horizon, n_channels, n_levels)
        Quantiles of the same about their mean.
    found : bool array of shape (n, n_channels)
        Whether there is any analogue.
    """

    start: np.ndarray
    shift: np.ndarray
    means: np.ndarray
    away: np.ndarray
    found: np.ndarray

    def correction(self) -> np.ndarray:
        """What analogues would have changed, (n, horizon, n_channels)."""
        return np.where(self.found[:, None], self.means.mean(axis=0) + self.shift, 0.0)


def learn(forecaster: Any, panel: Panel, *, callbacks: bool = True) -> None:
    """Fit the base and what analogues are aligned by to a panel, which becomes the library."""
    own: BaseForecaster = SeasonalNaiveForecaster(season=1)
    if forecaster.align == "season":
        own = SeasonalMeanForecaster(season=forecaster.season_, context=forecaster.context_)
    forecaster.own_, forecaster.base_ = own, None
    if forecaster.base is not None:
        forecaster.base_ = clone(forecaster.base)
    for member in filter(None, (forecaster.own_, forecaster.base_)):
        forecaster._lend(member, *_SHARED)
        with lent_callbacks(forecaster if callbacks else None, member):
            member._learn(panel, forecaster.form_, forecaster.levels_, targets_itself=forecaster.targets_itself_)
    forecaster.library_ = panel


def looking_up(forecaster: Any, cutoffs: np.ndarray) -> AbstractContextManager[Callable[[int], Any]]:
    """A bar over the windows of the library, each as often as there are cut-offs that it is compared for."""
    total = len(cutoffs) * len(forecaster._library().series) if forecaster.verbose else 0
    return moving(total, label="analogues", unit="pair", verbose=forecaster.verbose)


def answer(
    forecaster: Any,
    panel: Panel,
    cutoffs: np.ndarray,
    *,
    move: Callable[[int], Any],
    both_sides: bool = False,
    quantiles: bool = True,
) -> Pieces:
    """What base and analogues say; `move` and `both_sides` as in `Library.locate`."""
    own, base = forecaster.own_, forecaster.base_
    start = (own if base is None else base)._forecast(panel, cutoffs)
    by, shift = own, np.zeros(start.shape[:3])
    if base is not None and forecaster.mix == "residual":
        by = base
    elif base is not None:
        shift = points(own, panel, cutoffs) - start[..., 0]
    library: Library = forecaster._library()
    levels = forecaster.levels_ if quantiles else np.empty(0)
    means = np.zeros((len(forecaster.views), *shift.shape))
    pieces = Pieces(start, shift, means, np.zeros((*shift.shape, len(levels))), np.zeros(shift[:, 0].shape, bool))
    if len(library.series):
        asked = cutoffs, forecaster.k, forecaster.temperature
        found = library.locate(panel, *asked, both_sides=both_sides, move=move)
        _tell(pieces, library, found, by, library.units(panel, cutoffs), levels)
    return pieces


def _tell(
    pieces: Pieces, library: Library, located: Located, by: BaseForecaster, unit: np.ndarray, levels: np.ndarray
) -> None:
    """Fill in what followed the analogues, less what `by` forecast for them, in the units of each cut-off."""
    # A window that may not be seen must not be read either.
    windows = np.where(located.weight > 0, located.windows, located.windows[..., :1])
    used, numbers = np.unique(windows, return_inverse=True)
    residual = library.futures(used) - points(by, library.panel, library.cutoffs[used])
    residual = np.nan_to_num(residual / library.units(library.panel, library.cutoffs[used])[:, None])
    which, weight = torch.from_numpy(numbers.reshape(windows.shape)), torch.from_numpy(located.weight)
    for channel in range(residual.shape[2]):
        payload = torch.from_numpy(residual[..., channel].astype(np.float32))
        compared = 0 if library.measure.joint else channel
        places, shares = which[:, compared], weight[:, compared]
        pieces.found[:, channel] = located.weight[:, compared].sum(axis=(0, 2)) > 0
        for view, mean in enumerate(pieces.means):
            mean[..., channel] = weighted_mean(payload, places[view], shares[view]).numpy() * unit[:, None, channel]
        if len(levels):
            flat = places.movedim(0, 1).flatten(1), shares.movedim(0, 1).flatten(1) / len(pieces.means)
            spread = weighted_quantiles(payload, *flat, levels) * unit[:, None, channel, None]
            pieces.away[:, :, channel] = spread - pieces.means[..., channel].mean(axis=0)[..., None]


def points(forecaster: BaseForecaster, panel: Panel, cutoffs: np.ndarray) -> np.ndarray:
    """Point forecasts (n, horizon, n_channels), without the quantiles where they can be spared."""
    rows = max(forecaster.horizon_, getattr(forecaster, "context_", 1))
    size = max(_ANSWERS // (rows * panel.n_channels), 1)
    turns = [cutoffs[at : at + size] for at in range(0, len(cutoffs), size)]
    return np.concatenate([_point(forecaster, panel, turn) for turn in turns])


def _point(forecaster: BaseForecaster, panel: Panel, cutoffs: np.ndarray) -> np.ndarray:
    if isinstance(forecaster, ContextForecaster):
        window = contexts(panel.values, origins(panel.offsets, *cutoffs.T), forecaster._window())
        return forecaster._filled(window)
    if hasattr(forecaster, "_components"):
        return np.sum(list(forecaster._components(panel, cutoffs).values()), axis=0)
    return forecaster._forecast(panel, cutoffs)[..., 0]


def mixed(forecaster: Any, panel: Panel, cutoffs: np.ndarray, pieces: Pieces) -> np.ndarray:
    """Answers (n, horizon, n_channels, 1 + n_levels) from what base and analogues say."""
    start = pieces.start[..., 0]
    if forecaster.mix == "linear":
        change = features(forecaster, panel, cutoffs, pieces) @ forecaster.weight_
        change = np.moveaxis(change, 1, 2) * forecaster.unit_
    else:
        change = forecaster.weight_[:, None] * pieces.correction()
    point = (start + change)[..., None]
    away = np.where(
        pieces.found[:, None, :, None], forecaster.widths_ * pieces.away, pieces.start[..., 1:] - start[..., None]
    )
    return np.concatenate([point, np.sort(point + away, axis=-1)], axis=-1)


def features(forecaster: Any, panel: Panel, cutoffs: np.ndarray, pieces: Pieces) -> np.ndarray:
    """What a linear mix is a map of, (n, n_channels, n_features): the window, and what followed analogues by view."""
    window = contexts(panel.values, origins(panel.offsets, *cutoffs.T), forecaster.context_)
    window = carried(window)
    blocks = [window - window[:, -1:]]
    for size, mean in zip(forecaster.views, pieces.means, strict=True):
        followed = mean - mean[:, -1:] if forecaster.align == "future" else mean
        blocks.append(averaged(followed, size))
    return np.moveaxis(np.concatenate(blocks, axis=1) / forecaster.unit_, 1, 2)


def weigh(forecaster: Any, panel: Panel) -> None:
    """Measure on held-out rows how much analogues count, and how wide quantiles must be."""
    told = 1.0 if forecaster.base is None else _UNTOLD
    forecaster.weight_ = np.full(forecaster.horizon_, told)
    forecaster.widths_ = np.ones(len(forecaster.levels_))
    if forecaster.mix == "linear":
        _weigh_linear(forecaster, panel)
        return
    stretches = [(twin, cutoffs, _looked_up(twin, panel, cutoffs)) for twin, cutoffs in _held_out(forecaster, panel)]
    if not stretches:
        return
    errors = [truth_of(panel, cutoffs, twin.horizon_) - pieces.start[..., 0] for twin, cutoffs, pieces in stretches]
    error = np.concatenate(errors) / forecaster.unit_
    correction = np.concatenate([pieces.correction() for *_, pieces in stretches]) / forecaster.unit_
    if forecaster.mix is not None:
        forecaster.weight_ = falling_weights(correction, error)
    away = np.concatenate([pieces.away for *_, pieces in stretches]) / forecaster.unit_[:, None]
    error -= forecaster.weight_[:, None] * correction
    forecaster.widths_ = fitting_widths(error, away, forecaster.levels_)


def _looked_up(forecaster: Any, panel: Panel, cutoffs: np.ndarray) -> Pieces:
    with looking_up(forecaster, cutoffs) as move:
        return answer(forecaster, panel, cutoffs, move=move)


def _weigh_linear(forecaster: Any, panel: Panel) -> None:
    """Solve for the map of a linear mix, with the penalty that does best on the last held-out rows."""
    forecaster.penalty_ = PENALTIES[-1]
    for twin, cutoffs in islice(_held_out(forecaster, panel, latest_first=True), 1):
        moments, pieces = _moments(twin), _looked_up(twin, panel, cutoffs)
        truth, losses = truth_of(panel, cutoffs, twin.horizon_), {}
        for penalty in PENALTIES:
            twin.weight_ = moments.solved(penalty)
            answers = mixed(twin, panel, cutoffs, pieces)
            errors = truth - answers[..., 0]
            losses[penalty] = np.nanmean(np.square(errors / forecaster.unit_))
            if losses[penalty] == min(losses.values()):
                away = answers[..., 1:] - answers[..., :1]
                forecaster.widths_ = fitting_widths(errors, away, forecaster.levels_)
        forecaster.penalty_ = min(losses, key=losses.__getitem__)
    forecaster.weight_ = _moments(forecaster).solved(forecaster.penalty_)


def _moments(forecaster: Any) -> Moments:
    """Sums over the windows of the library, of which each is asked about as though the others were all there is."""
    library: Library = forecaster._library()
    sizes = [averaged(np.empty((1, forecaster.horizon_, 1)), size).shape[1] for size in forecaster.views]
    moments = Moments(forecaster.context_ + sum(sizes), forecaster.horizon_)
    chosen = library.cutoffs[thinned(len(library.series), _LEARNED)]
    with looking_up(forecaster, chosen) as move:
        for at in range(0, len(chosen), _AT_ONCE):
            cutoffs = chosen[at : at + _AT_ONCE]
            pieces = answer(forecaster, library.panel, cutoffs, move=move, both_sides=True, quantiles=False)
            rows = features(forecaster, library.panel, cutoffs, pieces)
            truth = truth_of(library.panel, cutoffs, forecaster.horizon_) - pieces.start[..., 0]
            targets = np.moveaxis(truth / forecaster.unit_, 1, 2)
            moments.add(rows.reshape(-1, rows.shape[-1]), targets.reshape(-1, targets.shape[-1]))
    return moments


def _held_out(forecaster: Any, panel: Panel, *, latest_first: bool = False) -> Iterator[tuple[Any, np.ndarray]]:
    """Forecasters that know the first part of the rows, and cut-offs in the rows that follow it."""
    lengths, horizon, stretches = panel.lengths, forecaster.horizon_, list(pairwise(_SHARES))
    for share, until in reversed(stretches) if latest_first else stretches:
        head = np.maximum((share * lengths).astype(np.int64), 1)
        room = np.minimum((until * lengths).astype(np.int64), lengths - horizon + 1) - head
        series = np.repeat(np.arange(panel.n_series), np.maximum(room, 0))
        steps = head[series] + np.arange(len(series)) - np.searchsorted(series, series)
        if not len(series):
            continue
        known = panel.resized(np.zeros_like(head), head - lengths)
        twin = copy(forecaster)
        twin.library_ = known
        if np.isnan(known.values).all() or not len(twin._library().series):
            continue
        learn(twin, known, callbacks=False)
        chosen = thinned(len(series), _HELD_OUT)
        yield twin, np.stack([series, steps], axis=1)[chosen]


def truth_of(panel: Panel, cutoffs: np.ndarray, horizon: int) -> np.ndarray:
    """What followed cut-offs after which there are `horizon` rows, (n, horizon, n_channels)."""
    return panel.values[(panel.offsets[cutoffs[:, 0]] + cutoffs[:, 1])[:, None] + np.arange(horizon)]


def thinned(count: int, most: int) -> np.ndarray:
    """Numbers below `count`, at most so many, evenly apart."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64))
