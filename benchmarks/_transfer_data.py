"""The sets of transfer.py: many frequencies and lengths to learn from, and what is forecast unseen."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from _forecasting_data import _victoria, folder, load_holdout, load_long

# Of the Numenta benchmark: series of a month and more, each a set of its own, and the short ones of cloud servers.
_NAB = {
    "taxi": "realKnownCause/nyc_taxi.csv",
    "ambient_temperature": "realKnownCause/ambient_temperature_system_failure.csv",
    "machine_temperature": "realKnownCause/machine_temperature_system_failure.csv",
    "cpu": "realKnownCause/cpu_utilization_asg_misconfiguration.csv",
}
_CLOUD = "realAWSCloudwatch"
_PANELS = (
    "nn5_daily",
    "us_births",
    "vehicle_trips",
    "sunspot",
    "m4_weekly",
    "electricity_weekly",
    "illness",
    "fred_md",
    "m3_monthly",
    "m3_quarterly",
)
# Sets with days in them, which the choices are made on: each is forecast by what was learned from all others.
FOLDS = {
    "demand": ("demand", "temperature"),
    "temperature": ("demand", "temperature"),
    "taxi": ("taxi",),
    "ambient_temperature": ("ambient_temperature",),
    "machine_temperature": ("machine_temperature",),
    "cpu": ("cpu",),
}


class Unseen(NamedTuple):
    """A z-scored frame, the steps of its day, and the first and last row of the part whose windows are forecast."""

    name: str
    frame: pd.DataFrame
    day: int
    first: int
    last: int


def training_sets() -> dict[str, pd.DataFrame]:
    """Everything but ETT, by name."""
    demand = _victoria(["Demand", "Temperature"])
    sets = {"demand": demand[["Demand"]], "temperature": demand[["Temperature"]]}
    files = _numenta()
    sets |= {name: _regular(files[file]).to_frame("y") for name, file in _NAB.items()}
    cloud = {file: _regular(rows) for file, rows in files.items() if file.startswith(_CLOUD)}
    sets["cloud"] = pd.concat(cloud, names=["series", "time"]).to_frame("y")
    return sets | {name: load_holdout(name).frame for name in _PANELS}


def fold(name: str, sets: dict[str, pd.DataFrame]) -> tuple[dict[str, pd.DataFrame], Unseen]:
    """What is learned from when a set is held out, and the last two fifths of it."""
    known = {other: rows for other, rows in sets.items() if other not in FOLDS[name]}
    frame = sets[name]
    first = 3 * len(frame) // 5
    day = round(pd.Timedelta("1D") / (frame.index[1] - frame.index[0]))
    return known, Unseen(name, _scaled(frame, first), day, first, len(frame))


def unseen(name: str) -> Unseen:
    """ETTh1 or ETTm1: the windows of the test part, in units of the train rows."""
    task = load_long(name)
    return Unseen(name, task.frame.iloc[: task.test], task.season, task.validation, task.test)


def same_station() -> dict[str, pd.DataFrame]:
    """The train rows of ETTm1, every fourth of which is in ETTh1."""
    task = load_long("ETTm1")
    return {"ETTm1": task.frame.iloc[: task.train]}


def _scaled(frame: pd.DataFrame, first: int) -> pd.DataFrame:
    known = frame.iloc[:first]
    return (frame - known.mean()) / known.std(ddof=0)


def _numenta() -> dict[str, pd.Series]:
    table = pd.read_csv(folder() / "nab" / "nab_series.csv.gz", parse_dates=["timestamp"])
    return {str(name): rows.set_index("timestamp")["value"] for name, rows in table.groupby("file")}


def _regular(rows: pd.Series) -> pd.Series:
    """On the grid of its usual step; NaN in gaps, means of what was recorded twice."""
    step = rows.sort_index().index.to_series().diff().median()
    return rows.resample(step).mean().astype(np.float64)
