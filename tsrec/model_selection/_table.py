"""The answer of a backtest: one long frame of truth, forecasts and quantiles."""

import numpy as np
import pandas as pd

from tsrec.frames import Panel, stacked_index, variable_names


def table_of(panel: Panel, cutoffs: np.ndarray, answers: np.ndarray, levels: np.ndarray) -> pd.DataFrame:
    """Rows (series, cutoff, time) of one model; `answers` has the shape (n, horizon, n_channels, 1 + n_levels)."""
    horizon = answers.shape[1]
    series = np.repeat(cutoffs[:, 0], horizon)
    origin = np.repeat(cutoffs[:, 1], horizon)
    position = origin + np.tile(np.arange(horizon), len(cutoffs))
    truth = panel.values[panel.offsets[series] + position]
    values = np.concatenate([truth[..., None], answers.reshape(len(series), panel.n_channels, -1)], axis=-1)
    columns = pd.MultiIndex.from_product(
        [variable_names(panel.columns), ["y", "forecast", *levels.tolist()]], names=["variable", "value"]
    )
    start = panel.starts[series]
    ordinals = {"cutoff": start + (origin - 1) * panel.grid.step, "time": start + position * panel.grid.step}
    ids = panel.ids
    if ids is not None and not isinstance(ids, pd.MultiIndex) and not ids.name:
        ids = ids.rename("series")
    index = stacked_index(ids, panel.grid, series, ordinals)
    return pd.DataFrame(values.reshape(len(series), -1), index=index, columns=columns)


def joined(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Tables below each other under the names of their models; NaN where one lacks a variable or a level.

    What happened stands beside all of them: their rows are the same, whether a model forecasts a variable or not.
    """
    every = [table.columns for table in tables.values()]
    variables = list(dict.fromkeys(variable for columns in every for variable in columns.unique(0)))
    levels = sorted({level for columns in every for level in columns.unique(1) if level not in ("y", "forecast")})
    columns = pd.MultiIndex.from_product([variables, ["y", "forecast", *levels]], names=["variable", "value"])
    truth = {variable: table[variable, "y"] for table in tables.values() for variable in table.columns.unique(0)}
    wide = []
    for table in tables.values():
        lacking = [variable for variable in variables if variable not in table.columns.unique(0)]
        whole = table if table.columns.equals(columns) else table.reindex(columns=columns)
        for variable in lacking:
            whole[variable, "y"] = truth[variable]
        wide.append(whole)
    return pd.concat(wide, keys=list(tables), names=["model"])
