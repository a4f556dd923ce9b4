"""The labelled series inside the sktime wheel, with their published train and test parts; read without sktime."""

import subprocess
from pathlib import Path

import numpy as np

NAMES = (
    "ArrowHead",
    "BasicMotions",
    "GunPoint",
    "ItalyPowerDemand",
    "JapaneseVowels",
    "OSULeaf",
    "ACSF1",
    "PLAID",
)


def folder_of(python: str) -> Path:
    """Where the sets lie in the environment of an interpreter that has sktime, which is not imported."""
    code = "import importlib.util as u; print(u.find_spec('sktime').submodule_search_locations[0])"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    return Path(done.stdout.strip()) / "datasets" / "data"


def read(folder: str | Path, name: str, part: str) -> tuple[list[np.ndarray], np.ndarray]:
    """Series of shape (n_times, n_channels) and their labels; `part` is TRAIN or TEST."""
    series, labels = [], []
    # The comments of some files are not in UTF-8.
    with open(Path(folder) / name / f"{name}_{part}.ts", encoding="utf-8", errors="replace") as lines:
        for line in map(str.strip, lines):
            if not line or line[0] in "#@":
                continue
            *channels, label = line.split(":")
            values = [[np.nan if value == "?" else float(value) for value in one.split(",")] for one in channels]
            series.append(np.ascontiguousarray(np.array(values, dtype=np.float64).T))
            labels.append(label)
    return series, np.array(labels)
