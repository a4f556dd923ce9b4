"""Answers about matrices, kept for who asks the same again."""

from collections.abc import Callable
from hashlib import sha256
from typing import TypeVar

from torch import Tensor

Answer = TypeVar("Answer")


class Known:
    """Give what was found before where all numbers are the same; their digests are kept, not the matrices.

    Examples
    --------
    >>> import torch
    >>> known, given = Known(), torch.eye(2)
    >>> known(torch.linalg.eigh, given) is known(torch.linalg.eigh, given.clone())
    True
    """

    def __init__(self) -> None:
        self._found: dict[tuple[object, ...], object] = {}

    def __call__(self, work: Callable[..., Answer], *given: Tensor) -> Answer:
        """``work(*given)``, for tensors on the CPU; what it gave before must not have been changed since."""
        key = work, *map(_digest, given)
        if key not in self._found:
            self._found[key] = work(*given)
        return self._found[key]  # type: ignore[return-value]


def _digest(matrix: Tensor) -> tuple[object, ...]:
    return matrix.dtype, matrix.shape, sha256(matrix.contiguous().numpy().data).digest()
