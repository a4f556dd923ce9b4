"""Values as JSON and arrays: what an estimator may hold, and nothing that could run."""
# ruff: noqa: ARG001, ARG005 - all encoders share one signature, and so do all decoders

from collections.abc import Callable
from dataclasses import fields
from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd

import tsrec
from tsrec.estimators._covariates import CovariateEffect
from tsrec.estimators._units import SeriesUnits
from tsrec.frames import Form, Panel, TimeGrid

Arrays = dict[str, np.ndarray]
_RECORDS = {record.__name__: record for record in (CovariateEffect, Form, Panel, SeriesUnits, TimeGrid)}


def encode(value: Any, arrays: Arrays, at: str) -> Any:
    """JSON for a value; its arrays go into `arrays` under the path `at`.

    Raises
    ------
    TypeError
        If the value is neither numbers nor text nor made of them.
    """
    if value is None or type(value) in (bool, int, str):
        return value
    for kinds, encoder in _ENCODERS:
        if isinstance(value, kinds):
            return encoder(value, arrays, at)
    if type(value).__name__ in _RECORDS:
        state = {entry.name: getattr(value, entry.name) for entry in fields(value)}
        return {"record": type(value).__name__, "state": _encode_state(state, arrays, at)}
    if type(value).__module__ == tsrec._HOME.get(type(value).__name__):
        return {"estimator": type(value).__name__, "state": _encode_state(_state_of(value), arrays, at)}
    if hasattr(value, "utcoffset"):
        return {"zone": str(value)}
    raise TypeError(
        f"{at}: a {type(value).__name__} cannot be saved, only numbers, text, indexes of frames and estimators of "
        "tsrec. "
        "Replace it (a random_state by an int)."
    )


def decode(value: Any, arrays: Arrays) -> Any:
    """The value that `encode` turned into JSON.

    Raises
    ------
    ValueError
        If it names something that is not tsrec's.
    """
    if not isinstance(value, dict):
        return value
    kind = next(iter(value))
    decoder = _DECODERS.get(kind)
    if decoder is None:
        raise ValueError(f"path: the file holds a {kind!r}, which this tsrec does not know. Nothing was loaded.")
    return decoder(value, arrays)


def _encode_state(state: dict[str, Any], arrays: Arrays, at: str) -> dict[str, Any]:
    return {name: encode(part, arrays, f"{at}.{name}") for name, part in state.items()}


def _state_of(estimator: Any) -> dict[str, Any]:
    """Everything an estimator holds; a network is its weights, since the estimator can build it anew."""
    state = {name: part for name, part in vars(estimator).items() if not name.startswith("_")}
    if "module_" in state:
        weights = state["module_"].state_dict()
        state["module_"] = {name: tensor.detach().cpu().numpy() for name, tensor in weights.items()}
    return state


def _encode_float(value: float, arrays: Arrays, at: str) -> Any:
    return float(value) if np.isfinite(value) else {"float": repr(float(value))}


def _encode_array(value: np.ndarray, arrays: Arrays, at: str) -> Any:
    if value.dtype.kind in "OUT":
        return {"labels": encode(value.tolist(), arrays, at)}
    if value.dtype.kind not in "biuf":
        raise TypeError(f"{at}: an array of {value.dtype} cannot be saved. Use numbers or text.")
    arrays[at] = value
    return {"array": at}


def _encode_items(value: list | tuple, arrays: Arrays, at: str) -> Any:
    return {type(value).__name__: [encode(item, arrays, f"{at}.{i}") for i, item in enumerate(value)]}


def _encode_dict(value: dict, arrays: Arrays, at: str) -> Any:
    return {
        "dict": [
            [encode(k, arrays, f"{at}.k{i}"), encode(v, arrays, f"{at}.{i}")] for i, (k, v) in enumerate(value.items())
        ]
    }


def _encode_frame(value: pd.DataFrame, arrays: Arrays, at: str) -> Any:
    columns = [encode(value.iloc[:, i].to_numpy(), arrays, f"{at}.{i}") for i in range(value.shape[1])]
    return {"frame": columns, "axes": encode(list(value.axes), arrays, f"{at}.axes")}


def _decode_frame(value: dict, arrays: Arrays) -> pd.DataFrame:
    index, columns = decode(value["axes"], arrays)
    parts = {i: decode(column, arrays) for i, column in enumerate(value["frame"])}
    return pd.DataFrame(parts, index=index).set_axis(columns, axis=1)


