"""A forecast beside the history it continues, with intervals and, where known, what really came."""

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tsrec.frames import panel_index
from tsrec.plotting._style import BLACK, BLUE, GREY, RULE, dress, line_legend, shares, small_axes
from tsrec.plotting._tracks import Line, Track, tracks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FAINT, _STRONG = 0.16, 0.34  # opacity of the widest and the narrowest band
_FEW_STEPS = 40  # up to so many steps, points are marked


class ForecastDisplay:
    """History, forecast, intervals and actual values, a pair of axes for each variable of each series.

    Parameters
    ----------
    history : Series, DataFrame or array, or None
        What was known: one column per variable, with a MultiIndex (series, time) a panel.
    forecast : Series, DataFrame or array
        What was predicted, in the same container.
    intervals : DataFrame, optional
        The answer of ``predict_interval``: columns (variable, coverage, "lower" or "upper").
    actual : Series, DataFrame or array, optional
        What really came, drawn beside the forecast.
    series : label or sequence of labels, optional
        Which series of a panel to show, in this order. All when omitted.
    max_history : int, optional
        How many of the last steps of each history to show. Four times the steps of the forecast, but at least 48, when
        omitted.

    Attributes
    ----------
    ax_ : Axes, or array of Axes
        What was drawn on; an array (in reading order) if there are several pairs. Set by `plot`.
    figure_ : Figure
        The figure. Set by `plot`.

    See Also
    --------
    ForecastDisplay.from_estimator : Make the forecast, and plot it.

    Examples
    --------
    >>> from tsrec.datasets import load_sunspots
    >>> from tsrec.plotting import ForecastDisplay
    >>> sunspots = load_sunspots()
    >>> display = ForecastDisplay(sunspots[:-11], sunspots[-22:-11].set_axis(sunspots.index[-11:])).plot()
    >>> display.ax_.get_title(loc="left")
    'sunspots'
    """

    ax_: Any
    figure_: "Figure"

    def __init__(
        self,
        history: Any,
        forecast: Any,
        *,
        intervals: pd.DataFrame | None = None,
        actual: Any = None,
        series: Hashable | Sequence[Hashable] | None = None,
        max_history: int | None = None,
    ) -> None:
        self.history = history
        self.forecast = forecast
        self.intervals = intervals
        self.actual = actual
        self.series = series
        self.max_history = max_history

    @classmethod
    def from_estimator(
        cls,
        forecaster: Any,
        X: Any = None,
        *,
        history: Any = None,
        actual: Any = None,
        coverage: float | Sequence[float] | None = (0.5, 0.9),
        series: Hashable | Sequence[Hashable] | None = None,
        max_history: int | None = None,
        ax: Any = None,
    ) -> "ForecastDisplay":
        """Forecast, and plot the forecast.

        Parameters
        ----------
        forecaster : fitted forecaster
            With ``predict(X)`` and, for intervals, ``predict_interval(X, coverage)``.
        X : int, Index, DataFrame or array, optional
            What to forecast, as in the forecaster's ``predict``.
        history : Series, DataFrame or array, optional
            Forecast (and show) the continuation of this history instead of that which the forecaster was fitted on.
        actual : Series, DataFrame or array, optional
            What really came.
        coverage : float, sequence of float or None, default (0.5, 0.9)
            Nominal coverage of the intervals, between 0 and 1. None for no intervals.
        series : label or sequence of labels, optional
            Which series of a panel to show. All when omitted.
        max_history : int, optional
            How many of the last steps of each history to show, as in the constructor.
        ax : Axes or array of Axes, optional
            As in `plot`.

        Returns
        -------
        ForecastDisplay
            Plotted.

        Raises
        ------
        TypeError
            If intervals are asked for and the forecaster makes none.
        ValueError
            If a coverage is no number between 0 and 1, or as `plot`.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> import numpy as np
        >>> from tsrec.plotting import ForecastDisplay
        >>> class Last:
        ...     def predict(self, X, history=None):
        ...         return np.full(X, history[-1])
        >>> display = ForecastDisplay.from_estimator(Last(), 5, history=np.arange(20.0), coverage=None)
        """
        asked = None if coverage is None else shares(coverage)
        if asked is not None and not hasattr(forecaster, "predict_interval"):
            raise TypeError(
                f"coverage: {type(forecaster).__name__} has no predict_interval(), so it makes no intervals. Pass "
                "coverage=None."
            )
        other = {} if history is None else {"history": history}
        return cls(
            fitted_history(forecaster) if history is None else history,
            forecaster.predict(X, **other),
            intervals=None if asked is None else forecaster.predict_interval(X, asked, **other),
            actual=actual,
            series=series,
            max_history=max_history,
        ).plot(ax)

    def plot(self, ax: Any = None) -> "ForecastDisplay":
        """Draw.

        Parameters
        ----------
        ax : Axes or array of Axes, optional
            Where to draw, one pair of axes for each variable of each series. A new figure when omitted.

        Returns
        -------
        ForecastDisplay
            With `ax_` and `figure_` set.

        Raises
        ------
        ValueError
            If history, intervals or actual have other levels, another kind of time, or not the series and variables of
            the forecast, there are too many series and variables (more than 12), or not one for each of the given axes.
        ImportError
            If matplotlib is not installed.
        """
        shown = tracks(
            self.forecast, self.history, self.actual, self.intervals, series=self.series, max_history=self.max_history
        )
        axes = (
            small_axes("ForecastDisplay", len(shown))
            if ax is None
            else np.atleast_1d(np.asarray(ax, dtype=object)).ravel()
        )
        if len(axes) != len(shown):
            raise ValueError(
                f"ax: got {len(axes)} pairs of axes for {len(shown)} series and variables. Pass as many, or none."
            )
        for each, track in zip(axes, shown, strict=True):
            _draw(each, track)
        forecast_legend(axes, is_new=ax is None)
        self.ax_ = axes[0] if len(axes) == 1 else axes
        self.figure_ = axes[0].figure
        return self


