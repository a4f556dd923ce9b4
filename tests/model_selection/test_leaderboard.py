"""Leaderboards: each number equal to a plain loop, measured by rows before the cut-offs only."""

import numpy as np
import pandas as pd
import pytest

from tsrec import SeasonalNaiveForecaster, ThetaForecaster
from tsrec.model_selection import backtest, leaderboard

RNG = np.random.default_rng(0)
DAYS = pd.date_range("2024-01-01", periods=90, freq="D", name="day")
FRAME = pd.DataFrame({"a": np.arange(90) % 7 + RNG.normal(0, 1, 90), "b": 20 + RNG.normal(0, 1, 90)}, DAYS)
PANEL = pd.concat({"old": FRAME.iloc[:80], "new": FRAME.iloc[20:] * 2}, names=["shop", "day"])
MODELS = {
    "naive": SeasonalNaiveForecaster(horizon=4, season=7),
    "theta": ThetaForecaster(horizon=4, season=7, quantiles=(0.05, 0.1, 0.5, 0.9)),
}
LEVELS = [0.1, 0.5, 0.9]
TABLE = backtest(MODELS, PANEL, n_windows=3)


def loop(table, y, season=7):
    """One dictionary of values per series and variable, and the rows of all."""
    errors, values = [], []
    for name in y.index.unique(0):
        part, history = table.xs(name, level="shop"), y.loc[name]
        history = history.loc[: part.index.get_level_values("cutoff").min()]
        for variable in y.columns:
            gaps = (history[variable] - history[variable].shift(season)).dropna()
            truth, guess = part[variable]["y"], part[variable]["forecast"]
            error = truth - guess
            errors.append(
                {
                    "mase": error.abs().mean() / gaps.abs().mean(),
                    "rmsse": np.sqrt((error**2).mean() / (gaps**2).mean()),
                    "smape": (200 * error.abs() / (truth.abs() + guess.abs())).mean(),
                    "mae": error.abs().mean(),
                }
            )
            values.append(part[variable])
    return pd.DataFrame(errors).mean(), pd.concat(values)


@pytest.mark.parametrize("model", list(MODELS))
def test_every_number_equals_a_loop(model):
    board = leaderboard(TABLE, PANEL, season=7).loc[model]
    errors, values = loop(TABLE.loc[model], PANEL)
    for name, expected in errors.items():
        assert board[name] == pytest.approx(expected)
    loss = [np.maximum(q * (values["y"] - values[q]), (q - 1) * (values["y"] - values[q])).sum() for q in LEVELS]
    assert board["wql"] == pytest.approx(2 * np.mean(loss) / values["y"].abs().sum())
    assert board["coverage_80"] == pytest.approx(values["y"].between(values[0.1], values[0.9]).mean())
    assert [board["fit_seconds"], board["predict_seconds"]] == list(TABLE.attrs["seconds"][model].values())


def test_the_best_model_comes_first():
    board = leaderboard(TABLE, PANEL, season=7)
    assert board.index.name == "model"
    assert board["mase"].is_monotonic_increasing
    worst_last = pd.concat([TABLE.loc[["theta"]], TABLE.loc[["naive"]]])
    pd.testing.assert_frame_equal(
        leaderboard(worst_last, PANEL, season=7).drop(columns=board.columns[-2:]),
        board.drop(columns=board.columns[-2:]),
    )


def test_rows_after_the_first_cutoff_measure_nothing():
    spoiled = PANEL.copy()
    spoiled.loc[("old", slice("2024-03-09", None)), :] = 1e6
    pd.testing.assert_frame_equal(leaderboard(TABLE, spoiled), leaderboard(TABLE, PANEL))


def test_the_order_of_rows_of_y_does_not_matter():
    pd.testing.assert_frame_equal(leaderboard(TABLE, PANEL.sort_index(level=1)), leaderboard(TABLE, PANEL))


def test_a_single_forecaster_of_a_series_has_a_row_of_its_own():
    y = FRAME["a"]
    board = leaderboard(backtest(MODELS["naive"], y, n_windows=3), y, season=7)
    assert board.index.tolist() == ["SeasonalNaiveForecaster"]
    assert "coverage_95" in board
    table = backtest(MODELS["naive"], y.to_numpy(), n_windows=3)
    pd.testing.assert_frame_equal(leaderboard(table, y.to_numpy(), season=7).iloc[:, :6], board.iloc[:, :6])


def test_rows_of_one_model_are_not_called_after_another():
    board = leaderboard(TABLE.loc["theta"], PANEL, season=7)
    assert board.index.tolist() == ["forecast"]
    assert board["mase"].iloc[0] == leaderboard(TABLE, PANEL, season=7).loc["theta", "mase"]
    assert np.isnan(board["fit_seconds"].iloc[0])


def test_lists_are_measured_as_arrays():
    y = FRAME["a"].tolist()
    table = backtest(MODELS["naive"], y, n_windows=2)
    pd.testing.assert_frame_equal(leaderboard(table, y), leaderboard(table, np.array(y)))


def test_the_season_is_chosen_as_forecasters_choose_it():
    assert leaderboard(TABLE, PANEL).equals(leaderboard(TABLE, PANEL, season=7))
    numbers = FRAME["a"].reset_index(drop=True)
    table = backtest(MODELS["naive"], numbers, n_windows=3)
    assert leaderboard(table, numbers).equals(leaderboard(table, numbers, season=7))


