"""Backtests: forecasts from many cut-offs of a known history, laid beside what then happened."""

import warnings
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from tsrec.frames import Panel, check_rows, read_panel, stacked_index, variable_names

# Grids whose steps are numbered, not placed on a calendar.
_NUMBERED = ("position", "integer", "delta")


def backtest(
    forecaster: Any,
    y: Any,
    *,
    X: Any = None,
    horizon: int | None = None,
    step: int | None = None,
    n_windows: int | None = None,
    refit: bool = False,
) -> pd.DataFrame:
    """Forecast from cut-offs inside a history, as if each were today.

    Parameters
    ----------
    forecaster : forecaster
        Fitted or not. Without `refit`, one whose training rows end before the first cut-off is used with its weights as
        they are; any other is cloned and fitted once, on the rows before the first cut-off of all series: where time is
        a calendar, no row of any series that is later than it. It is not changed.
    y : Series, DataFrame or array
        The history, with the rows to be forecast.
    X : DataFrame, optional
        Covariates beside y.
    horizon : int, optional
        Steps to forecast from each cut-off; the forecaster's own horizon when omitted, which is the most it can be.
    step : int, optional
        Steps from one cut-off to the next; `horizon` (no step forecast twice) when omitted.
    n_windows : int, optional
        Number of cut-offs per series, counted back from the last one whose steps all lie in y. When omitted, as many as
        fit into the last fifth of the shortest series that has room for one, at least one. Series of a panel that are
        too short for it get fewer, or none, with a warning.
    refit : bool
        Whether to fit a clone anew on the rows before each cut-off. Without it all cut-offs are forecast in batches.

    Returns
    -------
    DataFrame
        Index (series if y is a panel, cutoff, time), where the cut-off is the time of the last row that was known;
        columns (variable, "y" | "forecast" | quantile level).

    Raises
    ------
    TypeError
        If the forecaster is none of tsrec's, or y or X are no rows.
    ValueError
        If a number is not whole or out of its range, `refit` is neither True nor False, no series is long enough for
        the cut-offs and one row before them, or the covariates that the forecaster was fitted with are not given.

    Examples
    --------
    >>> from tsrec import SeasonalNaiveForecaster
    >>> y = pd.Series(range(30), pd.date_range("2024-01-01", periods=30, freq="D"), name="sales")
    >>> backtest(SeasonalNaiveForecaster(horizon=2), y, n_windows=3)["sales"].shape
    (6, 9)
    """
    if isinstance(forecaster, type) or not hasattr(forecaster, "predict_cutoffs"):
        raise TypeError(
            f"forecaster: found {_named(forecaster)}. Give a forecaster of tsrec itself; of a search, its "
            "best_estimator_; of a Pipeline, its last step with X transformed."
        )
    _check_whole(**{"horizon of the forecaster": forecaster.horizon})
    horizon = forecaster.horizon if horizon is None else horizon
    step = horizon if step is None else step
    _check_whole(horizon=horizon, step=step, n_windows=1 if n_windows is None else n_windows)
    if not isinstance(refit, bool | np.bool_):
        raise ValueError(f"refit: found {refit!r}. Give True, to fit before each cut-off, or False.")
    if horizon > forecaster.horizon:
        raise ValueError(f"horizon: found {horizon}. Give 1 to {forecaster.horizon}, the horizon of the forecaster.")
    panel = read_panel(y, freq=getattr(forecaster, "freq", None))
    cutoffs = _cutoffs(panel, int(horizon), int(step), n_windows)
    if X is not None:
        check_rows(y, X, "X")
    learned = getattr(forecaster, "panel_", None)
    if learned is not None and (X is None) != (learned.n_covariates == 0):
        raise ValueError(
            f"X: found {'None' if X is None else 'covariates'}, but the forecaster was fitted with "
            f"{learned.n_covariates or 'no'} covariates. Give X=, rows of what it was fitted with, or a forecaster "
            "that is not fitted."
        )
    if refit:
        answers, levels = _with_refits(forecaster, panel, y, X, cutoffs)
        return _table(panel, cutoffs, answers[:, :horizon], levels, horizon)
    if _trained_before(forecaster, panel, cutoffs):
        # Its columns, in its order; where one is missing, it says so itself.
        own = set(forecaster.form_.columns)
        if isinstance(y, pd.DataFrame) and own <= set(y.columns) and not hasattr(forecaster, "set_seasons_"):
            y = y[list(forecaster.form_.columns)]
        panel = read_panel(y, freq=forecaster.freq)
    else:
        forecaster = _fit_before(clone(forecaster), panel, y, X, cutoffs)
    answers, levels = forecaster.predict_cutoffs(y, cutoffs, X), forecaster.levels_
    return _table(panel, cutoffs, answers[:, :horizon], levels, horizon)


def _named(found: Any) -> str:
    return f"the class {found.__name__}" if isinstance(found, type) else f"a {type(found).__name__}"


def _check_whole(**numbers: Any) -> None:
    for name, value in numbers.items():
        if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{name}: found {value!r}. Give a whole number of at least 1.")


