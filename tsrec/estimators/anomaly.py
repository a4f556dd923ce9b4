"""Anomalies: rows that lie far from what was forecast for them."""

from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, OutlierMixin, clone
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from tsrec.estimators._anomaly_rows import ReadRows, columns_of, fit_rows, found_runs, read_rows
from tsrec.estimators._forecaster import BaseForecaster
from tsrec.estimators._parameters import check_verbose, check_whole
from tsrec.estimators._quantiles import bounds_of, check_levels
from tsrec.estimators._surprise import Residuals, distance, foreseen, least_spread, precision, rare_before, usual_tail
from tsrec.estimators._tails import rare_level
from tsrec.frames import variable_names

# Added to surprise and to what it is divided by, so that rows that were all forecast exactly make no alarms.
_SMALL = 0.1


class AnomalyDetector(OutlierMixin, BaseEstimator):
    """Detect the rows of time series that a forecaster did not expect.

    Each row is forecast from rows before it only, and its residual taken in units of the spread that was forecast with
    it. Residuals are averaged over the last rows, if asked for, and put together over the variables with their usual
    correlations (the Mahalanobis distance): that is the surprise. Rows whose surprise training rows hardly ever show
    are anomalies.

    Parameters
    ----------
    forecaster : forecaster, optional
        Which is cloned, and takes `horizon` from here. When omitted, a linear map solved in closed form:
        ``LSSLForecaster(max_epochs=0)``.
    horizon : int
        Steps ahead of which each row is forecast. With 1 a shift of the level shows where it begins only, and the row
        after an outlier suffers from it; with more, a shift shows as long, and single outliers show alone.
    smoothing : int
        Rows over which residuals are averaged, the row itself and those before: small shifts that last are found, and
        single rows count less.
    memory : int or None
        Rows before each by which its surprise is judged: what has come often of late is no anomaly, and alarms stay
        rare while the series changes. With None, training rows alone say what is usual, and an anomaly lasts until
        rows are again as they were: for processes that should never change.
    contamination : float or "auto"
        Share of training rows that are anomalies, between 0 and 0.5. With "auto" the threshold comes from the tail of
        the surprise, and `risk` says how rare an alarm is.
    risk : float
        Probability of an alarm in a usual row.
    warm_up : int or "auto"
        Rows at the beginning of a series, with no history before it, that are not judged: too little is known to expect
        anything. When "auto", what the forecaster looks back on (at most a quarter of the longest training series) and
        the steps that it looks ahead.
    random_state : int, RandomState or None
        Seed of the forecaster that is taken when `forecaster` is omitted.
    verbose : int
        1 shows a progress bar while rows are forecast, and before while the forecaster of its own learns, which a
        given one does as it was told; 0 is silent.

    Attributes
    ----------
    forecaster_ : forecaster
        The fitted clone; it holds the history.
    offset_ : float
        Scores below are anomalies.
    warm_up_ : int
        What "auto" became.
    precision_ : float array of shape (n_channels, n_channels)
        Inverse covariance of residuals in units of their spread.
    spread_ : float array of shape (n_channels,)
        The smallest spread that is believed, in the unit of each channel.
    usual_ : float array of shape (2,)
        Surprise that 5 % and 0.5 % of usual training rows exceed.
    n_features_in_ : int
        Number of variables.
    feature_names_in_ : array of shape (n_features_in_,)
        Their names, where they are strings.

    See Also
    --------
    tsrec.plotting.AnomalyDisplay : Draw what was found.
    tsrec.SubsequenceRetriever.discords : The windows that are least like all others.

    Notes
    -----
    Rows with a time index that follow rows of training (or overlap them) have those for their history, series by
    series; new series, arrays and frames with a default index begin without any.

    Without a memory, the threshold of "auto" is the level that a generalized Pareto distribution of the highest
    twentieth of the training surprise exceeds with probability `risk` (peaks over threshold; Siffer et al. 2017). With
    one, it moves with the rows before each: an exponential tail through their 95 % and 99.5 % quantiles, the same
    distribution with a shape of zero.

    Rows with no value have a score of NaN and are not anomalies; a missing variable counts as expected.

    References
    ----------
    Siffer, Fouque, Termier and Largouet (2017), Anomaly detection in streams with extreme value theory, KDD.

    Examples
    --------
    >>> day = np.tile(np.sin(np.arange(24) / 24 * 2 * np.pi), 30)
    >>> noise = 0.05 * np.random.default_rng(0).normal(size=720)
    >>> y = pd.Series(day + noise, pd.date_range("2024-01-01", periods=720, freq="h"))
    >>> y.iloc[600:603] += 1.0
    >>> detector = AnomalyDetector(horizon=12).fit(y[:480])
    >>> detector.predict(y[480:]).loc[lambda found: found < 0].index.hour.tolist()
    [0, 1, 2]
    >>> detector.detect(y[480:])[["start", "n_rows"]].values.tolist()
    [[Timestamp('2024-01-26 00:00:00'), 3]]
    """

    forecaster_: BaseForecaster
    offset_: float
    precision_: np.ndarray
    spread_: np.ndarray

    def __init__(
        self,
        forecaster: Any = None,
        *,
        horizon: int = 1,
        smoothing: int = 1,
        memory: int | None = 2000,
        contamination: float | str = "auto",
        risk: float = 1e-3,
        warm_up: int | str = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.forecaster = forecaster
        self.horizon = horizon
        self.smoothing = smoothing
        self.memory = memory
        self.contamination = contamination
        self.risk = risk
        self.warm_up = warm_up
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002 - scikit-learn's signature
        """Learn what is usual.

        Parameters
        ----------
        X : Series, DataFrame or array of shape (n_steps, n_channels)
            Rows are steps, with a MultiIndex (series, time) of many series. Anomalies in one row of a hundred do little
            harm; with more, or without a `memory`, leave them out or say their share (`contamination`). NaN is a
            missing value.
        y : ignored
            There for pipelines.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            As a forecaster's fit: if the index has gaps, repeats or disorder, or if values are no numbers.
        """
        self._check_parameters()
        rows = fit_rows(self, X)
        panel = self.forecaster_.panel_
        self.warm_up_ = self._warm_up()
        residuals = self._residuals(rows)
        self.spread_ = least_spread(residuals, panel.values)
        units = residuals.smoothed(self.spread_, self.smoothing)
        self.precision_ = precision(units)
        surprise = self._surprise(rows, units)
        known = ~np.isnan(surprise)
        self.usual_ = usual_tail(surprise[known])
        scores = self._scores(rows, units)
        if self.contamination != "auto":
            self.offset_ = float(np.nanquantile(scores, float(self.contamination)))
        else:
            self.offset_ = -1.0 if self.memory is not None else -rare_level(-scores[known], self.risk)
        return self

    def _check_parameters(self) -> None:
        check_whole(self, "horizon", "smoothing")
        check_whole(self, "warm_up", least=0, auto=True)
        check_verbose(self)
        if self.memory is not None:
            check_whole(self, "memory", least=2)
        if self.forecaster is not None and not isinstance(self.forecaster, BaseForecaster):
            raise TypeError(f"forecaster: found {self.forecaster!r}. Give a forecaster of tsrec.")
        share = self.contamination
        if not (isinstance(share, str) and share == "auto") and not (isinstance(share, Real) and 0 < share <= 0.5):
            raise ValueError(f"contamination: found {share!r}. Give a share above 0, at most 0.5, or 'auto'.")
        if not isinstance(self.risk, Real) or not 0 < self.risk < 1:
            raise ValueError(f"risk: found {self.risk!r}. Give a probability between 0 and 1, for example 0.001.")

    def _new_forecaster(self) -> Any:
        """What is to be fitted."""
        if self.forecaster is not None:
            return clone(self.forecaster).set_params(horizon=self.horizon)
        from tsrec.estimators.lssl import LSSLForecaster

        return LSSLForecaster(horizon=self.horizon, max_epochs=0, random_state=self.random_state, verbose=self.verbose)

    def _warm_up(self) -> int:
        if self.warm_up != "auto":
            return int(self.warm_up)
        longest = int(self.forecaster_.panel_.lengths.max())
        looked = max(getattr(self.forecaster_, "context_", 1), self.forecaster_.season_)
        return min(min(looked, longest // 4) + self.horizon - 1, 3 * longest // 4)

    def _residuals(self, rows: ReadRows) -> Residuals:
        """Residuals of the rows that answers depend on; those of rows that are not judged are missing."""
        residuals = Residuals(self.forecaster_, rows.panel, rows.needed, self.verbose)
        residuals.error[rows.step < self.warm_up_] = np.nan
        return residuals

    def _surprise(self, rows: ReadRows, units: np.ndarray) -> np.ndarray:
        """Surprise of the needed rows, float (n,); NaN where there is no value, or too little is known to judge it."""
        surprise = distance(units, self.precision_)
        nothing = np.isnan(rows.panel.values[rows.needed]).all(axis=1)
        surprise[nothing | (rows.step < self.warm_up_)] = np.nan
        return surprise

    def _scores(self, rows: ReadRows, units: np.ndarray) -> np.ndarray:
        """Scores of the needed rows, from their residuals in units of what is usual, float (n,)."""
        surprise = self._surprise(rows, units)
        if self.memory is not None:
            rare = rare_before(surprise, rows.series, self.memory, self.risk, self.usual_)
            surprise = (surprise + _SMALL) / (rare + _SMALL)
        surprise[rows.step < self.warm_up_] = 0.0
        surprise[np.isnan(rows.panel.values[rows.needed]).all(axis=1)] = np.nan
        return -surprise

    def _judged(self, X: Any) -> tuple[np.ndarray, ReadRows]:
        """Scores of the needed rows of X, and these."""
        rows = read_rows(self, X)
        units = self._residuals(rows).smoothed(self.spread_, self.smoothing)
        return self._scores(rows, units), rows

    def score_samples(self, X: Any) -> Any:
        """How normal each row is: higher is more normal.

        Parameters
        ----------
        X : Series, DataFrame or array of shape (n_steps, n_channels)
            Rows like those of fit, at any time, of any series.

        Returns
        -------
        Series, or array of shape (n_steps,)
            Minus the surprise, in units of usual residuals; with a `memory`, in relation to the surprise that a row
            has with probability `risk`. NaN where a row has no value. A Series on the index of X, if X has one.
        """
        scores, rows = self._judged(X)
        return rows.answer(scores)

    def decision_function(self, X: Any) -> Any:
        """Score of each row above the threshold: negative for anomalies.

        Parameters
        ----------
        X : Series, DataFrame or array of shape (n_steps, n_channels)
            As in `score_samples`.

        Returns
        -------
        Series, or array of shape (n_steps,)
            ``score_samples(X) - offset_``.
        """
        scores, rows = self._judged(X)
        return rows.answer(scores - self.offset_)

    def predict(self, X: Any) -> Any:
        """Which rows are anomalies.

        Parameters
        ----------
        X : Series, DataFrame or array of shape (n_steps, n_channels)
            As in `score_samples`.

        Returns
        -------
        Series, or array of shape (n_steps,)
            -1 for anomalies, 1 for all others. A Series on the index of X, if X has one.
        """
        scores, rows = self._judged(X)
        return rows.answer(np.where(scores - self.offset_ < 0, -1, 1))

    def detect(self, X: Any, *, gap: int = 0) -> pd.DataFrame:
        """Anomalies as intervals, each with the row that was the worst.

        Parameters
        ----------
        X : Series, DataFrame or array of shape (n_steps, n_channels)
            As in `score_samples`.
        gap : int
            Intervals with at most so many normal rows between them are one.

        Returns
        -------
        DataFrame
            A row for each interval, in order of series and time. Columns: series; start and end (exclusive); n_rows;
            peak, the time of the lowest score; score, there; variable, that which lay furthest from what was
            expected, by its own spread; observed and expected, its value then and the middle of its forecast.
        """
        if not isinstance(gap, Integral) or isinstance(gap, bool) or gap < 0:
            raise ValueError(f"gap: found {gap!r}. Give a whole number of rows, 0 or more.")
        rows = read_rows(self, X)
        residuals = self._residuals(rows)
        units = residuals.smoothed(self.spread_, self.smoothing)
        scores = self._scores(rows, units)
        return found_runs(rows, scores, units, residuals.error, offset=self.offset_, gap=int(gap))

    def expected(self, X: Any, coverage: float = 0.99) -> pd.DataFrame:
        """What was forecast for each row from the rows before it.

        Parameters
        ----------
        X : Series, DataFrame or array of shape (n_steps, n_channels)
            As in `score_samples`.
        coverage : float
            Share of values that the bounds should hold.

        Returns
        -------
        DataFrame
            Columns (variable, "expected" | "lower" | "upper"); NaN for rows that are not judged.
        """
        rows = read_rows(self, X)
        low, high = bounds_of(float(check_levels([coverage], "coverage")[0]))
        levels = np.array([low, 0.5, high])
        found = foreseen(self.forecaster_, rows.panel, rows.needed, levels, self.verbose)[..., [1, 0, 2]]
        found[rows.step < self.warm_up_] = np.nan
        answer = rows.answer(found.reshape(len(found), -1))
        names = columns_of(variable_names(rows.panel.columns), ("expected", "lower", "upper"))
        if isinstance(answer, pd.DataFrame):
            return answer.set_axis(names, axis=1)
        return pd.DataFrame(answer, columns=names)

    def update(self, X: Any) -> Self:
        """Append observed rows to the history without learning from them.

        Parameters
        ----------
        X : Series, DataFrame or array of shape (n_steps, n_channels)
            The rows that follow the history, for all series or some of them.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the rows do not begin where the history ends.
        """
        check_is_fitted(self)
        self.forecaster_.update(X)
        return self

    def __sklearn_is_fitted__(self) -> bool:
        """Whether a threshold is known."""
        return hasattr(self, "offset_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags
