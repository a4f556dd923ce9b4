"""Files to read, and a shell that returns status, output and what was said."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from tsrec.cli import main

FAST = ["--model", "seasonal-naive", "--horizon", "3"]


class Answer(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture
def tsrec_(capsys):
    """Run ``tsrec``; nobody ever sees a traceback, and errors are one line."""

    def run(*arguments):
        capsys.readouterr()
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as stop:
            status = stop.code
        answer = Answer(status, *capsys.readouterr())
        if status:
            assert status == 2
            assert "Traceback" not in answer.err
            lines = [line for line in answer.err.splitlines() if not line.startswith(("note:", "read "))]
            assert len(lines) == 1
            assert not any(word in answer.err for word in ("asfreq", "sort_index", "KFold", "tz_localize", "n_windows"))
        return answer

    return run


@pytest.fixture
def forecast(tsrec_):
    """Forecast a file with a fast model."""
    return lambda path, *flags: tsrec_("forecast", path, *FAST, *flags)


@pytest.fixture
def write(tmp_path):
    """Write lines, or a table without its index, to a file."""

    def to_file(content, name="data.csv", **options):
        path = tmp_path / name
        if isinstance(content, pd.DataFrame):
            content.to_csv(path, index=False, **options)
        else:
            path.write_bytes("\n".join(content).encode(options.get("encoding", "utf-8")))
        return path

    return to_file


@pytest.fixture
def csv(tmp_path):
    index = pd.date_range("2024-01-01", periods=24 * 20, freq="h", name="date")
    hours = np.arange(len(index))
    table = pd.DataFrame({"OT": np.sin(hours / 24 * 2 * np.pi), "load": hours % 24, "site": "north"}, index=index)
    path = tmp_path / "data.csv"
    table.to_csv(path)
    return path


@pytest.fixture
def shops():
    """Daily sales of two shops that do not end on the same day, with noise."""
    days = pd.date_range("2024-01-01", periods=60, freq="D")
    sold = np.random.default_rng(0).normal(size=110).round(3)
    names = ["a"] * 60 + ["b"] * 50
    return pd.DataFrame({"shop": names, "day": [*days.astype(str), *days[:50].astype(str)], "sold": sold})
