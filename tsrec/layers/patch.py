"""Windows cut into patches, the tokens of a sequence model (Nie et al. 2023, arXiv 2211.14730), and the branch on them.

A branch of a forecaster has ``n_features`` and

- ``forward(z (B, L), mask, told) -> (features (B, n_features), losses)``, with named losses it wants to be added;
- ``embed(z, mask) -> (B, D)``, a summary of the window.
"""

import torch
from torch import Tensor, nn

from tsrec.layers.beside import NOTHING, UNTOLD, Beside, Sizes, Told
from tsrec.layers.random import Linear


class PatchBranch(nn.Module):
    """Patches that do not overlap, embedded, and mixed by a recurrent layer.

    Parameters
    ----------
    mixer : nn.Module
        forward(x (B, T, D), state, mask, return_state=) -> (y (B, T, D), state), causal, T = context // patch.
    context : int
        Steps L of a window.
    d_model : int
        Width D; the mixer's.
    patch : int
        Steps P of a patch; cut to `context` where that is shorter. The oldest L mod P steps are not seen.
    beside : Sizes, optional
        What is known beside a window, which is added to the embedded patches.
    generator : torch.Generator
        Source of the initial values.

    Attributes
    ----------
    n_features : int
        T D: the mixer's output at all patches.
    """

    def __init__(
        self,
        mixer: nn.Module,
        *,
        context: int,
        d_model: int,
        patch: int,
        beside: Sizes = NOTHING,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.mixer, self.patch = mixer, min(patch, context)
        self.used = context // self.patch * self.patch
        self.n_features = context // self.patch * d_model
        self.embedding = Linear(self.patch, d_model, generator=generator)
        self.beside = Beside(d_model, beside, patch=self.patch) if any(beside) else None

    def forward(
        self,
        z: Tensor,
        mask: Tensor | None = None,
        told: Told = UNTOLD,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Features of windows (B, L) with observed steps `mask`, by what is told beside them, and no losses."""
        return self._mixed(z, mask, told).flatten(1), {}

    def embed(self, z: Tensor, mask: Tensor | None = None) -> Tensor:
        """Mean over patches of the mixer's output, of the windows alone, (B, D)."""
        return self._mixed(z, mask, UNTOLD).mean(1)

    def _mixed(self, z: Tensor, mask: Tensor | None, told: Told) -> Tensor:
        patches = self.embedding(z[:, -self.used :].unflatten(1, (-1, self.patch)))
        if self.beside is not None:
            patches = patches + self.beside(told)
        seen = None if mask is None else mask[:, -self.used :].unflatten(1, (-1, self.patch)).any(-1)
        return self.mixer(patches, None, seen, return_state=False)[0]
