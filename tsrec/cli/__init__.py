"""The command line: ``tsrec forecast | backtest | search | info`` on CSV and parquet files.

Flags are checked before a file is read, the file before a model is imported: mistakes are named at once.
"""

import os
import sys
import warnings
from collections.abc import Sequence
from csv import Error as CsvError
from importlib import import_module
from typing import Any

from tsrec.cli._errors import CommandError, in_words_of_the_shell, note
from tsrec.cli._flags import check, parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status: 0 when done, 2 when the user must mend something.

    Parameters
    ----------
    argv : list of str, optional
        Arguments; those of the process when omitted.
    """
    arguments = parser().parse_args(argv)
    home, action = ("_search", arguments.action) if arguments.command == "search" else ("_commands", arguments.command)
    try:
        check(arguments)
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            getattr(import_module(f"tsrec.cli.{home}"), action)(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader (head, less) has gone. Python would complain once more when it closes standard output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        return 130
    except CommandError as err:
        return _refuse(arguments.command, str(err))
    except (ValueError, TypeError, ImportError, OSError, MemoryError, CsvError) as err:
        data = getattr(arguments, "data", None)
        return _refuse(arguments.command, in_words_of_the_shell(str(err) or type(err).__name__, str(data)))
    return 0


def _refuse(command: str, message: str) -> int:
    note(f"tsrec {command}: {' '.join(message.split())}")
    return 2


def _show_warning(message: Any, *_: Any, **__: Any) -> None:
    note(f"note: {' '.join(str(message).split())}")
