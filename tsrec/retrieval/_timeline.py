"""From what is said of labels in each step to stretches of them: the most likely sequence."""

import numba
import numpy as np

from tsrec.kernels._numba import OPTIONS


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
