"""The linear scan against ``torch.add``, the loop over time in torch and torch's associative scan."""

import torch
from _timing import Candidate, Table, Tensors, backward, both, forward, medians, ratio, rotating
from torch import Tensor
from torch._higher_order_ops.associative_scan import associative_scan

from tsrec.kernels import linear_scan, linear_scan_reference

SHAPES = ((32, 336, 512), (8, 2048, 512), (1, 16384, 256), (4, 65536, 64), (64, 32, 384), (1, 4096, 16))
# The loop keeps every step in memory and takes microseconds for each: not for the longest.
LOOP_MAX_LENGTH = 4096


def op(a: Tensor, b: Tensor, **_: Tensor) -> Tensor:
    return linear_scan(a, b)[0]


def op_reverse(a: Tensor, b: Tensor, **_: Tensor) -> Tensor:
    return linear_scan(a, b, reverse=True)[0]


def op_row(row: Tensor, b: Tensor, **_: Tensor) -> Tensor:
    return linear_scan(row, b)[0]


def loop(a: Tensor, b: Tensor, **_: Tensor) -> Tensor:
    return linear_scan_reference(a, b)[0]


def tree(a: Tensor, b: Tensor, **_: Tensor) -> Tensor:
    def combine(left: tuple[Tensor, Tensor], right: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return left[0] * right[0], right[0] * left[1] + right[1]

    return associative_scan(combine, (a, b), dim=1, combine_mode="generic")[1]


def _inputs(shape: tuple[int, ...], dtype: torch.dtype) -> Tensors:
    tensors = {name: torch.rand(shape).to(dtype) for name in ("a", "b", "g", "out")}
    # Decays below 1: states that grow over 65,536 steps would end in infinities, which are slower.
    return {**tensors, "a": 0.9 * tensors["a"], "row": 0.9 * torch.rand(shape[2]).to(dtype)}


def _candidates(shape: tuple[int, ...], dtype: torch.dtype) -> dict[str, Candidate]:
    inputs = rotating(lambda: _inputs(shape, dtype))
    candidates = {
        "add": Candidate(lambda s: torch.add(s["a"], s["b"], out=s["out"]), inputs),
        "mul": Candidate(lambda s: torch.mul(s["b"], s["row"], out=s["out"]), inputs),
        "fwd": forward(op, inputs),
        "reverse": forward(op_reverse, inputs),
        "row": forward(op_row, inputs),
        "bwd": backward(op, inputs, ("a", "b")),
        "bwd row": backward(op_row, inputs, ("row", "b")),
        "both": both(op, inputs, ("a", "b")),
    }
    if dtype == torch.float32:
        candidates["tree"] = forward(tree, inputs)
        if shape[1] <= LOOP_MAX_LENGTH:
            candidates |= {"loop": forward(loop, inputs), "loop both": both(loop, inputs, ("a", "b"))}
    return candidates


def measure(repeats: int) -> list[dict[str, object]]:
    rows = []
    for dtype in (torch.float32, torch.complex64):
        table = Table(
            f"linear_scan, {dtype}",
            *("(B, L, D)", "add ms", "fwd ms", "both ms", "fwd / add", "reverse / add", "constant a / mul"),
            *("bwd / (5/3 add)", "constant a, bwd / add", "both / (8/3 add)"),
            *("torch loop / fwd", "loop both / both", "associative_scan / fwd"),
        )
        for full in SHAPES:
            # The same bytes whatever the dtype.
            shape = (*full[:2], full[2] // 2) if dtype.is_complex else full
            t = medians(_candidates(shape, dtype), repeats)
            table.add(
                str(shape),
                *(t[name] for name in ("add", "fwd", "both")),
                *(ratio(t, "fwd", "add"), ratio(t, "reverse", "add"), ratio(t, "row", "mul")),
                *(ratio(t, "bwd", "add", 5 / 3), ratio(t, "bwd row", "add"), ratio(t, "both", "add", 8 / 3)),
                *(ratio(t, "loop", "fwd"), ratio(t, "loop both", "both"), ratio(t, "tree", "fwd")),
            )
        rows += [{"dtype": str(dtype), **row} for row in table.rows]
    return rows
