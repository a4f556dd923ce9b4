"""The default recipe per kind of data: what "auto" becomes, from the pace, the length and the number of the series.

Every entry was chosen on folds inside training rows; `benchmarks/README.md` has the figures.
"""

from typing import NamedTuple

import numpy as np

from tsrec.frames import Panel
from tsrec.frames.season import choose_context

_MANY = 8


class Recipe(NamedTuple):
    """Parameters of a direct forecaster; see `LSSLForecaster` for their meaning."""

    name: str
    context: int
    linear: str | None
    normalisation: str
    loss: str
    dropout: float
    max_epochs: int
    n_members: int
    recent: int | None


def recipe_for(panel: Panel, season: int, horizon: int) -> Recipe:
    """Choose by pace and size."""
    pace = pace_of(panel, season)
    many = panel.n_series * panel.n_channels >= _MANY
    longest = int(panel.lengths.max())
    context = choose_context(panel, season, horizon)
    if pace == "sub-daily" or not many:
        return Recipe(f"{pace}, long series", context, "ridge", "last", "mae" if many else "mse", 0.0, 3, 1, None)
    if pace == "daily":
        return Recipe("daily panel", context, "ridge", "last", "mae", 0.0, 3, 1, None)
    usual = {"weekly": 4 * horizon, "monthly": 2 * season, "quarterly": 3 * season, "yearly": horizon + 2}[pace]
    context = min(max(usual, season), max((longest - horizon) // 2, 1))
    dropout, recent = (0.0, 300) if pace == "weekly" else (0.1, None)
    return Recipe(f"{pace} panel", context, None, "last", "owa", dropout, 4, 3, recent)


def pace_of(panel: Panel, season: int) -> str:
    """ "sub-daily" to "yearly"; of a whole-number index, what its season and length are most like."""
    if panel.grid.pace is not None:
        return panel.grid.pace
    if np.median(panel.lengths) >= 1000 or (season >= 24 and season != 52):
        return "sub-daily"
    return {4: "quarterly", 12: "monthly", 52: "weekly", 7: "daily", 5: "daily"}.get(season, "yearly")
