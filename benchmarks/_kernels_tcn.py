"""A stack of dilated convolutions against an EMA by FFT on a CPU, over lengths at a constant number of samples.

The same exchange as in _gpu_tcn.py, narrower. The EMA is computed as MEGA does, by torch's transforms of 2 L, and by
our own fft_conv; with its kernel (D h L exponentials) and without.
"""

from collections.abc import Callable

import torch
from _gpu_tcn import TAPS, TRUNCATION, by_fft, ema, stages, tcn
from _timing import Candidate, Table, Tensors, backward, forward, medians, ratio, rotating
from torch import Tensor

from tsrec.kernels import fft_conv

LENGTHS = tuple(2**n for n in range(10, 18))
SAMPLES = 2**17
WIDTH, MODES = 64, 16


def _stack(x: Tensor, weight: Tensor, **_: Tensor) -> Tensor:
    return tcn(x, weight)


def _truncated(x: Tensor, weight: Tensor, **_: Tensor) -> Tensor:
    return tcn(x, weight[: stages(min(x.shape[1], TRUNCATION))])


def _ema(across: Tensor, mix: Tensor, log_decay: Tensor, **_: Tensor) -> Tensor:
    return ema(across, mix, log_decay).mT


def _given(across: Tensor, kernel: Tensor, **_: Tensor) -> Tensor:
    return by_fft(across, kernel).mT


def _ours(x: Tensor, kernel: Tensor, **_: Tensor) -> Tensor:
    return fft_conv(x, kernel)


OPS: dict[str, tuple[Callable[..., Tensor], tuple[str, ...]]] = {
    "tcn": (_stack, ("x", "weight")),
    "tcn, 8k": (_truncated, ("x", "weight")),
    "ema": (_ema, ("across", "mix", "log_decay")),
    "ema, kernel given": (_given, ("across", "kernel")),
    "fft_conv, kernel given": (_ours, ("x", "kernel")),
}


def _candidates(length: int) -> dict[str, Candidate]:
    def make() -> Tensors:
        shape = (SAMPLES // length, length, WIDTH)
        x = torch.randn(shape)
        return {
            "x": x,
            "across": x.mT.contiguous(),
            "g": torch.randn(shape),
            "weight": torch.randn(stages(length), WIDTH, TAPS) / TAPS,
            "mix": torch.randn(WIDTH, MODES),
            "log_decay": -0.01 * torch.randn(WIDTH, MODES).abs(),
            "kernel": torch.randn(WIDTH, length) / length,
        }

    inputs = rotating(make)
    candidates = {}
    for name, (op, names) in OPS.items():
        candidates[name] = forward(op, inputs)
        candidates[f"{name} bwd"] = backward(op, inputs, names)
    return candidates


def measure(repeats: int) -> list[dict[str, object]]:
    """Milliseconds of the stack, and how many times as long each form of the average takes."""
    table = Table(
        f"convolutions (K = f = {TAPS}, SiLU, residual; reach L or at most {TRUNCATION}) against an EMA by FFT, "
        f"B L = {SAMPLES:,}, D = {WIDTH}, h = {MODES}, float32",
        *("L", "stages", "tcn fwd ms", "tcn bwd ms", "ema fwd ms", "ema bwd ms", "ema / tcn fwd", "ema / tcn bwd"),
        *("ema / tcn 8k fwd", "ema / tcn 8k bwd", "kernel given / tcn fwd", "kernel given / tcn bwd"),
        *("fft_conv / tcn fwd", "fft_conv / tcn bwd"),
    )
    for length in LENGTHS:
        t = medians(_candidates(length), repeats)
        table.add(
            length,
            stages(length),
            *(t[name] for name in ("tcn", "tcn bwd", "ema", "ema bwd")),
            *(ratio(t, f"ema{way}", f"tcn{way}") for way in ("", " bwd")),
            *(ratio(t, f"ema{way}", f"tcn, 8k{way}") for way in ("", " bwd")),
            *(ratio(t, f"ema, kernel given{way}", f"tcn{way}") for way in ("", " bwd")),
            *(ratio(t, f"fft_conv, kernel given{way}", f"tcn{way}") for way in ("", " bwd")),
        )
    return table.rows
