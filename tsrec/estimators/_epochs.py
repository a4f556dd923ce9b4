"""Epochs of training with what an estimator shows of them: the bar, scikit-learn's callbacks, the table of losses."""

from typing import Any

import pandas as pd
import torch
from torch import nn

from tsrec.estimators._callbacks import EpochHook
from tsrec.training import Progress, TrainingState, train


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
            validation=validation,
            generator=generator,
            device=device,
            on_epoch_end=on_epoch_end,
            state=state,
        )
        hook.end()


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
