"""The classification task for collections of series: classes, weights, probabilities, streams; written once."""

from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import assert_all_finite, column_or_1d

from tsrec.estimators._collection import refusing
from tsrec.estimators._series_rows import checked_weight
from tsrec.estimators._supervised import SupervisedEstimator, in_order
from tsrec.frames import Collection, Recordings, align_target
from tsrec.layers.sequence_tasks import SequenceClassifier

# Bounds of the logarithm of what scores are multiplied by before they become probabilities.
_SHARPNESS = (-3.0, 4.0)


class SeriesClassifier(ClassifierMixin, SupervisedEstimator):
    """Base of the classifiers: a family adds its parameters, `_filters` and `_mixer`."""

    class_weight: Any
    classes_: np.ndarray
    sharpness_: float
    _trainable = SequenceClassifier

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn from labelled series.

        Parameters
        ----------
        X : array, frame, list or dict
            A collection of series: an array or frame of shape (n_series, n_times), an array of shape
            (n_series, n_channels, n_times), a frame with index (series, time), or a list or dict of frames or arrays of
            shape (n_times, n_channels), of any lengths. NaN is a missing value.
        y : array-like of shape (n_series,)
            Classes; aligned by name where both name the series.
        sample_weight : array-like of shape (n_series,), optional
            Non-negative weights, aligned as y is; multiplied by `class_weight`.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            If X is no collection of series, or y has not one class for each; the message says what was found.
        """
        with refusing(self):
            collection, y, kept, weight = self._read_labelled(X, y, sample_weight)
            self.classes_, codes = read_classes(y)
            codes = codes if kept is None else codes[kept]
            if self.class_weight is not None:
                weight = times_class_weight(weight, self.class_weight, self.classes_[codes])
                counted = np.flatnonzero(weight)
                collection, codes, weight = self._only(collection, counted), codes[counted], weight[counted]
            check_two_classes(self.classes_[codes])
        target = np.where(codes[:, None] == np.arange(len(self.classes_)), 1.0, -1.0)
        self.sharpness_ = 1.0
        head = self._learn(collection, target, torch.from_numpy(codes), weight)
        if head is not None:
            self.sharpness_ = _sharpness(head.held_out.numpy(), codes, weight)
        return self

    def predict_proba(self, X: Any, *, rate: float = 1.0) -> Any:
        """Probabilities of the classes.

        Parameters
        ----------
        X : array, frame, list or dict
            As in `fit`; lengths may be others, but that a table has the columns of `fit` unless `rate` is given.
        rate : float, default 1.0
            How many times as slowly X was sampled: 2 for every second step of what was learned from.

        Returns
        -------
        array of shape (n_series, n_classes)
            A frame with the names of the series where X names them.
        """
        return self._probabilities(self._read(X, rate), rate)

    def _probabilities(self, collection: Collection, rate: float) -> Any:
        found = self._answers(collection, rate)
        return pd.DataFrame(found, index=collection.labels, columns=self.classes_) if collection.named else found

    def predict(self, X: Any, *, rate: float = 1.0) -> Any:
        """The most probable class of each series.

        Parameters
        ----------
        X, rate
            As in `predict_proba`.

        Returns
        -------
        array of shape (n_series,)
            A Series with the names of the series where X names them.
        """
        return most_probable(self.predict_proba(X, rate=rate), self.classes_)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Accuracy on series with known answers.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.

        Returns
        -------
        float
        """
        collection = self._read(X, 1.0)
        return accuracy(collection, self._probabilities(collection, 1.0), self.classes_, y, sample_weight)

    def _respond(self, answers: np.ndarray) -> np.ndarray:
        return softmax(answers.astype(np.float64) * self.sharpness_, axis=1)


def most_probable(probabilities: Any, classes: np.ndarray) -> Any:
    """The class of each row: a Series with the names of the rows, where a frame names them."""
    best = classes[np.asarray(probabilities).argmax(axis=1)]
    return pd.Series(best, index=probabilities.index) if isinstance(probabilities, pd.DataFrame) else best


def accuracy(
    read: Collection | Recordings, probabilities: Any, classes: np.ndarray, y: Any, sample_weight: Any
) -> float:
    """Share of the series or recordings whose most probable class is the true one, aligned by name."""
    found, weight = most_probable(probabilities, classes), in_order(sample_weight, read)
    return float(accuracy_score(align_target(y, read), found, sample_weight=weight))


def read_classes(y: Any) -> tuple[np.ndarray, np.ndarray]:
    """The classes, and the number of the class of each series."""
    labels = column_or_1d(y, warn=True)
    if labels.dtype.kind == "f":
        assert_all_finite(labels, input_name="y")
    missing = np.flatnonzero(pd.isna(labels))
    if len(missing):
        first = y.index[missing[0]] if isinstance(y, pd.Series) else int(missing[0])
        raise ValueError(
            f"y: {len(missing)} labels are missing, the first is that of {first!r}. Leave these series out."
        )
    check_classification_targets(labels)
    return np.unique(labels, return_inverse=True)


def times_class_weight(weight: np.ndarray | None, class_weight: Any, labels: np.ndarray) -> np.ndarray:
    """Weights of series, (n,), times those of their classes."""
    of_class = compute_sample_weight(class_weight, labels)
    return checked_weight(of_class, len(labels), where="class_weight") * (1 if weight is None else weight)


def check_two_classes(labels: np.ndarray) -> None:
    """Refuse what leaves nothing to tell apart."""
    present = np.unique(labels).tolist()
    if len(present) < 2:
        raise ValueError(f"y: it has one class, {present}. Give series with a weight of at least two classes.")


def _sharpness(scores: np.ndarray, codes: np.ndarray, weight: np.ndarray | None) -> float:
    """What scores of series that were left out must be multiplied by to be the best log odds.

    Where all of them are right nothing would be too sharp: one more series, of which any class is as likely, counts too
    (Platt 1999, Probabilistic Outputs for Support Vector Machines).
    """
    rows = np.arange(len(codes))
    total = float(len(codes)) if weight is None else float(weight.sum())

    def loss(log_factor: float) -> float:
        log_odds = log_softmax(scores * np.exp(log_factor), axis=1)
        right = np.average(log_odds[rows, codes], weights=weight)
        any_class = np.average(log_odds.mean(axis=1), weights=weight)
        return -float(total * right + any_class) / (total + 1)

    return float(np.exp(minimize_scalar(loss, bounds=_SHARPNESS, method="bounded").x))
