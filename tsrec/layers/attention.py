"""Attention between two sets of tokens, and the pre-norm layers made of it (Vaswani et al. 2017, arXiv 1706.03762)."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from tsrec.layers.checks import check_counts
from tsrec.layers.random import Dropout, Linear


class Attention(nn.Module):
    """Multi-head attention of queries over keys, with its weights.

    Parameters
    ----------
    width : int
        Features E of all tokens.
    n_heads : int
        Heads; they divide the width.
    dropout : float
        Rate on the weights.
    generator : torch.Generator
        Source of the initial values.

    Raises
    ------
    ValueError
        If heads do not divide the width.

    Examples
    --------
    >>> attend = Attention(8, 2, dropout=0.0, generator=torch.Generator().manual_seed(0))
    >>> tokens = torch.ones(3, 5, 8)
    >>> y, weights = attend(tokens[:, :2], tokens, tokens)
    >>> y.shape, weights.shape
    (torch.Size([3, 2, 8]), torch.Size([3, 2, 2, 5]))
    """

    def __init__(self, width: int, n_heads: int, *, dropout: float, generator: torch.Generator) -> None:
        super().__init__()
        check_counts(width=width, n_heads=n_heads)
        if width % n_heads:
            raise ValueError(f"n_heads={n_heads} does not divide the width {width}.")
        self.n_heads = n_heads
        self.queries, self.keys, self.values, self.out = (Linear(width, width, generator=generator) for _ in range(4))
        self.dropout = Dropout(dropout)

    def forward(self, q: Tensor, k: Tensor, v: Tensor, sharpness: Tensor | float = 1.0) -> tuple[Tensor, Tensor]:
        """Attend.

        Parameters
        ----------
        q : Tensor of shape (N, Q, E)
            Queries.
        k, v : Tensor of shape (N, C, E)
            What they attend over.
        sharpness : scalar, default 1.0
            Factor of the scores.

        Returns
        -------
        y : Tensor of shape (N, Q, E)
        weights : Tensor of shape (N, heads, Q, C)
            Before dropout.
        """
        parts = (self.queries(q), self.keys(k), self.values(v))
        q, k, v = (part.unflatten(-1, (self.n_heads, -1)).transpose(1, 2) for part in parts)
        weights = torch.softmax(q @ k.mT * (sharpness / q.shape[-1] ** 0.5), -1)
        mixed = (self.dropout(weights) @ v).transpose(1, 2).flatten(2)
        return self.out(mixed), weights

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attend, without the weights: the same answer by torch's fused kernel where nothing is dropped."""
        if self.training and self.dropout.p:
            return self(q, k, v)[0]
        parts = (self.queries(q), self.keys(k), self.values(v))
        q, k, v = (part.unflatten(-1, (self.n_heads, -1)).transpose(1, 2) for part in parts)
        return self.out(functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class AttentionLayer(nn.Module):
    """Norm first: tokens attend over themselves, over a memory if there is one, and go through a net, each added.

    Parameters
    ----------
    width : int
        Features E.
    n_heads : int
        Heads.
    memory : bool
        Whether there is a second attention, over a memory (a decoder's layer).
    dropout : float
        Rate on all branches.
    generator : torch.Generator
        Source of the initial values.
    """

    def __init__(
        self, width: int, n_heads: int, *, memory: bool = False, dropout: float, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3 if memory else 2))
        self.within = Attention(width, n_heads, dropout=dropout, generator=generator)
        self.across = Attention(width, n_heads, dropout=dropout, generator=generator) if memory else None
        self.inner = Linear(width, 4 * width, generator=generator)
        self.outer = Linear(4 * width, width, generator=generator)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, memory: Tensor | None = None) -> Tensor:
        """Mix tokens (N, Q, E), given a memory (N, M, E) if the layer has one."""
        z = self.norms[0](x)
        x = x + self.dropout(self.within.mix(z, z, z))
        if self.across is not None:
            assert memory is not None
            x = x + self.dropout(self.across.mix(self.norms[1](x), memory, memory))
        z = self.dropout(functional.gelu(self.inner(self.norms[-1](x))))
        return x + self.dropout(self.outer(z))
