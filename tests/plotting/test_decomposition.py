import builtins

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from tsrec import MSTL, STL, DecompositionForecaster, ThetaForecaster
from tsrec.datasets import load_co2, make_seasonal
from tsrec.plotting import DecompositionDisplay

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def frame(n=48, freq="MS"):
    index = (pd.period_range if freq == "M" else pd.date_range)("2020", periods=n, freq=freq)
    return pd.DataFrame({"a": np.arange(n) + np.sin(np.arange(n) * np.pi / 6), "b": 1.0}, index)


@pytest.mark.parametrize("freq", ["MS", "M"])
def test_a_row_for_each_component_and_a_column_for_each_variable(freq):
    display = DecompositionDisplay.from_estimator(STL(12), frame(freq=freq))
    assert display.axes_.shape == (4, 2)
    titles = [[ax.get_title(loc="left") for ax in column] for column in display.axes_.T]
    assert titles == [[name, "trend", "seasonal", "resid"] for name in "ab"]
    np.testing.assert_allclose(display.axes_[0, 0].lines[-1].get_ydata(), frame()["a"])
    trend = STL(12).fit_transform(frame())["a", "trend"]
    np.testing.assert_allclose(display.axes_[1, 0].lines[-1].get_ydata(), trend)


def test_a_fitted_decomposer_is_asked_as_it_is():
    model = MSTL((6, 12)).fit(frame())
    display = DecompositionDisplay.from_estimator(model, frame(), variables=["a"])
    titles = [ax.get_title(loc="left") for ax in display.axes_[:, 0]]
    assert titles == ["a", "trend", "seasonal_6", "seasonal_12", "resid"]


def test_one_series_of_a_panel():
    panel = pd.concat({"x": frame(), "y": 2 * frame(60)}, names=["who"])
    first = DecompositionDisplay.from_estimator(STL(12), panel)
    assert first.axes_[0, 0].get_title(loc="left") == "x: a"
    second = DecompositionDisplay.from_estimator(STL(12), panel, series="y", variables=["a"])
    np.testing.assert_allclose(second.axes_[0, 0].lines[-1].get_ydata(), 2 * frame(60)["a"])
    with pytest.raises(ValueError, match="series: 'z' is none of the 2 series, such as 'x'"):
        DecompositionDisplay.from_estimator(STL(12), panel, series="z")


def test_one_variable_may_be_named_without_a_list():
    wide = frame().set_axis(["sales", "price"], axis=1)
    display = DecompositionDisplay.from_estimator(STL(12), wide, variables="price")
    assert [ax.get_title(loc="left") for ax in display.axes_[:1, 0]] == ["price"]
    pairs = wide.set_axis(pd.MultiIndex.from_tuples([("a", "x"), ("a", "y")]), axis=1)
    display = DecompositionDisplay.from_estimator(STL(12), pairs)
    assert [ax.get_title(loc="left") for ax in display.axes_[0]] == ["('a', 'x')", "('a', 'y')"]


def test_what_cannot_be_shown_is_refused():
    parts = STL(12).fit_transform(frame())
    with pytest.raises(ValueError, match=r"variables: 'c' is none of the variables\. Name 1 to 4"):
        DecompositionDisplay(parts, variables=["c"]).plot()
    many = pd.concat(dict.fromkeys(range(5), parts["a"]), axis=1)
    with pytest.raises(ValueError, match="variables: found 5"):
        DecompositionDisplay(many).plot()
    with pytest.raises(TypeError, match="components: found ndarray"):
        DecompositionDisplay.from_estimator(STL(12), np.zeros((3, 48)))


def test_without_matplotlib_it_is_said_how_to_install_it(monkeypatch):
    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    parts = STL(12).fit_transform(frame())
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ImportError, match=r"DecompositionDisplay: matplotlib is needed.*tsrec\[plot\]"):
        DecompositionDisplay(parts).plot()


def test_parts_of_a_forecast_stand_beside_its_history():
    y = load_co2()[-300:]
    fitted = DecompositionForecaster(horizon=20).fit(y)
    display = DecompositionDisplay.from_forecaster(fitted)
    parts = fitted.predict_components()["co2"]
    history, _, total = display.axes_[0, 0].get_lines()
    np.testing.assert_array_equal(history.get_ydata(), y.iloc[-20:])
    np.testing.assert_allclose(total.get_ydata(), parts.sum(axis=1))
    for ax, name in zip(display.axes_[1:, 0], parts.columns, strict=True):
        assert ax.get_title(loc="left") == name
        np.testing.assert_array_equal(ax.get_lines()[0].get_ydata(), parts[name])


def test_another_history_is_forecast_and_shown():
    y = load_co2()[-300:]
    fitted = DecompositionForecaster(horizon=20).fit(y.iloc[:-30])
    display = DecompositionDisplay.from_forecaster(fitted, 6, history=y.iloc[:-10], max_history=15)
    np.testing.assert_array_equal(display.axes_[0, 0].get_lines()[0].get_ydata(), y.iloc[-25:-10])


def test_parts_of_a_panel_are_those_of_the_series_asked_for():
    panel = make_seasonal(120, n_series=2, random_state=0)
    fitted = DecompositionForecaster(horizon=24).fit(panel.assign(z=-panel["y"]))
    display = DecompositionDisplay.from_forecaster(fitted, series="series_1")
    assert display.axes_[0, 0].get_title(loc="left") == "series_1: y"
    for ax, sign in zip(display.axes_[0], (1, -1), strict=True):
        np.testing.assert_array_equal(ax.get_lines()[0].get_ydata(), sign * panel.loc["series_1", "y"].iloc[-24:])


def test_forecasters_without_parts_are_refused():
    with pytest.raises(TypeError, match="forecaster: ThetaForecaster has no predict_components"):
        DecompositionDisplay.from_forecaster(ThetaForecaster().fit(load_co2()[-60:]))
