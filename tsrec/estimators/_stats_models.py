"""One series and the statistical models of statsmodels: chosen and fitted once, then asked from any row.

Every model becomes a linear state space, whose Kalman filter is run over the rows before a cut-off. That is how a model
is asked from other cut-offs without another fit, and how rows without a value are passed over.
"""

import warnings
from typing import Any, NamedTuple

import numpy as np
from scipy.special import ndtri

# Longest season that a model has states for; longer ones are taken out first, by classical decomposition.
LONGEST = {"ets": 52, "arima": 24, "theta": 1}
LEAST = 10
# Variance, in units of the rows fitted, of what is not known yet, and of a forecast that rests on such.
_DIFFUSE, _UNSETTLED = 1e6, 1e4
_ARMA = ((0, 0), (0, 1), (1, 0), (1, 1), (2, 1))
# Of the square of the autocorrelation at the season; the 90 % quantile of chi-squared with one degree of freedom.
_SEASONAL = 2.7055
# Share of the variance beside the trend that a season explains where it is strong.
_STRONG = 0.64


class Fit(NamedTuple):
    """A fitted model as plain numbers.

    Attributes
    ----------
    order : int array of shape (10,)
        How it forecasts (0: not at all, 1: ETS and theta, 2: ARIMA), whether of logarithms, what the pattern does (0:
        nothing, 1: it adds, 2: it multiplies), whether the search converged; then trend and season of ETS, or p, d, q,
        Q (as D) and whether there is a constant.
    parameters : float array of shape (8,)
        Centre and spread of the rows; then those of the model.
    pattern : float array of shape (season,)
        By phase, from ordinal 0 on.
    """

    order: np.ndarray
    parameters: np.ndarray
    pattern: np.ndarray


def no_fit(season: int) -> Fit:
    """What stands for a series that no model is fitted to."""
    return Fit(np.zeros(10, dtype=np.int64), np.full(8, np.nan), np.zeros(season))


def fit_series(model: str, values: np.ndarray, start: int, season: int) -> tuple[Fit, bool]:
    """Choose and fit a model; and whether that failed. Short and constant series have none, which is no failure.

    Parameters
    ----------
    model : {"ets", "arima", "theta"}
    values : float array of shape (n,)
        NaN is missing.
    start : int
        Ordinal of the first row.
    season : int

    Returns
    -------
    fit : Fit
    failed : bool
    """
    # Importing it puts filters of its own before all others, which must not happen among those set below.
    import statsmodels.tools.sm_exceptions  # noqa: F401

    seen = np.flatnonzero(~np.isnan(values))
    if len(seen) < LEAST or np.ptp(values[seen]) <= 1e-9 * np.abs(values[seen]).max():
        return no_fit(season), False
    rows, start = values[seen[0] : seen[-1] + 1], start + int(seen[0])
    with warnings.catch_warnings():
        # What does not converge is counted from the results; warnings of start values and overflows on the way are
        # statsmodels' own business, and are not repeated for each of thousands of series.
        warnings.simplefilter("ignore")
        try:
            return _fit(model, rows, start, season), False
        except (ValueError, IndexError, ZeroDivisionError, np.linalg.LinAlgError):
            return no_fit(season), True


def _fit(model: str, rows: np.ndarray, start: int, season: int) -> Fit:
    filled = np.interp(np.arange(len(rows)), np.flatnonzero(~np.isnan(rows)), rows[~np.isnan(rows)])
    fit = no_fit(season)
    fits_twice = season > 1 and len(rows) >= 2 * season
    seasonal = season if fits_twice and season <= LONGEST[model] else 1
    if fits_twice and seasonal == 1 and _is_seasonal(filled, season):
        pattern, fit.order[2] = _pattern(filled, season)
        fit.pattern[(start + np.arange(season)) % season] = pattern
        rows = _without(rows, fit, start)
        filled = _without(filled, fit, start)
    if model == "arima":
        _fit_arima(fit, rows, filled, seasonal)
    elif model == "theta":
        _fit_theta(fit, filled)
    else:
        _fit_ets(fit, filled, seasonal)
    if not np.isfinite(fit.parameters[:3]).all():
        raise ValueError("parameters that are no numbers")
    return fit


