"""LSSLForecaster: what it learns, and what holds while and after it learns."""

import threading

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import tsrec
from tsrec import LSSLForecaster, SeasonalMeanForecaster
from tsrec.datasets import make_seasonal
from tsrec.estimators import _epochs, _learning
from tsrec.model_selection import backtest
from tsrec.training import NonFiniteLossError, WindowBatches

SMALL = LSSLForecaster(horizon=12, context=48, d_model=8, d_state=8, random_state=0)


@pytest.fixture(scope="module")
def hourly():
    return make_seasonal(900, season=24, noise=0.2, random_state=0).iloc[:, 0]


def nonlinear(n_series=12, n=160):
    """Series whose next value is a bent function of the last one (the logistic map): no linear map sees it."""
    rng = np.random.default_rng(0)
    parts = {}
    for i in range(n_series):
        x = np.full(n, rng.uniform(-0.5, 0.5))
        for t in range(1, n):
            x[t] = 1 - 1.8 * x[t - 1] ** 2
        parts[f"s{i}"] = pd.Series(x, pd.date_range("2024", periods=n, freq="h"))
    return pd.concat(parts, names=["id", "time"])


def mae(table):
    return float((table.xs("forecast", level=1, axis=1) - table.xs("y", level=1, axis=1)).abs().to_numpy().mean())


def test_beats_the_seasonal_mean_on_a_noisy_trending_season():
    y = make_seasonal(1200, season=24, trend=0.01, noise=0.3, random_state=1)
    models = [clone(SMALL), SeasonalMeanForecaster(horizon=12, context=48)]
    ours, theirs = (mae(backtest(model, y, n_windows=10)) for model in models)
    assert ours < theirs


def test_the_branch_gets_a_share_where_it_helps_and_none_where_it_cannot(hourly):
    bent = LSSLForecaster(horizon=1, context=4, season=1, patch=1, d_model=16, d_state=4, max_epochs=12, random_state=0)
    bent.fit(nonlinear())
    assert bent.share_ > 0.3
    noise = pd.Series(np.random.default_rng(0).normal(size=900), hourly.index)
    assert clone(SMALL).fit(noise).share_ < 0.3


def test_the_branch_lowers_the_error_where_it_has_a_share():
    y = nonlinear()
    shape = {"horizon": 1, "context": 4, "season": 1, "patch": 1, "d_model": 16, "d_state": 4, "random_state": 0}
    with_branch = mae(backtest(LSSLForecaster(max_epochs=12, **shape), y, n_windows=10))
    without = mae(backtest(LSSLForecaster(max_epochs=0, **shape), y, n_windows=10))
    assert with_branch < 0.9 * without


@pytest.mark.parametrize("linear", ["ridge", "learned", None])
def test_history_records_every_epoch(hourly, linear):
    fitted = clone(SMALL).set_params(linear=linear, max_epochs=2).fit(hourly)
    assert fitted.history_["epoch"].tolist()[:2] == [1, 2]
    assert np.isfinite(fitted.history_["loss"]).all()
    assert {"phase", "loss", "point_loss", "quantile_loss", "learning_rate", "seconds"} <= set(fitted.history_.columns)
    assert ("refit" in fitted.history_["phase"].to_list()) == (linear != "ridge")
    assert not fitted.module_.training


def test_no_epochs_leave_the_linear_map_alone(hourly):
    fitted = clone(SMALL).set_params(max_epochs=0).fit(hourly)
    assert fitted.share_ == 0.0
    assert fitted.history_.empty
    assert fitted.penalty_ > 0


def test_interruption_keeps_what_was_learned_and_is_passed_on(hourly, monkeypatch):
    real, epochs = _epochs.Progress.__call__, []

    def interrupt(self, state):
        epochs.append(state.epoch)
        if state.epoch == 2:
            raise KeyboardInterrupt
        real(self, state)

    monkeypatch.setattr(_epochs.Progress, "__call__", interrupt)
    for linear in ("ridge", None):
        stopped = clone(SMALL).set_params(max_epochs=5, linear=linear)
        with pytest.raises(KeyboardInterrupt):
            stopped.fit(hourly)
        assert np.isfinite(stopped.predict()).all()
        assert stopped.history_["epoch"].max() == 2
        assert not stopped.module_.training


