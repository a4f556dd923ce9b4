"""The flags of ``tsrec search``, and the checks that need no data."""

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tsrec.cli._errors import CommandError


def add_search(commands: Any, reading: Callable[[argparse.ArgumentParser], None]) -> None:
    """Add the command with its three actions.

    Parameters
    ----------
    commands : object
        What ``add_subparsers`` returned.
    reading : callable
        Adds the flags that say how a file is read.
    """
    text = "find where in many series something happened"
    search = commands.add_parser("search", help=text, description=text.capitalize() + ".", allow_abbrev=False)
    actions = search.add_subparsers(dest="action", required=True, metavar="ACTION")
    reading(_index(actions))
    reading(_query(actions))
    _action(actions, "info", "what a folder holds")


def _action(actions: Any, name: str, text: str) -> argparse.ArgumentParser:
    action = actions.add_parser(name, help=text, description=text.capitalize() + ".", allow_abbrev=False)
    action.add_argument("folder", metavar="DIR", type=Path, help="folder of the series that are searched")
    action.add_argument("--encoder", type=Path, help="encoder that tsrec.save wrote, if windows are found by one")
    return action


def _index(actions: Any) -> argparse.ArgumentParser:
    action = _action(actions, "index", "put series into a folder that is searched")
    action.add_argument(
        "data",
        type=Path,
        nargs="+",
        help="CSV or parquet files, a row per time step; a series each, named as its file, or several with --id",
    )
    action.add_argument("--append", action="store_true", help="add series, or rows that go on with known ones")
    action.add_argument("--target", action="append", help="column to search in; may be repeated (all number columns)")
    action.add_argument("--metadata", type=Path, help="CSV with a row per series, its name first, for --where")
    action.add_argument("--fill-gaps", action="store_true", help="treat missing rows as unknown values")
    return action


def _query(actions: Any) -> argparse.ArgumentParser:
    action = _action(actions, "query", "find what looks like a pattern")
    action.add_argument(
        "data", metavar="pattern", type=Path, nargs="?", help="CSV or parquet file that holds the pattern"
    )
    part = action.add_argument_group("which part of the file is the pattern")
    part.add_argument("--rows", metavar="FROM:TO", help="rows from and to, counted from 0, the end excluded")
    part.add_argument("--between", nargs=2, metavar=("T1", "T2"), help="times from and to, the end excluded")
    part.add_argument(
        "--series", help="series of the file, if it holds several (--id); without a file, one of the folder"
    )
    action.add_argument("--k", type=int, default=5, help="how many matches at most (5)")
    action.add_argument(
        "--where", nargs="+", metavar="SERIES", help="series to search in, or column=value of the metadata"
    )
    action.add_argument("--from", dest="start", metavar="TIME", help="matches from this time on")
    action.add_argument("--to", dest="end", metavar="TIME", help="matches that end by this time")
    action.add_argument("--channels", nargs="+", help="columns to compare (those that pattern and series have)")
    action.add_argument(
        "--warp", nargs="*", type=float, metavar="SHARE", help="also other lengths: shares (0.8 to 1.25 when bare)"
    )
    action.add_argument("--max-distance", type=float, help="greatest distance of a match")
    action.add_argument(
        "--verify", choices=["mass", "dtw"], help="measure sample by sample (mass), or by warping (dtw)"
    )
    action.add_argument(
        "--out", "--output", type=Path, help="CSV or JSON to write matches to (a table is printed else)"
    )
    action.add_argument("--plot", type=Path, help="picture to draw (png, pdf, svg)")
    return action


def check_search(arguments: argparse.Namespace) -> None:
    """Refuse flags of a query that no file can make right; rows become a slice.

    Raises
    ------
    CommandError
        The first that is wrong.
    """
    if arguments.action != "query":
        return
    if arguments.rows is not None and arguments.between is not None:
        raise CommandError("--rows, --between: found both. Give one of them.")
    if arguments.rows is not None:
        found = re.fullmatch(r"(\d*):(\d*)", arguments.rows)
        if found is None:
            raise CommandError(f"--rows: found {arguments.rows!r}. Give rows from and to, such as 1000:1256.")
        arguments.rows = slice(*(int(end) if end else None for end in found.groups()))
    for share in arguments.warp or []:
        if not 0 < share < float("inf"):
            raise CommandError(f"--warp: found {share:g}. Give shares of the pattern's length, such as 0.9 1 1.1.")
    if arguments.max_distance is not None and not arguments.max_distance >= 0:
        raise CommandError(f"--max-distance: found {arguments.max_distance:g}. Give a number of at least 0.")
    if arguments.data is None and arguments.id is not None:
        raise CommandError("--id: there is no file. Name one, or leave --id out.")
