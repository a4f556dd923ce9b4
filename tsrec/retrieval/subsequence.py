"""Find where in many, long, multichannel series something happened."""

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from tsrec.estimators._parameters import check_whole
from tsrec.frames import Panel, label_at
from tsrec.retrieval._corpus import Corpus, read_corpus
from tsrec.retrieval._exact import ExactIndex


class SubsequenceRetriever(BaseEstimator):
    """Search series for the intervals that look most like a query.

    Distances are z-normalised: every channel of the query and of a window is brought to mean 0 and standard deviation
    1, so that level and scale do not count. Search is exact, by spectra of the series that are kept.

    Parameters
    ----------
    n_neighbors : int
        How many intervals are asked for, unless the question says another number.
    exclusion : float
        Share of the query's length that two answers in one series are apart at least.

    Attributes
    ----------
    n_series_ : int
        Series that are searched.
    channels_ : Index
        Names of their channels.

    References
    ----------
    Mueen et al. (2017), The fastest similarity search algorithm for time series subsequences under Euclidean distance
    (MASS).

    Examples
    --------
    >>> index = pd.date_range("2026-01-01", periods=500, freq="h")
    >>> series = pd.Series(np.random.default_rng(0).standard_normal(500), index, name="load")
    >>> found = SubsequenceRetriever(n_neighbors=1).fit(series).locate(series[100:150] * 3 + 20)
    >>> found.loc[0, ["start", "end"]].tolist()
    [Timestamp('2026-01-05 04:00:00'), Timestamp('2026-01-07 06:00:00')]
    """

    def __init__(self, *, n_neighbors: int = 5, exclusion: float = 0.5) -> None:
        self.n_neighbors = n_neighbors
        self.exclusion = exclusion

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002 - scikit-learn's signature
        """Take in the series.

        Parameters
        ----------
        X : Series, frame, panel, dict, list or array
            One series with an index of times, a panel with the index (series, time), a dict or list of series, or an
            array (n_series, n_channels, n_times).
        y : None
            Not used.

        Returns
        -------
        self
        """
        self._check_parameters()
        panel, seconds = read_corpus(X)
        self._corpus = Corpus(panel, seconds)
        self._exact = ExactIndex(self._corpus.values)
        self.n_series_, self.channels_ = panel.n_series, panel.columns
        return self

    def __sklearn_is_fitted__(self) -> bool:
        """Whether there are series to search."""
        return hasattr(self, "_exact")

    def locate(
        self,
        Q: Any,
        *,
        k: int | None = None,
        max_distance: float | None = None,
        where: Any = None,
        time_range: tuple[Any, Any] | None = None,
        channels: Sequence[Any] | None = None,
    ) -> pd.DataFrame:
        """Find the intervals nearest to a query.

        Parameters
        ----------
        Q : Series, frame, panel, dict, list or array
            One query or many, of any lengths, given like the series; an array (n_times,) is one query.
        k : int, optional
            How many intervals at most; `n_neighbors` when omitted.
        max_distance : float, optional
            Greatest distance.
        where : list of series, optional
            Names of the series to search; all when omitted.
        time_range : (start, end), optional
            Only intervals within these times, the end excluded; either may be None.
        channels : list, optional
            Names of the channels to compare; those of the query when it names them, else all.

        Returns
        -------
        DataFrame
            A row per interval, nearest first within each query: query, rank, series, start, end (excluded), score from
            0 to 1 (half of 1 plus the mean correlation), distance. None for a query longer than every series.

        Raises
        ------
        ValueError
            If the query has missing values or other channels.
        """
        check_is_fitted(self)
        k = self.n_neighbors if k is None else k
        queries, _ = read_corpus(Q if getattr(Q, "ndim", 2) > 1 or isinstance(Q, pd.Series) else [Q], where="Q")
        picked = self._columns(queries, channels)
        parts = []
        for number in range(queries.n_series):
            query = queries.values[queries.offsets[number] : queries.offsets[number + 1]]
            parts.append(
                self._found(label_at(queries.labels, number), query, picked, k, max_distance, where, time_range)
            )
        return pd.concat(parts, ignore_index=True)

    def _found(
        self, name: Any, query: np.ndarray, picked: Sequence[int], k: int, limit: float | None, where: Any, period: Any
    ) -> pd.DataFrame:
        if np.isnan(query).any():
            raise ValueError(f"Q: query {name!r} has missing values. Fill them, or give a stretch without them.")
        m = len(query)
        apart = max(int(np.ceil(self.exclusion * m)), 1)
        closed = self._closed(m, where, period)
        reach = np.inf if limit is None else float(limit)
        at, distance = self._exact.nearest(query, picked, k, exclusion=apart, limit=reach, closed=closed)
        series, rows = self._corpus.where(at)
        return pd.DataFrame(
            {
                "query": [name] * len(at),
                "rank": np.arange(len(at)),
                "series": self._corpus.panel.labels[series],
                "start": self._corpus.times(series, rows),
                "end": self._corpus.times(series, rows + m),
                "score": 1 - distance**2 / (4 * m * len(picked)),
                "distance": distance,
            }
        )

    def _closed(self, m: int, where: Any, period: Any) -> list[tuple[int, int]]:
        """Ranges of positions where no interval may begin."""
        if where is None and period is None:
            return []
        panel, first = self._corpus.panel, self._corpus.first
        kept = np.ones(panel.n_series, dtype=bool)
        if where is not None:
            kept = self._named(where)
        low, high = np.zeros(panel.n_series, np.int64), np.maximum(panel.lengths - m + 1, 0)
        if period is not None:
            start, end = period
            low = np.maximum(low, self._corpus.rows_at(start)) if start is not None else low
            high = np.minimum(high, self._corpus.rows_at(end) - m + 1) if end is not None else high
        high = np.where(kept, np.maximum(high, low), low)
        bounds = np.append(first, first[-1:] + panel.lengths[-1:] + 1)
        closed = []
        for i in range(panel.n_series):
            closed += [(first[i], first[i] + low[i]), (first[i] + high[i], bounds[i + 1])]
        return [(int(a), int(b)) for a, b in closed if a < b]

    def _named(self, where: Any) -> np.ndarray:
        labels = self._corpus.panel.labels
        wanted = [where] if isinstance(where, str | Integral) else list(where)
        places = labels.get_indexer(pd.Index(wanted))
        if (places < 0).any():
            missing = [one for one, place in zip(wanted, places, strict=True) if place < 0]
            raise ValueError(f"where: found {missing}, which are not among the series, such as {list(labels[:3])}.")
        kept = np.zeros(len(labels), dtype=bool)
        kept[places] = True
        return kept

    def _columns(self, queries: Panel, channels: Sequence[Any] | None) -> list[int]:
        """Numbers of the channels of the series that the columns of the query are compared with."""
        own = self.channels_
        names = queries.columns if channels is None else pd.Index(list(channels))
        counted = isinstance(names, pd.RangeIndex) or isinstance(own, pd.RangeIndex)
        if counted and channels is None and len(names) == len(own):
            return list(range(len(own)))
        places = own.get_indexer(names)
        if (places < 0).any() or len(names) != queries.n_channels:
            raise ValueError(
                f"Q: its channels are {list(names)}, those of the series {list(own)}. Give columns of these names, or "
                "channels= with a name for each column."
            )
        return [int(place) for place in places]

    def _check_parameters(self) -> None:
        check_whole(self, "n_neighbors")
        if not isinstance(self.exclusion, Real) or not 0 <= self.exclusion <= 1:
            raise ValueError(f"exclusion: found {self.exclusion!r}. Give a share from 0 to 1.")
