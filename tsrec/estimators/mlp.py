"""Forecasting with a multilayer perceptron: what a network without recurrence reaches."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from tsrec.estimators._direct import DirectFamily
from tsrec.estimators._parameters import check_whole
from tsrec.estimators.baseline import DEFAULT_QUANTILES
from tsrec.layers.mlp import PointwiseMLP


class MLPForecaster(DirectFamily):
    """Forecast with a multilayer perceptron on the whole window, beside a linear map or alone.

    It stands where a recurrent mixer stands in the other families, with everything else the same, and is the measure
    of what recurrence adds. On short series of a panel it is often the best of all.

    Parameters
    ----------
    horizon, context, season, freq, features, linear, normalisation
        As in `LSSLForecaster`.
    d_model : int
        Width of the hidden layers.
    n_layers : int
        Hidden layers.
    dropout, loss, max_epochs
        As in `LSSLForecaster`.
    learning_rate : float
        Peak of the one-cycle schedule.
    n_members, recent, quantiles, device, random_state, verbose
        As in `LSSLForecaster`.

    Attributes
    ----------
    recipe_ : str
        The kind of data that "auto" parameters were chosen for.
    season_, context_, linear_, normalisation_, dropout_, loss_, max_epochs_, n_members_, recent_
        What "auto" became.
    maps_, penalty_, share_
        With a map that is solved for, as in `LSSLForecaster`.
    history_ : DataFrame
        Losses by epoch.
    module_ : nn.Module
        The fitted module.
    panel_ : Panel
        The history.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> day = np.tile(np.sin(np.arange(24) / 24 * 2 * np.pi), 30)
    >>> y = pd.Series(day, pd.date_range("2024-01-01", periods=720, freq="h"))
    >>> forecaster = MLPForecaster(horizon=24, random_state=0).fit(y)
    >>> bool(abs(forecaster.predict() - day[:24]).max() < 0.05)
    True
    """

    BRANCH = "network"

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
        d_model: int = 256,
        n_layers: int = 1,
        dropout: float | str = "auto",
        loss: str = "auto",
        max_epochs: int | str = "auto",
        learning_rate: float = 2e-3,
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
        self.d_model = d_model
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
        check_whole(self, "n_layers")

    def _patch(self) -> int:
        return self.context_

    def _mixer(self, generator: torch.Generator) -> nn.Module:
        return PointwiseMLP(self.d_model, self.n_layers, dropout=self.dropout_, generator=generator)
