"""Losses of classifiers, regressors and encoders against their formulas."""

import pytest
import torch
from torch.nn import functional

from tsrec.layers.lssl import LSSLStack
from tsrec.layers.pooling import Pooling
from tsrec.layers.random import Linear
from tsrec.layers.sequence_model import ChannelEmbedding
from tsrec.layers.sequence_tasks import SequenceClassifier, SequenceEncoder, SequenceRegressor
from tsrec.training import Batch


def seeded(number=1):
    return torch.Generator().manual_seed(number)


def build(kind, outputs, **kwargs):
    parts = (ChannelEmbedding(2, 4), LSSLStack(4, 1, d_state=4, generator=seeded()), Pooling(4))
    return kind(*parts, Linear(4, outputs, generator=seeded()), **kwargs)


X = torch.randn(5, 30, 2, generator=seeded())
MASK = torch.arange(30) < torch.tensor([30, 12, 30, 3, 29])[:, None]
WEIGHT = torch.tensor([0.5, 1.0, 2.0, 0.5, 1.0])


def test_a_classifier_minimises_cross_entropy():
    model, target = build(SequenceClassifier, 3), torch.tensor([0, 2, 1, 1, 0])
    log_odds = functional.log_softmax(model(X, MASK), 1)
    each = -log_odds[torch.arange(5), target]
    for weight, wanted in ((None, each.mean()), (WEIGHT, (each * WEIGHT).mean())):
        losses = model.losses(Batch(X, MASK, weight=weight, target=target))
        torch.testing.assert_close(losses, {"cross_entropy": wanted})


def test_a_regressor_minimises_squares():
    model, target = build(SequenceRegressor, 3), torch.randn(5, 3, generator=seeded())
    each = ((model(X, MASK) - target) ** 2).mean(1)
    for weight, wanted in ((None, each.mean()), (WEIGHT, (each * WEIGHT).mean())):
        losses = model.losses(Batch(X, MASK, weight=weight, target=target))
        torch.testing.assert_close(losses, {"squared_error": wanted})


@pytest.mark.parametrize("kind", [SequenceClassifier, SequenceRegressor])
def test_padding_and_rows_of_weight_zero_change_no_loss(kind):
    model = build(kind, 3)
    target = torch.tensor([0, 2, 1, 1, 0]) if kind is SequenceClassifier else torch.ones(5, 3)
    weight = torch.tensor([1.0, 1.0, 3.0, 0.0, 0.0])
    wanted = model.losses(Batch(X, MASK, weight=weight, target=target))
    for filling in (torch.nan, 1e30):
        spoiled = X.masked_fill(~MASK[..., None], filling)
        spoiled[3:] = 7.0
        found = model.losses(Batch(spoiled, MASK, weight=weight, target=target))
        torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("kind", [SequenceClassifier, SequenceRegressor, SequenceEncoder])
