"""Labels of rows, and what a detector says of the same rows, as arrays: the one place where they are checked."""

from typing import Any

import numpy as np

from tsrec.metrics._align import Table, match_rows, read


def flags(y: Any, argument: str) -> Table:
    """Labels of rows, 0 or 1 in a single column; NaN counts as 0.

    Raises
    ------
    ValueError
        If there is more than one column, or another value.
    """
    table = read(y, argument)
    if table.values.shape[1] != 1:
        raise ValueError(f"{argument}: found {table.values.shape[1]} columns. Give one, with a label for each row.")
    check_values(table.values[:, 0], argument)
    return table


def rows_like(truth: Table, other: Any, argument: str) -> np.ndarray:
    """A single column of numbers, in the order of the true labels, float (n_rows,)."""
    table = read(other, argument)
    if table.values.shape[1] != 1:
        raise ValueError(f"{argument}: found {table.values.shape[1]} columns. Give one, with a number for each row.")
    return table.values[match_rows(truth, table.index, len(table.values), argument), 0]


def check_values(values: np.ndarray, argument: str) -> None:
    """Refuse labels other than 0, 1 and NaN."""
    other = values[~np.isin(values, (0.0, 1.0)) & ~np.isnan(values)]
    if len(other):
        mend = " Compare the answers of predict with -1: detector.predict(X) == -1." if (other == -1).any() else ""
        raise ValueError(
            f"{argument}: found {other[0]:g}, and {len(other) - 1} more values that are neither 0 nor 1.{mend}"
        )


def starts_of_series(truth: Table) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The order that puts the rows of each series together, the first row of each series in it, and their numbers."""
    order = np.argsort(truth.codes, kind="stable")
    length = np.bincount(truth.codes, minlength=truth.n_series)
    return order, np.cumsum(length) - length, length


def runs(flag: np.ndarray, series: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Runs of flagged rows inside each series, whose rows lie together: their first rows, and those after the last."""
    changes = np.r_[True, series[1:] != series[:-1]]
    begins = np.flatnonzero(flag & (changes | np.r_[True, ~flag[:-1]]))
    ends = np.flatnonzero(flag & (np.r_[changes[1:], True] | np.r_[~flag[1:], True])) + 1
    return begins, ends
