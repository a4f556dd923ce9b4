"""What a linear map to a horizon is shrunk to, and how dear each departure from it is, where a season is known.

The seasonal mean at the level of late is a linear map itself, so what is learned only has to pay for being better.
Generalised ridge: Hoerl and Kennard (1970), Technometrics 12; the penalty is that of a Gaussian prior on the map with
the covariance given here (Rasmussen and Williams 2006, Gaussian Processes for Machine Learning, chapter 2).
"""

import math

import torch
from torch import Tensor

# Measured on blocked folds of hourly and 15-minute series: lags lose half of their prior variance in some ten days,
# and a mean over one phase of the day may move ten times as far as single lags.
_MEMORY = 14
_PHASES = 100.0


def seasonal_map(context: int, horizon: int, season: int, *, cycles: int | None = None) -> Tensor:
    """The seasonal mean as a map: each step ahead is the mean of the context's steps of the same phase.

    Parameters
    ----------
    context, horizon : int
        L and H.
    season : int
        Period in steps; with 1, or a period longer than the context, the map is zero: it repeats the level.
    cycles : int, optional
        How many of the latest periods to average, all that fit when omitted. With 1: seasonal naive.

    Returns
    -------
    Tensor of shape (L, H), float64
        For normalised windows; its columns sum to 1, so it means the same in data units.

    Examples
    --------
    >>> (torch.arange(6.0, dtype=torch.float64) @ seasonal_map(6, 3, 2)).tolist()
    [2.0, 3.0, 2.0]
    """
    weight = torch.zeros(context, horizon, dtype=torch.float64)
    fitting = context // season if season > 1 else 0
    used = fitting if cycles is None else min(cycles, fitting)
    steps = torch.arange(horizon)
    for cycle in range(1, used + 1):
        weight[context - cycle * season + steps % season, steps] = 1 / used
    return weight


def seasonal_mean_map(context: int, horizon: int, season: int) -> Tensor:
    """The seasonal mean, its level half the mean of the context's whole seasons and half that of the last season.

    Parameters
    ----------
    context, horizon, season : int
        As for :func:`seasonal_map`.

    Returns
    -------
    Tensor of shape (L, H), float64
        Its columns sum to 1, or to 0 where no season fits.

    Examples
    --------
    >>> x = torch.tensor([0.0, 1.0, 4.0, 5.0], dtype=torch.float64)
    >>> (x @ seasonal_mean_map(4, 2, 2)).tolist()
    [3.0, 4.0]
    """
    weight = seasonal_map(context, horizon, season)
    fitting = context // season if season > 1 else 0
    if fitting:
        weight[-season:] += 0.5 / season
        weight[-fitting * season :] -= 0.5 / (fitting * season)
    return weight


class SeasonalRoot:
    """Root F of the prior covariance F F' of a map's columns: recent lags and phase means are cheap, old lags dear.

    F = D (I + (sqrt(1 + c) - 1) M), where M averages over lags of equal phase and D decays with age, by half a power
    of e in 14 seasons. It is never formed: a product costs L x n for a matrix of shape (L, n).

    Parameters
    ----------
    context, season : int
        L, and the period in steps, which fits in twice.

    Examples
    --------
    >>> [round(value, 1) for value in SeasonalRoot(6, 2).times(torch.ones(6, 1).double()).flatten().tolist()]
    [9.2, 9.4, 9.5, 9.7, 9.9, 10.0]
    """

    def __init__(self, context: int, season: int) -> None:
        self._phase = torch.arange(context) % season
        self._lags = self._phase.bincount().double()[:, None]
        age = torch.arange(context - 1, -1, -1, dtype=torch.float64)
        self._decay = torch.exp(-age / (2 * _MEMORY * season))[:, None]

    def times(self, x: Tensor) -> Tensor:
        """F x, for x of shape (L, n), float64."""
        return self._decay * self._raised(x)

    def transposed_times(self, x: Tensor) -> Tensor:
        """F' x, for x of shape (L, n), float64."""
        return self._raised(self._decay * x)

    def _raised(self, x: Tensor) -> Tensor:
        """x with its phase means raised; this factor is symmetric."""
        sums = x.new_zeros(len(self._lags), x.shape[1]).index_add_(0, self._phase, x)
        return x + ((math.sqrt(1 + _PHASES) - 1) * sums / self._lags)[self._phase]
