"""Values as JSON and arrays: what goes in comes out, in kind, dtype and shape, or is refused with the mend."""

import datetime
import json
import sys
from collections import OrderedDict, namedtuple
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow
import pytest
from dateutil import tz as dateutil_tz
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import load as read_bytes
from safetensors.numpy import save as write_bytes

from tsrec.frames import TimeGrid
from tsrec.io._codec import decode, encode


def round_trip(value):
    """Through the very bytes of a file."""
    node, arrays = encode(value, "here")
    return decode(json.loads(json.dumps(node)), read_bytes(write_bytes(arrays)))


def assert_same(back, value):
    """Equal, and of the same kind all the way down."""
    assert type(back) is type(value)
    if isinstance(value, np.ndarray):
        assert (back.dtype, back.shape) == (value.dtype, value.shape)
        if value.dtype == object:
            assert_same(list(back.flat), list(value.flat))
        else:
            np.testing.assert_array_equal(back, value)
    elif isinstance(value, list | tuple):
        assert len(back) == len(value)
        for one, other in zip(back, value, strict=True):
            assert_same(one, other)
    elif isinstance(value, dict):
        assert_same(list(back.items()), list(value.items()))
    elif isinstance(value, pd.Index):
        pd.testing.assert_index_equal(back, value, exact=True)
        assert back.dtype == value.dtype
        assert getattr(back, "freq", None) == getattr(value, "freq", None)
    elif isinstance(value, pd.DataFrame):
        pd.testing.assert_frame_equal(back, value, check_freq=True)
    elif isinstance(value, float | np.datetime64 | np.timedelta64):
        np.testing.assert_equal(back, value)
        assert str(back) == str(value)
    elif value is pd.NA or value is pd.NaT:
        assert back is value
    else:
        assert back == value


def arrow(name):
    return pd.ArrowDtype(pyarrow.type_for_alias(name))


INDEXES = [
    pd.RangeIndex(2, 9, 3, name="n"),
    pd.Index([3, 1, 2], dtype="int32"),
    pd.Index([3.5, np.nan], dtype="float32"),
    pd.Index([True, False]),
    pd.Index([True, False, None], dtype=object),
    pd.Index(["a", "b"], name=("tuple", 1)),
    pd.Index(["a", None]),
    pd.Index(["a", 1, None, 2.5, np.nan, pd.NA, pd.NaT, (1, "b")], dtype=object, tupleize_cols=False),
    pd.Index([pd.Timestamp("2024", tz="UTC"), pd.Timedelta("1s"), pd.Period("2024Q1"), "x"], dtype=object),
    pd.Index(["a", pd.NA], dtype="string"),
    pd.Index(["a", pd.NA], dtype="string[python]"),
    pd.Index(["a", pd.NA], dtype="string[pyarrow]"),
    pd.Index(["a", pd.NA], dtype=arrow("string")),
    pd.Index([1, pd.NA], dtype="int64[pyarrow]", name="n"),
    pd.Index([1.5, pd.NA], dtype=arrow("float32")),
    pd.Index([True, pd.NA], dtype=arrow("bool")),
    pd.Index([1, pd.NA], dtype="Int64", name="n"),
    pd.Index([2**63 + 1, pd.NA], dtype="UInt64"),
    pd.Index([0.1, pd.NA], dtype="Float64"),
    pd.Index([True, pd.NA], dtype="boolean"),
    pd.Index(["a", "b", "a", None], dtype="category", name="c"),
    pd.CategoricalIndex([2, 1], categories=pd.Index([3, 2, 1], dtype="Int64"), ordered=True),
    pd.date_range("2024-03-30", periods=4, freq="D", tz="Europe/Berlin", name="t"),
    pd.date_range("2024-03-30", periods=4, freq="h", unit="ns"),
    pd.DatetimeIndex(["2024", None, "2023"]),
    pd.date_range("2024", periods=3, tz=datetime.timezone(datetime.timedelta(minutes=-210))),
    pd.date_range("2024", periods=3, tz=ZoneInfo("UTC")),
    pd.period_range("2024", periods=3, freq="Q"),
    pd.PeriodIndex(["2024-01", None], freq="M"),
    pd.timedelta_range("1s", periods=3, freq="10ms"),
    pd.TimedeltaIndex([None, "1D"]),
    pd.MultiIndex.from_product([["a", "b"], pd.date_range("2024", periods=2)], names=["id", None]),
    pd.MultiIndex.from_arrays(
        [
            pd.Index([1, 2], dtype="Int8"),
            pd.CategoricalIndex(["x", "y"]),
            pd.Index(["a", pd.NA], dtype=arrow("string")),
            pd.Index([True, False]),
        ],
        names=["n", ("c", 0), 3, None],
    ),
    pd.Index([]),
    pd.Index([], dtype="Int64"),
]


