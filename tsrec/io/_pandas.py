"""Indexes, frames, time zones and frequencies as JSON: with their dtypes, checked to come back as they were."""
# ruff: noqa: ARG001 - all encoders share one signature, and so do all decoders

from collections.abc import Callable
from datetime import timedelta, timezone, tzinfo
from importlib import import_module
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from tsrec.io._plain import encode_array
from tsrec.io._walk import Reader, Writer, refusal

_MICROSECOND = timedelta(microseconds=1)
_MASKED = {
    *(f"{sign}nt{size}" for sign in ("I", "UI") for size in (8, 16, 32, 64)),
    "Float32",
    "Float64",
    "boolean",
}


def encode_stamp(value: Any, writer: Writer, at: str) -> dict:
    """A time stamp, duration or period, as an index of one."""
    return {"scalar": encode_index(pd.Index([value]), writer, at)}


def encode_missing(value: Any, writer: Writer, at: str) -> dict:
    """pandas' two missing values."""
    return {"missing": "NA" if value is pd.NA else "NaT"}


def decode_missing(node: dict, reader: Reader) -> Any:
    """pandas' two missing values."""
    return {"NA": pd.NA, "NaT": pd.NaT}[node["missing"]]


def encode_offset(value: Any, writer: Writer, at: str) -> dict:
    """A frequency by its name."""
    name = value.freqstr
    try:
        same = pd.tseries.frequencies.to_offset(name) == value
    except ValueError:
        same = False
    if not same:
        raise refusal(value, at, f"frequency {name!r}", "Use a frequency that its name says all about, such as '2D'.")
    return {"offset": name}


def decode_offset(node: dict, reader: Reader) -> Any:
    """A frequency by its name."""
    return pd.tseries.frequencies.to_offset(node["offset"])


