"""Backtests: the right cut-offs, no leak of later rows, batches equal to one forecast after another."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from tsrec import LSSLForecaster, SeasonalMeanForecaster, SeasonalNaiveForecaster, StatsForecaster
from tsrec.model_selection import backtest

RNG = np.random.default_rng(0)
INDEX = pd.date_range("2024-01-01", periods=120, freq="D", name="day")
Y = pd.DataFrame({"a": np.tile([0.0, 3.0, -2.0], 40) + RNG.normal(0, 0.2, 120), "b": RNG.normal(size=120)}, index=INDEX)
NAIVE = SeasonalNaiveForecaster(horizon=5, season=3)
LSSL = LSSLForecaster(horizon=5, season=3, context=12, patch=4, d_model=4, d_state=4, max_epochs=1, random_state=0)


@pytest.mark.parametrize("forecaster", [NAIVE, LSSL], ids=["naive", "lssl"])
def test_every_cutoff_equals_a_forecast_made_then(forecaster):
    table = backtest(forecaster, Y, n_windows=4, step=3)
    fitted = clone(forecaster).fit(Y.iloc[:106])
    assert table.index.names == ["cutoff", "time"]
    assert table.columns[:3].tolist() == [("a", "y"), ("a", "forecast"), ("a", 0.025)]
    for cutoff, part in table.groupby(level="cutoff"):
        history = Y.loc[:cutoff]
        then = fitted.predict(5, history=history)
        times = part.index.get_level_values("time")
        assert times.equals(then.index)
        np.testing.assert_allclose(part["a", "forecast"], then["a"], rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(part["a", "y"], Y.loc[times, "a"])
    assert table.index.get_level_values("cutoff").unique().tolist() == INDEX[[105, 108, 111, 114]].tolist()


@pytest.mark.parametrize("window", [None, 41])
def test_rows_without_times_keep_their_places_in_the_season(window):
    rng = np.random.default_rng(0)
    values = np.tile([0.0, 5, 1, 8, 2, 9, -4, 3, 0, 1, 7, -6], 9) + 0.1 * rng.normal(size=108)
    dated = pd.Series(values, INDEX[:108])
    asked = {"n_windows": 2, "refit": True, "window": window}
    wanted = backtest(StatsForecaster("theta", season=12, horizon=6), dated, **asked)
    for y in (values, pd.Series(values), pd.DataFrame({"a": values})):
        np.testing.assert_array_equal(backtest(StatsForecaster("theta", season=12, horizon=6), y, **asked), wanted)


def test_objects_in_lists_and_arrays_are_read_as_numbers():
    y, beside = [None, *Y["a"].tolist()[:40]], np.arange(41.0)[:, None]
    model = LSSLForecaster(horizon=2, max_epochs=0)
    wanted = backtest(model, np.array(y, dtype=float), X=beside, past=beside, n_windows=2)
    found = backtest(model, y, X=beside.astype(object), past=beside.tolist(), n_windows=2)
    np.testing.assert_array_equal(found, wanted)
    with pytest.raises(TypeError, match="X: not all of its values are numbers"):
        backtest(model, y, X=np.array([["a"]] * 41, dtype=object), n_windows=2)


def test_a_forecaster_that_saw_the_cutoffs_is_fitted_anew():
    spy = SeasonalMeanForecaster(horizon=5, season=3, context=9).fit(Y)
    before = spy.trained_ends_.copy()
    honest = backtest(clone(spy), Y, n_windows=3)
    pd.testing.assert_frame_equal(backtest(spy, Y, n_windows=3), honest)
    assert (spy.trained_ends_ == before).all()


def test_a_forecaster_trained_earlier_keeps_its_weights():
    early = clone(LSSL).fit(Y.iloc[:60])
    table = backtest(early, Y, n_windows=1)
    then = early.predict(5, history=Y.iloc[:115])
    np.testing.assert_allclose(table["a", "forecast"], then["a"], rtol=1e-5, atol=1e-6)


def test_later_rows_do_not_reach_a_forecast():
    spoiled = Y.copy()
    spoiled.iloc[115:] = 1e6
    for forecaster in (NAIVE, LSSL):
        table, other = (backtest(forecaster, y, n_windows=3)["a", "forecast"] for y in (Y, spoiled))
        np.testing.assert_array_equal(table.iloc[:15], other.iloc[:15])


def test_refit_fits_before_each_cutoff():
    table = backtest(LSSL, Y, n_windows=2, step=10, refit=True)
    for cutoff in INDEX[[104, 114]]:
        history = Y.loc[:cutoff]
        then = clone(LSSL).fit(history).predict(5)
        np.testing.assert_allclose(table.loc[cutoff, ("a", "forecast")], then["a"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("refit", [False, True])
def test_panels_of_unequal_series(refit):
    panel = pd.concat({"x": Y["a"].iloc[:50], "z": Y["a"]}, names=["id"])
    table = backtest(NAIVE, panel, n_windows=2, refit=refit)
    assert table.index.names == ["id", "cutoff", "time"]
    assert table.loc["x"].index.get_level_values("cutoff").unique().tolist() == INDEX[[39, 44]].tolist()
    alone = backtest(NAIVE, panel["x"], n_windows=2, refit=refit)
    np.testing.assert_array_equal(table.loc["x"][("a", "forecast")], alone["a", "forecast"])
    mixed = panel.sort_index(level="day")
    pd.testing.assert_frame_equal(backtest(NAIVE, mixed, n_windows=2, refit=refit).sort_index(), table.sort_index())


def test_covariates_are_used():
    X = pd.DataFrame({"promo": RNG.normal(size=120)}, index=INDEX)
    y = Y["b"] * 0.1 + 5 * X["promo"]
    with_X, without = (backtest(LSSL, y, X=part, n_windows=6) for part in (X, None))
    errors = [(table[0, "forecast"] - table[0, "y"]).abs().mean() for table in (with_X, without)]
    assert errors[0] < 0.3 * errors[1]


@pytest.mark.parametrize(
    ("kw", "message"),
    [
        ({"n_windows": 30}, "has 120 rows, but 30 cut-offs 5 steps apart .* need 151"),
        ({"horizon": 6}, "horizon: found 6. Give 1 to 5"),
        ({"n_windows": 0}, "n_windows: found 0. Give a whole number of at least 1"),
        ({"step": 0}, "step: found 0. Give a whole number"),
        ({"step": 2.5}, "step: found 2.5. Give a whole number"),
        ({"horizon": True}, "horizon: found True. Give a whole number"),
        ({"refit": "yes"}, "refit: found 'yes'. Give True"),
    ],
)
def test_impossible_cutoffs_are_refused(kw, message):
    with pytest.raises(ValueError, match=message):
        backtest(NAIVE, Y, **kw)


def test_default_windows_cover_the_last_fifth():
    table = backtest(NAIVE, Y)
    assert table.index.get_level_values("cutoff").nunique() == 4
    assert table.index.get_level_values("time")[-1] == INDEX[-1]


def test_shorter_horizon_than_the_forecaster():
    table = backtest(NAIVE, Y, horizon=2, n_windows=2)
    assert len(table) == 4


def test_later_months_of_one_series_do_not_reach_another():
    rng = np.random.default_rng(0)
    whole = pd.Series(
        np.tile([0.0, 3.0, -2.0], 100) + rng.normal(size=300), pd.date_range("2024", periods=300, freq="D")
    )
    panel = pd.concat({"short": whole[:150], "long": whole * 2}, names=["id", "day"])
    spoiled = panel.copy()
    spoiled.loc[("long", slice("2024-06-01", None))] *= -20
    for refit in (False, True):
        table, other = (backtest(LSSL, y, n_windows=2, refit=refit).loc["short"] for y in (panel, spoiled))
        np.testing.assert_array_equal(table, other)


def test_numbered_steps_are_no_common_calendar():
    y = pd.Series(np.arange(40.0))
    panel = pd.concat({"short": y[:12], "long": y}, names=["id", "t"])
    lengths = []

    class Spy(SeasonalNaiveForecaster):
        def _fit_panel(self, panel):
            lengths.append(panel.lengths.tolist())
            super()._fit_panel(panel)

    backtest(Spy(horizon=2, season=1), panel, n_windows=1)
    assert lengths == [[10, 38]]


def test_short_prefixes_keep_the_frequency_of_the_whole():
    days = pd.Series(np.arange(30.0), pd.date_range("2024-01-01", periods=30, freq="B")._with_freq(None))
    table = backtest(SeasonalNaiveForecaster(horizon=2, season=1), days, n_windows=13)
    assert len(table) == 26


def test_other_objects_are_refused_by_name():
    from sklearn.linear_model import LinearRegression

    with pytest.raises(TypeError, match="found a LinearRegression"):
        backtest(LinearRegression(), Y)
    with pytest.raises(TypeError, match="found the class LSSLForecaster"):
        backtest(LSSLForecaster, Y)


def test_series_named_by_several_levels():
    panel = pd.concat({("north", "x"): Y["a"], ("south", "x"): Y["b"]}, names=["region", "id"])
    table = backtest(NAIVE, panel, n_windows=2)
    assert table.index.names == ["region", "id", "cutoff", "time"]
    alone = backtest(NAIVE, Y["b"], n_windows=2)
    np.testing.assert_array_equal(table.loc[("south", "x")].iloc[:, :2], alone.iloc[:, :2])


@pytest.mark.parametrize("refit", [False, True])
@pytest.mark.parametrize("calendar", [True, False])
def test_series_too_short_for_all_cutoffs_do_not_end_the_backtest(refit, calendar):
    y = Y["a"] if calendar else Y["a"].reset_index(drop=True)
    panel = pd.concat({"tiny": y.iloc[:3], "long": y, "middle": y.iloc[-9:]}, names=["id", "t"])
    with pytest.warns(
        UserWarning, match="2 of 3 series are too short for 3 cut-offs; 1 get fewer, 1 none.*'tiny' with 3 rows"
    ):
        table = backtest(NAIVE, panel, n_windows=3, refit=refit)
    assert (table.groupby(level=0).size() // 5).to_dict() == {"long": 3, "middle": 1}
    expected = backtest(NAIVE, panel.loc[["long"]], n_windows=3, refit=refit)
    pd.testing.assert_frame_equal(table.loc["long"].iloc[:, :2], expected.loc["long"].iloc[:, :2])


def test_rows_of_a_series_that_ended_long_ago_do_not_shorten_the_training():
    panel = pd.concat({"long": Y["b"].iloc[5:], "tiny": Y["b"].iloc[:2]}, names=["id", "t"])
    seen = []

    class Spy(SeasonalNaiveForecaster):
        def _fit_panel(self, panel):
            seen.append(panel.lengths.tolist())
            super()._fit_panel(panel)

    with pytest.warns(UserWarning, match="too short"):
        backtest(Spy(horizon=5, season=3), panel, n_windows=2)
    assert seen == [[105, 2]]


def test_default_windows_do_not_hang_on_a_series_without_room():
    panel = pd.concat({"long": Y["a"], "tiny": Y["a"].iloc[-2:], "middle": Y["a"].iloc[-60:]}, names=["id", "t"])
    with pytest.warns(UserWarning, match="'tiny'"):
        table = backtest(NAIVE, panel)
    assert (table.groupby(level=0).size() // 5).to_dict() == {"long": 2, "middle": 2}


def test_covariates_that_were_learned_are_asked_for():
    X = pd.DataFrame({"promo": RNG.normal(size=120)}, index=INDEX)
    fitted = clone(LSSL).fit(X, Y["b"])
    with pytest.raises(ValueError, match=r"X: found None, but the forecaster was fitted with 1 covariates\. Give X="):
        backtest(fitted, Y["b"])
    with pytest.raises(ValueError, match="X: found covariates, but the forecaster was fitted with no covariates"):
        backtest(clone(LSSL).fit(Y["b"]), Y["b"], X=X)
    with pytest.raises(TypeError, match="positional"):
        backtest(fitted, X, Y["b"])


def test_each_refit_stops_at_its_own_time_where_series_end_at_different_times():
    panel = pd.concat({"old": Y["a"].iloc[:20], "new": Y["a"].iloc[60:]}, names=["id", "t"])
    seen = []

    class Spy(SeasonalNaiveForecaster):
        def _fit_panel(self, panel):
            seen.append(panel.lengths.tolist())
            super()._fit_panel(panel)

    backtest(Spy(horizon=5, season=3), panel, n_windows=3, refit=True)
    assert seen == [[5], [10], [15], [20, 45], [20, 50], [20, 55]]


def test_columns_in_another_order_keep_their_forecasts():
    fitted = clone(NAIVE).fit(Y.iloc[:100])
    table = backtest(fitted, Y[["b", "a"]].assign(c=1.0), n_windows=2)
    pd.testing.assert_frame_equal(table, backtest(fitted, Y, n_windows=2))


def test_covariates_of_other_rows_are_refused():
    X = pd.DataFrame({"promo": RNG.normal(size=120)}, index=INDEX)
    with pytest.raises(ValueError, match=r"X: it has 110 rows, y has 120\. Give the same rows of both"):
        backtest(LSSL, Y["b"], X=X.iloc[:110])
    with pytest.raises(ValueError, match=r"X: it has 120 rows, y has 110.*belong to predict"):
        clone(LSSL).fit(X, Y["b"].iloc[:110])
