"""Forecasts from many cut-offs beside what then happened, small multiples of series and variables."""

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tsrec.model_selection import backtest
from tsrec.model_selection.tables import Forecasts, read_forecasts
from tsrec.plotting._chosen import (
    WIDEST,
    chosen_intervals,
    chosen_models,
    chosen_series,
    chosen_variables,
    rows_of,
)
from tsrec.plotting._style import BLACK, COLORS, GREY, RULE, dress, line_legend, small_axes
from tsrec.plotting._tracks import MOST_TRACKS, Band, Line, Track, label_of, plain_times, tracks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FEW_SERIES = 6
_FEW_CUTOFFS = 24  # up to so many, each is marked by a line
_FEW_STEPS = 12  # up to so many steps of one forecast, points are marked


class BacktestDisplay:
    """Truth, and the forecasts from each cut-off with fans, a pair of axes for each variable of each series.

    Parameters
    ----------
    table : DataFrame
        What ``backtest`` gave.
    y : Series, DataFrame or array, optional
        What it was given, to show the truth also between the forecasts and before the first cut-off: there as many
        steps as are forecast, at most.
    series : label or sequence of labels, optional
        Which series of a panel to show, in this order. The first six when omitted.
    models : str or sequence of str, optional
        Which of several models to show, at most eight. All when omitted.
    variables : label or sequence of labels, optional
        Which variables to show. All when omitted.
    coverage : float, sequence of float, "widest" or None, default "widest"
        Nominal coverage of the fans, between 0 and 1: of central intervals that the table has quantiles of. A model
        without one of them is drawn without it. "widest" is one fan, the widest interval that each model has; None is
        no fan.

    Attributes
    ----------
    ax_ : Axes, or array of Axes
        What was drawn on; an array (in reading order) if there are several pairs. Set by `plot`.
    figure_ : Figure
        The figure. Set by `plot`.

    See Also
    --------
    BacktestDisplay.from_estimator : Backtest forecasters, and plot.

    Examples
    --------
    >>> from tsrec import ThetaForecaster
    >>> from tsrec.datasets import load_sunspots
    >>> from tsrec.plotting import BacktestDisplay
    >>> display = BacktestDisplay.from_estimator(ThetaForecaster(horizon=4), load_sunspots(), n_windows=5)
    >>> display.ax_.get_title(loc="left")
    'sunspots'
    """

    ax_: Any
    figure_: "Figure"

    def __init__(
        self,
        table: pd.DataFrame,
        *,
        y: Any = None,
        series: Hashable | Sequence[Hashable] | None = None,
        models: str | Sequence[str] | None = None,
        variables: Hashable | Sequence[Hashable] | None = None,
        coverage: float | Sequence[float] | str | None = WIDEST,
    ) -> None:
        self.table = table
        self.y = y
        self.series = series
        self.models = models
        self.variables = variables
        self.coverage = coverage

    @classmethod
    def from_frame(
        cls,
        table: pd.DataFrame,
        *,
        y: Any = None,
        series: Hashable | Sequence[Hashable] | None = None,
        models: str | Sequence[str] | None = None,
        variables: Hashable | Sequence[Hashable] | None = None,
        coverage: float | Sequence[float] | str | None = WIDEST,
        ax: Any = None,
    ) -> "BacktestDisplay":
        """Plot the table of a backtest.

        Parameters
        ----------
        table, y, series, models, variables, coverage
            As in the constructor.
        ax : Axes or array of Axes, optional
            As in `plot`.

        Returns
        -------
        BacktestDisplay
            Plotted.

        Raises
        ------
        TypeError
            If the table is none of ``backtest``.
        ValueError
            If it has no such model, series, variable or coverage, or there are too many.
        ImportError
            If matplotlib is not installed.
        """
        return cls(table, y=y, series=series, models=models, variables=variables, coverage=coverage).plot(ax)

    @classmethod
    def from_estimator(
        cls,
        forecaster: Any,
        y: Any,
        *,
        series: Hashable | Sequence[Hashable] | None = None,
        coverage: float | Sequence[float] | str | None = WIDEST,
        ax: Any = None,
        **options: Any,
    ) -> "BacktestDisplay":
        """Backtest forecasters, and plot.

        Parameters
        ----------
        forecaster : forecaster, or dict or list of them
            As in ``backtest``.
        y : Series, DataFrame or array
            The history, with the rows to be forecast.
        series, coverage
            As in the constructor.
        ax : Axes or array of Axes, optional
            As in `plot`.
        **options : Any
            What else ``backtest`` takes: X, past, static, sample_weight, horizon, step, n_windows, refit and so on.

        Returns
        -------
        BacktestDisplay
            Plotted.

        Raises
        ------
        TypeError, ValueError
            As ``backtest`` and the constructor.
        ImportError
            If matplotlib is not installed.
        """
        return cls(backtest(forecaster, y, **options), y=y, series=series, coverage=coverage).plot(ax)

    def plot(self, ax: Any = None) -> "BacktestDisplay":
        """Draw.

        Parameters
        ----------
        ax : Axes or array of Axes, optional
            Where to draw, one pair of axes for each variable of each series. A new figure when omitted.

        Returns
        -------
        BacktestDisplay
            With `ax_` and `figure_` set.

        Raises
        ------
        TypeError
            If the table is none of ``backtest``.
        ValueError
            If it has no such model, series, variable or coverage, there are too many (more than 12 series and
            variables), or not one for each of the given axes.
        ImportError
            If matplotlib is not installed.
        """
        found = read_forecasts(self.table)
        models = chosen_models(found, self.models, most=len(COLORS))
        fans = chosen_intervals(found, models, self.coverage)
        variables = chosen_variables(found, self.variables)
        series = chosen_series(found, self.series, most=max(min(_FEW_SERIES, MOST_TRACKS // len(variables)), 1))
        shown = [(number, name) for number in series for name in variables]
        if len(shown) > MOST_TRACKS:
            raise ValueError(
                f"table: it has {len(shown)} series and variables, too many for one figure. Name {MOST_TRACKS} of them "
                "at most by series= and variables=."
            )
        axes = small_axes("BacktestDisplay", len(shown)) if ax is None else np.atleast_1d(ax).ravel()
        if len(axes) != len(shown):
            raise ValueError(
                f"ax: got {len(axes)} pairs of axes for {len(shown)} series and variables. Pass as many, or none."
            )
        for each, (number, name) in zip(axes, shown, strict=True):
            parts = {found.models[model]: rows_of(found, model, number) for model in models}
            _draw(each, parts, name, self._truth(found, number, name), fans)
            each.set_title(_title(found, number, name), loc="left", fontsize="medium", color=BLACK)
        line_legend(axes, *_handles(axes[0]), is_new=ax is None)
        self.ax_ = axes[0] if len(axes) == 1 else axes
        self.figure_ = axes[0].figure
        return self

    def _truth(self, found: Forecasts, number: int, name: Hashable) -> Line:
        """What happened to a variable of a series: of y, if it was given, else what the table holds."""
        rows = found.take(found.series == number)
        if self.y is None:
            return _truth_of(rows, name)
        column = self.y[[name]] if isinstance(self.y, pd.DataFrame) and name in self.y else self.y
        if isinstance(self.y, np.ndarray) and self.y.ndim == 2:
            column = self.y[:, found.variables.index(name)]
        (track,) = tracks(
            column, None, None, None, series=None if found.names is None else [found.names[number]], max_history=None
        )
        time, values = track.forecast.time, track.forecast.values
        first = int((time <= plain_times(rows.cutoffs).min()).sum())
        shown = slice(max(first - len(rows.times.unique()), 0), int((time <= plain_times(rows.times).max()).sum()))
        return Line(time[shown], values[shown])


def _title(found: Forecasts, number: int, name: Hashable) -> str:
    label = None if found.names is None else found.names[number]
    return label_of(label, name, named=name != 0, several=len(found.variables) > 1)


def _draw(
    ax: "Axes", parts: dict[str, Forecasts], name: Hashable, truth: Line, fans: list[list[tuple[float, float]]]
) -> None:
    several, lines, bands = len(parts) > 1, [], []
    for (model, rows), pairs, color in zip(parts.items(), fans, COLORS, strict=False):
        if rows.values[name, "forecast"].isna().all():
            continue
        clear = _apart(rows)
        shown = rows.take(clear)
        lines.append(_broken(rows, name, "forecast"))
        for place, pair in enumerate(pairs):
            alpha = (0.12 if several else 0.22) * (1 + place / len(pairs))
            bands.append(_fan(ax, shown, name, pair, color=color, alpha=alpha, model=model if several else None))
        if not clear.all():
            ax.plot(lines[-1].time, lines[-1].values, color=color, linewidth=0.6, alpha=0.3)
        line, marker = _broken(shown, name, "forecast"), "o" if shown.steps.max() <= _FEW_STEPS else ""
        style: dict[str, Any] = {"color": color, "linewidth": 1.7, "label": model if several else "forecast"}
        ax.plot(line.time, line.values, marker=marker, markersize=3, solid_capstyle="round", **style)
    rows = next(iter(parts.values()))
    ax.plot(truth.time, truth.values, color=BLACK, linewidth=1.1, label="truth", zorder=2.5)
    cutoffs = plain_times(rows.take(_apart(rows)).cutoffs.unique())
    for cutoff in cutoffs if len(cutoffs) <= _FEW_CUTOFFS else []:
        ax.axvline(cutoff, color=RULE, linewidth=0.8, zorder=0.5)
    ax.set_ylim(*_limits(truth, lines, bands))
    dress(ax, truth.time, "")


def _apart(rows: Forecasts) -> np.ndarray:
    """Rows of cut-offs whose forecasts do not overlap, counted back from the last; a mask."""
    cutoffs, times = plain_times(rows.cutoffs), plain_times(rows.times)
    starts = np.flatnonzero(rows.steps == 1)
    ends = np.maximum.reduceat(times, starts)
    kept, limit = np.zeros(len(starts), dtype=bool), None
    for place in np.argsort(cutoffs[starts], kind="stable")[::-1]:
        if limit is None or ends[place] <= limit:
            kept[place], limit = True, cutoffs[starts[place]]
    return kept[np.cumsum(rows.steps == 1) - 1]


def _fan(
    ax: "Axes",
    rows: Forecasts,
    name: Hashable,
    pair: tuple[float, float],
    *,
    color: str,
    alpha: float,
    model: str | None,
) -> Band:
    """Draw the interval between two levels."""
    low, high = (_broken(rows, name, level) for level in pair)
    band = Band(pair[1] - pair[0], low.time, low.values, high.values)
    label = f"{100 * band.coverage:g} % interval" + ("" if model is None else f", {model}")
    ax.fill_between(band.time, band.lower, band.upper, color=color, alpha=alpha, linewidth=0, label=label)
    return band


def _truth_of(rows: Forecasts, name: Hashable) -> Line:
    """What happened, each time once; broken before a cut-off that no earlier forecast reaches."""
    times, values = plain_times(rows.times), rows.values[name, "y"].to_numpy(dtype=np.float64)
    _, first = np.unique(times, return_index=True)
    order = first[np.argsort(times[first], kind="stable")]
    reached = np.isin(plain_times(rows.cutoffs), times)
    gaps = np.flatnonzero(((rows.steps == 1) & ~reached)[order][1:]) + 1
    return Line(np.insert(times[order], gaps, times[order][gaps]), np.insert(values[order], gaps, np.nan))


def _broken(rows: Forecasts, name: Hashable, value: Hashable) -> Line:
    """One line with a hole before each cut-off's forecasts."""
    times, values = plain_times(rows.times), rows.values[name, value].to_numpy(dtype=np.float64)
    starts = np.flatnonzero(rows.steps == 1)[1:]
    return Line(np.insert(times, starts, times[starts]), np.insert(values, starts, np.nan))


def _limits(truth: Line, lines: list[Line], bands: list[Band]) -> tuple[float, float]:
    every = Line(truth.time, np.concatenate([line.values for line in lines])) if lines else truth
    return Track("", every, None, truth, tuple(bands)).limits()


def _handles(ax: "Axes") -> tuple[list[Any], list[str]]:
    """Truth first, then the models, then what their fans are: once, where all have the same ones."""
    from matplotlib.patches import Patch

    handles, labels = ax.get_legend_handles_labels()
    pairs = dict(zip(labels, handles, strict=True))
    fans = [label for label in labels if " % interval" in label]
    lines = [label for label in labels if label not in (*fans, "truth")]
    order = ["truth", *lines]
    kinds = list(dict.fromkeys(label.split(", ", 1)[0] for label in fans))
    owners = {label.split(", ", 1)[-1] for label in fans}
    if len(kinds) < len(fans) == len(kinds) * len(owners):
        shaded = [Patch(color=GREY, alpha=0.25 * (1 + place / len(kinds)), linewidth=0) for place in range(len(kinds))]
        return [*(pairs[label] for label in order), *shaded], [*order, *kinds]
    return [pairs[label] for label in [*order, *fans]], [*order, *fans]
