"""A linear map, in closed form, from what covariates were before the cut-off to what a linear forecast leaves over.

A regression of residuals on further regressors (Frisch and Waugh 1933): what the window says itself is taken out first.
"""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from tsrec.layers.closed_form import Chunks, normalised, unseen_residuals, window_weight
from tsrec.layers.forecast import DirectForecaster
from tsrec.layers.ridge import PENALTIES, RidgeMap, mapped, solve_ridge
from tsrec.layers.ridge_sums import RidgeStatistics
from tsrec.layers.spread import set_spread
from tsrec.training.batch import Batch

_LEAST_GAIN = 0.01


@torch.no_grad()
def fit_past_map(module: DirectForecaster, chunks: Chunks, solution: RidgeMap) -> list[Tensor]:
    """Solve the map of past covariates beside a linear map, and set the spread anew.

    It is used for a variable only where it lowers the square error on every fold by a hundredth.

    Parameters
    ----------
    module : DirectForecaster
        With a ``past_map``; this and its ``offsets`` are written.
    chunks : callable
        As for :func:`tsrec.layers.closed_form.fit_closed_form`.
    solution : RidgeMap
        What that gave.

    Returns
    -------
    list of Tensor of the shape of ``past_map``
        Each fold's map, from its training segments only, as ``solution.fold_weights``.
    """
    assert module.past_map is not None
    own = module.past_map.ndim == 3 and module.maps > 1
    variables: Sequence[int | None] = range(module.maps) if own else (None,)
    found = [_solved(module, partial(chunks, variable), solution) for variable in variables]
    weight, folds = found[0] if not own else _stacked(found)
    module.past_map = weight.to(module.past_map)
    set_spread(module, unseen_residuals(module, chunks, solution, folds))
    return folds


def _solved(module: DirectForecaster, chunks: Chunks, solution: RidgeMap) -> tuple[Tensor, list[Tensor]]:
    """The map of some windows, and that of each fold; zeros where it gains nothing."""
    assert module.past_map is not None
    statistics = RidgeStatistics(*module.past_map.shape[-2:])
    for segment, batch in chunks():
        assert batch.past is not None
        inputs, left, weight = _left_over(module, batch, solution)
        statistics.add(inputs, left, segment, weight)
    nothing = torch.zeros_like(module.past_map if module.past_map.ndim == 2 else module.past_map[0])
    if not float(statistics.gram.diagonal(dim1=-2, dim2=-1).sum()):
        return nothing, [nothing for _ in solution.fold_weights]
    found = solve_ridge(statistics, penalties=PENALTIES, prior=nothing.double())
    chosen = PENALTIES.index(found.penalty)
    gains = found.errors[:, chosen] < (1 - _LEAST_GAIN) * found.errors[:, -1]
    if not len(gains) or not bool(gains.all()) or len(found.fold_weights) != len(solution.fold_weights):
        return nothing, [nothing for _ in solution.fold_weights]
    return found.weight, list(found.fold_weights)


def _left_over(module: DirectForecaster, batch: Batch, solution: RidgeMap) -> tuple[Tensor, Tensor, Tensor | None]:
    """Inputs (B, K), what the linear map leaves over, (B, H), both in the windows' scale, and weights."""
    assert batch.past is not None
    window, target = normalised(module, batch)
    left = (target - mapped(window.z, solution.weight.to(window.z), batch.variable)) * window.ratio
    observed = ~left.isnan()
    share = None if bool(observed.all()) else observed.to(left.dtype).mean(1)
    return module.past_inputs(batch.past, window), left.nan_to_num(0.0), window_weight(batch, share)


def _stacked(found: list[tuple[Tensor, list[Tensor]]]) -> tuple[Tensor, list[Tensor]]:
    """The maps of variables as one tensor, of all windows and of each fold."""
    weights, folds = zip(*found, strict=True)
    return torch.stack(weights), [torch.stack(maps) for maps in zip(*folds, strict=True)]
