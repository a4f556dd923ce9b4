"""What a question restricts: series by name or metadata, times, and channels."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd

from tsrec.frames import Panel
from tsrec.retrieval._read import Times
from tsrec.retrieval._warp import FACTORS


def named_series(wanted: Any, labels: pd.Index, metadata: pd.DataFrame | None, *, where: str = "where") -> np.ndarray:
    """Which series are searched.

    Parameters
    ----------
    wanted : list of names, a name, dict or callable
        Names of series; or values, or lists of them, by columns of the metadata or levels of the names; or what gives
        a truth value for each row of the metadata.
    labels : Index
        Names of all series.
    metadata : DataFrame, optional
        A row for each.
    where : str
        How errors call `wanted`.

    Returns
    -------
    bool array of shape (n_series,)

    Raises
    ------
    ValueError
        If a name is unknown, or there are no such metadata.
    """
    if isinstance(wanted, Mapping) or callable(wanted):
        return _described(wanted, labels, metadata, where)
    alone = isinstance(wanted, str | tuple | Integral) or not np.iterable(wanted)
    names = [wanted] if alone else list(wanted)
    places = labels.get_indexer(pd.Index(names))
    if (places < 0).any():
        missing = [one for one, place in zip(names, places, strict=True) if place < 0]
        raise ValueError(f"{where}: found {missing}, which are not among the series, such as {list(labels[:3])}.")
    kept = np.zeros(len(labels), dtype=bool)
    kept[places] = True
    return kept


def _described(wanted: Mapping | Callable, labels: pd.Index, metadata: pd.DataFrame | None, where: str) -> np.ndarray:
    columns = {} if metadata is None else {column: metadata[column] for column in metadata.columns}
    # A column says it where a level of the names has the same name.
    known = {name: labels.get_level_values(i) for i, name in enumerate(labels.names) if name is not None} | columns
    if metadata is None and (not known or not isinstance(wanted, Mapping)):
        raise ValueError(f"{where}: the series have no metadata. Give fit metadata=, a row for each, or name series.")
    if not isinstance(wanted, Mapping):
        assert metadata is not None
        kept = np.asarray(wanted(metadata))
        if kept.shape != (len(metadata),) or kept.dtype != bool:
            raise ValueError(
                f"{where}: the function gave {kept.dtype} of shape {kept.shape}. Return a truth value for each of the "
                f"{len(metadata)} rows of the metadata."
            )
        return kept
    unknown = [column for column in wanted if column not in known]
    if unknown:
        raise ValueError(f"{where}: found {unknown}, metadata and names of series have the columns {list(known)}.")
    kept = np.ones(len(labels), dtype=bool)
    for column, value in wanted.items():
        several = np.iterable(value) and not isinstance(value, str | bytes)
        kept &= np.asarray(known[column].isin(list(value) if several else [value]))
    if not kept.any():
        there = {column: pd.Index(known[column]).unique()[:3].tolist() for column in wanted}
        raise ValueError(f"{where}: no series has {dict(wanted)}. Give values that are there, such as of {there}.")
    return kept


def open_rows(
    times: Times, lengths: np.ndarray, kept: np.ndarray | None, time_range: tuple[Any, Any] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of each series, from and to, that answers may cover.

    Parameters
    ----------
    times : Times
        When they are.
    lengths : int64 array of shape (n_series,)
        How many there are.
    kept : bool array of shape (n_series,), optional
        Which series are searched.
    time_range : (start, end), optional
        The times, either of which may be None.

    Returns
    -------
    tuple of int64 arrays of shape (n_series,)
    """
    low, high = np.zeros(len(lengths), np.int64), lengths.copy()
    if time_range is not None:
        if not isinstance(time_range, tuple | list) or len(time_range) != 2:
            raise ValueError(f"time_range: found {time_range!r}. Give (start, end), either of which may be None.")
        start, end = time_range
        low = low if start is None else times.rows_from(start, lengths)
        high = high if end is None else times.rows_from(end, lengths)
        if (low > high).any():
            raise ValueError(f"time_range: found {time_range!r}, which ends before it starts. Give (start, end).")
    if kept is not None:
        high = np.where(kept, high, low)
    return low, np.maximum(high, low)


def asked_channels(queries: Panel, channels: Any) -> tuple[Panel, Any]:
    """Queries with the channels that are asked for by name, and the names; else those of each column, in their order.

    Parameters
    ----------
    queries : Panel
        The queries.
    channels : list, or one name, optional
        As `locate` takes them.

    Returns
    -------
    tuple of Panel and list or None
    """
    if channels is None:
        return queries, None
    names = [channels] if isinstance(channels, str) else list(channels)
    if not names:
        raise ValueError("channels: found none. Give names of some, or leave it out for all of the query.")
    unnamed = queries.columns.equals(pd.RangeIndex(queries.n_channels)) and len(names) == queries.n_channels
    places = queries.columns.get_indexer(pd.Index(names))
    if unnamed or (places < 0).any():
        return queries, names
    return replace(queries, values=queries.values[:, places], columns=queries.columns[places]), names


