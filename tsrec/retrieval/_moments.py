"""Means and norms of all windows of a series, without the subtraction that loses digits."""

from typing import NamedTuple

import numba
import numpy as np

from tsrec.kernels._numba import OPTIONS


class Moments(NamedTuple):
    """Of every window of m samples of a series (n,).

    Attributes
    ----------
    mean : float64 array of shape (n - m + 1,)
    norm : float64 array of shape (n - m + 1,)
        Root of the sum of squares about the mean; exactly 0 where all samples are equal, NaN where one is not finite.
    """

    mean: np.ndarray
    norm: np.ndarray


def moments(x: np.ndarray, m: int) -> Moments:
    """Means and norms of the windows of m samples.

    A window is the end of one stretch of m samples and the beginning of the next: moments of both are sums of positive
    terms about a sample nearby (Chan et al. 1979), so that neither a level of 1e9 nor a spike that has left the window
    costs digits.

    Parameters
    ----------
    x : float64 array of shape (n,)
        The series; NaN where missing.
    m : int
        Samples of a window, at most n.

    Returns
    -------
    Moments

    Examples
    --------
    >>> moments(np.array([1.0, 3.0, 3.0, np.nan]), 2)
    Moments(mean=array([ 2.,  3., nan]), norm=array([1.41421356, 0.        ,        nan]))
    """
    count = len(x) - m + 1
    mean, norm = np.empty(count), np.empty(count)
    _moments(np.ascontiguousarray(x), m, mean, norm)
    return Moments(mean, norm)


@numba.njit(nogil=True, **{**OPTIONS, "fastmath": False})
def _moments(x: np.ndarray, m: int, mean: np.ndarray, norm: np.ndarray) -> None:
    n = len(x)
    count = n - m + 1
    tail_mean, tail_square = np.empty(m), np.empty(m)
    for first in range(0, count, m):
        _of_ends(x, first, m, tail_mean, tail_square)
        # Each about a sample that all its windows have, so that no other can spoil them.
        near = x[first + m - 1]
        far = x[min(first + m, n - 1)]
        head, square = 0.0, 0.0
        for r in range(min(m, count - first)):
            if r > 0:
                step = (x[first + m + r - 1] - far) - head
                head += step / r
                square += step * ((x[first + m + r - 1] - far) - head)
            rest = m - r
            gap = (head - tail_mean[r]) + (far - near)
            share = r / m
            mean[first + r] = near + tail_mean[r] + (gap * share if r else 0.0)
            total = tail_square[r] + square + gap * gap * rest * share if r else tail_square[r]
            norm[first + r] = np.sqrt(total)
    _mark(x, m, mean, norm)


@numba.njit(nogil=True, **{**OPTIONS, "fastmath": False})
def _of_ends(x: np.ndarray, first: int, m: int, mean: np.ndarray, square: np.ndarray) -> None:
    """Means and sums of squares of the samples from each on to the end of a stretch, about its last."""
    near, a, b = x[first + m - 1], 0.0, 0.0
    for r in range(m - 1, -1, -1):
        step = (x[first + r] - near) - a
        a += step / (m - r)
        b += step * ((x[first + r] - near) - a)
        mean[r], square[r] = a, b


@numba.njit(nogil=True, **{**OPTIONS, "fastmath": False})
def _mark(x: np.ndarray, m: int, mean: np.ndarray, norm: np.ndarray) -> None:
    """Windows of equal samples have the norm 0, those with a sample that is not finite NaN."""
    n = len(x)
    equal, finite = 0, 0
    for i in range(n - 1, -1, -1):
        if not np.isfinite(x[i]):
            equal = finite = 0
        else:
            finite += 1
            equal = equal + 1 if equal and x[i] == x[i + 1] else 1
        if i <= n - m:
            if finite < m:
                mean[i] = norm[i] = np.nan
            elif equal >= m:
                mean[i], norm[i] = x[i], 0.0
            else:
                # Squares of differences near the smallest number may have vanished.
                norm[i] = max(norm[i], 1e-150)
