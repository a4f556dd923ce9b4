"""A linear map from context to horizon in closed form: ridge from Gram matrices, penalty by blocked validation.

Windows are added once, segment by segment of time; every fold's training and validation sums are sums of segments, so
choosing the penalty needs no further pass over the data. One eigendecomposition solves all penalties.

Hoerl and Kennard (1970), Ridge Regression, Technometrics 12. Toner and Darlow (2024), An Analysis of Linear Time Series
Forecasting Models, arXiv:2403.14587 (closed-form linear forecasters). Blocked validation: Bergmeir and Benitez (2012).
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from tsrec.layers.known import Known
from tsrec.layers.ridge_sums import RidgeStatistics, Sums, pooled
from tsrec.layers.segments import FOLDS, N_SEGMENTS
from tsrec.training.bar import still

PENALTIES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, math.inf)
# Blocked folds are few and differ in season, so their verdict on the penalty is noisy: a decade away from the usual
# value must pay by 1 % of the error. The usual value goes with coefficients per independent window, as the noise of
# least squares does; infinity stands where 100 would.
# Where a root says which directions are cheap, a high penalty costs little, and is safer.
_USUAL, _USUAL_SHAPED, _LEAST_SHAPED, _PER_DECADE, _INFINITE = 0.6, 4.0, 3.0, 0.01, 100.0
# How dear it may be to depart from the map of all variables, relative to departing from the prior: 100 for variables
# of a kind, 0.01 for those that have nothing in common.
_DEPARTURES = (0.01, 1.0, 100.0)
_EXACT, _TINY = 1e-6, torch.finfo(torch.float64).tiny


class Root(Protocol):
    """Root F of the covariance of a prior on maps, by its products with matrices of L rows."""

    def times(self, x: Tensor) -> Tensor:
        """F x."""

    def transposed_times(self, x: Tensor) -> Tensor:
        """F' x."""


class RidgeMap(NamedTuple):
    """What :func:`solve_ridge` found.

    Attributes
    ----------
    weight : Tensor of shape (L, H) or (V, L, H), float32
        Map from all windows; of each variable where these have their own.
    penalty : float
        Of the map of all, as chosen, relative to the mean square of a feature; infinity means the prior map itself.
    prior : int
        Which of the priors it is shrunk towards.
    errors : Tensor of shape (F, P), float64
        Mean square error of each usable fold at each penalty with that prior, normalised units.
    fold_weights : list of Tensor of the shape of ``weight``
        Each usable fold's map at the chosen penalty, from its training segments only.
    fold_segments : list of tuple of int
        The segments each of them has not seen.
    scarcity, held_out : float
        Coefficients per independent window, L H / n. Mean square error on the folds, in units of the windows, or NaN.
    departure : float or None
        How dear departing from the map of all was, relative to the usual penalty; None: variables share it.
    """

    weight: Tensor
    penalty: float
    prior: int
    errors: Tensor
    fold_weights: list[Tensor]
    fold_segments: list[tuple[int, ...]]
    scarcity: float
    departure: float | None = None
    held_out: float = math.nan


