"""Time counted in seasons: means over stretches, back to steps, and what a season shows between stretches."""

import numpy as np
import pytest

from tsrec.frames.clock import filled_front, from_season_steps, season_detail, to_season_steps

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
    np.testing.assert_allclose(back, first + np.arange(60.0), atol=1e-9)
    held = from_season_steps(stretches, 60, factor, hold=True)[0, :, 0]
    half = int(factor / 2)
    np.testing.assert_allclose(held[:half], stretches[0, 0, 0], atol=1e-9)
    np.testing.assert_allclose(held[half:50], back[half:50], atol=1e-9)


def test_the_first_line_begins_at_the_stretch_before_or_goes_on_where_that_is_unknown():
    answers = np.array([[[10.0], [20.0], [40.0]]] * 2)
    found = from_season_steps(answers, 5, 2.0, before=np.array([[2.0], [np.nan]]))[..., 0]
    np.testing.assert_allclose(found, [[8.0, 12.5, 17.5, 25.0, 35.0], [7.5, 12.5, 17.5, 25.0, 35.0]])
    alone = from_season_steps(answers[:, :1], 2, 2.0, before=np.array([[2.0], [np.nan]]))[..., 0]
    np.testing.assert_allclose(alone, [[8.0, 12.0], [10.0, 10.0]])


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
    detail, noise = season_detail(x, period, count, factor)
    assert noise.max() < 1e-9
    last = to_season_steps(x, 1, factor)[:, 0]
    whole = from_season_steps(forward, count, factor, before=last) + detail
    np.testing.assert_allclose(whole[0, :, 0], ahead[:count], atol=1e-9)


def test_no_detail_where_nothing_lies_between():
    x = rng.normal(size=(2, 48, 1))
    for windows, factor in ((x, 1.0), (x, 0.5), (x[:, :20], 2.0), (x * np.nan, 2.0)):
        detail, noise = season_detail(windows, 24, 30, factor)
        assert detail.shape == (2, 30, 1)
        assert not detail.any()
        assert not noise.any()


def test_a_trend_is_no_detail():
    line = np.arange(960.0)[None, :, None]
    detail, noise = season_detail(line, 96, 200, 4.0)
    np.testing.assert_allclose(detail, 0.0, atol=1e-9)
    assert noise.max() < 1e-9


def test_what_is_no_season_between_stretches_is_noise():
    x = rng.normal(size=(3, 96 * 20, 1))
    _, noise = season_detail(x, 96, 10, 4.0)
    # Of the variance a quarter lies in the means of four.
    np.testing.assert_allclose(noise, np.sqrt(0.75), rtol=0.1)


def test_an_unseen_front_repeats_what_follows():
    x = rng.normal(size=(2, 50, 2))
    assert filled_front(x, 12) is x
    x[0, :30, 0] = np.nan
    x[1, [20, 40]] = np.nan
    filled = filled_front(x, 12)
    for step in range(29, -1, -1):
        assert filled[0, step, 0] == filled[0, step + 12, 0]
    np.testing.assert_array_equal(filled[0, 30:], x[0, 30:])
    np.testing.assert_array_equal(filled[1], x[1])
    x[0, :45, 0] = np.nan
    assert np.isnan(filled_front(x, 12)[0, :, 0]).any()
