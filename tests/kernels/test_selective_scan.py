"""The selective scan equals its equations, outputs and gradients, whatever the sizes, the direction and the gaps."""

import importlib.util

import pytest
import torch
from torch.autograd import gradcheck

from tsrec.kernels import _numba, selective_scan, selective_scan_reference, selective_scan_step

BACKENDS = ["reference", "numba", pytest.param("triton", marks=pytest.mark.slow)]
# Emulation takes milliseconds per step, so it runs the small cases only; test_triton_selective has its own.
EMULATED = {
    "test_outputs_equal_the_equations",
    "test_what_needs_no_gradient_gets_none",
}
NAMES = ("u", "dt", "A", "B", "C", "D", "z", "dt_bias", "h0")
OPTIONAL = NAMES[5:]


def pytest_generate_tests(metafunc):
    emulated = metafunc.function.__name__ in EMULATED and importlib.util.find_spec("triton")
    metafunc.parametrize("backend", BACKENDS if emulated else BACKENDS[:2], indirect=True)


@pytest.fixture(autouse=True)
def backend(request, monkeypatch):
    monkeypatch.setenv("TSREC_BACKEND", request.param)
    return request.param


def make(batch=2, length=9, width=5, order=4, dtype=torch.float64, seed=0):
    g = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, dtype=torch.float64, generator=g)

    x = {
        "u": normal(batch, length, width),
        "dt": normal(batch, length, width) - 1,
        "A": -normal(width, order).exp(),
        "B": normal(batch, length, order),
        "C": normal(batch, length, order),
        "D": normal(width),
        "z": normal(batch, length, width),
        "dt_bias": normal(width),
        "h0": normal(batch, width, order),
    }
    return {name: tensor.to(dtype).requires_grad_() for name, tensor in x.items()}


def cotangents(outputs):
    g = torch.Generator().manual_seed(1)
    return [torch.randn(x.shape, dtype=torch.float64, generator=g).to(x.dtype) for x in outputs]


def gradients(outputs, inputs, given=None):
    given = [x.to(y.dtype) for x, y in zip(given or cotangents(outputs), outputs, strict=True)]
    found = torch.autograd.grad(outputs, list(inputs.values()), given)
    return dict(zip(inputs, found, strict=True))


def relative(found, wanted):
    return ((found.double() - wanted.double()).abs().max() / wanted.double().abs().max().clamp(min=1e-300)).item()


def doubled(inputs):
    return {name: x.detach().double().requires_grad_() for name, x in inputs.items()}


def compare(inputs, tolerance, exact=False, **options):
    """Hold outputs and all gradients against the reference, each relative to its largest element."""
    wanted_inputs = doubled(inputs) if exact else inputs
    found, wanted = selective_scan(**inputs, **options), selective_scan_reference(**wanted_inputs, **options)
    assert all(relative(f, w) < tolerance for f, w in zip(found, wanted, strict=True))
    wanted_gradients = gradients(wanted, wanted_inputs, cotangents(found))
    for name, gradient in gradients(found, inputs).items():
        assert gradient.dtype == inputs[name].dtype
        assert relative(gradient, wanted_gradients[name]) < tolerance, name


def by_equations(x, softplus=True, reverse=False):
    """The equations of the paper, one number at a time."""
    y, h = torch.zeros_like(x["u"]), x["h0"].detach().clone()
    length = x["u"].shape[1]
    for b in range(x["u"].shape[0]):
        for d in range(x["u"].shape[2]):
            for k in range(length):
                t = length - 1 - k if reverse else k
                delta = x["dt"][b, t, d] + x["dt_bias"][d]
                delta = (1 + delta.exp()).log() if softplus else delta
                total = x["D"][d] * x["u"][b, t, d]
                for n in range(x["A"].shape[1]):
                    h[b, d, n] = (delta * x["A"][d, n]).exp() * h[b, d, n] + delta * x["u"][b, t, d] * x["B"][b, t, n]
                    total = total + h[b, d, n] * x["C"][b, t, n]
                y[b, t, d] = total * x["z"][b, t, d] / (1 + (-x["z"][b, t, d]).exp())
    return y, h


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("softplus", [False, True])
def test_outputs_equal_the_equations(softplus, reverse):
    inputs = {name: x.detach() for name, x in make(length=4, width=3, order=3).items()}
    wanted = by_equations(inputs, softplus, reverse)
    for scan in (selective_scan, selective_scan_reference):
        found = scan(**inputs, softplus=softplus, reverse=reverse)
        assert all(relative(x, y) < 1e-13 for x, y in zip(found, wanted, strict=True))


