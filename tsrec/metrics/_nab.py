"""The score of the Numenta anomaly benchmark: alarms count by how early in an anomaly they come.

Lavin and Ahmad (2015), Evaluating real-time anomaly detection algorithms: the Numenta anomaly benchmark,
arXiv 1510.03336, section III; Ahmad, Lavin, Purdy and Agha (2017), Neurocomputing 262.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit

from tsrec.metrics._align import Table
from tsrec.metrics._detected import check_values, flags, rows_like, runs, starts_of_series

# Rows of the probation period at most, for the share that the benchmark gives to it: 750 of 5000 rows.
_PROBATION_OF = 5000


@dataclass(frozen=True)
class _Profile:
    """What a detected window, a false alarm and a missed window are worth."""

    detected: float
    false: float
    missed: float


_PROFILES = {
    "standard": _Profile(1.0, 0.11, 1.0),
    "reward_low_FP": _Profile(1.0, 0.22, 1.0),
    "reward_low_FN": _Profile(1.0, 0.11, 2.0),
}


@dataclass(frozen=True, eq=False)
class _Rows:
    """What an alarm in each row is worth, before the weights of a profile.

    Attributes
    ----------
    judged : bool array of shape (n_rows,)
        False in the probation period.
    window : int array of shape (n_rows,)
        Number of the window that a row lies in, -1 outside.
    worth : float array of shape (n_rows,)
        Inside a window how early the alarm is, from 1 down to about 0; outside from 0 down to -1.
    n_windows : int
        Windows that count: those with a row after the probation period.
    """

    judged: np.ndarray
    window: np.ndarray
    worth: np.ndarray
    n_windows: int


def nab_score(y_true: Any, y_pred: Any, *, profile: str = "standard", probation: float = 0.15) -> float:
    """Score of the Numenta anomaly benchmark: 100 for the perfect detector, 0 for one that never raises an alarm.

    Each run of labelled rows is one window. The first alarm inside a window earns up to 1, by how early it comes; other
    alarms inside earn nothing; a window without one costs; an alarm outside costs, less when it comes shortly after a
    window.

    Parameters
    ----------
    y_true : Series, DataFrame or array of shape (n_rows,)
        True or 1 in the rows of anomalies. With a MultiIndex (series, time) each series is scored by itself and the
        scores are added up before they are normalised, as the benchmark does with its files.
    y_pred : Series, DataFrame or array of shape (n_rows,)
        True or 1 in the rows of alarms, in the container of y_true: ``detector.predict(X) == -1``. NaN counts as no
        alarm.
    profile : {"standard", "reward_low_FP", "reward_low_FN"}
        Weights: a false alarm costs 0.11 (0.22 with the second), a missed window 1 (2 with the third).
    probation : float
        Share of the first rows of each series that are not judged; no more than this share of 5000 rows, which are 750.

    Returns
    -------
    float
        At most 100; below 0 where alarms do more harm than good.

    Raises
    ------
    ValueError
        If no window is labelled after the probation period, if there is more than one column, or if values are not 0
        or 1.

    Notes
    -----
    With the sigmoid ``s(y) = 2 / (1 + exp(5 y)) - 1``, an alarm in row i of a window of w rows that ends in row r earns
    ``s(-(r - i + 1) / w) / s(-1)``. Outside, i rows after the end of the last window of w rows, it costs
    ``-s(i / (w - 1))``, and 1 from three times the width of the window on, or where there was none before. The
    normalised score is ``100 (S - S_null) / (S_perfect - S_null)``.

    References
    ----------
    Lavin and Ahmad (2015), Evaluating real-time anomaly detection algorithms: the Numenta anomaly benchmark,
    arXiv 1510.03336.

    Examples
    --------
    >>> truth = [0, 0, 0, 0, 0, 0, 1, 1, 1, 1]
    >>> nab_score(truth, [0, 0, 0, 0, 0, 0, 1, 0, 0, 0])
    100.0
    >>> nab_score(truth, [0, 0, 1, 0, 0, 0, 1, 0, 0, 0])
    94.5
    """
    weights = _weights(profile)
    truth = flags(y_true, "y_true")
    rows = _worth(truth, probation)
    alarm = rows_like(truth, y_pred, "y_pred")
    check_values(alarm, "y_pred")
    alarm = (np.nan_to_num(alarm) > 0) & rows.judged
    return _normalised(_total(rows, alarm, weights), rows, weights)


def nab_threshold(
    y_true: Any, anomaly_score: Any, *, profile: str = "standard", probation: float = 0.15
) -> tuple[float, float]:
    """The threshold of an anomaly score with the best `nab_score`: one for all series, as the benchmark chooses it.

    Parameters
    ----------
    y_true : Series, DataFrame or array of shape (n_rows,)
        As in `nab_score`.
    anomaly_score : Series, DataFrame or array of shape (n_rows,)
        High where a row is odd: ``-detector.score_samples(X)``. NaN raises no alarm.
    profile : {"standard", "reward_low_FP", "reward_low_FN"}
        As in `nab_score`.
    probation : float
        As in `nab_score`.

    Returns
    -------
    threshold : float
        Alarms are the rows with a score of at least this much; infinity if no alarm is better than any.
    score : float
        The `nab_score` of these alarms.

    Raises
    ------
    ValueError
        As in `nab_score`.

    Examples
    --------
    >>> nab_threshold([0, 0, 0, 0, 1, 1], [0.1, 0.2, 0.1, 0.3, 0.9, 0.2])
    (0.9, 100.0)
    """
    weights = _weights(profile)
    truth = flags(y_true, "y_true")
    rows = _worth(truth, probation)
    score = rows_like(truth, anomaly_score, "anomaly_score")
    judged = np.flatnonzero(rows.judged & ~np.isnan(score))
    judged = judged[np.argsort(-score[judged], kind="stable")]
    gain = np.zeros(len(judged))
    outside = rows.window[judged] < 0
    gain[outside] = rows.worth[judged[outside]] * weights.false
    # In each window the best of the alarms so far counts; the first takes the miss away as well.
    by_window = np.flatnonzero(~outside)[np.argsort(rows.window[judged[~outside]], kind="stable")]
    edges = np.flatnonzero(np.diff(rows.window[judged[by_window]])) + 1
    for part in np.split(by_window, edges) if len(by_window) else []:
        best = np.maximum.accumulate(rows.worth[judged[part]]) * weights.detected
        gain[part] = np.diff(best, prepend=-weights.missed)
    totals = np.cumsum(gain) - rows.n_windows * weights.missed
    # Rows of the same score raise their alarms together.
    ordered = score[judged]
    last = np.flatnonzero(np.r_[ordered[1:] != ordered[:-1], np.full(min(len(ordered), 1), True)])
    if not len(last) or totals[last].max() <= -rows.n_windows * weights.missed:
        return float("inf"), 0.0
    chosen = last[int(totals[last].argmax())]
    return float(score[judged[chosen]]), _normalised(float(totals[chosen]), rows, weights)


def _weights(profile: str) -> _Profile:
    if profile not in _PROFILES:
        raise ValueError(f"profile: found {profile!r}. Give one of {tuple(_PROFILES)}.")
    return _PROFILES[profile]


def _worth(truth: Table, probation: float) -> _Rows:
    """What an alarm in each row is worth; refuses labels of which nothing is judged."""
    if not 0 <= probation < 1:
        raise ValueError(f"probation: found {probation!r}. Give a share from 0 on, below 1.")
    label = truth.values[:, 0] > 0
    order, first, length = starts_of_series(truth)
    at = np.arange(len(label)) - np.repeat(first, length)
    judged = at >= np.repeat(np.minimum(np.floor(probation * length), np.floor(probation * _PROBATION_OF)), length)
    label = label[order]
    start, stop = runs(label, truth.codes[order])
    end, width = stop - 1, stop - start
    latest = np.searchsorted(start, np.arange(len(label)), side="right") - 1
    window = np.where(label, latest, -1)
    worth = np.full(len(label), -1.0)
    i = np.flatnonzero(label)
    worth[i] = _sigmoid(-(end[window[i]] - i + 1) / width[window[i]]) / _sigmoid(-1.0)
    # The latest window may be one of an earlier series.
    after = np.flatnonzero(~label & (latest >= 0))
    after = after[end[latest[after]] >= (after - at[after])]
    past = (after - end[latest[after]]) / np.maximum(width[latest[after]] - 1, 1)
    worth[after] = np.where(past < 3, _sigmoid(past), -1.0)
    counted = np.unique(window[label & judged])
    if not len(counted):
        raise ValueError("y_true: no row is labelled after the probation period. There is nothing to detect.")
    back = np.argsort(order)
    return _Rows(judged[back], window[back], worth[back], len(counted))


def _sigmoid(place: Any) -> Any:
    return 2 * expit(-5 * np.asarray(place)) - 1


def _total(rows: _Rows, alarm: np.ndarray, weights: _Profile) -> float:
    outside = rows.worth[alarm & (rows.window < 0)].sum() * weights.false
    inside = np.flatnonzero(alarm & (rows.window >= 0))
    best = np.full(rows.window.max() + 1, -np.inf)
    np.maximum.at(best, rows.window[inside], rows.worth[inside])
    found = best > -np.inf
    return float(outside + best[found].sum() * weights.detected - (rows.n_windows - found.sum()) * weights.missed)


def _normalised(total: float, rows: _Rows, weights: _Profile) -> float:
    null, perfect = -rows.n_windows * weights.missed, rows.n_windows * weights.detected
    return float(100 * (total - null) / (perfect - null))
