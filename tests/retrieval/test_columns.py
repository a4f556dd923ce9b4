"""Names and metadata of all kinds come back from folders as they were, or are refused before anything is changed."""

from datetime import timedelta, timezone

import numpy as np
import pandas as pd
import pytest
from dateutil.tz import tzoffset

import tsrec
from tsrec.retrieval import SubsequenceRetriever

pytest.importorskip("pyarrow")

HOURS = pd.date_range("2026-01-01", periods=100, freq="h", name="time")
STAMPS = pd.to_datetime(["2020-05-01 12:00", "1960-01-01 00:00"])
KINDS = {
    "zone": STAMPS.tz_localize("Europe/Berlin"),
    "seconds of a zone": STAMPS.tz_localize("UTC").as_unit("s"),
    "offset": STAMPS.tz_localize("+02:00"),
    "months": pd.PeriodIndex(["2020-01", "1960-01"], freq="M"),
    "weeks": pd.PeriodIndex(["2020-01-02", "1960-01-08"], freq="W-WED"),
    "ordered categories": pd.CategoricalIndex(["low", "high"], categories=["low", "mid", "high"], ordered=True),
    "categories of numbers": pd.CategoricalIndex([7, 3]),
    "nullable": pd.Index([2, 1], dtype="Int64"),
    "string": pd.Index(["é", ""], dtype="string"),
    "durations": pd.to_timedelta([1, -1], unit="h"),
}


def panel_named(names):
    values = np.random.default_rng(0).standard_normal(100 * len(names)).cumsum()
    index = pd.MultiIndex.from_arrays([names.repeat(100), HOURS.append([HOURS] * (len(names) - 1))])
    return pd.Series(values, index.set_names(["name", "time"]), name="y")


def loaded_from(retriever, path, how):
    if how == "file":
        tsrec.save(retriever, path / "index.tsrec")
        return tsrec.load(path / "index.tsrec")
    retriever.save(path / "saved")
    return SubsequenceRetriever.load(path / "saved", mode=how)


@pytest.mark.parametrize("how", ["memory", "a", "file"])
@pytest.mark.parametrize("kind", KINDS)
def test_metadata_and_names_come_back_as_they_were(kind, how, tmp_path):
    values = KINDS[kind]
    metadata = pd.DataFrame({"m": values, "n": pd.array([True, False])}, index=values.rename("name"))
    retriever = SubsequenceRetriever(scales=(32,)).fit(panel_named(values), metadata=metadata)
    loaded = loaded_from(retriever, tmp_path, how)
    pd.testing.assert_frame_equal(loaded.metadata_, retriever.metadata_)
    pd.testing.assert_series_equal(loaded.lengths_, retriever.lengths_)
    query = retriever.rows(values[1])[20:50]
    pd.testing.assert_frame_equal(loaded.locate(query), retriever.locate(query))
    for where in ({"m": values[1]}, {"name": values[1]}, [values[1]]):
        assert set(loaded.locate(query, where=where).series) == {values[1]}


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_takes_more_of_a_kind(kind, tmp_path):
    values = KINDS[kind]
    panel = panel_named(values)
    metadata = pd.DataFrame({"m": values}, index=values)
    kept = SubsequenceRetriever(scales=(32,), store=tmp_path / "index").fit(panel.iloc[:100], metadata=metadata[:1])
    kept.partial_fit(panel.iloc[100:], metadata=metadata[1:])
    loaded = SubsequenceRetriever.load(tmp_path / "index")
    assert loaded.metadata_["m"].tolist() == values.tolist()
    assert loaded.metadata_["m"].dtype == metadata["m"].dtype
    assert loaded.lengths_.index.dtype == kept.lengths_.index.dtype


