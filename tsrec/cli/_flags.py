"""The flags of each command, and the checks that need no data."""

import argparse
import codecs
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

from tsrec.cli._errors import CommandError, did_you_mean
from tsrec.cli._search_flags import add_search, check_search

MODELS = {
    "auto": "AutoForecaster",
    "lssl": "LSSLForecaster",
    "mamba": "MambaForecaster",
    "mlp": "MLPForecaster",
    "seasonal-mean": "SeasonalMeanForecaster",
    "seasonal-naive": "SeasonalNaiveForecaster",
    "tcnca": "TCNCAForecaster",
    "theta": "ThetaForecaster",
}
# Those that draw random numbers and make use of covariates.
NETWORKS = ("auto", "lssl", "mamba", "mlp", "tcnca")
HORIZON = 24


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {message} (see {self.prog} --help)", file=sys.stderr)
        raise SystemExit(2)


def parser() -> argparse.ArgumentParser:
    """The parser of ``tsrec``."""
    import tsrec

    top = _Parser(prog="tsrec", description="Forecast and search time series in CSV or parquet files.")
    top.add_argument("--version", action="version", version=f"tsrec {tsrec.__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    forecast = _command(commands, "forecast", "forecast the steps after the end of a file")
    forecast.add_argument("--out", type=Path, help="CSV to write the forecast to (standard output when omitted)")
    forecast.add_argument("--plot", type=Path, help="picture to draw (png, pdf, svg)")
    forecast.add_argument("--save", type=Path, help="file to keep the fitted model in, for tsrec.load")
    forecast.add_argument(
        "--coverage", type=float, action="append", help="share that the intervals should hold; may be repeated (0.9)"
    )
    test = _command(commands, "backtest", "forecast the last part of a file and measure the error")
    test.add_argument("--windows", type=int, help="number of cut-offs (as fit into the last fifth when omitted)")
    test.add_argument("--step", type=int, help="steps between cut-offs (the horizon when omitted)")
    test.add_argument("--out", type=Path, help="CSV to write every forecast to")
    add_search(commands, _reading)
    about = commands.add_parser("info", help="what a file holds; without a file, what is installed", allow_abbrev=False)
    about.add_argument("data", type=Path, nargs="?", help="CSV or parquet file")
    _reading(about)
    return top


def _command(commands: Any, name: str, text: str) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=text.capitalize() + ".", allow_abbrev=False)
    command.add_argument("data", type=Path, help="CSV or parquet file, a row per time step")
    command.add_argument("--target", action="append", help="column to forecast; may be repeated (all number columns)")
    command.add_argument(
        "--known",
        action="append",
        help="column whose future is known, as a price is; may be repeated. The rows to forecast stand at the end of "
        "the file, with this column filled in and the target empty",
    )
    command.add_argument("--horizon", type=int, help=f"steps to forecast ({HORIZON}; with --known the rows at the end)")
    command.add_argument("--model", choices=sorted(MODELS), default="auto", help="model (auto)")
    command.add_argument("--seed", type=int, default=0, help="random seed (0)")
    command.add_argument("--fill-gaps", action="store_true", help="treat missing rows as unknown values")
    _reading(command)
    return command


