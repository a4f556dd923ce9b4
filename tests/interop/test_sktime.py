"""The estimators as estimators of sktime: its own suite, its tools, and the same numbers as ours."""

import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import tsrec
import tsrec.interop.sktime as adapters

pytest.importorskip("sktime")

from sktime.forecasting.base import ForecastingHorizon
from sktime.forecasting.compose import TransformedTargetForecaster
from sktime.forecasting.model_evaluation import evaluate
from sktime.forecasting.model_selection import ForecastingGridSearchCV
from sktime.split import ExpandingWindowSplitter
from sktime.utils.estimator_checks import check_estimator

FORECASTERS = [name for name in adapters.__all__ if name.endswith("Forecaster")]
# sktime's own tools have not set yet what will change in their next version.
REMEMBER = "ignore:The default of config ``remember_data`` will change:FutureWarning"
SMALL = {"horizon": 3, "season": 4, "context": 8, "max_epochs": 0, "random_state": 0}


def series(n=48, index=None):
    t = np.arange(n)
    values = t / 10 + np.sin(t * np.pi / 2) + np.random.default_rng(0).normal(size=n) / 10
    return pd.Series(values, pd.period_range("2020-01", periods=n, freq="M") if index is None else index, name="y")


def panel(lengths=(40, 48), columns=("a", "b")):
    rng = np.random.default_rng(1)
    parts = {
        f"s{i}": pd.DataFrame(rng.normal(size=(n, len(columns))).cumsum(0), columns=list(columns))
        for i, n in enumerate(lengths)
    }
    return pd.concat(parts, names=["series", "time"])


def collection(n=12, length=20):
    rng = np.random.default_rng(2)
    X = rng.normal(size=(n, 1, length)) + np.arange(n)[:, None, None] % 2 * 3
    return X, np.where(np.arange(n) % 2, "high", "low")


# Of sktime's suite itself: it asks for distributions, which need a package more, and concatenates as pandas 2 did. Our
# own warning is right: some of its forecasts are asked for without the covariates of the steps before them.
@pytest.mark.filterwarnings("ignore:Forecasters' predict_proba requires skpro:UserWarning")
@pytest.mark.filterwarnings("ignore:Sorting by default when concatenating all DatetimeIndex")
@pytest.mark.filterwarnings("ignore:X. the covariates of [0-9]+ steps between:UserWarning")
@pytest.mark.slow
@pytest.mark.parametrize("name", adapters.__all__)
def test_sktime_checks_an_estimator(name, record_property):
    found = check_estimator(getattr(adapters, name), raise_exceptions=True, verbose=False)
    assert found
    assert set(found.values()) == {"PASSED"}
    # With pytest's --junitxml, how many they were.
    record_property("checks", len(found))
    assert not getattr(adapters, name).get_class_tag("tests:skip_by_name")


@pytest.mark.parametrize("name", adapters.__all__)
def test_parameters_are_those_of_ours(name):
    ours, theirs = getattr(tsrec, name)().get_params(deep=False), getattr(adapters, name)().get_params(deep=False)
    assert theirs == ours


@pytest.mark.parametrize("name", adapters.__all__)
def test_every_name_says_what_it_adapts(name):
    made = getattr(adapters, name)
    assert (made.__module__, made.__name__) == ("tsrec.interop.sktime", name)
    assert pickle.loads(pickle.dumps(made)) is made


def test_forecasts_are_those_of_ours():
    y = series()
    ours = tsrec.LSSLForecaster(**SMALL).fit(y)
    theirs = adapters.LSSLForecaster(**SMALL).fit(y, fh=[1, 2, 3, 4, 5])
    pd.testing.assert_series_equal(theirs.predict(), ours.predict(5), check_freq=False)


