"""Associative recall: which mixers find a value by its key, as vocabulary and length grow.

    python benchmarks/associative_recall.py --vocab 20 --length 40
    python benchmarks/associative_recall.py --vocab 20 --length 40 --model TCNCA --chunk 16
    python benchmarks/associative_recall.py --table

Two layers of width 32 between an embedding and its transpose, 5,000 training sequences, AdamW with a one-cycle rate;
the loss is that of all next symbols. After each epoch 500 further sequences are asked for their last symbol; training
stops when 99.9 % are right twice in a row, or after the last epoch. Then the test part (500) is read, once. Whoever
guesses among the values has 1 of (V - 2) / 2; who names the most frequent value of the sequence, 49 % (V = 10, L = 20),
28 % (V = 20, L = 40).
"""

import argparse
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from _records import Record, append, grouped, markdown, mean, read, seeds, surroundings
from torch import Tensor, nn
from torch.nn import functional

from tsrec.datasets import make_associative_recall
from tsrec.layers.lssl import LSSLStack
from tsrec.layers.parameter_groups import parameter_groups
from tsrec.layers.tcnca import TCNCAStack
from tsrec.training import Batch, TrainingState, train

RECORDS = Path(__file__).parent / "results" / "associative_recall.json"
TCNCA: dict[str, dict[str, Any]] = {"TCNCA": {}, "TCNCA, simplified": {"gated": False}, "MEGA": {"ema": True}}
MODELS = (*TCNCA, "LSSL")
ENOUGH = 0.999
# What tells one row of the table from another; start: scales of queries and keys that gated attention no longer has.
SETTINGS = ("model", "start", "one_shot", "fixed", "chunk", "width", "layers", "max_epochs", "learning_rate")


class NextSymbol(nn.Module):
    """A mixer between an embedding and its transpose."""

    def __init__(self, vocab: int, mixer: nn.Module, generator: torch.Generator) -> None:
        super().__init__()
        width = int(mixer.d_model)
        self.embedding = nn.Parameter(torch.randn(vocab, width, generator=generator) / width**0.5)
        self.mixer, self.bias = mixer, nn.Parameter(torch.zeros(vocab))

    def forward(self, symbols: Tensor) -> Tensor:
        """Log odds of the next symbol at every step, (B, L, V)."""
        x = functional.embedding(symbols, self.embedding) * self.embedding.shape[1] ** 0.5
        return self.mixer(x, return_state=False)[0] @ self.embedding.T + self.bias

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy over all steps."""
        return {"next": functional.cross_entropy(self(batch.context).flatten(0, 1), batch.target.flatten())}

    def parameter_groups(self) -> list[dict[str, Any]]:
        """As the layers wish."""
        return parameter_groups(self)

    @torch.no_grad()
    def recalled(self, X: Tensor, y: Tensor) -> float:
        """Share of sequences whose last symbol is found."""
        found = [self(part)[:, -1].argmax(-1) for part in X.split(64)]
        return float((torch.cat(found) == y[:, -1]).double().mean())


class Shuffled:
    """Batches of sequences in random order."""

    def __init__(self, X: Tensor, y: Tensor, size: int) -> None:
        self.X, self.y, self.size = X, y, size

    def __len__(self) -> int:
        return -(-len(self.X) // self.size)

    def epoch(self, generator: torch.Generator) -> Iterator[Batch]:
        """Every sequence once."""
        for chosen in torch.randperm(len(self.X), generator=generator).split(self.size):
            yield Batch(context=self.X[chosen], target=self.y[chosen])


def mixer_of(options: argparse.Namespace, generator: torch.Generator) -> nn.Module:
    """Two layers of what is asked for; the convolutions reach over the whole sequence."""
    steps = 2 * (options.length // 2) + 2
    if options.model == "LSSL":
        rates = {"dt_min": 1 / steps, "dt_max": min(100 / steps, 1.0)}
        return LSSLStack(options.width, options.layers, **rates, fixed=options.fixed, generator=generator)
    chunk = steps if options.chunk is None else min(options.chunk, steps)
    return TCNCAStack(
        options.width, options.layers, chunk=chunk, reach=steps, generator=generator, **TCNCA[options.model]
    )


def measure(options: argparse.Namespace) -> Record:
    """Train, and read the test part once."""
    task = {"vocab_size": options.vocab, "length": options.length, "one_shot": options.one_shot}
    known, test = make_associative_recall(5000, 500, **task, random_state=options.seed)
    further, _ = make_associative_recall(500, 1, **task, random_state=options.seed + 1000)
    (X, y), (Z, w), (V, u) = ([torch.from_numpy(part) for part in split[:2]] for split in (known, test, further))
    generator = torch.Generator().manual_seed(options.seed)
    model = NextSymbol(options.vocab, mixer_of(options, generator), generator)
    began, validated = time.perf_counter(), []

    def enough(state: TrainingState) -> bool:
        validated.append(model.recalled(V, u))
        print(f"epoch {state.epoch}: {validated[-1]:.3f}, {time.perf_counter() - began:.0f} s", flush=True)
        return min(validated[-2:]) >= ENOUGH and len(validated) > 1

    state = train(
        model,
        Shuffled(X, y, 32),
        max_epochs=options.max_epochs,
        generator=generator,
        learning_rate=options.learning_rate,
        weight_decay=0.1,
        on_epoch_end=enough,
    )
    asked = (
        "model",
        "vocab",
        "length",
        "chunk",
        "width",
        "layers",
        "max_epochs",
        "learning_rate",
        "fixed",
        "seed",
        "one_shot",
    )
    return {
        **{name: getattr(options, name) for name in asked},
        "accuracy": model.recalled(Z, w),
        "validation": validated,
        "steps": state.step,
        "minutes": round((time.perf_counter() - began) / 60, 2),
        "parameters": sum(p.numel() for p in model.parameters()),
    }


def table(records: list[Record]) -> str:
    """Accuracy by model and task, mean over seeds and over repeated runs; steps and minutes beside it."""
    tasks = sorted({(one["vocab"], one["length"]) for one in records})
    rows = []
    for setting, runs in grouped(
        [{"start": None, "one_shot": False, "fixed": False, **one} for one in records], SETTINGS
    ).items():
        of = grouped(runs, ("vocab", "length"))
        cells = [
            f"{100 * mean(of[task], 'accuracy'):.1f} ({mean(of[task], 'steps'):,.0f}, {mean(of[task], 'minutes'):.1f})"
            if task in of
            else "-"
            for task in tasks
        ]
        rows.append([*("all" if part is None else str(part) for part in setting), seeds(runs), *cells])
    return markdown([*SETTINGS, "seeds", *(f"V {vocab}, L {length}" for vocab, length in tasks)], rows)


def main() -> None:
    """Measure what is asked for, or print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vocab", type=int, default=20)
    parser.add_argument("--length", type=int, default=40)
    parser.add_argument("--model", default="TCNCA", choices=MODELS)
    parser.add_argument("--one-shot", action="store_true", help="no key comes twice")
    parser.add_argument("--chunk", type=int, help="of attention; all steps when omitted")
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--max-epochs", type=int, default=30)
    parser.add_argument("--learning-rate", type=float, default=4e-3)
    parser.add_argument("--fixed", action="store_true", help="LSSL with a fixed A, which trains several times as fast")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RECORDS)
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    if options.table:
        print(table(read(options.out)))
        return
    torch.set_num_threads(1)
    record = measure(options)
    append(options.out, {**record, **surroundings(None, 1)})
    print({key: value for key, value in record.items() if key != "validation"})


if __name__ == "__main__":
    main()
