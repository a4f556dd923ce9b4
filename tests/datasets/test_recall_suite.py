"""The runner of benchmarks/recall.py works, and what it trains learns."""

import importlib
from pathlib import Path

import pytest
import torch

_FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def suite():
    """Its modules, with torch on one thread: loops over small steps crawl when threads wait for a busy core."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(_FOLDER)
        module = importlib.import_module("recall")
        # Which commit is measured is no matter here, and asking for it takes a process each time.
        patch.setattr(module, "surroundings", lambda *_: {})
        yield module
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def records(suite, tmp_path_factory):
    """One short run of everything."""
    out = tmp_path_factory.mktemp("recall") / "recall.json"
    for task in suite.TASKS:
        for model in suite.MODELS:
            suite.run(task, model, "smoke", 0, out)
    return out, suite.read(out)


@pytest.mark.slow
def test_everything_is_recorded_and_losses_fall(suite, records):
    _, runs = records
    assert [(one["task"], one["model"]) for one in runs] == [(t, m) for t in suite.TASKS for m in suite.MODELS]
    for one in runs:
        assert one["loss"][-1] < one["loss"][0], (one["task"], one["model"])
        assert 0 <= one["accuracy"] <= 1


def test_what_is_recorded_is_not_measured_again_and_other_seeds_take_its_rate(suite, records, monkeypatch):
    out, _ = records
    asked = []
    monkeypatch.setattr(suite, "measure", lambda *setting: asked.append(setting) or {"seed": 1})
    monkeypatch.setattr(suite, "append", lambda *_: None)
    suite.run("dms", "LSTM", "smoke", 0, out)
    assert not asked
    suite.run("dms", "LSTM", "smoke", 1, out)
    suite.run("dms", "LSTM", "smoke", 0, out, 4)  # as many epochs are another setting
    suite.run("dms", "LSTM", "small", 0, out)
    assert asked == [
        ("dms", "LSTM", "smoke", 2, 1, (0.01,)),
        ("dms", "LSTM", "smoke", 4, 0, suite.RATES["smoke"]),
        ("dms", "LSTM", "small", 2, 0, suite.RATES["small"]),
    ]


def test_the_table_has_a_row_for_each_model_of_each_task(suite, records):
    text = suite.table(records[1])
    for task in suite.TASKS:
        assert f"**{task}**, smoke, 16 steps, chance" in text
    for model in suite.MODELS:
        assert text.count(f"| {model} | ") == len(suite.TASKS)


@pytest.mark.parametrize("budget", ["smoke", "small"])
def test_states_are_of_equal_size(suite, budget):
    models = importlib.import_module("_recall_models")
    generator = torch.Generator().manual_seed(0)
    sizes = {}
    for name in suite.MODELS:
        mixer = models.mixer_of(name, budget, 20, generator)
        sizes[name] = models.state_bytes(mixer)
        # What a step hands on is as large as the state before the first one.
        _, state = mixer(torch.zeros(1, 20, mixer.d_model))
        assert models._bytes(state) == sizes[name]
    assert max(sizes.values()) < 1.1 * min(sizes.values())


def test_bytes_of_a_state_are_those_of_all_its_tensors(suite):
    models = importlib.import_module("_recall_models")
    # Outputs and cells of two layers, 32 numbers each.
    assert models.state_bytes(models.mixer_of("LSTM", "smoke", 20, torch.Generator())) == 2 * 2 * 32 * 4
    # 3 inputs of 8 features; 4 keys of 4 and values of 6, seen or not (a byte each), and the place (8 bytes).
    tcnca = models.mixer_of("TCNCA", "smoke", 20, torch.Generator())
    assert models.state_bytes(tcnca) == 2 * (4 * (3 * 8 + 4 * (4 + 6)) + 4 + 8)


@pytest.mark.parametrize("model", ["LSTM", "Mamba"])
def test_an_easy_task_is_learned(suite, model):
    task = suite.task_of("dms", "smoke", 0)
    network, _ = suite.fitted(task, model, "smoke", 20, 1e-2, 0)
    tested = suite.score(network, task, task.test[""])
    assert tested["accuracy"] > 0.95
    assert tested["N=2"] > 0.95


@pytest.mark.parametrize("name", ["passkey", "selectiv"])
def test_parts_of_a_task_are_apart(suite, name):
    # Not so where sequences are few: short rows of bits or of symbols come twice by chance.
    task = suite.task_of(name, "smoke", 0)
    rows = [row.numpy().tobytes() for X, _, _ in (task.train, task.validation, *task.test.values()) for row in X]
    assert len(set(rows)) == len(rows) == 256 + 3 * 64


def test_the_state_that_is_most_frequent_is_the_chance_of_selectiv(suite):
    tasks = importlib.import_module("_recall_tasks")
    train, test = tasks.make_selectiv(200, 50, n_symbols=3, length=20, random_state=0)
    counts = {}
    for x, y in zip(train.X[:, :, ::2], train.y[:, ::2], strict=True):
        for one, state in zip(x.argmax(0).tolist(), y.tolist(), strict=True):
            counts.setdefault(one, []).append(state)
    likely = {one: max(set(states), key=states.count) for one, states in counts.items()}
    named = [
        likely[one] == state
        for x, y in zip(test.X[:, :, ::2], test.y[:, ::2], strict=True)
        for one, state in zip(x.argmax(0).tolist(), y.tolist(), strict=True)
    ]
    assert tasks._best_state(train, test) == pytest.approx(sum(named) / len(named))
