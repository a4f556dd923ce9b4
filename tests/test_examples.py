"""The notebooks run from top to bottom, and the demo writes what it says."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*zmq.*")
@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebook_runs(path, tmp_path):
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": tmp_path}}).execute()


@pytest.mark.slow
def test_demo_writes_forecast_and_picture(tmp_path):
    demo = [sys.executable, str(ROOT / "examples" / "demo.py")]
    shown = subprocess.run(demo, cwd=tmp_path, capture_output=True, text=True, check=True, env=os.environ).stdout
    assert "wrote 96 rows" in shown
    assert "MAE naive" in shown
    assert (tmp_path / "demo" / "forecast.png").stat().st_size > 10_000
