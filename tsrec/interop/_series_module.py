"""Fitted classifiers, regressors and encoders as modules from series to answers, in the units of the data."""

import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tsrec.estimators._classifier import SeriesClassifier
from tsrec.estimators._collection import _LARGEST, CollectionEstimator
from tsrec.estimators._encoder import SeriesEncoder
from tsrec.estimators._recordings import _LARGEST as _LARGEST_SAMPLE
from tsrec.estimators._regressor import SeriesRegressor
from tsrec.estimators.lumamba import LuMambaEncoder
from tsrec.frames import electrode_positions
from tsrec.interop._declared import Declared, DeclaredModule
from tsrec.layers.ssm import StateSpaceMixer

_VALUES = "a series each, oldest step first, NaN where missing; shorter ones are padded at the end"
_LENGTHS = "steps that belong to each series; what follows is padding"
_SAMPLES = "a recording each, filtered and at the sampling rate of fit, NaN where missing"


class SeriesModule(DeclaredModule):
    """The module of a fitted classifier, regressor or encoder of series.

    Values (B, L, C) and lengths (B,) in; "probabilities" (B, K) of the ``classes``, the "prediction" (B,) or
    (B, n_targets), or the "embedding" (B, F) out.

    Parameters
    ----------
    est : CollectionEstimator
        A fitted one; nothing of it is kept but numbers, and a copy of its network.
    length : int
        Steps L of the longest series.

    Attributes
    ----------
    classes : list
        Of a classifier, in the order of the probabilities.
    """

    center: Tensor
    spread: Tensor
    gain: Tensor
    shift: Tensor

    def __init__(self, est: CollectionEstimator, length: int) -> None:
        super().__init__()
        self.length, self.by_series = length, est.normalisation_ == "series"
        self.network: Any = copy.deepcopy(est.module_).cpu().eval()
        for layer in self.network.modules():
            if isinstance(layer, StateSpaceMixer):
                layer.keep_kernel(length)
        self.classes = est.classes_.tolist() if isinstance(est, SeriesClassifier) else []
        self.is_flat = isinstance(est, SeriesRegressor) and bool(est.target_is_flat_)
        gain, shift = np.ones(1), np.zeros(1)
        if isinstance(est, SeriesClassifier):
            gain = np.array([est.sharpness_])
        if isinstance(est, SeriesRegressor):
            gain, shift = est.target_spread_, est.target_center_
        self.embeds = isinstance(est, SeriesEncoder)
        parts = {"center": est.center_, "spread": est.spread_, "gain": gain, "shift": shift}
        for name, part in parts.items():
            self.register_buffer(name, torch.from_numpy(np.array(part, dtype=np.float64)))
        self.inputs = (
            Declared("values", ("batch", length, est.n_channels_), torch.float32, _VALUES),
            Declared("lengths", ("batch",), torch.int64, _LENGTHS),
        )
        self.outputs = (self._answered(est),)

    def forward(self, values: Tensor, lengths: Tensor) -> dict[str, Tensor]:
        """Answer.

        Parameters
        ----------
        values : Tensor of shape (B, L, C)
            Series in the units of the data; NaN where missing.
        lengths : int64 Tensor of shape (B,)
            Steps of each.

        Returns
        -------
        dict of Tensor
            The one that ``outputs`` names.

        Raises
        ------
        ValueError
            If a tensor has another shape.
        """
        self._check(values=values, lengths=lengths)
        dtype = values.dtype
        mask = torch.arange(self.length, device=values.device) < lengths[:, None]
        x = (values - self.center.to(dtype)) / self.spread.to(dtype)
        x = x.clamp(-_LARGEST, _LARGEST)
        if self.by_series:
            x = _by_series(x, mask)
        x = x.masked_fill(~mask[..., None], 0.0).float()
        answer = self.network.features(x, mask)
        if not self.embeds:
            answer = self.network.head(answer)
        answer = answer.to(dtype) * self.gain.to(dtype) + self.shift.to(dtype)
        if self.classes:
            answer = answer.softmax(1)
        return {self.output_names[0]: answer[:, 0] if self.is_flat else answer}

    def _answered(self, est: CollectionEstimator) -> Declared:
        if isinstance(est, SeriesClassifier):
            return _probabilities(self.classes)
        if isinstance(est, SeriesRegressor):
            shape = ("batch",) if self.is_flat else ("batch", len(est.target_center_))
            return Declared("prediction", shape, torch.float32, "in the units of the targets")
        return _embedding(int(self.network.pooling.n_outputs))

    def _counts(self, name: str, size: list[int]) -> Tensor:  # noqa: ARG002 - there are lengths only
        return (self.length - torch.arange(size[0])).clamp_min(1)


