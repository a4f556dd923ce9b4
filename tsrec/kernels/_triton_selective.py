"""Triton backend of the selective scan: lanes over channels and states, which stay in registers, a loop over time.

States are written once every `STEPS` steps, and only for the adjoint. Where batch rows and channels are too few to fill
a card, time is cut into chunks: a first pass computes the product of the decays of each chunk and the state that it
reaches from zero, a linear scan over these summaries gives every chunk its initial state, and all chunks then run at
once, for one more exponential per element and state. The adjoint does the same with its cotangents. Where the product
of the decays of a chunk overflows (A > 0), states that meet it become inf or NaN.
"""

from typing import Any, NamedTuple

import torch
import triton
from torch import Tensor

from tsrec.kernels import _memory, _triton, _triton_scan
from tsrec.kernels import _triton_selective_kernels as _kernels

# Steps that are loaded together; the adjoint holds the states of so many steps in registers. More steps, or more
# numbers in a tile of states, would not fit there.
STEPS = 4
_TILE_NUMBERS = {torch.float32: 512, torch.float64: 64}

# So many warps on each processor hide each other's latency. With fewer than half of them splitting time pays, if it
# gives each three chunks or more, long enough to pay for the second pass.
_WARPS = 8
_CHUNK_MIN_LENGTH = 64


class _Plan(NamedTuple):
    """How a scan is cut into programs."""

    rows: int
    chunks: int
    tiles: int
    sizes: tuple[int, int, int, int, int, int]
    constants: dict[str, Any]

    @property
    def tile(self) -> tuple[int, int, int]:
        """Shape in which the kernels keep all states of a batch row at one time."""
        return self.tiles, self.constants["STATES"], self.constants["BLOCK"]


class _Inputs(NamedTuple):
    """What the recurrence is made of, readable by kernels."""

    u: Tensor
    dt: Tensor
    A: Tensor
    B: Tensor
    C: Tensor
    D: Tensor | None
    z: Tensor | None
    dt_bias: Tensor | None

    @property
    def layout(self) -> tuple[int, ...]:
        """Strides in the order in which all kernels take them."""
        gate = (0, 0) if self.z is None else _triton.strides(self.z, 2)
        parts = [_triton.strides(x, 2) for x in (self.u, self.dt)]
        parts += [self.A.stride(), *(_triton.strides(x, 2) for x in (self.B, self.C)), gate]
        return tuple(stride for part in parts for stride in part)


class _Walk(NamedTuple):
    """What the adjoint starts from: states and their gradients at the ends of chunks, states between."""

    start: Tensor
    finish: Tensor
    segments: Tensor
    sums: Tensor | None


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
    """Run the recurrence of :func:`tsrec.kernels.selective_scan`; h0 in the accumulation dtype."""
    plan = _plan(u, A, h0, softplus, reverse)
    x = _inputs(u, dt, A, B, C, D, z, dt_bias)
    start = _tiled(plan, h0)
    if plan.chunks > 1:
        products, last = _chunk_states(plan, h0), _chunk_states(plan, h0)
        swept = (*x[:4], None, None, x.dt_bias, None, None, None, None, products, last, None)
        _launch(_kernels.sweep_kernel, plan, *swept, *plan.sizes, *x.layout, 0, 0)
        start = _starts(products, last, start)
    y = _memory.empty(u.shape, u.dtype, u.device)
    h_last = _memory.empty(h0.shape, h0.dtype, u.device)
    _launch(_kernels.scan_kernel, plan, *x, start, y, h_last, *plan.sizes, *x.layout)
    return y, h_last


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
    """Return the gradients of u, dt, A, B, C, D, z, dt_bias and h0 for the cotangents of y and h_last."""
    plan = _plan(u, A, h0, softplus, reverse)
    x, g = _inputs(u, dt, A, B, C, D, z, dt_bias), _triton.as_real(g)
    walk = _sweep(plan, x, g, _tiled(plan, h0), _tiled(plan, g_last))
    du, ddt, dz, dh0 = (None if v is None else _memory.empty(v.shape, v.dtype, v.device) for v in (u, dt, z, h0))
    parts_b, parts_c = (_memory.empty((plan.tiles, *B.shape), h0.dtype, u.device) for _ in range(2))
    parts_a = _chunk_states(plan, h0)
    parts = _memory.empty((plan.rows * plan.chunks, 2, plan.tiles * plan.tile[2]), h0.dtype, u.device)
    outputs = (du, ddt, dz, dh0, parts_b, parts_c, parts_a, parts)
    layout = (*x.layout, *_triton.strides(g, 2))
    _launch(_kernels.adjoint_kernel, plan, *x, g, *walk, *outputs, plan.rows, *plan.sizes, *layout)
    width, states = A.shape
    dA = parts_a.sum((0, 1)).transpose(1, 2).flatten(0, 1)[:width, :states]
    dD, dt_shift = (_like(v, parts[:, i, :width].sum(0)) for i, v in enumerate((D, dt_bias)))
    return du, ddt, _like(A, dA), _like(B, parts_b.sum(0)), _like(C, parts_c.sum(0)), dD, dz, dt_shift, dh0


