"""Forecasts of series whose steps are finer or coarser than what was learned, and what learning goes on from."""

import numpy as np
import pandas as pd
import pytest
import torch

from tsrec import TEMPOForecaster
from tsrec.estimators._sets import joined
from tsrec.estimators._transfer import Before, _rolled


def repeated(days, steps=24, freq="h", seed=0, noise=0.02):
    """A day of random numbers, again and again."""
    rng = np.random.default_rng(seed)
    values = np.tile(rng.normal(size=steps), days) + noise * rng.normal(size=days * steps)
    return pd.DataFrame({"y": values}, pd.date_range("2024-01-01", periods=len(values), freq=freq))


def learned(**options):
    sets = {f"hours {seed}": repeated(16, seed=seed) for seed in range(3)} | {"days": repeated(40, 7, "D", seed=3)}
    given = {"horizon": 24, "context": 72, "max_epochs": 0, "d_model": 8, "random_state": 0, "backbone": "identity"}
    return TEMPOForecaster(**{**given, **options}).fit(sets)


@pytest.fixture(scope="module")
def model():
    return learned()


def test_what_a_day_shows_within_hours_is_in_its_forecast(model):
    y = repeated(9, 96, "15min", noise=0.0)
    # At any step of the day, also that right after the cut-off.
    ends = np.arange(700, 800, 7)
    answer = model.predict_cutoffs(y, np.stack([np.zeros_like(ends), ends], axis=1))[..., 0, 0]
    truth = y["y"].to_numpy()[ends[:, None] + np.arange(24)]
    np.testing.assert_allclose(answer, truth, atol=0.1)


def test_what_a_day_shows_within_hours_is_of_its_season():
    model = learned(max_epochs=1)
    quarters = pd.date_range("2024", periods=768, freq="15min")
    y = pd.DataFrame({"y": np.repeat(repeated(8, noise=0.0)["y"].to_numpy(), 4)}, quarters)
    zigzag = np.where(np.arange(768) % 2, 1.0, -1.0)
    plain = model.predict_components(history=y)["y"]
    found = model.predict_components(history=y.add(zigzag, axis=0))["y"]
    expected = plain.assign(seasonal=plain["seasonal"] + zigzag[:24])
    pd.testing.assert_frame_equal(found, expected, atol=0.02)


def test_intervals_of_coarser_steps_are_those_of_the_module(model):
    days = repeated(30, 7, "D", seed=8)
    found = model.predict_quantiles(history=days)
    assert (np.diff(found, axis=1) > 0.005).all()


def test_intervals_of_finer_steps_stay_as_they_are_before_the_first_middle(model):
    answer = model.predict_cutoffs(repeated(9, 96, "15min"), np.array([[0, 700], [0, 731]]))
    away = answer[..., 1:] - answer[..., :1]
    np.testing.assert_allclose(away[:, 0], away[:, 1], rtol=1e-6, atol=1e-9)


def test_a_first_branch_looks_at_the_season_of_what_it_learns_from():
    model = TEMPOForecaster(horizon=7, context=72, max_epochs=0, d_model=8, backbone="identity").fit(repeated(16))
    assert model.period_ == 24
    days = repeated(60, 7, "D")
    assert model.set_params(max_epochs=1).fit(days, warm_start=True).period_ == 7
    # Later ones keep what the branch was made for.
    assert model.fit(repeated(16), warm_start=True).period_ == 7


def blocks(widen):
    """Answers of three blocks of two steps: one up with every step, and one to each side."""

    def forecast(panel, ends):
        last = panel.values.reshape(len(ends), -1, panel.n_channels)[:, -1]
        point = last[:, None] + np.arange(1.0, 3.0)[:, None]
        return np.stack([point, point - 1, point + 1], axis=-1)

    panel = joined([np.arange(4.0)[:, None], 10 + np.arange(4.0)[:, None]], pd.RangeIndex(1))
    return _rolled(panel, np.array([[0, 4], [1, 4]]), forecast, 5, widen=widen)


def test_blocks_go_on_from_those_before_and_their_intervals_widen():
    found = blocks(widen=True)[..., 0, :]
    points = np.arange(4.0, 10.0) + np.array([[0.0], [10.0]])
    spread = np.sqrt([1, 1, 2, 2, 3, 3])
    np.testing.assert_allclose(found, np.stack([points, points - spread, points + spread], axis=-1))


def test_what_is_no_interval_is_not_widened():
    found = blocks(widen=False)
    np.testing.assert_array_equal(found[..., 1:] - found[..., :1], np.broadcast_to([-1.0, 1.0], (2, 6, 1, 2)))


def test_a_kind_of_frequency_that_was_never_seen_has_the_map_of_all(model):
    months = pd.DataFrame({"y": np.arange(60.0)}, pd.date_range("2020", periods=60, freq="MS"))
    assert (model.paces_, model.maps_) == (("sub-daily", "daily"), 3)
    known = [model._known(y, None) for y in (repeated(3), repeated(3, 7, "D"), months)]
    assert [model._variable(one, np.zeros(2, int)).tolist() for one in known] == [[0, 0], [1, 1], [2, 2]]


def test_the_map_to_go_on_from_is_that_of_the_kind_else_that_of_all():
    maps = torch.arange(3.0)[:, None, None].expand(3, 2, 2)

    def before(paces, **weights):
        return Before(weights, {"linear_": "ridge"}, {}, None, paces)

    kinds = before(("sub-daily", "daily"), linear=maps)
    assert [float(kinds.map_of(pace, "ridge")[0, 0]) for pace in ("sub-daily", "daily", "monthly")] == [0, 1, 2]
    assert torch.equal(before((), linear=maps).map_of("daily", "ridge"), maps[1])
    assert torch.equal(before((), linear=maps[2]).map_of("daily", "ridge"), maps[2])
    assert before(()).map_of("daily", "ridge") is None
    # What a structural model left over says nothing where there is none, and the other way round.
    left = kinds._replace(settled={"linear_": "structural"})
    assert [left.map_of(pace, "ridge") is None for pace in ("sub-daily", "daily", "monthly")] == [True, False, False]
    assert torch.equal(left.map_of("sub-daily", "structural"), maps[0])
    assert kinds.map_of("sub-daily", "structural") is None


def test_what_was_learned_is_not_lost_where_learning_cannot_go_on():
    model, y = learned(), repeated(9, 96, "15min")
    before, state = model.predict(history=y), dict(vars(model))
    with pytest.raises(ValueError, match="X: found 1 covariate columns"):
        model.fit(y.rename(columns={"y": "x"}), y, warm_start=True)
    assert vars(model).keys() == state.keys()
    assert all(vars(model)[name] is value for name, value in state.items())
    pd.testing.assert_frame_equal(model.predict(history=y), before)
