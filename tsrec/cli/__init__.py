"""The command line: ``tsrec forecast | backtest | info`` on CSV and parquet files.

Flags are checked before a file is read, the file before a model is imported: mistakes are named at once.
"""

import os
import re
import sys
import warnings
from collections.abc import Sequence
from csv import Error as CsvError
from importlib import import_module
from typing import Any

from tsrec.cli._errors import CommandError, note
from tsrec.cli._flags import check, parser

_IN_FLAGS = (("n_windows", "--windows"), ("freq=", "--freq "), ("step, ", "--step, "))


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status: 0 when done, 2 when the user must mend something.

    Parameters
    ----------
    argv : list of str, optional
        Arguments; those of the process when omitted.
    """
    arguments = parser().parse_args(argv)
    try:
        check(arguments)
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            getattr(import_module("tsrec.cli._commands"), arguments.command)(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader (head, less) has gone. Python would complain once more when it closes standard output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        return 130
    except CommandError as err:
        return _refuse(arguments.command, str(err))
    except (ValueError, TypeError, ImportError, OSError, MemoryError, CsvError) as err:
        return _refuse(arguments.command, _in_words_of_the_shell(str(err) or type(err).__name__, arguments.data))
    return 0


def _refuse(command: str, message: str) -> int:
    note(f"tsrec {command}: {' '.join(message.split())}")
    return 2


def _in_words_of_the_shell(message: str, data: Any) -> str:
    message = re.sub(r"^[yX](?=: | has )", lambda _: str(data), message)
    for python, shell in _IN_FLAGS:
        message = message.replace(python, shell)
    return message


def _show_warning(message: Any, *_: Any, **__: Any) -> None:
    note(f"note: {' '.join(str(message).split())}")
