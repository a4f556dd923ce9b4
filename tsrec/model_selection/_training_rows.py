"""The rows that a forecaster may learn from before it forecasts from cut-offs, and the fit on them."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from tsrec.frames import Panel, to_numbers
from tsrec.model_selection._cutoffs import earliest, is_numbered

_FREQUENCIES = ("fixed", "wall", "month", "business")


@dataclass(frozen=True)
class Given:
    """What the user gave: the history, and what lies beside it."""

    y: Any
    X: Any = None
    past: Any = None
    static: Any = None
    weight: Any = None


def numbered(given: Given) -> Given:
    """Rows that carry no time, by numbers from 1 on: those cut from them for a fit keep their places in a season."""

    def with_numbers(name: str) -> Any:
        rows = getattr(given, name)
        places = pd.RangeIndex(1, len(rows) + 1)
        if isinstance(rows, pd.Series | pd.DataFrame):
            return rows.set_axis(places)
        # Arrays and lists may hold None and numbers as objects, which columns of frames may not.
        values = to_numbers(rows, where=name)
        return pd.Series(values[:, 0], places) if np.ndim(rows) == 1 else pd.DataFrame(values, places)

    known = {name: with_numbers(name) for name in ("y", "X", "past") if getattr(given, name) is not None}
    if isinstance(given.weight, pd.Series) and len(given.weight) == len(given.y):
        known["weight"] = with_numbers("weight")
    return replace(given, **known)


def trained_before(forecaster: Any, panel: Panel, cutoffs: np.ndarray) -> bool:
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
    ) <= panel.grid.nanoseconds(earliest(panel, cutoffs))


def fit_before(forecaster: Any, panel: Panel, given: Given, cutoffs: np.ndarray, window: int | None) -> Any:
    """Fit on the rows before the first cut-off of each series, all rows of one without any.

    On a calendar the earliest cut-off counts for all: what one series shows of later months must not reach the forecast
    of another. Steps that are only numbered are no common time. Of these rows the last `window` steps, if it is given.
    """
    ends = panel.lengths.copy()
    if is_numbered(panel):
        np.minimum.at(ends, cutoffs[:, 0], cutoffs[:, 1])
        begins = ends
    else:
        begins = -((panel.starts - earliest(panel, cutoffs)) // panel.grid.step)
        ends = np.clip(begins, 0, ends)
    local = panel.positions()
    known = local < np.repeat(ends, panel.lengths)
    if window is not None:
        known &= local >= np.repeat(begins - window, panel.lengths)
    rows = np.flatnonzero(known if panel.ids is None else known[_row_order(given.y, panel)])
    if panel.grid.kind in _FREQUENCIES and forecaster.freq is None:
        # A short run of rows may look like another frequency than the whole.
        forecaster.set_params(freq=panel.grid.freq)
    beside: dict[str, Any] = {} if given.past is None else {"past": _rows_of(given.past, rows)}
    if given.weight is not None and has_fit_parameter(forecaster, "sample_weight"):
        # A number per series goes by name; those per row are cut as the rows are.
        by_row = len(given.weight) == len(given.y)
        beside["sample_weight"] = _rows_of(given.weight, rows) if by_row else given.weight
    if given.static is not None:
        beside["static"] = by_name(given.static, panel)
    y = _rows_of(given.y, rows)
    read = (y,) if given.X is None else (_rows_of(given.X, rows), y)
    fitted = forecaster.fit(*read, **beside)
    return fitted if knows_all(fitted, given, panel) else fitted.describe(by_name(given.static, panel))


def knows_all(forecaster: Any, given: Given, panel: Panel) -> bool:
    """Whether there is no series which a fitted forecaster could be told of, and has not learned from."""
    learned = forecaster.panel_
    if given.static is None or panel.ids is None or not learned.static.shape[1] or not hasattr(forecaster, "describe"):
        return True
    return learned.ids is not None and bool(panel.ids.isin(learned.ids).all())


def _row_order(y: Any, panel: Panel) -> np.ndarray:
    """For each row of y its row in the panel, which keeps the rows of a series together."""
    assert panel.ids is not None
    index = y.index
    series = panel.ids.get_indexer(index.droplevel(-1))
    position = (panel.grid.encode(index.get_level_values(-1), where="y") - panel.starts[series]) // panel.grid.step
    return panel.offsets[series] + position


def _rows_of(container: Any, rows: np.ndarray) -> Any:
    return container.iloc[rows] if isinstance(container, pd.Series | pd.DataFrame) else np.asarray(container)[rows]


def by_name(static: Any, panel: Panel) -> Any:
    """Static covariates under the names of their series, so that those without rows yet can be left out."""
    if isinstance(static, pd.Series | pd.DataFrame) or panel.ids is None or len(static) != panel.n_series:
        return static
    return pd.DataFrame(np.asarray(static), index=panel.ids)
