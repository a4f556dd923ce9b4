"""Modules that say what they take and give: named tensors with their shapes, the same for all tasks."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

_REAL, _WHOLE = (torch.float32, torch.float64), (torch.int64, torch.int32)


class Declared(NamedTuple):
    """One tensor that a module takes or gives.

    Attributes
    ----------
    name : str
    shape : tuple of int and str
        A name stands for a size that may be any.
    dtype : torch.dtype
    meaning : str
        What it holds, in a sentence.
    """

    name: str
    shape: tuple[int | str, ...]
    dtype: torch.dtype
    meaning: str

    def __str__(self) -> str:
        shape = ", ".join(map(str, self.shape))
        return f"{self.name} ({shape}) {str(self.dtype).removeprefix('torch.')}: {self.meaning}"


class DeclaredModule(nn.Module):
    """Base of the modules that :func:`tsrec.to_torch` gives.

    Attributes
    ----------
    inputs, outputs : tuple of Declared
        What is taken and given, in order; ``print(module.describe())`` shows them.
    """

    inputs: tuple[Declared, ...]
    outputs: tuple[Declared, ...]

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of the tensors that are taken."""
        return tuple(one.name for one in self.inputs)

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the tensors that are given."""
        return tuple(one.name for one in self.outputs)

    def describe(self) -> str:
        """Inputs and outputs, a line each, with shapes and what they mean."""
        return "\n".join(["inputs", *map(str, self.inputs), "outputs", *map(str, self.outputs)])

    def example(self, batch: int = 2) -> dict[str, Tensor]:
        """Tensors that the module takes, such as ``torch.export`` wants to see: random numbers; new and known series.

        Parameters
        ----------
        batch : int, default 2
            Their first size.

        Returns
        -------
        dict of Tensor
        """
        draws = torch.Generator().manual_seed(0)
        found = {}
        for name, shape, dtype, _ in self.inputs:
            size = [batch if isinstance(part, str) else part for part in shape]
            found[name] = (
                torch.randn(size, generator=draws).to(dtype) if dtype.is_floating_point else self._counts(name, size)
            )
        return found

    def dynamic_shapes(self) -> dict[str, dict[int, torch.export.Dim]]:
        """Which sizes are free, as ``torch.export.export`` takes it."""
        free = torch.export.Dim("batch", min=1)
        return {one.name: {at: free for at, part in enumerate(one.shape) if part == "batch"} for one in self.inputs}

    def _counts(self, name: str, size: list[int]) -> Tensor:  # noqa: ARG002 - for those that count several things
        """An example of whole numbers."""
        return torch.full(size, -1)

    def _check(self, **given: Tensor | None) -> None:
        """Refuse tensors that are missing, not expected, of another shape or kind, or of other rows than the first."""
        rows: int | None = None
        for name, tensor in given.items():
            wanted = next((one for one in self.inputs if one.name == name), None)
            if wanted is None:
                if tensor is not None:
                    raise ValueError(f"{name}: not expected. The module takes {', '.join(self.input_names)}.")
                continue
            if tensor is None:
                raise ValueError(f"{name}: missing. Give {wanted}")
            _check_tensor(tensor, wanted)
            rows = tensor.shape[0] if rows is None else rows
            if tensor.shape[0] != rows:
                raise ValueError(f"{name}: found {tensor.shape[0]} rows, {self.inputs[0].name} has {rows}.")


def _check_tensor(tensor: Tensor, wanted: Declared) -> None:
    """Refuse what is no tensor, numbers that answers would be rounded to or names cannot be, and another shape."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{wanted.name}: found {type(tensor).__name__}, not a tensor. Give {wanted}")
    kinds = _REAL if wanted.dtype.is_floating_point else _WHOLE
    if tensor.dtype not in kinds:
        mend = " or ".join(str(kind).removeprefix("torch.") for kind in kinds)
        raise ValueError(f"{wanted.name}: found {tensor.dtype}. Give numbers of {mend}.")
    fits = tensor.ndim == len(wanted.shape) and all(
        isinstance(part, str) or part == size for part, size in zip(wanted.shape, tensor.shape, strict=True)
    )
    if not fits:
        raise ValueError(f"{wanted.name}: found shape {tuple(tensor.shape)}. Give {wanted}")
