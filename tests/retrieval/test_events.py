import copy
import itertools

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import Pipeline

import tsrec
from tsrec import LSSLEncoder
from tsrec.retrieval import EventLocator, SubsequenceRetriever
from tsrec.retrieval._event_rows import event_rows
from tsrec.retrieval._event_steps import SeriesSteps, StepJudge, windows_around
from tsrec.retrieval._read import read_series
from tsrec.retrieval._timeline import likeliest_run, most_likely, runs
from tsrec.retrieval._unusual import unusual_windows

RATE = 10
SPEEDS = {"calm": 0.0, "slow": 0.4, "fast": 1.6}
# Seconds of labels.
LEARNED = [
    *[("calm", 40), ("slow", 10), ("calm", 30), ("fast", 6)],
    *[("calm", 30), ("slow", 14), ("fast", 10), ("calm", 40)],
]
ASKED = [
    *[("calm", 50), ("fast", 8), ("calm", 30), ("slow", 6), ("calm", 20)],
    *[("slow", 16), ("calm", 40), ("fast", 5), ("calm", 25)],
]


def series(parts, seed, start=0.0):
    rng = np.random.default_rng(seed)
    label = np.repeat([name for name, _ in parts], [seconds * RATE for _, seconds in parts])
    speed = np.array([SPEEDS[name] for name in label])
    values = 2 * np.sin(np.cumsum(speed)) + 0.5 * rng.standard_normal(len(label))
    return pd.DataFrame({"x": values}, index=pd.Index(start + np.arange(len(values)) / RATE, name="time"))


def truth(parts, name, start=0.0):
    edges = start + np.cumsum([0] + [seconds for _, seconds in parts])
    rows = [(name, a, b, label) for a, b, (label, _) in zip(edges[:-1], edges[1:], parts, strict=True)]
    return pd.DataFrame(rows, columns=["series", "start", "end", "label"])


EVENTS = pd.concat([truth(LEARNED, "one"), truth(LEARNED[::-1], "two", 1000.0)], ignore_index=True)
SERIES = {"one": series(LEARNED, 0), "two": series(LEARNED[::-1], 1, 1000.0), "asked": series(ASKED, 2, 500.0)}
TRUE = truth(ASKED, "asked", 500.0)


@pytest.fixture(scope="module")
def retriever():
    return SubsequenceRetriever(scales=(16, 32)).fit(SERIES)


@pytest.fixture(scope="module")
def locator(retriever):
    return EventLocator(retriever, background=False, random_state=0).fit(EVENTS)


def test_the_table_is_what_happened(locator):
    found = locator.table(where="asked")
    assert list(found.columns) == ["series", "start", "end", "label", "score"]
    assert found.label.tolist() == TRUE.label.tolist()
    assert (found.series == "asked").all()
    np.testing.assert_allclose(found.start, TRUE.start, atol=1.0)
    np.testing.assert_allclose(found.end, TRUE.end, atol=1.0)
    assert found.score.between(0.5, 1).all()
    assert found.start.iloc[0] == 500.0
    assert found.end.iloc[-1] == pytest.approx(SERIES["asked"].index[-1] + 1 / RATE)
    assert (found.start.iloc[1:].to_numpy() == found.end.iloc[:-1].to_numpy()).all()


def test_all_series_are_told_of_in_order(locator):
    found = locator.table()
    assert found.series.unique().tolist() == ["one", "two", "asked"]
    assert found.groupby("series").start.is_monotonic_increasing.all()
    assert locator.table(where=["two", "one"]).equals(found[found.series != "asked"])


def test_examples_are_described(locator):
    assert locator.labels_.tolist() == ["calm", "fast", "slow"]
    np.testing.assert_allclose(locator.durations_, [350, 80, 120])


def test_events_of_a_label_come_best_first(locator):
    found = locator.locate("fast", where="asked")
    assert len(found) == 2
    assert found.score.is_monotonic_decreasing
    assert sorted(found.start.round().tolist()) == [550, 670]
    assert len(locator.locate("fast", k=1, where="asked")) == 1


