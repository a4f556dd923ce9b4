"""The rivals in classification, in the environment of requirements-classification-peers.txt; it does not know tsrec.

    python _classification_rivals.py FOLDER --sets GunPoint PLAID --models MiniRocket ResNet --seed 0 --epochs 100

FOLDER holds the sets (`folder_of` in _classification_data.py). Prints a line of JSON per set and model: accuracy on the
test part, seconds, settings, versions; or the error. Everything runs on one thread, and seconds hold no compilation.
"""

import argparse
import importlib.metadata
import json
import platform
import signal
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
from _classification_data import NAMES, read
from threadpoolctl import threadpool_limits

_PACKAGES = ("sktime", "torch", "numba", "scikit-learn", "numpy")
Series = list[np.ndarray]


class OutOfTimeError(Exception):
    """The limit is over."""


@numba.njit
def _dtw(a: np.ndarray, b: np.ndarray, limit: float) -> float:
    """Sum of squared differences along the best path, all channels together; infinite if it is certainly > limit."""
    row = np.full(len(b), np.inf)
    for i in range(len(a)):
        # Cells to the left, and to the left above, of the one in work.
        left, corner, least = np.inf, 0.0 if i == 0 else np.inf, np.inf
        for j in range(len(b)):
            cost = 0.0
            for k in range(a.shape[1]):
                cost += (a[i, k] - b[j, k]) ** 2
            above = row[j]
            left = cost + min(left, above, corner)
            corner, row[j] = above, left
            least = min(least, left)
        if least > limit:
            return np.inf
    return row[-1]


@numba.njit
def _nearest(query: np.ndarray, known: np.ndarray, offsets: np.ndarray) -> int:
    """Place of the nearest known series; the first of equals. Far ends mean far series, so near ends go first."""
    count = len(offsets) - 1
    bounds = np.zeros(count)
    for i in range(count):
        first = ((query[0] - known[offsets[i]]) ** 2).sum()
        last = ((query[-1] - known[offsets[i + 1] - 1]) ** 2).sum()
        bounds[i] = max(first, last)
    best, place = np.inf, count
    for i in np.argsort(bounds):
        if bounds[i] > best:
            break
        distance = _dtw(query, known[offsets[i] : offsets[i + 1]], best)
        if distance < best or (distance == best and i < place):
            best, place = distance, i
    return place


class NearestDTW:
    """1-nearest neighbour under DTW without a window, of series of any lengths and channels.

    sktime's own takes no unequal lengths and fills whole matrices; its distances are the same.
    """

    def fit(self, series: Series, labels: np.ndarray) -> None:
        self.known, self.labels = np.concatenate(series), labels
        self.offsets = np.cumsum([0, *map(len, series)])

    def predict(self, series: Series) -> np.ndarray:
        return self.labels[[_nearest(one, self.known, self.offsets) for one in series]]


class MiniRocketRidge:
    """MiniRocket's features, scaled, and ridge regression; see `_UNEQUAL` for series of unequal lengths."""

    def __init__(self, seed: int, unequal: str) -> None:
        self.seed, self.unequal = seed, unequal

    def fit(self, series: Series, labels: np.ndarray) -> None:
        from sklearn.linear_model import RidgeClassifierCV
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        from sktime.transformations import rocket

        self.length = max(map(len, series))
        options: dict[str, Any] = {"random_state": self.seed}
        if self.unequal == "variable" and not _equal(series):
            kind, self.length = "MultivariateVariable", 0
            options["pad_value_short_series"] = 0.0
        else:
            kind = "Multivariate" if series[0].shape[1] > 1 else ""
        self.features = getattr(rocket, f"MiniRocket{kind}")(**options)
        table = self.features.fit_transform(self._given(series))
        self.ridge = make_pipeline(StandardScaler(), RidgeClassifierCV(np.logspace(-3, 3, 10)))
        self.ridge.fit(np.asarray(table), labels)

    def predict(self, series: Series) -> np.ndarray:
        return self.ridge.predict(np.asarray(self.features.transform(self._given(series))))

    def _given(self, series: Series) -> Any:
        import pandas as pd

        return _padded(series, self.length) if self.length else [pd.DataFrame(one) for one in series]


class Net:
    """A network of sktime with its own settings, but for what `_repaired` says; standardised, zeros at the end."""

    def __init__(self, name: str, seed: int, epochs: int, batch: int | None) -> None:
        options = {"num_epochs": epochs, "random_state": seed} | ({"batch_size": batch} if batch else {})
        self.net = _repaired(name)(**options)

    def fit(self, series: Series, labels: np.ndarray) -> None:
        rows = np.concatenate(series)
        self.mean, self.scale = rows.mean(axis=0), np.maximum(rows.std(axis=0), 1e-8)
        self.length = max(map(len, series))
        self.net.fit(self._given(series), labels)

    def predict(self, series: Series) -> np.ndarray:
        return self.net.predict(self._given(series))

    def _given(self, series: Series) -> np.ndarray:
        return _padded([(one - self.mean) / self.scale for one in series], self.length)


def _repaired(name: str) -> type:
    """sktime's network, with batches in random order, and InceptionTime's ReLU after the residual connections.

    sktime never shuffles, and the published training parts often go class by class. Its InceptionTime gives the
    residual connections the activation of the output, which is none.
    """
    import torch
    from sktime.classification.deep_learning import inceptiontime, resnet

    base = {"ResNet": resnet.ResNetClassifierTorch, "InceptionTime": inceptiontime.InceptionTimeClassifierTorch}[name]

    class Repaired(base):
        def _build_dataloader(self, X: np.ndarray, y: np.ndarray | None = None) -> "_Batches":
            return _Batches(X, y, self.batch_size)

        def _build_network(self, X: np.ndarray, y: np.ndarray) -> Any:
            network = super()._build_network(X, y)
            for shortcut in getattr(network, "shortcut_layers", []):
                shortcut.activation = torch.nn.ReLU()
            return network

    return Repaired


