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

# Cut-offs that a report looks at.
_MOST = 512


def spread_cutoffs(panel: Panel, first: int, ahead: int) -> np.ndarray:
    """Cut-offs all over a panel, each with so many rows before and after it where there are such, (n, 2)."""
    room = np.maximum(panel.lengths - ahead - first + 1, 0)
    if not room.any():
        return np.stack([np.arange(panel.n_series), panel.lengths - ahead], axis=1)
    series = np.repeat(np.arange(panel.n_series), room)
    steps = np.arange(len(series)) - np.searchsorted(series, series) + first
    chosen = np.unique(np.linspace(0, len(series) - 1, _MOST).astype(int))
    return np.stack([series[chosen], steps[chosen]], axis=1)


def prompt_report(forecaster: Any, panel: Panel) -> pd.DataFrame:
    """Shares of the prompts of the pool, by component, over contexts all over a panel."""
    module: Any = getattr(forecaster.module_, "members", [forecaster.module_])[0]
    branch = module.branch
    pool = branch.prompts[0] if isinstance(branch, TEMPOBranch) and branch.prompts is not None else None
    if not isinstance(pool, PromptPool):
        raise ValueError("prompt_report: there is no pool. Fit with prompt='pool' and max_epochs of at least 1.")
    cutoffs = spread_cutoffs(panel, min(forecaster.context_, int(panel.lengths.max())), 0)
    names: list[str] = []

    def answer(windows: Any) -> torch.Tensor:
        found = branch.chosen(module._normalise(windows.context, windows.mask).z)
        names[:] = found
        return torch.stack(list(found.values()), dim=-1).float()

    numbers = [values for _, values in forecaster._run(*forecaster._prepared(panel, cutoffs), answer)]
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
    cutoffs = spread_cutoffs(panel, min(forecaster.context_, max(int(panel.lengths.max()) - horizon, 1)), horizon)
    if (panel.lengths[cutoffs[:, 0]] < horizon).any():
        raise ValueError(f"y: no series has more than {horizon} rows, the horizon. Give longer ones.")
    place = origins(panel.offsets, *cutoffs.T)
    before = contexts(panel.values, place, forecaster.context_)
    truth = panel.values[place.first[:, None] + np.arange(horizon)]
    usual = np.nan_to_num(mean_of_seen(before, (1,)))[:, None]
    parts = forecaster._components(panel, cutoffs)
    scale = np.maximum(mean_of_seen((truth - mean_of_seen(truth, (0, 1))) ** 2, (0, 1)), np.finfo(float).tiny)
    errors = {}

    def worth(chosen: frozenset[str]) -> np.ndarray:
        kept = sum((parts[name] for name in chosen), np.zeros_like(truth))
        # The trend holds the level of a window; what is left without it is that level alone.
        level = 0.0 if "trend" in chosen or "whole" in chosen else usual
        errors[chosen] = mean_of_seen((truth - kept - level) ** 2, (0, 1)) / scale
        return errors[chosen]

    found = shapley_values(tuple(parts), worth)
    table = pd.DataFrame(found, index=variable_names(panel.columns)).T
    named = {" + ".join(name for name in parts if name in chosen): one for chosen, one in errors.items()}
    table.attrs["errors"] = {name or "nothing": one.tolist() for name, one in named.items()}
    return table.rename_axis(index="component", columns="variable")
