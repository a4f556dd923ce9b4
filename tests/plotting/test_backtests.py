"""Pictures of backtests: what is drawn is what the table holds."""

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from tsrec import SeasonalMeanForecaster, SeasonalNaiveForecaster
from tsrec.model_selection import backtest
from tsrec.model_selection.tables import read_forecasts
from tsrec.plotting import BacktestDisplay, CalibrationDisplay, ResidualsDisplay
from tsrec.plotting._residuals import autocorrelation

matplotlib.use("Agg")

RNG = np.random.default_rng(0)
DAYS = pd.date_range("2024-01-01", periods=80, freq="D", name="day")
Y = pd.Series(np.arange(80) % 7 + RNG.normal(0, 0.5, 80), DAYS, name="sold")
PANEL = pd.concat({f"s{i}": Y * (i + 1) for i in range(8)}, names=["shop", "day"])
NAIVE, MEAN = SeasonalNaiveForecaster(horizon=4, season=7), SeasonalMeanForecaster(horizon=4, season=7)
ALONE = backtest(NAIVE, Y, n_windows=5)
DENSE = backtest(MEAN, Y, n_windows=20, step=1)
BOTH = backtest({"naive": NAIVE, "mean": MEAN}, PANEL, n_windows=3)
KEY = ("sold", "forecast")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def line(ax, label):
    return next(each for each in ax.get_lines() if each.get_label() == label)


def texts(legend):
    return [text.get_text() for text in legend.get_texts()]


def test_truth_forecasts_and_fans_are_drawn_and_named():
    ax = BacktestDisplay(ALONE).plot().ax_
    assert texts(ax.get_legend()) == ["truth", "forecast", "95 % interval"]
    np.testing.assert_array_equal(line(ax, "truth").get_ydata(), ALONE["sold", "y"])
    drawn = line(ax, "forecast").get_ydata()
    assert np.isnan(drawn).sum() == 4
    np.testing.assert_array_equal(drawn[~np.isnan(drawn)], ALONE[KEY])
    assert ax.get_title(loc="left") == "sold"


def test_the_fan_lies_between_the_levels_nearest_to_the_coverage():
    ax = BacktestDisplay(ALONE, coverage=0.5).plot().ax_
    assert texts(ax.get_legend())[-1] == "50 % interval"
    heights = np.concatenate([path.vertices[:, 1] for path in ax.collections[0].get_paths()])
    assert heights.min() == pytest.approx(ALONE["sold", 0.25].min())
    assert heights.max() == pytest.approx(ALONE["sold", 0.75].max())
    assert not BacktestDisplay(ALONE, coverage=None).plot().ax_.collections


def test_only_forecasts_that_do_not_overlap_are_strong():
    ax = BacktestDisplay(DENSE).plot().ax_
    strong = line(ax, "forecast").get_ydata()
    cutoffs = DENSE.index.unique("cutoff")[[3, 7, 11, 15, 19]]
    np.testing.assert_array_equal(strong[~np.isnan(strong)], DENSE.loc[cutoffs, KEY])
    assert max(len(each.get_ydata()) for each in ax.get_lines()) == 20 * 4 + 19


def test_y_shows_what_came_before_and_between():
    table = backtest(NAIVE, Y, n_windows=3, step=8)
    np.testing.assert_array_equal(
        line(BacktestDisplay(table, y=Y).plot().ax_, "truth").get_ydata(), Y.iloc[80 - 20 - 12 :]
    )
    alone = line(BacktestDisplay(table).plot().ax_, "truth").get_ydata()
    assert np.flatnonzero(np.isnan(alone)).tolist() == [4, 9]
    values = Y.to_numpy()
    drawn = line(BacktestDisplay.from_estimator(NAIVE, values, n_windows=3, step=8).ax_, "truth")
    np.testing.assert_array_equal(drawn.get_ydata(), values[48:])
    assert drawn.get_xdata()[0] == 48


