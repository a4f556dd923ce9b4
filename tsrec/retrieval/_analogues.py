"""Windows of known series that are like the rows before a cut-off, and whose future is known too.

Views, offsets and Pearson's correlation of windows follow RAFT (Han, Lee, Cha, Arik and Yoon 2025, arXiv 2505.04163).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from tsrec.frames import Panel, contexts, origins
from tsrec.training.bar import still

# Windows of the library and queries that are compared at a time, and the most windows of a library.
_WINDOWS, _QUERIES, _MOST = 1024, 512, 200_000
# Share of a window, and of its future, that must be observed.
_SEEN = 0.5


class Measure(NamedTuple):
    """How windows are compared; see `RetrievalForecaster` for the words."""

    similarity: str
    views: tuple[int, ...]
    joint: bool
    deseasoned: bool
    scaled: bool
    across: bool


class Located(NamedTuple):
    """Analogues of n queries by view and variable (one for all if they are compared together), best first.

    Attributes
    ----------
    windows : int64 array of shape (n_views, n_compared, n, k)
        Numbers of windows of the library.
    similarity, weight : float arrays of the same shape
        Minus infinity and zero where there are fewer than k. Weights sum to 1 over k, if there is any.
    """

    windows: np.ndarray
    similarity: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True, eq=False)
class Library:
    """All windows of a panel that have a whole context and a whole future; nothing is copied before it is compared.

    Attributes
    ----------
    panel : Panel
        The series.
    context, horizon, season : int
        Rows of a window and of its future, and of a period.
    spread : float array of shape (n_channels,)
        Unit of each variable.
    measure : Measure
    series, positions : int64 arrays of shape (n_windows,)
        Series of each window, and step inside it of the first row of its future.
    """

    panel: Panel
    context: int
    horizon: int
    season: int
    spread: np.ndarray
    measure: Measure
    series: np.ndarray
    positions: np.ndarray

    @classmethod
    def of(cls, panel: Panel, context: int, horizon: int, season: int, spread: np.ndarray, measure: Measure) -> Any:
        """The library of a panel; of very many windows every k-th."""
        counts = np.maximum(panel.lengths - context - horizon + 1, 0)
        series = np.repeat(np.arange(panel.n_series), counts)
        positions = np.arange(len(series)) - np.repeat(np.cumsum(counts) - counts, counts) + context
        seen = np.concatenate([[0.0], np.cumsum((~np.isnan(panel.values)).mean(axis=1))])
        middle = panel.offsets[series] + positions
        before, after = seen[middle] - seen[middle - context], seen[middle + horizon] - seen[middle]
        kept = np.flatnonzero((before >= _SEEN * context) & (after >= _SEEN * horizon))
        kept = kept[:: max(-(-len(kept) // _MOST), 1)]
        return cls(panel, context, horizon, season, spread, measure, series[kept], positions[kept])

    @property
    def cutoffs(self) -> np.ndarray:
        """Series and step of the first row of each future, int64 of shape (n_windows, 2)."""
        return np.stack([self.series, self.positions], axis=1)

    def ordinals(self, windows: np.ndarray) -> np.ndarray:
        """Ordinals of the first row of the futures of these windows."""
        return self.panel.starts[self.series[windows]] + self.positions[windows] * self.panel.grid.step

    def futures(self, windows: np.ndarray) -> np.ndarray:
        """What followed these windows, float of shape (n, horizon, n_channels); NaN where missing."""
        first = self.panel.offsets[self.series[windows]] + self.positions[windows]
        return self.panel.values[first[:, None] + np.arange(self.horizon)]

    def locate(
        self,
        panel: Panel,
        cutoffs: np.ndarray,
        k: int,
        temperature: float,
        *,
        both_sides: bool = False,
        move: Callable[[int], Any] = still,
    ) -> Located:
        """The k windows that are most like the rows before each cut-off.

        A window counts whose future ends before the cut-off, and, in the series itself, before the rows that are
        looked back on.

        Parameters
        ----------
        panel : Panel
            Where the cut-offs lie; series are the same if they have the same name.
        cutoffs : int array of shape (n, 2)
            Series and step of the first row to forecast.
        k : int
            Analogues; no more than there are windows.
        temperature : float
            Weights are the softmax of the similarity over it.
        both_sides : bool
            Whether windows count that begin after the rows to forecast: inside training rows alone.
        move : callable
            Moves a bar by pairs of cut-offs and windows.

        Returns
        -------
        Located
        """
        known, k = self.panel.labels.get_indexer(panel.labels), min(k, len(self.series))
        found = [
            self._nearest(panel, cutoffs[at : at + _QUERIES], known, k, both_sides, move)
            for at in range(0, len(cutoffs), _QUERIES)
        ]
        similarity = torch.cat([one[0] for one in found], dim=2)
        windows = torch.cat([one[1] for one in found], dim=2)
        weight = torch.softmax(similarity / temperature, dim=-1).nan_to_num(0.0)
        return Located(windows.numpy(), similarity.numpy(), weight.numpy())

    def _nearest(
        self,
        panel: Panel,
        cutoffs: np.ndarray,
        known: np.ndarray,
        k: int,
        both_sides: bool,
        move: Callable[[int], Any],
    ) -> tuple[Tensor, Tensor]:
        """Similarities (n_views, n_compared, n, k) and numbers of the windows that are most alike."""
        queries = self._features(panel, cutoffs)
        shape = (len(queries), queries[0].shape[0], len(cutoffs), k)
        best = torch.full(shape, -torch.inf, dtype=torch.float64)
        which = torch.zeros(shape, dtype=torch.int64)
        ends = panel.starts[cutoffs[:, 0]] + cutoffs[:, 1] * panel.grid.step
        left = len(self.series)
        for windows in self._chunks(ends.max(), both_sides):
            left -= len(windows)
            open_ = torch.from_numpy(self._open(windows, known[cutoffs[:, 0]], ends, both_sides))
            if bool(open_.any()):
                numbers = torch.from_numpy(windows)
                for view, features in enumerate(self._features(self.panel, self.cutoffs[windows])):
                    alike = self._similarity(queries[view], features).masked_fill(~open_, -torch.inf)
                    both = torch.cat([best[view], alike], dim=-1)
                    best[view], at = both.topk(k, dim=-1)
                    from_now = numbers[(at - k).clamp(min=0)]
                    which[view] = torch.where(at < k, which[view].gather(-1, at.clamp(max=k - 1)), from_now)
            move(len(cutoffs) * len(windows))
        move(len(cutoffs) * left)  # windows that are too late for all
        return best, which

    def _chunks(self, last: int, both_sides: bool) -> Iterator[np.ndarray]:
        """Numbers of windows to compare at a time; none whose future ends too late for every query."""
        windows = np.arange(len(self.series))
        if not both_sides:
            windows = windows[self.ordinals(windows) + self.horizon * self.panel.grid.step <= last]
        for at in range(0, len(windows), _WINDOWS):
            yield windows[at : at + _WINDOWS]

    def _open(self, windows: np.ndarray, series: np.ndarray, ends: np.ndarray, both_sides: bool) -> np.ndarray:
        """Whether a window may be seen by a query, bool of shape (n, n_windows)."""
        step = self.panel.grid.step
        first = self.ordinals(windows)
        own = series[:, None] == self.series[windows]
        latest = ends[:, None] - np.where(own, self.context * step, 0)
        is_open = first + self.horizon * step <= latest
        if both_sides:
            is_open |= first - self.context * step >= ends[:, None] + self.horizon * step
        return is_open if self.measure.across else is_open & own

    def units(self, panel: Panel, cutoffs: np.ndarray) -> np.ndarray:
        """What a deviation is measured in after each cut-off, (n, n_channels)."""
        if not self.measure.scaled:
            return np.broadcast_to(self.spread, (len(cutoffs), len(self.spread)))
        spread = self._windows(panel, cutoffs).std(axis=1)
        return np.where(spread > 0, spread, 1.0) * self.spread

    def _windows(self, panel: Panel, cutoffs: np.ndarray) -> np.ndarray:
        """Rows before cut-offs less the last one, in units of the variables, (n, context, n_channels)."""
        window = contexts(panel.values, origins(panel.offsets, cutoffs[:, 0], cutoffs[:, 1]), self.context)
        window = carried(window) / self.spread
        if self.measure.deseasoned:
            window = without_season(window, self.season)
        return window - window[:, -1:]

    def _features(self, panel: Panel, cutoffs: np.ndarray) -> list[Tensor]:
        """What is compared, a tensor (n_compared, n, n_features) per view."""
        window = self._windows(panel, cutoffs)
        if self.measure.scaled:
            spread = window.std(axis=1, keepdims=True)
            window /= np.where(spread > 0, spread, 1.0)
        views = []
        for size in self.measure.views:
            coarse = averaged(window, size)
            rows = coarse.reshape(1, len(coarse), -1) if self.measure.joint else np.moveaxis(coarse, 2, 0)
            if self.measure.similarity == "pearson":
                rows = rows - rows.mean(axis=-1, keepdims=True)
                length = np.linalg.norm(rows, axis=-1, keepdims=True)
                rows = rows / np.where(length > 0, length, 1.0)
            views.append(torch.from_numpy(np.ascontiguousarray(rows)))
        return views

    def _similarity(self, queries: Tensor, windows: Tensor) -> Tensor:
        product = queries @ windows.mT
        if self.measure.similarity == "pearson":
            return product
        squares = queries.square().sum(-1)[..., None] + windows.square().sum(-1)[:, None]
        return torch.where(squares > 0, 2 * product / squares, 1.0)


def carried(window: np.ndarray) -> np.ndarray:
    """Windows (n, length, n_channels) whose missing values are the last seen, before the first the first; else 0."""
    missing = np.isnan(window)
    if not missing.any():
        return window
    steps = np.arange(window.shape[1])[None, :, None]
    last = np.maximum.accumulate(np.where(missing, -1, steps), axis=1)
    first = np.where(missing.all(axis=1), 0, (~missing).argmax(axis=1))[:, None]
    return np.nan_to_num(np.take_along_axis(window, np.where(last < 0, first, last), axis=1))


def without_season(window: np.ndarray, season: int) -> np.ndarray:
    """Windows (n, length, n_channels) less the mean of each phase of the season."""
    missing = -window.shape[1] % season
    padded = np.pad(window, ((0, 0), (missing, 0), (0, 0)), constant_values=np.nan) if missing else window
    periods = padded.reshape(len(window), -1, season, window.shape[2])
    phases = np.nanmean(periods, axis=1, keepdims=True) if missing else periods.mean(axis=1, keepdims=True)
    return (periods - phases).reshape(padded.shape)[:, missing:]


def averaged(window: np.ndarray, size: int) -> np.ndarray:
    """Means over `size` rows, counted back from the last; rows that are left over at the front are dropped."""
    rows = window.shape[1] // size * size
    if size == 1 or not rows:
        return window
    return window[:, -rows:].reshape(len(window), -1, size, window.shape[2]).mean(axis=2)
