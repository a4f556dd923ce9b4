"""Which windows of a panel a network is trained on, and the flat tensors they are cut from."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from tsrec.frames import Panel
from tsrec.layers.forecast import ENOUGH_SEEN
from tsrec.layers.segments import group_segments, time_segments
from tsrec.training import WindowBatches

MAX_WINDOWS = 250_000
# How often a window of a small set counts at most.
_REPEATS = 8
# Sets of a kind from which some can be held out whole.
_GROUPS = 4


class WindowTable(NamedTuple):
    """Windows of all series and channels; each channel of a series is a row of its own.

    Attributes
    ----------
    windows : WindowBatches
        All of them, cut from one flat tensor in which channel follows channel.
    series : int64 Tensor of shape (n_windows,)
        Number of the series.
    times : int64 Tensor of shape (n_windows,)
        Steps to the end of the series (negative), the clock by which folds are cut.
    groups : int64 Tensor of shape (n_windows,), optional
        Number of the set; folds then hold out sets.
    """

    windows: WindowBatches
    series: Tensor
    times: Tensor
    groups: Tensor | None = None

    def segments(self) -> Tensor:
        """Segment of each window, of which folds are made: of time, or whole sets, for each kind of sets by itself."""
        if self.groups is None:
            return time_segments(self.times, self.windows.horizon, self.series)
        assert self.windows.variable is not None
        found = torch.zeros_like(self.groups)
        for kind in self.windows.variable.unique():
            rows = self.windows.variable == kind
            groups = self.groups[rows]
            if len(groups.unique()) >= _GROUPS:
                found[rows] = group_segments(groups)
            else:
                found[rows] = time_segments(self.times[rows], self.windows.horizon, self.series[rows])
        return found

    def seeing_enough(self) -> "WindowTable":
        """Only windows that saw most of their context, of each kind that has such: others teach little."""
        windows = self.windows
        if windows.starts is None:
            return self
        assert windows.variable is not None
        kept = (windows.origins - windows.starts) >= ENOUGH_SEEN * windows.context
        for kind in windows.variable.unique():
            own = windows.variable == kind
            if not bool((kept & own).any()):
                kept |= own
        rows = kept.nonzero()[:, 0]
        return self._replace(windows=windows.subset(rows), series=self.series[rows], times=self.times[rows])

    def balanced(self, groups: Tensor, generator: torch.Generator) -> "WindowTable":
        """As many windows of each set as the largest has, drawn again where a set has fewer, at most eight times.

        Parameters
        ----------
        groups : int64 Tensor of shape (n_series,)
            Set of each series.
        generator : torch.Generator
        """
        owner = groups[self.series]
        counts = torch.bincount(owner)
        chosen = []
        for group in counts.nonzero()[:, 0].tolist():
            rows = (owner == group).nonzero()[:, 0]
            more = min(int(counts.max()), _REPEATS * len(rows)) - len(rows)
            chosen.append(torch.cat([rows, rows[torch.randint(len(rows), (more,), generator=generator)]]))
        rows = torch.cat(chosen)
        return WindowTable(self.windows.subset(rows), self.series[rows], self.times[rows], owner[rows])


def window_table(
    panel: Panel,
    values: np.ndarray,
    context: int,
    horizon: int,
    *,
    features: np.ndarray | None = None,
    clock: np.ndarray | None = None,
    recent: int | None = None,
    weights: Callable[[np.ndarray], np.ndarray] | None = None,
    static: np.ndarray | None = None,
    past: np.ndarray | None = None,
    names: bool = False,
    groups: np.ndarray | None = None,
    most: int | None = None,
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
    features : float array of shape (n_known, n_features) or None
        What is known of rows, also ahead.
    clock : int array of shape (n_rows,), optional
        Which of them is that of each row; each its own when omitted.
    recent : int, optional
        At most so many windows of each series and channel, the latest.
    weights : callable, optional
        From the rows where contexts end, an int array of shape (n,), to weights of shape (n, n_channels).
    static : float array of shape (n_series, n_static), optional
        What is known of whole series.
    past : float array of shape (n_rows, n_past), optional
        What is known of every row of a context.
    names : bool
        Whether windows tell of which series and channel they are.
    groups : int array of shape (n_series,), optional
        Sets, of which each is thinned by itself; all series are one when omitted.
    most : int, optional
        Windows of a set at most.
    """
    missing = np.where(panel.lengths - horizon < 1, horizon, 0)
    first = _first_positions(panel, context, horizon)
    groups = np.zeros(panel.n_series, dtype=np.int64) if groups is None else groups
    series, position = _positions(
        panel, first, horizon, recent, groups, max((most or MAX_WINDOWS) // values.shape[1], 1)
    )
    clock = np.arange(len(values)) if clock is None else clock
    values, past, clock, offsets = _lengthened(panel, values, past, clock, missing)
    rows = offsets[series] + position
    observed = _has_target(values, rows, horizon)
    channel, which = np.nonzero(observed.T)
    shift = channel * len(values)
    starts = offsets[series[which]] + shift
    flat = torch.from_numpy(np.ascontiguousarray(values.T, dtype=np.float32)).flatten()
    whole = not missing.any() and bool((first >= context).all()) and not bool(flat.isnan().any())
    weight = None
    if weights is not None:
        ends = panel.offsets[series] + position - 1
        weight = torch.from_numpy(weights(ends)[which, channel].astype(np.float32))
    windows = WindowBatches(
        flat,
        torch.from_numpy(rows[which] + shift),
        context=context,
        horizon=horizon,
        starts=None if whole else torch.from_numpy(starts),
        series=torch.from_numpy(series[which] * values.shape[1] + channel) if names or static is not None else None,
        static=_tensor(None if static is None else static.repeat(values.shape[1], axis=0)),
        variable=torch.from_numpy(channel),
        future=_tensor(features),
        clock=None if features is None else torch.from_numpy(clock.astype(np.int32)),
        past=_tensor(past),
        weight=weight,
        masked=not whole,
    )
    times = position[which] - panel.lengths[series[which]]
    return WindowTable(windows, torch.from_numpy(series[which]), torch.from_numpy(times))


def _first_positions(panel: Panel, context: int, horizon: int) -> np.ndarray:
    """Step of the first target of each series: after a whole context, or after half of what there is."""
    room = panel.lengths - horizon
    return np.where(room < 1, 1, np.minimum(context, np.maximum(room // 2, 1)))


def _positions(
    panel: Panel, first: np.ndarray, horizon: int, recent: int | None, groups: np.ndarray, most: int
) -> tuple[np.ndarray, np.ndarray]:
    """Series and step of the first target of each window, the latest windows of a series first."""
    room = panel.lengths - horizon
    last = np.where(room < 1, panel.lengths - 1, room)
    counts = np.maximum(last - first + 1, 0)
    if recent is not None:
        counts = np.minimum(counts, recent)
    stride = np.maximum(-(-np.bincount(groups, counts).astype(np.int64) // most), 1)[groups]
    counts = -(-counts // stride)
    series = np.repeat(np.arange(panel.n_series), counts)
    turn = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return series, last[series] - turn * stride[series]


def _lengthened(
    panel: Panel, values: np.ndarray, past: np.ndarray | None, clock: np.ndarray, missing: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray, np.ndarray]:
    """Rows of NaN after the short series, so that their targets do not run into the next series."""
    if not missing.any():
        return values, past, clock, panel.offsets
    before = np.empty((len(values), 0)) if past is None else past
    longer = replace(panel, values=values, covariates=clock[:, None].astype(np.float64), past=before)
    longer = longer.resized(np.zeros_like(missing), missing)
    # Nothing is to be learned beside the rows that were added: any features will do.
    clock = np.nan_to_num(longer.covariates[:, 0]).astype(np.int64)
    return longer.values, None if past is None else np.nan_to_num(longer.past), clock, longer.offsets


def _tensor(block: np.ndarray | None) -> Tensor | None:
    return None if block is None else torch.from_numpy(block.astype(np.float32))


def _has_target(values: np.ndarray, rows: np.ndarray, horizon: int) -> np.ndarray:
    """Whether a window has anything to learn from, bool of shape (n_windows, n_channels)."""
    seen = np.zeros((len(values) + 1, values.shape[1]), dtype=np.int64)
    np.cumsum(~np.isnan(values), axis=0, out=seen[1:])
    return (seen[np.minimum(rows + horizon, len(values))] - seen[rows]) > 0
