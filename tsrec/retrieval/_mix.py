"""What analogues say, as a mean and as quantiles, and how much of it counts beside another forecast."""

import numpy as np
import torch
from sklearn.isotonic import IsotonicRegression
from torch import Tensor
from torch.nn.functional import embedding_bag

# Analogues that quantiles are taken of, and numbers that are sorted at a time.
_PICKS, _SORTED = 64, 4_000_000
# Ridge penalties, relative to the mean square of a feature.
PENALTIES = (0.01, 0.1, 1.0, 10.0, 100.0)


def weighted_mean(payload: Tensor, which: Tensor, weight: Tensor) -> Tensor:
    """Mean of what the analogues hold: rows ``payload[which]`` (n, k, horizon) by `weight` (n, k)."""
    return embedding_bag(which, payload, per_sample_weights=weight.to(payload.dtype), mode="sum")


def weighted_quantiles(payload: Tensor, which: Tensor, weight: Tensor, levels: np.ndarray) -> np.ndarray:
    """Quantiles (n, horizon, n_levels) of ``payload[which]``, of analogues picked in proportion to their weights.

    Equal picks need no weights when they are sorted, which takes a tenth of the time.
    """
    middles = ((torch.arange(_PICKS, dtype=torch.float64) + 0.5) / _PICKS).expand(len(which), -1).contiguous()
    at = torch.searchsorted(weight.cumsum(-1), middles).clamp(max=which.shape[1] - 1)
    picked = which.gather(1, at)
    place = (levels * _PICKS - 0.5).clip(0, _PICKS - 1)
    low = np.floor(place).astype(np.int64)
    high, part = np.minimum(low + 1, _PICKS - 1), (place - low).astype(np.float32)
    size = max(_SORTED // (_PICKS * payload.shape[1]), 1)
    found = []
    for first in range(0, len(which), size):
        rows = np.sort(payload[picked[first : first + size]].transpose(1, 2).contiguous().numpy(), axis=-1)
        found.append(rows[..., low] + part * (rows[..., high] - rows[..., low]))
    return np.concatenate(found)


def falling_weights(correction: np.ndarray, error: np.ndarray) -> np.ndarray:
    """How much of a correction to take at each step: least squares, between 0 and 1, never more further ahead.

    Parameters
    ----------
    correction, error : float arrays of shape (n, horizon, n_channels)
        What is added, and what should have been; NaN in `error` is left out.

    Returns
    -------
    float array of shape (horizon,)
    """
    correction = np.where(np.isnan(error), 0.0, correction)
    squares = np.square(correction).sum(axis=(0, 2))
    products = (correction * np.nan_to_num(error)).sum(axis=(0, 2))
    told = squares > 0
    if not told.any():
        return np.zeros(len(squares))
    steps = np.arange(len(squares))
    falling = IsotonicRegression(y_min=0, y_max=1, increasing=False, out_of_bounds="clip")
    falling.fit(steps[told], products[told] / squares[told], sample_weight=squares[told])
    return falling.predict(steps)


def fitting_widths(error: np.ndarray, away: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """How many times as far from the point as told quantiles must lie to hold their share of these errors.

    Parameters
    ----------
    error : float array of shape (n, horizon, n_channels)
        True values less point forecasts.
    away : float array of shape (n, horizon, n_channels, n_levels)
        Quantiles less point forecasts.
    levels : float array of shape (n_levels,)

    Returns
    -------
    float array of shape (n_levels,)
    """
    widths = np.ones(len(levels))
    for i, level in enumerate(levels):
        seen = (np.sign(away[..., i]) == np.sign(level - 0.5)) & np.isfinite(error)
        if level != 0.5 and seen.any():
            widths[i] = max(np.quantile(error[seen] / away[..., i][seen], max(level, 1 - level)), 0.0)
    return widths


class Moments:
    """Sums of products of features and targets, from which maps for any ridge penalty follow."""

    def __init__(self, n_features: int, n_targets: int) -> None:
        self.gram = np.zeros((n_features, n_features))
        self.cross = np.zeros((n_features, n_targets))

    def add(self, features: np.ndarray, targets: np.ndarray) -> None:
        """Count rows (n, n_features) and (n, n_targets); rows with a missing target are left out."""
        seen = ~np.isnan(targets).any(axis=1)
        self.gram += features[seen].T @ features[seen]
        self.cross += features[seen].T @ targets[seen]

    def solved(self, penalty: float) -> np.ndarray:
        """The map (n_features, n_targets); all zero for an infinite penalty."""
        size = np.trace(self.gram) / len(self.gram)
        if not np.isfinite(penalty) or not size > 0:
            return np.zeros_like(self.cross)
        return np.linalg.solve(self.gram + penalty * size * np.eye(len(self.gram)), self.cross)
