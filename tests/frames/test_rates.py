"""Sampling rates: read from every kind of index, tolerant of rounding, and never from what is uneven."""

import numpy as np
import pandas as pd
import pytest

from tsrec.frames import sampling_rate

RATES = [1 / 60, 0.1, 1.0, 1 / 3, 7.8125, 50.0, 62.5, 100.0, 128.0, 200.0, 250.0, 256.0, 512.0, 976.5625, 2048.0]


@pytest.mark.parametrize("unit", ["us", "ns"])
@pytest.mark.parametrize("rate", RATES)
def test_every_kind_of_time(rate, unit):
    seconds = np.arange(300) / rate
    ticks = np.rint(seconds * {"us": 1e6, "ns": 1e9}[unit]).astype(np.int64)
    delta = pd.TimedeltaIndex(ticks.astype(f"m8[{unit}]"))
    assert delta.unit == unit
    assert sampling_rate(delta) == pytest.approx(rate, rel=1e-12)
    start = pd.Timestamp("2024-03-31 00:59:59").as_unit(unit)
    assert sampling_rate(start + delta) == pytest.approx(rate, rel=1e-12)
    # Clocks turned forward or back while recording do not matter: instants count.
    for day in ("2024-03-31 00:59:59", "2024-10-27 00:59:59"):
        zoned = (pd.Timestamp(day, tz="UTC").as_unit(unit) + delta).tz_convert("Europe/Berlin")
        assert sampling_rate(zoned) == pytest.approx(rate, rel=1e-12)
    assert sampling_rate(pd.Index(seconds)) == pytest.approx(rate, rel=1e-12)
    assert sampling_rate(pd.Index(1.7e9 + seconds)) == pytest.approx(rate, rel=1e-6)


def test_other_dtypes_of_times():
    seconds = pd.Index(np.arange(9) / 4)
    assert sampling_rate(seconds.astype("Float64")) == 4.0
    assert sampling_rate(seconds.astype("float32")) == 4.0
    assert sampling_rate(pd.period_range("2024-01-01", periods=5, freq="s")) == 1.0
    stamps = pd.date_range("2024-01-01", periods=5, freq="250ms").astype("timestamp[us][pyarrow]")
    assert sampling_rate(stamps) == 4.0


@pytest.mark.parametrize("unit", ["s", "ms"])
def test_times_rounded_to_milliseconds(unit):
    milliseconds = np.rint(np.arange(1280) / 128 * 1e3)
    index = pd.Index(milliseconds / 1e3) if unit == "s" else pd.TimedeltaIndex(milliseconds.astype("m8[ms]"))
    assert sampling_rate(index) == 128.0
    with pytest.raises(ValueError, match=r"1 gaps, the first, of 0\.016, after .*rows follow every 0\.008"):
        sampling_rate(index.delete(641))


def test_jitter_of_a_thousandth_passes_and_more_does_not():
    rng = np.random.default_rng(0)
    seconds = np.arange(2000) / 200
    jitter = rng.uniform(-1, 1, 2000) / 200
    assert sampling_rate(pd.Index(seconds + 4e-4 * jitter)) == 200.0
    with pytest.raises(ValueError, match=r"recording: has uneven steps: mostly 0\.00[45].*attrs\['sfreq'\]"):
        sampling_rate(pd.Index(seconds + 0.1 * jitter))


def test_numbers_and_single_rows_tell_nothing():
    for index in (pd.RangeIndex(5), pd.RangeIndex(3, 30, 3), pd.Index([4, 5, 6]), pd.Index([0.5]), pd.Index([], float)):
        assert sampling_rate(index) is None


def test_rates_near_no_simple_number_are_not_rounded():
    assert sampling_rate(pd.Index(np.arange(10_000) / 200.3712)) == pytest.approx(200.3712, rel=1e-9)
    assert sampling_rate(pd.Index(np.arange(10_000) / 200.01)) == 200.0
    # Nanoseconds since 1970 are more than the digits of a float hold.
    steps = pd.TimedeltaIndex(np.rint(np.arange(300) / 200.3712 * 1e9).astype("m8[ns]"))
    assert sampling_rate(pd.Timestamp("2024-01-01").as_unit("ns") + steps) == pytest.approx(200.3712, rel=1e-9)


def test_gaps_repeats_and_disorder_say_where():
    index = pd.timedelta_range(0, periods=10, freq="500ms")
    with pytest.raises(ValueError, match=r"X: has 2 gaps, the first, of 1, after 0 days 00:00:01 .*0\.5.*reindex"):
        sampling_rate(index.delete([3, 7]), where="X")
    with pytest.raises(ValueError, match=r"has 1 repeated times, the first is 0 days 00:00:02\. .*duplicated"):
        sampling_rate(index.insert(4, index[4]))
    with pytest.raises(ValueError, match=r"not in order of time, the first after 0 days 00:00:04.500000.*sort_index"):
        sampling_rate(index[[0, 1, 9, 3, 4, 5, 6, 7, 8]])
    with pytest.raises(ValueError, match=r"has 3 repeated times, the first is 0\.5"):
        sampling_rate(pd.Index([0.5] * 4))
    with pytest.raises(ValueError, match="not in order"):
        sampling_rate(index[::-1])
    with pytest.raises(ValueError, match="has 1 gaps"):
        sampling_rate(pd.Index([0, 1, 2, 4, 5]))


def test_what_are_no_times():
    with pytest.raises(TypeError, match=r"X: its index holds .* not times.*to_datetime"):
        sampling_rate(pd.Index(["a", "b"]), where="X")
    with pytest.raises(ValueError, match="1 missing time stamps"):
        sampling_rate(pd.Index([0.0, np.nan, 1.0]))
    with pytest.raises(ValueError, match="infinite times"):
        sampling_rate(pd.Index([0.0, np.inf]))
    with pytest.raises(TypeError, match=r"time index of one recording, found the levels \['a', 'b'\]"):
        sampling_rate(pd.MultiIndex.from_product([[1], [2]], names=["a", "b"]))


def test_steps_of_the_calendar_are_even():
    days = pd.date_range("2024-03-01", periods=60, freq="D", tz="Europe/Berlin")
    assert sampling_rate(days) == pytest.approx(1 / 86400)
    with pytest.raises(ValueError, match="1 gaps"):
        sampling_rate(days.delete(7))
    for freq in ("MS", "ME", "QS", "YS", "B"):
        index = pd.date_range("2024-01-01", periods=30, freq=freq)
        assert sampling_rate(index) is None
        with pytest.raises(ValueError, match="1 gaps"):
            sampling_rate(index.delete(7))
    assert sampling_rate(pd.date_range("2024-01-01", periods=30, freq="W-WED")) == pytest.approx(1 / (7 * 86400))
    assert sampling_rate(pd.date_range("2024-01-01", periods=5, freq="D")) == pytest.approx(1 / 86400)
    assert sampling_rate(pd.period_range("2024-01", periods=9, freq="M")) is None
