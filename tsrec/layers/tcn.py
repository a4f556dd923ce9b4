"""Temporal convolution network: stages of dilated convolutions whose reach grows by a factor with each stage.

Bai, Kolter and Koltun 2018, arXiv 1803.01271, have the residual stages and the dilations; here the convolutions are
depthwise unless asked otherwise, and the factor is as large as the kernel lets it be, so that few stages reach far
(Terzic et al. 2023, arXiv 2312.05605, whose network is published in words only: every choice is a parameter).
"""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from tsrec.kernels import dilated_conv, dilated_conv_state, dilated_conv_step
from tsrec.kernels.dilated_conv import ACTIVATIONS
from tsrec.layers.checks import check_counts
from tsrec.layers.parameter_groups import OptimizerOptions
from tsrec.layers.random import default_generator

FORMS = ("causal", "symmetric", "two-sided")
# Largest dilation that makes sense.
_FURTHEST = 2**31


def receptive_field(stages: int, kernel_size: int, base: int, convolutions: int = 1) -> int:
    """Return the steps that an output depends on: 1 + m (K - 1) (1 + f + ... + f^(n - 1)).

    Parameters
    ----------
    stages, kernel_size, base, convolutions : int
        n, K, f and m.

    Examples
    --------
    >>> receptive_field(5, 4, 4), receptive_field(10, 3, 2)
    (1024, 2047)
    """
    return 1 + convolutions * (kernel_size - 1) * sum(base**i for i in range(stages))


def stages_for(reach: int, kernel_size: int, base: int, convolutions: int = 1) -> int:
    """Return the least number of stages whose receptive field has `reach` steps; at least one.

    Raises
    ------
    ValueError
        If a number is below one, or a kernel of one tap is to reach further than itself.

    Examples
    --------
    >>> stages_for(1024, 4, 4), stages_for(1025, 4, 4), stages_for(1, 8, 8)
    (5, 6, 1)
    """
    check_counts(kernel_size=kernel_size, base=base, convolutions=convolutions)
    stages, found, dilation = 0, 1, 1
    while found < reach or not stages:
        if kernel_size == 1 and stages:
            raise ValueError(f"kernel_size must be at least 2 to reach over {reach} steps, got 1.")
        found += convolutions * (kernel_size - 1) * dilation
        stages, dilation = stages + 1, dilation * base
    return stages


