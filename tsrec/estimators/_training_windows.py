"""Which windows of a panel a network is trained on, and the flat tensors they are cut from."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tsrec.frames import Panel
from tsrec.training import WindowBatches

MAX_WINDOWS = 250_000


@dataclass(frozen=True, eq=False)
class WindowTable:
    """Windows of all series and channels; each channel of a series is a row of its own.

    Attributes
    ----------
    values : Tensor of shape (n_channels * n_rows,)
        Channel after channel, NaN where missing.
    future : Tensor of shape (n_channels * n_rows, n_features) or None
        Covariates beside the values.
    origins, starts, series, times : int64 Tensor of shape (n_windows,)
        Place of the first target, place where its series begins, number of the series, and steps to its series' end
        (negative), which is the clock by which folds are cut.
    context, horizon : int
    """

    values: Tensor
    future: Tensor | None
    origins: Tensor
    starts: Tensor
    series: Tensor
    times: Tensor
    context: int
    horizon: int

    def __len__(self) -> int:
        return len(self.origins)

    def batches(self, chosen: Tensor, batch_size: int, *, shuffle: bool = True) -> WindowBatches:
        """A source of batches of the chosen windows (int64 Tensor)."""
        return WindowBatches(
            self.values,
            self.origins[chosen],
            context=self.context,
            horizon=self.horizon,
            batch_size=batch_size,
            shuffle=shuffle,
            starts=self.starts[chosen],
            series=self.series[chosen],
            future=self.future,
            masked=self._masked(chosen),
        )

    def _masked(self, chosen: Tensor) -> bool:
        reach = self.origins[chosen] - self.context < self.starts[chosen]
        return bool(reach.any()) or bool(self.values.isnan().any())


def window_table(
    panel: Panel, values: np.ndarray, features: np.ndarray | None, context: int, horizon: int
) -> WindowTable:
    """Lay a panel out for training.

    Long series give windows with a whole context and a whole target. Short ones give what they have: contexts that are
    masked at the front, and targets cut at the end. Of very many windows every k-th is taken.

    Parameters
    ----------
    panel : Panel
        Where the series begin.
    values : float array of shape (n_rows, n_channels)
        The target in comparable units.
    features : float array of shape (n_rows, n_features) or None
        What is known of every row, also ahead.
    """
    room = panel.lengths - horizon
    missing = np.where(room < 1, horizon, 0)
    first = np.where(room < 1, 1, np.minimum(context, np.maximum(room // 2, 1)))
    last = np.where(room < 1, panel.lengths - 1, room)
    values, features, offsets = _lengthened(panel, values, features, missing)
    counts = np.maximum(last - first + 1, 0)
    stride = max(-(-int(counts.sum()) * values.shape[1] // MAX_WINDOWS), 1)
    counts = -(-counts // stride)
    series = np.repeat(np.arange(panel.n_series), counts)
    turn = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    position = last[series] - turn * stride
    rows = offsets[series] + position
    observed = _has_target(values, rows, horizon)
    channel, which = np.nonzero(observed.T)
    shift = channel * len(values)
    return WindowTable(
        torch.from_numpy(np.ascontiguousarray(values.T, dtype=np.float32)).flatten(),
        None if features is None else torch.from_numpy(np.tile(features.astype(np.float32), (values.shape[1], 1))),
        torch.from_numpy(rows[which] + shift),
        torch.from_numpy(offsets[series[which]] + shift),
        torch.from_numpy(series[which]),
        torch.from_numpy(position[which] - panel.lengths[series[which]]),
        context,
        horizon,
    )


def _lengthened(
    panel: Panel, values: np.ndarray, features: np.ndarray | None, missing: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Rows of NaN after the short series, so that their targets do not run into the next series."""
    if not missing.any():
        return values, features, panel.offsets
    from dataclasses import replace

    beside = np.empty((len(values), 0)) if features is None else features
    longer = replace(panel, values=values, covariates=beside).resized(np.zeros_like(missing), missing)
    known = None if features is None else np.nan_to_num(longer.covariates)
    return longer.values, known, longer.offsets


def _has_target(values: np.ndarray, rows: np.ndarray, horizon: int) -> np.ndarray:
    """Whether a window has anything to learn from, bool of shape (n_windows, n_channels)."""
    seen = np.zeros((len(values) + 1, values.shape[1]), dtype=np.int64)
    np.cumsum(~np.isnan(values), axis=0, out=seen[1:])
    return (seen[np.minimum(rows + horizon, len(values))] - seen[rows]) > 0
