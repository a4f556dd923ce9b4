"""Forecasts while observations come in: only the latest context is kept, so that a push costs the same for ever."""

from typing import Any

import numpy as np
import pandas as pd

from tsrec.frames import columns_message


class ForecastStream:
    """A history that grows, and the forecast from its end. Made by ``forecaster.stream()``.

    Parameters
    ----------
    forecaster : fitted forecaster
        Gives the forecasts; it sees ``context_`` rows of each series.
    history : Series, DataFrame or array, optional
        Rows so far, or ``state()`` of an earlier stream.

    Raises
    ------
    TypeError, ValueError
        If rows are in another container, have other columns, or do not go on where the rows before end.
    """

    def __init__(self, forecaster: Any, history: Any = None) -> None:
        self._forecaster = forecaster
        self._numbered = not forecaster.panel_.grid.has_time
        self._rows = None if history is None else self._latest(history)

    def push(self, rows: Any) -> Any:
        """Take in the next rows of every series.

        Parameters
        ----------
        rows : Series, DataFrame or array
            In the container of the y that was fitted, with an index that goes on from the rows before; rows without
            times may be numbered from 0 each time.

        Returns
        -------
        Series, DataFrame or array
            What ``predict(history=...)`` gives for all rows so far.
        """
        grown = self._latest(rows if self._rows is None else self._joined(self._rows, rows))
        history, skipped = grown, 0
        if self._numbered and isinstance(grown, pd.Series | pd.DataFrame):
            history, skipped = grown.reset_index(drop=True), grown.index[0]
        forecast = self._forecaster.predict(history=history)
        if skipped:
            forecast.index = forecast.index + skipped
        self._rows = grown
        return forecast

    def state(self) -> Any:
        """Return the rows that are kept, to go on with them: ``forecaster.stream(history=state)``."""
        return None if self._rows is None else self._rows.copy()

    def _latest(self, rows: Any) -> Any:
        """The rows that a forecast depends on, as a copy: the user may fill the same buffer again."""
        size = self._forecaster._rows_read(self._forecaster.panel_)
        if isinstance(rows, pd.Series | pd.DataFrame):
            if rows.index.nlevels > 1:
                names = list(range(rows.index.nlevels - 1))
                return rows.groupby(level=names, sort=False, group_keys=False).tail(size)
            return rows.iloc[-size:].copy()
        return np.array(rows)[-size:].copy()

    def _joined(self, before: Any, after: Any) -> Any:
        if isinstance(before, pd.Series | pd.DataFrame) != isinstance(after, pd.Series | pd.DataFrame):
            raise TypeError(
                f"rows: found {type(after).__name__}, after rows in a {type(before).__name__}. Give the same container."
            )
        if isinstance(before, np.ndarray):
            after = np.asarray(after)
            if after.shape[1:] != before.shape[1:]:
                raise ValueError(f"rows: found shape {after.shape}. Give {('n_steps', *before.shape[1:])}.")
            return np.concatenate([before, after])
        if isinstance(before, pd.DataFrame) and set(before.columns) != set(after.columns):
            raise ValueError(columns_message(after.columns, before.columns, "rows", "the rows before"))
        if not self._numbered:
            return pd.concat([before, after])
        following = before.index[-1] + 1
        if len(after) and after.index[0] not in (0, following):
            raise ValueError(
                f"rows: their index begins with {after.index[0]!r}. Number them from 0, or from {following} on."
            )
        joined = pd.concat([before, after], ignore_index=True)
        joined.index = pd.RangeIndex(before.index[0], before.index[0] + len(joined))
        return joined
