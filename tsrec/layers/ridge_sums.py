"""Sums over windows from which linear maps are solved: every fold's are sums of those of segments of time."""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from tsrec.layers.segments import N_SEGMENTS


class RidgeStatistics:
    """Sums of outer products of windows, per segment of time; float64, whatever the windows are.

    Parameters
    ----------
    context, horizon : int
        L and H.
    gram : Tensor of shape (N_SEGMENTS, L, L), optional
        That of the same contexts and weights, where only targets are new.
    """

    def __init__(self, context: int, horizon: int, gram: Tensor | None = None):
        self._fresh = gram is None
        self.gram = torch.zeros(N_SEGMENTS, context, context, dtype=torch.float64) if gram is None else gram
        self.cross = torch.zeros(N_SEGMENTS, context, horizon, dtype=torch.float64)
        self.square = torch.zeros(N_SEGMENTS, dtype=torch.float64)
        self.weight = torch.zeros(N_SEGMENTS, dtype=torch.float64)

    def add(self, z: Tensor, target: Tensor, segment: int, weight: Tensor | None = None) -> None:
        """Add windows of one segment.

        Products are formed in the windows' own precision, a few thousand rows at a time at most, and summed in float64.

        Parameters
        ----------
        z : Tensor of shape (B, L)
            Normalised contexts.
        target : Tensor of shape (B, H)
            Normalised targets, finite.
        segment : int
            As given by :func:`tsrec.layers.segments.time_segments`.
        weight : Tensor of shape (B,), optional
            Non-negative weight of each window.
        """
        if weight is not None:
            root = weight.sqrt()[:, None].to(z.dtype)
            z, target = z * root, target * root
        if self._fresh:
            self.gram[segment] += (z.T @ z).double().cpu()
        self.cross[segment] += (z.T @ target).double().cpu()
        self.square[segment] += float(target.double().square().sum())
        self.weight[segment] += len(z) if weight is None else float(weight.double().sum())


class Sums(NamedTuple):
    """Those of some segments together."""

    gram: Tensor
    cross: Tensor
    square: float
    weight: float


def pooled(statistics: RidgeStatistics, segments: Iterable[int]) -> Sums:
    """Add segments up."""
    chosen = list(segments)
    return Sums(
        statistics.gram[chosen].sum(0),
        statistics.cross[chosen].sum(0),
        float(statistics.square[chosen].sum()),
        float(statistics.weight[chosen].sum()),
    )
