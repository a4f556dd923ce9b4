"""Fitted networks as plain modules: they answer what the estimators answer, from tensors in data units."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone

import tsrec
from tests.interop.conftest import FORECASTERS, answers, awake, last_rows, make_panel, near, run
from tsrec.frames.calendar import calendar_features

EXACT = 1e-5


@pytest.fixture(scope="module", params=FORECASTERS)
def fitted(request, panel):
    return awake(clone(FORECASTERS[request.param]).fit(panel))


def check_equal(forecaster, module, frame, series, **more):
    found = run(module, context=last_rows(frame, module.context), series=np.asarray(series), **more)
    point, quantiles = answers(forecaster, history=frame)
    assert near(found["forecast"], point, EXACT)
    assert near(found["quantiles"], quantiles, EXACT)


def test_a_module_forecasts_as_its_estimator_does(fitted, panel):
    module = tsrec.to_torch(fitted)
    assert module.input_names == ("context", "series")
    assert module.ids == ["a", "b", "c"]
    assert not module.training
    found = run(module, context=last_rows(panel, module.context), series=np.arange(3))
    point, quantiles = answers(fitted)
    assert near(found["forecast"], point, EXACT)
    assert near(found["quantiles"], quantiles, EXACT)


def test_other_and_short_histories_are_measured_as_predict_measures_them(fitted):
    module = tsrec.to_torch(fitted)
    new = make_panel(("x", "b", "y"), 60, seed=1)
    check_equal(fitted, module, new, [-1, 1, -1])
    check_equal(fitted, module, new.groupby(level=0).head(7), [-1, 1, -1])
    # Of these a unit that is not measured would be far too large.
    check_equal(fitted, module, 1e-3 * (new - new.groupby(level=0).transform("mean")), [-1, 1, -1])
    gone = new.copy()
    gone.iloc[50:60, 0] = np.nan
    check_equal(fitted, module, gone, [-1, 1, -1])


def test_a_single_series_needs_no_number():
    y = make_panel(("a",)).droplevel(0)
    forecaster = tsrec.LSSLForecaster(horizon=5, season=12, context=24, max_epochs=0).fit(y)
    module = tsrec.to_torch(forecaster)
    assert module.input_names == ("context",)
    found = run(module, context=y.to_numpy()[None, -24:])
    assert near(found["forecast"][0], forecaster.predict(), EXACT)
    nothing = run(module, context=np.full((1, 24, 2), np.nan))["forecast"]
    assert np.isfinite(nothing).all()


def told(panel, horizon=5):
    """A panel's covariates of every kind, those of X also of the hours ahead."""
    rng = np.random.default_rng(3)
    names = panel.index.unique(0)
    hours = panel.index.unique(1)
    later = pd.date_range(hours[0], periods=len(hours) + horizon, freq="h")
    index = pd.MultiIndex.from_product([names, later], names=panel.index.names)
    X = pd.DataFrame(rng.normal(5, 2, (len(index), 2)), index, ["price", "promo"])
    X.iloc[[90, 117, 230, 240, 360], 0] = np.nan
    past = pd.DataFrame({"rain": rng.normal(size=len(panel))}, panel.index)
    static = pd.DataFrame({"size": [1.0, 4.0, np.nan], "kind": ["shop", "web", "shop"]}, names)
    return X, past, static


