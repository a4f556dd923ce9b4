"""What a TEMPO model is put together from: components, prompts, a backbone."""

import zlib
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from tsrec.decomposition import STL, MovingAverage
from tsrec.frames.warn import warn_user
from tsrec.layers.decomposition import FixedDecomposition, LearnedDecomposition
from tsrec.layers.gpt2 import GPT2Backbone, Pretrained, load_gpt2
from tsrec.layers.lssl import stack_over
from tsrec.layers.mamba import MambaStack
from tsrec.layers.prompt_pool import FixedPrompt, PromptPool, SoftPrompt
from tsrec.layers.tcnca import TCNCAStack
from tsrec.layers.tempo import COMPONENTS, TEMPOBranch
from tsrec.layers.transformer import CausalTransformer

BACKBONES = ("lssl", "transformer", "tcnca", "mamba", "gpt2", "gpt2-random", "identity")
PROMPTS = ("auto", "pool", "soft", "semisoft", "hard", None)
DECOMPOSITIONS = ("stl", "learned-stl", "learned", None)
# Of GPT-2 small, for weights drawn at random.
_SMALL_GPT2 = {"n_embd": 768, "n_head": 12, "n_layer": 12, "n_positions": 1024, "vocab_size": 50257}
_DETAILS = (
    "n_inner",
    "activation_function",
    "layer_norm_epsilon",
    "scale_attn_weights",
    "scale_attn_by_inverse_layer_idx",
)
# Steps of TEMPO's moving average.
_KERNEL = 25
_WORDS = "Predict the future time step given the"


class Plan(NamedTuple):
    """What has to be known before a branch can be built.

    Attributes
    ----------
    prompt : str or None
        The design of the prompts.
    config : dict
        GPT-2's; empty for other backbones.
    lengths : list of int
        Words of the prompt of each component.
    words : list of array of shape (k, width), or None
        Their vectors by a language model.
    weights : dict of Tensor, or None
        Of GPT-2.
    """

    prompt: str | None
    config: dict[str, Any]
    lengths: list[int]
    words: list[np.ndarray] | None = None
    weights: dict[str, torch.Tensor] | None = None


def read_plan(forecaster: Any) -> Plan:
    """Settle the prompts, and read GPT-2 where it is asked for."""
    prompt, lengths = forecaster.prompt, [len(text.split()) for text in sentences()]
    if forecaster.backbone != "gpt2":
        config = dict(_SMALL_GPT2) if forecaster.backbone == "gpt2-random" else {}
        return Plan("semisoft" if prompt == "auto" else prompt, config, lengths)
    found = load_gpt2("gpt2" if forecaster.weights is None else forecaster.weights, sentences())
    words = None
    if prompt in ("auto", "semisoft", "hard"):
        words = _read_words(found)
        prompt = "soft" if words is None else "semisoft" if prompt == "auto" else prompt
    config = {name: found.config[name] for name in (*_SMALL_GPT2, *_DETAILS) if name in found.config}
    return Plan(prompt, config, lengths if words is None else [len(one) for one in words], words, found.weights)


def make_branch(forecaster: Any, plan: Plan, generator: torch.Generator) -> TEMPOBranch:
    """Put a branch together, by the parameters of a forecaster and what its fit has settled."""
    width = plan.config.get("n_embd", forecaster.d_model)
    fixed, trained = _decompositions(forecaster, generator)
    branch = TEMPOBranch(
        None,
        context=forecaster.context_,
        d_model=width,
        patch=forecaster.patch_,
        stride=forecaster.stride_,
        decomposition=fixed if trained is None else trained,
        targets=None if trained is None else fixed,
        decomposition_weight=float(forecaster.decomposition_weight),
        prompts=_prompts(forecaster, plan, width, 1 if fixed is None else len(COMPONENTS), generator),
        pull_weight=float(forecaster.pull_weight),
        own_scale=bool(forecaster.own_scale),
        d_head=forecaster.d_head,
        n_text=forecaster.n_static_,
        generator=generator,
    )
    branch.backbone = _backbone(forecaster, plan, width, branch.n_tokens, generator)
    return branch


def component_matrices(context: int, period: int) -> np.ndarray:
    """Trend and season of a window as its products, (2, L, L), by STL; without a period there is no season."""
    if 1 < period <= context // 2:
        return STL(period=period).fit(np.zeros((1, 2 * period))).matrices(context)
    trend = MovingAverage(window=_odd(context)).fit(np.zeros((1, context))).matrices(context)[:1]
    return np.concatenate([trend, np.zeros_like(trend)])


