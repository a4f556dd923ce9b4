"""Forecasters made of others: what their members are told of beside the series, in fit and when they are asked."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from tsrec import (
    STL,
    ConformalForecaster,
    DecompositionForecaster,
    EnsembleForecaster,
    LSSLForecaster,
    MLPForecaster,
    RetrievalForecaster,
    SeasonalNaiveForecaster,
    ThetaForecaster,
)

RNG = np.random.default_rng(0)
DAYS = pd.date_range("2024-01-01", periods=80, freq="D", name="day")
NAMES = [f"s{i}" for i in range(4)]
Y = pd.concat(
    {name: pd.Series((k % 2) * np.arange(80) + RNG.normal(size=80), DAYS, name="y") for k, name in enumerate(NAMES)},
    names=["id", "day"],
)
STATIC = pd.DataFrame({"group": ["flat", "rising"] * 2}, NAMES)
MLP = MLPForecaster(
    horizon=4, context=14, season=7, d_model=8, linear=None, max_epochs=10, learning_rate=0.01, random_state=0
)
RIDGE = LSSLForecaster(horizon=4, context=14, season=7, max_epochs=0, random_state=0)
MADE_OF = {
    "decomposition": lambda model: DecompositionForecaster(
        STL(7), {"seasonal": SeasonalNaiveForecaster(season=7), "rest": model}, horizon=4
    ),
    "retrieval": lambda model: RetrievalForecaster(model, horizon=4, context=14, season=7, k=5),
}


@pytest.mark.parametrize("name", MADE_OF)
def test_members_are_told_of_series_without_a_warning(name):
    model = MADE_OF[name](MLP)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(Y, static=STATIC)
    new = pd.concat({"new": Y.loc["s1"]}, names=["id"])
    as_s1, as_s0 = (
        model.describe(STATIC.loc[[one]].set_axis(["new"])).predict(history=new).to_numpy() for one in ("s1", "s0")
    )
    assert not np.allclose(as_s1, as_s0)


def test_members_of_a_decomposition_are_asked_with_what_they_learned_from():
    model = MADE_OF["decomposition"](MLP).fit(Y, static=STATIC)
    member, seen = model.members_["rest"], []
    member._forecast = lambda panel, cutoffs: seen.append(panel) or type(member)._forecast(member, panel, cutoffs)
    model.predict()
    np.testing.assert_array_equal(member._static(seen[0]), member._static(model.panel_))
    assert np.abs(member._static(seen[0])).min() > 0.5


@pytest.mark.parametrize("name", MADE_OF)
def test_members_read_the_past(name):
    leads = RNG.normal(size=300)
    index = pd.date_range("2024-01-01", periods=300, freq="h")
    y = pd.Series(np.r_[0, 0, 5 * leads[:-2]] + 0.3 * RNG.normal(size=300), index, name="y")
    past = pd.DataFrame({"leads": leads, "noise": RNG.normal(size=300)}, index)
    model = MADE_OF[name](RIDGE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(y[:240], past=past[:240])
    cutoffs = np.stack([np.zeros(40, dtype=int), np.arange(242, 282)], axis=1)
    truth = y.to_numpy()[cutoffs[:, 1:] + np.arange(2)]
    told = np.abs(model.predict_cutoffs(y, cutoffs, past=past)[:, :2, 0, 0] - truth).mean()
    with pytest.warns(UserWarning, match="past: missing"):
        usual = np.abs(model.predict_cutoffs(y, cutoffs)[:, :2, 0, 0] - truth).mean()
    assert told < 0.75 * usual
    spoiled = past.copy()
    spoiled.iloc[260:] = 1e6
    np.testing.assert_array_equal(
        *(model.predict_cutoffs(y, np.array([[0, 260]]), past=one) for one in (past, spoiled))
    )


def test_where_analogues_lie_is_told_of_a_history_with_its_past():
    past = pd.DataFrame({"x": RNG.normal(size=len(Y))}, Y.index)
    model = MADE_OF["retrieval"](RIDGE).fit(Y, past=past)
    assert len(model.explain(history=Y, history_past=past)) == len(model.explain())


def test_members_that_use_nothing_still_warn():
    for name in MADE_OF:
        with pytest.warns(UserWarning, match="static: checked and kept, but"):
            MADE_OF[name](SeasonalNaiveForecaster(season=7)).fit(Y, static=STATIC)


def test_a_member_alone_knows_the_columns_of_past_and_the_categories():
    past = pd.DataFrame(RNG.normal(size=(len(Y), 2)), Y.index, columns=["a", "b"])
    model = EnsembleForecaster({"one": clone(RIDGE)}, horizon=4).fit(Y, past=past, static=STATIC)
    member = model.members_["one"]
    first, second = (member.predict(history=Y, history_past=past[list(names)]) for names in ("ab", "ba"))
    pd.testing.assert_series_equal(first, second)
    member.describe(STATIC)
    # Of an earlier fit nothing is left.
    model.fit(Y)
    assert not hasattr(model, "past_columns_")
    assert not hasattr(model.members_["one"], "static_coding_")


@pytest.mark.parametrize("levels", [[0.1, 0.9], np.array([0.1, 0.9])], ids=["list", "array"])
def test_equal_quantiles_agree_in_any_container(levels):
    inner = ConformalForecaster(SeasonalNaiveForecaster(season=7), quantiles=levels)
    model = EnsembleForecaster([inner, ThetaForecaster(season=7, quantiles=(0.1, 0.9))], horizon=4).fit(Y)
    assert model.levels_.tolist() == [0.1, 0.9]


def test_nothing_is_calibrated_on_a_member_that_learned_from_no_row():
    late = (Y.index.get_level_values("day") >= DAYS[70]).astype(float)
    model = ConformalForecaster(clone(RIDGE)).fit(Y, sample_weight=late)
    assert list(model.members_) == ["refitted"]
