"""Encoders are told apart, kept from being unfitted, and may be fitted again: windows are then made anew."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

import tsrec
from tsrec import LSSLEncoder, LSSLForecaster, MambaEncoder, TCNCAEncoder
from tsrec.retrieval import EventLocator, SubsequenceRetriever, _known
from tsrec.retrieval._encode import Apart, Whole
from tsrec.retrieval._raw import RawFile

RNG = np.random.default_rng(7)
N = 900
FRAME = pd.DataFrame(
    RNG.standard_normal((N, 2)).cumsum(0), pd.date_range("2026-01-01", periods=N, freq="h"), columns=["a", "b"]
)
QUERY = FRAME.iloc[100:164]


def fitted(seed=0, d_model=8, columns=("a", "b")):
    encoder = LSSLEncoder(d_model=d_model, n_layers=1, max_epochs=0, random_state=seed)
    return encoder.fit({"x": FRAME[list(columns)]})


def retriever_with(encoder, **settings):
    return SubsequenceRetriever(encoder=encoder, scales=(64, 128), n_neighbors=3, **settings)


def vectors_of(retriever):
    retriever.windows_  # noqa: B018
    return {scale: np.array(retriever._contents.windows.vectors(scale)) for scale in retriever.scales_}


def same(one, other):
    pd.testing.assert_frame_equal(one.locate(QUERY), other.locate(QUERY))
    pd.testing.assert_frame_equal(one.windows_, other.windows_)
    for ours, theirs in zip(vectors_of(one).values(), vectors_of(other).values(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_frozen_encoder_does_what_the_bare_one_does():
    encoder = fitted()
    bare, frozen = retriever_with(encoder).fit(FRAME), retriever_with(FrozenEstimator(encoder)).fit(FRAME)
    assert isinstance(frozen._contents.windows.embedding, Apart)
    same(frozen, bare)
    assert bare._known.mark == frozen._known.mark
    bare.encoder = FrozenEstimator(encoder)
    same(frozen, bare)


@pytest.mark.parametrize("family", [LSSLEncoder, MambaEncoder, TCNCAEncoder])
def test_a_window_is_found_by_itself_and_at_its_own_speed(family):
    retriever = retriever_with(family(d_model=8, n_layers=1, max_epochs=0, random_state=0).fit({"x": FRAME})).fit(FRAME)
    for row in (0, 160, 800):
        query = FRAME.iloc[row : row + 64]
        found = retriever.locate(query)
        assert found.loc[0, "start"] == FRAME.index[row]
        assert found.loc[0, "score"] == pytest.approx(1, abs=1e-5)
        pd.testing.assert_frame_equal(retriever.locate(query, warp=[1.0]), found)
        limit = found.distance.iloc[1]
        assert len(retriever.locate(query, warp=[1.0], max_distance=limit)) == 2


def test_reindex_changes_whether_states_are_carried():
    encoder = fitted()
    retriever = retriever_with(encoder).fit(FRAME)
    retriever.carry_state = True
    same(retriever, retriever_with(encoder).fit(FRAME))
    same(retriever.reindex(), retriever_with(encoder, carry_state=True).fit(FRAME))
    assert not np.allclose(vectors_of(retriever)[64], vectors_of(retriever_with(encoder).fit(FRAME))[64], atol=0.1)


@pytest.mark.parametrize("carry", [True, False])
def test_folders_and_files_know_whether_states_are_carried(tmp_path, carry):
    pytest.importorskip("pyarrow")
    encoder = fitted()
    retriever = retriever_with(encoder, carry_state=carry).fit(FRAME.iloc[:500])
    retriever.save(tmp_path / "index")
    tsrec.save(retriever, tmp_path / "index.tsrec")
    for again in (
        SubsequenceRetriever.load(tmp_path / "index", encoder=encoder, mode="a"),
        tsrec.load(tmp_path / "index.tsrec"),
    ):
        whole = vectors_of(retriever_with(encoder, carry_state=carry).fit(FRAME))
        for scale, vectors in vectors_of(again.partial_fit(FRAME.iloc[500:])).items():
            np.testing.assert_allclose(vectors, whole[scale], atol=1e-4)


def test_folders_take_the_encoder_bare_or_frozen(tmp_path):
    pytest.importorskip("pyarrow")
    encoder = fitted()
    retriever = retriever_with(FrozenEstimator(encoder)).fit(FRAME)
    retriever.save(tmp_path / "index")
    for given in (encoder, FrozenEstimator(encoder)):
        same(SubsequenceRetriever.load(tmp_path / "index", encoder=given), retriever)


def test_one_file_holds_a_frozen_encoder(tmp_path):
    retriever = retriever_with(FrozenEstimator(fitted())).fit(FRAME)
    tsrec.save(retriever, tmp_path / "index.tsrec")
    loaded = tsrec.load(tmp_path / "index.tsrec")
    assert isinstance(loaded.encoder, FrozenEstimator)
    same(loaded, retriever)
    with pytest.raises(TypeError, match=r"encoder.estimator"):
        tsrec.save(SubsequenceRetriever(encoder=FrozenEstimator(PCA())), tmp_path / "other.tsrec")


def test_clones_keep_a_frozen_encoder_and_say_so_of_others():
    encoder = fitted()
    twin = clone(retriever_with(FrozenEstimator(encoder)))
    assert twin.encoder.estimator is encoder
    same(twin.fit(FRAME), retriever_with(encoder).fit(FRAME))
    with pytest.raises(NotFittedError, match=r"this LSSLEncoder is not fitted.*sklearn.frozen.FrozenEstimator"):
        clone(retriever_with(encoder)).fit(FRAME)


def test_a_grid_search_goes_over_neighbours_and_strides_of_a_frozen_encoder():
    y = np.arange(40) % 2
    waves = np.where(y[:, None], np.sin(np.arange(50) / 3), np.cos(np.arange(50) / 5))
    X = waves + 0.3 * np.random.default_rng(1).standard_normal((40, 50))
    encoder = LSSLEncoder(d_model=8, n_layers=1, max_epochs=0, random_state=0).fit(X)
    neighbours = KNeighborsClassifier(3, metric="precomputed")
    pipeline = make_pipeline(SubsequenceRetriever(encoder=FrozenEstimator(encoder)), neighbours)
    grid = {"subsequenceretriever__n_neighbors": [3, 5], "subsequenceretriever__stride": [0.25, 1.0]}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(X, y)
    assert len(search.cv_results_["params"]) == 4
    assert search.score(X, y) == 1


@pytest.mark.parametrize("stored", [False, True])
def test_an_encoder_that_was_fitted_again_is_noticed_and_windows_are_made_anew(stored, tmp_path):
    if stored:
        pytest.importorskip("pyarrow")
    encoder = fitted()
    store = tmp_path / "index" if stored else "memory"
    retriever = retriever_with(encoder, store=store).fit(FRAME.iloc[:700]).partial_fit(FRAME.iloc[700:])
    encoder.set_params(random_state=1, d_model=12).fit({"x": FRAME})
    for asked in (
        lambda: retriever.locate(QUERY),
        lambda: retriever.kneighbors(QUERY),
        lambda: retriever.partial_fit(FRAME),
    ):
        with pytest.raises(ValueError, match=r"not the one of fit.*reindex\(\)"):
            asked()
    assert retriever.reindex() is retriever
    same(retriever, retriever_with(fitted(1, 12)).fit(FRAME))
    assert retriever._known.mark == retriever_with(fitted(1, 12)).fit(FRAME)._known.mark
    if stored:
        found = retriever.locate(QUERY)
        assert {path.name for path in store.glob("*-*")} <= set(retriever._contents.arrays._files())
        del retriever
        loaded = SubsequenceRetriever.load(store, encoder=encoder, mode="a", verify=True)
        pd.testing.assert_frame_equal(loaded.locate(QUERY), found)
        with pytest.raises(ValueError, match="fitted with another"):
            SubsequenceRetriever.load(store, encoder=fitted(0))


def test_the_same_weights_are_the_same_encoder(monkeypatch):
    retriever = retriever_with(fitted()).fit(FRAME)
    expected = retriever.locate(QUERY)
    retriever.encoder = fitted()
    pd.testing.assert_frame_equal(retriever.locate(QUERY), expected)
    # Weights are compared once, not at every query.
    monkeypatch.setattr(_known, "fingerprint", None)
    pd.testing.assert_frame_equal(retriever.locate(QUERY), expected)


def test_vectors_of_coefficients_give_way_to_those_of_an_encoder_and_back():
    retriever = retriever_with("auto", verify=None, index="flat").fit(FRAME)
    before, encoder = vectors_of(retriever), fitted()
    retriever.set_params(encoder=encoder).reindex()
    same(retriever, retriever_with(encoder, verify=None, index="flat").fit(FRAME))
    assert retriever._contents.windows.embedding.learned
    retriever.set_params(encoder="auto").reindex()
    for scale, vectors in vectors_of(retriever).items():
        np.testing.assert_array_equal(vectors, before[scale])


@pytest.mark.parametrize("mode", ["memory", "a", "r"])
def test_a_folder_is_loaded_with_a_new_encoder(mode, tmp_path):
    pytest.importorskip("pyarrow")
    retriever_with(fitted()).fit(FRAME).save(tmp_path / "index")
    new = fitted(1)
    with pytest.raises(ValueError, match="or reindex=True"):
        SubsequenceRetriever.load(tmp_path / "index", encoder=new, mode=mode)
    if mode == "r":
        with pytest.raises(PermissionError, match="to be read only"):
            SubsequenceRetriever.load(tmp_path / "index", encoder=new, mode=mode, reindex=True)
        return
    loaded = SubsequenceRetriever.load(tmp_path / "index", encoder=new, mode=mode, reindex=True)
    same(loaded, retriever_with(new).fit(FRAME))
    del loaded
    SubsequenceRetriever.load(tmp_path / "index", encoder=new if mode == "a" else fitted())


def test_a_folder_whose_windows_were_not_all_made_again_is_whole(tmp_path, monkeypatch):
    pytest.importorskip("pyarrow")
    encoder = fitted()
    retriever = retriever_with(encoder, store=tmp_path / "index").fit(FRAME)
    encoder.set_params(d_model=12).fit({"x": FRAME})

    def broken(*arguments):
        raise KeyboardInterrupt

    embed = Apart.embed
    monkeypatch.setattr(Apart, "embed", broken)
    with pytest.raises(KeyboardInterrupt):
        retriever.reindex()
    monkeypatch.setattr(Apart, "embed", embed)
    del retriever
    expected = retriever_with(encoder).fit(FRAME)
    same(SubsequenceRetriever.load(tmp_path / "index", encoder=encoder, mode="a"), expected)


def test_what_cannot_be_made_anew_changes_nothing():
    encoder = fitted()
    retriever = retriever_with(encoder).fit(FRAME)
    found = retriever.locate(QUERY)
    forecaster = LSSLForecaster(horizon=4, context=16, d_model=4, max_epochs=0).fit(FRAME)
    for wrong, error in [
        (LSSLEncoder(), NotFittedError),
        (fitted(columns=("a",)), ValueError),
        (3, TypeError),
        (forecaster, TypeError),
    ]:
        retriever.encoder = wrong
        with pytest.raises(error, match=r"encoder|columns|channels"):
            retriever.reindex()
    retriever.encoder = encoder
    pd.testing.assert_frame_equal(retriever.locate(QUERY), found)
    with pytest.raises(NotFittedError):
        SubsequenceRetriever().reindex()


def test_transformers_of_any_kind_are_noticed_when_fitted_again():
    class Components(PCA):
        def fit(self, frames):
            return super().fit(np.stack([frame.to_numpy().ravel() for frame in frames]))

        def transform(self, frames):
            return super().transform(np.stack([frame.to_numpy().ravel() for frame in frames]))

    encoder = Components(4, random_state=0)
    windows = [FRAME.iloc[low : low + 64] for low in range(0, 800, 16)]
    retriever = SubsequenceRetriever(encoder=encoder.fit(windows), scales=(64,)).fit(FRAME)
    assert isinstance(retriever._contents.windows.embedding, Whole)
    assert retriever.locate(QUERY, k=1).start[0] == FRAME.index[96]
    encoder.fit(windows[::2])
    with pytest.raises(ValueError, match="reindex"):
        retriever.locate(QUERY)
    assert retriever.reindex().locate(QUERY, k=1).start[0] == FRAME.index[96]


def test_a_break_while_few_windows_are_made_anew_leaves_the_folder_whole(tmp_path, monkeypatch):
    pytest.importorskip("pyarrow")
    encoder = fitted()
    first = {"x": FRAME.iloc[:200], "y": FRAME.iloc[300:500]}
    append, expected = RawFile.append, retriever_with(encoder).fit(first)

    def breaking_at(last):
        calls = iter(range(10**6))

        def broken(*arguments):
            if next(calls) == last:
                raise KeyboardInterrupt
            append(*arguments)

        return broken

    # A new series comes too: its rows are there before its name is.
    more = {"x": FRAME.iloc[200:260], "z": FRAME.iloc[600:900]}
    for last in (2, 6, 10, 14):
        retriever = retriever_with(encoder, store=tmp_path / str(last)).fit(first)
        monkeypatch.setattr(RawFile, "append", breaking_at(last))
        with pytest.raises(KeyboardInterrupt):
            retriever.partial_fit(more)
        monkeypatch.setattr(RawFile, "append", append)
        del retriever
        same(SubsequenceRetriever.load(tmp_path / str(last), encoder=encoder, mode="a"), expected)


def test_a_file_does_not_hide_that_the_encoder_was_fitted_again(tmp_path):
    encoder = fitted()
    retriever = retriever_with(encoder).fit(FRAME)
    encoder.set_params(random_state=1).fit({"x": FRAME})
    tsrec.save(retriever, tmp_path / "index.tsrec")
    loaded = tsrec.load(tmp_path / "index.tsrec")
    with pytest.raises(ValueError, match=r"not the one of fit.*reindex\(\)"):
        loaded.locate(QUERY)
    same(loaded.reindex(), retriever_with(fitted(1)).fit(FRAME))


@pytest.mark.parametrize(("seed", "width"), [(1, 8), (0, 12)])
def test_a_locator_says_that_windows_were_made_anew(seed, width):
    encoder = fitted()
    retriever = retriever_with(encoder).fit(FRAME)
    events = pd.DataFrame(
        {"start": FRAME.index[[100, 300, 500]], "end": FRAME.index[[200, 400, 600]], "label": ["u", "v", "u"]}
    )
    locator = EventLocator(retriever, random_state=0).fit(events)
    expected = locator.table()
    retriever.reindex()
    pd.testing.assert_frame_equal(locator.table(), expected)
    pd.testing.assert_frame_equal(pickle.loads(pickle.dumps(locator)).table(), expected)
    encoder.set_params(random_state=seed, d_model=width).fit({"x": FRAME})
    retriever.reindex()
    for asked in (locator.table, lambda: locator.locate("u"), lambda: locator.exists("v")):
        with pytest.raises(ValueError, match=r"another encoder than at fit.*Fit the locator again"):
            asked()
    locator.fit(events).table()
