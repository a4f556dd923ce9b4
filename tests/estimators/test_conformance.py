"""scikit-learn's own conformance checks, every one, for every estimator, with exactly the exceptions declared here."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import has_fit_parameter

from tsrec import (
    AnomalyDetector,
    AutoForecaster,
    CleanedForecaster,
    ConformalForecaster,
    DecompositionForecaster,
    EnsembleForecaster,
    LSSLClassifier,
    LSSLEncoder,
    LSSLForecaster,
    LSSLRegressor,
    LuMambaClassifier,
    LuMambaEncoder,
    MambaClassifier,
    MambaEncoder,
    MambaForecaster,
    MambaRegressor,
    MLPForecaster,
    RetrievalForecaster,
    SeasonalMeanForecaster,
    SeasonalNaiveForecaster,
    StatsForecaster,
    TCNCAClassifier,
    TCNCAEncoder,
    TCNCAForecaster,
    TCNCARegressor,
    TEMPOForecaster,
    ThetaForecaster,
)

ORDER = "in a plain array row i can only be step i, so its order matters; on indexed frames both properties are tested"
EXCEPTIONS = {"check_methods_sample_order_invariance": ORDER, "check_methods_subset_invariance": ORDER}
BASELINES = [
    SeasonalNaiveForecaster(season=3),
    SeasonalMeanForecaster(season=3, context=6),
    ThetaForecaster(horizon=5, season=3),
]
# One with the threshold that moves, one with a share of anomalies; order matters to both as to forecasters.
DETECTORS = [
    AnomalyDetector(SeasonalNaiveForecaster(season=1)),
    AnomalyDetector(SeasonalNaiveForecaster(season=3), horizon=4, smoothing=3, memory=None, contamination=0.05),
]
NETWORKS = [
    LSSLForecaster(season=3),
    LSSLForecaster(horizon=5, context=8, patch=2, d_model=4, d_state=4, max_epochs=3, random_state=0),
    LSSLForecaster(horizon=5, context=8, linear="learned", d_model=4, d_state=4, max_epochs=3, random_state=0),
    LSSLForecaster(horizon=5, context=8, linear=None, d_model=4, d_state=4, max_epochs=3, random_state=0),
    MLPForecaster(season=3),
    TCNCAForecaster(season=3),
    TCNCAForecaster(
        horizon=5, context=8, patch=1, chunk=3, d_model=4, gated=True, linear=None, max_epochs=3, random_state=0
    ),
    MambaForecaster(season=3),
    MambaForecaster(horizon=5, context=8, patch=1, d_model=4, d_state=3, linear=None, max_epochs=3, random_state=0),
    TEMPOForecaster(season=3),
    TEMPOForecaster(
        horizon=5, context=8, linear=None, decomposition="learned", d_model=4, d_head=2, max_epochs=3, random_state=0
    ),
    AutoForecaster(horizon=5, random_state=0),
    StatsForecaster("ets", horizon=5, season=3),
    EnsembleForecaster(weights="backtest", season=3),
    ConformalForecaster(SeasonalMeanForecaster(season=3, context=6)),
    CleanedForecaster(ThetaForecaster(horizon=5, season=3)),
    StatsForecaster("theta", season=3),
    DecompositionForecaster(horizon=5, random_state=0),
    MLPForecaster(horizon=5, context=8, linear=None, loss="owa", n_members=2, d_model=4, max_epochs=3, random_state=0),
    # The checks want an alarm among 300 normal rows, where one in a thousand, the default, gives none.
    AnomalyDetector(risk=0.02, random_state=0),
    RetrievalForecaster(horizon=5, context=6, season=3),
    RetrievalForecaster(LSSLForecaster(max_epochs=0), horizon=5, context=6, season=3, mix="gate"),
    RetrievalForecaster(horizon=5, context=6, season=3, k=5, mix="linear", views=(2, 1), joint=True),
]
# Estimators of collections: no exception, but that epochs of random batches know nothing of rows repeated.
TINY = {"d_model": 8, "d_state": 4, "n_layers": 1, "random_state": 0}
CHUNKED = {"d_model": 8, "chunk": 8, "n_layers": 1, "random_state": 0}
PATCHES = {"width": 16, "n_queries": 1, "n_layers": 1, "patch_size": 4, "random_state": 0}
COLLECTIONS = [
    LSSLClassifier(random_state=0),
    LSSLClassifier(features="trained", max_epochs=10, learning_rate=0.05, **TINY),
    LSSLRegressor(random_state=0),
    LSSLRegressor(
        features="trained",
        max_epochs=15,
        learning_rate=0.04,
        dropout=0.0,
        **{**TINY, "d_model": 16, "d_state": 8, "n_layers": 2},
    ),
    LSSLEncoder(max_epochs=2, **TINY),
    TCNCAClassifier(random_state=0),
    TCNCAClassifier(features="trained", max_epochs=10, learning_rate=0.04, **CHUNKED),
    TCNCARegressor(random_state=0),
    TCNCARegressor(
        features="trained",
        max_epochs=15,
        learning_rate=0.04,
        dropout=0.0,
        bidirectional=True,
        kernel_size=5,
        **{**CHUNKED, "d_model": 16},
    ),
    TCNCAEncoder(max_epochs=2, **CHUNKED),
    MambaClassifier(random_state=0),
    MambaClassifier(features="trained", max_epochs=10, learning_rate=0.05, **TINY),
    MambaRegressor(random_state=0),
    MambaRegressor(
        features="trained",
        max_epochs=25,
        learning_rate=0.04,
        dropout=0.0,
        bidirectional=True,
        **{**TINY, "d_model": 16, "d_state": 8},
    ),
    MambaEncoder(max_epochs=2, **TINY),
    LuMambaEncoder(max_epochs=1, **PATCHES),
    LuMambaClassifier(LuMambaEncoder(**PATCHES), head="linear", max_epochs=8, learning_rate=0.05, random_state=0),
]


def declared_of_collections(estimator):
    if getattr(estimator, "features", None) != "trained" and not isinstance(estimator, LuMambaClassifier):
        return {}
    reason = "batches are drawn at random, so that a series of weight 2 is not one that is there twice"
    return {"check_sample_weight_equivalence_on_dense_data": reason}


def declared(estimator):
    if getattr(estimator, "model", None) == "ets":
        # Of the rows of these checks, which are noise, they forecast a constant: no order can matter to it.
        return {}
    # Of the check's few rows a horizon of 24 leaves nothing to learn from, so that weights change nothing.
    if not has_fit_parameter(estimator, "sample_weight") or (estimator.horizon or 0) > 15:
        return EXCEPTIONS
    reason = "a row that is there twice is a step more, not a step that counts twice"
    return {**EXCEPTIONS, "check_sample_weight_equivalence_on_dense_data": reason}


# The checks give weights to all that take them, also to those whose members make nothing of them.
pytestmark = pytest.mark.filterwarnings("ignore:.*SCIPY_ARRAY_API.*", "ignore:sample_weight. checked and kept")


@parametrize_with_checks(BASELINES, expected_failed_checks=declared)
def test_scikit_learn_checks_a_baseline(estimator, check):
    check(estimator)


@parametrize_with_checks(DETECTORS, expected_failed_checks=declared)
def test_scikit_learn_checks_a_detector(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(NETWORKS, expected_failed_checks=declared)
def test_scikit_learn_checks_a_network(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(COLLECTIONS, expected_failed_checks=declared_of_collections)
def test_scikit_learn_checks_an_estimator_of_collections(estimator, check):
    check(estimator)
