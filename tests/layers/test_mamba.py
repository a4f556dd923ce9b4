"""Mamba: counts, beginnings, the plain recurrence, and both directions."""

import math

import pytest
import torch

from tsrec.layers.mamba import BiMamba, Mamba, MambaStack

pytestmark = pytest.mark.usefixtures("one_thread")


def seeded(number=1):
    return torch.Generator().manual_seed(number)


def noise(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=seeded(seed))


def weights(module):
    return sum(p.numel() for p in module.parameters())


def test_weights_of_a_layer_are_as_many_as_published():
    # specs: 963,840 at d = 384, N = 16, K = 4; two blocks in both directions 3,856,896.
    assert weights(Mamba(384)) == 963_840
    assert weights(MambaStack(384, 2, bidirectional=True, final_norm=False)) == 3_856_896


def plain(layer, x):
    """The layer's equations, a step and a channel at a time."""
    d_inner, K = layer.conv_weight.shape
    u, z = (x @ layer.in_proj.weight.T).chunk(2, -1)
    past = torch.zeros(K - 1, d_inner, dtype=x.dtype)
    h = torch.zeros_like(layer.A_log)
    rows = []
    for t in range(len(x)):
        seen = torch.cat([past, u[t : t + 1]])
        past = seen[1:]
        c = layer.conv_bias.clone()
        for k in range(K):
            c = c + layer.conv_weight[:, k] * seen[k]
        a = c / (1 + torch.exp(-c))
        low, B, C = (a @ layer.x_proj.weight.T).split(layer.sizes)
        dt = torch.log1p(torch.exp(low @ layer.dt_proj.weight.T + layer.dt_bias))
        h = torch.exp(-dt[:, None] * torch.exp(layer.A_log)) * h + (dt * a)[:, None] * B[None]
        y = (h * C).sum(1) + layer.D * a
        rows.append((y * z[t] / (1 + torch.exp(-z[t]))) @ layer.out_proj.weight.T)
    return torch.stack(rows)


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 33])
def test_a_layer_is_its_equations(length):
    layer = Mamba(6, d_state=3, generator=seeded()).double()
    with torch.no_grad():
        layer.D += noise(len(layer.D))
        layer.A_log += 0.3 * noise(*layer.A_log.shape)
    x = noise(2, length, 6)
    y, _ = layer(x)
    for row in range(2):
        torch.testing.assert_close(y[row], plain(layer, x[row]), rtol=1e-10, atol=1e-12)


def test_the_beginning_is_the_papers():
    layer = Mamba(64, d_state=5, generator=seeded())
    torch.testing.assert_close(torch.exp(layer.A_log)[0], torch.arange(1.0, 6))
    assert (layer.D == 1).all()
    dt = torch.nn.functional.softplus(layer.dt_bias)
    assert 1e-3 * 0.999 <= dt.min() < 2e-3
    assert 0.05 < dt.max() <= 0.1 * 1.001
    # Log-uniform: as much below the geometric mean of the bounds as above it.
    assert abs((dt.log() < math.log(1e-2)).float().mean() - 0.5) < 0.15
    assert layer.dt_proj.weight.abs().max() <= layer.rank**-0.5
    groups = {group.get("weight_decay"): group["params"] for group in layer.parameter_groups()}
    free = {id(layer.A_log), id(layer.D), id(layer.dt_bias), id(layer.conv_bias)}
    assert {id(p) for p in groups[0.0]} == free


def test_a_layer_in_reverse_is_the_layer_on_the_reversed_sequence():
    layer = Mamba(4, generator=seeded()).double()
    mirrored = Mamba(4, reverse=True, generator=seeded(2)).double()
    mirrored.load_state_dict(layer.state_dict())
    x = noise(2, 9, 4)
    y, state = mirrored(x)
    torch.testing.assert_close(y, layer(x.flip(1))[0].flip(1), rtol=1e-12, atol=1e-14)
    assert state is None
    assert mirrored.init_state(2) is None
    with pytest.raises(RuntimeError, match="cannot go step by step"):
        mirrored.step(x[:, 0])
    with pytest.raises(ValueError, match="state: found one"):
        mirrored(x, layer.init_state(2))


@pytest.mark.parametrize(("merge", "join"), [("add", torch.add), ("multiply", torch.mul)])
def test_both_directions_are_merged(merge, join):
    layer = BiMamba(4, merge=merge, generator=seeded()).double()
    x = noise(2, 9, 4)
    torch.testing.assert_close(layer(x)[0], join(layer.ahead(x)[0], layer.back(x)[0]))
    assert not torch.allclose(layer.ahead.in_proj.weight, layer.back.in_proj.weight)


def test_with_tied_weights_a_stack_commutes_with_reversal():
    stack = MambaStack(4, 2, bidirectional=True, final_norm=False, generator=seeded()).double()
    for block in stack.blocks:
        block.mixer.back.load_state_dict(block.mixer.ahead.state_dict())
    x = noise(3, 17, 4)
    y, mirrored = stack(x)[0], stack(x.flip(1))[0]
    torch.testing.assert_close(mirrored, y.flip(1), rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(mirrored.mean(1), y.mean(1), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_on_either_side_changes_nothing_in_either_direction(side):
    stack = MambaStack(4, 2, bidirectional=True, generator=seeded()).double()
    x, padding = noise(2, 9, 4), torch.full((2, 6, 4), 7.0, dtype=torch.float64)
    whole = torch.cat([padding, x] if side == "left" else [x, padding], 1)
    inside = slice(6, None) if side == "left" else slice(0, 9)
    mask = torch.zeros(2, 15, dtype=torch.bool)
    mask[:, inside] = True
    torch.testing.assert_close(stack(whole, None, mask)[0][:, inside], stack(x)[0], rtol=1e-12, atol=1e-13)


def test_what_reads_both_ways_has_no_steps():
    layer, stack = BiMamba(4), MambaStack(4, 1, bidirectional=True)
    assert not stack.causal
    assert layer.init_state(2) is None
    assert stack.init_state(2) is None
    for module in (layer, stack):
        with pytest.raises(RuntimeError, match="cannot go step by step"):
            module.step(torch.zeros(1, 4))
    with pytest.raises(ValueError, match="state: found one"):
        layer(torch.zeros(1, 2, 4), ())


def test_what_cannot_be_built_is_told():
    with pytest.raises(ValueError, match="merge='mean' is not known"):
        BiMamba(4, merge="mean")
    with pytest.raises(ValueError, match="merge='mean' is not known"):
        MambaStack(4, 1, merge="mean")
    with pytest.raises(ValueError, match="d_conv must be a whole number of at least 1, got 0"):
        Mamba(4, d_conv=0)
