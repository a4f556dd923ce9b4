"""The EEG tasks of eeg.py: labelled windows in microvolt, divided by subject, by run or in time, from TSREC_DATA.

alcoholism      people with alcoholism against controls, one-second trials: other people are tested
smni_subject    which of the 16 people a trial is from: later trials are tested
smni_condition  which of three kinds of picture was shown: other people are tested
eyes            open or closed: each is a recording of its own, so that whatever else differs between the two helps too
fists           left or right fist, moved or imagined; later runs are tested
move            rest or a fist, moved or imagined; later runs are tested
"""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.signal import butter, sosfiltfilt

NAMES = ("alcoholism", "smni_subject", "smni_condition", "eyes", "fists", "move")
# Hz; each run is filtered as a whole, before it is cut. One-second trials are left as they are.
BANDS: dict[str, tuple[float, float]] = {"eyes": (1.0, 45.0), "fists": (8.0, 30.0), "move": (8.0, 30.0)}
_TRAIN_RUNS, _TEST_RUNS = ("R03", "R04", "R07", "R08"), ("R11", "R12")


class Task(NamedTuple):
    """Windows (n, C, T) with labels 0 to K - 1, and the validation fold of each; -1 is the test part.

    `groups` are what keeps windows together: people, runs or blocks of time. `unlabelled` are windows of the training
    part without labels, which may overlap the labelled ones, and `unlabelled_fold` are their folds.
    """

    name: str
    windows: np.ndarray
    channels: tuple[str, ...]
    sfreq: float
    y: np.ndarray
    groups: np.ndarray
    fold: np.ndarray
    unlabelled: np.ndarray
    unlabelled_fold: np.ndarray
    band: tuple[float, float] | None


def load(name: str, band: tuple[float, float] | str | None = "usual") -> Task:
    """A task by name; `band` is a pass band in Hz, None for no filter, or what is usual for the task."""
    if name not in NAMES:
        raise ValueError(f"name is {name!r}, but the tasks are {', '.join(NAMES)}.")
    passed = BANDS.get(name) if band == "usual" else band
    if name.startswith("smni") or name == "alcoholism":
        if passed:
            raise ValueError(f"{name} consists of one-second trials, too short for a band-pass; take band=None.")
        return _smni(name)
    return _eyes(passed) if name == "eyes" else _fists(name, passed)


def laplacian(task: Task) -> Task:
    """The task with the mean of its four neighbours taken off every electrode."""
    from tsrec import frames

    def taken(windows: np.ndarray) -> np.ndarray:
        n, channels, length = windows.shape
        rows = pd.DataFrame(windows.transpose(0, 2, 1).reshape(-1, channels), columns=list(task.channels))
        return frames.laplacian(rows).to_numpy().reshape(n, length, channels).transpose(0, 2, 1)

    return task._replace(windows=taken(task.windows), unlabelled=taken(task.unlabelled))


def train(task: Task) -> np.ndarray:
    """Indices of the training part."""
    return np.flatnonzero(task.fold >= 0)


def test(task: Task) -> np.ndarray:
    """Indices of the test part."""
    return np.flatnonzero(task.fold == -1)


def folds(task: Task, among: np.ndarray | None = None) -> list[tuple[np.ndarray, np.ndarray]]:
    """(fit, validation) for every fold of the training part, or of those that some of its windows belong to."""
    among = train(task) if among is None else np.asarray(among)
    mine = task.fold[among]
    return [(among[mine != one], among[mine == one]) for one in np.unique(mine)]


def unlabelled(task: Task, fit: np.ndarray) -> np.ndarray:
    """The unlabelled windows that lie in the folds of these training windows, and in no other."""
    return task.unlabelled[np.isin(task.unlabelled_fold, task.fold[fit])]


def _folder(name: str) -> Path:
    if "TSREC_DATA" not in os.environ:
        raise SystemExit("TSREC_DATA must name the folder that has eeg_alcoholism and eegmmidb_S001.")
    return Path(os.environ["TSREC_DATA"]) / name


def _codes(labels: np.ndarray) -> np.ndarray:
    return np.unique(labels, return_inverse=True)[1]


