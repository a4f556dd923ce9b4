"""One encoder, other caps: what is lost where electrodes are left out, or differences of neighbours are recorded.

    TSREC_DATA=... python benchmarks/eeg_montage.py --part validation --seeds 0

An encoder learns without labels from all 61 electrodes of the trials of smni_subject, and from the same trials as
differences of neighbours; then it is asked about them as caps with fewer electrodes, or with twelve other differences,
would have recorded them. A regression on its features tells the person. Beside it the same, but with an encoder that
learned from that cap itself, with as many steps. The electrodes of a smaller cap are those that lie farthest from each
other. Every figure is added to results/eeg_montage.json at once.
"""

import argparse
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
import torch
from _eeg_data import Task, folds, load, test, train, unlabelled
from _eeg_models import encoder_for
from _eeg_rivals import regression
from _records import Record, append, grouped, markdown, mean, read, surroundings
from sklearn.metrics import balanced_accuracy_score

from tsrec.frames import bipolar, electrode_positions, recording

RECORDS = Path(__file__).parent / "results" / "eeg_montage.json"
CAPS = ("61", "32", "16", "8", "bipolar")
PAIRS = ("FP1-F3", "F3-C3", "C3-P3", "P3-O1", "FP2-F4", "F4-C4", "C4-P4", "P4-O2", "F7-T7", "T7-P7", "F8-T8", "T8-P8")
_NEIGHBOURS, _EPOCHS = 10, 100


def spread_out(channels: tuple[str, ...], count: int) -> list[int]:
    """Numbers of electrodes far from each other: from Cz on, always the farthest from those that are there."""
    points = electrode_positions(channels)
    chosen = [channels.index("CZ")]
    while len(chosen) < count:
        gaps = np.linalg.norm(points[:, None] - points[chosen], axis=-1).min(1)
        chosen.append(int(gaps.argmax()))
    return sorted(chosen)


def pairs_of_neighbours(channels: tuple[str, ...]) -> list[str]:
    """Every electrode with one of its ten neighbours."""
    points, draws = electrode_positions(channels), np.random.default_rng(0)
    found = set()
    for one, name in enumerate(channels):
        other = int(draws.choice(np.argsort(np.linalg.norm(points - points[one], axis=1))[1 : 1 + _NEIGHBOURS]))
        found.add(f"{name}-{channels[other]}" if one < other else f"{channels[other]}-{name}")
    return sorted(found)


def recorded(task: Task, windows: np.ndarray) -> list[pd.DataFrame]:
    """Windows (n, C, T) as frames."""
    return [recording(window, list(task.channels), task.sfreq) for window in windows]


def as_recorded_by(task: Task, cap: str, windows: np.ndarray) -> list[pd.DataFrame]:
    """Windows of the whole cap as another cap would have recorded them."""
    whole = recorded(task, windows)
    if cap == "bipolar":
        return [bipolar(frame, PAIRS) for frame in whole]
    names = [task.channels[i] for i in spread_out(task.channels, int(cap))]
    return [frame[names] for frame in whole]


def learned(task: Task, cap: str, kind: str, fit: np.ndarray, seed: int) -> Any:
    """An encoder of the whole cap and its differences, or of this cap alone; both take as many steps."""
    windows = unlabelled(task, fit)
    if kind == "whole":
        whole, pairs = recorded(task, windows), pairs_of_neighbours(task.channels)
        X, epochs = [*whole, *(bipolar(frame, pairs) for frame in whole)], _EPOCHS
    else:
        X, epochs = as_recorded_by(task, cap, windows), 2 * _EPOCHS
    return encoder_for(task, seed, channel_dropout=0.9, max_epochs=epochs, ch_names=None).fit(X)


def measure(task: Task, part: str, seed: int, kind: str, caps: list[str]) -> Iterator[Record]:
    """Balanced accuracy for every cap."""
    divisions = [(train(task), test(task))] if part == "test" else folds(task)
    encoders: list[Any] = []
    for cap in caps:
        if kind == "own" or not encoders:
            encoders = [learned(task, cap, kind, fit, seed) for fit, _ in divisions]
        X, right = as_recorded_by(task, cap, task.windows), []
        for encoder, (fit, asked) in zip(encoders, divisions, strict=True):
            scores = regression(np.asarray(encoder.transform(X)), task, fit, asked)
            right.append(float(balanced_accuracy_score(task.y[asked], scores.argmax(1))))
        yield {"cap": cap, "encoder": kind, "seed": seed, "part": part, "balanced_accuracy": float(np.mean(right))}


def table(records: list[Record], part: str) -> str:
    """Figures of a part, a row per cap."""
    groups = grouped([one for one in records if one["part"] == part], ("cap", "encoder"))
    rows = []
    for cap in dict.fromkeys(cap for cap, _ in groups):
        runs = [groups.get((cap, kind), []) for kind in ("whole", "own")]
        rows.append([cap, *(f"{100 * mean(one, 'balanced_accuracy'):.1f}" if one else "-" for one in runs)])
    return markdown(["channels", "encoder of the whole cap", "encoder of its own"], rows)


def main() -> None:
    """Measure, keep, show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=("validation", "test"), default="validation")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--encoders", nargs="+", choices=("whole", "own"), default=["whole", "own"])
    parser.add_argument("--caps", nargs="+", choices=CAPS, default=list(CAPS))
    parser.add_argument("--tables", action="store_true", help="show what is there, measure nothing")
    asked = parser.parse_args()
    if not asked.tables:
        torch.set_num_threads(1)
        task = load("smni_subject")
        for seed in asked.seeds:
            began = time.perf_counter()
            for kind in asked.encoders:
                for record in measure(task, asked.part, seed, kind, asked.caps):
                    append(RECORDS, {**record, **surroundings(None, 1)})
                    print(record, flush=True)
            print(f"seed {seed}: {time.perf_counter() - began:.0f} s", flush=True)
    print(table(read(RECORDS), asked.part))


if __name__ == "__main__":
    main()