def chunk_length(programs: int, length: int, multiprocessors: int) -> int:
    """Return into how long pieces time is cut: `length` where `programs` (batch rows x tiles) fill the card anyway."""
    wanted = _WARPS * multiprocessors
    chunks = min(triton.cdiv(wanted, max(1, programs)), length // _CHUNK_MIN_LENGTH)
    if chunks < 3 or 2 * programs >= wanted:
        return length
    return triton.cdiv(triton.cdiv(length, chunks), STEPS) * STEPS


def _plan(u: Tensor, A: Tensor, h0: Tensor, softplus: bool, reverse: bool) -> _Plan:
    rows, length, width = u.shape
    states = triton.next_power_of_2(A.shape[1])
    block = min(32, triton.next_power_of_2(max(1, width)), max(1, _TILE_NUMBERS[h0.dtype] // states))
    tiles = triton.cdiv(width, block)
    size = chunk_length(rows * tiles, length, _triton.processors(u.device))
    chunks = triton.cdiv(length, size)
    constants = {
        "SOFTPLUS": softplus,
        "BACK": reverse,
        "STEPS": STEPS,
        "BLOCK": block,
        "STATES": states,
        "ACC": _triton.accumulator(h0.dtype),
        "num_warps": 1,
    }
    return _Plan(rows, chunks, tiles, (length, size, chunks, tiles, width, A.shape[1]), constants)


def _inputs(*tensors: Tensor | None) -> _Inputs:
    readable: list[Any] = [None if x is None else _triton.as_real(x) for x in tensors]
    return _Inputs(*readable)


def _launch(kernel: Any, plan: _Plan, u: Tensor, *arguments: Any) -> None:
    _triton.launch(kernel, plan.rows * plan.chunks * plan.tiles, u.device, u, *arguments, **plan.constants)


def _sweep(plan: _Plan, x: _Inputs, g: Tensor, start: Tensor, finish: Tensor) -> _Walk:
    """Run once forward for what the adjoint starts from, given the states before and the gradients after all steps."""
    count = triton.cdiv(x.u.shape[1], STEPS)
    segments = _memory.empty((plan.rows, count, *plan.tile), start.dtype, start.device)
    arguments = (*x[:5], x.z, x.dt_bias, g, start, segments)
    layout = (*plan.sizes, *x.layout, *_triton.strides(g, 2))
    if plan.chunks == 1:
        _launch(_kernels.sweep_kernel, plan, *arguments, None, None, None, None, *layout)
        return _Walk(start, finish, segments, None)
    sums = _memory.empty((plan.rows, count, plan.tiles, plan.tile[2]), start.dtype, start.device)
    products, last, pulls = (_chunk_states(plan, start) for _ in range(3))
    _launch(_kernels.sweep_kernel, plan, *arguments, sums, products, last, pulls, *layout)
    return _Walk(_starts(products, last, start), _finishes(products, pulls, finish), segments, sums)


def _starts(products: Tensor, last: Tensor, start: Tensor) -> Tensor:
    """Return the state in which each chunk begins, from what each does to a state."""
    after, _ = _triton_scan.scan(products.flatten(2), last.flatten(2), start.flatten(1), False)
    return torch.cat((start, after.view(products.shape)[:, :-1]), 1)


def _finishes(products: Tensor, pulls: Tensor, finish: Tensor) -> Tensor:
    """Return the gradient of the state in which each chunk ends."""
    before, _ = _triton_scan.scan(products.flatten(2), pulls.flatten(2), finish.flatten(1), True)
    return torch.cat((before.view(products.shape)[:, 1:], finish), 1)


def _tiled(plan: _Plan, state: Tensor) -> Tensor:
    """Return (B, D, N) states as (B, 1, tiles, N, channels), in whole tiles."""
    tiles, states, block = plan.tile
    padding = (0, states - state.shape[2], 0, tiles * block - state.shape[1])
    padded = torch.nn.functional.pad(state.detach(), padding).view(plan.rows, 1, tiles, block, states)
    return padded.transpose(3, 4).contiguous()


def _chunk_states(plan: _Plan, like: Tensor) -> Tensor:
    return _memory.empty((plan.rows, plan.chunks, *plan.tile), like.dtype, like.device)


def _like(x: Tensor | None, gradient: Tensor) -> Tensor | None:
    return None if x is None else gradient.to(x.dtype).contiguous()
