"""Pictures of encoders: attention on the scalp, embeddings, losses."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from sklearn.exceptions import NotFittedError

from tsrec import LSSLClassifier, LSSLEncoder, LuMambaClassifier, LuMambaEncoder
from tsrec.frames import recording
from tsrec.plotting import AttentionDisplay, EmbeddingDisplay, LossDisplay
from tsrec.plotting._scalp import _between, on_a_disc

CAP = ["Fz", "C3", "Cz", "C4", "Pz"]


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def encoder():
    noise = np.random.default_rng(0).normal(size=(5, 256))
    options = {"width": 16, "n_queries": 3, "n_layers": 1, "max_epochs": 2, "random_state": 0}
    return LuMambaEncoder(**options).fit([recording(noise, CAP, 256)] * 4)


def recordings():
    rng = np.random.default_rng(1)
    return {
        "a": recording(rng.normal(size=(5, 256)), CAP, 256),
        "b": recording(rng.normal(size=(2, 256)), CAP[:2], 256),
    }


def test_a_head_for_each_query_shows_the_mean_attention(encoder):
    display = AttentionDisplay.from_estimator(encoder, recordings(), recording="a")
    assert [ax.get_title() for ax in display.axes_] == ["query 0", "query 1", "query 2"]
    dots = display.axes_[0].collections[0].get_offsets()
    assert dots.shape == (5, 2)
    np.testing.assert_allclose(dots[2], 0, atol=1e-12)
    # C3 lies to the left, Fz to the front.
    assert dots[1][0] < -0.3
    assert dots[0][1] > 0.3
    weights = encoder.get_attention(recordings()).loc["a"].groupby(level="query").mean()
    image = display.axes_[1].images[0].get_array()
    assert np.nanmin(image) >= weights.loc[1].min() - 1e-9
    assert np.nanmax(image) <= weights.loc[1].max() + 1e-9
    few = AttentionDisplay.from_estimator(encoder, recordings(), recording="b")
    assert few.axes_[0].collections[0].get_offsets().shape == (2, 2)
    assert AttentionDisplay(encoder.get_attention(recordings())).plot().axes_[0].collections[0].get_offsets().shape == (
        5,
        2,
    )


def test_attention_that_cannot_be_drawn_is_told(encoder):
    with pytest.raises(ValueError, match=r"recording: 'c' is none of \['a', 'b'\]"):
        AttentionDisplay.from_estimator(encoder, recordings(), recording="c")
    with pytest.raises(TypeError, match="attention: found DataFrame"):
        AttentionDisplay(pd.DataFrame({"Cz": [1.0]})).plot()
    own = {"E0": (0, 0, 90), "E1": (0, 90, 0), "E2": (90, 0, 0), "E3": (-90, 0, 10)}
    named = {"a": recording(np.random.default_rng(0).normal(size=(4, 256)), list(own), 256)}
    placed = LuMambaEncoder(width=16, n_queries=1, n_layers=1, max_epochs=0, positions=own).fit(named)
    dots = AttentionDisplay.from_estimator(placed, named).axes_[0].collections[0].get_offsets()
    assert np.abs(dots).max() < 1.3
    bare = LuMambaEncoder(width=16, n_queries=1, n_layers=1, max_epochs=0, positions="none").fit(recordings())
    with pytest.raises(ValueError, match="on no scalp"):
        AttentionDisplay.from_estimator(bare, recordings())


def test_distances_along_the_scalp_are_kept_on_the_disc():
    angles = np.radians([0, 23, 46, 92])
    found = on_a_disc(np.stack([np.zeros(4), np.sin(angles), np.cos(angles)], 1))
    np.testing.assert_allclose(found[:, 1], [0, 0.25, 0.5, 1], atol=1e-12)
    np.testing.assert_allclose(_between(found, np.arange(4.0), found), np.arange(4.0), atol=0.05)


def test_embeddings_are_seen_along_their_principal_components(encoder):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(30, 4)) * [1, 9, 0.1, 3]
    display = EmbeddingDisplay(rows, np.repeat([0, 1, 2], 10)).plot()
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["0", "1", "2"]
    drawn = np.concatenate([part.get_offsets() for part in display.ax_.collections])
    assert abs(np.corrcoef(drawn[:, 0], rows[:, 1])[0, 1]) > 0.99
    assert abs(np.corrcoef(drawn[:, 1], rows[:, 3])[0, 1]) > 0.9
    assert EmbeddingDisplay.from_estimator(encoder, recordings()).ax_.get_legend() is None
    assert EmbeddingDisplay(np.ones((3, 1))).plot().ax_.collections[0].get_offsets().shape == (3, 2)
    with pytest.raises(ValueError, match="y: found 2 labels for 30 embeddings"):
        EmbeddingDisplay(rows, ["a", "b"]).plot()
    with pytest.raises(ValueError, match="y: found 30 classes"):
        EmbeddingDisplay(rows, range(30)).plot()


def test_labels_find_their_embeddings_by_name():
    rows = pd.DataFrame(np.arange(12.0).reshape(3, 4) ** 2, index=["p", "q", "r"])
    by_name = EmbeddingDisplay(rows, pd.Series(["A", "B", "B"], index=["r", "q", "p"])).plot()
    by_place = EmbeddingDisplay(rows, ["B", "B", "A"]).plot()
    for one, two in zip(by_name.ax_.collections, by_place.ax_.collections, strict=True):
        np.testing.assert_array_equal(one.get_offsets(), two.get_offsets())


def test_losses_have_a_line_for_each_term(encoder):
    _, ax = plt.subplots()
    display = LossDisplay.from_estimator(encoder, ax=ax)
    assert display.ax_ is ax
    labels = [line.get_label() for line in ax.lines]
    assert labels == ["all", "masked", "visible", "queries", "prediction", "sigreg"]
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), encoder.history_["masked_loss"])
    other = LSSLEncoder(d_model=4, max_epochs=1, random_state=0).fit(np.ones((3, 20)) * np.arange(20))
    assert [line.get_label() for line in LossDisplay.from_estimator(other).ax_.lines] == ["all", "next", "masked"]
    untrained = LuMambaEncoder(width=16, n_queries=1, n_layers=1, max_epochs=0).fit(recordings())
    with pytest.raises(ValueError, match="estimator: no epoch was trained"):
        LossDisplay.from_estimator(untrained)
    with pytest.raises(ValueError, match="has no history_"):
        LossDisplay.from_estimator(LuMambaEncoder())


def test_a_classifier_is_shown_by_its_encoder(encoder):
    X = list(recordings().values()) * 2
    classifier = LuMambaClassifier(encoder, max_epochs=1, random_state=0).fit(X, [0, 1, 0, 1])
    shown = AttentionDisplay.from_estimator(classifier, X).attention
    pd.testing.assert_frame_equal(shown, classifier.encoder_.get_attention(X))
    points = EmbeddingDisplay.from_estimator(classifier, X).embeddings
    np.testing.assert_array_equal(points, classifier.encoder_.transform(X))


def test_what_embeds_nothing_is_told():
    X = np.random.default_rng(0).normal(size=(8, 1, 32))
    classifier = LSSLClassifier(max_epochs=0).fit(X, [0, 1] * 4)
    for display in (EmbeddingDisplay, AttentionDisplay):
        with pytest.raises(TypeError, match="encoder: LSSLClassifier embeds nothing"):
            display.from_estimator(classifier, X)


def test_channels_on_no_scalp_have_no_picture():
    X = np.random.default_rng(0).normal(size=(2, 3, 64))
    encoder = LuMambaEncoder(width=16, n_queries=2, n_layers=1, max_epochs=0).fit(X)
    with pytest.raises(ValueError, match="on no scalp, so there is nothing to draw them on"):
        AttentionDisplay.from_estimator(encoder, X)


@pytest.mark.parametrize("estimator", [LuMambaEncoder(), LuMambaClassifier()])
def test_what_is_not_fitted_has_no_picture(estimator):
    for display in (AttentionDisplay, EmbeddingDisplay):
        with pytest.raises(NotFittedError, match="not fitted yet"):
            display.from_estimator(estimator, recordings())
