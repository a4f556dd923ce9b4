"""Embeddings without training: the first Fourier coefficients of windows brought to mean 0 and norm 1.

The transform is orthonormal, so that the distance of embeddings, times the root of the window's length, is never
greater than the z-normalised distance of the windows (Agrawal et al. 1993; Rafiei and Mendelzon 1997 count each
coefficient for its conjugate too).
"""

import numpy as np
from scipy import fft

from tsrec.retrieval._moments import moments

# Samples transformed at a time.
_AT_A_TIME = 1 << 18


def fourier_embeddings(values: np.ndarray, m: int, starts: np.ndarray, n_features: int) -> np.ndarray:
    """Embed windows of m samples.

    Parameters
    ----------
    values : float64 array of shape (n, C)
        The series; the windows are to be free of missing samples.
    m : int
        Samples of a window.
    starts : int64 array of shape (n_windows,)
        Where the windows begin.
    n_features : int
        Numbers per channel: real and imaginary parts of the first frequencies above zero.

    Returns
    -------
    float32 array of shape (n_windows, C * n_features)
        A channel after another, each a vector of norm 1 at most, over the root of C; zeros where a window is constant,
        or has fewer frequencies.
    """
    n_channels = values.shape[1]
    found = np.zeros((len(starts), n_channels, n_features), dtype=np.float32)
    size = max(_AT_A_TIME // m, 1)
    for channel in range(n_channels):
        x = np.ascontiguousarray(values[:, channel])
        known = moments(x, m)
        windows = np.lib.stride_tricks.sliding_window_view(x, m)
        for first in range(0, len(starts), size):
            some = starts[first : first + size]
            norm = known.norm[some] * np.sqrt(n_channels)
            scale = 1 / np.where(norm > 0, norm, np.inf)
            units = (windows[some] - known.mean[some, None]) * scale[:, None]
            found[first : first + size, channel] = _coefficients(units, n_features)
    return found.reshape(len(starts), -1)


def _coefficients(units: np.ndarray, n_features: int) -> np.ndarray:
    m = units.shape[1]
    spectrum = fft.rfft(units, axis=1, norm="ortho")[:, 1 : n_features // 2 + 1]
    # Each stands for its conjugate too; the fastest of an even length has none.
    weights = np.full(spectrum.shape[1], np.sqrt(2.0))
    if m % 2 == 0 and spectrum.shape[1] == m // 2:
        weights[-1] = 1.0
    parts = np.zeros((len(units), n_features))
    parts[:, 0 : 2 * spectrum.shape[1] : 2] = spectrum.real * weights
    parts[:, 1 : 2 * spectrum.shape[1] : 2] = spectrum.imag * weights
    return parts