def test_series_that_repeat_themselves_are_left_out_of_scaled_errors():
    flat = pd.concat([PANEL[["a"]], pd.concat({"flat": FRAME[["a"]] * 0 + 3}, names=["shop"])])
    table = backtest(MODELS, flat, n_windows=3)
    with pytest.warns(UserWarning, match="y: 1 of 3 series and variables repeat themselves exactly"):
        board = leaderboard(table, flat, season=7)
    rest = PANEL[["a"]]
    for column in ("mase", "rmsse"):
        np.testing.assert_allclose(
            board[column], leaderboard(backtest(MODELS, rest, n_windows=3), rest, season=7)[column]
        )
    assert (board["mae"] < leaderboard(backtest(MODELS, rest, n_windows=3), rest, season=7)["mae"]).all()
    with pytest.warns(UserWarning, match="1 of 1"):
        alone = leaderboard(table.xs("flat", level="shop"), flat.loc["flat"], season=7)
    assert alone["mase"].isna().all()
    assert (alone["mae"] < 1e-6).all()


def test_missing_values_do_not_count():
    holes = PANEL.copy()
    holes.iloc[[75, 140], 0] = np.nan
    table = backtest(MODELS, holes, n_windows=3)
    errors, _ = loop(table.loc["naive"], holes)
    assert leaderboard(table, holes, season=7).loc["naive", "mase"] == pytest.approx(errors["mase"])


@pytest.mark.parametrize(("by", "level"), [("series", "shop"), ("cutoff", "cutoff")])
def test_rows_by_series_and_by_cutoff(by, level):
    found = leaderboard(TABLE, PANEL, season=7, by=by)
    assert found.index.names == ["model", level]
    for (model, label), row in found.iterrows():
        part = TABLE.loc[model].xs(label, level=level)
        error = part.xs("y", axis=1, level=1) - part.xs("forecast", axis=1, level=1)
        assert row["mae"] == pytest.approx(error.abs().to_numpy().mean())
    by_series = leaderboard(TABLE[["a"]], PANEL[["a"]], season=7, by="series")
    whole = leaderboard(TABLE[["a"]], PANEL[["a"]], season=7)
    for column in ("mase", "rmsse", "smape", "mae"):
        means = by_series[column].groupby(level=0).mean()
        np.testing.assert_allclose(whole[column], means.loc[whole.index])


def test_rows_by_step():
    found = leaderboard(TABLE, PANEL, season=7, by="step")
    assert found.loc["naive"].index.tolist() == [1, 2, 3, 4]
    third = TABLE.loc["naive"].iloc[2::4]
    error = third.xs("y", axis=1, level=1) - third.xs("forecast", axis=1, level=1)
    assert found.loc[("naive", 3), "mae"] == pytest.approx(error.abs().to_numpy().mean())
    with pytest.raises(ValueError, match="by: found 'day'"):
        leaderboard(TABLE, PANEL, by="day")


def test_series_of_several_levels():
    two = pd.concat({("n", "x"): FRAME, ("s", "x"): FRAME * 2}, names=["region", "shop", "day"])
    table = backtest(MODELS, two, n_windows=2)
    by = leaderboard(table, two, season=7, by="series")
    assert by.index.names == ["model", "region", "shop"]
    np.testing.assert_allclose(by.loc[("naive", "n", "x"), "mase"], by.loc[("naive", "s", "x"), "mase"])


def test_names_of_series_may_be_categories():
    shops, days = (PANEL.index.get_level_values(level) for level in (0, 1))
    categories = pd.Categorical(shops, categories=["none", "new", "old"])
    y = PANEL.set_axis(pd.MultiIndex.from_arrays([categories, days], names=["shop", "day"]))
    board = leaderboard(backtest(MODELS, y, n_windows=3), y, by="series")
    np.testing.assert_array_equal(board, leaderboard(TABLE, PANEL, by="series"))


def test_series_called_models_are_series():
    cars = PANEL.rename_axis(index={"shop": "model"})
    board = leaderboard(backtest(MODELS["naive"], cars, n_windows=3), cars, season=7)
    assert board.index.tolist() == ["SeasonalNaiveForecaster"]


def test_models_without_a_common_interval_have_no_coverage():
    models = {"a": MODELS["naive"], "b": ThetaForecaster(horizon=4, season=7, quantiles=(0.3, 0.6))}
    board = leaderboard(backtest(models, PANEL, n_windows=1), PANEL, season=7)
    assert not [column for column in board if column.startswith("coverage")]
    assert board["wql"].isna().all()


@pytest.mark.parametrize(
    ("table", "y", "error", "message"),
    [
        (FRAME, PANEL, TypeError, "table: found a DataFrame that is no answer of backtest"),
        (TABLE.iloc[:0], PANEL, ValueError, "table: it has 0 rows"),
        (TABLE, PANEL[["a"]], ValueError, "y: it has no column 'b'"),
        (TABLE, PANEL.loc[["new"]], ValueError, "y: it has no row of series 'old' up to the first cut-off"),
        (TABLE, FRAME, ValueError, "y: one of y and the table has a series level"),
    ],
)
def test_what_does_not_belong_together_is_refused(table, y, error, message):
    with pytest.raises(error, match=message):
        leaderboard(table, y)


def test_a_season_below_one_is_refused():
    with pytest.raises(ValueError, match="season: found 0"):
        leaderboard(TABLE, PANEL, season=0)
