"""Where a backtest forecasts from: cut-offs inside each series, and which of them fall together."""

import numpy as np

from tsrec.frames import Panel, label_at
from tsrec.frames.warn import warn_user

# Grids whose steps are numbered, not placed on a calendar.
_NUMBERED = ("position", "integer", "delta")
# Of the rows before the usual first cut-off, a fit should have so many.
_MOST_LOST = 0.5


def is_numbered(panel: Panel) -> bool:
    """Whether steps are only numbered (no index, whole numbers, durations), which is no common time of the series."""
    return panel.grid.kind in _NUMBERED


def cutoffs_of(panel: Panel, horizon: int, step: int, n_windows: int | None) -> np.ndarray:
    """Cut-offs (series, step of the first value to forecast), ascending in each series; int array of shape (n, 2)."""
    last = panel.lengths - horizon
    fitting = np.maximum((last - 1) // step + 1, 0)
    if n_windows is None:
        shortest = panel.lengths[fitting > 0].min(initial=panel.lengths.max())
        n_windows = max(int((shortest // 5 - horizon) // step) + 1, 1)
    short = fitting < n_windows
    if short.all():
        longest = int(panel.lengths.argmax())
        name = "y" if panel.ids is None else f"y: series {label_at(panel.ids, longest)!r}, the longest,"
        raise ValueError(
            f"{name} has {panel.lengths[longest]} rows, but {n_windows} cut-offs {step} steps apart with a horizon of "
            f"{horizon} need {horizon + (n_windows - 1) * step + 1}. Lower n_windows, step or horizon."
        )
    if short.any():
        _warn_of_short(panel, fitting, n_windows)
    counts = np.minimum(fitting, n_windows)
    series = np.repeat(np.arange(panel.n_series), counts)
    back = np.repeat(np.cumsum(counts), counts) - np.arange(counts.sum()) - 1
    return np.stack([series, last[series] - back * step], axis=1)


def _warn_of_short(panel: Panel, fitting: np.ndarray, n_windows: int) -> None:
    fewer, none = ((fitting > 0) & (fitting < n_windows)).sum(), (fitting == 0).sum()
    first = int(panel.lengths.argmin())
    warn_user(
        f"y: {fewer + none} of {panel.n_series} series are too short for {n_windows} cut-offs; {fewer} get fewer, "
        f"{none} none. The shortest is {label_at(panel.labels, first)!r} with {panel.lengths[first]} rows."
    )


def turns_of(panel: Panel, cutoffs: np.ndarray) -> np.ndarray:
    """Which cut-offs fall together, numbered in the order of time; int array of shape (n,).

    On a calendar these are the cut-offs at the same time, otherwise the k-th from the last of every series.
    """
    if is_numbered(panel):
        counts = np.bincount(cutoffs[:, 0], minlength=panel.n_series)
        times = np.arange(len(cutoffs)) - np.repeat(np.cumsum(counts), counts)
    else:
        times = _ordinals(panel, cutoffs)
    return np.unique(times, return_inverse=True)[1]


def earliest(panel: Panel, cutoffs: np.ndarray) -> int:
    """Ordinal of the grid at which the first cut-off stands."""
    return int(_ordinals(panel, cutoffs).min())


def warn_of_early(panel: Panel, cutoffs: np.ndarray) -> None:
    """Tell where the first cut-off of a few series that end early keeps the rows of most others from being learned."""
    if is_numbered(panel) or panel.n_series == 1:
        return
    times = _ordinals(panel, cutoffs)
    firsts = np.full(panel.n_series, np.iinfo(np.int64).max)
    np.minimum.at(firsts, cutoffs[:, 0], times)
    early, usual = int(firsts.argmin()), int(np.median(firsts[firsts < np.iinfo(np.int64).max]))
    before = np.clip((usual - panel.starts) // panel.grid.step, 0, panel.lengths)
    kept = np.clip((firsts[early] - panel.starts) // panel.grid.step, 0, panel.lengths)
    if kept.sum() >= _MOST_LOST * before.sum():
        return
    stamp = panel.grid.decode(np.array([firsts[early]]))[0]
    warn_user(
        f"y: the fit ends before {stamp}, the first cut-off of series {label_at(panel.labels, early)!r}, which "
        f"ends long before others: it learns from {int(kept.sum())} rows instead of {int(before.sum())}. Leave out "
        "series that ended, or use refit."
    )


def _ordinals(panel: Panel, cutoffs: np.ndarray) -> np.ndarray:
    return panel.starts[cutoffs[:, 0]] + cutoffs[:, 1] * panel.grid.step
