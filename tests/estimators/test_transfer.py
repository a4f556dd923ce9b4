"""Learning from several sets, and forecasting what was never seen."""

import numpy as np
import pandas as pd
import pytest

import tsrec
from tsrec import TEMPOForecaster
from tsrec.estimators._sets import read_sets


def waves(n, freq, period, columns=("y",), seed=0, level=0.0):
    rng = np.random.default_rng(seed)
    day = np.sin(np.arange(n) / period * 2 * np.pi)[:, None] + 0.5 * np.sin(np.arange(n) / period * 4 * np.pi)[:, None]
    values = level + day + rng.normal(size=(n, len(columns))) / 20
    return pd.DataFrame(values, pd.date_range("2024-01-01", periods=n, freq=freq), columns=list(columns))


def sets():
    return {
        "half hours": waves(1500, "30min", 48, seed=1),
        "hours": waves(900, "h", 24, ("a", "b"), seed=2, level=5.0),
        "quarters": waves(2400, "15min", 96, seed=3),
        "days": waves(400, "D", 7, seed=4),
        "more hours": waves(800, "h", 24, seed=5),
        "no times": np.random.default_rng(0).normal(size=300).cumsum(),
    }


def learned(**options):
    given = {"horizon": 24, "context": 96, "max_epochs": 0, "random_state": 0}
    return TEMPOForecaster(**{**given, **options}).fit(sets())


@pytest.fixture(scope="module")
def model():
    return learned()


def test_what_is_learned_from(model):
    assert model.set_seasons_["half hours"] == 48
    assert model.set_seasons_["days"] == 7
    assert model.season_steps_ == model.season_ == 24
    assert model.paces_ == ("sub-daily", "daily", "none")
    assert model.maps_ == 4
    assert model.panel_.n_series == 7
    assert model.panel_.ids.names == ["set", "series", "variable"]


@pytest.mark.parametrize(("freq", "period"), [("h", 24), ("15min", 96), ("30min", 48), ("10min", 144), ("2h", 12)])
def test_unseen_series_of_any_frequency_are_forecast(model, freq, period):
    y = waves(10 * period, freq, period, ("p", "q"), seed=9, level=100.0)
    ahead = waves(12 * period, freq, period, ("p", "q"), seed=9, level=100.0).iloc[10 * period :]
    answer = model.predict(2 * period, history=y)
    assert answer.index.equals(ahead.index)
    assert answer.columns.tolist() == ["p", "q"]
    error = np.sqrt(((answer - ahead) ** 2).mean()).max()
    naive = np.sqrt(((y.iloc[-2 * period :].to_numpy() - ahead) ** 2).mean()).max()
    # Steps longer than the module's reach it as stairs, which it takes for a rougher series.
    assert error < (1.1 if freq != "2h" else 1.7) * naive < 0.2


def test_a_kind_of_frequency_that_was_never_seen_has_the_map_of_all(model):
    months = waves(120, "MS", 12, seed=3)
    assert np.isfinite(model.predict(18, history=months)).all(axis=None)


def test_answers_take_the_container_of_the_history(model):
    y = waves(300, "h", 24)
    assert isinstance(model.predict(history=y["y"]), pd.Series)
    assert model.predict(history=y["y"].to_numpy()).shape == (24,)
    panel = pd.concat({"one": y["y"], "two": y["y"] + 3}, names=["name", "time"])
    answer = model.predict(5, history=panel)
    assert answer.index.names == ["name", "time"]
    np.testing.assert_allclose(answer.loc["two"], answer.loc["one"] + 3, atol=1e-4)
    assert model.predict_quantiles(history=y).shape == (24, 3)
    assert model.predict_interval(3, history=y).shape == (3, 2)
    assert model.sample(3, n=7, history=y, random_state=0).shape == (3, 7)
    assert model.transform(history=panel).index.tolist() == ["one", "two"]


@pytest.mark.parametrize(("freq", "period"), [("h", 24), ("15min", 96), ("D", 7)])
def test_components_sum_up(freq, period):
    model = learned(max_epochs=1, d_model=8, prompt="pool")
    y = waves(20 * period, freq, period, ("p", "q"))
    parts = model.predict_components(40, history=y)
    total = parts.T.groupby(level="variable").sum().T
    np.testing.assert_allclose(total, model.predict(40, history=y), atol=1e-4)
    assert parts.columns.get_level_values(1).unique().tolist() == ["trend", "seasonal", "residual"]
    assert model.explain(y).shape == (3, 2)
    assert model.prompt_report(y).shape == (30, 3)


