"""Errors of one model of a backtest, for each group of its values."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tsrec.frames import form_of, read_panel, to_numbers, variable_names
from tsrec.frames.inference import is_default, plain_index
from tsrec.frames.season import choose_season
from tsrec.frames.warn import warn_user
from tsrec.metrics import interval_coverage, mae, naive_scale, pinball, rmse, smape
from tsrec.model_selection.tables import Forecasts


@dataclass(frozen=True, eq=False)
class Scales:
    """Errors of the seasonal naive forecast before the cut-offs, absolute and squared: arrays (n_series, n_variables).

    NaN where there are none, or they are 0.
    """

    absolute: np.ndarray
    squared: np.ndarray


def scales_of(found: Forecasts, y: Any, season: int | None, freq: str | None) -> Scales:
    """Scales from the rows of y up to the first cut-off of each series.

    Raises
    ------
    ValueError
        If a variable of the table is none of y, or y has no such rows of a series.
    """
    train = _rows_before(found, y)
    if season is None:
        season = choose_season(read_panel(train, freq=freq))
    every = range(found.n_series)
    absolute, squared = (
        pd.DataFrame(naive_scale(train, season=season, squared=power)).reindex(every).to_numpy()
        for power in (False, True)
    )
    lost = ~(absolute > 0)
    if lost.any():
        warn_user(
            f"y: {int(lost.sum())} of {lost.size} series and variables repeat themselves exactly, or have no two "
            f"values {season} steps apart, before the first cut-off. They count in neither MASE nor RMSSE."
        )
    return Scales(np.where(lost, np.nan, absolute), np.where(squared > 0, squared, np.nan))


def _rows_before(found: Forecasts, y: Any) -> pd.DataFrame:
    """The variables of the table up to the first cut-off of each series, with the index (number of series, time)."""
    values = pd.DataFrame(to_numbers(y, where="y"), columns=variable_names(form_of(y).columns))
    absent = [name for name in found.variables if name not in values.columns]
    if absent:
        raise ValueError(f"y: it has no column {absent[0]!r}, which the table has. Give the y of the backtest.")
    index: Any = y.index if isinstance(y, pd.Series | pd.DataFrame) else None
    if isinstance(index, pd.MultiIndex) != (found.names is not None):
        raise ValueError("y: one of y and the table has a series level and the other has not. Give the backtest's y.")
    series = np.zeros(len(values), dtype=np.int64)
    if found.names is not None:
        series = found.names.get_indexer(index.droplevel(-1))
        index = index.get_level_values(-1)
    elif index is None or is_default(index):
        index = pd.RangeIndex(len(values))
    times, cutoffs = plain_index(index, "y"), plain_index(found.cutoffs.unique().sort_values(), "table")
    first = np.full(found.n_series, len(cutoffs) - 1)
    np.minimum.at(first, found.series, cutoffs.get_indexer(found.cutoffs))
    known = (series >= 0) & np.asarray(times <= cutoffs.take(first[series]))
    counts = np.bincount(series[known], minlength=found.n_series)
    if not counts.all():
        name = "" if found.names is None else f" of series {found.names[int(counts.argmin())]!r}"
        raise ValueError(f"y: it has no row{name} up to the first cut-off. Give the y of the backtest.")
    rows = values.loc[known, found.variables]
    return rows.set_index(pd.MultiIndex.from_arrays([series[known], times[known]], names=["series", "time"]))


@dataclass(frozen=True, eq=False)
class Values:
    """All values of one model in one row: truth, forecasts, quantiles (n, n_levels), scales, and whose they are."""

    truth: np.ndarray
    forecast: np.ndarray
    quantiles: np.ndarray
    levels: np.ndarray
    absolute: np.ndarray
    squared: np.ndarray
    row: np.ndarray
    variable: np.ndarray


def values_of(found: Forecasts, model: int, scales: Scales, levels: np.ndarray) -> Values:
    """Values of one model; variables that it does not forecast are left out."""
    rows = np.flatnonzero(found.model == model)
    table = found.values.iloc[rows]
    truth, forecast = (table.xs(name, axis=1, level=1)[found.variables].to_numpy() for name in ("y", "forecast"))
    mine = np.flatnonzero(~np.isnan(forecast).all(axis=0))
    series, variable = np.repeat(found.series[rows], len(mine)), np.tile(mine, len(rows))
    quantiles = np.empty((len(rows), len(found.variables), len(levels)))
    for place, level in enumerate(levels):
        quantiles[..., place] = table.xs(level, axis=1, level=1)[found.variables].to_numpy()
    return Values(
        truth[:, mine].ravel(),
        forecast[:, mine].ravel(),
        quantiles[:, mine].reshape(len(series), len(levels)),
        levels,
        scales.absolute[series, variable],
        scales.squared[series, variable],
        np.repeat(rows, len(mine)),
        variable,
    )


def errors_of(values: Values, groups: np.ndarray, share: float | None) -> pd.DataFrame:
    """Errors of each group, a row each; `share` is the nominal coverage of the interval."""
    index = pd.MultiIndex.from_arrays([groups, np.arange(len(groups))])
    truth = pd.Series(values.truth, index)
    size: Any = mae(truth, np.zeros(len(truth)), average=None)
    errors = {
        "mase": _scaled(mae, truth, values.forecast, values.absolute),
        "rmsse": _scaled(rmse, truth, values.forecast, values.squared),
        "smape": smape(truth, values.forecast, average=None),
        "mae": mae(truth, values.forecast, average=None),
        "wql": np.nan,
    }
    if len(values.levels):
        loss = pinball(truth, values.quantiles, values.levels.tolist(), average=None)
        errors["wql"] = 2 * loss / size.where(size > 0)
    if share is not None:
        places = [int(np.abs(values.levels - level).argmin()) for level in ((1 - share) / 2, (1 + share) / 2)]
        bounds = tuple(values.quantiles[:, place] for place in places)
        errors["coverage"] = interval_coverage(truth, bounds, average=None)
    return pd.DataFrame(errors)


def _scaled(error: Any, truth: pd.Series, forecast: np.ndarray, scale: np.ndarray) -> Any:
    """Errors in units of a scale; NaN where it is not known."""
    scaled, known = truth / scale, ~np.isnan(scale)
    if not (known & truth.notna().to_numpy()).any():
        return np.nan
    return error(scaled, np.where(known, forecast / np.where(known, scale, 1.0), 0.0), average=None)


def common_levels(found: Forecasts) -> np.ndarray:
    """Levels of the quantiles that every model has, ascending."""
    return np.array(sorted(set.intersection(*(set(found.levels(k).tolist()) for k in range(len(found.models))))))


def widest_share(levels: np.ndarray) -> float | None:
    """Nominal coverage of the widest central interval between two of the levels; None without any."""
    shares = [1 - 2 * level for level in levels if level < 0.5 and np.isclose(levels, 1 - level).any()]
    return float(round(max(shares), 9)) if shares else None
