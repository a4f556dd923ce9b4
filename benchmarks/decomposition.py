"""Decompositions per second, against a loop over statsmodels in the same run.

    python benchmarks/decomposition.py [--threads 1]

Windows of 336 steps with a period of 24 (random walks and a wave), and single long series. The loop is timed over a few
hundred windows, before and after ours, and the faster taken and scaled; ours is the best of five after a first call,
which is given too. Memory is the highest of a call, on top of the windows.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from _memory import forget_peak, memory
from _records import markdown, surroundings, write
from statsmodels.tsa import seasonal as oracle

import tsrec
from tsrec.layers.decomposition import FixedDecomposition

RESULTS = Path(__file__).parent / "results" / "decomposition.json"
LENGTH, PERIOD = 336, 24


def walks(count: int, length: int) -> np.ndarray:
    """Random walks with a wave."""
    steps = np.random.default_rng(0).normal(size=(count, length))
    return steps.cumsum(1) + 3 * np.sin(2 * np.pi * np.arange(length) / PERIOD)


def seconds(function: Callable[[], Any]) -> float:
    """Time of one call."""
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def compared(
    name: str, ours: Callable[[], Any], theirs: Callable[[int], Any], count: int, sample: int
) -> dict[str, Any]:
    """Seconds of both for `count` series, the loop's from `sample` of them before and as many after."""
    first = seconds(ours)
    forget_peak()
    before = memory("VmRSS")
    ours()
    grown = memory("VmHWM") - before
    earlier = seconds(lambda: theirs(sample))
    best = min(seconds(ours) for _ in range(5))
    rival = min(earlier, seconds(lambda: theirs(sample))) * count / sample
    found = {"first": first, "ours": best, "statsmodels": rival, "ratio": rival / best, "GiB": grown}
    print(name, {key: float(f"{value:.4g}") for key, value in found.items()}, flush=True)
    return {"case": name, **found}


def loop(y: np.ndarray, n: int, **options: Any) -> None:
    """Statsmodels' STL of the first n series."""
    for row in y[:n]:
        oracle.STL(row, period=PERIOD, **options).fit()


def windows(y: np.ndarray) -> list[dict[str, Any]]:
    """Plain, in torch, with holes, robust."""
    plain, robust = (tsrec.STL(PERIOD, robust=robust).fit(y[:1]) for robust in (False, True))
    block, x, holes = FixedDecomposition(plain.matrices(LENGTH)), torch.tensor(y, dtype=torch.float32), y.copy()
    holes[:, 100:103] = np.nan
    size = f"{len(y):,} x {LENGTH}"
    return [
        compared(f"STL, {size}", lambda: plain.transform(y), partial(loop, y), len(y), 500),
        compared(f"STL, {size}, torch, float32", lambda: block(x), partial(loop, y), len(y), 500),
        compared(f"STL, {size}, with holes", lambda: plain.transform(holes), partial(loop, y), len(y), 500),
        compared(f"robust STL, {size}", lambda: robust.transform(y), partial(loop, y, robust=True), len(y), 100),
    ]


def several(y: np.ndarray) -> dict[str, Any]:
    """Two seasons."""
    model = tsrec.MSTL((24, 168)).fit(y)

    def theirs(n: int) -> None:
        for row in y[:n]:
            oracle.MSTL(row, periods=(24, 168)).fit()

    return compared(f"MSTL (24, 168), {len(y):,} x {y.shape[1]}", lambda: model.transform(y), theirs, len(y), 30)


def alone(length: int, *, robust: bool) -> dict[str, Any]:
    """One long series."""
    y = walks(1, length)
    model = tsrec.STL(PERIOD, robust=robust).fit(y)
    name = f"{'robust ' if robust else ''}STL, 1 x {length:,}"
    return compared(name, lambda: model.transform(y), partial(loop, y, robust=robust), 1, 1)


def main() -> None:
    """Measure, write, print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    results = [*windows(walks(10_000, LENGTH)), several(walks(2_000, 840))]
    results += [alone(length, robust=robust) for length in (17_420, 69_680) for robust in (False, True)]
    write(RESULTS, json.dumps({**surroundings(None, options.threads), "results": results}, indent=1) + "\n")
    rows = [
        [one["case"], *(f"{one[k]:.3g}" for k in ("first", "ours", "statsmodels", "ratio", "GiB"))] for one in results
    ]
    print(markdown(["", "first call, s", "ours, s", "statsmodels, s", "ratio", "GiB on top"], rows))


if __name__ == "__main__":
    main()
