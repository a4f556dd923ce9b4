"""Our models in eeg.py, as functions like those of _eeg_rivals.py."""

import hashlib
import time
from typing import Any

import numpy as np
from _eeg_data import Task, unlabelled
from _eeg_rivals import Model, of_laplacian, regression

# Chosen on validation folds; see benchmarks/README.md. Rhythms tell rest from movement, evoked potentials which picture
# was shown.
PRETRAINING: dict[str, Any] = {
    "width": 32,
    "normalisation": "shared",
    "channel_dropout": 0.8,
    "learning_rate": 3e-3,
    "max_epochs": 100,
}
PRETRAINING_OF: dict[str, dict[str, Any]] = {
    "eyes": {"augment": "phase", "max_epochs": 300},
    "fists": {"augment": "phase", "max_epochs": 30},
    "move": {"augment": "phase", "max_epochs": 30},
}
FINE_TUNING: dict[str, Any] = {
    "head": "linear",
    "augment": "phase",
    "layer_decay": 1.0,
    "learning_rate": 4e-3,
    "batch_size": 16,
}
FINE_TUNING_OF: dict[str, dict[str, Any]] = {
    "alcoholism": {"max_epochs": 30},
    "smni_subject": {"max_epochs": 40},
    "smni_condition": {"max_epochs": 30, "augment": None},
    "eyes": {"max_epochs": 60, "learning_rate": 1e-3, "batch_size": 32},
    "fists": {"max_epochs": 150},
    "move": {"max_epochs": 80},
}
# Of the others, the mean of its neighbours is taken off every electrode; on eyes every way was right on all folds.
_AS_RECORDED = ("alcoholism", "smni_condition", "eyes")
_LEARNED: dict[tuple[str, int], tuple[Any, float]] = {}


def encoder_for(task: Task, seed: int, **options: Any) -> Any:
    """An encoder that has not learned yet, with the longest patch of at most 40 samples that divides a window."""
    from tsrec import LuMambaEncoder

    patch = next(one for one in range(40, 0, -4) if task.windows.shape[2] % one == 0)
    given = {"patch_size": patch, "ch_names": list(task.channels), "sfreq": task.sfreq, "random_state": seed}
    return LuMambaEncoder(**{**given, **PRETRAINING, **options})


def pretrained(task: Task, fit: np.ndarray, seed: int) -> tuple[Any, float]:
    """An encoder that has learned from the unlabelled windows, and its seconds; learned once for all that ask."""
    windows = unlabelled(task, fit)
    key = (hashlib.blake2b(windows.tobytes()).hexdigest(), seed)
    if key not in _LEARNED:
        began = time.perf_counter()
        options = {**PRETRAINING, **PRETRAINING_OF.get(task.name, {})}
        _LEARNED[key] = (encoder_for(task, seed, **options).fit(windows), time.perf_counter() - began)
    return _LEARNED[key]


def random_encoder(task: Task, fit: np.ndarray, asked: np.ndarray, seed: int) -> tuple[np.ndarray, float]:
    """The regression of the band powers, on an encoder with the weights it starts with."""
    began = time.perf_counter()
    made = encoder_for(task, seed, max_epochs=0).fit(unlabelled(task, fit))
    return regression(np.asarray(made.transform(task.windows)), task, fit, asked), time.perf_counter() - began


def encoder(task: Task, fit: np.ndarray, asked: np.ndarray, seed: int) -> tuple[np.ndarray, float]:
    """The same on an encoder that has learned from the unlabelled windows."""
    made, learning = pretrained(task, fit, seed)
    began = time.perf_counter()
    scores = regression(np.asarray(made.transform(task.windows)), task, fit, asked)
    return scores, learning + time.perf_counter() - began


def classifier(task: Task, fit: np.ndarray, asked: np.ndarray, seed: int) -> tuple[np.ndarray, float]:
    """That encoder and a head, which learn together from the labels."""
    made, learning = pretrained(task, fit, seed)
    scores, seconds = _fine_tuned(made, task, fit, asked, seed)
    return scores, learning + seconds


def from_scratch(task: Task, fit: np.ndarray, asked: np.ndarray, seed: int) -> tuple[np.ndarray, float]:
    """The same network from random weights, by labels alone."""
    return _fine_tuned(encoder_for(task, seed), task, fit, asked, seed)


def _fine_tuned(made: Any, task: Task, fit: np.ndarray, asked: np.ndarray, seed: int) -> tuple[np.ndarray, float]:
    from tsrec import LuMambaClassifier

    began = time.perf_counter()
    on_top = LuMambaClassifier(made, random_state=seed, **{**FINE_TUNING, **FINE_TUNING_OF.get(task.name, {})})
    on_top.fit(task.windows[fit], task.y[fit])
    return np.asarray(on_top.predict_proba(task.windows[asked])), time.perf_counter() - began


def _as_usual(model: Model) -> Model:
    """A model of the recordings as this kind of task has them: evoked potentials are smooth over the scalp."""
    derived = of_laplacian(model)

    def asked_of(task: Task, fit: np.ndarray, asked: np.ndarray, seed: int) -> tuple[np.ndarray, float]:
        return (model if task.name in _AS_RECORDED else derived)(task, fit, asked, seed)

    return asked_of


OURS = {
    "random encoder": _as_usual(random_encoder),
    "LuMambaEncoder": _as_usual(encoder),
    "LuMambaClassifier": _as_usual(classifier),
    "LuMambaClassifier, from scratch": _as_usual(from_scratch),
}
