"""A pattern from a file: its columns of numbers, and the part that is looked for."""

import argparse
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from tsrec.cli._errors import CommandError, did_you_mean, listing
from tsrec.cli._layout import show
from tsrec.cli._numbers import is_numbers, numbers
from tsrec.cli._table import Table
from tsrec.cli._times import read_times


def read_pattern(table: Table, arguments: argparse.Namespace, channels: pd.Index) -> pd.DataFrame:
    """The rows that are looked for, in order of time if the file has times.

    Parameters
    ----------
    table : Table
        The file. A first column that is a channel, or the only one, holds no times.
    arguments : Namespace
        What the user asked for.
    channels : Index
        Channels of the series that are searched.

    Raises
    ------
    CommandError
        If there is no such part, or it holds no numbers.
    """
    frame = table.frame
    timed = arguments.time is not None or (frame.shape[1] > 1 and table.time not in set(map(str, channels)))
    if table.id is not None:
        frame = _of_series(table, arguments.series)
    elif arguments.series is not None:
        raise CommandError(f"--series: name the column of {table.path} that holds the series, with --id.")
    table = Table(table.path, frame, table.time, table.id, table.word, table.decimal)
    apart = (table.id, table.time if timed else None)
    names = [column for column in frame.columns if column not in apart and is_numbers(frame[column])]
    if not names:
        raise CommandError(f"{table.path} has no column of numbers.")
    values = {name: numbers(table, name) for name in names}
    if not timed:
        return cut(pd.DataFrame(values), arguments, str(table.path), timed=False)
    made = pd.DataFrame(values, index=read_times(table, arguments))
    return cut(made.sort_index(kind="stable"), arguments, str(table.path))


def _of_series(table: Table, name: str | None) -> pd.DataFrame:
    ids = table.frame[table.id].astype(str).str.strip()
    known = ids.unique()
    if name is None and len(known) > 1:
        raise CommandError(f"{table.path} holds {len(known)} series. Say which with --series: {listing(known)}.")
    if name is not None and name not in known:
        raise CommandError(f"--series: {table.path} has no series {name!r}.{did_you_mean(name, known)}")
    return table.frame if name is None else table.frame[ids == name]


def cut(frame: pd.DataFrame, arguments: argparse.Namespace, name: str, *, timed: bool = True) -> pd.DataFrame:
    """The part of the rows that --rows or --between name; all without them.

    Raises
    ------
    CommandError
        If there are less than two.
    """
    found, flag = frame, ""
    if arguments.rows is not None:
        found, flag = frame.iloc[arguments.rows], "--rows: "
    if arguments.between is not None:
        flag = "--between: "
        if not timed:
            raise CommandError(f"--between: {name} has no times. Count its rows with --rows.")
        first, last = (as_time(text, frame.index, "--between") for text in arguments.between)
        found = frame[np.asarray((frame.index >= first) & (frame.index < last))]
    if len(found) < 2:
        span = "" if not timed else f", {show(frame.index[0])} to {show(frame.index[-1])}"
        raise CommandError(
            f"{flag}{len(found)} rows of {name} are no pattern. Give two or more of its {len(frame)}{span}."
        )
    return found


def as_time(text: str, like: pd.Index, flag: str) -> Any:
    """A time that a flag gives, as those of an index.

    Raises
    ------
    CommandError
        If it is none of that kind.
    """
    try:
        if isinstance(like, pd.DatetimeIndex):
            stamp = pd.Timestamp(datetime.fromisoformat(text.strip()))
            if stamp.tz is None:
                return stamp.tz_localize(like.tz)
            return stamp.tz_convert(like.tz)
        if isinstance(like, pd.PeriodIndex):
            return pd.Period(text, freq=like.freq)
        if isinstance(like, pd.TimedeltaIndex):
            return pd.Timedelta(text)
        return float(text) if like.dtype.kind == "f" else int(text)
    except (ValueError, TypeError) as err:
        raise CommandError(f"{flag}: {text!r} is no time such as {show(like[0])}.") from err
