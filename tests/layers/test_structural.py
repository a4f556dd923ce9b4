"""Gaussian processes of day, week, drift and noise: against dense algebra, and what they say of windows."""

import pickle

import numpy as np
import pytest
import torch

from tsrec.layers.forecast import DirectForecaster
from tsrec.layers.structural import StructuralMaps

LENGTH, AHEAD, DAY = 96, 30, 24


def processes():
    """Covariances (L + H, L + H) of all processes, the unknown level aside."""
    lag = np.abs(np.subtract.outer(np.arange(LENGTH + AHEAD), np.arange(LENGTH + AHEAD))) / DAY
    found = []
    for season in (0.1, 0.4, 0.7):
        for memory in (1 / 6, 4 / 3):
            for noise in (0.03, 0.2):
                for week in (0.0, 0.4):
                    day = np.exp(-2 * np.sin(np.pi * lag) ** 2 / 0.8**2)
                    weekly = day * np.exp(-2 * np.sin(np.pi * lag / 7) ** 2 / 0.8**2)
                    whole = season * (1 - week) * day * np.exp(-lag / 208) + season * week * weekly * np.exp(-lag / 833)
                    whole += max(0.9 - season - noise, 0.03) * np.exp(-lag / memory) + 0.1 * np.exp(-lag / 20)
                    found.append(whole + noise * np.eye(len(lag)))
    return found


def windows(count=5, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((count, LENGTH)).cumsum(1)).float()