def test_a_loss_reaches_what_it_trains_and_leaves_the_global_random_state_alone(kind):
    before = torch.random.get_rng_state()
    model = build(kind, 2)
    if kind is SequenceEncoder:
        model.generator = seeded()
    target = torch.tensor([0, 1, 1, 1, 0]) if kind is SequenceClassifier else torch.ones(5, 2)
    x = X.clone()
    x[0, 4:9, 1] = torch.nan
    losses = model.train().losses(Batch(x, MASK, target=target))
    sum(losses.values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert all(p.grad.abs().sum() > 0 for p in model.embedding.parameters())
    assert all(p.grad.abs().sum() > 0 for p in model.head.parameters())
    assert torch.equal(torch.random.get_rng_state(), before)


def test_an_encoder_predicts_the_next_step_where_there_is_one():
    model = build(SequenceEncoder, 2).eval()
    holes = X.clone()
    holes[0, 4:9, 1] = torch.nan
    y, _ = model.advance(holes, model.init_state(5))
    total, count = 0.0, 0
    for b in range(5):
        for t in range(29):
            for c in range(2):
                if MASK[b, t + 1] and not holes[b, t + 1, c].isnan():
                    total += (model.head(y[b, t])[c] - holes[b, t + 1, c]).item() ** 2
                    count += 1
    losses = model.losses(Batch(holes, MASK))
    assert losses["next"].item() == pytest.approx(total / count, rel=1e-5)
    assert losses["masked"].item() == 0
    for filling in (torch.nan, 1e30):
        spoiled = holes.masked_fill(~MASK[..., None], filling)
        torch.testing.assert_close(model.losses(Batch(spoiled, MASK)), losses)


def test_an_encoder_without_anything_to_predict_has_no_loss():
    model = build(SequenceEncoder, 2).eval()
    for x in (X[:, :1], torch.full_like(X, torch.nan)):
        losses = model.losses(Batch(x))
        assert {name: loss.item() for name, loss in losses.items()} == {"next": 0, "masked": 0}


def test_the_two_losses_of_an_encoder_share_out_the_errors_by_what_was_hidden(monkeypatch):
    """Each by a loop over the targets, all seen through the same holes."""
    model = build(SequenceEncoder, 2).train()
    hidden = torch.rand(5, 30, generator=seeded(4)) < 0.4
    monkeypatch.setattr(model, "_hidden", lambda x: hidden)
    holes = X.masked_fill(torch.rand(X.shape, generator=seeded(5)) < 0.2, torch.nan)
    y, _ = model.advance(holes.masked_fill(hidden[..., None], torch.nan), model.init_state(5))
    sums, count = {"next": 0.0, "masked": 0.0}, 0
    for b in range(5):
        for t in range(1, 30):
            for c in range(2):
                if MASK[b, t] and not holes[b, t, c].isnan():
                    error = (model.head(y[b, t - 1])[c] - holes[b, t, c]).item() ** 2
                    sums["masked" if hidden[b, t] else "next"] += error
                    count += 1
    losses = model.losses(Batch(holes, MASK))
    assert {name: loss.item() for name, loss in losses.items()} == pytest.approx(
        {name: total / count for name, total in sums.items()}, rel=1e-5
    )


def test_hidden_steps_follow_the_generator_and_differ_between_series():
    model = build(SequenceEncoder, 2).train()
    draws = []
    for seed in (1, 1, 2):
        model.generator = seeded(seed)
        draws.append(model._hidden(X))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert len({tuple(row.tolist()) for row in draws[0]}) == 5
    assert not torch.equal(model._hidden(X), draws[2])
    assert not build(SequenceEncoder, 2, hidden=0.0).train()._hidden(X).any()


def test_the_first_step_is_hidden_as_often_as_any_other():
    model = build(SequenceEncoder, 2, hidden=0.25, stretch=4).train()
    model.generator = seeded()
    shares = model._hidden(torch.zeros(20_000, 6, 1)).float().mean(0)
    assert (shares - 0.25).abs().max() < 0.015


def test_hidden_stretches_are_as_many_and_as_long_as_asked():
    model = build(SequenceEncoder, 2, hidden=0.3, stretch=5).train()
    with pytest.raises(RuntimeError, match="no generator"):
        model.losses(Batch(X))
    model.generator = seeded()
    hidden = model._hidden(torch.zeros(200, 500, 1))
    assert hidden.float().mean().item() == pytest.approx(0.3, abs=0.02)
    changes = (hidden[:, 1:] != hidden[:, :-1]).float().mean().item()
    # So many stretches begin, and as many end.
    assert changes == pytest.approx(2 * 0.3 / 5, rel=0.1)
    assert not build(SequenceEncoder, 2).eval()._hidden(X).any()


def test_what_is_hidden_is_not_seen_and_counts_apart(monkeypatch):
    model = build(SequenceEncoder, 2).train()
    chosen = torch.zeros(5, 30, dtype=torch.bool)
    chosen[:, 10:14] = True
    monkeypatch.setattr(model, "_hidden", lambda x: chosen)
    other = X.clone()
    other[:, 10:13] += 50.0
    one, two = (model.losses(Batch(z)) for z in (X, other))
    torch.testing.assert_close(one["next"], two["next"])
    assert two["masked"] > 100 * one["masked"]
    gone = SequenceEncoder.__getstate__(model)
    assert gone["generator"] is None
