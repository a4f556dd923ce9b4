"""Trends without seasons: moving averages and Whittaker's smoother."""

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_banded
from scipy.ndimage import correlate1d

from tsrec.decomposition._base import Decomposer
from tsrec.decomposition._checks import check_count, check_flag, check_positive
from tsrec.decomposition._holes import Floats, bridged, by_pattern, straight
from tsrec.decomposition._periods import choose_period
from tsrec.frames import Panel

# Window where no season suggests one.
_WINDOW = 25
# Limits of what curves can be drawn with.
_LONGEST, _STRONGEST = 1e50, 1e200


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
        average = _sums(values, taps, n) / np.where(count > 0, count, np.nan)
        if self.causal:
            # Where nothing is known for a window the last average stays.
            at = np.maximum.accumulate(np.where(count > 0, np.arange(n), 0), axis=1)
            out[0] = np.take_along_axis(average, at, 1)
        else:
            out[0] = bridged(average, count > 0)


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
        # Far beyond both limits curves are the series itself or a straight line, and numbers would overflow.
        if self.half_period > _LONGEST:
            raise ValueError(f"half_period: found {self.half_period!r}. Give at most {_LONGEST:g}.")
        if self.smoothing is not None:
            check_positive("smoothing", self.smoothing)
            if not 1 / _STRONGEST <= self.smoothing <= _STRONGEST:
                raise ValueError(
                    f"smoothing: found {self.smoothing!r}. Give a number from {1 / _STRONGEST:g} to {_STRONGEST:g}."
                )

    def _choose_periods(self, panel: Panel) -> tuple[int, ...]:  # noqa: ARG002 - there is none
        usual = 1 / (2 * np.sin(np.pi / self.half_period)) ** 4
        self.smoothing_ = float(usual if self.smoothing is None else self.smoothing)
        return ()

    def _names(self) -> list[str]:
        return ["trend"]

    def _fill(self, y: Floats, out: Floats) -> None:
        seen = ~np.isnan(y)
        filled = np.where(seen, y, 0.0)
        if self.causal:
            out[0] = _filtered(filled, seen, self.smoothing_)
            return
        # A straight line is a curve of its own: the equations are for the rest. One point carries a level only.
        out[0] = straight(filled, seen.astype(np.float64), np.inf)
        rest, bands = (filled - out[0]) * seen, _bending(y.shape[1], self.smoothing_)
        for rows, pattern in by_pattern(seen):
            if pattern.sum() > 1:
                out[0, rows] += _smoothed(rest[rows], pattern, bands)


def _sums(y: Floats, taps: Floats, n: int) -> Floats:
    """Weighted sums of the n windows of y, (B, n)."""
    return correlate1d(y, taps, axis=1, mode="constant")[:, len(taps) // 2 :][:, :n]


def _bending(n: int, smoothing: float) -> Floats:
    """Bands of the equations of a curve for series without a value; see :func:`_smoothed`."""
    bands = np.zeros((7, 2 * n))
    bands[3, 1::2] = -1.0
    # v stands beside the middle of the three steps that it bends.
    bent = np.arange(3, 2 * n - 2, 2)
    for ahead, tap in ((-3, 1.0), (-1, -2.0), (1, 1.0)):
        bands[3 - ahead, bent + ahead] = bands[3 + ahead, bent] = np.sqrt(smoothing) * tap
    return bands


def _smoothed(y: Floats, seen: NDArray[np.bool_], bands: Floats) -> Floats:
    """The smooth curve z through series known at the same steps, and 0 elsewhere: (W + smoothing D'D) z = W y.

    These equations lose twice the digits that z and v = s D z, s the root of the smoothing, need to fulfil
    W z + s D'v = W y and s D z = v. As z, v of one step after those of the other, they are banded.
    """
    known, right = bands.copy(), np.zeros((2 * len(seen), len(y)))
    known[3, ::2], right[::2] = seen, y.T
    return solve_banded((3, 3), known, right, overwrite_ab=True, overwrite_b=True, check_finite=False)[::2].T


def _filtered(y: Floats, seen: NDArray[np.bool_], smoothing: float) -> Floats:
    """The last value of the curve through each beginning of a series.

    All that a beginning says of its last step and value is a square form |R (step, value) - r|^2, R = ((a, b), (0, c)):
    a step more turns it by a rotation, without a difference of like numbers.
    """
    first = y[np.arange(len(y)), seen.argmax(1)][:, None]
    # Series known at the same steps share R.
    weights = (seen[:1] if (seen == seen[:1]).all() else seen).T.astype(np.float64)
    values, trend = ((y - first) * seen).T, np.empty(y.shape[::-1])
    a = b = c = np.zeros(weights.shape[1])
    r, s = np.zeros((2, len(y)))
    for t, (w, v) in enumerate(zip(weights, values, strict=True)):
        kept = 1 / np.sqrt(1 + a * a / smoothing)
        p, q, r = (a - b) * kept, b * kept, r * kept
        turned = np.hypot(p, c)
        # Nothing is known before the first value, and of the line before the second: 0 / 1.
        length = turned + (turned == 0)
        r, s = (p * r - c * s) / length, (c * r + p * s) / length
        a, b, c = turned, (p * q - c * c) / length, c * a * kept / length
        known = np.sqrt(c * c + w)
        level = known + (known == 0)
        s, c = (c * s + w * v) / level, known
        trend[t] = s / level
    count = seen.cumsum(1)
    return np.where(count > 0, np.where(count > 1, trend.T, 0.0) + first, np.nan)
