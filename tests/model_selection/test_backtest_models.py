"""Backtests of several models, with refits now and then, sliding windows, more covariates, and many workers."""

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from tsrec import LSSLForecaster, MLPForecaster, SeasonalMeanForecaster, SeasonalNaiveForecaster, ThetaForecaster
from tsrec.model_selection import backtest

RNG = np.random.default_rng(0)
DAYS = pd.date_range("2024-01-01", periods=90, freq="D", name="day")
Y = pd.Series(np.arange(90) % 7 + RNG.normal(0, 0.3, 90), DAYS, name="sold")
PANEL = pd.concat({"old": Y.iloc[:80], "new": Y.iloc[20:] * 2}, names=["shop", "day"])
NAIVE = SeasonalNaiveForecaster(horizon=4, season=7)
THETA = ThetaForecaster(horizon=5, season=7, quantiles=(0.1, 0.5, 0.9))
MEAN = SeasonalMeanForecaster(horizon=4, season=7)
LSSL = LSSLForecaster(horizon=4, season=7, context=14, patch=2, d_model=4, d_state=4, max_epochs=0, random_state=0)


class Spy(SeasonalMeanForecaster):
    """Remembers what it was fitted with."""

    seen: list = []  # noqa: RUF012

    def _fit_panel(self, panel):
        self.seen.append(panel)
        super()._fit_panel(panel)


@pytest.fixture
def seen():
    Spy.seen.clear()
    return Spy.seen


def test_several_models_share_one_table():
    table = backtest({"naive": NAIVE, "theta": THETA}, PANEL, n_windows=2)
    assert table.index.names == ["model", "shop", "cutoff", "time"]
    assert table.columns.tolist() == [("sold", value) for value in ["y", "forecast", *sorted({*NAIVE.quantiles, 0.1})]]
    for name, model in {"naive": NAIVE, "theta": THETA}.items():
        alone = backtest(model, PANEL, horizon=4, n_windows=2)
        pd.testing.assert_frame_equal(table.loc[name][alone.columns], alone)
    assert table.loc["theta", ("sold", 0.025)].isna().all()


def test_a_list_is_called_after_classes():
    table = backtest([NAIVE, THETA, clone(NAIVE)], Y, n_windows=1)
    names = ["SeasonalNaiveForecaster-1", "ThetaForecaster", "SeasonalNaiveForecaster-2"]
    assert table.index.unique(0).tolist() == names
    assert list(table.attrs["seconds"]) == names


def test_models_of_other_columns_leave_holes():
    wide = pd.DataFrame({"a": Y, "b": -Y})
    table = backtest({"one": clone(NAIVE).fit(wide[["b"]].iloc[:60]), "both": NAIVE}, wide, n_windows=1)
    assert table.loc["one", ("a", "forecast")].isna().all()
    np.testing.assert_array_equal(table.loc["one", ("a", "y")], table.loc["both", ("a", "y")])
    np.testing.assert_array_equal(table.loc["one", ("b", "forecast")], table.loc["both", ("b", "forecast")])


def test_seconds_are_told(monkeypatch):
    ticks = iter(range(100))
    monkeypatch.setattr("tsrec.model_selection._runs.perf_counter", lambda: next(ticks))
    table = backtest({"fits": NAIVE, "fitted": clone(NAIVE).fit(Y.iloc[:50])}, Y, n_windows=3)
    assert table.attrs["seconds"] == {"fits": {"fit": 1.0, "predict": 1.0}, "fitted": {"fit": 0.0, "predict": 1.0}}
    assert backtest(NAIVE, Y, n_windows=3, refit=True).attrs["seconds"] == {
        "SeasonalNaiveForecaster": {"fit": 3.0, "predict": 3.0}
    }


@pytest.mark.parametrize("model", [MEAN, LSSL], ids=["mean", "lssl"])
def test_between_refits_the_last_fit_forecasts_with_the_history_up_to_then(model):
    table = backtest(model, Y, n_windows=5, refit=2)
    firsts = [70, 74, 78, 82, 86]
    for place, first in enumerate(firsts):
        fitted = clone(model).fit(Y.iloc[: firsts[place - place % 2]])
        then = fitted.predict(4, history=Y.iloc[:first])
        found = table.loc[DAYS[first - 1], ("sold", "forecast")]
        np.testing.assert_allclose(found, then, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("refit", "fits"), [(False, 1), ("never", 1), (True, 4), ("always", 4), (1, 4), (3, 2), (9, 1)]
)
def test_refit_says_how_often_to_fit(seen, refit, fits):
    backtest(Spy(horizon=4, season=7), Y, n_windows=4, refit=refit)
    assert len(seen) == fits


