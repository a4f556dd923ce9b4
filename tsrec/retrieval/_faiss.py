"""Approximate nearest vectors by faiss (Douze et al. 2024, arXiv 2401.08281): those in lists of the nearest centres.

Lists rather than a graph: built eight times faster on windows of random walks, searched as fast, open to removal; and
a mask costs no recall, as lists are searched until as many rows have been compared as without it, or all it keeps are.
"""

import os
from importlib import import_module
from math import ceil, sqrt
from pathlib import Path
from typing import Any, Self

import numpy as np

from tsrec.retrieval import _files
from tsrec.retrieval._flat import FlatIndex
from tsrec.retrieval._index import as_ids, as_mask, as_vectors

# Vectors up to which all are compared; lists by the root of the number of vectors, and vectors to learn one from;
# lists searched for recall@10 of 0.99; the share kept by a mask below which all that it keeps are compared.
_SMALL, _LISTS, _SAMPLE, _PROBES, _FEW = 50_000, 2, 64, 24, 0.05


class FaissIndex:
    """Vectors in lists; see `VectorIndex`. Which of equally far ones is the last of the k, faiss decides."""

    def __init__(self, n_features: int) -> None:
        self.n_features = n_features
        self._lists = self._made(np.zeros((1, n_features), np.float32), 1)
        self._list_of = np.empty(0, np.int32)  # by number; -1 where there is none

    def __len__(self) -> int:
        return self._lists.ntotal

    def add(self, ids: np.ndarray, vectors: np.ndarray) -> None:
        """Append vectors; now and then, when they have become four times as many, all are put into new lists."""
        more = as_vectors(vectors, self.n_features)
        numbers = as_ids(ids, more, len(self._list_of) - 1)
        n = len(self) + len(numbers)
        if n > _SMALL and _LISTS * sqrt(n) >= 2 * self._lists.nlist:
            known = np.flatnonzero(self._list_of >= 0)
            numbers, more = np.r_[known, numbers], np.r_[self._lists.reconstruct_batch(known), more]
            self._lists = self._made(more, int(_LISTS * sqrt(n)))
        if len(numbers):
            lists, pointer = self._lists.quantizer.assign(more, 1)[:, 0], _faiss().swig_ptr
            self._lists.add_core(len(more), pointer(more), pointer(numbers), pointer(lists))
            self._note(numbers, lists)

    def remove(self, ids: np.ndarray) -> None:
        """Forget vectors by their numbers."""
        known = np.intersect1d(ids, np.flatnonzero(self._list_of >= 0))
        self._lists.remove_ids(known)
        self._list_of[known] = -1

    def search(self, vectors: np.ndarray, k: int, mask: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """The k nearest of each vector; see `VectorIndex.search`."""
        asked, allowed, chosen, faiss = as_vectors(vectors, self.n_features), self._list_of >= 0, None, _faiss()
        if mask is not None:
            allowed &= as_mask(mask, len(allowed) - 1)[: len(allowed)]
            chosen = faiss.IDSelectorBitmap(np.packbits(allowed, bitorder="little"))
        shape = len(asked), min(k, count := int(np.count_nonzero(allowed)))
        if 0 < count < _FEW * len(self):
            flat, left = FlatIndex(self.n_features), np.flatnonzero(allowed)
            flat.add(left, self._lists.reconstruct_batch(left))
            return flat.search(asked, k)
        gaps, ids = np.empty(shape, np.float32), np.empty(shape, np.int64)
        if gaps.size:
            lists = self._near(asked, shape[1], None if mask is None else allowed)
            unused = np.zeros(lists.shape, np.float32)
            x, *given = map(faiss.swig_ptr, (asked, lists, unused, gaps, ids))
            options = faiss.SearchParametersIVF(nprobe=lists.shape[1], sel=chosen)
            self._lists.search_preassigned_c(shape[0], x, shape[1], *given, False, options)
        distance = np.where(ids < 0, np.float32(np.inf), np.sqrt(gaps))
        order = np.lexsort((ids, distance))
        return np.take_along_axis(distance, order, 1), np.take_along_axis(ids, order, 1)

    def _near(self, asked: np.ndarray, k: int, allowed: np.ndarray | None) -> np.ndarray:
        """Lists to be searched for each query, nearest first: so many that they hold enough allowed rows; then -1."""
        n_lists, enough = self._lists.nlist, max(_PROBES * len(self) / self._lists.nlist, 4 * k)
        if allowed is None:
            return self._lists.quantizer.assign(asked, min(n_lists, ceil(enough * n_lists / len(self))))
        lists = self._lists.quantizer.assign(asked, n_lists)
        held = np.bincount(np.where(allowed, self._list_of, -1) + 1, minlength=n_lists + 1)[1:][lists]
        return np.where((held > 0) & (held.cumsum(1) - held < enough), lists, -1)

    def save(self, folder: str | os.PathLike) -> None:
        """Write all into a folder; see `VectorIndex.save`."""
        os.makedirs(folder, exist_ok=True)
        _files.switch(Path(folder, "index.faiss"), _faiss().serialize_index(self._lists))

    @classmethod
    def load(cls, folder: str | os.PathLike) -> Self:
        """The index that `save` wrote."""
        faiss, file = _faiss(), os.path.join(folder, "index.faiss")
        made = cls((lists := faiss.read_index(file)).d)
        made._lists = lists
        sizes = [lists.get_list_size(i) for i in range(lists.nlist)]
        held = [faiss.rev_swig_ptr(lists.invlists.get_ids(i), size) for i, size in enumerate(sizes) if size]
        made._note(np.concatenate([np.empty(0, np.int64), *held]), np.repeat(np.arange(len(sizes)), sizes))
        return made

    def _made(self, vectors: np.ndarray, n_lists: int) -> Any:
        lists = _faiss().IndexIVFFlat(_faiss().IndexFlatL2(self.n_features), self.n_features, n_lists)
        lists.cp.min_points_per_centroid = 1
        lists.set_direct_map_type(_faiss().DirectMap.Hashtable)
        lists.train(np.ascontiguousarray(vectors[:: ceil(len(vectors) / (_SAMPLE * n_lists))]))
        return lists

    def _note(self, numbers: np.ndarray, lists: np.ndarray) -> None:
        more = numbers.max(initial=len(self._list_of) - 1) + 1 - len(self._list_of)
        self._list_of = np.pad(self._list_of, (0, more), constant_values=-1)
        self._list_of[numbers] = lists


def _faiss() -> Any:
    try:
        return import_module("faiss")
    except ImportError as err:
        raise ImportError("Approximate search needs faiss. Install it with: pip install 'tsrec[faiss]'") from err
