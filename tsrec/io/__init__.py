"""Save and load fitted estimators without pickle: one safetensors file, whose header holds the rest as JSON.

A file holds numbers and text only. Loading runs no code from it, and builds no class but tsrec's own.
"""

import json
import os
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

import tsrec
from tsrec.frames.checks import check_folder
from tsrec.io._codec import decode, encode
from tsrec.io._estimators import is_estimator

FORMAT = 1


def save(estimator: Any, path: str | os.PathLike) -> None:
    """Write an estimator, fitted or not, to a file.

    The file is written beside its place and then moved there, so that a failure loses nothing. Metadata requests
    (``set_fit_request`` and the like) are kept; callbacks are not. A network comes back in the precision in which the
    estimator builds it.

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
        as ``random_state``, say) or would not come back as it was.
    FileNotFoundError
        If there is no such folder.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from tsrec import SeasonalNaiveForecaster, load, save
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(SeasonalNaiveForecaster(horizon=3), f"{folder}/naive.tsrec")
    ...     load(f"{folder}/naive.tsrec")
    SeasonalNaiveForecaster(horizon=3)
    """
    if not is_estimator(estimator):
        raise TypeError(f"estimator: found a {type(estimator).__name__}. Give an estimator of tsrec.")
    target = Path(path)
    check_folder(target)
    state, arrays = encode(estimator, "estimator")
    text = json.dumps({"format": FORMAT, "version": tsrec.__version__, "state": state})
    draft = target.with_name(f".{uuid4().hex}.part")
    try:
        save_file(arrays, draft, {"tsrec": text})
        with safe_open(draft, "numpy"):  # a header beyond the format's limit is written, but could not be read
            pass
        draft.replace(target)
    except SafetensorError as err:
        raise OSError(f"path: {os.fspath(path)!r} cannot be written ({err}).") from err
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
        If the file was not written by `save`, is of a newer format, or names a class or an attribute that is not
        tsrec's. Nothing is loaded then.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"path: there is no file {os.fspath(path)!r}.")
    text, arrays = _read(path)
    try:
        state = _state_of(text)
        return decode(state, arrays)
    except Exception as err:
        what = str(err) if isinstance(err, ValueError) else f"{type(err).__name__}: {err}"
        raise ValueError(
            f"path: {os.fspath(path)!r} cannot be loaded: {what.rstrip('.')}. Nothing was loaded."
        ) from err


def _read(path: str | os.PathLike) -> tuple[str, dict[str, np.ndarray]]:
    try:
        with safe_open(path, "numpy") as file:
            text = (file.metadata() or {}).get("tsrec")
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except Exception as err:
        raise ValueError(f"path: {os.fspath(path)!r} is no file written by tsrec.save ({err}).") from err
    if text is None:
        raise ValueError(f"path: {os.fspath(path)!r} holds arrays but no estimator. Was it written by tsrec.save?")
    return text, arrays


def _state_of(text: str) -> dict[str, Any]:
    """The estimator's node in the header's JSON, once its format is known to be one this version reads."""
    content = json.loads(text)
    number = content.get("format") if isinstance(content, dict) else None
    if type(number) is not int or number < 1:
        raise ValueError("its header names no format; was it written by tsrec.save?")
    if number > FORMAT:
        raise ValueError(
            f"it has format {number}, written by tsrec {content.get('version')}; this is {tsrec.__version__}, which "
            f"reads up to {FORMAT}; update tsrec"
        )
    if set(content) != {"format", "version", "state"}:
        raise ValueError(f"its header has the keys {sorted(content)}, not ['format', 'state', 'version']")
    state = content["state"]
    if not isinstance(state, dict) or next(iter(state), None) != "estimator":
        raise ValueError("its state is no estimator")
    return state
