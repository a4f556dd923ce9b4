"""Memory of long sequences: training on 16 series of 16,000 steps in one batch, an answer to 1,000,000 steps.

python benchmarks/long_sequences.py
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from _memory import forget_peak, memory
from _records import markdown, surroundings, write

RESULTS = Path(__file__).parent / "results" / "long_sequences.json"
# Steps of the series that the model of the second case has learned from: convolutions reach so far.
LEARNED = 4096
CASES = {
    "LSSL, train, defaults": ("LSSLClassifier", {"features": "trained"}),
    "LSSL, train, large layers of the paper": (
        "LSSLClassifier",
        {"features": "trained", "d_model": 256, "d_state": 128, "n_layers": 4},
    ),
    "LSSL, closed form": ("LSSLClassifier", {"features": "random"}),
    "TCNCA, train, defaults": ("TCNCAClassifier", {"features": "trained"}),
    "TCNCA, closed form": ("TCNCAClassifier", {"features": "random"}),
}


def measure(name: str, what: str) -> None:
    """Fit or answer; print seconds and memory beyond what imports, data and a first fit had left in use."""
    import numpy as np

    import tsrec

    rng = np.random.default_rng(0)
    family, settings = CASES[name]
    small = getattr(tsrec, family)(max_epochs=1, random_state=0, **settings)
    small.fit(rng.normal(size=(4, LEARNED)), [0, 1] * 2)
    if what == "fit":
        model = getattr(tsrec, family)(max_epochs=1, batch_size=16, random_state=0, **settings)
        X, y = rng.normal(size=(16, 16_000)), np.arange(16) % 2
        forget_peak()
        before, began = memory("VmRSS"), time.perf_counter()
        model.fit(X, y)
    else:
        long = [rng.normal(size=1_000_000)]
        forget_peak()
        before, began = memory("VmRSS"), time.perf_counter()
        small.predict_proba(long)
    seconds, grown = time.perf_counter() - began, memory("VmHWM") - before
    print(json.dumps({f"{what} GiB": round(grown, 2), f"{what} seconds": round(seconds, 1)}))


def main() -> None:
    """Measure each case in two processes of its own."""
    if len(sys.argv) > 1:
        measure(*sys.argv[1:])
        return
    results, environment = {}, {**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    for name in CASES:
        results[name] = {}
        for what in ("fit", "million steps"):
            asked = [sys.executable, __file__, name, what]
            # What fails (for want of memory, say) ends the run, so that an earlier record stays.
            answer = subprocess.run(asked, stdout=subprocess.PIPE, text=True, check=True, env=environment)
            results[name] |= json.loads(next(line for line in answer.stdout.splitlines() if line.startswith("{")))
        print(name, results[name], flush=True)
    write(RESULTS, json.dumps({**surroundings(None, 1), "results": results}, indent=1) + "\n")
    head = list(next(iter(results.values())))
    print(markdown(["", *head], [[name, *(str(one[k]) for k in head)] for name, one in results.items()]))


if __name__ == "__main__":
    main()
