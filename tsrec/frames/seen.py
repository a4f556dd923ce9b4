"""Means of what was observed."""

import numpy as np


def mean_of_seen(values: np.ndarray, axis: int | tuple[int, ...]) -> np.ndarray:
    """Mean of what is not NaN; NaN, without a warning, where nothing is.

    Parameters
    ----------
    values : float array
    axis : int or tuple of int
        Taken together.

    Returns
    -------
    float array
    """
    seen = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.where(seen, values, 0.0).sum(axis=axis) / seen.sum(axis=axis)


def means_of_series(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Mean of what is not NaN of each series and column; NaN, without a warning, where nothing is.

    Parameters
    ----------
    values : float array of shape (n_rows, n_channels)
        Series after series.
    offsets : int array of shape (n_series + 1,)
        First row of each, then the number of rows.

    Returns
    -------
    float array of shape (n_series, n_channels)
    """
    seen, starts = ~np.isnan(values), offsets[:-1]
    count = np.add.reduceat(seen, starts, axis=0, dtype=np.float64)
    count[count == 0] = np.nan
    return np.add.reduceat(np.where(seen, values, 0.0), starts, axis=0) / count
