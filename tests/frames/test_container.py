"""Frames in, panels out: every container, dtype and order; and refusals that say how to mend the input."""

import numpy as np
import pandas as pd
import pytest

from tsrec.frames import form_of, panel_index, read_panel, to_numbers


def days(n, **kw):
    return pd.date_range("2024-01-01", periods=n, freq="D", **kw)


def panel_frame(lengths=(5, 3), freq="D"):
    parts = {f"s{i}": pd.DataFrame({"y": np.arange(n) + 10.0 * i}, index=days(n)) for i, n in enumerate(lengths)}
    return pd.concat(parts, names=["id", "time"])


@pytest.mark.parametrize(
    "dtype", ["int64", "int8", "float32", "float64", "Int64", "Float64", "int32[pyarrow]", "double[pyarrow]", "bool"]
)
def test_numeric_columns_of_every_kind_become_float64(dtype):
    y = pd.Series([1, 0, 1, 1], days(4)).astype(dtype)
    panel = read_panel(y)
    assert panel.values.dtype == np.float64
    assert panel.values[:, 0].tolist() == [1.0, 0.0, 1.0, 1.0]


@pytest.mark.parametrize("dtype", ["Int64", "Float32", "int64[pyarrow]"])
def test_missing_values_of_nullable_columns_become_nan(dtype):
    values = to_numbers(pd.Series([1, None, 3], dtype=dtype), where="y")
    np.testing.assert_array_equal(values[:, 0], [1.0, np.nan, 3.0])


def test_arrow_and_nullable_indexes_are_read():
    stamps = pd.Index(days(4).astype("timestamp[us][pyarrow]"))
    assert read_panel(pd.Series(range(4), stamps)).grid.freq == "D"
    assert read_panel(pd.Series(range(4), pd.Index([1, 2, 3, 4], dtype="Int64"))).grid.kind == "integer"


def test_panel_keeps_series_of_different_lengths_apart():
    panel = read_panel(panel_frame((5, 3)))
    assert panel.offsets.tolist() == [0, 5, 8]
    assert panel.ids.tolist() == ["s0", "s1"]
    assert panel.lengths.tolist() == [5, 3]
    assert panel.values[5:, 0].tolist() == [10.0, 11.0, 12.0]


def test_interleaved_series_are_put_together():
    frame = panel_frame((4, 4)).sort_index(level="time", sort_remaining=False)
    panel = read_panel(frame.sort_values("y", key=lambda y: y % 10))
    assert panel.values[:, 0].tolist() == [0.0, 1.0, 2.0, 3.0, 10.0, 11.0, 12.0, 13.0]


def test_series_may_be_named_by_several_levels():
    frame = pd.concat({"north": panel_frame((3, 3)), "south": panel_frame((3, 3))}, names=["region"])
    panel = read_panel(frame)
    assert panel.n_series == 4
    assert panel.ids.names == ["region", "id"]
    back = panel_index(panel.ids, panel.grid, np.repeat(np.arange(4), 3), panel.ordinals())
    pd.testing.assert_index_equal(back, frame.index)


def test_panel_index_round_trips():
    frame = panel_frame((5, 3))
    panel = read_panel(frame)
    index = panel_index(panel.ids, panel.grid, np.repeat([0, 1], panel.lengths), panel.ordinals())
    pd.testing.assert_index_equal(index, frame.index)


def test_default_index_carries_no_time():
    assert not read_panel(pd.Series([1.0, 2.0])).grid.has_time
    assert not read_panel(np.arange(3.0)).grid.has_time
    assert read_panel(pd.Series([1.0, 2.0], pd.RangeIndex(5, 7))).grid.has_time


