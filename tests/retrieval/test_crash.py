"""A folder that is added to is killed at random moments: it opens, and holds every row that was acknowledged."""

import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tsrec.retrieval import SubsequenceRetriever

pytest.importorskip("pyarrow")

# Imports what writers need, and forks one for each line that it reads: the imports take most of a short life.
WRITERS = """
import os, sys
import numpy as np, pandas as pd
from tsrec.retrieval import SubsequenceRetriever


def write(path, seed):
    retriever = SubsequenceRetriever.load(path, mode="a")
    retriever.windows_
    print("ready", os.getpid(), flush=True)
    rng = np.random.default_rng(seed)
    while True:
        lengths = retriever.lengths_
        rows = {name: int(rng.integers(1, 400)) for name in lengths.index if rng.random() < 0.7}
        if rng.random() < 0.2:
            rows[f"s{len(lengths)}"] = int(rng.integers(1, 400))
        if not rows:
            continue
        first = {name: int(lengths.get(name, 0)) for name in rows}
        parts = {
            name: pd.Series(np.arange(first[name], first[name] + n) ** 1.5 % 7, name="y") for name, n in rows.items()
        }
        retriever.partial_fit(parts)
        print("wrote", " ".join(f"{name}={first[name] + n}" for name, n in rows.items()), flush=True)


for seed in sys.stdin:
    child = os.fork()
    if not child:
        write(sys.argv[1], int(seed))
    os.waitpid(child, 0)
    print("ended", flush=True)
"""


class Writers:
    """Processes that add to a folder until they are killed, one after another."""

    def __init__(self, path):
        command = [sys.executable, "-c", WRITERS, str(path)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def killed(self, seed, wait):
        """Rows of each series that a writer said to have written before it was killed."""
        print(seed, file=self.process.stdin, flush=True)
        what, number = self.process.stdout.readline().split()
        assert what == "ready"
        time.sleep(wait)
        os.kill(int(number), signal.SIGKILL)
        written = {}
        # Lines of this length are written as one.
        while (line := self.process.stdout.readline()) != "ended\n":
            pairs = [pair.partition("=") for pair in line.removeprefix("wrote ").split()]
            written |= {name: int(rows) for name, _, rows in pairs}
        return written


@pytest.fixture
def writers(tmp_path):
    made = Writers(tmp_path / "index")
    yield made
    made.process.communicate()
    assert made.process.returncode == 0


@pytest.mark.slow
def test_what_was_acknowledged_survives(writers, tmp_path):
    draw = random.Random(0)
    SubsequenceRetriever(store=tmp_path / "index", scales=(64,)).fit({"s0": np.arange(100.0) ** 1.5 % 7})
    acknowledged = {"s0": 100}
    for turn in range(50):
        acknowledged |= writers.killed(turn, draw.uniform(0, 0.5))
        opened = SubsequenceRetriever.load(tmp_path / "index", mode="r", verify=True)
        lengths = opened.lengths_
        assert all(lengths[name] >= rows for name, rows in acknowledged.items())
        for number, rows in enumerate(lengths):
            found = opened._contents.corpus.read(number, 0, int(rows))[:, 0]
            np.testing.assert_array_equal(found, np.arange(rows) ** 1.5 % 7)
        windows = opened.windows_
        for name, rows in lengths.items():
            assert (windows["series"] == name).sum() == max((rows - 64) // 16 + 1, 0)
