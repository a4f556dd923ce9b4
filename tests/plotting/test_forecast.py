import builtins
import subprocess
import sys

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from tsrec.datasets import load_macrodata, make_seasonal
from tsrec.estimators.baseline import SeasonalNaiveForecaster
from tsrec.plotting import ForecastDisplay

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def interval_frame(forecast, coverages=(0.9, 0.5)):
    parts = {
        (name, share, side): forecast[name] + sign * share
        for name in forecast
        for share in coverages
        for side, sign in (("lower", -1), ("upper", 1))
    }
    return pd.DataFrame(parts)


@pytest.fixture
def one():
    """History, forecast, intervals and actual values of one series."""
    y = make_seasonal(120, random_state=0)
    return y[:96], y[72:96].set_axis(y.index[96:]), interval_frame(y[72:96].set_axis(y.index[96:])), y[96:]


@pytest.fixture
def panel():
    y = make_seasonal(60, n_series=5, random_state=0)
    step = y.groupby("series").cumcount()
    return y[step < 48], y[step >= 48]


def line(ax, label):
    return next(each for each in ax.get_lines() if each.get_label() == label)


def labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_everything_given_is_drawn_and_named(one):
    history, forecast, intervals, actual = one
    display = ForecastDisplay(history, forecast, intervals=intervals, actual=actual).plot()
    assert labels(display.ax_) == ["history", "actual", "forecast", "90 % interval", "50 % interval"]
    np.testing.assert_array_equal(line(display.ax_, "forecast").get_ydata(), forecast["y"])
    assert isinstance(display.figure_, Figure)
    assert display.figure_ is display.ax_.figure


def test_what_is_not_given_is_not_drawn(one):
    display = ForecastDisplay(None, one[1]).plot()
    assert labels(display.ax_) == ["forecast"]


def test_history_shows_four_times_the_forecast_or_what_was_asked(one):
    history, forecast, _, _ = one
    assert len(line(ForecastDisplay(history, forecast[:13]).plot().ax_, "history").get_ydata()) == 52
    assert len(line(ForecastDisplay(history, forecast, max_history=10).plot().ax_, "history").get_ydata()) == 10
    assert labels(ForecastDisplay(history, forecast, max_history=0).plot().ax_) == ["forecast"]


def test_actual_values_are_joined_to_the_history(one):
    history, forecast, _, actual = one
    drawn = line(ForecastDisplay(history, forecast, actual=actual).plot().ax_, "actual").get_ydata()
    np.testing.assert_array_equal(drawn, [history["y"].iloc[-1], *actual["y"]])


def test_an_exploding_interval_does_not_press_the_lines_flat(one):
    history, forecast, intervals, _ = one
    low, high = ForecastDisplay(history, forecast, intervals=intervals * 1e6).plot().ax_.get_ylim()
    spread = history["y"].max() - history["y"].min()
    assert high - low < 4 * spread


def test_each_variable_has_axes_of_its_own_found_by_name():
    y = load_macrodata()[["unemp", "infl"]]
    display = ForecastDisplay(y[:-8], y[["infl", "unemp"]][-8:]).plot()
    assert [ax.get_title(loc="left") for ax in display.ax_] == ["infl", "unemp"]
    np.testing.assert_array_equal(line(display.ax_[1], "history").get_ydata(), y["unemp"][-56:-8])


def test_names_of_variables_may_be_tuples_and_times_durations():
    names, hours = [("p", "a"), ("p", "b")], pd.to_timedelta(np.arange(24), unit="h")
    y = pd.DataFrame(np.arange(48.0).reshape(24, 2) % 6, hours, pd.MultiIndex.from_tuples(names))
    display = ForecastDisplay.from_estimator(SeasonalNaiveForecaster(horizon=2, season=3).fit(y))
    assert [ax.get_title(loc="left") for ax in display.ax_] == ["('p', 'a')", "('p', 'b')"]
    for ax in display.ax_:
        np.testing.assert_array_equal(line(ax, "forecast").get_xdata()[-2:], [24 * 3600, 25 * 3600])
        assert len(ax.collections) == 2


