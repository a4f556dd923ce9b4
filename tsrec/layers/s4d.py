"""S4D-Lin: the diagonal state-space layer of Gu, Gupta, Goel and Re 2022, arXiv 2206.11893.

Each feature has N/2 complex modes that stand for N states in conjugate pairs: y = 2 Re(C x) + D u. The modes start at
A_n = -1/2 + i pi n (eq. 8) and are discretised by zero-order hold with B = 1.
"""

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from tsrec.layers.parameter_groups import OptimizerOptions
from tsrec.layers.random import default_generator
from tsrec.layers.ssm import StateSpaceMixer, float64_device, log_uniform


class DiagonalDynamics:
    """Diagonal complex systems x[t] = Ab x[t-1] + Bb u[t]; powers are exponentials, taken in float64.

    Parameters
    ----------
    exponent : Tensor of shape (H, N), complex128
        dt A, so that Ab = exp(exponent).
    Bb : Tensor of shape (H, N), complex128
    dtype : torch.dtype
        Complex dtype of what is returned.
    device : torch.device
        Where it is returned.
    """

    def __init__(self, exponent: Tensor, Bb: Tensor, dtype: torch.dtype, device: torch.device) -> None:
        self.exponent, self.dtype, self.device = exponent, dtype, device
        self.Ab, self.Bb = exponent.exp().to(device, dtype), Bb.to(device, dtype)

    def kernel(self, C: Tensor, length: int) -> Tensor:
        """Return K[l] = 2 Re(C Ab^l Bb) for l < length: C (H, M, N) -> (H, M, length)."""
        q = math.isqrt(length - 1) + 1
        W = self._giant_steps(C * self.Bb[:, None], q, -(-length // q))
        return self._real_product(W, self._powers(q)).view(*C.shape[:2], -1)[..., :length]

    def response(self, C: Tensor, state: Tensor, length: int) -> Tensor:
        """Return 2 Re(C Ab^(t+1) x) for t < length: state (B, H, N) -> (B, length, H, M)."""
        q = math.isqrt(length - 1) + 1
        W = self._giant_steps(C * self.Ab[:, None], q, -(-length // q))
        columns = state.permute(1, 2, 0)[:, :, None] * self._powers(q)[..., None]
        y = self._real_product(W, columns.flatten(2))
        return y.view(*C.shape[:2], -1, q, state.shape[0]).flatten(2, 3)[:, :, :length].permute(3, 2, 0, 1)

    def final_state(self, u: Tensor, state: Tensor | None) -> Tensor:
        """Return Ab^L x[-1] + sum_k Ab^k Bb u[L-1-k]: u (B, L, H) -> (B, H, N)."""
        size, length, H = u.shape
        q = math.isqrt(length - 1) + 1
        blocks = -(-length // q)
        lags = functional.pad(u.flip(1).permute(2, 0, 1), (0, q * blocks - length)).reshape(H, size * blocks, q)
        # Real times complex as two real products: no complex copy of the input.
        V = torch.view_as_real(self.Bb[..., None] * self._powers(q)).permute(0, 2, 1, 3).flatten(2)
        parts = torch.view_as_complex((lags @ V).view(H, size, blocks, -1, 2))
        total = (parts * self._powers(blocks, q).mT[:, None]).sum(2).transpose(0, 1)
        if state is None:
            return total
        return total + (length * self.exponent).exp().to(self.device, self.dtype) * state

    def step(self, u_t: Tensor, state: Tensor) -> Tensor:
        """Advance states (B, H, N) by one input (B, H)."""
        return self.Ab * state + self.Bb * u_t[..., None]

    def _powers(self, count: int, stride: int = 1) -> Tensor:
        """Return Ab^(stride i) for i < count, of shape (H, N, count)."""
        i = stride * torch.arange(count, dtype=torch.float64, device=self.exponent.device)
        return (self.exponent[..., None] * i).exp().to(self.device, self.dtype)

    def _giant_steps(self, C: Tensor, q: int, blocks: int) -> Tensor:
        """Return C Ab^(q j) for j < blocks, of shape (H, M * blocks, N)."""
        return (C[:, :, None] * self._powers(blocks, q).mT[:, None]).flatten(1, 2)

    @staticmethod
    def _real_product(W: Tensor, V: Tensor) -> Tensor:
        """Return 2 Re(W V) as one real product of twice the inner size."""
        return 2 * torch.cat((W.real, -W.imag), -1) @ torch.cat((V.real, V.imag), -2)


class S4D(StateSpaceMixer):
    """Diagonal state-space layer S4D-Lin, with zero-order hold.

    Parameters
    ----------
    d_model : int
        Features H.
    d_state : int, default 64
        Real states N per feature, an even number; the recurrent state holds N/2 complex ones.
    channels : int, default 1
        Outputs M per feature before the affine map.
    dt_min, dt_max : float, default 1e-3, 1e-1
        Step sizes are drawn log-uniformly between them.
    dropout : float, default 0.0
        Rate after the activation.
    generator : torch.Generator, optional
        Source of the initial values; a fresh one with seed 0 when omitted.

    Raises
    ------
    ValueError
        If `d_state` is odd, or the step sizes are out of order.

    Notes
    -----
    Re A = -exp(log_decay) keeps the modes stable whatever training does. Complex parameters are stored as pairs of
    reals, as optimisers and gradient scalers expect.

    Examples
    --------
    >>> layer = S4D(4, d_state=8)
    >>> y, state = layer(torch.ones(2, 10, 4))
    >>> y.shape, state.shape, state.dtype
    (torch.Size([2, 10, 4]), torch.Size([2, 4, 4]), torch.complex64)
    """

    optimizer_options: ClassVar[OptimizerOptions] = {
        name: {"lr": 1e-3, "weight_decay": 0.0} for name in ("log_decay", "frequency", "log_dt")
    }

    def __init__(
        self,
        d_model: int,
        *,
        d_state: int = 64,
        channels: int = 1,
        dt_min: float = 1e-3,
        dt_max: float = 1e-1,
        dropout: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> None:
        generator = default_generator(generator)
        super().__init__(d_model, channels, dropout, generator)
        if d_state < 2 or d_state % 2:
            raise ValueError(f"d_state must be even and at least 2 (conjugate pairs), got {d_state}.")
        self.d_state = d_state
        modes = torch.arange(d_state // 2).expand(d_model, -1)
        self.log_decay = nn.Parameter(torch.full(modes.shape, math.log(0.5)))
        self.frequency = nn.Parameter(math.pi * modes.float())
        self.log_dt = nn.Parameter(log_uniform(d_model, dt_min, dt_max, generator))
        # Pairs (re, im) of variance 1/2 each: a complex normal of unit variance.
        self.C = nn.Parameter(torch.randn(d_model, channels, d_state // 2, 2, generator=generator) * 0.5**0.5)

    def init_state(self, batch: int) -> Tensor:
        """Return zeros of shape (batch, H, N/2), complex, in the precision of C (at least single)."""
        dtype = torch.promote_types(self.C.dtype, torch.complex64)
        return torch.zeros(batch, self.d_model, self.d_state // 2, dtype=dtype, device=self.C.device)

    def _dynamics(self, dtype: torch.dtype, rate: float) -> DiagonalDynamics:
        home, device = float64_device(self.C), self.C.device
        A = torch.complex(-self.log_decay.to(home, torch.float64).exp(), self.frequency.to(home, torch.float64))
        exponent = (self.log_dt.to(home, torch.float64).exp() * rate)[:, None] * A
        return DiagonalDynamics(
            exponent, torch.expm1(exponent) / A, torch.promote_types(dtype, torch.complex64), device
        )

    def _output_matrix(self, dtype: torch.dtype) -> Tensor:
        return torch.view_as_complex(self.C.to(dtype))

    def _read(self, state: Tensor) -> Tensor:
        C = torch.view_as_real(self._output_matrix(state.real.dtype))
        pairs = torch.view_as_real(state.resolve_conj())
        return 2 * (
            torch.einsum("bhn,hmn->bhm", pairs[..., 0], C[..., 0])
            - torch.einsum("bhn,hmn->bhm", pairs[..., 1], C[..., 1])
        )
