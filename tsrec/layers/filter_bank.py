"""Random linear filters: memories of the input at many time scales, read by random vectors and never trained.

The state of a HiPPO-LegS system (Gu et al. 2021, arXiv 2110.13985) holds the recent past, on the scale 1/dt, in N
numbers. Random read-outs of it are causal filters of many lengths and shapes, as the random convolutions of Rocket
(Dempster, Petitjean and Webb 2020, arXiv 1910.13051) and MiniRocket (arXiv 2012.08791) are, but they run step by step
in constant memory, and follow another sampling rate by dt.
"""

import math

import torch
from torch import Tensor, nn

from tsrec.layers.lssl import LSSL
from tsrec.layers.random import default_generator

# The shortest scale must still see the shape of single steps.
_SHORTEST = 1.0


class FilterBank(nn.Module):
    """H copies of one LSSL at time scales from one step to the whole length, M random read-outs each.

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
    >>> y.shape, state.shape
    (torch.Size([2, 40, 15]), torch.Size([2, 3, 16]))
    """

    C: Tensor

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
        self.d_model, self.n_outputs, self.scales = n_scales, n_scales * n_filters, scales
        # Its outputs are its states: as many channels as states, read one by one.
        self.memory = LSSL(n_scales, d_state=d_state, channels=d_state, fixed=True, generator=generator)
        self.memory.output = nn.Identity()  # type: ignore[assignment]
        steps = torch.linspace(math.log(min(1 / length, _SHORTEST)), math.log(_SHORTEST), scales)
        steps = steps.repeat(-(-n_scales // scales))[:n_scales]
        self.memory.log_dt.copy_(steps)
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
        state: Tensor | None = None,
        mask: Tensor | None = None,
        *,
        rate: float = 1.0,
        return_state: bool = True,
    ) -> tuple[Tensor, Tensor | None]:
        """Filter a whole sequence: (B, L, H) -> (B, L, H M); arguments as a mixer takes them."""
        states, last = self.memory.filter(x, state, mask, rate=rate, return_state=return_state)
        return self._read(states), last

    def step(
        self, x_t: Tensor, state: Tensor, *, rate: float = 1.0, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Filter one step: (B, H) -> (B, H M)."""
        states, state = self.memory.filter_step(x_t, state, rate=rate, mask=mask)
        return self._read(states[:, None])[:, 0], state

    def init_state(self, batch: int) -> Tensor:
        """Return the state of `batch` sequences before their first step, (B, H, N)."""
        return self.memory.init_state(batch)

    def _read(self, states: Tensor) -> Tensor:
        """Read-outs (B, L, H M) of states (B, L, H, N): one product per copy."""
        B, L, H, N = states.shape
        with torch.autocast(states.device.type, enabled=False):
            y = states.reshape(B * L, H, N).transpose(0, 1) @ self.C.to(states.dtype).mT
        return y.transpose(0, 1).reshape(B, L, self.n_outputs)
