"""Collections of series: every container gives the same block of numbers, and what is no collection is refused."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from tsrec.frames import from_rows, is_rows, read_collection, windows


def hours(n, **kw):
    return pd.date_range("2024-01-01", periods=n, freq="h", **kw)


def panel_frame(lengths=(4, 3), names="ab"):
    parts = {
        name: pd.DataFrame({"x": np.arange(n) + 10.0 * i, "y": -np.arange(n) - 10.0 * i}, hours(n))
        for i, (name, n) in enumerate(zip(names, lengths, strict=True))
    }
    return pd.concat(parts, names=["id", "time"])


def parts_of(panel):
    return {name: part.droplevel(0) for name, part in panel.groupby(level=0, sort=False)}


class Arraylike:
    """What says no more of itself than that it becomes an array."""

    def __init__(self, values):
        self.values = np.asarray(values)

    def __array__(self, dtype=None, copy=None):
        return self.values


@pytest.mark.parametrize(
    "table",
    [
        np.zeros((3, 4)),
        [1.0, 2.0],
        [[1, 2], [3, 4]],
        [np.float64(1.0), np.int64(2)],
        np.array([1, "a"], dtype=object),
        pd.DataFrame(np.zeros((3, 4))),
        pd.DataFrame(np.zeros((2, 4)), index=["a", "b"]),
        pd.DataFrame(np.zeros((2, 4)), index=pd.MultiIndex.from_arrays([["a", "b"]])),
        scipy.sparse.csr_matrix(np.eye(3)),
        Arraylike(np.zeros((3, 4))),
    ],
)
def test_tables_have_a_series_a_row(table):
    assert is_rows(table) is True


@pytest.mark.parametrize(
    "collection",
    [
        np.zeros((3, 1, 4)),
        np.zeros((3, 1, 4, 2)),
        Arraylike(np.zeros((3, 1, 4))),
        [np.zeros(3), np.zeros(4)],
        [[1.0, 2.0], np.zeros(4)],
        (pd.Series([1.0]),),
        [pd.DataFrame({"x": [1.0]})],
        [],
        {"a": [1.0, 2.0]},
        {},
        np.array([np.zeros(3), np.zeros(4)], dtype=object),
        panel_frame(),
        panel_frame()["x"],
    ],
)
def test_collections_are_no_tables(collection):
    assert is_rows(collection) is False


@pytest.mark.parametrize(
    "index",
    [
        hours(3),
        hours(3, tz="Europe/Berlin"),
        pd.period_range("2024-01", periods=3, freq="M"),
        pd.timedelta_range("0h", periods=3, freq="h"),
        pd.Index(hours(3).astype("timestamp[us][pyarrow]")),
        pd.MultiIndex.from_arrays([hours(3)]),
    ],
)
def test_a_recording_is_no_collection(index):
    for recording in (pd.DataFrame({"x": [1.0, 2.0, 3.0]}, index), pd.Series([1.0, 2.0, 3.0], index)):
        with pytest.raises(ValueError, match=r"tsrec\.frames\.windows\(recording, length, step\).*\[frame\]"):
            is_rows(recording)


def test_a_plain_series_is_no_collection():
    with pytest.raises(TypeError, match=r"Pass \[series\] or series\.to_frame\(\)\.T"):
        is_rows(pd.Series([1.0, 2.0]))


def test_rows_become_series_of_one_channel():
    collection = from_rows(np.array([[1.0, 2.0, 3.0], [4.0, np.nan, 6.0]]), pd.Index(["a", "b"], name="id"))
    np.testing.assert_array_equal(collection.values, np.array([[1.0, 2.0, 3.0, 4.0, np.nan, 6.0]]).T)
    assert collection.offsets.tolist() == [0, 3, 6]
    assert collection.offsets.dtype == np.int64
    assert collection.labels.tolist() == ["a", "b"]
    assert not collection.named
    assert (collection.n_series, collection.n_channels) == (2, 1)


@pytest.mark.parametrize("dtype", ["int64", "bool", "float32", "float64", object])
def test_cubes_are_series_by_channels_by_times(dtype):
    cube = np.array([[[1, 0, 1], [0, 0, 1]], [[1, 1, 1], [0, 1, 0]]]).astype(dtype)
    collection = read_collection(cube)
    assert collection.values.dtype == np.float64
    assert collection.values.tolist() == [[1, 0], [0, 0], [1, 1], [1, 0], [1, 1], [1, 0]]
    assert collection.offsets.tolist() == [0, 3, 6]
    assert collection.columns.tolist() == [0, 1]
    assert collection.labels.tolist() == [0, 1]
    assert not collection.named
    np.testing.assert_array_equal(read_collection(Arraylike(cube)).values, collection.values)


def test_panels_keep_their_names_channels_and_index():
    panel = panel_frame((4, 3))
    collection = read_collection(panel)
    np.testing.assert_array_equal(collection.values, panel.to_numpy())
    assert collection.lengths.tolist() == [4, 3]
    pd.testing.assert_index_equal(collection.columns, panel.columns)
    pd.testing.assert_index_equal(collection.labels, pd.Index(["a", "b"], name="id"))
    assert collection.named
    pd.testing.assert_index_equal(collection.row_index(), panel.index)


def test_interleaved_panels_are_put_together_in_order_of_appearance():
    panel = panel_frame((3, 3), "ba")
    mixed = panel.iloc[[0, 3, 1, 4, 5, 2]]
    before = mixed.copy()
    collection = read_collection(mixed)
    np.testing.assert_array_equal(collection.values, panel.to_numpy())
    assert collection.labels.tolist() == ["b", "a"]
    pd.testing.assert_index_equal(collection.row_index(), panel.index)
    pd.testing.assert_frame_equal(mixed, before)


def test_panels_may_name_series_by_several_levels():
    panel = pd.concat({"north": panel_frame(), "south": panel_frame()}, names=["region"])
    collection = read_collection(panel)
    assert collection.labels.tolist() == [("north", "a"), ("north", "b"), ("south", "a"), ("south", "b")]
    assert collection.labels.names == ["region", "id"]
    pd.testing.assert_index_equal(collection.row_index(), panel.index)


def test_a_panel_of_one_column_may_be_a_series():
    collection = read_collection(panel_frame()["x"])
    assert collection.columns.tolist() == ["x"]
    assert collection.values[:, 0].tolist() == [0, 1, 2, 3, 10, 11, 12]
    assert read_collection(panel_frame()["x"].rename(None)).columns.equals(pd.RangeIndex(1))


def test_what_cannot_be_cut_into_windows_is_told():
    frame = pd.DataFrame({"x": np.arange(6.0)}, index=np.arange(6) / 4)
    with pytest.raises(ValueError, match="recording: its rows are not in order of time"):
        windows(frame[::-1], 2)
    with pytest.raises(TypeError, match="one time index, found ndarray"):
        windows(frame.to_numpy(), 2)
    with pytest.raises(TypeError, match=r"it is a panel with the levels \['window', None\]"):
        windows(windows(frame, 2), 2)


def test_windows_of_a_recording_are_a_collection():
    collection = read_collection(windows(pd.Series(np.arange(6.0), hours(6), name="x"), 3, 2))
    assert collection.values[:, 0].tolist() == [0, 1, 2, 2, 3, 4]
    assert collection.labels.name == "window"


@pytest.mark.parametrize(
    "dtype", ["int64", "int8", "float32", "Int64", "Float32", "int32[pyarrow]", "double[pyarrow]", "bool"]
)
@pytest.mark.parametrize("listed", [False, True])
def test_columns_of_every_numeric_kind_become_float64(dtype, listed):
    panel = panel_frame((2, 2))
    panel["x"] = pd.Series([1, 0, 1, 1], panel.index).astype(dtype)
    collection = read_collection(list(parts_of(panel).values()) if listed else panel)
    assert collection.values.dtype == np.float64
    assert collection.values[:, 0].tolist() == [1, 0, 1, 1]


@pytest.mark.parametrize("dtype", ["Int64", "double[pyarrow]"])
def test_missing_values_become_nan(dtype):
    collection = read_collection([pd.Series([1, None, 3], dtype=dtype), np.array([np.nan])])
    np.testing.assert_array_equal(collection.values[:, 0], [1, np.nan, 3, np.nan])


TIMES = {
    "naive": hours(5),
    "zone": hours(5, tz="Europe/Berlin"),
    "days over a change of clocks": pd.date_range("2024-03-29", periods=5, freq="D", tz="Europe/Berlin"),
    "months": pd.date_range("2024-01-31", periods=5, freq="ME"),
    "periods": pd.period_range("2024-01", periods=5, freq="M"),
    "durations": pd.timedelta_range("1h", periods=5, freq="2h"),
    "numbers": pd.RangeIndex(10, 60, 10),
    "arrow": pd.Index(hours(5).astype("timestamp[us][pyarrow]")),
    "nullable": pd.Index([3, 4, 5, 6, 7], dtype="Int64"),
}


@pytest.mark.parametrize("times", TIMES.values(), ids=TIMES)
def test_every_kind_of_time_is_read_from_panels_and_lists(times):
    parts = [pd.DataFrame({"x": np.arange(5.0)}, times), pd.DataFrame({"x": [7.0, 8.0]}, times[2:4])]
    panel = pd.concat(dict(enumerate(parts)))
    for collection in (read_collection(panel), read_collection(parts)):
        assert collection.values[:, 0].tolist() == [0, 1, 2, 3, 4, 7, 8]
        assert collection.row_index().get_level_values(-1).tolist() == [*times, *times[2:4]]
    gappy = [parts[0], pd.DataFrame({"x": [7.0, 8.0]}, times[[0, 3]])]
    for irregular in (gappy, pd.concat(dict(enumerate(gappy)))):
        with pytest.raises(ValueError, match=r"series (np.int64\()?1\)? has 2 missing timestamps"):
            read_collection(irregular)


def test_series_of_one_row_need_no_frequency():
    panel = panel_frame((1, 1))
    assert read_collection(panel).lengths.tolist() == [1, 1]
    assert read_collection([panel.loc["a"]]).row_index().tolist() == [(0, hours(1)[0])]


@given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None)
def test_panel_list_dict_and_arrays_are_the_same_collection(lengths, random):
    names = random.sample("abcdef", len(lengths))
    panel = panel_frame(lengths, names)
    expected = read_collection(panel)
    parts = parts_of(panel)
    for same in (parts, list(parts.values()), tuple(part.to_numpy() for part in parts.values())):
        collection = read_collection(same)
        np.testing.assert_array_equal(collection.values, expected.values)
        np.testing.assert_array_equal(collection.offsets, expected.offsets)
        assert collection.named == isinstance(same, dict)
        assert list(collection.labels) == (names if isinstance(same, dict) else list(range(len(names))))
    assert read_collection(parts).row_index().tolist() == panel.index.tolist()


@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 4))
@settings(max_examples=25, deadline=None)
def test_a_cube_is_the_list_of_its_transposed_series(n_series, n_channels, n_times):
    cube = np.random.default_rng(0).normal(size=(n_series, n_channels, n_times))
    whole, listed = read_collection(cube), read_collection([series.T for series in cube])
    np.testing.assert_array_equal(whole.values, listed.values)
    np.testing.assert_array_equal(whole.offsets, listed.offsets)
    if n_channels == 1:
        np.testing.assert_array_equal(from_rows(cube[:, 0], pd.RangeIndex(n_series)).values, whole.values)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=5), st.data())
@settings(max_examples=25, deadline=None)
def test_take_is_the_collection_of_the_chosen_series(lengths, data):
    chosen = data.draw(st.permutations(range(len(lengths))))[: data.draw(st.integers(1, len(lengths)))]
    parts = parts_of(panel_frame(lengths, "abcde"[: len(lengths)]))
    names = list(parts)
    taken = read_collection(parts).take(np.array(chosen))
    expected = read_collection({names[i]: parts[names[i]] for i in chosen})
    np.testing.assert_array_equal(taken.values, expected.values)
    np.testing.assert_array_equal(taken.offsets, expected.offsets)
    assert taken.labels.tolist() == expected.labels.tolist()
    assert taken.row_index().tolist() == expected.row_index().tolist()


def test_rows_without_times_are_numbered_under_the_labels():
    index = from_rows(np.zeros((2, 2)), pd.Index(["b", "b"], name="id")).row_index()
    assert index.tolist() == [("b", 0), ("b", 1), ("b", 0), ("b", 1)]
    assert index.names == ["id", "step"]
    assert index.levels[0].is_unique
    levels = pd.MultiIndex.from_tuples([("n", 1), ("s", 2)], names=["region", "id"])
    index = read_collection({("n", 1): [1.0], ("s", 2): [1.0, 2.0]}).row_index()
    assert index.tolist() == [("n", 1, 0), ("s", 2, 0), ("s", 2, 1)]
    named = from_rows(np.zeros((2, 1)), levels).row_index()
    assert named.tolist() == [("n", 1, 0), ("s", 2, 0)]
    assert named.names == ["region", "id", "step"]


def test_lists_in_which_a_series_has_no_times_are_numbered():
    timed, plain = pd.Series([1.0, 2.0], hours(2)), pd.Series([3.0])
    assert read_collection([timed, plain]).row_index().tolist() == [(0, 0), (0, 1), (1, 0)]
    assert read_collection([timed, np.array([3.0])]).steps is None
    assert read_collection([timed, timed]).row_index().tolist() == [(i, hours(2)[k]) for i in (0, 1) for k in (0, 1)]


def test_the_index_made_for_a_list_can_be_sliced():
    late, early = pd.Series([1.0, 2.0], hours(4)[2:]), pd.Series([3.0, 4.0], hours(2))
    index = read_collection([late, early]).row_index()
    assert index.is_monotonic_increasing
    assert pd.Series(range(4), index).loc[(slice(None), slice(hours(4)[1], None))].tolist() == [0, 1, 3]


def test_parts_of_a_panel_lose_the_levels_that_name_them():
    panel = panel_frame((3, 2))
    collection = read_collection([part for _, part in panel.groupby(level="id")])
    assert collection.steps.names == [None, "time"]
    assert collection.steps.tolist() == [(0, t) for t in hours(3)] + [(1, t) for t in hours(2)]
    with pytest.raises(ValueError, match=r"X\[1\]: its index names 2 series, but it stands for one"):
        read_collection([panel.loc[["a"]], panel])


def test_names_of_series_may_differ_but_are_kept_where_they_agree():
    x = pd.Series([1.0, 2.0], name="x")
    assert read_collection([x, x]).columns.tolist() == ["x"]
    assert read_collection([x, x.rename("y")]).columns.tolist() == [0]
    assert read_collection([x, np.array([1.0])]).columns.tolist() == [0]
    assert read_collection([x.rename(None)]).columns.tolist() == [0]


def test_an_array_of_objects_is_a_list():
    ragged = np.array([np.arange(2.0), np.arange(3.0)], dtype=object)
    assert read_collection(ragged).values[:, 0].tolist() == [0, 1, 0, 1, 2]


def test_the_input_is_not_changed():
    parts = parts_of(panel_frame((2, 2)))
    before = {name: part.copy() for name, part in parts.items()}
    read_collection(parts)
    read_collection(list(parts.values()))
    assert list(parts) == list(before)
    for name, part in parts.items():
        pd.testing.assert_frame_equal(part, before[name])


FRAME = pd.DataFrame({"x": [1.0, 2.0], "y": [3.0, 4.0]})
REFUSED = {
    "no series": ([], ValueError, r"0 sample\(s\)"),
    "no names": ({}, ValueError, r"0 sample\(s\)"),
    "no rows": (panel_frame().iloc[:0], ValueError, r"0 sample\(s\)"),
    "empty cube": (np.zeros((0, 1, 3)), ValueError, r"0 sample\(s\)"),
    "cube without channels": (np.zeros((2, 0, 3)), ValueError, r"0 feature\(s\)"),
    "panel without columns": (panel_frame()[[]], ValueError, r"0 feature\(s\)"),
    "frame without columns": ([FRAME, FRAME[[]]], ValueError, r"X\[1\]: found 0 feature\(s\)"),
    "cube without times": (np.zeros((2, 1, 0)), ValueError, "series have 0 rows"),
    "empty series": ({"a": FRAME, "b": FRAME.iloc[:0]}, ValueError, r"X\['b'\]: the series has 0 rows"),
    "four dimensions": (np.zeros((2, 1, 3, 1)), ValueError, r"n_series, n_channels, n_times.*found ndarray of 4"),
    "table": (np.zeros((2, 3)), TypeError, "found ndarray of 2 dimensions"),
    "plain frame": (FRAME, TypeError, "found DataFrame"),
    "text": ("abc", TypeError, "found str"),
    "cube in a list": ([np.zeros((2, 1, 3))], ValueError, r"X\[0\]: it has 3 dimensions"),
    "nothing in a list": ([np.zeros(3), None], TypeError, r"X\[1\]: found NoneType"),
    "text in a list": ([np.array(["1.0"])], TypeError, r"X\[0\]: it holds <U3, not numbers"),
    "ragged lists": ({"a": [[1.0], [2.0, 3.0]]}, TypeError, r"X\['a'\]: its values cannot be read"),
    "objects": (np.array([[["a"]]], dtype=object), TypeError, "X: its values cannot be read as numbers"),
    "times as values": (np.zeros((1, 1, 2), "M8[s]"), TypeError, r"datetime64\[s\], not numbers"),
    "text column": (panel_frame().assign(y="a"), TypeError, "column 'y' holds .*, not numbers"),
    "listed text column": ([FRAME, FRAME.assign(y="a")], TypeError, r"X\[1\]: column 'y' holds .*, not numbers"),
    "complex cube": (np.zeros((1, 1, 2), complex), ValueError, "Complex data not supported"),
    "complex list": ([np.zeros(2, complex)], ValueError, "Complex data not supported"),
    "complex panel": (panel_frame().assign(y=1j), ValueError, "Complex data not supported"),
    "infinite cube": (np.array([[[0, 1], [2, np.inf]]]), ValueError, r"contains infinity.* first at \[0, 1, 1\]"),
    "infinite list": ([FRAME, FRAME.assign(y=-np.inf)], ValueError, r"Input X\[1\] contains infinity.*2 values"),
    "infinite panel": (panel_frame().assign(y=np.inf), ValueError, "Input X contains infinity.*7 values"),
    "missing column": (
        [FRAME, FRAME[["x"]]],
        ValueError,
        r"X\[1\]: its columns differ from those of X\[0\].*lacks \['y'\]",
    ),
    "other column": (
        {"a": FRAME, "b": FRAME.rename(columns={"y": "z"})},
        ValueError,
        r"X\['b'\].*X\['a'\].*lacks \['y'\] and has also \['z'\]",
    ),
    "column order": ([FRAME, FRAME[["y", "x"]]], ValueError, r"another order or number: \['y', 'x'\]"),
    "frame beside array": ([FRAME, np.zeros((2, 2))], ValueError, r"X\[1\]: it is ndarray, X\[0\] is DataFrame"),
    "channels": ([np.zeros((2, 2)), np.zeros(2)], ValueError, r"X\[1\]: it has 1 channels, X\[0\] has 2"),
    "gaps": (
        panel_frame((6, 6)).drop([("a", hours(3)[2]), ("b", hours(3)[2])]),
        ValueError,
        r"2 of the 2 series, the first 'a', have 2 missing timestamps.*insert them\.$",
    ),
    "gap": (panel_frame().drop(("a", hours(2)[1])), ValueError, "series 'a' has 1 missing timestamps"),
    "disorder": (panel_frame()[::-1], ValueError, "not in order of time"),
    "repeat": (panel_frame().iloc[[0, 1, 1, 2]], ValueError, "1 repeated time stamps"),
    "missing name": (panel_frame().rename(index={"a": np.nan}), ValueError, "missing labels"),
    "times of text": (panel_frame().rename(str, level=1), TypeError, "not times"),
    "listed times of text": ([FRAME.set_axis(["a", "b"])], TypeError, r"X\[0\]: its index holds .*not times"),
    "listed gap": (
        {"a": FRAME.set_axis(hours(3)[[0, 2]]), "b": FRAME.set_axis(hours(2))},
        ValueError,
        "series 'a' has 1 missing",
    ),
    "kinds of time": (
        [FRAME.set_axis(hours(2)), FRAME.set_axis(hours(2, tz="UTC"))],
        ValueError,
        r"X\[1\]: its index holds datetime64\[\w+, UTC\], that of X\[0\] datetime64",
    ),
    "kinds of period": (
        [FRAME.set_axis(pd.period_range("2024", periods=2, freq=freq)) for freq in "MMD"],
        ValueError,
        r"X\[2\]: its index holds period\[D\], that of X\[0\] period\[M\]",
    ),
    "numbers of rows": (
        [FRAME.set_axis([0, 4]), pd.concat([FRAME, FRAME]).set_axis([1, 2, 3, 6])],
        ValueError,
        r"If the index only numbers the rows, use frame\.reset_index\(drop=True\)",
    ),
}


@pytest.mark.parametrize(("X", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_collection_is_refused_with_the_mend(X, error, message):
    with pytest.raises(error, match=message):
        read_collection(X)


def test_errors_call_the_argument_by_its_name():
    with pytest.raises(ValueError, match=r"^corpus: found 0"):
        read_collection([], where="corpus")
    with pytest.raises(TypeError, match=r"^corpus\[0\]: "):
        read_collection([None], where="corpus")


def test_times_are_checked_where_others_have_none():
    plain = pd.DataFrame({"x": np.arange(4.0)})
    gap = plain.drop(index=2)
    with pytest.raises(ValueError, match=r"1 missing timestamps.*reset_index\(drop=True\)"):
        read_collection([plain, gap])
    mixed = read_collection([plain, plain.set_axis(range(7, 11))])
    assert mixed.steps is None
    assert mixed.lengths.tolist() == [4, 4]


def test_the_name_of_a_single_series_is_no_channel():
    assert read_collection([pd.Series([1.0], name="s7")]).columns.equals(pd.RangeIndex(1))
    assert read_collection([pd.Series([1.0], name="u")] * 2).columns.tolist() == ["u"]
