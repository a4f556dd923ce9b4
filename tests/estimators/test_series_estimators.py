"""Classifiers, regressors and encoders of collections: every form of X, weights, units, rates, saving."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import _NotAnArray

import tsrec
from tsrec import (
    LSSLClassifier,
    LSSLEncoder,
    LSSLRegressor,
    MambaClassifier,
    MambaEncoder,
    MambaRegressor,
    TCNCAClassifier,
    TCNCAEncoder,
    TCNCARegressor,
)

SMALL = {"d_model": 8, "d_state": 4, "n_layers": 1, "max_epochs": 1, "random_state": 0}
CHUNKED = {"d_model": 8, "chunk": 8, "n_layers": 1, "max_epochs": 1, "random_state": 0}
CLASSIFIERS = {
    "random": LSSLClassifier(random_state=0, d_state=4),
    "trained": LSSLClassifier(features="trained", **SMALL),
}
REGRESSORS = {"random": LSSLRegressor(random_state=0, d_state=4), "trained": LSSLRegressor(features="trained", **SMALL)}
ALL = {
    **{f"classifier {k}": v for k, v in CLASSIFIERS.items()},
    **{f"regressor {k}": v for k, v in REGRESSORS.items()},
    "encoder": LSSLEncoder(**SMALL),
    "TCNCA classifier random": TCNCAClassifier(random_state=0),
    "TCNCA regressor trained": TCNCARegressor(features="trained", bidirectional=True, **CHUNKED),
    "TCNCA encoder": TCNCAEncoder(**CHUNKED),
    "Mamba classifier random": MambaClassifier(random_state=0, d_state=4),
    "Mamba regressor trained": MambaRegressor(features="trained", bidirectional=True, merge="multiply", **SMALL),
    "Mamba encoder": MambaEncoder(**SMALL),
}
NAMES = [f"s{i:02}" for i in range(12)]
y = np.array(["low", "high"] * 6)
value = np.where(y == "low", 1.0, 2.0) + np.arange(12) / 100

# Beside LSSL the others are the same classes around another module.
every = pytest.mark.parametrize(
    "estimator",
    [
        pytest.param(one, id=name, marks=[pytest.mark.slow] * name.startswith(("TCNCA", "Mamba")))
        for name, one in ALL.items()
    ],
)
both_classifiers = pytest.mark.parametrize("classifier", CLASSIFIERS.values(), ids=CLASSIFIERS)


def series(number, channels=2, seed=0):
    rng = np.random.default_rng([seed, number])
    length = 30 + 3 * (number % 5)
    waves = np.sin(np.arange(length)[:, None] / (1.5 if number % 2 else 4.0) + np.arange(channels))
    return waves + 0.1 * rng.normal(size=(length, channels))


LIST = [series(i) for i in range(12)]
FRAMES = {
    name: pd.DataFrame(x, columns=["u", "v"], index=pd.date_range("2024", periods=len(x), freq="h", name="t"))
    for name, x in zip(NAMES, LIST, strict=True)
}
PANEL = pd.concat(FRAMES, names=["who", "t"])
TABLE = np.stack([series(i, 1)[:30, 0] for i in range(12)])


def answer(estimator, X, **kwargs):
    method = "predict_proba" if hasattr(estimator, "predict_proba") else "predict"
    return getattr(estimator, "transform" if hasattr(estimator, "transform") else method)(X, **kwargs)


def fitted(estimator, X=LIST):
    return clone(estimator).fit(X, value if is_regressor(estimator) else y)


@every
def test_every_form_of_the_same_series_gives_the_same_answers(estimator):
    model = fitted(estimator)
    wanted = answer(model, LIST)
    frames = [frame.reset_index(drop=True) for frame in FRAMES.values()]
    for form in (frames, tuple(LIST), FRAMES, PANEL, PANEL.swaplevel().sort_index().swaplevel()):
        np.testing.assert_array_equal(np.asarray(answer(model, form)), wanted)
    array = np.stack([x[:30].T for x in LIST])
    np.testing.assert_array_equal(answer(model, array), answer(model, [x[:30] for x in LIST]))


@every
def test_answers_bear_the_names_of_the_series(estimator):
    model = fitted(estimator, PANEL)
    for X in (PANEL, FRAMES):
        assert list(answer(model, X).index) == NAMES
    assert answer(model, PANEL).index.name == "who"
    assert isinstance(answer(model, LIST), np.ndarray)


@every
def test_an_answer_does_not_depend_on_neighbours_or_order(estimator):
    model = fitted(estimator)
    whole = answer(model, LIST)
    np.testing.assert_array_equal(np.concatenate([answer(model, [x]) for x in LIST]), whole)
    np.testing.assert_array_equal(answer(model, LIST[::-1])[::-1], whole)


@every
@pytest.mark.filterwarnings("ignore:X. 1 of .* have no observed value")
def test_missing_values_and_empty_series_give_finite_answers(estimator):
    holes = [x.copy() for x in LIST]
    holes[0][3:9, 0] = np.nan
    holes[1][:] = np.nan
    holes[2][0] = np.nan
    assert np.isfinite(answer(fitted(estimator, holes), holes)).all()
    assert np.isfinite(answer(fitted(estimator), holes)).all()
    changed = [x.copy() for x in LIST]
    changed[0][3:9, 0] = changed[0][2, 0]
    if "trained" not in str(estimator) and not hasattr(estimator, "transform"):
        # A hole is taken for the last value seen.
        model = fitted(estimator)
        np.testing.assert_allclose(answer(model, holes[:1]), answer(model, changed[:1]), rtol=1e-6)


@every
def test_constant_and_huge_series_give_finite_answers(estimator):
    flat = [np.full((20, 2), float(i)) for i in range(12)]
    assert np.isfinite(answer(fitted(estimator, flat), flat)).all()
    huge = [1e30 * x + 1e25 for x in LIST]
    assert np.isfinite(answer(fitted(estimator, huge), huge)).all()
    same = [np.ones((20, 1))] * 12
    assert np.isfinite(answer(fitted(estimator, same), same)).all()


@every
def test_a_fill_value_gives_a_finite_answer(estimator):
    spoiled = [x.copy() for x in LIST]
    spoiled[0][3] = 1e20
    spoiled[1][5] = -1e300
    for normalisation in ("channel", "series", None):
        model = fitted(clone(estimator).set_params(normalisation=normalisation))
        assert np.isfinite(answer(model, spoiled)).all()
    assert np.isfinite(answer(fitted(model, [1e25 * x for x in LIST]), LIST)).all()


@every
def test_series_of_one_step_are_answered(estimator):
    short = [x[: 1 + i % 3] for i, x in enumerate(LIST)]
    assert np.isfinite(answer(fitted(estimator, short), [LIST[0][:1]])).all()


@every
def test_saved_and_pickled_estimators_answer_the_same(estimator, tmp_path):
    model = fitted(estimator, PANEL)
    wanted = answer(model, PANEL)
    tsrec.save(model, tmp_path / "model.tsrec")
    for twin in (tsrec.load(tmp_path / "model.tsrec"), pickle.loads(pickle.dumps(model))):
        pd.testing.assert_frame_equal(pd.DataFrame(answer(twin, PANEL)), pd.DataFrame(wanted))
        assert twin.get_params() == model.get_params()


@every
def test_fits_with_one_seed_are_equal_and_leave_the_global_state_alone(estimator):
    import torch

    before = torch.random.get_rng_state()
    np.testing.assert_array_equal(answer(fitted(estimator), LIST), answer(fitted(estimator), LIST))
    assert torch.equal(torch.random.get_rng_state(), before)
    other = clone(estimator).set_params(random_state=1)
    assert not np.array_equal(answer(fitted(other), LIST), answer(fitted(estimator), LIST))


@every
def test_a_second_fit_forgets_the_first(estimator):
    again = fitted(estimator, TABLE)
    again.fit(LIST, value if is_regressor(estimator) else y)
    np.testing.assert_array_equal(answer(again, LIST), answer(fitted(estimator), LIST))
    assert set(vars(again)) == set(vars(fitted(estimator)))


@every
def test_a_refused_fit_leaves_the_earlier_one(estimator):
    model = fitted(estimator)
    wanted = answer(model, LIST)
    for X, target in ((LIST, value[:-1]), (np.full((12, 5), np.inf), value)):
        if not hasattr(estimator, "transform") or X is not LIST:
            with pytest.raises(ValueError, match=r"y: |infinity"):
                model.fit(X, target)
    for params in ({"random_state": "x"}, {"device": "cuda:99"}):
        with pytest.raises((ValueError, RuntimeError)):
            model.set_params(**params).fit(LIST, value if is_regressor(estimator) else y)
        model.set_params(**{name: estimator.get_params()[name] for name in params})
    np.testing.assert_array_equal(answer(model, LIST), wanted)


@pytest.mark.parametrize("estimator", [CLASSIFIERS["random"], REGRESSORS["random"]])
def test_what_was_interrupted_has_nothing_to_say(estimator, monkeypatch):
    from tsrec.estimators import _supervised

    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(_supervised, "fit_ridge_head", interrupt)
    model = clone(estimator)
    with pytest.raises(KeyboardInterrupt):
        model.fit(LIST, value if is_regressor(estimator) else y)
    with pytest.raises(NotFittedError):
        model.predict(LIST)


def test_a_class_without_weight_leaves_no_trace():
    rng = np.random.default_rng(3)
    longer = [*LIST, rng.normal(size=(400, 2))]
    label = np.array([*y, "other"])
    model = LSSLClassifier(d_state=4, random_state=0)
    by_class = clone(model).set_params(class_weight={"low": 1, "high": 1, "other": 0}).fit(longer, label)
    by_weight = clone(model).fit(longer, label, np.r_[np.ones(12), 0])
    assert by_class.length_ == by_weight.length_ == max(map(len, LIST))
    np.testing.assert_allclose(by_class.predict_proba(LIST), by_weight.predict_proba(LIST), rtol=1e-6)


def test_parameters_changed_after_fit_change_no_answer_and_are_not_saved(tmp_path):
    model = fitted(CLASSIFIERS["random"])
    wanted = answer(model, LIST)
    np.testing.assert_array_equal(answer(model.set_params(normalisation="series"), LIST), wanted)
    with pytest.raises(ValueError, match="parameters were changed after fit"):
        tsrec.save(model.set_params(d_state=7), tmp_path / "model.tsrec")
    assert not list(tmp_path.iterdir())


def test_targets_of_any_size_are_learned():
    for size in (1e200, 1e-200):
        model = clone(REGRESSORS["random"]).fit(LIST, size * value)
        np.testing.assert_allclose(model.predict(LIST) / size, fitted(REGRESSORS["random"]).predict(LIST), rtol=1e-6)


@both_classifiers
def test_missing_labels_and_classes_without_weight_are_refused(classifier):
    for missing in (None, np.nan):
        label = np.array([missing, *y[1:]], dtype=object)
        with pytest.raises(ValueError, match="1 labels are missing, the first is that of 0"):
            clone(classifier).fit(LIST, label)
        with pytest.raises(ValueError, match="1 labels are missing, the first is that of 's00'"):
            clone(classifier).fit(PANEL, pd.Series(label, NAMES)[::-1])
    for bad in ({"low": -1, "high": 1}, {"low": np.nan, "high": 1}):
        with pytest.raises(ValueError, match=r"class_weight.*(negative|NaN)"):
            clone(classifier).set_params(class_weight=bad).fit(LIST, y)
    with pytest.raises(ValueError, match="y: it has one class"):
        clone(classifier).set_params(class_weight={"low": 0, "high": 1}).fit(LIST, y)


@every
def test_what_does_not_fit_is_refused_by_name(estimator):
    model = fitted(estimator)
    with pytest.raises(ValueError, match=r"has 1 channels, but .* is expecting 2 channels"):
        answer(model, [x[:, :1] for x in LIST])
    named = fitted(estimator, PANEL)
    with pytest.raises(ValueError, match=r"X: its columns differ .* in another order or number: .'v', 'u'."):
        answer(named, PANEL[["v", "u"]])
    with pytest.raises(ValueError, match=r"X: its columns differ .* lacks .'v'. and has also .'w'."):
        answer(named, PANEL.rename(columns={"v": "w"}))
    numbered = fitted(estimator, PANEL.set_axis([5, 7], axis=1))
    with pytest.raises(ValueError, match=r"X: its columns differ .* in another order or number: .7, 5."):
        answer(numbered, PANEL.set_axis([5, 7], axis=1)[[7, 5]])
    with pytest.raises(ValueError, match="X: its rows are lists of different lengths"):
        fitted(estimator, [x[:, 0].tolist() for x in LIST])
    for text in (str, object):
        long = PANEL.reset_index().astype({"who": text})
        with pytest.raises(TypeError, match=r"X: column 'who' holds .* use tsrec.frames.from_long"):
            fitted(estimator, long)
    with pytest.raises(ValueError, match="one recording"):
        answer(model, FRAMES["s00"])
    with pytest.raises(ValueError, match="Columns of a table are time steps"):
        answer(fitted(estimator, TABLE), TABLE[:, :20])
    for rate in (0, -1, np.inf, "2"):
        with pytest.raises(ValueError, match="rate: found"):
            answer(model, LIST, rate=rate)
    for name, bad in {"normalisation": "row", "d_model": 0, "learning_rate": 0, "dropout": 1, "max_epochs": -1}.items():
        with pytest.raises(ValueError, match=f"{name}: found"):
            fitted(clone(estimator).set_params(**{name: bad}))


@pytest.mark.parametrize("estimator", [*CLASSIFIERS.values(), *REGRESSORS.values()])
def test_a_target_is_aligned_by_name_and_must_be_complete(estimator):
    target = pd.Series(value if is_regressor(estimator) else y, NAMES)
    wanted = answer(clone(estimator).fit(PANEL, target), PANEL)
    shuffled = target.sample(frac=1, random_state=0)
    np.testing.assert_array_equal(answer(clone(estimator).fit(PANEL, shuffled), PANEL), wanted)
    model = clone(estimator).fit(PANEL, target)
    assert model.score(PANEL, shuffled) == model.score(PANEL, target)
    weight = pd.Series(np.arange(12.0), NAMES)
    weighted = clone(estimator).fit(PANEL, target, weight)
    np.testing.assert_array_equal(
        answer(clone(estimator).fit(PANEL, shuffled, weight[::-1]), PANEL), answer(weighted, PANEL)
    )
    assert not np.array_equal(answer(weighted, PANEL), wanted)
    for same in (weight.tolist(), _NotAnArray(weight.to_numpy())):
        np.testing.assert_array_equal(answer(clone(estimator).fit(PANEL, target, same), PANEL), answer(weighted, PANEL))
    turned = pd.Series(target.to_numpy()[[1, 0, *range(2, 12)]], NAMES)
    assert weighted.score(PANEL, turned, weight[::-1]) == weighted.score(PANEL, turned, weight.to_numpy())
    measure = r2_score if is_regressor(estimator) else accuracy_score
    by_hand = measure(turned, weighted.predict(PANEL), sample_weight=weight)
    assert weighted.score(PANEL, turned, weight) == pytest.approx(by_hand)
    assert weighted.score(PANEL, turned) != pytest.approx(by_hand)
    with pytest.raises(ValueError, match="sample_weight: its index lacks"):
        clone(estimator).fit(PANEL, target, weight.rename(str.upper))
    with pytest.raises(ValueError, match="y: its index lacks"):
        model.score(PANEL, target.rename(str.upper))
    for bad in (target[:-1], target.rename({"s03": "x"})):
        with pytest.raises(ValueError, match="y: "):
            clone(estimator).fit(PANEL, bad)
    with pytest.raises(ValueError, match="features: found"):
        clone(estimator).set_params(features="deep").fit(LIST, target.to_numpy())


@both_classifiers
def test_probabilities_sum_to_one_and_lead_to_the_class(classifier):
    model = clone(classifier).set_params(max_epochs=150, learning_rate=0.02).fit(PANEL, y)
    found = model.predict_proba(PANEL)
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    assert list(found.columns) == ["high", "low"] == model.classes_.tolist()
    assert (found.idxmax(axis=1) == model.predict(PANEL)).all()
    assert model.score(PANEL, y) == 1.0


def test_probabilities_of_random_features_hold_what_they_promise():
    rng = np.random.default_rng(0)
    shift = rng.normal(size=400)
    X = shift[:, None] + np.sin(np.arange(20)) + 0.05 * rng.normal(size=(400, 20))
    label = (rng.random(400) < 1 / (1 + np.exp(-2 * shift))).astype(int)
    model = LSSLClassifier(normalisation=None, random_state=0).fit(X[:200], label[:200])
    p = model.predict_proba(X[200:])[:, 1]
    loss = -np.log(np.where(label[200:] == 1, p, 1 - p)).mean()
    truth = 1 / (1 + np.exp(-2 * shift[200:]))
    best = -np.log(np.where(label[200:] == 1, truth, 1 - truth)).mean()
    assert loss < best + 0.15
    # A few clear series do not make anyone certain.
    assert LSSLClassifier(random_state=0).fit(LIST, y).predict_proba(LIST).max() < 1 - 1e-4


@both_classifiers
def test_weights_of_classes_and_series_count(classifier):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(60, 15))
    label = np.array([0] * 50 + [1] * 10)
    plain, balanced = (
        clone(classifier).set_params(class_weight=w, max_epochs=40).fit(X, label) for w in (None, "balanced")
    )
    fresh = rng.normal(size=(100, 15))
    assert balanced.predict_proba(fresh)[:, 1].mean() > plain.predict_proba(fresh)[:, 1].mean() + 0.1
    by_hand = clone(classifier).set_params(max_epochs=40).fit(X, label, np.where(label, 60 / 20, 60 / 100))
    np.testing.assert_allclose(by_hand.predict_proba(fresh), balanced.predict_proba(fresh), rtol=1e-6)
    for bad, found in (
        (np.zeros(60), "zeros only"),
        (np.full(60, -1.0), "a negative weight"),
        (np.ones((60, 2)), "shape"),
    ):
        with pytest.raises(ValueError, match=f"sample_weight: found {found}"):
            clone(classifier).fit(X, label, bad)


def test_a_regressor_refuses_what_are_no_numbers():
    for bad in (y, np.where(value > 2, np.nan, value)):
        with pytest.raises(ValueError, match=r"y: .* classes are for LSSLClassifier"):
            clone(REGRESSORS["random"]).fit(LIST, bad)
    table = pd.DataFrame(TABLE, NAMES)
    with pytest.raises(ValueError, match="names in X in another order"):
        clone(REGRESSORS["random"]).fit(table, pd.Series(value, NAMES)[::-1])
    model = clone(REGRESSORS["random"]).fit(table, pd.Series(value, NAMES))
    with pytest.raises(ValueError, match="names in X in another order"):
        model.score(table, pd.Series(value, NAMES)[::-1])


def test_a_regressor_takes_many_targets_and_names_them():
    table = pd.DataFrame({"a": value, "b": -10 * value}, NAMES)
    for regressor in REGRESSORS.values():
        model = clone(regressor).set_params(max_epochs=60, learning_rate=0.02).fit(PANEL, table)
        found = model.predict(PANEL)
        assert list(found.columns) == ["a", "b"]
        assert model.score(PANEL, table) > 0.8
        assert clone(regressor).fit(LIST, value).predict(LIST).shape == (12,)
        assert clone(regressor).fit(LIST, table.to_numpy()).predict(LIST).shape == (12, 2)
        assert clone(regressor).fit(LIST, table[["a"]].to_numpy()).predict(LIST).shape == (12, 1)
        with pytest.raises(ValueError, match="dim 3"):
            clone(regressor).fit(LIST, np.zeros((12, 1, 1)))


@both_classifiers
def test_another_length_of_the_same_process_is_understood(classifier):
    model = clone(classifier).set_params(max_epochs=150, learning_rate=0.02).fit([series(i, 1) for i in range(12)], y)
    longer = [np.sin(np.arange(90)[:, None] / pace) for pace in (4.0, 1.5)]
    assert model.predict(longer).tolist() == ["low", "high"]


@every
def test_units_make_scale_and_level_of_a_channel_irrelevant(estimator):
    scaled = [x * [1e4, 1e-3] + [50.0, -7.0] for x in LIST]
    np.testing.assert_allclose(
        answer(fitted(estimator, scaled), scaled), answer(fitted(estimator), LIST), rtol=2e-3, atol=2e-3
    )
    own = clone(estimator).set_params(normalisation="series")
    shifted = [x * (1 + i) - 3 * i for i, x in enumerate(LIST)]
    np.testing.assert_allclose(answer(fitted(own, shifted), shifted), answer(fitted(own), LIST), rtol=2e-3, atol=2e-3)


def test_the_encoder_learns_to_continue_series_and_embeds_steps():
    for crop in (None, 0, 1, 1.5, "auto"):
        with pytest.raises(ValueError, match="crop: found"):
            LSSLEncoder(crop=crop).fit(LIST)
    encoder = LSSLEncoder(d_model=16, d_state=8, n_layers=1, max_epochs=60, random_state=0).fit(PANEL)
    assert encoder.history_["next_loss"].iloc[-1] < 0.5 * encoder.history_["next_loss"].iloc[0]
    assert {"next_loss", "masked_loss"} <= set(encoder.history_)
    steps = encoder.transform_steps(PANEL)
    assert steps.index.equals(PANEL.index)
    one = steps.loc["s03"].to_numpy(dtype=float)
    pooled = encoder.transform(PANEL).loc["s03"].to_numpy()
    np.testing.assert_allclose(pooled, np.r_[one.mean(0), one.max(0), one[-1]], rtol=1e-5, atol=1e-6)
    names = encoder.get_feature_names_out()
    assert len(names) == 48
    assert list(encoder.transform(PANEL).columns) == list(names)
    assert encoder.transform_steps(LIST).index.names == [None, "step"]


def test_pipelines_and_searches_take_lists_and_arrays():
    pipe = make_pipeline(LSSLEncoder(**{**SMALL, "max_epochs": 3}), StandardScaler(), LogisticRegression())
    for X in (LIST, TABLE, np.stack([x[:30].T for x in LIST])):
        assert np.isfinite(cross_val_score(pipe, X, y, cv=3)).all()
    search = GridSearchCV(LSSLClassifier(random_state=0), {"d_state": [4, 8]}, cv=2).fit(TABLE, y)
    assert search.best_score_ > 0.8


@pytest.mark.slow
def test_a_search_runs_in_two_processes():
    search = GridSearchCV(LSSLClassifier(random_state=0), {"d_state": [4, 8]}, cv=2, n_jobs=2).fit(LIST, y)
    assert search.best_score_ > 0.8


def test_interruption_keeps_what_was_learned_and_is_passed_on(monkeypatch):
    from tsrec.estimators import _epochs

    def interrupt(self, state):
        raise KeyboardInterrupt

    monkeypatch.setattr(_epochs.Progress, "__call__", interrupt)
    model = clone(CLASSIFIERS["trained"])
    with pytest.raises(KeyboardInterrupt):
        model.fit(LIST, y)
    assert model.n_epochs_ == 1
    assert np.isfinite(model.predict_proba(LIST)).all()


def test_callbacks_see_the_epochs(epoch_counter):
    counter = epoch_counter(most=2)
    model = clone(CLASSIFIERS["trained"]).set_params(max_epochs=5)
    model.set_callbacks(counter)
    model.fit(LIST, y)
    assert counter.seen == model.n_epochs_ == len(model.history_) == 2


def test_an_encoder_in_a_pipeline_refuses_labels_in_another_order():
    pipe = make_pipeline(LSSLEncoder(**SMALL), StandardScaler(), LogisticRegression())
    named = pd.Series(y, NAMES)
    for X in (PANEL, FRAMES):
        pipe.fit(X, named)
        with pytest.raises(ValueError, match="y: its index holds the names in X in another order"):
            pipe.fit(X, named[::-1])
    # What does not name the series goes by position, as everywhere in scikit-learn.
    pipe.fit(PANEL, y)
    pipe.fit(PANEL, pd.Series(y))
    pipe.fit(LIST, named[::-1])


def test_a_table_of_another_width_is_told_of_rates_only_where_there_are_some():
    for family, told in ((LSSLClassifier, True), (TCNCAClassifier, False)):
        model = family(random_state=0).fit(TABLE, y)
        with pytest.raises(ValueError, match="Columns of a table are time steps") as refused:
            model.predict(TABLE[:, :20])
        assert ("rate=" in str(refused.value)) is told
