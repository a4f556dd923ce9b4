"""Resampling and filters: against exact sines, at the ends, with missing samples, on every kind of index."""

import numpy as np
import pandas as pd
import pytest
from scipy.signal import freqz_sos, iirnotch, tf2sos

from tsrec.frames import (
    band_pass,
    band_pass_array,
    notch,
    notch_array,
    recording,
    resample,
    resample_array,
    sampling_rate,
)


def sine(freq, rate, seconds=10.0, phase=0.3):
    return np.sin(2 * np.pi * freq * np.arange(round(seconds * rate)) / rate + phase)


def amplitude(x, freq, rate):
    """Amplitude of the sine of a frequency in the middle half of x."""
    n = x.shape[-1]
    part = slice(n // 4, 3 * n // 4)
    times = np.arange(n)[part] / rate
    basis = np.c_[np.cos(2 * np.pi * freq * times), np.sin(2 * np.pi * freq * times), np.ones(len(times))]
    return np.hypot(*np.linalg.lstsq(basis, x[..., part].T, rcond=None)[0][:2])


@pytest.mark.parametrize(("old", "new"), [(128, 256), (250, 256), (512, 256), (200.0, 256), (256, 100), (0.5, 0.75)])
def test_resampling_a_sine_gives_the_exact_sine(old, new):
    freq = 0.06 * old
    seconds = 2000 / old
    found = resample_array(sine(freq, old, seconds), old, new)
    exact = sine(freq, new, seconds)
    assert abs(len(found) - len(exact)) <= 1
    middle = slice(len(exact) // 10, -len(exact) // 10)
    np.testing.assert_allclose(found[: len(exact)][middle], exact[middle], atol=2e-3)


def test_resampling_takes_out_what_the_new_rate_cannot_hold():
    x = sine(10, 512) + sine(100, 512)
    found = resample_array(x, 512, 128)
    assert amplitude(found, 10, 128) == pytest.approx(1, abs=2e-3)
    # 100 Hz would come back as 28 Hz.
    assert amplitude(found, 28, 128) < 5e-3


def test_resampling_keeps_levels_and_slopes_to_the_ends():
    level = np.full((2, 100), 4300.0)
    np.testing.assert_allclose(resample_array(level, 128, 256), 4300.0, rtol=1e-12)
    np.testing.assert_allclose(resample_array(np.arange(100.0), 128, 256), np.arange(200) / 2, atol=1e-9)
    np.testing.assert_allclose(resample_array(np.arange(100.0), 3, 2), np.arange(67) * 1.5, atol=1e-9)


def test_resampling_shapes():
    x = np.random.default_rng(0).normal(size=(2, 3, 50))
    assert resample_array(x, 100, 100) is x
    found = resample_array(x, 200, 256)
    assert found.shape == (2, 3, 64)
    np.testing.assert_allclose(found[1, 2], resample_array(x[1, 2], 200, 256))
    np.testing.assert_array_equal(resample_array([[5.0]], 1, 3), [[5.0, 5.0, 5.0]])
    assert resample_array(np.zeros((2, 0)), 1, 2).shape == (2, 0)
    # A rate that is nearly the same is another: 1.4 s in an hour.
    assert len(resample_array(np.zeros(249_900), 249.9, 250)) == 250_000
    assert resample_array(np.arange(4), 0.1 * 3, 0.3).tolist() == [0, 1, 2, 3]


def test_missing_samples_are_bridged_and_missing_again_at_the_nearest_place():
    x = np.vstack([np.arange(40.0), np.arange(40.0), np.full(40, np.nan)])
    x[0, 10:20] = np.nan
    x[0, :2] = np.nan
    found = resample_array(x, 100, 200)
    gone = np.flatnonzero(np.isnan(found[0]))
    # New sample k lies at k / 2; halves go to the even neighbour.
    expected = [k for k in range(80) if np.rint(k / 2) in {0, 1, *range(10, 20)}]
    assert gone.tolist() == expected
    assert np.isnan(found[2]).all()
    np.testing.assert_allclose(found[1], np.arange(80) / 2, atol=1e-9)
    np.testing.assert_allclose(found[0, 45:75], np.arange(80)[45:75] / 2, atol=0.05)
    assert np.isnan(x[0, 10:20]).all()


def test_filters_keep_missing_samples_missing():
    x = np.vstack([sine(10, 200), sine(10, 200), np.full(2000, np.nan)])
    x[0, 500:520] = np.nan
    x[0, -30:] = np.nan
    for work in (lambda x: band_pass_array(x, 200, 1, 40), lambda x: notch_array(x, 200, 50)):
        found = work(x)
        np.testing.assert_array_equal(np.isnan(found), np.isnan(x))
        np.testing.assert_allclose(found[1], work(x[1]))
        np.testing.assert_allclose(found[0, 800:1500], found[1, 800:1500], atol=0.05)


@pytest.mark.parametrize(
    ("low", "high", "gains"),
    [
        (1.0, 40.0, {0.2: 0.002, 1.0: 0.5, 10: 1, 40: 0.5, 90: 1e-3}),
        (1.0, None, {0.2: 0.002, 1.0: 0.5, 10: 1, 90: 1}),
        (None, 40.0, {0.2: 1, 10: 1, 40: 0.5, 90: 1e-3}),
    ],
)
def test_band_pass_gains_without_delay(low, high, gains):
    for freq, gain in gains.items():
        x = sine(freq, 256, 40)
        found = band_pass_array(x, 256, low, high)
        assert amplitude(found, freq, 256) == pytest.approx(gain, abs=2e-3), freq
        if gain == 1:
            np.testing.assert_allclose(found[2560:-2560], x[2560:-2560], atol=3e-3)


def test_band_pass_takes_levels_and_drifts_out_at_the_ends_too():
    drift = 4300 + np.linspace(0, 500, 2560)
    x = drift + sine(10, 256)
    found = band_pass_array(x, 256, 0.5, 40)
    assert np.abs(found).max() < 3
    np.testing.assert_allclose(found[256:-256], sine(10, 256)[256:-256], atol=0.3)


def test_notch_takes_one_frequency():
    for freq, quality in ((50, 30), (60, 30), (50, 5)):
        sections = tf2sos(*iirnotch(freq, quality, fs=256))
        for other in (10, freq - 1, freq):
            gain = np.abs(freqz_sos(sections, [other], fs=256)[1])[0] ** 2
            found = amplitude(notch_array(sine(other, 256, 20), 256, freq, quality), other, 256)
            assert found == pytest.approx(gain, abs=2e-3)


def test_short_signals_pass():
    for n in (1, 2, 5, 30):
        x = np.random.default_rng(n).normal(size=(2, n))
        for found in (band_pass_array(x, 256, 0.5, 40), notch_array(x, 256, 50)):
            assert found.shape == (2, n)
            assert np.isfinite(found).all()
    assert band_pass_array(np.zeros((3, 0)), 256, 1, None).shape == (3, 0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: band_pass_array(x, 128, 1, 64), r"high: 64 Hz is not below 64 Hz, half the sampling rate"),
        (lambda x: band_pass_array(x, 128, 70, None), r"low: 70 Hz is not below 64 Hz"),
        (lambda x: band_pass_array(x, 128, 30, 10), r"low, high: found 30 and 10 Hz\. Give low < high"),
        (lambda x: band_pass_array(x, 128, 30, 30), "Give low < high"),
        (lambda x: band_pass_array(x, 128, 0, 10), r"low: found 0\. Give a positive number"),
        (lambda x: band_pass_array(x, 128, None, None), "low, high: both are None"),
        (lambda x: band_pass_array(x, None, 1, 2), "rate: found None"),
        (lambda x: notch_array(x, 128, 64), "freq: 64 Hz is not below 64 Hz"),
        (lambda x: notch_array(x, 128, -50), "freq: found -50"),
        (lambda x: notch_array(x, 128, 50, 0), "quality: found 0"),
        (lambda x: resample_array(x, 128, 0), "new: found 0"),
        (lambda x: resample_array(x, "fast", 1), "old: found 'fast'"),
        (lambda x: resample_array(x, 128, np.inf), "new: found inf"),
        (lambda x: resample_array(x, 1e6, 1), "new: 1 Hz is too far from 1e"),
        (lambda x: resample_array(x, 1, 1e6), r"new: 1e\+06 Hz is too far"),
    ],
)
def test_what_cannot_be_filtered_is_told(call, message):
    with pytest.raises(ValueError, match=message):
        call(np.zeros(100))


