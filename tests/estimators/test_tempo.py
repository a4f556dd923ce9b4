"""TEMPO's estimator: what it chooses, what it tells of itself, what it refuses."""

import json
import pickle

import numpy as np
import pandas as pd
import pytest

import tsrec
from tsrec import TEMPOForecaster
from tsrec.estimators._tempo_parts import component_matrices, drawn_words, sentences
from tsrec.layers.decomposition import FixedDecomposition, LearnedDecomposition
from tsrec.layers.tempo import TEMPO

rng = np.random.default_rng(0)


def hours(n=720, columns=("load", "heat"), seed=0):
    noise = np.random.default_rng(seed).normal(size=(n, len(columns)))
    day = np.sin(np.arange(n) / 24 * 2 * np.pi)[:, None] + np.arange(n)[:, None] / 300
    return pd.DataFrame(day + noise / 10, pd.date_range("2024", periods=n, freq="h"), columns=list(columns))


HOURS = hours()


def fitted(y=HOURS, **options):
    given = {"horizon": 6, "context": 96, "season": 24, "max_epochs": 1, "d_model": 8, "random_state": 0}
    return TEMPOForecaster(**{**given, **options}).fit(y)


BACKBONES, KINDS = ("lssl", "transformer", "tcnca", "mamba", "identity"), ("pool", "soft", "semisoft", "hard", None)


@pytest.mark.parametrize(
    ("backbone", "prompt"), [*(("lssl", kind) for kind in KINDS), *((one, "pool") for one in BACKBONES[1:])]
)
@pytest.mark.slow
def test_every_backbone_takes_prompts_and_every_prompt_is_taken(backbone, prompt):
    model = fitted(backbone=backbone, prompt=prompt, linear=None)
    parts = model.predict_components()
    assert parts.columns.get_level_values(1).unique().tolist() == ["trend", "seasonal", "residual"]
    total = parts.T.groupby(level="variable").sum().T[list(HOURS)]
    np.testing.assert_allclose(total, model.predict(), atol=1e-5)
    assert ("pull_loss" in model.history_) == (prompt == "pool")


@pytest.mark.parametrize("decomposition", ["stl", "learned-stl", "learned", None])
def test_every_decomposition(decomposition):
    model = fitted(decomposition=decomposition, own_scale=True)
    kind = type(model.module_.branch.decomposition)
    assert kind is {"stl": FixedDecomposition, None: type(None)}.get(decomposition, LearnedDecomposition)
    assert ("decomposition_loss" in model.history_) == (decomposition in ("learned", "learned-stl"))
    names = model.predict_components().columns.get_level_values(1).unique().tolist()
    assert names == (["whole"] if decomposition is None else ["trend", "seasonal", "residual"])


def test_what_auto_becomes():
    model = fitted(patch="auto", context=336)
    assert (model.patch_, model.stride_, model.period_, model.prompt_) == (24, 24, 24, "semisoft")
    assert fitted(patch=16, stride=8, context=336, prompt="pool").module_.branch.n_tokens == 153
    short = TEMPOForecaster(horizon=2, season=1, max_epochs=1, random_state=0).fit(HOURS["load"].iloc[:40].to_numpy())
    assert short.period_ == 1
    assert np.isfinite(short.predict()).all()


def test_without_a_season_the_trend_is_an_average():
    matrices = component_matrices(60, 1)
    x = rng.normal(size=60)
    averaged = tsrec.MovingAverage(window=25).fit(x[None]).matrices(60)[0]
    np.testing.assert_allclose(matrices[0], averaged)
    assert not matrices[1].any()
    np.testing.assert_allclose(component_matrices(96, 24), tsrec.STL(24).fit(np.zeros((1, 48))).matrices(96))


def test_prompts_in_words():
    assert sentences()[1] == "Predict the future time step given the seasonal"
    trend, season = (drawn_words(text, 8) for text in sentences()[:2])
    np.testing.assert_array_equal(trend[:-1], season[:-1])
    assert not np.allclose(trend[-1], season[-1])


def test_nothing_after_a_cutoff_reaches_its_forecast():
    model = fitted()
    cutoffs = np.array([[0, 500], [0, 510]])
    before = model.predict_cutoffs(HOURS, cutoffs)
    other = HOURS.copy()
    other.iloc[510:] += 100
    after = model.predict_cutoffs(other, cutoffs)
    np.testing.assert_array_equal(after, before)
    parts = model._components(model._known(HOURS, None), cutoffs)
    for name, part in model._components(model._known(other, None), cutoffs).items():
        np.testing.assert_array_equal(part, parts[name])


