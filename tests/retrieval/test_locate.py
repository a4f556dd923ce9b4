"""Intervals are answered in the user's own times, for one query or many, in one series or many."""

import numpy as np
import pandas as pd
import pytest

from tsrec.frames import recording
from tsrec.retrieval import SubsequenceRetriever

RNG = np.random.default_rng(1)
INDEXES = {
    "hours": pd.date_range("2026-01-01", periods=400, freq="h"),
    "months": pd.date_range("1990-01-31", periods=400, freq="ME"),
    "zone": pd.date_range("2026-03-20", periods=400, freq="h", tz="Europe/Berlin"),
    "periods": pd.period_range("1990-01", periods=400, freq="M"),
    "durations": pd.to_timedelta(np.arange(400) * 20, unit="ms"),
    "whole numbers": pd.Index(np.arange(1000, 1400), name="t"),
    "seconds": pd.Index(np.arange(400) / 160 + 3, name="time"),
}


def walk(n=400):
    return RNG.standard_normal(n).cumsum()


@pytest.mark.parametrize("kind", INDEXES)
def test_intervals_have_the_times_of_the_series(kind):
    index = INDEXES[kind]
    series = pd.Series(walk(), index, name="y")
    query = (series.iloc[120:150] * 5 - 3).to_numpy()
    found = SubsequenceRetriever(n_neighbors=3).fit(series).locate(query)
    assert list(found.columns) == ["query", "rank", "series", "start", "end", "score", "distance", "verified"]
    assert found.start[0] == index[120]
    assert found.end[0] == pytest.approx(index[150]) if kind == "seconds" else found.end[0] == index[150]
    assert found.score[0] == pytest.approx(1)
    assert found.distance.is_monotonic_increasing
    last = SubsequenceRetriever().fit(series).locate(series.iloc[-30:], k=1)
    assert last.start[0] == index[370]
    assert last.end[0] > index[399]


@pytest.mark.parametrize("kind", INDEXES)
def test_a_range_of_times_keeps_intervals_inside(kind):
    index = INDEXES[kind]
    series = pd.Series(walk(), index, name="y")
    retriever = SubsequenceRetriever(n_neighbors=50, exclusion=0.1).fit(series)
    found = retriever.locate(series.iloc[100:120], time_range=(index[50], index[110]))
    assert len(found)
    assert found.start.min() >= index[50]
    assert found.end.max() <= index[110]
    assert index[90] in set(found.start) or found.end.max() > index[100]
    assert len(retriever.locate(series.iloc[100:120], time_range=(index[50], index[60]))) == 0


def test_series_and_channels_are_chosen_by_name():
    parts = {name: pd.DataFrame(RNG.standard_normal((200, 3)), columns=list("xyz")) for name in ("a", "b", "c")}
    panel = pd.concat(parts, names=["series", "step"])
    retriever = SubsequenceRetriever(n_neighbors=2).fit(panel)
    query = panel.loc["b"].iloc[60:90]
    assert retriever.locate(query).loc[0, ["series", "start", "end"]].tolist() == ["b", 60, 90]
    assert set(retriever.locate(query, where=["a", "c"]).series) <= {"a", "c"}
    turned = query[["z", "x"]]
    assert retriever.locate(turned).loc[0, "start"] == 60
    assert retriever.locate(turned.to_numpy().T[None], channels=["z", "x"]).loc[0, "series"] == "b"
    with pytest.raises(ValueError, match=r"where: found \['d'\], which are not among the series"):
        retriever.locate(query, where=["a", "d"])
    with pytest.raises(ValueError, match=r"Q: its channels are \['w'\], those of the series \['x', 'y', 'z'\]"):
        retriever.locate(query[["x"]].rename(columns={"x": "w"}))


