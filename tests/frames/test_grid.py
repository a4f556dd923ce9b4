"""Time grids: every regular index survives the way to integers and back, and goes on where it ended."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsrec.frames import TimeGrid, read_panel, to_offset
from tsrec.frames.frequency import pace_of
from tsrec.frames.inference import infer_grid, plain_index

FREQUENCIES = [
    "s",
    "90s",
    "15min",
    "h",
    "6h",
    "D",
    "2D",
    "B",
    "W-SUN",
    "2W-MON",
    "MS",
    "ME",
    "BMS",
    "BME",
    "QS",
    "QE",
    "YS",
    "YE",
]


def grid_of(index, freq=None):
    return infer_grid(plain_index(index, "y"), np.array([0, len(index)]), freq)


@pytest.mark.parametrize("freq", FREQUENCIES)
@pytest.mark.parametrize("tz", [None, "Europe/Berlin", "UTC"])
@pytest.mark.parametrize("unit", ["ns", "us", "s"])
def test_datetime_index_is_inferred_and_continued_as_pandas_continues_it(freq, tz, unit):
    whole = pd.date_range("2020-03-01", periods=60, freq=freq, tz=tz, unit=unit, name="when")
    index = whole[:40]._with_freq(None)
    grid = grid_of(index)
    ordinals = grid.encode(index)
    assert (np.diff(ordinals) == grid.step).all()
    pd.testing.assert_index_equal(grid.decode(ordinals), index)
    pd.testing.assert_index_equal(grid.run(ordinals[-1] + grid.step, 20), whole[40:])


@settings(max_examples=60, deadline=None)
@given(
    freq=st.sampled_from(FREQUENCIES),
    start=st.datetimes(min_value=pd.Timestamp("1980-01-01"), max_value=pd.Timestamp("2040-01-01")),
    length=st.integers(13, 200),
    tz=st.sampled_from([None, "America/New_York", "Australia/Melbourne", "Asia/Kolkata"]),
)
def test_any_regular_index_round_trips(freq, start, length, tz):
    # Hours skipped by a change of the clocks cannot start an index.
    start = pd.Timestamp(start).floor("D") + pd.Timedelta(hours=12)
    index = pd.date_range(start, periods=length, freq=freq, tz=tz)
    grid = grid_of(index._with_freq(None))
    assert grid.decode(grid.encode(index)).equals(index)


def test_hours_go_on_across_a_change_of_the_clocks():
    spring = pd.date_range("2024-03-30 20:00", periods=12, freq="h", tz="Europe/Berlin")
    autumn = pd.date_range("2024-10-26 20:00", periods=12, freq="h", tz="Europe/Berlin")
    for index in (spring, autumn):
        grid = grid_of(index[:5]._with_freq(None))
        pd.testing.assert_index_equal(grid.run(grid.encode(index[5:6])[0], 7), index[5:])


def test_days_stay_at_local_midnight_across_a_change_of_the_clocks():
    index = pd.date_range("2024-03-25", periods=14, freq="D", tz="Europe/Berlin")
    grid = grid_of(index[:10]._with_freq(None))
    assert grid.freq == "D"
    pd.testing.assert_index_equal(grid.run(grid.encode(index[10:11])[0], 4), index[10:])


@pytest.mark.parametrize("freq", ["h", "D", "W-SUN", "M", "Q-DEC", "Y-DEC", "15min"])
def test_period_index_round_trips(freq):
    index = pd.period_range("2020-01-01", periods=30, freq=freq)
    grid = grid_of(index)
    pd.testing.assert_index_equal(grid.run(grid.encode(index)[0], 30), index)


def test_timedelta_and_integer_indexes_round_trip():
    delta = pd.timedelta_range("1s", periods=9, freq="250ms")
    grid = grid_of(delta._with_freq(None))
    pd.testing.assert_index_equal(grid.run(grid.encode(delta)[0], 9), delta)
    numbers = pd.Index([5, 10, 15])
    grid = grid_of(numbers)
    assert grid.run(grid.encode(numbers)[-1] + grid.step, 2).tolist() == [20, 25]


@pytest.mark.parametrize(
    ("index", "season"),
    [
        (pd.date_range("2020", periods=9, freq="h"), 24),
        (pd.date_range("2020", periods=9, freq="15min"), 96),
        (pd.date_range("2020", periods=9, freq="D"), 7),
        (pd.date_range("2020", periods=9, freq="B"), 5),
        (pd.date_range("2020", periods=9, freq="W-SUN"), 52),
        (pd.date_range("2020", periods=9, freq="MS"), 12),
        (pd.date_range("2020", periods=9, freq="QE"), 4),
        (pd.date_range("2020", periods=9, freq="YE"), 1),
        (pd.period_range("2020", periods=9, freq="M"), 12),
        (pd.date_range("2020", periods=9, freq="s"), None),
        (pd.RangeIndex(3, 9), None),
    ],
)
def test_season_of_a_frequency(index, season):
    assert grid_of(index).season == season


PACES = {
    "sub-daily": ["s", "90s", "15min", "30min", "h", "6h", "12h", "23h"],
    "daily": ["D", "2D", "B", "2B", "24h"],
    "weekly": ["W-SUN", "W-WED", "7D", "10D", "2W-MON", "5B"],
    "monthly": ["MS", "ME", "BMS", "BME", "4W-SUN", "30D"],
    "quarterly": ["QS", "QE", "BQE-FEB", "3MS", "91D", "4ME"],
    "yearly": ["YS", "YE", "BYE", "YE-JUN", "4QE", "12MS", "365D", "10YE"],
}


@pytest.mark.parametrize(("pace", "freq"), [(pace, freq) for pace, freqs in PACES.items() for freq in freqs])
@pytest.mark.parametrize("tz", [None, "Europe/Berlin"])
@pytest.mark.parametrize("unit", ["ns", "s"])
def test_pace_of_time_stamps(pace, freq, tz, unit):
    # From February on, the shortest month, and over both changes of the clocks.
    index = pd.date_range("2023-02-01", periods=24, freq=freq, tz=tz, unit=unit)._with_freq(None)
    assert grid_of(index).pace == pace


@pytest.mark.parametrize(
    ("freq", "pace"),
    [
        ("s", "sub-daily"),
        ("30min", "sub-daily"),
        ("h", "sub-daily"),
        ("D", "daily"),
        ("W-SUN", "weekly"),
        ("2W-WED", "weekly"),
        ("M", "monthly"),
        ("3M", "quarterly"),
        ("Q-DEC", "quarterly"),
        ("Q-FEB", "quarterly"),
        ("Y-DEC", "yearly"),
        ("Y-MAR", "yearly"),
    ],
)
def test_pace_of_periods(freq, pace):
    assert grid_of(pd.period_range("2023-02-01", periods=9, freq=freq)).pace == pace


@pytest.mark.parametrize(
    ("index", "pace"),
    [
        (pd.timedelta_range("0s", periods=9, freq="250ms"), "sub-daily"),
        (pd.timedelta_range("0s", periods=9, freq="h"), "sub-daily"),
        (pd.timedelta_range("1h", periods=9, freq="D"), "daily"),
        (pd.timedelta_range("0s", periods=9, freq="7D"), "weekly"),
        (pd.RangeIndex(9), None),
        (pd.RangeIndex(3, 30, 3), None),
        (pd.Index([5, 10, 15]), None),
    ],
    ids=["250ms", "h", "D", "7D", "default", "range", "whole numbers"],
)
def test_pace_of_durations_and_numbers(index, pace):
    assert grid_of(index).pace == pace


def test_rows_without_an_index_have_no_pace():
    assert read_panel(np.arange(9.0)).grid.pace is None


@given(st.tuples(st.floats(1e-6, 1e4), st.floats(1e-6, 1e4)))
def test_a_slower_pace_never_comes_of_closer_rows(days):
    near, far = (list(PACES).index(pace_of(value)) for value in sorted(days))
    assert near <= far


@pytest.mark.parametrize(
    ("old", "new"), [("H", "h"), ("15T", "15min"), ("M", "ME"), ("2Q", "2QE-DEC"), ("A", "YE-DEC"), ("S", "s")]
)
def test_old_frequency_names_are_understood(old, new):
    assert to_offset(old).freqstr == new


def test_a_given_frequency_is_kept_by_name():
    index = pd.date_range("2020-03-31", periods=8, freq="QE-MAR")
    assert grid_of(index).freq == "QE-MAR"
    assert grid_of(index._with_freq(None), "QE-MAR").freq == "QE-MAR"


def test_unknown_and_uneven_frequencies_are_refused_by_name():
    with pytest.raises(ValueError, match="'XYZ' is no frequency"):
        to_offset("XYZ")
    with pytest.raises(ValueError, match="no evenly spaced grid"):
        read_panel(pd.Series([1.0, 2.0], pd.date_range("2020", periods=2, freq="SME")), freq="SME")


def test_encode_refuses_what_is_not_on_the_grid():
    months = TimeGrid("month", 1, freq="MS")
    with pytest.raises(ValueError, match=r"X: 1 of its time stamps lie off the grid .*2020-02-03"):
        months.encode(pd.DatetimeIndex(["2020-01-01", "2020-02-03"]))
    with pytest.raises(TypeError, match="PeriodIndex, but the fitted y has a DatetimeIndex"):
        months.encode(pd.period_range("2020", periods=2, freq="M"))
    with pytest.raises(ValueError, match=r"is in UTC, that of y has no time zone"):
        months.encode(pd.date_range("2020", periods=2, freq="MS", tz="UTC"))
