"""Rivals of eeg.py: logistic regression on band power, and the networks EEGNet and ShallowFBCSPNet of braindecode.

Each is a function of a task, the windows to learn from, those to score, and a seed; it gives scores (n, K) and seconds.
The networks need the environment of requirements-eeg-peers.txt.
"""

import functools
import importlib
import importlib.metadata
import math
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple
from unittest.mock import MagicMock

import numpy as np
import torch
from _eeg_data import Task, folds, laplacian
from scipy.signal import resample_poly, welch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

# Hz: delta, theta, alpha, beta, gamma.
_RANGES = ((1, 4), (4, 8), (8, 13), (13, 30), (30, 45))
_PENALTIES = np.logspace(-5, 1, 7)
Model = Callable[[Task, np.ndarray, np.ndarray, int], tuple[np.ndarray, float]]


def regression(features: np.ndarray, task: Task, fit: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Logistic regression on standardised features; the penalty is the best on the folds of what it learns from."""

    def scores(penalty: float, known: np.ndarray, unknown: np.ndarray) -> np.ndarray:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=penalty, max_iter=5000))
        return model.fit(features[known], task.y[known]).predict_proba(features[unknown])

    kinds = np.unique(task.y[fit])
    losses = [
        np.mean([log_loss(task.y[b], scores(penalty, a, b), labels=kinds) for a, b in folds(task, fit)])
        for penalty in _PENALTIES
    ]
    return scores(float(_PENALTIES[np.argmin(losses)]), fit, asked)


def band_power(task: Task, fit: np.ndarray, asked: np.ndarray, seed: int) -> tuple[np.ndarray, float]:  # noqa: ARG001
    """Logarithm of the mean power by channel and range, of the ranges inside the pass band."""
    began = time.perf_counter()
    length = min(task.windows.shape[2], int(task.sfreq))
    frequencies, power = welch(task.windows, task.sfreq, nperseg=length)
    low, high = task.band or (0, np.inf)
    parts = [power[..., (frequencies >= a) & (frequencies < b)].mean(-1) for a, b in _RANGES if a >= low and b <= high]
    # A flat lead has no power.
    features = np.log(np.concatenate(parts, axis=1) + 1e-6)
    return regression(features, task, fit, asked), time.perf_counter() - began


def of_laplacian(model: Model) -> Model:
    """A model of what is left where neighbours have been subtracted."""

    def asked_of(task: Task, fit: np.ndarray, asked: np.ndarray, seed: int) -> tuple[np.ndarray, float]:
        began = time.perf_counter()
        derived = laplacian(task)
        spent = time.perf_counter() - began
        scores, seconds = model(derived, fit, asked, seed)
        return scores, spent + seconds

    return asked_of


class _Net(NamedTuple):
    """A network of braindecode, the rate it was made for (None: that of the data), its learning rate and epochs."""

    name: str
    sfreq: float | None
    rate: float
    epochs: int
    options: dict[str, Any]


_NETS = {
    "EEGNet": _Net("EEGNet", 128.0, 1e-3, 150, {"final_layer_with_constraint": True}),
    "ShallowFBCSP": _Net("ShallowFBCSPNet", None, 6.25e-4, 60, {}),
}
# With few windows epochs are more, to have so many steps. Epochs chosen by the loss of a fold put aside were too few on
# `eyes`, where ten windows say little: 0.53 against 0.77 for EEGNet on the validation folds.
_STEPS, _BATCH = 300, 32


def network(kind: str, task: Task, fit: np.ndarray, asked: np.ndarray, seed: int) -> tuple[np.ndarray, float]:
    """A network that learns from standardised windows, and its probabilities."""
    net = _NETS[kind]
    windows, sfreq = _resampled(task, net.sfreq)
    began = time.perf_counter()
    known = windows[fit]
    mean, deviation = known.mean((0, 2), keepdims=True), known.std((0, 2), keepdims=True)
    scaled = torch.as_tensor((windows - mean) / np.maximum(deviation, 1e-8), dtype=torch.float32)
    module = _trained(net, sfreq, scaled[fit], torch.as_tensor(task.y[fit]), int(task.y.max()) + 1, seed)
    module.eval()
    with torch.inference_mode():
        scores = torch.cat([module(part) for part in scaled[asked].split(64)]).double().softmax(1).numpy()
    return scores, time.perf_counter() - began


def _resampled(task: Task, wanted: float | None) -> tuple[np.ndarray, float]:
    if wanted is None or wanted == task.sfreq:
        return task.windows, task.sfreq
    divisor = math.gcd(int(wanted), int(task.sfreq))
    up, down = int(wanted) // divisor, int(task.sfreq) // divisor
    return resample_poly(task.windows, up, down, axis=-1, padtype="line"), wanted


def _trained(net: _Net, sfreq: float, X: torch.Tensor, y: torch.Tensor, classes: int, seed: int) -> nn.Module:
    """AdamW with a rate that falls to zero by a cosine."""
    torch.manual_seed(seed)
    module = _made(net, X.shape[1], classes, X.shape[2], sfreq)
    moments = _moments(X, module)
    optimizer = torch.optim.AdamW(module.parameters(), lr=net.rate)
    batches = math.ceil(len(X) / _BATCH)
    epochs = max(net.epochs, math.ceil(_STEPS / batches))
    module.train()
    for epoch in range(epochs):
        optimizer.param_groups[0]["lr"] = net.rate * (1 + math.cos(math.pi * epoch / epochs)) / 2
        # Batches of equal size: none of one or two windows, whose statistics would be poor.
        for rows in torch.randperm(len(X)).tensor_split(batches):
            if moments is not None:
                module.conv_temporal.moments = moments[rows].mean(0)
            optimizer.zero_grad(set_to_none=True)
            nn.functional.cross_entropy(module(X[rows]), y[rows]).backward()
            optimizer.step()
    return module


def _made(net: _Net, channels: int, classes: int, length: int, sfreq: float) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = getattr(_braindecode(), net.name)(
            n_chans=channels, n_outputs=classes, n_times=length, sfreq=sfreq, **net.options
        )
    if hasattr(made, "conv_time_spat"):
        made.conv_time_spat = _OneConvolution(made.conv_time_spat)
    else:
        made.conv_temporal = _SpaceFirst(made.conv_temporal, made.bnorm_temporal, made.conv_spatial)
        made.bnorm_temporal = made.conv_spatial = nn.Identity()
    return made


class _OneConvolution(nn.Module):
    """braindecode's convolution over time and space, as one over time of all channels: the same, but much faster."""

    def __init__(self, both: nn.Module) -> None:
        super().__init__()
        self.time, self.space = both.conv_time, both.conv_spat

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        space = self.space.weight.squeeze(2)
        weight = torch.einsum("oic,it->oct", space, self.time.weight[:, 0, :, 0])
        bias = space.sum(-1) @ self.time.bias
        return nn.functional.conv1d(x[:, 0].transpose(1, 2), weight, bias)[..., None]


class _SpaceFirst(nn.Module):
    """EEGNet's convolution over time, its normalisation and that over space, with space first: the same, but faster.

    The normalisation needs mean and variance of a convolution that is not computed; `moments` has them for any filter.
    """

    def __init__(self, time: nn.Module, norm: nn.Module, space: nn.Module) -> None:
        super().__init__()
        self.time, self.norm, self.space = time, norm, space
        self.moments: torch.Tensor | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        taps, space, norm = self.time.weight[:, 0, 0], self.space.weight[:, 0, :, 0], self.norm
        length = taps.shape[1]
        mean, variance = norm.running_mean, norm.running_var
        if self.training:
            mean = taps @ self.moments[-1]
            variance = ((taps @ self.moments[:-1]) * taps).sum(1) - mean**2
            count = x.numel() // x.shape[-1] * (x.shape[-1] + 1)
            norm.running_mean.lerp_(mean.detach(), norm.momentum)
            norm.running_var.lerp_(variance.detach() * count / (count - 1), norm.momentum)
        gain = norm.weight / (variance + norm.eps).sqrt()
        each = len(space) // len(taps)
        weight = (taps * gain[:, None]).repeat_interleave(each, 0)[:, None]
        shift = (norm.bias - mean * gain).repeat_interleave(each) * space.sum(1)
        maps = torch.einsum("bct,oc->bot", x[:, 0], space)
        return (nn.functional.conv1d(maps, weight, shift, padding=length // 2, groups=len(space)))[:, :, None]


def _moments(X: torch.Tensor, module: nn.Module) -> torch.Tensor | None:
    """Of each window (length + 1, length): mean products of values at two places under a filter, and mean values."""
    if not isinstance(getattr(module, "conv_temporal", None), _SpaceFirst):
        return None
    length = module.conv_temporal.time.weight.shape[-1]
    found = []
    for window in X.double():
        under = nn.functional.pad(window, (length // 2, length // 2)).unfold(1, length, 1).reshape(-1, length)
        found.append(torch.cat([under.T @ under / len(under), under.mean(0, keepdim=True)]))
    return torch.stack(found).float()


@functools.cache
def _braindecode() -> Any:
    """braindecode's models. It imports torchaudio, whose wheel asks for CUDA's libraries; neither network needs it."""
    try:
        importlib.import_module("torchaudio")
    except (ImportError, OSError):
        for name in [one for one in sys.modules if one.split(".")[0] == "torchaudio"]:
            del sys.modules[name]
        sys.modules |= {f"torchaudio{end}": MagicMock() for end in ("", ".functional", ".transforms")}
    return importlib.import_module("braindecode.models")


def versions() -> dict[str, str]:
    """Versions of the rivals' packages, of those that are there."""
    found = {}
    for name in ("braindecode", "scikit-learn", "scipy"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


RIVALS = {
    "band power": band_power,
    "band power, Laplacian": of_laplacian(band_power),
    "EEGNet": functools.partial(network, "EEGNet"),
    "EEGNet, Laplacian": of_laplacian(functools.partial(network, "EEGNet")),
    "ShallowFBCSP": functools.partial(network, "ShallowFBCSP"),
}
