"""What the errors of a backtest look like: over time, their distribution, their memory, their growth."""

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tsrec.model_selection import backtest
from tsrec.model_selection.tables import Forecasts, grid_places, read_forecasts
from tsrec.plotting._chosen import chosen_one, chosen_series, rows_of
from tsrec.plotting._style import BLACK, BLUE, COLORS, GREY, LEGEND, RULE, dress, plain, pyplot
from tsrec.plotting._tracks import plain_times

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_POINTS = 4000
_MOST_LAGS = 40


class ResidualsDisplay:
    """Errors (truth minus forecast) of one model in four pictures.

    Over time, with the mean of each cut-off; their histogram, with the normal curve of equal mean and spread; their
    autocorrelation, with the bounds that 95 % of those of independent errors lie in; and their size by the step ahead.

    Parameters
    ----------
    table : DataFrame
        What ``backtest`` gave.
    model : str or list of one, optional
        Which of several models; the first when omitted.
    variable : label or list of one, optional
        Which of several variables; the first when omitted.
    series : label or sequence of labels, optional
        Which series of a panel count. All when omitted. Errors of several are divided by the root mean square of those
        of their series, so that all count alike.

    Attributes
    ----------
    residuals_ : DataFrame
        Columns "step" (steps ahead) and "residual" of all errors shown, with the index of the table. Set by `plot`.
    ax_ : array of Axes of shape (2, 2)
        What was drawn on. Set by `plot`.
    figure_ : Figure
        The figure. Set by `plot`.

    See Also
    --------
    ResidualsDisplay.from_estimator : Backtest a forecaster, and plot.

    Notes
    -----
    The autocorrelation is that of the errors made at the fewest steps ahead, one for each time. Errors of one cut-off
    share what came after it: that those less than a horizon apart are alike is no fault of a model.

    Examples
    --------
    >>> from tsrec import ThetaForecaster
    >>> from tsrec.datasets import load_sunspots
    >>> from tsrec.plotting import ResidualsDisplay
    >>> display = ResidualsDisplay.from_estimator(ThetaForecaster(horizon=3), load_sunspots(), n_windows=20, step=1)
    >>> [ax.get_title(loc="left") for ax in display.ax_.ravel()]
    ['over time', 'distribution', 'autocorrelation', 'by step ahead']
    """

    residuals_: pd.DataFrame
    ax_: np.ndarray
    figure_: "Figure"

    def __init__(
        self,
        table: pd.DataFrame,
        *,
        model: str | Sequence[str] | None = None,
        variable: Hashable | Sequence[Hashable] = None,
        series: Hashable | Sequence[Hashable] | None = None,
    ) -> None:
        self.table = table
        self.model = model
        self.variable = variable
        self.series = series

    @classmethod
    def from_frame(
        cls,
        table: pd.DataFrame,
        *,
        model: str | Sequence[str] | None = None,
        variable: Hashable | Sequence[Hashable] = None,
        series: Hashable | Sequence[Hashable] | None = None,
        ax: Any = None,
    ) -> "ResidualsDisplay":
        """Plot the table of a backtest.

        Parameters
        ----------
        table, model, variable, series
            As in the constructor.
        ax : array of four Axes, optional
            What to draw on; a new figure when omitted.

        Returns
        -------
        ResidualsDisplay
            Plotted.

        Raises
        ------
        TypeError
            If the table is none of ``backtest``.
        ValueError
            If it has no such model, variable or series, or no observed value.
        ImportError
            If matplotlib is not installed.
        """
        return cls(table, model=model, variable=variable, series=series).plot(ax)

    @classmethod
    def from_estimator(
        cls,
        forecaster: Any,
        y: Any,
        *,
        ax: Any = None,
        **options: Any,
    ) -> "ResidualsDisplay":
        """Backtest a forecaster, and plot.

        Parameters
        ----------
        forecaster : forecaster
            As in ``backtest``.
        y : Series, DataFrame or array
            The history, with the rows to be forecast.
        ax : array of four Axes, optional
            What to draw on; a new figure when omitted.
        **options : Any
            What else ``backtest`` takes: X, past, static, sample_weight, horizon, step, n_windows, refit and so on.

        Returns
        -------
        ResidualsDisplay
            Plotted.

        Raises
        ------
        TypeError, ValueError
            As ``backtest``.
        ImportError
            If matplotlib is not installed.
        """
        return cls(backtest(forecaster, y, **options)).plot(ax)

    def plot(self, ax: Any = None) -> "ResidualsDisplay":
        """Draw.

        Parameters
        ----------
        ax : array of four Axes, optional
            What to draw on; a new figure when omitted.

        Returns
        -------
        ResidualsDisplay
            With `residuals_`, `ax_` and `figure_` set.

        Raises
        ------
        TypeError
            If the table is none of ``backtest``.
        ValueError
            If it has no such model, variable or series, no observed value, or there are not four axes.
        ImportError
            If matplotlib is not installed.
        """
        found, errors, unit = self._errors()
        if ax is None:
            _, ax = pyplot("ResidualsDisplay").subplots(2, 2, figsize=(9.5, 6.0), layout="constrained")
        axes = np.asarray(ax, dtype=object)
        if axes.size != 4:
            raise ValueError(f"ax: got {axes.size} pairs of axes. Pass four, or none.")
        self.residuals_ = pd.DataFrame({"step": found.steps, "residual": errors}, index=found.values.index)
        over_time, distribution, memory, growth = axes.ravel()
        _over_time(over_time, found, errors, unit)
        _distribution(distribution, errors, unit)
        _autocorrelation(memory, found, errors)
        _by_step(growth, found.steps, errors)
        self.ax_ = axes
        self.figure_ = over_time.figure
        return self

    def _errors(self) -> tuple[Forecasts, np.ndarray, str]:
        """The rows with an observed value, their errors, and the unit of these."""
        found = read_forecasts(self.table)
        model = found.models.index(chosen_one(found.models, self.model, "model"))
        name = chosen_one(found.variables, self.variable, "variable")
        rows = rows_of(found, model, chosen_series(found, self.series))
        errors = (rows.values[name, "y"] - rows.values[name, "forecast"]).to_numpy()
        seen = ~np.isnan(errors)
        if not seen.any():
            raise ValueError("table: no value of what is shown was observed. Choose another model, variable or series.")
        rows, errors = rows.take(seen), errors[seen]
        if len(np.unique(rows.series)) == 1:
            return rows, errors, "truth − forecast"
        size = np.sqrt(np.bincount(rows.series, errors**2) / np.maximum(np.bincount(rows.series), 1))[rows.series]
        return rows, errors / np.where(size > 0, size, 1.0), "(truth − forecast) / RMSE of the series"


