"""Detected intervals against true ones, each counted once."""

from typing import Any

import numpy as np

from tsrec.metrics._detected import check_values, flags, rows_like, runs, starts_of_series


def event_f1(y_true: Any, y_pred: Any, *, overlap: float = 0.0) -> float:
    """F1 of events: runs of alarms against runs of labelled rows, each of which counts once, however long.

    A run is right if it shares rows with one of the other side. No row is added to an alarm: the point-adjusted F1 that
    many papers report counts all rows of a true run as found with the first, and a random detector does well by it.

    Parameters
    ----------
    y_true : Series, DataFrame or array of shape (n_rows,)
        True or 1 in the rows of anomalies. With a MultiIndex (series, time) runs end with their series.
    y_pred : Series, DataFrame or array of shape (n_rows,)
        True or 1 in the rows of alarms, in the container of y_true: ``detector.predict(X) == -1``. NaN counts as no
        alarm.
    overlap : float
        How much two runs must share to be the same: their rows in common over the rows of both (IoU) must be more than
        0, and at least this.

    Returns
    -------
    float
        ``2 P R / (P + R)``, with P the share of runs of alarms that are right and R the share of true runs that were
        found; 0 where either side has no run.

    Raises
    ------
    ValueError
        If there is more than one column, if values are not 0 or 1, or if `overlap` is not a share.

    References
    ----------
    Kim, Choi, Choi, Lee and Yoon (2022), Towards a rigorous evaluation of time-series anomaly detection, AAAI: why
    adjusted points mislead.

    Examples
    --------
    >>> event_f1([0, 1, 1, 1, 0, 0, 1, 0], [0, 0, 1, 0, 0, 1, 0, 0])
    0.5
    >>> event_f1([0, 1, 1, 1, 0, 0, 1, 0], [0, 0, 1, 0, 0, 1, 0, 0], overlap=0.5)
    0.0
    """
    if not 0 <= overlap <= 1:
        raise ValueError(f"overlap: found {overlap!r}. Give a share between 0 and 1.")
    truth = flags(y_true, "y_true")
    alarm = rows_like(truth, y_pred, "y_pred")
    check_values(alarm, "y_pred")
    order, _, _ = starts_of_series(truth)
    series = truth.codes[order]
    begin, end = runs(truth.values[order, 0] > 0, series)
    first, last = runs(np.nan_to_num(alarm[order]) > 0, series)
    if not len(begin) or not len(first):
        return 0.0
    # Runs of one side do not overlap, so the partners of each lie together.
    low = np.searchsorted(last, begin, side="right")
    high = np.searchsorted(first, end, side="left")
    count = np.maximum(high - low, 0)
    mine = np.repeat(np.arange(len(begin)), count)
    other = np.arange(len(mine)) - np.repeat(np.cumsum(count) - count, count) + np.repeat(low, count)
    shared = np.minimum(end[mine], last[other]) - np.maximum(begin[mine], first[other])
    whole = np.maximum(end[mine], last[other]) - np.minimum(begin[mine], first[other])
    same = (shared > 0) & (shared >= overlap * whole)
    recall = len(np.unique(mine[same])) / len(begin)
    precision = len(np.unique(other[same])) / len(first)
    return 2 * precision * recall / (precision + recall) if same.any() else 0.0
