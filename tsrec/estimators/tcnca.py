"""Forecasting with dilated convolutions and chunked attention (TCNCA; Terzic et al. 2023, arXiv 2312.05605)."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from tsrec.estimators._direct import DirectFamily
from tsrec.estimators._parameters import check_choice, check_flag, check_whole
from tsrec.estimators.baseline import DEFAULT_QUANTILES
from tsrec.frames import Panel
from tsrec.layers.chunked_attention import FUNCTIONS
from tsrec.layers.tcnca import TCNCAStack

# Shortest chunk of attention, in tokens.
_SHORTEST_CHUNK = 8
# Taps of convolutions that "auto" keeps within.
_LEAST_TAPS, _MOST_TAPS = 4, 8


class TCNCAForecaster(DirectFamily):
    """Forecast with a linear map solved in closed form and a small TCNCA on what it leaves over.

    As `LSSLForecaster`, but that the branch on patches is made of dilated convolutions, which reach over the whole
    context, and attention inside chunks, which are counted from the end of the context.

    Parameters
    ----------
    horizon, context, season, freq, features, linear, normalisation, patch
        As in `LSSLForecaster`.
    d_model : int
        Width D of the branch, of its values and of its feed-forward net; keys have half as much.
    n_layers : int
        Layers.
    chunk : int or "auto"
        Tokens of the chunks that attention stays in, at most as many as there are; at least eight when "auto", and
        whole seasons where a token is a whole part of one.
    kernel_size : int or "auto"
        Taps of the convolutions, and the factor between their dilations; there are as many as reach over the context.
        Between 4 and 8, so that two reach, when "auto".
    attention : {"softmax", "laplace", "relu2"}
        How much a key counts.
    gated : bool
        MEGA's gated attention, or the simplified form of the paper, which takes two thirds of the time.
    dropout, loss, max_epochs, learning_rate, n_members, recent, quantiles, device, random_state, verbose
        As in `LSSLForecaster`.

    Attributes
    ----------
    chunk_, kernel_size_ : int
        Tokens of a chunk, and taps.
    recipe_, season_, context_, patch_, linear_, normalisation_, dropout_, loss_, max_epochs_, n_members_, recent_
        As in `LSSLForecaster`.
    freq_, maps_, penalty_, share_, n_epochs_, history_, module_, panel_
        As in `LSSLForecaster`.

    References
    ----------
    Terzic, Hersche, Karunaratne, Benini, Sebastian and Rahimi (2023), TCNCA: Temporal Convolution Network with Chunked
    Attention for Scalable Sequence Processing, arXiv 2312.05605.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> day = np.tile(np.sin(np.arange(24) / 24 * 2 * np.pi), 30)
    >>> y = pd.Series(day, pd.date_range("2024-01-01", periods=720, freq="h"))
    >>> forecaster = TCNCAForecaster(horizon=24, random_state=0).fit(y)
    >>> bool(abs(forecaster.predict() - day[:24]).max() < 0.05)
    True
    """

    BRANCH = "convolution"

    def __init__(
        self,
        *,
        horizon: int = 24,
        context: int | str = "auto",
        season: int | str = "auto",
        freq: Any = None,
        features: str | Sequence[str] | None = None,
        linear: str | None = "auto",
        normalisation: str = "auto",
        patch: int | str = "auto",
        d_model: int = 32,
        n_layers: int = 1,
        chunk: int | str = "auto",
        kernel_size: int | str = "auto",
        attention: str = "softmax",
        gated: bool = False,
        dropout: float | str = "auto",
        loss: str = "auto",
        max_epochs: int | str = "auto",
        learning_rate: float = 5e-3,
        n_members: int | str = "auto",
        recent: int | str | None = "auto",
        quantiles: Sequence[float] = DEFAULT_QUANTILES,
        device: str = "cpu",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.horizon = horizon
        self.context = context
        self.season = season
        self.freq = freq
        self.features = features
        self.linear = linear
        self.normalisation = normalisation
        self.patch = patch
        self.d_model = d_model
        self.n_layers = n_layers
        self.chunk = chunk
        self.kernel_size = kernel_size
        self.attention = attention
        self.gated = gated
        self.dropout = dropout
        self.loss = loss
        self.max_epochs = max_epochs
        self.learning_rate = learning_rate
        self.n_members = n_members
        self.recent = recent
        self.quantiles = quantiles
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_whole(self, "patch", "chunk", auto=True)
        check_whole(self, "n_layers")
        check_whole(self, "kernel_size", least=2, auto=True)
        check_choice(self, "attention", FUNCTIONS)
        check_flag(self, "gated")

    def _choose(self, panel: Panel) -> None:
        super()._choose(panel)
        season = max(self.season_ // self.patch_, 1)
        seasons = -(-_SHORTEST_CHUNK // season) * season
        tokens = self.context_ // self.patch_
        self.chunk_ = min(seasons if self.chunk == "auto" else int(self.chunk), tokens)
        taps = min(max(math.isqrt(tokens - 1) + 1, _LEAST_TAPS), _MOST_TAPS)
        self.kernel_size_ = taps if self.kernel_size == "auto" else int(self.kernel_size)

    def _mixer(self, generator: torch.Generator) -> nn.Module:
        tokens = self.context_ // self.patch_
        return TCNCAStack(
            self.d_model,
            self.n_layers,
            d_value=self.d_model,
            d_hidden=self.d_model,
            chunk=self.chunk_,
            reach=tokens,
            kernel_size=self.kernel_size_,
            gated=bool(self.gated),
            attention=self.attention,
            dropout=self.dropout_,
            anchor=tokens,
            generator=generator,
        )
