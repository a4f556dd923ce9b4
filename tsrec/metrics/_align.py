"""True and forecast values of any container as arrays of equal rows; the one place where the inputs are checked.

Two pandas objects are matched by the labels of their rows and columns, whatever the order; all else by position.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd


@dataclass(frozen=True, eq=False)
class Table:
    """Values of a Series, frame or array, and what their rows and columns stand for.

    Attributes
    ----------
    values : float array of shape (n_rows, n_columns)
        NaN where missing.
    index : Index or None
        Labels of the rows; None for an array.
    columns : Index or None
        Labels of the columns; None for a Series without name, and for an array.
    codes : int array of shape (n_rows,)
        Which series a row belongs to, as a position in `series`; zeros without a series level.
    series : Index or None
        Names of the series, in order of appearance; None without a series level.
    """

    values: np.ndarray
    index: pd.Index | None
    columns: pd.Index | None
    codes: np.ndarray
    series: pd.Index | None

    @property
    def n_series(self) -> int:
        """Number of series."""
        return 1 if self.series is None else len(self.series)

    def name_of(self, series: int, column: int) -> str:
        """Series and column in words, for messages."""
        words = [] if self.series is None else [f"series {self.series[series]!r}"]
        if self.values.shape[1] > 1:
            words.append(f"column {column if self.columns is None else self.columns[column]!r}")
        return ", ".join(words) or "the series"


def read(y: Any, argument: str) -> Table:
    """Any container as a table.

    Raises
    ------
    TypeError
        If it does not hold numbers.
    ValueError
        If it has no rows, or more than two dimensions.
    """
    values = _numbers(y, argument)
    if values.ndim > 2:
        raise ValueError(
            f"{argument}: found an array with {values.ndim} dimensions. Give one row per step and one column per "
            "variable, or a frame with MultiIndex (series, time)."
        )
    values = values.reshape(-1, 1) if values.ndim < 2 else values
    if not values.size:
        raise ValueError(
            f"{argument}: found no values, its shape is {values.shape}. Give at least one row and one column."
        )
    index = y.index if isinstance(y, pd.Series | pd.DataFrame) else None
    codes, series = _series_of(index, len(values))
    return Table(values, index, _columns_of(y), codes, series)


def like(truth: Table, other: Any, argument: str) -> np.ndarray:
    """Values of another container, rows and columns in the order of the true ones.

    Raises
    ------
    ValueError
        If rows or columns do not match, or a value is missing.
    """
    table = read(other, argument)
    values = table.values[:, match_columns(truth, table, argument)][
        match_rows(truth, table.index, len(table.values), argument)
    ]
    return complete(values, argument)


def complete(values: np.ndarray, argument: str) -> np.ndarray:
    """The same values, if none is missing."""
    missing = np.isnan(values)
    if missing.any():
        row = int(np.flatnonzero(missing.reshape(len(values), -1).any(axis=1))[0])
        raise ValueError(
            f"{argument}: {int(missing.sum())} forecast values are NaN, the first in row {row}. A forecast must be "
            "complete; leave rows out of both arguments instead."
        )
    return values


def match_rows(truth: Table, index: pd.Index | None, n_rows: int, argument: str) -> np.ndarray | slice:
    """Positions of the other rows that belong to the true ones."""
    n_true = len(truth.values)
    if truth.index is None or index is None or truth.index is index or truth.index.equals(index):
        if n_rows != n_true:
            raise ValueError(
                f"{argument}: found {n_rows} rows, but y_true has {n_true}. Give one row for each of its rows."
            )
        return slice(None)
    for owner, labels in (("y_true", truth.index), (argument, index)):
        if not labels.is_unique:
            twice = labels[labels.duplicated()]
            raise ValueError(
                f"{owner}: {len(twice)} index labels occur twice, the first is {_show(twice[0])}. Drop the duplicates."
            )
    positions = index.get_indexer(truth.index)
    if (positions < 0).any():
        _refuse_rows(
            argument, truth.index[positions < 0], f"has no row for {int((positions < 0).sum())} labels of y_true"
        )
    if n_rows > n_true:
        extra = index[~index.isin(truth.index)]
        _refuse_rows(argument, extra, f"has {len(extra)} labels that y_true has not")
    return positions


def match_columns(truth: Table, other: Table, argument: str) -> np.ndarray | slice:
    """Positions of the other columns that belong to the true ones; a single column always matches a single one."""
    n_true, n_other = truth.values.shape[1], other.values.shape[1]
    if n_true != n_other:
        raise ValueError(
            f"{argument}: found {n_other} columns, but y_true has {n_true}. Give one for each of its columns."
        )
    if truth.columns is None or other.columns is None or n_true == 1:
        return slice(None)
    positions = other.columns.get_indexer(truth.columns)
    if (positions < 0).any():
        raise ValueError(
            f"{argument}: has no column {truth.columns[positions < 0][0]!r}, which y_true has. Its columns are "
            f"{list(other.columns)}; rename them."
        )
    return positions


def _refuse_rows(argument: str, labels: pd.Index, found: str) -> None:
    raise ValueError(
        f"{argument}: {found}, the first is {_show(labels[0])}. Give both the same index (in any order), "
        "or arrays to compare row by row."
    )


def _show(label: Any) -> str:
    """A row's label without the type names that numpy and pandas put into tuples."""
    return f"({', '.join(map(str, label))})" if isinstance(label, tuple) else str(label)


def _numbers(y: Any, argument: str) -> np.ndarray:
    try:
        if isinstance(y, pd.Series | pd.DataFrame):
            return y.to_numpy(dtype=np.float64, na_value=np.nan)
        return np.asarray(y, dtype=np.float64)
    except (TypeError, ValueError) as err:
        raise TypeError(
            f"{argument}: does not hold numbers ({err}). Give a Series, a frame or an array of numbers."
        ) from err


def _series_of(index: pd.Index | None, n_rows: int) -> tuple[np.ndarray, pd.Index | None]:
    """Series code of each row and the names, if the index is a MultiIndex whose last level is time."""
    if not isinstance(index, pd.MultiIndex):
        return np.zeros(n_rows, dtype=np.int64), None
    if index.nlevels > 2:
        codes, series = pd.factorize(index.droplevel(-1))
        return codes, series
    codes, used = pd.factorize(np.asarray(index.codes[0]))
    return codes, index.levels[0].take(used)


def _columns_of(y: Any) -> pd.Index | None:
    if isinstance(y, pd.DataFrame):
        return y.columns
    return pd.Index([y.name]) if isinstance(y, pd.Series) and y.name is not None else None
