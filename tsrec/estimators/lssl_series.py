"""Classes, numbers and embeddings of series by linear state-space layers (LSSL; Gu et al. 2021, arXiv 2110.13985)."""

from typing import Any

import torch
from torch import nn

from tsrec.estimators._classifier import SeriesClassifier
from tsrec.estimators._collection import CollectionEstimator
from tsrec.estimators._encoder import SeriesEncoder
from tsrec.estimators._parameters import check_whole
from tsrec.estimators._regressor import SeriesRegressor
from tsrec.layers.filter_bank import FilterBank, copies_for
from tsrec.layers.lssl import LSSLStack

# Read-outs of each memory.
_READOUTS = 64


class LSSLFamily(CollectionEstimator):
    """What the three share: how modules are built from the parameters."""

    d_model: int
    d_state: int
    n_layers: int
    dropout: float

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_whole(self, "d_state")

    def _filters(self, length: int, n_channels: int, generator: torch.Generator) -> nn.Module:
        return FilterBank(copies_for(n_channels), _READOUTS, length, d_state=self.d_state, generator=generator)

    def _mixer(self, length: int, generator: torch.Generator) -> nn.Module:
        # A feature remembers about 1/dt steps: from a hundredth of the length to all of it (Appendix B.3).
        return LSSLStack(
            self.d_model,
            self.n_layers,
            d_state=self.d_state,
            dt_min=min(1 / length, 0.5),
            dt_max=min(100 / length, 1.0),
            fixed=True,
            dropout=self.dropout,
            generator=generator,
        )


