"""The scan equals its plain loop, outputs and gradients, whatever the layout, dtype and direction."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck

from tsrec.kernels import linear_scan, linear_scan_reference, linear_scan_step

B, D = 3, 5
LENGTHS = (1, 63, 100)
DECAYS = ("row", "constant", "per batch", "per step", "full")
DTYPES = (torch.float64, torch.complex128)


def decay_shape(kind, length):
    return {
        "row": (D,),
        "constant": (1, 1, D),
        "per batch": (B, 1, D),
        "per step": (1, length, D),
        "full": (B, length, D),
    }[kind]


def make(kind, length, dtype, seed=0):
    g = torch.Generator().manual_seed(seed)
    a = torch.randn(decay_shape(kind, length), dtype=dtype, generator=g) * 0.7
    b = torch.randn(B, length, D, dtype=dtype, generator=g)
    h0 = torch.randn(B, D, dtype=dtype, generator=g)
    cotangents = [torch.randn(B, length, D, dtype=dtype, generator=g), torch.randn(B, D, dtype=dtype, generator=g)]
    return [x.requires_grad_() for x in (a, b, h0)], cotangents


def relative(found, wanted):
    # A maximum of tensors is NaN if one of them holds NaN; Python's max would drop it.
    pairs = zip(found, wanted, strict=True)
    return torch.stack([((x - y).abs().max() / (1 + y.abs().max())).double() for x, y in pairs]).max().item()


def assert_equals_the_reference(inputs, cotangents, reverse):
    found, wanted = linear_scan(*inputs, reverse=reverse), linear_scan_reference(*inputs, reverse=reverse)
    assert relative(found, wanted) < 1e-12
    found, wanted = (torch.autograd.grad(outputs, inputs, cotangents) for outputs in (found, wanted))
    assert relative(found, wanted) < 1e-12


@pytest.fixture(params=["numba", "triton"])
def backend(request, monkeypatch):
    pytest.importorskip(request.param, reason=f"{request.param} is not installed")
    monkeypatch.setenv("TSREC_BACKEND", request.param)
    return request.param


@pytest.mark.parametrize("backend", ["numba", "reference"])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("kind", DECAYS)
@pytest.mark.parametrize("length", LENGTHS)
def test_outputs_and_gradients_equal_the_reference(monkeypatch, length, kind, dtype, reverse, backend):
    monkeypatch.setenv("TSREC_BACKEND", backend)
    assert_equals_the_reference(*make(kind, length, dtype), reverse)


@pytest.mark.slow
@pytest.mark.parametrize("kind", DECAYS)
@pytest.mark.parametrize(
    ("length", "dtype", "reverse"), [(1, torch.float64, True), (17, torch.complex128, False)], ids=str
)
def test_emulated_gpu_kernels_equal_the_reference(monkeypatch, length, dtype, reverse, kind):
    pytest.importorskip("triton", reason="triton is not installed")
    monkeypatch.setenv("TSREC_BACKEND", "triton")
    assert_equals_the_reference(*make(kind, length, dtype), reverse)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("kind", DECAYS)
def test_gradcheck(kind, dtype):
    inputs, _ = make(kind, 4, dtype)
    assert gradcheck(lambda a, b, h0: linear_scan(a, b, h0), inputs)
    assert gradcheck(lambda a, b, h0: linear_scan(a, b, h0, reverse=True), inputs)


def test_gradient_of_a_real_decay_under_complex_input_is_real():
    a = torch.rand(D, dtype=torch.float64, requires_grad=True)
    b = torch.randn(B, 7, D, dtype=torch.complex128, requires_grad=True)
    h, _ = linear_scan(a, b)
    assert h.dtype == torch.complex128
    assert gradcheck(lambda a, b: linear_scan(a, b)[0], (a, b))


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64], ids=str)
def test_single_precision_stays_close_to_double(dtype):
    inputs, cotangents = make("full", 100, torch.complex128 if dtype.is_complex else torch.float64)
    small = [x.detach().to(dtype).requires_grad_() for x in inputs]
    found, wanted = linear_scan(*small), linear_scan_reference(*inputs)
    assert relative(found, wanted) < 1e-6
    found = torch.autograd.grad(found, small, [c.to(dtype) for c in cotangents])
    assert relative(found, torch.autograd.grad(wanted, inputs, cotangents)) < 1e-5


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_is_accumulated_in_single(dtype, backend):
    g = torch.Generator().manual_seed(0)
    length = 2000 if backend == "numba" else 100
    a, b = torch.full((1, 1, D), 0.999), torch.rand(2, length, D, generator=g).to(dtype)
    h, last = linear_scan(a, b)
    exact, exact_last = linear_scan_reference(a, b.double())
    assert h.dtype == dtype
    assert last.dtype == torch.float32
    assert relative([last], [exact_last]) < 1e-5
    assert relative([h.double()], [exact]) < torch.finfo(dtype).eps


def test_non_contiguous_inputs_give_the_same(backend):
    (a, b, h0), (g, g_last) = make("full", 7, torch.complex128)
    views = [
        a.detach().transpose(1, 2).contiguous().transpose(1, 2).requires_grad_(),
        b.detach().repeat_interleave(2, dim=2)[..., ::2].requires_grad_(),
        h0.detach().conj_physical().conj().requires_grad_(),
    ]
    assert not any(v.is_contiguous() and not v.is_conj() for v in views)
    strided = [g.transpose(0, 2).contiguous().transpose(0, 2), g_last.conj_physical().conj()]
    found, wanted = linear_scan(*views), linear_scan_reference(a, b, h0)
    assert relative(found, wanted) < 1e-12
    found = torch.autograd.grad(found, views, strided)
    assert relative(found, torch.autograd.grad(wanted, (a, b, h0), (g, g_last))) < 1e-12


def test_expanded_decay_gets_its_gradient_back_in_its_own_shape(backend):
    (a, b, h0), (g, _) = make("constant", 9, torch.float64)
    found = torch.autograd.grad(linear_scan(a.expand(B, 9, D), b, h0)[0], a, g)
    assert relative(found, torch.autograd.grad(linear_scan(a, b, h0)[0], a, g)) < 1e-12


def test_inputs_are_left_untouched(backend):
    (a, b, h0), cotangents = make("full", 9, torch.float64)
    before = [x.detach().clone() for x in (a, b, h0, *cotangents)]
    torch.autograd.grad(linear_scan(a, b, h0), (a, b, h0), cotangents)
    assert all(torch.equal(x, y) for x, y in zip((a, b, h0, *cotangents), before, strict=True))


def test_the_last_state_alone_has_gradients(backend):
    inputs, (_, g_last) = make("full", 9, torch.float64)
    found = torch.autograd.grad(linear_scan(*inputs)[1], inputs, g_last)
    assert relative(found, torch.autograd.grad(linear_scan_reference(*inputs)[1], inputs, g_last)) < 1e-12


@settings(max_examples=40, deadline=None)
@given(length=st.integers(2, 80), data=st.data(), kind=st.sampled_from(("row", "per batch", "full")))
def test_two_halves_with_the_state_carried_equal_the_whole(length, data, kind):
    (a, b, h0), _ = make(kind, length, torch.float64, seed=length)
    cut = data.draw(st.integers(1, length - 1))
    head, tail = (a[:, :cut], a[:, cut:]) if kind == "full" else (a, a)
    first, state = linear_scan(head, b[:, :cut], h0)
    second, last = linear_scan(tail, b[:, cut:], state)
    whole, wanted = linear_scan(a, b, h0)
    assert torch.equal(torch.cat((first, second), 1), whole)
    assert torch.equal(last, wanted)


def test_steps_equal_the_scan():
    (a, b, h0), _ = make("full", 63, torch.float64)
    h = h0
    for t in range(63):
        h = linear_scan_step(a[:, t], b[:, t], h)
    assert relative([h], [linear_scan(a, b, h0)[1]]) < 1e-14


@settings(max_examples=20, deadline=None)
@given(seam=st.integers(1, 40))
def test_zero_decay_at_a_seam_separates_packed_sequences(seam):
    (a, b, _), _ = make("full", 41, torch.float64)
    packed = a.detach().clone()
    packed[:, seam] = 0
    h, _ = linear_scan(packed, b)
    assert torch.equal(h[:, seam:], linear_scan(packed[:, seam:], b[:, seam:])[0])


def test_growing_decay_is_exact():
    h, last = linear_scan(torch.tensor([2.0]), torch.ones(1, 20, 1))
    assert last.item() == 2**20 - 1
    assert h[0, 3, 0].item() == 15


def test_gated_recurrence_is_backward_euler():
    """Gu et al. 2021, arXiv 2110.13985, Lemma 3.1: A = -1, B = 1, alpha = 1, dt = exp(z) is a sigmoid gate."""
    z = torch.linspace(-6, 6, 50, dtype=torch.float64)
    dt, gate = z.exp(), z.sigmoid()
    assert (1 / (1 + dt) - (1 - gate)).abs().max() < 1e-15
    assert (dt / (1 + dt) - gate).abs().max() < 1e-15
    u = torch.randn(50, dtype=torch.float64)
    x = torch.zeros((), dtype=torch.float64)
    for t in range(50):
        x = x / (1 + dt[t]) + dt[t] / (1 + dt[t]) * u[t]
    gated, _ = linear_scan((1 - gate).view(1, 50, 1), (gate * u).view(1, 50, 1))
    assert (gated[0, -1, 0] - x).abs() < 1e-15


def test_chunks_of_matrix_products_equal_the_scan():
    """The state-space dual form, one scalar decay per step, against the scan over (N, P) states (arXiv 2405.21060)."""
    g = torch.Generator().manual_seed(0)
    L, N, P, Q = 24, 3, 4, 8
    log_a = -torch.rand(L, dtype=torch.float64, generator=g)
    X, Bm, Cm = (torch.randn(L, n, dtype=torch.float64, generator=g) for n in (P, N, N))
    drive = (Bm[:, :, None] * X[:, None]).reshape(1, L, N * P)
    decay = log_a.exp()[None, :, None].expand(1, L, N * P)
    states = linear_scan(decay, drive)[0].view(L, N, P)
    wanted = torch.einsum("ln,lnp->lp", Cm, states)
    S, out = torch.zeros(N, P, dtype=torch.float64), []
    for s in range(0, L, Q):
        la, x, bm, cm = (v[s : s + Q] for v in (log_a, X, Bm, Cm))
        total = la.cumsum(0)
        inside = torch.tril(torch.exp((total[:, None] - total).clamp(max=0)))
        out.append((cm @ bm.T * inside) @ x + total.exp()[:, None] * (cm @ S))
        S = total[-1].exp() * S + (bm * (total[-1] - total).exp()[:, None]).T @ x
    assert (torch.cat(out) - wanted).abs().max() < 1e-13


@pytest.mark.parametrize("backend", ["numba", "reference", "triton"])
@pytest.mark.parametrize(("size", "width"), [(0, 3), (2, 0)])
def test_nothing_in_gives_nothing_out(monkeypatch, size, width, backend):
    monkeypatch.setenv("TSREC_BACKEND", backend)
    inputs = [torch.rand(shape, requires_grad=True) for shape in ((width,), (size, 4, width), (size, width))]
    for reverse in (False, True):
        h, h_last = linear_scan(*inputs, reverse=reverse)
        assert h.shape == inputs[1].shape
        assert h_last.shape == inputs[2].shape
        gradients = torch.autograd.grad(h.sum() + h_last.sum(), inputs)
        assert all((x == 0).all() for x in gradients)


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64], ids=str)
def test_long_sums_do_not_drift(dtype):
    b, a = torch.full((1, 200_000, 2), 0.1, dtype=dtype), torch.full((2,), 0.5, dtype=dtype)
    found, wanted = (
        torch.autograd.grad(linear_scan(x, b.to(x.dtype))[0].sum().abs(), x)[0]
        for x in (a.requires_grad_(), a.detach().to(torch.promote_types(dtype, torch.float64)).requires_grad_())
    )
    assert relative([found], [wanted.to(dtype)]) < 1e-5


def test_a_precise_decay_gets_a_precise_gradient():
    a, b = torch.rand(3, dtype=torch.float64), torch.rand(2, 50, 3)
    h, _ = linear_scan(a.requires_grad_(), b)
    assert h.dtype == torch.float32
    wanted = torch.autograd.grad(linear_scan_reference(a, b.double())[0].sum(), a)
    assert relative(torch.autograd.grad(h.sum(), a), wanted) < 1e-12


@pytest.mark.slow
@pytest.mark.parametrize("length", [10, 10_000])
def test_results_may_be_changed_in_place(length):
    a, b = torch.rand(64, requires_grad=True), torch.rand(2, length, 64, requires_grad=True)
    h, h_last = linear_scan(a, b)
    h_last.add_(1).detach_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        h.add_(1).sum().backward()  # the gradient needs h as it was


def test_whole_numbers_are_refused_not_truncated():
    with pytest.raises(TypeError, match=r"b must be of a floating or complex dtype, got torch.int64"):
        linear_scan(torch.tensor([0.5]), torch.ones(1, 3, 1, dtype=torch.int64))


@pytest.mark.parametrize(
    ("a", "b", "h0", "message"),
    [
        ((D,), (B, 0, D), None, "L >= 1"),
        ((D,), (B, D), None, r"shape \(B, L, D\)"),
        ((B, 3, 1), (B, 3, D), None, "a must have shape"),
        ((2, 3, D), (B, 3, D), None, "a must have shape"),
        ((D,), (B, 3, D), (1, D), "h0 must have shape"),
    ],
)
def test_shapes_that_do_not_fit_are_named(a, b, h0, message):
    with pytest.raises(ValueError, match=message):
        linear_scan(torch.zeros(a), torch.zeros(b), None if h0 is None else torch.zeros(h0))