def solve_ridge(
    statistics: RidgeStatistics,
    *,
    penalties: Sequence[float] = PENALTIES,
    prior: Tensor | Sequence[Tensor] | None = None,
    root: Root | None = None,
    known: Known | None = None,
    move: Callable[[int], Any] = still,
) -> RidgeMap:
    """Choose the penalty on the folds, then solve on all windows.

    The map minimises sum w |y - z W|^2 / sum w + penalty * m * |F^-1 (W - prior)|^2, where m is the mean square of a
    feature and F the root. The penalty has the lowest mean of log errors over the folds, plus (1 + r) % for each
    squared decade away from 0.6 r (with a root from 4 r, or from 3 where that is more), where r = L / (n / H) are the
    coefficients per independent window. Without any usable fold nothing speaks for more than the prior, and it is
    returned.

    Parameters
    ----------
    statistics : RidgeStatistics
    penalties : sequence of float
        Increasing candidates; infinity stands for the prior.
    prior : Tensor of shape (L, H) or sequence of them, optional
        Map to shrink towards, such as :func:`tsrec.layers.seasonal.seasonal_mean_map`; zero (repeat the level) when
        omitted. Of several the folds choose one; where they cannot, it is the first.
    root : Root, optional
        F, such as :class:`tsrec.layers.seasonal.SeasonalRoot`; the identity when omitted.
    known : Known, optional
        What other maps of the same contexts share with this one, whatever their targets are.
    move : callable
        Takes a 1 after each fold.

    Returns
    -------
    RidgeMap
    """
    context, horizon = statistics.cross.shape[1:]
    starts = _starts(prior, context, horizon)
    known, folds, found = Known() if known is None else known, [], []
    for trained, held_out in FOLDS:
        train, unseen = pooled(statistics, trained), pooled(statistics, held_out)
        if min(train.weight, unseen.weight) > 0:
            folds.append((train, held_out))
            found.append(_errors(train, unseen, penalties, starts, root, known))
        move(1)
    errors = torch.zeros(0, len(starts), len(penalties), dtype=torch.float64)
    first, penalty, scarcity = 0, math.inf, _scarcity(statistics)
    if folds:
        errors = torch.stack(found)
        usual = _usual(scarcity, shaped=root is not None)
        first, second = _choose(errors, penalties, scarcity, usual)
        penalty = penalties[second]
    return RidgeMap(
        _solved(pooled(statistics, range(N_SEGMENTS)), [penalty], starts[first], root)[0].float(),
        penalty,
        first,
        errors[:, first],
        [_solved(train, [penalty], starts[first], root)[0].float() for train, _ in folds],
        [segments for _, segments in folds],
        scarcity,
    )


def solve_own(
    apart: Sequence[Callable[[], RidgeStatistics]], shared: RidgeMap, *, root: Root | None = None
) -> RidgeMap:
    """Give each variable a map of its own, shrunk to that of all, if that is better on the folds.

    Candidates for the penalty are the usual one for as many windows times 0.01, 1 and 100. That with the lowest mean
    log error over folds and variables, plus 1 % for each decade below the dearest, counts for all variables: for each
    alone the folds are too few. No variable has more say than half or twice the error.

    Parameters
    ----------
    apart : sequence of callable
        For each variable, what gives the statistics of its windows alone, in units and segments of ``shared``.
    shared : RidgeMap
        From all of them.
    root : Root, optional
        As given for ``shared``.

    Returns
    -------
    RidgeMap
        With maps (V, L, H), or ``shared`` itself. ``penalty``, ``prior`` and ``errors`` are those of ``shared``.
    """
    folds = [fold for fold in FOLDS if fold[1] in shared.fold_segments]
    usual = _usual(len(apart) * shared.scarcity, shaped=root is not None)
    penalties = [max(factor * usual, PENALTIES[0]) for factor in _DEPARTURES]
    gains, everything = [], []
    candidates: list[list[list[Tensor]]] = [[] for _ in folds]
    for statistics in (summed() for summed in apart if folds):
        everything.append(pooled(statistics, range(N_SEGMENTS)))
        for of_fold, (trained, held_out), weight in zip(candidates, folds, shared.fold_weights, strict=True):
            train, unseen, start = pooled(statistics, trained), pooled(statistics, held_out), weight.double()
            maps = _solved(train, penalties, start, root)
            of_fold.append([one.float() for one in maps])
            if min(train.weight, unseen.weight, unseen.square) > 0:
                gains.append(_gains([start, *maps], unseen))
    best = _best_departure(gains)
    if best is None:
        return shared
    start = shared.weight.double()
    own = [_solved(sums, [penalties[best]], start, root)[0] for sums in everything]
    return shared._replace(
        weight=torch.stack(own).float(),
        fold_weights=[torch.stack([maps[best] for maps in of_fold]) for of_fold in candidates],
        departure=_DEPARTURES[best],
    )


