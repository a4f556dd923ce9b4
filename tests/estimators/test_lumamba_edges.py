"""LuMamba estimators where they could go wrong without a word: refits, other parameters, names, lengths."""

import warnings
from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from tests.estimators.test_lumamba import CAP, SMALL, recordings
from tsrec import LuMambaClassifier, LuMambaEncoder
from tsrec.estimators import _recordings

LABELS = list("abababab")


@pytest.fixture(scope="module")
def fitted():
    return LuMambaEncoder(max_epochs=1, **SMALL).fit(recordings())


def test_an_encoder_that_never_learned_can_be_frozen_but_that_is_told():
    X = recordings(8)
    options = {"freeze": True, "random_state": 0, "max_epochs": 1}
    with pytest.warns(UserWarning, match="freeze: the encoder was not fitted, so that its random weights stay"):
        first, second = (LuMambaClassifier(LuMambaEncoder(**SMALL), **options).fit(X, LABELS) for _ in range(2))
    assert first.predict_proba(X).shape == (8, 2)
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))


def test_parameters_of_a_fitted_encoder_are_not_for_a_search_to_change(fitted):
    classifier = LuMambaClassifier(fitted, max_epochs=1, random_state=0)
    with pytest.raises(ValueError, match="encoder__band: the encoder is fitted"):
        classifier.set_params(encoder__band=(1.0, 40.0))
    with pytest.raises(ValueError, match="encoder__band: the encoder is fitted"):
        GridSearchCV(classifier, {"encoder__band": [(1.0, 40.0)]}, cv=2).fit(recordings(8), LABELS)
    assert fitted.band is None
    assert classifier.set_params(encoder=clone(fitted), encoder__band=(1.0, 40.0)).encoder.band == (1.0, 40.0)


def test_the_rate_of_a_fitted_encoder_is_that_of_its_fit(fitted):
    other = deepcopy(fitted).set_params(sfreq=64.0)
    np.testing.assert_array_equal(other.transform(recordings()), fitted.transform(recordings()))


def test_what_the_filters_or_electrodes_refuse_leaves_an_earlier_fit(fitted):
    X = recordings(8)
    encoder = deepcopy(fitted).set_params(band=(1.0, 100.0))
    with pytest.raises(ValueError, match="high: 100 Hz"):
        encoder.fit(X)
    np.testing.assert_array_equal(encoder.set_params(band=None).transform(X), fitted.transform(X))
    classifier = LuMambaClassifier(fitted, max_epochs=1, random_state=0).fit(X, LABELS)
    before = classifier.predict_proba(X)
    with pytest.raises(ValueError, match="no known position"):
        classifier.fit(recordings(8, ["EOG", *CAP[1:]]), LABELS)
    np.testing.assert_array_equal(classifier.predict_proba(X), before)


def test_balanced_classes_do_not_count_what_weighs_nothing(fitted):
    X, y = recordings(8), list("aababbbb")
    options = {"class_weight": "balanced", "freeze": True, "max_epochs": 2, "batch_size": 4, "random_state": 0}
    weighted = LuMambaClassifier(fitted, **options).fit(X, y, [1, 1, 1, 1, 1, 1, 0, 0])
    without = LuMambaClassifier(fitted, **options).fit(X[:6], y[:6])
    np.testing.assert_allclose(weighted.predict_proba(X), without.predict_proba(X), rtol=1e-5)


def test_channels_that_fit_never_saw_are_told_where_they_have_no_place():
    options = {**SMALL, "bidirectional": False, "max_epochs": 0}
    cubes = np.stack([frame.to_numpy().T for frame in recordings()])
    unplaced = LuMambaEncoder(normalisation="running", **options).fit(cubes)
    with pytest.raises(ValueError, match=r"channels: channels \['foo'\] were not there in fit"):
        unplaced.stream(["foo", "x1"])
    in_units = LuMambaEncoder(normalisation="channel", **options).fit(recordings())
    with pytest.raises(ValueError, match=r"channels: channels \['Oz'\] were not there in fit"):
        in_units.stream("Oz")
    named = LuMambaEncoder(positions="none", normalisation="zscore", **options).fit(recordings())
    with pytest.raises(ValueError, match=r"X: channels \['x0'\] were not there in fit"):
        named.transform(np.zeros((2, 64)))