@pytest.mark.parametrize("index", INDEXES, ids=lambda index: f"{type(index).__name__}-{index.dtype}")
def test_indexes_come_back(index):
    back = round_trip(index)
    assert_same(back, index)
    if isinstance(index, pd.MultiIndex):
        for found, level in zip(back.levels, index.levels, strict=True):
            assert_same(found, level)


base = np.arange(24.0).reshape(4, 6)
ARRAYS = [
    np.array(3.5),
    np.array("text"),
    np.array(None, dtype=object),
    np.zeros((0, 3)),
    np.array([], dtype=object),
    np.array([], dtype="M8[s]"),
    base[::2, ::-3],
    base.T,
    np.asfortranarray(base),
    np.array([True, False]),
    np.array([1.5, -0.0, np.nan, np.inf], dtype="float16"),
    np.array([1 + 2j, np.nan], dtype="complex64"),
    np.array([[1j], [2]]),
    np.array(["2024", "NaT"], dtype="M8[ns]"),
    np.array([["2024-05"]], dtype="M8[M]"),
    np.array([1, "NaT"], dtype="m8[us]")[::-1],
    np.array(5, dtype="m8[D]"),
    np.array(["f0", "f1"], dtype=object),
    np.array(["a", "long"], dtype="U9"),
    np.array([["a"], ["b"]], dtype=np.dtypes.StringDType()),
    np.array([1, 2.5, "x", None, True, np.nan, pd.NaT], dtype=object),
    np.array([[1, "a"], [None, 2.0]], dtype=object).T,
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}-{array.shape}")
def test_arrays_come_back(array):
    assert_same(round_trip(array), array)


def test_arrays_of_lists_and_tuples_keep_their_shape():
    array = np.empty(2, dtype=object)
    array[:] = [(1, 2), (3, 4)]
    assert_same(round_trip(array), array)
    array[:] = [[1], [2.5]]
    assert_same(round_trip(array), array)


def test_arrays_of_the_other_byte_order_come_back_in_value():
    back = round_trip(np.array([1.5, 2.0], dtype=">f8"))
    np.testing.assert_array_equal(back, [1.5, 2.0])
    assert back.dtype == np.float64
    np.testing.assert_array_equal(round_trip(np.array(["2024"], dtype=">M8[s]")), np.array(["2024"], dtype="M8[s]"))


def test_arrays_that_share_memory_come_back_apart():
    back = round_trip([base, base[1:], base])
    assert_same(back, [base, base[1:], base])
    back[0][1, 0] = 99.0
    assert_same(back[1:], [base[1:], base])


def test_no_two_arrays_share_a_name():
    one, two = np.zeros(1), np.ones(1)
    values = {"a.b": {"c": one}, "a": {"b.c": two}, "k0": one, 0: two, "0": one}
    _, arrays = encode(values, "")
    assert len(arrays) == 5
    assert_same(round_trip(values), values)


def test_long_paths_are_no_matter():
    name = "n" * 100_000
    value = {name: {name: {name: np.arange(3)}}}
    assert_same(round_trip(value), value)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        3,
        -(2**200),
        "text",
        "\ud800 \0 \u2028",
        2.5,
        -0.0,
        float("inf"),
        float("nan"),
        (1, [2.0, "x"]),
        {"a": (1,), 2: None, (1, "b"): [], 0.5: {}},
        np.datetime64("2024-01-01T00", "h"),
        np.datetime64("NaT", "ns"),
        np.timedelta64(5, "D"),
        pd.NA,
        pd.NaT,
        pd.Timestamp("2024-05-01 12:00", tz="Europe/Berlin"),
        pd.Timestamp("2024-10-27 01:30", tz="UTC").tz_convert("Europe/Berlin"),
        pd.Timestamp("2024").as_unit("s"),
        pd.Timedelta("1s 5us"),
        pd.Period("2024-05", "M"),
        pd.offsets.QuarterEnd(2, startingMonth=2),
        pd.offsets.Week(weekday=3),
        TimeGrid("fixed", 1, tz=datetime.UTC, name="t"),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_plain_values_come_back(value):
    assert_same(round_trip(value), value)