@pytest.mark.parametrize(
    "index",
    [
        pd.RangeIndex(48),
        pd.RangeIndex(7, 55),
        pd.RangeIndex(-5, 43),
        pd.Index(np.arange(48)),
        pd.date_range("2020", periods=48, freq="D"),
        pd.DatetimeIndex(pd.date_range("2020", periods=48, freq="D").to_numpy()),
        pd.date_range("2020", periods=48, freq="h", tz="Europe/Oslo"),
        pd.period_range("2020Q1", periods=48, freq="Q"),
    ],
    ids=["from 0", "from 7", "from -5", "whole numbers", "days", "days without freq", "time zone", "quarters"],
)
def test_rows_are_told_by_their_times_whatever_the_index(index):
    y = series(index=index)
    known, later = y.iloc[:45], y.index[45:]
    params = {"horizon": 3, "season": 4, "context": 8}
    forecaster = adapters.SeasonalMeanForecaster(**params).fit(known)
    ours = tsrec.SeasonalMeanForecaster(**params).fit(known.to_numpy())
    absolute = ForecastingHorizon(later, is_relative=False)
    for fh in ([1, 2, 3], absolute):
        answer = forecaster.predict(fh=fh)
        assert answer.index.equals(later)
        np.testing.assert_allclose(answer, ours.predict(3))
    whole = forecaster.predict(fh=-np.arange(45))
    assert whole.index.equals(known.index)
    np.testing.assert_allclose(whole, ours.predict(pd.Index(np.arange(45))))


def test_a_panel_is_one_model_equal_to_ours():
    y = panel()
    ours = tsrec.LSSLForecaster(**SMALL).fit(y)
    theirs = adapters.LSSLForecaster(**SMALL).fit(y)
    assert not hasattr(theirs, "forecasters_")
    pd.testing.assert_frame_equal(theirs.predict(fh=[1, 2, 3]), ours.predict(3))


def test_relative_steps_of_a_panel_count_from_the_end_of_each_series():
    y = panel((40, 48))
    answer = adapters.SeasonalNaiveForecaster(season=1).fit(y).predict(fh=[0, 2])
    assert answer.index.tolist() == [("s0", 39), ("s0", 41), ("s1", 47), ("s1", 49)]


def test_a_hierarchy_keeps_its_levels():
    y = pd.concat({"north": panel(), "south": panel((30,)) + 5}, names=["region"])
    forecaster = adapters.LSSLForecaster(**SMALL).fit(y, fh=[1, 2])
    answer = forecaster.predict()
    assert answer.index.names == ["region", "series", "time"]
    pd.testing.assert_frame_equal(answer, tsrec.LSSLForecaster(**SMALL).fit(y).predict(2))
    assert forecaster.predict_quantiles(alpha=[0.5]).index.equals(answer.index)


def test_quantiles_and_intervals_have_the_columns_and_order_of_sktime():
    y = panel()
    forecaster = adapters.LSSLForecaster(**SMALL).fit(y, fh=[1])
    quantiles = forecaster.predict_quantiles(alpha=[0.9, 0.1])
    assert quantiles.columns.tolist() == [("a", 0.9), ("a", 0.1), ("b", 0.9), ("b", 0.1)]
    ours = tsrec.LSSLForecaster(**SMALL).fit(y).predict_quantiles(1, [0.1, 0.9])
    np.testing.assert_array_equal(quantiles["b"][[0.1, 0.9]], ours["b"])
    interval = forecaster.predict_interval(coverage=[0.8, 0.5])
    assert interval.columns.tolist()[:4] == [
        ("a", 0.8, "lower"),
        ("a", 0.8, "upper"),
        ("a", 0.5, "lower"),
        ("a", 0.5, "upper"),
    ]
    np.testing.assert_allclose(interval["a", 0.8, "upper"], quantiles["a", 0.9])


def linked(n=48):
    y = series(n)
    X = pd.DataFrame({"x": np.random.default_rng(3).normal(size=n)}, y.index)
    return y + 3 * X["x"], X


def test_covariates_may_hold_more_rows_than_are_needed():
    y, X = linked()
    ours = tsrec.LSSLForecaster(**SMALL).fit(X[:40], y[:40])
    forecaster = adapters.LSSLForecaster(**SMALL).fit(y[:40], X=X)
    for fh in ([1, 2, 3], [3]):
        expected = ours.predict(X[40:43]).iloc[np.array(fh) - 1]
        np.testing.assert_allclose(forecaster.predict(fh=fh, X=X), expected)
        np.testing.assert_allclose(forecaster.predict(fh=fh, X=X[40:43]), expected)
    with pytest.raises(ValueError, match=r"X: it has no row for 1 of 2 rows, the first is 2023-07"):
        forecaster.predict(fh=[2, 3], X=X[:42])


def test_tags_say_who_reads_covariates():
    y, X = linked()
    later = pd.DataFrame({"x": [4.0]}, X.index[[-1]])
    for name in FORECASTERS:
        forecaster = getattr(adapters, name).create_test_instance().fit(y[:-1], X=X[:-1], fh=[1])
        moved = not np.allclose(forecaster.predict(X=later), forecaster.predict(X=-later))
        assert moved == forecaster.get_tag("capability:exogenous"), name


