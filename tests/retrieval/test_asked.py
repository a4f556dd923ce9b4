"""Questions that restrict: lengths of indexed windows, levels of names; and series without rows."""

import numpy as np
import pandas as pd
import pytest

from tsrec import LSSLEncoder
from tsrec.retrieval import SubsequenceRetriever
from tsrec.retrieval._windows import Windows

RNG = np.random.default_rng(6)
HOURS = pd.date_range("2026-01-01", periods=3000, freq="h", name="time")


def walk(n=3000):
    return pd.Series(RNG.standard_normal(n).cumsum(), HOURS[:n], name="y")


def looked_in(retriever, query, monkeypatch, **asked):
    """Scales whose windows a question was looked up in."""
    scales, search = [], Windows.search

    def told(self, scale, *arguments):
        scales.append(scale)
        return search(self, scale, *arguments)

    monkeypatch.setattr(Windows, "search", told)
    retriever.locate(query, **asked)
    monkeypatch.setattr(Windows, "search", search)
    return scales


def test_candidates_are_looked_up_at_the_scales_asked_for(monkeypatch):
    series = walk()
    retriever = SubsequenceRetriever(index="flat", scales=(32, 64, 256, 1024)).fit(series)
    query = series.iloc[700:1100]
    for asked, found in [(None, [64, 256]), ([256], [256]), ([256, 32], [32, 256]), ((1024, 64), [64]), ([1024], [])]:
        assert looked_in(retriever, query, monkeypatch, scales=asked) == found
        assert retriever.locate(query, k=1, scales=asked).start[0] == HOURS[700]


def test_windows_that_are_the_answer_have_a_scale_asked_for(monkeypatch):
    series = walk(1200)
    encoder = LSSLEncoder(d_model=8, n_layers=1, max_epochs=0, random_state=0).fit({"x": series})
    retriever = SubsequenceRetriever(encoder=encoder, scales=(32, 64, 256)).fit(series)
    for asked, rows in [(None, 64), ([32, 64], 64), ([256, 32], 32), ([256], 256)]:
        found = retriever.locate(series.iloc[100:170], scales=asked)
        assert set(found.end - found.start) == {pd.Timedelta(hours=rows)}
        assert looked_in(retriever, series.iloc[100:170], monkeypatch, scales=asked)[0] == rows


def test_scales_that_cannot_be_looked_in_are_refused():
    frame = pd.DataFrame({"a": walk(), "b": walk()})
    retriever = SubsequenceRetriever(index="flat").fit(frame)
    query = frame.iloc[700:1100]
    with pytest.raises(
        ValueError, match=r"scales: found \[128\], which are not indexed. Give some of scales_, \[64, 2"
    ):
        retriever.locate(query, scales=[64, 128])
    for wrong in ([], 64, "64"):
        with pytest.raises(ValueError, match="scales: found"):
            retriever.locate(query, scales=wrong)
    with pytest.raises(ValueError, match=r"all windows are compared .as always with fewer channels"):
        retriever.locate(query[["a"]], scales=[64])
    with pytest.raises(ValueError, match=r"found \[64\], but all windows are compared .the search is exact"):
        SubsequenceRetriever().fit(frame).locate(query, scales=[64])


def test_many_queries_are_answered_by_one_search(monkeypatch):
    series, made = walk(), []
    retriever, search = SubsequenceRetriever(n_neighbors=1).fit(series), SubsequenceRetriever._search
    monkeypatch.setattr(SubsequenceRetriever, "_search", lambda self, asked: made.append(1) or search(self, asked))
    found = retriever.locate([series.iloc[low : low + 40].to_numpy() for low in (10, 500, 900)])
    assert found.start.tolist() == [HOURS[10], HOURS[500], HOURS[900]]
    assert len(made) == 1


def test_series_are_chosen_by_the_levels_of_their_names():
    names = [(3, "rest"), (3, "walk"), (4, "rest"), (5, "walk")]
    panel = pd.concat({name: walk(300) for name in names}, names=["subject", "trial"])
    retriever = SubsequenceRetriever(n_neighbors=20).fit(panel)
    query = panel.loc[(4, "rest")].iloc[50:90]
    for where, found in [
        ({"subject": 3}, names[:2]),
        ({"subject": [3, 5], "trial": "walk"}, [names[1], names[3]]),
        ({"trial": "rest"}, names[::2]),
        ({"subject": range(4, 9), "trial": frozenset(["walk"])}, names[3:]),
        ({"subject": {3: "a", 5: "b"}.keys()}, [*names[:2], names[3]]),
    ]:
        assert set(retriever.locate(query, where=where).series) == set(found)
    with pytest.raises(ValueError, match=r"found \['age'\], .* have the columns \['subject', 'trial'\]"):
        retriever.locate(query, where={"age": 3})
    with pytest.raises(ValueError, match="no metadata"):
        retriever.locate(query, where=lambda row: row["subject"] == 3)
    retriever.forget({"subject": 3})
    assert retriever.lengths_.index.tolist() == names[2:]


