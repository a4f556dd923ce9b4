"""Fair timing of candidates in one process: interleaved in random order, on buffers that are not in the cache."""

import itertools
import math
import random
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from torch import Tensor

Tensors = dict[str, Tensor]

# Twice the last-level cache of the machines at hand.
ROTATED_BYTES = 64 * 2**20
SETS_MAX = 12
# Slow candidates get fewer repeats than asked for once a row has taken this long.
ROW_SECONDS = 20.0


def rotating(make: Callable[[], Tensors]) -> Callable[[], Tensors]:
    """Hand out sets of tensors in turn, so many that a set has left the cache when it recurs."""
    first = make()
    size = sum(tensor.numel() * tensor.element_size() for tensor in first.values())
    sets = [first] + [make() for _ in range(min(SETS_MAX, math.ceil(ROTATED_BYTES / size)) - 1)]
    turn = itertools.cycle(sets)
    return lambda: next(turn)


class Candidate:
    """What is timed: ``run(setup())``, the setup (buffers, graphs to differentiate) outside the clock."""

    def __init__(self, run: Callable[[Any], object], setup: Callable[[], object]) -> None:
        self.run, self.setup = run, setup

    def seconds(self) -> float:
        prepared = self.setup()
        start = time.perf_counter()
        result = self.run(prepared)
        elapsed = time.perf_counter() - start
        del result
        return elapsed


def medians(candidates: dict[str, Candidate], repeats: int) -> dict[str, float]:
    """Return the median milliseconds of each candidate; the first round is a warm-up and does not count."""
    times: dict[str, list[float]] = {name: [] for name in candidates}
    start = time.perf_counter()
    for turn in range(repeats + 1):
        for name in random.sample(sorted(candidates), len(candidates)):
            elapsed = candidates[name].seconds()
            if turn:
                times[name].append(elapsed)
        if turn and time.perf_counter() - start > ROW_SECONDS:
            break
    return {name: 1e3 * median(values) for name, values in times.items()}


def forward(compute: Callable[..., Tensor], inputs: Callable[[], Tensors]) -> Candidate:
    """Time a call without gradients; ``compute`` takes the tensors of a set by name."""

    def run(tensors: Tensors) -> object:
        with torch.no_grad():
            return compute(**tensors)

    return Candidate(run, inputs)


def backward(compute: Callable[..., Tensor], inputs: Callable[[], Tensors], names: tuple[str, ...]) -> Candidate:
    """Time the backward pass alone, with respect to ``names``: the graph is built in the setup, "g" its cotangent."""

    def setup() -> tuple[Tensor, list[Tensor], Tensor]:
        tensors = inputs()
        leaves = {name: tensors[name].detach().requires_grad_() for name in names}
        return compute(**{**tensors, **leaves}), list(leaves.values()), tensors["g"]

    return Candidate(lambda prepared: torch.autograd.grad(*prepared), setup)


def both(compute: Callable[..., Tensor], inputs: Callable[[], Tensors], names: tuple[str, ...]) -> Candidate:
    """Time forward and backward together."""

    def run(tensors: Tensors) -> object:
        leaves = {name: tensors[name].detach().requires_grad_() for name in names}
        return torch.autograd.grad(compute(**{**tensors, **leaves}), list(leaves.values()), tensors["g"])

    return Candidate(run, inputs)


class Table:
    """Rows printed as they come, in markdown, and kept."""

    def __init__(self, title: str, *columns: str) -> None:
        self.columns, self.rows = columns, []
        print(f"\n### {title}\n\n| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))

    def add(self, *cells: object) -> None:
        self.rows.append(dict(zip(self.columns, cells, strict=True)))
        print("| " + " | ".join(_format(cell) for cell in cells) + " |", flush=True)


def _format(cell: object) -> str:
    if cell is None:
        return "not run"
    if not isinstance(cell, float):
        return str(cell)
    return f"{cell:.2f}" if cell < 20 else f"{cell:.0f}"


def ratio(times: dict[str, float], name: str, to: str, scale: float = 1.0) -> float | None:
    """Return one time over another, None if it was not taken."""
    return times[name] / (scale * times[to]) if name in times else None
