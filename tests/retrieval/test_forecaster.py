"""Forecasts from analogues: which are found, what they say, how much they count, and that none is of the future."""

import pickle
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

import tsrec
from tsrec import LSSLForecaster, SeasonalMeanForecaster, SeasonalNaiveForecaster
from tsrec.retrieval import RetrievalForecaster
from tsrec.retrieval._mix import Moments, falling_weights, fitting_widths, weighted_quantiles

LAST = SeasonalNaiveForecaster(season=1)
PLAIN = RetrievalForecaster(horizon=6, context=12, season=4, k=3, mix=None, align="last")
RAFT = {"align": "future", "similarity": "pearson", "views": (4, 2, 1), "joint": True, "k": 20, "mix": "linear"}


def hours(values, start="2024"):
    return pd.Series(values, pd.date_range(start, periods=len(values), freq="h"), name="y")


def motifs(n=60, seed=0, noise=0.05):
    """Blocks of 12 rows that announce, by one of four shapes, what the next 6 are; levels wander."""
    rng = np.random.default_rng(seed)
    shapes = rng.normal(size=(4, 18)).cumsum(axis=1)
    blocks = [shapes[i] - shapes[i, 0] for i in rng.integers(4, size=n)]
    values = np.concatenate([block + level for block, level in zip(blocks, rng.normal(size=n).cumsum(), strict=True)])
    return hours(values + noise * rng.normal(size=len(values)))


def at(y, first):
    return np.array([[0, first]]) if np.isscalar(first) else np.stack([np.zeros(len(first), dtype=int), first], axis=1)


def errors(model, y, first):
    truth = y.to_numpy()[np.asarray(first)[:, None] + np.arange(model.horizon)]
    return np.square(model.predict_cutoffs(y, at(y, first))[..., 0, 0] - truth).mean()


@pytest.mark.parametrize("similarity", ["pearson", "concordance"])
def test_what_followed_the_most_similar_windows_is_the_forecast(similarity):
    y = motifs(20)
    model = clone(PLAIN).set_params(similarity=similarity).fit(y)
    rows, ends = y.to_numpy(), np.arange(12, len(y) - 12 - 6 + 1)
    query = rows[-12:] - rows[-1]
    windows = np.array([rows[end - 12 : end] - rows[end - 1] for end in ends])
    if similarity == "pearson":
        alike = np.array([np.corrcoef(query, window)[0, 1] for window in windows])
    else:
        alike = 2 * windows @ query / (np.square(windows).sum(axis=1) + np.square(query).sum())
    best = np.argsort(-alike)[:3]
    weight = np.exp(alike[best] / 0.1) / np.exp(alike[best] / 0.1).sum()
    futures = np.array([rows[end : end + 6] - rows[end - 1] for end in ends[best]])
    np.testing.assert_allclose(model.predict(), rows[-1] + weight @ futures, rtol=1e-6)
    told = model.explain()
    assert told["end"].tolist() == y.index[ends[best]].tolist()
    np.testing.assert_allclose(told["weight"], weight, rtol=1e-9)
    np.testing.assert_allclose(told["similarity"], alike[best], rtol=1e-9)


@pytest.mark.parametrize("mix", ["residual", "gate"])
def test_a_base_is_corrected_by_its_errors_or_moved_towards_the_analogues(mix):
    y, base = motifs(20), SeasonalMeanForecaster(season=1, context=7)
    model = RetrievalForecaster(base, horizon=6, context=12, season=1, k=3, mix=mix, align="last").fit(y)
    model.weight_ = np.linspace(0.9, 0.4, 6)
    told = model.explain()
    ends = y.index.get_indexer(pd.Index(told["end"]))
    futures = y.to_numpy()[ends[:, None] + np.arange(6)]
    own = clone(base).set_params(horizon=6).fit(y)
    start = own.predict().to_numpy()
    if mix == "residual":
        correction = told["weight"].to_numpy() @ (futures - own.predict_cutoffs(y, at(y, ends))[..., 0, 0])
    else:
        correction = y.iloc[-1] + told["weight"].to_numpy() @ (futures - y.to_numpy()[ends - 1, None]) - start
    np.testing.assert_allclose(model.predict(), start + model.weight_ * correction, rtol=1e-5)
    before = model.predict_interval(coverage=0.8)
    model.widths_ = 2 * model.widths_
    spread, wider = (np.diff(interval, axis=1) for interval in (before, model.predict_interval(coverage=0.8)))
    np.testing.assert_allclose(wider, 2 * spread, rtol=1e-5)


