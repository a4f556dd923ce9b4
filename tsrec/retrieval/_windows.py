"""The windows of all series at several scales: where they begin, and the vectors that stand for them."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from tsrec.retrieval._corpus import Corpus
from tsrec.retrieval._flat import FlatIndex
from tsrec.retrieval._fourier import fourier_embeddings
from tsrec.retrieval._index import VectorIndex
from tsrec.retrieval._moments import moments
from tsrec.training.bar import moving

# Numbers of an embedding without training, and of a channel of it at least.
_FEATURES, _LEAST = 64, 8
# Windows by which units are known.
_FEW = 64
# Size of a coefficient below which it says nothing.
_FAINT = 0.03


class Rows(NamedTuple):
    """Windows of one length: numbers of their series, and their first rows there."""

    scale: int
    series: np.ndarray
    rows: np.ndarray


class Embedding(Protocol):
    """What makes vectors of windows."""

    n_features: int
    learned: bool
    # Whether a row's output depends on the rows before it.
    carried: bool

    def embed(self, corpus: Corpus, asked: Sequence[Rows], verbose: int = 0) -> list[np.ndarray]:
        """Vectors of windows of the corpus, float32 (n_windows, n_features) for each scale; verbose with a bar."""

    def embed_query(self, query: np.ndarray, offsets: np.ndarray, length: int) -> np.ndarray:
        """Vectors of stretches of a query (m, C), float32 (len(offsets), n_features)."""

    def kinds(self, corpus: Corpus, asked: Rows, vectors: np.ndarray) -> np.ndarray:
        """What tells kinds of windows of the corpus apart, whatever their phase; (n_windows, any number).

        `vectors` are theirs, as embedded.
        """


class Fourier:
    """First Fourier coefficients: distances never overstate those of the windows.

    Parameters
    ----------
    n_channels : int
        Channels of the series.
    """

    learned = carried = False

    def __init__(self, n_channels: int) -> None:
        self.each = max(_FEATURES // n_channels // 2 * 2, _LEAST)
        self.n_features = self.each * n_channels

    def embed(self, corpus: Corpus, asked: Sequence[Rows], verbose: int = 0) -> list[np.ndarray]:
        """See `Embedding.embed`."""
        found = []
        with reading(asked, verbose) as move:
            for scale, series, rows in asked:
                at = corpus.positions(series, rows)
                if not len(at):
                    found.append(np.empty((0, self.n_features), np.float32))
                    continue
                low, high = at.min(), at.max() + scale
                values = np.stack([channel.x[low:high] for channel in corpus.channels], axis=1)
                found.append(fourier_embeddings(values, scale, at - low, self.each))
                move(scale * len(rows))
        return found

    def embed_query(self, query: np.ndarray, offsets: np.ndarray, length: int) -> np.ndarray:
        """See `Embedding.embed_query`."""
        return fourier_embeddings(query, length, offsets, self.each)

    def kinds(self, corpus: Corpus, asked: Rows, vectors: np.ndarray) -> np.ndarray:  # noqa: ARG002 - as `Embedding`
        """See `Embedding.kinds`: logarithms of the coefficients' sizes."""
        return np.log(np.hypot(vectors[:, ::2], vectors[:, 1::2]) + _FAINT)