@pytest.mark.parametrize("name", ["lssl", "mlp", "tempo"])
def test_covariates_of_all_kinds_are_inputs(name, panel):
    X, past, static = told(panel)
    forecaster = clone(FORECASTERS[name])
    forecaster.set_params(**({"linear": "ridge"} if name == "tempo" else {"features": ("calendar", "id")}))
    y = panel.assign(sales=panel["sales"] + 3 * X.loc[panel.index, "price"].fillna(5))
    known = X.loc[panel.index]
    with pytest.warns(UserWarning, match="static: not everything of 1 series"):
        forecaster.fit(known, y, past=past, static=static)
    awake(forecaster)
    future = X.loc[X.index.difference(panel.index)]
    module = tsrec.to_torch(forecaster)
    assert module.input_names == ("context", "known", "past", "static", "series")
    assert module.static_columns == ["size", "kind = shop", "kind = web"]
    blocks = [last_rows(X, module.context + 5)]
    if name != "tempo":
        ordinals = forecaster.panel_.ordinals()[: len(panel) // 3]
        step = forecaster.panel_.grid.step
        steps = ordinals[-1] + step * np.arange(1 - module.context, 6)
        dates = calendar_features(forecaster.panel_.grid, steps).to_numpy()
        blocks.append(np.broadcast_to(dates, (3, *dates.shape)))
    assert len(module.known_columns) == sum(block.shape[2] for block in blocks)
    given = {
        "context": last_rows(y, module.context),
        "known": np.concatenate(blocks, axis=2),
        "past": last_rows(past, module.context),
        "static": forecaster.static_coding_.encode(static),
        "series": np.arange(3),
    }
    point, quantiles = answers(forecaster, X=future)
    found = run(module, **given)
    assert near(found["forecast"], point, EXACT)
    assert near(found["quantiles"], quantiles, EXACT)
    for changed in ("known", "past", "static"):
        moved = run(module, **{**given, changed: given[changed] + 1})
        assert not np.array_equal(moved["quantiles"], found["quantiles"]), changed


def test_members_of_auto_are_averaged_each_with_its_own_context(monkeypatch, panel):
    members = {
        "LSSL": (clone(FORECASTERS["lssl"]), 1.0),
        "MLP": (clone(FORECASTERS["mlp"]).set_params(context=20), 2.0),
    }
    monkeypatch.setattr("tsrec.estimators.auto.members_for", lambda *_: members)
    forecaster = tsrec.AutoForecaster(horizon=5, season=12, quantiles=(0.1, 0.9), random_state=0).fit(panel)
    module = tsrec.to_torch(forecaster)
    assert module.context == 36
    check_equal(forecaster, module, panel, [0, 1, 2])


def test_a_member_without_a_network_is_named():
    rng = np.random.default_rng(0)
    months = pd.date_range("2020-01-01", periods=40, freq="MS")
    y = pd.DataFrame(rng.gamma(9.0, 1.0, (40, 2)), months)
    forecaster = tsrec.AutoForecaster(horizon=3, random_state=0).fit(y)
    with pytest.raises(TypeError, match="AutoForecaster: its member 'Theta', ThetaForecaster, is no network"):
        tsrec.to_torch(forecaster)


def test_what_is_no_network_is_refused(panel):
    with pytest.raises(TypeError, match="SeasonalNaiveForecaster is no network and has no module"):
        tsrec.to_torch(tsrec.SeasonalNaiveForecaster(horizon=3, season=12).fit(panel))
    with pytest.raises(TypeError, match="found str, no estimator of tsrec"):
        tsrec.to_torch("LSSL")
    sets = tsrec.TEMPOForecaster(horizon=3, context=24, max_epochs=0).fit({"one": panel})
    with pytest.raises(ValueError, match="TEMPOForecaster learned from several sets"):
        tsrec.to_torch(sets)


def test_tensors_that_do_not_fit_are_told(panel):
    module = tsrec.to_torch(clone(FORECASTERS["ridge"]).fit(panel))
    context, series = torch.zeros(2, 36, 2), torch.zeros(2, dtype=torch.int64)
    with pytest.raises(ValueError, match=r"series: missing. Give series \(batch\) int64"):
        module(context)
    with pytest.raises(ValueError, match=r"known: not expected. The module takes context, series"):
        module(context, known=context, series=series)
    with pytest.raises(ValueError, match=r"context: found shape \(2, 35, 2\). Give context \(batch, 36, 2\) float32"):
        module(context[:, 1:], series=series)
    with pytest.raises(ValueError, match="series: found 1 rows, context has 2"):
        module(context, series=series[:1])
    # Answers are of the dtype of the context, and would be whole numbers.
    with pytest.raises(ValueError, match=r"context: found torch.int64. Give numbers of float32 or float64"):
        module(context.long(), series=series)
    with pytest.raises(ValueError, match=r"series: found torch.float32. Give numbers of int64 or int32"):
        module(context, series=series.float())
    with pytest.raises(TypeError, match="context: found ndarray, not a tensor"):
        module(context.numpy(), series=series)
    assert module.example(3)["series"].tolist() == [-1, 0, -1]
    with pytest.raises(ValueError, match="length: found 3, but LSSLForecaster has a context of its own"):
        tsrec.to_torch(clone(FORECASTERS["ridge"]).fit(panel), length=3)


def test_a_module_survives_a_pickle_and_takes_float32(fitted, panel):
    module = tsrec.to_torch(fitted)
    context = last_rows(panel, module.context)
    again = pickle.loads(pickle.dumps(module))
    wanted = run(module, context=context, series=np.arange(3))["forecast"]
    assert np.array_equal(run(again, context=context, series=np.arange(3))["forecast"], wanted)
    single = run(module, context=context.astype(np.float32), series=np.arange(3))["forecast"]
    assert single.dtype == np.float32
    assert near(single, wanted, EXACT)


def test_the_estimator_is_left_as_it_was(panel):
    forecaster = clone(FORECASTERS["structural"]).fit(panel)
    before = set(forecaster.module_.state_dict())
    module = tsrec.to_torch(forecaster)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    assert set(forecaster.module_.state_dict()) == before
    assert any(bool(one.any()) for one in forecaster.module_.parameters())


def collection():
    rng = np.random.default_rng(0)
    series = [rng.normal(size=(n, 2)).cumsum(0) + 30 for n in (40, 33, 25, 40, 12, 38) * 3]
    series[1][5:9, 0] = np.nan
    series[2][:3] = np.nan
    return series, np.array(["no", "yes"] * 9)


def padded(series, length):
    found = np.zeros((len(series), length, series[0].shape[1]))
    for row, one in zip(found, series, strict=True):
        row[: len(one)] = one
    return {"values": found, "lengths": np.array([len(one) for one in series])}


TINY = {"d_model": 4, "n_layers": 1, "max_epochs": 1, "random_state": 0}
SERIES = {
    "lssl": tsrec.LSSLClassifier(d_state=4, features="random", **TINY),
    "lssl, trained": tsrec.LSSLClassifier(d_state=4, features="trained", normalisation="series", **TINY),
    "lssl, numbers": tsrec.LSSLRegressor(d_state=4, features="random", **TINY),
    "lssl, embedding": tsrec.LSSLEncoder(d_state=4, **TINY),
    "tcnca": tsrec.TCNCAClassifier(chunk=8, features="random", normalisation=None, **TINY),
    "tcnca, both ways": tsrec.TCNCAClassifier(chunk=8, features="trained", bidirectional=True, **TINY),
    "tcnca, numbers": tsrec.TCNCARegressor(chunk=8, features="trained", **TINY),
    "tcnca, embedding": tsrec.TCNCAEncoder(chunk=8, **TINY),
    "mamba, both ways": tsrec.MambaClassifier(d_state=4, bidirectional=True, **TINY),
    "mamba, numbers": tsrec.MambaRegressor(d_state=4, **TINY),
    "mamba, embedding": tsrec.MambaEncoder(d_state=4, **TINY),
}


def fit_series(name):
    """A fitted estimator of series, the series, and its answers about them."""
    estimator, (X, labels) = clone(SERIES[name]), collection()
    if "numbers" in name:
        two = np.stack([np.arange(18.0), 100 - np.arange(18.0)], axis=1)
        return estimator.fit(X, two if "tcnca" in name else two[:, 0]), X, estimator.predict(X)
    if "embedding" in name:
        return estimator.fit(X), X, estimator.transform(X)
    return estimator.fit(X, labels), X, estimator.predict_proba(X)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * ("numbers" in name or "embedding" in name)) for name in SERIES],
)
def test_modules_of_series_answer_as_their_estimators_do(name):
    estimator, X, wanted = fit_series(name)
    module = tsrec.to_torch(estimator)
    found = run(module, **padded(X, module.length))[module.output_names[0]]
    assert found.shape == wanted.shape
    assert near(found, wanted, EXACT)
    longer = tsrec.to_torch(estimator, length=64)
    assert near(run(longer, **padded(X, 64))[longer.output_names[0]], wanted, EXACT)


