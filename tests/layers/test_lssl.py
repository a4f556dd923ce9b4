"""LSSL: tables that are never stale, options, optimiser groups, errors."""

import copy
import io
import pickle

import pytest
import torch

from tsrec.layers.hippo import discretize, structured, transition
from tsrec.layers.lssl import LSSL, LSSLBlock, LSSLStack
from tsrec.layers.residual import ResidualStack
from tsrec.layers.s4d import S4D


def seeded(number=1):
    return torch.Generator().manual_seed(number)


pytestmark = pytest.mark.usefixtures("one_thread")


def layer(fixed=True, **options):
    return LSSL(3, d_state=8, fixed=fixed, generator=seeded(), **options).double()


def signal(length=40, seed=5):
    return torch.randn(2, length, 3, dtype=torch.float64, generator=seeded(seed))


def fresh(model):
    """The same numbers without any table."""
    return copy.deepcopy(model)


@pytest.mark.parametrize("fixed", [True, False])
@torch.no_grad()
def test_tables_follow_every_way_to_change_the_numbers(fixed):
    model, x = layer(fixed), signal()
    model(x)
    model.log_dt.data.add_(0.5)  # no version counter sees this
    assert torch.equal(model(x)[0], fresh(model)(x)[0])
    model.p.mul_(1.1)
    assert torch.equal(model(x)[0], fresh(model)(x)[0])
    model.C.data.mul_(2)
    assert torch.equal(model(x)[0], fresh(model)(x)[0])
    model.load_state_dict(LSSL(3, d_state=8, fixed=fixed, generator=seeded(2)).state_dict())
    assert torch.equal(model(x)[0], fresh(model)(x)[0])


@torch.no_grad()
def test_tables_serve_each_length_rate_and_dtype():
    model = layer()
    for length, rate in ((40, 1.0), (100, 1.0), (7, 1.0), (100, 2.0), (40, 0.5), (1, 3.0), (64, 4.0), (40, 1.0)):
        x = signal(length)
        found, wanted = model(x, rate=rate), fresh(model)(x, rate=rate)
        assert torch.allclose(found[0], wanted[0], atol=1e-14)
        assert torch.allclose(found[1], wanted[1], atol=1e-14)
    assert len(model._memo._entries) <= 4
    y32, _ = model.float()(signal().float())
    assert torch.allclose(y32.double(), layer()(signal())[0], atol=1e-5)


def test_training_after_inference_mode_works():
    model, x = layer(), signal(100)
    with torch.inference_mode():
        model(x[:, :5])
        model(x)
    model(x, model(x)[1])[0].sum().backward()
    assert model.C.grad.isfinite().all()


def test_training_follows_the_graph_after_a_cached_evaluation():
    model, x = layer(fixed=False), signal()
    with torch.no_grad():
        model(x)
    model(x)[0].square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


@torch.no_grad()
def test_tables_are_neither_saved_nor_copied():
    model, x = layer(), signal()
    bare = len(pickle.dumps(model))
    model(x)
    assert model._memo._entries
    assert len(pickle.dumps(model)) == bare
    assert not copy.deepcopy(model)._memo._entries
    assert set(model.state_dict()) == {n for n, _ in (*model.named_parameters(), *model.named_buffers())}
    file = io.BytesIO(pickle.dumps(model))
    assert torch.equal(pickle.load(file)(x)[0], model(x)[0])


def test_fixed_and_trained_start_equal_and_exchange_state_dicts():
    fixed, trained = layer(True), layer(False)
    x = signal()
    assert torch.allclose(fixed(x)[0], trained(x)[0], atol=1e-14)
    trained.load_state_dict(fixed.state_dict())
    names = {name for name, _ in fixed.named_parameters()}
    assert names == {"C", "D", "output.weight", "output.bias"}


def test_step_sizes_are_log_uniform_between_the_ends():
    log_dt = LSSL(4000, d_state=1, dt_min=1e-3, dt_max=1e-1, generator=seeded()).log_dt.detach()
    dt = log_dt.exp()
    assert dt.min() > 0.999e-3
    assert dt.max() < 1.001e-1
    assert abs((dt < 1e-2).float().mean() - 0.5) < 0.03


def test_matrices_of_the_layer_are_the_measure_s():
    for measure, scale in (("legs", 1.0), ("legt", 2.0), ("lagt", 1.0)):
        model = LSSL(2, d_state=16, measure=measure, window_scale=scale)
        A, B = model.matrices()
        wanted_A, wanted_B = transition(measure, 16, scale)
        assert (A - wanted_A).abs().max() < 1e-6 * wanted_A.abs().max()
        assert (B - wanted_B).abs().max() < 1e-6 * wanted_B.abs().max()
        assert A.dtype == torch.float64


