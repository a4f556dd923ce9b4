"""Quantiles of a direct forecaster, from its errors on windows that it was not trained on."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from tsrec.layers.forecast import DirectForecaster
from tsrec.layers.forecast_parts import Window
from tsrec.training.batch import Batch

_ENOUGH_RESIDUALS = 200
_MAX_RESIDUALS = 8192
_ENOUGH_WINDOWS, _MOST_UNSURE = 20, 4.0


class Residuals(NamedTuple):
    """Errors (n, H) in units of the steps ahead; of their windows, whether they saw enough, and their kinds, (n,).

    Beside them the errors in units of the windows, (n, H).
    """

    values: Tensor
    enough: Tensor
    kind: Tensor
    plain: Tensor

    def where(self, rows: Tensor) -> "Residuals":
        """Those of some windows."""
        return Residuals._make(part[rows] for part in self)


def residuals_of(module: DirectForecaster, batch: Batch, values: Tensor, window: Window) -> Residuals:
    """Errors (B, H) of a batch, with what is to be known of its windows."""
    enough = module.sees_enough(batch.context, batch.mask)
    kind = torch.zeros_like(enough, dtype=torch.int64) if batch.variable is None else batch.variable
    return Residuals(values, enough, kind, values * window.ratio)


def mean_square(found: list[Residuals]) -> float:
    """Mean square of errors, in units of the windows."""
    errors = torch.cat([one.plain for one in found])
    return float(errors[~errors.isnan()].double().square().mean())


@torch.no_grad()
def fit_spread(module: DirectForecaster, batches: Iterable[Batch]) -> None:
    """Set the quantiles from the errors of the point forecast, for a module without a map in closed form.

    Every step gets its own quantiles; the spread that was trained window by window had none to start from, and is
    switched off.

    Parameters
    ----------
    module : DirectForecaster
        Trained, in eval mode; its buffers ``offsets`` and ``spread_share`` are written.
    batches : iterable of Batch
        Windows it was not trained on, on the module's device.
    """
    found = []
    for batch in batches:
        assert batch.target is not None
        parts = module.parts_of(batch)
        target = (batch.target - parts.window.base) / parts.window.unit
        found.append(residuals_of(module, batch, target - module.point(parts), parts.window))
    set_spread(module, found)
    module.spread_share.zero_()


def set_spread(module: DirectForecaster, found: list[Residuals]) -> None:
    """Write the offsets from residuals, centred on the point forecast; none leave the buffers as they are.

    Enough residuals give each step its own quantiles. Few give the normal ones of their root mean square: their own
    would be as narrow as the luck of a handful of windows.

    The scale of a window of which little was seen says little of its errors, which may be ten times as large in its
    units. Beside enough whole windows these have a factor of their own and no say in the offsets; a limit, since series
    that are asked for a forecast have seen more than the first of their windows.
    """
    if not found:
        return
    residuals = Residuals._make(torch.cat(parts) for parts in zip(*found, strict=True))
    residuals = residuals.where(residuals.values.isfinite().any(1))
    whole, partial_ = residuals.where(residuals.enough), residuals.where(~residuals.enough)
    if min(len(whole.enough), len(partial_.enough)) >= _ENOUGH_WINDOWS:
        wider = _size(partial_.values) / _size(whole.values).clamp_min(1e-6)
        module.unsure.fill_(float(wider.clamp(1.0, _MOST_UNSURE)))
        residuals = whole
    if not module.levels or not len(residuals.values):
        return
    if module.offsets.ndim == 2:
        module.offsets.copy_(_offsets(module, residuals.values))
        return
    # Of kinds that are not known nothing is expected: their units are those of the windows.
    everything = _offsets(module, residuals.plain)
    for kind in range(len(module.offsets)):
        own = residuals.values[residuals.kind == kind]
        module.offsets[kind] = _offsets(module, own) if len(own) else everything


def _offsets(module: DirectForecaster, residuals: Tensor) -> Tensor:
    """Quantiles (H, Q) of residuals (n, H), from their median."""
    residuals = residuals[:: max(1, math.ceil(len(residuals) / _MAX_RESIDUALS))]
    levels = torch.tensor((*module.levels, 0.5), dtype=residuals.dtype, device=residuals.device)
    if int((~residuals.isnan()).sum(0).min()) >= _ENOUGH_RESIDUALS:
        quantiles = residuals.nanquantile(levels, dim=0).T
        return quantiles[:, :-1] - quantiles[:, -1:]
    size = residuals.nan_to_num(0.0).square().sum(0) / (~residuals.isnan()).sum(0).clamp_min(1)
    size = torch.where(size > 0, size, size.mean()).sqrt().clamp_min(1e-6)
    return size[:, None] * torch.special.ndtri(levels[:-1])


def _size(residuals: Tensor) -> Tensor:
    """Root mean square of the residuals of a window, which four of five windows do not exceed."""
    return residuals.square().nanmean(1).sqrt().quantile(0.8)
