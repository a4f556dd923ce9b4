"""Tables of events as timelines: what was found beside what is true."""

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tsrec.plotting._style import BLACK, dress, named, pyplot
from tsrec.plotting._tracks import plain_times

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_SERIES, _MOST_LABELS = 12, 20
_BAR = 0.8


class EventsDisplay:
    """Events along time, a colour for each label, a line for each series and a second one for what is true.

    Parameters
    ----------
    events : DataFrame
        Columns start, end (excluded) and label, and series if there are several: what ``table`` of an EventLocator
        gave.
    truth : DataFrame, optional
        The true events, in the same form.
    series : label or sequence of labels, optional
        Which series to show, twelve at most. The first twelve when omitted.

    Attributes
    ----------
    ax_ : Axes
        What was drawn on. Set by `plot`.
    figure_ : Figure
        The figure. Set by `plot`.

    See Also
    --------
    EventsDisplay.from_locator : Find events, and plot them.

    Examples
    --------
    >>> from tsrec.plotting import EventsDisplay
    >>> found = pd.DataFrame({"start": [0, 5], "end": [5, 9], "label": ["sit", "walk"]})
    >>> display = EventsDisplay(found, truth=found).plot()
    >>> [text.get_text() for text in display.ax_.get_yticklabels()]
    ['found', 'true']
    """

    ax_: "Axes"
    figure_: "Figure"

    def __init__(
        self,
        events: pd.DataFrame,
        truth: pd.DataFrame | None = None,
        *,
        series: Hashable | Sequence[Hashable] | None = None,
    ) -> None:
        self.events = events
        self.truth = truth
        self.series = series

    @classmethod
    def from_locator(
        cls,
        locator: Any,
        truth: pd.DataFrame | None = None,
        *,
        series: Hashable | Sequence[Hashable] | None = None,
        ax: Any = None,
        **asked: Any,
    ) -> "EventsDisplay":
        """Find all events, and plot them.

        Parameters
        ----------
        locator : fitted EventLocator
            Or other object with ``table``.
        truth : DataFrame, optional
            The true events.
        series : label or sequence of labels, optional
            Which series are searched and shown.
        ax : Axes, optional
            As in `plot`.
        **asked
            Other arguments of ``table``.

        Returns
        -------
        EventsDisplay
            Plotted.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        if series is not None:
            asked.setdefault("where", named(series))
        return cls(locator.table(**asked), truth, series=series).plot(ax)

    def plot(self, ax: Any = None) -> "EventsDisplay":
        """Draw.

        Parameters
        ----------
        ax : Axes, optional
            Where to draw. A new figure when omitted.

        Returns
        -------
        EventsDisplay
            With `ax_` and `figure_` set.

        Raises
        ------
        TypeError
            If events are no frame with start, end and label.
        ValueError
            If there are none, more than twenty labels, or too many series.
        ImportError
            If matplotlib is not installed.
        """
        tables = {"found": _checked(self.events, "events")}
        if self.truth is not None:
            tables["true"] = _checked(self.truth, "truth")
        names = self._names(tables)
        labels = sorted({label for table in tables.values() for label in table["label"]}, key=str)
        if not 0 < len(labels) <= _MOST_LABELS:
            raise ValueError(f"events: found {len(labels)} labels. Give events of 1 to {_MOST_LABELS} labels.")
        colours = dict(zip(labels, _palette(len(labels)), strict=True))
        lines = [(name, what) for name in names for what in tables]
        if ax is None:
            height = 1.2 + 0.34 * len(lines) + 0.24 * (len(names) - 1)
            _, ax = pyplot("EventsDisplay").subplots(figsize=(9.0, max(height, 1.9)), layout="constrained")
        # The lines of a series stand close together.
        places = [row + 0.6 * (row // len(tables)) for row in range(len(lines))]
        drawn = [
            self._draw(ax, _of_series(tables[what], name), place, colours)
            for (name, what), place in zip(lines, places, strict=True)
        ]
        several = len(names) > 1 or isinstance(names[0], str)
        ax.set_yticks(places, [_words(name, what, several, len(tables)) for name, what in lines])
        ax.set_ylim(places[-1] + 0.6, -0.6)
        _finish(ax, np.concatenate(drawn), colours)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _names(self, tables: dict[str, pd.DataFrame]) -> list[Hashable]:
        """The series that are shown; tables without that column are of the one there is."""
        known = list(dict.fromkeys(name for table in tables.values() if "series" in table for name in table["series"]))
        if self.series is None:
            return known[:_MOST_SERIES] or [None]
        chosen = named(self.series)
        absent = [name for name in chosen if name not in known]
        if absent or not 0 < len(chosen) <= _MOST_SERIES:
            what = f"{absent[0]!r} has no events" if absent else f"found {len(chosen)}"
            raise ValueError(f"series: {what}. Name 1 to {_MOST_SERIES} of those such as {known[:3]}.")
        return chosen

    def _draw(self, ax: "Axes", table: pd.DataFrame, place: float, colours: dict[Hashable, Any]) -> np.ndarray:
        """Bars of one line; returns their ends."""
        start, end = (plain_times(pd.Index(table[column])) for column in ("start", "end"))
        if np.issubdtype(start.dtype, np.datetime64):
            from matplotlib import dates

            ax.xaxis_date()
            first, last = dates.date2num(start), dates.date2num(end)
        else:
            first, last = start, end
        for label, rows in table.groupby("label", sort=False).indices.items():
            spans = list(zip(first[rows], (last - first)[rows], strict=True))
            ax.broken_barh(spans, (place - _BAR / 2, _BAR), facecolors=[colours[label]], linewidth=0)
        return np.append(start, end)


def _checked(events: Any, where: str) -> pd.DataFrame:
    if not isinstance(events, pd.DataFrame) or not {"start", "end", "label"} <= set(events.columns):
        raise TypeError(
            f"{where}: found {type(events).__name__}. Give a frame with the columns start, end and label, and series "
            "if there are several."
        )
    return events


def _of_series(table: pd.DataFrame, name: Hashable) -> pd.DataFrame:
    return table[table["series"] == name] if "series" in table else table


def _words(name: Hashable, what: str, several: bool, n_tables: int) -> str:
    words = " ".join(map(str, name)) if isinstance(name, tuple) else str(name)
    if n_tables == 1:
        return words if several else ""
    return f"{words}, {what}" if several and what == "found" else what


def _palette(count: int) -> list[Any]:
    from matplotlib import colormaps

    return list(colormaps["tab10" if count <= 10 else "tab20"](np.arange(count)))


def _finish(ax: "Axes", times: np.ndarray, colours: dict[Hashable, Any]) -> None:
    from matplotlib.patches import Patch

    ticks, names = ax.get_yticks(), [text.get_text() for text in ax.get_yticklabels()]
    dress(ax, times, "")
    ax.set_yticks(ticks, names)
    ax.grid(visible=False)
    ax.legend(
        [Patch(color=colour) for colour in colours.values()],
        [str(label) for label in colours],
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        borderaxespad=0.2,
        ncols=min(len(colours), 8),
        frameon=False,
        fontsize="small",
        handlelength=1.0,
        columnspacing=1.2,
        labelcolor=BLACK,
    )
