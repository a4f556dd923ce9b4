"""Epochs of training with what an estimator shows of them: the bar, scikit-learn's callbacks, the table of losses."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from tsrec.estimators._callbacks import EpochHook
from tsrec.training import Progress, TrainingState, single_thread, train

_LEAST_EPOCHS = 5


def epochs_for(asked: int | str, n_batches: int, *, steps: int, most: int) -> int:
    """Epochs; so many that there are about so many steps, but at most so many, when "auto"."""
    return int(np.clip(-(-steps // n_batches), _LEAST_EPOCHS, most)) if asked == "auto" else int(asked)


def train_epochs(
    hook: EpochHook,
    module: nn.Module,
    batches: Any,
    *,
    label: str,
    max_epochs: int,
    generator: torch.Generator,
    device: torch.device,
    state: TrainingState,
    validation: Any = None,
    weight_decay: float = 0.01,
) -> None:
    """Train by the parameters of the hook's estimator; arguments as :func:`tsrec.training.train` takes them."""
    estimator = hook.estimator
    with Progress(max_epochs, label=label, verbose=estimator.verbose) as progress:
        hook.begin()

        def on_epoch_end(state: TrainingState) -> bool:
            progress(state)
            stop = hook.end()
            if not stop and state.epoch < max_epochs:
                hook.begin()
            return stop

        train(
            module,
            batches,
            max_epochs=max_epochs,
            learning_rate=estimator.learning_rate,
            weight_decay=weight_decay,
            validation=validation,
            generator=generator,
            device=device,
            on_epoch_end=on_epoch_end,
            state=state,
        )
        hook.end()


def fit_module(
    estimator: Any,
    module: nn.Module,
    batches: Any,
    *,
    max_epochs: int,
    generator: torch.Generator,
    device: torch.device,
    one_thread: bool,
    weight_decay: float = 0.01,
    keep: Callable[[TrainingState], None],
) -> None:
    """Train with all that an estimator offers; `keep` is called at the end, also when it is interrupted.

    To be called inside a method that has scikit-learn's callbacks.
    """
    context = estimator._init_callback_context(max_subtasks=None)
    if context is not None:
        context.call_on_fit_task_begin(estimator=estimator)
    state = TrainingState()
    try:
        with single_thread(one_thread):
            train_epochs(
                EpochHook(estimator, context),
                module,
                batches,
                label=type(estimator).__name__,
                max_epochs=max_epochs,
                generator=generator,
                device=device,
                state=state,
                weight_decay=weight_decay,
            )
    finally:
        module.eval()
        keep(state)
    if context is not None:
        context.call_on_fit_task_end(estimator=estimator)


def named_losses(record: dict[str, Any]) -> dict[str, float]:
    """Columns for the named losses of an epoch."""
    parts = {f"{name}_loss": value for name, value in record["losses"].items()}
    held_out = record["validation_losses"] or {}
    return {**parts, **{f"validation_{name}_loss": value for name, value in held_out.items()}}


def history_frame(state: TrainingState) -> pd.DataFrame:
    """Losses by epoch."""
    plain = ("epoch", "step", "learning_rate", "loss", "seconds")
    rows = [{**{name: record[name] for name in plain}, **named_losses(record)} for record in state.history]
    return pd.DataFrame(rows, columns=None if rows else list(plain))
