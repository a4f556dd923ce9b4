import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from tsrec import AnomalyDetector, SeasonalMeanForecaster
from tsrec.plotting import AnomalyDisplay

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def frame():
    index = pd.date_range("2024", periods=300, freq="h", name="time")
    parts = {}
    for i, name in enumerate(("a", "b")):
        parts[name] = pd.DataFrame(np.random.default_rng(i).normal(size=(300, 2)), index, ["x", "y"])
        parts[name].iloc[200 + 10 * i : 203 + 10 * i] += 30
    return pd.concat(parts, names=["series"])


@pytest.fixture(scope="module")
def detector(frame):
    forecaster = SeasonalMeanForecaster(season=1, context=24)
    return AnomalyDetector(forecaster, horizon=6, memory=None, contamination=0.01).fit(frame)


def line(ax, label):
    return next(each for each in ax.get_lines() if each.get_label() == label)


def test_anomalies_are_marked_in_their_own_series(detector, frame):
    display = AnomalyDisplay.from_estimator(detector, frame)
    assert [ax.get_title(loc="left") for ax in display.ax_] == ["a, x", "a, y", "b, x", "b, y"]
    for ax, name, column in zip(display.ax_, "aabb", "xyxy", strict=True):
        rows = frame.loc[name, column]
        odd = detector.predict(frame).loc[name] == -1
        np.testing.assert_array_equal(line(ax, "anomaly").get_xdata(), rows.index[odd].to_numpy())
        np.testing.assert_array_equal(line(ax, "anomaly").get_ydata(), rows[odd])
        np.testing.assert_array_equal(line(ax, "observed").get_ydata(), rows)
    assert odd.sum() == 3


def test_one_series_of_many_may_be_shown_with_what_is_true(detector, frame):
    truth = pd.DataFrame({"series": ["a", "b"], "start": frame.loc["a"].index[[200, 210]]})
    truth["end"] = truth["start"] + pd.Timedelta("3h")
    display = AnomalyDisplay.from_estimator(detector, frame, series=["b"], truth=truth)
    texts = [text.get_text() for text in display.ax_[0].get_legend().get_texts()]
    assert texts == ["labelled", "expected", "observed", "anomaly", "interval"]
    assert len(display.ax_) == 2
    assert len(display.ax_[0].patches) == 1
    more = pd.concat([frame, frame.loc[["b"]].rename({"b": "north"}), frame.loc[["b"]].rename({"b": 7})])
    for name in ("north", 7):
        alone = AnomalyDisplay.from_estimator(detector, more, series=name)
        assert [ax.get_title(loc="left") for ax in alone.ax_] == [f"{name}, x", f"{name}, y"]


def test_arrays_are_drawn_by_their_rows(frame):
    values = frame.loc["a"].to_numpy()[:, :1]
    detector = AnomalyDetector(SeasonalMeanForecaster(season=1, context=24), horizon=6, memory=None).fit(values[:150])
    display = AnomalyDisplay.from_estimator(detector, values)
    assert set(range(200, 203)) <= set(line(display.ax_, "anomaly").get_xdata())


def test_tables_without_intervals_are_refused(detector, frame):
    with pytest.raises(TypeError, match="anomalies: found list"):
        AnomalyDisplay(frame, detector.expected(frame), []).plot()
    with pytest.raises(TypeError, match="expected: give the frame"):
        AnomalyDisplay(frame, frame, detector.detect(frame)).plot()
    with pytest.raises(ValueError, match="ax: got 1 pairs of axes for 4"):
        AnomalyDisplay.from_estimator(detector, frame, ax=plt.figure().add_subplot())
