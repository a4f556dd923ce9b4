"""LuMamba estimators: any montage, units, rates, heads, streams, files."""

import numpy as np
import pandas as pd
import pytest

from tsrec import LuMambaEncoder
from tsrec.frames import recording

SMALL = {"width": 16, "n_queries": 2, "n_layers": 1, "patch_size": 16, "sfreq": 128.0, "window": 1.0, "random_state": 0}
CAP = ["Fp1", "Fp2", "C3", "C4", "O1", "O2"]


def signals(n_channels, seconds=2.0, rate=128.0, *, seed=0, pace=10.0):
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    waves = np.sin(2 * np.pi * pace * time + rng.uniform(0, 6, n_channels)[:, None])
    return 20 * waves + rng.normal(size=waves.shape)


def recordings(n=4, channels=CAP, **options):
    return [
        recording(signals(len(channels), seed=i, **options), channels, options.get("rate", 128.0)) for i in range(n)
    ]


@pytest.fixture(scope="module")
def fitted():
    return LuMambaEncoder(max_epochs=2, **SMALL).fit(recordings())


def test_one_encoder_takes_every_montage(fitted):
    mixed = [
        *recordings(1),
        recording(signals(3), ["EEG T3-REF", "Fc5.", "PZ"], 128),
        recording(signals(2), ["FP1-F7", "T5-O1"], 128),
        recording(signals(1, seconds=0.05), ["Cz"], 128),
    ]
    found = fitted.transform(mixed)
    assert found.shape == (4, 32)
    assert np.isfinite(found).all()
    # Each answer is that of the recording alone.
    for i, one in enumerate(mixed):
        np.testing.assert_array_equal(fitted.transform([one])[0], found[i])


def test_names_and_order_of_channels_do_not_count(fitted):
    frame = recordings(1)[0][["Fp1", "C3", "O1"]]
    found = fitted.transform([frame])
    renamed = frame[["O1", "C3", "Fp1"]].set_axis(["EEG O1-LE", "c3.", "FP1-REF"], axis=1)
    np.testing.assert_allclose(fitted.transform([renamed]), found, rtol=1e-4, atol=1e-5)


def test_containers_of_recordings_give_the_same(fitted):
    frames = recordings(3)
    found = fitted.transform(frames)
    named = fitted.transform({"a": frames[0], "b": frames[1], "c": frames[2]})
    assert named.index.tolist() == ["a", "b", "c"]
    assert named.columns.tolist() == fitted.get_feature_names_out().tolist()
    np.testing.assert_array_equal(named, found)
    panel = fitted.transform(pd.concat(dict(zip("abc", frames, strict=True)), names=["who"]))
    np.testing.assert_array_equal(panel, found)
    assert panel.index.name == "who"
    cube = np.stack([frame.to_numpy().T for frame in frames])
    own = LuMambaEncoder(max_epochs=2, ch_names=CAP, **SMALL).fit(np.stack([f.to_numpy().T for f in recordings()]))
    np.testing.assert_allclose(own.transform(cube), found, atol=1e-5)


def test_channels_that_a_panel_lacks_are_no_part_of_a_recording(fitted):
    frames = recordings(2)
    panel = pd.concat({"a": frames[0], "b": frames[1][["C3", "C4"]]})
    np.testing.assert_array_equal(fitted.transform(panel), fitted.transform([frames[0], frames[1][["C3", "C4"]]]))


def test_recordings_of_another_rate_are_resampled(fitted):
    fast = recording(signals(6, rate=512.0, seed=3, pace=6.0), CAP, 512)
    # The same waves, sampled at the encoder's rate.
    tokens = fitted.transform_tokens([fast])
    assert len(tokens) == 16
    assert tokens.index.get_level_values("time").tolist() == [i * 0.125 for i in range(16)]
    from tsrec.frames import resample

    np.testing.assert_allclose(fitted.transform([resample(fast, 128)]), fitted.transform([fast]), atol=1e-4)


def test_filters_are_those_of_frames(fitted):
    from tsrec.frames import band_pass, notch

    frames = recordings(3)
    own = LuMambaEncoder(max_epochs=1, band=(4, 30), notch=50, **SMALL).fit(frames)
    filtered = [notch(band_pass(frame, 4, 30), 50) for frame in frames]
    plain = LuMambaEncoder(max_epochs=1, **SMALL).fit(filtered)
    np.testing.assert_allclose(plain.transform(filtered), own.transform(frames), atol=1e-4)


