"""Fit the closed-form parts of a direct forecaster: linear map and its spread, share of the branch."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from tsrec.layers.forecast import DirectForecaster
from tsrec.layers.forecast_parts import Window
from tsrec.layers.known import Known
from tsrec.layers.ridge import PENALTIES, RidgeMap, Root, mapped, solve_apart, solve_own, solve_ridge
from tsrec.layers.ridge_sums import RidgeStatistics
from tsrec.layers.segments import FOLDS
from tsrec.layers.spread import Residuals, mean_square, residuals_of, set_spread
from tsrec.training.bar import still
from tsrec.training.batch import Batch
from tsrec.training.windows import WindowBatches


class Chunks(Protocol):
    """Gives windows in chunks of a few thousand, each chunk with its segment (0 to 5)."""

    def __call__(self, variable: int | None = None) -> Iterable[tuple[int, Batch]]:
        """All windows, or those of one variable."""


# Multiplications of the Gram matrix, less than a second of one core.
_MAX_PRODUCTS = 1.5e10
_SHARES = 21
_LEAST_GAIN = 0.01
_SPREAD_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)


def thinned_chunks(windows: WindowBatches, segments: Tensor) -> Chunks:
    """Chunks of every k-th window, so that a long context takes seconds; neighbours in time tell next to nothing new.

    Parameters
    ----------
    windows : WindowBatches
        In order of time within each series.
    segments : Tensor of int64, shape (n,)
        As :func:`tsrec.layers.segments.time_segments` gives them.

    Returns
    -------
    callable
        The windows kept count for those left out.
    """
    stride = math.ceil(len(segments) * windows.context * (windows.context + windows.horizon) / _MAX_PRODUCTS)
    if stride > 1:
        kept = torch.arange(0, len(segments), stride)
        windows, segments = windows.subset(kept), segments[kept]
        windows.weight = stride * (torch.ones(len(kept)) if windows.weight is None else windows.weight)

    def chunks(variable: int | None = None) -> Iterator[tuple[int, Batch]]:
        if variable is None:
            return windows.chunks(segments)
        if windows.variable is None:
            raise ValueError("windows: they have no variable. Say which one each window is of, or let all share a map.")
        rows = (windows.variable == variable).nonzero()[:, 0]
        return windows.subset(rows).chunks(segments[rows])

    return chunks


def steps_of(module: DirectForecaster) -> int:
    """How far `fit_closed_form` moves a bar: sums and folds, twice at most, sums of each variable, and the spread."""
    return 2 * (1 + len(FOLDS)) + (module.maps if module.maps > 1 else 0) + 1


@torch.no_grad()
def fit_closed_form(
    module: DirectForecaster,
    chunks: Chunks,
    *,
    prior: Tensor | Sequence[Tensor] | None = None,
    penalties: Sequence[float] = PENALTIES,
    root: Root | None = None,
    apart: bool = False,
    known: Known | None = None,
    move: Callable[[int], Any] = still,
) -> RidgeMap:
    """Solve W on all windows, penalty by blocked validation, and set the spread from residuals of unseen segments.

    Missing target steps are filled with the prior's forecast, then once with that of the map of all, which leaves them
    no say in it; windows count by the share of steps that were observed. With ``module.maps`` above 1, each variable
    then gets a map of its own, shrunk to that of all, if that is better on the folds; else the module has one map from
    then on.

    Beside a structural model maps and priors are of what it leaves over, in its units, so that errors count by how far
    off it expects to be (in units of the windows errors on folds were 1 to 3 % higher); where it expects something of
    some kinds only, priors are those of the others, and the map of all is for kinds that are not known.

    Parameters
    ----------
    module : DirectForecaster
        With linear="ridge"; its buffers ``linear`` and ``offsets`` are written.
    chunks : callable
        As :meth:`tsrec.training.WindowBatches.chunks` makes them, with :func:`tsrec.layers.segments.time_segments`.
    prior : Tensor of shape (L, H) or sequence of them, optional
        Map to shrink towards, such as :func:`tsrec.layers.seasonal.seasonal_mean_map`.
    penalties : sequence of float
    root : Root, optional
        As for :func:`tsrec.layers.ridge.solve_ridge`.
    apart : bool
        Whether variables are kinds of windows that have nothing to do with each other: their maps are then solved as
        if there were no others.
    known : Known, optional
        What modules that see the same contexts share.
    move : callable
        Takes how much was done since the last call, `steps_of` the module in all.

    Returns
    -------
    RidgeMap

    Raises
    ------
    ValueError
        If the module has no ridge map.
    """
    if module.linear is None or isinstance(module.linear, torch.nn.Parameter):
        raise ValueError("fit_closed_form needs a DirectForecaster with linear='ridge'.")
    first = prior if prior is None or isinstance(prior, Tensor) else prior[0]
    guess = module.linear.new_zeros(module.context, module.horizon) if first is None else first.to(module.linear)
    known = Known() if known is None else known
    statistics, missing = _statistics(module, chunks, guess, plain=apart)
    move(1)
    how: dict[str, Any] = {"penalties": penalties, "root": root}
    solution = solve_ridge(statistics, prior=prior, known=known, move=move, **how)
    if missing:
        guess = solution.weight.to(module.linear)
        statistics, _ = _statistics(module, chunks, guess, plain=apart, gram=statistics.gram)
        move(1)
        solution = solve_ridge(statistics, prior=prior, known=known, move=move, **how)
    else:
        move(1 + len(FOLDS))
    if module.maps > 1:
        left = _left_over(module)
        # One after the other: sums of a long context take memory.
        own = [
            partial(_sums, module, partial(chunks, variable), 0 * guess if left[variable] else guess, move)
            for variable in range(module.maps)
        ]
        if apart:
            solution = solve_apart(own, solution, [None if expected else prior for expected in left], **how)
        elif solution.fold_weights:
            solution = solve_own(own, solution, root=root)
        else:
            # Nothing speaks for maps of their own.
            move(module.maps)
    module.linear = solution.weight.to(module.linear)
    found = unseen_residuals(module, chunks, solution)
    set_spread(module, found)
    move(1)
    return solution._replace(held_out=mean_square(found)) if solution.fold_weights else solution


@torch.no_grad()
def fit_shrink(module: DirectForecaster, batches: Iterable[Batch]) -> float:
    """Set how much of the branch and of the covariates' net is used to what was best on windows they have not seen.

    Shares from 0 to 1 are compared by the module's own point loss, then shares of the spread by the pinball loss. What
    lowers the loss by less than a hundredth is switched off: that is within the noise from season to season.
    Offsets shrink as the root mean square error does. Beside a structural model, which tells how far it is off itself,
    the branch has no say on the spread: on sets that were held out it made 80 % intervals hold 64 instead of 77 %.

    Parameters
    ----------
    module : DirectForecaster
        Trained, in eval mode; its buffers ``shrink``, ``covariate_share``, ``spread_share`` and ``offsets``
        are written.
    batches : iterable of Batch
        On the module's device.

    Returns
    -------
    float
        The share of the branch in the point forecast, the mean over kinds of windows.
    """
    seen = [_seen(module, batch) for batch in batches]
    best = _best_shares(module, seen)
    module.covariate_share.fill_(best[1])
    if module.shrink.ndim:
        for kind in range(len(module.shrink)):
            own = [part for window in seen if (part := window.of_kind(kind)) is not None]
            # A kind that was not seen has the share of all, as it has the map of all.
            module.shrink[kind] = _best_shares(module, own)[0] if own else best[0]
            if own and module.levels:
                module.offsets[kind] *= _narrowed(own, float(module.shrink[kind]), best[1])
    else:
        module.shrink.fill_(best[0])
        if seen and module.levels:
            module.offsets.mul_(_narrowed(seen, *best))
    if module.structural is not None:
        module.spread_share.zero_()
    elif module.levels and seen:
        chosen = module.shrink if module.shrink.ndim else best[0]
        pinballs = [sum(window.pinball(module, chosen, best[1], share) for window in seen) for share in _SPREAD_SHARES]
        module.spread_share.fill_(_SPREAD_SHARES[_lowest(pinballs)])
    return float(module.shrink.mean())


class _Seen(NamedTuple):
    """Windows of one batch as the module sees them, normalised: the parts of the forecast, and the truth."""

    linear: Tensor
    branch: Tensor
    covariates: Tensor
    log_spread: Tensor
    target: Tensor
    counted: Tensor
    ratio: Tensor
    kind: Tensor | None

    def of_kind(self, kind: int) -> "_Seen | None":
        """The windows of one kind, if there are any."""
        assert self.kind is not None
        rows = self.kind == kind
        return _Seen._make(part[rows] for part in self) if bool(rows.any()) else None  # type: ignore[index]

    def point(self, share: float | Tensor, covariate_share: float) -> Tensor:
        if isinstance(share, Tensor):
            assert self.kind is not None
            share = share[self.kind][:, None]
        return self.linear + share * self.branch + covariate_share * self.covariates

    def point_loss(self, module: DirectForecaster, share: float | Tensor, covariate_share: float) -> float:
        return self._sum(module.point_loss((self.point(share, covariate_share) - self.target) * self.ratio))

    def square(self, share: float | Tensor, covariate_share: float) -> float:
        return self._sum((self.point(share, covariate_share) - self.target).square())

    def pinball(
        self, module: DirectForecaster, share: float | Tensor, covariate_share: float, spread_share: float
    ) -> float:
        point = self.point(share, covariate_share)
        return self._sum(module.pinball(point, spread_share * self.log_spread, self.target, self.kind))

    def _sum(self, loss: Tensor) -> float:
        # Some devices have no float64.
        return float((loss * self.counted).cpu().double().sum())


def _seen(module: DirectForecaster, batch: Batch) -> _Seen:
    parts = module.parts_of(batch)
    truth = module.targets(batch, parts.window)
    solved, ratio = parts.linear + parts.past, parts.window.ratio
    return _Seen(solved, parts.branch, parts.covariates, parts.log_spread, *truth, ratio, batch.variable)


def _best_shares(module: DirectForecaster, seen: list["_Seen"]) -> tuple[float, float]:
    """Shares of branch and covariates' net with the least point loss; none where they gain next to nothing."""
    shares = [0.0] if module.branch is None else torch.linspace(0, 1, _SHARES).tolist()
    covariate_shares = [0.0] if module.covariate_net is None else list(_SPREAD_SHARES)
    pairs = [(share, other) for other in covariate_shares for share in shares]
    losses = [sum(window.point_loss(module, *pair) for window in seen) for pair in pairs]
    if not seen or min(losses) > (1 - _LEAST_GAIN) * losses[0]:
        return 0.0, 0.0
    return pairs[_lowest(losses)]


