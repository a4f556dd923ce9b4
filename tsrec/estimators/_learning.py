"""How a forecaster's module learns: closed form first, epochs chosen on a held-out tail, then a refit on all rows."""

from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from tsrec.estimators._callbacks import EpochHook
from tsrec.estimators._training_windows import WindowTable
from tsrec.layers.closed_form import fit_closed_form, fit_shrink
from tsrec.layers.forecast import DirectForecaster
from tsrec.layers.ridge import RidgeMap, seasonal_map, time_segments
from tsrec.training import Progress, TrainingState, train

# The last segment of time is held out; the one before it overlaps it with its targets.
_FRONT, _HELD_OUT = 2, 4
_MAX_HELD_OUT = 16_384
# A branch whose best share of the forecast is less than this is not worth a second training.
_LEAST_SHARE = 0.05


class Learner:
    """One fit of a forecaster's module.

    1. A linear map that is solved for is solved on all windows, its penalty chosen by blocked validation.
    2. The rest is trained on the windows before the held-out tail; the epoch with the least loss on the tail counts,
       and the share of the network's branch that does best there.
    3. What was useful is trained again, for as many epochs, on all windows.

    Parameters
    ----------
    forecaster : TorchForecaster
        Gives parameters and `_build`; receives ``module_``, ``n_epochs_`` and, with a linear map, ``penalty_`` and
        ``share_``.
    table : WindowTable
        The windows.
    generator : torch.Generator
        Source of all randomness.
    device : torch.device
    context : CallbackContext or None
        scikit-learn's callbacks of this fit.
    """

    def __init__(
        self, forecaster: Any, table: WindowTable, generator: torch.Generator, device: torch.device, context: Any
    ) -> None:
        self.forecaster, self.table, self.generator, self.device = forecaster, table, generator, device
        self.hook = EpochHook(forecaster, context)
        self.phases: dict[str, TrainingState] = {}
        self.segments = time_segments(table.times, table.horizon, table.series)

    def run(self) -> None:
        """Learn; the forecaster has a usable module at every moment from the first closed form on."""
        forecaster = self.forecaster
        module = self._module()
        solution = self._solve(module)
        forecaster.module_ = module.eval()
        forecaster.n_epochs_ = 0
        front, held_out = self._split()
        if not forecaster.max_epochs or not len(self.table) or not any(p.requires_grad for p in module.parameters()):
            self._without_branch(module, solution)
            return
        if not len(front) or not len(held_out):
            self._without_tail(module, solution)
            return
        try:
            self._select(module, solution, front, held_out)
        finally:
            self._settle(module, solution, held_out)
        if solution is None or forecaster.share_ >= _LEAST_SHARE:
            self._refit(solution, module)

    def history(self) -> pd.DataFrame:
        """Losses by epoch, those of the choice ("select") and of the training on all rows ("refit")."""
        rows = [
            {"phase": phase, **{k: v for k, v in record.items() if not isinstance(v, dict)}, **_named(record)}
            for phase, state in self.phases.items()
            for record in state.history
        ]
        return pd.DataFrame(rows)

    def _module(self) -> nn.Module:
        return self.forecaster._build(self.forecaster.n_features_, self.generator).to(self.device)

    def _solve(self, module: nn.Module) -> RidgeMap | None:
        if not isinstance(module, DirectForecaster) or module.linear is None or isinstance(module.linear, nn.Parameter):
            return None
        everything = self.table.batches(torch.arange(len(self.table)), 4096, shuffle=False)
        prior = seasonal_map(self.table.context, self.table.horizon, self.forecaster.season_)
        # The closed form is solved where the table lies; the module follows to its device afterwards.
        module.cpu()
        solution = fit_closed_form(module, lambda: everything.chunks(self.segments), prior=prior)
        module.to(self.device)
        self.forecaster.penalty_ = solution.penalty
        return solution

    def _split(self) -> tuple[Tensor, Tensor]:
        front = (self.segments <= _FRONT).nonzero()[:, 0]
        held_out = (self.segments == _HELD_OUT).nonzero()[:, 0]
        return front, held_out[:: max(-(-len(held_out) // _MAX_HELD_OUT), 1)]

    def _without_branch(self, module: nn.Module, solution: RidgeMap | None) -> None:
        if solution is not None:
            module.shrink.fill_(0.0)  # type: ignore[operator]
            self.forecaster.share_ = 0.0

    def _without_tail(self, module: nn.Module, solution: RidgeMap | None) -> None:
        """Too few windows to hold any out: a closed form stands alone, a network is trained as long as it was told."""
        self._without_branch(module, solution)
        if solution is None:
            self._train("refit", module, torch.arange(len(self.table)), None, self.forecaster.max_epochs)
            self.forecaster.n_epochs_ = self.forecaster.max_epochs

    def _select(self, module: nn.Module, solution: RidgeMap | None, front: Tensor, held_out: Tensor) -> None:
        """Train before the tail, beside the map that has not seen the tail either."""
        if solution is not None and solution.fold_weights:
            module.linear.copy_(solution.fold_weights[-1])  # type: ignore[operator]
        self._train("select", module, front, held_out, self.forecaster.max_epochs)
        self.forecaster.n_epochs_ = self.phases["select"].best_epoch

    def _settle(self, module: nn.Module, solution: RidgeMap | None, held_out: Tensor) -> None:
        """Give the branch its share and put the map of all windows back, also after an interruption."""
        if solution is None:
            return
        batches = self.table.batches(held_out, 2048, shuffle=False).epoch(self.generator)
        assert isinstance(module, DirectForecaster)
        self.forecaster.share_ = fit_shrink(module, (batch.to(self.device) for batch in batches))
        assert module.linear is not None
        with torch.no_grad():
            module.linear.copy_(solution.weight)

    def _refit(self, solution: RidgeMap | None, selected: nn.Module) -> None:
        epochs = self.forecaster.n_epochs_
        if not epochs:
            return
        module = self._module()
        if solution is not None:
            fixed = {name: buffer for name, buffer in selected.named_buffers() if name in module.state_dict()}
            module.load_state_dict(fixed, strict=False)
        self._train("refit", module, torch.arange(len(self.table)), None, epochs)
        self.forecaster.module_ = module

    def _train(self, phase: str, module: nn.Module, rows: Tensor, held_out: Tensor | None, epochs: int) -> None:
        forecaster = self.forecaster
        size = min(forecaster._BATCH_SIZE, max(len(rows) // 8, 1))
        state = self.phases[phase] = TrainingState()
        with Progress(epochs, label=f"{type(forecaster).__name__} {phase}", verbose=forecaster.verbose) as progress:
            self.hook.begin()

            def on_epoch_end(state: TrainingState) -> bool:
                progress(state)
                stop = self.hook.end()
                self.hook.begin()
                return stop

            train(
                module,
                self.table.batches(rows, size),
                max_epochs=epochs,
                learning_rate=forecaster.learning_rate,
                validation=None if held_out is None else self.table.batches(held_out, 2048, shuffle=False),
                generator=self.generator,
                device=self.device,
                on_epoch_end=on_epoch_end,
                state=state,
            )
            self.hook.end()


def _named(record: dict[str, Any]) -> dict[str, float]:
    """Columns for the named losses of an epoch."""
    parts = {f"{name}_loss": value for name, value in record["losses"].items()}
    held_out = record["validation_losses"] or {}
    return {**parts, **{f"validation_{name}_loss": value for name, value in held_out.items()}}
