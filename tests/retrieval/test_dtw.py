"""Warped windows are as near as the definition says, no bound exceeds a distance, and no shortcut changes an answer."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsrec.retrieval._dtw import (
    bound_of_ends,
    bound_of_envelope,
    dtw,
    dtw_reference,
    envelope,
    nearest_dtw,
    radius,
)
from tsrec.retrieval._exact import standardised
from tsrec.retrieval._warp import FACTORS, resampled, take, warped

SEEDS = st.integers(0, 2**32 - 1)
BANDS = st.sampled_from([0.0, 0.05, 0.1, 0.3, 1.0])


def windows(seed, m, n_channels, n=2):
    """Windows that differ in shape and level; some channels are constant."""
    draws = np.random.default_rng(seed)
    values = draws.standard_normal((n, m, n_channels)).cumsum(1) + draws.choice([0, 1e9], (n, 1, 1))
    values[draws.random((n, 1, n_channels)).repeat(m, 1) < 0.1] = 7
    return values


@settings(max_examples=150, deadline=None)
@given(SEEDS, st.integers(1, 40), st.integers(1, 40), st.integers(1, 3), BANDS)
def test_distance_is_that_of_the_definition(seed, m, length, n_channels, band):
    draws = np.random.default_rng(seed)
    a, _ = windows(seed, m, n_channels)
    b = draws.standard_normal((length, n_channels))
    assert dtw(a, b, band=band) == pytest.approx(dtw_reference(a, b, band=band), rel=1e-9, abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(SEEDS, st.integers(1, 60), st.integers(1, 3), BANDS)
def test_distance_is_symmetric_and_at_most_euclidean(seed, m, n_channels, band):
    a, b = windows(seed, m, n_channels)
    euclidean = np.sqrt(np.square(standardised(a) - standardised(b)).sum())
    found = dtw(a, b, band=band)
    assert found == dtw(b, a, band=band)
    assert found <= euclidean + 1e-9
    assert dtw(a, a, band=band) == 0
    assert dtw(a, b, band=0) == pytest.approx(euclidean, abs=1e-9)


@settings(max_examples=150, deadline=None)
@given(SEEDS, st.integers(1, 60), st.integers(1, 3), BANDS)
def test_bounds_never_exceed_the_distance(seed, m, n_channels, band):
    a, b = windows(seed, m, n_channels)
    x, y = (np.ascontiguousarray(standardised(one).T) for one in (a, b))
    upper, lower, parts = np.empty_like(x), np.empty_like(x), np.empty(m)
    for row, high, low in zip(x, upper, lower, strict=True):
        envelope(row, radius(m, band), high, low)
    cost = dtw(a, b, band=band) ** 2 * (1 + 1e-9) + 1e-9
    total = bound_of_envelope(y, upper, lower, parts)
    assert bound_of_ends(x, y) <= cost
    assert total <= cost
    assert parts.sum() == pytest.approx(total)


@settings(max_examples=100, deadline=None)
@given(SEEDS, st.integers(1, 50), st.integers(0, 60))
def test_envelopes_are_moving_extremes(seed, m, reach):
    x = np.random.default_rng(seed).integers(0, 5, m).astype(float)
    upper, lower = np.empty(m), np.empty(m)
    envelope(x, reach, upper, lower)
    around = [x[max(t - reach, 0) : t + reach + 1] for t in range(m)]
    np.testing.assert_array_equal(upper, [part.max() for part in around])
    np.testing.assert_array_equal(lower, [part.min() for part in around])


@settings(max_examples=50, deadline=None)
@given(SEEDS, st.integers(2, 40), st.integers(1, 3), st.integers(1, 12), BANDS)
def test_the_nearest_are_those_of_measuring_all(seed, m, n_channels, k, band):
    draws = np.random.default_rng(seed)
    values = np.round(draws.standard_normal((400, n_channels)).cumsum(0))
    values[200:300] = values[:100]
    values[draws.integers(0, 400, 3)] = np.nan
    lengths = draws.integers(max(m - 3, 1), m + 4, 80)
    starts = draws.integers(0, 400 - m - 4, 80)
    query = np.nan_to_num(values[310 : 310 + m])
    parts = [values[i : i + length] for i, length in zip(starts, lengths, strict=True)]
    each = np.array([dtw(query, part, band=band) if np.isfinite(part).all() else np.nan for part in parts])
    expected = np.argsort(each, kind="stable")[: min(k, np.isfinite(each).sum())]
    order, distance = nearest_dtw(query, values, starts, lengths=lengths, k=k, band=band)
    np.testing.assert_array_equal(order, expected)
    np.testing.assert_array_equal(distance, each[expected])
    limit = each[expected[-1]] * (1 - 1e-12)
    order, _ = nearest_dtw(query, values, starts, lengths=lengths, k=80, band=band, limit=limit)
    np.testing.assert_array_equal(order, [i for i in np.argsort(each, kind="stable") if each[i] <= limit])


def test_nothing_is_found_among_missing_windows():
    order, distance = nearest_dtw(np.arange(5.0)[:, None], np.full((20, 1), np.nan), np.arange(10), k=3)
    assert len(order) == len(distance) == 0
    order, _ = nearest_dtw(np.arange(5.0)[:, None], np.zeros((20, 1)), np.arange(0), k=3)
    assert len(order) == 0


def test_more_candidates_than_are_measured_at_a_time():
    values = np.random.default_rng(0).standard_normal((10_000, 1))
    query = values[9000:9020] * 3 + 1e9
    order, distance = nearest_dtw(query, values, np.arange(9980), k=2)
    assert order[0] == 9000
    assert distance[0] < 1e-6
    each = [dtw(query, values[i : i + 20]) for i in range(9980)]
    np.testing.assert_array_equal(order, np.argsort(each, kind="stable")[:2])


@settings(max_examples=100, deadline=None)
@given(SEEDS, st.integers(1, 50), st.integers(1, 60), st.integers(1, 3))
def test_resampled_windows_keep_their_ends_and_straight_lines(seed, m, length, n_channels):
    draws = np.random.default_rng(seed)
    window = draws.standard_normal((m, n_channels))
    found = resampled(window, length)
    assert found.shape == (length, n_channels)
    np.testing.assert_array_equal(found[0], window[0])
    if length > 1:
        np.testing.assert_array_equal(found[-1], window[-1])
    np.testing.assert_array_equal(resampled(window, m), window)
    wanted = np.interp(np.linspace(0, m - 1, length), np.arange(m), window[:, 0])
    np.testing.assert_allclose(found[:, 0], wanted if length > 1 else window[0, 0], atol=1e-12)


def test_missing_samples_stay_missing():
    found = resampled(np.array([0.0, np.nan, 2.0, 3.0])[:, None], 7)[:, 0]
    np.testing.assert_array_equal(found, [0, np.nan, np.nan, np.nan, 2, 2.5, 3])


def test_warped_queries_are_the_same_wave_at_other_speeds():
    assert FACTORS[0] == pytest.approx(0.8)
    assert FACTORS[3] == 1
    assert FACTORS[-1] == pytest.approx(1.25)
    np.testing.assert_allclose(np.diff(np.log(FACTORS)), np.log(1.25) / 3)
    query = np.sin(2 * np.pi * 3 * np.linspace(0, 1, 400))[:, None]
    found = warped(query)
    assert [len(one) for one in found] == [round(400 * factor) for factor in FACTORS]
    np.testing.assert_array_equal(found[3], query)
    for one in found:
        np.testing.assert_allclose(one[:, 0], np.sin(2 * np.pi * 3 * np.linspace(0, 1, len(one))), atol=1e-3)
    assert [len(one) for one in warped(np.zeros((3, 1)))] == [2, 3, 4]


@pytest.mark.parametrize("level", [0.0, 1e9])
def test_windows_are_standardised_as_in_exact_search(level):
    values = level + np.random.default_rng(0).standard_normal((100, 3))
    values[20:60, 1] = 5
    out = np.empty((3, 30))
    assert take(values, 25, 30, out)
    np.testing.assert_allclose(out.T, standardised(values[25:55]), rtol=1e-9, atol=1e-12)
    assert (out[1] == 0).all()
    values[40, 2] = np.nan
    assert not take(values, 25, 30, out)
