"""Estimators and the records they hold as JSON: parameters and fitted attributes, never anything that runs."""

from collections.abc import Iterator
from copy import copy
from dataclasses import fields
from importlib import import_module
from typing import Any

import numpy as np
from sklearn.frozen import FrozenEstimator

import tsrec
from tsrec.estimators._covariates import CovariateEffect, CovariateScale
from tsrec.estimators._series_rows import StaticCoding
from tsrec.estimators._units import SeriesUnits
from tsrec.frames import Form, Panel, TimeGrid
from tsrec.io._walk import Reader, Writer
from tsrec.layers.structure import structure

_KINDS = (CovariateEffect, CovariateScale, Form, Panel, SeriesUnits, StaticCoding, TimeGrid)
_RECORDS = {record.__name__: record for record in _KINDS}

_HELD = "held_"


def is_record(value: Any) -> bool:
    """Whether it is one of the records that estimators hold."""
    return type(value) is _RECORDS.get(type(value).__name__)


def encode_record(value: Any, writer: Writer, at: str) -> dict:
    """A record by its fields."""
    state = {entry.name: getattr(value, entry.name) for entry in fields(value)}
    return {"record": type(value).__name__, "state": _encode_state(state, writer, at)}


def decode_record(node: dict, reader: Reader) -> Any:
    """A record; all of its fields must be there."""
    record = _RECORDS.get(node["record"])
    if record is None:
        raise ValueError(f"it holds a {node['record']!r}, which this tsrec does not know")
    state = _decode_state(node, reader)
    if set(state) != {entry.name for entry in fields(record)}:
        raise ValueError(f"a {record.__name__} has the fields {sorted(state)}")
    return record(**state)


def is_estimator(value: Any) -> bool:
    """Whether it is an estimator of tsrec."""
    name = type(value).__name__
    return type(value).__module__ == tsrec._HOME.get(name) and _class_of(name) is type(value)


def _class_of(name: Any) -> Any:
    home = tsrec._HOME.get(name)
    found = getattr(import_module(home), name) if home else None
    return found if isinstance(found, type) and hasattr(found, "get_params") else None


def _may_hold(parameters: Any, kind: type, name: str) -> bool:
    """Whether an attribute is a parameter or was learned; nothing that the class defines may be replaced."""
    learned = name.endswith("_") and not name.startswith("_") and not hasattr(kind, name)
    return name in parameters or learned


def encode_function(value: Any, writer: Writer, at: str) -> Any:  # noqa: ARG001 - all encoders share one signature
    """No function can be saved: loading would have to run code."""
    name = at.rpartition(".")[2]
    vectors = (
        " Or turn the texts into vectors before fit, and give those as static=; no encoder is needed then."
        if name == "text_encoder"
        else ""
    )
    raise TypeError(
        f"{at}: a function cannot be saved, since a file of tsrec holds no code. Set it aside, "
        f"{at.rpartition('.')[0]}.set_params({name}=None), and set it again after load.{vectors} Or use joblib.dump, "
        "with a function that is defined in a module (no lambda, none inside another function)."
    )


def encode_estimator(value: Any, writer: Writer, at: str) -> dict:
    """An estimator; a network is its weights, since the estimator can build it anew."""
    state = {name: part for name, part in vars(value).items() if not name.startswith("_")}
    parameters = value.get_params(deep=False)
    for name in state:
        if not _may_hold(parameters, type(value), name):
            raise TypeError(
                f"{at}.{name}: neither a parameter nor learned by fit, so it cannot be saved. Delete the attribute "
                "(fitted ones end in '_')."
            )
    if "module_" in state:
        weights = state["module_"].state_dict()
        state["module_"] = {name: _to_numpy(tensor) for name, tensor in weights.items()}
        _check_rebuilt(value, state["module_"], at)
    held = value._held() if hasattr(value, "_held") else None
    if held is not None:
        # What is no attribute of its own: the estimator gives it as plain values, and takes it up again.
        state[_HELD] = held
    return {
        "estimator": type(value).__name__,
        "state": _encode_state(state, writer, at),
        "requests": writer.encode(dict(_changed_requests(value)), f"{at}.requests"),
    }


def encode_frozen(value: FrozenEstimator, writer: Writer, at: str) -> dict:
    """What scikit-learn's clone leaves as it is: only the estimator inside counts."""
    return {"frozen": writer.encode(value.estimator, f"{at}.estimator")}


def _check_rebuilt(estimator: Any, weights: dict[str, np.ndarray], at: str) -> None:
    """Refuse what could not be loaded: a network that the estimator's present parameters do not make."""
    twin, cause = copy(estimator), None
    try:
        twin._restore_module(weights)
        if structure(twin.module_) == structure(estimator.module_):
            return
    except (RuntimeError, ValueError) as error:
        cause = error
    raise ValueError(
        f"{at}: its parameters were changed after fit, so that its network cannot be built anew. Set them back, or "
        "fit again."
    ) from cause


def _to_numpy(tensor: Any) -> np.ndarray:
    """Weights of half precision, of which numpy knows not all kinds, become float32: no digit is lost."""
    tensor = tensor.detach().cpu()
    short = tensor.is_floating_point() and tensor.element_size() < 4
    return (tensor.float() if short else tensor).numpy()


def decode_estimator(node: dict, reader: Reader) -> Any:
    """An estimator with what it held; the file decides neither its class's attributes nor any code."""
    found = _class_of(node["estimator"])
    if found is None:
        raise ValueError(f"it names the class {node['estimator']!r}, which is no estimator of this tsrec")
    estimator = found()
    parameters = estimator.get_params(deep=False)
    for name in node["state"]:
        if not _may_hold(parameters, found, name):
            raise ValueError(f"it names the attribute {name!r}, which no {found.__name__} holds")
    state = _decode_state(node, reader)
    weights, held = state.pop("module_", None), state.pop(_HELD, None)
    vars(estimator).update(state)
    if weights is not None:
        estimator._restore_module(weights)
    if held is not None:
        estimator._hold(held)
    _request(estimator, reader.decode(node["requests"]))
    return estimator


def _methods_with_requests(kind: type) -> list[str]:
    return [name[4:-8] for name in dir(kind) if name.startswith("set_") and name.endswith("_request")]


def _changed_requests(estimator: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Metadata requests, per method, that are not those of a new estimator of the class."""
    now, before = estimator.get_metadata_routing(), type(estimator)().get_metadata_routing()
    for method in _methods_with_requests(type(estimator)):
        usual = getattr(before, method).requests
        changed = {
            name: alias
            for name, alias in getattr(now, method).requests.items()
            if name not in usual or usual[name] != alias
        }
        if changed:
            yield method, changed


def _request(estimator: Any, requests: dict[str, dict[str, Any]]) -> None:
    from sklearn import config_context

    known = _methods_with_requests(type(estimator))
    for method, changed in requests.items():
        if method not in known:
            raise ValueError(f"it holds requests for the method {method!r}")
        with config_context(enable_metadata_routing=True):
            getattr(estimator, f"set_{method}_request")(**changed)


def _encode_state(state: dict[str, Any], writer: Writer, at: str) -> dict[str, Any]:
    return {name: writer.encode(part, f"{at}.{name}") for name, part in state.items()}


def _decode_state(node: dict, reader: Reader) -> dict[str, Any]:
    return {name: reader.decode(part) for name, part in node["state"].items()}
