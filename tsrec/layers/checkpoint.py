"""Trade time for memory: compute a module again in the backward pass instead of keeping what it computed.

Chen, Xu, Zhang and Guestrin 2016, Training Deep Nets with Sublinear Memory Cost, arXiv 1604.06174.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from torch import nn
from torch.utils.checkpoint import checkpoint

from tsrec.layers.random import Dropout


def run_again_backwards(module: nn.Module, run: Callable[..., Any], *arguments: Any) -> Any:
    """Call ``run(*arguments)``, which calls the module; its gradients come from a second call with the same draws.

    torch repeats draws from the global random state only; ours come from a generator, which is put back as it was for
    the second call and then forward again.

    Parameters
    ----------
    module : nn.Module
        Whose :class:`~tsrec.layers.random.Dropout` layers draw.
    run : callable
    *arguments
        Tensors with gradients must be among them.

    Returns
    -------
    What ``run`` returns.
    """
    drawing = [layer for layer in module.modules() if isinstance(layer, Dropout) and layer.training and layer.p > 0]
    replayed = [layer.draws() for layer in drawing]

    @contextmanager
    def again() -> Iterator[None]:
        now = [layer.draws() for layer in drawing]
        for layer, draws in zip(drawing, replayed, strict=True):
            layer.put_back(draws)
        try:
            yield
        finally:
            for layer, draws in zip(drawing, now, strict=True):
                layer.put_back(draws)

    def contexts() -> tuple[AbstractContextManager, AbstractContextManager]:
        return nullcontext(), again()

    return checkpoint(run, *arguments, use_reentrant=False, preserve_rng_state=False, context_fn=contexts)
