"""The time column: one reading for all its rows, never a guess row by row."""

import argparse
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from tsrec.cli._errors import CommandError, note
from tsrec.cli._layout import lay_out
from tsrec.cli._table import Table

try:
    # pandas 2 tells by it of hours that are there twice or never.
    from pytz.exceptions import InvalidTimeError
except ImportError:
    InvalidTimeError = ValueError

_CLOCKS = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p")
_DATES = ("%d.%m.%Y", "%d.%m.%y", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y")
_MONTHS = ("%m.%Y", "%m/%Y", "%b %Y", "%B %Y", "%b-%Y", "%b-%y")
_DAY_FIRST = ("%d/%m/%Y", "%d-%m-%Y", "%d/%m/%y", "%d-%m-%y")
_MONTH_FIRST = ("%m/%d/%Y", "%m-%d-%Y", "%m/%d/%y", "%m-%d-%y")
_OFFSET = re.compile(r"\d:\d\d.*(Z|[+-]\d\d(?::?\d\d)?)$")
_DATE = re.compile(r"(\d{4}[-/]\d|\d{1,2}[./-]\d{1,2}[./-]\d\d)")
_ADVICE = (
    "Write dates as 2024-03-31 or 2024-03-31 18:00, name their form with --date-format, or another column with --time."
)


def read_times(table: Table, arguments: argparse.Namespace) -> pd.Index:
    """The time stamps of all rows, in the order of the file.

    Raises
    ------
    CommandError
        If a row holds none, or the rows can be read in two ways.
    """
    column = table.frame[table.time]
    empty = column.isna()
    if empty.any():
        raise table.refuse(column.index[empty.to_numpy().argmax()], f"{table.time!r} is empty. Fill it in.")
    if pd.api.types.is_bool_dtype(column.dtype):
        raise CommandError(f"{table.path}: {table.time!r} holds true and false, no time stamps. Choose with --time.")
    if pd.api.types.is_numeric_dtype(column.dtype):
        return pd.Index(_whole(table, column), name=table.time)
    if isinstance(column.dtype, pd.PeriodDtype | pd.DatetimeTZDtype) or column.dtype.kind in "Mm":
        times = pd.Index(column)
    else:
        times = pd.Index(_from_text(table, column.astype(str).str.strip(), arguments))
    times = times.rename(table.time)
    if arguments.tz is None or not isinstance(times, pd.DatetimeIndex):
        return times
    return times.tz_convert(arguments.tz) if times.tz is not None else _localised(table, times, arguments.tz)


def _whole(table: Table, column: pd.Series) -> np.ndarray:
    numbers = column.to_numpy(dtype=np.float64)
    wrong = numbers != np.round(numbers)
    if wrong.any():
        at = int(wrong.argmax())
        raise table.refuse(
            column.index[at], f"{numbers[at]} in {table.time!r} is no date and no whole number. {_ADVICE}"
        )
    return column.to_numpy(dtype=np.int64)


def _from_text(table: Table, text: pd.Series, arguments: argparse.Namespace) -> Any:
    if arguments.date_format:
        return _with_formats(table, text, [arguments.date_format])
    if text.str.fullmatch(r"[+-]?\d+(\.\d*)?").all():
        dates = _packed_dates(text)
        return _whole(table, pd.to_numeric(text)) if dates is None else dates
    if text.str.fullmatch(r"\d{4}-?Q[1-4]").all():
        return pd.PeriodIndex(text.str.replace("-", ""), freq="Q").to_timestamp()
    iso = _iso(text, quiet=arguments.tz is not None)
    if iso is not None:
        return iso
    fixed = list(_fitting(text.iloc[0], (*_DATES, *_MONTHS)))
    first, second = list(_fitting(text.iloc[0], _DAY_FIRST)), list(_fitting(text.iloc[0], _MONTH_FIRST))
    return _with_formats(table, text, [*fixed, *first, *([] if arguments.dayfirst else second)], arguments)


def _packed_dates(text: pd.Series) -> pd.DatetimeIndex | None:
    """Dates such as 20240331 and months such as 202403; years and other whole numbers are none."""
    for form, pattern in (("%Y%m%d", r"(19|20)\d\d[01]\d[0-3]\d"), ("%Y%m", r"(19|20)\d\d[01]\d")):
        if text.str.fullmatch(pattern).all():
            dates = pd.to_datetime(text, format=form, errors="coerce")
            if dates.notna().all():
                return pd.DatetimeIndex(dates)
    return None


def _iso(text: pd.Series, *, quiet: bool) -> pd.Series | None:
    """Times written year first; offsets that change become UTC."""
    if not re.match(r"\d{4}\D", text.iloc[0]):
        return None
    offsets = text.str.extract(_OFFSET, expand=False)
    # One offset may be written as Z, +00, +0000 and +00:00.
    offsets = offsets.str.replace("Z", "+00").str.replace(":", "").str.ljust(5, "0")
    if (offsets.isna() if offsets.isna().any() else offsets == offsets.iloc[0]).all():
        try:
            return pd.to_datetime(text, format="ISO8601")
        except ValueError:
            return None
    if offsets.isna().any():
        return None
    try:
        times = pd.to_datetime(text, format="ISO8601", utc=True)
    except ValueError:
        return None
    if not quiet:
        note(f"note: the offsets in {text.name!r} change; the times are kept in UTC (choose with --tz Europe/Berlin)")
    return times


def _fitting(cell: str, dates: tuple[str, ...]) -> Iterator[str]:
    """The formats, with or without a clock time, that a cell can be read by."""
    for date in dates:
        for clock in _CLOCKS:
            for form in (date + clock, date + "," + clock) if clock else (date,):
                try:
                    datetime.strptime(cell, form)
                except ValueError:
                    continue
                yield form


def _with_formats(
    table: Table, text: pd.Series, forms: list[str], arguments: argparse.Namespace | None = None
) -> pd.Series:
    """The one reading that takes every row, or that puts the rows on a regular grid if two do."""
    readings = {form: _read_as(text, form) for form in forms}
    whole = [form for form, times in readings.items() if times.notna().all()]
    if not whole:
        raise _no_date(table, text, readings)
    if len(whole) > 1 and not all(readings[form].equals(readings[whole[0]]) for form in whole):
        assert arguments is not None
        regular = [form for form in whole if _is_regular(table, readings[form], arguments)]
        if len(regular) != 1:
            raise _two_readings(table, text, [readings[form] for form in whole], whole)
        whole = regular
    if whole[0].startswith(("%d/", "%d-%m", "%m/%d", "%m-%d")):
        note(f"note: {table.time!r} is read {'day' if whole[0][1] == 'd' else 'month'} first ({whole[0]})")
    return readings[whole[0]]


def _read_as(text: pd.Series, form: str) -> pd.Series:
    try:
        return pd.to_datetime(text, format=form, errors="coerce", utc=True if "%z" in form else None)
    except ValueError as err:
        raise CommandError(f"--date-format: {form!r} cannot be used ({err}). Write it as '%d/%m/%Y %H:%M'.") from err


def _no_date(table: Table, text: pd.Series, readings: dict[str, pd.Series]) -> CommandError:
    """Names the first cell that the reading which takes most rows does not take."""
    known = text.str.match(r"\d{4}\D") if not readings else pd.Series(False, text.index)
    taken = max((times.notna() for times in readings.values()), key=lambda good: good.sum(), default=known)
    if not readings and known.any():
        taken = pd.to_datetime(text, format="ISO8601", errors="coerce", utc=True).notna()
        if taken.all():
            return CommandError(
                f"{table.path}: only some of the times in {table.time!r} have an offset from UTC. Give all "
                "one, or none."
            )
    at = text.index[(~taken).to_numpy().argmax()]
    others = date_columns(table.frame)
    hint = f" The dates may be in {others[0]!r}: --time {others[0]}." if others and table.time not in others else ""
    return table.refuse(at, f"{text[at]!r} in column {table.time!r} is no date{_like(text, taken)}. {_ADVICE}{hint}")


def date_columns(frame: pd.DataFrame) -> list[str]:
    """Columns whose first cell looks like a date."""
    return [column for column in frame.columns if _DATE.match(str(frame[column].iloc[0]))]


def _like(text: pd.Series, taken: pd.Series) -> str:
    return f" like {text[taken].iloc[0]!r} in other rows" if taken.any() else " that can be read"


def _two_readings(table: Table, text: pd.Series, times: list[pd.Series], forms: list[str]) -> CommandError:
    at = (times[0] != times[1]).to_numpy().argmax()
    one, other = (f"{t.iloc[at].day} {t.iloc[at]:%B}" for t in times[:2])
    return CommandError(
        f"{table.path}: {text.iloc[at]!r} in {table.time!r} can be {one} or {other}. Say which with --dayfirst or "
        f"--date-format {forms[1]!r}."
    )


def _is_regular(table: Table, times: pd.Series, arguments: argparse.Namespace) -> bool:
    ids = None if table.id is None else table.frame[table.id]
    try:
        return lay_out(pd.DatetimeIndex(times), ids, arguments.freq, table.path).is_regular()
    except CommandError:
        return False


def _localised(table: Table, times: pd.DatetimeIndex, zone: str) -> pd.DatetimeIndex:
    """Stamps of a local clock; an hour that comes twice is told by the order of the rows of its series."""
    midnight = "shift_forward" if len(np.unique(times - times.normalize())) == 1 else "raise"
    series = np.zeros(len(times), dtype=np.int64)
    if table.id is not None:
        series = pd.factorize(table.frame[table.id])[0]
    found = np.empty(len(times), dtype="M8[us]")
    for rows in pd.Series(series).groupby(series).indices.values():
        here = times[rows]
        backwards = here[0] > here[-1]
        # A day that begins twice begins at its first midnight.
        ambiguous: Any = np.ones(len(here), dtype=bool) if midnight == "shift_forward" else "infer"
        try:
            utc = (here[::-1] if backwards else here).tz_localize(zone, ambiguous=ambiguous, nonexistent=midnight)
        except (ValueError, InvalidTimeError) as err:
            why = " ".join(str(err).split(". Try")[0].split())
            raise CommandError(
                f"{table.path}: {table.time!r} is no local time of {zone} ({why}). "
                "If the file is in UTC, pass --tz UTC."
            ) from err
        stamps = utc.tz_convert("UTC").tz_localize(None).as_unit("us").to_numpy()
        found[rows] = stamps[::-1] if backwards else stamps
    return pd.DatetimeIndex(found, name=times.name).tz_localize("UTC").tz_convert(zone)
