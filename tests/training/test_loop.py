import json
import math
import pickle

import pytest
import torch
from torch import nn

from tsrec.training import Batch, NonFiniteLossError, TrainingState, make_generator, train


class Batches:
    """Eight random rows of a linear relation, four at a time, in an order drawn anew."""

    def __init__(self, n=8, size=4, seed=0):
        g = torch.Generator().manual_seed(seed)
        self.x = torch.randn(n, 3, generator=g)
        self.y = self.x @ torch.tensor([1.0, -2.0, 0.5])
        self.size = size

    def __len__(self):
        return -(-len(self.x) // self.size)

    def epoch(self, generator):
        for rows in torch.randperm(len(self.x), generator=generator).split(self.size):
            yield Batch(self.x[rows], target=self.y[rows])


class Noise(nn.Module):
    """Draws from the generator that the loop hands over."""

    def __init__(self):
        super().__init__()
        self.generator = None

    def forward(self, x):
        return x + 0.1 * torch.randn(x.shape, generator=self.generator) if self.training else x


class Line(nn.Module):
    def __init__(self):
        super().__init__()
        self.noise = Noise()
        self.weight = nn.Parameter(torch.zeros(3))

    def losses(self, batch):
        error = self.noise(batch.context) @ self.weight - batch.target
        return {"square": error.square().mean(), "size": 0.0 * self.weight.abs().sum()}


def fit(module, *, epochs=6, seed=1, **kwargs):
    return train(module, Batches(), max_epochs=epochs, learning_rate=0.1, generator=make_generator(seed), **kwargs)


def test_training_lowers_the_loss_and_records_every_epoch():
    state = fit(Line(), epochs=20)
    losses = [record["loss"] for record in state.history]
    assert losses[-1] < 0.1 * losses[0]
    assert [record["epoch"] for record in state.history] == list(range(1, 21))
    assert set(state.history[0]["losses"]) == {"square", "size"}
    assert state.history[0]["validation_loss"] is None
    assert state.step == 40


def test_the_same_seed_gives_the_same_bits_and_global_state_is_untouched():
    first, second = Line(), Line()
    before = torch.get_rng_state()
    fit(first)
    torch.rand(3)
    torch.set_rng_state(before)
    fit(second)
    assert torch.equal(first.weight, second.weight)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("schedule", ["one_cycle", "constant", "cosine"])
def test_a_resumed_run_equals_the_uninterrupted_one_bit_for_bit(schedule, tmp_path):
    whole, parts = Line(), Line()
    expected = fit(whole, schedule=schedule, validation=Batches(seed=2))
    saved = []
    fit(
        parts,
        schedule=schedule,
        validation=Batches(seed=2),
        on_epoch_end=lambda state: saved.append(state.to_dict()) or state.epoch == 3,
    )
    torch.save(saved[-1], tmp_path / "state.pt")
    restored = TrainingState.from_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    fresh = Line()
    actual = fit(fresh, schedule=schedule, validation=Batches(seed=2), state=restored, seed=99)
    assert torch.equal(whole.weight, fresh.weight)
    assert (actual.best_epoch, actual.best_loss) == (expected.best_epoch, expected.best_loss)
    for name in ("loss", "validation_loss", "learning_rate"):
        assert [r[name] for r in actual.history] == [r[name] for r in expected.history]


def test_a_state_is_made_of_tensors_and_json_values_only():
    saved = fit(Line(), validation=Batches(seed=2)).to_dict()
    tensors = []
    text = json.dumps(saved, default=lambda value: tensors.append(value) or 0)
    assert all(isinstance(value, torch.Tensor) for value in tensors)
    assert json.loads(text)["epoch"] == 6


def test_a_foreign_state_is_refused():
    with pytest.raises(ValueError, match="no training state"):
        TrainingState.from_dict({"format": 0})


def test_with_validation_the_best_weights_are_restored():
    weights = []
    module = Line()
    state = fit(
        module,
        epochs=5,
        validation=Batches(seed=2),
        schedule="constant",
        on_epoch_end=lambda _: weights.append(module.weight.detach().clone()),
    )
    losses = [record["validation_loss"] for record in state.history]
    assert state.best_epoch == 1 + losses.index(min(losses))
    assert torch.equal(module.weight, weights[state.best_epoch - 1])


def test_patience_stops_when_validation_no_longer_improves():
    class Rising(Line):
        def losses(self, batch):
            if self.training:
                return super().losses(batch)
            self.measured = getattr(self, "measured", 0) + 1
            return {"square": torch.tensor(float(self.measured))}

    state = fit(Rising(), epochs=20, validation=Batches(n=4), patience=3)
    assert (state.epoch, state.best_epoch, state.stopped) == (4, 1, True)


def test_patience_without_validation_is_refused():
    with pytest.raises(ValueError, match="validation"):
        fit(Line(), patience=2)


def test_an_unknown_schedule_is_refused():
    with pytest.raises(ValueError, match="one_cycle"):
        fit(Line(), schedule="two_cycle")


def test_a_callback_that_answers_true_stops_the_run():
    state = fit(Line(), on_epoch_end=lambda state: state.epoch == 2)
    assert (state.epoch, state.stopped) == (2, True)


def test_a_loss_that_is_not_finite_names_epoch_batch_rate_and_mend():
    class Bad(Line):
        def losses(self, batch):
            self.calls = getattr(self, "calls", 0) + 1
            value = super().losses(batch)
            return {"square": value["square"] * (math.nan if self.calls == 4 else 1.0)}

    module = Bad()
    with pytest.raises(NonFiniteLossError, match=r"square is nan at epoch 2, batch 2 of 2, learning_rate .* lower"):
        fit(module)
    assert module.weight.isfinite().all()
    assert module.noise.generator is None


def test_a_gradient_that_is_not_finite_stops_before_the_step():
    class Cusp(Line):
        def losses(self, batch):
            return {"root": self.weight.abs().sum().sqrt()}

    module = Cusp()
    with pytest.raises(NonFiniteLossError, match="gradient"):
        fit(module)
    assert module.weight.isfinite().all()


def test_ctrl_c_leaves_the_best_weights_and_a_state_to_resume_from():
    class Interrupted(Batches):
        epochs = 0

        def epoch(self, generator):
            self.epochs += 1
            for number, batch in enumerate(super().epoch(generator)):
                if self.epochs == 4 and number == 1:
                    raise KeyboardInterrupt
                yield batch

    def run(module, batches, state):
        return train(
            module,
            batches,
            max_epochs=6,
            learning_rate=0.1,
            generator=make_generator(1),
            validation=Batches(seed=2),
            state=state,
        )

    module, state = Line(), TrainingState()
    with pytest.raises(KeyboardInterrupt):
        run(module, Interrupted(), state)
    assert state.interrupted
    assert state.epoch == 3
    assert torch.equal(module.weight, state.best_weights["weight"])
    assert not module.training
    whole = Line()
    run(whole, Batches(), None)
    run(module, Batches(), TrainingState.from_dict(state.to_dict()))
    assert torch.equal(module.weight, whole.weight)


def test_a_trained_module_pickles_and_keeps_no_gradient():
    module = Line()
    fit(module)
    assert torch.equal(pickle.loads(pickle.dumps(module)).weight, module.weight)
    assert module.weight.grad is None


def test_a_module_without_trainable_parameters_is_only_measured():
    module = Line()
    module.weight.requires_grad_(False)
    state = fit(module, epochs=2)
    assert state.history[0]["loss"] == pytest.approx(state.history[1]["loss"])
    assert torch.equal(module.weight, torch.zeros(3))


def test_losses_are_averaged_over_rows_not_batches():
    class Mean(Line):
        def losses(self, batch):
            return {"mean": batch.target.mean() + 0.0 * self.weight.sum()}

    batches = Batches(n=7, size=5)
    state = train(Mean(), batches, max_epochs=1, generator=make_generator(0))
    assert state.history[0]["loss"] == pytest.approx(float(batches.y.mean()), rel=1e-6)
