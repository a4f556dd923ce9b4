"""What dates say of themselves, against pandas and by hand."""

import numpy as np
import pandas as pd
import pytest

from tsrec.frames import read_panel
from tsrec.frames.calendar import calendar_features


def of(index):
    panel = read_panel(pd.Series(0.0, index))
    return calendar_features(panel.grid, panel.ordinals())


def test_hours_have_the_hour_the_weekday_and_the_year():
    index = pd.date_range("2024-03-01 05:00", periods=60, freq="h")
    found = of(index)
    angle = np.arctan2(found["day sin 1"], found["day cos 1"]) % (2 * np.pi)
    np.testing.assert_allclose(angle * 12 / np.pi, index.hour)
    np.testing.assert_array_equal(found.filter(like="weekday").to_numpy().argmax(axis=1), index.dayofweek)
    assert (found.filter(like="weekday").sum(axis=1) == 1).all()


def test_hours_are_those_of_the_clock_on_the_wall():
    index = pd.date_range("2024-03-30 22:00", periods=30, freq="h", tz="Europe/Berlin")
    found = of(index)
    np.testing.assert_allclose(found["day sin 1"], np.sin(index.hour / 12 * np.pi), atol=1e-12)


def test_months_have_their_days_and_working_days():
    found = of(pd.period_range("2023-02", periods=3, freq="M"))
    np.testing.assert_allclose((found["days"] + 1) * 30.4, [28, 31, 30])
    np.testing.assert_allclose((found["workdays"] + 1) * 21.7, [20, 23, 20])
    np.testing.assert_array_equal(found.filter(regex="^month").to_numpy().argmax(axis=1), [1, 2, 3])


@pytest.mark.parametrize(
    ("freq", "names"),
    [
        ("D", "weekday 0"),
        ("B", "weekday 0"),
        ("W", "year sin 3"),
        ("QS", "quarter 4"),
        ("YS", None),
        ("15min", "day cos 2"),
    ],
)
def test_each_pace_has_its_own(freq, names):
    found = of(pd.date_range("2020-01-01", periods=9, freq=freq))
    assert len(found.columns) == 0 if names is None else names in found.columns


@pytest.mark.parametrize("index", [pd.RangeIndex(5, 25), pd.timedelta_range("0h", periods=20, freq="h")])
def test_an_index_without_dates_is_refused(index):
    with pytest.raises(ValueError, match="features: 'calendar' needs an index of dates"):
        of(index)


def test_years_have_a_row_each_but_nothing_to_tell():
    assert of(pd.date_range("1990", periods=5, freq="YS")).shape == (5, 0)
