"""What is expected of a window by Gaussian processes of day, week, drift and noise.

A structural time series is the sum of a season, a drift and noise (Harvey 1989, Forecasting, Structural Time Series
Models and the Kalman Filter, chapter 2). Each mixture of them is a Gaussian process, whose forecast is a linear map of
the window and whose variance is known (Rasmussen and Williams 2006, Gaussian Processes for Machine Learning, equations
2.25 and 2.26). Which of them a window is of is told by its periodogram: Whittle's likelihood, with the expected
periodogram of a window as long as this one (Sykulski et al. 2019, The debiased Whittle likelihood, Biometrika 106).
Forecasts are averaged by these likelihoods (Hoeting et al. 1999, Bayesian Model Averaging). Nothing is learned: it
holds for series that were never seen.
"""

import itertools
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor, nn

from tsrec.layers.checks import check_counts

# Shares of the variance, times in seasons: chosen on windows of half-hourly demand, temperature, taxi rides, sensors
# and servers. Other values that were tried moved the errors by less than 3 %, but a less smooth day (0.5) by 5 %.
_SEASONAL, _WEEKLY, _NOISE, _DRIFT = (0.1, 0.4, 0.7), (0.0, 0.4), (0.03, 0.2), 0.1
_MEMORIES, _DRIFT_MEMORY, _SEASON_MEMORY, _WEEK_MEMORY = (1 / 6, 4 / 3), 20.0, 208.0, 833.0
_WEEK, _SMOOTH, _LEAST_REST = 7, 0.8, 0.03
# Steps of a window are less independent than the likelihood takes them to be.
_TEMPER = 0.2
_LEAST_SPREAD = 0.05


class Expected(NamedTuple):
    """What is expected of windows.

    Attributes
    ----------
    point, spread : Tensor of shape (B, H)
        Mean and standard deviation, in units of the windows.
    blend : Tensor of shape (B, K)
        Weight of each process; they sum to 1, or are 0 for windows of a kind that nothing is expected of.
    """

    point: Tensor
    spread: Tensor
    blend: Tensor


class _Tables(NamedTuple):
    maps: Tensor  # (K, L, H)
    variance: Tensor  # (K, H)
    periodogram: Tensor  # (K, L // 2)


class StructuralMaps(nn.Module):
    """Forecast windows by Gaussian processes; see the module's head. It has no weights.

    Parameters
    ----------
    context, horizon : int
        L and H.
    season : int
        Steps of a day, 2 to L / 2; a week is seven.
    kinds : sequence of bool, optional
        For each kind of windows whether something is expected of it; of all when omitted.

    Raises
    ------
    ValueError
        If the season does not fit into the context twice.

    Examples
    --------
    >>> day = torch.sin(torch.arange(96) * torch.pi / 12)
    >>> expected = StructuralMaps(72, 24, 24)(day[None, :72])
    >>> bool((expected.point[0] - day[72:]).abs().max() < 0.05)
    True
    """

    maps: Tensor
    variance: Tensor
    periodogram: Tensor

    def __init__(self, context: int, horizon: int, season: int, kinds: tuple[bool, ...] | None = None) -> None:
        super().__init__()
        check_counts(context=context, horizon=horizon, season=season)
        if not 2 <= season <= context // 2:
            raise ValueError(f"season: found {season} with a context of {context}. It must be 2 to half of that.")
        self.context, self.horizon, self.season, self.kinds = context, horizon, season, kinds

    def forward(self, z: Tensor, variable: Tensor | None = None) -> Expected:
        """Tell what is expected after windows (B, L) of the kinds it is for; ``variable`` (B,) says which they are."""
        if self.kinds is None and torch.compiler.is_compiling():
            return self._expected(z)
        point, spread = z.new_zeros(len(z), self.horizon), z.new_ones(len(z), self.horizon)
        blend = z.new_zeros(len(z), _COUNT)
        rows = self._rows(z, variable)
        # Transforms of no window at all are refused.
        if len(rows):
            for whole, part in zip((point, spread, blend), self._expected(z[rows]), strict=True):
                whole[rows] = part
        return Expected(point, spread, blend)

    def _rows(self, z: Tensor, variable: Tensor | None) -> Tensor:
        """Numbers of the windows that something is expected of."""
        if self.kinds is None:
            return torch.arange(len(z), device=z.device)
        if variable is None:
            return torch.arange(0, device=z.device)
        return torch.tensor(self.kinds, device=z.device)[variable].nonzero()[:, 0]

    def blended(self, part: Tensor, blend: Tensor) -> Tensor:
        """Map parts (B, L) of windows as the windows themselves were mapped, by their ``blend``; (B, H)."""
        level = part.mean(1, keepdim=True)
        found = level * blend.sum(1, keepdim=True)
        for own, weights in zip(self._tables(part).maps, blend.unbind(1), strict=True):
            found = found + weights[:, None] * ((part - level) @ own)
        return found

    def _expected(self, z: Tensor) -> Expected:
        tables = self._tables(z)
        level = z.mean(1, keepdim=True)
        blend, size = _explained(z - level, tables.periodogram)
        if torch.compiler.is_compiling():
            # All at once, which is more memory and a much smaller graph.
            forecasts, shares = (z - level) @ tables.maps, blend.T[..., None]
            point = (shares * forecasts).sum(0)
            square = (shares * (forecasts.square() + size.T[..., None] * tables.variance[:, None])).sum(0)
        else:
            point, square = z.new_zeros(len(z), self.horizon), z.new_zeros(len(z), self.horizon)
            for k, own in enumerate(tables.maps):
                forecast, share = (z - level) @ own, blend[:, k, None]
                point += share * forecast
                square += share * (forecast.square() + size[:, k, None] * tables.variance[k])
        spread = (square - point.square()).clamp_min(_LEAST_SPREAD**2).sqrt()
        # Where nothing moved, or nothing was seen, nothing tells how far the forecast may be off.
        still = (z == z[:, :1]).all(1, keepdim=True)
        return Expected(level + point, torch.where(still, 1.0, spread), blend)

    def keep_tables(self) -> None:
        """Hold the tables as buffers, for graphs and for who has not this module's memory of them."""
        tables = _moved(self.context, self.horizon, self.season, torch.device("cpu"), torch.float32)
        for name, table in tables._asdict().items():
            self.register_buffer(name, table)

    def _tables(self, like: Tensor) -> _Tables:
        if "maps" in self._buffers:
            return _Tables(self.maps, self.variance, self.periodogram)
        return _moved(self.context, self.horizon, self.season, like.device, like.dtype)


