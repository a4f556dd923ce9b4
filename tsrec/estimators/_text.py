"""What is said of series in words, as vectors: of those that were learned from, and of those that came later."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd


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