def test_models_have_colours_and_series_axes_of_their_own():
    display = BacktestDisplay.from_frame(BOTH, y=PANEL)
    assert [ax.get_title(loc="left") for ax in display.ax_] == [f"s{i}" for i in range(6)]
    assert texts(display.figure_.legends[0]) == ["truth", "naive", "mean", "95 % interval"]
    drawn = line(display.ax_[2], "mean")
    np.testing.assert_array_equal(drawn.get_ydata()[~np.isnan(drawn.get_ydata())], BOTH.loc[("mean", "s2"), KEY])
    assert drawn.get_color() != line(display.ax_[2], "naive").get_color()


def test_series_and_models_can_be_chosen_and_ordered():
    display = BacktestDisplay(BOTH, series=["s7", "s0"], models=["mean"]).plot()
    assert [ax.get_title(loc="left") for ax in display.ax_] == ["s7", "s0"]
    assert texts(display.ax_[0].get_legend()) == ["truth", "forecast", "95 % interval"]
    alone = BacktestDisplay(BOTH, series="s7", models="mean", variables=Y.name).plot()
    assert alone.ax_.get_title(loc="left") == "s7"


def test_times_may_be_durations():
    y = pd.Series(np.arange(40.0) % 7, pd.to_timedelta(np.arange(40), unit="min"), name="y")
    table = backtest(SeasonalNaiveForecaster(horizon=4, season=7), y, n_windows=3)
    display = BacktestDisplay(table, y=y).plot()
    drawn = {one.get_label(): one.get_xdata() for one in display.ax_.get_lines()}
    assert max(drawn["truth"]) == max(drawn["forecast"]) == 39 * 60
    assert ResidualsDisplay(table).plot().figure_ is not None


def test_variables_have_axes_of_their_own():
    wide = pd.DataFrame({"a": Y, "b": -Y})
    display = BacktestDisplay.from_estimator(NAIVE, wide, n_windows=2)
    assert [ax.get_title(loc="left") for ax in display.ax_] == ["a", "b"]
    np.testing.assert_array_equal(line(display.ax_[1], "truth").get_ydata(), wide["b"].iloc[-16:])
    assert BacktestDisplay(display.table, variables=["b"]).plot().ax_.get_title(loc="left") == "b"


def test_given_axes_are_drawn_on():
    figure, axes = plt.subplots(1, 2)
    display = BacktestDisplay.from_frame(BOTH, series=["s1", "s2"], ax=axes)
    assert display.figure_ is figure
    with pytest.raises(ValueError, match="ax: got 2 pairs of axes for 6"):
        BacktestDisplay(BOTH).plot(axes)
    _, ax = plt.subplots()
    assert CalibrationDisplay.from_frame(BOTH, ax=ax).ax_ is ax
    with pytest.raises(ValueError, match=r"ax: got 2 pairs of axes\. Pass four"):
        ResidualsDisplay.from_frame(ALONE, ax=axes)


@pytest.mark.parametrize(
    ("kw", "message"),
    [
        ({"series": ["s9"]}, "series: the table has no 's9'"),
        ({"models": ["lstm"]}, r"models: the table has no 'lstm'. Choose among \['naive', 'mean'\]"),
        ({"variables": ["bought"]}, "variables: the table has no 'bought'"),
        ({"models": []}, "models: found 0"),
    ],
)
def test_what_is_not_in_the_table_is_refused_by_name(kw, message):
    with pytest.raises(ValueError, match=message):
        BacktestDisplay(BOTH, **kw).plot()


@pytest.mark.filterwarnings("ignore:past", "ignore:static")
@pytest.mark.parametrize("display", [BacktestDisplay, CalibrationDisplay, ResidualsDisplay])
def test_what_forecasters_learn_from_is_given_to_the_backtest(display):
    seen = []

    class Spy(SeasonalNaiveForecaster):
        def fit(self, X, y=None, *, past=None, static=None, sample_weight=None):
            seen.append((past["p"].sum(), static.loc["s1", "size"], float(np.sum(sample_weight))))
            return super().fit(X, y, past=past, static=static)

    static = pd.DataFrame({"size": np.arange(8.0)}, [f"s{i}" for i in range(8)])
    beside = {"past": PANEL.to_frame("p"), "static": static, "sample_weight": PANEL * 0 + 2, "n_windows": 3}
    table = backtest(Spy(horizon=4, season=7), PANEL, refit=2, **beside)
    asked = list(seen)
    seen.clear()
    shown = display.from_estimator(Spy(horizon=4, season=7), PANEL, refit=2, **beside)
    assert len(asked) == 2
    assert seen == asked
    pd.testing.assert_frame_equal(shown.table, table)


