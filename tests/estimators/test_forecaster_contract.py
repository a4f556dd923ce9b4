"""The user contract of every forecaster: what goes in, what comes out, under which index, and what must not matter."""

import pickle
from contextlib import nullcontext

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import tsrec

RNG = np.random.default_rng(0)


def series(n=80, index=None, name="sales"):
    steps = np.arange(n)
    values = 10 + 0.05 * steps + np.tile([0.0, 3.0, -2.0], n)[:n] + RNG.normal(0, 0.1, n)
    return pd.Series(
        values, pd.date_range("2024-01-01", periods=n, freq="D", name="day") if index is None else index, name=name
    )


def frame(n=80, index=None):
    return pd.DataFrame({"a": series(n, index), "b": 5 * series(n, index)})


def panel(lengths=(60, 45, 80)):
    parts = {f"shop{i}": series(n) * (i + 1) for i, n in enumerate(lengths)}
    return pd.concat(parts, names=["shop"])


def covariates(index):
    return pd.DataFrame({"promo": RNG.normal(size=len(index)), "price": RNG.normal(size=len(index))}, index=index)


INDEXES = {
    "naive days": pd.date_range("2024-01-01", periods=90, freq="D"),
    "hours in a zone": pd.date_range("2024-03-29", periods=90, freq="h", tz="Europe/Berlin"),
    "days in a zone": pd.date_range("2024-01-20", periods=90, freq="D", tz="America/New_York"),
    "months": pd.date_range("2015-01-31", periods=90, freq="ME"),
    "business days": pd.date_range("2024-01-01", periods=90, freq="B"),
    "periods": pd.period_range("2015-01", periods=90, freq="M"),
    "durations": pd.timedelta_range("0s", periods=90, freq="100ms"),
    "whole numbers": pd.RangeIndex(100, 190),
    "every third number": pd.Index(np.arange(0, 270, 3) + 4),
}


@pytest.mark.parametrize("index", INDEXES.values(), ids=INDEXES.keys())
def test_answer_continues_the_index_of_y(forecaster, index):
    y = series(80, index[:80])
    answer = forecaster.fit(y).predict(10)
    assert isinstance(answer, pd.Series)
    assert answer.name == "sales"
    assert answer.index.equals(index[80:])
    assert type(answer.index) in (type(index), pd.RangeIndex)
    assert getattr(answer.index, "freq", None) == getattr(index, "freq", None)
    assert np.isfinite(answer).all()


def test_container_of_the_answer_is_that_of_y(forecaster):
    assert isinstance(clone(forecaster).fit(series()).predict(), pd.Series)
    answer = clone(forecaster).fit(frame()).predict(7)
    assert answer.columns.tolist() == ["a", "b"]
    assert answer.shape == (7, 2)
    assert clone(forecaster).fit(frame().to_numpy()).predict(7).shape == (7, 2)
    assert clone(forecaster).fit(series().to_numpy()).predict(7).shape == (7,)
    X = frame()[[]]
    assert clone(forecaster).fit(X, series().to_numpy()).predict(X.iloc[-3:]).shape == (3,)
    assert clone(forecaster).fit(X, frame()).predict(X.iloc[-3:]).shape == (3, 2)


def test_panel_answer_has_the_levels_of_y(forecaster):
    y = panel()
    answer = forecaster.fit(y).predict(4)
    assert answer.index.names == ["shop", "day"]
    assert answer.loc["shop1"].index.equals(pd.date_range("2024-02-15", periods=4, freq="D"))
    assert len(answer) == 12


def test_without_argument_the_horizon_is_forecast(forecaster):
    assert len(forecaster.fit(series()).predict()) == 5


def test_what_to_forecast_may_be_steps_an_index_or_a_frame(forecaster):
    y = series()
    forecaster.fit(y)
    ahead = pd.date_range("2024-03-21", periods=8, freq="D")
    by_steps = forecaster.predict(8)
    pd.testing.assert_series_equal(forecaster.predict(ahead), by_steps, check_names=False)
    pd.testing.assert_series_equal(forecaster.predict(pd.DataFrame(index=ahead)), by_steps, check_names=False)
    pd.testing.assert_series_equal(forecaster.predict(np.int64(8)), by_steps)


def test_rows_without_time_are_the_next_steps(forecaster):
    X, y = RNG.normal(size=(70, 2)), series(70).to_numpy()
    forecaster.fit(X[:60], y[:60])
    assert forecaster.predict(X[60:]).shape == (10,)
    table = pd.DataFrame(X[:60], columns=["u", "v"])
    answer = clone(forecaster).fit(table, pd.Series(y[:60])).predict(pd.DataFrame(X[60:], columns=["u", "v"]))
    assert answer.index.equals(pd.RangeIndex(60, 70))


