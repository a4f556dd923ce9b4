import math
from functools import partial

import pytest
import torch

from tsrec.layers.ridge import (
    PENALTIES,
    _best_departure,
    _gains,
    mapped,
    solve_apart,
    solve_own,
    solve_ridge,
)
from tsrec.layers.ridge_sums import RidgeStatistics, pooled
from tsrec.layers.seasonal import seasonal_map
from tsrec.layers.segments import FOLDS, time_segments

L, H = 6, 3


def draw(n, seed=0, noise=0.5):
    g = torch.Generator().manual_seed(seed)
    z = torch.randn(n, L, generator=g, dtype=torch.float64)
    truth = torch.randn(L, H, generator=g, dtype=torch.float64)
    return z, z @ truth + noise * torch.randn(n, H, generator=g, dtype=torch.float64), truth


def summed(z, y, segments, weight=None):
    statistics = RidgeStatistics(L, H)
    for s in segments.unique().tolist():
        rows = segments == s
        statistics.add(z[rows], y[rows], s, None if weight is None else weight[rows])
    return statistics


def ridge(z, y, penalty, prior=None, weight=None, root=None):
    """The textbook: (Z'Z/n + penalty m (F F')^-1)^-1 Z'(y - Z prior)/n + prior."""
    prior = torch.zeros(L, H, dtype=z.dtype) if prior is None else prior
    w = torch.ones(len(z), 1, dtype=z.dtype) if weight is None else weight[:, None]
    gram, cross = z.T @ (w * z) / w.sum(), z.T @ (w * (y - z @ prior)) / w.sum()
    inverse = torch.eye(L, dtype=z.dtype) if root is None else torch.linalg.inv(root @ root.T)
    return prior + torch.linalg.solve(gram + penalty * gram.diagonal().mean() * inverse, cross)


class _Dense:
    """A root that is a matrix."""

    def __init__(self, matrix):
        self.matrix = matrix

    def times(self, x):
        return self.matrix @ x

    def transposed_times(self, x):
        return self.matrix.T @ x


