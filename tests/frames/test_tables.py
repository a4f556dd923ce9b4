"""Long tables, windows of recordings, index arithmetic, seasons."""

import numpy as np
import pandas as pd
import pytest

from tsrec.frames import contexts, from_long, origins, read_panel, to_long, window_rows, windows
from tsrec.frames.season import choose_context, choose_season, seasonal_scale


def test_from_long_sorts_and_to_long_inverts():
    table = pd.DataFrame(
        {
            "unique_id": ["b", "a", "a", "b"],
            "ds": pd.to_datetime(["2024-01-02", "2024-01-01", "2024-01-02", "2024-01-01"]),
            "y": range(4),
        }
    )
    before = table.copy()
    panel = from_long(table)
    pd.testing.assert_frame_equal(table, before)
    assert panel["y"].tolist() == [1, 2, 3, 0]
    pd.testing.assert_frame_equal(to_long(panel), table.sort_values(["unique_id", "ds"], ignore_index=True))


def test_from_long_takes_other_names_and_several_targets():
    table = pd.DataFrame({"shop": [1, 1], "day": [1, 2], "sold": [3, 4], "price": [5, 6]})
    panel = from_long(table, id="shop", time="day", target=["price"])
    assert panel.index.names == ["shop", "day"]
    assert panel.columns.tolist() == ["price"]
    with pytest.raises(ValueError, match="no column 'store'"):
        from_long(table, id="store", time="day")


def test_times_of_text_are_refused_with_a_mend_that_works():
    table = pd.DataFrame({"unique_id": ["a", "a"], "ds": ["2024-01-01", "2024-01-02"], "y": [1.0, 2.0]})
    with pytest.raises(TypeError, match=r"'ds' holds text .*'2024-01-01'.*frame\['ds'\] = pd.to_datetime"):
        from_long(table)
    panel = table.set_index(["unique_id", "ds"])
    with pytest.raises(TypeError, match="not times") as refused:
        read_panel(panel)
    mend = str(refused.value).split("for example with ")[1].split(", or use")[0]
    scope = {"y": panel, "pd": pd}
    exec(mend, scope)
    assert read_panel(scope["y"]).grid.freq == "D"


def test_windows_make_a_collection():
    recording = pd.DataFrame({"x": range(7)}, index=pd.date_range("2024", periods=7, freq="s"))
    panel = windows(recording, 3, 2)
    assert panel["x"].tolist() == [0, 1, 2, 2, 3, 4, 4, 5, 6]
    assert read_panel(panel).n_series == 3
    with pytest.raises(ValueError, match="7 rows, fewer than one window"):
        windows(recording, 8)


def test_window_rows_stay_inside_their_series():
    place = origins(np.array([0, 4, 9]), np.array([0, 1, 1]), np.array([2, 0, 5]))
    rows, owned = window_rows(place, np.arange(-3, 2))
    assert (rows >= np.array([[0], [4], [4]])).all()
    assert (rows < np.array([[4], [9], [9]])).all()
    assert owned.sum(axis=1).tolist() == [4, 2, 3]


def test_contexts_mark_what_lies_before_a_series():
    values = np.arange(9.0)[:, None]
    got = contexts(values, origins(np.array([0, 4, 9]), np.array([1, 1]), np.array([1, -2])), 3)
    np.testing.assert_array_equal(got[0, :, 0], [np.nan, np.nan, 4.0])
    assert np.isnan(got[1]).all()


def test_seasonal_scale_by_hand_and_apart_for_each_series():
    frame = pd.concat(
        {"a": pd.Series([1.0, 2.0, 4.0, 8.0]), "b": pd.Series([0.0, np.nan, 3.0, 3.0])}, names=["id", "t"]
    ).to_frame("y")
    scale = seasonal_scale(read_panel(frame), 1)
    np.testing.assert_allclose(scale[:, 0], [7 / 3, 0.0])
    np.testing.assert_allclose(seasonal_scale(read_panel(frame), 2)[:, 0], [4.5, 3.0])


def test_season_comes_from_frequency_and_data():
    rng = np.random.default_rng(0)
    hours = np.arange(24 * 40)
    daily = pd.Series(np.sin(2 * np.pi * hours / 24), pd.date_range("2024", periods=len(hours), freq="h"))
    assert choose_season(read_panel(daily + rng.normal(0, 0.1, len(hours)))) == 24
    weekly = daily + 3 * (daily.index.day_of_week >= 5)
    assert choose_season(read_panel(weekly)) == 168
    assert choose_season(read_panel(daily.iloc[:30])) == 1
    unlabelled = np.sin(2 * np.pi * np.arange(300) / 17) + rng.normal(0, 0.1, 300) + 0.05 * np.arange(300)
    assert choose_season(read_panel(unlabelled)) == 17
    assert choose_season(read_panel(rng.normal(size=300).cumsum())) == 1
    assert choose_season(read_panel(np.ones(300))) == 1


@pytest.mark.parametrize("length", [2, 5, 30, 60, 500, 5000])
@pytest.mark.parametrize("season", [1, 7, 24])
@pytest.mark.parametrize("horizon", [1, 24])
def test_context_leaves_rows_to_learn_from(length, season, horizon):
    context = choose_context(read_panel(np.arange(float(length))), season, horizon)
    assert 1 <= context <= max((length - horizon) // 2, 1)
    assert context % season == 0 or context // season * season <= 0.75 * context


@pytest.mark.parametrize("dtype", [object, "category"])
def test_times_in_boxes_are_times(dtype):
    plain = pd.DataFrame({"unique_id": list("bbaa"), "ds": [*pd.date_range("2024", periods=2)] * 2, "y": range(4)})
    boxed = plain.astype({"ds": dtype})
    pd.testing.assert_frame_equal(from_long(boxed), from_long(plain))
    named = plain.astype({"unique_id": pd.CategoricalDtype(["c", "b", "a"])})
    assert from_long(named).index.get_level_values(0).tolist() == list("bbaa")
