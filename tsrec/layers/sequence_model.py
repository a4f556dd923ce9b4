"""One model for all that is asked of whole sequences: embedding, mixer, pooling, head; whole, in parts or step by step.

Any mixer (see :mod:`tsrec.layers.residual` for stacks of them) becomes a classifier, regressor or encoder here.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from tsrec.layers.parameter_groups import parameter_groups
from tsrec.layers.random import Linear, default_generator

# Without gradients, long sequences go through in parts of so many numbers, so that memory does not grow with them.
_PART_ELEMENTS = 1 << 22
_SHORTEST_PART = 64


class SequenceState(NamedTuple):
    """Where a model stands in its sequences; passed and returned, never kept.

    Attributes
    ----------
    held : Tensor of shape (B, C)
        The last observed value of each channel.
    mixer, pool
        States of the mixer and of the pooling.
    """

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

    def forward(self, x: Tensor, missing: Tensor | None) -> Tensor:
        """Map values (..., C), with a bool tensor of the same shape that is True where they were missing."""
        y = self.values(x)
        return y if missing is None else y + missing.to(x.dtype) @ self.missing.T


class ChannelMix(nn.Module):
    """Random mixtures of some channels each, not trained; a single channel is passed on as it is.

    Parameters
    ----------
    n_channels, n_outputs : int
        C and the number of mixtures.
    generator : torch.Generator, optional
        Source of the mixtures; a fresh one with seed 0 when omitted.
    """

    weight: Tensor

    def __init__(self, n_channels: int, n_outputs: int, *, generator: torch.Generator | None = None) -> None:
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

    def forward(self, x: Tensor, missing: Tensor | None) -> Tensor:  # noqa: ARG002 - as ChannelEmbedding
        """Map values (..., C)."""
        return x @ self.weight


class SequenceModel(nn.Module):
    """Embedding, mixer, pooling and head.

    Missing values (NaN) take the last value seen, and the embedding is told; before the first one they are 0.

    Parameters
    ----------
    embedding : nn.Module
        From values (B, L, C) and where they are missing to (B, L, D): :class:`ChannelEmbedding`.
    mixer : nn.Module
        Causal, with the contract of mixers: a :class:`tsrec.layers.residual.ResidualStack`.
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
        size = self.part_length(len(x))
        if torch.is_grad_enabled() or x.shape[1] <= size:
            state = self.init_state(len(x))
            y, _ = self.mixer(self._embedded(x, state.held)[0], None, mask, rate=rate, return_state=False)
            return self.pooling.read(self.pooling.update(state.pool, y, mask))  # type: ignore[operator]
        state = self.init_state(len(x))
        for at in range(0, x.shape[1], size):
            part = None if mask is None else mask[:, at : at + size]
            _, state = self.advance(x[:, at : at + size], state, part, rate=rate)
        return self.read(state)

    def part_length(self, batch: int) -> int:
        """Steps that so many sequences go through at once without gradients."""
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
        embedded, held = self._embedded(x, state.held)
        y, mixed = self.mixer(embedded, state.mixer, mask, rate=rate)
        return y, SequenceState(held, mixed, state.pool)

    def step(self, x_t: Tensor, state: SequenceState, *, rate: float = 1.0) -> tuple[Tensor, SequenceState]:
        """Take in one step (B, C); many of them equal :meth:`advance`."""
        missing = x_t.isnan()
        held = torch.where(missing, state.held, x_t)
        y_t, mixed = self.mixer.step(self.embedding(held, missing), state.mixer, rate=rate)  # type: ignore[operator]
        return y_t, SequenceState(held, mixed, self.pooling.update(state.pool, y_t[:, None]))  # type: ignore[operator]

    def read(self, state: SequenceState) -> Tensor:
        """Return the features of all steps so far, (B, F)."""
        return self.pooling.read(state.pool)  # type: ignore[operator]

    def init_state(self, batch: int) -> SequenceState:
        """Return the state of `batch` sequences before their first step."""
        like = next(iter(self.embedding.state_dict().values()))
        held = torch.zeros(batch, self.n_channels, dtype=like.dtype, device=like.device)
        return SequenceState(held, self.mixer.init_state(batch), self.pooling.init_state(batch))  # type: ignore[operator]

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return optimiser groups: see :func:`tsrec.layers.parameter_groups.parameter_groups`."""
        return parameter_groups(self)

    def _embedded(self, x: Tensor, held: Tensor) -> tuple[Tensor, Tensor]:
        missing = x.isnan()
        if not missing.any():
            return self.embedding(x, None), x[:, -1]
        filled = _held(x, missing, held)
        return self.embedding(filled, missing), filled[:, -1]


def _held(x: Tensor, missing: Tensor, held: Tensor) -> Tensor:
    """Put the last observed value in the place of missing ones; `held` (B, C) before the first."""
    steps = torch.arange(1, x.shape[1] + 1, device=x.device)[:, None]
    latest = torch.where(missing, 0, steps).cummax(1).values
    return torch.cat([held[:, None], x], 1).gather(1, latest)
