"""The encoding task for collections of series: learn without labels, embed series and their steps; written once."""

from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from torch import Tensor

from tsrec.estimators._collection import CollectionEstimator, refusing
from tsrec.estimators._parameters import check_share, check_whole
from tsrec.frames import check_order
from tsrec.layers.pooling import Pooling
from tsrec.layers.random import Linear
from tsrec.layers.sequence_model import ChannelEmbedding, SequenceModel
from tsrec.layers.sequence_tasks import SequenceEncoder

_POOLED = ("mean", "max", "last")


class SeriesEncoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, CollectionEstimator):
    """Base of the encoders: a family adds its parameters and `_mixer`."""

    d_model: int
    hidden: float
    crop: int

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_share(self, "hidden")
        check_whole(self, "crop", least=2)

    def _build(self, generator: torch.Generator) -> SequenceModel:
        return SequenceEncoder(
            ChannelEmbedding(self.n_channels_, self.d_model, generator=generator),
            self._mixer(self.length_, generator),
            Pooling(self.d_model, _POOLED),
            Linear(self.d_model, self.n_channels_, generator=generator),
            hidden=self.hidden,
        )

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn to continue series, also where stretches of them are hidden.

        Parameters
        ----------
        X : array, frame, list or dict
            A collection of series, as the classifiers take it.
        y : ignored
            There for pipelines, in which it goes by position: a y that names the series of X in another order is
            refused.

        Returns
        -------
        self
        """
        with refusing(self):
            collection = self._read_fit(X)
            check_order(y, collection)
        generator = self._generator()
        self._measure(collection, None)
        batches = self._batches(collection, batch_size=self.batch_size, crop=self.crop)
        self._train(self._build(generator), batches, generator)
        return self

    @property
    def _n_features_out(self) -> int:
        return self.module_.pooling.n_outputs  # type: ignore[return-value]

    def transform(self, X: Any, *, rate: float = 1.0) -> Any:
        """Embed series: mean, maximum and last of the model's outputs.

        Parameters
        ----------
        X : array, frame, list or dict
            As in `fit`; lengths may be others, but that a table has the columns of `fit` unless `rate` is given.
        rate : float, default 1.0
            How many times as slowly X was sampled: 2 for every second step of what was learned from.

        Returns
        -------
        array of shape (n_series, 3 * d_model)
            A frame with the names of the series where X names them.
        """
        collection = self._read(X, rate)
        found = self._answers(collection, rate)
        if not collection.named:
            return found
        return pd.DataFrame(found, index=collection.labels, columns=self.get_feature_names_out())

    def transform_steps(self, X: Any, *, rate: float = 1.0) -> pd.DataFrame:
        """Embed every step of every series: the model's outputs, which know the steps up to their own.

        Parameters
        ----------
        X, rate
            As in `transform`.

        Returns
        -------
        DataFrame of shape (n_steps of all series, d_model)
            Indexed by (series, time); float32, since there are many.
        """
        collection = self._read(X, rate)

        def ask(model: SequenceModel, batch: Any) -> Tensor:
            x, state = batch.context, model.init_state(len(batch.context))
            parts = []
            for part in x.split(model.part_length(len(x)), 1):
                y, state = model.outputs(part, state, rate=rate)
                parts.append(y)
            return torch.cat(parts, 1)

        values = np.empty((len(collection.values), self.module_.width), dtype=np.float32)
        for number, steps in self._each(self.module_, collection, ask):
            start, end = collection.offsets[number : number + 2]
            values[start:end] = steps[: end - start]
        name = type(self).__name__.lower()
        columns = [f"{name}_step{i}" for i in range(values.shape[1])]
        return pd.DataFrame(values, index=collection.row_index(), columns=columns)

    def _answer(self, model: SequenceModel, features: Tensor) -> Tensor:  # noqa: ARG002 - the features are the answer
        return features
