"""GPT-2 as a backbone: the first layers of a pre-trained model, adapted by low-rank matrices (extra ``tempo``).

GPT-2: Radford et al. (2019); its code and weights come from the package `transformers`. LoRA: Hu et al. (2021), arXiv
2106.09685: the fused map to queries, keys and values W becomes W + (alpha / r) A B, of which A and B are trained.
As TEMPO says (arXiv 2310.04948, section 4), biases of these maps, norms and positions are trained too.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from tsrec.layers.checks import check_sequences
from tsrec.layers.random import Dropout, default_generator

_NO_DROPOUT = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)
_MISSING = "backbone='gpt2' needs the package transformers: pip install 'tsrec[tempo]'."
_TRAINED = ("wpe", "ln_1", "ln_2", "ln_f")


class Pretrained(NamedTuple):
    """What is read from a folder or the hub.

    Attributes
    ----------
    config : dict
        The model's configuration.
    weights : dict of Tensor
        Its weights.
    words : dict of str to list of int, or None
        Numbers of the tokens of each text that was asked for; None without a tokenizer.
    """

    config: dict[str, Any]
    weights: dict[str, Tensor]
    words: dict[str, list[int]] | None


def load_gpt2(source: str, texts: list[str]) -> Pretrained:
    """Read weights, and the tokens of some texts.

    Parameters
    ----------
    source : str
        A folder with ``config.json`` and weights, or a name on the hub such as "gpt2".
    texts : list of str
        What to take apart into tokens, if a tokenizer lies beside the weights.

    Raises
    ------
    ImportError
        If transformers is not installed.
    OSError
        If nothing can be read, or not all of it; the message says how to mend it.
    """
    transformers = _transformers()
    try:
        # What it does not find, it draws from the global state.
        with torch.random.fork_rng(devices=[]):
            model, found = transformers.GPT2Model.from_pretrained(source, output_loading_info=True)
    except Exception as error:
        raise OSError(_unreadable(source, type(error).__name__)) from error
    lacking = sorted(found["missing_keys"])
    if lacking:
        raise OSError(_unreadable(source, f"{len(lacking)} weights are missing, the first is {lacking[0]}"))
    words: dict[str, list[int]] | None = None
    try:
        tokenizer = transformers.GPT2TokenizerFast.from_pretrained(source)
        tokens = {text: tokenizer.encode(text) for text in texts}
        # Without files some versions give a tokenizer that knows no word.
        words = tokens if all(tokens.values()) else None
    except Exception:
        # Whatever is wrong with a tokenizer: the caller tells that there is none.
        words = None
    weights = {name: tensor.detach() for name, tensor in model.state_dict().items()}
    return Pretrained(model.config.to_dict(), weights, words)


class GPT2Backbone(nn.Module):
    """First layers of GPT-2 over sequences of vectors, called as every mixer is.

    Parameters
    ----------
    config : dict
        As `transformers.GPT2Config` takes it.
    n_layers : int
        How many layers are kept.
    weights : dict of Tensor, optional
        Of the whole model; random ones when omitted.
    lora_rank : int, default 16
        Rank r; alpha is as large. 0: W itself is trained, and everything else.
    dropout : float, default 0.1
        Rate on what the low-rank matrices see.
    generator : torch.Generator, optional
        Source of the initial values; a fresh one with seed 0 when omitted.

    Raises
    ------
    ImportError
        If transformers is not installed.
    ValueError
        If more layers are asked for than there are.
    """

    def __init__(
        self,
        config: dict[str, Any],
        n_layers: int,
        *,
        weights: dict[str, Tensor] | None = None,
        lora_rank: int = 16,
        dropout: float = 0.1,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        transformers, generator = _transformers(), default_generator(generator)
        if n_layers > config["n_layer"]:
            raise ValueError(f"n_layers: found {n_layers}, the weights have {config['n_layer']} layers.")
        settings = transformers.GPT2Config(**{**config, **_NO_DROPOUT, "n_layer": n_layers, "use_cache": False})
        self.d_model: int = settings.n_embd
        with torch.random.fork_rng(devices=[]):
            # Its constructor knows the global state alone.
            torch.manual_seed(int(torch.randint(2**31, (1,), generator=generator)))
            self.model = transformers.GPT2Model(settings)
        if weights is not None:
            kept = self.model.state_dict()
            self.model.load_state_dict({name: weights[name] for name in kept})
        # What enters are vectors: its table of words would be dead weight.
        self.model.wte = nn.Identity()
        if lora_rank:
            for name, parameter in self.model.named_parameters():
                parameter.requires_grad_(any(part in name for part in _TRAINED) or name.endswith("c_attn.bias"))
            for block in self.model.h:
                block.attn.c_attn = _LowRank(block.attn.c_attn, lora_rank, dropout, generator)

    def forward(
        self,
        x: Tensor,
        state: None = None,
        mask: Tensor | None = None,
        *,
        return_state: bool = True,  # noqa: ARG002 - as every mixer is called
    ) -> tuple[Tensor, None]:
        """Mix a whole sequence (B, T, D); causal, and without the steps that are False in `mask` (B, T)."""
        check_sequences(x, self.d_model)
        return self.model(inputs_embeds=x, attention_mask=mask).last_hidden_state, state


class _LowRank(nn.Module):
    """A frozen map plus A B, which starts at zero."""

    def __init__(self, base: nn.Module, rank: int, dropout: float, generator: torch.Generator) -> None:
        super().__init__()
        self.base, self.dropout = base, Dropout(dropout)
        rows, columns = base.weight.shape  # type: ignore[misc]
        self.down = nn.Parameter(torch.randn(rows, rank, generator=generator) / rows**0.5)
        self.up = nn.Parameter(torch.zeros(rank, columns))

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + self.dropout(x) @ self.down @ self.up


def _unreadable(source: str, why: str) -> str:
    return (
        f"weights: GPT-2 cannot be read from {source!r} ({why}). Give a folder with config.json and model.safetensors, "
        "or a name on the hub while there is a connection; other backbones need neither."
    )


def _transformers() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise ImportError(_MISSING) from error
    return transformers
