"""What is said of series: as texts or numbers, whole or with gaps, in fit and later."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest

import tsrec
from tsrec import SeasonalNaiveForecaster, TEMPOForecaster

TEXTS = pd.Series({"north": "cold and windy", "south": "warm", "east": "dry"})
NUMBERS = pd.DataFrame({"wind": [1.0, 2.0, 4.0], "rain": [3.0, -1.0, 0.5]}, TEXTS.index)


def lengths(texts):
    return np.array([[len(one), one.count(" ")] for one in texts])


def regions(names=tuple(TEXTS.index), n=150):
    noise = np.random.default_rng(0).normal(size=(len(names), n)) / 10
    times = pd.date_range("2024", periods=n, freq="h")
    day = np.sin(np.arange(n) / 24 * 2 * np.pi)
    rows = {name: pd.Series(day * (i + 1) + noise[i], times, name="y") for i, name in enumerate(names)}
    return pd.concat(rows, names=["region", "time"])


def made(**options):
    given = {"horizon": 6, "context": 48, "max_epochs": 1, "d_model": 8, "linear": None, "random_state": 0}
    return TEMPOForecaster(**{**given, **options})


@pytest.mark.parametrize(
    ("static", "error", "message"),
    [
        (NUMBERS.replace(1.0, np.inf), ValueError, "static: .*infinity"),
        (NUMBERS.astype({"wind": object}).replace(1.0, "much"), TypeError, "static: column 'wind' holds"),
        (NUMBERS.set_axis(["a", "b", "a"]), ValueError, "static: the series 'a' is there twice"),
        (NUMBERS[["rain", "wind"]], ValueError, "static: its columns differ from those of fit"),
        (NUMBERS.rename(columns={"wind": "sun"}), ValueError, r"lacks \['wind'\] and has also \['sun'\]"),
        (NUMBERS[["wind"]], ValueError, "static: its columns differ from those of fit"),
        (NUMBERS.to_numpy(), TypeError, "static: found a ndarray"),
    ],
)
def test_what_cannot_be_said_later(static, error, message, tmp_path):
    model = made().fit(regions(), static=NUMBERS)
    tsrec.save(model, tmp_path / "model.zip")
    for one in (model, tsrec.load(tmp_path / "model.zip")):
        with pytest.raises(error, match=message):
            one.describe(static)


def test_texts_of_later_series_need_their_names():
    model = made(text_encoder=lengths).fit(regions(), static=TEXTS)
    with pytest.raises(TypeError, match=r"static: found a list\. Give a Series or a frame, indexed"):
        model.describe(list(TEXTS))


def test_a_gap_leaves_the_other_numbers_of_a_column():
    static = NUMBERS.copy()
    static.loc["south", "wind"] = np.nan
    with pytest.warns(UserWarning, match="static: not everything of 1 series; what is unknown") as told:
        model = made().fit(regions(), static=static)
    assert len(told) == 1
    known = model._static(model.panel_)
    place = model.panel_.ids.get_indexer(["north", "south", "east"])
    np.testing.assert_allclose(known[place, 0], [-1, 0, 1])
    np.testing.assert_allclose(known[:, 1].std(), 1)
    model.predict()  # warned of in fit


def test_a_column_of_gaps_says_nothing():
    with pytest.warns(UserWarning, match="static: not everything of 3 series"):
        model = made().fit(regions(), static=NUMBERS.assign(wind=np.nan))
    assert not model._static(model.panel_)[:, 0].any()


def test_a_number_that_is_the_same_of_all_tells_later_series_only_how_far_they_are_from_it():
    model = made().fit(regions(), static=NUMBERS.assign(wind=2.0))
    assert not model._static(model.panel_)[:, 0].any()
    new = regions(["west"])
    model.describe(pd.DataFrame({"wind": [3.0], "rain": [0.5]}, ["west"]))
    assert model._static(model._known(new, None))[0, 0] == 1.0


def test_unknown_series_are_told_of_once_in_a_call():
    model = made().fit(regions(), static=NUMBERS)
    new = regions([f"s{i}" for i in range(600)], 50)
    partly = pd.DataFrame({"wind": [1.0, 2.0], "rain": [np.nan, 1.0]}, ["s0", "s1"])
    model.describe(partly)
    ahead = pd.date_range("2024-01-02 20:00", periods=20, freq="h", name="time")
    rows = pd.MultiIndex.from_product([["s0", "s7"], ahead], names=["region", "time"])
    calls = [
        lambda: model.predict(history=new),
        lambda: model.predict(pd.DataFrame(index=rows), history=new),
        lambda: model.sample(n=2, history=new),
    ]
    for call in calls:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            call()
        message = "history: nothing is said of 598 series and not everything of 1 series; what is unknown"
        assert [str(one.message).startswith(message) for one in told] == [True]
    again = pickle.loads(pickle.dumps(model))
    pd.testing.assert_series_equal(again.predict(), model.predict())


@pytest.mark.parametrize(
    ("static", "encoder", "error", "message"),
    [
        (TEXTS, 3, TypeError, "text_encoder: found 3. Give a callable"),
        (TEXTS, list, ValueError, "text_encoder: it made a list of 3 texts that is no array of numbers"),
        (TEXTS, lambda texts: [[1.0], [1.0, 2.0], [3.0]], ValueError, "text_encoder: it made a list of 3 texts"),
        ("only", lengths, TypeError, "static: found a str. Give a Series or a list"),
        (TEXTS.to_dict(), lengths, TypeError, "static: found a dict. Give a Series or a list"),
        (np.array("only"), lengths, TypeError, "static: found a ndarray"),
        (list(TEXTS)[:2], lengths, ValueError, "static: it has 2 rows for 3 series"),
    ],
)
def test_what_is_no_text_or_no_encoder(static, encoder, error, message):
    with pytest.raises(error, match=message):
        made(text_encoder=encoder).fit(regions(), static=static)


@pytest.mark.parametrize("kind", [list, tuple, np.array])
def test_texts_without_names_are_in_the_order_of_the_series(kind):
    y = regions()
    model = made(text_encoder=lengths).fit(y, static=TEXTS)
    plain = made(text_encoder=lengths).fit(y, static=kind(list(TEXTS[model.panel_.ids])))
    pd.testing.assert_series_equal(plain.predict(), model.predict())


def test_no_cutoffs_have_no_forecasts():
    y = regions(["north"])
    for model in (made().fit(y), SeasonalNaiveForecaster(horizon=6, season=24).fit(y)):
        found = model.predict_cutoffs(y, np.zeros((0, 2), int))
        assert found.shape == (0, 6, 1, 1 + len(model.levels_))