def test_a_forecaster_around_others_reads_covariates_if_one_of_them_does():
    y, X = linked()
    later = pd.DataFrame({"x": [4.0]}, X.index[[-1]])
    base = tsrec.LSSLForecaster(**SMALL)
    forecaster = adapters.RetrievalForecaster(base, horizon=3, season=4, context=8).fit(y[:-1], X=X[:-1], fh=[1])
    assert forecaster.get_tag("capability:exogenous")
    assert not np.allclose(forecaster.predict(X=later), forecaster.predict(X=-later))
    blind = {"rest": tsrec.ThetaForecaster()}
    assert adapters.DecompositionForecaster().get_tag("capability:exogenous")
    assert not adapters.DecompositionForecaster(forecasters=blind).get_tag("capability:exogenous")
    assert not adapters.RetrievalForecaster().get_tag("capability:exogenous")


@pytest.mark.parametrize("name", FORECASTERS)
def test_missing_values_are_legal_as_the_tag_says(name):
    y = series()
    y.iloc[[3, 20, 46]] = np.nan
    answer = getattr(adapters, name).create_test_instance().fit(y).predict(fh=[1, 5])
    assert np.isfinite(answer).all()


def test_update_appends_rows_and_refits_only_if_asked():
    y, X = linked()
    ours = tsrec.LSSLForecaster(**SMALL).fit(X[:40], y[:40]).update(X[40:44], y[40:44])
    forecaster = adapters.LSSLForecaster(**SMALL).fit(y[:40], X=X[:40])
    forecaster.update(y[40:44], X=X[40:44], update_params=False)
    pd.testing.assert_series_equal(forecaster.predict(fh=[1, 2], X=X[44:46]), ours.predict(X[44:46]), check_freq=False)
    forecaster.update(y[44:46], X=X[44:46])
    afresh = tsrec.LSSLForecaster(**SMALL).fit(X[:46], y[:46])
    pd.testing.assert_series_equal(forecaster.predict(fh=[1, 2], X=X[46:]), afresh.predict(X[46:]), check_freq=False)


def test_update_takes_rows_again_and_leaves_holes_missing():
    y = series()
    forecaster = adapters.SeasonalNaiveForecaster(season=1).fit(y[:40])
    forecaster.update(y[38:42] + 7, update_params=False)
    assert forecaster.predict(fh=[1]).item() == y.iloc[41] + 7
    assert forecaster.forecaster_.panel_.values[39:41, 0].tolist() == (y.iloc[39:41] + 7).tolist()
    forecaster.update(y[44:45], update_params=False)
    assert np.isnan(forecaster.forecaster_.panel_.values[42:44]).all()
    assert forecaster.predict(fh=[1]).item() == y.iloc[44]


def test_moving_cutoffs_give_what_ours_gives():
    y = series()
    forecaster = adapters.LSSLForecaster(**SMALL).fit(y[:36])
    cv = ExpandingWindowSplitter(fh=[1, 2, 3], initial_window=3, step_length=3)
    found = forecaster.update_predict(y[36:], cv, update_params=False)
    cutoffs = np.column_stack([np.zeros(3, dtype=int), [39, 42, 45]])
    ours = tsrec.LSSLForecaster(**SMALL).fit(y[:36]).predict_cutoffs(y, cutoffs)[..., 0, 0]
    np.testing.assert_allclose(found.to_numpy().T[~np.isnan(found.to_numpy().T)], ours.ravel())
    assert forecaster.cutoff == y.index[35]


def test_a_cutoff_moved_back_is_forecast_from_there():
    y = series()
    forecaster = adapters.SeasonalNaiveForecaster(season=1, horizon=1).fit(y)
    cv = ExpandingWindowSplitter(fh=[1], initial_window=10, step_length=1)
    found = forecaster.update_predict(y[:12], cv, update_params=False)
    assert found.index.equals(y.index[10:12])
    assert found.tolist() == y[9:11].tolist()


