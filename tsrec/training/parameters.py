"""Parameter groups: what a module asks for, checked, in the form the optimiser takes."""

from collections.abc import Callable
from typing import Any, cast

from torch import nn

_KEYS = {"params", "lr", "weight_decay"}


def optimizer_groups(module: nn.Module, *, learning_rate: float, weight_decay: float) -> list[dict[str, Any]]:
    """Return AdamW's parameter groups; each carries ``peak``, the learning rate its schedule scales.

    A module may say more by ``parameter_groups()``. Otherwise matrices decay, vectors (biases, norms) do not.

    Raises
    ------
    ValueError
        If the module's groups leave out a trainable parameter, name one twice, name one that is not the module's,
        or use an unknown key.
    """
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    trainable = {id(p) for p in module.parameters() if p.requires_grad}
    asked = _by_shape(module)
    if hasattr(module, "parameter_groups"):
        asked = cast("Callable[[], list[dict[str, Any]]]", module.parameter_groups)()
    groups: list[dict[str, Any]] = []
    seen: set[int] = set()
    for asked_group in asked:
        unknown = asked_group.keys() - _KEYS
        if unknown:
            raise ValueError(f"parameter_groups() of {type(module).__name__} has unknown keys {sorted(unknown)}.")
        params = [p for p in asked_group["params"] if p.requires_grad]
        for p in params:
            if id(p) not in names or id(p) in seen:
                fault = "twice" if id(p) in seen else "that is not its own"
                raise ValueError(
                    f"parameter_groups() of {type(module).__name__} names parameter "
                    f"{names.get(id(p), tuple(p.shape))!r} {fault}."
                )
            seen.add(id(p))
        peak = asked_group.get("lr", learning_rate)
        decay = asked_group.get("weight_decay", weight_decay)
        if params:
            groups.append({"params": params, "lr": peak, "peak": peak, "weight_decay": decay})
    left_out = [names[key] for key in names if key in trainable - seen]
    if left_out:
        raise ValueError(f"parameter_groups() of {type(module).__name__} leaves out {left_out}.")
    return groups


def _by_shape(module: nn.Module) -> list[dict[str, Any]]:
    parameters = list(module.parameters())
    return [
        {"params": [p for p in parameters if p.ndim > 1]},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
