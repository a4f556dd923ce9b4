"""Our AdamW is torch's."""

import torch
from torch import nn

from tsrec.training.adamw import AdamW


def test_steps_equal_those_of_torch():
    generator = torch.Generator().manual_seed(0)
    ours = [nn.Parameter(torch.randn(4, 3, generator=generator)), nn.Parameter(torch.randn(5, generator=generator))]
    theirs = [nn.Parameter(p.detach().clone()) for p in ours]
    groups = [{"lr": 0.1, "weight_decay": 0.3}, {"lr": 0.02, "weight_decay": 0.0}]
    mine = AdamW([{"params": [p], **group} for p, group in zip(ours, groups, strict=True)])
    torchs = torch.optim.AdamW([{"params": [p], **group} for p, group in zip(theirs, groups, strict=True)])
    for number in range(20):
        for own, other in zip(ours, theirs, strict=True):
            own.grad = torch.randn(own.shape, generator=generator) * 10.0 ** (number % 7 - 3)
            other.grad = own.grad.clone()
        mine.param_groups[0]["lr"] = torchs.param_groups[0]["lr"] = 0.1 / (1 + number)
        mine.step()
        torchs.step()
        for own, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(own, other, rtol=1e-5, atol=1e-6)


def test_a_missing_gradient_counts_as_zero():
    parameter = nn.Parameter(torch.ones(2))
    optimizer = AdamW([{"params": [parameter], "lr": 0.1, "weight_decay": 0.5}])
    optimizer.step()
    torch.testing.assert_close(parameter.detach(), torch.full((2,), 0.95))
    optimizer.zero_grad()
    assert parameter.grad is None
