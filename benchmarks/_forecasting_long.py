"""Long tasks of forecasting.py: z-scored frames, every window of a part, MSE and MAE over all values."""

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from _forecasting_data import Long
from _forecasting_models import Factory, choices_of, parameters_of

# Numbers of one table of answers; more are taken in turns.
_LARGEST = 10_000_000


class Window(NamedTuple):
    """Fit on rows before `fitted`, forecast all windows of `horizon` rows inside `first` to `last`."""

    task: Long
    label: str
    fitted_on: str
    horizon: int
    fitted: int
    first: int
    last: int
    stride: int

    @property
    def cutoffs(self) -> np.ndarray:
        """Rows (0, step of the first value to forecast)."""
        places = np.arange(self.first, self.last - self.horizon + 1, self.stride)
        return np.stack([np.zeros_like(places), places], axis=1)


def windows(task: Long, part: str, horizons: list[int], stride: int) -> Iterator[Window]:
    """The test part for two lengths of the fitted rows, or the folds I (last quarter of train) and V (validation)."""
    for horizon in horizons:
        if part == "test":
            last = (task.validation, task.test, 1)
            yield Window(task, "test", "train", horizon, task.train, *last)
            yield Window(task, "test", "train+validation", horizon, task.validation, *last)
        else:
            inner = 3 * task.train // 4
            yield Window(task, "fold I", "3/4 of train", horizon, inner, inner, task.train, stride)
            yield Window(task, "fold V", "train", horizon, task.train, task.train, task.validation, stride)


def measure(window: Window, factory: Factory, seed: int) -> dict[str, Any]:
    """Fit one of our models, forecast from all cut-offs, and take the errors."""
    frame = window.task.frame.iloc[: window.last]
    model = factory(window.horizon, window.task.season, seed)
    began = time.perf_counter()
    model.fit(frame.iloc[: window.fitted])
    fitted = time.perf_counter()
    values, cutoffs = frame.to_numpy(), window.cutoffs
    low, high = (1 + np.flatnonzero(np.isclose(model.levels_, level)) for level in (0.1, 0.9))
    per_cutoff = window.horizon * values.shape[1] * (1 + len(model.levels_))
    chunk = max(_LARGEST // per_cutoff, 1)
    squares = absolutes = spent = inside = 0.0
    for at in range(0, len(cutoffs), chunk):
        turn = cutoffs[at : at + chunk]
        start = time.perf_counter()
        answer = model.predict_cutoffs(frame, turn)
        spent += time.perf_counter() - start
        truth = values[turn[:, 1, None] + np.arange(window.horizon)]
        error = answer[..., 0] - truth
        squares += float((error**2).sum())
        absolutes += float(np.abs(error).sum())
        inside += float(((truth[..., None] >= answer[..., low]) & (truth[..., None] <= answer[..., high])).sum())
    count = len(cutoffs) * window.horizon * values.shape[1]
    return {
        "mse": squares / count,
        "mae": absolutes / count,
        "coverage80": inside / count,
        "windows": len(cutoffs),
        "seconds": round(fitted - began + spent, 3),
        "fit_s": round(fitted - began, 3),
        "parameters": parameters_of(model),
        "chosen": choices_of(model),
    }
