"""What fit is told beside the rows: numbers of whole series, and how much rows or series count."""

from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import check_array

from tsrec.frames import Panel, label_at, to_numbers


def static_rows(static: Any, panel: Panel) -> np.ndarray:
    """Numbers of whole series, in the order of the panel, (n_series, n_static)."""
    if isinstance(static, pd.Series):
        static = static.to_frame()
    if isinstance(static, pd.DataFrame) and panel.ids is not None:
        missing = panel.ids.difference(static.index)
        if len(missing):
            raise ValueError(
                f"static: {len(missing)} series have no row, the first is {missing[0]!r}. Give one row per series."
            )
        static = static.loc[panel.ids]
    rows = to_numbers(static, where="static")
    if len(rows) != panel.n_series:
        raise ValueError(f"static: it has {len(rows)} rows for {panel.n_series} series. Give one row per series.")
    return rows


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
        If there are more or fewer weights than rows, or they are negative, missing, or all zero.
    """
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
