"""A model that learned at one sampling rate, asked about data sampled half as often: with and without rescaling dt.

    python benchmarks/half_rate.py --peers-python PATH/bin/python

The paper's test on Speech Commands (Gu et al. 2021, Section 5.3), on sets that ship in the sktime wheel. The test part
is taken as it is, every second step of it, and interpolated at every 1.5th step.
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from _classification_data import folder_of, read
from _records import append, markdown, surroundings

import tsrec

RECORDS = Path(__file__).parent / "results" / "half_rate.json"
SETS = ("ArrowHead", "OSULeaf", "PLAID", "ACSF1")


def slower(x: np.ndarray, rate: float) -> np.ndarray:
    """The series at every rate-th step."""
    if rate == int(rate):
        return x[:: int(rate)]
    at, steps = np.arange(0, len(x) - 1, rate), np.arange(len(x))
    return np.stack([np.interp(at, steps, channel) for channel in x.T], 1)


def main() -> None:
    """Measure, print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers-python", default="python")
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--features", default="random", choices=["random", "trained"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    folder, rows = folder_of(options.peers_python), []
    for name in options.sets:
        (X, y), (Z, w) = read(folder, name, "TRAIN"), read(folder, name, "TEST")
        found: dict[str, list[float]] = {}
        for seed in options.seeds:
            model = tsrec.LSSLClassifier(features=options.features, random_state=seed).fit(X, y)
            for label, rate, told in (
                ("full rate", 1, 1),
                ("half, rate=2", 2, 2),
                ("half, not told", 2, 1),
                ("1.5, rate=1.5", 1.5, 1.5),
                ("1.5, not told", 1.5, 1),
            ):
                answers = model.predict([slower(z, rate) for z in Z], rate=told)
                found.setdefault(label, []).append(float((answers == w).mean()))
        record = {"set": name, "features": options.features, "seeds": options.seeds, **found}
        append(RECORDS, {**record, **surroundings(None, 1)})
        rows.append([name, *[f"{100 * np.mean(values):.1f}" for values in found.values()]])
        print(markdown(["set", *found], rows), flush=True)


if __name__ == "__main__":
    main()
