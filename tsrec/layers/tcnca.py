"""TCNCA: dilated temporal convolutions with chunked attention, and MEGA, whose average they replace.

Terzic, Hersche, Karunaratne, Benini, Sebastian and Rahimi 2023 (arXiv 2312.05605) exchange the moving average of MEGA
(Ma et al. 2022, arXiv 2209.10655) for a dilated temporal convolution network. The gated attention follows MEGA's
published code. The inside of the network and the simplified form are reconstructed from the abstract; what is not
settled there is a parameter (see `tcn` of :class:`TCNCA`, and its `gated` and `gain`).
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from tsrec.layers.checks import check_rate, check_sequences
from tsrec.layers.chunked_attention import AttentionState, ChunkedAttention
from tsrec.layers.ema import DampedEMA
from tsrec.layers.gated_attention import FeedForward, GatedAttention, PlainAttention, make_norm
from tsrec.layers.parameter_groups import parameter_groups
from tsrec.layers.random import default_generator
from tsrec.layers.residual import Stack
from tsrec.layers.tcn import TCN, stages_for

# Parameters of the convolutions that are not parameters of the layer.
_NETWORK = ("stages", "convolutions", "activation", "residual", "dense", "weight_norm", "form")


class TCNCAState(NamedTuple):
    """Where a layer stands in its sequences; passed and returned, never kept.

    Attributes
    ----------
    memory : tuple of Tensor, or Tensor
        State of the convolutions (or of the average).
    attention : AttentionState
        What the current chunk has shown.
    """

    memory: Any
    attention: AttentionState


class TCNCA(nn.Module):
    """One layer: memory and attention, then a feed-forward net, each with norm and residual path; a mixer.

    Parameters
    ----------
    d_model : int
        Features D.
    d_key, d_value, d_hidden : int, optional
        Widths of queries and keys (D / 2), of values (2 D), and inside the feed-forward net (2 D).
    chunk : int, default 64
        Steps c of the chunks that attention stays in.
    reach : int, default 1024
        Steps that the convolutions see at least, with their own, on each side that they read; at least `chunk`. They
        have as many stages as it takes.
    kernel_size, base : int, optional
        Taps K and factor f between dilations; 4 and K, but 5 and (K + 1) / 2 in the symmetric form: with a larger f
        some steps near an end would be reached by way of others beyond it only, and there are none.
    causal : bool, default True
        Whether no step depends on a later one. If False, there is no state and no going step by step.
    gated : bool, default True
        MEGA's gated attention, or the simplified form: :class:`GatedAttention` or :class:`PlainAttention`.
    ema : bool, default False
        MEGA itself: a damped moving average of 16 dimensions in the place of the convolutions, whose parameters then
        count for nothing.
    attention : {"softmax", "laplace", "relu2"}, default "softmax"
        See :class:`tsrec.layers.chunked_attention.ChunkedAttention`.
    bias : {"simple", "rotary"} or None, default "simple"
        See :class:`tsrec.layers.chunked_attention.RelativeBias`.
    gain : bool, default True
        Whether omega Xn is added to the memory, and SiLU follows (gated form only).
    norm : {"layer", "rms", "scale"}, default "layer"
        Batch norm, which MEGA also has, would let series of a batch act on each other.
    prenorm : bool, default True
        Normalise what enters a branch, or the sum.
    dropout : float, default 0.0
        Rate in all branches; draws come from the ``generator`` of each :class:`tsrec.layers.random.Dropout`, which
        training sets.
    anchor : int, optional
        Length of sequences whose chunks are counted from their end.
    tcn : dict, optional
        Further choices of :class:`tsrec.layers.tcn.TCN`, all of them reconstruction: `convolutions`, `activation`,
        `residual`, `dense`, `weight_norm`, `form` ("symmetric" or "two-sided" if not causal), and `stages`.
    generator : torch.Generator, optional
        Source of the initial values; a fresh one with seed 0 when omitted.

    Raises
    ------
    ValueError
        For unknown choices, and where the convolutions do not reach as far as they must.

    Examples
    --------
    >>> layer = TCNCA(4, chunk=4, reach=16)
    >>> y, state = layer(torch.ones(2, 10, 4))
    >>> y.shape, layer.memory.receptive_field
    (torch.Size([2, 10, 4]), 16)
    >>> y_t, state = layer.step(torch.ones(2, 4), state)
    """

    time_scale = False

    def __init__(
        self,
        d_model: int,
        *,
        d_key: int | None = None,
        d_value: int | None = None,
        d_hidden: int | None = None,
        chunk: int = 64,
        reach: int = 1024,
        kernel_size: int | None = None,
        base: int | None = None,
        causal: bool = True,
        gated: bool = True,
        ema: bool = False,
        attention: str = "softmax",
        bias: str | None = "simple",
        gain: bool = True,
        norm: str = "layer",
        prenorm: bool = True,
        dropout: float = 0.0,
        anchor: int | None = None,
        tcn: dict[str, Any] | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        generator = default_generator(generator)
        for name, flag in {"causal": causal, "gated": gated, "ema": ema, "gain": gain, "prenorm": prenorm}.items():
            if not isinstance(flag, bool):
                raise ValueError(f"{name} must be True or False, got {flag!r}.")
        if ema and tcn:
            raise ValueError(f"tcn: found {tcn}, but with ema=True there are no convolutions.")
        d_key = max(d_model // 2, 1) if d_key is None else d_key
        d_value, d_hidden = (2 * d_model if width is None else width for width in (d_value, d_hidden))
        self.d_model, self.causal = d_model, causal
        if ema:
            self.memory: nn.Module = DampedEMA(d_model, causal=causal, generator=generator)
        else:
            self.memory = _network(d_model, chunk, reach, kernel_size, base, causal, tcn or {}, generator)
        self.attention = ChunkedAttention(
            d_key, d_value, chunk, function=attention, bias=bias, causal=causal, anchor=anchor, generator=generator
        )
        shared: Any = {"norm": norm, "prenorm": prenorm, "dropout": dropout, "generator": generator}
        if gated:
            self.mix: nn.Module = GatedAttention(d_model, d_key, d_value, gain=gain, **shared)
        else:
            self.mix = PlainAttention(d_model, d_key, d_value, **shared)
        self.feed_forward = FeedForward(d_model, d_hidden, **shared)

    def forward(
        self,
        x: Tensor,
        state: TCNCAState | None = None,
        mask: Tensor | None = None,
        *,
        rate: float = 1.0,
        return_state: bool = True,
    ) -> tuple[Tensor, TCNCAState | None]:
        """Map a whole sequence.

        Parameters
        ----------
        x : Tensor of shape (B, L, D)
            Finite everywhere: at masked steps the residual path still carries it, and a NaN without a mask spoils its
            chunk, earlier steps too.
        state : TCNCAState, optional
            As returned for the sequence so far; causal form only.
        mask : bool Tensor of shape (B, L), optional
            True where x was observed; no other step depends on one that was not.
        rate : float, default 1.0
            Must be 1: taps and chunks are counted in steps.
        return_state : bool, default True
            False saves the work for the state and returns None in its place.

        Returns
        -------
        y : Tensor of shape (B, L, D)
        state : TCNCAState or None
            None if not causal.
        """
        check_rate(rate)
        check_sequences(x, self.d_model)
        before = (None, None) if state is None else state
        after: list[Any] = [None, None]

        def remember(u: Tensor) -> Tensor:
            y, after[0] = self.memory(u, before[0], mask, return_state=return_state)
            return y

        def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            y, after[1] = self.attention(q, k, v, before[1], mask, return_state=return_state)
            return y

        y = self.feed_forward(self.mix(x, remember, attend))
        return y, TCNCAState(*after) if return_state and self.causal else None

    def step(
        self, x_t: Tensor, state: TCNCAState | None = None, *, rate: float = 1.0, mask: Tensor | None = None
    ) -> tuple[Tensor, TCNCAState]:
        """Map one step (B, D), the first one without a state; many of them equal :meth:`forward`.

        Raises
        ------
        RuntimeError
            If the layer is not causal.
        """
        check_rate(rate)
        if not self.causal:
            raise RuntimeError("This layer reads the future and cannot go step by step. Use causal=True.")
        before: Any = self.init_state(len(x_t)) if state is None else state
        after: list[Any] = [None, None]

        def remember(u: Tensor) -> Tensor:
            y, after[0] = self.memory.step(u, before.memory, mask=mask)  # type: ignore[operator]
            return y

        def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            y, after[1] = self.attention.step(q, k, v, before.attention, mask=mask)
            return y

        y_t = self.feed_forward(self.mix(x_t, remember, attend))
        return y_t, TCNCAState(*after)

    def init_state(self, batch: int) -> TCNCAState | None:
        """Return the state before the first step; None if not causal."""
        attention = self.attention.init_state(batch)
        return None if attention is None else TCNCAState(self.memory.init_state(batch), attention)  # type: ignore[operator]

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return optimiser groups: see :func:`tsrec.layers.parameter_groups.parameter_groups`."""
        return parameter_groups(self)


