import numpy as np
import pandas as pd
import pytest

from tsrec.metrics import mase, naive_scale, owa, rmsse, smape

nan = float("nan")


def panel(**series):
    """A Series with MultiIndex (series, time) from lists; time counts from `start`."""
    parts = {name: pd.Series(values, dtype=float) for name, values in series.items()}
    return pd.concat(parts, names=["series", "time"])


@pytest.fixture
def train():
    return panel(a=[1, 2, 4, 5], b=[10, 30, 10, 50])


@pytest.fixture
def test():
    return panel(a=[6, 7], b=[20, 20])


def test_scale_is_the_mean_seasonal_difference():
    assert naive_scale([1.0, 2.0, 4.0, 8.0], season=1) == (1 + 2 + 4) / 3
    assert naive_scale([1.0, 2.0, 4.0, 8.0], season=2) == (3 + 6) / 2


def test_squared_scale_is_the_root_of_the_mean_square():
    assert naive_scale([1.0, 2.0, 4.0, 8.0], season=2, squared=True) == np.sqrt((9 + 36) / 2)


def test_scale_never_mixes_series(train):
    assert naive_scale(train, season=2).to_dict() == {"a": 3.0, "b": 10.0}


def test_scale_skips_pairs_with_a_missing_value():
    assert naive_scale([1.0, nan, 4.0, 5.0, 9.0]) == (1 + 4) / 2


def test_scale_takes_rows_in_the_order_of_time(train):
    shuffled = train.iloc[[7, 2, 0, 5, 6, 1, 3, 4]]
    assert naive_scale(shuffled, season=2)[["a", "b"]].to_dict() == {"a": 3.0, "b": 10.0}
    one = train.loc["a"]
    assert naive_scale(one.iloc[::-1]) == naive_scale(one)


def test_scale_takes_levels_in_the_order_of_time():
    index = pd.MultiIndex(levels=[["a"], [3, 1, 2]], codes=[[0, 0, 0], [0, 1, 2]], names=["series", "time"])
    assert naive_scale(pd.Series([10.0, 1.0, 2.0], index)).to_dict() == {"a": (1 + 8) / 2}


def test_scale_of_a_short_series_is_nan():
    assert np.isnan(naive_scale([1.0, 2.0], season=2))


def test_scale_of_variables_is_named():
    frame = pd.DataFrame({"u": [1.0, 2.0], "v": [1.0, 5.0]})
    assert naive_scale(frame).to_dict() == {"u": 1.0, "v": 4.0}


def test_mase_of_a_hand_worked_panel(train, test):
    # Errors 2, 2 over 3 in a; 0, 10 over 10 in b.
    forecast = panel(a=[4, 9], b=[20, 30])
    assert mase(test, forecast, y_train=train, season=2) == pytest.approx((2 / 3 + 2 / 3 + 0 + 1) / 4)
    each = mase(test, forecast, y_train=train, season=2, average=None)
    assert each.to_dict() == pytest.approx({"a": 2 / 3, "b": 0.5})


def test_rmsse_of_a_hand_worked_case():
    # Seasonal differences 1, 7: mean square 25. Errors 5, 10.
    assert rmsse([0.0, 0.0], [5.0, 10.0], y_train=[0.0, 1.0, 8.0]) == pytest.approx(np.sqrt((1 + 4) / 2))


def test_owa_of_a_hand_worked_panel(train, test):
    forecast, naive2 = panel(a=[4, 9], b=[20, 30]), panel(a=[5, 5], b=[50, 50])
    settings = {"y_train": train, "season": 2}
    expected = (
        smape(test, forecast) / smape(test, naive2) + mase(test, forecast, **settings) / mase(test, naive2, **settings)
    ) / 2
    assert owa(test, forecast, naive2, **settings) == pytest.approx(expected)
    assert owa(test, naive2, naive2, **settings) == 1.0


