"""What is said of series in words, as vectors: of those that were learned from, and of those that came later."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from tsrec.frames import Panel
from tsrec.frames.warn import warn_user


def vectors_of(static: Any, encoder: Callable[[list[str]], Any]) -> Any:
    """Vectors of texts, a row per series.

    Parameters
    ----------
    static : Series, DataFrame with one column, or sequence of str
        A text for each series.
    encoder : callable
        From a list of texts to an array (n, d).

    Returns
    -------
    DataFrame of shape (n, d)
        With the index of `static`.

    Raises
    ------
    TypeError, ValueError
        If they are no texts, or what comes from the encoder is no table of finite numbers.
    """
    if isinstance(static, pd.DataFrame):
        if static.shape[1] != 1:
            raise ValueError(f"static: found {static.shape[1]} columns. With text_encoder give one, of texts.")
        static = static.iloc[:, 0]
    texts = list(static)
    wrong = [one for one in texts if not isinstance(one, str)]
    if wrong:
        raise TypeError(f"static: found {wrong[0]!r} among the texts. Give a str for each series.")
    found = np.asarray(encoder(texts), dtype=np.float64)
    if found.ndim != 2 or len(found) != len(texts) or not np.isfinite(found).all():
        raise ValueError(
            f"text_encoder: it made an array of shape {found.shape} of {len(texts)} texts. It must give (n, d), finite."
        )
    return pd.DataFrame(found, index=static.index if isinstance(static, pd.Series) else None)


def described(forecaster: Any, static: Any) -> pd.DataFrame:
    """Vectors of further series, as wide as those that were learned from."""
    check_is_fitted(forecaster)
    if forecaster.text_encoder is not None:
        static = vectors_of(static, forecaster.text_encoder)
    if not isinstance(static, pd.DataFrame):
        raise TypeError(f"static: found a {type(static).__name__}. Give a frame indexed by the names of the series.")
    if static.shape[1] != forecaster.n_static_:
        raise ValueError(
            f"static: found {static.shape[1]} numbers for each series; the forecaster learned from "
            f"{forecaster.n_static_}. Give as many, or fit with static=."
        )
    return static.astype(np.float64)


def told_of(forecaster: Any, panel: Panel) -> np.ndarray:
    """Vectors of the series of a panel, standardised by those that were learned from, (n_series, d).

    Zeros, which are their mean, where nothing is known; a warning tells of it.
    """
    fitted: Panel = forecaster.panel_
    found = np.full((panel.n_series, fitted.static.shape[1]), np.nan)
    if panel.static.shape == found.shape:
        found = panel.static
    elif panel.ids is None and fitted.ids is None:
        found = np.broadcast_to(fitted.static[:1], found.shape)
    elif panel.ids is not None:
        later = getattr(forecaster, "described_", None)
        sources = [(fitted.ids, fitted.static)]
        sources += [] if later is None else [(later.index, later.to_numpy())]
        for names, vectors in sources:
            if names is not None and names.nlevels == panel.ids.nlevels:
                place = names.get_indexer(panel.ids)
                found[place >= 0] = vectors[place[place >= 0]]
    missing = int(np.isnan(found).any(axis=1).sum())
    if missing:
        warn_user(f"history: nothing is said of {missing} series; they count as usual ones. Call describe(static).")
    spread = fitted.static.std(axis=0)
    return np.nan_to_num((found - fitted.static.mean(axis=0)) / np.where(spread > 0, spread, 1.0))