class TCNCAStack(Stack):
    """Layers in a row, with a norm at the end when they are pre-norm.

    Parameters
    ----------
    d_model : int
        Features D.
    n_layers : int
        Layers.
    norm, prenorm, generator
        As in :class:`TCNCA`.
    **options
        Further parameters of :class:`TCNCA`, the same for all layers.

    Examples
    --------
    >>> stack = TCNCAStack(4, 2, chunk=4, reach=16)
    >>> y, state = stack(torch.ones(2, 10, 4))
    >>> y.shape, len(state)
    (torch.Size([2, 10, 4]), 2)
    """

    def __init__(
        self,
        d_model: int,
        n_layers: int,
        *,
        norm: str = "layer",
        prenorm: bool = True,
        generator: torch.Generator | None = None,
        **options: Any,
    ) -> None:
        generator = default_generator(generator)
        layers = [TCNCA(d_model, norm=norm, prenorm=prenorm, generator=generator, **options) for _ in range(n_layers)]
        super().__init__(layers, make_norm(norm, d_model) if prenorm else None)


def _network(
    d_model: int,
    chunk: int,
    reach: int,
    kernel_size: int | None,
    base: int | None,
    causal: bool,
    options: dict[str, Any],
    generator: torch.Generator,
) -> TCN:
    """The convolutions, as many stages as it takes to reach far enough."""
    if unknown := set(options) - set(_NETWORK):
        raise ValueError(f"tcn: {sorted(unknown)} are not known; use some of {_NETWORK}.")
    if reach < chunk:
        raise ValueError(f"reach={reach} is less than chunk={chunk}: steps of one chunk could not see the one before.")
    form = options.get("form", "causal" if causal else "symmetric")
    if (form == "causal") != causal:
        raise ValueError(f"tcn: found form={form!r} with causal={causal}. Give 'causal' where it is, and only there.")
    if kernel_size is None:
        kernel_size = 5 if form == "symmetric" else 4
    if base is None:
        base = (kernel_size + 1) // 2 if form == "symmetric" else kernel_size
    options = {"form": form, "kernel_size": kernel_size, "base": base, **options}
    if "stages" not in options:
        # A symmetric receptive field lies half on either side.
        both = 2 * reach - 1 if form == "symmetric" else reach
        options["stages"] = stages_for(both, kernel_size, base, options.get("convolutions", 1))
    network = TCN(d_model, generator=generator, **options)
    found = network.receptive_field if causal else (network.receptive_field + 1) // 2
    if found < reach:
        raise ValueError(
            f"The convolutions of {options['stages']} stages reach over {found} steps, but reach={reach}. "
            "Give more stages, a larger base, or leave stages out."
        )
    return network
