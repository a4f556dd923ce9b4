"""What a call of predict asks for: which steps of which series, in which order, under which index."""

from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd

from tsrec.frames import Panel, check_given, label_at, panel_index, read_index
from tsrec.frames.inference import is_default


@dataclass(frozen=True, eq=False)
class Request:
    """Rows to forecast.

    Attributes
    ----------
    series : int array of shape (n_rows,)
        Series of each row.
    positions : int64 array of shape (n_rows,)
        Step of each row inside its series; the length of the series is the first step to come.
    index : Index
        Index of the answer.
    covariates : float array of shape (n_rows, n_covariates) or None
        Their values in each row, if the user gave them.
    """

    series: np.ndarray
    positions: np.ndarray
    index: pd.Index
    covariates: np.ndarray | None = None


def has_time(X: Any) -> bool:
    """Whether the rows of X say when they are: arrays and frames with a default index do not."""
    index = X if isinstance(X, pd.Index) else getattr(X, "index", None)
    return isinstance(index, pd.MultiIndex) or (isinstance(index, pd.Index) and not is_default(index))


def plain_request(X: Any) -> Any:
    """The argument of predict as one of None, int, Index, Series, DataFrame or array.

    Raises
    ------
    TypeError
        If it is a number that is not whole, a text, or anything else without rows.
    """
    if X is None or isinstance(X, pd.Index | pd.Series | pd.DataFrame):
        return X
    if isinstance(X, Integral) and not isinstance(X, bool | np.bool_):
        return int(X)
    if isinstance(X, pd.Timestamp | pd.Period | pd.Timedelta):
        return pd.Index([X])
    if isinstance(X, list | tuple) and X and isinstance(X[0], pd.Timestamp | pd.Period | pd.Timedelta):
        return pd.Index(X)
    if isinstance(X, list | tuple):
        check_given(X, "X")
    # A sparse matrix is refused by scikit-learn's own check, which names it.
    if not hasattr(X, "tocsr") and (isinstance(X, str | bytes | dict | set) or np.asarray(X).ndim == 0):
        found = f"a {type(X).__name__}" if isinstance(X, dict | set) else repr(X)
        raise TypeError(
            f"X: found {found}. Give a whole number of steps, a time index (pd.date_range, pd.DatetimeIndex), or a "
            "frame with one row per step to forecast."
        )
    return X if hasattr(X, "__len__") else np.asarray(X)


def read_request(X: Any, covariates: np.ndarray | None, panel: Panel, horizon: int) -> Request:
    """Decode what predict was asked for.

    Parameters
    ----------
    X : None, int, Index, Series, DataFrame or array
        The argument of predict; None means `horizon` steps.
    covariates : float array of shape (n_rows, n_covariates) or None
        The numbers in X, if they are covariates.
    panel : Panel
        The history.
    horizon : int
        Steps when X is None.

    Raises
    ------
    ValueError
        If a row lies before the history or off its grid, or belongs to a series that is not in it.
    """
    if X is None or isinstance(X, Integral):
        return _steps_ahead(panel, horizon if X is None else int(X))
    if not has_time(X):
        if panel.n_series > 1:
            raise ValueError(
                f"X: its {len(X)} rows have no index that tells to which of the {panel.n_series} series they "
                "belong. Give a number of steps, a time index, or a frame with y's index levels (series, time)."
            )
        ahead = _steps_ahead(panel, len(X))
        return Request(ahead.series, ahead.positions, ahead.index, covariates)
    index = X if isinstance(X, pd.Index) else X.index
    of_all = panel.ids is not None and not isinstance(index, pd.MultiIndex)
    request = (_times_of_all if of_all else _labelled)(index, covariates, panel)
    if covariates is not None and index.has_duplicates:
        _refuse_two_answers(index, covariates)
    return request


def _steps_ahead(panel: Panel, steps: int) -> Request:
    if steps < 1:
        raise ValueError(f"X: found {steps} steps. Ask for at least one.")
    series = np.repeat(np.arange(panel.n_series), steps)
    positions = panel.lengths[series] + np.tile(np.arange(steps), panel.n_series)
    return Request(series, positions, _index_of(panel, series, positions))


