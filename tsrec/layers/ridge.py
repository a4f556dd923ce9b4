"""A linear map from context to horizon in closed form: ridge from Gram matrices, penalty by blocked validation.

Windows are added once, segment by segment of time; every fold's training and validation sums are sums of segments, so
choosing the penalty needs no further pass over the data. One eigendecomposition solves all penalties.

Hoerl and Kennard (1970), Ridge Regression, Technometrics 12. Toner and Darlow (2024), An Analysis of Linear Time Series
Forecasting Models, arXiv:2403.14587 (closed-form linear forecasters). Blocked validation: Bergmeir and Benitez (2012).
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

N_SEGMENTS = 6
PENALTIES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, math.inf)
# Blocked folds are few and differ in season, so their verdict on the penalty is noisy: a decade away from the usual
# value must pay by 1 % of the error. The usual value goes with coefficients per independent window, as the noise of
# least squares does; infinity stands where 100 would.
# Where a root says which directions are cheap, a high penalty costs little, and is safer.
_USUAL, _USUAL_SHAPED, _LEAST_SHAPED, _PER_DECADE, _INFINITE = 0.6, 4.0, 3.0, 0.01, 100.0
_TINY = torch.finfo(torch.float64).tiny
# Fold: segments to train on, segments to validate on. The targets of segment 1 straddle the first border, those of 3
# the second, those of 5 both, which leaves 5 to the last solve.
_FOLDS = (((0,), (2, 3)), ((0, 1, 2), (4,)))
_BORDERS = (3 / 4, 7 / 8)


class RidgeMap(NamedTuple):
    """What :func:`solve_ridge` found.

    Attributes
    ----------
    weight : Tensor of shape (L, H), float32
        Map from all windows.
    penalty : float
        As chosen, relative to the mean square of a feature; infinity means the prior map itself.
    prior : int
        Which of the priors it is shrunk towards.
    errors : Tensor of shape (F, P), float64
        Mean square error of each usable fold at each penalty with that prior, normalised units.
    fold_weights : list of Tensor of shape (L, H)
        Each usable fold's map at the chosen penalty, from its training segments only.
    fold_segments : list of tuple of int
        The segments each of them has not seen.
    """

    weight: Tensor
    penalty: float
    prior: int
    errors: Tensor
    fold_weights: list[Tensor]
    fold_segments: list[tuple[int, ...]]


class RidgeStatistics:
    """Sums of outer products of windows, per segment of time; float64, whatever the windows are.

    Parameters
    ----------
    context, horizon : int
        L and H.
    """

    def __init__(self, context: int, horizon: int):
        self.gram = torch.zeros(N_SEGMENTS, context, context, dtype=torch.float64)
        self.cross = torch.zeros(N_SEGMENTS, context, horizon, dtype=torch.float64)
        self.square = torch.zeros(N_SEGMENTS, dtype=torch.float64)
        self.weight = torch.zeros(N_SEGMENTS, dtype=torch.float64)

    def add(self, z: Tensor, target: Tensor, segment: int, weight: Tensor | None = None) -> None:
        """Add windows of one segment.

        Products are formed in the windows' own precision, a few thousand rows at a time at most, and summed in float64.

        Parameters
        ----------
        z : Tensor of shape (B, L)
            Normalised contexts.
        target : Tensor of shape (B, H)
            Normalised targets, finite.
        segment : int
            As given by :func:`time_segments`.
        weight : Tensor of shape (B,), optional
            Non-negative weight of each window.
        """
        if weight is not None:
            root = weight.sqrt()[:, None].to(z.dtype)
            z, target = z * root, target * root
        self.gram[segment] += (z.T @ z).double().cpu()
        self.cross[segment] += (z.T @ target).double().cpu()
        self.square[segment] += float(target.double().square().sum())
        self.weight[segment] += len(z) if weight is None else float(weight.double().sum())


class _Sums(NamedTuple):
    gram: Tensor
    cross: Tensor
    square: float
    weight: float


def time_segments(times: Tensor, horizon: int, series: Tensor | None = None) -> Tensor:
    """Cut windows into segments, of which two expanding folds are made (3/4 then 1/8, 7/8 then 1/8).

    Parameters
    ----------
    times : Tensor of int64, shape (n,)
        Step of each window's first target, on any one clock; steps before the end of its own series are a good clock
        for series that end at different times.
    horizon : int
        H; windows whose target reaches over a border are not trained on before it.
    series : Tensor of int64, shape (n,), optional
        With eight series or more whose windows are all so close in time that no fold is left, folds hold out series
        instead.

    Returns
    -------
    Tensor of int64, shape (n,)
        Values 0 to 4 in order of time; 5 for windows that lie across both borders.

    Examples
    --------
    >>> time_segments(torch.arange(16), 2).tolist()
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 4]
    """
    n = len(times)
    if n == 0:
        return torch.zeros(0, dtype=torch.int64)
    ordered = times.sort().values
    first, second = (int(ordered[min(int(share * n), n - 1)]) for share in _BORDERS)
    segments = torch.full_like(times, 4)
    segments[times < second] = 3
    segments[times + horizon <= second] = 2
    segments[(times < first) & (times + horizon <= second)] = 1
    segments[(times < first) & (times + horizon > second)] = 5
    segments[times + horizon <= first] = 0
    trainable = int((segments == 0).sum())
    if trainable < n / 8 and series is not None and len(series.unique()) >= 8:
        return _series_segments(series)
    return segments


def _series_segments(series: Tensor) -> Tensor:
    """Hold out every eighth series, then another eighth; the order of series means nothing, so spread them."""
    rank = torch.unique(series, return_inverse=True)[1] % 8
    segments = torch.zeros_like(series)
    segments[rank == 3] = 2
    segments[rank == 7] = 4
    return segments


def solve_ridge(
    statistics: RidgeStatistics,
    *,
    penalties: Sequence[float] = PENALTIES,
    prior: Tensor | Sequence[Tensor] | None = None,
    root: Tensor | None = None,
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
    root : Tensor of shape (L, L), optional
        F, such as :func:`tsrec.layers.seasonal.seasonal_root`; the identity when omitted.

    Returns
    -------
    RidgeMap
    """
    context, horizon = statistics.cross.shape[1:]
    starts = _starts(prior, context, horizon)
    folds = []
    for trained, held_out in _FOLDS:
        sums = _pooled(statistics, trained), _pooled(statistics, held_out)
        if all(part.weight > 0 for part in sums):
            folds.append((*sums, held_out))
    errors = torch.zeros(0, len(starts), len(penalties), dtype=torch.float64)
    first, penalty = 0, math.inf
    if folds:
        errors = torch.stack([_errors(train, unseen, penalties, starts, root) for train, unseen, _ in folds])
        scarcity = context * horizon / float(statistics.weight.sum())
        usual = _USUAL * scarcity if root is None else max(_USUAL_SHAPED * scarcity, _LEAST_SHAPED)
        first, second = _choose(errors, penalties, scarcity, usual)
        penalty = penalties[second]
    return RidgeMap(
        _solved(_pooled(statistics, range(N_SEGMENTS)), penalty, starts[first], root).float(),
        penalty,
        first,
        errors[:, first],
        [_solved(train, penalty, starts[first], root).float() for train, _, _ in folds],
        [segments for _, _, segments in folds],
    )


