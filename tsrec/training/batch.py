"""The one record that passes between the training loop and a module."""

from typing import NamedTuple

import torch
from torch import Tensor


class Batch(NamedTuple):
    """Windows or series that are trained on together; every field but the context may be missing.

    Attributes
    ----------
    context : Tensor of shape (B, L) or (B, L, D)
        What the module sees.
    mask : Tensor of bool, shape of ``context``, optional
        True where the context was observed.
    past : Tensor of shape (B, L, P), optional
        Covariates known up to the end of the context only.
    future : Tensor of shape (B, H, C), optional
        Covariates known over the horizon.
    static : Tensor of shape (B, S), optional
        What does not change within a series.
    series : Tensor of int64, shape (B,), optional
        Which series a row was cut from.
    variable : Tensor of int64, shape (B,), optional
        Which variable (column) of it.
    weight : Tensor of shape (B,), optional
        How much a row counts in the loss.
    target : Tensor, optional
        What is to be answered: (B, H) for a forecast, with NaN where a step was not observed; (B,) for a label.
    """

    context: Tensor
    mask: Tensor | None = None
    past: Tensor | None = None
    future: Tensor | None = None
    static: Tensor | None = None
    series: Tensor | None = None
    variable: Tensor | None = None
    weight: Tensor | None = None
    target: Tensor | None = None

    def to(self, device: torch.device | str) -> "Batch":
        """Move every tensor to ``device``; itself when it is there already."""
        return Batch._make([None if field is None else field.to(device) for field in self])
