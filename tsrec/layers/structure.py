"""What a module is besides its weights: the choices that its layers keep as plain attributes."""

from typing import Any

from torch import nn

_PLAIN = (bool, int, float, str, type(None))


def structure(module: nn.Module) -> dict[str, dict[str, Any]]:
    """Return the plain attributes of a module and of all inside it, by their paths.

    Two modules with the same structure and the same ``state_dict`` give the same answers.

    Parameters
    ----------
    module : nn.Module

    Returns
    -------
    dict of dict

    Examples
    --------
    >>> structure(nn.Linear(2, 3))[""]["in_features"]
    2
    """
    return {path: _plain_attributes(part) for path, part in module.named_modules()}


def _plain_attributes(module: nn.Module) -> dict[str, Any]:
    found = {name: value for name, value in vars(module).items() if not name.startswith("_") and _is_plain(value)}
    found.pop("training")
    return {"class": type(module).__name__, **found}


def _is_plain(value: Any) -> bool:
    return all(map(_is_plain, value)) if isinstance(value, tuple | list) else isinstance(value, _PLAIN)
