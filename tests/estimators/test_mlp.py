"""MLPForecaster: the recipes it settles on, its members, and what holds while and after it learns."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone

import tsrec
from tsrec import MLPForecaster, SeasonalNaiveForecaster
from tsrec.estimators import _epochs, _torch_forecaster
from tsrec.estimators._recipe import kind_of, recipe_for
from tsrec.layers.ensemble import MeanForecaster
from tsrec.layers.forecast import DirectForecaster
from tsrec.layers.mlp import PointwiseMLP
from tsrec.layers.random import Dropout

BESIDE = MLPForecaster(horizon=6, context=24, d_model=8, linear="ridge", max_epochs=2, n_members=1, random_state=0)
ALONE = clone(BESIDE).set_params(linear=None, loss="owa")
BOTH = {"beside a map": BESIDE, "alone": ALONE}
RECIPE = ("context", "linear", "normalisation", "dropout", "loss", "max_epochs", "n_members", "recent")

both = pytest.mark.parametrize("model", BOTH.values(), ids=BOTH)


def panel(freq="MS", n_series=9, length=48, season=12):
    """Series with a season, a trend and levels of their own."""
    rng = np.random.default_rng(0)
    steps = np.arange(length)
    parts = {}
    for i in range(n_series):
        shape = 10 + np.sin(2 * np.pi * steps / season) + 0.02 * steps + rng.normal(0, 0.1, length)
        parts[f"s{i}"] = pd.Series(10.0 ** rng.uniform(-1, 3) * shape, pd.date_range("2010", periods=length, freq=freq))
    return pd.concat(parts, names=["id", "time"])


@pytest.fixture(scope="module")
def months():
    return panel()


@pytest.fixture(scope="module")
def hours():
    rng = np.random.default_rng(0)
    values = np.tile(np.sin(np.arange(24) / 24 * 2 * np.pi), 15) + rng.normal(0, 0.1, 360)
    return pd.Series(values, pd.date_range("2024", periods=360, freq="h"), name="load")


@pytest.fixture(scope="module")
def pairs(months):
    """Two members each, fitted once."""
    return {name: clone(model).set_params(n_members=2).fit(months) for name, model in BOTH.items()}


def test_a_season_is_learned(months):
    options = {"max_epochs": 15, "n_members": 1, "learning_rate": 0.01, "random_state": 0}
    model = MLPForecaster(horizon=6, d_model=16, **options).fit(months.groupby("id").head(42))
    truth = months.groupby("id").tail(6)
    answer = model.predict()
    assert answer.index.equals(truth.index)
    naive = (truth - months.groupby("id").shift(6)[truth.index]).abs() / truth
    assert ((answer - truth).abs() / truth).mean() < 0.5 * naive.mean()


def test_answers_have_the_form_of_y(hours):
    fitted = clone(BESIDE).fit(hours)
    answer = fitted.predict(8)
    assert answer.shape == (8,)
    assert answer.name == "load"
    assert answer.index.equals(pd.date_range("2024-01-16", periods=8, freq="h"))
    assert isinstance(fitted.module_, DirectForecaster)
    assert isinstance(fitted.module_.branch.mixer, PointwiseMLP)
    # One token as long as the context: all of the window at once.
    assert fitted.patch_ == fitted.context_ == fitted.module_.branch.patch == 24
    assert fitted.transform().shape == (1, 8)


@both
def test_the_seed_decides_every_bit(model, months):
    model = clone(model).set_params(n_members=2, dropout=0.2)
    before = torch.get_rng_state()
    first, second = (clone(model).fit(months).predict_quantiles(9) for _ in range(2))
    pd.testing.assert_frame_equal(first, second, rtol=0, atol=0)
    other = clone(model).set_params(random_state=1).fit(months).predict_quantiles(9)
    assert (first != other).any(axis=None)
    assert torch.get_rng_state().equal(before)


@pytest.mark.parametrize("name", BOTH)
def test_the_forecast_of_two_members_is_their_mean(pairs, months, name):
    fitted = pairs[name]
    assert fitted.n_members_ == 2
    assert isinstance(fitted.module_, MeanForecaster)
    first, second = fitted.module_.members
    assert not torch.equal(first.head.weight, second.head.weight)
    expected = fitted.predict_quantiles()
    try:
        alone = []
        for member in (first, second):
            fitted.module_ = member
            alone.append(fitted.predict_quantiles())
    finally:
        fitted.module_ = MeanForecaster([first, second]).eval()
    assert ((alone[0] - alone[1]).abs() > 1e-6 * expected.abs()).any(axis=None)
    pd.testing.assert_frame_equal((alone[0] + alone[1]) / 2, expected, rtol=1e-5)


def test_members_beside_a_map_share_it(pairs):
    first, second = pairs["beside a map"].module_.members
    assert torch.equal(first.linear, second.linear)
    assert first.linear.abs().sum() > 0
    assert pairs["beside a map"].share_ == pytest.approx((float(first.shrink) + float(second.shrink)) / 2)


def test_members_alone_share_the_spread_that_was_measured(pairs):
    first, second = pairs["alone"].module_.members
    assert torch.equal(first.offsets, second.offsets)
    normal = torch.special.ndtri(first.probabilities).expand_as(first.offsets)
    assert not torch.isclose(first.offsets, normal, atol=0.01).all()


@pytest.mark.parametrize(
    ("name", "phases"), [("beside a map", ["select", "select 2"]), ("alone", ["select", "refit", "refit 2"])]
)
def test_history_tells_the_members_apart(pairs, name, phases):
    assert pairs[name].history_["phase"].unique().tolist() == phases


@pytest.mark.parametrize("name", BOTH)
def test_two_members_are_saved_to_the_last_bit(pairs, name, tmp_path):
    fitted = pairs[name]
    tsrec.save(fitted, tmp_path / "model.tsrec")
    back = tsrec.load(tmp_path / "model.tsrec")
    assert isinstance(back.module_, MeanForecaster)
    pd.testing.assert_frame_equal(back.predict_quantiles(9), fitted.predict_quantiles(9), rtol=0, atol=0)
    pd.testing.assert_frame_equal(back.transform(), fitted.transform(), rtol=0, atol=0)
    pd.testing.assert_frame_equal(back.predict_components(9), fitted.predict_components(9), rtol=0, atol=0)
    assert {f"{key}_": getattr(back, f"{key}_") for key in RECIPE} == {
        f"{key}_": getattr(fitted, f"{key}_") for key in RECIPE
    }


@pytest.mark.parametrize("name", BOTH)
def test_components_of_two_members_sum_to_the_forecast(pairs, name):
    parts = pairs[name].predict_components(9)
    total = parts.T.groupby(level="variable").sum().T.iloc[:, 0]
    np.testing.assert_allclose(total, pairs[name].predict(9), rtol=1e-5)


@pytest.mark.parametrize(
    ("freq", "season", "n_series", "kind"),
    [
        ("h", 24, 3, "sub-daily series"),
        ("h", 24, 10, "sub-daily panel"),
        ("D", 7, 10, "daily panel of short series"),
        ("D", 7, 2, "daily series"),
        ("W-SUN", 52, 10, "weekly panel of short series"),
        ("MS", 12, 10, "monthly panel"),
        ("QE", 4, 10, "quarterly panel"),
        ("YS", 1, 10, "yearly panel"),
    ],
)
def test_auto_becomes_the_recipe_of_the_kind_of_data(freq, season, n_series, kind):
    length = {"W-SUN": 130, "YS": 30}.get(freq, 48)
    fitted = MLPForecaster(horizon=4, d_model=4, random_state=0).fit(panel(freq, n_series, length, season))
    recipe = recipe_for(kind_of(fitted.panel_, fitted.season_), fitted.panel_, fitted.season_, 4)
    assert fitted.recipe_ == kind_of(fitted.panel_, fitted.season_).name == kind
    assert fitted.season_ == season
    for name in RECIPE:
        assert getattr(fitted, f"{name}_") == getattr(recipe, name), name
        assert getattr(fitted, name) == "auto"
    assert len(getattr(fitted.module_, "members", [fitted.module_])) == recipe.n_members
    assert np.isfinite(fitted.predict()).all()


def test_explicit_parameters_win_over_the_recipe(months):
    given = {
        "context": 9,
        "linear": "learned",
        "normalisation": "mean",
        "dropout": 0.25,
        "loss": "huber",
        "max_epochs": 1,
        "n_members": 1,
        "recent": 7,
    }
    fitted = MLPForecaster(horizon=6, d_model=4, random_state=0, **given).fit(months)
    assert set(given) == set(RECIPE)
    assert {name: getattr(fitted, f"{name}_") for name in given} == given
    module = fitted.module_
    assert (module.context, module.normalisation, module.loss) == (9, "mean", "huber")
    assert {layer.p for layer in module.modules() if isinstance(layer, Dropout)} == {0.25}
    assert isinstance(module.linear, torch.nn.Parameter)
    assert fitted.history_["epoch"].max() == 1


def test_none_is_a_choice_of_its_own(months):
    fitted = clone(BESIDE).set_params(linear=None, recent=None).fit(months)
    assert fitted.linear_ is None
    assert fitted.recent_ is None
    assert fitted.module_.linear is None


def test_no_context_is_longer_than_the_longest_series(months):
    assert clone(BESIDE).set_params(context=500).fit(months).context_ == 48


def test_recent_is_the_number_of_windows_of_each_series(months, monkeypatch):
    tables, real = [], _torch_forecaster.window_table
    monkeypatch.setattr(_torch_forecaster, "window_table", lambda *a, **k: tables.append(real(*a, **k)) or tables[-1])
    for recent in (5, None):
        clone(ALONE).set_params(recent=recent).fit(months)
    few, all_of_them = (table.series.bincount().tolist() for table in tables)
    assert few == [5] * 9
    assert min(all_of_them) > 20


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"linear": "x"}, "linear='x' is not known"),
        ({"loss": "x"}, "loss='x' is not known"),
        ({"loss": None}, "loss=None is not known"),
        ({"normalisation": "x"}, "normalisation='x' is not known"),
        ({"dropout": 1.5}, r"dropout: found 1\.5"),
        ({"dropout": "x"}, "dropout: found 'x'"),
        ({"n_members": 0}, "n_members: found 0"),
        ({"n_members": 1.5}, r"n_members: found 1\.5"),
        ({"n_members": None}, "n_members: found None"),
        ({"recent": 0}, "recent: found 0"),
        ({"recent": "x"}, "recent: found 'x'"),
        ({"d_model": 0}, "d_model: found 0"),
        ({"n_layers": 0}, "n_layers: found 0"),
        ({"learning_rate": 0.0}, r"learning_rate: found 0\.0"),
        ({"context": 0}, "context: found 0"),
        ({"max_epochs": -1}, "max_epochs: found -1"),
    ],
)
def test_wrong_parameters_are_named(months, change, message):
    with pytest.raises(ValueError, match=message):
        clone(ALONE).set_params(**change).fit(months)


def spoiled(y):
    """Zeros, holes, a series of zeros, one of nothing, one below zero, and two very short ones."""
    y = y.copy()
    y.loc["s0"] = 0.0
    y.loc["s1"] = np.nan
    y.loc["s2"] = -y.loc["s2"].to_numpy()
    y[(np.arange(len(y)) % 7 == 3).tolist()] = 0.0
    y[(np.arange(len(y)) % 11 == 5).tolist()] = np.nan
    time = y.index.get_level_values("time")
    late = y.index.get_level_values("id").isin(["s3", "s4"]) & (time < time.max() - pd.Timedelta(days=60))
    return y[~late]


@pytest.mark.parametrize("linear", ["ridge", "learned", None])
@pytest.mark.parametrize("loss", ["owa", "smape", "mase"])
def test_weighted_losses_give_finite_forecasts(months, loss, linear):
    model = clone(BESIDE).set_params(loss=loss, linear=linear)
    for y in (months, spoiled(months)):
        fitted = clone(model).fit(y)
        assert fitted.loss_ == loss
        assert fitted.module_.loss == "absolute"
        assert np.isfinite(fitted.history_["loss"]).all()
        assert np.isfinite(fitted.predict_quantiles(9)).all(axis=None)
    assert fitted.predict().loc["s0"].abs().max() < 1e-3


@pytest.mark.parametrize("loss", ["owa", "smape", "mase"])
def test_the_unit_of_a_series_does_not_matter_to_weighted_losses(months, loss):
    model = clone(ALONE).set_params(loss=loss, learning_rate=0.02)
    answers = []
    for unit in (1.0, 1024.0):
        y = months.copy()
        y.loc["s3"] = y.loc["s3"].to_numpy() * unit
        answer = clone(model).fit(y).predict()
        answers.append(answer / y.groupby("id").std()[answer.index.get_level_values("id")].to_numpy())
    pd.testing.assert_series_equal(*answers, atol=1e-4, rtol=0)


def interrupted_at(monkeypatch, number, *, at_once):
    """Ctrl-C in the training with this number: before its first epoch, or after it."""
    calls, real = [], _epochs.train

    def train(*args, on_epoch_end, **options):
        calls.append(len(calls) + 1)

        def stop(state):
            on_epoch_end(state)
            raise KeyboardInterrupt

        if calls[-1] == number and at_once:
            raise KeyboardInterrupt
        return real(*args, on_epoch_end=stop if calls[-1] == number else on_epoch_end, **options)

    monkeypatch.setattr(_epochs, "train", train)


@pytest.mark.parametrize("at_once", [True, False], ids=["before an epoch", "after an epoch"])
@pytest.mark.parametrize(
    ("name", "number", "members"),
    [("beside a map", 1, 1), ("beside a map", 2, 1), ("alone", 1, 1), ("alone", 2, 1), ("alone", 3, 1)],
)
def test_interruption_leaves_the_members_there_are(months, monkeypatch, tmp_path, name, number, members, at_once):
    stopped = clone(BOTH[name]).set_params(n_members=2)
    with monkeypatch.context() as patch:
        interrupted_at(patch, number, at_once=at_once)
        with pytest.raises(KeyboardInterrupt):
            stopped.fit(months)
    assert stopped.n_members_ == members == len(getattr(stopped.module_, "members", [stopped.module_]))
    assert not any(module.training for module in stopped.module_.modules())
    assert 0 <= getattr(stopped, "share_", 0.0) <= 1
    answer = stopped.predict_quantiles(9)
    assert np.isfinite(answer).all(axis=None)
    tsrec.save(stopped, tmp_path / "model.tsrec")
    pd.testing.assert_frame_equal(tsrec.load(tmp_path / "model.tsrec").predict_quantiles(9), answer, rtol=0, atol=0)
    assert ("epoch" in stopped.history_.columns) == (number > 1 or not at_once)


@pytest.mark.parametrize(("name", "number"), [("alone", 3), ("beside a map", 2)])
def test_a_second_member_that_was_stopped_leaves_the_first_as_it_would_be_alone(months, monkeypatch, name, number):
    stopped = clone(BOTH[name]).set_params(n_members=2)
    with monkeypatch.context() as patch:
        interrupted_at(patch, number, at_once=False)
        with pytest.raises(KeyboardInterrupt):
            stopped.fit(months)
    alone = clone(BOTH[name]).set_params(n_members=1).fit(months)
    assert getattr(stopped, "share_", None) == getattr(alone, "share_", None)
    assert stopped.n_epochs_ == alone.n_epochs_
    pd.testing.assert_frame_equal(stopped.predict_quantiles(), alone.predict_quantiles(), rtol=0, atol=0)


@pytest.mark.parametrize(("epochs", "rows"), [(0, 48), (2, 4)], ids=["no epochs", "too few rows"])
@both
def test_where_nothing_can_be_held_out_networks_are_trained_on_all_rows(model, months, epochs, rows, tmp_path):
    fitted = clone(model).set_params(n_members=2, max_epochs=epochs).fit(months.loc["s5"].iloc[:rows])
    trained = model.linear is None and epochs > 0
    assert fitted.n_members_ == 1 + trained
    assert isinstance(fitted.module_, DirectForecaster) != trained
    tsrec.save(fitted, tmp_path / "model.tsrec")
    pd.testing.assert_series_equal(tsrec.load(tmp_path / "model.tsrec").predict(), fitted.predict(), rtol=0, atol=0)


def test_series_of_which_nothing_is_known_are_refused_by_name():
    index = pd.date_range("2024-01-01", periods=80, freq="h")
    y = pd.Series(np.sin(np.arange(80.0)), index)
    panel = pd.concat({"one": y, "two": y + 1}, names=["name", "time"])
    model = MLPForecaster(horizon=3, context=12, season=12, max_epochs=0).fit(panel)
    unknown = pd.concat({"one": y * np.nan, "new": y * np.nan}, names=["name", "time"])
    with pytest.raises(ValueError, match=r"history: 1 series that fit has not seen hold no observed value.*'new'"):
        model.predict(history=unknown)
    # Of a series that was fitted the level is known.
    assert np.isfinite(model.predict(history=unknown.loc[["one"]])).all()


def test_rows_of_past_covariates_are_counted():
    y = pd.Series(np.sin(np.arange(80.0)), pd.date_range("2024-01-01", periods=80, freq="h"))
    past = pd.DataFrame({"a": y})
    with pytest.warns(UserWarning, match=r"past: .*Columns whose future is known belong in X"):
        SeasonalNaiveForecaster(horizon=3).fit(y.iloc[:60], past=past.iloc[:60])
    model = MLPForecaster(horizon=3, context=12, season=12, max_epochs=0).fit(y.iloc[:60], past=past.iloc[:60])
    with pytest.raises(ValueError, match="past: it has no column 'a'"):
        model.update(y.iloc[60:62], past=past.rename(columns={"a": "b"}).iloc[60:62])
    model = MLPForecaster(horizon=3, context=12, season=12, max_epochs=0).fit(y.iloc[:60])
    with pytest.raises(ValueError, match="past: found 1 columns, fit was given none"):
        model.update(y.iloc[60:62], past=past.iloc[60:62])


def test_cutoffs_name_their_own_arguments():
    y = pd.Series(np.sin(np.arange(80.0)), pd.date_range("2024-01-01", periods=80, freq="h"))
    model = MLPForecaster(horizon=3, context=12, season=12, max_epochs=0).fit(y.to_frame("x"), y)
    with pytest.raises(ValueError, match=r"^X: missing"):
        model.predict_cutoffs(y, np.array([[0, 40]]))