def _starts(prior: Tensor | Sequence[Tensor] | None, context: int, horizon: int) -> list[Tensor]:
    """The priors in a list, float64 on the CPU; zero without any."""
    if prior is None:
        return [torch.zeros(context, horizon, dtype=torch.float64)]
    return [start.double().cpu() for start in ([prior] if isinstance(prior, Tensor) else prior)]


def _pooled(statistics: RidgeStatistics, segments: Iterable[int]) -> _Sums:
    chosen = list(segments)
    return _Sums(
        statistics.gram[chosen].sum(0),
        statistics.cross[chosen].sum(0),
        float(statistics.square[chosen].sum()),
        float(statistics.weight[chosen].sum()),
    )


def _unit(sums: _Sums) -> float:
    """Mean square of a feature. Windows that all lie at their level have none: any positive number keeps the prior."""
    return float(sums.gram.diagonal().mean()) / sums.weight or 1.0


def _errors(
    train: _Sums, held_out: _Sums, penalties: Sequence[float], starts: Sequence[Tensor], root: Tensor | None
) -> Tensor:
    """Held-out error of every prior and penalty, (S, P).

    In the basis V that diagonalises the training windows, the map is prior + V D r with D = 1 / (values + penalty).
    The quadratic form of the held-out windows is then d' ((V'GV) * (r r')) d: penalties cost next to nothing.
    """
    gram = train.gram / train.weight
    values, vectors = torch.linalg.eigh(gram if root is None else root.T @ gram @ root)
    # Back from the space in which all directions are equally dear.
    vectors = vectors if root is None else root @ vectors
    damping = [values.clamp_min(0) + penalty * _unit(train) for penalty in penalties]
    seen = vectors.T @ held_out.gram @ vectors
    rows = []
    for start in starts:
        remaining = vectors.T @ (train.cross / train.weight - gram @ start)
        linear = (remaining * (vectors.T @ (held_out.cross - held_out.gram @ start))).sum(1)
        square = seen * (remaining @ remaining.T)
        gains = torch.stack([(d @ square @ d - 2 * linear @ d) for d in (1 / damp for damp in damping)])
        total = _error(start, held_out) + gains / (held_out.weight * start.shape[1])
        rows.append(total.clamp_min(0))
    return torch.stack(rows)


