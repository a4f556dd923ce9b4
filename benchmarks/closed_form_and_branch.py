"""ETTh1, horizon 96: what the closed-form map and the recurrent branch reach, in CPU seconds on one thread.

Protocol of the long-term forecasting benchmarks: rows 0-8,640 train, to 11,520 validate, to 14,400 test; z-scores by
the train rows; every stride-1 window; channels as independent rows. Folds are named by what they validate on: I the
last quarter and J the last eighth of the train rows, V the validation rows. Choose on I, J and V; read "test" once.

    python benchmarks/closed_form_and_branch.py --fold I --fold V --context 336 --mixer lssl-fixed
"""

import argparse
import gzip
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from tsrec.layers.closed_form import fit_closed_form, fit_shrink
from tsrec.layers.forecast import DirectForecaster
from tsrec.layers.lssl import LSSLStack
from tsrec.layers.residual import ResidualStack
from tsrec.layers.ridge import seasonal_map, time_segments
from tsrec.layers.s4d import S4D
from tsrec.training import WindowBatches, make_generator, train

FOLDS = {"I": (6480, 6480, 8640), "J": (7560, 7560, 8640), "V": (8640, 8640, 11520), "test": (8640, 11520, 14400)}
TRAIN_ROWS, CHANNELS = 8640, 7


def load() -> Tensor:
    """Z-scored values of shape (7, T)."""
    path = Path(os.environ["TSREC_DATA"]) / "ett" / "ETTh1.csv.gz"
    with gzip.open(path, "rt") as file:
        next(file)
        values = np.array([[float(v) for v in line.split(",")[1:]] for line in file])
    mean, std = values[:TRAIN_ROWS].mean(0), values[:TRAIN_ROWS].std(0)
    return torch.tensor(((values - mean) / std).T, dtype=torch.float32).contiguous()


def windows(values: Tensor, first: int, end: int, args: argparse.Namespace, **kwargs) -> tuple[WindowBatches, Tensor]:
    """All windows of all channels whose targets lie in rows [first, end), with the row of each first target."""
    rows = torch.arange(first, end - args.horizon + 1)
    origins = (rows + torch.arange(CHANNELS)[:, None] * values.shape[1]).flatten()
    source = WindowBatches(
        values.flatten(), origins, context=args.context, horizon=args.horizon, masked=False, **kwargs
    )
    return source, rows.repeat(CHANNELS)


def mixer(args: argparse.Namespace, generator: torch.Generator) -> nn.Module | None:
    tokens = args.context // args.patch
    steps = {"dt_min": 0.25 / tokens, "dt_max": 10 / tokens}
    shape = {"d_state": args.d_state, "dropout": args.dropout, "generator": generator, **steps}
    if args.mixer == "none":
        return None
    if args.mixer == "s4d":
        return ResidualStack([S4D(args.d_model, **shape) for _ in range(args.layers)], dropout=args.dropout)
    return LSSLStack(args.d_model, args.layers, fixed=args.mixer == "lssl-fixed", **shape)


def fit(values: Tensor, end: int, args: argparse.Namespace) -> tuple[DirectForecaster, dict]:
    """The recommended fit: closed form, branch before the held-out tail, its share on the tail."""
    began = time.process_time()
    generator = make_generator(args.seed)
    net = DirectForecaster(
        mixer(args, generator),
        context=args.context,
        horizon=args.horizon,
        d_model=args.d_model,
        patch=args.patch,
        dropout=args.dropout,
        loss=args.loss,
        generator=generator,
    ).eval()
    source, times = windows(values, args.context, end, args)
    segments = time_segments(times, args.horizon)
    solution = fit_closed_form(
        net, lambda: source.chunks(segments), prior=seasonal_map(args.context, args.horizon, args.season)
    )
    report = {"penalty": solution.penalty, "ridge_s": round(time.process_time() - began, 2)}
    if net.mixer is None:
        return net, report
    began = time.process_time()
    net.linear.copy_(solution.fold_weights[-1])
    before, tail = (source.subset((chosen).nonzero()[:, 0]) for chosen in (segments <= 2, segments == 4))
    before = before.resized(args.batch_size, max_batches=args.steps // args.epochs)
    train(net, before, max_epochs=args.epochs, learning_rate=args.learning_rate, generator=generator)
    share = fit_shrink(net, tail.resized(2048).epoch(generator))
    net.linear.copy_(solution.weight)
    spread = float(net.spread_share)
    return net, {**report, "share": share, "spread_share": spread, "train_s": round(time.process_time() - began, 2)}


@torch.no_grad()
def measure(net: DirectForecaster, values: Tensor, first: int, end: int, args: argparse.Namespace) -> dict:
    """Errors over all windows, float64 sums."""
    source, _ = windows(values, first, end, args, shuffle=False, batch_size=2048)
    sums = torch.zeros(3 + len(net.levels), dtype=torch.float64)
    count, began = 0, time.process_time()
    for batch in source.epoch(make_generator(0)):
        point, quantiles = net(batch.context)
        error, short = point - batch.target, batch.target[..., None] - quantiles
        pinball = 2 * torch.maximum(net.probabilities * short, (net.probabilities - 1) * short).mean(-1)
        sums[:3] += torch.stack([x.double().sum() for x in (error.square(), error.abs(), pinball)])
        sums[3:] += (short <= 0).double().sum((0, 1))
        count += error.numel()
    mse, mae, pinball, *coverage = (sums / count).tolist()
    return {
        "mse": round(mse, 4),
        "mae": round(mae, 4),
        "pinball": round(pinball, 4),
        "coverage": dict(zip(net.levels, [round(c, 3) for c in coverage], strict=True)),
        "predict_s": round(time.process_time() - began, 2),
    }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fold", action="append", choices=FOLDS, required=True)
    parser.add_argument("--mixer", choices=("none", "lssl-fixed", "lssl", "s4d"), default="lssl-fixed")
    parser.add_argument("--loss", choices=("mse", "mae", "huber"), default="mse")
    numbers = {"context": 336, "horizon": 96, "season": 24, "patch": 48, "d_model": 16, "d_state": 16, "layers": 2}
    for name, default in {**numbers, "epochs": 3, "steps": 450, "batch_size": 512, "seed": 0}.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=default)
    for name, default in {"dropout": 0.3, "learning_rate": 1e-3}.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, default=default)
    return parser.parse_args()


def main() -> None:
    args = arguments()
    torch.set_num_threads(1)
    values = load()
    for fold in args.fold:
        train_end, first, end = FOLDS[fold]
        net, report = fit(values, train_end, args)
        report.update(fold=fold, **measure(net, values, first, end, args))
        sys.stdout.write(json.dumps({**vars(args), **report}) + "\n")


if __name__ == "__main__":
    main()
