"""STL and MSTL against statsmodels, published values, and what linearity demands."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from statsmodels.tsa import seasonal as oracle

from tsrec import MSTL, STL, FourierSeasonal
from tsrec.decomposition import _cache, _stl
from tsrec.decomposition._ends import ends
from tsrec.decomposition._loess import Loess, loess
from tsrec.decomposition._stl import matrices

T = np.arange(120)
REFERENCE = 0.02 * T + np.sin(2 * np.pi * T / 12) + 0.5 * np.cos(4 * np.pi * T / 12) + 0.05 * ((37 * T % 11) - 5)


def dated(y, freq="h"):
    return pd.Series(y, pd.date_range("2024", periods=len(y), freq=freq), name="y")


def walk(n, period, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=n).cumsum() + 3 * np.sin(2 * np.pi * np.arange(n) / period)


@pytest.mark.parametrize(
    ("robust", "trend", "season", "rest"),
    [
        (
            False,
            [-0.042632, -0.018030, 1.179995, 1.199564, 2.344784, 2.362478],
            [0.370890, 0.754306, -0.249960, 0.504427, -0.954024, -0.211608],
            2.638146,
        ),
        (True, [-0.047609, -0.022325, 1.180000, 1.199567, 2.347830, 2.366145], None, 2.641809),
    ],
)
def test_reference_values_of_stl(robust, trend, season, rest):
    parts = STL(12, robust=robust).fit_transform(dated(REFERENCE))["y"]
    at = [0, 1, 59, 60, 118, 119]
    np.testing.assert_allclose(parts["trend"].iloc[at], trend, atol=5e-7)
    if season is not None:
        np.testing.assert_allclose(parts["seasonal"].iloc[at], season, atol=5e-7)
    assert (parts["resid"] ** 2).sum() == pytest.approx(rest, abs=5e-7)


def test_reference_values_of_mstl():
    parts = MSTL(12).fit_transform(dated(REFERENCE))["y"].iloc[[0, 59, 119]]
    np.testing.assert_allclose(parts["trend"], [-0.055778, 1.179946, 2.372232], atol=5e-7)
    np.testing.assert_allclose(parts["seasonal_12"], [0.392471, -0.250204, -0.200001], atol=5e-7)


def check_stl(seed, period, seasons, seasonal, degrees, robust):
    y = walk(int(seasons * period), period, seed)
    names = "seasonal_degree", "trend_degree", "low_pass_degree"
    ours = STL(period, seasonal=seasonal, robust=robust, **dict(zip(names, degrees, strict=True)))
    short = dict(zip(("seasonal_deg", "trend_deg", "low_pass_deg"), degrees, strict=True))
    theirs = oracle.STL(y, period=period, seasonal=seasonal, robust=robust, **short).fit()
    # Where all is explained, the rest is rounding, and so are the weights that come of it.
    assume(np.median(np.abs(theirs.resid)) > 1e-6 or not robust)
    parts = ours.fit_transform(dated(y))["y"]
    for name, wanted in (("trend", theirs.trend), ("seasonal", theirs.seasonal), ("resid", theirs.resid)):
        # Weights near zero leave points that hardly spread, whose slopes magnify rounding, round after round.
        np.testing.assert_allclose(parts[name], wanted, rtol=0, atol=1e-7 if robust else 1e-10)


def check_mstl(seed, n, periods):
    # A period that a series holds no more than twice is dropped there.
    periods = tuple(sorted(period for period in periods if 2 * period < n))
    y = walk(n, periods[0], seed)
    theirs = oracle.MSTL(y, periods=periods).fit()
    parts = MSTL(periods).fit_transform(dated(y))["y"]
    np.testing.assert_allclose(parts["trend"], theirs.trend, rtol=0, atol=1e-10)
    found = parts[[f"seasonal_{period}" for period in periods]]
    np.testing.assert_allclose(found, theirs.seasonal.reshape(n, -1), rtol=0, atol=1e-10)


ONE = given(
    seed=st.integers(0, 10**6),
    period=st.integers(2, 30),
    seasons=st.floats(2, 8),
    seasonal=st.sampled_from([3, 5, 7, 9, 13, 35]),
    degrees=st.tuples(*[st.integers(0, 1)] * 3),
    robust=st.booleans(),
)
SEVERAL = given(
    seed=st.integers(0, 10**6), n=st.integers(100, 400), periods=st.sets(st.integers(2, 40), min_size=1, max_size=3)
)
some, many = (settings(max_examples=count, deadline=None, derandomize=True) for count in (20, 200))
test_stl_is_that_of_statsmodels = some(ONE(check_stl))
test_mstl_is_that_of_statsmodels = some(SEVERAL(check_mstl))
test_200_stl_are_those_of_statsmodels = pytest.mark.slow(many(ONE(check_stl)))
test_200_mstl_are_those_of_statsmodels = pytest.mark.slow(many(SEVERAL(check_mstl)))


@pytest.mark.parametrize("robust", [False, True])
@pytest.mark.parametrize(
    ("n", "period"),
    [pytest.param(3001, 48, marks=pytest.mark.slow), pytest.param(1500, 500, marks=pytest.mark.slow), (800, 160)],
)
def test_long_series_slide_and_are_those_of_statsmodels_too(n, period, robust):
    y = walk(n, period)
    wanted = oracle.STL(y, period=period, robust=robust).fit()
    parts = STL(period, robust=robust).fit_transform(dated(y))["y"]
    np.testing.assert_allclose(parts[["trend", "seasonal"]], np.c_[wanted.trend, wanted.seasonal], rtol=0, atol=1e-9)


def test_the_matrices_have_the_properties_that_stl_has():
    trend, season = matrices(STL(24).fit(dated(walk(336, 24)))._settings(336))
    np.testing.assert_allclose(trend.sum(1), 1, atol=1e-12)
    np.testing.assert_allclose(season.sum(1), 0, atol=1e-12)
    t = np.arange(336)
    np.testing.assert_allclose(trend @ t, t, atol=1e-9)
    wave = np.sin(2 * np.pi * t / 24 + 1)
    np.testing.assert_allclose(season @ wave, wave, atol=1e-12)
    np.testing.assert_allclose(trend @ wave, 0, atol=1e-12)
    assert np.linalg.norm(trend, 2) == pytest.approx(1.08, abs=0.01)
    # From the end as from the beginning.
    np.testing.assert_allclose(trend[::-1, ::-1], trend, atol=1e-13)
    np.testing.assert_allclose(season[::-1, ::-1], season, atol=1e-13)


def test_cutting_a_series_changes_what_lies_before_the_cut_as_much_as_is_known():
    # A decomposition looks both ways, so that one of a whole series tells the end of a window of what follows.
    y = walk(2000, 24)
    whole, cut = (STL(24).fit_transform(dated(part))["y"] for part in (y, y[:1000]))
    change = (whole.iloc[:1000] - cut).abs()
    assert change["trend"].iloc[999] > 1e-3 > change["trend"].iloc[800]


@pytest.mark.parametrize("make", [STL, MSTL])
@pytest.mark.parametrize("robust", [False, True])
def test_causal_parts_are_those_of_the_steps_so_far(make, robust):
    y = walk(100, 6)
    model = make(6, causal=True, context=30, robust=robust)
    parts = model.fit_transform(dated(y))
    # A few periods are explained to the last digit: robust weights of the rest would be those of rounding.
    for end in (12, 17, 18, 29, 30, 31, 73, 100)[4 * robust :]:
        used = y[:end][-min(end // 6 * 6, 30) :]
        wanted = make(6, robust=robust).fit_transform(dated(used)).iloc[-1]
        np.testing.assert_allclose(parts.iloc[end - 1], wanted, rtol=0, atol=1e-12)
    np.testing.assert_allclose(parts.iloc[10, :2], [y[:11].mean(), 0], atol=1e-12)


def test_missing_values_have_no_weight():
    y = walk(240, 12)
    holes = y.copy()
    holes[[0, 5, 100, 101, 102, 239]] = np.nan
    parts = STL(12).fit_transform(dated(holes))["y"]
    assert parts[["trend", "seasonal"]].notna().all(axis=None)
    np.testing.assert_array_equal(parts["resid"].isna(), np.isnan(holes))
    # A line and a wave are found in spite of holes, but for what the low-pass filter takes at the ends.
    t = np.arange(60.0)
    exact = dated(t + np.sin(2 * np.pi * t / 5))
    exact.iloc[[0, 20, 21, 22, 40]] = np.nan
    found = STL(5).fit_transform(exact)["y"]
    np.testing.assert_allclose(found["trend"], t, atol=1e-9)
    np.testing.assert_allclose(found["seasonal"], np.sin(2 * np.pi * t / 5), atol=1e-9)


def test_outliers_move_robust_parts_less():
    y = walk(240, 12)
    spoiled = y.copy()
    spoiled[120] += 100
    plain, robust = (
        (STL(12, robust=robust).fit_transform(dated(spoiled)) - STL(12, robust=robust).fit_transform(dated(y)))
        for robust in (False, True)
    )
    assert plain["y", "trend"].abs().max() > 2 > 0.6 > robust["y", "trend"].abs().max()


def test_without_a_season_there_is_a_trend():
    y = dated(np.random.default_rng(0).normal(size=200).cumsum())
    model = STL(None).fit(y)
    assert model.components_ == ["trend", "resid"]
    assert model.strength(y).shape == (1, 1)
    line = dated(np.arange(50.0))
    np.testing.assert_allclose(STL(None).fit_transform(line)["y", "trend"], line, atol=1e-10)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (STL(1), "period: found 1"),
        (STL(2.5), "period: found 2.5"),
        (STL("weekly"), "period: found 'weekly'"),
        (STL(12, seasonal=4), "seasonal: found 4. Give an odd"),
        (STL(12, seasonal=None), "seasonal: found None"),
        (STL(12, trend=11), "trend: found 11. Give an odd number of more than the period, 12"),
        (STL(12, low_pass=12), "low_pass: found 12. Give an odd whole"),
        (STL(12, trend_degree=2), "trend_degree: found 2. Give 0 or 1"),
        (STL(12, robust=1), "robust: found 1. Give True or False"),
        (STL(12, missing="drop"), "missing: found 'drop'"),
        (STL(12, context=1, causal=True), "context: found 1"),
        (STL(61), r"it has 120 steps, but two periods of 61 are needed"),
        (MSTL((12, 12)), r"periods: found \(12, 12\). Give different"),
        (MSTL(()), r"periods: found \(\)"),
        (MSTL((6, 12), seasonal=(7,)), r"seasonal: found 1 windows, for 2 periods \(6, 12\)"),
        (MSTL(6, seasonal=(8,)), "seasonal: found 8"),
        (MSTL(6, seasonal=7), r"seasonal: found 7. Give a window for each period, such as \(7, 11\)"),
        (MSTL((6, 12), seasonal=np.array([7, 8])), "seasonal: found .*8"),
        (MSTL(2.5), "periods: found 2.5. Give a whole number"),
        (STL(12, seasonal=(7,)), r"seasonal: found \(7,\). Give an odd"),
        (STL(12, seasonal=np.array([7, 9])), r"seasonal: found array\(\[7, 9\]\)"),
        (STL(12, trend_degree=np.array([0, 1])), r"trend_degree: found array\(\[0, 1\]\). Give 0 or 1"),
        (STL(12, missing=np.array(["raise", "weights"])), "missing: found array"),
        (FourierSeasonal(12, trend=np.array(["linear", "x"])), "trend: found array"),
    ],
)
def test_bad_parameters_are_named(model, message):
    with pytest.raises(ValueError, match=message):
        model.fit(dated(REFERENCE))


def test_windows_may_be_an_array():
    y = dated(REFERENCE)
    wanted = MSTL((6, 12), seasonal=(7, 11)).fit_transform(y)
    pd.testing.assert_frame_equal(MSTL(np.array([6, 12]), seasonal=np.array([7, 11])).fit_transform(y), wanted)


@pytest.mark.slow
def test_a_long_series_takes_no_memory_for_every_step():
    assert loess(200_000, 101, 1).nbytes < 4 * 8 * 101 * 101
    # Nor do wide windows keep weights for every step of the ends, and sums are the same.
    y = np.random.default_rng(0).normal(size=(2, 9001))
    wide = Loess(9001, 6001, 1, 1)
    assert wide.nbytes < 1e6
    whole = wide.plain(y)
    for i in (0, 1, 2000, 4500, 9001, 9002):
        unit = np.zeros((1, 9003))
        unit[0, i] = 1
        np.testing.assert_allclose((wide.plain.transposed(unit) * y).sum(1), whole[:, i], rtol=0, atol=1e-13)
    np.testing.assert_allclose(wide.plain(np.arange(9001.0)[None])[0], np.arange(-1, 9002), atol=1e-8)


def test_without_a_season_trends_of_long_series_have_a_widest_window():
    y = walk(30_000, 48)
    found = STL(None).fit_transform(dated(y))["y", "trend"]
    np.testing.assert_allclose(found, STL(None, trend=4095).fit_transform(dated(y))["y", "trend"], atol=1e-12)


@pytest.mark.parametrize(
    ("model", "n"),
    [
        (STL(6), 36),
        (STL(5, seasonal_degree=0, trend_degree=0, low_pass_degree=0), 37),
        (MSTL((3, 7, 11)), 60),
        (STL(100), 900),
        (STL(None), 50),
        (STL(None), 800),
        (STL(None, trend=901), 900),
    ],
)
def test_weights_of_the_last_step_are_the_last_rows_of_the_matrices(model, n):
    model.fit(np.zeros((1, n)))
    settings = model._settings(n), model._passes
    np.testing.assert_allclose(ends(*settings), matrices(*settings)[:, -1], rtol=0, atol=1e-15)


def test_causal_parts_make_no_matrices(monkeypatch):
    monkeypatch.setattr(_stl, "matrices", None)
    found = STL(200, causal=True).fit_transform(dated(walk(1500, 200)))["y"]
    assert found.notna().all(axis=None)


def test_matrices_are_made_only_where_many_series_share_them(monkeypatch):
    asked = []
    monkeypatch.setattr(_stl, "matrices", lambda *settings: asked.append(settings) or matrices(*settings))
    lengths = range(200, 210)
    parts = STL(6).fit_transform([walk(n, 6) for n in lengths])
    assert not asked
    wanted = STL(6).fit_transform(np.stack([walk(200, 6)] * 100))
    assert asked
    np.testing.assert_allclose(parts.iloc[:200].to_numpy().T.ravel(), wanted[0], rtol=0, atol=1e-12)


def test_what_is_kept_is_bounded_by_its_size(monkeypatch):
    monkeypatch.setattr(_cache, "_LIMIT", 3000)
    made = []
    zeros = _cache.kept(lambda n: made.append(n) or np.zeros(n))
    for n in (100, 200, 100, 300, 100, 200, 1000, 1000):
        assert len(zeros(n)) == n
    # 300 drives out both, what alone is too large is kept alone.
    assert made == [100, 200, 300, 100, 200, 1000]
    assert list(zeros.found) == [(1000,)]


@pytest.mark.parametrize("model", [STL(6), STL(6, robust=True), STL(None), MSTL((3, 6)), STL(6, causal=True)])
def test_the_largest_numbers_do_not_warn(model):
    found = model.fit_transform(dated(np.full(400, 1e306)))["y"]
    np.testing.assert_allclose(found["trend"], 1e306, rtol=1e-12)
