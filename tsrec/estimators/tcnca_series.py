"""Classes, numbers and embeddings of series by dilated convolutions and chunked attention (TCNCA; arXiv 2312.05605)."""

from typing import Any

import torch
from torch import nn

from tsrec.estimators._classifier import SeriesClassifier
from tsrec.estimators._collection import CollectionEstimator
from tsrec.estimators._encoder import SeriesEncoder
from tsrec.estimators._parameters import check_choice, check_flag, check_whole
from tsrec.estimators._regressor import SeriesRegressor
from tsrec.layers.chunked_attention import FUNCTIONS
from tsrec.layers.filter_bank import ConvolutionBank, copies_for
from tsrec.layers.tcnca import TCNCAStack

# Random convolutions of each dilation.
_READOUTS = 64
# Trained convolutions reach over the whole series, but no further than MEGA's average did on long ones.
_FURTHEST = 4096


class TCNCAFamily(CollectionEstimator):
    """What the three share: how modules are built from the parameters."""

    d_model: int
    n_layers: int
    chunk: int
    kernel_size: int | str
    attention: str
    gated: bool
    dropout: float
    bidirectional: bool = False

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_whole(self, "chunk")
        check_whole(self, "kernel_size", least=2, auto=True)
        check_choice(self, "attention", FUNCTIONS)
        check_flag(self, "gated", "bidirectional")
        if self.bidirectional and self.kernel_size != "auto" and self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size: found {self.kernel_size}. With bidirectional=True give an odd number.")

    def _filters(self, length: int, n_channels: int, generator: torch.Generator) -> nn.Module:
        return ConvolutionBank(copies_for(n_channels), _READOUTS, length, generator=generator)

    def _mixer(self, length: int, generator: torch.Generator) -> nn.Module:
        chunk = min(self.chunk, length)
        taps = (5 if self.bidirectional else 4) if self.kernel_size == "auto" else int(self.kernel_size)
        return TCNCAStack(
            self.d_model,
            self.n_layers,
            chunk=chunk,
            reach=max(chunk, min(length, _FURTHEST)),
            kernel_size=taps,
            causal=not self.bidirectional,
            gated=bool(self.gated),
            attention=self.attention,
            dropout=self.dropout,
            generator=generator,
        )


