"""Who finds what in haystacks: ten questions by length of the recording, for spectra and learned encoders.

python benchmarks/haystack.py --recordings hapt --contexts 100 300 600 --models raw oracle --count 60
python benchmarks/haystack.py --recordings synthetic --contexts 100 900 7200 --models lssl --count 20 20 8
python benchmarks/haystack.py --table

Windows learn from items of 100 s, whatever the context. "pooled" is the contrast: all of an item in one vector of the
LSSL encoder, and a regression learned from items of the same context. Prototypes (exact matches of 1, 5 or 20 examples
of a label) and statistics (nearest neighbours) answer localization only. Nothing is chosen by what --part test says.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import torch
from _haystack_data import HAPT_REGIMES, NAMES, load
from _haystack_models import LEARNED, SCALES, TRAINING, Answerer, Examples, by_table, by_truth, by_whole, encoder
from _haystack_rivals import by_prototypes, by_statistics, only_localizes
from _records import Record, append, grouped, markdown, mean, read, seeds, surroundings

from tsrec.datasets import HAYSTACK_TASKS, make_haystack, score_answers

RESULTS = Path(__file__).parent / "results" / "haystack.json"
PROTOTYPES = {"prototypes_1": 1, "prototypes_5": 5, "prototypes_20": 20}
MODELS = ("raw", "lssl", "tcnca", "pooled", "statistics", *PROTOTYPES, "oracle")
TITLES = {"raw": "raw/DFT", "lssl": "LSSL", "tcnca": "TCNCA", "pooled": "pooled LSSL", "oracle": "oracle table"} | {
    "statistics": "statistics, neighbours",
    **{name: f"{count} prototype{'s' * (count > 1)}" for name, count in PROTOTYPES.items()},
}
# What is one cell of the table.
_SAME = ("recordings", "context", "model", "task")


def measured(asked: argparse.Namespace) -> None:
    """Ask all questions and record how many are answered."""
    data = load(asked.recordings)
    settings = {"regimes": HAPT_REGIMES if asked.recordings == "hapt" else None, "random_state": asked.seed}
    examples = Examples(data, settings, asked.examples)
    counts = asked.count * len(asked.contexts) if len(asked.count) == 1 else asked.count
    for model in asked.models:
        began = time.perf_counter()
        name = "lssl" if model == "pooled" else model
        kept = asked.encoders / f"{asked.recordings}_{name}_{asked.seed}.pickle" if asked.encoders else None
        fitted = encoder(name, examples, asked.seed, kept) if name in ("lssl", "tcnca") else "auto"
        table = answers_of(model, examples, fitted, asked)
        print(f"{model}: ready after {time.perf_counter() - began:.0f} s", flush=True)
        for context, count in zip(asked.contexts, counts, strict=True):
            for task in asked.tasks:
                began = time.perf_counter()
                answerer = by_whole(examples, fitted, task, context, asked.pooled) if model == "pooled" else table
                row = scored(answerer, data, settings, task, context, count, asked.part)
                learned = asked.pooled if model == "pooled" else asked.examples
                about = {"recordings": asked.recordings, "model": model, "part": asked.part, "seed": asked.seed}
                fixed = {"examples": learned, "scales": SCALES, "learned_s": LEARNED, "training": TRAINING}
                tried = {"tried": asked.tried} if asked.tried else {}
                seconds = time.perf_counter() - began
                record = {**surroundings(None, 1), **about, **row, **fixed, **tried, "seconds": seconds}
                append(RESULTS, record)
                print(model, task, context, row["n"], f"{row['accuracy']:.3f}", f"{seconds:.0f} s", flush=True)


def answers_of(model: str, examples: Examples, fitted: Any, asked: argparse.Namespace) -> Answerer:
    """What answers for a model that is the same for all tasks and contexts."""
    if model in ("raw", "lssl", "tcnca"):
        return by_table(examples, fitted, asked.seed)
    if model in ("statistics", *PROTOTYPES):
        only_localizes(asked.tasks)
        few = PROTOTYPES.get(model)
        return by_prototypes(examples, few, asked.seed) if few else by_statistics(examples, asked.seed)
    return by_truth


def scored(
    answerer: Answerer, data: tuple, settings: Record, task: str, context: float, count: int, part: str
) -> Record:
    """Share of the questions of a task and context that are answered."""
    counts = {"n_train": 0, "n_val": 0, "n_test": 0, f"n_{part}": count}
    items = getattr(make_haystack(*data, task=task, context=context, **counts, **settings), part)
    return score_answers(items, answerer(items)).iloc[0].to_dict()


def table(records: list[Record], part: str) -> str:
    """Accuracy in percent of the last run of each seed: a table of tasks by models, its cells by context."""
    kept = [one for one in records if one["part"] == part and "tried" not in one]
    last = {tuple(one[key] for key in (*_SAME, "seed")): one for one in kept}
    known = list(last.values())
    pieces = []
    for (name,), mine in grouped(known, ("recordings",)).items():
        by = grouped(mine, ("model", "task", "context"))
        contexts = sorted({one["context"] for one in mine})
        models = [model for model in MODELS if any(model == one["model"] for one in mine)]

        def cell(model: str, task: str, by: dict = by, contexts: list[float] = contexts) -> str:
            found = [by.get((model, task, context)) for context in contexts]
            return " / ".join("-" if runs is None else f"{100 * mean(runs, 'accuracy'):.0f}" for runs in found)

        rows = [[task, *(cell(model, task) for model in models)] for task in HAYSTACK_TASKS]
        head = ["task", *(TITLES[model] for model in models)]
        lengths = " / ".join(f"{context:g}" for context in contexts)
        sizes = "; ".join(f"{TITLES[model]} {_sizes(mine, model, contexts)}" for model in models)
        title = f"{name}, contexts of {lengths} s, {part}, seeds {seeds(mine)}; questions a cell: {sizes}"
        pieces.append(f"{title}\n\n{markdown(head, rows)}")
    return "\n\n".join(pieces)


def _sizes(records: list[Record], model: str, contexts: list[float]) -> str:
    """How many questions of each task were asked, by context."""
    found = []
    for context in contexts:
        count = sorted({int(one["n"]) for one in records if (one["model"], one["context"]) == (model, context)})
        found.append(" to ".join(map(str, count[:: max(len(count) - 1, 1)])) or "-")
    return " / ".join(found)


def main() -> None:
    """Measure and record, or show what was recorded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recordings", choices=NAMES, default="synthetic")
    parser.add_argument("--models", choices=MODELS, nargs="+", default=["raw"])
    parser.add_argument("--contexts", type=float, nargs="+", default=[100.0])
    parser.add_argument("--tasks", choices=HAYSTACK_TASKS, nargs="+", default=list(HAYSTACK_TASKS))
    parser.add_argument("--part", choices=["val", "test"], default="val")
    parser.add_argument("--count", type=int, nargs="+", default=[60], help="questions of each task, by context")
    parser.add_argument("--examples", type=int, default=40, help="items of each task that windows learn from")
    parser.add_argument(
        "--pooled", type=int, default=60, help="items of a task and context that the contrast learns from"
    )
    parser.add_argument("--encoders", type=Path, help="folder in which trained encoders are kept")
    parser.add_argument("--tried", help="what was changed for this run, which the table leaves out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--table", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.table:
        print(table(read(RESULTS), asked.part))
        return
    measured(asked)


if __name__ == "__main__":
    main()
