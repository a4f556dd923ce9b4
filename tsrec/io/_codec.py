"""Values as JSON and arrays: what an estimator may hold, and nothing that could run."""

from collections.abc import Callable
from datetime import tzinfo
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

import numpy as np
import pandas as pd
from sklearn.frozen import FrozenEstimator

from tsrec.io import _estimators, _pandas, _plain
from tsrec.io._walk import Arrays, Decoder, Encoder, Reader, Writer


def encode(value: Any, at: str) -> tuple[Any, Arrays]:
    """JSON for a value, and the arrays that it names; `at` names the value in messages.

    Raises
    ------
    TypeError
        If the value is neither numbers nor text nor made of them.
    """
    writer = Writer(_ENCODERS)
    try:
        return writer.encode(value, at), writer.arrays
    except RecursionError:
        raise TypeError(f"{at}: it holds itself, or is nested too deeply to be saved. Flatten it.") from None


def decode(node: Any, arrays: Arrays) -> Any:
    """The value that `encode` turned into JSON and arrays.

    Raises
    ------
    ValueError
        If it names something that is not tsrec's. Parts of the wrong kind may raise other errors.
    """
    return Reader(_DECODERS, arrays).decode(node)


def _just(*kinds: type) -> Callable[[Any], bool]:
    """Test for a class and none derived from it, which would come back as less than it was."""
    return lambda value: type(value) in kinds


def _any(*kinds: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, kinds)


_ENCODERS: tuple[tuple[Callable[[Any], bool], Encoder], ...] = (
    (_any(float), _plain.encode_float),
    (_any(np.generic), _plain.encode_scalar),
    (_just(np.ndarray, np.memmap), _plain.encode_array),
    (_just(list, tuple), _plain.encode_items),
    (_just(dict), _plain.encode_dict),
    (lambda value: value is pd.NA or value is pd.NaT, _pandas.encode_missing),
    (_any(pd.Timestamp, pd.Timedelta, pd.Period), _pandas.encode_stamp),
    (_any(pd.Index), _pandas.encode_index),
    (_just(pd.DataFrame), _pandas.encode_frame),
    (_any(pd.offsets.BaseOffset), _pandas.encode_offset),
    (_any(tzinfo), _pandas.encode_zone),
    (_any(FunctionType, BuiltinFunctionType, MethodType, partial), _estimators.encode_function),
    (_estimators.is_record, _estimators.encode_record),
    (_estimators.is_estimator, _estimators.encode_estimator),
    (_just(FrozenEstimator), _estimators.encode_frozen),
)
_DECODERS: dict[str, tuple[tuple[str, ...], Decoder]] = {
    "float": (("float",), _plain.decode_float),
    "scalar": (("scalar",), _plain.decode_scalar),
    "array": (("array", "dtype"), _plain.decode_array),
    "labels": (("labels", "shape", "dtype"), _plain.decode_labels),
    "list": (("list",), lambda node, reader: reader.decode_all(node["list"])),
    "tuple": (("tuple",), lambda node, reader: tuple(reader.decode_all(node["tuple"]))),
    "dict": (("dict",), _plain.decode_dict),
    "missing": (("missing",), _pandas.decode_missing),
    "index": (("index", "parts", "names"), _pandas.decode_index),
    "frame": (("frame", "axes"), _pandas.decode_frame),
    "offset": (("offset",), _pandas.decode_offset),
    "zone": (("zone",), _pandas.decode_zone),
    "pytz": (("pytz",), _pandas.decode_pytz),
    "record": (("record", "state"), _estimators.decode_record),
    "estimator": (("estimator", "state", "requests"), _estimators.decode_estimator),
    "frozen": (("frozen",), lambda node, reader: FrozenEstimator(reader.decode(node["frozen"]))),
}
