"""Calendar features of all rows that windows of a panel may read, also before its series begin and after they end."""

from typing import NamedTuple

import numpy as np

from tsrec.frames import Panel
from tsrec.frames.calendar import calendar_features
from tsrec.frames.panel import offsets_of


class Calendar(NamedTuple):
    """Features of instants, each of them once.

    Attributes
    ----------
    ordinals : int64 array of shape (n_instants,)
        Ascending.
    step : int or None
        From one to the next; None where series lie far apart, or between the steps of others.
    flat : float array of shape (n_instants, n_features)
    """

    ordinals: np.ndarray
    step: int | None
    flat: np.ndarray

    @classmethod
    def of(cls, panel: Panel, before: int, after: int) -> "Calendar":
        """Features of the rows of a panel and of so many steps before and after them."""
        step = panel.grid.step
        runs, lengths = np.unique(np.stack([panel.starts, panel.lengths]), axis=1)
        runs, lengths = runs - before * step, lengths + before + after + 1
        first = int(runs.min())
        count = (int((runs + (lengths - 1) * step).max()) - first) // step + 1
        even = not ((runs - first) % step).any() and count <= lengths.sum()
        if even:
            ordinals = first + np.arange(count) * step
        else:
            turn = np.arange(lengths.sum()) - np.repeat(offsets_of(lengths)[:-1], lengths)
            ordinals = np.unique(np.repeat(runs, lengths) + turn * step)
        found = calendar_features(panel.grid, ordinals).to_numpy()
        return cls(ordinals, step if even else None, found)

    def rows(self, ordinals: np.ndarray) -> np.ndarray:
        """Row of `flat` for instants of any shape."""
        if self.step is None:
            found = np.searchsorted(self.ordinals, ordinals)
        else:
            found = (ordinals - self.ordinals[0]) // self.step
        # A block may begin before its series does: nobody asks for what is forecast there.
        return np.clip(found, 0, len(self.ordinals) - 1)

    def at(self, ordinals: np.ndarray) -> np.ndarray:
        """Features of instants of any shape, which become the last axis."""
        return self.flat[self.rows(ordinals)]
