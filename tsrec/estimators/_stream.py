"""Answers while series come in, step by step, in constant memory and time."""

from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from tsrec.frames import to_numbers
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
        If the estimator brings each series to its own level and spread, which are known at its end only.
    """

    def __init__(self, estimator: Any, n_streams: int | None = None, *, rate: float = 1.0, state: Any = None) -> None:
        check_is_fitted(estimator)
        if estimator.normalisation == "series":
            raise ValueError(
                "normalisation='series' needs the whole series, so there is nothing to stream. Fit with "
                "normalisation='channel'."
            )
        if n_streams is not None and (not isinstance(n_streams, int) or n_streams < 1):
            raise ValueError(f"n_streams: found {n_streams!r}. Give a whole number of at least 1, or None for one.")
        self._estimator, self._rate, self._n_streams = estimator, float(rate), n_streams
        self._state = estimator.module_.init_state(n_streams or 1)
        if state is not None:
            self._state = _restored(self._state, state)

    def push(self, rows: Any) -> np.ndarray:
        """Take in the next steps.

        Parameters
        ----------
        rows : array or frame of shape (n_steps, n_channels), or (n_streams, n_steps, n_channels)
            The next steps, NaN where a value is missing. One dimension less for a single step; a single channel needs
            none.

        Returns
        -------
        array
            What the estimator's ``predict_proba`` (of a classifier), ``predict`` or ``transform`` says of all rows so
            far: a row for each stream, or without that dimension if `n_streams` was omitted.
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
        return {f"{i}": leaf.cpu().numpy().copy() for i, leaf in enumerate(_leaves(self._state))}

    def _read(self, rows: Any) -> Tensor:
        estimator = self._estimator
        channels, full = estimator.n_channels_, 2 if self._n_streams is None else 3
        names = getattr(estimator, "feature_names_in_", None)
        columns = rows.columns if isinstance(rows, pd.DataFrame) and not estimator.reads_rows_ else None
        if names is not None and columns is not None and list(columns) != list(names):
            raise ValueError(
                f"rows: the columns are {list(columns)}, those of fit were {list(names)}. Use rows[{list(names)}]."
            )
        if isinstance(rows, pd.DataFrame | pd.Series):
            values = to_numbers(rows, where="rows")
        else:
            values = np.asarray(rows, dtype=np.float64)
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
        scaled = (values - estimator.center_) / estimator.spread_
        return torch.from_numpy(scaled).float().to(_leaves(self._state)[0].device)


def _leaves(state: Any) -> list[Tensor]:
    if isinstance(state, Tensor):
        return [state]
    return [] if state is None else [leaf for part in state for leaf in _leaves(part)]


def _restored(fresh: Any, saved: Any) -> Any:
    """The saved numbers in the form of a fresh state."""
    leaves = _leaves(fresh)
    if set(saved) != {f"{i}" for i in range(len(leaves))}:
        raise ValueError("state: it is not that of a stream of this estimator. Give what stream.state() returned.")
    numbers = iter(range(len(leaves)))

    def put(part: Any) -> Any:
        if isinstance(part, Tensor):
            name = f"{next(numbers)}"
            found = torch.from_numpy(np.array(saved[name]))
            if found.shape != part.shape or found.dtype != part.dtype:
                raise ValueError(
                    f"state: an array has shape {tuple(found.shape)}, but {tuple(part.shape)} is needed. Give the "
                    "n_streams and the estimator that the state belongs to."
                )
            return found.to(part.device)
        if part is None:
            return None
        made = [put(inner) for inner in part]
        return type(part)(*made) if hasattr(part, "_fields") else tuple(made)

    return put(fresh)
