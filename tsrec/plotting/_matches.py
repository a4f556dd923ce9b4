"""What a search found: the matches on top of the query, and where they lie on the series."""

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tsrec.plotting._envelope import envelope
from tsrec.plotting._found import (
    MOST_CHANNELS,
    Match,
    Strip,
    as_matches,
    as_rows,
    belong_to,
    checked,
    intervals,
    normalised,
    picked,
)
from tsrec.plotting._style import BLACK, GREY, dress, named, pyplot
from tsrec.plotting._tracks import plain_times

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_STRIPS, _MOST_NAMED = 6, 8
# Labels of matches stand above each other where they are nearer than this share of the axis.
_LABEL_WIDTH, _LABEL_LEVELS = 0.022, 3


class MatchesDisplay:
    """The query with all matches on top of it, and each series with its matches marked.

    A pair of axes for each channel shows the query and the matches, all of them brought to the length of the query, and
    to mean 0 and standard deviation 1 unless the retriever compares as they are (``metric="euclidean"``). One for each
    series with matches shows where they lie; long series are drawn by the least and greatest values of 2000 pieces.

    Parameters
    ----------
    matches : DataFrame
        Columns series, start, end (excluded), and rank or motif: what ``locate``, ``motifs`` or ``discords`` of a
        retriever gave.
    retriever : SubsequenceRetriever
        Or other object with ``rows(series, start, end)`` and ``channels_``.
    query : Series, frame or array, optional
        What was looked for, an array as (n_times,) or (1, n_channels, n_times). The intervals alone are shown without.
    channels : label or sequence of labels, optional
        Which to show, at most four; the first of them on the series. Those of the query when omitted.
    series : label or sequence of labels, optional
        Which series to show. The first six that have matches when omitted.

    Attributes
    ----------
    ax_ : array of Axes of shape (n_channels + n_series,)
        What was drawn on, or the one pair of axes. Set by `plot`.
    figure_ : Figure
        The figure. Set by `plot`.

    See Also
    --------
    MatchesDisplay.from_retriever : Search, and plot.

    Examples
    --------
    >>> from tsrec.datasets import load_nyc_taxi
    >>> from tsrec.plotting import MatchesDisplay
    >>> from tsrec.retrieval import SubsequenceRetriever
    >>> taxi = load_nyc_taxi()
    >>> retriever = SubsequenceRetriever().fit(taxi)
    >>> display = MatchesDisplay(retriever.discords(96, k=2), retriever).plot()
    >>> [ax.get_title(loc="left") for ax in display.ax_]
    ['passengers', '2 intervals']
    """

    ax_: Any
    figure_: "Figure"

    def __init__(
        self,
        matches: pd.DataFrame,
        retriever: Any,
        query: Any = None,
        *,
        channels: Hashable | Sequence[Hashable] | None = None,
        series: Hashable | Sequence[Hashable] | None = None,
    ) -> None:
        self.matches = matches
        self.retriever = retriever
        self.query = query
        self.channels = channels
        self.series = series

    @classmethod
    def from_retriever(
        cls,
        retriever: Any,
        Q: Any,
        *,
        series: Hashable | Sequence[Hashable] | None = None,
        channels: Hashable | Sequence[Hashable] | None = None,
        ax: Any = None,
        **asked: Any,
    ) -> "MatchesDisplay":
        """Search, and plot what is found.

        Parameters
        ----------
        retriever : fitted SubsequenceRetriever
            Or other object with ``locate``, ``rows`` and ``channels_``.
        Q : Series, frame or array
            One query.
        series : label or sequence of labels, optional
            As in the constructor.
        channels : label or sequence of labels, optional
            Channels to compare, as in ``locate``. The first four are shown.
        ax : Axes or array of Axes, optional
            As in `plot`.
        **asked
            Other arguments of ``locate``.

        Returns
        -------
        MatchesDisplay
            Plotted; the matches are its `matches`.

        Raises
        ------
        ValueError
            If there are several queries.
        ImportError
            If matplotlib is not installed.
        """
        names = None if channels is None else named(channels)
        found = retriever.locate(Q, channels=names, **asked)
        shown = None
        if names is not None:
            shown = names[:MOST_CHANNELS]
            Q = pd.DataFrame(as_rows(Q), columns=names)
        return cls(found, retriever, Q, channels=shown, series=series).plot(ax)

    def plot(self, ax: Any = None) -> "MatchesDisplay":
        """Draw.

        Parameters
        ----------
        ax : Axes or array of Axes, optional
            Where to draw: a pair of axes for each channel, then one for each series, or those of the channels alone. A
            new figure when omitted.

        Returns
        -------
        MatchesDisplay
            With `ax_` and `figure_` set.

        Raises
        ------
        TypeError
            If the matches are no frame of intervals.
        ValueError
            If there is nothing to show, if they belong to several queries, or if there is not a pair of axes for each
            channel and series.
        ImportError
            If matplotlib is not installed.
        """
        table = checked(self.matches)
        query, channels = self._query()
        known = list(dict.fromkeys(table["series"])) if self.series is None else named(self.series)
        strips = known[:_MOST_STRIPS] if self.series is None else known
        lines = {name: self._read(table, name, channels) for name in strips}
        matches = self._matches(table, lines, channels)
        if query is None and not matches:
            raise ValueError("matches: there are none, and no query. Give one of them.")
        axes = _new_axes(len(channels), len(strips)) if ax is None else np.atleast_1d(np.asarray(ax, object)).ravel()
        if len(axes) not in (len(channels), len(channels) + len(strips)):
            raise ValueError(
                f"ax: got {len(axes)} pairs of axes for {len(channels)} channels and {len(strips)} series. Pass one "
                "for each, or none."
            )
        colours = _colours([match.number for match in matches])
        for place, channel in enumerate(channels):
            _draw_overlay(axes[place], None if query is None else query[:, place], matches, place, colours)
            dress(axes[place], np.empty(0), str(channel) if len(self.retriever.channels_) > 1 else _own(channel))
            axes[place].set_xlabel("rows", fontsize="small")
        _legend(axes[0], colours, has_query=query is not None)
        for one, name in zip(axes[len(channels) :], strips, strict=False):
            self._draw_strip(one, name, lines[name], colours, several=len(known) > 1)
        if len(known) > len(strips) and len(axes) > len(channels):
            axes[-1].set_xlabel(f"matches of {len(known) - len(strips)} more series are not shown", fontsize="small")
        self.ax_ = axes[0] if len(axes) == 1 else axes
        self.figure_ = axes[0].figure
        return self

    def _query(self) -> tuple[np.ndarray | None, list[Hashable]]:
        """The query as it is drawn, with a column for each channel that is shown."""
        own = list(self.retriever.channels_)
        if self.query is None:
            return None, picked(self.channels, own)
        values = as_rows(self.query)
        names = (
            list(self.query.columns) if isinstance(self.query, pd.DataFrame) else [getattr(self.query, "name", None)]
        )
        if not set(names) <= set(own) or len(names) != values.shape[1]:
            names = own[: values.shape[1]]
        channels = picked(self.channels, names)
        return self._level(values[:, [names.index(channel) for channel in channels]]), channels

    def _level(self, values: np.ndarray) -> np.ndarray:
        """Values as they were compared: without their level and scale, unless these count."""
        return values if getattr(self.retriever, "metric", "znorm") == "euclidean" else normalised(values)

    def _read(self, table: pd.DataFrame, name: Hashable, channels: list[Hashable]) -> Strip:
        """A series as a line, and its matches; its rows are read once."""
        frame = self.retriever.rows(name)[channels]
        own = table[belong_to(table, name)]
        edges = np.stack([frame.index.searchsorted(pd.Index(own[column])) for column in ("start", "end")], axis=1)
        parts = [self._level(frame.iloc[low:high].to_numpy(np.float64)) for low, high in edges]
        return Strip(*envelope(frame.index, frame[channels[0]].to_numpy(np.float64)), as_matches(own, parts))

    def _matches(self, table: pd.DataFrame, lines: dict, channels: list[Hashable]) -> list[Match]:
        """Those of all series, in the order of their numbers."""
        rest = table[~table["series"].isin(list(lines))]
        parts = [self._level(self.retriever.rows(*row)[channels].to_numpy(np.float64)) for row in intervals(rest)]
        found = [match for line in lines.values() for match in line.matches] + as_matches(rest, parts)
        return sorted(found, key=lambda match: match.number)

    def _draw_strip(self, ax: "Axes", name: Hashable, line: Strip, colours: dict[int, Any], *, several: bool) -> None:
        times, values, matches = line
        ax.plot(times, values, color=GREY, linewidth=0.7, alpha=0.8)
        _leave_room(ax, values)
        for match in matches:
            first, last = plain_times(pd.Index([match.start, match.end]))
            # A line at its edge keeps a short match visible on a long series.
            ax.axvspan(first, last, facecolor=colours[match.number], alpha=0.35, linewidth=0)
            ax.axvline(first, color=colours[match.number], linewidth=1.0, alpha=0.9)
        what = "match" if self.query is not None else "interval"
        count = f"{len(matches)} {what}" + ("" if len(matches) == 1 else "es" if what == "match" else "s")
        words = " ".join(map(str, name)) if isinstance(name, tuple) else str(name)
        dress(ax, times, f"{words}: {count}" if several or isinstance(name, str | tuple) else count)
        _number(ax, matches, colours)


