"""The NAB score against numbers worked by hand from the published equations, and its threshold against trying all."""

import math

import numpy as np
import pandas as pd
import pytest

from tsrec.metrics import nab_score, nab_threshold


def s(y):
    """The scaled sigmoid of Lavin and Ahmad, written out."""
    return 2 / (1 + math.exp(5 * y)) - 1


# Twenty rows, of which three are on probation; a window of four rows from row 8 on.
TRUTH = np.zeros(20, dtype=int)
TRUTH[8:12] = 1


def alarms(*rows):
    return np.isin(np.arange(20), rows).astype(int)


def of(total, found=1.0, missed=1.0):
    """Normalised for one window."""
    return 100 * (total + missed) / (found + missed)


@pytest.mark.parametrize(
    ("rows", "total"),
    [
        ((), -1.0),
        ((8,), 1.0),
        ((8, 9, 11), 1.0),
        ((10,), s(-(11 - 10 + 1) / 4) / s(-1)),
        ((11,), s(-1 / 4) / s(-1)),
        ((5,), -1 - 0.11),
        ((13,), -1 + 0.11 * s(2 / 3)),
        ((8, 13, 19), 1 + 0.11 * s(2 / 3) + 0.11 * s(8 / 3)),
        ((1, 2), -1.0),
    ],
)
def test_alarms_are_worth_what_the_equations_say(rows, total):
    assert nab_score(TRUTH, alarms(*rows)) == pytest.approx(of(total))


def test_far_behind_a_window_an_alarm_costs_in_full():
    truth = np.r_[np.zeros(8), np.ones(2), np.zeros(10)]
    assert nab_score(truth, alarms(12)) == pytest.approx(of(-1 - 0.11))


def test_profiles_weigh_false_alarms_and_misses():
    assert nab_score(TRUTH, alarms(5), profile="reward_low_FP") == pytest.approx(of(-1 - 0.22))
    assert nab_score(TRUTH, alarms(5), profile="reward_low_FN") == pytest.approx(of(-2 - 0.11, missed=2.0))


def test_probation_ends_at_750_rows():
    truth = np.zeros(10_000)
    truth[-10:] = 1
    early, late = (np.arange(10_000) == row for row in (749, 750))
    assert nab_score(truth, early) == pytest.approx(0.0)
    assert nab_score(truth, late) == pytest.approx(-100 * 0.11 / 2)


def test_series_are_added_up_before_they_are_normalised():
    index = pd.MultiIndex.from_product([["a", "b"], range(20)], names=["series", "time"])
    wide = (np.arange(20) >= 8).astype(int)
    truth = pd.Series(np.r_[wide, TRUTH], index)
    # The alarm in b comes before its window, shortly after the end of a; the window of a is none that it follows.
    found = pd.Series(np.r_[alarms(8), alarms(5)], index)
    assert nab_score(truth, found) == pytest.approx(100 * (1 - 1 - 0.11 + 2) / 4)
    assert nab_score(truth, found.sample(frac=1, random_state=0)) == nab_score(truth, found)


def test_the_threshold_is_the_best_of_all():
    rng = np.random.default_rng(0)
    index = pd.MultiIndex.from_product([["a", "b", "c"], range(120)])
    label = np.zeros((3, 120), dtype=int)
    label[0, 40:60], label[1, 30:35], label[1, 90:110] = 1, 1, 1
    truth = pd.Series(label.ravel(), index)
    for profile in ("standard", "reward_low_FP", "reward_low_FN"):
        score = pd.Series(np.round(rng.normal(size=360) + 1.5 * label.ravel(), 1), index)
        score.iloc[7] = np.nan
        tried = {level: nab_score(truth, score >= level, profile=profile) for level in score.dropna().unique()}
        threshold, best = nab_threshold(truth, score, profile=profile)
        assert best == pytest.approx(max(tried.values()))
        assert tried[threshold] == pytest.approx(best)


@pytest.mark.parametrize("odd", [math.inf, -math.inf])
def test_rows_of_the_same_infinite_score_raise_their_alarms_together(odd):
    score = np.where(alarms(8, 13, 15, 17), odd, 0.0)
    finite = np.clip(score, -9, 9)
    threshold, best = nab_threshold(TRUTH, score)
    assert (float(np.clip(threshold, -9, 9)), best) == nab_threshold(TRUTH, finite)
    assert best == pytest.approx(nab_score(TRUTH, score >= threshold))


def test_no_alarm_is_best_where_all_alarms_are_wrong():
    truth = np.r_[np.zeros(60), TRUTH]
    assert nab_threshold(truth, -truth) == (math.inf, 0.0)


def test_what_cannot_be_scored_is_named():
    with pytest.raises(ValueError, match=r"y_pred: found -1.*detector.predict\(X\) == -1"):
        nab_score(TRUTH, 1 - 2 * alarms(8))
    with pytest.raises(ValueError, match="profile: found 'best'"):
        nab_score(TRUTH, TRUTH, profile="best")
    with pytest.raises(ValueError, match="no row is labelled after the probation period"):
        nab_score(np.r_[1, np.zeros(19)], TRUTH)
    with pytest.raises(ValueError, match="y_true: found 2 columns"):
        nab_score(np.zeros((20, 2)), TRUTH)
