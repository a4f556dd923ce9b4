"""The panel: every series of a frame in one block of numbers, with the offsets where each begins."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from tsrec.frames.grid import TimeGrid

_NO_COLUMNS = np.empty((0, 0))


@dataclass(frozen=True, eq=False)
class Panel:
    """Series of one grid, one after another; series i owns rows ``offsets[i]:offsets[i + 1]``.

    Row r of series i lies at ordinal ``starts[i] + r * grid.step``. A panel that is to be forecast has rows of NaN for
    the steps whose values are not known yet; their covariates may be.

    Attributes
    ----------
    values : float array of shape (n_rows, n_channels)
        What is forecast; NaN where missing.
    offsets : int64 array of shape (n_series + 1,)
        First row of each series, then the number of rows.
    starts : int64 array of shape (n_series,)
        Ordinal of the first row of each series.
    grid : TimeGrid
        Meaning of the ordinals.
    columns : Index of length n_channels
        Names of the channels.
    ids : Index of length n_series, or None
        Names of the series; None when the user gave a single, unnamed series.
    covariates : float array of shape (n_rows, n_covariates)
        Known beside each row, also for rows to come.
    past : float array of shape (n_rows, n_past)
        Known up to the cut-off only.
    static : float array of shape (n_series, n_static)
        Known per series.
    weight : float array of shape (n_rows,), or None
        How much each row counts in what is learned; all the same when None.
    """

    values: np.ndarray
    offsets: np.ndarray
    starts: np.ndarray
    grid: TimeGrid
    columns: pd.Index
    ids: pd.Index | None = None
    covariates: np.ndarray = field(default_factory=lambda: _NO_COLUMNS)
    past: np.ndarray = field(default_factory=lambda: _NO_COLUMNS)
    static: np.ndarray = field(default_factory=lambda: _NO_COLUMNS)
    weight: np.ndarray | None = None

    @property
    def n_series(self) -> int:
        """Number of series."""
        return len(self.starts)

    @property
    def labels(self) -> pd.Index:
        """Names of the series, their numbers where they have none."""
        return pd.RangeIndex(self.n_series) if self.ids is None else self.ids

    @property
    def n_channels(self) -> int:
        """Number of channels (variables)."""
        return self.values.shape[1]

    @property
    def n_covariates(self) -> int:
        """Number of covariates whose future is known."""
        return self.covariates.shape[1]

    @property
    def lengths(self) -> np.ndarray:
        """Rows of each series, int64 of shape (n_series,)."""
        return np.diff(self.offsets)

    @property
    def ends(self) -> np.ndarray:
        """Ordinal of the first step after each series, int64 of shape (n_series,)."""
        return self.starts + self.lengths * self.grid.step

    def ordinals(self) -> np.ndarray:
        """Ordinal of every row, int64 of shape (n_rows,)."""
        return np.repeat(self.starts, self.lengths) + self.positions() * self.grid.step

    def positions(self) -> np.ndarray:
        """Step of every row inside its series, int64 of shape (n_rows,)."""
        return np.arange(self.offsets[-1]) - np.repeat(self.offsets[:-1], self.lengths)

    def take(self, series: np.ndarray) -> "Panel":
        """The panel of these series only, in this order."""
        lengths = self.lengths[series]
        offsets = offsets_of(lengths)
        rows = np.repeat(self.offsets[:-1][series] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return replace(
            self,
            values=self.values[rows],
            offsets=offsets,
            starts=self.starts[series],
            ids=None if self.ids is None else self.ids[series],
            covariates=self.covariates[rows] if self.n_covariates else self.covariates,
            past=self.past[rows] if self.past.shape[1] else self.past,
            static=self.static[series] if self.static.shape[1] else self.static,
            weight=None if self.weight is None else self.weight[rows],
        )

    def resized(self, before: np.ndarray, after: np.ndarray) -> "Panel":
        """The panel with rows of NaN put before and after each series (negative numbers cut rows off).

        Parameters
        ----------
        before, after : int arrays of shape (n_series,)
            Rows to add at either end.
        """
        lengths = self.lengths + before + after
        offsets = offsets_of(lengths)
        local = np.arange(offsets[-1]) - np.repeat(offsets[:-1] + before, lengths)
        known = (local >= 0) & (local < np.repeat(self.lengths, lengths))
        source = (local + np.repeat(self.offsets[:-1], lengths))[known]

        def spread(block: np.ndarray) -> np.ndarray:
            if not block.shape[1]:
                return block
            wide = np.full((len(local), block.shape[1]), np.nan, dtype=block.dtype)
            wide[known] = block[source]
            return wide

        return replace(
            self,
            values=spread(self.values),
            offsets=offsets,
            starts=self.starts - before * self.grid.step,
            covariates=spread(self.covariates),
            past=spread(self.past),
            weight=None if self.weight is None else np.nan_to_num(spread(self.weight[:, None])[:, 0], nan=1.0),
        )


def label_at(labels: pd.Index, i: int) -> Any:
    """A label as users write it, 2 and not np.int64(2), for messages.

    Parameters
    ----------
    labels : Index
        Names of series.
    i : int
        Which of them.

    Returns
    -------
    object

    Examples
    --------
    >>> label_at(pd.Index([3, 2]), 1)
    2
    """
    return labels[i : i + 1].tolist()[0]


def offsets_of(lengths: np.ndarray) -> np.ndarray:
    """Offsets of series of these lengths: ``[0, l0, l0 + l1, ...]``.

    Parameters
    ----------
    lengths : int array of shape (n_series,)
        Rows of each series.

    Returns
    -------
    int64 array of shape (n_series + 1,)

    Examples
    --------
    >>> offsets_of([3, 2])
    array([0, 3, 5])
    """
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets
