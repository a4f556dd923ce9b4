"""From what windows say of labels to a table of events: evidence on a grid of steps, and the most likely sequence."""

from collections.abc import Sequence
from typing import NamedTuple

import numba
import numpy as np

from tsrec.kernels._numba import OPTIONS


class Opinion(NamedTuple):
    """What the windows of a scale say of labels.

    Attributes
    ----------
    scale : int
        Rows of a window.
    rows : int64 array of shape (n_windows,)
        First rows.
    log_odds : float64 array of shape (n_windows, n_labels)
        Logarithms of the likelihoods of the labels, up to a number for each window.
    """

    scale: int
    rows: np.ndarray
    log_odds: np.ndarray


def evidence(opinions: Sequence[Opinion], length: int, grain: int) -> np.ndarray:
    """Log likelihood of every label in each step of `grain` rows.

    A window of w rows speaks for all its steps alike, for each with a share of grain / w; what overlapping windows say
    of a step is averaged, and so is what the scales say, as they have seen the same samples.

    Parameters
    ----------
    opinions : sequence of Opinion
        Of one series, a scale each.
    length : int
        Rows of the series.
    grain : int
        Rows of a step.

    Returns
    -------
    float64 array of shape (n_steps, n_labels)
        Zeros where no window lies.
    """
    steps = -(-length // grain)
    n_labels = opinions[0].log_odds.shape[1]
    total, seen = np.zeros((steps, n_labels)), np.zeros((steps, 1))
    for scale, rows, log_odds in opinions:
        edges, count = np.zeros((steps + 1, n_labels)), np.zeros((steps + 1, 1))
        first = rows // grain
        last = np.minimum(-(-(rows + scale) // grain), steps)
        share = log_odds * (grain / scale)
        np.add.at(edges, first, share)
        np.add.at(edges, last, -share)
        np.add.at(count, first, 1.0)
        np.add.at(count, last, -1.0)
        count = np.cumsum(count[:-1], axis=0)
        covered = count > 0.5
        total += np.where(covered, np.cumsum(edges[:-1], axis=0) / np.maximum(count, 1.0), 0.0)
        seen += covered
    return total / np.maximum(seen, 1.0)


def most_likely(log_likelihood: np.ndarray, stay: np.ndarray) -> np.ndarray:
    """The most likely sequence of labels, each of which lasts for a while (Viterbi 1967).

    Parameters
    ----------
    log_likelihood : float64 array of shape (n_steps, n_labels)
        Of each label in each step.
    stay : float64 array of shape (n_labels,)
        Probability that a label is there in the next step too; any other is as likely as the next.

    Returns
    -------
    int64 array of shape (n_steps,)
    """
    n_labels = log_likelihood.shape[1]
    if n_labels == 1:
        return np.zeros(len(log_likelihood), np.int64)
    change = np.log((1 - stay) / (n_labels - 1))
    return _viterbi(np.ascontiguousarray(log_likelihood), np.log(stay), change)


@numba.njit(nogil=True, **OPTIONS)
def _viterbi(likelihood: np.ndarray, stay: np.ndarray, change: np.ndarray) -> np.ndarray:
    n, k = likelihood.shape
    # A change comes from the label that is best left, the same for all others.
    came = np.empty((n, k), np.int64)
    score = likelihood[0].copy()
    for t in range(1, n):
        best, second = -1, -1
        for j in range(k):
            if best < 0 or score[j] + change[j] > score[best] + change[best]:
                best, second = j, best
            elif second < 0 or score[j] + change[j] > score[second] + change[second]:
                second = j
        left, other = score[best] + change[best], score[second] + change[second]
        for j in range(k):
            enter = other if j == best else left
            kept = score[j] + stay[j]
            if kept >= enter:
                came[t, j] = j
            else:
                came[t, j] = second if j == best else best
            # Written behind: the others still need the old ones, but only through best and second.
            score[j] = max(kept, enter) + likelihood[t, j]
    path = np.empty(n, np.int64)
    path[n - 1] = np.argmax(score)
    for t in range(n - 1, 0, -1):
        path[t - 1] = came[t, path[t]]
    return path


def runs(path: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Stretches of equal labels: their first steps, the steps after their last, their labels."""
    first = np.flatnonzero(np.append(True, path[1:] != path[:-1]))
    return first, np.append(first[1:], len(path)), path[first]
