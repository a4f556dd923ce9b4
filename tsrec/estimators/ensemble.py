"""Several forecasters, one forecast: their mean, their median, or a mean by how well they did on held-out rows."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from scipy.optimize import nnls
from sklearn.utils.metaestimators import available_if
from sklearn.utils.parallel import delayed

from tsrec.estimators._composed import ComposedForecaster, check_forecaster
from tsrec.estimators._forecaster import BaseForecaster
from tsrec.estimators._held_out import held_out, series_units
from tsrec.estimators._parameters import check_choice, check_jobs, check_verbose
from tsrec.estimators.baseline import SeasonalMeanForecaster
from tsrec.estimators.theta import ThetaForecaster
from tsrec.frames import Panel
from tsrec.model_selection.jobs import run_jobs

# Of the rows of each series, what is held out to weigh the members by, and at how many cut-offs at most.
_SHARE, _CUTOFFS = 0.2, 4096
# How much equal weights count beside the errors; chosen on folds of M3, see the notes of the class.
_SHRINKAGE = 0.1


def _is_mean(forecaster: "EnsembleForecaster") -> bool:
    return forecaster.how == "mean"


class EnsembleForecaster(ComposedForecaster):
    """Forecast with the mean or the median of several forecasters.

    Parameters
    ----------
    forecasters : dict of str to forecaster, or sequence, optional
        By name; a sequence of forecasters, or of pairs (name, forecaster), gives names from the classes: "Theta" for a
        :class:`ThetaForecaster`, "Theta_2" for the second. Fitted as clones. :class:`ThetaForecaster` and
        :class:`SeasonalMeanForecaster` when omitted.
    how : {"mean", "median"}
        How forecasts, and quantiles level by level, become one.
    weights : "backtest", dict of str to float or sequence of float, optional
        What each counts in the mean; equal when None. "backtest" learns them from forecasts of held-out rows.
    horizon : int, optional
        Steps forecast at once; further steps roll forward in blocks. Taken by all members; that of the members, which
        must agree, when None.
    season : int or "auto", optional
        Steps per season, taken by all members that have one. When None they keep theirs.
    freq : str or offset, optional
        Frequency of the index, where it cannot be read from it. That of the members when None.
    quantiles : sequence of float, optional
        Levels that are trained; others are interpolated. Those of the members, which must agree, when None.
    n_jobs : int, optional
        Members that are fitted at once, in threads. Answers are the same for any number.
    verbose : int
        1 shows a progress bar over the members that are fitted; 0 is silent.

    Attributes
    ----------
    members_ : dict of str to forecaster
        The fitted forecasters; each can forecast on its own.
    weights_ : dict of str to float
        What each counts in the mean; they sum to 1.
    season_, context_ : int
        The season of the scale of errors, and the rows that members look back on at most.
    freq_ : str or None
        The frequency in use.
    panel_ : Panel
        The history.

    Notes
    -----
    The mean of quantiles at each level (Vincent averaging) and their median are monotone as those of the members are.

    With ``weights="backtest"`` members are fitted twice: without the last fifth of each series (but at least two
    horizons, at most half), and on all rows. Weights w >= 0 that sum to 1 are those with the smallest ``w'Sw +
    shrinkage * mean(diag S) * |w - 1/m|^2``, where S holds the mean products of the m members' errors on what was held
    out, each in units of its series; the shrinkage is 0.1, chosen on folds of M3 and NN5. Where nothing can be held out
    they are equal.

    References
    ----------
    Bates and Granger (1969), The combination of forecasts. Claeskens, Magnus, Vasnev and Wang (2016), The forecast
    combination puzzle: a simple theoretical explanation.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from tsrec import SeasonalNaiveForecaster, ThetaForecaster
    >>> y = pd.Series(np.tile([0.0, 3.0, 1.0], 20), pd.date_range("2024-01-01", periods=60, freq="D"), name="y")
    >>> forecaster = EnsembleForecaster([ThetaForecaster(season=3), SeasonalNaiveForecaster(season=3)], horizon=3)
    >>> forecaster.fit(y).predict().round(2).tolist()
    [0.0, 3.0, 1.0]
    >>> forecaster.predict_components().columns.tolist()
    [('y', 'Theta'), ('y', 'SeasonalNaive')]
    >>> forecaster.set_params(Theta__theta=2).forecasters[0].theta
    2
    """

    weights_: dict[str, float]

    def __init__(
        self,
        forecasters: Any = None,
        *,
        how: str = "mean",
        weights: str | Mapping[str, float] | Sequence[float] | None = None,
        horizon: int | None = None,
        season: int | str | None = None,
        freq: Any = None,
        quantiles: Sequence[float] | None = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.forecasters = forecasters
        self.how = how
        self.weights = weights
        self.horizon = horizon
        self.season = season
        self.freq = freq
        self.quantiles = quantiles
        self.n_jobs = n_jobs
        self.verbose = verbose

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters; with `deep` also the members by name, and theirs as ``name__parameter``.

        Parameters
        ----------
        deep : bool
            Whether the members are told of.

        Returns
        -------
        dict of str to object
        """
        found = super().get_params(deep=False)
        if deep and _is_listed(self.forecasters):
            for name, member in _named(self.forecasters).items():
                found[name] = member
                if isinstance(member, BaseForecaster):
                    found.update({f"{name}__{key}": value for key, value in member.get_params().items()})
        return found

    def set_params(self, **params: Any) -> Self:
        """Set parameters, members by their names, and parameters of theirs as ``name__parameter``.

        Parameters
        ----------
        **params : dict
            Names and values.

        Returns
        -------
        self
        """
        if "forecasters" in params:
            self.forecasters = params.pop("forecasters")
        members = _named(self.forecasters) if _is_listed(self.forecasters) else {}
        replaced = {name: params.pop(name) for name in list(params) if name in members}
        if replaced:
            members.update(replaced)
            self.forecasters = members
        super().set_params(**params)
        return self

    def __sklearn_is_fitted__(self) -> bool:
        """Whether all members can be asked."""
        return hasattr(self, "weights_")

    def _given(self) -> dict[str, BaseForecaster]:
        if self.forecasters is None:
            return {"Theta": ThetaForecaster(), "SeasonalMean": SeasonalMeanForecaster()}
        return _named(self.forecasters)

    def _check_parameters(self) -> None:
        check_choice(self, "how", ("mean", "median"))
        given = self._given()
        if not given:
            raise ValueError(f"forecasters: found {self.forecasters!r}. Give at least one forecaster.")
        for name, member in given.items():
            check_forecaster(member, f"forecasters[{name!r}]")
            if "__" in name or name in super().get_params(deep=False):
                raise ValueError(f"forecasters: the name {name!r} means something else here. Give another one.")
        check_jobs(self, "threads")
        check_verbose(self)
        self._told_weights()
        super()._check_parameters()

    def _told_weights(self) -> np.ndarray | None:
        """Weights that were given, or equal ones; None where they are to be learned.

        Raises
        ------
        ValueError
            If they are no weights of the members.
        """
        names, given = list(self._given()), self.weights
        if given is None:
            return np.full(len(names), 1 / len(names))
        mend = f"Give numbers of at least 0, one for each of {names}, 'backtest', or None for equal ones"
        if self.how == "median":
            raise ValueError(f"weights: found {given!r}, but how='median' knows none. Use how='mean', or weights=None.")
        if isinstance(given, str):
            if given != "backtest":
                raise ValueError(f"weights: found {given!r}. {mend}.")
            return None
        if isinstance(given, Mapping):
            told = {str(name): weight for name, weight in given.items()}
            if set(told) != set(names) or len(told) < len(given):
                raise ValueError(f"weights: found those of {list(given)}. {mend}.")
            given = [told[name] for name in names]
        if np.ndim(given) != 1:
            raise ValueError(f"weights: found {given!r}. {mend}.")
        listed = list(given)
        found = np.asarray(listed, dtype=np.float64)
        if found.shape != (len(names),) or not np.isfinite(found).all() or (found < 0).any() or not found.any():
            raise ValueError(f"weights: found {given!r}. {mend}; not all may be 0.")
        return found / found.sum()

    def _fit_panel(self, panel: Panel) -> None:
        weights = self._told_weights()
        if weights is None:
            weights = self._learned_weights(panel)
        self._keep(self._all_fitted(panel))
        self.weights_ = dict(zip(self.members_, weights.tolist(), strict=True))

    def _all_fitted(self, panel: Panel) -> dict[str, BaseForecaster]:
        given = self._given()
        calls = (delayed(self._fitted)(one, panel) for one in given.values())
        words = {"label": "EnsembleForecaster", "unit": "member"}
        done = run_jobs(calls, len(given), **words, n_jobs=self.n_jobs, verbose=self.verbose, prefer="threads")
        return dict(zip(given, done, strict=True))

    def _learned_weights(self, panel: Panel) -> np.ndarray:
        count = len(self._given())
        held = held_out(panel, self.horizon_, _SHARE, _CUTOFFS)
        unit = series_units(held.early, self.season_)[held.cutoffs[:, 0]][:, None]
        if count == 1 or not np.isfinite(held.truth / unit).any():
            return np.full(count, 1 / count)
        members = self._all_fitted(held.early).values()
        found = [(member._forecast(panel, held.cutoffs)[..., 0] - held.truth) / unit for member in members]
        errors = np.stack(found, axis=-1).reshape(-1, count)
        return combination_weights(errors[np.isfinite(errors).all(axis=1)], _SHRINKAGE)

    def _forecast(self, panel: Panel, cutoffs: np.ndarray) -> np.ndarray:
        parts = [member._forecast(panel, cutoffs) for member in self.members_.values()]
        if self.how == "median":
            return np.median(parts, axis=0)
        return np.sum([weight * part for weight, part in zip(self.weights_.values(), parts, strict=True)], axis=0)

    @available_if(_is_mean)
    def _components(self, panel: Panel, cutoffs: np.ndarray) -> dict[str, np.ndarray]:
        return {
            name: self.weights_[name] * member._forecast(panel, cutoffs)[..., 0]
            for name, member in self.members_.items()
        }


