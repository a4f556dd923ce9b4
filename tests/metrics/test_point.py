import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import mean_absolute_error, root_mean_squared_error

from tsrec.datasets import make_seasonal
from tsrec.metrics import mae, rmse, smape

nan = float("nan")


@pytest.fixture
def panel():
    """Series a: errors 1 and 3; series b: error 8, and one value not observed."""
    index = pd.MultiIndex.from_product([["a", "b"], [1, 2]], names=["series", "time"])
    return pd.Series([10.0, 10.0, 20.0, nan], index), pd.Series([11.0, 7.0, 12.0, 0.0], index)


def test_mae_of_a_hand_worked_case():
    assert mae([1, 2, 6], [2, 4, 0]) == 3.0


def test_rmse_of_a_hand_worked_case():
    assert rmse([1, 2, 6], [2, 4, 4]) == np.sqrt((1 + 4 + 4) / 3)


def test_smape_of_a_hand_worked_case():
    # 200 * 1 / 3, 200 * 2 / 6, 200 * 6 / 6
    assert smape([1, 2, 6], [2, 4, 0]) == pytest.approx((200 / 3 + 400 / 6 + 200) / 3)


def test_smape_of_two_zeros_is_zero_and_of_one_zero_is_200():
    assert smape([0.0], [0.0]) == 0
    assert smape([0.0], [3.0]) == 200
    assert smape([-3.0], [3.0]) == 200


def test_errors_of_several_outputs_equal_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    y, f = rng.normal(size=(2, 30, 3))
    assert mae(y, f) == pytest.approx(mean_absolute_error(y, f))
    assert rmse(y, f, average="series") == pytest.approx(root_mean_squared_error(y, f))
    np.testing.assert_allclose(rmse(y, f, average=None), root_mean_squared_error(y, f, multioutput="raw_values"))


def test_all_is_the_mean_over_values_and_series_the_mean_over_series(panel):
    assert mae(*panel, average="all") == 4.0  # (1 + 3 + 8) / 3
    assert mae(*panel, average="series") == 5.0  # (2 + 8) / 2
    assert rmse(*panel, average="all") == np.sqrt((1 + 9 + 64) / 3)
    assert rmse(*panel, average="series") == (np.sqrt(5) + 8) / 2


def test_no_average_gives_a_value_per_series(panel):
    pd.testing.assert_series_equal(
        mae(*panel, average=None), pd.Series([2.0, 8.0], pd.Index(["a", "b"], name="series"))
    )


def test_no_average_of_a_panel_of_variables_gives_series_by_variable(panel):
    y, f = (pd.DataFrame({"u": x, "v": 2 * x}) for x in panel)
    found = mae(y, f, average=None)
    expected = pd.DataFrame({"u": [2.0, 8.0], "v": [4.0, 16.0]}, index=pd.Index(["a", "b"], name="series"))
    pd.testing.assert_frame_equal(found, expected)


def test_no_average_of_a_frame_gives_a_value_per_variable():
    y = pd.DataFrame({"u": [1.0, 2.0], "v": [3.0, 4.0]})
    pd.testing.assert_series_equal(mae(y, y + np.array([1, 2]), average=None), pd.Series({"u": 1.0, "v": 2.0}))


def test_series_without_any_observation_is_left_out_of_the_average(panel):
    y, f = panel
    y.loc["b"] = nan
    assert mae(y, f, average="series") == 2.0
    assert mae(y, f, average=None).isna().tolist() == [False, True]


def test_rows_are_matched_by_label_whatever_their_order(panel):
    y, f = panel
    assert mae(y, f.iloc[[2, 0, 3, 1]], average="series") == 5.0


def test_columns_are_matched_by_name():
    y = pd.DataFrame({"u": [1.0, 2.0], "v": [30.0, 40.0]})
    assert mae(y, y[["v", "u"]]) == 0


def test_a_single_column_matches_whatever_its_name():
    y = pd.Series([1.0, 2.0], name="sales")
    assert mae(y, pd.DataFrame({"forecast": [1.0, 2.0]})) == 0


def test_an_array_is_matched_by_position():
    assert mae(pd.Series([1.0, 2.0], index=[5, 6]), np.array([1.0, 2.0])) == 0
    assert mae([1.0, 2.0], pd.Series([1.0, 2.0], index=[6, 5])) == 0