def indexes(rate, n):
    seconds = np.arange(n) / rate
    microseconds = np.rint(seconds * 1e6).astype("m8[us]")
    return {
        "seconds": pd.Index(seconds + 5, name="time"),
        "us": pd.TimedeltaIndex(microseconds, name="time"),
        "ns": pd.TimedeltaIndex(np.rint(seconds * 1e9).astype("m8[ns]")),
        "naive": pd.Timestamp("2024-05-01 10:00") + pd.TimedeltaIndex(microseconds),
        "zoned": pd.Timestamp("2024-10-27 00:59:58", tz="UTC").tz_convert("Europe/Berlin")
        + pd.TimedeltaIndex(microseconds),
    }


@pytest.mark.parametrize("kind", ["seconds", "us", "ns", "naive", "zoned"])
@pytest.mark.parametrize(("old", "new"), [(250, 128), (128, 256), (128, 512), (128, 100)])
def test_frames_are_resampled_onto_an_index_of_the_same_kind(kind, old, new):
    index = indexes(old, 5 * old)[kind]
    frame = pd.DataFrame({"Cz": sine(5, old, 5), "Pz": sine(7, old, 5)}, index)
    frame.attrs["subject"] = "s1"
    found = resample(frame, new)
    assert type(found.index) is type(index)
    assert getattr(found.index, "tz", None) == getattr(index, "tz", None)
    assert found.index.name == index.name
    assert found.index[0] == index[0]
    assert sampling_rate(found.index) == new
    assert found.attrs == {"subject": "s1", "sfreq": new}
    assert "sfreq" not in frame.attrs
    assert found.shape == (5 * new, 2)
    np.testing.assert_array_equal(found["Pz"], resample_array(frame["Pz"], old, new))
    # A long run does not drift: the last sample is where it belongs.
    last = found.index[-1] - found.index[0]
    last = last if kind == "seconds" else last / pd.Timedelta(1, "s")
    assert last == pytest.approx((5 * new - 1) / new, abs=1e-9)
    # 1/128 s is no whole number of microseconds, but one of nanoseconds.
    if new == 128 and kind != "seconds":
        assert (found.index - found.index[0])[1].value == 7_812_500


