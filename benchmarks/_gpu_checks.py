"""The checks of gpu_check.py: every operation, its gradients included, against its float64 reference."""

import itertools
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from tsrec import kernels

# Largest deviation allowed, over the largest value of the tensor. Half precision: a few roundings of what is stored.
TOLERANCE = {
    torch.float64: 1e-11,
    torch.complex128: 1e-11,
    torch.float32: 2e-5,
    torch.complex64: 2e-5,
    torch.float16: 5e-3,
    torch.bfloat16: 3e-2,
}
DTYPES = tuple(TOLERANCE)
REAL = (torch.float32, torch.bfloat16, torch.float64)


class Case(NamedTuple):
    """An operation, its reference, its inputs (CPU, float64 values already rounded to their dtype), what it is."""

    op: str
    label: str
    fast: Callable[..., tuple[Tensor, ...]]
    reference: Callable[..., tuple[Tensor, ...]]
    inputs: dict[str, Tensor]
    dtype: torch.dtype


def check(case: Case, device: torch.device) -> dict:
    """Compare outputs and all gradients, and two runs of the operation bit by bit."""
    start = time.perf_counter()
    g = torch.Generator().manual_seed(1)
    inputs = {name: x.to(device) for name, x in case.inputs.items()}
    cotangents: list[Tensor] = []
    found, again = (_outputs_and_gradients(case.fast, inputs, cotangents, g) for _ in range(2))
    wide = {name: widened(x) for name, x in inputs.items()}
    wanted = _outputs_and_gradients(case.reference, wide, [widened(x) for x in cotangents], g)
    errors = {name: relative(found[name], wanted[name]) for name in found}
    worst = max(errors, key=lambda name: errors[name] if errors[name] == errors[name] else float("inf"))
    tolerance = TOLERANCE[case.dtype]
    same = all(torch.equal(found[name], again[name]) for name in found)
    return {
        "op": case.op,
        "case": case.label,
        "error": errors[worst],
        "worst": worst,
        "tolerance": tolerance,
        "two_runs_same_bits": same,
        "ok": errors[worst] <= tolerance and same,
        "seconds": round(time.perf_counter() - start, 2),
    }


def widened(x: Tensor) -> Tensor:
    return x.to(torch.complex128 if x.is_complex() else torch.float64)


def relative(found: Tensor, wanted: Tensor) -> float:
    scale = wanted.abs().max().item()
    return (widened(found) - wanted).abs().max().item() / (scale or 1.0)


def _outputs_and_gradients(
    op: Callable[..., tuple[Tensor, ...]], inputs: dict[str, Tensor], cotangents: list[Tensor], g: torch.Generator
) -> dict[str, Tensor]:
    """Run an operation both ways; cotangents are drawn for its outputs if the list is empty."""
    leaves = {name: x.detach().clone().requires_grad_() for name, x in inputs.items()}
    outputs = op(**leaves)
    if not cotangents:
        cotangents.extend(torch.randn(y.shape, generator=g, dtype=y.dtype).to(y.device) for y in outputs)
    gradients = torch.autograd.grad(outputs, list(leaves.values()), cotangents)
    results = {f"output {i}": y.detach() for i, y in enumerate(outputs)}
    return results | {f"gradient of {name}": x for name, x in zip(leaves, gradients, strict=True)}


def cases(small: bool) -> Iterator[Case]:
    """Yield all checks; small ones for an emulated device."""
    yield from scans(small)
    yield from selective_scans(small)
    yield from dilated_convs(small)
    yield from fft_convs(small)


