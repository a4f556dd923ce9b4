"""Prompts: vectors put before the tokens of a sequence, fixed, learned, or chosen from a pool by what the sequence is.

TEMPO (Cao et al. 2024, arXiv 2310.04948, section 3.2 and appendix D); pools and the loss that pulls keys are those of
L2P (Wang et al. 2022, arXiv 2112.08654). Every design has one contract: ``forward(tokens) -> Prompt``.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from tsrec.layers.checks import check_counts, check_sequences
from tsrec.layers.random import Linear, default_generator


class Prompt(NamedTuple):
    """What stands before the tokens.

    Attributes
    ----------
    vectors : Tensor of shape (B, k, E)
        The prompt of each sequence.
    pull : Tensor of shape ()
        To be added to the loss, times a weight: minus the mean similarity of queries and the keys they chose, summed
        over the chosen; 0 without a pool.
    chosen : int64 Tensor of shape (B, K), or None
        Numbers of the prompts taken from a pool, the most similar first.
    """

    vectors: Tensor
    pull: Tensor
    chosen: Tensor | None = None


class FixedPrompt(nn.Module):
    """The same prompt for every sequence: words as they are (hard), words through a map (semi-soft).

    Parameters
    ----------
    words : array or Tensor of shape (k, E)
        Embeddings of the words, such as "Predict the future time step given the trend"; they are not trained.
    mapped : bool, default False
        Whether a learned linear map E -> E follows.
    generator : torch.Generator, optional
        Source of the initial values; a fresh one with seed 0 when omitted.

    Examples
    --------
    >>> FixedPrompt(torch.zeros(9, 4))(torch.zeros(2, 42, 4)).vectors.shape
    torch.Size([2, 9, 4])
    """

    words: Tensor

    def __init__(self, words: Any, *, mapped: bool = False, generator: torch.Generator | None = None) -> None:
        super().__init__()
        words = words if isinstance(words, Tensor) else torch.tensor(words, dtype=torch.get_default_dtype())
        if words.ndim != 2:
            raise ValueError(f"words must have shape (k, E), got {tuple(words.shape)}.")
        self.register_buffer("words", words)
        width = words.shape[1]
        self.map: nn.Module = Linear(width, width, generator=generator) if mapped else nn.Identity()

    def forward(self, tokens: Tensor) -> Prompt:
        """Repeat the prompt for each sequence of tokens (B, N, E)."""
        check_sequences(tokens, self.words.shape[1])
        return _repeated(self.map(self.words), tokens)


class SoftPrompt(nn.Module):
    """The same prompt for every sequence, learned from random numbers.

    Parameters
    ----------
    d_model : int
        Width E.
    length : int, default 9
        Vectors k.
    generator : torch.Generator, optional
        Source of the initial values, N(0, 1); a fresh one with seed 0 when omitted.

    Examples
    --------
    >>> SoftPrompt(4)(torch.zeros(2, 42, 4)).vectors.shape
    torch.Size([2, 9, 4])
    """

    def __init__(self, d_model: int, length: int = 9, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        check_counts(d_model=d_model, length=length)
        self.vectors = nn.Parameter(torch.randn(length, d_model, generator=default_generator(generator)))

    def forward(self, tokens: Tensor) -> Prompt:
        """Repeat the prompt for each sequence of tokens (B, N, E)."""
        check_sequences(tokens, self.vectors.shape[1])
        return _repeated(self.vectors, tokens)


class PromptPool(nn.Module):
    """Prompts with keys, of which each sequence takes those whose keys are most like it.

    The query is the mean of the tokens; likeness is the cosine. The values that are taken stand one after another. Keys
    are learned by the loss `pull` alone: choosing has no gradient.

    Parameters
    ----------
    d_model : int
        Width E.
    size : int, default 30
        Prompts M in the pool.
    top_k : int, default 3
        How many a sequence takes.
    length : int, default 3
        Vectors of each; the prompt has top_k * length.
    generator : torch.Generator, optional
        Source of the initial values, N(0, 1); a fresh one with seed 0 when omitted.

    Raises
    ------
    ValueError
        If more are to be taken than there are.

    Examples
    --------
    >>> pool = PromptPool(4, size=6, top_k=2)
    >>> prompt = pool(torch.randn(5, 42, 4))
    >>> prompt.vectors.shape, prompt.chosen.shape
    (torch.Size([5, 6, 4]), torch.Size([5, 2]))
    """

    def __init__(
        self,
        d_model: int,
        size: int = 30,
        top_k: int = 3,
        length: int = 3,
        *,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        check_counts(d_model=d_model, size=size, top_k=top_k, length=length)
        if top_k > size:
            raise ValueError(f"top_k={top_k} is more than size={size}: a pool cannot give more prompts than it has.")
        generator = default_generator(generator)
        self.top_k = top_k
        self.keys = nn.Parameter(torch.randn(size, d_model, generator=generator))
        self.values = nn.Parameter(torch.randn(size, length, d_model, generator=generator))

    def forward(self, tokens: Tensor) -> Prompt:
        """Choose by tokens (B, N, E)."""
        check_sequences(tokens, self.keys.shape[1])
        query = functional.normalize(tokens.mean(1), dim=-1)
        likeness = query @ functional.normalize(self.keys, dim=-1).T
        best = likeness.topk(self.top_k, dim=-1)
        vectors = self.values[best.indices].flatten(1, 2)
        return Prompt(vectors.to(tokens.dtype), -best.values.sum(-1).mean(), best.indices)


def usage(chosen: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """How often each prompt of a pool was taken.

    Parameters
    ----------
    chosen : int64 Tensor
        Numbers as in :class:`Prompt`, of any shape.
    size : int
        Prompts in the pool.

    Returns
    -------
    shares : Tensor of shape (size,)
        They sum to 1.
    spread : Tensor of shape ()
        Entropy of the shares as a share of the largest there can be: 0 if a single prompt is taken always, which is a
        collapse, 1 if all are taken alike.

    Examples
    --------
    >>> usage(torch.tensor([[0, 1], [0, 1]]), 4)
    (tensor([0.5000, 0.5000, 0.0000, 0.0000]), tensor(0.5000))
    """
    shares = torch.bincount(chosen.flatten(), minlength=size) / max(chosen.numel(), 1)
    entropy = -torch.special.xlogy(shares, shares).sum()
    return shares, entropy / torch.log(torch.tensor(float(max(size, 2))))


def _repeated(vectors: Tensor, tokens: Tensor) -> Prompt:
    return Prompt(vectors.to(tokens.dtype).expand(tokens.shape[0], -1, -1), tokens.new_zeros(()))
