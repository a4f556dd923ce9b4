"""Forecasts while observations come in: only the latest context is kept, so that a push costs the same for ever."""

from typing import Any

import numpy as np
import pandas as pd


class ForecastStream:
    """A history that grows, and the forecast from its end. Made by ``forecaster.stream()``.

    Parameters
    ----------
    forecaster : fitted forecaster
        Gives the forecasts; it sees ``context_`` rows of each series.
    history : Series, DataFrame or array, optional
        Rows so far, or ``state()`` of an earlier stream.
    """

    def __init__(self, forecaster: Any, history: Any = None) -> None:
        self._forecaster = forecaster
        self._rows = None if history is None else self._latest(history)

    def push(self, rows: Any) -> Any:
        """Take in the next rows of every series.

        Parameters
        ----------
        rows : Series, DataFrame or array
            In the container of the y that was fitted, with an index that goes on from the rows before.

        Returns
        -------
        Series, DataFrame or array
            What ``predict(history=...)`` gives for all rows so far.
        """
        grown = self._latest(rows if self._rows is None else _joined(self._rows, rows))
        forecast = self._forecaster.predict(history=grown)
        self._rows = grown
        return forecast

    def state(self) -> Any:
        """Return the rows that are kept, to go on with them: ``forecaster.stream(history=state)``."""
        return None if self._rows is None else self._rows.copy()

    def _latest(self, rows: Any) -> Any:
        size = self._forecaster.context_
        if isinstance(rows, pd.Series | pd.DataFrame):
            if rows.index.nlevels > 1:
                names = list(range(rows.index.nlevels - 1))
                return rows.groupby(level=names, sort=False, group_keys=False).tail(size)
            return rows.iloc[-size:]
        return np.asarray(rows)[-size:]


def _joined(before: Any, after: Any) -> Any:
    if isinstance(before, pd.Series | pd.DataFrame) != isinstance(after, pd.Series | pd.DataFrame):
        raise TypeError(
            f"rows: found {type(after).__name__}, after rows in a {type(before).__name__}. Give the same container."
        )
    if isinstance(before, np.ndarray):
        return np.concatenate([before, np.asarray(after)])
    return pd.concat([before, after])
