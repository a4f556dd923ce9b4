"""Checks of parameters, in fit: what was found and what is allowed."""

from numbers import Integral, Real
from typing import Any

import numpy as np

from tsrec.decomposition._checks import check_choice as check_choice
from tsrec.decomposition._checks import check_flag as check_flag
from tsrec.training.bar import checked_verbose


def check_whole(estimator: Any, *names: str, least: int = 1, auto: bool = False) -> None:
    """Refuse parameters that are no whole numbers, or too small; "auto" may stand for one."""
    for name in names:
        value = getattr(estimator, name)
        if auto and isinstance(value, str) and value == "auto":
            continue
        if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
            also = " or 'auto'" if auto else ""
            raise ValueError(f"{name}: found {value!r}. Give a whole number of at least {least}{also}.")


def check_positive(estimator: Any, name: str) -> None:
    """Refuse a parameter that is no positive finite number."""
    value = getattr(estimator, name)
    if not isinstance(value, Real) or not 0 < float(value) < np.inf:
        raise ValueError(f"{name}: found {value!r}. Give a positive number, for example 0.005.")


def check_not_negative(estimator: Any, *names: str) -> None:
    """Refuse parameters that are no finite numbers of at least zero."""
    for name in names:
        value = getattr(estimator, name)
        if not isinstance(value, Real) or isinstance(value, bool) or not 0 <= float(value) < np.inf:
            raise ValueError(f"{name}: found {value!r}. Give a number of at least 0.")


def check_rate(rate: Any) -> None:
    """Refuse a time scale that is no positive finite number."""
    if not isinstance(rate, Real) or isinstance(rate, bool) or not 0 < float(rate) < np.inf:
        raise ValueError(f"rate: found {rate!r}. Give a positive number: 2 for data sampled half as often.")


def check_share(estimator: Any, name: str) -> None:
    """Refuse a parameter outside [0, 1)."""
    value = getattr(estimator, name)
    if not isinstance(value, Real) or not 0 <= float(value) < 1:
        raise ValueError(f"{name}: found {value!r}. Give a number from 0 on, below 1.")


def check_verbose(estimator: Any) -> None:
    """Refuse a loudness that is no number and neither True nor False."""
    checked_verbose(estimator.verbose)


def check_jobs(estimator: Any, of: str) -> None:
    """Refuse an ``n_jobs`` that is neither None nor a whole number other than 0; `of` says what it counts."""
    given = estimator.n_jobs
    if given is not None and (not isinstance(given, Integral) or given == 0):
        raise ValueError(f"n_jobs: found {given!r}. Give a number of {of}, -1 for all cores, or None.")
