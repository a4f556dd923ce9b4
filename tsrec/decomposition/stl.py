"""Seasonal and trend decomposition by loess, with one season (STL) or several (MSTL)."""

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.ndimage import correlate1d

from tsrec.decomposition._base import Decomposer
from tsrec.decomposition._checks import check_count, check_degree, check_flag, check_odd, check_windows
from tsrec.decomposition._ends import ends
from tsrec.decomposition._holes import Floats
from tsrec.decomposition._periods import choose_period, choose_periods
from tsrec.decomposition._stl import Settings, decompose
from tsrec.frames import Panel

# Passes, and rounds of weights: without robustness, and with it.
_PLAIN, _ROBUST = (5, 0), (2, 15)
# Numbers in windows at a time in causal decomposition; periods that they look back on, and steps without a period.
_NUMBERS, _PERIODS, _STEPS = 1 << 20, 6, 24
# The widest trend window that is chosen where there is no period.
_WIDEST = 4095


class LoessDecomposer(Decomposer):
    """What STL and MSTL share: trend windows, robustness, and looking at the past only."""

    trend: int | None
    low_pass: int | None
    seasonal_degree: int
    trend_degree: int
    low_pass_degree: int
    robust: bool
    causal: bool
    context: int | None

    def _windows(self) -> list[int]:
        """Seasonal windows, one for each period."""
        raise NotImplementedError

    def _check(self) -> None:
        super()._check()
        check_flag(self, "robust", "causal")
        check_degree(self, "seasonal_degree", "trend_degree", "low_pass_degree")
        check_odd("trend", self.trend, optional=True)
        check_odd("low_pass", self.low_pass, optional=True)
        check_count("context", self.context, least=2, optional=True)

    def _check_lengths(self, panel: Panel) -> None:
        """Refuse series that are too short, and smoothings that do not go beyond a season."""
        super()._check_lengths(panel)
        for name in ("trend", "low_pass"):
            value = getattr(self, name)
            if value is not None and self.periods_ and value <= self.periods_[-1]:
                raise ValueError(
                    f"{name}: found {value}. Give an odd number of more than the period, {self.periods_[-1]}."
                )

    def _settings(self, n: int) -> tuple[Settings, ...]:
        inner, outer = _ROBUST if self.robust else _PLAIN
        degrees = self.seasonal_degree, self.trend_degree, self.low_pass_degree
        if not self.periods_:
            window = self.trend or _odd(min(max(7, n // 4), _WIDEST))
            return (Settings(n, 0, 0, window, 0, *degrees, 1, outer),)
        return tuple(
            Settings(
                n,
                period,
                window,
                self.trend or _trend(period, window),
                self.low_pass or _odd(period + 1),
                *degrees,
                inner,
                outer,
            )
            for period, window in zip(self.periods_, self._windows(), strict=True)
        )

    @property
    def _passes(self) -> int:
        return 1 if len(self.periods_) < 2 else 2

    def _fill(self, y: Floats, out: Floats) -> None:
        if self.causal:
            self._causal(y, out)
        else:
            decompose(y, self._settings(y.shape[1]), self._passes, out)

    def _causal(self, y: Floats, out: Floats) -> None:
        """What the last step of a window of whole periods is taken apart into, for each step."""
        n, unit = y.shape[1], self.periods_[-1] if self.periods_ else 1
        longest = max((self.context or (_PERIODS if self.periods_ else _STEPS) * unit) // unit, 2)
        # Before there are two periods: the mean so far, and no season.
        begin = slice(0, 2 * unit - 1)
        seen = ~np.isnan(y[:, begin])
        count = seen.cumsum(1)
        out[1:, :, begin] = 0.0
        out[0, :, begin] = np.where(seen, y[:, begin], 0.0).cumsum(1) / np.where(count, count, np.nan)
        for periods in range(2, longest + 1):
            first, last = periods * unit - 1, n if periods == longest else min((periods + 1) * unit - 1, n)
            if first < last:
                out[:, :, first:last] = self._at_ends(y[:, :last], periods * unit)
        # Where nothing is known for so long, the trend stays, and seasons go on.
        for t in np.flatnonzero(np.isnan(out[0, :, 1:]).any(0)) + 1:
            rows = np.isnan(out[0, :, t])
            for part, back in zip(out, (1, *self.periods_), strict=True):
                part[rows, t] = part[rows, t - back] if t >= back else 0.0

    def _at_ends(self, y: Floats, width: int) -> Floats:
        """Last values of the components of all windows of a width, (1 + n_periods, B, n - width + 1)."""
        settings, windows = self._settings(width), sliding_window_view(y, width, axis=1)
        count = np.cumsum(np.pad(~np.isnan(y), ((0, 0), (1, 0))), axis=1)
        known = count[:, width:] - count[:, :-width]
        parts = np.full((1 + len(self.periods_), *known.shape), np.nan)
        single = known > 0
        if not self.robust:
            valid = slice(width // 2, y.shape[1] - (width - 1) // 2)
            for part, taps in zip(parts, ends(settings, self._passes), strict=True):
                part[:] = correlate1d(y, taps, axis=1, mode="constant")[:, valid]
            single &= known < width
        rows, starts = np.nonzero(single)
        size = max(_NUMBERS // width, 1)
        for i in range(0, len(rows), size):
            at = rows[i : i + size], starts[i : i + size]
            found = np.empty((len(parts), len(at[0]), width))
            decompose(windows[at], settings, self._passes, found)
            parts[:, *at] = found[..., -1]
        return parts


class STL(LoessDecomposer):
    """Seasonal and trend decomposition by loess (Cleveland, Cleveland, McRae and Terpenning 1990).

    Numbers are those of statsmodels' STL, with its defaults. Plain STL is linear in the series: many equally long ones
    are taken apart by one product with a matrix, made once.

    Missing values have no weight. Where nothing is known for longer than a smoothing reaches, the season is that of the
    nearest cycles (of a phase without any value, that between its neighbours), and the trend goes on between its ends,
    or beyond them along a straight line through the series.

    Without a season there is a trend only: loess over `trend` steps, or over a quarter of the series, at least 7 and at
    most 4095 steps, once without robustness and 15 times more with it.

    Parameters
    ----------
    period : int, "auto" or None, default "auto"
        Steps of a season. "auto": what the frequency of the index names, or else the strongest autocorrelation; none
        where most series do not hold it twice, and for None; shorter ones then have a season of 0. ``periods_`` tells.
    seasonal : int, default 7
        Odd window of the loess over the cycles of each phase: how many seasons it takes for the season to change.
    trend, low_pass : int, optional
        Odd windows of the other two, both longer than the period; the smallest odd number above
        1.5 period / (1 - 1.5 / seasonal), and above the period. Time grows with the length of the series times a
        window and with the square of a window; memory with the length alone once windows exceed 4,000 steps.
    seasonal_degree, trend_degree, low_pass_degree : {0, 1}, default 1
        Of the local polynomials.
    robust : bool, default False
        Whether outliers lose weight, in 15 rounds.
    missing : {"weights", "interpolate", "raise"}, default "weights"
        What missing values do: have no weight, be interpolated, or be refused.
    causal : bool, default False
        Whether the components of a step are those of the last `context` steps before it and itself, as known by then;
        with few steps, of those that make whole periods; before two periods the mean so far is the trend.
    context : int, optional
        Steps that causal decomposition looks back on, rounded down to whole periods, but two at least; six periods
        when omitted.

    Attributes
    ----------
    periods_ : tuple of int
        The period, or nothing.
    components_ : list of str
        "trend", "seasonal" (if there is a period), "resid".

    See Also
    --------
    MSTL : Several seasons.

    Examples
    --------
    >>> import pandas as pd
    >>> y = pd.Series([0.0, 1.0, 2.0, 1.0] * 5, pd.date_range("2024", periods=20, freq="QS"), name="y")
    >>> parts = STL(period=4).fit_transform(y)
    >>> parts["y", "seasonal"].round(3).abs().tolist()[:4], parts["y", "trend"].round(3).tolist()[:2]
    ([1.0, 0.0, 1.0, 0.0], [1.0, 1.0])
    """

    def __init__(
        self,
        period: int | str | None = "auto",
        *,
        seasonal: int = 7,
        trend: int | None = None,
        low_pass: int | None = None,
        seasonal_degree: int = 1,
        trend_degree: int = 1,
        low_pass_degree: int = 1,
        robust: bool = False,
        missing: str = "weights",
        causal: bool = False,
        context: int | None = None,
    ) -> None:
        self.period = period
        self.seasonal = seasonal
        self.trend = trend
        self.low_pass = low_pass
        self.seasonal_degree = seasonal_degree
        self.trend_degree = trend_degree
        self.low_pass_degree = low_pass_degree
        self.robust = robust
        self.missing = missing
        self.causal = causal
        self.context = context

    def _check(self) -> None:
        super()._check()
        check_odd("seasonal", self.seasonal)

    def _choose_periods(self, panel: Panel) -> tuple[int, ...]:
        return choose_period(panel, self.period)

    def _names(self) -> list[str]:
        return ["trend", "seasonal"] if self.periods_ else ["trend"]

    def _windows(self) -> list[int]:
        return [self.seasonal]


class MSTL(LoessDecomposer):
    """STL with several seasons, each given what the others leave (Bandara, Hyndman and Bergmeir 2021).

    Numbers are those of statsmodels' MSTL. Like STL it is linear unless it is robust, and missing values do the same.

    Parameters
    ----------
    periods : int, sequence of int, "auto" or None, default "auto"
        Steps of the seasons. "auto": a day and a week for steps shorter than a day, if series hold two weeks, else as
        :class:`STL`. ``periods_`` tells.
    seasonal : sequence of int, optional
        Odd windows of the loess over cycles, from the shortest period on; 11, 15, 19, ...
    trend, low_pass, seasonal_degree, trend_degree, low_pass_degree, robust, missing, causal, context
        As :class:`STL`.

    Attributes
    ----------
    periods_ : tuple of int
        Ascending.
    components_ : list of str
        "trend", "seasonal_24", "seasonal_168", ..., "resid".

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> t = np.arange(24 * 7 * 4)
    >>> y = pd.Series(np.sin(t / 24 * 2 * np.pi) + (t // 24 % 7 > 4), pd.date_range("2024", periods=len(t), freq="h"))
    >>> MSTL().fit(y).components_
    ['trend', 'seasonal_24', 'seasonal_168', 'resid']
    """

    def __init__(
        self,
        periods: int | Sequence[int] | str | None = "auto",
        *,
        seasonal: Sequence[int] | None = None,
        trend: int | None = None,
        low_pass: int | None = None,
        seasonal_degree: int = 1,
        trend_degree: int = 1,
        low_pass_degree: int = 1,
        robust: bool = False,
        missing: str = "weights",
        causal: bool = False,
        context: int | None = None,
    ) -> None:
        self.periods = periods
        self.seasonal = seasonal
        self.trend = trend
        self.low_pass = low_pass
        self.seasonal_degree = seasonal_degree
        self.trend_degree = trend_degree
        self.low_pass_degree = low_pass_degree
        self.robust = robust
        self.missing = missing
        self.causal = causal
        self.context = context

    def _check(self) -> None:
        super()._check()
        check_windows("seasonal", self.seasonal)

    def _choose_periods(self, panel: Panel) -> tuple[int, ...]:
        found = choose_periods(panel, self.periods)
        if self.seasonal is not None and len(self.seasonal) != len(found):
            raise ValueError(f"seasonal: found {len(self.seasonal)} windows, for {len(found)} periods {found}.")
        return found

    def _names(self) -> list[str]:
        return ["trend", *(f"seasonal_{period}" for period in self.periods_)]

    def _windows(self) -> list[int]:
        return (
            [11 + 4 * i for i in range(len(self.periods_))]
            if self.seasonal is None
            else [*self.seasonal][: len(self.periods_)]
        )


def _odd(number: int) -> int:
    """The smallest odd number from here on."""
    return number + 1 - number % 2


def _trend(period: int, seasonal: int) -> int:
    return _odd(int(np.ceil(1.5 * period / (1 - 1.5 / seasonal))))
