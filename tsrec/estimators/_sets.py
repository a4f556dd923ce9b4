"""Several sets of series read at once, and brought to one number of steps per season."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tsrec.estimators._read import GIVEN, assemble, checked_y, unobserved
from tsrec.frames import Panel, label_at, offsets_of, read_panel, variable_names
from tsrec.frames.clock import to_season_steps
from tsrec.frames.warn import warn_user

# Steps per season where sets differ: hours of a day.
_USUAL = 24
# The kind of frequency of rows without dates.
_NO_PACE = "none"


class Sets(NamedTuple):
    """Sets read: every variable of every series is a series of its own.

    Attributes
    ----------
    panel : Panel
        All of them, in steps of the module; its one static number is the pace.
    groups : int array of shape (n_series,)
        Number of the set of each series.
    seasons : dict of str to int
        Steps per season of each set, as it was given.
    paces : tuple of str
        Kinds of frequency, such as "sub-daily".
    steps : int
        Steps per season of the module.
    """

    panel: Panel
    groups: np.ndarray
    seasons: dict[str, int]
    paces: tuple[str, ...]
    steps: int


def read_sets(sets: Mapping[Any, Any], season: int | str, freq: Any, steps: int | None) -> Sets:
    """Read sets, and bring them to one number of steps per season.

    Parameters
    ----------
    sets : mapping of str to Series, DataFrame or array
    season : int or "auto"
        Steps per season that all are brought to: that of all, or of a day of hours where they differ, when "auto".
    freq : str or offset, optional
        Frequency of the indexes, where it cannot be read from them.
    steps : int, optional
        What has been settled before.

    Raises
    ------
    TypeError, ValueError
        If there is no set, or one of them cannot be read; the message names it.
    """
    if not sets:
        raise ValueError("X: no sets. Give at least one, {'name': frame}.")
    panels = []
    for name, rows in sets.items():
        where = f"X[{name!r}]"
        panels.append(assemble(checked_history(rows, where), None, freq=freq, names=GIVEN._replace(y=where)))
    seasons = [_season(panel) for panel in panels]
    distinct = {one for one in seasons if one > 1}
    usual = distinct.pop() if len(distinct) == 1 else _USUAL
    wanted = steps or (usual if season == "auto" else int(season))
    paces = tuple(dict.fromkeys(pace_of(panel) for panel in panels))
    pieces, labels, groups, kinds = [], [], [], []
    for number, (name, panel, own) in enumerate(zip(sets, panels, seasons, strict=True)):
        for values, label in _single(in_seasons(panel, factor_of(own, wanted))):
            pieces.append(values)
            labels.append((str(name), *label))
            groups.append(number)
            kinds.append([float(paces.index(pace_of(panel)))])
    if not pieces:
        raise ValueError("X: no set holds an observed value (all are NaN). Give at least one number.")
    ids = pd.MultiIndex.from_tuples(labels, names=["set", "series", "variable"])
    panel = replace(joined(pieces, pd.RangeIndex(1), ids), static=np.array(kinds))
    return Sets(panel, np.array(groups), dict(zip(map(str, sets), seasons, strict=True)), paces, wanted)


def checked_history(rows: Any, where: str = "history") -> Any:
    """Rows of a set or of an unseen history: a Series, a frame, or an array of one or two dimensions."""
    if isinstance(rows, pd.DataFrame) and not rows.shape[1]:
        raise ValueError(f"{where}: the frame has no column. Give one for each variable.")
    return checked_y(rows, where)


def read_unseen(rows: Any, freq: Any, paces: tuple[str, ...], steps: int, where: str) -> Panel:
    """Rows of series that were not learned from; those without dates count as steps of the module, with a warning."""
    panel = assemble(checked_history(rows, where), None, freq=freq, names=GIVEN._replace(y=where))
    warn_of_steps(panel, paces, steps, where)
    return panel


def check_variables(panel: Panel) -> Panel:
    """An unseen history, if each of its variables, which are series of their own here, holds a value."""
    empty = np.argwhere(unobserved(panel))
    if len(empty):
        series, channel = empty[0]
        parts = [] if panel.ids is None else [f"series {label_at(panel.ids, int(series))!r}"]
        parts += [f"column {label_at(panel.columns, int(channel))!r}"] * (panel.n_channels > 1)
        raise ValueError(
            f"history: {', '.join(parts) or 'it'} holds no observed value (all are NaN). Give at least one number"
            f"{', or leave it out' if parts else ''}."
        )
    return panel


def warn_of_steps(panel: Panel, paces: tuple[str, ...], steps: int, where: str) -> None:
    """Say how rows without dates are counted, after learning from sets that had them.

    Parameters
    ----------
    panel : Panel
        Rows to go on from.
    paces : tuple of str
        Kinds of frequency that were learned from.
    steps : int
        Steps per season of the module.
    where : str
        How the warning calls the rows.
    """
    if pace_of(panel) == _NO_PACE and paces and _NO_PACE not in paces:
        warn_user(
            f"{where}: its rows have no dates, so each counts as one of the model's own steps, {steps} to a season. If "
            f"they are hours, days or months, give {where} a DatetimeIndex, for example "
            "pd.date_range(start, periods=len(rows), freq='D')."
        )


def pace_of(panel: Panel) -> str:
    return panel.grid.pace or _NO_PACE


def _season(panel: Panel) -> int:
    """Steps per season of a set, by its frequency; rows without times count as they are, as unseen ones do."""
    return int(panel.grid.season or 1) if panel.grid.has_time else 1


def factor_of(own: int, wanted: int) -> float:
    return own / wanted if own > 1 else 1.0


def in_seasons(panel: Panel, factor: float) -> Panel:
    """All rows of a panel in the module's steps, counted from the ends of its series."""
    if factor == 1:
        return panel
    pieces = []
    for begin, end in zip(panel.offsets[:-1], panel.offsets[1:], strict=True):
        count = max(int((end - begin) / factor), 1)
        pieces.append(to_season_steps(panel.values[None, begin:end], count, factor)[0])
    return replace(joined(pieces, panel.columns, panel.ids), static=panel.static)


def _single(panel: Panel) -> Iterator[tuple[np.ndarray, tuple[str, str]]]:
    """Each variable of each series, (n, 1), and the names of both."""
    names = [str(name) for name in variable_names(panel.columns)]
    for label, begin, end in zip(panel.labels, panel.offsets[:-1], panel.offsets[1:], strict=True):
        for number, name in enumerate(names):
            values = panel.values[begin:end, number : number + 1]
            if not np.isnan(values).all():
                yield values, (str(label), name)


def joined(pieces: Sequence[np.ndarray], columns: pd.Index, ids: pd.Index | None = None) -> Panel:
    """Rows of series (n_i, C), without times, as a panel."""
    offsets = offsets_of(np.array([len(piece) for piece in pieces]))
    grid = read_panel(np.zeros(1)).grid
    starts = np.zeros(len(pieces), dtype=np.int64)
    return Panel(np.concatenate(pieces), offsets, starts, grid, columns, ids)
