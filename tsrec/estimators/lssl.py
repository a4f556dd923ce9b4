"""Forecasting with linear state-space layers (LSSL; Gu et al. 2021, arXiv 2110.13985)."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from tsrec.estimators._direct import DirectFamily
from tsrec.estimators._parameters import check_whole
from tsrec.estimators.baseline import DEFAULT_QUANTILES
from tsrec.layers.lssl import stack_over


class LSSLForecaster(DirectFamily):
    """Forecast with a linear map solved in closed form and a small stack of LSSL-fixed layers on what it leaves over.

    Each window of the last `context` steps is brought to its own level (the last value) and scale. A ridge regression
    maps it to all `horizon` steps at once; the recurrent branch (patches, LSSL layers, a head that starts at zero)
    learns the rest, and has the share in the forecast that does best on a held-out tail, which may be none. One set of
    weights serves all series and all variables, but that up to seven variables have linear maps of their own, shrunk to
    that of all, where held-out rows are better for it.

    Parameters
    ----------
    horizon : int
        Steps forecast at once; further steps roll forward in blocks.
    context : int or "auto"
        Steps looked back on, at most as many as the longest series has; from the length of the history when "auto".
    season : int or "auto"
        Steps per season, to whose mean the linear map is shrunk; from the frequency and the data when "auto" (on
        sub-daily data the day and the week, of which held-out rows choose).
    freq : str or offset, optional
        Frequency of the index, where it cannot be read from it.
    features : {"calendar", "id"}, sequence of them, or None
        What is made of the index: what dates say of themselves (hour, weekday, month, working days, ...), known ahead
        as covariates of X are; which series it is, learned as a vector for each (zeros for series that are new).
    linear : {"auto", "ridge", "structural", "learned"} or None
        The linear map: solved in closed form; solved for what Gaussian processes of day, week, drift and noise leave
        over (:mod:`tsrec.layers.structural`), which "auto" is where a sub-daily series has less than half a year;
        trained with the rest; or none.
    normalisation : {"auto", "last", "mean", "level"}
        Level and scale of each window: last value and standard deviation, mean and standard deviation, or the last
        value for both.
    patch : int or "auto"
        Steps per token of the recurrent branch.
    d_model : int
        Width H of the branch.
    d_state : int
        State order N of each feature.
    n_layers : int
        Number of LSSL layers.
    dropout : float or "auto"
        Rate in the branch.
    loss : {"auto", "mse", "mae", "huber", "smape", "mase", "owa"}
        Of the point forecast, in units of each window. The last three are absolute errors in relation to the level of
        the window, to the usual step of the series, or to both, as panels are judged; the windows then weigh so also
        in a map that is solved for, which always minimises squares.
    max_epochs : int or "auto"
        Epochs of training, of at most 150 steps each; 0 leaves the linear map alone.
    learning_rate : float
        Peak of the one-cycle schedule.
    n_members : int or "auto"
        Networks trained from different seeds, whose mean is the forecast; one where nothing is trained.
    recent : int, "auto" or None
        Training windows of each series and variable, the latest ones; None for all.
    quantiles : sequence of float
        Levels that are trained; others are interpolated.
    device : str
        "auto", "cpu", "cuda", "cuda:1" or "mps". Small nets train fastest on the CPU, which is the default.
    random_state : int, RandomState or None
        Seed; with an int, fits on the same machine are equal bit for bit.
    verbose : int
        1 shows the progress of the linear map and of the epochs.

    Attributes
    ----------
    recipe_ : str
        The kind of data that "auto" parameters were chosen for.
    season_, context_, patch_, linear_, normalisation_, dropout_, loss_, max_epochs_, n_members_, recent_
        What "auto" became.
    day_ : int
        Steps of the season that a structural model is of.
    freq_ : str or None
        The frequency in use.
    maps_ : int
        Number of linear maps; 1 where the variables share one, or there is none.
    penalty_ : float
        Ridge penalty of the map of all, chosen by blocked validation, relative to the mean square of a feature
        (linear="ridge").
    share_ : float
        Share of the recurrent branch in the forecast, between 0 and 1 (linear="ridge").
    n_epochs_ : int
        Epochs trained; chosen on the held-out tail unless linear="ridge".
    history_ : DataFrame
        Losses by epoch.
    module_ : nn.Module
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
        features: str | Sequence[str] | None = None,
        linear: str | None = "auto",
        normalisation: str = "auto",
        patch: int | str = "auto",
        d_model: int = 32,
        d_state: int = 16,
        n_layers: int = 2,
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
        check_whole(self, "d_state", "n_layers")

    def _mixer(self, generator: torch.Generator) -> nn.Module:
        tokens = self.context_ // self.patch_
        options = {"d_state": self.d_state, "dropout": self.dropout_, "generator": generator}
        return stack_over(tokens, self.d_model, self.n_layers, **options)
