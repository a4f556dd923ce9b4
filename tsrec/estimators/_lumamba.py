"""What a LuMamba encoder does behind its methods: read, build, train, and answer in batches of constant shape."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state
from torch import Tensor

from tsrec.estimators._callbacks import with_callbacks
from tsrec.estimators._epochs import epochs_for, fit_module, history_frame
from tsrec.estimators._lumamba_parts import architecture, check_parameters, piece_patches, recipe
from tsrec.estimators._recording_batches import Prepared, RecordingBatches, is_small
from tsrec.estimators._recordings import RecordingEstimator
from tsrec.frames import Recordings
from tsrec.frames.warn import warn_user
from tsrec.layers.lumamba import LuMamba
from tsrec.layers.lumamba_tasks import LuMambaPretraining
from tsrec.training import Batch, TrainingState, resolve_device, single_thread, with_weights

# From a fitted module and a batch to rows, one for each recording of it.
Ask = Callable[[LuMambaPretraining, Batch], Tensor]

# Steps that "auto" aims at, and the most epochs; minutes on a laptop.
AUTO = {"steps": 300, "most": 100}
# Samples at a time in inference, and recordings at most: a batch of recordings of one kind has always the same shape.
# Few, since recordings of a length of their own still take a whole batch; many, since small ones are faster together.
_INFERENCE_SAMPLES, _INFERENCE_BATCH = 1 << 18, 16


class LuMambaBase(RecordingEstimator):
    """Base of :class:`tsrec.LuMambaEncoder`."""

    batch_size: int
    channel_dropout: float
    device: Any
    max_epochs: int | str
    patch_size: int
    random_state: Any
    weight_decay: float
    architecture_: dict[str, Any]
    sfreq_: float
    n_patches_: int
    module_: LuMambaPretraining

    def __sklearn_is_fitted__(self) -> bool:
        """Whether there is a module to ask."""
        return hasattr(self, "module_")

    @property
    def _n_features_out(self) -> int:
        return self.module_.encoder.n_features

    @property
    def _seconds(self) -> float:
        """Length of a patch."""
        return self.architecture_["patch"] / self.sfreq_

    def _begin(self, X: Any, owner: Any) -> Recordings:
        """Read recordings, and learn all about them but weights."""
        check_parameters(self)
        check_random_state(self.random_state)
        recordings = self._read_fit(X, owner)
        self._measure(recordings)
        longest = max(group.values.shape[2] for group in recordings.groups)
        if self.on_scalp_ and longest < self.patch_size:
            warn_user(
                f"X: the longest recording has {longest} samples at {self.sfreq_:.4g} Hz, less than a patch of "
                f"{self.patch_size}; they are filled up. Give longer windows, or a smaller patch_size."
            )
        self.n_patches_ = piece_patches(self, longest)
        self.architecture_ = architecture(self)
        return recordings

    def _module(self, generator: torch.Generator) -> LuMambaPretraining:
        encoder = LuMamba(**self.architecture_, generator=generator)
        return LuMambaPretraining(encoder, len(self.channel_names_in_), recipe(self), generator=generator)

    @with_callbacks
    def _train(self, module: LuMambaPretraining, groups: list[Prepared], generator: torch.Generator) -> None:
        device = resolve_device(self.device)
        piece = self.n_patches_ * self.architecture_["patch"]
        batches = RecordingBatches(groups, batch_size=self.batch_size, crop=piece, channel_dropout=self.channel_dropout)

        def keep(state: TrainingState) -> None:
            self.module_, self.n_epochs_, self.history_ = module, state.epoch, history_frame(state)

        fit_module(
            self,
            module,
            batches,
            max_epochs=epochs_for(self.max_epochs, len(batches), **AUTO),
            generator=generator,
            device=device,
            one_thread=device.type == "cpu" and is_small(groups, self.batch_size, piece),
            weight_decay=self.weight_decay,
            keep=keep,
        )

    def _each(self, groups: list[Prepared], ask: Ask) -> Iterator[tuple[int, np.ndarray]]:
        """Number of each recording and its row of ``ask(module, batch)``, in any order.

        The shape of a batch follows from its recordings' alone (the last is repeated to fill it), so that an answer
        does not depend on the others in the last bit.
        """
        device = self.module_.encoder.hidden.device
        with single_thread(device.type == "cpu"), torch.no_grad():
            for group in groups:
                n, samples = len(group.numbers), group.values[0].numel()
                size = int(np.clip(_INFERENCE_SAMPLES // samples, 1, _INFERENCE_BATCH))
                for at in range(0, n, size):
                    chosen = torch.arange(at, at + size).clamp_max(n - 1)
                    batch = group.batch(chosen, group.values[chosen]).to(device)
                    rows = ask(self.module_, batch).cpu().numpy()
                    yield from zip(group.numbers[at : at + size].tolist(), rows, strict=False)

    def _rows(self, group: Prepared, ask: Ask) -> np.ndarray:
        """Rows of ``ask(module, batch)`` for the recordings of a group."""
        return np.stack([row for _, row in self._each([group], ask)])

    def _asked(self, recordings: Recordings, ask: Ask) -> list[np.ndarray]:
        """Rows of ``ask(module, batch)`` for all recordings, in their order."""
        found = dict(self._each(self._prepare(recordings), ask))
        return [found[i] for i in range(recordings.n_series)]

    def _restore_module(self, weights: dict[str, np.ndarray]) -> None:
        """Build the module again and give it saved weights."""
        self.module_ = with_weights(self._module(torch.Generator()), weights)


def encoded(module: LuMambaPretraining, batch: Batch) -> tuple[Tensor, Tensor]:
    """Tokens (B, S, d), and the attention (B, S, Q, C)."""
    assert batch.static is not None
    return module.encoder(batch.context, batch.static, batch.variable)


def tokens_of(module: LuMambaPretraining, batch: Batch) -> Tensor:
    """Tokens (B, S, d)."""
    return encoded(module, batch)[0]
