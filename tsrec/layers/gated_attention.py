"""What surrounds attention in MEGA (Ma et al. 2022, arXiv 2209.10655) and in TCNCA: gates, norms, the feed-forward net.

Whatever remembers (a moving average, convolutions) and attends is handed in as a function, so that the same formulas
serve whole sequences and single steps. They follow MEGA's published code.
"""

import math
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from tsrec.layers.parameter_groups import OptimizerOptions
from tsrec.layers.random import Dropout, Linear

NORMS = ("layer", "rms", "scale")
# Initial spread of weights, at the width that it was published for.
_STD, _WIDTH = 0.02, 512

Remember = Callable[[Tensor], Tensor]
Attend = Callable[[Tensor, Tensor, Tensor], Tensor]


class ScaleNorm(nn.Module):
    """Divide by the root mean square over the last axis, times one learned number (Nguyen and Salazar 2019).

    Examples
    --------
    >>> ScaleNorm()(torch.tensor([3.0, 3.0])).round(decimals=3).tolist()
    [1.0, 1.0]
    """

    optimizer_options: ClassVar[OptimizerOptions] = {"scale": {"weight_decay": 0.0}}

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise, whatever the shape."""
        return self.scale * functional.rms_norm(x, x.shape[-1:], eps=1e-5)


class GatedAttention(nn.Module):
    """MEGA's gated attention around a memory M and a chunked attention; what stands in for the average is M.

    X' = silu(M(Xn) + omega Xn), V = silu(Wv Xn), [U Z R Hx] = Wm X', Q and K are scalings of silu(Z),
    H = silu(Hx + (attention(Q, K, V) silu(R)) Wh), Y = X + sig(U) (H - X), Xn = norm(X) (or norm(Y) in the end).

    Parameters
    ----------
    d_model, d_key, d_value : int
        Widths D, z and v.
    norm : str
        See :class:`tsrec.layers.tcnca.TCNCA`.
    prenorm, gain : bool
        See :class:`tsrec.layers.tcnca.TCNCA`.
    dropout : float
        Rate on X' and H.
    generator : torch.Generator
        Source of the initial values.
    """

    optimizer_options: ClassVar[OptimizerOptions] = {
        name: {"weight_decay": 0.0} for name in ("omega", "scale", "shift")
    }

    def __init__(
        self,
        d_model: int,
        d_key: int,
        d_value: int,
        *,
        norm: str,
        prenorm: bool,
        gain: bool,
        dropout: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.prenorm, self.gain = prenorm, gain
        self.widths = [d_model, d_key, d_value, d_model]
        self.norm = make_norm(norm, d_model)
        self.omega = nn.Parameter(torch.randn(d_model, generator=generator)) if gain else None
        self.value = _small(Linear(d_model, d_value), generator)
        self.mixed = _small(Linear(d_model, sum(self.widths)), generator)
        self.hidden = _small(Linear(d_value, d_model), generator)
        # Published as N(0, 0.02^2): queries and keys then say nothing, training learns by place first, and may stay so.
        self.scale = nn.Parameter(1 + _STD * torch.randn(2, d_key, generator=generator))
        self.shift = nn.Parameter(torch.zeros(2, d_key))
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, remember: Remember, attend: Attend) -> Tensor:
        """Mix (..., D), given how to ask the memory and the attention about these steps."""
        xn = self.norm(x) if self.prenorm else x
        m = remember(xn)
        m = m if self.omega is None else functional.silu(m + self.omega * xn)
        update, shared, reset, hidden = self.mixed(self.dropout(m)).split(self.widths, -1)
        z = functional.silu(shared)
        q, k = (z * self.scale[i] + self.shift[i] for i in range(2))
        attended = attend(q, k, functional.silu(self.value(xn)))
        h = functional.silu(hidden + self.hidden(attended * functional.silu(reset)))
        y = torch.lerp(x, self.dropout(h).to(x.dtype), update.sigmoid().to(x.dtype))
        return y if self.prenorm else self.norm(y)


class PlainAttention(nn.Module):
    """The simplified form: memory, then attention, each on a residual path of its own, without gates.

    Y1 = X + M(norm(X)), Y = Y1 + Wo attention(Wq Yn, Wk Yn, Wv Yn), Yn = norm(Y1) (or the norms after the sums).

    Parameters
    ----------
    d_model, d_key, d_value : int
        Widths D, z and v.
    norm : str
        See :class:`tsrec.layers.tcnca.TCNCA`.
    prenorm : bool
        See :class:`tsrec.layers.tcnca.TCNCA`.
    dropout : float
        Rate on both branches.
    generator : torch.Generator
        Source of the initial values.
    """

    def __init__(
        self,
        d_model: int,
        d_key: int,
        d_value: int,
        *,
        norm: str,
        prenorm: bool,
        dropout: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.prenorm, self.widths = prenorm, [d_key, d_key, d_value]
        self.norms = nn.ModuleList(make_norm(norm, d_model) for _ in range(2))
        self.queries = Linear(d_model, sum(self.widths), generator=generator)
        self.output = Linear(d_value, d_model, generator=generator)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, remember: Remember, attend: Attend) -> Tensor:
        """Mix (..., D), as :class:`GatedAttention` does."""
        first, second = self.norms
        y = x + self.dropout(remember(first(x) if self.prenorm else x))
        y = y if self.prenorm else first(y)
        queries = self.queries(second(y) if self.prenorm else y).split(self.widths, -1)
        y = y + self.dropout(self.output(attend(*queries)))
        return y if self.prenorm else second(y)


class FeedForward(nn.Module):
    """Y = X + W2 silu(W1 norm(X)), or norm(X + W2 silu(W1 X)).

    Parameters
    ----------
    d_model, d_hidden : int
        Widths D and F.
    norm, prenorm
        See :class:`tsrec.layers.tcnca.TCNCA`.
    dropout : float
        Rate inside and on the branch.
    generator : torch.Generator
        Source of the initial values.
    """

    def __init__(
        self, d_model: int, d_hidden: int, *, norm: str, prenorm: bool, dropout: float, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.prenorm, self.norm = prenorm, make_norm(norm, d_model)
        self.inner = _small(Linear(d_model, d_hidden), generator)
        self.outer = _small(Linear(d_hidden, d_model), generator)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map each step by itself, (..., D)."""
        h = self.dropout(functional.silu(self.inner(self.norm(x) if self.prenorm else x)))
        y = x + self.dropout(self.outer(h))
        return y if self.prenorm else self.norm(y)


def make_norm(kind: str, d_model: int) -> nn.Module:
    """Return a norm over the last axis: "layer", "rms" or "scale"."""
    if kind == "layer":
        return nn.LayerNorm(d_model)
    if kind == "rms":
        return nn.RMSNorm(d_model, eps=1e-5)
    if kind == "scale":
        return ScaleNorm()
    raise ValueError(f"norm={kind!r} is not known; use one of {NORMS}.")


def _small(layer: Linear, generator: torch.Generator) -> Linear:
    """Start as MEGA does at its width of 512: weights N(0, 0.02^2), no bias; narrower layers as much larger.

    At a width of 32 the published number leaves attention all but switched off, and training may never find it.
    """
    with torch.no_grad():
        layer.weight.normal_(0.0, _STD * math.sqrt(_WIDTH / layer.in_features), generator=generator)
        layer.bias.zero_()
    return layer
