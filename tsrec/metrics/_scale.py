"""The scale of MASE and RMSSE: how far the seasonal naive forecast is off in the training data."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from tsrec.metrics._align import Table, match_columns, read
from tsrec.metrics._average import Score, label, sums_and_counts


def naive_scale(y_train: Any, *, season: int = 1, squared: bool = False) -> Score:
    """In-sample error of the seasonal naive forecast: mean of |y[t] - y[t - season]|, per series and variable.

    Parameters
    ----------
    y_train : Series, DataFrame or array
        The training data, evenly spaced. Rows with an index are taken in its order. Pairs with a missing value are left
        out.
    season : int, default 1
        Steps per season.
    squared : bool, default False
        Take the root of the mean of (y[t] - y[t - season])^2 instead: the scale of `rmsse`.

    Returns
    -------
    float, Series, DataFrame or array
        In the unit of y, in the containers of ``mae(average=None)``, a float for a single series. NaN for a series
        without a pair of values `season` steps apart.

    Raises
    ------
    ValueError
        If the season is below 1.

    Examples
    --------
    >>> from tsrec.metrics import naive_scale
    >>> naive_scale([1.0, 2.0, 4.0, 5.0], season=2)
    3.0
    """
    train = read(y_train, "y_train")
    table = scale_table(train, season, squared)
    return float(table[0, 0]) if train.series is None and np.ndim(y_train) == 1 else label(table, train)


def scale_table(train: Table, season: int, squared: bool) -> np.ndarray:
    """Scale of every series and column: float array of shape (n_series, n_columns), NaN without a pair of values."""
    if season < 1:
        raise ValueError(f"season: got {season!r}. Pass a number of steps, 1 or more.")
    order = _time_order(train)
    values, codes = train.values[order], train.codes[order]
    gaps = np.abs(values[season:] - values[:-season])
    gaps[codes[season:] != codes[:-season]] = np.nan
    sums, counts = sums_and_counts(gaps**2 if squared else gaps, replace(train, codes=codes[season:]))
    mean = np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)
    return np.sqrt(mean) if squared else mean


def scale_of(truth: Table, y_train: Any, scale: Any, season: int, *, squared: bool = False) -> np.ndarray:
    """Scale of every series and column of the truth: float array of shape (n_series, n_columns), NaN where left out.

    Raises
    ------
    TypeError
        If not exactly one of `y_train` and `scale` is given.
    ValueError
        If a series of the truth has none, or one that is not positive.
    """
    if (y_train is None) == (scale is None):
        both = "neither" if scale is None else "both"
        raise TypeError(f"y_train, scale: got {both} of them. Pass the training data, or a scale computed from it.")
    if scale is not None:
        table = _given(truth, scale)
        _check_positive(truth, table, "scale")
        return table
    train = read(y_train, "y_train")
    columns = match_columns(truth, train, "y_train")
    rows = _match_series(truth, train.series, "y_train")
    table = scale_table(train, season, squared)[rows][:, columns]
    _check_pairs(truth, table, season)
    _check_positive(truth, table, "y_train")
    return table


def _given(truth: Table, scale: Any) -> np.ndarray:
    """A scale as the caller gave it, one value per series and column of the truth."""
    shape = (truth.n_series, truth.values.shape[1])
    if isinstance(scale, pd.Series) and truth.series is not None:
        scale = scale.to_frame()
    if isinstance(scale, pd.DataFrame):
        table = read(scale, "scale")
        # Without a series level there is one row, whatever its label.
        rows = slice(None) if truth.series is None else _match_series(truth, scale.index, "scale")
        values = table.values[rows][:, match_columns(truth, table, "scale")]
    elif isinstance(scale, pd.Series) and truth.columns is not None and shape[1] > 1:
        table = read(scale.to_frame().T, "scale")
        values = table.values[:, match_columns(truth, table, "scale")]
    else:
        values = np.atleast_2d(np.asarray(scale, dtype=np.float64))
    if values.shape[0] not in (1, shape[0]) or values.shape[1] not in (1, shape[1]):
        raise ValueError(
            f"scale: found shape {np.shape(scale)}, but y_true has {shape[0]} series and {shape[1]} columns. Give a "
            "number, a value per column, or a frame with a row per series and a column per variable."
        )
    return np.broadcast_to(values, shape)


def _match_series(truth: Table, series: pd.Index | None, argument: str) -> np.ndarray:
    """Positions of the truth's series among others."""
    if truth.series is None and series is None:
        return np.array([0])
    if truth.series is None or series is None:
        has, lacks = (argument, "y_true") if truth.series is None else ("y_true", argument)
        raise ValueError(
            f"{argument}: {has} has a MultiIndex (series, time), {lacks} has not. Give both the same kind of index."
        )
    positions = series.get_indexer(truth.series)
    if (positions < 0).any():
        raise ValueError(
            f"{argument}: has nothing for {int((positions < 0).sum())} series of y_true, the first is "
            f"{truth.series[positions < 0][0]!r}. Add them, or drop them from y_true."
        )
    return positions


def _time_order(train: Table) -> np.ndarray | slice:
    """Order that puts the rows of each series together, in the order of time."""
    if train.index is None:
        return slice(None)
    if isinstance(train.index, pd.MultiIndex):
        level, place = train.index.levels[-1], np.asarray(train.index.codes[-1])
        time = place if level.is_monotonic_increasing else level.argsort().argsort()[place]
    else:
        time = train.index.argsort().argsort()
    stays = train.codes[1:] == train.codes[:-1]
    # Sorting a large panel costs more than all the rest; most come in order.
    if (np.diff(time)[stays] >= 0).all() and np.count_nonzero(~stays) == train.n_series - 1:
        return slice(None)
    return np.lexsort((time, train.codes))


def _check_pairs(truth: Table, table: np.ndarray, season: int) -> None:
    lacking = np.argwhere(np.isnan(table))
    if len(lacking):
        raise ValueError(
            f"y_train: {len(lacking)} scales cannot be computed, the first of {truth.name_of(*lacking[0])}, which has "
            f"no two observed values {season} steps apart. Give a longer history or a smaller season, or leave it out "
            "with scale=naive_scale(y_train, ...), which has NaN there."
        )


def _check_positive(truth: Table, table: np.ndarray, argument: str) -> None:
    wrong = np.argwhere(table <= 0)
    if len(wrong):
        raise ValueError(
            f"{argument}: {len(wrong)} scales are {table[tuple(wrong[0])]:g}, the first of {truth.name_of(*wrong[0])}, "
            "so scaled errors are undefined there (a series that repeats itself exactly has the scale 0). Leave it "
            "out: pass scale=naive_scale(y_train, ...) with NaN in place of 0."
        )
