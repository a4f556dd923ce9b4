"""Classes of EEG recordings of any montage (LuMamba; Broustail et al., arXiv 2603.19100)."""

from copy import deepcopy
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import nn

from tsrec.estimators._callbacks import CallbackSupportMixin, with_callbacks
from tsrec.estimators._classifier import accuracy, check_two_classes, most_probable, read_classes, times_class_weight
from tsrec.estimators._collection import forget, refusing, takes_series
from tsrec.estimators._epochs import epochs_for, fit_module, history_frame
from tsrec.estimators._lumamba import AUTO, tokens_of
from tsrec.estimators._parameters import (
    check_choice,
    check_flag,
    check_not_negative,
    check_positive,
    check_verbose,
    check_whole,
)
from tsrec.estimators._recording_batches import Prepared, RecordingBatches, is_small
from tsrec.estimators._series_rows import checked_weight
from tsrec.estimators._supervised import in_order
from tsrec.estimators.lumamba import LuMambaEncoder
from tsrec.frames import Recordings, align_target
from tsrec.frames.warn import warn_user
from tsrec.layers.augment import AUGMENTATIONS
from tsrec.layers.lumamba_tasks import HEADS, LuMambaClassification, make_head
from tsrec.training import TrainingState, make_generator, resolve_device, with_weights

# Factor of the learning rate from part to part, where the encoder has learned before.
_DECAY = 0.75


