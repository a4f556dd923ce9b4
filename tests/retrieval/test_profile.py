"""Nearest neighbours, motifs and discords are those of comparing all windows, also where digits are few."""

import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsrec.retrieval import _profile
from tsrec.retrieval._profile import discords, motifs, profile

RNG = np.random.default_rng(0)
N = 4500
NOISE = RNG.standard_normal(N)
WALK = NOISE.cumsum()
SERIES = {
    "noise": NOISE,
    "walk": WALK,
    "far from zero": 1e9 + NOISE,
    "spikes": np.where(np.arange(N) % 1500 == 500, 1e9, NOISE),
    "flat": np.r_[np.zeros(1000), NOISE[:1500], np.full(1000, 1e9), NOISE[:1000] * 1e-9],
    "fading": NOISE * np.exp(-np.arange(N) / 100),
    "missing": np.where(np.arange(N) % 800 == 7, np.nan, NOISE),
    "infinite": np.where(np.arange(N) % 800 == 7, np.inf, WALK),
}


def standard(values, m):
    """All windows by the definition, from extended precision, (n_windows, C * m)."""
    windows = np.lib.stride_tricks.sliding_window_view(values, m, axis=0).astype(np.longdouble)
    centred = windows - windows.mean(-1, keepdims=True)
    size = np.sqrt((centred * centred).mean(-1, keepdims=True))
    constant = (windows == windows[..., :1]).all(-1, keepdims=True)
    units = np.where(constant, 0, centred / np.where(constant, 1, size)).astype(float)
    return units.reshape(len(units), -1)


def all_squares(units, exclusion):
    """Squared distances of all pairs; infinite where they do not count."""
    power = np.square(units).sum(1)
    found = power[:, None] + power - 2 * (units @ units.T)
    for at in range(len(units)):
        found[at, max(at - exclusion + 1, 0) : at + exclusion] = np.inf
    return np.where(np.isnan(found), np.inf, found)


def check(found, values, m, exclusion):
    with np.errstate(invalid="ignore"):
        units = standard(np.where(np.isfinite(values), values, np.nan), m)
    missing, squares = np.isnan(units).any(1), all_squares(units, exclusion)
    has = found.at >= 0
    np.testing.assert_array_equal(has, np.isfinite(squares).any(1))
    np.testing.assert_array_equal(np.isnan(found.distance), missing)
    np.testing.assert_array_equal(np.isinf(found.distance), ~missing & ~has)
    np.testing.assert_allclose(found.distance[has] ** 2, squares[has].min(1), rtol=0, atol=1e-11 * m)
    taken = np.sqrt(np.square(units[has] - units[found.at[has]]).sum(1))
    np.testing.assert_allclose(found.distance[has], taken, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", SERIES)
@pytest.mark.parametrize("m", [2, 64])
def test_neighbours_are_the_nearest(name, m):
    values = SERIES[name][:, None]
    check(profile(values, m, m), values, m, m)


def test_neighbours_are_the_nearest_over_several_channels():
    values = np.c_[WALK, SERIES["flat"], SERIES["missing"]][1500:4000]
    check(profile(values, 40, 10), values, 40, 10)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 20), st.integers(0, 30), st.integers(1, 3), st.integers(1, 4))
