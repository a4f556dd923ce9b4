"""Mamba's estimators: what their modules look like, what they see, what they refuse."""

import numpy as np
import pandas as pd
import pytest
import torch

import tsrec
from tsrec import LSSLForecaster, MambaClassifier, MambaEncoder, MambaForecaster, MambaRegressor
from tsrec.layers.mamba import BiMamba, Mamba
from tsrec.layers.selective_bank import SelectiveBank

HOURS = pd.Series(
    np.tile(np.sin(np.arange(24) / 24 * 2 * np.pi), 30) + np.random.default_rng(0).normal(size=720) / 10,
    pd.date_range("2024", periods=720, freq="h"),
)
SMALL = {"d_model": 4, "d_state": 3, "n_layers": 1, "max_epochs": 1, "random_state": 0}
rng = np.random.default_rng(1)
X = [rng.normal(size=40 + i).cumsum() for i in range(8)]
y = np.arange(8) % 2


def forecaster(**options):
    given = {"horizon": 6, "context": 96, "season": 24, "max_epochs": 1, "d_model": 4, "random_state": 0}
    return MambaForecaster(**{**given, **options}).fit(HOURS)


def layers_of(model):
    mixer = model.module_.branch.mixer if hasattr(model.module_, "branch") else model.module_.mixer
    return [module for module in mixer.modules() if isinstance(module, Mamba)]


def test_parameters_reach_the_layers():
    model = forecaster(d_state=5, d_conv=3, expand=4, n_layers=3, dropout=0.3, linear=None)
    layers = layers_of(model)
    assert len(layers) == 3
    for layer in layers:
        assert layer.A_log.shape == (16, 5)
        assert layer.conv_weight.shape == (16, 3)
        assert layer.causal
    assert {block.dropout.p for block in model.module_.branch.mixer.blocks} == {0.3}
    assert list(model.predict_components().columns.get_level_values(-1)) == ["linear", "selective"]


@pytest.mark.parametrize("family", [MambaClassifier, MambaRegressor, MambaEncoder])
def test_parameters_reach_trained_layers(family):
    options = {} if family is MambaEncoder else {"features": "trained"}
    model = family(**options, **{**SMALL, "d_conv": 2, "expand": 3, "n_layers": 2}).fit(X, y)
    for layer in layers_of(model):
        assert layer.A_log.shape == (12, 3)
        assert layer.conv_weight.shape == (12, 2)
    assert len(layers_of(model)) == 2


def test_its_branch_learns_what_a_linear_map_cannot():
    noise = np.random.default_rng(3).normal(size=1500)
    level = np.zeros(1500)
    for t in range(2, 1500):
        level[t] = 0.9 * np.tanh(3 * level[t - 1] * level[t - 2]) + 0.3 * noise[t]
    series = pd.Series(level, pd.RangeIndex(1500))
    shared = {"horizon": 1, "context": 16, "season": 1, "linear": "ridge", "normalisation": "mean", "n_members": 1}
    shared |= {"dropout": 0.0, "loss": "mse", "recent": None, "random_state": 0}
    errors = {}
    for name, model in {
        "map": LSSLForecaster(max_epochs=0, **shared),
        "Mamba": MambaForecaster(patch=1, max_epochs=15, d_model=16, d_state=8, n_layers=1, **shared),
    }.items():
        model.fit(series[:1200])
        found = model.predict_cutoffs(series.to_frame("y"), np.stack([np.zeros(290, int), np.arange(1205, 1495)], 1))
        errors[name] = np.mean((found[:, 0, 0, 0] - level[1205:1495]) ** 2)
    assert errors["Mamba"] < 0.97 * errors["map"]


def marked(number, length=60):
    """A series of noise with a mark: the sign that stands behind it is the class, whatever comes later."""
    own = np.random.default_rng(number)
    series, at, sign = 0.3 * own.normal(size=length), own.integers(5, 40), 1 if number % 2 else -1
    series[at], series[at + 1] = 3.0, 3.0 * sign
    later = own.choice(np.arange(at + 3, length), 4, replace=False)
    series[later] = 3.0 * own.choice([-1, 1], 4) * (own.random(4) < 0.5)
    return series


@pytest.mark.slow
def test_a_trained_classifier_learns_which_of_many_values_counts():
    series, labels = [marked(i) for i in range(240)], np.arange(240) % 2
    model = MambaClassifier(
        features="trained", d_model=16, d_state=8, n_layers=2, max_epochs=25, learning_rate=5e-3, random_state=0
    ).fit(series[:180], labels[:180])
    assert model.score(series[180:], labels[180:]) > 0.8


