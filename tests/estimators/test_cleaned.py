"""Cleaned histories: what counts as an outlier, what is filled, and that only earlier rows say so."""

import time
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsrec import CleanedForecaster, LSSLForecaster, SeasonalMeanForecaster, SeasonalNaiveForecaster
from tsrec.estimators._hampel import hampel_bounds
from tsrec.estimators.cleaned import filled

NAIVE = SeasonalNaiveForecaster(horizon=4, season=4)


def hours(n=160, seed=0):
    rng = np.random.default_rng(seed)
    t = np.arange(n)
    y = 0.05 * t + 5 * np.sin(2 * np.pi * t / 4) + rng.normal(size=n)
    return pd.Series(y, pd.date_range("2024", periods=n, freq="h"), name="y")


def bounds_by_definition(values, season, window, threshold):
    """Row by row, with numpy's medians."""
    residuals, bounds = [], []
    for row in range(len(values)):
        phase = [values[row - k * season] for k in range(1, 6) if row - k * season >= 0]
        phase = [value for value in phase if not np.isnan(value)]
        last = residuals[-window:]
        bounds.append((-np.inf, np.inf))
        if not phase:
            continue
        expected = np.median(phase)
        if len(last) >= 15:
            middle = np.median(last)
            spread = 1.4826 * np.median(np.abs(np.array(last) - middle))
            if spread > 1e-9 * abs(expected):
                bounds[-1] = tuple(expected + middle + np.array([-1, 1]) * threshold * spread)
        if not np.isnan(values[row]):
            residuals.append(values[row] - expected)
    return np.array(bounds).T


@given(st.integers(0, 10**6), st.sampled_from([1, 3, 7]), st.sampled_from([15, 16, 24]), st.sampled_from([0, 1, 9]))
@settings(deadline=None, max_examples=40)
def test_bounds_are_those_of_the_definition(seed, season, window, digits):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 70, 3)
    # Few digits make ties, and windows without a spread.
    values = np.round(rng.normal(size=lengths.sum()), digits)
    values[rng.random(len(values)) < 0.1] = np.nan
    offsets = np.append(0, np.cumsum(lengths))
    lower, upper = np.empty((2, len(values)))
    hampel_bounds(values, offsets, season, window, 3.0, lower, upper)
    parts = [bounds_by_definition(values[a:b], season, window, 3.0) for a, b in pairwise(offsets)]
    np.testing.assert_allclose([lower, upper], np.concatenate(parts, axis=1), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("lag", [1, 3])
def test_what_is_missing_is_the_last_value_of_its_phase(lag):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(40, 2))
    values[rng.random(values.shape) < 0.6] = np.nan
    offsets = np.array([0, 15, 40])
    expected = values.copy()
    for begin, end in ((0, 15), (15, 40)):
        for row in range(begin + lag, end):
            gap = np.isnan(expected[row])
            expected[row, gap] = expected[row - lag, gap]
    np.testing.assert_array_equal(filled(values, offsets, lag), expected)


def test_a_long_gap_is_filled_in_few_turns():
    values = np.full((200_000, 1), np.nan)
    values[[2, 100_000]] = [[1.0], [2.0]]
    begun = time.perf_counter()
    found = filled(values, np.array([0, 150_000, 200_000]), 1)[:, 0]
    assert time.perf_counter() - begun < 5
    assert np.isnan(found[[0, 1, 150_000, 199_999]]).all()
    assert found[[2, 99_999, 100_000, 149_999]].tolist() == [1.0, 1.0, 2.0, 2.0]


def test_outliers_are_found_and_told_of():
    y = hours()
    y.iloc[[60, 91]] += [60.0, -50.0]
    model = CleanedForecaster(NAIVE, threshold=8).fit(pd.DataFrame({"a": y, "b": hours(seed=1)}))
    found = model.find_outliers()
    assert found["time"].tolist() == y.index[[60, 91]].tolist()
    assert found["variable"].tolist() == ["a", "a"]
    assert (found["value"] > found["upper"]).tolist() == [True, False]
    other = hours(100)
    other.iloc[50] = 1e6
    assert model.find_outliers(pd.DataFrame({"a": other, "b": other}))["value"].tolist() == [1e6, 1e6]


def test_outliers_of_a_panel_have_the_names_of_their_series():
    y = pd.concat({name: hours(seed=seed) for seed, name in enumerate("ab")}, names=["id"])
    y.loc[("b", pd.Timestamp("2024-01-05"))] = 99.0
    assert CleanedForecaster(NAIVE, threshold=8).fit(y).find_outliers()["series"].tolist() == ["b"]


@pytest.mark.parametrize("outliers", ["clip", "drop"])
@pytest.mark.parametrize("missing", ["keep", "last", "seasonal"])
def test_the_forecaster_sees_what_earlier_rows_make_of_a_row(missing, outliers):
    y = hours()
    y.iloc[[60, 91]] += [60.0, -50.0]
    y.iloc[100:110] = np.nan
    model = CleanedForecaster(NAIVE, missing=missing, outliers=outliers).fit(y)
    whole = model._cleaned(model.panel_).values
    for end in (61, 92, 105, 130):
        part = model._cleaned(model.panel_.resized(np.zeros(1, int), np.array([end - 160]))).values
        np.testing.assert_array_equal(part, whole[:end])


def test_one_outlier_hardly_moves_a_cleaned_forecast():
    y = hours()
    spoiled = y.copy()
    spoiled.iloc[-2] = 500.0
    base = SeasonalMeanForecaster(horizon=4, season=4, context=40)
    moved = {}
    for outliers in ("clip", "drop", None):
        model = CleanedForecaster(base, outliers=outliers).fit(y)
        moved[outliers] = (model.predict(history=spoiled) - model.predict(history=y)).abs().max()
    assert moved["clip"] < 5
    assert moved["drop"] < 5
    assert moved[None] > 30


def test_nothing_to_do_is_nothing_done():
    y = hours()
    y.iloc[30] = np.nan
    model = CleanedForecaster(NAIVE, outliers=None).fit(y)
    assert model._cleaned(model.panel_) is model.panel_
    pd.testing.assert_frame_equal(model.predict_quantiles(), NAIVE.fit(y).predict_quantiles())


def test_a_series_that_repeats_itself_has_no_outliers():
    y = pd.Series([0.0, 0.1, 0.3] * 30 + [7.0], pd.date_range("2024", periods=91, freq="h"))
    assert CleanedForecaster(SeasonalNaiveForecaster(season=3)).fit(y).find_outliers().empty


def test_updates_are_cleaned_too():
    y = hours()
    y.iloc[150] = 500.0
    model = CleanedForecaster(LSSLForecaster(horizon=4, season=4, context=20, max_epochs=0), threshold=8).fit(
        y.iloc[:140]
    )
    expected = model.predict(history=y)
    pd.testing.assert_series_equal(model.update(y.iloc[140:]).predict(), expected)
    assert model.find_outliers()["value"].tolist() == [500.0]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"forecaster": NAIVE.fit}, TypeError, "forecaster: found"),
        ({"missing": "interpolate"}, ValueError, "missing: found 'interpolate'"),
        ({"outliers": "remove"}, ValueError, "outliers: found 'remove'"),
        ({"threshold": 0}, ValueError, "threshold: found 0"),
        ({"window": 14}, ValueError, "window: found 14"),
    ],
)
def test_wrong_parameters_are_named(options, error, message):
    with pytest.raises(error, match=message):
        CleanedForecaster(**options).fit(hours())
