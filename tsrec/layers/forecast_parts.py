"""Small parts of a direct forecaster: its net on covariates, layers that start at zero, and checks of its choices."""

from collections.abc import Sequence

import torch
from torch import nn

from tsrec.layers.normalise import MODES
from tsrec.layers.random import Linear

LOSSES = ("mse", "mae", "huber", "absolute")
_COVARIATE_WIDTH = 16


def make_covariate_net(covariates: int, generator: torch.Generator) -> nn.Sequential:
    """A net on covariates (B, H, C) that gives (B, H, 1), zeros before it is trained."""
    hidden = Linear(covariates, _COVARIATE_WIDTH, generator=generator)
    return nn.Sequential(hidden, nn.GELU(), zeroed(Linear(_COVARIATE_WIDTH, 1, generator=generator)))


def zeroed(layer: Linear) -> Linear:
    """The layer with zeros for weights and bias."""
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
    return layer


def check_choices(normalisation: str, linear: str | None, loss: str, levels: Sequence[float]) -> None:
    """Refuse choices that are not known, and levels out of order."""
    if normalisation not in MODES:
        raise ValueError(f"normalisation={normalisation!r} is not known; use one of {MODES}.")
    if linear not in ("ridge", "learned", None):
        raise ValueError(f"linear={linear!r} is not known; use 'ridge', 'learned' or None.")
    if loss not in LOSSES:
        raise ValueError(f"loss={loss!r} is not known; use one of {LOSSES}.")
    if any(not 0 < level < 1 for level in levels) or list(levels) != sorted(set(levels)):
        raise ValueError(f"levels must increase and lie in (0, 1). Got {tuple(levels)}.")
