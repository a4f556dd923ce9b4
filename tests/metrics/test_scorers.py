import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from tsrec.metrics import mae_scorer, mase, mase_scorer, naive_scale, rmse_scorer, smape_scorer


class LastValue(RegressorMixin, BaseEstimator):
    """Smallest forecaster with a scale: repeats each series' last value, plus a shift."""

    def __init__(self, shift=0.0):
        self.shift = shift

    def fit(self, X, y=None):
        self.y_ = X["y"] if y is None else y
        return self

    def predict(self, X):
        if not isinstance(self.y_.index, pd.MultiIndex):
            return pd.Series(self.y_.iloc[-1] + self.shift, index=X.index)
        last = self.y_.groupby(level=0).last() + self.shift
        return pd.Series(last.loc[X.index.get_level_values(0)].to_numpy(), index=X.index)

    def naive_scale(self):
        scale = naive_scale(self.y_)
        return pd.DataFrame({"y": np.atleast_1d(scale)}, index=scale.index if isinstance(scale, pd.Series) else [0])


@pytest.fixture
def series():
    return pd.DataFrame({"y": np.arange(12.0)}, index=pd.date_range("2024", periods=12, freq="D"))


def test_scores_are_negated_errors(series):
    model = LastValue().fit(series[:10])
    assert mae_scorer(model, series[10:]) == -1.5
    assert rmse_scorer(model, series[10:]) == -np.sqrt(2.5)
    assert smape_scorer(model, series[10:]) == pytest.approx(-(200 / 19 + 400 / 20) / 2)


def test_mase_asks_the_forecaster_for_its_scale(series):
    model = LastValue().fit(series[:10] * 2)
    assert mase_scorer(model, series[10:] * 2) == -1.5


def test_mase_of_a_panel_uses_the_scale_of_each_series():
    index = pd.MultiIndex.from_product([["a", "b"], range(4)])
    y = pd.Series([1.0, 2, 3, 5, 10, 30, 50, 60], index)
    train, test = y[index.get_level_values(1) < 3], y[index.get_level_values(1) == 3]
    model = LastValue().fit(test.to_frame("x")[[]], train)
    assert mase_scorer(model, test.to_frame("x")[[]], test) == -(2 / 1 + 10 / 20) / 2
    assert mase_scorer(model, test.to_frame("x")[[]], test) == -mase(test, model.predict(test), y_train=train)


def test_mase_leaves_constant_series_out():
    index = pd.MultiIndex.from_product([["a", "b"], range(3)])
    y = pd.Series([1.0, 2, 4, 7, 7, 9], index)
    model = LastValue().fit(None, y[index.get_level_values(1) < 2])
    test = y[index.get_level_values(1) == 2]
    assert mase_scorer(model, test.to_frame(), test) == -2.0


def test_mase_looks_through_a_pipeline(series):
    pipeline = make_pipeline(FunctionTransformer(), LastValue()).fit(series[:10])
    assert mase_scorer(pipeline, series[10:]) == -1.5


def test_mase_of_an_estimator_without_scale_is_refused(series):
    model = DummyRegressor().fit(series, series["y"])
    with pytest.raises(TypeError, match=r"estimator: DummyRegressor has no naive_scale\(\)"):
        mase_scorer(model, series, series["y"])


def test_scorers_drive_a_search_with_and_without_y(series):
    for X, y in [(series, None), (series, series["y"])]:
        search = GridSearchCV(
            LastValue(), {"shift": [0.0, 1.5, 9.0]}, cv=TimeSeriesSplit(3, test_size=2), scoring=mase_scorer
        )
        assert search.fit(X, y).best_params_ == {"shift": 1.5}


def test_scorers_serve_any_regressor(series):
    scores = cross_validate(
        LinearRegression(),
        series,
        series["y"],
        cv=TimeSeriesSplit(3),
        scoring={"mae": mae_scorer, "rmse": rmse_scorer},
    )
    np.testing.assert_allclose(scores["test_mae"], 0, atol=1e-9)
    np.testing.assert_allclose(scores["test_rmse"], 0, atol=1e-9)


def test_scorers_can_be_pickled():
    assert pickle.loads(pickle.dumps(mase_scorer)) is mase_scorer
