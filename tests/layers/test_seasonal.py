import pytest
import torch

from tsrec.layers.seasonal import SeasonalRoot, seasonal_mean_map

EYE = torch.eye(24, dtype=torch.float64)


def test_the_seasonal_mean_sits_at_the_level_of_late():
    x = torch.randn(26, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    whole = x[2:].reshape(4, 6)
    expected = whole.mean(0) + 0.5 * (whole[-1].mean() - whole.mean())
    torch.testing.assert_close(x @ seasonal_mean_map(26, 6, 6), expected)


@pytest.mark.parametrize(("season", "total"), [(6, 1.0), (26, 1.0), (1, 0.0), (27, 0.0)])
def test_a_level_stays_where_it_is(season, total):
    torch.testing.assert_close(seasonal_mean_map(26, 9, season).sum(0), torch.full((9,), total).double())


def test_phase_means_are_cheap_and_old_lags_dear():
    inverse = torch.linalg.inv(SeasonalRoot(24, 6).times(EYE))
    lags = torch.eye(24, dtype=torch.float64)
    phase = (torch.arange(24) % 6 == 0).double() / 2
    recent, old, mean = (float((inverse @ lag).square().sum()) for lag in (lags[-1], lags[0], phase))
    assert mean < 0.1 * recent < 0.1 * old


def test_products_with_the_root_are_those_of_its_matrix():
    root = SeasonalRoot(20, 6)
    phase = torch.arange(20) % 6
    same = (phase[:, None] == phase).double()
    age = torch.arange(19.0, -1, -1).double()
    dense = torch.exp(-age / (28 * 6))[:, None] * (torch.eye(20).double() + (101**0.5 - 1) * same / same.sum(1))
    x = torch.randn(20, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(root.times(x), dense @ x)
    torch.testing.assert_close(root.transposed_times(x), dense.T @ x)
