"""LuMamba: LUNA's channel unification and a stack of Mamba layers over time (Broustail et al., arXiv 2603.19100).

B windows of C channels and T samples become S = T / P tokens of d = Q E features. Written from the published
description; where the released code leaks, or mixes up rows, this does not follow: see `norm`, `position_norm` and
:func:`tsrec.layers.lumamba_tasks.hidden_cells`.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from tsrec.layers.attention import AttentionLayer
from tsrec.layers.checks import holds
from tsrec.layers.luna import ChannelUnification, ElectrodePositions, PatchEmbedding, xavier_
from tsrec.layers.mamba import MambaStack
from tsrec.layers.random import Linear, default_generator

NORMALISATIONS = ("zscore", "iqr", "running", None)
_EPS = 1e-8
# Without gradients, long recordings go through the channels' part in pieces, so that memory does not grow with them.
_PART_SAMPLES = 1 << 20
# Initial spread of the vector that stands for what is hidden; cut at as much.
_STD = 0.02


class Patches(NamedTuple):
    """Recordings in their units, cut.

    Attributes
    ----------
    x : Tensor of shape (B, C, S, P)
        Zeros where samples are missing.
    absent : bool Tensor of shape (B, C, S) or None
        Which patches miss some; None: none does.
    level, size : Tensor of shape (B, C, S, 1) or (B, C, 1, 1)
        Samples are x size + level.
    """

    x: Tensor
    absent: Tensor | None
    level: Tensor
    size: Tensor


class LuMambaState(NamedTuple):
    """Where an encoder stands in its recordings; passed and returned, never kept.

    Attributes
    ----------
    moments : float64 Tensor of shape (3, B, C)
        Count, sum and sum of squares of the samples so far.
    mixer
        State of the Mamba layers.
    """

    moments: Tensor
    mixer: Any


class LuMamba(nn.Module):
    """Encoder of recordings with any channels.

    Parameters
    ----------
    patch : int, default 40
        Samples P of a patch.
    width : int, default 64
        Features E of a query.
    n_queries : int, default 6
        Queries Q.
    n_heads : int, default 2
        Heads of every attention.
    n_layers : int, default 2
        Mamba blocks.
    d_state, d_conv, expand : int
        As in :class:`tsrec.layers.mamba.Mamba`.
    bidirectional, merge
        As in :class:`tsrec.layers.mamba.MambaStack`.
    normalise : {"zscore", "iqr", "running", None}, default "zscore"
        Units of each channel of each window: mean and standard deviation, quartiles, mean and standard deviation of the
        samples up to the patch, or none.
    norm : {"patch", "window"}, default "patch"
        As in :class:`tsrec.layers.luna.PatchEmbedding`.
    position_norm : {"head", "montage"}, default "head"
        As in :class:`tsrec.layers.luna.ElectrodePositions`.
    n_unplaced : int, default 0
        Channels that are on no scalp; as there.
    dropout : float, default 0.1
        Rate in the unification.
    generator : torch.Generator, optional
        Source of the initial values; a fresh one with seed 0 when omitted.

    Examples
    --------
    >>> encoder = LuMamba(width=16, n_queries=2, n_layers=1).eval()
    >>> tokens, attention = encoder(torch.randn(3, 200, 8), torch.rand(3, 8, 3))
    >>> tokens.shape, attention.shape
    (torch.Size([3, 5, 32]), torch.Size([3, 5, 2, 8]))
    """

    def __init__(
        self,
        *,
        patch: int = 40,
        width: int = 64,
        n_queries: int = 6,
        n_heads: int = 2,
        n_layers: int = 2,
        d_state: int = 16,
        d_conv: int = 4,
        expand: int = 2,
        bidirectional: bool = True,
        merge: str = "add",
        normalise: str | None = "zscore",
        norm: str = "patch",
        position_norm: str = "head",
        n_unplaced: int = 0,
        dropout: float = 0.1,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if normalise not in NORMALISATIONS:
            raise ValueError(f"normalise={normalise!r} is not known; use one of {NORMALISATIONS}.")
        generator = default_generator(generator)
        self.patch, self.width, self.n_queries, self.n_heads = patch, width, n_queries, n_heads
        self.normalise, self.n_features = normalise, n_queries * width
        # Whether a token depends on nothing later than its patch.
        self.causal = not bidirectional and norm == "patch" and normalise in ("running", None)
        self.patches = PatchEmbedding(patch, width, norm=norm, generator=generator)
        self.positions = ElectrodePositions(width, norm=position_norm, n_unplaced=n_unplaced, generator=generator)
        self.unification = ChannelUnification(width, n_queries, n_heads, dropout=dropout, generator=generator)
        drawn = _STD * torch.randn(width, generator=generator)
        self.hidden = nn.Parameter(drawn.clamp(-_STD, _STD))
        for part in (self.patches.inner, self.patches.outer, self.positions, self.unification):
            xavier_(part, generator)
        self.mixer = MambaStack(
            self.n_features,
            n_layers,
            bidirectional=bidirectional,
            merge=merge,
            final_norm=False,
            d_state=d_state,
            d_conv=d_conv,
            expand=expand,
            generator=generator,
        )

    def forward(
        self, context: Tensor, points: Tensor, names: Tensor | None = None, hidden: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Encode recordings.

        Parameters
        ----------
        context : Tensor of shape (B, T, C)
            NaN where missing. What exceeds whole patches is not read; less than one is filled up with the last sample.
        points : Tensor of shape (B, C, 3)
            Where the electrodes are, NaN for channels on no scalp.
        names : int64 Tensor of shape (B, C), optional
            Numbers of channels on no scalp.
        hidden : bool Tensor of shape (B, C, S), optional
            Patches that must not be read.

        Returns
        -------
        tokens : Tensor of shape (B, S, Q E)
        attention : Tensor of shape (B, S, Q, C)
            Of the queries over the channels, mean over the heads.
        """
        cut, _ = self.cut(context)
        return self.encode(cut.x, self.positions(points, names), either(cut.absent, hidden))

    def cut(self, context: Tensor, moments: Tensor | None = None) -> tuple[Patches, Tensor | None]:
        """Bring recordings (B, T, C) to their units and cut them, given the moments before (normalise="running")."""
        samples = context.transpose(1, 2)
        whole = max(samples.shape[2] // self.patch, 1) * self.patch
        if self.normalise == "running":
            x = _filled(samples, whole).unflatten(2, (-1, self.patch))
            moments = _moments(x, moments)
            level, size = _running_units(moments)
            moments = moments[..., -1]
        else:
            level, size = (unit[..., None] for unit in units_of(samples, self.normalise))
            x = _filled(samples, whole).unflatten(2, (-1, self.patch))
        # In float64 where the level is: it may be far above the signal.
        x = ((x - level) / size).to(context.dtype)
        missing = x.isnan()
        if not holds(missing.any(), traced=True):
            return Patches(x, None, level, size), moments
        # What was filled up to a whole patch is not missing.
        absent = missing[..., : samples.shape[2]].any(-1)
        return Patches(x.masked_fill(missing, 0.0), absent, level, size), moments

    def encode(self, x: Tensor, positions: Tensor, hidden: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Encode patches in units (B, C, S, P), given the channels' features (B, C, E); else as :meth:`forward`."""
        z, attention = self._unified(x, positions, hidden)
        return self.mixer(z, return_state=False)[0], attention

    def step(
        self, context: Tensor, points: Tensor, names: Tensor | None, state: LuMambaState
    ) -> tuple[Tensor, LuMambaState]:
        """Encode the next patch (B, P, C) of recordings: (B, Q E); many of them equal the whole.

        Raises
        ------
        RuntimeError
            If tokens depend on later samples.
        """
        if not self.causal:
            raise RuntimeError("Tokens depend on later samples: see `causal`.")
        cut, moments = self.cut(context, state.moments)
        z, _ = self._unified(cut.x, self.positions(points, names), cut.absent)
        y, mixed = self.mixer.step(z[:, 0], state.mixer)
        return y, LuMambaState(state.moments if moments is None else moments, mixed)

    def init_state(self, batch: int, n_channels: int) -> LuMambaState:
        """Return the state of recordings before their first sample."""
        moments = torch.zeros(3, batch, n_channels, dtype=torch.float64, device=self.hidden.device)
        return LuMambaState(moments, self.mixer.init_state(batch))

    def _unified(self, x: Tensor, positions: Tensor, hidden: Tensor | None) -> tuple[Tensor, Tensor]:
        """Tokens before the mixer, (B, S, Q E), and the attention."""
        is_whole = torch.is_grad_enabled() or torch.compiler.is_compiling() or self.patches.norm == "window"
        steps = x.shape[2] if is_whole else max(_PART_SAMPLES // x[:, :, 0].numel(), 1)
        if x.shape[2] <= steps:
            return self._unified_part(x, positions, hidden)
        pieces = [None] * -(-x.shape[2] // steps) if hidden is None else hidden.split(steps, 2)
        parts = [self._unified_part(a, positions, b) for a, b in zip(x.split(steps, 2), pieces, strict=True)]
        tokens, attention = zip(*parts, strict=True)
        return torch.cat(tokens, 1), torch.cat(attention, 1)

    def _unified_part(self, x: Tensor, positions: Tensor, hidden: Tensor | None) -> tuple[Tensor, Tensor]:
        z = self.patches(x)
        if hidden is not None:
            z = torch.where(hidden[..., None], self.hidden.to(z.dtype), z)
        z = (z + positions[:, :, None]).transpose(1, 2)
        unified, attention = self.unification(z.flatten(0, 1))
        return unified.unflatten(0, z.shape[:2]).flatten(2), attention.unflatten(0, z.shape[:2])


class Reconstruction(nn.Module):
    """Samples from tokens: each channel asks them by its position and name.

    Parameters
    ----------
    width, n_heads, patch : int
        As in :class:`LuMamba`.
    n_names : int
        Names with a vector of their own, numbered from 1; 0 stands for any other.
    generator : torch.Generator
        Source of the initial values.
    """

    def __init__(self, width: int, n_heads: int, patch: int, n_names: int, *, generator: torch.Generator) -> None:
        super().__init__()
        names = 0.02 * torch.randn(n_names + 1, width, generator=generator)
        names[0] = 0.0
        self.names = nn.Parameter(names)
        self.layer = AttentionLayer(width, n_heads, memory=True, dropout=0.0, generator=generator)
        self.norm = nn.LayerNorm(width)
        self.inner = Linear(width, 4 * width, generator=generator)
        self.outer = Linear(4 * width, patch, generator=generator)
        xavier_(self, generator)

    def forward(self, tokens: Tensor, positions: Tensor, names: Tensor) -> Tensor:
        """Reconstruct.

        Parameters
        ----------
        tokens : Tensor of shape (B, S, Q E)
            What the encoder gave.
        positions : Tensor of shape (B, C, E)
            Features of the channels.
        names : int64 Tensor of shape (B, C)
            Numbers of their names.

        Returns
        -------
        Tensor of shape (B, C, S, P)
        """
        memory = tokens.unflatten(2, (-1, positions.shape[2]))
        asked = (positions + self.names[names])[:, None].expand(-1, tokens.shape[1], -1, -1)
        y = self.layer(asked.flatten(0, 1), memory.flatten(0, 1))
        y = self.outer(functional.gelu(self.inner(self.norm(y))))
        return y.unflatten(0, tokens.shape[:2]).transpose(1, 2)


def units_of(samples: Tensor, how: str | None) -> tuple[Tensor, Tensor]:
    """Measure the units of each channel of each window.

    Parameters
    ----------
    samples : Tensor of shape (B, C, T)
        NaN where missing.
    how : {"zscore", "iqr", None}
        Mean and standard deviation, with T - 1 in the denominator; the first quartile and the distance to the third;
        or 0 and 1.

    Returns
    -------
    level, size : Tensor of shape (B, C, 1)
        The size has 1e-8 added; it is 1 for channels that never change.
    """
    if how is None:
        zero = torch.zeros_like(samples[..., :1])
        return zero, zero + 1
    if how == "iqr":
        low, high = _quartiles(samples)
        # Where half of the samples are equal, quartiles tell no size.
        deviation = units_of(samples, "zscore")[1]
        return low.nan_to_num(), torch.where(high - low > 1e-6 * deviation, high - low + _EPS, deviation)
    seen = ~samples.isnan()
    level = samples.nanmean(2, keepdim=True)
    var = (samples - level).square().nansum(2, keepdim=True) / (seen.sum(2, keepdim=True) - 1).clamp_min(1)
    # The rounding of a level far from zero is no signal.
    size = torch.where(var > (1e-6 * level).square(), var.sqrt() + _EPS, 1.0)
    return level.nan_to_num(), size.nan_to_num(1.0)


def _quartiles(samples: Tensor) -> list[Tensor]:
    """First and third quartile of (B, C, T), each (B, C, 1); torch's own take no more than 16 million numbers."""
    ordered = samples.sort(2).values  # NaN last
    last = (~samples.isnan()).sum(2, keepdim=True) - 1
    found = []
    for share in (0.25, 0.75):
        place = (share * last).clamp_min(0)
        below = place.floor().long()
        low, high = ordered.gather(2, below), ordered.gather(2, (below + 1).clamp_max(ordered.shape[2] - 1))
        found.append(torch.where(place > below, torch.lerp(low, high, (place - below).to(low.dtype)), low))
    return found


def _filled(samples: Tensor, length: int) -> Tensor:
    """The first samples (B, C, length); where there are too few, the last one is held."""
    short = length - samples.shape[2]
    return samples[..., :length] if short <= 0 else torch.cat([samples, samples[..., -1:].expand(-1, -1, short)], 2)


def _moments(x: Tensor, before: Tensor | None) -> Tensor:
    """Count, sum and sum of squares of the samples up to each patch (3, B, C, S), float64."""
    wide, seen = x.double().nan_to_num(), (~x.isnan()).double()
    moments = torch.stack([part.sum(-1) for part in (seen, wide, wide.square())]).cumsum(-1)
    return moments if before is None else moments + before[..., None]


def _running_units(moments: Tensor) -> tuple[Tensor, Tensor]:
    """Level and size (B, C, S, 1) from moments (3, B, C, S)."""
    count, total, square = moments
    level = total / count.clamp_min(1)
    var = (square - level * total) / (count - 1).clamp_min(1)
    # What is below the rounding of the large sums is nothing.
    var = torch.where(var > 1e-12 * square / count.clamp_min(1), var, 0.0)
    size = torch.where(var > 0, var.sqrt() + _EPS, 1.0)
    return level[..., None], size[..., None]


def either(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    """Where one of two masks is true; None stands for one that never is.

    Examples
    --------
    >>> either(None, torch.tensor([True])).tolist()
    [True]
    """
    return b if a is None else a if b is None else a | b
