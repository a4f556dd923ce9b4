"""From the outputs of a sequence to one vector: whole or step by step, in constant memory, padding left out.

Every pooling has ``init_state(batch)``, ``update(state, y, mask) -> state`` for the next steps of the sequences, and
``read(state) -> (B, n_outputs)``. States are tuples of tensors, passed and returned. Sums are kept in float64, so that a
million steps lose no digits.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

KINDS = ("mean", "max", "last")
# Steps whose shares are formed at a time: what is formed stays in the cache.
_CHUNK_ELEMENTS = 100_000


class PoolState(NamedTuple):
    """What :class:`Pooling` knows of its sequences so far.

    Attributes
    ----------
    count : Tensor of shape (B,), float64
        Steps seen.
    total : Tensor of shape (B, D), float64
        Their sum.
    largest, latest : Tensor of shape (B, D)
        Elementwise maximum, and the last step.
    """

    count: Tensor
    total: Tensor
    largest: Tensor
    latest: Tensor


class Pooling(nn.Module):
    """Mean, maximum and last of the steps of a sequence, one beside the other.

    Parameters
    ----------
    d_model : int
        Width D of what is pooled.
    kinds : tuple of {"mean", "max", "last"}, default ("mean",)
        Which of them. All are zero for a sequence without steps.

    Examples
    --------
    >>> pooling = Pooling(1, ("mean", "max"))
    >>> state = pooling.update(pooling.init_state(1), torch.tensor([[[1.0], [3.0]]]))
    >>> pooling.read(state).tolist()
    [[2.0, 3.0]]
    """

    def __init__(self, d_model: int, kinds: tuple[str, ...] = ("mean",)) -> None:
        super().__init__()
        unknown = [kind for kind in kinds if kind not in KINDS]
        if unknown or not kinds:
            raise ValueError(f"kinds: found {kinds!r}. Give some of {KINDS}.")
        self.d_model, self.kinds, self.n_outputs = d_model, tuple(kinds), d_model * len(kinds)
        self.register_buffer("_like", torch.zeros(0), persistent=False)

    def init_state(self, batch: int) -> PoolState:
        """Return the state of `batch` sequences before their first step."""
        like: Tensor = self._like  # type: ignore[assignment]
        zeros = like.new_zeros(batch, self.d_model)
        count = like.new_zeros(batch, dtype=torch.float64)
        return PoolState(count, zeros.double(), torch.full_like(zeros, -torch.inf), zeros)

    def update(self, state: PoolState, y: Tensor, mask: Tensor | None = None) -> PoolState:
        """Take in further steps.

        Parameters
        ----------
        state : PoolState
        y : Tensor of shape (B, L, D)
        mask : bool Tensor of shape (B, L), optional
            True where a step belongs to the sequence; its steps come before all others (padding on the right).

        Returns
        -------
        PoolState
        """
        count, total, largest, latest = state
        if mask is None:
            steps = torch.full_like(count, y.shape[1])
            kept, low, last = y, y, y[:, -1]
        else:
            steps = mask.sum(1).to(count.dtype)
            kept, low = y * mask[..., None], y.masked_fill(~mask[..., None], -torch.inf)
            at = (steps.long() - 1).clamp_min(0)
            last = torch.where((steps > 0)[:, None], y[torch.arange(len(y), device=y.device), at], latest)
        if "mean" in self.kinds:
            total = total + kept.sum(1)
        if "max" in self.kinds:
            largest = torch.maximum(largest, low.amax(1))
        return PoolState(count + steps, total, largest, last)

    def read(self, state: PoolState) -> Tensor:
        """Return the pooled vectors (B, D len(kinds))."""
        seen = (state.count > 0)[:, None]
        parts = {
            "mean": lambda: (state.total / state.count.clamp_min(1)[:, None]).to(state.latest.dtype),
            "max": lambda: torch.where(seen, state.largest, 0.0),
            "last": lambda: state.latest,
        }
        return torch.cat([parts[kind]() for kind in self.kinds], 1)


class ShareState(NamedTuple):
    """What :class:`SharePooling` knows of its sequences so far.

    Attributes
    ----------
    count : Tensor of shape (B,), float64
        Steps seen.
    total : Tensor of shape (B, F K), float64
        Steps above each threshold.
    """

    count: Tensor
    total: Tensor


class SharePooling(nn.Module):
    """The share of time that each input spends above each of its K thresholds.

    Rocket's "proportion of positive values" (Dempster et al. 2020, arXiv 1910.13051), with K biases per filter
    (MiniRocket, arXiv 2012.08791). A step counts by how far it is above: from 0 to 1 over `softness` standard
    deviations, so that rounding cannot flip it.

    Parameters
    ----------
    n_inputs : int
        Inputs F.
    n_thresholds : int, default 8
        Thresholds K of each. They stand at normal quantiles of the input's mean and deviation: see :meth:`calibrate`.
    softness : float, default 0.1
        Width of the step, in standard deviations.

    Examples
    --------
    >>> pooling = SharePooling(1, 1)
    >>> state = pooling.update(pooling.init_state(1), torch.tensor([[[1.0], [3.0], [-1.0], [2.0]]]))
    >>> pooling.read(state).tolist()
    [[0.75]]
    """

    thresholds: Tensor
    width: Tensor

    def __init__(self, n_inputs: int, n_thresholds: int = 8, *, softness: float = 0.1) -> None:
        super().__init__()
        self.n_outputs, self.softness = n_inputs * n_thresholds, softness
        self.register_buffer("thresholds", torch.zeros(n_thresholds, n_inputs))
        self.register_buffer("width", torch.full((n_inputs,), softness))
        self.calibrate(torch.zeros(n_inputs), torch.ones(n_inputs))

    def calibrate(self, mean: Tensor, deviation: Tensor) -> None:
        """Place the thresholds for inputs with these means and standard deviations, both of shape (F,).

        The quantiles of all inputs together fill (0, 1) evenly: input f has (j + phi f mod 1) / K, phi the golden
        ratio.
        """
        K, F = self.thresholds.shape
        offset = (torch.arange(F, dtype=torch.float64) * 0.6180339887498949) % 1
        level = (torch.arange(K, dtype=torch.float64)[:, None] + 0.02 + 0.96 * offset) / K
        normal = torch.special.ndtri(level)
        # An input that does not move is above none of them, whatever rounding does.
        scale = deviation.double().clamp_min(1e-6)
        self.thresholds.copy_(mean.double() + normal * scale)
        self.width.copy_(self.softness * scale)

    def init_state(self, batch: int) -> ShareState:
        """Return the state of `batch` sequences before their first step."""
        zeros = self.width.new_zeros(batch, self.n_outputs, dtype=torch.float64)
        return ShareState(zeros[:, 0].clone(), zeros)

    def update(self, state: ShareState, y: Tensor, mask: Tensor | None = None) -> ShareState:
        """Take in further steps; arguments as in :meth:`Pooling.update`."""
        steps = y.new_full((len(y),), y.shape[1]) if mask is None else mask.sum(1)
        scaled = y / self.width
        if mask is not None:
            scaled = scaled.masked_fill(~mask[..., None], -torch.inf)
        edges = (self.thresholds / self.width - 0.5).to(y.dtype)
        size = max(_CHUNK_ELEMENTS // max(y.shape[0] * y.shape[2], 1), 1)
        total = state.total.view(len(y), *self.thresholds.shape).clone()
        for part in scaled.split(size, 1):
            for k, edge in enumerate(edges):
                total[:, k] += (part - edge).clamp_(0, 1).sum(1)
        return ShareState(state.count + steps, total.flatten(1))

    def read(self, state: ShareState) -> Tensor:
        """Return the shares (B, F K), 0 for a sequence without steps."""
        return (state.total / state.count.clamp_min(1)[:, None]).to(self.width.dtype)
