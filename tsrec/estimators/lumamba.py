"""Features of EEG recordings of any montage, learned without labels (LuMamba; Broustail et al., arXiv 2603.19100)."""

from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from tsrec.estimators._collection import refusing
from tsrec.estimators._lumamba import LuMambaBase, encoded, tokens_of
from tsrec.estimators._lumamba_parts import by_step, reconstructed, token_index
from tsrec.estimators._recording_batches import Prepared
from tsrec.estimators._recordings import named_frame
from tsrec.estimators._token_stream import TokenStream
from tsrec.frames import align_target, check_order
from tsrec.training import make_generator


class LuMambaEncoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, LuMambaBase):
    """Learn features of recordings of any channels, without labels.

    A recording is cut into patches. At each patch, learned queries attend over the channels, which are known by where
    their electrodes are; Mamba layers run over the patches in both directions. It learns to fill in hidden patches, and
    to embed short and long pieces of a recording alike while embeddings stay spread (LeJEPA). One fitted encoder takes
    every montage: positions are those of the 10-05 system by name, also of bipolar channels ("Fp1-F7").

    Parameters
    ----------
    size : {"tiny", "small"} or None
        "tiny" is the paper's: 6 queries of 64 features, 2 layers, 4.1 million weights; "small" has 8 layers, 15.7
        million. None takes the three numbers below.
    width, n_queries, n_layers : int or None
        Features of a query (a multiple of 16), queries, Mamba blocks; None for what `size` says.
    n_heads : int
        Heads of every attention.
    patch_size : int
        Samples of a patch, a multiple of 4.
    d_state, expand : int
        States and inner width of the Mamba layers.
    bidirectional : bool
        Whether they read both ways. False, with ``normalisation="running"``, gives :meth:`stream`.
    merge : {"add", "multiply"}
        How both ways become one.
    sfreq : float
        Rate of the model in Hz. Recordings whose times tell another one are resampled; arrays are taken to have it.
    window : float
        Seconds of the pieces that are learned from; shorter recordings are taken whole.
    band : (float or None, float or None) or None
        Edges of a band-pass filter in Hz, without phase. Filter long recordings before they are cut into windows:
        :func:`tsrec.frames.band_pass`.
    notch : float or None
        Frequency of the mains to take out, in Hz.
    positions : dict, "none" or None
        Name to (x, y, z), x to the right, y to the nose, z up, in any unit; None for the built-in table. "none": the
        channels are on no scalp. They have then a learned vector each, by name, and must be those of fit; so it is with
        arrays without `ch_names` (x0, x1, ...).
    drop_unknown : bool
        Leave out channels whose names are unknown, with a warning, where they are an error otherwise.
    ch_names : sequence of str or None
        Names of the channels of arrays (recording, channel, time).
    normalisation : {"auto", "zscore", "iqr", "running", "shared", "channel"} or None
        Units of the channels. Of each channel of each recording: by mean and standard deviation, by quartiles, or by
        the mean and standard deviation of the samples so far. "shared": the mean of each is taken off, and all are
        divided by the typical standard deviation in fit, so that loud places and loud recordings stay loud. "channel":
        mean and standard deviation of the channel in fit. None: as they are. "auto": "zscore", but "channel" on no
        scalp.
    norm : {"patch", "window"}
        Group norms over each patch alone, or over the recording, as the released code has it (hidden patches then show
        through).
    position_norm : {"head", "montage"}
        Places in a box around the head, equal in all caps, or in one around the electrodes of the cap, as published.
    mask_ratio : float
        Share of the patches of channels that are hidden in training.
    visible_weight, query_weight, lejepa_weight, lejepa_lambda : float
        Weights of the losses: see :class:`tsrec.layers.lumamba_tasks.Recipe`, whose defaults are the paper's. Those
        here give LeJEPA its own balance and as much weight as reconstruction: on some hundred windows, reconstruction
        alone left features that were no better than random ones. A `lejepa_weight` of 0 is reconstruction alone.
    sigreg_n_ref : float
        Recordings that SIGReg counts as if a batch held as many.
    n_local, n_global : int
        Short and long pieces of each recording.
    local_patches, global_patches : int or "auto"
        Patches of each; an eighth of the pieces that are learned from, but two at least, and half of them when "auto".
    channel_dropout : float
        Largest share of the channels that a step of training does without; which and how many is drawn for each. It
        makes steps cheaper, and the encoder used to caps with fewer electrodes.
    augment : {"phase", "sign"} or None
        What is done to the short and long pieces, each in its own way: random phases, equal in all channels, keep power
        and coherence and nothing else; or random signs.
    dropout : float
        Rate in the attention.
    max_epochs : int or "auto"
        Epochs; about 300 steps when "auto", which a laptop does in minutes. A thousand are much better: see
        benchmarks/README.md. 0 leaves the weights as they were drawn.
    batch_size : int
        Recordings, or pieces of them, per step.
    learning_rate, weight_decay : float
        Peak of the one-cycle schedule, and AdamW's decay.
    device : str
        "auto", "cpu", "cuda", "cuda:1" or "mps".
    random_state : int, RandomState or None
        Seed; with an int, fits on the same machine are equal bit for bit.
    verbose : int
        1 shows the progress of the epochs.

    Attributes
    ----------
    channel_names_in_ : list of str
        Channels that were learned from, by their standard names.
    sfreq_ : float
        Rate of the model.
    n_patches_ : int
        Patches of the pieces that are learned from.
    positions_ : dict or None
        The positions given, on the unit sphere where `position_norm` is "head".
    on_scalp_ : bool
        Whether channels are known by their positions.
    normalisation_ : str or None
        What "auto" became.
    center_, spread_ : array
        Units of the channels that were learned from (normalisation "channel" and "shared").
    architecture_, n_epochs_, history_ : dict, int, DataFrame
        Numbers of the module; epochs trained; losses by epoch, a column for each term.
    module_ : nn.Module
        The fitted module.

    See Also
    --------
    LuMambaClassifier : Classes of recordings, from such an encoder or from the beginning.

    References
    ----------
    Broustail et al., LuMamba, arXiv 2603.19100. Doner et al. (2025), LUNA, arXiv 2510.22257. Balestriero and LeCun
    (2025), LeJEPA, arXiv 2511.08544. Gu and Dao (2023), Mamba, arXiv 2312.00752.

    Examples
    --------
    >>> import numpy as np
    >>> from tsrec.frames import recording
    >>> noise = np.random.default_rng(0).normal(size=(3, 512))
    >>> recordings = [recording(noise, ["Fz", "Cz", "Pz"], 256), recording(noise[:2], ["T3-C3", "C3-CZ"], 256)]
    >>> encoder = LuMambaEncoder(width=16, n_queries=2, n_layers=1, max_epochs=1, random_state=0).fit(recordings)
    >>> encoder.transform(recordings).shape, encoder.transform_tokens(recordings).shape
    ((2, 32), (24, 32))
    """

    def __init__(
        self,
        *,
        size: str | None = "tiny",
        width: int | None = None,
        n_queries: int | None = None,
        n_layers: int | None = None,
        n_heads: int = 2,
        patch_size: int = 40,
        d_state: int = 16,
        expand: int = 2,
        bidirectional: bool = True,
        merge: str = "add",
        sfreq: float = 256.0,
        window: float = 5.0,
        band: Any = None,
        notch: float | None = None,
        positions: Any = None,
        drop_unknown: bool = False,
        ch_names: Any = None,
        normalisation: str | None = "auto",
        norm: str = "patch",
        position_norm: str = "head",
        mask_ratio: float = 0.5,
        visible_weight: float = 0.05,
        query_weight: float = 0.8,
        lejepa_weight: float = 1.0,
        lejepa_lambda: float = 0.02,
        sigreg_n_ref: float = 256.0,
        n_local: int = 4,
        n_global: int = 2,
        local_patches: int | str = "auto",
        global_patches: int | str = "auto",
        channel_dropout: float = 0.5,
        augment: str | None = None,
        dropout: float = 0.1,
        max_epochs: int | str = "auto",
        batch_size: int = 32,
        learning_rate: float = 2e-3,
        weight_decay: float = 0.05,
        device: str = "cpu",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.size = size
        self.width = width
        self.n_queries = n_queries
        self.n_layers = n_layers
        self.n_heads = n_heads
        self.patch_size = patch_size
        self.d_state = d_state
        self.expand = expand
        self.bidirectional = bidirectional
        self.merge = merge
        self.sfreq = sfreq
        self.window = window
        self.band = band
        self.notch = notch
        self.positions = positions
        self.drop_unknown = drop_unknown
        self.ch_names = ch_names
        self.normalisation = normalisation
        self.norm = norm
        self.position_norm = position_norm
        self.mask_ratio = mask_ratio
        self.visible_weight = visible_weight
        self.query_weight = query_weight
        self.lejepa_weight = lejepa_weight
        self.lejepa_lambda = lejepa_lambda
        self.sigreg_n_ref = sigreg_n_ref
        self.n_local = n_local
        self.n_global = n_global
        self.local_patches = local_patches
        self.global_patches = global_patches
        self.channel_dropout = channel_dropout
        self.augment = augment
        self.dropout = dropout
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn from recordings without labels.

        Parameters
        ----------
        X : list or dict of frames, panel, or array
            Recordings: frames with the time as index and a column per channel, of any channels, lengths and rates; a
            frame with index (recording, time), where a channel without a value in a recording is not part of it (in a
            list, a column without a value is a channel that is there and hidden); an
            array of shape (n_recordings, n_channels, n_times), or (n_recordings, n_times).
        y : ignored
            There for pipelines; one that names the recordings in another order is refused.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            If X is no collection of recordings, or names electrodes that are not known; the message lists them.
        """
        with refusing(self):
            recordings = self._begin(X, self)
            if y is not None:
                align_target(y, recordings)
            check_order(y, recordings)
            groups = self._prepare(recordings)
        generator = make_generator(self.random_state)
        self._train(self._module(generator), groups, generator)
        return self

    def transform(self, X: Any) -> Any:
        """Embed recordings: the mean of their tokens.

        Parameters
        ----------
        X : list or dict of frames, panel, or array
            Recordings as in `fit`, of other channels, lengths and rates if need be.

        Returns
        -------
        array of shape (n_recordings, n_queries * width)
            A frame with the names of the recordings where X names them.
        """
        check_is_fitted(self)
        recordings = self._read(X, self)
        found = self._asked(recordings, lambda module, batch: tokens_of(module, batch).mean(1))
        return named_frame(recordings, np.stack(found).astype(np.float64), self.get_feature_names_out())

    def transform_tokens(self, X: Any) -> pd.DataFrame:
        """Embed every patch of every recording.

        Parameters
        ----------
        X
            As in `transform`.

        Returns
        -------
        DataFrame of shape (n_tokens of all recordings, n_queries * width)
            Indexed by (recording, time), in seconds from the beginning of the recording to that of the patch; float32.
        """
        check_is_fitted(self)
        recordings = self._read(X, self)
        found = self._asked(recordings, tokens_of)
        index = token_index(recordings.labels, [len(tokens) for tokens in found], self._seconds)
        return pd.DataFrame(np.concatenate(found), index=index, columns=self.get_feature_names_out())

    def get_attention(self, X: Any) -> pd.DataFrame:
        """Tell which channels the queries look at, patch by patch.

        Parameters
        ----------
        X
            As in `transform`.

        Returns
        -------
        DataFrame
            Indexed by (recording, time, query), a column per channel, NaN where a recording lacks it; rows add up to 1.
        """
        check_is_fitted(self)
        recordings = self._read(X, self)

        def attention(group: Prepared) -> np.ndarray:
            return self._rows(group, lambda module, batch: encoded(module, batch)[1])

        queries = self.architecture_["n_queries"]
        return by_step(self._prepare(recordings), attention, recordings, self._seconds, queries)

    def reconstruct(self, X: Any, mask: Any = None) -> pd.DataFrame:
        """Tell the samples from the tokens, also those of patches that are hidden.

        Parameters
        ----------
        X
            As in `transform`.
        mask : bool array of shape (n_channels, n_patches) or (n_recordings, n_channels, n_patches), float or None
            True where a patch is hidden; a share of patches to hide at random, as in training; None for none.

        Returns
        -------
        DataFrame
            Indexed by (recording, time) in seconds, at the rate of the model and as long as whole patches; a column per
            channel, in the units of X after the filters; NaN where a recording lacks the channel.
        """
        check_is_fitted(self)
        recordings = self._read(X, self)
        return reconstructed(self, self._prepare(recordings), recordings, mask)

    def stream(self, channels: Any) -> TokenStream:
        """Embed while a recording comes in: a token as soon as its patch is complete, in constant time and memory.

        Parameters
        ----------
        channels : sequence of str
            Names of the channels, in the order of the rows to come, which must be at the rate of the encoder, `sfreq_`.

        Returns
        -------
        TokenStream
            Its ``push(rows)`` returns the new tokens, as `transform_tokens` would at the end.

        Raises
        ------
        ValueError
            If tokens depend on what comes later: fit with ``bidirectional=False, normalisation="running"``.
        """
        check_is_fitted(self)
        return TokenStream(self, channels)
