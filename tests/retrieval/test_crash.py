"""A folder that is added to is killed at random moments: it opens, and holds every row that was acknowledged."""

import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tsrec.retrieval import SubsequenceRetriever

pytest.importorskip("pyarrow")

WRITER = """
import sys
import numpy as np, pandas as pd
from tsrec.retrieval import SubsequenceRetriever

path, seed = sys.argv[1], int(sys.argv[2])
retriever = SubsequenceRetriever.load(path, mode="a")
retriever.windows_
print("ready", flush=True)
rng = np.random.default_rng(seed)
while True:
    lengths = retriever.lengths_
    rows = {name: int(rng.integers(1, 400)) for name in lengths.index if rng.random() < 0.7}
    if rng.random() < 0.2:
        rows[f"s{len(lengths)}"] = int(rng.integers(1, 400))
    if not rows:
        continue
    first = {name: int(lengths.get(name, 0)) for name in rows}
    parts = {name: pd.Series(np.arange(first[name], first[name] + n) ** 1.5 % 7, name="y") for name, n in rows.items()}
    retriever.partial_fit(parts)
    print(" ".join(f"{name}={first[name] + n}" for name, n in rows.items()), flush=True)
"""


def killed(path, seed, wait):
    """Rows of each series that a writer said to have written before it was killed."""
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(seed)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout.readline() == "ready\n"
    time.sleep(wait)
    writer.send_signal(signal.SIGKILL)
    said = writer.communicate()[0]
    whole = said[: said.rfind("\n") + 1]
    return {
        name: int(rows)
        for line in whole.splitlines()
        for name, _, rows in [pair.partition("=") for pair in line.split()]
    }


@pytest.mark.parametrize("kills", [2, pytest.param(50, marks=pytest.mark.slow)])
def test_what_was_acknowledged_survives(kills, tmp_path):
    draw = random.Random(0)
    SubsequenceRetriever(store=tmp_path / "index", scales=(64,)).fit({"s0": np.arange(100.0) ** 1.5 % 7})
    acknowledged = {"s0": 100}
    for turn in range(kills):
        acknowledged |= killed(tmp_path / "index", turn, draw.uniform(0, 0.5))
        opened = SubsequenceRetriever.load(tmp_path / "index", mode="r", verify=True)
        lengths = opened.lengths_
        assert all(lengths[name] >= rows for name, rows in acknowledged.items())
        for number, rows in enumerate(lengths):
            found = opened._contents.corpus.read(number, 0, int(rows))[:, 0]
            np.testing.assert_array_equal(found, np.arange(rows) ** 1.5 % 7)
        windows = opened.windows_
        for name, rows in lengths.items():
            assert (windows["series"] == name).sum() == max((rows - 64) // 16 + 1, 0)
