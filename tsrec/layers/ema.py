"""Multi-dimensional damped exponential moving average (MEGA; Ma et al. 2022, arXiv 2209.10655).

Each channel is spread over h dimensions, each of which is averaged with a rate of its own, and summed up again. The
equations are those of the published code, in which damping and decay have changed letters against the paper.
"""

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from tsrec.kernels import fft_conv
from tsrec.layers.parameter_groups import OptimizerOptions
from tsrec.layers.random import default_generator


class DampedEMA(nn.Module):
    """s_t = p beta x_t + q s_{t-1}, y_t = sum(gamma s_t) / sqrt(h), with p = sig(damping), q = 1 - p sig(decay).

    A whole sequence is computed as a convolution by FFT, in float32 at least.

    Parameters
    ----------
    d_model : int
        Channels D.
    d_state : int, default 16
        Dimensions h of a channel.
    causal : bool, default True
        If False, averages of the future with weights of their own are added.
    generator : torch.Generator, optional
        Source of the initial values; a fresh one with seed 0 when omitted.

    Examples
    --------
    >>> average = DampedEMA(4)
    >>> y, state = average(torch.ones(2, 10, 4))
    >>> y.shape, state.shape
    (torch.Size([2, 10, 4]), torch.Size([2, 4, 16]))
    """

    optimizer_options: ClassVar[OptimizerOptions] = {
        name: {"weight_decay": 0.0} for name in ("damping", "decay", "beta", "gamma")
    }

    def __init__(
        self, d_model: int, d_state: int = 16, *, causal: bool = True, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        generator = default_generator(generator)
        self.d_model, self.d_state, self.causal = d_model, d_state, causal
        shape = (1 if causal else 2, d_model, d_state)
        self.damping = nn.Parameter(0.2 * torch.randn(shape, generator=generator))
        self.decay = nn.Parameter(0.2 * torch.randn(shape, generator=generator))
        signs = 1 - 2.0 * (torch.arange(d_state) % 2)
        self.beta = nn.Parameter(0.02 * torch.randn(shape, generator=generator) + signs)
        self.gamma = nn.Parameter(torch.randn(shape, generator=generator))

    def coefficients(self, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
        """Return p beta, log q and gamma / sqrt(h), each (sides, D, h)."""
        p = self.damping.to(dtype).sigmoid()
        log_q = torch.log1p(-p * self.decay.to(dtype).sigmoid())
        return p * self.beta.to(dtype), log_q, self.gamma.to(dtype) / math.sqrt(self.d_state)

    def kernel(self, length: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return the answer to an impulse at lags 0 to length - 1, (sides, D, length)."""
        b, log_q, c = self.coefficients(dtype)
        return torch.einsum("sdh,sdhl->sdl", b * c, _powers(log_q, length))

    def forward(
        self, x: Tensor, state: Tensor | None = None, mask: Tensor | None = None, *, return_state: bool = True
    ) -> tuple[Tensor, Tensor | None]:
        """Average a whole sequence.

        Parameters
        ----------
        x : Tensor of shape (B, L, D)
            What stands at masked steps is never read and may be NaN.
        state : Tensor of shape (B, D, h), optional
            As returned for the sequence so far; causal form only.
        mask : bool Tensor of shape (B, L), optional
            True where x was observed; zeros are averaged elsewhere.
        return_state : bool, default True
            False saves the work for the state and returns None in its place.

        Returns
        -------
        y : Tensor of shape (B, L, D)
        state : Tensor of shape (B, D, h), or None
            None where the future is averaged too.
        """
        if state is not None and not self.causal:
            raise ValueError("state: found one, but this average reads the future. Give whole sequences.")
        length, dtype = x.shape[1], _compute_dtype(x)
        with torch.autocast(x.device.type, enabled=False):
            u = (x if mask is None else x.masked_fill(~mask[..., None], 0.0)).to(dtype)
            b, log_q, c = self.coefficients(dtype)
            powers = _powers(log_q, length)
            kernel = torch.einsum("sdh,sdhl->sdl", b * c, powers)
            y, last = fft_conv(u, kernel[0]), None
            if not self.causal:
                y = y + fft_conv(u.flip(1), kernel[1]).flip(1)
            if state is not None:
                y = y + torch.einsum("bdh,dhl->bld", state * (c * log_q.exp())[0], powers[0])
            if return_state and self.causal:
                last = torch.einsum("bld,dhl->bdh", u, powers[0].flip(-1)) * b[0]
                last = last if state is None else last + state * (length * log_q[0]).exp()
        return y.to(x.dtype), last

    def step(self, x_t: Tensor, state: Tensor, *, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Average one step (B, D); many of them equal :meth:`forward`.

        Raises
        ------
        RuntimeError
            If the average reads the future.
        """
        if not self.causal:
            raise RuntimeError("This average reads the future and cannot go step by step. Use causal=True.")
        dtype = _compute_dtype(x_t)
        b, log_q, c = (part[0] for part in self.coefficients(dtype))
        u_t = (x_t if mask is None else x_t.masked_fill(~mask[..., None], 0.0)).to(dtype)
        state = log_q.exp() * state + b * u_t[..., None]
        return (c * state).sum(-1).to(x_t.dtype), state

    def init_state(self, batch: int) -> Tensor | None:
        """Return the state before the first step: zeros; None where the future is averaged too."""
        dtype = torch.promote_types(self.gamma.dtype, torch.float32)
        return self.gamma.new_zeros(batch, self.d_model, self.d_state, dtype=dtype) if self.causal else None


def _powers(log_q: Tensor, length: int) -> Tensor:
    """q^0 ... q^(length - 1) along a new last axis."""
    lags = torch.arange(length, dtype=log_q.dtype, device=log_q.device)
    return (log_q[..., None] * lags).exp()


def _compute_dtype(x: Tensor) -> torch.dtype:
    return torch.float64 if x.dtype == torch.float64 else torch.float32
