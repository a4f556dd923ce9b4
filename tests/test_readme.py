"""The search that the README shows works as it says."""

import re
from pathlib import Path

import matplotlib
import pandas as pd
import pytest
from matplotlib import pyplot as plt

ROOT = Path(__file__).parents[1]


def test_the_search_of_the_readme_runs(tmp_path, monkeypatch):
    pytest.importorskip("pyarrow")
    matplotlib.use("Agg")
    monkeypatch.chdir(tmp_path)
    section = re.search(r"^## Search\n(.*?)^## ", (ROOT / "README.md").read_text(), re.M | re.S)[1]
    known = {}
    exec(re.search(r"```python\n(.*?)```", section, re.S)[1], known)
    found, retriever = known["found"], known["retriever"]
    plt.close("all")
    assert len(found) == 5
    assert found["start"].min() >= pd.Timestamp("2014-12-01")
    assert retriever.lengths_.iloc[0] == 10_320
    # Days of the storm, and the night of the marathon.
    days = set(retriever.discords(48, k=3)["start"].dt.strftime("%m-%d"))
    assert days == {"01-27", "01-26", "11-02"}
