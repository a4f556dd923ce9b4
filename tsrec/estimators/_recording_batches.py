"""Batches of recordings: those of one batch share channels and length; long ones give random pieces of themselves."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from tsrec.training import Batch

# Samples of a step.
_LARGE_STEP = 1 << 18


class Prepared(NamedTuple):
    """Recordings of equal channels and length, as a module takes them.

    Attributes
    ----------
    numbers : int64 array of shape (n,)
        Which recordings.
    values : float32 Tensor of shape (n, T, C)
        NaN where missing.
    points : float32 Tensor of shape (C, 3) or None
        Where the electrodes are; NaN on no scalp. None: the values are tokens (n, S, d).
    names : int64 Tensor of shape (C,)
        Numbers of the channels' names; 0 for one that was not learned from.
    channels : tuple of str
        The names.
    level : float64 array of shape (n, 1, C)
        What was subtracted from the recordings.
    size : float64 array of shape (1, 1, C)
        What they were divided by after that.
    """

    numbers: np.ndarray
    values: Tensor
    points: Tensor | None
    names: Tensor
    channels: tuple[str, ...]
    level: np.ndarray
    size: np.ndarray

    def batch(self, chosen: Tensor, values: Tensor) -> Batch:
        """A batch of some of them."""
        n = len(chosen)
        return Batch(
            context=values,
            static=None if self.points is None else self.points.expand(n, -1, -1),
            variable=self.names.expand(n, -1),
            series=torch.from_numpy(self.numbers)[chosen],
        )

    def take(self, kept: np.ndarray) -> "Prepared":
        """Some of them, by a bool array of shape (n,)."""
        return self._replace(
            numbers=self.numbers[kept], values=self.values[torch.from_numpy(kept)], level=self.level[kept]
        )

    def encoded(self, tokens: dict[int, np.ndarray]) -> "Prepared":
        """The same recordings as tokens, by their numbers."""
        values = torch.from_numpy(np.stack([tokens[number] for number in self.numbers.tolist()]))
        return self._replace(values=values, points=None)


def is_small(groups: Sequence[Prepared], batch_size: int, crop: int | None = None) -> bool:
    """Whether steps are so small that a pool of threads costs more than it gains."""
    largest = max(group.values[0, :crop].numel() * min(batch_size, len(group.numbers)) for group in groups)
    return largest < _LARGE_STEP


class RecordingBatches:
    """A source of batches for :func:`tsrec.training.train`.

    Parameters
    ----------
    groups : sequence of Prepared
        The recordings.
    batch_size : int
        Recordings, or pieces of them, per step.
    crop : int, optional
        Samples of a piece; a longer recording gives as many in an epoch as it holds side by side, from anywhere.
    channel_dropout : float, default 0.0
        Largest share of the channels that a step does without; how many, and which, is drawn for each.
    target, weight : Tensor of shape (n_recordings, ...), optional
        What is to be answered, and how much a recording counts.
    """

    def __init__(
        self,
        groups: Sequence[Prepared],
        *,
        batch_size: int,
        crop: int | None = None,
        channel_dropout: float = 0.0,
        target: Tensor | None = None,
        weight: Tensor | None = None,
    ) -> None:
        self.groups, self.batch_size, self.crop, self.channel_dropout = groups, batch_size, crop, channel_dropout
        self.target, self.weight = target, weight

    def __len__(self) -> int:
        return sum(-(-len(owner) // self.batch_size) for _, owner, _ in self._buckets())

    def epoch(self, generator: torch.Generator) -> Iterator[Batch]:
        """Yield every recording, or every piece of it, once.

        Parameters
        ----------
        generator : torch.Generator
            Draws the order, and where pieces begin.
        """
        steps = []
        for groups, owner, row in self._buckets():
            order = torch.randperm(len(owner), generator=generator)
            steps += [(groups, owner[part], row[part]) for part in order.split(self.batch_size)]
        for number in torch.randperm(len(steps), generator=generator).tolist():
            yield self._gather(*steps[number], generator=generator)

    def _buckets(self) -> list[tuple[list[Prepared], Tensor, Tensor]]:
        """Groups whose pieces fit into one batch; of each piece, the number of its group and its row there."""
        alike: dict[tuple[tuple[str, ...], int], list[Prepared]] = {}
        for group in self.groups:
            length = group.values.shape[1]
            piece = length if self.crop is None else min(length, self.crop)
            alike.setdefault((group.channels, piece), []).append(group)
        found = []
        for groups in alike.values():
            rows = [torch.arange(len(group.numbers)).repeat(self._pieces(group)) for group in groups]
            owner = torch.arange(len(groups)).repeat_interleave(torch.tensor([len(row) for row in rows]))
            found.append((groups, owner, torch.cat(rows)))
        return found

    def _pieces(self, group: Prepared) -> int:
        return 1 if self.crop is None else max(group.values.shape[1] // self.crop, 1)

    def _gather(self, groups: list[Prepared], owner: Tensor, row: Tensor, *, generator: torch.Generator) -> Batch:
        parts = []
        for number in owner.unique().tolist():
            group, chosen = groups[number], row[owner == number]
            parts.append(group.batch(chosen, self._cut(group, chosen, generator)))
        batch = parts[0] if len(parts) == 1 else Batch._make(_joined(*fields) for fields in zip(*parts, strict=True))
        if self.channel_dropout and batch.static is not None:
            batch = self._with_fewer_channels(batch, generator)
        return batch._replace(
            target=None if self.target is None else self.target[batch.series],
            weight=None if self.weight is None else self.weight[batch.series],
        )

    def _cut(self, group: Prepared, chosen: Tensor, generator: torch.Generator) -> Tensor:
        length = group.values.shape[1]
        if self.crop is None or self.crop >= length:
            return group.values[chosen]
        starts = torch.randint(length - self.crop + 1, (len(chosen), 1), generator=generator)
        return group.values[chosen[:, None], starts + torch.arange(self.crop)]

    def _with_fewer_channels(self, batch: Batch, generator: torch.Generator) -> Batch:
        n_channels = batch.context.shape[2]
        fewest = n_channels - int(self.channel_dropout * n_channels)
        count = int(torch.randint(fewest, n_channels + 1, (1,), generator=generator))
        kept = torch.randperm(n_channels, generator=generator)[:count].sort().values
        assert batch.static is not None
        assert batch.variable is not None
        return batch._replace(
            context=batch.context[..., kept], static=batch.static[:, kept], variable=batch.variable[:, kept]
        )


def _joined(*fields: Tensor | None) -> Tensor | None:
    return None if fields[0] is None else torch.cat(fields)  # type: ignore[arg-type]