def _narrowed(seen: list["_Seen"], share: float, covariate_share: float) -> float:
    """By how much shares lower the root mean square error, at most 1."""
    before, after = (sum(w.square(*pair) for w in seen) for pair in ((0.0, 0.0), (share, covariate_share)))
    return float((after / before) ** 0.5) if 0 < after < before else 1.0


def _lowest(losses: Sequence[float]) -> int:
    """Index of the lowest, the first of equals: less of the branch for nothing lost."""
    return min(range(len(losses)), key=losses.__getitem__)


def _left_over(module: DirectForecaster) -> list[bool]:
    """For each kind of windows whether a structural model expects something, so that what it leaves over is learned."""
    if module.structural is None:
        return [False] * module.maps
    return [True] * module.maps if module.structural.kinds is None else list(module.structural.kinds)


def _statistics(
    module: DirectForecaster, chunks: Chunks, guess: Tensor, *, plain: bool = False, gram: Tensor | None = None
) -> tuple[RidgeStatistics, bool]:
    """Sum up all windows, missing targets filled by ``guess`` (L, H); tell whether there were any.

    Plain targets are what windows of kinds that are not known have. With their Gram matrices from before, only
    targets are looked at.
    """
    statistics = RidgeStatistics(module.context, module.horizon, gram)
    any_missing = False
    for segment, batch in chunks():
        window, target = normalised(module, batch, plain=plain)
        observed = ~target.isnan()
        share = observed.to(window.z.dtype).mean(1)
        missing = not bool(observed.all())
        if missing:
            target = torch.where(observed, target, window.z @ guess)
        statistics.add(window.z, target, segment, window_weight(batch, share if missing else None))
        any_missing |= missing
    return statistics, any_missing


