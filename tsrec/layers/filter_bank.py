"""Random linear filters: memories of the input at many time scales, read by random vectors and never trained.

The state of a HiPPO-LegS system (Gu et al. 2021, arXiv 2110.13985) holds the recent past, on the scale 1/dt, in N
numbers. Random read-outs of it are causal filters of many lengths and shapes, as the random convolutions of Rocket
(Dempster, Petitjean and Webb 2020, arXiv 1910.13051) and MiniRocket (arXiv 2012.08791) are, but they run step by step
in constant memory, and follow another sampling rate by dt.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from tsrec.layers.lssl import LSSL
from tsrec.layers.random import default_generator

# The shortest scale must still see the shape of single steps.
_SHORTEST = 1.0


class BankState(NamedTuple):
    """State of a filter bank.

    Attributes
    ----------
    origin : Tensor of shape (B, H)
        What is taken off the input of each copy; NaN before the first step.
    memory : Tensor of shape (B, H, N)
        States of the copies.
    """

    origin: Tensor
    memory: Tensor


class FilterBank(nn.Module):
    """H copies of one LSSL at time scales from one step to the whole length, M random read-outs each.

    Every other set of scales sees its input from where it began: an input far from zero is not a step at the start, on
    top of which everything else would be small.

    The read-outs are orthogonal to the answer to a constant and scaled to a unit response: a constant gives 0 in the
    end, white noise gives noise of about the same size. It keeps the contract of a mixer, but that D_in = H becomes
    H M.

    Parameters
    ----------
    n_scales : int
        Copies H, each with an input of its own.
    n_filters : int
        Read-outs M of each.
    length : int
        Steps of the longest scale, dt = 1 / length.
    d_state : int, default 16
        State order N.
    scales : int, default 12
        Different time scales; copies beyond them begin again with the first.
    generator : torch.Generator, optional
        Source of the read-outs; a fresh one with seed 0 when omitted.

    Examples
    --------
    >>> bank = FilterBank(3, 5, 100)
    >>> y, state = bank(torch.ones(2, 40, 3))
    >>> y.shape, [part.shape for part in state]
    (torch.Size([2, 40, 15]), [torch.Size([2, 3]), torch.Size([2, 3, 16])])
    """

    C: Tensor
    relative: Tensor

    def __init__(
        self,
        n_scales: int,
        n_filters: int,
        length: int,
        *,
        d_state: int = 16,
        scales: int = 12,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        generator = default_generator(generator)
        self.d_model, self.n_outputs = n_scales, n_scales * n_filters
        # Its outputs are its states: as many channels as states, read one by one.
        self.memory = LSSL(n_scales, d_state=d_state, channels=d_state, fixed=True, generator=generator)
        self.memory.output = nn.Identity()  # type: ignore[assignment]
        steps = torch.linspace(math.log(min(1 / length, _SHORTEST)), math.log(_SHORTEST), scales)
        steps = steps.repeat(-(-n_scales // scales))[:n_scales]
        self.memory.log_dt.copy_(steps)
        self.register_buffer("relative", (torch.arange(n_scales) // scales % 2).float())
        self.memory.C.data.copy_(torch.eye(d_state).expand(n_scales, -1, -1))
        self.memory.D.data.zero_()
        self.requires_grad_(False)
        draws = torch.randn(n_scales, n_filters, d_state, dtype=torch.float64, generator=generator)
        self.register_buffer("C", self._unit(draws).float())

    @torch.no_grad()
    def _unit(self, C: Tensor) -> Tensor:
        """Take the answer to a constant out of read-outs (H, M, N); give each a response of norm 1 to an impulse."""
        Ab, Bb = self.memory.discrete()
        steady = torch.linalg.solve(torch.eye(C.shape[-1], dtype=C.dtype) - Ab, Bb[..., None])
        steady = steady / torch.linalg.norm(steady, dim=1, keepdim=True)
        C = C - (C @ steady) * steady.mT
        # The Gramian sum Ab^k Bb Bb' Ab'^k by doubling: |C Ab^k Bb|^2 summed over k is C G C'.
        G, power = Bb[..., None] * Bb[:, None], Ab
        for _ in range(40):
            G, power = G + power @ G @ power.mT, power @ power
        return C / ((C @ G) * C).sum(-1, keepdim=True).clamp_min(1e-24).sqrt()

    def forward(
        self,
        x: Tensor,
        state: BankState | None = None,
        mask: Tensor | None = None,
        *,
        rate: float = 1.0,
        return_state: bool = True,
    ) -> tuple[Tensor, BankState | None]:
        """Filter a whole sequence: (B, L, H) -> (B, L, H M); arguments as a mixer takes them."""
        origin = self._origin(x, None if state is None else state.origin, mask)
        inner = None if state is None else state.memory
        states, last = self.memory.filter(
            x - origin.nan_to_num()[:, None], inner, mask, rate=rate, return_state=return_state
        )
        return self._read(states), None if last is None else BankState(origin, last)

    def step(
        self, x_t: Tensor, state: BankState, *, rate: float = 1.0, mask: Tensor | None = None
    ) -> tuple[Tensor, BankState]:
        """Filter one step: (B, H) -> (B, H M)."""
        origin = self._origin(x_t[:, None], state.origin, None if mask is None else mask[:, None])
        u_t = x_t - origin.nan_to_num()
        if mask is not None:
            u_t = u_t.masked_fill(~mask[..., None], 0.0)
        memory = self.memory._dynamics(state.memory.dtype, rate).step(u_t.to(state.memory.dtype), state.memory)
        return self._read(memory[:, None])[:, 0].to(x_t.dtype), BankState(origin, memory)

    def init_state(self, batch: int) -> BankState:
        """Return the state of `batch` sequences before their first step."""
        memory = self.memory.init_state(batch)
        return BankState(torch.full_like(memory[..., 0], torch.nan), memory)

    def _origin(self, x: Tensor, origin: Tensor | None, mask: Tensor | None) -> Tensor:
        """Where sequences began: the first observed step, unless they have begun; NaN where nothing was observed."""
        first = x[:, 0]
        if mask is not None:
            first = x[torch.arange(len(x), device=x.device), mask.int().argmax(1)]
        began = torch.where(self.relative > 0, first, 0.0)
        if mask is not None:
            began = began.masked_fill(~mask.any(1, keepdim=True), torch.nan)
        return began if origin is None else torch.where(origin.isnan(), began, origin.to(x.dtype))

    def _read(self, states: Tensor) -> Tensor:
        """Read-outs (B, L, H M) of states (B, L, H, N): one product per copy."""
        B, L, H, N = states.shape
        y = states.reshape(B * L, H, N).transpose(0, 1) @ self.C.to(states.dtype).mT
        return y.transpose(0, 1).reshape(B, L, self.n_outputs)