def _is_seasonal(rows: np.ndarray, season: int) -> bool:
    """Whether differences are correlated with those a season before (the test of the theta method, at 10 %).

    A long season that is smooth hardly shows in differences: it may also explain most of what a trend leaves (Wang,
    Smith & Hyndman 2006).
    """
    from statsmodels.tsa.seasonal import seasonal_decompose
    from statsmodels.tsa.stattools import acf

    found = acf(np.diff(rows), nlags=season, fft=True)
    if len(found) > season and (len(rows) - 1) * found[-1] ** 2 > _SEASONAL * np.square(found[:-1]).sum():
        return True
    parts = seasonal_decompose(rows, period=season)
    left = parts.resid[~np.isnan(parts.resid)]
    both = (parts.resid + parts.seasonal)[~np.isnan(parts.resid)]
    return len(rows) >= 3 * season and bool(1 - np.var(left) / max(np.var(both), 1e-300) > _STRONG)


def _pattern(rows: np.ndarray, season: int) -> tuple[np.ndarray, int]:
    from statsmodels.tsa.seasonal import seasonal_decompose

    if rows.min() > 0:
        factors = seasonal_decompose(rows, model="multiplicative", period=season).seasonal[:season]
        if factors.min() > 0.01:
            return factors, 2
    return seasonal_decompose(rows, model="additive", period=season).seasonal[:season], 1


def _without(rows: np.ndarray, fit: Fit, start: int) -> np.ndarray:
    """Rows without their pattern."""
    if not fit.order[2]:
        return rows
    pattern = fit.pattern[(start + np.arange(len(rows))) % len(fit.pattern)]
    return rows / pattern if fit.order[2] == 2 else rows - pattern


def _normalised(rows: np.ndarray, fit: Fit) -> np.ndarray:
    """Rows of mean 0 and spread 1, whose centre and spread are kept."""
    center, spread = np.nanmean(rows), np.nanstd(rows)
    fit.parameters[:2] = center, spread if spread > 0 else 1.0
    return (rows - center) / fit.parameters[1]


def _fit_theta(fit: Fit, rows: np.ndarray) -> None:
    """The two steps of statsmodels' ThetaModel, which would fit an ARIMA for its variance as well."""
    from statsmodels.tsa.holtwinters import SimpleExpSmoothing

    scaled = _normalised(rows, fit)
    smooth = SimpleExpSmoothing(scaled, initialization_method="known", initial_level=scaled[0]).fit()
    slope = np.polyfit(np.arange(len(scaled)), scaled, 1)[0]
    # Half the slope of the trend line is the drift of the smoothing (Hyndman & Billah 2003).
    fit.order[[0, 3]], alpha = 1, min(max(float(smooth.params["smoothing_level"]), 1e-4), 1.0)
    level, errors = scaled[0], []
    for value in scaled[1:]:
        errors.append(value - level - slope / 2)
        level += slope / 2 + alpha * errors[-1]
    fit.parameters[2:8] = np.mean(np.square(errors)), alpha, 0.0, 0.0, 1.0, slope / 2