def test_each_series_has_axes_of_its_own(panel):
    display = ForecastDisplay(*panel).plot()
    assert [ax.get_title(loc="left") for ax in display.ax_] == [f"series_{i}" for i in range(5)]
    assert len(display.figure_.axes) == 5
    assert len(display.figure_.legends) == 1


def test_series_can_be_chosen_and_ordered(panel):
    display = ForecastDisplay(*panel, series=["series_3", "series_1"]).plot()
    assert [ax.get_title(loc="left") for ax in display.ax_] == ["series_3", "series_1"]
    np.testing.assert_array_equal(line(display.ax_[1], "forecast").get_ydata(), panel[1].loc["series_1", "y"])
    alone = ForecastDisplay(*panel, series="series_3").plot()
    assert [ax.get_title(loc="left") for ax in np.atleast_1d(alone.ax_)] == ["series_3"]


def test_given_axes_are_drawn_on(one, panel):
    _, ax = plt.subplots()
    assert ForecastDisplay(*one[:2]).plot(ax).ax_ is ax
    figure, axes = plt.subplots(2, 2)
    display = ForecastDisplay(*panel, series=[f"series_{i}" for i in range(4)]).plot(axes)
    assert display.figure_ is figure
    assert display.ax_.tolist() == axes.ravel().tolist()


@pytest.mark.parametrize(
    "index",
    [
        pd.period_range("2000Q1", periods=30, freq="Q"),
        pd.date_range("2024-10-26", periods=30, freq="h", tz="Europe/Berlin"),
        pd.RangeIndex(5, 35),
    ],
    ids=["periods", "time zone", "integers"],
)
def test_any_kind_of_time_is_drawn(index):
    y = pd.Series(np.arange(30.0), index)
    ForecastDisplay(y[:20], y[20:]).plot().figure_.canvas.draw()


def test_arrays_continue_where_the_history_ends():
    display = ForecastDisplay(np.arange(20.0), np.arange(3.0), actual=np.arange(3.0)).plot()
    assert line(display.ax_, "forecast").get_xdata().tolist() == [20, 21, 22]
    assert line(display.ax_, "actual").get_xdata().tolist() == [19, 20, 21, 22]


@pytest.mark.parametrize("container", ["frame", "series", "panel"])
def test_a_fitted_forecaster_is_drawn_with_its_own_history(container, panel):
    y = {"frame": panel[0].loc["series_0"], "series": panel[0].loc["series_0", "y"], "panel": panel[0]}[container]
    display = ForecastDisplay.from_estimator(SeasonalNaiveForecaster(horizon=12, season=24).fit(y))
    ax = np.atleast_1d(display.ax_)[0]
    np.testing.assert_array_equal(line(ax, "history").get_ydata(), panel[0].loc["series_0", "y"])
    np.testing.assert_array_equal(line(ax, "forecast").get_ydata(), panel[0].loc["series_0", "y"][-24:-12])


def test_another_history_is_continued_and_drawn(one):
    history = one[0]
    model = SeasonalNaiveForecaster(horizon=6, season=24).fit(history)
    display = ForecastDisplay.from_estimator(model, 3, history=history[:48] + 100, coverage=[0.8])
    np.testing.assert_array_equal(line(display.ax_, "history").get_ydata(), history["y"][:48] + 100)
    np.testing.assert_array_equal(line(display.ax_, "forecast").get_ydata(), history["y"][24:27] + 100)
    assert labels(display.ax_) == ["history", "forecast", "80 % interval"]


def test_pyplot_is_never_asked_to_show(one, monkeypatch):
    monkeypatch.setattr(plt, "show", lambda *args, **kwargs: pytest.fail("plt.show was called"))
    before = matplotlib.get_backend(), dict(matplotlib.rcParams)
    ForecastDisplay(*one[:2]).plot()
    assert before == (matplotlib.get_backend(), dict(matplotlib.rcParams))