def test_owa_averages_over_series_of_unequal_length():
    y, f, n = panel(a=[1, 1], b=[1]), panel(a=[2, 3], b=[5]), panel(a=[3, 3], b=[3])
    percent = np.mean([np.mean([200 / 3, 100]), 400 / 3]) / 100
    scaled = np.mean([1.5, 4]) / 2
    assert owa(y, f, n, scale=1.0) == pytest.approx((percent + scaled) / 2)


def test_scale_may_be_computed_beforehand(train, test):
    forecast = test + 1
    expected = mase(test, forecast, y_train=train, season=2)
    assert mase(test, forecast, scale=naive_scale(train, season=2)) == expected
    assert mase(test, forecast, scale=naive_scale(train, season=2).to_frame("y")) == expected
    assert mase(test, forecast, scale=naive_scale(train, season=2).iloc[::-1]) == expected


def test_a_frame_of_one_row_scales_a_single_series():
    y = pd.DataFrame({"u": [1.0, 2.0], "v": [3.0, 4.0]})
    scale = pd.DataFrame({"v": [4.0], "u": [2.0]})
    assert mase(y, y + 8, scale=scale, average=None).to_dict() == {"u": 4.0, "v": 2.0}
    assert mase(y, y + 8, scale=pd.Series({"v": 4.0, "u": 2.0}), average=None).to_dict() == {"u": 4.0, "v": 2.0}
    assert mase(y["u"], y["u"] + 8, scale=scale[["u"]]) == 4.0
    np.testing.assert_array_equal(mase(y.to_numpy(), y.to_numpy() + 8, scale=[2.0, 4.0], average=None), [4.0, 2.0])


def test_a_series_whose_scale_is_nan_is_left_out(test):
    scale = pd.Series({"a": 2.0, "b": nan})
    assert mase(test, test + 1, scale=scale) == 0.5
    assert mase(test, test + 1, scale=scale, average=None).isna().to_dict() == {"a": False, "b": True}


class TestRefusals:
    def test_neither_or_both_scales(self):
        with pytest.raises(TypeError, match="y_train, scale: got neither"):
            mase([1.0], [2.0])
        with pytest.raises(TypeError, match="y_train, scale: got both"):
            mase([1.0], [2.0], y_train=[1.0, 2.0], scale=1.0)

    def test_constant_series(self, test):
        train = panel(a=[1, 2, 3], b=[7, 7, 7])
        with pytest.raises(ValueError, match=r"y_train: 1 scales are 0, the first of series 'b'"):
            mase(test, test, y_train=train)

    def test_short_series(self, train, test):
        with pytest.raises(ValueError, match=r"2 scales cannot be computed, the first of series 'a'.*4 steps apart"):
            mase(test, test, y_train=train, season=4)

    def test_series_without_history(self, train, test):
        with pytest.raises(ValueError, match=r"y_train: has nothing for 1 series of y_true, the first is 'b'"):
            mase(test, test, y_train=train.loc[["a"]])

    def test_a_scale_for_other_series(self, test):
        with pytest.raises(ValueError, match=r"scale: has nothing for 2 series of y_true, the first is 'a'"):
            mase(test, test, scale=pd.Series({"x": 1.0}))

    def test_a_panel_beside_a_single_series(self, train, test):
        with pytest.raises(ValueError, match=r"y_true has a MultiIndex .* y_train has not"):
            mase(test, test, y_train=train.loc["a"])

    def test_a_scale_of_another_shape(self, test):
        with pytest.raises(ValueError, match=r"scale: found shape \(3,\), but y_true has 2 series and 1 columns"):
            mase(test, test, scale=np.ones(3))

    def test_a_season_below_one(self):
        with pytest.raises(ValueError, match="season: got 0"):
            naive_scale([1.0, 2.0], season=0)

    def test_a_perfect_reference(self):
        with pytest.raises(ValueError, match="y_naive2: it has no error at all"):
            owa([1.0], [2.0], [1.0], scale=1.0)
