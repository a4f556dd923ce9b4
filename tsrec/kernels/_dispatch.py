"""Choose the backend of a primitive by device and dtype; ``TSREC_BACKEND`` overrides the choice."""

import functools
import importlib
import importlib.util
import os
from types import ModuleType

import torch
from torch import Tensor

BACKENDS = ("reference", "numba", "triton")
TRITON_MIN_VERSION = (3, 4)
_DTYPES = (torch.float32, torch.float64, torch.complex64, torch.complex128)


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


def check_floating(complex_too: bool = False, **tensors: Tensor | None) -> None:
    """Refuse tensors whose dtype a primitive would silently truncate.

    Parameters
    ----------
    complex_too : bool, default False
        Whether complex numbers are welcome as well.
    **tensors : Tensor or None
        Arguments by name; None stands for one left out.

    Raises
    ------
    TypeError
        If one is of another dtype.

    Examples
    --------
    >>> check_floating(u=torch.ones(1), D=None)
    """
    for name, tensor in tensors.items():
        if tensor is None or tensor.is_floating_point() or (complex_too and tensor.is_complex()):
            continue
        kind = "floating or complex" if complex_too else "real floating"
        raise TypeError(f"{name} must be of a {kind} dtype, got {tensor.dtype}; convert it, for example with .float().")


def choose(primitive: str, device: torch.device, dtype: torch.dtype) -> str:
    """Name the backend that computes ``primitive`` for a device and a dtype.

    Parameters
    ----------
    primitive : str
        Name of the primitive, for messages.
    device : torch.device
        Where the tensors are.
    dtype : torch.dtype
        Dtype of the computation, as :func:`accumulation_dtype` gives it.

    Returns
    -------
    str
        "reference", "numba" or "triton".

    Raises
    ------
    ValueError
        If ``TSREC_BACKEND`` names no backend.
    RuntimeError
        If the backend asked for cannot serve this device or dtype; the message says why.
    """
    wanted = os.environ.get("TSREC_BACKEND", "")
    if not wanted:
        free = "triton" if device.type == "cuda" else "numba"
        return "reference" if _obstacle(free, device, dtype) else free
    if wanted not in BACKENDS:
        raise ValueError(f"TSREC_BACKEND is {wanted!r}; it must be one of {', '.join(BACKENDS)}, or unset.")
    reason = _obstacle(wanted, device, dtype)
    if reason:
        raise RuntimeError(f"TSREC_BACKEND={wanted} cannot compute {primitive}: {reason}. Unset it to choose freely.")
    return wanted


def load(kernels: str) -> ModuleType:
    """Import a module of compiled kernels on first use: load("numba_scan")."""
    return importlib.import_module(f"tsrec.kernels._{kernels}")


@functools.cache
def _triton_version() -> tuple[int, ...]:
    return tuple(int(part) for part in importlib.import_module("triton").__version__.split(".")[:2])


def _obstacle(backend: str, device: torch.device, dtype: torch.dtype) -> str:
    if backend == "reference":
        return ""
    if dtype not in _DTYPES:
        return f"{backend} has no kernel for {dtype}"
    if importlib.util.find_spec(backend) is None:
        return f"the package {backend} is not installed"
    if backend == "triton" and _triton_version() < TRITON_MIN_VERSION:
        found, least = (".".join(map(str, version)) for version in (_triton_version(), TRITON_MIN_VERSION))
        return f"triton {found} cannot compile its kernels; {least} can"
    if backend == "numba" and device.type != "cpu":
        return f"numba computes on the CPU only and the tensors are on {device}"
    if backend == "triton" and device.type != "cuda" and os.environ.get("TRITON_INTERPRET") != "1":
        return f"triton computes on CUDA devices only and the tensors are on {device} (TRITON_INTERPRET=1 emulates one)"
    return ""
