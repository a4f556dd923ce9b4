"""ETTh1 in the protocol of the long-term forecasting benchmarks, through the public API: frames in, frames out.

    TSREC_DATA=... python benchmarks/etth1.py --context 336 --horizon 96

Rows 0-8,640 train, to 11,520 validate, to 14,400 test; z-scores by the train rows; every stride-1 window of the
test part (2,785 at horizon 96); MSE and MAE are means over windows, steps and the 7 columns, in float64. Results are
appended to etth1.json: one record per frozen configuration and run.
"""

import argparse
import datetime
import json
import platform
import time
from pathlib import Path

import numpy as np
import pandas as pd

import tsrec
from tsrec.datasets import fetch_ett
from tsrec.model_selection import backtest

TRAIN, VALIDATION, TEST = 8640, 11520, 14400


def main() -> None:
    """Fit and backtest every model once; print a table and keep the record."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--context", type=int, default=336)
    parser.add_argument("--horizon", type=int, default=96)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--part", choices=["validation", "test"], default="test")
    parser.add_argument("--refit", action="store_true", help="fit on train and validation rows (test part only)")
    args = parser.parse_args()
    frame = fetch_ett("ETTh1")
    train = frame.iloc[:TRAIN]
    frame = (frame - train.mean()) / train.std(ddof=0)
    first, last = (TRAIN, VALIDATION) if args.part == "validation" else (VALIDATION, TEST)
    fitted_rows = VALIDATION if args.refit else TRAIN
    shape = {"horizon": args.horizon}
    models = {
        "SeasonalNaive": tsrec.SeasonalNaiveForecaster(**shape),
        "SeasonalMean": tsrec.SeasonalMeanForecaster(context=args.context, **shape),
        "LSSL, linear map alone": tsrec.LSSLForecaster(context=args.context, max_epochs=0, **shape),
        "LSSL": tsrec.LSSLForecaster(context=args.context, random_state=args.seed, **shape),
    }
    print("| model | MSE | MAE | fit, s | backtest, s | 80 % coverage |")
    print("|---|---|---|---|---|---|")
    records = []
    for name, model in models.items():
        record = measure(model, frame.iloc[:fitted_rows], frame.iloc[:last], last - first - args.horizon + 1)
        records.append({"model": name, **record})
        print(
            f"| {name} | {record['mse']:.4f} | {record['mae']:.4f} | {record['fit_s']:.1f} | "
            f"{record['backtest_s']:.1f} | "
            f"{record['coverage80']:.3f} |"
        )
    keep(records, args)


def measure(model, known: pd.DataFrame, frame: pd.DataFrame, n_windows: int) -> dict:
    """Fit on known rows, forecast from every cut-off of the part, and take the errors."""
    began = time.perf_counter()
    model.fit(known)
    fitted = time.perf_counter()
    table = backtest(model, frame, step=1, n_windows=n_windows)
    done = time.perf_counter()
    truth, low, high = (table.xs(value, level="value", axis=1) for value in ("y", 0.1, 0.9))
    error = table.xs("forecast", level="value", axis=1) - truth
    choices = ("season_", "context_", "patch_", "penalty_", "share_", "n_epochs_")
    return {
        "mse": float((error**2).to_numpy().mean()),
        "mae": float(error.abs().to_numpy().mean()),
        "fit_s": fitted - began,
        "backtest_s": done - fitted,
        "coverage80": float(((truth >= low) & (truth <= high)).to_numpy().mean()),
        "windows": n_windows,
        "chosen": {name: np.asarray(getattr(model, name)).item() for name in choices if hasattr(model, name)},
    }


def keep(records: list[dict], args: argparse.Namespace) -> None:
    """Append the run to the committed record."""
    path = Path(__file__).with_suffix(".json")
    runs = json.loads(path.read_text()) if path.exists() else []
    versions = {"tsrec": tsrec.__version__, "python": platform.python_version(), "pandas": pd.__version__}
    runs.append({"date": str(datetime.date.today()), **vars(args), **versions, "models": records})
    path.write_text(json.dumps(runs, indent=1) + "\n")


if __name__ == "__main__":
    main()
