"""Trends without seasons: moving averages and Whittaker's smoother."""

import numpy as np
from scipy.linalg import cho_solve_banded, cholesky_banded
from scipy.ndimage import correlate1d

from tsrec.decomposition._base import Decomposer
from tsrec.decomposition._checks import check_count, check_flag, check_positive
from tsrec.decomposition._holes import Floats
from tsrec.decomposition._periods import choose_period
from tsrec.frames import Panel

# Window where no season suggests one.
_WINDOW = 25


class MovingAverage(Decomposer):
    """A moving average as trend, and the rest; DLinear's and TEMPO's way of taking series apart.

    Beyond either end the first and the last value go on. An even window counts its two ends half, as in classical
    decomposition.

    Parameters
    ----------
    window : int or "auto", default "auto"
        Steps of the average: the season if there is one, which then averages out, else 25.
    missing : {"weights", "interpolate", "raise"}, default "weights"
        What missing values do: have no weight, be interpolated, or be refused.
    causal : bool, default False
        Whether the average is over the last `window` steps.

    Attributes
    ----------
    window_ : int
        Steps of the average.
    components_ : list of str
        "trend", "resid".

    Examples
    --------
    >>> import pandas as pd
    >>> y = pd.Series([0.0, 3.0, 6.0], pd.date_range("2024", periods=3), name="y")
    >>> MovingAverage(3).fit_transform(y)["y", "trend"].tolist()
    [1.0, 3.0, 5.0]
    """

    window_: int

    def __init__(self, window: int | str = "auto", *, missing: str = "weights", causal: bool = False) -> None:
        self.window = window
        self.missing = missing
        self.causal = causal

    def _check(self) -> None:
        super()._check()
        check_flag(self, "causal")
        if not (isinstance(self.window, str) and self.window == "auto"):
            check_count("window", self.window)

    def _choose_periods(self, panel: Panel) -> tuple[int, ...]:
        if isinstance(self.window, str):
            self.window_ = (*choose_period(panel, "auto"), _WINDOW)[0]
        else:
            self.window_ = int(self.window)
        return ()

    def _names(self) -> list[str]:
        return ["trend"]

    def _fill(self, y: Floats, out: Floats) -> None:
        taps = np.ones(self.window_)
        if self.window_ % 2 == 0 and not self.causal:
            taps = np.r_[0.5, np.ones(self.window_ - 1), 0.5]
        after = 0 if self.causal else len(taps) // 2
        before, n = len(taps) - 1 - after, y.shape[1]
        seen = ~np.isnan(y)
        if seen.all():
            out[0] = _sums(np.pad(y, ((0, 0), (before, after)), mode="edge"), taps / taps.sum(), n)
            return
        # What goes on beyond the ends is the first and the last value that is known.
        first, last = seen.argmax(1), n - 1 - seen[:, ::-1].argmax(1)
        rows = np.arange(len(y))
        edges = [np.repeat(y[rows, at][:, None], width, 1) for at, width in ((first, before), (last, after))]
        values = np.hstack((edges[0], np.where(seen, y, 0.0), edges[1]))
        known = np.pad(seen.astype(np.float64), ((0, 0), (before, after)), constant_values=1.0)
        if self.causal:
            # A first value that is still to come must not go back.
            known[:, :before] = seen[:, :1]
            values[:, :before] *= seen[:, :1]
        count = _sums(known, taps, n)
        out[0] = _sums(values, taps, n) / np.where(count > 0, count, np.nan)