def _own(channel: Hashable) -> str:
    return channel if isinstance(channel, str) else ""


def _colours(numbers: list[int]) -> dict[int, Any]:
    """A colour for each number, from dark to light."""
    from matplotlib import colormaps

    known = sorted(set(numbers))
    return dict(zip(known, colormaps["viridis"](np.linspace(0.05, 0.78, max(len(known), 1))), strict=False))


def _new_axes(n_channels: int, n_strips: int) -> np.ndarray:
    """Axes of a new figure: channels side by side, series below them."""
    figure = pyplot("MatchesDisplay").figure(figsize=(9.0, 3.0 + 1.6 * n_strips), layout="constrained")
    grid = figure.add_gridspec(n_strips + 1, n_channels, height_ratios=[2.0] + [1.0] * n_strips)
    above = [figure.add_subplot(grid[0, column]) for column in range(n_channels)]
    below = [figure.add_subplot(grid[row, :]) for row in range(1, n_strips + 1)]
    return np.array([*above, *below], dtype=object)


def _draw_overlay(
    ax: "Axes", query: np.ndarray | None, matches: list[Match], channel: int, colours: dict[int, Any]
) -> None:
    length = max((len(match.values) for match in matches), default=0) if query is None else len(query)
    for match in reversed(matches):
        place = np.linspace(0, length - 1, len(match.values))
        ax.plot(place, match.values[:, channel], color=colours[match.number], linewidth=1.1, alpha=0.85)
    if query is not None:
        ax.plot(np.arange(length), query, color=BLACK, linewidth=2.0 if length < 300 else 1.2, zorder=3)


