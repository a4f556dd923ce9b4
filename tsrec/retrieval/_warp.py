"""Windows faster and slower than a query: uniform scaling, by linear interpolation."""

import numba
import numpy as np

from tsrec.kernels._numba import OPTIONS

# From 0.8 to 1.25 in equal ratios.
FACTORS = tuple(1.25 ** (step / 3) for step in range(-3, 4))


def warped(query: np.ndarray, factors: tuple[float, ...] = FACTORS) -> list[np.ndarray]:
    """Stretch a query to several lengths.

    Parameters
    ----------
    query : float64 array of shape (m, C)
        At least 2 samples.
    factors : tuple of float
        Lengths as shares of m; each is rounded to whole samples, 2 at least.

    Returns
    -------
    list of float64 array of shape (length, C)
        One for each length, shortest first; that of m samples is the query itself.

    References
    ----------
    Keogh, Palpanas, Zordan, Gunopulos and Cardle: Indexing large human-motion databases. VLDB 2004.

    Examples
    --------
    >>> [len(one) for one in warped(np.zeros((100, 1)))]
    [80, 86, 93, 100, 108, 116, 125]
    """
    lengths = sorted({max(round(len(query) * factor), 2) for factor in factors})
    return [resampled(query, length) for length in lengths]


def resampled(window: np.ndarray, length: int) -> np.ndarray:
    """Samples of a window at `length` times, evenly from its first sample to its last.

    Parameters
    ----------
    window : float64 array of shape (m, C)
        A sample next to a missing one may come out as missing.
    length : int
        Samples wanted; of a single one, the first sample of the window is taken.

    Returns
    -------
    float64 array of shape (length, C)
    """
    found = np.empty((window.shape[1], length))
    _resample(window, 0, len(window), found)
    return np.ascontiguousarray(found.T)


@numba.njit(nogil=True, **{**OPTIONS, "fastmath": False})
def take(values: np.ndarray, start: int, length: int, out: np.ndarray) -> bool:
    """Write a window of a long array (n, C), resampled and standardised, to `out` (C, m), and say if it is finite.

    What is written has mean 0 and standard deviation 1 in every channel; constant channels are zeros.
    """
    finite = True
    for t in range(start, start + length):
        for channel in range(len(out)):
            finite &= np.isfinite(values[t, channel])
    if not finite:
        return False
    _resample(values, start, length, out)
    for channel in range(len(out)):
        row = out[channel]
        # About a sample first: at a level of 1e9, the mean itself has an error of 1e-7.
        first = row[0]
        for t in range(len(row)):
            row[t] -= first
        finite &= _standardise(row)
    return finite


@numba.njit(nogil=True, **{**OPTIONS, "fastmath": False})
def _resample(values: np.ndarray, start: int, length: int, out: np.ndarray) -> None:
    n_channels, m = out.shape
    if length == m:
        for channel in range(n_channels):
            for t in range(m):
                out[channel, t] = values[start + t, channel]
        return
    for t in range(m):
        # Whole numbers keep both ends exact.
        whole, rest = divmod(t * (length - 1), max(m - 1, 1))
        share = rest / max(m - 1, 1)
        for channel in range(n_channels):
            here = values[start + whole, channel]
            step = values[start + whole + 1, channel] - here if rest else 0.0
            out[channel, t] = here + share * step


@numba.njit(nogil=True, **OPTIONS)
def _standardise(row: np.ndarray) -> bool:
    """Give a row that begins with 0 mean 0 and standard deviation 1, or zeros; say if it is finite."""
    m = len(row)
    total = 0.0
    for t in range(m):
        total += row[t]
    mean, square, different = total / m, 0.0, 0
    for t in range(m):
        different += row[t] != 0
        row[t] -= mean
        square += row[t] * row[t]
    # Below the smallest squares a standard deviation cannot be told from zero.
    factor = 1 / np.sqrt(square / m) if different and square > 0 else 0.0
    # Not by isfinite, whose difference of a number and itself LLVM may reorder away here.
    if not square < np.inf:
        return False
    for t in range(m):
        row[t] *= factor
    return True
