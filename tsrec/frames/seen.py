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
