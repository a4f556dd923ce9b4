"""One model for all that is asked of whole sequences: embedding, mixer, pooling, head; whole, in parts or step by step.

Any mixer (see :mod:`tsrec.layers.residual` for stacks of them) becomes a classifier, regressor or encoder here.
"""

import sys
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from tsrec.layers.checks import holds
from tsrec.layers.parameter_groups import parameter_groups
from tsrec.layers.random import Linear, default_generator
from tsrec.layers.residual import promises

# Without gradients, long sequences go through in parts of so many numbers, so that memory does not grow with them.
_PART_ELEMENTS = 1 << 22
_SHORTEST_PART = 64


class SequenceState(NamedTuple):
    """Where a model stands in its sequences; passed and returned, never kept.

    Attributes
    ----------
    first, held : Tensor of shape (B, C)
        The first and the last observed value of each channel; NaN before there is one.
    mixer, pool
        States of the mixer and of the pooling.
    """

    first: Tensor
    held: Tensor
    mixer: Any
    pool: Any


class ChannelEmbedding(nn.Module):
    """Linear map from C channels to D features, and another from what is missing, which starts at zero.

    Parameters
    ----------
    n_channels, d_model : int
        C and D.
    generator : torch.Generator, optional
        Source of the initial values; a fresh one with seed 0 when omitted.
    """

    def __init__(self, n_channels: int, d_model: int, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.n_channels, self.d_model = n_channels, d_model
        self.values = Linear(n_channels, d_model, generator=default_generator(generator))
        self.missing = nn.Parameter(torch.zeros(d_model, n_channels))

    def forward(self, x: Tensor, missing: Tensor | None, first: Tensor) -> Tensor:  # noqa: ARG002 - as ChannelMix
        """Map values to (..., D); arguments as :class:`SequenceModel` says."""
        if missing is None:
            return self.values(x)
        return self.values(x.nan_to_num()) + missing.to(x.dtype) @ self.missing.T


class ChannelMix(nn.Module):
    """Random mixtures of some channels each, not trained; a single channel is passed on as it is.

    Every other group of mixtures sees each channel from where it began: an input far from zero is then no step at the
    start, on top of which everything else would be small.

    Parameters
    ----------
    n_channels, n_outputs : int
        C and the number of mixtures.
    group : int, optional
        Mixtures of a group; all are one group, which sees the values as they are, when omitted.
    generator : torch.Generator, optional
        Source of the mixtures; a fresh one with seed 0 when omitted.
    """

    weight: Tensor
    relative: Tensor

    def __init__(
        self,
        n_channels: int,
        n_outputs: int,
        *,
        group: int | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.n_channels, self.d_model = n_channels, n_outputs
        weight = torch.ones(n_channels, n_outputs)
        if n_channels > 1:
            generator = default_generator(generator)
            # Few channels more often than many (MiniRocket's rule): their number is log-uniform up to nine.
            draws = torch.rand(n_outputs, generator=generator, dtype=torch.float64)
            counts = torch.tensor(min(n_channels, 9) + 0.99).pow(draws).long()
            rank = torch.rand(n_channels, n_outputs, generator=generator).argsort(0).argsort(0)
            signs = torch.randn(n_channels, n_outputs, generator=generator)
            weight = torch.where(rank < counts, signs, 0.0) / counts.sqrt()
        self.register_buffer("weight", weight)
        self.register_buffer("relative", (torch.arange(n_outputs) // (group or n_outputs) % 2).float())

    def forward(self, x: Tensor, missing: Tensor | None, first: Tensor) -> Tensor:  # noqa: ARG002 - as ChannelEmbedding
        """Map values to (..., n_outputs); arguments as :class:`SequenceModel` says."""
        change = x - (first[:, None] if x.ndim > first.ndim else first)
        # What was not yet observed counts for nothing.
        both = torch.cat([x, change], -1).nan_to_num()
        return both @ torch.cat([self.weight * (1 - self.relative), self.weight * self.relative])


class SequenceModel(nn.Module):
    """Embedding, mixer, pooling and head.

    Missing values (NaN) take the last value seen, and the embedding is told.

    Parameters
    ----------
    embedding : nn.Module
        From values (B, L, C), NaN before the first one was observed, a bool tensor that is True where they were missing
        (None: nowhere), and the first value observed so far (B, C), to (B, L, D); without L for a single step:
        :class:`ChannelEmbedding`, :class:`ChannelMix`.
    mixer : nn.Module
        With the contract of mixers: a :class:`tsrec.layers.residual.Stack`. One that says ``causal = False`` takes
        whole sequences only; one that says ``time_scale = False`` takes no other rate than 1.
    pooling : nn.Module
        As those of :mod:`tsrec.layers.pooling`.
    head : nn.Module
        From pooled vectors to answers.

    Examples
    --------
    >>> from tsrec.layers.lssl import LSSLStack
    >>> from tsrec.layers.pooling import Pooling
    >>> model = SequenceModel(ChannelEmbedding(2, 8), LSSLStack(8, 1), Pooling(8), Linear(8, 3)).eval()
    >>> model(torch.zeros(4, 50, 2)).shape
    torch.Size([4, 3])
    """

    def __init__(self, embedding: nn.Module, mixer: nn.Module, pooling: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.embedding, self.mixer, self.pooling, self.head = embedding, mixer, pooling, head
        self.n_channels = int(embedding.n_channels)  # type: ignore[arg-type]
        self.width = int(getattr(mixer, "n_outputs", embedding.d_model))  # type: ignore[arg-type]
        self.causal, self.time_scale = promises(mixer)

    def forward(self, x: Tensor, mask: Tensor | None = None, *, rate: float = 1.0) -> Tensor:
        """Answer for whole sequences.

        Parameters
        ----------
        x : Tensor of shape (B, L, C)
            NaN where missing.
        mask : bool Tensor of shape (B, L), optional
            True where a step belongs to the sequence; padding stands on the right.
        rate : float, default 1.0
            Time scale: 2 for sequences sampled half as often as those that were learned from.

        Returns
        -------
        Tensor of shape (B, K)
        """
        return self.head(self.features(x, mask, rate=rate))

    def features(self, x: Tensor, mask: Tensor | None = None, *, rate: float = 1.0) -> Tensor:
        """Return what the head is given, (B, F); arguments as in :meth:`forward`."""
        is_traced = torch.compiler.is_compiling()
        size = sys.maxsize if is_traced or torch.is_grad_enabled() else self.part_length(len(x))
        if x.shape[1] <= size:
            state = self.init_state(x.shape[0])
            y, _ = self.mixer(self._embedded(x, state)[0], None, mask, rate=rate, return_state=False)
            return self.pooling.read(self.pooling.update(state.pool, y, mask))  # type: ignore[operator]
        state = self.init_state(len(x))
        for at in range(0, x.shape[1], size):
            part = None if mask is None else mask[:, at : at + size]
            _, state = self.advance(x[:, at : at + size], state, part, rate=rate)
        return self.read(state)

    def part_length(self, batch: int) -> int:
        """Steps that so many sequences go through at once without gradients; no bound if the mixer reads the future."""
        if not self.causal:
            return sys.maxsize
        return max(_PART_ELEMENTS // (max(batch, 1) * self.width), _SHORTEST_PART)

    def advance(
        self, x: Tensor, state: SequenceState, mask: Tensor | None = None, *, rate: float = 1.0
    ) -> tuple[Tensor, SequenceState]:
        """Take in the next steps; parts one after the other equal the whole.

        Parameters
        ----------
        x, mask, rate
            As in :meth:`forward`.
        state : SequenceState
            As returned by :meth:`init_state`, by this or by :meth:`step`.

        Returns
        -------
        y : Tensor of shape (B, L, D)
            Outputs of the mixer.
        state : SequenceState
        """
        y, state = self.outputs(x, state, mask, rate=rate)
        return y, state._replace(pool=self.pooling.update(state.pool, y, mask))  # type: ignore[operator]

    def outputs(
        self, x: Tensor, state: SequenceState, mask: Tensor | None = None, *, rate: float = 1.0
    ) -> tuple[Tensor, SequenceState]:
        """Take in the next steps without pooling them; else as :meth:`advance`."""
        self._refuse_parts()
        embedded, state = self._embedded(x, state)
        y, mixed = self.mixer(embedded, state.mixer, mask, rate=rate)
        return y, state._replace(mixer=mixed)

    def step(self, x_t: Tensor, state: SequenceState, *, rate: float = 1.0) -> tuple[Tensor, SequenceState]:
        """Take in one step (B, C); many of them equal :meth:`advance`."""
        self._refuse_parts()
        missing = x_t.isnan()
        held = torch.where(missing, state.held, x_t)
        first = torch.where(state.first.isnan(), x_t, state.first)
        embedded = self.embedding(held, missing, first)
        y_t, mixed = self.mixer.step(embedded, state.mixer, rate=rate)  # type: ignore[operator]
        pool = self.pooling.update(state.pool, y_t[:, None])  # type: ignore[operator]
        return y_t, SequenceState(first, held, mixed, pool)

    def read(self, state: SequenceState) -> Tensor:
        """Return the features of all steps so far, (B, F)."""
        return self.pooling.read(state.pool)  # type: ignore[operator]

    def init_state(self, batch: int) -> SequenceState:
        """Return the state of `batch` sequences before their first step."""
        like = next(iter(self.embedding.state_dict().values()))
        unseen = torch.full((batch, self.n_channels), torch.nan, dtype=like.dtype, device=like.device)
        return SequenceState(unseen, unseen, self.mixer.init_state(batch), self.pooling.init_state(batch))  # type: ignore[operator]

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return optimiser groups: see :func:`tsrec.layers.parameter_groups.parameter_groups`."""
        return parameter_groups(self)

    def _refuse_parts(self) -> None:
        if not self.causal:
            raise RuntimeError("The mixer reads the future: give whole sequences to features() or to the model itself.")

    def _embedded(self, x: Tensor, state: SequenceState) -> tuple[Tensor, SequenceState]:
        """What the embedding makes of the next steps, and the state with the values that they leave."""
        missing = x.isnan()
        if not holds(missing.any(), traced=True):
            first, filled = torch.where(state.first.isnan(), x[:, 0], state.first), x
            embedded = self.embedding(x, None, first)
        else:
            filled = _held(x, missing, state.held)
            earliest = x.gather(1, missing.int().argmin(1, keepdim=True))[:, 0]
            first = torch.where(state.first.isnan(), earliest, state.first)
            embedded = self.embedding(filled, missing, first)
        return embedded, state._replace(first=first, held=filled[:, -1])


def _held(x: Tensor, missing: Tensor, held: Tensor) -> Tensor:
    """Put the last observed value in the place of missing ones; `held` (B, C) before the first."""
    steps = torch.arange(1, x.shape[1] + 1, device=x.device)[:, None]
    latest = torch.where(missing, 0, steps).cummax(1).values
    return torch.cat([held[:, None], x], 1).gather(1, latest)
