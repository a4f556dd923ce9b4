"""What a direct forecaster is trained with: losses of points and quantiles, and the quantiles around a point."""

import torch
from torch import Tensor, nn
from torch.nn.functional import huber_loss

from tsrec.layers.forecast_parts import Parts, Window
from tsrec.training.batch import Batch

ENOUGH_SEEN = 0.8
# The spread has one factor per side, which a part of the steps shows well enough.
_PINBALL_STEPS = 12


class ForecastLosses(nn.Module):
    """The half of a `DirectForecaster` that knows what an error costs; the other half makes the ``parts``."""

    branch: nn.Module | None
    horizon: int
    levels: tuple[float, ...]
    loss: str
    covariate_share: Tensor
    spread_share: Tensor
    offsets: Tensor
    probabilities: Tensor

    def parts_of(self, batch: Batch) -> Parts:
        """Compute what the forecasts of a batch are made of."""
        raise NotImplementedError

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Point and pinball losses, and the branch's own; the pinball loss does not move the point forecast.

        Missing target steps (NaN) do not count, windows count by ``batch.weight``.
        """
        parts = self.parts_of(batch)
        point = self.point(parts)
        target, counted = self.targets(batch, parts.window)
        total = counted.sum().clamp_min(1e-12)
        error = (point - target) * parts.window.ratio
        losses = {"point": (self.point_loss(error) * counted).sum() / total}
        if self.levels and self.branch is not None:
            few = slice(None, None, -(-self.horizon // _PINBALL_STEPS))
            spread = parts.log_spread * self.spread_share
            pinball = self.pinball(point.detach(), spread, target, batch.variable, few)
            losses["quantile"] = (pinball * counted[:, few]).sum() / counted[:, few].sum().clamp_min(1e-12)
        return losses | parts.losses

    def targets(self, batch: Batch, window: Window) -> tuple[Tensor, Tensor]:
        """Targets in their units, zeros where they are missing, and how much each counts; both (B, H)."""
        assert batch.target is not None
        observed = ~batch.target.isnan()
        counted = observed.to(window.z.dtype)
        if batch.weight is not None:
            counted = counted * batch.weight[:, None]
        if self.loss == "absolute":
            counted = counted * window.scale
        return torch.where(observed, (batch.target - window.base) / window.unit, 0.0), counted

    def quantiles(
        self, point: Tensor, log_spread: Tensor, variable: Tensor | None = None, steps: slice = slice(None)
    ) -> Tensor:
        """Quantiles around a point forecast, in normalised units.

        The offsets of each side are stretched by one factor, which keeps their order: quantiles never cross.

        Parameters
        ----------
        point : Tensor of shape (B, H)
        log_spread : Tensor of shape (B, 2)
        variable : Tensor of int64, shape (B,), optional
            Needed where kinds of windows have quantiles of their own.
        steps : slice, optional
            Of the horizon.

        Returns
        -------
        Tensor of shape (B, H, Q)
        """
        below, above = log_spread.exp()[:, None, None].unbind(-1)
        offsets = self.offsets if self.offsets.ndim == 2 else self.offsets[variable]
        offsets = offsets[..., steps, :]
        stretched = offsets.clamp_max(0) * below + offsets.clamp_min(0) * above
        return point[:, steps, None] + stretched

    def pinball(
        self,
        point: Tensor,
        log_spread: Tensor,
        target: Tensor,
        variable: Tensor | None = None,
        steps: slice = slice(None),
    ) -> Tensor:
        """Twice the pinball loss, mean over levels (level 0.5 alone is the absolute error); (B, H)."""
        short = target[:, steps, None] - self.quantiles(point, log_spread, variable, steps)
        slope = self.probabilities - (short.detach() < 0).to(short.dtype)
        return 2 * (slope * short).mean(-1)

    def point_loss(self, error: Tensor) -> Tensor:
        """Loss of each error, in units of the window; shapes as given."""
        if self.loss == "mse":
            return error.square()
        if self.loss in ("mae", "absolute"):
            return error.abs()
        return huber_loss(error, torch.zeros_like(error), reduction="none")

    def sees_enough(self, context: Tensor, mask: Tensor | None) -> Tensor:
        """Whether windows have seen four fifths of their context, bool (B,)."""
        seen = torch.ones_like(context, dtype=torch.bool) if mask is None else mask
        return seen.float().mean(1) >= ENOUGH_SEEN

    def point(self, parts: Parts) -> Tensor:
        """Sum the parts up to the point forecast, normalised, (B, H)."""
        return parts.linear + parts.past + parts.share * parts.branch + self.covariate_share * parts.covariates
