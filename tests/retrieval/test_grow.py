"""Series that grow: what came in pieces is answered as what came whole, with encoders too."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator

from tsrec import LSSLEncoder, LuMambaEncoder, MambaEncoder
from tsrec.frames import recording
from tsrec.retrieval import SubsequenceRetriever, _tokens

RNG = np.random.default_rng(3)
N = 1500
INDEXES = {
    "hours": pd.date_range("2026-01-01", periods=N, freq="h"),
    "zone": pd.date_range("2026-03-20", periods=N, freq="D", tz="Europe/Berlin"),
    "periods": pd.period_range("1890-01", periods=N, freq="M"),
    "whole numbers": pd.Index(np.arange(1000, 1000 + N), name="t"),
    "default": pd.RangeIndex(N),
    "seconds": pd.Index(np.arange(N) / 160 + 3, name="time"),
}
WALK = RNG.standard_normal((N, 2)).cumsum(0)
CUTS = [0, 400, 401, 450, 1100, N]


@pytest.mark.parametrize("kind", INDEXES)
def test_a_recording_that_grew_is_one_that_was_whole(kind):
    frame = pd.DataFrame(WALK, INDEXES[kind], columns=["a", "b"])
    whole = SubsequenceRetriever(scales=(64, 256)).fit(frame)
    grown = SubsequenceRetriever(scales=(64, 256)).fit(frame.iloc[:400])
    grown.kneighbors(WALK[None, :64].transpose(0, 2, 1), 1)
    for low, high in pairwise(CUTS[1:]):
        grown.partial_fit(frame.iloc[low:high])
    for query in (WALK[380:440], WALK[390:1130]):
        pd.testing.assert_frame_equal(
            grown.locate(query[None].transpose(0, 2, 1)), whole.locate(query[None].transpose(0, 2, 1))
        )
    order = ["scale", "start"]
    pd.testing.assert_frame_equal(grown.windows_.sort_values(order, ignore_index=True), whole.windows_)
    assert grown.lengths_.tolist() == [N]


def test_series_of_a_panel_grow_by_name_and_new_ones_are_added():
    parts = {name: pd.DataFrame(RNG.standard_normal((300, 2)), columns=["a", "b"]) for name in "xyz"}
    whole = SubsequenceRetriever().fit(parts)
    first = {name: part.iloc[: 100 + 50 * i] for i, (name, part) in enumerate(parts.items()) if name != "z"}
    grown = SubsequenceRetriever().fit(first)
    rest = {name: part.iloc[100 + 50 * i :] for i, (name, part) in enumerate(parts.items()) if name != "z"}
    grown.partial_fit({name: part[["b", "a"]] for name, part in rest.items()})
    grown.partial_fit({"z": parts["z"]})
    query = parts["x"].iloc[80:130]
    pd.testing.assert_frame_equal(grown.locate(query, k=9), whole.locate(query, k=9))
    assert grown.n_series_ == 3


def test_an_iterator_gives_one_chunk_after_another():
    frame = pd.DataFrame(WALK, INDEXES["hours"], columns=["a", "b"])
    whole = SubsequenceRetriever().fit(frame)
    chunked = SubsequenceRetriever().fit(frame.iloc[low:high] for low, high in pairwise(CUTS))
    query = frame.iloc[440:470]
    pd.testing.assert_frame_equal(chunked.locate(query), whole.locate(query))
    with pytest.raises(ValueError, match="iterator gave nothing"):
        SubsequenceRetriever().fit(iter([]))


def test_rows_that_do_not_follow_are_refused_and_change_nothing():
    frame = pd.DataFrame(WALK, INDEXES["hours"], columns=["a", "b"])
    retriever = SubsequenceRetriever().fit(frame.iloc[:400])
    for rows, message in [
        (frame.iloc[410:500], "10 rows after the end"),
        (frame.iloc[390:500], "10 rows before the end"),
        (frame.iloc[400:500][["a"]], "its channels are"),
        (frame.iloc[400:500].set_axis(pd.RangeIndex(100)), "without times"),
        (pd.concat({"x": frame.iloc[400:500]}), "with names"),
    ]:
        with pytest.raises((ValueError, TypeError), match=message):
            retriever.partial_fit(rows)
    assert retriever.lengths_.tolist() == [400]
    retriever.partial_fit(frame.iloc[400:500])
    assert retriever.locate(frame.iloc[380:420], k=1).start[0] == frame.index[380]


@pytest.mark.parametrize("kept", ["memory", "folder", "loaded"])
@pytest.mark.parametrize("learned", [False, True])
def test_scales_wait_until_a_series_is_long_enough(learned, kept, tmp_path):
    parts = {name: pd.DataFrame(RNG.standard_normal((400, 2)).cumsum(0), columns=["a", "b"]) for name in "xy"}
    encoder = LSSLEncoder(d_model=8, n_layers=1, max_epochs=0, random_state=0).fit(parts) if learned else "auto"
    settings = {"encoder": encoder, "scales": (64, 256, 1024)}
    path = tmp_path / "index"
    grown = SubsequenceRetriever(**settings, store="memory" if kept == "memory" else path)
    cuts = {"x": [0, 30, 50, 90, 240, 330, 400], "y": [0, 40, 45, 50, 150, 200, 230]}
    indexed = []
    for turn in range(6):
        grown.partial_fit({name: part.iloc[cuts[name][turn] : cuts[name][turn + 1]] for name, part in parts.items()})
        grown.windows_  # noqa: B018
        indexed.append(grown.scales_)
        if kept == "loaded":
            del grown
            grown = SubsequenceRetriever.load(path, encoder=encoder, mode="a")
            assert grown.scales_ == indexed[-1]
    # No series was as long as a scale at first: the median length is taken besides.
    assert indexed == [[35], [35], [35, 64], [35, 64], [35, 64, 256], [35, 64, 256]]
    whole = SubsequenceRetriever(encoder=encoder, scales=(35, 64, 256)).fit({"x": parts["x"], "y": parts["y"][:230]})
    order = ["scale", "series", "start"]
    found = grown.windows_.sort_values(order)
    pd.testing.assert_frame_equal(found.reset_index(drop=True), whole.windows_)
    first = 0
    for scale in (35, 64, 256):
        windows = [one._contents.windows for one in (grown, whole)]
        vectors = [one._embedded(scale, np.arange(len(one.of(scale).rows))) for one in windows]
        mine = found.index[found["scale"] == scale] - first
        np.testing.assert_allclose(vectors[0][mine], vectors[1], atol=1e-3)
        first += len(mine)
    query = parts["x"].iloc[10:300]
    pd.testing.assert_frame_equal(grown.locate(query), whole.locate(query))
    assert not len(grown.set_params(index="flat", verify="mass").locate(pd.concat([parts["x"]] * 3, ignore_index=True)))


def test_scales_wait_in_an_iterator_too():
    frame = pd.DataFrame(WALK, INDEXES["hours"], columns=["a", "b"])
    chunked = SubsequenceRetriever().fit(frame.iloc[low:high] for low, high in pairwise(CUTS))
    assert chunked.scales_ == [64, 256, 1024]
    forgotten = chunked.forget(before=frame.index[900])
    assert forgotten.scales_ == [64, 256]
    more = pd.DataFrame(WALK, frame.index + pd.Timedelta(hours=N), columns=["a", "b"])
    forgotten.partial_fit(more)
    whole = SubsequenceRetriever().fit(pd.concat([frame.iloc[900:], more]))
    order = ["scale", "start"]
    pd.testing.assert_frame_equal(forgotten.windows_.sort_values(order, ignore_index=True), whole.windows_)


@pytest.mark.parametrize("carry", [True, False])
@pytest.mark.parametrize("family", [LSSLEncoder, MambaEncoder])
def test_encoders_read_a_growing_series_once_or_window_by_window(family, carry):
    frame = pd.DataFrame(WALK, INDEXES["hours"], columns=["a", "b"])
    encoder = family(d_model=8, n_layers=1, max_epochs=1, crop=64, random_state=0).fit({"x": frame})
    settings = {"encoder": encoder, "scales": (64, 256), "n_neighbors": 3, "carry_state": carry}
    whole = SubsequenceRetriever(**settings).fit(frame)
    grown = SubsequenceRetriever(**settings).fit(frame.iloc[:1100])
    for low, high in ((1100, 1101), (1101, 1140), (1140, N)):
        grown.partial_fit(frame.iloc[low:high])
    units = {scale: np.array(grown._contents.arrays.array(f"windows/{scale}/units")) for scale in (64, 256)}
    steps = encoder.transform_steps({"x": frame}).to_numpy(np.float64)
    for scale in (64, 256):
        rows = whole._contents.windows.of(scale).rows
        parts = [steps[row : row + scale] for row in rows]
        if not carry:
            alone = encoder.transform_steps([WALK[row : row + scale] for row in rows]).to_numpy(np.float64)
            parts = np.split(alone, len(rows))
        pooled = np.stack([np.concatenate([part.mean(0), part.std(0)]) for part in parts])
        mean, spread = units[scale]
        expected = (pooled - mean) / spread
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
        np.testing.assert_allclose(grown._contents.windows.vectors(scale), expected, atol=2e-4)
    found = whole.locate(frame.iloc[:256])
    assert found.start[0] == frame.index[0]
    assert not found.verified.any()
    assert found.score[0] == pytest.approx(1, abs=1e-4)
    exact = SubsequenceRetriever(**settings, verify="mass").fit(frame).locate(frame.iloc[300:600])
    assert exact.start[0] == frame.index[300]
    assert exact.verified.all()


def test_any_transformer_of_frames_is_an_encoder():
    class Moments(BaseEstimator):
        def fit(self, X):
            return self

        def __sklearn_is_fitted__(self):
            return True

        def get_feature_names_out(self):
            return ["mean", "spread"]

        def transform(self, frames):
            assert list(frames[0].columns) == ["Fz", "Cz"]
            return np.array([[frame.to_numpy().mean(), frame.to_numpy().std()] for frame in frames])

    calm = RNG.standard_normal((4000, 2))
    calm[2100:2300] *= 9
    data = recording(calm.T, sfreq=100, channels=["Fz", "Cz"])
    retriever = SubsequenceRetriever(encoder=Moments(), scales=(100,)).fit(data)
    found = retriever.locate(data.iloc[2150:2250], k=1)
    assert 21 <= found.start[0] <= 22
    with pytest.raises(TypeError, match="has no transform"):
        SubsequenceRetriever(encoder=3).fit(data)
    with pytest.raises(ValueError, match="encoder: found 'none'"):
        SubsequenceRetriever(encoder="none").fit(data)


def test_encoders_of_recordings_are_pooled_from_tokens():
    noise = np.random.default_rng(0).standard_normal((4, 2400))
    noise[:, 1200:1500] += 9 * np.sin(np.arange(300) / 2)
    data = recording(noise, sfreq=100, channels=["Fz", "Cz", "Pz", "Oz"])
    settings = {"n_queries": 2, "width": 16, "n_layers": 1, "patch_size": 20, "sfreq": 100, "random_state": 0}
    encoder = LuMambaEncoder(size=None, max_epochs=0, **settings).fit([data])
    retriever = SubsequenceRetriever(encoder=encoder, scales=(100, 200), n_neighbors=1).fit(data)
    tokens = encoder.transform_tokens([data]).to_numpy(np.float64)
    rows = retriever._contents.windows.of(100).rows
    pooled = np.stack([tokens[row // 20 : row // 20 + 5] for row in rows if row % 20 == 0])
    pooled = np.concatenate([pooled.mean(1), pooled.std(1)], axis=1)
    mean, spread = retriever._contents.arrays.array("windows/100/units")
    expected = (pooled - mean) / spread
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(retriever._contents.windows.vectors(100)[rows % 20 == 0], expected, atol=1e-3)
    assert 11.5 <= retriever.locate(data.iloc[1250:1350]).start[0] <= 14
    more = recording(noise[:, 1100:1600], sfreq=100, channels=["Fz", "Cz", "Pz", "Oz"])
    retriever.partial_fit(more.set_axis(more.index + 24))
    assert retriever.locate(data.iloc[1250:1350], time_range=(24, None)).start[0] == pytest.approx(25.25, abs=0.75)
    with pytest.raises(ValueError, match="no times tell"):
        SubsequenceRetriever(encoder=encoder).fit(data.reset_index(drop=True))


def test_tokens_do_not_depend_on_scales_that_wait(monkeypatch):
    monkeypatch.setattr(_tokens, "_AT_A_TIME", 500)
    data = recording(RNG.standard_normal((2, 2400)), sfreq=100, channels=["Fz", "Cz"])
    settings = {"n_queries": 2, "width": 16, "n_layers": 1, "patch_size": 20, "sfreq": 100, "random_state": 0}
    encoder = LuMambaEncoder(size=None, max_epochs=0, **settings).fit([data])
    found = [
        SubsequenceRetriever(encoder=encoder, scales=scales).fit(data)._contents.windows.vectors(100)
        for scales in ((100,), (100, 5000))
    ]
    np.testing.assert_array_equal(*found)


def test_units_are_not_those_of_the_first_window_alone():
    frame = pd.DataFrame(WALK, INDEXES["hours"], columns=["a", "b"])
    encoder = LSSLEncoder(d_model=8, n_layers=1, max_epochs=0, random_state=0).fit({"x": frame})
    settings = {"encoder": encoder, "scales": (64,), "n_neighbors": 2}
    whole = SubsequenceRetriever(**settings).fit(frame.iloc[:1000])
    grown = SubsequenceRetriever(**settings).fit(frame.iloc[:70])
    for low, high in ((70, 90), (90, 500), (500, 1000)):
        grown.partial_fit(frame.iloc[low:high])
    vectors = [one._contents.windows.vectors(64) for one in (whole, grown)]
    np.testing.assert_allclose(vectors[1], vectors[0], atol=1e-3)
    found = grown.locate(frame.iloc[:64])
    assert found.start[0] == frame.index[0]
    assert found.score[1] < 0.999


@pytest.mark.parametrize("metric", ["znorm", "euclidean"])
def test_pieces_that_share_no_rows_are_searched_across_their_borders(metric):
    parts = {name: pd.DataFrame(RNG.standard_normal((60, 2)).cumsum(0), columns=["a", "b"]) for name in "xy"}
    grown = SubsequenceRetriever(scales=(1,), metric=metric).fit({name: part.iloc[:30] for name, part in parts.items()})
    for low in (30, 34, 50):
        high = {30: 34, 34: 50, 50: 60}[low]
        grown.partial_fit({name: part.iloc[low:high] for name, part in parts.items()})
    for length in (7, 12, 33):
        found = grown.locate(parts["x"].iloc[25 : 25 + length], k=1)
        assert found[["series", "start"]].iloc[0].tolist() == ["x", 25]
        assert found["distance"][0] < 1e-6
