"""Bad input gets an error that names the argument, what was found and the mend, and loses nothing."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from tsrec import LSSLForecaster, SeasonalNaiveForecaster, TEMPOForecaster
from tsrec.model_selection import backtest

DAYS = pd.date_range("2024-01-01", periods=60, freq="D", name="date")
Y = pd.Series(np.tile([0.0, 3.0, -2.0], 20), DAYS, name="load")
LSSL = LSSLForecaster(horizon=5, season=3, context=12, max_epochs=0)
NAIVE = SeasonalNaiveForecaster(horizon=5, season=3)


@pytest.mark.parametrize("rows", [{"a": Y, "b": Y[:9]}, [Y, Y[:9]]], ids=["dict", "list"])
def test_several_sets_are_refused_with_the_mend(forecaster, rows):
    found = rf"found a {type(rows).__name__} of 2 Series.*pd.concat"
    if not (isinstance(forecaster, TEMPOForecaster) and isinstance(rows, dict)):
        with pytest.raises(TypeError, match=rf"X: {found}.*TEMPOForecaster"):
            clone(forecaster).fit(rows)
    with pytest.raises(TypeError, match=rf"y: {found}"):
        clone(forecaster).fit(Y.to_frame()[[]], rows)
    fitted = clone(NAIVE).fit(Y)
    for call in (lambda: fitted.predict(history=rows), lambda: fitted.predict_cutoffs(rows, [[0, 1]])):
        with pytest.raises(TypeError, match=rf"(history|y): {found}"):
            call()
    with pytest.raises(TypeError, match=rf"y: {found}"):
        backtest(NAIVE, rows)


def test_what_asks_for_nothing_is_named():
    with pytest.raises(TypeError, match=r"X: found a dict. Give a whole number of steps"):
        clone(NAIVE).fit(Y).predict({"a": Y})
    with pytest.raises(ValueError, match=r"history: it has 0 rows"):
        clone(NAIVE).fit(Y.to_numpy()).predict(history=np.zeros(0))


def test_a_raw_history_of_one_series_says_which_column_holds_its_times():
    raw = Y.reset_index().astype({"date": str})
    with pytest.raises(ValueError, match=r"history: it has 2 columns.*'date' looks like times.*history.pop\('date'\)"):
        clone(NAIVE).fit(Y).predict(history=raw)
    mended = raw.set_index(pd.to_datetime(raw.pop("date")))["load"]
    assert len(clone(NAIVE).fit(Y).predict(history=mended)) == 5


def test_a_history_without_values_is_refused_where_nothing_is_known_of_it(forecaster):
    panel = pd.concat({"one": Y, "two": Y + 9}, names=["name"])
    forecaster.fit(panel)
    empty = panel.copy()
    empty.loc["two"] = np.nan
    assert np.isfinite(forecaster.predict(history=empty)).all()
    with pytest.raises(ValueError, match=r"history: 1 series .* no observed value .* the first is 'new'"):
        forecaster.predict(history=empty.rename({"two": "new"}))
    with pytest.raises(ValueError, match=r"history: it holds no observed value"):
        clone(forecaster).fit(Y).predict(history=Y * np.nan)


def test_a_stream_goes_on_through_an_outage():
    stream = clone(LSSL).fit(Y).stream(Y[:20])
    assert np.isfinite(stream.push(Y[20:50] * np.nan)).all()
    assert np.isfinite(stream.push(Y[50:])).all()


def test_streams_name_what_they_were_given():
    fitted = clone(LSSL).fit(Y.to_frame())
    with pytest.raises(TypeError, match=r"history: found 5"):
        fitted.stream(5)
    with pytest.raises(ValueError, match=r"history: it has no column 'load'"):
        fitted.stream(Y.to_frame("other"))
    stream = fitted.stream(Y[:30].to_frame())
    with pytest.raises(TypeError, match=r"rows: found a Series, but the rows before came in a DataFrame"):
        stream.push(Y[30:])
    with pytest.raises(ValueError, match=r"rows: has 5 missing timestamps.*rows.asfreq\('D'\) to insert them.$"):
        stream.push(Y[35:40].to_frame())
    assert len(stream.push(Y[30:].to_frame())) == 5


def test_cutoffs_name_their_own_arguments():
    X = pd.DataFrame({"x": np.arange(60.0)}, DAYS)
    fitted, at = clone(NAIVE).fit(X, Y), [[0, 40]]
    with pytest.raises(ValueError, match=r"^X: missing.*rows of y too"):
        fitted.predict_cutoffs(Y, at)
    with pytest.raises(ValueError, match=r"^X: it has 3 rows, y has 60"):
        fitted.predict_cutoffs(Y, at, X[:3])
    with pytest.raises(ValueError, match=r"^history_X: it has 3 rows, history has 60"):
        fitted.predict(X, history=Y, history_X=X[:3])
    with pytest.raises(ValueError, match=r"^y: it has no time index"):
        clone(NAIVE).fit(Y).predict_cutoffs(Y.to_numpy(), at)
    with pytest.raises(ValueError, match=r"cutoffs: its rows differ in length"):
        clone(NAIVE).fit(Y).predict_cutoffs(Y, [[0], [0, 1]])


def test_a_step_asked_for_twice_with_different_covariates_is_refused():
    days = pd.date_range("2024-01-01", periods=60, freq="D", name="day")
    X = pd.concat({s: pd.DataFrame({"promo": np.arange(60) % 2.0}, days) for s in "ab"}, names=["shop"])
    y = (10 + 3 * X["promo"]).rename("y")
    model = LSSLForecaster(horizon=5, max_epochs=0).fit(
        X.drop(index=days[50:], level=1), y.drop(index=days[50:], level=1)
    )
    plan = X.loc[["a"]].loc[(slice(None), days[50:55]), :]
    with pytest.raises(ValueError, match="X: 5 of its rows repeat a step with other covariates"):
        model.predict(pd.concat([plan, 1 - plan]))
    twice = model.predict(pd.concat([plan, plan]))
    np.testing.assert_array_equal(twice[:5], twice[5:])


def test_times_of_several_series_need_the_names_of_the_series():
    days = pd.date_range("2024-01-01", periods=60, freq="D", name="day")
    X = pd.concat({s: pd.DataFrame({"promo": np.arange(60) % 2.0}, days) for s in "ab"}, names=["shop"])
    past, plan = X.loc[(slice(None), days[:50]), :], X.loc[(slice(None), days[50:55]), :]
    y = (10 + 3 * past["promo"]).rename("y")
    nameless = r"X: 5 of its rows repeat a time, the first Timestamp\('2024-02-20 .* of the 2 series.*\['shop', 'day'\]"
    model = LSSLForecaster(horizon=5, max_epochs=0).fit(past, y)
    with pytest.raises(ValueError, match=nameless):
        model.predict(plan.droplevel("shop"))
    with pytest.raises(ValueError, match=nameless):
        clone(NAIVE).fit(y).predict(plan.droplevel("shop").index)
    np.testing.assert_array_equal(model.predict(plan.loc["a"]), model.predict(plan))
    alone = clone(model).fit(past.loc[["a"]], y.loc[["a"]])
    one = plan.loc["a"]
    np.testing.assert_array_equal(alone.predict(pd.concat([one, one])), np.tile(alone.predict(one), 2))
    with pytest.raises(ValueError, match="X: 5 of its rows repeat a step with other covariates"):
        alone.predict(pd.concat([one, 1 - one]))


def test_texts_in_an_array_are_no_numbers():
    panel = pd.concat(dict.fromkeys("ab", Y), names=["shop"])
    with pytest.raises(TypeError, match=r"^static: not all of its values are numbers.*'cafe'"):
        clone(LSSL).fit(panel, static=np.array([["cafe"], ["bar"]]))
