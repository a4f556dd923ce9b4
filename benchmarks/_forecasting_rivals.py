"""Starts the rivals of forecasting.py, each in a process that is killed when its time is over."""

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from _forecasting_holdout import Split, errors, filled
from _forecasting_long import Window

NEURAL = ("DLinear", "NHITS", "PatchTST")
STATISTICAL = ("SeasonalNaive (statsforecast)", "AutoETS", "DynamicOptimizedTheta", "AutoARIMA", "MSTL")
_PROGRAM = Path(__file__).with_name("_forecasting_peers.py")
# Seconds to import the libraries and to compile, not counted as the model's.
_START_UP = 60
_PACKAGES = ("torch", "neuralforecast", "statsforecast", "pandas", "numpy")


class Rivals(NamedTuple):
    """The other environment and what its processes may use."""

    python: str
    limit: int
    history: int
    threads: int

    def versions(self) -> dict[str, str]:
        """Versions of the packages in the other environment."""
        code = f"import json, importlib.metadata as m; print(json.dumps({{p: m.version(p) for p in {_PACKAGES}}}))"
        done = subprocess.run([self.python, "-c", code], capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    def holdout(self, split: Split, name: str, seed: int) -> dict[str, Any]:
        """Errors of a rival on a hold-out task, or what it failed of."""
        task = split.task
        if name == "MSTL" and max(task.natural) == 1:
            return {"failed": "needs a season"}
        typical = int(np.median(split.first))
        job = {
            "kind": "hold-out",
            "model": name,
            "seed": seed,
            "horizon": task.horizon,
            "season": task.season,
            "seasons": [season for season in task.natural if 2 * season <= typical] or [1],
            "history": self.history,
        }
        data = {"values": filled(split), "offsets": split.offsets, "cutoffs": split.cutoffs, "first": split.first}
        answer, report = self._run(job, data)
        if answer is None:
            return report
        return {**errors(split, answer), **report}

    def long(self, window: Window, name: str, seed: int, input_size: int) -> dict[str, Any]:
        """Errors of a rival on a long task, or what it failed of; the rows before the part's stop the training."""
        task = window.task
        stopping = task.validation - task.train if window.label == "test" else window.fitted // 8
        job = {
            "kind": "long",
            "model": name,
            "seed": seed,
            "horizon": window.horizon,
            "input_size": input_size,
            "validation": stopping,
            "test": window.last - window.first,
        }
        return self._measured(job, task.frame.to_numpy()[: window.last])

    def few(self, window: Window, name: str, seed: int, input_size: int) -> dict[str, Any]:
        """Errors of a rival that learns from the first rows, and stops by the whole validation rows."""
        task = window.task
        job = {
            "kind": "long",
            "model": name,
            "seed": seed,
            "horizon": window.horizon,
            "input_size": input_size,
            "validation": task.validation - task.train + input_size,
            "test": window.last - window.first,
        }
        values = task.frame.to_numpy()
        # What lies between is not known; windows across the seam are a tenth of those that decide when to stop.
        pieces = values[: window.fitted], values[task.train - input_size : window.last]
        return self._measured(job, np.concatenate(pieces))

    def _measured(self, job: dict[str, Any], values: np.ndarray) -> dict[str, Any]:
        answer, report = self._run(job, {"values": values})
        if answer is None:
            return report
        return {"mse": float(answer[0]), "mae": float(answer[1]), "windows": int(answer[2]), **report}

    def _run(self, job: dict[str, Any], data: dict[str, np.ndarray]) -> tuple[np.ndarray | None, dict[str, Any]]:
        """The answer of a process, and its seconds and settings or why there is none."""
        with tempfile.TemporaryDirectory() as scratch:
            place = Path(scratch)
            np.savez(place / "data.npz", **data)
            job |= {"data": str(place / "data.npz"), "answer": str(place / "answer.npz")}
            (place / "job.json").write_text(json.dumps(job))
            env = {**os.environ, "OMP_NUM_THREADS": str(self.threads), "NIXTLA_ID_AS_COL": "1"}
            command = [self.python, str(_PROGRAM), str(place / "job.json")]
            try:
                done = subprocess.run(
                    command, cwd=place, env=env, capture_output=True, text=True, timeout=self.limit + _START_UP
                )
            except subprocess.TimeoutExpired:
                return None, {"failed": f"ran out of {self.limit} s", "seconds": self.limit}
            if done.returncode:
                return None, {"failed": (done.stderr.strip().splitlines() or ["no message"])[-1][-300:]}
            with np.load(place / "answer.npz") as stored:
                answer = stored["answer"]
            report = json.loads((place / "answer.json").read_text())
        if report["seconds"] > self.limit:
            return None, {"failed": f"ran out of {self.limit} s", "seconds": self.limit}
        return answer, {"seconds": report["seconds"], "parameters": report["settings"]}