def test_random_features_are_those_of_a_selective_bank_of_the_length_and_the_order_asked_for():
    model = MambaClassifier(d_state=5, random_state=0).fit(X, y)
    bank = model.module_.mixer
    assert model.features_ == "random"
    assert isinstance(bank, SelectiveBank)
    assert bank.memory.d_state == 5
    longest = [MambaClassifier(random_state=0).fit([x[:n] for x in X], y).module_.mixer.memory for n in (20, 40)]
    assert longest[0].log_dt[0] - longest[1].log_dt[0] == pytest.approx(np.log(2), rel=1e-5)
    assert bank.memory.weight.abs().min() > 0


@pytest.mark.slow
def test_random_features_tell_a_pattern_that_comes_after_a_large_value():
    def series(number):
        own = np.random.default_rng(number)
        x = 0.3 * own.normal(size=80)
        first, second = np.sort(own.choice(np.arange(10, 70, 12), 2, replace=False))
        x[first], x[second] = (2.5, -2.5) if number % 2 else (-2.5, 2.5)
        return x

    many, labels = [series(i) for i in range(300)], np.arange(300) % 2
    model = MambaClassifier(random_state=0).fit(many[:200], labels[:200])
    assert model.score(many[200:], labels[200:]) > 0.9


@pytest.mark.parametrize("merge", ["add", "multiply"])
def test_a_bidirectional_model_sees_the_end_at_the_beginning(merge):
    model = MambaClassifier(features="trained", bidirectional=True, merge=merge, **SMALL).fit(X, y)
    mixer = model.module_.mixer
    assert not model.module_.causal
    assert {block.mixer.merge for block in mixer.blocks if isinstance(block.mixer, BiMamba)} == {merge}
    for at in (0, 46):
        x = torch.randn(1, 47, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
        mixer(x)[0][0, at].sum().backward()
        assert x.grad[0].abs().amax(1).min() > 0


def test_what_reads_the_future_has_no_streams_unless_nothing_of_it_is_trained():
    model = MambaRegressor(features="trained", bidirectional=True, **SMALL).fit(X, y)
    with pytest.raises(ValueError, match="bidirectional=True reads the future"):
        model.stream()
    MambaClassifier(bidirectional=True, random_state=0).fit(X, y).stream().push(X[0][:3])


@pytest.mark.parametrize("change", [{"d_state": 4}, {"bidirectional": False}, {"merge": "multiply"}, {"expand": 1}])
def test_what_was_changed_after_fit_is_not_saved(change, tmp_path):
    model = MambaClassifier(features="trained", bidirectional=True, **SMALL).fit(X, y)
    tsrec.save(model, tmp_path / "a.tsrec")
    np.testing.assert_array_equal(tsrec.load(tmp_path / "a.tsrec").predict_proba(X), model.predict_proba(X))
    with pytest.raises(ValueError, match="parameters were changed after fit"):
        tsrec.save(model.set_params(**change), tmp_path / "b.tsrec")


def test_random_features_are_saved_with_their_selection(tmp_path):
    model = MambaClassifier(random_state=3).fit(X, y)
    tsrec.save(model, tmp_path / "a.tsrec")
    loaded = tsrec.load(tmp_path / "a.tsrec")
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    np.testing.assert_array_equal(loaded.predict_proba(X, rate=1.5), model.predict_proba(X, rate=1.5))


def test_only_random_features_take_another_rate():
    assert MambaClassifier(random_state=0).fit(X, y).predict_proba(X, rate=2.0).shape == (8, 2)
    for model in (MambaClassifier(features="trained", **SMALL), MambaEncoder(**SMALL)):
        ask = model.fit(X, y).predict_proba if hasattr(model, "predict_proba") else model.fit(X).transform
        with pytest.raises(ValueError, match=r"rate: found 2\.0, but Mamba\w+ counts steps"):
            ask(X, rate=2.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"d_state": 0}, "d_state: found 0"),
        ({"d_conv": 0}, "d_conv: found 0"),
        ({"expand": 1.5}, "expand: found 1.5"),
        ({"n_layers": 0}, "n_layers: found 0"),
        ({"bidirectional": "no"}, "bidirectional: found 'no'. Give True or False"),
        ({"merge": "mean"}, "merge: found 'mean'"),
        ({"dropout": 1.0}, "dropout: found 1.0"),
    ],
)
def test_bad_parameters_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        MambaClassifier(**options).fit(X, y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"d_state": 0}, "d_state: found 0"),
        ({"d_conv": "auto"}, "d_conv: found 'auto'"),
        ({"expand": 0}, "expand: found 0"),
        ({"patch": 0}, "patch: found 0"),
        ({"n_layers": 0}, "n_layers: found 0"),
    ],
)
def test_bad_parameters_of_the_forecaster_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        forecaster(**options)
