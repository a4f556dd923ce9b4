import numpy as np
import pandas as pd
import pytest

from tsrec.datasets import make_recordings
from tsrec.datasets._haystack_source import bout_features, bout_index, find_regimes, read_source


@pytest.fixture(scope="module")
def recorded():
    return make_recordings(12, seconds=200, rate=20, random_state=0)


def test_the_frame_has_each_recording_from_zero_in_even_steps(recorded):
    recordings, events = recorded
    assert list(recordings) == ["recording", "subject", "time", "x0", "x1", "x2"]
    for _, rows in recordings.groupby("recording", observed=True):
        np.testing.assert_allclose(rows["time"], np.arange(4000) / 20)
        assert len(set(rows["subject"])) == 1
    assert (events["end"] > events["start"]).all()
    assert events["end"].max() <= 200


def test_most_but_not_all_is_labelled_with_eight_states(recorded):
    _, events = recorded
    share = (events["end"] - events["start"]).sum() / (12 * 200)
    assert 0.75 < share < 0.98
    assert events["label"].nunique() == 8


def test_states_differ_in_loudness_and_spectrum_and_clusters_find_the_two_regimes(recorded):
    source = read_source(recorded[0])
    bouts = bout_index(source, recorded[1])
    regimes = find_regimes(source, bouts, None)
    assert regimes == {f"{kind}_{i}": name for kind, name in (("slow", "low"), ("fast", "high")) for i in range(1, 5)}
    assert list(regimes.values()) == ["low"] * 4 + ["high"] * 4
    centroid = pd.Series(bout_features(source, bouts)[:, 1]).groupby([bout.label for bout in bouts]).mean()
    assert centroid["fast_1"] < centroid["fast_2"] < centroid["fast_3"] < centroid["fast_4"]
    assert centroid["slow_1"] < centroid["fast_1"]


def test_an_oscillator_obeys_its_recursion_and_scale():
    from tsrec.datasets._recorder import _oscillators

    class Steady:
        """Shocks without the draw of the frequency."""

        def __init__(self):
            self.rng = np.random.default_rng(0)

        def normal(self, scale=1.0, size=None):
            return 0.0 if size is None else self.rng.normal(scale=scale, size=size)

    x = _oscillators("fast_2", 20_000, 25.0, Steady())
    radius, angle = 0.20 ** (1 / 25), 2 * np.pi * 2.8 / 25
    shock = x[2:] - 2 * radius * np.cos(angle) * x[1:-1] + radius**2 * x[:-2]
    np.testing.assert_allclose(x.std(axis=0), 1.2, rtol=0.1)
    # What is left is white, and small beside the oscillation.
    assert abs(np.corrcoef(shock[1:, 0], shock[:-1, 0])[0, 1]) < 0.03
    assert shock.std() < 0.5 * x.std()


def test_subjects_wear_the_sensor_differently(recorded):
    means = recorded[0].groupby("subject", observed=True)[["x0", "x1", "x2"]].mean()
    assert means.std().min() > 0.2


def test_the_seed_decides(recorded):
    again = make_recordings(12, seconds=200, rate=20, random_state=0)
    other = make_recordings(12, seconds=200, rate=20, random_state=1)
    pd.testing.assert_frame_equal(again[0], recorded[0])
    pd.testing.assert_frame_equal(again[1], recorded[1])
    assert not other[0].equals(recorded[0])


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"n_subjects": 0}, "n_subjects: got 0"),
        ({"n_channels": 1}, "n_channels: got 1"),
        ({"rate": 5}, "rate: got 5"),
        ({"seconds": float("nan")}, "seconds: got nan"),
        ({"noise": -1}, "noise: got -1"),
    ],
)
def test_what_is_out_of_range_is_refused(argument, message):
    with pytest.raises(ValueError, match=message):
        make_recordings(**argument)
