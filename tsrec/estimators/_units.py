"""Units in which series of any level and size are comparable: each series from its mean, in its standard deviations."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tsrec.frames import Panel
from tsrec.frames.seen import means_of_series


@dataclass(frozen=True, eq=False)
class SeriesUnits:
    """Centre and spread of each training series and channel.

    A series that was not trained on is measured by each of its windows instead: what comes after a cut-off must not
    reach what is forecast from it.

    Attributes
    ----------
    center, spread : float array of shape (n_series, n_channels)
    ids : Index or None
        Names of the training series.
    """

    center: np.ndarray
    spread: np.ndarray
    ids: pd.Index | None = None

    def of_rows(self, panel: Panel) -> np.ndarray:
        """Values of the training panel in their units, float of shape (n_rows, n_channels)."""
        owner = np.repeat(np.arange(panel.n_series), panel.lengths)
        return (panel.values - self.center[owner]) / self.spread[owner]

    def of_windows(self, panel: Panel, series: np.ndarray, window: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Centre and spread for windows (n, length, n_channels) of the given series, both of shape (n, n_channels)."""
        known = self.known(panel)[series]
        # A single channel that was trained on stands for any number of new ones.
        shape = len(window), window.shape[2]
        center, spread = (np.broadcast_to(part[known], shape).copy() for part in (self.center, self.spread))
        new = np.flatnonzero(known < 0)
        if len(new):
            center[new], spread[new] = self._measured(window[new])
        # The level of today, where there is one: a history far from that of training then loses no digits in float32.
        seen = ~np.isnan(window)
        last = window.shape[1] - 1 - seen[:, ::-1].argmax(axis=1)
        latest = np.take_along_axis(window, last[:, None], axis=1)[:, 0]
        return np.where(seen.any(axis=1), latest, center), spread

    def known(self, panel: Panel) -> np.ndarray:
        """Training row of each series of a panel, -1 for new ones."""
        if self.ids is None or panel.ids is None:
            same = self.ids is None and panel.ids is None
            return np.full(panel.n_series, 0 if same else -1)
        if self.ids.nlevels != panel.ids.nlevels:
            return np.full(panel.n_series, -1)
        return self.ids.get_indexer(panel.ids)

    def _measured(self, window: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        seen = ~np.isnan(window)
        count = seen.sum(axis=1)
        total = np.maximum(count, 1)
        center = np.where(seen, window, 0.0).sum(axis=1) / total
        deviation = np.where(seen, window - center[:, None], 0.0)
        spread = np.sqrt((deviation**2).sum(axis=1) / total)
        center = np.where(count > 0, center, self.center.mean(axis=0))
        return center, np.where(spread > 0, spread, np.where(count > 0, 1.0, self.spread.mean(axis=0)))


def center_and_spread(values: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of columns (n, C), by weights (n,) and without NaN; a constant has the spread 1."""
    seen = ~np.isnan(values)
    w = weight[:, None] * seen
    total = np.maximum(w.sum(axis=0), np.finfo(float).tiny)
    # Sums and squares of very large values would overflow.
    size = np.maximum(np.abs(np.where(seen, values, 0.0)).max(axis=0), np.finfo(float).tiny)
    center = size * ((w * np.where(seen, values / size, 0.0)).sum(axis=0) / total)
    deviation = np.where(seen, values - center, 0.0)
    largest = np.maximum(np.abs(deviation).max(axis=0), np.finfo(float).tiny)
    spread = largest * np.sqrt((w * (deviation / largest) ** 2).sum(axis=0) / total)
    moving = spread > 1e-12 * np.maximum(np.abs(center), np.finfo(float).tiny)
    return center, np.where(moving, spread, 1.0)


def measure(panel: Panel, whole: Panel | None = None) -> SeriesUnits:
    """Centre and spread of every series; where nothing was observed, those of the channel's other series.

    A series of which nothing counts, but that `whole` has values of, is measured by these: it is forecast all the same.
    """
    if whole is not None and whole is not panel:
        own, all_rows = measure(panel), measure(whole)
        silent = np.add.reduceat(~np.isnan(panel.values), panel.offsets[:-1], axis=0, dtype=np.int64) == 0
        return SeriesUnits(
            np.where(silent, all_rows.center, own.center), np.where(silent, all_rows.spread, own.spread), panel.ids
        )
    seen = ~np.isnan(panel.values)
    starts = panel.offsets[:-1]
    count = np.add.reduceat(seen.astype(np.int64), starts, axis=0)
    total = np.maximum(count, 1)
    center = np.where(count > 0, means_of_series(panel.values, panel.offsets), 0.0)
    owner = np.repeat(np.arange(panel.n_series), panel.lengths)
    deviation = np.where(seen, panel.values - center[owner], 0.0)
    # Squares of very large values would overflow.
    largest = np.maximum(np.abs(deviation).max(axis=0), np.finfo(np.float64).tiny)
    spread = largest * np.sqrt(np.add.reduceat((deviation / largest) ** 2, starts, axis=0) / total)
    known = count > 0
    others = np.where(known.any(axis=0), (center * known).sum(axis=0) / np.maximum(known.sum(axis=0), 1), 0.0)
    # Rounding leaves a constant series with a spread of some 1e-16 of its level. Its unit is next to nothing, so that
    # what a network has learned from its neighbours does not move it.
    size = np.where(center != 0, np.abs(center), 1.0)
    moving = spread > 1e-12 * size
    return SeriesUnits(np.where(known, center, others), np.where(moving, spread, 1e-6 * size), panel.ids)
