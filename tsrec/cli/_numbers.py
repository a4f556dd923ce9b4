"""Columns of numbers, and the cell that keeps a column from being one."""

import re
from typing import Any

import numpy as np
import pandas as pd

from tsrec.cli._errors import CommandError
from tsrec.cli._table import Table

_COMMA = re.compile(r"[+-]?\d+,\d+")
# The spaces stand for themselves: Arrow's expressions, which columns of text are matched with, know no \u.
_THOUSANDS = re.compile("[+-]?\\d{1,3}([,.' \u00a0\u202f]\\d{3})+([.,]\\d+)?")


def is_numbers(column: pd.Series, *, loose: bool = False) -> bool:
    """Whether a column is meant to hold numbers: its dtype says so, or more than half of its cells.

    Parameters
    ----------
    column : Series
    loose : bool
        Whether a column without any value counts too.
    """
    if pd.api.types.is_bool_dtype(column.dtype):
        return False
    filled = column.dropna()
    if filled.empty:
        return loose
    if pd.api.types.is_numeric_dtype(column.dtype):
        return True
    if not _is_text(column):
        return False
    cells = filled.astype(str).str.strip()
    read = pd.to_numeric(cells, errors="coerce").notna() | cells.str.fullmatch(_THOUSANDS.pattern)
    return bool(2 * int(read.sum()) > len(cells))


def why_skipped(column: pd.Series) -> str:
    """What a column holds that is not forecast."""
    if pd.api.types.is_bool_dtype(column.dtype):
        return "true or false"
    if column.isna().all():
        return "empty"
    return "text" if _is_text(column) else str(column.dtype)


def _is_text(column: pd.Series) -> bool:
    return column.dtype == object or pd.api.types.is_string_dtype(column.dtype)


def numbers(table: Table, name: str) -> np.ndarray:
    """A column as float64; empty cells are NaN.

    Raises
    ------
    CommandError
        If a cell is no finite number.
    """
    column = table.frame[name]
    if pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype):
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    elif _is_text(column):
        values = _from_text(table, column)
    else:
        raise CommandError(f"{table.path}: {name!r} holds {column.dtype}, no numbers. Name another column.")
    infinite = np.isinf(values)
    if infinite.any():
        row = column.index[infinite.argmax()]
        raise table.refuse(row, f"{name!r} is infinite; leave it empty for missing.")
    return values


def _from_text(table: Table, column: pd.Series) -> np.ndarray:
    cells = column.astype(str).str.strip().where(column.notna())
    values = pd.to_numeric(cells, errors="coerce")
    wrong = (values.isna() & cells.notna() & (cells != "")).to_numpy()
    if table.decimal == ",":
        # pandas left the column as text, so a dot in it is no decimal sign.
        wrong = wrong | cells.str.contains(".", regex=False).fillna(False).to_numpy(dtype=bool)
    if wrong.any() and not is_numbers(column):
        raise CommandError(f"{table.path}: {column.name!r} holds text such as {cells[wrong].iloc[0]!r}, no numbers.")
    if wrong.any():
        row = column.index[wrong.argmax()]
        raise table.refuse(row, f"{cells[row]!r} in {column.name!r} {_mend(cells[row])}")
    return values.to_numpy(dtype=np.float64, na_value=np.nan)


def _mend(cell: Any) -> str:
    if _COMMA.fullmatch(cell) and _THOUSANDS.fullmatch(cell):
        return (
            f"can be {cell.replace(',', '.')} or {cell.replace(',', '')}. Pass --decimal , for the first, or write "
            "numbers without thousands separators."
        )
    if _COMMA.fullmatch(cell):
        return "is no number; pass --decimal , if that is the decimal sign of the file."
    if _THOUSANDS.fullmatch(cell):
        return "is no number; write numbers without thousands separators."
    return "is no number; leave it empty for missing."
