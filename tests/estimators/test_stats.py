"""Models of statsmodels in our clothes: their forecasts are theirs, fits end in time, and what failed is told."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtri

from tsrec import SeasonalNaiveForecaster, StatsForecaster
from tsrec.estimators import _stats_models as models


def months(n=120, seed=0, name="y"):
    rng = np.random.default_rng(seed)
    t = np.arange(n)
    y = 50 + 0.2 * t + 5 * np.sin(2 * np.pi * t / 4) + np.cumsum(rng.normal(size=n)) * 0.3 + rng.normal(size=n)
    return pd.Series(y, pd.date_range("2000", periods=n, freq="MS"), name=name)


def theirs(call):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call()


def test_theta_is_that_of_statsmodels():
    from statsmodels.tsa.forecasting.theta import ThetaModel

    y = months()
    expected = theirs(lambda: ThetaModel(y, period=4).fit().forecast(8))
    model = StatsForecaster("theta", horizon=8, season=4).fit(y)
    np.testing.assert_allclose(model.predict(), expected, rtol=1e-3)
    assert model.models().to_numpy().tolist() == [[0, "y", "theta, season taken out"]]


@pytest.mark.parametrize("seasonal", [True, False])
def test_exponential_smoothing_is_that_of_statsmodels(seasonal):
    from statsmodels.tsa.exponential_smoothing.ets import ETSModel

    y = months(240)
    season = 4 if seasonal else 1
    model = StatsForecaster("ets", horizon=8, season=season, quantiles=(0.1, 0.9)).fit(y)
    _, logs, _, _, trend, _ = model.orders_[0, 0, :6]
    rows = np.log(y) if logs else y
    given = {"error": "add", "initialization_method": "heuristic"}
    given |= {"trend": "add", "damped_trend": True} if trend else {}
    given |= {"seasonal": "add", "seasonal_periods": 4} if seasonal else {}
    found = theirs(lambda: ETSModel(rows, **given).fit(disp=False))
    told = theirs(lambda: found.get_prediction(240, 247).summary_frame(alpha=0.2))
    answers = model.predict_quantiles(8, [0.1, 0.9]).to_numpy()
    expected = told[["pi_lower", "pi_upper"]].to_numpy()
    np.testing.assert_allclose(answers, np.exp(expected) if logs else expected, rtol=5e-3)


def test_arima_is_that_of_statsmodels():
    from statsmodels.tsa.statespace.sarimax import SARIMAX

    y = months()
    model = StatsForecaster("arima", horizon=8, season=1, quantiles=(0.1, 0.9)).fit(y)
    p, once, q, _, _, constant = model.orders_[0, 0, 4:]
    found = theirs(lambda: SARIMAX(y, order=(p, once, q), trend="c" if constant else "n").fit(disp=False))
    told = found.get_forecast(8)
    np.testing.assert_allclose(model.predict(), told.predicted_mean, rtol=2e-3)
    expected = told.predicted_mean.to_numpy()[:, None] + told.se_mean.to_numpy()[:, None] * ndtri([0.1, 0.9])
    np.testing.assert_allclose(model.predict_quantiles(8, [0.1, 0.9]), expected, rtol=5e-3)


def test_a_seasonal_arima_repeats_the_season():
    y = months(80)
    model = StatsForecaster("arima", horizon=8, season=4).fit(y)
    assert "(0,1,1)[4]" in model.models()["model"][0]
    assert np.corrcoef(model.predict().diff().dropna(), 5 * np.diff(np.sin(np.pi / 2 * np.arange(80, 88))))[0, 1] > 0.9


@pytest.mark.parametrize("model", ["ets", "theta", pytest.param("arima", marks=pytest.mark.slow)])
def test_other_cut_offs_keep_the_parameters_and_see_earlier_rows_only(model):
    y = months()
    forecaster = StatsForecaster(model, horizon=3, season=4).fit(y.iloc[:100])
    cutoffs = np.array([[0, 110], [0, 60], [0, 118]])
    answers = forecaster.predict_cutoffs(y, cutoffs)
    spoiled = y.copy()
    spoiled.iloc[110:] = 1e6
    np.testing.assert_array_equal(forecaster.predict_cutoffs(spoiled, cutoffs)[:2], answers[:2])
    np.testing.assert_allclose(forecaster.predict_cutoffs(y, cutoffs[1:2]), answers[1:2], rtol=1e-9)
    pd.testing.assert_series_equal(forecaster.update(y.iloc[100:110]).predict(), forecaster.predict(history=y[:110]))


def test_answers_do_not_hang_on_the_company_of_other_cut_offs_over_many_contexts():
    y = months(200)
    forecaster = StatsForecaster("theta", horizon=3, season=4, context=40).fit(y)
    cutoffs = np.stack([np.zeros(40, dtype=int), np.arange(1, 200, 5)], axis=1)
    together = forecaster.predict_cutoffs(y, cutoffs)
    for row in (0, 9, 17, 39):
        np.testing.assert_allclose(forecaster.predict_cutoffs(y, cutoffs[[row]])[0], together[row], rtol=1e-12)


def test_series_that_fit_has_not_seen_are_fitted_to_their_own_history():
    known = pd.concat({"a": months(seed=1)}, names=["id"])
    new = pd.concat({"b": 1e3 + 7 * months(seed=2)}, names=["id"])
    forecaster = StatsForecaster("ets", horizon=3, season=4).fit(known)
    own = StatsForecaster("ets", horizon=3, season=4).fit(new)
    pd.testing.assert_series_equal(forecaster.predict(history=new), own.predict(), rtol=1e-9)


def test_logarithms_are_taken_where_growth_is_by_factors():
    rng = np.random.default_rng(0)
    y = pd.Series(np.exp(0.05 * np.arange(80) + rng.normal(0, 0.05, 80)), pd.date_range("2000", periods=80, freq="MS"))
    model = StatsForecaster("ets", horizon=6, season=1).fit(y)
    assert "logarithms" in model.models()["model"][0]
    assert (model.predict_quantiles(6, [0.01, 0.5]) > 0).all(axis=None)


@pytest.mark.parametrize("model", ["ets", "arima", "theta"])
@pytest.mark.parametrize(("n", "season"), [(10, 1), (10, 5), (11, 3), (24, 12), (25, 7)])
def test_the_shortest_series_that_are_fitted_are_fitted(model, n, season):
    y = months(n)
    forecaster = StatsForecaster(model, horizon=3, season=season).fit(y)
    assert forecaster.models()["model"][0] != "seasonal naive"
    assert np.isfinite(forecaster.predict_quantiles(7)).all(axis=None)


@pytest.mark.parametrize("model", ["ets", "arima", "theta"])
def test_short_constant_and_empty_series_are_left_to_the_naive_forecast(model):
    wide = pd.DataFrame({"constant": months() * 0 + 3, "short": months(), "empty": np.nan})
    wide.loc[wide.index[9] :, "short"] = np.nan
    forecaster = StatsForecaster(model, horizon=3, season=4).fit(wide)
    assert set(forecaster.models()["model"]) == {"seasonal naive"}
    naive = SeasonalNaiveForecaster(horizon=3, season=4).fit(wide)
    pd.testing.assert_frame_equal(forecaster.predict_quantiles(), naive.predict_quantiles())
    assert (forecaster.n_failed_, forecaster.n_not_converged_) == (0, 0)


def test_series_that_fail_are_counted_in_one_warning(monkeypatch):
    fitted = models._fit

    def sometimes(model, rows, start, season):
        if rows.mean() > 1e3:
            raise np.linalg.LinAlgError("singular")
        return fitted(model, rows, start, season)

    monkeypatch.setattr(models, "_fit", sometimes)
    y = pd.DataFrame({"a": months(), "b": months() + 1e4, "c": months() + 2e4})
    with pytest.warns(UserWarning, match=r"2 of 3 series could not be fitted by 'theta'") as caught:
        forecaster = StatsForecaster("theta", horizon=3, season=4).fit(y)
    assert len(caught) == 1
    assert forecaster.n_failed_ == 2
    naive = SeasonalNaiveForecaster(horizon=3, season=4).fit(y).predict()
    pd.testing.assert_frame_equal(forecaster.predict()[["b", "c"]], naive[["b", "c"]])


def test_a_search_that_does_not_converge_is_counted(monkeypatch):
    monkeypatch.setattr(models, "_converged", lambda found: False)
    assert StatsForecaster("ets", horizon=3, season=1).fit(months(40)).n_not_converged_ == 1


def test_long_histories_are_cut_and_long_seasons_taken_out():
    rng = np.random.default_rng(0)
    t = np.arange(6000)
    y = pd.Series(10 + np.sin(t * np.pi / 48) + 0.1 * rng.normal(size=6000), pd.RangeIndex(1, 6001))
    model = StatsForecaster("ets", horizon=96, season=96).fit(y)
    assert model.context_ == 480
    assert "season taken out" in model.models()["model"][0]
    assert (model.predict(96) - (10 + np.sin(np.arange(6000, 6096) * np.pi / 48))).abs().max() < 0.4


@pytest.mark.slow
def test_the_number_of_jobs_does_not_matter():
    y = pd.DataFrame({"a": months(), "b": months(seed=1)})
    one, two = (StatsForecaster("theta", horizon=3, season=4, n_jobs=n_jobs).fit(y).predict() for n_jobs in (None, 2))
    pd.testing.assert_frame_equal(one, two, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "prophet"}, "model: found 'prophet'"),
        ({"context": 0}, "context: found 0"),
        ({"n_jobs": 0}, "n_jobs: found 0"),
    ],
)
def test_wrong_parameters_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        StatsForecaster(**options).fit(months())
