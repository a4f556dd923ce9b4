"""Sort the parameters of a module into optimiser groups, by what each layer says about its own."""

from typing import Any

from torch import nn

# What a class may say about its own parameters: attribute name -> optimiser options.
OptimizerOptions = dict[str, dict[str, float]]


def parameter_groups(module: nn.Module) -> list[dict[str, Any]]:
    """Return groups for a torch optimiser, every trainable parameter of `module` in exactly one.

    A layer class names the exceptions among its own parameters in ``optimizer_options``. Norms and biases get no
    weight decay. All the rest takes the optimiser's defaults.

    Parameters
    ----------
    module : nn.Module
        Any module; shared parameters count once.

    Returns
    -------
    list of dict
        Each with "params" and, where they differ from the optimiser's defaults, "lr" and "weight_decay".

    Examples
    --------
    >>> [sorted(group) for group in parameter_groups(nn.Linear(2, 3))]
    [['params'], ['params', 'weight_decay']]
    """
    groups: dict[tuple[tuple[str, float], ...], list[nn.Parameter]] = {}
    seen: set[int] = set()
    for owner in module.modules():
        named: OptimizerOptions = getattr(type(owner), "optimizer_options", {})
        for name, parameter in owner.named_parameters(recurse=False):
            if not parameter.requires_grad or id(parameter) in seen:
                continue
            seen.add(id(parameter))
            options = named.get(name, {"weight_decay": 0.0} if name == "bias" or _is_norm(owner) else {})
            groups.setdefault(tuple(sorted(options.items())), []).append(parameter)
    return [{"params": parameters, **dict(options)} for options, parameters in groups.items()]


def _is_norm(module: nn.Module) -> bool:
    return isinstance(module, (nn.LayerNorm, nn.RMSNorm, nn.GroupNorm))
