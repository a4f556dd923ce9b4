"""A progress bar for fits, in terminals and notebooks; the training loop itself shows nothing."""

from types import TracebackType
from typing import Any

from tsrec.training.bar import open_bar
from tsrec.training.state import TrainingState


class Progress:
    """Show the epochs of a fit as a bar; a context manager whose object is an ``on_epoch_end`` callback.

    Parameters
    ----------
    max_epochs : int
        Length of the bar.
    label : str, default "fit"
        Text before the bar.
    verbose : int, default 0
        0 shows nothing and imports nothing.

    Examples
    --------
    >>> with Progress(3, verbose=0) as progress:
    ...     progress(TrainingState())
    """

    def __init__(self, max_epochs: int, *, label: str = "fit", verbose: int = 0):
        self.max_epochs = max_epochs
        self.label = label
        self.verbose = verbose
        self._bar: Any = None

    def __enter__(self) -> "Progress":
        if self.verbose > 0:
            self._bar = open_bar(self.max_epochs, label=self.label, unit="epoch")
        return self

    def __call__(self, state: TrainingState) -> None:
        """Move the bar to the epoch of ``state`` and write its losses behind it."""
        if self._bar is None:
            return
        last = state.history[-1] if state.history else {}
        shown = {"loss": last.get("loss"), "validation": last.get("validation_loss")}
        self._bar.set_postfix(
            {name: f"{value:.4g}" for name, value in shown.items() if value is not None}, refresh=False
        )
        self._bar.update(state.epoch - self._bar.n)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
