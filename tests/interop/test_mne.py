"""MNE-Python: units, names, epochs, files and annotations there and back."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from tsrec import LuMambaEncoder
from tsrec.frames import (
    band_pass,
    canonical_name,
    electrode_positions,
    laplacian,
    on_unit_sphere,
    read_recordings,
    recording,
    sampling_rate,
    windows,
)

mne = pytest.importorskip("mne")

from tsrec.interop.mne import annotate, montage_positions, read_edf, to_annotations, to_frames  # noqa: E402

CLINICAL = "Fp1 Fp2 F3 F4 C3 C4 P3 P4 O1 O2 F7 F8 T3 T4 T5 T6"


def raw_of(names=("Cz", "Pz", "EOG1", "STI"), kinds=("eeg", "eeg", "eog", "stim"), n=40, rate=8.0, first=0):
    values = np.random.default_rng(0).normal(size=(len(names), n)) * 1e-5
    info = mne.create_info(list(names), rate, list(kinds))
    return mne.io.RawArray(values, info, first_samp=first, verbose="error")


def test_a_raw_becomes_a_frame_in_microvolts():
    raw = raw_of()
    frame = to_frames(raw)
    assert list(frame.columns) == ["Cz", "Pz"]
    assert frame.index.name == "time"
    assert frame.attrs == {"sfreq": 8.0}
    np.testing.assert_allclose(frame.to_numpy().T, raw.get_data(picks=["Cz", "Pz"]) * 1e6, rtol=1e-12)
    np.testing.assert_array_equal(frame.index, raw.times)
    assert sampling_rate(frame.index) == 8.0
    # MNE's own frames agree, and only channels measured in volts are scaled.
    theirs = raw.to_data_frame(verbose="error").set_index("time")
    every = to_frames(raw, picks="all")
    np.testing.assert_allclose(every[["Cz", "Pz", "EOG1"]], theirs[["Cz", "Pz", "EOG1"]], rtol=1e-9)
    np.testing.assert_array_equal(every["STI"], raw.get_data(picks=["STI"])[0])
    back = mne.io.RawArray(frame.to_numpy().T / 1e6, mne.create_info(list(frame), 8.0, "eeg"), verbose="error")
    np.testing.assert_allclose(back.get_data(), raw.get_data(picks="eeg"), rtol=1e-12)


def test_picks_leave_out_bad_channels_unless_named():
    raw = raw_of()
    raw.info["bads"] = ["Cz"]
    before = raw.get_data().copy()
    assert list(to_frames(raw)) == ["Pz"]
    assert list(to_frames(raw, picks=["Pz", "Cz"])) == ["Pz", "Cz"]
    assert list(to_frames(raw, picks=["eeg", "eog"])) == ["Pz", "EOG1"]
    assert raw.ch_names == ["Cz", "Pz", "EOG1", "STI"]
    np.testing.assert_array_equal(raw.get_data(), before)
    with pytest.raises(
        ValueError, match=r"picks: 'mag' chooses no channel.*'eeg', 'eog', 'stim'.*bad ones are \['Cz'\]"
    ):
        to_frames(raw, picks="mag")
    with pytest.raises(ValueError, match=r"picks: \['Oz'\] chooses no channel"):
        to_frames(raw, picks=["Oz"])
    raw.info["bads"] = ["Cz", "Pz"]
    with pytest.raises(ValueError, match="picks: 'eeg' chooses no channel"):
        to_frames(raw)


def test_bad_spans_become_missing_values():
    raw = raw_of().set_annotations(mne.Annotations([1.0, 3.0], [0.5, 0.5], ["BAD_move", "fine"]))
    assert not to_frames(raw).isna().to_numpy().any()
    gone = to_frames(raw, reject_by_annotation="NaN").isna().all(axis=1)
    assert gone.index[gone].tolist() == [1.0, 1.125, 1.25, 1.375]
    with pytest.raises(ValueError, match="reject_by_annotation: found 'omit'"):
        to_frames(raw, reject_by_annotation="omit")


def epochs_of(raw, **kw):
    events = np.c_[[8, 16, 24], [0] * 3, [1, 2, 1]]
    return mne.Epochs(raw, events, tmin=-0.25, tmax=0.5, baseline=None, preload=True, verbose="error", **kw)


def test_epochs_become_a_panel():
    epochs = epochs_of(raw_of())
    panel = to_frames(epochs)
    assert panel.index.names == ["epoch", "time"]
    assert panel.attrs == {"sfreq": 8.0}
    (group,) = read_recordings(panel).groups
    assert (group.channels, group.rate) == (("Cz", "Pz"), 8.0)
    np.testing.assert_allclose(group.values, epochs.get_data(picks="eeg") * 1e6, rtol=1e-12)
    np.testing.assert_array_equal(panel.loc[1].index, epochs.times)
    # Numbers are those of the events, so that labels are found when epochs have been dropped.
    assert to_frames(epochs.drop([0], verbose="error")).index.levels[0].tolist() == [1, 2]
    twice = mne.concatenate_epochs([epochs, epochs], verbose="error")
    assert to_frames(twice).index.get_level_values(0).nunique() == 4
    twice.selection = np.array([1, 2, 1, 2])
    assert to_frames(twice).index.levels[0].tolist() == [0, 1, 2, 3]


def test_lists_become_one_list_of_frames():
    raw, epochs = raw_of(), epochs_of(raw_of())
    frames = to_frames([raw, epochs])
    assert len(frames) == 4
    pd.testing.assert_frame_equal(frames[0], to_frames(raw))
    pd.testing.assert_frame_equal(frames[2], to_frames(epochs).loc[1])
    assert all(frame.attrs == {"sfreq": 8.0} for frame in frames)
    assert read_recordings(frames).lengths.tolist() == [40, 7, 7, 7]
    evoked = epochs.average(picks="eeg")
    np.testing.assert_allclose(to_frames(evoked).to_numpy().T, evoked.data * 1e6)
    with pytest.raises(TypeError, match=r"data: expected a Raw.*found ndarray"):
        to_frames(np.zeros((2, 3)))


def edf(path, names, values, rate, peak=500.0):
    """Writes European Data Format: a text header, then records of one second of 16-bit integers per channel."""
    n, seconds = len(names), values.shape[1] // rate

    def fields(texts, width):
        return "".join(f"{text:<{width}}" for text in texts)

    head = (
        fields(["0"], 8) + fields(["X X X X", "Startdate 01-JAN-2024 X X X"], 80) + fields(["01.01.24", "12.00.00"], 8)
    )
    head += fields([256 * (n + 1)], 8) + fields([""], 44) + fields([seconds, 1], 8) + fields([n], 4)
    head += fields(names, 16) + fields([""] * n, 80) + fields(["uV"] * n, 8) + fields([-peak] * n, 8)
    head += fields([peak] * n, 8) + fields([-32768] * n, 8) + fields([32767] * n, 8)
    head += fields([""] * n, 80) + fields([rate] * n, 8) + fields([""] * n, 32)
    digital = np.rint((values + peak) / (2 * peak) * 65535 - 32768).astype("<i2")
    records = digital.reshape(n, seconds, rate).transpose(1, 0, 2)
    path.write_bytes(head.encode("ascii") + records.tobytes())


def test_edf_files(tmp_path):
    names = [f"EEG {name}" for name in CLINICAL.split()]
    values = np.random.default_rng(0).uniform(-400, 400, (16, 512))
    edf(tmp_path / "a.edf", names, values, 256)
    frame = read_edf(tmp_path / "a.edf")
    assert list(frame.columns) == names
    assert frame.attrs == {"sfreq": 256.0}
    np.testing.assert_allclose(frame.to_numpy().T, values, atol=1000 / 65535)
    assert canonical_name(frame.columns[-1]) == "P8"
    assert electrode_positions(frame.columns).shape == (16, 3)
    some = read_edf(str(tmp_path / "a.edf"), exclude=["EEG T3"], eog=["EEG Fp1"])
    assert list(some.columns) == [name for name in names if name not in ("EEG T3", "EEG Fp1")]


def test_positions_of_a_montage():
    raw = raw_of(["Cz", "C3", "C4", "Fz", "Oz", "T7"], ["eeg"] * 6).set_montage("fsaverage_1005")
    for data in (raw, raw.info):
        positions = montage_positions(data)
        assert list(positions) == raw.ch_names
    assert all(isinstance(value, float) for point in positions.values() for value in point)
    own = on_unit_sphere(electrode_positions(raw.ch_names, positions))
    # Head coordinates: x right, y nose, z up, as in the built-in table, though with another origin.
    assert np.abs(own - electrode_positions(raw.ch_names)).max() < 0.5
    assert positions["C3"][0] < 0 < positions["C4"][0]
    assert positions["Oz"][1] < 0 < positions["Fz"][1]
    assert len(montage_positions(mne.channels.make_standard_montage("biosemi16"))) == 16
    with pytest.raises(ValueError, match=r"data: it has no positions of electrodes.*set_montage"):
        montage_positions(raw_of())


def spans(annotations):
    return list(
        zip(annotations.onset.tolist(), annotations.duration.tolist(), annotations.description.tolist(), strict=True)
    )


def test_labels_become_annotations():
    labels = ["a", "a", "b", "a", "a", "a"]
    assert spans(to_annotations(labels, window=2)) == [(0, 4, "a"), (4, 2, "b"), (6, 6, "a")]
    # Windows that overlap: each run from its first start to its last end.
    assert spans(to_annotations(labels, window=2, step=0.5)) == [(0, 2.5, "a"), (1, 2, "b"), (1.5, 3, "a")]
    # Nothing is said of the time between windows that do not touch.
    assert spans(to_annotations(labels[:3], window=2, step=3)) == [(0, 2, "a"), (3, 2, "a"), (6, 2, "b")]
    each = to_annotations(labels, window=2, merge=False, first=10)
    assert spans(each) == [(10 + 2 * k, 2, label) for k, label in enumerate(labels)]
    assert each.orig_time is None
    assert spans(to_annotations(labels, window=2, ignore=["a"])) == [(4, 2, "b")]


def test_labels_of_any_container():
    expected = [(0, 1, "1"), (1, 1, "0"), (3, 1, "1")]
    assert spans(to_annotations(np.array([1, 0, 9, 1]), window=1, ignore={9})) == expected
    assert spans(to_annotations(pd.Series([1, 0, 9, 1], index=list("abcd")), window=1, ignore={9})) == expected
    assert spans(to_annotations(pd.Series([1, 0, None, 1], dtype="Int64"), window=1)) == expected
    assert spans(to_annotations(["x", None, "x", np.nan], window=1)) == [(0, 1, "x"), (2, 1, "x")]
    assert spans(to_annotations([True, True], window=1)) == [(0, 2, "True")]
    assert len(to_annotations([], window=1)) == 0
    assert len(to_annotations(["x"], window=1, ignore=["x"])) == 0
    with pytest.raises(ValueError, match=r"labels: found 2 dimensions \(shape \(2, 2\)\)"):
        to_annotations(np.eye(2), window=1)
    for wrong in ({"window": 0}, {"window": 1, "step": -1}, {"window": np.nan}):
        with pytest.raises(ValueError, match="window, step: found"):
            to_annotations(["x"], **wrong)


@pytest.mark.parametrize("measured", [None, 1_700_000_000])
@pytest.mark.parametrize("first_sample", [0, 16])
def test_a_recording_is_annotated_where_its_windows_were(measured, first_sample):
    raw = raw_of(first=first_sample)
    raw.set_meas_date(measured)
    raw.set_annotations(mne.Annotations([0.5], [0.25], ["BAD_old"]))
    before = spans(raw.annotations)
    found = annotate(raw, pd.Series(["a", "a", "b"]), window=1.5, step=1.0, first=0.25)
    assert spans(raw.annotations) == before
    assert found.annotations.orig_time == raw.annotations.orig_time
    # Seconds since the first sample, as in the frame's index, whatever the recorder's clock.
    seen = [(onset - raw.first_time, duration, name) for onset, duration, name in spans(found.annotations)]
    assert sorted(seen) == [(0.25, 2.5, "a"), (0.5, 0.25, "BAD_old"), (2.25, 1.5, "b")]
    cut = found.copy().crop(2.25, 3.0)
    assert "b" in cut.annotations.description


def test_windows_to_the_last_sample_are_annotated_without_warning():
    rate = 128.0
    raw = raw_of(["Cz"], ["eeg"], n=1000, rate=rate)
    cut = windows(to_frames(raw), 100, 30)
    labels = (np.arange(cut.index[-1][0] + 1) % 3).astype(str)
    found = annotate(raw, labels, window=100 / rate, step=30 / rate)
    assert len(found.annotations) == len(labels)
    last = found.annotations.onset[-1] + found.annotations.duration[-1]
    assert last == pytest.approx(1000 / rate)
    with pytest.raises(ValueError, match=r"labels: the windows of 31 labels begin from 0 to .* lasts 7\.8125 s"):
        annotate(raw, ["x"] * 31, window=100 / rate, step=100 / rate)


def test_labels_that_end_before_the_recording_are_told_of_unless_they_say_of_which_windows_they_are():
    raw = raw_of(["Cz"], ["eeg"], n=1000, rate=100.0)
    with pytest.warns(UserWarning, match=r"labels: 3 labels, but 5 windows of 2 s fit into the recording"):
        annotate(raw, ["a", "b", "c"], window=2.0)
    some = pd.Series(["a", "c"], index=[0, 4])
    assert annotate(raw, some, window=2.0).annotations.onset.tolist() == [0.0, 8.0]
    with pytest.raises(ValueError, match=r"labels: the windows of 2 labels begin from 0 to 10 s"):
        annotate(raw, some.set_axis([0, 5]), window=2.0)
    with pytest.raises(ValueError, match=r"labels: the windows of 2 labels begin from -2 to 4 s"):
        annotate(raw, some.set_axis([-1, 2]), window=2.0)


def test_a_missing_installation_says_how_to_mend_it():
    code = (
        "import sys; sys.modules['mne'] = None\n"
        "import tsrec\n"
        "try: tsrec.interop.mne.to_frames(0)\n"
        "except ImportError as error: print(error)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "pip install 'tsrec[eeg]'" in shown


def test_the_adapter_is_loaded_without_mne():
    code = "import sys, tsrec; tsrec.interop.mne; print('mne' in sys.modules, 'torch' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "False False"
    import tsrec.interop

    assert "mne" in dir(tsrec.interop)
    with pytest.raises(AttributeError, match="no attribute 'absent'"):
        tsrec.interop.absent  # noqa: B018


def test_a_recording_made_here_goes_to_mne_and_back():
    frame = recording(np.random.default_rng(0).normal(size=(2, 50)), ["C3", "C4"], 128)
    info = mne.create_info(list(frame.columns), frame.attrs["sfreq"], "eeg")
    back = to_frames(mne.io.RawArray(frame.to_numpy().T * 1e-6, info, verbose="error"))
    pd.testing.assert_frame_equal(back, frame, rtol=1e-12)
    assert back.attrs == frame.attrs


def test_a_series_says_which_windows_it_is_of():
    labels = pd.Series(["a", "a", "b", "a"], index=[4, 5, 7, 0])
    found = to_annotations(labels, window=2.0)
    assert found.onset.tolist() == [0.0, 8.0, 14.0]
    assert found.duration.tolist() == [2.0, 4.0, 2.0]
    assert found.description.tolist() == ["a", "a", "b"]
    by_place = to_annotations(labels.set_axis(list("wxyz")), window=2.0)
    assert by_place.onset.tolist() == [0.0, 4.0, 6.0]
    with pytest.raises(ValueError, match="labels: its index names window 4 twice"):
        to_annotations(pd.Series(["a", "b"], index=[4, 4]), window=2.0)


def test_estimators_say_how_objects_of_mne_become_frames():
    raw = mne.io.RawArray(np.zeros((2, 512)), mne.create_info(["Cz", "Pz"], 256.0, "eeg"), verbose="error")
    epochs = mne.make_fixed_length_epochs(raw, 1.0, preload=True, verbose="error")
    encoder = LuMambaEncoder(width=16, n_queries=2, n_layers=1, max_epochs=0)
    for given in (raw, [raw, raw], epochs, {"a": raw}, [to_frames(raw), raw]):
        with pytest.raises(TypeError, match=r"tsrec\.interop\.mne\.to_frames makes frames of it"):
            encoder.fit(given)
    for given, change in ((raw, lambda x: windows(x, 10)), (raw, lambda x: band_pass(x, 1, 2)), (epochs, laplacian)):
        with pytest.raises(TypeError, match=r"tsrec\.interop\.mne\.to_frames makes frames of it"):
            change(given)
    with pytest.raises(TypeError, match="raw: expected a Raw of MNE, found DataFrame"):
        annotate(to_frames(raw), ["rest"], window=2.0)
    assert encoder.fit(to_frames(epochs)).channel_names_in_ == ["Cz", "Pz"]
