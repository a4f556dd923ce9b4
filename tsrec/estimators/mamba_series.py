"""Classes, numbers and embeddings of series by selective state spaces (Mamba; Gu and Dao 2023, arXiv 2312.00752)."""

from typing import Any

import torch
from torch import nn

from tsrec.estimators._classifier import SeriesClassifier
from tsrec.estimators._collection import CollectionEstimator
from tsrec.estimators._encoder import SeriesEncoder
from tsrec.estimators._parameters import check_choice, check_flag, check_whole
from tsrec.estimators._regressor import SeriesRegressor
from tsrec.layers.filter_bank import copies_for
from tsrec.layers.mamba import MERGES, MambaStack
from tsrec.layers.selective_bank import SelectiveBank

# Read-outs of each memory.
_READOUTS = 64


class MambaFamily(CollectionEstimator):
    """What the three share: how modules are built from the parameters."""

    d_model: int
    d_state: int
    d_conv: int
    expand: int
    n_layers: int
    dropout: float
    bidirectional: bool = False
    merge: str = "add"

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_whole(self, "d_state", "d_conv", "expand")
        check_flag(self, "bidirectional")
        check_choice(self, "merge", MERGES)

    def _filters(self, length: int, n_channels: int, generator: torch.Generator) -> nn.Module:
        return SelectiveBank(copies_for(n_channels), _READOUTS, length, d_state=self.d_state, generator=generator)

    def _mixer(self, length: int, generator: torch.Generator) -> nn.Module:  # noqa: ARG002 - step lengths are learned
        return MambaStack(
            self.d_model,
            self.n_layers,
            bidirectional=bool(self.bidirectional),
            merge=self.merge,
            d_state=self.d_state,
            d_conv=self.d_conv,
            expand=self.expand,
            dropout=self.dropout,
            generator=generator,
        )


