"""What an index of vectors has to offer, so that another engine can take the place of ours.

An adapter holds nothing but vectors and their numbers: encoding, exact distances, times and intervals stay outside. For
a server the constructor takes its address and a collection, `save` writes these as JSON, and the mask of `search`
becomes the server's own filter, or a list of numbers where few are allowed.
"""

import os
from typing import Protocol, Self

import numpy as np


class VectorIndex(Protocol):
    """Vectors of one length, each with a number, of which the nearest are found.

    Numbers are integers from 0 on. Distances are Euclidean.
    """

    n_features: int

    def __len__(self) -> int:
        """How many vectors there are."""

    def add(self, ids: np.ndarray, vectors: np.ndarray) -> None:
        """Append vectors.

        Parameters
        ----------
        ids : int array of shape (n,)
            Their numbers, which rise and are above all numbers before.
        vectors : float array of shape (n, n_features)
            Finite; kept as float32.
        """

    def remove(self, ids: np.ndarray) -> None:
        """Forget vectors by their numbers; unknown ones are passed over."""

    def search(self, vectors: np.ndarray, k: int, mask: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """The k nearest of each vector.

        Parameters
        ----------
        vectors : float array of shape (n_queries, n_features)
            What is asked for.
        k : int
            How many.
        mask : bool array, optional
            Which numbers may be answered: ``mask[i]`` is for the vector of number i. It reaches beyond the last number.

        Returns
        -------
        distance : float32 array of shape (n_queries, k)
            Nearest first; of equal ones the least number first. There are fewer columns where fewer vectors may be
            answered; what an approximate index has not found is infinitely far.
        ids : int64 array of shape (n_queries, k)
            Their numbers; -1 for what was not found.
        """

    def save(self, folder: str | os.PathLike) -> None:
        """Write all into a folder, which is made, or replaced if it holds such an index."""

    @classmethod
    def load(cls, folder: str | os.PathLike) -> Self:
        """The index that `save` wrote."""


def as_vectors(vectors: np.ndarray, n_features: int) -> np.ndarray:
    """Vectors as float32, once they are known to be of one length and finite."""
    found = np.ascontiguousarray(vectors, np.float32)
    if found.ndim != 2 or found.shape[1] != n_features:
        raise ValueError(f"vectors: found shape {found.shape}. Give (n, {n_features}).")
    if not np.isfinite(np.vdot(found, found)) and not np.isfinite(np.einsum("ij,ij->i", found, found)).all():
        raise ValueError("vectors: some are NaN, infinite, or beyond what float32 can square. Leave them out.")
    return found


def as_ids(ids: np.ndarray, vectors: np.ndarray, last: int) -> np.ndarray:
    """Numbers of new vectors, once they are known to rise from beyond the last."""
    found = np.asarray(ids, np.int64)
    if found.shape != vectors.shape[:1]:
        raise ValueError(f"ids: found shape {found.shape} for {len(vectors)} vectors. Give one each.")
    if len(found) and (found[0] <= last or (np.diff(found) <= 0).any()):
        raise ValueError(f"ids: they have to rise from {last + 1} on. Give new numbers.")
    return found


def as_mask(mask: np.ndarray, last: int) -> np.ndarray:
    """A mask, once it is known to reach beyond the last number."""
    found = np.ascontiguousarray(mask)
    if found.dtype != bool or found.ndim != 1 or len(found) <= last:
        raise ValueError(f"mask: found {found.dtype} {found.shape}. Give a bool for each number up to {last}.")
    return found
