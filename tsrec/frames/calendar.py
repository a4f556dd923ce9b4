"""What a date says by itself: hour, weekday, place in the month and in the year, days and working days of a month."""

import numpy as np
import pandas as pd

from tsrec.frames.grid import TimeGrid

# Sines and cosines of the day, of the month and of the year.
_DAY, _MONTH, _YEAR = 2, 1, 2
_WEEKS_OF_YEAR = 3
_USUAL_DAYS, _USUAL_WORKDAYS = 30.4, 21.7


def calendar_names(grid: TimeGrid) -> list[str]:
    """Names of the features that dates of such a grid have.

    Parameters
    ----------
    grid : TimeGrid
        Of a history.

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        If the index holds no dates.
    """
    return calendar_features(grid, np.empty(0, dtype=np.int64)).columns.tolist()


def calendar_features(grid: TimeGrid, ordinals: np.ndarray) -> pd.DataFrame:
    """Numbers that dates say by themselves, which are known of any future row.

    Sub-daily rows have the hour, the weekday and the year, daily ones the weekday, the month and the year, weekly ones
    month and year, monthly ones the month and how many days and working days it has, quarterly ones the quarter. Of a
    yearly row nothing is to be told.

    Parameters
    ----------
    grid : TimeGrid
        Meaning of the ordinals.
    ordinals : int array of shape (n,)
        Instants.

    Returns
    -------
    DataFrame of shape (n, n_features)

    Raises
    ------
    ValueError
        If the index holds no dates.

    Examples
    --------
    >>> calendar_features(TimeGrid("month", 1, freq="MS"), np.array([0]))["workdays"].round(2).tolist()
    [0.01]
    """
    if grid.pace is None or grid.kind == "delta":
        raise ValueError(
            "features: 'calendar' needs an index of dates (DatetimeIndex or PeriodIndex). Leave it out, or give y one."
        )
    stamps = grid.decode(ordinals)
    if isinstance(stamps, pd.PeriodIndex):
        stamps = stamps.to_timestamp()
    year = (stamps.day_of_year - 1 + stamps.hour / 24) / 365.25
    month = (stamps.day - 1) / stamps.days_in_month
    weekday = {f"weekday {k}": stamps.day_of_week == k for k in range(7)}
    if grid.pace == "sub-daily":
        day = (stamps.hour + stamps.minute / 60) / 24
        found = {**_waves("day", day, _DAY), **weekday, **_waves("year", year, 1)}
    elif grid.pace == "daily":
        found = {**weekday, **_waves("month", month, _MONTH), **_waves("year", year, _YEAR)}
    elif grid.pace == "weekly":
        found = {**_waves("month", month, _MONTH), **_waves("year", year, _WEEKS_OF_YEAR)}
    elif grid.pace == "monthly":
        found = {f"month {k}": stamps.month == k for k in range(1, 13)} | _lengths(stamps)
    elif grid.pace == "quarterly":
        found = {f"quarter {k}": stamps.quarter == k for k in range(1, 5)}
    else:
        found = {}
    columns = {name: np.asarray(values, dtype=np.float64) for name, values in found.items()}
    return pd.DataFrame(columns, pd.RangeIndex(len(stamps)))


def _waves(name: str, share: pd.Index, count: int) -> dict[str, np.ndarray]:
    """Sines and cosines of the first harmonics of a share of a cycle."""
    angle = 2 * np.pi * np.asarray(share, dtype=np.float64)
    found = {}
    for k in range(1, count + 1):
        found[f"{name} sin {k}"], found[f"{name} cos {k}"] = np.sin(k * angle), np.cos(k * angle)
    return found


def _lengths(stamps: pd.DatetimeIndex) -> dict[str, np.ndarray]:
    """Days and working days of the month of each stamp, relative to the usual ones."""
    first = stamps.to_numpy().astype("datetime64[M]")
    start, end = first.astype("datetime64[D]"), (first + 1).astype("datetime64[D]")
    days = (end - start).astype(np.float64)
    workdays = np.busday_count(start, end).astype(np.float64)
    return {"days": days / _USUAL_DAYS - 1, "workdays": workdays / _USUAL_WORKDAYS - 1}