@pytest.mark.parametrize(
    "value", [np.float64(3.5), np.float32(0.5), np.int8(3), np.bool_(True), np.str_("a")], ids=repr
)
def test_numbers_of_numpy_become_those_of_python(value):
    assert_same(round_trip(value), value.item())


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"epoch": [1, 2], "loss": [0.5, np.nan], "phase": ["select", "refit"]}),
        pd.DataFrame([[1, "a", 2.5]], columns=["x", "x", "y.z"], index=pd.Index(["r"], dtype="string")),
        pd.DataFrame({"o": pd.Series(["a", 1], dtype=object), "i": pd.array([1, None]), "h": np.float16([1, 2])}),
        pd.DataFrame({"c": pd.Categorical(["a", "b"]), "t": pd.date_range("2024", periods=2, tz="UTC")}),
        pd.DataFrame({"t": pd.date_range("2024", periods=2), "d": pd.to_timedelta([1, 2]), "b": [True, False]}),
        pd.DataFrame(index=pd.date_range("2024", periods=2)),
        pd.DataFrame(columns=pd.MultiIndex.from_product([["a"], [1, 2]])),
        pd.DataFrame(),
    ],
    ids=range(8),
)
def test_frames_come_back(frame):
    assert_same(round_trip(frame), frame)


@pytest.mark.parametrize(
    "zone",
    [
        ZoneInfo("Europe/Berlin"),
        ZoneInfo("UTC"),
        ZoneInfo.no_cache("Asia/Tokyo"),
        datetime.UTC,
        datetime.timezone(datetime.timedelta(hours=5, minutes=30)),
        datetime.timezone(-datetime.timedelta(seconds=1, microseconds=7), "odd"),
        dateutil_tz.tzutc(),
        dateutil_tz.tzoffset("here", 3600),
    ],
    ids=repr,
)
def test_zones_come_back(zone):
    back = round_trip(zone)
    for month in (1, 7):
        when = datetime.datetime(2024, month, 1)
        assert back.utcoffset(when) == zone.utcoffset(when)
    times = pd.date_range("2024", periods=3, tz=zone)
    assert (round_trip(times) == times).all()


class PytzLike(datetime.tzinfo):
    """What pytz's zones look like, without pytz: `zone` is a key or, for a fixed offset, None."""

    def __init__(self, zone, minutes):
        self.zone = zone
        self.offset = datetime.timedelta(minutes=minutes)

    def utcoffset(self, when):
        return self.offset


def test_fixed_offsets_of_pytz_come_back():
    assert round_trip(PytzLike(None, 60)) == datetime.timezone(datetime.timedelta(hours=1))


def test_zones_of_pytz_come_back_by_their_key(monkeypatch):
    pytz = pytest.importorskip("pytz")
    assert round_trip(pytz.timezone("Europe/Berlin")) is pytz.timezone("Europe/Berlin")
    monkeypatch.setitem(sys.modules, "pytz", None)
    assert decode({"pytz": "Europe/Berlin"}, {}) == ZoneInfo("Europe/Berlin")
    assert round_trip(pytz.FixedOffset(60)) == datetime.timezone(datetime.timedelta(hours=1))


class Named(ZoneInfo):
    """A zone of another library, as those of pendulum are."""


def test_zones_that_build_on_zoneinfo_are_saved_by_their_key():
    assert round_trip(Named("Europe/Berlin")) == ZoneInfo("Europe/Berlin")


def berlin_without_key():
    from importlib.resources import files

    with files("tzdata.zoneinfo.Europe").joinpath("Berlin").open("rb") as file:
        return ZoneInfo.from_file(file)


@pytest.mark.parametrize(
    "zone", [dateutil_tz.gettz("Europe/Berlin"), berlin_without_key(), PytzLike("Nowhere/Land", 0)], ids=range(3)
)
def test_zones_that_would_not_come_back_are_refused(zone):
    with pytest.raises(TypeError, match=r"here.tz: a time zone .* cannot be saved.*Use one of zoneinfo"):
        encode({"tz": zone}, "here")


