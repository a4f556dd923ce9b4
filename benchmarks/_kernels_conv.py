"""The convolutions: fused dilated ones against ``F.conv1d``, long ones by taps, by FFT and by scan."""

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import scipy.fft
import torch
from _timing import Candidate, Table, Tensors, backward, both, forward, medians, ratio, rotating
from torch import Tensor
from torch.nn import functional

from tsrec.kernels import dilated_conv, dilated_conv_reference, fft_conv, linear_scan

SHAPES = (
    *((32, 336, 512), (8, 2048, 512), (1, 16384, 256), (4, 65536, 64)),
    *((4, 4096, 64), (8, 2048, 256), (64, 32, 768)),
)
KERNELS = ((4, 1), (9, 8), (17, 16))
NAMES = ("x", "weight", "bias")

LONG_SHAPES = (
    *((32, 336, 512), (8, 2048, 512), (1, 16384, 256), (4, 65536, 64)),
    *((64, 4, 768), (64, 16, 768), (64, 32, 768), (64, 64, 384), (32, 96, 64), (32, 128, 64), (64, 128, 384)),
)
# Beyond this length taps are hopeless and only waste the time of the benchmark.
TAPS_MAX_LENGTH = 336


def _conv1d(dilation: int) -> Callable[..., Tensor]:
    def compute(x: Tensor, weight: Tensor, bias: Tensor, **_: Tensor) -> Tensor:
        padded = functional.pad(x.transpose(1, 2), ((weight.shape[1] - 1) * dilation, 0))
        z = functional.conv1d(padded, weight[:, None], bias, dilation=dilation, groups=weight.shape[0])
        return functional.silu(z).transpose(1, 2) + x

    return compute


def _dilated_candidates(shape: tuple[int, int, int], taps: int, dilation: int) -> dict[str, Candidate]:
    def op(x: Tensor, weight: Tensor, bias: Tensor, **_: Tensor) -> Tensor:
        return dilated_conv(x, weight, bias, dilation=dilation, activation="silu", residual=x)

    def shift(x: Tensor, weight: Tensor, bias: Tensor, **_: Tensor) -> Tensor:
        return dilated_conv_reference(x, weight, bias, dilation=dilation, activation="silu", residual=x)

    def make() -> Tensors:
        tensors = {name: torch.randn(shape) for name in ("x", "g", "out")}
        return {**tensors, "weight": torch.randn(shape[2], taps), "bias": torch.randn(shape[2])}

    inputs = rotating(make)
    return {
        "add": Candidate(lambda s: torch.add(s["x"], s["g"], out=s["out"]), inputs),
        "fwd": forward(op, inputs),
        "bwd": backward(op, inputs, NAMES),
        "both": both(op, inputs, NAMES),
        "conv1d": forward(_conv1d(dilation), inputs),
        "conv1d both": both(_conv1d(dilation), inputs, NAMES),
        "shift": forward(shift, inputs),
        "shift both": both(shift, inputs, NAMES),
    }


def measure_dilated(repeats: int) -> list[dict[str, object]]:
    table = Table(
        "dilated_conv with bias, SiLU and residual, float32",
        *("(B, L, D)", "K, dilation", "add ms", "fwd ms", "both ms", "fwd / add", "bwd / add"),
        *("conv1d / fwd", "conv1d both / both", "shift / fwd", "shift both / both"),
    )
    for shape in SHAPES:
        for taps, dilation in KERNELS[:1] if shape[1] < 64 else KERNELS:
            t = medians(_dilated_candidates(shape, taps, dilation), repeats)
            table.add(
                str(shape),
                f"{taps}, {dilation}",
                *(t[name] for name in ("add", "fwd", "both")),
                *(ratio(t, "fwd", "add"), ratio(t, "bwd", "add")),
                *(ratio(t, "conv1d", "fwd"), ratio(t, "conv1d both", "both")),
                *(ratio(t, "shift", "fwd"), ratio(t, "shift both", "both")),
            )
    return table.rows


@contextmanager
def _route(taps: bool) -> Iterator[None]:
    """Make fft_conv take one of its two routes whatever the length."""
    module = importlib.import_module("tsrec.kernels.fft_conv")
    rule, module._takes_taps = module._takes_taps, lambda *_: taps
    try:
        yield
    finally:
        module._takes_taps = rule


def _op(u: Tensor, K: Tensor, **_: Tensor) -> Tensor:
    return fft_conv(u, K)


def _scipy(u: Tensor, K: Tensor, **_: Tensor) -> Tensor:
    n = scipy.fft.next_fast_len(2 * u.shape[1] - 1, real=True)
    spectra = scipy.fft.rfft(u.numpy(), n, axis=1) * scipy.fft.rfft(K.numpy(), n, axis=1).T
    return torch.from_numpy(scipy.fft.irfft(spectra, n, axis=1)[:, : u.shape[1]])


def _scan(u: Tensor, a: Tensor, **_: Tensor) -> Tensor:
    return linear_scan(a, u)[0]


def _by_route(candidate: Candidate, taps: bool) -> Candidate:
    def run(prepared: object) -> object:
        with _route(taps):
            return candidate.run(prepared)

    return Candidate(run, candidate.setup)


def _long_candidates(shape: tuple[int, int, int]) -> dict[str, Candidate]:
    def make() -> Tensors:
        tensors = {name: torch.randn(shape) for name in ("u", "g", "out")}
        return {**tensors, "K": torch.randn(shape[2], shape[1]), "a": torch.rand(shape[2])}

    inputs = rotating(make)
    candidates = {
        "add": Candidate(lambda s: torch.add(s["u"], s["g"], out=s["out"]), inputs),
        "fwd": forward(_op, inputs),
        "both": both(_op, inputs, ("u", "K")),
        "scipy": forward(_scipy, inputs),
        "scan": forward(_scan, inputs),
    }
    for taps, name in ((True, "taps"), (False, "fft")):
        if shape[1] <= TAPS_MAX_LENGTH or not taps:
            candidates[name] = _by_route(candidates["fwd"], taps)
            candidates[f"{name} both"] = _by_route(candidates["both"], taps)
    return candidates


def measure_fft(repeats: int) -> list[dict[str, object]]:
    table = Table(
        "fft_conv, L taps, float32",
        *("(B, L, H)", "fwd ms", "both ms", "fwd / add", "fwd ns per sample", "fwd / best route", "both / best route"),
        *("taps / fft", "taps both / fft both", "scipy.fft / fwd", "scan of one real state / fwd"),
    )
    for shape in LONG_SHAPES:
        t = medians(_long_candidates(shape), repeats)
        best, best_both = (min(t[n] for n in (f"taps{kind}", f"fft{kind}") if n in t) for kind in ("", " both"))
        table.add(
            str(shape),
            *(t["fwd"], t["both"], ratio(t, "fwd", "add"), 1e6 * t["fwd"] / (shape[0] * shape[1] * shape[2])),
            *(t["fwd"] / best, t["both"] / best_both, ratio(t, "taps", "fft"), ratio(t, "taps both", "fft both")),
            *(ratio(t, "scipy", "fwd"), ratio(t, "scan", "fwd")),
        )
    return table.rows
