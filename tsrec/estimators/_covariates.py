"""The linear effect of covariates whose future is known, found once in closed form and taken out of the target.

What a network then forecasts is free of it, and the effect at the steps ahead is added back: regression with errors
that the network models (Pankratz 1991, Forecasting with Dynamic Regression Models).
"""

from dataclasses import dataclass

import numpy as np

from tsrec.frames import Panel

_RIDGE = 1e-3
_LEAST_GAIN = 0.01
_LEAST_SEEN = 0.5
# Rows that an effect is learned from; of more, whole series are left out.
_ROWS = 1_000_000
# Fit on the rows before, test on the rows up to: both tests must show a gain.
_TESTS = ((0.5, 0.75), (0.75, 1.0))


@dataclass(frozen=True, eq=False)
class CovariateScale:
    """Units of covariates, and what stands for missing ones.

    A missing covariate keeps the last value that was seen, as far as this one is known to persist: its deviation from
    the mean fades by ``persistence`` per step. Where none was seen it counts as its mean and has no effect.

    Attributes
    ----------
    mean, spread : float array of shape (n_covariates,)
        Of the training rows; the spread of a constant or hardly ever observed covariate is infinite, which leaves it
        without any effect.
    persistence : float array of shape (n_covariates,)
        Autocorrelation from one step to the next, in [0, 1].
    """

    mean: np.ndarray
    spread: np.ndarray
    persistence: np.ndarray

    def standardised(self, covariates: np.ndarray, begin: np.ndarray | int = 0) -> np.ndarray:
        """Covariates in training spreads from the training mean, missing ones filled.

        Parameters
        ----------
        covariates : float array of shape (n_steps, n_covariates) or (n_windows, n_steps, n_covariates)
            Steps in order of time.
        begin : int array of shape (n_steps,), optional
            First step of the series that each step belongs to.
        """
        scaled = (covariates - self.mean) / self.spread
        missing = np.isnan(scaled)
        if not missing.any():
            return scaled
        steps = np.arange(scaled.shape[-2])[:, None]
        last = np.maximum.accumulate(np.where(missing, -1, steps), axis=-2)
        known = last >= np.broadcast_to(np.asarray(begin), scaled.shape[-2])[:, None]
        value = np.take_along_axis(scaled, np.maximum(last, 0), axis=-2)
        return np.where(known, value * self.persistence ** (steps - np.maximum(last, 0)), 0.0)


@dataclass(frozen=True, eq=False)
class CovariateEffect(CovariateScale):
    """Linear effect of standardised covariates.

    Attributes
    ----------
    mean, spread, persistence
        As of `CovariateScale`.
    weight : float array of shape (n_covariates, n_channels)
        Effect of one spread of each covariate, in the unit of the values it was fitted to; zero where it did not help.
    """

    weight: np.ndarray


def fit_scale(covariates: np.ndarray, panel: Panel) -> CovariateScale:
    """Measure covariates (n_rows, n_covariates) beside the rows of a panel."""
    mean, spread = _measured(covariates)
    return CovariateScale(mean, spread, _persistence((covariates - mean) / spread, panel.positions()))


def fit_effect(
    values: np.ndarray, panel: Panel, covariates: np.ndarray, clock: np.ndarray, season: int
) -> CovariateEffect:
    """Regress seasonal differences of the values on those of the covariates.

    Differences leave out level and season, which covariates must not explain by accident. The effect is kept for a
    channel only if, fitted on the first half of each series, it explains some of the third quarter and, fitted on three
    quarters, some of the last; then it is fitted on all. Of very many series every k-th is looked at.

    Parameters
    ----------
    values : float array of shape (n_rows, n_channels)
        The target, in comparable units for all series.
    panel : Panel
        Gives where the series begin and how much rows count.
    covariates : float array of shape (n_known, n_covariates)
        What is known of rows.
    clock : int array of shape (n_rows,)
        Which of these each row has.
    season : int
        Steps between the rows that are subtracted.
    """
    some = _some_rows(panel)
    known, position = covariates[clock[some]], panel.positions()[some]
    mean, spread = _measured(known)
    scaled = (known - mean) / spread
    lag = season if 3 * season <= panel.lengths.max() else 1
    rows = np.flatnonzero(position >= lag)
    inputs, outputs = scaled[rows] - scaled[rows - lag], values[some][rows] - values[some][rows - lag]
    used = np.isfinite(spread)
    seen = ~np.isnan(inputs[:, used]).any(axis=1)
    share = (position / np.repeat(panel.lengths, panel.lengths)[some])[rows]
    weight = np.zeros((len(mean), values.shape[1]))
    if used.any() and seen.any():
        counted = np.ones(len(rows)) if panel.weight is None else np.sqrt(panel.weight[some][rows])
        inputs, outputs = inputs * counted[:, None], outputs * counted[:, None]
        found = [_channel_effect(inputs[seen][:, used], output[seen], share[seen]) for output in outputs.T]
        weight[used] = np.stack(found, axis=1)
    return CovariateEffect(mean, spread, _persistence(scaled, position), weight)


def _some_rows(panel: Panel) -> np.ndarray:
    """Rows of all series, or of every k-th where there are very many."""
    every = -(-len(panel.values) // _ROWS)
    owner = np.repeat(np.arange(panel.n_series), panel.lengths)
    return np.flatnonzero(owner % every == 0)


def _measured(covariates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    seen = ~np.isnan(covariates)
    count = np.maximum(seen.sum(axis=0), 1)
    mean = np.where(seen, covariates / count, 0.0).sum(axis=0)
    deviation = np.where(seen, covariates - mean, 0.0)
    # Squares of very large values would overflow.
    largest = np.maximum(np.abs(deviation).max(axis=0), np.finfo(np.float64).tiny)
    spread = largest * np.sqrt(((deviation / largest) ** 2).sum(axis=0) / count)
    # Rounding leaves a constant with a spread of some 1e-16 of its size.
    usable = (spread > 1e-9 * np.maximum(np.abs(mean), np.finfo(np.float64).tiny)) & (seen.mean(axis=0) >= _LEAST_SEEN)
    return mean, np.where(usable, spread, np.inf)


def _persistence(scaled: np.ndarray, position: np.ndarray) -> np.ndarray:
    rows = np.flatnonzero(position >= 1)
    now, before = scaled[rows], scaled[rows - 1]
    both = ~np.isnan(now) & ~np.isnan(before)
    product = np.where(both, now * before, 0.0).sum(axis=0)
    square = np.where(both, before**2, 0.0).sum(axis=0)
    return np.clip(product / np.where(square > 0, square, 1.0), 0.0, 1.0)


def _channel_effect(inputs: np.ndarray, output: np.ndarray, share: np.ndarray) -> np.ndarray:
    nothing = np.zeros(inputs.shape[1])
    seen = ~np.isnan(output)
    for first, last in _TESTS:
        early, held_out = seen & (share < first), seen & (share >= first) & (share < last)
        if early.sum() <= inputs.shape[1] or not held_out.any():
            return nothing
        left = output[held_out] - inputs[held_out] @ _ridge(inputs[early], output[early])
        if (left**2).sum() > (1 - _LEAST_GAIN) * (output[held_out] ** 2).sum():
            return nothing
    return _ridge(inputs[seen], output[seen])


def _ridge(inputs: np.ndarray, output: np.ndarray) -> np.ndarray:
    gram = inputs.T @ inputs
    penalty = _RIDGE * max(np.trace(gram) / len(gram), 1e-12)
    return np.linalg.solve(gram + penalty * np.eye(len(gram)), inputs.T @ output)
