"""From the outputs of a sequence to one vector: whole or step by step, in constant memory, padding left out.

Every pooling has ``n_outputs``, ``init_state(batch)``, ``update(state, y, mask) -> state`` for the next steps of the
sequences, and ``read(state) -> (B, n_outputs)``. States are tuples of tensors, passed and returned. Sums are kept in
float64, so that a million steps lose no digits.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from tsrec.layers.checks import holds

KINDS = ("mean", "max", "last")
# Shares are formed of so many elements at a time: what is formed stays in the cache.
_CHUNK_ELEMENTS = 400_000
_GOLDEN = 0.6180339887498949
# What logarithms of sizes start from, in units of the input.
_SMALL = 1e-4
# Least range over which a step begins to count, in largest answers of the filter.
_LEAST_WIDTH = 1e-6


def _order(values: Tensor) -> Tensor:
    """Order of each row; numpy finds it several times as fast as torch does on a CPU."""
    if values.device.type == "cpu":
        # numpy knows no bfloat16.
        wide = values.detach().to(torch.promote_types(values.dtype, torch.float32))
        return torch.from_numpy(np.argsort(wide.numpy(), axis=1))
    return values.argsort(dim=1)


class PoolState(NamedTuple):
    """What :class:`Pooling` knows of its sequences so far.

    Attributes
    ----------
    steps : Tensor of shape (B,), float64
        Steps seen.
    total : Tensor of shape (B, D), float64
        Their sum.
    largest, latest : Tensor of shape (B, D)
        Elementwise maximum, and the last step.
    """

    steps: Tensor
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

    Raises
    ------
    ValueError
        For an unknown kind, or none.

    Examples
    --------
    >>> pooling = Pooling(1, ("mean", "max"))
    >>> state = pooling.update(pooling.init_state(1), torch.tensor([[[1.0], [3.0]]]))
    >>> pooling.read(state).tolist()
    [[2.0, 3.0]]
    """

    _like: Tensor

    def __init__(self, d_model: int, kinds: tuple[str, ...] = ("mean",)) -> None:
        super().__init__()
        if not kinds or not set(kinds) <= set(KINDS):
            raise ValueError(f"kinds: found {kinds!r}. Give some of {KINDS}.")
        self.d_model, self.kinds, self.n_outputs = d_model, tuple(kinds), d_model * len(kinds)
        self.register_buffer("_like", torch.zeros(0), persistent=False)

    def init_state(self, batch: int) -> PoolState:
        """Return the state of `batch` sequences before their first step."""
        zeros = self._like.new_zeros(batch, self.d_model)
        count = self._like.new_zeros(batch, dtype=torch.float64)
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
        seen, total, largest, latest = state
        if mask is None:
            steps = torch.full_like(seen, y.shape[1])
            kept, low, last = y, y, y[:, -1]
        else:
            steps = mask.sum(1).to(seen.dtype)
            kept, low = (y.masked_fill(~mask[..., None], fill) for fill in (0.0, -torch.inf))
            at = (steps.long() - 1).clamp_min(0)
            last = torch.where((steps > 0)[:, None], y[torch.arange(y.shape[0], device=y.device), at], latest)
        if "mean" in self.kinds:
            total = total + kept.sum(1, dtype=total.dtype)
        if "max" in self.kinds:
            largest = torch.maximum(largest, low.amax(1))
        return PoolState(seen + steps, total, largest, last)

    def read(self, state: PoolState) -> Tensor:
        """Return the pooled vectors (B, D len(kinds))."""
        seen = (state.steps > 0)[:, None]
        parts = {
            "mean": (state.total / state.steps.clamp_min(1)[:, None]).to(state.latest.dtype),
            "max": torch.where(seen, state.largest, 0.0),
            "last": state.latest,
        }
        return torch.cat([parts[kind] for kind in self.kinds], 1)


class FilterState(NamedTuple):
    """What :class:`FilterPooling` knows of its sequences so far.

    Attributes
    ----------
    steps : Tensor of shape (B,), float64
        Steps seen.
    above : Tensor of shape (B, K, F), float64
        Steps above each threshold.
    square : Tensor of shape (B, F), float64
        Sum of squares.
    top, bottom : Tensor of shape (B, F)
        The largest of 0 and the values, and the smallest of both.
    """

    steps: Tensor
    above: Tensor
    square: Tensor
    top: Tensor
    bottom: Tensor


