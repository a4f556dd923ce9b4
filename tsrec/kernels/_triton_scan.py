"""GPU kernels of the linear scan: lanes over channels, a loop over time, one warp per batch row and tile of channels.

A warp hides the latency of memory by asking for several steps at once before it computes them. Where rows and channels
are too few to keep a card busy, time is split into chunks: each chunk computes the product of its decays and its state
from zero, a short loop over chunks gives each its initial state, and all chunks then run at the same time, at five
words of traffic per element instead of three. Where the product of the decays of one chunk overflows, a state that
meets it becomes inf or NaN; a decay of exactly 0 still resets, and a state of exactly 0 stays 0.

Complex numbers are pairs on a last axis of the tiles (``PARTS`` = 2); all but multiplication is the same code.
"""

from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from tsrec.kernels import _memory
from tsrec.kernels._triton import accumulator, as_real, channel_tile, launch, processors, program_place, strides

# Bytes that a lane asks for at a time from each stream; the adjoint has three streams to hold in registers.
_SCAN_BYTES, _ADJOINT_BYTES = 128, 64

# So many warps on each processor keep enough loads in flight to saturate memory. With fewer than half of them splitting
# pays, if time is long enough to pay for two more launches as well.
_WARPS = 4
_SPLIT_MIN_LENGTH = 2048
_CHUNK_MIN_LENGTH = 128

# What the adjoint does with the gradient of the decay.
_SKIP, _STORE, _SUM = 0, 1, 2


class _Plan(NamedTuple):
    """How a scan is cut into programs."""

    rows: int
    chunks: int
    tiles: int
    sizes: tuple[int, int, int, int, int]
    constants: dict[str, Any]


def scan(a: Tensor, b: Tensor, h0: Tensor, reverse: bool) -> tuple[Tensor, Tensor]:
    """Run the recurrence of :func:`tsrec.kernels.linear_scan`; a is 3-dimensional, h0 in the accumulation dtype."""
    plan = _plan(b, h0.dtype, _SCAN_BYTES)
    h = _memory.empty(b.shape, b.dtype, b.device)
    h_last = _memory.empty(h0.shape, h0.dtype, b.device)
    a, b = as_real(a), as_real(b)
    start = _starts(plan, a, b, h0, reverse, adjoint=False)
    arguments = (a, b, start, as_real(h), as_real(h_last), *plan.sizes, *strides(a, 2), *strides(b, 2))
    flags = {"BACK": reverse, "REPEAT": _is_constant(a)}
    launch(_scan_kernel, plan.rows * plan.chunks * plan.tiles, b.device, *arguments, **flags, **plan.constants)
    return h, h_last