def expected_plainly(window):
    """Point and standard deviation, process after process, frequency after frequency."""
    centred = window - window.mean()
    fits, points, variances = [], [], []
    angles = 2 * np.pi * np.outer(np.arange(1, LENGTH // 2 + 1), np.arange(LENGTH)) / LENGTH
    transform = np.exp(-1j * angles)
    periodogram = np.abs(transform @ centred) ** 2 / LENGTH
    for whole in processes():
        past = whole[:LENGTH, :LENGTH]
        spectrum = np.real(np.diag(transform @ past @ transform.conj().T)) / LENGTH
        size = np.mean(periodogram / spectrum)
        fits.append(-np.sum(np.log(spectrum)) - len(spectrum) * np.log(size))
        level_unknown = whole + 1
        map_ = np.linalg.solve(level_unknown[:LENGTH, :LENGTH], level_unknown[:LENGTH, LENGTH:])
        points.append(centred @ map_)
        variances.append(size * (level_unknown[0, 0] - (level_unknown[:LENGTH, LENGTH:] * map_).sum(0)))
    weight = np.exp(0.2 * (np.array(fits) - np.max(fits)))
    weight = (weight / weight.sum())[:, None]
    point = (weight * np.array(points)).sum(0)
    second = (weight * (np.array(points) ** 2 + np.array(variances))).sum(0)
    return window.mean() + point, np.sqrt(second - point**2)


def test_what_is_expected_is_what_dense_algebra_says():
    z = windows()
    found = StructuralMaps(LENGTH, AHEAD, DAY)(z.double())
    for number, window in enumerate(z.double().numpy()):
        point, spread = expected_plainly(window)
        np.testing.assert_allclose(found.point[number], point, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(found.spread[number], spread, rtol=1e-6)
    torch.testing.assert_close(found.blend.sum(1), torch.ones(5, dtype=torch.float64))


def test_single_precision_is_enough():
    z, maps = windows(), StructuralMaps(LENGTH, AHEAD, DAY)
    torch.testing.assert_close(maps(z).point, maps(z.double()).point.float(), rtol=1e-3, atol=1e-3)


def test_level_and_scale_go_along():
    z, maps = windows().double(), StructuralMaps(LENGTH, AHEAD, DAY)
    usual, other = maps(z), maps(3 + 7 * z)
    torch.testing.assert_close(other.point, 3 + 7 * usual.point)
    torch.testing.assert_close(other.spread, 7 * usual.spread)


def test_parts_of_windows_are_mapped_as_their_whole():
    z, maps = windows(), StructuralMaps(LENGTH, AHEAD, DAY)
    whole = maps(z)
    part = windows(seed=1)
    torch.testing.assert_close(maps.blended(part, whole.blend) + maps.blended(z - part, whole.blend), whole.point)


def test_what_lasts_goes_on_and_what_is_noise_does_not():
    rng, steps = np.random.default_rng(2), np.arange(LENGTH)
    shape = np.sin(2 * np.pi * steps / DAY)
    slow = np.zeros(LENGTH)
    slow[-12:] = 2.0
    noisy = shape + rng.standard_normal(LENGTH)
    noisy[-1] += 4
    maps = StructuralMaps(LENGTH, AHEAD, DAY)
    lasting, noise = maps(torch.from_numpy(np.stack([shape + slow + 0.1 * rng.standard_normal(LENGTH), noisy]))).point
    assert lasting[0] > 1.0
    # Of the last value, which is 4 or more above its day.
    assert abs(noise[0]) < 1.5


def test_a_draw_lies_within_its_spread_as_often_as_it_should():
    whole = processes()[9]
    draws = np.random.default_rng(3).multivariate_normal(np.zeros(len(whole)), whole, 400, method="cholesky")
    found = StructuralMaps(LENGTH, AHEAD, DAY)(torch.from_numpy(draws[:, :LENGTH]))
    inside = np.abs(draws[:, LENGTH:] - found.point.numpy()) < 1.2816 * found.spread.numpy()
    assert 0.75 < inside.mean() < 0.85


def test_only_kinds_that_have_days_are_expected_of():
    z = windows(4)
    maps, all_kinds = StructuralMaps(LENGTH, AHEAD, DAY, kinds=(False, True)), StructuralMaps(LENGTH, AHEAD, DAY)
    found, whole = maps(z, torch.tensor([0, 1, 1, 0])), all_kinds(z)
    for part, other in zip(found, whole, strict=True):
        torch.testing.assert_close(part[1:3], other[1:3])
    for nothing in (
        found.point[::3],
        found.blend[::3],
        maps(z).point,
        maps(z, torch.zeros(4, dtype=torch.int64)).blend,
    ):
        assert not nothing.any()
    assert (found.spread[::3] == 1).all()


def test_windows_at_rest_and_no_windows_at_all():
    maps = StructuralMaps(LENGTH, AHEAD, DAY)
    found = maps(torch.full((1, LENGTH), 5.0))
    torch.testing.assert_close(found.point, torch.full((1, AHEAD), 5.0))
    assert (found.spread == 1).all()
    assert maps(torch.zeros(0, LENGTH)).point.shape == (0, AHEAD)


@pytest.mark.parametrize("season", [1, LENGTH // 2 + 1])
def test_a_season_that_does_not_fit_is_refused(season):
    with pytest.raises(ValueError, match=f"season: found {season}"):
        StructuralMaps(LENGTH, AHEAD, season)


def test_tables_are_shared_and_not_stored():
    maps = StructuralMaps(LENGTH, AHEAD, DAY)
    maps(windows())
    assert len(pickle.dumps(maps)) < 5000
    assert not maps.state_dict()
    assert maps._tables(windows()) is StructuralMaps(LENGTH, AHEAD, DAY)._tables(windows())


def test_a_forecaster_learns_what_is_left_over():
    maps = StructuralMaps(LENGTH, AHEAD, DAY)
    net = DirectForecaster(None, context=LENGTH, horizon=AHEAD, structural=maps, levels=(0.1, 0.9))
    x = windows(3)
    z, loc, scale, *_ = net.window(x, None, None)
    expected = maps(z)
    point, quantiles = net(x)
    torch.testing.assert_close(point, loc + scale * expected.point)
    torch.testing.assert_close(
        (quantiles[..., 1] - point) / (scale * expected.spread), torch.full((3, AHEAD), 1.2816), atol=1e-3, rtol=0
    )
    net.linear = 0.01 * torch.ones(LENGTH, AHEAD)
    torch.testing.assert_close(net(x)[0], point + scale * expected.spread * 0.01 * z.sum(1, keepdim=True))
    torch.testing.assert_close(sum(net.components(x).values()), net(x)[0])
    torch.testing.assert_close(loc + scale * net.embed(x), net(x)[0])
