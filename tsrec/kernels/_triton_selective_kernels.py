"""The programs of the selective scan on a GPU; ``_triton_selective`` launches them.

A program is one warp: a tile of channels of one batch row, over one chunk of time. Its states are a tile (states,
channels) in registers. In memory, too, states stand in whole tiles: read 16 bytes at a time, they make the compiler
spread a tile of 16 x 32 over 4 lanes for the states and 8 for the channels, and sums over either axis stay short.
Registers are scarce, so pointers are scalars to which lanes are added at each access, and the steps back are a loop.
"""

import triton
import triton.language as tl

from tsrec.kernels._triton import program_place
from tsrec.kernels._triton_math import sigmoid, softplus

_LOG2E = tl.constexpr(1.4426950408889634)
_LN2 = tl.constexpr(0.6931471805599453)


@triton.jit
def _time(step, length, BACK: tl.constexpr):  # type: ignore[no-untyped-def]
    if BACK:
        step = length - 1 - step
    return tl.cast(step, tl.int64)


@triton.jit
def _ask(  # type: ignore[no-untyped-def]
    x, stride, step, lanes, end, length, BACK: tl.constexpr, STEPS: tl.constexpr, ACC: tl.constexpr
):  # fmt: skip
    """Load several steps before any of them is used, as a tuple of tiles; 0 from each lane's `end` on."""
    rows = ()  # Grown by +: Triton's compiler knows no lists and no starred elements.
    x += _time(step, length, BACK) * stride + lanes
    for i in tl.static_range(STEPS):
        row = tl.load(x, mask=step + i < end, other=0)
        rows = rows + (row.to(ACC),)  # type: ignore[assignment]  # noqa: RUF005
        x += -stride if BACK else stride
    return rows


@triton.jit
def _lanes(tile, width, states, end, BLOCK: tl.constexpr, STATES: tl.constexpr):  # type: ignore[no-untyped-def]
    """Return channels and states of a tile, and for both the end of time where they exist, 0 where not."""
    d = tile * BLOCK + tl.arange(0, BLOCK)
    n = tl.arange(0, STATES)
    return d, n, tl.where(d < width, end, 0), tl.where(n < states, end, 0)


@triton.jit
def _tile(x, index, BLOCK: tl.constexpr, STATES: tl.constexpr):  # type: ignore[no-untyped-def]
    """Return the pointers to a tile of states."""
    return x + index * (STATES * BLOCK) + tl.arange(0, STATES)[:, None] * BLOCK + tl.arange(0, BLOCK)[None, :]


@triton.jit
def _row(x, d, width, BLOCK: tl.constexpr, ACC: tl.constexpr):  # type: ignore[no-untyped-def]
    """Load one number per channel, 0 for what was left out."""
    if x is None:
        return tl.zeros((BLOCK,), ACC)
    else:
        return tl.load(x + d, mask=d < width, other=0).to(ACC)


@triton.jit
def _rates(a, d, n, width, states, a_row, a_state, ACC: tl.constexpr):  # type: ignore[no-untyped-def]
    """Load A in units that make the decay a power of two, which is the exponential that a GPU has."""
    inside = (n < states)[:, None] & (d < width)[None, :]
    place = d.to(tl.int64)[None, :] * a_row + n[:, None] * a_state
    return tl.load(a + place, mask=inside, other=0).to(ACC) * _LOG2E


@triton.jit
def _step_size(raw, now, SOFTPLUS: tl.constexpr):  # type: ignore[no-untyped-def]
    """Return the step size; 0, which leaves the state as it is, if not `now`."""
    if SOFTPLUS:
        raw = softplus(raw)
    return tl.where(now, raw, 0.0)


