"""Images read pixel by pixel: scikit-learn's digits (64 steps), sequential and permuted MNIST (784 steps).

    python benchmarks/sequential_images.py digits
    TSREC_DATA=PATH python benchmarks/sequential_images.py mnist --n-train 4000 --features random

pMNIST takes one fixed random permutation of the pixels (seed 0). `--part folds` cross-validates on the training part.
"""

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from _records import append, surroundings
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold, train_test_split

import tsrec

RECORDS = Path(__file__).parent / "results" / "sequential_images.json"
# Parameters of the classifier that can be set from the command line.
NUMBERS = {
    "d_model": int,
    "d_state": int,
    "n_layers": int,
    "dropout": float,
    "max_epochs": int,
    "batch_size": int,
    "learning_rate": float,
}


def images(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Training and test sequences and their classes."""
    if name == "digits":
        X, y = load_digits(return_X_y=True)
        train, test, of_train, of_test = train_test_split(X, y, test_size=0.2, stratify=y, random_state=0)
        return train, of_train, test, of_test
    with np.load(Path(os.environ["TSREC_DATA"]) / "mnist" / "mnist.npz") as file:
        order = np.random.default_rng(0).permutation(784) if name == "pmnist" else np.arange(784)
        train, test = (file[f"x_{part}"].reshape(-1, 784)[:, order] / 255 for part in ("train", "test"))
        return train, file["y_train"], test, file["y_test"]


def main() -> None:
    """Fit, print accuracy and seconds, keep a record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", choices=["digits", "mnist", "pmnist"])
    parser.add_argument("--part", choices=["test", "folds"], default="test")
    parser.add_argument("--features", default="auto")
    parser.add_argument("--n-train", type=int, help="the first so many training images only")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    for name, kind in NUMBERS.items():
        parser.add_argument("--" + name.replace("_", "-"), type=kind)
    options = parser.parse_args()
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    params = {name: getattr(options, name) for name in NUMBERS if getattr(options, name) is not None}
    model = tsrec.LSSLClassifier(
        features=options.features, device=options.device, random_state=options.seed, verbose=1, **params
    )
    X, y, Z, w = images(options.data)
    X, y = X[: options.n_train], y[: options.n_train]
    folds = [(np.arange(len(X)), None)]
    if options.part == "folds":
        folds = list(StratifiedKFold(5, shuffle=True, random_state=0).split(X, y))
    accuracy, began = [], time.perf_counter()
    for train, held_out in folds:
        model.fit(X[train], y[train])
        tested = (Z, w) if held_out is None else (X[held_out], y[held_out])
        accuracy.append(float((model.predict(tested[0]) == tested[1]).mean()))
        print(f"{accuracy[-1]:.4f} after {time.perf_counter() - began:.0f} s", flush=True)
    record = {
        "data": options.data,
        "part": options.part,
        "n_train": len(folds[0][0]),
        "features": model.features_,
        "seed": options.seed,
        "device": options.device,
        **params,
        "accuracy": float(np.mean(accuracy)),
        "seconds": round(time.perf_counter() - began, 1),
    }
    append(RECORDS, {**record, **surroundings(None, torch.get_num_threads())})
    print(record)


if __name__ == "__main__":
    main()