def _over_time(ax: "Axes", found: Forecasts, errors: np.ndarray, unit: str) -> None:
    times = plain_times(found.times)
    thin = max(-(-len(errors) // _MOST_POINTS), 1)
    alpha = float(np.clip(6 / np.sqrt(len(errors)), 0.15, 0.7))
    ax.axhline(0, color=GREY, linewidth=1, zorder=0.5)
    ax.scatter(times[::thin], errors[::thin], s=9, color=BLUE, alpha=alpha, linewidth=0)
    means = pd.Series(errors).groupby(found.cutoffs).mean()
    marks: dict[str, Any] = {"color": COLORS[1], "linewidth": 1.4, "marker": "o", "markersize": 3.5}
    ax.plot(plain_times(means.index), means, label="mean of a cut-off, at its time", **marks)
    dress(ax, times, "over time")
    ax.set_ylabel(unit, fontsize="small", color=BLACK)
    ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.2, **LEGEND)


def _distribution(ax: "Axes", errors: np.ndarray, unit: str) -> None:
    mean, spread = float(errors.mean()), float(errors.std())
    if spread > 0:
        # A single huge error would leave one bar of all others.
        low, high = np.clip([errors.min(), errors.max()], mean - 6 * spread, mean + 6 * spread)
        bins = int(np.clip(np.sqrt(len(errors)) * 1.5, 8, 60))
        ax.hist(np.clip(errors, low, high), bins=bins, density=True, color=BLUE, alpha=0.35, linewidth=0)
        grid = np.linspace(mean - 4 * spread, mean + 4 * spread, 200)
        curve = np.exp(-0.5 * ((grid - mean) / spread) ** 2) / (spread * np.sqrt(2 * np.pi))
        label = f"normal, mean {mean:.3g}, spread {spread:.3g}"
        ax.plot(grid, curve, color=BLACK, linewidth=1.4, label=label)
        ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.2, **LEGEND)
    ax.axvline(0, color=GREY, linewidth=1, zorder=0.5)
    plain(ax)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.set_title("distribution", loc="left", fontsize="medium", color=BLACK)
    ax.set_xlabel(unit, fontsize="small", color=BLACK)


