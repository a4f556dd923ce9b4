"""Cross-validation over time stamps, not rows: a panel is cut at one instant for all of its series."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import BaseCrossValidator

from tsrec.frames import is_default
from tsrec.frames.warn import warn_user
from tsrec.model_selection._checks import check_whole
from tsrec.model_selection.tables import grid_places


class TimeSplit(BaseCrossValidator):
    """Split rows by their time: train on what came before, test on what came after.

    Cut-offs are counted back from the last time stamp, as in scikit-learn's ``TimeSeriesSplit``, which it equals on a
    single series. That cuts rows, so that on a panel it trains on some series and tests on others; this one cuts all
    series of a panel at the same time stamp, whatever the order of the rows.

    Parameters
    ----------
    n_splits : int, default 5
        Number of splits.
    horizon : int, optional
        Time stamps in each test part; the number of time stamps divided by ``n_splits + 1``, rounded down, when
        omitted.
    step : int, optional
        Time stamps from one cut-off to the next; `horizon` (nothing is tested twice) when omitted.
    gap : int, default 0
        Time stamps left out between the train and the test part.
    window : int, optional
        Train on at most so many time stamps before the cut-off (a sliding window); on all of them (an expanding one)
        when omitted.

    See Also
    --------
    backtest : A table of forecasts from many cut-offs, in batches where weights are kept.

    Notes
    -----
    Time stamps are those of the grid from the first to the last of all series, also where no series has a row. Arrays
    and frames with a default index carry no time: each row is a step.

    A series without rows in the train part could not be forecast; its rows are left out of that test part, with one
    warning for all splits.

    Examples
    --------
    >>> import pandas as pd
    >>> from tsrec.model_selection import TimeSplit
    >>> days = pd.date_range("2024-01-01", periods=6, name="day")
    >>> panel = pd.DataFrame({"sales": range(12)}, pd.MultiIndex.from_product([["a", "b"], days]))
    >>> for train, test in TimeSplit(2, horizon=1).split(panel):
    ...     print(train, test)
    [0 1 2 3 6 7 8 9] [ 4 10]
    [ 0  1  2  3  4  6  7  8  9 10] [ 5 11]
    """

    def __init__(
        self,
        n_splits: int = 5,
        *,
        horizon: int | None = None,
        step: int | None = None,
        gap: int = 0,
        window: int | None = None,
    ) -> None:
        self.n_splits = n_splits
        self.horizon = horizon
        self.step = step
        self.gap = gap
        self.window = window

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Number of splits.

        Parameters
        ----------
        X, y, groups : ignored
            As scikit-learn calls it.

        Returns
        -------
        int
        """
        del X, y, groups
        return int(self.n_splits)

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Rows of the train and of the test part of each split.

        Parameters
        ----------
        X : Series, DataFrame or array
            Rows with a time index, or a MultiIndex whose last level is time.
        y : Series, DataFrame or array, optional
            Rows beside X; its index counts if X has none that tells the time.
        groups : ignored
            As scikit-learn calls it.

        Yields
        ------
        train, test : int arrays
            Positions of rows, ascending.

        Raises
        ------
        ValueError
            If a parameter is no whole number, there are too few time stamps, or a part would be empty.
        """
        del groups
        check_whole(n_splits=self.n_splits)
        check_whole(least=0, gap=self.gap)
        place, series = _places(X, y)
        n_steps = int(place.max()) + 1 if len(place) else 0
        horizon = max(n_steps // (self.n_splits + 1), 1) if self.horizon is None else self.horizon
        step = horizon if self.step is None else self.step
        check_whole(horizon=horizon, step=step, window=1 if self.window is None else self.window)
        first = n_steps - horizon - (self.n_splits - 1) * step
        if first <= self.gap:
            raise ValueError(
                f"X: it has {n_steps} time stamps, but {self.n_splits} splits {step} steps apart with a horizon of "
                f"{horizon} and a gap of {self.gap} need {n_steps - first + self.gap + 1}. Lower n_splits, horizon, "
                "step or gap."
            )
        starts = first + np.arange(self.n_splits) * step
        yield from self._parts(place, series, starts.tolist(), horizon)

    def _parts(
        self, place: np.ndarray, series: np.ndarray, starts: list[int], horizon: int
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        parts, left_out, unknown = [], 0, np.zeros(int(series.max()) + 1, dtype=bool)
        for number, start in enumerate(starts):
            cutoff = start - self.gap
            trains = place < cutoff
            if self.window is not None:
                trains &= place >= cutoff - self.window
            known = np.bincount(series[trains], minlength=len(unknown)) > 0
            tests = (place >= start) & (place < start + horizon)
            absent = tests & ~known[series]
            unknown[series[absent]] = True
            left_out += int(absent.sum())
            parts.append((np.flatnonzero(trains), np.flatnonzero(tests & ~absent)))
            for name, rows in zip(("train", "test"), parts[-1], strict=True):
                if not len(rows):
                    why = "" if name == "train" else " of a series that it has rows of before"
                    raise ValueError(
                        f"X: the {name} part of split {number} has no row{why}. Give longer series, or lower n_splits."
                    )
        if left_out:
            warn_user(
                f"X: {left_out} rows of {int(unknown.sum())} series are left out of the test parts, since the train "
                "part of their split has no row of their series."
            )
        return parts


def _places(X: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    """For each row its step on the grid of time, counted from the first, and its series."""
    where, index = "X", getattr(X, "index", None)
    if not _tells_time(index):
        where, index = "y", getattr(y, "index", None)
    if not _tells_time(index):
        n_rows = X.shape[0] if hasattr(X, "shape") else len(X)
        return np.arange(n_rows), np.zeros(n_rows, dtype=np.int64)
    return grid_places(index, where)


def _tells_time(index: Any) -> bool:
    return isinstance(index, pd.MultiIndex) or (isinstance(index, pd.Index) and not is_default(index))
