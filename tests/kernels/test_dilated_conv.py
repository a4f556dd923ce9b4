"""The dilated convolution equals its definition: values, all gradients, every direction, whole and in pieces."""

import importlib.util
import itertools
import math

import pytest
import torch
from torch.autograd import gradcheck
from torch.library import opcheck
from torch.nn import functional

from tsrec.kernels import (
    _dispatch,
    _numba_conv,
    dilated_conv,
    dilated_conv_reference,
    dilated_conv_state,
    dilated_conv_step,
)

BACKENDS = ["reference", "numba"]
# Emulation takes milliseconds per tile, so it runs some of the tests only, among the long ones.
EMULATED_TOO = [*BACKENDS, *[pytest.param("triton", marks=pytest.mark.slow)] * bool(importlib.util.find_spec("triton"))]
CAUSAL, SYMMETRIC, REVERSE = {}, {"causal": False}, {"reverse": True}
ACTIVATIONS = (None, "silu", "relu")
DTYPES = (torch.float32, torch.bfloat16, torch.float16)


def make(size, length, width, n_taps, reach=None, dtype=torch.float64):
    """Return x, weight, bias, residual and, where `reach` is given, the inputs before the first step."""
    g = torch.Generator().manual_seed(length)
    shapes = [(size, length, width), (width, n_taps), (width,), (size, length, width)]
    if reach is not None:
        shapes.append((size, reach, width))
    tensors = [torch.randn(shape, dtype=torch.float64, generator=g).to(dtype).requires_grad_() for shape in shapes]
    return tensors if reach is not None else [*tensors, None]


def call(function, tensors, **options):
    x, weight, bias, residual, initial = tensors
    return function(x, weight, bias, residual=residual, initial=initial, **options)


