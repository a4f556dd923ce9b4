"""Adapters to other libraries, each imported only when it is asked for."""

from importlib import import_module
from typing import Any

__all__ = ["braindecode", "export_onnx", "mne", "onnx", "sktime", "to_torch"]

_HOME = {"export_onnx": "tsrec.interop.onnx", "to_torch": "tsrec.interop.modules"}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    if name in __all__:
        return import_module(f"tsrec.interop.{name}")
    raise AttributeError(f"module 'tsrec.interop' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
