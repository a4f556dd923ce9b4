"""What repeats within the series of a retriever, and what does not, without a query."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from joblib import effective_n_jobs
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from tsrec.estimators._parameters import check_verbose
from tsrec.retrieval._asked import chosen_channels, rows_apart, whole_number
from tsrec.retrieval._contents import Contents
from tsrec.retrieval._profile import discords, motifs


class Repeats(BaseEstimator):
    """Base of retrievers: pairs of like windows, and windows like no other."""

    exclusion: float
    n_jobs: int | None
    verbose: int
    _contents: Contents

    def motifs(self, length: int, *, k: int = 3, channels: Sequence[Any] | None = None) -> pd.DataFrame:
        """Find pairs of intervals that look most alike.

        Every window is compared with every other, exactly: half a minute for 130,000 rows, four times as long for twice
        as many. Also what lies in a folder is held in memory meanwhile: some 200 bytes a row, and 50 more for each
        channel.

        Parameters
        ----------
        length : int
            Rows of an interval.
        k : int, default 3
            How many pairs.
        channels : list, optional
            Channels to compare; all when omitted.

        Returns
        -------
        DataFrame
            Two rows for each pair, most alike first: motif, series, start, end (excluded), score and distance as in
            `locate`. Intervals are as far apart as the answers there.

        References
        ----------
        Yeh et al. (2016), Matrix profile I: all pairs similarity joins for time series.
        """
        values, picked = self._joined(length, k, channels)
        pairs = motifs(values, length, k, rows_apart(self.exclusion, length), **self._how())
        at = np.array([place for first, second, _ in pairs for place in (first, second)], dtype=np.int64)
        distance = np.repeat([gap for _, _, gap in pairs], 2)
        return self._told(at, distance, length, picked, motif=np.repeat(np.arange(len(pairs)), 2))

    def discords(self, length: int, *, k: int = 3, channels: Sequence[Any] | None = None) -> pd.DataFrame:
        """Find the intervals that look least like any other; it takes as long, and as much memory, as `motifs`.

        Parameters
        ----------
        length : int
            Rows of an interval.
        k : int, default 3
            How many.
        channels : list, optional
            Channels to compare; all when omitted.

        Returns
        -------
        DataFrame
            A row for each, the oddest first: rank, series, start, end (excluded), score and distance to the nearest
            other interval.
        """
        values, picked = self._joined(length, k, channels)
        at, distance = discords(values, length, k, rows_apart(self.exclusion, length), **self._how())
        return self._told(at, distance, length, picked, rank=np.arange(len(at)))

    def _how(self) -> dict[str, int]:
        return {"n_jobs": effective_n_jobs(self.n_jobs), "verbose": self.verbose}

    def _joined(self, length: int, k: int, channels: Sequence[Any] | None) -> tuple[np.ndarray, list[int]]:
        """All series one after another, each behind a missing row, and the channels that are compared."""
        check_is_fitted(self)
        check_verbose(self)
        contents = self._contents
        if not isinstance(length, int | np.integer) or length < 2 or length > contents.corpus.lengths.max():
            longest = contents.corpus.lengths.max()
            raise ValueError(f"length: found {length!r}. Give a whole number of rows from 2 to {longest}.")
        whole_number(k, "k")
        picked = chosen_channels(channels, contents.channels)
        lengths, at = contents.corpus.lengths, 0
        values = np.empty((int(lengths.sum()) + len(lengths), len(picked)))
        for rows in contents.corpus.all_rows(picked):
            values[at : at + len(rows)] = rows
            at += len(rows)
        return values, picked

    def _told(
        self, at: np.ndarray, distance: np.ndarray, length: int, picked: list[int], **first: np.ndarray
    ) -> pd.DataFrame:
        contents = self._contents
        begins = np.cumsum(contents.corpus.lengths + 1) - contents.corpus.lengths
        series = np.searchsorted(begins, at, side="right") - 1
        rows = at - begins[series]
        return pd.DataFrame(
            {
                **first,
                "series": contents.labels[series],
                "start": contents.times.at(series, rows),
                "end": contents.times.at(series, rows + length),
                "score": 1 - distance**2 / (4 * length * len(picked)),
                "distance": distance,
            }
        )
