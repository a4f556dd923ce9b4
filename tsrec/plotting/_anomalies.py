"""Anomalies in the rows they were found in, beside what was expected."""

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tsrec.plotting._forecast import forecast_legend
from tsrec.plotting._style import BLACK, BLUE, dress, shares, small_axes
from tsrec.plotting._tracks import Track, plain_times, shown_series, tracks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_RED, _TRUE = "#d3232f", "#f5b83d"
_BAND, _SPAN = 0.22, 0.25


class AnomalyDisplay:
    """Rows, what was expected of them, and the anomalies, a pair of axes for each variable of each series.

    Parameters
    ----------
    observed : Series, DataFrame or array
        The rows that were judged: one column per variable, with a MultiIndex (series, time) a panel.
    expected : DataFrame
        The answer of ``AnomalyDetector.expected``: columns (variable, "expected", "lower" or "upper").
    anomalies : DataFrame
        The answer of ``AnomalyDetector.detect``: columns start and end (excluded), and series.
    truth : DataFrame, optional
        The true anomalies, in the same form.
    series : label or sequence of labels, optional
        Which series of a panel to show, in this order. All when omitted.

    Attributes
    ----------
    ax_ : Axes, or array of Axes
        What was drawn on; an array (in reading order) if there are several pairs. Set by `plot`.
    figure_ : Figure
        The figure. Set by `plot`.

    See Also
    --------
    AnomalyDisplay.from_estimator : Detect, and plot what was found.

    Examples
    --------
    >>> import numpy as np
    >>> from tsrec import AnomalyDetector
    >>> from tsrec.plotting import AnomalyDisplay
    >>> x = pd.Series(np.random.default_rng(0).normal(size=900), name="x")
    >>> x[800:803] += 30
    >>> detector = AnomalyDetector(horizon=9, memory=None, risk=1e-5).fit(x[:600])
    >>> display = AnomalyDisplay.from_estimator(detector, x)
    >>> display.anomalies[["start", "end"]].values.tolist()
    [[800, 803]]
    """

    ax_: Any
    figure_: "Figure"

    def __init__(
        self,
        observed: Any,
        expected: pd.DataFrame,
        anomalies: pd.DataFrame,
        *,
        truth: pd.DataFrame | None = None,
        series: Hashable | Sequence[Hashable] | None = None,
    ) -> None:
        self.observed = observed
        self.expected = expected
        self.anomalies = anomalies
        self.truth = truth
        self.series = series

    @classmethod
    def from_estimator(
        cls,
        detector: Any,
        X: Any,
        *,
        coverage: float = 0.99,
        gap: int = 0,
        truth: pd.DataFrame | None = None,
        series: Hashable | Sequence[Hashable] | None = None,
        ax: Any = None,
    ) -> "AnomalyDisplay":
        """Detect anomalies, and plot them.

        Parameters
        ----------
        detector : fitted AnomalyDetector
            Or other object with ``expected(X, coverage)`` and ``detect(X, gap=)``.
        X : Series, DataFrame or array
            The rows to judge.
        coverage : float
            Share of values that the band should hold, between 0 and 1.
        gap : int
            As in ``AnomalyDetector.detect``.
        truth : DataFrame, optional
            The true anomalies: columns start and end (excluded), and series.
        series : label or sequence of labels, optional
            Which series of a panel to show. All when omitted.
        ax : Axes or array of Axes, optional
            As in `plot`.

        Returns
        -------
        AnomalyDisplay
            Plotted.

        Raises
        ------
        ValueError
            If the coverage is no number between 0 and 1, or as `plot`.
        ImportError
            If matplotlib is not installed.
        """
        (share,) = shares(coverage, single=True)
        if isinstance(X, pd.DataFrame | pd.Series):
            shown_series(X, series)  # to judge all rows takes long, so that what cannot be shown is refused before
        return cls(X, detector.expected(X, share), detector.detect(X, gap=gap), truth=truth, series=series).plot(ax)

    def plot(self, ax: Any = None) -> "AnomalyDisplay":
        """Draw.

        Parameters
        ----------
        ax : Axes or array of Axes, optional
            Where to draw, one pair of axes for each variable of each series. A new figure when omitted.

        Returns
        -------
        AnomalyDisplay
            With `ax_` and `figure_` set.

        Raises
        ------
        TypeError
            If anomalies or truth are no frame with start and end.
        ValueError
            If there are too many series and variables (more than 12), or not one for each of the given axes.
        ImportError
            If matplotlib is not installed.
        """
        found = _checked(self.anomalies, "anomalies")
        true = None if self.truth is None else _checked(self.truth, "truth")
        bounds = _as_interval(self.expected)
        middle = self.expected.xs("expected", axis=1, level=1)
        shown = tracks(middle, None, _like(self.observed, middle), bounds, series=self.series, max_history=None)
        owners = _owners(middle, self.series)
        axes = (
            small_axes("AnomalyDisplay", len(shown))
            if ax is None
            else np.atleast_1d(np.asarray(ax, dtype=object)).ravel()
        )
        if len(axes) != len(shown):
            raise ValueError(
                f"ax: got {len(axes)} pairs of axes for {len(shown)} series and variables. Pass as many, or none."
            )
        for each, track, owner in zip(axes, shown, np.repeat(owners, len(shown) // len(owners)), strict=True):
            _draw(each, track, _spans(found, owner), None if true is None else _spans(true, owner))
        forecast_legend(axes, is_new=ax is None)
        self.ax_ = axes[0] if len(axes) == 1 else axes
        self.figure_ = axes[0].figure
        return self


def _checked(table: Any, where: str) -> pd.DataFrame:
    if not isinstance(table, pd.DataFrame) or not {"start", "end"} <= set(table.columns):
        raise TypeError(
            f"{where}: found {type(table).__name__}. Give a frame with the columns start and end, and series if there "
            "are several."
        )
    return table


def _as_interval(expected: Any) -> pd.DataFrame:
    """The bounds with columns (variable, coverage, lower | upper), as those of forecasts; the coverage is not known."""
    if not isinstance(expected, pd.DataFrame) or expected.columns.nlevels != 2:
        raise TypeError("expected: give the frame that AnomalyDetector.expected returns.")
    bounds = expected.drop(columns="expected", level=1)
    names = [(variable, 1.0, bound) for variable, bound in bounds.columns]
    return bounds.set_axis(pd.MultiIndex.from_tuples(names), axis=1)


def _like(observed: Any, expected: pd.DataFrame) -> pd.DataFrame:
    """The observed rows on the index and columns of the expected ones."""
    values = observed.to_numpy(np.float64, na_value=np.nan) if hasattr(observed, "iloc") else np.asarray(observed)
    return pd.DataFrame(values.reshape(len(expected), -1), expected.index, expected.columns)


def _owners(frame: pd.DataFrame, series: Hashable | Sequence[Hashable] | None) -> np.ndarray:
    """The series of each group of tracks, in a one-dimensional array of objects."""
    names = shown_series(frame, series)
    owners = np.empty(len(names), dtype=object)
    owners[:] = names
    return owners


def _spans(table: pd.DataFrame, owner: Hashable) -> list[tuple[Any, Any]]:
    """Start and end of the intervals of a series."""
    if owner is not None and "series" in table:
        table = table[np.array([name == owner for name in table["series"]], dtype=bool)]
    start, end = (plain_times(pd.Index(table[column])) for column in ("start", "end"))
    return list(zip(start, end, strict=True))


def _draw(ax: "Axes", track: Track, found: list[tuple[Any, Any]], true: list[tuple[Any, Any]] | None) -> None:
    assert track.actual is not None
    time, values = track.actual.time, track.actual.values
    for i, (start, end) in enumerate(true or []):
        ax.axvspan(start, end, color=_TRUE, alpha=_SPAN, linewidth=0, label=None if i else "labelled")
    for band in track.bands:
        ax.fill_between(band.time, band.lower, band.upper, color=BLUE, alpha=_BAND, linewidth=0, label="interval")
    ax.plot(track.forecast.time, track.forecast.values, color=BLUE, linewidth=0.9, label="expected")
    ax.plot(time, values, color=BLACK, linewidth=1.0, label="observed")
    inside = np.zeros(len(time), dtype=bool)
    for start, end in found:
        inside |= (time >= start) & (time < end)
    ax.plot(time[inside], values[inside], linestyle="", marker="o", markersize=3.5, color=_RED, label="anomaly")
    ax.set_ylim(*track.limits())
    dress(ax, time, track.title)