class LuMambaClassifier(ClassifierMixin, CallbackSupportMixin, BaseEstimator):
    """Classify recordings of any channels by the tokens of a LuMamba encoder.

    Parameters
    ----------
    encoder : LuMambaEncoder or None
        A fitted one is built upon, and stays as it is; clones of the classifier keep it. An unfitted one says how
        recordings are read and what the network is like, and begins with random weights; None is one of the defaults.
    head : {"query", "linear", "mamba"}
        How tokens become classes: a learned vector attends over them, their mean, or one more Mamba layer.
    freeze : bool
        Train the head alone. Of an encoder that was not fitted, which is then as it was drawn, a warning tells.
    augment : {"phase", "sign"} or None
        What is done to recordings in training, each in its own way each time. "phase" shifts every frequency by a
        random phase, the same in all channels: power and coherence stay, moments go. Where rhythms are what counts, as
        in most of EEG but evoked potentials, that keeps some hundred recordings from being learned by heart. "sign"
        turns them upside down, or not. Of no effect where the encoder is frozen.
    layer_decay : float or "auto"
        Factor of the learning rate from the head to the last layer of the encoder, from that to the one before it, and
        so on; when "auto" 0.75 if the encoder was fitted, else 1.
    max_epochs : int or "auto"
        Epochs; about 300 steps when "auto".
    batch_size : int
        Recordings per step.
    learning_rate, weight_decay : float
        Peak of the one-cycle schedule, and AdamW's decay.
    class_weight : dict, "balanced" or None
        Weights of the classes.
    device : str
        "auto", "cpu", "cuda", "cuda:1" or "mps".
    random_state : int, RandomState or None
        Seed; with an int, fits on the same machine are equal bit for bit.
    verbose : int
        1 shows the progress of the epochs.

    Attributes
    ----------
    classes_ : array
        The classes.
    encoder_ : LuMambaEncoder
        The encoder in use, trained with the head unless frozen.
    module_ : nn.Module
        The head.
    n_epochs_, history_ : int, DataFrame
        Epochs trained, and their losses.

    See Also
    --------
    LuMambaEncoder : Learns without labels; says how recordings are given.

    References
    ----------
    Broustail et al., LuMamba, arXiv 2603.19100.

    Examples
    --------
    >>> import numpy as np
    >>> from tsrec import LuMambaEncoder
    >>> time = np.arange(256) / 256
    >>> X = np.sin(2 * np.pi * np.repeat([6, 20], 10)[:, None, None] * (time + np.linspace(0, 1, 20)[:, None, None]))
    >>> encoder = LuMambaEncoder(width=16, n_queries=2, n_layers=1, ch_names=["Cz"])
    >>> classifier = LuMambaClassifier(encoder, max_epochs=20, random_state=0)
    >>> float(classifier.fit(X, ["slow"] * 10 + ["fast"] * 10).score(X, ["slow"] * 10 + ["fast"] * 10))
    1.0
    """

    def __init__(
        self,
        encoder: Any = None,
        *,
        head: str = "query",
        freeze: bool = False,
        augment: str | None = None,
        layer_decay: float | str = "auto",
        max_epochs: int | str = "auto",
        batch_size: int = 32,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.05,
        class_weight: Any = None,
        device: str = "cpu",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.encoder = encoder
        self.head = head
        self.freeze = freeze
        self.augment = augment
        self.layer_decay = layer_decay
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.class_weight = class_weight
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self) -> Tags:
        """Missing values are legal, and so are arrays (recording, channel, time)."""
        return takes_series(super().__sklearn_tags__())

    def __sklearn_clone__(self) -> Self:
        """Copy the parameters; what a fitted encoder has learned is one of them."""
        twin = super().__sklearn_clone__()
        if _is_fitted(_inside(self.encoder)):
            twin.encoder = self.encoder
        return twin

    def set_params(self, **params: Any) -> Self:
        """Set parameters; those of a fitted encoder stay as they were in its fit.

        Parameters
        ----------
        **params : dict
            Parameters of the classifier, and, as ``encoder__name``, of an encoder that is not fitted.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter of a fitted encoder is given: its weights were learned with the ones it has, and it is the
            user's own. Or if there is no encoder.
        """
        encoder = params.get("encoder", self.encoder)
        inner = sorted(name for name in params if name.startswith("encoder__"))
        if inner and _is_fitted(_inside(encoder)):
            raise ValueError(
                f"{inner[0]}: the encoder is fitted, and its parameters are those of its fit. Fit another one with it, "
                "or give clone(encoder), which is not fitted."
            )
        if inner and encoder is None:
            raise ValueError(f"{inner[0]}: encoder is None. Give LuMambaEncoder() as encoder, which has parameters.")
        return super().set_params(**params)

    def __sklearn_is_fitted__(self) -> bool:
        """Whether there is a head to ask."""
        return hasattr(self, "module_")

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn from labelled recordings.

        Parameters
        ----------
        X : list or dict of frames, panel, or array
            Recordings, as :class:`LuMambaEncoder` takes them.
        y : array-like of shape (n_recordings,)
            Classes; aligned by name where both name the recordings.
        sample_weight : array-like of shape (n_recordings,), optional
            Non-negative weights, aligned as y is; multiplied by `class_weight`.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            If X is no collection of recordings, or y has not one class for each; the message says what was found.
        """
        generator = make_generator(self.random_state)
        with refusing(self):
            self._check_parameters()
            encoder, recordings = self._own_encoder(X)
            if y is None:
                raise ValueError(
                    "LuMambaClassifier requires y to be passed, but the target y is None. Give one class per recording."
                )
            self.classes_, codes = read_classes(align_target(y, recordings))
            weight = None
            if sample_weight is not None:
                weight = checked_weight(in_order(sample_weight, recordings), recordings.n_series)
            if self.class_weight is not None:
                weight = self._times_class_weight(weight, codes)
            check_two_classes(self.classes_[codes if weight is None else codes[weight > 0]])
            groups = encoder._prepare(recordings)
            if self.freeze and not encoder.__sklearn_is_fitted__():
                warn_user("freeze: the encoder was not fitted, so that its random weights stay. Give a fitted encoder.")
        self.encoder_ = encoder
        if not encoder.__sklearn_is_fitted__():
            encoder.module_, encoder.n_epochs_ = encoder._module(generator).eval(), 0
        if weight is not None:
            groups = [group.take(weight[group.numbers] > 0) for group in groups if weight[group.numbers].any()]
            weight = weight / weight[weight > 0].mean()
        self._train(groups, torch.from_numpy(codes), weight, generator)
        return self

    def predict_proba(self, X: Any) -> Any:
        """Return the probabilities of the classes.

        Parameters
        ----------
        X : list or dict of frames, panel, or array
            Recordings as in `fit`, of other channels, lengths and rates if need be.

        Returns
        -------
        array of shape (n_recordings, n_classes)
            A frame with the names of the recordings where X names them.
        """
        check_is_fitted(self)
        return self._probabilities(self.encoder_._read(X, self))

    def _probabilities(self, recordings: Recordings) -> Any:
        head = self.module_
        scores = self.encoder_._asked(recordings, lambda module, batch: head(tokens_of(module, batch)))
        found = softmax(np.stack(scores).astype(np.float64), axis=1)
        return pd.DataFrame(found, index=recordings.labels, columns=self.classes_) if recordings.named else found

    def predict(self, X: Any) -> Any:
        """Return the most probable class of each recording.

        Parameters
        ----------
        X
            As in `predict_proba`.

        Returns
        -------
        array of shape (n_recordings,)
            A Series with the names of the recordings where X names them.
        """
        return most_probable(self.predict_proba(X), self.classes_)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy on recordings with known answers.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.

        Returns
        -------
        float
        """
        check_is_fitted(self)
        recordings = self.encoder_._read(X, self)
        return accuracy(recordings, self._probabilities(recordings), self.classes_, y, sample_weight)

    def _check_parameters(self) -> None:
        check_choice(self, "head", HEADS)
        check_choice(self, "augment", AUGMENTATIONS)
        check_flag(self, "freeze")
        check_whole(self, "batch_size")
        check_whole(self, "max_epochs", least=0, auto=True)
        check_positive(self, "learning_rate")
        check_not_negative(self, "weight_decay")
        if self.layer_decay != "auto":
            check_positive(self, "layer_decay")
        check_verbose(self)
        check_random_state(self.random_state)
        resolve_device(self.device)
        if not (self.encoder is None or isinstance(_inside(self.encoder), LuMambaEncoder)):
            raise TypeError(f"encoder: found {type(self.encoder).__name__}. Give a LuMambaEncoder, or None.")

    def _times_class_weight(self, weight: np.ndarray | None, codes: np.ndarray) -> np.ndarray:
        """Weights of recordings times those of their classes; what weighs nothing does not count for "balanced"."""
        answer = np.zeros(len(codes))
        kept = np.arange(len(codes)) if weight is None else np.flatnonzero(weight)
        labels = self.classes_[codes[kept]]
        answer[kept] = times_class_weight(None if weight is None else weight[kept], self.class_weight, labels)
        return answer

    def _own_encoder(self, X: Any) -> tuple[LuMambaEncoder, Recordings]:
        """A copy of the encoder for this classifier, and the recordings as it reads them."""
        forget(self)
        if _is_fitted(_inside(self.encoder)):
            encoder = deepcopy(_inside(self.encoder))
            recordings = encoder._read(X, encoder)
            self.n_features_in_ = encoder.n_features_in_
            if hasattr(encoder, "feature_names_in_"):
                self.feature_names_in_ = encoder.feature_names_in_
            return encoder, recordings
        encoder = LuMambaEncoder() if self.encoder is None else clone(_inside(self.encoder))
        return encoder, encoder._begin(X, self)

    @with_callbacks
    def _train(
        self, groups: list[Prepared], codes: torch.Tensor, weight: np.ndarray | None, generator: torch.Generator
    ) -> None:
        encoder, device = self.encoder_, resolve_device(self.device)
        decay = self.layer_decay if self.layer_decay != "auto" else _DECAY if _is_fitted(_inside(self.encoder)) else 1.0
        module = LuMambaClassification(
            encoder.module_.encoder,
            self._head(len(self.classes_), generator),
            freeze=bool(self.freeze),
            augment=self.augment,
            learning_rate=self.learning_rate,
            decay=float(decay),
        )
        if self.freeze:
            encoder.module_.to(device)
            groups = [group.encoded(dict(encoder._each([group], tokens_of))) for group in groups]
        weights = None if weight is None else torch.from_numpy(weight).float()
        batches = RecordingBatches(groups, batch_size=self.batch_size, target=codes, weight=weights)

        def keep(state: TrainingState) -> None:
            encoder.module_.requires_grad_(True)
            self.module_, self.n_epochs_, self.history_ = module.head, state.epoch, history_frame(state)

        fit_module(
            self,
            module,
            batches,
            max_epochs=epochs_for(self.max_epochs, len(batches), **AUTO),
            generator=generator,
            device=device,
            one_thread=device.type == "cpu" and is_small(groups, self.batch_size),
            weight_decay=self.weight_decay,
            keep=keep,
        )

    def _head(self, n_classes: int, generator: torch.Generator) -> nn.Module:
        architecture = self.encoder_.architecture_
        return make_head(self.head, architecture["n_queries"] * architecture["width"], n_classes, generator=generator)

    def _restore_module(self, weights: dict[str, np.ndarray]) -> None:
        """Build the head again and give it saved weights."""
        self.module_ = with_weights(self._head(len(self.classes_), torch.Generator()), weights)


def _inside(encoder: Any) -> Any:
    """What a FrozenEstimator holds, which keeps a fit through clones of parameters too; else the encoder itself."""
    return encoder.estimator if isinstance(encoder, FrozenEstimator) else encoder


def _is_fitted(encoder: Any) -> bool:
    return isinstance(encoder, LuMambaEncoder) and encoder.__sklearn_is_fitted__()
