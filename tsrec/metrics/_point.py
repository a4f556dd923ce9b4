"""Errors of point forecasts in the unit of the target or in percent: MAE, RMSE, sMAPE.

The forecasting competitions' forms: Makridakis, Spiliotis, Assimakopoulos, IJF 36 (2020).
"""

from typing import Any

import numpy as np

from tsrec.metrics._align import like, read
from tsrec.metrics._average import Average, Score, averaged


def mae(y_true: Any, y_pred: Any, *, average: Average = "all") -> Score:
    """Mean absolute error: mean of |y - f|.

    Parameters
    ----------
    y_true : Series, DataFrame or array of shape (n_steps,) or (n_steps, n_variables)
        What was observed. A panel has a MultiIndex (series, time). Missing values are left out of the mean.
    y_pred : Series, DataFrame or array of the same shape
        The forecasts, complete. If both arguments are pandas objects they are matched by index and column labels, in
        any order; otherwise by position.
    average : {"all", "series"} or None, default "all"
        "all" is the mean over all observed values. "series" gives every series and variable its own value first, and
        averages these, as the M competitions do; without a series level that is scikit-learn's "uniform_average". None
        gives the values themselves: a Series, a frame (series by variable) or, for arrays, an array.

    Returns
    -------
    float, or Series, DataFrame or array
        In the unit of y.

    Raises
    ------
    TypeError
        If an argument does not hold numbers.
    ValueError
        If the arguments do not match, y_pred has missing values, or y_true nothing but missing values.

    Examples
    --------
    >>> from tsrec.metrics import mae
    >>> mae([1.0, 2.0, float("nan")], [2.0, 4.0, 5.0])
    1.5
    """
    truth = read(y_true, "y_true")
    return averaged(np.abs(truth.values - like(truth, y_pred, "y_pred")), truth, average)


def rmse(y_true: Any, y_pred: Any, *, average: Average = "all") -> Score:
    """Root mean squared error: square root of the mean of (y - f)^2.

    Parameters
    ----------
    y_true, y_pred : Series, DataFrame or array
        As in `mae`.
    average : {"all", "series"} or None, default "all"
        As in `mae`. With "all" the root is taken once, of the mean over everything; with "series" of each series' mean.

    Returns
    -------
    float, or Series, DataFrame or array
        In the unit of y.

    Raises
    ------
    TypeError, ValueError
        As in `mae`.

    Examples
    --------
    >>> from tsrec.metrics import rmse
    >>> rmse([1.0, 2.0], [8.0, 3.0])
    5.0
    """
    truth = read(y_true, "y_true")
    return averaged((truth.values - like(truth, y_pred, "y_pred")) ** 2, truth, average, root=True)


def smape(y_true: Any, y_pred: Any, *, average: Average = "all") -> Score:
    """Symmetric mean absolute percentage error: mean of 200 |y - f| / (|y| + |f|), between 0 and 200 percent.

    Where both y and f are zero the term is zero. This is the form of the M3 and M4 competitions.

    Parameters
    ----------
    y_true, y_pred : Series, DataFrame or array
        As in `mae`.
    average : {"all", "series"} or None, default "all"
        As in `mae`; the competitions use "series".

    Returns
    -------
    float, or Series, DataFrame or array
        In percent.

    Raises
    ------
    TypeError, ValueError
        As in `mae`.

    References
    ----------
    Makridakis and Hibon, "The M3-Competition: results, conclusions and implications", IJF 16 (2000).

    Examples
    --------
    >>> from tsrec.metrics import smape
    >>> smape([1.0, 0.0], [3.0, 0.0])
    50.0
    """
    truth = read(y_true, "y_true")
    return averaged(percentage_errors(truth.values, like(truth, y_pred, "y_pred")), truth, average)


def percentage_errors(y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
    """Terms of sMAPE, in percent: 200 |y - f| / (|y| + |f|), and 0 where both are 0."""
    size = np.abs(y_true) + np.abs(y_pred)
    # A size of zero means that both are zero, and then so is the numerator.
    return 200 * np.abs(y_true - y_pred) / np.where(size == 0, 1.0, size)
