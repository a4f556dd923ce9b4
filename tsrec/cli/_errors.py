"""What is said to a user at a shell: mistakes they can mend, notes, suggestions."""

import re
import sys
from collections.abc import Iterable
from difflib import get_close_matches

_IN_FLAGS = (("n_windows", "--windows"), ("freq=", "--freq "), ("step, ", "--step, "))


class CommandError(Exception):
    """Something the user can mend; printed in one line, without a traceback."""


def note(text: str) -> None:
    """Say something beside the answer, on standard error."""
    print(text, file=sys.stderr, flush=True)


def did_you_mean(word: str, known: Iterable[str], template: str = "{}") -> str:
    """A question that names what is close to a word, led by a blank; empty if nothing is."""
    names = {name.lower(): name for name in known}
    near = get_close_matches(word.lower(), names, n=2, cutoff=0.7)
    return f" Did you mean {' or '.join(repr(template.format(names[n])) for n in near)}?" if near else ""


def listing(names: Iterable[str], most: int = 12) -> str:
    """Names with commas between them, the first few of many."""
    every = list(names)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more


def in_words_of_the_shell(message: str, data: str) -> str:
    """What an estimator says, with flags for its arguments.

    Parameters
    ----------
    message : str
        What it says.
    data : str
        What it was given.
    """
    message = re.sub(r"^([yX]|Q: query [^ ]+|Q)(?=: | has )", lambda _: data, message)
    message = re.sub(r"^metadata(?=: )", "--metadata", message).removeprefix("path: ")
    for python, shell in _IN_FLAGS:
        message = message.replace(python, shell)
    return message
