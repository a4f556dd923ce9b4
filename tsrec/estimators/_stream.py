"""Answers while series come in, step by step, in constant memory and time."""

import zlib
from collections.abc import Mapping
from copy import copy
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from tsrec.frames import to_numbers
from tsrec.layers.structure import structure
from tsrec.training import single_thread


class Stream:
    """Series that are being recorded, and what a fitted estimator says of them so far.

    Made by ``estimator.stream()``; the weights are the estimator's, the state is the stream's own.

    Parameters
    ----------
    estimator : fitted classifier, regressor or encoder
        Gives the answers.
    n_streams : int, optional
        How many series run side by side; one, without a dimension for it, when omitted.
    rate : float, default 1.0
        Time scale, as in ``predict``.
    state : dict of arrays, optional
        :meth:`state` of an earlier stream, to go on with it.

    Raises
    ------
    ValueError
        If the estimator brings each series to its own level and spread, which are known at its end only, or reads the
        future of each step in another way.
    """

    def __init__(self, estimator: Any, n_streams: int | None = None, *, rate: float = 1.0, state: Any = None) -> None:
        check_is_fitted(estimator)
        estimator._check_rate(rate)
        if not estimator.module_.causal:
            raise ValueError(
                "bidirectional=True reads the future of each step, so there is nothing to stream. Fit with "
                "bidirectional=False."
            )
        if estimator.normalisation_ == "series":
            raise ValueError(
                "normalisation='series' needs the whole series, so there is nothing to stream. Fit with "
                "normalisation='channel'."
            )
        whole = isinstance(n_streams, Integral) and not isinstance(n_streams, bool) and n_streams >= 1
        if not whole and n_streams is not None:
            raise ValueError(f"n_streams: found {n_streams!r}. Give a whole number of at least 1, or None for one.")
        # A copy, since another fit replaces what the estimator learned.
        self._estimator, self._rate, self._n_streams = copy(estimator), float(rate), n_streams
        self._state = estimator.module_.init_state(n_streams or 1)
        if state is not None:
            if not isinstance(state, Mapping) or state.get("model") != _fingerprint(estimator):
                raise ValueError(
                    f"state: it was not left by a stream of this {type(estimator).__name__}. Give what stream.state() "
                    "of the same fitted estimator returned; saved and loaded it is still the same."
                )
            self._state = _restored(self._state, state)

    def push(self, rows: Any) -> np.ndarray:
        """Take in the next steps.

        Parameters
        ----------
        rows : array or frame of shape (n_steps, n_channels), or array of shape (n_streams, n_steps, n_channels)
            The next steps, NaN where a value is missing. One dimension less for a single step (a Series too, with the
            channels as its index); a single channel needs none.

        Returns
        -------
        array
            What the estimator's ``predict_proba`` (of a classifier), ``predict`` or ``transform`` says of all rows so
            far: a row for each stream, or without that dimension if `n_streams` was omitted. Probabilities are in the
            order of ``classes_``.
        """
        x = self._read(rows)
        model = self._estimator.module_
        with single_thread(x.device.type == "cpu"), torch.no_grad():
            if x.shape[1] == 1:
                _, self._state = model.step(x[:, 0], self._state, rate=self._rate)
            else:
                for part in x.split(model.part_length(len(x)), 1):
                    _, self._state = model.advance(part, self._state, rate=self._rate)
            answers = self._estimator._answer(model, model.read(self._state)).cpu().numpy()
        found = self._estimator._respond(answers)
        return found if self._n_streams is not None else found[0]

    def state(self) -> dict[str, np.ndarray]:
        """Return where the streams stand, as arrays by name (for ``numpy.savez``, say); later pushes leave it be."""
        arrays = {f"{i}": leaf.cpu().numpy().copy() for i, leaf in enumerate(_leaves(self._state))}
        return {"model": np.array(_fingerprint(self._estimator)), **arrays}

    def _read(self, rows: Any) -> Tensor:
        estimator = self._estimator
        channels, full = estimator.n_channels_, 2 if self._n_streams is None else 3
        if isinstance(rows, pd.Series) and channels > 1:
            rows = rows.to_frame().T
        if isinstance(rows, pd.DataFrame):
            estimator._check_columns(rows.columns, "rows")
        values = to_numbers(rows, where="rows") if isinstance(rows, pd.DataFrame | pd.Series) else _numbers(rows)
        found = values.shape
        if channels == 1 and 0 < full - values.ndim <= 2:
            values = values.reshape(*found, *(1,) * (full - values.ndim))
        elif full - values.ndim == 1:
            values = values[..., None, :]
        if self._n_streams is None:
            values = values[None]
        if values.ndim != 3 or values.shape[::2] != (self._n_streams or 1, channels) or not values.shape[1]:
            wanted = f"({'' if self._n_streams is None else f'{self._n_streams}, '}n_steps, {channels})"
            raise ValueError(f"rows: found shape {found}. Give {wanted}, with at least one step.")
        if np.isinf(values).any():
            raise ValueError("rows: there is an infinite value. Use NaN for what is missing.")
        return torch.from_numpy(estimator._in_units(values)).float().to(_leaves(self._state)[0].device)


def _fingerprint(estimator: Any) -> int:
    """A number that tells one fitted estimator from another, by all it learned that a stream depends on."""
    weights = [weight.cpu().contiguous().numpy() for weight in estimator.module_.state_dict().values()]
    found = zlib.crc32(f"{type(estimator).__name__} {structure(estimator.module_)}".encode())
    for array in (estimator.center_, estimator.spread_, *weights):
        found = zlib.crc32(array.tobytes(), found)
    return found


def _numbers(rows: Any) -> np.ndarray:
    try:
        return np.asarray(rows, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"rows: {error}. Give numbers, the same count of channels in every row.") from None


def _leaves(state: Any) -> list[Tensor]:
    if isinstance(state, Tensor):
        return [state]
    return [] if state is None else [leaf for part in state for leaf in _leaves(part)]


def _restored(fresh: Any, saved: Any) -> Any:
    """The saved numbers in the form of a fresh state."""
    numbers = iter(range(len(_leaves(fresh))))

    def put(part: Any) -> Any:
        if isinstance(part, Tensor):
            name = f"{next(numbers)}"
            found = torch.from_numpy(np.array(saved[name]))
            if found.shape != part.shape or found.dtype != part.dtype:
                raise ValueError(
                    f"state: an array has shape {tuple(found.shape)}, but {tuple(part.shape)} is needed. Give the "
                    "n_streams that the state belongs to."
                )
            return found.to(part.device)
        if part is None:
            return None
        made = [put(inner) for inner in part]
        return type(part)(*made) if hasattr(part, "_fields") else tuple(made)

    return put(fresh)