class TCN(nn.Module):
    """Stages x + act(conv(... act(conv(x)))), the convolutions of stage i dilated by f^i.

    Parameters
    ----------
    d_model : int
        Channels D.
    stages : int
        Number n of stages.
    kernel_size : int, default 4
        Taps K of a convolution.
    base : int, default 4
        Factor f between the dilations of neighbouring stages.
    convolutions : int, default 1
        Convolutions m of a stage.
    activation : {"silu", "relu"} or None, default "silu"
        After each convolution; without one (and with one convolution) the network is linear and time-invariant.
    residual : bool, default True
        Whether a stage adds its input to its output.
    dense : bool, default False
        Whether a convolution also mixes the channels, with D x D weights per tap.
    weight_norm : bool, default False
        Whether the weights of an output channel are a direction and a length (Salimans and Kingma 2016,
        arXiv 1602.07868).
    form : {"causal", "symmetric", "two-sided"}, default "causal"
        Read the past; read both sides alike, with an odd K; or sum a causal network and one that reads the future.
    generator : torch.Generator, optional
        Source of the initial values; a fresh one with seed 0 when omitted.

    Attributes
    ----------
    receptive_field : int
        Steps that an output depends on.

    Raises
    ------
    ValueError
        For an unknown form or activation, an even K in the symmetric form, numbers below one, or where lags inside the
        receptive field could not be reached: m (K - 1) < f - 1.

    Examples
    --------
    >>> network = TCN(4, 3)
    >>> y, state = network(torch.ones(2, 10, 4))
    >>> network.receptive_field, y.shape, [tuple(s.shape) for s in state]
    (64, torch.Size([2, 10, 4]), [(2, 3, 4), (2, 12, 4), (2, 48, 4)])
    """

    optimizer_options: ClassVar[OptimizerOptions] = {"gain": {"weight_decay": 0.0}}

    def __init__(
        self,
        d_model: int,
        stages: int,
        *,
        kernel_size: int = 4,
        base: int = 4,
        convolutions: int = 1,
        activation: str | None = "silu",
        residual: bool = True,
        dense: bool = False,
        weight_norm: bool = False,
        form: str = "causal",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        _check(stages, kernel_size, base, convolutions, activation, form)
        generator = default_generator(generator)
        self.d_model, self.kernel_size, self.convolutions = d_model, kernel_size, convolutions
        self.dilations = [base**i for i in range(stages)]
        self.activation, self.residual, self.dense, self.form = activation, residual, dense, form
        reach = receptive_field(stages, kernel_size, base, convolutions)
        self.receptive_field = 2 * reach - 1 if form == "two-sided" else reach
        sides = 2 if form == "two-sided" else 1
        each = (d_model, d_model, kernel_size) if dense else (d_model, kernel_size)
        bound = (kernel_size * (d_model if dense else 1)) ** -0.5
        shape = (sides, stages, convolutions, *each)
        self.weight = nn.Parameter(torch.empty(shape).uniform_(-bound, bound, generator=generator))
        self.bias = nn.Parameter(torch.zeros(shape[:4]))
        self.gain = nn.Parameter(self._length(self.weight.detach())) if weight_norm else None

    def forward(
        self,
        x: Tensor,
        state: tuple[Tensor, ...] | None = None,
        mask: Tensor | None = None,
        *,
        return_state: bool = True,
    ) -> tuple[Tensor, tuple[Tensor, ...] | None]:
        """Map a whole sequence.

        Parameters
        ----------
        x : Tensor of shape (B, L, D)
            What stands at masked steps is never read and may be NaN.
        state : tuple of Tensor, optional
            As returned for the sequence so far; causal form only.
        mask : bool Tensor of shape (B, L), optional
            True where x was observed; every convolution sees zeros elsewhere.
        return_state : bool, default True
            False saves the work for the state and returns None in its place.

        Returns
        -------
        y : Tensor of shape (B, L, D)
        state : tuple of Tensor of shape (B, (K - 1) f^i, D), or None
            The latest inputs of each convolution; None in the forms that read the future.
        """
        weights = self._weights()
        kept: list[Tensor] | None = [] if return_state and self.form == "causal" else None
        if state is not None and self.form != "causal":
            raise ValueError(f"state: found one, but a {self.form} network reads the future. Give whole sequences.")
        y = self._stages(x, weights[0], 0, state, mask, kept)
        if self.form == "two-sided":
            y = y + self._stages(x, weights[1], 1, None, mask, None)
        return y, None if kept is None else tuple(kept)

    def step(
        self, x_t: Tensor, state: tuple[Tensor, ...], *, mask: Tensor | None = None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Map one step (B, D); many of them equal :meth:`forward`.

        Raises
        ------
        RuntimeError
            If the network reads the future.
        """
        if self.form != "causal":
            raise RuntimeError(f"A {self.form} network reads the future and cannot go step by step. Use form='causal'.")
        weights = self._weights()[0]
        after: list[Tensor] = []
        for i, dilation in enumerate(self.dilations):
            x_t = g = _zeroed(x_t, mask)
            for j in range(self.convolutions):
                g, before = _zeroed(g, mask) if j else g, state[len(after)]
                residual = x_t if self.residual and j == self.convolutions - 1 else None
                if self.dense:
                    taps = torch.cat((before[:, ::dilation], g[:, None]), 1)
                    z = torch.einsum("bki,oik->bo", taps, weights[i, j]) + self.bias[0, i, j]
                    after.append(torch.cat((before, g[:, None]), 1)[:, 1:])
                    g = _finished(z, self.activation, residual)
                else:
                    g, kept = dilated_conv_step(
                        g,
                        weights[i, j],
                        self.bias[0, i, j],
                        before,
                        dilation=dilation,
                        activation=self.activation,
                        residual=residual,
                    )
                    after.append(kept)
            x_t = g
        return x_t, tuple(after)

    def init_state(self, batch: int) -> tuple[Tensor, ...] | None:
        """Return the state before the first step: zeros; None in the forms that read the future."""
        if self.form != "causal":
            return None
        reaches = [(self.kernel_size - 1) * d for d in self.dilations for _ in range(self.convolutions)]
        return tuple(self.bias.new_zeros(batch, reach, self.d_model) for reach in reaches)

    def _stages(
        self,
        x: Tensor,
        weights: Tensor,
        side: int,
        state: tuple[Tensor, ...] | None,
        mask: Tensor | None,
        kept: list[Tensor] | None,
    ) -> Tensor:
        """All stages of one side; what each convolution must remember is added to `kept`."""
        count = 0
        for i, dilation in enumerate(self.dilations):
            x = g = _zeroed(x, mask)
            for j in range(self.convolutions):
                g = _zeroed(g, mask) if j else g
                initial = None if state is None else state[count].to(g.dtype)
                if kept is not None:
                    kept.append(dilated_conv_state(g, self.kernel_size, dilation, initial))
                residual = x if self.residual and j == self.convolutions - 1 else None
                g = self._convolved(g, weights[i, j], self.bias[side, i, j], dilation, side, initial, residual)
                count += 1
            x = g
        return x

    def _convolved(
        self,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        dilation: int,
        side: int,
        initial: Tensor | None,
        residual: Tensor | None,
    ) -> Tensor:
        if not self.dense:
            return dilated_conv(
                x,
                weight,
                bias,
                dilation=dilation,
                causal=self.form != "symmetric",
                reverse=side == 1,
                activation=self.activation,
                residual=residual,
                initial=initial,
            )
        reach = (self.kernel_size - 1) * dilation
        after = reach // 2 if self.form == "symmetric" else reach * side
        padded = functional.pad(x, (0, 0, 0 if initial is not None else reach - after, after))
        padded = padded if initial is None else torch.cat((initial, padded), 1)
        weight = weight.flip(-1) if side == 1 else weight
        z = functional.conv1d(padded.mT, weight, bias, dilation=dilation).mT
        return _finished(z, self.activation, residual)

    def _length(self, weight: Tensor) -> Tensor:
        """Lengths of the weights of each output channel."""
        return torch.linalg.vector_norm(weight.flatten(4), dim=-1)

    def _weights(self) -> Tensor:
        if self.gain is None:
            return self.weight
        factor = self.gain / self._length(self.weight).clamp_min(1e-12)
        return self.weight * factor[(..., *[None] * (self.weight.ndim - 4))]


def _zeroed(x: Tensor, mask: Tensor | None) -> Tensor:
    return x if mask is None else x.masked_fill(~mask[..., None], 0.0)


def _finished(z: Tensor, activation: str | None, residual: Tensor | None) -> Tensor:
    if activation is not None:
        z = functional.silu(z) if activation == "silu" else functional.relu(z)
    return z if residual is None else z + residual


def _check(stages: int, kernel_size: int, base: int, convolutions: int, activation: str | None, form: str) -> None:
    check_counts(stages=stages, kernel_size=kernel_size, base=base, convolutions=convolutions)
    if base ** min(stages - 1, 64) > _FURTHEST:
        raise ValueError(
            f"stages={stages} with base={base}: dilations grow beyond {_FURTHEST} steps. Give fewer stages."
        )
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation={activation!r} is not known; use one of {ACTIVATIONS}.")
    if form not in FORMS:
        raise ValueError(f"form={form!r} is not known; use one of {FORMS}.")
    if form == "symmetric" and kernel_size % 2 == 0:
        raise ValueError(f"The symmetric form takes an odd kernel_size, got {kernel_size}.")
    if stages > 1 and convolutions * (kernel_size - 1) < base - 1:
        raise ValueError(
            f"kernel_size={kernel_size} with base={base} and convolutions={convolutions} leaves lags inside the "
            "receptive field that nothing reaches. Give convolutions * (kernel_size - 1) >= base - 1."
        )