def test_dicts_of_series_and_recordings_are_searched():
    values = RNG.standard_normal((2, 600))
    frames = {"first": recording(values, ["C3", "C4"], 100), "second": recording(values[:, ::-1], ["C3", "C4"], 100)}
    retriever = SubsequenceRetriever().fit(frames)
    found = retriever.locate({"one": frames["second"].iloc[100:150], "two": frames["first"].iloc[20:80]}, k=1)
    assert found["query"].tolist() == ["one", "two"]
    assert found.series.tolist() == ["second", "first"]
    np.testing.assert_allclose(found.start, [1.0, 0.2])
    np.testing.assert_allclose(found.end, [1.5, 0.8])


def test_queries_that_cannot_be_asked_are_refused():
    retriever = SubsequenceRetriever().fit(pd.Series(walk(), INDEXES["hours"]))
    with pytest.raises(ValueError, match="query 0 has missing values"):
        retriever.locate(np.array([1.0, np.nan, 2.0]))
    assert len(retriever.locate(walk(500))) == 0


@pytest.mark.parametrize("kind", INDEXES)
def test_the_rows_of_an_interval_are_those_of_the_series(kind):
    index = INDEXES[kind]
    series = pd.DataFrame({"y": walk(), "z": walk()}, index)
    retriever = SubsequenceRetriever(n_neighbors=2).fit(series.iloc[:300]).partial_fit(series.iloc[300:])
    found = retriever.locate(series.iloc[285:315]).iloc[0]
    shown = retriever.rows(found["series"], found["start"], found["end"])
    pd.testing.assert_frame_equal(shown, series.iloc[285:315], check_freq=False, check_names=False)
    assert retriever.rows(0).equals(retriever.rows(0, index[0]))
    assert len(retriever.rows(0)) == 400
    assert len(retriever.rows(0, end=index[7])) == 7
    assert len(retriever.rows(0, index[7], index[5])) == 0


def test_rows_are_asked_for_by_the_name_of_a_series():
    parts = {("a", number): pd.Series(walk(50)) for number in range(3)}
    retriever = SubsequenceRetriever(scales=(8,)).fit(pd.concat(parts, names=["site", "sensor", "step"]))
    np.testing.assert_allclose(retriever.rows(("a", 2), 10, 20)[0], parts["a", 2][10:20])
    with pytest.raises(ValueError, match=r"series: found \[\('b', 2\)\], which are not among the series"):
        retriever.rows(("b", 2))


def test_times_are_read_as_the_index_has_them():
    hours = pd.Series(walk(), INDEXES["zone"], name="y")
    retriever = SubsequenceRetriever(n_neighbors=50, exclusion=0.1).fit(hours)
    query = hours.iloc[100:120]
    stamp = INDEXES["zone"][50]
    by_stamp = retriever.locate(query, time_range=(stamp, None))
    pd.testing.assert_frame_equal(retriever.locate(query, time_range=(str(stamp)[:19], None)), by_stamp)
    pd.testing.assert_frame_equal(retriever.locate(query, time_range=(stamp.tz_convert("UTC"), None)), by_stamp)
    plain = SubsequenceRetriever().fit(pd.Series(walk(), INDEXES["hours"]))
    for wrong, message in [(stamp, "without a zone"), ("soon", "such as Timestamp"), (("a", "b"), "such as")]:
        with pytest.raises(ValueError, match=message):
            plain.locate(walk(20), time_range=(wrong, None))
    with pytest.raises(ValueError, match="Give a number"):
        SubsequenceRetriever().fit(pd.Series(walk())).locate(walk(20), time_range=("soon", None))


def test_ranges_of_times_hold_for_series_that_begin_at_different_times():
    index = INDEXES["months"]
    panel = {name: pd.Series(walk(200), index[first : first + 200]) for name, first in (("a", 0), ("b", 100), ("c", 7))}
    retriever = SubsequenceRetriever(n_neighbors=100, exclusion=0.05).fit(panel)
    found = retriever.locate(walk(12), time_range=(index[90], index[150]))
    assert set(found.series) == {"a", "b", "c"}
    assert found.start.min() >= index[90]
    assert found.end.max() <= index[150]