def test_level_and_scale_of_channels_do_not_count(fitted):
    frame = recordings(1)[0]
    other = 4000 + frame * np.array([1, 2, 3, 0.5, 1e3, 1e-6])
    np.testing.assert_allclose(fitted.transform([other]), fitted.transform([frame]), rtol=1e-2, atol=1e-3)


def test_answers_stay_finite_whatever_is_recorded(fitted):
    frame = recordings(1)[0]
    frame["C3"], frame["C4"] = 7.0, np.nan
    frame.loc[0.5:0.7, "O1"] = np.nan
    frame.iloc[3, 0] = 7e5
    assert np.isfinite(fitted.transform([frame])).all()
    silent = frame * np.nan
    with pytest.warns(UserWarning, match="1 of 2 recordings have no observed value, the first is 1"):
        assert np.isfinite(fitted.transform([frame, silent])).all()


def test_tokens_attention_and_reconstruction_are_frames(fitted):
    frames = {"a": recordings(1)[0], "b": recordings(1, ["Cz", "Pz"], seconds=1.0)[0]}
    tokens = fitted.transform_tokens(frames)
    assert tokens.shape == (16 + 8, 32)
    np.testing.assert_allclose(tokens.groupby(level=0).mean(), fitted.transform(frames), atol=1e-6)
    attention = fitted.get_attention(frames)
    assert attention.index.names == ["recording", "time", "query"]
    assert attention.columns.tolist() == [*CAP, "Cz", "Pz"]
    assert len(attention) == (16 + 8) * 2
    np.testing.assert_allclose(attention.sum(axis=1), 1, atol=1e-5)
    assert attention.loc["b", CAP].isna().all(axis=None)
    again = fitted.reconstruct(frames)
    assert again.loc["a"].shape == (256, 8)
    assert again.loc["b", ["Cz", "Pz"]].notna().all(axis=None)
    assert again.loc["b", CAP].isna().all(axis=None)


def test_reconstructions_are_in_the_units_of_the_recording():
    frames = recordings()
    encoder = LuMambaEncoder(max_epochs=3, **SMALL).fit(frames)
    found = encoder.reconstruct(frames[:1])
    assert (found - 4).abs().mean(axis=None) < 100
    other = encoder.reconstruct([100 * frames[0] + 4000])
    np.testing.assert_allclose(other, 100 * found + 4000, rtol=1e-4, atol=0.5)
    hidden = np.zeros((6, 16), dtype=bool)
    hidden[2, 5] = True
    other = frames[0].copy()
    other.iloc[80:96, 2] = other.iloc[80:96, 2].to_numpy()[::-1]
    a, b = (encoder.reconstruct([frame], hidden).to_numpy() for frame in (frames[0], other))
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=0.5)
    assert encoder.reconstruct(frames[:1], 0.5).shape == found.shape
    running = LuMambaEncoder(max_epochs=0, normalisation="running", **SMALL).fit(frames)
    assert running.reconstruct(frames[:1]).notna().all(axis=None)


def test_losses_are_kept_term_by_term(fitted):
    names = ["masked_loss", "visible_loss", "queries_loss", "prediction_loss", "sigreg_loss"]
    assert fitted.history_.columns.tolist()[-5:] == names
    assert len(fitted.history_) == fitted.n_epochs_ == 2
    np.testing.assert_allclose(fitted.history_[names].sum(axis=1), fitted.history_["loss"])
    alone = LuMambaEncoder(max_epochs=1, lejepa_weight=0.0, **SMALL).fit(recordings())
    assert alone.history_.columns.tolist()[-3:] == names[:3]


