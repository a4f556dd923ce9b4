"""What a store has to say of the series in it, beside their numbers: names, times, metadata; and back again."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pandas as pd

from tsrec.frames import TimeGrid
from tsrec.retrieval._columns import kind_of, restored, stored, zone_name
from tsrec.retrieval._read import Times
from tsrec.retrieval._store import Store

SERIES = "series"
_NAME, _OF_METADATA = "name", "metadata "


def described(contents: Any) -> dict[str, Any]:
    """All that is not kept row by row, as plain JSON."""
    times, labels = contents.times, contents.labels
    zone = None if times.grid.tz is None else zone_name(times.grid.tz, "X")
    metadata = contents.metadata
    return {
        "channels": _plain_index(contents.channels),
        "named": contents.named,
        "levels": [_plain(name) for name in labels.names],
        "grid": {**asdict(replace(times.grid, tz=None)), "tz": zone},
        "rate": times.rate,
        "seconds": times.seconds is not None,
        "seconds_name": _plain(times.name),
        "metadata": None if metadata is None else _plain_index(metadata.columns),
        "kinds": {name: kind for name, values, _ in _of(contents) if (kind := kind_of(values)) is not None},
        "steps": [[int(scale), int(step)] for scale, step in contents.steps.items()],
        "carry": contents.carry,
        "skipped": contents.skipped,
        "indexed": bool(contents.made.any()),
    }


def rows_of(contents: Any, first: int) -> dict[str, np.ndarray]:
    """Columns with a row for each series from a number on."""
    times = contents.times
    columns: dict[str, np.ndarray] = {"start": times.starts[first:]}
    if times.seconds is not None:
        columns["seconds"] = times.seconds[first:]
    # All of a column decides of which kind it is.
    return columns | {name: stored(values, what)[first:] for name, values, what in _of(contents)}


def catalogued(arrays: Store) -> dict[str, Any]:
    """What `described` and `rows_of` had written: arguments of Contents."""
    state, table = arrays.state, arrays.table(SERIES)
    times = Times(
        TimeGrid(**{**state["grid"], "name": _named(state["grid"]["name"])}),
        table["start"].astype(np.int64),
        table["seconds"] if state["seconds"] else None,
        state["rate"],
        _named(state["seconds_name"]),
    )
    kinds = state.get("kinds", {})
    table = {name: restored(column, kinds.get(name)) for name, column in table.items()}
    names = [_named(name) for name in state["levels"]]
    levels = [table[f"{_NAME} {level}"] for level in range(len(names))] if state["named"] else []
    labels: pd.Index = pd.RangeIndex(len(table["start"]))
    if levels:
        labels = pd.MultiIndex.from_arrays(levels, names=names) if levels[1:] else pd.Index(levels[0], name=names[0])
    metadata = None
    if state["metadata"] is not None:
        columns = {i: table[_OF_METADATA + str(i)] for i in range(len(state["metadata"]["values"]))}
        metadata = pd.DataFrame(columns, index=labels).set_axis(_index(state["metadata"]), axis=1)
    return {
        "times": times,
        "labels": labels,
        "channels": _index(state["channels"]),
        "named": state["named"],
        "metadata": metadata,
        "steps": dict(state["steps"]),
        "carry": state.get("carry", True),
        "skipped": state["skipped"],
        "indexed": state["indexed"],
    }


def check_storable(
    labels: pd.Index | None,
    metadata: pd.DataFrame | None,
    *,
    zone: Any = None,
    known: tuple[Any, Any] = (None, None),
) -> None:
    """Refuse names of series, metadata, and a zone, that a folder would not give back as they are.

    Parameters
    ----------
    labels : Index, optional
        Names of all series, if they have some.
    metadata : DataFrame, optional
        A row for each.
    zone : tzinfo, optional
        Of the times of rows.
    known : tuple of Index and DataFrame
        Those that the folder has already, whose columns these are to go on.
    """
    if zone is not None:
        zone_name(zone, "X")
    before = {name: stored(values, what).dtype for name, values, what in _columns(*known)}
    for name, values, what in _columns(labels, metadata):
        now = stored(values, what).dtype
        was = before.get(name, now)
        if now != was and not now.kind == was.kind == "U":
            raise TypeError(f"{what}: it is {was} so far, and with the new series {now}. Give values of the same kind.")


def _of(contents: Any) -> Iterator[tuple[str, Any, str]]:
    return _columns(contents.labels if contents.named else None, contents.metadata)


def _columns(labels: pd.Index | None, metadata: pd.DataFrame | None) -> Iterator[tuple[str, Any, str]]:
    """Names of the columns of a table, their values, and how errors call them."""
    for level in range(0 if labels is None else labels.nlevels):
        yield f"{_NAME} {level}", labels.get_level_values(level), "series"  # type: ignore[union-attr]
    if metadata is not None:
        for number, column in enumerate(metadata.columns):
            yield f"{_OF_METADATA}{number}", metadata.iloc[:, number], f"metadata column {column!r}"


def _plain(name: Any) -> Any:
    if name is None or isinstance(name, str | int | float | bool):
        return name
    return list(name) if isinstance(name, tuple) else str(name)


def _named(name: Any) -> Any:
    return tuple(name) if isinstance(name, list) else name


def _plain_index(index: pd.Index) -> dict[str, Any]:
    if index.equals(pd.RangeIndex(len(index))):
        return {"counted": True, "values": list(range(len(index)))}
    values: Sequence[Any] = index.tolist()
    return {"counted": False, "values": [_plain(value) for value in values], "names": [_plain(n) for n in index.names]}


def _index(state: dict[str, Any]) -> pd.Index:
    if state["counted"]:
        return pd.RangeIndex(len(state["values"]))
    values = [_named(value) for value in state["values"]]
    names = [_named(name) for name in state["names"]]
    return pd.MultiIndex.from_tuples(values, names=names) if len(names) > 1 else pd.Index(values, name=names[0])