def _reading(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("how the file is read")
    group.add_argument("--time", help="column of time stamps (the first one that is not --id)")
    group.add_argument("--id", help="column that names the series, if the file holds several")
    group.add_argument("--freq", help="frequency, where it cannot be read from the time stamps, e.g. h or MS")
    group.add_argument("--tz", help="time zone of the time stamps, e.g. Europe/Berlin")
    group.add_argument("--dayfirst", action="store_true", help="01/02/2024 is the first of February")
    group.add_argument("--date-format", help="format of the time stamps, e.g. '%%m/%%d/%%Y %%H:%%M'")
    group.add_argument("--sep", help="separator of the columns (found in the file): a character, or tab")
    group.add_argument("--decimal", choices=[".", ","], help="sign before decimals (found in the file)")
    group.add_argument("--encoding", help="encoding of the text (utf-8, else latin-1)")


def check(arguments: argparse.Namespace) -> None:
    """Refuse flags that no file can make right.

    Raises
    ------
    CommandError
        The first that is wrong.
    """
    if hasattr(arguments, "sep"):
        _check_reading(arguments)
    if arguments.command == "search":
        check_search(arguments)
    for flag in ("horizon", "windows", "step", "k"):
        value = getattr(arguments, flag, None)
        if value is not None and value < 1:
            raise CommandError(f"--{flag}: found {value}. Give a whole number of at least 1.")
    if not 0 <= getattr(arguments, "seed", 0) < 2**32:
        raise CommandError(f"--seed: found {arguments.seed}. Give a whole number from 0 to 4294967295.")
    for share in getattr(arguments, "coverage", None) or []:
        if not 0 < share < 1:
            raise CommandError(f"--coverage: found {share:g}. Give a share between 0 and 1, for example 0.9.")
    for flag in ("out", "plot", "save"):
        path = getattr(arguments, flag, None)
        if path is not None:
            _check_output(f"--{flag}", path, arguments.data or Path())
    if getattr(arguments, "plot", None) is not None:
        _check_picture(arguments.plot)


def _check_reading(arguments: argparse.Namespace) -> None:
    if arguments.sep is not None:
        arguments.sep = {"tab": "\t", "\\t": "\t"}.get(arguments.sep, arguments.sep)
        if len(arguments.sep) != 1 or arguments.sep == (arguments.decimal or "") or arguments.sep in '"\n\r':
            raise CommandError(
                f"--sep: found {arguments.sep!r}. Give one character (or tab) that is not the decimal sign."
            )
    if arguments.dayfirst and arguments.date_format:
        raise CommandError("--dayfirst, --date-format: found both. The format alone says where the day stands.")
    if arguments.tz is not None:
        _check_zone(arguments.tz)
    if arguments.encoding is not None:
        try:
            codecs.lookup(arguments.encoding)
        except LookupError as err:
            raise CommandError(f"--encoding: {arguments.encoding!r} is unknown. Try utf-8, latin-1 or cp1252.") from err
    if arguments.freq is not None:
        from tsrec.frames.frequency import rhythm

        rhythm(arguments.freq, where="--freq")


def _check_zone(name: str) -> None:
    from zoneinfo import ZoneInfo, available_timezones

    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as err:
        hint = did_you_mean(name, available_timezones()) or " Give one such as Europe/Berlin or UTC."
        raise CommandError(f"--tz: there is no time zone {name!r}.{hint}") from err


def _check_output(flag: str, path: Path, data: Path) -> None:
    if path.is_dir():
        raise CommandError(f"{flag}: {str(path)!r} is a folder. Name a file in it.")
    if path.exists() and data.exists() and path.samefile(data):
        raise CommandError(f"{flag}: {str(path)!r} is the file that is read. Name another.")
    folder = next((parent for parent in path.absolute().parents if parent.exists()), Path.cwd())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        why = "cannot be written to" if folder.is_dir() else "is a file, not a folder"
        raise CommandError(f"{flag}: {str(path)!r} cannot be made, for {str(folder)!r} {why}.")


def _check_picture(path: Path) -> None:
    try:
        from matplotlib.backend_bases import FigureCanvasBase
    except ImportError as err:
        raise CommandError("--plot needs matplotlib. Install it: pip install 'tsrec[plot]'.") from err
    known = sorted(FigureCanvasBase.get_supported_filetypes())
    if path.suffix.lower().lstrip(".") not in known:
        raise CommandError(
            f"--plot: {str(path)!r} ends in {path.suffix or 'nothing'!r}, but a picture ends in one of "
            f"{', '.join('.' + suffix for suffix in known)}."
        )
