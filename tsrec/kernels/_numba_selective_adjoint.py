"""CPU kernels of the gradient of the selective scan, blocked as the scan itself.

Only the inputs are kept from the forward pass. A first walk notes the state every CHUNK steps; then, from the last
chunk to the first, the states of a chunk are computed again and its cotangents walked back.
"""

import numpy as np
from numba import njit, prange

from tsrec.kernels._numba import INLINE, OPTIONS
from tsrec.kernels._numba_math import exp2, sigmoid, silu, silu_slope
from tsrec.kernels._numba_selective_scan import (
    WIDTH,
    advance,
    copy,
    enter,
    fetch,
    load_decays,
    load_states,
    stack_row,
    store_states,
    view,
)

CHUNK = 32
# Rows of a state: the state, its decay, its cotangent, the gradient of its decay.
_GROUP = 4
_LN2 = float(np.log(2))


def scratch_rows(steps: int, order: int) -> int:
    """Return how many rows of memory a worker needs for sequences of this length and this many states."""
    chunk = min(CHUNK, steps)
    return _GROUP * order + 2 + 2 * (order + 2) + 3 * chunk + 2 * order * chunk + -(-steps // CHUNK) * order


@njit(inline="always", **OPTIONS)
def _remember(states, history, delta, drive, out, B, C):  # type: ignore[no-untyped-def]
    """Advance by one step and keep, for each state, the decay and the decayed state."""
    for n in range(0, B.shape[0], 2):
        h0, a0 = view(states, n * _GROUP * WIDTH), view(states, (n * _GROUP + 1) * WIDTH)
        h1, a1 = view(states, (n * _GROUP + 4) * WIDTH), view(states, (n * _GROUP + 5) * WIDTH)
        e0, p0 = view(history, 2 * n * WIDTH), view(history, (2 * n + 1) * WIDTH)
        e1, p1 = view(history, (2 * n + 2) * WIDTH), view(history, (2 * n + 3) * WIDTH)
        b0, b1, c0, c1 = B[n], B[n + 1], C[n], C[n + 1]
        for d in range(WIDTH):
            decay0, decay1 = exp2(delta[d] * a0[d]), exp2(delta[d] * a1[d])
            kept0, kept1 = decay0 * h0[d], decay1 * h1[d]
            v0, v1 = kept0 + drive[d] * b0, kept1 + drive[d] * b1
            e0[d], p0[d], e1[d], p1[d], h0[d], h1[d] = decay0, kept0, decay1, kept1, v0, v1
            out[d] += v0 * c0 + v1 * c1


@njit(inline="always", **OPTIONS)
def _retreat(states, history, delta, drive, g, ddrive, ddelta, B, C, dB, dC):  # type: ignore[no-untyped-def]
    """Walk the cotangents of the states back over one step."""
    zero = B.dtype.type(0)
    for n in range(0, B.shape[0], 2):
        a0, a1 = view(states, (n * _GROUP + 1) * WIDTH), view(states, (n * _GROUP + 5) * WIDTH)
        lam0, da0 = view(states, (n * _GROUP + 2) * WIDTH), view(states, (n * _GROUP + 3) * WIDTH)
        lam1, da1 = view(states, (n * _GROUP + 6) * WIDTH), view(states, (n * _GROUP + 7) * WIDTH)
        e0, p0 = view(history, 2 * n * WIDTH), view(history, (2 * n + 1) * WIDTH)
        e1, p1 = view(history, (2 * n + 2) * WIDTH), view(history, (2 * n + 3) * WIDTH)
        b0, b1, c0, c1 = B[n], B[n + 1], C[n], C[n + 1]
        db0, db1, dc0, dc1 = zero, zero, zero, zero
        for d in range(WIDTH):
            l0, l1 = lam0[d] + g[d] * c0, lam1[d] + g[d] * c1
            dc0 += g[d] * (p0[d] + drive[d] * b0)
            dc1 += g[d] * (p1[d] + drive[d] * b1)
            db0 += l0 * drive[d]
            db1 += l1 * drive[d]
            s0, s1 = l0 * p0[d], l1 * p1[d]
            ddrive[d] += l0 * b0 + l1 * b1
            ddelta[d] += s0 * a0[d] + s1 * a1[d]
            da0[d] += s0 * delta[d]
            da1[d] += s1 * delta[d]
            lam0[d] = l0 * e0[d]
            lam1[d] = l1 * e1[d]
        dB[n], dB[n + 1], dC[n], dC[n + 1] = db0, db1, dc0, dc1


@njit(**INLINE)
def _ungate(g, dz, out, z):  # type: ignore[no-untyped-def]
    """Turn the cotangent of the gated output into those of the output and of the gate."""
    for d in range(WIDTH):
        dz[d] = g[d] * out[d] * silu_slope(z[d])
        g[d] *= silu(z[d])


@njit(**INLINE)
def _leave(du, ddt, dD, dbias, ddrive, ddelta, delta, g, u, dt, bias, D, softplus):  # type: ignore[no-untyped-def]
    """End a step: from the gradients of its length and drive to those of its inputs."""
    ln2 = dt.dtype.type(_LN2)  # the decays are in powers of two
    for d in range(WIDTH):
        slope = ddrive[d] * u[d] + ddelta[d] * ln2
        if softplus:
            slope *= sigmoid(dt[d] + bias[d])
        du[d] = ddrive[d] * delta[d] + g[d] * D[d]
        ddt[d] = slope
        dD[d] += g[d] * u[d]
        dbias[d] += slope


@njit(**INLINE)
def _note(marks, states, i, first, inputs, flags):  # type: ignore[no-untyped-def]
    """Walk forward and note the states before each chunk."""
    u, dt, A, B, C, _, _, bias = inputs[:8]
    _, softplus, reverse = flags
    steps, channels = u.shape[1:]
    width = min(WIDTH, channels - first)
    like = A[0, 0]
    delta, drive, out, bias_row = stack_row(like), stack_row(like), stack_row(like), stack_row(like)
    spare, spare2 = stack_row(like), stack_row(like)
    for row in (bias_row, spare, spare2):
        row[:] = 0
    copy(bias_row, bias[first:], width)
    order = A.shape[0]
    for k in range((steps - 1) // CHUNK * CHUNK + 1):
        if k % CHUNK == 0:
            for n in range(order):
                copy(view(marks, (k // CHUNK * order + n) * WIDTH), view(states, n * _GROUP * WIDTH), WIDTH)
        if k < (steps - 1) // CHUNK * CHUNK:
            t = steps - 1 - k if reverse else k
            at = (i * steps + t) * channels + first
            dt_row, u_row = fetch(spare, dt, at, width), fetch(spare2, u, at, width)
            enter(delta, drive, out, dt_row, u_row, bias_row, bias_row, softplus)
            advance(states, _GROUP, delta, drive, out, B[i, t], C[i, t])


@njit(**INLINE)
def _forth(history, rows, states, start, stop, i, first, inputs, dz, flags):  # type: ignore[no-untyped-def]
    """Compute a chunk again: decays and states into `history`; lengths, drives and cotangents of y into `rows`."""
    u, dt, A, B, C, D, z, bias, _, g, _ = inputs
    has_z, softplus, reverse = flags
    steps, channels = u.shape[1:]
    width = min(WIDTH, channels - first)
    like = A[0, 0]
    delta, drive, out, bias_row, D_row = (
        stack_row(like),
        stack_row(like),
        stack_row(like),
        stack_row(like),
        stack_row(like),
    )
    spare, spare2, g_row = stack_row(like), stack_row(like), stack_row(like)
    for row in (bias_row, D_row, spare, spare2, g_row):
        row[:] = 0
    copy(bias_row, bias[first:], width)
    copy(D_row, D[first:], width)
    for k in range(start, stop):
        t = steps - 1 - k if reverse else k
        at = (i * steps + t) * channels + first
        dt_row, u_row = fetch(spare, dt, at, width), fetch(spare2, u, at, width)
        enter(delta, drive, out, dt_row, u_row, bias_row, D_row, softplus)
        _remember(states, history[(k - start) * 2 * A.shape[0] * WIDTH :], delta, drive, out, B[i, t], C[i, t])
        copy(g_row, view(g, at), width)
        if has_z:
            _ungate(g_row, spare2, out, fetch(spare, z, at, width))
            copy(view(dz, at), spare2, width)
            spare2[:] = 0
        kept = rows[(k - start) * 3 * WIDTH :]
        copy(view(kept, 0), delta, WIDTH)
        copy(view(kept, WIDTH), drive, WIDTH)
        copy(view(kept, 2 * WIDTH), g_row, WIDTH)


@njit(**INLINE)
def _back(history, rows, states, sums, start, stop, i, first, inputs, results, flags):  # type: ignore[no-untyped-def]
    """Walk back over a chunk."""
    u, dt, A, B, C, D, _, bias = inputs[:8]
    du, ddt, _, dB, dC = results[:5]
    _, softplus, reverse = flags
    steps, channels = u.shape[1:]
    width = min(WIDTH, channels - first)
    block = first // WIDTH
    like = A[0, 0]
    delta, drive, g_row, ddrive, ddelta = (
        stack_row(like),
        stack_row(like),
        stack_row(like),
        stack_row(like),
        stack_row(like),
    )
    spare, spare2, bias_row, D_row = stack_row(like), stack_row(like), stack_row(like), stack_row(like)
    du_row, ddt_row = stack_row(like), stack_row(like)
    for row in (bias_row, D_row, spare, spare2):
        row[:] = 0
    copy(bias_row, bias[first:], width)
    copy(D_row, D[first:], width)
    for k in range(stop - 1, start - 1, -1):
        t = steps - 1 - k if reverse else k
        at = (i * steps + t) * channels + first
        kept = rows[(k - start) * 3 * WIDTH :]
        copy(delta, view(kept, 0), WIDTH)
        copy(drive, view(kept, WIDTH), WIDTH)
        copy(g_row, view(kept, 2 * WIDTH), WIDTH)
        ddrive[:] = 0
        ddelta[:] = 0
        past = history[(k - start) * 2 * A.shape[0] * WIDTH :]
        _retreat(states, past, delta, drive, g_row, ddrive, ddelta, B[i, t], C[i, t], dB[i, block, t], dC[i, block, t])
        dt_row, u_row = fetch(spare, dt, at, width), fetch(spare2, u, at, width)
        _leave(
            du_row,
            ddt_row,
            view(sums, 0),
            view(sums, WIDTH),
            ddrive,
            ddelta,
            delta,
            g_row,
            u_row,
            dt_row,
            bias_row,
            D_row,
            softplus,
        )
        copy(view(du, at), du_row, width)
        copy(view(ddt, at), ddt_row, width)


@njit(**INLINE)
def _move(target, source):  # type: ignore[no-untyped-def]
    for d in range(WIDTH):
        target[d] += source[d]
        source[d] = 0


@njit(**INLINE)
def _carry(states, sums, parts, totals, order, chunk):  # type: ignore[no-untyped-def]
    """Add the sums of a chunk to those of CHUNK chunks, and these in turn to the totals.

    A sum of a hundred thousand numbers in single precision drifts.
    """
    for n in range(order):
        _move(view(parts, n * WIDTH), view(states, (n * _GROUP + 3) * WIDTH))
    for n in range(2):
        _move(view(parts, (order + n) * WIDTH), view(sums, n * WIDTH))
    if chunk % CHUNK == 0:
        for n in range(order + 2):
            _move(view(totals, n * WIDTH), view(parts, n * WIDTH))


@njit(**INLINE)
def _block(scratch, i, first, inputs, results, flags):  # type: ignore[no-untyped-def]
    u, A, h0, g_last = inputs[0], inputs[2], inputs[8], inputs[10]
    dz, dA, dD, dbias, dh0 = results[2], results[5], results[6], results[7], results[8]
    steps, channels = u.shape[1:]
    order, width, chunk = A.shape[0], min(WIDTH, channels - first), min(CHUNK, steps)
    states, rest = scratch[: _GROUP * order * WIDTH], scratch[_GROUP * order * WIDTH :]
    sums, rest = rest[: 2 * WIDTH], rest[2 * WIDTH :]
    parts, rest = rest[: (order + 2) * WIDTH], rest[(order + 2) * WIDTH :]
    totals, rest = rest[: (order + 2) * WIDTH], rest[(order + 2) * WIDTH :]
    rows, rest = rest[: 3 * chunk * WIDTH], rest[3 * chunk * WIDTH :]
    history, marks = rest[: 2 * order * chunk * WIDTH], rest[2 * order * chunk * WIDTH :]
    for memory in (states, sums, parts, totals):
        memory[:] = 0
    begin = (i * channels + first) * order
    load_states(states, _GROUP, 0, h0, begin, width)
    load_states(states, _GROUP, 2, g_last, begin, width)
    load_decays(states, _GROUP, A, first, width)
    _note(marks, states, i, first, inputs, flags)
    for start in range((steps - 1) // CHUNK * CHUNK, -1, -CHUNK):
        stop = min(start + CHUNK, steps)
        for n in range(order):
            copy(view(states, n * _GROUP * WIDTH), view(marks, (start // CHUNK * order + n) * WIDTH), WIDTH)
        _forth(history, rows, states, start, stop, i, first, inputs, dz, flags)
        _back(history, rows, states, sums, start, stop, i, first, inputs, results, flags)
        _carry(states, sums, parts, totals, order, start // CHUNK)
    store_states(dh0, begin, states, _GROUP, 2, width)
    for n in range(order):
        copy(view(dA, (i * order + n) * channels + first), view(totals, n * WIDTH), width)
    copy(dD[i, first:], view(totals, order * WIDTH), width)
    copy(dbias[i, first:], view(totals, (order + 1) * WIDTH), width)


@njit(**INLINE)
def _tasks(worker, workers, scratch, inputs, results, flags):  # type: ignore[no-untyped-def]
    batch, _, channels = inputs[0].shape
    blocks = (channels + WIDTH - 1) // WIDTH
    for task in range(worker, batch * blocks, workers):
        _block(scratch, task // blocks, task % blocks * WIDTH, inputs, results, flags)


@njit(nogil=True, **OPTIONS)
def adjoint_serial(scratch, inputs, results, flags):  # type: ignore[no-untyped-def]
    _tasks(0, 1, scratch[0], inputs, results, flags)


@njit(parallel=True, **OPTIONS)
def adjoint_parallel(scratch, inputs, results, flags):  # type: ignore[no-untyped-def]
    workers = scratch.shape[0]
    for worker in prange(workers):
        _tasks(np.int64(worker), workers, scratch[worker], inputs, results, flags)