def fitted_history(forecaster: Any) -> pd.DataFrame | None:
    """The history that a forecaster of this package was fitted on, or has been updated with; None from others."""
    panel = getattr(forecaster, "panel_", None)
    if panel is None:
        return None
    owners = np.repeat(np.arange(panel.n_series), panel.lengths)
    index = panel_index(panel.ids, panel.grid, owners, panel.ordinals())
    return pd.DataFrame(panel.values, index=index, columns=panel.columns)


def _draw(ax: "Axes", track: Track) -> None:
    for i, band in enumerate(track.bands):
        share = i / max(len(track.bands) - 1, 1)
        ax.fill_between(
            band.time,
            band.lower,
            band.upper,
            color=BLUE,
            alpha=_FAINT + share * (_STRONG - _FAINT) if len(track.bands) > 1 else (_FAINT + _STRONG) / 2,
            linewidth=0,
            label=f"{100 * band.coverage:g} % interval",
        )
    if track.history is not None:
        _draw_line(ax, track.history, color=GREY, label="history", width=1.2)
        ax.axvline(track.history.time[-1], color=RULE, linewidth=1, zorder=0.5)
    if track.actual is not None:
        _draw_line(ax, track.joined_actual(), color=BLACK, label="actual", width=1.2)
    _draw_line(ax, track.forecast, color=BLUE, label="forecast", width=2.0)
    ax.set_ylim(*track.limits())
    dress(ax, track.forecast.time, track.title)


def _draw_line(ax: "Axes", line: Line, *, color: str, label: str, width: float) -> None:
    ax.plot(
        line.time,
        line.values,
        color=color,
        linewidth=width,
        label=label,
        solid_capstyle="round",
        marker="o" if len(line.values) <= _FEW_STEPS else "",
        markersize=1.5 + width,
    )


def forecast_legend(axes: np.ndarray, *, is_new: bool) -> None:
    """One legend for all axes, intervals last."""
    handles, labels = axes[0].get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda i: (labels[i].endswith("interval"), i))
    line_legend(axes, [handles[i] for i in order], [labels[i] for i in order], is_new=is_new)
