"""What is said of series in words, as vectors: of those that were learned from, and of those that came later."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from tsrec.frames import Panel, check_names, columns_message, to_numbers
from tsrec.frames.seen import mean_of_seen
from tsrec.frames.warn import warn_user


def vectors_of(static: Any, encoder: Callable[[list[str]], Any]) -> Any:
    """Vectors of texts, a row per series.

    Parameters
    ----------
    static : Series, DataFrame with one column, or list, tuple or array of str
        A text for each series.
    encoder : callable
        From a list of texts to an array (n, d).

    Returns
    -------
    DataFrame or array of shape (n, d)
        With the index of `static`, if it has one.

    Raises
    ------
    TypeError, ValueError
        If they are no texts, or what comes from the encoder is no table of finite numbers.
    """
    if not callable(encoder):
        raise TypeError(f"text_encoder: found {encoder!r}. Give a callable, from a list of texts to an array (n, d).")
    if isinstance(static, pd.DataFrame):
        if static.shape[1] != 1:
            raise ValueError(f"static: found {static.shape[1]} columns. With text_encoder give one, of texts.")
        static = static.iloc[:, 0]
    if not isinstance(static, pd.Series | list | tuple | np.ndarray) or not np.ndim(static):
        raise TypeError(f"static: found a {type(static).__name__}. Give a Series or a list, with a text per series.")
    texts = list(static)
    wrong = [one for one in texts if not isinstance(one, str)]
    if wrong:
        raise TypeError(f"static: found {wrong[0]!r} among the texts. Give a str for each series.")
    vectors = _encoded(texts, encoder)
    return pd.DataFrame(vectors, index=static.index) if isinstance(static, pd.Series) else vectors


def _encoded(texts: list[str], encoder: Callable[[list[str]], Any]) -> np.ndarray:
    found = encoder(texts)
    try:
        found = np.asarray(found, dtype=np.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"text_encoder: it made a {type(found).__name__} of {len(texts)} texts that is no array of numbers. "
            "It must give (n, d), finite."
        ) from error
    if found.ndim != 2 or len(found) != len(texts) or not np.isfinite(found).all():
        raise ValueError(
            f"text_encoder: it made an array of shape {found.shape} of {len(texts)} texts. It must give (n, d), finite."
        )
    return found


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
    if forecaster.text_encoder is not None:
        static = vectors_of(static, forecaster.text_encoder)
    values = to_numbers(static, where="static")
    if values.shape[1] != forecaster.n_static_:
        raise ValueError(
            f"static: found {values.shape[1]} numbers for each series; the forecaster learned from "
            f"{forecaster.n_static_}. Give as many, or fit with static=."
        )
    learned = getattr(forecaster, "static_columns_", None)
    if isinstance(static, pd.DataFrame) and learned is not None:
        check_names(static, "static")
        if not static.columns.equals(learned):
            raise ValueError(columns_message(static.columns, learned, "static", "fit"))
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
    return np.nan_to_num((found - center) / np.where(spread > 0, spread, 1.0))


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
    own = panel.grid is forecaster.panel_.grid
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
