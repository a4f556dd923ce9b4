"""Exact search is what its definition says, in the order of distances, also where digits are few."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsrec.retrieval._exact import ExactIndex, standardised
from tsrec.retrieval._moments import moments
from tsrec.retrieval._sliding import Channel, add_distances

RNG = np.random.default_rng(0)
N = 12_000
NOISE = RNG.standard_normal(N)
SERIES = {
    "noise": NOISE,
    "walk": NOISE.cumsum(),
    "far from zero": 1e9 + NOISE,
    "spikes": np.where(np.arange(N) % 5000 == 500, 1e9, NOISE),
    "flat": np.r_[np.zeros(3000), NOISE[:4000], np.full(3000, 1e9), NOISE[:2000] * 1e-9],
    "missing": np.where(np.arange(N) % 2000 == 7, np.nan, NOISE),
}


def brute(x, query):
    """Squared distances by the definition, in extended precision."""
    windows = np.lib.stride_tricks.sliding_window_view(x, len(query)).astype(np.longdouble)

    def units(w):
        centred = w - w.mean(-1, keepdims=True)
        size = np.sqrt((centred * centred).mean(-1, keepdims=True))
        constant = (w == w[..., :1]).all(-1, keepdims=True)
        return np.where(constant, 0, centred / np.where(constant, 1, size))

    return ((units(windows) - units(query.astype(np.longdouble))) ** 2).sum(-1).astype(float)


@pytest.mark.parametrize("name", SERIES)
@pytest.mark.parametrize("m", [2, 3, 64, 257, 1500])
def test_distances_are_those_of_the_definition(name, m):
    x = SERIES[name]
    for at in (100, 5000):
        query = x[at : at + m]
        if np.isnan(query).any():
            continue
        total = np.zeros(len(x) - m + 1)
        add_distances(Channel(x), query, total)
        expected = brute(x, query)
        np.testing.assert_array_equal(np.isnan(total), np.isnan(expected))
        np.testing.assert_allclose(total, expected, rtol=0, atol=1e-10 * 4 * m)


@pytest.mark.parametrize("name", SERIES)
@pytest.mark.parametrize("m", [1, 2, 5, 64, N])
def test_moments_lose_no_digits(name, m):
    x = SERIES[name]
    windows = np.lib.stride_tricks.sliding_window_view(x, m).astype(np.longdouble)
    centre = windows.mean(1)
    norm = np.sqrt(((windows - centre[:, None]) ** 2).sum(1)).astype(float)
    found = moments(x, m)
    np.testing.assert_allclose(found.norm, norm, rtol=1e-12, atol=1e-12 * (np.nanmax(np.abs(x)) > 1e8))
    np.testing.assert_allclose(found.mean, centre.astype(float), rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(found.norm == 0, (windows == windows[:, :1]).all(1))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 12), st.integers(1, 8), st.integers(1, 3))
def test_the_nearest_are_picked_greedily_and_apart(seed, m, exclusion, k, n_channels):
    draws = np.random.default_rng(seed)
    values = np.round(draws.standard_normal((draws.integers(m, 1500), n_channels)), 1)
    values[draws.random(len(values)) < 0.01] = np.nan
    query = draws.standard_normal((m, n_channels))
    at, distance = ExactIndex(values).nearest(query, range(n_channels), k, exclusion=exclusion)
    windows = np.lib.stride_tricks.sliding_window_view(values, m, axis=0).transpose(0, 2, 1)
    wanted = standardised(query)
    left = np.array([np.square(standardised(w) - wanted).sum() if np.isfinite(w).all() else np.inf for w in windows])
    for one, apart in zip(at, distance, strict=True):
        assert left.min() < np.inf
        assert apart**2 <= left.min() + 1e-9 * (1 + m)
        left[max(one - exclusion + 1, 0) : one + exclusion] = np.inf
    assert len(at) == k or not np.isfinite(left).any()


def test_a_constant_query_finds_constant_windows_first():
    x = SERIES["flat"]
    at, distance = ExactIndex(x[:, None]).nearest(np.full((50, 1), 7.0), [0], 3, exclusion=50)
    np.testing.assert_array_equal(distance, 0)
    assert all((x[i : i + 50] == x[i]).all() for i in at)
