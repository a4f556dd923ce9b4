"""Vectors of windows by encoders of recordings, which give a token for each short patch of time."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from tsrec.retrieval._corpus import Corpus, packed, unpacked
from tsrec.retrieval._windows import Rows, mean_and_spread, reading

# Rows that go through the encoder at a time.
_AT_A_TIME = 1 << 16


class Tokens:
    """Mean and spread of the tokens whose patches lie in each window, each stretch of a series encoded once.

    A stretch begins and ends where its windows do, so that tokens near its ends know less of what is around them.

    Parameters
    ----------
    encoder : estimator
        Fitted; its ``transform_tokens`` takes a list of frames with seconds as index.
    columns : Index
        Channels of the series.
    rate : float
        Rows a second.
    """

    learned, carried = True, True

    def __init__(self, encoder: Any, columns: pd.Index, rate: float) -> None:
        self.encoder, self.columns, self.rate = encoder, columns, rate
        self.n_features = 2 * len(encoder.get_feature_names_out())

    def embed(self, corpus: Corpus, asked: Sequence[Rows], verbose: int = 0) -> list[np.ndarray]:
        """See `Embedding.embed`."""
        found = [np.empty((len(one.rows), self.n_features), np.float32) for one in asked]
        longest = max((one.scale for one in asked if len(one.rows)), default=0)
        # Windows of all scales that begin in the same part of a series are pooled from the same tokens.
        parts = [packed(one.series, one.rows // _AT_A_TIME) for one in asked]
        with reading(asked, verbose) as move:
            for part in np.unique(np.concatenate(parts)):
                chosen = [np.flatnonzero(keys == part) for keys in parts]
                rows = [one.rows[mine] for one, mine in zip(asked, chosen, strict=True)]
                low = min(int(some.min()) for some in rows if len(some))
                last = max(int(some.max()) for some in rows if len(some))
                number = int(unpacked(part)[0])
                high = min(last + longest, int(corpus.lengths[number]))
                times, sums = self._summed(corpus.read(number, low, high))
                for one, mine, some, vectors in zip(asked, chosen, rows, found, strict=True):
                    vectors[mine] = self._pooled(times, sums, some - low, one.scale)
                    move(len(some) * one.scale)
        return found

    def embed_query(self, query: np.ndarray, offsets: np.ndarray, length: int) -> np.ndarray:
        """See `Embedding.embed_query`."""
        return self._pooled(*self._summed(query), offsets, length)

    def kinds(self, corpus: Corpus, asked: Rows, vectors: np.ndarray) -> np.ndarray:  # noqa: ARG002 - as `Embedding`
        """See `Embedding.kinds`: means and spreads as they are, as tokens know little of what came long before."""
        return vectors

    def _summed(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Times of the tokens of rows in seconds, and sums of tokens and of their squares before each."""
        frame = pd.DataFrame(rows, pd.Index(np.arange(len(rows)) / self.rate, name="time"), self.columns)
        tokens = self.encoder.transform_tokens([frame])
        values = tokens.to_numpy(np.float64)
        both = np.concatenate([values, values * values], axis=1)
        times = tokens.index.get_level_values(-1).to_numpy(np.float64)
        return times, np.concatenate([np.zeros((1, both.shape[1])), np.cumsum(both, axis=0)])

    def _pooled(self, times: np.ndarray, sums: np.ndarray, first: np.ndarray, length: int) -> np.ndarray:
        low = np.searchsorted(times, first / self.rate - 1e-9)
        high = np.searchsorted(times, (first + length) / self.rate - 1e-9)
        # A window shorter than a patch has the token that it lies in.
        low = np.minimum(low, np.maximum(high - 1, 0))
        count = np.maximum(high - low, 1)[:, None]
        return mean_and_spread(sums[np.maximum(high, low + 1)] - sums[low], count)
