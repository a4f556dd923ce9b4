"""Nearest vectors on a card: the answers of the CPU, and times against reading all rows once."""

import time
from collections.abc import Iterator

import numpy as np
import torch

from tsrec.retrieval._flat import FlatIndex

FEATURES, K = 64, 10


def search_on_card(device: torch.device, bandwidth: float, sizes: tuple[int, ...]) -> Iterator[dict]:
    """Yield, for each number of rows, whether card and CPU agree, and milliseconds for 1 and 256 queries."""
    rng = np.random.default_rng(0)
    for size in sizes:
        rows = rng.standard_normal((size, FEATURES), dtype=np.float32)
        queries = rows[:256] + 0.1 * rng.standard_normal((256, FEATURES), dtype=np.float32)
        indexes = [FlatIndex(FEATURES, device=where) for where in (device, "cpu")]
        for index in indexes:
            index.add(np.arange(size), rows)
        found, wanted = (index.search(queries[:16], K) for index in indexes)
        mask = np.arange(size) % 7 == 0
        masked, expected = (index.search(queries[:4], K, mask) for index in indexes)
        same = all(np.array_equal(a[1], b[1]) for a, b in ((found, wanted), (masked, expected)))
        times = {n: _milliseconds(indexes[0], queries[:n]) for n in (1, 256)}
        floor = rows.nbytes / bandwidth
        yield {
            "op": "flat search",
            "rows": size,
            "ok": same,
            "ms": times,
            "one query, times the floor": times[1] / floor,
        }


def _milliseconds(index: FlatIndex, queries: np.ndarray, repeats: int = 9) -> float:
    index.search(queries, K)
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        index.search(queries, K)
        taken.append(time.perf_counter() - start)
    return 1e3 * float(np.median(taken))