def encode_zone(value: tzinfo, writer: Writer, at: str) -> dict:
    """A time zone by its key, or by its distance from UTC where that is always the same."""
    key = getattr(value, "key", None) or getattr(value, "zone", None)
    offset = value.utcoffset(None)
    if isinstance(key, str):
        node: dict[str, Any] = {"zone" if isinstance(value, ZoneInfo) else "pytz": key}
    elif offset is not None:
        node = {"zone": offset // _MICROSECOND}
    else:
        raise _no_zone(value, at)
    try:
        back = (decode_pytz if "pytz" in node else decode_zone)(node, Reader({}, {}))
    except (ValueError, LookupError):
        raise _no_zone(value, at) from None
    if key is None:
        same = all(value.utcoffset(pd.Timestamp(2024, month, 1)) == offset for month in (1, 7))
    else:
        same = isinstance(value, type(back)) and _local_times(back).equals(_local_times(value))
    if not same:
        raise _no_zone(value, at)
    return node


def _local_times(zone: tzinfo) -> pd.DatetimeIndex:
    """What its clocks show once a week: a key alone does not make a zone."""
    return pd.date_range("1970", "2038", freq="7D", tz="UTC").tz_convert(zone).tz_localize(None)


def _no_zone(value: tzinfo, at: str) -> TypeError:
    return refusal(value, at, f"time zone {value!r}", "Use one of zoneinfo, as tz_convert('Europe/Berlin') does.")


def decode_zone(node: dict, reader: Reader) -> tzinfo:
    """A time zone by its key or its distance from UTC."""
    zone = node["zone"]
    return ZoneInfo(zone) if isinstance(zone, str) else timezone(timedelta(microseconds=zone))


def decode_pytz(node: dict, reader: Reader) -> tzinfo:
    """A time zone of pytz, which pandas 2 has; one of zoneinfo where there is no pytz."""
    known = ZoneInfo(node["pytz"])
    try:
        return import_module("pytz").timezone(known.key)
    except ImportError:
        return known


def encode_index(index: pd.Index, writer: Writer, at: str) -> dict:
    """An index of any kind but intervals.

    Raises
    ------
    TypeError
        If its labels or its dtype would not come back.
    """
    kind, parts = _index_parts(index, at)
    node = {
        "index": kind,
        "parts": writer.encode(parts, at),
        "names": writer.encode_all(list(index.names), f"{at}.names"),
    }
    if kind == "extension":
        back = pd.Index(pd.array(parts[1], dtype=_decode_dtype(parts[0])))
        if back.dtype != index.dtype or not back.equals(index):
            raise _no_dtype(index, at)
    return node


def _index_parts(index: Any, at: str) -> tuple[str, list]:
    if isinstance(index, pd.MultiIndex):
        return "multi", [list(index.levels), [np.asarray(code) for code in index.codes]]
    if isinstance(index, pd.RangeIndex):
        return "range", [index.start, index.stop, index.step]
    if isinstance(index, pd.DatetimeIndex):
        return "datetime", [index.asi8.view(f"M8[{index.unit}]"), index.tz, index.freq]
    if isinstance(index, pd.TimedeltaIndex):
        return "timedelta", [index.asi8.view(f"m8[{index.unit}]"), index.freq]
    if isinstance(index, pd.PeriodIndex):
        return "period", [index.asi8, index.freq]
    if isinstance(index, pd.CategoricalIndex):
        return "category", [index.categories, np.asarray(index.codes), index.ordered]
    if index.dtype == object:
        return "object", index.tolist()
    if isinstance(index.dtype, np.dtype):
        return "numbers", [index.to_numpy()]
    return "extension", [_encode_dtype(index, at), index.tolist()]


def _no_dtype(index: pd.Index, at: str) -> TypeError:
    if isinstance(index, pd.IntervalIndex):
        return refusal(index, at)
    return refusal(
        index, at, f"{type(index).__name__} of dtype {index.dtype}", "Convert its labels to text or numbers."
    )


def _encode_dtype(index: pd.Index, at: str) -> list[str]:
    dtype: Any = index.dtype
    if isinstance(dtype, pd.StringDtype):
        return ["string", dtype.storage, "NA" if dtype.na_value is pd.NA else "nan"]
    if isinstance(dtype, pd.ArrowDtype):
        parts = ["arrow", str(dtype.pyarrow_dtype)]
    elif dtype.name in _MASKED:
        parts = ["masked", dtype.name]
    else:
        raise _no_dtype(index, at)
    try:
        _decode_dtype(parts)
    except ValueError:
        raise _no_dtype(index, at) from None
    return parts


def _decode_dtype(parts: list[str]) -> Any:
    if parts[0] == "masked" and parts[1] in _MASKED:
        return pd.api.types.pandas_dtype(parts[1])
    if parts[0] == "arrow":
        return pd.ArrowDtype(import_module("pyarrow").type_for_alias(parts[1]))
    if parts[0] != "string":
        raise ValueError(f"it holds the dtype {parts!r}")
    options = {} if parts[2] == "NA" else {"na_value": np.nan}
    try:
        return pd.StringDtype(parts[1], **options)
    except ImportError:  # without pyarrow, the same text is held by Python
        return pd.StringDtype("python", **options)


def decode_index(node: dict, reader: Reader) -> pd.Index:
    """An index, its dtype and names as they were."""
    parts, names, kind = reader.decode(node["parts"]), reader.decode_all(node["names"]), node["index"]
    if kind == "multi":
        return pd.MultiIndex(levels=parts[0], codes=parts[1], names=names)
    (name,) = names
    if kind == "object":
        return pd.Index(parts, dtype=object, name=name, tupleize_cols=False)
    return _INDEXES[kind](*parts).rename(name)


def _datetimes(stamps: np.ndarray, zone: tzinfo | None, freq: Any) -> pd.Index:
    index = pd.DatetimeIndex(stamps)
    if zone is not None:
        index = index.tz_localize("UTC").tz_convert(zone)
    index.freq = freq
    return index


def _timedeltas(durations: np.ndarray, freq: Any) -> pd.Index:
    index = pd.TimedeltaIndex(durations)
    index.freq = freq
    return index


def _categories(categories: pd.Index, codes: np.ndarray, ordered: bool) -> pd.Index:
    return pd.CategoricalIndex(pd.Categorical.from_codes(codes, categories=categories, ordered=ordered))


_INDEXES: dict[str, Callable[..., pd.Index]] = {
    "range": lambda start, stop, step: pd.RangeIndex(start, stop, step),
    "datetime": _datetimes,
    "timedelta": _timedeltas,
    "period": lambda ordinals, freq: pd.PeriodIndex.from_ordinals(ordinals, freq=freq),
    "category": _categories,
    "numbers": lambda numbers: pd.Index(numbers),
    "extension": lambda dtype, labels: pd.Index(pd.array(labels, dtype=_decode_dtype(dtype))),
}


def encode_frame(frame: pd.DataFrame, writer: Writer, at: str) -> dict:
    """A frame, column by column."""
    columns = []
    for i in range(frame.shape[1]):
        column = frame.iloc[:, i]
        if isinstance(column.dtype, np.dtype):
            columns.append(encode_array(column.to_numpy(), writer, f"{at}.{frame.columns[i]}"))
        else:
            columns.append(encode_index(pd.Index(column.array), writer, f"{at}.{frame.columns[i]}"))
    return {"frame": columns, "axes": writer.encode(list(frame.axes), f"{at}.axes")}


def decode_frame(node: dict, reader: Reader) -> pd.DataFrame:
    """A frame; its columns need not have different names."""
    index, columns = reader.decode(node["axes"])
    parts = {}
    for i, found in enumerate(reader.decode_all(node["frame"])):
        values = found.array if isinstance(found, pd.Index) else found
        parts[i] = pd.Series(values, index=index, dtype=found.dtype)
    return pd.DataFrame(parts, index=index).set_axis(columns, axis=1)
