"""What every mixer promises: one answer for a whole sequence, for its parts, and step by step."""

import copy
import math

import pytest
import torch
from torch.autograd import gradcheck

from tsrec.layers.filter_bank import ConvolutionBank, FilterBank
from tsrec.layers.lssl import LSSL, LSSLBlock, LSSLStack
from tsrec.layers.mamba import Mamba, MambaStack
from tsrec.layers.mlp import PointwiseMLP
from tsrec.layers.parameter_groups import parameter_groups
from tsrec.layers.random import Dropout
from tsrec.layers.residual import ResidualStack
from tsrec.layers.s4d import S4D
from tsrec.layers.selective_bank import SelectiveBank
from tsrec.layers.tcnca import TCNCA, TCNCAStack

D = 4


def seeded(number=1):
    return torch.Generator().manual_seed(number)


MIXERS = {
    "LSSL legs": lambda: LSSL(D, d_state=8, channels=2, generator=seeded()),
    "LSSL legt": lambda: LSSL(D, d_state=8, measure="legt", window_scale=2.0, generator=seeded()),
    "LSSL lagt zoh": lambda: LSSL(D, d_state=7, measure="lagt", discretization="zoh", generator=seeded()),
    "LSSL-fixed legs": lambda: LSSL(D, d_state=8, fixed=True, generator=seeded()),
    "LSSL-fixed legt": lambda: LSSL(D, d_state=8, fixed=True, measure="legt", discretization=1.0, generator=seeded()),
    "S4D": lambda: S4D(D, d_state=8, channels=2, generator=seeded()),
    "block": lambda: LSSLBlock(LSSL(D, d_state=8, generator=seeded()), prenorm=False),
    "stack": lambda: LSSLStack(D, 2, d_state=8, generator=seeded()),
    "post-norm stack": lambda: ResidualStack([S4D(D, d_state=4), LSSL(D, d_state=4)], prenorm=False),
    "pointwise": lambda: PointwiseMLP(D, 2, generator=seeded()),
    "stack with a pointwise layer": lambda: ResidualStack([S4D(D, d_state=4), PointwiseMLP(D, generator=seeded())]),
    # Those whose outputs are wider than their inputs.
    "filter bank": lambda: FilterBank(D, 3, 60, d_state=4, scales=3, generator=seeded()),
    "convolution bank": lambda: ConvolutionBank(D, 3, 60, scales=3, generator=seeded()),
    "selective bank": lambda: SelectiveBank(D, 3, 60, d_state=4, scales=3, generator=seeded()),
    "TCNCA": lambda: TCNCA(D, chunk=8, reach=27, kernel_size=3, base=3, generator=seeded()),
    "TCNCA laplace, rotary": lambda: TCNCA(
        D, chunk=8, reach=27, attention="laplace", bias="rotary", norm="scale", prenorm=False, generator=seeded()
    ),
    "simplified TCNCA stack": lambda: TCNCAStack(
        D, 2, chunk=5, reach=20, gated=False, attention="relu2", norm="rms", generator=seeded()
    ),
    "dense TCNCA": lambda: TCNCA(
        D,
        chunk=8,
        reach=27,
        bias=None,
        tcn={"dense": True, "weight_norm": True, "convolutions": 2, "activation": "relu", "residual": False},
        generator=seeded(),
    ),
    "MEGA": lambda: TCNCA(D, chunk=8, ema=True, generator=seeded()),
    "Mamba": lambda: Mamba(D, d_state=5, generator=seeded()),
    "Mamba, two taps": lambda: Mamba(D, d_state=1, d_conv=2, expand=3, generator=seeded()),
    "Mamba stack": lambda: MambaStack(D, 2, d_state=3, generator=seeded()),
}
# What stands at their masked steps must be finite.
WANT_FINITE_INPUT = (LSSLBlock, PointwiseMLP, TCNCA)
# Up to 64 steps the convolution is a direct sum; chunks of 8 are not full, full, begun again, and one of many.
LENGTHS = (1, 2, 7, 8, 9, 29, 63, 64, 65, 197)
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}