class LSSLClassifier(SeriesClassifier, LSSLFamily):
    """Classify series by what linear state-space layers make of them.

    With ``features="random"`` nothing is trained: HiPPO memories of the series at twelve time scales are read by random
    vectors (filters), each filter's answers are summed up (share of time above eight thresholds, energy, extremes), and
    a ridge regression on these numbers is solved in closed form. That takes seconds and was better than training on all
    sets of up to some thousand series that were tried. With ``features="trained"`` a deep LSSL is trained by gradients,
    as in the paper.

    Parameters
    ----------
    features : {"auto", "random", "trained"}
        How series become numbers; "auto" trains from 4,000 series on.
    d_model : int
        Width H of the trained layers.
    d_state : int
        State order N of each feature.
    n_layers : int
        Trained layers.
    dropout : float
        Rate in the trained layers.
    normalisation : {"channel", "series"} or None
        Units of the values: of each channel over all series; of each series by itself, besides (no streams then); or
        as they are.
    max_epochs : int or "auto"
        Epochs of training; about 1,000 steps when "auto".
    batch_size : int
        Series per step of training.
    learning_rate : float
        Peak of the one-cycle schedule.
    class_weight : dict, "balanced" or None
        Weights of the classes.
    device : str
        "auto", "cpu", "cuda", "cuda:1" or "mps".
    random_state : int, RandomState or None
        Seed; with an int, fits on the same machine are equal bit for bit.
    verbose : int
        1 shows the progress of the epochs.

    Attributes
    ----------
    classes_ : array
        The classes.
    features_ : str
        What "auto" became.
    penalty_ : float
        Ridge penalty, chosen by leaving series out (features="random").
    sharpness_ : float
        What scores are multiplied by to be log odds, by series left out.
    center_, spread_ : array of shape (n_channels,)
        Units of the values.
    length_ : int
        Steps of the longest training series.
    n_channels_ : int
        Channels.
    n_epochs_, history_ : int, DataFrame
        Epochs trained and their losses (features="trained").
    module_ : nn.Module
        The fitted module.

    References
    ----------
    Gu, Johnson, Goel, Saab, Dao, Rudra and Re (2021), Combining recurrent, convolutional, and continuous-time models
    with linear state-space layers, arXiv 2110.13985. Dempster, Petitjean and Webb (2020), Rocket, arXiv 1910.13051.

    Examples
    --------
    >>> import numpy as np
    >>> time = np.arange(60)
    >>> X = [np.sin(time[: 40 + i] / (3 + i % 2)) for i in range(20)]
    >>> classifier = LSSLClassifier(random_state=0).fit(X, ["fast", "slow"] * 10)
    >>> str(classifier.predict([np.sin(time / 4)])[0])
    'slow'
    """

    def __init__(
        self,
        *,
        features: str = "auto",
        d_model: int = 64,
        d_state: int = 16,
        n_layers: int = 4,
        dropout: float = 0.1,
        normalisation: str | None = "channel",
        max_epochs: int | str = "auto",
        batch_size: int = 32,
        learning_rate: float = 5e-3,
        class_weight: Any = None,
        device: str = "cpu",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.features = features
        self.d_model = d_model
        self.d_state = d_state
        self.n_layers = n_layers
        self.dropout = dropout
        self.normalisation = normalisation
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.class_weight = class_weight
        self.device = device
        self.random_state = random_state
        self.verbose = verbose


class LSSLRegressor(SeriesRegressor, LSSLFamily):
    """Predict one or many numbers of a series by what linear state-space layers make of it.

    As :class:`LSSLClassifier`, with squared errors in place of classes.

    Parameters
    ----------
    features, d_model, d_state, n_layers, dropout, normalisation, max_epochs, batch_size, learning_rate
        As in :class:`LSSLClassifier`.
    device, random_state, verbose
        As in :class:`LSSLClassifier`.

    Attributes
    ----------
    features_, penalty_, center_, spread_, length_, n_channels_, n_epochs_, history_, module_
        As in :class:`LSSLClassifier`.
    target_center_, target_spread_ : array of shape (n_targets,)
        Units of the targets.

    References
    ----------
    Gu, Johnson, Goel, Saab, Dao, Rudra and Re (2021), Combining recurrent, convolutional, and continuous-time models
    with linear state-space layers, arXiv 2110.13985.

    Examples
    --------
    >>> import numpy as np
    >>> time, pace = np.arange(80), np.linspace(2, 6, 40)
    >>> regressor = LSSLRegressor(random_state=0).fit(np.sin(time / pace[:, None]), pace)
    >>> bool(abs(regressor.predict(np.sin(time[None] / 3.3)) - 3.3) < 0.2)
    True
    """

    def __init__(
        self,
        *,
        features: str = "auto",
        d_model: int = 64,
        d_state: int = 16,
        n_layers: int = 4,
        dropout: float = 0.1,
        normalisation: str | None = "channel",
        max_epochs: int | str = "auto",
        batch_size: int = 32,
        learning_rate: float = 5e-3,
        device: str = "cpu",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.features = features
        self.d_model = d_model
        self.d_state = d_state
        self.n_layers = n_layers
        self.dropout = dropout
        self.normalisation = normalisation
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.device = device
        self.random_state = random_state
        self.verbose = verbose


class LSSLEncoder(SeriesEncoder, LSSLFamily):
    """Embed series and their steps by linear state-space layers that have learned to continue series.

    No labels are needed: the model predicts the next step, also where stretches of the input are hidden from it.

    Parameters
    ----------
    d_model, d_state, n_layers, dropout
        As in :class:`LSSLClassifier`.
    hidden : float
        Share of the steps that are hidden while training.
    crop : int
        Longest piece of a series in a step of training.
    normalisation, max_epochs, batch_size, learning_rate, device, random_state, verbose
        As in :class:`LSSLClassifier`.

    Attributes
    ----------
    center_, spread_, length_, n_channels_, n_epochs_, history_, module_
        As in :class:`LSSLClassifier`; the history has the losses ("next", "masked") by epoch.

    References
    ----------
    Gu, Johnson, Goel, Saab, Dao, Rudra and Re (2021), Combining recurrent, convolutional, and continuous-time models
    with linear state-space layers, arXiv 2110.13985.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.sin(np.arange(50) / np.linspace(2, 6, 10)[:, None])
    >>> encoder = LSSLEncoder(d_model=8, max_epochs=2, random_state=0).fit(X)
    >>> encoder.transform(X).shape, encoder.transform_steps(X).shape
    ((10, 24), (500, 8))
    """

    def __init__(
        self,
        *,
        d_model: int = 64,
        d_state: int = 16,
        n_layers: int = 3,
        dropout: float = 0.0,
        hidden: float = 0.25,
        crop: int = 1024,
        normalisation: str | None = "channel",
        max_epochs: int | str = "auto",
        batch_size: int = 32,
        learning_rate: float = 5e-3,
        device: str = "cpu",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.d_model = d_model
        self.d_state = d_state
        self.n_layers = n_layers
        self.dropout = dropout
        self.hidden = hidden
        self.crop = crop
        self.normalisation = normalisation
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.device = device
        self.random_state = random_state
        self.verbose = verbose