def test_unknown_channels_are_listed_or_dropped(fitted):
    frame = recordings(1)[0].assign(ECG=1.0, status=2.0)
    with pytest.raises(ValueError, match=r"ECG.*status"):
        fitted.transform([frame])
    with pytest.raises(ValueError, match=r"ECG.*status"):
        LuMambaEncoder(**SMALL).fit([frame])
    frames = [one.assign(ECG=1.0, status=2.0) for one in recordings()]
    with pytest.warns(UserWarning, match=r"channels \['ECG', 'status'\] are no known electrodes and were left out"):
        dropping = LuMambaEncoder(max_epochs=2, drop_unknown=True, **SMALL).fit(frames)
    with pytest.warns(UserWarning, match="were left out"):
        found = dropping.transform([frame])
    np.testing.assert_array_equal(found, fitted.transform(recordings(1)))
    with pytest.raises(ValueError, match="none of the channels"):
        dropping.transform([frame[["ECG"]]])


def test_positions_of_ones_own(fitted):
    from tsrec.frames import electrode_positions

    table = electrode_positions(CAP)
    own = {f"E{i}": 92 * place + [0, 10, 40] for i, place in enumerate(table)}
    frames = [frame.set_axis(list(own), axis=1) for frame in recordings()]
    encoder = LuMambaEncoder(max_epochs=2, positions=own, **SMALL).fit(frames)
    np.testing.assert_allclose(encoder.transform(frames), fitted.transform(recordings()), rtol=0.05, atol=0.05)
    with pytest.raises(ValueError, match="Fp1"):
        encoder.transform(recordings())


def test_on_no_scalp_channels_are_those_of_fit():
    cube = np.stack([signals(3, seed=i) for i in range(4)])
    encoder = LuMambaEncoder(max_epochs=1, **SMALL).fit(cube)
    assert encoder.channel_names_in_ == ["x0", "x1", "x2"]
    assert not encoder.on_scalp_
    assert encoder.normalisation_ == "channel"
    # A vector for each channel tells them apart.
    assert not np.allclose(encoder.transform(cube[:, ::-1]), encoder.transform(cube), atol=1e-3)
    with pytest.raises(ValueError, match=r"channels \['x3'\] were not there in fit"):
        encoder.transform(np.zeros((2, 4, 64)))
    frames = [recording(one, ["pulse", "breath", "skin"], 128) for one in cube]
    named = LuMambaEncoder(max_epochs=1, positions="none", **SMALL).fit(frames)
    assert named.channel_names_in_ == ["pulse", "breath", "skin"]
    turned = [frame[["skin", "pulse", "breath"]] for frame in frames]
    np.testing.assert_allclose(named.transform(turned), named.transform(frames), rtol=1e-3, atol=1e-4)
    with pytest.raises(ValueError, match="those of fit had none"):
        encoder.transform(recordings())


def test_units_by_channel_are_those_of_fit():
    frames = [frame * [1, 1, 10, 1, 1, 1] + [0, 5, 0, 0, 0, 0] for frame in recordings()]
    encoder = LuMambaEncoder(max_epochs=0, normalisation="channel", **SMALL).fit(frames)
    stacked = pd.concat(frames)
    np.testing.assert_allclose(encoder.center_, stacked.mean())
    np.testing.assert_allclose(encoder.spread_, stacked.std(ddof=0))
    loud = [3 * frame for frame in frames]
    assert not np.allclose(encoder.transform(loud), encoder.transform(frames), atol=1e-2)
    with pytest.raises(ValueError, match=r"channels \['Cz'\] were not there in fit"):
        encoder.transform(recordings(1, ["Cz"]))


def test_with_a_shared_unit_loud_places_stay_loud():
    frames = [frame * [1, 1, 10, 1, 1, 1] + [0, 5, 0, 0, 0, 0] for frame in recordings()]
    encoder = LuMambaEncoder(max_epochs=0, normalisation="shared", **SMALL).fit(frames)
    sizes = np.stack([frame.std(ddof=0) for frame in frames])
    np.testing.assert_allclose(encoder.spread_, np.median(sizes))
    assert not np.allclose(encoder.transform([3 * frames[0]]), encoder.transform(frames[:1]), atol=1e-2)
    np.testing.assert_allclose(encoder.transform([frames[0] + 7]), encoder.transform(frames[:1]), atol=1e-4)
    assert np.isfinite(encoder.transform(recordings(1, ["Cz", "P3-O1"]))).all()
    silent = LuMambaEncoder(max_epochs=0, normalisation="shared", **SMALL).fit([frame * 0 for frame in frames])
    assert (silent.spread_ == 1).all()