class _Batches:
    """Batches as sktime's networks take them, without its many calls per series; in random order with labels."""

    def __init__(self, X: np.ndarray, y: np.ndarray | None, size: int) -> None:
        import torch

        self.X = torch.as_tensor(X, dtype=torch.float32).transpose(1, 2)
        self.y = None if y is None else torch.as_tensor(y, dtype=torch.long)
        self.size = size

    def __iter__(self) -> Any:
        import torch

        if self.y is None:
            yield from ({"X": X} for X in self.X.split(self.size))
            return
        for rows in torch.randperm(len(self.X)).split(self.size):
            yield {"X": self.X[rows]}, self.y[rows]


def _equal(series: Series) -> bool:
    return len(set(map(len, series))) == 1


def _padded(series: Series, length: int) -> np.ndarray:
    """Zeros at the end, or cut, to (n_series, n_channels, length)."""
    table = np.zeros((len(series), series[0].shape[1], length))
    for row, one in zip(table, series, strict=True):
        row[:, : len(one)] = one[:length].T
    return table


# How MiniRocket takes unequal lengths: "variable" (MiniRocketMultivariateVariable) or "padded" (zeros at the end).
# Five folds of the train parts: 0.978 against 0.970 on JapaneseVowels, 0.948 against 0.927 on PLAID.
_UNEQUAL = "variable"
# sktime's own for ResNet is 1. Batch normalisation then learns from single series, and fails when it predicts with its
# running means: a loss of 0.002, but 63 % right on the same series. Published code takes at most 16.
_BATCH = {"ResNet": 16, "InceptionTime": None}


def _network(name: str) -> Callable[[argparse.Namespace], Net]:
    return lambda args: Net(name, args.seed, args.epochs, args.batch_size or _BATCH[name])


_MODELS: dict[str, Callable[[argparse.Namespace], Any]] = {
    "1-NN DTW": lambda _: NearestDTW(),
    "MiniRocket": lambda args: MiniRocketRidge(args.seed, _UNEQUAL),
    "ResNet": _network("ResNet"),
    "InceptionTime": _network("InceptionTime"),
}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+", choices=NAMES, default=NAMES, metavar="SET", help=" ".join(NAMES))
    parser.add_argument("--models", nargs="+", choices=_MODELS, default=list(_MODELS), metavar="MODEL")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=100, help="of the networks")
    parser.add_argument(
        "--batch-size", type=int, help="of the networks; else 16 for ResNet, sktime's own for InceptionTime"
    )
    parser.add_argument("--limit", type=int, default=3600, help="seconds for a model on a set")
    return parser.parse_args()


def main() -> None:
    """Run and print record by record."""
    args = _arguments()
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, _stop)
    versions = {"python": platform.python_version()} | {one: importlib.metadata.version(one) for one in _PACKAGES}
    for name in args.sets:
        for model in args.models:
            record = {"set": name, "model": model, "seed": args.seed}
            try:
                record |= _measure(name, model, args)
            except Exception as error:
                traceback.print_exc()
                record["error"] = f"{type(error).__name__}: {error}"[:300]
            finally:
                signal.alarm(0)
            print(json.dumps({**record, "versions": versions}), flush=True)


def _stop(*_: Any) -> None:
    raise OutOfTimeError("the limit is over")


def _measure(name: str, model: str, args: argparse.Namespace) -> dict[str, Any]:
    """Fit on the train part, predict the test part."""
    (series, labels), (asked, truth) = (read(args.folder, name, part) for part in ("TRAIN", "TEST"))
    _warm_up(model, args, series)
    made = _MODELS[model](args)
    signal.alarm(args.limit)
    began = time.perf_counter()
    made.fit(series, labels)
    fitted = time.perf_counter()
    accuracy = float(np.mean(made.predict(asked) == truth))
    ended = time.perf_counter()
    return {
        "accuracy": accuracy,
        "fit_seconds": round(fitted - began, 3),
        "predict_seconds": round(ended - fitted, 3),
        **_settings(made, series, args),
    }


def _settings(made: Any, series: Series, args: argparse.Namespace) -> dict[str, Any]:
    """What a reader must know to repeat it."""
    if isinstance(made, Net):
        note = "shuffled batches; standardised by the train part; ReLU after all residual connections"
        note += "" if _equal(series) else "; zeros at the end, to the longest of the train part"
        return {"epochs": args.epochs, "batch_size": made.net.batch_size, "lr": made.net.lr, "note": note}
    if isinstance(made, MiniRocketRidge) and not _equal(series):
        padded = "zeros at the end, to the longest of the train part"
        return {"epochs": None, "note": padded if made.length else "MiniRocketMultivariateVariable"}
    return {"epochs": None}


def _warm_up(model: str, args: argparse.Namespace, series: Series) -> None:
    """Imports and just-in-time compilation are not the model's time."""
    import torch

    torch.set_num_threads(1)
    numba.set_num_threads(1)
    generator = np.random.default_rng(0)
    channels, lengths = series[0].shape[1], [20] * 8 if _equal(series) else list(range(13, 21))
    tiny = [generator.normal(size=(length, channels)) for length in lengths]
    made = _MODELS[model](argparse.Namespace(**{**vars(args), "epochs": 1}))
    made.fit(tiny, np.array(["a", "b"] * 4))
    made.predict(tiny)
    # Last, when all libraries are loaded.
    threadpool_limits(1)


if __name__ == "__main__":
    main()