def picked_channels(queries: Panel, own: pd.Index, channels: Sequence[Any] | None, *, where: str = "Q") -> list[int]:
    """Numbers of the channels of the series that the columns of queries are compared with.

    Parameters
    ----------
    queries : Panel
        The queries.
    own : Index
        Channels of the series.
    channels : list, optional
        Names of those to compare with; the queries' own names when omitted.
    where : str
        How errors call the queries.

    Returns
    -------
    list of int

    Raises
    ------
    ValueError
        If there are none of these names.
    """
    if channels is None and queries.n_channels == len(own) == 1 and where == "Q":
        return [0]  # a Series is often named after what it was cut for
    names = queries.columns if channels is None else pd.Index(list(channels))
    if names.has_duplicates:
        raise ValueError(f"channels: found {list(names)}, some of them twice. Give each once.")
    places, unnamed = own.get_indexer(names), pd.RangeIndex(len(own))
    # Of two without names, or one, columns are told by their places, unless numbers are their names.
    nameless = names.equals(unnamed) or (own.equals(unnamed) and (places < 0).all())
    if nameless and channels is None and len(names) == len(own):
        return list(range(len(own)))
    if (places < 0).any() or len(names) != queries.n_channels:
        asked = "" if channels is None else f", and channels= {list(names)}"
        raise ValueError(
            f"{where}: its channels are {list(queries.columns)}, those of the series {list(own)}{asked}. Give columns "
            "of these names, or channels= with some of them, or with a name for each column."
        )
    return [int(place) for place in places]


def chosen_channels(channels: Sequence[Any] | None, own: pd.Index) -> list[int]:
    """Numbers of channels by name; all when there are none."""
    if channels is None:
        return list(range(len(own)))
    places = own.get_indexer(pd.Index(list(channels)))
    if (places < 0).any() or not len(places):
        raise ValueError(f"channels: found {list(channels)}. Give some of {list(own)}.")
    return [int(place) for place in places]


def picked_scales(scales: Sequence[int] | None, indexed: Sequence[int]) -> list[int] | None:
    """Lengths of indexed windows that are looked in, ascending; None for all."""
    if scales is None:
        return None
    wanted = list(scales) if np.iterable(scales) and not isinstance(scales, str) else []
    unknown = [one for one in wanted if one not in indexed]
    if unknown or not wanted:
        found = f"{unknown}, which are not indexed" if unknown else repr(scales)
        raise ValueError(f"scales: found {found}. Give some of scales_, {list(indexed)}.")
    return sorted({int(one) for one in wanted})


def read_metadata(metadata: Any, labels: pd.Index, *, where: str = "metadata") -> pd.DataFrame:
    """A row of metadata for each series, in their order.

    Parameters
    ----------
    metadata : DataFrame or dict
        Indexed by the names of the series; a dict holds a dict for each.
    labels : Index
        Names of the series.
    where : str
        How errors call the argument.

    Returns
    -------
    DataFrame

    Raises
    ------
    ValueError
        If a series has none.
    """
    frame = pd.DataFrame.from_dict(metadata, orient="index") if isinstance(metadata, Mapping) else metadata
    if not isinstance(frame, pd.DataFrame):
        raise TypeError(f"{where}: found {type(metadata).__name__}. Give a frame with a row for each series.")
    missing = labels[~labels.isin(frame.index)]
    if len(missing) or frame.index.has_duplicates:
        found = f"no row for {list(missing[:3])}" if len(missing) else "rows that have the same name"
        raise ValueError(f"{where}: found {found}. Give a row for each series, indexed by its name.")
    return frame.loc[labels]


def distance_limit(max_distance: Any) -> float:
    """The greatest distance of an answer."""
    if max_distance is None:
        return np.inf
    if not isinstance(max_distance, int | float | np.number) or not max_distance >= 0:
        raise ValueError(f"max_distance: found {max_distance!r}. Give a number of at least 0.")
    return float(max_distance)


def warp_factors(warp: Any) -> tuple[float, ...] | None:
    """Lengths at which a query is looked for, as shares of its own; None for its own alone."""
    if isinstance(warp, bool):
        return FACTORS if warp else None
    factors = tuple(warp) if np.iterable(warp) and not isinstance(warp, str) else ()
    if not factors or not all(isinstance(one, int | float | np.number) and 0 < one < np.inf for one in factors):
        raise ValueError(f"warp: found {warp!r}. Give True, or shares of the query's length such as (0.9, 1, 1.1).")
    return factors


def whole_number(value: Any, name: str) -> int:
    """A count, once it is known to be a whole number of at least 1."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name}: found {value!r}. Give a whole number of at least 1.")
    return int(value)


def rows_apart(exclusion: float, length: int) -> int:
    """Rows that two answers of a length are apart at least."""
    return max(int(np.ceil(exclusion * length)), 1)
