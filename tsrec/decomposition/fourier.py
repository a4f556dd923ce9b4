"""Seasons as sums of sines and cosines, fitted by least squares."""

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
from scipy.linalg import solve_triangular

from tsrec.decomposition._base import Decomposer
from tsrec.decomposition._cache import kept
from tsrec.decomposition._checks import check_choice, check_count, check_flag
from tsrec.decomposition._holes import Floats, by_pattern
from tsrec.decomposition._periods import choose_periods
from tsrec.frames import Panel

TRENDS = ("linear", "constant")
# Singular values below this share of the largest are rounding.
_SMALL = 1e-10


class FourierSeasonal(Decomposer):
    """A line, or a level, and waves of each period and its fractions, fitted to each series by least squares.

    The waves are those of a whole number of times per period. Unlike a Fourier transform the fit is exact for series
    that hold no whole number of periods, and for those with missing values. What values do not settle, as where a phase
    is never known, is the trend's.

    Parameters
    ----------
    periods : int, sequence of int, "auto" or None, default "auto"
        Steps of the seasons. "auto": a day and a week for steps shorter than a day, if series hold two weeks; else what
        the frequency of the index names, or the strongest autocorrelation. ``periods_`` tells.
    order : int, optional
        Waves per period, from the slowest on; all that there are when omitted.
    trend : {"linear", "constant"}, default "linear"
        What stands beside the seasons.
    missing : {"weights", "interpolate", "raise"}, default "weights"
        What missing values do: have no weight, be interpolated, or be refused.
    causal : bool, default False
        Whether the components of a step are those of the fit to the steps up to it; before there are two periods, or
        values enough, the mean so far is the trend.

    Attributes
    ----------
    periods_ : tuple of int
        Ascending.
    components_ : list of str
        "trend", "seasonal" ("seasonal_24", "seasonal_168", ... if there are several), "resid".

    Examples
    --------
    >>> import pandas as pd
    >>> y = pd.Series([0.0, 1.0, 2.0, 1.0] * 4, pd.date_range("2024", periods=16, freq="QS"), name="y")
    >>> FourierSeasonal(4, order=1).fit_transform(y)["y", "seasonal"].round(3).abs().tolist()[:3]
    [1.0, 0.0, 1.0]
    """

    def __init__(
        self,
        periods: int | Sequence[int] | str | None = "auto",
        *,
        order: int | None = None,
        trend: str = "linear",
        missing: str = "weights",
        causal: bool = False,
    ) -> None:
        self.periods = periods
        self.order = order
        self.trend = trend
        self.missing = missing
        self.causal = causal

    def _check(self) -> None:
        super()._check()
        check_flag(self, "causal")
        check_count("order", self.order, optional=True)
        check_choice(self, "trend", TRENDS)

    def _choose_periods(self, panel: Panel) -> tuple[int, ...]:
        return choose_periods(panel, self.periods)

    def _names(self) -> list[str]:
        if len(self.periods_) == 1:
            return ["trend", "seasonal"]
        return ["trend", *(f"seasonal_{period}" for period in self.periods_)]

    def _fill(self, y: Floats, out: Floats) -> None:
        waves, owner = design(y.shape[1], self.periods_, self.order, self.trend)
        seen = ~np.isnan(y)
        for rows, pattern in by_pattern(seen):
            values = np.where(pattern, y[rows], 0.0)
            if self.causal:
                out[:, rows] = self._causal(values, pattern, waves, owner)
                continue
            weights = _fitted(values[:, pattern], waves[pattern], owner)
            for k, part in enumerate(out):
                part[rows] = weights[:, owner == k] @ waves[:, owner == k].T

    def _causal(self, y: Floats, seen: np.ndarray, waves: Floats, owner: np.ndarray) -> Floats:
        """Least squares of each beginning: solved for the first that settles all waves, then step by step."""
        parts = np.zeros((1 + len(self.periods_), *y.shape))
        # A level as high as the series would cost digits.
        base = y[:, seen.argmax(), None]
        y, count = np.where(seen, y - base, 0.0), seen.cumsum()
        parts[0] = base + y.cumsum(1) / np.where(count, count, np.nan)
        least = 2 * self.periods_[-1] if self.periods_ else 2
        steps = range(least, len(seen) + 1)
        first = least + bisect_left(steps, True, key=lambda end: _is_settled(np.linalg.qr(waves[:end][seen[:end]])[1]))
        if first > len(seen):
            return parts
        basis, corner = np.linalg.qr(waves[:first][seen[:first]])
        turned = np.linalg.inv(corner)
        inverse, weights = turned @ turned.T, y[:, :first][:, seen[:first]] @ basis @ turned.T
        for t in range(first - 1, len(seen)):
            wave = waves[t]
            if t >= first and seen[t]:
                gain = inverse @ wave / (1 + wave @ inverse @ wave)
                weights += np.outer(y[:, t] - weights @ wave, gain)
                inverse -= np.outer(gain, wave @ inverse)
            for k, part in enumerate(parts):
                part[:, t] = weights[:, owner == k] @ wave[owner == k]
        parts[0, :, first - 1 :] += base
        return parts


