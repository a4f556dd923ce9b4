"""Attention inside chunks: against loops over queries and keys, at every place that a chunk can begin."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tsrec.layers.chunked_attention import ChunkedAttention, RelativeBias, laplace

Z, V = 4, 3
FUNCTIONS = ("softmax", "laplace", "relu2")


def noise(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def attention(chunk=5, **options):
    module = ChunkedAttention(Z, V, chunk, generator=torch.Generator().manual_seed(2), **options).double()
    with torch.no_grad():
        for p in module.parameters():
            p += noise(*p.shape, seed=5)
    return module


def inputs(length, batch=2, seed=0):
    return (
        noise(batch, length, Z, seed=seed),
        noise(batch, length, Z, seed=seed + 1),
        noise(batch, length, V, seed=seed + 2),
    )


def loop(module, q, k, v, mask, place):
    """One sequence; `place` tells where in its chunk each step stands, None before the first observed one."""
    chunks, out = [], torch.zeros(len(q), V, dtype=torch.float64)
    number = -1
    for at in place:
        number += at == 0 or number < 0
        chunks.append(number)
    for t in range(len(q)):
        keys = [
            s for s in range(len(q))
            if chunks[s] == chunks[t] and (s == t or mask[s]) and (s <= t or not module.causal)
        ]  # fmt: skip
        scores = []
        for s in keys:
            score = q[t] @ k[s] / (math.sqrt(Z) if module.function == "softmax" else len(keys))
            if module.bias is not None:
                lag = place[s] - place[t]
                score = score + module.bias.lags(module.chunk)[module.chunk - 1 + lag]
            scores.append(score)
        scores = torch.stack(scores)
        if module.function == "softmax":
            weights = scores.softmax(0)
        elif module.function == "relu2":
            weights = scores.clamp_min(0) ** 2
        else:
            weights = 0.5 * (1 + torch.erf((scores - math.sqrt(0.5)) / (math.sqrt(1 / (4 * math.pi)) * math.sqrt(2))))
        out[t] = weights @ v[keys]
    return out


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("bias", ["simple", "rotary", None])
@pytest.mark.parametrize("causal", [True, False])
def test_attention_equals_its_loop(function, bias, causal):
    module = attention(function=function, bias=bias, causal=causal)
    for length in (1, 3, 5, 6, 13):
        q, k, v = inputs(length)
        y, _ = module(q, k, v)
        place = [t % 5 for t in range(length)]
        for row in range(2):
            wanted = loop(module, q[row], k[row], v[row], [True] * length, place)
            torch.testing.assert_close(y[row], wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("causal", [True, False])
def test_with_a_mask_chunks_are_counted_from_the_first_observed_step(function, causal):
    module, (q, k, v) = attention(function=function, causal=causal), inputs(14, batch=3)
    mask = torch.ones(3, 14, dtype=torch.bool)
    mask[0, :4] = mask[1, 12:] = mask[2, [0, 5, 6, 9]] = False
    y, _ = module(q, k, v, mask=mask)
    for row, lead in enumerate((4, 0, 1)):
        place = [(t - lead) % 5 for t in range(lead, 14)]
        part = slice(lead, None)
        wanted = loop(module, q[row, part], k[row, part], v[row, part], mask[row, part].tolist(), place)
        observed = mask[row, part]
        torch.testing.assert_close(y[row, part][observed], wanted[observed], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("causal", [True, False])
def test_what_is_not_of_the_chunk_has_no_gradient(causal):
    module = attention(8, causal=causal)
    q, k, v = (x.requires_grad_() for x in inputs(40, batch=1))
    module(q, k, v)[0][0, 20].sum().backward()
    for x in (k, v):
        assert x.grad[0].abs().sum(1).nonzero().flatten().tolist() == list(range(16, 21 if causal else 24))
    assert q.grad[0].abs().sum(1).nonzero().flatten().tolist() == [20]


@pytest.mark.parametrize("length", [20, 33, 50])
def test_a_chunk_longer_than_the_sequence_is_full_attention(length):
    q, k, v = inputs(length)
    chunked, full = attention(50), ChunkedAttention(Z, V, length).double()
    with torch.no_grad():
        full.bias.weight.copy_(chunked.bias.weight[50 - length : 50 + length - 1])
    assert torch.equal(chunked(q, k, v)[0], full(q, k, v)[0])


def test_chunks_can_be_counted_from_the_end():
    module, (q, k, v) = attention(5, anchor=13), inputs(13)
    y, state = module(q, k, v)
    for row in range(2):
        wanted = loop(module, q[row], k[row], v[row], [True] * 13, [(t + 2) % 5 for t in range(13)])
        torch.testing.assert_close(y[row], wanted, rtol=1e-12, atol=1e-12)
    assert state.position.tolist() == [0, 0]
    # Also where the beginning was not observed.
    mask = torch.arange(13).expand(2, -1) >= 4
    y, _ = module(q, k, v, mask=mask)
    wanted = loop(module, q[0], k[0], v[0], mask[0].tolist(), [(t + 2) % 5 for t in range(13)])
    torch.testing.assert_close(y[0, 4:], wanted[4:], rtol=1e-12, atol=1e-12)


def states_equal(one, other):
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from(FUNCTIONS), st.sampled_from([None, 17]), st.integers(1, 7))
def test_steps_and_parts_equal_the_whole_wherever_rows_begin(data, function, anchor, chunk):
    module, (q, k, v) = attention(chunk, function=function, anchor=anchor), inputs(17, batch=3)
    bools = st.lists(st.booleans(), min_size=17, max_size=17)
    mask = torch.tensor([data.draw(bools) for _ in range(3)])
    cut = data.draw(st.integers(1, 16))
    y, last = module(q, k, v, mask=mask)
    first, state = module(q[:, :cut], k[:, :cut], v[:, :cut], mask=mask[:, :cut])
    second, end = module(q[:, cut:], k[:, cut:], v[:, cut:], state, mask[:, cut:])
    torch.testing.assert_close(torch.cat((first, second), 1)[mask], y[mask], rtol=1e-12, atol=1e-12)
    states_equal(end, last)
    state, steps = module.init_state(3), []
    for t in range(17):
        y_t, state = module.step(q[:, t], k[:, t], v[:, t], state, mask=mask[:, t])
        steps.append(y_t)
    torch.testing.assert_close(torch.stack(steps, 1)[mask], y[mask], rtol=1e-12, atol=1e-12)
    states_equal(state, last)


def test_published_values_of_laplace():
    x = torch.tensor([-1.0, 0.0, 0.5, 1.0, 2.0], dtype=torch.float64, requires_grad=True)
    found = laplace(x)
    torch.testing.assert_close(found, torch.tensor([0.0, 0.0061, 0.2314, 0.8504, 1.0]).double(), rtol=0, atol=5e-5)
    # It meets relu(x)^2 at sqrt(1/2), in value and slope.
    at = torch.tensor(math.sqrt(0.5), dtype=torch.float64, requires_grad=True)
    value = laplace(at)
    value.backward()
    assert value.item() == pytest.approx(0.5)
    assert at.grad.item() == pytest.approx(2 * math.sqrt(0.5))


@pytest.mark.parametrize("kind", ["simple", "rotary"])
def test_a_bias_depends_on_the_distance_alone(kind):
    bias = RelativeBias(9, kind, d_key=6, generator=torch.Generator().manual_seed(1)).double()
    table = bias(7)
    for i in range(7):
        for j in range(7):
            assert table[i, j] == table[max(i - j, 0), max(j - i, 0)] == bias.lags(7)[6 + j - i]
    torch.testing.assert_close(bias(4), table[:4, :4])


def test_a_rotary_bias_is_the_product_of_two_turned_vectors():
    bias = RelativeBias(5, "rotary", d_key=6, generator=torch.Generator().manual_seed(1)).double()

    def turned(x, m):
        angle = m * 10000.0 ** (-torch.arange(3, dtype=torch.float64) / 3)
        return torch.cat((x[:3] * angle.cos() - x[3:] * angle.sin(), x[3:] * angle.cos() + x[:3] * angle.sin()))

    table = bias(5)
    for m in range(5):
        for n in range(5):
            torch.testing.assert_close(table[m, n], turned(bias.a, m) @ turned(bias.b, n), rtol=1e-13, atol=1e-13)
    # It goes on beyond the longest chunk.
    assert bias(20).shape == (20, 20)


def test_queries_that_see_nothing_make_no_nan():
    module, (q, k, v) = attention(), inputs(12)
    mask = torch.zeros(2, 12, dtype=torch.bool)
    for function in FUNCTIONS:
        module.function = function
        for causal in (True, False):
            module.causal = causal
            assert module(q, k, v, mask=mask)[0].isfinite().all()


def test_bad_options_and_uses_are_named():
    for options, message in (
        ({"function": "sigmoid"}, "function='sigmoid' is not known"),
        ({"bias": "alibi"}, "bias='alibi' is not known"),
        ({"chunk": 0}, "chunk must be a whole number of at least 1, got 0"),
    ):
        with pytest.raises(ValueError, match=message):
            ChunkedAttention(**{"d_key": Z, "d_value": V, "chunk": 5, **options})
    with pytest.raises(ValueError, match="d_key must be even, got 5"):
        ChunkedAttention(5, V, 5, bias="rotary")
    with pytest.raises(ValueError, match="bias='simple' knows 5 steps, got 6"):
        RelativeBias(5)(6)
    both = attention(causal=False)
    assert both.init_state(2) is None
    with pytest.raises(RuntimeError, match="cannot go step by step"):
        both.step(*(x[:, 0] for x in inputs(1)), None)
    with pytest.raises(ValueError, match="reads the future"):
        both(*inputs(4), attention().init_state(2))
