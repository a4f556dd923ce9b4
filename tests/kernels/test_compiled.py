"""The primitives inside compiled graphs, under autocast, and as operators that torch can reason about."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from tsrec.kernels import dilated_conv, fft_conv, linear_scan, selective_scan

LENGTH, WIDTH, STATES = 70, 6, 4


def scanned(x, gate):
    h, h_last = linear_scan(torch.sigmoid(gate), x)
    backwards, _ = linear_scan(torch.sigmoid(gate[:1, :1]), x, h_last, reverse=True)
    return h + backwards


def scanned_complex(x, gate):
    a, b = torch.complex(0.5 * torch.tanh(gate), 0.5 * torch.tanh(x)), torch.complex(x, gate)
    h, h_last = linear_scan(a, b)
    return (linear_scan(a.conj(), h, h_last.conj(), reverse=True)[0] * h.conj()).real


def selected(x, gate):
    decay = -torch.arange(1.0, STATES + 1).expand(WIDTH, STATES).contiguous()
    y, h_last = selective_scan(x, gate, decay, x[..., :STATES], gate[..., :STATES], z=gate)
    return y + selective_scan(x, gate, decay, x[..., :STATES], gate[..., :STATES], h0=h_last, reverse=True)[0]


def convolved(x, gate):
    y = dilated_conv(x, gate[0, :WIDTH, :3].contiguous(), dilation=2, activation="silu", residual=x)
    return y + dilated_conv(x, gate[0, :WIDTH, :3], causal=False)


def convolved_short(x, gate):
    return fft_conv(x, gate[0, :9].T)


def convolved_long(x, gate):
    return fft_conv(x, gate[0].T, x[0, 0])


PRIMITIVES = (scanned, scanned_complex, selected, convolved, convolved_short, convolved_long)


class Model(nn.Module):
    """A primitive between linear maps, as layers have it."""

    def __init__(self, primitive):
        super().__init__()
        self.primitive = primitive
        self.into, self.out = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(WIDTH, 1)

    def forward(self, x):
        return self.out(self.primitive(*self.into(x).chunk(2, -1)))


def make(primitive):
    torch.manual_seed(0)
    return Model(primitive), torch.randn(2, LENGTH, WIDTH)


def gradients(model, loss):
    return torch.autograd.grad(loss, list(model.parameters()))


def check_compiled(primitive, backend):
    model, x = make(primitive)
    wanted = model(x)
    torch._dynamo.reset()
    found = torch.compile(model, fullgraph=True, backend=backend)(x)
    assert torch.allclose(found, wanted, atol=1e-6)
    pairs = zip(gradients(model, found.square().sum()), gradients(model, wanted.square().sum()), strict=True)
    assert all(torch.allclose(f, w, rtol=1e-4, atol=1e-4) for f, w in pairs)


@pytest.mark.slow
@pytest.mark.parametrize("primitive", PRIMITIVES)
@pytest.mark.parametrize("backend", ["numba", "reference"])
def test_a_compiled_graph_is_whole_and_gives_the_same(monkeypatch, primitive, backend):
    monkeypatch.setenv("TSREC_BACKEND", backend)
    check_compiled(primitive, "aot_eager")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's own code generator
@pytest.mark.filterwarnings("ignore:Torchinductor does not support code generation for complex")
@pytest.mark.parametrize("primitive", PRIMITIVES)
def test_generated_code_around_the_primitives_gives_the_same(primitive):
    check_compiled(primitive, "inductor")


@pytest.mark.parametrize("primitive", [p for p in PRIMITIVES if p is not scanned_complex])
def test_autocast_around_the_primitives_stays_close(primitive):
    model, x = make(primitive)
    wanted = model(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = model(x)
    assert found.dtype == torch.bfloat16
    assert (found.float() - wanted).abs().max() < 0.03 * wanted.abs().max()
    for f, w in zip(gradients(model, found.float().sum()), gradients(model, wanted.sum()), strict=True):
        assert f.dtype == torch.float32
        assert (f - w).abs().max() < 0.05 * w.abs().max()


def test_no_compiler_is_imported_by_computing():
    code = (
        "import sys, torch; from tsrec.kernels import linear_scan; x = torch.rand(1, 3, 2, requires_grad=True);"
        "linear_scan(x, x)[0].sum().backward(); raise SystemExit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