def test_new_categories_make_text_of_all(tmp_path):
    given = {name: panel_named(pd.Index([0]))[0] for name in "ab"}
    first, second = (pd.DataFrame({"m": pd.Categorical([one])}, index=[name]) for one, name in (("x", "a"), ("y", "b")))
    kept = SubsequenceRetriever(scales=(32,), store=tmp_path / "index").fit({"a": given["a"]}, metadata=first)
    kept.partial_fit({"b": given["b"]}, metadata=second)
    assert SubsequenceRetriever.load(tmp_path / "index").metadata_["m"].tolist() == ["x", "y"]


@pytest.mark.parametrize(
    ("before", "more", "message"),
    [
        ([1], [1.5], "it is int64 so far, and with the new series float64"),
        (["x"], [1], "found mixed-integer"),
        ([True], [2], "it is bool so far"),
        (STAMPS[:1].tz_localize("UTC"), STAMPS[:1], "m"),
        (STAMPS[:1].tz_localize("UTC"), STAMPS[:1].tz_localize("Europe/Berlin"), "found datetime .object."),
        (["x"], [None], "some text is missing"),
    ],
)
def test_metadata_of_another_kind_are_refused_and_change_nothing(before, more, message, tmp_path):
    series = panel_named(pd.Index([0]))[0]
    kept = SubsequenceRetriever(scales=(32,), store=tmp_path / "index")
    kept.fit({"a": series}, metadata=pd.DataFrame({"m": before}, index=["a"]))
    with pytest.raises(TypeError, match=message):
        kept.partial_fit(
            {"a": series.set_axis(HOURS + HOURS.freq * 100), "b": series},
            metadata=pd.DataFrame({"m": more}, index=["b"]),
        )
    with pytest.raises(TypeError, match=message):
        kept.partial_fit({"b": series}, metadata=pd.DataFrame({"m": more}, index=["b"]))
    assert kept.lengths_.to_dict() == {"a": 100}
    kept.partial_fit({"c": series}, metadata=pd.DataFrame({"m": before}, index=["c"]))
    assert SubsequenceRetriever.load(tmp_path / "index").metadata_["m"].tolist() == [*before, *before]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (pd.IntervalIndex.from_breaks([0, 1, 2]), "found interval"),
        (pd.array([1, None], dtype="Int64"), "some whole number is missing"),
        ([True, None], "some truth value is missing"),
        (["x", 1], "found mixed"),
        (pd.Categorical(STAMPS), "its categories are datetime64"),
    ],
)
def test_what_no_folder_keeps_is_refused_by_name(values, message, tmp_path):
    metadata = pd.DataFrame({"m": values}, index=["a", "b"])
    series = panel_named(pd.Index([0]))[0]
    given = {"a": series, "b": series}
    with pytest.raises(TypeError, match=f"metadata column 'm': {message}"):
        SubsequenceRetriever(store=tmp_path / "index").fit(given, metadata=metadata)
    assert SubsequenceRetriever().fit(given, metadata=metadata).n_series_ == 2


# The name of the second is that of a zone with summer time.
@pytest.mark.parametrize("zone", [tzoffset("X", 3600), timezone(timedelta(hours=1), "CET")])
def test_zones_that_no_name_gives_back_are_refused_before_anything_is_written(zone, tmp_path):
    series = panel_named(pd.Index([0]))[0]
    metadata = pd.DataFrame({"m": STAMPS.tz_localize(zone)[:1]}, index=["a"])
    for given, known, what in (
        ({"a": series}, metadata, "metadata column 'm'"),
        ({"a": series.tz_localize(zone)}, None, "X"),
    ):
        message = f"{what}: found the time zone .* with tz_convert"
        with pytest.raises(TypeError, match=message):
            SubsequenceRetriever(store=tmp_path / "index").fit(given, metadata=known)
        retriever = SubsequenceRetriever().fit(given, metadata=known)
        with pytest.raises(TypeError, match=message):
            retriever.save(tmp_path / "index")
        with pytest.raises(TypeError, match=message):
            tsrec.save(retriever, tmp_path / "index.tsrec")
    assert not list(tmp_path.iterdir())
