"""Measure the identities that a correct linear state-space layer obeys: ``python benchmarks/lssl_identities.py``.

Prints a table identity, tolerance, measured. Each measure is a function without arguments that returns an error (or a
distance from the expected order of convergence); ``tests/layers/test_identities.py`` asserts the same table.
Source: Gu et al. 2021, arXiv 2110.13985, and Gu et al. 2020, arXiv 2008.07669, for the reconstructions.
"""

import copy
import io
import math
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from numpy.polynomial import laguerre, legendre
from torch import Tensor

from tsrec.kernels import fft_conv, linear_scan, linear_scan_reference
from tsrec.layers.hippo import discretize, structured, transition
from tsrec.layers.krylov import DenseDynamics
from tsrec.layers.lssl import LSSL, LSSLStack

LENGTHS = (1, 7, 64, 65, 100, 333)
F64 = torch.float64


class Identity(NamedTuple):
    number: int
    name: str
    tolerance: float
    measure: Callable[[], float]


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = F64) -> Tensor:
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def relative(found: Tensor, wanted: Tensor) -> float:
    return ((found - wanted).abs().max() / wanted.abs().max()).item()


def seed(number: int) -> torch.Generator:
    return torch.Generator().manual_seed(number)


@torch.no_grad()
def run_steps(mixer: torch.nn.Module, x: Tensor, state: object = None) -> Tensor:
    state = mixer.init_state(x.shape[0]) if state is None else state  # type: ignore[operator]
    outputs = []
    for x_t in x.unbind(1):
        y_t, state = mixer.step(x_t, state)  # type: ignore[operator]
        outputs.append(y_t)
    return torch.stack(outputs, 1)


@torch.no_grad()
def convolution_is_recurrence(dtype: torch.dtype) -> float:
    worst = 0.0
    for channels in (1, 3):
        for measure in ("legs", "legt", "lagt"):
            layer = LSSL(4, d_state=16, channels=channels, measure=measure, generator=seed(channels)).to(dtype)
            for length in LENGTHS:
                x = noise(2, length, 4, dtype=dtype)
                worst = max(worst, relative(layer(x)[0], run_steps(layer, x)))
    layer.C.zero_()
    return max(worst, relative(layer(x)[0], run_steps(layer, x)))


@torch.no_grad()
def deep_model_steps() -> float:
    made, loaded = (LSSLStack(4, 3, d_state=8, generator=seed(i)).double().eval() for i in (1, 2))
    file = io.BytesIO()
    torch.save(made.state_dict(), file)
    file.seek(0)
    loaded(noise(2, 20, 4))  # fills the tables with another model's numbers, at another length
    loaded.load_state_dict(torch.load(file))
    return max(relative(run_steps(loaded, x), made(x)[0]) for x in (noise(2, n, 4) for n in LENGTHS))


