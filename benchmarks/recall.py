"""The recall suite: what LSSL, TCNCA, Mamba and LSTM remember at equal bytes of state.

    python benchmarks/recall.py --budget smoke --out PATH
    python benchmarks/recall.py --budget small
    python benchmarks/recall.py --table

Multi-query recall of vectors, passkey, parity, delayed match to sample, hidden states of a grammar. Two layers between
a linear embedding and linear read-outs; the same sequences, steps and rates to choose from for all. The learning rate
is chosen on held-out sequences with seed 0, the best epoch on those of each seed; the test part is read once. What is
in the file already is not measured again.
"""

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from _recall_models import LAYERS, MODELS, SHAPES, Answers, mixer_of, state_bytes
from _recall_tasks import TASKS, Part, Scores, Sequences, Task, task_of
from _records import Record, append, grouped, markdown, mean, read, seeds, surroundings

from tsrec.training import TrainingState, train

RECORDS = Path(__file__).parent / "results" / "recall.json"
BATCH = 32
EPOCHS = {"smoke": dict.fromkeys(TASKS, 2), "small": {"mqar": 5, "passkey": 5, "parity": 3, "dms": 2, "selectiv": 3}}
# Runs with other numbers of epochs have tables of their own.
_SAME = ("budget", "task", "model", "steps")
RATES = {"smoke": (1e-2,), "small": (1e-3, 3e-3, 1e-2)}


def score(model: Answers, task: Task, part: Part) -> Scores:
    """Accuracy and what the task tells apart."""
    X, y, extra = part
    return task.score(model.answered(X), y, extra)


def fitted(task: Task, model: str, budget: str, epochs: int, rate: float, seed: int) -> tuple[Answers, TrainingState]:
    """Train, and keep the epoch with the least loss on held-out sequences."""
    generator = torch.Generator().manual_seed(seed)
    X, y, _ = task.train
    mixer = mixer_of(model, budget, X.shape[1], generator)
    network = Answers(mixer, X.shape[2], y.shape[2], task.n_classes, task.values, generator)
    state = train(
        network,
        Sequences(task.train, BATCH),
        max_epochs=epochs,
        generator=generator,
        learning_rate=rate,
        weight_decay=0.0,
        validation=Sequences(task.validation, 500, shuffled=False),
    )
    return network, state


def measure(name: str, model: str, budget: str, epochs: int, seed: int, rates: tuple[float, ...]) -> Record:
    """Choose the rate on held-out sequences, then read the test part once."""
    began, task = time.perf_counter(), task_of(name, budget, seed)
    runs = [fitted(task, model, budget, epochs, rate, seed) for rate in rates]
    validation = [score(network, task, task.validation)["accuracy"] for network, _ in runs]
    best = max(range(len(rates)), key=validation.__getitem__)
    network, state = runs[best]
    tested = {where: score(network, task, part) for where, part in task.test.items()}
    return {
        "budget": budget,
        "task": name,
        "model": model,
        "seed": seed,
        "state_bytes": state_bytes(network.mixer),
        "parameters": sum(p.numel() for p in network.parameters()),
        "shape": {**SHAPES[budget][model], "n_layers": LAYERS},
        "learning_rate": rates[best],
        "validation": dict(zip(map(str, rates), validation, strict=True)),
        "loss": [round(epoch["loss"], 4) for epoch in state.history],
        "steps": state.step,
        "chance": task.chance,
        **{where + key: value for where, scores in tested.items() for key, value in scores.items()},
        "seconds": round(time.perf_counter() - began, 1),
    }


def table(records: list[Record]) -> str:
    """Test accuracy by task and model, mean over seeds and the worst of them, and what each task tells apart."""
    texts = []
    for (budget, task, steps), runs in sorted(grouped(records, ("budget", "task", "steps")).items()):
        known = list(runs[0])
        cells = known[known.index("chance") + 1 : known.index("seconds")]
        rows = [
            [
                model,
                f"{of[0]['state_bytes']:,}",
                f"{of[0]['parameters']:,}",
                f"{of[0]['learning_rate']:g}",
                seeds(of),
                f"{100 * min(one['accuracy'] for one in of):.1f}",
                *(f"{100 * mean(of, cell):.1f}" for cell in cells),
            ]
            for (model,), of in grouped(runs, ("model",)).items()
        ]
        head = ["model", "state bytes", "parameters", "rate", "seeds", "worst seed", *cells]
        chance = f"chance {100 * mean(runs, 'chance'):.1f}"
        texts.append(f"**{task}**, {budget}, {steps:,} steps, {chance}:\n\n{markdown(head, rows)}")
    return "\n\n".join(texts)


def main() -> None:
    """Measure what is asked for and not yet recorded, or print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--budget", choices=list(EPOCHS), default="small")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, help="other than those of the budget")
    parser.add_argument("--out", type=Path, default=RECORDS)
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    if options.table:
        print(table(read(options.out)))
        return
    torch.set_num_threads(1)
    # All of the first seed before any of the next: an interruption leaves whole seeds.
    for seed in options.seeds:
        for task in options.tasks:
            for model in options.models:
                run(task, model, options.budget, seed, options.out, options.epochs)


def run(task: str, model: str, budget: str, seed: int, out: Path, epochs: int | None = None) -> None:
    """Measure and record, unless it was done; other seeds take the rate that was chosen with the first."""
    epochs = epochs or EPOCHS[budget][task]
    steps = epochs * -(-len(task_of(task, budget, seed).train[0]) // BATCH)
    known = grouped(read(out), _SAME)[budget, task, model, steps]
    if any(one["seed"] == seed for one in known):
        return
    rates = (known[0]["learning_rate"],) if known else RATES[budget]
    record = measure(task, model, budget, epochs, seed, rates)
    append(out, {**record, **surroundings(None, 1)})
    print({key: value for key, value in record.items() if key not in ("shape", "loss")}, flush=True)


if __name__ == "__main__":
    main()
