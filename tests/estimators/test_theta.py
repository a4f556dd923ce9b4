"""The theta method: its meaning for one series, spelled out, and what must not matter for many."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from tsrec import ThetaForecaster
from tsrec.estimators._theta import (
    ALPHAS,
    classical_ratios,
    running_slopes,
    seasonal_pattern,
    shrunk_phases,
    theta_forecast,
)

RNG = np.random.default_rng(0)
SEASON = 4


def season_of(values, season):
    """Pattern by phase and whether it multiplies; the step after the last value has phase 0."""
    by_factor = all(value > 0 for value in values if value == value)
    neutral = 1.0 if by_factor else 0.0
    if season == 1 or len(values) < 2 * season or np.sum(~np.isnan(values)) <= season:
        return [neutral] * season, by_factor
    half, phases = season // 2, [[] for _ in range(season)]
    for step in range(half, len(values) - half):
        around = values[step - half : step + half + 1]
        weights = np.ones(len(around))
        if season % 2 == 0:
            weights[[0, -1]] = 0.5
        weights = weights * ~np.isnan(around)
        if weights.sum() >= season / 2 and values[step] == values[step]:
            average = np.sum(weights * np.nan_to_num(around)) / weights.sum()
            left = values[step] / average if by_factor else values[step] - average
            phases[(step - len(values)) % season].append(left)
    means = np.array([np.mean(phase) if phase else neutral for phase in phases])
    means = means / means.mean() if by_factor else means - means.mean()
    noise = np.mean([np.mean((np.array(p) - m) ** 2) for p, m in zip(phases, means, strict=True) if p])
    error = season * noise / max(np.mean([len(phase) for phase in phases]) - 1, 1)
    spread = np.sum((means - neutral) ** 2)
    return neutral + (means - neutral) * spread / (spread + 2 * error), by_factor


def slope_until(values, end):
    steps = [step for step in range(end + 1) if values[step] == values[step]]
    return np.polyfit(steps, values[steps], 1)[0] if len(steps) > 1 else 0.0


def lines_of(values, horizon, theta):
    """The theta forecast of a series without season, one smoothing constant after the other."""
    count, best = int(np.sum(~np.isnan(values))), None
    first = values[~np.isnan(values)][0]
    slopes = [slope_until(values, step) for step in range(len(values))]
    for alpha in ALPHAS:
        level, reach, seen, errors, drifts, one_ahead = first, 0.0, 0, [], [], 0
        for step, value in enumerate(values):
            if value == value:
                level += alpha * (value - level)
                reach = (1 - alpha) * reach
                seen += 1
            reach += seen > 0
            for ahead in (1, 2):
                if (
                    step + ahead < len(values)
                    and not np.isnan(values[step + ahead])
                    and seen >= max(min(8, count // 2), 1)
                ):
                    errors.append(values[step + ahead] - level)
                    drifts.append(slopes[step] * (reach + ahead - 1))
                    one_ahead += ahead == 1
        errors, drifts = np.array(errors), np.array(drifts)
        if theta is None:
            asked = np.sum(errors * drifts) / np.sum(drifts**2) if np.sum(drifts**2) > 0 else 0.5
            weight = np.clip((one_ahead * asked + 10 * 0.5) / (one_ahead + 10), 0, 1)
        else:
            weight = 1 - 1 / theta
        loss = np.sum((errors - weight * drifts) ** 2)
        if best is None or loss < best[0] * (1 - 1e-7):
            best = loss, level, reach, weight
    _, level, reach, weight = best
    return level + weight * slopes[-1] * (reach + np.arange(horizon))


def theta_of(values, horizon, season, theta=None):
    """The theta forecast of one series, as its papers and the docstring have it."""
    values = values[np.flatnonzero(~np.isnan(values))[0] :]
    pattern, by_factor = season_of(values, season)
    before = np.array([pattern[(step - len(values)) % season] for step in range(len(values))])
    after = np.array([pattern[step % season] for step in range(horizon)])
    if by_factor:
        return lines_of(values / before, horizon, theta) * after
    return lines_of(values - before, horizon, theta) + after


def windows(length=40, n=6, level=20.0):
    """Random walks with drift and season; missing values, and windows that begin late."""
    walks = level + np.cumsum(RNG.normal(0.1, 1, (length, n)), axis=0)
    walks += np.tile([0.0, 3.0, -2.0, -1.0], length)[:length, None]
    walks[RNG.random(walks.shape) < 0.1] = np.nan
    for late in range(n):
        walks[: late * 5, late] = np.nan
    return walks


@pytest.mark.parametrize("theta", [None, 1.0, 2.0, 3.5])
@pytest.mark.parametrize("season", [1, 3, 4])
@pytest.mark.parametrize("level", [0.0, 60.0])
def test_many_windows_are_forecast_as_one_series_is(theta, season, level):
    many = windows(level=level)
    found = theta_forecast(many, 7, season, theta)
    wanted = np.stack([theta_of(column, 7, season, theta) for column in many.T], axis=1)
    assert_allclose(found, wanted, rtol=1e-8)


@pytest.mark.parametrize("length", [1, 2, 3, 5, 8, 9])
def test_short_windows_too(length):
    many = 30 + RNG.normal(size=(length, 5))
    wanted = np.stack([theta_of(column, 3, SEASON) for column in many.T], axis=1)
    assert_allclose(theta_forecast(many, 3, SEASON), wanted, rtol=1e-8)


def test_batch_and_padding_do_not_matter():
    many = windows()
    whole = theta_forecast(many, 6, SEASON)
    padded = np.vstack([np.full((9, many.shape[1]), np.nan), many])
    assert_allclose(theta_forecast(padded, 6, SEASON), whole, rtol=1e-9)
    for place in range(many.shape[1]):
        assert_allclose(theta_forecast(many[:, [place]], 6, SEASON)[:, 0], whole[:, place], rtol=1e-9)


@pytest.mark.parametrize("theta", [2.0, 1.5])
def test_statsmodels_agrees_given_its_smoothing_constant(theta):
    peer = pytest.importorskip("statsmodels.tsa.forecasting.theta")
    for _ in range(3):
        y = 50 + np.cumsum(RNG.normal(0.2, 1, 60))
        fitted = peer.ThetaModel(y, period=4, deseasonalize=False).fit()
        wanted = fitted.forecast(8, theta=theta)
        found = theta_forecast(y[:, None], 8, 1, theta, np.array([fitted.params["alpha"]]))
        assert_allclose(found[:, 0], wanted, rtol=1e-8)


@pytest.mark.parametrize(("model", "season"), [("multiplicative", 4), ("additive", 4), ("additive", 5)])
def test_statsmodels_agrees_on_the_season_before_shrinkage(model, season):
    peer = pytest.importorskip("statsmodels.tsa.seasonal")
    y = 50 + np.cumsum(RNG.normal(size=6 * season)) + np.tile(RNG.normal(0, 4, season), 6)
    by_factor = model == "multiplicative"
    neutral = 1.0 if by_factor else 0.0
    wanted = peer.seasonal_decompose(y, model, period=season).seasonal[:season]
    phases = np.array([wanted[phase] for phase in range(season)])
    shrunk = shrunk_phases(classical_ratios(y[:, None], season, by_factor=by_factor), season, neutral)[:, 0]
    share = (shrunk - neutral) @ (phases - neutral) / np.sum((phases - neutral) ** 2)
    assert 0 < share < 1
    assert_allclose(shrunk - neutral, share * (phases - neutral), atol=1e-10)


def test_a_season_that_is_not_there_is_shrunk_and_a_clear_one_kept():
    noise = 100 + RNG.normal(size=(120, 20))
    clear = np.tile([0.0, 10.0, 20.0, 5.0], 30)[:, None]
    none, by_factor = seasonal_pattern(noise, SEASON)
    assert by_factor.all()
    assert np.abs(none - 1).max() < 0.005
    kept, by_factor = seasonal_pattern(clear - 9 + 0.01 * noise, SEASON)
    assert not by_factor.any()
    assert_allclose(kept, np.tile(clear[:4] - clear[:4].mean(), 20), atol=0.05)


def test_a_phase_near_zero_is_subtracted_rather_than_divided_out():
    y = np.tile([1e-6, 10.0, 20.0, 5.0], 10)[:, None] * (1 + 0.01 * RNG.random((40, 1)))
    pattern, by_factor = seasonal_pattern(y, SEASON)
    assert not by_factor[0]
    assert abs(pattern.sum()) < 1e-9
    assert_allclose(theta_forecast(y, 4, SEASON)[:, 0], y[-4:, 0], rtol=0.1, atol=0.2)


def test_running_slopes_are_those_of_least_squares():
    many = windows(n=3)
    found = running_slopes(many)
    for place in range(3):
        first = np.flatnonzero(~np.isnan(many[:, place]))[0]
        wanted = [slope_until(many[first:, place], end) for end in range(len(many) - first)]
        assert_allclose(found[first:, place], wanted, atol=1e-9)


def test_unit_and_zero_of_the_scale():
    many = windows()
    whole = theta_forecast(many, 6, SEASON)
    assert_allclose(theta_forecast(1e-3 * many, 6, SEASON), 1e-3 * whole, rtol=1e-8)
    # A season that multiplies does not survive another zero; one that is added does, and so does no season.
    assert_allclose(theta_forecast(many + 1e4, 6, 1) - 1e4, theta_forecast(many, 6, 1), rtol=1e-6)
    below = many - 1e3
    assert_allclose(theta_forecast(below - 1e4, 6, SEASON) + 1e4, theta_forecast(below, 6, SEASON), rtol=1e-6)
    assert_allclose(theta_forecast(-below[:, :1] - 1e4, 6, 1), -theta_forecast(below[:, :1] + 1e4, 6, 1), rtol=1e-6)


@pytest.mark.parametrize("value", [0.0, 5.0, -3.0, 1e300, 1e-300])
def test_constant_windows_stay_constant(value):
    for length in (1, 2, 3, 30):
        assert_allclose(theta_forecast(np.full((length, 2), value), 4, SEASON), value, rtol=1e-9)


def test_windows_without_values_give_nothing():
    many = windows(n=3)
    many[:, 1] = np.nan
    found = theta_forecast(many, 5, SEASON)
    assert np.isnan(found[:, 1]).all()
    assert np.isfinite(found[:, [0, 2]]).all()


def test_theta_on_a_line():
    line = np.arange(40.0)[:, None]
    assert_allclose(theta_forecast(line, 3, 1, 1.0)[:, 0], 39, atol=0.02)
    assert_allclose(theta_forecast(line, 3, 1, 1e9)[:, 0], [40, 41, 42], rtol=1e-6)
    assert (np.diff(theta_forecast(line, 3, 1)[:, 0]) > 0.8).all()


def test_what_follows_a_cutoff_is_not_read():
    y = pd.concat({i: pd.Series(50 + np.cumsum(RNG.normal(size=60))) for i in range(4)})
    model = ThetaForecaster(horizon=5, season=4).fit(y)
    cutoffs = np.array([[0, 30], [2, 41], [3, 0], [1, 1]])
    found = model.predict_cutoffs(y, cutoffs)
    later = y.copy()
    for series, step in cutoffs:
        rows = np.flatnonzero(later.index.get_level_values(0) == series)[step:]
        later.iloc[rows] = RNG.normal(0, 1e5, len(rows))
    np.testing.assert_array_equal(model.predict_cutoffs(later, cutoffs), found)
    assert np.isfinite(found).all()


def test_rows_beyond_the_context_are_cut():
    y = pd.Series(50 + np.cumsum(RNG.normal(size=80)))
    model = ThetaForecaster(horizon=3, season=1, context=20).fit(y)
    assert_allclose(model.predict(), theta_forecast(y.to_numpy()[-20:, None], 3, 1)[:, 0])
    assert ThetaForecaster(season=200).fit(y).context_ == 800
    assert ThetaForecaster(season=4).fit(y).context_ == 512


def test_intervals_hold_about_what_they_promise():
    # Numbers of its own: of sixty walks drawn after other tests, whose order varies, one in some fifty falls outside.
    rng = np.random.default_rng(0)
    walks = pd.concat({i: pd.Series(100 + np.cumsum(rng.normal(size=90))) for i in range(200)})
    model = ThetaForecaster(horizon=6, season=1).fit(walks.groupby(level=0).head(84))
    found = model.predict_interval(6, 0.8)
    truth = walks.groupby(level=0).tail(6).to_numpy()
    inside = (truth >= found.iloc[:, 0].to_numpy()) & (truth <= found.iloc[:, 1].to_numpy())
    assert 0.7 < inside.mean() < 0.9


@pytest.mark.parametrize("theta", [0.5, "best", True, None, np.nan, np.inf])
def test_thetas_that_are_none_are_refused(theta):
    with pytest.raises(ValueError, match=r"theta: found .* Give a number of at least 1, or 'auto'"):
        ThetaForecaster(theta=theta).fit(np.arange(9.0))


def test_a_context_that_is_none_is_refused():
    with pytest.raises(ValueError, match="context: found 0"):
        ThetaForecaster(context=0).fit(np.arange(9.0))
