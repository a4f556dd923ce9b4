"""What sequence models are trained for: a class, numbers, or the series itself."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tsrec.layers.sequence_model import SequenceModel
from tsrec.training import Batch


def _weighted(loss: Tensor, weight: Tensor | None) -> Tensor:
    """Mean of losses (B,) by weight; weights of all series have the mean one, so that batches stay comparable."""
    return loss.mean() if weight is None else (loss * weight).mean()


class SequenceClassifier(SequenceModel):
    """A sequence model whose head gives log odds of K classes; trained by cross-entropy.

    Parameters as in :class:`tsrec.layers.sequence_model.SequenceModel`; ``Batch.target`` holds class numbers (B,).
    """

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return the cross-entropy of a batch."""
        assert batch.target is not None
        loss = functional.cross_entropy(self(batch.context, batch.mask), batch.target, reduction="none")
        return {"cross_entropy": _weighted(loss, batch.weight)}


class SequenceRegressor(SequenceModel):
    """A sequence model whose head gives K numbers; trained by squared errors.

    Parameters as in :class:`tsrec.layers.sequence_model.SequenceModel`; ``Batch.target`` has shape (B, K).
    """

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return the mean squared error of a batch."""
        assert batch.target is not None
        loss = (self(batch.context, batch.mask) - batch.target).square().mean(1)
        return {"squared_error": _weighted(loss, batch.weight)}


class SequenceEncoder(SequenceModel):
    """A sequence model that learns to continue series, also where stretches of them are hidden.

    From the outputs at step t the head tells the values at step t + 1. Stretches of the input are hidden at random;
    errors at steps that were hidden ("masked") and at others ("next") are two losses.

    Parameters
    ----------
    embedding, mixer, pooling : nn.Module
        As in :class:`tsrec.layers.sequence_model.SequenceModel`.
    head : nn.Module
        From outputs (B, L, D) to values (B, L, C).
    hidden : float, default 0.25
        Share of the steps that are hidden while training.
    stretch : int, default 8
        Mean length of a hidden stretch.
    """

    generator: torch.Generator | None

    def __init__(
        self,
        embedding: nn.Module,
        mixer: nn.Module,
        pooling: nn.Module,
        head: nn.Module,
        *,
        hidden: float = 0.25,
        stretch: int = 8,
    ) -> None:
        super().__init__(embedding, mixer, pooling, head)
        self.hidden, self.stretch, self.generator = hidden, stretch, None

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return the squared errors of both kinds."""
        x, mask = batch.context, batch.mask
        hidden = self._hidden(x)
        y, _ = self.mixer(
            self._embedded(x.masked_fill(hidden[..., None], torch.nan), self.init_state(len(x)))[0],
            None,
            mask,
            return_state=False,
        )
        target = x[:, 1:]
        counted = ~target.isnan() if mask is None else ~target.isnan() & mask[:, 1:, None]
        errors = torch.where(counted, self.head(y[:, :-1]) - target, 0.0).square()
        if batch.weight is not None:
            errors = errors * batch.weight[:, None, None]
        names = {"next": counted & ~hidden[:, 1:, None], "masked": counted & hidden[:, 1:, None]}
        return {name: (errors * chosen).sum() / counted.sum().clamp_min(1) for name, chosen in names.items()}

    def _hidden(self, x: Tensor) -> Tensor:
        """Steps to hide, bool (B, L): stretches of geometric lengths, by a chain that enters and leaves at random."""
        B, L, _ = x.shape
        if not self.training or self.hidden == 0:
            return torch.zeros(B, L, dtype=torch.bool, device=x.device)
        if self.generator is None:
            raise RuntimeError(
                "SequenceEncoder has no generator to draw what is hidden; set .generator or call .eval()."
            )
        draws = torch.rand(2, B, L, generator=self.generator, device=self.generator.device).to(x.device)
        # A step draws anew, or else does as the step before; stretches that are both hidden join.
        anew = draws[0] * self.stretch * (1 - self.hidden) < 1
        chosen = torch.where(anew, torch.arange(L, device=x.device), 0).cummax(1).values
        return (draws[1] < self.hidden).gather(1, chosen)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "generator": None}