def test_recordings_of_many_levels_keep_them(fitted):
    panel = pd.concat({("anna", i): frame for i, frame in enumerate(recordings(2))}, names=["subject", "window"])
    assert fitted.transform_tokens(panel).index.names == ["subject", "window", "time"]
    assert fitted.get_attention(panel).index.names == ["subject", "window", "time", "query"]
    assert fitted.reconstruct(panel).index[0] == ("anna", 0, 0.0)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"positions": {}}, ValueError, "positions: "),
        ({"positions": {"Cz": (0, 0)}}, ValueError, "positions: 'Cz' is at"),
        ({"positions": {"Cz": (0, 0, 1), "C3": (-1, 0, 0), "C4": (1, 0, 0)}}, ValueError, "positions: .*montage"),
        ({"positions": np.zeros((3, 3))}, ValueError, "positions: found array"),
        ({"ch_names": 5}, TypeError, "ch_names: found 5"),
    ],
)
def test_messages_name_the_parameter(options, error, message):
    with pytest.raises(error, match=message):
        LuMambaEncoder(**SMALL, **options).fit(recordings())


def test_a_series_with_a_number_for_a_name_is_a_channel_without_one():
    frames = [frame.set_axis(range(len(CAP)), axis=1) for frame in recordings()]
    encoder = LuMambaEncoder(max_epochs=0, **SMALL).fit([frame[[0]] for frame in frames])
    from_series = LuMambaEncoder(max_epochs=0, **SMALL).fit([frame[0] for frame in frames])
    np.testing.assert_array_equal(
        encoder.transform(frames[0][[0]].to_numpy().T[None]), from_series.transform(frames[0][[0]].to_numpy().T[None])
    )