@pytest.mark.parametrize("refit", [0, -1, 1.5, None, "sometimes"])
def test_other_refits_are_refused(refit):
    with pytest.raises(ValueError, match="refit: found"):
        backtest(NAIVE, Y, refit=refit)


@pytest.mark.parametrize("calendar", [True, False])
def test_a_window_leaves_out_rows_of_long_ago(seen, calendar):
    y = PANEL if calendar else PANEL.groupby("shop").cumcount().reset_index().set_index(["shop", 0])["day"].index
    rows = PANEL if calendar else pd.Series(PANEL.to_numpy(), y)
    backtest(Spy(horizon=4, season=7), rows, n_windows=2, refit=True, window=15)
    assert all(panel.lengths.max() == 15 for panel in seen)
    whole = [panel.grid.decode(panel.ends - panel.grid.step) for panel in seen]
    seen.clear()
    backtest(Spy(horizon=4, season=7), rows, n_windows=2, refit=True)
    ends = [panel.grid.decode(panel.ends - panel.grid.step) for panel in seen]
    assert [one.max() for one in whole] == [one.max() for one in ends]


@pytest.mark.parametrize("kw", [{"refit": True}, {"refit": 2}, {}])
def test_workers_change_no_number(kw):
    models = {"naive": NAIVE, "lssl": LSSL, "mean": MEAN}
    alone = backtest(models, PANEL, n_windows=3, **kw)
    pd.testing.assert_frame_equal(backtest(models, PANEL, n_windows=3, n_jobs=1, **kw), alone)
    with joblib.parallel_config("threading", n_jobs=2):
        pd.testing.assert_frame_equal(backtest(models, PANEL, n_windows=3, verbose=0, **kw), alone)


@pytest.mark.slow
def test_processes_change_no_number():
    models = {"naive": NAIVE, "lssl": LSSL}
    alone = backtest(models, PANEL, n_windows=3, refit=True)
    with joblib.parallel_config("loky", n_jobs=2):
        pd.testing.assert_frame_equal(backtest(models, PANEL, n_windows=3, refit=True), alone)


def test_a_bar_counts_the_fits(capsys):
    quiet = backtest(NAIVE, Y, n_windows=3, refit=True)
    assert capsys.readouterr() == ("", "")
    table = backtest(NAIVE, Y, n_windows=3, refit=True, verbose=1)
    shown = capsys.readouterr().err
    assert "backtest" in shown
    assert "3/3" in shown
    pd.testing.assert_frame_equal(table, quiet)


@pytest.mark.filterwarnings("ignore:past", "ignore:static")
def test_past_and_static_reach_the_fit(seen):
    past = pd.DataFrame({"p": np.arange(float(len(PANEL)))}, PANEL.index)
    static = pd.DataFrame({"size": [1.0, 2.0]}, ["new", "old"])
    for given in (static, np.array([[2.0], [1.0]])):
        backtest(Spy(horizon=4, season=7), PANEL, past=past, static=given, n_windows=1, refit=True)
        last = seen[-1]
        assert last.ids.tolist() == ["old", "new"]
        np.testing.assert_array_equal(last.static, [[2.0], [1.0]])
        np.testing.assert_array_equal(last.past[last.offsets[1] - 1], [79.0])
        assert last.past.shape == (80 + 66, 1)


@pytest.mark.filterwarnings("ignore:past")
def test_past_reaches_the_forecasts():
    class Echo(SeasonalMeanForecaster):
        def _forecast(self, panel, cutoffs):
            answer = super()._forecast(panel, cutoffs)
            answer[..., 0] = panel.past[panel.offsets[cutoffs[:, 0]] + cutoffs[:, 1] - 1][:, None]
            return answer

    table = backtest(Echo(horizon=4, season=7), Y, past=Y.rename("p").to_frame() * 10, n_windows=2)
    np.testing.assert_allclose(table["sold", "forecast"], np.repeat(10 * Y.iloc[[81, 85]].to_numpy(), 4))


