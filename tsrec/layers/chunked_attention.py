"""Attention inside chunks of fixed length that do not overlap (MEGA-chunk; Ma et al. 2022, arXiv 2209.10655).

O = f(Q K' / tau + b) V in each chunk, b a function of the distance alone. Whatever passes from one chunk to another
must pass elsewhere. The equations are those of the published code.
"""

import math
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from tsrec.layers.checks import check_counts, holds
from tsrec.layers.parameter_groups import OptimizerOptions
from tsrec.layers.random import default_generator

FUNCTIONS = ("softmax", "laplace", "relu2")
BIASES = ("simple", "rotary", None)


class AttentionState(NamedTuple):
    """What the current chunk has shown so far; passed and returned, never kept.

    Attributes
    ----------
    keys, values : Tensor of shape (B, c, z) and (B, c, v)
        By their places in the chunk; zeros where nothing was seen.
    seen : bool Tensor of shape (B, c)
        Which places hold an observed step.
    position : int64 Tensor of shape (B,)
        Place of the next step; -1 before a sequence has begun.
    """

    keys: Tensor
    values: Tensor
    seen: Tensor
    position: Tensor


class RelativeBias(nn.Module):
    """A learned number for each distance between a key and a query.

    Parameters
    ----------
    chunk : int
        Longest chunk c; "simple" has a number for each distance below it.
    kind : {"simple", "rotary"}, default "simple"
        Free numbers, or Rot_i(a) . Rot_j(b) of two learned vectors, turned in planes at speeds 10000^(-2k/z).
    d_key : int, default 32
        Width z of the two vectors, even.
    generator : torch.Generator, optional
        Source of the initial values; a fresh one with seed 0 when omitted.

    Examples
    --------
    >>> RelativeBias(8)(3).shape
    torch.Size([3, 3])
    """

    optimizer_options: ClassVar[OptimizerOptions] = {name: {"weight_decay": 0.0} for name in ("weight", "a", "b")}

    def __init__(
        self, chunk: int, kind: str = "simple", *, d_key: int = 32, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        generator = default_generator(generator)
        self.chunk, self.kind = chunk, kind
        if kind == "simple":
            self.weight = nn.Parameter(0.02 * torch.randn(2 * chunk - 1, generator=generator))
            return
        if d_key % 2:
            raise ValueError(f"bias='rotary' turns pairs of numbers: d_key must be even, got {d_key}.")
        self.a = nn.Parameter(0.02 * torch.randn(d_key, generator=generator))
        self.b = nn.Parameter(0.02 * torch.randn(d_key, generator=generator))

    def forward(self, length: int) -> Tensor:
        """Return b[i, j] for queries i and keys j of a chunk of `length` steps, (length, length)."""
        return self.lags(length).unfold(0, length, 1).flip(0)

    def lags(self, length: int) -> Tensor:
        """Return the numbers of j - i from 1 - length to length - 1, (2 length - 1,)."""
        if self.kind == "simple":
            if length > self.chunk:
                raise ValueError(f"bias='simple' knows {self.chunk} steps, got {length}. bias='rotary' has no limit.")
            return self.weight[self.chunk - length : self.chunk + length - 1]
        half, dtype = len(self.a) // 2, torch.promote_types(self.a.dtype, torch.float32)
        distance = torch.arange(1 - length, length, device=self.a.device, dtype=dtype)
        angle = distance[:, None] * 10000.0 ** (-torch.arange(half, device=self.a.device, dtype=dtype) / half)
        (a1, a2), (b1, b2) = self.a.to(dtype).split(half), self.b.to(dtype).split(half)
        return angle.cos() @ (a1 * b1 + a2 * b2) + angle.sin() @ (a2 * b1 - a1 * b2)


class ChunkedAttention(nn.Module):
    """Attention of one head inside chunks.

    Chunks are counted from the first observed step of a sequence, so that padding on the left changes nothing, or from
    the end of sequences of known length.

    Parameters
    ----------
    d_key, d_value : int
        Widths z and v.
    chunk : int
        Steps c of a chunk.
    function : {"softmax", "laplace", "relu2"}, default "softmax"
        f, with tau = sqrt(z) for softmax and the number of keys in sight for the others, which look at each key by
        itself: 1/2 (1 + erf((x - sqrt(1/2)) / sqrt(1/(2 pi)))) and max(x, 0)^2.
    bias : {"simple", "rotary"} or None, default "simple"
        See :class:`RelativeBias`.
    causal : bool, default True
        Whether a step sees no later one of its chunk.
    anchor : int, optional
        Length of sequences whose chunks are to be counted from their end: the last chunk is then a full one.
    generator : torch.Generator, optional
        Source of the initial values; a fresh one with seed 0 when omitted.

    Raises
    ------
    ValueError
        For an unknown function or bias, or a chunk below one.

    Examples
    --------
    >>> attention = ChunkedAttention(2, 3, chunk=4)
    >>> y, state = attention(torch.ones(1, 10, 2), torch.ones(1, 10, 2), torch.ones(1, 10, 3))
    >>> y.shape, state.position.item()
    (torch.Size([1, 10, 3]), 2)
    """

    def __init__(
        self,
        d_key: int,
        d_value: int,
        chunk: int,
        *,
        function: str = "softmax",
        bias: str | None = "simple",
        causal: bool = True,
        anchor: int | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if function not in FUNCTIONS:
            raise ValueError(f"function={function!r} is not known; use one of {FUNCTIONS}.")
        if bias not in BIASES:
            raise ValueError(f"bias={bias!r} is not known; use one of {BIASES}.")
        check_counts(d_key=d_key, d_value=d_value, chunk=chunk, **({} if anchor is None else {"anchor": anchor}))
        self.d_key, self.d_value, self.chunk, self.function, self.causal = d_key, d_value, chunk, function, causal
        self.bias = None if bias is None else RelativeBias(chunk, bias, d_key=d_key, generator=generator)
        # Place of the first step; -1: that of the first observed one, 0.
        self.start = -1 if anchor is None else -anchor % chunk
        self.register_buffer("_like", torch.zeros(0), persistent=False)

    _like: Tensor

    def forward(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        state: AttentionState | None = None,
        mask: Tensor | None = None,
        *,
        return_state: bool = True,
    ) -> tuple[Tensor, AttentionState | None]:
        """Attend in whole sequences.

        Parameters
        ----------
        q, k : Tensor of shape (B, L, z)
        v : Tensor of shape (B, L, v)
            Finite; keys and values of masked steps reach no other step.
        state : AttentionState, optional
            As returned for the sequence so far; causal form only.
        mask : bool Tensor of shape (B, L), optional
            True where a step was observed. Masked ones before the first observed one are not counted in chunks.
        return_state : bool, default True
            False returns None in the place of the state.

        Returns
        -------
        y : Tensor of shape (B, L, v)
        state : AttentionState or None
        """
        if state is not None and not self.causal:
            raise ValueError("state: found one, but this attention reads the future. Give whole sequences.")
        before = self._nothing(q.shape[0]) if state is None else state
        layout = _Layout(self._offsets(before.position, state is None, mask), q.shape[1], self.chunk)
        keys, values = layout.place(k, before.keys), layout.place(v, before.values)
        seen = self._seen(layout, before.seen, mask, q)
        weights = self._weights(layout.place(q, before.keys), keys, self._visible(layout.size, seen, q))
        y = layout.take(weights @ values)
        if not (return_state and self.causal):
            return y, None
        if seen is None:
            seen = self._places(layout, before.seen, mask, q)
        known = layout.rest(seen[..., None])
        keys, values = (torch.where(known, layout.rest(part), 0.0) for part in (keys, values))
        return y, AttentionState(keys, values, known[..., 0], self._after(before.position, layout, mask))

    def step(
        self, q_t: Tensor, k_t: Tensor, v_t: Tensor, state: AttentionState, *, mask: Tensor | None = None
    ) -> tuple[Tensor, AttentionState]:
        """Attend from one step, (B, z), (B, z), (B, v) -> (B, v); many of them equal :meth:`forward`.

        Raises
        ------
        RuntimeError
            If the attention reads the future.
        """
        if not self.causal:
            raise RuntimeError("This attention reads the future and cannot go step by step. Use causal=True.")
        keys, values, seen, position = state
        place = position.clamp_min(0)
        here = torch.arange(self.chunk, device=place.device) == place[:, None]
        observed = torch.ones_like(place, dtype=torch.bool) if mask is None else mask
        keys = torch.where(here[..., None], k_t[:, None], keys)
        values = torch.where(here[..., None], v_t[:, None], values)
        bias = None
        if self.bias is not None:
            lags = torch.arange(self.chunk, device=place.device) - place[:, None] + self.chunk - 1
            bias = self.bias.lags(self.chunk)[lags][:, None]
        # A step that was not observed sees itself too, as in whole sequences, so that there is something to see.
        weights = self._weights(q_t[:, None], keys, (seen | here)[:, None], bias)
        y_t = (weights @ values)[:, 0]
        begun = (position >= 0) | observed
        after = torch.where(begun, (place + 1) % self.chunk, position)
        kept = (seen | (here & observed[:, None])) & ~(begun & (after == 0))[:, None]
        keys, values = (torch.where(kept[..., None], part, 0.0) for part in (keys, values))
        return y_t, AttentionState(keys, values, kept, after)

    def init_state(self, batch: int) -> AttentionState | None:
        """Return the state before the first step; None where the future is read too."""
        return AttentionState(*(part.clone() for part in self._nothing(batch))) if self.causal else None

    def _nothing(self, batch: int) -> AttentionState:
        """The state before the first step, as views of single numbers."""
        zero = self._like.new_zeros(1, 1, 1)
        keys, values = (zero.expand(batch, self.chunk, width) for width in (self.d_key, self.d_value))
        position = torch.full((1,), self.start, device=zero.device).expand(batch)
        return AttentionState(keys, values, keys[..., 0] > 0, position)

    def _offsets(self, position: Tensor, fresh: bool, mask: Tensor | None) -> Tensor | int:
        """Places of the first steps given, (B,); one number where they are the same."""
        if fresh and (mask is None or self.start >= 0):
            return max(self.start, 0)
        lead = 0 if mask is None else torch.where(mask.any(1), mask.int().argmax(1), 0)
        offsets = torch.where(position < 0, -lead % self.chunk, position)
        if torch.compiler.is_compiling():
            return offsets
        first = int(offsets[0]) if len(offsets) else 0
        return first if (offsets == first).all() else offsets

    def _after(self, position: Tensor, layout: "_Layout", mask: Tensor | None) -> Tensor:
        """Places of the steps to come."""
        following = torch.zeros_like(position) + (layout.offsets + layout.length) % self.chunk
        return following if mask is None else torch.where((position >= 0) | mask.any(1), following, position)

    def _seen(self, layout: "_Layout", before: Tensor, mask: Tensor | None, like: Tensor) -> Tensor | None:
        """Which places hold an observed step, (B, n, C); None where no query could see one that does not."""
        full = (
            isinstance(layout.offsets, int)
            and layout.offsets == 0
            and (self.causal or layout.count * layout.size == layout.length)
        )
        # Padding on the right is out of sight of all that comes before it.
        if full and (mask is None or (self.causal and not holds((mask[:, 1:] & ~mask[:, :-1]).any(), traced=True))):
            return None
        return self._places(layout, before, mask, like)

    @staticmethod
    def _places(layout: "_Layout", before: Tensor, mask: Tensor | None, like: Tensor) -> Tensor:
        observed = torch.ones(like.shape[:2], dtype=torch.bool, device=like.device) if mask is None else mask
        return layout.place(observed[..., None], before[..., None])[..., 0]

    def _visible(self, size: int, seen: Tensor | None, like: Tensor) -> Tensor | None:
        """Which keys each query sees, (B or 1, n or 1, C, C); None for all."""
        visible = None
        if self.causal:
            visible = torch.ones(size, size, dtype=torch.bool, device=like.device).tril()[None, None]
        if seen is None:
            return visible
        among = seen[:, :, None] if visible is None else seen[:, :, None] & visible
        # Queries of steps that were not observed see themselves, so that there is something to see.
        return among | torch.eye(size, dtype=torch.bool, device=like.device)

    def _weights(self, q: Tensor, k: Tensor, visible: Tensor | None, bias: Tensor | None = None) -> Tensor:
        """f(Q K' / tau + b), zero for keys out of sight."""
        if self.bias is not None and bias is None:
            bias = self.bias(q.shape[-2])
        if self.function == "softmax":
            scores = (q / math.sqrt(self.d_key)) @ k.mT
            bias = scores.new_zeros(()) if bias is None else bias.to(scores.dtype)
            # Into the bias, which is smaller than the scores where all rows see alike.
            return (scores + (bias if visible is None else bias.masked_fill(~visible, -torch.inf))).softmax(-1)
        count: Any = k.shape[-2] if visible is None else visible.sum(-1, keepdim=True)
        scores = (q @ k.mT) / count
        scores = scores if bias is None else scores + bias.to(scores.dtype)
        weights = laplace(scores) if self.function == "laplace" else functional.relu(scores).square()
        return weights if visible is None else weights * visible


def laplace(x: Tensor) -> Tensor:
    """1/2 (1 + erf((x - mu) / (sigma sqrt 2))), mu = sqrt(1/2), sigma = sqrt(1/(4 pi)): relu(x)^2 that stays below 1.

    Examples
    --------
    >>> laplace(torch.tensor([0.0, 0.5, 1.0])).mul(1e4).round().int().tolist()
    [61, 2314, 8504]
    """
    return 0.5 * (1 + torch.erf((x - math.sqrt(0.5)) * math.sqrt(2 * math.pi)))


class _Layout:
    """Where the steps of a call stand in its chunks: n of size C, the first behind `offsets` places taken before."""

    def __init__(self, offsets: Tensor | int, length: int, chunk: int) -> None:
        self.offsets, self.length, self.chunk = offsets, length, chunk
        # A graph has to have room for any offsets.
        latest = chunk - 1 if torch.compiler.is_compiling() and not isinstance(offsets, int) else None
        end = length + (offsets if isinstance(offsets, int) else int(offsets.max()) if latest is None else latest)
        self.size = min(chunk, end)
        self.count = -(-end // self.size)

    def place(self, x: Tensor, before: Tensor) -> Tensor:
        """Put x (B, L, W) behind what stood in the chunk before (B, c, W): (B, n, C, W), zeros at the end."""
        total, first = self.count * self.size, self.offsets
        if isinstance(first, int):
            filled = torch.cat([before[:, :first].to(x.dtype), x], 1) if first else x
            spare = total - first - self.length
            filled = functional.pad(filled, (0, 0, 0, spare)) if spare else filled
        else:
            source = torch.cat([before.to(x.dtype), functional.pad(x, (0, 0, 0, 1))], 1)
            place, first = torch.arange(total, device=x.device), first[:, None]
            filled = _gathered(
                source, torch.where(place < first, place, self.chunk + (place - first).clamp_max(self.length))
            )
        return filled.unflatten(1, (self.count, self.size))

    def take(self, y: Tensor) -> Tensor:
        """Undo :meth:`place`: (B, n, C, W) -> (B, L, W)."""
        flat = y.flatten(1, 2)
        if isinstance(self.offsets, int):
            return flat[:, self.offsets : self.offsets + self.length]
        return _gathered(flat, self.offsets[:, None] + torch.arange(self.length, device=y.device))

    def rest(self, y: Tensor) -> Tensor:
        """The chunk that is not full yet: (B, n, C, W) -> (B, c, W), zeros at its end and where all are full."""
        flat = y.flatten(1, 2)
        place = torch.arange(self.chunk, device=y.device)
        end = torch.as_tensor(self.offsets + self.length, device=y.device).expand(y.shape[0])[:, None]
        at = end // self.chunk * self.chunk + place
        taken = _gathered(flat, at.clamp_max(flat.shape[1] - 1))
        return taken.masked_fill((at >= end)[..., None], 0)


def _gathered(x: Tensor, at: Tensor) -> Tensor:
    return x.gather(1, at[..., None].expand(-1, -1, x.shape[2]))
