"""How often the truth lay below each quantile, against how often it should."""

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tsrec.model_selection import backtest
from tsrec.model_selection.tables import read_forecasts
from tsrec.plotting._chosen import central, chosen_models, chosen_variables, rows_of
from tsrec.plotting._style import BLACK, COLORS, GREY, LEGEND, plain, single_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class CalibrationDisplay:
    """Observed share of the truth at or below each quantile of a backtest, against its level, a line per model.

    On the diagonal a forecast is calibrated; a line that is flatter tells of intervals that are too narrow. The legend
    says how much the widest interval of each model holds.

    Parameters
    ----------
    table : DataFrame
        What ``backtest`` gave. Values of all series and variables count alike.
    models : str or sequence of str, optional
        Which models to show, at most eight. All when omitted.
    variables : label or sequence of labels, optional
        Which variables count. All when omitted.

    Attributes
    ----------
    shares_ : DataFrame of shape (n_levels, n_models)
        Observed shares by level and model, NaN where a model has not that level. Set by `plot`.
    ax_ : Axes
        What was drawn on. Set by `plot`.
    figure_ : Figure
        The figure. Set by `plot`.

    See Also
    --------
    CalibrationDisplay.from_estimator : Backtest forecasters, and plot.

    Examples
    --------
    >>> from tsrec import ThetaForecaster
    >>> from tsrec.datasets import load_sunspots
    >>> from tsrec.plotting import CalibrationDisplay
    >>> forecaster = ThetaForecaster(horizon=3, quantiles=(0.1, 0.5, 0.9))
    >>> display = CalibrationDisplay.from_estimator(forecaster, load_sunspots(), n_windows=20)
    >>> display.shares_.index.tolist()
    [0.1, 0.5, 0.9]
    """

    shares_: pd.DataFrame
    ax_: "Axes"
    figure_: "Figure"

    def __init__(
        self,
        table: pd.DataFrame,
        *,
        models: str | Sequence[str] | None = None,
        variables: Hashable | Sequence[Hashable] | None = None,
    ) -> None:
        self.table = table
        self.models = models
        self.variables = variables

    @classmethod
    def from_frame(
        cls,
        table: pd.DataFrame,
        *,
        models: str | Sequence[str] | None = None,
        variables: Hashable | Sequence[Hashable] | None = None,
        ax: Any = None,
    ) -> "CalibrationDisplay":
        """Plot the table of a backtest.

        Parameters
        ----------
        table, models, variables
            As in the constructor.
        ax : Axes, optional
            What to draw on; a new figure when omitted.

        Returns
        -------
        CalibrationDisplay
            Plotted.

        Raises
        ------
        TypeError
            If the table is none of ``backtest``.
        ValueError
            If it has no quantiles, or no model or variable of that name.
        ImportError
            If matplotlib is not installed.
        """
        return cls(table, models=models, variables=variables).plot(ax)

    @classmethod
    def from_estimator(
        cls,
        forecaster: Any,
        y: Any,
        *,
        ax: Any = None,
        **options: Any,
    ) -> "CalibrationDisplay":
        """Backtest forecasters, and plot.

        Parameters
        ----------
        forecaster : forecaster, or dict or list of them
            As in ``backtest``.
        y : Series, DataFrame or array
            The history, with the rows to be forecast.
        ax : Axes, optional
            What to draw on; a new figure when omitted.
        **options : Any
            What else ``backtest`` takes: X, past, static, sample_weight, horizon, step, n_windows, refit and so on.

        Returns
        -------
        CalibrationDisplay
            Plotted.

        Raises
        ------
        TypeError, ValueError
            As ``backtest``.
        ImportError
            If matplotlib is not installed.
        """
        return cls(backtest(forecaster, y, **options)).plot(ax)

    def plot(self, ax: Any = None) -> "CalibrationDisplay":
        """Draw.

        Parameters
        ----------
        ax : Axes, optional
            What to draw on; a new figure when omitted.

        Returns
        -------
        CalibrationDisplay
            With `shares_`, `ax_` and `figure_` set.

        Raises
        ------
        TypeError
            If the table is none of ``backtest``.
        ValueError
            If it has no quantiles, or no model or variable of that name.
        ImportError
            If matplotlib is not installed.
        """
        found = read_forecasts(self.table)
        variables = chosen_variables(found, self.variables)
        models = chosen_models(found, self.models, most=len(COLORS))
        shares, labels = {}, []
        for number in models:
            rows = rows_of(found, number)
            levels, name = rows.levels(), found.models[number]
            if not len(levels):
                raise ValueError(f"table: model {name!r} has no quantiles, so there is nothing to calibrate.")
            shares[name] = pd.Series({level: _share_below(rows.values, variables, level) for level in levels})
            labels.append(_label(name, rows.values, variables, next(iter(central(levels).values()), None)))
        self.shares_ = pd.DataFrame(shares).sort_index().rename_axis(index="level")
        self.figure_, self.ax_ = single_axes(ax, "CalibrationDisplay", (5.2, 5.4))
        self.ax_.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=(0, (4, 3)), label="calibrated", zorder=1)
        for (_, line), label, color in zip(self.shares_.items(), labels, COLORS, strict=False):
            line = line.dropna()
            self.ax_.plot(line.index, line, color=color, label=label, marker="o", markersize=4, linewidth=1.8)
        _dress(self.ax_, is_new=ax is None)
        return self


def _share_below(values: pd.DataFrame, variables: list[Any], level: float) -> float:
    """Share of the observed values at or below a quantile."""
    truth, quantile = (values.xs(name, axis=1, level=1)[variables].to_numpy() for name in ("y", level))
    seen = ~np.isnan(truth) & ~np.isnan(quantile)
    return float((truth <= quantile)[seen].mean()) if seen.any() else np.nan


def _label(name: str, values: pd.DataFrame, variables: list[Any], pair: tuple[float, float] | None) -> str:
    """The name of a model, and what its widest interval holds, if there is anything that it could hold."""
    if pair is None:
        return name
    truth, low, high = (values.xs(one, axis=1, level=1)[variables].to_numpy() for one in ("y", *pair))
    seen = ~np.isnan(truth) & ~np.isnan(low)
    if not seen.any():
        return name
    share = ((low <= truth) & (truth <= high))[seen].mean()
    return f"{name}: its {100 * (pair[1] - pair[0]):g} % interval holds {100 * share:.1f} %"


def _dress(ax: "Axes", *, is_new: bool) -> None:
    ticks = np.linspace(0, 1, 6)
    ax.set(xlim=(0, 1), ylim=(0, 1), xticks=ticks, yticks=ticks)
    ax.set_aspect("equal")
    ax.set_xlabel("level of the quantile", fontsize="small", color=BLACK)
    ax.set_ylabel("share of the truth at or below it", fontsize="small", color=BLACK)
    plain(ax)
    if is_new:
        ax.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), **LEGEND)
    else:
        ax.legend(loc="upper left", **LEGEND)
