"""AdamW in the few operations it needs.

Loshchilov and Hutter (2019), Decoupled Weight Decay Regularization, arXiv:1711.05101, Algorithm 2 with the bias
correction of Kingma and Ba (2015), arXiv:1412.6980. torch.optim.AdamW is its meaning, and a test compares the two; but
constructing any torch optimiser imports torch's compiler, which costs each new process two seconds and 150 MB.
"""

from typing import Any

import torch
from torch import Tensor

_BETA1, _BETA2, _EPS = 0.9, 0.999, 1e-8


class AdamW:
    """Descend along Adam's direction, with decay of the weights apart from it.

    Parameters
    ----------
    groups : list of dict
        Each with "params" (list of Parameter), "lr" and "weight_decay"; read anew at every step.

    Attributes
    ----------
    param_groups : list of dict
        The groups.
    """

    def __init__(self, groups: list[dict[str, Any]]) -> None:
        self.param_groups = groups
        self._steps = 0
        parameters = self._parameters()
        self._means = [torch.zeros_like(p) for p in parameters]
        self._squares = [torch.zeros_like(p) for p in parameters]

    def zero_grad(self) -> None:
        """Drop the gradients."""
        for parameter in self._parameters():
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move every parameter; one without a gradient counts as having a gradient of zero."""
        self._steps += 1
        correction = (1 - _BETA2**self._steps) ** 0.5 / (1 - _BETA1**self._steps)
        begin = 0
        for group in self.param_groups:
            params = group["params"]
            own = slice(begin, begin + len(params))
            begin = own.stop
            means, squares = self._means[own], self._squares[own]
            grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in params]
            torch._foreach_mul_(params, 1 - group["lr"] * group["weight_decay"])
            torch._foreach_lerp_(means, grads, 1 - _BETA1)
            torch._foreach_mul_(squares, _BETA2)
            torch._foreach_addcmul_(squares, grads, grads, 1 - _BETA2)
            roots = torch._foreach_sqrt(squares)
            # m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps), with both corrections in one factor.
            torch._foreach_add_(roots, _EPS * (1 - _BETA2**self._steps) ** 0.5)
            torch._foreach_addcdiv_(params, means, roots, -group["lr"] * correction)

    def state_dict(self) -> dict[str, Any]:
        """Copies of the moments and the number of steps; groups are the caller's."""
        return {
            "steps": self._steps,
            "means": [mean.clone() for mean in self._means],
            "squares": [square.clone() for square in self._squares],
        }

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken; for groups of the same parameters in the same order."""
        self._steps = int(saved["steps"])
        for own, other in ((self._means, saved["means"]), (self._squares, saved["squares"])):
            for mine, theirs in zip(own, other, strict=True):
                mine.copy_(theirs)

    def _parameters(self) -> list[Tensor]:
        return [parameter for group in self.param_groups for parameter in group["params"]]