def _times_of_all(index: pd.Index, covariates: np.ndarray | None, panel: Panel) -> Request:
    """A plain time index for a panel: these times for every series, with the same covariates."""
    if index.has_duplicates and panel.n_series > 1:
        assert panel.ids is not None
        again, levels = index.duplicated(), [*panel.ids.names, panel.grid.name]
        raise ValueError(
            f"X: {int(again.sum())} of its rows repeat a time, the first {label_at(index[again], 0)!r}, and its index "
            f"does not say of which of the {panel.n_series} series they are. Give y's levels, {levels}, or "
            "each time once, for all of them."
        )
    ordinals = panel.grid.encode(read_index(index, where="X").times, where="X")
    series = np.repeat(np.arange(panel.n_series), len(ordinals))
    positions = _positions(panel, series, np.tile(ordinals, panel.n_series))
    shared = None if covariates is None else np.tile(covariates, (panel.n_series, 1))
    return Request(series, positions, _index_of(panel, series, positions), shared)


def _labelled(index: pd.Index, covariates: np.ndarray | None, panel: Panel) -> Request:
    if panel.ids is None and isinstance(index, pd.MultiIndex):
        raise ValueError(
            "X: its index has levels (series, time), but y was one series. Use X.droplevel, or fit a panel."
        )
    rows = read_index(index, where="X")
    check_level_names(list(index.names), panel)
    if panel.grid.kind == "position":
        if not pd.api.types.is_integer_dtype(rows.times.dtype):
            raise TypeError(
                f"X: its index is a {type(rows.times).__name__}, but y carried no time index. Fit on y with its "
                "time index, or give X as an array: its rows are then the next steps."
            )
        ordinals = rows.times.to_numpy(dtype=np.int64)
    else:
        ordinals = rows.ordinals(panel.grid, where="X")
    lengths = np.diff(rows.offsets)
    local = np.zeros(1, dtype=np.intp) if rows.ids is None else _locate(panel, rows.ids)
    series = np.repeat(local, lengths)
    if rows.order is not None:
        back = np.empty_like(rows.order)
        back[rows.order] = np.arange(len(back))
        series, ordinals = series[back], ordinals[back]
    positions = _positions(panel, series, ordinals)
    return Request(series, positions, index, covariates)


def _refuse_two_answers(index: pd.Index, covariates: np.ndarray) -> None:
    """Refuse a step that is there twice with different covariates: one of both would answer for both."""
    rows = pd.DataFrame(covariates).assign(step=index.factorize()[0])
    wrong = np.flatnonzero(index.duplicated() & ~rows.duplicated().to_numpy())
    if len(wrong):
        raise ValueError(
            f"X: {len(wrong)} of its rows repeat a step with other covariates, the first is {index[wrong[0]]!r}. Give "
            "each step once; ask what another plan would do in a second call."
        )


def check_level_names(found: list, panel: Panel, *, where: str = "X") -> None:
    """Refuse index levels in another order than those of y: names say so where the labels do not."""
    expected = [] if panel.ids is None else [*panel.ids.names, panel.grid.name]
    if found != expected and None not in found and set(found) == set(expected):
        raise ValueError(
            f"{where}: its index levels are {found}, those of y {expected}. Use reorder_levels({expected})."
        )


def _locate(panel: Panel, ids: pd.Index) -> np.ndarray:
    assert panel.ids is not None
    if ids.nlevels != panel.ids.nlevels:
        raise ValueError(
            f"X: its index has {ids.nlevels + 1} levels, that of y {panel.ids.nlevels + 1}. Give the same levels, "
            "time last."
        )
    local = panel.ids.get_indexer(ids)
    if (local < 0).any():
        unknown = ids[local < 0]
        raise ValueError(
            f"X: {len(unknown)} of its series are not in the history, the first is {unknown[0]!r}. Give their "
            "past rows with "
            "predict(..., history=frame). (TimeSeriesSplit on stacked series trains on some and tests on others.)"
        )
    return local


def _positions(panel: Panel, series: np.ndarray, ordinals: np.ndarray) -> np.ndarray:
    positions, rest = np.divmod(ordinals - panel.starts[series], panel.grid.step)
    for wrong, what in (
        (rest != 0, "lie between the steps of y"),
        (positions < 0, "lie before the first row of y (in cross-validation use TimeSeriesSplit)"),
    ):
        if wrong.any():
            first = panel.grid.decode(ordinals[np.flatnonzero(wrong)[:1]])[0]
            raise ValueError(
                f"X: {int(wrong.sum())} of its rows {what}, the first is {first}. Ask for steps on y's grid"
                f"{f' of frequency {panel.grid.freq!r}' if panel.grid.freq else ''} from its first row on."
            )
    return positions


def _index_of(panel: Panel, series: np.ndarray, positions: np.ndarray) -> pd.Index:
    return panel_index(panel.ids, panel.grid, series, panel.starts[series] + positions * panel.grid.step)
