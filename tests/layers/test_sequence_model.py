"""Sequence models: whole, in parts and step by step, around every mixer and every pooling."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tsrec.layers import residual, sequence_model
from tsrec.layers.filter_bank import ConvolutionBank, FilterBank
from tsrec.layers.lssl import LSSL, LSSLStack
from tsrec.layers.mlp import PointwiseMLP
from tsrec.layers.pooling import FilterPooling, Pooling
from tsrec.layers.random import Linear
from tsrec.layers.ridge_head import RidgeLinear
from tsrec.layers.s4d import S4D
from tsrec.layers.sequence_model import ChannelEmbedding, ChannelMix, SequenceModel, _held
from tsrec.layers.tcnca import TCNCA, TCNCAStack

C, D = 3, 4
KINDS = ("mean", "max", "last")


def seeded(number=1):
    return torch.Generator().manual_seed(number)


pytestmark = pytest.mark.usefixtures("one_thread")


def noise(*shape, seed=0):
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64)


def around(mixer, pooling=None):
    pooling = Pooling(D, KINDS) if pooling is None else pooling
    embedding = ChannelEmbedding(C, D, generator=seeded())
    embedding.missing.data.normal_(generator=seeded(5))
    head = Linear(pooling.n_outputs, 2, generator=seeded())
    return SequenceModel(embedding, mixer, pooling, head).double().eval()


def filter_pooling(width):
    pooling = FilterPooling(width)
    pooling.calibrate(noise(100, width).float(), torch.ones(100))
    return pooling


def of_filters(bank):
    head = RidgeLinear(132, 2)
    for buffer in head.buffers():
        buffer.normal_(generator=seeded(6))
    return SequenceModel(ChannelMix(C, 6, group=3, generator=seeded()), bank, filter_pooling(12), head).double().eval()


MODELS = {
    "LSSL": lambda: around(LSSLStack(D, 2, d_state=4, generator=seeded())),
    "LSSL-fixed": lambda: around(LSSLStack(D, 1, d_state=4, fixed=True, prenorm=False, generator=seeded())),
    "S4D": lambda: around(residual.ResidualStack([S4D(D, d_state=4, generator=seeded())])),
    "LSSL alone, into filters' pooling": lambda: around(LSSL(D, d_state=4, generator=seeded()), filter_pooling(D)),
    "S4D and pointwise": lambda: around(
        residual.ResidualStack([S4D(D, d_state=4, generator=seeded()), PointwiseMLP(D, generator=seeded())])
    ),
    "filters": lambda: of_filters(FilterBank(6, 2, 50, d_state=4, generator=seeded())),
    "convolutions": lambda: of_filters(ConvolutionBank(6, 2, 50, generator=seeded())),
    "TCNCA": lambda: around(TCNCAStack(D, 2, chunk=8, reach=27, generator=seeded())),
    "simplified TCNCA": lambda: around(
        TCNCA(D, chunk=5, reach=10, gated=False, attention="laplace", bias="rotary", generator=seeded())
    ),
}
every_model = pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
SCALING = {name: make for name, make in MODELS.items() if "TCNCA" not in name and name != "convolutions"}
every_model_with_a_time_scale = pytest.mark.parametrize("make", SCALING.values(), ids=SCALING)


def holed(x, seed=7):
    return x.masked_fill(torch.rand(x.shape, generator=seeded(seed)) < 0.3, torch.nan)


def rate_of(model, rate):
    """The rate, where the model has a time scale."""
    return rate if model.time_scale else 1.0


@every_model
@pytest.mark.parametrize("rate", [1.0, 2.0])
def test_parts_and_steps_equal_the_whole(make, rate):
    model, x = make(), holed(noise(2, 70, C))
    rate = rate_of(model, rate)
    with torch.no_grad():
        whole = model.features(x, rate=rate)
        state = model.init_state(2)
        for part in x.split([1, 9, 60], 1):
            _, state = model.advance(part, state, rate=rate)
        torch.testing.assert_close(model.read(state), whole, rtol=1e-9, atol=1e-9)
        state = model.init_state(2)
        for t in range(70):
            y_t, state = model.step(x[:, t], state, rate=rate)
        torch.testing.assert_close(model.read(state), whole, rtol=1e-9, atol=1e-9)
        y, _ = model.advance(x, model.init_state(2), rate=rate)
        torch.testing.assert_close(y[:, -1], y_t)


@every_model
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)], ids=str)
@torch.no_grad()
def test_steps_equal_the_whole_at_lengths_around_a_block(make, dtype, tolerance):
    model = make().to(dtype)
    for length in (1, 64, 197):
        x = holed(noise(2, length, C)).to(dtype)
        y, end = model.advance(x, model.init_state(2))
        state, outputs = model.init_state(2), []
        for t in range(length):
            y_t, state = model.step(x[:, t], state)
            outputs.append(y_t)
        torch.testing.assert_close(torch.stack(outputs, 1), y, rtol=tolerance, atol=tolerance)
        torch.testing.assert_close(state.held, end.held, rtol=0, atol=0, equal_nan=True)
        torch.testing.assert_close(state.first, end.first, rtol=0, atol=0, equal_nan=True)
        # Shares jump where a step of the filters is near a threshold: they get as many digits less as a width is small.
        torch.testing.assert_close(model.read(state), model.features(x), rtol=20 * tolerance, atol=20 * tolerance)


@every_model
@torch.no_grad()
def test_the_head_answers_from_the_features_of_the_mixer_s_outputs(make):
    model, x = make(), holed(noise(3, 30, C))
    mask = torch.arange(30) < torch.tensor([[30], [25], [1]])
    rate = rate_of(model, 1.5)
    found = model(x, mask, rate=rate)
    torch.testing.assert_close(found, model.head(model.features(x, mask, rate=rate)))
    y, state = model.advance(x, model.init_state(3), mask, rate=rate)
    torch.testing.assert_close(found, model.head(model.read(state)))
    pooling = model.pooling
    torch.testing.assert_close(found, model.head(pooling.read(pooling.update(pooling.init_state(3), y, mask))))
    assert not torch.allclose(found, model(x, rate=rate))
    assert not model.time_scale or not torch.allclose(found, model(x, mask))


@every_model_with_a_time_scale
@torch.no_grad()
def test_a_rate_is_a_factor_of_every_step_size(make):
    model, x = make(), noise(2, 30, C)
    found = model(x, rate=2.0)
    for module in model.modules():
        if hasattr(module, "log_dt"):
            module.log_dt += torch.tensor(2.0).log()
    torch.testing.assert_close(found, model(x), rtol=1e-5, atol=1e-5)


def leaves(state):
    return [leaf for part in state for leaf in leaves(part)] if isinstance(state, tuple) else [state]


@every_model
@torch.no_grad()
def test_states_are_returned_and_never_changed(make):
    model, x = make(), holed(noise(2, 20, C))
    _, state = model.advance(x[:, :9], model.init_state(2))
    kept = copy.deepcopy(state)
    one, two = model.advance(x[:, 9:], state), model.advance(x[:, 9:], state)
    model.step(x[:, 9], state)
    model.read(state)
    for pair in (zip(leaves(state), leaves(kept), strict=True), zip(leaves(one), leaves(two), strict=True)):
        assert all(a is b is None or torch.equal(a, b) for a, b in pair)


@every_model
@torch.no_grad()
def test_what_padding_holds_is_not_even_looked_at(make):
    model, x = make(), holed(noise(2, 40, C))
    mask = torch.arange(40) < torch.tensor([[40], [25]])
    wanted = model(x.masked_fill(~mask[..., None], 0.0), mask)
    for filling in (torch.nan, 1e9, -1e9):
        found = model(x.masked_fill(~mask[..., None], filling), mask)
        torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)


@every_model
@torch.no_grad()
def test_batch_rows_do_not_influence_each_other(make):
    model, x = make(), holed(noise(3, 70, C))
    other = torch.cat((x[:1], noise(2, 70, C, seed=9)))
    torch.testing.assert_close(model(x)[0], model(other)[0], rtol=1e-13, atol=1e-13)
    assert not torch.allclose(model(x)[1], model(other)[1])


@every_model
@torch.no_grad()
def test_a_copy_answers_the_same_and_no_global_random_state_is_used(make):
    before = torch.random.get_rng_state()
    x = holed(noise(2, 20, C))
    model, again = make(), make()
    assert torch.equal(copy.deepcopy(model)(x), model(x))
    assert torch.equal(again(x), model(x))
    assert torch.equal(torch.random.get_rng_state(), before)


@every_model
@torch.no_grad()
def test_a_series_of_missing_values_alone_is_one_of_zeros(make):
    model = make()
    nothing = model.features(torch.full((1, 8, C), torch.nan, dtype=torch.float64))
    if isinstance(model.embedding, ChannelEmbedding):
        model.embedding.missing.zero_()
        nothing = model.features(torch.full((1, 8, C), torch.nan, dtype=torch.float64))
    torch.testing.assert_close(nothing, model.features(torch.zeros(1, 8, C, dtype=torch.float64)))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([1.0, -2.5, float("nan")]), min_size=1, max_size=12), st.integers(0, 12))
def test_held_values_are_those_of_a_loop_wherever_the_series_is_cut(values, cut):
    current, wanted = 7.0, []
    for value in values:
        current = value if value == value else current
        wanted.append(current)
    x, held = torch.tensor(values)[None, :, None], torch.full((1, 1), 7.0)
    found = []
    for part in (x[:, :cut], x[:, cut:]):
        if part.shape[1]:
            found.append(_held(part, part.isnan(), held))
            held = found[-1][:, -1]
    assert torch.cat(found, 1).flatten().tolist() == wanted


@every_model
def test_long_sequences_go_through_in_parts(make, monkeypatch):
    model, x = make(), holed(noise(2, 300, C))
    mask = torch.arange(300) < torch.tensor([[300], [170]])
    with torch.no_grad():
        rate = rate_of(model, 1.5)
        whole = model(x, mask, rate=rate)
        monkeypatch.setattr(sequence_model, "_PART_ELEMENTS", 1)
        assert model.part_length(2) < 300
        torch.testing.assert_close(model(x, mask, rate=rate), whole, rtol=1e-9, atol=1e-9)


@every_model
def test_padding_and_neighbours_change_nothing(make):
    model, x = make(), noise(3, 40, C)
    mask = torch.arange(40) < torch.tensor([[40], [25], [1]])
    found = model.features(x.masked_fill(~mask[..., None], 99.0), mask)
    for row, length in enumerate((40, 25, 1)):
        torch.testing.assert_close(found[row : row + 1], model.features(x[row : row + 1, :length]))


@every_model
def test_later_values_do_not_reach_earlier_outputs(make):
    model, x = make(), noise(1, 40, C)
    changed = x.clone()
    changed[:, 20:] += 1
    with torch.no_grad():
        before, after = (model.advance(z, model.init_state(1))[0] for z in (x, changed))
    assert torch.equal(before[:, :20], after[:, :20])
    assert not torch.equal(before[:, 20:], after[:, 20:])


@every_model
def test_a_missing_value_is_the_last_one_seen_and_the_model_is_told(make):
    model, x = make(), noise(1, 12, C)
    x[0, 5:8, 1] = torch.nan
    x[0, :3, 2] = torch.nan
    held = x.clone()
    held[0, 5:8, 1] = x[0, 4, 1]
    if isinstance(model.embedding, ChannelEmbedding):
        # Before there is one it is 0; a mixture does not see the channel then.
        held[0, :3, 2] = 0
    else:
        held[0, :3, 2], x[0, :3, 2] = x[0, 3, 2], x[0, 3, 2]
    with torch.no_grad():
        found, plain = (model.features(z) for z in (x, held))
        if isinstance(model.embedding, ChannelEmbedding):
            assert not torch.allclose(found, plain)
            model.embedding.missing.zero_()
        torch.testing.assert_close(model.features(x), plain)


def test_gradients_are_right_and_reach_everything():
    model, x = MODELS["LSSL"](), noise(2, 7, C)
    x[0, 2] = torch.nan
    names = [name for name, _ in model.named_parameters()]

    def call(*values):
        return torch.func.functional_call(model, dict(zip(names, values, strict=True)), (x,))

    values = [p.detach().clone().requires_grad_() for p in model.parameters()]
    assert torch.autograd.gradcheck(call, values, fast_mode=True)


@pytest.mark.parametrize("fixed", [True, False])
def test_computing_again_backwards_gives_the_same_gradients_and_draws(fixed, monkeypatch):
    def run(limit):
        monkeypatch.setattr(residual, "CHECKPOINT_ELEMENTS", limit)
        g = seeded()
        stack = LSSLStack(8, 3, d_state=4, fixed=fixed, dropout=0.3, generator=g)
        for module in stack.modules():
            if hasattr(module, "generator"):
                module.generator = g
        x = noise(4, 50, 8).float().requires_grad_()
        for _ in range(2):
            stack(x)[0].square().sum().backward()
        return [x.grad, *(p.grad for p in stack.parameters()), torch.rand(3, generator=g)]

    for kept, again in zip(run(1 << 40), run(0), strict=True):
        assert torch.equal(kept, again)


def test_a_series_that_begins_late_is_no_step():
    model, x = MODELS["filters"](), noise(1, 30, C) + 50
    late = torch.cat([torch.full((1, 4, C), torch.nan, dtype=x.dtype), x], 1)
    relative = model.embedding.relative.bool()
    unseen = model.init_state(1)
    _, state = model._embedded(late, unseen)
    torch.testing.assert_close(state.first, x[:, 0])
    found = model._embedded(late, unseen)[0]
    assert not found[:, :5, relative].any()
    torch.testing.assert_close(found[:, 4:], model._embedded(x, unseen)[0])
    # Neither is a channel that begins after the others, nor a part that goes on.
    x[0, :10, 1] = torch.nan
    whole = model._embedded(x, unseen)[0][..., relative]
    without = model._embedded(torch.cat([x[..., :1], torch.full_like(x[..., 1:2], 3.0), x[..., 2:]], -1), unseen)[0]
    torch.testing.assert_close(whole[:, :11], without[:, :11, relative])
    first, state = model._embedded(x[:, :15], unseen)
    second, _ = model._embedded(x[:, 15:], state)
    torch.testing.assert_close(torch.cat([first, second], 1)[..., relative], whole)


def test_every_other_group_of_mixtures_sees_changes_only():
    mix, x = ChannelMix(C, 6, group=2, generator=seeded()).double(), noise(1, 20, C)
    y, moved = mix(x, None, x[:, 0]), mix(x + 100, None, x[:, 0] + 100)
    same = torch.isclose(y, moved, rtol=0, atol=1e-9).all(1)[0]
    assert same.tolist() == [number in (2, 3) for number in range(6)]


def test_mixtures_take_some_channels_and_leave_a_single_one_alone():
    assert torch.equal(ChannelMix(1, 5).weight, torch.ones(1, 5))
    weight = ChannelMix(20, 500, generator=seeded()).weight
    counts = (weight != 0).sum(0)
    assert set(counts.tolist()) == set(range(1, 10))
    assert (counts == 1).float().mean() > (counts == 8).float().mean()
    assert weight.square().sum(0).mean() == pytest.approx(1, abs=0.15)
