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
    spoiled = holes.masked_fill(~MASK[..., None], 1e9)
    torch.testing.assert_close(model.losses(Batch(spoiled, MASK)), losses)


def test_hidden_stretches_are_as_many_and_as_long_as_asked():
    model = build(SequenceEncoder, 2, hidden=0.3, stretch=5).train()
    with pytest.raises(RuntimeError, match="no generator"):
        model.losses(Batch(X))
    model.generator = seeded()
    hidden = model._hidden(torch.zeros(200, 500, 1))
    assert hidden.float().mean().item() == pytest.approx(0.3, abs=0.02)
    changes = (hidden[:, 1:] != hidden[:, :-1]).float().mean().item()
    # A run ends when the chain draws anew (1/5) and draws differently (0.3 and 0.7).
    assert changes == pytest.approx(2 * 0.3 * 0.7 / 5, rel=0.1)
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