@pytest.mark.parametrize(("freq", "period"), [("15min", 96), ("D", 7), ("h", 24)])
def test_nothing_after_a_cutoff_reaches_its_forecast(model, freq, period):
    y = waves(20 * period, freq, period)
    at = 12 * period + 3
    cutoffs = np.array([[0, at], [0, at - 1]])
    before = model.predict_cutoffs(y, cutoffs)
    other = y.copy()
    other.iloc[at:] += 50.0
    np.testing.assert_array_equal(model.predict_cutoffs(other, cutoffs), before)
    alone = model.predict(history=y.iloc[:at])
    np.testing.assert_allclose(alone.to_numpy()[:, 0], before[0, :, 0, 0], atol=1e-4)


def test_units_and_holes_do_not_matter_much(model):
    y = waves(960, "15min", 96)
    answer = model.predict(history=y)
    np.testing.assert_allclose(model.predict(history=1e4 * y - 7e5), 1e4 * answer - 7e5, rtol=1e-4)
    holes = y.copy()
    holes.iloc[::7] = np.nan
    assert abs(model.predict(history=holes) - answer).max(axis=None) < 0.2


def test_learning_goes_on(model, tmp_path):
    learned_ = learned()
    y = waves(1500, "15min", 96, ("p", "q"), seed=11, level=9.0)
    fine = learned_.fit(y.iloc[:1400], warm_start=True)
    assert not hasattr(fine, "set_seasons_")
    assert (fine.season_steps_, fine.context_, fine.season_) == (24, 96, 96)
    answer = fine.predict(96)
    assert answer.index.equals(y.index[1400:1496])
    assert np.sqrt(((answer - y.iloc[1400:1496]) ** 2).mean()).max() < 0.15
    tsrec.save(fine, tmp_path / "fine.zip")
    pd.testing.assert_frame_equal(tsrec.load(tmp_path / "fine.zip").predict(), fine.predict())


def test_it_is_saved_and_learns_anew(model, tmp_path):
    tsrec.save(model, tmp_path / "model.zip")
    y = waves(300, "h", 24)
    again = tsrec.load(tmp_path / "model.zip")
    pd.testing.assert_frame_equal(again.predict(history=y), model.predict(history=y))
    again.fit(y)
    assert not hasattr(again, "set_seasons_")
    assert len(again.predict()) == 24


def test_rows_that_make_no_whole_stretch_are_left_out():
    assert read_sets({"quarters": waves(1003, "15min", 96)}, 24, None, None).panel.lengths.tolist() == [250]


def test_sets_have_equal_shares():
    read = read_sets(sets(), "auto", None, None)
    assert np.bincount(read.groups).tolist() == [1, 2, 1, 1, 1, 1]
    # Half-hours are brought to hours: half as many.
    assert read.panel.lengths[0] == 750
    np.testing.assert_allclose(
        read.panel.values[:750, 0], sets()["half hours"]["y"].to_numpy().reshape(-1, 2).mean(1), atol=1e-12
    )
    model = learned()
    seen = {}
    table = TEMPOForecaster._table

    class Watched(TEMPOForecaster):
        def _table(self, *given):
            seen["table"] = found = table(self, *given)
            return found

    Watched(**model.get_params()).fit(sets())
    counts = np.bincount(seen["table"].groups.numpy())
    most = counts.max()
    assert (counts[:3] == most).all()
    assert (counts >= most / 2).all()


def test_learning_goes_on_from_the_map_of_the_kind():
    model = learned()
    days = waves(420, "D", 7, seed=4)
    before = model.predict(history=days.iloc[:45])
    # Too few rows to learn anything from: what comes out is what was known.
    after = model.fit(days.iloc[:45], warm_start=True)
    assert after.penalty_ == np.inf
    np.testing.assert_allclose(after.predict(), before, atol=1e-3)