@pytest.mark.parametrize("linear", ["ridge", None])
def test_interruption_between_the_phases_is_passed_on_too(hourly, monkeypatch, linear):
    real, calls = WindowBatches.subset, []

    def interrupt(self, chosen):
        calls.append(len(chosen))
        if len(calls) == 1:
            raise KeyboardInterrupt
        return real(self, chosen)

    monkeypatch.setattr(WindowBatches, "subset", interrupt)
    stopped = clone(SMALL).set_params(linear=linear)
    with pytest.raises(KeyboardInterrupt):
        stopped.fit(hourly)
    monkeypatch.undo()
    assert np.isfinite(stopped.predict()).all()
    if linear == "ridge":
        alone = clone(SMALL).set_params(max_epochs=0, linear=linear).fit(hourly)
        torch.testing.assert_close(stopped.module_.linear, alone.module_.linear)


def test_interruption_before_anything_was_learned_leaves_an_unfitted_forecaster(hourly, monkeypatch):
    def interrupt(*_args, **_kw):
        raise KeyboardInterrupt

    monkeypatch.setattr(_learning, "fit_closed_form", interrupt)
    stopped = clone(SMALL)
    with pytest.raises(KeyboardInterrupt):
        stopped.fit(hourly)
    with pytest.raises(NotFittedError):
        stopped.predict()


def test_a_loss_that_is_not_finite_names_rate_and_batch(hourly):
    with pytest.raises(NonFiniteLossError, match=r"epoch 1, batch \d+ of \d+, learning_rate .*lower learning_rate"):
        clone(SMALL).set_params(linear=None, learning_rate=1e30).fit(hourly)


def test_fits_in_two_threads_equal_fits_alone(hourly):
    alone = clone(SMALL).fit(hourly).predict()
    answers = {}

    def fit(name):
        answers[name] = clone(SMALL).fit(hourly).predict()

    threads = [threading.Thread(target=fit, args=(i,)) for i in range(2)]
    count = torch.get_num_threads()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert torch.get_num_threads() == count
    for answer in answers.values():
        pd.testing.assert_series_equal(answer, alone, rtol=0, atol=0)


def test_scikit_learn_callbacks_see_the_epochs_and_may_stop(hourly, epoch_counter):
    stop = epoch_counter(most=2)
    fitted = clone(SMALL).set_params(max_epochs=6).set_callbacks(stop).fit(hourly)
    assert stop.seen == 2
    assert fitted.n_epochs_ == 2


def test_progress_is_shown_only_when_asked_for(hourly, capsys):
    clone(SMALL).fit(hourly)
    silent = capsys.readouterr()
    assert silent.out == silent.err == ""
    clone(SMALL).set_params(verbose=1).fit(hourly)
    assert "LSSLForecaster select" in capsys.readouterr().err


def test_covariates_of_the_future_are_used():
    rng = np.random.default_rng(0)
    index = pd.date_range("2024", periods=600, freq="h")
    X = pd.DataFrame({"promo": rng.normal(size=600), "noise": rng.normal(size=600)}, index=index)
    y = pd.Series(10 + 4 * X["promo"] + rng.normal(0, 0.2, 600), index)
    fitted = clone(SMALL).fit(X.iloc[:588], y.iloc[:588])
    error = (fitted.predict(X.iloc[588:]) - y.iloc[588:]).abs().mean()
    assert error < 0.5
    unknown = X.iloc[588:] * np.nan
    with pytest.warns(UserWarning, match="X: 24 values of the rows asked for are NaN"):
        assert np.isfinite(fitted.predict(unknown)).all()
    assert "covariate effect" in fitted.predict_components(X.iloc[588:]).columns.get_level_values(1)


