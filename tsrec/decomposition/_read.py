"""What decomposers are asked: recordings, panels, collections and tables, as one panel."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from tsrec.frames import (
    Panel,
    TimeGrid,
    check_names,
    columns_message,
    holds_times,
    is_default,
    is_rows,
    read_collection,
    read_index,
    read_panel,
    variable_names,
)
from tsrec.frames.warn import warn_user

# What to tell of tables that may be recordings.
TABLE_MEND = (
    "In a table without an index of times each row is a series, each column a step. If rows are steps and columns "
    "variables, give an index of times, such as frame.index = pd.to_datetime(...), or pass one variable as a Series."
)

# Steps of tables whose rows may well be series.
_NARROW = 10


class Question(NamedTuple):
    """Series to be taken apart.

    Attributes
    ----------
    panel : Panel
        All of them.
    rows : Index or None
        Those of the answer; None for a table with one series a row.
    order : int array or None
        Rows of the panel in the order of the answer; None where it is the same.
    """

    panel: Panel
    rows: pd.Index | None
    order: np.ndarray | None = None


def read_question(estimator: BaseEstimator, X: Any, *, reset: bool) -> Question:
    """Read X, and check its width and names against those of fit, or keep them.

    Parameters
    ----------
    estimator : Decomposer
        Sets or knows ``n_features_in_``, ``feature_names_in_`` and ``columns_``.
    X : Series, DataFrame, array, list or dict
        As ``Decomposer.fit`` takes it.
    reset : bool
        Whether this is a fit.

    Returns
    -------
    Question

    Raises
    ------
    TypeError, ValueError
        If X is no series, or not of the kind and width of fit.
    """
    question = _read(estimator, X, reset)
    if not reset:
        _check_same(estimator, question)
    if getattr(estimator, "missing", None) == "raise":
        _refuse_missing(question.panel)
    return question


def _read(estimator: BaseEstimator, X: Any, reset: bool) -> Question:
    if _is_recording(X):
        frame = X if isinstance(X, pd.DataFrame) else X.to_frame("x" if X.name is None else X.name)
        check_names(frame, "X")
        if not frame.shape[1]:
            raise ValueError("X: found 0 feature(s), the frame has no column. Give a column per variable.")
        panel, order = read_panel(X, where="X"), None
        if X.index.nlevels > 1:
            moved = read_index(X.index, where="X").order
            order = None if moved is None else np.argsort(moved)
        if reset:
            keep_names(estimator, panel.columns)
        return Question(panel, X.index, order)
    if is_rows(X):
        if isinstance(X, np.ndarray) and X.ndim == 1:
            raise ValueError(
                "X: an array of one dimension is no table. Reshape your data: pd.Series(X) is a recording, X[None] a "
                "table with one series."
            )
        if reset and isinstance(X, pd.DataFrame):
            _check_table(X)
        values = validate_data(estimator, X, reset=reset, dtype=np.float64, ensure_all_finite="allow-nan")
        return Question(_unnamed(values.reshape(-1, 1), len(values), pd.RangeIndex(1)), None)
    collection = read_collection(X)
    if reset:
        keep_names(estimator, collection.columns)
    if collection.steps is not None:
        return Question(
            read_panel(pd.DataFrame(collection.values, collection.steps, collection.columns)), collection.steps
        )
    panel = _unnamed(collection.values, collection.n_series, collection.columns)
    panel = Panel(panel.values, collection.offsets, panel.starts, panel.grid, panel.columns, collection.labels)
    return Question(panel, collection.row_index())


def keep_names(estimator: BaseEstimator, columns: pd.Index) -> None:
    """Keep number and names of the variables as scikit-learn does; names of an earlier fit are forgotten.

    Parameters
    ----------
    estimator : Decomposer
        Gets ``n_features_in_``, and ``feature_names_in_`` where all names are text.
    columns : Index
        Names of the variables.
    """
    validate_data(estimator, pd.DataFrame(columns=variable_names(columns)), skip_check_array=True)


def _check_table(frame: pd.DataFrame) -> None:
    """Refuse a frame whose index is times written as text, and warn of one that looks like a recording."""
    first = frame.index[:3]
    # Digits alone may be names.
    text = len(first) and all(isinstance(label, str) and not label.isdigit() for label in first)
    if text and pd.to_datetime(first, format="ISO8601", errors="coerce").notna().all():
        raise ValueError(
            f"X: its index holds times as text, such as {first[0]!r}. For a recording, convert them: X.index = "
            "pd.to_datetime(X.index). If each row is a series, use X.reset_index(drop=True)."
        )
    if frame.shape[1] < _NARROW and len(frame) >= 2 * frame.shape[1]:
        warn_user(
            f"X: the frame is read as {len(frame)} series of {frame.shape[1]} steps. {TABLE_MEND} If they are series "
            "indeed, X.to_numpy() says so."
        )


def _is_recording(X: Any) -> bool:
    """Whether X is a Series, a panel, or a frame whose rows are times."""
    if not isinstance(X, pd.DataFrame):
        return isinstance(X, pd.Series)
    return X.index.nlevels > 1 or holds_times(X.index)


def _unnamed(values: np.ndarray, n_series: int, columns: pd.Index) -> Panel:
    """Equally long series without times."""
    offsets = np.arange(n_series + 1, dtype=np.int64) * (len(values) // max(n_series, 1))
    return Panel(values, offsets, np.zeros(n_series, dtype=np.int64), TimeGrid("position", 1), columns)


def _check_same(estimator: Any, question: Question) -> None:
    if (question.rows is None) != estimator.is_table_:
        kinds = "a table with one series a row", "recordings or a collection"
        found, known = kinds if question.rows is None else kinds[::-1]
        raise ValueError(f"X: it is {found}, but fit was given {known}. Give the same, or fit again.")
    columns = question.panel.columns
    if len(columns) != len(estimator.columns_):
        raise ValueError(
            f"X has {len(columns)} variables, but {type(estimator).__name__} is expecting {len(estimator.columns_)} "
            "variables as in fit."
        )
    named = not any(is_default(one) or list(one) == [None] for one in (columns, estimator.columns_))
    if named and list(columns) != list(estimator.columns_):
        raise ValueError(columns_message(columns, estimator.columns_, "X", "fit"))


def _refuse_missing(panel: Panel) -> None:
    holes = np.isnan(panel.values)
    if holes.any():
        raise ValueError(
            f"X: Input X contains NaN: {int(holes.sum())} values are missing. Use missing='weights' (they get no "
            "weight) or missing='interpolate'."
        )
