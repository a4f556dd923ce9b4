"""Cut windows into segments of time, of which the folds are made that closed forms are chosen on."""

import torch
from torch import Tensor

N_SEGMENTS = 6
# Fold: segments to train on, segments to validate on. The targets of segment 1 straddle the first border, those of 3
# the second, those of 5 both, which leaves 5 to the last solve.
FOLDS = (((0,), (2, 3)), ((0, 1, 2), (4,)))
_BORDERS = (3 / 4, 7 / 8)


def time_segments(times: Tensor, horizon: int, series: Tensor | None = None) -> Tensor:
    """Cut windows into segments, of which two expanding folds are made (3/4 then 1/8, 7/8 then 1/8).

    Parameters
    ----------
    times : Tensor of int64, shape (n,)
        Step of each window's first target, on any one clock; steps before the end of its own series are a good clock
        for series that end at different times.
    horizon : int
        H; windows whose target reaches over a border are not trained on before it.
    series : Tensor of int64, shape (n,), optional
        With eight series or more whose windows are all so close in time that no fold is left, folds hold out series
        instead.

    Returns
    -------
    Tensor of int64, shape (n,)
        Values 0 to 4 in order of time; 5 for windows that lie across both borders.

    Examples
    --------
    >>> time_segments(torch.arange(16), 2).tolist()
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 4]
    """
    n = len(times)
    if n == 0:
        return torch.zeros(0, dtype=torch.int64)
    ordered = times.sort().values
    first, second = (int(ordered[min(int(share * n), n - 1)]) for share in _BORDERS)
    segments = torch.full_like(times, 4)
    segments[times < second] = 3
    segments[times + horizon <= second] = 2
    segments[(times < first) & (times + horizon <= second)] = 1
    segments[(times < first) & (times + horizon > second)] = 5
    segments[times + horizon <= first] = 0
    trainable = int((segments == 0).sum())
    if trainable < n / 8 and series is not None and len(series.unique()) >= 8:
        return _series_segments(series)
    return segments


def group_segments(groups: Tensor) -> Tensor:
    """Segments that hold out whole sets: every fourth, then another fourth, in the order of their numbers.

    Parameters
    ----------
    groups : Tensor of int64, shape (n,)
        Set of each window; four or more.

    Returns
    -------
    Tensor of int64, shape (n,)
        0, 2 or 4, as :func:`time_segments` gives them.

    Examples
    --------
    >>> group_segments(torch.arange(6)).tolist()
    [0, 2, 0, 4, 0, 2]
    """
    rank = torch.unique(groups, return_inverse=True)[1] % 4
    return torch.where(rank == 1, 2, torch.where(rank == 3, 4, 0))


def _series_segments(series: Tensor) -> Tensor:
    """Hold out every eighth series, then another eighth; the order of series means nothing, so spread them."""
    rank = torch.unique(series, return_inverse=True)[1] % 8
    segments = torch.zeros_like(series)
    segments[rank == 3] = 2
    segments[rank == 7] = 4
    return segments
