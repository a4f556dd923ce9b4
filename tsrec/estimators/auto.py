"""The default forecaster: the models that did best on data of this kind, averaged."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from tsrec.estimators._callbacks import CallbackSupportMixin, lent_callbacks
from tsrec.estimators._composed import TellsMembers
from tsrec.estimators._forecaster import BaseForecaster
from tsrec.estimators._recipe import Kind, kind_of
from tsrec.estimators.baseline import DEFAULT_QUANTILES
from tsrec.estimators.lssl import LSSLForecaster
from tsrec.estimators.mlp import MLPForecaster
from tsrec.estimators.theta import ThetaForecaster
from tsrec.frames import Panel

# What every member is given, if it has such a parameter.
_SHARED = ("horizon", "season", "freq", "features", "quantiles", "device", "random_state", "verbose")


def members_for(kind: Kind, season: int, horizon: int) -> dict[str, tuple[BaseForecaster, float]]:
    """The forecasters that did best together on folds of such data, and their weights."""
    theta = ThetaForecaster()
    if kind.pace == "sub-daily":
        return {"LSSL": (LSSLForecaster(), 1.0), "MLP": (MLPForecaster(), 1.0)}
    if kind.pace == "daily" and not kind.many:
        return {"LSSL": (LSSLForecaster(), 1.0)}
    if kind.pace == "daily" and kind.long:
        return {"LSSL": (LSSLForecaster(), 1.0), "MLP": (MLPForecaster(context=2 * horizon), 1.0)}
    if kind.pace == "daily" or (kind.pace == "weekly" and not kind.many):
        return {"LSSL": (LSSLForecaster(), 1.0), "Theta": (theta, 1.0)}
    if not kind.many:
        return {"LSSL": (LSSLForecaster(), 1.0), "Theta": (theta, 2.0)}
    members: dict[str, tuple[BaseForecaster, float]] = {"MLP": (MLPForecaster(), 1.0), "Theta": (theta, 1.0)}
    if kind.pace == "weekly" and kind.long:
        members["MLP, longer context"] = (MLPForecaster(context=2 * max(season, 4 * horizon)), 1.0)
    elif kind.pace == "weekly":
        members["linear map"] = (LSSLForecaster(linear="ridge", max_epochs=0), 1.0)
    return members


def _network(forecaster: "AutoForecaster") -> Any:
    """The first member that is a network; None where none is."""
    return next((member for member in forecaster.members_.values() if hasattr(member, "module_")), None)


def _has_network(forecaster: "AutoForecaster") -> bool:
    check_is_fitted(forecaster)
    return _network(forecaster) is not None


class AutoForecaster(TellsMembers, CallbackSupportMixin, BaseForecaster):
    """Forecast with the mean of the models that did best on data of this kind.

    Which models, and how they look back, follows from how often the data comes (hourly to yearly), how long the series
    are and how many there are. Long hourly series get a linear map with a recurrent branch; thousands of short ones get
    networks trained on all of them together, from several seeds, beside the theta method. The benchmarks say what each
    choice rests on. With covariates, known ahead or of the past, the theta method, which is deaf to them, stays out.

    Parameters
    ----------
    horizon : int
        Steps forecast at once; further steps roll forward in blocks.
    season : int or "auto"
        Steps per season; from the frequency and the data when "auto".
    freq : str or offset, optional
        Frequency of the index, where it cannot be read from it.
    features : {"calendar", "id"}, sequence of them, or None
        What is made of the index: what dates say of themselves (hour, weekday, month, working days, ...), known ahead
        as covariates of X are; which series it is, learned as a vector for each (zeros for series that are new).
    quantiles : sequence of float
        Levels that are trained; others are interpolated.
    device : str
        "auto", "cpu", "cuda", "cuda:1" or "mps", for the models that are networks.
    random_state : int, RandomState or None
        Seed; with an int, fits on the same machine are equal bit for bit.
    verbose : int
        1 shows the progress of the linear maps and of the epochs.

    Attributes
    ----------
    recipe_ : str
        The kind of data that the members were chosen for.
    members_ : dict of str to forecaster
        The fitted members; each can forecast on its own, and tells what it chose.
    weights_ : dict of str to float
        How much each counts in the mean; they sum to 1.
    season_ : int
        The season in use.
    freq_ : str or None
        The frequency in use.
    panel_ : Panel
        The history.

    Notes
    -----
    ========================================== ==============================================================
    kind of data                               members
    ========================================== ==============================================================
    sub-daily series                           LSSL, MLP (beside a linear map, both)
    one to seven daily series                  LSSL (linear map and recurrent branch)
    eight and more daily series of a year      LSSL, and MLP on half its context
    eight and more shorter daily series        LSSL, Theta
    one to seven weekly series                 LSSL, Theta
    one to seven monthly and slower series     LSSL, and Theta with twice its weight
    eight and more weekly series of four years MLP on one season and on two, Theta
    eight and more shorter weekly series       MLP, linear map, Theta
    eight and more monthly and slower series   MLP, Theta
    ========================================== ==============================================================

    Columns of a wide frame count as series. Quantiles are the means of the members' quantiles at each level (Vincent
    averaging). Where forecasts have always been too low, as on a trend, the quantiles tell, and the point forecast may
    lie outside a narrow interval. A fit that is stopped keeps the members it has.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> rng = np.random.default_rng(0)
    >>> sales = rng.gamma(9.0, 1.0, (40, 48)) * (1 + 0.5 * np.sin(np.arange(48) / 12 * 2 * np.pi))
    >>> months = pd.date_range("2020-01-01", periods=48, freq="MS")
    >>> forecaster = AutoForecaster(horizon=6, random_state=0).fit(pd.DataFrame(sales.T, months))
    >>> forecaster.recipe_, list(forecaster.members_)
    ('monthly panel', ['MLP', 'Theta'])
    """

    USES = ("past", "static", "sample_weight")
    members_: dict[str, Any]
    weights_: dict[str, float]

    def __init__(
        self,
        *,
        horizon: int = 24,
        season: int | str = "auto",
        freq: Any = None,
        features: str | Sequence[str] | None = None,
        quantiles: Sequence[float] = DEFAULT_QUANTILES,
        device: str = "cpu",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.horizon = horizon
        self.season = season
        self.freq = freq
        self.features = features
        self.quantiles = quantiles
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None, *, past: Any = None, static: Any = None, sample_weight: Any = None) -> Self:
        """Learn from a history.

        Parameters
        ----------
        X, y, past, static, sample_weight
            As in `LSSLForecaster.fit`. The theta method has no use for any but y.

        Returns
        -------
        self
        """
        return self._fit_rows(X, y, past, static, sample_weight)

    def __sklearn_is_fitted__(self) -> bool:
        """Whether there is a member to ask."""
        return bool(getattr(self, "members_", None))

    def _fit_panel(self, panel: Panel) -> None:
        kind = kind_of(panel, self.season_)
        self.recipe_, self.members_, self.weights_ = kind.name, {}, {}
        given: dict[str, float] = {}
        for name, (member, weight) in members_for(kind, self.season_, self.horizon_).items():
            informed = panel.n_covariates or panel.past.shape[1]
            if informed and isinstance(member, ThetaForecaster):
                # It would be deaf to them.
                continue
            self._lend(member, *_SHARED)
            try:
                with lent_callbacks(self, member):
                    member._learn(panel, self.form_, self.levels_, targets_itself=self.targets_itself_)
            finally:
                # Of a fit that is stopped, what can forecast already is kept.
                if member.__sklearn_is_fitted__():
                    self.members_[name], given[name] = member, weight
                    self.weights_ = {key: part / sum(given.values()) for key, part in given.items()}

    def _remember(self, panel: Panel) -> None:
        super()._remember(panel)
        for member in self.members_.values():
            member._remember(panel)

    @available_if(_has_network)
    def transform(
        self, X: Any = None, *, history: Any = None, history_X: Any = None, history_past: Any = None
    ) -> pd.DataFrame:
        """Embed the latest context of each series with the first member that is a network: a row per series.

        Parameters
        ----------
        X : ignored
            As in `LSSLForecaster.transform`.
        history, history_X, history_past
            As in `predict`.

        Returns
        -------
        DataFrame of shape (n_series, n_channels * d)
            Indexed by the names of the series; columns (variable, dimension).
        """
        return _network(self).transform(X, history=history, history_X=history_X, history_past=history_past)

    def _forecast(self, panel: Panel, cutoffs: np.ndarray) -> np.ndarray:
        parts = [self.weights_[name] * member._forecast(panel, cutoffs) for name, member in self.members_.items()]
        return np.sum(parts, axis=0)

    def _components(self, panel: Panel, cutoffs: np.ndarray) -> dict[str, np.ndarray]:
        return {
            name: self.weights_[name] * member._forecast(panel, cutoffs)[..., 0]
            for name, member in self.members_.items()
        }
