"""Forecasts while observations come in: only the latest context is kept, so that a push costs the same for ever."""

from typing import Any

import numpy as np
import pandas as pd

from tsrec.estimators._read import HISTORY, like_fitted
from tsrec.estimators._request import read_request


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
        self._rows = None if history is None else self._latest(like_fitted(forecaster, history, where="history"))

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
        rows = like_fitted(self._forecaster, rows, where="rows")
        grown = self._latest(rows if self._rows is None else self._joined(self._rows, rows))
        history, skipped = grown, 0
        if self._numbered and isinstance(grown, pd.Series | pd.DataFrame):
            history, skipped = grown.reset_index(drop=True), grown.index[0]
        forecast = self._forecast(history)
        if skipped:
            forecast.index = forecast.index + skipped
        self._rows = grown
        return forecast

    def _forecast(self, history: Any) -> Any:
        """As predict does; but rows of a long outage are forecast from, since values may have come before them."""
        own = self._forecaster
        panel = own._read_rows(history, names=HISTORY._replace(y="rows"))
        request = read_request(None, None, panel, own.horizon_)
        return own.form_.wrap(own._rows(panel, request)[..., 0], request.index)

    def state(self) -> Any:
        """Return the rows that are kept, to go on with them: ``forecaster.stream(history=state)``."""
        return None if self._rows is None else self._rows.copy()

    def _latest(self, rows: Any) -> Any:
        """The rows that a forecast depends on, as a copy: the user may fill the same buffer again."""
        size = self._forecaster._rows_read(self._forecaster.panel_)
        if isinstance(rows, pd.Series | pd.DataFrame):
            if rows.index.nlevels > 1:
                names = list(range(rows.index.nlevels - 1))
                return rows.groupby(level=names, sort=False, group_keys=False, observed=True).tail(size)
            return rows.iloc[-size:].copy()
        return np.array(rows)[-size:].copy()

    def _joined(self, before: Any, after: Any) -> Any:
        if type(before) is not type(after):
            raise TypeError(
                f"rows: found a {type(after).__name__}, but the rows before came in a {type(before).__name__}. Give "
                "all in the same container, as the y of fit."
            )
        if isinstance(before, np.ndarray):
            return np.concatenate([before, after])
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