def test_questions_are_answered_from_the_table(locator):
    asked = {"where": "asked"}
    assert locator.exists("slow", **asked)
    assert [locator.count(label, **asked) for label in ("calm", "fast", "slow")] == [5, 2, 2]
    assert locator.count("fast") == 6
    assert locator.label_at(554, **asked) == "fast"
    assert locator.label_at(100, **asked) is None
    assert locator.label_at(554) == "fast"
    assert locator.longest("slow", **asked).start[0] == pytest.approx(614, abs=1)
    assert locator.shortest("slow", **asked).start[0] == pytest.approx(588, abs=1)
    assert locator.longest("fast", **asked).start[0] == pytest.approx(550, abs=1)


def test_before_after_and_order_go_by_the_best_event(locator):
    early = {"where": "asked", "time_range": (500, 640)}
    assert locator.order(["slow", "fast"], **early) == ["fast", "slow"]
    assert locator.order(["slow", "fast"], where="asked", time_range=(600, 720)) == ["slow", "fast"]
    assert locator.order(["fast", "slow"], where="asked", time_range=(500, 570)) == ["fast"]
    assert locator.before("fast", **early) == "calm"
    assert locator.before("calm", where="asked", time_range=(552, 580)) == "fast"
    assert locator.before("calm", where="asked", time_range=(500, 545)) is None
    assert locator.after("slow", "fast", **early).start[0] == pytest.approx(588, abs=1)
    assert locator.after("slow", "fast", k=2, **early).start[0] == pytest.approx(614, abs=1)
    assert not len(locator.after("slow", "fast", k=3, **early))
    late = {"where": "asked", "time_range": (560, 720)}
    assert locator.after("slow", "fast", k=-1, **late).start[0] == pytest.approx(614, abs=1)
    assert locator.after("slow", "fast", k=-2, **late).start[0] == pytest.approx(588, abs=1)


def test_a_time_range_cuts_events_off(locator):
    found = locator.table(where="asked", time_range=(553, 600))
    assert found.label.tolist() == ["fast", "calm", "slow", "calm"]
    assert found.start.iloc[0] == 553
    assert found.end.iloc[-1] == 600
    assert not len(locator.table(where="asked", time_range=(0, 400)))
    # Shorter than the longer scale: what the short windows say is enough.
    assert locator.table(where="asked", time_range=(552, 554)).label.tolist() == ["fast"]
    short = {"where": "asked", "time_range": (552, 552.5)}
    assert not len(locator.table(**short))
    assert not len(locator.locate("fast", k=1, **short))
    assert not len(locator.after("slow", "fast", **short))
    assert locator.before("fast", **short) is None


@pytest.mark.slow
def test_what_is_not_there_has_a_likeliest_place_all_the_same(locator):
    quiet = {"where": "asked", "time_range": (500, 545)}
    assert not locator.exists("fast", **quiet)
    assert not len(locator.locate("fast", **quiet))
    best = locator.locate("fast", k=1, **quiet)
    assert len(best) == 1
    assert best.label[0] == "fast"
    assert best.score[0] < 0.5
    # The examples have 6 and 10 s, twice each.
    assert best.end[0] - best.start[0] == pytest.approx(6.0, abs=0.4)
    assert best.start[0] >= 500
    assert best.end[0] <= 545


def test_an_event_lasts_half_as_long_as_three_in_four_examples_at_least(retriever, locator):
    """Their lower quartiles are 30, 6 and 10 s."""
    assert locator._least().tolist() == [38, 8, 12]
    assert EventLocator(retriever, random_state=0).fit(EVENTS)._least().tolist() == [38, 8, 12, 1]
    burst = series([("calm", 20), ("fast", 1), ("calm", 40), ("fast", 2)], 3)
    grown = copy.deepcopy(locator)
    grown.retriever.partial_fit({"burst": burst})
    found = grown.table(where="burst")
    assert found.label.iloc[-1] == "fast"
    assert (found.end - found.start).iloc[:-1].min() >= 3.2 - 1e-9
    # What the end of the series cuts off may be shorter.
    assert (found.end - found.start).iloc[-1] < 3.2
    grown._usual = np.zeros(3)
    found = grown.table(where="burst")
    assert (found.end - found.start).iloc[:-1].min() < 3.2 - 1e-9


