"""F1 of events against runs counted one by one."""

import numpy as np
import pandas as pd
import pytest

from tsrec.metrics import event_f1


def by_hand(truth, alarm, overlap):
    """Runs as sets of rows, compared each with each."""

    def sets(flag):
        parts = np.split(np.arange(len(flag)), np.flatnonzero(np.diff(flag)) + 1)
        return [set(part.tolist()) for part in parts if len(part) and flag[part[0]]]

    true, found = sets(truth), sets(alarm)

    def same(a, b):
        return len(a & b) > 0 and len(a & b) >= overlap * len(a | b)

    recall = np.mean([any(same(a, b) for b in found) for a in true])
    precision = np.mean([any(same(a, b) for a in true) for b in found])
    return 0.0 if not recall else 2 * precision * recall / (precision + recall)


@pytest.mark.parametrize("overlap", [0.0, 0.3, 1.0])
def test_events_are_counted_as_by_hand(overlap):
    rng = np.random.default_rng(1)
    for _ in range(30):
        truth, alarm = (np.repeat(rng.integers(0, 2, 20), rng.integers(1, 5, 20))[:40] for _ in range(2))
        size = min(len(truth), len(alarm))
        truth, alarm = np.r_[truth[:size], 1], np.r_[alarm[:size], 1]
        assert event_f1(truth, alarm, overlap=overlap) == pytest.approx(by_hand(truth, alarm, overlap))


def test_runs_end_with_their_series():
    index = pd.MultiIndex.from_product([["a", "b"], range(3)])
    truth = pd.Series([0, 0, 1, 1, 0, 0], index)
    # As one run of two rows it would be found; as two runs only one is.
    assert event_f1(truth, pd.Series([0, 0, 1, 0, 0, 0], index)) == pytest.approx(2 / 3)


def test_without_alarms_nothing_is_found():
    assert event_f1([0, 1, 1], [0, 0, 0]) == 0.0
    with pytest.raises(ValueError, match="overlap: found 2"):
        event_f1([0, 1], [0, 1], overlap=2)
