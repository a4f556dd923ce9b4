"""The flat index answers as a full comparison does."""

import itertools
import pickle
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from tsrec.retrieval import _flat
from tsrec.retrieval._directory import Directory
from tsrec.retrieval._flat import FlatIndex
from tsrec.retrieval._memory import Memory

RNG = np.random.default_rng(3)


def brute(rows, asked, k, ids=None):
    """Distances and numbers by the definition, of equal distances the least number first."""
    gaps = np.linalg.norm(rows.astype(float) - asked[:, None].astype(float), axis=2).astype(np.float32)
    best = np.argsort(gaps, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(gaps, best, 1), best if ids is None else ids[best]


def assert_answers(answer, wanted):
    np.testing.assert_allclose(answer[0], wanted[0], rtol=1e-6)
    np.testing.assert_array_equal(answer[1], wanted[1])
    assert answer[0].dtype == np.float32
    assert answer[1].dtype == np.int64


def filled(rows, ids=None, **options):
    index = FlatIndex(rows.shape[1], **options)
    index.add(np.arange(len(rows)) if ids is None else ids, rows)
    return index


@pytest.fixture(params=[False, True], ids=["in place", "moved"])
def moved(request, monkeypatch):
    """Also as on a GPU, where rows are copied once and compared in large chunks."""
    if request.param:
        monkeypatch.setattr(FlatIndex, "_moves", True)


@pytest.mark.usefixtures("moved")
@pytest.mark.parametrize("n", [1, 63, 64, 1000, 40_000])
@pytest.mark.parametrize("n_queries", [1, 5, 20])
def test_the_nearest_are_found(n, n_queries):
    rows, asked = RNG.standard_normal((n, 8)).astype(np.float32), RNG.standard_normal((n_queries, 8)).astype(np.float32)
    ids = np.arange(n) * 2 + 10
    assert_answers(filled(rows, ids).search(asked, 7), brute(rows, asked, 7, ids))


@pytest.mark.usefixtures("moved")
@pytest.mark.parametrize("share", [0.5, 0.05, 0.005, 0.0005])
@pytest.mark.parametrize("gaps", [False, True])
def test_masks_are_obeyed_at_any_selectivity(share, gaps):
    rows, asked = RNG.standard_normal((20_000, 4)).astype(np.float32), RNG.standard_normal((3, 4)).astype(np.float32)
    ids = np.arange(20_000) * (3 if gaps else 1)
    mask = RNG.random(ids[-1] + 5) < share
    mask[ids[:12]] = True
    chosen = mask[ids]
    index = filled(rows, ids)
    asked.flags.writeable = mask.flags.writeable = False
    assert_answers(index.search(asked, 10, mask), brute(rows[chosen], asked, 10, ids[chosen]))
    index.remove(ids[::2])
    chosen[::2] = False
    wanted = brute(rows[chosen], asked, 10, ids[chosen])
    assert_answers(index.search(asked, 10, mask), wanted)
    assert wanted[0].shape[1] == min(10, chosen.sum())


@pytest.mark.parametrize("level", [1.0, 1000.0])
def test_ties_go_to_the_least_number_and_digits_are_not_lost(level):
    rows = np.full((5000, 3), level, np.float32)
    rows[0::2] += 0.25
    index = filled(rows, np.arange(5000) + 7)
    distance, ids = index.search(np.full((1, 3), level), 80)
    assert ids[0].tolist() == list(range(8, 168, 2))
    assert (distance == 0).all()
    near = (level + RNG.standard_normal((3000, 16)) / 10).astype(np.float32)
    asked = near[:4] + np.float32(0.01)
    assert_answers(filled(near).search(asked, 10), brute(near, asked, 10))


def test_coarse_products_find_the_same(monkeypatch):
    rows, asked = RNG.standard_normal((3000, 16)).astype(np.float32), RNG.standard_normal((4, 16)).astype(np.float32)
    exact, coarse = torch.addmm, torch.bfloat16
    monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda: "medium")
    monkeypatch.setattr(
        torch, "addmm", lambda a, b, c, alpha: exact(a, b.to(coarse).float(), c.to(coarse).float(), alpha=alpha)
    )
    assert_answers(filled(rows).search(asked, 10), brute(rows, asked, 10))


