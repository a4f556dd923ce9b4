"""What retrievers are given: series and queries as they come, and what is known of the series."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from tsrec.frames import Panel, is_rows
from tsrec.retrieval._asked import picked_channels
from tsrec.retrieval._contents import Contents
from tsrec.retrieval._read import Series, read_series


class GivenSeries(BaseEstimator):
    """Base of retrievers: how series and queries are read, and what is known of the series."""

    resample: str | None
    channels_: pd.Index
    _contents: Contents

    @property
    def n_series_(self) -> int:
        """Series that are searched."""
        return len(self._contents.labels)

    @property
    def lengths_(self) -> pd.Series:
        """Rows of each series."""
        return pd.Series(self._contents.corpus.lengths, index=self._contents.labels, name="rows")

    @property
    def spans_(self) -> pd.DataFrame:
        """When each series begins and ends (excluded), and its rows."""
        times, lengths = self._contents.times, self._contents.corpus.lengths
        every = np.arange(len(lengths))
        ends = {"start": times.at(every, np.zeros_like(lengths)), "end": times.at(every, lengths), "rows": lengths}
        return pd.DataFrame(ends, index=self._contents.labels)

    @property
    def metadata_(self) -> pd.DataFrame | None:
        """What is known of each series."""
        return self._contents.metadata

    def _read(self, X: Any, *, reset: bool) -> Series:
        """What is given, tables with a window a row by scikit-learn's checks."""
        frame = isinstance(X, pd.Series | pd.DataFrame)
        if not frame and (sparse.issparse(X) or is_rows(X)):
            # A row that is left out would leave the others with the numbers of their neighbours.
            given = read_series(validate_data(self, X, reset=reset, dtype=np.float64))
            self._check_resampled(given, reset)
            return given
        like = None if reset else self._contents.times.grid
        given = read_series(X, like=like, step=self.resample, sparse=not reset)
        self._check_resampled(given, reset)
        if reset:
            self.n_features_in_ = given.panel.n_channels
            if all(isinstance(name, str) for name in given.panel.columns):
                self.feature_names_in_ = np.asarray(given.panel.columns, dtype=object)
            elif hasattr(self, "feature_names_in_"):
                del self.feature_names_in_
        return given

    def _check_resampled(self, given: Series, reset: bool) -> None:
        if reset and self.resample is not None and given.step is None:
            raise ValueError(
                f"resample: found {self.resample!r}, but the rows of X come {given.times.spacing()}, not at times that "
                "are counted in seconds. Give an index of instants, durations or float seconds, or resample=None."
            )

    def _read_queries(self, Q: Any) -> Series:
        """Queries of any length: an array (n_times,) is one; steps are those of the series."""
        Q = Q if getattr(Q, "ndim", 2) > 1 or isinstance(Q, pd.Series) else [Q]
        if self.resample is None:
            return read_series(Q, where="Q")
        return read_series(Q, where="Q", step=self.resample, like=self._contents.times.grid)

    def _read_windows(self, Q: Any) -> Panel:
        given = self._read(Q, reset=False)
        places = picked_channels(given.panel, self.channels_, None)
        if sorted(places) != list(range(len(self.channels_))):
            raise ValueError(f"Q: its channels are {list(given.panel.columns)}. Give {list(self.channels_)}.")
        return replace(given.panel, values=given.panel.values[:, np.argsort(places)])
