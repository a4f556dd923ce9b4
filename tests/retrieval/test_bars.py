"""Bars of what takes long in a retriever: shown when asked for only, closed on errors, and no part of answers."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator

from tsrec import LSSLEncoder, LuMambaEncoder
from tsrec.frames import recording
from tsrec.retrieval import SubsequenceRetriever, _profile, _tokens

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
def test_windows_are_made_behind_a_bar(kind, capsys, monkeypatch):
    monkeypatch.setattr(_tokens, "_AT_A_TIME", 500)
    given, found = KINDS[kind](), []
    for verbose in (0, 1):
        retriever = SubsequenceRetriever(**given, scales=(100, 200)).fit(DATA.iloc[:1500])
        assert capsys.readouterr() == ("", "")
        retriever.set_params(verbose=verbose)
        for step in (retriever.reindex, lambda r=retriever: r.partial_fit(DATA.iloc[1500:])):
            step()
            retriever.windows_  # noqa: B018 - of an untrained retriever they are made now
            out, shown = capsys.readouterr()
            assert out == ""
            assert shown.count("windows: 100%") == verbose
            assert ("row/s" in shown) == bool(verbose)
        found.append([retriever._contents.windows.vectors(scale) for scale in (100, 200)])
    for quiet, watched in zip(*found, strict=True):
        np.testing.assert_array_equal(quiet, watched)


@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize("ask", ["motifs", "discords"])
def test_pairs_are_compared_behind_a_bar(ask, n_jobs, capsys):
    retriever = SubsequenceRetriever(n_jobs=n_jobs).fit(WAVE)
    quiet = getattr(retriever, ask)(50)
    assert capsys.readouterr() == ("", "")
    watched = getattr(retriever.set_params(verbose=1), ask)(50)
    shown = capsys.readouterr().err
    assert "windows compared: 100%" in shown
    assert "pair/s" in shown
    pd.testing.assert_frame_equal(watched, quiet)
    with pytest.raises(ValueError, match="verbose: found 'loud'"):
        getattr(retriever.set_params(verbose="loud"), ask)(50)


def test_a_bar_moves_by_the_pairs_that_were_compared(monkeypatch):
    moved, walked = [], []
    monkeypatch.setattr("tsrec.training.bar.open_bar", lambda total, **_: Counted(total, moved))
    monkeypatch.setattr(_profile, "_walk", lambda windows, lag, best: walked.append(lag))
    SubsequenceRetriever(verbose=1).fit(WAVE).discords(50)
    pairs = [128 * (1500 + 2 - 50 + 1 - 1 - lag) for lag in walked]
    assert moved == [*pairs, "closed", sum(pairs)]
    assert pairs[0] < pairs[-1] / 10


def test_a_bar_is_closed_when_the_encoder_fails(monkeypatch):
    moved = []
    monkeypatch.setattr("tsrec.training.bar.open_bar", lambda total, **_: Counted(total, moved))
    with pytest.raises(KeyboardInterrupt):
        SubsequenceRetriever(encoder=Broken().fit(DATA), scales=(100,), verbose=1).fit(DATA)
    assert moved[0] == "closed"


class Counted:
    """A bar that tells what was done to it."""

    def __init__(self, total, log):
        self.total, self.log = total, log

    def update(self, n):
        self.log.append(n)

    def close(self):
        self.log += ["closed", self.total]


def test_a_folder_does_not_tell_whether_bars_were_shown(tmp_path):
    loud = SubsequenceRetriever(verbose=1).fit(WAVE)
    quiet = SubsequenceRetriever().fit(WAVE)
    assert loud._record() == quiet._record()
    loud.save(tmp_path / "saved")
    assert SubsequenceRetriever.load(tmp_path / "saved").verbose == 0
