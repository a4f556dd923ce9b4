"""How a forecaster's module learns: closed form first, epochs chosen on a held-out tail, then a refit on all rows."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from tsrec.estimators._callbacks import EpochHook
from tsrec.estimators._epochs import named_losses, train_epochs
from tsrec.estimators._recipe import kind_of
from tsrec.estimators._training_windows import WindowTable
from tsrec.layers.closed_form import fit_closed_form, fit_shrink, steps_of, thinned_chunks
from tsrec.layers.ensemble import mean_of
from tsrec.layers.forecast import DirectForecaster
from tsrec.layers.known import Known
from tsrec.layers.past_map import fit_past_map
from tsrec.layers.ridge import RidgeMap
from tsrec.layers.seasonal import SeasonalRoot, seasonal_map, seasonal_mean_map
from tsrec.layers.spread import fit_spread
from tsrec.training import TrainingState, WindowBatches
from tsrec.training.bar import moving, say

# Segments of `time_segments`: up to the front's last, and the tail, which no target of the front reaches.
_FRONT, _TAIL = 2, 4
_MAX_TAIL = 16_384
_INFERENCE_BATCH = 2048
_BATCH = 512
# An epoch is at most so many steps, each on windows drawn anew: beyond 450 steps little is gained.
_MAX_BATCHES = 150
_LEAST_BATCHES = 8
# How much lower the error of a map alone must be on folds, which are few: trends are what it sees and days do not.
_CLEARLY = 0.9
# What the closed form gives a module, and further members take over from the first.
_SOLVED = ("linear", "past_map", "offsets")


class Learner:
    """One fit of a forecaster's module.

    1. A linear map that is solved for is solved on all windows, its penalty chosen by blocked validation.
    2. The rest is trained on the windows before a held-out tail, beside the map that has not seen the tail either.
       There the branch gets the share that does best, which may be none, and the map of all windows comes back.
    3. Without a map that is solved for, the epoch with the least loss on the tail counts, and the module is trained
       again, for as many epochs, on all windows. (Beside a solved map a second training was measured to bring between
       -0.4 and +1.5 % for twice the time.)

    Parameters
    ----------
    forecaster : TorchForecaster
        Gives parameters and `_build`; receives ``module_``, ``n_epochs_`` and, with a solved map, ``penalty_`` and
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
        self.forecaster, self.windows, self.generator, self.device = forecaster, table.windows, generator, device
        self.wanted = forecaster.n_members_
        self.hook = EpochHook(forecaster, context)
        self.phases: dict[str, TrainingState] = {}
        self.table = table
        self.segments, self.apart = table.segments(), table.groups is not None
        self.past_folds: list[Tensor] = []

    def run(self) -> None:
        """Learn; the forecaster has a usable module at every moment from the first closed form on."""
        forecaster = self.forecaster
        forecaster.n_epochs_ = 0
        module, solution = self._start()
        self._keep([module])
        front = (self.segments <= _FRONT).nonzero()[:, 0]
        tail = (self.segments == _TAIL).nonzero()[:, 0]
        tail = tail[:: max(-(-len(tail) // _MAX_TAIL), 1)]
        trains = forecaster.max_epochs_ > 0 and any(p.requires_grad for p in module.parameters())
        few = solution is not None and self._says_little(tail)
        if not trains or not len(front) or not len(tail) or few:
            self._without_tail(module, solution, trains)
        elif solution is None:
            self._select_and_refit(module, front, tail)
        else:
            self._beside(solution, module, front, tail)

    def _says_little(self, tail: Tensor) -> bool:
        """Whether a tail cannot tell the share of a branch: neighbours tell the same, and it is not a horizon long."""
        times, series = self.table.times[tail], self.table.series[tail]
        steps = int(times.max() - times.min()) + 1 if len(tail) else 0
        return steps * len(series.unique()) < self.windows.horizon

    def _keep(self, members: list[nn.Module]) -> None:
        """Make these the forecaster's module."""
        self.forecaster.module_ = mean_of(members).eval()
        self.forecaster.n_members_ = len(members)

    def history(self) -> pd.DataFrame:
        """Losses by epoch, those of the choice ("select") and of the training on all rows ("refit")."""
        rows = [
            {"phase": phase, **{k: v for k, v in record.items() if not isinstance(v, dict)}, **named_losses(record)}
            for phase, state in self.phases.items()
            for record in state.history
        ]
        return pd.DataFrame(rows)

    def _module(self) -> nn.Module:
        return self.forecaster._build(self.forecaster.n_features_, self.generator).to(self.device)

    def _start(self) -> tuple[nn.Module, RidgeMap | None]:
        """A module with what is solved for; a structural model that "auto" chose stays unless folds are against it."""
        forecaster = self.forecaster
        module: Any = self._module()
        if not _solvable(module):
            return module, None
        known, steps, undecided = Known(), steps_of(module), forecaster._undecided()
        told = {"label": f"{type(forecaster).__name__} map", "unit": "step", "verbose": forecaster.verbose}
        with moving(steps * (1 + undecided), **told) as move:
            solution = self._solve(module, known, move)
            if not undecided:
                return module, solution
            past_folds, forecaster.linear_ = self.past_folds, "ridge"
            other: Any = self._module()
            # Where the first had no use for maps of their own, there is less to do.
            move(steps - steps_of(other))
            alone = self._solve(other, known, move)
        if alone.held_out < _CLEARLY * solution.held_out:
            return other, alone
        self.past_folds, forecaster.linear_ = past_folds, "structural"
        forecaster.penalty_, forecaster.maps_ = solution.penalty, module.maps
        return module, solution

    def _solve(self, module: Any, known: Known, move: Callable[[int], Any]) -> RidgeMap:
        priors, root = self._priors()
        # First what was known before: it stands where nothing speaks for another.
        priors = [*self.forecaster._prior_maps(), *priors]
        # The closed form is solved where the windows lie; the module follows to its device afterwards.
        module.cpu()
        chunks = thinned_chunks(self.windows, self.segments)
        solution = fit_closed_form(module, chunks, prior=priors, root=root, apart=self.apart, known=known, move=move)
        self.past_folds = [] if module.past_map is None else fit_past_map(module, chunks, solution)
        module.to(self.device)
        self.forecaster.penalty_, self.forecaster.maps_ = solution.penalty, module.maps
        return solution

    def _priors(self) -> tuple[list[Tensor], SeasonalRoot | None]:
        """Maps to shrink to, and how dear departures from them are: within days, where these are many steps long."""
        shape = (self.windows.context, self.windows.horizon)
        panel, season = self.forecaster.panel_, self.forecaster.season_
        if self.forecaster.linear_ == "structural" and not self.apart:
            # What is expected is there already.
            day = self.forecaster.day_
            return [torch.zeros(shape, dtype=torch.float64)], SeasonalRoot(shape[0], day)
        day = panel.grid.season or season if self.forecaster.season == "auto" else season
        if kind_of(panel, season).pace == "sub-daily" and 1 < day <= shape[0]:
            seasons = [s for s in dict.fromkeys([day, season]) if s <= shape[0]]
            root = SeasonalRoot(shape[0], day) if 2 * day <= shape[0] else None
            return [seasonal_mean_map(*shape, s) for s in seasons], root
        nothing = torch.zeros(shape, dtype=torch.float64)
        return [seasonal_map(*shape, season), nothing] if 1 < season <= shape[0] else [nothing], None

    def _without_tail(self, module: nn.Module, solution: RidgeMap | None, trains: bool) -> None:
        """Too few windows to hold any out: a solved map stands alone, a network is trained as long as it was told."""
        forecaster = self.forecaster
        if solution is not None:
            assert isinstance(module, DirectForecaster)
            for name in ("shrink", "spread_share", "covariate_share"):
                getattr(module, name).zero_()
            forecaster.share_ = 0.0
            if trains:
                say(f"{type(forecaster).__name__}: {forecaster._branch_told()}", verbose=forecaster.verbose)
            return
        everything = torch.arange(len(self.windows.origins))
        try:
            if trains and len(everything):
                self._train("refit", module, self.windows, None, forecaster.max_epochs_)
                forecaster.n_epochs_ = forecaster.max_epochs_
        finally:
            self._spread(module, everything)
        if forecaster.n_epochs_:
            self._train_members([module], module)

    def _beside(self, solution: RidgeMap, module: nn.Module, front: Tensor, tail: Tensor) -> None:
        """Train branches beside the map of the front, from one seed after the other."""
        forecaster = self.forecaster
        solved = {name: buffer.clone() for name, buffer in module.named_buffers() if name in _SOLVED}
        try:
            shares = [self._branch(solution, module, front, tail, 0)]
        finally:
            assert isinstance(module, DirectForecaster)
            forecaster.n_epochs_ = self._epochs("select")
            forecaster.share_ = float(module.shrink.mean())
        members: list[nn.Module] = [module]
        for number in range(1, self.wanted):
            another = self._module()
            another.load_state_dict(solved, strict=False)
            shares.append(self._branch(solution, another, front, tail, number))
            members.append(another)
            self._keep(members)
            forecaster.share_ = sum(shares) / len(shares)

    def _branch(self, solution: RidgeMap, module: nn.Module, front: Tensor, tail: Tensor, number: int) -> float:
        """Train one branch; give it its share also when training is interrupted."""
        assert isinstance(module, DirectForecaster)
        assert module.linear is not None
        final, final_past = module.linear.clone(), module.past_map
        if solution.fold_weights:
            module.linear.copy_(solution.fold_weights[-1])
        if final_past is not None and self.past_folds:
            module.past_map = self.past_folds[-1].to(final_past)
        try:
            try:
                self._train(
                    _numbered("select", number), module, self.windows.subset(front), None, self.forecaster.max_epochs_
                )
            finally:
                batches = self.windows.subset(tail).resized(_INFERENCE_BATCH).epoch(self.generator)
                share = fit_shrink(module.eval(), (batch.to(self.device) for batch in batches))
        finally:
            module.linear.copy_(final)
            module.past_map = final_past
        return share

    def _select_and_refit(self, module: nn.Module, front: Tensor, tail: Tensor) -> None:
        """Measure the spread on the tail with one network, then train on all windows, from seed after seed."""
        forecaster = self.forecaster
        try:
            self._train("select", module, self.windows.subset(front), self.windows.subset(tail), forecaster.max_epochs_)
        finally:
            forecaster.n_epochs_ = self._epochs("select", best=True)
            self._spread(module, tail)
        self._train_members([], module)

    def _train_members(self, members: list[nn.Module], measured: nn.Module) -> None:
        """Train on all windows until there are enough; each takes over the spread that was measured of one network."""
        for number in range(len(members), self.wanted):
            again = self._module()
            self._train(_numbered("refit", number), again, self.windows, None, self.forecaster.n_epochs_)
            if isinstance(again, DirectForecaster) and isinstance(measured, DirectForecaster):
                for name in ("offsets", "spread_share", "unsure"):
                    getattr(again, name).copy_(getattr(measured, name))
            members.append(again)
            self._keep(members)

    def _epochs(self, phase: str, *, best: bool = False) -> int:
        """Epochs of a phase, 0 where it was stopped before it began."""
        state = self.phases.get(phase, TrainingState())
        return state.best_epoch if best else state.epoch

    def _spread(self, module: nn.Module, rows: Tensor) -> None:
        """Quantiles from the errors on windows that were not trained on, where there are such."""
        if isinstance(module, DirectForecaster):
            batches = self.windows.subset(rows).resized(_INFERENCE_BATCH).epoch(self.generator)
            fit_spread(module, (batch.to(self.device) for batch in batches))

    def _train(
        self, phase: str, module: nn.Module, windows: WindowBatches, tail: WindowBatches | None, epochs: int
    ) -> None:
        forecaster = self.forecaster
        size = min(_BATCH, max(len(windows.origins) // _LEAST_BATCHES, 1))
        state = self.phases[phase] = TrainingState()
        train_epochs(
            self.hook,
            module,
            windows.resized(size, max_batches=_MAX_BATCHES),
            label=f"{type(forecaster).__name__} {phase}",
            max_epochs=epochs,
            validation=None if tail is None else tail.resized(_INFERENCE_BATCH),
            generator=self.generator,
            device=self.device,
            state=state,
        )


def _solvable(module: nn.Module) -> bool:
    solved = isinstance(module, DirectForecaster) and module.linear is not None
    return solved and not isinstance(module.linear, nn.Parameter)


def _numbered(phase: str, number: int) -> str:
    return f"{phase} {number + 1}" if number else phase
