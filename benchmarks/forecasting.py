"""Forecasting accuracy on real data: our models, our baselines and the rivals, one after the other on one machine.

    TSREC_DATA=... python benchmarks/forecasting.py --part test --peers-python PATH/bin/python
    TSREC_DATA=... python benchmarks/forecasting.py --sets ETTh1 --stride 4 --model "LSSL:context=504,max_epochs=2"
    python benchmarks/forecasting.py --table

Long sets (ETTh1, ETTm1, ILI, and half-hourly demand beside temperature) follow the protocol of the long-term
forecasting benchmarks: z-scores by the train rows, every window of the test part, MSE and MAE over windows, steps and
columns in float64. Of the panels the last steps are
forecast from one or several cut-offs per series: sMAPE and MASE, means over series, and the OWA of M4. `--part folds`,
the default, stays inside the train and validation rows: choose on it. Every run of `--part test` is recorded.
Rivals (requirements-peers.txt) run in an environment of their own; without --peers-python they are left out.
"""

import argparse
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import _forecasting_holdout as holdout
import _forecasting_long as long
import _forecasting_records as records
import torch
from _forecasting_data import HOLDOUT_SETS, LONG_SETS, load_holdout, load_long
from _forecasting_models import MODELS, Factory, is_random, model_named, warm_up
from _forecasting_rivals import NEURAL, STATISTICAL, Rivals

_RESULTS = Path(__file__).parent / "results" / "forecasting.json"
# Steps that the rivals look back on, on the long sets.
_INPUT = {"ETTh1": 336, "ETTm1": 336, "ILI": 104, "demand_temperature": 336}
_SETS = (*LONG_SETS, *HOLDOUT_SETS)
Models = dict[str, Factory]


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=["folds", "test"], default="folds")
    parser.add_argument("--sets", nargs="+", choices=_SETS, default=_SETS, metavar="SET", help=" ".join(_SETS))
    parser.add_argument(
        "--model", nargs="*", help=f"of {', '.join(MODELS)}, with or without :name=value,...; none: rivals alone"
    )
    parser.add_argument("--seeds", nargs="+", type=int, help="of random models; 0 1 2 on the test part, else 0")
    parser.add_argument("--horizons", nargs="+", type=int, help="of the long sets; all of the protocol when left out")
    parser.add_argument("--fitted-on", nargs="+", help="of the long sets, such as train; all when left out")
    parser.add_argument("--stride", type=int, default=4, help="between windows of the folds of long sets")
    parser.add_argument("--peers-python", help="interpreter of the environment of requirements-peers.txt")
    parser.add_argument("--peers", nargs="+", choices=[*NEURAL, *STATISTICAL], default=[*STATISTICAL, *NEURAL])
    parser.add_argument("--peers-all-horizons", action="store_true", help="rivals on all horizons, not the first alone")
    parser.add_argument("--limit", type=int, default=240, help="seconds of a rival on a hold-out set")
    parser.add_argument("--long-limit", type=int, default=1800, help="seconds of a rival on a horizon of a long set")
    parser.add_argument("--history", type=int, default=2000, help="most rows that a statistical rival sees of a series")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help=f"records; {_RESULTS.name} for the test part, else none")
    parser.add_argument(
        "--table", nargs="?", const=_RESULTS, type=Path, metavar="RECORDS", help="print tables, run nothing"
    )
    return parser.parse_args()


def main() -> None:
    """Run everything asked for, record by record, then print the tables."""
    args = arguments()
    if args.table:
        print(records.tables(records.read(args.table)))
        return
    torch.set_num_threads(args.threads)
    names = list(MODELS) if args.model is None else args.model
    models = {name: model_named(name) for name in names}
    for factory in models.values():
        warm_up(factory)
    rivals = Rivals(args.peers_python, args.limit, args.history, args.threads) if args.peers_python else None
    versions = rivals.versions() if rivals else None
    seeds = args.seeds or ([0, 1, 2] if args.part == "test" else [0])
    out = args.out or (_RESULTS if args.part == "test" else None)
    kept = []
    for name in args.sets:
        run = _long if name in LONG_SETS else _holdout
        for record in run(name, args, models, seeds, rivals):
            record = {**record, **records.surroundings(versions, args.threads), "command": " ".join(sys.argv[1:])}
            _show(record)
            kept.append(record)
            if out:
                records.append(out, record)
    print("\n" + records.tables(kept))


def _holdout(
    name: str, args: argparse.Namespace, models: Models, seeds: list[int], rivals: Rivals | None
) -> Iterator[records.Record]:
    for split in holdout.splits(load_holdout(name), args.part):
        head = {"kind": "hold-out", "set": name, "part": split.label, "horizon": split.task.horizon}
        for model, factory in models.items():
            for seed in seeds if is_random(factory(split.task.horizon, split.task.season, 0)) else [0]:
                yield {**head, "model": model, "seed": seed, **_attempt(holdout.measure, split, factory, seed)}
        for rival in args.peers if rivals else []:
            yield {**head, "model": rival, "seed": 0, **rivals.holdout(split, rival, 0)}


def _long(
    name: str, args: argparse.Namespace, models: Models, seeds: list[int], rivals: Rivals | None
) -> Iterator[records.Record]:
    task = load_long(name)
    horizons = [horizon for horizon in task.horizons if args.horizons is None or horizon in args.horizons]
    rivals = rivals and rivals._replace(limit=args.long_limit)
    for window in long.windows(task, args.part, horizons, args.stride):
        if args.fitted_on and window.fitted_on not in args.fitted_on:
            continue
        head = {"kind": "long", "set": name, "part": window.label, "fitted_on": window.fitted_on}
        head |= {"horizon": window.horizon, "stride": window.stride}
        for model, factory in models.items():
            for seed in seeds if is_random(factory(window.horizon, task.season, 0)) else [0]:
                yield {**head, "model": model, "seed": seed, **_attempt(long.measure, window, factory, seed)}
        if rivals and (args.peers_all_horizons or window.horizon == horizons[0]) and window.fitted_on == "train":
            for rival in [one for one in args.peers if one in NEURAL]:
                yield {**head, "stride": 1, "model": rival, "seed": 0, **rivals.long(window, rival, 0, _INPUT[name])}


def _attempt(measure: Callable[..., records.Record], *given: Any) -> records.Record:
    """The errors of a model; one that fails is recorded as such and does not end the run."""
    try:
        return measure(*given)
    except Exception as error:
        traceback.print_exc()
        return {"failed": f"{type(error).__name__}: {error}"[:300]}


def _show(record: dict[str, Any]) -> None:
    keys = ("smape", "mase", "owa", "mse", "mae", "seconds", "failed")
    figures = "  ".join(
        f"{key} {record[key]:.4f}" if isinstance(record[key], float) else f"{key} {record[key]}"
        for key in keys
        if key in record
    )
    place = f"{record['set']:>18} {record['part']:>7} H={record['horizon']:<3}"
    print(f"{time.strftime('%H:%M:%S')} {place} {record['model']} (seed {record['seed']}): {figures}", flush=True)


if __name__ == "__main__":
    main()
