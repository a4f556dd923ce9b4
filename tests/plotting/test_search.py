"""Pictures of what was found: matches on top of a query and on their series, events on a timeline."""

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib import dates
from matplotlib import pyplot as plt

from tsrec.plotting import EventsDisplay, MatchesDisplay
from tsrec.plotting._envelope import envelope
from tsrec.plotting._tracks import plain_times
from tsrec.retrieval import SubsequenceRetriever

matplotlib.use("Agg")
HOURS = pd.date_range("2026-01-01", periods=400, freq="h")


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def walks(n_channels=2, names="abc", index=HOURS):
    rng = np.random.default_rng(0)
    parts = {
        name: pd.DataFrame(rng.normal(size=(len(index), n_channels)).cumsum(axis=0), index, list("xyzuvw")[:n_channels])
        for name in names
    }
    return pd.concat(parts, names=["series", "time"])


@pytest.fixture(scope="module")
def retriever():
    return SubsequenceRetriever(scales=(32,)).fit(walks())


def normal(values):
    return (values - values.mean()) / values.std()


def titles(display):
    return [ax.get_title(loc="left") for ax in np.atleast_1d(display.ax_)]


def marks(ax):
    """Ends of the shaded spans, in the order they were drawn."""
    return [(span.get_x(), span.get_x() + span.get_width()) for span in ax.patches]


def test_matches_lie_on_the_query_and_are_marked_on_their_series(retriever):
    query = walks().loc["b"].iloc[100:140] * 3 + 7
    display = MatchesDisplay.from_retriever(retriever, query, k=6)
    found = display.matches
    assert titles(display)[:2] == ["x", "y"]
    assert titles(display)[2:] == [
        f"{name}: {count} match{'' if count == 1 else 'es'}"
        for name, count in found["series"].value_counts(sort=False).loc[found["series"].unique()].items()
    ]
    for channel, ax in zip("xy", display.ax_, strict=False):
        *matches, own = ax.lines
        np.testing.assert_allclose(own.get_ydata(), normal(query[channel].to_numpy()), atol=1e-9)
        assert len(matches) == 6
        # The last one drawn is the best: the interval itself.
        np.testing.assert_allclose(matches[-1].get_ydata(), own.get_ydata(), atol=1e-9)
        worst = found.iloc[-1]
        rows = walks().loc[worst["series"]][worst["start"] : worst["end"]][channel].to_numpy()[:-1]
        np.testing.assert_allclose(matches[0].get_ydata(), normal(rows), atol=1e-9)
    for name, ax in zip(found["series"].unique(), display.ax_[2:], strict=True):
        own = found[found["series"] == name]
        expected = dates.date2num(own[["start", "end"]].to_numpy())
        np.testing.assert_allclose(marks(ax), expected)
        assert sorted(text.get_text() for text in ax.texts) == sorted(own["rank"].astype(str))
        np.testing.assert_allclose(ax.lines[0].get_ydata(), walks().loc[name]["x"])
    assert [text.get_text() for text in display.ax_[0].get_legend().get_texts()] == ["query", *map(str, range(6))]


def test_shorter_matches_are_drawn_as_long_as_the_query():
    x = np.random.default_rng(0).normal(size=400).cumsum()
    retriever = SubsequenceRetriever(scales=(32,)).fit(pd.Series(x, name="x"))
    query = np.interp(np.linspace(200, 249, 60), np.arange(400), x)
    display = MatchesDisplay.from_retriever(retriever, query, k=1, warp=(0.8, 1.0))
    match, own = display.ax_[0].lines
    assert len(match.get_xdata()) == 48
    assert match.get_xdata()[-1] == own.get_xdata()[-1] == 59


def test_level_and_scale_are_drawn_where_they_count():
    panel = walks(1, "ab")
    retriever = SubsequenceRetriever(scales=(32,), metric="euclidean").fit(panel)
    display = MatchesDisplay.from_retriever(retriever, panel.loc["b"].iloc[100:140], k=1)
    for line in display.ax_[0].lines:
        np.testing.assert_allclose(line.get_ydata(), panel.loc["b"]["x"].iloc[100:140])