def drawn_words(text: str, width: int) -> np.ndarray:
    """Vectors of words that no language model was asked about: N(0, 1), always the same for a word, (k, width)."""
    seeds = [zlib.crc32(word.lower().encode()) for word in text.split()]
    return np.stack([np.random.default_rng(seed).standard_normal(width) for seed in seeds]).astype(np.float32)


def sentences() -> list[str]:
    """The prompts in words, one for each component."""
    return [f"{_WORDS} {name}" for name in COMPONENTS]


def _decompositions(forecaster: Any, generator: torch.Generator) -> tuple[nn.Module | None, nn.Module | None]:
    """A fixed one, and one to be trained towards it."""
    kind, context = forecaster.decomposition, forecaster.context_
    if kind is None:
        return None, None
    matrices = torch.from_numpy(component_matrices(context, forecaster.period_)).float()
    fixed = FixedDecomposition(matrices)
    if kind == "stl":
        return fixed, None
    if kind == "learned-stl":
        return fixed, LearnedDecomposition(context, matrices=matrices, generator=generator)
    return fixed, LearnedDecomposition(context, kernel_size=_odd(context), generator=generator)


def _odd(context: int) -> int:
    """Steps of the moving average: TEMPO's 25, or the longest odd number that fits."""
    return min(_KERNEL, context - (context + 1) % 2)


def _prompts(forecaster: Any, plan: Plan, width: int, count: int, generator: torch.Generator) -> list[nn.Module] | None:
    """A prompt for each of the components; a pool is the same for all."""
    if plan.prompt is None:
        return None
    if plan.prompt == "pool":
        sizes = int(forecaster.pool_size), int(forecaster.top_k), int(forecaster.prompt_length)
        return [PromptPool(width, *sizes, generator=generator)] * count
    lengths = plan.lengths[:count]
    if plan.prompt == "soft":
        return [SoftPrompt(width, length, generator=generator) for length in lengths]
    if plan.words is not None:
        words = plan.words
    elif forecaster.backbone == "gpt2":
        # They lie in a file that is being read, beside the other weights.
        words = [np.zeros((length, width), dtype=np.float32) for length in lengths]
    else:
        words = [drawn_words(text, width) for text in sentences()]
    mapped = plan.prompt == "semisoft"
    return [FixedPrompt(one, mapped=mapped, generator=generator) for one in words[:count]]


def _read_words(found: Pretrained) -> list[np.ndarray] | None:
    """Vectors of the prompts in words by a language model's own table; None, with a warning, without a tokenizer."""
    if found.words is None:
        warn_user("weights: no tokenizer lies beside them, so that prompts are vectors, not words (prompt='soft').")
        return None
    table = found.weights["wte.weight"]
    return [table[torch.tensor(found.words[text])].numpy() for text in sentences()]


def _backbone(forecaster: Any, plan: Plan, width: int, n_tokens: int, generator: torch.Generator) -> nn.Module | None:
    """The sequence model over all tokens; None for "identity"."""
    kind, layers, dropout = forecaster.backbone, int(forecaster.n_layers), float(forecaster.dropout_)
    if kind == "identity":
        return None
    if kind == "transformer":
        heads = max(h for h in (1, 2, 4) if width % h == 0)
        return CausalTransformer(width, layers, length=n_tokens, n_heads=heads, dropout=dropout, generator=generator)
    if kind == "lssl":
        return stack_over(n_tokens, width, layers, d_state=16, dropout=dropout, generator=generator)
    if kind == "mamba":
        return MambaStack(width, layers, dropout=dropout, generator=generator)
    if kind == "tcnca":
        # One chunk: every component sees those before it whole.
        return TCNCAStack(
            width,
            layers,
            d_value=width,
            d_hidden=width,
            chunk=n_tokens,
            reach=n_tokens,
            gated=False,
            dropout=dropout,
            generator=generator,
        )
    if n_tokens > plan.config["n_positions"]:
        raise ValueError(f"patch: {n_tokens} tokens are more than GPT-2 has places. Give longer patches.")
    rank = int(forecaster.lora_rank) if kind == "gpt2" else 0
    return GPT2Backbone(plan.config, layers, weights=plan.weights, lora_rank=rank, dropout=dropout, generator=generator)
