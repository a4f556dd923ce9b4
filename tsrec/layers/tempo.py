"""TEMPO: a window is taken apart, and its components, each behind a prompt, pass through one backbone.

Cao et al. (2024), TEMPO: Prompt-based Generative Pre-trained Transformer for Time Series Forecasting, arXiv 2310.04948.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from tsrec.layers.beside import UNTOLD, Told
from tsrec.layers.checks import check_counts, holds
from tsrec.layers.forecast import DirectForecaster
from tsrec.layers.forecast_parts import Parts
from tsrec.layers.random import Linear, default_generator

COMPONENTS = ("trend", "seasonal", "residual")
_EPSILON = 1e-5


class TEMPOBranch(nn.Module):
    """Features of a window: components, patches of each as tokens, prompts before them, one sequence, a backbone.

    The sequence is [text, prompt of the trend, trend, prompt of the season, season, prompt of the rest, rest]; what
    comes out at patches are the features, at prompts it is dropped (section 3 of the paper). A module that knows its
    place beside a forecaster's linear map: see :mod:`tsrec.layers.patch`.

    Parameters
    ----------
    backbone : nn.Module or None
        forward(x (B, T, E), state, mask, return_state=) -> (y (B, T, E), state); None: tokens are the features.
    context : int
        Steps L of a window.
    d_model : int
        Width E; the backbone's.
    patch, stride : int, default 16 and 8
        Steps P of a patch and from one to the next; the window is continued by its last value for one stride, which
        makes N = (L - P) // stride + 2 patches.
    decomposition : nn.Module, optional
        From windows (B, L) to components (3, B, L), such as :class:`tsrec.layers.decomposition.FixedDecomposition`.
        None: one component, the window itself.
    targets : nn.Module, optional
        Of the same kind, what a trained `decomposition` should give: the reference of the loss L_dec.
    decomposition_weight : float, default 0.01
        Weight w of L_dec.
    prompts : sequence of nn.Module, optional
        One for each component, as in :mod:`tsrec.layers.prompt_pool`; the same module in all places is a shared pool.
    pull_weight : float, default 0.1
        Weight of the loss that pulls the keys of a pool.
    own_scale : bool, default False
        Whether each component is brought to its own mean and standard deviation (the paper's wording); False: all
        have those of the window (the published code).
    d_head : int, optional
        What tokens are brought down to before they become features; None: their full width, as in the paper.
    n_text : int, default 0
        Length S of a vector that tells of the series in words; a token of its own, at the front.
    generator : torch.Generator, optional
        Source of the initial values; a fresh one with seed 0 when omitted.

    Attributes
    ----------
    n_features : int
        Components, times N, times `d_head`.
    n_tokens : int
        Length of the sequence.

    Examples
    --------
    >>> branch = TEMPOBranch(None, context=336, d_model=8)
    >>> branch.n_tokens, branch(torch.randn(2, 336))[0].shape
    (42, torch.Size([2, 336]))
    """

    def __init__(
        self,
        backbone: nn.Module | None,
        *,
        context: int,
        d_model: int,
        patch: int = 16,
        stride: int = 8,
        decomposition: nn.Module | None = None,
        targets: nn.Module | None = None,
        decomposition_weight: float = 0.01,
        prompts: Sequence[nn.Module] | None = None,
        pull_weight: float = 0.1,
        own_scale: bool = False,
        d_head: int | None = None,
        n_text: int = 0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        check_counts(context=context, d_model=d_model, patch=patch, stride=stride)
        generator = default_generator(generator)
        self.patch, self.stride = min(patch, context), stride
        self.own_scale, self.pull_weight, self.decomposition_weight = own_scale, pull_weight, decomposition_weight
        self.backbone, self.decomposition, self.targets = backbone, decomposition, targets
        self.names = COMPONENTS if decomposition is not None else ("whole",)
        count = len(self.names)
        if prompts is not None and len(prompts) != count:
            raise ValueError(f"prompts: found {len(prompts)}, there are {count} components. Give one for each.")
        self.prompts = None if prompts is None else nn.ModuleList(prompts)
        self.embeddings = nn.ModuleList(Linear(self.patch, d_model, generator=generator) for _ in self.names)
        self.reduced = Linear(d_model, d_head, generator=generator) if d_head else None
        self.text = Linear(n_text, d_model, generator=generator) if n_text else None
        n_patches = (context - self.patch) // stride + 2
        self.n_features = count * n_patches * (d_head or d_model)
        self.n_patches = n_patches

    @property
    def n_tokens(self) -> int:
        """Tokens of the sequence."""
        with torch.no_grad():
            context = (self.n_patches - 2) * self.stride + self.patch
            windows = next(self.embeddings.parameters()).new_zeros(1, context)
            tokens = [embedding(self._patches(windows)) for embedding in self.embeddings]
            lengths = [self._prompt(number, one)[0].shape[1] + one.shape[1] for number, one in enumerate(tokens)]
        return sum(lengths) + (self.text is not None)

    def forward(self, z: Tensor, mask: Tensor | None = None, told: Told = UNTOLD) -> tuple[Tensor, dict[str, Tensor]]:
        """Features of windows (B, L), and the losses that shape components and keys.

        Parameters
        ----------
        z : Tensor of shape (B, L)
            Windows in units of their own, finite.
        mask : Tensor of bool, shape (B, L), optional
            True where observed; patches without an observed step are not seen by the others.
        told : Told
            With ``static``, text vectors.

        Returns
        -------
        features : Tensor of shape (B, n_features)
        losses : dict of Tensor of shape ()
            "decomposition" and "pull", weighted, where there is something to learn from them.
        """
        parts = self.apart(z)
        y, pull = self._mixed(parts, mask, told.static)
        y = y if self.reduced is None else self.reduced(y)
        if self.own_scale:
            y = y * _moments(parts)[1].movedim(0, 1)[..., None]
        losses = {}
        if self.targets is not None:
            # All three in the scale of the window, so that they can be met together: their sum is the window's.
            gap = functional.mse_loss(parts, self.targets(z), reduction="none").mean((1, 2)).sum()
            losses["decomposition"] = self.decomposition_weight * gap
        if pull is not None:
            losses["pull"] = self.pull_weight * pull
        return y.flatten(1), losses

    def apart(self, z: Tensor) -> Tensor:
        """Components (C, B, L) of windows (B, L); they sum up to the windows."""
        return z[None] if self.decomposition is None else self.decomposition(z)

    def embed(self, z: Tensor, mask: Tensor | None = None) -> Tensor:
        """Mean over the patches of all components of what comes out of the backbone, (B, E)."""
        return self._mixed(self.apart(z), mask, None)[0].mean((1, 2))

    def chosen(self, z: Tensor) -> dict[str, Tensor]:
        """Numbers of the prompts that each component of windows (B, L) took from its pool, (B, K) for each."""
        found = {}
        for number, (name, tokens) in enumerate(zip(self.names, self._tokens(self.apart(z)), strict=True)):
            numbers = self._prompt(number, tokens)[2]
            if numbers is not None:
                found[name] = numbers
        return found

    def _mixed(self, parts: Tensor, mask: Tensor | None, static: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """What comes out at the patches, (B, C, N, E), and how far the keys are from their queries."""
        pieces, kinds, pulls = [], [], []
        tokens = self._tokens(parts)
        if self.text is not None:
            vector = tokens[0].new_zeros(tokens[0].shape[0], self.text.in_features) if static is None else static
            pieces.append(self.text(vector)[:, None])
            kinds.append(0)
        for number, one in enumerate(tokens):
            prompt, pull, _ = self._prompt(number, one)
            pieces += [prompt, one]
            kinds += [0] * prompt.shape[1] + [1] * one.shape[1]
            pulls += [] if pull is None else [pull]
        x = torch.cat(pieces, 1)
        places = torch.tensor([place for place, kind in enumerate(kinds) if kind], device=x.device)
        if self.backbone is not None:
            x = self.backbone(x, None, self._seen(mask, places, len(kinds)), return_state=False)[0]
        y = x[:, places].unflatten(1, (len(tokens), -1))
        return y, torch.stack(pulls).mean() if pulls else None

    def _tokens(self, parts: Tensor) -> list[Tensor]:
        if self.own_scale:
            mean, scale = _moments(parts)
            parts = (parts - mean) / scale
        return [embedding(self._patches(part)) for embedding, part in zip(self.embeddings, parts, strict=True)]

    def _patches(self, x: Tensor) -> Tensor:
        """Windows (B, L), continued by their last value, as patches (B, N, P)."""
        return torch.cat([x, x[:, -1:].expand(-1, self.stride)], 1).unfold(1, self.patch, self.stride)

    def _prompt(self, number: int, tokens: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Vectors (B, k, E) to put before the tokens of a component, the pull of their keys, and their numbers."""
        if self.prompts is None:
            return tokens[:, :0], None, None
        prompt = self.prompts[number](tokens)
        return prompt.vectors, None if prompt.chosen is None else prompt.pull, prompt.chosen

    def _seen(self, mask: Tensor | None, places: Tensor, count: int) -> Tensor | None:
        """Which tokens the others may see, (B, T), those at `places` being patches; those of prompts always."""
        if mask is None or holds(mask.all(), traced=False):
            return None
        seen = self._patches(mask).any(-1)
        whole = torch.ones(mask.shape[0], count, dtype=torch.bool, device=mask.device)
        whole[:, places] = seen.repeat(1, len(self.names))
        return whole


class TEMPO(DirectForecaster):
    """A :class:`DirectForecaster` on a :class:`TEMPOBranch`; parameters are the same. Its components are TEMPO's."""

    def named(self, parts: Parts, variable: Tensor | None) -> dict[str, Tensor]:
        """Split by what a forecast was made from: "trend", "seasonal", "residual" ("whole" without a decomposition).

        A linear map of the window is the sum of what it makes of trend, season and rest, and so is the last layer of
        what it makes of their features. The level of the window goes with the trend.
        """
        if not isinstance(self.branch, TEMPOBranch) or parts.features is None:
            return super().named(parts, variable)
        window = parts.window
        names = self.branch.names
        features = parts.features.unflatten(1, (len(names), -1))
        weights = self.head.weight.unflatten(1, (len(names), -1))
        found = {}
        for number, (name, part) in enumerate(zip(names, self.branch.apart(window.z), strict=True)):
            linear = self._mapped(part, variable)
            bias = self.head.bias if number == 0 else None
            learned = functional.linear(features[:, number], weights[:, number], bias)
            found[name] = window.unit * (linear + parts.share * learned) + (window.loc if number == 0 else 0.0)
            if self.structural is not None and window.blend is not None:
                found[name] = found[name] + window.scale * self.structural.blended(part, window.blend)
        return found


def _moments(parts: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of components (C, B, L), (C, B, 1) each, without gradients."""
    parts = parts.detach()
    return parts.mean(-1, keepdim=True), (parts.var(-1, correction=0, keepdim=True) + _EPSILON).sqrt()
