"""Coverages mean the same in every display: one share or several, each between 0 and 1."""

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from tsrec import AnomalyDetector, SeasonalMeanForecaster, SeasonalNaiveForecaster
from tsrec.model_selection import backtest
from tsrec.plotting import AnomalyDisplay, BacktestDisplay, CalibrationDisplay, ForecastDisplay

matplotlib.use("Agg")

DAYS = pd.date_range("2024-01-01", periods=120, freq="D", name="day")
Y = pd.Series(np.arange(120) % 7 + np.random.default_rng(0).normal(0, 0.5, 120), DAYS, name="sold")
NAIVE = SeasonalNaiveForecaster(horizon=4, season=7).fit(Y)
NARROW = SeasonalMeanForecaster(horizon=4, season=7, quantiles=(0.1, 0.5, 0.9))
DETECTOR = AnomalyDetector(SeasonalMeanForecaster(season=1, context=24), horizon=6, memory=None).fit(Y)
ALONE = backtest(NAIVE, Y, n_windows=3)
BOTH = backtest({"naive": NAIVE, "mean": NARROW}, Y, n_windows=3)

DRAWN = {
    "anomalies": lambda coverage: AnomalyDisplay.from_estimator(DETECTOR, Y, coverage=coverage),
    "backtest": lambda coverage: BacktestDisplay.from_frame(ALONE, coverage=coverage),
    "forecast": lambda coverage: ForecastDisplay.from_estimator(NAIVE, coverage=coverage),
}


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def texts(legend):
    return [text.get_text() for text in legend.get_texts()]


def band(ax):
    return [path.vertices for path in ax.collections[0].get_paths()]


@pytest.mark.parametrize("name", DRAWN)
def test_one_share_may_stand_alone_or_in_a_sequence(name):
    alone = DRAWN[name](0.5).ax_
    for other in ([0.5], (0.5,), np.array([0.5]), np.float32(0.5), pd.Series([0.5], index=["x"])):
        np.testing.assert_array_equal(band(DRAWN[name](other).ax_), band(alone))


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize("wrong", ["a", 90, -1, 1.0, 0, True, np.nan, [], [0.5, 90], ["a"], "0.9", [[0.5]]])
def test_all_else_is_refused_in_the_same_words(name, wrong):
    with pytest.raises(ValueError, match=r"coverage: found .* Give a number between 0 and 1, for example 0\.9"):
        DRAWN[name](wrong)


@pytest.mark.parametrize("name", ["backtest", "forecast"])
def test_several_shares_are_several_bands(name):
    ax = DRAWN[name]([0.5, 0.8]).ax_
    assert texts(ax.get_legend())[-2:] == ["80 % interval", "50 % interval"]
    wide, narrow = ax.collections
    heights = [np.concatenate([path.vertices[:, 1] for path in each.get_paths()]) for each in (wide, narrow)]
    assert np.ptp(heights[0]) > np.ptp(heights[1])
    assert wide.get_alpha() < narrow.get_alpha()


def test_one_interval_is_drawn_of_anomalies():
    with pytest.raises(ValueError, match=r"coverage: found \[0.5, 0.9\], and one interval can be drawn\. Give one"):
        DRAWN["anomalies"]([0.5, 0.9])


def test_a_coverage_that_the_table_has_not_is_refused_with_those_it_has():
    with pytest.raises(ValueError, match=r"coverage: the table has no 70 % interval.*\[0.5, 0.8, 0.95\]"):
        BacktestDisplay.from_frame(ALONE, coverage=[0.5, 0.7])
    no_levels = ALONE[[("sold", "y"), ("sold", "forecast")]]
    with pytest.raises(ValueError, match=r"coverage: the table has no quantiles.*coverage=None"):
        BacktestDisplay.from_frame(no_levels, coverage=0.9)
    assert not BacktestDisplay.from_frame(no_levels).ax_.collections


def test_the_widest_interval_of_each_model_is_drawn_by_default():
    display = BacktestDisplay.from_frame(BOTH)
    assert texts(display.ax_.get_legend()) == ["truth", "naive", "mean", "95 % interval, naive", "80 % interval, mean"]
    shared = BacktestDisplay.from_frame(BOTH, coverage=0.8)
    assert texts(shared.ax_.get_legend()) == ["truth", "naive", "mean", "80 % interval"]
    of_one = BacktestDisplay.from_frame(BOTH, coverage=[0.95, 0.8])
    assert len(of_one.ax_.collections) == 3
    assert "its 80 % interval" in texts(CalibrationDisplay.from_frame(BOTH).ax_.get_legend())[-1]


def test_several_bands_of_several_models_are_named_once():
    table = backtest({"naive": NAIVE, "other": NAIVE}, Y, n_windows=3)
    legend = BacktestDisplay.from_frame(table, coverage=[0.5, 0.8, 0.95]).ax_.get_legend()
    assert texts(legend)[-3:] == ["95 % interval", "80 % interval", "50 % interval"]
    alphas = [patch.get_alpha() for patch in legend.get_patches()]
    assert alphas == sorted(set(alphas))