def test_chosen_channels_and_series_are_shown(retriever):
    query = walks().loc["c"].iloc[30:60]
    display = MatchesDisplay.from_retriever(retriever, query[["y"]], k=9, series=["c"])
    assert titles(display)[0] == "y"
    assert len(display.ax_) == 2
    np.testing.assert_allclose(display.ax_[1].lines[0].get_ydata(), walks().loc["c"]["y"])
    assert len(display.ax_[0].lines) == len(display.matches) + 1
    named = MatchesDisplay.from_retriever(retriever, query["y"].to_numpy(), channels=["y"], k=1)
    np.testing.assert_allclose(named.ax_[0].lines[-1].get_ydata(), display.ax_[0].lines[-1].get_ydata())
    both = MatchesDisplay.from_retriever(retriever, query.to_numpy().T[None], k=1)
    assert titles(both)[:2] == ["x", "y"]
    listed = MatchesDisplay.from_retriever(retriever, [query.to_numpy()], k=1)
    np.testing.assert_allclose(listed.ax_[1].lines[-1].get_ydata(), both.ax_[1].lines[-1].get_ydata())


def test_of_many_series_the_first_are_shown_and_the_rest_told():
    retriever = SubsequenceRetriever(scales=(32,)).fit(walks(1, "abcdefgh"))
    found = pd.DataFrame({"series": list("abcdefgh"), "start": HOURS[5], "end": HOURS[25]})
    display = MatchesDisplay(found, retriever).plot()
    assert len(display.ax_) == 1 + 6
    assert display.ax_[-1].get_xlabel() == "matches of 2 more series are not shown"
    assert len(display.ax_[0].lines) == 8
    assert titles(display)[1] == "a: 1 interval"


def test_motifs_have_a_colour_for_each_pair(retriever):
    display = MatchesDisplay(retriever.motifs(24, k=2), retriever).plot()
    colours = [line.get_color() for line in display.ax_[0].lines]
    assert len(colours) == 4
    assert len({tuple(colour) for colour in colours}) == 2


def test_matches_can_be_drawn_on_given_axes(retriever):
    query = walks().loc["b"].iloc[100:140]
    figure, axes = plt.subplots(1, 2)
    display = MatchesDisplay.from_retriever(retriever, query, k=2, ax=axes)
    assert display.figure_ is figure
    assert len(axes[0].lines) == 3
    _, one = plt.subplots()
    assert MatchesDisplay.from_retriever(retriever, query["x"], channels=["x"], ax=one).ax_ is one
    with pytest.raises(ValueError, match="ax: got 1 pairs of axes for 2 channels and"):
        MatchesDisplay.from_retriever(retriever, query, ax=one)


def test_matches_that_cannot_be_shown_are_told(retriever):
    query = walks().loc["b"].iloc[100:140]
    found = retriever.locate([query.to_numpy(), query.to_numpy()])
    with pytest.raises(ValueError, match="matches: they belong to 2 queries"):
        MatchesDisplay(found, retriever, query).plot()
    with pytest.raises(ValueError, match="query: found 2 queries"):
        MatchesDisplay(found[found["query"] == 0], retriever, [query, query]).plot()
    with pytest.raises(TypeError, match=r"matches: found list\. Give a frame with the columns series, start and end"):
        MatchesDisplay([], retriever).plot()
    with pytest.raises(ValueError, match="matches: there are none, and no query"):
        MatchesDisplay(found[:0], retriever).plot()
    with pytest.raises(ValueError, match="channels: 'w' is none of them"):
        MatchesDisplay(found[found["query"] == 0], retriever, query, channels=["w"]).plot()
    alone = MatchesDisplay(found[:0], retriever, query).plot()
    assert len(alone.ax_) == 2


@pytest.mark.parametrize(
    "index",
    [
        pd.period_range("1990-01", periods=400, freq="M"),
        pd.to_timedelta(np.arange(400) * 20, unit="ms"),
        pd.Index(np.arange(400) / 160 + 3),
        pd.date_range("2026-03-20", periods=400, freq="h", tz="Europe/Berlin"),
        pd.RangeIndex(400),
    ],
    ids=["periods", "durations", "seconds", "zone", "rows"],
)
def test_times_of_every_kind_are_drawn(index):
    series = pd.Series(np.random.default_rng(0).normal(size=400).cumsum(), index, name="x")
    retriever = SubsequenceRetriever(scales=(32,)).fit(series)
    display = MatchesDisplay.from_retriever(retriever, series.iloc[150:200], k=2)
    first = plain_times(index[[150]])[0]
    expected = dates.date2num(first) if isinstance(first, np.datetime64) else first
    assert marks(display.ax_[1])[0][0] == pytest.approx(expected)
    display.figure_.canvas.draw()
    found = retriever.locate(series.iloc[150:200], k=2).assign(label="it")
    events = EventsDisplay(found).plot()
    assert events.ax_.collections[0].get_paths()[0].get_extents().x0 == pytest.approx(expected)
    events.figure_.canvas.draw()


