"""A direct forecaster: closed-form linear map plus a recurrent branch that learns what the map leaves over.

Channel-independent patches: Nie et al. (2023), A Time Series is Worth 64 Words, arXiv:2211.14730. The linear skip and
its closed form: Zeng et al. (2023), arXiv:2205.13504; Toner and Darlow (2024), arXiv:2403.14587. The branch's last
layer starts at zero, so training starts at the linear forecast and cannot begin worse.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import huber_loss

from tsrec.layers.normalise import MODES, Normalised, normalise
from tsrec.layers.parameter_groups import parameter_groups
from tsrec.layers.random import Dropout, Linear, default_generator
from tsrec.training.batch import Batch

LEVELS = (0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975)
LOSSES = ("mse", "mae", "huber")
_MAX_LOG_FACTOR = 3.0
_COVARIATE_WIDTH = 16


class _Answer(NamedTuple):
    """A forecast in normalised units: point (B, H), quantiles (B, H, Q), and the windows' level and scale."""

    point: Tensor
    quantiles: Tensor
    window: Normalised


class DirectForecaster(nn.Module):
    """Forecast H steps of one channel from L, all at once, with quantiles.

    With z the window in its own units, point = z W + shrink * head(mixer(patches(z))) + covariates, and
    quantile_q = point + anchor + offset_q * exp(spread), where one spread per step and side comes from the branch.

    Parameters
    ----------
    mixer : nn.Module or None
        forward(x (B, T, D), state, mask) -> (y (B, T, D), state), causal, T = context // patch. None: no branch.
    context, horizon : int
        L and H, steps.
    d_model : int, default 16
        Width D of the branch; the mixer's.
    patch : int, default 48
        Steps P per patch; cut to ``context`` where that is shorter. The oldest L mod P steps are seen by W alone.
    covariates : int, default 0
        Number C of covariates known over the horizon.
    levels : sequence of float
        Levels of the quantiles, increasing, in (0, 1); may be empty.
    normalisation : {"last", "mean", "level"}, default "last"
        See :func:`tsrec.layers.normalise.normalise`.
    floor : float, default 0.1
        Smallest scale of a window, relative to the buffer ``fallback_scale``.
    linear : {"ridge", "learned"} or None, default "ridge"
        W is a buffer (set by :func:`tsrec.layers.closed_form.fit_closed_form`), a parameter that starts at zero, or
        absent.
    loss : {"mse", "mae", "huber"}, default "mse"
        Of the point forecast, in normalised units.
    dropout : float, default 0.3
        Before the heads.
    generator : torch.Generator, optional
        Source of the initial values; seed 0 when omitted.

    Attributes
    ----------
    linear : Tensor of shape (L, H) or None
    shrink : Tensor, scalar
        Share of the branch that is used, 1 until set.
    anchor : Tensor of shape (H,)
        Median of the residual.
    offsets : Tensor of shape (H, Q)
        Distance of each quantile from the median, at spread 0.
    fallback_loc, fallback_scale : Tensor, scalar
        For windows without observations; see ``normalise``.

    Raises
    ------
    ValueError
        For an unknown mode or loss, or levels out of order.

    Examples
    --------
    >>> net = DirectForecaster(None, context=8, horizon=3, levels=(0.1, 0.9))
    >>> point, quantiles = net(torch.arange(8.0)[None])
    >>> point.tolist(), quantiles.shape
    ([[7.0, 7.0, 7.0]], torch.Size([1, 3, 2]))
    """

    linear: Tensor | None
    shrink: Tensor
    anchor: Tensor
    offsets: Tensor
    probabilities: Tensor
    fallback_loc: Tensor
    fallback_scale: Tensor

    def __init__(
        self,
        mixer: nn.Module | None,
        *,
        context: int,
        horizon: int,
        d_model: int = 16,
        patch: int = 48,
        covariates: int = 0,
        levels: Sequence[float] = LEVELS,
        normalisation: str = "last",
        floor: float = 0.1,
        linear: str | None = "ridge",
        loss: str = "mse",
        dropout: float = 0.3,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        _check_choices(normalisation, linear, loss, levels)
        generator = default_generator(generator)
        self.context, self.horizon, self.patch = context, horizon, min(patch, context)
        self.normalisation, self.floor, self.loss, self.levels = normalisation, floor, loss, tuple(levels)
        self.mixer = mixer
        if mixer is not None:
            features = context // self.patch * d_model
            self.embedding = Linear(self.patch, d_model, generator=generator)
            self.dropout = Dropout(dropout)
            self.head = _zeroed(Linear(features, horizon, generator=generator))
            self.spread = _zeroed(Linear(features, 2 * horizon, generator=generator))
        self.covariate_net = _covariate_net(covariates, generator) if covariates else None
        self._make_closed_form(linear)

    def _make_closed_form(self, linear: str | None) -> None:
        """Register what is solved for, not trained (but for a learned W)."""
        start = torch.zeros(self.context, self.horizon)
        if linear == "learned":
            self.linear = nn.Parameter(start)
        else:
            self.register_buffer("linear", start if linear == "ridge" else None)
        self.register_buffer("shrink", torch.ones(()))
        self.register_buffer("anchor", torch.zeros(self.horizon))
        normal = torch.special.ndtri(torch.tensor(self.levels, dtype=torch.float64)).float()
        self.register_buffer("offsets", normal.expand(self.horizon, -1).clone())
        self.register_buffer("probabilities", torch.tensor(self.levels))
        self.register_buffer("fallback_loc", torch.zeros(()))
        self.register_buffer("fallback_scale", torch.ones(()))

    def forward(
        self, context: Tensor, mask: Tensor | None = None, future: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Forecast in data units.

        Parameters
        ----------
        context : Tensor of shape (B, L)
            Windows; NaN is allowed where ``mask`` is False.
        mask : Tensor of bool, shape (B, L), optional
            True where observed.
        future : Tensor of shape (B, H, C), optional
            Covariates of the steps ahead; NaN counts as 0.

        Returns
        -------
        point : Tensor of shape (B, H)
        quantiles : Tensor of shape (B, H, Q)
            Increasing along the last axis.
        """
        point, quantiles, (_, loc, scale) = self._answer(context, mask, future)
        return loc + scale * point, loc[..., None] + scale[..., None] * quantiles

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Point and pinball losses in normalised units; the pinball loss does not move the point forecast.

        Missing target steps (NaN) do not count, windows count by ``batch.weight``.
        """
        assert batch.target is not None
        point, quantiles, (_, loc, scale) = self._answer(batch.context, batch.mask, batch.future)
        observed = ~batch.target.isnan()
        target = torch.where(observed, (batch.target - loc) / scale, 0.0)
        counted = observed.to(target.dtype)
        if batch.weight is not None:
            counted = counted * batch.weight[:, None]
        total = counted.sum().clamp_min(1e-12)
        losses = {"point": (self._point_loss(point, target) * counted).sum() / total}
        if self.levels:
            pinball = _pinball(quantiles, target, self.probabilities)
            losses["quantile"] = (pinball.mean(-1) * counted).sum() / total
        return losses

    @torch.no_grad()
    def embed(self, context: Tensor, mask: Tensor | None = None) -> Tensor:
        """Summarise windows: the mean over patches of the mixer's output, or the linear forecast without a mixer.

        Parameters
        ----------
        context : Tensor of shape (B, L)
        mask : Tensor of bool, shape (B, L), optional

        Returns
        -------
        Tensor of shape (B, D) or (B, H)
        """
        z = self._normalise(context, mask).z
        if self.mixer is None:
            return z if self.linear is None else z @ self.linear
        return self._mixed(z, mask).mean(1)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Groups for the optimiser, with what each layer says about its own parameters."""
        return parameter_groups(self)

    def residual_parts(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """What W leaves over and what the branch says about it, for the closed-form shrinkage.

        Returns
        -------
        residual, branch : Tensor of shape (B, H)
            Normalised units; the residual is NaN where the target is.
        """
        assert batch.target is not None
        window = self._normalise(batch.context, batch.mask)
        residual = (batch.target - window.loc) / window.scale - self._linear_part(window.z)
        if self.covariate_net is not None and batch.future is not None:
            residual = residual - self._covariate_part(batch.future)
        if self.mixer is None:
            return residual, torch.zeros_like(residual)
        return residual, self.head(self.dropout(self._mixed(window.z, batch.mask).flatten(1)))

    def _normalise(self, context: Tensor, mask: Tensor | None) -> Normalised:
        return normalise(
            context,
            mask,
            mode=self.normalisation,
            floor=self.floor,
            fallback_loc=self.fallback_loc,
            fallback_scale=self.fallback_scale,
        )

    def _answer(self, context: Tensor, mask: Tensor | None, future: Tensor | None) -> _Answer:
        window = self._normalise(context, mask)
        point = self._linear_part(window.z)
        log_factor = None
        if self.mixer is not None:
            features = self.dropout(self._mixed(window.z, mask).flatten(1))
            point = point + self.shrink * self.head(features)
            if self.levels:
                # Detached: the pinball loss shapes the spread alone, so the point forecast is the same without it.
                log_factor = self.spread(features.detach()).unflatten(1, (self.horizon, 2))
        if self.covariate_net is not None and future is not None:
            point = point + self._covariate_part(future)
        return _Answer(point, self._quantiles(point.detach(), log_factor), window)

    def _linear_part(self, z: Tensor) -> Tensor:
        return z.new_zeros(len(z), self.horizon) if self.linear is None else z @ self.linear

    def _covariate_part(self, future: Tensor) -> Tensor:
        assert self.covariate_net is not None
        return self.covariate_net(future.nan_to_num(0.0)).squeeze(-1)

    def _mixed(self, z: Tensor, mask: Tensor | None) -> Tensor:
        """Cut the window's latest steps into patches (B, T, P), embed (B, T, D), mix (B, T, D)."""
        assert self.mixer is not None
        used = self.context // self.patch * self.patch
        patches = self.embedding(z[:, -used:].unflatten(1, (-1, self.patch)))
        seen = None if mask is None else mask[:, -used:].unflatten(1, (-1, self.patch)).any(-1)
        return self.mixer(patches, None, seen)[0]

    def _quantiles(self, point: Tensor, log_factor: Tensor | None) -> Tensor:
        """Stretch the offsets of each side; their order is kept, so quantiles never cross."""
        offsets = self.offsets.expand(len(point), -1, -1)
        if log_factor is not None:
            factor = log_factor.clamp(-_MAX_LOG_FACTOR, _MAX_LOG_FACTOR).exp()
            offsets = torch.where(offsets > 0, offsets * factor[..., 1:], offsets * factor[..., :1])
        return (point + self.anchor)[..., None] + offsets

    def _point_loss(self, point: Tensor, target: Tensor) -> Tensor:
        if self.loss == "mse":
            return (point - target).square()
        if self.loss == "mae":
            return (point - target).abs()
        return huber_loss(point, target, reduction="none")


def _pinball(quantiles: Tensor, target: Tensor, probabilities: Tensor) -> Tensor:
    """Twice the pinball loss, so that level 0.5 is the absolute error; (B, H, Q)."""
    short = target[..., None] - quantiles
    return 2 * torch.maximum(probabilities * short, (probabilities - 1) * short)


def _covariate_net(covariates: int, generator: torch.Generator) -> nn.Sequential:
    hidden = Linear(covariates, _COVARIATE_WIDTH, generator=generator)
    return nn.Sequential(hidden, nn.GELU(), _zeroed(Linear(_COVARIATE_WIDTH, 1, generator=generator)))


def _zeroed(layer: Linear) -> Linear:
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
    return layer


def _check_choices(normalisation: str, linear: str | None, loss: str, levels: Sequence[float]) -> None:
    if normalisation not in MODES:
        raise ValueError(f"normalisation={normalisation!r} is not known; use one of {MODES}.")
    if linear not in ("ridge", "learned", None):
        raise ValueError(f"linear={linear!r} is not known; use 'ridge', 'learned' or None.")
    if loss not in LOSSES:
        raise ValueError(f"loss={loss!r} is not known; use one of {LOSSES}.")
    if any(not 0 < level < 1 for level in levels) or list(levels) != sorted(set(levels)):
        raise ValueError(f"levels must increase and lie in (0, 1). Got {tuple(levels)}.")
