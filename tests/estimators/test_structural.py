"""Forecasters beside a structural model of days: when there is one, and what it is worth."""

import numpy as np
import pandas as pd
import pytest
import torch

import tsrec
from tsrec import LSSLForecaster, MambaForecaster, MLPForecaster, TCNCAForecaster, TEMPOForecaster

FAMILIES = [LSSLForecaster, MambaForecaster, MLPForecaster, TCNCAForecaster, TEMPOForecaster]


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


SETS = {"hours": days(40, seed=1), "days": days(200, steps=1, seed=2)}


def learned(**more):
    given = {"horizon": 6, "context": 96, "season": 24, "max_epochs": 0, "random_state": 0}
    return TEMPOForecaster(**{**given, **more}).fit(SETS)


def test_only_days_are_expected_of_and_all_else_is_as_without():
    ours, plain = learned(), learned(linear="ridge")
    assert ours.paces_ == ("sub-daily", "daily")
    for own, other in zip(ours.module_.linear[1:], plain.module_.linear[1:], strict=True):
        torch.testing.assert_close(own, other)
    assert not torch.allclose(ours.module_.linear[0], plain.module_.linear[0], atol=0.1)
    assert ours.module_.offsets.shape[:2] == (3, 6)
    torch.testing.assert_close(ours.module_.offsets[1], plain.module_.offsets[1])
    assert not torch.allclose(ours.module_.offsets[0], ours.module_.offsets[1])


def test_sets_are_learned_from_again():
    model = learned()
    unseen = days(8, seed=5)
    before = model.predict(history=unseen)
    model.fit(SETS, warm_start=True)
    assert (model.linear_, model.module_.structural.kinds) == ("structural", (True, False, False))
    pd.testing.assert_frame_equal(model.predict(history=unseen), before, atol=0.05)


def test_fine_tuning_goes_from_days_to_others_and_back():
    model = TEMPOForecaster(horizon=6, context=60, max_epochs=0).fit(days(20, seed=1))
    hours = model.module_.linear
    model.fit(days(150, steps=1, seed=2), warm_start=True)
    assert (model.linear_, model.module_.structural) == ("ridge", None)
    alone = TEMPOForecaster(horizon=6, context=60, max_epochs=0).fit(days(150, steps=1, seed=2))
    # What was learned of days' remains says nothing of others.
    torch.testing.assert_close(model.module_.linear, alone.module_.linear)
    assert not torch.equal(model.module_.linear, hours)
    model = TEMPOForecaster(horizon=6, context=96, max_epochs=0).fit(days(20, noise=0.02))
    model.fit(half_hours(), warm_start=True)
    assert (model.linear_, model.day_) == ("structural", 48)


def half_hours():
    index = pd.date_range("2024-01-01", periods=20 * 48, freq="30min")
    noise = 0.02 * np.random.default_rng(0).standard_normal(len(index))
    return pd.DataFrame({"y": 5 + np.sin(2 * np.pi * np.arange(len(index)) / 48) + noise}, index)


def test_short_histories_are_taken_to_have_begun_as_they_went_on():
    rows = days(60, noise=0.1)
    model = LSSLForecaster(horizon=12, context=168, max_epochs=0).fit(rows)
    assert model.linear_ == "structural"
    shape = 5 + np.sin(2 * np.pi * np.arange(12) / 24)
    answer = model.predict(history=rows.iloc[-48:])["y"]
    assert np.sqrt(np.mean((answer - shape) ** 2)) < 0.15
    # Of a single row nothing tells how far the forecast may be off.
    bounds = model.predict_interval(history=rows.iloc[-1:], coverage=0.9)["y"]
    assert (bounds.iloc[:, 1] - bounds.iloc[:, 0]).min() > 0.05


def test_seasons_that_users_give_do_not_make_days():
    rows = days(30)
    assert LSSLForecaster(horizon=6, max_epochs=0, season=1).fit(rows).linear_ == "ridge"
    assert LSSLForecaster(horizon=6, max_epochs=0, season=12).fit(rows).day_ == 24


def test_beside_it_the_branch_has_no_say_on_the_spread():
    model = LSSLForecaster(horizon=6, context=72, max_epochs=2, random_state=0).fit(days(40))
    assert model.linear_ == "structural"
    assert model.module_.spread_share.item() == 0