def scans(small: bool) -> Iterator[Case]:
    """Yield every dtype and layout of the decay, both directions, and lengths at which time is cut into chunks."""
    kinds = ("row", "per batch", "per step", "full")
    some = (torch.float32, torch.bfloat16, torch.complex64)
    if small:
        table = [((2, 9, 5), dtype, kind) for dtype, kind in zip(DTYPES, itertools.cycle(kinds), strict=False)]
    else:
        table = list(itertools.product(((3, 63, 5),), DTYPES, ("row", "full")))
        table += itertools.product(((2, 1000, 96), (1, 1, 1)), (torch.float32,), kinds)
        table += itertools.product(((1, 4096, 256), (33, 336, 512)), some, ("row", "full"))
        table += itertools.product(((2, 2049, 33),), (torch.float32,), ("per batch", "per step"))
    for i, (shape, dtype, kind) in enumerate(table):
        reverse = (i + i // 2) % 2 == 1
        yield Case(
            "linear_scan",
            f"{shape} {dtype} {kind}{' reverse' if reverse else ''}",
            partial(kernels.linear_scan, reverse=reverse),
            partial(kernels.linear_scan_reference, reverse=reverse),
            scan_inputs(shape, dtype, kind),
            dtype,
        )


def scan_inputs(shape: tuple[int, int, int], dtype: torch.dtype, kind: str) -> dict[str, Tensor]:
    """Draw decays with moduli from 0.5 to 1, signs and phases; a decay in half precision would lose slow modes."""
    B, L, D = shape
    g = torch.Generator().manual_seed(0)
    size = {"row": (D,), "per batch": (B, 1, D), "per step": (1, L, D), "full": (B, L, D)}[kind]
    a = (0.5 + 0.5 * torch.rand(size, generator=g, dtype=torch.float64)) * torch.randn(size, generator=g).sign()
    if dtype.is_complex:
        a = a * torch.exp(2j * torch.rand(size, generator=g, dtype=torch.float64))
    state = dtype if dtype.itemsize >= 4 else torch.float32
    b, h0 = (torch.randn(s, generator=g, dtype=dtype) for s in (shape, (B, D)))
    return {"a": a.to(state), "b": b, "h0": h0.to(state)}


def selective_scans(small: bool) -> Iterator[Case]:
    """Yield the selective scan bare and with all its options."""
    table = [((2, 9, 5, 3), *kind) for kind in itertools.product(REAL, (False, True))]
    if not small:
        table = [((2, 63, 5, 3), *kind[1:]) for kind in table]
        table += itertools.product(((1, 2048, 64, 16), (8, 336, 512, 16)), REAL[:2], (False, True))
        # Several tiles of channels and too short to be cut into chunks of time; and the smallest of all.
        table += [((64, 32, 96, 16), torch.float32, True), ((1, 1, 1, 1), torch.float32, True)]
    for i, (shape, dtype, full) in enumerate(table):
        options = {"reverse": i % 4 > 1, "softplus": full}
        yield Case(
            "selective_scan",
            f"{shape} {dtype}{' all options' if full else ''}{' reverse' if options['reverse'] else ''}",
            partial(kernels.selective_scan, **options),
            partial(kernels.selective_scan_reference, **options),
            selective_inputs(shape, dtype, full),
            dtype,
        )


def selective_inputs(shape: tuple[int, int, int, int], dtype: torch.dtype, full: bool) -> dict[str, Tensor]:
    B, L, D, N = shape
    g = torch.Generator().manual_seed(0)
    state = torch.float64 if dtype == torch.float64 else torch.float32

    def normal(*size: int, dtype: torch.dtype = dtype) -> Tensor:
        return torch.randn(size, generator=g, dtype=torch.float64).to(dtype)

    inputs = {"u": normal(B, L, D), "dt": normal(B, L, D) if full else (0.1 * normal(B, L, D).abs())}
    inputs |= {"A": -torch.arange(1, N + 1).expand(D, N).to(state), "B": normal(B, L, N), "C": normal(B, L, N)}
    if full:
        inputs |= {"D": normal(D, dtype=state), "z": normal(B, L, D), "dt_bias": normal(D, dtype=state) - 3}
        inputs |= {"h0": normal(B, D, N, dtype=state)}
    return inputs


def dilated_convs(small: bool) -> Iterator[Case]:
    """Yield convolutions within and beyond the length, causal, centred and reversed, bare and with all options."""
    shapes = [(2, 9, 5)] if small else [(1, 1, 1), (2, 63, 5), (3, 500, 96), (8, 1000, 256)]
    taps = [(3, 2)] if small else [(4, 1), (17, 16), (3, 64)]
    forms = ({"causal": True}, {"causal": True, "reverse": True}, {"causal": False})
    # The full product would spend more time in the compiler than all checks may take.
    dtypes = itertools.cycle(REAL)
    table = [(*sizes, next(dtypes), form) for sizes in itertools.product(shapes, taps) for form in forms for _ in "ab"]
    for i, (shape, (K, dilation), dtype, form) in enumerate(table):
        if K % 2 == 0 and not form["causal"]:
            continue
        full = i % 2 == 1
        options = {"dilation": dilation, "activation": ("silu", "relu")[i // 2 % 2] if full else None, **form}
        before = (K - 1) * dilation if full and form == forms[0] else 0
        yield Case(
            "dilated_conv",
            f"{shape} {dtype} K={K} {options}",
            _one(partial(kernels.dilated_conv, **options)),
            _one(partial(kernels.dilated_conv_reference, **options)),
            conv_inputs(shape, dtype, K, full, before),
            dtype,
        )


def conv_inputs(shape: tuple[int, int, int], dtype: torch.dtype, K: int, full: bool, before: int) -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(0)
    sizes = {"x": shape, "weight": (shape[2], K)}
    sizes |= {"bias": (shape[2],), "residual": shape} if full else {}
    sizes |= {"initial": (shape[0], before, shape[2])} if before else {}
    return {name: torch.randn(size, generator=g, dtype=torch.float64).to(dtype) for name, size in sizes.items()}


def fft_convs(small: bool) -> Iterator[Case]:
    """Yield long convolutions; they are transforms of torch, so only what surrounds them is ours to check."""
    for shape, dtype in itertools.product([(2, 9, 5)] if small else [(2, 63, 5), (3, 1000, 64)], REAL):
        g = torch.Generator().manual_seed(0)
        sizes = {"u": shape, "K": (shape[2], shape[1]), "D": (shape[2],)}
        inputs = {name: torch.randn(size, generator=g, dtype=torch.float64).to(dtype) for name, size in sizes.items()}
        fast, reference = _one(kernels.fft_conv), _one(kernels.fft_conv_reference)
        yield Case("fft_conv", f"{shape} {dtype}", fast, reference, inputs, dtype)


def _one(op: Callable[..., Tensor]) -> Callable[..., tuple[Tensor, ...]]:
    return lambda **inputs: (op(**inputs),)
