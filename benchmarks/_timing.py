"""Fair timing of candidates in one process: interleaved in random order, on buffers that are not in the cache."""

import math
import random
import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor

# Twice the last-level cache of the machines at hand.
ROTATED_BYTES = 64 * 2**20
SETS_MAX = 12


def rotating(make: Callable[[], dict[str, Tensor]]) -> Callable[[], dict[str, Tensor]]:
    """Return a function that hands out sets of tensors in turn, so many that a set has left the cache when it recurs."""
    first = make()
    size = sum(tensor.numel() * tensor.element_size() for tensor in first.values())
    sets = [first] + [make() for _ in range(min(SETS_MAX, math.ceil(ROTATED_BYTES / size)) - 1)]
    position = iter(range(10**9))
    return lambda: sets[next(position) % len(sets)]


class Candidate:
    """What is timed: ``run(setup())``, the setup (buffers, graphs to differentiate) outside the clock."""

    def __init__(self, run: Callable[..., object], setup: Callable[[], object] = lambda: None) -> None:
        self.run, self.setup = run, setup

    def seconds(self) -> float:
        prepared = self.setup()
        start = time.perf_counter()
        result = self.run(prepared)
        elapsed = time.perf_counter() - start
        del result
        return elapsed


def medians(candidates: dict[str, Candidate], repeats: int, budget: float = 40.0) -> dict[str, float]:
    """Return the median milliseconds of each candidate; the first round is a warm-up and does not count."""
    times: dict[str, list[float]] = {name: [] for name in candidates}
    stop = time.perf_counter() + budget
    for round_ in range(repeats + 1):
        for name in random.sample(sorted(candidates), len(candidates)):
            elapsed = candidates[name].seconds()
            if round_:
                times[name].append(elapsed)
        if round_ > 2 and time.perf_counter() > stop:
            break
    return {name: 1e3 * median(values) for name, values in times.items()}


def backward(
    forward: Callable[..., Tensor], inputs: Callable[[], dict[str, Tensor]], names: tuple[str, ...]
) -> Candidate:
    """Time the backward pass alone: the graph is built in the setup; ``inputs()["g"]`` is the cotangent."""

    def setup() -> tuple[Tensor, list[Tensor], Tensor]:
        tensors = inputs()
        leaves = {name: tensors[name].detach().requires_grad_() for name in names}
        return forward(**{**tensors, **leaves}), list(leaves.values()), tensors["g"]

    return Candidate(lambda prepared: torch.autograd.grad(*prepared), setup)


def both(forward: Callable[..., Tensor], inputs: Callable[[], dict[str, Tensor]], names: tuple[str, ...]) -> Candidate:
    """Time forward and backward together."""

    def run(tensors: dict[str, Tensor]) -> object:
        leaves = {name: tensors[name].detach().requires_grad_() for name in names}
        return torch.autograd.grad(forward(**{**tensors, **leaves}), list(leaves.values()), tensors["g"])

    return Candidate(run, inputs)


def table(title: str, columns: list[str]) -> None:
    print(f"\n### {title}\n\n| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))


def row(*cells: object) -> None:
    print(
        "| " + " | ".join(f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in cells) + " |", flush=True
    )
