"""A stack of dilated convolutions against an EMA computed by FFT, over lengths at a constant number of samples.

Terzic et al. 2023 (arXiv 2312.05605) report up to 7.07 times forward and 2.86 times backward for this exchange, up to
131k steps. The EMA is the multi-dimensional damped one of Ma et al. 2022 (arXiv 2209.10655): per channel a kernel of
h decaying exponentials, D h L exp, then transforms of 2 L in float32. Each side has the layout it likes best.
"""

from collections.abc import Callable, Iterator

import torch
from _gpu_timing import Clock
from torch import Tensor

from tsrec import kernels
from tsrec.layers.tcn import stages_for

LENGTHS = tuple(2**n for n in range(10, 18))
SAMPLES = 2**17
WIDTH, MODES = 512, 16
TAPS = 8
# The EMA kernels of the EnWik8 model are cut at this length; a stack that reaches so far is the second comparison.
TRUNCATION = 8192


def stages(reach: int) -> int:
    """Return how many stages of 8 taps, dilated by powers of 8, see `reach` steps."""
    return stages_for(reach, TAPS, TAPS)


def tcn_against_ema(clock: Clock, device: torch.device) -> Iterator[dict]:
    """Yield times per length; both sides reach over the whole length, and over the truncation of the EMA at most."""
    for length in LENGTHS:
        x = torch.randn(SAMPLES // length, length, WIDTH, device=device)
        across = x.transpose(1, 2).contiguous()
        record: dict = {"shape": tuple(x.shape)}
        for name, reach in (("tcn", length), ("tcn_truncated", min(length, TRUNCATION))):
            count = stages(reach)
            weight = torch.randn(count, WIDTH, TAPS, device=device) / TAPS
            record[name] = {"stages": count, **clock.both(tcn, {"x": x, "weight": weight})}
        mix, log_decay = (torch.randn(WIDTH, MODES, device=device) for _ in range(2))
        kernel = torch.randn(WIDTH, length, device=device)
        coefficients = {"mix": mix, "log_decay": -0.01 * log_decay.abs()}
        for name, op, inputs in (
            ("ema", ema, {"x": across, **coefficients}),
            ("ema_truncated", ema_truncated, {"x": across, **coefficients}),
            ("ema_kernel_given", by_fft, {"x": across, "kernel": kernel}),
        ):
            record[name] = _times_or_failure(clock, op, inputs)
        yield record
        torch.cuda.empty_cache()


def _times_or_failure(clock: Clock, op: Callable[..., Tensor], inputs: dict[str, Tensor]) -> dict:
    try:
        return clock.both(op, inputs)
    except torch.OutOfMemoryError:
        return {"failure": "out of memory"}


def tcn(x: Tensor, weight: Tensor) -> Tensor:
    for i, taps in enumerate(weight.unbind()):
        x = kernels.dilated_conv(x, taps, dilation=TAPS**i, activation="silu", residual=x)
    return x


def ema(x: Tensor, mix: Tensor, log_decay: Tensor, reach: int | None = None) -> Tensor:
    lags = torch.arange(min(x.shape[-1], reach or x.shape[-1]), device=x.device)
    kernel = torch.einsum("dh,dhl->dl", mix, torch.exp(log_decay[..., None] * lags))
    return by_fft(x, kernel)


def ema_truncated(x: Tensor, mix: Tensor, log_decay: Tensor) -> Tensor:
    return ema(x, mix, log_decay, TRUNCATION)


def by_fft(x: Tensor, kernel: Tensor) -> Tensor:
    size = x.shape[-1] + kernel.shape[-1]
    return torch.fft.irfft(torch.fft.rfft(x, size) * torch.fft.rfft(kernel, size), size)[..., : x.shape[-1]]