def test_transform_gives_a_row_per_series():
    y = nonlinear(5, 80)
    fitted = clone(SMALL).fit(y)
    rows = fitted.transform()
    assert rows.index.tolist() == [f"s{i}" for i in range(5)]
    assert np.isfinite(rows).all(axis=None)
    other = fitted.transform(history=y.loc[["s3"]])
    np.testing.assert_allclose(other.to_numpy()[0], rows.loc["s3"].to_numpy(), rtol=1e-5, atol=1e-6)
    assert not hasattr(LSSLForecaster(), "transform")


def test_a_panel_of_one_model_equals_its_series_one_by_one():
    y = nonlinear(6, 100)
    fitted = clone(SMALL).fit(y)
    together = fitted.predict(20)
    for name in ("s0", "s5"):
        alone = fitted.predict(20, history=y.loc[[name]])
        np.testing.assert_allclose(alone.to_numpy(), together.loc[name].to_numpy(), rtol=1e-5, atol=1e-6)


def test_scale_of_the_data_does_not_matter(hourly):
    plain = clone(SMALL).fit(hourly).predict(20)
    for factor, shift in ((1e6, 0.0), (1e-6, 0.0), (1.0, 1e7)):
        other = clone(SMALL).fit(hourly * factor + shift).predict(20)
        np.testing.assert_allclose((other - shift) / factor, plain, atol=2e-3 * hourly.std())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"context": 0}, "context: found 0"),
        ({"max_epochs": -1}, "max_epochs: found -1"),
        ({"device": "abacus"}, "device='abacus' is not known"),
        ({"linear": "ridges"}, "linear='ridges' is not known"),
        ({"loss": "mape"}, "loss='mape' is not known"),
        ({"random_state": -3}, "random_state must not be negative"),
        ({"patch": 0}, "patch: found 0"),
        ({"d_model": 0}, "d_model: found 0"),
        ({"learning_rate": -1.0}, "learning_rate: found -1.0"),
        ({"dropout": 1.5}, "dropout: found 1.5"),
    ],
)
def test_wrong_parameters_are_named(hourly, change, message):
    with pytest.raises(ValueError, match=message):
        clone(SMALL).set_params(**change).fit(hourly)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_the_same_forecast(hourly):
    on_cpu = clone(SMALL).fit(hourly).predict()
    on_gpu = clone(SMALL).set_params(device="cuda").fit(hourly).predict()
    np.testing.assert_allclose(on_gpu, on_cpu, atol=0.05)


class TestCovariates:
    """Covariates that persist, miss values, hardly move, or have nothing to do with the target."""

    INDEX = pd.date_range("2024", periods=1224, freq="h")
    MODEL = LSSLForecaster(horizon=24, context=96, d_model=8, d_state=8, random_state=0)

    def walk(self, seed):
        return np.random.default_rng(seed).normal(size=1224).cumsum() * 0.3

    def errors(self, X, y):
        table = backtest(self.MODEL, y, X=X, n_windows=6)
        return float((table[0, "forecast"] - table[0, "y"]).abs().mean())

    @pytest.mark.parametrize("missing", [0.0, 0.1, 0.3])
    @pytest.mark.slow
    def test_a_level_like_covariate_with_holes_keeps_its_effect(self, missing):
        rng = np.random.default_rng(1)
        x = self.walk(0)
        y = pd.Series(2 * x + rng.normal(0, 0.5, 1224), self.INDEX)
        holed = pd.DataFrame({"x": np.where(rng.random(1224) < missing, np.nan, x)}, index=self.INDEX)
        fitted = clone(self.MODEL).fit(holed, y)
        slope = fitted.effect_.weight[0, 0] * y.std(ddof=0) / fitted.effect_.spread[0]
        assert slope == pytest.approx(2, abs=0.2)
        assert fitted.effect_.persistence[0] > 0.95
        assert self.errors(holed, y) < 0.8

    @pytest.mark.parametrize("constant", [0.1, 0.7, 1000000.1, 0.0])
    def test_a_covariate_that_never_moved_says_nothing_when_it_does(self, constant):
        y = pd.Series(np.sin(np.arange(1224) / 24 * 2 * np.pi), self.INDEX)
        X = pd.DataFrame({"c": np.r_[np.full(1200, constant), np.full(24, constant + 1)]}, index=self.INDEX)
        answer = clone(self.MODEL).fit(X[:1200], y[:1200]).predict(X[1200:])
        np.testing.assert_allclose(answer, y[1200:], atol=0.1)

    def test_a_blip_does_not_make_a_covariate_explode(self):
        y = pd.Series(10 + np.random.default_rng(0).normal(0, 0.1, 1224), self.INDEX)
        X = pd.DataFrame({"c": np.r_[np.zeros(1199), 1e-3, np.ones(24)]}, index=self.INDEX)
        answer = clone(self.MODEL).fit(X[:1200], y[:1200]).predict(X[1200:])
        np.testing.assert_allclose(answer, 10, atol=0.5)

    @pytest.mark.slow
    def test_unrelated_walks_do_little_harm(self):
        errors = []
        for seed in range(4):
            y = pd.Series(self.walk(100 + seed), self.INDEX)
            X = pd.DataFrame({f"w{i}": self.walk(10 * seed + i) for i in range(6)}, index=self.INDEX)
            errors.append((self.errors(X, y), self.errors(None, y)))
        with_walks, without = np.mean(errors, axis=0)
        assert with_walks < 1.25 * without

    def test_very_large_covariates_warn_of_nothing(self):
        y = pd.Series(self.walk(0), self.INDEX)
        X = pd.DataFrame({"x": self.walk(1) * 1e200}, index=self.INDEX)
        assert np.isfinite(clone(self.MODEL).fit(X[:1200], y[:1200]).predict(X[1200:])).all()


