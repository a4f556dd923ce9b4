"""Vectors of windows by fitted encoders: outputs pooled over windows, after one pass over a series or over each."""

from collections.abc import Callable, Iterator, Sequence
from math import gcd
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from tsrec.retrieval._corpus import Corpus
from tsrec.retrieval._known import bare
from tsrec.retrieval._tokens import Tokens
from tsrec.retrieval._windows import Embedding, Fourier, Rows, mean_and_spread, reading
from tsrec.training import single_thread
from tsrec.training.bar import moving, still

# Numbers that go through an encoder at a time.
_AT_A_TIME = 1 << 20
# Spread of an output below which it says nothing; most are near 1.
_FAINT = 0.1


def learned_embedding(
    encoder: Any, columns: pd.Index, steps: dict[int, int], rate: float | None, *, carry: bool
) -> Embedding:
    """What makes vectors by a fitted encoder.

    Parameters
    ----------
    encoder : estimator
        With ``transform``, and ``transform_steps`` or ``transform_tokens`` if it has them. It may be in scikit-learn's
        FrozenEstimator.
    columns : Index
        Channels of the series.
    steps : dict
        Rows from one window to the next by their length.
    rate : float, optional
        Rows a second, where times tell.
    carry : bool
        Whether an encoder that can goes through each series once, its state being handed on from window to window.

    Returns
    -------
    Steps, Apart, Tokens or Whole
    """
    encoder = bare(encoder)
    lacking = [name for name in ("transform", "get_feature_names_out") if not hasattr(encoder, name)]
    if lacking:
        raise TypeError(
            f"encoder: found {type(encoder).__name__}, which has no {lacking[0]}. Give 'auto' or a fitted encoder."
        )
    try:
        check_is_fitted(encoder)
    except NotFittedError:
        raise NotFittedError(
            f"encoder: this {type(encoder).__name__} is not fitted. Fit it first. If it was: clone, and GridSearchCV, "
            "which clones, unfit it; sklearn.frozen.FrozenEstimator(encoder) stays as it is."
        ) from None
    if hasattr(encoder, "transform_tokens"):
        if rate is None:
            raise ValueError(
                "encoder: it reads recordings, but no times tell how fast X was sampled. Give X an index of seconds, "
                "as tsrec.frames.recording does."
            )
        return Tokens(encoder, columns, rate)
    if not (hasattr(encoder, "transform_steps") and encoder.module_.causal and encoder.normalisation_ != "series"):
        return Whole(encoder, columns)
    encoder._check_columns(columns, "X")
    if encoder.n_channels_ != len(columns):
        raise ValueError(f"encoder: it knows {encoder.n_channels_} channels, X has {len(columns)}.")
    return Steps(encoder, steps) if carry else Apart(encoder)


class _Passed(NamedTuple):
    """How far an encoder has gone through a series.

    Attributes
    ----------
    rows : int
        Rows gone through.
    state : SequenceState
        The encoder's, there.
    first : int
        First row before which a sum is kept.
    sums : float64 array of shape (n, n_features)
        Sums of all outputs, and of their squares, before that row, and so on every `grain` rows.
    total : float64 array of shape (n_features,)
        Of all.
    """

    rows: int
    state: Any
    first: int
    sums: np.ndarray
    total: np.ndarray


