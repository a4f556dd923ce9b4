"""Time counted in seasons: means over stretches, back to steps, and what a season shows between stretches."""

import numpy as np
import pytest

from tsrec.frames.clock import from_season_steps, season_detail, to_season_steps

rng = np.random.default_rng(0)


def by_hand(x, count, factor):
    """Means of a step function, stretch by stretch, by adding up pieces."""
    found = []
    for k in range(count, 0, -1):
        low, high = len(x) - k * factor, len(x) - (k - 1) * factor
        total = weight = 0.0
        for i, value in enumerate(x):
            share = max(min(i + 1, high) - max(i, low), 0.0)
            if share > 0 and not np.isnan(value):
                total, weight = total + share * value, weight + share
        found.append(total / weight if weight > 1e-9 else np.nan)
    return np.array(found)


@pytest.mark.parametrize("factor", [1.0, 2.0, 4.0, 0.5, 7 / 24, 52 / 24, 12.0])
def test_stretches_are_means_of_what_lies_in_them(factor):
    windows = rng.normal(size=(3, 60, 2)) + 1e6
    windows[0, 10:25, 0] = np.nan
    windows[1, :7] = np.nan
    count = int(60 / factor) + 2
    found = to_season_steps(windows, count, factor)
    for n in range(3):
        for channel in range(2):
            expected = by_hand(windows[n, :, channel], count, factor)
            np.testing.assert_allclose(found[n, :, channel], expected, rtol=1e-12)


def test_nothing_changes_where_steps_are_alike():
    windows = rng.normal(size=(2, 12, 1))
    np.testing.assert_allclose(to_season_steps(windows, 12, 1.0), windows, rtol=1e-12)
    np.testing.assert_allclose(from_season_steps(windows, 12, 1.0), windows, rtol=1e-12)


@pytest.mark.parametrize("factor", [2.0, 4.0, 12.0])
def test_a_straight_line_comes_back_between_the_middles(factor):
    line = np.arange(80.0)[None, :, None]
    stretches = to_season_steps(line, int(80 / factor), factor)
    first = 80 - int(80 / factor) * factor
    back = from_season_steps(stretches, 60, factor)[0, :, 0]
    inner = slice(int(factor), 60)
    np.testing.assert_allclose(back[inner], first + np.arange(60.0)[inner], atol=1e-9)


def test_short_steps_are_means_of_the_stretches_they_are_made_of():
    answers = rng.normal(size=(2, 24, 3, 4))
    np.testing.assert_allclose(from_season_steps(answers, 6, 0.25), answers.reshape(2, 6, 4, 3, 4).mean(2), rtol=1e-9)


@pytest.mark.parametrize(("period", "factor"), [(96, 4.0), (48, 2.0), (52, 52 / 24)])
def test_a_periodic_series_comes_back_whole(period, factor):
    wave = rng.normal(size=period)
    x = np.tile(wave, 6)[None, :, None]
    ahead = np.tile(wave, 3)
    count = 2 * period
    stretches = int(np.ceil(count / factor)) + 1
    coarse = to_season_steps(ahead[None, : int(stretches * factor), None], stretches, factor)
    # Stretches of the future, counted from its first step.
    forward = to_season_steps(ahead[None, ::-1, None], int(len(ahead) / factor), factor)[:, ::-1]
    assert coarse.shape[1] <= forward.shape[1]
    detail = season_detail(x, period, count, factor)
    np.testing.assert_allclose((from_season_steps(forward, count, factor) + detail)[0, :, 0], ahead[:count], atol=1e-9)


def test_no_detail_where_nothing_lies_between():
    x = rng.normal(size=(2, 48, 1))
    assert not season_detail(x, 24, 30, 1.0).any()
    assert not season_detail(x, 24, 30, 0.5).any()
    assert not season_detail(x[:, :20], 24, 30, 2.0).any()
    x[:] = np.nan
    assert not season_detail(x, 24, 30, 2.0).any()
