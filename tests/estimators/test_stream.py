"""Streams: the answer to every prefix, step by step, in constant memory."""

import io

import numpy as np
import pandas as pd
import pytest

from tsrec import (
    LSSLClassifier,
    LSSLEncoder,
    LSSLForecaster,
    LSSLRegressor,
    MambaClassifier,
    MambaEncoder,
    MLPForecaster,
    TCNCAClassifier,
    TCNCAEncoder,
)

SMALL = {"d_model": 8, "d_state": 4, "n_layers": 2, "max_epochs": 1, "random_state": 0}
CHUNKED = {"d_model": 8, "chunk": 16, "n_layers": 2, "max_epochs": 1, "random_state": 0}
rng = np.random.default_rng(0)
X = [rng.normal(size=(40 + i, 3)).cumsum(axis=0) for i in range(8)]
y = np.arange(8) % 2
LONG = rng.normal(size=(1500, 3)).cumsum(axis=0) / 10
MODELS = {
    "classifier random": LSSLClassifier(random_state=0).fit(X, y),
    "classifier trained": LSSLClassifier(features="trained", **SMALL).fit(X, y),
    "regressor": LSSLRegressor(features="trained", **SMALL).fit(X, y),
    "encoder": LSSLEncoder(**SMALL).fit(X),
    "TCNCA classifier random": TCNCAClassifier(random_state=0).fit(X, y),
    "TCNCA classifier trained": TCNCAClassifier(features="trained", **CHUNKED).fit(X, y),
    "TCNCA encoder": TCNCAEncoder(gated=False, attention="laplace", **CHUNKED).fit(X),
    "Mamba classifier random": MambaClassifier(random_state=0).fit(X, y),
    "Mamba classifier trained": MambaClassifier(features="trained", **SMALL).fit(X, y),
    "Mamba encoder": MambaEncoder(**SMALL).fit(X),
}
# Those that count steps.
COUNTING = [name for name in MODELS if "TCNCA" in name or name in ("Mamba classifier trained", "Mamba encoder")]
every = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)


def whole(model, series, **kwargs):
    for method in ("predict_proba", "transform", "predict"):
        if hasattr(model, method):
            return getattr(model, method)([series], **kwargs)[0]
    raise AssertionError


@every
def test_each_push_answers_for_the_prefix(model):
    series = LONG.copy()
    series[rng.random(series.shape) < 0.1] = np.nan
    stream, done = model.stream(), 0
    for count in (1, 1, 1, 7, 1, 64, 1, 1000, 1):
        found = stream.push(series[done : done + count])
        done += count
        np.testing.assert_allclose(found, whole(model, series[:done]), atol=1e-5)
    assert found.shape == whole(model, series).shape


@every
def test_streams_side_by_side_do_not_meet(model):
    several = np.stack([LONG[i * 100 : i * 100 + 60] for i in range(4)])
    stream = model.stream(4)
    for t in range(60):
        found = stream.push(several[:, t])
    for answer, series in zip(found, several, strict=True):
        np.testing.assert_allclose(answer, whole(model, series), atol=1e-5)


@every
def test_a_saved_state_goes_on_elsewhere(model):
    stream = model.stream()
    stream.push(LONG[:50])
    file = io.BytesIO()
    np.savez(file, **stream.state())
    file.seek(0)
    resumed = model.stream(state=dict(np.load(file)))
    np.testing.assert_array_equal(resumed.push(LONG[50:70]), stream.push(LONG[50:70]))
    np.testing.assert_array_equal(resumed.push(LONG[70]), stream.push(LONG[70]))


SCALING = {name: model for name, model in MODELS.items() if name not in COUNTING}


@pytest.mark.parametrize("model", SCALING.values(), ids=SCALING)
def test_the_rate_is_passed_on(model):
    stream = model.stream(rate=2.0)
    for row in LONG[:20]:
        found = stream.push(row)
    np.testing.assert_allclose(found, whole(model, LONG[:20], rate=2.0), atol=1e-5)
    assert not np.allclose(found, whole(model, LONG[:20]), atol=1e-5)


@pytest.mark.parametrize("name", COUNTING)
def test_what_counts_steps_takes_no_rate(name):
    with pytest.raises(ValueError, match=r"rate: found 2\.0, but (TCNCA|Mamba)\w+ counts steps"):
        MODELS[name].stream(rate=2.0)
    with pytest.raises(ValueError, match=r"rate: found 2\.0, but (TCNCA|Mamba)\w+ counts steps"):
        whole(MODELS[name], LONG[:20], rate=2.0)


