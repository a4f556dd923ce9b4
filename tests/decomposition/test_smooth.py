"""Moving averages, Whittaker's smoother and Fourier seasons against their equations."""

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from statsmodels.tsa.filters.hp_filter import hpfilter

from tsrec import FourierSeasonal, MovingAverage, Whittaker

RNG = np.random.default_rng(0)
Y = RNG.normal(size=60).cumsum()


def dated(y):
    return pd.Series(y, pd.date_range("2024", periods=len(y)), name="y")


def trend(model, y):
    return model.fit_transform(dated(y))["y", "trend"].to_numpy()


@pytest.mark.parametrize(("window", "taps"), [(5, [1, 1, 1, 1, 1]), (4, [0.5, 1, 1, 1, 0.5]), (1, [1]), (99, [1] * 99)])
def test_a_moving_average_goes_on_with_the_first_and_the_last_value(window, taps):
    wide = np.pad(Y, len(taps) // 2, mode="edge")
    np.testing.assert_allclose(
        trend(MovingAverage(window), Y), np.convolve(wide, taps, "valid") / sum(taps), atol=1e-12
    )
    wide = np.pad(Y, (window - 1, 0), mode="edge")
    wanted = np.convolve(wide, np.ones(window), "valid") / window
    np.testing.assert_allclose(trend(MovingAverage(window, causal=True), Y), wanted, atol=1e-12)


def test_missing_values_do_not_count_in_a_moving_average():
    y = np.array([np.nan, 1.0, 2.0, np.nan, 4.0])
    np.testing.assert_allclose(trend(MovingAverage(3), y), [1, 1.5, 1.5, 3, 4])


def test_a_moving_average_bridges_what_is_longer_than_its_window():
    y = np.array([1.0, np.nan, np.nan, np.nan, np.nan, 6.0])
    np.testing.assert_allclose(trend(MovingAverage(3), y), [1, 1, 8 / 3, 13 / 3, 6, 6])
    np.testing.assert_allclose(trend(MovingAverage(3, causal=True), y), [1, 1, 1, 1, 1, 6])


def whittaker(y, weights, smoothing):
    """The equations, solved as they stand."""
    D = np.diff(np.eye(len(y)), 2, axis=0)
    return np.linalg.solve(np.diag(weights) + smoothing * D.T @ D, weights * y)


@pytest.mark.parametrize("holes", [[], [0, 1, 20, 21, 22, 59]])
def test_whittaker_solves_its_equations(holes):
    weights = np.ones(60)
    weights[holes] = 0
    y = np.where(weights > 0, Y, np.nan)
    np.testing.assert_allclose(trend(Whittaker(smoothing=30.0), y), whittaker(Y, weights, 30.0), atol=1e-10)
    causal = trend(Whittaker(smoothing=30.0, causal=True), y)
    for end in range(5, 61):
        wanted = whittaker(Y[:end], weights[:end], 30.0)[-1]
        np.testing.assert_allclose(causal[end - 1], wanted, atol=1e-9)


def exact(y, weights, smoothing):
    """The same in rational numbers, for a few dozen steps."""
    n, lam = len(y), Fraction(smoothing)
    rows = [[Fraction(0)] * n + [Fraction(float(w * v))] for w, v in zip(weights, y, strict=True)]
    for i, w in enumerate(weights):
        rows[i][i] += int(w)
    for i in range(n - 2):
        for j, one in enumerate((1, -2, 1)):
            for k, other in enumerate((1, -2, 1)):
                rows[i + j][i + k] += lam * one * other
    for i in range(n):
        for j in range(i + 1, min(i + 3, n)):
            share = rows[j][i] / rows[i][i]
            rows[j] = [low - share * high for low, high in zip(rows[j], rows[i], strict=True)]
    z = [Fraction(0)] * n
    for i in reversed(range(n)):
        z[i] = (rows[i][n] - sum(rows[i][k] * z[k] for k in range(i + 1, min(i + 3, n)))) / rows[i][i]
    return np.array([float(value) for value in z])


@pytest.mark.parametrize("half_period", [10, 1e5, 1e30])
@pytest.mark.parametrize("holes", [[], [0, 1, 20, 21, 22, 23, 24, 25, 26, 27, 39]])
def test_whittaker_is_exact_however_much_it_smooths(half_period, holes):
    y, weights = Y[:40].copy(), np.ones(40)
    weights[holes], y[holes] = 0, np.nan
    model = Whittaker(half_period).fit(dated(Y))
    wanted = exact(np.nan_to_num(y), weights, model.smoothing_)
    np.testing.assert_allclose(trend(model, y), wanted, rtol=0, atol=1e-11)
    causal = trend(Whittaker(half_period, causal=True), y)
    for end in (4, 15, 28, 40):
        wanted = exact(np.nan_to_num(y[:end]), weights[:end], model.smoothing_)[-1]
        np.testing.assert_allclose(causal[end - 1], wanted, rtol=0, atol=1e-11)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("half_period", [10, 1000, 1e5, 1e50])
@pytest.mark.parametrize("n", [50, 3000, pytest.param(20_000, marks=pytest.mark.slow)])
def test_whittaker_leaves_straight_lines_alone(n, half_period, causal):
    steps = np.arange(n)
    line, model = 1e6 - 3.0 * steps, Whittaker(half_period, causal=causal)
    known = (steps % 7 > 1) & ((steps < n // 3) | (steps > n // 2))
    for y in (line, np.where(known, line, np.nan)):
        # Before there are two values the trend is level.
        since = np.flatnonzero(~np.isnan(y))[1] if causal else 0
        np.testing.assert_allclose(trend(model, y)[since:], line[since:], rtol=1e-8, atol=0)


@pytest.mark.parametrize("causal", [False, True])
def test_a_level_moves_the_trend_of_whittaker_by_as_much(causal):
    y = np.random.default_rng(0).normal(size=3000).cumsum()
    model = Whittaker(causal=causal)
    np.testing.assert_allclose(trend(model, y + 1e9) - 1e9, trend(model, y), rtol=0, atol=1e-6)


def test_whittaker_is_the_filter_of_hodrick_and_prescott():
    np.testing.assert_allclose(trend(Whittaker(smoothing=1600), Y), hpfilter(Y, 1600)[1], atol=1e-9)


def test_a_wave_of_the_half_period_keeps_half_of_its_height():
    model = Whittaker(48).fit(dated(Y))
    assert model.smoothing_ == pytest.approx(3415.75, abs=0.01)
    wave = np.sin(2 * np.pi * np.arange(4800) / 48)
    np.testing.assert_allclose(trend(model, wave)[2000:2800], wave[2000:2800] / 2, atol=1e-6)


@pytest.mark.parametrize("y", [[1.0], [1.0, 2.0], [np.nan, 3.0, np.nan, np.nan], [np.nan, 3.0, 5.0]])
@pytest.mark.parametrize("causal", [False, True])
def test_whittaker_takes_what_little_there_is(y, causal):
    found = trend(Whittaker(causal=causal), np.array(y))
    known = ~np.isnan(y)
    np.testing.assert_allclose(found[known], np.array(y)[known], atol=1e-9)
    assert causal or not np.isnan(found).any()


def test_fourier_is_exact_for_parts_of_periods_and_in_spite_of_holes():
    t = np.arange(61)
    line, wave = 3 + 0.1 * t, np.sin(2 * np.pi * t / 12) + 0.3 * np.cos(2 * np.pi * 3 * t / 12 + 1)
    for holes in ([], [0, 3, 4, 20, 60]):
        y = line + wave
        y[holes] = np.nan
        parts = FourierSeasonal(12).fit_transform(dated(y))["y"]
        np.testing.assert_allclose(parts["trend"], line, atol=1e-12)
        np.testing.assert_allclose(parts["seasonal"], wave, atol=1e-12)


@pytest.mark.parametrize("shape", ["linear", "constant"])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("hole", ["a phase", "a stretch", "the beginning", "all but three", "all but one"])
def test_a_level_is_the_trend_of_fourier_in_spite_of_holes(shape, causal, hole):
    steps = np.arange(60)
    known = {
        "a phase": steps % 7 < 5,
        "a stretch": (steps < 9) | (steps > 50),
        "the beginning": steps > 50,
        "all but three": np.isin(steps, [3, 10, 12]),
        "all but one": steps == 20,
    }[hole]
    model = FourierSeasonal(7, trend=shape, causal=causal)
    wanted, found, flat = (
        model.fit_transform(dated(np.where(known, y, np.nan)))["y"] for y in (Y, Y + 1e6, np.full(60, 100.0))
    )
    np.testing.assert_allclose(found["trend"] - 1e6, wanted["trend"], rtol=0, atol=1e-7)
    np.testing.assert_allclose(found["seasonal"], wanted["seasonal"], rtol=0, atol=1e-7)
    since = known.argmax() if causal else 0
    np.testing.assert_allclose(flat["trend"].iloc[since:], 100, rtol=0, atol=1e-10)
    np.testing.assert_allclose(flat["seasonal"], 0, rtol=0, atol=1e-10)


def test_a_wave_of_two_periods_belongs_to_the_shorter():
    t = np.arange(120)
    wave = np.cos(2 * np.pi * t / 4)
    parts = FourierSeasonal((4, 12)).fit_transform(dated(wave))["y"]
    np.testing.assert_allclose(parts["seasonal_4"], wave, atol=1e-12)
    np.testing.assert_allclose(parts["seasonal_12"], 0, atol=1e-12)


def test_causal_fourier_is_the_fit_to_the_steps_so_far():
    y = Y.copy()
    y[[0, 10, 30]] = np.nan
    model = FourierSeasonal(6, order=2, trend="constant")
    causal = FourierSeasonal(6, order=2, trend="constant", causal=True).fit_transform(dated(y))
    for end in (12, 13, 29, 31, 60):
        wanted = model.fit_transform(dated(y[:end])).iloc[-1]
        np.testing.assert_allclose(causal.iloc[end - 1], wanted, atol=1e-10)
    assert causal["y", "trend"].iloc[5] == pytest.approx(np.nanmean(y[:6]))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (MovingAverage(0), "window: found 0"),
        (MovingAverage("day"), "window: found 'day'"),
        (MovingAverage(causal=None), "causal: found None"),
        (Whittaker(1.5), "half_period: found 1.5"),
        (Whittaker(np.inf), "half_period: found inf"),
        (Whittaker(1e60), "half_period: found 1e\\+60. Give at most 1e\\+50"),
        (Whittaker(smoothing=-1), "smoothing: found -1"),
        (Whittaker(smoothing=1e300), "smoothing: found 1e\\+300. Give a number from 1e-200 to 1e\\+200"),
        (FourierSeasonal(6, order=0), "order: found 0"),
        (FourierSeasonal(6, trend="none"), "trend: found 'none'"),
        (FourierSeasonal([]), r"periods: found \[\]"),
    ],
)
def test_bad_parameters_are_named(model, message):
    with pytest.raises(ValueError, match=message):
        model.fit(dated(Y))
