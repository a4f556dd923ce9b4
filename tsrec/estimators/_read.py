"""The arguments of fit, update and history= turned into one panel: target, covariates, past and static together."""

from dataclasses import replace
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from tsrec.estimators._request import check_level_names, has_time
from tsrec.estimators._series_rows import StaticCoding, row_weights, static_rows
from tsrec.estimators._window_weights import counted
from tsrec.frames import (
    Form,
    Panel,
    TimeGrid,
    check_given,
    check_names,
    check_rows,
    form_of,
    label_at,
    read_panel,
    time_column,
    to_numbers,
)
from tsrec.frames.warn import warn_user


class Names(NamedTuple):
    """How errors call the rows of a history, its covariates, and those known up to its end."""

    y: str
    X: str
    past: str


GIVEN = Names("y", "X", "past")
HISTORY = Names("history", "history_X", "history_past")


def read_fit(
    estimator: BaseEstimator, X: Any, y: Any, past: Any = None, static: Any = None, sample_weight: Any = None
) -> tuple[Panel, Form, StaticCoding | None]:
    """Check the arguments of fit and put them into a panel; sets ``n_features_in_`` and ``feature_names_in_``.

    Parameters
    ----------
    estimator : BaseEstimator
        Whose fit was called; its parameter ``freq`` counts if it has one.
    X : DataFrame, Series or array
        Covariates, or what is forecast if y is None.
    y : Series, DataFrame, array or None
        What is forecast.
    past, static : DataFrame, Series, array or None
        Covariates known up to the cut-off, and per series.
    sample_weight : Series, array or None
        How much each row, or each series, counts.

    Returns
    -------
    panel : Panel
    form : Form
        The container of what is forecast.
    coding : StaticCoding or None
        How a frame of static covariates was read.
    """
    freq = estimator._freq() if hasattr(estimator, "_freq") else getattr(estimator, "freq", None)
    if y is None:
        target, covariates = checked_target(estimator, X), None
    else:
        target, covariates = checked_y(y), checked_covariates(estimator, X, reset=True)
    weight = None if sample_weight is None else row_weights(sample_weight, target, common_index(target, covariates))
    panel = assemble(target, covariates, past, weight, freq=freq)
    if np.isnan(panel.values).all():
        raise ValueError("y: it holds no observed value (all are NaN). Give at least one number.")
    if np.isnan(counted(panel).values).all():
        raise ValueError(
            "sample_weight: every row with a value has the weight 0. Give some of them a positive one, to learn from."
        )
    coding = None
    if static is not None:
        numbers, coding = static_rows(static, panel)
        panel = replace(panel, static=numbers)
    return panel, form_of(target), coding


def checked_target(estimator: BaseEstimator, X: Any) -> Any:
    """X of ``fit(X)`` alone: a Series, a frame with columns, or an array of one or two dimensions."""
    if isinstance(X, pd.Series):
        validate_data(estimator, X.to_frame("y" if X.name is None else X.name), skip_check_array=True)
        return X
    if isinstance(X, pd.DataFrame):
        check_names(X, "X")
        if not X.shape[1]:
            raise ValueError(
                "X: the frame has no column to forecast, and no y was given. Give y, or a frame with columns."
            )
        validate_data(estimator, X, skip_check_array=True)
        return X
    check_given(X, "X")
    if np.asarray(X).ndim == 1:
        X = check_array(X, ensure_2d=False, dtype=np.float64, ensure_all_finite="allow-nan")
        validate_data(estimator, X[:, None], skip_check_array=True)
        return X
    return validate_data(estimator, X, dtype=np.float64, ensure_all_finite="allow-nan")


