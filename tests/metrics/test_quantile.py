import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.metrics import mean_pinball_loss

from tsrec.metrics import crps, interval_coverage, interval_width, mae, pinball, wql

nan = float("nan")
LEVELS = [0.1, 0.5, 0.9]


def quantile_frame(values, index, variables, levels):
    columns = pd.MultiIndex.from_product([variables, levels], names=["variable", "level"])
    return pd.DataFrame(np.reshape(values, (len(index), -1)), index=index, columns=columns)


@pytest.fixture
def two_variables():
    """Truth (4, 2), quantiles (4, 2, 3) and the frame of both."""
    rng = np.random.default_rng(0)
    index = pd.date_range("2024", periods=4, freq="D")
    truth = pd.DataFrame(rng.normal(size=(4, 2)), index=index, columns=["u", "v"])
    values = np.sort(rng.normal(size=(4, 2, 3)))
    return truth, values, quantile_frame(values, index, ["u", "v"], LEVELS)


def test_pinball_of_a_hand_worked_case():
    # 0.9 * 4 below the truth, 0.1 * 2 above it.
    assert pinball([10.0, 10.0], [6.0, 12.0], 0.9) == pytest.approx((3.6 + 0.2) / 2)


def test_pinball_equals_that_of_scikit_learn(two_variables):
    truth, values, _ = two_variables
    for i, level in enumerate(LEVELS):
        expected = mean_pinball_loss(truth, values[..., i], alpha=level)
        assert pinball(truth, values[..., i], level) == pytest.approx(expected)


def test_pinball_of_the_median_is_half_the_absolute_error(two_variables):
    truth, values, _ = two_variables
    assert pinball(truth, values[..., 1], 0.5) == pytest.approx(mae(truth, values[..., 1]) / 2)


def test_wql_of_a_hand_worked_case():
    # Level 0.1: 0.1 * 2 + 0.9 * 1; level 0.9: 0.1 * 1 + 0.9 * 2; the sizes add up to 30.
    found = wql([10.0, -20.0], [[8.0, 11.0], [-19.0, -22.0]], [0.1, 0.9])
    assert found == pytest.approx(2 * (0.2 + 0.9 + 0.1 + 1.8) / 2 / 30)


def test_wql_of_series_averages_their_own_quotients():
    index = pd.MultiIndex.from_tuples([("a", 0), ("b", 0)], names=["series", "time"])
    y, f = pd.Series([10.0, 1.0], index), pd.Series([5.0, 2.0], index)
    assert wql(y, f, 0.5, average="all") == pytest.approx(6 / 11)
    assert wql(y, f, 0.5, average="series") == pytest.approx((0.5 + 1) / 2)
    assert wql(y, f, 0.5, average=None).to_dict() == {"a": 0.5, "b": 1.0}


def test_wql_does_not_count_what_was_not_observed():
    assert wql([10.0, nan], [5.0, 99.0], 0.5) == 0.5


def test_wql_of_zeros_is_refused_with_the_name_of_the_series():
    index = pd.MultiIndex.from_tuples([("a", 0), ("b", 0)])
    y = pd.Series([10.0, 0.0], index)
    assert wql(y, y + 1, 0.5) == pytest.approx(0.2)
    with pytest.raises(ValueError, match="the observed values of series 'b' are all 0"):
        wql(y, y + 1, 0.5, average="series")


def test_crps_of_a_hand_worked_case():
    # Cells [0, 0.375], [0.375, 0.625], [0.625, 1] with the middles 0.1875, 0.5, 0.8125.
    expected = 2 * (0.375 * 0.1875 * 2 + 0.25 * 0.5 * 1 + 0.375 * 0.1875 * 1)
    assert crps([10.0], [[8.0, 9.0, 11.0]], [0.25, 0.5, 0.75]) == pytest.approx(expected)


@pytest.mark.parametrize("y", [-2.0, 0.3, 4.0])
def test_crps_tends_to_the_closed_form_of_the_normal_distribution(y):
    levels = (np.arange(2000) + 0.5) / 2000
    exact = y * (2 * norm.cdf(y) - 1) + 2 * norm.pdf(y) - 1 / np.sqrt(np.pi)
    assert crps([y], norm.ppf(levels)[None], levels) == pytest.approx(exact, rel=1e-3)


def test_crps_is_that_of_a_distribution_with_masses_at_the_quantiles():
    mass, atoms, y = np.array([0.15, 0.35, 0.5]), np.array([-1.0, 2.0, 3.0]), 0.5
    spread = np.abs(atoms[:, None] - atoms)
    # Levels whose cells have these widths: their middles are 0.15 and 0.5.
    exact = mass @ np.abs(atoms - y) - mass @ spread @ mass / 2
    assert crps([y], atoms[None], [0.1, 0.2, 0.8]) == pytest.approx(exact)


def test_crps_of_a_forecast_without_spread_is_the_absolute_error():
    assert crps([3.0], [[5.0, 5.0, 5.0]], [0.2, 0.3, 0.9]) == pytest.approx(2.0)


