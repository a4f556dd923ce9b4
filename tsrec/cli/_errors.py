"""What is said to a user at a shell: mistakes they can mend, notes, suggestions."""

import sys
from collections.abc import Iterable
from difflib import get_close_matches


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
