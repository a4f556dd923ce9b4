"""Recordings: every container gives the same groups; names, rates and lengths may differ, and what is wrong is told."""

import numpy as np
import pandas as pd
import pytest

from tsrec.frames import align_target, is_rows, read_recordings, recordings_from_rows, windows


def recording(channels=("Cz", "Pz"), n=6, rate=4.0, seed=0, **kw):
    values = np.random.default_rng(seed).normal(size=(n, len(channels)))
    return pd.DataFrame(values, pd.Index(np.arange(n) / rate, name="time"), list(channels), **kw)


def only(recordings):
    (group,) = recordings.groups
    return group


def test_containers_of_equal_recordings_give_one_group():
    frames = {name: recording(seed=seed) for name, seed in zip("ba", (1, 2), strict=True)}
    cube = np.stack([frame.to_numpy().T for frame in frames.values()])
    panel = pd.concat(frames, names=["id"])
    for X, labels, named in (
        (panel, ["b", "a"], True),
        (frames, ["b", "a"], True),
        (list(frames.values()), [0, 1], False),
        (pd.concat(frames.values(), keys=[3, 1]), [3, 1], True),
    ):
        read = read_recordings(X)
        group = only(read)
        np.testing.assert_array_equal(group.values, cube)
        assert (group.channels, group.rate) == (("Cz", "Pz"), 4.0)
        assert group.numbers.tolist() == [0, 1]
        assert group.numbers.dtype == np.int64
        assert read.lengths.tolist() == [6, 6]
        assert (read.labels.tolist(), read.named, read.n_series, read.on_scalp) == (labels, named, 2, True)
    assert read_recordings(panel).labels.name == "id"


def test_arrays_have_numbered_channels_and_no_rate():
    cube = np.random.default_rng(0).normal(size=(3, 2, 5))
    for X in (cube, [series.T for series in cube], {i: series.T for i, series in enumerate(cube)}):
        read = read_recordings(X)
        group = only(read)
        np.testing.assert_array_equal(group.values, cube)
        assert (group.channels, group.rate, read.on_scalp) == (("x0", "x1"), None, False)
        named = read_recordings(X, ch_names=["Cz", "Oz"])
        assert (only(named).channels, named.on_scalp) == (("Cz", "Oz"), True)
    frames = [pd.DataFrame(series.T) for series in cube]
    assert not read_recordings(frames).on_scalp
    assert only(read_recordings(frames)).channels == ("x0", "x1")
    assert only(read_recordings(frames, ch_names=["Cz", "Oz"])).channels == ("Cz", "Oz")
    assert only(read_recordings([frame[[1]] for frame in frames])).channels == ("x1",)
    # Names of columns go before.
    assert only(read_recordings([recording()], ch_names=["A", "B"])).channels == ("Cz", "Pz")
    assert only(read_recordings([np.arange(4.0), np.arange(4.0)])).values.shape == (2, 1, 4)


def test_rows_of_a_table():
    table = np.random.default_rng(0).normal(size=(3, 5))
    read = recordings_from_rows(table, pd.Index(list("abc")))
    group = only(read)
    np.testing.assert_array_equal(group.values[:, 0], table)
    assert (group.channels, group.rate, read.on_scalp, read.named) == (("x0",), None, False, False)
    assert (read.n_series, read.lengths.tolist(), read.labels.tolist()) == (3, [5, 5, 5], ["a", "b", "c"])


def test_recordings_that_differ_are_grouped_in_order_of_appearance():
    X = [
        recording(("Pz", "Cz"), seed=0),
        recording(("Cz", "Pz"), seed=1),
        recording(("Pz", "Cz"), seed=2, rate=8.0),
        recording(("Pz", "Cz"), seed=3, n=7),
        recording(("Pz", "Cz"), seed=4),
        recording(("Fz",), seed=5),
    ]
    read = read_recordings(X)
    assert [(g.numbers.tolist(), g.channels, g.rate, g.values.shape[2]) for g in read.groups] == [
        ([0, 4], ("Pz", "Cz"), 4.0, 6),
        ([1], ("Cz", "Pz"), 4.0, 6),
        ([2], ("Pz", "Cz"), 8.0, 6),
        ([3], ("Pz", "Cz"), 4.0, 7),
        ([5], ("Fz",), 4.0, 6),
    ]
    for group in read.groups:
        for number, values in zip(group.numbers, group.values, strict=True):
            np.testing.assert_array_equal(values, X[number].to_numpy().T)
    assert read.lengths.tolist() == [6, 6, 6, 7, 6, 6]