def test_prompts_are_reported():
    model = fitted(prompt="pool", pool_size=10, top_k=2)
    report = model.prompt_report()
    assert report.shape == (10, 3)
    np.testing.assert_allclose(report.sum(), 1.0, atol=1e-6)
    assert set(report.attrs["spread"]) == {"trend", "seasonal", "residual"}
    # Every component has its own shares, and what they tell of a collapse.
    assert not report["trend"].equals(report["residual"])
    for name, shares in report.items():
        entropy = -sum(share * np.log(share) for share in shares if share > 0) / np.log(10)
        assert report.attrs["spread"][name] == pytest.approx(entropy, abs=1e-5)
    assert model.prompt_report(HOURS.iloc[:300]).shape == (10, 3)
    with pytest.raises(ValueError, match="there is no pool"):
        fitted(prompt="soft").prompt_report()
    with pytest.raises(ValueError, match="there is no pool"):
        fitted(prompt="pool", max_epochs=0).prompt_report()


def test_what_components_are_worth():
    values = fitted().explain(HOURS)
    assert values.index.tolist() == ["trend", "seasonal", "residual"]
    errors = values.attrs["errors"]
    assert len(errors) == 8
    change = np.subtract(errors["trend + seasonal + residual"], errors["nothing"])
    np.testing.assert_allclose(values.sum(), change)
    # A day repeats itself: that is most of what can be known.
    assert (values.loc["seasonal"] < -0.3).all()
    assert abs(values.loc["residual"]).max() < 0.1
    with pytest.raises(ValueError, match="the horizon"):
        fitted().explain(HOURS.iloc[:4])


def test_a_fit_goes_on_from_the_last():
    later = hours(seed=1)
    cold = fitted(later, linear=None, max_epochs=1)
    warm = fitted(linear=None, max_epochs=6).set_params(max_epochs=1).fit(later, warm_start=True)
    assert warm.history_.loss.iloc[0] < cold.history_.loss.iloc[0]
    assert warm.context_ == 96
    model = fitted()
    before = model.predict()
    for change in ({"d_model": 16}, {"horizon": 5}, {"backbone": "transformer"}, {"n_layers": 1}, {"linear": None}):
        old = {name: model.get_params()[name] for name in change}
        with pytest.raises(ValueError, match=f"warm_start: {next(iter(change))} was"):
            model.set_params(**change).fit(later, warm_start=True)
        model.set_params(**old)
        pd.testing.assert_frame_equal(model.predict(), before)
    with pytest.raises(TypeError, match="not times"):
        model.fit(later.set_axis(later.index.astype(str)), warm_start=True)
    pd.testing.assert_frame_equal(model.predict(), before)
    with pytest.raises(ValueError, match="warm_start: found 'yes'"):
        fitted().fit(later, warm_start="yes")
    assert TEMPOForecaster(horizon=6, max_epochs=0).fit(HOURS, warm_start=True).horizon_ == 6