def test_halved_legt_is_the_window_of_two():
    (A, B), (A2, B2) = transition("legt", 5), transition("legt", 5, 2.0)
    assert torch.equal(A, 2 * A2)
    assert torch.equal(B, 2 * B2)


def test_forward_euler_and_its_number():
    A, B = transition("legs", 3)
    Ab, Bb = discretize(A, B, torch.tensor([0.1], dtype=torch.float64), 0)
    assert torch.equal(Ab[0], torch.eye(3, dtype=torch.float64) + 0.1 * A)
    assert torch.equal(Bb[0], 0.1 * B)


def test_autocast_does_not_reach_the_kernel():
    model, x = LSSL(3, d_state=8, generator=seeded()), signal().float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        _, state = model(x)
    assert state.dtype == torch.float32
    assert torch.equal(state, model(x)[1])


def test_half_precision_input_keeps_a_single_precision_state():
    model = LSSL(3, d_state=8, generator=seeded()).to(torch.bfloat16)
    y, state = model(signal(100).to(torch.bfloat16))
    assert y.dtype == torch.bfloat16
    assert state.dtype == torch.float32
    y_t, state = model.step(y[:, 0], state)
    assert y_t.dtype == torch.bfloat16


def test_the_monitor_sees_a_state_matrix_that_grows():
    model = layer(fixed=False)
    assert (model.spectral_radius() < 1).all()
    with torch.no_grad():
        model.d.add_(-1.0)  # moves the diagonal of A up by r_n^2
    assert (model.spectral_radius() > 1).all()


def test_groups_give_the_paper_s_rates():
    def options_of(model):
        return {
            id(p): {k: v for k, v in group.items() if k != "params"}
            for group in model.parameter_groups()
            for p in group["params"]
        }

    stack = LSSLStack(3, 2, d_state=4)
    found = options_of(stack)
    mixer, norm = stack.blocks[0].mixer, stack.blocks[1].norm
    for name in ("p", "q", "d", "b", "t_diag", "t_sub", "t_super"):
        assert found[id(getattr(mixer, name))] == {"lr": 1e-4, "weight_decay": 0.0}
    assert found[id(mixer.log_dt)] == {"lr": 1e-3, "weight_decay": 0.0}
    for p in (norm.weight, norm.bias, mixer.output.bias, stack.norm.weight):
        assert found[id(p)] == {"weight_decay": 0.0}
    for p in (mixer.C, mixer.D, mixer.output.weight):
        assert found[id(p)] == {}
    s4d = S4D(3, d_state=4)
    assert options_of(LSSLBlock(s4d))[id(s4d.frequency)] == {"lr": 1e-3, "weight_decay": 0.0}


def test_dropout_acts_in_training_and_not_in_evaluation():
    stack, x = LSSLStack(3, 2, d_state=4, dropout=0.5, generator=seeded()), signal().float()
    with pytest.raises(RuntimeError, match="generator"):
        stack(x)
    for module in stack.modules():
        if hasattr(module, "generator"):
            module.generator = seeded(3)
    noisy = stack(x)[0]
    assert not torch.equal(noisy, stack(x)[0])
    stack.eval()
    assert torch.equal(stack(x)[0], stack(x)[0])


def test_seed_decides_the_start():
    a, b, c = (LSSL(3, d_state=4, generator=seeded(i)).state_dict() for i in (1, 1, 2))
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert not torch.equal(a["C"], c["C"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"measure": "fourier"}, "measure must be one of legs, legt, lagt, got 'fourier'"),
        ({"window_scale": 2.0}, "'legs' has none"),
        ({"measure": "legt", "window_scale": 0.0}, "window_scale must be positive"),
        ({"discretization": "euler"}, "discretization must be 'bilinear', 'zoh' or a number"),
        ({"discretization": 1.5}, r"must lie in \[0, 1\], got 1.5"),
        ({"dt_min": 0.2}, "0 < dt_min <= dt_max, got 0.2 and 0.1"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        LSSL(3, **options)


def test_other_wrong_options_are_named():
    with pytest.raises(ValueError, match="d_state must be even"):
        S4D(3, d_state=7)
    with pytest.raises(ValueError, match="at least one layer"):
        ResidualStack([])
    with pytest.raises(ValueError, match="measure must be one of"):
        structured("fourier", 3)


@torch.no_grad()
def test_half_the_sampling_rate_keeps_outputs_and_state():
    """Released code scaled A's step but not B's: outputs then come out too small by the rate (0.5 here)."""
    model = LSSL(3, d_state=16, dt_min=1e-3, dt_max=5e-3, generator=seeded()).double()
    t = torch.arange(800, dtype=torch.float64)
    x = torch.stack([(t / p).sin() for p in (40.0, 60.0, 90.0)], 1)[None]
    state, subsampled = model(x)[1], model(x[:, 1::2], rate=2.0)[1]
    assert ((state - subsampled).norm() / state.norm()).item() < 0.02
