"""Accuracy and seconds of our classifiers and of their rivals on the sets that ship in the sktime wheel.

    python benchmarks/classification.py --peers-python PATH/bin/python --model LSSL MiniRocket "1-NN DTW" ResNet

Published training and test parts; everything runs on one thread. `--part folds` cross-validates on the training part
instead: that is where choices are made. Rivals run in an environment of their own
(requirements-classification-peers.txt), from which the sets are read too. Every result is written at once to
results/classification.json; `--tables` prints what is there.
"""

import argparse
import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from _classification_data import NAMES, folder_of, read
from _records import Record, append, grouped, markdown, mean, seeds, surroundings
from _records import read as read_records
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import tsrec

RECORDS = Path(__file__).parent / "results" / "classification.json"


def on_top_of(encoder: Any) -> Any:
    """A logistic regression on embeddings."""
    return make_pipeline(encoder, StandardScaler(), LogisticRegression(max_iter=5000))


OURS = {
    "LSSL": lambda seed: tsrec.LSSLClassifier(random_state=seed),
    "LSSL trained": lambda seed: tsrec.LSSLClassifier(features="trained", random_state=seed),
    "LSSLEncoder + LR": lambda seed: on_top_of(tsrec.LSSLEncoder(random_state=seed)),
    "TCNCA": lambda seed: tsrec.TCNCAClassifier(random_state=seed),
    "TCNCA trained": lambda seed: tsrec.TCNCAClassifier(features="trained", random_state=seed),
    "TCNCAEncoder + LR": lambda seed: on_top_of(tsrec.TCNCAEncoder(random_state=seed)),
    "Mamba": lambda seed: tsrec.MambaClassifier(random_state=seed),
    "Mamba trained": lambda seed: tsrec.MambaClassifier(features="trained", random_state=seed),
    "MambaEncoder + LR": lambda seed: on_top_of(tsrec.MambaEncoder(random_state=seed)),
}
RIVALS = ("1-NN DTW", "MiniRocket", "ResNet", "InceptionTime")
# Sets so small that one division into folds says little.
REPEATS = {"ArrowHead": 4, "BasicMotions": 3, "GunPoint": 3, "ItalyPowerDemand": 3}


def measured(model: Any, train: tuple[Any, Any], test: tuple[Any, Any]) -> Record:
    """Accuracy, log loss and seconds of one fit and one prediction."""
    began = time.perf_counter()
    model.fit(*train)
    fitted = time.perf_counter()
    found = np.asarray(model.predict_proba(test[0]))
    done = time.perf_counter()
    return {
        "accuracy": float((model.classes_[found.argmax(1)] == test[1]).mean()),
        "log_loss": float(log_loss(test[1], found, labels=model.classes_)),
        "fit_seconds": round(fitted - began, 3),
        "predict_seconds": round(done - fitted, 3),
    }


def on_folds(make: Any, name: str, X: list[np.ndarray], y: np.ndarray) -> Record:
    """Means over folds of the training part."""
    count = min(5, np.unique(y, return_counts=True)[1].min())
    runs = []
    for repeat in range(REPEATS.get(name, 1)):
        folds = StratifiedKFold(count, shuffle=True, random_state=repeat)
        for train, test in folds.split(y, y):
            runs.append(
                {
                    "n": len(test),
                    **measured(make(), ([X[i] for i in train], y[train]), ([X[i] for i in test], y[test])),
                }
            )
    weights = [run.pop("n") for run in runs]
    return {key: float(np.average([run[key] for run in runs], weights=weights)) for key in runs[0]}


def ours(name: str, model: str, seed: int, part: str, folder: Path) -> Record:
    """One of our models on one set."""
    X, y = read(folder, name, "TRAIN")
    if part == "folds":
        return on_folds(lambda: OURS[model](seed), name, X, y)
    return measured(OURS[model](seed), (X, y), read(folder, name, "TEST"))


