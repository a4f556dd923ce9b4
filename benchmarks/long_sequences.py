"""Memory of long sequences: training on 16 series of 16,000 steps in one batch, an answer to 1,000,000 steps.

python benchmarks/long_sequences.py
"""

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

from _records import markdown, surroundings

RESULTS = Path(__file__).parent / "results" / "long_sequences.json"
CASES = {
    "train, defaults": {"features": "trained"},
    "train, large layers of the paper": {"features": "trained", "d_model": 256, "d_state": 128, "n_layers": 4},
    "closed form": {"features": "random"},
}


def peak() -> float:
    """GiB of memory at most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def measure(name: str) -> None:
    """Fit once, answer once; print seconds and memory beyond what imports and data take."""
    import numpy as np

    import tsrec

    rng = np.random.default_rng(0)
    model = tsrec.LSSLClassifier(max_epochs=1, batch_size=16, random_state=0, **CASES[name])
    tsrec.LSSLClassifier(max_epochs=1, random_state=0, **CASES[name]).fit(rng.normal(size=(4, 50)), [0, 1] * 2)
    X, y = rng.normal(size=(16, 16_000)), np.arange(16) % 2
    before, began = peak(), time.perf_counter()
    model.fit(X, y)
    fitted, seconds = peak(), time.perf_counter() - began
    began = time.perf_counter()
    model.predict_proba([rng.normal(size=1_000_000)])
    found = {
        "fit GiB": round(fitted - before, 2),
        "fit seconds": round(seconds, 1),
        "million steps GiB": round(max(peak() - fitted, 0.0), 2),
        "million steps seconds": round(time.perf_counter() - began, 1),
        "whole process GiB": round(peak(), 2),
    }
    print(json.dumps(found))


def main() -> None:
    """Measure each case in a process of its own."""
    if len(sys.argv) > 1:
        measure(sys.argv[1])
        return
    results, environment = {}, {**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    for name in CASES:
        asked = [sys.executable, __file__, name]
        # What fails (for want of memory, say) ends the run, so that an earlier record stays.
        answer = subprocess.run(asked, stdout=subprocess.PIPE, text=True, check=True, env=environment)
        results[name] = json.loads(next(line for line in answer.stdout.splitlines() if line.startswith("{")))
        print(name, results[name], flush=True)
    RESULTS.write_text(json.dumps({**surroundings(None, 1), "results": results}, indent=1) + "\n")
    head = list(next(iter(results.values())))
    print(markdown(["", *head], [[name, *(str(one[k]) for k in head)] for name, one in results.items()]))


if __name__ == "__main__":
    main()
