"""Targets with one entry per series, brought into the order of their collection."""

from typing import Any

import numpy as np
import pandas as pd

from tsrec.frames.collection import Collection
from tsrec.frames.inference import is_default
from tsrec.frames.recordings import Recordings


def align_target(y: Any, collection: Collection | Recordings, *, where: str = "y") -> Any:
    """A target with one entry per series, brought into the collection's order where both name the series.

    Parameters
    ----------
    y : Series, DataFrame or array-like of length n_series
        A Series or frame is aligned by its index if the collection is named. A default index that does not match, and
        an array, are taken by position; so are the targets of a table of rows.
    collection : Collection or Recordings
        What y belongs to.
    where : str
        How errors call the argument.

    Returns
    -------
    Series, DataFrame or array-like
        y itself, or its rows in the collection's order.

    Raises
    ------
    ValueError
        If y has not one entry per series, or lacks a series by name, or names the rows of a table in another order.
    """
    length = _length(y, where)
    message = (
        f"{where}: Found input variables with inconsistent numbers of samples: [{collection.n_series}, {length}]. "
        f"Give {where} one entry per series"
    )
    if length != collection.n_series and length == collection.lengths.sum():
        raise ValueError(f"{message}, not one per row (time step), for example with y.groupby(level=0).first().")
    if isinstance(y, pd.Series | pd.DataFrame):
        if collection.named:
            y = _by_name(y, collection.labels, where)
        elif length == collection.n_series:
            _check_rows(y, collection.labels, where)
    if length != collection.n_series:
        raise ValueError(f"{message}.")
    return y


def check_order(y: Any, collection: Collection | Recordings, *, where: str = "y") -> None:
    """Refuse a target that names the series in another order, where it goes by position (as in pipelines).

    Parameters
    ----------
    y : anything
        Only an indexed Series or frame can be refused.
    collection : Collection or Recordings
        What y belongs to.
    where : str
        How errors call the argument.

    Raises
    ------
    ValueError
        If the index of y holds the names of the series in another order.
    """
    if isinstance(y, pd.Series | pd.DataFrame) and len(y) == collection.n_series:
        _check_rows(y, collection.labels, where)


def _length(y: Any, where: str) -> int:
    if not hasattr(y, "__len__") and hasattr(y, "__array__"):
        y = np.asarray(y)
    shape = getattr(y, "shape", None)
    if shape:
        return int(shape[0])
    if shape is not None or not hasattr(y, "__len__"):
        raise TypeError(f"{where}: Expected sequence or array-like, got {type(y)}. Give one entry per series.")
    return len(y)


def _by_name(y: Any, labels: pd.Index, where: str) -> Any:
    repeated = y.index.duplicated()
    if repeated.any():
        raise ValueError(
            f"{where}: its index repeats {y.index[repeated].tolist()[0]!r}. Give one entry per series, or an array to "
            "go by position."
        )
    # pandas compares only the first levels, or fails, where the numbers of levels differ.
    order = y.index.get_indexer(labels) if y.index.nlevels == labels.nlevels else np.full(len(labels), -1)
    if (order >= 0).all():
        if len(y) > len(order):
            extra = y.index[~y.index.isin(labels)].tolist()
            raise ValueError(
                f"{where}: Found input variables with inconsistent numbers of samples: [{len(labels)}, {len(y)}]. Its "
                f"index names {len(extra)} series that X lacks, the first is {extra[0]!r}. Give {where}.loc[names], "
                "with the names of the series in X."
            )
        return y.iloc[order]
    if is_default(y.index):
        return y
    absent = order < 0
    raise ValueError(
        f"{where}: its index lacks {absent.sum()} of the {len(labels)} series of X, the first is "
        f"{labels[absent].tolist()[0]!r}. Give it the names of the series, or an array to go by position."
    )


def _check_rows(y: Any, labels: pd.Index, where: str) -> None:
    """A table's rows go by position, as everywhere in scikit-learn; labels that say otherwise are not passed over."""
    if is_default(labels) or is_default(y.index) or y.index.nlevels != labels.nlevels or y.index.equals(labels):
        return
    if y.index.is_unique and labels.is_unique and (y.index.get_indexer(labels) >= 0).all():
        raise ValueError(
            f"{where}: its index holds the names in X in another order. Give {where}.loc[names], with the names in the "
            "order of X (a table's X.index), or an array to go by position."
        )
