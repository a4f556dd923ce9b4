"""The mixers of the recall suite, at equal bytes of state, between a linear embedding and linear read-outs."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tsrec.layers.lssl import LSSLStack
from tsrec.layers.mamba import MambaStack
from tsrec.layers.parameter_groups import parameter_groups
from tsrec.layers.random import Linear
from tsrec.layers.tcnca import TCNCAStack
from tsrec.training import Batch

# Two layers each; widths such that the states of a budget have the same size.
SHAPES: dict[str, dict[str, dict[str, int]]] = {
    "smoke": {
        "LSSL": {"d_model": 8, "d_state": 8},
        "TCNCA": {"d_model": 8, "d_key": 4, "d_value": 6, "chunk": 4, "reach": 4},
        "Mamba": {"d_model": 4, "d_state": 5},
        "LSTM": {"d_model": 32},
    },
    "small": {
        "LSSL": {"d_model": 16, "d_state": 16},
        "TCNCA": {"d_model": 12, "d_key": 3, "d_value": 6, "chunk": 8, "reach": 16},
        "Mamba": {"d_model": 16, "d_state": 5},
        "LSTM": {"d_model": 128},
    },
}
MODELS = tuple(SHAPES["small"])
LAYERS = 2


class LSTM(nn.Module):
    """torch's LSTM with the contract of mixers."""

    def __init__(self, d_model: int, n_layers: int, *, generator: torch.Generator) -> None:
        super().__init__()
        self.d_model, self.n_layers = d_model, n_layers
        self.cells = nn.LSTM(d_model, d_model, n_layers, batch_first=True)
        for parameter in self.cells.parameters():
            # torch's own bounds, but from our generator.
            nn.init.uniform_(parameter, -(d_model**-0.5), d_model**-0.5, generator=generator)

    def forward(self, x: Tensor, state: Any = None, *, return_state: bool = True) -> tuple[Tensor, Any]:
        """Map a whole sequence, (B, L, D)."""
        y, state = self.cells(x, state)
        return y, state if return_state else None

    def init_state(self, batch: int) -> tuple[Tensor, Tensor]:
        """Outputs and cells of all layers, (n_layers, B, D) each."""
        return torch.zeros(self.n_layers, batch, self.d_model), torch.zeros(self.n_layers, batch, self.d_model)


class Answers(nn.Module):
    """Channels in, log odds of the answers of all heads at every step out; trained on the steps that are asked."""

    def __init__(
        self,
        mixer: nn.Module,
        n_channels: int,
        n_heads: int,
        n_classes: int,
        values: Tensor | None,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.mixer, self.values, self.n_heads = mixer, values, n_heads
        width = n_classes if values is None else values.shape[1]
        self.embedding = Linear(n_channels, int(mixer.d_model), generator=generator)
        self.head = Linear(int(mixer.d_model), n_heads * width, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        """(B, L, C) to (B, L, heads, classes); values of vectors are scored by the product with each."""
        y = self.head(self.mixer(self.embedding(x), return_state=False)[0]).unflatten(-1, (self.n_heads, -1))
        return y if self.values is None else y @ self.values.T

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy over all that is asked."""
        return {"answers": functional.cross_entropy(self(batch.context).flatten(0, 2), batch.target.flatten())}

    def parameter_groups(self) -> list[dict[str, Any]]:
        """As the layers wish."""
        return parameter_groups(self)

    @torch.no_grad()
    def answered(self, X: Tensor) -> Tensor:
        """Log odds of whole sequences, some at a time."""
        return torch.cat([self(part) for part in X.split(100)])


def mixer_of(model: str, budget: str, steps: int, generator: torch.Generator) -> nn.Module:
    """Two layers; only LSSL is told the length, which its step sizes bracket."""
    shape: dict[str, Any] = {**SHAPES[budget][model]}
    width = shape.pop("d_model")
    if model == "LSTM":
        return LSTM(width, LAYERS, generator=generator)
    if model == "LSSL":
        shape |= {"dt_min": 1 / steps, "dt_max": min(100 / steps, 1.0)}
    stack = {"LSSL": LSSLStack, "TCNCA": TCNCAStack, "Mamba": MambaStack}[model]
    return stack(width, LAYERS, generator=generator, **shape)


def state_bytes(mixer: nn.Module) -> int:
    """Bytes of all that a mixer hands from one step to the next, for one sequence."""
    return _bytes(mixer.init_state(1))


def _bytes(state: Any) -> int:
    return state.numel() * state.element_size() if isinstance(state, Tensor) else sum(map(_bytes, state))