def test_a_history_too_short_to_learn_from_is_forecast_as_unseen():
    model = learned(context=240)
    months = waves(100, "MS", 12, seed=2) + np.arange(100.0)[:, None] / 10
    before = model.predict(history=months)
    np.testing.assert_allclose(model.fit(months, warm_start=True).predict(), before, atol=1e-3)


def test_backtests_take_what_learned_from_sets_as_it_is(model):
    y = waves(600, "h", 24, seed=7)
    found = tsrec.model_selection.backtest(model, y, n_windows=3)["y", "forecast"]
    alone = model.predict(history=y.iloc[:-24])["y"].to_numpy()
    np.testing.assert_allclose(found.to_numpy()[-24:], alone, atol=1e-4)


def test_a_fine_tuned_history_keeps_its_season():
    model = learned().fit(waves(420, "D", 7, seed=4), warm_start=True)
    assert (model.season_, model.season_steps_) == (7, 24)
    plain = tsrec.SeasonalNaiveForecaster().fit(waves(420, "D", 7, seed=4))
    pd.testing.assert_frame_equal(model.naive_scale(), plain.naive_scale())


@pytest.mark.parametrize(("freq", "period"), [("15min", 96), ("D", 7)])
def test_fine_tuned_streams_are_predictions(freq, period):
    y = waves(12 * period, freq, period, seed=4)
    model = learned().fit(y.iloc[: 10 * period], warm_start=True)
    stream = model.stream(y.iloc[: 9 * period])
    answer = stream.push(y.iloc[9 * period : 10 * period])
    pd.testing.assert_frame_equal(answer, model.predict(), atol=1e-6)


def test_covariates_and_words_are_not_dropped_silently():
    y = waves(1500, "15min", 96)
    with pytest.raises(ValueError, match="X: found 1 covariate columns"):
        learned().fit(y.rename(columns={"y": "x"}), y, warm_start=True)
    for given in ({"static": pd.DataFrame({"a": [1.0]})}, {"past": y}):
        with pytest.raises(ValueError, match=f"{next(iter(given))}: not expected beside several sets"):
            TEMPOForecaster().fit(sets(), **given)
    panel = pd.concat({"p": y["y"], "q": y["y"] + 1}, names=["name", "time"])
    told = pd.DataFrame({"a": [1.0, 2.0]}, index=["p", "q"])
    model = learned(max_epochs=1, d_model=8).fit(panel, static=told, warm_start=True)
    assert model.n_static_ == 1
    own, _ = model._prepared(model.panel_, np.array([[1, 1500], [0, 1400], [1, 1300]]))
    assert own.static.ravel().tolist() == [2.0, 1.0, 2.0]
    # What is said of a series counts also where its history is given anew.
    np.testing.assert_allclose(model.predict(history=panel), model.predict(), atol=1e-5)


def test_intervals_of_finer_steps_hold_their_noise(model):
    rng = np.random.default_rng(3)
    y = waves(3000, "5min", 288, seed=3) + rng.normal(0, 0.3, (3000, 1))
    cutoffs = np.stack([np.zeros(40, int), np.linspace(1500, 2900, 40).astype(int)], 1)
    answer = model.predict_cutoffs(y, cutoffs)
    truth = y.to_numpy()[cutoffs[:, 1, None] + np.arange(24)]
    low, high = (1 + int(np.argmin(abs(model.levels_ - level))) for level in (0.1, 0.9))
    inside = ((truth >= answer[..., low]) & (truth <= answer[..., high])).mean()
    assert 0.6 < inside < 0.95
    assert (np.diff(answer[..., 1:], axis=-1) >= -1e-9).all()


def test_a_trend_between_finer_steps_has_no_spikes():
    lines = {f"{k}": waves(900, "h", 24, seed=k) + np.arange(900.0)[:, None] / (40 + 9 * k) for k in range(4)}
    model = TEMPOForecaster(horizon=300, context=96, max_epochs=0, random_state=0).fit(lines)
    n = 10 * 288
    t = np.arange(n + 300)
    y = pd.DataFrame({"y": np.sin(t / 288 * 2 * np.pi) + t / 72}, pd.date_range("2024", periods=n + 300, freq="5min"))
    error = model.predict(history=y.iloc[:n])["y"] - y["y"].iloc[n:]
    # Whatever is wrong with the forecast, it is so smoothly.
    assert abs(np.diff(error)).max() < 0.05


