"""Families that are one mixer inside a `DirectForecaster`: they share its parameters, checks and recipes."""

from numbers import Real

import numpy as np
import torch
from torch import nn

from tsrec.estimators._parameters import check_whole
from tsrec.estimators._recipe import kind_of, recipe_for
from tsrec.estimators._torch_forecaster import TorchForecaster
from tsrec.estimators._window_weights import MEASURES
from tsrec.frames import Panel
from tsrec.frames.clock import filled_front
from tsrec.layers.forecast import DirectForecaster
from tsrec.layers.normalise import MODES
from tsrec.layers.patch import PatchBranch
from tsrec.layers.structural import StructuralMaps

# Linear maps in closed form.
SOLVED = ("ridge", "structural")
LOSSES = ("mse", "mae", "huber", *MEASURES)
# Variables that may each have a linear map of their own; more are a panel, and share one.
_MOST_MAPS = 7
# Few tokens are fast and were no worse, but on sub-daily data, where the days of weeks are hundreds of steps.
_TOKENS, _LONGEST_PATCH = 7, 28
_CHOICES = {"linear": ("ridge", "structural", "learned", None), "loss": LOSSES, "normalisation": MODES}


class DirectFamily(TorchForecaster):
    """Base of the families whose module is a `DirectForecaster`; a family gives `_mixer`."""

    linear: str | None
    normalisation: str
    loss: str
    dropout: float | str
    patch: int | str
    d_model: int
    maps_: int
    n_epochs_: int
    share_: float
    linear_: str | None
    day_: int
    # What the branch is called among the components of a forecast.
    BRANCH = "recurrent"
    MODULE: type[DirectForecaster] = DirectForecaster

    def _mixer(self, generator: torch.Generator) -> nn.Module:
        """The mixer, of width `d_model`, over ``context_ // patch_`` tokens."""
        raise NotImplementedError

    def _apart(self) -> bool:
        """Whether linear maps are those of kinds of windows with nothing in common, not of variables."""
        return False

    def _has_days(self) -> bool:
        """Whether there is a season that a structural model can be of."""
        return 1 < self.day_ <= self.context_ // 2

    def _filled(self, window: np.ndarray) -> np.ndarray:
        """A structural model takes a window as it is: short histories are taken to have begun as they went on."""
        return filled_front(window, self.day_) if self.linear_ == "structural" else window

    def _undecided(self) -> bool:
        """Whether folds may still speak against a structural model."""
        return self.linear == "auto" and self.linear_ == "structural"

    def _structural(self) -> StructuralMaps | None:
        """What is expected of windows before anything is learned."""
        if self.linear_ != "structural":
            return None
        return StructuralMaps(self.context_, self.horizon_, self.day_, self._expecting())

    def _expecting(self) -> tuple[bool, ...] | None:
        """For each kind of windows whether something is expected of it; None: of all."""
        return None

    def _branch(self, generator: torch.Generator) -> nn.Module:
        """What learns beside the linear map; see `tsrec.layers.patch`."""
        mixer, size = self._mixer(generator), {"context": self.context_, "d_model": self.d_model}
        return PatchBranch(mixer, **size, patch=self.patch_, beside=self._sizes(), generator=generator)

    def _branch_told(self) -> str:
        """How much of the fitted branch is used, or why none is, in words."""
        why = "it gained too little on the held-out tail" if self.n_epochs_ else "too few rows to train it"
        share = f"{self.share_:.0%}".replace("%", " %") if self.share_ > 0 else f"off, {why}"
        return f"{self.BRANCH} branch: {share}"

    def _patch(self) -> int:
        """Steps per token: as asked for, or some tokens of whole seasons."""
        if self.patch != "auto":
            return min(int(self.patch), self.context_)
        patch = max(self.context_ // _TOKENS, 1)
        if kind_of(self.panel_, self.season_).pace == "sub-daily":
            patch = min(patch, _LONGEST_PATCH)
        return patch // self.season_ * self.season_ if patch >= self.season_ else patch

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_whole(self, "d_model")
        for name, known in _CHOICES.items():
            value = getattr(self, name)
            if value not in ("auto", *known):
                raise ValueError(f"{name}={value!r} is not known; use one of {('auto', *known)}.")
        if self.dropout != "auto" and not (isinstance(self.dropout, Real) and 0 <= self.dropout < 1):
            raise ValueError(f"dropout: found {self.dropout!r}. Give a share of at least 0 and below 1, or 'auto'.")

    def _choose(self, panel: Panel) -> None:
        kind = kind_of(panel, self.season_)
        recipe = recipe_for(kind, panel, self.season_, self.horizon_)
        self.recipe_ = kind.name
        for name, value in recipe._asdict().items():
            given = getattr(self, name)
            setattr(self, f"{name}_", value if isinstance(given, str) and given == "auto" else given)
        if self.linear == "auto" and self.max_epochs_ == 0 and self.linear_ is None:
            # Where nothing is trained, nothing but a map is left to forecast with.
            self.linear_ = "ridge"
        # A longer context would only be padded.
        self.context_ = min(int(self.context_), int(panel.lengths.max()))
        self.patch_ = self._patch()
        self.day_ = int(panel.grid.season or self.season_)
        self._check_days()
        self.maps_ = panel.n_channels if self.linear_ in SOLVED and panel.n_channels <= _MOST_MAPS else 1

    def _check_days(self) -> None:
        """A structural model needs days: where it was asked for that is an error, else the map stands alone."""
        if self.linear_ != "structural" or self._has_days():
            return
        if self.linear == "auto":
            self.linear_ = "ridge"
            return
        raise ValueError(
            f"linear='structural' expects a season that fits into the context twice; found {self.day_} steps and a "
            f"context of {self.context_}. Give a season and a longer context, or use 'ridge'."
        )

    def _weighing(self) -> str | None:
        return self.loss_ if self.loss_ in MEASURES else None

    def _build(self, n_features: int, generator: torch.Generator) -> nn.Module:
        return self.MODULE(
            self._branch(generator) if self.max_epochs_ else None,
            context=self.context_,
            horizon=self.horizon_,
            covariates=n_features,
            beside=self._sizes(),
            levels=self.levels_.tolist(),
            normalisation=self.normalisation_,
            linear="ridge" if self.linear_ == "structural" else self.linear_,
            maps=self.maps_,
            apart=self._apart(),
            structural=self._structural(),
            name=self.BRANCH,
            loss="absolute" if self._weighing() else self.loss_,
            dropout=self.dropout_,
            generator=generator,
        )