def test_sliced_default_index_carries_time(forecaster):
    y = pd.Series(series().to_numpy())
    X = y.to_frame()[[]]
    forecaster.fit(X.iloc[:60], y.iloc[:60])
    answer = forecaster.predict(X.iloc[62:65])
    assert answer.index.tolist() == [62, 63, 64]
    np.testing.assert_allclose(answer, forecaster.predict(5)[2:])


def test_order_and_company_of_the_asked_rows_do_not_matter(forecaster):
    y = panel()
    forecaster.fit(y)
    whole = forecaster.predict(12)
    shuffled = whole.index[RNG.permutation(len(whole))]
    pd.testing.assert_series_equal(forecaster.predict(shuffled), whole.loc[shuffled], rtol=1e-7)
    few = whole.index[[0, 15, 30]]
    pd.testing.assert_series_equal(forecaster.predict(few), whole.loc[few], rtol=1e-7)


def test_rows_inside_the_history_are_forecast_from_earlier_rows_only(forecaster):
    y = series()
    forecaster.fit(y)
    inside = forecaster.predict(y.index)
    assert np.isfinite(inside).all()
    changed = y.copy()
    changed.iloc[70:] += 1000.0
    other = forecaster.predict(y.index, history=changed)
    # Blocks of 5 counted back from row 80: rows 70 to 74 are forecast from rows before 70.
    np.testing.assert_allclose(other.iloc[:75], inside.iloc[:75], rtol=1e-6)
    assert abs(other.iloc[75] - inside.iloc[75]) > 1


def test_block_inside_the_history_equals_the_forecast_made_then(forecaster):
    y = series()
    forecaster.fit(y)
    then = forecaster.predict(5, history=y.iloc[:70])
    np.testing.assert_allclose(forecaster.predict(y.index[70:75]), then, rtol=1e-5)


def test_target_alone_is_never_read_where_it_is_forecast(forecaster):
    table = frame(90)
    forecaster.fit(table.iloc[:80])
    honest = forecaster.predict(table.iloc[80:])
    spoiled = table.iloc[80:] * np.nan
    pd.testing.assert_frame_equal(forecaster.predict(spoiled), honest)
    assert forecaster.score(table.iloc[80:]) == pytest.approx(
        clone(forecaster).fit(table.iloc[:80, :0], table.iloc[:80]).score(table.iloc[80:, :0], table.iloc[80:])
    )


def test_same_seed_same_bits_and_global_random_state_untouched(forecaster):
    import torch

    y = frame()
    np.random.seed(3)  # noqa: NPY002 - the global state is what must stay
    torch.manual_seed(3)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    first = clone(forecaster).fit(y).predict(9)
    second = clone(forecaster).fit(y).predict(9)
    pd.testing.assert_frame_equal(first, second, rtol=0, atol=0)
    assert (np.random.get_state()[1] == before[0]).all()  # noqa: NPY002
    assert torch.get_rng_state().equal(before[1])


def test_input_is_left_as_it_was(forecaster):
    y, X = panel(), covariates(panel().index)
    y_before, X_before = y.copy(deep=True), X.copy(deep=True)
    forecaster.fit(X, y)
    forecaster.predict(X)
    pd.testing.assert_series_equal(y, y_before)
    pd.testing.assert_frame_equal(X, X_before)


def test_update_equals_the_longer_history(forecaster):
    y = panel((60, 60))
    first = y[y.index.get_level_values("day") < "2024-02-20"]
    rest = y.drop(first.index)
    forecaster.fit(first)
    with_history = forecaster.predict(6, history=y)
    pd.testing.assert_series_equal(forecaster.update(rest).predict(6), with_history)
    with pytest.raises(ValueError, match="in the history already"):
        forecaster.update(rest)


def test_update_refuses_a_hole(forecaster):
    y = series()
    forecaster.fit(y.iloc[:60])
    with pytest.raises(ValueError, match="2 rows are missing or repeated"):
        forecaster.update(y.iloc[62:70])


def test_other_history_may_hold_new_series(forecaster):
    forecaster.fit(panel())
    other = pd.concat({"new": series(30), "newer": series(90)}, names=["shop"])
    answer = forecaster.predict(3, history=other)
    assert answer.index.get_level_values("shop").unique().tolist() == ["new", "newer"]
    with pytest.raises(ValueError, match=r"not in the history, the first is 'new'.*history="):
        forecaster.predict(answer.index)
    with pytest.raises(ValueError, match="history: has 49 steps that do not fit the frequency 'D'"):
        forecaster.predict(3, history=series(50, pd.date_range("2024", periods=50, freq="h")))