def test_few_examples_stand_out_from_a_background(retriever):
    events = EVENTS[(EVENTS.label == "fast") & (EVENTS.series == "one")]
    locator = EventLocator(retriever, random_state=0).fit(events)
    assert locator.labels_.tolist() == ["fast"]
    found = locator.table(where="asked")
    np.testing.assert_allclose(found.start, [550, 670], atol=1.5)
    np.testing.assert_allclose(found.end, [558, 675], atol=1.5)
    assert locator.label_at(520, where="asked") is None


def test_a_time_in_several_series_needs_a_name():
    frames = {"a": SERIES["one"], "b": series(LEARNED, 4)}
    locator = EventLocator(SubsequenceRetriever(scales=(16, 32)).fit(frames), background=False, random_state=0)
    locator.fit(truth(LEARNED, "a"))
    assert locator.label_at(20, where="b") == "calm"
    with pytest.raises(ValueError, match=r"time: events of several series, such as \['a', 'b'\], cover 20"):
        locator.label_at(20)


@pytest.mark.parametrize("background", [True, False])
def test_files_hold_all_that_was_learned(retriever, background, tmp_path):
    locator = EventLocator(retriever, background=background, random_state=0).fit(EVENTS)
    tsrec.save(locator, tmp_path / "events.tsrec")
    loaded = tsrec.load(tmp_path / "events.tsrec")
    pd.testing.assert_frame_equal(loaded.table(), locator.table())
    pd.testing.assert_frame_equal(loaded.locate("slow", k=3), locator.locate("slow", k=3))
    loaded.retriever.reindex()
    tsrec.save(EventLocator(retriever), tmp_path / "empty.tsrec")
    assert not tsrec.load(tmp_path / "empty.tsrec").__sklearn_is_fitted__()


def test_times_are_those_of_the_index():
    start = pd.Timestamp("2026-03-01", tz="Europe/Zurich")

    def dated(parts, seed):
        frame = series(parts, seed)
        return frame.set_index(pd.date_range(start, periods=len(frame), freq="100ms"))

    both = {"one": dated(LEARNED, 0), "asked": dated(ASKED, 2)}
    events = truth(LEARNED, "one")
    for column in ("start", "end"):
        events[column] = start + pd.to_timedelta(events[column], unit="s")
    retriever = SubsequenceRetriever(scales=(16, 32)).fit(both)
    locator = EventLocator(retriever, background=False).fit(events)
    found = locator.locate("slow", where="asked").sort_values("start")
    assert found.start.dtype == both["one"].index.dtype
    away = (found.start - (start + pd.to_timedelta([88, 114], unit="s"))).abs()
    assert (away < pd.Timedelta("1s")).all()
    assert locator.label_at(start + pd.Timedelta("54s"), where="asked") == "fast"


def test_one_series_needs_no_names():
    x = series(LEARNED + ASKED, 3)
    locator = EventLocator(SubsequenceRetriever(scales=(16, 32)).fit(x), background=False)
    locator.fit(truth(LEARNED, 0).drop(columns="series"))
    assert locator.count("fast", time_range=(180, None)) == 2


def test_series_that_come_later_are_searched_too(retriever, locator):
    grown = copy.deepcopy(locator)
    grown.retriever.partial_fit({"later": series(ASKED, 5)})
    assert grown.table(where="later").label.tolist() == TRUE.label.tolist()
    assert grown.table(where="asked").equals(locator.table(where="asked"))
    grown.retriever.forget("one")
    assert grown.table(where="later").label.tolist() == TRUE.label.tolist()
    assert grown.table().series.unique().tolist() == ["two", "asked", "later"]


@pytest.fixture(scope="module")
def encoder():
    """One that has learned too little to tell slow from fast."""
    model = LSSLEncoder(d_model=8, n_layers=1, max_epochs=20, crop=128, random_state=0)
    return model.fit([SERIES["one"].to_numpy()])


