"""The training loop: AdamW, a schedule, early stopping, resume, Ctrl-C. It knows modules and batches, nothing else.

AdamW: Loshchilov and Hutter (2019), Decoupled Weight Decay Regularization, arXiv:1711.05101.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from tsrec.training.adamw import AdamW
from tsrec.training.batch import Batch
from tsrec.training.errors import NonFiniteLossError
from tsrec.training.parameters import optimizer_groups
from tsrec.training.schedule import SCHEDULES, schedule_factor
from tsrec.training.state import TrainingState, copy_tensors


class Batches(Protocol):
    """A source of batches: its length is the number of steps of an epoch."""

    def __len__(self) -> int: ...

    def epoch(self, generator: torch.Generator) -> Iterator[Batch]:
        """Yield the batches of one epoch; whatever is random is drawn from ``generator``."""
        ...


def train(
    module: nn.Module,
    batches: Batches,
    *,
    max_epochs: int,
    generator: torch.Generator,
    learning_rate: float = 1e-3,
    weight_decay: float = 0.01,
    schedule: str = "one_cycle",
    clip: float | None = 1.0,
    validation: Batches | None = None,
    patience: int | None = None,
    device: torch.device | str = "cpu",
    on_epoch_end: Callable[[TrainingState], bool | None] | None = None,
    state: TrainingState | None = None,
) -> TrainingState:
    """Train ``module`` in place and return the record of the run.

    The module has ``losses(batch) -> {name: scalar tensor}``, whose sum is minimised, and may have
    ``parameter_groups() -> list of dict`` with params and optionally lr (the group's peak) and weight_decay. Every
    submodule with an attribute ``generator`` draws from ours while the loop runs; afterwards the attribute is None.

    Parameters
    ----------
    module : nn.Module
        Moved to ``device`` and left there, in eval mode.
    batches : object with ``__len__`` and ``epoch(generator)``
        The steps of an epoch.
    max_epochs : int
        Length of the schedule; a resumed run must name the same.
    generator : torch.Generator
        On the CPU; source of every random number.
    learning_rate, weight_decay : float
        AdamW's, for parameters whose group names none.
    schedule : {"one_cycle", "constant", "cosine"}
        Course of the learning rate over all steps.
    clip : float or None, default 1.0
        Largest norm of the gradient.
    validation : like ``batches``, optional
        With it the weights of the best epoch are restored at the end; without it the last are kept.
    patience : int, optional
        Stop after so many epochs without a better validation loss. Needs ``validation``.
    device : torch.device or str, default "cpu"
    on_epoch_end : callable, optional
        Called with the state after every epoch; a true answer stops the run.
    state : TrainingState, optional
        Empty, or of an earlier run to go on with; it is written to as epochs end, so it is of use after Ctrl-C too.

    Returns
    -------
    TrainingState

    Raises
    ------
    ValueError
        If an argument or the module's parameter groups cannot be used.
    NonFiniteLossError
        If a loss or gradient is not finite. The module keeps the weights from before that step.
    KeyboardInterrupt
        Passed on, after the best weights so far (or the current ones) are in the module.
    """
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule={schedule!r} is not known; use one of {SCHEDULES}.")
    if patience is not None and validation is None:
        raise ValueError(f"patience={patience} needs validation batches; pass validation= or patience=None.")
    state = TrainingState() if state is None else state
    run = _Run(module, batches, validation, torch.device(device), generator, schedule, clip, max_epochs)
    run.start(state, learning_rate, weight_decay)
    with _drawing_from(module, run.module_generator):
        try:
            while state.epoch < max_epochs and not state.stopped:
                run.epoch(state)
                late = patience is not None and state.epoch - state.best_epoch >= patience
                asked = on_epoch_end is not None and bool(on_epoch_end(state))
                state.stopped = late or asked
        except KeyboardInterrupt:
            state.interrupted = True
            raise
        finally:
            run.finish(state)
    return state


class _Run:
    """What stays the same over a run: the module, its optimiser, its batches. What changes is in TrainingState."""

    def __init__(
        self,
        module: nn.Module,
        batches: Batches,
        validation: Batches | None,
        device: torch.device,
        generator: torch.Generator,
        schedule: str,
        clip: float | None,
        max_epochs: int,
    ):
        self.module = module.to(device)
        self.losses = cast("Callable[[Batch], dict[str, Tensor]]", module.losses)
        self.batches, self.validation = batches, validation
        self.device = device
        self.generator = generator
        self.module_generator = generator if device.type == "cpu" else torch.Generator(device)
        self.schedule, self.clip = schedule, clip
        self.total_steps = max_epochs * len(batches)

    def start(self, state: TrainingState, learning_rate: float, weight_decay: float) -> None:
        """Begin afresh, or put every part back where ``state`` left it."""
        if state.weights is not None:
            self.module.load_state_dict(state.weights)
        groups = optimizer_groups(self.module, learning_rate=learning_rate, weight_decay=weight_decay)
        self.optimizer = AdamW(groups) if groups else None
        if self.optimizer is not None and state.optimizer is not None:
            self.optimizer.load_state_dict(state.optimizer)
        if state.generator is not None:
            self.generator.set_state(state.generator)
        if self.module_generator is not self.generator:
            if state.device_generator is None:
                seed = torch.randint(2**62, (1,), generator=self.generator)
                self.module_generator.manual_seed(int(seed))
            else:
                self.module_generator.set_state(state.device_generator)
        state.interrupted = state.stopped = False

    def epoch(self, state: TrainingState) -> None:
        """Train one epoch, measure it, and only then write to ``state``: it always describes a whole epoch."""
        began = time.perf_counter()
        losses, rate = self._steps(state)
        held_out = None if self.validation is None else self._measure(self.validation)
        held_out_loss = None if held_out is None else sum(held_out.values())
        state.epoch, state.step = state.epoch + 1, state.step + len(self.batches)
        state.history.append(
            {
                "epoch": state.epoch,
                "step": state.step,
                "learning_rate": rate,
                "loss": sum(losses.values()),
                "losses": losses,
                "validation_loss": held_out_loss,
                "validation_losses": held_out,
                "seconds": time.perf_counter() - began,
            }
        )
        self._snapshot(state, held_out_loss)

    def finish(self, state: TrainingState) -> None:
        """Leave the module with the best weights, without gradients, ready to answer."""
        if state.best_weights is not None:
            self.module.load_state_dict(state.best_weights)
        self.module.zero_grad(set_to_none=True)
        self.module.eval()

    def _steps(self, state: TrainingState) -> tuple[dict[str, float], float]:
        self.module.train()
        means = _Means()
        rate = 0.0
        for number, batch in enumerate(self.batches.epoch(self.generator)):
            rate = self._set_rate(state.step + number)
            where = f"epoch {state.epoch + 1}, batch {number + 1} of {len(self.batches)}, learning_rate {rate:.3g}"
            losses = self.losses(batch.to(self.device))
            means.add(losses, batch.context.shape[0], where)
            if self.optimizer is not None:
                self._descend(losses, where)
        return means.averages(), rate

    def _set_rate(self, step: int) -> float:
        if self.optimizer is None:
            return 0.0
        factor = schedule_factor(self.schedule, step, self.total_steps)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * factor
        return max(group["lr"] for group in self.optimizer.param_groups)

    def _descend(self, losses: dict[str, Tensor], where: str) -> None:
        assert self.optimizer is not None
        self.optimizer.zero_grad()
        total = torch.stack(list(losses.values())).sum()
        if not total.requires_grad:
            return
        total.backward()
        if self.clip is not None:
            parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
            norm = float(nn.utils.clip_grad_norm_(parameters, self.clip))
            _require_finite("gradient", norm, where)
        self.optimizer.step()

    def _measure(self, batches: Batches) -> dict[str, float]:
        self.module.eval()
        means = _Means()
        with torch.no_grad():
            for batch in batches.epoch(self.generator):
                means.add(self.losses(batch.to(self.device)), batch.context.shape[0], "validation")
        return means.averages()

    def _snapshot(self, state: TrainingState, loss: float | None) -> None:
        state.weights = copy_tensors(self.module.state_dict())
        state.optimizer = None if self.optimizer is None else self.optimizer.state_dict()
        state.generator = self.generator.get_state()
        if self.module_generator is not self.generator:
            state.device_generator = self.module_generator.get_state()
        if loss is not None and (state.best_loss is None or loss < state.best_loss):
            state.best_loss, state.best_epoch, state.best_weights = loss, state.epoch, state.weights


class _Means:
    """Loss averages over an epoch, weighted by batch size, summed in Python's float64."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.count = 0

    def add(self, losses: dict[str, Tensor], size: int, where: str) -> None:
        values = torch.stack([loss.detach() for loss in losses.values()]).tolist()
        for name, value in zip(losses, values, strict=True):
            _require_finite(name, value, where)
            self.sums[name] = self.sums.get(name, 0.0) + value * size
        self.count += size

    def averages(self) -> dict[str, float]:
        return {name: total / self.count for name, total in self.sums.items()}


def _require_finite(name: str, value: float, where: str) -> None:
    if not math.isfinite(value):
        raise NonFiniteLossError(
            f"{name} is {value} at {where}. Use a lower learning_rate, and check the scale of the input: "
            "values beyond 1e6, or a constant one beside them, overflow."
        )


@contextmanager
def _drawing_from(module: nn.Module, generator: torch.Generator) -> Iterator[None]:
    """Hand ``generator`` to every submodule that draws; take it away after, since generators do not pickle."""
    drawing = [m for m in module.modules() if hasattr(m, "generator")]
    for m in drawing:
        setattr(m, "generator", generator)  # noqa: B010 - not an attribute nn.Module declares
    try:
        yield
    finally:
        for m in drawing:
            setattr(m, "generator", None)  # noqa: B010
