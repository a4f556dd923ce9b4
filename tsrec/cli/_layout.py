"""How the rows of a file lie in time: order, frequency, repeats, gaps."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tsrec.cli._errors import CommandError
from tsrec.frames import TimeGrid
from tsrec.frames.inference import infer_grid, plain_index

_NAMES = {
    "D": "daily", "h": "hourly", "B": "business days", "W": "weekly", "min": "every minute", "s": "every second",
    "MS": "monthly", "ME": "monthly", "BMS": "monthly", "BME": "monthly", "M": "monthly",
    "QS": "quarterly", "QE": "quarterly", "Q": "quarterly", "YS": "yearly", "YE": "yearly", "Y": "yearly",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Layout:
    """Rows put in order of series and time.

    Attributes
    ----------
    order : int array of shape (n_rows,)
        Position in the file of each row.
    offsets : int array of shape (n_series + 1,)
        Where the series begin.
    names : Index or None
        What the series are called.
    times : Index of length n_rows
        Time stamps, in order.
    ordinals : int64 array of shape (n_rows,)
        Their places on the grid.
    grid : TimeGrid
        The frequency.
    """

    order: np.ndarray
    offsets: np.ndarray
    names: pd.Index | None
    times: pd.Index
    ordinals: np.ndarray
    grid: TimeGrid

    @property
    def lengths(self) -> np.ndarray:
        """Rows of each series."""
        return np.diff(self.offsets)

    def steps(self) -> np.ndarray:
        """Distance of each row but the first to the row before, in ordinals; one grid step where a series begins."""
        steps = np.diff(self.ordinals)
        steps[self.offsets[1:-1] - 1] = self.grid.step
        return steps

    def is_regular(self) -> bool:
        """Whether nothing repeats, is missing or lies beside the grid."""
        return bool((self.steps() == self.grid.step).all())

    def missing(self) -> tuple[np.ndarray, np.ndarray]:
        """Series and ordinal of each step that has no row between the first and the last of its series."""
        steps = self.steps()
        before = np.flatnonzero((steps > self.grid.step) & (steps % self.grid.step == 0))
        count = steps[before] // self.grid.step - 1
        if count.sum() > 20 * len(self.ordinals) + 1000:
            raise CommandError(
                f"{count.sum()} of {count.sum() + len(self.ordinals)} steps of frequency {self.grid.freq or 1} have no "
                "row. Pass the frequency of the file with --freq."
            )
        nth = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + 1
        series = np.searchsorted(self.offsets, before, side="right") - 1
        return np.repeat(series, count), np.repeat(self.ordinals[before], count) + nth * self.grid.step

    def filled(self) -> tuple["Layout", np.ndarray]:
        """The layout with a row for every step, and for each of its rows the row it was (-1 where it is new)."""
        series, ordinals = self.missing()
        both = np.r_[self.ordinals, ordinals]
        owner = np.r_[np.repeat(np.arange(len(self.lengths)), self.lengths), series]
        place = np.lexsort((both, owner))
        offsets = np.r_[0, np.cumsum(np.bincount(owner, minlength=len(self.lengths)))]
        source = np.where(place < len(self.ordinals), place, -1)
        order = np.where(source >= 0, self.order[source], -1)
        times = self.grid.decode(both[place])
        return Layout(order, offsets, self.names, times, both[place], self.grid), source

    def index(self) -> pd.Index:
        """Index of a frame with these rows."""
        if self.names is None:
            return self.times
        codes = np.repeat(np.arange(len(self.lengths)), self.lengths)
        return pd.MultiIndex.from_arrays([self.names.take(codes), self.times], names=[self.names.name, self.times.name])


def lay_out(times: pd.Index, ids: pd.Series | None, freq: str | None, path: Path) -> Layout:
    """Put rows in order and find their frequency.

    Raises
    ------
    CommandError
        If a frequency cannot be found, or a stamp lies off the one that was given.
    """
    times = plain_index(times, str(path))
    names, codes = None, np.zeros(len(times), dtype=np.int64)
    if ids is not None:
        codes, names = pd.factorize(ids, sort=True)
        names = pd.Index(names, name=ids.name)
    rank = times.asi8 if hasattr(times, "asi8") else times.to_numpy()
    order = np.lexsort((rank, codes))
    times = times[order]
    offsets = np.r_[0, np.cumsum(np.bincount(codes))]
    # Repeats say nothing about the frequency, and are named later.
    first = np.r_[True, (np.diff(rank[order]) != 0) | (np.diff(codes[order]) != 0)]
    distinct = np.r_[0, np.cumsum(first)[offsets[1:] - 1]]
    try:
        grid = infer_grid(times[first], distinct, freq, where=str(path))
        ordinals = grid.encode(times, where=str(path))
    except ValueError as err:
        message = str(err).replace("Give freq=, for example freq='D'.", "Pass --freq, for example --freq D.")
        message = message.replace("Give stamps that continue the grid of y.", "Pass another --freq, or none.")
        message = message.replace("Leave freq out, or give", "Leave --freq out, or give")
        zone = " Days of a zone whose offset changes need --tz." if str(getattr(times, "tz", None)) == "UTC" else ""
        raise CommandError(message.replace("freq: ", "--freq: ") + zone) from err
    return Layout(order, offsets, names, times, ordinals, grid)


def refuse_repeats(layout: Layout, path: Path, hint: str) -> None:
    """Refuse two rows for one step.

    Parameters
    ----------
    layout : Layout
    path : Path
    hint : str
        How to mend it.
    """
    again = np.flatnonzero(layout.steps() == 0)
    if len(again):
        stamp = layout.ordinals[again[0]]
        series = np.searchsorted(layout.offsets, again[0], side="right") - 1
        inside = slice(layout.offsets[series], layout.offsets[series + 1])
        count = int((layout.ordinals[inside] == stamp).sum())
        raise CommandError(
            f"{_where(layout, path, series)}: {show(layout.times[again[0]])} occurs {count} times. {hint}"
        )


def refuse_uneven(layout: Layout, path: Path, hint: str = "") -> None:
    """Refuse rows beside the grid.

    Parameters
    ----------
    layout : Layout
        Without repeats.
    path : Path
    hint : str
        What else may be the reason.
    """
    off = np.flatnonzero(layout.steps() % layout.grid.step)
    if len(off):
        series = np.searchsorted(layout.offsets, off[0], side="right") - 1
        raise CommandError(
            f"{_where(layout, path, series)}: {show(layout.times[off[0] + 1])} does not follow "
            f"{show(layout.times[off[0]])} at the distance of the other rows ({rhythm(layout.grid)}); {len(off)} of "
            f"{len(layout.ordinals)} rows do not. Bring the file to even steps, or pass --freq.{hint}"
        )


def refuse_gaps(layout: Layout, path: Path) -> None:
    """Refuse steps without a row."""
    series, ordinals = layout.missing()
    count, total = len(ordinals), len(ordinals) + len(layout.ordinals)
    if count:
        first = show(layout.grid.decode(ordinals[:1])[0])
        what, add, it = ("is", "row", "it") if count == 1 else (f"and {count - 1} more are", "rows", "them")
        raise CommandError(
            f"{_where(layout, path, int(series[0]))}: {first} {what} missing ({count} of {total} steps). Add the "
            f"{add}, or pass --fill-gaps to treat {it} as unknown."
        )


def _where(layout: Layout, path: Path, series: int) -> str:
    return str(path) if layout.names is None else f"{path}, {layout.names.name} {layout.names[series]!r}"


def show(stamp: Any) -> str:
    """A time stamp as a person writes it."""
    if not isinstance(stamp, pd.Timestamp):
        return str(stamp)
    bare = stamp.tz_localize(None)
    if bare == bare.normalize():
        return f"{bare:%Y-%m-%d}"
    return str(bare.floor("us")) if bare.microsecond else f"{bare:%Y-%m-%d %H:%M:%S}".removesuffix(":00")


def rhythm(grid: TimeGrid) -> str:
    """The frequency in words, with its pandas name."""
    if grid.freq is None:
        return f"whole numbers in steps of {grid.step}"
    name = _NAMES.get(grid.freq.split("-")[0])
    return f"every {grid.freq}" if name is None else f"{name} ({grid.freq})"
