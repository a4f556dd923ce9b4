"""scikit-learn's callbacks (from 1.9 on), where the installed version has them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn < 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in for scikit-learn's mixin: no callbacks can be set."""

        def _init_callback_context(self, **_: Any) -> None:
            return None

    def with_callbacks(method: Any) -> Any:
        """Return the method as it is."""
        return method


class EpochHook:
    """Tells the callbacks of an estimator about its epochs; an ``on_epoch_end`` of the training loop.

    Parameters
    ----------
    estimator : estimator
        With `CallbackSupportMixin`.
    context : CallbackContext or None
        The context of its fit; None where scikit-learn has no callbacks.
    """

    def __init__(self, estimator: Any, context: Any) -> None:
        self.estimator = estimator
        self.context = context
        self._task = None

    def begin(self) -> None:
        """Open the task of the next epoch."""
        if self.context is not None:
            self._task = self.context.subcontext(task_name="epoch").call_on_fit_task_begin(estimator=self.estimator)

    def end(self) -> bool:
        """Close it; true if a callback asks to stop."""
        if self._task is None:
            return False
        stop = self._task.call_on_fit_task_end(estimator=self.estimator)
        self._task = None
        return bool(stop)


@contextmanager
def lent_callbacks(owner: Any, member: Any) -> Iterator[None]:
    """Let the callbacks of an estimator see the epochs of a member, if it has epochs, while that is fitted."""
    callbacks = getattr(owner, "_skl_callbacks", [])
    lent = bool(callbacks) and hasattr(member, "set_callbacks")
    if lent:
        member.set_callbacks(*callbacks)
    try:
        yield
    finally:
        if lent:
            member.set_callbacks()


__all__ = ["CallbackSupportMixin", "EpochHook", "lent_callbacks", "with_callbacks"]
