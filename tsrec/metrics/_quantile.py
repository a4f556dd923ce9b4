"""Errors of quantile forecasts: pinball loss, weighted quantile loss, CRPS.

With the pinball loss rho_a(y, q) = max(a (y - q), (a - 1)(y - q)) of the quantile q at level a (Koenker and Bassett,
Econometrica 46, 1978).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tsrec.metrics._align import Table, complete, like, match_rows, read
from tsrec.metrics._average import Average, Score, averaged, spread, sums_and_counts


class _Quantiles(NamedTuple):
    """Quantiles of shape (n_rows, n_columns, n_levels), in the order of the truth, at ascending levels."""

    values: np.ndarray
    levels: np.ndarray


def pinball(
    y_true: Any, y_quantiles: Any, levels: float | Sequence[float] | None = None, *, average: Average = "all"
) -> Score:
    """Pinball (quantile) loss, averaged over the levels: mean of max(a (y - q), (a - 1)(y - q)).

    Parameters
    ----------
    y_true : Series, DataFrame or array of shape (n_steps,) or (n_steps, n_variables)
        What was observed. Missing values are left out.
    y_quantiles : DataFrame or array
        The answer of ``predict_quantiles``: a frame with columns (variable, level), or for one variable a column per
        level. With a single number as `levels`, anything shaped like y_true. With several, also an array of shape
        (n_steps, n_levels) or (n_steps, n_variables, n_levels). Complete; the order of levels does not matter.
    levels : float or sequence of float, optional
        Levels between 0 and 1. Read from the columns when omitted.
    average : {"all", "series"} or None, default "all"
        As in `mae`.

    Returns
    -------
    float, or Series, DataFrame or array
        In the unit of y. At level 0.5 it is half the absolute error.

    Raises
    ------
    TypeError
        If levels are missing, or values are not numbers.
    ValueError
        As in `mae`; also if a level lies outside (0, 1), or there are more or fewer quantiles than levels.

    Examples
    --------
    >>> from tsrec.metrics import pinball
    >>> pinball([10.0], [6.0], 0.9)
    3.6
    """
    truth = read(y_true, "y_true")
    return averaged(_losses(truth, _read_quantiles(truth, y_quantiles, levels)).mean(axis=-1), truth, average)


def wql(
    y_true: Any, y_quantiles: Any, levels: float | Sequence[float] | None = None, *, average: Average = "all"
) -> Score:
    """Weighted quantile loss: 2 sum rho_a(y, q) / sum |y|, averaged over the levels.

    Parameters
    ----------
    y_true : Series, DataFrame or array
        As in `pinball`.
    y_quantiles : DataFrame or array
        As in `pinball`.
    levels : float or sequence of float, optional
        As in `pinball`.
    average : {"all", "series"} or None, default "all"
        "all" takes both sums over everything, as is usual; "series" gives every series and variable its own
        quotient and averages these; None gives the quotients.

    Returns
    -------
    float, or Series, DataFrame or array
        Without unit.

    Raises
    ------
    TypeError, ValueError
        As in `pinball`; also if the observed values of a series that needs its own quotient are all zero.

    References
    ----------
    Park, Maddix, Aubet, Kan, Gasthaus, Wang, "Learning quantile functions without quantile crossing for
    distribution-free time series forecasting", AISTATS 2022.

    Examples
    --------
    >>> from tsrec.metrics import wql
    >>> wql([10.0, -20.0], [5.0, -15.0], 0.5)
    0.3333333333333333
    """
    truth = read(y_true, "y_true")
    loss = 2 * _losses(truth, _read_quantiles(truth, y_quantiles, levels)).mean(axis=-1)
    sums, counts = sums_and_counts(loss, truth)
    size, _ = sums_and_counts(np.abs(truth.values), truth)
    zero = np.argwhere((size == 0) & (counts > 0))
    if len(zero) and (average != "all" or not size.any()):
        raise ValueError(
            f"y_true: the observed values of {truth.name_of(*zero[0])} are all 0, so there is nothing to weigh its "
            "loss with. Use pinball, or leave it out."
        )
    return spread(sums, size, truth, average)


def crps(
    y_true: Any, y_quantiles: Any, levels: float | Sequence[float] | None = None, *, average: Average = "all"
) -> Score:
    """Continuous ranked probability score, from quantiles: 2 sum_i w_i rho_{c_i}(y, q_i).

    The score is 2 times the integral of rho_a over the levels a from 0 to 1 (Gneiting and Ranjan, 2011). Here the
    quantile is taken as constant over the cell of levels nearest to its own; w_i is the width of that cell and c_i its
    middle. That is exact for the distribution with the mass w_i at q_i: E|Q - y| - E|Q - Q'| / 2. The more levels, the
    closer it comes to the score of a continuous distribution.

    Parameters
    ----------
    y_true : Series, DataFrame or array
        As in `pinball`.
    y_quantiles : DataFrame or array
        As in `pinball`.
    levels : float or sequence of float, optional
        As in `pinball`.
    average : {"all", "series"} or None, default "all"
        As in `mae`.

    Returns
    -------
    float, or Series, DataFrame or array
        In the unit of y. For a forecast without spread it is the absolute error.

    Raises
    ------
    TypeError, ValueError
        As in `pinball`.

    References
    ----------
    Gneiting and Ranjan, "Comparing density forecasts using threshold- and quantile-weighted scoring rules", Journal of
    Business & Economic Statistics 29 (2011).

    Examples
    --------
    >>> from tsrec.metrics import crps
    >>> crps([10.0], [[8.0, 9.0, 11.0]], [0.25, 0.5, 0.75])
    0.671875
    """
    truth = read(y_true, "y_true")
    quantiles = _read_quantiles(truth, y_quantiles, levels)
    edges = np.r_[0.0, (quantiles.levels[1:] + quantiles.levels[:-1]) / 2, 1.0]
    middles = (edges[1:] + edges[:-1]) / 2
    return averaged(2 * _losses(truth, quantiles._replace(levels=middles)) @ np.diff(edges), truth, average)


def _losses(truth: Table, quantiles: _Quantiles) -> np.ndarray:
    """Pinball losses of shape (n_rows, n_columns, n_levels); NaN where nothing was observed."""
    error = truth.values[..., None] - quantiles.values
    return np.maximum(quantiles.levels * error, (quantiles.levels - 1) * error)


def _read_quantiles(truth: Table, y_quantiles: Any, levels: float | Sequence[float] | None) -> _Quantiles:
    """Quantile forecasts in any of their containers, matched with the truth."""
    if levels is not None and np.ndim(levels) == 0:
        return _Quantiles(like(truth, y_quantiles, "y_quantiles")[..., None], _checked(np.array([levels], dtype=float)))
    if isinstance(y_quantiles, pd.DataFrame) and levels is None:
        values, found = _from_columns(truth, y_quantiles)
    else:
        values, found = _from_positions(truth, y_quantiles, levels)
    order = np.argsort(found)
    return _Quantiles(complete(values[..., order], "y_quantiles"), _checked(found[order]))


def _from_columns(truth: Table, frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Quantiles and levels of a frame with columns (variable, level) or just levels."""
    try:
        found = frame.columns.get_level_values(-1).astype(np.float64).to_numpy()
    except (TypeError, ValueError) as err:
        raise TypeError(
            f"levels: not given, and the columns of y_quantiles, {list(frame.columns)[:3]}, do not end in numbers. "
            "Name the columns (variable, level), or pass levels."
        ) from err
    table = read(frame, "y_quantiles")
    values = table.values[match_rows(truth, table.index, len(table.values), "y_quantiles")]
    chosen = columns_of_variables(truth, frame.columns, "y_quantiles")
    if len({tuple(found[places]) for places in chosen}) > 1:
        raise ValueError("y_quantiles: its variables have different levels. Give every variable the same levels.")
    return values[:, np.stack(chosen)], found[chosen[0]]


