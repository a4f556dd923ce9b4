"""What all time-invariant state-space mixers share: convolution form, stepping, and the output map.

The layer of Gu et al. 2021 (arXiv 2110.13985, Appendix B.4): y = SSM(u) with M channels per feature, then GELU,
dropout, and an affine map from H M values back to H.
"""

import math
from abc import ABC, abstractmethod
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from tsrec.kernels import fft_conv
from tsrec.layers.checks import check_sequences
from tsrec.layers.parameter_groups import parameter_groups
from tsrec.layers.random import Dropout, Linear


class Dynamics(Protocol):
    """A discretised linear system with H copies; shapes as in :class:`tsrec.layers.krylov.DenseDynamics`."""

    def kernel(self, C: Tensor, length: int) -> Tensor: ...  # noqa: D102

    def response(self, C: Tensor, state: Tensor, length: int) -> Tensor: ...  # noqa: D102

    def final_state(self, u: Tensor, state: Tensor | None) -> Tensor: ...  # noqa: D102

    def step(self, u_t: Tensor, state: Tensor) -> Tensor: ...  # noqa: D102


class StateSpaceMixer(nn.Module, ABC):
    """A causal mixer y = Linear(dropout(GELU(C x + D u))) over x[t] = Ab x[t-1] + Bb u[t].

    Subclasses provide the dynamics, the output matrix C and the initial state. State is passed and returned, never
    kept.

    Parameters
    ----------
    d_model : int
        Features H, each with its own copy of the system.
    channels : int
        Outputs M per feature.
    dropout : float
        Rate between activation and output map.
    generator : torch.Generator
        Source of the initial values.
    """

    def __init__(self, d_model: int, channels: int, dropout: float, generator: torch.Generator) -> None:
        super().__init__()
        self.d_model, self.channels = d_model, channels
        self.D = nn.Parameter(torch.randn(d_model, channels, generator=generator))
        self.dropout = Dropout(dropout)
        self.output = Linear(d_model * channels, d_model, generator=generator)

    @abstractmethod
    def init_state(self, batch: int) -> Tensor:
        """Return the state before the first step: zeros for `batch` sequences."""

    @abstractmethod
    def _dynamics(self, dtype: torch.dtype, rate: float) -> Dynamics:
        """Discretise in float64, return the step in `dtype` (real), at dt * rate."""

    @abstractmethod
    def _read(self, state: Tensor) -> Tensor:
        """Return C x, of shape (B, H, M), for states of B sequences."""

    @abstractmethod
    def _output_matrix(self, dtype: torch.dtype) -> Tensor:
        """Return C in the form that the dynamics take."""

    def forward(
        self,
        x: Tensor,
        state: Tensor | None = None,
        mask: Tensor | None = None,
        *,
        rate: float = 1.0,
        return_state: bool = True,
    ) -> tuple[Tensor, Tensor | None]:
        """Map a whole sequence, by convolution.

        Parameters
        ----------
        x : Tensor of shape (B, L, D)
            Input, L >= 1. What stands at masked steps is never read and may be NaN.
        state : Tensor, optional
            As returned for the sequence so far; zeros when omitted.
        mask : bool Tensor of shape (B, L), optional
            True where x was observed. A masked step moves time on without an input, so that left padding leaves the
            state at zero.
        rate : float, default 1.0
            Time scale: the step size dt is multiplied by it (2 for a signal sampled half as often).
        return_state : bool, default True
            False saves the work for the last state and returns None in its place.

        Returns
        -------
        y : Tensor of shape (B, L, D)
        state : Tensor or None
            State after the last step.
        """
        y, last = self.filter(x, state, mask, rate=rate, return_state=return_state)
        return self._mix(y), last

    def filter(
        self,
        x: Tensor,
        state: Tensor | None = None,
        mask: Tensor | None = None,
        *,
        rate: float = 1.0,
        return_state: bool = True,
    ) -> tuple[Tensor, Tensor | None]:
        """Return C x + D u alone, of shape (B, L, H, M), and the state; arguments as in :meth:`forward`."""
        check_sequences(x, self.d_model)
        if mask is not None:
            x = x.masked_fill(~mask[..., None], 0.0)
        dtype = _compute_dtype(x)
        with torch.autocast(x.device.type, enabled=False):
            u = x.to(dtype)
            kept = self._buffers.get("kept")
            if kept is not None and not return_state and (state, rate, kept.shape[2]) == (None, 1, x.shape[1]):
                return fft_conv(u, kept.to(dtype), self.D.to(dtype)).to(x.dtype), None
            dynamics = self._dynamics(dtype, rate)
            C = self._output_matrix(dtype)
            y = fft_conv(u, dynamics.kernel(C, x.shape[1]), self.D.to(dtype))
            if state is not None:
                y = y + dynamics.response(C, state, x.shape[1])
            last = dynamics.final_state(u, state) if return_state else None
        return y.to(x.dtype), last

    def step(
        self, x_t: Tensor, state: Tensor, *, rate: float = 1.0, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Map one step; many steps equal :meth:`forward`.

        Parameters
        ----------
        x_t : Tensor of shape (B, D)
        state : Tensor
            As returned by :meth:`init_state`, :meth:`forward` or :meth:`step`.
        rate : float, default 1.0
            As in :meth:`forward`.
        mask : bool Tensor of shape (B,), optional
            True where x_t was observed.

        Returns
        -------
        y_t : Tensor of shape (B, D)
        state : Tensor
        """
        y_t, state = self.filter_step(x_t, state, rate=rate, mask=mask)
        return self._mix(y_t), state

    def filter_step(
        self, x_t: Tensor, state: Tensor, *, rate: float = 1.0, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return C x + D u alone, of shape (B, H, M), and the state; arguments as in :meth:`step`."""
        if mask is not None:
            x_t = x_t.masked_fill(~mask[..., None], 0.0)
        dtype = _compute_dtype(x_t)
        with torch.autocast(x_t.device.type, enabled=False):
            u_t = x_t.to(dtype)
            state = self._dynamics(dtype, rate).step(u_t, state)
            y_t = self._read(state) + self.D.to(dtype) * u_t[..., None]
        return y_t.to(x_t.dtype), state

    @torch.no_grad()
    def keep_kernel(self, length: int) -> None:
        """Hold the kernel of whole sequences of this length, so that graphs need not make it from its parameters.

        Parameters
        ----------
        length : int
            Steps L; sequences of other lengths are mapped as before.
        """
        kernel = self._dynamics(torch.float32, 1.0).kernel(self._output_matrix(torch.float32), length)
        self.register_buffer("kept", kernel.contiguous())

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return optimiser groups: see :func:`tsrec.layers.parameter_groups.parameter_groups`."""
        return parameter_groups(self)

    def _mix(self, y: Tensor) -> Tensor:
        return self.output(self.dropout(functional.gelu(y)).flatten(-2))


def log_uniform(size: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    """Draw log dt for `size` features, uniform between log low and log high (arXiv 2110.13985, Appendix B.3)."""
    if not 0 < low <= high:
        raise ValueError(f"dt_min and dt_max must satisfy 0 < dt_min <= dt_max, got {low} and {high}.")
    draws = torch.rand(size, dtype=torch.float64, generator=generator)
    return (math.log(low) + draws * math.log(high / low)).float()


def float64_device(tensor: Tensor) -> torch.device:
    """Return where float64 work for `tensor` can run: Apple GPUs have no float64, so the CPU stands in for them."""
    return torch.device("cpu") if tensor.device.type == "mps" else tensor.device


def _compute_dtype(x: Tensor) -> torch.dtype:
    return torch.float64 if x.dtype == torch.float64 else torch.float32
