"""What is known of whole series, as networks take it: numbers and categories, standardised."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from tsrec.estimators._series_rows import StaticCoding, static_frame
from tsrec.estimators._text import vectors_of
from tsrec.frames import Panel, to_numbers
from tsrec.frames.seen import mean_of_seen
from tsrec.frames.warn import warn_user

# In standard deviations: a category of one series in thousands would count as far outside all others.
_FARTHEST = 5.0


def described(forecaster: Any, static: Any) -> pd.DataFrame:
    """Vectors of further series, of the same numbers as those that were learned from."""
    check_is_fitted(forecaster)
    if not isinstance(static, pd.Series | pd.DataFrame):
        raise TypeError(
            f"static: found a {type(static).__name__}. Give a Series or a frame, indexed by the names of the series."
        )
    if not static.index.is_unique:
        twice = static.index[static.index.duplicated()].tolist()[0]
        raise ValueError(f"static: the series {twice!r} is there twice. Give one row per series.")
    if getattr(forecaster, "text_encoder", None) is not None:
        static = vectors_of(static, forecaster.text_encoder)
    coding: StaticCoding | None = getattr(forecaster, "static_coding_", None)
    if coding is not None and isinstance(static, pd.Series):
        static = static_frame(static)
    if coding is not None and isinstance(static, pd.DataFrame):
        return pd.DataFrame(coding.encode(static), index=static.index)
    values = to_numbers(static, where="static")
    known = forecaster._n_static(forecaster.panel_)
    if values.shape[1] != known:
        raise ValueError(
            f"static: found {values.shape[1]} numbers for each series; the forecaster learned from "
            f"{known}. Give as many, or fit with static=."
        )
    return pd.DataFrame(values, index=static.index)


def told_of(forecaster: Any, panel: Panel) -> np.ndarray:
    """Vectors of the series of a panel, standardised by those that were learned from, (n_series, d).

    Zeros, which are their mean, where nothing is known; a warning tells of it.
    """
    fitted: Panel = forecaster.panel_
    found = _found(forecaster, panel)
    _warn_once(forecaster, panel, np.isnan(found))
    center = np.nan_to_num(mean_of_seen(fitted.static, 0))
    spread = np.sqrt(mean_of_seen((fitted.static - center) ** 2, 0))
    return np.nan_to_num((found - center) / np.where(spread > 0, spread, 1.0)).clip(-_FARTHEST, _FARTHEST)


def _found(forecaster: Any, panel: Panel) -> np.ndarray:
    """What has been said of the series of a panel; NaN where nothing has."""
    fitted: Panel = forecaster.panel_
    found = np.full((panel.n_series, fitted.static.shape[1]), np.nan)
    if panel.static.shape == found.shape:
        return panel.static
    if panel.ids is None and fitted.ids is None:
        return np.broadcast_to(fitted.static[:1], found.shape)
    later = getattr(forecaster, "described_", None)
    sources = [(fitted.ids, fitted.static)]
    sources += [] if later is None else [(later.index, later.to_numpy())]
    for names, vectors in sources:
        if panel.ids is not None and names is not None and names.nlevels == panel.ids.nlevels:
            place = names.get_indexer(panel.ids)
            found[place >= 0] = vectors[place[place >= 0]]
    return found


def _warn_once(forecaster: Any, panel: Panel, unknown: np.ndarray) -> None:
    """Tell of what is unknown: in fit of its own series, later of those of a history; once, not for every batch."""
    # What is made of the rows of fit has their vectors; histories have none.
    own = panel.static.shape[1] > 0
    none = int(unknown.all(axis=1).sum())
    partly = int(unknown.any(axis=1).sum()) - none
    known = hasattr(forecaster, "module_") if own else getattr(forecaster, "_warned", None) is panel.grid
    if known or not none + partly:
        return
    # Whatever is made of a history on the way has its grid.
    forecaster._warned = panel.grid
    told = [f"nothing is said of {none} series"] * bool(none) + [f"not everything of {partly} series"] * bool(partly)
    where, mend = ("static", "Fill the gaps") if own else ("history", "Call describe(static)")
    warn_user(f"{where}: {' and '.join(told)}; what is unknown counts as usual. {mend}.")
