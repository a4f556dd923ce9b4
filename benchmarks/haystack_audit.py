"""Can haystacks be answered by shortcuts? The audit of real and synthetic ones by context, and what an item costs.

python benchmarks/haystack_audit.py --recordings hapt --contexts 100 300 600
python benchmarks/haystack_audit.py --recordings synthetic --contexts 100 900 7200
python benchmarks/haystack_audit.py --table
"""

import argparse
import time
from pathlib import Path

import pandas as pd
from _haystack_data import HAPT_REGIMES, NAMES, load
from _records import Record, append, read, surroundings

from tsrec.datasets import HAYSTACK_TASKS, audit_haystack, make_haystack

RESULTS = Path(__file__).parent / "results" / "haystack_audit.json"
NEEDLE = 3.0


def measured(name: str, task: str, context: float, count: int, seed: int) -> list[Record]:
    """The audit of `count` train items and as many others, and milliseconds of the processor an item."""
    recordings, events = load(name)
    regimes = HAPT_REGIMES if name == "hapt" else None
    held = {"n_val": count // 2, "n_test": count - count // 2}
    began = time.process_time()
    # Reading and indexing the recordings is paid once, and is not the price of an item.
    make_haystack(
        recordings, events, task=task, context=context, needle=NEEDLE, n_train=0, n_val=0, n_test=0, regimes=regimes
    )
    ready = time.process_time()
    haystack = make_haystack(
        recordings,
        events,
        task=task,
        context=context,
        needle=NEEDLE,
        n_train=count,
        **held,
        regimes=regimes,
        random_state=seed,
    )
    made = time.process_time()
    for item in haystack.test:
        item.render()
    rendered = time.process_time()
    cost = {
        "index_s": ready - began,
        "make_ms": 1e3 * (made - ready - (ready - began)) / (2 * count),
        "render_ms": 1e3 * (rendered - made) / max(len(haystack.test), 1),
    }
    table = audit_haystack(haystack, on_failure="return")
    return [{"recordings": name, "seed": seed, "needle": NEEDLE, **row, **cost} for row in table.to_dict("records")]


def table(records: list[Record]) -> str:
    """Accuracy in percent of each baseline, by recordings, task and context."""
    rows = pd.DataFrame([row for record in records for row in record["rows"]])
    keys = ["recordings", "task", "context", "seed"]
    wide = rows.pivot_table(index=keys, columns="baseline", values="accuracy", sort=False) * 100
    first = rows.groupby(keys, sort=False)[["n", "chance", "make_ms", "render_ms"]].first()
    return first.assign(chance=100 * first["chance"]).join(wide).round(1).to_string()


def main() -> None:
    """Measure and record, or show what was recorded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recordings", choices=NAMES, default="synthetic")
    parser.add_argument("--contexts", type=float, nargs="+", default=[100.0])
    parser.add_argument("--tasks", choices=HAYSTACK_TASKS, nargs="+", default=["existence", "anomaly_detection"])
    parser.add_argument("--count", type=int, default=800)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--table", action="store_true")
    asked = parser.parse_args()
    if asked.table:
        print(table(read(RESULTS)))
        return
    for context in asked.contexts:
        for task in asked.tasks:
            rows = measured(asked.recordings, task, context, asked.count, asked.seed)
            record = {**surroundings(None, 1), "rows": rows}
            append(RESULTS, record)
            print(table([record]), flush=True)


if __name__ == "__main__":
    main()