def test_short_series_have_the_neighbours_of_their_definition(seed, m, exclusion, n_channels, levels):
    draws = np.random.default_rng(seed)
    values = draws.integers(0, levels + 1, (draws.integers(m, 300), n_channels)) * 1.0
    values[draws.random(len(values)) < 0.02] = np.nan
    values[len(values) // 2 :, 0] = 3
    found = profile(values, m, exclusion)
    check(found, values, m, max(exclusion, 1))
    again = profile(values, m, exclusion, n_jobs=2)
    np.testing.assert_array_equal(found.at, again.at)
    np.testing.assert_array_equal(found.distance, again.distance)


def test_of_equal_neighbours_the_first_is_taken():
    values = np.r_[np.zeros(200), NOISE[:50], np.ones(300)][:, None]
    found = profile(values, 10, 10)
    assert (found.at[10:191] == 0).all()
    assert (found.at[250:541] == 0).all()
    assert found.at[0] == 10
    assert found.at[5] == 15


def test_series_apart_are_compared_but_never_joined():
    one = NOISE[:300]
    values = np.r_[one, np.nan, one * 3 + 1, np.nan, NOISE[1000:1300]][:, None]
    found = profile(values, 50, 25)
    np.testing.assert_array_equal(found.at[:251], np.arange(301, 552))
    np.testing.assert_allclose(found.distance[:251], 0, atol=1e-12)
    assert np.isnan(found.distance[251:301]).all()
    assert (found.at[251:301] == -1).all()


def planted(n_copies=3, m=40):
    """A walk with two patterns: one near its copies, one less so."""
    values = RNG.standard_normal(2000)
    for number, noise in ((0, 0.01), (1, 0.1)):
        pattern = np.sin(np.arange(m) ** (1.2 + number / 5)) * 5
        for copy in range(n_copies):
            start = 100 + number * 900 + copy * 250
            values[start : start + m] = pattern + noise * RNG.standard_normal(m)
    return values[:, None]


def greedy(values, m, k, exclusion):
    squares = all_squares(standard(values, m), exclusion)
    pairs = []
    while len(pairs) < k and squares.min() < np.inf:
        a, b = sorted(int(i) for i in np.unravel_index(squares.argmin(), squares.shape))
        pairs.append((a, b, np.sqrt(squares[a, b])))
        for at in (a, b):
            low, high = max(at - exclusion + 1, 0), at + exclusion
            squares[low:high] = np.inf
            squares[:, low:high] = np.inf
    return pairs


@pytest.mark.parametrize(("values", "m", "exclusion"), [(planted(), 40, 20), (WALK[:1500, None], 30, 30)])
def test_motifs_are_the_nearest_pairs_taken_greedily(values, m, exclusion):
    found, expected = motifs(values, m, 8, exclusion), greedy(values, m, 8, exclusion)
    assert [pair[:2] for pair in found] == [pair[:2] for pair in expected]
    np.testing.assert_allclose([pair[2] for pair in found], [pair[2] for pair in expected], rtol=1e-6)


def test_there_are_no_more_motifs_than_windows():
    found = motifs(WALK[:200, None], 50, 99, 50)
    assert 0 < len(found) <= 2
    assert motifs(np.full((50, 1), np.nan), 5, 3, 5) == []


def test_discords_are_the_farthest_taken_greedily():
    wave = np.sin(np.arange(2000) / 7) + 0.01 * NOISE[:2000]
    wave[700:720] += 1
    wave[1500:1503] -= 2
    at, distance = discords(wave[:, None], 50, 3, 50)
    assert sorted(at[:2] // 100) in ([6, 14], [6, 15], [7, 14], [7, 15])
    left = profile(wave[:, None], 50, 50).distance
    for one, apart in zip(at, distance, strict=True):
        assert apart == left.max() == left[one]
        left[max(one - 49, 0) : one + 50] = -np.inf
    at, distance = discords(np.r_[np.full(30, np.nan), np.arange(9.0)][:, None], 5, 3, 5)
    assert len(at) == len(distance) == 0


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_an_interrupt_ends_the_walk(monkeypatch, n_jobs):
    walked = []

    def walk(windows, lag, best):
        walked.append(lag)
        if len(walked) == 3 and threading.current_thread() is threading.main_thread():
            raise KeyboardInterrupt
        if len(walked) > 3:
            time.sleep(0.01)

    def result(self, timeout=None):
        raise KeyboardInterrupt

    monkeypatch.setattr(_profile, "_walk", walk)
    monkeypatch.setattr("concurrent.futures.Future.result", result)
    values = RNG.standard_normal((100_000, 1))
    with pytest.raises(KeyboardInterrupt):
        profile(values, 50, 25, n_jobs=n_jobs)
    assert len(walked) < 100


@pytest.mark.slow  # theirs is compiled anew each time
def test_neighbours_are_those_of_stumpy():
    stumpy = pytest.importorskip("stumpy")
    for x in (NOISE[:3000], WALK[:3000]):
        expected = stumpy.stump(x, 100)
        found = profile(x[:, None], 100, 26)
        np.testing.assert_allclose(found.distance, expected[:, 0].astype(float), atol=1e-6)
        np.testing.assert_array_equal(found.at, expected[:, 1].astype(int))
