import sys

import pytest

from tsrec.training import Progress, TrainingState


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
    from tsrec.training import bar

    shell = type("ZMQInteractiveShell", (), {})()
    monkeypatch.setitem(sys.modules, "IPython", type("IPython", (), {"get_ipython": staticmethod(lambda: shell)}))
    monkeypatch.setattr(bar, "find_spec", lambda name: object() if widgets else None)
    assert bar.bar_class().__module__ == module
