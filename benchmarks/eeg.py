"""Balanced accuracy, AUROC and seconds of our EEG models and of their rivals.

    TSREC_DATA=... python benchmarks/eeg.py --part validation --sets fists eyes --models "band power" EEGNet --seeds 0

`validation` goes through the folds inside the training part, by person, run or time: that is where choices are made.
`test` learns from the whole training part. One thread; EEGNet and ShallowFBCSP need the environment of
requirements-eeg-peers.txt, which everything else runs in too. Every result is added at once to results/eeg.json;
`--tables` prints what is there.
"""

import argparse
import fcntl
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from _eeg_data import NAMES, Task, folds, load, test, train
from _eeg_models import OURS
from _eeg_rivals import RIVALS, versions
from _records import Record, append, grouped, markdown, mean, read, seeds, surroundings
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

RECORDS = Path(__file__).parent / "results" / "eeg.json"
MODELS = {**RIVALS, **OURS}
# These do not depend on the seed.
DETERMINISTIC = ("band power", "band power, Laplacian")


def measured(task: Task, model: str, fit: np.ndarray, asked: np.ndarray, seed: int) -> Record:
    """One fit and its figures; AUROC of several classes is the mean of each against the rest."""
    scores, seconds = MODELS[model](task, fit, asked, seed)
    y = task.y[asked]
    auroc = [roc_auc_score(y == one, scores[:, one]) for one in np.unique(y)]
    found = {
        "balanced_accuracy": float(balanced_accuracy_score(y, scores.argmax(1))),
        "auroc": float(np.mean(auroc)),
        "seconds": round(seconds, 2),
    }
    if task.name == "alcoholism":
        people = np.unique(task.groups[asked])
        means = np.stack([scores[task.groups[asked] == one].mean(0) for one in people])
        truth = np.array([task.y[task.groups == one][0] for one in people])
        found["people_right"] = float((means.argmax(1) == truth).mean())
    return found


def figures(task: Task, model: str, part: str, seed: int) -> Record:
    """Figures of the test part, or means over the validation folds with those of every fold."""
    if part == "test":
        return measured(task, model, train(task), test(task), seed)
    runs = [measured(task, model, fit, asked, seed) for fit, asked in folds(task)]
    return {key: mean(runs, key) for key in runs[0]} | {"folds": runs}


def keep(path: Path, record: Record) -> None:
    """Add a record, also while another process does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        append(path, record)
    finally:
        os.close(lock)


def latest(records: list[Record]) -> list[Record]:
    """The last record of every measurement with the usual filters."""
    last = {tuple(one[k] for k in ("set", "part", "model", "seed")): one for one in records if one["filter"] == "usual"}
    return list(last.values())


def tables(records: list[Record]) -> str:
    """Means over seeds by set and model, with the least and the greatest."""
    shown = []
    for (part,), group in grouped(latest(records), ("part",)).items():
        models = grouped(group, ("model",))
        for key, scale, digits in (("balanced_accuracy", 100, 1), ("auroc", 1, 3), ("seconds", 1, 1)):
            rows = []
            for (model,), runs in models.items():
                cells = [cell([one for one in runs if one["set"] == name], key, scale, digits) for name in NAMES]
                rows.append([model, *cells, seeds(runs)])
            title = key.replace("_", " ")
            shown.append(f"### EEG, {part}: {title}\n\n" + markdown(["model", *NAMES, "seeds"], rows))
    return "\n\n".join(shown)


def cell(runs: list[Record], key: str, scale: float, digits: int) -> str:
    """The mean of a figure, and its range over seeds in brackets."""
    if not runs:
        return "-"
    values = [scale * one[key] for one in runs]
    text = f"{np.mean(values):.{digits}f}"
    return text if len(runs) == 1 else f"{text} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def main() -> None:
    """Measure what is asked for, or print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=["validation", "test"], default="validation")
    parser.add_argument("--sets", nargs="+", default=list(NAMES), choices=NAMES, metavar="SET", help=" ".join(NAMES))
    parser.add_argument(
        "--models", nargs="+", default=list(MODELS), choices=MODELS, help=", ".join(MODELS), metavar="M"
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--filter", choices=["usual", "none"], default="usual", help="none: no model sees a band-pass")
    parser.add_argument("--records", type=Path, default=RECORDS)
    parser.add_argument("--tables", action="store_true")
    options = parser.parse_args()
    if options.tables:
        print(tables(read(options.records)))
        return
    torch.set_num_threads(1)
    for name in options.sets:
        task = load(name, "usual" if options.filter == "usual" else None)
        for model in options.models:
            for seed in options.seeds[:1] if model in DETERMINISTIC else options.seeds:
                asked: dict[str, Any] = {"set": name, "part": options.part, "model": model, "seed": seed}
                record = {**asked, "filter": options.filter, **figures(task, model, options.part, seed)}
                keep(options.records, {**record, **surroundings(versions(), 1)})
                print({key: value for key, value in record.items() if key != "folds"}, flush=True)


if __name__ == "__main__":
    main()