def checked_covariates(estimator: BaseEstimator, X: Any, *, reset: bool, where: str = "X") -> Any:
    """X beside a y: a frame (also without columns) or a two-dimensional array; names and count of features checked."""
    if isinstance(X, pd.DataFrame):
        check_names(X, where)
        validate_data(estimator, X, skip_check_array=True, reset=reset)
        return X
    if isinstance(X, pd.Series):
        return checked_covariates(estimator, X.to_frame("x" if X.name is None else X.name), reset=reset, where=where)
    if isinstance(X, pd.Index):
        raise TypeError(
            f"{where}: an index alone says which rows, but fit needs a frame. Use pd.DataFrame(index={where}) for no "
            "covariates."
        )
    check_given(X, where)
    return validate_data(estimator, X, reset=reset, dtype=np.float64, ensure_all_finite="allow-nan")


def checked_y(y: Any, where: str = "y") -> Any:
    """Rows of what is forecast: a Series, a frame with different columns, or an array of one or two dimensions."""
    if isinstance(y, pd.DataFrame):
        check_names(y, where)
    if isinstance(y, pd.Series | pd.DataFrame):
        return y
    if isinstance(y, pd.Index):
        raise TypeError(
            f"{where}: found a {type(y).__name__}. Give the rows themselves: a Series, a frame or an array."
        )
    check_given(y, where)
    if not np.asarray(y).shape[0]:
        raise ValueError(f"{where}: it has 0 rows. Give at least one time step.")
    y = check_array(y, ensure_2d=False, dtype=np.float64, ensure_all_finite="allow-nan", input_name=where)
    if y.ndim > 2:
        raise ValueError(f"{where}: found an array of {y.ndim} dimensions. Give (n_steps,) or (n_steps, n_channels).")
    return y


def like_fitted(estimator: Any, y: Any, *, where: str) -> Any:
    """More rows of what was fitted: its columns, in its order.

    Raises
    ------
    ValueError
        If a column is missing, or there are more or fewer than in the fitted y.
    """
    form: Form = estimator.form_
    y = checked_y(y, where)
    if isinstance(y, pd.DataFrame) and form.kind == "frame":
        absent = [column for column in form.columns if column not in y.columns]
        if absent:
            raise ValueError(
                f"{where}: it has no column {absent[0]!r}. Give the columns of the fitted y: {list(form.columns)}."
            )
        return y[form.columns]
    found = y.shape[1] if np.asarray(y).ndim == 2 else 1
    if found != len(form.columns):
        times = time_column(y)
        mend = "" if times is None else f"; {times!r} looks like times, {_as_index(where, times)} makes them the index"
        raise ValueError(
            f"{where}: it has {found} columns, the fitted y {len(form.columns)}. Give the same columns{mend}."
        )
    return y


def assemble(
    target: Any,
    covariates: Any,
    past: Any = None,
    weight: np.ndarray | None = None,
    *,
    freq: Any = None,
    names: Names = GIVEN,
    like: TimeGrid | None = None,
) -> Panel:
    """One panel of a target, its covariates and its past covariates, whose indexes must agree."""
    index = common_index(target, covariates, past, names=names)
    given = zip((target, covariates, past), names, strict=True)
    blocks = [to_numbers(part, where=name) for part, name in given if part is not None]
    blocks += [] if weight is None else [weight[:, None]]
    panel = read_panel(np.hstack(blocks), freq=freq, where=names.y, index=index, like=like)
    edges = np.cumsum([block.shape[1] for block in blocks])
    pieces = iter(np.split(panel.values, edges[:-1], axis=1))
    return replace(
        panel,
        values=np.ascontiguousarray(next(pieces)),
        columns=form_of(target).columns,
        covariates=next(pieces) if covariates is not None else panel.covariates,
        past=next(pieces) if past is not None else panel.past,
        weight=next(pieces)[:, 0] if weight is not None else None,
    )