def _cutoffs(panel: Panel, horizon: int, step: int, n_windows: int | None) -> np.ndarray:
    """Cut-offs (series, step of the first value to forecast), ascending in each series; int array of shape (n, 2)."""
    last = panel.lengths - horizon
    fitting = np.maximum((last - 1) // step + 1, 0)
    if n_windows is None:
        shortest = panel.lengths[fitting > 0].min(initial=panel.lengths.max())
        n_windows = max(int((shortest // 5 - horizon) // step) + 1, 1)
    short = fitting < n_windows
    if short.all():
        longest = int(panel.lengths.argmax())
        name = "y" if panel.ids is None else f"y: series {panel.ids[longest]!r}, the longest,"
        raise ValueError(
            f"{name} has {panel.lengths[longest]} rows, but {n_windows} cut-offs {step} steps apart with a horizon of "
            f"{horizon} need {horizon + (n_windows - 1) * step + 1}. Lower n_windows, step or horizon."
        )
    if short.any():
        _warn_of_short(panel, fitting, n_windows)
    counts = np.minimum(fitting, n_windows)
    series = np.repeat(np.arange(panel.n_series), counts)
    back = np.repeat(np.cumsum(counts), counts) - np.arange(counts.sum()) - 1
    return np.stack([series, last[series] - back * step], axis=1)


def _warn_of_short(panel: Panel, fitting: np.ndarray, n_windows: int) -> None:
    assert panel.ids is not None
    fewer, none = ((fitting > 0) & (fitting < n_windows)).sum(), (fitting == 0).sum()
    first = int(panel.lengths.argmin())
    warnings.warn(
        f"y: {fewer + none} of {panel.n_series} series are too short for {n_windows} cut-offs; {fewer} get fewer, "
        f"{none} none. The shortest is {panel.ids[first]!r} with {panel.lengths[first]} rows.",
        stacklevel=4,
    )


def _earliest(panel: Panel, cutoffs: np.ndarray) -> int:
    """Step of the grid at which the first cut-off stands."""
    return int((panel.starts[cutoffs[:, 0]] + cutoffs[:, 1] * panel.grid.step).min())


def _trained_before(forecaster: Any, panel: Panel, cutoffs: np.ndarray) -> bool:
    """Whether a forecaster is fitted, on rows that all lie before the first cut-off."""
    if not hasattr(forecaster, "trained_ends_"):
        return False
    check_is_fitted(forecaster)
    if hasattr(forecaster, "set_seasons_"):
        # It learned from other sets, whose rows have no place on this calendar.
        return True
    fitted = forecaster.panel_.grid
    return fitted.kind == panel.grid.kind and fitted.nanoseconds(
        forecaster.trained_ends_.max()
    ) <= panel.grid.nanoseconds(_earliest(panel, cutoffs))


def _fit_before(forecaster: Any, panel: Panel, y: Any, X: Any, cutoffs: np.ndarray) -> Any:
    """Fit on the rows before the first cut-off of each series, all rows of one without any.

    On a calendar the earliest cut-off counts for all: what one series shows of later months must not reach the forecast
    of another. Steps that are only numbered (no index, whole numbers, durations) are no common time.
    """
    lengths = panel.lengths.copy()
    if panel.grid.kind in _NUMBERED:
        np.minimum.at(lengths, cutoffs[:, 0], cutoffs[:, 1])
    else:
        lengths = np.clip(-((panel.starts - _earliest(panel, cutoffs)) // panel.grid.step), 0, lengths)
    local = np.arange(panel.offsets[-1]) - np.repeat(panel.offsets[:-1], panel.lengths)
    known = local < np.repeat(lengths, panel.lengths)
    rows = np.flatnonzero(known if panel.ids is None else known[_row_order(y, panel)])
    if panel.grid.kind in ("fixed", "wall", "month", "business") and forecaster.freq is None:
        # A short run of rows may look like another frequency than the whole.
        forecaster.set_params(freq=panel.grid.freq)
    if X is None:
        return forecaster.fit(_rows_of(y, rows))
    return forecaster.fit(_rows_of(X, rows), _rows_of(y, rows))


def _row_order(y: Any, panel: Panel) -> np.ndarray:
    """For each row of y its row in the panel, which keeps the rows of a series together."""
    assert panel.ids is not None
    index = y.index
    series = panel.ids.get_indexer(index.droplevel(-1))
    position = (panel.grid.encode(index.get_level_values(-1), where="y") - panel.starts[series]) // panel.grid.step
    return panel.offsets[series] + position


def _rows_of(container: Any, rows: np.ndarray) -> Any:
    return container.iloc[rows] if isinstance(container, pd.Series | pd.DataFrame) else np.asarray(container)[rows]


def _with_refits(forecaster: Any, panel: Panel, y: Any, X: Any, cutoffs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Answers with a fit before each cut-off; series share it where they have cut-offs at the same time.

    Steps that are only numbered are no common time: there the k-th from the last of every series share one.
    """
    if panel.grid.kind in _NUMBERED:
        counts = np.bincount(cutoffs[:, 0], minlength=panel.n_series)
        turns = np.arange(len(cutoffs)) - np.repeat(np.cumsum(counts), counts)
    else:
        turns = panel.starts[cutoffs[:, 0]] + cutoffs[:, 1] * panel.grid.step
    answers: dict[int, np.ndarray] = {}
    for turn in np.unique(turns):
        chosen = np.flatnonzero(turns == turn)
        fitted = _fit_before(clone(forecaster), panel, y, X, cutoffs[chosen])
        answers.update(zip(chosen.tolist(), fitted.predict_cutoffs(y, cutoffs[chosen], X), strict=True))
    return np.stack([answers[row] for row in range(len(cutoffs))]), fitted.levels_


def _table(panel: Panel, cutoffs: np.ndarray, answers: np.ndarray, levels: np.ndarray, horizon: int) -> pd.DataFrame:
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
