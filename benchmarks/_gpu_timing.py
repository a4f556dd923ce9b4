"""The timings of gpu_check.py: every operation against the copy bandwidth of the card and against what torch offers."""

import math
import time
from collections.abc import Callable, Iterator
from statistics import median

import torch
from torch import Tensor
from torch.nn import functional

from tsrec import kernels

SHAPES = ((32, 336, 512), (8, 2048, 512), (1, 16384, 256), (4, 65536, 64), (64, 32, 384), (16, 4096, 1024))
FLUSHED_BYTES = 2 * 2**30
CALLS = 200


class Clock:
    """Time what runs on the card, by events.

    Before each repeat the card writes 2 GiB of other data: nothing timed is in its cache then, and it is busy while the
    host issues what is timed, so the figures do not contain the host's part (see `launch_cost`).
    """

    def __init__(self, device: torch.device, repeats: int) -> None:
        self.repeats = repeats
        self.other = torch.empty(FLUSHED_BYTES, dtype=torch.int8, device=device)

    def __call__(self, run: Callable[..., object], setup: Callable[[], tuple] = tuple) -> float:
        """Return the median in milliseconds of ``run(*setup())`` without the setup; three first calls do not count."""
        times = []
        for _ in range(self.repeats + 3):
            arguments = setup()
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            self.other.zero_()
            start.record()
            run(*arguments)
            end.record()
            end.synchronize()
            times.append(start.elapsed_time(end))
        return median(times[3:])

    def both(self, op: Callable[..., Tensor | tuple[Tensor, ...]], inputs: dict[str, Tensor]) -> dict[str, float]:
        """Time an operation forward alone, backward alone, and both in a row."""
        leaves = {name: x.detach().requires_grad_() for name, x in inputs.items()}

        def forward() -> Tensor:
            y = op(**leaves)
            return y[0] if isinstance(y, tuple) else y

        g = torch.randn_like(forward().detach())

        def backward(y: Tensor) -> object:
            return torch.autograd.grad(y, list(leaves.values()), g)

        with torch.no_grad():
            alone = self(forward)
        return {
            "forward_ms": alone,
            "backward_ms": self(backward, lambda: (forward(),)),
            "both_ms": self(lambda: backward(forward())),
        }


def copy_bandwidth(clock: Clock, device: torch.device) -> float:
    """Return bytes per millisecond of copying 1 GiB: read and written."""
    x = torch.empty(2**28, device=device)
    y = torch.empty_like(x)
    return 2 * x.numel() * x.element_size() / clock(lambda: y.copy_(x))


def launch_cost(device: torch.device) -> dict:
    """Return the microseconds that the host takes to issue small operations forward; the card does not wait for it."""
    x, weight = torch.rand(1, 64, 64, device=device), torch.rand(64, 4, device=device)
    calls = {
        "linear_scan": lambda: kernels.linear_scan(x, x),
        "dilated_conv": lambda: kernels.dilated_conv(x, weight),
        "torch.addcmul": lambda: torch.addcmul(x, x, x),
    }
    cost = {}
    for name, call in calls.items():
        call()
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(CALLS):
            call()
        cost[name] = 1e6 * (time.perf_counter() - start) / CALLS
        torch.cuda.synchronize()
    return cost


def against_copy(clock: Clock, bandwidth: float, device: torch.device) -> Iterator[dict]:
    """Yield each operation's times, and how much of the copy bandwidth the words it must move amount to."""
    for shape in SHAPES:
        for dtype in (torch.float32, torch.bfloat16):
            for name, op, inputs, words in _operations(shape, dtype, device):
                times = clock.both(op, inputs)
                unit = math.prod(shape) * dtype.itemsize / bandwidth
                times["forward_percent_of_copy"] = 100 * words[0] * unit / times["forward_ms"]
                times["both_percent_of_copy"] = 100 * sum(words) * unit / times["both_ms"]
                yield {"op": name, "shape": shape, "dtype": str(dtype), **times}


def _operations(
    shape: tuple[int, int, int], dtype: torch.dtype, device: torch.device
) -> Iterator[tuple[str, Callable, dict[str, Tensor], tuple[int, int]]]:
    """Yield operations with their inputs and the words per element that they must move forward and backward."""
    B, L, D = shape

    def normal(*size: int, dtype: torch.dtype = dtype) -> Tensor:
        return torch.randn(size, device=device, dtype=dtype)

    full, row, x = torch.rand(shape, device=device, dtype=dtype), torch.rand(D, device=device), normal(*shape)
    yield "linear_scan", kernels.linear_scan, {"a": full, "b": x}, (3, 5)
    yield "linear_scan, constant a", kernels.linear_scan, {"a": row, "b": x}, (2, 3)
    if dtype == torch.float32:
        turn = torch.polar(row, normal(D))
        yield "linear_scan, complex, constant a", kernels.linear_scan, {"a": turn, "b": torch.complex(x, x)}, (4, 6)
    A = -torch.arange(1.0, 17.0, device=device).expand(D, 16).contiguous()
    inputs = {"u": x, "dt": full, "A": A, "B": normal(B, L, 16), "C": normal(B, L, 16)}
    yield "selective_scan", kernels.selective_scan, inputs, (3, 5)
    for K, dilation in ((4, 1), (9, 8), (17, 16)):
        inputs = {"x": x, "weight": normal(D, K), "bias": normal(D)}
        yield f"dilated_conv K={K} dilation={dilation}", _stage(dilation), inputs, (2, 3)
    yield "fft_conv", kernels.fft_conv, {"u": x, "K": normal(D, L)}, (2, 3)


def _stage(dilation: int) -> Callable[..., Tensor]:
    return lambda x, weight, bias: kernels.dilated_conv(
        x, weight, bias, dilation=dilation, activation="silu", residual=x
    )


def against_conv1d(clock: Clock, device: torch.device) -> Iterator[dict]:
    """Yield a convolution stage against torch's depthwise convolution, in the layout each likes best."""
    for (B, L, D), (K, dilation) in ((s, k) for s in SHAPES for k in ((4, 1), (9, 8), (17, 16))):
        weight, bias, x = (torch.randn(size, device=device) for size in ((D, K), (D,), (B, L, D)))

        def by_torch(x: Tensor, weight: Tensor, bias: Tensor, dilation: int = dilation) -> Tensor:
            padded = functional.pad(x, ((weight.shape[-1] - 1) * dilation, 0))
            return x + functional.silu(functional.conv1d(padded, weight, bias, dilation=dilation, groups=x.shape[1]))

        theirs = {"x": x.transpose(1, 2).contiguous(), "weight": weight[:, None], "bias": bias}
        yield {
            "shape": (B, L, D),
            "K": K,
            "dilation": dilation,
            "dilated_conv": clock.both(_stage(dilation), {"x": x, "weight": weight, "bias": bias}),
            "conv1d": clock.both(by_torch, theirs),
        }


def against_compile(clock: Clock, device: torch.device) -> Iterator[dict]:
    """Yield the scans against torch.compile of their references, which unrolls the loop over time: short L only."""
    for name, length in (("linear_scan", 8), ("linear_scan", 32), ("selective_scan", 8)):
        shape = (1024, length, 512)
        operations = {name: (op, inputs) for name, op, inputs, _ in _operations(shape, torch.float32, device)}
        op, inputs = operations[name]
        start = time.perf_counter()
        compiled = clock.both(torch.compile(getattr(kernels, f"{name}_reference")), inputs)
        seconds = time.perf_counter() - start
        yield {"op": name, "shape": shape, "ours": clock.both(op, inputs), "compiled": compiled, "seconds": seconds}
