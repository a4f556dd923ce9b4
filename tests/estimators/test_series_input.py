"""What collections of series tell of their times and their layout, and what is refused or warned of."""

import warnings

import numpy as np
import pandas as pd
import pytest

from tsrec import LSSLClassifier, TCNCAClassifier

RNG = np.random.default_rng(0)
y = ["a", "b"] * 4


def panel(freq, n=8, length=24):
    parts = {
        i: pd.DataFrame({"x": RNG.normal(size=length)}, pd.date_range("2024", periods=length, freq=freq))
        for i in range(n)
    }
    return pd.concat(parts)


def test_steps_of_another_length_are_refused_unless_rate_tells():
    model = LSSLClassifier(random_state=0).fit(panel("h"), y)
    with pytest.raises(ValueError, match=r"X: by its times, steps are 2 times as long as those of fit\. .*rate=2\."):
        model.predict(panel("2h"))
    assert len(model.predict(panel("2h"), rate=2)) == 8
    with pytest.raises(ValueError, match=r"0\.5 times as long.*Resample"):
        TCNCAClassifier(random_state=0).fit(panel("h"), y).predict(panel("30min"))


def test_months_are_equally_long_and_numbers_say_nothing():
    model = LSSLClassifier(random_state=0).fit(panel("MS"), y)
    assert len(model.predict(panel("30D"))) == 8
    assert len(model.predict(panel("MS").to_numpy().reshape(8, 1, 24))) == 8
    numbered = LSSLClassifier(random_state=0).fit([RNG.normal(size=24) for _ in y], y)
    assert len(numbered.predict(panel("h"))) == 8


def test_a_listed_frame_tells_its_times_too():
    model = LSSLClassifier(random_state=0).fit(panel("h"), y)
    frames = [part.droplevel(0) for _, part in panel("D").groupby(level=0)]
    with pytest.raises(ValueError, match=r"24 times as long"):
        model.predict(frames)


def test_an_array_with_time_in_second_place_is_warned_of():
    cube = RNG.normal(size=(8, 24, 3))
    with pytest.warns(UserWarning, match=r"24 channels of 3 steps.*X\.transpose\(0, 2, 1\)"):
        LSSLClassifier(random_state=0).fit(cube, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        LSSLClassifier(random_state=0).fit(cube.transpose(0, 2, 1), y)


@pytest.mark.parametrize("verbose", ["x", -1, None])
def test_a_loudness_that_is_none_is_refused(verbose):
    with pytest.raises(ValueError, match="verbose: found"):
        TCNCAClassifier(verbose=verbose).fit(panel("h"), y)


def test_series_without_a_value_are_warned_of():
    model = LSSLClassifier(random_state=0).fit(panel("h"), y)
    asked = panel("h")
    asked.loc[[2, 5], "x"] = np.nan
    with pytest.warns(UserWarning, match=r"2 of 8 series have no observed value, the first is 2\."):
        model.predict(asked)