class TCNCAClassifier(SeriesClassifier, TCNCAFamily):
    """Classify series by what dilated convolutions and chunked attention make of them.

    With ``features="random"`` nothing is trained: random dilated convolutions from neighbouring steps to the whole
    series are summed up (share of time above eight thresholds, energy, extremes), as in Rocket, and a ridge regression
    on these numbers is solved in closed form. With ``features="trained"`` a deep TCNCA is trained by gradients; the
    parameters from `d_model` to `dropout` and from `max_epochs` to `learning_rate` are for that, and count for nothing
    otherwise.

    Parameters
    ----------
    features : {"auto", "random", "trained"}
        How series become numbers; "auto" trains from 4,000 series on.
    d_model : int
        Width D of the trained layers; keys have half, values and the feed-forward net twice as much.
    n_layers : int
        Trained layers.
    chunk : int
        Steps of the chunks that attention stays in; convolutions carry what must pass between them.
    kernel_size : int or "auto"
        Taps of the trained convolutions, and the factor between their dilations (about half as much if bidirectional);
        there are as many as reach over the series, at most over 4,096 steps. 4 when "auto", or 5 (an odd number is
        needed) if bidirectional.
    attention : {"softmax", "laplace", "relu2"}
        How much a key counts.
    gated : bool
        MEGA's gated attention, or the simplified form of the paper.
    bidirectional : bool
        Whether trained layers read both sides of a step (no streams then).
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
    Convolutions count steps: there is no ``rate`` but 1. The paper's text was not at hand when this was written, only
    its abstract; the inside of the convolution network and the simplified form are reconstructions.

    References
    ----------
    Terzic, Hersche, Karunaratne, Benini, Sebastian and Rahimi (2023), TCNCA: Temporal Convolution Network with Chunked
    Attention for Scalable Sequence Processing, arXiv 2312.05605. Ma et al. (2022), Mega, arXiv 2209.10655. Dempster,
    Petitjean and Webb (2020), Rocket, arXiv 1910.13051.

    Examples
    --------
    >>> import numpy as np
    >>> time = np.arange(60)
    >>> X = [np.sin(time[: 40 + i] / (3 + i % 2)) for i in range(20)]
    >>> classifier = TCNCAClassifier(random_state=0).fit(X, ["fast", "slow"] * 10)
    >>> str(classifier.predict([np.sin(time / 4)])[0])
    'slow'
    """

    def __init__(
        self,
        *,
        features: str = "auto",
        d_model: int = 64,
        n_layers: int = 2,
        chunk: int = 64,
        kernel_size: int | str = "auto",
        attention: str = "softmax",
        gated: bool = True,
        bidirectional: bool = False,
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
        self.n_layers = n_layers
        self.chunk = chunk
        self.kernel_size = kernel_size
        self.attention = attention
        self.gated = gated
        self.bidirectional = bidirectional
        self.dropout = dropout
        self.normalisation = normalisation
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.class_weight = class_weight
        self.device = device
        self.random_state = random_state
        self.verbose = verbose


class TCNCARegressor(SeriesRegressor, TCNCAFamily):
    """Predict one or many numbers of a series by what dilated convolutions and chunked attention make of it.

    As :class:`TCNCAClassifier`, with squared errors in place of classes.

    Parameters
    ----------
    features, d_model, n_layers, chunk, kernel_size, attention, gated, bidirectional, dropout, normalisation
        As in :class:`TCNCAClassifier`.
    max_epochs, batch_size, learning_rate, device, random_state, verbose
        As in :class:`TCNCAClassifier`.

    Attributes
    ----------
    features_, penalty_, center_, spread_, length_, n_channels_, n_epochs_, history_, module_
        As in :class:`LSSLClassifier`.
    target_center_, target_spread_ : array of shape (n_targets,)
        Units of the targets.

    References
    ----------
    Terzic, Hersche, Karunaratne, Benini, Sebastian and Rahimi (2023), TCNCA, arXiv 2312.05605.

    Examples
    --------
    >>> import numpy as np
    >>> time, pace = np.arange(80), np.linspace(2, 6, 40)
    >>> regressor = TCNCARegressor(random_state=0).fit(np.sin(time / pace[:, None]), pace)
    >>> bool(abs(regressor.predict(np.sin(time[None] / 3.3)) - 3.3) < 0.2)
    True
    """

    def __init__(
        self,
        *,
        features: str = "auto",
        d_model: int = 64,
        n_layers: int = 2,
        chunk: int = 64,
        kernel_size: int | str = "auto",
        attention: str = "softmax",
        gated: bool = True,
        bidirectional: bool = False,
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
        self.n_layers = n_layers
        self.chunk = chunk
        self.kernel_size = kernel_size
        self.attention = attention
        self.gated = gated
        self.bidirectional = bidirectional
        self.dropout = dropout
        self.normalisation = normalisation
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.device = device
        self.random_state = random_state
        self.verbose = verbose


class TCNCAEncoder(SeriesEncoder, TCNCAFamily):
    """Embed series and their steps by a TCNCA that has learned to continue series.

    No labels are needed: the model predicts the next step, also where stretches of the input are hidden from it.

    Parameters
    ----------
    d_model, n_layers, chunk, kernel_size, attention, gated, dropout
        As in :class:`TCNCAClassifier`.
    hidden : float
        Share of the steps that are hidden while training.
    crop : int
        Longest piece of a series in a step of training.
    normalisation, max_epochs, batch_size, learning_rate, device, random_state, verbose
        As in :class:`TCNCAClassifier`.

    Attributes
    ----------
    center_, spread_, length_, n_channels_, n_epochs_, history_, module_
        As in :class:`LSSLClassifier`; the history has the losses ("next", "masked") by epoch.

    References
    ----------
    Terzic, Hersche, Karunaratne, Benini, Sebastian and Rahimi (2023), TCNCA, arXiv 2312.05605.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.sin(np.arange(50) / np.linspace(2, 6, 10)[:, None])
    >>> encoder = TCNCAEncoder(d_model=8, max_epochs=2, random_state=0).fit(X)
    >>> encoder.transform(X).shape, encoder.transform_steps(X).shape
    ((10, 24), (500, 8))
    """

    def __init__(
        self,
        *,
        d_model: int = 64,
        n_layers: int = 2,
        chunk: int = 64,
        kernel_size: int | str = "auto",
        attention: str = "softmax",
        gated: bool = True,
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
        self.n_layers = n_layers
        self.chunk = chunk
        self.kernel_size = kernel_size
        self.attention = attention
        self.gated = gated
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
