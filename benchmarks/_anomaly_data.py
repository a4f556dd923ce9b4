"""The series with labelled anomalies, cut into a half to choose on and a half to report."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

# Rows that detectors are fitted on: the probation period of NAB, and what the repository of SKAB fits on.
PROBATION, LONGEST, SKAB_ROWS = 0.15, 750, 400


class File(NamedTuple):
    """A recording: its rows, their labels, and how many of the first rows may be learned from."""

    rows: pd.DataFrame
    label: np.ndarray
    learned: int


def read(name: str, part: str) -> dict[str, File]:
    """The files of "nab" or "skab" that belong to a part, "tuning" or "test": every other one, in order of names."""
    return _nab(part) if name == "nab" else _skab(part)


def _halved(names: list[str], part: str) -> list[str]:
    return sorted(names)[0 if part == "tuning" else 1 :: 2]


def _folder(name: str) -> Path:
    return Path(os.environ["TSREC_DATA"]) / name


def _steady(values: pd.DataFrame, start: str, step: pd.Timedelta) -> pd.DataFrame:
    """Rows on a clock without gaps: NAB and SKAB count rows, and a few of them come late or twice."""
    return values.set_axis(pd.date_range(start, periods=len(values), freq=step), axis=0)


def _nab(part: str) -> dict[str, File]:
    table = pd.read_csv(_folder("nab") / "nab_series.csv.gz")
    groups = pd.Series(table["file"].unique()).groupby(lambda i: table["file"].unique()[i].split("/")[0])
    found = {}
    for name in [one for _, names in groups for one in _halved(list(names), part)]:
        rows = table[table["file"] == name]
        step = pd.to_datetime(rows["timestamp"]).diff().median()
        values = _steady(rows[["value"]].astype(float), rows["timestamp"].iloc[0], step)
        found[name] = File(values, rows["in_window"].to_numpy(), min(int(PROBATION * len(rows)), LONGEST))
    return found


def _skab(part: str) -> dict[str, File]:
    table = pd.read_csv(_folder("skab") / "skab.csv.gz")
    names = [name for name in table["file"].unique() if "free" not in name]
    found = {}
    for name in _halved(names, part):
        rows = table[table["file"] == name]
        values = rows.drop(columns=["file", "datetime", "anomaly", "changepoint"]).astype(float)
        values = _steady(values, rows["datetime"].iloc[0], pd.Timedelta("1s"))
        found[name] = File(values, rows["anomaly"].to_numpy(int), SKAB_ROWS)
    return found
