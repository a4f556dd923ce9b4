import sys

import pytest

from tsrec.training import Progress, TrainingState, bar
from tsrec.training.bar import moving, watched


def after(epochs, **record):
    return TrainingState(epoch=epochs, history=[record])


def test_verbose_zero_writes_nothing(capsys):
    with Progress(2, verbose=0) as progress:
        progress(after(1, loss=1.0))
    assert capsys.readouterr() == ("", "")


def test_a_terminal_shows_label_epochs_and_losses(capsys):
    with Progress(2, label="forecaster", verbose=1) as progress:
        progress(after(1, loss=1.5, validation_loss=None))
        progress(after(2, loss=0.25, validation_loss=0.75))
    written = capsys.readouterr().err
    assert "forecaster" in written
    assert "2/2" in written
    assert "loss=0.25" in written
    assert "validation=0.75" in written


def test_a_bar_is_closed_when_the_fit_fails(capsys):
    progress = Progress(2, verbose=1)
    with pytest.raises(KeyboardInterrupt), progress:
        raise KeyboardInterrupt
    assert progress._bar is None
    capsys.readouterr()


@pytest.mark.parametrize(("widgets", "module"), [(True, "tqdm.notebook"), (False, "tqdm.std")])
def test_a_notebook_gets_the_widget_only_where_widgets_are_installed(monkeypatch, widgets, module):
    shell = type("ZMQInteractiveShell", (), {})()
    monkeypatch.setitem(sys.modules, "IPython", type("IPython", (), {"get_ipython": staticmethod(lambda: shell)}))
    monkeypatch.setattr(bar, "find_spec", lambda name: object() if widgets else None)
    assert bar.bar_class().__module__ == module


def test_items_pass_a_bar_only_when_it_is_asked_for(capsys, monkeypatch):
    assert list(watched(iter("abc"), 3, label="letters", unit="letter", verbose=1)) == ["a", "b", "c"]
    shown = capsys.readouterr().err
    assert "letters" in shown
    assert "3/3" in shown
    monkeypatch.setattr(bar, "bar_class", None)
    assert list(watched(iter("abc"), 3, label="letters", unit="letter", verbose=0)) == ["a", "b", "c"]
    assert capsys.readouterr() == ("", "")


def test_a_bar_moves_by_what_was_done_and_tells_large_counts_shortly(capsys):
    with moving(2_000_000, label="rows", unit="row", verbose=1) as move:
        move(500_000)
        move(1_500_000)
    assert "2.00M/2.00M" in capsys.readouterr().err


def broken():
    yield 1
    raise KeyboardInterrupt


def take(items):
    for item in items:
        if item == 2:
            raise KeyboardInterrupt


@pytest.mark.parametrize("giver", [True, False], ids=["giver", "taker"])
def test_a_bar_is_closed_whoever_fails(monkeypatch, giver):
    opened = []
    monkeypatch.setattr(bar, "open_bar", lambda *_, **__: opened.append(Recorded()) or opened[0])
    with pytest.raises(KeyboardInterrupt):
        take(watched(broken() if giver else [1, 2], 2, label="", unit="", verbose=1))
    assert opened[0].log == [1, "closed"]


class Recorded:
    """What was done to a bar."""

    def __init__(self):
        self.log = []

    def update(self, n):
        self.log.append(n)

    def close(self):
        self.log.append("closed")
