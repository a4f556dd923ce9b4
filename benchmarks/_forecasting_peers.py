"""One rival of forecasting.py, in the virtual environment of requirements-peers.txt; it does not know tsrec.

    python _forecasting_peers.py JOB.json

JOB.json names the numbers (an npz file) and where the answer goes: forecasts and seconds beside each other in an npz
and a json file. Series have whole numbers as time stamps; the seasons are told.
"""

import json
import logging
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

NEURAL = ("DLinear", "NHITS", "PatchTST")
# The longest season that exponential smoothing and ARIMA of statsforecast can carry, or can in a bearable time.
_LONGEST_SEASON = 24
# Steps on the panels, beyond which the folds showed no gain (the libraries' own defaults are 1,000 to 5,000).
_STEPS = {"DLinear": 2000, "NHITS": 1000, "PatchTST": 500}
_QUIET = {
    "accelerator": "cpu",
    "devices": 1,
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}


def statistical(job: dict[str, Any], data: Any) -> tuple[np.ndarray, dict[str, Any]]:
    """Each (series, cut-off) is a series of its own, of at most the last `history` rows."""
    from statsforecast import StatsForecast, models

    seasons, name = job["seasons"], job["model"]
    season = seasons[0]
    if name in ("AutoETS", "AutoARIMA") and season > _LONGEST_SEASON:
        season = 1
    told = seasons if name == "MSTL" else season
    if name == "SeasonalNaive (statsforecast)":
        model = models.SeasonalNaive(season_length=job["season"])
    else:
        model = getattr(models, name)(season_length=told)
    frame = _histories(data, job["history"])
    forecaster = StatsForecast(models=[model], freq=1, n_jobs=1, fallback_model=models.Naive())
    answer = forecaster.forecast(df=frame, h=job["horizon"])
    settings = {"season_length": told, "history": job["history"], "n_jobs": 1, "fallback": "Naive"}
    return answer.iloc[:, -1].to_numpy().reshape(-1, job["horizon"]), settings


def neural(job: dict[str, Any], data: Any) -> tuple[np.ndarray, dict[str, Any]]:
    """Fit once on the rows before the first cut-off of each series, and forecast from each cut-off."""
    from neuralforecast import NeuralForecast

    typical = int(np.median(data["first"]))
    horizon = job["horizon"]
    wanted = max(4 * horizon, max(job["seasons"]) if horizon >= 24 else 0)
    settings = {
        "input_size": int(np.clip(typical - horizon, 2 * horizon, wanted)),
        "max_steps": _STEPS[job["model"]],
        "learning_rate": 1e-2 if job["model"] == "DLinear" else 1e-3,
        "num_lr_decays": 3 if job["model"] == "NHITS" else -1,
        "batch_size": 32,
        "windows_batch_size": 256,
        "scaler_type": "standard",
        "start_padding_enabled": True,
        "random_seed": job["seed"],
    }
    forecaster = NeuralForecast([_network(job["model"], horizon, settings, "MAE")], freq=1)
    forecaster.fit(_known(data))
    answer = forecaster.predict(df=_histories(data, 2 * settings["input_size"]))
    return answer[job["model"]].to_numpy().reshape(-1, horizon), {**settings, "loss": "MAE"}


def long(job: dict[str, Any], data: Any) -> tuple[np.ndarray, dict[str, Any]]:
    """Fit on the first rows, stop early on the next, and forecast from every cut-off of the last; sums of errors."""
    from neuralforecast import NeuralForecast

    settings = {
        "input_size": job["input_size"],
        "max_steps": 1000,
        "early_stop_patience_steps": 3,
        "val_check_steps": 50,
        "learning_rate": 1e-4 if job["model"] == "PatchTST" else 1e-3,
        "windows_batch_size": 256,
        "scaler_type": "identity" if job["model"] == "PatchTST" else "standard",
        "random_seed": job["seed"],
    }
    values = data["values"]
    frame = _stacked(list(values.T))
    forecaster = NeuralForecast([_network(job["model"], job["horizon"], settings, "MSE")], freq=1)
    table = forecaster.cross_validation(
        frame, n_windows=None, val_size=job["validation"], test_size=job["test"], step_size=1
    )
    error = table[job["model"]].to_numpy(np.float64) - table["y"].to_numpy(np.float64)
    windows = len(table) // (values.shape[1] * job["horizon"])
    return np.array([(error**2).mean(), np.abs(error).mean(), windows]), {**settings, "loss": "MSE"}


def _network(name: str, horizon: int, settings: dict[str, Any], loss: str) -> Any:
    from neuralforecast import models
    from neuralforecast.losses import pytorch

    more = {}
    if name == "PatchTST" and settings["input_size"] < 32:
        more = {"patch_len": max(settings["input_size"] // 2, 1), "stride": max(settings["input_size"] // 4, 1)}
    return getattr(models, name)(h=horizon, loss=getattr(pytorch, loss)(), **settings, **more, **_QUIET)


def _known(data: Any) -> pd.DataFrame:
    starts = data["offsets"][:-1]
    return _stacked([data["values"][at : at + count] for at, count in zip(starts, data["first"], strict=True)])


def _histories(data: Any, longest: int) -> pd.DataFrame:
    pieces = []
    for series, place in data["cutoffs"]:
        end = data["offsets"][series] + place
        pieces.append(data["values"][max(end - longest, data["offsets"][series]) : end])
    return _stacked(pieces)


def _stacked(pieces: list[np.ndarray]) -> pd.DataFrame:
    lengths = [len(piece) for piece in pieces]
    return pd.DataFrame(
        {
            "unique_id": np.repeat(np.arange(len(pieces)), lengths),
            "ds": np.concatenate([np.arange(1, length + 1) for length in lengths]),
            "y": np.concatenate(pieces),
        }
    )


def _warm_up(name: str, job: dict[str, Any]) -> None:
    """Imports and just-in-time compilation are not the model's time."""
    if name in NEURAL:
        import neuralforecast  # noqa: F401
    else:
        steps = np.arange(60.0)
        tiny = {"values": steps + np.sin(steps), "offsets": np.array([0, 60]), "cutoffs": np.array([[0, 60]])}
        statistical({**job, "seasons": [4], "season": 4, "horizon": 2}, tiny)


def main() -> None:
    """Read the job, run it, write the answer."""
    job = json.loads(Path(sys.argv[1]).read_text())
    warnings.simplefilter("ignore")
    logging.disable(logging.INFO)
    _warm_up(job["model"], job)
    with np.load(job["data"]) as stored:
        data = dict(stored)
    began = time.perf_counter()
    run = long if job["kind"] == "long" else neural if job["model"] in NEURAL else statistical
    answer, settings = run(job, data)
    seconds = time.perf_counter() - began
    np.savez(job["answer"], answer=answer)
    Path(job["answer"]).with_suffix(".json").write_text(
        json.dumps({"seconds": round(seconds, 3), "settings": settings})
    )


if __name__ == "__main__":
    main()
