"""Rivals of long standing: exponential smoothing, theta and ARIMA of statsmodels, each series by itself."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.parallel import delayed

from tsrec.estimators import _stats_models as models
from tsrec.estimators._forecaster import BaseForecaster
from tsrec.estimators._parameters import check_choice, check_jobs, check_verbose, check_whole
from tsrec.estimators.baseline import DEFAULT_QUANTILES, SeasonalNaiveForecaster
from tsrec.frames import Panel
from tsrec.frames.warn import warn_user
from tsrec.model_selection.jobs import run_jobs

_USUAL, _SEASONS = 256, 5


class StatsForecaster(BaseForecaster):
    """Forecast each series with a model of statsmodels, chosen by AICc.

    What the models of this package are to be compared with. A series, or variable, is fitted by itself: no more than
    the last `context` rows, so that the time is bounded. From other cut-offs (`update`, backtests, rows inside the
    history) it is forecast with the same parameters, after the rows before the cut-off. Series that fit has not seen
    are fitted when they are asked for, to what lies before each cut-off.

    Parameters
    ----------
    model : {"ets", "arima", "theta"}
        "ets": exponential smoothing with additive errors, with or without a damped trend and a season, of the values
        or, where all are positive, of their logarithms. "arima": differences by tests (KPSS, autocorrelation at the
        season), five orders and the constant by AICc; three with a season, which is (0, 1, 1). "theta": the theta
        method of Assimakopoulos & Nikolopoulos (2000).
    horizon : int
        Steps of one block of forecasts.
    season : int or "auto"
        Steps per season; from the frequency and the data when "auto". It counts where the rows hold it twice. Seasons
        longer than 52 steps ("ets") or 24 ("arima"), and all of "theta", are taken out first by classical decomposition
        if a test of the autocorrelation tells of one.
    context : int or "auto"
        Most rows to fit, and least rows to look back on where there are so many (at most twice as many); 256, or five
        seasons if they are longer, when "auto".
    freq : str or offset, optional
        Frequency of the index, where it cannot be read from it.
    quantiles : sequence of float
        Levels at which quantiles are given.
    n_jobs : int, optional
        Series that are fitted or asked at once, in processes. Answers are the same for any number.
    verbose : int
        1 shows how many series are fitted.

    Attributes
    ----------
    orders_, parameters_, patterns_ : arrays of shape (n_series, n_channels, ...)
        The fitted models, as numbers; `models` tells them by name.
    n_failed_, n_not_converged_ : int
        Series that could not be fitted, for which the seasonal naive stands in, with a warning; series whose search
        for parameters ended before it converged.
    naive_ : SeasonalNaiveForecaster
        What forecasts series that are constant, shorter than ten values, or not fitted, and cut-offs before which
        too little was seen.
    season_, context_ : int
        The season and the context in use.
    freq_ : str or None
        The frequency in use.
    panel_ : Panel
        The history.

    Notes
    -----
    Quantiles are those of the models: normal, or log-normal of logarithms, whose point forecast is the median. Those of
    theta are of the exponential smoothing with drift that it equals (Hyndman & Billah 2003): statsmodels' own take the
    season for noise.

    Examples
    --------
    >>> y = pd.Series([float(day) for day in range(28)], pd.date_range("2024-01-01", periods=28, freq="D"))
    >>> forecaster = StatsForecaster("theta", horizon=2, season=1).fit(y)
    >>> forecaster.predict().round(1).tolist()
    [27.5, 28.0]
    >>> forecaster.models()["model"].tolist()
    ['theta']
    """

    orders_: np.ndarray
    parameters_: np.ndarray
    patterns_: np.ndarray

    def __init__(
        self,
        model: str = "ets",
        *,
        horizon: int = 24,
        season: int | str = "auto",
        context: int | str = "auto",
        freq: Any = None,
        quantiles: Sequence[float] = DEFAULT_QUANTILES,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.model = model
        self.horizon = horizon
        self.season = season
        self.context = context
        self.freq = freq
        self.quantiles = quantiles
        self.n_jobs = n_jobs
        self.verbose = verbose

    def models(self) -> pd.DataFrame:
        """The model of each series and variable by name.

        Returns
        -------
        DataFrame
            Columns series, variable, model.
        """
        self._known(None)
        n_series, n_channels = self.orders_.shape[:2]
        names = [models.name_of(self.model, order) for order in self.orders_.reshape(-1, self.orders_.shape[2])]
        series = self.fitted_ids_.repeat(n_channels)
        return pd.DataFrame({"series": series, "variable": np.tile(self.form_.columns, n_series), "model": names})

    def __sklearn_is_fitted__(self) -> bool:
        """Whether every series has its model."""
        return hasattr(self, "n_not_converged_")

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_choice(self, "model", ("ets", "arima", "theta"))
        check_verbose(self)
        check_whole(self, "context", auto=True)
        check_jobs(self, "processes")

    def _fit_panel(self, panel: Panel) -> None:
        self.naive_ = SeasonalNaiveForecaster(season=self.season_)
        self._lend(self.naive_, "horizon", "freq", "quantiles")
        self.naive_._learn(panel, self.form_, self.levels_, targets_itself=self.targets_itself_)
        usual = max(_USUAL, _SEASONS * self.season_)
        self.context_ = usual if self.context == "auto" else int(self.context)
        self.fitted_ids_, self.fitted_start_ = panel.labels, int(panel.starts[0])
        jobs = (
            delayed(models.fit_series)(self.model, values[-self.context_ :], start, self.season_)
            for values, start in self._columns(panel)
        )
        count = panel.n_series * panel.n_channels
        done = run_jobs(jobs, count, n_jobs=self.n_jobs, label=self.model, unit="series", verbose=self.verbose)
        fits, failed = zip(*done, strict=True)
        shape = (panel.n_series, panel.n_channels, -1)
        self.orders_, self.parameters_, self.patterns_ = (
            np.stack(part).reshape(shape) for part in zip(*fits, strict=True)
        )
        self.n_failed_ = int(np.sum(failed))
        self._tell(self.n_failed_, len(failed))
        self.n_not_converged_ = int(((self.orders_[..., 0] > 0) & (self.orders_[..., 3] == 0)).sum())

    def _columns(self, panel: Panel) -> Iterator[tuple[np.ndarray, int]]:
        """Values of each series and variable, with the ordinal of the first row that is fitted."""
        for series, (begin, end) in enumerate(zip(panel.offsets[:-1], panel.offsets[1:], strict=True)):
            for channel in range(panel.n_channels):
                first = max(end - begin - self.context_, 0)
                yield panel.values[begin:end, channel], int(_first(panel, series) + first)

    def _tell(self, failed: int, total: int) -> None:
        if failed:
            warn_user(
                f"y: {failed} of {total} series could not be fitted by {self.model!r}. The seasonal naive forecast "
                "stands in for them; after fit, n_failed_ counts them."
            )

    def _fitted_rows(self, panel: Panel) -> np.ndarray:
        """Fitted model of each series of a panel; -1 for those that fit has not seen."""
        if panel.ids is None or self.panel_.ids is None:
            # A series without a name is known by where it begins.
            same = panel.ids is None and self.panel_.ids is None and panel.n_series == 1
            same = same and int(panel.starts[0]) == self.fitted_start_
            return np.full(panel.n_series, 0 if same else -1)
        if panel.ids.nlevels != self.fitted_ids_.nlevels:
            return np.full(panel.n_series, -1)
        return self.fitted_ids_.get_indexer(panel.ids)

    def _forecast(self, panel: Panel, cutoffs: np.ndarray) -> np.ndarray:
        answers = self.naive_._forecast(panel, cutoffs)
        rows = self._fitted_rows(panel)
        order = np.argsort(cutoffs[:, 0], kind="stable")
        places = np.split(order, np.flatnonzero(np.diff(cutoffs[order, 0])) + 1)
        jobs = []
        for place in places:
            series = cutoffs[place[0], 0]
            values = panel.values[panel.offsets[series] : panel.offsets[series + 1]]
            for channel in range(panel.n_channels):
                fit = None
                if rows[series] >= 0:
                    at = rows[series], channel
                    fit = models.Fit(self.orders_[at], self.parameters_[at], self.patterns_[at])
                job = delayed(_asked)(
                    self.model,
                    fit,
                    values[:, channel],
                    _first(panel, series),
                    cutoffs[place, 1],
                    self.horizon_,
                    self.levels_,
                    self.season_,
                    self.context_,
                )
                jobs.append(job)
        found = run_jobs(jobs, len(jobs), n_jobs=self.n_jobs, label=self.model, unit="series")
        failed = 0
        for number, (own, bad) in enumerate(found):
            place, channel = places[number // panel.n_channels], number % panel.n_channels
            answers[place, :, channel] = np.where(np.isnan(own), answers[place, :, channel], own)
            failed += bad
        self._tell(failed, len(found))
        return answers


def _first(panel: Panel, series: int) -> int:
    """The number of the first row of a series on the grid of time, by which phases are told."""
    return int(panel.starts[series] // panel.grid.step)


def _asked(
    model: str,
    fit: models.Fit | None,
    values: np.ndarray,
    start: int,
    steps: np.ndarray,
    horizon: int,
    levels: np.ndarray,
    season: int,
    context: int,
) -> tuple[np.ndarray, bool]:
    """Forecasts of one series and variable from some steps; NaN where there are none, and whether a fit failed."""
    answers = np.full((len(steps), horizon, 1 + len(levels)), np.nan)
    failed = False
    # Rows are filtered from whole contexts on, so that an answer does not hang on which others are asked for.
    anchors = np.maximum(steps // context - 1, 0) * context
    for anchor in np.unique(anchors):
        asked = np.flatnonzero((anchors == anchor) & (steps > 0))
        for group in [asked] if fit is not None else asked[:, None]:
            if not len(group):
                continue
            end, own = int(steps[group].max()), fit
            if own is None:
                first = max(end - context, 0)
                own, bad = models.fit_series(model, values[first:end], start + first, season)
                failed |= bad
            if own.order[0]:
                rows = values[anchor:end]
                answers[group] = models.ask(own, rows, start + int(anchor), steps[group] - anchor, horizon, levels)
    return answers, failed