def test_a_length_that_is_none_is_refused():
    estimator, *_ = fit_series("lssl, embedding")
    with pytest.raises(ValueError, match=r"length: found 0. Give a number of steps"):
        tsrec.to_torch(estimator, length=0)


CAP = ["Fp1", "Cz", "O2"]
WAVES = {"width": 16, "n_queries": 1, "n_layers": 1, "sfreq": 160, "max_epochs": 1, "random_state": 0}


def recordings():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(6, 3, 160)).cumsum(2) + 40
    X[1, 0, 20:50] = np.nan
    return X, np.array(["rest", "task"] * 3)


@pytest.mark.parametrize("how", ["zscore", "running", "channel", "shared", "iqr", None])
def test_modules_of_encoders_embed_recordings(how):
    X, _ = recordings()
    encoder = tsrec.LuMambaEncoder(ch_names=CAP, normalisation=how, **WAVES).fit(X)
    module = tsrec.to_torch(encoder, length=160)
    assert module.channels == CAP
    found = run(module, values=X.transpose(0, 2, 1))["embedding"]
    assert near(found, encoder.transform(X), EXACT)


def test_modules_of_classifiers_of_recordings_give_probabilities():
    X, labels = recordings()
    classifier = tsrec.LuMambaClassifier(tsrec.LuMambaEncoder(ch_names=CAP, **WAVES), max_epochs=1, random_state=0)
    classifier.fit(X, labels)
    module = tsrec.to_torch(classifier, length=160)
    assert module.classes == ["rest", "task"]
    found = run(module, values=X.transpose(0, 2, 1))["probabilities"]
    assert near(found, classifier.predict_proba(X), EXACT)
    classifier.encoder_.set_params(notch=50.0)
    with pytest.raises(ValueError, match="notch: the encoder filters whole recordings"):
        tsrec.to_torch(classifier)
