"""CPU kernels of the selective scan: one task per batch row and block of channels, the states of a block in L1.

The state is held as N rows of WIDTH channels, so that channels are the lanes of vector instructions and the input and
output matrices are scalars. Two states are advanced per pass over a row. The exponentials are most of the work.
"""

import numpy as np
from numba import njit, prange

from tsrec.kernels._numba import INLINE, OPTIONS
from tsrec.kernels._numba_math import exp2, silu
from tsrec.kernels._numba_math import softplus as softplus_
from tsrec.kernels._numba_rows import rows_of_arrays, rows_on_stack

WIDTH = 32
stack_row, view = rows_on_stack(WIDTH), rows_of_arrays(WIDTH)


@njit(**INLINE)
def copy(target, source, width):  # type: ignore[no-untyped-def]
    """Copy the first elements of a row."""
    for d in range(width):
        target[d] = source[d]


@njit(**INLINE)
def fetch(spare, array, start, width):  # type: ignore[no-untyped-def]
    """Return a row of an array: a view where it is whole, else a copy in `spare`, whose other elements stay."""
    row = view(array, start)
    if width < WIDTH:
        copy(spare, row, width)
        row = spare
    return row


@njit(**INLINE)
def load_states(states, group, row, source, start, width):  # type: ignore[no-untyped-def]
    """Read a block of a (channels, N) matrix, from element `start` on, into the same row of each group of rows."""
    order = source.shape[-1]
    for n in range(order):
        target, column = view(states, (n * group + row) * WIDTH), view(source, start + n)
        for d in range(width):
            target[d] = column[d * order]


@njit(**INLINE)
def store_states(target, start, states, group, row, width):  # type: ignore[no-untyped-def]
    """Write them back."""
    order = target.shape[-1]
    for d in range(width):
        at, column = view(target, start + d * order), view(states, row * WIDTH + d)
        for n in range(order):
            at[n] = column[n * group * WIDTH]


@njit(**INLINE)
def load_decays(states, group, A, first, width):  # type: ignore[no-untyped-def]
    """Read the rates of a block of channels into row 1 of each group of rows."""
    for n in range(A.shape[0]):
        copy(view(states, (n * group + 1) * WIDTH), view(A, n * A.shape[1] + first), width)


@njit(**INLINE)
def enter(delta, drive, out, dt, u, bias, D, softplus):  # type: ignore[no-untyped-def]
    """Begin a step: the length of the step, the input times it, the input's direct share of the output."""
    # One loop, not several: LLVM unrolls short ones into scalar stores, which stall the vector loads after them.
    if softplus:
        for d in range(WIDTH):
            length = softplus_(dt[d] + bias[d])
            delta[d] = length
            drive[d] = length * u[d]
            out[d] = D[d] * u[d]
    else:
        for d in range(WIDTH):
            length = dt[d] + bias[d]
            delta[d] = length
            drive[d] = length * u[d]
            out[d] = D[d] * u[d]


@njit(inline="always", **OPTIONS)
def advance(states, group, delta, drive, out, B, C):  # type: ignore[no-untyped-def]
    """Advance the states by one step and add what they give to the output."""
    for n in range(0, B.shape[0], 2):
        h0, a0 = view(states, n * group * WIDTH), view(states, (n * group + 1) * WIDTH)
        h1, a1 = view(states, (n + 1) * group * WIDTH), view(states, ((n + 1) * group + 1) * WIDTH)
        b0, b1, c0, c1 = B[n], B[n + 1], C[n], C[n + 1]
        for d in range(WIDTH):
            v0 = exp2(delta[d] * a0[d]) * h0[d] + drive[d] * b0
            v1 = exp2(delta[d] * a1[d]) * h1[d] + drive[d] * b1
            h0[d] = v0
            h1[d] = v1
            out[d] += v0 * c0 + v1 * c1


@njit(**INLINE)
def _gate(out, z):  # type: ignore[no-untyped-def]
    for d in range(WIDTH):
        out[d] *= silu(z[d])


@njit(**INLINE)
def _scan_block(states, i, first, inputs, results, flags):  # type: ignore[no-untyped-def]
    u, dt, A, B, C, D, z, bias, h0 = inputs
    y, h_last = results
    has_z, softplus, reverse = flags
    steps, channels = u.shape[1:]
    width = min(WIDTH, channels - first)
    like = A[0, 0]
    delta, drive, out = stack_row(like), stack_row(like), stack_row(like)
    bias_row, D_row, spare, spare2 = stack_row(like), stack_row(like), stack_row(like), stack_row(like)
    for row in (bias_row, D_row, spare, spare2):
        row[:] = 0
    copy(bias_row, bias[first:], width)
    copy(D_row, D[first:], width)
    states[:] = 0
    begin = (i * channels + first) * A.shape[0]
    load_states(states, 2, 0, h0, begin, width)
    load_decays(states, 2, A, first, width)
    for k in range(steps):
        t = steps - 1 - k if reverse else k
        at = (i * steps + t) * channels + first
        enter(delta, drive, out, fetch(spare, dt, at, width), fetch(spare2, u, at, width), bias_row, D_row, softplus)
        advance(states, 2, delta, drive, out, B[i, t], C[i, t])
        if has_z:
            _gate(out, fetch(spare, z, at, width))
        copy(view(y, at), out, width)
    store_states(h_last, begin, states, 2, 0, width)


@njit(**INLINE)
def _tasks(worker, workers, scratch, inputs, results, flags):  # type: ignore[no-untyped-def]
    batch, _, channels = inputs[0].shape
    blocks = (channels + WIDTH - 1) // WIDTH
    for task in range(worker, batch * blocks, workers):
        _scan_block(scratch, task // blocks, task % blocks * WIDTH, inputs, results, flags)


@njit(nogil=True, **OPTIONS)
def scan_serial(scratch, inputs, results, flags):  # type: ignore[no-untyped-def]
    _tasks(0, 1, scratch[0], inputs, results, flags)


@njit(parallel=True, **OPTIONS)
def scan_parallel(scratch, inputs, results, flags):  # type: ignore[no-untyped-def]
    workers = scratch.shape[0]
    for worker in prange(workers):
        _tasks(np.int64(worker), workers, scratch[worker], inputs, results, flags)
