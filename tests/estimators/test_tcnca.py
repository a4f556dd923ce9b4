"""TCNCA's estimators: what they choose by themselves, what their modules look like, what they refuse."""

import numpy as np
import pandas as pd
import pytest
import torch

import tsrec
from tsrec import LSSLForecaster, TCNCAClassifier, TCNCAEncoder, TCNCAForecaster, TCNCARegressor
from tsrec.layers.ema import DampedEMA
from tsrec.layers.gated_attention import GatedAttention, PlainAttention
from tsrec.layers.tcn import TCN

HOURS = pd.Series(
    np.tile(np.sin(np.arange(24) / 24 * 2 * np.pi), 30) + np.random.default_rng(0).normal(size=720) / 10,
    pd.date_range("2024", periods=720, freq="h"),
)
rng = np.random.default_rng(1)
X = [rng.normal(size=40 + i).cumsum() for i in range(8)]
y = np.arange(8) % 2


def forecaster(**options):
    given = {"horizon": 6, "context": 96, "season": 24, "max_epochs": 1, "d_model": 4, "random_state": 0}
    return TCNCAForecaster(**{**given, **options}).fit(HOURS)


@pytest.mark.parametrize(
    ("options", "chunk"),
    [
        # Whole seasons of at least eight tokens, at most as many tokens as there are.
        ({"patch": 1}, 24),
        ({"patch": 4}, 12),
        ({"patch": 6}, 8),
        ({"patch": 24}, 4),
        ({"patch": 5}, 8),
        ({"patch": 1, "season": 1}, 8),
        ({"patch": 1, "season": 3}, 9),
        ({"patch": 1, "chunk": 10}, 10),
        ({"patch": 1, "chunk": 1000}, 96),
    ],
)
def test_chunks_are_whole_seasons(options, chunk):
    model = forecaster(**options)
    assert model.chunk_ == chunk
    for layer in model.module_.branch.mixer.blocks:
        assert layer.attention.chunk == chunk


@pytest.mark.parametrize(
    ("patch", "kernel_size", "stages"),
    [(1, "auto", 3), (2, "auto", 2), (4, "auto", 2), (24, "auto", 1), (4, 4, 3), (1, 10, 2), (1, 2, 7)],
)
def test_convolutions_reach_over_the_context_and_chunks_end_with_it(patch, kernel_size, stages):
    model, tokens = forecaster(patch=patch, kernel_size=kernel_size, n_layers=2), 96 // patch
    assert model.kernel_size_ == {(1, "auto"): 8, (2, "auto"): 7, (4, "auto"): 5, (24, "auto"): 4}.get(
        (patch, kernel_size), kernel_size
    )
    assert len(model.module_.branch.mixer.blocks) == 2
    for layer in model.module_.branch.mixer.blocks:
        assert len(layer.memory.dilations) == stages
        assert layer.memory.receptive_field >= tokens
        assert (layer.attention.start + tokens) % layer.attention.chunk == 0


def test_parameters_reach_the_layers():
    model = forecaster(attention="laplace", dropout=0.3, linear=None)
    layer = model.module_.branch.mixer.blocks[0]
    assert layer.attention.function == "laplace"
    assert isinstance(layer.mix, PlainAttention)
    assert isinstance(forecaster(gated=True).module_.branch.mixer.blocks[0].mix, GatedAttention)
    assert layer.mix.dropout.p == layer.feed_forward.dropout.p == 0.3
    assert isinstance(layer.memory, TCN)
    assert not isinstance(layer.memory, DampedEMA)
    assert list(model.predict_components().columns.get_level_values(-1)) == ["linear", "convolution"]


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
        "TCNCA": TCNCAForecaster(patch=1, max_epochs=15, d_model=16, **shared),
    }.items():
        model.fit(series[:1200])
        found = model.predict_cutoffs(series.to_frame("y"), np.stack([np.zeros(290, int), np.arange(1205, 1495)], 1))
        errors[name] = np.mean((found[:, 0, 0, 0] - level[1205:1495]) ** 2)
    assert errors["TCNCA"] < 0.97 * errors["map"]


@pytest.mark.parametrize("family", [TCNCAClassifier, TCNCARegressor, TCNCAEncoder])
def test_trained_layers_reach_over_the_longest_series(family):
    options = {} if family is TCNCAEncoder else {"features": "trained"}
    for chunk in (8, 64):
        model = family(**options, d_model=4, n_layers=2, chunk=chunk, max_epochs=1, random_state=0).fit(X, y)
        for layer in model.module_.mixer.blocks:
            assert layer.memory.receptive_field >= 47
            assert layer.attention.chunk == min(chunk, 47)


def test_a_bidirectional_model_sees_the_end_at_the_beginning():
    model = TCNCAClassifier(
        features="trained", bidirectional=True, d_model=4, n_layers=1, chunk=8, max_epochs=1, random_state=0
    ).fit(X, y)
    mixer = model.module_.mixer
    assert not model.module_.causal
    for at in (0, 46):
        x = torch.randn(1, 47, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
        mixer(x)[0][0, at].sum().backward()
        assert x.grad[0].abs().amax(1).min() > 0


@pytest.mark.parametrize("change", [{"attention": "relu2"}, {"bidirectional": False}, {"gated": False}])
def test_what_was_changed_after_fit_is_not_saved(change, tmp_path):
    model = TCNCAClassifier(
        features="trained", bidirectional=True, d_model=4, n_layers=1, chunk=8, max_epochs=1, random_state=0
    ).fit(X, y)
    tsrec.save(model, tmp_path / "a.tsrec")
    np.testing.assert_array_equal(tsrec.load(tmp_path / "a.tsrec").predict_proba(X), model.predict_proba(X))
    with pytest.raises(ValueError, match="parameters were changed after fit"):
        tsrec.save(model.set_params(**change), tmp_path / "b.tsrec")


def test_streams_of_other_attention_take_no_state():
    one, two = (
        TCNCAEncoder(attention=attention, d_model=4, chunk=8, max_epochs=0, random_state=0).fit(X)
        for attention in ("softmax", "relu2")
    )
    with pytest.raises(ValueError, match="not left by a stream of this"):
        two.stream(state=one.stream().state())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"chunk": 0}, "chunk: found 0"),
        ({"chunk": "auto"}, "chunk: found 'auto'"),
        ({"kernel_size": 1}, "kernel_size: found 1"),
        ({"attention": "max"}, "attention: found 'max'"),
        ({"bidirectional": True, "kernel_size": 4}, "kernel_size: found 4. With bidirectional=True give an odd number"),
        ({"bidirectional": "no"}, "bidirectional: found 'no'. Give True or False"),
        ({"gated": 0}, "gated: found 0. Give True or False"),
        ({"n_layers": 0}, "n_layers: found 0"),
    ],
)
def test_bad_parameters_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        TCNCAClassifier(**options).fit(X, y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"chunk": 0}, "chunk: found 0"),
        ({"kernel_size": 1}, "kernel_size: found 1"),
        ({"attention": "max"}, "attention: found 'max'"),
        ({"gated": "x"}, "gated: found 'x'. Give True or False"),
        ({"patch": 0}, "patch: found 0"),
        ({"n_layers": 0}, "n_layers: found 0"),
    ],
)
def test_bad_parameters_of_the_forecaster_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        forecaster(**options)
