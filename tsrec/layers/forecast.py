"""A direct forecaster: closed-form linear map plus a branch that learns what the map leaves over.

The linear skip and its closed form: Zeng et al. (2023), arXiv:2205.13504; Toner and Darlow (2024), arXiv:2403.14587.
The branch's last layer starts at zero, so training starts at the linear forecast and cannot begin worse.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tsrec.layers.beside import NOTHING, CovariateNet, Sizes, Told, zeroed
from tsrec.layers.forecast_losses import ENOUGH_SEEN as ENOUGH_SEEN
from tsrec.layers.forecast_losses import ForecastLosses
from tsrec.layers.forecast_parts import LOSSES as LOSSES
from tsrec.layers.forecast_parts import Parts, Window, check_choices
from tsrec.layers.normalise import normalise
from tsrec.layers.parameter_groups import parameter_groups
from tsrec.layers.random import Dropout, Linear, default_generator
from tsrec.layers.ridge import mapped
from tsrec.layers.structural import StructuralMaps
from tsrec.training.batch import Batch

LEVELS = (0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975)
_MAX_LOG_FACTOR = 3.0
# Steps before the cut-off whose covariates have a closed-form effect; fewer of very many covariates, since the time to
# solve for it grows with the cube of their product.
_PAST_STEPS, _PAST_NUMBERS = 24, 1200


class DirectForecaster(ForecastLosses):
    """Forecast H steps of one channel from L, all at once, with quantiles.

    With z the window in its own units and W the map of its variable,
    point = z W + shrink * head(branch(z)) + covariates, and
    quantile_q = point + offset_q * exp(spread_share * spread), with one spread per side from the branch; windows
    that have seen little have offsets ``unsure`` times as large. Units of a forecast are those of its window; with a
    structural model they are what that expects, as level, and how far it expects to be off, as scale.

    Parameters
    ----------
    branch : nn.Module or None
        Features of a window, as :mod:`tsrec.layers.patch` says; None: no branch.
    context, horizon : int
        L and H, steps.
    covariates : int, default 0
        Number C of covariates known over the horizon.
    beside : Sizes, optional
        What else is known beside a window; nothing when omitted.
    levels : sequence of float
        Levels of the quantiles, increasing, in (0, 1); may be empty.
    normalisation : {"last", "mean", "level"}, default "last"
        See :func:`tsrec.layers.normalise.normalise`.
    floor : float, default 0.1
        Smallest scale of a window, relative to the buffer ``fallback_scale``.
    linear : {"ridge", "learned"} or None, default "ridge"
        W is a buffer (set by :func:`tsrec.layers.closed_form.fit_closed_form`), a parameter that starts at zero, or
        absent.
    maps : int, default 1
        Number V of variables that have a W of their own, with linear="ridge"; 1: all share one.
    apart : bool, default False
        Whether variables are kinds of windows that have nothing in common, so that each has a share of the branch and
        quantiles of its own.
    structural : StructuralMaps, optional
        What is expected of a window; everything else is then learned of what is left.
    loss : {"mse", "mae", "huber", "absolute"}, default "mse"
        Of the point forecast, in normalised units; "absolute" is the absolute error in the units of the context, for
        windows whose weights say what an error of theirs costs.
    name : str, default "recurrent"
        What the branch is called among the components.
    dropout : float, default 0.3
        Before the heads.
    generator : torch.Generator, optional
        Source of the initial values; seed 0 when omitted.

    Attributes
    ----------
    linear : Tensor of shape (L, H) or (V, L, H), or None
    past_map : Tensor of shape (K, H) or (V, K, H), or None
        From the covariates of the last K / P steps, in the windows' scale, with linear="ridge".
    shrink : Tensor of shape () or (V,)
        Share of the branch that is used, 1 until set; of each kind of windows, where these have nothing in common.
    covariate_share : Tensor, scalar
        Share of the covariates' net that is used, 1 until set.
    spread_share : Tensor, scalar
        Share of the branch's say on the spread, 1 until set.
    unsure : Tensor, scalar
        How much wider the quantiles are of windows that have seen less than four fifths of their context.
    offsets : Tensor of shape (H, Q) or (V, H, Q)
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
    past_map: Tensor | None
    shrink: Tensor
    unsure: Tensor
    fallback_loc: Tensor
    fallback_scale: Tensor

    def __init__(
        self,
        branch: nn.Module | None,
        *,
        context: int,
        horizon: int,
        covariates: int = 0,
        beside: Sizes = NOTHING,
        levels: Sequence[float] = LEVELS,
        normalisation: str = "last",
        floor: float = 0.1,
        linear: str | None = "ridge",
        maps: int = 1,
        apart: bool = False,
        structural: StructuralMaps | None = None,
        loss: str = "mse",
        name: str = "recurrent",
        dropout: float = 0.3,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        check_choices(normalisation, linear, loss, levels)
        generator = default_generator(generator)
        self.context, self.horizon, self.name = context, horizon, name
        self.normalisation, self.floor, self.loss, self.levels = normalisation, floor, loss, tuple(levels)
        self.branch = branch
        if branch is not None:
            features: int = branch.n_features  # type: ignore[assignment]
            self.dropout = Dropout(dropout)
            self.head = zeroed(Linear(features, horizon, generator=generator))
            self.spread = zeroed(Linear(features, 2, generator=generator))
        self.covariate_net = CovariateNet(covariates, beside, generator=generator) if covariates else None
        self.structural = structural
        self._make_closed_form(linear, maps, apart)
        self._make_past_map(beside.past if linear == "ridge" else 0, maps)

    def _make_past_map(self, past: int, maps: int) -> None:
        """Register the map of what covariates were before the cut-off."""
        self.past_steps = min(self.context, _PAST_STEPS, max(_PAST_NUMBERS // max(past, 1), 1))
        size = (self.past_steps * past, self.horizon)
        zeros = torch.zeros(*([maps] if maps > 1 else []), *size)
        self.register_buffer("past_map", zeros if past else None)

    def _make_closed_form(self, linear: str | None, maps: int, apart: bool) -> None:
        """Register what is solved for, not trained (but for a learned W)."""
        own = [maps] if linear == "ridge" and maps > 1 else []
        start = torch.zeros(*own, self.context, self.horizon)
        if linear == "learned":
            self.linear = nn.Parameter(start)
        else:
            self.register_buffer("linear", start if linear == "ridge" else None)
        kinds = own if apart else []
        self.register_buffer("shrink", torch.ones(kinds))
        self.register_buffer("covariate_share", torch.ones(()))
        self.register_buffer("spread_share", torch.ones(()))
        self.register_buffer("unsure", torch.ones(()))
        normal = torch.special.ndtri(torch.tensor(self.levels, dtype=torch.float64)).float()
        self.register_buffer("offsets", normal.expand(*kinds, self.horizon, -1).clone())
        self.register_buffer("probabilities", torch.tensor(self.levels))
        self.register_buffer("fallback_loc", torch.zeros(()))
        self.register_buffer("fallback_scale", torch.ones(()))

    @property
    def maps(self) -> int:
        """Number V of variables that have a map of their own; 1 where all share one, or none has any."""
        return 1 if self.linear is None or self.linear.ndim == 2 else len(self.linear)

    def forward(
        self,
        context: Tensor,
        mask: Tensor | None = None,
        future: Tensor | None = None,
        variable: Tensor | None = None,
        static: Tensor | None = None,
        past: Tensor | None = None,
        series: Tensor | None = None,
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
        variable : Tensor of int64, shape (B,), optional
            Which variable each window is of, where these have maps of their own.
        static : Tensor of shape (B, S), optional
            What does not change within a series.
        past : Tensor of shape (B, L, P), optional
            Covariates beside the window.
        series : Tensor of int64, shape (B,), optional
            Which series a window is of; -1 for one that is not known.

        Returns
        -------
        point : Tensor of shape (B, H)
        quantiles : Tensor of shape (B, H, Q)
            Increasing along the last axis.
        """
        parts = self.parts(context, mask, future, variable, static, past, series)
        base, unit = parts.window.base, parts.window.unit
        point = self.point(parts)
        log_spread = parts.log_spread * self.spread_share
        unsure = torch.where(self.sees_enough(context, mask), 0.0, self.unsure.log())
        quantiles = self.quantiles(point, log_spread + unsure[:, None], variable)
        return base + unit * point, base[..., None] + unit[..., None] * quantiles

    @torch.no_grad()
    def embed(self, context: Tensor, mask: Tensor | None = None, variable: Tensor | None = None) -> Tensor:
        """Summarise windows: by the branch, or the linear forecast without one.

        Parameters
        ----------
        context, mask, variable
            As in :meth:`forward`.

        Returns
        -------
        Tensor of shape (B, D) or (B, H)
        """
        z, loc, scale, base, unit, _ = self.window(context, mask, variable)
        if self.branch is not None:
            return self.branch.embed(z, mask)  # type: ignore[operator]
        return z if self.linear is None else (base + unit * self._mapped(z, variable) - loc) / scale

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Groups for the optimiser, with what each layer says about its own parameters."""
        return parameter_groups(self)

    def components(
        self,
        context: Tensor,
        mask: Tensor | None = None,
        future: Tensor | None = None,
        variable: Tensor | None = None,
        static: Tensor | None = None,
        past: Tensor | None = None,
        series: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Split the point forecast; the parts (B, H) sum to it, in data units.

        Parameters
        ----------
        context, mask, future, variable, static, past, series
            As in :meth:`forward`.

        Returns
        -------
        dict of Tensor of shape (B, H)
            "linear" (with the level of the window, or what is expected), and the branch and "covariates" where the
            module has them.
        """
        parts = self.parts(context, mask, future, variable, static, past, series)
        found = self.named(parts, variable)
        if self.past_map is not None:
            found["past covariates"] = parts.window.unit * parts.past
        if self.covariate_net is not None:
            found["covariates"] = parts.window.unit * self.covariate_share * parts.covariates
        return found

    def named(self, parts: Parts, variable: Tensor | None) -> dict[str, Tensor]:  # noqa: ARG002 - for other splits
        """Split all but what covariates add, (B, H) each, in data units."""
        base, unit = parts.window.base, parts.window.unit
        found = {"linear": base + unit * parts.linear}
        if self.branch is not None:
            found[self.name] = unit * parts.share * parts.branch
        return found

    def parts(
        self,
        context: Tensor,
        mask: Tensor | None = None,
        future: Tensor | None = None,
        variable: Tensor | None = None,
        static: Tensor | None = None,
        past: Tensor | None = None,
        series: Tensor | None = None,
    ) -> Parts:
        """Compute what a forecast is made of; arguments as in :meth:`forward`."""
        window = self.window(context, mask, variable)
        nothing = window.z.new_zeros(context.shape[0], self.horizon)
        linear = self._mapped(window.z, variable)
        told = Told(static, past, series)
        branch, log_spread = nothing, nothing.new_zeros(context.shape[0], 2)
        losses: dict[str, Tensor] = {}
        features: Tensor | None = None
        if self.branch is not None:
            features, losses = self.branch(window.z, mask, told)
            features = self.dropout(features)
            branch = self.head(features)
            if self.levels:
                # Detached: the pinball loss shapes the spread alone, so the point forecast is the same without it.
                log_spread = self.spread(features.detach()).clamp(-_MAX_LOG_FACTOR, _MAX_LOG_FACTOR)
        covariates = nothing
        if self.covariate_net is not None and future is not None:
            covariates = self.covariate_net(future, told)
        share = self.shrink
        if share.ndim:
            assert variable is not None
            share = share[variable][:, None]
        before = nothing if past is None else self.past_effect(past, window, variable)
        return Parts(linear, branch, covariates, log_spread, window, losses, share, features, before)

    def parts_of(self, batch: Batch) -> Parts:
        """Compute what the forecasts of a batch are made of."""
        told = batch.static, batch.past, batch.series
        return self.parts(batch.context, batch.mask, batch.future, batch.variable, *told)

    def past_inputs(self, past: Tensor, window: Window) -> Tensor:
        """Covariates (B, L, P) as the map takes them, (B, K): an effect is in data units, whatever the window's are."""
        return past[:, -self.past_steps :].flatten(1) / window.scale

    def past_effect(self, past: Tensor, window: Window, variable: Tensor | None) -> Tensor:
        """What covariates before the cut-off add, in units of the steps ahead, (B, H)."""
        if self.past_map is None:
            return window.z.new_zeros(window.z.shape[0], self.horizon)
        return mapped(self.past_inputs(past, window), self.past_map, variable) / window.ratio

    def window(self, context: Tensor, mask: Tensor | None, variable: Tensor | None) -> Window:
        """Normalise windows (B, L), and tell the units of what follows them."""
        z, loc, scale = normalise(
            context,
            mask,
            mode=self.normalisation,
            floor=self.floor,
            fallback_loc=self.fallback_loc,
            fallback_scale=self.fallback_scale,
        )
        if self.structural is None:
            return Window(z, loc, scale, loc, scale)
        expected = self.structural(z, variable)
        return Window(z, loc, scale, loc + scale * expected.point, scale * expected.spread, expected.blend)

    def _mapped(self, z: Tensor, variable: Tensor | None) -> Tensor:
        return z.new_zeros(z.shape[0], self.horizon) if self.linear is None else mapped(z, self.linear, variable)
