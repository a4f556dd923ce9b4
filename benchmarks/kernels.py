"""Measure the CPU kernels against floors taken in the same run: ``python benchmarks/kernels.py [--threads N]``.

Floors are plain torch operations that move the same bytes, written with ``out=`` (allocation of large outputs costs
more than the arithmetic): forward ``add`` (3 words per element), constant decay ``mul`` (2), backward 5/3 ``add`` (5).
Candidates of one row run interleaved in random order; the best of the repeats counts.
"""

import argparse
import random
import time
from collections.abc import Callable

import torch

from tsrec.kernels import _numba, _numba_scan, fft_conv, linear_scan, linear_scan_reference
from tsrec.kernels.fft_conv import _by_fft, _by_taps

SHAPES = ((32, 336, 512), (8, 2048, 512), (1, 16384, 256), (4, 65536, 64), (64, 32, 384), (1, 4096, 16))
CONVOLUTIONS = (
    (64, 4, 768),
    (64, 16, 768),
    (64, 32, 768),
    (64, 64, 384),
    (32, 64, 64),
    (32, 96, 64),
    (32, 128, 64),
    (64, 128, 384),
    (32, 336, 256),
)


def best(candidates: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Return milliseconds per candidate, the best of interleaved repeats (the first, warm-up round is dropped)."""
    times: dict[str, float] = dict.fromkeys(candidates, float("inf"))
    for round_ in range(repeats + 1):
        for name in random.sample(sorted(candidates), len(candidates)):
            start = time.perf_counter()
            candidates[name]()
            if round_:
                times[name] = min(times[name], time.perf_counter() - start)
    return {name: 1e3 * seconds for name, seconds in times.items()}


def scan_candidates(shape: tuple[int, int, int], dtype: torch.dtype) -> dict[str, Callable[[], object]]:
    B, _, D = shape
    a, b, g, h, lam, da = (torch.rand(shape).to(dtype) for _ in range(6))
    row, h0, carry, row_grad = (torch.rand(n, 1, D).to(dtype) for n in (1, B, B, B))
    parallel = _numba.may_run_parallel(B, b.numel())
    forward = _numba_scan._scan_parallel if parallel else _numba_scan._scan_serial
    adjoint = _numba_scan._adjoint_parallel if parallel else _numba_scan._adjoint_serial
    adjoint_row = _numba_scan._adjoint_constant_parallel if parallel else _numba_scan._adjoint_constant_serial
    A, R, S, H, G, H0, C, L, DA, DR = (x.numpy() for x in (a, row, b, h, g, h0[:, 0], carry[:, 0], lam, da, row_grad))

    def run(kernel: Callable[..., None], *arrays: object) -> Callable[[], None]:
        def call() -> None:
            # Carried states would otherwise grow over the repeats until denormals or infinities distort the times.
            carry.zero_()
            kernel(*arrays, False)

        return call

    needs_grad = [x.clone().requires_grad_() for x in (a, b)]
    return {
        "add": lambda: torch.add(a, b, out=h),
        "mul": lambda: torch.mul(b, row, out=h),
        "fwd": run(forward, A, S, C, H),
        "fwd row": run(forward, R, S, C, H),
        "bwd": run(adjoint, A, H, H0, G, C, DA, L),
        "bwd row": run(adjoint_row, R, H, H0, G, C, DR, L),
        "op": lambda: linear_scan(a, b),
        "op fwd+bwd": lambda: torch.autograd.grad(linear_scan(*needs_grad)[0], needs_grad, g),
    }


def scans(repeats: int, dtype: torch.dtype) -> None:
    print(f"\n### linear_scan, {dtype}\n")
    print("| (B, L, D) | add ms | fwd / add | constant a: fwd / mul | bwd / (5/3 add) | constant a: bwd / add ", end="")
    print("| whole op / add | op fwd+bwd / (8/3 add) |\n|---|---|---|---|---|---|---|---|")
    for shape in SHAPES:
        t = best(scan_candidates(shape, dtype), repeats)
        ratios = (
            t["fwd"] / t["add"],
            t["fwd row"] / t["mul"],
            t["bwd"] / (5 / 3 * t["add"]),
            t["bwd row"] / t["add"],
            t["op"] / t["add"],
            t["op fwd+bwd"] / (8 / 3 * t["add"]),
        )
        print(f"| {shape} | {t['add']:.3f} | " + " | ".join(f"{ratio:.2f}" for ratio in ratios) + " |", flush=True)


def step_loops(repeats: int) -> None:
    print(
        "\n### linear_scan against the torch loop over time, float32\n\n"
        "| (B, L, D) | op ms | loop / op |\n|---|---|---|"
    )
    for shape in ((32, 336, 512), (64, 32, 384), (1, 4096, 16)):
        a, b = torch.rand(shape), torch.rand(shape)
        t = best(
            {"op": lambda a=a, b=b: linear_scan(a, b), "loop": lambda a=a, b=b: linear_scan_reference(a, b)}, repeats
        )
        print(f"| {shape} | {t['op']:.3f} | {t['loop'] / t['op']:.1f} |", flush=True)


def convolutions(repeats: int) -> None:
    print("\n### fft_conv, float32, M = 1, ns per sample\n")
    print(
        "| (B, L, H) | op | taps / FFT, forward | taps / FFT, forward and backward | scan / op |\n|---|---|---|---|---|"
    )
    for B, L, H in CONVOLUTIONS:
        u, K, g, a = torch.randn(B, L, H), torch.randn(H, 1, L), torch.randn(B, L, H, 1), torch.rand(H)
        leaves = [x.clone().requires_grad_() for x in (u, K)]

        def both(
            convolve: Callable[..., torch.Tensor], leaves: list[torch.Tensor] = leaves, g: torch.Tensor = g
        ) -> object:
            return torch.autograd.grad(convolve(*leaves), leaves, g)

        candidates: dict[str, Callable[[], object]] = {
            "op": lambda u=u, K=K: fft_conv(u, K),
            "taps": lambda u=u, K=K: _by_taps(u, K),
            "fft": lambda u=u, K=K: _by_fft(u, K),
            "taps both": lambda both=both: both(_by_taps),
            "fft both": lambda both=both: both(_by_fft),
            "scan": lambda u=u, a=a: linear_scan(a, u),
        }
        t = best(candidates, repeats)
        ratios = (t["taps"] / t["fft"], t["taps both"] / t["fft both"], t["scan"] / t["op"])
        print(
            f"| {(B, L, H)} | {1e6 * t['op'] / u.numel():.2f} | " + " | ".join(f"{r:.2f}" for r in ratios) + " |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=11)
    parser.add_argument("--only", choices=("", "scan", "conv"), default="")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    print(f"threads: {torch.get_num_threads()}, torch {torch.__version__}, best of {options.repeats} interleaved")
    if options.only in ("", "scan"):
        for dtype in (torch.float32, torch.complex64):
            scans(options.repeats, dtype)
        step_loops(options.repeats)
    if options.only in ("", "conv"):
        convolutions(options.repeats)


if __name__ == "__main__":
    main()