SIZES = [
    *({"length": n} for n in (1, 2, 32, 33, 63, 64, 65, 100)),
    *({"length": 40, "width": n} for n in (1, 32, 33, 130)),
    *({"length": 7, "order": n} for n in (1, 2, 3, 16)),
    {"batch": 1, "length": 65, "width": 33, "order": 16},
]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_outputs_and_gradients_equal_the_reference(sizes, reverse):
    compare(make(**sizes), 1e-10, reverse=reverse)


@pytest.mark.parametrize("sizes", [{"length": 65, "width": 33, "order": 16}, {"batch": 1, "length": 1000}], ids=str)
@pytest.mark.parametrize("reverse", [False, True])
def test_single_precision_stays_close_to_double(sizes, reverse):
    inputs = make(**sizes, dtype=torch.float32)
    compare(inputs, 1e-5, exact=True, reverse=reverse)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_is_accumulated_in_single(dtype):
    inputs = make(length=130, width=33, dtype=dtype)
    y, h_last = selective_scan(**inputs)
    assert (y.dtype, h_last.dtype) == (dtype, torch.float32)
    assert relative(h_last, selective_scan_reference(**doubled(inputs))[1]) < 1e-5
    compare(inputs, torch.finfo(dtype).eps, exact=True)


def test_parameters_in_single_precision_keep_theirs_beside_half():
    inputs = make(length=40, width=33, dtype=torch.float32)
    for name in ("u", "dt", "B", "C", "z"):
        inputs[name] = inputs[name].detach().bfloat16().requires_grad_()
    found = gradients(selective_scan(**inputs), inputs)
    assert {name: x.dtype for name, x in found.items()} == {name: x.dtype for name, x in inputs.items()}


@pytest.mark.parametrize("absent", [*((name,) for name in OPTIONAL), OPTIONAL], ids=str)
def test_what_is_absent_has_no_effect(absent):
    compare({name: x for name, x in make(length=40, width=33).items() if name not in absent}, 1e-10)


def test_lengths_of_steps_without_softplus():
    inputs = make(length=40)
    inputs["dt"] = inputs["dt"].detach().abs().requires_grad_()
    compare(inputs, 1e-10, softplus=False)


def test_gradcheck():
    inputs = make(length=7, width=3, order=2)
    for reverse in (False, True):
        assert gradcheck(lambda *x, reverse=reverse: selective_scan(*x, reverse=reverse), tuple(inputs.values()))
    inputs["dt"] = inputs["dt"].detach().exp().requires_grad_()
    assert gradcheck(lambda *x: selective_scan(*x, softplus=False), tuple(inputs.values()))


@pytest.mark.parametrize("output", [0, 1])
def test_either_output_alone_has_gradients(output):
    inputs = make(length=40)
    used = {k: v for k, v in inputs.items() if output == 0 or k not in ("C", "D", "z")}
    found = gradients([selective_scan(**inputs)[output]], used)
    wanted = gradients([selective_scan_reference(**inputs)[output]], used)
    assert all(relative(found[name], wanted[name]) < 1e-10 for name in used)


def test_what_needs_no_gradient_gets_none():
    inputs = make()
    inputs["A"], inputs["h0"] = inputs["A"].detach(), inputs["h0"].detach()
    y, _ = selective_scan(**inputs)
    y.sum().backward()
    assert inputs["A"].grad is None
    assert all(inputs[name].grad is not None for name in NAMES if name not in ("A", "h0"))


