"""Transfer: forecasts of sets that were never seen, and of sets of which little was seen.

    TSREC_DATA=... python benchmarks/transfer.py --part folds --contexts 336 504 672 1008 --horizons 96 336
    TSREC_DATA=... python benchmarks/transfer.py --part test
    TSREC_DATA=... python benchmarks/transfer.py --part few --peers-python PATH/bin/python
    python benchmarks/transfer.py --table

A model learns from all public sets but ETT: half-hourly demand and temperature, sensors and servers of the Numenta
benchmark, daily, weekly, monthly and quarterly panels. `folds` holds out sets with days in them, one after the other,
and forecasts the last two fifths of each: choose on them. `test` forecasts all test windows of ETTh1 and ETTm1, in
z-scores of their train rows, as forecasting.py does; every run of it is recorded. Contexts are in hours: a context of
336 steps of ETTm1 is one of 84 hours. `few` learns from the first 5 or 10 % of the train rows of ETTh1 as well, or
alone.
Rivals (requirements-peers.txt) run in an environment of their own, and stop early on the whole validation rows.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _forecasting_data import load_long
from _forecasting_long import Window
from _forecasting_long import measure as measure_long
from _forecasting_models import choices_of
from _forecasting_rivals import Rivals
from _records import Record, append, grouped, markdown, mean, read, surroundings
from _transfer_data import FOLDS, Unseen, fold, same_station, training_sets, unseen

from tsrec import LSSLForecaster, SeasonalMeanForecaster, SeasonalNaiveForecaster, TEMPOForecaster

_RESULTS = Path(__file__).parent / "results" / "transfer.json"
_TARGETS = ("ETTh1", "ETTm1")
# Of the folds, windows of a set at most; numbers of one table of answers.
_WINDOWS, _LARGEST = 400, 2_000_000
_HORIZONS = (96, 192, 336, 720)
_FEW_CONTEXT = 336


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=["folds", "test", "few"], default="folds")
    parser.add_argument("--contexts", nargs="+", type=int, default=[84, 336, 504], help="in hours")
    parser.add_argument("--horizons", nargs="+", type=int, help="in steps of what is forecast")
    parser.add_argument("--sets", nargs="+", choices=list(_TARGETS), default=list(_TARGETS), help="of the test part")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS), metavar="MODEL")
    parser.add_argument(
        "--same-station", action="store_true", help="learn from the train rows of ETTm1 as well; ETTh1 only"
    )
    parser.add_argument("--peers-python", help="interpreter of the environment of requirements-peers.txt")
    parser.add_argument("--out", type=Path, help=f"records; {_RESULTS.name} for test and few, else none")
    parser.add_argument("--table", action="store_true", help="print the records, run nothing")
    return parser.parse_args()


def _tempo(**more: Any) -> Any:
    def make(horizon: int, context: int, seed: int) -> TEMPOForecaster:
        given = {"horizon": horizon, "context": context, "season": 24, "loss": "mse", "random_state": seed}
        return TEMPOForecaster(**{**given, **more})

    return make


MODELS = {
    "TEMPO": _tempo(),
    "TEMPO, structural": _tempo(linear="structural", max_epochs=0),
    "TEMPO, map": _tempo(linear="ridge"),
    "TEMPO, map alone": _tempo(linear="ridge", max_epochs=0),
    "TEMPO, no map": _tempo(linear=None, max_epochs=6),
}
UNTRAINED = ("TEMPO, structural", "TEMPO, map alone")
_INSIDE = (0.1, 0.9)
# Hours before a forecast of which something must be known.
_LEAST = 84


def main() -> None:
    """Run everything asked for, record by record, then print the table."""
    args = arguments()
    if args.table:
        print(_table(read(_RESULTS)))
        return
    torch.set_num_threads(1)
    out = args.out or (None if args.part == "folds" else _RESULTS)
    run = {"folds": _folds, "test": _test, "few": _few}[args.part]
    kept = []
    for record in run(args):
        record = {**record, **surroundings(None, 1), "command": " ".join(sys.argv[1:])}
        print(time.strftime("%H:%M:%S"), {k: record[k] for k in _SHOWN if k in record}, flush=True)
        kept.append(record)
        if out:
            append(out, record)
    print("\n" + _table(kept))


_SHOWN = (
    "set",
    "part",
    "learned_from",
    "context",
    "horizon",
    "model",
    "seed",
    "mse",
    "mae",
    "inside_80",
    "seconds",
    "failed",
)


def _folds(args: argparse.Namespace) -> Iterator[Record]:
    sets = training_sets()
    for name in FOLDS:
        known, held = fold(name, sets)
        stride = max((held.last - held.first) // _WINDOWS, 1)
        for horizon in args.horizons or (96, 336):
            yield from _of_target(args, known, held, horizon, stride, "others")


def _test(args: argparse.Namespace) -> Iterator[Record]:
    sets = training_sets() | (same_station() if args.same_station else {})
    label = "all but ETT, and ETTm1" if args.same_station else "all but ETT"
    targets = ["ETTh1"] if args.same_station else args.sets
    for horizon in args.horizons or _HORIZONS:
        for name in targets:
            yield from _of_target(args, sets, unseen(name), horizon, 1, label)


def _of_target(
    args: argparse.Namespace, sets: Any, held: Unseen, horizon: int, stride: int, label: str
) -> Iterator[Record]:
    """Errors of all models at all contexts."""
    head = {"kind": "zero-shot", "set": held.name, "part": args.part, "horizon": horizon, "seed": 0}
    past = held.frame.iloc[: held.first]
    untaught = {**head, "learned_from": "-"}
    naive = SeasonalNaiveForecaster(horizon=horizon, season=held.day).fit(past)
    yield {**untaught, "model": "SeasonalNaive", "context": 0, **_errors(naive, held, horizon, stride)}
    for context in args.contexts:
        usual = SeasonalMeanForecaster(horizon=horizon, season=held.day, context=context * held.day // 24).fit(past)
        yield {**untaught, "model": "SeasonalMean", "context": context, **_errors(usual, held, horizon, stride)}
        for model in args.models:
            for seed in args.seeds if model not in UNTRAINED else [0]:
                began = time.perf_counter()
                fitted = MODELS[model](horizon, context, seed).fit(sets)
                found = {"fit_s": round(time.perf_counter() - began, 1), **_errors(fitted, held, horizon, stride)}
                found |= {"seed": seed, "learned_from": label, "chosen": choices_of(fitted)}
                yield {**head, "model": model, "context": context, **found}


def _errors(model: Any, held: Unseen, horizon: int, stride: int) -> Record:
    values = held.frame.to_numpy()
    places = np.arange(held.first, held.last - horizon + 1, stride)
    # Of a stretch of which nothing is known all models guess.
    places = places[[not np.isnan(values[at - _LEAST * held.day // 24 : at]).all() for at in places]]
    cutoffs = np.stack([np.zeros_like(places), places], axis=1)
    squares = absolutes = inside = count = 0.0
    began = time.perf_counter()
    for turn in np.array_split(cutoffs, max(len(cutoffs) * horizon * values.shape[1] // _LARGEST, 1)):
        answer = model.predict_cutoffs(held.frame, turn)
        truth = values[turn[:, 1, None] + np.arange(horizon)]
        error = answer[..., 0] - truth
        seen = ~np.isnan(error)
        squares += float((error[seen] ** 2).sum())
        absolutes += float(np.abs(error[seen]).sum())
        low, high = (answer[..., 1 + int(np.abs(model.levels_ - level).argmin())] for level in _INSIDE)
        inside += int(((low <= truth) & (truth <= high))[seen].sum())
        count += int(seen.sum())
    spent = round(time.perf_counter() - began, 2)
    errors = {"mse": squares / count, "mae": absolutes / count, "inside_80": inside / count}
    return {**errors, "windows": len(cutoffs), "seconds": spent}


def _few(args: argparse.Namespace) -> Iterator[Record]:
    task, sets = load_long("ETTh1"), training_sets()
    rivals = Rivals(args.peers_python, 900, 2000, 1) if args.peers_python else None
    for horizon in args.horizons or (96, 192):
        learned = {seed: _tempo()(horizon, _FEW_CONTEXT, seed).fit(sets) for seed in args.seeds}
        for percent in (5, 10):
            rows = (task.train - _FEW_CONTEXT) * percent // 100 + _FEW_CONTEXT
            window = Window(task, "test", f"{percent} %", horizon, rows, task.validation, task.test, 1)
            head = {"kind": "few-shot", "set": "ETTh1", "part": "few", "horizon": horizon, "context": _FEW_CONTEXT}
            for seed in args.seeds:
                for model, factory in _few_models(learned[seed]).items():
                    found = measure_long(window, factory, seed)
                    yield {**head, "model": model, "learned_from": f"{percent} %", "seed": seed, **found}
            for rival in ("DLinear", "PatchTST") if rivals else ():
                found = rivals.few(window, rival, 0, _FEW_CONTEXT)
                yield {**head, "model": rival, "learned_from": f"{percent} %", "seed": 0, **found}


def _few_models(learned: TEMPOForecaster) -> dict[str, Any]:
    class FineTuned(TEMPOForecaster):
        """What has learned from the other sets, and goes on."""

        def fit(self, X: Any, y: Any = None) -> Any:
            vars(self).update({name: value for name, value in vars(learned).items() if name.endswith("_")})
            return super().fit(X, y, warm_start=True)

    # Their own choice of a context would be that of a short series.
    same = {"context": _FEW_CONTEXT, "loss": "mse"}
    return {
        "SeasonalMean": lambda horizon, *_: SeasonalMeanForecaster(horizon=horizon, season=24, context=_FEW_CONTEXT),
        "LSSL": lambda horizon, _, seed: LSSLForecaster(horizon=horizon, random_state=seed, season=24, **same),
        "TEMPO": lambda horizon, _, seed: TEMPOForecaster(horizon=horizon, random_state=seed, season=24, **same),
        "TEMPO, fine-tuned": lambda horizon, _, seed: FineTuned(horizon=horizon, random_state=seed, season=24, **same),
    }


def _table(records: list[Record]) -> str:
    keys = ("kind", "set", "part", "learned_from", "context", "horizon", "model", "seed")
    latest = list({tuple(one[key] for key in keys): one for one in records}.values())
    shown = []
    for (kind, name, part), group in grouped(latest, ("kind", "set", "part")).items():
        horizons = sorted({one["horizon"] for one in group})
        rows = []
        for (model, context, source), runs in grouped(group, ("model", "context", "learned_from")).items():
            cells, all_mse = [], []
            for horizon in horizons:
                found = [one for one in runs if one["horizon"] == horizon and "mse" in one]
                cells.append(f"{mean(found, 'mse'):.4f}/{mean(found, 'mae'):.4f}" if found else "-")
                all_mse += [mean(found, "mse")] if found else []
            overall = f"{np.mean(all_mse):.4f}" if len(all_mse) == len(horizons) else "-"
            seeds = len({one["seed"] for one in runs})
            rows.append([model, source, f"{context} h" if context else "-", *cells, overall, str(seeds)])
        head = ["model", "learned from", "context", *[f"H={horizon}" for horizon in horizons], "mean MSE", "seeds"]
        shown.append(f"### {name}, {kind}, {part} (MSE/MAE)\n\n" + markdown(head, rows))
    return "\n\n".join(shown)


if __name__ == "__main__":
    main()