def test_channels_without_values_are_absent_from_series_of_a_panel():
    frames = {
        "a": recording(("Cz", "Pz"), seed=0),
        "b": recording(("Pz", "Oz"), seed=1),
        "c": recording(("Cz", "Pz"), seed=2),
        "d": recording(("Cz", "Pz"), seed=3, n=4),
    }
    frames["c"].iloc[2, 0] = np.nan
    panel = pd.concat(frames, names=["id", "time"])
    assert list(panel.columns) == ["Cz", "Pz", "Oz"]
    read = read_recordings(panel)
    assert [(g.numbers.tolist(), g.channels) for g in read.groups] == [
        ([0, 2], ("Cz", "Pz")),
        ([1], ("Pz", "Oz")),
        ([3], ("Cz", "Pz")),
    ]
    for group in read.groups:
        for number, values in zip(group.numbers, group.values, strict=True):
            np.testing.assert_array_equal(values, frames["abcd"[number]].to_numpy().T)
    # A series without any value stays one; so do channels of frames that hold nothing.
    empty = panel.copy()
    empty.loc["b"] = np.nan
    assert read_recordings(empty).groups[1].channels == ("Cz", "Pz", "Oz")
    assert np.isnan(read_recordings(empty).groups[1].values).all()
    assert only(read_recordings([frames["a"].assign(Oz=np.nan)])).channels == ("Cz", "Pz", "Oz")


def test_rows_of_a_panel_need_not_lie_together_but_be_in_order():
    panel = pd.concat({"a": recording(seed=0), "b": recording(seed=1)}, names=["id", "time"])
    mixed = panel.swaplevel().sort_index(kind="stable").swaplevel()
    np.testing.assert_array_equal(only(read_recordings(mixed)).values, only(read_recordings(panel)).values)
    with pytest.raises(
        ValueError, match=r"X: series 'b' has rows that are not in order of time, the first after 1\.25"
    ):
        read_recordings(panel.iloc[[0, 1, 2, 3, 4, 5, 6, 11, 7, 8, 9, 10]])


@pytest.mark.parametrize("kind", ["seconds", "delta", "stamps"])
def test_rates_of_panels_and_lists(kind):
    seconds = np.arange(40) / 128
    make = {
        "seconds": lambda s: pd.Index(s, name="time"),
        "delta": lambda s: pd.to_timedelta(np.rint(s * 1e6), unit="us"),
        "stamps": lambda s: pd.Timestamp("2024-01-01", tz="Asia/Tokyo") + pd.to_timedelta(np.rint(s * 1e6), unit="us"),
    }[kind]
    frames = {"a": recording(n=40).set_axis(make(seconds)), "b": recording(n=40).set_axis(make(2 * seconds))}
    assert [g.rate for g in read_recordings(frames).groups] == [128.0, 64.0]
    assert [g.rate for g in read_recordings(pd.concat(frames)).groups] == [128.0, 64.0]
    assert only(read_recordings(windows(frames["a"], 8))).rate == 128.0


def test_jitter_does_not_split_windows_into_groups():
    rng = np.random.default_rng(0)
    index = (np.arange(4000) + rng.uniform(-4e-4, 4e-4, 4000)) / 200.37
    frame = pd.DataFrame({"Cz": np.zeros(4000)}, index)
    assert only(read_recordings(windows(frame, 20))).rate == pytest.approx(200.37, rel=1e-4)
    whole = [frame.iloc[i : i + 20 + i % 2] for i in range(0, 3000, 100)]
    assert len({g.rate for g in read_recordings(whole).groups}) == 1


def test_attrs_state_the_rate():
    plain = pd.DataFrame({"Cz": np.zeros(8)})
    plain.attrs["sfreq"] = 250
    assert only(read_recordings([plain])).rate == 250.0
    assert only(read_recordings(windows(plain, 4))).rate == 250.0
    assert only(read_recordings([plain["Cz"]])).rate == 250.0
    # Imprecise times may stand beside it, gaps and other rates may not.
    uneven = recording(n=8, rate=250)
    uneven.index = uneven.index + np.array([0, 1, -1, 1, 0, 1, 0, -1]) * 0.6e-3
    uneven.attrs["sfreq"] = 250.0
    assert only(read_recordings([uneven])).rate == 250.0
    with pytest.raises(
        ValueError, match=r"attrs\['sfreq'\] of series 'r' is 250 Hz, but its index has 125 rows a second"
    ):
        read_recordings({"r": uneven.set_axis(np.arange(8) / 125)})
    with pytest.raises(ValueError, match="gaps"):
        read_recordings([uneven.drop(index=uneven.index[4])])
    plain.attrs["sfreq"] = "fast"
    with pytest.raises(ValueError, match=r"X\[0\]: attrs\['sfreq'\] is 'fast'.*in Hz"):
        read_recordings([plain])
    for rate in (0, -1.0, np.inf, np.nan):
        plain.attrs["sfreq"] = rate
        with pytest.raises(ValueError, match=r"attrs\['sfreq'\] is"):
            read_recordings([plain])


