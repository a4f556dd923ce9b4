"""What channels are measured against: bipolar pairs, the mean of all, neighbours."""

import numpy as np
import pandas as pd
import pytest

from tsrec.frames import TCP_PAIRS, average_reference, bipolar, canonical_name, laplacian, recording


def referential(n=5):
    names = "FP1 FP2 F3 F4 C3 C4 P3 P4 O1 O2 F7 F8 T3 T4 T5 T6 A1 A2 CZ FZ PZ"
    names = [f"EEG {name}-REF" for name in names.split()]
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(n, 21)), pd.Index(np.arange(n) / 4, name="time"), names)
    frame.attrs["sfreq"] = 4.0
    return frame


def test_the_standard_bipolar_montage():
    written = "FP1-F7 F7-T3 T3-T5 T5-O1 FP2-F8 F8-T4 T4-T6 T6-O2 T3-C3 C3-CZ CZ-C4 C4-T4 FP1-F3 F3-C3 C3-P3 P3-O1 "
    written = (written + "FP2-F4 F4-C4 C4-P4 P4-O2 A1-T3 T4-A2").split()
    assert ["-".join(pair) for pair in TCP_PAIRS] == [canonical_name(name) for name in written]
    frame = referential()
    pairs = bipolar(frame)
    assert list(pairs.columns) == ["-".join(pair) for pair in TCP_PAIRS]
    for name, column in zip(written, pairs.columns, strict=True):
        plus, minus = (frame[f"EEG {part}-REF"] for part in name.split("-"))
        np.testing.assert_array_equal(pairs[column], plus - minus)
    assert pairs.attrs == {"sfreq": 4.0}
    assert pairs.index.equals(frame.index)
    # What is written as text is read as pairs; a common reference drops out.
    pd.testing.assert_frame_equal(bipolar(frame + 3.0, written), pairs)


def test_bipolar_says_what_is_missing():
    frame = referential().drop(columns=["EEG A1-REF", "EEG A2-REF"])
    with pytest.raises(ValueError, match=r"lacks the electrodes A1, A2; 20 of the 22 pairs.*pairs=TCP_PAIRS\[:20\]"):
        bipolar(frame)
    assert bipolar(frame, TCP_PAIRS[:20]).shape == (5, 20)
    with pytest.raises(ValueError, match="'T7' and 'EEG T3-REF' are both T7"):
        bipolar(pd.concat([frame[["EEG C3-REF"]].rename(columns=lambda _: "T7"), frame], axis=1), ["T3-C3"])
    with pytest.raises(TypeError, match=r"recording: expected a frame.*ndarray"):
        bipolar(frame.to_numpy())
    with pytest.raises(ValueError, match="pairs: each must name two electrodes"):
        bipolar(frame, ["Cz"])


CAP = ["Fp1", "Fz", "C3", "C1", "Cz", "C2", "C4", "Pz", "Oz"]


def cap():
    return recording(np.random.default_rng(0).normal(size=(9, 6)), CAP, 4)


@pytest.mark.parametrize("derive", [average_reference, laplacian])
def test_what_all_channels_share_drops_out(derive):
    frame = cap()
    frame.attrs["subject"] = 3
    found = derive(frame)
    shared = np.random.default_rng(1).normal(size=(6, 1))
    np.testing.assert_allclose(derive(frame + shared), found, atol=1e-12)
    np.testing.assert_allclose(derive(frame * 0 + shared), 0, atol=1e-12)
    assert found.columns.tolist() == CAP
    assert found.index.equals(frame.index)
    assert found.attrs == {"sfreq": 4, "subject": 3}


def test_a_laplacian_is_the_difference_from_the_nearest():
    frame = cap()
    found = laplacian(frame, 2)
    np.testing.assert_allclose(found["Cz"], frame["Cz"] - frame[["C1", "C2"]].mean(axis=1))
    np.testing.assert_allclose(found["C3"], frame["C3"] - frame[["C1", "Cz"]].mean(axis=1))
    # The order of the columns, and other names of electrodes, change nothing.
    other = laplacian(frame[CAP[::-1]].rename(columns=lambda name: f"EEG {name.upper()}-REF"), 2)
    np.testing.assert_allclose(other.to_numpy()[:, ::-1], found, atol=1e-12)
    panel = pd.concat({"a": frame, "b": frame * 2}, names=["recording"])
    np.testing.assert_allclose(laplacian(panel, 2).loc["b"], 2 * found)
    own = {name: (place, 0.0, 0.0) for name, place in zip("abcd", (0, 3, 5, 6), strict=True)}
    line = pd.DataFrame([[1.0, 2.0, 4.0, 8.0]], columns=list("abcd"))
    assert laplacian(line, 1, positions=own).to_numpy().tolist() == [[-1.0, -2.0, -4.0, 4.0]]


def test_means_are_of_the_channels_that_have_a_value():
    frame = cap()
    frame.loc[0.25, "C1"] = np.nan
    found = laplacian(frame, 2)
    assert found["C1"].isna().tolist() == [False, True, *[False] * 4]
    assert found.loc[0.25, "Cz"] == pytest.approx(frame.loc[0.25, "Cz"] - frame.loc[0.25, "C2"])
    assert average_reference(frame).loc[0.25].isna().sum() == 1
    np.testing.assert_allclose(average_reference(frame).mean(axis=1), 0, atol=1e-12)
    frame.loc[0.5, ["C1", "C2"]] = np.nan
    assert np.isnan(laplacian(frame, 2).loc[0.5, "Cz"])
    # C1 and C2 are as near as each other: one neighbour means both.
    pd.testing.assert_series_equal(laplacian(frame, 1)["Cz"], laplacian(frame, 2)["Cz"])


def test_references_say_what_is_wrong():
    with pytest.raises(ValueError, match="n_neighbours: found 9, for 9 channels"):
        laplacian(cap(), 9)
    for bad in (0, 2.0, True):
        with pytest.raises(ValueError, match="n_neighbours: found"):
            laplacian(cap(), bad)
    with pytest.raises(
        ValueError, match=r"recording: 1 of its 9 channels have no known position: 'EOG'\. Leave them out, or give"
    ):
        laplacian(cap().rename(columns={"Oz": "EOG"}))
    with pytest.raises(TypeError, match="expected a frame"):
        average_reference(cap().to_numpy())
    with pytest.raises(ValueError, match=r"columns \['time'\] are no known electrodes, the others are"):
        average_reference(cap().reset_index())
    assert average_reference(cap().rename(columns=lambda name: f"ch{name}")).shape == (6, 9)
    for derive in (average_reference, laplacian):
        with pytest.raises(ValueError, match=r"recording: \['C3-Cz'\] are differences already"):
            derive(cap().rename(columns={"C3": "C3-Cz"}))
    with pytest.raises(ValueError, match="recording: found 1 channel"):
        average_reference(cap()[["Cz"]])
