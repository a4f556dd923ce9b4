"""The checks of gpu_check.py on tensors of more than 2^31 elements, where 32-bit offsets go wrong without a word."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import torch
from _gpu_checks import TOLERANCE, relative
from torch import Tensor

from tsrec import kernels

LONG = (1, 2**16 + 1, 2**15)
MANY = (2**16 + 1, 64, 512)


class Large(NamedTuple):
    """An operation, the axes and sizes of its inputs and of its outputs, how many copies of the largest it takes."""

    op: str
    call: Callable[..., tuple[Tensor, ...]]
    shape: tuple[int, int, int]
    inputs: dict[str, str]
    outputs: tuple[str, ...]
    copies: int


LARGE = (
    Large("linear_scan", kernels.linear_scan, LONG, {"a": "BLD", "b": "BLD", "h0": "BD"}, ("BLD", "BD"), 7),
    Large("linear_scan", kernels.linear_scan, MANY, {"a": "BLD", "b": "BLD", "h0": "BD"}, ("BLD", "BD"), 7),
    Large(
        "dilated_conv",
        lambda **inputs: (kernels.dilated_conv(**inputs, dilation=64, activation="silu"),),
        LONG,
        {"x": "BLD", "weight": "DK"},
        ("BLD",),
        9,
    ),
    Large(
        "selective_scan",
        partial(kernels.selective_scan, softplus=False),
        LONG,
        {"u": "BLD", "dt": "BLD", "A": "DN", "B": "BLN", "C": "BLN"},
        ("BLD", "BDN"),
        14,
    ),
)


def large_checks(device: torch.device) -> Iterator[dict]:
    """Yield a result per operation: sampled rows and channels against the same operation on these alone in float64."""
    for case in LARGE:
        result = {"op": case.op, "case": f"{case.shape} torch.bfloat16, more than 2^31 elements"}
        torch.cuda.empty_cache()
        needed, free = case.copies * 2 * (2**31 + 2**20), torch.cuda.mem_get_info(device)[0]
        if free < needed:
            yield result | {"skipped": f"needs {needed / 2**30:.0f} GiB, {free / 2**30:.0f} are free"}
            continue
        try:
            yield result | _check(case, device)
        except Exception as error:
            yield result | {"ok": False, "failure": f"{type(error).__name__}: {error}"}


def _check(case: Large, device: torch.device) -> dict:
    B, _, D = case.shape
    picks = {
        "B": torch.tensor(sorted({0, B // 2, B - 1}), device=device),
        "D": torch.tensor([0, 1, D // 2 - 1, D // 2, D - 2, D - 1], device=device),
    }
    inputs = _inputs(case, device)
    few = {name: _narrow(x, case.inputs[name], picks).double().requires_grad_() for name, x in inputs.items()}
    outputs, wanted = case.call(**inputs), case.call(**few)
    g = torch.Generator(device).manual_seed(1)
    cotangents = [torch.randn(y.shape, generator=g, device=device, dtype=y.dtype) for y in outputs]
    narrow = [_narrow(x, axes, picks).double() for x, axes in zip(cotangents, case.outputs, strict=True)]
    errors = {}
    for i, (y, axes) in enumerate(zip(outputs, case.outputs, strict=True)):
        errors[f"output {i}"] = relative(_narrow(y.detach(), axes, picks), wanted[i].detach())
    found = torch.autograd.grad(outputs, list(inputs.values()), cotangents)
    exact = torch.autograd.grad(wanted, list(few.values()), narrow)
    for (name, axes), x, y in zip(case.inputs.items(), found, exact, strict=True):
        if "D" in axes:  # others are sums over channels, of which we took a few
            errors[f"gradient of {name}"] = relative(_narrow(x, axes, picks), y)
    worst = max(errors, key=lambda name: errors[name] if errors[name] == errors[name] else float("inf"))
    tolerance = TOLERANCE[torch.bfloat16]
    return {"error": errors[worst], "worst": worst, "tolerance": tolerance, "ok": errors[worst] <= tolerance}


def _inputs(case: Large, device: torch.device) -> dict[str, Tensor]:
    sizes = dict(zip("BLDNK", (*case.shape, 4, 4), strict=True))
    g = torch.Generator(device).manual_seed(0)
    inputs = {}
    for name, axes in case.inputs.items():
        x = torch.empty([sizes[axis] for axis in axes], device=device, dtype=torch.bfloat16)
        if name in ("a", "dt"):
            x.uniform_(0.5 if name == "a" else 0.01, 0.95, generator=g)
        else:
            x.normal_(generator=g)
        inputs[name] = (-x.abs() if name == "A" else x).requires_grad_()
    return inputs


def _narrow(x: Tensor, axes: str, picks: dict[str, Tensor]) -> Tensor:
    for i, axis in enumerate(axes):
        if axis in picks:
            x = x.detach().index_select(i, picks[axis])
    return x
