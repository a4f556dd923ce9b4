"""A small causal transformer (Vaswani et al. 2017, arXiv 1706.03762; norms first, learned positions, as GPT-2)."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from tsrec.layers.checks import check_counts, check_sequences, holds
from tsrec.layers.random import Dropout, Linear, default_generator

# Initial spread of positions, as GPT-2's.
_STD = 0.02


class CausalTransformer(nn.Module):
    """Layers of causal self-attention and feed-forward nets over whole sequences, called as every mixer is.

    Parameters
    ----------
    d_model : int
        Width D.
    n_layers : int
        Layers.
    length : int
        Longest sequence, for the learned positions.
    n_heads : int, default 4
        Heads; they divide the width.
    dropout : float, default 0.0
        Rate on both branches of a layer.
    generator : torch.Generator, optional
        Source of the initial values; a fresh one with seed 0 when omitted.

    Raises
    ------
    ValueError
        If a number is out of range, or heads do not divide the width.

    Examples
    --------
    >>> y, state = CausalTransformer(8, 2, length=10)(torch.randn(3, 10, 8))
    >>> y.shape, state
    (torch.Size([3, 10, 8]), None)
    """

    def __init__(
        self,
        d_model: int,
        n_layers: int,
        *,
        length: int,
        n_heads: int = 4,
        dropout: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        check_counts(d_model=d_model, n_layers=n_layers, length=length, n_heads=n_heads)
        if d_model % n_heads:
            raise ValueError(f"n_heads={n_heads} does not divide d_model={d_model}.")
        generator = default_generator(generator)
        self.d_model = d_model
        self.positions = nn.Parameter(_STD * torch.randn(length, d_model, generator=generator))
        self.layers = nn.ModuleList(_Layer(d_model, n_heads, dropout, generator) for _ in range(n_layers))
        self.norm = nn.LayerNorm(d_model)

    def forward(
        self,
        x: Tensor,
        state: None = None,
        mask: Tensor | None = None,
        *,
        return_state: bool = True,  # noqa: ARG002 - as every mixer is called
    ) -> tuple[Tensor, None]:
        """Mix a whole sequence (B, T, D); no step sees later ones, nor those that are False in `mask` (B, T)."""
        check_sequences(x, self.d_model)
        steps = x.shape[1]
        if steps > len(self.positions):
            raise ValueError(f"x: found {steps} steps, there are positions for {len(self.positions)}.")
        visible = None
        if mask is not None and not holds(mask.all(), traced=False):
            causal = torch.ones(steps, steps, dtype=torch.bool, device=x.device).tril()
            # Every step sees itself, so that there is something to see.
            visible = (mask[:, None] & causal | torch.eye(steps, dtype=torch.bool, device=x.device))[:, None]
        x = x + self.positions[:steps]
        for layer in self.layers:
            x = layer(x, visible)
        return self.norm(x), state


class _Layer(nn.Module):
    def __init__(self, d_model: int, n_heads: int, dropout: float, generator: torch.Generator) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.norms = nn.ModuleList(nn.LayerNorm(d_model) for _ in range(2))
        self.queries = Linear(d_model, 3 * d_model, generator=generator)
        self.attended = Linear(d_model, d_model, generator=generator)
        self.inner = Linear(d_model, 4 * d_model, generator=generator)
        self.outer = Linear(4 * d_model, d_model, generator=generator)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, visible: Tensor | None) -> Tensor:
        first, second = self.norms
        parts = self.queries(first(x)).unflatten(-1, (3, self.n_heads, -1)).permute(2, 0, 3, 1, 4)
        q, k, v = parts
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=visible, is_causal=visible is None)
        x = x + self.dropout(self.attended(mixed.transpose(1, 2).flatten(2)))
        return x + self.dropout(self.outer(functional.gelu(self.inner(second(x)), approximate="tanh")))
