"""What classifiers, regressors and encoders of collections of series share: reading, units, padded batches, training.

A family gives ``_filters(length, n_channels, generator)``, a bank of filters (`d_model` inputs in sets of `scales`, and
`n_outputs`), and ``_mixer(length, generator)``, a mixer of width `d_model` to be trained. Both follow the
contract of mixers.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_array, check_is_fitted, validate_data
from torch import Tensor, nn

from tsrec.estimators._callbacks import CallbackSupportMixin, with_callbacks
from tsrec.estimators._epochs import epochs_for, fit_module, history_frame
from tsrec.estimators._parameters import (
    check_choice,
    check_positive,
    check_rate,
    check_share,
    check_verbose,
    check_whole,
)
from tsrec.estimators._stream import Stream
from tsrec.estimators._units import center_and_spread
from tsrec.frames import Collection, columns_message, from_rows, is_default, is_rows, label_at, read_collection
from tsrec.frames.warn import warn_user
from tsrec.layers.sequence_model import SequenceModel
from tsrec.training import (
    Batch,
    SeriesBatches,
    TrainingState,
    make_generator,
    resolve_device,
    single_thread,
    with_weights,
)

# From a module and a batch of series to a row for each.
Ask = Callable[[SequenceModel, Batch], Tensor]

NORMALISATIONS = ("channel", "series", None)
# Numbers at a time in inference, and series at most; a batch always has the same shape for series of one length.
_INFERENCE_ELEMENTS, _INFERENCE_BATCH = 1 << 20, 64
# Small steps lose more to a pool of threads than they gain.
_LARGE_STEP = 1 << 22
# Steps of training that "auto" aims at, and the epochs it keeps within.
_AUTO = {"steps": 1000, "most": 200}
# The square of what is larger, summed up, would leave single precision.
_LARGEST = 1e12
# Months, and days at a change of the clocks, are not equally long.
_SAME_PACE = 0.05
# So many channels of a step or two are nothing odd.
_FEW = 8


def padded_length(length: int) -> int:
    """Steps to which a series of this length is padded: at most a quarter more, and a function of itself alone."""
    unit = max(1 << max(length.bit_length() - 3, 0), 1)
    return -(-length // unit) * unit


class CollectionEstimator(CallbackSupportMixin, BaseEstimator):
    """Base of the estimators whose samples are series; see the module's docstring for what a family adds."""

    normalisation: str | None
    normalisation_: str | None
    max_epochs: int | str
    batch_size: int
    learning_rate: float
    device: Any
    random_state: Any
    verbose: int
    days_: float | None
    center_: np.ndarray
    spread_: np.ndarray
    length_: int
    n_channels_: int
    module_: SequenceModel
    history_: pd.DataFrame

    def _filters(self, length: int, n_channels: int, generator: torch.Generator) -> nn.Module:
        raise NotImplementedError

    def _mixer(self, length: int, generator: torch.Generator) -> nn.Module:
        raise NotImplementedError

    def _build(self, generator: torch.Generator) -> SequenceModel:
        """The module for what was read, with weights to begin with."""
        raise NotImplementedError

    def __sklearn_is_fitted__(self) -> bool:
        """Whether there is a module to ask."""
        return hasattr(self, "module_")

    def __sklearn_tags__(self) -> Tags:
        """Missing values are legal, and so are arrays (series, channel, time)."""
        return takes_series(super().__sklearn_tags__())

    def stream(self, n_streams: int | None = None, *, rate: float = 1.0, state: Any = None) -> Stream:
        """Answer while series come in, in constant memory and time per step.

        Parameters
        ----------
        n_streams : int, optional
            How many series run side by side; one, without a dimension for it, when omitted.
        rate : float, default 1.0
            How many times as slowly they are sampled as what was learned from.
        state : dict, optional
            ``stream.state()`` of an earlier stream, to go on with it.

        Returns
        -------
        Stream
            Its ``push(rows)`` gives what ``predict_proba`` (of a classifier), ``predict`` or ``transform`` says of all
            rows so far.
        """
        return Stream(self, n_streams, rate=rate, state=state)

    def _check_parameters(self) -> None:
        check_whole(self, "d_model", "n_layers", "batch_size")
        check_whole(self, "max_epochs", least=0, auto=True)
        check_positive(self, "learning_rate")
        check_share(self, "dropout")
        check_choice(self, "normalisation", NORMALISATIONS)
        check_verbose(self)
        check_random_state(self.random_state)
        resolve_device(self.device)

    def _check_rate(self, rate: Any) -> None:
        check_rate(rate)
        if rate != 1 and not self.module_.time_scale:
            raise ValueError(
                f"rate: found {rate!r}, but {type(self).__name__} counts steps and has no time scale to change. Bring "
                "X to the sampling rate that was learned from."
            )

    def _read_fit(self, X: Any) -> Collection:
        """Read what is learned from, and remember its shape; what an earlier fit learned is forgotten."""
        self._check_parameters()
        forget(self)
        self.reads_rows_ = is_rows(X)
        if self.reads_rows_:
            check_table(X)
            values = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan")
            collection = from_rows(values, row_labels(X))
        else:
            collection = read_collection(X)
            tell_shape(X, "series")
            self.n_features_in_ = collection.n_channels
            if all(isinstance(name, str) for name in collection.columns):
                self.feature_names_in_ = np.asarray(collection.columns, dtype=object)
        self.channels_, self.n_channels_ = collection.columns, collection.n_channels
        self.days_ = collection.days
        self.normalisation_ = self.normalisation
        self.length_ = int(collection.lengths.max())
        return collection

    def _read(self, X: Any, rate: float) -> Collection:
        """Read what is asked about: as many channels as learned from; rows of the same length unless rate says why."""
        check_is_fitted(self)
        self._check_rate(rate)
        if is_rows(X):
            if rate == 1 and self.reads_rows_:
                values = self._validated(X)
            else:
                values = check_array(X, dtype=np.float64, ensure_all_finite="allow-nan")
            collection = from_rows(values, row_labels(X))
        else:
            collection = read_collection(X)
        self._check_columns(collection.columns, "X")
        if rate == 1:
            self._check_pace(collection.days)
        if collection.n_channels != self.n_channels_:
            raise ValueError(
                f"X has {collection.n_channels} channels, but {type(self).__name__} is expecting {self.n_channels_} "
                "channels as in fit. Arrays are (series, channel, time)."
            )
        observed = np.logical_or.reduceat(~np.isnan(collection.values).all(1), collection.offsets[:-1])
        tell_silent(collection.labels, observed, "series")
        return collection

    def _check_columns(self, columns: pd.Index, where: str) -> None:
        """Refuse channels that have names, where those of fit had some, and other ones or in another order."""
        unnamed = is_default(columns) or is_default(self.channels_)
        if list(columns) != list(self.channels_) and (not unnamed or set(columns) == set(self.channels_)):
            raise ValueError(columns_message(columns, self.channels_, where, "fit"))

    def _check_pace(self, days: float | None) -> None:
        """Refuse series whose times tell that their steps are longer or shorter than those of fit."""
        if days is None or self.days_ is None or abs(math.log(days / self.days_)) < _SAME_PACE:
            return
        ratio = days / self.days_
        mend = f"Say so with rate={ratio:.4g}" if self.module_.time_scale else "Resample them to the steps of fit"
        raise ValueError(f"X: by its times, steps are {ratio:.4g} times as long as those of fit. {mend}.")

    def _validated(self, X: Any) -> np.ndarray:
        """A table with the columns of fit."""
        check_table(X)
        try:
            return validate_data(self, X, reset=False, dtype=np.float64, ensure_all_finite="allow-nan")
        except ValueError as err:
            if "is expecting" not in str(err):
                raise
            slower = ", and data of another sampling rate with rate=" if self.module_.time_scale else ""
            raise ValueError(
                f"{err} Columns of a table are time steps. Give series of other lengths as a list of arrays or as an "
                f"array (series, 1, time){slower}."
            ) from None

    def _measure(self, collection: Collection, weight: np.ndarray | None) -> None:
        """Centre and spread of each channel over all steps, by the weights of the series."""
        if self.normalisation_ is None:
            self.center_, self.spread_ = np.zeros(self.n_channels_), np.ones(self.n_channels_)
            return
        each = np.ones(collection.n_series) if weight is None else weight
        self.center_, self.spread_ = center_and_spread(collection.values, np.repeat(each, collection.lengths))

    def _in_units(self, values: np.ndarray) -> np.ndarray:
        """Values (..., n_channels) in units; what single precision could not square is taken for the largest it can."""
        with np.errstate(over="ignore"):
            return np.clip((values - self.center_) / self.spread_, -_LARGEST, _LARGEST)

    def _standardised(self, collection: Collection) -> Tensor:
        """Values in units, float32 (n_rows, n_channels); NaN where missing."""
        values = self._in_units(collection.values)
        if self.normalisation_ == "series":
            seen, starts, owner = ~np.isnan(values), collection.offsets[:-1], np.arange(collection.n_series)
            owner = np.repeat(owner, collection.lengths)
            count = np.maximum(np.add.reduceat(seen, starts, axis=0, dtype=np.int64), 1)
            mean = np.add.reduceat(np.where(seen, values, 0.0), starts, axis=0) / count
            values = values - mean[owner]
            square = np.add.reduceat(np.where(seen, values, 0.0) ** 2, starts, axis=0) / count
            spread = np.sqrt(square)
            values = values / np.where(spread > 1e-9, spread, 1.0)[owner]
        return torch.from_numpy(values).float()

    def _batches(self, collection: Collection, **fields: Any) -> SeriesBatches:
        return SeriesBatches(self._standardised(collection), torch.from_numpy(collection.offsets), **fields)

    def _inference(self, collection: Collection, width: int) -> Iterator[tuple[np.ndarray, Batch]]:
        """All series in padded batches, with their numbers.

        The shape of a batch follows from the length of its series alone (the last row is repeated to fill it), so that
        an answer does not depend on the neighbours in the last bit.
        """
        batches = self._batches(collection)
        lengths = np.array([padded_length(int(n)) for n in collection.lengths])
        for length in np.unique(lengths):
            numbers = np.flatnonzero(lengths == length)
            size = int(np.clip(_INFERENCE_ELEMENTS // (length * width), 1, _INFERENCE_BATCH))
            for at in range(0, len(numbers), size):
                chosen = numbers[at : at + size]
                filled = chosen[np.minimum(np.arange(size), len(chosen) - 1)]
                batch = batches.gather(torch.from_numpy(filled), int(length))
                # With and without a mask the same sums are formed, but not in the same way.
                mask = torch.ones(batch.context.shape[:2], dtype=torch.bool) if batch.mask is None else batch.mask
                yield chosen, batch._replace(mask=mask)

    def _each(self, module: SequenceModel, collection: Collection, ask: Ask) -> Iterator[tuple[int, np.ndarray]]:
        """Number of each series and its row of ``ask(module, batch) -> (B, ...)``, in any order."""
        device = next(iter(module.state_dict().values())).device
        with single_thread(device.type == "cpu"), torch.no_grad():
            for chosen, batch in self._inference(collection, module.width):
                yield from zip(chosen, ask(module, batch.to(device)).cpu().numpy(), strict=False)

    def _asked(self, module: SequenceModel, collection: Collection, ask: Ask) -> np.ndarray:
        """Rows of ``ask(module, batch)`` for all series, in their order."""
        found = dict(self._each(module, collection, ask))
        return np.stack([found[i] for i in range(collection.n_series)])

    def _answers(self, collection: Collection, rate: float) -> np.ndarray:
        """What the fitted model says of all series."""
        return self._respond(
            self._asked(
                self.module_,
                collection,
                lambda model, batch: self._answer(model, model.features(batch.context, batch.mask, rate=rate)),
            )
        )

    def _answer(self, model: SequenceModel, features: Tensor) -> Tensor:
        """What the model makes of features, (B, F) -> (B, K)."""
        return model.head(features)

    def _respond(self, answers: np.ndarray) -> np.ndarray:
        """What the user is told, row by row, in float64."""
        return answers.astype(np.float64)

    def _restore_module(self, weights: dict[str, np.ndarray]) -> None:
        """Build the module again and give it saved weights."""
        self.module_ = with_weights(self._build(torch.Generator()), weights)

    @with_callbacks
    def _train(self, module: SequenceModel, batches: SeriesBatches, generator: torch.Generator) -> None:
        """Train by gradients; ``module_`` and ``history_`` are there afterwards, also when it is interrupted."""
        device = resolve_device(self.device)
        step = int(batches.batch_size * min(self.length_, batches.crop or self.length_) * module.width)

        def keep(state: TrainingState) -> None:
            self.module_, self.n_epochs_, self.history_ = module, state.epoch, history_frame(state)

        fit_module(
            self,
            module,
            batches,
            max_epochs=epochs_for(self.max_epochs, len(batches), **_AUTO),
            generator=generator,
            device=device,
            one_thread=device.type == "cpu" and step < _LARGE_STEP,
            keep=keep,
        )

    def _generator(self) -> torch.Generator:
        return make_generator(self.random_state)


def forget(estimator: Any) -> None:
    """Drop what an earlier fit learned."""
    for name in [name for name in vars(estimator) if name.endswith("_") and not name.startswith("_")]:
        delattr(estimator, name)


@contextmanager
def refusing(estimator: Any) -> Iterator[None]:
    """Read and check inside: what is refused leaves an earlier fit as it was."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


def takes_series(tags: Tags) -> Tags:
    """Say that missing values are legal, and so are arrays (series, channel, time)."""
    tags.input_tags.allow_nan = tags.input_tags.three_d_array = True
    return tags


def tell_shape(X: Any, unit: str) -> None:
    """Warn of an array whose time seems to come second."""
    if getattr(X, "ndim", 0) == 3 and X.shape[1] > X.shape[2]:
        warn_user(
            f"X of shape {X.shape} was read as ({unit}, channel, time): {X.shape[1]} channels of {X.shape[2]} steps. "
            "If time comes second, give X.transpose(0, 2, 1)."
        )
    first = X[0] if isinstance(X, list) and X else None
    if isinstance(first, np.ndarray) and first.ndim == 2 and first.shape[1] > max(first.shape[0], _FEW):
        warn_user(
            f"X[0] of shape {first.shape} was read as (time, channel): {first.shape[1]} channels of {first.shape[0]} "
            "steps. If channels come first, give [x.T for x in X]."
        )


def tell_silent(labels: pd.Index, observed: np.ndarray, unit: str) -> None:
    """Warn of series without any observed value: an answer to them is one to silence."""
    if not observed.all():
        warn_user(
            f"X: {int((~observed).sum())} of {len(observed)} {unit} have no observed value, the first is "
            f"{label_at(labels, int(observed.argmin()))!r}. Their answers say nothing about them."
        )


def row_labels(X: Any) -> pd.Index:
    """Names of the rows of a table."""
    return X.index if isinstance(X, pd.DataFrame) else pd.RangeIndex(len(np.asarray(X)))


def check_table(X: Any) -> None:
    """Refuse rows of different lengths, and a frame that holds text: most likely a long one, as files have it."""
    if isinstance(X, list | tuple) and len({len(row) for row in X if isinstance(row, list | tuple)}) > 1:
        raise ValueError(
            "X: its rows are lists of different lengths. Give an array per series: [np.asarray(x) for x in X]."
        )
    if not isinstance(X, pd.DataFrame):
        return
    for position, dtype in enumerate(X.dtypes):
        boxed = pd.api.types.is_object_dtype(dtype) and pd.api.types.infer_dtype(X.iloc[:, position]) != "string"
        if not (pd.api.types.is_numeric_dtype(dtype) or boxed):
            raise TypeError(
                f"X: column {X.columns[position]!r} holds {dtype}, but in a table each row is a series, each column a "
                "time step. If each row is one time step of a series, use tsrec.frames.from_long(frame, id=..., "
                "time=..., target=...)."
            )
