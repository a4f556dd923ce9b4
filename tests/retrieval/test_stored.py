"""What was saved is loaded bit by bit, folders are added to, and what is forgotten is gone."""

import pickle

import numpy as np
import pandas as pd
import pytest

import tsrec
from tsrec import LSSLEncoder
from tsrec.retrieval import SubsequenceRetriever
from tsrec.retrieval._corpus import Corpus
from tsrec.retrieval._encode import Apart
from tsrec.retrieval._faiss import FaissIndex
from tsrec.retrieval._windows import Fourier

pytest.importorskip("pyarrow")

RNG = np.random.default_rng(4)
N = 1200
INDEXES = {
    "hours": pd.date_range("2026-01-01", periods=N, freq="h", name="time"),
    "zone": pd.date_range("2026-03-20", periods=N, freq="D", tz="Europe/Berlin"),
    "periods": pd.period_range("1890-01", periods=N, freq="M"),
    "durations": pd.to_timedelta(np.arange(N) * 20, unit="ms"),
    "whole numbers": pd.Index(np.arange(1000, 1000 + N), name="t"),
    "default": pd.RangeIndex(N),
    "seconds": pd.Index(np.arange(N) / 160 + 3, name="time"),
}
WALK = RNG.standard_normal((N, 2)).cumsum(0)


def frame_of(kind="hours"):
    return pd.DataFrame(WALK, INDEXES[kind], columns=["a", "b"])


def panel_of(names, lengths=(300, 400, 500)):
    parts = {name: frame_of().iloc[:n] * (i + 1) for i, (name, n) in enumerate(zip(names, lengths, strict=True))}
    return pd.concat(parts, names=["series", "time"])


