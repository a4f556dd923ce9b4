"""A mixer that mixes nothing over time: layers applied to each step by itself.

With one patch as long as the context it makes a multilayer perceptron of a forecaster. In the place of a recurrent
mixer it shows what recurrence adds.
"""

import torch
from torch import Tensor, nn

from tsrec.layers.random import Dropout, Linear, default_generator


class PointwiseMLP(nn.Module):
    """GELU, dropout and a linear map, for each step (B, T, D) by itself, n_layers times, closed by GELU and dropout.

    It has the contract of the mixers; its state is None.

    Parameters
    ----------
    d_model : int
        Width D.
    n_layers : int, default 1
        Linear maps.
    dropout : float, default 0.0
        Rate after each GELU.
    generator : torch.Generator, optional
        Source of the initial values; a fresh one with seed 0 when omitted.

    Examples
    --------
    >>> import torch
    >>> y, state = PointwiseMLP(4)(torch.ones(2, 10, 4))
    >>> y.shape, state
    (torch.Size([2, 10, 4]), None)
    """

    def __init__(
        self, d_model: int, n_layers: int = 1, *, dropout: float = 0.0, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        generator = default_generator(generator)
        self.d_model = d_model
        layers: list[nn.Module] = [nn.GELU(), Dropout(dropout)]
        for _ in range(n_layers):
            layers += [Linear(d_model, d_model, generator=generator), nn.GELU(), Dropout(dropout)]
        self.layers = nn.Sequential(*layers)

    def forward(
        self,
        x: Tensor,
        state: None = None,
        mask: Tensor | None = None,  # noqa: ARG002 - as every mixer is called
        *,
        rate: float = 1.0,  # noqa: ARG002
        return_state: bool = True,  # noqa: ARG002
    ) -> tuple[Tensor, None]:
        """Map a whole sequence (B, T, D); what stands at masked steps must be finite and reaches no other step."""
        return self.layers(x), state

    def step(
        self,
        x_t: Tensor,
        state: None = None,
        *,
        rate: float = 1.0,  # noqa: ARG002
        mask: Tensor | None = None,  # noqa: ARG002
    ) -> tuple[Tensor, None]:
        """Map one step (B, D)."""
        return self.layers(x_t), state

    def init_state(self, batch: int) -> None:
        """Return None: nothing is remembered."""
