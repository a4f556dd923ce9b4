import pickle

import pytest
import torch
from torch import nn

from tsrec.layers.forecast import LEVELS, DirectForecaster
from tsrec.layers.lssl import LSSLStack
from tsrec.layers.patch import PatchBranch
from tsrec.training import Batch, WindowBatches, make_generator, train

L, H, D, P = 24, 6, 4, 6


def network(seed=0, mixer=True, **kwargs):
    g = make_generator(seed)
    stack = LSSLStack(D, 1, d_state=4, dt_min=0.1, dt_max=1.0, generator=g) if mixer else None
    branch = PatchBranch(stack, context=L, d_model=D, patch=P, generator=g) if mixer else None
    net = DirectForecaster(branch, context=L, horizon=H, generator=g, **kwargs)
    return net.eval()


def stirred(seed=0, **kwargs):
    """A network whose zeroed heads and buffers hold something."""
    net, g = network(seed, **kwargs), make_generator(seed + 1)
    with torch.no_grad():
        for name, tensor in [*net.named_parameters(), *net.named_buffers()]:
            if name.startswith(("head", "spread", "covariate_net")) or name == "linear":
                tensor += 0.3 * torch.randn(tensor.shape, generator=g)
    return net


def windows(n=5, seed=3):
    return torch.randn(n, L, generator=make_generator(seed)).cumsum(1)


def test_untrained_it_repeats_the_last_value_with_symmetric_quantiles():
    context = windows()
    point, quantiles = network()(context)
    torch.testing.assert_close(point, context[:, -1:].expand(-1, H))
    torch.testing.assert_close(quantiles[..., 4], point)
    torch.testing.assert_close(quantiles[..., 0] + quantiles[..., -1], 2 * point)


@pytest.mark.parametrize("normalisation", ["last", "mean"])
def test_forecasts_follow_unit_and_level(normalisation):
    net, context = stirred(normalisation=normalisation), windows()
    for got, expected in zip(net(100 * context - 7), net(context), strict=True):
        torch.testing.assert_close(got, 100 * expected - 7, rtol=1e-3, atol=1e-2)


def test_quantiles_never_cross_even_when_the_spread_is_wild():
    net = stirred()
    with torch.no_grad():
        net.spread.weight.mul_(1000)
    quantiles = net(windows(50))[1]
    assert quantiles.shape == (50, H, len(LEVELS))
    assert (quantiles.diff(dim=-1) >= 0).all()
    assert quantiles.isfinite().all()


def test_levels_may_be_left_out():
    net = network(levels=())
    assert net(windows())[1].shape == (5, H, 0)
    assert set(net.losses(Batch(windows(), target=torch.zeros(5, H)))) == {"point"}


def test_rows_do_not_influence_each_other():
    net, context = stirred(), windows()
    torch.testing.assert_close(net(context)[0][2:3], net(context[2:3])[0])


def test_what_the_mask_hides_is_not_read():
    net, context = stirred(), windows()
    mask = torch.rand(context.shape, generator=make_generator(5)) > 0.3
    mask[0] = False
    point, quantiles = net(torch.where(mask, context, float("nan")), mask)
    assert point.isfinite().all()
    assert quantiles.isfinite().all()
    assert torch.equal(point, net(torch.where(mask, context, 1e6), mask)[0])


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_a_constant_window_gives_a_finite_forecast(value):
    point, quantiles = stirred()(torch.full((1, L), value))
    assert point.isfinite().all()
    assert quantiles.isfinite().all()


def test_the_branch_is_used_as_far_as_shrink_says():
    net, context = stirred(), windows()
    points = []
    for share in (0.0, 0.5, 1.0):
        net.shrink.fill_(share)
        points.append(net(context)[0])
    torch.testing.assert_close(points[1], (points[0] + points[2]) / 2)


def test_the_pinball_loss_moves_neither_the_point_nor_the_mixer():
    net = stirred()
    net.losses(Batch(windows(), target=torch.zeros(5, H)))["quantile"].backward()
    moved = {name for name, p in net.named_parameters() if p.grad is not None and p.grad.any()}
    assert moved == {"spread.weight", "spread.bias"}


def test_missing_targets_do_not_count():
    net, context = stirred(), windows()
    target = torch.zeros(5, H)
    gap = target.clone()
    gap[1:] = float("nan")
    for name, loss in net.losses(Batch(context, target=gap)).items():
        torch.testing.assert_close(loss, net.losses(Batch(context[:1], target=target[:1]))[name])


def test_weights_count_windows():
    net, context, target = stirred(), windows(), torch.zeros(5, H)
    weight = torch.tensor([2.0, 0.0, 0.0, 1.0, 0.0])
    rows = [0, 0, 3]
    for name, loss in net.losses(Batch(context, target=target, weight=weight)).items():
        torch.testing.assert_close(loss, net.losses(Batch(context[rows], target=target[rows]))[name])


@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
def test_point_losses_are_in_normalised_units(loss):
    net, context = network(loss=loss), windows()
    target = context[:, -1:] + 0.5 * context.std(1, correction=0, keepdim=True).expand(-1, H)
    expected = {"mse": 0.25, "mae": 0.5, "huber": 0.125}[loss]
    torch.testing.assert_close(net.losses(Batch(context, target=target))["point"].item(), expected)


def test_covariates_start_without_effect_and_missing_ones_count_as_zero():
    future = torch.randn(5, H, 2, generator=make_generator(6))
    net = network(covariates=2)
    assert torch.equal(net(windows(), None, future)[0], net(windows())[0])
    net = stirred(covariates=2)
    hidden = torch.where(future > 0, future, float("nan"))
    assert torch.equal(net(windows(), None, hidden)[0], net(windows(), None, hidden.nan_to_num(0.0))[0])
    assert not torch.equal(net(windows(), None, future)[0], net(windows())[0])


@pytest.mark.parametrize("linear", ["ridge", "learned", None])
def test_every_trainable_parameter_is_in_one_group(linear):
    net = network(linear=linear, covariates=1)
    grouped = [id(p) for group in net.parameter_groups() for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in net.parameters())
    assert ("linear" in dict(net.named_parameters())) == (linear == "learned")


def test_training_learns_a_season_that_the_linear_map_has_not():
    wave = (torch.arange(400.0) * 2 * torch.pi / 12).sin()
    batches = WindowBatches(wave, torch.arange(L, 390), context=L, horizon=H, batch_size=64)
    net = network(dropout=0.1)
    state = train(net, batches, max_epochs=8, learning_rate=0.02, generator=make_generator(0))
    assert state.history[-1]["losses"]["point"] < 0.1 * state.history[0]["losses"]["point"]
    assert state.history[-1]["losses"]["quantile"] < state.history[0]["losses"]["quantile"]


def test_embeddings_have_the_width_of_the_branch_or_the_horizon():
    assert network().embed(windows()).shape == (5, D)
    assert network(mixer=False).embed(windows()).shape == (5, H)
    assert not network().embed(windows()).requires_grad


def test_a_context_shorter_than_a_patch_is_one_patch():
    branch = PatchBranch(nn.Identity(), context=5, d_model=3, patch=48, generator=make_generator(0))
    assert branch.embedding.in_features == 5


def test_it_pickles():
    net = stirred()
    assert torch.equal(pickle.loads(pickle.dumps(net))(windows())[0], net(windows())[0])


@pytest.mark.parametrize(
    "bad",
    [{"normalisation": "first"}, {"linear": "lasso"}, {"loss": "mape"}, {"levels": (0.9, 0.1)}, {"levels": (0.0,)}],
)
def test_unknown_choices_are_refused_by_name(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        network(**bad)
