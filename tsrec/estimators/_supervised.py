"""What classifiers and regressors of series share: a head solved in closed form on random features, or training."""

import hashlib
from collections import defaultdict
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tsrec.estimators._collection import CollectionEstimator
from tsrec.estimators._parameters import check_choice
from tsrec.estimators._series_rows import checked_weight
from tsrec.frames import Collection, Recordings, align_target
from tsrec.layers.pooling import FilterPooling, Pooling
from tsrec.layers.random import Linear
from tsrec.layers.ridge_head import RidgeHead, RidgeLinear, fit_ridge_head
from tsrec.layers.sequence_model import ChannelEmbedding, ChannelMix, SequenceModel
from tsrec.training import Batch, resolve_device

FEATURES = ("auto", "random", "trained")
# From so many series on, the closed form would need much time and memory.
_MANY = 4000
# Of trained layers: the last output, which has seen all, tells where something was; the paper has the mean only.
_POOLED = ("mean", "last")
# Series that thresholds are placed by, and steps of each.
_CALIBRATION_SERIES, _CALIBRATION_STEPS = 512, 16


class SupervisedEstimator(CollectionEstimator):
    """Base of classifiers and regressors. A task adds ``_trainable``, the model class that has its loss."""

    features: str
    d_model: int
    features_: str
    n_outputs_: int
    penalty_: float
    _trainable: type[SequenceModel]

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_choice(self, "features", FEATURES)

    def _build(self, generator: torch.Generator) -> SequenceModel:
        if self.features_ == "random":
            filters = self._filters(self.length_, self.n_channels_, generator)
            width, scales = int(filters.d_model), int(filters.scales)  # type: ignore[arg-type]
            mix = ChannelMix(self.n_channels_, width, group=scales, generator=generator)
            summary = FilterPooling(int(filters.n_outputs))  # type: ignore[arg-type]
            return SequenceModel(mix, filters, summary, RidgeLinear(summary.n_outputs, self.n_outputs_))
        embedding = ChannelEmbedding(self.n_channels_, self.d_model, generator=generator)
        mixer = self._mixer(self.length_, generator)
        pooling = Pooling(self.d_model, _POOLED)
        head = Linear(pooling.n_outputs, self.n_outputs_, generator=generator)
        return self._trainable(embedding, mixer, pooling, head)

    def _read_labelled(
        self, X: Any, y: Any, sample_weight: Any
    ) -> tuple[Collection, Any, np.ndarray | None, np.ndarray | None]:
        """Read series, targets in their order, which series have a weight above zero (None: all), and these weights."""
        collection = self._read_fit(X)
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None. Give one entry per series."
            )
        y = align_target(y, collection)
        if sample_weight is None:
            return collection, y, None, None
        weight = checked_weight(in_order(sample_weight, collection), collection.n_series)
        kept = np.flatnonzero(weight)
        return self._only(collection, kept), y, kept, weight[kept]

    def _only(self, collection: Collection, kept: np.ndarray) -> Collection:
        """These series; others, which have no weight, are left out altogether, as if they were not there."""
        if len(kept) == collection.n_series:
            return collection
        collection = collection.take(kept)
        self.length_ = int(collection.lengths.max())
        return collection

    def _learn(
        self, collection: Collection, target: np.ndarray, answer: Tensor, weight: np.ndarray | None
    ) -> RidgeHead | None:
        """Fit to targets: float (n, K) for a head in closed form, and as the loss takes them.

        Returns what was solved for, with answers held out in the order of the series; None after training.
        """
        resolve_device(self.device)
        generator = self._generator()
        self.n_outputs_ = target.shape[1]
        self.features_ = self.features
        if self.features == "auto":
            self.features_ = "random" if collection.n_series < _MANY else "trained"
        self._measure(collection, weight)
        module = self._build(generator)
        if self.features_ == "random":
            return self._solve(module, collection, target, weight)
        mean_one = None if weight is None else torch.from_numpy(weight / weight.mean()).float()
        batches = self._batches(collection, batch_size=self.batch_size, target=answer, weight=mean_one)
        self._train(module, batches, generator)
        return None

    def _solve(
        self, module: SequenceModel, collection: Collection, target: np.ndarray, weight: np.ndarray | None
    ) -> RidgeHead:
        """Place the thresholds, then solve for the head. Equal series with equal targets are one of more weight.

        ``module_`` is there at the end only: what was interrupted has nothing to say.
        """
        each = np.ones(collection.n_series) if weight is None else weight
        device = resolve_device(self.device)
        module = module.to(device).eval()
        module.head.cpu()
        first, owner = self._distinct(collection, target)
        total = np.zeros(len(first))
        np.add.at(total, owner, each)
        distinct = collection.take(first)
        self._calibrate(module, distinct, total)
        features = self._asked(module, distinct, lambda model, batch: model.features(batch.context, batch.mask))
        head = fit_ridge_head(torch.from_numpy(features), torch.from_numpy(target[first]), torch.from_numpy(total))
        assert isinstance(module.head, RidgeLinear)
        module.head.adopt(head)
        module.head.to(device)
        self.penalty_, self.module_ = head.penalty, module
        return head._replace(held_out=head.held_out[torch.from_numpy(owner)])

    @staticmethod
    def _distinct(collection: Collection, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of the first of each kind of series, and of which of these each series is."""
        kinds: dict[bytes, int] = defaultdict(lambda: len(kinds))
        owner = np.empty(collection.n_series, dtype=np.int64)
        for i, (start, end) in enumerate(zip(collection.offsets[:-1], collection.offsets[1:], strict=True)):
            # Adding zero makes zeros of either sign alike.
            series = hashlib.blake2b((collection.values[start:end] + 0.0).tobytes())
            series.update(target[i].tobytes())
            owner[i] = kinds[series.digest()]
        return np.unique(owner, return_index=True)[1], owner

    def _calibrate(self, module: SequenceModel, collection: Collection, weight: np.ndarray) -> None:
        """Place the thresholds by answers at some steps of some series."""
        n = collection.n_series
        chosen = np.unique(np.linspace(0, n - 1, min(n, _CALIBRATION_SERIES)).astype(np.int64))
        share = (torch.arange(_CALIBRATION_STEPS) + 0.5) / _CALIBRATION_STEPS

        def ask(model: SequenceModel, batch: Batch) -> Tensor:
            assert batch.mask is not None
            return _outputs_at(
                model, batch.context, (share.to(batch.mask.device) * batch.mask.sum(1, keepdim=True)).long()
            )

        answers = torch.from_numpy(self._asked(module, collection.take(chosen), ask))
        assert isinstance(module.pooling, FilterPooling)
        w = torch.from_numpy(weight[chosen]).repeat_interleave(answers.shape[1])
        module.pooling.calibrate(answers.flatten(0, 1), w)


def in_order(weight: Any, collection: Collection | Recordings) -> Any:
    """Weights in the order of the series; a single number and None are left as they are."""
    is_one = weight is None or isinstance(weight, Real)
    return weight if is_one else align_target(weight, collection, where="sample_weight")


def _outputs_at(model: SequenceModel, x: Tensor, at: Tensor) -> Tensor:
    """Outputs of the mixer at steps `at` (B, P), ascending: (B, P, F); in parts, so that memory is bounded."""
    size, state = model.part_length(len(x)), model.init_state(len(x))
    found = None
    for start in range(0, x.shape[1], size):
        y, state = model.outputs(x[:, start : start + size], state)
        inside = (at >= start) & (at < start + y.shape[1])
        place = (at - start).clamp(0, y.shape[1] - 1)
        picked = y.gather(1, place[..., None].expand(-1, -1, y.shape[2]))
        found = picked if found is None else torch.where(inside[..., None], picked, found)
    assert found is not None
    return found
