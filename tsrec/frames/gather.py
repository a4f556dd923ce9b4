"""Windows cut from flat rows by index arithmetic: nothing is copied before a batch is made."""

from typing import Any, NamedTuple

import numpy as np


class Origins(NamedTuple):
    """Places to forecast from: the row of the first step to forecast, and the rows its series owns.

    All three are int arrays of one shape (n,): ``first`` may lie before ``begin`` (no history at all).
    """

    first: np.ndarray
    begin: np.ndarray
    end: np.ndarray


def origins(offsets: np.ndarray, series: np.ndarray, positions: np.ndarray) -> Origins:
    """Places given by series and step.

    Parameters
    ----------
    offsets : int array of shape (n_series + 1,)
        As in `Panel`.
    series, positions : int arrays of shape (n,)
        Series, and step inside it, of the first value to forecast.

    Returns
    -------
    Origins
    """
    begin = offsets[series]
    return Origins(begin + positions, begin, offsets[series + 1])


def window_rows(origin: Any, steps: Any) -> tuple[Any, Any]:
    """Rows at ``steps`` from each origin, and which of them the series owns.

    Works on numpy arrays and on torch tensors alike.

    Parameters
    ----------
    origin : Origins
        n places.
    steps : int array of shape (length,)
        Distances from the first step to forecast: -length..-1 for the context, 0..horizon - 1 for what is forecast.

    Returns
    -------
    rows : int array of shape (n, length)
        Clipped into the series, so that they can be read safely.
    owned : bool array of shape (n, length)
        False where a row lies outside its series.

    Examples
    --------
    >>> place = origins(np.array([0, 4]), np.array([0]), np.array([2]))
    >>> window_rows(place, np.arange(-3, 0))
    (array([[0, 0, 1]]), array([[False,  True,  True]]))
    """
    first, begin, end = (part[:, None] for part in origin)
    rows = first + steps
    owned = (rows >= begin) & (rows < end)
    return rows.clip(begin, end - 1), owned


def contexts(values: np.ndarray, origin: Origins, length: int) -> np.ndarray:
    """The rows before each origin.

    Parameters
    ----------
    values : float array of shape (n_rows, n_channels)
        Flat rows of all series.
    origin : Origins
        n places.
    length : int
        Rows to take.

    Returns
    -------
    float array of shape (n, length, n_channels)
        NaN where the series has no row.
    """
    rows, owned = window_rows(origin, np.arange(-length, 0))
    window = values[rows]
    window[~owned] = np.nan
    return window
