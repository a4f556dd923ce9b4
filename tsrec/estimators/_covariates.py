"""The linear effect of covariates whose future is known, found once in closed form and taken out of the target.

What a network then forecasts is free of it, and the effect at the steps ahead is added back: regression with errors
that the network models (Pankratz 1991, Forecasting with Dynamic Regression Models).
"""

from dataclasses import dataclass

import numpy as np

from tsrec.frames import Panel

_RIDGE = 1e-3
_LEAST_GAIN = 0.01


@dataclass(frozen=True, eq=False)
class CovariateEffect:
    """Linear effect of standardised covariates; a missing covariate counts as its mean and has none.

    Attributes
    ----------
    mean, spread : float array of shape (n_covariates,)
        Of the training rows.
    weight : float array of shape (n_covariates, n_channels)
        Effect of one spread of each covariate, in the unit of the values it was fitted to; zero where it did not help.
    """

    mean: np.ndarray
    spread: np.ndarray
    weight: np.ndarray

    def standardised(self, covariates: np.ndarray) -> np.ndarray:
        """Covariates of shape (..., n_covariates) in training spreads from the training mean; missing ones are 0."""
        return np.nan_to_num((covariates - self.mean) / self.spread)

    def of(self, covariates: np.ndarray) -> np.ndarray:
        """The effect of covariates (..., n_covariates), as (..., n_channels)."""
        return self.standardised(covariates) @ self.weight


def fit_effect(values: np.ndarray, panel: Panel, season: int) -> CovariateEffect:
    """Regress seasonal differences of the values on those of the covariates.

    Differences leave out level and season, which covariates must not explain by accident. The regression is fitted on
    the first three quarters of each series and kept for a channel only if it explains the last quarter; then it is
    fitted on all.

    Parameters
    ----------
    values : float array of shape (n_rows, n_channels)
        The target, in comparable units for all series.
    panel : Panel
        Gives the covariates and where the series begin.
    season : int
        Steps between the rows that are subtracted.
    """
    covariates = panel.covariates
    seen = ~np.isnan(covariates)
    count = np.maximum(seen.sum(axis=0), 1)
    mean = np.where(seen, covariates, 0.0).sum(axis=0) / count
    spread = np.sqrt((np.where(seen, covariates - mean, 0.0) ** 2).sum(axis=0) / count)
    effect = CovariateEffect(mean, np.where(spread > 0, spread, 1.0), np.zeros((covariates.shape[1], values.shape[1])))
    lag = season if 3 * season <= panel.lengths.max() else 1
    position = np.arange(len(values)) - np.repeat(panel.offsets[:-1], panel.lengths)
    rows = np.flatnonzero(position >= lag)
    if not len(rows):
        return effect
    standard = effect.standardised(covariates)
    inputs, outputs = standard[rows] - standard[rows - lag], values[rows] - values[rows - lag]
    late = position[rows] >= 0.75 * np.repeat(panel.lengths, panel.lengths)[rows]
    weight = np.stack([_channel_effect(inputs, output, late) for output in outputs.T], axis=1)
    return CovariateEffect(effect.mean, effect.spread, weight)


def _channel_effect(inputs: np.ndarray, output: np.ndarray, late: np.ndarray) -> np.ndarray:
    seen = ~np.isnan(output)
    early, held_out = seen & ~late, seen & late
    if early.sum() <= inputs.shape[1] or not held_out.any():
        return np.zeros(inputs.shape[1])
    left = output[held_out] - inputs[held_out] @ _ridge(inputs[early], output[early])
    if (left**2).sum() > (1 - _LEAST_GAIN) * (output[held_out] ** 2).sum():
        return np.zeros(inputs.shape[1])
    return _ridge(inputs[seen], output[seen])


def _ridge(inputs: np.ndarray, output: np.ndarray) -> np.ndarray:
    gram = inputs.T @ inputs
    penalty = _RIDGE * max(np.trace(gram) / len(gram), 1e-12)
    return np.linalg.solve(gram + penalty * np.eye(len(gram)), inputs.T @ output)
