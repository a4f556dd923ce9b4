"""Random linear filters: memories of the input at many time scales, read by random vectors and never trained.

The state of a HiPPO-LegS system (Gu et al. 2021, arXiv 2110.13985) holds the recent past, on the scale 1/dt, in N
numbers. Random read-outs of it are causal filters of many lengths and shapes, as the random dilated convolutions of
Rocket (Dempster, Petitjean and Webb 2020, arXiv 1910.13051) and MiniRocket (arXiv 2012.08791) are, but they run step by
step in constant memory, and follow another sampling rate by dt. Both kinds are here.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

from tsrec.layers.checks import check_rate
from tsrec.layers.lssl import LSSL
from tsrec.layers.random import default_generator
from tsrec.layers.residual import promises

# The shortest scale must still see the shape of single steps.
_SHORTEST = 1.0
# Copies of few and of many channels.
_LEAST_COPIES, _MOST_COPIES = 24, 48


def copies_for(n_channels: int) -> int:
    """Return how many memories so many channels want: two sets of twelve time scales, more for many channels.

    Examples
    --------
    >>> copies_for(1), copies_for(10), copies_for(100)
    (24, 40, 48)
    """
    return min(max(_LEAST_COPIES, 4 * n_channels), _MOST_COPIES)


class ReadOuts(nn.Module):
    """M random read-outs of each of H memories with N states: the contract of a mixer, but that D = H becomes H M.

    The read-outs are orthogonal to the answer to a constant and scaled to a unit response: a constant gives 0 in the
    end, white noise gives noise of about the same size.

    Parameters
    ----------
    memory : nn.Module
        With ``d_model`` (H), ``filter``, ``filter_step`` and ``init_state``: see :class:`DilatedTaps`.
    steady : Tensor of shape (H, N), float64
        What the memories hold when the input has been 1 for ever.
    gramian : Tensor of shape (H, N, N), float64
        Sum of the outer products of what they hold after an impulse, over all steps.
    n_filters : int
        M.
    scales : int
        Different time scales; copies beyond them begin again with the first.
    generator : torch.Generator
        Source of the read-outs.
    """

    C: Tensor

    def __init__(
        self,
        memory: nn.Module,
        steady: Tensor,
        gramian: Tensor,
        n_filters: int,
        scales: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        n_scales, d_state = steady.shape
        self.memory, self.scales = memory, scales
        self.d_model, self.n_outputs = n_scales, n_scales * n_filters
        _, self.time_scale = promises(memory)
        self.requires_grad_(False)
        C = torch.randn(n_scales, n_filters, d_state, dtype=torch.float64, generator=generator)
        steady = steady[..., None] / torch.linalg.norm(steady, dim=1)[:, None, None]
        C = C - (C @ steady) * steady.mT
        size = ((C @ gramian) * C).sum(-1, keepdim=True).clamp_min(1e-24).sqrt()
        self.register_buffer("C", (C / size).float())

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
        states, last = self.memory.filter(x, state, mask, rate=rate, return_state=return_state)  # type: ignore[operator]
        return self._read(states), last

    def step(
        self, x_t: Tensor, state: Tensor, *, rate: float = 1.0, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Filter one step: (B, H) -> (B, H M)."""
        states, state = self.memory.filter_step(x_t, state, rate=rate, mask=mask)  # type: ignore[operator]
        return self._read(states[:, None])[:, 0], state

    def init_state(self, batch: int) -> Tensor:
        """Return the state of `batch` sequences before their first step, (B, H, N)."""
        return self.memory.init_state(batch)  # type: ignore[operator]

    def _read(self, states: Tensor) -> Tensor:
        """Read-outs (B, L, H M) of states (B, L, H, N): one product per copy."""
        B, L, H, N = states.shape
        with torch.autocast(states.device.type, enabled=False):
            y = states.reshape(B * L, H, N).transpose(0, 1) @ self.C.to(states.dtype).mT
        return y.transpose(0, 1).reshape(B, L, self.n_outputs)


