"""Forecasts by component: who forecasts what, that the parts sum up, and that no cut-off sees what follows."""

import numpy as np
import pandas as pd
import pytest

from tsrec import (
    MSTL,
    STL,
    DecompositionForecaster,
    LSSLForecaster,
    MovingAverage,
    SeasonalMeanForecaster,
    SeasonalNaiveForecaster,
    ThetaForecaster,
)

NAIVE = SeasonalNaiveForecaster(season=6)
LAST = SeasonalNaiveForecaster(season=1)


def hours(n=240, seed=0):
    rng = np.random.default_rng(seed)
    t = np.arange(n)
    y = 0.1 * t + 5 * np.sin(2 * np.pi * t / 6) + rng.normal(size=n)
    return pd.Series(y, pd.date_range("2024", periods=n, freq="h"), name="y")


@pytest.mark.parametrize(
    ("decomposition", "forecasters", "members"),
    [
        (None, None, ["seasonal", "rest"]),
        (MSTL((6, 12)), None, ["seasonal_6", "seasonal_12", "rest"]),
        (STL(6), {"seasonal": NAIVE, "trend": LAST, "resid": LAST}, ["seasonal", "trend", "resid"]),
        (MovingAverage(6), {"rest": NAIVE}, ["rest"]),
        (STL(None), {"trend": ThetaForecaster(), "rest": LAST}, ["trend", "rest"]),
    ],
)
def test_each_component_has_its_forecaster(decomposition, forecasters, members):
    model = DecompositionForecaster(decomposition, forecasters, horizon=12, random_state=0).fit(hours())
    assert list(model.members_) == members
    parts = model.predict_components()["y"]
    assert list(parts.columns) == members
    np.testing.assert_allclose(parts.sum(axis=1), model.predict(), rtol=1e-10)
    assert all(member.horizon == 12 for member in model.members_.values())


def test_a_forecast_is_the_sum_of_those_of_the_components_of_the_last_rows():
    y = hours()
    given = {"seasonal": NAIVE, "rest": SeasonalMeanForecaster(season=6, context=18)}
    model = DecompositionForecaster(STL(6), given, horizon=8).fit(y)
    assert model.context_ == 48
    parts = STL(6).fit_transform(y.iloc[-48:])["y"]
    season = SeasonalNaiveForecaster(season=6, horizon=8).fit(parts["seasonal"]).predict()
    rest = SeasonalMeanForecaster(season=6, context=18, horizon=8).fit(parts["trend"] + parts["resid"]).predict()
    np.testing.assert_allclose(model.predict(), season + rest, rtol=1e-10)
    np.testing.assert_allclose(model.predict_components()["y", "seasonal"], season, rtol=1e-10)


def test_it_is_better_than_its_parts_on_what_they_are_made_for():
    y = hours(600)
    given = {"seasonal": NAIVE, "rest": LSSLForecaster(season=6, random_state=0)}
    model = DecompositionForecaster(STL(6), given, horizon=24).fit(y.iloc[:500])
    cutoffs = np.stack([np.zeros(70, dtype=int), np.arange(500, 570)], axis=1)
    truth = y.to_numpy()[cutoffs[:, 1:] + np.arange(24)]
    naive = SeasonalNaiveForecaster(season=6, horizon=24).fit(y.iloc[:500])
    errors = [np.abs(one.predict_cutoffs(y, cutoffs)[..., 0, 0] - truth).mean() for one in (model, naive)]
    assert errors[0] < 0.85 * errors[1]


def test_quantiles_are_in_order_and_hold_about_their_share():
    y = hours(800)
    given = {"seasonal": NAIVE, "rest": LSSLForecaster(season=6, max_epochs=0)}
    model = DecompositionForecaster(STL(6), given, horizon=12).fit(y.iloc[:600])
    cutoffs = np.stack([np.zeros(180, dtype=int), np.arange(600, 780)], axis=1)
    answers = model.predict_cutoffs(y, cutoffs)[:, :, 0, 1:]
    assert (np.diff(answers, axis=-1) >= 0).all()
    truth = y.to_numpy()[cutoffs[:, 1:] + np.arange(12)]
    low, high = (answers[..., list(model.levels_).index(level)] for level in (0.1, 0.9))
    assert 0.7 < np.mean((truth >= low) & (truth <= high)) < 0.9


@pytest.mark.parametrize("causal", [False, True])
def test_no_cut_off_sees_what_follows(causal):
    y = hours()
    given = {"seasonal": NAIVE, "rest": LAST}
    model = DecompositionForecaster(STL(6, causal=causal), given, horizon=6).fit(y.iloc[:150])
    cutoffs = np.array([[0, 170], [0, 171], [0, 200]])
    wanted = model.predict_cutoffs(y, cutoffs)
    spoiled = y.copy()
    spoiled.iloc[200:] = 1e9
    np.testing.assert_array_equal(model.predict_cutoffs(spoiled, cutoffs), wanted)
    alone = model.predict_cutoffs(y, cutoffs[1:2])
    np.testing.assert_allclose(alone, wanted[1:2], rtol=1e-12)


def test_series_of_less_than_two_periods_are_forecast_too():
    panel = pd.concat({"long": hours(), "short": hours(9)}, names=["id"])
    model = DecompositionForecaster(STL(6), {"seasonal": NAIVE, "rest": LAST}, horizon=6).fit(panel)
    assert np.isfinite(model.predict()).all()
    assert np.isfinite(model.predict(history=hours(3).to_frame("y"))).all(axis=None)


def test_future_covariates_reach_the_members():
    y, t = hours(), np.arange(252)
    X = pd.DataFrame({"promotion": (t % 17 == 3).astype(float)}, pd.date_range("2024", periods=252, freq="h"))
    y = y + 20 * X["promotion"].iloc[:240]
    given = {"seasonal": NAIVE, "rest": LSSLForecaster(season=6, max_epochs=0)}
    model = DecompositionForecaster(STL(6), given, horizon=12, context=96).fit(X.iloc[:240], y)
    lifted = model.predict(X.iloc[240:])
    flat = model.predict(0 * X.iloc[240:])
    at = X["promotion"].iloc[240:] == 1
    assert (lifted - flat)[at].min() > 10


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"forecasters": {}}, ValueError, "forecasters: found {}"),
        ({"forecasters": [NAIVE]}, ValueError, "forecasters: found .* Give a dict"),
        ({"forecasters": {"rest": STL()}}, TypeError, r"forecasters\['rest'\]: found STL\(\)"),
        ({"forecasters": {"season": NAIVE, "rest": LAST}}, ValueError, r"\['season'\] are none of the components"),
        ({"forecasters": {"seasonal": NAIVE}}, ValueError, r"\['trend', 'resid'\] have no forecaster"),
        (
            {"forecasters": {"seasonal": NAIVE, "trend": LAST, "resid": LAST, "rest": LAST}},
            ValueError,
            "nothing is left for 'rest'",
        ),
        ({"context": 11}, ValueError, "context: found 11. Give at least two periods of 6"),
        ({"decomposition": STL(6, seasonal=4)}, ValueError, "seasonal: found 4"),
    ],
)
def test_bad_parameters_are_named(options, error, message):
    with pytest.raises(error, match=message):
        DecompositionForecaster(**{"decomposition": STL(6), **options}).fit(hours())
