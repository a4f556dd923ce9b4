"""The work of a backtest: each fit, and the forecasts made with it, as a job of its own."""

from copy import deepcopy
from dataclasses import dataclass
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.utils.parallel import delayed

from tsrec.frames import Panel, read_panel
from tsrec.model_selection._training_rows import Given, by_name, fit_before, knows_all, numbered, trained_before
from tsrec.model_selection.jobs import run_jobs


@dataclass(frozen=True)
class Job:
    """Forecasts of one model from some of the cut-offs, with one fit before the first of them, if any."""

    model: str
    forecaster: Any
    panel: Panel
    given: Given
    chosen: np.ndarray
    cutoffs: np.ndarray
    fits: bool
    window: int | None

    def run(self) -> "Done":
        """Do it."""
        begin = perf_counter()
        forecaster = self.forecaster
        if self.fits:
            forecaster = fit_before(clone(forecaster), self.panel, self.given, self.cutoffs, self.window)
        between = perf_counter()
        given = self.given
        answers = forecaster.predict_cutoffs(given.y, self.cutoffs, given.X, past=given.past)
        return Done(answers, forecaster.levels_, between - begin if self.fits else 0.0, perf_counter() - between)


class Done(NamedTuple):
    """Answers of shape (n, horizon, n_channels, 1 + n_levels), the levels, and the seconds of fit and forecasts."""

    answers: np.ndarray
    levels: np.ndarray
    fit: float
    predict: float


def jobs_of(
    name: str,
    forecaster: Any,
    panel: Panel,
    given: Given,
    cutoffs: np.ndarray,
    turns: np.ndarray,
    *,
    refit: int | None,
    window: int | None,
) -> list[Job]:
    """Jobs of one model: a fit at every `refit`-th turn, or a single one, or none if it may be used as it is."""
    if refit is None and trained_before(forecaster, panel, cutoffs):
        # Its columns, in its order; where one is missing, it says so itself.
        own, y = set(forecaster.form_.columns), given.y
        if isinstance(y, pd.DataFrame) and own <= set(y.columns) and not hasattr(forecaster, "set_seasons_"):
            y = y[list(forecaster.form_.columns)]
        if not knows_all(forecaster, given, panel):
            forecaster = deepcopy(forecaster).describe(by_name(given.static, panel))
        panel, given = read_panel(y, freq=forecaster._freq()), Given(y, given.X, given.past)
        return [Job(name, forecaster, panel, given, np.arange(len(cutoffs)), cutoffs, False, None)]
    if not panel.grid.has_time:
        given = numbered(given)
    groups = np.zeros_like(turns) if refit is None else turns // refit
    chosen = np.split(np.argsort(groups, kind="stable"), np.flatnonzero(np.diff(np.sort(groups))) + 1)
    return [Job(name, forecaster, panel, given, rows, cutoffs[rows], True, window) for rows in chosen]


def run_all(jobs: list[Job], n_jobs: int | None, verbose: int) -> list[Done]:
    """Answers of all jobs, in their order; joblib decides where they run."""
    calls = (delayed(job.run)() for job in jobs)
    return run_jobs(calls, len(jobs), n_jobs=n_jobs, label="backtest", unit="fit", verbose=verbose)