def test_metadata_and_levels_choose_together_and_metadata_come_first():
    names = pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)], names=["site", "sensor"])
    panel = pd.concat({name: walk(200) for name in names}, names=names.names)
    metadata = pd.DataFrame({"kind": ["x", "y", "x"], "sensor": [7, 8, 9]}, index=names)
    retriever = SubsequenceRetriever(n_neighbors=20).fit(panel, metadata=metadata)
    query = walk(40)
    assert set(retriever.locate(query, where={"site": "a", "kind": "x"}).series) == {("a", 1)}
    assert set(retriever.locate(query, where={"sensor": 9}).series) == {("b", 1)}


@pytest.mark.parametrize("kind", ["dict", "all of a dict", "panel", "seconds"])
def test_series_without_rows_are_refused(kind):
    series = walk(200)
    if kind == "seconds":
        series.index = pd.Index(np.arange(200) / 10, name="time")
    given = {"a": series.iloc[:0] if kind == "all of a dict" else series, "b": series.iloc[:0]}
    given = pd.concat({"a": series})[:0] if kind == "panel" else given
    with pytest.raises(ValueError, match=r"X: it has 0 rows" if kind == "panel" else r"X\['[ab]'\]: the series has 0"):
        SubsequenceRetriever().fit(given)
    retriever = SubsequenceRetriever().fit({"a": series.iloc[:100]})
    with pytest.raises(ValueError, match="0 rows"):
        retriever.partial_fit(given)
    assert retriever.lengths_.tolist() == [100]


def test_uneven_seconds_are_refused_by_the_name_of_the_series():
    even, uneven = np.arange(100) / 10, np.arange(100) ** 2 / 1000
    given = {name: pd.Series(RNG.standard_normal(100), index) for name, index in (("a", even), ("b", uneven))}
    with pytest.raises(ValueError, match=r"X\['b'\]: has \d+ gaps|X\['b'\]: has uneven steps"):
        SubsequenceRetriever().fit(given)


def test_channels_are_columns_of_the_query_by_name_or_one_for_each():
    frame = pd.DataFrame(RNG.standard_normal((300, 3)).cumsum(0), columns=["ecg", "resp", "temp"])
    retriever = SubsequenceRetriever(n_neighbors=1).fit(frame)
    query = frame.iloc[100:160].reset_index(drop=True)
    for channels in (["resp", "ecg"], ["ecg"], "temp", ["temp", "resp", "ecg"]):
        found = retriever.locate(query, channels=channels)
        assert found.start[0] == 100
        assert found.distance[0] == pytest.approx(0, abs=1e-5)
    others = query[["resp", "temp"]].set_axis(["a", "b"], axis=1)
    assert retriever.locate(others, channels=["resp", "temp"]).start[0] == 100
    assert retriever.locate(others, channels=["temp", "resp"]).distance[0] > 1
    unnamed, array = SubsequenceRetriever(n_neighbors=1).fit(frame.to_numpy().T[None]), query.to_numpy().T[None]
    for channels in ([1, 0], [2, 0], [0, 2, 1], [2]):
        found = unnamed.locate(array[:, channels], channels=channels)
        assert found.start[0] == 100
        assert found.distance[0] == pytest.approx(0, abs=1e-5)
    with pytest.raises(ValueError, match=r"and channels= \['z'\]\. Give columns"):
        retriever.locate(query, channels=["z"])
    with pytest.raises(ValueError, match="channels: found none"):
        retriever.locate(query, channels=[])
    with pytest.raises(ValueError, match="carry_state"):
        SubsequenceRetriever(carry_state="no").fit(frame)
    with pytest.raises(ValueError, match=r"its channels are \['a', 'b'\].*with a name for each column"):
        retriever.locate(others, channels=["temp"])


def test_what_no_series_has_and_times_in_reverse_are_refused():
    index = pd.date_range("2026-01-01", periods=200, freq="h")
    panel = pd.concat({(2, "a"): pd.Series(RNG.standard_normal(200), index)}, names=["subject", "trial"])
    retriever = SubsequenceRetriever().fit(panel)
    for where in ({"subject": 9}, {"subject": "2"}, {"subject": 2, "trial": ["b"]}):
        with pytest.raises(ValueError, match=r"where: no series has .*Give values that are there, such as"):
            retriever.locate(panel.iloc[:20].droplevel([0, 1]), where=where)
    with pytest.raises(ValueError, match=r"time_range: found .* ends before it starts"):
        retriever.locate(panel.iloc[:20].droplevel([0, 1]), time_range=("2026-01-05", "2026-01-02"))
