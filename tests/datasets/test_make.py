import numpy as np
import pandas as pd
import pytest

from tsrec.datasets import make_seasonal


def test_without_noise_the_series_repeats_after_a_season():
    y = make_seasonal(100, season=7, noise=0, random_state=0)["y"].to_numpy()
    np.testing.assert_allclose(y[7:], y[:-7], atol=1e-12)


def test_trend_is_the_slope_over_a_season():
    y = make_seasonal(100, season=7, noise=0, trend=0.5, random_state=0)["y"].to_numpy()
    np.testing.assert_allclose(y[7:] - y[:-7], 3.5)


def test_the_same_seed_gives_the_same_numbers():
    pd.testing.assert_frame_equal(make_seasonal(50, random_state=3), make_seasonal(50, random_state=3))
    assert not make_seasonal(50, random_state=3).equals(make_seasonal(50, random_state=4))


def test_a_panel_has_a_series_level_even_with_one_series():
    panel = make_seasonal(5, n_series=1, random_state=0)
    assert panel.index.names == ["series", "time"]
    assert make_seasonal(5, random_state=0).index.freq == "h"


def test_series_of_a_panel_differ():
    panel = make_seasonal(30, n_series=2, random_state=0)
    assert panel.shape == (60, 1)
    assert not np.allclose(panel.loc["series_0"], panel.loc["series_1"])


def test_the_noise_has_the_given_deviation():
    quiet, loud = (make_seasonal(20_000, noise=noise, random_state=0)["y"] for noise in (0.0, 2.0))
    assert (loud - quiet).std() == pytest.approx(2.0, rel=0.02)


@pytest.mark.parametrize(
    "wrong", [{"n_steps": 0}, {"n_series": 0}, {"noise": -1.0}, {"season": 0}, {"season": (24, -1)}]
)
def test_values_out_of_range_are_refused_by_name(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        make_seasonal(**wrong)
