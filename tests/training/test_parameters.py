import pytest
import torch
from torch import nn

from tsrec.training.parameters import optimizer_groups
from tsrec.training.schedule import schedule_factor


class Grouped(nn.Module):
    def __init__(self, choose):
        super().__init__()
        self.first, self.second = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2))
        self.choose = choose

    def parameter_groups(self):
        return self.choose(self)


def groups(module):
    return optimizer_groups(module, learning_rate=0.1, weight_decay=0.5)


def test_a_group_keeps_its_own_rate_and_decay():
    module = Grouped(lambda m: [{"params": [m.first], "lr": 0.01, "weight_decay": 0.0}, {"params": [m.second]}])
    first, second = groups(module)
    assert (first["lr"], first["peak"], first["weight_decay"]) == (0.01, 0.01, 0.0)
    assert (second["lr"], second["peak"], second["weight_decay"]) == (0.1, 0.1, 0.5)


def test_frozen_parameters_are_left_out():
    module = Grouped(lambda m: [{"params": [m.first]}])
    module.second.requires_grad_(False)
    assert [p is module.first for group in groups(module) for p in group["params"]] == [True]


def test_without_groups_matrices_decay_and_vectors_do_not():
    decays = {group["params"][0].ndim: group["weight_decay"] for group in groups(nn.Linear(2, 3))}
    assert decays == {2: 0.5, 1: 0.0}


@pytest.mark.parametrize(
    ("choose", "message"),
    [
        (lambda m: [{"params": [m.first]}], "leaves out .*second"),
        (lambda m: [{"params": [m.first, m.second]}, {"params": [m.first]}], "'first' twice"),
        (lambda m: [{"params": [m.first, m.second, nn.Parameter(torch.zeros(4))]}], "not its own"),
        (lambda m: [{"params": [m.first, m.second], "rate": 1}], "unknown keys .*rate"),
    ],
)
def test_groups_that_do_not_cover_the_module_once_are_refused(choose, message):
    with pytest.raises(ValueError, match=message):
        groups(Grouped(choose))


@pytest.mark.parametrize(("schedule", "ends"), [("constant", (1, 1)), ("cosine", (1, 0)), ("one_cycle", (0.04, 1e-5))])
def test_schedules_begin_and_end_where_they_should(schedule, ends):
    factors = [schedule_factor(schedule, step, 100) for step in range(100)]
    assert (factors[0], factors[-1]) == pytest.approx(ends)
    assert max(factors) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("schedule", ["constant", "cosine", "one_cycle"])
def test_a_schedule_of_one_step_is_usable(schedule):
    assert schedule_factor(schedule, 0, 1) > 0