@pytest.mark.parametrize("cut", [1, 32, 50])
@pytest.mark.parametrize("reverse", [False, True])
def test_two_halves_with_the_state_carried_equal_the_whole(cut, reverse):
    inputs = make(length=65, width=33)
    timed = ("u", "dt", "B", "C", "z")
    head = {name: x[:, :cut] if name in timed else x for name, x in inputs.items()}
    tail = {name: x[:, cut:] if name in timed else x for name, x in inputs.items()}
    first, second = (tail, head) if reverse else (head, tail)
    y1, state = selective_scan(**first, reverse=reverse)
    y2, last = selective_scan(**{**second, "h0": state}, reverse=reverse)
    halves = (torch.cat((y2, y1) if reverse else (y1, y2), 1), last)
    whole = selective_scan(**inputs, reverse=reverse)
    assert all(torch.equal(x, y) for x, y in zip(halves, whole, strict=True))
    found, wanted = gradients(halves, inputs), gradients(whole, inputs)
    assert all(relative(found[name], wanted[name]) < 1e-12 for name in NAMES)


def test_steps_equal_the_scan():
    inputs = make(length=40)
    h, out = inputs["h0"], []
    for t in range(40):
        at = {name: inputs[name][:, t] for name in ("u", "dt", "B", "C", "z")}
        y, h = selective_scan_step(**at, A=inputs["A"], D=inputs["D"], dt_bias=inputs["dt_bias"], h=h)
        out.append(y)
    wanted = selective_scan(**inputs)
    assert relative(torch.stack(out, 1), wanted[0]) < 1e-13
    assert relative(h, wanted[1]) < 1e-13


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_steps_of_length_zero_keep_the_state_exactly(dtype):
    inputs = make(length=40, width=33, order=16, dtype=dtype)
    inputs["dt"], inputs["dt_bias"] = torch.zeros_like(inputs["dt"]), None
    _, h_last = selective_scan(**inputs, softplus=False)
    assert torch.equal(h_last, inputs["h0"])


def test_the_past_does_not_depend_on_the_future():
    inputs = make(length=65, width=33, dtype=torch.float32)
    changed = dict(inputs)
    for name in ("u", "dt", "B", "C", "z"):
        changed[name] = torch.cat((inputs[name][:, :50], 3 * inputs[name][:, 50:]), 1)
    y, other = selective_scan(**inputs)[0], selective_scan(**changed)[0]
    assert torch.equal(y[:, :50], other[:, :50])
    assert not torch.equal(y[:, 50], other[:, 50])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("dt", [-50.0, 1e-9, 0.0, 50.0])
@pytest.mark.parametrize("rate", [-200.0, -1.0, -1e-6])
def test_extreme_decays_neither_overflow_nor_vanish_into_nan(dt, rate, dtype):
    inputs = make(length=40, width=33, dtype=dtype)
    inputs["dt"] = torch.full_like(inputs["dt"], dt, requires_grad=True)
    inputs["A"] = torch.full_like(inputs["A"], rate, requires_grad=True)
    compare(inputs, 2e-5, exact=True)


def test_growing_states_are_right_and_overflow_to_infinity():
    inputs = make(length=40, width=33, dtype=torch.float32)
    inputs["A"] = (0.1 * inputs["A"].abs()).detach().requires_grad_()
    compare(inputs, 1e-5, exact=True)
    one = torch.ones(1, 200, 1)
    _, h_last = selective_scan(one, one, torch.ones(1, 1), one, one, softplus=False)
    assert h_last.item() == float("inf")


def test_gates_far_out_close_and_open():
    inputs = make(length=4, width=33, dtype=torch.float32)
    for z in (-3e38, -1e30, -1e4, -100.0, 100.0, 1e4):
        inputs["z"] = torch.full_like(inputs["z"], z, requires_grad=True)
        outputs = selective_scan(**inputs)
        wanted = selective_scan_reference(**inputs)
        assert torch.allclose(outputs[0], wanted[0], rtol=1e-5, atol=1e-30)
        found, exact = gradients(outputs, inputs), gradients(wanted, inputs)
        assert all(torch.allclose(found[name], exact[name], rtol=1e-4, atol=1e-4) for name in NAMES)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", ["u", "dt", "B", "C", "z", "h0"])
