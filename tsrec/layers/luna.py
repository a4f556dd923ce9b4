"""LUNA's way from electrodes to tokens: patches, positions, and queries that make every cap one (arXiv 2510.22257).

B windows, C channels, S patches of P samples each, E features of a patch, Q queries. Whatever the channels are, they
become Q tokens of E features at every patch.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from tsrec.layers.attention import Attention, AttentionLayer
from tsrec.layers.random import Dropout, Linear

NORMS = ("patch", "window")
POSITION_NORMS = ("head", "montage")
# Positions of a patch after the first convolution, and groups of maps that are normalised together.
_PLACES, _GROUPS = 4, 4
# Noise of electrode positions in training; a Fourier bin whose magnitude is below has no phase but that of rounding.
_JITTER, _SILENT = 0.02, 1e-4
_EPS = 1e-8


class PatchEmbedding(nn.Module):
    """Features of each patch of each channel: three convolutions in time, plus a net on the spectrum.

    Parameters
    ----------
    patch : int
        Samples P, a multiple of 4.
    width : int
        Features E, a multiple of 16.
    norm : {"patch", "window"}
        What the group norms are taken over: each patch by itself, or all channels and patches of a window as LUNA's
        code does, where a patch depends on those beside it, hidden ones too.
    generator : torch.Generator
        Source of the initial values.

    Raises
    ------
    ValueError
        If the patch or the width is no such multiple, or the norm is not known.
    """

    def __init__(self, patch: int, width: int, *, norm: str, generator: torch.Generator) -> None:
        super().__init__()
        if patch < 4 or patch % 4:
            raise ValueError(f"patch={patch}: give a multiple of 4.")
        if width < 16 or width % 16:
            raise ValueError(f"width={width}: give a multiple of 16.")
        if norm not in NORMS:
            raise ValueError(f"norm={norm!r} is not known; use one of {NORMS}.")
        self.patch, self.norm = patch, norm
        maps = width // 4
        kernel = max(patch // 2 - 1, 1)
        self.convolutions = nn.ModuleList(
            Linear(taps * before, maps, generator=generator) for taps, before in ((kernel, 1), (3, maps), (3, maps))
        )
        self.norms = nn.ModuleList(nn.GroupNorm(_GROUPS, maps) for _ in range(3))
        bins = 2 * (patch // 2 + 1)
        self.inner = Linear(bins, 4 * bins, generator=generator)
        self.outer = Linear(4 * bins, width, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        """Embed patches (B, C, S, P): (B, C, S, E)."""
        return self._in_time(x) + self.outer(functional.gelu(self.inner(_spectrum(x))))

    def _in_time(self, x: Tensor) -> Tensor:
        first, stride = self.convolutions[0], self.patch // 4
        y = x @ _as_matrix(first.weight, 1, self.patch, stride, stride - 1)  # type: ignore[arg-type]
        y = self._normalised(y + first.bias.repeat(_PLACES), 0)  # type: ignore[operator]
        for i in (1, 2):
            layer = self.convolutions[i]
            y = y @ _as_matrix(layer.weight, len(layer.weight), _PLACES, 1, 1)  # type: ignore[arg-type]
            y = self._normalised(y + layer.bias.repeat(_PLACES), i)  # type: ignore[operator]
        return y

    def _normalised(self, y: Tensor, number: int) -> Tensor:
        """Group norm and GELU of maps (B, C, S, places E / 4)."""
        norm: nn.GroupNorm = self.norms[number]  # type: ignore[assignment]
        group = torch.arange(norm.num_channels, device=y.device) // (norm.num_channels // _GROUPS)
        group = group.repeat(_PLACES)
        # A mean over the group of each map, spread over it again, is one product.
        spread = (group[:, None] == group).to(y.dtype) * (_GROUPS / y.shape[-1])
        centred = y - self._over_window(y @ spread)
        size = torch.rsqrt(self._over_window(centred.square() @ spread) + norm.eps)
        return functional.gelu(centred * size * norm.weight.repeat(_PLACES) + norm.bias.repeat(_PLACES))

    def _over_window(self, means: Tensor) -> Tensor:
        return means.mean((1, 2), keepdim=True) if self.norm == "window" else means


def _as_matrix(weight: Tensor, n_in: int, length: int, stride: int, edge: int) -> Tensor:
    """A convolution over few steps as one matrix (length n_in, places n_out), with `edge` zeros around the input.

    The weight is (n_out, taps n_in); steps, taps and places are major, maps minor.
    """
    kernel = weight.unflatten(1, (-1, n_in)).permute(1, 2, 0)
    taps, padded = len(kernel), length + 2 * edge
    moved = [functional.pad(kernel, (0, 0, 0, 0, j * stride, padded - taps - j * stride)) for j in range(_PLACES)]
    return torch.stack(moved, 2)[edge : edge + length].flatten(2).flatten(0, 1)


def _spectrum(x: Tensor) -> Tensor:
    """Magnitudes and phases of patches (..., P): (..., 2 (P / 2 + 1)), in single precision at least."""
    with torch.autocast(x.device.type, enabled=False):
        bins = torch.fft.rfft(x.to(torch.promote_types(x.dtype, torch.float32)))
        size = bins.abs()
        phase = bins.angle()
        if torch.compiler.is_compiling():
            # The first bin and, of an even number, the last are real: outside torch the sign of their zero is not sure.
            number = torch.arange(bins.shape[-1], device=x.device)
            is_real = (number == 0) | (2 * number == x.shape[-1])
            phase = torch.where(is_real, torch.where(bins.real < 0, torch.pi, 0.0), phase)
        return torch.cat([size, phase.masked_fill(size < _SILENT, 0.0)], -1).to(x.dtype)


class ElectrodePositions(nn.Module):
    """Sines and cosines of where the electrodes are, through a net: features of each channel.

    Channels that are not on a scalp (their position is NaN) have a learned vector of their own instead.

    Parameters
    ----------
    width : int
        Features E; there are E // 6 octaves of each coordinate.
    norm : {"head", "montage"}
        What coordinates are measured by: a box around the unit sphere, so that an electrode has the same place in every
        cap, or the box around the channels of the window, as in LUNA.
    n_unplaced : int
        Channels without a position; their numbers are ``names`` in :meth:`forward`.
    generator : torch.Generator
        Source of the initial values.

    Raises
    ------
    ValueError
        If the norm is not known.
    """

    generator: torch.Generator | None

    def __init__(self, width: int, *, norm: str, n_unplaced: int = 0, generator: torch.Generator) -> None:
        super().__init__()
        if norm not in POSITION_NORMS:
            raise ValueError(f"position_norm={norm!r} is not known; use one of {POSITION_NORMS}.")
        self.width, self.norm, self.generator = width, norm, None
        self.inner = Linear(width, 2 * width, generator=generator)
        self.middle = nn.LayerNorm(2 * width)
        self.outer = Linear(2 * width, width, generator=generator)
        unplaced = torch.randn(n_unplaced, width, generator=generator) if n_unplaced else None
        self.unplaced = None if unplaced is None else nn.Parameter(unplaced)

    def forward(self, points: Tensor, names: Tensor | None = None) -> Tensor:
        """Embed positions.

        Parameters
        ----------
        points : Tensor of shape (B, C, 3)
            NaN for channels that are not on a scalp.
        names : int64 Tensor of shape (B, C), optional
            Numbers of such channels; needed where there are some.

        Returns
        -------
        Tensor of shape (B, C, E)
        """
        absent = points.isnan().any(-1, keepdim=True)
        y = self.outer(self.middle(functional.gelu(self.inner(self._waves(points.nan_to_num(), absent)))))
        if self.unplaced is None or names is None:
            return y
        return torch.where(absent, self.unplaced[names.clamp_max(len(self.unplaced) - 1)], y)

    def _waves(self, points: Tensor, absent: Tensor) -> Tensor:
        """Octaves of each coordinate; octave by octave, axis by axis, sine before cosine."""
        octaves = self.width // 6
        with torch.autocast(points.device.type, enabled=False):
            points = points.to(torch.promote_types(points.dtype, torch.float32))
            if self.norm == "head":
                points = (points + 1) / 2
            else:
                low = points.masked_fill(absent, torch.inf).amin(1, keepdim=True)
                high = points.masked_fill(absent, -torch.inf).amax(1, keepdim=True)
                points = (points - low) / (high - low + _EPS)
            points = points.masked_fill(absent, 0.0)
            if self.training and self.generator is not None:
                noise = torch.randn(points.shape, generator=self.generator, device=self.generator.device)
                points = points + _JITTER * noise.to(points.device, points.dtype)
            angles = (
                points[:, :, None] * 2.0 ** torch.arange(octaves, device=points.device, dtype=points.dtype)[:, None]
            )
            waves = torch.stack([angles.sin(), angles.cos()], -1).flatten(2).masked_fill(absent, 0.0)
            waves = functional.pad(waves, (0, self.width - waves.shape[-1]))
        return waves.to(self.inner.weight.dtype)

    def __getstate__(self) -> dict:
        return {**self.__dict__, "generator": None}


class ChannelUnification(nn.Module):
    """Learned queries attend over the channels, and then over each other.

    Parameters
    ----------
    width : int
        Features E.
    n_queries : int
        Q.
    n_heads : int
        Heads of every attention.
    n_layers : int, default 3
        Layers over the queries.
    dropout : float, default 0.1
        Rate.
    generator : torch.Generator
        Source of the initial values.
    """

    def __init__(
        self,
        width: int,
        n_queries: int,
        n_heads: int,
        *,
        n_layers: int = 3,
        dropout: float = 0.1,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.queries = nn.Parameter(_orthogonal(n_queries, width, generator))
        # How sharply queries choose, learned.
        self.temperature = nn.Parameter(torch.ones(()))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.attention = Attention(width, n_heads, dropout=dropout, generator=generator)
        self.inner = Linear(width, 4 * width, generator=generator)
        self.middle = nn.LayerNorm(4 * width)
        self.outer = Linear(4 * width, width, generator=generator)
        self.dropout = Dropout(dropout)
        self.layers = nn.ModuleList(
            AttentionLayer(width, n_heads, dropout=dropout, generator=generator) for _ in range(n_layers)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Unify channels.

        Parameters
        ----------
        x : Tensor of shape (N, C, E)
            Features of the channels, in any order.

        Returns
        -------
        z : Tensor of shape (N, Q, E)
        attention : Tensor of shape (N, Q, C)
            Mean over the heads.
        """
        q = self.norms[0](self.queries)[None]
        z, weights = self.attention(q, self.norms[1](x), self.norms[2](x), 1 / self.temperature)
        inner = self.dropout(self.middle(functional.gelu(self.inner(z))))
        z = z + self.dropout(self.outer(inner))
        for layer in self.layers:
            z = layer(z)
        return z, weights.mean(1)


