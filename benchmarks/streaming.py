"""Streams: microseconds per step from step 1 to step 1,000,000, memory, and distance from the answer to the whole.

python benchmarks/streaming.py
"""

import json
import os
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from _memory import memory
from _records import markdown, surroundings, write

import tsrec

RESULTS = Path(__file__).parent / "results" / "streaming.json"
# Steps of the series that are learned from: convolutions reach so far.
LEARNED = 4096
PLACES = (1, 10_000, 100_000, 1_000_000)
MODELS = {
    "LSSLClassifier, random features": lambda: tsrec.LSSLClassifier(random_state=0),
    "LSSLClassifier, trained": lambda: tsrec.LSSLClassifier(features="trained", max_epochs=1, random_state=0),
    "LSSLEncoder": lambda: tsrec.LSSLEncoder(max_epochs=1, random_state=0),
    "TCNCAClassifier, random features": lambda: tsrec.TCNCAClassifier(random_state=0),
    "TCNCAClassifier, trained": lambda: tsrec.TCNCAClassifier(features="trained", max_epochs=1, random_state=0),
    "TCNCAEncoder": lambda: tsrec.TCNCAEncoder(max_epochs=1, random_state=0),
}


def whole(model: Any, rows: np.ndarray) -> np.ndarray:
    """The answer to all rows at once."""
    return (model.predict_proba if hasattr(model, "predict_proba") else model.transform)([rows])[0]


def course(model: Any, channels: int, streams: int) -> dict[str, Any]:
    """Microseconds per step at each place, and memory before and after."""
    rng = np.random.default_rng(1)
    stream, done, found = model.stream(streams), 0, {}
    before = 1024 * memory("VmRSS")
    for place in PLACES if channels == streams == 1 else PLACES[:2]:
        while done < place - 1:
            count = min(place - 1 - done, 10_000)
            stream.push(rng.normal(size=(streams, count, channels)))
            done += count
        rows = rng.normal(size=(streams, 300, channels))
        stream.push(rows[:, 0])
        times = []
        for t in range(1, 300):
            began = time.perf_counter()
            stream.push(rows[:, t])
            times.append(time.perf_counter() - began)
        done += 300
        found[str(place)] = round(float(np.median(times)) * 1e6, 1)
    return {"microseconds": found, "MiB before": round(before, 1), "MiB after": round(1024 * memory("VmRSS"), 1)}


def distance(model: Any, channels: int) -> float:
    """Largest difference to the answer to the prefix, over 10,000 steps one by one: a walk, and rare spikes at rest."""
    rng = np.random.default_rng(2)
    walk = rng.normal(size=(10_000, channels)).cumsum(axis=0) / 30
    spikes = np.where(rng.random((10_000, channels)) < 0.002, 3.0, 0.0)
    worst = 0.0
    for rows in (walk, spikes):
        stream = model.stream()
        for t, row in enumerate(rows, 1):
            answer = stream.push(row[None])
            if t in (1, 10, 100, 1_000, 3_000, 10_000):
                worst = max(worst, float(np.abs(answer - whole(model, rows[:t])).max()))
    return worst


def main() -> None:
    """Measure, write, print a table."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    results, rows = [], []
    for name, make in MODELS.items():
        for channels in (1, 8):
            X = rng.normal(size=(20, channels, LEARNED)).cumsum(axis=2) / 10
            model = make().fit(X, np.arange(20) % 2)
            worst = distance(model, channels)
            for streams in (1, 64) if channels == 1 else (1,):
                one = {"model": name, "channels": channels, "streams": streams, "difference": worst}
                one |= course(model, channels, streams)
                results.append(one)
                cells = [f"{one['microseconds'].get(str(p), np.nan):.0f}".replace("nan", "-") for p in PLACES]
                each = one["microseconds"]["10000"] / channels / streams
                grown = f"{one['MiB after'] - one['MiB before']:.1f}"
                rows.append([name, str(channels), str(streams), *cells, f"{each:.1f}", grown, f"{worst:.1e}"])
                print(rows[-1], flush=True)
    write(RESULTS, json.dumps({**surroundings(None, 1), "results": results}, indent=1) + "\n")
    head = ["model", "channels", "streams", *[f"µs at step {p:,}" for p in PLACES], "per channel and stream"]
    print(markdown([*head, "MiB grown", "largest difference"], rows))


if __name__ == "__main__":
    main()
