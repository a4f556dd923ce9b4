"""Backtests: forecasts from many cut-offs of a known history, laid beside what then happened."""

from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd

from tsrec.frames import check_rows, read_panel
from tsrec.model_selection._checks import check_whole
from tsrec.model_selection._cutoffs import cutoffs_of, turns_of, warn_of_early
from tsrec.model_selection._models import check_beside, common_horizon, named_models
from tsrec.model_selection._runs import Job, jobs_of, run_all
from tsrec.model_selection._table import joined, table_of
from tsrec.model_selection._training_rows import Given


def backtest(
    forecaster: Any,
    y: Any,
    *,
    X: Any = None,
    past: Any = None,
    static: Any = None,
    sample_weight: Any = None,
    horizon: int | None = None,
    step: int | None = None,
    n_windows: int | None = None,
    refit: bool | int | str = False,
    window: int | None = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> pd.DataFrame:
    """Forecast from cut-offs inside a history, as if each were today.

    Parameters
    ----------
    forecaster : forecaster, or dict or list of them
        Fitted or not. Without `refit`, one whose training rows end before the first cut-off is used with its weights as
        they are; any other is cloned and fitted once, on the rows before the first cut-off of all series: where time is
        a calendar, no row of any series that is later than it. It is not changed. Several are called by the keys of a
        dict, or by their classes.
    y : Series, DataFrame or array
        The history, with the rows to be forecast.
    X : DataFrame, optional
        Covariates beside y.
    past : DataFrame or Series, optional
        Covariates beside y that are known up to a cut-off only.
    static : DataFrame, optional
        Covariates of whole series, a row for each.
    sample_weight : Series or array, optional
        How much each row of y counts where a forecaster learns from it, or a Series with a number per series; for those
        that take weights.
    horizon : int, optional
        Steps to forecast from each cut-off; the forecaster's own horizon when omitted (of several, the shortest), which
        is the most it can be.
    step : int, optional
        Steps from one cut-off to the next; `horizon` (no step forecast twice) when omitted.
    n_windows : int, optional
        Number of cut-offs per series, counted back from the last one whose steps all lie in y. When omitted, as many as
        fit into the last fifth of the shortest series that has room for one, at least one. Series of a panel that are
        too short for it get fewer, or none, with a warning.
    refit : bool, int, "never" or "always"
        Whether to fit a clone anew on the rows before each cut-off. A number k fits at every k-th of them, and
        forecasts from those in between with the history up to them. Without it there is one fit. All cut-offs that
        share a fit are forecast in batches.
    window : int, optional
        Fit on the last so many steps before the cut-off only (a sliding window). What may be used as it was fitted is.
    n_jobs : int, optional
        Models and fits at a time, by joblib: 1 unless ``joblib.parallel_config`` says otherwise, which also chooses the
        backend. Forecasts are the same for any.
    verbose : int, default 0
        1 shows a bar of the fits.

    Returns
    -------
    DataFrame
        Index (model if several were given, series if y is a panel, cutoff, time), where the cut-off is the time of the
        last row that was known; columns (variable, "y" | "forecast" | quantile level), NaN where a model has not that
        level. ``attrs["seconds"]`` holds the seconds of each model's fits and forecasts, ``attrs["freq"]`` the
        frequency.

    Raises
    ------
    TypeError
        If a forecaster is none of tsrec's, or y or X are no rows.
    ValueError
        If a number is not whole or out of its range, `refit` is none of its values, no series is long enough for the
        cut-offs and one row before them, or the covariates that the forecaster was fitted with are not given.

    See Also
    --------
    leaderboard : Errors of each model.
    TimeSplit : The same cut-offs for scikit-learn's searches.

    Examples
    --------
    >>> from tsrec import SeasonalNaiveForecaster, ThetaForecaster
    >>> y = pd.Series(range(30), pd.date_range("2024-01-01", periods=30, freq="D"), name="sales")
    >>> backtest(SeasonalNaiveForecaster(horizon=2), y, n_windows=3)["sales"].shape
    (6, 9)
    >>> both = backtest([SeasonalNaiveForecaster(horizon=2), ThetaForecaster(horizon=2)], y, refit=2)
    >>> both.index.names
    FrozenList(['model', 'cutoff', 'time'])
    """
    models = named_models(forecaster)
    horizon = common_horizon(models, horizon)
    step = horizon if step is None else step
    check_whole(step=step, n_windows=1 if n_windows is None else n_windows, window=1 if window is None else window)
    every = _every(refit)
    freq = next((model._freq() for model in models.values() if model._freq() is not None), None)
    panel = read_panel(y, freq=freq)
    cutoffs = cutoffs_of(panel, horizon, int(step), n_windows)
    for name, part in (("X", X), ("past", past)):
        if part is not None:
            check_rows(y, part, name)
    given, turns = Given(y, X, past, static, sample_weight), turns_of(panel, cutoffs)
    jobs: list[Job] = []
    for name, model in models.items():
        check_beside(model, X, past)
        jobs += jobs_of(name, model, panel, given, cutoffs, turns, refit=every, window=window)
    if every is None and any(job.fits for job in jobs):
        warn_of_early(panel, cutoffs)
    table = _gathered(jobs, cutoffs, horizon, n_jobs, verbose)
    several = isinstance(forecaster, dict | list | tuple)
    answer = joined(table) if several else next(iter(table.values()))
    answer.attrs = {"seconds": {name: one.attrs for name, one in table.items()}, "freq": panel.grid.freq}
    return answer


def _every(refit: Any) -> int | None:
    """At every how many turns to fit anew; None for a single fit."""
    if isinstance(refit, bool | np.bool_):
        return 1 if refit else None
    if refit in ("never", "always"):
        return None if refit == "never" else 1
    if not isinstance(refit, Integral) or refit < 1:
        raise ValueError(
            f"refit: found {refit!r}. Give True or 'always', to fit before each cut-off, a number k, to fit before "
            "every k-th, or False or 'never'."
        )
    return int(refit)


def _gathered(
    jobs: list[Job], cutoffs: np.ndarray, horizon: int, n_jobs: int | None, verbose: int
) -> dict[str, pd.DataFrame]:
    """The table of each model; its seconds are the attributes of it."""
    done = run_all(jobs, n_jobs, verbose)
    tables = {}
    for name in dict.fromkeys(job.model for job in jobs):
        mine = [(job, one) for job, one in zip(jobs, done, strict=True) if job.model == name]
        answers = np.empty((len(cutoffs), horizon, *mine[0][1].answers.shape[2:]))
        for job, one in mine:
            answers[job.chosen] = one.answers[:, :horizon]
        tables[name] = table_of(mine[0][0].panel, cutoffs, answers, mine[0][1].levels)
        tables[name].attrs = {
            "fit": float(sum(one.fit for _, one in mine)),
            "predict": float(sum(one.predict for _, one in mine)),
        }
    return tables
