"""Panels at scale: seconds and peak memory of global fits on 30,000 generated series, and on all sets at once.

    TSREC_DATA=... python benchmarks/panels.py
    python benchmarks/panels.py --series 3000 --models "MLP"

Every model runs in a process of its own. Peak memory is that of the process at its end, beside what it was when the
frame was made. "TEMPO, all sets" learns from the generated series, the four parts of M3 and M4 Weekly in one fit.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import _records as records
import numpy as np
import pandas as pd
import torch
from _forecasting_data import load_holdout

import tsrec

_RESULTS = Path(__file__).parent / "results" / "panels.json"
_SETS = ("m3_yearly", "m3_quarterly", "m3_monthly", "m3_other", "m4_weekly")
_STEPS, _HORIZON = 200, 14
MODELS = (
    "SeasonalNaive",
    "Theta",
    "LSSL",
    "MLP",
    "MLP with static, calendar, id, past",
    "Auto",
    "TEMPO, all sets",
)


def generated(n_series: int) -> pd.Series:
    """Daily series of many levels with weeks of their own, some intermittent, some zero, of different lengths."""
    rng = np.random.default_rng(0)
    names = np.array([f"shop{i:06d}" for i in range(n_series)])
    days = pd.date_range("2024-01-01", periods=_STEPS, freq="D", name="day")
    t = np.arange(_STEPS)
    week = 1 + 0.3 * np.sin(2 * np.pi * (t + rng.integers(0, 7, (n_series, 1))) / 7)
    values = rng.lognormal(2.0, 2.0, (n_series, 1)) * week * (1 + 0.1 * rng.normal(size=(n_series, _STEPS)))
    values[rng.random(n_series) < 0.1] *= rng.random(_STEPS) < 0.2
    values[:: max(n_series // 100, 1)] = 0.0
    index = pd.MultiIndex.from_product([names, days], names=["shop", "day"])
    first = rng.integers(0, _STEPS // 2, n_series)
    kept = (t >= first[:, None]).ravel()
    return pd.Series(values.ravel(), index, name="y")[kept]


def told(y: pd.Series) -> dict[str, Any]:
    """A category per series, and a covariate of the past."""
    rng = np.random.default_rng(1)
    names = y.index.get_level_values(0).unique()
    static = pd.DataFrame({"kind": rng.choice(list("abcde"), len(names)), "size": rng.normal(size=len(names))}, names)
    return {"static": static, "past": pd.DataFrame({"visits": rng.normal(size=len(y))}, y.index)}


def model_named(name: str) -> Any:
    """One of MODELS."""
    options = {"horizon": _HORIZON, "random_state": 0}
    made = {
        "SeasonalNaive": tsrec.SeasonalNaiveForecaster(horizon=_HORIZON),
        "Theta": tsrec.ThetaForecaster(horizon=_HORIZON),
        "LSSL": tsrec.LSSLForecaster(**options),
        "MLP": tsrec.MLPForecaster(**options),
        "MLP with static, calendar, id, past": tsrec.MLPForecaster(features=("calendar", "id"), **options),
        "Auto": tsrec.AutoForecaster(**options),
        "TEMPO, all sets": tsrec.TEMPOForecaster(season=12, context=48, **options),
    }
    return made[name]


def peak() -> float:
    """Most memory that this process has had, GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def measure(name: str, n_series: int) -> records.Record:
    """Fit and forecast in this process."""
    torch.set_num_threads(1)
    y = generated(n_series)
    sets = {one: load_holdout(one).frame["y"] for one in _SETS} if name == "TEMPO, all sets" else {}
    beside = told(y) if "static" in name else {}
    before = peak()
    model = model_named(name)
    began = time.perf_counter()
    model.fit({"generated": y, **sets} if sets else y, **beside)
    fitted = time.perf_counter()
    answer = model.predict(history=y) if sets else model.predict()
    done = time.perf_counter()
    if not np.isfinite(answer.to_numpy()).all():
        raise ValueError(f"{name}: forecasts that are no numbers")
    return {
        "model": name,
        "series": n_series + sum(len(one.index.get_level_values(0).unique()) for one in sets.values()),
        "rows": len(y) + sum(map(len, sets.values())),
        "fit_s": round(fitted - began, 2),
        "predict_s": round(done - fitted, 2),
        "frame_gib": round(before, 2),
        "peak_gib": round(peak(), 2),
    }


def main() -> None:
    """Run every model in a process of its own, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=30_000)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--one", action="store_true", help="measure in this process, and print the record")
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(args.models[0], args.series)))
        return
    found = []
    for name in args.models:
        command = [sys.executable, __file__, "--one", "--series", str(args.series), "--models", name]
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        found.append({**json.loads(shown.splitlines()[-1]), **records.surroundings(None, 1)})
        records.append(_RESULTS, found[-1])
        print(found[-1]["model"], {key: found[-1][key] for key in ("fit_s", "predict_s", "peak_gib")}, flush=True)
    keys = ["model", "series", "rows", "fit_s", "predict_s", "frame_gib", "peak_gib"]
    print(records.markdown(keys, [[f"{one[key]}" for key in keys] for one in found]))


if __name__ == "__main__":
    main()
