"""What static covariates, the calendar, names and ensembles gain on M3 and M4 Weekly, beside ETS, Theta and ARIMA.

    TSREC_DATA=... python benchmarks/features.py --part test
    TSREC_DATA=... python benchmarks/features.py --sets m3_monthly --variants "MLP" "MLP +static"
    python benchmarks/features.py --table

A variant is a model, and what it is told: +static (the category of M3's series), +calendar (the true dates of M3; M4
has none, and weeks there are nominal), +id. `--part folds`, the default, stays before the test rows. The statistical
models are those of statsmodels, fitted series by series in two processes.
"""

import argparse
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import _forecasting_holdout as holdout
import _records as records
import numpy as np
import pandas as pd
import torch
from _forecasting_data import folder, load_holdout
from _forecasting_holdout import Split, splits
from _forecasting_models import is_random, warm_up

import tsrec

_RESULTS = Path(__file__).parent / "results" / "features.json"
SETS = ("m4_weekly", "m3_yearly", "m3_quarterly", "m3_monthly", "m3_other")
FLAGS = ("+static", "+calendar", "+id")
Made = Callable[[int, int], Any]


def _ensemble(how: str, weights: Any = None) -> Made:
    def made(horizon: int, seed: int) -> Any:
        members = {
            "MLP": tsrec.MLPForecaster(random_state=seed),
            "Theta": tsrec.ThetaForecaster(),
            "ETS": tsrec.StatsForecaster("ets", n_jobs=2),
        }
        return tsrec.EnsembleForecaster(members, how=how, weights=weights, horizon=horizon)

    return made


MODELS: dict[str, Made] = {
    "SeasonalNaive": lambda horizon, _: tsrec.SeasonalNaiveForecaster(horizon=horizon),
    "MLP": lambda horizon, seed: tsrec.MLPForecaster(horizon=horizon, random_state=seed),
    "LSSL": lambda horizon, seed: tsrec.LSSLForecaster(horizon=horizon, random_state=seed),
    "Theta (ours)": lambda horizon, _: tsrec.ThetaForecaster(horizon=horizon),
    "Auto": lambda horizon, seed: tsrec.AutoForecaster(horizon=horizon, random_state=seed),
    "ETS": lambda horizon, _: tsrec.StatsForecaster("ets", horizon=horizon, n_jobs=2),
    "Theta (statsmodels)": lambda horizon, _: tsrec.StatsForecaster("theta", horizon=horizon, n_jobs=2),
    "ARIMA": lambda horizon, _: tsrec.StatsForecaster("arima", horizon=horizon, n_jobs=2),
    "mean of MLP, Theta, ETS": _ensemble("mean"),
    "weighted MLP, Theta, ETS": _ensemble("mean", "backtest"),
}
VARIANTS = [
    "SeasonalNaive",
    "MLP",
    "MLP +static",
    "MLP +calendar",
    "MLP +id",
    "MLP +static +calendar",
    "Auto",
    *[name for name in MODELS if name not in ("SeasonalNaive", "MLP", "LSSL", "Auto")],
]


def parsed(variant: str) -> tuple[str, list[str]]:
    """The model, and what it is told."""
    words = variant.split(" ")
    flags = [word for word in words if word in FLAGS]
    name = " ".join(word for word in words if word not in FLAGS)
    if name not in MODELS:
        raise SystemExit(f"--variants: {name!r} is not known. Give one of {list(MODELS)}, with or without {FLAGS}.")
    return name, flags


def static_of(split: Split) -> pd.DataFrame | None:
    """The categories of M3's series."""
    if not split.task.name.startswith("m3"):
        return None
    info = pd.read_csv(folder() / "m3" / "m3_info.csv.gz", index_col="series_id")
    return info[["category"]]


def measure(split: Split, variant: str, seed: int) -> records.Record:
    """Fit a variant on the known rows, forecast from all cut-offs, and take the errors."""
    name, flags = parsed(variant)
    features = tuple(flag.removeprefix("+") for flag in flags if flag != "+static")

    def made(horizon: int, _season: int, seed: int) -> Any:
        model = MODELS[name](horizon, seed)
        return model.set_params(features=features) if features else model

    return holdout.measure(split, made, seed, {"static": static_of(split)} if "+static" in flags else None)


def applies(name: str, flags: list[str]) -> bool:
    """Whether a set has what a variant is told."""
    return not ("+static" in flags and not name.startswith("m3")) and not ("+calendar" in flags and name == "m3_other")


def table(found: list[records.Record]) -> str:
    """Errors of all variants on all sets, in Markdown."""
    shown = []
    last = {(one["set"], one["part"], one["variant"], one["seed"]): one for one in found}.values()
    for (part,), group in records.grouped(list(last), ("part",)).items():
        cells = records.grouped(group, ("variant", "set"))
        rows = []
        for variant in dict.fromkeys(one["variant"] for one in group):
            row = [variant]
            for name in SETS:
                runs = [one for one in cells.get((variant, name), []) if "mase" in one]
                if not runs:
                    row.append("-")
                    continue
                figures = [f"{records.mean(runs, 'smape'):.2f}", f"{records.mean(runs, 'mase'):.3f}"]
                figures += [f"{records.mean(runs, 'owa'):.3f}"] if "owa" in runs[0] else []
                row.append(f"{' / '.join(figures)} ({records.mean(runs, 'seconds'):.0f})")
            rows.append(row)
        shown.append(f"### {part}: sMAPE / MASE (/ OWA) (seconds)\n\n" + records.markdown(["variant", *SETS], rows))
    return "\n\n".join(shown)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=["folds", "test"], default="folds")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--variants", nargs="+", default=VARIANTS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--out", type=Path, help=f"records; {_RESULTS.name} for the test part, else none")
    parser.add_argument("--table", action="store_true", help="print the table of the records, run nothing")
    return parser.parse_args()


def main() -> None:
    """Run everything asked for, record by record, then print the table."""
    args = arguments()
    out = args.out or (_RESULTS if args.part == "test" else None)
    if args.table:
        print(table(records.read(args.out or _RESULTS)))
        return
    torch.set_num_threads(1)
    warm_up(lambda horizon, _season, seed: tsrec.AutoForecaster(horizon=horizon, random_state=seed))
    kept = []
    for name in args.sets:
        for split in splits(load_holdout(name), args.part):
            for variant in args.variants:
                model, flags = parsed(variant)
                if not applies(name, flags):
                    continue
                for seed in args.seeds if is_random(MODELS[model](2, 0)) else [0]:
                    kept.append(_run(split, variant, seed))
                    if out:
                        records.append(out, kept[-1])
    print("\n" + table(kept))


def _run(split: Split, variant: str, seed: int) -> records.Record:
    head = {"set": split.task.name, "part": split.label, "horizon": split.task.horizon, "variant": variant}
    head |= {"seed": seed, **records.surroundings(None, 1), "command": " ".join(sys.argv[1:])}
    try:
        found = measure(split, variant, seed)
    except Exception as error:
        # One that fails is recorded as such, and does not end the run.
        traceback.print_exc()
        found = {"failed": f"{type(error).__name__}: {error}"[:300]}
    shown = {key: found[key] for key in ("smape", "mase", "owa", "seconds", "failed") if key in found}
    print(time.strftime("%H:%M:%S"), split.task.name, split.label, variant, seed, _short(shown), flush=True)
    return {**head, **found}


def _short(shown: dict[str, Any]) -> str:
    return "  ".join(
        f"{key} {value:.4f}" if isinstance(value, float | np.floating) else f"{key} {value}"
        for key, value in shown.items()
    )


if __name__ == "__main__":
    main()
