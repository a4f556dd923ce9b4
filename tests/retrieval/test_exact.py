"""Exact search is what its definition says, in the order of distances, also where digits are few."""

from threading import get_ident

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsrec.retrieval import _channel, _sliding
from tsrec.retrieval._channel import Channel, blocks_for
from tsrec.retrieval._exact import Part, nearest, standardised
from tsrec.retrieval._moments import moments
from tsrec.retrieval._products import TILE
from tsrec.retrieval._sliding import distances, tile_minima, units_of

RNG = np.random.default_rng(0)
N = 12_000
NOISE = RNG.standard_normal(N)
NONE = np.empty((0, 2), np.int64)
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


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("name", SERIES)
@pytest.mark.parametrize("m", [2, 3, 64, *(pytest.param(m, marks=pytest.mark.slow) for m in (257, 1500))])
def test_distances_are_those_of_the_definition(name, m, kept):
    x = SERIES[name]
    channel = Channel(x, kept=kept)
    for at in (100, 5000):
        query = x[at : at + m]
        if np.isnan(query).any():
            continue
        units, expected = units_of(query[:, None]), np.nan_to_num(brute(x, query), nan=np.inf)
        found = distances([channel], units, 0, len(expected))
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10 * 4 * m)
        padded = np.pad(expected, (0, -len(expected) % TILE), constant_values=np.inf)
        least = tile_minima([channel], units, NONE)
        np.testing.assert_allclose(least, padded.reshape(-1, TILE).min(1), rtol=0, atol=1e-10 * 4 * m)


@pytest.mark.parametrize("kept", [True, False])
def test_closed_positions_do_not_count(kept):
    x = NOISE.copy()
    closed = np.array([[0, 40], [100, 8000], [9000, 9001], [11000, N]])
    expected = brute(x, x[300:400])
    for low, high in closed:
        expected[low:high] = np.inf
    padded = np.pad(expected, (0, -len(expected) % TILE), constant_values=np.inf)
    least = tile_minima([Channel(x, kept=kept)], units_of(x[300:400, None]), closed)
    np.testing.assert_allclose(least, padded.reshape(-1, TILE).min(1), atol=1e-8)


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("name", ["noise", "spikes", "flat"])
def test_threads_find_the_same(name, raw, kept, monkeypatch):
    monkeypatch.setattr(_channel, "_AT_A_TIME", 8192)  # a group of blocks would be longer than the series
    x, threads = np.tile(SERIES[name], 3), set()
    scan = _sliding._Scan.__call__
    monkeypatch.setattr(_sliding._Scan, "__call__", lambda *given: threads.add(get_ident()) or scan(*given))
    channels, closed = [Channel(x, kept=kept), Channel(x[::-1].copy(), kept=kept)], np.array([[700, 9000]])
    units = units_of(np.stack([x[100:164], NOISE[:64]], axis=1), raw=raw)
    alone = tile_minima(channels, units, closed)
    assert threads == {get_ident()}
    for n_jobs in (2, 3, 100):
        np.testing.assert_array_equal(tile_minima(channels, units, closed, n_jobs=n_jobs), alone)
    assert len(threads) > 1


def test_a_channel_that_grew_is_one_that_was_whole():
    grown = Channel(NOISE[:5000])
    units = units_of(NOISE[40:140, None])
    tile_minima([grown], units, NONE)
    for n in (5001, 9000, N):
        grown.grow(NOISE[:n])
        whole = tile_minima([Channel(NOISE[:n])], units, NONE)
        np.testing.assert_array_equal(tile_minima([grown], units, NONE), whole)


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


def found_in(values, query, k, exclusion):
    channels = [Channel(np.ascontiguousarray(column)) for column in values.T]
    return nearest([Part(channels, 0)], query, k, apart=lambda at: [(max(at - exclusion + 1, 0), at + exclusion)])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 12), st.integers(1, 8), st.integers(1, 3))
def test_the_nearest_are_picked_greedily_and_apart(seed, m, exclusion, k, n_channels):
    draws = np.random.default_rng(seed)
    values = np.round(draws.standard_normal((draws.integers(m, 1500), n_channels)), 1)
    values[draws.random(len(values)) < 0.01] = np.nan
    query = draws.standard_normal((m, n_channels))
    at, distance = found_in(values, query, k, exclusion)
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
    at, distance = found_in(x[:, None], np.full((50, 1), 7.0), 3, 50)
    np.testing.assert_array_equal(distance, 0)
    assert all((x[i : i + 50] == x[i]).all() for i in at)


def test_of_equal_windows_the_first_are_found_in_their_order():
    x = np.tile(RNG.standard_normal(100), 300)
    at, distance = found_in(x[:, None], x[30:80, None], 200, 50)
    np.testing.assert_array_equal(at, 30 + 100 * np.arange(200))
    np.testing.assert_allclose(distance, 0, atol=1e-6)


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("name", SERIES)
@pytest.mark.parametrize("m", [2, 64, 257])
def test_raw_distances_are_those_of_samples(name, m, kept):
    x = SERIES[name]
    windows = np.lib.stride_tricks.sliding_window_view(x, m).astype(np.longdouble)
    for at in (100, 5000):
        query = x[at : at + m] + 0.5
        if np.isnan(query).any():
            continue
        units, level = units_of(query[:, None], raw=True), np.abs(query).max()
        expected = ((windows - query) ** 2).sum(1).astype(float)
        expected[np.isnan(expected)] = np.inf
        channel = Channel(x, kept=kept)
        np.testing.assert_allclose(distances([channel], units, 0, len(expected)), expected, rtol=1e-12)
        padded = np.pad(expected, (0, -len(expected) % TILE), constant_values=np.inf).reshape(-1, TILE).min(1)
        np.testing.assert_allclose(
            tile_minima([channel], units, NONE), padded, rtol=1e-9, atol=1e-9 * query.var() * m + 1e-15 * level * m
        )


def test_spectra_of_the_last_few_lengths_are_kept():
    x = np.random.default_rng(0).standard_normal(30_000).cumsum()
    channel = Channel(x)
    for m in (64, 1500, 3000, 6000, 100, 10_000):
        query = np.random.default_rng(m).standard_normal((m, 1)).cumsum(0)
        at, distance = nearest([Part([channel], 0)], query, 1, apart=lambda at: [(at, at + 1)])
        expected = nearest([Part([Channel(x, kept=False)], 0)], query, 1, apart=lambda at: [(at, at + 1)])
        np.testing.assert_array_equal((at, distance), expected)
        assert len(channel._spectra) <= 4
    assert list(channel._spectra) == [blocks_for(m) for m in (3000, 6000, 64, 10_000)]
    longer = np.append(x, x[:5000][::-1])
    channel.grow(longer)
    query = longer[29_900:30_100, None]
    at, distance = nearest([Part([channel], 0)], query, 1, apart=lambda at: [(at, at + 1)])
    assert (at[0], round(distance[0], 6)) == (29_900, 0)
    assert len(channel._spectra) == 4
