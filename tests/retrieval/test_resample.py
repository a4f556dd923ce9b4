"""Irregular times are brought to even steps, of series and queries alike; answers are in the user's own times."""

import numpy as np
import pandas as pd
import pytest

from tsrec.retrieval import SubsequenceRetriever
from tsrec.retrieval._resample import resampled

RNG = np.random.default_rng(8)
N = 4000
# Every 5 seconds, more or less, some lost.
OFFSETS = np.sort(5000 * np.arange(N) + RNG.integers(0, 4000, N))[RNG.random(N) < 0.95]
START = pd.Timestamp("2026-03-29 00:00:03")
INDEXES = {
    "instants": START + pd.to_timedelta(OFFSETS, unit="ms"),
    "zone": (START + pd.to_timedelta(OFFSETS, unit="ms")).tz_localize("UTC").tz_convert("Europe/Berlin"),
    "durations": pd.to_timedelta(OFFSETS, unit="ms"),
    "seconds": pd.Index(OFFSETS / 1000, name="time"),
}
# A slow curve, so that where it is sampled does not matter much.
KNOTS = RNG.standard_normal((2, 5 * N // 100)).cumsum(1)
VALUES = np.stack([np.interp(OFFSETS / 1000, np.arange(0, 5 * N, 100), knots) for knots in KNOTS], axis=1)


def frame_of(kind="instants"):
    return pd.DataFrame(VALUES, INDEXES[kind], columns=["a", "b"])


@pytest.mark.parametrize("kind", INDEXES)
def test_a_stretch_of_irregular_rows_is_found_where_it_was(kind):
    frame = frame_of(kind)
    retriever = SubsequenceRetriever(resample="5s", n_neighbors=1).fit(frame)
    query = frame.iloc[1500:1700]
    found = retriever.locate(query * 3 - 7).iloc[0]
    step = 5.0 if kind == "seconds" else pd.Timedelta("5s")
    assert abs(found["start"] - query.index[0]) <= step
    assert abs(found["end"] - query.index[-1]) <= 2 * step
    assert found["score"] > 0.99
    rows = retriever.rows(0, found["start"], found["end"])
    assert rows.index.dtype == frame.index.dtype
    np.testing.assert_allclose(np.diff(rows.index) / np.diff(rows.index)[0], 1)
    even = [resampled(query, "5s", where="Q").to_numpy()]
    for ours, theirs in zip(retriever.kneighbors(query, 3), retriever.kneighbors(even, 3), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_steps_have_the_means_of_their_samples():
    index = pd.to_timedelta([12, 14.9, 15, 31, 29], unit="s")
    frame = pd.DataFrame({"x": [1.0, 2.0, 5.0, 7.0, np.nan], "y": [0, 0, 0, 1, 3]}, index)
    made = resampled(frame, "5s", where="X")
    assert made.index.tolist() == pd.to_timedelta([10, 15, 20, 25, 30], unit="s").tolist()
    np.testing.assert_allclose(made["x"], [1.5, 5, 5 + 2 / 3, 5 + 4 / 3, 7])
    np.testing.assert_allclose(made["y"], [0, 0, 1.5, 3, 1])


def test_long_gaps_stay_missing_and_nothing_reaches_into_the_next_series():
    def at(*seconds):
        return pd.Series(np.arange(len(seconds), dtype=float), pd.to_timedelta(seconds, unit="s"))

    panel = pd.concat({("p", 1): at(0, 4, 9), ("q", 0): at(7, 8)}, names=["site", "sensor", "t"])
    made = resampled(panel.iloc[::-1], "1s", where="X").sort_index()
    assert made.index.names == ["site", "sensor", "t"]
    first = [0, 0.25, 0.5, 0.75, 1, *[np.nan] * 4, 2]
    np.testing.assert_array_equal(made.loc[("p", 1)], first)
    np.testing.assert_array_equal(made.loc[("q", 0)], [0, 1])
    wide = pd.concat({"a": at(0, 1, 2).to_frame("x"), "b": at(0, 1, 2).to_frame("x")})
    wide["y"] = [0.0, 1.0, np.nan, np.nan, 5.0, 6.0]
    np.testing.assert_array_equal(resampled(wide, "1s", where="X")["y"], wide["y"])
    lost = resampled(pd.concat({"a": at(1, 2) * np.nan, "b": at(0, 1, 2)}), "1s", where="X")
    assert lost.loc["a"].isna().all()


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_keep_their_unit_if_it_is_fine_enough(unit):
    index = pd.date_range("2026-01-01", periods=50, freq="2s").as_unit(unit)
    made = resampled(pd.Series(1.0, index), "1s", where="X")
    assert made.index.dtype == index.dtype
    half = resampled(pd.Series(1.0, index), "500ms", where="X")
    assert half.index.unit == ("ns" if unit == "s" else unit)
    assert half.index[0] == index[0]


@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin", "Asia/Kolkata"])
@pytest.mark.parametrize("step", ["90min", "1D", "7D"])
def test_days_are_those_of_the_zone(step, zone):
    hours = pd.date_range("2026-01-01", periods=6000, freq="h", tz=zone)[RNG.random(6000) < 0.8]
    frame = pd.DataFrame({"a": RNG.standard_normal(len(hours)).cumsum()}, hours)
    retriever = SubsequenceRetriever(resample=step, scales=(8,), n_neighbors=1).fit(frame)
    rows = retriever.rows(0)
    assert rows.index.tz == hours.tz
    if step != "90min":
        assert (rows.index == rows.index.normalize()).all()
        assert rows["a"].iloc[1] == pytest.approx(frame[rows.index[1] : rows.index[2] - pd.Timedelta("1h")]["a"].mean())
    found = retriever.locate(rows.iloc[4:16].to_numpy()[:, 0]).iloc[0]
    assert found["start"] == rows.index[4]


def test_series_and_queries_of_dicts_are_brought_to_the_same_steps():
    frame = frame_of()
    parts = {"x": frame.iloc[:2000], "y": frame.iloc[2000:], "z": frame.iloc[500:2500] * 2}
    retriever = SubsequenceRetriever(resample="10s", n_neighbors=1).fit(parts)
    found = retriever.locate({"x": frame.iloc[700:900], "y": frame.iloc[2700:2900]}, where=["x", "y"])
    assert found.series.tolist() == ["x", "y"]
    own = retriever.locate({"x": frame.iloc[700:900]}, exclude_self=True).iloc[0]
    assert own["series"] == "z"
    # One row does not say how far it is from the next.
    assert len(retriever.locate({"x": frame.iloc[700:701]})) == 1
    even = retriever.rows("y")[100:150].to_numpy()
    assert retriever.locate([even]).start[0] == retriever.rows("y").index[100]


@pytest.mark.parametrize("stored", [False, True])
def test_series_grow_by_whole_steps(stored, tmp_path):
    if stored:
        pytest.importorskip("pyarrow")
    frame = frame_of()
    cut = frame.index.floor("5s").searchsorted(frame.index[2000].floor("5s"))
    store = tmp_path / "index" if stored else "memory"
    whole = SubsequenceRetriever(resample="5s").fit(frame)
    grown = SubsequenceRetriever(resample="5s", store=store).fit(frame.iloc[:cut]).partial_fit(frame.iloc[cut:])
    assert grown.spans_.equals(whole.spans_)
    query = frame.iloc[1000:1200]
    pd.testing.assert_frame_equal(grown.locate(query, k=1), whole.locate(query, k=1))
    if stored:
        del grown
        loaded = SubsequenceRetriever.load(store)
        assert loaded.resample == "5s"
        pd.testing.assert_frame_equal(loaded.locate(query, k=1), whole.locate(query, k=1))


def test_steps_between_what_is_known_and_what_comes_are_missing():
    frame = frame_of()
    late = frame.index[2000].floor("5s")
    grown = SubsequenceRetriever(resample="5s").fit({"x": frame[: frame.index[1000].floor("5s") - pd.Timedelta("1ms")]})
    grown.partial_fit({"x": frame[late:], "y": frame[late:]})
    rows = grown.rows("x")
    assert rows.index[-1] == frame.index[-1].floor("5s")
    assert rows[frame.index[1000].floor("5s") : late - pd.Timedelta("1s")].isna().all().all()
    pd.testing.assert_frame_equal(rows[late:], grown.rows("y"), check_freq=False)
    with pytest.raises(
        ValueError, match=r"1 rows before the end .* Give the rows that follow it; from where a step of '5s"
    ):
        grown.partial_fit({"x": frame.iloc[-1:]})


def test_steps_that_are_too_short_are_refused_by_the_name_of_the_series():
    sparse = pd.Series(RNG.standard_normal(300), pd.date_range("2026-01-01", periods=300, freq="min"))
    dense = pd.Series(RNG.standard_normal(300), pd.date_range("2026-01-01", periods=300, freq="5s"))
    with pytest.raises(ValueError, match=r"rows of X\['b'\] are 60 seconds apart .* such as '60s'"):
        SubsequenceRetriever(resample="5s").fit({"a": dense, "b": sparse})
    with pytest.raises(ValueError, match="rows of X are 60 seconds apart"):
        SubsequenceRetriever(resample="14s").fit(sparse)
    SubsequenceRetriever(resample="15s").fit(sparse)
    # A sensor that was off for most of the time is no such case, nor are a few rows more.
    bursts = pd.concat([dense, dense.set_axis(dense.index + pd.Timedelta("3D"))])
    grown = SubsequenceRetriever(resample="5s").fit(bursts)
    grown.partial_fit(dense.set_axis(dense.index + pd.Timedelta("4D")).iloc[[0, 200]])


@pytest.mark.parametrize(
    "given",
    [
        RNG.standard_normal((4, 50)),
        [RNG.standard_normal(50)],
        pd.Series(RNG.standard_normal(50)),
        pd.Series(RNG.standard_normal(50), pd.period_range("2026-01", periods=50, freq="M")),
        pd.Series(RNG.standard_normal(50), range(3, 53)),
    ],
)
def test_rows_without_such_times_cannot_be_resampled(given):
    with pytest.raises(ValueError, match="resample: found '5s', but the rows of X come"):
        SubsequenceRetriever(resample="5s").fit(given)


@pytest.mark.parametrize("step", ["soon", "5", "-5s", "0s", "", 5, pd.Timedelta("5s")])
def test_what_is_no_step_is_refused(step):
    with pytest.raises(ValueError, match="resample: found"):
        SubsequenceRetriever(resample=step).fit(frame_of())


def test_irregular_times_are_refused_without_it():
    with pytest.raises(ValueError, match="2 of the 2 series, the first 'a'"):
        SubsequenceRetriever().fit({"a": frame_of(), "b": frame_of()})


@pytest.mark.parametrize("kind", INDEXES)
def test_series_begin_with_a_single_step(kind):
    frame = frame_of(kind).iloc[:80]
    whole = SubsequenceRetriever(resample="5s", scales=(8,)).fit({"x": frame})
    steps = resampled(frame, "5s", where="X").index
    begins = np.searchsorted(frame.index, steps)
    parts = [frame.iloc[low:high] for low, high in zip(begins, [*begins[1:], None], strict=True) if low != high]
    grown = SubsequenceRetriever(resample="5s", scales=(8,)).fit({"x": parts[0]})
    assert grown.spans_["end"].iloc[0] == steps[1]
    for part in parts[1:]:
        grown.partial_fit({"x": part})
    pd.testing.assert_frame_equal(grown.spans_, whole.spans_)
    came = grown.rows("x").dropna()
    pd.testing.assert_frame_equal(came, whole.rows("x").loc[came.index], check_freq=False)


def test_rows_half_a_step_off_do_not_follow():
    hours = pd.date_range("2026-01-01 00:30", periods=100, freq="h")
    retriever = SubsequenceRetriever(scales=(8,)).fit(pd.Series(RNG.standard_normal(80), hours[:80]))
    retriever.set_params(resample="1h")
    for later in (80, 81, 90):
        with pytest.raises(ValueError, match=r"0\.5 rows (before|after) the end of what is known"):
            retriever.partial_fit(pd.Series(RNG.standard_normal(100 - later), hours[later:]))
    assert retriever.lengths_.tolist() == [80]


@pytest.mark.parametrize("panel", [False, True])
@pytest.mark.parametrize(
    "dtype", ["timestamp[us][pyarrow]", "timestamp[us, tz=Europe/Berlin][pyarrow]", "duration[us][pyarrow]", "Float64"]
)
def test_times_of_any_library_are_brought_to_steps(dtype, panel):
    pytest.importorskip("pyarrow")
    kind = {"t": "zone" if "tz" in dtype else "instants", "d": "durations", "F": "seconds"}[dtype[0]]
    frame = frame_of(kind).iloc[:400]
    other = frame.set_axis(pd.Index(frame.index.as_unit("us") if kind != "seconds" else frame.index, dtype=dtype))
    given = [{"x": one} if panel else one for one in (frame, other)]
    expected, retriever = (SubsequenceRetriever(resample="5s").fit(one) for one in given)
    rows = [one.rows("x" if panel else 0) for one in (expected, retriever)]
    np.testing.assert_array_equal(rows[0], rows[1])
    assert (rows[0].index == rows[1].index).all()
    assert retriever.locate(other.iloc[100:200], k=1).start[0] == expected.locate(frame.iloc[100:200], k=1).start[0]


@pytest.mark.parametrize("panel", [True, False])
def test_a_wrong_stamp_is_named_before_it_fills_the_memory(panel):
    times = pd.date_range("2026-01-01", periods=300, freq="s").insert(300, pd.Timestamp("1970-01-01 00:00:07"))
    series = pd.Series(np.arange(301.0), times)
    given = pd.concat({"a": series[:300], "b": series}, names=["series"]) if panel else series
    name = r"X\['b'\]" if panel else "X"
    with pytest.raises(
        ValueError, match=name + r" goes from 1970-01-01 00:00:07 to 2026.* for 301 rows\. Mend the time"
    ):
        SubsequenceRetriever(resample="1s").fit(given)
    assert SubsequenceRetriever(resample="1D").fit(series).lengths_[0] == 20455
