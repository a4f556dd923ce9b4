"""Register primitives as torch operators, so that compiled and exported graphs keep them whole.

``torch.library.custom_op`` would do the same in one decorator, but its first call imports torch's compiler: 1.5 s and
150 MB in every process that computes a scan. The calls below are what it is made of.
"""

from collections.abc import Callable
from typing import Any

import torch

_LIBRARY = torch.library.Library("tsrec", "DEF")


def register(
    compute: Callable[..., Any],
    fake: Callable[..., Any],
    setup: Callable[..., None] | None = None,
    backward: Callable[..., Any] | None = None,
) -> Callable[..., Any]:
    """Make a function of tensors the operator ``torch.ops.tsrec.<name of the function>``.

    Parameters
    ----------
    compute : callable
        The computation, with type hints for all arguments and results. Its results share no memory with its
        arguments or with each other.
    fake : callable
        Same arguments; returns empty results of the right shapes, dtypes and strides without computing.
    setup, backward : callable, optional
        ``setup(ctx, inputs, output)`` and ``backward(ctx, *gradients)`` as in :func:`torch.library.register_autograd`.
        Without them differentiating the operator is an error.

    Returns
    -------
    callable
        The operator.
    """
    name = compute.__name__.strip("_")
    _LIBRARY.define(name + torch.library.infer_schema(compute, mutates_args=()))
    _LIBRARY.impl(name, compute, "CompositeExplicitAutograd")
    torch.library.register_fake(f"tsrec::{name}", fake, lib=_LIBRARY)

    def refuse(ctx: Any, *gradients: torch.Tensor) -> None:
        raise RuntimeError(f"tsrec::{name} cannot be differentiated: kernels have first derivatives only.")

    torch.library.register_autograd(f"tsrec::{name}", backward or refuse, setup_context=setup, lib=_LIBRARY)
    return getattr(torch.ops.tsrec, name).default
