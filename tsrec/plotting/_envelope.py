"""Long series on a short axis: times as numbers that can be drawn, and the least and greatest of each piece."""

import numpy as np
import pandas as pd

from tsrec.plotting._tracks import plain_times

# Pieces of a long series: about as many as a picture has columns.
_PIECES = 2000


def envelope(index: pd.Index, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A line that looks like a series, however long that is.

    Parameters
    ----------
    index : Index of length n
        Its times.
    values : float array of shape (n,)
        Its values; NaN is missing.

    Returns
    -------
    times : array of shape (n_points,)
        Positions on the horizontal axis.
    values : float array of shape (n_points,)
        The series itself if it is short, else the least and the greatest value of each of 2000 pieces in turn.
    """
    if len(values) <= 2 * _PIECES:
        return plain_times(index), values
    first = np.linspace(0, len(values), _PIECES, endpoint=False).astype(np.int64)
    ends = [part.reduceat(values, first) for part in (np.fmin, np.fmax)]
    return np.repeat(plain_times(index[first]), 2), np.stack(ends, axis=1).ravel()
