"""Find where in many, long, multichannel series something happened."""

from collections.abc import Iterator, Sequence
from numbers import Real
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from tsrec.estimators._parameters import check_whole
from tsrec.frames import Panel, label_at
from tsrec.retrieval._asked import named_series, open_rows, picked_channels, read_metadata
from tsrec.retrieval._corpus import Corpus
from tsrec.retrieval._locate import Asked, search_all
from tsrec.retrieval._memory import Memory
from tsrec.retrieval._read import Series, read_series


class SubsequenceRetriever(BaseEstimator):
    """Search series for the intervals that look most like a query.

    Distances are z-normalised: every channel of the query and of a window is brought to mean 0 and standard deviation
    1, so that level and scale do not count. Search is exact, by spectra of the series that are kept.

    Parameters
    ----------
    n_neighbors : int
        How many intervals are asked for, unless the question says another number.
    scales : sequence of int
        Lengths of the windows that are indexed.
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

    def __init__(
        self, *, n_neighbors: int = 5, scales: Sequence[int] = (64, 256, 1024), exclusion: float = 0.5
    ) -> None:
        self.n_neighbors = n_neighbors
        self.scales = scales
        self.exclusion = exclusion

    def fit(self, X: Any, y: Any = None, *, metadata: Any = None) -> Self:  # noqa: ARG002 - scikit-learn's signature
        """Take in the series.

        Parameters
        ----------
        X : Series, frame, panel, dict, list, array or iterator
            One series with an index of times, a panel with the index (series, time), a dict or list of series, or an
            array (n_series, n_times) or (n_series, n_channels, n_times); an iterator gives one after another.
        y : None
            Not used.
        metadata : DataFrame or dict, optional
            A row for each series, indexed by its name, by which questions may choose series.

        Returns
        -------
        self
        """
        self._check_parameters()
        chunks = X if isinstance(X, Iterator) else iter([X])
        first = next(chunks, None)
        if first is None:
            raise ValueError("X: the iterator gave nothing. Give at least one series.")
        self._begin(read_series(first))
        self.metadata_ = None if metadata is None else read_metadata(metadata, self._labels)
        for chunk in chunks:
            self.partial_fit(chunk)
        return self

    def partial_fit(self, X: Any, y: Any = None, *, metadata: Any = None) -> Self:
        """Take in more series, or more rows of known ones, which go on where those so far end.

        Parameters
        ----------
        X : Series, frame, panel, dict, list or array
            As in `fit`. Series of a panel or dict are known by their names, a recording without one goes on; those of
            lists and arrays are new.
        y : None
            Not used.
        metadata : DataFrame or dict, optional
            A row for each new series, where the others have some.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If rows are missing between what is known and what comes, or are known already.
        """
        if not self.__sklearn_is_fitted__():
            return self.fit(X, y, metadata=metadata)
        more = read_series(X, like=self._times.grid)
        self._extend(more, metadata)
        return self

    def __sklearn_is_fitted__(self) -> bool:
        """Whether there are series to search."""
        return hasattr(self, "_corpus")

    def _begin(self, given: Series) -> None:
        panel = given.panel
        arrays = Memory()
        corpus = Corpus(arrays, panel.n_channels, overlap=max(self.scales) - 1, kept=True)
        corpus.extend(panel.values, panel.offsets, np.arange(panel.n_series))
        self._arrays, self._corpus = arrays, corpus
        self._times, self._labels, self._named = given.times, panel.labels, panel.ids is not None
        self.n_series_, self.channels_ = panel.n_series, panel.columns

    def _extend(self, more: Series, metadata: Any) -> None:
        panel = more.panel
        self._times.check_same(more.times)
        picked = picked_channels(panel, self.channels_, None)
        if sorted(picked) != list(range(len(self.channels_))):
            raise ValueError(f"X: its channels are {list(panel.columns)}. Give {list(self.channels_)}, as in fit.")
        places = self._places(more)
        known = np.flatnonzero(places >= 0)
        ahead = self._times.ahead(more.times.take(known), places[known], self._corpus.lengths)
        self._check_ahead(ahead, panel, known)
        new = np.flatnonzero(places < 0)
        if len(new):
            labels = panel.labels[new] if self._named else pd.RangeIndex(self.n_series_ + len(new))
            if (metadata is None) != (self.metadata_ is None):
                raise ValueError("metadata: give a row for each new series, if fit was given some, else none.")
            if metadata is not None:
                self.metadata_ = pd.concat([self.metadata_, read_metadata(metadata, panel.labels[new])])
            self._labels = self._labels.append(labels) if self._named else labels
            self._times = self._times.extended(more.times, new)
            places[new] = self.n_series_ + np.arange(len(new))
            self.n_series_ += len(new)
        order = np.argsort(picked)
        self._corpus.extend(panel.values[:, order], panel.offsets, places)

    def _places(self, more: Series) -> np.ndarray:
        """Numbers of the series that rows come for; -1 for new ones."""
        panel = more.panel
        if (panel.ids is not None) != self._named:
            own, other = ("with", "without") if self._named else ("without", "with")
            raise ValueError(f"X: its series are {other} names, those so far {own}. Give them in the same form as fit.")
        if self._named:
            return self._labels.get_indexer(panel.ids)
        return np.zeros(1, np.int64) if more.alone and self.n_series_ == 1 else np.full(panel.n_series, -1)

    def _check_ahead(self, ahead: np.ndarray, panel: Panel, known: np.ndarray) -> None:
        if not (ahead == 0).all():
            one = int(np.flatnonzero(ahead)[0])
            found = f"{abs(ahead[one]):g} rows {'after' if ahead[one] > 0 else 'before'} the end of what is known"
            raise ValueError(
                f"X: series {label_at(panel.labels, int(known[one]))!r} begins {found}. Give the rows that follow it; "
                "missing ones as NaN."
            )

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
        where : list of names, dict or callable, optional
            Names of the series to search; or values by columns of the metadata; or a function of the metadata that
            gives a truth value for each row. All series when omitted.
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
        queries = read_series(Q if getattr(Q, "ndim", 2) > 1 or isinstance(Q, pd.Series) else [Q], where="Q").panel
        kept = None if where is None else named_series(where, self._labels, self.metadata_)
        asked = Asked(
            picked_channels(queries, self.channels_, channels),
            self.n_neighbors if k is None else k,
            self.exclusion,
            np.inf if max_distance is None else float(max_distance),
            *open_rows(self._times, self._corpus.lengths, kept, time_range),
        )
        parts = []
        for number in range(queries.n_series):
            query = queries.values[queries.offsets[number] : queries.offsets[number + 1]]
            parts.append(self._found(label_at(queries.labels, number), query, asked))
        return pd.concat(parts, ignore_index=True)

    def _found(self, name: Any, query: np.ndarray, asked: Asked) -> pd.DataFrame:
        if np.isnan(query).any():
            raise ValueError(f"Q: query {name!r} has missing values. Fill them, or give a stretch without them.")
        m = len(query)
        found = search_all(self._corpus, query, asked)
        return pd.DataFrame(
            {
                "query": [name] * len(found.rows),
                "rank": np.arange(len(found.rows)),
                "series": self._labels[found.series],
                "start": self._times.at(found.series, found.rows),
                "end": self._times.at(found.series, found.rows + m),
                "score": 1 - found.distance**2 / (4 * m * len(asked.picked)),
                "distance": found.distance,
            }
        )

    def _check_parameters(self) -> None:
        check_whole(self, "n_neighbors")
        if not isinstance(self.exclusion, Real) or not 0 <= self.exclusion <= 1:
            raise ValueError(f"exclusion: found {self.exclusion!r}. Give a share from 0 to 1.")