class FilterBank(ReadOuts):
    """H copies of one LSSL at time scales from one step to the whole length, M random read-outs each.

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
        generator = default_generator(generator)
        # Its outputs are its states: as many channels as states, read one by one.
        memory = LSSL(n_scales, d_state=d_state, channels=d_state, fixed=True, generator=generator)
        memory.output = nn.Identity()  # type: ignore[assignment]
        steps = torch.linspace(math.log(min(1 / length, _SHORTEST)), math.log(_SHORTEST), scales)
        memory.log_dt.copy_(steps.repeat(-(-n_scales // scales))[:n_scales])
        memory.C.data.copy_(torch.eye(d_state).expand(n_scales, -1, -1))
        memory.D.data.zero_()
        super().__init__(memory, *_answers(memory), n_filters, scales, generator)


@torch.no_grad()
def _answers(memory: LSSL) -> tuple[Tensor, Tensor]:
    """What the states come to under a constant, and the Gramian sum Ab^k Bb Bb' Ab'^k by doubling."""
    Ab, Bb = memory.discrete()
    steady = torch.linalg.solve(torch.eye(Ab.shape[-1], dtype=Ab.dtype) - Ab, Bb[..., None])[..., 0]
    G, power = Bb[..., None] * Bb[:, None], Ab
    for _ in range(40):
        G, power = G + power @ G @ power.mT, power @ power
    return steady, G


class DilatedTaps(nn.Module):
    """What stood K inputs apart by a dilation: of each of H inputs with a dilation of its own.

    Parameters
    ----------
    dilations : list of int
        Of each input.
    kernel_size : int
        Taps K.
    """

    time_scale = False
    _like: Tensor
    _next: Tensor
    _taps: Tensor

    def __init__(self, dilations: list[int], kernel_size: int) -> None:
        super().__init__()
        self.d_model, self.dilations, self.kernel_size = len(dilations), dilations, kernel_size
        self.reaches = [(kernel_size - 1) * d for d in dilations]
        self.register_buffer("_like", torch.zeros(0), persistent=False)
        # Of the inputs kept, one input after the other, oldest first, and the H present ones behind them: which are
        # kept for the next step, and which are the taps of this one.
        ends = torch.tensor(self.reaches).cumsum(0).tolist()
        present = [ends[-1] + h for h in range(self.d_model)]
        lines = [[*range(end - reach, end), now] for end, reach, now in zip(ends, self.reaches, present, strict=True)]
        self.register_buffer("_next", torch.tensor([at for line in lines for at in line[1:]]), persistent=False)
        taps = [line[::d] for line, d in zip(lines, dilations, strict=True)]
        self.register_buffer("_taps", torch.tensor(taps), persistent=False)

    def filter(
        self,
        x: Tensor,
        state: Tensor | None = None,
        mask: Tensor | None = None,
        *,
        rate: float = 1.0,
        return_state: bool = True,
    ) -> tuple[Tensor, Tensor | None]:
        """Return the taps (B, L, H, K), latest last, and the state; arguments as a mixer takes them."""
        check_rate(rate)
        u = x if mask is None else x.masked_fill(~mask[..., None], 0.0)
        if torch.compiler.is_compiling() and state is None and not return_state:
            return self._gathered(u), None
        before = (u.new_zeros(u.shape[0], 1).expand(-1, sum(self.reaches)) if state is None else state).to(u.dtype)
        lines = [torch.cat(parts, 1) for parts in zip(before.split(self.reaches, 1), u.unbind(2), strict=True)]
        taps = torch.stack([self._windows(line, d) for line, d in zip(lines, self.dilations, strict=True)], 2)
        if not return_state:
            return taps, None
        # A view would keep the whole sequence alive.
        return taps, torch.cat([line[:, u.shape[1] :] for line in lines], 1)

    def filter_step(
        self, x_t: Tensor, state: Tensor, *, rate: float = 1.0, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the taps (B, H, K) of one step, and the state."""
        check_rate(rate)
        u_t = x_t if mask is None else x_t.masked_fill(~mask[..., None], 0.0)
        known = torch.cat((state.to(u_t.dtype), u_t), 1)
        return known[:, self._taps], known.index_select(1, self._next)

    def init_state(self, batch: int) -> Tensor:
        """Return zeros of shape (batch, sum of the reaches): what each input will be asked for."""
        return self._like.new_zeros(batch, sum(self.reaches))

    def _gathered(self, u: Tensor) -> Tensor:
        """All taps of whole sequences (B, L, H) at once: for graphs, which know no strides and are to be small."""
        reach = max(self.reaches)
        taps_back = torch.arange(self.kernel_size - 1, -1, -1, device=u.device)
        back = torch.tensor(self.dilations, device=u.device)[:, None] * taps_back
        steps = reach + torch.arange(u.shape[1], device=u.device)[:, None, None] - back
        at = steps * self.d_model + torch.arange(self.d_model, device=u.device)[:, None]
        taps = nn.functional.pad(u, (0, 0, reach, 0)).flatten(1).index_select(1, at.flatten())
        return taps.unflatten(1, at.shape)

    def _windows(self, line: Tensor, dilation: int) -> Tensor:
        """The taps of all steps of one input, (B, L, K), as a view."""
        length = line.shape[1] - (self.kernel_size - 1) * dilation
        rows, steps = line.stride()
        return line.as_strided((len(line), length, self.kernel_size), (rows, steps, dilation * steps))


class ConvolutionBank(ReadOuts):
    """H inputs, M random convolutions of K taps each, dilated from neighbouring steps to the whole length.

    Parameters
    ----------
    n_scales, n_filters : int
        H and M.
    length : int
        Steps that the longest convolutions span.
    kernel_size : int, default 9
        Taps K.
    scales : int, default 12
        Different dilations at most; inputs beyond them begin again with the first.
    generator : torch.Generator, optional
        Source of the weights; a fresh one with seed 0 when omitted.

    Examples
    --------
    >>> bank = ConvolutionBank(3, 5, 100, scales=3)
    >>> y, state = bank(torch.ones(2, 40, 3))
    >>> bank.memory.dilations, y.shape, state.shape
    ([1, 3, 12], torch.Size([2, 40, 15]), torch.Size([2, 128]))
    """

    def __init__(
        self,
        n_scales: int,
        n_filters: int,
        length: int,
        *,
        kernel_size: int = 9,
        scales: int = 12,
        generator: torch.Generator | None = None,
    ) -> None:
        longest = max((length - 1) // (kernel_size - 1), 1)
        dilations = [round(longest ** (i / max(scales - 1, 1))) for i in range(scales)]
        taps = DilatedTaps([dilations[h % scales] for h in range(n_scales)], kernel_size)
        ones = torch.ones(n_scales, kernel_size, dtype=torch.float64)
        identity: Any = torch.eye(kernel_size, dtype=torch.float64).expand(n_scales, -1, -1)
        super().__init__(taps, ones, identity, n_filters, scales, default_generator(generator))