def _solved(sums: _Sums, penalty: float, start: Tensor, root: Tensor | None) -> Tensor:
    """The map of one penalty, (L, H)."""
    if sums.weight <= 0 or math.isinf(penalty):
        return start
    gram = sums.gram / sums.weight
    system = gram.clone() if root is None else root.T @ gram @ root
    system.diagonal().add_(penalty * _unit(sums))
    remaining = sums.cross / sums.weight - gram @ start
    if root is None:
        return start + torch.cholesky_solve(remaining, torch.linalg.cholesky(system))
    return start + root @ torch.cholesky_solve(root.T @ remaining, torch.linalg.cholesky(system))


def _error(weight: Tensor, held_out: _Sums) -> Tensor:
    """Mean square error from the sums alone: |y|^2 - 2 <W, Z'y> + <W, Z'Z W>."""
    fitted = (weight * (held_out.gram @ weight - 2 * held_out.cross)).sum()
    return (held_out.square + fitted).clamp_min(0) / (held_out.weight * weight.shape[1])


def _choose(errors: Tensor, penalties: Sequence[float], scarcity: float, usual: float) -> tuple[int, int]:
    """Prior and penalty with the lowest mean log error (F, S, P), unusual penalties handicapped."""
    tried = torch.tensor(penalties, dtype=errors.dtype).clamp_max(_INFINITE)
    decades = (tried / usual).log10()
    score = errors.clamp_min(_TINY).log().mean(0) + _PER_DECADE * (1 + scarcity) * decades.square()
    return divmod(int(score.argmin()), len(penalties))


def seasonal_map(context: int, horizon: int, season: int, *, cycles: int | None = None) -> Tensor:
    """The seasonal mean as a map: each step ahead is the mean of the context's steps of the same phase.

    Parameters
    ----------
    context, horizon : int
        L and H.
    season : int
        Period in steps; with 1, or a period longer than the context, the map is zero: it repeats the level.
    cycles : int, optional
        How many of the latest periods to average, all that fit when omitted. With 1: seasonal naive.

    Returns
    -------
    Tensor of shape (L, H), float64
        For normalised windows; its columns sum to 1, so it means the same in data units.

    Examples
    --------
    >>> (torch.arange(6.0, dtype=torch.float64) @ seasonal_map(6, 3, 2)).tolist()
    [2.0, 3.0, 2.0]
    """
    weight = torch.zeros(context, horizon, dtype=torch.float64)
    fitting = context // season if season > 1 else 0
    used = fitting if cycles is None else min(cycles, fitting)
    steps = torch.arange(horizon)
    for cycle in range(1, used + 1):
        weight[context - cycle * season + steps % season, steps] = 1 / used
    return weight
