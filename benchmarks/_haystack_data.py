"""Recordings for haystacks: people with a sensor at the waist (hapt, from TSREC_DATA), or the synthetic recorder."""

import os
from pathlib import Path

import numpy as np
import pandas as pd

from tsrec.datasets import make_recordings

NAMES = ("hapt", "synthetic")
# By name, as what a regime is should not depend on who was recorded.
HAPT_REGIMES = {
    "WALKING": "moving",
    "WALKING_UPSTAIRS": "moving",
    "WALKING_DOWNSTAIRS": "moving",
    "SITTING": "still",
    "STANDING": "still",
    "LAYING": "still",
    "STAND_TO_SIT": "turning",
    "SIT_TO_STAND": "turning",
    "SIT_TO_LIE": "turning",
    "LIE_TO_SIT": "turning",
    "STAND_TO_LIE": "turning",
    "LIE_TO_STAND": "turning",
}
_CHANNELS = ("acc_x", "acc_y", "acc_z", "gyro_x", "gyro_y", "gyro_z")


def load(name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Recordings and events by name, as `tsrec.datasets.make_haystack` takes them."""
    if name not in NAMES:
        raise ValueError(f"name is {name!r}, but the recordings are {', '.join(NAMES)}.")
    return _hapt() if name == "hapt" else make_recordings(40, seconds=1800, rate=25, random_state=0)


def _hapt() -> tuple[pd.DataFrame, pd.DataFrame]:
    """61 recordings of 30 people at 50 Hz: acceleration in g and turning in rad/s, 12 labels."""
    if "TSREC_DATA" not in os.environ:
        raise SystemExit("TSREC_DATA must name the folder that has hapt.")
    file = np.load(Path(os.environ["TSREC_DATA"]) / "hapt" / "hapt_raw.npz")
    rate, sizes = float(file["fs"]), np.diff(file["rec_start"])
    values = np.hstack([file["acc_q"] * file["acc_step_g"], file["gyro_q"] * file["gyro_step_rad_s"]])
    frame = pd.DataFrame(values.astype(np.float32), columns=list(_CHANNELS))
    frame.insert(0, "time", np.concatenate([np.arange(size) for size in sizes]) / rate)
    for at, (column, key) in enumerate((("recording", "rec_experiment"), ("subject", "rec_user"))):
        frame.insert(at, column, np.repeat(file[key], sizes))
    experiment, _, activity, first, last = file["labels"].T
    # Numbers of samples are from 1, and the last belongs to the bout.
    events = {"recording": experiment, "start": (first - 1) / rate, "end": last / rate}
    return frame, pd.DataFrame({**events, "label": file["activity_names"][activity - 1]})