@torch.no_grad()
def chunks_are_the_whole() -> float:
    worst = 0.0
    for method in ("bilinear", "zoh", 1.0):
        layer = LSSL(4, d_state=16, channels=2, discretization=method, generator=seed(1)).double()
        for length in LENGTHS[1:]:
            x = noise(2, length, 4)
            whole, last = layer(x)
            for cut in (1, length // 3, length - 1):
                first, state = layer(x[:, :cut])
                second, end = layer(x[:, cut:], state)
                worst = max(worst, relative(torch.cat((first, second), 1), whole), relative(end, last))
    return worst


def legs_is_normal_plus_low_rank() -> float:
    A, _ = transition("legs", 64)
    p = (torch.arange(64, dtype=F64) + 0.5).sqrt()
    S = A + p[:, None] * p + torch.eye(64, dtype=F64) / 2
    return max(relative(S, -S.T), (A.diagonal() + torch.arange(1, 65)).abs().max().item())


def structured_class_contains_hippo() -> float:
    worst = 0.0
    for name, scale in (("legs", 1.0), ("legt", 1.0), ("legt", 2.0), ("lagt", 1.0)):
        for n in (1, 2, 8, 64, 256):
            for found, wanted in zip(structured(name, n, scale).dense(), transition(name, n, scale), strict=True):
                worst = max(worst, relative(found, wanted))
    return worst


def basis_functions(measure: str, order: int, n_checked: int) -> float:
    """Compare exp(t A) B with the polynomials which the state's coordinates stand for."""
    A, B = transition(measure, order)
    t = np.linspace(0.05, 0.95, 19)
    kernel = np.stack([(torch.linalg.matrix_exp(s * A) @ B).numpy() for s in t])[:, :n_checked]
    unit = np.eye(n_checked)
    r = np.sqrt(2 * np.arange(n_checked) + 1)
    wanted = {
        "legs": lambda: r * np.exp(-t)[:, None] * legendre.legval(2 * np.exp(-t) - 1, unit).T,
        "legt": lambda: r * legendre.legval(1 - 2 * t, unit).T,
        "lagt": lambda: np.exp(-t / 2)[:, None] * laguerre.lagval(t, unit).T,
    }[measure]()
    return float(abs(kernel - wanted).max())


def two_sines(s: np.ndarray) -> np.ndarray:
    return np.sin(2 * np.pi * 3 * s) + np.sin(2 * np.pi * 7 * s)


def reconstruct_all_history() -> float:
    """LegS as of 2020: x' = (A x + B u) / t, bilinear with A/k at step k; u(s) ~ sum x_n r_n P_n(2 s / t - 1)."""
    N, L = 64, 2000
    A, B = (m.numpy() for m in transition("legs", N))
    s = (np.arange(L) + 0.5) / L
    u, x, eye = two_sines(s), np.zeros(N), np.eye(N)
    for k in range(1, L + 1):
        x = np.linalg.solve(eye - A / (2 * k), (eye + A / (2 * k)) @ x + B / k * u[k - 1])
    r = np.sqrt(2 * np.arange(N) + 1)
    return float(np.sqrt(np.mean((legendre.legval(2 * s - 1, x * r) - u) ** 2)))


def reconstruct_window() -> float:
    """LegT with a window of W steps: u(t - tau) ~ sum x_n r_n P_n(1 - 2 tau / W)."""
    N, W, L = 64, 500, 2000
    u = torch.from_numpy(two_sines((np.arange(L) + 0.5) / L))
    Ab, Bb = discretize(*transition("legt", N), torch.tensor([1 / W], dtype=F64))
    x = DenseDynamics(Ab, Bb).final_state(u.view(1, -1, 1), None)[0, 0].numpy()
    r, tau = np.sqrt(2 * np.arange(N) + 1), np.arange(W) + 0.5
    found = legendre.legval(1 - 2 * tau / W, x * r)
    return float(np.sqrt(np.mean((found - u.flip(0)[:W].numpy()) ** 2)))


def reconstruct_fading() -> float:
    """LegS as in the layer, time-invariant: u(t - tau) ~ sum x_n r_n P_n(2 exp(-tau) - 1), for tau below 1."""
    N, dt, L = 64, 1 / 200, 2000
    u = torch.from_numpy(two_sines((np.arange(L) + 0.5) / L))
    Ab, Bb = discretize(*transition("legs", N), torch.tensor([dt], dtype=F64))
    x = DenseDynamics(Ab, Bb).final_state(u.view(1, -1, 1), None)[0, 0].numpy()
    r, tau = np.sqrt(2 * np.arange(N) + 1), (np.arange(200) + 0.5) * dt
    return float(abs(legendre.legval(2 * np.exp(-tau) - 1, x * r) - u.flip(0)[:200].numpy()).max())


def output_error(dt: float, means: bool) -> float:
    """Bilinear output at t = 2 under sin(5 t), against the exact solution with the oscillator as part of the system."""
    N, omega, end = 8, 5.0, 2.0
    A, B = transition("legs", N)
    full = torch.zeros(N + 2, N + 2, dtype=F64)
    full[:N, :N], full[:N, N] = A, B
    full[N, N + 1], full[N + 1, N] = omega, -omega
    start = torch.zeros(N + 2, dtype=F64)
    start[N + 1] = 1
    exact = (torch.linalg.matrix_exp(end * full) @ start)[:N]
    t = torch.arange(1, round(end / dt) + 1, dtype=F64) * dt
    mean = ((omega * (t - dt)).cos() - (omega * t).cos()) / (omega * dt)
    u = mean if means else (omega * t).sin()
    Ab, Bb = discretize(A, B, torch.tensor([dt], dtype=F64))
    return (DenseDynamics(Ab, Bb).final_state(u.view(1, -1, 1), None)[0, 0] - exact).abs().max().item()


def order_of_output(means: bool, expected: float) -> float:
    errors = [output_error(dt, means) for dt in (0.04, 0.02, 0.01, 0.005)]
    return max(abs(a / b - expected) for a, b in pairwise(errors[1:]))


def kernels_at(dt: float, method: str, length: int) -> Tensor:
    Ab, Bb = discretize(*transition("legs", 8), torch.tensor([dt], dtype=F64), method)
    return DenseDynamics(Ab, Bb).kernel(noise(1, 1, 8), length)[0, 0]


def order_between_methods() -> float:
    """|K_bilinear - K_zoh| / dt at the same times, away from t = 0, falls fourfold per halving of dt."""
    errors = []
    for dt in (0.01, 0.005, 0.0025):
        start, stop = round(1 / dt), round(2 / dt)
        gap = kernels_at(dt, "bilinear", stop) - kernels_at(dt, "zoh", stop)
        # Kernel sample l stands for the interval (l dt, (l+1) dt); compare whole windows, not single samples.
        errors.append(gap[start:].abs().max().item() / dt)
    return max(abs(a / b - 4) for a, b in pairwise(errors))


def hold_is_exact_under_doubling() -> float:
    A, B = transition("legs", 16)
    dt = torch.tensor([1e-3, 1e-2, 1e-1], dtype=F64)
    Ab, Bb = discretize(A, B, dt, "zoh")
    Ab2, Bb2 = discretize(A, B, 2 * dt, "zoh")
    return max((Ab2 - Ab @ Ab).abs().max().item(), (Bb2 - Bb - (Ab @ Bb[..., None])[..., 0]).abs().max().item())


def order_under_doubling() -> float:
    errors = []
    for dt in (0.01, 0.005, 0.0025):
        length = round(2 / dt)
        pairs = kernels_at(dt, "bilinear", length).view(-1, 2).sum(1)
        gap = (kernels_at(2 * dt, "bilinear", length // 2) - pairs).abs() / dt
        errors.append(gap[round(0.5 / dt) :].max().item())
    return max(abs(a / b - 4) for a, b in pairwise(errors))


@torch.no_grad()
def rate_scales_time() -> float:
    layer = LSSL(4, d_state=16, dt_min=1e-3, dt_max=1e-2, generator=seed(1)).double()
    t = torch.arange(800, dtype=F64)
    x = torch.stack([(2 * math.pi * t / p).sin() for p in (200.0, 300.0, 400.0, 550.0)], 1)[None]
    (y, state), (y2, state2) = layer(x), layer(x[:, 1::2], rate=2.0)
    return max(relative(y2, y[:, 1::2]), relative(state2, state))


def gate_is_backward_euler() -> float:
    z = torch.linspace(-8, 8, 101, dtype=F64)
    Ab, Bb = discretize(-torch.eye(1, dtype=F64), torch.ones(1, dtype=F64), z.exp(), 1.0)
    return max((Ab[:, 0, 0] - (1 - z.sigmoid())).abs().max().item(), (Bb[:, 0] - z.sigmoid()).abs().max().item())


def gradients_are_right() -> float:
    """Run gradcheck over every parameter, the input and the initial state, for outputs and last state."""
    for method, measure in (("bilinear", "legs"), ("zoh", "lagt"), (0.7, "legt")):
        layer = LSSL(2, d_state=3, channels=2, discretization=method, measure=measure, generator=seed(1)).double()
        names = [name for name, _ in layer.named_parameters()]

        def call(x: Tensor, state: Tensor, *values: Tensor, layer: LSSL = layer, names: list[str] = names) -> object:
            return torch.func.functional_call(layer, dict(zip(names, values, strict=True)), (x, state))

        inputs = (noise(2, 7, 2), noise(2, 2, 3, seed=1), *(p.detach().clone() for p in layer.parameters()))
        torch.autograd.gradcheck(call, [i.requires_grad_() for i in inputs])
    return 0.0


def known_radius(dt: Tensor, order: int) -> Tensor:
    j = torch.arange(1, order + 1, dtype=F64) * dt[:, None] / 2
    return ((1 - j) / (1 + j)).abs().max(1).values


def stability_of_start() -> float:
    """Largest spectral radius over the range of dt, minus 1: from the known eigenvalues -1..-N of LegS."""
    dt = torch.logspace(-3, -1, 30, dtype=F64)
    return max(known_radius(dt, n).max().item() - 1 for n in (4, 64, 256))


def monitor_bounds_the_radius() -> float:
    """How far the monitor falls below the true radius, or goes above 1."""
    layer = LSSL(6, d_state=64, generator=seed(1))
    true = known_radius(layer.log_dt.detach().double().exp(), 64)
    found = layer.spectral_radius()
    return max((true - found).max().item(), (found - 1).max().item(), 0.0)


@torch.no_grad()
def no_output_before_its_input() -> float:
    layer = LSSL(3, d_state=8, generator=seed(1)).double()
    worst = 0.0
    for length in (7, 65, 100):
        x = noise(2, length, 3)
        for start in (0, 1, length // 2, length - 1):
            moved = x.clone()
            moved[:, start] += 1.0
            gap = (layer(moved)[0] - layer(x)[0]).abs()
            worst = max(worst, gap[:, :start].max().item() if start else 0.0)
    return worst


@torch.no_grad()
def linear_and_shift_equivariant() -> float:
    layer = LSSL(3, d_state=8, channels=2, generator=seed(1)).double()
    K = layer._dynamics(F64, 1.0).kernel(layer.C, 100)
    u, v = noise(2, 100, 3), noise(2, 100, 3, seed=1)
    late = torch.nn.functional.pad(u, (0, 0, 5, 0))[:, :100]
    y = fft_conv(u, K, layer.D)
    return max(
        relative(fft_conv(2 * u - 3 * v, K, layer.D), 2 * y - 3 * fft_conv(v, K, layer.D)),
        relative(fft_conv(late, K, layer.D)[:, 5:], y[:, :95]),
    )


@torch.no_grad()
def batch_rows_are_apart() -> float:
    layer = LSSL(3, d_state=8, generator=seed(1)).double()
    x, order = noise(5, 65, 3), torch.tensor([3, 0, 4, 1, 2])
    a, b, seam = torch.rand(2, 65, 3, dtype=F64, generator=seed(2)), noise(2, 65, 3), 31
    a[:, seam] = 0
    packed, alone = linear_scan(a, b)[0][:, seam:], linear_scan(a[:, seam:], b[:, seam:])[0]
    return max(relative(layer(x[order])[0], layer(x)[0][order]), relative(packed, alone))


def two_sided_krylov(dtype: torch.dtype) -> float:
    worst = 0.0
    for measure, order, length in (("legs", 64, 1024), ("legt", 64, 333), ("legs", 7, 100), ("lagt", 8, 1)):
        Ab, Bb = discretize(*transition(measure, order), torch.tensor([0.1, 0.01], dtype=F64))
        C, x, wanted = noise(2, 2, order), Bb, []
        for _ in range(length):
            wanted.append(torch.einsum("hmn,hn->hm", C, x))
            x = torch.einsum("hkn,hn->hk", Ab, x)
        found = DenseDynamics(Ab.to(dtype), Bb.to(dtype)).kernel(C.to(dtype), length)
        worst = max(worst, relative(found.double(), torch.stack(wanted, -1)))
    return worst


def chunked_dual_form() -> float:
    """One scalar decay per step, in chunks of matrix products (arXiv 2405.21060), against the scan of all states."""
    L, N, P, Q = 48, 3, 4, 8
    log_a = -torch.rand(L, dtype=F64, generator=seed(0))
    X, B, C = noise(L, P), noise(L, N, seed=1), noise(L, N, seed=2)
    drive = (B[:, :, None] * X[:, None]).reshape(1, L, N * P)
    states = linear_scan(log_a.exp()[None, :, None].expand(1, L, N * P), drive)[0].view(L, N, P)
    S, out = torch.zeros(N, P, dtype=F64), []
    for s in range(0, L, Q):
        la, x, b, c = (v[s : s + Q] for v in (log_a, X, B, C))
        total = la.cumsum(0)
        inside = torch.tril((total[:, None] - total).clamp(max=0).exp())
        out.append((c @ b.T * inside) @ x + total.exp()[:, None] * (c @ S))
        S = total[-1].exp() * S + (b * (total[-1] - total).exp()[:, None]).T @ x
    return relative(torch.cat(out), torch.einsum("ln,lnp->lp", C, states))


def scan_adjoint(dtype: torch.dtype) -> float:
    inputs = [noise(*s, seed=i).to(dtype).requires_grad_() for i, s in enumerate(((1, 1, 4), (2, 63, 4), (2, 4)))]
    with torch.no_grad():
        inputs[0].mul_(0.6)
    weights = [noise(2, 63, 4, seed=3).to(dtype), noise(2, 4, seed=4).to(dtype)]
    found, wanted = (
        torch.autograd.grad(f(*inputs), inputs, copy.copy(weights)) for f in (linear_scan, linear_scan_reference)
    )
    return max(relative(x, y) for x, y in zip(found, wanted, strict=True))


IDENTITIES = (
    Identity(1, "convolution = recurrence, float64", 1e-13, lambda: convolution_is_recurrence(F64)),
    Identity(1, "convolution = recurrence, float32", 1e-6, lambda: convolution_is_recurrence(torch.float32)),
    Identity(2, "deep model step by step = whole, after load and other L", 1e-13, deep_model_steps),
    Identity(3, "two chunks with state = one, outputs and last state", 1e-13, chunks_are_the_whole),
    Identity(4, "LegS: A + p p^T + I/2 skew, eigenvalues -1..-N", 1e-14, legs_is_normal_plus_low_rank),
    Identity(4, "P (D + T^-1) Q = -A, N to 256", 2e-15, structured_class_contains_hippo),
    Identity(4, "exp(tA) B = Legendre in exp(-t) (LegS, N = 8)", 1e-12, lambda: basis_functions("legs", 8, 8)),
    Identity(4, "exp(tA) B = Laguerre (LagT, N = 8)", 1e-12, lambda: basis_functions("lagt", 8, 8)),
    Identity(4, "exp(tA) B ~ Legendre on a window (LegT, N = 64, n < 4)", 0.5, lambda: basis_functions("legt", 64, 4)),
    Identity(5, "reconstruction of all history, LegS with 1/t (rms)", 6e-3, reconstruct_all_history),
    Identity(5, "reconstruction of a window, LegT (rms)", 3e-4, reconstruct_window),
    Identity(5, "reconstruction with fading memory, LegS (max, tau < 1)", 1e-2, reconstruct_fading),
    Identity(6, "bilinear error falls x4 with interval means", 0.3, lambda: order_of_output(True, 4)),
    Identity(6, "bilinear error falls x2 with endpoint samples", 0.3, lambda: order_of_output(False, 2)),
    Identity(6, "bilinear - ZOH kernels fall x4", 0.3, order_between_methods),
    Identity(7, "ZOH exact under dt -> 2 dt", 1e-15, hold_is_exact_under_doubling),
    Identity(7, "bilinear under dt -> 2 dt falls x4", 0.3, order_under_doubling),
    Identity(8, "subsampled input with rate 2: outputs and state", 2e-2, rate_scales_time),
    Identity(9, "sigmoid gate = backward Euler", 1e-15, gate_is_backward_euler),
    Identity(10, "gradcheck: all parameters, input, state; outputs and last state", 0.0, gradients_are_right),
    Identity(11, "LegS stable for all dt in range (radius - 1)", 0.0, stability_of_start),
    Identity(11, "monitor between the true radius and 1", 0.0, monitor_bounds_the_radius),
    Identity(12, "no output before its input", 1e-12, no_output_before_its_input),
    Identity(12, "linearity, shift equivariance", 1e-13, linear_and_shift_equivariant),
    # Some processors add up the rows of a matrix product in an order that depends on their place.
    Identity(13, "batch permutation; packing with a = 0 at the seam", 1e-15, batch_rows_are_apart),
    Identity(14, "chunked dual form = scan", 1e-14, chunked_dual_form),
    Identity(14, "two-sided Krylov = sequential powers, float64", 1e-14, lambda: two_sided_krylov(F64)),
    Identity(14, "two-sided Krylov = sequential powers, float32", 8e-6, lambda: two_sided_krylov(torch.float32)),
    Identity(14, "scan backward = autograd, real", 1e-13, lambda: scan_adjoint(F64)),
    Identity(14, "scan backward = autograd, complex", 1e-13, lambda: scan_adjoint(torch.complex128)),
)


def main() -> None:
    torch.set_num_threads(1)
    print("| no. | identity | tolerance | measured |\n|---|---|---|---|")
    for identity in IDENTITIES:
        print(
            f"| {identity.number} | {identity.name} | {identity.tolerance:g} | {identity.measure():.2g} |", flush=True
        )


if __name__ == "__main__":
    main()
