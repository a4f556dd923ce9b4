"""What the recurrent mixing adds, on signals where far parts of the window act on each other.

    TSREC_DATA=... python benchmarks/recurrence.py

Forecasts of two seconds of pulse wave and electrocardiogram (BIDMC, people who were not trained on) and of a chaotic
delay equation (Mackey and Glass 1977, Science 197), with one branch of the same shape beside the same linear map: with
mixing over time (LSSL), without (each patch by itself), and a perceptron on the whole window. Mean square errors of
what was not trained on, in units of its variance: 1 is what the mean of the series would give.
`benchmarks/forecasting.py` compares them on the usual sets. Fewer than three seeds are shown, not recorded.
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from _forecasting_data import folder
from _forecasting_models import WithoutMixing, warm_up
from _records import surroundings

import tsrec

_OUT = Path(__file__).parent / "results" / "recurrence.json"
_TRAINED_ON, _SECONDS, _STRIDE = 20, 120, 29
_SEEDS = 3
_SAME: dict[str, Any] = {
    "season": 1,
    "linear": "ridge",
    "normalisation": "mean",
    "loss": "mse",
    "dropout": 0.0,
    "n_members": 1,
    "recent": None,
}
MODELS: dict[str, tuple[Any, dict[str, Any]]] = {
    "last value": (tsrec.SeasonalNaiveForecaster, {"season": 1}),
    "linear map alone": (tsrec.LSSLForecaster, {**_SAME, "max_epochs": 0}),
    "with LSSL": (tsrec.LSSLForecaster, {**_SAME, "max_epochs": 8}),
    "with the same layers, without mixing": (WithoutMixing, {**_SAME, "max_epochs": 8}),
    "with a perceptron on the window": (tsrec.MLPForecaster, {**_SAME, "max_epochs": 8}),
}


class Task(NamedTuple):
    """Series to train on and to forecast, and how far to look back and ahead."""

    name: str
    train: pd.DataFrame
    test: pd.DataFrame
    context: int
    horizon: int
    patch: int


def tasks() -> Iterator[Task]:
    """The three signals."""
    with np.load(folder() / "bidmc" / "bidmc_01_30.npz") as stored:
        signals = stored["signals"][:, : 125 * _SECONDS : 2]
    for name, channel in (("pulse wave (PPG)", 0), ("electrocardiogram", 1)):
        people = _panel(signals[:, :, channel])
        yield Task(name, people.loc[: _TRAINED_ON - 1], people.loc[_TRAINED_ON:], 480, 120, 12)
    chaos = _panel(np.stack([mackey_glass(3000, seed) for seed in range(12)]))
    yield Task("Mackey-Glass, delay 17", chaos.loc[:7], chaos.loc[8:], 128, 48, 4)


def mackey_glass(length: int, seed: int, delay: int = 17, substeps: int = 10) -> np.ndarray:
    """dx/dt = 0.2 x(t - delay) / (1 + x(t - delay)^10) - 0.1 x, one value per unit of time, by Heun's method."""
    lag = delay * substeps
    total = (length + 300) * substeps
    x = np.empty(lag + total + 1)
    x[: lag + 1] = 1.2 + 0.1 * np.random.default_rng(seed).standard_normal(lag + 1)
    step = 1 / substeps
    gain = lambda value: 0.2 * value / (1 + value**10)  # noqa: E731
    for t in range(lag, lag + total):
        slope = gain(x[t - lag]) - 0.1 * x[t]
        guess = x[t] + step * slope
        x[t + 1] = x[t] + step * (slope + gain(x[t - lag + 1]) - 0.1 * guess) / 2
    return x[-length * substeps :: substeps]


def measure(task: Task, model: Any) -> dict[str, Any]:
    """Mean square error over all windows of the series to forecast, in units of the variance of each."""
    began = time.perf_counter()
    model.fit(task.train)
    fitted = time.perf_counter() - began
    values = task.test.to_numpy().reshape(-1, task.test.index.levshape[1])
    places = np.arange(task.context, values.shape[1] - task.horizon, _STRIDE)
    series = np.repeat(np.arange(len(values)), len(places))
    cutoffs = np.stack([series, np.tile(places, len(values))], axis=1)
    answer = model.predict_cutoffs(task.test, cutoffs)[:, :, 0, 0]
    truth = values[series[:, None], cutoffs[:, 1, None] + np.arange(task.horizon)]
    errors = np.mean((answer - truth) ** 2, axis=1) / values.var(axis=1)[series]
    return {"error": float(errors.mean()), "fit_s": round(fitted, 1), "share": round(getattr(model, "share_", 0.0), 2)}


def main() -> None:
    """Measure every model on every task from every seed; keep the records and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    args = parser.parse_args()
    torch.set_num_threads(1)
    warm_up(lambda horizon, *_: tsrec.LSSLForecaster(horizon=horizon))
    records = []
    for task in tasks():
        for name, (family, settings) in MODELS.items():
            for seed in args.seeds if settings.get("max_epochs") else [0]:
                model = family(**settings, horizon=task.horizon)
                task_settings = {"context": task.context, "patch": task.patch, "random_state": seed}
                model.set_params(**{k: v for k, v in task_settings.items() if k in model.get_params()})
                record = {"task": task.name, "model": name, "seed": seed, **measure(task, model)}
                records.append(record)
                print(record, flush=True)
    if len(args.seeds) < _SEEDS:
        print("few seeds: not recorded")
    else:
        _OUT.write_text(json.dumps({**surroundings(None, 1), "records": records}, indent=1) + "\n")
    table = pd.DataFrame(records).pivot_table(index="model", columns="task", values="error", sort=False)
    print(table.round(4).to_string())


def _panel(rows: np.ndarray) -> pd.DataFrame:
    index = pd.MultiIndex.from_product([range(len(rows)), range(rows.shape[1])], names=["series", "step"])
    return pd.DataFrame({"y": rows.reshape(-1).astype(float)}, index=index)


if __name__ == "__main__":
    main()
