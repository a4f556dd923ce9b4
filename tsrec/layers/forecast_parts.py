"""Small parts of a direct forecaster: what it is the sum of, and checks of its choices."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from tsrec.layers.normalise import MODES

LOSSES = ("mse", "mae", "huber", "absolute")


class Window(NamedTuple):
    """A window in its own units, and the units of what follows it.

    Attributes
    ----------
    z : Tensor of shape (B, L)
        As :func:`tsrec.layers.normalise.normalise` gives it.
    loc, scale : Tensor of shape (B, 1)
        Level and scale of the window.
    base, unit : Tensor of shape (B, 1) or (B, H)
        Level and scale of the steps ahead: those of the window, or what is expected of them and how far they are
        expected to be off.
    blend : Tensor of shape (B, K), or None
        See :class:`tsrec.layers.structural.Expected`.
    """

    z: Tensor
    loc: Tensor
    scale: Tensor
    base: Tensor
    unit: Tensor
    blend: Tensor | None = None

    @property
    def ratio(self) -> Tensor:
        """What turns errors in units of the steps ahead into errors in units of the window, which losses are in."""
        return self.unit / self.scale


class Parts(NamedTuple):
    """What a forecast is made of, in units of the steps ahead, before any share is applied.

    Attributes
    ----------
    linear, branch, covariates : Tensor of shape (B, H)
        Zeros where the module has no such part.
    log_spread : Tensor of shape (B, 2)
        Log factors of the offsets below and above the median.
    window : Window
        The windows, and the units of the steps ahead.
    losses : dict of Tensor of shape ()
        What the branch wants to be added to the loss.
    share : Tensor of shape () or (B, 1)
        How much of the branch is used.
    features : Tensor of shape (B, F), or None
        What the branch was made from; None without one.
    past : Tensor of shape (B, H)
        What covariates before the cut-off add by their map.
    """

    linear: Tensor
    branch: Tensor
    covariates: Tensor
    log_spread: Tensor
    window: Window
    losses: dict[str, Tensor]
    share: Tensor
    features: Tensor | None
    past: Tensor


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
