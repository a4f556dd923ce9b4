"""What fit is told beside the rows: numbers of whole series, and how much rows or series count."""

from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import check_array

from tsrec.estimators._request import has_time
from tsrec.frames import Panel, check_names, columns_message, label_at, to_numbers
from tsrec.frames.warn import warn_user

# With more, what tells of thirty thousand series would not fit into memory.
_MOST_CATEGORIES = 1000
_SHOWN = 5


@dataclass(frozen=True, eq=False)
class StaticCoding:
    """How columns of a frame of static covariates become numbers: categories are a number each, 0 or 1.

    Attributes
    ----------
    columns : Index
        Of the frame.
    categories : dict of str to Index
        Those of each column that holds no numbers, by its position as text.
    """

    columns: pd.Index
    categories: dict[str, pd.Index]

    @classmethod
    def of(cls, static: pd.DataFrame) -> "StaticCoding":
        """Learn the categories of a frame."""
        check_names(static, "static")
        found = {}
        for k, name in enumerate(static.columns):
            if not _holds_numbers(static[name]):
                found[str(k)] = _categories(static[name])
        return cls(static.columns, found)

    @property
    def names(self) -> list[str]:
        """What each number of `encode` is: a column, or a column and one of its categories."""
        found: list[str] = []
        for k, name in enumerate(self.columns):
            known = self.categories.get(str(k))
            found += [str(name)] if known is None else [f"{name} = {category}" for category in known]
        return found

    def encode(self, static: pd.DataFrame) -> np.ndarray:
        """Numbers (n_series, n_numbers); of a category that was not learned from, and of none, all are 0.

        Raises
        ------
        ValueError
            If the columns are not those of fit.
        """
        check_names(static, "static")
        if not static.columns.equals(self.columns):
            raise ValueError(columns_message(static.columns, self.columns, "static", "fit"))
        blocks = []
        for k, name in enumerate(self.columns):
            known = self.categories.get(str(k))
            if known is None:
                numbers = static[name]
                numbers = pd.to_numeric(numbers) if _holds_numbers(numbers) else numbers
                blocks.append(to_numbers(numbers, where="static"))
                continue
            column = static[name]
            codes = known.get_indexer(column.astype(object).where(column.notna(), None).map(_as_text))
            _tell_of_new(column[(codes < 0) & column.notna().to_numpy()], known)
            blocks.append((codes[:, None] == np.arange(len(known))).astype(np.float64))
        return np.hstack(blocks) if blocks else np.empty((len(static), 0))


def _tell_of_new(column: pd.Series, known: pd.Index) -> None:
    """Warn of categories that were not learned from: a slip of the pen looks like one."""
    if len(column):
        learned = ", ".join(map(repr, known[:_SHOWN])) + (", ..." if len(known) > _SHOWN else "")
        warn_user(
            f"static: column {column.name!r} of {len(column)} series holds a category that was not learned from, the "
            f"first is {str(column.iloc[0])!r}; it counts as unknown. Those learned from: {learned}."
        )


def _holds_numbers(column: pd.Series) -> bool:
    """Whether it holds numbers or truth values, also as objects, which frames of mixed columns turn them into."""
    told = pd.api.types.infer_dtype(column, skipna=True)
    return told in ("boolean", "integer", "floating", "mixed-integer-float", "empty") and (
        not isinstance(column.dtype, pd.CategoricalDtype)
    )


def _categories(column: pd.Series) -> pd.Index:
    """What a column holds, as text.

    Raises
    ------
    TypeError, ValueError
        If it holds dates, or so many different values that they are names rather than categories.
    """
    if pd.api.types.infer_dtype(column, skipna=True).removesuffix("64") in ("datetime", "date", "timedelta", "period"):
        raise TypeError(
            f"static: column {column.name!r} holds dates, which are no categories. Give a number, such as the days "
            "since the first of them, or its year."
        )
    found = pd.Index(sorted({str(one) for one in column.dropna()}), dtype="object")
    if len(found) > _MOST_CATEGORIES:
        raise ValueError(
            f"static: column {column.name!r} has {len(found)} categories, each of which would be a number of every "
            f"series; {_MOST_CATEGORIES} at most can be learned from. Leave it out; features='id' learns a vector for "
            "each series."
        )
    return found


