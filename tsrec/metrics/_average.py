"""Losses of single values averaged over everything, over series, or not at all."""

from typing import Literal, TypeAlias

import numpy as np
import pandas as pd

from tsrec.metrics._align import Table

Average: TypeAlias = Literal["all", "series"] | None
Score: TypeAlias = float | np.ndarray | pd.Series | pd.DataFrame


def averaged(loss: np.ndarray, truth: Table, average: Average, *, root: bool = False) -> Score:
    """Mean of the losses that are not NaN, or its square root.

    Parameters
    ----------
    loss : float array of shape (n_rows, n_columns)
        NaN where nothing was observed.
    truth : Table
        Says which row belongs to which series.
    average : {"all", "series"} or None
        The mean over all values; the mean over series and columns of their own means; or these means themselves.
    root : bool, default False
        Take square roots of the means (before averaging over series).
    """
    sums, counts = sums_and_counts(loss, truth)
    return spread(sums, counts, truth, average, root=root)


def sums_and_counts(loss: np.ndarray, truth: Table) -> tuple[np.ndarray, np.ndarray]:
    """Sum and number of the losses that are not NaN: two float arrays of shape (n_series, n_columns)."""
    n_columns = loss.shape[1]
    groups = truth.codes[:, None] * n_columns + np.arange(n_columns)
    seen = ~np.isnan(loss)
    size = truth.n_series * n_columns
    # Without any value bincount answers with integers, whatever the weights: hence astype for both.
    sums = np.bincount(groups[seen], loss[seen], minlength=size).astype(np.float64)
    counts = np.bincount(groups[seen], minlength=size).astype(np.float64)
    return sums.reshape(-1, n_columns), counts.reshape(-1, n_columns)


def spread(sums: np.ndarray, weights: np.ndarray, truth: Table, average: Average, *, root: bool = False) -> Score:
    """Quotients of sums and weights, of shape (n_series, n_columns) each, averaged as asked.

    Raises
    ------
    ValueError
        If `average` is unknown, or all weights are zero.
    """
    if average not in ("all", "series", None):
        raise ValueError(f"average: got {average!r}. Pass 'all', 'series' or None.")
    if not weights.any():
        raise ValueError(
            f"y_true: none of its {truth.values.size} values is observed, or has a scale. Give at least one that is."
        )
    if average == "all":
        value = sums.sum() / weights.sum()
        return float(np.sqrt(value) if root else value)
    each = np.divide(sums, weights, out=np.full_like(sums, np.nan), where=weights > 0)
    each = np.sqrt(each) if root else each
    return float(np.nanmean(each)) if average == "series" else label(each, truth)


def label(each: np.ndarray, truth: Table) -> Score:
    """Values of shape (n_series, n_columns) in a container that names them.

    An array when the truth was one. Otherwise a frame with a row per series and a column per variable, or a Series when
    there is no series level (a value per variable) or only one variable (a value per series).
    """
    if truth.index is None:
        return each[0]
    columns = truth.columns if truth.columns is not None else pd.RangeIndex(each.shape[1])
    if truth.series is None:
        return pd.Series(each[0], index=columns)
    if truth.columns is None or len(truth.columns) == 1:
        return pd.Series(each[:, 0], index=truth.series, name=columns[0] if truth.columns is not None else None)
    return pd.DataFrame(each, index=truth.series, columns=columns)