@pytest.mark.parametrize("display", [BacktestDisplay, CalibrationDisplay, ResidualsDisplay])
def test_other_frames_are_refused(display):
    with pytest.raises(TypeError, match="table: found a DataFrame that is no answer of backtest"):
        display.from_frame(Y.to_frame())


def test_shares_below_each_level_are_what_was_observed():
    display = CalibrationDisplay.from_frame(BOTH)
    for model in ("naive", "mean"):
        part = BOTH.loc[model]["sold"]
        for level in NAIVE.quantiles:
            assert display.shares_.loc[level, model] == pytest.approx((part["y"] <= part[level]).mean())
        np.testing.assert_array_equal(
            next(each for each in display.ax_.get_lines() if each.get_label().startswith(model)).get_ydata(),
            display.shares_[model],
        )
    held = 100 * BOTH.loc["mean"]["sold"].eval("y >= `0.025` and y <= `0.975`").mean()
    assert texts(display.ax_.get_legend())[-1] == f"mean: its 95 % interval holds {held:.1f} %"


def test_missing_truth_does_not_count_for_calibration():
    holes = ALONE.copy()
    holes.iloc[::2, 0] = np.nan
    pd.testing.assert_frame_equal(
        CalibrationDisplay(holes).plot().shares_, CalibrationDisplay(ALONE.iloc[1::2]).plot().shares_
    )


def test_models_of_other_variables_stand_beside_the_truth_of_all():
    wide = pd.DataFrame({"a": Y, "b": -Y})
    narrow = SeasonalNaiveForecaster(horizon=4, season=7).fit(wide[["b"]].iloc[:40])
    table = backtest({"narrow": narrow, "both": NAIVE}, wide, n_windows=2)
    ax = BacktestDisplay(table, variables=["a"]).plot().ax_
    np.testing.assert_array_equal(line(ax, "truth").get_ydata(), table.loc["both"]["a", "y"])
    display = CalibrationDisplay(table, variables=["a"]).plot()
    assert display.shares_["narrow"].isna().all()
    assert texts(display.ax_.get_legend())[1] == "narrow"


def test_residuals_of_one_series_are_in_its_unit():
    display = ResidualsDisplay.from_frame(DENSE)
    np.testing.assert_allclose(display.residuals_["residual"], DENSE["sold", "y"] - DENSE[KEY])
    assert display.ax_[0, 0].get_ylabel() == "truth − forecast"
    by_step = display.residuals_.groupby("step")["residual"]
    np.testing.assert_allclose(line(display.ax_[1, 1], "MAE").get_ydata(), by_step.apply(lambda e: e.abs().mean()))
    np.testing.assert_allclose(line(display.ax_[1, 1], "RMSE").get_ydata() ** 2, by_step.apply(lambda e: (e**2).mean()))
    means = display.residuals_.groupby("cutoff")["residual"].mean()
    np.testing.assert_allclose(line(display.ax_[0, 0], "mean of a cut-off, at its time").get_ydata(), means)


def test_residuals_of_several_series_count_alike():
    display = ResidualsDisplay(BOTH, model="mean").plot()
    squares = (display.residuals_["residual"] ** 2).groupby(level="shop").mean()
    np.testing.assert_allclose(squares, 1)
    assert len(display.residuals_) == len(BOTH) / 2
    assert len(ResidualsDisplay(BOTH, series=["s1"]).plot().residuals_) == 12


