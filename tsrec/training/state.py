"""Everything a training run needs to go on: one object, made of tensors and JSON values."""

from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

_FORMAT = 1
_Module = TypeVar("_Module", bound=nn.Module)


@dataclass
class TrainingState:
    """The whole state of :func:`tsrec.training.train`, as of the end of an epoch.

    The learning rate schedule is a function of ``step`` and needs no entry. A fresh object starts a run; the
    loop writes into the object it was given, so that it can be read after Ctrl-C.

    Attributes
    ----------
    epoch, step : int
        Epochs and optimiser steps that are done.
    best_epoch : int
        Epoch with the lowest validation loss, counted from 1; 0 without validation.
    best_loss : float or None
        That loss.
    history : list of dict
        One record per epoch: epoch, step, learning_rate, loss, losses (by name), validation_loss, validation_losses,
        seconds.
    weights, best_weights : dict of Tensor or None
        The module's state_dict now and at the best epoch.
    optimizer : dict or None
        The optimiser's state_dict.
    generator, device_generator : Tensor of uint8 or None
        States of the random generators: the one for batches, and the module's own when it runs on another device.
    interrupted : bool
        True after Ctrl-C.
    stopped : bool
        True when the run ended before ``max_epochs`` by patience or by the callback.
    """

    epoch: int = 0
    step: int = 0
    best_epoch: int = 0
    best_loss: float | None = None
    history: list[dict[str, Any]] = field(default_factory=list)
    weights: dict[str, Tensor] | None = None
    best_weights: dict[str, Tensor] | None = None
    optimizer: dict[str, Any] | None = None
    generator: Tensor | None = None
    device_generator: Tensor | None = None
    interrupted: bool = False
    stopped: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return nested dicts and lists of tensors and JSON values; tensors are copies on the CPU.

        Examples
        --------
        >>> TrainingState.from_dict(TrainingState(epoch=2).to_dict()).epoch
        2
        """
        plain = {entry.name: _plain(getattr(self, entry.name)) for entry in fields(self)}
        return {"format": _FORMAT, **plain}

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> "TrainingState":
        """Rebuild a state from :meth:`to_dict`.

        Raises
        ------
        ValueError
            If ``saved`` was written in another format or lacks entries.
        """
        names = {entry.name for entry in fields(cls)}
        if saved.get("format") != _FORMAT or not names <= saved.keys():
            missing = sorted(names - saved.keys())
            raise ValueError(
                f"saved is no training state of format {_FORMAT}: format {saved.get('format')!r}, missing {missing}. "
                "Start with an empty TrainingState()."
            )
        return cls(**{name: _plain(saved[name]) for name in names})


def _plain(value: Any) -> Any:
    """Copy nested containers; tuples become lists, keys strings, tensors detached copies on the CPU."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    return value


def with_weights(module: _Module, weights: dict[str, Any]) -> _Module:
    """Give a module saved weights, and make it ready to answer.

    Parameters
    ----------
    module : nn.Module
        Of the same architecture.
    weights : dict of str to array
        Its ``state_dict`` as arrays.

    Returns
    -------
    nn.Module
        The module itself.

    Raises
    ------
    RuntimeError
        If names or shapes are not those of the module.

    Examples
    --------
    >>> with_weights(nn.Linear(1, 1, bias=False), {"weight": np.array([[2.0]])}).weight.item()
    2.0
    """
    module.load_state_dict({name: torch.from_numpy(np.array(weight)) for name, weight in weights.items()})
    return module.eval()


def copy_tensors(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copy a state_dict, so that later steps do not write into it."""
    return {name: torch.clone(tensor.detach()) for name, tensor in tensors.items()}
