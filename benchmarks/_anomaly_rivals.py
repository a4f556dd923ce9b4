"""Detectors: ours, a forest of isolation trees, and discords; each gives scores (high is odd) and its own threshold."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
import stumpy
from _anomaly_data import File
from sklearn.ensemble import IsolationForest
from sklearn.preprocessing import StandardScaler

import tsrec

# Scores of every row, and alarms by the detector's own threshold.
Found = tuple[np.ndarray, np.ndarray]
Detector = Callable[[File], Found]


def ours(file: File, forecaster: str = "default", **options: object) -> Found:
    """An AnomalyDetector that is fitted on the first rows."""
    known = {
        "default": lambda: None,
        "naive": tsrec.SeasonalNaiveForecaster,
        "mean": lambda: tsrec.SeasonalMeanForecaster(season=1, context=100),
    }
    model = tsrec.AnomalyDetector(known[forecaster](), random_state=0, **options).fit(file.rows[: file.learned])
    score = -model.score_samples(file.rows).to_numpy()
    return score, score > -model.offset_


def _smooth(score: np.ndarray, rows: int) -> np.ndarray:
    return pd.Series(score).rolling(rows, min_periods=1).mean().to_numpy()


def _windows(file: File, length: int) -> np.ndarray:
    """The last rows up to each, standardised by the rows that are learned from, (n, length * channels)."""
    values = StandardScaler().fit(file.rows[: file.learned].to_numpy()).transform(file.rows.to_numpy())
    padded = np.concatenate([np.repeat(values[:1], length - 1, axis=0), values])
    return np.lib.stride_tricks.sliding_window_view(padded, length, axis=0).reshape(len(values), -1)


def forest(file: File, length: int, whole: bool = False, smoothing: int = 1) -> Found:
    """IsolationForest over windows; `whole` lets it learn from all rows, those to come included."""
    X = _windows(file, length)
    model = IsolationForest(random_state=0).fit(X if whole else X[: file.learned])
    score = _smooth(-model.score_samples(X), smoothing)
    return score, score > -model.offset_


def discords(file: File, length: int, smoothing: int = 1) -> Found:
    """Distance of each window to the nearest before it (stumpy's left matrix profile), mean over channels.

    A discord has no threshold of its own: it takes the highest distance among the rows that are learned from.
    """
    values = file.rows.interpolate(limit_direction="both").to_numpy()
    values = values / np.maximum(values[: file.learned].std(axis=0), 1e-9)
    found = np.zeros(values.shape)
    for channel, column in enumerate(values.T):
        left = stumpy.aamp(column, length)[:, 2].astype(int)
        pieces = np.lib.stride_tricks.sliding_window_view(column, length)
        gap = np.sqrt(((pieces - pieces[left]) ** 2).sum(axis=1))
        found[length - 1 :, channel] = np.where(left >= 0, gap, 0.0)
    score = _smooth(found.mean(axis=1), smoothing)
    return score, score > score[length : file.learned].max()


# What was tried on the tuning half, by family; the best of each is read on the test half.
CANDIDATES: dict[str, dict[str, dict[str, Detector]]] = {
    "nab": {
        "AnomalyDetector, defaults": {"": ours},
        "AnomalyDetector, tuned": {
            f"horizon=64, risk={risk}": partial(ours, horizon=64, risk=risk) for risk in (1e-3, 3e-4)
        },
        "AnomalyDetector, seasonal naive": {
            f"horizon={h}, risk={risk}": partial(ours, forecaster="naive", horizon=h, risk=risk)
            for h, risk in ((1, 1e-3), (64, 1e-3), (64, 3e-4))
        },
        "isolation forest": {f"windows of {w}": partial(forest, length=w) for w in (1, 8)},
        "isolation forest, sees the whole file": {
            f"windows of {w}": partial(forest, length=w, whole=True) for w in (1, 8)
        },
        "stumpy discords": {f"windows of {w}": partial(discords, length=w) for w in (8, 32)},
    },
    "skab": {
        "AnomalyDetector, defaults": {"": ours},
        "AnomalyDetector, tuned": {
            f"{name}, horizon={h}, smoothing=32, no memory, risk=0.01": partial(
                ours, forecaster=name, horizon=h, smoothing=32, memory=None, risk=0.01
            )
            for name, h in (("default", 64), ("mean", 200))
        },
        "AnomalyDetector, seasonal naive": {
            f"horizon=200, smoothing={w}, no memory, risk=0.01": partial(
                ours, forecaster="naive", horizon=200, smoothing=w, memory=None, risk=0.01
            )
            for w in (1, 32)
        },
        "isolation forest": {
            f"windows of {w}, smoothing={s}": partial(forest, length=w, smoothing=s)
            for w, s in ((1, 1), (1, 32), (8, 1), (8, 32))
        },
        "stumpy discords": {
            f"windows of {w}, smoothing={s}": partial(discords, length=w, smoothing=s)
            for w, s in ((8, 1), (8, 32), (32, 1))
        },
    },
}
