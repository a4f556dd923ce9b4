"""What is no rows of numbers is told what it is, and how to mend it."""

import numpy as np
import pandas as pd
import pytest

from tsrec import LSSLForecaster, MLPForecaster
from tsrec.frames.checks import check_given, time_column

HOURS = pd.Series(np.sin(np.arange(60.0)), pd.date_range("2024-01-01", periods=60, freq="h"), name="load")
MODEL = MLPForecaster(horizon=3, context=12, season=12, max_epochs=0)


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ({"a": HOURS, "b": HOURS}, TypeError, "found a dict of 2 Series. Give one Series, frame or array.*pd.concat"),
        ([HOURS, HOURS.to_frame()], TypeError, "found a list of 2 DataFrame and Series"),
        ("loads.csv", TypeError, "found 'loads.csv'.*pd.read_csv"),
        (None, TypeError, "found None. Give the rows themselves"),
        ({1.0, 2.0}, TypeError, "found a set"),
        (HOURS.index.to_numpy(), TypeError, r"found an array of datetime64\[.s\], times and not numbers"),
        (np.ones(2, "m8[s]"), TypeError, r"found an array of timedelta64\[s\]"),
        ([[1.0, 2.0], [3.0]], ValueError, "found a list whose elements differ in length"),
    ],
)
def test_several_sets_or_none_are_refused(given, kind, message):
    with pytest.raises(kind, match=f"rows: {message}"):
        check_given(given, "rows")


@pytest.mark.parametrize("given", [HOURS, HOURS.to_frame(), np.zeros(3), [1.0, 2.0], [[1.0], [2.0]], (1, 2)])
def test_rows_pass(given):
    check_given(given, "rows")


def test_forecasters_say_who_learns_from_sets():
    with pytest.raises(TypeError, match=r"X: found a dict of 1 Series.*Only TEMPOForecaster learns from sets"):
        MODEL.fit({"a": HOURS})
    with pytest.raises(TypeError, match="y: found a dict of 1 Series"):
        MODEL.fit(HOURS.to_frame("x"), {"a": HOURS})
    with pytest.raises(TypeError, match="history: found a list of 1 Series"):
        MODEL.fit(HOURS).predict(history=[HOURS])


@pytest.mark.parametrize(
    ("texts", "hint"),
    [
        (HOURS.index.strftime("%Y-%m-%d %H:%M"), r"y\['when'\] = pd.to_datetime.*set_index\('when'\)"),
        (HOURS.index.strftime("%d.%m.%Y"), "index_col='when', parse_dates=True"),
        (["1.5"] * 60, "pd.to_numeric"),
        (["north"] * 60, r"from_long\(frame, id='when'"),
        (HOURS.index, r"y.set_index\('when'\)"),
    ],
)
def test_a_column_without_numbers_is_named_with_its_mend(texts, hint):
    frame = pd.DataFrame({"when": texts, "load": HOURS.to_numpy()})
    with pytest.raises(TypeError, match=f"y: column 'when' holds .*{hint}"):
        MODEL.fit(frame)


def test_a_history_says_which_column_holds_its_times():
    fitted = MODEL.fit(HOURS)
    raw = pd.DataFrame({"when": HOURS.index.astype(str), "load": HOURS.to_numpy()})
    assert time_column(raw) == "when"
    assert time_column(raw[["load"]]) is None
    with pytest.raises(ValueError, match=r"history.set_index\(pd.to_datetime\(history.pop\('when'\)\)\)"):
        LSSLForecaster(horizon=3, context=12, max_epochs=0).fit(HOURS.to_frame()).predict(history=raw)
    with pytest.raises(ValueError, match="history: it has no time index, but the fitted y had one"):
        fitted.predict(history=HOURS.reset_index(drop=True))


@pytest.mark.parametrize(
    ("text", "hint"),
    [("97.2", r"pd.to_numeric\(column, errors='coerce'\), which leaves NaN"), ("97,2", r"decimal=','\), or thousands")],
)
def test_numbers_as_text_are_read_by_their_sign(text, hint):
    with pytest.raises(TypeError, match=f"y: column 'load' holds .* such as '{text}', not numbers.*{hint}"):
        MODEL.fit(HOURS.to_frame().assign(load=text))


def test_numbers_that_go_on_are_times_to_a_forecaster_that_has_none():
    fitted = MODEL.fit(HOURS.reset_index(drop=True))
    further = HOURS.reset_index(drop=True)[30:]
    with pytest.raises(ValueError, match="history: its index of numbers is taken for times, but the fitted y had none"):
        fitted.predict(history=further)
    with pytest.raises(ValueError, match="history: it has a time index, but the fitted y had none"):
        fitted.predict(history=HOURS)
    assert len(fitted.predict(history=further.reset_index(drop=True))) == 3
