"""Decomposition inside a model: fixed or learned maps from a window to trend, season and rest.

The learned block follows TEMPO (Cao et al. 2024, arXiv 2310.04948, section 3.1, and its published code); started from
the matrices of a decomposer it is that decomposer before training.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tsrec.layers.checks import check_counts, check_floating
from tsrec.layers.random import Linear, default_generator


class FixedDecomposition(nn.Module):
    """Windows to components and rest, by matrices.

    Parameters
    ----------
    matrices : array or Tensor of shape (n_components, L, L)
        Such as ``tsrec.STL(24).fit(y).matrices(L)``: what a plain decomposer does to a complete window.

    Examples
    --------
    >>> halves = FixedDecomposition(torch.eye(4)[None] / 2)
    >>> halves(torch.ones(5, 4)).shape
    torch.Size([2, 5, 4])
    """

    matrices: Tensor

    def __init__(self, matrices: Any) -> None:
        super().__init__()
        self.register_buffer("matrices", _square(matrices))

    def forward(self, x: Tensor) -> Tensor:
        """Take windows (..., L) apart, (n_components + 1, ..., L); the last is the rest."""
        _check_windows(x, self.matrices.shape[-1])
        matrices = self.matrices.to(x.dtype)
        return _with_rest(x, [x @ matrix.T for matrix in matrices])


class LearnedDecomposition(nn.Module):
    """Windows to trend, season and rest, by maps that are trained; the three sum up to the window.

    As in TEMPO, T = W_T average(x) + c and S = MLP(x - T), with one hidden layer of 4 L ReLU; or, from matrices to
    start with, T = W_T x + c and S = W_S x + d.

    Parameters
    ----------
    length : int
        Steps L of a window.
    matrices : array or Tensor of shape (2, L, L), optional
        W_T and W_S to start from, such as ``tsrec.STL(24).fit(y).matrices(L)``.
    kernel_size : int, default 25
        Odd number of steps of TEMPO's moving average, which goes on with the first and the last value of the window.
    generator : torch.Generator, optional
        Source of the initial values; a fresh one with seed 0 when omitted.

    Raises
    ------
    ValueError
        If a number is out of range, or the matrices are not two of L x L.

    Examples
    --------
    >>> trend, season, rest = LearnedDecomposition(48)(torch.randn(5, 48))
    >>> trend.shape
    torch.Size([5, 48])
    """

    def __init__(
        self,
        length: int,
        *,
        matrices: Any = None,
        kernel_size: int = 25,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        check_counts(length=length, kernel_size=kernel_size)
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, got {kernel_size}.")
        generator = default_generator(generator)
        self.averaged = matrices is None
        self.kernel_size = kernel_size
        self.trend = Linear(length, length, generator=generator)
        if matrices is None:
            wide = Linear(length, 4 * length, generator=generator), Linear(4 * length, length, generator=generator)
            self.season: nn.Module = nn.Sequential(wide[0], nn.ReLU(), wide[1])
            return
        start = _square(matrices)
        if start.shape != (2, length, length):
            raise ValueError(f"matrices must have shape (2, {length}, {length}), got {tuple(start.shape)}.")
        self.season = Linear(length, length, generator=generator)
        with torch.no_grad():
            for layer, matrix in zip((self.trend, self.season), start, strict=True):
                layer.weight.copy_(matrix)
                layer.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        """Take windows (..., L) apart, (3, ..., L): trend, season, rest."""
        _check_windows(x, self.trend.in_features)
        if not self.averaged:
            return _with_rest(x, [self.trend(x), self.season(x)])
        trend = self.trend(moving_average(x, self.kernel_size))
        return _with_rest(x, [trend, self.season(x - trend)])


def moving_average(x: Tensor, width: int) -> Tensor:
    """Centred averages of an odd number of steps, (..., L); the first and the last value go on beyond the ends."""
    rows = functional.pad(x.reshape(-1, 1, x.shape[-1]), (width // 2, width // 2), mode="replicate")
    return functional.avg_pool1d(rows, width, stride=1).reshape(x.shape)


def _check_windows(x: Tensor, length: int) -> None:
    """Refuse what are no floating windows of the length of the maps, before a product inside stumbles."""
    if not x.ndim or x.shape[-1] != length:
        raise ValueError(f"x must have shape (..., {length}), the length of the maps, got {tuple(x.shape)}.")
    check_floating(x)


def _square(matrices: Any) -> Tensor:
    """Matrices as a tensor of their own: what the caller does to his later must not change the block."""
    if isinstance(matrices, Tensor):
        found = matrices.detach().clone()
    else:
        found = torch.tensor(matrices, dtype=torch.get_default_dtype())
    if found.ndim != 3 or found.shape[1] != found.shape[2]:
        raise ValueError(f"matrices must have shape (n_components, L, L), got {tuple(found.shape)}.")
    return found


def _with_rest(x: Tensor, parts: list[Tensor]) -> Tensor:
    rest = x
    for part in parts:
        rest = rest - part
    return torch.stack((*parts, rest))
