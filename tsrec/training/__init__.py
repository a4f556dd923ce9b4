"""One training loop for every module: batches, early stopping, resume, devices, seeds, progress."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOME = {
    "Batch": "batch",
    "NonFiniteLossError": "errors",
    "Progress": "progress",
    "SeriesBatches": "series",
    "TrainingState": "state",
    "WindowBatches": "windows",
    "make_generator": "seeds",
    "resolve_device": "device",
    "single_thread": "device",
    "train": "loop",
    "with_weights": "state",
}
__all__ = [
    "Batch",
    "NonFiniteLossError",
    "Progress",
    "SeriesBatches",
    "TrainingState",
    "WindowBatches",
    "make_generator",
    "resolve_device",
    "single_thread",
    "train",
    "with_weights",
]

if TYPE_CHECKING:
    from tsrec.training.batch import Batch
    from tsrec.training.device import resolve_device, single_thread
    from tsrec.training.errors import NonFiniteLossError
    from tsrec.training.loop import train
    from tsrec.training.progress import Progress
    from tsrec.training.seeds import make_generator
    from tsrec.training.series import SeriesBatches
    from tsrec.training.state import TrainingState, with_weights
    from tsrec.training.windows import WindowBatches


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'tsrec.training' has no attribute {name!r}")
    value = getattr(import_module(f"tsrec.training.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
