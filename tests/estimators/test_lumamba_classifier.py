"""LuMambaClassifier: heads, frozen and fine-tuned encoders, names, weights, scikit-learn, and what is refused."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

from tests.estimators.test_lumamba import CAP, SMALL, signals
from tsrec import LuMambaClassifier, LuMambaEncoder, load, save
from tsrec.frames import recording, windows


def two_paces(n=24, channels=CAP):
    frames = [recording(signals(len(channels), seed=i, pace=8.0 if i % 2 else 20.0), channels, 128) for i in range(n)]
    return frames, np.array(["slow" if i % 2 else "fast" for i in range(n)])


OTHERS = (("query", False), ("linear", False), ("mamba", True))


@pytest.mark.parametrize(
    ("head", "freeze"), [("query", True), *(pytest.param(*one, marks=pytest.mark.slow) for one in OTHERS)]
)
def test_a_classifier_learns_from_one_cap_and_reads_another(head, freeze):
    frames, y = two_paces()
    encoder = LuMambaEncoder(max_epochs=2, **SMALL).fit(frames)
    before = encoder.transform(frames)
    classifier = LuMambaClassifier(
        encoder, head=head, freeze=freeze, max_epochs=100 if freeze else 30, random_state=0, learning_rate=3e-3
    )
    classifier.fit(frames, y)
    assert classifier.score(frames, y) == 1.0
    other = two_paces(8, ["T3-C3", "Fz", "P4"])
    assert classifier.score(*other) >= 0.75
    proba = classifier.predict_proba(other[0])
    assert proba.shape == (8, 2)
    np.testing.assert_allclose(proba.sum(1), 1)
    # The encoder that was given stays as it was; its copy learned with the head unless frozen.
    np.testing.assert_array_equal(encoder.transform(frames), before)
    assert np.allclose(classifier.encoder_.transform(frames), before, atol=1e-6) == freeze


def test_a_classifier_from_the_beginning_and_its_clones():
    frames, y = two_paces()
    plain = LuMambaClassifier(LuMambaEncoder(**SMALL), max_epochs=20, random_state=0).fit(frames, y)
    assert plain.score(frames, y) == 1.0
    assert not plain.encoder.__sklearn_is_fitted__()
    encoder = LuMambaEncoder(max_epochs=1, **SMALL).fit(frames)
    twin = clone(LuMambaClassifier(encoder))
    assert twin.encoder is encoder
    assert not clone(LuMambaClassifier(LuMambaEncoder())).encoder.__sklearn_is_fitted__()


def test_answers_are_named_as_the_recordings_are():
    frames, y = two_paces(6)
    named = {f"r{i}": frame for i, frame in enumerate(frames)}
    labels = pd.Series(y, index=list(named))[::-1]
    classifier = LuMambaClassifier(LuMambaEncoder(**SMALL), max_epochs=1, random_state=0).fit(named, labels)
    proba = classifier.predict_proba(named)
    assert proba.index.tolist() == list(named)
    assert proba.columns.tolist() == ["fast", "slow"]
    assert classifier.predict(named).index.tolist() == list(named)
    assert classifier.score(named, labels) == classifier.score(named, labels[::-1])


def test_three_classes_weights_and_windows_of_one_recording():
    long = recording(np.hstack([signals(6, pace=p, seconds=6) for p in (6.0, 15.0, 30.0)]), CAP, 128)
    panel = windows(long, 128, 64)
    y = np.minimum(panel.groupby(level=0).size().index * 64 // 768, 2)
    classifier = LuMambaClassifier(LuMambaEncoder(**SMALL), max_epochs=25, random_state=0, class_weight="balanced")
    assert classifier.fit(panel, y).score(panel, y) > 0.9
    assert classifier.classes_.tolist() == [0, 1, 2]
    weight = np.where(np.asarray(y) == 2, 0.0, 1.0)
    two = clone(classifier).fit(panel, y, sample_weight=weight)
    assert two.score(panel, y, sample_weight=weight) > 0.9
    assert two.predict_proba(panel).iloc[:, 2].mean() < 0.35


def test_scikit_learn_tools():
    frames, y = two_paces(12)
    encoder = LuMambaEncoder(max_epochs=1, **SMALL).fit(frames)
    X = np.stack([frame.to_numpy().T for frame in frames])
    pipeline = make_pipeline(LuMambaEncoder(max_epochs=1, ch_names=CAP, **SMALL), LogisticRegression())
    assert cross_val_score(pipeline, X, y, cv=2).shape == (2,)
    arrays = LuMambaEncoder(max_epochs=1, ch_names=CAP, **SMALL).fit(X)
    search = GridSearchCV(
        LuMambaClassifier(arrays, max_epochs=2, random_state=0), {"head": ["linear", "query"]}, cv=2
    ).fit(X, y)
    assert search.best_estimator_.encoder is arrays
    assert encoder.set_output(transform="pandas").transform(frames).shape == (12, 32)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"head": "mean"}, ValueError, "head: found 'mean'"),
        ({"layer_decay": 0}, ValueError, "layer_decay: found 0"),
        ({"encoder": "tiny"}, TypeError, "encoder: found str"),
        ({"encoder": LuMambaEncoder}, TypeError, "encoder: found"),
    ],
    ids=str,
)
def test_classifiers_that_cannot_be_fitted_are_told(options, error, message):
    frames, y = two_paces(4)
    with pytest.raises(error, match=message):
        LuMambaClassifier(**options).fit(frames, y)


def test_pickle_and_files_keep_the_answers(tmp_path):
    frames, y = two_paces(8)
    encoder = LuMambaEncoder(max_epochs=1, **SMALL).fit(frames)
    classifier = LuMambaClassifier(encoder, head="mamba", max_epochs=1, random_state=0).fit(frames, y)
    for number, estimator in enumerate((encoder, classifier)):
        path = tmp_path / f"{number}.tsrec"
        save(estimator, path)
        ask = "transform" if estimator is encoder else "predict_proba"
        found = getattr(estimator, ask)(frames)
        for other in (load(path), pickle.loads(pickle.dumps(estimator))):
            np.testing.assert_array_equal(getattr(other, ask)(frames), found)
