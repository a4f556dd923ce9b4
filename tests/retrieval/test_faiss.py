"""The index of faiss keeps to the contract of the flat one, and finds nearly all of what that one finds."""

import sys

import numpy as np
import pytest

from tsrec.retrieval import _faiss
from tsrec.retrieval._faiss import FaissIndex
from tsrec.retrieval._flat import FlatIndex

RNG = np.random.default_rng(11)


def test_without_faiss_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ImportError, match=r"pip install 'tsrec\[faiss\]'"):
        FaissIndex(3)


pytest.importorskip("faiss")


def walks(n, w=64, n_features=16):
    """First Fourier coefficients of standardised windows of random walks, as the retriever has them."""
    x = RNG.standard_normal((n, w)).cumsum(1)
    x = (x - x.mean(1, keepdims=True)) / np.linalg.norm(x - x.mean(1, keepdims=True), axis=1, keepdims=True)
    f = np.fft.rfft(x, axis=1)[:, 1 : n_features // 2 + 1] * np.sqrt(2 / w)
    return np.concatenate([f.real, f.imag], 1).astype(np.float32)


@pytest.fixture(scope="module")
def many():
    """Both indexes over as many vectors as make lists, with gaps in the numbers."""
    rows, ids = walks(30_000), np.arange(30_000) + np.arange(30_000) // 7
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_faiss, "_SMALL", 5000)
        index, flat = FaissIndex(16), FlatIndex(16)
        for part in np.array_split(np.arange(30_000), 40):
            index.add(ids[part], rows[part])
        flat.add(ids, rows)
        yield index, flat, rows, ids


def recall(found, wanted):
    return np.mean([len(np.intersect1d(a, b)) / wanted.shape[1] for a, b in zip(found, wanted, strict=True)])


def test_lists_grow_with_the_vectors_and_recall_stays(many):
    index, flat, *_ = many
    assert 100 < index._lists.nlist <= 2 * 30_000**0.5
    asked = walks(100)
    distance, ids = index.search(asked, 10)
    wanted = flat.search(asked, 10)
    assert recall(ids, wanted[1]) >= 0.95
    assert (np.diff(distance) >= 0).all()
    assert distance.dtype == np.float32
    same = ids == wanted[1]
    np.testing.assert_allclose(distance[same], wanted[0][same], rtol=1e-4)


@pytest.mark.parametrize("share", [0.5, 0.05, 0.005, 0.0005])
def test_masks_cost_no_recall(many, share):
    index, flat, _, ids = many
    asked = walks(60)
    mask = RNG.random(ids[-1] + 3) < share
    asked.flags.writeable = mask.flags.writeable = False
    found, wanted = index.search(asked, 10, mask)[1], flat.search(asked, 10, mask)[1]
    assert found.shape == wanted.shape
    assert mask[found[found >= 0]].all()
    assert recall(found, wanted) >= (0.95 if share > 0.05 else 1)


def test_masks_that_keep_one_region_cost_no_recall(many):
    index, flat, rows, ids = many
    near = np.linalg.norm(rows - rows[0], axis=1)
    mask = np.zeros(ids[-1] + 1, bool)
    mask[ids[np.argsort(near)[5000:8000]]] = True
    asked = walks(60)
    assert recall(index.search(asked, 10, mask)[1], flat.search(asked, 10, mask)[1]) >= 0.95


def test_many_neighbours_are_found(many):
    index, flat, *_ = many
    asked = walks(5)
    assert recall(index.search(asked, 5000)[1], flat.search(asked, 5000)[1]) >= 0.95


def test_few_vectors_are_compared_one_and_all():
    index, flat, rows = FaissIndex(4), FlatIndex(4), RNG.standard_normal((500, 4)).astype(np.float32)
    rows[100:110] = rows[0]
    asked, numbers = rows[:30] + np.float32(1e-3), np.arange(500) + 5
    assert index.search(asked, 3)[1].shape == (30, 0)
    for one in (index, flat):
        one.add(numbers[:0], rows[:0])
        one.add(numbers[:200], rows[:200])
        one.add(numbers[200:], rows[200:])
        one.remove([6, 7, 7, 400, 504, 505, 10_000, -1])
        assert len(one) == 496
    for mask in (None, np.arange(600) % 3 > 0, np.arange(600) == 90, np.zeros(600, bool)):
        found, wanted = index.search(asked, 12, mask), flat.search(asked, 12, mask)
        np.testing.assert_array_equal(found[1], wanted[1])
        np.testing.assert_allclose(found[0], wanted[0], rtol=1e-5)
    assert index.search(asked, 900)[1].shape == (30, 496)


def test_a_saved_index_answers_as_before_and_grows_on(tmp_path, many):
    index, _, _, ids = many
    index.remove(ids[-3:])
    asked = walks(20)
    for _ in range(2):
        index.save(tmp_path / "deep" / "folder")
    again = FaissIndex.load(tmp_path / "deep" / "folder")
    assert len(again) == len(index) == 29_997
    for a, b in zip(index.search(asked, 10), again.search(asked, 10), strict=True):
        np.testing.assert_array_equal(a, b)
    again.add(ids[-1:] + 9, asked[:1])
    assert again.search(asked[:1], 1)[1] == ids[-1] + 9
    empty = FaissIndex(3)
    empty.save(tmp_path)
    assert len(FaissIndex.load(tmp_path)) == 0


def test_what_does_not_fit_is_refused():
    index = FaissIndex(2)
    index.add([3], np.ones((1, 2)))
    for call, words in (
        (lambda: index.add([4], np.ones((1, 3))), "vectors: found shape"),
        (lambda: index.add([3], np.ones((1, 2))), "ids: they have to rise from 4 on"),
        (lambda: index.search(np.ones((1, 2)), 1, np.ones(3, bool)), r"mask: found bool \(3,\)"),
    ):
        with pytest.raises(ValueError, match=words):
            call()
