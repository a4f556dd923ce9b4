"""How a query is answered: every window compared, or candidates looked up and then compared."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from tsrec.retrieval._asked import rows_apart
from tsrec.retrieval._coarse import Candidates, candidates
from tsrec.retrieval._corpus import Bridges, Corpus
from tsrec.retrieval._dtw import nearest_dtw
from tsrec.retrieval._exact import nearest
from tsrec.retrieval._sliding import distances, units_of
from tsrec.retrieval._warp import warped
from tsrec.retrieval._windows import Windows


class Found(NamedTuple):
    """Answers, nearest first.

    Attributes
    ----------
    series, rows : int64 arrays of shape (n,)
        Numbers of their series, and their first rows.
    distance : float64 array of shape (n,)
        Z-normalised where they are verified by samples, else of vectors.
    length : int64 array of shape (n,)
        Rows of each.
    verified : bool
        Whether samples were compared.
    """

    series: np.ndarray
    rows: np.ndarray
    distance: np.ndarray
    length: np.ndarray
    verified: bool = True


Search = Callable[[np.ndarray, "Asked"], Found]


class Asked(NamedTuple):
    """What is asked besides the query.

    Attributes
    ----------
    picked : sequence of int
        Channels that are compared.
    k : int
        Answers at most.
    exclusion : float
        Share of the query's length that two of them are apart at least.
    limit : float
        Greatest distance.
    low, high : int64 array of shape (n_series,)
        Rows of each series that answers may cover.
    raw : bool
        Whether samples are compared as they are, not z-normalised.
    own : (int, int), optional
        Series and row near which there is no answer: where the query was cut from.
    n_jobs : int
        Threads that compare all windows.
    scales : sequence of int, optional
        Lengths of the indexed windows that are looked in; all when omitted.
    """

    picked: Sequence[int]
    k: int
    exclusion: float
    limit: float
    low: np.ndarray
    high: np.ndarray
    raw: bool = False
    own: tuple[int, int] | None = None
    n_jobs: int = 1
    scales: Sequence[int] | None = None

    def apart(self, m: int) -> int:
        """Rows that two answers are apart at least."""
        return rows_apart(self.exclusion, m)


def search_all(corpus: Corpus, query: np.ndarray, asked: Asked) -> Found:
    """Compare a query (m, n_picked) with every window."""
    m = len(query)
    searched, apart = Bridges(corpus, m, asked.picked), asked.apart(m)
    ends = np.maximum(asked.high - m + 1, asked.low)
    at, distance = nearest(
        searched.parts,
        query,
        asked.k,
        apart=lambda one: searched.around(one, apart),
        limit=asked.limit,
        closed=searched.closed(asked.low, ends),
        raw=asked.raw,
        n_jobs=asked.n_jobs,
    )
    series, rows = searched.where(at)
    order = np.lexsort([rows, series, np.round(distance, 7)])
    return Found(series[order], rows[order], distance[order], np.full(len(order), m))


def search_candidates(corpus: Corpus, windows: Windows, query: np.ndarray, asked: Asked, n_candidates: int) -> Found:
    """Look candidates up by windows of the two longest scales that are no longer than the query, and compare those.

    All windows are compared with a query that is shorter than every scale.
    """
    m = len(query)
    scales = [one for one in asked.scales or windows.scales if one <= m][-2:]
    if not scales:
        return search_all(corpus, query, asked)
    # Vectors of windows know all channels, in their own order.
    query = query[:, np.argsort(asked.picked)]
    asked = asked._replace(picked=range(len(asked.picked)))
    series, rows, squared = (
        np.concatenate(parts)
        for parts in zip(
            *(
                _refined(corpus, _looked_up(corpus, windows, query, scale, asked, n_candidates), query, asked)
                for scale in scales
            ),
            strict=True,
        )
    )
    return _apart(series, rows, np.sqrt(squared), np.full(len(rows), m), asked, m)


def search_windows(corpus: Corpus, windows: Windows, query: np.ndarray, asked: Asked, *, n_candidates: int) -> Found:
    """Take the indexed windows whose vectors are nearest to that of a query, at the scale nearest to its length."""
    query = query[:, np.argsort(asked.picked)]
    scale = int(windows.nearest_scales(np.array([len(query)]), among=asked.scales)[0])
    vector = windows.embed_query(query, np.zeros(1, np.int64), len(query), scale)
    total, n = len(windows.of(scale).rows), n_candidates
    while True:
        distance, number = windows.search(scale, vector, n, _inside(corpus, windows, scale, asked))
        number, distance = number[0][number[0] >= 0], distance[0][number[0] >= 0].astype(np.float64)
        _, series, rows = windows.of(scale)
        length = np.full(len(number), scale)
        found = _apart(series[number].astype(np.int64), rows[number], distance, length, asked, scale)
        # Neighbours in time fill the list: the answers that are apart may lie behind them.
        if len(found.rows) == asked.k or n >= total or (len(distance) and distance[-1] > asked.limit):
            return found._replace(verified=False)
        n = min(4 * n, total)


def reranked(
    search: Search, query: np.ndarray, asked: Asked, *, corpus: Corpus, n_candidates: int, band: float
) -> Found:
    """Measure what another search finds by dynamic time warping, and order it anew."""
    m = len(query)
    # The best by warping may begin beside the best without, but not far from it.
    wide = search(query, asked._replace(k=n_candidates, limit=np.inf, exclusion=min(asked.exclusion, band / 2)))
    windows = [
        corpus.read(int(series), int(row), int(row + length))[:, list(asked.picked)]
        for series, row, length in zip(wide.series, wide.rows, wide.length, strict=True)
    ]
    if not windows:
        return wide
    starts = np.cumsum(wide.length) - wide.length
    order, distance = nearest_dtw(query, np.concatenate(windows), starts, lengths=wide.length, k=len(starts), band=band)
    return _apart(wide.series[order], wide.rows[order], distance, wide.length[order], asked, m)


def stretched(search: Search, query: np.ndarray, asked: Asked, factors: tuple[float, ...]) -> Found:
    """Search for a query at several lengths; distances of samples are brought to that of its own."""
    m, parts = len(query), []
    for one in warped(query, factors):
        by = np.sqrt(len(one) / m)
        found = search(one, asked._replace(limit=asked.limit * max(by, 1.0)))
        # Those of vectors are the same at any length.
        parts.append(found._replace(distance=found.distance / by) if found.verified else found)
    series, rows, distance, length = (
        np.concatenate([part[field] for part in parts]) for field in range(len(Found._fields) - 1)
    )
    found = _apart(series, rows, distance, length, asked, m)
    return found._replace(verified=all(part.verified for part in parts))


def without_own(search: Search, query: np.ndarray, asked: Asked) -> Found:
    """Search, and leave out what lies where the query was cut from."""
    if asked.own is None:
        return search(query, asked)
    found = search(query, asked._replace(k=asked.k + 1))
    series, row = asked.own
    kept = np.flatnonzero((found.series != series) | (np.abs(found.rows - row) >= asked.apart(len(query))))[: asked.k]
    return Found(found.series[kept], found.rows[kept], found.distance[kept], found.length[kept], found.verified)


def _looked_up(
    corpus: Corpus, windows: Windows, query: np.ndarray, scale: int, asked: Asked, n_candidates: int
) -> Candidates:
    return candidates(windows, query, scale, n_candidates, _inside(corpus, windows, scale, asked))


def _inside(corpus: Corpus, windows: Windows, scale: int, asked: Asked) -> np.ndarray | None:
    """Which windows of a scale lie where answers may be; None for all."""
    if not (asked.low > 0).any() and not (asked.high < corpus.lengths).any():
        return None
    _, series, rows = windows.of(scale)
    return (rows >= asked.low[series]) & (rows + scale <= asked.high[series])


def _refined(
    corpus: Corpus, found: Candidates, query: np.ndarray, asked: Asked
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Squared distances of all rows around candidates."""
    m, units = len(query), units_of(query, raw=asked.raw)
    searched = Bridges(corpus, m, asked.picked)
    ends = asked.high - m + 1
    low = np.maximum(found.low, asked.low[found.series])
    high = np.minimum(found.high + 1, ends[found.series])
    parts = []
    for series, first, last in zip(found.series, low, high, strict=True):
        for start, stop in searched.ranges(int(series), int(first), int(last)):
            channels, begin = searched.parts[int(start >= searched.first)]
            stop = min(stop, begin + len(channels[0].x) - m + 1)
            if start < stop:
                squared = distances(channels, units, start - begin, stop - begin)
                parts.append((np.arange(start, stop)[squared < np.inf], squared[squared < np.inf]))
    at = np.concatenate([part[0] for part in parts]) if parts else np.empty(0, np.int64)
    squared = np.concatenate([part[1] for part in parts]) if parts else np.empty(0)
    series, rows = searched.where(at)
    return series, rows, squared


def _apart(
    series: np.ndarray, rows: np.ndarray, distance: np.ndarray, length: np.ndarray, asked: Asked, m: int
) -> Found:
    """The nearest that are apart from nearer ones."""
    order = np.lexsort([length, rows, series, distance])
    series, rows, distance, length = series[order], rows[order], distance[order], length[order]
    kept: list[int] = []
    left, apart = distance <= asked.limit, asked.apart(m)
    while len(kept) < asked.k and left.any():
        one = int(left.argmax())
        kept.append(one)
        left &= (series != series[one]) | (np.abs(rows - rows[one]) >= apart)
    return Found(series[kept], rows[kept], distance[kept], length[kept])


def scores(query: np.ndarray, found: Found, asked: Asked) -> np.ndarray:
    """How good answers are, from 0 to 1, by their distances."""
    if not found.verified:
        return 1 - found.distance**2 / 4
    if not asked.raw:
        return 1 - found.distance**2 / (4 * query.size)
    own = np.square(query - query.mean(0)).sum()
    return 1 / (1 + found.distance**2 / own) if own > 0 else (found.distance == 0).astype(float)
