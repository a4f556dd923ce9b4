"""Selective scan on the CPU: arrays and memory for the kernels of ``_numba_selective_scan`` and ``..._adjoint``."""

from typing import Any

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from tsrec.kernels import _memory
from tsrec.kernels._numba import as_array, may_run_parallel, threads
from tsrec.kernels._numba_math import LOG2_E
from tsrec.kernels._numba_selective_adjoint import adjoint_parallel, adjoint_serial, scratch_rows
from tsrec.kernels._numba_selective_scan import WIDTH, scan_parallel, scan_serial

Arrays = tuple[NDArray, ...]
Flags = tuple[bool, bool, bool]


def scan(
    u: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    dt_bias: Tensor | None,
    h0: Tensor,
    softplus: bool,
    reverse: bool,
) -> tuple[Tensor, Tensor]:
    """Run the recurrence of :func:`tsrec.kernels.selective_scan`; h0 is in the accumulation dtype."""
    inputs = _as_inputs(u, dt, A, B, C, D, z, dt_bias, h0)
    y, h_last = _memory.empty(u.shape, h0.dtype), _memory.empty(inputs[-1].shape, h0.dtype)
    flags = (z is not None, softplus, reverse)
    _run(scan_serial, scan_parallel, 2 * h_last.shape[2], inputs, (y, h_last), flags)
    return y.to(u.dtype), _first(h_last, A.shape[1])


def scan_adjoint(
    u: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    dt_bias: Tensor | None,
    h0: Tensor,
    g: Tensor,
    g_last: Tensor,
    softplus: bool,
    reverse: bool,
) -> tuple[Tensor | None, ...]:
    """Return the gradients of u, dt, A, B, C, D, z, dt_bias and h0 for cotangents of y and of the last state."""
    dtype, (batch, steps, channels), order = h0.dtype, u.shape, A.shape[1]
    even, blocks = order + order % 2, -(-channels // WIDTH)
    inputs = _as_inputs(u, dt, A, B, C, D, z, dt_bias, h0)
    given = (as_array(g, dtype), as_array(pad(g_last.detach(), (0, order % 2)), dtype))
    shapes = (
        *(u.shape, u.shape, u.shape if z is not None else (0, 0, 0)),
        *((batch, blocks, steps, even), (batch, blocks, steps, even)),
        *((batch, even, channels), (batch, channels), (batch, channels), (batch, channels, even)),
    )
    results = tuple(_memory.empty(shape, dtype) for shape in shapes)
    flags = (z is not None, softplus, reverse)
    _run(adjoint_serial, adjoint_parallel, scratch_rows(steps, even), (*inputs, *given), results, flags)
    du, ddt, dz, dB, dC, dA, dD, dbias, dh0 = results
    return (
        du,
        ddt,
        dA.sum(0)[:order].t().clone(memory_format=torch.contiguous_format),
        _first(dB.sum(1), order),
        _first(dC.sum(1), order),
        None if D is None else dD.sum(0),
        None if z is None else dz,
        None if dt_bias is None else dbias.sum(0),
        _first(dh0, order),
    )


def _first(x: Tensor, order: int) -> Tensor:
    """Cut N back to what it was; no view, for autograd refuses to change views of an operator's results in place."""
    return x if x.shape[-1] == order else x[..., :order].clone(memory_format=torch.contiguous_format)


def _as_inputs(
    u: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    dt_bias: Tensor | None,
    h0: Tensor,
) -> Arrays:
    """Return what kernels read: A as rows of channels in powers of two, N even, zeros or dummies for absent inputs."""
    dtype = h0.dtype
    if A.shape[1] % 2:
        # The state added stays zero, unless a step of infinite length makes it 0 times infinity.
        A, B, C, h0 = (pad(x.detach(), (0, 1)) for x in (A, B, C, h0))
    inputs, start = as_array(u, dtype), as_array(h0, dtype)
    rates = np.multiply(as_array(A, dtype).T, start.dtype.type(LOG2_E), order="C")
    zeros = np.zeros(u.shape[2], start.dtype)
    return (
        *(inputs, as_array(dt, dtype), rates, as_array(B, dtype), as_array(C, dtype)),
        zeros if D is None else as_array(D, dtype),
        inputs if z is None else as_array(z, dtype),
        zeros if dt_bias is None else as_array(dt_bias, dtype),
        start,
    )


def _run(serial: Any, parallel: Any, rows: int, inputs: Arrays, results: tuple[Tensor, ...], flags: Flags) -> None:
    """Call a kernel or its parallel twin with scratch rows for each worker; results do not depend on their number."""
    u, A = inputs[0], inputs[2]
    tasks = u.shape[0] * -(-u.shape[2] // WIDTH)
    arrays = tuple(result.numpy() for result in results)

    def scratch(workers: int) -> NDArray:
        return _memory.empty((workers, rows * WIDTH), results[0].dtype).numpy()

    if may_run_parallel(tasks, u.size * A.shape[0]):
        with threads():
            parallel(scratch(min(tasks, numba.get_num_threads())), inputs, arrays, flags)
    else:
        serial(scratch(1), inputs, arrays, flags)