class Windows:
    """Windows that begin at every so many rows of each series, and their vectors.

    Parameters
    ----------
    arrays : Store
        Where they are kept: "windows/64/series" and so on.
    steps : dict
        Rows from one to the next, by their length.
    embedding : Embedding
        Makes the vectors.
    engine : callable, optional
        Makes, or reads, another index of the vectors than the flat one: (scale, n_features) -> VectorIndex.
    fresh : callable, optional
        Makes an empty one: n_features -> VectorIndex.
    device : torch.device
        Where vectors are compared.
    """

    def __init__(
        self,
        arrays: Any,
        steps: dict[int, int],
        embedding: Embedding,
        *,
        engine: Callable[[int, int], VectorIndex] | None = None,
        fresh: Callable[[int], VectorIndex] | None = None,
        device: Any = "cpu",
    ) -> None:
        self.arrays, self.steps, self.scales, self.embedding = arrays, steps, sorted(steps), embedding
        size, self._device = embedding.n_features, device
        self._flat: dict[int, FlatIndex] = {}
        # Another index, also one made anew, without what was saved.
        self._fresh = fresh
        self._index: dict[int, VectorIndex] = {} if engine is None else {s: engine(s, size) for s in self.scales}
        for scale in self.scales:
            self._make_arrays(scale)
            if scale in self._index and len(self.vectors(scale)) > len(self._index[scale]):
                known = len(self._index[scale])
                self._index[scale].add(np.arange(known, len(self.vectors(scale))), self.vectors(scale)[known:])

    def extend(self, corpus: Corpus, series: np.ndarray, before: np.ndarray, verbose: int = 0) -> int:
        """Take in the windows that rows behind the first `before` of some series have made whole; verbose with a bar.

        Returns
        -------
        int
            How many were left out, as samples are missing.
        """
        both = [self._new(corpus, scale, series, before) for scale in self.scales]
        asked = [one for one, _ in both]
        for one, vectors in zip(asked, self.embedding.embed(corpus, asked, verbose), strict=True):
            if self.embedding.learned and 0 < len(self.of(one.scale).rows) < _FEW and len(vectors):
                one, vectors = self._started_anew(one, vectors)
            first = len(self.of(one.scale).rows)
            self.arrays.append(f"windows/{one.scale}/series", one.series.astype(np.int32))
            self.arrays.append(f"windows/{one.scale}/row", one.rows)
            if self.embedding.learned and not len(self.arrays.array(f"windows/{one.scale}/units")) and len(vectors):
                spread = vectors.std(0, dtype=np.float64)
                self.arrays.append(f"windows/{one.scale}/units", [vectors.mean(0, dtype=np.float64), spread])
            vectors, norm = self._in_units(vectors, one.scale)
            self.arrays.append(f"windows/{one.scale}/norm", norm)
            numbers = first + np.arange(len(vectors))
            for index in (self._flat[one.scale], self._index.get(one.scale)):
                if index is not None and len(vectors):
                    index.add(numbers, vectors)
        return sum(skipped for _, skipped in both)

    def of(self, scale: int) -> Rows:
        """All windows of a scale."""
        return Rows(scale, self.arrays.array(f"windows/{scale}/series"), self.arrays.array(f"windows/{scale}/row"))

    def vectors(self, scale: int) -> np.ndarray:
        """Their vectors, float32 (n_windows, n_features)."""
        return self.arrays.array(f"windows/{scale}/vectors")

    def search(self, scale: int, vectors: np.ndarray, k: int, mask: Any = None) -> tuple[np.ndarray, np.ndarray]:
        """Distances and numbers of the nearest windows of a scale; see `VectorIndex.search`."""
        return self._index.get(scale, self._flat[scale]).search(vectors, k, mask)

    def features(self, corpus: Corpus, scale: int, chosen: np.ndarray) -> np.ndarray:
        """What kind of window each of some windows of a scale is, whatever its phase; float (n, any number).

        What the embedding says of kinds, and the levels and logarithms of the spreads of all channels.
        """
        if not len(chosen):
            return np.empty((0, 0))
        _, series, rows = self.of(scale)
        asked = Rows(scale, series[chosen], rows[chosen])
        at = corpus.positions(asked.series, asked.rows)
        low, high = at.min(), at.max() + scale
        found = [moments(np.asarray(channel.x[low:high], np.float64), scale) for channel in corpus.channels]
        level = np.stack([one.mean[at - low] for one in found], axis=1)
        spread = np.stack([np.log(one.norm[at - low] / np.sqrt(scale) + 1e-12) for one in found], axis=1)
        kinds = self.embedding.kinds(corpus, asked, self._embedded(scale, chosen))
        return np.concatenate([kinds, level, spread], axis=1)

    def embed_query(self, query: np.ndarray, offsets: np.ndarray, length: int, scale: int) -> np.ndarray:
        """Vectors of stretches of a query (m, C), to be compared with the windows of a scale."""
        return self._in_units(self.embedding.embed_query(query, offsets, length), scale)[0]

    def save_index(self, folder: Path) -> None:
        """Write the other index, a folder for each scale; nothing where there is none."""
        for scale, index in self._index.items():
            index.save(f"{folder}-{scale}")

    def embed_windows(self, queries: Sequence[np.ndarray], scale: int) -> np.ndarray:
        """Vectors of whole queries, each (m, C) of its own length, to be compared with the windows of a scale."""
        lengths = np.array([len(one) for one in queries])
        found = np.empty((len(queries), self.embedding.n_features), np.float32)
        for length in np.unique(lengths):
            some = np.flatnonzero(lengths == length)
            for chosen in some[:, None] if self.embedding.carried else some[None]:
                rows = np.concatenate([queries[int(i)] for i in chosen])
                found[chosen] = self.embed_query(rows, np.arange(len(chosen)) * length, int(length), scale)
        return found

    def nearest_scales(self, lengths: np.ndarray, least: int = 1, *, among: Sequence[int] | None = None) -> np.ndarray:
        """The scale with `least` windows that is nearest to each length, as a ratio; the smaller one of two."""
        counts = {scale: len(self.of(scale).rows) for scale in among or self.scales}
        scales = np.array([scale for scale in counts if counts[scale] >= least] or [max(counts, key=counts.get)])  # type: ignore[arg-type]
        return scales[np.abs(np.log(lengths[:, None] / scales)).argmin(1)]

    def __len__(self) -> int:
        return sum(len(self.of(scale).rows) for scale in self.scales)

    def _started_anew(self, more: Rows, vectors: np.ndarray) -> tuple[Rows, np.ndarray]:
        """Windows behind those so far, which are taken out: they were too few to tell the mean and spread of vectors.

        Nothing is committed, as the store may hold rows by now that it does not know the series of.
        """
        scale = more.scale
        _, series, rows = self.of(scale)
        raw = np.concatenate([self._embedded(scale, np.arange(len(rows))), vectors])
        both = Rows(scale, np.concatenate([series, more.series]), np.concatenate([rows, more.rows]))
        for name in [name for name in self.arrays.names() if name.startswith(f"windows/{scale}/")]:
            self.arrays.drop(name)
        self._make_arrays(scale)
        if self._fresh is not None:
            self._index[scale] = self._fresh(self.embedding.n_features)
        return both, raw

    def _make_arrays(self, scale: int) -> None:
        size, name = self.embedding.n_features, f"windows/{scale}/"
        self._flat[scale] = FlatIndex(size, device=self._device, store=self.arrays, name=name)
        if f"{name}series" not in self.arrays.names():
            self.arrays.create(f"{name}series", np.int32)
            self.arrays.create(f"{name}row", np.int64)
            # What vectors are brought to their units by: their mean and spread over the first that came.
            self.arrays.create(f"{name}units", np.float64, (size,))
            # Their sizes in these units, from which they are brought to 1.
            self.arrays.create(f"{name}norm", np.float32)

    def _in_units(self, vectors: np.ndarray, scale: int) -> tuple[np.ndarray, np.ndarray]:
        """Vectors of norm 1 in the units of the scale, and their norms before."""
        units = self.arrays.array(f"windows/{scale}/units")
        # A scale without windows has no units.
        if not self.embedding.learned or not len(units):
            return vectors, np.ones(len(vectors), np.float32)
        return _scaled(vectors, units)

    def _embedded(self, scale: int, chosen: np.ndarray) -> np.ndarray:
        """Vectors as the embedding made them."""
        vectors = self.vectors(scale)[chosen]
        if not self.embedding.learned:
            return vectors
        mean, spread = self.arrays.array(f"windows/{scale}/units")
        return vectors * self.arrays.array(f"windows/{scale}/norm")[chosen, None] * spread + mean

    def _new(self, corpus: Corpus, scale: int, series: np.ndarray, before: np.ndarray) -> tuple[Rows, int]:
        step = self.steps[scale]
        first = np.maximum(-(-(before - scale + 1) // step), 0)
        last = (corpus.lengths[series] - scale) // step
        count = np.maximum(last - first + 1, 0)
        number = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        owner, rows = np.repeat(series, count), (np.repeat(first, count) + number) * step
        whole = _whole(corpus, owner, rows, scale)
        return Rows(scale, owner[whole], rows[whole]), int((~whole).sum())


def reading(asked: Sequence[Rows], verbose: int) -> AbstractContextManager[Callable[[int], Any]]:
    """A bar over the rows of windows, each as often as it lies in one."""
    total = sum(one.scale * len(one.rows) for one in asked)
    return moving(total, label="windows", unit="row", verbose=verbose)


def mean_and_spread(sums: np.ndarray, count: int | np.ndarray) -> np.ndarray:
    """Means and standard deviations, float32 (n, 2 * width), from sums of outputs and of their squares."""
    mean, square = np.split(sums / count, 2, axis=1)
    return np.concatenate([mean, np.sqrt(np.maximum(square - mean * mean, 0.0))], axis=1).astype(np.float32)


def _scaled(vectors: np.ndarray, units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean, spread = units
    found = (vectors - mean) / np.where(spread > 0, spread, np.inf)
    norm = np.linalg.norm(found, axis=1)
    return (found / np.where(norm > 0, norm, np.inf)[:, None]).astype(np.float32), norm.astype(np.float32)


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
