"""From the arguments to frames: columns checked, rows in order, what is to be forecast and what is known."""

import argparse
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from tsrec.cli._errors import CommandError, listing
from tsrec.cli._layout import Layout, lay_out, refuse_gaps, refuse_repeats, refuse_uneven, show
from tsrec.cli._numbers import is_numbers, numbers, why_skipped
from tsrec.cli._table import Table, read_table
from tsrec.cli._times import date_columns, read_times


@dataclass(frozen=True, eq=False)
class Data:
    """What a file holds.

    Attributes
    ----------
    path : Path
    rows : int
        Rows in the file.
    layout : Layout
        Order and frequency.
    values : DataFrame
        Columns of numbers to forecast, a row for each of the layout.
    known : DataFrame or None
        Columns whose future is known.
    chosen : bool
        Whether the user chose the columns.
    skipped : dict of str to str
        Columns left out, and why.
    """

    path: Path
    rows: int
    layout: Layout
    values: pd.DataFrame
    known: pd.DataFrame | None = None
    chosen: bool = False
    skipped: dict[str, str] = field(default_factory=dict)

    def last_observed(self) -> np.ndarray:
        """For each series the row (counted from its first) of the last value of any column; -1 if it has none."""
        seen = np.flatnonzero(self.values.notna().any(axis=1).to_numpy())
        last = np.full(len(self.layout.lengths), -1)
        owner = np.searchsorted(self.layout.offsets, seen, side="right") - 1
        last[owner] = seen - self.layout.offsets[owner]
        return last


def read_data(arguments: argparse.Namespace) -> Data:
    """The file of a command that forecasts: regular, with gaps filled if asked.

    Raises
    ------
    CommandError
        If the file cannot be read, or its rows are no regular series.
    """
    table, layout = _rows(arguments)
    refuse_repeats(layout, table.path, _hint_for_repeats(table, layout))
    zone = " Days of a zone whose offset changes need --tz." if str(getattr(layout.times, "tz", None)) == "UTC" else ""
    refuse_uneven(layout, table.path, zone)
    if arguments.fill_gaps:
        layout, _ = layout.filled()
    else:
        refuse_gaps(layout, table.path)
    known = list(dict.fromkeys(arguments.known or []))
    targets, skipped = _targets(table, list(dict.fromkeys(arguments.target or [])), known)
    values = _frame(table, layout, targets)
    data = Data(
        table.path,
        len(table.frame),
        layout,
        values,
        _frame(table, layout, known) if known else None,
        bool(arguments.target),
        skipped,
    )
    _check_values(data)
    return data


def read_for_info(arguments: argparse.Namespace) -> Data:
    """The file as it is, whatever is missing from it or repeated."""
    table, layout = _rows(arguments)
    columns, skipped = _targets(table, [], [], least=0)
    return Data(table.path, len(table.frame), layout, _frame(table, layout, columns), skipped=skipped)


def _rows(arguments: argparse.Namespace) -> tuple[Table, Layout]:
    table = read_table(arguments)
    ids = None
    if table.id is not None:
        ids = table.frame[table.id]
        if ids.isna().any():
            raise table.refuse(ids.index[ids.isna().to_numpy().argmax()], f"{table.id!r} is empty. Name the series.")
        if pd.api.types.is_string_dtype(ids.dtype):
            ids = ids.astype(str).str.strip()
            if ids.str.fullmatch(r"0|[1-9]\d{0,17}").all():
                ids = ids.astype(np.int64)
        table = replace(table, frame=table.frame.assign(**{table.id: ids}))
    return table, lay_out(read_times(table, arguments), ids, arguments.freq, table.path)


def _targets(table: Table, chosen: list[str], known: list[str], least: int = 1) -> tuple[list[str], dict[str, str]]:
    """Columns to forecast: those the user chose, or all others that hold numbers; and why others are left out."""
    if chosen:
        return chosen, {}
    found, skipped = [], {}
    for column in table.frame.columns:
        if column in (table.time, table.id, *known):
            continue
        if is_numbers(table.frame[column]):
            found.append(column)
        else:
            skipped[column] = why_skipped(table.frame[column])
    if table.frame.shape[1] == 1:
        raise CommandError(
            f"{table.path} has one column only, {table.time!r}. Give the separator with --sep, or add a column of time "
            "stamps in front."
        )
    if len(found) < least:
        rest = f" ({listing(f'{column} is {why}' for column, why in skipped.items())})" if skipped else ""
        raise CommandError(f"{table.path} has no column of numbers beside {table.time!r}{rest}.")
    return found, skipped


