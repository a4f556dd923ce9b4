"""Which windows of a panel are trained on: the latest ones of each series and channel, each with its own weight."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from tsrec.estimators import _training_windows
from tsrec.estimators._training_windows import window_table
from tsrec.frames import read_panel
from tsrec.layers.segments import time_segments
from tsrec.training import make_generator

L, H = 6, 3


def panel(lengths=(30, 4, 20), channels=2):
    """Every value tells where it stands: 1000 * channel + row of the panel."""
    rows = np.arange(sum(lengths), dtype=float)[:, None] + 1000.0 * np.arange(channels)
    parts, begin = {}, 0
    for i, length in enumerate(lengths):
        days = pd.date_range("2024", periods=length)
        parts[f"s{i}"] = pd.DataFrame(rows[begin : begin + length], index=days)
        begin += length
    return read_panel(pd.concat(parts, names=["id", "time"]))


def table_of(found, **options):
    return window_table(found, found.values, L, H, **options)


def whole(table):
    return table.windows.gather(torch.arange(len(table.windows.origins)))


def windows_of(table):
    """(series, channel) -> steps to the end of the series, in ascending order."""
    first = whole(table).target.nan_to_num(-1.0).max(dim=1).values
    found = {}
    for series, time, value in zip(table.series.tolist(), table.times.tolist(), first.tolist(), strict=True):
        found.setdefault((series, int(value // 1000)), []).append(time)
    return {key: sorted(times) for key, times in found.items()}


@pytest.mark.parametrize("recent", [1, 2, 5])
def test_the_latest_windows_of_each_series_and_channel_are_kept(recent):
    found = windows_of(table_of(panel(), recent=recent))
    # Of the series of 4 steps there is one window, with one step before a target of three.
    latest = [-H - i for i in reversed(range(recent))]
    short = [-H]
    assert found == {
        (0, 0): latest, (0, 1): latest,
        (1, 0): short, (1, 1): short,
        (2, 0): latest, (2, 1): latest,
    }  # fmt: skip


def test_the_latest_window_ends_with_the_series():
    batch = whole(table_of(panel((30, 20), 1), recent=1))
    assert batch.target.tolist() == [[27, 28, 29], [47, 48, 49]]
    assert batch.context.tolist() == [[21, 22, 23, 24, 25, 26], [41, 42, 43, 44, 45, 46]]


def test_a_series_shorter_than_the_horizon_keeps_its_latest_cut_windows():
    table = table_of(panel((30, 3), 1), recent=1)
    assert windows_of(table) == {(0, 0): [-H], (1, 0): [-1]}
    batch = whole(table)
    assert batch.target[1, 0] == 32
    assert batch.target[1, 1:].isnan().all()
    assert batch.context[1][batch.mask[1]].tolist() == [30, 31]


@pytest.mark.parametrize("recent", [None, 22, 1000])
def test_more_than_there_are_is_all_of_them(recent):
    table, everything = table_of(panel(), recent=recent), table_of(panel())
    assert torch.equal(table.times, everything.times)
    assert windows_of(everything)[0, 1] == list(range(-(30 - L), -H + 1))


def test_the_most_recent_windows_are_thinned_only_after_the_choice(monkeypatch):
    monkeypatch.setattr(_training_windows, "MAX_WINDOWS", 20)
    found = windows_of(table_of(panel((30, 30), 2), recent=10))
    assert set(found) == {(series, channel) for series in (0, 1) for channel in (0, 1)}
    assert all(times == [-11, -9, -7, -5, -3] for times in found.values())


@pytest.mark.parametrize("recent", [None, 4])
@pytest.mark.parametrize("lengths", [(30, 20), (30, 4, 20), (2, 30, 1, 20)])
def test_every_window_carries_the_weight_of_its_last_row_and_channel(recent, lengths):
    values = panel(lengths).values.copy()
    values[12:19, 1] = np.nan
    found = replace(panel(lengths), values=values)
    asked = []

    def weigh(rows):
        asked.append(rows)
        return rows[:, None] + 1000.0 * np.arange(2) + 0.5

    table = table_of(found, recent=recent, weights=weigh)
    batch = whole(table)
    assert len(asked) == 1
    assert len(table.times) == len(batch.weight)
    last = batch.context[:, -1]
    known = batch.mask[:, -1]
    assert known.sum() > 10
    torch.testing.assert_close(batch.weight[known], last[known] + 0.5)
    ends = found.offsets[1:][table.series.numpy()] + table.times.numpy() - 1
    np.testing.assert_allclose(batch.weight.numpy() % 1000, ends + 0.5)


def test_without_weights_all_windows_count_the_same():
    assert whole(table_of(panel(), recent=3)).weight is None


def test_small_sets_are_drawn_again_at_most_eight_times():
    groups = torch.tensor([0, 0, 1, 2])
    table = table_of(panel((100, 100, 12, 40), 1))
    assert torch.bincount(groups[table.series]).tolist() == [184, 6, 32]
    found = table.balanced(groups, make_generator(0))
    assert torch.bincount(found.groups).tolist() == [184, 48, 184]
    assert torch.equal(found.groups, groups[found.series])
    # Every window is still there, and stands beside its series and time.
    rows = torch.tensor([0, 100, 200, 212])[found.series] + found.times + torch.tensor([100, 100, 12, 40])[found.series]
    batch = whole(found)
    torch.testing.assert_close(batch.target[:, 0].long(), rows)
    assert set(rows.tolist()) == set(whole(table).target[:, 0].long().tolist())


def test_windows_that_saw_little_teach_only_where_there_are_no_others():
    table = table_of(panel((10, 5, 30), 1))
    table.windows.variable = torch.tensor([0, 1, 0])[table.series]
    seen = {series: [] for series in range(3)}
    kept = table.seeing_enough()
    for series, time in zip(kept.series.tolist(), kept.times.tolist(), strict=True):
        seen[series].append(time)
    # Four fifths of a context of six are five steps; the second series has no more than two.
    assert {series: sorted(times) for series, times in seen.items()} == {
        0: [-5, -4, -3],
        1: [-4, -3],
        2: list(range(-24, -2)),
    }
    assert len(kept.windows.origins) == len(kept.series)


def test_folds_hold_out_whole_sets_of_a_kind_where_it_has_four():
    table = table_of(panel((40,) * 8, 1))
    kinds = torch.tensor([0, 1, 0, 0, 1, 0, 1, 0])
    table.windows.variable = kinds[table.series]
    segments = table._replace(groups=table.series).segments()
    of_set = [segments[table.series == number].unique().tolist() for number in (0, 2, 3, 5, 7)]
    assert of_set == [[0], [2], [0], [4], [0]]
    few = table.windows.variable == 1
    assert torch.equal(segments[few], time_segments(table.times[few], H, table.series[few]))
    assert set(segments[few].tolist()) >= {0, 2, 4}
    # A history alone is held out by time.
    assert torch.equal(table.segments(), time_segments(table.times, H, table.series))
