"""Every mixer, alone and inside a sequence model, against loops over time that do only what the formulas say."""

import math

import numpy as np
import pytest
import torch
from scipy.linalg import expm
from scipy.special import erf

from tsrec.layers.filter_bank import ConvolutionBank, FilterBank
from tsrec.layers.gated_attention import GatedAttention, ScaleNorm
from tsrec.layers.lssl import LSSL, LSSLBlock, LSSLStack
from tsrec.layers.mlp import PointwiseMLP
from tsrec.layers.pooling import FilterPooling, Pooling
from tsrec.layers.random import Linear
from tsrec.layers.residual import ResidualBlock, ResidualStack
from tsrec.layers.ridge_head import RidgeLinear
from tsrec.layers.s4d import S4D
from tsrec.layers.sequence_model import ChannelEmbedding, ChannelMix, SequenceModel
from tsrec.layers.tcnca import TCNCA, TCNCAStack

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


def silu(x):
    return x / (1 + np.exp(-x))


def norm(module, x):
    if isinstance(module, ScaleNorm | torch.nn.RMSNorm):
        gain = module.scale if isinstance(module, ScaleNorm) else module.weight
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5) * gain.detach().numpy()
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


def taps_of(inputs, t, kernel_size, dilation):
    """What stood K inputs a dilation apart at step t, latest last, zeros before the first: (B, K, D)."""
    steps = [t - k * dilation for k in reversed(range(kernel_size))]
    return np.stack([inputs[s] if s >= 0 else np.zeros_like(inputs[0]) for s in steps], 1)


class Steps:
    """A TCNCA layer, one step at a time, with all it has seen: only what formulas say, no ring, no cache."""

    def __init__(self, layer, before):
        self.layer = layer
        self.inputs = [[] for _ in layer.memory.dilations] if before is None else before.inputs
        self.seen = [] if before is None else before.seen
        self.place = -1 if before is None else before.place

    def memory(self, x, observed):
        network = self.layer.memory
        for i, dilation in enumerate(network.dilations):
            x = np.where(observed[:, None], x, 0.0)
            self.inputs[i].append(x)
            weight, bias = (part[0, i, 0].detach().numpy() for part in (network.weight, network.bias))
            taps = taps_of(self.inputs[i], len(self.inputs[i]) - 1, network.kernel_size, dilation)
            x = x + silu(np.einsum("bkd,dk->bd", taps, weight) + bias)
        return x

    def attention(self, q, k, v, observed):
        module, c = self.layer.attention, self.layer.attention.chunk
        begun = (self.place >= 0) | observed if isinstance(self.place, np.ndarray) else observed
        place = np.where(begun, (self.place + 1) % c if isinstance(self.place, np.ndarray) else 0, -1)
        self.place = place
        self.seen = [[] if at == 0 else kept for at, kept in zip(place, self.seen or [[] for _ in q], strict=True)]
        found = []
        for row in range(len(q)):
            at = max(place[row], 0)
            keys = [*self.seen[row], (at, k[row], v[row])]
            if observed[row]:
                self.seen[row].append(keys[-1])
            lags = module.bias.lags(c).detach().numpy()
            scale = math.sqrt(module.d_key) if module.function == "softmax" else len(keys)
            scores = np.array([q[row] @ key / scale + lags[c - 1 + where - at] for where, key, _ in keys])
            weights = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
            if module.function == "laplace":
                weights = (1 + erf((scores - math.sqrt(0.5)) * math.sqrt(2 * math.pi))) / 2
            if module.function == "relu2":
                weights = np.maximum(scores, 0) ** 2
            found.append(sum(w * value for w, (_, _, value) in zip(weights, keys, strict=True)))
        return np.stack(found)

    def mixed(self, x, observed):
        mix, v = self.layer.mix, numbers(self.layer.mix)
        if isinstance(mix, GatedAttention):
            xn = norm(mix.norm, x) if mix.prenorm else x
            m = silu(self.memory(xn, observed) + v["omega"] * xn)
            widths = np.cumsum(mix.widths)[:-1]
            update, shared, reset, hidden = np.split(linear(mix.mixed, m), widths, -1)
            z = silu(shared)
            q, k = (z * v["scale"][i] + v["shift"][i] for i in range(2))
            attended = self.attention(q, k, silu(linear(mix.value, xn)), observed)
            h = silu(hidden + linear(mix.hidden, attended * silu(reset)))
            y = x + (h - x) / (1 + np.exp(-update))
            return y if mix.prenorm else norm(mix.norm, y)
        first, second = mix.norms
        y = x + self.memory(norm(first, x), observed)
        q, k, value = np.split(linear(mix.queries, norm(second, y)), np.cumsum(mix.widths)[:-1], -1)
        return y + linear(mix.output, self.attention(q, k, value, observed))

    def __call__(self, x, observed):
        y, net = self.mixed(x, observed), self.layer.feed_forward
        h = linear(net.outer, silu(linear(net.inner, norm(net.norm, y) if net.prenorm else y)))
        return y + h if net.prenorm else norm(net.norm, y + h)


class Inputs(list):
    """All inputs of a bank so far; what it keeps of them is its own affair."""


def loop(mixer, u, state, mask, rate):
    """What a mixer answers, and its last state."""
    if isinstance(mixer, TCNCA):
        steps = Steps(mixer, state)
        return np.stack([steps(u[:, t], mask[:, t]) for t in range(u.shape[1])], 1), steps
    if isinstance(mixer, ConvolutionBank):
        inputs = [] if state is None else list(state)
        y = []
        for t in range(u.shape[1]):
            inputs.append(np.where(mask[:, t, None], u[:, t], 0.0))
            taps = [taps_of(inputs, len(inputs) - 1, 9, d)[..., h] for h, d in enumerate(mixer.memory.dilations)]
            y.append(np.einsum("hmk,hbk->bhm", mixer.C.numpy(), np.stack(taps)).reshape(len(u), -1))
        return np.stack(y, 1), Inputs(inputs)
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
    "convolution bank": lambda: ConvolutionBank(D, 3, 60, scales=3, generator=seeded()),
    "TCNCA": lambda: TCNCA(D, chunk=8, reach=27, generator=seeded()),
    "TCNCA laplace, rotary, post-norm": lambda: TCNCA(
        D, chunk=8, reach=27, attention="laplace", bias="rotary", norm="scale", prenorm=False, generator=seeded()
    ),
    "simplified TCNCA stack": lambda: TCNCAStack(
        D, 2, chunk=5, reach=20, gated=False, attention="relu2", norm="rms", generator=seeded()
    ),
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
    if isinstance(wanted, Steps | Inputs):
        return
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
    rate = rate if getattr(mixer, "time_scale", True) else 1.0
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
    rate = 1.5 if model.time_scale else 1.0
    with torch.no_grad():
        features, answers = model.features(x, mask, rate=rate), model(x, mask, rate=rate)
    inputs = embedded(embedding, x.numpy())
    for row, length in enumerate(lengths):
        y, _ = loop(mixer, inputs[row : row + 1, :length], None, np.ones((1, length), bool), rate)
        assert_close(features[row], pooled(pooling, y[0]))
        wanted = pooled(pooling, y[0])
        if kinds == "filters":
            wanted = (wanted - head.mean.numpy()) * head.gain.numpy()
        assert_close(answers[row], linear(head, wanted))
