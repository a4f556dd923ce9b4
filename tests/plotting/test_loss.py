"""Losses of phases and members, the epochs that were chosen, and those of a forecaster's members."""

from types import SimpleNamespace

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from tsrec import LSSLForecaster
from tsrec.plotting import LossDisplay

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def phase(name, losses, held_out=None):
    none = [np.nan] * len(losses)
    epochs = range(1, len(losses) + 1)
    return pd.DataFrame(
        {"phase": name, "epoch": epochs, "loss": losses, "validation_loss": held_out or none, "point_loss": losses}
    )


SELECT, REFIT = phase("select", [3.0, 2.0, 1.0], [4.0, 3.0, 3.5]), phase("refit", [2.5, 1.5])


def drawn(display):
    return {each.get_label(): np.asarray(each.get_ydata()).tolist() for each in display.ax_.get_lines()}


def test_each_phase_has_a_line_of_its_own():
    lines = drawn(LossDisplay(pd.concat([SELECT, REFIT])).plot())
    assert lines == {"select": [3.0, 2.0, 1.0], "select, held out": [4.0, 3.0, 3.5], "refit": [2.5, 1.5]}


def test_members_share_a_colour_and_a_name():
    display = LossDisplay(pd.concat([REFIT, phase("refit 2", [2.6, 1.6]), SELECT])).plot()
    first, second, other, _ = display.ax_.get_lines()
    assert first.get_label() == "refit (2 members)"
    assert first.get_color() == second.get_color() != other.get_color()
    assert len(display.ax_.get_legend().get_texts()) == 3


def test_a_single_phase_shows_its_terms():
    assert list(drawn(LossDisplay(SELECT).plot())) == ["all", "point", "held out"]


def test_chosen_epochs_are_marked():
    fitted = SimpleNamespace(history_=pd.concat([SELECT, REFIT]), n_epochs_=2)
    mark = LossDisplay.from_estimator(fitted).ax_.get_lines()[-1]
    assert mark.get_label() == "2 epochs chosen"
    assert list(mark.get_xdata()) == [2, 2]
    assert "3 epochs chosen" not in drawn(LossDisplay(SELECT, n_epochs=3).plot())


def test_members_of_a_forecaster_are_shown_under_their_names():
    members = {"LSSL": SimpleNamespace(history_=SELECT), "MLP": SimpleNamespace(history_=REFIT), "theta": object()}
    lines = drawn(LossDisplay.from_estimator(SimpleNamespace(members_=members)))
    assert list(lines) == ["LSSL: select", "LSSL: select, held out", "MLP: refit"]
    with pytest.raises(ValueError, match="has no history_"):
        LossDisplay.from_estimator(SimpleNamespace(members_={"theta": object()}))


def test_a_training_without_an_epoch_says_why():
    y = pd.Series(np.arange(40) % 7 + np.random.default_rng(0).normal(size=40), pd.RangeIndex(40), name="y")
    short = LSSLForecaster(horizon=7, season=7, max_epochs=50, random_state=0).fit(y)
    assert not len(short.history_)
    members = {"LSSL": short, "theta": object()}
    words = r"too few rows to train a branch beside the linear map.*linear=None trains the network alone"
    for found in (
        short,
        SimpleNamespace(members_=members),
        SimpleNamespace(members_={"auto": SimpleNamespace(members_=members)}),
    ):
        with pytest.raises(ValueError, match=rf"estimator: no epoch was trained.* max_epochs is 0, or .*{words}"):
            LossDisplay.from_estimator(found)
    with pytest.raises(ValueError, match=rf"history: no epoch was trained.*{words}"):
        LossDisplay(short.history_).plot()
    alone = LSSLForecaster(horizon=7, season=7, linear=None, max_epochs=2, random_state=0).fit(y)
    assert len(LossDisplay.from_estimator(alone).history)