def rival(name: str, model: str, seed: int, options: argparse.Namespace, folder: Path) -> Record:
    """One rival on one set, in its own process."""
    program = Path(__file__).parent / "_classification_rivals.py"
    command = [options.peers_python, program, folder, "--sets", name, "--models", model, "--seed", str(seed)]
    command += ["--epochs", str(options.epochs), "--limit", str(options.limit)]
    answer = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    lines = [line for line in answer.stdout.splitlines() if line.startswith("{")]
    return json.loads(lines[-1]) if lines else {"error": answer.stderr.strip().splitlines()[-1:]}


def latest(records: list[Record]) -> list[Record]:
    """The last record of every measurement that gave a result, of those with the most epochs."""
    found: dict[tuple[Any, ...], Record] = {}
    for one in records:
        key = tuple(one.get(k) for k in ("set", "part", "model", "seed"))
        if "accuracy" in one and (one.get("epochs") or 0) >= (found.get(key, one).get("epochs") or 0):
            found[key] = one
    return list(found.values())


def tables(records: list[Record]) -> str:
    """Accuracy, log loss and seconds by set and model, and their means where a model has all sets."""
    shown = []
    for (part,), group in grouped(latest(records), ("part",)).items():
        models = grouped(group, ("model",))
        for key, scale, digits in (("accuracy", 100, 1), ("log_loss", 1, 3), ("seconds", 1, 1)):
            rows = []
            for (model,), runs in models.items():
                with_key = [{"seconds": one["fit_seconds"] + one["predict_seconds"], **one} for one in runs]
                of = {n: [one for one in with_key if one["set"] == n and key in one] for n in NAMES}
                if not any(of.values()):
                    continue
                cells = [f"{scale * mean(found, key):.{digits}f}" if found else "-" for found in of.values()]
                overall = [scale * mean(found, key) for found in of.values() if found]
                # A mean tells something only where all sets were measured alike.
                alike = len(overall) == len(NAMES) and len({seeds(found) for found in of.values()}) == 1
                of_all = f"{np.mean(overall):.{digits}f}" if alike else "-"
                rows.append([model, *cells, of_all, seeds(runs)])
            head = ["model", *NAMES, "mean", "seeds"]
            shown.append(f"### Classification, {part}: {key.replace('_', ' ')}\n\n" + markdown(head, rows))
    return "\n\n".join(shown)


def main() -> None:
    """Measure what is asked for, or print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", default=list(NAMES), choices=NAMES)
    parser.add_argument("--model", nargs="+", default=[*OURS, *RIVALS], choices=[*OURS, *RIVALS])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--part", choices=["test", "folds"], default="test")
    parser.add_argument("--peers-python", default="python")
    parser.add_argument("--epochs", type=int, default=100, help="of the rival networks")
    parser.add_argument("--limit", type=int, default=3600, help="seconds of a rival on a set")
    parser.add_argument("--tables", action="store_true")
    options = parser.parse_args()
    if options.tables:
        print(tables(read_records(RECORDS)))
        return
    if options.part == "folds" and set(options.model) & set(RIVALS):
        parser.error("--part folds: rivals are measured on the test part only; name some of --model " + ", ".join(OURS))
    torch.set_num_threads(1)
    folder = folder_of(options.peers_python)
    rng = np.random.default_rng(0)
    # Kernels are compiled at their first call.
    tsrec.LSSLClassifier(random_state=0).fit(rng.normal(size=(8, 300)), [0, 1] * 4)
    for name in options.sets:
        for model in options.model:
            for seed in options.seeds[:1] if model == "1-NN DTW" else options.seeds:
                if model in OURS:
                    found = ours(name, model, seed, options.part, folder)
                else:
                    found = rival(name, model, seed, options, folder)
                record = {"set": name, "part": options.part, "model": model, "seed": seed, **found}
                append(RECORDS, {**record, **surroundings(None, 1)})
                print({key: record[key] for key in record if key != "versions"}, flush=True)


if __name__ == "__main__":
    main()
