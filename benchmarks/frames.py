"""Frames to tensors and answers back: the frame must not cost more than the model.

    python benchmarks/frames.py

Prints the best of 7 runs in milliseconds, one process, beside a plain copy of the same numbers.
"""

import time

import numpy as np
import pandas as pd
import torch

from tsrec.frames import form_of, panel_index, read_panel


def best(function, repeats: int = 7) -> float:
    """Least time of several runs, in milliseconds."""
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - began)
    return 1000 * min(seconds)


def frame(n_series: int, rows: int) -> pd.DataFrame:
    """A panel frame as users have them: series named by text, daily stamps."""
    names = [f"shop{i:06d}" for i in range(n_series)]
    stamps = pd.date_range("2024-01-01", periods=rows, freq="D")
    index = pd.MultiIndex.from_product([names, stamps], names=["shop", "day"])
    return pd.DataFrame({"y": np.random.default_rng(0).normal(size=len(index))}, index=index)


def main() -> None:
    """Measure both sizes, in order and interleaved."""
    print("| series x rows | order | to tensors, ms | answer of 24 steps to a frame, ms | plain copy, ms |")
    print("|---|---|---|---|---|")
    for n_series in (8_000, 30_000):
        whole = frame(n_series, 200)
        for order, y in (("by series", whole), ("by time", whole.sort_index(level="day", sort_remaining=False))):
            panel = read_panel(y)
            series = np.repeat(np.arange(panel.n_series), 24)
            ordinals = panel.ends[series] + np.tile(np.arange(24), panel.n_series) * panel.grid.step
            answer = np.zeros((len(series), 1))
            there = best(lambda y=y: torch.from_numpy(read_panel(y).values.astype(np.float32)))
            back = best(
                lambda panel=panel, series=series, ordinals=ordinals, y=y, answer=answer: form_of(y).wrap(
                    answer, panel_index(panel.ids, panel.grid, series, ordinals)
                )
            )
            copy = best(lambda y=y: y.to_numpy().copy())
            print(f"| {n_series:,} x 200 | {order} | {there:.0f} | {back:.0f} | {copy:.1f} |")


if __name__ == "__main__":
    main()
