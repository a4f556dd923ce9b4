"""Nearest vectors by comparing all of them: a matrix product in chunks, of which only minima of groups are kept."""

import ctypes
import os
from threading import Lock
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from tsrec.retrieval._directory import Directory
from tsrec.retrieval._index import as_ids, as_mask, as_vectors
from tsrec.retrieval._memory import Memory
from tsrec.retrieval._store import Store, blocks

# Rows of a group, and groups measured exactly at a time.
_GROUP, _AT_ONCE = 64, 1024
# Minima of groups kept at a time, for as many queries as they suffice for.
_MINIMA = 1 << 25
_PARTS = ("ids", "vectors", "removed")


class FlatIndex:
    """Vectors side by side in a store, compared with a query one and all; the answer is exact.

    Appending costs as much as what is appended. The store may be larger than memory: its rows are read as the search
    goes along them, and one number a row is held in memory. See `VectorIndex`.

    Parameters
    ----------
    n_features : int
        Length of a vector.
    device : str or torch.device, default "cpu"
        Where they are compared; they are moved to a GPU once.
    store : Store, optional
        Where they are kept, in arrays made for them if it has none; whose it is commits. Memory by default.
    name : str, default ""
        Before the names of these arrays.
    """

    def __init__(
        self, n_features: int, *, device: str | torch.device = "cpu", store: Store | None = None, name: str = ""
    ) -> None:
        self.n_features, self.device, self.name = n_features, torch.device(device), name
        self.store = Memory() if store is None else store
        self._is_owner, self._lock = store is None, Lock()
        if f"{name}vectors" not in self.store.names():
            for part, dtype, shape in zip(_PARTS, ("i8", "f4", "i8"), ((), (n_features,), ()), strict=True):
                self.store.create(name + part, dtype, shape)
        self._forget_what_is_known()

    def __getstate__(self) -> dict[str, Any]:
        """What is copied or pickled: nothing that the next search can look up in the store."""
        return {**vars(self), "_kept": None, "_rows": None, "_squares": None, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take a copy up."""
        vars(self).update(state, _lock=Lock())
        self._forget_what_is_known()

    def __len__(self) -> int:
        return len(self._part("ids")) - len(self._part("removed"))

    def add(self, ids: np.ndarray, vectors: np.ndarray) -> None:
        """Append vectors; see `VectorIndex.add`."""
        more, known = as_vectors(vectors, self.n_features), self._part("ids")
        numbers = as_ids(ids, more, known[-1] if len(known) else -1)
        self.store.append(f"{self.name}vectors", more)
        self.store.append(f"{self.name}ids", numbers)

    def remove(self, ids: np.ndarray) -> None:
        """Forget vectors. Their room is given back by `compact`, which an index with its own store calls itself."""
        present = np.intersect1d(ids, self._part("ids"))
        self.store.append(f"{self.name}removed", np.setdiff1d(present, self._part("removed")))
        if self._is_owner and 2 * len(self) < len(self._part("ids")):
            self.compact()

    def compact(self) -> None:
        """Leave out what was removed, for good, and commit the store."""
        stays = ~np.isin(self._part("ids"), self._part("removed"))
        none = np.zeros(len(self._part("removed")), bool)
        self.store.rewrite({self.name + part: mask for part, mask in zip(_PARTS, (stays, stays, none), strict=True)})
        self._forget_what_is_known()

    def search(self, vectors: np.ndarray, k: int, mask: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """The k nearest of each vector; see `VectorIndex.search`."""
        asked, ids = as_vectors(vectors, self.n_features), self._part("ids")
        self._look()
        squares, places, count = self._allowed(ids, mask, len(asked))
        k = min(k, count)
        distance, found = np.empty((len(asked), k), np.float32), np.empty((len(asked), k), np.int64)
        if not k:
            return distance, found
        step = max(1, _MINIMA * _GROUP // len(squares))
        for first in range(0, len(asked), step):
            some = asked[first : first + step]
            query, groups = self._near(some, k, squares, places)
            bounds = np.searchsorted(query, np.arange(len(some) + 1))
            for i, one in enumerate(some):
                near = self._measure(one, groups[bounds[i] : bounds[i + 1]], k, squares, places)
                distance[first + i], found[first + i] = near[0], ids[near[1]]
        return distance, found

    def save(self, folder: str | os.PathLike) -> None:
        """Write all into a folder; see `VectorIndex.save`."""
        with Directory.make(folder, overwrite=True) as target:
            FlatIndex(self.n_features, store=target)
            for part in _PARTS:
                for rows in blocks(self._part(part)):
                    target.append(part, rows)
            target.commit()

    @classmethod
    def load(cls, folder: str | os.PathLike, *, device: str | torch.device = "cpu", mapped: bool = False) -> Self:
        """The index that `save` wrote, in memory or only mapped; to a mapped one nothing can be added."""
        saved = Directory.open(folder)
        n_features = saved.array("vectors").shape[1]
        if mapped:
            return cls(n_features, device=device, store=saved)
        made = cls(n_features, device=device, store=Memory())
        made.store, made._is_owner = Memory(), True
        saved.copy_to(made.store)
        return made

    def _part(self, name: str) -> np.ndarray:
        return self.store.array(self.name + name)

    def _forget_what_is_known(self) -> None:
        self._rows = torch.empty(0, self.n_features, device=self.device)
        self._squares = torch.empty(0, device=self.device)
        self._n_rows = self._n_removed = 0
        self._largest = 0.0

    def _look(self) -> None:
        """Squares of what the store has got since the last look, infinite where removed; the rows too, on a GPU."""
        with self._lock:
            rows, removed = self._part("vectors"), self._part("removed")
            for part in blocks(rows[self._n_rows :]):
                more = _shared(part).to(self.device)
                squares = more.square().sum(1)
                self._largest = max(self._largest, float(squares.max()))
                self._squares = _grown(self._squares, self._n_rows, squares)
                if self._moves:
                    self._rows = _grown(self._rows, self._n_rows, more)
                self._n_rows += len(part)
            if not self._moves and len(rows):
                self._kept, self._rows = rows, _shared(rows)
            places = np.searchsorted(self._part("ids"), removed[self._n_removed :])
            self._squares[torch.from_numpy(places).to(self.device)] = torch.inf
            self._n_removed = len(removed)

    @property
    def _moves(self) -> bool:
        return self.device.type != "cpu"

    def _allowed(
        self, ids: np.ndarray, mask: np.ndarray | None, n_queries: int
    ) -> tuple[Tensor, np.ndarray | None, int]:
        """Squares, infinite where a row is not to be answered, the places of the rows where few are, and how many."""
        squares = self._squares[: len(ids)]
        if mask is None or not len(ids):
            return squares, None, len(self)
        wanted = as_mask(mask, ids[-1])
        wanted = wanted[: len(ids)] if ids[-1] == len(ids) - 1 else wanted[ids]
        allowed = torch.tensor(wanted, device=self.device)
        if self._n_removed:
            allowed = allowed & squares.isfinite()
        count = int(allowed.count_nonzero())
        # Measured: a row costs 24 to fetch out of order, 4 in order, and 1 to compare with each query.
        if (24 + n_queries) * count > (4 + n_queries) * len(ids):
            return squares.where(allowed, torch.inf), None, count
        places = allowed.nonzero()[:, 0]
        return squares[places], places.cpu().numpy(), count

    def _near(
        self, asked: np.ndarray, k: int, squares: Tensor, places: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Pairs of a query and a group that may hold one of its k nearest, in order."""
        query = torch.tensor(asked, device=self.device)
        least = self._minima(query, squares, places)
        bound = least.topk(min(k, least.shape[1]), largest=False).values.amax(1, keepdim=True)
        # A product and a square, each rounded once a term, on both sides of the comparison.
        unit = 2.0**-24 if torch.get_float32_matmul_precision() == "highest" else 2.0**-8
        size = query.square().sum(1, keepdim=True).sqrt() + self._largest**0.5
        slack = 2 * (self.n_features + 8) * unit * size.square()
        pairs = ((least <= bound + slack) & least.isfinite()).nonzero().cpu().numpy()
        return pairs[:, 0], pairs[:, 1]

    def _minima(self, query: Tensor, squares: Tensor, places: np.ndarray | None) -> Tensor:
        """Least squared distance, less the square of the query, of every group of rows: (n_queries, n_groups)."""
        n_rows, n_queries = len(squares), len(query)
        chunk = (
            max(_GROUP, (1 << 27) // n_queries // _GROUP * _GROUP) if self._moves else 16384 if n_queries < 16 else 4096
        )
        least = query.new_empty(n_queries, -(-n_rows // _GROUP))
        for first in range(0, n_rows, chunk):
            end = min(first + chunk, n_rows)
            if places is None:
                rows = self._rows[first:end]
            else:
                rows = self._rows.index_select(0, torch.from_numpy(places[first:end]).to(self.device))
            found = torch.addmm(squares[None, first:end], query, rows.T, alpha=-2)
            if found.shape[1] % _GROUP:
                found = torch.nn.functional.pad(found, (0, -found.shape[1] % _GROUP), value=torch.inf)
            here = found.unflatten(1, (-1, _GROUP)).amin(2)
            least[:, first // _GROUP : first // _GROUP + here.shape[1]] = here
        return least

    def _measure(
        self, query: np.ndarray, groups: np.ndarray, k: int, squares: Tensor, places: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Distances and places of the k nearest in some groups. By differences: products of neighbours lose digits."""
        distance, best = np.empty(0, np.float32), np.empty(0, np.int64)
        for first in range(0, len(groups), _AT_ONCE):
            members = (groups[first : first + _AT_ONCE, None] * _GROUP + np.arange(_GROUP)).ravel()
            members = members[: np.searchsorted(members, len(squares))]
            if places is None:
                members = members[squares[torch.from_numpy(members)].isfinite().cpu().numpy()]
            else:
                members = places[members]
            gaps = self._part("vectors")[members] - query.astype(float)
            more = np.sqrt(np.einsum("ij,ij->i", gaps, gaps)).astype(np.float32)
            distance, best = np.concatenate([distance, more]), np.concatenate([best, members])
            order = np.argsort(distance, kind="stable")[:k]
            distance, best = distance[order], best[order]
        return distance, best


def _shared(rows: np.ndarray) -> Tensor:
    """A tensor on the memory of an array. Torch would warn that it must not write, but it only reads."""
    memory = (ctypes.c_float * rows.size).from_address(rows.ctypes.data)
    return torch.frombuffer(memory, dtype=torch.float32).view(rows.shape)


def _grown(room: Tensor, used: int, more: Tensor) -> Tensor:
    """Room with more put behind what is used, moved to twice the room where it is full."""
    if used + len(more) > len(room):
        wider = room.new_empty(max(2 * len(room), used + len(more)), *room.shape[1:])
        wider[:used] = room[:used]
        room = wider
    room[used : used + len(more)] = more
    return room
