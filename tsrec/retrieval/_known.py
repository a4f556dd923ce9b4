"""Fitted encoders: what tells one from another, and whether one has changed since."""

from typing import Any

from joblib import hash as hash_of
from sklearn.frozen import FrozenEstimator

# What a network of tsrec is, beside its weights: the units of what goes in.
_UNITS = ("center_", "spread_")


def bare(encoder: Any) -> Any:
    """An encoder without the FrozenEstimator around it, which keeps scikit-learn's ``clone`` from unfitting it."""
    return encoder.estimator if isinstance(encoder, FrozenEstimator) else encoder


def fingerprint(encoder: Any) -> str:
    """What tells one encoder from another: its class and weights, or all it holds."""
    encoder = bare(encoder)
    if isinstance(encoder, str):
        return encoder
    module = getattr(encoder, "module_", None)
    if module is None:
        # By its attributes: a class defined in a notebook has no name that could be hashed.
        return f"{type(encoder).__name__} {hash_of(vars(encoder))}"
    weights = {name: weight.cpu().numpy() for name, weight in module.state_dict().items()}
    units = [getattr(encoder, name, None) for name in _UNITS]
    return f"{type(encoder).__name__} {hash_of([weights, units])}"


class Known:
    """The encoder whose vectors are indexed.

    Parameters
    ----------
    encoder : "auto" or fitted encoder
        As it is now.
    mark : str, optional
        Fingerprint of the one whose vectors are indexed, where it is known; `encoder` may have changed since.
    """

    def __init__(self, encoder: Any, mark: str | None = None) -> None:
        self.mark = fingerprint(encoder) if mark is None else mark
        self._parts = _parts(encoder) if mark is None else None

    def is_still(self, encoder: Any) -> bool:
        """Whether an encoder makes these vectors: the same one, or another of the same weights.

        Weights are only looked at where something the encoder holds was replaced, as `fit` does: not at each query.
        """
        parts, known = _parts(encoder), self._parts
        if (
            known is not None
            and parts.keys() == known.keys()
            and all(part is known[name] for name, part in parts.items())
        ):
            return True
        if fingerprint(encoder) != self.mark:
            return False
        self._parts = parts
        return True


def _parts(encoder: Any) -> dict[str, Any]:
    """What an encoder holds; private attributes may be caches."""
    encoder = bare(encoder)
    if isinstance(encoder, str):
        return {"": encoder}
    names = ("module_", *_UNITS) if hasattr(encoder, "module_") else vars(encoder)
    return {name: getattr(encoder, name, None) for name in names if not name.startswith("_")}