def solve_apart(
    apart: Sequence[Callable[[], RidgeStatistics]],
    shared: RidgeMap,
    priors: Sequence[Tensor | Sequence[Tensor] | None],
    **how: Any,
) -> RidgeMap:
    """Give each kind of windows a map of its own, solved as if there were no others.

    Parameters
    ----------
    apart : sequence of callable
        For each kind, what gives the statistics of its windows alone. A kind without windows has the map of all.
    shared : RidgeMap
        From all of them.
    priors, **how
        What the map of each kind may be shrunk to; all others as for :func:`solve_ridge`.

    Returns
    -------
    RidgeMap
        With maps (V, L, H); ``penalty``, ``prior`` and ``errors`` are those of ``shared``.
    """
    found = []
    for summed, prior in zip(apart, priors, strict=True):
        statistics = summed()
        found.append(solve_ridge(statistics, prior=prior, **how) if float(statistics.weight.sum()) else shared)
    folds = []
    for segments in shared.fold_segments:
        # Of a kind that has no such fold its map is the best known.
        of_fold = [
            dict(zip(one.fold_segments, one.fold_weights, strict=True)).get(segments, one.weight) for one in found
        ]
        folds.append(torch.stack(of_fold))
    return shared._replace(weight=torch.stack([one.weight for one in found]), fold_weights=folds)


def _gains(maps: Sequence[Tensor], held_out: Sums) -> Tensor:
    """Log errors of maps, relative to the first; what is next to exact counts as a thousandth of the spread."""
    squares = torch.stack([_square(one, held_out) for one in maps]).clamp_min(_EXACT * held_out.square).log()
    return (squares - squares[0]).clamp(-math.log(2), math.log(2))


def _best_departure(gains: Sequence[Tensor]) -> int | None:
    """Number of the candidate that did best on the folds; None where that is the map of all."""
    if not gains:
        return None
    handicap = [0.0, *(_PER_DECADE * math.log10(_DEPARTURES[-1] / factor) for factor in _DEPARTURES)]
    best = int((torch.stack(list(gains)).mean(0) + torch.tensor(handicap)).argmin())
    return best - 1 if best else None


def mapped(z: Tensor, weight: Tensor, variable: Tensor | None = None) -> Tensor:
    """Map each window, by the map of its variable where there are several.

    Parameters
    ----------
    z : Tensor of shape (B, L)
    weight : Tensor of shape (L, H) or (V, L, H)
    variable : Tensor of int64, shape (B,), optional
        In [0, V); needed with several maps.

    Returns
    -------
    Tensor of shape (B, H)

    Raises
    ------
    ValueError
        If there are several maps and no variables.
    """
    if weight.ndim == 2:
        return z @ weight
    if variable is None:
        raise ValueError("variable: found None. Each variable has a map of its own; say which one each window is of.")
    if torch.compiler.is_compiling():  # a graph does not know how many windows each variable has
        return (z @ weight)[variable, torch.arange(z.shape[0], device=z.device)]
    answer = z.new_full((len(z), weight.shape[2]), math.nan)
    for own, rows in zip(weight, variable == torch.arange(len(weight), device=z.device)[:, None], strict=True):
        answer[rows] = z[rows] @ own
    return answer


def _scarcity(statistics: RidgeStatistics) -> float:
    """Coefficients per independent window; 0 windows count as one."""
    context, horizon = statistics.cross.shape[1:]
    return context * horizon / max(float(statistics.weight.sum()), 1.0)


def _usual(scarcity: float, *, shaped: bool) -> float:
    return max(_USUAL_SHAPED * scarcity, _LEAST_SHAPED) if shaped else _USUAL * scarcity


