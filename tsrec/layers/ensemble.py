"""The mean of several modules that were trained from different seeds."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


class MeanForecaster(nn.Module):
    """Average forecasts of modules with one interface: the mean of points, of quantiles and of components.

    The mean of quantiles at each level (Vincent averaging) keeps their order.

    Parameters
    ----------
    members : sequence of nn.Module
        At least one, each as :class:`tsrec.layers.forecast.DirectForecaster`.
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, *inputs: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return point (B, H) and quantiles (B, H, Q) in data units; the members are given what this is given."""
        points, quantiles = zip(*(member(*inputs) for member in self.members), strict=True)
        return torch.stack(points).mean(0), torch.stack(quantiles).mean(0)

    def components(self, *inputs: Tensor | None) -> dict[str, Tensor]:
        """Return the mean of each component (B, H)."""
        found: list[dict[str, Tensor]] = [
            member.components(*inputs)  # type: ignore[operator]
            for member in self.members
        ]
        return {name: torch.stack([parts[name] for parts in found]).mean(0) for name in found[0]}

    def embed(self, context: Tensor, mask: Tensor | None = None, variable: Tensor | None = None) -> Tensor:
        """Return the first member's embedding: those of different seeds have nothing in common."""
        first: Any = self.members[0]
        return first.embed(context, mask, variable)


def mean_of(members: Sequence[nn.Module]) -> nn.Module:
    """The only member, or the mean of several."""
    return members[0] if len(members) == 1 else MeanForecaster(members)
