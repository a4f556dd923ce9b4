"""Random filters whose time runs faster or slower with what they see: selective state spaces, never trained.

A chain of N averages, each of which follows what the one before it lets through, the first one the input (u_1 = x):

    h_n[t]     = a_t h_n[t-1] + (1 - a_t) u_n[t]
    u_{n+1}[t] = (1 + a_t) h_n[t-1] - a_t u_n[t]

Where a is the same at all steps, what is let through is of the size of the input at every frequency, and the averages
are a memory of the recent past in orthogonal functions, those of Laguerre. The selection of Mamba (Gu and Dao 2023,
arXiv 2312.00752) makes a depend on the input: a step has the length

    delta_t = dt softplus(w x_t + c),     softplus(c) = 1,     a_t = exp(-delta_t),

with a random w for each chain. Where x is large, a chain with w > 0 forgets fast, and one with w < 0 holds what it has.
The averages are scans, :func:`tsrec.kernels.selective_scan`.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from tsrec.kernels import selective_scan
from tsrec.layers.filter_bank import ReadOuts
from tsrec.layers.random import default_generator

# What softplus takes to 1.
_ONE = math.log(math.expm1(1.0))
# Lengths of a step at the longest scale, in units of 1 / length, and at the shortest, where averages are mere delays.
_LONGEST, _SHORTEST = 8.0, 4.0
# A step of no length moves nothing, whatever its share is divided by.
_LEAST = 1e-12


class SelectiveChains(nn.Module):
    """H chains of N averages each, with an input, a time scale and a selection of their own; the memory of a bank.

    Parameters
    ----------
    dt : Tensor of shape (H,)
        Lengths of a step where the input is zero.
    weight : Tensor of shape (H,)
        What selection multiplies the input by: w.
    d_state : int
        Averages N of each chain.
    """

    log_dt: Tensor
    weight: Tensor

    def __init__(self, dt: Tensor, weight: Tensor, d_state: int) -> None:
        super().__init__()
        self.d_model, self.d_state = len(dt), d_state
        self.register_buffer("log_dt", dt.log())
        self.register_buffer("weight", weight)

    def filter(
        self,
        x: Tensor,
        state: Tensor | None = None,
        mask: Tensor | None = None,
        *,
        rate: float = 1.0,
        return_state: bool = True,
    ) -> tuple[Tensor, Tensor | None]:
        """Return the states of all steps (B, L, H, N), and the last; arguments as a mixer takes them."""
        u, delta = self._lengths(x, mask, rate)
        a, share = torch.exp(-delta), -torch.expm1(-delta) / delta.clamp_min(_LEAST)
        rates, one = -delta.new_ones(self.d_model, 1), delta.new_ones(1, 1, 1).expand(*x.shape[:2], 1)
        start = self.init_state(x.shape[0]).to(u.dtype) if state is None else state
        states, last = [], []
        for h0 in start.split(1, 2):
            h, end = selective_scan(u * share, delta, rates, one, one, h0=h0, softplus=False)
            u = torch.lerp(torch.cat((h0.mT.to(h.dtype), h[:, :-1]), 1), u, -a)
            states.append(h)
            last.append(end)
        return torch.stack(states, -1), torch.cat(last, 2) if return_state else None

    def filter_step(
        self, x_t: Tensor, state: Tensor, *, rate: float = 1.0, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the states (B, H, N) after one step, twice."""
        u, delta = self._lengths(x_t, mask, rate)
        a, states = torch.exp(-delta), []
        for h in state.to(u.dtype).unbind(2):
            states.append(torch.lerp(u, h, a))
            u = torch.lerp(h, u, -a)
        found = torch.stack(states, -1)
        return found, found

    def init_state(self, batch: int) -> Tensor:
        """Return zeros of shape (batch, H, N)."""
        return self.log_dt.new_zeros(batch, self.d_model, self.d_state)

    def _lengths(self, x: Tensor, mask: Tensor | None, rate: float) -> tuple[Tensor, Tensor]:
        """The input, zero where it is masked, and the lengths of its steps, which are zero there."""
        absent = None if mask is None else ~mask[..., None]
        u = x if absent is None else x.masked_fill(absent, 0.0)
        selected = functional.softplus(u * self.weight + _ONE, threshold=40)
        delta = rate * torch.exp(self.log_dt) * selected
        return u, delta if absent is None else delta.masked_fill(absent, 0.0)


class SelectiveBank(ReadOuts):
    """H selective chains at time scales from one step to the whole length, M random read-outs each.

    A constant gives 0 in the end; read-outs have unit response where nothing is selected.

    Parameters
    ----------
    n_scales : int
        Chains H, each with an input of its own.
    n_filters : int
        Read-outs M of each.
    length : int
        Steps of the longest scale.
    d_state : int, default 16
        States N of a chain.
    selection : float, default 0.4
        Size of the random weights of the input in the lengths of steps; 0 gives linear filters.
    scales : int, default 12
        Different time scales; chains beyond them begin again with the first.
    generator : torch.Generator, optional
        Source of weights and read-outs; a fresh one with seed 0 when omitted.

    Examples
    --------
    >>> bank = SelectiveBank(3, 5, 100)
    >>> y, state = bank(torch.ones(2, 40, 3))
    >>> y.shape, state.shape
    (torch.Size([2, 40, 15]), torch.Size([2, 3, 16]))
    """

    def __init__(
        self,
        n_scales: int,
        n_filters: int,
        length: int,
        *,
        d_state: int = 16,
        selection: float = 0.4,
        scales: int = 12,
        generator: torch.Generator | None = None,
    ) -> None:
        generator = default_generator(generator)
        dt = torch.linspace(math.log(min(_LONGEST / length, _SHORTEST)), math.log(_SHORTEST), scales).exp()
        weight = selection * torch.randn(n_scales, generator=generator)
        chains = SelectiveChains(dt.repeat(-(-n_scales // scales))[:n_scales], weight, d_state)
        a = torch.exp(-chains.log_dt.double().exp())[:, None, None]
        steady = a.new_ones(n_scales, d_state)
        gramian = (1 - a) / (1 + a) * torch.eye(d_state, dtype=a.dtype)
        super().__init__(chains, steady, gramian, n_filters, scales, generator)
