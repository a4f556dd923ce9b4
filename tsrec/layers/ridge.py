"""A linear map from context to horizon in closed form: ridge from Gram matrices, penalty by blocked validation.

Windows are added once, segment by segment of time; every fold's training and validation sums are sums of segments, so
choosing the penalty needs no further pass over the data. One eigendecomposition solves all penalties.

Hoerl and Kennard (1970), Ridge Regression, Technometrics 12. Toner and Darlow (2024), An Analysis of Linear Time Series
Forecasting Models, arXiv:2403.14587 (closed-form linear forecasters). Blocked validation: Bergmeir and Benitez (2012).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

N_SEGMENTS = 6
PENALTIES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, math.inf)
# Blocked folds are few and differ in season, so their verdict on the penalty is noisy: a decade away from the usual
# value must pay by 1 % of the error. The usual value goes with coefficients per independent window, as the noise of
# least squares does; infinity stands where 100 would.
_USUAL, _PER_DECADE, _INFINITE = 0.6, 0.01, 100.0
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
) -> RidgeMap:
    """Choose the penalty on the folds, then solve on all windows.

    The map minimises sum w |y - z W|^2 / sum w + penalty * m * |W - prior|^2, where m is the mean square of a feature.
    The penalty has the lowest mean of log errors over the folds, plus (1 + r) % for each squared decade away from
    0.6 r, where r = L / (n / H) are the coefficients per independent window. Without any usable fold nothing speaks
    for more than the prior, and it is returned.

    Parameters
    ----------
    statistics : RidgeStatistics
    penalties : sequence of float
        Increasing candidates; infinity stands for the prior.
    prior : Tensor of shape (L, H) or sequence of them, optional
        Map to shrink towards, such as :func:`seasonal_map`; zero (repeat the level) when omitted. Of several the folds
        choose one; where they cannot, it is the first.

    Returns
    -------
    RidgeMap
    """
    context, horizon = statistics.cross.shape[1:]
    starts = _starts(prior, context, horizon)
    rows: list[Tensor] = []
    maps: list[list[list[Tensor]]] = []
    segments: list[tuple[int, ...]] = []
    for trained, validated in _FOLDS:
        train, held_out = _pooled(statistics, trained), _pooled(statistics, validated)
        if train.weight > 0 and held_out.weight > 0:
            maps.append(_solutions(train, penalties, starts))
            rows.append(torch.stack([torch.stack([_error(w, held_out) for w in row]) for row in maps[-1]]))
            segments.append(validated)
    everything = _pooled(statistics, range(N_SEGMENTS))
    errors = torch.stack(rows) if rows else torch.zeros(0, len(starts), len(penalties), dtype=torch.float64)
    first, penalty = 0, math.inf
    if rows:
        first, second = _choose(errors, penalties, context * horizon / everything.weight)
        penalty = penalties[second]
    weight = _solutions(everything, [penalty], starts[first : first + 1])[0][0]
    unseen = [fold[first][second].float() for fold in maps]
    return RidgeMap(weight.float(), penalty, first, errors[:, first], unseen, segments)


def _starts(prior: Tensor | Sequence[Tensor] | None, context: int, horizon: int) -> list[Tensor]:
    """The priors in a list, float64 on the CPU; zero without any."""
    if prior is None:
        return [torch.zeros(context, horizon, dtype=torch.float64)]
    return [start.double().cpu() for start in ([prior] if isinstance(prior, Tensor) else prior)]


def _pooled(statistics: RidgeStatistics, segments: Sequence[int]) -> _Sums:
    chosen = list(segments)
    return _Sums(
        statistics.gram[chosen].sum(0),
        statistics.cross[chosen].sum(0),
        float(statistics.square[chosen].sum()),
        float(statistics.weight[chosen].sum()),
    )


def _solutions(sums: _Sums, penalties: Sequence[float], starts: Sequence[Tensor]) -> list[list[Tensor]]:
    """Maps (L, H), a list by penalty for each prior."""
    if sums.weight <= 0 or all(math.isinf(penalty) for penalty in penalties):
        return [[start] * len(penalties) for start in starts]
    values, vectors = torch.linalg.eigh(sums.gram / sums.weight)
    values = values.clamp_min(0)
    # Windows that all lie at their level have no features: any positive number then keeps the map at its prior.
    unit = float(values.mean()) or 1.0
    found = []
    for start in starts:
        remaining = vectors.T @ ((sums.cross - sums.gram @ start) / sums.weight)
        found.append(
            [
                start if math.isinf(penalty) else start + vectors @ (remaining / (values + penalty * unit)[:, None])
                for penalty in penalties
            ]
        )
    return found


def _error(weight: Tensor, held_out: _Sums) -> Tensor:
    """Mean square error from the sums alone: |y|^2 - 2 <W, Z'y> + <W, Z'Z W>."""
    fitted = (weight * (held_out.gram @ weight - 2 * held_out.cross)).sum()
    return (held_out.square + fitted).clamp_min(0) / (held_out.weight * weight.shape[1])


def _choose(errors: Tensor, penalties: Sequence[float], scarcity: float) -> tuple[int, int]:
    """Prior and penalty with the lowest mean log error (F, S, P), unusual penalties handicapped."""
    smallest = torch.finfo(errors.dtype).tiny
    tried = torch.tensor(penalties, dtype=errors.dtype).clamp_max(_INFINITE)
    decades = (tried / (_USUAL * scarcity)).log10()
    score = errors.clamp_min(smallest).log().mean(0) + _PER_DECADE * (1 + scarcity) * decades.square()
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