every_mixer = pytest.mark.parametrize("make", MIXERS.values(), ids=MIXERS)
REMEMBERING = {name: make for name, make in MIXERS.items() if "pointwise" not in name}
every_mixer_with_a_state = pytest.mark.parametrize("make", REMEMBERING.values(), ids=REMEMBERING)
COUNTING = {
    name: make for name, make in MIXERS.items() if any(s in name for s in ("TCNCA", "MEGA", "convolution", "Mamba"))
}
SCALING = {name: make for name, make in REMEMBERING.items() if name not in COUNTING}


pytestmark = pytest.mark.usefixtures("one_thread")


def noise(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, dtype=dtype, generator=seeded(seed))


def leaves(state):
    if isinstance(state, tuple):
        return [leaf for part in state for leaf in leaves(part)]
    return [] if state is None else [state]


def numbers(tensor):
    return tensor if tensor.is_complex() or tensor.is_floating_point() else tensor.double()


def gap(x, y):
    pairs = [(numbers(a), numbers(b)) for a, b in zip(leaves(x), leaves(y), strict=True)]
    return max(((a - b).abs().max() / (1 + b.abs().max())).item() for a, b in pairs)


def put_into(state, parts):
    """The state with its numbers that can have gradients taken from `parts`."""
    if isinstance(state, tuple):
        made = [put_into(part, parts) for part in state]
        return state._make(made) if hasattr(state, "_make") else tuple(made)
    return state if state is None or state.dtype in (torch.bool, torch.int64) else next(parts)


@torch.no_grad()
def run_steps(mixer, x, mask=None, rate=1.0):
    state, outputs = mixer.init_state(len(x)), []
    for t in range(x.shape[1]):
        y_t, state = mixer.step(x[:, t], state, rate=rate, mask=None if mask is None else mask[:, t])
        outputs.append(y_t)
    return torch.stack(outputs, 1), state


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@every_mixer
def test_steps_equal_the_whole(make, dtype):
    mixer = make().to(dtype)
    for length in LENGTHS:
        x = noise(2, length, D, dtype=dtype)
        rate = 2.0 if length == 63 and getattr(mixer, "time_scale", True) else 1.0
        assert gap(run_steps(mixer, x, rate=rate), mixer(x, rate=rate)) < TOLERANCE[dtype]


@every_mixer
def test_outputs_before_a_change_do_not_move(make):
    mixer = make().double()
    for length in LENGTHS:
        x = noise(2, length, D)
        start = length // 2
        changed = torch.cat((x[:, :start], noise(2, length - start, D, seed=1)), 1)
        before, after = mixer(x)[0][:, :start], mixer(changed)[0][:, :start]
        # Up to 64 steps the direct sum is exact; a transform leaves rounding.
        assert torch.equal(before, after) if length <= 64 else gap(before, after) < 1e-13