def _unlike(n=1200):
    """An hourly wave that repeats itself, and one that turns over from step to step."""
    rng = np.random.default_rng(0)
    wave = np.sin(np.arange(n) / 24 * 2 * np.pi) + 0.1 * rng.normal(size=n)
    noise = rng.normal(size=n)
    jagged = np.zeros(n)
    for step in range(1, n):
        jagged[step] = -0.95 * jagged[step - 1] + 0.3 * noise[step]
    return pd.DataFrame({"wave": wave, "jagged": jagged}, pd.date_range("2024-01-01", periods=n, freq="h"))


def test_variables_with_nothing_in_common_are_forecast_as_well_together_as_apart(tmp_path):
    frame = _unlike()
    settings = {"horizon": 3, "context": 48, "season": 24, "max_epochs": 0}
    together = LSSLForecaster(**settings).fit(frame.iloc[:1000])
    assert together.maps_ == 2
    errors = {}
    for name in frame:
        alone = LSSLForecaster(**settings).fit(frame[[name]].iloc[:1000])
        assert alone.maps_ == 1
        for model, told in (("together", together), ("alone", alone)):
            given = frame if model == "together" else frame[[name]]
            cutoffs = np.stack([np.zeros(190, int), np.arange(1000, 1190)], axis=1)
            point = told.predict_cutoffs(given, cutoffs)[:, :, list(given).index(name), 0]
            truth = frame[name].to_numpy()[cutoffs[:, 1, None] + np.arange(3)]
            errors[model, name] = ((point - truth) ** 2).mean()
    for name in frame:
        assert errors["together", name] < 1.1 * errors["alone", name]
    tsrec.save(together, tmp_path / "model.npz")
    pd.testing.assert_frame_equal(tsrec.load(tmp_path / "model.npz").predict(), together.predict())


def test_maps_of_their_own_stand_beside_a_branch(tmp_path):
    fitted = LSSLForecaster(
        horizon=3, context=48, season=24, d_model=4, max_epochs=1, n_members=2, linear="ridge", random_state=0
    ).fit(_unlike(600))
    assert fitted.maps_ == 2
    first, second = fitted.module_.members
    assert first.linear.shape == (2, 48, 3)
    assert torch.equal(first.linear, second.linear)
    summed = fitted.predict_components().T.groupby(level=0, sort=False).sum().T
    pd.testing.assert_frame_equal(summed, fitted.predict(), rtol=1e-5, check_names=False)
    assert np.isfinite(fitted.transform()).all(axis=None)
    tsrec.save(fitted, tmp_path / "model.npz")
    pd.testing.assert_frame_equal(tsrec.load(tmp_path / "model.npz").predict_quantiles(), fitted.predict_quantiles())


