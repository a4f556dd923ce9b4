"""What tests of all rooms share."""

import pytest


class Bar:
    """A progress bar that keeps what was done to it."""

    def __init__(self, total, label):
        self.total, self.label, self.moves, self.closed = total, label, [], False

    def update(self, n):
        self.moves.append(n)

    def close(self):
        self.closed = True


@pytest.fixture
def bars(monkeypatch):
    """All bars that are opened, in their order, in place of tqdm's, whose lines depend on the machine's speed."""
    opened = []

    def open_bar(total, *, label, unit):
        opened.append(Bar(total, label))
        return opened[-1]

    monkeypatch.setattr("tsrec.training.bar.open_bar", open_bar)
    return opened