def _explained(centred: Tensor, periodogram: Tensor) -> tuple[Tensor, Tensor]:
    """Weight of each process in each window (B, K), and the variance that explains the window best (B, K).

    Variances are free: with that which is best for it, the log likelihood of a process is the sum over frequencies of
    -log S, less their number times the log of the mean of I / S, for periodogram I and expected S.
    """
    found = torch.fft.rfft(centred)[:, 1 : periodogram.shape[1] + 1].abs().square() / centred.shape[1]
    size = found @ (1 / periodogram).T / periodogram.shape[1]
    fit = -periodogram.shape[1] * size.clamp_min(1e-12).log() - periodogram.log().sum(1)
    return torch.softmax(_TEMPER * fit, 1), size


def _mixtures() -> list[tuple[float, float, float, float]]:
    """Shares of season, week and noise, and the memory of the rest, for every process."""
    grid = itertools.product(_SEASONAL, _MEMORIES, _NOISE, _WEEKLY)
    return [(season * (1 - week), season * week, noise, memory) for season, memory, noise, week in grid]


_COUNT = len(_mixtures())


@lru_cache(maxsize=4)
def _moved(context: int, horizon: int, season: int, device: torch.device, dtype: torch.dtype) -> _Tables:
    # What is made in inference mode can never be part of a graph, and these are shared.
    with torch.inference_mode(False):
        return _Tables(*(table.to(device, dtype) for table in _built(context, horizon, season)))


def _built(context: int, horizon: int, season: int) -> _Tables:
    """Maps, variances and expected periodograms of all processes, float64."""
    steps = torch.arange(context + horizon, dtype=torch.float64)
    apart = (steps[:, None] - steps).abs().long()
    maps, variances, spectra = [], [], []
    for mixture in _mixtures():
        covariance = _covariance(steps / season, *mixture)
        # The level is not known: it varies as much as the window does.
        whole = (covariance + 1.0)[apart]
        root = torch.linalg.cholesky(whole[:context, :context])
        own = torch.cholesky_solve(whole[:context, context:], root)
        maps.append(own)
        variances.append(whole[0, 0] - (whole[:context, context:] * own).sum(0))
        spectra.append(_expected_periodogram(covariance[:context]))
    return _Tables(torch.stack(maps), torch.stack(variances).clamp_min(0.0), torch.stack(spectra))


def _covariance(lag: Tensor, season: float, week: float, noise: float, memory: float) -> Tensor:
    """Covariance at lags, in seasons: repeating days and weeks that change slowly, a rest that is forgotten, noise."""
    rest = max(1 - season - week - noise - _DRIFT, _LEAST_REST)
    day = _repeating(lag)
    found = season * day * torch.exp(-lag / _SEASON_MEMORY)
    found += week * day * _repeating(lag / _WEEK) * torch.exp(-lag / _WEEK_MEMORY)
    found += rest * torch.exp(-lag / memory) + _DRIFT * torch.exp(-lag / _DRIFT_MEMORY)
    found[0] += noise
    return found


def _repeating(turns: Tensor) -> Tensor:
    """Covariance of a smooth course that repeats itself every turn (Rasmussen and Williams 2006, equation 4.31)."""
    return torch.exp(-2 * torch.sin(torch.pi * turns).square() / _SMOOTH**2)


def _expected_periodogram(covariance: Tensor) -> Tensor:
    """Expected |DFT|^2 / L of a window (L,) of a process, without the mean, (L // 2,)."""
    length = len(covariance)
    triangle = covariance * (1 - torch.arange(length, dtype=torch.float64) / length)
    return (2 * torch.fft.rfft(triangle).real - triangle[0])[1 : length // 2 + 1].clamp_min(1e-12)