@pytest.mark.parametrize("metric", [pinball, wql, crps])
def test_frames_arrays_and_any_order_give_the_same(metric, two_variables):
    truth, values, frame = two_variables
    expected = metric(truth.to_numpy(), values, LEVELS)
    assert metric(truth, frame) == pytest.approx(expected)
    assert metric(truth.iloc[::-1], frame.iloc[:, [5, 2, 0, 3, 1, 4]]) == pytest.approx(expected)
    assert metric(truth.to_numpy(), values[..., ::-1], LEVELS[::-1]) == pytest.approx(expected)
    assert metric(truth[["v", "u"]], frame) == pytest.approx(expected)


def test_a_single_variable_may_have_plain_levels_as_columns(two_variables):
    truth, values, frame = two_variables
    expected = pinball(truth["u"], values[:, 0], LEVELS)
    assert pinball(truth["u"], frame["u"]) == expected
    assert pinball(truth["u"].rename(None), frame[["u"]]) == expected
    assert pinball(truth["u"], frame) == expected  # found by its name among others


class TestQuantileRefusals:
    def test_missing_levels(self):
        with pytest.raises(TypeError, match="levels: not given, and y_quantiles is no frame"):
            pinball([1.0], [[1.0]])
        with pytest.raises(TypeError, match=r"levels: not given, and the columns of y_quantiles, \['low'\]"):
            pinball(pd.Series([1.0]), pd.DataFrame({"low": [1.0]}))

    @pytest.mark.parametrize("levels", [[0.0, 0.5], [0.5, 1.0], [0.5, 0.5]])
    def test_levels_out_of_range_or_repeated(self, levels):
        with pytest.raises(ValueError, match="levels: found"):
            pinball([1.0], [[1.0, 2.0]], levels)

    def test_more_quantiles_than_levels(self):
        with pytest.raises(
            ValueError, match=r"y_quantiles: found shape \(1, 3\), but there are 1 variables and 2 levels"
        ):
            pinball([1.0], [[1.0, 2.0, 3.0]], [0.1, 0.9])

    def test_missing_quantiles(self):
        with pytest.raises(ValueError, match="y_quantiles: 1 forecast values are NaN, the first in row 0"):
            pinball([1.0], [[1.0, nan]], [0.1, 0.9])

    def test_variables_that_do_not_match(self, two_variables):
        truth, _, frame = two_variables
        with pytest.raises(ValueError, match=r"y_quantiles: found the variables \['u'\]"):
            pinball(truth, frame[["u"]])

    def test_variables_with_different_levels(self, two_variables):
        truth, _, frame = two_variables
        with pytest.raises(ValueError, match="its variables have different levels"):
            pinball(truth, frame.iloc[:, [0, 1, 3, 5]])

    def test_rows_that_do_not_match(self, two_variables):
        truth, _, frame = two_variables
        with pytest.raises(ValueError, match="y_quantiles: has no row for 1 labels of y_true, the first is 2024-01-04"):
            pinball(truth, frame.iloc[:3])


@pytest.fixture
def intervals(two_variables):
    truth, _, _ = two_variables
    columns = pd.MultiIndex.from_product([["u", "v"], [0.5, 0.9], ["lower", "upper"]])
    half = np.array([-0.5, 0.5, -1.0, 1.0] * 2) * [1, 1, 1, 1, 3, 3, 3, 3]
    frame = pd.DataFrame(np.repeat(truth.to_numpy(), 4, axis=1) + half, index=truth.index, columns=columns)
    return frame


def test_coverage_of_a_hand_worked_case():
    assert interval_coverage([1, 2, 3, 4, nan], ([2] * 5, [3] * 5)) == 0.5


def test_bounds_belong_to_the_interval():
    assert interval_coverage([2.0, 3.0], ([2.0, 3.0], [2.0, 3.0])) == 1.0


def test_width_of_a_hand_worked_case():
    assert interval_width([1, 2, nan], ([0, 0, 0], [3, 5, 99])) == 4.0


def test_intervals_of_a_frame_are_chosen_by_coverage(two_variables, intervals):
    truth, _, _ = two_variables
    assert interval_coverage(truth, intervals, coverage=0.9) == 1.0
    found = interval_width(truth[["v", "u"]], intervals.iloc[::-1], coverage=0.5, average=None)
    assert found.to_dict() == pytest.approx({"v": 3.0, "u": 1.0})
    assert interval_coverage(truth["u"] + 0.75, intervals[["u"]], coverage=0.5) == 0.0


def test_the_only_interval_of_a_frame_needs_no_coverage(two_variables, intervals):
    truth, _, _ = two_variables
    only = intervals.loc[:, (slice(None), 0.9)]
    assert interval_width(truth, only) == pytest.approx(4.0)


class TestIntervalRefusals:
    def test_an_open_choice(self, two_variables, intervals):
        with pytest.raises(ValueError, match=r"coverage: not given, and y_interval has \[0.5, 0.9\]"):
            interval_coverage(two_variables[0], intervals)

    def test_an_unknown_coverage(self, two_variables, intervals):
        with pytest.raises(ValueError, match=r"coverage: got 0.8, but y_interval has \[0.5, 0.9\]"):
            interval_coverage(two_variables[0], intervals, coverage=0.8)

    def test_other_columns(self, two_variables):
        with pytest.raises(ValueError, match="y_interval: its columns have 2 levels"):
            interval_coverage(two_variables[0], two_variables[2])

    def test_other_containers(self):
        with pytest.raises(TypeError, match="y_interval: got ndarray"):
            interval_coverage([1.0], np.ones((1, 2)))