class RecordingModule(DeclaredModule):
    """The module of a fitted LuMamba encoder or classifier, for recordings with the channels of fit.

    Values (B, L, C) in; the "embedding" (B, F) or "probabilities" (B, K) of the ``classes`` out.

    Parameters
    ----------
    encoder : LuMambaEncoder
        A fitted one.
    head : nn.Module or None
        From tokens to scores of classes.
    classes : list
        Of a classifier.
    length : int
        Samples L.

    Attributes
    ----------
    channels : list of str
        What the columns of values are.
    sfreq : float
        Samples per second that are expected.
    """

    points: Tensor
    numbers: Tensor
    center: Tensor
    spread: Tensor

    def __init__(self, encoder: LuMambaEncoder, head: nn.Module | None, classes: list[Any], length: int) -> None:
        super().__init__()
        self.channels, self.sfreq = list(encoder.channel_names_in_), float(encoder.sfreq_)
        self.classes, self.units = classes, encoder.normalisation_
        self.network: Any = copy.deepcopy(encoder.module_.encoder).cpu().eval()
        self.head: Any = None if head is None else copy.deepcopy(head).cpu().eval()
        count = len(self.channels)
        points = np.full((count, 3), np.nan)
        if encoder.on_scalp_:
            points = electrode_positions(self.channels, encoder.positions_)
        self.register_buffer("points", torch.from_numpy(points).float())
        self.register_buffer("numbers", torch.arange(1, count + 1))
        self.register_buffer("center", torch.from_numpy(encoder.center_.copy()))
        self.register_buffer("spread", torch.from_numpy(encoder.spread_.copy()))
        self.inputs = (Declared("values", ("batch", length, count), torch.float32, _SAMPLES),)
        self.outputs = (_probabilities(classes) if classes else _embedding(self.network.n_features),)

    def forward(self, values: Tensor) -> dict[str, Tensor]:
        """Answer.

        Parameters
        ----------
        values : Tensor of shape (B, L, C)
            Recordings in the units of the data; NaN where missing.

        Returns
        -------
        dict of Tensor
            The one that ``outputs`` names.

        Raises
        ------
        ValueError
            If the tensor has another shape.
        """
        self._check(values=values)
        level, size = self._units(values)
        x = ((values - level) / size).clamp(-_LARGEST_SAMPLE, _LARGEST_SAMPLE).float()
        batch = values.shape[0]
        tokens, _ = self.network(x, self.points.expand(batch, -1, -1), self.numbers.expand(batch, -1))
        answer = tokens.mean(1) if self.head is None else self.head(tokens).softmax(1)
        return {self.output_names[0]: answer.to(values.dtype)}

    def _units(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """What is taken off (B, 1, C) and divided by (C,) before the network, as `RecordingEstimator._units` does."""
        spread = self.spread.to(values.dtype)
        if self.units == "channel":
            return self.center.to(values.dtype).expand(values.shape[0], 1, -1), spread
        if self.units is None:
            return torch.zeros_like(values[:, :1]), torch.ones_like(spread)
        seen = ~values.isnan()
        first = values.nan_to_num(0.0).gather(1, seen.int().argmax(1, keepdim=True))
        if self.units == "running":
            return first, torch.ones_like(spread)
        # Sums of values far from zero would lose digits.
        deviation = torch.where(seen, values - first, 0.0).sum(1, keepdim=True)
        level = first + deviation / seen.sum(1, keepdim=True).clamp_min(1)
        return level, spread if self.units == "shared" else torch.ones_like(spread)


def _by_series(x: Tensor, mask: Tensor) -> Tensor:
    """Each channel of each series from its mean, in its standard deviations."""
    seen = ~x.isnan() & mask[..., None]
    count = seen.sum(1, keepdim=True).clamp_min(1)
    x = x - torch.where(seen, x, 0.0).sum(1, keepdim=True) / count
    spread = (torch.where(seen, x, 0.0).square().sum(1, keepdim=True) / count).sqrt()
    return x / torch.where(spread > 1e-9, spread, 1.0)


def _probabilities(classes: list[Any]) -> Declared:
    named = ", ".join(map(str, classes))
    return Declared("probabilities", ("batch", len(classes)), torch.float32, f"of the classes {named}")


def _embedding(count: int) -> Declared:
    return Declared("embedding", ("batch", count), torch.float32, "what transform gives")
