"""Metrics as scikit-learn scorers: functions (estimator, X, y) for ``scoring=``, negated so that greater is better.

A forecaster fitted on a frame alone is scored without y; then X holds the true values.
"""

from typing import Any

from sklearn.pipeline import Pipeline

from tsrec.metrics._point import mae, rmse, smape
from tsrec.metrics._scaled import mase


def mae_scorer(estimator: Any, X: Any, y: Any = None) -> float:
    """Minus the mean absolute error of ``estimator.predict(X)``.

    Parameters
    ----------
    estimator : fitted forecaster or regressor
        Has ``predict(X)``.
    X : DataFrame or array
        What to predict from, or the true values themselves when y is omitted.
    y : Series, DataFrame or array, optional
        The true values.

    Returns
    -------
    float
        In the unit of y, at most 0.

    Examples
    --------
    >>> from sklearn.dummy import DummyRegressor
    >>> from tsrec.metrics import mae_scorer
    >>> mae_scorer(DummyRegressor().fit([[0], [0]], [1.0, 3.0]), [[0]], [5.0])
    -3.0
    """
    return -_float(mae(_truth(X, y), estimator.predict(X)))


def rmse_scorer(estimator: Any, X: Any, y: Any = None) -> float:
    """Minus the root mean squared error of ``estimator.predict(X)``.

    Parameters
    ----------
    estimator : fitted forecaster or regressor
        As in `mae_scorer`.
    X : DataFrame or array
        As in `mae_scorer`.
    y : Series, DataFrame or array, optional
        As in `mae_scorer`.

    Returns
    -------
    float
        In the unit of y, at most 0.

    Examples
    --------
    >>> from sklearn.dummy import DummyRegressor
    >>> from tsrec.metrics import rmse_scorer
    >>> rmse_scorer(DummyRegressor().fit([[0], [0]], [1.0, 3.0]), [[0]], [5.0])
    -3.0
    """
    return -_float(rmse(_truth(X, y), estimator.predict(X)))


def smape_scorer(estimator: Any, X: Any, y: Any = None) -> float:
    """Minus the sMAPE of ``estimator.predict(X)``.

    Parameters
    ----------
    estimator : fitted forecaster or regressor
        As in `mae_scorer`.
    X : DataFrame or array
        As in `mae_scorer`.
    y : Series, DataFrame or array, optional
        As in `mae_scorer`.

    Returns
    -------
    float
        In percent, between -200 and 0.

    Examples
    --------
    >>> from sklearn.dummy import DummyRegressor
    >>> from tsrec.metrics import smape_scorer
    >>> smape_scorer(DummyRegressor().fit([[0], [0]], [1.0, 3.0]), [[0]], [6.0])
    -100.0
    """
    return -_float(smape(_truth(X, y), estimator.predict(X)))


def mase_scorer(estimator: Any, X: Any, y: Any = None) -> float:
    """Minus the MASE of ``estimator.predict(X)``, scaled by the data that the estimator was fitted on.

    A scorer never sees the training series, so the fitted forecaster is asked for its scale, ``naive_scale()``. Series
    without a scale, or with the scale 0 (they repeat themselves exactly), are left out.

    Parameters
    ----------
    estimator : fitted forecaster, or Pipeline that ends in one
        Has ``naive_scale()``: the in-sample mean absolute error of the seasonal naive forecast, a frame with a row per
        series and a column per variable.
    X : DataFrame or array
        What to predict from, or the true values themselves when y is omitted.
    y : Series, DataFrame or array, optional
        The true values.

    Returns
    -------
    float
        Without unit, at most 0.

    Raises
    ------
    TypeError
        If the estimator has no ``naive_scale()``.

    Examples
    --------
    >>> import numpy as np
    >>> from tsrec.metrics import mase_scorer
    >>> class Last:
    ...     def predict(self, X):
    ...         return np.full(len(X), 4.0)
    ...
    ...     def naive_scale(self):
    ...         return 2.0
    >>> mase_scorer(Last(), [[0], [0]], [5.0, 6.0])
    -0.75
    """
    final = estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator
    if not hasattr(final, "naive_scale"):
        raise TypeError(
            f"estimator: {type(final).__name__} has no naive_scale(), the scale of MASE. Score a forecaster of tsrec, "
            "or a Pipeline that ends in one; elsewhere use mae_scorer."
        )
    scale = final.naive_scale()
    positive = scale.where(scale > 0) if hasattr(scale, "where") else scale
    return -_float(mase(_truth(X, y), estimator.predict(X), scale=positive))


def _truth(X: Any, y: Any) -> Any:
    return X if y is None else y


def _float(score: Any) -> float:
    return float(score)