@pytest.mark.filterwarnings("ignore:past")
def test_past_that_was_learned_is_asked_for():
    fitted = clone(NAIVE).fit(Y.iloc[:50], past=Y.iloc[:50].to_frame("p"))
    with pytest.raises(ValueError, match="past: found None, but the forecaster was fitted with 1 past covariates"):
        backtest(fitted, Y)
    with pytest.raises(ValueError, match=r"past: it has 3 rows, y has 90"):
        backtest(NAIVE, Y, past=Y.iloc[:3])


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ({}, "forecaster: found none"),
        ({"a": NAIVE, "b": 3}, "forecaster: 'b': found a int"),
        ({1: NAIVE, "1": THETA}, "read alike"),
    ],
)
def test_what_is_no_model_is_refused_by_name(models, message):
    with pytest.raises((TypeError, ValueError), match=message):
        backtest(models, Y)


def test_the_horizon_of_several_models_is_the_shortest():
    assert len(backtest([NAIVE, THETA], Y, n_windows=1)) == 8
    with pytest.raises(ValueError, match="Give 1 to 4, the shortest horizon of the forecasters"):
        backtest([NAIVE, THETA], Y, horizon=5)


@pytest.mark.parametrize("fitted", [False, True])
def test_what_is_said_of_series_that_begin_later_is_known(fitted):
    panel = pd.concat([PANEL, pd.concat({"late": Y.iloc[82:] * 3}, names=["shop", "day"])])
    static = pd.Series(["b", "a", "b"], ["late", "new", "old"], name="kind")
    before = panel[panel.index.get_level_values("day") < DAYS[74]]
    model = MLPForecaster(horizon=3, season=7, context=7, max_epochs=4, random_state=0)
    model = model.fit(before, static=static) if fitted else model
    table = backtest(model, panel, static=static, n_windows=2)
    known = clone(model).fit(before, static=static).describe(static)
    found = known.predict_cutoffs(panel, np.array([[2, 2], [2, 5]]))
    np.testing.assert_array_equal(table.loc["late"]["sold", "forecast"], found[..., 0, 0].ravel())
    assert not hasattr(model, "described_")


def test_a_series_that_ended_long_ago_is_told_where_it_stops_the_fit():
    days = pd.date_range("2024-01-01", periods=300, freq="D", name="day")
    noise = np.random.default_rng(0).normal(size=300)
    panel = pd.concat({name: pd.Series(noise, days, name="y") for name in "abc"}, names=["id"])
    ended = pd.concat([panel, pd.concat({"old": pd.Series(noise[:60], days[:60], name="y")}, names=["id"])])
    naive = SeasonalNaiveForecaster(horizon=7, season=7)
    with pytest.warns(UserWarning, match="the fit ends before 2024-02-23 .* of series 'old', which ends long before"):
        backtest(naive, ended, n_windows=1)
    backtest(naive, ended, n_windows=1, refit=True)
    backtest(naive, panel, n_windows=1)


@pytest.mark.parametrize("by", ["row", "series"])
def test_weights_of_rows_reach_the_fits(by):
    days = pd.date_range("2024-01-01", periods=120, freq="D", name="day")
    noise = np.random.default_rng(0).normal(size=(3, 120))
    panel = pd.concat({k: pd.Series(noise[int(k)].cumsum(), days, name="y") for k in (1.0, 2.0)}, names=["id"])
    weight = pd.Series([1.0, 0.0], pd.Index([1.0, 2.0], name="id"))
    if by == "row":
        weight = panel.index.get_level_values("id").map(weight).to_numpy()
    model = LSSLForecaster(horizon=4, context=8, season=4, max_epochs=0)
    table = backtest(
        {"map": model, "naive": SeasonalNaiveForecaster(horizon=4)}, panel, n_windows=2, sample_weight=weight
    )
    fitted = clone(model).fit(panel.groupby(level="id").head(112), sample_weight=np.repeat([1.0, 0.0], 112))
    then = fitted.predict(history=panel.groupby(level="id").head(116))
    last = table.loc["map"].groupby(level="id").tail(4)["y", "forecast"]
    np.testing.assert_allclose(last, then, rtol=1e-6, atol=1e-8)
    plain = backtest(model, panel, n_windows=2)["y", "forecast"]
    assert not np.allclose(plain, table.loc["map"]["y", "forecast"])
