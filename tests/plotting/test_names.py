"""One name may stand without a list wherever names are asked for, and what is refused is called by an argument."""

import inspect
import re

import matplotlib
import numpy as np
import pandas as pd
import pytest

import tsrec.plotting
from tsrec import AnomalyDetector, SeasonalMeanForecaster
from tsrec.datasets import make_seasonal
from tsrec.plotting import AnomalyDisplay, ForecastDisplay

matplotlib.use("Agg")

DISPLAYS = [getattr(tsrec.plotting, name) for name in tsrec.plotting.__all__ if name.endswith("Display")]
NAMES = re.compile(r"^ +(series|models|variables|channels) : (.*)$", re.MULTILINE)


@pytest.mark.parametrize("display", DISPLAYS)
def test_the_docs_of_names_tell_that_one_may_stand_alone(display):
    texts = [display.__doc__, *(method.__doc__ or "" for _, method in inspect.getmembers(display, inspect.isroutine))]
    kinds = [kind for text in texts for _, kind in NAMES.findall(text)]
    assert set(kinds) <= {
        "label, optional",
        "label or sequence of labels, optional",
        "str or sequence of str, optional",
    }


@pytest.fixture(scope="module")
def detector():
    y = make_seasonal(60, n_series=2, random_state=0)
    forecaster = SeasonalMeanForecaster(season=1, context=12)
    return AnomalyDetector(forecaster, horizon=6, memory=None, contamination=0.01).fit(y)


@pytest.mark.parametrize(
    ("given", "series", "message"),
    [
        (make_seasonal(60, n_series=2, random_state=0), "shop", r"series: there is no 'shop'\. Choose among"),
        (make_seasonal(60, n_series=13, random_state=0), None, r"series: found 13, .*Name 12 at most by series="),
        (make_seasonal(60, random_state=0), ["a"], "series: given, but there is no series level"),
    ],
    ids=["unknown", "too many", "one series"],
)
def test_series_are_checked_before_rows_are_judged(detector, given, series, message, monkeypatch):
    monkeypatch.setattr(AnomalyDetector, "expected", lambda *args: pytest.fail("rows were judged"))
    with pytest.raises(ValueError, match=message):
        AnomalyDisplay.from_estimator(detector, given, series=series)


def test_too_many_variables_are_told_by_how_many_series_fit():
    wide = make_seasonal(5, n_series=3).assign(**{f"v{i}": 0.0 for i in range(4)})
    with pytest.raises(ValueError, match=r"series: found 3 of 5 variables each, .*Name 2 at most by series="):
        ForecastDisplay(None, wide).plot()
    wider = pd.DataFrame(np.zeros((5, 13)))
    with pytest.raises(ValueError, match=r"columns: found 13, too many for one figure.*12 at most"):
        ForecastDisplay(None, wider).plot()
    with pytest.raises(ValueError, match=r"columns: found 13, too many for one figure.*12 at most"):
        ForecastDisplay(None, pd.concat({"a": wider, "b": wider})).plot()
