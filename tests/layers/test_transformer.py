"""The causal transformer against plain loops, and what it must not see."""

import math

import pytest
import torch
from torch.nn import functional

from tsrec.layers.transformer import CausalTransformer


def model(**options):
    given = {"length": 12, "n_heads": 2, "generator": torch.Generator().manual_seed(0)}
    return CausalTransformer(8, 2, **{**given, **options}).eval()


def sequences(batch=3, steps=10, seed=1):
    return torch.randn(batch, steps, 8, generator=torch.Generator().manual_seed(seed))


def by_hand(net, x, mask=None):
    """Step by step, head by head."""
    x = x + net.positions[: x.shape[1]]
    for layer in net.layers:
        q, k, v = layer.queries(layer.norms[0](x)).chunk(3, -1)
        width = q.shape[-1] // layer.n_heads
        mixed = torch.zeros_like(x)
        for b in range(len(x)):
            for t in range(x.shape[1]):
                seen = [s for s in range(t + 1) if mask is None or bool(mask[b, s]) or s == t]
                for head in range(layer.n_heads):
                    part = slice(head * width, (head + 1) * width)
                    scores = torch.stack([q[b, t, part] @ k[b, s, part] / math.sqrt(width) for s in seen])
                    mixed[b, t, part] = (scores.softmax(0)[:, None] * v[b, seen, part]).sum(0)
        x = x + layer.attended(mixed)
        x = x + layer.outer(functional.gelu(layer.inner(layer.norms[1](x)), approximate="tanh"))
    return net.norm(x)


@torch.no_grad()
def test_it_is_what_it_says():
    net, x = model(), sequences()
    torch.testing.assert_close(net(x)[0], by_hand(net, x))
    mask = torch.rand(3, 10, generator=torch.Generator().manual_seed(2)) > 0.4
    torch.testing.assert_close(net(x, None, mask)[0], by_hand(net, x, mask))


@torch.no_grad()
def test_it_sees_neither_what_comes_later_nor_what_is_masked():
    net, x = model(), sequences()
    other = x.clone()
    other[:, 6:] += 1
    torch.testing.assert_close(net(other)[0][:, :6], net(x)[0][:, :6])
    assert not torch.allclose(net(other)[0][:, 6], net(x)[0][:, 6])
    mask = torch.ones(3, 10, dtype=torch.bool)
    mask[:, 4] = False
    other = x.clone()
    other[:, 4] += 1
    kept = [0, 1, 2, 3, 5, 6, 7, 8, 9]
    torch.testing.assert_close(net(other, None, mask)[0][:, kept], net(x, None, mask)[0][:, kept])


def test_what_is_refused():
    with pytest.raises(ValueError, match="n_heads=3 does not divide"):
        model(n_heads=3)
    with pytest.raises(ValueError, match="found 13 steps, there are positions for 12"):
        model()(sequences(steps=13))
    with pytest.raises(ValueError, match="n_layers"):
        CausalTransformer(8, 0, length=4)
