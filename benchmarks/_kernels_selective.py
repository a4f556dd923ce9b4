"""The selective scan (Mamba-1, N = 16) against ``torch.exp`` of its decays, the torch loop and mambapy's tree scan."""

import re
import subprocess
import sys
from pathlib import Path

import torch
from _timing import Candidate, Table, Tensors, backward, both, forward, medians, ratio, rotating
from torch import Tensor
from torch.nn import functional

from tsrec.kernels import selective_scan, selective_scan_reference, selective_scan_step

try:
    from mambapy.pscan import pscan
except ImportError:
    pscan = None

N = 16
SHAPES = (
    *((32, 336, 512), (8, 2048, 512), (1, 16384, 256), (4, 65536, 64)),
    *((64, 32, 768), (8, 1024, 256), (2, 16384, 128)),
)
NAMES = ("u", "dt", "A", "B", "C", "D", "z", "bias")
# Autograd keeps three tensors of (B, D, N) per step for the loop, and several of (B, L, D, N) for the tree.
LOOP_MAX_STATES, LOOP_BOTH_MAX_STATES, TREE_MAX_STATES = 2**27, 2**26, 2**26


def op(
    u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, z: Tensor, bias: Tensor, **_: Tensor
) -> Tensor:
    return selective_scan(u, dt, A, B, C, D, z, bias)[0]


def loop(
    u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, z: Tensor, bias: Tensor, **_: Tensor
) -> Tensor:
    return selective_scan_reference(u, dt, A, B, C, D, z, bias)[0]


def subscripts(
    u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, z: Tensor, bias: Tensor, **_: Tensor
) -> Tensor:
    """The loop as it is usually written, whose every subscript costs a full-size tensor in the backward pass."""
    h, steps = u.new_zeros(u.shape[0], u.shape[2], A.shape[1]), []
    for t in range(u.shape[1]):
        y, h = selective_scan_step(u[:, t], dt[:, t], A, B[:, t], C[:, t], D, z[:, t], bias, h)
        steps.append(y)
    return torch.stack(steps, 1)


def tree(
    u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, z: Tensor, bias: Tensor, **_: Tensor
) -> Tensor:
    delta = functional.softplus(dt + bias)[..., None]
    h = pscan(torch.exp(delta * A), delta * B[:, :, None] * u[..., None])
    return ((h @ C[..., None])[..., 0] + D * u) * functional.silu(z)


def _inputs(shape: tuple[int, int, int]) -> Tensors:
    batch, length, width = shape
    tensors = {name: torch.randn(shape) for name in ("u", "dt", "z", "g")}
    tensors |= {name: torch.randn(batch, length, N) for name in ("B", "C")}
    decay = -torch.arange(1.0, N + 1).expand(width, N).contiguous()
    return {**tensors, "A": decay, "D": torch.ones(width), "bias": torch.full((width,), -4.0)}


def _exp(tensors: Tensors) -> object:
    """Take B L D N exponentials, a state at a time: the tensor of all would be larger than the whole scan."""
    for _ in range(N):
        torch.exp(tensors["dt"], out=tensors["g"])
    return None


def _candidates(shape: tuple[int, int, int]) -> dict[str, Candidate]:
    inputs = rotating(lambda: _inputs(shape))
    states = N * shape[0] * shape[1] * shape[2]
    candidates = {
        "exp": Candidate(_exp, rotating(lambda: {name: torch.randn(shape) for name in ("dt", "g")})),
        "fwd": forward(op, inputs),
        "bwd": backward(op, inputs, NAMES),
        "both": both(op, inputs, NAMES),
    }
    if states <= LOOP_MAX_STATES:
        candidates["loop"] = forward(loop, inputs)
    if states <= LOOP_BOTH_MAX_STATES and shape[1] <= 4096:
        candidates |= {"loop both": both(loop, inputs, NAMES), "subscripts both": both(subscripts, inputs, NAMES)}
    if pscan is not None and states <= TREE_MAX_STATES:
        candidates |= {"tree": forward(tree, inputs), "tree both": both(tree, inputs, NAMES)}
    return candidates


def _status(field: str) -> int:
    return 1024 * int(re.search(rf"{field}:\s+(\d+)", Path("/proc/self/status").read_text())[1])


def peak_arrays(shape: tuple[int, int, int]) -> float:
    """Return the peak of memory of one forward and backward, results included, in tensors of (B, L, D)."""
    for sizes in ((1, 40, 40), shape):  # the first call loads code
        inputs = _inputs(sizes)
        leaves = {name: inputs[name].requires_grad_() for name in NAMES}
        Path("/proc/self/clear_refs").write_text("5")
        before = _status("VmRSS")
        gradients = torch.autograd.grad(op(**leaves), list(leaves.values()), inputs["g"])
        peak = _status("VmHWM") - before
        del gradients
    return peak / (4 * shape[0] * shape[1] * shape[2])


def extra_arrays(shape: tuple[int, int, int]) -> float | None:
    """Measure :func:`peak_arrays` in a new process, whose memory nothing has used before; Linux only."""
    if not Path("/proc/self/clear_refs").exists():
        return None
    code = f"import torch, _kernels_selective as k; torch.set_num_threads(1); print(k.peak_arrays({shape}))"
    command = [sys.executable, "-W", "ignore", "-c", code]
    return float(subprocess.run(command, capture_output=True, check=True, text=True, cwd=Path(__file__).parent).stdout)


def measure(repeats: int) -> list[dict[str, object]]:
    table = Table(
        f"selective_scan with D, z and bias, N = {N}, float32",
        *("(B, L, D)", "exp ms", "fwd ms", "both ms", "fwd / exp", "bwd / exp", "loop / fwd", "loop both / both"),
        "loop with subscripts both / both",
        *("mambapy / fwd", "mambapy both / both", "extra memory, (B, L, D) arrays"),
    )
    for shape in SHAPES:
        extra = extra_arrays(shape)
        t = medians(_candidates(shape), repeats)
        table.add(
            str(shape),
            *(t[name] for name in ("exp", "fwd", "both")),
            *(ratio(t, "fwd", "exp"), ratio(t, "bwd", "exp"), ratio(t, "loop", "fwd"), ratio(t, "loop both", "both")),
            ratio(t, "subscripts both", "both"),
            *(ratio(t, "tree", "fwd"), ratio(t, "tree both", "both"), extra),
        )
    return table.rows