def _as_text(category: Any) -> str | None:
    return None if category is None else str(category)


def static_frame(static: pd.Series) -> pd.DataFrame:
    """A frame of one static covariate."""
    return static.to_frame("static" if static.name is None else static.name)


def static_rows(static: Any, panel: Panel) -> tuple[np.ndarray, StaticCoding | None]:
    """Numbers of whole series in the order of the panel, (n_series, n_static), and how a frame was read."""
    if isinstance(static, pd.Series):
        static = static_frame(static)
    if isinstance(static, pd.DataFrame) and panel.ids is not None:
        if not static.index.is_unique:
            twice = label_at(static.index[static.index.duplicated()], 0)
            raise ValueError(f"static: the series {twice!r} is there twice. Give one row per series.")
        missing = panel.ids.difference(static.index)
        if len(missing):
            raise ValueError(
                f"static: {len(missing)} series have no row, the first is {label_at(missing, 0)!r}. Give one row per "
                "series, with their names as index (static.set_index(column) if they stand in a column)."
            )
        static = static.loc[panel.ids]
    coding = StaticCoding.of(static) if isinstance(static, pd.DataFrame) else None
    rows = to_numbers(static, where="static") if coding is None else coding.encode(static)
    if len(rows) != panel.n_series:
        raise ValueError(f"static: it has {len(rows)} rows for {panel.n_series} series. Give one row per series.")
    return rows, coding


def row_weights(weight: Any, target: Any, index: pd.Index | None) -> np.ndarray:
    """How much each row counts, in the order of y, float (n_rows,).

    Parameters
    ----------
    weight : number, Series or array
        A number per row; or, for a panel, a Series with a number per series.
    target : Series, DataFrame or array
        What is forecast.
    index : Index or None
        When its rows are.

    Raises
    ------
    ValueError
        If there are more or fewer weights than rows, or they are negative, missing, or all zero; or if their index is
        not that of the rows.
    """
    given = weight.index if isinstance(weight, pd.Series) and has_time(weight) else None
    if (
        given is not None
        and index is not None
        and has_time(index)
        and given.nlevels == index.nlevels
        and not given.equals(index)
    ):
        raise ValueError(
            f"sample_weight: its index, of {len(weight)} rows, differs from that of y, of {len(index)}. Give both the "
            "same index in the same order, for example with weight.reindex(y.index), or an array in the order of the "
            "rows."
        )
    if isinstance(weight, pd.Series) and isinstance(index, pd.MultiIndex) and not weight.index.equals(index):
        names = index.droplevel(-1)
        absent = names.difference(weight.index)
        if len(absent):
            raise ValueError(
                f"sample_weight: {len(absent)} series have no weight, the first is {label_at(absent, 0)!r}. Give a "
                "number per row with the index of y, or one per series with their names as index."
            )
        weight = weight.loc[names]
    return checked_weight(weight, len(target), of="row of y")


def checked_weight(weight: Any, count: int, *, where: str = "sample_weight", of: str = "series") -> np.ndarray:
    """One finite weight from 0 on for each, float64 (count,), some of them positive; a number stands for all."""
    weight = np.full(count, weight) if isinstance(weight, Real) else weight
    weight = check_array(weight, ensure_2d=False, dtype=np.float64, input_name=where)
    if weight.shape != (count,):
        raise ValueError(f"{where}: found shape {weight.shape}. Give one weight per {of}, ({count},).")
    if (weight < 0).any() or not weight.any():
        found = "a negative weight" if weight.any() else "zeros only"
        raise ValueError(f"{where}: found {found}. Give weights from 0 on, some of them positive.")
    return weight
