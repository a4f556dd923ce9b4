"""Our models in eeg.py, as functions like those of _eeg_rivals.py."""

import time
from typing import Any

import numpy as np
from _eeg_data import Task, unlabelled
from _eeg_rivals import regression


def _sizes(task: Task) -> dict[str, Any]:
    """The longest patch of at most 40 samples that divides a window, and views that fit into the window."""
    length = task.windows.shape[2]
    patch = next(one for one in range(40, 0, -4) if length % one == 0)
    count = length // patch
    views = {"global_patches": min(16, count), "local_patches": max(1, min(4, count // 2))}
    return {"patch_size": patch, **views}


def _encoder(task: Task, fit: np.ndarray, seed: int, **options: Any) -> Any:
    """An encoder that has seen the unlabelled windows of these folds."""
    from tsrec import LuMambaEncoder

    made = LuMambaEncoder(ch_names=list(task.channels), sfreq=task.sfreq, random_state=seed, **_sizes(task), **options)
    return made.fit(unlabelled(task, fit))


def _on_top(task: Task, fit: np.ndarray, asked: np.ndarray, seed: int, **options: Any) -> tuple[np.ndarray, float]:
    """The regression of the band powers, on what an encoder makes of the windows."""
    began = time.perf_counter()
    features = np.asarray(_encoder(task, fit, seed, **options).transform(task.windows))
    return regression(features, task, fit, asked), time.perf_counter() - began


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
    made = LuMambaClassifier(encoder=_encoder(task, fit, seed), head="query", freeze=False, random_state=seed)
    made.fit(task.windows[fit], task.y[fit])
    scores = np.asarray(made.predict_proba(task.windows[asked]))
    return scores, time.perf_counter() - began


OURS = {"random encoder": random_encoder, "LuMambaEncoder": encoder, "LuMambaClassifier": classifier}
