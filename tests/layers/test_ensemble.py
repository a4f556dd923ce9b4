"""Means of several forecasting modules: every part of the answer is averaged, and averaging breaks no promise."""

import copy
import pickle

import pytest
import torch

from tsrec.layers.ensemble import MeanForecaster, mean_of
from tsrec.layers.forecast import LEVELS, DirectForecaster
from tsrec.layers.mlp import PointwiseMLP
from tsrec.layers.patch import PatchBranch

L, H, D = 12, 5, 4


def seeded(number):
    return torch.Generator().manual_seed(number)


@torch.no_grad()
def member(seed, *, wild=0.3):
    """A module whose every weight is random, those that start at zero included."""
    generator = seeded(seed)
    mixer = PointwiseMLP(D, generator=generator)
    branch = PatchBranch(mixer, context=L, d_model=D, patch=6, generator=generator)
    module = DirectForecaster(branch, context=L, horizon=H, covariates=2, generator=generator)
    for tensor in (module.linear, module.head.weight, module.spread.weight, module.covariate_net.out.weight):
        tensor += wild * torch.randn(tensor.shape, generator=generator)
    module.shrink.fill_(0.5)
    return module.eval()


@pytest.fixture(scope="module")
def members():
    return [member(seed) for seed in (1, 2, 3)]


@pytest.fixture(scope="module")
def question():
    """Windows with a hole, their mask, and covariates ahead."""
    context = torch.randn(7, L, generator=seeded(8)).cumsum(1)
    mask = torch.ones(7, L, dtype=torch.bool)
    context[2, 4], mask[2, 4] = torch.nan, False
    return context, mask, torch.randn(7, H, 2, generator=seeded(9))


def test_points_and_quantiles_are_the_means_of_the_members(members, question):
    point, quantiles = MeanForecaster(members)(*question)
    answers = [module(*question) for module in members]
    torch.testing.assert_close(point, sum(answer[0] for answer in answers) / 3)
    torch.testing.assert_close(quantiles, sum(answer[1] for answer in answers) / 3)
    assert point.shape == (7, H)
    assert quantiles.shape == (7, H, len(LEVELS))
    assert not torch.isclose(point, answers[0][0]).all()


def test_mask_and_covariates_reach_every_member(members, question):
    context, mask, future = question
    mean = MeanForecaster(members)
    hidden = torch.where(mask, context, 1e6)
    assert torch.equal(mean(hidden, mask, future)[0], mean(*question)[0])
    without = sum(module(context, mask)[0] for module in members) / 3
    torch.testing.assert_close(mean(context, mask)[0], without)
    assert not torch.isclose(mean(*question)[0], without).any()


def test_quantiles_keep_their_order_however_different_the_members_are(question):
    mean = MeanForecaster([member(seed, wild=30.0) for seed in range(4)])
    assert (mean(*question)[1].diff(dim=-1) >= 0).all()


def test_components_are_means_and_sum_to_the_point(members, question):
    mean = MeanForecaster(members)
    parts = mean.components(*question)
    assert list(parts) == ["linear", "recurrent", "covariates"]
    torch.testing.assert_close(sum(parts.values()), mean(*question)[0])
    for name, part in parts.items():
        torch.testing.assert_close(part, sum(module.components(*question)[name] for module in members) / 3)
        assert part.abs().max() > 0.01


def test_the_embedding_is_the_first_members(members, question):
    context, mask, _ = question
    rows = MeanForecaster(members).embed(context, mask)
    assert rows.shape == (7, D)
    assert torch.equal(rows, members[0].embed(context, mask))
    assert not torch.equal(rows, members[1].embed(context, mask))


def test_one_member_is_returned_itself_and_several_in_a_mean(members):
    assert mean_of(members[:1]) is members[0]
    mean = mean_of(members)
    assert isinstance(mean, MeanForecaster)
    assert list(mean.members) == members


def test_weights_and_modes_of_all_members_belong_to_the_mean(members, question):
    mean = copy.deepcopy(mean_of(members))
    assert all(module.training for module in mean.train().modules())
    assert not any(module.training for module in mean.eval().modules())
    other = MeanForecaster([member(seed) for seed in (4, 5, 6)])
    assert not torch.equal(other(*question)[0], mean(*question)[0])
    other.load_state_dict(mean.state_dict())
    assert torch.equal(other(*question)[0], mean(*question)[0])
    assert torch.equal(pickle.loads(pickle.dumps(mean))(*question)[1], mean(*question)[1])
