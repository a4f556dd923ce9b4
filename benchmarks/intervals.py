"""How many values intervals hold, as forecasters give them and after `ConformalForecaster`, and how wide they are.

    TSREC_DATA=... python benchmarks/intervals.py --part test
    TSREC_DATA=... python benchmarks/intervals.py --sets m3_monthly nn5_daily --model Theta --out trial.json
    python benchmarks/intervals.py --table

Sets and cut-offs are those of `forecasting.py`; ETTh1 is forecast 24 steps ahead from every 7th row of its test part,
and models learn from train and validation rows. `--part folds`, the default, ends where the test part begins: what the
forecaster does was chosen on it. "adapting" is given the rows before each cut-off by `update`. Widths and interval
scores (Gneiting & Raftery 2007) of 90 % are in units of the mean absolute error of the seasonal naive forecast of each
series, means over series.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import _records as records
import numpy as np
import pandas as pd
import torch
from _forecasting_data import load_holdout, load_long
from _forecasting_holdout import splits
from _forecasting_models import model_named

from tsrec import ConformalForecaster
from tsrec.estimators._held_out import series_units, truth_after
from tsrec.estimators._quantiles import at_levels, bounds_of
from tsrec.frames import read_panel

_RESULTS = Path(__file__).parent / "results" / "intervals.json"
_SETS = ("ETTh1", "m3_monthly", "m4_weekly", "nn5_daily", "us_births", "vic_elec")
_MODELS = ("Theta", "LSSL linear map")
_SHARES = (0.5, 0.8, 0.9)
_AHEAD, _STRIDE, _AT_ONCE = 24, 7, 2048
# Rows come in one after the other in these; how far intervals then move.
_IN_ORDER, _ADAPT = ("ETTh1", "us_births", "vic_elec"), 0.1


class Task(NamedTuple):
    """Rows up to the end of what is forecast, those that are learned from, and cut-offs (series, step)."""

    frame: pd.DataFrame
    known: pd.DataFrame
    cutoffs: np.ndarray
    horizon: int
    season: int


def task_of(name: str, part: str) -> Task:
    """A set, and the first fold of it or its test part."""
    if name == "ETTh1":
        task = load_long(name)
        first, last = (task.validation, task.test) if part == "test" else (task.train, task.validation)
        steps = np.arange(first, last - _AHEAD + 1, _STRIDE)
        cutoffs = np.stack([np.zeros_like(steps), steps], axis=1)
        return Task(task.frame.iloc[:last], task.frame.iloc[:first], cutoffs, _AHEAD, task.season)
    task = load_holdout(name)
    split = next(iter(splits(task, part)))
    return Task(split.frame, split.frame[split.known], split.cutoffs, task.horizon, task.season)


def at_once(model: Any, task: Task) -> np.ndarray:
    """Quantiles (n, horizon, n_channels, n_levels) from all cut-offs, with what was learned before the first."""
    turns = [task.cutoffs[at : at + _AT_ONCE] for at in range(0, len(task.cutoffs), _AT_ONCE)]
    return np.concatenate([model.predict_cutoffs(task.frame, turn)[..., 1:] for turn in turns])


def in_order(model: Any, task: Task) -> np.ndarray:
    """The same of a single series, to which the rows before each cut-off are appended first."""
    known, found = len(task.known), []
    for step in task.cutoffs[:, 1]:
        if step > known:
            model.update(task.frame.iloc[known:step])
            known = step
        found.append(model.predict_quantiles(levels=model.levels_).to_numpy())
    return np.stack(found).reshape(len(found), task.horizon, -1, len(model.levels_))


def measured(model: Any, task: Task, forecast: Callable[[Any, Task], np.ndarray]) -> dict[str, Any]:
    """Shares held, width and score of the intervals of a model."""
    began = time.perf_counter()
    answers = forecast(model.fit(task.known), task)
    seconds = time.perf_counter() - began
    truth = truth_after(read_panel(task.frame), task.cutoffs, task.horizon)
    unit = series_units(read_panel(task.known), task.season)[task.cutoffs[:, 0]][:, None]
    found: dict[str, Any] = {"seconds": round(seconds, 2), "values": int(np.isfinite(truth).sum())}
    for share in _SHARES:
        bounds = at_levels(answers, model.levels_, np.array(bounds_of(share)))
        lower, upper = bounds[..., 0], bounds[..., 1]
        inside = ((truth >= lower) & (truth <= upper))[np.isfinite(truth)]
        found[f"held_{share:.0%}"] = round(100 * float(inside.mean()), 2)
    miss = np.maximum(lower - truth, 0) + np.maximum(truth - upper, 0)
    found["width"] = round(float(np.nanmean((upper - lower) / unit)), 4)
    found["score"] = round(float(np.nanmean((upper - lower + 2 / (1 - share) * miss) / unit)), 4)
    return found


def run(name: str, base: str, part: str, out: Path) -> None:
    """Measure a model with and without calibration, and write both down."""
    task = task_of(name, part)
    factory = model_named(base)
    for kind in ("no", "yes", "adapting") if name in _IN_ORDER else ("no", "yes"):
        model = factory(task.horizon, task.season, 0)
        if kind != "no":
            model = ConformalForecaster(model, adapt=_ADAPT if kind == "adapting" else 0.0)
        result = measured(model, task, in_order if kind == "adapting" else at_once)
        told = {"set": name, "part": part, "model": base, "conformal": kind, "horizon": task.horizon, **result}
        settings = {key: str(value) for key, value in model.get_params(deep=False).items() if kind != "no"}
        records.append(out, {**told, "settings": settings, **records.surroundings(None, torch.get_num_threads())})
        print(told, flush=True)


def table(found: list[dict[str, Any]]) -> str:
    """All records, a row for each model and set, in Markdown."""
    latest = {(one["part"], one["set"], one["model"], one["conformal"]): one for one in found}
    rows = []
    for (part, name, model, conformal), one in latest.items():
        held = [f"{one[f'held_{share:.0%}']:.1f}" for share in _SHARES]
        rows.append([part, name, model, conformal, *held, f"{one['width']:.2f}", f"{one['score']:.2f}"])
    head = ["part", "set", "model", "conformal", *(f"held of {share:.0%}" for share in _SHARES), "width", "score"]
    return records.markdown(head, rows)


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=["folds", "test"], default="folds")
    parser.add_argument("--sets", nargs="+", default=_SETS)
    parser.add_argument("--model", nargs="+", default=_MODELS)
    parser.add_argument("--out", type=Path, default=_RESULTS)
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    if given.table:
        print(table(records.read(given.out)))
        return
    for name in given.sets:
        for base in given.model:
            run(name, base, given.part, given.out)


if __name__ == "__main__":
    main()
