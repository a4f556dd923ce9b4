"""The tasks of the recall suite: sequences, what is asked, and how answers are scored."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tsrec.datasets import make_dms, make_mqar, make_parity, make_passkey, make_selectiv, selectiv_accuracy
from tsrec.training import Batch

Scores = dict[str, float]
# Inputs (n, L, C), answers (n, L, heads), and what the score needs besides.
Part = tuple[Tensor, Tensor, Any]


@dataclass(frozen=True)
class Task:
    """What a model is trained on, chosen by and tested with; `test` has a part for each setting of the test."""

    train: Part
    validation: Part
    test: dict[str, Part]
    n_classes: int
    score: Callable[[Tensor, Tensor, Any], Scores]
    chance: float
    values: Tensor | None = None


class Sequences:
    """Batches of a part, in random order or as they are."""

    def __init__(self, part: Part, size: int, *, shuffled: bool = True) -> None:
        self.X, self.y, _ = part
        self.size, self.shuffled = size, shuffled

    def __len__(self) -> int:
        return -(-len(self.X) // self.size)

    def epoch(self, generator: torch.Generator) -> Iterator[Batch]:
        """Every sequence once."""
        count = len(self.X)
        order = torch.randperm(count, generator=generator) if self.shuffled else torch.arange(count)
        for chosen in order.split(self.size):
            yield Batch(context=self.X[chosen], target=self.y[chosen])


def _part(X: np.ndarray, y: np.ndarray, extra: Any = None, rows: slice = slice(None)) -> Part:
    """Time in second place, and a head where there are none."""
    answers = (y if y.ndim == 3 else y[:, None])[rows].transpose(0, 2, 1)
    inputs = torch.from_numpy(X[rows].transpose(0, 2, 1).astype(np.float32))
    return inputs, torch.from_numpy(np.ascontiguousarray(answers)), None if extra is None else extra[rows]


def _halves(split: Any, n_train: int, extra: Any = None) -> tuple[Part, Part]:
    """The first sequences to train on, the rest to choose by: both must be of one call, which draws the vectors."""
    rows = slice(n_train), slice(n_train, None)
    return _part(split.X, split.y, extra, rows[0]), _part(split.X, split.y, extra, rows[1])


def _share(odds: Tensor, y: Tensor, _extra: Any) -> Scores:
    right = (odds.argmax(-1) == y)[y >= 0]
    return {"accuracy": float(right.double().mean())}


def _by_head(odds: Tensor, y: Tensor, orders: np.ndarray) -> Scores:
    heads = {f"N={n}": _share(odds[:, :, i], y[:, :, i], None)["accuracy"] for i, n in enumerate(orders[0])}
    return {"accuracy": float(np.mean(list(heads.values()))), **heads}


def _by_depth(odds: Tensor, y: Tensor, depth: np.ndarray) -> Scores:
    """Share of digits, of whole keys, and of the digits of keys in the first, second and last third."""
    asked = (y[0, :, 0] >= 0).nonzero()[:, 0]
    right = (odds.argmax(-1) == y)[:, asked, 0].double()
    third = torch.from_numpy((3 * depth).astype(np.int64))
    cells = {f"third {i + 1}": float(right[third == i].mean()) for i in range(3)}
    return {"accuracy": float(right.mean()), "keys": float(right.prod(1).mean()), **cells}


def _by_symbol(odds: Tensor, y: Tensor, symbol: np.ndarray) -> Scores:
    return {"accuracy": selectiv_accuracy(odds[:, :, 0].numpy(), y[:, :, 0].numpy(), symbol)}


def _mqar(sizes: tuple[int, int, int], seed: int, **setting: int) -> Task:
    train, test = make_mqar(sizes[0] + sizes[1], sizes[2], **setting, random_state=seed)
    values = torch.from_numpy(train.values).float()
    parts = _halves(train, sizes[0])
    return Task(*parts, {"": _part(test.X, test.y)}, setting["n_symbols"], _share, 1 / setting["n_pairs"], values)


def _passkey(sizes: tuple[int, int, int], seed: int, *, lengths: tuple[int, ...], n_digits: int, n_levels: int) -> Task:
    # Without noise there would be few different series.
    key = {"n_digits": n_digits, "n_levels": n_levels, "noise": 0.05, "random_state": seed}
    train, _ = make_passkey(sizes[0] + sizes[1], 1, length=lengths[0], **key)
    tests = {length: make_passkey(1, sizes[2], length=length, **key)[1] for length in lengths}
    parts = _halves(train, sizes[0], train.depth)
    named = {f"L={length} " * (length != lengths[0]): _part(t.X, t.y, t.depth) for length, t in tests.items()}
    return Task(*parts, named, n_levels, _by_depth, 1 / n_levels)


def _look_back(make: Callable[..., Any], sizes: tuple[int, int, int], seed: int, *, order: tuple[int, int]) -> Task:
    train, test = make(sizes[0] + sizes[1], sizes[2], order=order, random_state=seed)
    orders = np.tile(train.orders, (len(train.X), 1))
    parts = _halves(train, sizes[0], orders)
    return Task(*parts, {"": _part(test.X, test.y, orders[: len(test.X)])}, 2, _by_head, 0.5)


def _selectiv(
    sizes: tuple[int, int, int], seed: int, *, n_symbols: int, length: int, gap: tuple[int, int], long_gap: int
) -> Task:
    shared = {"n_symbols": n_symbols, "length": length, "gap": gap, "noise": 0.2, "random_state": seed}
    train, test = make_selectiv(sizes[0] + sizes[1], sizes[2], **shared)
    _, apart = make_selectiv(1, sizes[2], **shared, test_gap=long_gap)
    parts = _halves(train, sizes[0], train.symbol)
    tests = {name: _part(t.X, t.y, t.symbol) for name, t in (("", test), (f"gap {long_gap} ", apart))}
    return Task(*parts, tests, n_symbols**2 + 1, _by_symbol, _best_state(train, test))


def _best_state(train: Any, test: Any) -> float:
    """Share of symbols whose state is the most frequent one of its symbol."""
    n_symbols = train.X.shape[1] - 1
    first = [np.diff(split.symbol, axis=1, prepend=-1) > 0 for split in (train, test)]
    counts = np.bincount(train.y[first[0]], minlength=n_symbols**2 + 1)
    likely = {int(counts[s * n_symbols : (s + 1) * n_symbols].argmax() + s * n_symbols) for s in range(n_symbols)}
    return float(np.isin(test.y[first[1]], [*likely, n_symbols**2]).mean())


# Sequences to train on, to choose by and to test with, then what the task is like.
_SETTINGS: dict[str, tuple[tuple[int, int, int], dict[str, dict[str, Any]]]] = {
    "smoke": (
        (256, 64, 64),
        {
            "mqar": {"length": 16, "n_pairs": 2, "n_symbols": 4, "n_channels": 8},
            "passkey": {"lengths": (12, 24), "n_digits": 2, "n_levels": 4},
            "parity": {"order": (2, 3)},
            "dms": {"order": (2, 3)},
            "selectiv": {"n_symbols": 3, "length": 10, "gap": (1, 2), "long_gap": 4},
        },
    ),
    "small": (
        (6400, 500, 1000),
        {
            "mqar": {"length": 16, "n_pairs": 2, "n_symbols": 12, "n_channels": 16},
            "passkey": {"lengths": (24, 48, 96), "n_digits": 3, "n_levels": 4},
            "parity": {"order": (2, 6)},
            "dms": {"order": (2, 8)},
            "selectiv": {"n_symbols": 6, "length": 10, "gap": (1, 3), "long_gap": 8},
        },
    ),
}
_MAKERS: dict[str, Callable[..., Task]] = {
    "mqar": _mqar,
    "passkey": _passkey,
    "parity": lambda *sizes, **setting: _look_back(make_parity, *sizes, **setting),
    "dms": lambda *sizes, **setting: _look_back(make_dms, *sizes, **setting),
    "selectiv": _selectiv,
}
TASKS = tuple(_MAKERS)


def task_of(name: str, budget: str, seed: int) -> Task:
    """Draw a task; its validation is of the training part."""
    sizes, settings = _SETTINGS[budget]
    return _MAKERS[name](sizes, seed, **settings[name])