@pytest.mark.parametrize("steps", [[1, 2], [5, 7]])
@pytest.mark.parametrize("index", [None, pd.RangeIndex(48), pd.date_range("2020-01-01", periods=48, freq="D")])
def test_nothing_behind_a_cutoff_moved_back_is_seen(index, steps):
    y, X = linked()
    if index is not None:
        y, X = y.set_axis(index), X.set_axis(index)
    forecaster = adapters.LSSLForecaster(**SMALL).fit(y, X)
    # What the history holds behind the cut-off would show.
    forecaster.forecaster_.panel_.values[20:] = 1e6
    forecaster.update(y[:20], X[:20], update_params=False)
    asked = {"fh": steps, "X": X[20:27]}
    found = forecaster.predict(**asked)
    assert found.index.equals(y.index[[19 + step for step in steps]])
    assert forecaster.predict_interval(**asked).abs().to_numpy().max() < 100
    assert forecaster.predict_quantiles(**asked, alpha=[0.1, 0.9]).abs().to_numpy().max() < 100
    dates = pd.period_range("2020-01", periods=48, freq="M")
    y, X = y.set_axis(dates), X.set_axis(dates)
    ours = tsrec.LSSLForecaster(**SMALL).fit(X, y).predict(X[20:27], history=y[:20], history_X=X[:20])
    np.testing.assert_allclose(found, ours.iloc[[step - 1 for step in steps]])


def test_steps_from_a_cutoff_moved_back_start_at_its_row():
    y = series()
    forecaster = adapters.SeasonalNaiveForecaster(season=1, horizon=3).fit(y)
    cv = ExpandingWindowSplitter(fh=[1, 2, 3, 4, 5], initial_window=10, step_length=48)
    found = forecaster.update_predict(y[:16], cv, update_params=False)
    assert found.to_numpy().ravel().tolist() == [y.iloc[9]] * 5


def test_an_update_of_one_series_moves_no_other():
    times = pd.date_range("2024-01-01", periods=31, freq="D")
    y = pd.concat({"a": pd.DataFrame({"y": np.arange(30.0)}, times[:30]), "b": pd.DataFrame({"y": 0.0}, times[:28])})
    forecaster = adapters.SeasonalNaiveForecaster(season=1, horizon=3).fit(y)
    forecaster.update(pd.concat({"b": pd.DataFrame({"y": [7.0]}, times[28:29])}), update_params=False)
    found = forecaster.predict(fh=[1])
    assert found.index.tolist() == [("a", times[30]), ("b", times[29])]
    assert found["y"].tolist() == [29.0, 7.0]


@pytest.mark.filterwarnings(REMEMBER)
def test_grid_search_evaluation_and_pipelines_work():
    y = series()
    cv = ExpandingWindowSplitter(fh=[1, 2, 3], initial_window=36, step_length=3)
    forecaster = adapters.LSSLForecaster(**SMALL)
    search = ForecastingGridSearchCV(forecaster, cv, {"context": [4, 8]}, backend=None).fit(y)
    assert search.best_params_["context"] in (4, 8)
    assert len(evaluate(forecaster, cv, y, strategy="no-update_params")) == 4
    piped = TransformedTargetForecaster([adapters.STL(4), adapters.SeasonalNaiveForecaster(season=4)]).fit(y)
    answer = piped.predict(fh=[1, 2])
    np.testing.assert_allclose(answer, y[-4:-2], atol=1e-9)
    assert isinstance(answer, pd.Series)


def test_adapters_may_hold_adapters():
    y = series()
    members = {"seasonal": adapters.SeasonalNaiveForecaster(season=4), "rest": adapters.LSSLForecaster(**SMALL)}
    theirs = adapters.DecompositionForecaster(adapters.STL(4), members, horizon=3, season=4).fit(y, fh=[1, 2, 3])
    own = {"seasonal": tsrec.SeasonalNaiveForecaster(season=4), "rest": tsrec.LSSLForecaster(**SMALL)}
    ours = tsrec.DecompositionForecaster(tsrec.STL(4), own, horizon=3, season=4).fit(y)
    np.testing.assert_array_equal(theirs.predict(), ours.predict())


@pytest.mark.parametrize("as_frame", [False, True])
@pytest.mark.slow
def test_classifiers_answer_as_ours(as_frame):
    X, y = collection()
    if as_frame:
        index = pd.MultiIndex.from_product([range(12), range(20)], names=["series", "time"])
        X = pd.DataFrame({"c": X.ravel()}, index).drop(index=[(3, 19), (5, 18), (5, 19)])
    theirs = adapters.LSSLClassifier(d_model=8, random_state=0).fit(X, y)
    ours = tsrec.LSSLClassifier(d_model=8, random_state=0).fit(X, y)
    np.testing.assert_array_equal(theirs.predict_proba(X), ours.predict_proba(X))
    found = theirs.predict(X)
    assert found.tolist() == y.tolist()
    assert found.dtype == y.dtype


