"""Save and load fitted estimators without pickle: one safetensors file, whose header holds the rest as JSON.

A file holds numbers and text only. Loading runs no code from it, and builds no class but tsrec's own.
"""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

import tsrec
from tsrec.io._codec import decode, encode

FORMAT = 1


def save(estimator: Any, path: str | os.PathLike) -> None:
    """Write an estimator, fitted or not, to a file.

    The file is written beside its place and then moved there, so that a failure loses nothing.

    Parameters
    ----------
    estimator : estimator of tsrec
        What to save.
    path : path
        Where; by convention with the suffix ``.tsrec``.

    Raises
    ------
    TypeError
        If the estimator is not one of tsrec's, or holds something that is neither numbers nor text (a random generator
        as ``random_state``, say).

    Examples
    --------
    >>> import tempfile
    >>> from tsrec import SeasonalNaiveForecaster, load, save
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(SeasonalNaiveForecaster(horizon=3), f"{folder}/naive.tsrec")
    ...     load(f"{folder}/naive.tsrec")
    SeasonalNaiveForecaster(horizon=3)
    """
    arrays: dict[str, np.ndarray] = {}
    state = encode(estimator, arrays, "estimator")
    text = json.dumps({"format": FORMAT, "version": tsrec.__version__, "state": state})
    target = Path(path)
    draft = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, draft, {"tsrec": text})
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


def load(path: str | os.PathLike) -> Any:
    """Read an estimator that `save` wrote.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    estimator

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file was not written by `save`, is of a newer format, or names a class that is not tsrec's.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"path: there is no file {os.fspath(path)!r}.")
    try:
        with safe_open(path, "numpy") as file:
            text = (file.metadata() or {}).get("tsrec")
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except Exception as err:
        raise ValueError(f"path: {os.fspath(path)!r} is no file written by tsrec.save ({err}).") from err
    if text is None:
        raise ValueError(f"path: {os.fspath(path)!r} holds arrays but no estimator. Was it written by tsrec.save?")
    content = json.loads(text)
    if content["format"] > FORMAT:
        raise ValueError(
            f"path: the file has format {content['format']}, written by tsrec {content['version']}; this is "
            f"{tsrec.__version__}, which reads up to {FORMAT}. Update tsrec."
        )
    return decode(content["state"], arrays)
