"""SIGReg against its closed form, the values it has by theory, and what minimising it does."""

import math

import pytest
import torch

from tsrec.layers.sigreg import epps_pulley, epps_pulley_closed, random_directions, sigreg

pytestmark = pytest.mark.usefixtures("one_thread")
GRIDS = ("one-sided", "two-sided")


def seeded(number=1):
    return torch.Generator().manual_seed(number)


def noise(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=seeded(seed))


@pytest.mark.parametrize(("grid", "tolerance"), [("two-sided", 1e-4), ("one-sided", 0.01)])
def test_the_sum_is_the_integral(grid, tolerance):
    s = noise(50, 7).clamp(-2, 2)
    torch.testing.assert_close(epps_pulley(s, grid=grid), epps_pulley_closed(s), atol=tolerance, rtol=0)


def test_the_closed_form_is_the_integral_over_all_t():
    s = noise(9, 2)
    t = torch.linspace(-12, 12, 4001, dtype=torch.float64)
    phi = torch.exp(-t.square() / 2)
    z = torch.exp(1j * s[..., None] * t).mean(0)
    torch.testing.assert_close(torch.trapezoid((z - phi).abs().square() * phi, t), epps_pulley_closed(s))


@pytest.mark.parametrize(("grid", "expected"), [("two-sided", 1.0594), ("one-sided", 1.0525)])
@pytest.mark.parametrize("n", [8, 512])
def test_normal_samples_have_the_same_value_at_every_size(grid, expected, n):
    # E T = sqrt(2 pi) - sqrt(2 pi / 3), so T / N tends to 0 like 1.06 / N, and T does not.
    found = n * epps_pulley(noise(n, 4000), grid=grid).mean()
    assert found.item() == pytest.approx(expected, abs=0.06)
    if grid == "two-sided":
        assert math.sqrt(2 * math.pi) - math.sqrt(2 * math.pi / 3) == pytest.approx(expected, abs=1e-4)


def test_values_at_a_point_and_of_other_spreads():
    zero = torch.zeros(16, 1, dtype=torch.float64)
    assert epps_pulley(zero, grid="two-sided").item() == pytest.approx(0.4089, abs=1e-4)
    assert epps_pulley(zero, grid="one-sided").item() == pytest.approx(0.4020, abs=1e-4)
    # Quantiles of N(0, s^2) stand for infinitely many samples.
    p = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
    normal = torch.special.ndtri(p)[:, None]
    for s, value in ((0.5, 0.1517), (1.0, 0.0), (2.0, 0.2361)):
        theory = math.sqrt(2 * math.pi) * (1 / math.sqrt(2 * s**2 + 1) - 2 / math.sqrt(s**2 + 2) + 1 / math.sqrt(3))
        assert theory == pytest.approx(value, abs=1e-4)
        # Beyond two the rule begins to repeat itself.
        assert epps_pulley(s * normal, grid="two-sided").item() == pytest.approx(value, abs=1e-3 if s < 2 else 1e-2)
    for s, sign in ((0.7, -1), (1.5, 1)):
        scale = torch.tensor(s, dtype=torch.float64, requires_grad=True)
        epps_pulley(scale * normal).sum().backward()
        assert sign * scale.grad > 0


def test_far_out_the_two_sided_rule_repeats_itself():
    period = 2 * math.pi / 0.625
    far = torch.full((4, 1), period, dtype=torch.float64)
    assert epps_pulley(far, grid="two-sided").item() == pytest.approx(0.409, abs=1e-3)
    assert epps_pulley_closed(far).item() > 1.4
    assert epps_pulley(far, grid="one-sided").item() > 1.4


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_minimising_makes_a_cloud_normal(grid, seed):
    draws = torch.rand(256, 2, generator=seeded(seed))
    v = (0.3 * (-torch.log(draws) - 0.5)).requires_grad_()
    generator = seeded(seed + 10)
    optimiser = torch.optim.Adam([v], lr=0.05)
    for _ in range(200):
        optimiser.zero_grad()
        sigreg(v, random_directions(32, 2, generator=generator), grid=grid).backward()
        optimiser.step()
    v = v.detach()
    assert v.mean(0).abs().max() < 0.1
    assert (v.T.cov() - torch.eye(2)).abs().max() < 0.1


def test_the_number_of_samples_does_not_count_where_one_is_named():
    v, a = 2 * noise(64, 3), random_directions(8, 3, generator=seeded())
    twice = torch.cat([v, v])
    torch.testing.assert_close(sigreg(twice, a, n_ref=100), sigreg(v, a, n_ref=100))
    torch.testing.assert_close(sigreg(twice, a), 2 * sigreg(v, a))
    torch.testing.assert_close(sigreg(v, a), 64 * epps_pulley(v @ a.double()).mean())


def test_directions_are_unit_vectors_that_a_seed_decides():
    a = random_directions(50, 7, generator=seeded(3))
    assert a.shape == (7, 50)
    torch.testing.assert_close(a.norm(dim=0), torch.ones(50))
    assert torch.equal(a, random_directions(50, 7, generator=seeded(3)))
    assert not torch.equal(a, random_directions(50, 7, generator=seeded(4)))
    a.requires_grad_()
    sigreg(noise(5, 7).requires_grad_(), a).backward()
    assert a.grad is None


def test_half_precision_is_judged_in_single():
    s = 3 * noise(64, 2).half()
    assert epps_pulley(s).dtype == torch.float32
    torch.testing.assert_close(epps_pulley(s), epps_pulley(s.float()))


def test_an_unknown_grid_is_told():
    with pytest.raises(ValueError, match="grid='wide' is not known"):
        epps_pulley(torch.zeros(2, 1), grid="wide")