def combination_weights(errors: np.ndarray, shrinkage: float) -> np.ndarray:
    """Weights of at least 0 that sum to 1, with the smallest mean square of the mean error, drawn to equal ones.

    Parameters
    ----------
    errors : float array of shape (n, n_members)
        Errors of all members at the same steps.
    shrinkage : float
        What the squared distance from equal weights counts, in units of the members' mean squared error.

    Returns
    -------
    float array of shape (n_members,)

    Examples
    --------
    >>> combination_weights(np.array([[1.0, 2.0], [1.0, -2.0]]), 0.0).round(3).tolist()
    [0.8, 0.2]
    >>> combination_weights(np.array([[1.0, 2.0], [1.0, -2.0]]), 1e6).round(3).tolist()
    [0.5, 0.5]
    """
    count = errors.shape[1]
    products = errors.T @ errors / max(len(errors), 1)
    size = np.trace(products) / count
    if not size > 0:
        return np.full(count, 1 / count)
    # The shortest vector under the sum: rows that say "all sum to 1" weigh so much that nothing else counts there.
    values, vectors = np.linalg.eigh(products / size + shrinkage * np.eye(count))
    root = np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T
    target = np.linalg.lstsq(root.T, np.full(count, shrinkage / count), rcond=None)[0]
    firm = 1e4
    found, _ = nnls(np.vstack([root, np.full(count, firm)]), np.append(target, firm))
    return found / found.sum()


def _is_listed(forecasters: Any) -> bool:
    return isinstance(forecasters, Mapping | Sequence) and not isinstance(forecasters, str)


def _named(forecasters: Any) -> dict[str, Any]:
    """Members by name, whether given by name, in pairs, or alone."""
    if isinstance(forecasters, Mapping):
        named: dict[str, Any] = {str(name): member for name, member in forecasters.items()}
        if len(named) < len(forecasters):
            raise ValueError(f"forecasters: some of the names {list(forecasters)} read alike. Give each its own.")
        return named
    if not _is_listed(forecasters):
        raise TypeError(f"forecasters: found {forecasters!r}. Give a list of forecasters, or a dict of them.")
    named = {}
    for one in forecasters:
        if isinstance(one, tuple) and len(one) == 2 and isinstance(one[0], str):
            name, one = one
            if name in named:
                raise ValueError(f"forecasters: the name {name!r} is there twice. Give each its own.")
        else:
            name = type(one).__name__.removesuffix("Forecaster")
            if name in named:
                name = next(f"{name}_{k}" for k in range(2, len(forecasters) + 2) if f"{name}_{k}" not in named)
        named[name] = one
    return named
