"""Refusals of what is no rows of numbers, in words that say how to mend it."""

import os
import re
from collections.abc import Mapping
from numbers import Number
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

# How dates and times of day are written: 2024-01-31, 31.01.2024, 1/31/24, 12:30.
_DATE = re.compile(r"\b\d{4}[-/]\d{1,2}\b|\b\d{4}\.\d{1,2}\.\d|\b\d{1,2}([-/.])\d{1,2}\1\d{2}(\d{2})?\b|\d:\d\d")
_NUMBER = re.compile(r"\s*[-+]?[.,]?\d")
_TO_NUMBERS = "pd.to_numeric(column, errors='coerce'), which leaves NaN for every text that is none"


def check_given(rows: Any, where: str) -> None:
    """Refuse several sets, or none, where the rows of one frame or array are wanted.

    Parameters
    ----------
    rows : anything
        What the user gave; frames, arrays and lists of numbers pass.
    where : str
        How errors call the argument.

    Raises
    ------
    TypeError
        If it is a dict, a list of frames, a text, a single value or an array of times.
    ValueError
        If it is a list of rows of different lengths.
    """
    if isinstance(rows, np.ndarray) and rows.dtype.kind in "mM":
        # numpy would make numbers of them, in whatever unit they have.
        raise TypeError(
            f"{where}: found an array of {rows.dtype}, times and not numbers. Give the values, with the times for "
            "their index: pd.Series(values, index=times)."
        )
    # Some sparse arrays are dicts; scikit-learn's own check refuses them by name.
    if isinstance(rows, pd.Series | pd.DataFrame | np.ndarray) or hasattr(rows, "tocsr"):
        return
    parts = list(rows.values()) if isinstance(rows, Mapping) else rows if isinstance(rows, list | tuple) else []
    if isinstance(rows, Mapping) or any(isinstance(part, pd.Series | pd.DataFrame | Mapping) for part in parts):
        kinds = {type(part).__name__ for part in parts}
        mend = (
            "Give one Series, frame or array. Series of one frequency make one panel: pd.concat({'name': rows, ...}), "
            "with the names in the first level of its index."
        )
        if where == "X":
            mend += " Only TEMPOForecaster learns from sets of any frequencies: fit({'name': rows, ...}), without y."
        raise TypeError(f"{where}: found a {type(rows).__name__} of {len(parts)} {' and '.join(sorted(kinds))}. {mend}")
    try:
        single = isinstance(rows, str | bytes | set) or np.asarray(rows).ndim == 0
    except ValueError as error:
        raise ValueError(
            f"{where}: found a {type(rows).__name__} whose elements differ in length. Give one Series, frame or array, "
            "with as many values in every row."
        ) from error
    if single:
        found = repr(rows) if rows is None or isinstance(rows, str | bytes | Number) else f"a {type(rows).__name__}"
        read = " A file is read with pd.read_csv(path, index_col=..., parse_dates=True)." * isinstance(rows, str)
        raise TypeError(f"{where}: found {found}. Give the rows themselves: a Series, a frame or an array.{read}")


def check_names(frame: pd.DataFrame, where: str) -> None:
    """Refuse a frame with two columns of one name.

    Parameters
    ----------
    frame : DataFrame
        What the user gave.
    where : str
        How errors call the argument.

    Raises
    ------
    ValueError
        If a name occurs twice.
    """
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise ValueError(f"{where}: it has two columns {twice!r}. Give every column a name of its own.")


def check_numeric(frame: pd.DataFrame, where: str) -> None:
    """Refuse a frame with a column that holds no real numbers.

    Parameters
    ----------
    frame : DataFrame
        What the user gave.
    where : str
        How errors call the argument.

    Raises
    ------
    TypeError
        If a column holds text, times or objects.
    ValueError
        If it holds complex numbers.
    """
    for position, dtype in enumerate(frame.dtypes):
        if not (pd.api.types.is_numeric_dtype(dtype) or pd.api.types.is_bool_dtype(dtype)):
            column = frame.iloc[:, position]
            example = "" if _first_text(column) is None else f" such as {_first_text(column)!r}"
            raise TypeError(
                f"{where}: column {column.name!r} holds {dtype}{example}, not numbers. {_mend(column, where)}"
            )
        if pd.api.types.is_complex_dtype(dtype):
            raise ValueError(
                f"{where}: Complex data not supported (column {frame.columns[position]!r}). Give real columns."
            )