def test_names_of_series_in_any_order_go_with_their_labels():
    X, y = collection()
    order = [f"n{i}" for i in (7, 3, 11, 0, 9, 1, 10, 2, 8, 4, 6, 5)]
    frame = pd.DataFrame({"c": X.ravel()}, pd.MultiIndex.from_product([order, range(20)], names=["series", "time"]))
    assert adapters.LSSLClassifier(d_model=8, random_state=0).fit(frame, y).predict(frame).tolist() == y.tolist()


@pytest.mark.slow
def test_regressors_take_several_targets():
    X, _ = collection()
    y = pd.DataFrame({"mean": X.mean((1, 2)), "end": X[:, 0, -1]})
    theirs = adapters.LSSLRegressor(d_model=8, random_state=0).fit(X, y).predict(X)
    assert theirs.columns.tolist() == ["mean", "end"]
    ours = tsrec.LSSLRegressor(d_model=8, random_state=0).fit(X, y.to_numpy()).predict(X)
    np.testing.assert_array_equal(theirs, ours)


def test_encoders_give_a_row_per_series_of_panels_and_hierarchies():
    X, _ = collection()
    params = {"d_model": 4, "n_layers": 1, "max_epochs": 0, "random_state": 0}
    found = adapters.LSSLEncoder(**params).fit_transform(X)
    np.testing.assert_array_equal(found, tsrec.LSSLEncoder(**params).fit(X).transform(X))
    hierarchy = pd.concat({"north": panel(), "south": panel()}, names=["region"])
    found = adapters.LSSLEncoder(**params).fit_transform(hierarchy)
    assert found.index.tolist() == [("north", "s0"), ("north", "s1"), ("south", "s0"), ("south", "s1")]


def test_decomposers_take_series_panels_and_hierarchies_apart_and_together():
    y = series()
    parts = adapters.STL(4).fit_transform(y)
    assert parts.columns.tolist() == ["trend", "seasonal", "resid"]
    np.testing.assert_array_equal(parts, tsrec.STL(4).fit(y).transform(y))
    whole = adapters.STL(4).fit(y).inverse_transform(parts)
    assert isinstance(whole, pd.Series)
    np.testing.assert_allclose(whole, y)
    for X in (panel(), pd.concat({"north": panel()}, names=["region"])):
        decomposer = adapters.STL(4).fit(X)
        apart = decomposer.transform(X)
        assert apart.columns.tolist()[:3] == ["a__trend", "a__seasonal", "a__resid"]
        pd.testing.assert_frame_equal(decomposer.inverse_transform(apart), X)


def test_lumamba_knows_electrodes_by_the_names_of_columns():
    index = pd.MultiIndex.from_product([range(4), range(256)], names=["window", "time"])
    X = pd.DataFrame(np.random.default_rng(4).normal(size=(1024, 2)), index, ["Cz", "Pz"])
    encoder = adapters.LuMambaEncoder(width=16, n_queries=1, n_layers=1, max_epochs=0, random_state=0).fit(X)
    assert encoder.encoder_.channel_names_in_ == ["Cz", "Pz"]


def test_a_missing_installation_says_how_to_mend_it():
    code = (
        "import sys; sys.modules['sktime'] = None\n"
        "import tsrec.interop.sktime\n"
        "try: from tsrec.interop.sktime import LSSLForecaster\n"
        "except ImportError as error: print(error)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "LSSLForecaster needs sktime. Install it with: pip install 'tsrec[sktime]'" in shown


def test_the_adapters_are_listed_without_sktime():
    code = (
        "import sys, tsrec.interop.sktime as a; print(len(a.__all__), 'sktime' in sys.modules, 'torch' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.split()[1:] == ["False", "False"]
    with pytest.raises(AttributeError, match="no attribute 'absent'"):
        adapters.absent  # noqa: B018


def test_every_estimator_is_there_but_those_that_answer_other_questions():
    from tsrec.estimators import __all__ as estimators

    decomposers = ["FourierSeasonal", "MSTL", "MovingAverage", "STL", "Whittaker"]
    assert set(adapters.__all__) == {*estimators, *decomposers, "RetrievalForecaster"} - {"AnomalyDetector"}
