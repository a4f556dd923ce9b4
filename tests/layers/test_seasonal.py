import pytest
import torch

from tsrec.layers.seasonal import seasonal_mean_map, seasonal_root


def test_the_seasonal_mean_sits_at_the_level_of_late():
    x = torch.randn(26, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    whole = x[2:].reshape(4, 6)
    expected = whole.mean(0) + 0.5 * (whole[-1].mean() - whole.mean())
    torch.testing.assert_close(x @ seasonal_mean_map(26, 6, 6), expected)


@pytest.mark.parametrize(("season", "total"), [(6, 1.0), (26, 1.0), (1, 0.0), (27, 0.0)])
def test_a_level_stays_where_it_is(season, total):
    torch.testing.assert_close(seasonal_mean_map(26, 9, season).sum(0), torch.full((9,), total).double())


def test_phase_means_are_cheap_and_old_lags_dear():
    inverse = torch.linalg.inv(seasonal_root(24, 6))
    lags = torch.eye(24, dtype=torch.float64)
    phase = (torch.arange(24) % 6 == 0).double() / 2
    recent, old, mean = (float((inverse @ lag).square().sum()) for lag in (lags[-1], lags[0], phase))
    assert mean < 0.1 * recent < 0.1 * old


@pytest.mark.parametrize("season", [1, 13, 30])
def test_without_two_seasons_all_lags_are_equal(season):
    assert torch.equal(seasonal_root(24, season), torch.eye(24, dtype=torch.float64))