def test_encoders_find_events_with_the_spectra_of_the_same_windows(encoder):
    retriever = SubsequenceRetriever(encoder=encoder, scales=(16, 32)).fit(SERIES)
    locator = EventLocator(retriever, background=False, random_state=0).fit(EVENTS)
    found = locator.table(where="asked")
    assert found.label.tolist() == TRUE.label.tolist()
    np.testing.assert_allclose(found.start, TRUE.start, atol=1.5)


def test_windows_of_a_carried_encoder_are_told_by_its_spreads_their_spectra_levels_and_loudness(encoder):
    retriever = SubsequenceRetriever(encoder=encoder, scales=(16, 32), carry_state=True).fit(SERIES)
    windows = retriever._windows_of_all()
    chosen = np.array([3, 40])
    found = windows.features(retriever._contents.corpus, 16, chosen)
    values = SERIES["one"].to_numpy()
    steps = encoder.transform_steps([values]).to_numpy()
    for row, vector in zip(windows.of(16).rows[chosen], found, strict=True):
        part = values[row : row + 16]
        level, spread = part.mean(0), part.std(0)
        size = np.abs(np.fft.rfft((part - level)[:, 0] / spread / 4, norm="ortho"))[1:]
        # Eight frequencies of 32 asked for; all but the fastest have a conjugate.
        spectrum = np.pad(size * np.sqrt([2.0] * 7 + [1.0]), (0, 24))
        told = np.log(steps[row : row + 16].std(0) + 0.1), np.log(spectrum + 0.03), level, np.log(spread)
        np.testing.assert_allclose(vector, np.concatenate(told), atol=1e-3)


def test_windows_of_an_encoder_that_reads_each_by_itself_are_told_by_its_vectors(encoder):
    """No spectra beside them: such a vector is of the window alone as it is."""
    whole = SubsequenceRetriever(encoder=Pipeline([("only", encoder)]), scales=(16,)).fit(SERIES)
    windows = whole._windows_of_all()
    found = windows.features(whole._contents.corpus, 16, np.array([3]))
    row = windows.of(16).rows[3]
    part = SERIES["one"].to_numpy()[row : row + 16]
    told = encoder.transform([part])[0], part.mean(0), np.log(part.std(0))
    np.testing.assert_allclose(found[0], np.concatenate(told), atol=1e-3)


def test_anomalies_are_far_from_the_middle_of_their_series(locator, retriever):
    odd = series([("calm", 200)], 7)
    odd.iloc[1200:1232] += 8 * np.sin(np.arange(32) * 2.5)[:, None]
    odd.iloc[400:432] += 3 * np.sin(np.arange(32) * 2.5)[:, None]
    grown = copy.deepcopy(retriever).partial_fit({"odd": odd})
    asked = EventLocator(grown)
    found = asked.anomalies(2, where="odd")
    assert list(found.columns) == ["series", "start", "end", "score"]
    np.testing.assert_allclose(found.start, [120.0, 40.0], atol=0.81)
    np.testing.assert_allclose(found.end - found.start, 3.2)
    assert found.score[0] > found.score[1] > 2
    many = asked.anomalies(30, where="odd").sort_values("start")
    assert len(many) == 30
    assert (many.start.to_numpy()[1:] >= many.end.to_numpy()[:-1] - 1e-9).all()
    early = asked.anomalies(1, where="odd", time_range=(0, 100))
    assert early.start[0] == pytest.approx(40, abs=1)
    assert early.score[0] == pytest.approx(found.score[1])
    assert asked.anomalies(1).series[0] == "odd"
    assert not len(asked.anomalies(where="odd", time_range=(0, 1)))


