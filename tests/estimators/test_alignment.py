"""Rows are matched by what they are, never by where they stand; what does not match is refused."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from tsrec import LSSLForecaster, SeasonalNaiveForecaster

INDEX = pd.date_range("2024-01-01", periods=90, freq="D", name="day")
A = pd.Series(np.arange(90.0), INDEX, name="a")
FRAME = pd.DataFrame({"a": A, "b": 5 * A})
X = pd.DataFrame({"x": -A})


@pytest.fixture
def naive():
    return SeasonalNaiveForecaster(horizon=5, season=3)


def test_update_takes_columns_by_name(naive):
    naive.fit(FRAME[:60]).update(FRAME[60:70][["b", "a"]])
    np.testing.assert_array_equal(naive.panel_.values, FRAME[:70])
    with pytest.raises(ValueError, match="it has no column 'b'"):
        naive.update(FRAME[70:75][["a"]])


def test_update_checks_the_index_of_covariates(naive):
    naive.fit(X[:60], A[:60])
    for other in (X[70:75], X[60:65][::-1]):
        with pytest.raises(ValueError, match="X: its index differs from that of y"):
            naive.update(other, A[60:65])
    with pytest.raises(ValueError, match="X: it has 1 rows, y has 5"):
        naive.update(X[60:61], A[60:65])
    assert len(naive.update(X[60:65], A[60:65]).panel_.covariates) == 65


@pytest.mark.parametrize("rows", [5, INDEX[60:62], "2024-03-01"])
def test_update_wants_rows(naive, rows):
    with pytest.raises((TypeError, ValueError), match=r"X: (found a|column)|Give the rows themselves"):
        naive.fit(A[:60]).update(rows)


def test_update_says_how_it_is_called(naive):
    with pytest.raises(ValueError, match=r"call update\(X_new, y_new\)"):
        clone(naive).fit(X[:60], A[:60]).update(A[60:65])
    with pytest.raises(ValueError, match=r"Call update\(rows\)"):
        naive.fit(A[:60]).update(X[60:65], A[60:65])


def test_score_matches_columns_and_refuses_other_rows(naive):
    naive.fit(FRAME[[]][:80], FRAME[:80])
    honest = naive.score(FRAME[[]][80:85], FRAME[80:85])
    assert naive.score(FRAME[[]][80:85], FRAME[80:85][["b", "a"]]) == honest
    with pytest.raises(ValueError, match="X: its index differs from that of y"):
        naive.score(FRAME[[]][80:85], FRAME[82:87])
    weighted = naive.score(FRAME[[]][80:85], FRAME[80:85], sample_weight=[1, 0, 0, 0, 1])
    assert weighted != honest


def test_levels_in_another_order_are_noticed(naive):
    y = pd.concat(
        {i: pd.Series(np.arange(20.0) + 100 * i, pd.RangeIndex(10, 30)) for i in range(10, 20)}, names=["id", "t"]
    )
    naive.fit(y)
    asked = pd.MultiIndex.from_tuples([(11, 14)], names=["t", "id"])
    with pytest.raises(ValueError, match=r"levels are \['t', 'id'\], those of y \['id', 't'\]"):
        naive.predict(asked)
    with pytest.raises(ValueError, match="history: its index levels are"):
        naive.predict(history=y.rename_axis(index=["t", "id"]))


def test_stamps_between_the_steps_are_refused_whatever_their_unit(naive):
    hours = pd.Series(np.arange(80.0), pd.date_range("2024", periods=80, freq="h", unit="s"))
    naive.fit(hours)
    with pytest.raises(ValueError, match="off the grid"):
        naive.predict(pd.DatetimeIndex(["2024-01-04 08:00:00.5"]))
    naive.fit(pd.Series(np.arange(80.0), pd.timedelta_range("0s", periods=80, freq="s", unit="s")))
    with pytest.raises(ValueError, match="off the grid"):
        naive.predict(pd.TimedeltaIndex(["80.5s"]))


def test_history_in_another_unit_is_the_same_history(naive):
    y = A.copy()
    naive.fit(y)
    y.index = y.index.as_unit("s")
    np.testing.assert_array_equal(naive.predict(3, history=y), naive.predict(3))


def test_history_with_another_clock_is_refused(naive):
    naive.fit(A)
    with pytest.raises(ValueError, match="history: its time zone is UTC, that of the fitted y None"):
        naive.predict(1, history=A.tz_localize("UTC"))
    with pytest.raises(ValueError, match="history: it has no time index, but the fitted y had one"):
        naive.predict(1, history=A.to_numpy())
    with pytest.raises(ValueError, match="fitted without covariates"):
        naive.predict(1, history=A, history_X=X)


@pytest.mark.parametrize(
    "index",
    [
        pd.RangeIndex(0, 240, 3) + 1,
        pd.timedelta_range("0s", periods=80, freq="250ms"),
        pd.period_range("2015", periods=80, freq="M"),
    ],
    ids=["numbers", "durations", "periods"],
)
def test_a_history_of_one_row_takes_the_fitted_spacing(naive, index):
    y = pd.Series(np.arange(80.0), index)
    naive.fit(y)
    answer = naive.predict(1, history=y[:1])
    assert answer.index[0] == index[1]


def test_time_stamps_left_over_as_levels_do_not_matter(naive):
    months = pd.Series(np.arange(30.0), pd.date_range("2020-01-01", periods=30, freq="MS"))
    middles = pd.Series(np.arange(30.0), months.index + pd.Timedelta(days=14))
    both = pd.concat({"a": months, "b": middles}, names=["id", "t"])
    answer = naive.fit(both[both.index.get_level_values("id") == "a"]).predict(1)
    assert answer.index[0] == ("a", pd.Timestamp("2022-07-01"))


def test_a_frequency_with_another_anchor_is_refused():
    mondays = pd.Series(np.arange(30.0), pd.date_range("2024-01-01", periods=30, freq="W-MON")._with_freq(None))
    with pytest.raises(ValueError, match=r"'W-SUN' does not fit y, whose first time stamp is .*Monday"):
        SeasonalNaiveForecaster(freq="W").fit(mondays)


@pytest.mark.parametrize("zone", ["America/Sao_Paulo", "Asia/Beirut", "America/Havana", "Africa/Cairo"])
def test_days_in_zones_that_skip_midnight(naive, zone):
    days = pd.date_range("2023-01-01" if zone == "Africa/Cairo" else "2016-01-01", periods=1200, freq="D")
    whole = days.tz_localize(zone, nonexistent="shift_forward", ambiguous=np.ones(1200, dtype=bool))
    assert len(set(whole.hour)) == 2
    y = pd.Series(np.arange(1200.0), whole)
    for cut in (200, 400, 1100):
        answer = clone(naive).fit(y[:cut]).predict(100)
        assert answer.index.equals(whole[cut : cut + 100])
        np.testing.assert_array_equal(clone(naive).fit(y[:cut]).predict(whole[cut : cut + 100]), answer)


@pytest.mark.parametrize(
    ("asked", "error"),
    [("2024-03-31", TypeError), (5.0, TypeError), (True, TypeError), ({"a": 1}, TypeError)],
    ids=repr,
)
def test_odd_requests_are_refused_by_name(naive, asked, error):
    with pytest.raises(error, match="X: found"):
        naive.fit(A).predict(asked)


def test_a_single_time_stamp_or_a_list_of_them_may_be_asked(naive):
    naive.fit(A)
    day = INDEX[-1] + pd.Timedelta(days=1)
    assert naive.predict(day).index.tolist() == [day]
    assert len(naive.predict([day, day + pd.Timedelta(days=1)])) == 2
    assert len(naive.predict(pd.Series(0.0, [day]))) == 1


def test_columns_of_one_name_are_refused(naive):
    twice = pd.concat([A, A], axis=1)
    for call in (lambda: naive.fit(twice), lambda: naive.fit(X[[]], twice), lambda: naive.fit(twice, A)):
        with pytest.raises(ValueError, match="it has two columns 'a'"):
            call()


def test_cutoffs_outside_the_history_are_refused(naive):
    naive.fit(A)
    for cutoffs in ([[0, 500]], [[1, 3]], [3, 4], [[0.5, 1.0]]):
        with pytest.raises(ValueError, match="cutoffs: "):
            naive.predict_cutoffs(A, np.array(cutoffs))


def test_nothing_of_an_earlier_fit_remains(naive):
    naive.fit(X, A)
    naive.extra_ = 1
    naive.fit(FRAME)
    assert not hasattr(naive, "extra_")
    assert naive.n_features_in_ == 2
    before = vars(naive).copy()
    with pytest.raises(ValueError, match="no observed value"):
        naive.fit(FRAME * np.nan)
    assert vars(naive)["panel_"] is before["panel_"]


def test_one_quantile_level_is_too_few(naive):
    with pytest.raises(ValueError, match=r"quantiles: found .* Give at least 2 levels"):
        naive.set_params(quantiles=(0.5, 0.5)).fit(A)


def test_sample_paths_of_short_histories_spread(naive):
    y = A[:8] + np.random.default_rng(0).normal(size=8)
    paths = SeasonalNaiveForecaster(horizon=6, season=1).fit(y).sample(n=200, random_state=0)
    assert (paths.nunique(axis=1) > 50).all()
    state = np.random.get_state()[2]  # noqa: NPY002 - the global state is what must stay
    naive.fit(A).sample()
    assert np.random.get_state()[2] == state  # noqa: NPY002
    assert naive.sample(n=3, random_state=np.random.default_rng(0)).shape == (5, 3)


def test_parameters_set_after_fit_wait_for_the_next_fit(naive):
    naive.fit(A).set_params(horizon=9, season=1)
    assert len(naive.predict()) == 5
    assert len(naive.fit(A).predict()) == 9


def test_a_gap_in_the_covariates_to_come_is_said():
    index = pd.date_range("2024-01-01", periods=60, freq="D")
    X = pd.DataFrame({"promo": np.arange(60.0) % 7}, index)
    y = pd.Series(np.arange(60.0) % 7, index)
    fitted = LSSLForecaster(horizon=3, season=7, context=14, max_epochs=0).fit(X.iloc[:50], y.iloc[:50])
    gap = X.iloc[50:53].copy()
    gap.iloc[1] = np.nan
    with pytest.warns(UserWarning, match="X: 1 values of the rows asked for are NaN"):
        fitted.predict(gap)


@pytest.mark.parametrize(
    ("column", "mend"),
    [
        (pd.date_range("2024-01-01", periods=8), r"make it the index: y\.set_index\('day'\)"),
        (list("abcdefgh"), "pd.to_numeric"),
    ],
)
def test_columns_that_are_no_numbers_are_refused_with_the_mend(column, mend):
    frame = pd.DataFrame({"day": column, "y": np.arange(8.0)})
    with pytest.raises(TypeError, match=mend):
        LSSLForecaster(horizon=1).fit(frame)