def _smni(name: str) -> Task:
    """Scalp leads of the SMNI trials."""
    file = np.load(_folder("eeg_alcoholism") / "smni_train.npz")
    scalp = ~np.isin(file["channels"], ["X", "Y", "nd"])
    windows = (file["xq"] * np.float64(file["step_uV"]) + file["offset_uV"])[:, scalp]
    people, alcoholic = file["subject"], file["alcoholic"].astype(int)
    if name == "smni_subject":
        groups = _fifths(people, file["trial"])
        # Three fifths of everyone's trials are to learn from, a fold each.
        y, fold = _codes(people), np.where(groups < 3, groups, -1)
    else:
        y = alcoholic if name == "alcoholism" else _codes(file["condition"])
        groups, fold = people, _pairs(people, alcoholic)
    channels = tuple(map(str, file["channels"][scalp]))
    known = fold >= 0
    return Task(name, windows, channels, float(file["fs"]), y, groups, fold, windows[known], fold[known], None)


def _fifths(people: np.ndarray, trial: np.ndarray) -> np.ndarray:
    """In which fifth of a person's trials each is."""
    fifths = np.empty(len(people), int)
    for one in np.unique(people):
        rows = np.flatnonzero(people == one)
        fifths[rows[np.argsort(trial[rows])]] = np.arange(len(rows)) * 5 // len(rows)
    return fifths


def _pairs(people: np.ndarray, alcoholic: np.ndarray) -> np.ndarray:
    """The first five people of either kind by name are to learn from, one of each in a fold."""
    fold = np.full(len(people), -1)
    for kind in (0, 1):
        for place, one in enumerate(np.unique(people[alcoholic == kind])[:5]):
            fold[people == one] = place
    return fold


def _run(run: str, band: tuple[float, float] | None) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """A run in microvolt, filtered forwards and backwards, and what else its file has."""
    file = dict(np.load(_folder("eegmmidb_S001") / f"S001{run}.npz"))
    x = file["x"] * np.float64(file["scale_uV"])
    if band:
        x = sosfiltfilt(butter(4, band, "bandpass", fs=float(file["fs"]), output="sos"), x)
    return x, file


def _names(file: dict[str, np.ndarray]) -> tuple[str, ...]:
    return tuple(map(str, file["channels"]))


def _cut(x: np.ndarray, starts: np.ndarray, length: int) -> np.ndarray:
    return np.stack([x[:, start : start + length] for start in starts])


def _eyes(band: tuple[float, float] | None) -> Task:
    """Windows of two seconds: three blocks of five, a fold each, and eleven for the test; gaps between."""
    # 0-4, 6-10, 12-16 and 19-29 of 30 windows of each recording.
    fold = np.repeat([0, 9, 1, 9, 2, 9, -1], [5, 1, 5, 1, 5, 2, 11])
    kept = fold < 9
    windows = []
    for run in ("R01", "R02"):
        x, file = _run(run, band)
        length = int(2 * file["fs"])
        windows.append(_cut(x, length * np.arange(30), length)[kept])
    both, folds_of = np.concatenate(windows), np.tile(fold[kept], 2)
    y, known = np.repeat([0, 1], kept.sum()), folds_of >= 0
    return Task(
        "eyes", both, _names(file), float(file["fs"]), y, folds_of, folds_of, both[known], folds_of[known], band
    )


def _fists(name: str, band: tuple[float, float] | None) -> Task:
    """Four seconds from the start of an event; unlabelled are all of a run in such windows that overlap by half."""
    windows, events, groups, fold, free, free_fold = [], [], [], [], [], []
    for place, run in enumerate(_TRAIN_RUNS + _TEST_RUNS):
        x, file = _run(run, band)
        length = int(4 * file["fs"])
        kept = file["event"] != "T0" if name == "fists" else np.full(len(file["event"]), True)
        starts = np.rint(file["onset_s"][kept] * file["fs"]).astype(int)
        mine = place if run in _TRAIN_RUNS else -1
        windows.append(_cut(x, starts, length))
        events.append(file["event"][kept])
        groups.append(np.full(len(starts), run))
        fold.append(np.full(len(starts), mine))
        if mine >= 0:
            free.append(_cut(x, np.arange(0, x.shape[1] - length + 1, length // 2), length))
            free_fold.append(np.full(len(free[-1]), mine))
    of_events = np.concatenate(events)
    y = (of_events == "T2").astype(int) if name == "fists" else (of_events != "T0").astype(int)
    labelled = (np.concatenate(windows), _names(file), float(file["fs"]), y, *map(np.concatenate, (groups, fold)))
    return Task(name, *labelled, np.concatenate(free), np.concatenate(free_fold), band)
