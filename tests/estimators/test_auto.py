"""The default forecaster: which members it takes, and that it is their weighted mean and nothing else."""

import numpy as np
import pandas as pd
import pytest

import tsrec
from tsrec import AutoForecaster, LSSLForecaster, MLPForecaster, ThetaForecaster
from tsrec.estimators._recipe import Kind
from tsrec.estimators.auto import members_for


def panel(freq, n_series, length, season):
    rng = np.random.default_rng(0)
    steps = np.arange(length)
    parts = {
        f"s{i}": pd.Series(
            10 + i + np.sin(2 * np.pi * steps / season) + rng.normal(0, 0.1, length),
            pd.date_range("2010", periods=length, freq=freq),
        )
        for i in range(n_series)
    }
    return pd.concat(parts, names=["id", "time"]) if n_series > 1 else parts["s0"]


@pytest.fixture(scope="module")
def months():
    return panel("MS", 9, 48, 12)


@pytest.fixture(scope="module")
def fitted(months):
    return AutoForecaster(horizon=6, random_state=0).fit(months)


@pytest.mark.parametrize(
    ("freq", "n_series", "length", "recipe", "members"),
    [
        ("h", 1, 300, "sub-daily series", {"LSSL": 1, "MLP": 1}),
        ("D", 1, 100, "daily series", {"LSSL": 1}),
        ("D", 9, 100, "daily panel of short series", {"LSSL": 1, "Theta": 1}),
        ("W", 1, 120, "weekly series", {"LSSL": 1, "Theta": 1}),
        ("W", 9, 60, "weekly panel of short series", {"MLP": 1, "Theta": 1, "linear map": 1}),
        ("MS", 1, 48, "monthly series", {"LSSL": 1, "Theta": 2}),
        ("QS", 9, 30, "quarterly panel", {"MLP": 1, "Theta": 1}),
    ],
)
def test_the_kind_of_data_decides_who_is_a_member(freq, n_series, length, recipe, members):
    forecaster = AutoForecaster(horizon=4, random_state=0).fit(panel(freq, n_series, length, 12))
    assert forecaster.recipe_ == recipe
    total = sum(members.values())
    assert forecaster.weights_ == pytest.approx({name: weight / total for name, weight in members.items()})
    assert list(forecaster.members_) == list(members)
    assert np.isfinite(forecaster.predict()).all()


@pytest.mark.parametrize(("pace", "contexts"), [("daily", [None, 20]), ("weekly", [None, None, 104])])
def test_long_series_of_a_panel_are_looked_at_from_two_distances(pace, contexts):
    members = members_for(Kind(pace, many=True, long=True), 52 if pace == "weekly" else 7, 10)
    assert [member.get_params().get("context") for member, _ in members.values()] == [
        "auto" if context is None else context for context in contexts
    ]


def test_it_is_the_weighted_mean_of_its_members():
    y = panel("MS", 1, 60, 12)
    forecaster = AutoForecaster(horizon=6, random_state=0).fit(y)
    lssl, theta = forecaster.members_.values()
    pd.testing.assert_series_equal(forecaster.predict(), (lssl.predict() + 2 * theta.predict()) / 3)
    levels = [0.1, 0.9]
    expected = (lssl.predict_quantiles(levels=levels) + 2 * theta.predict_quantiles(levels=levels)) / 3
    pd.testing.assert_frame_equal(forecaster.predict_quantiles(levels=levels), expected)


def test_a_member_is_what_it_would_be_alone(months, fitted):
    alone = MLPForecaster(horizon=6, season=12, random_state=0).fit(months)
    pd.testing.assert_series_equal(fitted.members_["MLP"].predict(), alone.predict())
    theta = ThetaForecaster(horizon=6, season=12).fit(months)
    pd.testing.assert_series_equal(fitted.members_["Theta"].predict(9), theta.predict(9))


def test_components_sum_to_the_forecast(fitted):
    parts = fitted.predict_components(9)
    assert parts.columns.get_level_values("component").unique().tolist() == ["MLP", "Theta"]
    np.testing.assert_allclose(parts.sum(axis=1), fitted.predict(9), rtol=1e-12)


def test_the_embedding_is_that_of_the_first_network(fitted):
    pd.testing.assert_frame_equal(fitted.transform(), fitted.members_["MLP"].transform())


