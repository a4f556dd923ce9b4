"""A file as a table: separators, decimal signs, encodings, and where each row stands in the file."""

import argparse
import csv
import io
import re
import warnings
from collections import Counter
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd

from tsrec.cli._errors import CommandError, did_you_mean, listing, note

_SPREADSHEETS = (".xlsx", ".xls", ".xlsm", ".xlsb", ".ods")
_PACKED = {".gz": "gzip", ".bz2": "bz2", ".xz": "lzma"}
_COMMA_NUMBER = re.compile(r"[+-]?\d+,\d+")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+")
_WHOLE = re.compile(r"[+-]?\d+")
_SAMPLE = 200


@dataclass(frozen=True, eq=False)
class Table:
    """The rows of a file.

    Attributes
    ----------
    path : Path
        Where they come from.
    frame : DataFrame
        Its index is the line (parquet: the row) of each in the file. In CSV, times and ids are text still.
    time : str
        Column of time stamps.
    id : str or None
        Column that names the series.
    word : {"line", "row"}
        What a label of the index counts.
    decimal : str
        Decimal sign of its numbers.
    """

    path: Path
    frame: pd.DataFrame
    time: str
    id: str | None
    word: str
    decimal: str = "."

    def refuse(self, row: Any, what: str) -> CommandError:
        """An error about the row with this label."""
        return CommandError(f"{self.path}, {self.word} {row}: {what}")


def read_table(arguments: argparse.Namespace) -> Table:
    """Read the file that the arguments name.

    Raises
    ------
    CommandError
        If there is none, it is none of the kinds that can be read, or a column is not there.
    """
    path: Path = arguments.data
    _check_file(path)
    if path.suffix.lower() in (".parquet", ".pq"):
        return _read_parquet(path, arguments)
    lead, text = _text(path, arguments.encoding)
    sep = arguments.sep or _separator(text)
    sample = list(csv.reader(io.StringIO(_head(text)), delimiter=sep))
    decimal = arguments.decimal or _decimal(sample)
    names = _parse(path, text, sep=sep, nrows=0).columns.astype(str)
    stripped = names.str.strip()
    names = stripped if stripped.is_unique else names
    first = sample[1] if len(sample) > 1 else []
    row_numbers = bool(names[0] == "Unnamed: 0" and _counts_rows(first) and arguments.time != names[0])
    offered = names[1:] if row_numbers else names
    time, series = _choose(path, list(offered), arguments)
    text_columns = dict.fromkeys([time, *([series] if series else [])], str)
    frame = _parse(path, text, sep=sep, decimal=decimal, header=0, names=list(names), dtype=text_columns)
    frame.index = pd.RangeIndex(lead + 2, lead + 2 + len(frame))
    frame = frame[offered].dropna(how="all")
    if frame.empty:
        raise CommandError(f"{path} has a header, but no rows.")
    return Table(path, frame, time, series, "line", decimal)


def _check_file(path: Path) -> None:
    if path.is_dir():
        inside = sorted(p.name for p in path.glob("*") if p.suffix.lower() in (".csv", ".parquet"))
        example = f", for example {str(path / inside[0])!r}" if inside else ""
        raise CommandError(f"{str(path)!r} is a folder. Name a file in it{example}.")
    if not path.exists():
        beside = [p.name for p in path.parent.glob("*")] if path.parent.is_dir() else []
        template = str(path.parent / "{}") if path.parent != Path() else "{}"
        raise CommandError(f"there is no file {str(path)!r}.{did_you_mean(path.name, beside, template)}")
    if path.suffix.lower() in _SPREADSHEETS:
        raise CommandError(f"{path} is a spreadsheet. Save the sheet as CSV (UTF-8) and give that file.")


def _read_parquet(path: Path, arguments: argparse.Namespace) -> Table:
    try:
        frame = pd.read_parquet(path)
    except ImportError as err:
        raise CommandError(f"reading {path} needs pyarrow. Install it: pip install pyarrow.") from err
    except (OSError, ValueError) as err:
        raise CommandError(f"{path} could not be read as parquet ({' '.join(str(err).split())[:100]}).") from err
    time = arguments.time
    index = frame.index
    if not (isinstance(index, pd.RangeIndex) and index.name is None):
        names = [name if name is not None else f"level_{i}" for i, name in enumerate(index.names)]
        names[-1] = index.names[-1] if index.names[-1] is not None else "time"
        frame = frame.reset_index(names=names)
        stamps = index.get_level_values(-1)
        if time is None and isinstance(stamps, pd.DatetimeIndex | pd.PeriodIndex):
            time = str(names[-1])
    frame.columns = frame.columns.astype(str)
    if frame.empty:
        raise CommandError(f"{path} has no rows.")
    chosen = argparse.Namespace(**{**vars(arguments), "time": time})
    if arguments.id is None and index.nlevels == 2:
        chosen.id = str(names[0])
    frame.index = pd.RangeIndex(1, len(frame) + 1)
    return Table(path, frame, *_choose(path, list(frame.columns), chosen), "row")