def _frame(table: Table, layout: Layout, columns: list[str]) -> pd.DataFrame:
    """Columns of numbers in the order of the layout; NaN in its new rows."""
    index = layout.index()
    made = {}
    for column in columns:
        values = numbers(table, column)
        made[column] = np.where(layout.order >= 0, values[layout.order], np.nan)
    return pd.DataFrame(made, index=index, columns=columns)


def _check_values(data: Data) -> None:
    empty = data.values.columns[data.values.isna().all()]
    if len(empty):
        raise CommandError(f"{data.path}: {empty[0]!r} holds no number at all.")
    names = data.layout.names
    without = np.flatnonzero(data.last_observed() < 0)
    if names is not None and len(without):
        raise CommandError(
            f"{data.path}: {names.name} {names[without[0]]!r} has no number in {listing(data.values.columns)} "
            f"({len(without)} such series). Delete its rows."
        )


def _hint_for_repeats(table: Table, layout: Layout) -> str:
    if table.id is not None:
        return "Keep one row per series and time stamp."
    stamps = np.empty(len(layout.order), dtype=np.int64)
    stamps[layout.order] = layout.ordinals
    if not (layout.steps() == 0).any():
        return ""
    if table.time not in (dates := date_columns(table.frame)):
        for column in dates:
            if not table.frame.duplicated([table.time, column]).any():
                return f"If the times are in {column!r}, pass --time {column} --id {table.time}."
    text = [c for c in table.frame.columns if c != table.time and not is_numbers(table.frame[c], loose=True)]
    whole = [c for c in table.frame.columns if c != table.time and table.frame[c].dtype.kind in "iu"]
    for column in [*text, *whole]:
        pairs = pd.DataFrame({"stamp": stamps, "id": table.frame[column].to_numpy()})
        if table.frame[column].notna().all() and not pairs.duplicated().any():
            return f"If the file holds several series, name their column: --id {column}."
    if text:
        return f"If the file holds several series, name the column that tells them apart with --id ({listing(text)})."
    clock = isinstance(layout.times, pd.DatetimeIndex) and layout.times.tz is None and layout.grid.kind == "fixed"
    turned = " If a local clock was turned back, give its zone: --tz Europe/Berlin." if clock else ""
    return f"Keep one row per time stamp.{turned}"


def split(data: Data, horizon: int | None) -> tuple[Data, pd.DataFrame]:
    """The rows up to the last value of each series, and the known columns of the `horizon` rows after it.

    Parameters
    ----------
    data : Data
        With known columns.
    horizon : int or None
        Rows to forecast in each series; all there are when None.

    Returns
    -------
    history : Data
    future : DataFrame
    """
    assert data.known is not None
    layout, last = data.layout, data.last_observed()
    position = np.arange(len(data.values)) - np.repeat(layout.offsets[:-1], layout.lengths)
    ahead = position - np.repeat(last, layout.lengths)
    left = layout.lengths - 1 - last
    columns = listing(map(repr, data.known.columns))
    what = f"with {columns} filled in and {listing(map(repr, data.values.columns))} empty"
    if left.min() < (horizon or 1):
        series = int(left.argmin())
        where = "" if layout.names is None else f", {layout.names.name} {layout.names[series]!r}"
        asked = "" if horizon is None else f", --horizon {horizon} needs {horizon}"
        raise CommandError(
            f"{data.path}{where}: {left[series] or 'no'} rows follow the last value{asked}. Add a row per step to "
            f"forecast, {what}."
        )
    future = data.known[(ahead > 0) & (ahead <= (horizon or len(ahead)))]
    blank = future.isna().any(axis=1).to_numpy()
    if blank.any():
        stamp = future.index[blank.argmax()]
        name = show(stamp[-1] if isinstance(stamp, tuple) else stamp)
        column = future.columns[future.iloc[blank.argmax()].isna()][0]
        raise CommandError(f"{data.path}: {column!r} is empty at {name}, a step to forecast. Fill it in.")
    return history(data), future


def history(data: Data) -> Data:
    """The rows up to the last value of each series."""
    layout = data.layout
    position = np.arange(len(data.values)) - np.repeat(layout.offsets[:-1], layout.lengths)
    kept = position <= np.repeat(data.last_observed(), layout.lengths)
    known = None if data.known is None else data.known[kept]
    return Data(data.path, data.rows, layout, data.values[kept], known, data.chosen, data.skipped)
