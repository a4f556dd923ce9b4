"""Anomalies in the parts of NAB and SKAB under TSREC_DATA: F1, the NAB score and seconds, for ours and for rivals.

python benchmarks/anomalies.py           chooses on the tuning half, reads the test half once, adds to the record
python benchmarks/anomalies.py --tuning  tries the candidates on the tuning half, prints them, and leaves the test half
python benchmarks/anomalies.py --table   prints the last record anew
"""

import argparse
import os
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
from _anomaly_data import File
from _anomaly_data import read as read_files
from _anomaly_rivals import CANDIDATES, Detector
from _records import Record, append, markdown, surroundings
from _records import read as read_records
from sklearn.metrics import f1_score, precision_recall_curve

from tsrec.metrics import event_f1, nab_score, nab_threshold

RESULTS = Path(__file__).parent / "results" / "anomalies.json"
PROFILES = ("standard", "reward_low_FP", "reward_low_FN")
EVERY_ROW = "alarm in every row that is not learned from"
# What a variant is chosen by on the tuning half.
CRITERION = {"nab": "standard", "skab": "F1, own threshold"}


def stacked(parts: dict[str, np.ndarray]) -> pd.Series:
    """Rows of all files under (file, row)."""
    index = [(name, row) for name, values in parts.items() for row in range(len(values))]
    return pd.Series(np.concatenate(list(parts.values())), pd.MultiIndex.from_tuples(index))


def scored(detect: Detector, files: dict[str, File]) -> tuple[pd.Series, pd.Series, pd.Series, float]:
    """Labels, scores and own alarms of all rows, and the seconds it took to fit and score them."""
    began = time.perf_counter()
    found = {name: detect(file) for name, file in files.items()}
    seconds = time.perf_counter() - began
    # Rows that were learned from raise no alarm, as in both benchmarks.
    learned = stacked({name: np.arange(len(file.label)) < file.learned for name, file in files.items()})
    scores = stacked({name: one for name, (one, _) in found.items()}).fillna(0.0)
    alarms = stacked({name: one for name, (_, one) in found.items()})
    label = stacked({name: file.label for name, file in files.items()})
    return label, scores.mask(learned, -1e9), (alarms & ~learned).astype(int), seconds


def thresholds(label: pd.Series, scores: pd.Series) -> dict[str, float]:
    """The best threshold of each measure."""
    best = {profile: nab_threshold(label, scores, profile=profile)[0] for profile in PROFILES}
    precision, recall, levels = precision_recall_curve(label, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return {**best, "F1": float(levels[min(int(f1.argmax()), len(levels) - 1)])}


def figures(label: pd.Series, scores: pd.Series, alarms: pd.Series, chosen: dict[str, float]) -> Record:
    """All measures, with the given thresholds and with the detector's own."""
    given: Record = {
        profile: nab_score(label, (scores >= chosen[profile]).astype(int), profile=profile) for profile in PROFILES
    }
    given["F1"] = float(f1_score(label, scores >= chosen["F1"]))
    given["F1, own threshold"] = float(f1_score(label, alarms))
    given["event F1, own threshold"] = event_f1(label, alarms)
    given |= {f"{profile}, own threshold": nab_score(label, alarms, profile=profile) for profile in PROFILES}
    return {name: round(value, 4) for name, value in given.items()}


def measure(name: str, *, with_test: bool) -> list[Record]:
    """Every candidate on the tuning half, and the best of each family on the test half."""
    tuning = read_files(name, "tuning")
    test = read_files(name, "test") if with_test else {}
    records = []
    for family, variants in CANDIDATES[name].items():
        tried = []
        for variant, detect in variants.items():
            label, scores, alarms, seconds = scored(detect, tuning)
            chosen = thresholds(label, scores)
            found = figures(label, scores, alarms, chosen)
            tried.append((found[CRITERION[name]], variant, detect, chosen))
            records.append(_record(name, "tuning", family, variant, seconds, found, chosen))
            print(records[-1], flush=True)
        if not with_test:
            continue
        _, variant, detect, chosen = max(tried, key=lambda one: one[0])
        label, scores, alarms, seconds = scored(detect, test)
        records.append(_record(name, "test", family, variant, seconds, figures(label, scores, alarms, chosen), chosen))
        print(records[-1], flush=True)
    if not with_test:
        return records
    everything = stacked({file: (np.arange(len(one.label)) >= one.learned) for file, one in test.items()})
    records.append({"set": name, "part": "test", "family": EVERY_ROW, "variant": "", "seconds": 0.0})
    records[-1]["F1"] = round(float(f1_score(label, everything)), 4)
    return records


def _record(
    name: str, part: str, family: str, variant: str, seconds: float, found: Record, chosen: dict[str, float]
) -> Record:
    kept = {key: round(value, 6) if np.isfinite(value) else None for key, value in chosen.items()}
    base = {"set": name, "part": part, "family": family, "variant": variant, "seconds": round(seconds, 1)}
    return {**base, **found, "thresholds": kept}


def warm() -> None:
    """Compile what is compiled on first use, outside the clock."""
    rows = pd.DataFrame({"x": np.random.default_rng(0).normal(size=300)}, pd.date_range("2024", periods=300, freq="h"))
    for variants in CANDIDATES["nab"].values():
        next(iter(variants.values()))(File(rows, np.zeros(300), 150))


def tables(record: dict[str, Any]) -> str:
    """Both sets, test half."""
    texts = []
    for name, title in (("nab", "NAB"), ("skab", "SKAB")):
        rows = [one for one in record["results"] if one["set"] == name and one["part"] == "test"]
        keys = [*PROFILES, *(f"{p}, own threshold" for p in PROFILES[:1]), "F1", "F1, own threshold"]
        keys += ["event F1, own threshold"]
        body = [
            [
                one["family"],
                one["variant"] or "-",
                *(("-" if key not in one else f"{one[key]:.{3 if 'F1' in key else 1}f}") for key in keys),
                f"{one['seconds']:.1f}",
            ]
            for one in rows
        ]
        texts.append(f"**{title}**\n\n" + markdown(["detector", "variant", *keys, "seconds"], body))
    return "\n\n".join(texts)


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--tuning", action="store_true")
    asked = parser.parse_args()
    if not asked.table:
        warm()
        results = [one for name in CANDIDATES for one in measure(name, with_test=not asked.tuning)]
        if asked.tuning:
            return
        append(RESULTS, {**surroundings(None, 1), "results": results})
    print(tables(read_records(RESULTS)[-1]))


if __name__ == "__main__":
    main()