def test_series_and_stated_rates():
    series = pd.Series(sine(5, 128), name="Cz")
    with pytest.raises(
        ValueError, match=r"recording: its index \(RangeIndex, 1280 rows\) tells no sampling rate.*attrs"
    ):
        resample(series, 256)
    series.attrs["sfreq"] = 128
    found = resample(series, 256)
    assert found.index.equals(pd.RangeIndex(2560))
    assert (found.name, found.attrs) == ("Cz", {"sfreq": 256.0})
    same = resample(series, 128)
    pd.testing.assert_series_equal(same, series)
    same.iloc[0] = 99
    assert series.iloc[0] != 99
    assert resample(series.set_axis(pd.Index(np.arange(3, 1283))), 256).index.equals(pd.RangeIndex(3, 2563))


def test_frames_are_filtered_on_their_index():
    frame = recording(np.stack([sine(10, 256), sine(50, 256)]), ["Cz", "Pz"], 256)
    frame.iloc[3, 0] = np.nan
    before = frame.copy()
    for found, expected in (
        (band_pass(frame, 1, 30), band_pass_array(frame.to_numpy().T, 256, 1, 30)),
        (notch(frame, 50, 10), notch_array(frame.to_numpy().T, 256, 50, 10)),
    ):
        assert found.index.equals(frame.index)
        assert found.attrs == {"sfreq": 256.0}
        np.testing.assert_array_equal(found.to_numpy(), expected.T)
    pd.testing.assert_frame_equal(frame, before)
    assert notch(frame["Pz"], 50).name == "Pz"
    with pytest.raises(ValueError, match="high: 128 Hz is not below 128 Hz"):
        band_pass(frame, None, 128)


def test_only_recordings_are_filtered():
    frame = recording(np.zeros((1, 8)), ["Cz"], 4)
    with pytest.raises(TypeError, match=r"recording: it is a panel with the levels .*before it is cut"):
        notch(pd.concat({"a": frame}), 1)
    with pytest.raises(TypeError, match=r"recording: expected a frame .* found ndarray.*tsrec\.frames\.recording"):
        notch(frame.to_numpy(), 1)
    with pytest.raises(ValueError, match="recording: has 1 gaps"):
        notch(frame.drop(index=0.5), 1)
    with pytest.raises(ValueError, match="recording: it has 0 rows"):
        notch(frame.iloc[:0], 1)
    with pytest.raises(ValueError, match="contains infinity"):
        notch(frame + np.inf, 1)
    with pytest.raises(ValueError, match="sfreq: found -1"):
        resample(frame, -1)


def test_arrays_become_recordings():
    values = np.arange(6.0).reshape(2, 3)
    frame = recording(values, ("C3", "C4"), 128)
    np.testing.assert_array_equal(frame["C4"], values[1])
    assert frame.index.name == "time"
    np.testing.assert_array_equal(frame.index, np.arange(3) / 128)
    assert frame.attrs == {"sfreq": 128.0}
    with pytest.raises(ValueError, match=r"values: found shape \(2, 3\) for 3 channels.*values\.T"):
        recording(values, ["a", "b", "c"], 128)
    with pytest.raises(ValueError, match="two columns 'a'"):
        recording(values, ["a", "a"], 128)
    with pytest.raises(ValueError, match="sfreq: found 0"):
        recording(values, ["a", "b"], 0)
