"""A stack of dilated convolutions against an EMA by FFT on a CPU, over lengths at a constant number of samples.

The same exchange as in _gpu_tcn.py, narrower. The EMA is computed as MEGA does, by torch's transforms of 2 L, and by
our own fft_conv; with its kernel (D h L exponentials) and without.
"""

from collections.abc import Callable

import torch
from _gpu_tcn import TAPS, TRUNCATION, by_fft, ema, ema_truncated, stages, tcn
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
    return ema(across, mix, log_decay)


def _ema_truncated(across: Tensor, mix: Tensor, log_decay: Tensor, **_: Tensor) -> Tensor:
    return ema_truncated(across, mix, log_decay)


def _given(across: Tensor, kernel: Tensor, **_: Tensor) -> Tensor:
    return by_fft(across, kernel)


def _ours(x: Tensor, kernel: Tensor, **_: Tensor) -> Tensor:
    return fft_conv(x, kernel)


OPS: dict[str, tuple[Callable[..., Tensor], tuple[str, ...]]] = {
    "tcn": (_stack, ("x", "weight")),
    "tcn, 8k": (_truncated, ("x", "weight")),
    "ema": (_ema, ("across", "mix", "log_decay")),
    "ema, 8k": (_ema_truncated, ("across", "mix", "log_decay")),
    "ema, kernel given": (_given, ("across", "kernel")),
    "fft_conv, kernel given": (_ours, ("x", "kernel")),
}


def _candidates(length: int) -> dict[str, Candidate]:
    def make() -> Tensors:
        shape = (SAMPLES // length, length, WIDTH)
        x, g = torch.randn(shape), torch.randn(shape)
        return {
            "x": x,
            "g": g,
            "across": x.mT.contiguous(),
            "g across": g.mT.contiguous(),
            "weight": torch.randn(stages(length), WIDTH, TAPS) / TAPS,
            "mix": torch.randn(WIDTH, MODES),
            "log_decay": -0.01 * torch.randn(WIDTH, MODES).abs(),
            "kernel": torch.randn(WIDTH, length) / length,
        }

    inputs = rotating(make)

    def across() -> Tensors:
        tensors = inputs()
        return {**tensors, "g": tensors["g across"]}

    candidates = {}
    for name, (op, names) in OPS.items():
        # Each side has gradients in its own layout.
        own = across if "across" in names else inputs
        candidates[name] = forward(op, own)
        candidates[f"{name} bwd"] = backward(op, own, names)
    return candidates


def measure(repeats: int) -> list[dict[str, object]]:
    """Milliseconds of the stack, and how many times as long each form of the average takes."""
    table = Table(
        f"convolutions (K = f = {TAPS}, SiLU, residual) against an EMA by FFT, both over L, or {TRUNCATION} at most, "
        f"B L = {SAMPLES:,}, D = {WIDTH}, h = {MODES}, float32",
        *("L", "stages", "tcn fwd ms", "tcn bwd ms", "ema fwd ms", "ema bwd ms", "ema / tcn fwd", "ema / tcn bwd"),
        *("ema / tcn fwd, 8k", "ema / tcn bwd, 8k", "kernel given / tcn fwd", "kernel given / tcn bwd"),
        *("fft_conv / tcn fwd", "fft_conv / tcn bwd"),
    )
    for length in LENGTHS:
        t = medians(_candidates(length), repeats)
        table.add(
            length,
            stages(length),
            *(t[name] for name in ("tcn", "tcn bwd", "ema", "ema bwd")),
            *(ratio(t, f"ema{way}", f"tcn{way}") for way in ("", " bwd")),
            *(ratio(t, f"ema, 8k{way}", f"tcn, 8k{way}") for way in ("", " bwd")),
            *(ratio(t, f"ema, kernel given{way}", f"tcn{way}") for way in ("", " bwd")),
            *(ratio(t, f"fft_conv, kernel given{way}", f"tcn{way}") for way in ("", " bwd")),
        )
    return table.rows