def test_what_reads_the_future_has_no_streams():
    model = TCNCAClassifier(features="trained", bidirectional=True, kernel_size=3, **CHUNKED).fit(X, y)
    with pytest.raises(ValueError, match="bidirectional=True reads the future"):
        model.stream()
    # Nothing of it is trained where features are random.
    TCNCAClassifier(bidirectional=True, kernel_size=3, random_state=0).fit(X, y).stream().push(LONG[:3])


def test_rows_come_in_any_form_that_is_clear():
    one = LSSLClassifier(**SMALL).fit([x[:, :1] for x in X], y)
    line = LONG[:30, 0]
    wanted = whole(one, line[:, None])
    for rows in (line, line[:, None], line.tolist(), pd.Series(line), pd.DataFrame({"u": line})):
        np.testing.assert_allclose(one.stream().push(rows), wanted, atol=1e-6)
    stream = one.stream()
    for number in line:
        found = stream.push(number)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    pair = one.stream(2)
    for number in line:
        found = pair.push([number, number])
    np.testing.assert_allclose(found, [wanted, wanted], atol=1e-5)
    np.testing.assert_allclose(one.stream(2).push(np.stack([line, line])), [wanted, wanted], atol=1e-6)


def test_a_row_of_a_frame_is_a_step():
    frames = [pd.DataFrame(x, columns=["u", "v", "w"]) for x in X]
    model = LSSLClassifier(d_state=4, random_state=0).fit(frames, y)
    stream = model.stream()
    for t in range(20):
        found = stream.push(frames[0].iloc[t])
    np.testing.assert_allclose(found, whole(model, frames[0][:20]), atol=1e-5)
    with pytest.raises(ValueError, match="rows: its columns differ from those of fit"):
        stream.push(frames[0].iloc[0][::-1])


@every
def test_a_fill_value_spoils_no_stream(model):
    series = LONG[:200].copy()
    series[20] = 1e20
    stream = model.stream(np.int64(1))
    for start in range(0, 200, 20):
        found = stream.push(series[None, start : start + 20])
    assert np.isfinite(found).all()
    assert np.isfinite(whole(model, series)).all()


def test_a_stream_outlives_another_fit():
    model = LSSLClassifier(d_state=4, random_state=0).fit(X, y)
    wanted = whole(model, LONG[:20])
    stream = model.stream()
    stream.push(LONG[:10])
    model.fit([x[::-1] for x in X], ["a", "b", "c", "a"] * 2)
    np.testing.assert_allclose(stream.push(LONG[10:20]), wanted, atol=1e-5)


def test_what_cannot_be_streamed_is_refused():
    model = MODELS["classifier random"]
    for rows in (np.zeros((5, 2)), np.zeros((0, 3)), np.zeros((1, 5, 3)), 1.0):
        with pytest.raises(ValueError, match="rows: found shape"):
            model.stream().push(rows)
    named = LSSLClassifier(**SMALL).fit([pd.DataFrame(x, columns=["u", "v", "w"]) for x in X], y)
    with pytest.raises(ValueError, match="rows: its columns differ from those of fit"):
        named.stream().push(pd.DataFrame(LONG[:5], columns=["w", "v", "u"]))
    with pytest.raises(ValueError, match="infinite"):
        model.stream().push([[np.inf, 0, 0]])
    for bad in (0, True, 1.5):
        with pytest.raises(ValueError, match="n_streams: found"):
            model.stream(bad)
    for rate in (0, -1, np.nan, "2"):
        with pytest.raises(ValueError, match="rate: found"):
            model.stream(rate=rate)
    with pytest.raises(TypeError, match=r"rows: could not convert.*Give numbers"):
        model.stream().push([["a", "b", "c"]])
    twin = LSSLClassifier(random_state=1).fit(X, y)
    for other in (MODELS["encoder"], twin, LSSLRegressor(random_state=0).fit(X, y)):
        with pytest.raises(ValueError, match="state: it was not left by a stream of this LSSLClassifier"):
            model.stream(state=other.stream().state())
    for state in ({}, 5):
        with pytest.raises(ValueError, match="state: it was not left"):
            model.stream(state=state)
    with pytest.raises(ValueError, match="state: an array has shape"):
        model.stream(2, state=model.stream().state())
    with pytest.raises(ValueError, match="needs the whole series"):
        LSSLClassifier(normalisation="series", **SMALL).fit(X, y).stream()


