"""Streams: the answer to every prefix, step by step, in constant memory."""

import io

import numpy as np
import pandas as pd
import pytest

from tsrec import LSSLClassifier, LSSLEncoder, LSSLForecaster, LSSLRegressor, MLPForecaster

SMALL = {"d_model": 8, "d_state": 4, "n_layers": 2, "max_epochs": 1, "random_state": 0}
rng = np.random.default_rng(0)
X = [rng.normal(size=(40 + i, 3)).cumsum(axis=0) for i in range(8)]
y = np.arange(8) % 2
LONG = rng.normal(size=(1500, 3)).cumsum(axis=0) / 10
MODELS = {
    "classifier random": LSSLClassifier(random_state=0).fit(X, y),
    "classifier trained": LSSLClassifier(features="trained", **SMALL).fit(X, y),
    "regressor": LSSLRegressor(features="trained", **SMALL).fit(X, y),
    "encoder": LSSLEncoder(**SMALL).fit(X),
}
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


@every
def test_the_rate_is_passed_on(model):
    stream = model.stream(rate=2.0)
    for row in LONG[:20]:
        found = stream.push(row)
    np.testing.assert_allclose(found, whole(model, LONG[:20], rate=2.0), atol=1e-5)
    assert not np.allclose(found, whole(model, LONG[:20]), atol=1e-5)


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


def test_what_cannot_be_streamed_is_refused():
    model = MODELS["classifier random"]
    for rows in (np.zeros((5, 2)), np.zeros((0, 3)), np.zeros((1, 5, 3)), 1.0):
        with pytest.raises(ValueError, match="rows: found shape"):
            model.stream().push(rows)
    named = LSSLClassifier(**SMALL).fit([pd.DataFrame(x, columns=["u", "v", "w"]) for x in X], y)
    with pytest.raises(ValueError, match="rows: the columns are"):
        named.stream().push(pd.DataFrame(LONG[:5], columns=["w", "v", "u"]))
    with pytest.raises(ValueError, match="infinite"):
        model.stream().push([[np.inf, 0, 0]])
    with pytest.raises(ValueError, match="n_streams: found 0"):
        model.stream(0)
    with pytest.raises(ValueError, match="state: "):
        model.stream(state=MODELS["encoder"].stream().state())
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


def test_a_forecast_stream_refuses_covariates_and_mixed_containers():
    level = pd.Series(np.sin(np.arange(200) / 4), name="load")
    params = {"horizon": 5, "context": 24, "season": 12, "max_epochs": 0}
    with pytest.raises(ValueError, match="fitted with covariates"):
        LSSLForecaster(**params).fit(pd.DataFrame({"x": np.cos(np.arange(200.0))}), level).stream()
    stream = LSSLForecaster(**params).fit(level).stream(level)
    with pytest.raises(TypeError, match="Give the same container"):
        stream.push(np.zeros(3))