@triton.jit(do_not_specialize=["length", "chunk_length", "chunks"])
def scan_kernel(  # type: ignore[no-untyped-def]
    u, dt, a, b, c, skip, z, bias, start, y, last,
    length, chunk_length, chunks, tiles, width, states,
    u_row, u_time, dt_row, dt_time, a_row, a_state, b_row, b_time, c_row, c_time, z_row, z_time,
    SOFTPLUS: tl.constexpr, BACK: tl.constexpr,
    STEPS: tl.constexpr, BLOCK: tl.constexpr, STATES: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    """Run each chunk from its initial state: y, and the state after the last chunk."""
    row, chunk, tile, first, end = program_place(length, chunk_length, chunks, tiles)
    d, n, ends, ends_n = _lanes(tile, width, states, end, BLOCK, STATES)
    y += row * length * width
    rates = _rates(a, d, n, width, states, a_row, a_state, ACC)
    shift = _row(bias, d, width, BLOCK, ACC)
    direct = _row(skip, d, width, BLOCK, ACC)
    h = tl.load(_tile(start, (row * chunks + chunk) * tiles + tile, BLOCK, STATES))
    for step in range(first, end, STEPS):
        us = _ask(u + row * u_row, u_time, step, d, ends, length, BACK, STEPS, ACC)
        dts = _ask(dt + row * dt_row, dt_time, step, d, ends, length, BACK, STEPS, ACC)
        bs = _ask(b + row * b_row, b_time, step, n, ends_n, length, BACK, STEPS, ACC)
        cs = _ask(c + row * c_row, c_time, step, n, ends_n, length, BACK, STEPS, ACC)
        if z is not None:
            zs = _ask(z + row * z_row, z_time, step, d, ends, length, BACK, STEPS, ACC)
        for i in tl.static_range(STEPS):
            now = step + i < ends
            delta = _step_size(dts[i] + shift, now, SOFTPLUS)
            h = tl.exp2(delta[None, :] * rates) * h + (delta * us[i])[None, :] * bs[i][:, None]
            out = tl.sum(h * cs[i][:, None], axis=0) + direct * us[i]
            if z is not None:
                out *= zs[i] * sigmoid(zs[i])
            tl.store(y + _time(step + i, length, BACK) * width + d, out.to(y.dtype.element_ty), mask=now)
    final = (n < states)[:, None] & (ends == length)[None, :]
    tl.store(last + row * width * states + d.to(tl.int64)[None, :] * states + n[:, None], h, mask=final)


@triton.jit(do_not_specialize=["length", "chunk_length", "chunks"])
def sweep_kernel(  # type: ignore[no-untyped-def]
    u, dt, a, b, c, z, bias, g, start, segments, sums, products, last, pulls,
    length, chunk_length, chunks, tiles, width, states,
    u_row, u_time, dt_row, dt_time, a_row, a_state, b_row, b_time, c_row, c_time, z_row, z_time, g_row, g_time,
    SOFTPLUS: tl.constexpr, BACK: tl.constexpr,
    STEPS: tl.constexpr, BLOCK: tl.constexpr, STATES: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    """Run without outputs, for what the other kernels start from; None stands for what is not wanted.

    segments: the state before every STEPS steps. If time is split (products is not None), chunks begin at zero, and:
    sums: the sum of step sizes from the chunk's begin to each segment; products: the product of the chunk's decays;
    last: its last state; pulls: the gradient of its initial state for the cotangents `g` of its outputs alone.
    """
    row, chunk, tile, first, end = program_place(length, chunk_length, chunks, tiles)
    d, n, ends, ends_n = _lanes(tile, width, states, end, BLOCK, STATES)
    rates = _rates(a, d, n, width, states, a_row, a_state, ACC)
    shift = _row(bias, d, width, BLOCK, ACC)
    place = (row * chunks + chunk) * tiles + tile
    if products is None:
        h = tl.load(_tile(start, place, BLOCK, STATES))
    else:
        h = tl.zeros((STATES, BLOCK), ACC)
    total = tl.zeros((BLOCK,), ACC)
    product = tl.full((STATES, BLOCK), 1.0, ACC)
    pull = tl.zeros((STATES, BLOCK), ACC)
    for step in range(first, end, STEPS):
        if segments is not None:
            segment = (row * tl.cdiv(length, STEPS) + step // STEPS) * tiles + tile
            tl.store(_tile(segments, segment, BLOCK, STATES), h)
            if products is not None:
                tl.store(sums + segment * BLOCK + tl.arange(0, BLOCK), total)
        us = _ask(u + row * u_row, u_time, step, d, ends, length, BACK, STEPS, ACC)
        dts = _ask(dt + row * dt_row, dt_time, step, d, ends, length, BACK, STEPS, ACC)
        bs = _ask(b + row * b_row, b_time, step, n, ends_n, length, BACK, STEPS, ACC)
        if pulls is not None:
            cs = _ask(c + row * c_row, c_time, step, n, ends_n, length, BACK, STEPS, ACC)
            gs = _ask(g + row * g_row, g_time, step, d, ends, length, BACK, STEPS, ACC)
            if z is not None:
                zs = _ask(z + row * z_row, z_time, step, d, ends, length, BACK, STEPS, ACC)
        for i in tl.static_range(STEPS):
            delta = _step_size(dts[i] + shift, step + i < ends, SOFTPLUS)
            decay = tl.exp2(delta[None, :] * rates)
            h = decay * h + (delta * us[i])[None, :] * bs[i][:, None]
            total += delta
            if pulls is not None:
                slope = gs[i]
                if z is not None:
                    slope *= zs[i] * sigmoid(zs[i])
                product *= decay
                pull += product * cs[i][:, None] * slope[None, :]
    if products is not None:
        tl.store(_tile(products, place, BLOCK, STATES), tl.exp2(total[None, :] * rates))
        tl.store(_tile(last, place, BLOCK, STATES), h)
        if pulls is not None:
            tl.store(_tile(pulls, place, BLOCK, STATES), pull)


@triton.jit
def _again(  # type: ignore[no-untyped-def]
    h, us, dts, bs, rates, shift, step, ends, SOFTPLUS: tl.constexpr, STEPS: tl.constexpr
):  # fmt: skip
    """Return the states before each step of a segment that begins with `h`, and the step sizes."""
    before, deltas = (), ()
    for i in tl.static_range(STEPS):
        delta = _step_size(dts[i] + shift, step + i < ends, SOFTPLUS)
        before = before + (h,)  # type: ignore[assignment]  # noqa: RUF005
        deltas = deltas + (delta,)  # type: ignore[assignment]  # noqa: RUF005
        h = tl.exp2(delta[None, :] * rates) * h + (delta * us[i])[None, :] * bs[i][:, None]
    return before, deltas


@triton.jit
def _pick(rows, i, STEPS: tl.constexpr):  # type: ignore[no-untyped-def]
    """Return rows[i] for an `i` known at run time only."""
    row = rows[0]
    for k in tl.static_range(1, STEPS):
        row = tl.where(i == k, rows[k], row)
    return row


@triton.jit(do_not_specialize=["length", "chunk_length", "chunks", "rows"])
def adjoint_kernel(  # type: ignore[no-untyped-def]
    u, dt, a, b, c, skip, z, bias, g, start, finish, segments, sums,
    du, ddt, dz, dh0, parts_b, parts_c, parts_a, parts, rows,
    length, chunk_length, chunks, tiles, width, states,
    u_row, u_time, dt_row, dt_time, a_row, a_state, b_row, b_time, c_row, c_time, z_row, z_time, g_row, g_time,
    SOFTPLUS: tl.constexpr, BACK: tl.constexpr,
    STEPS: tl.constexpr, BLOCK: tl.constexpr, STATES: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    """Walk each chunk from its last segment to its first: compute the states of a segment again, then go back.

    With a = exp(delta A), slope the cotangent before the gate and lam = C slope + a[t+1] lam[t+1]:
    dC = h slope, dB = lam delta u, dA = lam a h[t-1] delta, du = delta lam B + D slope,
    d delta = lam (A a h[t-1] + u B), summed over the states or the channels.
    """
    row, chunk, tile, first, end = program_place(length, chunk_length, chunks, tiles)
    d, n, ends, ends_n = _lanes(tile, width, states, end, BLOCK, STATES)
    plane, layer = row * length * width, (tile.to(tl.int64) * rows + row) * length * states
    rates = _rates(a, d, n, width, states, a_row, a_state, ACC)
    shift = _row(bias, d, width, BLOCK, ACC)
    direct = _row(skip, d, width, BLOCK, ACC)
    place = (row * chunks + chunk) * tiles + tile
    carry = tl.load(_tile(finish, place, BLOCK, STATES))
    d_rates = tl.zeros((STATES, BLOCK), ACC)
    d_skip = tl.zeros((BLOCK,), ACC)
    d_shift = tl.zeros((BLOCK,), ACC)
    count = tl.cdiv(end - first, STEPS)
    for done in range(count):
        step = first + (count - 1 - done) * STEPS
        segment = (row * tl.cdiv(length, STEPS) + step // STEPS) * tiles + tile
        h = tl.load(_tile(segments, segment, BLOCK, STATES))
        if sums is not None:
            passed = tl.load(sums + segment * BLOCK + tl.arange(0, BLOCK))
            h += tl.exp2(passed[None, :] * rates) * tl.load(_tile(start, place, BLOCK, STATES))
        us = _ask(u + row * u_row, u_time, step, d, ends, length, BACK, STEPS, ACC)
        dts = _ask(dt + row * dt_row, dt_time, step, d, ends, length, BACK, STEPS, ACC)
        bs = _ask(b + row * b_row, b_time, step, n, ends_n, length, BACK, STEPS, ACC)
        before, deltas = _again(h, us, dts, bs, rates, shift, step, ends, SOFTPLUS, STEPS)
        for back in range(STEPS):
            now = step + STEPS - 1 - back
            time = _time(now, length, BACK)
            inside, inside_n = now < ends, n < tl.where(now < end, states, 0)
            u_now = tl.load(u + row * u_row + time * u_time + d, mask=inside, other=0).to(ACC)
            b_now = tl.load(b + row * b_row + time * b_time + n, mask=inside_n, other=0).to(ACC)
            c_now = tl.load(c + row * c_row + time * c_time + n, mask=inside_n, other=0).to(ACC)
            slope = tl.load(g + row * g_row + time * g_time + d, mask=inside, other=0).to(ACC)
            delta = _pick(deltas, now - step, STEPS)
            decay = tl.exp2(delta[None, :] * rates)
            decayed = decay * _pick(before, now - step, STEPS)
            h = decayed + (delta * u_now)[None, :] * b_now[:, None]
            here = plane + time * width + d
            if z is not None:
                z_now = tl.load(z + row * z_row + time * z_time + d, mask=inside, other=0).to(ACC)
                gate = sigmoid(z_now)
                out = tl.sum(h * c_now[:, None], axis=0) + direct * u_now
                grad = slope * out * gate * (1.0 + z_now * (1.0 - gate))
                tl.store(dz + here, grad.to(dz.dtype.element_ty), mask=inside)
                slope *= z_now * gate
            lam = carry + c_now[:, None] * slope[None, :]
            carry = decay * lam
            pull = lam * decayed
            d_rates += pull * delta[None, :]
            d_skip += slope * u_now
            along_b = tl.sum(lam * b_now[:, None], axis=0)
            grad = delta * along_b + direct * slope
            tl.store(du + here, grad.to(du.dtype.element_ty), mask=inside)
            grad = tl.where(inside, tl.sum(pull * rates, axis=0) * _LN2 + u_now * along_b, 0.0)
            if SOFTPLUS:
                dt_now = tl.load(dt + row * dt_row + time * dt_time + d, mask=inside, other=0).to(ACC)
                grad *= sigmoid(dt_now + shift)
            d_shift += grad
            tl.store(ddt + here, grad.to(ddt.dtype.element_ty), mask=inside)
            here_n = layer + time * states + n
            tl.store(parts_b + here_n, tl.sum(lam * (delta * u_now)[None, :], axis=1), mask=inside_n)
            tl.store(parts_c + here_n, tl.sum(h * slope[None, :], axis=1), mask=inside_n)
    tl.store(_tile(parts_a, place, BLOCK, STATES), d_rates)
    parts += (row * chunks + chunk) * 2 * tiles * BLOCK + d
    tl.store(parts, d_skip)
    tl.store(parts + tiles * BLOCK, d_shift)
    final = (n < states)[:, None] & (d < tl.where(first == 0, width, 0))[None, :]
    tl.store(dh0 + row * width * states + d.to(tl.int64)[None, :] * states + n[:, None], carry, mask=final)
