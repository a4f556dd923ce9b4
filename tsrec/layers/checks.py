"""Checks that layers share: what was found and what is allowed."""

import torch
from torch import Tensor


def check_sequences(x: Tensor, d_model: int) -> None:
    """Refuse what are no sequences of floating numbers of a layer's width, before some operation inside stumbles."""
    if x.ndim != 3 or x.shape[2] != d_model or not x.shape[1]:
        raise ValueError(f"x must have shape (B, L, {d_model}) with L >= 1, got {tuple(x.shape)}.")
    check_floating(x)


def check_floating(x: Tensor) -> None:
    """Refuse whole and complex numbers."""
    if not x.is_floating_point():
        raise TypeError(f"x must hold floating numbers, got {x.dtype}; convert it, for example with .float().")


def check_rate(rate: float) -> None:
    """Refuse another time scale than 1, which taps and chunks have no way to follow."""
    if rate != 1:
        raise ValueError(f"rate={rate}: this layer counts steps and cannot be told that they are longer.")


def check_counts(**counts: int) -> None:
    """Refuse numbers that are not whole, or below one."""
    for name, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise ValueError(f"{name} must be a whole number of at least 1, got {count!r}.")


def holds(fact: Tensor, *, traced: bool) -> bool:
    """Whether a fact is true of the data at hand; `traced` where a graph is recorded, which must hold for any data."""
    return traced if torch.compiler.is_compiling() else bool(fact)