def test_an_envelope_keeps_every_peak_and_every_hole():
    values = np.random.default_rng(0).normal(size=100_000)
    values[[123, 99_999]] = 50, -50
    values[40_010:50_020] = np.nan
    times, line = envelope(pd.RangeIndex(len(values)), values)
    assert len(times) == len(line) == 4000
    assert (np.nanmax(line), np.nanmin(line)) == (50, -50)
    assert times[np.nanargmax(line)] == 100
    # Pieces have 50 rows; those of which some are seen are drawn.
    assert np.isnan(line[(times >= 40_050) & (times < 50_000)]).all()
    assert not np.isnan(line[(times <= 40_000) | (times >= 50_000)]).any()
    short = envelope(pd.RangeIndex(4000), values[:4000])
    np.testing.assert_array_equal(short[1], values[:4000])


def found_events():
    return pd.DataFrame(
        {
            "series": ["a", "a", "b"],
            "start": HOURS[[0, 10, 3]],
            "end": HOURS[[10, 15, 9]],
            "label": ["walk", "sit", "walk"],
        }
    )


def test_events_have_a_line_for_each_series_and_a_colour_for_each_label():
    truth = found_events().assign(label=["walk", "walk", "run"])
    display = EventsDisplay(found_events(), truth).plot()
    assert [text.get_text() for text in display.ax_.get_yticklabels()] == ["a, found", "true", "b, found", "true"]
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["run", "sit", "walk"]
    drawn = [(bars.get_paths()[0].get_extents(), tuple(bars.get_facecolor()[0])) for bars in display.ax_.collections]
    # Walk and sit of a, found; both walks of a, true; then b.
    assert len(drawn) == 5
    assert drawn[0][0].x0 == pytest.approx(dates.date2num(HOURS[0]))
    assert drawn[0][0].x1 == pytest.approx(dates.date2num(HOURS[10]))
    assert drawn[0][1] == drawn[2][1] == drawn[3][1]
    assert len({colour for _, colour in drawn}) == 3
    assert [bars.get_paths()[0].get_extents().y0 for bars in display.ax_.collections] == sorted(
        bars.get_paths()[0].get_extents().y0 for bars in display.ax_.collections
    )


def test_events_of_chosen_series_are_found_and_shown():
    class Locator:
        def table(self, where=None, time_range=None):
            self.asked = where, time_range
            events = found_events()
            return events if where is None else events[events["series"].isin(where)]

    locator = Locator()
    _, ax = plt.subplots()
    display = EventsDisplay.from_locator(locator, series=["b"], time_range=(None, HOURS[9]), ax=ax)
    assert locator.asked == (["b"], (None, HOURS[9]))
    assert display.ax_ is ax
    assert [text.get_text() for text in ax.get_yticklabels()] == ["b"]
    north = found_events().replace({"series": {"b": "north"}})
    alone = EventsDisplay(north, series="north").plot()
    assert [text.get_text() for text in alone.ax_.get_yticklabels()] == ["north"]
    bare = EventsDisplay(found_events()[:2].drop(columns="series"), found_events().drop(columns="series")).plot()
    assert [text.get_text() for text in bare.ax_.get_yticklabels()] == ["found", "true"]


def test_events_that_cannot_be_shown_are_told():
    with pytest.raises(TypeError, match=r"truth: found DataFrame\. Give a frame with the columns start, end and label"):
        EventsDisplay(found_events(), pd.DataFrame({"start": [1]})).plot()
    with pytest.raises(ValueError, match="series: 'c' has no events"):
        EventsDisplay(found_events(), series=["c"]).plot()
    with pytest.raises(ValueError, match="events: found 0 labels"):
        EventsDisplay(found_events()[:0]).plot()


def test_one_channel_may_stand_without_a_list():
    rows = walks(1, "ab").rename(columns={"x": "depth"})
    retriever = SubsequenceRetriever(scales=(32,)).fit(rows)
    query = rows.loc["a"].iloc[30:60]
    shown = MatchesDisplay.from_retriever(retriever, query, channels="depth", series="a", k=1)
    assert titles(shown)[0] == "depth"
    assert titles(MatchesDisplay(shown.matches, retriever, query, channels="depth").plot())[0] == "depth"
