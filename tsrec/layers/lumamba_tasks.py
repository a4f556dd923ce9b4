"""What a LuMamba is trained for: to fill in what is hidden and embed pieces alike, without labels; or classes.

The losses without labels are those of LuMamba (arXiv 2603.19100), the second kind LeJEPA's (arXiv 2511.08544).
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from tsrec.layers.attention import Attention
from tsrec.layers.augment import augmented
from tsrec.layers.lumamba import LuMamba, Reconstruction, either
from tsrec.layers.luna import specialisation, xavier_
from tsrec.layers.mamba import Mamba
from tsrec.layers.parameter_groups import parameter_groups
from tsrec.layers.random import Dropout, Linear
from tsrec.layers.sigreg import random_directions, sigreg
from tsrec.training import Batch

HEADS = ("query", "linear", "mamba")
_HEAD_DROPOUT = 0.15
_HEAD_WIDTH = 256


class Recipe(NamedTuple):
    """Weights and numbers of the losses without labels; the defaults are LuMamba's, but for `n_ref` and `grid`.

    Attributes
    ----------
    mask_ratio : float
        Share of the cells (a patch of a channel) that are hidden.
    mask_per_sample : bool
        Whether each window hides other cells.
    visible_weight, query_weight, lejepa_weight : float
        Weights of the errors at what is not hidden, of queries that look at the same channels, and of LeJEPA's losses.
    lejepa_lambda : float
        Weight of SIGReg against that of the prediction, within LeJEPA's.
    n_slices : int
        Directions M of SIGReg.
    n_ref : float
        Windows that SIGReg counts as if there were.
    grid : str
        See :func:`tsrec.layers.sigreg.epps_pulley`.
    n_local, n_global, local_patches, global_patches : int
        Pieces of each window, and patches of each.
    augment : str or None
        What is done to each piece: see :func:`tsrec.layers.augment.augmented`.
    """

    mask_ratio: float = 0.5
    mask_per_sample: bool = True
    visible_weight: float = 0.05
    query_weight: float = 0.8
    lejepa_weight: float = 0.05
    lejepa_lambda: float = 0.002
    n_slices: int = 128
    n_ref: float = 2040.0
    grid: str = "one-sided"
    n_local: int = 4
    n_global: int = 2
    local_patches: int = 4
    global_patches: int = 16
    augment: str | None = None


class LuMambaPretraining(nn.Module):
    """An encoder that learns without labels.

    Parameters
    ----------
    encoder : LuMamba
        The encoder.
    n_names : int
        Names of channels that the decoder tells apart.
    recipe : Recipe
        Weights of the losses.
    generator : torch.Generator
        Source of the initial values.
    """

    generator: torch.Generator | None

    def __init__(self, encoder: LuMamba, n_names: int, recipe: Recipe, *, generator: torch.Generator) -> None:
        super().__init__()
        self.encoder, self.recipe, self.generator = encoder, recipe, None
        self.decoder = Reconstruction(encoder.width, encoder.n_heads, encoder.patch, n_names, generator=generator)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return the weighted losses of recordings (B, T, C), with positions (B, C, 3) in static, names in variable."""
        assert batch.static is not None
        assert batch.variable is not None
        r, (cut, _) = self.recipe, self.encoder.cut(batch.context)
        x, absent = cut.x, cut.absent
        positions = self.encoder.positions(batch.static, batch.variable)
        hidden = hidden_cells(x.shape[:3], r.mask_ratio, per_sample=r.mask_per_sample, generator=self._drawn_from())
        hidden = hidden.to(x.device)
        found, attention = self.reconstruct(x, positions, batch.variable, either(hidden, absent))
        seen = torch.ones_like(hidden) if absent is None else ~absent
        losses = {
            "masked": smooth_error(found, x, hidden & seen),
            "visible": r.visible_weight * smooth_error(found, x, ~hidden & seen),
            "queries": r.query_weight * specialisation(attention),
        }
        return {**losses, **self._lejepa(x, positions, absent)} if r.lejepa_weight else losses

    def reconstruct(self, x: Tensor, positions: Tensor, names: Tensor, hidden: Tensor | None) -> tuple[Tensor, Tensor]:
        """Patches as the tokens tell them, (B, C, S, P), and the attention (B, S, Q, C)."""
        tokens, attention = self.encoder.encode(x, positions, hidden)
        return self.decoder(tokens, positions, names), attention

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return optimiser groups: see :func:`tsrec.layers.parameter_groups.parameter_groups`."""
        return parameter_groups(self)

    def _lejepa(self, x: Tensor, positions: Tensor, absent: Tensor | None) -> dict[str, Tensor]:
        """Embeddings of short pieces must be those of long ones, and spread like a normal distribution."""
        r = self.recipe
        samples = x.flatten(2)
        missing = None if absent is None else absent.repeat_interleave(x.shape[3], 2)
        local = self._embedded(samples, missing, positions, r.n_local, r.local_patches)
        whole = self._embedded(samples, missing, positions, r.n_global, r.global_patches).mean(0)
        directions = random_directions(r.n_slices, local.shape[-1], generator=self._drawn_from())
        # A single recording has no spread: its embedding would be drawn to zero.
        spread = local.sum() * 0
        if local.shape[1] > 1:
            spread = torch.stack([sigreg(v, directions, n_ref=r.n_ref, grid=r.grid) for v in local]).mean()
        prediction = (whole - local).square().mean()
        share = r.lejepa_lambda
        return {
            "prediction": r.lejepa_weight * (1 - share) * prediction,
            "sigreg": r.lejepa_weight * share * spread,
        }

    def _embedded(
        self, samples: Tensor, missing: Tensor | None, positions: Tensor, n_views: int, n_patches: int
    ) -> Tensor:
        """Mean tokens of pieces that begin anywhere, (n_views, B, Q E)."""
        B, _, T = samples.shape
        patch = self.encoder.patch
        size = min(n_patches * patch, T)
        generator = self._drawn_from()
        starts = torch.randint(T - size + 1, (n_views * B,), generator=generator, device=generator.device)
        at = starts.to(samples.device)[:, None] + torch.arange(size, device=samples.device)
        rows = torch.arange(B, device=samples.device).repeat(n_views)[:, None]
        pieces = samples.mT[rows, at].mT
        pieces = augmented(pieces.mT, self.recipe.augment, generator=generator).mT.unflatten(2, (-1, patch))
        hidden = None
        if missing is not None:
            hidden = missing.mT[rows, at].mT.unflatten(2, (-1, patch)).any(-1)
        tokens, _ = self.encoder.encode(pieces, positions.repeat(n_views, 1, 1), hidden)
        return tokens.mean(1).unflatten(0, (n_views, B))

    def _drawn_from(self) -> torch.Generator:
        if self.generator is None:
            raise RuntimeError("LuMambaPretraining has no generator to draw what is hidden; set .generator.")
        return self.generator

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "generator": None}


class QueryHead(nn.Module):
    """One learned vector attends over the tokens, then a net.

    Parameters
    ----------
    width, n_outputs : int
        Features of a token, and classes.
    generator : torch.Generator
        Source of the initial values.
    """

    def __init__(self, width: int, n_outputs: int, *, generator: torch.Generator) -> None:
        super().__init__()
        self.query = nn.Parameter(0.02 * torch.randn(1, 1, width, generator=generator))
        self.attention = Attention(width, 2, dropout=_HEAD_DROPOUT, generator=generator)
        self.inner = Linear(width, 4 * width, generator=generator)
        self.dropout = Dropout(_HEAD_DROPOUT)
        self.outer = Linear(4 * width, n_outputs, generator=generator)
        xavier_(self, generator)

    def forward(self, tokens: Tensor) -> Tensor:
        """Log odds (B, K) of tokens (B, S, d)."""
        found = self.attention(self.query, tokens, tokens)[0][:, 0]
        return self.outer(self.dropout(functional.gelu(self.inner(found))))


class LinearHead(nn.Module):
    """A linear map of the mean token; parameters as of :class:`QueryHead`."""

    def __init__(self, width: int, n_outputs: int, *, generator: torch.Generator) -> None:
        super().__init__()
        self.outer = Linear(width, n_outputs, generator=generator)

    def forward(self, tokens: Tensor) -> Tensor:
        """Log odds (B, K) of tokens (B, S, d)."""
        return self.outer(tokens.mean(1))


class MambaHead(nn.Module):
    """Tokens through one more Mamba layer, and the mean; parameters as of :class:`QueryHead`."""

    def __init__(self, width: int, n_outputs: int, *, generator: torch.Generator) -> None:
        super().__init__()
        self.inner = Linear(width, _HEAD_WIDTH, generator=generator)
        self.mixer = Mamba(_HEAD_WIDTH, generator=generator)
        self.outer = Linear(_HEAD_WIDTH, n_outputs, generator=generator)

    def forward(self, tokens: Tensor) -> Tensor:
        """Log odds (B, K) of tokens (B, S, d)."""
        mixed, _ = self.mixer(functional.gelu(self.inner(tokens)), return_state=False)
        return self.outer(mixed.mean(1))


def make_head(kind: str, width: int, n_outputs: int, *, generator: torch.Generator) -> nn.Module:
    """Build what makes log odds of tokens.

    Parameters
    ----------
    kind : {"query", "linear", "mamba"}
        A learned vector that attends over the tokens, their mean, or one more Mamba layer.
    width, n_outputs : int
        Features of a token, and classes.
    generator : torch.Generator
        Source of the initial values.

    Raises
    ------
    ValueError
        If the kind is not known.
    """
    kinds = {"query": QueryHead, "linear": LinearHead, "mamba": MambaHead}
    if kind not in kinds:
        raise ValueError(f"head={kind!r} is not known; use one of {HEADS}.")
    return kinds[kind](width, n_outputs, generator=generator)


class LuMambaClassification(nn.Module):
    """An encoder and a head for classes.

    Parameters
    ----------
    encoder : LuMamba
        The encoder.
    head : nn.Module
        From tokens (B, S, d) to log odds (B, K).
    freeze : bool, default False
        Leave the encoder as it is. It is then asked without dropout.
    augment : {"phase", "sign", None}
        What is done to recordings in training: see :func:`tsrec.layers.augment.augmented`.
    learning_rate : float, default 1e-3
        Peak of the head.
    decay : float, default 1.0
        Factor of the learning rate from each part to the one below it: the head, the Mamba blocks from the last, what
        unifies channels, what embeds patches and positions.
    """

    generator: torch.Generator | None

    def __init__(
        self,
        encoder: LuMamba,
        head: nn.Module,
        *,
        freeze: bool = False,
        augment: str | None = None,
        learning_rate: float = 1e-3,
        decay: float = 1.0,
    ) -> None:
        super().__init__()
        self.augment, self.generator = augment, None
        self.encoder, self.head, self.frozen = encoder.requires_grad_(not freeze), head, freeze
        self.learning_rate, self.decay = learning_rate, decay

    def forward(self, context: Tensor, points: Tensor, names: Tensor | None = None) -> Tensor:
        """Log odds (B, K) of recordings; arguments as of :class:`LuMamba`."""
        return self.head(self.encoder(context, points, names)[0])

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return the cross-entropy of recordings, or of their tokens where these are given (no positions)."""
        assert batch.target is not None
        if batch.static is None:
            scores = self.head(batch.context)
        else:
            scores = self(self._augmented(batch.context), batch.static, batch.variable)
        loss = functional.cross_entropy(scores, batch.target, reduction="none")
        return {"cross_entropy": loss.mean() if batch.weight is None else (loss * batch.weight).mean()}

    def _augmented(self, context: Tensor) -> Tensor:
        if not self.training or self.augment is None:
            return context
        assert self.generator is not None
        missing = context.isnan()
        return augmented(context.nan_to_num(), self.augment, generator=self.generator).masked_fill(missing, torch.nan)

    def train(self, mode: bool = True) -> "LuMambaClassification":
        """Set the mode; a frozen encoder stays as it answers."""
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return optimiser groups by depth, and within each those of the layers."""
        e = self.encoder
        depths: list[list[nn.Module]] = [[self.head], *([block] for block in reversed(e.mixer.blocks))]
        depths += [[e.unification], [e.patches, e.positions]]
        groups = []
        for depth, modules in enumerate(depths):
            rate = self.learning_rate * self.decay**depth
            groups += [{"lr": rate, **group} for module in modules for group in parameter_groups(module)]
        if e.hidden.requires_grad:
            groups.append({"params": [e.hidden], "lr": rate, "weight_decay": 0.0})
        return groups


def hidden_cells(shape: tuple[int, ...], ratio: float, *, per_sample: bool, generator: torch.Generator) -> Tensor:
    """Draw the cells to hide, bool (B, C, S): just floor(ratio C S) of each window.

    The released code draws them once for the whole batch (`per_sample` false).
    """
    B, C, S = shape
    draws = torch.rand(B if per_sample else 1, C * S, generator=generator, device=generator.device)
    ranks = draws.argsort(1).argsort(1)
    return (ranks < int(ratio * C * S)).view(-1, C, S).expand(B, C, S)


def smooth_error(found: Tensor, wanted: Tensor, cells: Tensor) -> Tensor:
    """Mean over the samples of some cells (B, C, S) of the smooth L1 error; 0 where there is no cell.

    Examples
    --------
    >>> cells = torch.tensor([[[True, False]]])
    >>> smooth_error(torch.tensor([[[[3.0], [9.0]]]]), torch.zeros(1, 1, 2, 1), cells).item()
    2.5
    """
    errors = functional.smooth_l1_loss(found, wanted, reduction="none").mean(-1)
    return errors.masked_fill(~cells, 0.0).sum() / cells.sum().clamp_min(1)