def test_a_branch_stands_beside_the_maps_that_have_not_seen_its_tail(monkeypatch):
    beside, solved = [], []
    learn, solve = _epochs.train, _learning.fit_closed_form

    def spy(module, *args, **kwargs):
        beside.append(module.linear.clone())
        return learn(module, *args, **kwargs)

    monkeypatch.setattr(_epochs, "train", spy)
    monkeypatch.setattr(_learning, "fit_closed_form", lambda *a, **k: solved.append(solve(*a, **k)) or solved[0])
    fitted = LSSLForecaster(horizon=3, context=48, season=24, d_model=4, max_epochs=1, linear="ridge", random_state=0)
    fitted.fit(_unlike(600))
    assert torch.equal(beside[0], solved[0].fold_weights[-1])
    assert torch.equal(fitted.module_.linear, solved[0].weight)
    assert not torch.equal(solved[0].weight, solved[0].fold_weights[-1])


def test_intervals_of_maps_of_their_own_are_as_wide_as_their_errors():
    frame = _unlike()
    fitted = LSSLForecaster(horizon=3, context=48, season=24, max_epochs=0, linear="ridge").fit(frame)
    alone = LSSLForecaster(horizon=3, context=48, season=24, max_epochs=0, linear="ridge").fit(frame[["jagged"]])
    widths = [
        one.predict_interval(coverage=0.8)["jagged"].pipe(lambda bounds: bounds.iloc[:, 1] - bounds.iloc[:, 0])
        for one in (fitted, alone)
    ]
    assert (widths[0] < 1.5 * widths[1]).all()


def test_variables_of_one_kind_have_one_map_in_the_module_and_in_the_count():
    wave = _unlike(400)["wave"]
    frame = pd.DataFrame({"a": wave, "b": wave})
    fitted = LSSLForecaster(horizon=3, context=48, season=24, max_epochs=0).fit(frame)
    assert (fitted.maps_ == 1) == (fitted.module_.linear.ndim == 2)
    assert fitted.maps_ == fitted.module_.maps


def test_maps_of_their_own_in_panels_with_gaps_covariates_and_other_histories():
    rng = np.random.default_rng(0)
    parts = {name: _unlike(n) for name, n in (("x", 700), ("y", 500))}
    panel = pd.concat(parts, names=["id", "t"])
    X = pd.DataFrame({"known": rng.normal(size=len(panel))}, panel.index)
    panel = panel.add(5 * X["known"], axis=0).mask(rng.random(panel.shape) < 0.05)
    fitted = LSSLForecaster(horizon=3, context=48, season=24, max_epochs=0).fit(X, panel)
    assert fitted.maps_ == 2
    ahead = pd.concat(
        {
            name: part.tail(7).set_axis(part.index[-1] + pd.timedelta_range("1h", periods=7, freq="h"))
            for name, part in parts.items()
        },
        names=["id", "t"],
    )
    X_ahead = pd.DataFrame({"known": rng.normal(size=len(ahead))}, ahead.index)
    rolled = fitted.predict(X_ahead)
    turned = fitted.predict(X_ahead, history=panel[["jagged", "wave"]], history_X=X)
    pd.testing.assert_frame_equal(turned[rolled.columns], rolled)
    assert rolled.notna().all(axis=None)
    effect = rolled.sub(5 * X_ahead["known"], axis=0)
    assert (effect["wave"].abs() < 2.5).all()


@pytest.mark.parametrize("columns", [7, 8])
def test_up_to_seven_columns_have_maps_of_their_own(columns):
    frame = pd.concat([_unlike(300).add_suffix(str(number)) for number in range(4)], axis=1).iloc[:, :columns]
    fitted = LSSLForecaster(horizon=3, context=48, season=24, max_epochs=0).fit(frame)
    assert fitted.maps_ == (7 if columns == 7 else 1)
