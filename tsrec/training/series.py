"""Batches of whole series of any lengths, padded on the right, gathered from one tensor by index arithmetic."""

from collections.abc import Iterator

import torch
from torch import Tensor

from tsrec.training.batch import Batch

# Series of like length share a batch: so many batches are drawn together and sorted, then shuffled.
_DRAWN_TOGETHER = 8


class SeriesBatches:
    """Batches of series, or of random pieces of those that are longer than `crop`.

    Parameters
    ----------
    values : Tensor of shape (N, C)
        All series one after the other, NaN where a value is missing.
    offsets : Tensor of int64, shape (n + 1,)
        First row of each series, then N.
    batch_size : int
        Series per step; the last batch of an epoch may be smaller.
    target : Tensor of shape (n, ...), optional
        What is to be answered.
    weight : Tensor of shape (n,), optional
        How much a series counts.
    crop : int, optional
        Longest piece; a longer series gives another piece of itself each time.

    Examples
    --------
    >>> batches = SeriesBatches(torch.arange(5.0)[:, None], torch.tensor([0, 2, 5]), batch_size=2)
    >>> batch = batches.gather(torch.tensor([0, 1]))
    >>> batch.context[..., 0].tolist(), batch.mask.tolist()
    ([[0.0, 1.0, 0.0], [2.0, 3.0, 4.0]], [[True, True, False], [True, True, True]])
    """

    def __init__(
        self,
        values: Tensor,
        offsets: Tensor,
        *,
        batch_size: int = 32,
        target: Tensor | None = None,
        weight: Tensor | None = None,
        crop: int | None = None,
    ):
        self.values, self.starts, self.lengths = values, offsets[:-1], offsets.diff()
        self.batch_size, self.target, self.weight, self.crop = batch_size, target, weight, crop

    def __len__(self) -> int:
        return -(-len(self.starts) // self.batch_size)

    def epoch(self, generator: torch.Generator) -> Iterator[Batch]:
        """Yield every series once.

        Parameters
        ----------
        generator : torch.Generator
            Draws the order.
        """
        order = torch.randperm(len(self.starts), generator=generator)
        batches: list[Tensor] = []
        for drawn in order.split(self.batch_size * _DRAWN_TOGETHER):
            alike = drawn[self.lengths[drawn].argsort(stable=True)].split(self.batch_size)
            batches += [alike[i] for i in torch.randperm(len(alike), generator=generator)]
        for chosen in batches:
            yield self.gather(chosen, generator=generator)

    def gather(self, chosen: Tensor, length: int | None = None, *, generator: torch.Generator | None = None) -> Batch:
        """Put series side by side.

        Parameters
        ----------
        chosen : Tensor of int64, shape (B,)
            Their numbers.
        length : int, optional
            Steps of the batch, at least those of the longest; just as many when omitted.
        generator : torch.Generator, optional
            Draws which pieces are cut from series longer than `crop`; without one nothing is cut.
        """
        starts, lengths = self.starts[chosen], self.lengths[chosen]
        if generator is not None and self.crop is not None:
            spare = (lengths - self.crop).clamp_min(0)
            starts = starts + (torch.rand(len(chosen), generator=generator) * (spare + 1)).long().clamp(max=spare)
            lengths = lengths.clamp_max(self.crop)
        longest = int(lengths.max())
        steps = torch.arange(longest if length is None else length)
        mask = steps < lengths[:, None]
        rows = torch.where(mask, starts[:, None] + steps, 0)
        context = self.values[rows]
        full = bool(mask.all())
        return Batch(
            context=context if full else context.masked_fill(~mask[..., None], 0.0),
            mask=None if full else mask,
            series=chosen,
            weight=None if self.weight is None else self.weight[chosen],
            target=None if self.target is None else self.target[chosen],
        )
