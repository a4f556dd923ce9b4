"""Synthetic series with a known recipe, for examples and tests."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

_START = "2024-01-01"


def make_seasonal(
    n_steps: int = 240,
    *,
    n_series: int | None = None,
    season: float | Sequence[float] = 24,
    trend: float = 0.0,
    noise: float = 0.1,
    freq: str = "h",
    random_state: int | np.random.Generator | None = None,
) -> pd.DataFrame:
    """Sine waves of given periods on a line, with noise.

    ``y[t] = level + trend * t + sum_i a_i sin(2 pi t / s_i + p_i) + e[t]``. Each series draws its level from N(0, 1),
    its amplitudes a_i from U(0.5, 1.5) and its phases p_i from U(0, 2 pi); the errors e[t] are independent draws from
    N(0, noise squared).

    Parameters
    ----------
    n_steps : int, default 240
        Length of each series, in steps.
    n_series : int, optional
        Number of series of a panel. A single series, without a series level, when omitted.
    season : float or sequence of float, default 24
        Periods s_i, in steps.
    trend : float, default 0.0
        Slope of the line, in units of y per step.
    noise : float, default 0.1
        Standard deviation of the errors, in units of y.
    freq : str, default "h"
        Frequency of the index, which begins at 2024-01-01.
    random_state : int, numpy Generator or None
        Seed of the draws. The same seed gives the same numbers.

    Returns
    -------
    frame : DataFrame of shape (n_steps, 1) or (n_series * n_steps, 1)
        Column ``y``, float64. DatetimeIndex ``time``, or for a panel MultiIndex (``series``, ``time``) with the names
        series_0, series_1 and so on.

    Raises
    ------
    ValueError
        If a count, a period or the noise is out of range.

    Examples
    --------
    >>> from tsrec.datasets import make_seasonal
    >>> make_seasonal(48, n_series=3, season=(24, 168), random_state=0).shape
    (144, 1)
    """
    periods = np.atleast_1d(np.asarray(season, dtype=float))
    _check_at_least("n_steps", n_steps, 1)
    _check_at_least("n_series", 1 if n_series is None else n_series, 1)
    _check_at_least("noise", noise, 0)
    if periods.ndim != 1 or not (periods > 0).all():
        raise ValueError(
            f"season: periods must be positive numbers of steps, got {season!r}. Pass for example (24, 168)."
        )
    rng = np.random.default_rng(random_state)
    count = 1 if n_series is None else n_series
    level = rng.normal(size=(count, 1))
    amplitude = rng.uniform(0.5, 1.5, size=(count, 1, len(periods)))
    phase = rng.uniform(0, 2 * np.pi, size=(count, 1, len(periods)))
    step = np.arange(n_steps)
    waves = (amplitude * np.sin(2 * np.pi * step[:, None] / periods + phase)).sum(axis=-1)
    y = level + trend * step + waves + rng.normal(scale=noise, size=(count, n_steps))
    time: pd.Index = pd.date_range(_START, periods=n_steps, freq=freq, name="time")
    if n_series is not None:
        time = pd.MultiIndex.from_product([[f"series_{i}" for i in range(n_series)], time], names=["series", "time"])
    return pd.DataFrame({"y": y.ravel()}, index=time)


def _check_at_least(name: str, value: float, least: int) -> None:
    if value < least:
        raise ValueError(f"{name}: got {value!r}, which is below {least}. Pass {least} or more.")