def _legend(ax: "Axes", colours: dict[int, Any], *, has_query: bool) -> None:
    """The query and the numbers of the matches in a line above the first axes; of many, the first and the last."""
    from matplotlib.lines import Line2D

    lines = [Line2D([], [], color=BLACK, linewidth=2.0)] if has_query else []
    names = ["query"] if has_query else []
    known = list(colours)
    for number in known if len(known) <= _MOST_NAMED else (known[0], known[-1]):
        lines.append(Line2D([], [], color=colours[number], linewidth=1.5))
        names.append(f"{number}")
    ax.legend(
        lines,
        names,
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        borderaxespad=0.2,
        ncols=len(names),
        frameon=False,
        fontsize="small",
        handlelength=1.2,
        columnspacing=1.0,
    )


def _leave_room(ax: "Axes", values: np.ndarray) -> None:
    """Space above the series, for the numbers of the matches."""
    seen = values[np.isfinite(values)]
    if len(seen):
        low, reach = float(seen.min()), float(np.ptp(seen)) or 1.0
        ax.set_ylim(low - 0.06 * reach, low + 1.35 * reach)


def _number(ax: "Axes", matches: list[Match], colours: dict[int, Any]) -> None:
    """The numbers of matches above them, on levels where they are close."""
    from matplotlib.patheffects import withStroke

    transform, last = ax.get_xaxis_transform(), [-np.inf] * _LABEL_LEVELS
    places = [(float(ax.convert_xunits(plain_times(pd.Index([match.start]))[0])), match) for match in matches]
    low, high = ax.get_xlim()
    for place, match in sorted(places, key=lambda one: one[0]):
        share = (place - low) / (high - low)
        free = [level for level in range(_LABEL_LEVELS) if share - last[level] > _LABEL_WIDTH]
        if free:
            last[free[0]] = share
            ax.annotate(
                str(match.number),
                (place, 1.0),
                xycoords=transform,
                xytext=(1, -9 - 9 * free[0]),
                textcoords="offset points",
                fontsize="small",
                color=colours[match.number],
                fontweight="bold",
                path_effects=[withStroke(linewidth=2.5, foreground="white")],
            )