@pytest.mark.usefixtures("moved")
@pytest.mark.parametrize("on_disk", [False, True])
def test_rows_come_and_go_between_searches(on_disk, tmp_path):
    store = Directory.make(tmp_path) if on_disk else None
    index = FlatIndex(5, store=store, name="scale 64/")
    rows, alive = np.empty((0, 5), np.float32), np.zeros(0, bool)
    asked = RNG.standard_normal((3, 5)).astype(np.float32)
    for size in (0, 1, 100, 3, 500, 0, 1):
        more = RNG.standard_normal((size, 5)).astype(np.float32)
        index.add(np.arange(len(rows), len(rows) + size), more)
        rows, alive = np.concatenate([rows, more]), np.concatenate([alive, np.ones(size, bool)])
        gone = RNG.integers(0, len(rows) + 3, size // 3)
        index.remove(gone)
        alive[gone[gone < len(rows)]] = False
        assert len(index) == alive.sum()
        assert_answers(index.search(asked, 4), brute(rows[alive], asked, 4, np.flatnonzero(alive)))
    if on_disk:
        index.compact()
        assert_answers(index.search(asked, 4), brute(rows[alive], asked, 4, np.flatnonzero(alive)))
        store.close()
        again = FlatIndex(5, store=Directory.open(tmp_path), name="scale 64/")
        assert_answers(again.search(asked, 4), brute(rows[alive], asked, 4, np.flatnonzero(alive)))


def test_room_is_given_back_when_most_are_removed():
    rows = RNG.standard_normal((100, 2)).astype(np.float32)
    index = filled(rows)
    index.remove(np.arange(60))
    assert len(index.store.array("vectors")) == 40
    index.add([100], rows[:1])
    assert index.search(rows[:1], 1)[1] == 100
    index.remove(np.arange(101))
    assert len(index) == 0
    assert index.search(rows[:1], 3, np.ones(9, bool))[1].shape == (1, 0)


@pytest.mark.parametrize("mapped", [False, True])
def test_a_saved_index_answers_as_before(tmp_path, mapped):
    rows, asked = RNG.standard_normal((300, 6)).astype(np.float32), RNG.standard_normal((4, 6)).astype(np.float32)
    index = filled(rows)
    index.remove([5, 6])
    for _ in range(2):  # the second time onto what is there
        index.save(tmp_path / "index")
        index = FlatIndex.load(tmp_path / "index", mapped=mapped)
    assert len(index) == 298
    kept = np.delete(np.arange(300), [5, 6])
    assert_answers(index.search(asked, 9), brute(rows[kept], asked, 9, kept))
    if mapped:
        with pytest.raises(ValueError, match="opened to read"):
            index.add([300], rows[:1])
    else:
        index.add([300], rows[:1])
        assert len(index) == 299


def test_few_minima_are_kept_at_a_time(monkeypatch):
    rows, asked = RNG.standard_normal((500, 3)).astype(np.float32), RNG.standard_normal((9, 3)).astype(np.float32)
    monkeypatch.setattr(_flat, "_MINIMA", 16)
    monkeypatch.setattr(_flat, "_AT_ONCE", 2)
    assert_answers(filled(rows).search(asked, 70), brute(rows, asked, 70))


def test_what_does_not_fit_is_refused():
    index = filled(np.ones((4, 2)), np.array([1, 2, 5, 9]))
    for call, words in (
        (lambda: index.add([10], np.ones((1, 3))), r"vectors: found shape \(1, 3\)\. Give \(n, 2\)"),
        (lambda: index.add([10], [[np.nan, 0]]), "vectors: some are NaN"),
        (lambda: index.add([10], [[1e30, 0]]), "vectors: some are NaN, infinite, or beyond"),
        (lambda: index.add([10, 11], np.ones((1, 2))), r"ids: found shape \(2,\) for 1 vectors"),
        (lambda: index.add([9], np.ones((1, 2))), "ids: they have to rise from 10 on"),
        (lambda: index.add([11, 11], np.ones((2, 2))), "ids: they have to rise"),
        (lambda: index.search(np.ones(2), 1), r"vectors: found shape \(2,\)"),
        (lambda: index.search(np.ones((1, 2)), 1, np.ones(9, bool)), r"mask: found bool \(9,\)\. .* up to 9"),
        (lambda: index.search(np.ones((1, 2)), 1, np.ones(10)), "mask: found float64"),
    ):
        with pytest.raises(ValueError, match=words):
            call()
    assert len(index) == 4
    assert isinstance(index.store, Memory)


def test_threads_that_ask_first_at_once_look_once(monkeypatch):
    shared, grown, calls = _flat._shared, _flat._grown, itertools.count()

    def read(rows):
        # Two go side by side, and others have read as much when these are done.
        time.sleep(0.0 if next(calls) < 2 else 0.4)
        return shared(rows)

    def grow(room, used, more):
        time.sleep(0.1)
        return grown(room, used, more)

    monkeypatch.setattr(_flat, "_shared", read)
    monkeypatch.setattr(_flat, "_grown", grow)
    vectors = np.random.default_rng(0).standard_normal((200, 8)).astype(np.float32)
    index = FlatIndex(8)
    index.add(np.arange(200), vectors)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: index.search(vectors[:3], 1)[1].ravel().tolist(), range(4)))
    assert found == [[0, 1, 2]] * 4
    copy = pickle.loads(pickle.dumps(index))
    assert copy.search(vectors[:3], 1)[1].ravel().tolist() == [0, 1, 2]
