"""Ranks that make sample paths joint over the horizon (the Schaake shuffle; Clark et al. 2004)."""

from typing import Any

import numpy as np
from scipy.special import ndtr

from tsrec.estimators._blocks import Forecast
from tsrec.frames import Panel
from tsrec.frames.season import seasonal_scale

_TEMPLATES = 256
_LEAST_TEMPLATES = 30
_PERSISTENCE = 0.7


def error_ranks(forecast: Forecast, panel: Panel, horizon: int) -> np.ndarray:
    """Ranks of past forecasts' errors among their like, step by step.

    Parameters
    ----------
    forecast : callable
        Point forecasts from cut-offs, as the first answer.
    panel : Panel
        The history.
    horizon : int
        Steps of a forecast.

    Returns
    -------
    float array of shape (n_past, horizon, n_channels)
        In (0, 1).
    """
    room = np.maximum(panel.lengths - horizon, 0)
    total = int(room.sum())
    if total < _LEAST_TEMPLATES:
        return _persistent_ranks(horizon, panel.n_channels)
    ends = np.cumsum(room)
    chosen = np.unique(np.linspace(0, total - 1, min(_TEMPLATES, total)).astype(np.int64))
    series = np.searchsorted(ends, chosen, side="right")
    cutoffs = np.stack([series, chosen - (ends - room)[series] + 1], axis=1)
    point = forecast(panel, cutoffs)[..., 0]
    rows = (panel.offsets[series] + cutoffs[:, 1])[:, None] + np.arange(horizon)
    scale = seasonal_scale(panel, 1)[series][:, None]
    errors = np.nan_to_num((panel.values[rows] - point) / np.where(scale > 0, scale, 1.0))
    order = errors.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable")
    return (order + 0.5) / len(chosen)


def drawn_ranks(templates: np.ndarray, ahead: np.ndarray, n_paths: int, random_state: Any) -> np.ndarray:
    """Ranks of each path at steps `ahead` (n_rows,) of the cut-off, float of shape (n_paths, n_rows, n_channels).

    A later block of the horizon draws another past forecast, the same for all series, so that what moves together
    still does.
    """
    if isinstance(random_state, np.random.RandomState):
        random_state = int(random_state.randint(2**31 - 1))
    drawn = np.random.default_rng(random_state).integers(len(templates), size=(n_paths, 1))
    horizon = templates.shape[1]
    return templates[(drawn + (ahead // horizon) * 7919) % len(templates), ahead % horizon]


def _persistent_ranks(horizon: int, n_channels: int) -> np.ndarray:
    """Ranks whose normal scores are a first-order autoregression, for histories too short to say how errors persist."""
    noise = np.random.default_rng(0).normal(size=(_TEMPLATES, horizon, n_channels))
    scores = noise.copy()
    for step in range(1, horizon):
        scores[:, step] = _PERSISTENCE * scores[:, step - 1] + (1 - _PERSISTENCE**2) ** 0.5 * noise[:, step]
    return ndtr(scores)
