"""Search in long series: exact search and its rivals, indexed windows, appending, saving.

    python benchmarks/retrieval.py exact --n 1000000 10000000
    python benchmarks/retrieval.py windows --windows 100000 1000000 10000000
    python benchmarks/retrieval.py append
    python benchmarks/retrieval.py store
    python benchmarks/retrieval.py encoders
    python benchmarks/retrieval.py --table

exact: a query of m = 256 samples, the series a random walk, in float64; ten answers. Ours is the whole of `locate`, its
answer a frame, once spectra are kept (a repeated query); `stumpy.match` is given the means and deviations of the
windows, `stumpy.mass` everything that it can be given. Answers are compared too. windows: ten neighbours of windows,
each with noise of a tenth of its deviation, among those of the scales 64, 256 and 1024. append: the hundredth of a
series behind it, against taking in the whole. store: what a folder costs, and whether what is loaded is equal.
encoders: how often the window that a query was cut from is the answer, or among five, at 8,192 rows of two series; the
encoder has learned on the first half, and reads windows by themselves or hands its state on.
"""

import argparse
import os
import resource
import tempfile
import time
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "2")

import numpy as np
import pandas as pd
from _records import Record, append, grouped, markdown, read, surroundings
from _timing import Candidate, medians

from tsrec import LSSLEncoder, MambaEncoder, TCNCAEncoder
from tsrec.datasets import load_nyc_taxi
from tsrec.retrieval import SubsequenceRetriever

RECORDS = Path(__file__).parent / "results" / "retrieval.json"
M, K, SCALES = 256, 10, (64, 256, 1024)


def walk(n: int, seed: int = 0) -> pd.Series:
    return pd.Series(np.random.default_rng(seed).standard_normal(n).cumsum(), name="y")


