"""A linear head in closed form: ridge regression on features, its penalty by leaving one row out.

Hoerl and Kennard (1970), Ridge Regression, Technometrics 12; leave-one-out residuals from leverages: Allen (1974), The
Relationship between Variable Selection and Data Augmentation and a Method for Prediction, Technometrics 16.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

# Relative to the mean square of a row of features.
PENALTIES = tuple(10.0 ** (power / 2) for power in range(-14, 5))
# The least share of a row's answer that is not its own doing; residuals are divided by it.
_LEAST_FREE = 1e-12
# Eigenvalue of the direction of the mean, in traces of the Gram matrix.
_FREE = 10.0
_TINY = torch.finfo(torch.float64).tiny
_BLOCK = 4096


class RidgeHead(NamedTuple):
    """What :func:`fit_ridge_head` found: answers are ``(features - mean) / scale @ weight.T + bias``.

    Attributes
    ----------
    mean, scale : Tensor of shape (P,), float64
        Of the features; the scale is infinite where a feature does not vary.
    weight : Tensor of shape (K, P), float64
    bias : Tensor of shape (K,), float64
    penalty : float
        As chosen, relative to the mean square of a row of features.
    held_out : Tensor of shape (n, K), float64
        Answers to the training rows by heads that have not seen them; with a single row there is no such head, and it
        is the target.
    """

    mean: Tensor
    scale: Tensor
    weight: Tensor
    bias: Tensor
    penalty: float
    held_out: Tensor


class RidgeLinear(nn.Module):
    """A linear head on standardised features, not trained but set: see :meth:`adopt`.

    Parameters
    ----------
    in_features, out_features : int
        P and K.
    """

    mean: Tensor
    gain: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(in_features))
        self.register_buffer("gain", torch.zeros(in_features))
        self.register_buffer("weight", torch.zeros(out_features, in_features))
        self.register_buffer("bias", torch.zeros(out_features))

    def adopt(self, head: RidgeHead) -> None:
        """Take over what was fitted."""
        self.mean.copy_(head.mean)
        self.gain.copy_(1 / head.scale)
        self.weight.copy_(head.weight)
        # What the mean loses by rounding is much where it is large beside the scale.
        lost = (self.mean.to(head.mean) - head.mean) / head.scale
        self.bias.copy_(head.bias + head.weight @ lost)

    def forward(self, x: Tensor) -> Tensor:
        """Answer for features (B, P), with (B, K)."""
        return nn.functional.linear((x - self.mean) * self.gain, self.weight, self.bias)


class _Rows(NamedTuple):
    """Features and what brings them to weighted standard deviations."""

    features: Tensor
    root: Tensor
    mean: Tensor
    scale: Tensor

    def blocks(self) -> Iterator[Tensor]:
        """Weighted and standardised rows, some at a time."""
        for x, r in zip(self.features.split(_BLOCK), self.root.split(_BLOCK), strict=True):
            yield (x.double() - self.mean) / self.scale * r[:, None]

    def columns(self) -> Iterator[Tensor]:
        """The same, some features of all rows at a time."""
        parts = zip(*(part.split(_BLOCK, -1) for part in (self.features, self.mean, self.scale)), strict=True)
        for x, mean, scale in parts:
            yield (x.double() - mean) / scale * self.root[:, None]

    def square(self) -> Tensor:
        """Sum of squares of all."""
        return torch.stack([z.square().sum() for z in self.blocks()]).sum()


def fit_ridge_head(features: Tensor, target: Tensor, weight: Tensor | None = None) -> RidgeHead:
    """Fit a linear head.

    Minimises sum w |y - W z - b|^2 + penalty |W|^2, where z are the features in standard deviations. The penalty is the
    one whose answers to rows left out are best. One eigendecomposition, of the smaller Gram matrix, solves all.

    Parameters
    ----------
    features : Tensor of shape (n, P)
        Finite. A feature that does not vary gets no weight. Rows that are there twice tell nothing about rows to come:
        give such a row once, with twice the weight.
    target : Tensor of shape (n, K), float64
    weight : Tensor of shape (n,), optional
        Positive; ones when omitted.

    Returns
    -------
    RidgeHead

    Raises
    ------
    ValueError
        If a weight is not positive.

    Examples
    --------
    >>> x = torch.linspace(-1, 1, 50, dtype=torch.float64)[:, None]
    >>> head = fit_ridge_head(x, 3 * x + 1)
    >>> round((head.weight / head.scale).item(), 2), round(head.bias.item(), 2)
    (3.0, 1.0)
    """
    w = torch.ones(len(features), dtype=torch.float64) if weight is None else weight.double()
    if not (w > 0).all():
        raise ValueError("weight: found one that is not positive. Leave rows without weight out.")
    mean, scale = _moments(features, w)
    rows = _Rows(features, w.sqrt(), mean, scale)
    center = (w @ target) / w.sum()
    T = (target - center) * rows.root[:, None]
    share = w / w.sum()
    is_dual = len(features) <= features.shape[1]
    if is_dual:
        gram = _gram(rows.columns(), len(features), transposed=True)
        # The direction of the mean, which is fitted without a penalty, among the others: as one that costs nothing.
        s, vectors = torch.linalg.eigh(gram + _FREE * (gram.trace() + 1) * share.sqrt()[:, None] * share.sqrt())
    else:
        s, vectors = torch.linalg.eigh(_gram(rows.blocks(), features.shape[1]))
    s = s.clamp_min(0.0)
    inverse = torch.where(s > 1e-13 * s[-1], s.clamp_min(_TINY).rsqrt(), 0.0)

    def left() -> Iterator[Tensor]:
        """Left singular vectors, block by block."""
        yield from vectors.split(_BLOCK) if is_dual else (z @ (vectors * inverse) for z in rows.blocks())

    a = torch.stack([U.T @ t for U, t in zip(left(), T.split(_BLOCK), strict=True)]).sum(0)
    # Where no feature varies any unit will do.
    unit = float(rows.square()) / len(features) or 1.0
    penalty, residual = _choose(left, s / unit, a, T, None if is_dual else share)
    shrunk = a / (s + penalty * unit)[:, None]
    if is_dual:
        scaled = torch.cat([z.T @ (vectors @ shrunk) for z in rows.columns()])
    else:
        scaled = vectors @ (shrunk * s.sqrt()[:, None])
    return RidgeHead(mean, scale, scaled.T, center, penalty, target - residual / rows.root[:, None])


def _moments(features: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
    """Weighted mean and standard deviation of each feature; an infinite one where it does not vary."""
    pairs = list(zip(features.split(_BLOCK), w.split(_BLOCK), strict=True))
    mean = torch.stack([b @ x.double() for x, b in pairs]).sum(0) / w.sum()
    square = torch.stack([b @ (x.double() - mean).square() for x, b in pairs]).sum(0) / w.sum()
    deviation = square.sqrt()
    # What rounding leaves of a constant is no variation.
    least = 8 * torch.finfo(features.dtype).eps * mean.abs()
    return mean, torch.where(deviation > least, deviation, torch.inf)


def _gram(blocks: Iterator[Tensor], size: int, *, transposed: bool = False) -> Tensor:
    gram = torch.zeros(size, size, dtype=torch.float64)
    for z in blocks:
        gram += z @ z.T if transposed else z.T @ z
    return gram


def _choose(
    left: Callable[[], Iterator[Tensor]], s: Tensor, a: Tensor, T: Tensor, share: Tensor | None
) -> tuple[float, Tensor]:
    """The penalty of the least squared error on rows left out, and these errors (n, K), in weighted units.

    A row's error is divided by the share of its answer that is not its own doing. Both are summed up from what a
    penalty takes away by singular vector, since with few rows and many features they are tiny. Nothing is taken from
    the mean: it is the last of these vectors, or its `share` in a row is given where there are directions beyond them.
    """
    penalties = torch.tensor(PENALTIES, dtype=s.dtype)
    taken = penalties / (s[:, None] + penalties)
    if share is None:
        taken[-1] = 0.0
    shares = [None] * (-(-len(T) // _BLOCK)) if share is None else share.split(_BLOCK)

    def blocks() -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
        yield from zip(left(), T.split(_BLOCK), shares, strict=True)

    def errors(U: Tensor, t: Tensor, part: Tensor | None, k: Tensor) -> Tensor:
        free, residual = U.square() @ k, U @ (k[:, None] * a)
        if part is not None:
            free = free + 1 - part - U.square().sum(1)
            residual = residual + t - U @ a
        return residual / free.clamp_min(_LEAST_FREE)[:, None]

    # One penalty's errors at a time: all together take nineteen times the memory of the targets.
    squares = torch.zeros(len(PENALTIES), dtype=s.dtype)
    for block in blocks():
        squares += torch.stack([errors(*block, k).square().sum() for k in taken.T])
    best = int(squares.argmin())
    return PENALTIES[best], torch.cat([errors(*block, taken[:, best]) for block in blocks()])
