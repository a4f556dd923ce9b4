"""The windows of all series at several scales: where they begin, and the vectors that stand for them."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from tsrec.retrieval._corpus import Corpus
from tsrec.retrieval._fourier import fourier_embeddings

# Numbers of an embedding without training, and of a channel of it at least.
_FEATURES, _LEAST = 64, 8


class Rows(NamedTuple):
    """Windows of one length: numbers of their series, and their first rows there."""

    scale: int
    series: np.ndarray
    rows: np.ndarray


class Embedding(Protocol):
    """What makes vectors of windows."""

    n_features: int

    def embed(self, corpus: Corpus, asked: Sequence[Rows]) -> list[np.ndarray]:
        """Vectors of windows of the corpus, float32 (n_windows, n_features) for each scale."""

    def embed_query(self, query: np.ndarray, offsets: np.ndarray, length: int) -> np.ndarray:
        """Vectors of stretches of a query (m, C), float32 (len(offsets), n_features)."""


class Fourier:
    """First Fourier coefficients: distances never overstate those of the windows.

    Parameters
    ----------
    n_channels : int
        Channels of the series.
    """

    def __init__(self, n_channels: int) -> None:
        self.each = max(_FEATURES // n_channels, _LEAST)
        self.n_features = self.each * n_channels

    def embed(self, corpus: Corpus, asked: Sequence[Rows]) -> list[np.ndarray]:
        """See `Embedding.embed`."""
        found = []
        for scale, series, rows in asked:
            at = corpus.positions(series, rows)
            low, high = at.min(initial=0) if not len(at) else at.min(), at.max(initial=-1) + scale
            values = np.stack([channel.x[low:high] for channel in corpus.channels], axis=1)
            found.append(fourier_embeddings(values, scale, at - low, self.each))
        return found

    def embed_query(self, query: np.ndarray, offsets: np.ndarray, length: int) -> np.ndarray:
        """See `Embedding.embed_query`."""
        return fourier_embeddings(query, length, offsets, self.each)


class Windows:
    """Windows that begin at every so many rows of each series, and their vectors.

    Parameters
    ----------
    arrays : Memory or Directory
        Where they are kept: "windows/64/series" and so on.
    scales : sequence of int
        Their lengths.
    stride : float
        Rows from one to the next, as a share of the length.
    embedding : Embedding
        Makes the vectors.
    """

    def __init__(self, arrays: Any, scales: Sequence[int], stride: float, embedding: Embedding) -> None:
        self.arrays, self.scales, self.embedding = arrays, list(scales), embedding
        self.steps = {scale: max(round(stride * scale), 1) for scale in scales}
        self.skipped = 0
        for scale in self.scales:
            if f"windows/{scale}/series" not in arrays.names():
                arrays.create(f"windows/{scale}/series", np.int32)
                arrays.create(f"windows/{scale}/row", np.int64)
                arrays.create(f"windows/{scale}/vector", np.float32, (embedding.n_features,))

    def extend(self, corpus: Corpus, series: np.ndarray, before: np.ndarray) -> None:
        """Take in the windows that rows behind the first `before` of some series have made whole."""
        asked = [self._new(corpus, scale, series, before) for scale in self.scales]
        for one, vectors in zip(asked, self.embedding.embed(corpus, asked), strict=True):
            self.arrays.append(f"windows/{one.scale}/series", one.series.astype(np.int32))
            self.arrays.append(f"windows/{one.scale}/row", one.rows)
            self.arrays.append(f"windows/{one.scale}/vector", vectors)

    def of(self, scale: int) -> Rows:
        """All windows of a scale."""
        return Rows(scale, self.arrays.array(f"windows/{scale}/series"), self.arrays.array(f"windows/{scale}/row"))

    def vectors(self, scale: int) -> np.ndarray:
        """Their vectors, float32 (n_windows, n_features)."""
        return self.arrays.array(f"windows/{scale}/vector")

    def __len__(self) -> int:
        return sum(len(self.of(scale).rows) for scale in self.scales)

    def _new(self, corpus: Corpus, scale: int, series: np.ndarray, before: np.ndarray) -> Rows:
        step = self.steps[scale]
        first = np.maximum(-(-(before - scale + 1) // step), 0)
        last = (corpus.lengths[series] - scale) // step
        count = np.maximum(last - first + 1, 0)
        number = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        owner, rows = np.repeat(series, count), (np.repeat(first, count) + number) * step
        whole = _whole(corpus, owner, rows, scale)
        self.skipped += int((~whole).sum())
        return Rows(scale, owner[whole], rows[whole])


def _whole(corpus: Corpus, series: np.ndarray, rows: np.ndarray, scale: int) -> np.ndarray:
    """Which windows have no missing samples."""
    at = corpus.positions(series, rows)
    if not len(at):
        return np.ones(0, dtype=bool)
    low, high = at.min(), at.max() + scale
    missing = np.zeros(high - low + 1, np.int64)
    for channel in corpus.channels:
        missing[1:] += np.isnan(channel.x[low:high])
    missing = np.cumsum(missing)
    return missing[at - low + scale] == missing[at - low]
