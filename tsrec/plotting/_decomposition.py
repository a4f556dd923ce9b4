"""A series, or a forecast, and the components it was taken apart into, below each other."""

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tsrec.plotting._forecast import fitted_history
from tsrec.plotting._style import BLACK, BLUE, GREY, RULE, dress, named, pyplot
from tsrec.plotting._tracks import Line, plain_times, tracks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_VARIABLES = 4
_LEAST_HISTORY = 12


class DecompositionDisplay:
    """The series and its components, a row each; a column for each variable.

    Parameters
    ----------
    components : DataFrame
        What a decomposer's ``transform`` gave, or ``predict_components`` of a forecaster: columns (variable,
        component); of a panel, the rows of one series count.
    variables : label or sequence of labels, optional
        Which to show, at most four. All when omitted.
    series : label, optional
        Which series of a panel to show; the first when omitted.
    history : Series, DataFrame or array, optional
        What came before the components, if they are those of a forecast: shown beside their sum.
    max_history : int, optional
        How many of the last steps of the history to show; as many as the components have, at least 12, when omitted.

    Attributes
    ----------
    axes_ : array of Axes of shape (n_components + 1, n_variables)
        What was drawn on. Set by `plot`.
    figure_ : Figure
        The figure. Set by `plot`.

    See Also
    --------
    DecompositionDisplay.from_estimator : Take apart, and plot.
    DecompositionDisplay.from_forecaster : Forecast, and plot the parts of the forecast.

    Examples
    --------
    >>> from tsrec import STL
    >>> from tsrec.datasets import load_co2
    >>> from tsrec.plotting import DecompositionDisplay
    >>> display = DecompositionDisplay.from_estimator(STL(), load_co2())
    >>> [ax.get_title(loc="left") for ax in display.axes_[:, 0]]
    ['co2', 'trend', 'seasonal', 'resid']
    """

    axes_: np.ndarray
    figure_: "Figure"

    def __init__(
        self,
        components: pd.DataFrame,
        *,
        variables: Hashable | Sequence[Hashable] | None = None,
        series: Hashable = None,
        history: Any = None,
        max_history: int | None = None,
    ) -> None:
        self.components = components
        self.variables = variables
        self.series = series
        self.history = history
        self.max_history = max_history

    @classmethod
    def from_estimator(
        cls,
        decomposer: Any,
        X: Any,
        *,
        variables: Hashable | Sequence[Hashable] | None = None,
        series: Hashable = None,
    ) -> "DecompositionDisplay":
        """Take series apart, and plot the components.

        Parameters
        ----------
        decomposer : decomposer
            Fitted to X on the way if it is not.
        X : Series, DataFrame, list or dict
            A recording, a panel or a collection.
        variables, series
            As in the constructor.

        Returns
        -------
        DecompositionDisplay
            Plotted.

        Raises
        ------
        ValueError
            If there are too many variables, or there is no such series.
        ImportError
            If matplotlib is not installed.
        """
        fitted = decomposer.__sklearn_is_fitted__()
        components = decomposer.transform(X) if fitted else decomposer.fit_transform(X)
        return cls(components, variables=variables, series=series).plot()

    @classmethod
    def from_forecaster(
        cls,
        forecaster: Any,
        X: Any = None,
        *,
        history: Any = None,
        variables: Hashable | Sequence[Hashable] | None = None,
        series: Hashable = None,
        max_history: int | None = None,
    ) -> "DecompositionDisplay":
        """Forecast, and plot the parts that the forecast is the sum of, beside the history.

        Parameters
        ----------
        forecaster : fitted forecaster
            With ``predict_components``.
        X : int, Index, DataFrame or array, optional
            What to forecast, as in the forecaster's ``predict``.
        history : Series, DataFrame or array, optional
            Forecast the continuation of this history instead of that which the forecaster was fitted on.
        variables, series, max_history
            As in the constructor.

        Returns
        -------
        DecompositionDisplay
            Plotted.

        Raises
        ------
        TypeError
            If the forecaster has no components.
        ValueError
            If there are too many variables, or there is no such series.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> from tsrec import DecompositionForecaster
        >>> from tsrec.datasets import load_co2
        >>> from tsrec.plotting import DecompositionDisplay
        >>> display = DecompositionDisplay.from_forecaster(DecompositionForecaster(horizon=26).fit(load_co2()[-300:]))
        >>> [ax.get_title(loc="left") for ax in display.axes_[:, 0]]
        ['co2', 'seasonal', 'rest']
        """
        if not hasattr(forecaster, "predict_components"):
            raise TypeError(
                f"forecaster: {type(forecaster).__name__} has no predict_components(), so its forecasts have no parts. "
                "Use ForecastDisplay."
            )
        other = {} if history is None else {"history": history}
        return cls(
            forecaster.predict_components(X, **other),
            variables=variables,
            series=series,
            history=fitted_history(forecaster) if history is None else history,
            max_history=max_history,
        ).plot()

    def plot(self) -> "DecompositionDisplay":
        """Draw on a new figure.

        Returns
        -------
        DecompositionDisplay
            With `axes_` and `figure_` set.

        Raises
        ------
        TypeError
            If the components are no frame with columns (variable, component).
        ValueError
            If there are too many variables, or there is no such series.
        ImportError
            If matplotlib is not installed.
        """
        table, name = self._rows()
        variables = list(table.columns.unique(0)) if self.variables is None else named(self.variables)
        absent = [one for one in variables if one not in table.columns.unique(0)]
        if absent or not 0 < len(variables) <= _MOST_VARIABLES:
            what = f"{absent[0]!r} is none of the variables" if absent else f"found {len(variables)}"
            raise ValueError(f"variables: {what}. Name 1 to {_MOST_VARIABLES} of {list(table.columns.unique(0))}.")
        names = list(_parts_of(table, variables[0]).columns)
        self.figure_, self.axes_ = pyplot("DecompositionDisplay").subplots(
            len(names) + 1,
            len(variables),
            figsize=(max(9.0, 6.0 * len(variables)), 1.5 * (len(names) + 1) + 0.6),
            squeeze=False,
            sharex=True,
            layout="constrained",
        )
        time = plain_times(table.index)
        for column, variable in zip(self.axes_.T, variables, strict=True):
            parts = _parts_of(table, variable)
            title = str(variable) if name is None else f"{name}: {variable}"
            before = self._before(parts, variable, name)
            total = parts.sum(axis=1, skipna=False)
            _draw(column[0], time, total, BLACK if before is None else BLUE, title, before)
            for ax, part in zip(column[1:], names, strict=True):
                _draw(ax, time, parts[part], GREY if part == "resid" else BLUE, str(part))
                if before is not None:
                    ax.axvline(before.time[-1], color=RULE, linewidth=1, zorder=0.5)
        return self

    def _before(self, parts: pd.DataFrame, variable: Hashable, name: Hashable) -> Line | None:
        """The history of a variable of the series shown."""
        if self.history is None:
            return None
        total = parts.sum(axis=1).to_frame(variable)
        if name is not None:
            total = pd.concat({name: total})
        steps = max(len(parts), _LEAST_HISTORY) if self.max_history is None else self.max_history
        (track,) = tracks(total, self.history, None, None, series=None, max_history=steps)
        return track.history if track.history is not None and len(track.history.time) else None

    def _rows(self) -> tuple[pd.DataFrame, Hashable]:
        """Components of one series, and its name."""
        table = self.components
        if not isinstance(table, pd.DataFrame) or table.columns.nlevels != 2:
            raise TypeError(
                f"components: found {type(table).__name__}. Give the frame with columns (variable, component) that "
                "transform returns for a recording, a panel or a collection."
            )
        if table.index.nlevels == 1:
            return table, None
        names = table.index.droplevel(-1)
        name = names[0] if self.series is None else self.series
        chosen = np.array([one == name for one in names])
        if not chosen.any():
            raise ValueError(f"series: {name!r} is none of the {names.nunique()} series, such as {names[0]!r}.")
        return table[chosen].set_axis(table.index[chosen].get_level_values(-1)), name


def _parts_of(table: pd.DataFrame, variable: Hashable) -> pd.DataFrame:
    """The components of a variable, whose name may be a tuple."""
    return table.xs(variable, axis=1, level=0)


def _draw(ax: Any, time: np.ndarray, values: pd.Series, color: str, title: str, before: Line | None = None) -> None:
    if title == "resid":
        ax.axhline(0, color=RULE, linewidth=1, zorder=0.5)
    if before is not None:
        ax.plot(before.time, before.values, color=GREY, linewidth=1.2)
        ax.axvline(before.time[-1], color=RULE, linewidth=1, zorder=0.5)
    ax.plot(time, values.to_numpy(), color=color, linewidth=1.2 if before is None else 1.8)
    dress(ax, time, title)
