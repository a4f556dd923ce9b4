"""Errors measured against the seasonal naive forecast of the training data: MASE, RMSSE, OWA.

Hyndman and Koehler, "Another look at measures of forecast accuracy", IJF 22 (2006); Makridakis, Spiliotis,
Assimakopoulos, IJF 36 (2020) for OWA, IJF 38 (2022) for RMSSE.
"""

from typing import Any

import numpy as np

from tsrec.metrics._align import like, read
from tsrec.metrics._average import Average, Score, averaged
from tsrec.metrics._point import percentage_errors
from tsrec.metrics._scale import scale_of


def mase(
    y_true: Any,
    y_pred: Any,
    *,
    y_train: Any = None,
    scale: Any = None,
    season: int = 1,
    average: Average = "all",
) -> Score:
    """Mean absolute scaled error: mean of |y - f| / scale, the scale being each series' own.

    Parameters
    ----------
    y_true, y_pred : Series, DataFrame or array
        As in `mae`.
    y_train : Series, DataFrame or array, optional
        The training data, from which the scale is computed by `naive_scale`; for panels with the same series.
    scale : float, Series, DataFrame or array, optional
        The scale itself, instead of y_train: a number, a value per variable, a value per series (for a panel of one
        variable), or a frame with a row per series and a column per variable. NaN leaves a series out.
    season : int, default 1
        Steps per season. Used with y_train only.
    average : {"all", "series"} or None, default "all"
        As in `mae`; the M4 competition uses "series".

    Returns
    -------
    float, or Series, DataFrame or array
        Without unit. Below 1 the forecast is better than the seasonal naive one was in the training data.

    Raises
    ------
    TypeError
        If not exactly one of y_train and scale is given, or an argument does not hold numbers.
    ValueError
        As in `mae`; also if a series has no scale, or the scale 0 (a series that repeats itself exactly).

    Examples
    --------
    >>> from tsrec.metrics import mase
    >>> mase([5.0, 6.0], [4.0, 8.0], y_train=[1.0, 2.0, 4.0])
    1.0
    """
    truth = read(y_true, "y_true")
    error = np.abs(truth.values - like(truth, y_pred, "y_pred"))
    return averaged(error / scale_of(truth, y_train, scale, season)[truth.codes], truth, average)


def rmsse(
    y_true: Any,
    y_pred: Any,
    *,
    y_train: Any = None,
    scale: Any = None,
    season: int = 1,
    average: Average = "all",
) -> Score:
    """Root mean squared scaled error: square root of the mean of ((y - f) / scale)^2.

    Parameters
    ----------
    y_true, y_pred : Series, DataFrame or array
        As in `mae`.
    y_train : Series, DataFrame or array, optional
        As in `mase`.
    scale : float, Series, DataFrame or array, optional
        As in `mase`, but the root mean square of the seasonal differences: ``naive_scale(squared=True)``.
    season : int, default 1
        As in `mase`.
    average : {"all", "series"} or None, default "all"
        As in `rmse`; the M5 competition computes it per series.

    Returns
    -------
    float, or Series, DataFrame or array
        Without unit.

    Raises
    ------
    TypeError, ValueError
        As in `mase`.

    Examples
    --------
    >>> from tsrec.metrics import rmsse
    >>> rmsse([5.0, 6.0], [4.0, 13.0], y_train=[1.0, 2.0, 3.0])
    5.0
    """
    truth = read(y_true, "y_true")
    error = truth.values - like(truth, y_pred, "y_pred")
    scaled = error / scale_of(truth, y_train, scale, season, squared=True)[truth.codes]
    return averaged(scaled**2, truth, average, root=True)


def owa(
    y_true: Any,
    y_pred: Any,
    y_naive2: Any,
    *,
    y_train: Any = None,
    scale: Any = None,
    season: int = 1,
) -> float:
    """Overall weighted average of the M4 competition: the mean of sMAPE and MASE, each relative to the Naive2 forecast.

    ``(smape(f) / smape(naive2) + mase(f) / mase(naive2)) / 2``, where sMAPE and MASE are averages over series.

    Parameters
    ----------
    y_true, y_pred : Series, DataFrame or array
        As in `mae`.
    y_naive2 : Series, DataFrame or array
        Forecasts to compare with: of the naive method on seasonally adjusted data in M4, but any will do.
    y_train : Series, DataFrame or array, optional
        As in `mase`.
    scale : float, Series, DataFrame or array, optional
        As in `mase`.
    season : int, default 1
        As in `mase`.

    Returns
    -------
    float
        Without unit; 1 for the Naive2 forecast itself.

    Raises
    ------
    TypeError, ValueError
        As in `mase`; also if the Naive2 forecast has no error at all.

    References
    ----------
    Makridakis, Spiliotis, Assimakopoulos, "The M4 Competition: 100,000 time series and 61 forecasting methods", IJF 36
    (2020).

    Examples
    --------
    >>> from tsrec.metrics import owa
    >>> owa([2.0], [3.0], [4.0], y_train=[1.0, 2.0])
    0.55
    """
    truth = read(y_true, "y_true")
    scale = scale_of(truth, y_train, scale, season)[truth.codes]

    def both(forecast: Any, argument: str) -> np.ndarray:
        values = like(truth, forecast, argument)
        scaled = averaged(np.abs(truth.values - values) / scale, truth, "series")
        percent = averaged(percentage_errors(truth.values, values), truth, "series")
        return np.array([percent, scaled])

    reference = both(y_naive2, "y_naive2")
    if not reference.all():
        raise ValueError("y_naive2: it has no error at all, so nothing can be relative to it. Give another forecast.")
    return float(np.mean(both(y_pred, "y_pred") / reference))
