"""Real series that ship with the package, real series to fetch, and generators of synthetic ones."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOME = {
    "HAYSTACK_TASKS": "tsrec.datasets._haystack_tasks",
    "Haystack": "tsrec.datasets._haystack",
    "HaystackItem": "tsrec.datasets._haystack_item",
    "answer_question": "tsrec.datasets._haystack_answers",
    "audit_haystack": "tsrec.datasets._haystack_audit",
    "fetch_ett": "tsrec.datasets._fetch",
    "fetch_m3": "tsrec.datasets._fetch",
    "fetch_m4": "tsrec.datasets._fetch",
    "load_co2": "tsrec.datasets._load",
    "load_elnino": "tsrec.datasets._load",
    "load_illness": "tsrec.datasets._load",
    "load_machine_temperature": "tsrec.datasets._load",
    "load_macrodata": "tsrec.datasets._load",
    "load_nile": "tsrec.datasets._load",
    "load_nyc_taxi": "tsrec.datasets._load",
    "load_sunspots": "tsrec.datasets._load",
    "load_us_births": "tsrec.datasets._load",
    "load_vehicle_trips": "tsrec.datasets._load",
    "make_associative_recall": "tsrec.datasets._recall",
    "make_dms": "tsrec.datasets._memory_tasks",
    "make_haystack": "tsrec.datasets._haystack",
    "make_listops": "tsrec.datasets._listops",
    "make_mqar": "tsrec.datasets._recall",
    "make_parity": "tsrec.datasets._memory_tasks",
    "make_passkey": "tsrec.datasets._memory_tasks",
    "make_recordings": "tsrec.datasets._recorder",
    "make_seasonal": "tsrec.datasets._make",
    "make_selectiv": "tsrec.datasets._selectiv",
    "score_answers": "tsrec.datasets._haystack_answers",
    "selectiv_accuracy": "tsrec.datasets._selectiv",
}

__all__ = [
    "HAYSTACK_TASKS",
    "Haystack",
    "HaystackItem",
    "answer_question",
    "audit_haystack",
    "fetch_ett",
    "fetch_m3",
    "fetch_m4",
    "load_co2",
    "load_elnino",
    "load_illness",
    "load_machine_temperature",
    "load_macrodata",
    "load_nile",
    "load_nyc_taxi",
    "load_sunspots",
    "load_us_births",
    "load_vehicle_trips",
    "make_associative_recall",
    "make_dms",
    "make_haystack",
    "make_listops",
    "make_mqar",
    "make_parity",
    "make_passkey",
    "make_recordings",
    "make_seasonal",
    "make_selectiv",
    "score_answers",
    "selectiv_accuracy",
]

if TYPE_CHECKING:
    from tsrec.datasets._fetch import fetch_ett, fetch_m3, fetch_m4
    from tsrec.datasets._haystack import Haystack, make_haystack
    from tsrec.datasets._haystack_answers import answer_question, score_answers
    from tsrec.datasets._haystack_audit import audit_haystack
    from tsrec.datasets._haystack_item import HaystackItem
    from tsrec.datasets._haystack_tasks import HAYSTACK_TASKS
    from tsrec.datasets._listops import make_listops
    from tsrec.datasets._load import (
        load_co2,
        load_elnino,
        load_illness,
        load_machine_temperature,
        load_macrodata,
        load_nile,
        load_nyc_taxi,
        load_sunspots,
        load_us_births,
        load_vehicle_trips,
    )
    from tsrec.datasets._make import make_seasonal
    from tsrec.datasets._memory_tasks import make_dms, make_parity, make_passkey
    from tsrec.datasets._recall import make_associative_recall, make_mqar
    from tsrec.datasets._recorder import make_recordings
    from tsrec.datasets._selectiv import make_selectiv, selectiv_accuracy


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'tsrec.datasets' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