day = datetime.date(2024, 1, 1)
REFUSED = [
    (pd.Index([day]), r"here.1.0: a date cannot be saved.*Convert such labels"),
    (pd.Index([b"a"]), r"a bytes cannot be saved.*Convert such labels"),
    (pd.Index([datetime.time(1)]), r"a time cannot be saved.*Convert such labels"),
    (pd.Index([pd.Interval(0, 1), "x"], dtype=object), r"an? Interval cannot be saved.*Convert such labels"),
    (pd.interval_range(0, 2), r"here.1: a IntervalIndex cannot be saved.*Convert such labels"),
    (pd.MultiIndex.from_product([["a"], [day]]), r"a date cannot be saved.*Convert such labels"),
    (pd.Index([day], dtype=arrow("date32")), r"a date cannot be saved.*Convert such labels"),
    (pd.Index([1], dtype="Sparse[int64]"), r"of dtype Sparse.* cannot be saved.*Convert its labels"),
    (pd.CategoricalIndex([day]), r"a date cannot be saved.*Convert such labels"),
    (np.array([b"a"]), r"an array of \|S1 cannot be saved"),
    (np.zeros(2, dtype=[("a", int)]), "an array of .* cannot be saved"),
    (np.zeros(2, dtype=np.longdouble), "an array of .* cannot be saved"),
    (np.longdouble(1), "cannot be saved"),
    (np.ma.masked_array([1, 2], [True, False]), "a MaskedArray cannot be saved"),
    (np.array(["a"], dtype=np.dtypes.StringDType(na_object=None)), "Use one without missing text"),
    (np.bytes_(b"a"), "cannot be saved"),
    (namedtuple("Pair", "a b")(1, 2), "a Pair cannot be saved"),
    (OrderedDict(a=1), "a OrderedDict cannot be saved"),
    ({1, 2}, "a set cannot be saved"),
    (1j, "a complex cannot be saved"),
    (print, "cannot be saved"),
    (datetime.datetime(2024, 1, 1), "a datetime cannot be saved.*Convert such labels"),
    (pd.offsets.DateOffset(months=1), "cannot be saved.*Use a frequency"),
    (pd.offsets.CustomBusinessDay(holidays=["2024-01-01"]), "cannot be saved.*Use a frequency"),
    (pd.offsets.MonthEnd(normalize=True), "cannot be saved.*Use a frequency"),
    (np.random.default_rng(0), "a Generator cannot be saved.*by an int"),
]


@pytest.mark.parametrize(("value", "message"), REFUSED, ids=[message[:40] for _, message in REFUSED])
def test_what_would_not_come_back_is_refused(value, message):
    with pytest.raises(TypeError, match=message):
        encode((1, value), "here")


def test_what_holds_itself_is_refused():
    knot = []
    knot.append(knot)
    with pytest.raises(TypeError, match="here: it holds itself, or is nested too deeply"):
        encode(knot, "here")


TEXT = st.text(max_size=5)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.sampled_from([pd.NA, pd.NaT])
KEYS = st.recursive(st.integers() | TEXT, lambda inner: st.lists(inner, max_size=2).map(tuple), max_leaves=3)
SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
NUMBERS = hnp.arrays(
    st.one_of(
        hnp.boolean_dtypes(),
        hnp.integer_dtypes(endianness="="),
        hnp.floating_dtypes(endianness="=", sizes=(16, 32, 64)),
        hnp.complex_number_dtypes(endianness="=", sizes=(64, 128)),
        hnp.datetime64_dtypes(endianness="="),
        hnp.timedelta64_dtypes(endianness="="),
        hnp.unicode_string_dtypes(endianness="=", max_len=4),
    ),
    SHAPES,
)
VIEWS = NUMBERS.map(lambda array: array.T[::-1] if array.ndim else array)
OBJECTS = hnp.arrays(object, SHAPES, elements=SCALARS)
LEAVES = SCALARS | NUMBERS | VIEWS | OBJECTS | st.sampled_from(INDEXES) | st.timezones()
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple) | st.dictionaries(KEYS, inner, max_size=3)
    ),
    max_leaves=8,
)


@given(VALUES)
@settings(deadline=None, max_examples=200)
def test_any_nested_values_come_back(value):
    assert_same(round_trip(value), value)
