"""Memory for the results of kernels, from one place."""

import torch


def empty(shape: tuple[int, ...] | torch.Size, dtype: torch.dtype, device: torch.device | str = "cpu") -> torch.Tensor:
    """Return a contiguous tensor whose elements are not set."""
    return torch.empty(shape, dtype=dtype, device=device)
