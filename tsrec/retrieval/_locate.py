"""How a query is answered: every window compared, or candidates looked up and then compared."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from tsrec.retrieval._coarse import Candidates, candidates
from tsrec.retrieval._corpus import Bridges, Corpus
from tsrec.retrieval._exact import nearest
from tsrec.retrieval._sliding import distances, units_of
from tsrec.retrieval._windows import Windows


class Found(NamedTuple):
    """Answers, nearest first: numbers of series, first rows, z-normalised distances."""

    series: np.ndarray
    rows: np.ndarray
    distance: np.ndarray


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
    """

    picked: Sequence[int]
    k: int
    exclusion: float
    limit: float
    low: np.ndarray
    high: np.ndarray

    def apart(self, m: int) -> int:
        """Rows that two answers are apart at least."""
        return max(int(np.ceil(self.exclusion * m)), 1)


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
    )
    return _ordered(*searched.where(at), distance)


def search_candidates(
    corpus: Corpus, windows: Windows, look_up: Callable, query: np.ndarray, asked: Asked, n_candidates: int
) -> Found:
    """Look candidates up by windows of the two longest scales that are no longer than the query, and compare those."""
    m = len(query)
    series, rows, squared = (
        np.concatenate(parts)
        for parts in zip(
            *(
                _refined(corpus, _looked_up(corpus, windows, look_up, query, scale, asked, n_candidates), query, asked)
                for scale in sorted(one for one in windows.scales if one <= m)[-2:]
            ),
            strict=True,
        )
    )
    return _apart(series, rows, np.sqrt(squared), asked, asked.apart(m))


def _looked_up(
    corpus: Corpus, windows: Windows, look_up: Callable, query: np.ndarray, scale: int, asked: Asked, n_candidates: int
) -> Candidates:
    inside = None
    if (asked.low > 0).any() or (asked.high < corpus.lengths).any():
        # A window of an answer is inside of where answers may be.
        of_scale = windows.of(scale)
        inside = (of_scale.rows >= asked.low[of_scale.series]) & (of_scale.rows + scale <= asked.high[of_scale.series])
    found = candidates(windows, look_up, query, scale, n_candidates, inside)
    step = windows.steps[scale]
    return found._replace(low=found.low - step, high=found.high + step)


def _refined(
    corpus: Corpus, found: Candidates, query: np.ndarray, asked: Asked
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Squared distances of all rows around candidates."""
    m, units = len(query), [units_of(np.ascontiguousarray(column)) for column in query.T]
    searched = Bridges(corpus, m, asked.picked)
    channels = searched.parts[0].channels
    ends = asked.high - m + 1
    low = np.maximum(found.low, asked.low[found.series])
    high = np.minimum(found.high + 1, ends[found.series])
    parts = []
    for series, first, last in zip(found.series, low, high, strict=True):
        for start, stop in corpus.ranges(int(series), int(first), int(last)):
            stop = min(stop, len(channels[0].x) - m + 1)
            if start < stop:
                squared = distances(channels, units, start, stop)
                parts.append((np.arange(start, stop)[squared < np.inf], squared[squared < np.inf]))
    at = np.concatenate([part[0] for part in parts]) if parts else np.empty(0, np.int64)
    squared = np.concatenate([part[1] for part in parts]) if parts else np.empty(0)
    series, rows = corpus.where(at)
    return series, rows, squared


def _apart(series: np.ndarray, rows: np.ndarray, distance: np.ndarray, asked: Asked, apart: int) -> Found:
    """The nearest that are apart from nearer ones."""
    order = np.lexsort([rows, series, distance])
    kept: list[int] = []
    left = np.ones(len(order), dtype=bool)
    for place, one in enumerate(order):
        if len(kept) == asked.k or distance[one] > asked.limit:
            break
        if left[place]:
            kept.append(int(one))
            left[(series[order] == series[one]) & (np.abs(rows[order] - rows[one]) < apart)] = False
    return Found(series[kept], rows[kept], distance[kept])


def _ordered(series: np.ndarray, rows: np.ndarray, distance: np.ndarray) -> Found:
    order = np.lexsort([rows, series, np.round(distance, 7)])
    return Found(series[order], rows[order], distance[order])
