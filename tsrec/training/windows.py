"""Training windows cut from long series by index arithmetic; no window is stored."""

from collections.abc import Iterator
from copy import copy

import torch
from torch import Tensor

from tsrec.training.batch import Batch


class WindowBatches:
    """Batches of (context, target) windows, gathered as they are needed.

    Parameters
    ----------
    values : Tensor of shape (N,)
        All series one after the other, NaN where a value is missing.
    origins : Tensor of int64, shape (n,)
        Position in ``values`` of each window's first target step. The caller sees to it that the L positions before and
        the H positions from there on belong to one series; positions before the array's start count as missing.
    context, horizon : int
        L and H, steps.
    batch_size : int
        Windows per step; the last batch of an epoch may be smaller.
    shuffle : bool, default True
        Draw a new order every epoch.
    starts : Tensor of int64, shape (n,), optional
        Position where each window's series begins; context positions before it count as missing.
    series : Tensor of int64, shape (n,), optional
        Passed on as ``Batch.series``.
    variable : Tensor of int64, shape (n,), optional
        Passed on as ``Batch.variable``.
    static : Tensor of shape (n_series, S), optional
        Rows of it, by `series`, are ``Batch.static``.
    future : Tensor of shape (M, C), optional
        Covariates known over the horizon, aligned with ``values``; M divides N, and they repeat every M positions, so
        that channels which lie one after the other share them.
    clock : Tensor of int64 or int32, shape (M,), optional
        Row of ``future`` beside each position, where many positions share one, such as a date; ``future`` may then have
        any number of rows.
    past : Tensor of shape (M, P), optional
        Covariates of the context, finite, aligned as those of the horizon; they count as 0 outside a series.
    weight : Tensor of shape (n,), optional
        Weight of each window.
    max_batches : int, optional
        Most steps of an epoch; each epoch then draws other windows.
    masked : bool, optional
        Whether batches carry a mask; by default when a context value is missing or ``starts`` is given.

    Examples
    --------
    >>> origins = torch.tensor([4, 5])
    >>> windows = WindowBatches(torch.arange(10.0), origins, context=3, horizon=2, shuffle=False)
    >>> batch = next(windows.epoch(torch.Generator()))
    >>> batch.context.tolist(), batch.target.tolist()
    ([[1.0, 2.0, 3.0], [2.0, 3.0, 4.0]], [[4.0, 5.0], [5.0, 6.0]])
    """

    def __init__(
        self,
        values: Tensor,
        origins: Tensor,
        *,
        context: int,
        horizon: int,
        batch_size: int = 512,
        shuffle: bool = True,
        starts: Tensor | None = None,
        series: Tensor | None = None,
        variable: Tensor | None = None,
        static: Tensor | None = None,
        future: Tensor | None = None,
        clock: Tensor | None = None,
        past: Tensor | None = None,
        weight: Tensor | None = None,
        max_batches: int | None = None,
        masked: bool | None = None,
    ):
        self.values, self.origins = values, origins
        # All windows as a view, padded at both ends: picking rows of it is a plain copy of each row.
        ends = values.new_full((context,), torch.nan), values.new_full((horizon,), torch.nan)
        padded = torch.cat([ends[0], values, ends[1]])
        self._windows = padded.unfold(0, context + horizon, 1)
        self.context, self.horizon, self.batch_size, self.shuffle = context, horizon, batch_size, shuffle
        self.starts, self.series, self.variable, self.future, self.weight = starts, series, variable, future, weight
        self.max_batches, self.static, self.past, self.clock = max_batches, static, past, clock
        if masked is None:
            masked = starts is not None or bool((origins < context).any()) or bool(values.isnan().any())
        self.masked = masked

    def __len__(self) -> int:
        batches = -(-len(self.origins) // self.batch_size)
        return batches if self.max_batches is None else min(batches, self.max_batches)

    def epoch(self, generator: torch.Generator) -> Iterator[Batch]:
        """Yield every window once, or as many as ``max_batches`` allows.

        Parameters
        ----------
        generator : torch.Generator
            Draws the order.
        """
        n = len(self.origins)
        order = torch.randperm(n, generator=generator) if self.shuffle else torch.arange(n)
        for chosen in order.split(self.batch_size)[: len(self)]:
            yield self.gather(chosen)

    def chunks(self, segments: Tensor, size: int = 4096) -> Iterator[tuple[int, Batch]]:
        """Yield all windows in order, never two segments in one chunk.

        Parameters
        ----------
        segments : Tensor of int64, shape (n,)
            Segment of each window.
        size : int
            Most windows of a chunk.
        """
        for segment in segments.unique().tolist():
            for chosen in (segments == segment).nonzero()[:, 0].split(size):
                yield segment, self.gather(chosen)

    def subset(self, chosen: Tensor) -> "WindowBatches":
        """Only some of the windows, from the same memory.

        Parameters
        ----------
        chosen : Tensor of int64, shape (k,)
            Their numbers.
        """
        other = copy(self)
        for name in ("origins", "starts", "series", "variable", "weight"):
            rows = getattr(self, name)
            setattr(other, name, None if rows is None else rows[chosen])
        return other

    def resized(self, batch_size: int, *, max_batches: int | None = None) -> "WindowBatches":
        """The same windows in batches of another size.

        Parameters
        ----------
        batch_size : int
            Windows per batch.
        max_batches : int, optional
            Most batches of an epoch.
        """
        other = copy(self)
        other.batch_size, other.max_batches = batch_size, max_batches
        return other

    def gather(self, chosen: Tensor) -> Batch:
        """Cut windows.

        Parameters
        ----------
        chosen : Tensor of int64, shape (B,)
            Their numbers.
        """
        origins = self.origins[chosen]
        context, target = self._windows.index_select(0, origins).split([self.context, self.horizon], 1)
        mask = None
        if self.masked:
            mask = ~context.isnan()
            if self.starts is not None:
                past = origins[:, None] + torch.arange(-self.context, 0)
                mask &= past >= self.starts[chosen, None]
        return Batch(
            context=context,
            mask=mask,
            past=self._past(chosen),
            future=self._future(origins),
            static=None if self.static is None or self.series is None else self.static[self.series[chosen]],
            series=None if self.series is None else self.series[chosen],
            variable=None if self.variable is None else self.variable[chosen],
            weight=None if self.weight is None else self.weight[chosen],
            target=target,
        )

    def _past(self, chosen: Tensor) -> Tensor | None:
        if self.past is None:
            return None
        steps = self.origins[chosen, None] + torch.arange(-self.context, 0)
        past = self.past[steps % len(self.past)]
        return past if self.starts is None else torch.where((steps >= self.starts[chosen, None])[..., None], past, 0.0)

    def _future(self, origins: Tensor) -> Tensor | None:
        if self.future is None:
            return None
        steps = origins[:, None] + torch.arange(self.horizon)
        if self.clock is None:
            return self.future[steps % len(self.future)]
        return self.future[self.clock[steps % len(self.clock)]]