class FilterPooling(nn.Module):
    """What filters answered to a sequence: share of time above K thresholds, energy and extremes.

    The shares are Rocket's "proportion of positive values" (Dempster et al. 2020, arXiv 1910.13051) with K biases per
    filter, at quantiles of its answers (MiniRocket, arXiv 2012.08791). A step counts by how far it is above, from 0 to
    1 over a small range, so that rounding does not flip it. Energy and extremes are taken as logarithms.

    Parameters
    ----------
    n_inputs : int
        Filters F.
    n_thresholds : int, default 8
        Thresholds K of each; they are at zero until :meth:`calibrate` has seen answers.
    softness : float, default 0.1
        Half the range over which a step begins to count, in distances between thresholds.

    Examples
    --------
    >>> pooling = FilterPooling(1, 1)
    >>> pooling.calibrate(torch.tensor([[-2.0], [-1.0], [0.0], [1.0], [2.0]]), torch.ones(5))
    >>> state = pooling.update(pooling.init_state(1), torch.tensor([[[1.0], [3.0], [-3.0], [2.0]]]))
    >>> pooling.read(state)[0, 0].item()
    0.75
    """

    thresholds: Tensor
    widths: Tensor

    def __init__(self, n_inputs: int, n_thresholds: int = 8, *, softness: float = 0.1) -> None:
        super().__init__()
        self.n_outputs, self.softness = n_inputs * (n_thresholds + 3), softness
        self.register_buffer("thresholds", torch.zeros(n_thresholds, n_inputs))
        self.register_buffer("widths", torch.ones(n_thresholds, n_inputs))

    def calibrate(self, answers: Tensor, weight: Tensor) -> None:
        """Place the thresholds at quantiles, whose levels fill (0, 1) evenly over all filters together.

        Parameters
        ----------
        answers : Tensor of shape (S, F)
            Answers at some steps of sequences like those to come.
        weight : Tensor of shape (S,)
            Non-negative weight of each; a row of weight 2 is one that is there twice.
        """
        answers, weight = answers[weight > 0], weight[weight > 0]
        K, F = self.thresholds.shape
        start = 0.5 + (torch.arange(F, dtype=torch.float64) - F // 2) * _GOLDEN
        levels = (torch.arange(K, dtype=torch.float64)[:, None] + start % 1) / K
        values = answers.T.contiguous()
        order = _order(values)
        ordered = values.gather(1, order).double()
        below = weight.double()[order].cumsum(1)
        spread = self.softness / K
        wanted = torch.stack([levels - spread, levels, levels + spread]).clamp(0, 1).flatten(0, 1).T.contiguous()
        at = torch.searchsorted(below, wanted * below[:, -1:]).clamp_max(len(answers) - 1)
        low, middle, high = ordered.gather(1, at).T.view(3, K, F)
        # Where a filter is at rest, at 0, rounding (of the largest answers, in a convolution) is not to become shares:
        # a threshold there goes off the tie.
        least = _LEAST_WIDTH * ordered.abs().amax(1).clamp_min(1e-6)
        at_rest = (high - low < least) & (middle.abs() < least)
        self.thresholds.copy_(torch.where(at_rest, middle + least, middle))
        self.widths.copy_(torch.maximum(high - low, least))

    def init_state(self, batch: int) -> FilterState:
        """Return the state of `batch` sequences before their first step."""
        zeros = self.widths.new_zeros(batch, self.widths.shape[1])
        above = self.widths.new_zeros(batch, *self.widths.shape, dtype=torch.float64)
        return FilterState(above[:, 0, 0].clone(), above, zeros.double(), zeros, zeros)

    def update(self, state: FilterState, y: Tensor, mask: Tensor | None = None) -> FilterState:
        """Take in further steps; arguments as in :meth:`Pooling.update`."""
        gain = 1 / self.widths
        shift = 0.5 - self.thresholds * gain
        if y.shape[1] == 1 and mask is None:
            return self._step(state, y[:, 0], shift, gain)
        steps = y.shape[1] if mask is None else mask.sum(1)
        above, square, top, bottom = state.above.clone(), state.square.clone(), state.top, state.bottom
        size = y.shape[1]
        if not torch.compiler.is_compiling():
            size = max(_CHUNK_ELEMENTS // max(y.shape[0] * y.shape[2], 1), 1)
        for at in range(0, y.shape[1], size):
            part = counted = y[:, at : at + size].to(gain.dtype)
            if mask is not None and not holds(mask[:, at : at + size].all(), traced=False):
                outside = ~mask[:, at : at + size, None]
                # A step outside is above no threshold, and of no size.
                part, counted = part.masked_fill(outside, 0.0), part.masked_fill(outside, -torch.inf)
            square += part.square().sum(1)
            top, bottom = torch.maximum(top, part.amax(1)), torch.minimum(bottom, part.amin(1))
            # One threshold at a time, so that the steps stay in cache.
            levels = range(len(gain))
            above += torch.stack([torch.addcmul(shift[k], counted, gain[k]).clamp_(0, 1).sum(1) for k in levels], 1)
        return FilterState(state.steps + steps, above, square, top, bottom)

    @staticmethod
    def _step(state: FilterState, y_t: Tensor, shift: Tensor, gain: Tensor) -> FilterState:
        """Take in a single step of all sequences: all thresholds at once."""
        y_t = y_t.to(gain.dtype)
        return FilterState(
            state.steps + 1,
            state.above + torch.addcmul(shift, y_t[:, None], gain).clamp_(0, 1),
            state.square + y_t.square(),
            torch.maximum(state.top, y_t),
            torch.minimum(state.bottom, y_t),
        )

    def read(self, state: FilterState) -> Tensor:
        """Return shares (B, F K), then log energy, log largest and log smallest answer, (B, F) each."""
        dtype = self.widths.dtype
        count = state.steps.clamp_min(1)[:, None]
        shares = state.above.to(dtype).flatten(1) / count.to(dtype)
        sizes = (state.square / count + _SMALL**2, state.top + _SMALL, _SMALL - state.bottom)
        return torch.cat([shares, *(s.log().to(dtype) for s in sizes)], 1)
