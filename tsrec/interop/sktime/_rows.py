"""Rows of frames between sktime's conventions and ours: times of a horizon, covariates, rows that came later."""

from typing import Any

import numpy as np
import pandas as pd
from sktime.forecasting.base import ForecastingHorizon

from tsrec.estimators._read import checked_covariates, like_fitted
from tsrec.estimators._request import read_request
from tsrec.frames import Panel, panel_index, to_numbers


def shift_of(index: pd.Index) -> int:
    """What to add to whole-number times of a single series.

    In sktime such times go on wherever they are; for us an index from 0 in steps of 1 is none, and stands for the next
    steps. From 1 on there is no such index.
    """
    if index.nlevels > 1 or not pd.api.types.is_integer_dtype(index.dtype):
        return 0
    return max(1 - int(index[0]), 0)


def shifted(frame: pd.DataFrame, shift: int) -> pd.DataFrame:
    """The frame with its times moved."""
    return frame.set_axis(frame.index + shift) if shift else frame


def matching(X: pd.DataFrame, index: pd.Index) -> pd.DataFrame:
    """Rows of X at these times, in their order.

    Raises
    ------
    ValueError
        If one is missing.
    """
    if X.index.equals(index):
        return X
    places = X.index.get_indexer(index)
    absent = places < 0
    if absent.any():
        raise ValueError(
            f"X: it has no row for {int(absent.sum())} of {len(index)} rows, the first is {index[absent][0]}. Give "
            "covariates for all of them, NaN where they are unknown."
        )
    return X.take(places)


def panel_until(panel: Panel, ends: np.ndarray) -> Panel:
    """The panel without what lies at these instants, one for each series, and later; a row of each is left."""
    later = np.maximum(panel.ends - np.maximum(ends, panel.starts + panel.grid.step), 0) // panel.grid.step
    return panel.resized(np.zeros_like(later), -later) if later.any() else panel


def frames(panel: Panel, columns: Any) -> dict[str, pd.DataFrame]:
    """A panel as the history that our forecasters take, with its covariates where it has any, of these names."""
    series = np.repeat(np.arange(panel.n_series), panel.lengths)
    index = panel_index(panel.ids, panel.grid, series, panel.ordinals())
    found = {"history": pd.DataFrame(panel.values, index, panel.columns)}
    if panel.n_covariates:
        found["history_X"] = pd.DataFrame(panel.covariates, index, columns)
    return found


def wanted_index(panel: Panel, ends: np.ndarray, fh: ForecastingHorizon, cutoff: pd.Index, shift: int) -> pd.Index:
    """Index of the forecasts at a horizon; relative steps of a series count on from its end."""
    steps = fh.to_pandas()
    if fh.is_relative and pd.api.types.is_integer_dtype(steps.dtype):
        grid = panel.grid
        # Of whole-number times, a step is 1 in sktime.
        pace = 1 if grid.kind == "integer" else grid.step
        ordinals = (ends - grid.step)[:, None] + steps.to_numpy() * pace
    else:
        times = fh.to_absolute_index(cutoff)
        times = times + shift if shift else times
        if panel.ids is None:
            return times
        ordinals = np.tile(panel.grid.encode(times, where="fh"), (panel.n_series, 1))
    series = np.repeat(np.arange(panel.n_series), ordinals.shape[1])
    return panel_index(panel.ids, panel.grid, series, ordinals.ravel())


def covariate_rows(panel: Panel, X: pd.DataFrame, wanted: pd.Index) -> pd.DataFrame:
    """Covariates of the rows to forecast, then of those between them and the history, of all that X holds.

    Raises
    ------
    ValueError
        If X lacks rows to forecast, or the forecaster was fitted without covariates.
    """
    if not panel.n_covariates:
        raise ValueError("X: the forecaster was fitted without covariates. Leave it out, or fit with X.")
    index = X.index
    times = index.get_level_values(-1)
    series = np.zeros(len(X), dtype=np.intp) if panel.ids is None else panel.ids.get_indexer(index.droplevel(-1))
    later = (series >= 0) & (panel.grid.encode(times, where="X") >= panel.ends[series])
    between = later & (times <= wanted.get_level_values(-1).max()) & ~index.isin(wanted)
    needed = matching(X, wanted)
    return pd.concat([needed, X[between]]) if between.any() else needed


def extended(forecaster: Any, y: pd.DataFrame, X: pd.DataFrame | None) -> tuple[Panel, np.ndarray]:
    """The history of a forecaster with rows put in: later ones behind it, those of known times in their place.

    Beside it, how many rows each series has up to the last one that was put in, 0 for those that got none.

    Steps in between that were never given count as missing.

    Raises
    ------
    ValueError
        If a row lies before the history, its series is unknown, or covariates are missing.
    """
    panel: Panel = forecaster.panel_
    y = like_fitted(forecaster, y, where="y")
    if panel.n_covariates and X is None:
        raise ValueError("X: missing. The forecaster was fitted with covariates: call update(y, X).")
    request = read_request(y, None, panel, forecaster.horizon_)
    reach = np.zeros(panel.n_series, dtype=np.int64)
    np.maximum.at(reach, request.series, request.positions + 1)
    longer = panel.resized(np.zeros_like(reach), np.maximum(reach - panel.lengths, 0))
    rows = longer.offsets[:-1][request.series] + request.positions
    longer.values[rows] = to_numbers(y, where="y")
    if X is not None:
        longer.covariates[rows] = to_numbers(checked_covariates(forecaster, X, reset=False), where="X")
    return longer, reach
