"""A progress bar for fits, in terminals and notebooks; the training loop itself shows nothing."""

import sys
from importlib.util import find_spec
from types import TracebackType
from typing import Any

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
            self._bar = _bar_class()(total=self.max_epochs, desc=self.label, unit="epoch", leave=True)
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


def _bar_class() -> Any:
    """Return tqdm's notebook bar inside a notebook that has widgets, else its terminal bar.

    tqdm.auto warns when it is experimental or when widgets are missing; asking first needs no filter on warnings.
    """
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if type(shell).__name__ == "ZMQInteractiveShell" and find_spec("ipywidgets") is not None:
        from tqdm.notebook import tqdm as notebook_bar

        return notebook_bar
    from tqdm.std import tqdm as terminal_bar

    return terminal_bar
