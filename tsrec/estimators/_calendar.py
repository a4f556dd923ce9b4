"""Calendar features of all rows that windows of a panel may read, also before its series begin and after they end."""

from typing import NamedTuple

import numpy as np

from tsrec.frames import Panel
from tsrec.frames.calendar import calendar_features


class Calendar(NamedTuple):
    """Features of a run of steps, for each way in which series may lie between the steps of others.

    Attributes
    ----------
    first, step : int
        Ordinal of the first step, and from one to the next.
    phases : int64 array
        How far series lie after a step.
    values : float array of shape (n_phases, n_steps, n_features)
    """

    first: int
    step: int
    phases: np.ndarray
    values: np.ndarray

    @classmethod
    def of(cls, panel: Panel, before: int, after: int) -> "Calendar":
        """Features of the rows of a panel and of so many steps before and after them."""
        step = panel.grid.step
        first = int(panel.starts.min()) - before * step
        phases = np.unique((panel.starts - first) % step)
        count = (int(panel.ends.max()) - first) // step + after + 1
        ordinals = first + phases[:, None] + np.arange(count) * step
        found = calendar_features(panel.grid, ordinals.ravel()).to_numpy()
        return cls(first, step, phases, found.reshape(len(phases), count, -1))

    @property
    def flat(self) -> np.ndarray:
        """Features one below the other, (n_phases * n_steps, n_features)."""
        return self.values.reshape(-1, self.values.shape[2])

    def rows(self, ordinals: np.ndarray) -> np.ndarray:
        """Row of `flat` for instants of any shape."""
        steps, rest = np.divmod(ordinals - self.first, self.step)
        return np.searchsorted(self.phases, rest) * self.values.shape[1] + steps

    def at(self, ordinals: np.ndarray) -> np.ndarray:
        """Features of instants of any shape, which become the last axis."""
        return self.flat[self.rows(ordinals)]
