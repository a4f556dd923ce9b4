"""Splits over time stamps: panels cut at one instant, equal to scikit-learn's on a single series."""

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, cross_val_score

from tsrec import LSSLForecaster, SeasonalMeanForecaster, SeasonalNaiveForecaster, ThetaForecaster
from tsrec.metrics import mae_scorer, mase_scorer, smape_scorer
from tsrec.model_selection import TimeSplit, backtest

RNG = np.random.default_rng(0)
DAYS = pd.date_range("2024-01-01", periods=40, freq="D")


def panel_of(lengths, *, last=DAYS):
    """Series that end together, with the names of their lengths."""
    parts = {f"s{n}": pd.DataFrame({"v": RNG.normal(size=n) + np.arange(n) % 7}, last[-n:]) for n in lengths}
    return pd.concat(parts, names=["id", "day"])


PANEL = panel_of([40, 35, 30])


def days_of(frame, rows):
    return frame.index.get_level_values(-1)[rows].unique().sort_values()


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [({}, {}), ({"horizon": 3, "gap": 2, "window": 10}, {"test_size": 3, "gap": 2, "max_train_size": 10})],
)
@pytest.mark.parametrize("rows", [np.zeros((50, 2)), pd.DataFrame({"a": range(50)}), list(range(50))])
def test_plain_rows_are_split_as_scikit_learn_splits_them(ours, theirs, rows):
    pairs = zip(TimeSplit(4, **ours).split(rows), TimeSeriesSplit(4, **theirs).split(rows), strict=True)
    for mine, other in pairs:
        np.testing.assert_array_equal(mine[0], other[0])
        np.testing.assert_array_equal(mine[1], other[1])


def test_all_series_of_a_panel_are_cut_at_one_time():
    splits = list(TimeSplit(3, horizon=4, step=5, gap=2).split(PANEL))
    assert TimeSplit(3).get_n_splits() == len(splits)
    for (train, test), first in zip(splits, (26, 31, 36), strict=True):
        assert days_of(PANEL, test).equals(DAYS[first : first + 4])
        assert days_of(PANEL, train)[-1] == DAYS[first - 3]
        assert {name for name, _ in PANEL.index[test]} == {"s40", "s35", "s30"}


def test_a_window_slides():
    for train, _ in TimeSplit(3, horizon=4, window=6).split(PANEL):
        assert len(days_of(PANEL, train)) == 6


@pytest.mark.parametrize("seed", [0, 1])
def test_the_order_of_rows_does_not_matter(seed):
    shuffled = PANEL.sample(frac=1, random_state=seed)
    for one, other in zip(TimeSplit(3, horizon=4).split(PANEL), TimeSplit(3, horizon=4).split(shuffled), strict=True):
        for mine, theirs in zip(one, other, strict=True):
            assert set(PANEL.index[mine]) == set(shuffled.index[theirs])
            assert (np.diff(theirs) > 0).all()


def test_stamps_of_the_grid_count_also_where_no_series_has_a_row():
    rows = pd.concat([PANEL.loc[["s40"]].iloc[:10], PANEL.loc[["s30"]].iloc[-15:]])
    ((train, test),) = TimeSplit(1, horizon=10, window=12).split(rows)
    assert days_of(rows, train).equals(DAYS[25:30])
    assert days_of(rows, test).equals(DAYS[30:])


def test_parts_without_rows_are_refused():
    rows = pd.concat([PANEL.loc[["s40"]].iloc[:10], PANEL.loc[["s30"]].iloc[-15:]])
    with pytest.raises(ValueError, match="the test part of split 0 has no row of a series that it has rows of before"):
        list(TimeSplit(2, horizon=5, step=20).split(rows))
    with pytest.raises(ValueError, match=r"the train part of split 0 has no row\. Give"):
        list(TimeSplit(1, horizon=20, window=5).split(rows))


def test_series_without_rows_before_are_left_out_with_one_warning():
    rows = pd.concat([PANEL, PANEL.loc[["s40"]].iloc[-6:].rename({"s40": "new"})])
    with pytest.warns(UserWarning, match="X: 2 rows of 1 series are left out of the test parts") as caught:
        splits = list(TimeSplit(3, horizon=4).split(rows))
    assert len(caught) == 1
    assert ["new" in rows.index[test].get_level_values(0) for _, test in splits] == [False, False, True]
    SeasonalMeanForecaster(horizon=4, season=7).fit(rows.iloc[splits[-1][0]]).predict(rows.iloc[splits[-1][1]])


