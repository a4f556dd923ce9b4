"""The sets of forecasting.py: long frames with borders, and panels with hold-outs."""

import gzip
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from tsrec.datasets import fetch_ett, fetch_m3, fetch_m4

# Dates of series that have none of their own: only the frequency is known.
_NOMINAL_WEEK = "1970-01-04"
_NOMINAL_YEAR = 1900
_REAL_YEAR = 1000


class Long(NamedTuple):
    """A z-scored frame, the steps of its season, and the ends of its train, validation and test rows."""

    name: str
    frame: pd.DataFrame
    season: int
    train: int
    validation: int
    test: int
    horizons: tuple[int, ...]


class HoldOut(NamedTuple):
    """A panel whose last rows are forecast, from one or several cut-offs per series.

    `season` is that of the MASE; `natural` are the seasons that the statistical rivals are told. `spacing` is the
    number of steps between cut-offs.
    """

    name: str
    frame: pd.DataFrame
    horizon: int
    season: int
    natural: tuple[int, ...]
    n_cutoffs: int = 1
    spacing: int = 0


def folder() -> Path:
    """Where the data sets lie."""
    try:
        return Path(os.environ["TSREC_DATA"])
    except KeyError:
        raise SystemExit("TSREC_DATA: not set. It names the folder with the data sets.") from None


def load_long(name: str) -> Long:
    """One of the long sets, in the units of its train rows."""
    if name == "ILI":
        frame = _illness()
        train, test = int(0.7 * len(frame)), int(0.2 * len(frame))
        borders, horizons, season = (train, len(frame) - test, len(frame)), (24, 36, 48, 60), 52
    elif name == "demand_temperature":
        frame = _victoria(["Demand", "Temperature"])
        borders, horizons, season = tuple(int(share * len(frame)) for share in (0.6, 0.8, 1)), (48, 336), 48
    else:
        frame = fetch_ett(name)
        season = 96 if name == "ETTm1" else 24
        borders, horizons = tuple(months * 30 * season for months in (12, 16, 20)), (96, 192, 336, 720)
    known = frame.iloc[: borders[0]]
    return Long(name, (frame - known.mean()) / known.std(ddof=0), season, *borders, horizons)


def load_holdout(name: str) -> HoldOut:
    """One of the panels."""
    return HOLDOUT_SETS[name](name)


def _illness() -> pd.DataFrame:
    frame = pd.read_csv(folder() / "illness" / "national_illness.csv.gz", index_col="date", parse_dates=["date"])
    return frame.astype(float).asfreq("7D")


def _illness_panel(name: str) -> HoldOut:
    return HoldOut(name, _stacked(_illness()), 24, 1, (52,), n_cutoffs=7, spacing=24)


def _m4_weekly(name: str) -> HoldOut:
    frame = pd.concat(fetch_m4("Weekly")).sort_index(level="series", sort_remaining=True)
    step = frame.index.get_level_values("time").to_numpy() - 1
    weeks = np.datetime64(_NOMINAL_WEEK, "D") + 7 * step
    return HoldOut(name, _with_times(frame, weeks), 13, 1, (52,))


def _m3(name: str) -> HoldOut:
    period = name.removeprefix("m3_")
    season, months = {"yearly": (1, 12), "quarterly": (4, 3), "monthly": (12, 1), "other": (1, 0)}[period]
    train, test = fetch_m3(period.capitalize())
    horizon = int(test.groupby(level="series").size().iloc[0])
    frame = pd.concat([train, test]).sort_index()
    if months:
        info = pd.read_csv(folder() / "m3" / "m3_info.csv.gz", index_col="series_id")
        info = info.reindex(frame.index.get_level_values("series"))
        year = info["start_year"].where(info["start_year"] > _REAL_YEAR, _NOMINAL_YEAR).to_numpy(int)
        start = 12 * (year - 1970) + months * (info["start_period"].to_numpy(int) - 1)
        step = frame.index.get_level_values("time").to_numpy() - 1
        frame = _with_times(frame, (start + months * step).astype("M8[M]"))
    return HoldOut(name, frame, horizon, season, (season,))


def _nn5(name: str) -> HoldOut:
    frame = pd.read_csv(folder() / "nn5_daily" / "nn5_daily.csv.gz", index_col="date", parse_dates=["date"])
    return HoldOut(name, _stacked(frame), 56, 7, (7,))


def _victoria(columns: list[str]) -> pd.DataFrame:
    path = folder() / "vic_elec" / "vic_elec.csv.gz"
    return pd.read_csv(path, index_col="time_utc", parse_dates=["time_utc"])[columns].astype(float)


def _vic_elec(name: str) -> HoldOut:
    return HoldOut(name, _stacked(_victoria(["Demand"])), 48, 48, (48, 336), n_cutoffs=28, spacing=48)


def _monash(
    stem: str, freq: str, horizon: int, season: int, natural: int, n_cutoffs: int = 1
) -> Callable[[str], HoldOut]:
    """A loader of one file of the Monash archive."""

    def load(name: str) -> HoldOut:
        content = gzip.decompress((folder() / "monash" / f"{stem}.tsf.gz").read_bytes()).decode("cp1252")
        series = {}
        for line in content.splitlines():
            if line and not line.startswith(("#", "@")):
                head, start, numbers = line.rsplit(":", 2)
                values = np.array(numbers.replace("?", "nan").split(","), dtype=float)
                index = pd.date_range(start.split()[0], periods=len(values), freq=freq)
                series[head.split(":")[0]] = pd.Series(values, index)
        frame = pd.concat(series, names=["series", "time"]).to_frame("y")
        return HoldOut(name, frame, horizon, season, (natural,), n_cutoffs, horizon)

    return load


def _stacked(wide: pd.DataFrame) -> pd.DataFrame:
    """A panel with a series per column."""
    return pd.concat({name: wide[name] for name in wide}, names=["series", "time"]).to_frame("y")


def _with_times(frame: pd.DataFrame, times: np.ndarray) -> pd.DataFrame:
    levels = [frame.index.get_level_values("series"), pd.DatetimeIndex(times.astype("M8[us]"))]
    return frame.set_axis(pd.MultiIndex.from_arrays(levels, names=["series", "time"]))


LONG_SETS = ("ETTh1", "ETTm1", "ILI", "demand_temperature")
HOLDOUT_SETS: dict[str, Callable[[str], HoldOut]] = {
    "m3_yearly": _m3,
    "m3_quarterly": _m3,
    "m3_monthly": _m3,
    "m3_other": _m3,
    "m4_weekly": _m4_weekly,
    "nn5_daily": _nn5,
    "electricity_weekly": _monash("electricity_weekly_dataset", "7D", 8, 1, 52),
    "solar_weekly": _monash("solar_weekly_dataset", "7D", 5, 1, 1),
    "fred_md": _monash("fred_md_dataset", "MS", 12, 12, 12),
    "us_births": _monash("us_births_dataset", "D", 30, 7, 7, n_cutoffs=12),
    "sunspot": _monash("sunspot_dataset_without_missing_values", "D", 30, 7, 7, n_cutoffs=12),
    "vehicle_trips": _monash("vehicle_trips_dataset_without_missing_values", "D", 30, 7, 7),
    "illness": _illness_panel,
    "vic_elec": _vic_elec,
}
