"""Mamba: a selective state space layer (Gu and Dao 2023, arXiv 2312.00752), in one direction and in both.

With D = expand d channels inside, N states each, K taps and R = ceil(d / 16):

    [x, z]      = u W_in
    x           = silu(causal depthwise conv_K(x) + b_c)
    [r, B, C]   = x W_x
    delta       = softplus(r W_dt + b_dt)
    h_t         = exp(delta_t A) h_{t-1} + (delta_t x_t) B_t',     A = -exp(A_log)
    out_t       = ((h_t C_t + D x_t) silu(z_t)) W_out

The recurrence is :func:`tsrec.kernels.selective_scan`. Both directions: section 1.9 of LuMamba (arXiv 2603.19100).
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from tsrec.kernels import dilated_conv, selective_scan
from tsrec.kernels.dilated_conv import dilated_conv_state, dilated_conv_step
from tsrec.kernels.selective_scan import selective_scan_step
from tsrec.layers.checks import check_counts, check_rate, check_sequences
from tsrec.layers.parameter_groups import parameter_groups
from tsrec.layers.random import Linear, default_generator
from tsrec.layers.residual import ResidualBlock, Stack

MERGES = ("add", "multiply")
# Lengths of a step at the beginning, log-uniform between the first two, none below the third.
_DT_MIN, _DT_MAX, _DT_FLOOR = 1e-3, 1e-1, 1e-4
# Before softplus: a step of no length at all, in any precision.
_NEVER = -1e4


class MambaState(NamedTuple):
    """Where a layer stands in its sequences; passed and returned, never kept.

    Attributes
    ----------
    recent : Tensor of shape (B, K - 1, D)
        The last inputs of the convolution, oldest first.
    hidden : Tensor of shape (B, D, N)
        States of the recurrence.
    """

    recent: Tensor
    hidden: Tensor


class Mamba(nn.Module):
    """One selective state space layer; a mixer.

    Parameters
    ----------
    d_model : int
        Features d.
    d_state : int, default 16
        States N of each inner channel.
    d_conv : int, default 4
        Taps K.
    expand : int, default 2
        Inner channels D, as a multiple of d.
    reverse : bool, default False
        Run from the end to the beginning. Such a layer has no state and cannot go step by step.
    generator : torch.Generator, optional
        Source of the initial values; a fresh one with seed 0 when omitted.

    Examples
    --------
    >>> layer = Mamba(4)
    >>> y, state = layer(torch.ones(2, 10, 4))
    >>> y.shape, state.hidden.shape
    (torch.Size([2, 10, 4]), torch.Size([2, 8, 16]))
    >>> y_t, state = layer.step(torch.ones(2, 4), state)
    """

    # Taps count steps.
    time_scale = False
    optimizer_options = {name: {"weight_decay": 0.0} for name in ("A_log", "D", "conv_bias", "dt_bias")}  # noqa: RUF012

    def __init__(
        self,
        d_model: int,
        *,
        d_state: int = 16,
        d_conv: int = 4,
        expand: int = 2,
        reverse: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        check_counts(d_model=d_model, d_state=d_state, d_conv=d_conv, expand=expand)
        generator = default_generator(generator)
        self.d_model, self.causal = d_model, not reverse
        inner, self.rank = expand * d_model, -(-d_model // 16)
        self.sizes = (self.rank, d_state, d_state)
        self.in_proj = Linear(d_model, 2 * inner, bias=False, generator=generator)
        bound = d_conv**-0.5
        self.conv_weight = nn.Parameter(torch.empty(inner, d_conv).uniform_(-bound, bound, generator=generator))
        self.conv_bias = nn.Parameter(torch.empty(inner).uniform_(-bound, bound, generator=generator))
        self.x_proj = Linear(inner, sum(self.sizes), bias=False, generator=generator)
        self.dt_proj = Linear(self.rank, inner, bias=False, generator=generator)
        share = torch.rand(inner, generator=generator)
        dt = torch.exp(share * math.log(_DT_MAX / _DT_MIN) + math.log(_DT_MIN)).clamp_min(_DT_FLOOR)
        # The inverse of softplus.
        self.dt_bias = nn.Parameter(dt + torch.log(-torch.expm1(-dt)))
        self.A_log = nn.Parameter(torch.arange(1.0, d_state + 1).log().repeat(inner, 1))
        self.D = nn.Parameter(torch.ones(inner))
        self.out_proj = Linear(inner, d_model, bias=False, generator=generator)

    def forward(
        self,
        x: Tensor,
        state: MambaState | None = None,
        mask: Tensor | None = None,
        *,
        rate: float = 1.0,
        return_state: bool = True,
    ) -> tuple[Tensor, MambaState | None]:
        """Map a whole sequence.

        Parameters
        ----------
        x : Tensor of shape (B, L, d)
            What stands at masked steps is not read, and may be NaN.
        state : MambaState, optional
            As returned for the sequence so far; not in reverse.
        mask : bool Tensor of shape (B, L), optional
            True where x was observed. Other steps keep the state, and enter the convolution as zeros.
        rate : float, default 1.0
            Must be 1: taps are counted in steps.
        return_state : bool, default True
            False saves the work for the state and returns None in its place.

        Returns
        -------
        y : Tensor of shape (B, L, d)
        state : MambaState or None
            None in reverse.
        """
        check_rate(rate)
        check_sequences(x, self.d_model)
        if state is not None and not self.causal:
            raise ValueError("state: found one, but this layer runs from the end. Give whole sequences.")
        absent = None if mask is None else ~mask[..., None]
        u, z = self.in_proj(x if absent is None else x.masked_fill(absent, 0.0)).chunk(2, -1)
        recent, hidden = (None, None) if state is None else state
        inner = dilated_conv(
            u, self.conv_weight, self.conv_bias, reverse=not self.causal, activation="silu", initial=recent
        )
        dt, B, C = self._selected(inner)
        dt = dt if absent is None else dt.masked_fill(absent, _NEVER)
        y, hidden = selective_scan(
            inner, dt, self._rates(), B, C, self.D, z, self.dt_bias, hidden, reverse=not self.causal
        )
        if not (return_state and self.causal):
            return self.out_proj(y), None
        return self.out_proj(y), MambaState(dilated_conv_state(u, self.conv_weight.shape[1], initial=recent), hidden)

    def step(
        self, x_t: Tensor, state: MambaState | None = None, *, rate: float = 1.0, mask: Tensor | None = None
    ) -> tuple[Tensor, MambaState]:
        """Map one step (B, d), the first one without a state; many of them equal :meth:`forward`.

        Raises
        ------
        RuntimeError
            If the layer runs from the end.
        """
        check_rate(rate)
        if not self.causal:
            raise RuntimeError("This layer runs from the end and cannot go step by step. Use reverse=False.")
        before = self.init_state(len(x_t)) if state is None else state
        assert before is not None
        absent = None if mask is None else ~mask[..., None]
        u, z = self.in_proj(x_t if absent is None else x_t.masked_fill(absent, 0.0)).chunk(2, -1)
        inner, recent = dilated_conv_step(u, self.conv_weight, self.conv_bias, before.recent, activation="silu")
        dt, B, C = self._selected(inner)
        dt = dt if absent is None else dt.masked_fill(absent, _NEVER)
        y, hidden = selective_scan_step(inner, dt, self._rates(), B, C, self.D, z, self.dt_bias, before.hidden)
        return self.out_proj(y), MambaState(recent, hidden)

    def init_state(self, batch: int) -> MambaState | None:
        """Return the state before the first step; None in reverse."""
        if not self.causal:
            return None
        inner, taps = self.conv_weight.shape
        like = self.conv_weight
        hidden = torch.zeros(batch, *self.A_log.shape, dtype=self.A_log.dtype, device=like.device)
        return MambaState(like.new_zeros(batch, taps - 1, inner), hidden)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return optimiser groups: see :func:`tsrec.layers.parameter_groups.parameter_groups`."""
        return parameter_groups(self)

    def _selected(self, inner: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Length of the step, and the weights into and out of the states, which depend on the input."""
        low, B, C = self.x_proj(inner).split(self.sizes, -1)
        return self.dt_proj(low), B, C

    def _rates(self) -> Tensor:
        return -torch.exp(self.A_log)


class BiMamba(nn.Module):
    """Two layers with weights of their own, from the beginning and from the end, merged; a mixer of whole sequences.

    Parameters
    ----------
    d_model : int
        Features d.
    merge : {"add", "multiply"}, default "add"
        How the two answers become one.
    generator : torch.Generator, optional
        Source of the initial values; a fresh one with seed 0 when omitted.
    **options
        Further parameters of :class:`Mamba`.

    Raises
    ------
    ValueError
        For an unknown way to merge.

    Examples
    --------
    >>> y, state = BiMamba(4, merge="multiply")(torch.ones(2, 10, 4))
    >>> y.shape, state
    (torch.Size([2, 10, 4]), None)
    """

    causal = time_scale = False

    def __init__(
        self, d_model: int, *, merge: str = "add", generator: torch.Generator | None = None, **options: Any
    ) -> None:
        super().__init__()
        if merge not in MERGES:
            raise ValueError(f"merge={merge!r} is not known; use one of {MERGES}.")
        generator = default_generator(generator)
        self.d_model, self.merge = d_model, merge
        self.ahead = Mamba(d_model, generator=generator, **options)
        self.back = Mamba(d_model, reverse=True, generator=generator, **options)

    def forward(
        self,
        x: Tensor,
        state: None = None,
        mask: Tensor | None = None,
        *,
        rate: float = 1.0,
        return_state: bool = True,  # noqa: ARG002 - there is none
    ) -> tuple[Tensor, None]:
        """Map a whole sequence; arguments as of :class:`Mamba`, without states."""
        if state is not None:
            raise ValueError("state: found one, but this layer reads both ways. Give whole sequences.")
        ahead, _ = self.ahead(x, None, mask, rate=rate, return_state=False)
        back, _ = self.back(x, None, mask, rate=rate, return_state=False)
        return (ahead + back if self.merge == "add" else ahead * back), None

    def step(self, *_arguments: Any, **_options: Any) -> tuple[Tensor, Any]:
        """Raise a RuntimeError: the layer reads the future."""
        raise RuntimeError("This layer reads both ways and cannot go step by step. Use Mamba.")

    def init_state(self, _batch: int) -> None:
        """Return None: there is no state."""
        return

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return optimiser groups: see :func:`tsrec.layers.parameter_groups.parameter_groups`."""
        return parameter_groups(self)


class MambaStack(Stack):
    """Pre-norm residual blocks of Mamba layers, x + M(norm(x)), with a norm at the end unless there shall be none.

    Parameters
    ----------
    d_model : int
        Features d.
    n_layers : int
        Blocks.
    bidirectional : bool, default False
        Layers of both directions: :class:`BiMamba`.
    merge : {"add", "multiply"}, default "add"
        How their two answers become one.
    final_norm : bool, default True
        Whether a layer norm closes the stack; LuMamba has none.
    dropout : float, default 0.0
        Rate on each residual branch.
    generator : torch.Generator, optional
        Source of the initial values; a fresh one with seed 0 when omitted.
    **options
        Further parameters of :class:`Mamba`, the same for all layers.

    Examples
    --------
    >>> stack = MambaStack(4, 2, d_state=8)
    >>> y, state = stack(torch.ones(2, 10, 4))
    >>> y.shape, len(state)
    (torch.Size([2, 10, 4]), 2)
    """

    def __init__(
        self,
        d_model: int,
        n_layers: int,
        *,
        bidirectional: bool = False,
        merge: str = "add",
        final_norm: bool = True,
        dropout: float = 0.0,
        generator: torch.Generator | None = None,
        **options: Any,
    ) -> None:
        generator = default_generator(generator)
        if merge not in MERGES:
            raise ValueError(f"merge={merge!r} is not known; use one of {MERGES}.")
        layers: list[nn.Module] = [
            BiMamba(d_model, merge=merge, generator=generator, **options)
            if bidirectional
            else Mamba(d_model, generator=generator, **options)
            for _ in range(n_layers)
        ]
        blocks = [ResidualBlock(layer, dropout=dropout) for layer in layers]
        super().__init__(blocks, nn.LayerNorm(d_model) if final_norm else None)
