"""Residual blocks and stacks around any mixer, with its contract: forward, step, state passed and returned."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from tsrec.layers.checkpoint import run_again_backwards
from tsrec.layers.checks import check_sequences
from tsrec.layers.parameter_groups import parameter_groups
from tsrec.layers.random import Dropout

# From so many numbers on, what a block computed is not kept for the backward pass but computed again.
CHECKPOINT_ELEMENTS = 1 << 22


def promises(mixer: nn.Module) -> tuple[bool, bool]:
    """Return whether a mixer reads no future, and whether a rate scales its steps: both unless it says otherwise."""
    return bool(getattr(mixer, "causal", True)), bool(getattr(mixer, "time_scale", True))


class ResidualBlock(nn.Module):
    """Layer norm, mixer, dropout on the branch, and the residual sum.

    Parameters
    ----------
    mixer : nn.Module
        A mixer with the attribute `d_model`.
    dropout : float, default 0.0
        Rate on the residual branch.
    prenorm : bool, default True
        x + drop(mixer(norm(x))) if true, norm(x + drop(mixer(x))) otherwise.

    Examples
    --------
    >>> import torch
    >>> from tsrec.layers.lssl import LSSL
    >>> block = ResidualBlock(LSSL(4, d_state=8))
    >>> y, state = block(torch.ones(2, 10, 4))
    >>> y.shape
    torch.Size([2, 10, 4])
    """

    def __init__(self, mixer: nn.Module, *, dropout: float = 0.0, prenorm: bool = True) -> None:
        super().__init__()
        self.d_model = int(mixer.d_model)  # type: ignore[arg-type]
        self.mixer, self.prenorm = mixer, prenorm
        self.causal, self.time_scale = promises(mixer)
        self.norm = nn.LayerNorm(self.d_model)
        self.dropout = Dropout(dropout)

    def forward(
        self,
        x: Tensor,
        state: Any = None,
        mask: Tensor | None = None,
        *,
        rate: float = 1.0,
        return_state: bool = True,
    ) -> tuple[Tensor, Any]:
        """Map a whole sequence.

        Parameters
        ----------
        x : Tensor of shape (B, L, D)
            Finite everywhere: at masked steps the residual path still carries it.
        state, mask, rate, return_state
            As the mixer takes them.

        Returns
        -------
        y : Tensor of shape (B, L, D)
        state
            The mixer's.
        """
        branch = self.norm(x) if self.prenorm else x
        branch, state = self.mixer(branch, state, mask, rate=rate, return_state=return_state)
        return self._join(x, branch), state

    def step(self, x_t: Tensor, state: Any, *, rate: float = 1.0, mask: Tensor | None = None) -> tuple[Tensor, Any]:
        """Map one step (B, D), as the mixer does."""
        branch = self.norm(x_t) if self.prenorm else x_t
        branch, state = self.mixer.step(branch, state, rate=rate, mask=mask)  # type: ignore[operator]
        return self._join(x_t, branch), state

    def init_state(self, batch: int) -> Any:
        """Return the mixer's state before the first step."""
        return self.mixer.init_state(batch)  # type: ignore[operator]

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return optimiser groups: see :func:`tsrec.layers.parameter_groups.parameter_groups`."""
        return parameter_groups(self)

    def _join(self, x: Tensor, branch: Tensor) -> Tensor:
        total = x + self.dropout(branch)
        return total if self.prenorm else self.norm(total)


class Stack(nn.Module):
    """Blocks in a row, and a norm at their end. Its state is a tuple, one per block.

    Parameters
    ----------
    blocks : sequence of nn.Module
        At least one, with the contract of mixers and all of one width; each keeps its own residual path.
    norm : nn.Module, optional
        What closes the stack.

    Raises
    ------
    ValueError
        Without blocks.

    Examples
    --------
    >>> import torch
    >>> from tsrec.layers.mlp import PointwiseMLP
    >>> y, state = Stack([PointwiseMLP(4), PointwiseMLP(4)])(torch.ones(2, 10, 4))
    >>> y.shape, state
    (torch.Size([2, 10, 4]), (None, None))
    """

    def __init__(self, blocks: Sequence[nn.Module], norm: nn.Module | None = None) -> None:
        super().__init__()
        if not blocks:
            raise ValueError("A stack needs at least one layer, got none.")
        self.blocks = nn.ModuleList(blocks)
        self.d_model = int(blocks[0].d_model)  # type: ignore[arg-type]
        self.norm = nn.Identity() if norm is None else norm
        self.causal, self.time_scale = map(all, zip(*map(promises, blocks), strict=True))

    def forward(
        self,
        x: Tensor,
        state: tuple[Any, ...] | None = None,
        mask: Tensor | None = None,
        *,
        rate: float = 1.0,
        return_state: bool = True,
    ) -> tuple[Tensor, tuple[Any, ...] | None]:
        """Map a whole sequence.

        Parameters
        ----------
        x : Tensor of shape (B, L, D)
            What stands at masked steps is replaced by zeros and may be NaN.
        state : tuple, optional
            One state per block; as returned for the sequence so far.
        mask : bool Tensor of shape (B, L), optional
            True where x was observed; no block's mixer reads a masked step.
        rate : float, default 1.0
            Time scale, as in the mixers.
        return_state : bool, default True
            False saves the work for the last states and returns None.

        Returns
        -------
        y : Tensor of shape (B, L, D)
        state : tuple or None
        """
        if state is not None and not self.causal:
            raise ValueError("state: found one, but this stack reads the future. Give whole sequences.")
        check_sequences(x, self.d_model)
        if mask is not None:
            x = x.masked_fill(~mask[..., None], 0.0)
        states = []
        learns = torch.is_grad_enabled() and x.requires_grad and not torch.compiler.is_compiling()
        large = learns and x.numel() > CHECKPOINT_ELEMENTS
        for i, block in enumerate(self.blocks):
            before = None if state is None else state[i]
            run = partial(block, mask=mask, rate=rate, return_state=return_state)
            x, after = run_again_backwards(block, run, x, before) if large else run(x, before)
            states.append(after)
        return self.norm(x), tuple(states) if return_state and self.causal else None

    def step(
        self, x_t: Tensor, state: tuple[Any, ...] | None = None, *, rate: float = 1.0, mask: Tensor | None = None
    ) -> tuple[Tensor, tuple[Any, ...]]:
        """Map one step (B, D) given one state per block (None before the first); many steps equal :meth:`forward`."""
        if not self.causal:
            raise RuntimeError("This stack reads the future and cannot go step by step.")
        if state is None:
            state = tuple(block.init_state(len(x_t)) for block in self.blocks)  # type: ignore[operator]
        if mask is not None:
            x_t = x_t.masked_fill(~mask[..., None], 0.0)
        states = []
        for block, before in zip(self.blocks, state, strict=True):
            x_t, after = block.step(x_t, before, rate=rate, mask=mask)  # type: ignore[operator]
            states.append(after)
        return self.norm(x_t), tuple(states)

    def init_state(self, batch: int) -> tuple[Any, ...] | None:
        """Return one state per block, before the first step; None where the future is read."""
        if not self.causal:
            return None
        return tuple(block.init_state(batch) for block in self.blocks)  # type: ignore[operator]

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return optimiser groups: see :func:`tsrec.layers.parameter_groups.parameter_groups`."""
        return parameter_groups(self)


class ResidualStack(Stack):
    """Residual blocks in a row, closed by a layer norm when they are pre-norm.

    Parameters
    ----------
    mixers : sequence of nn.Module
        At least one, all of one width.
    dropout : float, default 0.0
        Rate on each residual branch.
    prenorm : bool, default True
        As in :class:`ResidualBlock`.

    Raises
    ------
    ValueError
        Without mixers.

    Examples
    --------
    >>> import torch
    >>> from tsrec.layers.s4d import S4D
    >>> stack = ResidualStack([S4D(4, d_state=8), S4D(4, d_state=8)])
    >>> y_t, state = stack.step(torch.ones(2, 4), stack.init_state(2))
    >>> y_t.shape
    torch.Size([2, 4])
    """

    def __init__(self, mixers: Sequence[nn.Module], *, dropout: float = 0.0, prenorm: bool = True) -> None:
        blocks = [ResidualBlock(mixer, dropout=dropout, prenorm=prenorm) for mixer in mixers]
        super().__init__(blocks, nn.LayerNorm(blocks[0].d_model) if blocks and prenorm else None)
