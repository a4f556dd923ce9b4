"""What fine-tuning goes on from."""

from typing import Any, NamedTuple

from torch import Tensor

# The kind of frequency that has days, of which a structural model expects something.
DAYS = "sub-daily"


class Before(NamedTuple):
    """What fine-tuning goes on from.

    Attributes
    ----------
    weights : dict of Tensor
        Of the module.
    settled : dict
        Fitted attributes that shape it.
    shape : dict
        Parameters that do.
    season_steps : int or None
        Steps per season of the module, where it counts in seasons.
    paces : tuple of str
        Kinds of frequency that have maps of their own, and all others one.
    """

    weights: dict[str, Tensor]
    settled: dict[str, Any]
    shape: dict[str, Any]
    season_steps: int | None
    paces: tuple[str, ...]

    @classmethod
    def of(cls, forecaster: Any) -> "Before | None":
        """Of a fitted forecaster; None if it is not fitted."""
        if not hasattr(forecaster, "module_"):
            return None
        module = forecaster.module_
        # Members of an ensemble begin alike and part by what they draw.
        module = module.members[0] if hasattr(module, "members") else module
        weights = {name: tensor.detach().clone().cpu() for name, tensor in module.state_dict().items()}
        settled = {name: getattr(forecaster, name) for name in forecaster.SETTLED}
        if module.branch is None:
            # There is nothing that looks at components yet.
            settled.pop("period_", None)
        return cls(weights, settled, forecaster.shape_, forecaster.season_steps_, getattr(forecaster, "paces_", ()))

    def check(self, shape: dict[str, Any]) -> None:
        """Refuse parameters that would make another module."""
        for name, value in shape.items():
            if value != self.shape[name]:
                raise ValueError(
                    f"warm_start: {name} was {self.shape[name]!r} when the weights were learned, and is {value!r} now. "
                    "Set it back, or fit without warm_start."
                )

    def expects(self, pace: str) -> bool:
        """Whether the map of a kind of frequency is of what a structural model leaves over."""
        if self.settled["linear_"] != "structural":
            return False
        several = self.paces and self.weights["linear"].ndim == 3
        return pace == DAYS and pace in self.paces if several else True

    def map_of(self, pace: str, linear: str | None) -> Tensor | None:
        """The linear map (L, H) of a kind of frequency, else that of all; of variables the mean.

        None where it was of what a structural model leaves over and now is not, or the other way round.
        """
        found = self.weights.get("linear")
        if found is not None and self.expects(pace) != (linear == "structural"):
            return None
        if found is None or found.ndim == 2:
            return found
        if self.paces:
            return found[self.paces.index(pace) if pace in self.paces else -1]
        return found.mean(0)
