"""HiPPO matrices, the structured class that contains them, and their discretisation, all in float64.

Sources: Gu et al. 2020 (arXiv 2008.07669) for the matrices; Gu et al. 2021 (arXiv 2110.13985) for the class
P (D + T^-1) Q (Theorem 11, Appendix E.2) and for the generalised bilinear transform (eq. 3, Appendix C.1.3).
Convention throughout: x' = A x + B u, indices from 0, r_n = sqrt(2n + 1).
"""

from typing import NamedTuple

import torch
from torch import Tensor

MEASURES = ("legs", "legt", "lagt")


def transition(measure: str, d_state: int, window_scale: float = 1.0) -> tuple[Tensor, Tensor]:
    """Return the matrices (A, B) of a HiPPO measure.

    Parameters
    ----------
    measure : {"legs", "legt", "lagt"}
        What the state remembers. LegS: Legendre polynomials in exp(-t), an exponentially fading memory; LegT: Legendre
        polynomials on a sliding window; LagT: Laguerre polynomials with the weight exp(-t).
    d_state : int
        Order N, number of basis functions.
    window_scale : float, default 1.0
        LegT only: length of the window, in units of 1/dt steps. (2 gives the halved matrices of some releases.)

    Returns
    -------
    A : Tensor of shape (N, N), float64
    B : Tensor of shape (N,), float64

    Raises
    ------
    ValueError
        For an unknown measure, or a `window_scale` other than 1 with a measure that has no window.

    Examples
    --------
    >>> A, B = transition("lagt", 2)
    >>> A.tolist(), B.tolist()
    ([[-0.5, 0.0], [-1.0, -0.5]], [1.0, 1.0])
    """
    _check_measure(measure, window_scale)
    n = torch.arange(d_state, dtype=torch.float64)
    r = (2 * n + 1).sqrt()
    lower = n[:, None] > n
    if measure == "lagt":
        ones = torch.ones(d_state, d_state, dtype=torch.float64)
        return torch.eye(d_state, dtype=torch.float64) / 2 - ones.tril(), ones[0].clone()
    rank_one = r[:, None] * r
    if measure == "legs":
        return -torch.where(lower, rank_one, torch.zeros_like(rank_one)) - torch.diag(n + 1), r
    sign = torch.where(lower, torch.ones_like(rank_one), (-1.0) ** (n[:, None] - n))
    return -rank_one * sign / window_scale, r / window_scale


class Structured(NamedTuple):
    """Vectors of A = -P (D + T^-1) Q and B = P b, with P, D, Q diagonal and T tridiagonal.

    Attributes
    ----------
    p, q, d, b : Tensor of shape (N,)
        Diagonals of P, Q and D, and the input vector before scaling by P.
    t_diag : Tensor of shape (N,)
        Diagonal of T.
    t_sub, t_super : Tensor of shape (N - 1,)
        Diagonals of T below and above the main one.
    """

    p: Tensor
    q: Tensor
    d: Tensor
    b: Tensor
    t_diag: Tensor
    t_sub: Tensor
    t_super: Tensor

    def dense(self) -> tuple[Tensor, Tensor]:
        """Return A of shape (N, N) and B of shape (N,) in the dtype of the vectors, differentiably."""
        T = torch.diag(self.t_diag) + torch.diag(self.t_sub, -1) + torch.diag(self.t_super, 1)
        inner = torch.diag(self.d) + torch.linalg.inv(T)
        return -self.p[:, None] * inner * self.q, self.p * self.b