def common_index(target: Any, covariates: Any, past: Any = None, *, names: Names = GIVEN) -> pd.Index | None:
    """The index that says when each row is: y's own, or that of X where y has none.

    Raises
    ------
    ValueError
        If y has a time index and X has none or another one.
    """
    given = zip((target, covariates, past), names, strict=True)
    found = [(part, name) for part, name in given if part is not None]
    for part, name in found[1:]:
        check_rows(target, part, name, names.y)
    timed = [(part.index, name) for part, name in found if has_time(part)]
    for part, name in found[1:]:
        if has_time(target) and not has_time(part):
            what = "a frame with a default index" if hasattr(part, "index") and hasattr(part, "iloc") else "an array"
            scaler = " A scaler drops the index unless told otherwise: use scaler.set_output(transform='pandas')."
            raise ValueError(
                f"{name}: it is {what}, but {names.y} has a time index. Give a frame with the index of {names.y}."
                f"{'' if name == names.past else scaler}"
            )
    for index, name in timed[1:]:
        if not index.equals(timed[0][0]):
            _refuse_other_index(index, timed[0][0], name, timed[0][1])
    if timed:
        return timed[0][0]
    return target.index if isinstance(target, pd.Series | pd.DataFrame) else None


def _refuse_other_index(index: pd.Index, expected: pd.Index, name: str, other: str) -> None:
    if len(index) != len(expected):
        raise ValueError(f"{name}: it has {len(index)} rows, {other} has {len(expected)}. Give the same rows in both.")
    row = int(np.flatnonzero(np.asarray(index != expected))[0]) if index.nlevels == expected.nlevels else 0
    raise ValueError(
        f"{name}: its index differs from that of {other}, first in row {row} ({index[row]} against "
        f"{expected[row]}). Give both the same index in the same order."
    )


def read_history(estimator: Any, history: Any, history_X: Any, history_past: Any, names: Names) -> Panel:
    """Another history for fitted weights: the same columns, the same frequency, any series and any length."""
    fitted: Panel = estimator.panel_
    times = time_column(history)
    history = like_fitted(estimator, history, where=names.y)
    if fitted.n_covariates and history_X is None:
        raise ValueError(
            f"{names.X}: missing. The forecaster was fitted with covariates; give those of the rows of {names.y} too."
        )
    covariates = None
    if history_X is not None and not estimator.targets_itself_:
        covariates = checked_covariates(estimator, history_X, reset=False, where=names.X)
    elif history_X is not None:
        raise ValueError(f"{names.X}: the forecaster was fitted without covariates. Leave it out, or fit with X.")
    known = fitted.past.shape[1]
    if history_past is not None:
        history_past = like_past(estimator, history_past, names.past)
    panel = assemble(history, covariates, history_past, names=names, like=fitted.grid)
    _check_alike(panel, fitted, names.y, times)
    if history_past is not None or not known:
        return panel
    return replace(panel, past=np.full((len(panel.values), known), np.nan))


def warn_of_no_past(estimator: Any, names: Names) -> None:
    """Tell that rows come without what the forecaster has learned from."""
    known = estimator.panel_.past.shape[1]
    if known and estimator._uses("past"):
        warn_user(
            f"{names.past}: missing. What was learned from it ({known} columns) counts as unknown here. Give those of "
            f"the rows of {names.y}."
        )


def like_past(estimator: Any, past: Any, where: str) -> Any:
    """More rows of past covariates: the columns of fit, in its order.

    Raises
    ------
    ValueError
        If a column is missing, or there are more or fewer than fit was given.
    """
    known, columns = estimator.panel_.past.shape[1], getattr(estimator, "past_columns_", None)
    if isinstance(past, pd.DataFrame) and columns is not None:
        absent = [column for column in columns if column not in past.columns]
        if absent:
            raise ValueError(f"{where}: it has no column {absent[0]!r}. Give the columns of fit: {list(columns)}.")
        past = past[list(columns)]
    found = past.shape[1] if np.ndim(past) == 2 else 1
    if found != known:
        mend = "Give the same columns" if known else "Leave it out, or fit with past="
        raise ValueError(f"{where}: found {found} columns, fit was given {known or 'none'}. {mend}.")
    return past


def _as_index(where: str, times: Any) -> str:
    """How a column of a frame becomes its index."""
    return f"{where}.set_index(pd.to_datetime({where}.pop({times!r})))"


