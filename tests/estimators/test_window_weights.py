"""Weights of training windows: worked out by hand on a small panel, and what they are for."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from tsrec.estimators._window_weights import MEASURES, window_weights
from tsrec.frames import read_panel
from tsrec.metrics import mase, smape

PATTERN = np.array([1.0, 1.2, 0.9, 1.1, 1.3, 1.0, 0.8, 1.1, 1.2, 0.9, 1.0, 1.2])


def panel(*series):
    """Days of each series, whose lengths may differ."""
    parts = {
        f"s{i:03d}": pd.DataFrame(np.reshape(values, (len(values), -1)), pd.date_range("2024", periods=len(values)))
        for i, values in enumerate(series)
    }
    return read_panel(pd.concat(parts, names=["id", "time"]))


def weights(found, measure, rows, season=1, horizon=2):
    return window_weights(found, measure, np.array(rows, dtype=int), season=season, horizon=horizon)


every_measure = pytest.mark.parametrize("measure", MEASURES)


@pytest.mark.parametrize(
    ("measure", "expected"),
    [
        # One over the value where the context ends.
        ("smape", [1 / 4, 1 / 2, 1 / 40]),
        # One over the mean step of the series.
        ("mase", [1 / 2, 1 / 2, 1 / 20]),
        # The naive forecast errs by 1, 1/2, 1 levels in either series, 5/6 in the mean, and always by one mean step.
        ("owa", [6 / 5 / 4 + 1 / 2, 6 / 5 / 2 + 1 / 2, 6 / 5 / 40 + 1 / 20]),
    ],
)
def test_a_small_panel_worked_out_by_hand(measure, expected):
    found = weights(panel([2.0, 4, 2, 4], [20.0, 40, 20, 40]), measure, [1, 2, 5])
    assert_allclose(found[:, 0], np.array(expected) / np.mean(expected))


def test_the_naive_forecast_of_owa_looks_half_the_horizon_ahead():
    # Two steps ahead 1, 3, 1, ... never moves in series one; series two moves by 6 of its mean step 3.
    found = weights(panel([1.0, 3, 1, 3, 1], [9.0, 12, 15, 18, 21]), "owa", [4, 9], horizon=4)
    level = np.array([1, 21]) * np.mean([0, 0, 0, 6 / 9, 6 / 12, 6 / 15])
    scale = np.array([2, 3]) * np.mean([0, 0, 0, 2, 2, 2])
    expected = 1 / level + 1 / scale
    assert_allclose(found[:, 0], expected / expected.mean())


@settings(max_examples=40, deadline=None)
@given(levels=st.lists(st.floats(1, 10), min_size=2, max_size=6), data=st.data())
def test_weighted_errors_are_smape_on_level_series(levels, data):
    shares = np.array([data.draw(st.floats(0.001, 0.004)) for _ in levels])
    found = weights(panel(*(np.full(6, level) for level in levels)), "smape", np.arange(len(levels)) * 6 + 3)
    errors = found[:, 0] * shares * levels
    each = [smape([level], [level * (1 + share)]) for level, share in zip(levels, shares, strict=True)]
    assert_allclose(errors / errors.sum(), np.array(each) / np.sum(each), rtol=5e-3)


@settings(max_examples=40, deadline=None)
@given(levels=st.lists(st.floats(1, 10), min_size=2, max_size=6), season=st.sampled_from([1, 4, 24]))
def test_weighted_errors_are_mase_with_the_last_value_for_long_seasons(levels, season):
    series = [level * PATTERN + 3 * i for i, level in enumerate(levels)]
    found = weights(panel(*series), "mase", np.arange(len(levels)) * 12 + 7, season=season)
    each = [mase([0.0], [1.0], y_train=values, season=1 if season == 24 else season) for values in series]
    assert_allclose(found[:, 0] / found.sum(), np.array(each) / np.sum(each))


@every_measure
@settings(max_examples=40, deadline=None)
@given(factors=st.lists(st.floats(0.5, 8), min_size=2, max_size=5), unit=st.floats(1e-9, 1e9))
def test_series_that_differ_in_their_units_only_cost_the_same_in_their_units(measure, factors, unit):
    series = [unit * factor * PATTERN for factor in factors]
    rows = (np.arange(len(factors))[:, None] * 12 + np.arange(3, 9)).ravel()
    found = weights(panel(*series), measure, rows).reshape(len(factors), 6)
    cost = found * np.array(factors)[:, None]
    assert_allclose(cost, np.broadcast_to(cost[0], cost.shape), rtol=1e-6)
    assert_allclose(found.mean(), 1)


@every_measure
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), missing=st.sampled_from([0.0, 0.3, 0.9]), spread=st.floats(0, 3))
def test_whatever_the_panel_weights_are_finite_with_mean_one(measure, seed, missing, spread):
    rng = np.random.default_rng(seed)
    series = []
    for length in rng.integers(1, 15, size=5):
        values = rng.normal(rng.choice([0, 5, -50]), 1, (length, 2)) * 10.0 ** rng.normal(0, spread)
        values[rng.random(values.shape) < missing] = np.nan
        series.append(values if rng.random() > 0.2 else 0.0 * values)
    found = panel(*series)
    rows = rng.integers(0, len(found.values), size=30)
    weight = weights(found, measure, rows, season=3, horizon=5)
    assert weight.shape == (30, 2)
    assert (weight >= 0).all()
    assert weight.mean() == pytest.approx(1)


def test_a_window_near_zero_counts_by_a_tenth_of_the_mean_size():
    found = weights(panel([10.0, 0, -10, 1e-3, 20, 20, -10, 10]), "smape", [0, 1, 2, 3, 4])
    # The mean size is about 10, a tenth of it 1.
    size = np.array([10, 80.001 / 80, 10, 80.001 / 80, 20])
    assert_allclose(found[:, 0], 1 / size / np.mean(1 / size))


@every_measure
def test_nothing_weighs_more_than_twenty_times_the_mean(measure):
    found = panel(*([1000 * PATTERN] * 99), 1e-6 * PATTERN)
    weight = weights(found, measure, np.arange(100) * 12 + 6)[:, 0]
    assert weight[-1] == weight.max()
    assert weight.max() <= 20 * weight.mean() * (1 + 1e-9)


@every_measure
def test_a_series_of_zeros_does_not_count_beside_others(measure):
    found = weights(panel(np.zeros(12), 5 * PATTERN), measure, [4, 16])
    assert_allclose(found[:, 0], [0, 2])


@every_measure
def test_where_nothing_says_anything_all_windows_count_the_same(measure):
    assert_allclose(weights(panel(np.zeros(6), np.zeros(4)), measure, [2, 3, 8]), 1)
    assert_allclose(weights(panel(np.full(6, np.nan)), measure, [2, 3]), 1)
    assert weights(panel(np.zeros((6, 3))), measure, []).shape == (0, 3)


def test_a_constant_series_counts_by_its_level_alone():
    flat, moving = np.full(12, 4.0), 8 * PATTERN
    assert_allclose(weights(panel(flat, moving), "mase", [5, 17])[:, 0], [0, 2])
    by_owa = weights(panel(flat, moving), "owa", [5, 17])[:, 0]
    assert by_owa[0] > 0.5


def test_the_level_of_a_missing_row_is_the_latest_value_of_its_own_series():
    nan = np.nan
    found = panel([7.0, 7, 7, 7], [nan, nan, 2, nan, nan, 4])
    expected = 1 / np.array([7, np.inf, 2, 2, 4])
    assert_allclose(weights(found, "smape", [3, 5, 6, 8, 9])[:, 0], expected / expected.mean())


def test_channels_are_weighed_apart():
    found = panel(np.stack([2 * PATTERN, 10 * PATTERN], axis=1))
    both = weights(found, "smape", [3, 5])
    assert_allclose(both[:, 0], 5 * both[:, 1])
    assert_allclose(both.mean(), 1)