def test_nan_stays_in_its_row(name, dtype):
    inputs = make(batch=3, length=40, width=70, dtype=dtype)
    spoiled = {**inputs, name: inputs[name].detach().clone()}
    spoiled[name][1].view(-1)[0] = float("nan")
    spoiled[name].requires_grad_()
    clean, outputs = selective_scan(**inputs), selective_scan(**spoiled)
    wanted, found = gradients(clean, inputs), gradients(outputs, spoiled)
    assert outputs[0][1].isnan().any()
    for rows in (0, 2):
        assert all(torch.equal(x[rows], y[rows]) for x, y in zip(outputs, clean, strict=True))
        assert all(torch.equal(found[k][rows], wanted[k][rows]) for k in ("u", "dt", "B", "C", "z", "h0"))
    assert found["A"].isnan().any()


def test_a_nan_input_spoils_its_channel_from_its_step_on():
    inputs = make(length=40, width=70, dtype=torch.float32)
    u = inputs["u"].detach().clone()
    u[0, 20, 3] = float("nan")
    y = selective_scan(**{**inputs, "u": u})[0]
    spoiled = y.isnan()
    assert spoiled[0, 20:, 3].all()
    assert spoiled.sum() == 20


def test_inputs_of_any_layout_give_the_same_and_are_left_untouched():
    inputs = make(length=40, width=33)
    views = {
        name: x.detach().transpose(0, -1).contiguous().transpose(0, -1).requires_grad_() for name, x in inputs.items()
    }
    views["B"] = inputs["B"].detach().repeat_interleave(2, dim=2)[..., ::2].requires_grad_()
    assert not any(views[name].is_contiguous() for name in ("u", "dt", "A", "B", "C", "z", "h0"))
    before = {name: x.detach().clone() for name, x in views.items()}
    found, wanted = selective_scan(**views), selective_scan(**inputs)
    assert all(relative(x, y) < 1e-12 for x, y in zip(found, wanted, strict=True))
    strided = [x.transpose(0, 1).contiguous().transpose(0, 1) for x in cotangents(found)]
    found = torch.autograd.grad(found, list(views.values()), strided)
    assert all(relative(x, y) < 1e-12 for x, y in zip(found, gradients(wanted, inputs).values(), strict=True))
    assert all(torch.equal(views[name], before[name]) for name in NAMES)


def test_expanded_inputs_get_their_gradients_in_their_own_shape():
    inputs = make(length=40)
    shared = inputs["B"].detach()[:1].requires_grad_()
    y, _ = selective_scan(**{**inputs, "B": shared.expand(2, -1, -1)})
    wanted, _ = selective_scan_reference(**{**inputs, "B": shared.expand(2, -1, -1)})
    found, exact = gradients([y], {"B": shared})["B"], gradients([wanted], {"B": shared})["B"]
    assert found.shape == shared.shape
    assert relative(found, exact) < 1e-10


@pytest.mark.slow
@pytest.mark.parametrize("order", [3, 4])
@pytest.mark.parametrize("batch", [2, 8200], ids=["small", "2 MB"])
def test_results_may_be_changed_in_place(batch, order):
    inputs = make(batch=batch, length=3, width=33, order=order, dtype=torch.float32)
    outputs = selective_scan(**inputs)
    results = (*gradients(outputs, inputs).values(), *outputs)
    assert not any(x._is_view() for x in results)
    for x in results:
        x.add_(1).detach_()


@pytest.mark.parametrize(("batch", "width"), [(0, 5), (2, 0), (0, 0)])
def test_nothing_in_gives_nothing_out(batch, width):
    inputs = make(batch=batch, width=width)
    outputs = selective_scan(**inputs)
    assert [x.shape for x in outputs] == [inputs["u"].shape, inputs["h0"].shape]
    assert all((x == 0).all() for x in gradients(outputs, inputs).values())