def test_models_are_saved_and_pickled(tmp_path):
    hard = {"prompt": "hard", "decomposition": "learned"}
    for options in ({}, {"prompt": "pool"}, hard, {"linear": None, "n_members": 2}):
        model = fitted(**options)
        tsrec.save(model, tmp_path / "model.zip")
        pd.testing.assert_frame_equal(tsrec.load(tmp_path / "model.zip").predict(), model.predict())
        pd.testing.assert_frame_equal(pickle.loads(pickle.dumps(model)).predict(), model.predict())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backbone": "rnn"}, "backbone: found 'rnn'"),
        ({"prompt": "long"}, "prompt: found 'long'"),
        ({"decomposition": "ma"}, "decomposition: found 'ma'"),
        ({"top_k": 40}, "top_k: found 40, the pool has 30"),
        ({"pull_weight": -1}, "pull_weight: found -1"),
        ({"decomposition_weight": "much"}, "decomposition_weight: found 'much'"),
        ({"stride": 0}, "stride: found 0"),
        ({"d_head": 0}, "d_head: found 0"),
        ({"own_scale": "yes"}, "own_scale"),
        ({"lora_rank": -1}, "lora_rank"),
        ({"dropout": 2}, "dropout"),
    ],
)
def test_bad_parameters_are_named(options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        fitted(**options)


TEXTS = {"north": "cold and windy", "south": "warm", "east": "dry"}


def lengths(texts):
    return np.array([[len(one), one.count(" ")] for one in texts])


def regions(names=("north", "south", "east"), n=300):
    return pd.concat(
        {name: hours(n, ("y",), seed)["y"] * (seed + 1) for seed, name in enumerate(names)}, names=["region", "time"]
    )


def test_texts_of_series_are_prompts():
    y, said = regions(), pd.Series(TEXTS, name="text")
    model = TEMPOForecaster(
        horizon=6, context=48, max_epochs=2, d_model=8, linear=None, text_encoder=lengths, random_state=0
    )
    model.fit(y, static=said)
    assert model.n_static_ == 2
    assert model.module_.branch.text.in_features == 2
    vectors = pd.DataFrame(lengths(said), said.index).astype(float)
    plain = TEMPOForecaster(horizon=6, context=48, max_epochs=2, d_model=8, linear=None, random_state=0)
    pd.testing.assert_series_equal(plain.fit(y, static=vectors).predict(), model.predict())
    other = model.predict(history=y.rename({"north": "south", "south": "north"}))
    assert not np.allclose(other.loc["south"], model.predict().loc["north"])
    np.testing.assert_allclose(model.predict(history=y.loc[["east"]]), model.predict().loc[["east"]], atol=1e-5)


def test_what_is_said_of_later_series(tmp_path):
    y, said = regions(), pd.Series(TEXTS, name="text")
    model = TEMPOForecaster(
        horizon=6, context=48, max_epochs=2, d_model=8, linear=None, text_encoder=lengths, random_state=0
    ).fit(y, static=said)
    new = regions(("west", "north"))
    with pytest.warns(UserWarning, match="nothing is said of 1 series"):
        unknown = model.predict(history=new)
    known = model.describe(pd.Series({"west": "wet, very wet, and far away"})).predict(history=new)
    assert not np.allclose(known.loc["west"], unknown.loc["west"])
    np.testing.assert_allclose(known.loc["north"], unknown.loc["north"])
    with pytest.raises(ValueError, match="its columns differ from those of fit"):
        model.set_params(text_encoder=None).describe(pd.DataFrame({"a": [1.0]}, index=["west"]))


def test_bad_texts_are_named():
    y, said = regions(), pd.Series(TEXTS)
    model = TEMPOForecaster(horizon=6, context=48, max_epochs=1, text_encoder=lengths)
    with pytest.raises(TypeError, match=r"found 3 among the texts"):
        model.fit(y, static=said.replace({"warm": 3}))
    with pytest.raises(ValueError, match="2 columns"):
        model.fit(y, static=pd.DataFrame({"a": said, "b": said}))
    model.set_params(text_encoder=lambda texts: np.zeros(len(texts)))
    with pytest.raises(ValueError, match="text_encoder: it made an array of shape"):
        model.fit(y, static=said)
    with pytest.raises(ValueError, match="static: 1 series have no row"):
        model.set_params(text_encoder=lengths).fit(y, static=said.drop("east"))


def test_gpt2_from_a_folder(tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.GPT2Config(n_embd=16, n_head=2, n_layer=2, n_positions=64, vocab_size=50)
    transformers.GPT2Model(config).save_pretrained(tmp_path / "gpt2")
    options = {"backbone": "gpt2", "weights": str(tmp_path / "gpt2"), "lora_rank": 2, "n_layers": 1, "linear": None}
    with pytest.warns(UserWarning, match="no tokenizer lies beside them"):  # the words of the prompt are not known
        model = fitted(**options)
    assert model.prompt_ == "soft"
    assert isinstance(model.module_, TEMPO)
    tsrec.save(model, tmp_path / "model.zip")
    # The file holds the weights; the folder is not needed any more.
    (tmp_path / "gpt2").rename(tmp_path / "elsewhere")
    pd.testing.assert_frame_equal(tsrec.load(tmp_path / "model.zip").predict(), model.predict())
    with pytest.raises(OSError, match="weights: GPT-2 cannot be read"):
        fitted(**options)


def test_gpt2_with_words(tmp_path):
    transformers = pytest.importorskip("transformers")
    letters = sorted({letter for text in sentences() for letter in text.replace(" ", "\u0120")})
    (tmp_path / "vocab.json").write_text(json.dumps({letter: i for i, letter in enumerate(letters)}))
    (tmp_path / "merges.txt").write_text("#version: 0.2\n")
    config = transformers.GPT2Config(n_embd=16, n_head=2, n_layer=2, n_positions=256, vocab_size=len(letters))
    transformers.GPT2Model(config).save_pretrained(tmp_path)
    options = {"backbone": "gpt2", "weights": str(tmp_path), "lora_rank": 2, "n_layers": 1, "linear": None}
    model = fitted(**options)
    assert model.prompt_ == "semisoft"
    assert model.prompt_lengths_ == [len(text) for text in sentences()]
    tsrec.save(model, tmp_path / "model.zip")
    pd.testing.assert_frame_equal(tsrec.load(tmp_path / "model.zip").predict(), model.predict())


def test_a_tail_that_is_shorter_than_the_horizon_gives_a_branch_no_share():
    # (300 - 96 - 48) / 8 windows are held out, and 48 of them would be one that does not overlap with others.
    short = fitted(HOURS.iloc[:300], horizon=48, max_epochs=1)
    assert (short.share_, short.n_epochs_) == (0.0, 0)
    assert fitted(hours(1000), horizon=48, max_epochs=1).n_epochs_ == 1
