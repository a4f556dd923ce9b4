"""How often prediction intervals hold the truth, and how wide they are."""

from typing import Any

import numpy as np
import pandas as pd

from tsrec.metrics._align import Table, complete, like, match_rows, read
from tsrec.metrics._average import Average, Score, averaged
from tsrec.metrics._quantile import columns_of_variables


def interval_coverage(
    y_true: Any, y_interval: Any, *, coverage: float | None = None, average: Average = "all"
) -> Score:
    """Share of the observed values that lie inside their interval, bounds included.

    Parameters
    ----------
    y_true : Series, DataFrame or array
        What was observed, as in `mae`. Missing values are left out.
    y_interval : DataFrame or pair of (lower, upper)
        The answer of ``predict_interval``: a frame with columns (variable, coverage, "lower" or "upper"). Or two
        containers like y_true.
    coverage : float, optional
        Which of the frame's intervals, by their nominal coverage. May be omitted when the frame has just one.
    average : {"all", "series"} or None, default "all"
        As in `mae`.

    Returns
    -------
    float, or Series, DataFrame or array
        Between 0 and 1; close to the nominal coverage if the forecast is calibrated.

    Raises
    ------
    TypeError, ValueError
        As in `mae`; also if the frame has no such interval.

    Examples
    --------
    >>> from tsrec.metrics import interval_coverage
    >>> interval_coverage([1.0, 2.0, 3.0, 4.0], ([0.0] * 4, [3.0] * 4))
    0.75
    """
    truth = read(y_true, "y_true")
    lower, upper = _bounds(truth, y_interval, coverage)
    inside = ((lower <= truth.values) & (truth.values <= upper)).astype(np.float64)
    return averaged(np.where(np.isnan(truth.values), np.nan, inside), truth, average)


def interval_width(y_true: Any, y_interval: Any, *, coverage: float | None = None, average: Average = "all") -> Score:
    """Mean width of the intervals, over the steps that were observed.

    Parameters
    ----------
    y_true : Series, DataFrame or array
        Of these values only the labels, and what is missing, count.
    y_interval : DataFrame or pair of (lower, upper)
        As in `interval_coverage`.
    coverage : float, optional
        As in `interval_coverage`.
    average : {"all", "series"} or None, default "all"
        As in `mae`.

    Returns
    -------
    float, or Series, DataFrame or array
        In the unit of y.

    Raises
    ------
    TypeError, ValueError
        As in `interval_coverage`.

    Examples
    --------
    >>> from tsrec.metrics import interval_width
    >>> interval_width([1.0, 2.0], ([0.0, 0.0], [3.0, 5.0]))
    4.0
    """
    truth = read(y_true, "y_true")
    lower, upper = _bounds(truth, y_interval, coverage)
    return averaged(np.where(np.isnan(truth.values), np.nan, upper - lower), truth, average)


def _bounds(truth: Table, y_interval: Any, coverage: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper bounds of shape (n_rows, n_columns), in the order of the truth."""
    if isinstance(y_interval, pd.DataFrame):
        return _from_frame(truth, y_interval, coverage)
    if not isinstance(y_interval, tuple | list) or len(y_interval) != 2:
        raise TypeError(
            f"y_interval: got {type(y_interval).__name__}. Pass the frame that predict_interval gives, or a pair "
            "(lower, upper)."
        )
    return like(truth, y_interval[0], "y_interval (lower)"), like(truth, y_interval[1], "y_interval (upper)")


def _from_frame(truth: Table, frame: pd.DataFrame, coverage: float | None) -> tuple[np.ndarray, np.ndarray]:
    if frame.columns.nlevels != 3:
        raise ValueError(
            f"y_interval: its columns have {frame.columns.nlevels} levels. Give columns (variable, coverage, "
            "'lower' or 'upper'), as predict_interval does."
        )
    nominal = frame.columns.get_level_values(1).astype(np.float64)
    known = nominal.unique()
    if coverage is None and len(known) > 1:
        raise ValueError(f"coverage: not given, and y_interval has {list(known)}. Pass one of these.")
    here = np.isclose(nominal, known[0] if coverage is None else coverage)
    if not here.any():
        raise ValueError(f"coverage: got {coverage!r}, but y_interval has {list(known)}. Pass one of these.")
    bound = frame.columns.get_level_values(2)
    lower, upper = (_one_bound(truth, frame.loc[:, here & (bound == name)], name) for name in ("lower", "upper"))
    return lower, upper


def _one_bound(truth: Table, frame: pd.DataFrame, name: str) -> np.ndarray:
    chosen = columns_of_variables(truth, frame.columns, "y_interval")
    if any(len(places) != 1 for places in chosen):
        raise ValueError(f"y_interval: a variable has not exactly one column '{name}' at this coverage. Give one.")
    table = read(frame, "y_interval")
    rows = match_rows(truth, table.index, len(table.values), "y_interval")
    return complete(table.values[rows][:, np.concatenate(chosen)], "y_interval")