def test_gap_in_future_covariates_counts_as_missing_with_one_warning(forecaster):
    y = series(80)
    X = covariates(series(95).index)
    forecaster.fit(X.iloc[:80], y)
    with pytest.warns(UserWarning, match="covariates of 3 steps .* unknown") as caught:
        answer = forecaster.predict(X.iloc[83:90])
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert np.isfinite(answer).all()


def test_covariates_are_demanded_where_fit_saw_them(forecaster):
    y = series()
    forecaster.fit(covariates(y.index), y)
    for X in (None, 5, pd.date_range("2024-03-21", periods=3, freq="D")):
        with pytest.raises(ValueError, match="fitted with 2 covariate columns"):
            forecaster.predict(X)


def test_quantiles_are_monotone_and_named(forecaster):
    forecaster.fit(frame())
    table = forecaster.predict_quantiles(12, [0.9, 0.01, 0.5, 0.77])
    assert table.columns.tolist() == [(v, q) for v in ("a", "b") for q in (0.01, 0.5, 0.77, 0.9)]
    assert (table["a"].diff(axis=1).iloc[:, 1:] >= 0).all(axis=None)
    bounds = forecaster.predict_interval(12, coverage=[0.5, 0.9])
    assert bounds.columns.tolist()[:4] == [
        ("a", 0.5, "lower"),
        ("a", 0.5, "upper"),
        ("a", 0.9, "lower"),
        ("a", 0.9, "upper"),
    ]
    assert (bounds["a", 0.9, "lower"] <= bounds["a", 0.5, "lower"]).all()
    assert (bounds["a", 0.9, "upper"] >= bounds["a", 0.5, "upper"]).all()
    with pytest.raises(ValueError, match=r"levels: found \[0.0\]"):
        forecaster.predict_quantiles(3, [0.0])


def test_quantiles_hold_about_their_share(forecaster):
    rng = np.random.default_rng(1)
    y = pd.Series(np.tile([0.0, 3.0, -2.0], 400) + rng.normal(0, 1, 1200), pd.RangeIndex(1, 1201))
    forecaster.fit(y.iloc[:900])
    cutoffs = np.stack([np.zeros(290, dtype=int), np.arange(900, 1190)], axis=1)
    answers = forecaster.predict_cutoffs(y, cutoffs)
    truth = y.to_numpy()[cutoffs[:, 1:] + np.arange(5)]
    low, high = (answers[..., 0, 1 + list(forecaster.levels_).index(level)] for level in (0.1, 0.9))
    assert 0.7 < np.mean((truth >= low) & (truth <= high)) < 0.9


def test_spread_grows_beyond_the_horizon(forecaster):
    bounds = forecaster.fit(series()).predict_interval(15, 0.8)["sales", 0.8]
    width = (bounds["upper"] - bounds["lower"]).to_numpy()
    assert width[10:].mean() > width[:5].mean()


def test_sample_paths_have_the_forecast_spread(forecaster):
    forecaster.fit(series())
    paths = forecaster.sample(8, n=400, random_state=0)
    assert paths.shape == (8, 400)
    pd.testing.assert_frame_equal(paths, forecaster.sample(8, n=400, random_state=0))
    middle = forecaster.predict_quantiles(8, [0.5])["sales", 0.5]
    width = forecaster.predict_interval(8, 0.5)["sales", 0.5].diff(axis=1)["upper"].clip(lower=0.01)
    assert ((paths.median(axis=1) - middle).abs() < width).all()


def test_score_skips_what_was_not_observed(forecaster):
    y = series(90)
    forecaster.fit(y.iloc[:80])
    truth = y.iloc[80:].copy()
    truth.iloc[2] = np.nan
    assert np.isfinite(forecaster.score(truth))


@pytest.mark.parametrize("spoil", ["nan head", "nan middle", "nan tail", "constant", "one column all nan", "zeros"])
def test_missing_and_constant_values_give_finite_forecasts(forecaster, spoil):
    y = frame()
    if spoil == "constant":
        y["a"] = 4.0
    elif spoil == "zeros":
        y[:] = 0.0
    elif spoil == "one column all nan":
        y["a"] = np.nan
    else:
        y.iloc[{"nan head": slice(0, 20), "nan middle": slice(30, 50), "nan tail": slice(65, 80)}[spoil]] = np.nan
    forecaster.fit(y)
    assert np.isfinite(forecaster.predict(12)).all(axis=None)
    assert np.isfinite(forecaster.predict(y.index)).all(axis=None)
    assert np.isfinite(forecaster.predict_quantiles(12)).all(axis=None)
    if spoil == "constant":
        np.testing.assert_allclose(forecaster.predict(12)["a"], 4.0, rtol=1e-4)