def test_windows_keep_attrs():
    frame = recording()
    frame.attrs.update(sfreq=4.0, subject="s1")
    assert windows(frame, 3).attrs == {"sfreq": 4.0, "subject": "s1"}
    assert windows(frame["Cz"], 3).attrs == {"sfreq": 4.0, "subject": "s1"}


def test_one_recording_is_no_collection():
    for X in (recording(), recording()["Cz"], pd.DataFrame(np.zeros((3, 2)))):
        with pytest.raises(
            ValueError, match=r"X: it is one recording.*windows\(recording, length, step\).*\[recording\]"
        ):
            read_recordings(X)
    # Float seconds are seen as times before a table is made of them.
    with pytest.raises(ValueError, match=r"X: its index holds times \(float64\), so it is one recording"):
        is_rows(recording())
    for stated in (pd.DataFrame(np.zeros((3, 2)), index=[0.0, 0.5, 1.0]), pd.DataFrame(np.zeros((3, 2)))):
        assert is_rows(stated)
        stated.attrs["sfreq"] = 2.0
        with pytest.raises(ValueError, match=r"X: attrs\['sfreq'\] states a sampling rate, so it is one recording"):
            is_rows(stated)


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        ([], ValueError, r"recs: found 0 sample\(s\)"),
        ({}, ValueError, r"recs: found 0 sample\(s\)"),
        (np.zeros((0, 2, 5)), ValueError, r"recs: found 0 sample\(s\)"),
        (np.zeros((2, 0, 5)), ValueError, r"recs: found 0 feature\(s\)"),
        (np.zeros((2, 2, 0)), ValueError, "recs: its series have 0 rows"),
        (np.zeros((2, 5)), ValueError, r"recs: expected an array .* of 2 dimensions.*recs\[None\]"),
        (np.zeros((1, 1, 2, 5)), ValueError, "of 4 dimensions"),
        ("file.edf", TypeError, "recs: expected an array .* found str"),
        ([recording(), recording().iloc[:0]], ValueError, r"recs\[1\]: the series has 0 rows"),
        ([recording()[[]]], ValueError, r"recs\[0\]: found 0 feature"),
        ({"a": recording().replace({0.0: 1.0}) / 0.0}, ValueError, r"recs\['a'\]: Input .* contains infinity"),
        (np.full((1, 1, 3), np.inf), ValueError, "recs: Input recs contains infinity"),
        ([recording().assign(Cz="x")], TypeError, r"recs\[0\]: column 'Cz' holds .* not numbers"),
        ([recording(("Cz", "Cz"))], ValueError, r"recs\[0\]: it has two columns 'Cz'"),
        (pd.concat({1: recording(("Cz", "Cz"))}), ValueError, "recs: it has two columns 'Cz'"),
        ([recording().set_axis(["1", 1], axis=1)], ValueError, r"recs\[0\]: two of its columns are called '1'"),
        (
            [recording(), np.zeros((6, 2))],
            ValueError,
            r"recs\[1\]: its channels have no names, those of recs\[0\] have",
        ),
        ([recording().set_axis(list("abcdef"))], TypeError, r"recs\[0\]: its index holds .* not times"),
        ({"r": recording().drop(index=0.5)}, ValueError, "recs: series 'r' has 1 gaps, .* after 0.25"),
        (["x"], TypeError, r"recs\[0\]: found str"),
        (np.array([[["a"]]]), TypeError, "recs: it holds .* not numbers"),
    ],
)
def test_what_is_wrong_is_told(X, error, message):
    with pytest.raises(error, match=message):
        read_recordings(X, where="recs")


def test_names_of_channels_must_fit():
    with pytest.raises(ValueError, match="ch_names: found 3 names, but X has 2 channels"):
        read_recordings(np.zeros((1, 2, 5)), ch_names=["a", "b", "c"])
    with pytest.raises(ValueError, match=r"ch_names: \['a'\] occur more than once"):
        read_recordings(np.zeros((1, 2, 5)), ch_names=["a", "a"])


def test_targets_are_aligned_with_recordings():
    panel = pd.concat({"b": recording(seed=1), "a": recording(seed=2)}, names=["id", "time"])
    read = read_recordings(panel)
    assert align_target(pd.Series({"a": 1, "b": 2}), read).tolist() == [2, 1]
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[2, 12\].*not one per row \(time step\)"):
        align_target(np.zeros(12), read)
    with pytest.raises(ValueError, match="lacks 1 of the 2 series"):
        align_target(pd.Series({"a": 1, "c": 2}), read)


def test_what_is_given_is_not_changed():
    frame = recording()
    frame.iloc[1, 0] = np.nan
    before = frame.copy()
    read_recordings([frame])
    read_recordings(windows(frame, 3))
    pd.testing.assert_frame_equal(frame, before)
