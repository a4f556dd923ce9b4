"""Scalars, containers and arrays as JSON."""
# ruff: noqa: ARG001 - all encoders share one signature, and so do all decoders

import re
from math import isfinite, prod
from typing import Any

import numpy as np

from tsrec.io._walk import Reader, Writer, refusal

_SPECIAL = ("nan", "inf", "-inf")
# How numbers that a file cannot hold are written: as others of the same bytes.
_VIEWS = {"M": "int64", "m": "int64", "c": "float"}


def encode_float(value: float, writer: Writer, at: str) -> Any:
    """JSON has no infinities and no NaN."""
    return float(value) if isfinite(value) else {"float": repr(float(value))}


def decode_float(node: dict, reader: Reader) -> float:
    """The float that JSON cannot hold."""
    if node["float"] not in _SPECIAL:
        raise ValueError(f"it holds the float {node['float']!r}")
    return float(node["float"])


def encode_scalar(value: np.generic, writer: Writer, at: str) -> Any:
    """numpy's numbers become Python's; its times, which have a unit, stay."""
    if value.dtype.kind in "mM":
        return {"scalar": encode_array(np.asarray(value), writer, at)}
    if value.dtype.kind not in "biufU" or (value.dtype.kind == "f" and value.dtype.itemsize > 8):
        raise refusal(value, at)
    return writer.encode(value.item(), at)


def decode_scalar(node: dict, reader: Reader) -> Any:
    """The first and only element."""
    found = reader.decode(node["scalar"])
    return found[()] if found.ndim == 0 else found[0]


def encode_items(value: list | tuple, writer: Writer, at: str) -> dict:
    """A list or a tuple."""
    return {type(value).__name__: writer.encode_all(value, at)}


def encode_dict(value: dict, writer: Writer, at: str) -> dict:
    """Pairs, since keys need not be text."""
    pairs = [
        [writer.encode(key, f"{at}.key {i}"), writer.encode(part, f"{at}.{key}")]
        for i, (key, part) in enumerate(value.items())
    ]
    return {"dict": pairs}


def decode_dict(node: dict, reader: Reader) -> dict:
    """Pairs as a dict."""
    return {reader.decode(key): reader.decode(part) for key, part in node["dict"]}


def encode_array(value: np.ndarray, writer: Writer, at: str) -> dict:
    """Numbers and times go aside, text and mixtures into JSON."""
    kind = value.dtype.kind
    if kind in "OUT":
        return _encode_labels(value, writer, at)
    size = 16 if kind == "c" else 8
    if kind not in "biufcmM" or value.dtype.itemsize > size:
        raise TypeError(f"{at}: an array of {value.dtype} cannot be saved. Use numbers or text.")
    dtype = value.dtype.newbyteorder("=")
    whole = np.asarray(value, dtype=dtype, order="C")
    view = _VIEWS.get(kind, "")
    if view:
        plain = np.dtype(f"f{dtype.itemsize // 2}") if kind == "c" else np.dtype(view)
        whole = whole.reshape(*whole.shape, 1).view(plain)
    return {"array": writer.store(whole), "dtype": dtype.name if view else None}


def decode_array(node: dict, reader: Reader) -> np.ndarray:
    """Numbers and times."""
    array, name = reader.fetch(node["array"]), node["dtype"]
    if name is None:
        return array
    if not re.fullmatch(r"complex(64|128)|(datetime|timedelta)64(\[\w+\])?", name):
        raise ValueError(f"it holds an array of {name!r}")
    return array.view(np.dtype(name)).reshape(array.shape[:-1])


def _encode_labels(value: np.ndarray, writer: Writer, at: str) -> dict:
    kind = value.dtype.kind
    if kind == "T" and value.dtype != np.dtypes.StringDType():
        raise TypeError(f"{at}: an array of {value.dtype} cannot be saved. Use one without missing text.")
    dtype = f"U{value.dtype.itemsize // 4}" if kind == "U" else kind
    return {"labels": writer.encode_all(list(value.flat), at), "shape": list(value.shape), "dtype": dtype}


def decode_labels(node: dict, reader: Reader) -> np.ndarray:
    """Text, or a mixture: an array of objects."""
    items, shape, name = reader.decode_all(node["labels"]), tuple(node["shape"]), node["dtype"]
    if not re.fullmatch(r"O|T|U\d+", name) or prod(shape) != len(items):
        raise ValueError(f"it holds {len(items)} labels of {name!r} in the shape {shape}")
    dtype: Any = np.dtypes.StringDType() if name == "T" else np.dtype(name)
    array = np.empty(len(items), dtype=dtype)
    for i, item in enumerate(items):
        if name != "O" and not isinstance(item, str):
            raise ValueError(f"it holds {item!r} in an array of text")
        array[i] = item
    return array.reshape(shape)
