"""Adapters to other libraries, each imported only when it is asked for."""

from importlib import import_module
from typing import Any

__all__ = ["braindecode", "mne"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return import_module(f"tsrec.interop.{name}")
    raise AttributeError(f"module 'tsrec.interop' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
