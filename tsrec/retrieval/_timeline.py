"""From what is said of labels in each step to stretches of them: the most likely sequence."""

import numba
import numpy as np

from tsrec.kernels._numba import OPTIONS


def most_likely(log_likelihood: np.ndarray, stay: np.ndarray, least: np.ndarray) -> np.ndarray:
    """The most likely sequence of labels, each of which lasts for a while (Viterbi 1967).

    Parameters
    ----------
    log_likelihood : float64 array of shape (n_steps, n_labels)
        Of each label in each step.
    stay : float64 array of shape (n_labels,)
        Probability that a label is there in the next step too; any other is as likely as the next.
    least : int64 array of shape (n_labels,)
        Steps that a stretch of a label has at least, but at either end, where it may be cut off.

    Returns
    -------
    int64 array of shape (n_steps,)
    """
    n, n_labels = log_likelihood.shape
    if n_labels == 1:
        return np.zeros(n, np.int64)
    kept, change = np.log(stay), np.log((1 - stay) / (n_labels - 1))
    within = np.zeros((n + 1, n_labels))
    np.cumsum(log_likelihood + kept, axis=0, out=within[1:])
    return _walked_back(*_viterbi(within, kept, change, least))


# Fast mathematics may take for granted that nothing is infinite.
@numba.njit(nogil=True, **{**OPTIONS, "fastmath": False})
def _viterbi(
    within: np.ndarray, stay: np.ndarray, change: np.ndarray, least: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of every step and label: since when it is there, and from which it came if it began there; scores at the end.

    A stretch is worth what has led to it, without the sum of its label until there, and the sum until its own end.
    """
    n, k = len(within) - 1, within.shape[1]
    began, since, came = np.empty((n, k)), np.zeros((n, k), np.int64), np.zeros((n, k), np.int64)
    began[0] = -stay
    open_, score = began[0].copy(), np.empty(k)
    for t in range(n):
        if t > 0:
            # A change comes from the label that is best left, the same for all others.
            left = score + change
            best = np.argmax(left)
            value = left[best]
            left[best] = -np.inf
            second = np.argmax(left)
            for j in range(k):
                came[t, j] = second if j == best else best
                began[t, j] = (left[second] if j == best else value) - within[t, j] - stay[j]
            since[t] = since[t - 1]
        for j in range(k):
            # At the end, what has begun is cut off.
            newest = t if t == n - 1 else t - least[j] + 1
            for start in range(max(t - least[j] + 1, 1), newest + 1):
                if began[start, j] > open_[j]:
                    open_[j], since[t, j] = began[start, j], start
            score[j] = open_[j] + within[t + 1, j]
    return since, came, score


@numba.njit(nogil=True, **OPTIONS)
def _walked_back(since: np.ndarray, came: np.ndarray, score: np.ndarray) -> np.ndarray:
    path = np.empty(len(since), np.int64)
    label, last = np.argmax(score), len(since) - 1
    while last >= 0:
        first = since[last, label]
        path[first : last + 1] = label
        label, last = came[first, label], first - 1
    return path


def likeliest_run(log_likelihood: np.ndarray, stay: np.ndarray, label: int, least: int) -> tuple[int, int]:
    """The stretch of a label, not a short one, in the most likely of all sequences that have one.

    Parameters
    ----------
    log_likelihood, stay
        As of `most_likely`.
    label : int
        Its number.
    least : int
        Steps that it has at least, where there are as many.

    Returns
    -------
    first, last : int
        Its first step, and the one after its last.
    """
    n, n_labels = log_likelihood.shape
    if n_labels == 1 or least >= n:
        return 0, n
    kept, change, others = np.log(stay), np.log((1 - stay) / (n_labels - 1)), np.arange(n_labels) != label
    # Of the steps before and after: the best sequence that changes to the label, and that the label changes to.
    before = _best_until(np.ascontiguousarray(log_likelihood), kept, change, change)
    after = _best_until(np.ascontiguousarray(log_likelihood[::-1]), kept, change, np.zeros(n_labels))[::-1]
    entered = np.append(0.0, before[:-1, others].max(1))
    left = np.append(after[1:, others].max(1) + change[label], 0.0)
    within = np.append(0.0, np.cumsum(log_likelihood[:, label] + kept[label]))
    began = entered - within[:-1]
    ended = (left + within[1:])[least - 1 :]
    latest = int((np.maximum.accumulate(began)[: len(ended)] + ended).argmax())
    return int(began[: latest + 1].argmax()), latest + least


@numba.njit(nogil=True, **OPTIONS)
def _best_until(likelihood: np.ndarray, stay: np.ndarray, change: np.ndarray, edge: np.ndarray) -> np.ndarray:
    """Score of the best sequence of steps until each that has each label there.

    What it costs to leave a label is counted with the label, for the last one as `edge`: so that the same is right for
    steps in reverse.
    """
    n, k = likelihood.shape
    score = np.empty((n, k))
    score[0] = likelihood[0] + edge
    for t in range(1, n):
        for j in range(k):
            best = score[t - 1, j] + stay[j]
            for i in range(k):
                if i != j:
                    best = max(best, score[t - 1, i] + change[j])
            score[t, j] = best + likelihood[t, j]
    return score


def runs(path: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Stretches of equal labels: their first steps, the steps after their last, their labels."""
    first = np.flatnonzero(np.append(True, path[1:] != path[:-1]))
    return first, np.append(first[1:], len(path)), path[first]
