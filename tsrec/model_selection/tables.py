"""The table of a backtest, taken apart again: which row is of which model, series, cut-off and step."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tsrec.frames import read_index
from tsrec.frames.inference import infer_grid


@dataclass(frozen=True, eq=False)
class Forecasts:
    """Forecasts of a backtest beside the truth.

    Attributes
    ----------
    values : DataFrame of shape (n_rows, n_values)
        The table, with columns (variable, "y" | "forecast" | level).
    model, series : int arrays of shape (n_rows,)
        Which of `models` and of `names` a row is of.
    models : list of str
        Names of the models, in order of appearance.
    names : Index or None
        Names of the series, in order of appearance; None where there is one without name.
    cutoffs, times : Index of length n_rows
        Last known and forecast time.
    steps : int array of shape (n_rows,)
        Steps ahead, from 1.
    """

    values: pd.DataFrame
    model: np.ndarray
    series: np.ndarray
    models: list[str]
    names: pd.Index | None
    cutoffs: pd.Index
    times: pd.Index
    steps: np.ndarray

    @property
    def variables(self) -> list[Any]:
        """Names of the variables."""
        return list(self.values.columns.unique(0))

    @property
    def n_series(self) -> int:
        """Number of series."""
        return 1 if self.names is None else len(self.names)

    def levels(self, model: int | None = None) -> np.ndarray:
        """Levels of the quantiles that a model has, of all models when omitted; ascending."""
        rows = self.values if model is None else self.values[self.model == model]
        found = rows.columns[rows.notna().any(axis=0)].get_level_values(1)
        return np.array(sorted({float(level) for level in found if level not in ("y", "forecast")}))

    def take(self, rows: np.ndarray) -> "Forecasts":
        """Some of the rows, by positions or as a mask."""
        return Forecasts(
            self.values[rows] if rows.dtype == bool else self.values.iloc[rows],
            self.model[rows],
            self.series[rows],
            self.models,
            self.names,
            self.cutoffs[rows],
            self.times[rows],
            self.steps[rows],
        )


def read_forecasts(table: Any, where: str = "table") -> Forecasts:
    """Take the table of `backtest` apart.

    Parameters
    ----------
    table : DataFrame
        With the index (model, if there are several; series, if they have names; cutoff; time).
    where : str
        How errors call it.

    Raises
    ------
    TypeError
        If it is no such table.
    ValueError
        If it has no rows.
    """
    if not isinstance(table, pd.DataFrame) or table.columns.nlevels != 2 or table.index.nlevels < 2:
        raise TypeError(
            f"{where}: found a {type(table).__name__} that is no answer of backtest. Give the frame with the index "
            "(model, series, cutoff, time) and the columns (variable, value)."
        )
    if not len(table) or not {"y", "forecast"} <= set(table.columns.unique(1)):
        raise ValueError(f"{where}: it has {len(table)} rows and no forecast. Give what backtest returned.")
    index, skip = table.index, int(_has_models(table))
    model, models = pd.factorize(index.get_level_values(0)) if skip else (np.zeros(len(index), dtype=np.int64), None)
    series, names = np.zeros(len(index), dtype=np.int64), None
    if index.nlevels > skip + 2:
        labels = _series_level(index, skip)
        series, names = pd.factorize(labels)
        names = names.set_names(labels.names)
    # Rows cut from the table of several models do not say which of them they are of.
    known = list(table.attrs.get("seconds", ()))
    return Forecasts(
        table,
        model,
        series,
        [known[0] if len(known) == 1 else "forecast"] if models is None else [str(name) for name in models],
        names,
        index.get_level_values(-2),
        index.get_level_values(-1),
        table.groupby(level=list(range(index.nlevels - 1)), sort=False, observed=True).cumcount().to_numpy() + 1,
    )


def _has_models(table: pd.DataFrame) -> bool:
    """Whether the first level of the index names models; series may be called so, too."""
    if table.index.names[0] != "model" or table.index.nlevels < 3:
        return False
    known = table.attrs.get("seconds")
    return known is None or set(table.index.unique(0)) <= set(known)


def _series_level(index: pd.Index, skip: int) -> pd.Index:
    levels = list(range(skip, index.nlevels - 2))
    return index.get_level_values(levels[0]) if len(levels) == 1 else index.droplevel([*range(skip), -2, -1])


def grid_places(index: pd.Index, where: str) -> tuple[np.ndarray, np.ndarray]:
    """For each row its step on the grid of time, counted from the first of all series, and its series.

    Parameters
    ----------
    index : Index
        Times, or a MultiIndex whose last level they are; in any order, also with repeats.
    where : str
        How errors call the frame.

    Returns
    -------
    places, series : int64 arrays of shape (n_rows,)
    """
    rows = read_index(index, where=where)
    series = np.repeat(np.arange(len(rows.offsets) - 1), np.diff(rows.offsets))
    if rows.times.nunique() < 2:
        return np.zeros(len(series), dtype=np.int64), series
    rank = rows.times.argsort().argsort()
    order = np.lexsort((rank if rows.codes is None else rank[rows.codes], series))
    grid = infer_grid(rows.stamps().take(order), rows.offsets, where=where)
    ordinals = rows.ordinals(grid, where=where)
    place = (ordinals - ordinals.min()) // grid.step
    if rows.order is not None:
        back = np.empty_like(rows.order)
        back[rows.order] = np.arange(len(back))
        place, series = place[back], series[back]
    return place, series