def test_take_and_resized_agree_with_pandas():
    panel = read_panel(panel_frame((5, 3)))
    assert panel.take(np.array([1])).values[:, 0].tolist() == [10.0, 11.0, 12.0]
    longer = panel.resized(np.array([0, 0]), np.array([1, 2]))
    assert longer.lengths.tolist() == [6, 5]
    assert np.isnan(longer.values[5]).all()
    assert longer.values[6:9, 0].tolist() == [10.0, 11.0, 12.0]
    shorter = panel.resized(np.array([-2, 0]), np.array([0, -1]))
    assert shorter.values[:, 0].tolist() == [2.0, 3.0, 4.0, 10.0, 11.0]
    assert shorter.starts.tolist() == [panel.starts[0] + 2 * panel.grid.step, panel.starts[1]]


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (days(9).delete([3, 4]), r"2 missing timestamps, the first after 2024-01-03.*y.asfreq\('D'\).*TimeSeriesSplit"),
        (days(9)[::-1], r"not in order of time.*sort_index"),
        (days(4).insert(2, days(4)[1]), r"1 repeated time stamps, the first is 2024-01-02"),
        (days(4).append(pd.date_range("2024-02-01", periods=4, freq="7h")), "do not fit the frequency"),
        (days(1)._with_freq(None), "a single time stamp has no frequency"),
    ],
)
def test_irregular_indexes_are_refused_with_the_mend(index, message):
    with pytest.raises(ValueError, match=message):
        read_panel(pd.Series(np.zeros(len(index)), index))


def test_the_error_names_the_series():
    frame = panel_frame((5, 5)).drop(index=("s1", days(5)[2]))
    with pytest.raises(ValueError, match=r"series 's1' has 1 missing timestamps, the first after 2024-01-02"):
        read_panel(frame)
    with pytest.raises(ValueError, match=r"2 of the 2 series, the first 's0', have 3 missing timestamps.*TimeSeries"):
        read_panel(frame.drop(index=[("s0", days(5)[1]), ("s0", days(5)[2])]))


def test_series_of_different_frequency_are_refused():
    hourly = pd.DataFrame({"y": np.zeros(30)}, index=pd.date_range("2024-01-01", periods=30, freq="h"))
    frame = pd.concat({"a": hourly, "b": pd.DataFrame({"y": np.zeros(5)}, index=days(5))}, names=["id", "time"])
    with pytest.raises(ValueError, match="series 'b'"):
        read_panel(frame)


def test_a_local_clock_turned_back_is_explained():
    local = pd.date_range("2024-10-26", periods=60, freq="h", tz="Europe/Berlin").tz_localize(None)
    with pytest.raises(ValueError, match=r"repeated.*tz_localize\(\.\.\., ambiguous='infer'\)"):
        read_panel(pd.Series(np.zeros(60), local))


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        (["a", "b", "c"], TypeError, "column 'x' holds .*, not numbers"),
        (pd.Categorical(["a", "b", "c"]), TypeError, "column 'x' holds category"),
        ([1.0, np.inf, 2.0], ValueError, "contains infinity"),
        ([1j, 2j, 3j], ValueError, "Complex data not supported"),
    ],
)
def test_values_that_are_no_finite_numbers_are_refused(values, error, message):
    with pytest.raises(error, match=message):
        read_panel(pd.DataFrame({"x": values}, index=days(3)))


def test_an_index_of_text_is_refused_with_the_mend():
    with pytest.raises(TypeError, match=r"not times\. Convert them, for example with .*pd.to_datetime"):
        read_panel(pd.Series([1.0, 2.0], ["2024-01-01", "2024-01-02"]))


def test_missing_time_stamps_are_refused():
    with pytest.raises(ValueError, match="1 missing time stamps"):
        read_panel(pd.Series([1.0, 2.0], pd.DatetimeIndex(["2024-01-01", None])))


def test_form_gives_back_the_container_of_y():
    index = days(2)
    values = np.array([[1.0], [2.0]])
    series = form_of(pd.Series([0.0], name="a")).wrap(values, index)
    assert isinstance(series, pd.Series)
    assert series.name == "a"
    assert form_of(pd.Series([0.0])).wrap(values, index).name is None
    assert form_of(pd.DataFrame({"b": [0]})).wrap(values, index).columns.tolist() == ["b"]
    assert form_of(np.zeros(3)).wrap(values, index).shape == (2,)
    assert form_of(np.zeros((3, 1))).wrap(values, index).shape == (2, 1)