def test_interleaved_rows_belong_to_their_series(panel):
    y, f = (x.iloc[[0, 2, 1, 3]] for x in panel)
    assert mae(y, f, average=None).tolist() == [2.0, 8.0]


def test_ids_of_several_levels_are_one_series():
    index = pd.MultiIndex.from_tuples([("x", 1, 0), ("x", 1, 1), ("x", 2, 0)], names=["shop", "item", "time"])
    y = pd.Series([1.0, 1.0, 1.0], index)
    assert mae(y, y + np.array([1, 3, 4]), average=None).to_dict() == {("x", 1): 2.0, ("x", 2): 4.0}


def test_levels_that_no_row_uses_are_no_series(panel):
    y, f = panel
    assert mae(y.loc[["b"]], f.loc[["b"]], average=None).to_dict() == {"b": 8.0}


@pytest.mark.parametrize("dtype", ["int64", "float32", "Int64", "Float32", "double[pyarrow]"])
def test_any_numeric_dtype_is_read(dtype):
    if "pyarrow" in dtype:
        pytest.importorskip("pyarrow")
    y = pd.Series([1, 2, 3], dtype=dtype)
    assert mae(y, y + 1) == 1.0


def test_missing_values_of_nullable_columns_are_skipped():
    assert mae(pd.Series([1, pd.NA], dtype="Int64"), [3, 5]) == 2.0


def test_arguments_are_left_untouched(panel):
    before = [x.copy() for x in panel]
    smape(*panel)
    for x, b in zip(panel, before, strict=True):
        pd.testing.assert_series_equal(x, b)


def test_a_large_panel_takes_no_loop_over_series():
    panel = make_seasonal(20, n_series=3000, random_state=0)
    assert mae(panel, panel.iloc[::-1], average="series") == 0


class TestRefusals:
    def test_missing_forecasts(self):
        with pytest.raises(ValueError, match=r"y_pred: 2 forecast values are NaN, the first in row 1"):
            mae([nan, 1, 2], [0, nan, nan])

    def test_a_label_without_forecast(self, panel):
        y, f = panel
        with pytest.raises(ValueError, match=r"y_pred: has no row for 1 labels of y_true, the first is \(b, 1\)"):
            mae(y, f.drop(("b", 1)))

    def test_a_forecast_without_truth(self, panel):
        y, f = panel
        with pytest.raises(ValueError, match=r"y_pred: has 1 labels that y_true has not, the first is \(b, 1\)"):
            mae(y.drop(("b", 1)), f)

    def test_duplicate_labels(self):
        y = pd.Series([1.0, 2.0, 3.0], index=[0, 1, 1])
        with pytest.raises(ValueError, match="y_true: 1 index labels occur twice, the first is 1"):
            mae(y, pd.Series([1.0, 2.0], index=[0, 1]))

    def test_other_lengths(self):
        with pytest.raises(ValueError, match="y_pred: found 3 rows, but y_true has 2"):
            mae([1, 2], [1, 2, 3])

    def test_other_numbers_of_columns(self):
        with pytest.raises(ValueError, match="y_pred: found 1 columns, but y_true has 2"):
            mae(np.ones((3, 2)), np.ones(3))

    def test_other_columns(self):
        y = pd.DataFrame({"u": [1.0], "v": [2.0]})
        with pytest.raises(ValueError, match="y_pred: has no column 'v'"):
            mae(y, y.rename(columns={"v": "w"}))

    def test_nothing_observed(self):
        with pytest.raises(ValueError, match="none of its 2 values is observed"):
            mae([nan, nan], [1, 2])

    def test_no_values(self):
        with pytest.raises(ValueError, match="y_true: found no values"):
            mae([], [])

    def test_words(self):
        with pytest.raises(TypeError, match="y_pred: does not hold numbers"):
            mae([1.0], ["much"])

    def test_three_dimensions(self):
        with pytest.raises(ValueError, match="y_true: found an array with 3 dimensions"):
            mae(np.ones((2, 2, 2)), np.ones((2, 2, 2)))

    def test_unknown_averages(self):
        with pytest.raises(ValueError, match="average: got 'micro'"):
            mae([1], [1], average="micro")