def _fit_ets(fit: Fit, rows: np.ndarray, season: int) -> None:
    """Additive errors, with and without damped trend and season, of the values and of their logarithms, by AICc."""
    from statsmodels.tsa.exponential_smoothing.ets import ETSModel

    best = np.inf
    # Start values of the season are taken from what a moving average over it leaves.
    season = season if len(rows) >= LEAST + season else 1
    for logs in (0, 1) if rows.min() > 0 else (0,):
        trial = np.log(rows) if logs else rows
        scaled = _normalised(trial, no_fit(1))
        # The likelihood is that of the values themselves, whatever they were turned into.
        turned = 2 * (len(rows) * np.log(max(np.std(trial), 1e-300)) + logs * trial.sum())
        for trend in (0, 1):
            for seasonal in (0, 1) if season > 1 else (0,):
                named = {"trend": "add", "damped_trend": True} if trend else {}
                named |= {"seasonal": "add", "seasonal_periods": season} if seasonal else {}
                model = ETSModel(scaled, error="add", initialization_method="heuristic", **named)
                found = model.fit(disp=False)
                if found.aicc + turned < best and np.isfinite(found.params).all():
                    best = found.aicc + turned
                    told = dict(zip(model.param_names, found.params, strict=True))
                    alpha, beta, gamma = (told.get(f"smoothing_{part}", 0.0) for part in ("level", "trend", "seasonal"))
                    _normalised(trial, fit)
                    fit.order[[0, 1, 3, 4, 5]] = 1, logs, _converged(found), trend, season if seasonal else 1
                    fit.parameters[2:8] = found.scale, alpha, beta, gamma, told.get("damping_trend", 1.0), 0.0


def _converged(found: Any) -> bool:
    told = found.mle_retvals
    return bool(told.get("converged", True)) if isinstance(told, dict) else True


def _fit_arima(fit: Fit, rows: np.ndarray, filled: np.ndarray, season: int) -> None:
    """Differences by tests, a few orders and the constant by AICc."""
    from statsmodels.tsa.statespace.sarimax import SARIMAX
    from statsmodels.tsa.stattools import kpss

    seasonal = int(season > 1 and _is_seasonal(filled, season))
    level = filled[season:] - filled[:-season] if seasonal else filled
    once = int(np.ptp(level) > 0 and kpss(level, regression="c", nlags="auto")[1] < 0.05)
    scaled, best = _normalised(rows, fit), np.inf

    def attempt(p: int, q: int, constant: int, best: float) -> float:
        settings = {"order": (p, once, q), "seasonal_order": (0, seasonal, seasonal, season if seasonal else 0)}
        model = SARIMAX(scaled, trend="c" if constant else "n", simple_differencing=True, **settings)
        found = model.fit(disp=False, maxiter=100)
        if found.aicc < best and np.isfinite(found.params).all():
            fit.order[[0, 3]] = 2, _converged(found)
            fit.order[4:10] = p, once, q, seasonal, season, constant
            fit.parameters[2:] = np.append(found.params, np.full(6 - len(found.params), np.nan))
            return float(found.aicc)
        return best

    always = int(once + seasonal == 0)
    # Orders beside a season are few: each of these fits takes as long as all others.
    for p, q in _ARMA[1:4] if seasonal else _ARMA:
        best = attempt(p, q, always, best)
    if once + seasonal == 1:
        attempt(int(fit.order[4]), int(fit.order[6]), 1, best)


def _filter(fit: Fit, rows: np.ndarray) -> Any:
    """A state space of statsmodels, bound to normalised rows and ready to be filtered."""
    if fit.order[0] == 2:
        from statsmodels.tsa.statespace.sarimax import SARIMAX

        p, once, q, seasonal, season, constant = fit.order[4:10]
        settings = {"order": (p, once, q), "seasonal_order": (0, seasonal, seasonal, season if seasonal else 0)}
        model = SARIMAX(rows, trend="c" if constant else "n", **settings)
        model.update(fit.parameters[2:][~np.isnan(fit.parameters[2:])])
        return model.ssm
    from statsmodels.tsa.statespace.kalman_filter import KalmanFilter

    sigma2, alpha, beta, gamma, phi, drift = fit.parameters[2:8]
    trend, season = fit.order[4:6]
    states = 1 + trend + (season if season > 1 else 0) + 1
    transition = np.zeros((states, states))
    design = np.zeros((1, states))
    transition[0, [0, -1]] = 1.0, alpha
    design[0, [0, -1]] = 1.0
    if trend:
        transition[[0, 1], 1] = design[0, 1] = phi
        transition[1, -1] = beta
    if season > 1:
        first = 1 + trend
        transition[np.arange(first, states - 2), np.arange(first + 1, states - 1)] = 1.0
        transition[states - 2, [first, -1]] = 1.0, gamma
        design[0, first] = 1.0
    space = KalmanFilter(k_endog=1, k_states=states, k_posdef=1)
    space.bind(np.ascontiguousarray(rows))
    space["design"], space["transition"], space["selection", -1, 0] = design, transition, 1.0
    space["state_cov"], space["obs_intercept"], space["state_intercept", 0] = [[sigma2]], [drift], drift
    # The last state is the error to come.
    space.initialize_known(np.zeros(states), np.diag(np.append(np.full(states - 1, _DIFFUSE), sigma2)))
    return space