def test_a_stream_gives_the_tokens_of_the_whole():
    frames = recordings(3)
    causal = {"bidirectional": False, "normalisation": "running"}
    encoder = LuMambaEncoder(max_epochs=1, **causal, **SMALL).fit(frames)
    whole = encoder.transform_tokens(frames[:1]).loc[0]
    stream = encoder.stream(CAP)
    rows = frames[0].to_numpy()
    parts = [stream.push(rows[:5]), stream.push(rows[5:50]), stream.push(frames[0].iloc[50:])]
    assert [len(part) for part in parts] == [0, 3, 13]
    found = pd.concat(parts)
    np.testing.assert_allclose(found, whole, rtol=1e-4, atol=1e-5)
    assert found.index.tolist() == whole.index.tolist()
    for bad, message in (
        (rows[:, :2], "found shape"),
        (frames[0][CAP[::-1]], "its columns are"),
        (np.full((3, 6), np.inf), "infinite"),
    ):
        with pytest.raises(ValueError, match=message):
            stream.push(bad)


@pytest.mark.parametrize(
    "options", [{}, {"bidirectional": False}, {"bidirectional": False, "normalisation": None, "band": (1, 20)}]
)
def test_what_depends_on_later_samples_has_no_stream(options):
    encoder = LuMambaEncoder(max_epochs=0, **{**SMALL, **options}).fit(recordings())
    with pytest.raises(ValueError, match="depend on what comes later"):
        encoder.stream(CAP)


def test_the_same_seed_gives_the_same_and_the_global_state_stays():
    import torch

    frames = recordings()
    before = torch.random.get_rng_state()
    a, b = (LuMambaEncoder(max_epochs=1, **SMALL).fit(frames).transform(frames) for _ in range(2))
    np.testing.assert_array_equal(a, b)
    assert torch.equal(torch.random.get_rng_state(), before)
    other = LuMambaEncoder(max_epochs=1, **{**SMALL, "random_state": 1}).fit(frames).transform(frames)
    assert not np.allclose(other, a)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": "huge"}, "size: found 'huge'"),
        ({"size": None, "width": None}, "width: found None"),
        ({"width": 24}, "width: found 24. Give a multiple of 16"),
        ({"patch_size": 10}, "patch_size: found 10. Give a multiple of 4"),
        ({"n_heads": 3}, "n_heads: found 3"),
        ({"band": 30}, "band: found 30"),
        ({"band": (30, 4)}, "low"),
        ({"notch": -50}, "notch: found -50"),
        ({"positions": "10-20"}, "positions: found '10-20'"),
        ({"mask_ratio": 1.0}, "mask_ratio: found 1.0"),
        ({"merge": "mean"}, "merge: found 'mean'"),
        ({"normalisation": "series"}, "normalisation: found 'series'"),
        ({"sfreq": 0}, "sfreq: found 0"),
        ({"lejepa_weight": -1}, "lejepa_weight: found -1"),
        ({"local_patches": 0}, "local_patches: found 0"),
        ({"ch_names": ["Cz"]}, "ch_names"),
    ],
    ids=str,
)
def test_parameters_that_cannot_be_used_are_told(options, message):
    X = np.zeros((2, 2, 64)) if "ch_names" in options else recordings(2)
    with pytest.raises(ValueError, match=message):
        LuMambaEncoder(max_epochs=0, **{**SMALL, **options}).fit(X)


def test_masks_that_do_not_fit_are_told(fitted):
    with pytest.raises(ValueError, match=r"mask: found bool of shape \(2, 2\). Give bools of shape \(6, 16\)"):
        fitted.reconstruct(recordings(1), np.zeros((2, 2), dtype=bool))
    with pytest.raises(ValueError, match=r"mask: found 1\.5"):
        fitted.reconstruct(recordings(1), 1.5)


def test_what_is_refused_leaves_an_earlier_fit_as_it_was(fitted):
    before = fitted.transform(recordings(1))
    with pytest.raises(ValueError, match="NotAnElectrode"):
        fitted.fit([recording(signals(1), ["NotAnElectrode"], 128)])
    np.testing.assert_array_equal(fitted.transform(recordings(1)), before)
    with pytest.raises((TypeError, ValueError), match=r"windows\(|\[recording\]|list"):
        fitted.transform(recordings(1)[0])