def test_short_series_are_forecast(forecaster):
    for n in (2, 3, 6, 13):
        assert np.isfinite(clone(forecaster).fit(series(n)).predict(7)).all()


def test_nothing_observed_is_refused(forecaster):
    with pytest.raises(ValueError, match="no observed value"):
        forecaster.fit(series() * np.nan)


def test_holes_name_time_series_split(forecaster):
    y = series()
    with pytest.raises(ValueError, match=r"10 missing timestamps.*asfreq\('D'\).*TimeSeriesSplit"):
        forecaster.fit(y.drop(y.index[20:30]))


def test_a_bare_array_beside_an_indexed_y_is_refused_with_the_mend(forecaster):
    y = series()
    with pytest.raises(ValueError, match=r"set_output\(transform='pandas'\)"):
        forecaster.fit(RNG.normal(size=(80, 2)), y)
    with pytest.raises(ValueError, match="differs from that of y, first in row 0"):
        forecaster.fit(covariates(y.index.shift(1)), y)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"horizon": 0}, "horizon: found 0"),
        ({"season": -1}, "season: found -1"),
        ({"quantiles": (0.5, 1.5)}, "quantiles: found"),
    ],
)
def test_wrong_parameters_are_named_in_fit(forecaster, change, message):
    with pytest.raises(ValueError, match=message):
        forecaster.set_params(**change).fit(series())


def test_asking_outside_the_grid_is_refused(forecaster):
    forecaster.fit(series())
    with pytest.raises(ValueError, match=r"lie before the first row of y .*, the first is 2023-12-30"):
        forecaster.predict(pd.date_range("2023-12-30", periods=3, freq="D"))
    with pytest.raises(ValueError, match="lie between the steps of y"):
        forecaster.predict(pd.date_range("2024-04-01 06:00", periods=3, freq="D"))
    with pytest.raises(TypeError, match="its index is a PeriodIndex"):
        forecaster.predict(pd.period_range("2024-04-01", periods=3, freq="D"))
    with pytest.raises(ValueError, match="found 0 steps"):
        forecaster.predict(0)


def test_before_fit_everything_says_so(forecaster):
    for call in (forecaster.predict, forecaster.predict_interval, forecaster.sample, forecaster.naive_scale):
        with pytest.raises(NotFittedError):
            call()


@pytest.mark.parametrize(
    "y", [series(), frame(), panel(), series().to_numpy()], ids=["series", "frame", "panel", "array"]
)
def test_pickle_joblib_and_save_keep_every_bit(forecaster, y, tmp_path):
    forecaster.fit(y)
    expected = forecaster.predict_quantiles(7)
    joblib.dump(forecaster, tmp_path / "f.joblib")
    tsrec.save(forecaster, tmp_path / "f.tsrec")
    copies = [
        pickle.loads(pickle.dumps(forecaster)),
        joblib.load(tmp_path / "f.joblib"),
        tsrec.load(tmp_path / "f.tsrec"),
    ]
    for copy in copies:
        pd.testing.assert_frame_equal(copy.predict_quantiles(7), expected, rtol=0, atol=0)
        assert str(copy.get_params()) == str(forecaster.get_params())


def test_components_sum_to_the_forecast(forecaster):
    if not hasattr(forecaster, "predict_components"):
        pytest.skip("the model has no components")
    forecaster.fit(frame())
    parts = forecaster.predict_components(12)
    pd.testing.assert_frame_equal(
        parts.T.groupby(level="variable").sum().T, forecaster.predict(12), check_names=False, rtol=1e-5
    )


def test_naive_scale_is_that_of_mase(forecaster):
    y = panel()
    scale = forecaster.fit(y).naive_scale()
    assert scale.loc["shop0"].iloc[0] == pytest.approx(y.loc["shop0"].diff(3).abs().mean())


def test_static_rows_are_checked(forecaster):
    y = panel()
    static = pd.DataFrame({"size": [1.0, 2.0, 3.0]}, index=["shop2", "shop0", "shop1"])
    unused = pytest.warns(UserWarning, match="static: checked and kept")
    with nullcontext() if forecaster._uses("static") else unused:
        forecaster.fit(y, static=static)
    assert forecaster.panel_.static[:, 0].tolist() == [2.0, 3.0, 1.0]
    with pytest.raises(ValueError, match="static: 1 series have no row, the first is 'shop1'"):
        forecaster.fit(y, static=static.iloc[:2])
