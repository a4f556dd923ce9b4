"""Checks of parameters, in fit: what was found and what is allowed."""

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np


def check_flag(estimator: Any, *names: str) -> None:
    """Refuse parameters that are neither True nor False."""
    for name in names:
        value = getattr(estimator, name)
        if not isinstance(value, bool | np.bool_):
            raise ValueError(f"{name}: found {value!r}. Give True or False.")


def check_choice(estimator: Any, name: str, choices: tuple[Any, ...]) -> None:
    """Refuse a parameter that is none of the choices."""
    value = getattr(estimator, name)
    if not any(value is choice or (isinstance(value, str) and value == choice) for choice in choices):
        raise ValueError(f"{name}: found {value!r}. Give one of {choices}.")


def check_odd(name: str, value: Any, *, optional: bool = False) -> None:
    """Refuse a window that is no odd whole number of at least 3; None may be for the usual one."""
    if value is None and optional:
        return
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 3 or value % 2 == 0:
        also = ", or None" if optional else ""
        raise ValueError(f"{name}: found {value!r}. Give an odd whole number of at least 3{also}.")


def check_windows(name: str, value: Any) -> None:
    """Refuse what is no sequence of odd windows; None may be for the usual ones."""
    if value is None:
        return
    if isinstance(value, str) or not isinstance(value, Sequence | np.ndarray) or np.ndim(value) != 1:
        raise ValueError(f"{name}: found {value!r}. Give a window for each period, such as (7, 11), or None.")
    for window in value:
        check_odd(name, window)


def check_degree(estimator: Any, *names: str) -> None:
    """Refuse degrees other than 0 and 1."""
    for name in names:
        value = getattr(estimator, name)
        if not isinstance(value, Integral) or isinstance(value, bool) or value not in (0, 1):
            raise ValueError(f"{name}: found {value!r}. Give 0 or 1.")


def check_count(name: str, value: Any, *, least: int = 1, optional: bool = False) -> None:
    """Refuse what is no whole number of at least `least`; None may be for the usual one."""
    if value is None and optional:
        return
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        also = ", or None" if optional else ""
        raise ValueError(f"{name}: found {value!r}. Give a whole number of at least {least}{also}.")


def check_positive(name: str, value: Any) -> None:
    """Refuse what is no positive finite number."""
    if not isinstance(value, Real) or isinstance(value, bool) or not 0 < float(value) < np.inf:
        raise ValueError(f"{name}: found {value!r}. Give a positive number.")