def gradients(y, tensors):
    given = [tensor for tensor in tensors if tensor is not None]
    g = torch.randn(y.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return torch.autograd.grad(y, given, g.to(y.dtype))


def relative(found, wanted):
    pairs = [(x, y) for x, y in zip(found, wanted, strict=True) if x.shape != y.shape or y.numel()]
    return torch.stack([(x - y).abs().max() / (1 + y.abs().max()) for x, y in pairs]).max().item()  # NaN stays


def by_loops(x, weight, bias, residual, initial, dilation, causal=True, reverse=False, activation=None):
    size, length, _ = x.shape
    n_taps, z = weight.shape[1], bias.expand(x.shape).clone()
    for b, t, k in itertools.product(range(size), range(length), range(n_taps)):
        back = (n_taps - 1 - k) * dilation if causal else ((n_taps - 1) // 2 - k) * dilation
        s = t + back if reverse else t - back
        if 0 <= s < length:
            z[b, t] += weight[:, k] * x[b, s]
        elif s < 0 and initial is not None:
            z[b, t] += weight[:, k] * initial[b, s]
    act = {None: lambda v: v, "silu": lambda v: v * torch.sigmoid(v), "relu": lambda v: v.clamp(min=0)}[activation]
    return act(z) + residual


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("direction", [CAUSAL, SYMMETRIC, REVERSE], ids=str)
@pytest.mark.parametrize(("length", "n_taps", "dilation"), [(1, 3, 2), (9, 3, 1), (11, 5, 2), (4, 1, 1), (3, 3, 5)])
def test_the_reference_is_the_definition(length, n_taps, dilation, direction, activation):
    reach = (n_taps - 1) * dilation if direction == CAUSAL else None
    tensors = [None if t is None else t.detach() for t in make(2, length, 3, n_taps, reach)]
    found = call(dilated_conv_reference, tensors, dilation=dilation, activation=activation, **direction)
    assert relative([found], [by_loops(*tensors, dilation, activation=activation, **direction)]) < 1e-14


@pytest.mark.parametrize(("n_taps", "dilation"), [(4, 1), (3, 16), (1, 1), (9, 3)])
def test_the_reference_is_torchs_own_convolution(n_taps, dilation):
    x, weight, bias, residual, _ = make(2, 20, 5, n_taps)
    padded = functional.pad(x.mT, ((n_taps - 1) * dilation, 0))
    z = functional.conv1d(padded, weight[:, None], bias, groups=5, dilation=dilation).mT
    found = dilated_conv_reference(x, weight, bias, dilation=dilation, activation="silu", residual=residual)
    assert relative([found], [functional.silu(z) + residual]) < 1e-14


CASES = [
    # length, width, batch, taps, dilation
    (1, 5, 3, 4, 1),
    (2, 1, 1, 3, 1),
    (63, 5, 3, 9, 3),
    (64, 33, 1, 4, 1),
    (65, 33, 3, 9, 16),
    (65, 5, 1, 1, 3),
    (100, 5, 3, 3, 16),
    (100, 1, 3, 17, 3),
    (1000, 5, 2, 9, 16),
]


@pytest.mark.parametrize("backend", EMULATED_TOO)
@pytest.mark.parametrize("direction", [CAUSAL, SYMMETRIC, REVERSE], ids=str)
@pytest.mark.parametrize(("length", "width", "size", "n_taps", "dilation"), CASES)
def test_outputs_and_gradients_equal_the_reference(
    monkeypatch, length, width, size, n_taps, dilation, direction, backend
):
    if direction == SYMMETRIC and n_taps % 2 == 0:
        n_taps += 1
    monkeypatch.setenv("TSREC_BACKEND", backend)
    reach = (n_taps - 1) * dilation if direction == CAUSAL and length % 2 else None
    tensors = make(size, length, width, n_taps, reach)
    options = {"dilation": dilation, "activation": ACTIVATIONS[(length + n_taps) % 3], **direction}
    found, wanted = call(dilated_conv, tensors, **options), call(dilated_conv_reference, tensors, **options)
    assert relative([found], [wanted]) < 1e-13
    assert relative(gradients(found, tensors), gradients(wanted, tensors)) < 1e-13


@pytest.mark.parametrize("backend", EMULATED_TOO)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("given", list(itertools.product([False, True], repeat=3)), ids=str)
def test_any_of_bias_residual_and_initial_may_be_left_out(monkeypatch, given, activation, backend):
    monkeypatch.setenv("TSREC_BACKEND", backend)
    everything = make(2, 21, 3, 4, 6)
    tensors = [*everything[:2], *(t if there else None for t, there in zip(everything[2:], given, strict=True))]
    options = {"dilation": 2, "activation": activation}
    found, wanted = call(dilated_conv, tensors, **options), call(dilated_conv_reference, tensors, **options)
    assert relative([found], [wanted]) < 1e-14
    assert relative(gradients(found, tensors), gradients(wanted, tensors)) < 1e-13


@pytest.mark.parametrize("backend", EMULATED_TOO)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_lower_precisions_stay_close_to_double(monkeypatch, dtype, backend):
    monkeypatch.setenv("TSREC_BACKEND", backend)
    tensors = make(2, 70, 33, 9, 16, dtype)
    exact = [t.detach().double().requires_grad_() for t in tensors]
    options = {"dilation": 2, "activation": "silu"}
    found, wanted = call(dilated_conv, tensors, **options), call(dilated_conv_reference, exact, **options)
    assert found.dtype == dtype
    grads = gradients(found, tensors)
    assert all(g.dtype == t.dtype and g.shape == t.shape for g, t in zip(grads, tensors, strict=True))
    eps = torch.finfo(dtype).eps
    assert relative([found.double()], [wanted]) < 2 * eps
    assert relative([g.double() for g in grads], gradients(wanted, exact)) < 8 * eps


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("activation", ["silu", "relu"])
def test_the_activation_holds_for_any_finite_number(monkeypatch, activation, backend):
    monkeypatch.setenv("TSREC_BACKEND", backend)
    x = torch.tensor([-3e38, -1e30, -1e5, -90.0, -1.0, 0.0, 1.0, 90.0, 1e5, 3e38]).view(1, 1, -1).requires_grad_()
    y = dilated_conv(x, torch.ones(10, 1), activation=activation)
    (dx,) = torch.autograd.grad(y.sum(), x)
    wanted = getattr(functional, activation)(x)
    assert torch.allclose(y, wanted, rtol=1e-6, atol=1e-30)
    assert torch.allclose(dx, torch.autograd.grad(wanted.sum(), x)[0], rtol=1e-5, atol=1e-30)


@pytest.mark.parametrize("backend", EMULATED_TOO)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # numpy's, under emulation
def test_relu_of_infinity_and_overflow_is_torchs(monkeypatch, backend):
    monkeypatch.setenv("TSREC_BACKEND", backend)
    x = torch.tensor([-math.inf, -3e38, 3e38, math.inf, math.nan]).view(1, 1, -1).requires_grad_()
    y = dilated_conv(x, torch.full((5, 1), 2.0), activation="relu")
    wanted = functional.relu(2 * x)
    torch.testing.assert_close(y, wanted, rtol=0, atol=0, equal_nan=True)
    (dx,) = torch.autograd.grad(y[..., :4].sum(), x)
    assert torch.equal(dx[..., :4], torch.autograd.grad(wanted[..., :4].sum(), x)[0][..., :4])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("direction", [CAUSAL, SYMMETRIC, REVERSE], ids=str)
def test_stacked_layers_reach_as_far_as_the_formula_says(monkeypatch, direction, backend):
    """RF = 1 + (K-1) (f^n - 1) / (f - 1) without holes for K = f, n layers of dilation f^i."""
    monkeypatch.setenv("TSREC_BACKEND", backend)
    n_taps = 3 if direction == SYMMETRIC else 4
    field = n_taps**3
    x = torch.zeros(1, 2 * field + 20, 1)
    x[0, field + 3] = 1
    for i in range(3):
        x = dilated_conv(x, torch.ones(1, n_taps), dilation=n_taps**i, **direction)
    first = field + 3 - {"CAUSAL": 0, "SYMMETRIC": (field - 1) // 2, "REVERSE": field - 1}[name_of(direction)]
    assert x.flatten().nonzero().flatten().tolist() == list(range(first, first + field))


def name_of(direction):
    return {"{}": "CAUSAL", "{'causal': False}": "SYMMETRIC", "{'reverse': True}": "REVERSE"}[str(direction)]


@pytest.mark.parametrize("backend", EMULATED_TOO)
@pytest.mark.parametrize("reverse", [False, True])
def test_the_future_has_gradient_exactly_zero(monkeypatch, reverse, backend):
    monkeypatch.setenv("TSREC_BACKEND", backend)
    x, weight, *_ = make(1, 40, 3, 5)
    y = dilated_conv(x, weight, dilation=3, activation="silu", reverse=reverse)
    for t in (0, 17, 39):
        (dx,) = torch.autograd.grad(y[0, t].sum(), x, retain_graph=True)
        reached = [s for s in range(40) if dx[0, s].abs().max() > 0]
        wanted = [t + s if reverse else t - s for s in (0, 3, 6, 9, 12)]
        assert reached == sorted(s for s in wanted if 0 <= s < 40)


@pytest.mark.parametrize("backend", EMULATED_TOO)
def test_nan_stays_in_its_row_and_out_of_the_past(monkeypatch, backend):
    monkeypatch.setenv("TSREC_BACKEND", backend)
    x, weight, bias, residual, _ = (None if t is None else t.detach() for t in make(3, 30, 9, 6))
    x[1, 20] = float("nan")
    x.requires_grad_()
    y = dilated_conv(x, weight, bias, dilation=2, activation="silu", residual=residual)
    assert y[[0, 2]].isfinite().all()
    assert y[1, :20].isfinite().all()
    assert y[1, 20:30:2].isnan().all()
    (dx,) = torch.autograd.grad(y, x, torch.ones_like(y))
    assert dx[[0, 2]].isfinite().all()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("n_taps", "dilation"), [(4, 1), (3, 16), (1, 2), (9, 3)])
def test_whole_equals_pieces_equals_steps(monkeypatch, n_taps, dilation, backend):
    monkeypatch.setenv("TSREC_BACKEND", backend)
    options = {"dilation": dilation, "activation": "silu"}
    x, weight, bias, residual, state = (t.detach() for t in make(2, 37, 3, n_taps, (n_taps - 1) * dilation))
    whole = dilated_conv(x, weight, bias, residual=residual, initial=state, **options)
    pieces, before = [], state
    for a, b in ((0, 1), (1, 6), (6, 37)):
        pieces.append(dilated_conv(x[:, a:b], weight, bias, residual=residual[:, a:b], initial=before, **options))
        before = dilated_conv_state(x[:, a:b], n_taps, dilation, before)
    assert relative([torch.cat(pieces, 1)], [whole]) < 1e-14
    steps, untouched = [], state.clone()
    running = state
    for t in range(37):
        y, running = dilated_conv_step(x[:, t], weight, bias, running, residual=residual[:, t], **options)
        steps.append(y)
    assert relative([torch.stack(steps, 1)], [whole]) < 1e-14
    assert torch.equal(running, before)
    assert torch.equal(state, untouched)


def test_the_state_of_a_short_sequence_starts_with_zeros_or_what_came_before():
    x = torch.arange(1.0, 4).view(1, 3, 1)
    assert dilated_conv_state(x, 3, 2).flatten().tolist() == [0, 1, 2, 3]
    assert dilated_conv_state(x, 3, 2, torch.arange(-3.0, 1).view(1, 4, 1)).flatten().tolist() == [0, 1, 2, 3]
    assert dilated_conv_state(x, 2, 2).flatten().tolist() == [2, 3]
    assert dilated_conv_state(x, 1).shape == (1, 0, 1)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("activation", ["silu", None])
def test_gradcheck(monkeypatch, activation, backend):
    monkeypatch.setenv("TSREC_BACKEND", backend)
    tensors = make(2, 7, 2, 3, 4)
    options = {"dilation": 2, "activation": activation}
    assert gradcheck(lambda *tensors: call(dilated_conv, tensors, **options), tensors)


@pytest.mark.parametrize("backend", EMULATED_TOO)
def test_non_contiguous_tensors_give_the_same(monkeypatch, backend):
    monkeypatch.setenv("TSREC_BACKEND", backend)
    tensors = make(2, 21, 6, 4, 3)
    strided = [t.detach().mT.contiguous().mT if t.ndim > 1 else t.detach().repeat_interleave(2)[::2] for t in tensors]
    assert not any(t.is_contiguous() for t in strided)
    strided = [t.requires_grad_() for t in strided]
    found, wanted = call(dilated_conv, strided, activation="silu"), call(dilated_conv, tensors, activation="silu")
    assert relative([found], [wanted]) < 1e-14
    assert found.is_contiguous()
    g = torch.randn(2, 6, 21, dtype=torch.float64).mT
    wanted = torch.autograd.grad(wanted, tensors, g.contiguous())
    assert relative(torch.autograd.grad(found, strided, g), wanted) < 1e-13


@pytest.mark.slow
@pytest.mark.parametrize("width", [5, 33])
def test_runs_and_threads_agree_bit_for_bit(monkeypatch, width):
    x, weight, bias, residual, initial = (t.detach() for t in make(3, 600, width, 9, 24, torch.float32))
    results = []
    for parallel in (False, False, True):
        monkeypatch.setattr(_numba_conv, "may_run_parallel", lambda *_, parallel=parallel: parallel)
        y = _numba_conv.conv(x, weight, bias, residual, initial, 3, -24, "silu")
        results.append((y, *_numba_conv.conv_adjoint(x, weight, bias, initial, residual, 3, -24, "silu")))
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_one_tensor_may_serve_as_input_and_residual():
    x, weight, *_ = make(2, 21, 3, 4)
    found = dilated_conv(x, weight, activation="silu", residual=x)
    wanted = dilated_conv_reference(x, weight, activation="silu", residual=x)
    assert relative(gradients(found, [x, weight]), gradients(wanted, [x, weight])) < 1e-13


def test_gradients_not_asked_for_are_not_computed(monkeypatch):
    x, weight, bias, residual, _ = make(2, 21, 3, 4)
    y = dilated_conv(x.detach(), weight.detach(), bias.detach(), residual=residual)
    monkeypatch.setattr(_dispatch, "load", lambda name: pytest.fail(f"{name} was called"))
    (found,) = torch.autograd.grad(y.sum(), residual)
    assert torch.equal(found, torch.ones_like(y))


@pytest.mark.parametrize("backend", EMULATED_TOO)
@pytest.mark.parametrize(("size", "width"), [(0, 3), (2, 0)])
def test_no_rows_and_no_channels_are_legal(monkeypatch, size, width, backend):
    monkeypatch.setenv("TSREC_BACKEND", backend)
    tensors = make(size, 5, width, 4, 3)
    y = call(dilated_conv, tensors, activation="silu")
    assert y.shape == (size, 5, width)
    assert all(g.shape == t.shape and g.abs().sum() == 0 for g, t in zip(gradients(y, tensors), tensors, strict=True))


@pytest.mark.parametrize("length", [40, 100_000])  # the long one in memory that is kept for reuse
def test_results_can_be_changed_in_place(length):
    tensors = make(2, length, 3, 4, 3, torch.float32)
    call(dilated_conv, tensors, activation="silu").add_(1).sum().backward()
    for tensor in tensors:
        tensor.grad.add_(1)


def test_a_step_keeps_the_precision_of_its_input():
    x, weight = torch.full((1, 2), 1 + 2**-12), torch.ones(2, 2)
    y, state = dilated_conv_step(x, weight, None, torch.zeros(1, 1, 2, dtype=torch.bfloat16))
    assert torch.equal(y, x)
    assert state.dtype == torch.bfloat16
    y, _ = dilated_conv_step(x.bfloat16(), weight, None, torch.full((1, 1, 2), 2.0**-9))
    assert torch.equal(y, torch.full((1, 2), 1 + 2**-9).bfloat16())


@pytest.mark.parametrize("initial", [False, True])
def test_the_operators_keep_torchs_rules(initial):
    x, weight, bias, residual, before = make(2, 9, 3, 4, 6 if initial else None, torch.float32)
    offset = -6
    opcheck(torch.ops.tsrec.dilated_conv.default, (x, weight, bias, residual, before, 2, offset, "silu"))
    arguments = [None if t is None else t.detach() for t in (x, weight, bias, before, residual)]
    opcheck(torch.ops.tsrec.dilated_conv_backward.default, (*arguments, 2, offset, "silu"))


@pytest.mark.parametrize(
    ("shapes", "options", "message"),
    [
        ({"x": (2, 3)}, {}, "x must have shape"),
        ({"x": (2, 0, 3)}, {}, "L >= 1"),
        ({"weight": (4, 2)}, {}, "weight must have shape"),
        ({"weight": (3, 0)}, {}, "weight must have shape"),
        ({"bias": (4,)}, {}, "bias must have shape"),
        ({"residual": (2, 5, 1)}, {}, "residual must have shape"),
        ({"initial": (2, 1, 3)}, {"dilation": 2}, r"initial must have shape \(2, 2, 3\)"),
        ({"initial": (2, 1, 3)}, {"reverse": True}, "initial goes with causal"),
        ({"initial": (2, 1, 3)}, {"causal": False}, "odd number of taps"),
        ({"weight": (3, 3)}, {"causal": False, "reverse": True}, "no direction"),
        ({}, {"dilation": 0}, "dilation must be"),
        ({}, {"dilation": 2.0}, "dilation must be a whole number"),
        ({}, {"activation": "gelu"}, "activation must be"),
    ],
)
def test_what_does_not_fit_is_named(shapes, options, message):
    shapes = {"x": (2, 5, 3), "weight": (3, 2), **shapes}
    with pytest.raises(ValueError, match=message):
        dilated_conv(**{name: torch.zeros(shape) for name, shape in shapes.items()}, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"x_t": torch.zeros(2, 1, 3)}, "x_t must have shape"),
        ({"state": torch.zeros(2, 3, 3)}, r"state must have shape \(2, 2, 3\)"),
        ({"bias": torch.zeros(2)}, "bias must have shape"),
        ({"residual": torch.zeros(3)}, "residual must have shape"),
        ({"activation": "gelu"}, "activation must be"),
    ],
)
def test_what_does_not_fit_a_step_is_named(options, message):
    given = {"x_t": torch.zeros(2, 3), "weight": torch.zeros(3, 2), "bias": None, "state": torch.zeros(2, 2, 3)}
    with pytest.raises(ValueError, match=message):
        dilated_conv_step(**{**given, "dilation": 2, **options})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3, 2, torch.zeros(2, 3, 3)), r"initial must have shape \(2, 4, 3\)"),
        ((3, 2.0), "dilation must be a whole number"),
        ((0,), "kernel_size must be a whole number"),
    ],
)
@pytest.mark.parametrize("length", [1, 9])
def test_what_does_not_fit_a_state_is_named(length, arguments, message):
    with pytest.raises(ValueError, match=message):
        dilated_conv_state(torch.zeros(2, length, 3), *arguments)


@pytest.mark.parametrize("dtype", [torch.int64, torch.complex64], ids=str)
@pytest.mark.parametrize("name", ["x", "weight", "bias", "residual", "initial"])
def test_other_dtypes_are_refused(name, dtype):
    shapes = {"x": (2, 5, 3), "weight": (3, 2), "bias": (3,), "residual": (2, 5, 3), "initial": (2, 1, 3)}
    tensors = {key: torch.zeros(shape, dtype=dtype if key == name else None) for key, shape in shapes.items()}
    with pytest.raises(TypeError, match=f"{name} must be of a real floating dtype"):
        dilated_conv(**tensors)


def test_a_nan_fails_the_comparison_wherever_it_is():
    assert not relative([torch.ones(1), torch.full((1,), math.nan)], [torch.ones(1)] * 2) < 1
