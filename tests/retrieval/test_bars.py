"""Bars of what takes long in a retriever: shown when asked for only, closed on errors, and no part of answers."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator

from tsrec import LSSLEncoder, LuMambaEncoder, RetrievalForecaster
from tsrec.frames import recording
from tsrec.retrieval import SubsequenceRetriever, _analogues, _tokens

RNG = np.random.default_rng(0)
DATA = recording(RNG.standard_normal((2, 2400)), sfreq=100, channels=["Fz", "Cz"])
WAVE = pd.Series(RNG.standard_normal(1500))


class Levels(BaseEstimator):
    """Means of windows."""

    def fit(self, X, y=None):
        self.n_features_in_ = 2
        return self

    def transform(self, frames):
        return np.stack([frame.mean().to_numpy() for frame in frames])

    def get_feature_names_out(self):
        return np.array(["a", "b"])


class Broken(Levels):
    """An encoder that is stopped."""

    def transform(self, frames):
        raise KeyboardInterrupt


def lssl():
    return LSSLEncoder(d_model=4, n_layers=1, max_epochs=0, random_state=0).fit({"x": DATA.reset_index(drop=True)})


def lumamba():
    settings = {"n_queries": 2, "width": 16, "n_layers": 1, "patch_size": 20, "sfreq": 100, "random_state": 0}
    return LuMambaEncoder(size=None, max_epochs=0, **settings).fit([DATA])


KINDS = {
    "fourier": dict,
    "apart": lambda: {"encoder": lssl()},
    "carried": lambda: {"encoder": lssl(), "carry_state": True},
    "whole": lambda: {"encoder": Levels().fit(DATA)},
    "tokens": lambda: {"encoder": lumamba()},
}


@pytest.mark.parametrize("kind", KINDS)
def test_windows_are_made_behind_a_bar(kind, bars, monkeypatch):
    monkeypatch.setattr(_tokens, "_AT_A_TIME", 500)
    given, found = KINDS[kind](), []
    for verbose in (0, 1):
        retriever = SubsequenceRetriever(**given, scales=(100, 200)).fit(DATA.iloc[:1500])
        assert not bars
        retriever.set_params(verbose=verbose)
        for step in (retriever.reindex, lambda r=retriever: r.partial_fit(DATA.iloc[1500:])):
            step()
            retriever.windows_  # noqa: B018 - of an untrained retriever they are made now
            told = [(bar.label, sum(bar.moves) == bar.total > 0, bar.closed) for bar in bars]
            assert told == [("windows", True, True)] * verbose
            bars.clear()
        found.append([retriever._contents.windows.vectors(scale) for scale in (100, 200)])
    for quiet, watched in zip(*found, strict=True):
        np.testing.assert_array_equal(quiet, watched)


def test_what_completes_no_window_has_no_bar(bars):
    retriever = SubsequenceRetriever(encoder=lssl(), scales=(100,), verbose=1).fit(DATA.iloc[:1500])
    assert len(bars) == 1
    retriever.partial_fit(DATA.iloc[1500:1502])
    assert len(bars) == 1


def test_a_wrong_loudness_takes_no_rows_in():
    retriever = SubsequenceRetriever(encoder=lssl(), scales=(100,)).fit(DATA.iloc[:1500])
    with pytest.raises(ValueError, match="verbose: found 'loud'"):
        retriever.set_params(verbose="loud").partial_fit(DATA.iloc[1500:])
    assert retriever.set_params(verbose=0).partial_fit(DATA.iloc[1500:]).lengths_.sum() == len(DATA)


@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize("ask", ["motifs", "discords"])
def test_pairs_are_compared_behind_a_bar(ask, n_jobs, bars):
    retriever = SubsequenceRetriever(n_jobs=n_jobs).fit(WAVE)
    quiet = getattr(retriever, ask)(50)
    assert not bars
    watched = getattr(retriever.set_params(verbose=1), ask)(50)
    (bar,) = bars
    assert bar.closed
    # Windows of the series behind its missing row, each with those that are half a length or more to its right.
    count = 1 + 1500 + 1 - 50
    apart = np.arange(25, count)
    assert sum(bar.moves) == bar.total == (count - apart).sum()
    # Evenly: the far pairs, of which there are few, come first.
    assert bar.moves[0] < max(bar.moves) / 10 or n_jobs
    pd.testing.assert_frame_equal(watched, quiet)
    with pytest.raises(ValueError, match="verbose: found 'loud'"):
        getattr(retriever.set_params(verbose="loud"), ask)(50)


def test_a_bar_is_closed_when_the_encoder_fails(bars):
    with pytest.raises(KeyboardInterrupt):
        SubsequenceRetriever(encoder=Broken().fit(DATA), scales=(100,), verbose=1).fit(DATA)
    assert bars[0].closed
    assert not bars[0].moves


def test_a_folder_does_not_tell_whether_bars_were_shown(tmp_path):
    loud = SubsequenceRetriever(verbose=1).fit(WAVE)
    quiet = SubsequenceRetriever().fit(WAVE)
    assert loud._record() == quiet._record()
    loud.save(tmp_path / "saved")
    assert SubsequenceRetriever.load(tmp_path / "saved").verbose == 0


@pytest.mark.parametrize("mix", ["residual", "linear", None])
def test_analogues_are_looked_up_behind_a_bar(mix, bars, monkeypatch):
    monkeypatch.setattr(_analogues, "_WINDOWS", 100)
    y = pd.Series(np.tile([0.0, 1.0, 3.0, 2.0], 250) + 0.1 * RNG.standard_normal(1000))
    cutoffs = np.array([[0, 200], [0, 300], [0, 400]])
    model = RetrievalForecaster(horizon=6, context=12, season=4, mix=mix)
    quiet = model.fit(y[:600]).predict_cutoffs(y, cutoffs)
    assert not bars
    model.set_params(verbose=1).fit(y[:600])
    # The two stretches that are held out, or one, and the windows that two maps are learned from.
    assert len(bars) == (3 if mix == "linear" else 2)
    watched = model.predict_cutoffs(y, cutoffs)
    assert all(bar.closed and sum(bar.moves) == bar.total for bar in bars)
    # Of 583 windows those that end before the last cut-off come in hundreds, and the others at once.
    assert bars[-1].moves == [300, 300, 300, 3 * (383 - 300), 3 * 200]
    np.testing.assert_array_equal(watched, quiet)
    with pytest.raises(ValueError, match="verbose: found 'loud'"):
        model.set_params(verbose="loud").fit(y)
