"""Windows unlike the others of their series."""

from typing import NamedTuple

import numpy as np

from tsrec.retrieval._corpus import Corpus
from tsrec.retrieval._windows import Windows

# What the median absolute deviation of a normal variable is multiplied by, to be its standard deviation.
_NORMAL = 1.4826


class Unusual(NamedTuple):
    """Windows, the most unusual first; arrays of shape (n,): series, first rows, lengths in rows, deviations."""

    series: np.ndarray
    rows: np.ndarray
    scales: np.ndarray
    scores: np.ndarray


def unusual_windows(windows: Windows, corpus: Corpus, low: np.ndarray, high: np.ndarray, k: int) -> Unusual:
    """Find windows of the longest scale, none of which overlap, that are farthest from the middle of their series.

    Parameters
    ----------
    windows : Windows
        Of all series.
    corpus : Corpus
        The series.
    low, high : int64 arrays of shape (n_series,)
        Rows of each that windows may cover, the end excluded.
    k : int
        How many at most.

    Returns
    -------
    Unusual
    """
    parts = [np.empty((0, 4))]
    for number in np.flatnonzero(high > low):
        for scale in reversed(windows.scales):
            _, series, rows = windows.of(scale)
            mine = np.flatnonzero(series == number)
            if len(mine):
                score = _deviations(windows.features(corpus, scale, mine))
                open_ = (rows[mine] >= low[number]) & (rows[mine] + scale <= high[number])
                first, score = rows[mine][open_], score[open_]
                best = _apart(first, score, scale, k)
                one = np.ones(len(best))
                parts.append(np.stack([one * number, first[best], one * scale, score[best]], axis=1))
                break
    found = np.concatenate(parts)
    found = found[np.argsort(-found[:, 3], kind="stable")[:k]]
    series, rows, scales = found[:, :3].astype(np.int64).T
    return Unusual(series, rows, scales, found[:, 3])


def _deviations(x: np.ndarray) -> np.ndarray:
    """Distance of each row from the median of all in robust deviations, root mean square over columns that vary."""
    off = np.abs(x - np.median(x, axis=0)).astype(np.float64)
    spread = _NORMAL * np.median(off, axis=0)
    varies = spread > 0
    return np.sqrt(((off[:, varies] / spread[varies]) ** 2).mean(axis=1)) if varies.any() else np.zeros(len(x))


def _apart(rows: np.ndarray, score: np.ndarray, scale: int, k: int) -> list[int]:
    """The `k` best windows that do not overlap."""
    kept: list[int] = []
    for one in np.argsort(-score, kind="stable"):
        if len(kept) == k:
            break
        if all(abs(rows[one] - rows[other]) >= scale for other in kept):
            kept.append(int(one))
    return kept
