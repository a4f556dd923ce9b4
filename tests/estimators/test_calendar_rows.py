"""Calendar features of the rows of panels: each instant once, also of series that share no step."""

import numpy as np
import pandas as pd
import pytest

from tsrec.estimators._calendar import Calendar
from tsrec.frames import read_panel
from tsrec.frames.calendar import calendar_features


def test_series_that_lie_between_the_steps_of_others_have_their_own_dates():
    hours = [pd.date_range(f"2024-01-01 00:{minute:02d}", periods=30, freq="h") for minute in (0, 20)]
    y = pd.concat({k: pd.Series(0.0, index) for k, index in enumerate(hours)}, names=["id", "time"])
    panel = read_panel(y)
    found = Calendar.of(panel, 5, 5)
    np.testing.assert_array_equal(found.at(panel.ordinals()), calendar_features(panel.grid, panel.ordinals()))
    before = panel.starts - 3 * panel.grid.step
    np.testing.assert_array_equal(found.at(before), calendar_features(panel.grid, before))


@pytest.mark.parametrize("gap", ["37min", "90000h"], ids=["between", "far apart"])
def test_dates_of_series_that_share_no_step_take_no_more_room_than_their_rows(gap):
    starts = pd.Timestamp("1800-01-01") + np.arange(20) * pd.Timedelta(gap)
    y = pd.concat({k: pd.Series(0.0, pd.date_range(one, periods=9, freq="h")) for k, one in enumerate(starts)})
    panel = read_panel(y.rename_axis(["id", "time"]))
    found = Calendar.of(panel, 5, 3)
    assert len(found.flat) <= 20 * (9 + 5 + 3 + 1)
    np.testing.assert_array_equal(found.at(panel.ordinals()), calendar_features(panel.grid, panel.ordinals()))
