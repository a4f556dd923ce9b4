"""The progress bar of terminals and notebooks."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from numbers import Integral
from typing import Any, TypeVar

Item = TypeVar("Item")
# Counts from here on are told in thousands, millions and so on.
_MANY = 100_000


def watched(items: Iterable[Item], total: int, *, label: str, unit: str, verbose: int) -> Iterator[Item]:
    """Give items on, and move a bar whenever the next one is asked for; for loops that hold it alone.

    Parameters
    ----------
    items : iterable
        What is gone through.
    total : int
        How many there are.
    label : str
        Text before the bar.
    unit : str
        What an item is.
    verbose : int
        0 shows nothing and imports nothing.

    Yields
    ------
    object
        Each of the items. The bar is closed behind the last, where one of them raises, and once nobody holds this.

    Examples
    --------
    >>> list(watched("ab", 2, label="letters", unit="letter", verbose=0))
    ['a', 'b']
    """
    with moving(total, label=label, unit=unit, verbose=verbose) as move:
        for item in items:
            yield item
            move(1)


@contextmanager
def moving(total: int, *, label: str, unit: str, verbose: int) -> Iterator[Callable[[int], Any]]:
    """Show a bar for what counts differently from part to part, and close it, also on errors.

    Parameters
    ----------
    total : int
        Its length.
    label, unit, verbose
        As in `watched`.

    Yields
    ------
    callable
        Takes how much was done since the last call. One thread at a time may call it.

    Examples
    --------
    >>> with moving(10, label="rows", unit="row", verbose=0) as move:
    ...     move(7)
    """
    if not checked_verbose(verbose) or not total:
        yield still
        return
    bar = open_bar(total, label=label, unit=unit)
    try:
        yield bar.update
    finally:
        bar.close()


def say(text: str, *, verbose: int) -> None:
    """Write a line on standard error, above the bars that are shown there; nothing with verbose=0."""
    if checked_verbose(verbose):
        bar_class().write(text, file=sys.stderr)


def checked_verbose(verbose: Any) -> int:
    """Return the parameter of this name: a whole number from 0 on.

    Raises
    ------
    ValueError
        If it is none.
    """
    if not isinstance(verbose, Integral) or verbose < 0:
        raise ValueError(f"verbose: found {verbose!r}. Give 0 for silence, 1 for a line of progress.")
    return int(verbose)


def still(done: int) -> None:
    """Move no bar."""


def open_bar(total: int, *, label: str, unit: str) -> Any:
    """Show a bar.

    Parameters
    ----------
    total : int
        Its length.
    label : str
        Text before it.
    unit : str
        What is counted.

    Returns
    -------
    tqdm.tqdm
        With ``update(n)``, ``set_postfix`` and ``close()``.
    """
    return bar_class()(total=total, desc=label, unit=unit, unit_scale=total >= _MANY, leave=True)


def bar_class() -> Any:
    """Return tqdm's notebook bar inside a notebook that has widgets, else its terminal bar.

    tqdm.auto warns when it is experimental or when widgets are missing; asking first needs no filter on warnings.
    """
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if type(shell).__name__ == "ZMQInteractiveShell" and find_spec("ipywidgets") is not None:
        from tqdm.notebook import tqdm as notebook_bar

        return notebook_bar
    from tqdm.std import tqdm as terminal_bar

    return terminal_bar