def _choose(path: Path, columns: list[str], arguments: argparse.Namespace) -> tuple[str, str | None]:
    """The time and the id column; every column that the flags name must be there, once."""
    series = arguments.id
    time = arguments.time or next((column for column in columns if column != series), columns[0])
    roles: dict[str, str] = {}
    targets, known = getattr(arguments, "target", None) or [], getattr(arguments, "known", None) or []
    named = [("--time", time), ("--id", series), *(("--target", c) for c in targets), *(("--known", c) for c in known)]
    for flag, column in named:
        if column is None:
            continue
        if column not in columns:
            hint = did_you_mean(column, columns)
            raise CommandError(f"{path} has no column {column!r}.{hint} Its columns: {listing(columns)}.")
        if roles.setdefault(column, flag) != flag:
            what = {"--time": "the time column", "--id": "the column of --id", "--target": "a target"}[roles[column]]
            raise CommandError(f"{flag}: {column!r} is {what} already. Name another column, or give --time.")
    return time, series


def _text(path: Path, encoding: str | None) -> tuple[int, str]:
    """The text after blank lines at the top, and how many those are."""
    packed = _PACKED.get(path.suffix.lower())
    opener = import_module(packed).open if packed else open
    try:
        with opener(path, "rb") as file:
            data = file.read()
    except (OSError, EOFError) as err:
        raise CommandError(f"{path} could not be read ({getattr(err, 'strerror', None) or err}).") from err
    if encoding is None and data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16"
    if encoding is None and b"\0" in data[:4096]:
        raise CommandError(f"{path} could not be read as CSV: it is no text.")
    try:
        text = data.decode(encoding or "utf-8-sig")
    except UnicodeDecodeError as err:
        if encoding is not None:
            raise CommandError(f"{path} could not be read as {encoding}. Name another with --encoding.") from err
        note(f"note: {path} is not UTF-8; read as latin-1 (choose with --encoding)")
        text = data.decode("latin-1")
    body = text.lstrip("\r\n")
    if not body.strip():
        raise CommandError(f"{path} could not be read as CSV: it is empty.")
    return text[: len(text) - len(body)].count("\n"), body


def _head(text: str) -> str:
    """The first lines, without blank ones."""
    lines = io.StringIO(text)
    found = [line for _, line in zip(range(_SAMPLE), lines, strict=False)]
    return "".join(line for line in found if line.strip())


def _separator(text: str) -> str:
    """The separator that cuts the header and most lines into the same number of cells, more than one."""
    head = _head(text)
    best, most = ",", (0.0, 0)
    for sep in ("\t", ";", ",", "|"):
        cells = [len(row) for row in csv.reader(io.StringIO(head), delimiter=sep)]
        usual = Counter(cells[1:] or cells).most_common(1)[0]
        agree = usual[1] / max(len(cells) - 1, 1) if usual[0] == cells[0] else 0.0
        if cells[0] > 1 and (agree, cells[0]) > most:
            best, most = sep, (agree, cells[0])
    return best


def _decimal(sample: list[list[str]]) -> str:
    """A comma if some column holds numbers with one, and not only such as 1,234 that may be thousands."""
    rows = [row for row in sample[1:] if row]
    for column in zip(*(row for row in rows if len(row) == len(sample[0])), strict=True):
        cells = [cell.strip() for cell in column if cell.strip()]
        commas = [cell for cell in cells if _COMMA_NUMBER.fullmatch(cell)]
        numbers = len(commas) + sum(bool(_WHOLE.fullmatch(cell)) for cell in cells)
        if 2 * numbers > len(cells) and any(not _THOUSANDS.fullmatch(cell) for cell in commas):
            return ","
    return "."


def _counts_rows(first: list[str]) -> bool:
    """Whether the first cell is a row number, as pandas writes it in front of a table, and the next is no number."""
    return len(first) > 2 and first[0].strip() in ("0", "1") and not re.fullmatch(r"[+-]?[\d.,]*", first[1].strip())


def _parse(path: Path, text: str, **options: Any) -> pd.DataFrame:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(
                io.StringIO(text),
                index_col=False,
                skip_blank_lines=False,
                skipinitialspace=True,
                low_memory=False,
                **options,
            )
    except pd.errors.ParserWarning as err:
        raise CommandError(
            f"{path} could not be read as CSV: its rows have more cells than its header. Name every column."
        ) from err
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as err:
        found = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(err))
        why = f"line {found[2]} has {found[3]} cells, the header {found[1]}" if found else " ".join(str(err).split())
        raise CommandError(
            f"{path} could not be read as CSV: {why}. Give the separator with --sep, and delete what is no row."
        ) from err
