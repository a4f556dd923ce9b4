"""Our models in eeg.py, as functions like those of _eeg_rivals.py."""

import time
from typing import Any

import numpy as np
from _eeg_data import Task, unlabelled
from _eeg_rivals import regression

# Chosen on validation folds; see benchmarks/README.md.
PRETRAINING: dict[str, Any] = {}
FINE_TUNING: dict[str, dict[str, Any]] = {}


def encoder_for(task: Task, seed: int, **options: Any) -> Any:
    """An encoder that has not learned yet, with the longest patch of at most 40 samples that divides a window."""
    from tsrec import LuMambaEncoder

    patch = next(one for one in range(40, 0, -4) if task.windows.shape[2] % one == 0)
    given = {"patch_size": patch, "ch_names": list(task.channels), "sfreq": task.sfreq, "random_state": seed}
    return LuMambaEncoder(**{**given, **PRETRAINING, **options})


def _on_top(task: Task, fit: np.ndarray, asked: np.ndarray, seed: int, **options: Any) -> tuple[np.ndarray, float]:
    """The regression of the band powers, on what an encoder makes of the windows."""
    began = time.perf_counter()
    made = encoder_for(task, seed, **options).fit(unlabelled(task, fit))
    return regression(np.asarray(made.transform(task.windows)), task, fit, asked), time.perf_counter() - began


def random_encoder(task: Task, fit: np.ndarray, asked: np.ndarray, seed: int) -> tuple[np.ndarray, float]:
    """An encoder with the weights it starts with."""
    return _on_top(task, fit, asked, seed, max_epochs=0)


def encoder(task: Task, fit: np.ndarray, asked: np.ndarray, seed: int) -> tuple[np.ndarray, float]:
    """An encoder that has learned from the unlabelled windows."""
    return _on_top(task, fit, asked, seed)


def classifier(task: Task, fit: np.ndarray, asked: np.ndarray, seed: int) -> tuple[np.ndarray, float]:
    """That encoder and a head, which learn together from the labels."""
    from tsrec import LuMambaClassifier

    began = time.perf_counter()
    made = encoder_for(task, seed).fit(unlabelled(task, fit))
    on_top = LuMambaClassifier(made, random_state=seed, **FINE_TUNING.get(task.name, {}))
    on_top.fit(task.windows[fit], task.y[fit])
    return np.asarray(on_top.predict_proba(task.windows[asked])), time.perf_counter() - began


OURS = {"random encoder": random_encoder, "LuMambaEncoder": encoder, "LuMambaClassifier": classifier}
