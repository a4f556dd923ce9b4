"""What is known beside a window: covariates of its past, numbers of its series, and which series it is.

Each is embedded linearly and added to the tokens of the window, as positions are (Lim et al. 2021, Temporal Fusion
Transformers, arXiv 1912.09363, section 4.2, use such static contexts). Of thousands of names each has a short vector.
Nothing is added before something is learned: weights, or vectors, are zero at first.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from tsrec.layers.random import Linear

_WIDTH = 16


class Told(NamedTuple):
    """What is known beside windows.

    Attributes
    ----------
    static : Tensor of shape (B, S), optional
        Numbers of the series.
    past : Tensor of shape (B, L, P), optional
        Covariates of the steps of the window, finite.
    series : Tensor of int64, shape (B,), optional
        Which series a window is of; -1 for one that is not known.
    """

    static: Tensor | None = None
    past: Tensor | None = None
    series: Tensor | None = None


class Sizes(NamedTuple):
    """How much there is of each: numbers of a series, covariates of the past, series that are known."""

    static: int = 0
    past: int = 0
    series: int = 0


UNTOLD, NOTHING = Told(), Sizes()


class Beside(nn.Module):
    """The sum of embeddings of what is told, for each token.

    Parameters
    ----------
    d_model : int
        Width D of a token.
    sizes : Sizes
        What there is.
    patch : int, default 1
        Steps of a token, of which the covariates are one vector.

    Examples
    --------
    >>> beside = Beside(4, Sizes(static=3))
    >>> beside(Told(static=torch.ones(2, 3))).shape
    torch.Size([2, 1, 4])
    """

    def __init__(self, d_model: int, sizes: Sizes, *, patch: int = 1) -> None:
        super().__init__()
        self.patch = patch
        self.static = _zeros(sizes.static, d_model)
        self.past = _zeros(sizes.past * patch, d_model)
        self.names = nn.Parameter(torch.zeros(sizes.series, _WIDTH)) if sizes.series else None
        self.of_name = Linear(_WIDTH, d_model, bias=False) if sizes.series else None

    def forward(self, told: Told) -> Tensor | float:
        """Give (B, T, D) with covariates of T patches, (B, 1, D) without, 0 of nothing."""
        total: Tensor | float = 0.0
        if self.past is not None and told.past is not None:
            used = told.past.shape[1] // self.patch * self.patch
            total = total + self.past(told.past[:, -used:].unflatten(1, (-1, self.patch)).flatten(2))
        if self.static is not None and told.static is not None:
            total = total + self.static(told.static)[:, None]
        if self.names is not None and self.of_name is not None and told.series is not None:
            known = (told.series >= 0)[:, None]
            total = total + self.of_name(torch.where(known, self.names[told.series.clamp_min(0)], 0.0))[:, None]
        return total


class CovariateNet(nn.Module):
    """What covariates of a step ahead do, alone and by what is known of the series: GELU between two linear maps.

    Parameters
    ----------
    covariates : int
        Number C of covariates.
    sizes : Sizes
        What is known of a series.
    generator : torch.Generator
        Source of the initial values; the last map is zero.
    """

    def __init__(self, covariates: int, sizes: Sizes, *, generator: torch.Generator) -> None:
        super().__init__()
        self.hidden = Linear(covariates, _WIDTH, generator=generator)
        self.out = zeroed(Linear(_WIDTH, 1, generator=generator))
        self.beside = Beside(_WIDTH, sizes._replace(past=0))

    def forward(self, future: Tensor, told: Told) -> Tensor:
        """Effect (B, H) of covariates (B, H, C)."""
        hidden = self.hidden(future.nan_to_num(0.0)) + self.beside(told._replace(past=None))
        return self.out(nn.functional.gelu(hidden)).squeeze(-1)


def zeroed(layer: Linear) -> Linear:
    """The layer with zeros for weights and bias."""
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
    return layer


def _zeros(n_in: int, n_out: int) -> Linear | None:
    return zeroed(Linear(n_in, n_out, bias=False)) if n_in else None
