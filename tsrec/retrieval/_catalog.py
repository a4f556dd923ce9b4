"""What a store has to say of the series in it, beside their numbers: names, times, metadata; and back again."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pandas as pd
from joblib import hash as hash_of

from tsrec.frames import TimeGrid
from tsrec.retrieval._read import Times
from tsrec.retrieval._store import Store

SERIES = "series"
_NAME, _OF_METADATA = "name", "metadata "


def described(contents: Any) -> dict[str, Any]:
    """All that is not kept row by row, as plain JSON."""
    times, labels = contents.times, contents.labels
    zone = None if times.grid.tz is None else str(times.grid.tz)
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
        "steps": [[int(scale), int(step)] for scale, step in contents.steps.items()],
        "skipped": contents.skipped,
        "indexed": bool(contents.made.any()),
    }


def rows_of(contents: Any, first: int) -> dict[str, np.ndarray]:
    """Columns with a row for each series from a number on."""
    times, labels = contents.times, contents.labels[first:]
    columns: dict[str, np.ndarray] = {"start": times.starts[first:]}
    if times.seconds is not None:
        columns["seconds"] = times.seconds[first:]
    if contents.named:
        for level in range(labels.nlevels):
            columns[f"{_NAME} {level}"] = _column(labels.get_level_values(level), "series")
    if contents.metadata is not None:
        for number, column in enumerate(contents.metadata.columns):
            columns[_OF_METADATA + str(number)] = _column(
                contents.metadata.iloc[first:, number], f"metadata column {column!r}"
            )
    return columns


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
        "skipped": state["skipped"],
        "indexed": state["indexed"],
    }


def check_storable(labels: pd.Index | None, metadata: pd.DataFrame | None) -> None:
    """Refuse names of series, and metadata, that a folder would not give back as they are."""
    if labels is not None:
        for level in range(labels.nlevels):
            _column(labels.get_level_values(level), "series")
    if metadata is not None:
        for column in metadata.columns:
            _column(metadata[column], f"metadata column {column!r}")


def fingerprint(encoder: Any) -> str:
    """What tells one encoder from another: its class and weights, or all it holds."""
    if isinstance(encoder, str):
        return encoder
    module = getattr(encoder, "module_", None)
    if module is None:
        # By its attributes: a class defined in a notebook has no name that could be hashed.
        return f"{type(encoder).__name__} {hash_of(vars(encoder))}"
    weights = {name: weight.cpu().numpy() for name, weight in module.state_dict().items()}
    units = [getattr(encoder, name, None) for name in ("center_", "spread_")]
    return f"{type(encoder).__name__} {hash_of([weights, units])}"


def _column(values: Any, what: str) -> np.ndarray:
    """A column as numbers, times, truth values or text."""
    if isinstance(getattr(values, "dtype", None), pd.CategoricalDtype):
        values = pd.Index(np.asarray(values))
    if pd.api.types.infer_dtype(values, skipna=True) in ("string", "empty"):
        if pd.isna(values).any():
            raise TypeError(f"{what}: some text is missing, which no store keeps. Fill it, with '' for example.")
        return np.asarray(values, dtype=str)
    kind, found = pd.api.types.infer_dtype(values, skipna=False), np.asarray(values)
    if found.dtype.kind not in "biufmM":
        raise TypeError(f"{what}: found {kind}, which no store takes. Give numbers, text, times or truth values.")
    return found


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