def structured(measure: str, d_state: int, window_scale: float = 1.0) -> Structured:
    """Return the vectors for which :class:`Structured` equals :func:`transition`.

    Parameters
    ----------
    measure, d_state, window_scale
        As in :func:`transition`.

    Returns
    -------
    Structured
        float64 vectors.

    Examples
    --------
    >>> A, B = structured("legs", 8).dense()
    >>> torch.allclose(A, transition("legs", 8)[0])
    True
    """
    _check_measure(measure, window_scale)
    n = torch.arange(d_state, dtype=torch.float64)
    ones = torch.ones_like(n)
    r = (2 * n + 1).sqrt()
    below, above = -ones[1:], torch.zeros_like(n[1:])
    if measure == "lagt":
        return Structured(ones, ones.clone(), -ones / 2, ones.clone(), ones.clone(), below, above)
    if measure == "legs":
        return Structured(r, r.clone(), -n / (2 * n + 1), ones, ones.clone(), below, above)
    corners = torch.zeros_like(n)
    corners[0] += 0.5
    corners[-1] += 0.5
    return Structured(r / window_scale, r, torch.zeros_like(n), ones, corners, below / 2, ones[1:] / 2)


def discretize(A: Tensor, B: Tensor, dt: Tensor, method: str | float = "bilinear") -> tuple[Tensor, Tensor]:
    """Discretise x' = A x + B u for each step size: x[t] = Ab x[t-1] + Bb u[t].

    The generalised bilinear transform treats u[t] as the mean of the input over the step (arXiv 2110.13985, eq. 3):
    Ab = (I - alpha dt A)^-1 (I + (1 - alpha) dt A), Bb = (I - alpha dt A)^-1 dt B. Zero-order hold holds u[t]
    constant over the step: Ab = exp(dt A), Bb = A^-1 (exp(dt A) - I) B.

    Parameters
    ----------
    A : Tensor of shape (N, N)
    B : Tensor of shape (N,)
    dt : Tensor of shape (H,)
        Step sizes, in the time unit of A.
    method : "bilinear", "zoh" or float in [0, 1]
        A number is the alpha of the transform: 0 is forward Euler (diverges when dt is large), 0.5 is "bilinear",
        1 is backward Euler.

    Returns
    -------
    Ab : Tensor of shape (H, N, N)
    Bb : Tensor of shape (H, N)

    Raises
    ------
    ValueError
        For an unknown method.

    Examples
    --------
    >>> Ab, Bb = discretize(-torch.eye(1), torch.ones(1), torch.tensor([2.0]), 0.5)
    >>> Ab.item(), Bb.item()
    (0.0, 1.0)
    """
    check_method(method)
    size = A.shape[0]
    if method == "zoh":
        # One exponential of [[A, B], [0, 0]] dt holds both blocks and also serves a singular A.
        augmented = torch.cat((torch.cat((A, B[:, None]), 1), A.new_zeros(1, size + 1)), 0)
        both = torch.linalg.matrix_exp(dt[:, None, None] * augmented)
        return both[:, :size, :size], both[:, :size, size]
    alpha = 0.5 if method == "bilinear" else float(method)
    eye = torch.eye(size, dtype=A.dtype, device=A.device)
    scaled = dt[:, None, None] * A
    if alpha == 0:
        return eye + scaled, dt[:, None] * B
    # (I + (1 - alpha) X) (I - alpha X)^-1 = ((alpha - 1) I + (I - alpha X)^-1) / alpha: one inverse gives everything.
    inverse = torch.linalg.inv(eye - alpha * scaled)
    return ((alpha - 1) * eye + inverse) / alpha, dt[:, None] * (inverse @ B)


def check_method(method: str | float) -> None:
    """Raise ValueError unless `method` is one that :func:`discretize` knows."""
    if isinstance(method, str):
        if method not in ("bilinear", "zoh"):
            raise ValueError(f"discretization must be 'bilinear', 'zoh' or a number in [0, 1], got {method!r}.")
    elif not 0 <= method <= 1:
        raise ValueError(f"discretization as a number must lie in [0, 1], got {method}.")


def _check_measure(measure: str, window_scale: float) -> None:
    if measure not in MEASURES:
        raise ValueError(f"measure must be one of {', '.join(MEASURES)}, got {measure!r}.")
    if window_scale <= 0:
        raise ValueError(f"window_scale must be positive, got {window_scale}.")
    if window_scale != 1 and measure != "legt":
        raise ValueError(f"window_scale is the window of 'legt'; {measure!r} has none (scale dt instead).")