def _encode_index(index: pd.Index, arrays: Arrays, at: str) -> Any:
    return {**_index_content(index, arrays, at), "names": encode(list(index.names), arrays, f"{at}.names")}


def _index_content(index: Any, arrays: Arrays, at: str) -> dict[str, Any]:
    if isinstance(index, pd.MultiIndex):
        codes = [np.asarray(code) for code in index.codes]
        return {"index": "multi", "parts": encode([list(index.levels), codes], arrays, at)}
    if isinstance(index, pd.RangeIndex):
        return {"index": "range", "parts": encode([index.start, index.stop, index.step], arrays, at)}
    if isinstance(index, pd.DatetimeIndex):
        grid = TimeGrid("fixed", 1, index.unit, index.tz)
        return {"index": "time", "parts": encode([grid, index.asi8, index.freqstr], arrays, at)}
    if isinstance(index, pd.TimedeltaIndex):
        return {
            "index": "time",
            "parts": encode([TimeGrid("delta", 1, index.unit), index.asi8, index.freqstr], arrays, at),
        }
    if isinstance(index, pd.PeriodIndex):
        grid = TimeGrid("period", 1, freq=index.freqstr)
        return {"index": "time", "parts": encode([grid, index.asi8, None], arrays, at)}
    if isinstance(index.dtype, np.dtype) and index.dtype.kind in "biuf":
        return {"index": "numbers", "parts": encode(index.to_numpy(), arrays, at)}
    return {"index": "object" if index.dtype == object else "text", "parts": encode(index.tolist(), arrays, at)}


def _decode_index(value: dict, arrays: Arrays) -> pd.Index:
    names, parts, kind = decode(value["names"], arrays), decode(value["parts"], arrays), value["index"]
    if kind == "multi":
        return pd.MultiIndex(levels=parts[0], codes=parts[1], names=names)
    if kind == "range":
        return pd.RangeIndex(*parts, name=names[0])
    if kind == "time":
        grid, ordinals, freq = parts
        index = grid.decode(ordinals).rename(names[0])
        if freq is not None:
            index.freq = freq
        return index
    if kind == "numbers":
        return pd.Index(parts, name=names[0])
    dtype = object if kind == "object" else None
    return pd.Index(parts, dtype=dtype, name=names[0], tupleize_cols=False)


def _decode_record(value: dict, arrays: Arrays) -> Any:
    record = _RECORDS.get(value["record"])
    if record is None:
        raise ValueError(
            f"path: the file holds a {value['record']!r}, which this tsrec does not know. Nothing was loaded."
        )
    return record(**{name: decode(part, arrays) for name, part in value["state"].items()})


def _decode_estimator(value: dict, arrays: Arrays) -> Any:
    name = value["estimator"]
    home = tsrec._HOME.get(name)
    found = getattr(import_module(home), name) if home else None
    if not isinstance(found, type):
        raise ValueError(
            f"path: the file names the class {name!r}, which is no estimator of this tsrec. Nothing was loaded."
        )
    state = {name: decode(part, arrays) for name, part in value["state"].items()}
    estimator = found()
    weights = state.pop("module_", None)
    vars(estimator).update(state)
    if weights is not None:
        estimator._restore_module(weights)
    return estimator


_ENCODERS: tuple[tuple[type | tuple[type, ...], Callable], ...] = (
    (float, _encode_float),
    (np.generic, lambda value, arrays, at: encode(value.item(), arrays, at)),
    (np.ndarray, _encode_array),
    ((list, tuple), _encode_items),
    (dict, _encode_dict),
    (pd.Index, _encode_index),
    (pd.DataFrame, _encode_frame),
    (pd.offsets.BaseOffset, lambda value, arrays, at: {"offset": value.freqstr}),
)
_DECODERS: dict[str, Callable] = {
    "float": lambda value, arrays: float(value["float"]),
    "array": lambda value, arrays: arrays[value["array"]],
    "labels": lambda value, arrays: np.array(decode(value["labels"], arrays), dtype=object),
    "list": lambda value, arrays: [decode(item, arrays) for item in value["list"]],
    "tuple": lambda value, arrays: tuple(decode(item, arrays) for item in value["tuple"]),
    "dict": lambda value, arrays: {decode(k, arrays): decode(v, arrays) for k, v in value["dict"]},
    "index": _decode_index,
    "frame": _decode_frame,
    "offset": lambda value, arrays: pd.tseries.frequencies.to_offset(value["offset"]),
    "zone": lambda value, arrays: pd.Timestamp(0, tz=value["zone"]).tz,
    "record": _decode_record,
    "estimator": _decode_estimator,
}