def test_one_model_and_one_variable_may_stand_in_a_list():
    alone = ResidualsDisplay(BOTH, model="mean", variable="sold").plot().residuals_
    pd.testing.assert_frame_equal(ResidualsDisplay(BOTH, model=["mean"], variable=["sold"]).plot().residuals_, alone)
    numbered = BOTH.rename(columns={"sold": 3}, level=0)
    pd.testing.assert_frame_equal(ResidualsDisplay(numbered, model="mean", variable=3).plot().residuals_, alone)


@pytest.mark.parametrize(
    ("kw", "message"),
    [
        (
            {"model": ["naive", "mean"]},
            r"model: found 2 names, and one can be shown\. Choose among \['naive', 'mean'\]",
        ),
        ({"model": []}, r"model: found 0 names"),
        ({"model": "lstm"}, r"model: the table has no 'lstm'"),
        ({"variable": ["sold", "sold"]}, r"variable: found 2 names, and one can be shown\. Choose among \['sold'\]"),
        ({"variable": "bought"}, r"variable: the table has no 'bought'"),
    ],
)
def test_residuals_name_the_argument_that_is_wrong(kw, message):
    with pytest.raises(ValueError, match=message):
        ResidualsDisplay(BOTH, **kw).plot()


def test_a_number_alone_is_one_name():
    numbered = BOTH.rename(columns={"sold": 3}, level=0).rename(lambda name: int(name[1:]), level="shop")
    assert BacktestDisplay(numbered, series=7, variables=3).plot().ax_.get_title(loc="left") == "7"


def test_autocorrelations_equal_a_loop_over_the_nearest_forecasts():
    found = read_forecasts(DENSE)
    errors = (DENSE["sold", "y"] - DENSE[KEY]).to_numpy()
    lags, ours, bounds = autocorrelation(found, errors)
    nearest = pd.Series(errors, DENSE.index).groupby("time").last()
    first = pd.Series(errors, DENSE.index)[found.steps == 1].droplevel("cutoff")
    np.testing.assert_array_equal(nearest.iloc[:20], first)
    centred = (nearest - nearest.mean()).to_numpy()
    for lag, value, bound in zip(lags, ours, bounds, strict=True):
        assert value == pytest.approx(np.mean(centred[lag:] * centred[:-lag]) / np.mean(centred**2))
        assert bound == pytest.approx(1.96 / np.sqrt(len(centred) - lag))


def test_holes_between_cutoffs_are_no_steps_of_the_autocorrelation():
    table = backtest(NAIVE, Y, n_windows=6, step=10)
    lags, ours, _ = autocorrelation(read_forecasts(table), (table["sold", "y"] - table[KEY]).to_numpy())
    assert np.isnan(ours[lags == 5]).all()
    assert np.isfinite(ours[lags == 10]).all()


def test_residuals_without_truth_are_refused():
    unknown = ALONE.copy()
    unknown["sold", "y"] = np.nan
    with pytest.raises(ValueError, match="table: no value of what is shown was observed"):
        ResidualsDisplay(unknown).plot()


def test_perfect_forecasts_can_be_drawn():
    exact = ALONE.copy()
    exact["sold", "forecast"] = exact["sold", "y"]
    assert (ResidualsDisplay(exact).plot().residuals_["residual"] == 0).all()


def test_a_backtest_of_one_step_can_be_drawn():
    one = backtest(NAIVE, Y, horizon=1, n_windows=1)
    BacktestDisplay(one).plot()
    CalibrationDisplay(one).plot()
    ResidualsDisplay(one).plot()


@pytest.mark.parametrize("index", [DAYS.tz_localize("Europe/Berlin"), DAYS.to_period(), pd.RangeIndex(3, 83)])
def test_other_indexes_are_drawn(index):
    y = pd.Series(Y.to_numpy(), index, name="sold")
    np.testing.assert_array_equal(
        line(BacktestDisplay.from_estimator(NAIVE, y, n_windows=3).ax_, "truth").get_ydata(), y.iloc[-24:]
    )
    ResidualsDisplay.from_estimator(NAIVE, y, n_windows=3)
