"""What all decomposers promise: every form of series, sums, names, holes, errors, and no look ahead if asked."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

import tsrec
from tsrec import MSTL, STL, FourierSeasonal, MovingAverage, Whittaker
from tsrec.frames import read_panel

ALL = {
    "STL": STL(6),
    "robust STL": STL(6, robust=True),
    "STL without season": STL(None),
    "MSTL": MSTL((3, 6)),
    "moving average": MovingAverage(5),
    "even moving average": MovingAverage(4),
    "Whittaker": Whittaker(12),
    "Fourier": FourierSeasonal((3, 6)),
}
CAUSAL = {
    "STL": STL(6, causal=True),
    "robust STL": STL(6, robust=True, causal=True, context=18),
    "STL without season": STL(None, causal=True),
    "MSTL": MSTL((3, 6), causal=True),
    "moving average": MovingAverage(5, causal=True),
    "Whittaker": Whittaker(12, causal=True),
    "Fourier": FourierSeasonal((3, 6), causal=True),
}
every = pytest.mark.parametrize("model", ALL.values(), ids=ALL)
every_causal = pytest.mark.parametrize("model", CAUSAL.values(), ids=CAUSAL)


def series(number, n=40):
    rng = np.random.default_rng(number)
    return rng.normal(size=n).cumsum() + 2 * np.sin(np.arange(n) * 2 * np.pi / 6)


def frame(n=40, numbers=(0, 1), freq="h"):
    return pd.DataFrame({f"v{i}": series(i, n) for i in numbers}, pd.date_range("2024", periods=n, freq=freq, name="t"))


def panel():
    parts = {
        "a": frame(40),
        "b": frame(50, (2, 3)).set_axis(["v0", "v1"], axis=1),
        "c": frame(40, (4, 5)).set_axis(["v0", "v1"], axis=1),
    }
    return pd.concat(parts, names=["who"])


@every
def test_components_sum_up_to_the_series(model):
    X = panel()
    model = clone(model).fit(X)
    parts = model.transform(X)
    assert parts.index.equals(X.index)
    assert parts.columns.names == ["variable", "component"]
    assert parts.columns.get_level_values(1).unique().tolist() == model.components_
    pd.testing.assert_frame_equal(model.inverse_transform(parts), X, check_exact=False, rtol=0, atol=1e-12)


@every
def test_every_form_of_the_same_series_is_taken_apart_alike(model):
    X = panel()
    wanted = clone(model).fit_transform(X).to_numpy()
    apart = {name: part.droplevel(0) for name, part in X.groupby(level=0)}
    arrays = [part.to_numpy() for part in apart.values()]
    for form in (apart, list(apart.values()), arrays, X.iloc[::-1].sort_index(level=1, sort_remaining=False)):
        found = clone(model).fit_transform(form)
        if isinstance(form, pd.DataFrame):
            found = found.loc[X.index]
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12)
    alone = [clone(model).fit_transform(part).to_numpy() for part in apart.values()]
    np.testing.assert_allclose(np.concatenate(alone), wanted, rtol=0, atol=1e-12)
    cube = np.stack([arrays[0].T, arrays[2].T])
    both = np.concatenate([wanted[:40], wanted[90:]])
    np.testing.assert_allclose(clone(model).fit_transform(cube), both, rtol=0, atol=1e-12)


@every
def test_a_table_has_a_series_a_row(model):
    table = np.stack([series(i) for i in range(5)])
    model = clone(model).fit(table)
    found = model.transform(table)
    parts = len(model.components_)
    assert found.shape == (5, 40 * parts)
    one = clone(model).fit_transform(pd.Series(table[3], pd.date_range("2024", periods=40))).to_numpy()
    np.testing.assert_allclose(found[3].reshape(parts, 40).T, one, rtol=0, atol=1e-12)
    np.testing.assert_allclose(model.inverse_transform(found), table, rtol=0, atol=1e-12)
    names = model.get_feature_names_out()
    assert (names[0], names[-1]) == ("x0_trend", "x39_resid")
    framed = clone(model).set_output(transform="pandas").fit_transform(pd.DataFrame(table).add_prefix("s"))
    assert framed.columns[0] == "s0_trend"
    with pytest.raises(ValueError, match="fit was given a table with one series a row"):
        model.transform(frame())


@every
def test_names_of_columns(model):
    X = frame()
    model = clone(model).fit(X)
    assert model.get_feature_names_out()[0] == "v0_trend"
    assert len(model.get_feature_names_out()) == model.transform(X).shape[1]
    unnamed = clone(model).fit_transform(pd.Series(series(0), X.index))
    assert unnamed.columns[0] == (0, "trend")
    flat = clone(model).set_output(transform="pandas").fit_transform(X)
    assert flat.columns.tolist() == model.get_feature_names_out().tolist()
    pd.testing.assert_frame_equal(model.inverse_transform(flat), X, check_exact=False, rtol=0, atol=1e-12)


@every
@pytest.mark.parametrize("missing", ["weights", "interpolate", "raise"])
def test_missing_values(model, missing):
    X = frame()
    X.iloc[[0, 7, 8, 20, 39], 0] = np.nan
    X["v1"] = np.nan if missing == "weights" else X["v1"]
    model = clone(model).set_params(missing=missing)
    if missing == "raise":
        with pytest.raises(ValueError, match=r"5 values are missing.*missing='weights'"):
            model.fit(X)
        return
    parts = model.fit_transform(X)
    assert parts["v0"].drop(columns="resid").notna().all(axis=None)
    np.testing.assert_array_equal(parts["v0", "resid"].isna(), X["v0"].isna())
    assert parts["v1"].isna().all(axis=None) == (missing == "weights")
    line = pd.Series(np.arange(40.0), X.index).where(X["v0"].notna())
    assert (clone(model).fit_transform(line)[0, "trend"].iloc[10:30] - np.arange(10, 30)).abs().max() < 1.1


@every_causal
@pytest.mark.parametrize("holes", [False, True])
def test_causal_parts_do_not_know_what_follows(model, holes):
    X = frame(60)
    if holes:
        X.iloc[[0, 20, 21, 33]] = np.nan
    parts = clone(model).fit_transform(X)
    spoiled = X.copy()
    spoiled.iloc[45:] = 1e6
    np.testing.assert_array_equal(clone(model).fit_transform(spoiled).iloc[:45], parts.iloc[:45])
    shorter = clone(model).fit_transform(X.iloc[:45])
    np.testing.assert_allclose(shorter, parts.iloc[:45], rtol=0, atol=1e-10)
    assert parts.drop(columns="resid", level=1).iloc[1:].notna().all(axis=None)


@every_causal
def test_causal_parts_do_not_know_the_end_of_a_hole(model):
    X = frame(60)
    X.iloc[:9] = X.iloc[40:50] = np.nan
    wanted = clone(model).fit_transform(X)
    for first in (5, 45):
        spoiled = X.copy()
        spoiled.iloc[first:] = spoiled.iloc[first:] + 1e4
        found = clone(model).fit(X).transform(spoiled)
        np.testing.assert_array_equal(found.iloc[:first], wanted.iloc[:first])
    # Nor that there will be one.
    whole = clone(model).fit_transform(frame(60))
    holed = frame(60)
    holed.iloc[40:50] = np.nan
    np.testing.assert_allclose(clone(model).fit_transform(holed).iloc[:40], whole.iloc[:40], rtol=0, atol=1e-10)
    with pytest.raises(ValueError, match="missing='interpolate' reads the value after a hole"):
        clone(model).set_params(missing="interpolate").fit(X)


@every
def test_windows_are_taken_apart_alone(model):
    # Nothing that stands beside a window, or after it in its recording, moves its parts by a bit.
    X = frame(60)
    window = X.iloc[:40]
    wanted = clone(model).fit(X).transform(window)
    spoiled = X.copy()
    spoiled.iloc[40:] = -1e9
    found = clone(model).fit(spoiled).transform(spoiled.iloc[:40])
    np.testing.assert_array_equal(found, wanted)


@every
def test_input_is_left_alone_and_models_are_kept(model, tmp_path):
    X = panel()
    before = X.copy()
    model = clone(model).fit(X)
    wanted = model.transform(X)
    pd.testing.assert_frame_equal(X, before)
    pd.testing.assert_frame_equal(pickle.loads(pickle.dumps(model)).transform(X), wanted)
    tsrec.save(model, tmp_path / "model.tsrec")
    pd.testing.assert_frame_equal(tsrec.load(tmp_path / "model.tsrec").transform(X), wanted)


def test_strength_tells_what_each_component_explains():
    t = np.arange(240)
    rng = np.random.default_rng(0)
    y = pd.DataFrame(
        {"season": 5 * np.sin(2 * np.pi * t / 12) + rng.normal(size=240), "noise": rng.normal(size=240), "flat": 1.0},
        pd.date_range("2024", periods=240, freq="MS"),
    )
    found = STL().fit(y).strength(y).iloc[0]
    assert found["season", "seasonal"] > 0.9
    assert found["noise"].max() < 0.6
    assert found["flat"].tolist() == [0, 0]
    assert STL().fit(y).strength(y.assign(flat=np.nan)).iloc[0]["flat"].isna().all()
    parts = STL().fit_transform(y)["season"]
    wanted = 1 - parts["resid"].var() / (parts["resid"] + parts["seasonal"]).var()
    assert found["season", "seasonal"] == pytest.approx(wanted)
    assert STL(6).fit(panel()).strength(panel()).index.tolist() == ["a", "b", "c"]


def test_periods_come_from_the_index_first_and_then_from_the_data():
    assert STL().fit(frame(100)).periods_ == (24,)
    assert MSTL().fit(frame(400)).periods_ == (24, 168)
    assert MSTL().fit(frame(100)).periods_ == (24,)
    assert STL().fit(frame(30, freq="MS")).periods_ == (12,)
    assert STL().fit(frame(20, freq="MS")).periods_ == ()
    wave = np.sin(2 * np.pi * np.arange(200) / 7) + 0.01 * series(0, 200)
    assert STL().fit(pd.Series(wave)).periods_ == (7,)
    assert STL().fit([wave, wave[:100]]).periods_ == (7,)
    assert FourierSeasonal(None).fit(wave[None]).periods_ == ()
    assert MovingAverage().fit(frame(100)).window_ == 24
    assert MovingAverage().fit(frame(10)).window_ == 25


@pytest.mark.parametrize("model", [STL(), STL(causal=True), MSTL(), FourierSeasonal()], ids=str)
def test_a_short_series_takes_no_season_from_the_others(model):
    X = {"a": frame(100), "b": frame(90), 2: frame(30)}
    wanted = clone(model).fit_transform({"a": X["a"], "b": X["b"]})
    with pytest.warns(UserWarning, match=r"1 of 3 series are shorter than two periods of 24, the first is 2\."):
        model = clone(model).fit(X)
    assert model.periods_ == (24,)
    with pytest.warns(UserWarning, match=r"without that season, whose component is 0"):
        parts = model.transform(X)
    np.testing.assert_allclose(parts.iloc[:190], wanted, rtol=0, atol=1e-12)
    trend = clone(model).fit_transform(X[2])
    seasonal = model.components_[1]
    np.testing.assert_array_equal(parts.loc[2].drop(columns=seasonal, level=1), trend)
    assert (parts.loc[2].xs(seasonal, axis=1, level=1) == 0).all(axis=None)
    with pytest.warns(UserWarning, match="1 of 1 series"):
        np.testing.assert_array_equal(model.transform({2: X[2]}), parts.loc[[2]])
    # Nor is a long one among short ones decisive.
    assert clone(model).fit({"a": frame(400), "b": frame(30), "c": frame(30)}).periods_ == ()


def test_a_short_series_keeps_the_seasons_that_it_holds():
    X = {"a": frame(400), "b": frame(400), "c": frame(100)}
    with pytest.warns(UserWarning, match="1 of 3 series are shorter than two periods of 168, the first is 'c'"):
        parts = MSTL(seasonal=(7, 11)).fit_transform(X)
    daily = MSTL(24, seasonal=(7,)).fit_transform({"c": X["c"]})
    np.testing.assert_array_equal(parts.loc[["c"]].drop(columns="seasonal_168", level=1), daily)


def test_components_are_channels_of_a_classifier():
    rng = np.random.default_rng(0)
    t = np.arange(60)
    y = np.repeat(["slow", "fast"], 20)
    X = np.stack([np.sin(2 * np.pi * t / (6 if k == "fast" else 15)) + rng.normal(size=60) for k in y])
    assert make_pipeline(STL(6), LogisticRegression()).fit(X, y).score(X, y) == 1
    pipe = make_pipeline(STL(6), tsrec.LSSLClassifier(random_state=0)).fit(list(X), y)
    assert pipe[-1].n_channels_ == 3
    assert pipe.score(list(X), y) > 0.9


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (panel().iloc[:70], r"series 'b' has 30 steps, but two periods of 20"),
        (np.zeros((100, 4)), r"series 0 has 4 steps, but two periods of 20.*In a table.*each row is a series"),
        (frame(30), r"it has 30 steps, but two periods of 20 are needed\. Give longer series or a shorter period\.$"),
        ([np.zeros(50), np.zeros(50), np.zeros(9)], r"series 2 has 9 steps"),
        (pd.concat({2: frame(9), 3: frame(50)}), r"series 2 has 9 steps"),
    ],
)
def test_short_series_are_refused(X, message):
    with pytest.raises(ValueError, match=message):
        STL(20).fit(X)
    with pytest.raises(ValueError, match="steps, but two periods"):
        STL(20).fit(frame(50)).transform(frame(30))


def test_what_is_no_table_and_no_recording_is_refused():
    twice = frame().set_axis(["a", "a"], axis=1)
    with pytest.raises(ValueError, match="X: it has two columns 'a'"):
        STL(6).fit(twice)
    with pytest.raises(ValueError, match=r"one dimension is no table\..* pd.Series\(X\)"):
        STL(6).fit(np.zeros(50))


def test_frames_without_times_that_look_like_recordings():
    X = frame()
    with pytest.warns(UserWarning, match=r"read as 40 series of 2 steps.*frame.index = pd.to_datetime") as caught:
        MovingAverage().fit(X.reset_index(drop=True))
    assert caught[0].filename == __file__
    with pytest.raises(ValueError, match=r"times as text, such as '2024-01-01.*X.index = pd.to_datetime\(X.index\)"):
        MovingAverage().fit(X.set_axis(X.index.astype(str)))
    # Long rows, and arrays, are series.
    MovingAverage().fit(X.T.set_axis(["a", "b"]))
    MovingAverage().fit(X.to_numpy())
    with pytest.raises(ValueError, match="the frame has no column"):
        MovingAverage().fit(X[[]])


def test_names_of_an_earlier_fit_are_forgotten():
    model = MovingAverage().fit(frame())
    assert model.feature_names_in_.tolist() == ["v0", "v1"]
    model.fit([np.zeros((9, 3))])
    assert not hasattr(model, "feature_names_in_")
    assert model.get_feature_names_out()[-1] == "2_resid"
    X = {"a": frame().rename(columns={"v1": "w"})}
    assert model.fit(X).feature_names_in_.tolist() == ["v0", "w"]
    flat = model.set_output(transform="pandas").fit_transform(frame()["v0"].rename(None))
    assert flat.columns.tolist() == ["0_trend", "0_resid"]


def test_a_fit_to_a_panel_knows_its_variables():
    model = MovingAverage().fit(np.zeros((3, 40))).fit_panel(read_panel(frame()))
    assert model.n_features_in_ == 2
    parts = model.transform(frame())
    np.testing.assert_allclose(model.inverse_transform(parts), frame(), rtol=0, atol=1e-12)


def test_components_are_put_together_by_name():
    X = frame()
    model = MovingAverage().set_output(transform="pandas").fit(X)
    flat = model.transform(X)
    pd.testing.assert_frame_equal(model.inverse_transform(flat[flat.columns[::-1]]), X)
    with pytest.raises(ValueError, match="its columns are not those of transform"):
        model.inverse_transform(flat.add_prefix("other_"))
    np.testing.assert_allclose(model.inverse_transform(flat.to_numpy()), X, rtol=0, atol=1e-12)
    table = pd.DataFrame(X.to_numpy().T, index=["a", "b"]).add_prefix("s")
    found = model.inverse_transform(model.fit_transform(table))
    pd.testing.assert_frame_equal(found, table, check_exact=False, rtol=0, atol=1e-12)


def test_other_variables_than_those_of_fit_are_refused():
    model = MovingAverage().fit(frame())
    with pytest.raises(ValueError, match="X has 1 variables, but MovingAverage is expecting 2"):
        model.transform(frame()[["v0"]])
    with pytest.raises(ValueError, match="another order"):
        model.transform(frame()[["v1", "v0"]])
    with pytest.raises(ValueError, match="its columns are not those of transform"):
        model.inverse_transform(model.transform(frame()).drop(columns=("v0", "trend")))
    with pytest.raises(ValueError, match=r"its columns differ from those of fit, \['v0'\].*has also \['v1'\]"):
        MovingAverage().fit(frame()["v0"]).transform(frame()["v1"])
    unnamed = frame()["v1"].rename(None)
    assert MovingAverage().fit(frame()["v0"]).transform(unnamed).columns[0] == ("v0", "trend")
    with pytest.raises(ValueError, match="Give what transform returned, 4 columns"):
        model.inverse_transform(np.zeros((3, 5)))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:X. the frame is read as")
@parametrize_with_checks(
    [
        STL(),
        STL(robust=True, missing="interpolate"),
        STL(causal=True),
        STL(missing="raise"),
        MSTL(),
        MSTL(causal=True),
        MovingAverage(),
        MovingAverage(4, causal=True),
        Whittaker(),
        Whittaker(causal=True),
        FourierSeasonal(),
        FourierSeasonal(causal=True),
    ]
)
def test_scikit_learn_checks_a_decomposer(estimator, check):
    check(estimator)