def ask(fit: Fit, rows: np.ndarray, start: int, steps: np.ndarray, horizon: int, levels: np.ndarray) -> np.ndarray:
    """Forecasts from steps of a series, each from the rows before it.

    Parameters
    ----------
    fit : Fit
        With a model.
    rows : float array of shape (n,)
        NaN is missing; those after a step are not read for it.
    start : int
        Ordinal of the first row.
    steps : int array of shape (n_cutoffs,)
        Between 0 and n.
    horizon : int
    levels : float array of shape (n_levels,)

    Returns
    -------
    float array of shape (n_cutoffs, horizon, 1 + n_levels)
        NaN where too little is known.
    """
    known = _without(rows, fit, start)
    if fit.order[1]:
        known = np.log(np.where(known > 0, known, np.nan))
    center, spread = fit.parameters[:2]
    space = _filter(fit, (known - center) / spread)
    found = space.filter()
    mean, variance = _ahead(
        space, found.predicted_state.T[steps], np.moveaxis(found.predicted_state_cov, 2, 0)[steps], horizon
    )
    settled = np.isfinite(variance).all(axis=1) & (variance[:, : max(len(fit.pattern), 1)] < _UNSETTLED).all(axis=1)
    away = np.sqrt(np.maximum(variance, 0.0))[..., None] * ndtri(levels)
    answers = center + spread * np.concatenate([mean[..., None], mean[..., None] + away], axis=-1)
    if fit.order[1]:
        answers = np.exp(np.minimum(answers, 700.0))
    if fit.order[2]:
        phases = (start + steps[:, None] + np.arange(horizon)) % len(fit.pattern)
        pattern = fit.pattern[phases][..., None]
        answers = answers * pattern if fit.order[2] == 2 else answers + pattern
    answers[~(settled & np.isfinite(answers).all(axis=(1, 2)))] = np.nan
    return answers


def _ahead(space: Any, state: np.ndarray, cov: np.ndarray, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """Means and variances (n, horizon) of what is observed, from predicted states (n, k) and covariances (n, k, k)."""
    design, transition = np.atleast_2d(space["design"])[0], space["transition"]
    selection = space["selection"]
    noise = selection @ np.atleast_2d(space["state_cov"]) @ selection.T
    # A constant is repeated for every row.
    intercept = space["state_intercept"].reshape(len(transition), -1)[:, 0]
    shift = float(np.ravel(space["obs_intercept"])[0])
    own = float(np.ravel(space["obs_cov"])[0])
    means, variances = np.empty((2, len(state), horizon))
    for step in range(horizon):
        means[:, step] = state @ design + shift
        variances[:, step] = np.einsum("i,nij,j->n", design, cov, design) + own
        state = state @ transition.T + intercept
        cov = transition @ cov @ transition.T + noise
    return means, variances


def name_of(model: str, order: np.ndarray) -> str:
    """The name of a fitted model."""
    if not order[0]:
        return "seasonal naive"
    taken = ", season taken out" if order[2] else ""
    if model == "arima":
        p, once, q, seasonal, season, constant = order[4:10]
        pattern = f"(0,1,1)[{season}]" if seasonal else ""
        return f"ARIMA({p},{once},{q}){pattern}{' with constant' if constant else ''}{taken}"
    if model == "theta":
        return f"theta{taken}"
    trend, season = order[4:6]
    parts = f"ETS(A,{'Ad' if trend else 'N'},{'A' if season > 1 else 'N'})"
    return f"{parts}{' of logarithms' if order[1] else ''}{taken}"
