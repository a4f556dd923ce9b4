"""The regression task for collections of series: one or many numbers per series; written once."""

from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import Tags
from sklearn.utils.validation import check_array

from tsrec.estimators._collection import refusing
from tsrec.estimators._supervised import SupervisedEstimator, in_order
from tsrec.estimators._units import center_and_spread
from tsrec.frames import Collection, align_target
from tsrec.layers.sequence_tasks import SequenceRegressor


class SeriesRegressor(RegressorMixin, SupervisedEstimator):
    """Base of the regressors: a family adds its parameters, `_filters` and `_mixer`."""

    target_center_: np.ndarray
    target_spread_: np.ndarray
    target_columns_: Any
    _trainable = SequenceRegressor

    def __sklearn_tags__(self) -> Tags:
        """Several targets are fine."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn from series with numbers.

        Parameters
        ----------
        X : array, frame, list or dict
            A collection of series, as the classifiers take it.
        y : array-like of shape (n_series,) or (n_series, n_targets)
            Numbers; aligned by name where both name the series.
        sample_weight : array-like of shape (n_series,), optional
            Non-negative weights, aligned as y is.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            If X is no collection of series, or y has not finite numbers for each; the message says what was found.
        """
        with refusing(self):
            collection, y, kept, weight = self._read_labelled(X, y, sample_weight)
            y = self._checked(y)
        target = (y if kept is None else y[kept]).reshape(collection.n_series, -1)
        each = np.ones(len(target)) if weight is None else weight
        self.target_center_, self.target_spread_ = center_and_spread(target, each)
        scaled = (target - self.target_center_) / self.target_spread_
        self._learn(collection, scaled, torch.from_numpy(scaled).float(), weight)
        return self

    def predict(self, X: Any, *, rate: float = 1.0) -> Any:
        """The number or numbers of each series.

        Parameters
        ----------
        X : array, frame, list or dict
            As in `fit`; lengths may be others, but that a table has the columns of `fit` unless `rate` is given.
        rate : float, default 1.0
            How many times as slowly X was sampled: 2 for every second step of what was learned from.

        Returns
        -------
        array of shape (n_series,) or (n_series, n_targets)
            A Series or frame with the names of the series where X names them.
        """
        return self._numbers(self._read(X, rate), rate)

    def _numbers(self, collection: Collection, rate: float) -> Any:
        found = self._answers(collection, rate)
        if not collection.named:
            return found
        if found.ndim == 1:
            return pd.Series(found, index=collection.labels, name=self.target_columns_)
        return pd.DataFrame(found, index=collection.labels, columns=self.target_columns_)

    def _checked(self, y: Any) -> np.ndarray:
        self.target_columns_ = getattr(y, "columns", getattr(y, "name", None))
        try:
            y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
        except (TypeError, ValueError) as error:
            other = type(self).__name__.replace("Regressor", "Classifier")
            mend = f"Give one finite number per series and target; classes are for {other}."
            raise type(error)(f"y: {error} {mend}") from None
        self.target_is_flat_ = y.ndim == 1
        return y

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Coefficient of determination R² on series with known answers.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.

        Returns
        -------
        float
        """
        collection = self._read(X, 1.0)
        weight = in_order(sample_weight, collection)
        return float(r2_score(align_target(y, collection), self._numbers(collection, 1.0), sample_weight=weight))

    def _respond(self, answers: np.ndarray) -> np.ndarray:
        found = answers.astype(np.float64) * self.target_spread_ + self.target_center_
        return found[:, 0] if self.target_is_flat_ else found