def test_long_sums_do_not_drift(backend):
    if backend != "numba":
        pytest.skip("the sums of torch are pairwise")
    inputs = {name: torch.full_like(x, 0.1) for name, x in make(1, 100_000, 2, 2, torch.float32).items()}
    inputs["A"].neg_()
    inputs = {name: x.requires_grad_() for name, x in inputs.items()}
    one = [torch.ones(1, 100_000, 2)]
    found, wanted = (gradients(selective_scan(**x)[:1], x, one) for x in (inputs, doubled(inputs)))
    assert all(relative(found[name], wanted[name]) < 1e-5 for name in ("A", "D", "dt_bias"))


def test_two_runs_are_identical():
    inputs = make(batch=3, length=65, width=70, dtype=torch.float32)
    first, second = (selective_scan(**inputs) for _ in range(2))
    assert all(torch.equal(x, y) for x, y in zip(first, second, strict=True))
    found, again = gradients(first, inputs), gradients(second, inputs)
    assert all(torch.equal(found[name], again[name]) for name in NAMES)


@pytest.mark.slow
def test_parallel_equals_serial_bit_for_bit(backend, monkeypatch):
    if backend != "numba":
        pytest.skip("numba has two variants of each kernel")
    inputs = make(batch=3, length=40, width=70, order=3, dtype=torch.float32)
    results = []
    for parallel in (False, True):
        monkeypatch.setattr("tsrec.kernels._numba_selective.may_run_parallel", lambda *_, answer=parallel: answer)
        monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
        monkeypatch.setattr(_numba, "_parallel_pid", None)
        outputs = selective_scan(**inputs)
        results.append((*outputs, *gradients(outputs, inputs).values()))
    assert all(torch.equal(x, y) for x, y in zip(*results, strict=True))


@pytest.mark.parametrize("absent", [(), OPTIONAL[:3]], ids=str)
def test_operators_keep_the_rules_of_torch(absent):
    inputs = make(length=7, dtype=torch.float32)
    arguments = [None if name in absent else inputs[name] for name in NAMES]
    torch.library.opcheck(torch.ops.tsrec.selective_scan.default, (*arguments, True, False))
    outputs = selective_scan(**{name: x for name, x in zip(NAMES, arguments, strict=True) if x is not None})
    plain = [x if x is None else x.detach() for x in (*arguments, *cotangents(outputs))]
    torch.library.opcheck(torch.ops.tsrec.selective_scan_backward.default, (*plain, True, True))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"u": torch.zeros(2, 0, 5)}, r"u must have shape \(B, L, D\) with L >= 1, got \(2, 0, 5\)"),
        ({"u": torch.zeros(2, 9)}, r"u must have shape \(B, L, D\)"),
        ({"A": torch.zeros(5, 0)}, "N >= 1"),
        ({"A": torch.zeros(4, 4)}, r"A must have shape \(5, 4\) .* got \(4, 4\)"),
        ({"dt": torch.zeros(2, 9, 1)}, r"dt must have shape \(2, 9, 5\)"),
        ({"B": torch.zeros(2, 9, 5)}, r"B must have shape \(2, 9, 4\)"),
        ({"C": torch.zeros(1, 9, 4)}, r"C must have shape \(2, 9, 4\)"),
        ({"D": torch.zeros(1)}, r"D must have shape \(5,\)"),
        ({"z": torch.zeros(2, 8, 5)}, r"z must have shape \(2, 9, 5\)"),
        ({"dt_bias": torch.zeros(1, 5)}, r"dt_bias must have shape \(5,\)"),
        ({"h0": torch.zeros(2, 4, 5)}, r"h0 must have shape \(2, 5, 4\)"),
    ],
)
def test_arguments_that_do_not_fit_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        selective_scan(**{**make(), **change})


def test_dtypes_that_do_not_fit_are_named():
    for name, given in (("A", torch.zeros(5, 4, dtype=torch.complex64)), ("u", torch.zeros(2, 9, 5).int())):
        with pytest.raises(TypeError, match=f"{name} must be of a real floating dtype, got {given.dtype}"):
            selective_scan(**{**make(), name: given})