class Whittaker(Decomposer):
    """The smooth curve z that minimises sum w (y - z)^2 + smoothing sum (second differences of z)^2, and the rest.

    Whittaker (1923); in econometrics the Hodrick-Prescott filter. A wave of frequency w keeps the share
    1 / (1 + smoothing (2 - 2 cos w)^2) of its height. Missing values have weight 0, and are bridged.

    Parameters
    ----------
    half_period : float, default 48
        Steps of a wave that keeps half of its height: smoothing = 1 / (2 sin(pi / half_period))^4. At least 2.
    smoothing : float, optional
        The same given directly; 1600 is usual for quarters.
    missing : {"weights", "interpolate", "raise"}, default "weights"
        What missing values do: have no weight, be interpolated, or be refused.
    causal : bool, default False
        Whether the curve at a step is the end of the one drawn through the steps up to it.

    Attributes
    ----------
    smoothing_ : float
        What was taken.
    components_ : list of str
        "trend", "resid".

    Examples
    --------
    >>> import pandas as pd
    >>> y = pd.Series([1.0, 2.0, None, 4.0], pd.date_range("2024", periods=4), name="y")
    >>> Whittaker().fit_transform(y)["y", "trend"].round(6).tolist()
    [1.0, 2.0, 3.0, 4.0]
    """

    smoothing_: float

    def __init__(
        self,
        half_period: float = 48,
        *,
        smoothing: float | None = None,
        missing: str = "weights",
        causal: bool = False,
    ) -> None:
        self.half_period = half_period
        self.smoothing = smoothing
        self.missing = missing
        self.causal = causal

    def _check(self) -> None:
        super()._check()
        check_flag(self, "causal")
        check_positive("half_period", self.half_period)
        if self.half_period < 2:
            raise ValueError(f"half_period: found {self.half_period!r}. Waves have two steps at least.")
        if self.smoothing is not None:
            check_positive("smoothing", self.smoothing)

    def _choose_periods(self, panel: Panel) -> tuple[int, ...]:  # noqa: ARG002 - there is none
        usual = 1 / (2 * np.sin(np.pi / self.half_period)) ** 4
        self.smoothing_ = float(usual if self.smoothing is None else self.smoothing)
        return ()

    def _names(self) -> list[str]:
        return ["trend"]

    def _fill(self, y: Floats, out: Floats) -> None:
        seen = ~np.isnan(y)
        filled, weights = np.where(seen, y, 0.0), seen.astype(np.float64)
        if self.causal:
            out[0] = _filtered(filled, weights, self.smoothing_)
            return
        # Series with holes in the same places have a matrix in common.
        patterns, which = np.unique(seen, axis=0, return_inverse=True)
        for i, pattern in enumerate(patterns):
            rows = np.flatnonzero(which.ravel() == i)
            out[0, rows] = _smoothed(filled[rows], pattern.astype(np.float64), self.smoothing_)


def _sums(y: Floats, taps: Floats, n: int) -> Floats:
    """Weighted sums of the n windows of y, (B, n)."""
    return correlate1d(y, taps, axis=1, mode="constant")[:, len(taps) // 2 :][:, :n]


def _smoothed(y: Floats, weights: Floats, smoothing: float) -> Floats:
    """Solve (W + smoothing D'D) z = W y for series with the same weights."""
    n = y.shape[1]
    known = np.flatnonzero(weights)
    if len(known) < 2 or n < 3:
        # One point carries a level only.
        return np.where(weights > 0, y, y[:, known[:1]]) if len(known) < 2 else y.copy()
    bands = np.zeros((3, n))
    for shift, taps in enumerate(([1.0, 4.0, 1.0], [-2.0, -2.0], [1.0])):
        for i, value in enumerate(taps):
            at = slice(shift + i, n - 2 + shift + i)
            bands[2 - shift, at] += smoothing * value
    bands[2] += weights
    return cho_solve_banded((cholesky_banded(bands), False), (weights * y).T).T


def _filtered(y: Floats, weights: Floats, smoothing: float) -> Floats:
    """The last value of the curve through each beginning of a series.

    All that a beginning says of its last two values z is a square form z'Qz - 2b'z; each step adds a value and a
    penalty, and does away with the oldest.
    """
    trend, level = np.empty_like(y), np.full(len(y), np.nan)
    form, pull = np.zeros((len(y), 2, 2)), np.zeros((len(y), 2))
    penalty = smoothing * np.outer([1.0, -2.0, 1.0], [1.0, -2.0, 1.0])
    for t in range(y.shape[1]):
        w, v = weights[:, t], y[:, t]
        if t:
            wide, goal = np.zeros((len(y), 3, 3)), np.zeros((len(y), 3))
            wide[:, :2, :2], goal[:, :2] = form, pull
            if t > 1:
                wide += penalty
                out = wide[:, 0, 1:] / wide[:, :1, 0]
                wide[:, 1:, 1:] -= out[:, :, None] * wide[:, :1, 1:]
                goal[:, 1:] -= out * goal[:, :1]
            form, pull = wide[:, 1:, 1:], goal[:, 1:]
        form[:, 1, 1] += w
        pull[:, 1] += w * v
        determinant = form[:, 0, 0] * form[:, 1, 1] - form[:, 0, 1] ** 2
        level = np.where(w > 0, v, level)
        sure = determinant > 1e-12 * form[:, 0, 0] * form[:, 1, 1]
        solved = form[:, 0, 0] * pull[:, 1] - form[:, 0, 1] * pull[:, 0]
        trend[:, t] = np.where(sure, solved / np.where(sure, determinant, 1.0), level)
    return trend
