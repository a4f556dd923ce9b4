"""Sequence models: whole, in parts and step by step, around every mixer and every pooling."""

import pytest
import torch

from tsrec.layers import residual, sequence_model
from tsrec.layers.filter_bank import FilterBank
from tsrec.layers.lssl import LSSLStack
from tsrec.layers.pooling import FilterPooling, Pooling
from tsrec.layers.random import Linear
from tsrec.layers.ridge_head import RidgeLinear
from tsrec.layers.s4d import S4D
from tsrec.layers.sequence_model import ChannelEmbedding, ChannelMix, SequenceModel

C, D = 3, 4
KINDS = ("mean", "max", "last")


def seeded(number=1):
    return torch.Generator().manual_seed(number)


def noise(*shape, seed=0):
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64)


def around(mixer):
    embedding = ChannelEmbedding(C, D, generator=seeded())
    embedding.missing.data.normal_(generator=seeded(5))
    return SequenceModel(embedding, mixer, Pooling(D, KINDS), Linear(D * 3, 2, generator=seeded())).double().eval()


def of_filters():
    bank, pooling = FilterBank(6, 2, 50, d_state=4, generator=seeded()), FilterPooling(12)
    pooling.calibrate(noise(100, 12).float(), torch.ones(100))
    return SequenceModel(ChannelMix(C, 6, generator=seeded()), bank, pooling, RidgeLinear(132, 2)).double().eval()


MODELS = {
    "LSSL": lambda: around(LSSLStack(D, 2, d_state=4, generator=seeded())),
    "LSSL-fixed": lambda: around(LSSLStack(D, 1, d_state=4, fixed=True, prenorm=False, generator=seeded())),
    "S4D": lambda: around(residual.ResidualStack([S4D(D, d_state=4, generator=seeded())])),
    "filters": of_filters,
}
every_model = pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)


def holed(x, seed=7):
    return x.masked_fill(torch.rand(x.shape, generator=seeded(seed)) < 0.3, torch.nan)


@every_model
@pytest.mark.parametrize("rate", [1.0, 2.0])
def test_parts_and_steps_equal_the_whole(make, rate):
    model, x = make(), holed(noise(2, 70, C))
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
def test_long_sequences_go_through_in_parts(make, monkeypatch):
    model, x = make(), holed(noise(2, 300, C))
    mask = torch.arange(300) < torch.tensor([[300], [170]])
    with torch.no_grad():
        whole = model(x, mask)
        monkeypatch.setattr(sequence_model, "_PART_ELEMENTS", 1)
        assert model.part_length(2) < 300
        torch.testing.assert_close(model(x, mask), whole, rtol=1e-9, atol=1e-9)


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
    held[0, :3, 2] = 0
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


def test_mixtures_take_some_channels_and_leave_a_single_one_alone():
    assert torch.equal(ChannelMix(1, 5).weight, torch.ones(1, 5))
    weight = ChannelMix(20, 500, generator=seeded()).weight
    counts = (weight != 0).sum(0)
    assert set(counts.tolist()) == set(range(1, 10))
    assert (counts == 1).float().mean() > (counts == 8).float().mean()
    assert weight.square().sum(0).mean() == pytest.approx(1, abs=0.15)
