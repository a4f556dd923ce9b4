"""Checks of a retriever's parameters."""

from numbers import Integral, Real
from typing import Any

import numpy as np

from tsrec.estimators._parameters import check_choice, check_flag, check_jobs, check_verbose, check_whole
from tsrec.retrieval._resample import nanoseconds_of
from tsrec.training import resolve_device


def check_retriever(retriever: Any) -> None:
    """Refuse parameters of a SubsequenceRetriever that are none.

    Parameters
    ----------
    retriever : SubsequenceRetriever
        Fitted or not.

    Raises
    ------
    ValueError
        Which names the parameter, what was found, and what to give.
    """
    check_whole(retriever, "n_neighbors", "n_candidates")
    check_flag(retriever, "carry_state")
    check_choice(retriever, "metric", ("znorm", "euclidean"))
    check_choice(retriever, "index", ("auto", "exact", "flat", "faiss"))
    check_choice(retriever, "verify", ("auto", "mass", "dtw", None))
    if isinstance(retriever.encoder, str) and retriever.encoder != "auto":
        raise ValueError(f"encoder: found {retriever.encoder!r}. Give 'auto' or a fitted encoder.")
    resolve_device(retriever.device)
    check_jobs(retriever, "threads")
    check_verbose(retriever)
    if retriever.resample is not None:
        nanoseconds_of(retriever.resample)
    _check_windows(retriever.scales, retriever.stride)
    for name in ("exclusion", "band"):
        share = getattr(retriever, name)
        if not isinstance(share, Real) or not 0 <= float(share) <= 1:
            raise ValueError(f"{name}: found {share!r}. Give a share from 0 to 1.")


def _check_windows(given: Any, stride: Any) -> None:
    scales = list(given) if np.iterable(given) and not isinstance(given, str) else []
    if not scales or not all(isinstance(one, Integral) and int(one) >= 1 for one in scales):
        raise ValueError(f"scales: found {given!r}. Give lengths in rows, such as (64, 256, 1024).")
    if not isinstance(stride, Real) or not 0 < float(stride) <= 1:
        raise ValueError(f"stride: found {stride!r}. Give a share of the windows' length, such as 0.25.")
