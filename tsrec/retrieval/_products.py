"""What distances are added up of, window by window: products of transforms, or of samples."""

import numba
import numpy as np

from tsrec.kernels._numba import OPTIONS

# Windows in a tile whose least distance is kept.
TILE = 512


@numba.njit(nogil=True, **OPTIONS)
def add(dots: np.ndarray, hop: int, inverse: np.ndarray, twice: float, total: np.ndarray) -> None:
    """Add squared z-normalised distances, from products of a query of norm 1 with windows."""
    for row in range(len(dots)):
        start = row * hop
        for i in range(start, min(start + hop, len(total))):
            total[i] += twice - twice * min(dots[row, i - start] * inverse[i], 1.0)


@numba.njit(nogil=True, **OPTIONS)
def add_weak(
    x: np.ndarray, low: int, unit: np.ndarray, weak: np.ndarray, mean: np.ndarray, norm: np.ndarray, total: np.ndarray
) -> None:
    """Correct what was added for windows as if they had no correlation with the query."""
    m = len(unit)
    for j in range(len(weak)):
        i = weak[j]
        if norm[j] == 0:
            total[i] -= m
            continue
        dot = 0.0
        for t in range(m):
            dot += unit[t] * (x[low + i + t] - mean[j])
        total[i] -= 2 * m * min(dot / norm[j], 1.0)


@numba.njit(nogil=True, **OPTIONS)
def clear(dots: np.ndarray, hop: int, weak: np.ndarray) -> None:
    """Take out the products of windows that are multiplied one by one."""
    for i in weak:
        dots[i // hop, i % hop] = 0.0


@numba.njit(nogil=True, **OPTIONS)
def add_raw(
    dots: np.ndarray,
    hop: int,
    norm: np.ndarray,
    level: np.ndarray,
    own: float,
    size: float,
    m: float,
    total: np.ndarray,
) -> None:
    """Add |q|^2 + |x|^2 - 2 q'x of what is left without the means, and m times the square of the means' difference."""
    for row in range(len(dots)):
        start = row * hop
        for i in range(start, min(start + hop, len(total))):
            apart = level[i] - own
            total[i] += size * size + norm[i] * norm[i] - 2 * size * dots[row, i - start] + m * apart * apart


@numba.njit(nogil=True, **OPTIONS)
def add_weak_raw(
    x: np.ndarray,
    low: int,
    unit: np.ndarray,
    weak: np.ndarray,
    mean: np.ndarray,
    norm: np.ndarray,
    size: float,
    total: np.ndarray,
) -> None:
    """Add what `clear` took out, sample by sample."""
    for j in range(len(weak)):
        dot = 0.0
        for t in range(len(unit)):
            dot += unit[t] * (x[low + weak[j] + t] - mean[j])
        total[weak[j]] -= 2 * size * min(dot, norm[j])


@numba.njit(nogil=True, **OPTIONS)
def add_differences(x: np.ndarray, query: np.ndarray, total: np.ndarray) -> None:
    """Add squared differences of samples; infinite where samples are missing."""
    for i in range(len(total)):
        square = 0.0
        for t in range(len(query)):
            gap = x[i + t] - query[t]
            square += gap * gap
        total[i] = total[i] + square if square < np.inf else np.inf


@numba.njit(nogil=True, **OPTIONS)
def add_constant(inverse: np.ndarray, weak: np.ndarray, norm: np.ndarray, m: float, total: np.ndarray) -> None:
    """Add the distances of a constant query: 0 to constant windows, m to others."""
    for i in range(len(total)):
        total[i] += m if inverse[i] == inverse[i] else np.nan
    for j in range(len(weak)):
        if norm[j] == 0:
            total[weak[j]] -= m


@numba.njit(nogil=True, **OPTIONS)
def add_direct(
    x: np.ndarray, unit: np.ndarray, constant: bool, mean: np.ndarray, norm: np.ndarray, total: np.ndarray
) -> None:
    """Add squared z-normalised distances, sample by sample; infinite where samples are missing."""
    m = len(unit)
    for i in range(len(total)):
        if not norm[i] >= 0:
            total[i] = np.inf
        elif constant or norm[i] == 0:
            total[i] += 0.0 if constant and norm[i] == 0 else m
        else:
            dot = 0.0
            for t in range(m):
                dot += unit[t] * (x[i + t] - mean[i])
            total[i] += 2 * m * (1 - min(dot / norm[i], 1.0))


@numba.njit(nogil=True, **OPTIONS)
def least_of_tiles(total: np.ndarray, least: np.ndarray) -> None:
    """Write the least of every tile; NaN counts as infinite."""
    for tile in range(len(least)):
        best = np.inf
        for i in range(tile * TILE, min(tile * TILE + TILE, len(total))):
            best = total[i] if total[i] < best else best
        least[tile] = best


@numba.njit(nogil=True, **OPTIONS)
def least_of_products(dots: np.ndarray, hop: int, inverse: np.ndarray, twice: float, least: np.ndarray) -> None:
    """Do in one pass what `add` and `least_of_tiles` do, for one channel."""
    tiles = hop // TILE
    for tile in range(len(least)):
        row, column, first = tile // tiles, tile % tiles * TILE, tile * TILE
        best = -np.inf
        for i in range(min(TILE, len(inverse) - first)):
            found = dots[row, column + i] * inverse[first + i]
            best = found if found > best else best
        least[tile] = twice - twice * min(best, 1.0)