def test_a_channel_that_rests_most_of_the_time_does_not_burst_by_quartiles():
    X = recordings()
    for frame in X:
        frame.iloc[: len(frame) * 4 // 5, 0] = 0.0
    encoder = LuMambaEncoder(normalisation="iqr", max_epochs=1, **SMALL).fit(X)
    assert encoder.history_["loss"].iloc[-1] < 100


def test_pieces_of_recordings_of_all_lengths_share_batches():
    import torch

    from tsrec.estimators._recording_batches import RecordingBatches

    frames = [frame.iloc[: 200 + i] for i, frame in enumerate(recordings(8))]
    encoder = LuMambaEncoder(max_epochs=0, **SMALL).fit([*frames, frames[0][["C3"]]])
    groups = encoder._prepare(encoder._read([*frames, frames[0][["C3"]]], encoder))
    weight = torch.arange(9.0)
    batches = RecordingBatches(groups, batch_size=5, crop=96, weight=weight)
    found = list(batches.epoch(torch.Generator().manual_seed(0)))
    # Two pieces of each recording: four batches of the cap, one of C3 alone.
    assert len(batches) == len(found) == 5
    assert sorted(len(batch.context) for batch in found) == [1, 2, 5, 5, 5]
    counts = torch.bincount(torch.cat([batch.series for batch in found]))
    assert counts.tolist() == [2] * 9
    for batch in found:
        assert batch.context.shape[1:] == (96, batch.static.shape[1])
        assert torch.equal(batch.weight, weight[batch.series])
        for number, piece in zip(batch.series.tolist(), batch.context, strict=True):
            whole = next(group.values[list(group.numbers).index(number)] for group in groups if number in group.numbers)
            starts = whole.unfold(0, 96, 1).mT
            assert (starts == piece).all(2).all(1).any()


def test_fitted_encoders_can_be_searched_over_frozen():
    from sklearn.frozen import FrozenEstimator

    X, y = np.stack([frame.to_numpy().T for frame in recordings(8)]), np.array(LABELS)
    one, two = (LuMambaEncoder(max_epochs=e, ch_names=CAP, **SMALL).fit(X) for e in (0, 1))
    frozen = [FrozenEstimator(one), FrozenEstimator(two)]
    search = GridSearchCV(LuMambaClassifier(max_epochs=1, freeze=True, random_state=0), {"encoder": frozen}, cv=2)
    best = search.fit(X, y).best_estimator_
    np.testing.assert_array_equal(best.encoder_.transform(X), best.encoder.estimator.transform(X))


def test_running_units_are_exact_at_any_level():
    options = {"bidirectional": False, "normalisation": "running", "max_epochs": 0}
    frames = recordings(2)
    encoder = LuMambaEncoder(**options, **SMALL).fit(frames)
    high = frames[0] + 1e6
    np.testing.assert_allclose(encoder.transform([high]), encoder.transform(frames[:1]), rtol=1e-3, atol=1e-3)
    high.iloc[:30, 2] = np.nan
    stream = encoder.stream(CAP)
    found = pd.concat([stream.push(high.iloc[:20]), stream.push(high.iloc[20:])])
    np.testing.assert_allclose(found, encoder.transform_tokens([high]), rtol=1e-3, atol=1e-3)


def test_dropped_channels_are_told_each_time():
    encoder = LuMambaEncoder(max_epochs=0, drop_unknown=True, **SMALL).fit(recordings(2))
    frame = recordings(1)[0].assign(ECG=0.0)
    with pytest.warns(UserWarning, match=r"channels \['ECG'\] are no known electrodes"):
        encoder.transform([frame])


def test_a_single_recording_per_step_is_not_drawn_to_zero():
    encoder = LuMambaEncoder(max_epochs=1, batch_size=1, **SMALL).fit(recordings(2))
    assert encoder.history_["sigreg_loss"].item() == 0


def test_times_in_milliseconds_are_told(fitted):
    frame = recordings(1)[0]
    frame.index, frame.attrs = frame.index * 1000, {}
    with pytest.raises(
        ValueError, match=r"recordings have 0\.128 samples in a second, but sfreq=128\. Is the index in mill"
    ):
        fitted.transform([frame])
    with pytest.raises(ValueError, match="Is the index in milliseconds"):
        LuMambaEncoder(**SMALL).fit([frame])


def test_parameters_of_no_encoder_are_told():
    with pytest.raises(ValueError, match="encoder__width: encoder is None"):
        LuMambaClassifier().set_params(encoder__width=32)
    assert LuMambaClassifier().set_params(encoder=LuMambaEncoder(), encoder__width=32).encoder.width == 32


def test_a_stream_of_another_rate_is_refused():
    options = {"bidirectional": False, "normalisation": "running", "max_epochs": 0}
    encoder = LuMambaEncoder(**options, **SMALL).fit(recordings(1))
    frame = recordings(1)[0]
    frame.index, frame.attrs = frame.index * 2, {}
    with pytest.raises(ValueError, match="rows: by their times they come at 64 Hz, the encoder works at 128 Hz"):
        encoder.stream(CAP).push(frame)


def test_what_is_no_recording_is_told_before_anything_is_learned():
    X = recordings(4)
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[4, 3\]"):
        LuMambaEncoder(max_epochs=10_000, **SMALL).fit(X, list("aba"))
    with pytest.warns(UserWarning, match="the longest recording has 9 samples at 128 Hz, less than a patch of 16"):
        LuMambaEncoder(max_epochs=0, **SMALL).fit([frame.iloc[:9] for frame in X])


def test_arrays_of_other_meaning_are_told():
    encoder = LuMambaEncoder(max_epochs=0, ch_names=["Fz", "Cz"], **SMALL)
    with pytest.raises(ValueError, match=r"but ch_names has 2 names. One recording \(n_channels, n_times\) is X\[None"):
        encoder.fit(np.zeros((2, 64)))
    one = LuMambaEncoder(max_epochs=0, ch_names=["fz"], **SMALL).fit(np.ones((3, 64)))
    assert one.on_scalp_
    assert one.channel_names_in_ == ["Fz"]
    with pytest.warns(UserWarning, match=r"read as \(recording, channel, time\): 40 channels of 20 steps"):
        LuMambaEncoder(max_epochs=0, **SMALL).fit(np.random.default_rng(0).normal(size=(2, 40, 20)))
    with pytest.warns(UserWarning, match=r"X\[0\] of shape \(4, 64\) was read as \(time, channel\)"):
        LuMambaEncoder(max_epochs=0, **SMALL).fit([np.ones((4, 64))] * 2)
    with pytest.warns(UserWarning, match="read as 900 recordings of 8 samples"):
        LuMambaEncoder(max_epochs=0, **SMALL).fit(np.ones((900, 8)))
    frame = pd.DataFrame(np.ones((64, 2)), index=np.arange(64) * 8, columns=["Fz", "Cz"])
    for X in ([frame, frame], pd.concat([frame, frame], keys=[0, 1])):
        with pytest.warns(UserWarning, match="2 of its 2 recordings, the first 0, are whole numbers 8 apart") as told:
            LuMambaEncoder(max_epochs=0, **SMALL).fit(X)
        assert len(told) == 1


def test_what_is_said_of_arrays_and_times_is_true():
    # Names for each channel tell which axis is which.
    names = [*CAP, *(f"C{number}" for number in (5, 6))]
    wide = np.random.default_rng(0).normal(size=(2, len(names), 5))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        LuMambaEncoder(max_epochs=0, ch_names=names, **SMALL).fit(wide)
        assert not [warning for warning in told if "If time comes second" in str(warning.message)]
        # Disorder is no sampling rate: the error tells all there is to tell.
        told.clear()
        frame = pd.DataFrame(np.ones((8, 2)), index=np.arange(8)[::-1], columns=["Fz", "Cz"])
        with pytest.raises(ValueError, match="not in order of time"):
            LuMambaEncoder(max_epochs=0, **SMALL).fit([frame])
        assert not told


def test_a_recording_is_silent_if_its_known_electrodes_are():
    X = recordings(2, ["Cz", "EOG"])
    encoder = LuMambaEncoder(max_epochs=0, drop_unknown=True, **SMALL)
    with pytest.warns(UserWarning, match="were left out"):
        encoder.fit(X)
    X[1]["Cz"] = np.nan
    silent = "1 of 2 recordings have no observed value, the first is 1"
    with pytest.warns(UserWarning, match="were left out"), pytest.warns(UserWarning, match=silent):
        encoder.transform(X)


def test_a_score_reads_the_recordings_once(fitted):
    X = recordings(8)
    classifier = LuMambaClassifier(fitted, freeze=True, max_epochs=1, random_state=0).fit(X, LABELS)
    X[2] = X[2] * np.nan
    with pytest.warns(UserWarning, match="1 of 8 recordings have no observed value") as told:
        score = classifier.score(X, LABELS, np.arange(8))
    assert len(told) == 1
    with pytest.warns(UserWarning, match="no observed value"):
        right = classifier.predict(X) == LABELS
    assert score == pytest.approx(np.average(right, weights=np.arange(8)))


def test_channels_without_names_are_told_where_electrodes_were_learned_from(fitted):
    with pytest.raises(ValueError, match="X: its channels have no names, those of fit had"):
        fitted.transform(np.zeros((2, 2, 64)))
    with pytest.raises(ValueError, match="X: its channels have no names, those of fit had"):
        fitted.transform(np.zeros((2, 64)))


def test_unknown_electrodes_are_refused_before_filters_take_their_time(monkeypatch):
    monkeypatch.setattr(_recordings, "band_pass_array", lambda *_: pytest.fail("filtered first"))
    with pytest.raises(ValueError, match="no known position: 'EOG'"):
        LuMambaEncoder(max_epochs=0, band=(1.0, 40.0), **SMALL).fit(recordings(2, ["Cz", "EOG"]))


def test_rows_of_tables_of_tokens_follow_the_recordings(fitted):
    X = [*recordings(2), *recordings(1, ["Cz", "Pz"]), *recordings(1)]
    for answer in (fitted.get_attention, fitted.reconstruct):
        whole = answer(X)
        assert whole.index.get_level_values(0).unique().tolist() == [0, 1, 2, 3]
        for number, one in enumerate(X):
            alone = answer([one])
            pd.testing.assert_frame_equal(whole.loc[number][alone.columns], alone.loc[0])
