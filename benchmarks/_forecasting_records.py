"""Records of forecasting.py, one per run of one model, and the tables made from them."""

import math
from collections.abc import Iterable

import numpy as np
from _records import Record, append, grouped, markdown, mean, read, seeds, surroundings

__all__ = ["append", "latest", "read", "surroundings", "tables"]
_FOLDS = 2


def latest(records: list[Record]) -> list[Record]:
    """The last record of every measurement: what older code or settings gave is kept on file, not averaged in."""
    keys = ("kind", "set", "part", "fitted_on", "horizon", "stride", "model", "seed")
    return list({tuple(one.get(key) for key in keys): one for one in records}.values())


def tables(records: list[Record]) -> str:
    """All tables, in Markdown."""
    records = latest(records)
    parts = [_long_tables(records), _holdout_tables(records), _m4_table(records), _failures(records)]
    return "\n\n".join(part for part in parts if part)


def _long_tables(records: list[Record]) -> str:
    found = grouped([one for one in records if one["kind"] == "long"], ("set", "part", "fitted_on", "stride"))
    shown = []
    for (name, part, fitted_on, stride), group in found.items():
        horizons = sorted({one["horizon"] for one in group})
        rows = []
        for (model,), of_model in grouped(group, ("model",)).items():
            cells, all_mse, all_mae, seconds = [], [], [], 0.0
            for horizon in horizons:
                runs = [one for one in of_model if one["horizon"] == horizon and "mse" in one]
                if not runs:
                    cells.append("-")
                    continue
                mse, mae = mean(runs, "mse"), mean(runs, "mae")
                seconds += mean(runs, "seconds")
                cells.append(f"{mse:.4f}/{mae:.4f}")
                all_mse.append(mse)
                all_mae.append(mae)
            complete = len(all_mse) == len(horizons)
            overall = f"{np.mean(all_mse):.4f}/{np.mean(all_mae):.4f}" if complete else "-"
            rows.append([model, *cells, overall, f"{seconds:.1f}", seeds(of_model)])
        head = ["model", *[f"H={horizon}" for horizon in horizons], "mean", "seconds", "seeds"]
        windows = "every window" if stride == 1 else f"every {stride}th window"
        shown.append(f"### {name}, {part}, fitted on {fitted_on}, {windows} (MSE/MAE)\n\n" + markdown(head, rows))
    return "\n\n".join(shown)


def _holdout_tables(records: list[Record]) -> str:
    shown = []
    measured = [one for one in records if one["kind"] == "hold-out"]
    of_folds = [one for one in measured if one["part"].startswith("fold") and "mase" in one]
    both = [group for group in grouped(of_folds, ("set", "model", "seed")).values() if len(group) == _FOLDS]
    pooled = [{**one, "part": "mean of the folds"} for group in both for one in group]
    for (part,), group in grouped(measured + pooled, ("part",)).items():
        sets = list(dict.fromkeys(one["set"] for one in group))
        by_model = grouped(group, ("model",))
        cells = {
            model: {name: [one for one in runs if one["set"] == name and "mase" in one] for name in sets}
            for (model,), runs in by_model.items()
        }
        naive, ours = (_means(cells.get(name, {}), "mase") for name in ("SeasonalNaive", "Auto"))
        for key, digits in (("smape", 2), ("mase", 3), ("seconds", 1)):
            head = ["model", *sets, "seeds"]
            if key == "mase":
                head += ["geometric mean", "sets", "to SeasonalNaive, same sets", "to Auto, same sets"]
            rows = []
            for model, found in cells.items():
                row = [model, *[f"{mean(runs, key):.{digits}f}" if runs else "-" for runs in found.values()]]
                row.append(seeds(by_model[(model,)]))
                if key == "mase":
                    row += _geometric(_means(found, key), naive, ours)
                rows.append(row)
            shown.append(f"### Hold-out sets, {part}: {key}\n\n" + markdown(head, rows))
    return "\n\n".join(shown)


def _means(found: dict[str, list[Record]], key: str) -> dict[str, float]:
    return {name: mean(runs, key) for name, runs in found.items() if runs}


def _geometric(values: dict[str, float], *references: dict[str, float]) -> list[str]:
    """Geometric mean of a model over its sets, their number, and the means relative to others on the same sets."""
    relative = [
        _geometric_mean([value / reference[name] for name, value in values.items() if name in reference])
        for reference in references
    ]
    return [f"{_geometric_mean(values.values()):.3f}", str(len(values)), *(f"{one:.3f}" for one in relative)]


def _geometric_mean(values: Iterable[float]) -> float:
    logs = [math.log(value) for value in values]
    return math.exp(sum(logs) / len(logs)) if logs else math.nan


def _m4_table(records: list[Record]) -> str:
    shown = []
    weekly = [one for one in records if "owa" in one]
    for (part,), group in grouped(weekly, ("part",)).items():
        rows = []
        for (model,), runs in grouped(group, ("model",)).items():
            apart = [
                f"{np.mean([run[which]['owa'] for run in runs]):.3f} ({runs[0][which]['series']})"
                for which in ("resembling", "others")
            ]
            rows.append([model, f"{mean(runs, 'owa'):.3f}", *apart, f"{mean(runs, 'seconds'):.1f}", seeds(runs)])
        head = ["model", "OWA", "series that resemble others", "all other series", "seconds", "seeds"]
        shown.append(f"### M4 Weekly, {part}\n\n" + markdown(head, rows))
    return "\n\n".join(shown)


def _failures(records: list[Record]) -> str:
    rows = [[one["model"], one["set"], one["part"], one["failed"]] for one in records if "failed" in one]
    return "### Without result\n\n" + markdown(["model", "set", "part", "why"], rows) if rows else ""
