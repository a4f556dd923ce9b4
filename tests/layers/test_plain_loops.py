"""Every mixer, alone and inside a sequence model, against loops over time that do only what the formulas say."""

import math

import numpy as np
import pytest
import torch
from scipy.linalg import expm
from scipy.special import erf

from tsrec.layers.filter_bank import FilterBank
from tsrec.layers.lssl import LSSL, LSSLBlock, LSSLStack
from tsrec.layers.mlp import PointwiseMLP
from tsrec.layers.pooling import FilterPooling, Pooling
from tsrec.layers.random import Linear
from tsrec.layers.residual import ResidualBlock, ResidualStack
from tsrec.layers.ridge_head import RidgeLinear
from tsrec.layers.s4d import S4D
from tsrec.layers.sequence_model import ChannelEmbedding, ChannelMix, SequenceModel

C, D = 3, 4


def seeded(number=1):
    return torch.Generator().manual_seed(number)


def noise(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=seeded(seed))


def numbers(module):
    return {name: tensor.detach().numpy() for name, tensor in module.state_dict().items()}


def gelu(x):
    return x * (1 + erf(x / math.sqrt(2))) / 2


def linear(module, x):
    return x @ module.weight.detach().numpy().T + module.bias.detach().numpy()


def norm(module, x):
    if not isinstance(module, torch.nn.LayerNorm):
        return x
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + module.eps)
    return x * module.weight.detach().numpy() + module.bias.detach().numpy()


def discrete(mixer, rate):
    """Ab (H, N, N) and Bb (H, N); the modes of an S4D stand on a diagonal."""
    v = numbers(mixer)
    systems = []
    for h, dt in enumerate(np.exp(v["log_dt"]) * rate):
        if isinstance(mixer, S4D):
            A = np.diag(-np.exp(v["log_decay"][h]) + 1j * v["frequency"][h])
            B, alpha = np.ones(len(A)), "zoh"
        else:
            T = np.diag(v["t_diag"]) + np.diag(v["t_sub"], -1) + np.diag(v["t_super"], 1)
            A = -np.diag(v["p"]) @ (np.diag(v["d"]) + np.linalg.inv(T)) @ np.diag(v["q"])
            B, alpha = v["p"] * v["b"], mixer.discretization
        eye = np.eye(len(A))
        if alpha == "zoh":
            Ab = expm(dt * A)
            systems.append((Ab, np.linalg.solve(A, (Ab - eye) @ B)))
        else:
            alpha = 0.5 if alpha == "bilinear" else alpha
            left = eye - alpha * dt * A
            Ab = np.linalg.solve(left, eye + (1 - alpha) * dt * A)
            systems.append((Ab, np.linalg.solve(left, dt * B)))
    return [np.stack(part) for part in zip(*systems, strict=True)]


def states_of(mixer, u, state, mask, rate):
    """x = Ab x + Bb u at each step; an unobserved input is none."""
    Ab, Bb = discrete(mixer, rate)
    x = np.zeros((len(u), *Bb.shape), Bb.dtype) if state is None else state
    found = []
    for t in range(u.shape[1]):
        u_t = np.where(mask[:, t, None], u[:, t], 0.0)
        x = np.einsum("hij,bhj->bhi", Ab, x) + Bb * u_t[..., None]
        found.append((x, u_t))
    return found, x


def loop(mixer, u, state, mask, rate):
    """What a mixer answers, and its last state."""
    if isinstance(mixer, FilterBank):
        found, last = states_of(mixer.memory, u, state, mask, rate)
        reads = mixer.C.numpy()
        y = np.stack([np.einsum("hmn,bhn->bhm", reads, x).reshape(len(u), -1) for x, _ in found], 1)
        return y, last
    if isinstance(mixer, LSSL | S4D):
        v = numbers(mixer)
        found, last = states_of(mixer, u, state, mask, rate)
        reads = 2 * (v["C"][..., 0] + 1j * v["C"][..., 1]) if isinstance(mixer, S4D) else v["C"]
        outputs = []
        for x, u_t in found:
            y = np.einsum("hmn,bhn->bhm", reads, x).real + v["D"] * u_t[..., None]
            outputs.append(linear(mixer.output, gelu(y).reshape(len(u), -1)))
        return np.stack(outputs, 1), last
    if isinstance(mixer, PointwiseMLP):
        for layer in mixer.layers:
            u = gelu(u) if isinstance(layer, torch.nn.GELU) else linear(layer, u) if hasattr(layer, "weight") else u
        return u, None
    if isinstance(mixer, ResidualBlock):
        branch, last = loop(mixer.mixer, norm(mixer.norm, u) if mixer.prenorm else u, state, mask, rate)
        return u + branch if mixer.prenorm else norm(mixer.norm, u + branch), last
    u, last = np.where(mask[..., None], u, 0.0), []
    for i, block in enumerate(mixer.blocks):
        u, after = loop(block, u, None if state is None else state[i], mask, rate)
        last.append(after)
    return norm(mixer.norm, u), last


def embedded(module, x):
    """Each channel's last value seen (0 before the first, also where its beginning is taken off), then the map."""
    held, first, found = np.zeros((len(x), C)), np.full((len(x), C), np.nan), []
    for t in range(x.shape[1]):
        missing = np.isnan(x[:, t])
        held = np.where(missing, held, x[:, t])
        first = np.where(np.isnan(first), x[:, t], first)
        if isinstance(module, ChannelMix):
            change = np.where(np.isnan(first), 0.0, held - first)
            relative = module.relative.numpy() > 0
            found.append(np.where(relative, change @ module.weight.numpy(), held @ module.weight.numpy()))
        else:
            found.append(linear(module.values, held) + missing @ module.missing.detach().numpy().T)
    return np.stack(found, 1)