def scan_adjoint(
    a: Tensor, h: Tensor, h0: Tensor, g: Tensor, g_last: Tensor, reverse: bool, need_a: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of a (summed over time where a is constant, not over the batch), b and h0."""
    plan = _plan(h, h0.dtype, _ADJOINT_BYTES)
    decay = (_SUM if a.shape[1] == 1 else _STORE) if need_a else _SKIP
    shape = {_SKIP: (0,), _STORE: h.shape, _SUM: (h.shape[0], plan.chunks, h.shape[2])}[decay]
    # What is still to be summed is kept in the accumulation dtype.
    da = _memory.empty(shape, a.dtype if a.shape == h.shape and decay == _STORE else h0.dtype, h.device)
    db = _memory.empty(h.shape, h.dtype, h.device)
    dh0 = _memory.empty(h0.shape, h0.dtype, h.device)
    a, h, g = as_real(a), as_real(h), as_real(g)
    start = _starts(plan, a, g, g_last, not reverse, adjoint=True)
    arguments = (a, h, as_real(h0.contiguous()), g, start, as_real(da), as_real(db), as_real(dh0), *plan.sizes)
    layout = (*strides(a, 2), *strides(h, 2), *strides(g, 2))
    programs = plan.rows * plan.chunks * plan.tiles
    flags = {"BACK": not reverse, "REPEAT": _is_constant(a), "DECAY": decay}
    launch(_adjoint_kernel, programs, h.device, *arguments, *layout, **flags, **plan.constants)
    return da.sum(1, keepdim=True) if decay == _SUM else da, db, dh0


def chunk_length(programs: int, length: int, multiprocessors: int) -> int:
    """Return into how long pieces time is cut: `length` where `programs` (batch rows x tiles) fill the card anyway."""
    wanted = _WARPS * multiprocessors
    if length < _SPLIT_MIN_LENGTH or 2 * programs >= wanted:
        return length
    chunks = min(triton.cdiv(wanted, max(1, programs)), length // _CHUNK_MIN_LENGTH)
    return triton.cdiv(length, chunks)


def _plan(x: Tensor, dtype: torch.dtype, lane_bytes: int) -> _Plan:
    rows, length, width = x.shape
    block = channel_tile(width, x.dtype.itemsize)
    tiles = triton.cdiv(width, block)
    size = chunk_length(rows * tiles, length, processors(x.device))
    chunks = triton.cdiv(length, size)
    constants = {
        "STEPS": min(lane_bytes // dtype.itemsize, triton.next_power_of_2(size)),
        "BLOCK": block,
        "PARTS": 2 if dtype.is_complex else 1,
        "ACC": accumulator(dtype),
        "num_warps": 1,
    }
    return _Plan(rows, chunks, tiles, (length, size, chunks, tiles, width), constants)


def _is_constant(a: Tensor) -> bool:
    return strides(a, 2)[1] == 0


def _starts(plan: _Plan, a: Tensor, x: Tensor, state: Tensor, back: bool, adjoint: bool) -> Tensor:
    """Return the state in which each chunk begins, given the one in which the first begins."""
    state = state.contiguous()
    if plan.chunks == 1:
        return as_real(state)
    rows, width = state.shape
    length, size, chunks, tiles, _ = plan.sizes
    products, ends = (_memory.empty((rows, chunks - 1, width), state.dtype, x.device) for _ in range(2))
    starts = _memory.empty((rows, chunks, width), state.dtype, x.device)
    cuts = (length, size, chunks - 1, tiles, width)
    arguments = (a, x, as_real(products), as_real(ends), *cuts, *strides(a, 2), *strides(x, 2))
    flags = {"BACK": back, "REPEAT": _is_constant(a), "ADJOINT": adjoint}
    launch(_summary_kernel, rows * (chunks - 1) * tiles, x.device, *arguments, **flags, **plan.constants)
    arguments = (as_real(products), as_real(ends), as_real(state), as_real(starts), chunks, tiles, width)
    launch(_carry_kernel, rows * tiles, x.device, *arguments, **plan.constants)
    return as_real(starts)


@triton.jit
def _lanes(tile, width, BLOCK: tl.constexpr, PARTS: tl.constexpr):  # type: ignore[no-untyped-def]
    """Return the offsets of a tile of channels in a row of numbers, and which of them exist."""
    channels = tile * BLOCK + tl.arange(0, BLOCK)
    if PARTS == 2:
        part = tl.arange(0, 2)[None, :]
        return channels[:, None] * 2 + part, (channels < width)[:, None] & (part >= 0)
    else:
        return channels, channels < width


@triton.jit
def _walk(x, row, row_stride, time_stride, first, length, lanes, BACK: tl.constexpr):  # type: ignore[no-untyped-def]
    """Return pointers to a batch row's step `first`, counted from the end if BACK, and the stride to the next step."""
    stride = tl.cast(time_stride, tl.int64)
    if BACK:
        return x + row * row_stride + (length - 1 - first) * stride + lanes, -stride
    else:
        return x + row * row_stride + first * stride + lanes, stride


@triton.jit
def _ask(x, stride, step, end, REPEAT: tl.constexpr, STEPS: tl.constexpr):  # type: ignore[no-untyped-def]
    """Load several steps before any of them is used, as a tuple of tiles; 0 from each channel's `end` on."""
    rows = ()  # Grown by +: Triton's compiler knows no lists and no starred elements.
    row = tl.load(x, mask=step < end, other=0)
    for i in tl.static_range(STEPS):
        rows = rows + (row,)  # type: ignore[assignment]  # noqa: RUF005
        if not REPEAT and i + 1 < STEPS:
            x += stride
            row = tl.load(x, mask=step + i + 1 < end, other=0)
    return rows


@triton.jit
def _times(x, y, PARTS: tl.constexpr):  # type: ignore[no-untyped-def]
    if PARTS == 2:
        xr, xi = tl.split(x)
        yr, yi = tl.split(y)
        return tl.join(xr * yr - xi * yi, xr * yi + xi * yr)
    else:
        return x * y


@triton.jit
def _conj(x, PARTS: tl.constexpr):  # type: ignore[no-untyped-def]
    if PARTS == 2:
        real, imaginary = tl.split(x)
        return tl.join(real, -imaginary)
    else:
        return x


@triton.jit
def _is_zero(x, PARTS: tl.constexpr):  # type: ignore[no-untyped-def]
    if PARTS == 2:
        real, imaginary = tl.split(x)
        size = tl.abs(real) + tl.abs(imaginary)
        return tl.join(size, size) == 0
    else:
        return x == 0


@triton.jit(do_not_specialize=["length", "chunk_length"])
def _scan_kernel(  # type: ignore[no-untyped-def]
    a, b, start, h, last,
    length, chunk_length, chunks, tiles, width, a_row, a_time, b_row, b_time,
    BACK: tl.constexpr, REPEAT: tl.constexpr,
    STEPS: tl.constexpr, BLOCK: tl.constexpr, PARTS: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    row, chunk, tile, first, end = program_place(length, chunk_length, chunks, tiles)
    lanes, mask = _lanes(tile, width, BLOCK, PARTS)
    ends = tl.where(mask, end, 0)
    a, a_time = _walk(a, row, a_row, a_time, first, length, lanes, BACK)
    b, b_time = _walk(b, row, b_row, b_time, first, length, lanes, BACK)
    h, h_time = _walk(h, row * length, width * PARTS, width * PARTS, first, length, lanes, BACK)
    state = tl.load(start + (row * chunks + chunk) * width * PARTS + lanes, mask=mask, other=0).to(ACC)
    for step in range(first, end, STEPS):
        decays = _ask(a, a_time, step, ends, REPEAT, STEPS)
        inputs = _ask(b, b_time, step, ends, False, STEPS)
        for i in tl.static_range(STEPS):
            inside = step + i < ends
            state = tl.where(inside, _times(decays[i].to(ACC), state, PARTS) + inputs[i].to(ACC), state)
            tl.store(h, state, mask=inside)
            h += h_time
        a += a_time * STEPS
        b += b_time * STEPS
    tl.store(last + row * width * PARTS + lanes, state, mask=mask & (ends == length))


@triton.jit(do_not_specialize=["length", "chunk_length"])
def _adjoint_kernel(  # type: ignore[no-untyped-def]
    a, h, h0, g, start, da, db, dh0,
    length, chunk_length, chunks, tiles, width, a_row, a_time, h_row, h_time, g_row, g_time,
    BACK: tl.constexpr, REPEAT: tl.constexpr, DECAY: tl.constexpr,
    STEPS: tl.constexpr, BLOCK: tl.constexpr, PARTS: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    """Walk against the recurrence: lam = g + carry, db = lam, da = lam conj(state before), carry = conj(a) lam.

    DECAY: 0 if da is not wanted, 1 if it is stored per step, 2 if it is summed over the chunk.
    """
    row, chunk, tile, first, end = program_place(length, chunk_length, chunks, tiles)
    lanes, mask = _lanes(tile, width, BLOCK, PARTS)
    ends = tl.where(mask, end, 0)
    a, a_time = _walk(a, row, a_row, a_time, first, length, lanes, BACK)
    h, h_time = _walk(h, row, h_row, h_time, first, length, lanes, BACK)
    g, g_time = _walk(g, row, g_row, g_time, first, length, lanes, BACK)
    da_sum = da + (row * chunks + chunk) * width * PARTS + lanes
    da, _ = _walk(da, row * length, width * PARTS, width * PARTS, first, length, lanes, BACK)
    db, db_time = _walk(db, row * length, width * PARTS, width * PARTS, first, length, lanes, BACK)
    initial = tl.load(h0 + row * width * PARTS + lanes, mask=mask, other=0).to(ACC)
    carry = tl.load(start + (row * chunks + chunk) * width * PARTS + lanes, mask=mask, other=0).to(ACC)
    total = tl.zeros_like(carry)
    for step in range(first, end, STEPS):
        decays = _ask(a, a_time, step, ends, REPEAT, STEPS)
        cotangents = _ask(g, g_time, step, ends, False, STEPS)
        if DECAY != 0:
            # The state one step earlier is the next on this walk, the initial state at its end.
            final = tl.where(mask, length, 0)
            states = _ask(h + h_time, h_time, step + 1, final, False, STEPS)
        part = tl.zeros_like(carry)
        for i in tl.static_range(STEPS):
            inside = step + i < ends
            lam = cotangents[i].to(ACC) + carry
            if DECAY != 0:
                before = tl.where(step + i + 1 < length, states[i].to(ACC), initial)
                slope = _times(lam, _conj(before, PARTS), PARTS)
                if DECAY == 1:
                    tl.store(da, slope, mask=inside)
                else:
                    part += tl.where(inside, slope, 0.0)
            tl.store(db, lam, mask=inside)
            da += db_time
            db += db_time
            carry = tl.where(inside, _times(lam, _conj(decays[i].to(ACC), PARTS), PARTS), carry)
        total += part
        a += a_time * STEPS
        g += g_time * STEPS
        h += h_time * STEPS
    if DECAY == 2:
        tl.store(da_sum, total, mask=mask)
    tl.store(dh0 + row * width * PARTS + lanes, carry, mask=mask & (ends == length))


@triton.jit(do_not_specialize=["length", "chunk_length"])
def _summary_kernel(  # type: ignore[no-untyped-def]
    a, x, product, last,
    length, chunk_length, chunks, tiles, width, a_row, a_time, x_row, x_time,
    BACK: tl.constexpr, REPEAT: tl.constexpr, ADJOINT: tl.constexpr,
    STEPS: tl.constexpr, BLOCK: tl.constexpr, PARTS: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    """Compute what a chunk does to a state: the product of its decays and its end when it begins at 0."""
    row, chunk, tile, first, end = program_place(length, chunk_length, chunks, tiles)
    lanes, mask = _lanes(tile, width, BLOCK, PARTS)
    ends = tl.where(mask, end, 0)
    a, a_time = _walk(a, row, a_row, a_time, first, length, lanes, BACK)
    x, x_time = _walk(x, row, x_row, x_time, first, length, lanes, BACK)
    state = (lanes * 0).to(ACC)
    factor = state + (lanes % PARTS == 0).to(ACC)
    for step in range(first, end, STEPS):
        decays = _ask(a, a_time, step, ends, REPEAT, STEPS)
        inputs = _ask(x, x_time, step, ends, False, STEPS)
        for i in tl.static_range(STEPS):
            inside = step + i < ends
            decay, x_i = decays[i].to(ACC), inputs[i].to(ACC)
            if ADJOINT:
                decay = _conj(decay, PARTS)
                new = _times(decay, state + x_i, PARTS)
            else:
                new = _times(decay, state, PARTS) + x_i
            state = tl.where(inside, new, state)
            # 0 also when the product before it overflowed.
            grown = tl.where(_is_zero(decay, PARTS), 0.0, _times(decay, factor, PARTS))
            factor = tl.where(inside, grown, factor)
        a += a_time * STEPS
        x += x_time * STEPS
    place = (row * chunks + chunk) * width * PARTS + lanes
    tl.store(product + place, factor, mask=mask)
    tl.store(last + place, state, mask=mask)


@triton.jit(do_not_specialize=["chunks"])
def _carry_kernel(  # type: ignore[no-untyped-def]
    product, last, initial, starts,
    chunks, tiles, width,
    STEPS: tl.constexpr, BLOCK: tl.constexpr, PARTS: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    """Compute from the summaries of all chunks but the last the state in which each chunk begins."""
    program = tl.program_id(0)
    lanes, mask = _lanes(program % tiles, width, BLOCK, PARTS)
    row = (program // tiles).to(tl.int64)
    stride = tl.cast(width, tl.int64) * PARTS
    product += row * (chunks - 1) * stride + lanes
    last += row * (chunks - 1) * stride + lanes
    starts += row * chunks * stride + lanes
    state = tl.load(initial + row * stride + lanes, mask=mask, other=0).to(ACC)
    known, wanted = tl.where(mask, chunks - 1, 0), tl.where(mask, chunks, 0)
    for chunk in range(0, chunks, STEPS):
        factors = _ask(product, stride, chunk, known, False, STEPS)
        lasts = _ask(last, stride, chunk, known, False, STEPS)
        for i in tl.static_range(STEPS):
            tl.store(starts, state, mask=chunk + i < wanted)
            starts += stride
            # 0 also where the product overflowed.
            state = tl.where(_is_zero(state, PARTS), 0.0, _times(factors[i], state, PARTS)) + lasts[i]
        product += stride * STEPS
        last += stride * STEPS
