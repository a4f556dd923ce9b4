"""Several forecasters, one forecast: how they are named, weighed and put together."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit

from tsrec import (
    EnsembleForecaster,
    LSSLForecaster,
    SeasonalMeanForecaster,
    SeasonalNaiveForecaster,
    ThetaForecaster,
)
from tsrec.estimators.ensemble import combination_weights
from tsrec.model_selection import backtest

NAIVE = SeasonalNaiveForecaster(horizon=6, season=6)
LAST = SeasonalNaiveForecaster(horizon=6, season=1)
THETA = ThetaForecaster(horizon=6, season=6)


def hours(n=240, seed=0):
    rng = np.random.default_rng(seed)
    t = np.arange(n)
    y = 5 * np.sin(2 * np.pi * t / 6) + rng.normal(size=n)
    return pd.Series(y, pd.date_range("2024", periods=n, freq="h"), name="y")


def test_mean_median_and_quantiles_are_those_of_the_members():
    y = hours()
    alone = [clone(one).fit(y) for one in (NAIVE, LAST, THETA)]
    cutoffs = np.array([[0, 200], [0, 231]])
    answers = np.stack([one.predict_cutoffs(y, cutoffs) for one in alone])
    for how, expected in (("mean", answers.mean(axis=0)), ("median", np.median(answers, axis=0))):
        model = EnsembleForecaster([NAIVE, LAST, THETA], how=how).fit(y)
        np.testing.assert_allclose(model.predict_cutoffs(y, cutoffs), expected, rtol=1e-12)


def test_members_are_called_after_their_classes():
    model = EnsembleForecaster([NAIVE, THETA, LAST, ("plain", THETA)]).fit(hours())
    assert list(model.members_) == ["SeasonalNaive", "Theta", "SeasonalNaive_2", "plain"]


def test_components_are_the_weighted_members_of_a_mean_and_a_median_has_none():
    y = hours()
    model = EnsembleForecaster({"a": NAIVE, "b": THETA}, weights={"b": 3, "a": 1}).fit(y)
    assert model.weights_ == {"a": 0.25, "b": 0.75}
    parts = model.predict_components()["y"]
    np.testing.assert_allclose(parts["b"], 0.75 * clone(THETA).fit(y).predict(), rtol=1e-12)
    assert not hasattr(model.set_params(how="median"), "predict_components")


@pytest.mark.parametrize("shrinkage", [0.0, 0.1, 3.0])
def test_weights_minimise_the_error_of_the_mean_drawn_to_equal_ones(shrinkage):
    rng = np.random.default_rng(0)
    errors = rng.normal(size=(200, 4)) * [1.0, 1.5, 4.0, 1.0] + rng.normal(size=(200, 1))
    products = errors.T @ errors / 200
    size = np.trace(products) / 4

    def loss(weights):
        return weights @ products @ weights + shrinkage * size * np.square(weights - 0.25).sum()

    start, total = np.full(4, 0.25), {"type": "eq", "fun": lambda weights: weights.sum() - 1}
    options = {"bounds": [(0, 1)] * 4, "constraints": total, "options": {"ftol": 1e-14, "maxiter": 500}}
    best = minimize(loss, start, method="SLSQP", **options).x
    np.testing.assert_allclose(combination_weights(errors, shrinkage), best, atol=2e-4)


def test_weights_of_errors_that_are_all_zero_are_equal():
    assert combination_weights(np.zeros((5, 2)), 0.1).tolist() == [0.5, 0.5]


def test_held_out_rows_give_weight_to_what_forecasts_them_and_members_learn_from_all_rows():
    y = hours()
    model = EnsembleForecaster({"good": NAIVE, "bad": LAST}, weights="backtest").fit(y)
    assert model.weights_["good"] > 0.8
    assert sum(model.weights_.values()) == pytest.approx(1)
    assert len(model.members_["good"].panel_.values) == len(y)


def test_weights_are_equal_where_nothing_can_be_held_out():
    model = EnsembleForecaster({"a": NAIVE, "b": LAST}, weights="backtest").fit(hours(1))
    assert model.weights_ == {"a": 0.5, "b": 0.5}


@pytest.mark.parametrize("n", [9, 13])
def test_series_may_be_shorter_than_a_season(n):
    y = pd.Series(np.arange(n) % 4.0, pd.date_range("2024-01-01", periods=n, freq="MS"))
    members = [ThetaForecaster(horizon=1, season=12), SeasonalNaiveForecaster(horizon=1, season=12)]
    forecaster = EnsembleForecaster(members, weights="backtest").fit(y)
    assert np.isfinite(forecaster.predict()).all()
    assert np.isnan(forecaster.naive_scale()).all(axis=None) == (n < 12)


def test_weights_do_not_hang_on_the_units_of_series():
    y = pd.concat({name: hours(seed=seed) for seed, name in enumerate("ab")}, names=["id"])
    scale = np.where(y.index.get_level_values(0) == "a", 1e6, 1.0)
    models = [EnsembleForecaster([NAIVE, LAST], weights="backtest").fit(values) for values in (y, y * scale)]
    assert models[0].weights_ == pytest.approx(models[1].weights_, rel=1e-9)


def test_weights_go_by_names_that_are_no_texts():
    model = EnsembleForecaster({1: NAIVE, 2: LAST}, weights={2: 3, 1: 1}).fit(hours())
    assert model.weights_ == {"1": 0.25, "2": 0.75}


def test_parameters_are_those_of_the_members_unless_given_here():
    model = EnsembleForecaster([NAIVE, THETA], quantiles=(0.2, 0.8), horizon=4).fit(hours())
    assert model.levels_.tolist() == [0.2, 0.8]
    assert [member.horizon for member in model.members_.values()] == [4, 4]
    model = EnsembleForecaster([NAIVE, LAST]).fit(hours())
    assert model.horizon_ == 6
    assert [member.season_ for member in model.members_.values()] == [6, 1]
    with pytest.raises(ValueError, match=r"horizon: the forecasters differ, 'SeasonalNaive' has 6, 'Theta' has 24"):
        EnsembleForecaster([NAIVE, ThetaForecaster()]).fit(hours())
    with pytest.raises(ValueError, match="quantiles: the forecasters differ"):
        EnsembleForecaster([NAIVE, clone(THETA).set_params(quantiles=(0.1, 0.9))]).fit(hours())
    inner = EnsembleForecaster([NAIVE])
    assert EnsembleForecaster([inner, THETA]).fit(hours()).horizon_ == 6


def test_a_frequency_of_the_members_counts():
    y = hours(2)
    assert EnsembleForecaster([clone(NAIVE).set_params(freq="h")]).fit(y).predict(1).index[0] == y.index[-1] + (
        y.index[1] - y.index[0]
    )


def test_nested_parameters_are_got_set_and_searched():
    model = EnsembleForecaster([clone(NAIVE), clone(THETA)])
    assert model.get_params()["Theta__season"] == 6
    model.set_params(Theta__season=3, SeasonalNaive=clone(LAST), how="median")
    assert model.get_params(deep=False)["forecasters"]["Theta"].season == 3
    assert model.get_params()["SeasonalNaive__season"] == 1
    with pytest.raises(ValueError, match="Invalid parameter 'Lasso'"):
        model.set_params(Lasso__alpha=3)
    search = GridSearchCV(EnsembleForecaster([NAIVE, THETA]), {"Theta__theta": [1, 2]}, cv=TimeSeriesSplit(2))
    assert search.fit(hours().to_frame()).best_params_["Theta__theta"] in (1, 2)


def test_the_number_of_jobs_does_not_matter():
    y = hours()
    members = [THETA, LSSLForecaster(horizon=6, season=6, context=18, max_epochs=0)]
    first, second = (EnsembleForecaster(members, n_jobs=n_jobs).fit(y).predict() for n_jobs in (None, 2))
    pd.testing.assert_series_equal(first, second, rtol=0, atol=0)


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_bar_counts_the_members(capsys, n_jobs):
    model = EnsembleForecaster([NAIVE, THETA], n_jobs=n_jobs)
    quiet = model.fit(hours()).predict()
    assert capsys.readouterr() == ("", "")
    found = model.set_params(verbose=1).fit(hours()).predict()
    shown = capsys.readouterr().err
    assert "EnsembleForecaster" in shown
    assert "2/2" in shown
    pd.testing.assert_series_equal(found, quiet, rtol=0, atol=0)


class WithStatic(SeasonalNaiveForecaster):
    USES = ("static",)


def test_what_a_member_uses_is_used():
    y = pd.concat({name: hours(60, seed) for seed, name in enumerate("ab")}, names=["id"])
    static = pd.DataFrame({"size": [1.0, 2.0]}, index=["a", "b"])
    model = EnsembleForecaster([WithStatic(horizon=6), NAIVE]).fit(y, static=static)
    assert model.members_["WithStatic"].panel_.static.shape == (2, 1)
    with pytest.warns(UserWarning, match="EnsembleForecaster does not use it"):
        EnsembleForecaster([LAST, NAIVE]).fit(y, static=static)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"forecasters": []}, ValueError, r"forecasters: found \[\]"),
        ({"forecasters": THETA}, TypeError, "Give a list of forecasters"),
        ({"forecasters": [THETA, "naive"]}, TypeError, r"forecasters\['str'\]: found 'naive'"),
        ({"forecasters": [ThetaForecaster]}, TypeError, "give an object, not the class"),
        ({"forecasters": {"how": THETA}}, ValueError, "the name 'how' means something else"),
        ({"forecasters": [("a", THETA), ("a", NAIVE)]}, ValueError, "the name 'a' is there twice"),
        ({"forecasters": {1: THETA, "1": NAIVE}}, ValueError, r"names \[1, '1'\] read alike"),
        ({"how": "mode"}, ValueError, "how: found 'mode'"),
        ({"weights": 0.5}, ValueError, r"weights: found 0.5. Give numbers"),
        ({"weights": "best"}, ValueError, "weights: found 'best'"),
        ({"weights": [1]}, ValueError, r"weights: found \[1\]. Give numbers .* one for each of"),
        ({"weights": {"Theta": 1, "x": 2}}, ValueError, r"weights: found those of \['Theta', 'x'\]"),
        (
            {"forecasters": {1: THETA, "b": NAIVE}, "weights": {1: 1, "1": 3, "b": 2}},
            ValueError,
            r"weights: found those of \[1, '1', 'b'\]",
        ),
        ({"weights": [0, 0]}, ValueError, "not all may be 0"),
        ({"weights": [1, -1]}, ValueError, "Give numbers of at least 0"),
        ({"weights": [1, 2], "how": "median"}, ValueError, "how='median' knows none"),
        ({"n_jobs": 0}, ValueError, "n_jobs: found 0"),
        ({"verbose": -1}, ValueError, "verbose: found -1"),
    ],
)
def test_wrong_parameters_are_named(options, error, message):
    with pytest.raises(error, match=message):
        EnsembleForecaster(**options).fit(hours())


def test_mean_of_season_and_theta_are_the_members_when_none_are_given():
    members = EnsembleForecaster(horizon=6).fit(hours()).members_
    assert [type(one) for one in members.values()] == [ThetaForecaster, SeasonalMeanForecaster]


def test_a_backtest_takes_the_horizon_of_the_members():
    table = backtest(EnsembleForecaster([NAIVE, THETA]), hours(), n_windows=2)
    assert len(table) == 12
