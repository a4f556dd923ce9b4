"""Names of series and metadata as columns that a store keeps, and what makes them again what they were."""

from datetime import timezone
from typing import Any

import numpy as np
import pandas as pd

# What numpy has no missing values for: what it is called, and what to do.
_TEXT = ("text", "with '' for example")
_LACKING = {
    "string": _TEXT,
    "empty": _TEXT,
    "integer": ("whole number", "or take float"),
    "boolean": ("truth value", "or take float"),
}


def stored(values: Any, what: str) -> np.ndarray:
    """A column as numbers, times, truth values or text.

    Parameters
    ----------
    values : Series or Index
        Also times of a zone, periods, categories, and pandas' own numbers without missing ones.
    what : str
        How errors call it.

    Returns
    -------
    array of shape (n,)

    Raises
    ------
    TypeError
        If it holds something else, or text, whole numbers or truth values are missing.
    """
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        if not all(isinstance(one, str | int | float | bool) for one in dtype.categories.tolist()):
            raise TypeError(f"{what}: its categories are {dtype.categories.dtype}. Give categories of text or numbers.")
        values = pd.Index(np.asarray(values))
    elif isinstance(dtype, pd.DatetimeTZDtype):
        zone_name(dtype.tz, what)
        return pd.DatetimeIndex(values).tz_convert("UTC").tz_localize(None).to_numpy()
    elif isinstance(dtype, pd.PeriodDtype):
        return pd.PeriodIndex(values).asi8
    kind, found = pd.api.types.infer_dtype(values, skipna=True), np.asarray(values)
    if kind in _LACKING and pd.isna(values).any():
        lacks, mend = _LACKING[kind]
        raise TypeError(f"{what}: some {lacks} is missing, which no store keeps. Fill it, {mend}.")
    if kind in ("string", "empty"):
        return found.astype(str)
    if found.dtype.kind not in "biufmM":
        raise TypeError(
            f"{what}: found {kind} ({dtype}), which no store takes. Give numbers, text, truth values, periods, or "
            "times of one zone."
        )
    return found


def zone_name(zone: Any, what: str) -> str:
    """What a zone of times is found again by.

    Raises
    ------
    TypeError
        If nothing, or another zone, is found by its name.
    """
    try:
        found = pd.DatetimeTZDtype("ns", str(zone)).tz
    except (TypeError, ValueError, KeyError):
        found = None
    # One that is always as far from UTC may be called what a zone with summer time is.
    if found is None or (isinstance(zone, timezone) and found != zone):
        raise TypeError(
            f"{what}: found the time zone {zone!r}, which cannot be found again by its name. Bring the times to a zone "
            "that can, with tz_convert('Europe/Berlin') for example."
        )
    return str(zone)


def kind_of(values: Any) -> Any:
    """What makes a stored column again what it was, as plain JSON; None where nothing has to be known."""
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return {"categories": dtype.categories.tolist(), "ordered": bool(dtype.ordered)}
    return str(dtype) if pd.api.types.is_extension_array_dtype(dtype) and dtype != "str" else None


def restored(column: np.ndarray, kind: Any) -> Any:
    """A column as it was before it was stored."""
    if kind is None:
        return column
    if isinstance(kind, dict):
        return pd.Categorical(column, categories=kind["categories"], ordered=kind["ordered"])
    dtype = pd.api.types.pandas_dtype(kind)
    if isinstance(dtype, pd.PeriodDtype):
        return pd.PeriodIndex.from_ordinals(column, freq=dtype.freq).array
    if isinstance(dtype, pd.DatetimeTZDtype):
        return pd.DatetimeIndex(column).tz_localize("UTC").tz_convert(dtype.tz).array
    return pd.array(column, dtype=dtype)