def test_deviations_are_robust_ones(retriever):
    windows, corpus = retriever._windows_of_all(), retriever._contents.corpus
    high = corpus.lengths * (np.arange(3) == 0)
    found = unusual_windows(windows, corpus, np.zeros(3, int), high, 1)
    mine = np.flatnonzero(windows.of(32).series == 0)
    x = windows.features(corpus, 32, mine)
    off = np.abs(x - np.median(x, 0))
    varies = np.median(off, 0) > 0
    score = np.sqrt(((off[:, varies] / (1.4826 * np.median(off, 0)[varies])) ** 2).mean(1))
    assert found.scores[0] == pytest.approx(score.max(), rel=1e-5)
    assert found.rows[0] == windows.of(32).rows[mine][score.argmax()]
    assert found.scales[0] == 32


STAY = [[0.9, 0.9, 0.9], [0.6, 0.99, 0.8], [0.2, 0.3, 0.25]]


def every_sequence(likelihood, stay):
    """All sequences of labels, and what each is worth."""
    n, n_labels = likelihood.shape
    keep, change = np.log(stay), np.log((1 - stay) / max(n_labels - 1, 1))
    for path in itertools.product(range(n_labels), repeat=n):
        moves = [keep[a] if a == b else change[a] for a, b in itertools.pairwise(path)]
        yield path, sum(likelihood[t, label] for t, label in enumerate(path)) + sum(moves)


def runs_of(path, label):
    """First steps of the stretches of a label, and the steps after their last."""
    first, last, labels = runs(np.array(path))
    return {(a, b) for a, b, one in zip(first, last, labels, strict=True) if one == label}


@pytest.mark.parametrize("least", [[1, 1, 1], [2, 1, 3], [4, 3, 2], [9, 9, 9]])
@pytest.mark.parametrize("stay", STAY)
def test_the_most_likely_sequence_is_the_best_of_those_without_short_stretches(stay, least):
    rng = np.random.default_rng(0)

    def is_long(path):
        first, last, label = runs(np.array(path))
        # Those at the ends may be cut off.
        return all(b - a >= least[one] for a, b, one in zip(first, last, label, strict=True) if a > 0 and b < len(path))

    for n_labels in (1, 2, 3):
        some, likelihood = np.array(stay)[:n_labels], rng.standard_normal((7, n_labels)) * 2
        worth = {path: value for path, value in every_sequence(likelihood, some) if is_long(path)}
        found = tuple(most_likely(likelihood, some, np.array(least)))
        assert worth[found] == pytest.approx(max(worth.values()))


@pytest.mark.parametrize("least", [1, 3, 6, 9])
@pytest.mark.parametrize("stay", STAY)
def test_the_likeliest_run_is_that_of_the_best_sequence_with_one(stay, least):
    rng = np.random.default_rng(1)
    for n_labels, label in itertools.product((2, 3), (0, 1)):
        some, likelihood = np.array(stay)[:n_labels], rng.standard_normal((6, n_labels)) * 2
        # Hardly ever there, of itself.
        likelihood[:, label] -= 3
        first, last = likeliest_run(likelihood, some, label, least)
        known = list(every_sequence(likelihood, some))
        within = {
            (low, high): max(worth for path, worth in known if runs_of(path, label) >= {(low, high)})
            for low, high in itertools.combinations(range(7), 2)
            if high - low >= min(least, 6)
        }
        assert (first, last) == max(within, key=within.get)
    assert likeliest_run(np.zeros((4, 1)), np.array([0.9]), 0, 2) == (0, 4)


def test_runs_are_stretches_of_equal_labels():
    first, last, label = runs(np.array([2, 2, 0, 1, 1, 1]))
    assert (first.tolist(), last.tolist(), label.tolist()) == ([0, 2, 3], [2, 3, 6], [2, 0, 1])


