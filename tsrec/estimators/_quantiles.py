"""Quantiles at any level from quantiles at a few, and the columns that name them."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtri

from tsrec.frames import variable_names


def check_levels(levels: Iterable[float], where: str, *, least: int = 1) -> np.ndarray:
    """Levels as an ascending float array of shape (n_levels,), each once.

    Raises
    ------
    ValueError
        If there are fewer than `least`, or one lies outside (0, 1).
    """
    found = np.atleast_1d(np.asarray(levels, dtype=np.float64)).ravel()
    if not ((found > 0) & (found < 1)).all() or len(np.unique(found)) < least:
        few = f"at least {least} levels" if least > 1 else "levels"
        raise ValueError(f"{where}: found {found.tolist()}. Give {few} between 0 and 1, for example [0.1, 0.5, 0.9].")
    return np.unique(found)


def at_levels(quantiles: np.ndarray, known: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Quantiles at other levels, monotone if the known ones are.

    Between two known levels the quantile is linear in the normal score of the level, and beyond the outermost ones it
    goes on in the same way: exact for normal errors.

    Parameters
    ----------
    quantiles : float array of shape (..., n_known)
        At the levels `known`, ascending, at least two.
    known, wanted : float arrays of shape (n_known,) and (n_wanted,)
        Levels between 0 and 1, ascending.

    Returns
    -------
    float array of shape (..., n_wanted)
    """
    scores, targets = ndtri(known), ndtri(wanted)
    left = np.clip(np.searchsorted(scores, targets) - 1, 0, len(known) - 2)
    weight = (targets - scores[left]) / (scores[left + 1] - scores[left])
    found = quantiles[..., left] + weight * (quantiles[..., left + 1] - quantiles[..., left])
    # Of levels next to each other, on either side of a known one, rounding could turn the order.
    return np.maximum.accumulate(found, axis=-1)


def draws(quantiles: np.ndarray, known: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Values at given ranks of each row's own distribution.

    Parameters
    ----------
    quantiles : float array of shape (n_rows, n_channels, n_known)
        At the levels `known`.
    ranks : float array of shape (n_draws, n_rows, n_channels)
        Levels between 0 and 1.

    Returns
    -------
    float array of shape (n_draws, n_rows, n_channels)
    """
    scores, targets = ndtri(known), ndtri(ranks)
    left = np.clip(np.searchsorted(scores, targets) - 1, 0, len(known) - 2)
    low = np.take_along_axis(quantiles[None], left[..., None], axis=-1)[..., 0]
    high = np.take_along_axis(quantiles[None], left[..., None] + 1, axis=-1)[..., 0]
    return low + (targets - scores[left]) / (scores[left + 1] - scores[left]) * (high - low)


def quantile_frame(values: np.ndarray, index: pd.Index, columns: pd.Index, levels: Sequence[Any]) -> pd.DataFrame:
    """A frame with columns (variable, level) of values (n_rows, n_channels, n_levels)."""
    names = pd.MultiIndex.from_product([variable_names(columns), levels], names=["variable", "level"])
    return pd.DataFrame(values.reshape(len(values), -1), index=index, columns=names)


def interval_frame(
    values: np.ndarray, index: pd.Index, columns: pd.Index, coverage: Sequence[float], levels: np.ndarray
) -> pd.DataFrame:
    """A frame with columns (variable, coverage, lower | upper) of quantiles (n_rows, n_channels, n_levels)."""
    names = pd.MultiIndex.from_product(
        [variable_names(columns), coverage, ["lower", "upper"]], names=["variable", "coverage", "bound"]
    )
    bounds = [np.searchsorted(levels, level) for share in coverage for level in bounds_of(share)]
    return pd.DataFrame(values[..., bounds].reshape(len(values), -1), index=index, columns=names)


def bounds_of(share: float) -> tuple[float, float]:
    """The two levels between which a share of the distribution lies, rounded so that equal levels are equal."""
    return round(0.5 - share / 2, 12), round(0.5 + share / 2, 12)
