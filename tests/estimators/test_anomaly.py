"""The anomaly detector: what it finds, that it reads no future, and that it keeps to frames as they are."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import genpareto
from sklearn.base import clone

import tsrec
from tsrec import AnomalyDetector, LSSLForecaster, SeasonalMeanForecaster, SeasonalNaiveForecaster, ThetaForecaster
from tsrec.estimators import _surprise
from tsrec.estimators._surprise import Past, rare_before, usual_tail
from tsrec.estimators._tails import rare_level


def recording(rows=400, channels=2, seed=0, start="2024"):
    values = np.random.default_rng(seed).normal(size=(rows, channels))
    values[:, 0] += 5 * np.sin(np.arange(rows) * np.pi / 6)
    columns = [f"x{i}" for i in range(channels)]
    return pd.DataFrame(values, pd.date_range(start, periods=rows, freq="h", name="time"), columns)


def panel(n=3):
    return pd.concat({f"s{i}": recording(200 + 30 * i, seed=i) for i in range(n)}, names=["series"])


def detector(**options):
    return AnomalyDetector(SeasonalMeanForecaster(season=12, context=48), **{"horizon": 3, **options})


VARIANTS = {
    "defaults": {},
    "no memory": {"memory": None, "smoothing": 5},
    "short memory": {"memory": 120, "horizon": 1},
    "share": {"memory": None, "contamination": 0.05},
}


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
def test_no_score_depends_on_later_rows(options):
    frame = recording()
    model = detector(**options).fit(frame[:200])
    changed = frame.copy()
    changed.iloc[300:] = 1e3
    before, after = model.score_samples(frame), model.score_samples(changed)
    pd.testing.assert_series_equal(before[:300], after[:300])
    assert after.iloc[300] < before.iloc[300] - 1


def test_each_row_is_forecast_from_as_many_steps_before_as_asked_for():
    frame = recording()
    model = detector(horizon=4).fit(frame[:200])
    expected = model.expected(frame)
    rows = np.array([60, 61, 250])
    found = model.forecaster_.predict_cutoffs(frame, np.stack([np.zeros(3, dtype=int), rows - 3], axis=1))[:, 3]
    median = 1 + model.forecaster_.levels_.tolist().index(0.5)
    np.testing.assert_allclose(found[:, 0, median], expected["x0", "expected"].iloc[rows])


@pytest.mark.parametrize(
    ("forecaster", "close"),
    [(None, 0), (SeasonalNaiveForecaster(season=12), 0), (ThetaForecaster(season=12), 1e-9)],
)
def test_parts_and_their_bar_change_no_answer(forecaster, close, monkeypatch, bars):
    frame = panel(2)
    model = AnomalyDetector(forecaster, horizon=3).fit(frame)
    whole, expected = model.score_samples(frame), model.expected(frame)
    assert not bars
    monkeypatch.setattr(_surprise, "_PART", 100)
    model.set_params(verbose=1).fit(frame)
    found = model.score_samples(frame)
    if forecaster is None:
        assert bars.pop(0).label == "LSSLForecaster map"
    # Of fit, and of the scores.
    assert [(bar.label, bar.total, bar.moves, bar.closed) for bar in bars] == [
        ("AnomalyDetector", 5, [1] * 5, True)
    ] * 2
    pd.testing.assert_series_equal(found, whole, rtol=close, atol=close)
    pd.testing.assert_frame_equal(model.expected(frame), expected, rtol=close, atol=close)
    assert len(bars) == 3


@pytest.mark.parametrize("loud", [0, 1])
def test_a_given_forecaster_keeps_its_own_loudness(loud, bars):
    given = LSSLForecaster(context=24, max_epochs=0, verbose=loud)
    AnomalyDetector(given, horizon=3, verbose=1 - loud).fit(recording())
    assert [bar.label for bar in bars] == (["LSSLForecaster map"] if loud else ["AnomalyDetector"])


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
def test_rows_that_follow_training_have_it_for_their_history(options):
    frame = recording()
    model = detector(**options).fit(frame[:250])
    pd.testing.assert_series_equal(model.score_samples(frame)[250:], model.score_samples(frame[250:]))
    # A gap counts as missing rows; what lies before it is still known.
    holed = frame.copy()
    holed.iloc[250:260] = np.nan
    pd.testing.assert_series_equal(model.score_samples(holed)[260:], model.score_samples(frame[260:]))


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
def test_series_of_a_panel_are_scored_one_by_one(options):
    frame = panel()
    model = detector(**options).fit(frame)
    together = model.score_samples(frame)
    for name in ("s0", "s2"):
        alone = model.score_samples(frame.loc[[name]])
        pd.testing.assert_series_equal(together.loc[[name]], alone)


def test_rows_of_a_panel_may_lie_in_any_order_of_series():
    frame = panel()
    mixed = frame.sort_index(level="time", kind="stable")
    model = detector().fit(frame)
    pd.testing.assert_series_equal(model.score_samples(mixed), model.score_samples(frame).loc[mixed.index])


def test_update_makes_rows_known():
    frame = recording()
    model = detector().fit(frame[:200])
    whole = model.score_samples(frame)
    updated = model.update(frame[200:300]).score_samples(frame[300:])
    pd.testing.assert_series_equal(updated, whole[300:])


def test_answers_keep_the_container_and_the_frame_is_untouched():
    frame = recording()
    copy = frame.copy()
    model = detector().fit(frame)
    found = model.predict(frame)
    assert found.index is frame.index
    assert set(found) <= {-1, 1}
    pd.testing.assert_frame_equal(frame, copy)
    array = detector().fit(frame.to_numpy()).predict(frame.to_numpy())
    assert isinstance(array, np.ndarray)
    one = detector().fit(frame["x0"])
    assert one.predict(frame["x0"]).index.equals(frame.index)


@pytest.mark.parametrize("memory", [None, 2000])
def test_an_outlier_is_found_and_described(memory):
    frame = recording()
    frame.iloc[300, 1] += 12
    model = detector(memory=memory, risk=1e-4).fit(frame[:200])
    found = model.detect(frame[200:])
    worst = found.loc[found["score"].idxmin()]
    assert worst[["start", "end", "peak"]].tolist() == [frame.index[300], frame.index[301], frame.index[300]]
    assert worst["variable"] == "x1"
    assert worst["observed"] == frame.iloc[300, 1]
    assert worst["expected"] == pytest.approx(model.expected(frame[200:]).loc[frame.index[300], ("x1", "expected")])
    assert worst["score"] == model.score_samples(frame).iloc[300]


def test_a_shift_lasts_without_a_memory_and_becomes_usual_with_one():
    frame = recording(900, 1)[["x0"]]
    frame.iloc[600:] += 30
    lasting, adapting = (
        detector(horizon=48, risk=1e-4, memory=memory).fit(frame[:500]).predict(frame[500:])[100:148].eq(-1).sum()
        for memory in (None, 500)
    )
    assert lasting == 48
    assert 1 <= adapting < 30


def test_intervals_with_small_gaps_are_one_and_series_stay_apart():
    frame = panel(2)
    model = detector(memory=None, contamination=0.1).fit(frame)
    odd = model.predict(frame) == -1
    runs = model.detect(frame)
    assert runs["n_rows"].sum() == odd.sum()
    steps = np.arange(len(frame))[odd]
    series = frame.index.get_level_values(0)[odd]
    apart = (np.diff(steps) > 4) | (series[1:] != series[:-1])
    assert len(model.detect(frame, gap=3)) == 1 + apart.sum()
    assert runs["series"].tolist() == sorted(runs["series"])


def test_the_bounds_hold_the_share_they_are_asked_for():
    frame = recording(3000)
    model = detector().fit(frame[:1000])
    bounds = model.expected(frame[1000:], 0.8)
    inside = [((frame[c][1000:] >= bounds[c, "lower"]) & (frame[c][1000:] <= bounds[c, "upper"])).mean() for c in frame]
    np.testing.assert_allclose(inside, 0.8, atol=0.05)


def test_rows_without_values_have_no_score_and_are_normal():
    frame = recording()
    frame.iloc[250] = np.nan
    frame.iloc[260, 1] = np.nan
    model = detector().fit(frame[:200])
    scores = model.score_samples(frame)
    assert scores.isna().to_numpy().nonzero()[0].tolist() == [250]
    assert model.predict(frame).iloc[250] == 1


def test_the_first_rows_are_not_judged():
    frame = recording()
    frame.iloc[3] = 100.0
    model = detector(memory=None).fit(frame)
    # 48 rows to look back on, and two steps ahead of the first forecast from them.
    assert model.warm_up_ == 50
    assert (model.score_samples(frame)[:50] == 0).all()
    assert model.expected(frame)[:50].isna().all(axis=None)
    assert detector(memory=None, warm_up=0).fit(frame).score_samples(frame).iloc[3] < -3


def test_as_many_training_rows_are_anomalies_as_asked_for():
    frame = recording(500)
    assert (detector(contamination=0.04).fit_predict(frame) == -1).sum() == 20


def test_correlated_channels_are_judged_together():
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(600, 1))
    values = np.concatenate([shared, shared + 0.1 * rng.normal(size=(600, 1))], axis=1)
    values[500] = 1.5, -1.5
    frame = pd.DataFrame(values, pd.date_range("2024", periods=600, freq="h"), ["a", "b"])
    model = AnomalyDetector(SeasonalMeanForecaster(season=1, context=100), memory=None, risk=1e-4)
    # Neither value is odd by itself; that they differ is.
    found = {
        names: clone(model).fit(frame[:400][[*names]]).predict(frame[[*names]]).iloc[500] for names in ("a", "b", "ab")
    }
    assert found == {"a": 1, "b": 1, "ab": -1}


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
def test_a_saved_detector_answers_as_before(options, tmp_path):
    frame = panel(2)
    model = detector(**options).fit(frame)
    tsrec.save(model, tmp_path / "model.tsrec")
    back = tsrec.load(tmp_path / "model.tsrec")
    pd.testing.assert_series_equal(back.score_samples(frame), model.score_samples(frame))
    assert back.offset_ == model.offset_


def test_the_default_forecaster_is_reproducible():
    frame = recording(200)
    first, second = (clone(AnomalyDetector(random_state=0)).fit(frame).score_samples(frame) for _ in range(2))
    pd.testing.assert_series_equal(first, second)


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_a_constant_channel_that_moves_is_an_anomaly(value):
    frame = recording(300)
    frame["flat"] = value
    model = detector(memory=None).fit(frame[:200])
    assert not model.predict(frame[200:]).eq(-1).all()
    frame.iloc[250, 2] += 1
    assert model.predict(frame[200:]).iloc[50] == -1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"contamination": 0.6}, "contamination: found 0.6"),
        ({"risk": 0}, "risk: found 0"),
        ({"verbose": -1}, "verbose: found -1"),
        ({"memory": 1}, "memory: found 1"),
        ({"horizon": 0}, "horizon: found 0"),
    ],
)
def test_parameters_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        detector(**options).fit(recording(50))


def test_what_is_given_is_checked():
    with pytest.raises(TypeError, match="forecaster: found"):
        AnomalyDetector(forecaster="lssl").fit(recording(50))
    model = detector().fit(recording(100))
    with pytest.raises(ValueError, match="gap: found -1"):
        model.detect(recording(100), gap=-1)
    with pytest.raises(ValueError, match="asfreq"):
        model.predict(recording(100).drop(recording(100).index[50]))


@pytest.mark.parametrize("shape", [-0.3, 0.0, 0.3])
def test_rare_levels_are_those_of_the_distribution(shape):
    values = genpareto(shape).rvs(50_000, random_state=0)
    assert rare_level(values, 1e-4) == pytest.approx(genpareto(shape).ppf(1 - 1e-4), rel=0.12)
    assert rare_level(values, 0.3) == pytest.approx(np.quantile(values, 0.7))


def test_the_rare_level_of_the_past_is_a_plain_loop_over_rows():
    rng = np.random.default_rng(0)
    surprise, series = rng.exponential(size=1400), np.repeat([0, 1], 700)
    found = rare_before(surprise, series, 400, 1e-3, np.array([2.0, 4.0]))
    for row in (5, 299, 300, 699, 700, 999, 1000, 1399):
        start = max(700 * series[row], row - 400)
        past = surprise[start:row]
        low, high = np.quantile(past, [0.95, 0.995]) if len(past) >= 300 else (2.0, 4.0)
        # From 5 % to 0.5 % is one factor of ten, from 0.5 % to 0.1 % one of five.
        assert found[row] == pytest.approx(high + (high - low) * np.log(5) / np.log(10))


def test_windows_of_the_past_stay_in_their_series():
    begin, end = Past(np.array([0, 0, 0, 1, 1]), 2, own=True).get_window_bounds()
    assert begin.tolist() == [0, 0, 1, 3, 3]
    assert end.tolist() == [1, 2, 3, 4, 5]


def test_the_threshold_of_naive_forecasts_is_passed_as_rarely_as_asked():
    rows = pd.Series(np.random.default_rng(0).normal(size=40_000))
    model = AnomalyDetector(SeasonalNaiveForecaster(season=24), memory=None, risk=2e-3).fit(rows[:20_000])
    assert (model.predict(rows) == -1).mean() == pytest.approx(2e-3, rel=0.4)


def test_alarms_stay_as_rare_where_most_values_are_missing():
    rng = np.random.default_rng(0)
    rows = pd.Series(rng.normal(size=30_000)).where(rng.random(30_000) < 0.2)
    model = AnomalyDetector(SeasonalMeanForecaster(season=1, context=50), risk=2e-3).fit(rows[:10_000])
    assert (model.predict(rows) == -1).sum() / rows.notna().sum() < 5e-3


@pytest.mark.parametrize("lost", ["early", "missing"])
def test_rows_that_were_not_judged_say_nothing_of_what_is_usual(lost):
    rows = pd.Series(np.random.default_rng(0).normal(size=400))
    forecaster = SeasonalMeanForecaster(season=1, context=30)
    model, plain = (AnomalyDetector(forecaster, warm_up=60, memory=m).fit(rows) for m in (2000, None))
    new = rows[:160].reset_index(drop=True)
    if lost == "missing":
        new[60:90] = np.nan
    # Until three hundred rows were judged it is the training rows that say it, the same for all.
    usual = (0.1 - plain.score_samples(new)) / -model.score_samples(new)
    np.testing.assert_allclose(usual[90:], usual.iloc[-1])


@pytest.mark.parametrize("spikes", [[200], [200, 295, 390], [100, 200, 250, 295, 390]], ids=len)
def test_a_few_spikes_among_the_training_rows_are_found(spikes):
    rng = np.random.default_rng(0)
    week = 100 + 10 * np.sin(np.arange(400) * 2 * np.pi / 7) + 2 * rng.normal(size=400)
    y = pd.Series(week, pd.date_range("2024-01-01", periods=400, freq="D"))
    y.iloc[spikes] += 80
    found = np.flatnonzero(AnomalyDetector().fit_predict(y) < 0)
    assert set(spikes) <= set(found.tolist())
    assert len(found) <= len(spikes) + 1


def test_the_usual_tail_is_that_of_quantiles_unless_it_is_far_too_long():
    exponential = np.random.default_rng(0).exponential(size=20_000)
    np.testing.assert_allclose(usual_tail(exponential), np.quantile(exponential, [0.95, 0.995]))
    low, high = usual_tail(np.r_[exponential[:400], [1e3] * 4])
    assert high == pytest.approx(low + 3 * (low - np.median(np.r_[exponential[:400], [1e3] * 4])))
    assert usual_tail(np.empty(0)).tolist() == [0, 0]
