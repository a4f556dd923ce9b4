"""Forecasting with selective state spaces (Mamba; Gu and Dao 2023, arXiv 2312.00752)."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from tsrec.estimators._direct import DirectFamily
from tsrec.estimators._parameters import check_whole
from tsrec.estimators.baseline import DEFAULT_QUANTILES
from tsrec.layers.mamba import MambaStack


class MambaForecaster(DirectFamily):
    """Forecast with a linear map solved in closed form and a small Mamba on what it leaves over.

    As `LSSLForecaster`, but that the branch on patches is made of selective state spaces: what each token writes into
    the memory, for how long, and what is read of it depends on the token.

    Parameters
    ----------
    horizon, context, season, freq, features, linear, normalisation, patch
        As in `LSSLForecaster`.
    d_model : int
        Width of the branch.
    d_state : int
        States of each inner channel.
    d_conv : int
        Taps of the convolution before the states, in tokens.
    expand : int
        Inner channels, as a multiple of `d_model`.
    n_layers : int
        Layers.
    dropout, loss, max_epochs, learning_rate, n_members, recent, quantiles, device, random_state, verbose
        As in `LSSLForecaster`.

    Attributes
    ----------
    recipe_, season_, context_, patch_, linear_, normalisation_, dropout_, loss_, max_epochs_, n_members_, recent_
        As in `LSSLForecaster`.
    freq_, maps_, penalty_, share_, n_epochs_, history_, module_, panel_
        As in `LSSLForecaster`.

    References
    ----------
    Gu and Dao (2023), Mamba: Linear-Time Sequence Modeling with Selective State Spaces, arXiv 2312.00752.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> day = np.tile(np.sin(np.arange(24) / 24 * 2 * np.pi), 30)
    >>> y = pd.Series(day, pd.date_range("2024-01-01", periods=720, freq="h"))
    >>> forecaster = MambaForecaster(horizon=24, random_state=0).fit(y)
    >>> bool(abs(forecaster.predict() - day[:24]).max() < 0.05)
    True
    """

    BRANCH = "selective"

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
        d_state: int = 16,
        d_conv: int = 4,
        expand: int = 2,
        n_layers: int = 1,
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
        self.d_state = d_state
        self.d_conv = d_conv
        self.expand = expand
        self.n_layers = n_layers
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
        check_whole(self, "patch", auto=True)
        check_whole(self, "d_state", "d_conv", "expand", "n_layers")

    def _mixer(self, generator: torch.Generator) -> nn.Module:
        return MambaStack(
            self.d_model,
            self.n_layers,
            d_state=self.d_state,
            d_conv=self.d_conv,
            expand=self.expand,
            dropout=self.dropout_,
            generator=generator,
        )
