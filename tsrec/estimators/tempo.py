"""Forecasting by components, prompts and one backbone (TEMPO; Cao et al. 2024, arXiv 2310.04948)."""

from collections.abc import Callable, Sequence
from typing import Any, Self

import pandas as pd
import torch
from sklearn.utils.validation import check_is_fitted
from torch import nn

from tsrec.estimators._parameters import check_choice, check_flag, check_not_negative, check_whole
from tsrec.estimators._read import GIVEN
from tsrec.estimators._tempo_parts import BACKBONES, DECOMPOSITIONS, PROMPTS, Plan, make_branch, read_plan
from tsrec.estimators._tempo_report import component_values, prompt_report
from tsrec.estimators._text import vectors_of
from tsrec.estimators._transfer import TransferMixin
from tsrec.estimators.baseline import DEFAULT_QUANTILES
from tsrec.frames import Panel
from tsrec.layers.tempo import TEMPO

# Tokens of a component that "auto" keeps within, and the shortest patch.
_TOKENS, _PATCH = 14, 16


class TEMPOForecaster(TransferMixin):
    """Forecast by components: trend, season and rest of a window pass, each behind a prompt, through one backbone.

    Beside this branch stands a linear map solved in closed form, as in `LSSLForecaster`; ``linear=None`` leaves it out,
    as the paper does. A forecaster that learned from several sets, ``fit({"name": frame, ...})``, forecasts series of
    any frequency that it never saw, ``predict(history=frame)``, and goes on learning from them,
    ``fit(frame, warm_start=True)``.

    Parameters
    ----------
    horizon, context, season, freq, linear, normalisation
        As in `LSSLForecaster`. Of several sets `season` is what all are brought to: their own season if it is the same,
        else 24 steps, when "auto"; context and horizon count these steps.
    decomposition : {"stl", "learned-stl", "learned"} or None
        How windows are taken apart: by STL, which is one product with a matrix; by maps that start as STL and are
        trained; by TEMPO's trained maps; or not at all.
    decomposition_weight : float
        Weight of the loss that keeps trained components near those of STL.
    own_scale : bool
        Whether each component is brought to its own mean and spread, as the paper says; else all are in units of the
        window, as in its code.
    patch, stride : int or "auto"
        Steps of a token, and from one to the next (the patch itself when "auto"); the paper has 16 and 8.
    prompt : {"auto", "pool", "soft", "semisoft", "hard"} or None
        What stands before the tokens of a component: vectors chosen from a pool by what the component is like, learned
        vectors, or the words "Predict the future time step given the trend" (season, rest) through a learned map or
        as they are. Without GPT-2, each word has a random vector of its own. "auto": words, mapped.
    pool_size, top_k, prompt_length : int
        Prompts in the pool, how many a component takes, and vectors of each.
    pull_weight : float
        Weight of the loss that draws the keys of prompts to those that took them.
    backbone : {"lssl", "transformer", "tcnca", "mamba", "gpt2", "gpt2-random", "identity"}
        What mixes the tokens: LSSL layers, a causal transformer, TCNCA, Mamba; the first layers of the pre-trained
        GPT-2, adapted by low-rank matrices (needs ``pip install tsrec[tempo]``); the same with random weights; nothing.
    weights : str or None
        Folder of GPT-2, or a name on the hub; "gpt2" when None.
    lora_rank : int
        Rank of the matrices that adapt GPT-2; 0 trains all of it.
    d_model : int
        Width E of the tokens; GPT-2 has its own.
    n_layers : int
        Layers of the backbone.
    d_head : int or None
        What tokens are brought down to before the last layer; None: nothing, as in the paper.
    text_encoder : callable or None
        From a list of texts to an array (n, d): makes a prompt of what `static` says of each series (TEMPO-TS). Without
        it, `static` holds the vectors themselves.
    dropout, loss, max_epochs, learning_rate, n_members, recent, quantiles, device, random_state, verbose
        As in `LSSLForecaster`.

    Attributes
    ----------
    period_ : int
        Steps of the season that windows are taken apart by; 1 where there is none.
    prompt_, stride_ : str, int
        What "auto" became.
    set_seasons_, paces_, season_steps_
        Of several sets: steps per season of each, kinds of frequency, and steps per season of the module.
    recipe_, season_, context_, patch_, linear_, normalisation_, dropout_, loss_, max_epochs_, n_members_, recent_
        As in `LSSLForecaster`.
    freq_, maps_, penalty_, share_, n_epochs_, history_, module_, panel_
        As in `LSSLForecaster`.

    References
    ----------
    Cao, Jia, Arik, Pfister, Zheng, Ye and Liu (2024), TEMPO: Prompt-based Generative Pre-trained Transformer for Time
    Series Forecasting, arXiv 2310.04948.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> day = np.tile(np.sin(np.arange(24) / 24 * 2 * np.pi), 30)
    >>> y = pd.Series(day, pd.date_range("2024-01-01", periods=720, freq="h"), name="y")
    >>> forecaster = TEMPOForecaster(horizon=24, random_state=0).fit(y)
    >>> bool(abs(forecaster.predict() - day[:24]).max() < 0.05)
    True
    >>> forecaster.predict_components().columns.tolist()
    [('y', 'trend'), ('y', 'seasonal'), ('y', 'residual')]
    """

    MODULE = TEMPO
    SETTLED = (*TransferMixin.SETTLED, "stride_", "period_", "normalisation_")
    FREE = (
        "freq",
        "decomposition_weight",
        "pull_weight",
        "weights",
        "text_encoder",
        "dropout",
        "loss",
        "max_epochs",
        "learning_rate",
        "n_members",
        "recent",
        "quantiles",
        "device",
        "random_state",
        "verbose",
    )
    _plan: Plan | None = None
    backbone_config_: dict[str, Any]
    prompt_lengths_: list[int]

    def __init__(
        self,
        *,
        horizon: int = 24,
        context: int | str = "auto",
        season: int | str = "auto",
        freq: Any = None,
        linear: str | None = "auto",
        normalisation: str = "auto",
        decomposition: str | None = "stl",
        decomposition_weight: float = 0.01,
        own_scale: bool = False,
        patch: int | str = "auto",
        stride: int | str = "auto",
        prompt: str | None = "auto",
        pool_size: int = 30,
        top_k: int = 3,
        prompt_length: int = 3,
        pull_weight: float = 0.1,
        backbone: str = "lssl",
        weights: str | None = None,
        lora_rank: int = 16,
        d_model: int = 32,
        n_layers: int = 2,
        d_head: int | None = 8,
        text_encoder: Callable[[list[str]], Any] | None = None,
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
        self.linear = linear
        self.normalisation = normalisation
        self.decomposition = decomposition
        self.decomposition_weight = decomposition_weight
        self.own_scale = own_scale
        self.patch = patch
        self.stride = stride
        self.prompt = prompt
        self.pool_size = pool_size
        self.top_k = top_k
        self.prompt_length = prompt_length
        self.pull_weight = pull_weight
        self.backbone = backbone
        self.weights = weights
        self.lora_rank = lora_rank
        self.d_model = d_model
        self.n_layers = n_layers
        self.d_head = d_head
        self.text_encoder = text_encoder
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

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        past: Any = None,
        static: Any = None,
        sample_weight: Any = None,
        warm_start: bool = False,
    ) -> Self:
        """Learn from a history, or from several sets at once.

        Parameters
        ----------
        X : DataFrame, Series, array, or mapping of str to them
            As every forecaster takes it; or sets of any frequencies and lengths, by name, without covariates.
        y, past
            As every forecaster takes them.
        static : DataFrame, Series or array, optional
            A row per series: numbers or categories that tell of it, or, with `text_encoder`, a column of texts.
        sample_weight : Series or array, optional
            As every network takes it.
        warm_start : bool, default False
            Go on from the weights of the last fit: fine-tuning. The linear map is shrunk to the one before.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            As every forecaster; the message names the argument, or the set, what was found and the mend.
        """
        if static is not None and self.text_encoder is not None:
            static = vectors_of(static, self.text_encoder)
        return super().fit(X, y, past=past, static=static, sample_weight=sample_weight, warm_start=warm_start)

    def prompt_report(self, history: Any = None) -> pd.DataFrame:
        """How often each prompt of the pool was taken, by contexts all over the history.

        Parameters
        ----------
        history : Series, DataFrame or array, optional
            Another one, as in `predict`.

        Returns
        -------
        DataFrame of shape (pool_size, n_components)
            Shares, which sum to 1; ``attrs["spread"]`` has the entropy of each component's shares, relative to the
            largest there can be: 0 where one prompt is taken always.

        Raises
        ------
        ValueError
            If there is no pool.
        """
        return prompt_report(self, self._known(history))

    def explain(self, y: Any = None) -> pd.DataFrame:
        """What each component is worth: its exact Shapley value in the error of forecasts all over the rows given.

        A forecast without a component is the sum of the others; without the trend it stands at the mean of its
        context. Errors are squares, relative to the variance of the variable: the values say by how much a component
        changes that, and sum to the difference between the whole forecast and none.

        Parameters
        ----------
        y : Series, DataFrame or array, optional
            Rows that are known, best such as were not trained on; the history when omitted.

        Returns
        -------
        DataFrame of shape (n_components, n_channels)
            Negative where a component lowers the error; ``attrs["errors"]`` has those of all subsets.
        """
        check_is_fitted(self)
        if y is None and hasattr(self, "set_seasons_"):
            raise ValueError("y: missing. This forecaster learned from several sets and has no history of its own.")
        return component_values(self, self.panel_ if y is None else self._read_rows(y, names=GIVEN))

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_whole(self, "patch", "stride", auto=True)
        check_whole(self, "pool_size", "top_k", "prompt_length", "n_layers")
        check_whole(self, "lora_rank", least=0)
        check_not_negative(self, "decomposition_weight", "pull_weight")
        check_choice(self, "backbone", BACKBONES)
        check_choice(self, "prompt", PROMPTS)
        check_choice(self, "decomposition", DECOMPOSITIONS)
        check_flag(self, "own_scale")
        if self.d_head is not None:
            check_whole(self, "d_head")
        if self.top_k > self.pool_size:
            raise ValueError(f"top_k: found {self.top_k}, the pool has {self.pool_size}. Give at most as many.")

    def _fit_panel(self, panel: Panel) -> None:
        try:
            super()._fit_panel(panel)
        finally:
            # The weights of a language model are in the module now.
            self._plan = None

    def _choose(self, panel: Panel) -> None:
        super()._choose(panel)
        self.stride_ = self.patch_ if self.stride == "auto" else int(self.stride)
        if self._before is None or "period_" not in self._before.settled:
            self.period_ = self._period(panel)
        self._plan = read_plan(self) if self.max_epochs_ else None
        self.prompt_ = self._plan.prompt if self._plan else None
        self.backbone_config_ = self._plan.config if self._plan else {}
        self.prompt_lengths_ = self._plan.lengths if self._plan else []

    def _period(self, panel: Panel) -> int:
        """Steps of the season that windows are taken apart by: the day, else the season; 1 where none fits twice."""
        suggested = (panel.grid.season, self.season_) if self.season == "auto" else (self.season_,)
        return min((one for one in suggested if one and 1 < one <= self.context_ // 2), default=1)

    def _patch(self) -> int:
        if self.patch != "auto":
            return min(int(self.patch), self.context_)
        return min(max(_PATCH, self.context_ // _TOKENS), max(self.context_ // 2, 1))

    def _branch(self, generator: torch.Generator) -> nn.Module:
        # Where a saved model is built anew there is no plan, and its weights are still to come.
        saved = Plan(self.prompt_, self.backbone_config_, self.prompt_lengths_)
        return make_branch(self, self._plan or saved, generator)