def _autocorrelation(ax: "Axes", found: Forecasts, errors: np.ndarray) -> None:
    lags, found_at, bounds = autocorrelation(found, errors)
    ax.axhline(0, color=GREY, linewidth=1, zorder=0.5)
    ax.fill_between(lags, -bounds, bounds, color=RULE, alpha=0.55, linewidth=0, label="95 % of independent errors")
    ax.vlines(lags, 0, found_at, color=BLUE, linewidth=2.2)
    ax.plot(lags, found_at, "o", color=BLUE, markersize=4)
    reach = 1.15 * np.nanmax(np.abs([*found_at, *bounds]), initial=0.35)
    ax.set_ylim(-reach, reach)
    plain(ax)
    _whole_numbers(ax)
    ax.set_title("autocorrelation", loc="left", fontsize="medium", color=BLACK)
    ax.set_xlabel("steps apart", fontsize="small", color=BLACK)
    ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.2, **LEGEND)


def autocorrelation(found: Forecasts, errors: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lags from 1, the autocorrelation of the errors at the fewest steps ahead, and 1.96 / sqrt(number of pairs).

    Over the pairs of all series: their mean product, relative to the mean square; NaN where there is no pair.
    """
    index = pd.MultiIndex.from_arrays([found.series, found.times])
    places, series = grid_places(index, "table")
    places = places - places.min()
    order = np.argsort(-found.steps, kind="stable")
    line = np.full((int(series.max()) + 1, int(places.max()) + 1), np.nan)
    # The later a row is written, the fewer steps ahead it was forecast.
    line[series[order], places[order]] = errors[order]
    line -= np.nanmean(line)
    lags = np.arange(1, max(min(_MOST_LAGS, line.shape[1] // 2), 1) + 1)
    square, correlation, bounds = np.nanmean(line**2), np.full(len(lags), np.nan), np.full(len(lags), np.nan)
    for place, lag in enumerate(lags):
        products = line[:, lag:] * line[:, :-lag] if lag < line.shape[1] else line[:, :0]
        pairs = int((~np.isnan(products)).sum())
        if pairs and square > 0:
            correlation[place], bounds[place] = np.nanmean(products) / square, min(1.96 / np.sqrt(pairs), 1.0)
    return lags, correlation, bounds


def _by_step(ax: "Axes", steps: np.ndarray, errors: np.ndarray) -> None:
    groups = pd.Series(errors).groupby(steps)
    ahead = np.array(sorted(groups.groups))
    lines = {
        "RMSE": np.sqrt((pd.Series(errors**2)).groupby(steps).mean()),
        "MAE": pd.Series(np.abs(errors)).groupby(steps).mean(),
        "mean error": groups.mean(),
    }
    for (label, line), color in zip(lines.items(), (BLUE, COLORS[1], GREY), strict=True):
        marker = "o" if len(ahead) <= 40 else ""
        ax.plot(ahead, line, color=color, label=label, linewidth=1.6, marker=marker, markersize=3.5)
    ax.axhline(0, color=GREY, linewidth=1, zorder=0.5)
    plain(ax)
    _whole_numbers(ax)
    ax.set_title("by step ahead", loc="left", fontsize="medium", color=BLACK)
    ax.set_xlabel("steps ahead", fontsize="small", color=BLACK)
    ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.2, ncols=3, **LEGEND)


def _whole_numbers(ax: "Axes") -> None:
    """Steps are counted."""
    from matplotlib import ticker

    ax.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