@pytest.mark.parametrize("rows", [30, 48, 72])
def test_short_histories_go_on_as_they_began(model, rows):
    y = waves(rows + 24, "h", 24, seed=8, level=3.0)
    error = model.predict(history=y.iloc[:rows]) - y.iloc[rows:]
    assert np.sqrt((error**2).mean()).iloc[0] < 0.25


def test_rows_without_times_are_learned_and_forecast_alike():
    wave = np.sin(np.arange(600) * 2 * np.pi / 12)
    model = TEMPOForecaster(horizon=12, context=48, max_epochs=0, random_state=0).fit(
        {"no times": wave, "hours": waves(900, "h", 24)}
    )
    assert model.set_seasons_["no times"] == 1
    np.testing.assert_allclose(model.predict(history=wave[:300]), wave[300:312], atol=0.1)


def test_rows_without_times_are_told_how_they_are_counted_where_all_that_was_learned_had_some():
    model = TEMPOForecaster(horizon=6, context=48, max_epochs=0).fit({"hours": waves(600, "h", 24)})
    with pytest.warns(UserWarning, match=r"history: its rows have no dates.*24 to a season.*DatetimeIndex"):
        model.predict(history=waves(200, "h", 24).to_numpy())
    with pytest.warns(UserWarning, match="X: its rows have no dates"):
        model.fit(waves(200, "h", 24).to_numpy(), warm_start=True)


def test_a_history_without_values_is_refused_by_name(model):
    y = waves(200, "h", 24, ("p", "q"))
    with pytest.raises(ValueError, match="history: column 'q' holds no observed value"):
        model.predict(history=y.assign(q=np.nan))
    with pytest.raises(ValueError, match="history: it holds no observed value"):
        model.predict(history=y["p"] * np.nan)
    panel = pd.concat({"one": y["p"], "two": y["q"] * np.nan}, names=["name", "time"])
    with pytest.raises(ValueError, match="history: series 'two' holds no observed value"):
        model.predict(history=panel)


def test_one_season_of_all_is_kept():
    weekly = {"a": waves(300, "D", 7), "b": waves(200, "D", 7, seed=2)}
    assert TEMPOForecaster(horizon=7, max_epochs=0).fit(weekly).season_steps_ == 7
    assert TEMPOForecaster(horizon=7, season=14, max_epochs=0).fit(weekly).season_steps_ == 14
    noise = {"a": weekly["a"] * 0 + np.random.default_rng(0).normal(size=(300, 1))}
    model = TEMPOForecaster(horizon=7, max_epochs=0).fit(noise)
    assert model.season_ == model.season_steps_ == 7
    # Rows without times have no say in it, nor has what comes later.
    model.fit({**weekly, "no times": np.arange(100.0)})
    assert model.season_steps_ == 7
    model.fit({"hours": waves(900, "h", 24)}, warm_start=True)
    assert (model.season_steps_, model.set_seasons_) == (7, {"hours": 24})


def test_what_is_refused(model):
    with pytest.raises(ValueError, match="X: no sets"):
        TEMPOForecaster().fit({})
    with pytest.raises(ValueError, match="y: not expected beside several sets"):
        TEMPOForecaster().fit(sets(), waves(30, "h", 24))
    gap = waves(300, "h", 24).drop(index=pd.Timestamp("2024-01-03"))
    with pytest.raises(ValueError, match=r"X\['broken'\]"):
        TEMPOForecaster().fit({"fine": waves(300, "h", 24), "broken": gap})
    with pytest.raises(ValueError, match="all are NaN"):
        TEMPOForecaster().fit({"empty": waves(300, "h", 24) * np.nan})
    with pytest.raises(ValueError, match="history: missing"):
        model.predict()
    with pytest.raises(ValueError, match="history_X: not expected"):
        model.predict(history=waves(300, "h", 24), history_X=waves(300, "h", 24))
    with pytest.raises(TypeError, match=r"history: found 3\. Give the rows themselves"):
        model.predict(history=3)
    for call in (lambda: model.update(waves(3, "h", 24)), lambda: model.score(waves(3, "h", 24)), model.stream):
        with pytest.raises(ValueError, match="several sets"):
            call()