@every_mixer
def test_parts_with_the_state_carried_equal_the_whole(make):
    mixer = make().double()
    for length in LENGTHS[1:]:
        x = noise(2, length, D)
        for cut in {1, length // 2, length - 1}:
            first, state = mixer(x[:, :cut])
            second, last = mixer(x[:, cut:], state)
            assert gap((torch.cat((first, second), 1), last), mixer(x)) < 1e-12


@every_mixer
def test_left_padding_changes_nothing(make):
    mixer = make().double()
    x = noise(2, 30, D)
    padded = torch.cat((torch.full((2, 40, D), torch.nan, dtype=x.dtype), x), 1)
    if isinstance(mixer, WANT_FINITE_INPUT):
        padded = padded.nan_to_num(7.0)
    mask = torch.arange(70).expand(2, -1) >= 40
    y, state = mixer(padded, mask=mask)
    assert gap((y[:, 40:], state), mixer(x)) < 1e-12
    _, state = mixer(padded[:, :40], mask=mask[:, :40])
    for leaf, start in zip(leaves(state), leaves(mixer.init_state(2)), strict=True):
        torch.testing.assert_close(leaf, start, rtol=0, atol=0, equal_nan=True)


@every_mixer
def test_right_padding_changes_no_earlier_output(make):
    mixer = make().double()
    x = noise(2, 70, D)
    mask = (torch.arange(70) < 50).expand(2, -1)
    assert gap(mixer(x, mask=mask)[0][:, :50], mixer(x[:, :50])[0]) < 1e-12


@every_mixer
def test_masked_steps_are_never_read_forwards_or_backwards(make):
    mixer = make().double()
    x, mask = noise(2, 70, D), torch.rand(2, 70, generator=seeded()) < 0.7
    holes = x.masked_fill(~mask[..., None], 3.0 if isinstance(mixer, WANT_FINITE_INPUT) else torch.nan)
    filled = x.masked_fill(~mask[..., None], -5.0)
    (y, state), (wanted, end) = mixer(holes, mask=mask), mixer(filled, mask=mask)
    observed = mask[..., None].expand_as(y)
    assert gap((y[observed], state), (wanted[observed], end)) < 1e-14
    assert gap(run_steps(mixer, filled, mask), (wanted, end)) < 1e-10
    if y.requires_grad:
        y[observed].sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in mixer.parameters())


@every_mixer
def test_gradients_are_right(make):
    mixer = make().double()
    names = [name for name, _ in mixer.named_parameters()]

    def call(x, *values):
        y, state = torch.func.functional_call(mixer, dict(zip(names, values, strict=True)), (x,))
        return (y, *(torch.view_as_real(s) if s.is_complex() else s for s in leaves(state) if s.requires_grad))

    values = [p.detach().clone().requires_grad_() for p in mixer.parameters()]
    assert gradcheck(call, (noise(1, 7, D).requires_grad_(), *values), fast_mode=True)


@every_mixer_with_a_state
def test_gradient_reaches_the_state_that_is_passed_in(make):
    mixer = make().double()
    state = mixer(noise(2, 5, D))[1]
    inner = [s.detach().clone().requires_grad_() for s in leaves(state) if s.dtype not in (torch.bool, torch.int64)]

    def call(*parts):
        y, _ = mixer(noise(2, 6, D), put_into(state, iter(parts)))
        return y

    assert gradcheck(call, inner, fast_mode=True)


@every_mixer_with_a_state
def test_a_state_that_was_passed_in_stays_as_it_was(make):
    mixer = make().double()
    x, before = noise(2, 20, D), mixer(noise(2, 5, D))[1]
    kept = copy.deepcopy([leaf.detach() for leaf in leaves(before)])
    first, second = mixer(x, before), mixer(x, before)
    mixer.step(x[:, 0], before)
    assert all(torch.equal(a, b) for a, b in zip(leaves(before), kept, strict=True))
    assert gap(first, second) == 0
    assert gap(mixer(x, mixer.init_state(2)), mixer(x)) < 1e-14


@pytest.mark.parametrize("make", COUNTING.values(), ids=COUNTING)
def test_a_mixer_that_counts_steps_takes_no_rate(make):
    mixer, x = make().double(), noise(2, 9, D)
    assert not mixer.time_scale
    with pytest.raises(ValueError, match=r"rate=2\.0: this layer counts steps"):
        mixer(x, rate=2.0)
    with pytest.raises(ValueError, match=r"rate=2\.0: this layer counts steps"):
        mixer.step(x[:, 0], mixer.init_state(2), rate=2.0)


@pytest.mark.parametrize("make", SCALING.values(), ids=SCALING)
def test_a_rate_is_a_factor_of_the_step_size(make):
    mixer, x = make().double(), noise(2, 70, D)
    found = mixer(x, rate=1.7)
    assert gap(found, mixer(x)) > 1e-3
    with torch.no_grad():
        for module in mixer.modules():
            if hasattr(module, "log_dt"):
                module.log_dt += math.log(1.7)
    assert gap(found, mixer(x)) < 1e-12