@pytest.mark.parametrize("penalty", [0.01, 1.0, 30.0])
@pytest.mark.parametrize("shrunk", [False, True])
def test_the_map_solves_the_textbook_equation(penalty, shrunk):
    z, y, truth = draw(80)
    prior = truth + 0.1 if shrunk else None
    solution = solve_ridge(summed(z, y, torch.arange(80) // 16), penalties=[penalty], prior=prior)
    torch.testing.assert_close(solution.weight.double(), ridge(z, y, penalty, prior), rtol=1e-5, atol=1e-6)


def test_weights_count_windows_as_often_as_they_say():
    z, y, _ = draw(40)
    weight = torch.arange(40, dtype=torch.float64) % 3
    solution = solve_ridge(summed(z, y, torch.arange(40) // 8, weight), penalties=[0.1])
    torch.testing.assert_close(solution.weight.double(), ridge(z, y, 0.1, weight=weight), rtol=1e-5, atol=1e-6)


def test_fold_errors_from_sums_equal_those_from_windows():
    z, y, _ = draw(100)
    segments = torch.arange(100) // 20
    solution = solve_ridge(summed(z, y, segments), penalties=[0.1, 1.0])
    for fold, (trained, validated) in enumerate([((0,), (2, 3)), ((0, 1, 2), (4,))]):
        train = torch.isin(segments, torch.tensor(trained))
        held_out = torch.isin(segments, torch.tensor(validated))
        for p, penalty in enumerate([0.1, 1.0]):
            error = (y[held_out] - z[held_out] @ ridge(z[train], y[train], penalty)).square().mean()
            torch.testing.assert_close(solution.errors[fold, p], error)


def test_single_precision_windows_lose_nothing_that_matters():
    z, y, _ = draw(5000, noise=0.01)
    exact = solve_ridge(summed(z, y, torch.arange(5000) // 1000)).errors
    single = solve_ridge(summed(z.float(), y.float(), torch.arange(5000) // 1000)).errors
    torch.testing.assert_close(single, exact, rtol=1e-2, atol=1e-6)


def test_noise_raises_the_penalty_and_a_right_prior_is_kept():
    quiet, loud = (solve_ridge(summed(*draw(60, noise=n)[:2], torch.arange(60) // 12)).penalty for n in (0.01, 20.0))
    assert quiet < loud
    z, y, truth = draw(60, noise=20.0)
    assert solve_ridge(summed(z, y, torch.arange(60) // 12), prior=truth).penalty >= loud


@pytest.mark.parametrize("n", [0, 1, 2])
def test_with_too_few_windows_the_prior_is_the_answer(n):
    z, y, truth = draw(n)
    solution = solve_ridge(summed(z, y, torch.full((n,), 4)), prior=truth)
    torch.testing.assert_close(solution.weight, truth.float())
    assert math.isinf(solution.penalty)
    assert solution.errors.shape == (0, len(PENALTIES))


def test_fewer_windows_than_steps_still_give_a_finite_map():
    z, y, _ = draw(5)
    solution = solve_ridge(summed(z, y, torch.tensor([0, 0, 2, 2, 4])))
    assert solution.weight.isfinite().all()


def test_windows_that_all_lie_at_their_level_keep_the_prior():
    z = torch.zeros(20, L)
    prior = seasonal_map(L, H, 3)
    solution = solve_ridge(summed(z, torch.zeros(20, H), torch.arange(20) // 4), prior=prior)
    torch.testing.assert_close(solution.weight, prior.float())


def test_segments_leave_a_gap_of_a_horizon_before_each_border():
    times = torch.arange(1000)
    segments = time_segments(times, 10)
    first, second = int(times[segments == 2][0]), int(times[segments == 4][0])
    assert (first, second) == (750, 875)
    assert int(times[segments == 0].max()) + 10 <= first
    assert int(times[segments == 2].max()) + 10 <= second


def test_segments_follow_time_whatever_the_order_of_windows():
    times = torch.arange(100)
    order = torch.randperm(100, generator=torch.Generator().manual_seed(0))
    assert torch.equal(time_segments(times[order], 4), time_segments(times, 4)[order])


def test_short_series_hold_out_series_when_time_leaves_no_fold():
    times, series = torch.arange(4).repeat(16), torch.arange(16).repeat_interleave(4)
    segments = time_segments(times, 12, series)
    assert set(segments.tolist()) == {0, 2, 4}
    assert all(len(segments[series == s].unique()) == 1 for s in range(16))


@pytest.mark.parametrize("n", range(2, 60))
@pytest.mark.parametrize("horizon", [1, 7, 30])
def test_no_fold_trains_on_what_it_validates(n, horizon):
    times = torch.arange(n)
    segments = time_segments(times, horizon)
    for trained, validated in (((0,), (2, 3)), ((0, 1, 2), (4,))):
        before = times[torch.isin(segments, torch.tensor(trained))]
        after = times[torch.isin(segments, torch.tensor(validated))]
        assert not len(before) or not len(after) or before.max() + horizon <= after.min()


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_segments_of_hardly_any_windows_exist(n):
    assert time_segments(torch.arange(n), 5).shape == (n,)


def apart(truths, n=400, noise=0.5):
    """Windows of several variables, a map of their own each; what sums each up; the map of all; the segments."""
    segments = torch.arange(n) // (n // 5)
    drawn = [draw(n, seed=number + 1, noise=noise) for number in range(len(truths))]
    windows = [(z, y + z @ (truth - own)) for (z, y, own), truth in zip(drawn, truths, strict=True)]
    every = summed(*(torch.cat(parts) for parts in zip(*windows, strict=True)), segments.repeat(len(truths)))
    return windows, [partial(summed, z, y, segments) for z, y in windows], solve_ridge(every), segments


TRUTHS = [draw(1, seed=seed)[2] for seed in (1, 2)]


def test_variables_with_nothing_in_common_get_maps_of_their_own():
    _, statistics, shared, _ = apart(TRUTHS)
    found = solve_own(statistics, shared)
    assert found.weight.shape == (2, L, H)
    assert found.departure < 100
    for weight, truth in zip(found.weight, TRUTHS, strict=True):
        assert (weight - truth).norm() < 0.1 * (shared.weight - truth).norm()


def test_variables_of_one_kind_share_their_map():
    _, statistics, shared, _ = apart([TRUTHS[0]] * 2, n=60, noise=20.0)
    found = solve_own(statistics, shared)
    assert found.departure in (None, 100.0)
    assert (found.weight - shared.weight).norm() < 0.02 * shared.weight.norm()


@pytest.mark.parametrize("factor", [0.01, 1.0])
@pytest.mark.parametrize("shaped", [False, True])
def test_maps_of_their_own_are_the_textbook_ones_with_that_of_all_as_prior(monkeypatch, factor, shaped):
    monkeypatch.setattr("tsrec.layers.ridge._DEPARTURES", (factor,))
    windows, statistics, shared, segments = apart(TRUTHS)
    matrix = torch.eye(L, dtype=torch.float64) * torch.linspace(0.5, 2, L) if shaped else None
    found = solve_own(statistics, shared, root=_Dense(matrix) if shaped else None)
    scarcity = L * H / len(windows[0][0])
    penalty = max(factor * (max(4 * scarcity, 3) if shaped else 0.6 * scarcity), PENALTIES[0])
    expected = [ridge(z, y, penalty, shared.weight.double(), root=matrix) for z, y in windows]
    torch.testing.assert_close(found.weight.double(), torch.stack(expected), rtol=1e-5, atol=1e-6)
    for number, (trained, _) in enumerate(FOLDS):
        rows, start = torch.isin(segments, torch.tensor(trained)), shared.fold_weights[number].double()
        expected = [ridge(z[rows], y[rows], penalty, start, root=matrix) for z, y in windows]
        torch.testing.assert_close(found.fold_weights[number].double(), torch.stack(expected), rtol=1e-5, atol=1e-6)


def test_a_variable_without_windows_keeps_the_map_of_all_and_has_no_say():
    _, statistics, shared, _ = apart(TRUTHS)
    found, alone = solve_own([*statistics, partial(RidgeStatistics, L, H)], shared), solve_own(statistics, shared)
    torch.testing.assert_close(found.weight[2], shared.weight)
    assert found.departure == alone.departure


def test_a_cheap_departure_has_to_pay_for_it(monkeypatch):
    gain = torch.tensor([0.0, -0.03, -0.02, -0.01], dtype=torch.float64)
    assert _best_departure([gain]) == 2
    assert _best_departure([gain - torch.tensor([0, 0.05, 0, 0])]) == 0
    assert _best_departure([-gain]) is None
    assert _best_departure([]) is None


def test_no_variable_has_more_say_than_half_or_twice_the_error():
    z, _, truth = draw(60)
    unseen = pooled(summed(z, z @ truth, torch.full((60,), 4)), (4,))
    found = _gains([0.5 * truth, truth, 0.4 * truth, -truth], unseen)
    torch.testing.assert_close(found, torch.tensor([0, -math.log(2), 2 * math.log(1.2), math.log(2)]).double())


def test_the_least_penalty_is_one_that_single_precision_sums_can_bear():
    step = torch.arange(40_000.0) / 40_000
    columns = [step, step**2]
    cut = [column.unfold(0, L + H, 1) for column in columns]
    windows = [(w[:, :L] - w[:, L - 1 : L], w[:, L:] - w[:, L - 1 : L]) for w in cut]
    windows = [(z / z.std(), y / z.std()) for z, y in windows]
    segments = time_segments(torch.arange(len(windows[0][0])), H)
    every = summed(*(torch.cat(parts) for parts in zip(*windows, strict=True)), segments.repeat(2))
    found = solve_own([partial(summed, z, y, segments) for z, y in windows], solve_ridge(every))
    assert found.weight.isfinite().all()


def test_without_folds_nothing_speaks_for_maps_of_their_own():
    z, y, truth = draw(2)
    once = partial(summed, z, y, torch.full((2,), 4))
    shared = solve_ridge(once(), prior=truth)
    assert solve_own([once, once], shared) is shared


def test_kinds_that_lack_a_fold_or_all_windows_have_the_best_map_known():
    segments = torch.arange(300) // 60
    z, y, _ = draw(300)
    whole = partial(summed, z, y, segments)
    cut = partial(summed, *draw(300, seed=7)[:2], segments.clamp_max(3))
    prior, root = [draw(1, seed=3)[2]], _Dense(torch.diag(torch.linspace(0.5, 2, L)).double())
    shared = solve_ridge(summed(*draw(300, seed=5)[:2], segments), prior=prior, root=root)
    found = solve_apart([whole, cut, partial(RidgeStatistics, L, H)], shared, [prior, None, prior], root=root)
    one, other = solve_ridge(whole(), prior=prior, root=root), solve_ridge(cut(), root=root)
    assert (len(shared.fold_segments), one.fold_segments, other.fold_segments) == (2, shared.fold_segments, [(2, 3)])
    assert torch.equal(found.weight, torch.stack([one.weight, other.weight, shared.weight]))
    first, last = found.fold_weights
    assert torch.equal(first, torch.stack([one.fold_weights[0], other.fold_weights[0], shared.fold_weights[0]]))
    # What held nothing out for the last fold has its map of all its windows there.
    assert torch.equal(last, torch.stack([one.fold_weights[1], other.weight, shared.fold_weights[1]]))
    assert found.penalty == shared.penalty


def test_each_window_goes_through_the_map_of_its_variable():
    z, weight = draw(5)[0], torch.stack([draw(1, seed=seed)[2] for seed in (1, 2)])
    variable = torch.tensor([0, 1, 1, 0, 1])
    expected = torch.stack([row @ weight[number] for row, number in zip(z, variable, strict=True)])
    torch.testing.assert_close(mapped(z, weight, variable), expected)
    torch.testing.assert_close(mapped(z, weight[0]), z @ weight[0])
    with pytest.raises(ValueError, match="variable: found None"):
        mapped(z, weight)


def test_the_seasonal_map_averages_equal_phases():
    x = torch.arange(10.0, dtype=torch.float64)
    assert (x @ seasonal_map(10, 5, 3)).tolist() == pytest.approx([4.0, 5.0, 6.0, 4.0, 5.0])
    assert (x @ seasonal_map(10, 5, 3, cycles=1)).tolist() == [7.0, 8.0, 9.0, 7.0, 8.0]


@pytest.mark.parametrize("season", [1, 11])
def test_without_a_whole_season_the_map_repeats_the_level(season):
    assert not seasonal_map(10, 5, season).any()


def test_of_several_priors_the_folds_choose():
    z, y, truth = draw(60, noise=20.0)
    statistics = summed(z, y, torch.arange(60) // 12)
    zero = torch.zeros(L, H)
    assert solve_ridge(statistics, prior=[-truth, zero, truth]).prior == 2
    chosen, alone = solve_ridge(statistics, prior=[-truth, truth]), solve_ridge(statistics, prior=truth)
    torch.testing.assert_close(chosen.weight, alone.weight)
    torch.testing.assert_close(chosen.errors, alone.errors)


def test_a_root_shapes_the_penalty_as_its_inverse_covariance_does():
    z, y, truth = draw(80)
    root = torch.randn(L, L, generator=torch.Generator().manual_seed(5), dtype=torch.float64) + 3 * torch.eye(L)
    found = solve_ridge(summed(z, y, torch.arange(80) // 16), penalties=[0.5], prior=truth, root=_Dense(root))
    expected = ridge(z, y, 0.5, truth, root=root)
    torch.testing.assert_close(found.weight.double(), expected, rtol=1e-5, atol=1e-6)
    for fold, weight in enumerate(found.fold_weights):
        held_out = torch.isin(torch.arange(80) // 16, torch.tensor(found.fold_segments[fold]))
        error = (y[held_out] - z[held_out] @ weight.double()).square().mean()
        torch.testing.assert_close(found.errors[fold, 0], error, rtol=1e-5, atol=1e-7)