def test_saved_and_loaded_it_forecasts_the_same(months, fitted, tmp_path):
    tsrec.save(fitted, tmp_path / "auto.tsrec")
    back = tsrec.load(tmp_path / "auto.tsrec")
    pd.testing.assert_frame_equal(back.predict_interval(9), fitted.predict_interval(9))
    pd.testing.assert_series_equal(back.members_["MLP"].predict(), fitted.members_["MLP"].predict())
    tsrec.save(fitted.members_["Theta"], tmp_path / "theta.tsrec")
    tsrec.save(fitted.members_["MLP"], tmp_path / "mlp.tsrec")
    # The history, which all hold, is in the file once.
    sizes = {name: (tmp_path / f"{name}.tsrec").stat().st_size for name in ("auto", "mlp", "theta")}
    assert sizes["auto"] < sizes["mlp"] + 2 * sizes["theta"]


def test_members_see_the_rows_of_an_update():
    longer = panel("MS", 9, 51, 12)
    new = longer.index.get_level_values("time") >= "2014"
    forecaster = AutoForecaster(horizon=6, random_state=0).fit(longer[~new]).update(longer[new])
    assert forecaster.predict().index.get_level_values("time")[0] == pd.Timestamp("2014-04-01")
    for member in forecaster.members_.values():
        assert member.predict().index.equals(forecaster.predict().index)
    same = AutoForecaster(horizon=6, random_state=0).fit(longer[~new])
    pd.testing.assert_series_equal(forecaster.predict(), same.predict(history=longer))


def test_with_covariates_a_member_that_is_deaf_to_them_stays_out():
    y = panel("MS", 1, 60, 12)
    X = pd.DataFrame({"price": np.random.default_rng(0).normal(size=66)}, pd.date_range("2010", periods=66, freq="MS"))
    shown = y + 3 * X["price"].iloc[:60]
    forecaster = AutoForecaster(horizon=6, random_state=0).fit(X.iloc[:60], shown)
    assert list(forecaster.members_) == ["LSSL"]
    alone = LSSLForecaster(horizon=6, season=12, random_state=0).fit(X.iloc[:60], shown)
    pd.testing.assert_series_equal(forecaster.predict(X.iloc[60:]), alone.predict(X.iloc[60:]))


def test_a_fit_that_is_stopped_keeps_the_members_it_has(months, monkeypatch):
    def stop(self, panel):
        raise KeyboardInterrupt

    monkeypatch.setattr(ThetaForecaster, "_fit_panel", stop)
    forecaster = AutoForecaster(horizon=6, random_state=0)
    with pytest.raises(KeyboardInterrupt):
        forecaster.fit(months)
    assert list(forecaster.members_) == ["MLP"]
    pd.testing.assert_series_equal(forecaster.predict(), forecaster.members_["MLP"].predict())


def test_callbacks_see_the_epochs_of_the_members(months, epoch_counter):
    watch = epoch_counter()
    forecaster = AutoForecaster(horizon=6, random_state=0).set_callbacks(watch).fit(months)
    assert watch.seen == len(forecaster.members_["MLP"].history_)
    assert not getattr(forecaster.members_["MLP"], "_skl_callbacks", None)


def test_another_seed_is_another_forecast_and_the_same_seed_the_same(months, fitted):
    pd.testing.assert_series_equal(AutoForecaster(horizon=6, random_state=0).fit(months).predict(), fitted.predict())
    assert not AutoForecaster(horizon=6, random_state=1).fit(months).predict().equals(fitted.predict())


@pytest.mark.parametrize(
    ("given", "message"), [({"horizon": 0}, "horizon"), ({"season": "x"}, "season"), ({"device": "gpu"}, "device")]
)
def test_bad_parameters_are_named(months, given, message):
    with pytest.raises(ValueError, match=message):
        AutoForecaster(**given).fit(months)


@pytest.mark.slow
@pytest.mark.parametrize("unit", [1e-6, 1e5])
@pytest.mark.parametrize("freq", ["MS", "W"])
def test_the_unit_of_the_data_does_not_matter(freq, unit):
    y = panel(freq, 9, 60, 12)
    one = AutoForecaster(horizon=4, random_state=0).fit(y).predict()
    other = AutoForecaster(horizon=4, random_state=0).fit(unit * y).predict() / unit
    np.testing.assert_allclose(other, one, rtol=2e-3)


def test_a_long_series_does_not_spoil_the_short_ones():
    short = panel("D", 20, 42, 7)
    long = pd.concat({"long": panel("D", 1, 2000, 7)}, names=["id", "time"])
    together = AutoForecaster(horizon=7, random_state=0).fit(pd.concat([short, long]))
    assert together.members_["LSSL"].context_ <= 21
    alone = AutoForecaster(horizon=7, random_state=0).fit(short)
    assert abs(together.predict().loc["s0"] - alone.predict().loc["s0"]).max() < 0.5
