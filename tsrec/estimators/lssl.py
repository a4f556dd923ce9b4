"""Forecasting with linear state-space layers (LSSL; Gu et al. 2021, arXiv 2110.13985)."""

from collections.abc import Sequence
from numbers import Real
from typing import Any

import torch
from torch import nn

from tsrec.estimators._torch_forecaster import TorchForecaster
from tsrec.estimators.baseline import DEFAULT_QUANTILES
from tsrec.frames import Panel
from tsrec.layers.forecast import LOSSES, DirectForecaster
from tsrec.layers.lssl import LSSLStack

_TOKENS = 7
_MANY_SERIES = 8


class LSSLForecaster(TorchForecaster):
    """Forecast with a linear map solved in closed form and a small stack of LSSL-fixed layers on what it leaves over.

    Each window of the last `context` steps is brought to its own level (the last value) and scale. A ridge regression
    maps it to all `horizon` steps at once; the recurrent branch (patches, LSSL layers, a head that starts at zero)
    learns the rest, and has the share in the forecast that does best on a held-out tail, which may be none. One set of
    weights serves all variables and all series.

    Parameters
    ----------
    horizon : int
        Steps forecast at once; further steps roll forward in blocks.
    context : int or "auto"
        Steps looked back on, at most as many as the longest series has; from the length of the history when "auto".
    season : int or "auto"
        Steps per season, to which the linear map is shrunk; from the frequency and the data when "auto".
    freq : str or offset, optional
        Frequency of the index, where it cannot be read from it.
    linear : {"ridge", "learned"} or None
        The linear map: solved in closed form, trained with the rest, or none.
    patch : int or "auto"
        Steps per token of the recurrent branch.
    d_model : int
        Width H of the branch.
    d_state : int
        State order N of each feature.
    n_layers : int
        Number of LSSL layers.
    dropout : float
        Rate in the branch.
    loss : {"auto", "mse", "mae", "huber"}
        Of the point forecast; "auto" is "mae" for panels of eight series and more, "mse" otherwise.
    max_epochs : int
        Epochs of training, of at most 150 steps each; 0 leaves the linear map alone.
    learning_rate : float
        Peak of the one-cycle schedule.
    quantiles : sequence of float
        Levels that are trained; others are interpolated.
    device : str
        "auto", "cpu", "cuda", "cuda:1" or "mps". Small nets train fastest on the CPU, which is the default.
    random_state : int, RandomState or None
        Seed; with an int, fits on the same machine are equal bit for bit.
    verbose : int
        1 shows the progress of the epochs.

    Attributes
    ----------
    season_, context_, patch_ : int
        What "auto" became.
    loss_ : str
        The loss in use.
    freq_ : str or None
        The frequency in use.
    penalty_ : float
        Ridge penalty chosen by blocked validation, relative to the mean square of a feature (linear="ridge").
    share_ : float
        Share of the recurrent branch in the forecast, between 0 and 1 (linear="ridge").
    n_epochs_ : int
        Epochs trained; chosen on the held-out tail unless linear="ridge".
    history_ : DataFrame
        Losses by epoch.
    module_ : DirectForecaster
        The fitted module.
    panel_ : Panel
        The history.

    References
    ----------
    Gu, Johnson, Goel, Saab, Dao, Rudra and Re (2021), Combining recurrent, convolutional, and continuous-time models
    with linear state-space layers, arXiv 2110.13985.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> day = np.tile(np.sin(np.arange(24) / 24 * 2 * np.pi), 30)
    >>> y = pd.Series(day, pd.date_range("2024-01-01", periods=720, freq="h"))
    >>> forecaster = LSSLForecaster(horizon=24, random_state=0).fit(y)
    >>> bool(abs(forecaster.predict() - day[:24]).max() < 0.05)
    True
    """

    def __init__(
        self,
        *,
        horizon: int = 24,
        context: int | str = "auto",
        season: int | str = "auto",
        freq: Any = None,
        linear: str | None = "ridge",
        patch: int | str = "auto",
        d_model: int = 32,
        d_state: int = 16,
        n_layers: int = 2,
        dropout: float = 0.0,
        loss: str = "auto",
        max_epochs: int = 3,
        learning_rate: float = 5e-3,
        quantiles: Sequence[float] = DEFAULT_QUANTILES,
        device: str = "cpu",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.horizon = horizon
        self.context = context
        self.season = season
        self.freq = freq
        self.linear = linear
        self.patch = patch
        self.d_model = d_model
        self.d_state = d_state
        self.n_layers = n_layers
        self.dropout = dropout
        self.loss = loss
        self.max_epochs = max_epochs
        self.learning_rate = learning_rate
        self.quantiles = quantiles
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def _check_parameters(self) -> None:
        super()._check_parameters()
        self._check_whole("patch", auto=True)
        self._check_whole("d_model", "d_state", "n_layers")
        if self.linear not in ("ridge", "learned", None):
            raise ValueError(f"linear={self.linear!r} is not known; use 'ridge', 'learned' or None.")
        if self.loss not in ("auto", *LOSSES):
            raise ValueError(f"loss={self.loss!r} is not known; use one of {('auto', *LOSSES)}.")
        if not isinstance(self.dropout, Real) or not 0 <= self.dropout < 1:
            raise ValueError(f"dropout: found {self.dropout!r}. Give a share of at least 0 and below 1.")

    def _choose(self, panel: Panel) -> None:
        super()._choose(panel)
        self.loss_ = self.loss if self.loss != "auto" else ("mae" if panel.n_series >= _MANY_SERIES else "mse")
        if self.patch == "auto":
            patch = max(self.context_ // _TOKENS, 1)
            self.patch_ = patch // self.season_ * self.season_ if patch >= self.season_ else patch
        else:
            self.patch_ = min(int(self.patch), self.context_)

    def _build(self, n_features: int, generator: torch.Generator) -> nn.Module:
        tokens = self.context_ // self.patch_
        mixer = None
        if self.max_epochs:
            # A feature remembers about 1/dt tokens: from a tenth of the context to four times as much.
            mixer = LSSLStack(
                self.d_model,
                self.n_layers,
                d_state=self.d_state,
                dt_min=0.25 / tokens,
                dt_max=10 / tokens,
                fixed=True,
                dropout=self.dropout,
                generator=generator,
            )
        return DirectForecaster(
            mixer,
            context=self.context_,
            horizon=self.horizon_,
            d_model=self.d_model,
            patch=self.patch_,
            covariates=n_features,
            levels=self.levels_.tolist(),
            linear=self.linear,
            loss=self.loss_,
            dropout=self.dropout,
            generator=generator,
        )
