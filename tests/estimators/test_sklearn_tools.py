"""scikit-learn's own tools work on forecasters unchanged."""

from contextlib import nullcontext

import numpy as np
import pandas as pd
import pytest
import sklearn
from joblib.externals.loky import get_reusable_executor
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, cross_val_score, learning_curve
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, PowerTransformer, StandardScaler

# Searches and pipelines over every forecaster.
pytestmark = pytest.mark.slow
RNG = np.random.default_rng(0)
INDEX = pd.date_range("2024-01-01", periods=90, freq="D", name="day")
X = pd.DataFrame({"promo": RNG.normal(size=90), "price": RNG.normal(size=90)}, index=INDEX)
Y = pd.Series(20 + np.tile([0.0, 3.0, -2.0], 30) + 2 * X["promo"] + RNG.normal(0, 0.1, 90), INDEX, name="sales")
FRAME = pd.DataFrame({"a": Y, "b": Y * 3 + 1})
GRID = {"season": [1, 3]}


@pytest.mark.parametrize("covariates", [X, X[[]]], ids=["columns", "no columns"])
def test_grid_search_with_train_scores(forecaster, covariates):
    search = GridSearchCV(
        forecaster, GRID, cv=TimeSeriesSplit(3, test_size=5), return_train_score=True, error_score="raise"
    )
    search.fit(covariates, Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert np.isfinite(search.cv_results_["mean_train_score"]).all()
    assert search.predict(covariates.iloc[-3:]).shape == (3,)


def test_grid_search_on_the_target_alone(forecaster):
    search = GridSearchCV(forecaster, GRID, cv=TimeSeriesSplit(3, test_size=5), error_score="raise").fit(FRAME)
    assert np.isfinite(search.best_score_)


def test_grid_search_with_a_gap_warns_of_unknown_covariates(forecaster):
    search = GridSearchCV(forecaster, GRID, cv=TimeSeriesSplit(2, test_size=5, gap=3), error_score="raise", refit=False)
    with pytest.warns(UserWarning, match="covariates of 3 steps"):
        search.fit(X, Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert np.isfinite(clone(search).fit(X[[]], Y).cv_results_["mean_test_score"]).all()


def test_cross_val_score_and_learning_curve(forecaster):
    scores = cross_val_score(forecaster, X, Y, cv=TimeSeriesSplit(3, test_size=5), error_score="raise")
    assert np.isfinite(scores).all()
    _, train, test = learning_curve(
        forecaster, X[[]], Y, cv=TimeSeriesSplit(2, test_size=5), train_sizes=[0.6, 1.0], error_score="raise"
    )
    assert np.isfinite(train).all()
    assert np.isfinite(test).all()


def test_kfold_is_refused_by_name(forecaster):
    from sklearn.model_selection import KFold

    with pytest.raises(ValueError, match="TimeSeriesSplit"):
        cross_val_score(forecaster, X[[]], Y, cv=KFold(3), error_score="raise")


def test_pipeline_with_scaled_covariates(forecaster):
    pipeline = make_pipeline(StandardScaler(), forecaster).set_output(transform="pandas")
    answer = pipeline.fit(X.iloc[:80], Y.iloc[:80]).predict(X.iloc[80:])
    assert answer.index.equals(INDEX[80:])
    bare = make_pipeline(StandardScaler(), clone(forecaster))
    with pytest.raises(ValueError, match="set_output"):
        bare.fit(X, Y)


def test_pipeline_on_the_target_alone(forecaster):
    pipeline = make_pipeline(FunctionTransformer(), forecaster)
    assert pipeline.fit(FRAME.iloc[:80]).predict(FRAME.iloc[80:]).shape == (10, 2)


@pytest.mark.parametrize("target", [Y, FRAME], ids=["series", "frame"])
def test_transformed_target_regressor(forecaster, target):
    model = TransformedTargetRegressor(forecaster, transformer=PowerTransformer())
    answer = model.fit(X[[]].iloc[:80], target.iloc[:80]).predict(X[[]].iloc[80:])
    assert np.asarray(answer).shape == target.iloc[80:].shape
    assert np.abs(np.asarray(answer).mean(axis=0) / target.mean().mean()).max() < 5
    logs = TransformedTargetRegressor(forecaster, func=np.log, inverse_func=np.exp, check_inverse=False)
    assert (np.asarray(logs.fit(X[[]].iloc[:80], target.iloc[:80]).predict(X[[]].iloc[80:])) > 0).all()


def test_metadata_is_routed(forecaster):
    with sklearn.config_context(enable_metadata_routing=True):
        routed = forecaster.set_fit_request(past=True, static=False)
        routed = routed.set_predict_request(history=True, history_X=True, history_past=True)
        pipeline = make_pipeline(FunctionTransformer(), routed)
        # Those that make nothing of it say so.
        told = pytest.warns(UserWarning, match="past: checked and kept, but .* does not use it")
        with nullcontext() if forecaster._uses("past") else told:
            pipeline.fit(X[[]], Y, past=X)
        assert pipeline[-1].panel_.past.shape == (90, 2)
        assert len(pipeline.predict(X[[]].iloc[:2], history=Y, history_past=X)) == 2


def test_clone_params_repr_and_html(forecaster):
    copy = clone(forecaster.fit(Y))
    assert not hasattr(copy, "panel_")
    assert str(copy.get_params()) == str(forecaster.get_params())
    assert type(forecaster).__name__ in repr(forecaster)
    assert type(forecaster).__name__ in forecaster._repr_html_()


# One of each way to hold what was learned: processes take seconds to begin.
@pytest.mark.parametrize("forecaster", ["theta", "lssl", "tempo", "analogues of a base", "ensemble"], indirect=True)
def test_parallel_search_by_processes_equals_serial(forecaster):
    # joblib takes a worker that imports torch between two tasks for one that leaks memory, and may hang: start afresh.
    get_reusable_executor().shutdown(wait=True)
    kw = {"cv": TimeSeriesSplit(2, test_size=5), "error_score": "raise"}
    serial = GridSearchCV(forecaster, GRID, **kw).fit(X, Y)
    parallel = GridSearchCV(forecaster, GRID, n_jobs=2, **kw).fit(X, Y)
    np.testing.assert_allclose(
        serial.cv_results_["mean_test_score"], parallel.cv_results_["mean_test_score"], rtol=1e-5
    )