def _starts(prior: Tensor | Sequence[Tensor] | None, context: int, horizon: int) -> list[Tensor]:
    """The priors in a list, float64 on the CPU; zero without any."""
    if prior is None:
        return [torch.zeros(context, horizon, dtype=torch.float64)]
    return [start.double().cpu() for start in ([prior] if isinstance(prior, Tensor) else prior)]


def _unit(sums: Sums) -> float:
    """Mean square of a feature. Windows that all lie at their level have none: any positive number keeps the prior."""
    return float(sums.gram.diagonal().mean()) / sums.weight or 1.0


def _errors(
    train: Sums, held_out: Sums, penalties: Sequence[float], starts: Sequence[Tensor], root: Root | None, known: Known
) -> Tensor:
    """Held-out error of every prior and penalty, (S, P).

    In the basis V that diagonalises the training windows, the map is prior + V D r with D = 1 / (values + penalty).
    The quadratic form of the held-out windows is then d' ((V'GV) * (r r')) d: penalties cost next to nothing.
    """
    gram = train.gram / train.weight
    values, vectors = known(torch.linalg.eigh, _shaped(gram, root))
    # Back from the space in which all directions are equally dear.
    vectors = vectors if root is None else root.times(vectors)
    damping = [values.clamp_min(0) + penalty * _unit(train) for penalty in penalties]
    seen = known(_turned, vectors, held_out.gram)
    rows = []
    for start in starts:
        remaining = vectors.T @ (train.cross / train.weight - gram @ start)
        linear = (remaining * (vectors.T @ (held_out.cross - held_out.gram @ start))).sum(1)
        square = seen * (remaining @ remaining.T)
        gains = torch.stack([(d @ square @ d - 2 * linear @ d) for d in (1 / damp for damp in damping)])
        total = (_square(start, held_out) + gains) / (held_out.weight * start.shape[1])
        rows.append(total.clamp_min(0))
    return torch.stack(rows)


def _solved(sums: Sums, penalties: Sequence[float], start: Tensor, root: Root | None) -> list[Tensor]:
    """The map of each penalty, (L, H)."""
    if sums.weight <= 0:
        return [start for _ in penalties]
    gram = sums.gram / sums.weight
    remaining = sums.cross / sums.weight - gram @ start
    gram = _shaped(gram, root)
    if root is not None:
        remaining = root.transposed_times(remaining)
    found = []
    for penalty in penalties:
        if math.isinf(penalty):
            found.append(start)
            continue
        system = gram.clone()
        system.diagonal().add_(penalty * _unit(sums))
        change = torch.cholesky_solve(remaining, torch.linalg.cholesky(system))
        found.append(start + (change if root is None else root.times(change)))
    return found


def _turned(vectors: Tensor, gram: Tensor) -> Tensor:
    return vectors.T @ gram @ vectors


def _shaped(gram: Tensor, root: Root | None) -> Tensor:
    """F' G F, of a symmetric G."""
    return gram if root is None else root.transposed_times(root.transposed_times(gram).T)


def _square(weight: Tensor, held_out: Sums) -> Tensor:
    """Sum of square errors from the sums alone: |y|^2 - 2 <W, Z'y> + <W, Z'Z W>."""
    return (held_out.square + (weight * (held_out.gram @ weight - 2 * held_out.cross)).sum()).clamp_min(0)


def _choose(errors: Tensor, penalties: Sequence[float], scarcity: float, usual: float) -> tuple[int, int]:
    """Prior and penalty with the lowest mean log error (F, S, P), unusual penalties handicapped."""
    tried = torch.tensor(penalties, dtype=errors.dtype).clamp_max(_INFINITE)
    decades = (tried / usual).log10()
    score = errors.clamp_min(_TINY).log().mean(0) + _PER_DECADE * (1 + scarcity) * decades.square()
    return divmod(int(score.argmin()), len(penalties))