def _orthogonal(n: int, width: int, generator: torch.Generator) -> Tensor:
    """Rows of length 1 that are orthogonal, as far as there can be so many."""
    q, r = torch.linalg.qr(torch.randn(max(n, width), min(n, width), generator=generator))
    q = q * r.diagonal().sign()
    return (q if n >= width else q.mT).contiguous()


def specialisation(attention: Tensor) -> Tensor:
    """Tell how much queries look at the same channels: mean square of what lies off the diagonal of A A'.

    Parameters
    ----------
    attention : Tensor of shape (..., Q, C)
        Rows that add up to 1.

    Returns
    -------
    Tensor, a scalar

    Examples
    --------
    >>> specialisation(torch.eye(3)).item(), round(specialisation(torch.full((2, 4), 0.25)).item(), 6)
    (0.0, 0.03125)
    """
    shared = attention @ attention.mT
    alone = torch.eye(shared.shape[-1], dtype=torch.bool, device=shared.device)
    return shared.masked_fill(alone, 0.0).square().mean()


def xavier_(module: nn.Module, generator: torch.Generator) -> None:
    """Draw the weights of all linear maps anew, Xavier-normal with biases of zero, as LUNA begins.

    Parameters
    ----------
    module : nn.Module
        Changed in place.
    generator : torch.Generator
        Source of the values.
    """
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.xavier_normal_(part.weight, generator=generator)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
