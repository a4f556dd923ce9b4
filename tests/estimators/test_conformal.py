"""Calibrated intervals: that they hold, what they rest on, and that nothing else changes."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

import tsrec
from tsrec import ConformalForecaster, EnsembleForecaster, SeasonalMeanForecaster, SeasonalNaiveForecaster
from tsrec.estimators.conformal import calibrated_offsets, conformal_quantile, scores_of

NAIVE = SeasonalNaiveForecaster(horizon=6, season=6)
LEVELS = np.array([0.05, 0.2, 0.5, 0.8, 0.95])


def hours(n=240, seed=0):
    rng = np.random.default_rng(seed)
    t = np.arange(n)
    y = 5 * np.sin(2 * np.pi * t / 6) + rng.normal(size=n)
    return pd.Series(y, pd.date_range("2024", periods=n, freq="h"), name="y")


class Narrow(SeasonalNaiveForecaster):
    """Quantiles a tenth as far from the point as they should be."""

    def _forecast(self, panel, cutoffs):
        answers = super()._forecast(panel, cutoffs)
        return answers[..., :1] + 0.1 * (answers - answers[..., :1])


@pytest.mark.parametrize("share", [0.5, 0.8, 0.9, 0.99])
def test_the_quantile_of_scores_is_that_of_the_definition(share):
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(150, 3, 2))
    scores[40:, 2] = np.nan
    found = conformal_quantile(scores, share)
    for step in range(3):
        for channel in range(2):
            seen = np.sort(scores[~np.isnan(scores[:, step, channel]), step, channel])
            rank = int(np.ceil((len(seen) + 1) * share))
            if rank > len(seen):
                seen = np.sort(scores[..., channel][~np.isnan(scores[..., channel])])
                rank = int(np.ceil((len(seen) + 1) * share))
            assert found[step, channel] == seen[rank - 1]


def test_too_few_scores_give_the_largest_and_none_give_nothing():
    assert conformal_quantile(np.array([[[3.0]], [[5.0]]]), 0.9).item() == 5.0
    assert conformal_quantile(np.full((2, 1, 1), np.nan), 0.9).item() == 0.0


def test_moved_pairs_hold_their_share_of_the_calibration_rows():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(500, 2, 1))
    quantiles = np.array([-0.5, -0.3, 0.1, 0.2, 0.3]) * np.ones((500, 2, 1, 1)) * rng.uniform(1, 2, size=(500, 1, 1, 1))
    offsets, counts = calibrated_offsets(scores_of(quantiles, truth, LEVELS), LEVELS)
    assert counts.tolist() == [[500], [500]]
    assert offsets[..., 2].max() == 0
    for step in range(2):
        for low, high, share in ((0, 4, 0.9), (1, 3, 0.6)):
            score = np.maximum(quantiles[..., low] - truth, truth - quantiles[..., high])[:, step, 0]
            unit = _width_of_normal_score(quantiles)[:, step, 0]
            rank = int(np.ceil(501 * share))
            expected = np.sort(score / unit)[rank - 1]
            np.testing.assert_allclose(offsets[step, 0, [low, high]], [-expected, expected], rtol=1e-12)


def _width_of_normal_score(quantiles):
    """Width from 0.1 to 0.9, linear in the normal score between the levels."""
    from scipy.special import ndtri

    scores = ndtri(LEVELS)
    rows = quantiles.reshape(-1, len(LEVELS))
    bounds = [np.array([np.interp(ndtri(level), scores, row) for row in rows]) for level in (0.1, 0.9)]
    return (bounds[1] - bounds[0]).reshape(quantiles.shape[:-1])


def test_levels_without_a_partner_are_moved_by_their_own_side():
    truth = np.arange(99.0).reshape(99, 1, 1)
    quantiles = np.broadcast_to([0.0, 1.0], (99, 1, 1, 2))
    levels = np.array([0.1, 0.8])
    offsets, _ = calibrated_offsets(scores_of(quantiles, truth, levels), levels)
    unit = np.diff(_at([0.0, 1.0], [0.1, 0.8], [0.1, 0.9])).item()
    # Rank 80 of 99 from above lies at 79; rank 90 from below at 9.
    np.testing.assert_allclose(offsets[0, 0] * unit, [9.0, 78.0])


def _at(values, known, wanted):
    from tsrec.estimators._quantiles import at_levels

    return at_levels(np.array(values), np.array(known), np.array(wanted))


@pytest.mark.parametrize("refit", [True, False])
def test_intervals_of_a_forecaster_that_is_sure_of_itself_come_to_hold(refit):
    y = hours(900)
    model = ConformalForecaster(Narrow(horizon=6, season=6), refit=refit).fit(y.iloc[:600])
    cutoffs = np.stack([np.zeros(290, dtype=int), np.arange(600, 890)], axis=1)
    truth = y.to_numpy()[cutoffs[:, 1:] + np.arange(6)]

    def held(forecaster):
        answers = forecaster.predict_cutoffs(y, cutoffs)[:, :, 0]
        low, high = (answers[..., 1 + list(forecaster.levels_).index(level)] for level in (0.1, 0.9))
        return np.mean((truth >= low) & (truth <= high))

    assert held(Narrow(horizon=6, season=6).fit(y.iloc[:600])) < 0.2
    assert 0.74 < held(model) < 0.86


def test_the_point_forecast_is_that_of_all_rows_unless_told_otherwise():
    y = hours()
    base = SeasonalMeanForecaster(horizon=6, season=6, context=180)
    model = ConformalForecaster(base).fit(y)
    pd.testing.assert_series_equal(model.predict(), clone(base).fit(y).predict())
    kept = ConformalForecaster(base, refit=False).fit(y)
    assert list(kept.members_) == ["calibrated"]
    alone = clone(base).fit(y.iloc[:192])
    pd.testing.assert_series_equal(kept.predict(history=y), alone.predict(history=y))


def test_scores_of_large_and_small_series_count_together():
    y = pd.concat({name: hours(seed=seed) for seed, name in enumerate("ab")}, names=["id"])
    scale = np.where(y.index.get_level_values(0) == "a", 1e6, 1.0)
    plain, scaled = (ConformalForecaster(NAIVE).fit(values) for values in (y, y * scale))
    np.testing.assert_allclose(plain.offsets_, scaled.offsets_, rtol=1e-6)


def test_what_follows_the_calibration_part_is_never_seen():
    y = hours()
    model = ConformalForecaster(NAIVE).fit(y.iloc[:200])
    cutoffs = np.array([[0, 205], [0, 220]])
    spoiled = y.copy()
    spoiled.iloc[220:] = 1e9
    np.testing.assert_array_equal(model.predict_cutoffs(spoiled, cutoffs), model.predict_cutoffs(y, cutoffs))


def test_a_history_too_short_leaves_quantiles_as_they_are():
    y = hours(1)
    model = ConformalForecaster(NAIVE).fit(y)
    assert model.n_scores_.max() == 0
    pd.testing.assert_frame_equal(model.predict_quantiles(), clone(NAIVE).fit(y).predict_quantiles())


def test_a_constant_series_keeps_its_forecast():
    y = hours() * 0 + 4
    assert (ConformalForecaster(NAIVE).fit(y).predict_interval(9) == 4).all(axis=None)


def test_components_and_levels_are_those_of_the_forecaster():
    y = hours()
    base = EnsembleForecaster({"a": NAIVE, "b": SeasonalMeanForecaster(horizon=6)}, quantiles=(0.05, 0.95))
    model = ConformalForecaster(base).fit(y)
    assert model.levels_.tolist() == [0.05, 0.95]
    assert model.predict_components()["y"].columns.tolist() == ["a", "b"]
    assert not hasattr(ConformalForecaster(NAIVE).fit(y), "predict_components")
    assert model.get_params()["forecaster__a__season"] == 6


def test_updates_move_intervals_that_hold_too_little_or_too_much():
    calm = hours(300)
    wild = 4 * (hours(200, seed=1) - hours(200, seed=1).rolling(6, center=True, min_periods=1).mean())
    wild.index = pd.date_range(calm.index[-1], periods=201, freq="h")[1:]
    y = pd.concat([calm, wild + 7 * np.random.default_rng(0).normal(size=200)])
    widths = {}
    for adapt in (0.0, 0.3):
        model = ConformalForecaster(NAIVE, adapt=adapt).fit(y.iloc[:300])
        offsets = model.offsets_.copy()
        for at in range(300, 500, 9):
            model.update(y.iloc[at : at + 9])
        widths[adapt] = model.offsets_[..., -1] - offsets[..., -1]
    assert (widths[0.0] == 0).all()
    assert widths[0.3].mean() > 0.1
    assert model.alpha_[0, 0] < 0.05


def test_one_update_moves_shares_by_what_was_held(tmp_path):
    y = hours(306)
    model = ConformalForecaster(NAIVE, adapt=0.5, quantiles=(0.1, 0.5, 0.9)).fit(y.iloc[:300])
    cutoffs = np.stack([np.zeros(6, dtype=int), np.arange(295, 301)], axis=1)
    answers = model.predict_cutoffs(y, cutoffs)[:, :, 0]
    truth = y.to_numpy()[cutoffs[:, 1:] + np.arange(6)]
    missed = np.mean((truth < answers[..., 1]) | (truth > answers[..., 3]))
    model.update(y.iloc[300:])
    np.testing.assert_allclose(model.alpha_[0, [0, 2]], 0.2 + 0.5 * (0.2 - missed))
    tsrec.save(model, tmp_path / "f")
    pd.testing.assert_frame_equal(tsrec.load(tmp_path / "f").predict_quantiles(), model.predict_quantiles())


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"forecaster": "naive"}, TypeError, "forecaster: found 'naive'"),
        ({"calibration": 1.0}, ValueError, "calibration: found 1.0"),
        ({"adapt": -1}, ValueError, "adapt: found -1"),
        ({"refit": "yes"}, ValueError, "refit: found 'yes'"),
    ],
)
def test_wrong_parameters_are_named(options, error, message):
    with pytest.raises(error, match=message):
        ConformalForecaster(**options).fit(hours())


def test_quantiles_that_are_moved_past_each_other_are_put_in_order():
    model = ConformalForecaster(NAIVE).fit(hours())
    model.offsets_ += np.linspace(3, -3, len(model.levels_))
    assert (np.diff(model.predict_quantiles(14, [0.05, 0.4, 0.6, 0.9]), axis=1) >= 0).all()