def same(one, other, query):
    pd.testing.assert_frame_equal(one.locate(query), other.locate(query))
    pd.testing.assert_frame_equal(one.windows_, other.windows_)
    for ours, theirs in zip(one.kneighbors(n_neighbors=2), other.kneighbors(n_neighbors=2), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for scale in one.scales_:
        np.testing.assert_array_equal(one._contents.windows.vectors(scale), other._contents.windows.vectors(scale))


@pytest.mark.parametrize("mode", ["memory", "r", "a"])
@pytest.mark.parametrize("kind", INDEXES)
def test_what_is_loaded_is_what_was_saved(kind, mode, tmp_path):
    frame = frame_of(kind)
    retriever = SubsequenceRetriever(n_neighbors=3, scales=[64, 256], exclusion=0.25).fit(frame)
    retriever.windows_  # noqa: B018
    retriever.save(tmp_path / "index")
    loaded = SubsequenceRetriever.load(tmp_path / "index", mode=mode, verify=True)
    same(loaded, retriever, frame.iloc[200:260])
    assert loaded.n_features_in_ == 2
    assert (loaded.n_neighbors, loaded.exclusion) == (3, 0.25)
    if mode == "r":
        for change in (lambda: loaded.partial_fit(frame), lambda: loaded.forget(before=frame.index[3])):
            with pytest.raises(PermissionError, match="to be read only"):
                change()


@pytest.mark.parametrize(
    "names", [["x", "y", "z"], [3, 1, 2], pd.to_datetime(["2020-01-01", "2021-01-01", "2019-05-05"])]
)
def test_names_and_metadata_come_back(names, tmp_path):
    metadata = pd.DataFrame({"age": [30, 40, 50], "place": ["here", "there", "here"]}, index=list(names))
    panel = panel_of(names)
    retriever = SubsequenceRetriever().fit(panel, metadata=metadata)
    retriever.save(tmp_path / "index")
    loaded = SubsequenceRetriever.load(tmp_path / "index")
    query = frame_of().iloc[100:140]
    pd.testing.assert_frame_equal(
        loaded.locate(query, where={"place": "here"}), retriever.locate(query, where={"place": "here"})
    )
    pd.testing.assert_frame_equal(loaded.metadata_, retriever.metadata_, check_names=False)
    pd.testing.assert_series_equal(loaded.lengths_, retriever.lengths_)


def test_a_folder_is_added_to_and_read_meanwhile(tmp_path):
    frame = frame_of()
    whole = SubsequenceRetriever(scales=(64, 256)).fit(frame)
    kept = SubsequenceRetriever(scales=(64, 256), store=tmp_path / "index").fit(frame.iloc[:500])
    kept.windows_  # noqa: B018
    kept.partial_fit(frame.iloc[500:700])
    reader = SubsequenceRetriever.load(tmp_path / "index", mode="r")
    assert reader.lengths_.tolist() == [700]
    with pytest.raises(BlockingIOError):
        SubsequenceRetriever.load(tmp_path / "index", mode="a")
    del kept
    later = SubsequenceRetriever.load(tmp_path / "index", mode="a").partial_fit(frame.iloc[700:])
    assert reader.lengths_.tolist() == [700]
    query = frame.iloc[680:720]
    pd.testing.assert_frame_equal(later.locate(query), whole.locate(query))
    assert sorted(map(tuple, later.windows_[["start", "scale"]].to_numpy())) == sorted(
        map(tuple, whole.windows_[["start", "scale"]].to_numpy())
    )
    with pytest.raises(FileExistsError, match="already"):
        SubsequenceRetriever(store=tmp_path / "index").fit(frame)


@pytest.mark.parametrize("stored", [False, True])
def test_what_is_forgotten_is_gone(stored, tmp_path):
    panel = panel_of("xyz")
    store = tmp_path / "index" if stored else "memory"
    retriever = SubsequenceRetriever(store=store, scales=(64,)).fit(panel)
    retriever.partial_fit(pd.concat({"x": frame_of().iloc[300:800]}, names=["series", "time"]))
    retriever.forget("y")
    retriever.forget(["x"], before=frame_of().index[350])
    assert retriever.lengths_.to_dict() == {"x": 450, "z": 500}
    left = {"x": frame_of().iloc[350:800], "z": panel.loc["z"]}
    fresh = SubsequenceRetriever(scales=(64,)).fit(pd.concat(left, names=["series", "time"]))
    query = frame_of().iloc[330:420]
    pd.testing.assert_frame_equal(retriever.locate(query), fresh.locate(query))
    pd.testing.assert_frame_equal(retriever.windows_, fresh.windows_)
    samples = np.concatenate([retriever._contents.arrays.array("values/0")])
    assert not np.isin(WALK[:350, 0], samples[~np.isnan(samples)]).any()
    if stored:
        raw = b"".join(path.read_bytes() for path in store.glob("*.raw"))
        assert WALK[120, 0].tobytes() not in raw
        del retriever
        pd.testing.assert_frame_equal(SubsequenceRetriever.load(store).locate(query), fresh.locate(query))
    with pytest.raises(ValueError, match="nothing would be left"):
        fresh.forget(["x", "z"])
    with pytest.raises(ValueError, match="neither series nor before"):
        fresh.forget()


def test_encoders_are_told_apart(tmp_path):
    frame = frame_of()
    encoders = [
        LSSLEncoder(d_model=8, n_layers=1, max_epochs=0, random_state=seed).fit({"x": frame}) for seed in (0, 1)
    ]
    retriever = SubsequenceRetriever(encoder=encoders[0], scales=(64,)).fit(frame.iloc[:600])
    retriever.save(tmp_path / "index")
    loaded = SubsequenceRetriever.load(tmp_path / "index", encoder=encoders[0])
    same(loaded, retriever, frame.iloc[100:164])
    loaded.partial_fit(frame.iloc[600:])
    retriever.partial_fit(frame.iloc[600:])
    np.testing.assert_allclose(loaded._contents.windows.vectors(64), retriever._contents.windows.vectors(64), atol=1e-4)
    for wrong in (encoders[1], "auto"):
        with pytest.raises(ValueError, match="fitted with another"):
            SubsequenceRetriever.load(tmp_path / "index", encoder=wrong)


@pytest.mark.parametrize("learned", [False, True])
def test_one_file_holds_all_of_it(learned, tmp_path):
    panel = panel_of("xyz")
    metadata = pd.DataFrame({"age": [30, 40, 50], "place": ["here", "there", "here"]}, index=list("xyz"))
    encoder = "auto"
    if learned:
        encoder = LSSLEncoder(d_model=8, n_layers=1, max_epochs=0, random_state=0).fit(panel)
    retriever = SubsequenceRetriever(encoder=encoder, scales=(64, 100)).fit(panel, metadata=metadata)
    retriever.windows_  # noqa: B018
    tsrec.save(retriever, tmp_path / "index.tsrec")
    loaded = tsrec.load(tmp_path / "index.tsrec")
    same(loaded, retriever, frame_of().iloc[100:164])
    pd.testing.assert_frame_equal(loaded.metadata_, retriever.metadata_, check_names=False)
    assert loaded.channels_.tolist() == ["a", "b"]
    tsrec.save(SubsequenceRetriever(), tmp_path / "index.tsrec")
    assert not hasattr(tsrec.load(tmp_path / "index.tsrec"), "_contents")


def test_an_index_of_faiss_is_saved_with_the_windows(tmp_path, monkeypatch):
    pytest.importorskip("faiss")
    frame = frame_of()
    retriever = SubsequenceRetriever(index="faiss", scales=(64,)).fit(frame.iloc[:1000])
    retriever.windows_  # noqa: B018
    retriever.save(tmp_path / "index")
    retriever.save(tmp_path / "index", overwrite=True)
    assert len(list((tmp_path / "index").glob("index-*"))) == 1
    added = []
    add = FaissIndex.add
    monkeypatch.setattr(FaissIndex, "add", lambda self, ids, vectors: (added.append(len(ids)), add(self, ids, vectors)))
    for mode in ("memory", "a"):
        loaded = SubsequenceRetriever.load(tmp_path / "index", mode=mode)
        pd.testing.assert_frame_equal(loaded.locate(frame.iloc[100:200]), retriever.locate(frame.iloc[100:200]))
    assert added == []
    loaded.partial_fit(frame.iloc[1000:])
    more = added.copy()
    again = SubsequenceRetriever.load(tmp_path / "index")
    again.kneighbors(n_neighbors=1)
    assert added == more * 2


def test_a_copy_of_what_lies_in_a_folder_only_reads_it(tmp_path):
    frame = frame_of()
    kept = SubsequenceRetriever(store=tmp_path / "index", scales=(64,)).fit(frame.iloc[:600])
    copied = pickle.loads(pickle.dumps(kept))
    pd.testing.assert_frame_equal(copied.locate(frame.iloc[100:150]), kept.locate(frame.iloc[100:150]))
    with pytest.raises(PermissionError, match="to be read only"):
        copied.partial_fit(frame.iloc[600:])
    del copied
    kept.partial_fit(frame.iloc[600:])
    assert SubsequenceRetriever.load(tmp_path / "index", verify=True).lengths_.tolist() == [N]


def test_what_cannot_be_loaded_is_not_held(tmp_path):
    SubsequenceRetriever(scales=(64,)).fit(frame_of()).save(tmp_path / "index")
    with pytest.raises(ValueError, match="was fitted without one"):
        SubsequenceRetriever.load(tmp_path / "index", mode="a", encoder=LSSLEncoder())
    SubsequenceRetriever.load(tmp_path / "index", mode="a")


def test_folders_keep_the_windows_of_encoders(tmp_path, monkeypatch):
    frame = frame_of()
    encoder = LSSLEncoder(d_model=8, n_layers=1, max_epochs=0, random_state=0).fit({"x": frame})
    kept = SubsequenceRetriever(encoder=encoder, scales=(64,), store=tmp_path / "index").fit(frame)
    vectors = np.array(kept._contents.windows.vectors(64))
    monkeypatch.setattr(Apart, "embed", None)
    loaded = SubsequenceRetriever.load(tmp_path / "index", encoder=encoder)
    assert len(loaded.windows_) == len(vectors)
    np.testing.assert_array_equal(loaded._contents.windows.vectors(64), vectors)
    kept.encoder = "auto"
    with pytest.raises(ValueError, match="not the one of fit"):
        kept.kneighbors(n_neighbors=1)


def test_names_and_metadata_that_a_folder_would_change_are_refused(tmp_path):
    panel = panel_of("xyz")
    metadata = pd.DataFrame({"place": ["here", None, "there"]}, index=list("xyz"))
    with pytest.raises(TypeError, match="some text is missing"):
        SubsequenceRetriever(store=tmp_path / "index").fit(panel, metadata=metadata)
    kept = SubsequenceRetriever(store=tmp_path / "index").fit(panel, metadata=metadata.fillna(""))
    more = pd.concat({"w": frame_of()}, names=["series", "time"])
    with pytest.raises(ValueError, match="its columns are"):
        kept.partial_fit(more, metadata={"w": {"age": 3}})
    assert kept.n_series_ == 3
    kept.partial_fit(more, metadata={"w": {"place": "far"}})
    assert kept.metadata_["place"].tolist() == ["here", "", "there", "far"]


def break_off(monkeypatch, kind, name, act, given):
    """Do what comes as far as a method, and is interrupted there."""

    def broken(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(kind, name, broken)
        with pytest.raises(KeyboardInterrupt):
            act(given)


def test_a_broken_turn_is_made_good(monkeypatch):
    frame = frame_of()
    retriever = SubsequenceRetriever(scales=(64,)).fit(frame.iloc[:600])
    whole = SubsequenceRetriever(scales=(64,)).fit(frame).windows_
    retriever.windows_  # noqa: B018
    break_off(monkeypatch, Fourier, "embed", retriever.partial_fit, frame.iloc[600:])
    pd.testing.assert_frame_equal(retriever.windows_, whole)


def test_a_break_while_a_scale_wakes_loses_nothing(tmp_path, monkeypatch):
    frame = frame_of()

    def rows(low, high):
        return {"x": frame.iloc[low:high], "y": pd.DataFrame(WALK[::-1], frame.index, frame.columns).iloc[low:high]}

    kept = SubsequenceRetriever(scales=(64, 256), store=tmp_path / "index").fit(rows(0, 150))
    kept.partial_fit(rows(150, 200))
    kept.windows_  # noqa: B018
    break_off(monkeypatch, Corpus, "extend", kept.partial_fit, rows(200, 600))
    del kept
    loaded = SubsequenceRetriever.load(tmp_path / "index", mode="a")
    order = ["scale", "series", "start"]
    for low, high in ((0, 200), (200, 600)):
        if low:
            loaded.partial_fit(rows(low, high))
        whole = SubsequenceRetriever(scales=(64, 256)).fit(rows(0, high))
        pd.testing.assert_frame_equal(loaded.windows_.sort_values(order, ignore_index=True), whole.windows_)
        pd.testing.assert_frame_equal(loaded.locate(frame.iloc[100:150]), whole.locate(frame.iloc[100:150]))


def test_rows_that_appends_repeat_are_joined_again():
    parts = {name: pd.Series(RNG.standard_normal(400).cumsum()) for name in "xyz"}
    grown = SubsequenceRetriever(scales=(64,)).fit({name: part.iloc[:200] for name, part in parts.items()})
    for row in range(200, 400):
        grown.partial_fit({name: part.iloc[row : row + 1] for name, part in parts.items()})
    assert len(grown._contents.arrays.array("values/0")) < 2 * 1200 + 1000
    query = parts["y"].iloc[150:260]
    pd.testing.assert_frame_equal(grown.locate(query), SubsequenceRetriever(scales=(64,)).fit(parts).locate(query))


@pytest.mark.parametrize("learned", [False, True])
def test_pickle_holds_samples_and_vectors_once(learned):
    frame = pd.DataFrame(RNG.standard_normal((20_000, 2)).cumsum(0), columns=["a", "b"])
    encoder = LSSLEncoder(d_model=4, n_layers=1, max_epochs=0, random_state=0).fit({"x": frame}) if learned else "auto"
    own = len(pickle.dumps(encoder))
    retriever = SubsequenceRetriever(encoder=encoder).fit(frame)
    size = frame.to_numpy().nbytes
    if not learned:
        retriever.locate(frame.iloc[100:150])
        assert size < len(pickle.dumps(retriever)) < 1.1 * size + 5000
    expected = retriever.kneighbors(frame.iloc[100:164])
    size += sum(sum(part.nbytes for part in retriever._contents.windows.of(s)[1:]) for s in retriever.scales_)
    size += sum(retriever._contents.windows.vectors(s).nbytes for s in retriever.scales_)
    content = pickle.dumps(retriever)
    assert len(content) - own < 1.3 * size
    loaded = pickle.loads(content)
    for ours, theirs in zip(loaded.kneighbors(frame.iloc[100:164]), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    more = frame.iloc[:3000].set_axis(np.arange(20_000, 23_000))
    for query in (frame.iloc[100:150], frame.iloc[19_900:20_000]):
        pd.testing.assert_frame_equal(loaded.locate(query), retriever.locate(query))
        for one in (loaded, retriever):
            one.partial_fit(more)
        more = more.set_axis(more.index + 3000)


def test_pickle_of_what_lies_in_a_folder_leaves_the_samples_there(tmp_path):
    frame = pd.DataFrame(RNG.standard_normal((20_000, 2)).cumsum(0), columns=["a", "b"])
    kept = SubsequenceRetriever(store=tmp_path / "index").fit(frame)
    expected = kept.locate(frame.iloc[100:150])
    content = pickle.dumps(kept)
    assert len(content) < 0.1 * frame.to_numpy().nbytes
    pd.testing.assert_frame_equal(pickle.loads(content).locate(frame.iloc[100:150]), expected)
    (tmp_path / "index").rename(tmp_path / "other")
    with pytest.raises(FileNotFoundError, match=r"is gone: moved, or rewritten meanwhile"):
        pickle.loads(content)