def test_size_counts_for_concordance_and_not_for_pearson():
    wave = np.sin(np.arange(12) * 1.3)
    quiet = np.zeros(12)
    y = hours(np.concatenate([3 * wave, quiet, wave, quiet, 3 * wave, quiet, 1.02 * wave]))
    starts = {}
    for similarity in ("concordance", "pearson"):
        model = clone(PLAIN).set_params(similarity=similarity, horizon=12, k=1).fit(y)
        starts[similarity] = model.explain()["start"][0]
    assert starts["concordance"] == y.index[24]
    assert starts["pearson"] in y.index[[0, 24, 48]]
    alike = clone(PLAIN).set_params(similarity="pearson", horizon=12, k=3).fit(y).explain()["similarity"]
    np.testing.assert_allclose(alike, 1.0, atol=1e-9)


@pytest.mark.parametrize("options", [{}, {"joint": True}, {"mix": "linear"}, {"base": LAST, "mix": "gate"}, RAFT])
def test_nothing_after_a_cut_off_moves_its_forecast(options):
    rng = np.random.default_rng(1)
    y = pd.DataFrame(rng.normal(size=(260, 2)).cumsum(axis=0), hours(np.zeros(260)).index)
    model = RetrievalForecaster(horizon=6, context=12, season=4).set_params(**options).fit(y)
    cutoffs = at(y, [60, 100, 150])
    wanted = model.predict_cutoffs(y, cutoffs)
    spoiled = y.copy()
    spoiled.iloc[150:] = 1e6
    model.library_.values[150:] = -1e6
    np.testing.assert_array_equal(model.predict_cutoffs(spoiled, cutoffs), wanted)


@pytest.mark.parametrize("both_sides", [False, True])
def test_a_giveaway_that_overlaps_or_lies_ahead_is_not_found(both_sides):
    y = np.random.default_rng(2).normal(size=400)
    y[228:252] = y[188:212]
    for first, seen in ((200, False), (245, False), (246, False), (258, True)):
        y[first - 12 : first] = y[228:240]
        model = clone(PLAIN).set_params(k=400).fit(hours(y))
        panel, library = model.panel_, model._library()
        found = library.locate(panel, at(y, first), 400, 0.1, both_sides=both_sides)
        places = library.positions[found.windows[found.weight > 0]]
        ahead = places - 12 >= first + 6
        assert np.all((places + 6 <= first - 12) | (ahead if both_sides else False))
        assert (240 in places) == (seen or (both_sides and first == 200))
        assert both_sides == bool(ahead.any())


def test_another_series_may_be_seen_up_to_the_cut_off_and_only_if_wanted():
    panel = pd.concat({"a": motifs(12, 1), "b": motifs(12, 2)}, names=["name"])
    for across in (True, False):
        model = clone(PLAIN).set_params(across=across, k=500).fit(panel)
        told = model.explain(history=panel.iloc[:-40])
        assert (told["future_end"] <= told["cutoff"]).all()
        own = told[told["query"] == told["series"]]
        assert (own["future_end"] <= own["cutoff"] - pd.Timedelta("12h")).all()
        other = told[told["query"] != told["series"]]
        assert len(other) > 0 if across else len(other) == 0
        assert not across or (other["future_end"] > other["cutoff"] - pd.Timedelta("12h")).any()


def test_analogues_tell_what_a_level_cannot_and_correct_a_base():
    y = motifs(120)
    known, ends = y.iloc[:1440], np.arange(1452, 2155, 18)
    assert errors(clone(LAST).set_params(horizon=6).fit(known), y, ends) > 1
    options = {"horizon": 6, "context": 12, "season": 1, "k": 5, "align": "last"}
    for extra in ({"mix": None}, {}, {"base": LAST, "mix": "residual"}, {"base": LAST, "mix": "gate"}):
        model = RetrievalForecaster(**{**options, **extra}).fit(known)
        assert errors(model, y, ends) < 0.2, extra
        # Every cut-off counts for the weight, also those within a block, of which nothing can be known.
        assert model.weight_[0] > 0.2


@pytest.mark.parametrize(("mix", "shares"), [("linear", [1.0, 0.75]), ("residual", [1.0, 0.5, 0.75])])
def test_a_base_is_fitted_to_all_rows_and_for_each_stretch_that_is_held_out(mix, shares, monkeypatch):
    y, seen, learn = motifs(20), [], SeasonalMeanForecaster._learn

    def noted(self, panel, *arguments, **options):
        seen.append(panel.lengths.sum() / len(y))
        return learn(self, panel, *arguments, **options)

    monkeypatch.setattr(SeasonalMeanForecaster, "_learn", noted)
    base = SeasonalMeanForecaster(season=1, context=7)
    RetrievalForecaster(base, horizon=6, context=12, season=1, k=3, mix=mix, align="last").fit(y)
    assert seen == shares


