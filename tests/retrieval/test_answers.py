"""Other speeds, warping, approximate search, repeats and questions without answers."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config

from tsrec.retrieval import SubsequenceRetriever, _exact
from tsrec.retrieval._dtw import dtw_reference
from tsrec.retrieval._warp import resampled

RNG = np.random.default_rng(5)
SHAPE = RNG.standard_normal(120).cumsum()


def series_with(shapes, n=6000):
    x = RNG.standard_normal(n).cumsum() * 0.3
    for start, shape in shapes.items():
        x[start : start + len(shape)] = x[start] + shape
    return pd.Series(x, name="y")


def test_faster_and_slower_intervals_are_found_with_warp():
    series = series_with({1000: resampled(SHAPE[:, None], 96)[:, 0], 3000: resampled(SHAPE[:, None], 150)[:, 0]})
    retriever = SubsequenceRetriever(n_neighbors=2).fit(series)
    found = retriever.locate(SHAPE, warp=True)
    assert set(zip(found.start, found.end, strict=True)) == {(1000, 1096), (3000, 3150)}
    assert found.score.min() > 0.99
    plain = retriever.locate(SHAPE)
    assert plain.score.max() < found.score.min()
    assert (plain.end - plain.start == 120).all()
    some = retriever.locate(SHAPE, warp=[1.25], k=1)
    assert some[["start", "end"]].iloc[0].tolist() == [3000, 3150]
    one = retriever.locate(SHAPE, warp=[1.0])
    pd.testing.assert_frame_equal(one, plain)
    assert len(retriever.locate(SHAPE, warp=True, k=9, max_distance=1.0)) == 2


def test_warped_intervals_are_nearest_by_dynamic_time_warping():
    bent = np.interp(np.arange(120) + 4 * np.sin(np.arange(120) / 9), np.arange(120), SHAPE)
    series = series_with({2000: bent})
    retriever = SubsequenceRetriever(verify="dtw", n_neighbors=2, band=0.1).fit(series)
    found = retriever.locate(SHAPE)
    assert abs(found.start[0] - 2000) <= 6
    window = series.to_numpy()[found.start[0] :][:120]
    assert found.distance[0] == pytest.approx(dtw_reference(SHAPE[:, None], window[:, None], band=0.1))
    euclidean = SubsequenceRetriever(n_neighbors=1).fit(series).locate(SHAPE)
    assert found.distance[0] < euclidean.distance[0]


@pytest.mark.parametrize("index", ["flat", "faiss"])
def test_candidates_lead_to_what_comparing_all_finds(index):
    if index == "faiss":
        pytest.importorskip("faiss")
    panel = {name: pd.DataFrame(RNG.standard_normal((9000, 2)).cumsum(0), columns=["a", "b"]) for name in "xyz"}
    exact = SubsequenceRetriever().fit(panel)
    coarse = SubsequenceRetriever(index=index).fit(panel)
    for m in (40, 300, 1500):
        query = panel["y"].iloc[5003 : 5003 + m] + 0.2 * RNG.standard_normal((m, 2))
        first = exact.locate(query[["b", "a"]], k=1)
        pd.testing.assert_frame_equal(coarse.locate(query[["b", "a"]], k=1), first)
        inside = {"where": ["x", "y"], "time_range": (4000, 8000), "k": 1}
        pd.testing.assert_frame_equal(coarse.locate(query, **inside), exact.locate(query, **inside))
        away = {"where": ["x", "z"], "k": 3}
        assert set(coarse.locate(query, **away).series) <= {"x", "z"}
        alone = {"channels": ["a"], "k": 2}
        pd.testing.assert_frame_equal(coarse.locate(query[["a"]], **alone), exact.locate(query[["a"]], **alone))


def test_indexed_windows_are_the_answer_without_verification():
    panel = {name: pd.Series(RNG.standard_normal(2000).cumsum()) for name in "xy"}
    retriever = SubsequenceRetriever(index="flat", verify=None, scales=(100,), n_candidates=2).fit(panel)
    found = retriever.locate(panel["y"].iloc[500:600], k=4)
    assert found.loc[0, ["series", "start", "end"]].tolist() == ["y", 500, 600]
    assert found.score[0] == pytest.approx(1)
    assert len(found) == 4
    assert not found.verified.any()
    gaps = [abs(a - b) for s in "xy" for a in found.start[found.series == s] for b in found.start[found.series == s]]
    assert all(gap == 0 or gap >= 50 for gap in gaps)


def test_motifs_and_discords_have_the_times_of_their_series():
    index = pd.date_range("2026-01-01", periods=1500, freq="min")
    beat = np.tile(np.sin(np.arange(50) / 50 * 2 * np.pi) ** 3, 30)
    x = pd.Series(beat + 0.05 * RNG.standard_normal(1500), index, name="y")
    x.iloc[700:750] = 0.05 * RNG.standard_normal(50)
    panel = pd.concat(
        {"a": x, "b": pd.Series(RNG.standard_normal(300), index[:300], name="y")}, names=["series", "time"]
    )
    retriever = SubsequenceRetriever().fit(panel)
    pairs = retriever.motifs(100, k=2)
    assert pairs.motif.tolist() == [0, 0, 1, 1]
    assert (pairs.series == "a").all()
    assert (pairs.end - pairs.start == pd.Timedelta(minutes=100)).all()
    assert pairs.score.min() > 0.95
    alone = SubsequenceRetriever().fit(x).discords(100, k=1)
    assert index[600] <= alone.start[0] <= index[750]
    with pytest.raises(ValueError, match="length: found 1"):
        retriever.motifs(1)
    with pytest.raises(ValueError, match="channels: found"):
        retriever.motifs(100, channels=["z"])


def test_motifs_do_not_depend_on_how_the_series_came():
    x = series_with({1000: SHAPE, 3100: SHAPE}, 4000)
    whole = SubsequenceRetriever().fit({"a": x, "b": x.iloc[:10]})
    grown = SubsequenceRetriever().fit({"a": x.iloc[:1060], "b": x.iloc[:10]})
    grown.partial_fit({"a": x.iloc[1060:3150]}).partial_fit({"a": x.iloc[3150:]})
    pd.testing.assert_frame_equal(grown.motifs(120, k=1), whole.motifs(120, k=1))
    assert sorted(whole.motifs(120, k=1).start) == [1000, 3100]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"k": 0}, "k: found 0"),
        ({"k": 2.5}, "k: found 2.5"),
        ({"warp": "fast"}, "warp: found 'fast'"),
        ({"warp": [0]}, r"warp: found \[0\]"),
        ({"where": ["nobody"]}, "where: found"),
        ({"where": {"age": 3}}, "have no metadata"),
        ({"max_distance": -1}, "max_distance: found -1"),
        ({"time_range": "now"}, "time_range: found 'now'"),
        ({"channels": ["y", "y"]}, "some of them twice"),
    ],
)
def test_bad_questions_are_refused(settings, message):
    retriever = SubsequenceRetriever().fit(series_with({}, 500))
    with pytest.raises(ValueError, match=message):
        retriever.locate(SHAPE, **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"index": "hnsw"}, "index: found 'hnsw'"),
        ({"verify": "all"}, "verify: found 'all'"),
        ({"scales": ()}, "scales: found"),
        ({"scales": 64}, "scales: found 64"),
        ({"stride": 0}, "stride: found 0"),
        ({"band": 2}, "band: found 2"),
        ({"n_candidates": 0}, "n_candidates: found 0"),
        ({"exclusion": -1}, "exclusion: found -1"),
        ({"n_jobs": 0}, "n_jobs: found 0"),
        ({"n_jobs": "all"}, "n_jobs: found 'all'"),
        ({"verbose": -1}, "verbose: found -1"),
    ],
)
def test_bad_parameters_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        SubsequenceRetriever(**settings).fit(series_with({}, 500))


def test_threads_find_the_same(monkeypatch):
    given, locate_minima = [], _exact.tile_minima
    monkeypatch.setattr(_exact, "tile_minima", lambda *a, n_jobs: given.append(n_jobs) or locate_minima(*a))
    series = {"a": RNG.standard_normal(900), "b": RNG.standard_normal(700)}
    one, two = (SubsequenceRetriever(n_jobs=n_jobs, scales=(64,)).fit(series) for n_jobs in (None, 2))
    pd.testing.assert_frame_equal(one.locate(series["a"][50:110]), two.locate(series["a"][50:110]))
    pd.testing.assert_frame_equal(one.motifs(50), two.motifs(50))
    pd.testing.assert_frame_equal(one.discords(50), two.discords(50))
    with parallel_config(backend="threading", n_jobs=3):
        one.locate(series["a"][50:110])
    assert given == [1, 2, 3]


def test_series_are_chosen_by_metadata():
    panel = {name: pd.Series(RNG.standard_normal(200)) for name in "xyz"}
    metadata = {"x": {"age": 30, "room": "a"}, "y": {"age": 40, "room": "b"}, "z": {"age": 50, "room": "a"}}
    retriever = SubsequenceRetriever(n_neighbors=9).fit(panel, metadata=metadata)
    query = panel["y"].iloc[20:60]
    assert set(retriever.locate(query, where={"room": "a"}).series) == {"x", "z"}
    assert set(retriever.locate(query, where={"room": ["a", "b"], "age": 40}).series) == {"y"}
    assert set(retriever.locate(query, where=lambda row: row["age"] >= 40).series) == {"y", "z"}
    with pytest.raises(ValueError, match="have the columns"):
        retriever.locate(query, where={"floor": 1})
    with pytest.raises(ValueError, match="no row for"):
        SubsequenceRetriever().fit(panel, metadata={"x": {"age": 1}})
    with pytest.raises(ValueError, match="a row for each new series"):
        retriever.partial_fit({"w": panel["x"]})
    retriever.partial_fit({"w": panel["x"]}, metadata={"w": {"age": 60, "room": "c"}})
    assert set(retriever.locate(query, where={"room": "c"}).series) == {"w"}


@pytest.mark.parametrize("index", ["exact", "flat"])
def test_level_and_scale_count_where_asked(index):
    values = RNG.standard_normal((4000, 2)).cumsum(0)
    values[1000:1100], values[3000:3100] = values[200:300] * 2 + 5, values[200:300] + 0.01
    values[2000] = np.nan
    retriever = SubsequenceRetriever(metric="euclidean", index=index, n_neighbors=2, scales=(64,), n_candidates=500)
    query = values[200:300] + 0.02
    found = retriever.fit([values]).locate([query])
    windows = np.lib.stride_tricks.sliding_window_view(values, 100, axis=0).transpose(0, 2, 1)
    expected = np.sqrt(np.nan_to_num(np.square(windows - query).sum((1, 2)), nan=np.inf))
    assert found.start.tolist() == [3000, 200]
    np.testing.assert_allclose(found.distance, expected[found.start])
    assert expected.argmin() == 3000
    assert found.score.between(0.99, 1).all()
    near = SubsequenceRetriever(n_neighbors=3).fit([values]).locate([query])
    assert sorted(near.start) == [200, 1000, 3000]
    assert len(retriever.locate([query], k=9, max_distance=1.0)) == 2


def test_a_constant_query_has_a_level():
    values = np.r_[np.zeros(200), RNG.standard_normal(500), np.full(200, 3.0)]
    retriever = SubsequenceRetriever(metric="euclidean", n_neighbors=1).fit([values])
    found = retriever.locate(np.full(50, 3.0))
    assert found[["start", "distance", "score"]].iloc[0].tolist() == [700, 0, 1]
    with pytest.raises(ValueError, match="warping compares z-normalised"):
        SubsequenceRetriever(metric="euclidean", verify="dtw").fit([values]).locate(values[300:350])


@pytest.mark.parametrize("settings", [{}, {"index": "flat", "scales": (50,)}, {"verify": "dtw"}])
def test_where_the_query_was_cut_from_is_no_answer(settings):
    index = pd.date_range("2026-01-01", periods=1000, freq="h")
    panel = {name: pd.Series(RNG.standard_normal(1000).cumsum(), index) for name in "xy"}
    panel["y"].iloc[700:800] = panel["x"].iloc[200:300].to_numpy()
    retriever = SubsequenceRetriever(n_neighbors=3, **settings).fit(panel)
    query = {"x": panel["x"].iloc[200:300]}
    assert retriever.locate(query).loc[:1, "start"].tolist() == [index[200], index[700]]
    found = retriever.locate(query, exclude_self=True)
    assert found.loc[0, ["series", "start"]].tolist() == ["y", index[700]]
    assert len(found) == 3
    assert not ((found.series == "x") & (found.start > index[150]) & (found.start < index[250])).any()
    assert (retriever.locate(query, exclude_self=True, warp=True).start[0] - index[700]) < pd.Timedelta("9h")
    one = SubsequenceRetriever(n_neighbors=1).fit(panel["x"])
    assert one.locate(panel["x"].iloc[200:300], exclude_self=True).start[0] != index[200]
    with pytest.raises(ValueError, match="do not say which series"):
        retriever.locate(panel["x"].iloc[200:300], exclude_self=True)


def test_spans_and_chunks_with_metadata():
    index = pd.date_range("2026-01-01", periods=300, freq="h")
    panel = {name: pd.Series(RNG.standard_normal(300), index) for name in "xy"}
    metadata = pd.DataFrame({"age": [3, 4]}, index=["x", "y"])
    retriever = SubsequenceRetriever().fit(iter([{"x": panel["x"]}, {"y": panel["y"][:200]}]), metadata=metadata)
    assert retriever.metadata_["age"].tolist() == [3, 4]
    assert retriever.spans_.loc["y"].tolist() == [index[0], index[200], 200]


def test_candidates_reach_across_borders_of_what_came_later():
    panel = {name: pd.Series(RNG.standard_normal(400).cumsum()) for name in "ab"}
    grown = SubsequenceRetriever(scales=(32,), index="flat").fit({name: one.iloc[:150] for name, one in panel.items()})
    grown.partial_fit({name: one.iloc[150:] for name, one in panel.items()})
    found = grown.locate(panel["a"].iloc[100:200], k=1)
    assert found.loc[0, ["series", "start"]].tolist() == ["a", 100]


def test_channels_are_told_by_name_even_if_that_is_a_number():
    frame = pd.DataFrame(RNG.standard_normal((500, 2)))
    retriever = SubsequenceRetriever(n_neighbors=1).fit(frame)
    assert retriever.locate(frame[[1, 0]].iloc[100:150]).start[0] == 100
    assert retriever.locate(frame.iloc[100:150].to_numpy().T[None]).start[0] == 100


def test_queries_of_another_rate_or_form_are_refused():
    index = pd.date_range("2026-01-01", periods=500, freq="h")
    series = pd.Series(RNG.standard_normal(500), index, name="load")
    retriever = SubsequenceRetriever().fit(series)
    with pytest.raises(ValueError, match="rows a second"):
        retriever.locate(series.iloc[:100:2])
    with pytest.raises(ValueError, match="have one row each"):
        retriever.locate(series.to_numpy()[:50, None])
    assert retriever.locate(series.iloc[60:90].rename("query"), k=1).start[0] == index[60]


def test_settings_may_change_between_questions_but_not_to_nonsense():
    retriever = SubsequenceRetriever().fit(series_with({}, 500))
    retriever.index = "some"
    with pytest.raises(ValueError, match="index: found 'some'"):
        retriever.locate(SHAPE)


def test_threads_may_ask_at_once():
    series = series_with({}, 20000)
    retriever = SubsequenceRetriever(n_neighbors=2, scales=(64,)).fit(series)
    lengths = [40 + 7 * i for i in range(24)]

    def ask(m):
        near = retriever.kneighbors(series.iloc[100:164].to_numpy()[None, None], 3, return_distance=False)
        return retriever.locate(series.iloc[5000 : 5000 + m]).start.tolist(), near.tolist()

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(ask, lengths))
    assert found == [ask(m) for m in lengths]
    assert len(retriever.windows_) == (20000 - 64) // 16 + 1
