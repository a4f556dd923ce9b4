import builtins

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from tsrec import MSTL, STL
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
