"""Neighbours among the indexed windows, in the manner of scikit-learn."""

from collections.abc import Iterator
from typing import Any, Self

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from tsrec.frames import Panel, label_at
from tsrec.retrieval._asked import whole_number
from tsrec.retrieval._contents import Contents
from tsrec.retrieval._windows import Windows

# Distances held at a time.
_AT_A_TIME = 1 << 22


class WindowNeighbors(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Base of retrievers: what asks for the nearest of the windows that are indexed.

    A subclass gives ``_windows_of_all()`` and ``_read_windows(Q)``.
    """

    n_neighbors: int
    _contents: Contents

    @property
    def windows_(self) -> pd.DataFrame:
        """The indexed windows: series, start, end (excluded), scale in rows."""
        return windows_frame(self._windows_of_all(), self._contents.labels, self._contents.times)

    @property
    def n_skipped_(self) -> int:
        """Windows that are not indexed, as samples are missing."""
        self._windows_of_all()
        return self._contents.skipped

    def _windows_of_all(self) -> Windows:
        raise NotImplementedError

    def _read_windows(self, Q: Any) -> Panel:
        raise NotImplementedError

    @property
    def _n_features_out(self) -> int:
        return len(self._windows_of_all())

    def kneighbors(
        self, Q: Any = None, n_neighbors: int | None = None, return_distance: bool = True
    ) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Find the indexed windows nearest to windows, by their embeddings.

        Parameters
        ----------
        Q : Series, frame, panel, dict, list or array, optional
            A window each, given like the series; it is compared with the windows of the scale nearest to its length, of
            those scales that have enough of them.
            The indexed windows themselves when omitted, of which none is its own neighbour.
        n_neighbors : int, optional
            How many; the parameter when omitted.
        return_distance : bool, default True
            Whether distances are returned too.

        Returns
        -------
        distance : array of shape (n_queries, n_neighbors)
            Distances of the embeddings, which have norm 1 at most: the root of two minus twice the mean correlation, or
            less, with ``encoder="auto"``.
        number : int64 array of shape (n_queries, n_neighbors)
            Rows of ``windows_``.
        """
        check_is_fitted(self)
        k = self._checked_k(self.n_neighbors if n_neighbors is None else n_neighbors, own=Q is None)
        windows, first = self._windows_of_all(), self._first_rows()
        count = len(windows) if Q is None else None
        found = []
        for places, scale, vectors in self._asked_vectors(Q, k):
            own = Q is None and 0 <= places[0] - first[scale] < len(windows.of(scale).rows)
            distance, number = windows.search(scale, vectors, k + 1 if own else k)
            if own:
                distance, number = _without_self(distance, number, places - first[scale])
            if distance.shape[1] < k:
                raise ValueError(
                    f"n_neighbors: found {k}, but there are {distance.shape[1]} windows of {scale} rows. Ask for fewer."
                )
            found.append((places, distance, number + first[scale]))
        size = sum(len(places) for places, _, _ in found) if count is None else count
        distances, numbers = np.empty((size, k)), np.empty((size, k), np.int64)
        for places, distance, number in found:
            distances[places], numbers[places] = distance, number
        return (distances, numbers) if return_distance else numbers

    def radius_neighbors(
        self, Q: Any = None, radius: float = 1.0, return_distance: bool = True
    ) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Find all indexed windows within a distance, nearest first; see `kneighbors`.

        Parameters
        ----------
        Q
            As in `kneighbors`.
        radius : float, default 1.0
            Greatest distance of embeddings.
        return_distance : bool, default True
            Whether distances are returned too.

        Returns
        -------
        distance, number : object arrays of shape (n_queries,)
            An array for each query.
        """
        check_is_fitted(self)
        windows, first = self._windows_of_all(), self._first_rows()
        pairs: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        for places, scale, vectors in self._asked_vectors(Q, 1):
            rows = windows.vectors(scale)
            size = max(_AT_A_TIME // max(len(rows), 1), 1)
            for low in range(0, len(vectors), size):
                for place, one in zip(places[low : low + size], vectors[low : low + size], strict=True):
                    gap = np.sqrt(np.square(rows - one).sum(1, dtype=np.float64))
                    near = np.flatnonzero(gap <= radius)
                    near = near[near != place - first[scale]] if Q is None else near
                    near = near[np.lexsort([near, gap[near]])]
                    pairs[int(place)] = gap[near], near + first[scale]
        distance, number = np.empty(len(pairs), object), np.empty(len(pairs), object)
        for place, (gap, near) in pairs.items():
            distance[place], number[place] = gap, near
        return (distance, number) if return_distance else number

    def kneighbors_graph(self, Q: Any = None, n_neighbors: int | None = None, mode: str = "connectivity") -> Any:
        """Give the neighbours as a sparse matrix; see `kneighbors`.

        Parameters
        ----------
        Q, n_neighbors
            As in `kneighbors`.
        mode : {"connectivity", "distance"}
            Ones, or distances.

        Returns
        -------
        CSR matrix of shape (n_queries, n_windows)
        """
        if mode not in ("connectivity", "distance"):
            raise ValueError(f"mode: found {mode!r}. Give 'connectivity' or 'distance'.")
        distance, number = self.kneighbors(Q, n_neighbors)
        values = np.ones(number.size) if mode == "connectivity" else distance.ravel()
        ends = np.arange(0, number.size + 1, number.shape[1])
        return sparse.csr_matrix((values, number.ravel(), ends), shape=(len(number), len(self._windows_of_all())))

    def transform(self, Q: Any) -> Any:
        """Give the distances to the nearest windows as a sparse matrix, as scikit-learn's KNeighborsTransformer does.

        Parameters
        ----------
        Q
            As in `kneighbors`.

        Returns
        -------
        CSR matrix of shape (n_queries, n_windows)
            With ``n_neighbors + 1`` distances a row, as a window of the index counts itself.
        """
        check_is_fitted(self)
        return self.kneighbors_graph(Q, self.n_neighbors + 1, mode="distance")

    def fit_transform(self, X: Any, y: Any = None) -> Any:
        """Fit, then transform the same.

        Parameters
        ----------
        X
            As in `fit`.
        y : None
            Not used.

        Returns
        -------
        CSR matrix
        """
        return self.fit(X, y).transform(X)

    def fit(self, X: Any, y: Any = None) -> Self:
        """Take in the series."""
        raise NotImplementedError

    def _first_rows(self) -> dict[int, int]:
        """Where the windows of each scale begin in `windows_`."""
        first, rows = {}, 0
        for scale in self._windows_of_all().scales:
            first[scale] = rows
            rows += len(self._windows_of_all().of(scale).rows)
        return first

    def _asked_vectors(self, Q: Any, k: int) -> Iterator[tuple[np.ndarray, int, np.ndarray]]:
        """Places of queries, the scale they are compared at, which has k windows for them, and their vectors."""
        windows = self._windows_of_all()
        if Q is None:
            for scale, first in self._first_rows().items():
                vectors = windows.vectors(scale)
                if len(vectors):
                    at = scale if len(vectors) > k else int(windows.nearest_scales(np.array([scale]), k)[0])
                    yield first + np.arange(len(vectors)), at, vectors
            return
        queries = self._read_windows(Q)
        missing = np.flatnonzero(np.isnan(queries.values).any(1))
        if len(missing):
            one = np.searchsorted(queries.offsets, missing[0], side="right") - 1
            raise ValueError(
                f"Q: query {label_at(queries.labels, int(one))!r} has missing values (NaN). Fill them, or leave it out."
            )
        nearest = windows.nearest_scales(queries.lengths, k)
        for scale in np.unique(nearest):
            places = np.flatnonzero(nearest == scale)
            parts = [queries.values[queries.offsets[i] : queries.offsets[i + 1]] for i in places]
            yield places, int(scale), windows.embed_windows(parts, int(scale))

    def _checked_k(self, k: Any, *, own: bool) -> int:
        k = whole_number(k, "n_neighbors")
        count = len(self._windows_of_all()) - own
        if k > count:
            raise ValueError(f"n_neighbors: found {k}, but there are {count} windows. Ask for fewer.")
        return k


def _without_self(distance: np.ndarray, number: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Drop each window from its own neighbours, or the last one where others at no distance came before it."""
    rest = number != own[:, None]
    rest[rest.all(axis=1), -1] = False
    shape = len(number), number.shape[1] - 1
    return distance[rest].reshape(shape), number[rest].reshape(shape)


def windows_frame(windows: Windows, labels: pd.Index, times: Any) -> pd.DataFrame:
    """The windows as users see them: series, start, end (excluded), scale in rows."""
    parts = []
    for scale in windows.scales:
        _, series, rows = windows.of(scale)
        parts.append(
            pd.DataFrame(
                {
                    "series": labels[series],
                    "start": times.at(series, rows),
                    "end": times.at(series, rows + scale),
                    "scale": np.full(len(rows), scale),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)