def check_observed(panel: Panel, fitted: Panel, where: str = "history") -> Panel:
    """A history, if there is something to forecast each series from: a value, or what fit knows of it by its name.

    Raises
    ------
    ValueError
        If series that fit has not seen hold no value.
    """
    empty = unobserved(panel).all(axis=1)
    if empty.any() and panel.ids is not None and fitted.ids is not None and panel.ids.nlevels == fitted.ids.nlevels:
        empty &= fitted.ids.get_indexer(panel.ids) < 0
    if empty.any() and panel.ids is None:
        raise ValueError(f"{where}: it holds no observed value (all are NaN). Give at least one number.")
    if empty.any():
        raise ValueError(
            f"{where}: {int(empty.sum())} series that fit has not seen hold no observed value (all are NaN), the first "
            f"is {label_at(panel.ids, int(empty.argmax()))!r}. Give each at least one number, or leave them out."
        )
    return panel


def unobserved(panel: Panel) -> np.ndarray:
    """Whether a variable of a series holds nothing but NaN, bool (n_series, n_channels)."""
    owner = np.repeat(np.arange(panel.n_series), panel.lengths)
    counts = [np.bincount(owner, ~np.isnan(column), panel.n_series) for column in panel.values.T]
    return np.stack(counts, axis=1) == 0


def _check_alike(panel: Panel, fitted: Panel, where: str, times: Any) -> None:
    """Refuse a history on another kind of time axis than the fitted y; `times` is a column that seems to hold it."""
    ours, theirs = fitted.grid, panel.grid
    if ours.has_time and not theirs.has_time:
        mend = f"Use {_as_index(where, times)}"
        if times is None:
            mend = "Give a Series or a frame whose index is the time of each row"
        raise ValueError(f"{where}: it has no time index, but the fitted y had one. {mend}.")
    if theirs.has_time and not ours.has_time:
        found = "its index of numbers is taken for times" if theirs.kind == "integer" else "it has a time index"
        raise ValueError(
            f"{where}: {found}, but the fitted y had none. Fit on y with its time index, or give "
            f"{where}.reset_index(drop=True)."
        )
    if (ours.tz is None) != (theirs.tz is None):
        raise ValueError(
            f"{where}: its time zone is {theirs.tz}, that of the fitted y {ours.tz}. Use tz_localize or "
            "tz_convert on one."
        )
    if not ours.same_spacing(theirs):
        raise ValueError(
            f"{where}: its steps are {theirs.freq or theirs.step!r} ({theirs.kind}), those of the fitted y "
            f"{ours.freq or ours.step!r} ({ours.kind}). Resample one to the other."
        )
    if panel.ids is not None:
        check_level_names([*panel.ids.names, theirs.name], fitted, where=where)


def read_predict(estimator: Any, X: Any) -> np.ndarray | None:
    """Check X of predict against fit; its numbers if they are covariates, None if the values do not matter.

    When fit saw the target alone, X says which rows and its values are what is to be forecast: they are not read.
    """
    panel: Panel = estimator.panel_
    if X is None or isinstance(X, Integral | pd.Index):
        if panel.n_covariates:
            raise ValueError(
                f"X: the forecaster was fitted with {panel.n_covariates} covariate columns. Give their values for the "
                "rows to forecast, in a frame whose index is the time."
            )
        return None
    if isinstance(X, pd.Series):
        if estimator.targets_itself_:
            return None
        X = X.to_frame("x" if X.name is None else X.name)
    if estimator.targets_itself_:
        if isinstance(X, pd.DataFrame):
            if X.shape[1]:
                validate_data(estimator, X, skip_check_array=True, reset=False)
        else:
            validate_data(estimator, X, reset=False, ensure_all_finite=False, dtype=None)
        return None
    X = checked_covariates(estimator, X, reset=False)
    return to_numbers(X, where="X") if panel.n_covariates else None