@pytest.mark.parametrize("index", [DAYS.tz_localize("Europe/Berlin"), DAYS.to_period(), pd.RangeIndex(5, 85, 2)])
def test_other_indexes(index):
    panel = pd.DataFrame({"v": range(80)}, pd.MultiIndex.from_product([["a", "b"], index]))
    (train, test), *_ = TimeSplit(2, horizon=3).split(panel)
    assert days_of(panel, test).equals(index[34:37])
    assert days_of(panel, train).equals(index[:34])


def test_y_tells_the_time_where_x_does_not():
    y = PANEL["v"].sort_index(level=1)
    for mine, other in zip(TimeSplit(2).split(np.zeros((len(y), 1)), y), TimeSplit(2).split(y), strict=True):
        np.testing.assert_array_equal(mine[1], other[1])


@pytest.mark.parametrize(
    ("splitter", "message"),
    [
        (TimeSplit(3, horizon=10, gap=10), r"40 time stamps, but 3 splits .* need 41\. Lower n_splits"),
        (TimeSplit(0), "n_splits: found 0"),
        (TimeSplit(horizon=2.5), "horizon: found 2.5. Give a whole number of at least 1"),
        (TimeSplit(gap=-1), "gap: found -1. Give a whole number of at least 0"),
        (TimeSplit(window=0), "window: found 0"),
    ],
)
def test_what_cannot_be_split_is_refused(splitter, message):
    with pytest.raises(ValueError, match=message):
        next(splitter.split(PANEL))


def test_one_time_stamp_is_too_few():
    with pytest.raises(ValueError, match="it has 1 time stamps"):
        next(TimeSplit(2).split(PANEL.loc[["s40"]].iloc[:1]))


def test_it_prints_as_splitters_do():
    assert repr(TimeSplit(3, gap=1)) == "TimeSplit(gap=1, horizon=None, n_splits=3, step=None, window=None)"


THETA = (ThetaForecaster(horizon=4), {"season": [1, 7]})
LSSL = (
    LSSLForecaster(horizon=4, season=7, context=14, patch=2, d_model=4, d_state=4, max_epochs=0, random_state=0),
    {"context": [7, 14]},
)


@pytest.mark.parametrize(("forecaster", "grid"), [THETA, LSSL], ids=["theta", "lssl"])
@pytest.mark.parametrize("scoring", [mae_scorer, mase_scorer])
def test_a_grid_search_over_a_panel_equals_a_loop(forecaster, grid, scoring):
    cv = TimeSplit(3, horizon=4, step=3)
    search = GridSearchCV(forecaster, grid, cv=cv, scoring=scoring, refit=False).fit(PANEL)
    (name, values), times = *grid.items(), PANEL.index.get_level_values("day")
    for place, value in enumerate(values):
        scores = []
        for first in (30, 33, 36):
            train = PANEL[times < DAYS[first]]
            test = PANEL[(times >= DAYS[first]) & (times < DAYS[first] + pd.Timedelta(days=4))]
            scores.append(scoring(clone(forecaster).set_params(**{name: value}).fit(train), test))
        assert search.cv_results_["mean_test_score"][place] == np.mean(scores)


def test_searches_with_covariates_in_threads():
    X = pd.DataFrame({"promo": RNG.normal(size=len(PANEL))}, PANEL.index)
    y = PANEL["v"] + 3 * X["promo"]
    search = GridSearchCV(LSSL[0], LSSL[1], cv=TimeSplit(2, horizon=4), scoring=smape_scorer)
    alone = clone(search).fit(X, y).cv_results_["mean_test_score"]
    with joblib.parallel_config("threading", n_jobs=2):
        np.testing.assert_array_equal(clone(search).fit(X, y).cv_results_["mean_test_score"], alone)
    assert (cross_val_score(LSSL[0], X, y, cv=TimeSplit(2, horizon=4)) > 0.5).all()


def test_a_panel_without_rows_is_refused():
    empty = pd.Series(1.0, pd.MultiIndex.from_tuples([("a", 1)])).iloc[:0]
    for read in (lambda: list(TimeSplit(2).split(empty)), lambda: backtest(SeasonalNaiveForecaster(), empty)):
        with pytest.raises(ValueError, match="it has 0 rows"):
            read()
