"""What networks learn from beside the series: past and static covariates, the calendar, names, and weights of rows."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

import tsrec
from tsrec import (
    AutoForecaster,
    CleanedForecaster,
    ConformalForecaster,
    EnsembleForecaster,
    LSSLForecaster,
    MambaForecaster,
    MLPForecaster,
    SeasonalNaiveForecaster,
    TCNCAForecaster,
    TEMPOForecaster,
)
from tsrec.model_selection import backtest

RNG = np.random.default_rng(0)
N = 400
INDEX = pd.date_range("2024-01-01", periods=N, freq="h", name="time")
X = RNG.normal(size=N)
PAST = pd.DataFrame({"leads": X, "noise": RNG.normal(size=N)}, INDEX)
Y = pd.Series(np.r_[0, 0, 5 * X[:-2]] + 0.3 * RNG.normal(size=N), INDEX, name="y")
RIDGE = LSSLForecaster(horizon=4, context=24, season=24, max_epochs=0, random_state=0)
SMALL = {"horizon": 4, "context": 12, "season": 4, "linear": None, "max_epochs": 2, "random_state": 0}
NETWORKS = {
    "lssl": LSSLForecaster(patch=4, d_model=4, d_state=4, **SMALL),
    "mlp": MLPForecaster(d_model=8, **SMALL),
    "tcnca": TCNCAForecaster(patch=4, d_model=4, chunk=4, **SMALL),
    "mamba": MambaForecaster(patch=4, d_model=4, d_state=3, **SMALL),
}


def panel(n_series=6, n=60):
    """Series whose next step is the last one plus what their group says."""
    index = pd.date_range("2024-01-01", periods=n, freq="D", name="day")
    rng = np.random.default_rng(1)
    rows = {f"s{i}": pd.Series((i % 2) * np.arange(n) + rng.normal(size=n), index, name="y") for i in range(n_series)}
    return pd.concat(rows, names=["id", "day"])


STATIC = pd.DataFrame(
    {"group": ["flat", "rising"] * 3, "size": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]}, [f"s{i}" for i in range(6)]
)


def errors(table):
    gap = (table["y", "forecast"] - table["y", "y"]).abs().to_numpy().reshape(-1, 4)
    return gap.mean(axis=0)


def cutoff_errors(forecaster, past):
    cutoffs = np.stack([np.zeros(60, dtype=int), np.arange(330, 390)], axis=1)
    found = forecaster.predict_cutoffs(Y, cutoffs, past=past)[:, :, 0, 0]
    truth = Y.to_numpy()[cutoffs[:, 1:] + np.arange(4)]
    return np.abs(found - truth).mean(axis=0)


def test_what_leads_the_series_lowers_the_error_of_the_steps_it_leads():
    told = clone(RIDGE).fit(Y[:320], past=PAST[:320])
    alone = clone(RIDGE).fit(Y[:320])
    with_past, without = cutoff_errors(told, PAST), cutoff_errors(alone, None)
    assert (with_past[:2] < 0.3 * without[:2]).all()
    assert (with_past[2:] < 1.1 * without[2:]).all()
    assert told.predict_components().columns.tolist() == [("y", "linear"), ("y", "past covariates")]


@pytest.mark.parametrize(
    "name", ["mlp", *(pytest.param(name, marks=pytest.mark.slow) for name in ("lssl", "mamba", "tcnca"))]
)
def test_networks_alone_learn_from_the_past_too(name):
    told = clone(NETWORKS[name]).set_params(max_epochs=40, learning_rate=0.01).fit(Y[:320], past=PAST[:320])
    alone = clone(NETWORKS[name]).set_params(max_epochs=40, learning_rate=0.01).fit(Y[:320])
    assert (cutoff_errors(told, PAST)[:2] < 0.85 * cutoff_errors(alone, None)[:2]).all()


def test_rows_after_a_cutoff_do_not_reach_it_through_past():
    told = clone(RIDGE).fit(Y[:320], past=PAST[:320])
    spoiled = PAST.copy()
    spoiled.iloc[350:] = 1e6
    cutoffs = np.array([[0, 350]])
    np.testing.assert_array_equal(
        told.predict_cutoffs(Y, cutoffs, past=PAST), told.predict_cutoffs(Y, cutoffs, past=spoiled)
    )


def test_a_later_history_takes_its_past_and_warns_of_nothing():
    told = clone(RIDGE).fit(Y[:320], past=PAST[:320])
    later = told.predict(history=Y[:350], history_past=PAST[:350])
    grown = clone(RIDGE).fit(Y[:320], past=PAST[:320]).update(Y[320:350], past=PAST[320:350])
    np.testing.assert_allclose(later, grown.predict(), rtol=1e-6)
    columns = told.predict(history=Y[:350], history_past=PAST[:350][["noise", "leads"]])
    pd.testing.assert_series_equal(later, columns)


def test_rows_without_their_past_are_told_of_and_count_as_usual():
    told = clone(RIDGE).fit(Y[:320], past=PAST[:320])
    with pytest.warns(UserWarning, match="history_past: missing. What was learned from it .2 columns"):
        usual = told.predict(history=Y[:350])
    assert np.isfinite(usual).all()
    assert not np.allclose(usual, told.predict(history=Y[:350], history_past=PAST[:350]))
    with pytest.raises(ValueError, match="are in the history already"):
        told.update(Y[310:330])
    with pytest.warns(UserWarning, match="past: missing.*of the rows of X"):
        told.update(Y[320:350])
    np.testing.assert_array_equal(told.predict().index, usual.index)


@pytest.mark.parametrize(
    ("kw", "message"),
    [
        ({"history_past": PAST}, "history_past: given without history"),
        ({"history": Y, "history_past": PAST[["leads"]]}, "history_past: it has no column 'noise'"),
        ({"history": Y, "history_past": PAST.to_numpy()}, "history_past: it is an array, but history has a time index"),
        ({"history": Y, "history_past": PAST[:9]}, "history_past: "),
    ],
)
def test_a_past_that_does_not_fit_is_refused(kw, message):
    told = clone(RIDGE).fit(Y[:320], past=PAST[:320])
    with pytest.raises(ValueError, match=message):
        told.predict(**kw)


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name != "mlp")) for name in NETWORKS])
def test_categories_and_names_tell_series_apart(name):
    y = panel()
    long = clone(NETWORKS[name]).set_params(max_epochs=20, learning_rate=0.01)
    plain = long.fit(y).predict()
    for fitted in (
        clone(long).fit(y, static=STATIC),
        clone(long).set_params(features="id").fit(y) if "features" in long.get_params() else None,
    ):
        assert not np.allclose(fitted.predict(), plain)


def test_static_covariates_go_by_name():
    y, model = panel(), NETWORKS["mlp"]
    first = clone(model).fit(y, static=STATIC).predict()
    pd.testing.assert_series_equal(clone(model).fit(y, static=STATIC.iloc[::-1]).predict(), first)


def test_new_series_are_described_or_count_as_usual():
    y = panel()
    model = clone(NETWORKS["mlp"]).set_params(max_epochs=10).fit(y, static=STATIC)
    new = pd.concat({"new": y.loc["s1"]}, names=["id"])
    with pytest.warns(UserWarning, match="history: nothing is said of 1 series"):
        usual = model.predict(history=new)
    as_s1 = model.describe(STATIC.loc[["s1"]].set_axis(["new"])).predict(history=new)
    assert not np.allclose(as_s1, usual)
    np.testing.assert_allclose(as_s1.to_numpy(), model.predict(history=y).loc["s1"].to_numpy(), rtol=0.2, atol=0.5)
    other = STATIC.loc[["s1"]].set_axis(["new"]).assign(group="unheard of")
    with pytest.warns(UserWarning, match="'group' of 1 series .* 'unheard of'.* learned from: 'flat', 'rising'"):
        model.describe(other)
    assert np.isfinite(model.predict(history=new)).all()
    model.describe(other.assign(group=None))
    with pytest.raises(ValueError, match="static: its columns differ from those of fit"):
        model.describe(STATIC[["size"]])


def test_names_of_another_depth_are_said_anew():
    y = panel()
    model = clone(NETWORKS["mlp"]).set_params(max_epochs=0).fit(y, static=STATIC)
    deep = STATIC.loc[["s1"]].set_axis(pd.MultiIndex.from_tuples([("north", "s1")]))
    model.describe(deep).describe(STATIC.loc[["s1"]].set_axis(["new"]))
    assert np.isfinite(model.predict(history=pd.concat({"new": y.loc["s1"]}, names=["id"]))).all()
    assert model.describe(deep).described_.index.nlevels == 2


def test_what_was_said_of_other_series_holds_until_the_next_fit():
    y = panel()
    model = clone(NETWORKS["mlp"]).set_params(max_epochs=2).fit(y, static=STATIC)
    one, other = (pd.concat({name: y.loc["s1"]}, names=["id"]) for name in ("one", "other"))
    model.describe(STATIC.loc[["s1"]].set_axis(["one"])).describe(STATIC.loc[["s2"]].set_axis(["other"]))
    both = model.predict(history=pd.concat([one, other]))
    model.describe(STATIC.loc[["s2"]].set_axis(["one"]))
    as_s2 = model.predict(history=one)
    assert not np.allclose(both.loc["one"], as_s2.loc["one"], rtol=1e-9)
    np.testing.assert_allclose(both.loc["other"].to_numpy(), as_s2.loc["one"].to_numpy(), rtol=1e-5)
    model.fit(y, static=STATIC[["size"]])
    with pytest.warns(UserWarning, match="history: nothing is said of 1 series"):
        model.predict(history=one)


def test_a_gap_in_static_is_told_of_in_fit_and_not_again_after_a_file(tmp_path):
    y, gap = panel(), STATIC.assign(size=[np.nan, *range(5)])
    with pytest.warns(UserWarning, match="static: not everything of 1 series"):
        fitted = EnsembleForecaster({"mlp": clone(NETWORKS["mlp"])}, horizon=4).fit(y, static=gap)
    tsrec.save(fitted, tmp_path / "model.tsrec")
    pd.testing.assert_series_equal(tsrec.load(tmp_path / "model.tsrec").predict(), fitted.predict())


def test_names_of_new_series_say_nothing():
    y = panel()
    model = clone(NETWORKS["mlp"]).set_params(features="id", max_epochs=10).fit(y)
    new = pd.concat({"s1": y.loc["s1"], "new": y.loc["s1"]}, names=["id"])
    found = model.predict(history=new)
    assert not np.allclose(found.loc["s1"], found.loc["new"])
    assert np.isfinite(found).all()


def test_the_calendar_is_known_ahead():
    index = pd.date_range("2023-01-01", periods=500, freq="D")
    level = np.where(index.dayofweek == 6, -5.0, 0.0) + 0.1 * RNG.normal(size=500)
    # A context shorter than a week does not show the day of the week, the calendar does.
    model = LSSLForecaster(horizon=3, context=3, season=1, max_epochs=0, random_state=0)
    y = pd.Series(level, index, name="y")
    plain, dated = (backtest(one, y, n_windows=30).y for one in (model, clone(model).set_params(features="calendar")))
    gaps = [float((table["forecast"] - table["y"]).abs().mean()) for table in (plain, dated)]
    assert gaps[1] < 0.3 * gaps[0]


def test_the_calendar_stands_beside_covariates_and_needs_none():
    y = Y.rename("y")
    model = clone(RIDGE).set_params(features=["calendar"])
    assert len(model.fit(y).predict(40)) == 40
    covariates = PAST[["noise"]]
    fitted = model.fit(covariates[:320], y[:320])
    assert np.isfinite(fitted.predict(covariates[320:330])).all()
    assert fitted.n_features_ > 10


@pytest.mark.parametrize("value", ["calender", ("calendar", "ids")])
def test_unknown_features_are_named(value):
    with pytest.raises(ValueError, match="features: found"):
        clone(RIDGE).set_params(features=value).fit(Y)


def test_the_calendar_of_rows_without_dates_is_refused():
    with pytest.raises(ValueError, match="features: 'calendar' needs an index of dates"):
        clone(RIDGE).set_params(features="calendar").fit(Y.to_numpy())


def test_rows_of_weight_nothing_are_not_learned_from():
    index = pd.date_range("2023-01-01", periods=200, freq="D")
    wave = np.sin(np.arange(200) / 7 * 2 * np.pi)
    y = pd.Series(np.where(np.arange(200) < 100, wave, 50.0 + 0.5 * np.arange(200)), index, name="y")
    model = LSSLForecaster(horizon=7, context=7, season=1, max_epochs=0, random_state=0)
    weight = (np.arange(200) < 100).astype(float)
    told = clone(model).fit(y, sample_weight=weight).predict(history=y[:70])
    plain = clone(model).fit(y).predict(history=y[:70])
    truth = wave[70:77]
    assert np.abs(told - truth).mean() < 0.5 * np.abs(plain - truth).mean()


def test_equal_weights_change_nothing():
    for model in (clone(RIDGE), clone(NETWORKS["mlp"]), clone(NETWORKS["lssl"])):
        plain = clone(model).fit(Y).predict()
        np.testing.assert_allclose(clone(model).fit(Y, sample_weight=np.full(N, 3.0)).predict(), plain, rtol=1e-5)


def test_a_weight_per_series_is_one_for_each_of_its_rows():
    y = panel()
    by_name = pd.Series(np.arange(1.0, 7.0), [f"s{i}" for i in range(6)])
    rows = by_name.loc[y.index.get_level_values("id")].to_numpy()
    model = clone(NETWORKS["mlp"])
    first = clone(model).fit(y, sample_weight=by_name).predict()
    pd.testing.assert_series_equal(clone(model).fit(y, sample_weight=rows).predict(), first)
    shuffled = y.sample(frac=1, random_state=0).sort_index(level="day", sort_remaining=False)
    weight = by_name.loc[shuffled.index.get_level_values("id")].to_numpy()
    pd.testing.assert_series_equal(
        clone(model).fit(shuffled, sample_weight=weight).predict().sort_index(), first.sort_index()
    )


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.ones(5), "sample_weight: found shape"),
        (np.full(360, -1.0), "sample_weight: found a negative weight"),
        (np.zeros(360), "sample_weight: found zeros only"),
        (pd.Series(1.0, ["s0", "s1"]), "sample_weight: 4 series have no weight, the first is 's2'"),
    ],
)
def test_weights_that_do_not_fit_are_refused(weight, message):
    with pytest.raises(ValueError, match=message):
        clone(NETWORKS["mlp"]).fit(panel(), sample_weight=weight)


def test_weights_under_another_index_are_refused():
    weight = pd.Series(np.arange(1.0, N + 1), INDEX)
    clone(RIDGE).fit(Y, sample_weight=weight.reset_index(drop=True))
    with pytest.raises(ValueError, match=r"sample_weight: its index, of .* rows, differs from that of y"):
        clone(RIDGE).fit(Y, sample_weight=weight.iloc[::-1])
    y = panel()
    with pytest.raises(ValueError, match=r"sample_weight: its index, of .* rows, differs from that of y"):
        clone(NETWORKS["mlp"]).fit(y, sample_weight=pd.Series(1.0, y.index[::-1]))


def test_weights_that_leave_nothing_to_learn_from_are_refused():
    y, weight = Y.copy(), np.r_[np.zeros(300), np.ones(N - 300)]
    y.iloc[300:] = np.nan
    with pytest.raises(ValueError, match="sample_weight: every row with a value has the weight 0"):
        clone(RIDGE).fit(y, sample_weight=weight)


def test_a_series_of_weight_nothing_is_forecast_in_its_own_units():
    index = pd.date_range("2024-01-01", periods=300, freq="D", name="day")
    x = RNG.normal(size=(3, 300))
    rows = {f"s{k}": pd.DataFrame({"x": x[k], "y": 100 * k + 5 * x[k]}, index) for k in range(3)}
    both = pd.concat(rows, names=["id", "day"])
    known = both.index.get_level_values("day") < index[280]
    model = LSSLForecaster(horizon=20, context=14, season=7, max_epochs=0, random_state=0)
    weight = pd.Series([1.0, 1.0, 0.0], rows)
    found = model.fit(both.loc[known, ["x"]], both.loc[known, "y"], sample_weight=weight).predict(
        both.loc[~known, ["x"]]
    )
    gap = (found - both.loc[~known, "y"]).abs().groupby("id").mean()
    assert gap["s2"] < 0.5


def test_numbers_in_a_column_of_objects_are_numbers():
    y = panel()
    loose = STATIC.astype(object)
    fitted = clone(NETWORKS["mlp"]).fit(y, static=loose)
    assert list(fitted.static_coding_.categories) == ["0"]
    pd.testing.assert_series_equal(fitted.predict(), clone(NETWORKS["mlp"]).fit(y, static=STATIC).predict())


def test_dates_and_names_of_series_are_no_categories():
    y = panel()
    with pytest.raises(TypeError, match="static: column 'opened' holds dates"):
        clone(NETWORKS["mlp"]).fit(y, static=STATIC.assign(opened=pd.date_range("2024", periods=6)))
    index = pd.MultiIndex.from_product([range(1200), pd.date_range("2024", periods=3)], names=["id", "day"])
    many = pd.Series(1.0, index)
    names = pd.DataFrame({"item": [f"i{k}" for k in range(1200)]}, range(1200))
    with pytest.raises(ValueError, match="static: column 'item' has 1200 categories"):
        clone(NETWORKS["mlp"]).fit(many, static=names)


def test_the_calendar_of_yearly_rows_says_nothing():
    y = pd.Series(RNG.normal(size=40), pd.date_range("1980", periods=40, freq="YS"))
    dated = LSSLForecaster(horizon=2, context=4, season=1, max_epochs=0, features="calendar").fit(y)
    plain = clone(dated).set_params(features=None).fit(y)
    pd.testing.assert_series_equal(dated.predict(), plain.predict())


def test_parameters_that_are_changed_after_fit_do_not_change_the_forecast():
    model = clone(RIDGE).set_params(features="calendar").fit(Y)
    before = model.predict()
    pd.testing.assert_series_equal(model.set_params(features=None).predict(), before)


@pytest.mark.slow
def test_many_past_covariates_are_looked_at_over_fewer_steps():
    many = pd.DataFrame(RNG.normal(size=(N, 200)), INDEX)
    many[0] = X
    fitted = clone(RIDGE).fit(Y, past=many)
    assert fitted.module_.past_map.shape[-2] == 6 * 200
    assert np.isfinite(fitted.predict()).all()


@pytest.mark.parametrize(
    "model", [AutoForecaster(horizon=4, random_state=0), TEMPOForecaster(**{**SMALL, "d_model": 4})]
)
def test_other_networks_take_all_of_it(model, tmp_path):
    y = panel(9)
    static = pd.DataFrame({"group": list("abcabcabc")}, [f"s{i}" for i in range(9)])
    past = pd.DataFrame({"x": RNG.normal(size=len(y))}, y.index)
    fitted = clone(model).fit(y, static=static, past=past, sample_weight=np.ones(len(y)))
    found = fitted.predict()
    assert np.isfinite(found).all()
    tsrec.save(fitted, tmp_path / "model.tsrec")
    pd.testing.assert_series_equal(tsrec.load(tmp_path / "model.tsrec").predict(), found)


def test_all_features_survive_a_file(tmp_path):
    y = panel()
    past = pd.DataFrame({"x": RNG.normal(size=len(y))}, y.index)
    model = clone(NETWORKS["mlp"]).set_params(features=("calendar", "id"))
    fitted = model.fit(y, static=STATIC, past=past)
    tsrec.save(fitted, tmp_path / "model.tsrec")
    loaded = tsrec.load(tmp_path / "model.tsrec")
    pd.testing.assert_series_equal(loaded.predict(), fitted.predict())
    new = pd.concat({"new": y.loc["s1"]}, names=["id"])
    described = (one.describe(STATIC.loc[["s1"]].set_axis(["new"])) for one in (fitted, loaded))
    first, second = (one.predict(history=new, history_past=past.loc[["s1"]].rename({"s1": "new"})) for one in described)
    pd.testing.assert_series_equal(first, second)


def test_a_series_that_is_always_zero_or_sleeps_is_forecast_finitely():
    index = pd.date_range("2024-01-01", periods=80, freq="D", name="day")
    demand = np.where(np.arange(80) % 9 == 0, 4.0, 0.0)
    rows = {"zero": 0.0 * demand, "rare": demand, "gone": np.where(np.arange(80) < 40, demand, 0.0)}
    y = pd.concat({name: pd.Series(one, index, name="y") for name, one in rows.items()}, names=["id", "day"])
    for model in (*NETWORKS.values(), RIDGE, AutoForecaster(horizon=4, random_state=0)):
        found = clone(model).fit(y).predict()
        assert np.isfinite(found).all()
        assert np.abs(found.loc["zero"]).max() < 1e-3


@pytest.mark.parametrize(
    "wrap",
    [
        pytest.param(
            lambda model: EnsembleForecaster({"first": model, "second": SeasonalNaiveForecaster(season=7)}, horizon=4),
            id="ensemble",
        ),
        pytest.param(lambda model: ConformalForecaster(model, calibration=0.3), id="conformal", marks=pytest.mark.slow),
        pytest.param(lambda model: CleanedForecaster(model), id="cleaned", marks=pytest.mark.slow),
    ],
)
def test_members_are_told_of_everything(wrap, tmp_path):
    y = panel()
    model = wrap(clone(NETWORKS["mlp"]).set_params(max_epochs=10))
    by_name = pd.Series(np.arange(1.0, 7.0), [f"s{i}" for i in range(6)])
    plain = clone(model).fit(y, static=STATIC).predict()
    fitted = clone(model).fit(y, static=STATIC, sample_weight=by_name)
    assert not np.allclose(fitted.predict(), plain)
    new = pd.concat({"new": y.loc["s1"]}, names=["id"])
    as_s1, as_s0 = (
        clone(model).fit(y, static=STATIC).describe(STATIC.loc[[name]].set_axis(["new"])).predict(history=new)
        for name in ("s1", "s0")
    )
    assert not np.allclose(as_s1, as_s0)


def test_weights_that_nothing_learns_from_are_told():
    with pytest.warns(UserWarning, match="sample_weight: checked and kept, but EnsembleForecaster does not use it"):
        EnsembleForecaster(horizon=4).fit(Y, sample_weight=np.ones(N))


def test_where_nothing_is_trained_a_map_forecasts():
    index = pd.date_range("2024-01-01", periods=400, freq="D", name="day")
    week = np.tile([0.0, 3.0, 1.0, 5.0, 2.0, 8.0, 9.0], 58)[:400]
    y = pd.concat({k: pd.Series(week + k, index, name="y") for k in range(12)}, names=["id", "day"])
    found = LSSLForecaster(horizon=7, max_epochs=0).fit(y)
    assert found.linear_ == "ridge"
    np.testing.assert_allclose(found.predict().loc[3], week[400 % 7 : 400 % 7 + 7] + 3, atol=0.1)


def test_weights_of_other_rows_are_told():
    y = panel()
    with pytest.raises(ValueError, match=r"sample_weight: its index, of 355 rows, differs from that of y, of 360"):
        clone(NETWORKS["mlp"]).fit(y, sample_weight=pd.Series(1.0, y.index).iloc[5:])
