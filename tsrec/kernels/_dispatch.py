"""Choose the backend of a primitive by device and dtype; ``TSREC_BACKEND`` overrides the choice."""

import importlib
import importlib.util
import os
from types import ModuleType

import torch
from torch import Tensor

BACKENDS = ("reference", "numba", "triton")
_NUMBA_DTYPES = (torch.float32, torch.float64, torch.complex64, torch.complex128)


def accumulation_dtype(*tensors: Tensor | None) -> torch.dtype:
    """Return the dtype in which a primitive computes: at least single precision, complex if any input is.

    Parameters
    ----------
    *tensors : Tensor or None
        Inputs of the primitive; None stands for an input left out.

    Returns
    -------
    torch.dtype
        float32 or float64, or their complex counterparts.

    Examples
    --------
    >>> accumulation_dtype(torch.zeros(1, dtype=torch.bfloat16), None)
    torch.float32
    """
    dtype = torch.float32
    for tensor in tensors:
        if tensor is not None:
            dtype = torch.promote_types(dtype, tensor.dtype)
    return dtype


def choose(primitive: str, sample: Tensor, implemented: tuple[str, ...]) -> str:
    """Name the backend that computes ``primitive`` on tensors like ``sample``.

    Parameters
    ----------
    primitive : str
        Name of the primitive, for messages.
    sample : Tensor
        An input with the device and the dtype of the computation.
    implemented : tuple of str
        Backends which have this primitive.

    Returns
    -------
    str
        One of `implemented`.

    Raises
    ------
    ValueError
        If ``TSREC_BACKEND`` names no backend.
    RuntimeError
        If the backend asked for cannot serve this primitive, device or dtype; the message says why.
    """
    wanted = os.environ.get("TSREC_BACKEND", "")
    if not wanted:
        return "reference" if _obstacle("numba", sample, implemented) else "numba"
    if wanted not in BACKENDS:
        raise ValueError(f"TSREC_BACKEND is {wanted!r}; it must be one of {', '.join(BACKENDS)}, or unset.")
    reason = _obstacle(wanted, sample, implemented)
    if reason:
        raise RuntimeError(f"TSREC_BACKEND={wanted} cannot compute {primitive}: {reason}. Unset it to choose freely.")
    return wanted


def load(kernels: str) -> ModuleType:
    """Import a module of compiled kernels on first use: load("numba_scan")."""
    return importlib.import_module(f"tsrec.kernels._{kernels}")


def _obstacle(backend: str, sample: Tensor, implemented: tuple[str, ...]) -> str:
    if backend not in implemented:
        return "it is not built yet in this version"
    if backend == "numba":
        if sample.device.type != "cpu":
            return f"numba computes on the CPU only and the tensors are on {sample.device}"
        if sample.dtype not in _NUMBA_DTYPES:
            return f"numba has no kernel for {sample.dtype}"
        if importlib.util.find_spec("numba") is None:
            return "the package numba is not installed"
    return ""
