"""Which periods a decomposition takes: those given, or those that the index and the data suggest."""

from collections.abc import Iterable
from numbers import Integral
from typing import Any

import numpy as np

from tsrec.frames import Panel
from tsrec.frames.season import choose_season


def check_period(period: Any, name: str = "period") -> int:
    """Refuse what is no whole number of at least two steps."""
    if not isinstance(period, Integral) or isinstance(period, bool) or period < 2:
        raise ValueError(f"{name}: found {period!r}. Give a whole number of steps, at least 2.")
    return int(period)


def choose_period(panel: Panel, period: Any, name: str = "period") -> tuple[int, ...]:
    """A period given or, for "auto", the one that the frequency names or else autocorrelation; none for None.

    Parameters
    ----------
    panel : Panel
        Series of the fit; a period that most of them do not hold twice is not chosen.
    period : int, "auto" or None
        What the user gave.
    name : str
        Of the parameter.

    Returns
    -------
    tuple of int
        One period, or none.
    """
    if period is None:
        return ()
    if not (isinstance(period, str) and period == "auto"):
        return (check_period(period, name),)
    typical = _typical_length(panel)
    shared = panel if panel.lengths.max() == typical else panel.take(np.flatnonzero(panel.lengths <= typical))
    season = choose_season(shared)
    return (season,) if 2 <= season <= typical // 2 else ()


def choose_periods(panel: Panel, periods: Any) -> tuple[int, ...]:
    """Several periods, ascending; for "auto" a day and a week where steps are shorter and series long enough.

    Parameters
    ----------
    panel : Panel
        Series of the fit.
    periods : int, sequence of int, "auto" or None
        What the user gave.

    Returns
    -------
    tuple of int
    """
    if isinstance(periods, str) and periods == "auto":
        day, longest = panel.grid.season, _typical_length(panel) // 2
        if day is not None and panel.grid.kind == "fixed" and 7 * day <= longest:
            return (day, 7 * day)
        return choose_period(panel, periods, "periods")
    if periods is None or isinstance(periods, Integral | str) or not isinstance(periods, Iterable):
        return choose_period(panel, periods, "periods")
    found = tuple(sorted(check_period(one, "periods") for one in periods))
    if not found or len(set(found)) < len(found):
        raise ValueError(f"periods: found {periods!r}. Give different numbers of steps, at least one.")
    return found


def _typical_length(panel: Panel) -> int:
    """The median, that neither a short series nor a long one among others decides."""
    return int(np.sort(panel.lengths)[panel.n_series // 2])