@pytest.mark.parametrize(("low", "high"), [(0, 400), (37, 203), (5, 26)])
def test_the_windows_around_a_step_are_the_nearest_whole_ones(retriever, low, high):
    windows = retriever._windows_of_all()
    steps = SeriesSteps(2, low, high, 4)
    found = windows_around(windows, steps)
    assert len(steps) == -(-(high - low) // 4)
    whole = {}
    for scale in windows.scales:
        rows = windows.of(scale).rows[windows.of(scale).series == 2]
        whole[scale] = ((rows >= low) & (rows + scale <= high)).any()
    assert found.scales == [scale for scale in windows.scales if whole[scale]]
    for scale, numbers in zip(found.scales, found.windows, strict=True):
        _, owner, rows = windows.of(scale)
        mine = np.flatnonzero((owner == 2) & (rows >= low) & (rows + scale <= high))
        away = np.abs(rows[mine] + scale / 2 - steps.middles()[:, None])
        np.testing.assert_allclose(np.abs(rows[numbers] + scale / 2 - steps.middles()), away.min(1))
        assert (owner[numbers] == 2).all()


def test_steps_without_windows_say_nothing():
    x = series(LEARNED, 0)
    x.iloc[500:700] = np.nan
    retriever = SubsequenceRetriever(scales=(16,)).fit(x)
    judge, data = StepJudge(3), (retriever._windows_of_all(), retriever._contents.corpus)
    steps = SeriesSteps(0, 0, len(x), 4)
    label = np.arange(len(steps)) % 2 * 2
    judge.fit(data, [steps], [label], 1000, np.random.default_rng(0))
    said = judge.said(data, steps)
    middles = steps.middles()
    missing = (middles >= 510) & (middles < 690)
    np.testing.assert_allclose(said[missing], -np.log(3))
    assert (said[~missing & ((middles < 480) | (middles > 720))] != -np.log(3)).any(1).all()
    # The label that no step had is as likely as the others are on average.
    np.testing.assert_allclose(said[:, 1], said[:, [0, 2]].mean(1))


def test_steps_are_known_by_their_middle_and_short_events_by_their_own():
    panel = read_series({"a": pd.Series(np.zeros(100))}, where="X")
    times, names = panel.times, panel.panel.labels
    events = pd.DataFrame({"start": [10, 30, 57], "end": [30, 40, 58], "label": ["a", "b", "c"]})
    rows = event_rows(events, names, times, np.array([100]))
    steps = SeriesSteps(0, 0, 100, 8)
    found = rows.of_steps(0, steps.middles(), 8)
    expected = np.full(13, -1)
    expected[[1, 2, 3]], expected[4], expected[7] = 0, 1, 2
    assert found.tolist() == expected.tolist()


def test_what_cannot_be_used_is_refused(retriever, locator):
    with pytest.raises(TypeError, match="retriever: found NoneType"):
        EventLocator().fit(EVENTS)
    with pytest.raises(TypeError, match="retriever: found NoneType"):
        EventLocator().anomalies()
    with pytest.raises(ValueError, match=r"k: found 0\. Give a whole number"):
        EventLocator(retriever).anomalies(0)
    with pytest.raises(ValueError, match="background"):
        EventLocator(retriever, background=2).fit(EVENTS)
    with pytest.raises(ValueError, match="n_windows"):
        EventLocator(retriever, n_windows=1).fit(EVENTS)
    with pytest.raises(TypeError, match="events: found list"):
        EventLocator(retriever).fit([1])
    with pytest.raises(ValueError, match="without"):
        EventLocator(retriever).fit(EVENTS.drop(columns="series"))
    with pytest.raises(ValueError, match="no rows"):
        EventLocator(retriever).fit(EVENTS[:0])
    with pytest.raises(ValueError, match="series 'three', which is not among"):
        EventLocator(retriever).fit(EVENTS.assign(series="three"))
    for column in ("start", "end", "label"):
        with pytest.raises(ValueError, match="row 1 lacks a start, an end or a label"):
            EventLocator(retriever).fit(
                EVENTS.assign(**{column: EVENTS[column].where(EVENTS.index != EVENTS.index[1])})
            )
    with pytest.raises(ValueError, match="covers no row"):
        EventLocator(retriever).fit(EVENTS.assign(end=EVENTS.start))
    with pytest.raises(ValueError, match="nothing can be told apart"):
        EventLocator(retriever, background=False).fit(EVENTS[EVENTS.label == "calm"])
    with pytest.raises(ValueError, match=r"label: found 'loud', the examples have \['calm', 'fast', 'slow'\]"):
        locator.locate("loud")
    with pytest.raises(ValueError, match="not fitted"):
        EventLocator(retriever).table()