def exact(n: int, repeats: int) -> Record:
    import stumpy

    series = walk(n)
    query = noisy(series.to_numpy()[n // 3 : n // 3 + M], 0.1)
    # Theirs leaves out a quarter of the length on either side of an answer.
    own = {"n_neighbors": K, "exclusion": (M // 4 + 1) / M}
    ours, threads = SubsequenceRetriever(**own).fit(series), SubsequenceRetriever(**own, n_jobs=2).fit(series)
    x, mean, deviation, constant = stumpy.core.preprocess(series.to_numpy().copy(), M)
    given = {"M_T": mean, "Σ_T": deviation, "T_subseq_isconstant": constant, "Q_subseq_isconstant": np.array([False])}
    finite = np.ones(len(mean), dtype=bool)
    rivals = {
        "ours": lambda _: ours.locate(query),
        "ours, two threads": lambda _: threads.locate(query),
        "stumpy.match": lambda _: stumpy.match(query, x, max_matches=K, max_distance=np.inf),
        "stumpy.mass": lambda _: stumpy.mass(query, x, T_subseq_isfinite=finite, **given),
    }
    # Each is called once before it is timed: a repeated query.
    times = medians({name: Candidate(run, partial(run, None)) for name, run in rivals.items()}, repeats)
    found, expected = ours.locate(query), rivals["stumpy.match"](None)
    return {
        "test": "exact",
        "n": n,
        "m": M,
        "ms": times,
        "same order": found["start"].tolist() == expected[:, 1].tolist(),
        "greatest difference": float(np.abs(found["distance"] - expected[:, 0].astype(float)).max()),
        "peak GB": peak(),
    }


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def noisy(x: np.ndarray, share: float, seed: int = 1) -> np.ndarray:
    return x + share * x.std() * np.random.default_rng(seed).standard_normal(x.shape)


def windows(count: int, index: str, n_queries: int = 100) -> Record:
    per_sample = sum(4 / scale for scale in SCALES)
    series = walk(int(count / per_sample))
    start = time.perf_counter()
    ours = SubsequenceRetriever(index=index, n_neighbors=K, scales=SCALES).fit(series)
    table = ours._windows_of_all()
    built = time.perf_counter() - start
    x, rng = series.to_numpy(), np.random.default_rng(2)
    hits, seconds = [], []
    for _ in range(n_queries):
        scale = int(rng.choice(SCALES))
        at = int(rng.integers(0, len(x) - scale))
        vector = table.embed_windows([noisy(x[at : at + scale], 0.1)[:, None]], scale)
        exact = table._flat[scale].search(vector, K)[1]
        start = time.perf_counter()
        found = table.search(scale, vector, K)[1]
        seconds.append(time.perf_counter() - start)
        hits.append(len(np.intersect1d(found, exact)) / K)
    arrays = ours._contents.arrays
    size = sum(arrays.array(name).nbytes for name in arrays.names() if name.startswith("windows/"))
    return {
        "test": "windows",
        "windows": len(table),
        "n": len(x),
        "index": index,
        "recall": float(np.mean(hits)),
        "p50 ms": 1e3 * float(np.median(seconds)),
        "p95 ms": 1e3 * float(np.quantile(seconds, 0.95)),
        "build s": built,
        "bytes per sample": size / len(x),
        "peak GB": peak(),
    }


def candidates(n: int, index: str, n_queries: int = 50) -> Record:
    """How many of the ten answers of exact search are found by way of indexed windows."""
    series, rng = walk(n), np.random.default_rng(3)
    exact = SubsequenceRetriever(n_neighbors=K).fit(series)
    coarse = SubsequenceRetriever(n_neighbors=K, index=index, n_candidates=1000).fit(series)
    coarse._windows_of_all()
    hits, times = [], []
    for turn in range(n_queries + 1):
        m = int(rng.choice([100, 300, 1000, 1500]))
        at = int(rng.integers(0, n - m))
        query = noisy(series.to_numpy()[at : at + m], 0.1, seed=turn)
        wanted = exact.locate(query)
        start = time.perf_counter()
        found = coarse.locate(query)
        times.append(time.perf_counter() - start)
        gaps = np.abs(found["start"].to_numpy()[:, None] - wanted["start"].to_numpy()).min(0, initial=n)
        hits.append(float((gaps < m / 4).mean()))
    return {
        "test": "candidates",
        "n": n,
        "index": index,
        "recall": float(np.mean(hits[1:])),
        "p50 ms": 1e3 * float(np.median(times[1:])),
        "p95 ms": 1e3 * float(np.quantile(times[1:], 0.95)),
    }


def appended(n: int, repeats: int) -> Record:
    """Taking in the last hundredth of a series, against taking in all of it; windows included."""
    series, cut = walk(n), n - n // 100
    whole, last = [], []
    for _ in range(repeats):
        ours = SubsequenceRetriever().fit(series.iloc[:100_000])
        ours._windows_of_all()
        start = time.perf_counter()
        ours = SubsequenceRetriever().fit(series.iloc[:cut])
        ours._windows_of_all()
        whole.append(time.perf_counter() - start)
        start = time.perf_counter()
        ours.partial_fit(series.iloc[cut:])
        last.append(time.perf_counter() - start)
    share = float(np.median(last) / np.median(whole))
    return {
        "test": "append",
        "n": n,
        "build s": float(np.median(whole)),
        "append s": float(np.median(last)),
        "share": share,
    }


def stored(n: int) -> Record:
    """Writing, opening and asking a folder; what is loaded is compared bit by bit."""
    series = walk(n)
    ours = SubsequenceRetriever(n_neighbors=K).fit(series)
    ours._windows_of_all()
    query = noisy(series.to_numpy()[n // 3 : n // 3 + M], 0.1)
    with tempfile.TemporaryDirectory() as folder:
        path, found = Path(folder) / "index", {}
        for name, act in {
            "save s": lambda: ours.save(path),
            "load s": lambda: SubsequenceRetriever.load(path),
            "open s": lambda: SubsequenceRetriever.load(path, mode="r"),
        }.items():
            start = time.perf_counter()
            made = act()
            found[name] = time.perf_counter() - start
            if made is not None:
                made.locate(query)
                start = time.perf_counter()
                answer = made.locate(query)
                found[f"query after {name[:-2]}, ms"] = 1e3 * (time.perf_counter() - start)
                arrays, own = made._contents.arrays, ours._contents.arrays
                equal = all(
                    np.array_equal(arrays.array(one), own.array(one), equal_nan=own.array(one).dtype.kind == "f")
                    for one in own.names()
                )
                found["equal"] = bool(found.get("equal", True) and equal and answer.equals(ours.locate(query)))
        found["bytes per sample"] = sum(file.stat().st_size for file in path.iterdir()) / n
    return {"test": "store", "n": n, **found}


def pulses(n: int, seed: int = 0) -> pd.Series:
    """A beat of uneven pace, with noise, on a level that wanders."""
    rng = np.random.default_rng(seed)
    beat = np.sin(np.cumsum(0.12 + 0.02 * rng.standard_normal(n))) ** 9
    return pd.Series(beat + 0.1 * rng.standard_normal(n) + 0.5 * np.sin(np.arange(n) / 700))


def encoders(name: str, family: type | None, carry_state: bool, n: int = 8192, n_queries: int = 60) -> Record:
    """Queries as they are, cut where a window begins, and anywhere with noise of a tenth of the deviation."""
    x = (load_nyc_taxi() if name == "taxi" else pulses(n)).to_numpy(np.float64)[:n]
    settings = {"encoder": "auto", "index": "flat", "verify": None}  # Fourier coefficients, without training
    if family is not None:
        parts = [x[at : at + 512] for at in range(0, n // 2, 256)]
        settings = {"encoder": family(random_state=0, crop=256, max_epochs=10).fit(parts), "carry_state": carry_state}
    start = time.perf_counter()
    ours = SubsequenceRetriever(scales=(64, 256), n_neighbors=5, **settings).fit(x[None])
    encoder = "Fourier" if family is None else family.__name__
    record = {"test": "encoders", "series": name, "encoder": encoder, "carry_state": carry_state}
    record |= {"windows": len(ours.windows_), "build s": time.perf_counter() - start}
    for share in (0.0, 0.1):
        for scale in (64, 256):
            rng, places = np.random.default_rng(1), []
            for turn in range(n_queries):
                at = int(rng.integers(300, n - scale))
                at -= 0 if share else at % (scale // 4)
                found = ours.locate(noisy(x[at : at + scale], share, turn))["start"].to_numpy()
                places.append(np.abs(found - at) <= (scale / 3 if share else 0))
            hits = np.array(places)
            what = f"{scale} rows, noise {share:g}"
            record |= {f"{what}, first": float(hits[:, 0].mean()), f"{what}, in 5": float(hits.any(1).mean())}
    return record


def table(records: list[Record]) -> str:
    parts = []
    for (test,), runs in grouped(records, ("test",)).items():
        rows = []
        for run in runs:
            flat = {**run, **{f"{name}, ms": value for name, value in run.get("ms", {}).items()}}
            if test == "exact":
                flat |= {
                    f"times {name}": flat[f"{name}, ms"] / flat["ours, ms"] for name in ("stumpy.match", "stumpy.mass")
                }
            rows.append(
                {k: v for k, v in flat.items() if k not in ("test", "ms", "date", "machine", "versions", "peers")}
            )
        head = list(rows[-1])
        cells = [[shown(row.get(name)) for name in head] for row in rows]
        parts.append(f"### {test}\n\n{markdown(head, cells)}")
    return "\n\n".join(parts)


def shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else f"{value:,}" if type(value) is int else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("test", nargs="?", choices=["exact", "windows", "candidates", "append", "store", "encoders"])
    parser.add_argument("--n", type=int, nargs="+", default=[1_000_000])
    parser.add_argument("--windows", type=int, nargs="+", default=[100_000])
    parser.add_argument("--index", nargs="+", default=["flat", "faiss"])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--table", action="store_true")
    asked = parser.parse_args()
    runs = {
        "exact": lambda: (exact(n, asked.repeats) for n in asked.n),
        "windows": lambda: (windows(count, index) for count in asked.windows for index in asked.index),
        "candidates": lambda: (candidates(n, index) for n in asked.n for index in asked.index),
        "append": lambda: (appended(n, asked.repeats) for n in asked.n),
        "store": lambda: (stored(n) for n in asked.n),
        "encoders": lambda: (
            encoders(name, family, carry)
            for name in ("taxi", "pulses")
            for family in (None, LSSLEncoder, TCNCAEncoder, MambaEncoder)
            for carry in ((False,) if family is None else (True, False))
        ),
    }
    for record in runs[asked.test]() if asked.test else ():
        print(dict(record.items()), flush=True)
        peers = {name: version(name) for name in ("stumpy", "faiss-cpu")}
        append(RECORDS, {**record, **surroundings(peers, int(os.environ["OMP_NUM_THREADS"]))})
    if asked.table:
        print(table(read(RECORDS)))


if __name__ == "__main__":
    main()