class _Pooled:
    """Mean and spread of a causal encoder's outputs over windows.

    Parameters
    ----------
    encoder : SeriesEncoder
        Fitted, causal.
    """

    learned = True

    def __init__(self, encoder: Any) -> None:
        self.encoder, self.n_features = encoder, 2 * int(encoder.module_.width)

    def kinds(self, corpus: Corpus, asked: Rows, vectors: np.ndarray) -> np.ndarray:
        """See `Embedding.kinds`: logarithms of the spreads, and the spectra of the windows themselves.

        Where a state is carried, outputs hold what came long before a window, too: their means are left out, and
        spectra, which know of nothing else, stand beside their spreads. It is the same for windows read by themselves.
        Other encoders, and tokens, say means and spreads: whether spectra would tell more has not been measured there.
        """
        spreads = np.log(np.maximum(vectors[:, self.n_features // 2 :], 0.0) + _FAINT)
        own = Fourier(len(corpus.channels))
        return np.concatenate([spreads, own.kinds(corpus, asked, *own.embed(corpus, [asked]))], axis=1)

    def _outputs(self, rows: np.ndarray, state: Any) -> Iterator[tuple[np.ndarray, Any]]:
        """Outputs and their squares, (B, n, n_features), part by part of rows (B, n, C), and the state behind each."""
        model = self.encoder.module_
        device = next(iter(model.state_dict().values())).device
        size = model.part_length(len(rows))
        with single_thread(device.type == "cpu"), torch.no_grad():
            for at in range(0, rows.shape[1], size):
                x = torch.from_numpy(self.encoder._in_units(rows[:, at : at + size])).float().to(device)
                y, state = model.outputs(x, state)
                found = y.cpu().numpy().astype(np.float64)
                yield np.concatenate([found, found * found], axis=2), state


class Steps(_Pooled):
    """Means and spreads of windows, the encoder going through every series once.

    What came before a window is in its vector, then, but not in that of a query, which begins with nothing.

    Parameters
    ----------
    encoder : SeriesEncoder
        Fitted, causal.
    steps : dict
        Rows from one window to the next by their length.
    """

    carried = True

    def __init__(self, encoder: Any, steps: dict[int, int]) -> None:
        super().__init__(encoder)
        self.grain = gcd(*steps, *steps.values())
        self.longest = max(steps)
        self._known: dict[int, _Passed] = {}

    def __getstate__(self) -> dict[str, Any]:
        """What is saved: without states, so that the next rows of a series make it be gone through again."""
        return {**vars(self), "_known": {}}

    def embed(self, corpus: Corpus, asked: Sequence[Rows], verbose: int = 0) -> list[np.ndarray]:
        """See `Embedding.embed`."""
        found = [np.empty((len(one.rows), self.n_features), np.float32) for one in asked]
        # The windows of a series stand together.
        spans = [_spans(one.series) for one in asked]
        numbers = sorted(set().union(*spans))
        known = sum(self._known[number].rows for number in numbers if number in self._known)
        total = sum(int(corpus.lengths[number]) for number in numbers) - known
        with moving(total, label="windows", unit="row", verbose=verbose) as move:
            for number in numbers:
                first, sums = self._sums(corpus, number, move)
                for one, vectors, span in zip(asked, found, spans, strict=True):
                    mine = span.get(number, slice(0))
                    low = (one.rows[mine] - first) // self.grain
                    vectors[mine] = mean_and_spread(sums[low + one.scale // self.grain] - sums[low], one.scale)
        return found

    def embed_query(self, query: np.ndarray, offsets: np.ndarray, length: int) -> np.ndarray:
        """See `Embedding.embed_query`."""
        model = self.encoder.module_
        parts = [y[0] for y, _ in self._outputs(query[None], model.init_state(1))]
        sums = np.concatenate([np.zeros((1, self.n_features)), np.concatenate(parts).cumsum(0)])
        return mean_and_spread(sums[offsets + length] - sums[offsets], length)

    def _sums(self, corpus: Corpus, number: int, move: Callable[[int], Any]) -> tuple[int, np.ndarray]:
        """Sums of outputs and squares before every `grain` rows of a series, from a row on."""
        nothing = np.zeros((1, self.n_features))
        known = self._known.get(number) or _Passed(0, self.encoder.module_.init_state(1), 0, nothing, nothing[0])
        at, state, total, kept = known.rows, known.state, known.total, [known.sums]
        for (y,), after in self._outputs(corpus.read(number, at, int(corpus.lengths[number]))[None], state):
            sums = total + y.cumsum(0)
            kept.append(sums[np.arange(at + 1, at + len(y) + 1) % self.grain == 0])
            total, at, state = sums[-1], at + len(y), after
            move(len(y))
        grid = np.concatenate(kept)
        old = max(len(grid) - self.longest // self.grain - 1, 0)
        self._known[number] = _Passed(at, state, known.first + old * self.grain, grid[old:].copy(), total)
        return known.first, grid


def _spans(series: np.ndarray) -> dict[int, slice]:
    """Where the windows of each series stand."""
    if not len(series):
        return {}
    first = np.flatnonzero(np.append(True, series[1:] != series[:-1]))
    last = np.append(first[1:], len(series))
    return {int(series[low]): slice(low, high) for low, high in zip(first, last, strict=True)}


class Apart(_Pooled):
    """Means and spreads of windows, each of which the encoder reads by itself, as it reads a query."""

    carried = False

    def embed(self, corpus: Corpus, asked: Sequence[Rows], verbose: int = 0) -> list[np.ndarray]:
        """See `Embedding.embed`."""
        with reading(asked, verbose) as move:
            return [self._read(windows_of(corpus, one), len(one.rows), one.scale, move) for one in asked]

    def embed_query(self, query: np.ndarray, offsets: np.ndarray, length: int) -> np.ndarray:
        """See `Embedding.embed_query`."""
        return self._read(lambda i: query[offsets[i] : offsets[i] + length], len(offsets), length)

    def _read(
        self, window: Callable[[int], np.ndarray], count: int, length: int, move: Callable[[int], Any] = still
    ) -> np.ndarray:
        found = np.empty((count, self.n_features), np.float32)
        size = max(_AT_A_TIME // (length * max(self.n_features, self.encoder.n_channels_)), 1)
        for first in range(0, count, size):
            rows = np.stack([window(i) for i in range(first, min(first + size, count))])
            state = self.encoder.module_.init_state(len(rows))
            sums = sum(y.sum(1) for y, _ in self._outputs(rows, state))
            found[first : first + len(rows)] = mean_and_spread(sums, length)
            move(len(rows) * length)
        return found


def windows_of(corpus: Corpus, asked: Rows) -> Callable[[int], np.ndarray]:
    """What gives the samples of one of some windows, (scale, n_channels), by its number."""
    at = corpus.positions(asked.series, asked.rows)
    return lambda i: np.stack([channel.x[at[i] : at[i] + asked.scale] for channel in corpus.channels], axis=1)


class Whole:
    """What an encoder says of each window by itself.

    Parameters
    ----------
    encoder : estimator
        Fitted; its ``transform`` takes a list of frames.
    columns : Index
        Channels of the series.
    """

    learned, carried = True, False

    def __init__(self, encoder: Any, columns: pd.Index) -> None:
        self.encoder, self.columns = encoder, columns
        self.n_features = len(encoder.get_feature_names_out())

    def embed(self, corpus: Corpus, asked: Sequence[Rows], verbose: int = 0) -> list[np.ndarray]:
        """See `Embedding.embed`."""
        with reading(asked, verbose) as move:
            return [self._transformed(windows_of(corpus, one), len(one.rows), one.scale, move) for one in asked]

    def embed_query(self, query: np.ndarray, offsets: np.ndarray, length: int) -> np.ndarray:
        """See `Embedding.embed_query`."""
        return self._transformed(lambda i: query[offsets[i] : offsets[i] + length], len(offsets), length)

    def kinds(self, corpus: Corpus, asked: Rows, vectors: np.ndarray) -> np.ndarray:  # noqa: ARG002 - as `Embedding`
        """See `Embedding.kinds`: nothing is known of them but that the encoder thought so."""
        return vectors

    def _transformed(
        self, window: Callable[[int], np.ndarray], count: int, length: int, move: Callable[[int], Any] = still
    ) -> np.ndarray:
        found = np.empty((count, self.n_features), np.float32)
        size = max(_AT_A_TIME // (length * len(self.columns)), 1)
        for first in range(0, count, size):
            some = range(first, min(first + size, count))
            frames = [pd.DataFrame(window(i), columns=self.columns) for i in some]
            found[first : some.stop] = np.asarray(self.encoder.transform(frames), dtype=np.float32)
            move(len(some) * length)
        return found
