"""SIGReg: how far a cloud of vectors is from a standard normal one, seen along random lines (LeJEPA, arXiv 2511.08544).

Along each of M unit directions a the N vectors v give numbers s = v a, whose empirical characteristic function is held
against that of N(0, 1), phi(t) = exp(-t^2 / 2) (the test of Epps and Pulley):

    T = N integral |1/N sum_n exp(i t s_n) - phi(t)|^2 phi(t) dt,     SIGReg = mean of T over the directions

T grows with N where the cloud is not normal, and is about 1.06 at any N where it is; what is minimised is therefore
T n_ref / N, so that its weight does not depend on the size of a batch.
"""

import math

import torch
from torch import Tensor

# Ends of the integral and whether it stands for both sides of zero: LuMamba's code, and LeJEPA's.
GRIDS = {"two-sided": (-5.0, 5.0, 1.0), "one-sided": (0.0, 3.0, 2.0)}
_POINTS = 17


def random_directions(n_directions: int, width: int, *, generator: torch.Generator) -> Tensor:
    """Draw unit vectors, uniform over the sphere.

    Parameters
    ----------
    n_directions, width : int
        M and D.
    generator : torch.Generator
        What is drawn from; the same state gives the same directions.

    Returns
    -------
    Tensor of shape (D, M)

    Examples
    --------
    >>> a = random_directions(3, 5, generator=torch.Generator().manual_seed(0))
    >>> a.square().sum(0).round(decimals=4)
    tensor([1., 1., 1.])
    """
    drawn = torch.randn(width, n_directions, generator=generator, device=generator.device)
    return drawn / drawn.norm(dim=0)


def epps_pulley(s: Tensor, *, grid: str = "one-sided") -> Tensor:
    """Hold samples against N(0, 1): T / N, by the trapezoidal rule on 17 points.

    Parameters
    ----------
    s : Tensor of shape (N, M)
        N samples along each of M directions.
    grid : {"one-sided", "two-sided"}
        The points lie on [0, 3] and count double, or on [-5, 5]. The rule repeats itself in s: with period 33.5 on the
        first, 10.05 on the second, where samples far out pass for others near zero.

    Returns
    -------
    Tensor of shape (M,)
        In float32 at least. 0.41 where all samples are zero; about 1.06 / N where they are normal.

    Raises
    ------
    ValueError
        For an unknown grid.

    Examples
    --------
    >>> round(epps_pulley(torch.zeros(8, 1), grid="two-sided").item(), 4)
    0.4089
    """
    if grid not in GRIDS:
        raise ValueError(f"grid={grid!r} is not known; use one of {sorted(GRIDS)}.")
    start, end, sides = GRIDS[grid]
    # Cosines of large numbers need single precision.
    with torch.autocast(s.device.type, enabled=False):
        s = s.to(torch.promote_types(s.dtype, torch.float32))
        t = torch.linspace(start, end, _POINTS, dtype=s.dtype, device=s.device)
        phi = torch.exp(-t.square() / 2)
        angles = s[..., None] * t
        gap = (angles.cos().mean(0) - phi).square() + angles.sin().mean(0).square()
        return sides * torch.trapezoid(gap * phi, t)


def epps_pulley_closed(s: Tensor) -> Tensor:
    """Return the integral itself, T / N, from all pairs of samples: the meaning of :func:`epps_pulley`.

    Parameters
    ----------
    s : Tensor of shape (N, M)
        As there.

    Returns
    -------
    Tensor of shape (M,)

    Examples
    --------
    >>> round(epps_pulley_closed(torch.zeros(8, 1)).item(), 4)
    0.4089
    """
    pairs = torch.exp(-(s[:, None] - s[None]).square() / 2).mean((0, 1))
    own = math.sqrt(2) * torch.exp(-s.square() / 4).mean(0)
    return math.sqrt(2 * math.pi) * (pairs - own + 1 / math.sqrt(3))


def sigreg(v: Tensor, directions: Tensor, *, n_ref: float | None = None, grid: str = "one-sided") -> Tensor:
    """Tell how far vectors are from standard normal ones, along given directions.

    Parameters
    ----------
    v : Tensor of shape (N, D)
        The vectors.
    directions : Tensor of shape (D, M)
        Unit vectors: :func:`random_directions`. No gradient goes through them.
    n_ref : float, optional
        T n_ref / N is returned, which does not depend on N but for noise; T itself when omitted.
    grid : {"one-sided", "two-sided"}
        As in :func:`epps_pulley`.

    Returns
    -------
    Tensor, a scalar

    Examples
    --------
    >>> a = random_directions(4, 2, generator=torch.Generator().manual_seed(0))
    >>> round(sigreg(torch.zeros(10, 2), a).item(), 3)
    4.02
    """
    share = epps_pulley(v @ directions.detach().to(v.device, v.dtype), grid=grid).mean()
    return share * (len(v) if n_ref is None else n_ref)