@every_mixer
def test_batch_rows_do_not_influence_each_other(make):
    mixer = make().double()
    for length in (63, 100):
        x = noise(3, length, D)
        other = torch.cat((x[:1], noise(2, length, D, seed=9)))
        assert torch.equal(mixer(x)[0][0], mixer(other)[0][0])


@every_mixer
def test_non_contiguous_input_gives_the_same(make):
    mixer, x = make().double(), noise(2, 70, D)
    strided = x.transpose(0, 2).contiguous().transpose(0, 2)
    assert gap(mixer(strided), mixer(x)) < 1e-13


@every_mixer
def test_the_state_can_be_left_out(make):
    mixer, x = make().double(), noise(2, 70, D)
    y, state = mixer(x, return_state=False)
    assert not leaves(state)
    assert torch.equal(y, mixer(x)[0])


@every_mixer
def test_deep_copy_and_global_random_state(make):
    before = torch.random.get_rng_state()
    mixer = make().double()
    x = noise(2, 20, D)
    y, _ = mixer(x)
    twin = copy.deepcopy(mixer)
    assert torch.equal(twin(x)[0], y)
    assert torch.equal(make().double()(x)[0], y)
    assert torch.equal(torch.random.get_rng_state(), before)


@every_mixer
def test_groups_hold_every_trainable_parameter_once(make):
    mixer = make()
    for parameter in list(mixer.parameters())[:1]:
        parameter.requires_grad_(False)
    groups = mixer.parameter_groups() if hasattr(mixer, "parameter_groups") else parameter_groups(mixer)
    grouped = [id(p) for group in groups for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in mixer.parameters() if p.requires_grad)
    if grouped:
        torch.optim.AdamW(groups, lr=1e-2, weight_decay=0.1)


def test_a_pointwise_mixer_lets_no_step_reach_another():
    mixer, x = MIXERS["pointwise"]().double(), noise(2, 9, D)
    changed = x.clone()
    changed[:, 4] += 1.0
    y, after = mixer(x)[0], mixer(changed)[0]
    others = torch.arange(9) != 4
    assert torch.equal(after[:, others], y[:, others])
    assert not torch.isclose(after[:, 4], y[:, 4]).any()
    order = torch.randperm(9, generator=seeded())
    torch.testing.assert_close(mixer(x[:, order])[0], y[:, order])


def test_a_pointwise_mixer_is_linear_maps_between_gelus():
    mixer, x = MIXERS["pointwise"]().double(), noise(2, 9, D)
    first, second = (layer for layer in mixer.layers if isinstance(layer, torch.nn.Linear))
    gelu = torch.nn.functional.gelu
    expected = gelu(gelu(gelu(x) @ first.weight.T + first.bias) @ second.weight.T + second.bias)
    torch.testing.assert_close(mixer(x)[0], expected)
    assert mixer.init_state(2) is None
    torch.testing.assert_close(PointwiseMLP(D, 0)(x)[0], gelu(x))


def test_a_pointwise_mixer_drops_out_after_every_gelu():
    mixer = PointwiseMLP(D, 2, dropout=0.4)
    kinds = [torch.nn.GELU, Dropout] + 2 * [torch.nn.Linear, torch.nn.GELU, Dropout]
    assert [isinstance(layer, kind) for layer, kind in zip(mixer.layers, kinds, strict=True)] == [True] * 8
    assert {layer.p for layer in mixer.layers if isinstance(layer, Dropout)} == {0.4}


@pytest.mark.parametrize("name", ["LSSL legs", "S4D", "stack", "TCNCA", "MEGA", "simplified TCNCA stack", "Mamba"])
def test_what_is_no_sequence_of_its_width_is_refused(name):
    mixer = MIXERS[name]()
    for shape in ((2, 5, D + 1), (5, D), (2, 0, D)):
        with pytest.raises(ValueError, match=rf"x must have shape \(B, L, {D}\) with L >= 1, got"):
            mixer(torch.zeros(shape))
    with pytest.raises(TypeError, match=r"x must hold floating numbers, got torch.int64"):
        mixer(torch.zeros(2, 5, D, dtype=torch.int64))