def _mend(column: pd.Series, where: str) -> str:
    """What to do about a column without numbers."""
    name = column.name
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return f"If it is the time of the rows, make it the index: {where}.set_index({name!r})."
    if _times_as_text(column):
        return (
            f"If it is the time of the rows, make it the index: {where}[{name!r}] = pd.to_datetime({where}[{name!r}]), "
            f"then {where}.set_index({name!r}); or read the file with pd.read_csv(..., index_col={name!r}, "
            "parse_dates=True)."
        )
    text = _first_text(column)
    if text is not None and _NUMBER.match(text):
        if "," in text:
            return "Numbers with a comma: read them with pd.read_csv(..., decimal=','), or thousands=',' if it is that."
        return f"Numbers written as text: {_TO_NUMBERS}."
    mend = "Drop it, or encode it first (for example pd.get_dummies or astype(float))."
    if text is not None:
        mend += f" Numbers written as text: {_TO_NUMBERS}."
        mend += f" Names of series: tsrec.frames.from_long(frame, id={name!r}, time=..., target=...)."
    return mend


def check_folder(path: str | os.PathLike, where: str = "path") -> None:
    """Refuse the path of a file to write whose folder does not exist, before the work that it is for.

    Parameters
    ----------
    path : str or path
        Of the file.
    where : str
        How errors call the argument.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    """
    folder = Path(path).parent
    if not folder.is_dir():
        raise FileNotFoundError(f"{where}: there is no folder {os.fspath(folder)!r}. Make it first.")


def refuse_mne(X: Any, where: str) -> None:
    """Refuse the objects of MNE-Python, alone or in a list or dict: some would be taken for tables.

    Parameters
    ----------
    X : anything
        What the user gave.
    where : str
        How errors call the argument.

    Raises
    ------
    TypeError
        If there is one.
    """
    parts = X.values() if isinstance(X, dict) else X if isinstance(X, list | tuple) else [X]
    foreign = next((type(part).__name__ for part in parts if type(part).__module__.split(".")[0] == "mne"), None)
    if foreign is not None:
        raise TypeError(
            f"{where}: found {foreign} of MNE. tsrec.interop.mne.to_frames makes frames of it: of Epochs a panel for "
            "estimators, of a Raw a recording to filter and to cut with tsrec.frames.windows."
        )


def check_recording(recording: Any, where: str, mend: str) -> None:
    """Refuse what is not one recording, a Series or frame with one time index.

    Parameters
    ----------
    recording : anything
        What the user gave.
    where : str
        How errors call the argument.
    mend : str
        What to do with a panel instead.

    Raises
    ------
    TypeError
        If it is anything else.
    """
    refuse_mne(recording, where)
    if not isinstance(recording, pd.Series | pd.DataFrame):
        raise TypeError(
            f"{where}: expected a frame with one time index, found {type(recording).__name__}. Arrays become one with "
            "tsrec.frames.recording(values, channels, sfreq)."
        )
    if recording.index.nlevels > 1:
        raise TypeError(f"{where}: it is a panel with the levels {list(recording.index.names)}. {mend}")


def time_column(frame: Any) -> Any:
    """The column of a frame that seems to hold the times of its rows.

    Parameters
    ----------
    frame : anything
        What the user gave.

    Returns
    -------
    hashable or None
        Its name; None if there is none.
    """
    for position in range(frame.shape[1] if isinstance(frame, pd.DataFrame) else 0):
        column = frame.iloc[:, position]
        if pd.api.types.is_datetime64_any_dtype(column.dtype) or _times_as_text(column):
            return column.name
    return None


def _times_as_text(column: pd.Series) -> bool:
    return bool(_DATE.search(_first_text(column) or ""))


def _first_text(column: pd.Series) -> str | None:
    """The first value of a column of text; None where the first value is something else."""
    if pd.api.types.is_object_dtype(column.dtype) or pd.api.types.is_string_dtype(column.dtype):
        seen = column.dropna()
        if len(seen) and isinstance(seen.iloc[0], str):
            return seen.iloc[0]
    return None


def check_rows(target: Any, part: Any, name: str, where: str = "y") -> None:
    """Refuse covariates that do not have a row for each row of the target.

    Parameters
    ----------
    target, part : Series, DataFrame or array
        The target, and what lies beside it.
    name, where : str
        What messages call the part and the target.

    Raises
    ------
    TypeError
        If the part is no rows at all.
    ValueError
        If they are not equally long.
    """
    check_given(part, name)
    if len(target) != len(part):
        mend = "Give the same rows of both"
        if len(part) > len(target) and name != "past":
            mend += f"; rows of {name} that are still to come belong to predict"
        raise ValueError(f"{name}: it has {len(part)} rows, {where} has {len(target)}. {mend}.")
