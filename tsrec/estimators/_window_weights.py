"""How much each training window counts, so that absolute errors add up to the measure a panel is judged by.

The M4 competition (Makridakis, Spiliotis and Assimakopoulos 2020, IJF 36) judges by OWA: the mean of sMAPE and MASE,
each relative to that of the naive forecast. Both are absolute errors in a unit of their own: the size of the values, or
the usual step of the series.
"""

from dataclasses import replace

import numpy as np

from tsrec.frames import Panel
from tsrec.frames.season import seasonal_scale
from tsrec.frames.seen import means_of_series

MEASURES = ("smape", "mase", "owa")
# MASE of weekly and finer data is measured against the last value in the M4 competition, not against the last season.
_LONGEST_SEASON = 12
# Levels near zero would make one window outweigh a panel.
_FLOOR = 0.1
_MOST = 20.0
_ROUNDING = 1 + 1e-9


def window_weights(panel: Panel, measure: str, rows: np.ndarray, *, season: int, horizon: int) -> np.ndarray:
    """Weight of an absolute error, in the units of the data, of windows and channels.

    Parameters
    ----------
    panel : Panel
        The training rows.
    measure : {"smape", "mase", "owa"}
    rows : int array of shape (n,)
        Row of the panel where each window's context ends; its latest observed value is the window's level.
    season, horizon : int

    Returns
    -------
    float array of shape (n, n_channels)
        With mean 1. Nothing weighs more than twenty times the mean.
    """
    owner = np.repeat(np.arange(panel.n_series), panel.lengths)
    size = np.abs(_latest(panel, owner))
    level = np.maximum(size, _FLOOR * _series_mean(size, panel))
    scale = seasonal_scale(panel, season if season <= _LONGEST_SEASON else 1)[owner]
    moves = np.abs(_ahead(panel.values, owner, max(horizon // 2, 1)) - panel.values)
    per_level, per_scale = (_per_unit(unit, moves)[rows] for unit in (level, scale))
    weight = {"smape": per_level, "mase": per_scale, "owa": (per_level + per_scale) / 2}[measure]
    return with_mean_one(np.minimum(weight, _cap(weight)))


def counted(panel: Panel) -> Panel:
    """A panel whose rows of weight 0 are missing."""
    if panel.weight is None or panel.weight.all():
        return panel
    return replace(panel, values=np.where(panel.weight[:, None] > 0, panel.values, np.nan))


def target_weights(panel: Panel, rows: np.ndarray, horizon: int) -> np.ndarray:
    """How much the rows count that windows are to forecast, their mean, (n,).

    Parameters
    ----------
    panel : Panel
        With the weight of each row.
    rows : int array of shape (n,)
        Row where each window's context ends; the next `horizon` rows of its series are the target.
    horizon : int
    """
    assert panel.weight is not None
    total = np.append(0.0, np.cumsum(panel.weight))
    end = panel.offsets[np.searchsorted(panel.offsets, rows, side="right")]
    last = np.minimum(rows + 1 + horizon, end)
    return (total[last] - total[rows + 1]) / np.maximum(last - rows - 1, 1)


def _latest(panel: Panel, owner: np.ndarray) -> np.ndarray:
    """Latest observed value of every row; NaN where the series has none yet."""
    rows = np.where(np.isnan(panel.values), -1, np.arange(len(panel.values))[:, None])
    latest = np.maximum.accumulate(rows, axis=0)
    own = latest >= panel.offsets[owner][:, None]
    return np.where(own, np.take_along_axis(panel.values, np.maximum(latest, 0), axis=0), np.nan)


def _series_mean(values: np.ndarray, panel: Panel) -> np.ndarray:
    """Mean of the observed values of its series, for every row."""
    mean = means_of_series(values, panel.offsets)
    return np.repeat(np.where(np.isnan(mean), 0.0, mean), panel.lengths, axis=0)


def _ahead(values: np.ndarray, owner: np.ndarray, steps: int) -> np.ndarray:
    """The values so many steps later in the same series, NaN beyond its end."""
    later = np.full_like(values, np.nan)
    later[:-steps] = np.where((owner[steps:] == owner[:-steps])[:, None], values[steps:], np.nan)
    return later


def _per_unit(unit: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """One over the unit, such that the naive forecast has a mean error of 1 in it; 0 where the unit says nothing."""
    share = np.divide(1.0, unit, out=np.zeros_like(unit), where=unit > 0)
    error = share * moves
    seen = np.isfinite(error)
    mean = np.where(seen, error, 0.0).sum() / max(int(seen.sum()), 1)
    return share / mean if mean > 0 else share


def with_mean_one(weight: np.ndarray) -> np.ndarray:
    """Weights in relation to their mean; ones where all are zero."""
    mean = weight.mean() if weight.size else 0.0
    return weight / mean if mean > 0 else np.ones_like(weight)


def _cap(weight: np.ndarray) -> float:
    """The value to cut weights at so that none is more than `_MOST` times the mean of what is left.

    With the k largest cut at c, the mean is (k c + rest) / n: the least k counts whose c lets the others stand.
    """
    ordered = np.sort(weight, axis=None)[::-1]
    n = len(ordered)
    if not n:
        return 0.0
    k = np.arange(-(-n // int(_MOST)))
    rest = np.append(ordered[::-1].cumsum()[::-1], 0.0)[k]
    caps = _MOST * rest / (n - _MOST * k)
    return float(caps[(ordered[k] <= caps * _ROUNDING).argmax()])
