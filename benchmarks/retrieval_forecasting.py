"""Forecasts from analogues on ETTh1: alone, beside a base, and what each part of the search is worth.

    TSREC_DATA=... python benchmarks/retrieval_forecasting.py --part test
    TSREC_DATA=... python benchmarks/retrieval_forecasting.py --horizons 96 --stride 35 --models ABLATIONS
    python benchmarks/retrieval_forecasting.py --table

The protocol is that of `forecasting.py`: z-scores by the train rows, every window of the test part, fitted on train
rows alone, so that analogues lie in them alone as well. `--part folds`, the default, stays inside train and validation
rows: everything was chosen on it. Strides that are whole days would ask from one hour of the day alone. Every run is
recorded; the folds in a file of the same kind if `--out` names one.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import _forecasting_long as long
import _records as records
import numpy as np
import pandas as pd
import torch
from _forecasting_data import load_long
from _forecasting_models import Factory, model_named
from sklearn.base import BaseEstimator, clone

from tsrec.retrieval import RetrievalForecaster
from tsrec.retrieval._analogues import Library

_RESULTS = Path(__file__).parent / "results" / "retrieval_forecasting.json"
_SET, _CONTEXT = "ETTh1", 504
_RAFT = {"align": "future", "similarity": "pearson", "views": (4, 2, 1), "joint": True, "k": 20, "mix": "linear"}


class _RandomLibrary(Library):
    """All windows that may be seen are equally likely to be taken for analogues."""

    def _similarity(self, queries: torch.Tensor, windows: torch.Tensor) -> torch.Tensor:
        drawn = np.random.default_rng(0).uniform(size=(*queries.shape[:2], windows.shape[1]))
        # So close to each other that all weigh the same.
        return torch.from_numpy(1e-6 * drawn)


class RandomAnalogues(RetrievalForecaster):
    """`RetrievalForecaster` with windows drawn at random: what it is worth that they are similar."""

    def _library(self) -> Library:
        return _RandomLibrary(**vars(super()._library()))


class AsPanel(BaseEstimator):
    """A forecaster that is given the columns of a frame as series of one variable."""

    def __init__(self, forecaster: Any) -> None:
        self.forecaster = forecaster

    def fit(self, frame: pd.DataFrame) -> "AsPanel":
        """Fit to the columns."""
        self.model_ = clone(self.forecaster).fit(_stacked(frame))
        self.levels_ = self.model_.levels_
        return self

    def predict_cutoffs(self, frame: pd.DataFrame, cutoffs: np.ndarray) -> np.ndarray:
        """Answers as of a forecaster of the frame."""
        series = np.repeat(np.arange(frame.shape[1]), len(cutoffs))
        places = np.stack([series, np.tile(cutoffs[:, 1], frame.shape[1])], axis=1)
        found = self.model_.predict_cutoffs(_stacked(frame), places)[:, :, 0]
        return np.moveaxis(found.reshape(frame.shape[1], len(cutoffs), *found.shape[1:]), 0, 2)


def _stacked(frame: pd.DataFrame) -> pd.DataFrame:
    columns = {number: frame[name] for number, name in enumerate(frame)}
    return pd.concat(columns, names=["series", "time"]).to_frame("y")


def _analogues(base: str | None = None, family: Any = RetrievalForecaster, **options: Any) -> Factory:
    def factory(horizon: int, season: int, seed: int) -> Any:
        own = None if base is None else model_named(base)(horizon, season, seed)
        return family(own, horizon=horizon, **{"context": _CONTEXT, "season": season, **options})

    return factory


def _as_panel(**options: Any) -> Factory:
    return lambda *given: AsPanel(_analogues(**options)(*given))


_MAP = "LSSL linear map"
MODELS: dict[str, Factory] = {
    "SeasonalMean": model_named(f"SeasonalMean:context={_CONTEXT}"),
    "analogues alone": _analogues(),
    "linear map": model_named(_MAP),
    "linear map + analogues, residual": _analogues(_MAP),
    "linear map + analogues, gate": _analogues(_MAP, mix="gate"),
    "RAFT's setting, closed form, context 720": _analogues(**_RAFT, context=720),
}
ABLATIONS: dict[str, Factory] = {
    "analogues alone": _analogues(),
    "no gate": _analogues(mix=None),
    "random windows": _analogues(family=RandomAnalogues),
    "k = 5": _analogues(k=5),
    "k = 20": _analogues(k=20),
    "k = 300": _analogues(k=300),
    "Pearson": _analogues(similarity="pearson"),
    "compared jointly": _analogues(joint=True),
    "views 4, 2, 1": _analogues(views=(4, 2, 1)),
    "aligned by the last value": _analogues(align="last"),
    "linear mix": _analogues(mix="linear"),
    "context 336": _analogues(context=336),
    "columns as series, scale off": _as_panel(scale=False),
    "columns as series, each its own analogues": _as_panel(scale=False, across=False),
}


def runs(args: argparse.Namespace) -> Iterator[records.Record]:
    """A record per model and window of the protocol."""
    task = load_long(_SET)
    known = {**MODELS, **ABLATIONS}
    chosen = ABLATIONS if args.models == ["ABLATIONS"] else args.models or MODELS
    for window in long.windows(task, args.part, args.horizons or list(task.horizons), args.stride):
        if (args.part == "test" and window.fitted_on != "train") or window.label not in (args.labels or [window.label]):
            continue
        head = {"set": _SET, "part": window.label, "fitted_on": window.fitted_on, "horizon": window.horizon}
        for name in chosen:
            record = long.measure(window, known[name], 0)
            yield {**head, "stride": window.stride, "model": name, **record}


def table(found: list[records.Record]) -> str:
    """MSE/MAE by model and horizon, the share of values inside 80 % intervals, and seconds, part by part."""
    shown = []
    for (part, stride), group in records.grouped(found, ("part", "stride")).items():
        horizons = sorted({one["horizon"] for one in group})
        rows = []
        for (model,), of_model in records.grouped(group, ("model",)).items():
            latest = {one["horizon"]: one for one in of_model}
            cells = [f"{latest[h]['mse']:.4f}/{latest[h]['mae']:.4f}" if h in latest else "-" for h in horizons]
            every = list(latest.values())
            mean = f"{records.mean(every, 'mse'):.4f}/{records.mean(every, 'mae'):.4f}"
            cover = f"{100 * records.mean(every, 'coverage80'):.0f} %"
            seconds = f"{sum(one['seconds'] for one in every):.0f}"
            rows.append([model, *cells, mean if len(every) == len(horizons) else "-", cover, seconds])
        head = ["model", *[f"H={h}" for h in horizons], "mean", "inside 80 %", "seconds"]
        shown.append(f"### {_SET}, {part}, every {stride}. window\n\n{records.markdown(head, rows)}")
    return "\n\n".join(shown)


def main() -> None:
    """Run what is asked for, record by record, then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=["folds", "test"], default="folds")
    parser.add_argument("--labels", nargs="+", help="of the folds: 'fold I', 'fold V'; both when left out")
    parser.add_argument("--models", nargs="+", help=f"ABLATIONS, or of {[*MODELS, *ABLATIONS]}")
    parser.add_argument("--horizons", nargs="+", type=int)
    parser.add_argument("--stride", type=int, default=35, help="between windows of the folds")
    parser.add_argument("--out", type=Path, help=f"records; {_RESULTS.name} for the test part, else none")
    parser.add_argument("--table", nargs="?", const=_RESULTS, type=Path, help="print tables of records, run nothing")
    args = parser.parse_args()
    if args.table:
        print(table(records.read(args.table)))
        return
    torch.set_num_threads(1)
    out = args.out or (_RESULTS if args.part == "test" else None)
    kept = []
    for run in runs(args):
        record = {**run, **records.surroundings(None, 1), "command": " ".join(sys.argv[1:])}
        place = f"{record['part']} H={record['horizon']} {record['model']}"
        print(
            time.strftime("%H:%M:%S"), place, *(f"{record[key]:.4f}" for key in ("mse", "mae", "seconds")), flush=True
        )
        kept.append(record)
        if out:
            records.append(out, record)
    print("\n" + table(kept))


if __name__ == "__main__":
    main()
