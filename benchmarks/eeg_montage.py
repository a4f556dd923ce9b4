"""One encoder, other caps: what is lost where electrodes are left out, or differences of neighbours are recorded.

    TSREC_DATA=... python benchmarks/eeg_montage.py --part validation --seeds 0

An encoder learns without labels from all 61 electrodes of the trials of smni_subject; then it is asked about them as
caps with fewer electrodes, or with bipolar channels, would have recorded them. A regression on its features tells the
person. Beside it the same, but with an encoder that learned from that cap itself. The electrodes of a smaller cap are
those that lie farthest from each other; neighbours within the cap are subtracted, but not from bipolar channels.
Results are added to results/eeg_montage.json.
"""

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from _eeg_data import Task, folds, laplacian, load, test, train, unlabelled
from _eeg_models import encoder_for
from _eeg_rivals import regression
from _records import Record, append, grouped, markdown, mean, read, seeds, surroundings
from sklearn.metrics import balanced_accuracy_score

from tsrec.frames import electrode_positions

RECORDS = Path(__file__).parent / "results" / "eeg_montage.json"
SIZES = (61, 32, 16, 8)
PAIRS = ("FP1-F3", "F3-C3", "C3-P3", "P3-O1", "FP2-F4", "F4-C4", "C4-P4", "P4-O2", "F7-T7", "T7-P7", "F8-T8", "T8-P8")


def spread_out(channels: tuple[str, ...], count: int) -> list[int]:
    """Numbers of electrodes far from each other: from Cz on, always the farthest from those that are there."""
    points = electrode_positions(channels)
    chosen = [channels.index("CZ")]
    while len(chosen) < count:
        gaps = np.linalg.norm(points[:, None] - points[chosen], axis=-1).min(1)
        chosen.append(int(gaps.argmax()))
    return sorted(chosen)


def as_recorded_by(task: Task, cap: int | str) -> Task:
    """The task as another cap would have recorded it."""
    if cap == "bipolar":
        at = {name: number for number, name in enumerate(task.channels)}
        pairs = [[at[name] for name in pair.split("-")] for pair in PAIRS]

        def taken(x: np.ndarray) -> np.ndarray:
            return np.stack([x[:, a] - x[:, b] for a, b in pairs], axis=1)

        return task._replace(windows=taken(task.windows), channels=PAIRS, unlabelled=taken(task.unlabelled))
    kept = spread_out(task.channels, int(cap))
    names = tuple(task.channels[i] for i in kept)
    few = task._replace(windows=task.windows[:, kept], channels=names, unlabelled=task.unlabelled[:, kept])
    return laplacian(few)


def features(encoder: object, task: Task) -> np.ndarray:
    """What an encoder makes of the windows of a task, whatever cap it learned from."""
    twin = encoder.set_params(ch_names=list(task.channels))  # type: ignore[attr-defined]
    return np.asarray(twin.transform(task.windows))


def measure(task: Task, part: str, seed: int) -> list[Record]:
    """Balanced accuracy for every cap, with the encoder of the whole cap and with one of its own."""
    divisions = [(train(task), test(task))] if part == "test" else folds(task)
    found: dict[tuple[int | str, str], list[float]] = {}
    for fit, asked in divisions:
        full = as_recorded_by(task, len(task.channels))
        whole = encoder_for(full, seed).fit(unlabelled(full, fit))
        for cap in (*SIZES, "bipolar"):
            other = as_recorded_by(task, cap)
            own = encoder_for(other, seed).fit(unlabelled(other, fit)) if cap != len(task.channels) else whole
            for name, encoder in (("of the whole cap", whole), ("of its own", own)):
                scores = regression(features(encoder, other), other, fit, asked)
                right = float(balanced_accuracy_score(task.y[asked], scores.argmax(1)))
                found.setdefault((cap, name), []).append(right)
    return [
        {"cap": str(cap), "encoder": name, "seed": seed, "part": part, "balanced_accuracy": float(np.mean(values))}
        for (cap, name), values in found.items()
    ]


def table(records: list[Record], part: str) -> str:
    """Figures of a part, a row per cap."""
    groups = grouped([one for one in records if one["part"] == part], ("cap", "encoder"))
    caps = list(dict.fromkeys(cap for cap, _ in groups))
    names = ("of the whole cap", "of its own")
    rows = []
    for cap in caps:
        runs = [groups[cap, name] for name in names]
        figures = [f"{100 * mean(one, 'balanced_accuracy'):.1f}" for one in runs]
        rows.append([cap, *figures, seeds(runs[0])])
    return markdown(["channels", *(f"encoder {name}" for name in names), "seeds"], rows)


def main() -> None:
    """Measure, keep, show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=("validation", "test"), default="validation")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--tables", action="store_true", help="show what is there, measure nothing")
    asked = parser.parse_args()
    if not asked.tables:
        torch.set_num_threads(1)
        task = load("smni_subject")
        for seed in asked.seeds:
            began = time.perf_counter()
            for record in measure(task, asked.part, seed):
                append(RECORDS, {**record, **surroundings(None, 1)})
                print(record, flush=True)
            print(f"seed {seed}: {time.perf_counter() - began:.0f} s", flush=True)
    print(table(read(RECORDS), asked.part))


if __name__ == "__main__":
    main()