def _sums(module: DirectForecaster, chunks: Chunks, guess: Tensor, move: Callable[[int], Any]) -> RidgeStatistics:
    found = _statistics(module, chunks, guess)[0]
    move(1)
    return found


def window_weight(batch: Batch, share: Tensor | None) -> Tensor | None:
    """Weight of each window: its own, by the share of observed targets; none where the context is all missing."""
    weight = batch.weight
    if share is not None:
        weight = share if weight is None else weight * share
    if batch.mask is not None:
        known = batch.mask.any(1).to(batch.context.dtype)
        weight = known if weight is None else weight * known
    return weight


def normalised(module: DirectForecaster, batch: Batch, *, plain: bool = False) -> tuple[Window, Tensor]:
    """Windows of a batch, and their targets in units of the steps ahead, NaN where missing."""
    assert batch.target is not None
    window = module.window(batch.context, batch.mask, None if plain else batch.variable)
    return window, (batch.target - window.base) / window.unit


def unseen_residuals(
    module: DirectForecaster, chunks: Chunks, solution: RidgeMap, past_folds: Sequence[Tensor] = ()
) -> list[Residuals]:
    """Those of each fold's maps on its held-out segments; of the map itself where there is no fold."""
    weights, pasts = {}, {}
    for number, segments in enumerate(solution.fold_segments):
        weights.update(dict.fromkeys(segments, solution.fold_weights[number]))
        if past_folds:
            pasts.update(dict.fromkeys(segments, past_folds[number]))
    found = []
    for segment, batch in chunks():
        if weights and segment not in weights:
            continue
        window, target = normalised(module, batch)
        point = mapped(window.z, weights.get(segment, solution.weight).to(window.z), batch.variable)
        if segment in pasts and batch.past is not None:
            inputs = module.past_inputs(batch.past, window)
            point = point + mapped(inputs, pasts[segment].to(inputs), batch.variable) / window.ratio
        found.append(residuals_of(module, batch, target - point, window))
    return found