def _is_settled(corner: Floats) -> bool:
    """Whether what is known settles all waves, from the triangle that it turns into."""
    sizes = np.abs(np.diag(corner))
    return len(corner) == corner.shape[1] and bool(sizes.min() > _SMALL * sizes.max())


def _fitted(y: Floats, known: Floats, owner: np.ndarray) -> Floats:
    """Least squares weights of waves known at some steps, (B, n_waves), for the values there, (B, n_known).

    What values do not settle is the trend's, and the waves have as little of it as can be: a level stays one if some
    phase is never known.
    """
    basis, corner = np.linalg.qr(known)
    if _is_settled(corner):
        return solve_triangular(corner, (y @ basis).T).T
    # One value carries a level only.
    line, waves = known[:, owner == 0][:, : len(known)], known[:, owner > 0]
    basis, corner = np.linalg.qr(line)
    rest = y - y @ basis @ basis.T
    # Twice, so that what was close to a line leaves no rounding of it.
    bent = waves - basis @ (basis.T @ waves)
    bent -= basis @ (basis.T @ bent)
    weights = np.zeros((len(y), len(owner)))
    if np.linalg.norm(bent) > _SMALL * np.linalg.norm(waves):
        weights[:, owner > 0] = rest @ np.linalg.pinv(bent, rcond=_SMALL).T
    left = y - weights[:, owner > 0] @ waves.T
    weights[:, np.flatnonzero(owner == 0)[: line.shape[1]]] = solve_triangular(corner, (left @ basis).T).T
    return weights


@kept
def design(n: int, periods: tuple[int, ...], order: int | None, trend: str) -> tuple[Floats, np.ndarray]:
    """Waves of a series, and whose they are.

    Parameters
    ----------
    n : int
        Steps.
    periods : tuple of int
        Ascending; a wave that two periods share is that of the shorter one.
    order : int or None
        Waves per period.
    trend : {"linear", "constant"}
        What stands beside them.

    Returns
    -------
    waves : array of shape (n, n_waves)
    owner : int array of shape (n_waves,)
        0 for the trend, 1 for the first period, and so on.
    """
    t = np.arange(n)
    # Centred and scaled, so that the equations are well conditioned.
    columns = [np.ones(n), (t - (n - 1) / 2) / max(n, 1)][: 2 if trend == "linear" and n > 1 else 1]
    owner, taken = [0] * len(columns), set()
    for number, period in enumerate(periods, 1):
        for k in range(1, min(order or period, period // 2) + 1):
            step = k * (np.lcm.reduce(periods) // period)
            if step in taken:
                continue
            taken.add(step)
            angle = 2 * np.pi * (k * t % period) / period
            # The fastest wave of an even period has no sine.
            pair = [np.cos(angle)] if 2 * k == period else [np.cos(angle), np.sin(angle)]
            columns += pair
            owner += [number] * len(pair)
    return np.stack(columns, 1), np.array(owner)