@pytest.mark.parametrize("kind", ["series", "panel", "array"])
def test_a_forecast_stream_forecasts_from_the_end_of_what_came(kind):
    time = pd.date_range("2024", periods=400, freq="h")
    level = pd.Series(np.sin(np.arange(400) / 4) + rng.normal(size=400) / 10, time, name="load")
    if kind == "panel":
        target = pd.concat({name: level * (name + 1) for name in range(3)}, names=["who", "t"])
        target.index = target.index.set_levels(pd.CategoricalIndex(range(3)), level="who")

        def rows(start, end):
            return target[target.index.get_level_values("t").isin(time[start:end])]
    else:
        target = level if kind == "series" else level.to_numpy()

        def rows(start, end):
            return target[start:end]

    params = {"horizon": 5, "context": 48, "season": 24, "max_epochs": 1, "random_state": 0}
    forecaster = (MLPForecaster if kind == "array" else LSSLForecaster)(**params).fit(rows(0, 300))
    stream, done = forecaster.stream(), 0
    for count in (3, 1, 100, 1, 1):
        found = stream.push(rows(done, done + count))
        done += count
        wanted = forecaster.predict(history=rows(0, done))
        np.testing.assert_array_equal(np.asarray(found), np.asarray(wanted))
        if kind != "array":
            assert found.index.equals(wanted.index)
    again = forecaster.stream(stream.state())
    np.testing.assert_array_equal(again.push(rows(done, done + 2)), stream.push(rows(done, done + 2)))
    assert len(stream.state()) == 48 * (3 if kind == "panel" else 1)


@pytest.mark.parametrize("first", [10, 150])
@pytest.mark.parametrize("columns", [None, ["a", "b"]])
def test_a_forecast_stream_counts_rows_that_have_no_times(columns, first):
    waves = np.stack([np.sin(np.arange(400) / 4), np.cos(np.arange(400) / 5)], 1)
    target = pd.Series(waves[:, 0], name="load") if columns is None else pd.DataFrame(waves, columns=columns)
    forecaster = MLPForecaster(horizon=5, context=24, season=12, max_epochs=0).fit(target[:300])
    stream, done = forecaster.stream(), 0
    for count in (first, 10, 1, 100):
        rows = target[done : done + count]
        found = stream.push(rows if count > 1 else rows.reset_index(drop=True))
        done += count
        wanted = forecaster.predict(history=target[:done])
        np.testing.assert_array_equal(found, wanted)
        assert found.index.equals(wanted.index)
    again = forecaster.stream(stream.state()).push(target[done : done + 3])
    assert again.index.equals(forecaster.predict(history=target[: done + 3]).index)
    with pytest.raises(ValueError, match=f"rows: their index begins with {done + 1}.*from {done} on"):
        stream.push(target[done + 1 : done + 3])


def test_a_forecast_stream_keeps_no_buffer_of_the_user():
    wave = np.sin(np.arange(200) / 4)
    forecaster = MLPForecaster(horizon=5, context=24, season=12, max_epochs=0).fit(wave)
    stream, buffer = forecaster.stream(), wave[:50].copy()
    stream.push(buffer)
    buffer[:] = wave[50:100]
    np.testing.assert_array_equal(stream.push(buffer), forecaster.predict(history=wave[:100]))
    with pytest.raises(ValueError, match="rows: it has 2 columns, the fitted y 1"):
        stream.push(np.zeros((3, 2)))


def test_a_forecast_stream_refuses_covariates_and_mixed_containers():
    level = pd.Series(np.sin(np.arange(200) / 4), name="load")
    params = {"horizon": 5, "context": 24, "season": 12, "max_epochs": 0}
    with pytest.raises(ValueError, match="fitted with covariates"):
        LSSLForecaster(**params).fit(pd.DataFrame({"x": np.cos(np.arange(200.0))}), level).stream()
    stream = LSSLForecaster(**params).fit(level).stream(level)
    with pytest.raises(TypeError, match="Give all in the same container"):
        stream.push(np.zeros(3))
    frame = pd.DataFrame({"a": level, "b": level**2})
    stream = LSSLForecaster(**params).fit(frame).stream(frame)
    with pytest.raises(ValueError, match="rows: it has no column 'b'"):
        stream.push(frame[["a"]])