class MambaClassifier(SeriesClassifier, MambaFamily):
    """Classify series by what selective state spaces make of them.

    With ``features="random"`` nothing is trained: random memories of the series, whose time runs faster or slower with
    what they see, are read by random vectors (filters), each filter's answers are summed up (share of time above eight
    thresholds, energy, extremes), and a ridge regression on these numbers is solved in closed form. With
    ``features="trained"`` a deep Mamba is trained by gradients; but for `d_state`, the parameters from `d_model` to
    `dropout` and from `max_epochs` to `learning_rate` are for that, and count for nothing otherwise.

    Parameters
    ----------
    features : {"auto", "random", "trained"}
        How series become numbers; "auto" trains from 4,000 series on.
    d_model : int
        Width of the trained layers.
    d_state : int
        States of each inner channel of trained layers, and of each random memory.
    d_conv : int
        Taps of the convolution before the states.
    expand : int
        Inner channels, as a multiple of `d_model`.
    n_layers : int
        Trained layers.
    bidirectional : bool
        Whether trained layers read both sides of a step (no streams then).
    merge : {"add", "multiply"}
        How the answers of both directions become one.
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
    classes_, features_, penalty_, sharpness_, center_, spread_, length_, n_channels_, n_epochs_, history_, module_
        As in :class:`LSSLClassifier`.

    Notes
    -----
    Random features follow another sampling rate (``rate``); trained layers count steps and take none. The random
    memories are Laguerre's functions of the past, with steps as long as the input says
    (:class:`tsrec.layers.selective_bank.SelectiveBank`); selection is the idea of the paper, this use of it is not in
    it. On folds of training parts (seed 0; accuracy in % and log loss) they are as good as those of
    :class:`LSSLClassifier` and :class:`TCNCAClassifier`: ArrowHead 84.7, 0.530 against 82.6, 0.579 and 84.0, 0.537;
    OSULeaf 95.5, 0.296 against 95.5, 0.213 and 94.5, 0.256; GunPoint 100 for all three; ItalyPowerDemand 97.0 for all.
    Linear memories of the same kind do about as well.

    References
    ----------
    Gu and Dao (2023), Mamba: Linear-Time Sequence Modeling with Selective State Spaces, arXiv 2312.00752. Both
    directions: LuMamba, arXiv 2603.19100. Dempster, Petitjean and Webb (2020), Rocket, arXiv 1910.13051.

    Examples
    --------
    >>> import numpy as np
    >>> time = np.arange(60)
    >>> X = [np.sin(time[: 40 + i] / (3 + i % 2)) for i in range(20)]
    >>> classifier = MambaClassifier(random_state=0).fit(X, ["fast", "slow"] * 10)
    >>> str(classifier.predict([np.sin(time / 4)])[0])
    'slow'
    """

    def __init__(
        self,
        *,
        features: str = "auto",
        d_model: int = 64,
        d_state: int = 16,
        d_conv: int = 4,
        expand: int = 2,
        n_layers: int = 2,
        bidirectional: bool = False,
        merge: str = "add",
        dropout: float = 0.1,
        normalisation: str | None = "channel",
        max_epochs: int | str = "auto",
        batch_size: int = 32,
        learning_rate: float = 2e-3,
        class_weight: Any = None,
        device: str = "cpu",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.features = features
        self.d_model = d_model
        self.d_state = d_state
        self.d_conv = d_conv
        self.expand = expand
        self.n_layers = n_layers
        self.bidirectional = bidirectional
        self.merge = merge
        self.dropout = dropout
        self.normalisation = normalisation
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.class_weight = class_weight
        self.device = device
        self.random_state = random_state
        self.verbose = verbose


class MambaRegressor(SeriesRegressor, MambaFamily):
    """Predict one or many numbers of a series by what selective state spaces make of it.

    As :class:`MambaClassifier`, with squared errors in place of classes.

    Parameters
    ----------
    features, d_model, d_state, d_conv, expand, n_layers, bidirectional, merge, dropout, normalisation
        As in :class:`MambaClassifier`.
    max_epochs, batch_size, learning_rate, device, random_state, verbose
        As in :class:`MambaClassifier`.

    Attributes
    ----------
    features_, penalty_, center_, spread_, length_, n_channels_, n_epochs_, history_, module_
        As in :class:`LSSLClassifier`.
    target_center_, target_spread_ : array of shape (n_targets,)
        Units of the targets.

    References
    ----------
    Gu and Dao (2023), Mamba, arXiv 2312.00752.

    Examples
    --------
    >>> import numpy as np
    >>> time, pace = np.arange(80), np.linspace(2, 6, 40)
    >>> regressor = MambaRegressor(random_state=0).fit(np.sin(time / pace[:, None]), pace)
    >>> bool(abs(regressor.predict(np.sin(time[None] / 3.3)) - 3.3) < 0.2)
    True
    """

    def __init__(
        self,
        *,
        features: str = "auto",
        d_model: int = 64,
        d_state: int = 16,
        d_conv: int = 4,
        expand: int = 2,
        n_layers: int = 2,
        bidirectional: bool = False,
        merge: str = "add",
        dropout: float = 0.1,
        normalisation: str | None = "channel",
        max_epochs: int | str = "auto",
        batch_size: int = 32,
        learning_rate: float = 2e-3,
        device: str = "cpu",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.features = features
        self.d_model = d_model
        self.d_state = d_state
        self.d_conv = d_conv
        self.expand = expand
        self.n_layers = n_layers
        self.bidirectional = bidirectional
        self.merge = merge
        self.dropout = dropout
        self.normalisation = normalisation
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.device = device
        self.random_state = random_state
        self.verbose = verbose


class MambaEncoder(SeriesEncoder, MambaFamily):
    """Embed series and their steps by a Mamba that has learned to continue series.

    No labels are needed: the model predicts the next step, also where stretches of the input are hidden from it.

    Parameters
    ----------
    d_model, d_state, d_conv, expand, n_layers, dropout
        As in :class:`MambaClassifier`.
    hidden : float
        Share of the steps that are hidden while training.
    crop : int
        Longest piece of a series in a step of training.
    normalisation, max_epochs, batch_size, learning_rate, device, random_state, verbose
        As in :class:`MambaClassifier`.

    Attributes
    ----------
    center_, spread_, length_, n_channels_, n_epochs_, history_, module_
        As in :class:`LSSLClassifier`; the history has the losses ("next", "masked") by epoch.

    References
    ----------
    Gu and Dao (2023), Mamba, arXiv 2312.00752.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.sin(np.arange(50) / np.linspace(2, 6, 10)[:, None])
    >>> encoder = MambaEncoder(d_model=8, max_epochs=2, random_state=0).fit(X)
    >>> encoder.transform(X).shape, encoder.transform_steps(X).shape
    ((10, 24), (500, 8))
    """

    def __init__(
        self,
        *,
        d_model: int = 64,
        d_state: int = 16,
        d_conv: int = 4,
        expand: int = 2,
        n_layers: int = 2,
        dropout: float = 0.0,
        hidden: float = 0.25,
        crop: int = 1024,
        normalisation: str | None = "channel",
        max_epochs: int | str = "auto",
        batch_size: int = 32,
        learning_rate: float = 2e-3,
        device: str = "cpu",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.d_model = d_model
        self.d_state = d_state
        self.d_conv = d_conv
        self.expand = expand
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
