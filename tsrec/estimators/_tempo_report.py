"""What a TEMPO model can tell of itself: which prompts were taken, and what each component is worth."""

from typing import Any

import numpy as np
import pandas as pd
import torch

from tsrec.frames import Panel, contexts, origins, variable_names
from tsrec.frames.seen import mean_of_seen
from tsrec.layers.prompt_pool import PromptPool, usage
from tsrec.layers.tempo import TEMPOBranch
from tsrec.metrics import shapley_values

# Cut-offs that a report looks at, and those that a module is asked for at once.
_MOST, _CHUNK = 512, 256


def spread_cutoffs(panel: Panel, before: int, ahead: int) -> np.ndarray:
    """Cut-offs all over the series that have more than `ahead` rows, (n, 2).

    Each has so many rows ahead of it, and so many before it; a series that has fewer of these gives all it has.
    """
    spare = panel.lengths - ahead
    first = np.minimum(before, spare)
    room = np.where(spare > 0, spare - first + 1, 0)
    series = np.repeat(np.arange(panel.n_series), room)
    steps = np.arange(len(series)) - np.searchsorted(series, series) + first[series]
    chosen = np.unique(np.linspace(0, len(series) - 1, min(_MOST, len(series))).astype(int))
    return np.stack([series[chosen], steps[chosen]], axis=1)


def prompt_report(forecaster: Any, panel: Panel) -> pd.DataFrame:
    """Shares of the prompts of the pool, by component, over contexts all over a panel."""
    module: Any = getattr(forecaster.module_, "members", [forecaster.module_])[0]
    branch = module.branch
    pool = branch.prompts[0] if isinstance(branch, TEMPOBranch) and branch.prompts is not None else None
    if not isinstance(pool, PromptPool):
        raise ValueError("prompt_report: there is no pool. Fit with prompt='pool' and max_epochs of at least 1.")
    cutoffs = spread_cutoffs(panel, forecaster._rows_read(panel), 0)
    names: list[str] = []

    def answer(windows: Any) -> torch.Tensor:
        found = branch.chosen(module.window(windows.context, windows.mask, None).z)
        names[:] = found
        return torch.stack(list(found.values()), dim=-1).float()

    numbers: list[np.ndarray] = []
    for at in range(0, len(cutoffs), _CHUNK):
        there = forecaster._prepared(panel, cutoffs[at : at + _CHUNK])
        numbers += [values for _, values in forecaster._run(*there, answer)]
    taken = torch.from_numpy(np.concatenate(numbers)).long()
    size, columns, spreads = len(pool.keys), {}, {}
    for number, name in enumerate(names):
        shares, spread = usage(taken[..., number], size)
        columns[name], spreads[name] = shares.numpy(), float(spread)
    report = pd.DataFrame(columns, index=pd.RangeIndex(size, name="prompt"))
    report.attrs["spread"] = spreads
    return report


def component_values(forecaster: Any, panel: Panel) -> pd.DataFrame:
    """Shapley values of the components in the error over windows all over a panel."""
    horizon = forecaster.horizon_
    cutoffs = spread_cutoffs(panel, forecaster._rows_read(panel), horizon)
    if not len(cutoffs):
        raise ValueError(f"y: no series has more than {horizon} rows, the horizon. Give longer ones.")
    place = origins(panel.offsets, *cutoffs.T)
    truth = panel.values[place.first[:, None] + np.arange(horizon)]
    if np.isnan(truth).all():
        raise ValueError("y: no value is observed where forecasts could be judged (all are NaN). Give other rows.")
    usual = _usual(forecaster, panel, cutoffs)
    parts = forecaster._components(panel, cutoffs)
    # The first part has the level of a window; what is left without it is that level alone.
    levelled = next(iter(parts))
    scale = np.maximum(mean_of_seen((truth - mean_of_seen(truth, (0, 1))) ** 2, (0, 1)), np.finfo(float).tiny)
    errors = {}

    def worth(chosen: frozenset[str]) -> np.ndarray:
        kept = sum((parts[name] for name in chosen), np.zeros_like(truth))
        errors[chosen] = mean_of_seen((truth - kept - (0.0 if levelled in chosen else usual)) ** 2, (0, 1)) / scale
        return errors[chosen]

    found = shapley_values(tuple(parts), worth)
    table = pd.DataFrame(found, index=variable_names(panel.columns)).T
    named = {" + ".join(name for name in parts if name in chosen): one for chosen, one in errors.items()}
    table.attrs["errors"] = {name or "nothing": one.tolist() for name, one in named.items()}
    return table.rename_axis(index="component", columns="variable")


def _usual(forecaster: Any, panel: Panel, cutoffs: np.ndarray) -> np.ndarray:
    """Means of the rows that forecasts are made from, (n, 1, n_channels); 0 where none was observed."""
    rows, found = forecaster._rows_read(panel), []
    for at in range(0, len(cutoffs), _CHUNK):
        before = contexts(panel.values, origins(panel.offsets, *cutoffs[at : at + _CHUNK].T), rows)
        found.append(np.nan_to_num(mean_of_seen(before, 1)))
    return np.concatenate(found)[:, None]
