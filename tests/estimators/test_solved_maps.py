"""How linear maps are solved for a forecaster: what modules share, and what is shown meanwhile."""

import numpy as np
import pandas as pd
import pytest
import torch

from tsrec import LSSLForecaster
from tsrec.estimators import _learning as learning
from tsrec.layers.known import Known

QUICK = {"horizon": 3, "context": 48, "max_epochs": 0, "random_state": 0}


def hours(n=600, channels=1, *, hole=False):
    steps = np.arange(n)[:, None] + 3 * np.arange(channels)
    values = np.sin(steps / 24 * 2 * np.pi) + 0.3 * np.random.default_rng(0).normal(size=(n, channels))
    if hole:
        values[200:205] = np.nan
    return pd.DataFrame(values, pd.date_range("2024-01-01", periods=n, freq="h"), [f"c{i}" for i in range(channels)])


@pytest.mark.parametrize("hole", [False, True])
@pytest.mark.parametrize("channels", [1, 2])
def test_structural_and_plain_maps_share_their_decompositions(channels, hole, monkeypatch):
    decomposed, eigh = [], torch.linalg.eigh
    monkeypatch.setattr(torch.linalg, "eigh", lambda matrix: decomposed.append(1) or eigh(matrix))
    frame = hours(channels=channels, hole=hole)
    shared = LSSLForecaster(**QUICK).fit(frame)
    # One for each fold.
    assert len(decomposed) == 2
    monkeypatch.setattr(Known, "__call__", lambda _, work, *given: work(*given))
    apart = LSSLForecaster(**QUICK).fit(frame)
    assert len(decomposed) == (10 if hole else 6)
    pd.testing.assert_frame_equal(shared.predict_quantiles(), apart.predict_quantiles(), check_exact=True)
    assert shared.penalty_ == apart.penalty_


@pytest.mark.parametrize("linear", ["auto", "ridge"])
@pytest.mark.parametrize(
    "frame",
    [hours(), hours(hole=True), hours(channels=2), hours(60, channels=2)],
    ids=["one", "hole", "two", "without folds"],
)
def test_maps_are_solved_behind_a_bar(frame, linear, bars):
    model = LSSLForecaster(**QUICK, linear=linear).fit(frame)
    assert not bars
    loud = LSSLForecaster(**QUICK, linear=linear, verbose=1).fit(frame)
    (bar,) = bars
    assert bar.label == "LSSLForecaster map"
    assert bar.closed
    assert sum(bar.moves) == bar.total
    assert len(bar.moves) > 4
    pd.testing.assert_frame_equal(loud.predict(), model.predict())


@pytest.mark.parametrize(("rows", "told"), [(60, "off, too few rows to train it\n"), (600, "")])
def test_it_is_said_where_rows_are_too_few_for_a_branch(rows, told, capsys):
    model = LSSLForecaster(horizon=24, context=24, d_model=4, max_epochs=1, random_state=0)
    model.fit(hours(rows))
    assert capsys.readouterr() == ("", "")
    model.set_params(verbose=1).fit(hours(rows))
    out, shown = capsys.readouterr()
    assert out == ""
    assert shown.partition("LSSLForecaster: recurrent branch: ")[2] == told
    model.set_params(max_epochs=0).fit(hours(rows))
    assert "branch" not in capsys.readouterr().err


def test_what_is_not_solved_for_has_no_bar(bars):
    LSSLForecaster(**QUICK, linear=None, verbose=1).fit(hours())
    assert not bars


@pytest.mark.parametrize(("clearly", "kept"), [(0.0, 0), (np.inf, 1)], ids=["structural", "ridge"])
def test_the_branch_is_trained_beside_past_maps_of_the_linear_map_that_stays(clearly, kept, monkeypatch):
    solved, trained, fit_past_map, branch = [], [], learning.fit_past_map, learning.Learner._branch
    monkeypatch.setattr(learning, "_CLEARLY", clearly)
    monkeypatch.setattr(learning, "fit_past_map", lambda *given: solved.append(fit_past_map(*given)) or solved[-1])
    monkeypatch.setattr(
        learning.Learner, "_branch", lambda self, *given: trained.append(self.past_folds) or branch(self, *given)
    )
    frame = hours()
    past = pd.DataFrame({"wind": np.random.default_rng(1).normal(size=len(frame))}, frame.index)
    LSSLForecaster(**{**QUICK, "max_epochs": 1, "d_model": 4}).fit(frame, past=past)
    assert len(solved) == 2
    assert trained[0] is solved[kept]
