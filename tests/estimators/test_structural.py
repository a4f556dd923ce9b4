"""Forecasters beside a structural model of days: when there is one, and what it is worth."""

import numpy as np
import pandas as pd
import pytest

import tsrec
from tsrec import LSSLForecaster, MLPForecaster, TCNCAForecaster, TEMPOForecaster

FAMILIES = [LSSLForecaster, MLPForecaster, TCNCAForecaster, TEMPOForecaster]


def days(count, steps=24, columns=("y",), seed=0, noise=0.3):
    """Days that repeat, with noise that is soon forgotten."""
    rng, index = np.random.default_rng(seed), pd.date_range("2024-01-01", periods=count * steps, freq=f"{24 // steps}h")
    shape = np.sin(2 * np.pi * np.arange(len(index)) / steps)
    rough = [noise * rng.standard_normal(len(index)) for _ in columns]
    return pd.DataFrame({name: 5 + shape + one for name, one in zip(columns, rough, strict=True)}, index)


@pytest.mark.parametrize(
    ("rows", "more", "expected"),
    [
        (days(30), {}, "structural"),
        (days(30, columns=("p", "q")), {}, "structural"),
        (days(200), {}, "ridge"),
        (days(30), {"context": 40}, "ridge"),
        (days(30), {"linear": "ridge"}, "ridge"),
        (days(30).reset_index(drop=True), {"season": 24}, "ridge"),
        (days(30, columns=[f"c{i}" for i in range(9)]), {}, "ridge"),
        (days(200), {"linear": "structural"}, "structural"),
    ],
)
def test_few_days_have_a_structural_model(rows, more, expected):
    model = LSSLForecaster(horizon=6, max_epochs=0, **more).fit(rows)
    assert model.linear_ == expected
    assert (model.module_.structural is not None) == (expected == "structural")


@pytest.mark.parametrize("family", FAMILIES)
def test_few_days_are_enough(family):
    rows = days(16, noise=1.0)
    train, truth = rows.iloc[:-24], rows.iloc[-24:]
    shape = 5 + np.sin(2 * np.pi * np.arange(24) / 24)
    model = family(horizon=24, max_epochs=0, random_state=0).fit(train)
    assert model.linear_ == "structural"
    error = np.sqrt(np.mean((model.predict()["y"] - shape) ** 2))
    alone = family(horizon=24, max_epochs=0, linear="ridge", random_state=0).fit(train)
    assert error < 0.35
    assert error < np.sqrt(np.mean((alone.predict()["y"] - shape) ** 2))
    bounds = model.predict_interval(coverage=0.9)["y"]
    assert ((bounds.iloc[:, 0] < truth["y"]) & (truth["y"] < bounds.iloc[:, 1])).mean() > 0.75


@pytest.mark.parametrize("family", FAMILIES)
def test_a_branch_beside_it_is_trained_saved_and_taken_apart(family, tmp_path):
    model = family(horizon=6, context=72, max_epochs=1, random_state=0).fit(days(20, columns=("p", "q")))
    assert model.linear_ == "structural"
    answer = model.predict(9)
    tsrec.save(model, tmp_path / "model")
    again = tsrec.load(tmp_path / "model")
    pd.testing.assert_frame_equal(again.predict(9), answer)
    pd.testing.assert_frame_equal(again.predict_interval(9), model.predict_interval(9))
    parts = model.predict_components(9)
    total = parts.T.groupby(level=0).sum().T
    np.testing.assert_allclose(total[["p", "q"]], answer, rtol=1e-4, atol=1e-4)


def test_folds_may_speak_against_it():
    rows = days(14)
    trend = rows + 0.1 * np.arange(len(rows))[:, None]
    assert LSSLForecaster(horizon=24, max_epochs=0).fit(rows).linear_ == "structural"
    model = LSSLForecaster(horizon=24, max_epochs=0).fit(trend)
    assert (model.linear_, model.module_.structural) == ("ridge", None)
    told = LSSLForecaster(horizon=24, max_epochs=0, linear="ridge").fit(trend)
    pd.testing.assert_frame_equal(model.predict(), told.predict())
    assert (model.penalty_, model.maps_) == (told.penalty_, told.maps_)
    # Who asks for it has it.
    asked = LSSLForecaster(horizon=24, max_epochs=0, linear="structural").fit(trend)
    assert asked.module_.structural is not None


def test_days_are_those_of_the_index():
    model = LSSLForecaster(horizon=4, max_epochs=0).fit(days(40, steps=8))
    assert (model.linear_, model.day_, model.module_.structural.season) == ("structural", 8, 8)


@pytest.mark.parametrize("more", [{"season": 1}, {"context": 20}])
def test_where_there_are_no_days_it_is_refused(more):
    rows = days(30).reset_index(drop=True) if "season" in more else days(30)
    with pytest.raises(ValueError, match="linear='structural' expects a season"):
        LSSLForecaster(horizon=6, max_epochs=0, linear="structural", **more).fit(rows)


def test_sets_without_days_are_refused():
    months = pd.DataFrame({"y": np.arange(60.0)}, pd.date_range("2020", periods=60, freq="MS"))
    with pytest.raises(ValueError, match="linear='structural' expects a set with days"):
        TEMPOForecaster(horizon=6, max_epochs=0, linear="structural").fit({"months": months})


def test_fine_tuning_keeps_what_is_expected_where_there_are_days():
    known = {"hours": days(40, seed=1), "days": days(200, steps=1, seed=2)}
    model = TEMPOForecaster(horizon=6, context=96, season=24, max_epochs=0).fit(known)
    assert model.module_.structural.kinds == (True, False, False)
    unseen = days(10, seed=3)
    before = model.predict(history=unseen)
    model.fit(unseen, warm_start=True)
    assert (model.linear_, model.module_.structural.kinds) == ("structural", None)
    np.testing.assert_allclose(model.predict(), before, atol=0.3)
    again = TEMPOForecaster(horizon=6, context=96, season=24, max_epochs=0).fit(known)
    again.fit(days(90, steps=1, seed=4), warm_start=True)
    assert (again.linear_, again.module_.structural) == ("ridge", None)
