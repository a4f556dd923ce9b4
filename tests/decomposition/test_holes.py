"""STL and MSTL where nothing is known for long: levels stay what they are, and lines go on."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from tsrec import MSTL, STL

N = 168
STEPS = np.arange(N)
KNOWN = {
    "a phase": STEPS % 7 < 5,
    "a stretch": (STEPS < 50) | (STEPS > 120),
    "the beginning": STEPS >= 40,
    "the end": STEPS < 130,
    "all but a few": (STEPS % 50 == 3) | (STEPS == 4),
}
MODELS = {
    "STL": STL(7),
    "levels only": STL(7, seasonal_degree=0, trend_degree=0, low_pass_degree=0),
    "robust STL": STL(7, robust=True),
    "without season": STL(None, trend=9),
    "robust without season": STL(None, trend=9, robust=True),
    "MSTL": MSTL((7, 14)),
    "causal STL": STL(7, causal=True),
    "causal robust STL": STL(7, causal=True, robust=True, context=56),
    "causal without season": STL(None, causal=True),
    "causal MSTL": MSTL((7, 14), causal=True),
}
every = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
holes = pytest.mark.parametrize("known", KNOWN.values(), ids=KNOWN)


def dated(y):
    return pd.Series(y, pd.date_range("2024", periods=len(y), freq="D"), name="y")


def noisy(seed=0):
    rng = np.random.default_rng(seed)
    return 0.05 * rng.normal(size=N).cumsum() + np.sin(2 * np.pi * STEPS / 7) + 0.3 * rng.normal(size=N)


def taken_apart(model, y, known):
    return clone(model).fit_transform(dated(np.where(known, y, np.nan)))["y"].drop(columns="resid")


@every
@holes
def test_a_level_added_to_a_series_is_added_to_its_trend(model, known):
    # Robust weights magnify rounding.
    level, atol = (1e3, 1e-3) if getattr(model, "robust", False) else (1e6, 1e-8)
    wanted, found = (taken_apart(model, noisy() + added, known) for added in (0.0, level))
    found["trend"] -= level
    np.testing.assert_allclose(found, wanted, rtol=0, atol=atol)


@every
@holes
def test_a_constant_is_all_trend(model, known):
    found = taken_apart(model, np.full(N, 100.0), known)
    since = known.argmax() if model.causal else 0
    np.testing.assert_allclose(found["trend"].iloc[since:], 100, rtol=0, atol=1e-10)
    np.testing.assert_allclose(found.drop(columns="trend"), 0, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ["STL", "robust STL", "MSTL", "without season"])
@pytest.mark.parametrize("hole", ["a phase", "a stretch", "the beginning", "the end"])
def test_a_line_goes_on_and_so_does_a_season(name, hole):
    wave = 0.0 if name == "without season" else np.sin(2 * np.pi * STEPS / 7) * (hole != "a phase")
    found = taken_apart(MODELS[name], 3 * STEPS + wave, KNOWN[hole])
    np.testing.assert_allclose(found["trend"], 3.0 * STEPS, rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.drop(columns="trend").sum(axis=1), wave, rtol=0, atol=1e-6)


def test_few_points_at_the_edge_of_a_hole_do_not_throw_the_trend_far():
    y, known = np.zeros(400), np.ones(400, dtype=bool)
    known[:300], y[300], y[301] = False, 1.0, -1.0
    for model in (STL(7), STL(None)):
        found = model.fit_transform(dated(np.where(known, y, np.nan)))["y", "trend"]
        assert found.abs().max() < 2
    known[302:] = False
    found = STL(7).fit_transform(dated(np.where(known, y, np.nan)))["y", "trend"]
    assert found.abs().max() < 10


def test_holes_are_forgotten_far_away_from_them():
    y = noisy()
    whole, some = (taken_apart(STL(7, seasonal=7, trend=9), y, known) for known in (STEPS >= 0, STEPS > 20))
    np.testing.assert_allclose(some.iloc[140:], whole.iloc[140:], rtol=0, atol=1e-6)


def test_causal_parts_go_on_while_nothing_is_known():
    known = (STEPS < 60) | (STEPS > 120)
    found = taken_apart(STL(7, causal=True), noisy(), known)
    assert found.notna().all(axis=None)
    # Windows of six periods end to know anything here.
    np.testing.assert_array_equal(found["trend"].iloc[102:121], found["trend"].iloc[101])
    np.testing.assert_array_equal(found["seasonal"].iloc[108:121], found["seasonal"].iloc[101:114])


def test_robust_causal_parts_of_nothing_do_not_warn():
    known = STEPS > 60
    found = taken_apart(STL(7, causal=True, robust=True), noisy(), known)
    np.testing.assert_array_equal(found["trend"].isna(), STEPS < 61)


def test_outliers_move_robust_trends_less_without_a_season_too():
    y = noisy()
    spoiled = y + 50.0 * (STEPS == 80)
    for known in (STEPS >= 0, STEPS % 11 > 0):
        plain, robust = (
            taken_apart(model, spoiled, known)["trend"] - taken_apart(model, y, known)["trend"]
            for model in (STL(None, trend=15), STL(None, trend=15, robust=True))
        )
        assert plain.abs().max() > 5 > 0.5 > robust.abs().max()
