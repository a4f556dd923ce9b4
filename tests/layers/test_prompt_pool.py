"""Prompt designs: shapes, what is trained, and how a pool chooses."""

import math

import pytest
import torch

from tsrec.layers.prompt_pool import FixedPrompt, PromptPool, SoftPrompt, usage

E, K = 8, 9


def tokens(batch=16, seed=0):
    return torch.randn(batch, 42, E, generator=torch.Generator().manual_seed(seed))


WORDS = torch.randn(K, E, generator=torch.Generator().manual_seed(1))
DESIGNS = {
    "hard": lambda: FixedPrompt(WORDS),
    "semi-soft": lambda: FixedPrompt(WORDS, mapped=True),
    "soft": lambda: SoftPrompt(E, K),
    "pool": lambda: PromptPool(E),
}


@pytest.mark.parametrize("name", DESIGNS)
def test_every_design_gives_a_prompt_of_nine_vectors_to_each_sequence(name):
    design, x = DESIGNS[name](), tokens()
    prompt = design(x)
    assert prompt.vectors.shape == (16, K, E)
    order = torch.randperm(16, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(design(x[order]).vectors, prompt.vectors[order])
    assert (prompt.chosen is None) == (name != "pool")
    twin = DESIGNS[name]()
    assert all(torch.equal(a, b) for a, b in zip(twin.state_dict().values(), design.state_dict().values(), strict=True))


def test_what_is_trained():
    assert not list(DESIGNS["hard"]().parameters())
    torch.testing.assert_close(DESIGNS["hard"]()(tokens()).vectors[3], WORDS)
    mapped = DESIGNS["semi-soft"]()
    assert [tuple(p.shape) for p in mapped.parameters()] == [(E, E), (E,)]
    torch.testing.assert_close(mapped(tokens()).vectors[0], mapped.map(WORDS))
    assert [tuple(p.shape) for p in DESIGNS["soft"]().parameters()] == [(K, E)]
    assert [tuple(p.shape) for p in DESIGNS["pool"]().parameters()] == [(30, E), (30, 3, E)]


@torch.no_grad()
def test_a_pool_takes_the_prompts_whose_keys_are_most_like_the_mean_token():
    pool, x = PromptPool(E, size=10, top_k=2, length=4), tokens(5)
    prompt = pool(x)
    for b in range(5):
        q = x[b].mean(0)
        likeness = torch.tensor([float(torch.dot(q, k) / q.norm() / k.norm()) for k in pool.keys])
        best = likeness.argsort(descending=True)[:2]
        assert prompt.chosen[b].tolist() == best.tolist()
        torch.testing.assert_close(prompt.vectors[b], torch.cat([pool.values[i] for i in best]))
    assert prompt.pull == pytest.approx(-sum(_likeness(pool, x).topk(2).values.sum(-1)).item() / 5, abs=1e-6)
    assert torch.equal(pool(3.7 * x).chosen, prompt.chosen)


def _likeness(pool, x):
    return torch.cosine_similarity(x.mean(1)[:, None], pool.keys[None], dim=-1)


def test_gradients_reach_the_values_that_were_chosen_and_their_keys_by_the_pull():
    pool, x = PromptPool(E, size=10), tokens(2)
    prompt = pool(x)
    prompt.vectors.square().sum().backward()
    chosen = torch.zeros(10, dtype=torch.bool).index_fill(0, prompt.chosen.flatten(), True)
    assert torch.equal(pool.values.grad.abs().sum((1, 2)) > 0, chosen)
    assert pool.keys.grad is None
    pool(x).pull.backward()
    assert torch.equal(pool.keys.grad.abs().sum(1) > 0, chosen)


def test_the_pull_brings_keys_to_the_queries():
    pool, x = PromptPool(E, size=10), tokens(64) + 1
    optimiser = torch.optim.SGD([pool.keys], lr=0.1)
    before = pool(x).pull.item()
    for _ in range(50):
        optimiser.zero_grad()
        pool(x).pull.backward()
        optimiser.step()
    assert pool(x).pull.item() < before - 0.1


def test_usage_tells_a_collapse():
    shares, spread = usage(torch.tensor([[0, 1, 2], [0, 1, 2]]), 3)
    torch.testing.assert_close(shares, torch.full((3,), 1 / 3))
    assert spread == pytest.approx(1)
    assert usage(torch.zeros(5, 1, dtype=torch.int64), 30)[1] == 0
    assert usage(torch.tensor([0, 1]), 30)[1] == pytest.approx(math.log(2) / math.log(30))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PromptPool(E, size=2), "top_k=3 is more than size=2"),
        (lambda: PromptPool(E, length=0), "length must be a whole number of at least 1"),
        (lambda: SoftPrompt(0), "d_model must be a whole number"),
        (lambda: FixedPrompt(torch.zeros(3)), r"words must have shape \(k, E\)"),
        (lambda: PromptPool(E)(torch.zeros(2, 42, E + 1)), r"x must have shape \(B, L, 8\)"),
    ],
)
def test_what_cannot_be_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
