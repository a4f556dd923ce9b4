"""Randomness comes from explicit generators."""

import copy
import math
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tsrec.layers import random
from tsrec.layers.random import Dropout, Linear, default_generator


def seeded(number=0):
    return torch.Generator().manual_seed(number)


def active(p, number=0):
    drop = Dropout(p)
    drop.generator = seeded(number)
    return drop


def test_linear_is_drawn_from_its_generator_and_nothing_else():
    before = torch.random.get_rng_state()
    a, b, c = (Linear(64, 50, generator=seeded(i)) for i in (1, 1, 2))
    assert torch.equal(a.weight, b.weight)
    assert not torch.equal(a.weight, c.weight)
    assert torch.equal(torch.random.get_rng_state(), before)
    for parameter in (a.weight, a.bias):
        assert parameter.abs().max() <= 1 / 8
        assert parameter.abs().max() > 0.9 / 8
    assert abs(a.weight.std().item() * math.sqrt(3) - 1 / 8) < 0.003


def test_linear_without_bias_or_generator():
    assert Linear(3, 2, bias=False).bias is None
    assert torch.equal(Linear(3, 2).weight, Linear(3, 2).weight)


@settings(max_examples=30, deadline=None)
@given(p=st.floats(0.01, 0.95), count=st.integers(1, 50))
def test_dropout_zeroes_the_given_share_and_keeps_the_mean(p, count):
    x = torch.ones(count, 1000)
    y = active(p, count)(x)
    kept = y != 0
    spread = 5 * math.sqrt(p * (1 - p) / x.numel())
    assert abs(kept.float().mean().item() - (1 - p)) < spread + 2**-16
    scale = y[kept].unique()
    assert len(scale) == 1
    assert abs(scale.item() * (1 - p) - 1) < 1e-3


def test_dropout_masks_are_independent_along_the_bits_of_a_draw():
    kept = (active(0.5)(torch.ones(4 * 20000)) != 0).double().view(-1, 4)
    assert (torch.corrcoef(kept.T) - torch.eye(4)).abs().max() < 0.03
    assert ((kept.mean(0) - 0.5).abs() < 0.02).all()


def test_dropout_repeats_with_its_seed_and_leaves_the_global_state():
    before = torch.random.get_rng_state()
    x = torch.ones(3, 7, 5)
    assert torch.equal(active(0.4)(x), active(0.4)(x))
    assert not torch.equal(active(0.4, 1)(x), active(0.4, 2)(x))
    assert torch.equal(torch.random.get_rng_state(), before)


def masks(drop, times, size=40):
    return torch.stack([drop(torch.ones(size)) for _ in range(times)])


@pytest.fixture
def small_pool(monkeypatch):
    """Pools of 128 elements, so that a few calls use one up; the list counts those drawn."""
    drawn, draw = [], Dropout._draw
    monkeypatch.setattr(random, "_POOL", 128)
    monkeypatch.setattr(Dropout, "_draw", lambda self, count, g: drawn.append(count) or draw(self, count, g))
    return drawn


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_dropout_leaves_the_mean_of_every_element_over_many_calls(p):
    x = torch.linspace(-2, 3, 40)
    drop, calls = active(p), 2000
    mean = torch.stack([drop(x) for _ in range(calls)]).mean(0)
    assert ((mean - x).abs() <= 5 * x.abs() * math.sqrt(p / (1 - p) / calls) + 1e-6).all()


def test_dropout_masks_of_neighbouring_calls_are_independent():
    first, second = masks(active(0.5), 2, size=40_000)
    assert torch.corrcoef(torch.stack((first, second)))[0, 1].abs() < 0.03


def test_dropout_goes_on_as_its_seed_says():
    one, same, other = masks(active(0.4), 20), masks(active(0.4), 20), masks(active(0.4, 1), 20)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert len(one.unique(dim=0)) == 20


def test_dropout_in_an_epoch_depends_on_the_state_of_its_generator_alone():
    drop = active(0.5)
    masks(drop, 3)
    state = drop.generator.get_state()
    epoch = masks(drop.train(), 5)
    drop.generator.set_state(state)
    assert torch.equal(masks(drop.train(), 5), epoch)
    resumed = active(0.5)
    resumed.generator.set_state(state)
    assert torch.equal(masks(resumed.train(), 5), epoch)


def test_dropout_draws_a_new_pool_when_the_old_one_is_worn(small_pool):
    drop = active(0.5)
    masks(drop, 120, size=16)
    assert small_pool == [128]
    masks(drop, 120, size=16)
    assert small_pool == [128, 128]


@pytest.mark.parametrize("size", [17, 64, 65, 5000])
def test_dropout_of_tensors_that_are_large_beside_the_pool(small_pool, size):
    drop = active(0.25)
    masks(drop, 2, size=16)
    found = masks(drop, 40, size=size)
    assert small_pool == [128, 8 * size] + [8 * size] * (len(small_pool) - 2)
    assert len(found.unique(dim=0)) > 20
    # What is read comes from a pool of 8 * size draws, not each of them equally often.
    assert abs((found == 0).float().mean().item() - 0.25) < 5 * math.sqrt(0.25 * 0.75 / (2 * size))
    assert masks(drop, 1, size=3).shape == (1, 3)


def test_dropout_of_more_elements_than_the_usual_pool_has():
    x = torch.ones(30, random._POOL)
    y = active(0.3)(x)
    assert y.shape == x.shape
    assert abs((y == 0).float().mean().item() - 0.3) < 0.002
    assert active(0.3)(torch.ones(0, 4)).shape == (0, 4)


def test_dropout_gradient_is_the_mask():
    x = torch.ones(100, requires_grad=True)
    y = active(0.5)(x)
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())


def test_dropout_is_the_identity_in_evaluation_and_at_zero():
    x = torch.ones(5)
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0)(x) is x


def test_dropout_in_training_without_a_generator_is_an_error():
    with pytest.raises(RuntimeError, match=r"no generator.*Set \.generator"):
        Dropout(0.5)(torch.ones(5))


@pytest.mark.parametrize("p", [-0.1, 1.0])
def test_rates_outside_the_range_are_refused(p):
    with pytest.raises(ValueError, match=r"p must lie in \[0, 1\)"):
        Dropout(p)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["copy", "pickle"])
def test_copies_leave_the_generator_behind(duplicate):
    drop = active(0.5)
    drop(torch.ones(5))
    twin = duplicate(drop)
    assert twin.generator is None
    assert twin.p == 0.5
    assert drop.generator is not None
    assert len(pickle.dumps(twin)) < 5000
    twin.generator = seeded()
    assert torch.equal(masks(twin, 3), masks(active(0.5), 3))


def test_a_pickle_carries_no_pool():
    drop = active(0.5)
    drop(torch.ones(5))
    assert len(pickle.dumps(drop)) < 5000


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64], ids=str)
def test_dropout_keeps_the_dtype(dtype):
    drop = active(0.5)
    assert drop(torch.ones(9)).dtype == torch.float32
    assert drop(torch.ones(9, dtype=dtype)).dtype == dtype


def test_the_default_generator_is_seeded_and_new():
    assert default_generator(None).initial_seed() == 0
    given = seeded(3)
    assert default_generator(given) is given