def test_where_nothing_repeats_a_base_stands_alone():
    y = hours(np.random.default_rng(3).normal(size=3000))
    base = LSSLForecaster(season=1, context=24, max_epochs=0)
    model = RetrievalForecaster(base, horizon=6, context=24, season=1, k=50).fit(y)
    assert model.weight_.max() < 0.2
    np.testing.assert_allclose(model.predict(), clone(base).set_params(horizon=6).fit(y).predict(), atol=0.1)
    assert base.horizon == 24


def test_weights_are_shares_that_fall_with_the_step_and_are_least_squares():
    rng = np.random.default_rng(4)
    correction = rng.normal(size=(500, 4, 2))
    share = np.array([1.4, 0.6, 0.3, -0.4])
    error = share[:, None] * correction
    np.testing.assert_allclose(falling_weights(correction, error), [1, 0.6, 0.3, 0], atol=1e-9)
    rising = falling_weights(correction, share[::-1, None] * correction)
    assert np.ptp(rising) < 1e-12
    pooled = (np.square(correction).sum(axis=(0, 2)) * share[::-1]).sum() / np.square(correction).sum()
    np.testing.assert_allclose(rising, pooled)
    error[:, 1] = np.nan
    assert np.isfinite(falling_weights(correction, error)).all()


def test_raft_is_the_ridge_map_of_the_window_and_of_what_followed_in_each_view():
    y = motifs(80)
    model = RetrievalForecaster(horizon=6, context=12, season=1, **RAFT).fit(y.iloc[:1000])
    assert model.weight_.shape == (12 + 6 // 4 + 6 // 2 + 6, 6)
    ends = np.arange(1020, 1430, 18)
    assert errors(model, y, ends) < 0.7 * errors(clone(LAST).set_params(horizon=6).fit(y.iloc[:1000]), y, ends)
    # What is relative to its own last value has none.
    np.testing.assert_allclose(model.weight_[-1], 0, atol=1e-12)
    np.testing.assert_allclose(model.weight_[11], 0, atol=1e-12)
    assert np.abs(model.weight_[-2]).max() > 1e-6
    rng = np.random.default_rng(5)
    rows, targets, moments = rng.normal(size=(50, 4)), rng.normal(size=(50, 3)), Moments(4, 3)
    targets[7, 1] = np.nan
    moments.add(rows, targets)
    kept = np.delete(np.arange(50), 7)
    wanted = np.linalg.lstsq(rows[kept], targets[kept], rcond=None)[0]
    np.testing.assert_allclose(moments.solved(1e-12), wanted, rtol=1e-8)
    assert np.abs(moments.solved(10.0)).sum() < np.abs(wanted).sum()


def test_more_analogues_than_there_are_windows_are_all_of_them():
    y = motifs(12)
    few, many = (clone(PLAIN).set_params(k=k).fit(y) for k in (len(y), 10**9))
    pd.testing.assert_series_equal(few.predict(), many.predict())


def test_quantiles_are_in_order_and_hold_about_their_share():
    y = motifs(150, noise=0.5)
    model = RetrievalForecaster(horizon=6, context=12, season=1, k=20, align="last").fit(y.iloc[:1800])
    first = np.arange(1810, 2690, 5)
    answers = model.predict_cutoffs(y, at(y, first))[:, :, 0, 1:]
    assert (np.diff(answers, axis=-1) >= 0).all()
    truth = y.to_numpy()[first[:, None] + np.arange(6)]
    low, high = (answers[..., list(model.levels_).index(level)] for level in (0.1, 0.9))
    assert 0.7 < np.mean((truth >= low) & (truth <= high)) < 0.9


def test_quantiles_of_analogues_count_them_by_weight():
    import torch

    payload = torch.arange(5.0)[:, None]
    which, weight = torch.tensor([[4, 0, 2]]), torch.tensor([[0.5, 0.25, 0.25]], dtype=torch.float64)
    found = weighted_quantiles(payload, which, weight, np.array([0.1, 0.4, 0.9]))
    np.testing.assert_allclose(found[0, 0], [0, 2, 4])
    error = np.random.default_rng(6).normal(size=(4000, 1, 1))
    away = np.broadcast_to([-2.0, 0.0, 0.5], (4000, 1, 1, 3))
    widths = fitting_widths(error, away, np.array([0.1, 0.5, 0.9]))
    np.testing.assert_allclose(widths * away[0, 0, 0], [-1.28, 0, 1.28], atol=0.08)


def test_holes_short_and_constant_series_get_finite_forecasts():
    y = motifs(40)
    y[np.random.default_rng(7).random(len(y)) < 0.2] = np.nan
    y.iloc[300:400] = np.nan
    panel = pd.concat({"holes": y, "constant": y * 0 + 3.0, "short": y.iloc[:5], "empty": y * np.nan}, names=["id"])
    for options in ({}, {"mix": "linear"}, {"base": LAST}, {"views": (5, 1), "joint": True}):
        model = RetrievalForecaster(horizon=6, context=12, season=4, k=4).set_params(**options).fit(panel)
        assert np.isfinite(model.predict_quantiles()).all(axis=None), options
    flat = RetrievalForecaster(horizon=6, context=12, season=4).fit(hours(np.full(200, 7.0)))
    np.testing.assert_allclose(flat.predict(), 7.0)
    assert (flat.explain()["similarity"] == 1).all()


def test_where_there_is_no_analogue_the_base_answers():
    base = SeasonalMeanForecaster(season=4, context=8)
    y = motifs(2)
    model = RetrievalForecaster(base, horizon=36, context=8, season=4).fit(y)
    alone = clone(base).set_params(horizon=36).fit(y)
    pd.testing.assert_series_equal(model.predict(), alone.predict())
    pd.testing.assert_frame_equal(model.predict_quantiles(), alone.predict_quantiles())
    assert not len(model.explain())


@pytest.mark.parametrize(
    "index",
    [
        pd.date_range("2024-03-28", periods=300, freq="h", tz="Europe/Berlin"),
        pd.period_range("2000-01", periods=300, freq="M"),
        pd.date_range("2000-01", periods=300, freq="MS"),
        pd.RangeIndex(300),
    ],
    ids=["zone", "periods", "months", "numbers"],
)
def test_explained_times_are_those_of_the_index(index):
    y = pd.Series(motifs(20).to_numpy()[:300], index, name="y")
    told = clone(PLAIN).fit(y).explain()
    rows = index.get_indexer(pd.Index(told["start"]))
    assert (rows >= 0).all()
    assert pd.Index(told["end"]).equals(index[rows + 12])
    assert pd.Index(told["future_end"]).equals(index[rows + 18])
    assert pd.Index(told["start"]).dtype == index.dtype
    assert (told["variable"] == "y").all()


def test_each_block_has_analogues_of_its_own():
    y = motifs(20)
    model = clone(PLAIN).fit(y)
    told = model.explain(14)
    assert told["cutoff"].unique().tolist() == [y.index[-1] + pd.Timedelta(hours=h) for h in (1, 7, 13)]
    np.testing.assert_allclose(told.groupby("cutoff")["weight"].sum(), 1)
    inside = model.explain(y.index[-3:])
    assert (inside["cutoff"] == y.index[-6]).all()
    frame = y.to_frame("a").assign(b=-y)
    each = model.set_params(views=(2, 1)).fit(frame).explain()
    assert each.groupby(["variable", "view"]).size().tolist() == [3] * 4
    assert "variable" not in model.set_params(joint=True).fit(frame).explain()


def test_joint_comparison_gives_variables_the_same_analogues():
    rng = np.random.default_rng(8)
    y = motifs(40)
    frame = y.to_frame("clear").assign(noise=1000 * rng.normal(size=len(y)))
    options = {"horizon": 6, "context": 12, "season": 1, "k": 5, "mix": None, "align": "last"}
    apart = RetrievalForecaster(**options).fit(frame)
    np.testing.assert_allclose(apart.predict()["clear"], RetrievalForecaster(**options).fit(y).predict(), rtol=1e-6)
    # Units do not count: noise in thousands weighs as much as noise.
    joint = [RetrievalForecaster(**options, joint=True).fit(frame * [1, scale]).explain() for scale in (1, 1e-3)]
    pd.testing.assert_frame_equal(*joint)


def test_series_of_other_sizes_are_brought_to_one():
    small, large = motifs(30, 9), 1000 * motifs(30, 9)
    panel = pd.concat({"large": large, "small": small.iloc[:-60]}, names=["id"])
    model = RetrievalForecaster(horizon=6, context=12, season=1, k=3, align="last", mix=None).fit(panel)
    ends = np.array([small.size - 60])
    truth = small.to_numpy()[ends[0] : ends[0] + 6]
    found = model.predict().loc["small"].to_numpy()
    assert np.abs(found - truth).max() < 20


def test_future_covariates_reach_the_base():
    y, t = motifs(30), np.arange(552)
    X = pd.DataFrame({"event": (t % 17 == 3).astype(float)}, pd.date_range("2024", periods=552, freq="h"))
    y = y + 20 * X["event"].iloc[:540]
    base = LSSLForecaster(season=6, context=24, max_epochs=0)
    model = RetrievalForecaster(base, horizon=12, context=24, season=6).fit(X.iloc[:540], y)
    lifted = (model.predict(X.iloc[540:]) - model.predict(0 * X.iloc[540:]))[X["event"].iloc[540:] == 1]
    assert lifted.min() > 10
    assert len(model.explain(X.iloc[540:]))


@pytest.mark.parametrize("options", [{}, {"base": LAST, "mix": "gate"}, RAFT], ids=["alone", "gate", "raft"])
def test_it_survives_copies_updates_and_files(options, tmp_path):
    y = motifs(30)
    model = RetrievalForecaster(horizon=6, context=12, season=4).set_params(**options).fit(y.iloc[:500])
    before = model.predict()
    pd.testing.assert_series_equal(pickle.loads(pickle.dumps(model)).predict(), before)
    tsrec.save(model, tmp_path / "model")
    loaded = tsrec.load(tmp_path / "model")
    pd.testing.assert_series_equal(loaded.predict(), before)
    pd.testing.assert_frame_equal(loaded.explain(), model.explain())
    pd.testing.assert_series_equal(clone(model).fit(y.iloc[:500]).predict(), before)
    wanted = model.predict(history=y.iloc[:520])
    model.update(y.iloc[500:520])
    pd.testing.assert_series_equal(model.predict(), wanted)
    assert len(model.library_.values) == 500
    assert model.base_ is None or len(model.base_.panel_.values) == 520


def test_cut_offs_asked_together_answer_as_alone(monkeypatch):
    y = motifs(40)
    model = RetrievalForecaster(LAST, horizon=6, context=12, season=4, mix="gate").fit(y)
    cutoffs = at(y, [5, 300, 400, 500, 700])
    together = model.predict_cutoffs(y, cutoffs)
    monkeypatch.setattr("tsrec.retrieval.forecaster._AT_ONCE", 2)
    monkeypatch.setattr("tsrec.retrieval._analogues._WINDOWS", 37)
    monkeypatch.setattr("tsrec.retrieval._analogues._QUERIES", 1)
    monkeypatch.setattr("tsrec.retrieval._retrieved._ANSWERS", 100)
    np.testing.assert_allclose(model.predict_cutoffs(y, cutoffs), together, rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"k": 0}, ValueError, "k: found 0"),
        ({"temperature": 0}, ValueError, "temperature: found 0"),
        ({"mix": "mean"}, ValueError, "mix: found 'mean'"),
        ({"base": LAST, "mix": None}, ValueError, "mix: found None beside a base"),
        ({"base": 3}, TypeError, "base: found 3"),
        ({"align": "future"}, ValueError, "align: 'future' needs mix='linear', found 'residual'"),
        ({"similarity": "cosine"}, ValueError, "similarity: found 'cosine'"),
        ({"views": ()}, ValueError, r"views: found \(\)"),
        ({"views": (2, 0)}, ValueError, "views: found 0 among them"),
        ({"joint": 1}, ValueError, "joint: found 1"),
        ({"scale": "yes"}, ValueError, "scale: found 'yes'"),
        ({"context": 0}, ValueError, "context: found 0"),
    ],
)
def test_bad_parameters_are_named(options, error, message):
    with pytest.raises(error, match=message):
        RetrievalForecaster(**options).fit(motifs(5))


def test_held_out_rows_come_after_what_was_learned():
    from tsrec.retrieval._retrieved import _held_out

    model = RetrievalForecaster(horizon=6, context=12, season=4).fit(motifs(20))
    stretches = [(len(twin.library_.values), cutoffs[:, 1]) for twin, cutoffs in _held_out(model, model.panel_)]
    assert [head for head, _ in stretches] == [180, 270]
    assert all(steps.min() == head and steps.max() + 6 <= 360 for head, steps in stretches)
    assert all(early[1].max() < late[1].min() for early, late in pairwise(stretches))
