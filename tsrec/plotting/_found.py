"""Queries and matches as tables and arrays, before they are drawn. No matplotlib here."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tsrec.plotting._style import named

MOST_CHANNELS = 4


class Match(NamedTuple):
    """A match: the number it is known by, its place, and its rows (n_times, n_channels) as they are drawn."""

    number: int
    series: Hashable
    start: Any
    end: Any
    values: np.ndarray


class Strip(NamedTuple):
    """A series as it is drawn, and its matches."""

    times: np.ndarray
    values: np.ndarray
    matches: list[Match]


def checked(matches: Any) -> pd.DataFrame:
    """A table of intervals, of one query."""
    if not isinstance(matches, pd.DataFrame) or not {"series", "start", "end"} <= set(matches.columns):
        raise TypeError(
            f"matches: found {type(matches).__name__}. Give a frame with the columns series, start and end, as locate "
            "of a retriever returns."
        )
    count = len(set(matches["query"])) if "query" in matches else 1
    if count > 1:
        raise ValueError(f"matches: they belong to {count} queries. Give those of one, and that query.")
    return matches


def intervals(table: pd.DataFrame) -> Any:
    """Series, start and end of each row."""
    return table[["series", "start", "end"]].itertuples(index=False)


def belong_to(table: pd.DataFrame, name: Hashable) -> np.ndarray:
    """Which rows are of a series; names may be tuples, which pandas would compare item by item."""
    return np.array([one == name for one in table["series"]], dtype=bool)


def as_matches(table: pd.DataFrame, parts: list[np.ndarray]) -> list[Match]:
    """Rows of a table as matches, with the values that are drawn."""
    rows = zip(numbers(table), intervals(table), parts, strict=True)
    return [Match(number, row.series, row.start, row.end, values) for number, row, values in rows]


def numbers(table: pd.DataFrame) -> list[int]:
    """Number of each match: its rank, or its pair."""
    known = [column for column in ("rank", "motif") if column in table]
    return [int(one) for one in (table[known[0]] if known else table.index)]


def as_rows(query: Any) -> np.ndarray:
    """A query as (n_times, n_channels)."""
    if isinstance(query, pd.Series):
        return query.to_numpy(np.float64)[:, None]
    if isinstance(query, pd.DataFrame):
        return query.to_numpy(np.float64)
    if isinstance(query, Mapping | list | tuple):
        parts = list(query.values() if isinstance(query, Mapping) else query)
        if len(parts) != 1:
            raise ValueError(f"query: found {len(parts)} queries. Give one.")
        return np.asarray(parts[0], dtype=np.float64).reshape(len(parts[0]), -1)
    values = np.asarray(query, dtype=np.float64)
    if values.ndim > 1 and len(values) != 1:
        raise ValueError(f"query: found {len(values)} queries. Give one.")
    return values[:, None] if values.ndim == 1 else np.atleast_2d(values[0]).T


def picked(channels: Hashable | Sequence[Hashable] | None, own: list[Hashable]) -> list[Hashable]:
    """Channels that are shown: the chosen ones, or the first few of all."""
    if channels is None:
        return own[:MOST_CHANNELS]
    chosen = named(channels)
    absent = [channel for channel in chosen if channel not in own]
    if absent or not 0 < len(chosen) <= MOST_CHANNELS:
        what = f"{absent[0]!r} is none of them" if absent else f"found {len(chosen)}"
        raise ValueError(f"channels: {what}. Name 1 to {MOST_CHANNELS} of {own}.")
    return chosen


def normalised(values: np.ndarray) -> np.ndarray:
    """Columns at mean 0 and standard deviation 1; zeros where they are constant."""
    seen = np.isfinite(values)
    count = np.maximum(seen.sum(axis=0), 1)
    centred = values - np.where(seen, values, 0.0).sum(axis=0) / count
    spread = np.sqrt((np.where(seen, centred, 0.0) ** 2).sum(axis=0) / count)
    return centred / np.where(spread > 0, spread, 1.0)