def columns_of_variables(truth: Table, columns: pd.Index, argument: str) -> list[np.ndarray]:
    """Positions of the columns that belong to each variable of the truth, by the first level of the columns.

    A truth with one column need not have the right name: if it has not, all columns are its own.
    """
    n_columns = truth.values.shape[1]
    names = columns.get_level_values(0) if columns.nlevels > 1 else pd.Index([0] * len(columns))
    named = truth.columns is not None and truth.columns.isin(names).all()
    wanted = truth.columns if named and truth.columns is not None else names.unique()
    if len(wanted) != n_columns or not (named or truth.columns is None or n_columns == 1):
        raise ValueError(
            f"{argument}: found the variables {list(names.unique())}, but y_true has "
            f"{n_columns if truth.columns is None else list(truth.columns)}. Give the columns of each of its variables."
        )
    return [np.flatnonzero(names == name) for name in wanted]


def _from_positions(truth: Table, y_quantiles: Any, levels: Any) -> tuple[np.ndarray, np.ndarray]:
    """Quantiles of an array (or frame) whose last axis follows `levels`."""
    if levels is None:
        raise TypeError("levels: not given, and y_quantiles is no frame. Pass the levels of its last axis.")
    found = np.asarray(levels, dtype=np.float64)
    index = y_quantiles.index if isinstance(y_quantiles, pd.DataFrame | pd.Series) else None
    values = np.asarray(y_quantiles, dtype=np.float64)
    expected = (truth.values.shape[1], len(found))
    if values.ndim not in (2, 3) or np.prod(values.shape[1:]) != np.prod(expected):
        raise ValueError(
            f"y_quantiles: found shape {values.shape}, but there are {expected[0]} variables and {expected[1]} levels. "
            "Give an array of shape (n_steps, n_variables, n_levels)."
        )
    values = values[match_rows(truth, index, len(values), "y_quantiles")]
    return values.reshape(len(values), *expected), found


def _checked(levels: np.ndarray) -> np.ndarray:
    """The levels, ascending, if all are different and between 0 and 1."""
    if not ((levels > 0) & (levels < 1)).all() or (np.diff(levels) <= 0).any():
        raise ValueError(
            f"levels: found {levels.tolist()}. Give different numbers between 0 and 1, for example [0.1, 0.9]."
        )
    return levels