def test_importing_the_display_does_not_import_matplotlib():
    code = "import sys, tsrec.plotting; tsrec.plotting.ForecastDisplay; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class TestRefusals:
    def test_missing_matplotlib(self, one, monkeypatch):
        real = builtins.__import__

        def without(name, *args, **kwargs):
            if name.startswith("matplotlib"):
                raise ImportError(name)
            return real(name, *args, **kwargs)

        monkeypatch.setattr(builtins, "__import__", without)
        with pytest.raises(ImportError, match=r"ForecastDisplay: matplotlib is needed .*tsrec\[plot\]"):
            ForecastDisplay(*one[:2]).plot()

    def test_too_many_series(self):
        y = make_seasonal(5, n_series=13)
        with pytest.raises(ValueError, match=r"series: found 13, too many .*Name 12 at most by series=\[...\]"):
            ForecastDisplay(None, y).plot()

    def test_a_forecaster_without_intervals(self):
        class Point:
            def predict(self, X):
                return np.zeros(3)

        with pytest.raises(TypeError, match=r"coverage: Point has no predict_interval\(\).*coverage=None"):
            ForecastDisplay.from_estimator(Point())

    def test_axes_of_another_number(self, panel):
        _, axes = plt.subplots(1, 2)
        with pytest.raises(ValueError, match="ax: got 2 pairs of axes for 5 series"):
            ForecastDisplay(*panel).plot(axes)

    def test_unknown_series(self, panel):
        with pytest.raises(ValueError, match="series: there is no 'shop'"):
            ForecastDisplay(*panel, series=["shop"]).plot()

    def test_history_without_the_series(self, panel):
        history, forecast = panel
        with pytest.raises(ValueError, match="history: it has no series 'series_4'"):
            ForecastDisplay(history.drop("series_4"), forecast).plot()

    def test_actual_values_with_other_levels(self, one, panel):
        history, forecast, _, actual = one
        shops = pd.concat({"a": actual, "b": actual}, names=["shop"])
        with pytest.raises(ValueError, match=r"actual: its index has the levels \['shop', 'time'\].*forecast has"):
            ForecastDisplay(history, forecast, actual=shops).plot()
        deeper = pd.concat({"north": panel[1]}, names=["region"])
        with pytest.raises(ValueError, match=r"actual: its index has the levels \['region', 'series', 'time'\]"):
            ForecastDisplay(*panel, actual=deeper).plot()
        with pytest.raises(ValueError, match=r"actual: its index has the levels \['time'\].*\['series', 'time'\]"):
            ForecastDisplay(*panel, actual=actual).plot()

    @pytest.mark.parametrize("argument", ["actual", "history", "intervals"])
    def test_another_kind_of_time(self, one, argument):
        given = {"history": one[0], "intervals": one[2], "actual": one[3]}
        given[argument] = given[argument].reset_index(drop=True)
        with pytest.raises(ValueError, match=rf"{argument}: its times are int64, those of the forecast datetime64"):
            ForecastDisplay(given.pop("history"), one[1], **given).plot()

    def test_durations_beside_numbers(self, one):
        apart = [each.set_axis(pd.to_timedelta(np.arange(len(each)), unit="h")) for each in one[:2]]
        with pytest.raises(ValueError, match="actual: its times are int64, those of the forecast timedelta64"):
            ForecastDisplay(*apart, actual=one[3].reset_index(drop=True)).plot()

    def test_history_without_the_variable(self):
        y = load_macrodata()[["unemp", "infl"]]
        with pytest.raises(ValueError, match="history: it has no column 'infl'"):
            ForecastDisplay(y[["unemp"]], y).plot()

    def test_intervals_of_another_shape(self, one):
        with pytest.raises(ValueError, match="intervals: the columns have 1 levels"):
            ForecastDisplay(*one[:2], intervals=one[1]).plot()