def pooled(pooling, rows):
    """One sequence's outputs (L, D) as one vector."""
    if isinstance(pooling, Pooling):
        parts = {"mean": rows.mean(0), "max": rows.max(0), "last": rows[-1]}
        return np.concatenate([parts[kind] for kind in pooling.kinds])
    edges, widths = pooling.thresholds.numpy(), pooling.widths.numpy()
    shares = np.clip((rows[:, None] - edges) / widths + 0.5, 0, 1).mean(0).ravel()
    sizes = (rows**2).mean(0) + 1e-8, np.maximum(rows.max(0), 0) + 1e-4, np.maximum(-rows.min(0), 0) + 1e-4
    return np.concatenate([shares, *(np.log(size) for size in sizes)])


MIXERS = {
    "LSSL": lambda: LSSL(D, d_state=6, channels=2, generator=seeded()),
    "LSSL legt zoh": lambda: LSSL(D, d_state=5, measure="legt", discretization="zoh", generator=seeded()),
    "LSSL-fixed lagt backward Euler": lambda: LSSL(
        D, d_state=5, measure="lagt", discretization=1.0, fixed=True, generator=seeded()
    ),
    "S4D": lambda: S4D(D, d_state=6, channels=2, dt_max=0.5, generator=seeded()),
    "filter bank": lambda: FilterBank(D, 3, 60, d_state=4, scales=3, generator=seeded()),
    "pointwise": lambda: PointwiseMLP(D, 2, generator=seeded()),
    "block": lambda: LSSLBlock(LSSL(D, d_state=5, generator=seeded()), prenorm=False),
    "stack": lambda: LSSLStack(D, 2, d_state=4, generator=seeded()),
    "post-norm stack": lambda: ResidualStack([S4D(D, d_state=4), PointwiseMLP(D)], prenorm=False),
}
every_mixer = pytest.mark.parametrize("make", MIXERS.values(), ids=MIXERS)


def made(make):
    """In float64, nothing that can be trained at its first value."""
    mixer, g = make().double(), seeded(8)
    with torch.no_grad():
        for p in mixer.parameters():
            if p.requires_grad:
                p += 0.05 * torch.randn(p.shape, generator=g, dtype=p.dtype)
    return mixer


def assert_close(found, wanted):
    if isinstance(wanted, list):
        for one, other in zip(found, wanted, strict=True):
            assert_close(one, other)
    elif wanted is None:
        assert found is None
    else:
        np.testing.assert_allclose(found.detach().numpy(), wanted, rtol=1e-10, atol=1e-10)


@every_mixer
@pytest.mark.parametrize("rate", [1.0, 2.5])
def test_a_mixer_equals_its_loop(make, rate):
    mixer = made(make)
    for length in (1, 2, 9, 70):
        x, mask = noise(2, length, D, seed=length), torch.rand(2, length, generator=seeded(length)) < 0.8
        y, state = mixer(x, mask=mask, rate=rate)
        wanted, last = loop(mixer, x.numpy(), None, mask.numpy(), rate)
        assert_close(y, wanted)
        assert_close(state, last)
        more = noise(2, 5, D, seed=9)
        assert_close(mixer(more, state, rate=rate)[0], loop(mixer, more.numpy(), last, np.ones((2, 5), bool), rate)[0])


def pooling_for(kinds, width):
    if kinds != "filters":
        return Pooling(width, kinds)
    pooling = FilterPooling(width, 3)
    pooling.calibrate(noise(100, width), torch.ones(100))
    return pooling


@every_mixer
@pytest.mark.parametrize("kinds", [("mean",), ("max", "last"), "filters"], ids=str)
def test_a_model_equals_its_loop_on_series_of_any_lengths_with_holes(make, kinds):
    mixer = made(make)
    pooling = pooling_for(kinds, getattr(mixer, "n_outputs", D))
    embedding = ChannelMix(C, D, group=2) if kinds == "filters" else ChannelEmbedding(C, D, generator=seeded())
    head = RidgeLinear(pooling.n_outputs, 2) if kinds == "filters" else Linear(pooling.n_outputs, 2, generator=seeded())
    for name, part in (*head.named_buffers(), *embedding.named_parameters()):
        part.data.normal_(generator=seeded(len(name)))
    model = SequenceModel(embedding, mixer, pooling, head).double().eval()
    lengths = (30, 1, 17)
    x = noise(3, 30, C).masked_fill(torch.rand(3, 30, C, generator=seeded()) < 0.3, torch.nan)
    mask = torch.arange(30) < torch.tensor(lengths)[:, None]
    with torch.no_grad():
        features, answers = model.features(x, mask, rate=1.5), model(x, mask, rate=1.5)
    inputs = embedded(embedding, x.numpy())
    for row, length in enumerate(lengths):
        y, _ = loop(mixer, inputs[row : row + 1, :length], None, np.ones((1, length), bool), 1.5)
        assert_close(features[row], pooled(pooling, y[0]))
        wanted = pooled(pooling, y[0])
        if kinds == "filters":
            wanted = (wanted - head.mean.numpy()) * head.gain.numpy()
        assert_close(answers[row], linear(head, wanted))
